use std::time::Duration;

use arm_simulator::{Exchange, Fault, FaultAction, OperationSeconds, Pattern, Settings};
use serde_json::json;

use crate::lab::{GROUP, Lab, ML, storage, workspace, workspace_body};

const GROUPS: &str = "2021-04-01";

fn by_hand(seconds: f64) -> Settings {
    Settings { operation_seconds: OperationSeconds::all(seconds), clock_speed: 0.0, ..Settings::fast() }
}

/// The statuses of so many reads of the group.
async fn reads(lab: &Lab, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(lab.get(GROUP, GROUPS).await.status);
    }
    statuses
}

#[tokio::test]
async fn an_operation_that_never_ends_keeps_its_resource_busy() {
    let lab = Lab::start(by_hand(10.0)).await;
    lab.sim.add_fault(Fault::once(FaultAction::EndlessOperation).method("PUT"));
    let id = workspace("endless");
    let accepted = lab.put(&id, ML, workspace_body("Disabled")).await.expect(202);
    let status = accepted.header("Azure-AsyncOperation").unwrap();
    lab.sim.clock().advance(Duration::from_hours(10_000));
    let poll = lab.send("GET", status, &lab.token, None).await.unwrap().expect(200);
    assert_eq!(poll.body["status"], "InProgress");
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(409);
}

#[tokio::test]
async fn a_failed_operation_may_have_had_its_effect() {
    let lab = Lab::start(by_hand(10.0)).await;
    let fail = || Fault::once(FaultAction::FailOperation { code: "Broken".into(), message: "so it is".into() });
    let rule = crate::lab::fqdn_rule("pypi.org");
    let ws = workspace("failing");
    lab.put(&ws, ML, workspace_body("AllowOnlyApprovedOutbound")).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    for (name, fault, stored) in [("without", fail(), false), ("with", fail().after(), true)] {
        lab.sim.add_fault(fault.method("PUT"));
        let accepted = lab.rule(&ws, name, rule.clone()).await.expect(202);
        lab.sim.clock().advance(Duration::from_secs(10));
        let status = accepted.header("Azure-AsyncOperation").unwrap();
        let poll = lab.send("GET", status, &lab.token, None).await.unwrap().expect(200).body;
        assert_eq!(poll, json!({ "status": "Failed", "error": { "code": "Broken", "message": "so it is" } }));
        assert_eq!(lab.rule_status(&ws, name).await.is_some(), stored, "{name}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer() {
    let lab = Lab::start(Settings::fast()).await;
    let get = || lab.client.get(format!("{}{GROUP}?api-version={GROUPS}", lab.sim.endpoint())).bearer_auth(&lab.token);
    let whole = get().send().await.unwrap().text().await.unwrap();
    for (bytes, kept) in [(None, whole.len() / 2), (Some(3), 3), (Some(1_000_000), whole.len())] {
        lab.sim.add_fault(Fault::once(FaultAction::Truncate { bytes }));
        let mut answer = get().send().await.unwrap();
        assert!(answer.content_length().unwrap() > kept as u64);
        let mut read = Vec::new();
        let end = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk),
                end => break end,
            }
        };
        assert!(end.is_err(), "a client that reads to the end learns that there is none");
        assert_eq!(read, &whole.as_bytes()[..kept]);
    }
}

#[tokio::test]
async fn status_urls_and_next_links_may_lead_elsewhere() {
    let lab = Lab::start(Settings { page_size: 1, ..by_hand(10.0) }).await;
    let foreign = || FaultAction::ForeignUrls { base: "https://evil.example".into() };
    lab.sim.add_fault(Fault::once(foreign()).method("PUT"));
    let accepted = lab.put(&workspace("lured"), ML, workspace_body("Disabled")).await.expect(202);
    for name in ["Azure-AsyncOperation", "Location"] {
        let url = accepted.header(name).unwrap();
        assert!(url.starts_with("https://evil.example/subscriptions/"), "{name}: {url}");
    }
    lab.sim.add_fault(Fault::once(foreign()));
    let list = lab.get(&format!("{GROUP}/providers/Microsoft.Storage/storageAccounts"), "2023-05-01").await.expect(200);
    assert!(list.body["nextLink"].as_str().unwrap().starts_with("https://evil.example/subscriptions/"));
    assert_eq!(list.body["value"][0]["id"], storage("lake"), "the rest is true");
}

#[tokio::test]
async fn bodies_may_be_huge_deep_or_of_another_type() {
    let lab = Lab::start(Settings::fast()).await;
    lab.sim.add_fault(Fault::once(FaultAction::HugeBody { megabytes: 5 }));
    assert!(lab.get(GROUP, GROUPS).await.expect(200).text.len() > 5_000_000);
    assert!(lab.sim.exchanges()[0].response_body.len() < 5_000_000, "the log does not keep all of it");

    lab.sim.add_fault(Fault::once(FaultAction::DeepJson { depth: 100_000 }));
    let deep = lab.get(GROUP, GROUPS).await.expect(200);
    assert!(deep.text.matches('[').count() == 100_000 && deep.text.matches(']').count() == 100_000);
    assert_eq!(deep.header("content-type"), Some("application/json; charset=utf-8"));

    lab.sim.add_fault(Fault::once(FaultAction::ContentType { value: "text/html".into() }));
    let html = lab.get(GROUP, GROUPS).await.expect(200);
    assert_eq!((html.header("content-type"), html.body["name"].as_str()), (Some("text/html"), Some("rg1")));
    assert_eq!(html.headers.get_all("content-type").iter().count(), 1);
}

