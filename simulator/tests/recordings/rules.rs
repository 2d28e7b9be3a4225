//! The comparison itself: a difference that a user would notice has to be one.

use crate::cassette::{Cassette, Response};
use crate::compare::{self, Names};
use crate::replay::Answer;

const ONE: &str = "90cc53e8-4a6e-45b6-8339-516448218ee0";
const OTHER: &str = "7ade1a8f-4b51-4252-b5d1-ee86a9e998e6";
const OURS: &str = "11111111-2222-4333-8444-555555555555";

fn recorded(body: &str, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
    Response { code: 200, body: body.to_owned(), headers }
}

fn simulated(body: &str, headers: &[(&'static str, &'static str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    Answer { status: 200, body: body.to_owned(), headers }
}

fn differences(names: &mut Names, azure: &str, ours: &str) -> Vec<String> {
    compare::answers(names, &recorded(azure, &[]), &simulated(ours, &[]))
}

#[test]
fn missing_added_and_changed_fields_differ() {
    let mut names = Names::default();
    assert!(differences(&mut names, r#"{"a":[1.0,{"b":null}]}"#, r#"{"a":[1,{"b":null}]}"#).is_empty());
    for ours in [r#"{"a":1}"#, r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"b":"2"}"#, r#"{"a":1,"B":2}"#, "", "[]"] {
        assert!(!differences(&mut names, r#"{"a":1,"b":2}"#, ours).is_empty(), "{ours}");
    }
}

#[test]
fn a_made_up_id_may_be_another_one_but_always_the_same() {
    let mut names = Names::default();
    let body = |id: &str| format!(r#"{{"id":"/x/nic.{id}"}}"#);
    assert!(differences(&mut names, &body(ONE), &body(OURS)).is_empty());
    assert!(differences(&mut names, &body(&ONE.replace('-', "")), &body(&OURS.replace('-', ""))).is_empty());
    assert_eq!(names.translate(&body(ONE)), body(OURS));
    assert!(!differences(&mut names, &body(ONE), &body(OTHER)).is_empty(), "another one this time");
    assert!(!differences(&mut names, &body(OTHER), &body(OURS)).is_empty(), "the same for two");
    assert!(!differences(&mut names, &body(OTHER), r#"{"id":"/x/nic.7"}"#).is_empty(), "no id");
}

#[test]
fn an_id_that_the_client_sent_has_to_come_back() {
    let mut names = Names::default();
    names.sent(&format!("/roleAssignments/{ONE}"));
    let body = |id: &str| format!(r#"{{"name":"{id}"}}"#);
    assert!(differences(&mut names, &body(ONE), &body(ONE)).is_empty());
    assert!(!differences(&mut names, &body(ONE), &body(OURS)).is_empty());
}

#[test]
fn times_may_be_others_but_have_to_be_times() {
    let mut names = Names::default();
    let body = |time: &str| format!(r#"{{"createdOn":"{time}"}}"#);
    let azure = body("2001-02-03T04:05:06Z");
    assert!(differences(&mut names, &azure, &body("2026-11-22T10:00:00.1234567+00:00")).is_empty());
    assert!(!differences(&mut names, &azure, &body("yesterday")).is_empty());
}

#[test]
fn headers_that_clients_act_on_are_compared_both_ways() {
    let compared = |azure: &Response, ours: &[(&'static str, &'static str)]| {
        compare::answers(&mut Names::default(), azure, &simulated("", ours))
    };
    let url = "https://management.azure.com/subscriptions/s/providers/P/locations/l/operations/1?api-version=1&t=2";
    let same = "https://127.0.0.1:1/subscriptions/s/providers/P/locations/l/operations/2?api-version=1&t=3";
    let elsewhere = "https://127.0.0.1:1/subscriptions/s/providers/P/locations/l/results/2?api-version=1&t=3";
    let begun = recorded("", &[("Azure-Asyncoperation", url), ("Retry-After", "3"), ("X-Msedge-Ref", "x")]);
    assert!(compared(&begun, &[("azure-asyncoperation", same), ("retry-after", "3")]).is_empty());
    assert!(!compared(&begun, &[("azure-asyncoperation", elsewhere), ("retry-after", "3")]).is_empty());
    assert!(!compared(&begun, &[("azure-asyncoperation", same), ("retry-after", "4")]).is_empty());
    assert!(!compared(&begun, &[("azure-asyncoperation", same)]).is_empty());
    assert!(!compared(&recorded("", &[]), &[("location", same)]).is_empty());
}

#[test]
fn a_cassette_without_bodies_is_read() {
    let text = "version: 2\ninteractions:\n- id: 0\n  request:\n    url: https://h/Subscriptions/A/x?api-version=1\n    \
                method: GET\n  response:\n    headers:\n      Etag: ['1']\n    code: 204\n";
    let cassette = Cassette::parse("c", text).unwrap();
    assert_eq!(cassette.subscriptions(), ["a"]);
    assert_eq!(cassette.interactions[0].response.header("ETag"), Some("1"));
}
