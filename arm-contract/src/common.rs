//! What holds for every exchange with ARM, whatever it is about (ARM RPC).

use serde_json::Value;
use url::Url;

use crate::exchange::Exchange;
use crate::outcome::{Finding, Rule};
use crate::template::split;

/// The headers by which a long-running operation is followed.
pub(crate) const POLLING: [&str; 2] = ["azure-asyncoperation", "location"];

/// Whether a path is ARM's own, and not that of a token endpoint or another service on the same host.
pub(crate) fn is_arm(path: &str) -> bool {
    let first = split(path).next().unwrap_or_default();
    ["subscriptions", "providers", "tenants"].iter().any(|known| first.eq_ignore_ascii_case(known))
}

/// What is wrong by the common rules, errors' bodies aside.
pub(crate) fn findings(exchange: &Exchange) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in POLLING {
        if let Some(value) = exchange.response_header(name).filter(|value| !is_absolute(value)) {
            let what = format!("\"{value}\" is no absolute URL");
            findings.push(Finding::violation(Rule::Polling, format!("response header {name}"), what));
        }
    }
    if let Some(value) = exchange.response_header("retry-after").filter(|value| !is_retry_after(value)) {
        let what = format!("\"{value}\" is neither a number of seconds nor a date");
        findings.push(Finding::violation(Rule::Polling, "response header retry-after", what));
    }
    if matches!(exchange.status, 204 | 304) && !exchange.answered_empty() {
        let what = format!("a body, where {} has none", exchange.status);
        findings.push(Finding::violation(Rule::Presence, "response body", what));
    }
    if exchange.succeeded() {
        if let Some(text) = &exchange.response_text {
            let shown: String = text.chars().take(60).collect();
            findings.push(Finding::violation(Rule::Type, "response body", format!("no JSON: {shown}")));
        }
        if let Some(body) = &exchange.response_body {
            findings.extend(next_link(body));
        }
    }
    findings
}

/// What is wrong with an error's body. An answer to HEAD has none.
pub(crate) fn error_findings(exchange: &Exchange) -> Vec<Finding> {
    if exchange.method == "HEAD" {
        return Vec::new();
    }
    let Some(body) = &exchange.response_body else {
        return vec![Finding::violation(Rule::ErrorEnvelope, "response body", "no JSON, where an error is described")];
    };
    // Data planes leave the envelope out as often as not.
    let bare = exchange.data_plane.is_some() && body.get("error").is_none();
    if bare { error_of(body, "response body") } else { error_of(&body["error"], "response body /error") }
}

fn error_of(error: &Value, place: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in ["code", "message"] {
        if !error[member].is_string() {
            let what = "an error has a string here (ARM RPC, error response)";
            findings.push(Finding::violation(Rule::ErrorEnvelope, format!("{place}/{member}"), what));
        }
    }
    for (index, detail) in error["details"].as_array().into_iter().flatten().enumerate() {
        findings.extend(error_of(detail, &format!("{place}/details/{index}")));
    }
    findings
}

/// What is wrong with an operation's status (ARM RPC, async-api-reference), if a body is one.
pub(crate) fn operation_status_findings(body: &Value) -> Vec<Finding> {
    let Some(status) = body.get("status") else { return Vec::new() };
    let mut findings = Vec::new();
    let mut wrong = |member: &str, what: &str| {
        findings.push(Finding::violation(Rule::Polling, format!("response body /{member}"), what));
    };
    if !status.is_string() {
        wrong("status", "an operation's status has a string here");
    }
    for member in ["id", "name", "startTime", "endTime"] {
        if body.get(member).is_some_and(|value| !value.is_string()) {
            wrong(member, "an operation's status has a string here");
        }
    }
    if body.get("percentComplete").is_some_and(|value| !value.is_number()) {
        wrong("percentComplete", "an operation's status has a number here");
    }
    // Some providers show an empty error while all is well.
    if matches!(status.as_str(), Some("Failed" | "Canceled")) && body.get("error").is_some() {
        findings.extend(error_of(&body["error"], "response body /error"));
    } else if status == "Failed" {
        let what = "an operation that failed says why";
        findings.push(Finding::violation(Rule::Polling, "response body /error", what));
    }
    findings
}

fn next_link(body: &Value) -> Option<Finding> {
    let link = body.get("nextLink").filter(|link| !link.is_null())?;
    // Some providers end with an empty string.
    let fine = link.as_str().is_some_and(|link| link.is_empty() || is_absolute(link));
    let what = format!("{link} is no absolute URL");
    (!fine).then(|| Finding::violation(Rule::NextLink, "response body /nextLink", what))
}

fn is_absolute(value: &str) -> bool {
    Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_retry_after(value: &str) -> bool {
    value.parse::<u64>().is_ok() || jiff::fmt::rfc2822::parse(value).is_ok()
}
