//! The request log as the control interface hands it out: filtered, in short or as an HTTP Archive.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::fault::Pattern;
use crate::http::Request;
use crate::log::{Exchange, Headers};

/// Which exchanges are wanted; what is not stated matches all.
struct Filter {
    since: u64,
    method: Option<String>,
    path: Option<Pattern>,
    caller: Option<String>,
    status: Option<u16>,
    limit: usize,
}

fn number<T: std::str::FromStr>(request: &Request, name: &str) -> Result<Option<T>, ArmError> {
    let read = |text: String| {
        text.parse().map_err(|_| ArmError::bad_request(format!("'{name}' is no number in range: '{text}'.")))
    };
    request.query(name).map(read).transpose()
}

impl Filter {
    fn of(request: &Request) -> Result<Self, ArmError> {
        let pattern = |text: String| Pattern::new(&text).map_err(|error| ArmError::bad_request(error.to_string()));
        Ok(Self {
            since: number(request, "since")?.unwrap_or(0),
            method: request.query("method"),
            path: request.query("path").map(pattern).transpose()?,
            caller: request.query("caller"),
            status: number(request, "status")?,
            limit: number(request, "limit")?.unwrap_or(usize::MAX),
        })
    }

    fn takes(&self, exchange: &Exchange) -> bool {
        exchange.seq > self.since
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&exchange.method))
            && self.path.as_ref().is_none_or(|path| path.is_in(&exchange.path))
            && self.caller.as_ref().is_none_or(|wanted| {
                exchange.caller.as_ref().is_some_and(|caller| caller.eq_ignore_ascii_case(wanted))
            })
            // A dropped connection is asked for as 0, which is also what an archive calls it.
            && self.status.is_none_or(|status| exchange.status.unwrap_or(0) == status)
    }
}

/// Of `exchanges` those that a request asks for, the newest `limit` of them, in the form that it asks for.
pub(super) fn answer<'a>(
    request: &Request,
    exchanges: impl DoubleEndedIterator<Item = &'a Exchange>,
) -> Result<Value, ArmError> {
    let filter = Filter::of(request)?;
    let mut wanted: Vec<&Exchange> =
        exchanges.rev().filter(|exchange| filter.takes(exchange)).take(filter.limit).collect();
    wanted.reverse();
    match request.query("format").as_deref() {
        None | Some("json") => Ok(wanted.into_iter().map(|exchange| json!(exchange.entry())).collect()),
        Some("har") => Ok(archive(&wanted)),
        Some(other) => Err(ArmError::bad_request(format!("format '{other}' is neither json nor har."))),
    }
}

/// An HTTP Archive (HAR 1.2), which browsers and proxies can show. Names that begin with `_` are the simulator's own.
fn archive(exchanges: &[&Exchange]) -> Value {
    json!({ "log": {
        "version": "1.2",
        "creator": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        "entries": exchanges.iter().map(|exchange| entry(exchange)).collect::<Vec<_>>(),
    } })
}

fn pairs(headers: &Headers) -> Vec<Value> {
    headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn content_type(headers: &Headers) -> &str {
    headers.get("content-type").unwrap_or_default()
}

fn entry(exchange: &Exchange) -> Value {
    let milliseconds = exchange.duration.as_secs_f64() * 1000.0;
    let query: Vec<Value> = url::form_urlencoded::parse(exchange.query.as_bytes())
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let mut request = json!({
        "method": exchange.method,
        "url": exchange.url(),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(&exchange.request_headers),
        "queryString": query,
        "headersSize": -1,
        "bodySize": exchange.request_body.len(),
    });
    if !exchange.request_body.is_empty() {
        request["postData"] = json!({
            "mimeType": content_type(&exchange.request_headers),
            "text": String::from_utf8_lossy(&exchange.request_body),
        });
    }
    let status = exchange.status.unwrap_or(0);
    let reason = axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    json!({
        "startedDateTime": rfc3339(exchange.at),
        "time": milliseconds,
        "request": request,
        "response": {
            "status": status,
            "statusText": reason.unwrap_or_default(),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": pairs(&exchange.response_headers),
            "content": {
                "size": exchange.response_body.len(),
                "mimeType": content_type(&exchange.response_headers),
                "text": String::from_utf8_lossy(&exchange.response_body),
            },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": exchange.response_body.len(),
        },
        "cache": {},
        "timings": { "send": 0, "wait": milliseconds, "receive": 0 },
        "_seq": exchange.seq,
        "_caller": exchange.caller,
        "_startedOperation": exchange.started_operation,
    })
}