#[tokio::test]
async fn a_token_expires_once() {
    let lab = Lab::start(Settings::fast()).await;
    lab.sim.add_fault(Fault::once(FaultAction::ExpiredToken).path("resourceGroups"));
    let refused = lab.get(GROUP, GROUPS).await.expect(401);
    assert_eq!(refused.code(), "ExpiredAuthenticationToken");
    assert!(refused.header("WWW-Authenticate").unwrap().contains("error=\"invalid_token\""));
    lab.get(GROUP, GROUPS).await.expect(200);
}

#[tokio::test]
async fn delays_add_up_and_leave_other_faults_to_strike() {
    let lab = Lab::start(Settings::fast()).await;
    lab.sim.add_fault(Fault::once(FaultAction::Latency { ms: 10, up_to_ms: None }));
    lab.sim.add_fault(Fault::once(FaultAction::Latency { ms: 10, up_to_ms: Some(12) }).after());
    lab.sim.add_fault(Fault::status(503, "Down"));
    assert_eq!(reads(&lab, 2).await, [503, 200]);
    assert!(lab.sim.exchanges()[0].duration >= Duration::from_millis(20));
}

#[tokio::test]
async fn faults_are_for_certain_callers_and_queries() {
    let lab = Lab::start(Settings { enforce_rbac: false, ..Settings::fast() }).await;
    let guest = lab.sign_in("guest").await;
    let url = format!("{GROUP}?api-version={GROUPS}");
    for (who, sign_in) in [("guest-object", 401), ("GUEST-client", 503)] {
        lab.sim.add_fault(Fault::status(503, "Down").caller(who).always());
        assert_eq!(reads(&lab, 1).await, [200], "{who}");
        lab.send("GET", &url, &guest, None).await.unwrap().expect(503);
        // A request for a token names the client, not yet the object.
        let form = "grant_type=client_credentials&client_id=guest-client&scope=https://management.azure.com/.default";
        lab.form(&format!("/{}/oauth2/v2.0/token", crate::lab::TENANT), form).await.expect(sign_in);
        lab.sim.clear_faults();
    }
    lab.sim.add_fault(Fault::status(503, "Down").query(Pattern::new("api-version=202[12]-").unwrap()).always());
    lab.get(GROUP, "2025-04-01").await.expect(200);
    lab.get(GROUP, GROUPS).await.expect(503);
    lab.sim.clear_faults();
    lab.sim.add_fault(Fault::status(503, "Down").path_like(Pattern::new("/RESOURCEGROUPS/[a-z]+1$").unwrap()));
    assert_eq!(reads(&lab, 2).await, [503, 200]);
}

#[tokio::test]
async fn faults_count_what_they_match() {
    let lab = Lab::start(Settings::fast()).await;
    lab.sim.add_fault(Fault::status(503, "Down").skip(1).every(3).times(2));
    assert_eq!(reads(&lab, 9).await, [200, 503, 200, 200, 503, 200, 200, 200, 200]);
}

#[tokio::test]
async fn chance_is_decided_by_the_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let lab = Lab::start(Settings { random_seed: Some(seed), ..Settings::fast() }).await;
        lab.sim.add_fault(Fault::status(503, "Down").probability(0.5).always());
        runs.push(reads(&lab, 40).await);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&200) && runs[0].contains(&503));
}

#[tokio::test]
async fn one_story_told_twice_gives_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let lab = Lab::start(Settings { random_seed: Some(7), signed_operation_urls: true, ..by_hand(10.0) }).await;
        let ws = workspace("story");
        let accepted = lab.put(&ws, ML, workspace_body("AllowOnlyApprovedOutbound")).await.expect(202);
        let status = accepted.header("Azure-AsyncOperation").unwrap();
        lab.sim.clock().advance(Duration::from_secs(10));
        lab.send("GET", status, &lab.token, None).await.unwrap().expect(200);
        lab.rule(&ws, "pypi", crate::lab::fqdn_rule("pypi.org")).await.expect(202);
        lab.sim.clock().advance(Duration::from_secs(10));
        lab.get(&ws, ML).await.expect(200);
        // Only the port is another one.
        let base = lab.sim.endpoint();
        let same = |text: &str| text.replace(&base, "https://base");
        let told = |exchange: &Exchange| {
            let headers: Vec<_> = exchange.response_headers.iter().map(|(n, v)| (n.to_owned(), same(v))).collect();
            let body = same(&String::from_utf8_lossy(&exchange.response_body));
            (exchange.at, exchange.status, headers, body)
        };
        runs.push(lab.sim.exchanges().iter().map(told).collect::<Vec<_>>());
    }
    assert_eq!(runs[0], runs[1]);
}
