//! Recordings of the real service: where they contradict the specifications, the specifications are wrong.
#![allow(clippy::unwrap_used, reason = "clippy knows a test by its attribute; helpers of tests have none")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use arm_contract::{Contract, Exchange, Finding, Rule};
use serde::Deserialize;

/// A recording as Go's `dnaeon/go-vcr` writes it.
#[derive(Deserialize)]
struct Recording {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    url: String,
    method: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    body: String,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    code: u16,
}

fn pairs(headers: BTreeMap<String, Vec<String>>) -> Vec<(String, String)> {
    headers.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value))).collect()
}

fn exchange(Interaction { request, response }: Interaction) -> Exchange {
    let url = url::Url::parse(&request.url).unwrap();
    Exchange {
        status: response.code,
        request_headers: pairs(request.headers),
        response_headers: pairs(response.headers),
        ..Exchange::of_url(&request.method, &url).with_request_text(&request.body).with_response_text(&response.body)
    }
}

/// Whether a finding may be news about the service: it shows more than its specification says, and shows what is not set as
/// null. Those that the recordings at hand have told are in the table of deviations; a new recording may tell more.
fn news(finding: &Finding) -> bool {
    matches!(finding.rule, Rule::UnknownProperty | Rule::Null) && finding.place.starts_with("response body")
}

#[test]
fn what_azure_answered_is_as_specified() {
    let folders = ["ARM_SPECS_DIR", "ARM_RECORDINGS_DIR"].map(|name| std::env::var_os(name).map(PathBuf::from));
    let [Some(specifications), Some(recordings)] = folders else {
        eprintln!("skipped: ARM_SPECS_DIR or ARM_RECORDINGS_DIR is not set");
        return;
    };
    let contract = Contract::load(&specifications).unwrap();
    let (mut described, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(&recordings).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let recording: Recording =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for exchange in recording.interactions.into_iter().map(exchange) {
            let outcome = contract.check(&exchange);
            described += usize::from(outcome.operation.is_some());
            for finding in outcome.violations() {
                let text = format!("{} {} {}: {finding}", exchange.method, exchange.path, exchange.status);
                if news(finding) { println!("news: {text}") } else { wrong.push(text) }
            }
        }
    }
    assert!(described > 0, "no recording of a specified operation in {}", recordings.display());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
