//! The request log: what reached ARM and what it was told, in the order in which it took effect.

mod secrets;

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::Rendered;
use crate::providers::synapse::data_plane;

/// One ARM request, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEntry {
    /// Counts from 1 and is never reused.
    pub seq: u64,
    /// Simulated time of the effect, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The HTTP method.
    pub method: String,
    /// The path as the client spelled it, without the query.
    pub path: String,
    /// The query as the client spelled it.
    pub query: String,
    /// The status answered; `None` if the connection was dropped.
    pub status: Option<u16>,
    /// The object id of the caller; `None` if it was not authenticated.
    pub caller: Option<String>,
    /// The request's JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The kind of the long-running operation that ARM began, even if the client was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_operation: Option<String>,
}

/// One ARM request and its answer, whole. Secrets in headers and bodies read `REDACTED`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// Counts from 1 and is never reused.
    pub seq: u64,
    /// Simulated time of the effect, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Real time from the request's last byte to the answer's first, waits of the fault plan included; zero while the
    /// answer is being made.
    pub duration: Duration,
    /// `https://{host}` as the client spelled it.
    pub base: String,
    /// The HTTP method.
    pub method: String,
    /// The path as the client spelled it, percent-decoded, without the query.
    pub path: String,
    /// The query as the client spelled it.
    pub query: String,
    /// The request's headers, names in lower case.
    pub request_headers: Headers,
    /// The request's body; of a very large one the first megabyte.
    pub request_body: Bytes,
    /// The object id of the caller; `None` if it was not authenticated.
    pub caller: Option<String>,
    /// The status answered; `None` if the connection was dropped.
    pub status: Option<u16>,
    /// The answer's headers.
    pub response_headers: Headers,
    /// The answer's body; of a very large one the first megabyte.
    pub response_body: Bytes,
    /// The kind of the long-running operation that ARM began, even if the client was not told.
    pub started_operation: Option<String>,
    /// Whether the fault plan struck it, so that the answer may be none of ARM's.
    pub fault: bool,
}

impl Exchange {
    /// The URL asked for, percent-encoded; that of a Synapse workspace's data plane under the host that it has in Azure.
    pub fn url(&self) -> String {
        let (base, path) = match data_plane::address(&self.path) {
            Some((host, path)) => (format!("https://{host}"), path),
            None => (self.base.clone(), self.path.as_str()),
        };
        let Ok(mut url) = url::Url::parse(&base) else { return base + path };
        url.set_path(path);
        url.set_query(Some(self.query.as_str()).filter(|query| !query.is_empty()));
        url.into()
    }

    /// The exchange in short.
    pub fn entry(&self) -> RequestEntry {
        RequestEntry {
            seq: self.seq,
            at: self.at,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            status: self.status,
            caller: self.caller.clone(),
            body: serde_json::from_slice(&self.request_body).ok(),
            started_operation: self.started_operation.clone(),
        }
    }

    /// About how many bytes of memory it takes.
    fn size(&self) -> usize {
        size_of::<Self>()
            + [&self.base, &self.method, &self.path, &self.query].map(String::len).iter().sum::<usize>()
            + self.caller.as_ref().map_or(0, String::len)
            + [&self.request_headers, &self.response_headers].map(|headers| headers.0.len()).iter().sum::<usize>()
            + self.request_body.len()
            + self.response_body.len()
    }
}

/// Headers as the log keeps them: in one piece, because there are twenty with each of ten thousand exchanges.
///
/// What HTTP has no room for (a line break in a value that a fault plan names) is neither sent nor kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Box<str>);

impl Headers {
    /// Names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once(": "))
    }

    /// The value of the first header of this name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut text = String::new();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            if !name.contains([':', '\n', '\r']) && !value.contains(['\n', '\r']) {
                for part in [name, ": ", value, "\n"] {
                    text.push_str(part);
                }
            }
        }
        Self(text.into_boxed_str())
    }
}

/// As much of a body as is kept. Chosen: more than any answer of ARM, less than would push out everything else.
const BODY_KEPT: usize = 1_000_000;

/// A body as the log keeps it: without secrets; it shares the memory of what was sent unless that is too much.
pub(crate) fn kept(body: &Bytes) -> Bytes {
    if let Some(redacted) = secrets::redacted(body) {
        return redacted;
    }
    if body.len() > BODY_KEPT { Bytes::copy_from_slice(&body[..BODY_KEPT]) } else { body.clone() }
}

/// Headers whose values open something.
const SECRET_HEADERS: &[&str] =
    &["authorization", "x-ms-authorization-auxiliary", "x-identity-header", "cookie", "set-cookie"];

/// Headers as the log keeps them.
pub(crate) fn redacted(headers: &HeaderMap) -> Headers {
    let kept = headers.iter().map(|(name, value)| {
        let secret = SECRET_HEADERS.contains(&name.as_str());
        (name.as_str(), if secret { "REDACTED".into() } else { String::from_utf8_lossy(value.as_bytes()) })
    });
    kept.collect()
}

/// The newest exchanges, as many as fit.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    exchanges: VecDeque<Exchange>,
    last: u64,
    /// The sum of the exchanges' sizes.
    bytes: usize,
    /// What [`Self::bytes`] may come to.
    limit: usize,
}

impl RequestLog {
    pub(crate) fn set_limit(&mut self, megabytes: u32) {
        self.limit = usize::try_from(megabytes).unwrap_or(usize::MAX).saturating_mul(1_000_000);
        self.trim();
    }

    /// Notes a request that has just taken effect and returns its number. It is noted before it is answered, so that
    /// whoever has seen an effect also finds its cause.
    pub(crate) fn push(&mut self, mut exchange: Exchange) -> u64 {
        self.last += 1;
        exchange.seq = self.last;
        self.bytes += exchange.size();
        self.exchanges.push_back(exchange);
        self.trim();
        self.last
    }

    /// Adds what the client is told.
    pub(crate) fn answered(&mut self, seq: u64, answer: Option<&Rendered>, duration: Duration) {
        // Numbers have no gaps, so the place follows from the oldest one that is kept.
        let Some(first) = self.exchanges.front().map(|exchange| exchange.seq) else { return };
        let place = seq.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        let Some(exchange) = place.and_then(|place| self.exchanges.get_mut(place)) else { return };
        self.bytes -= exchange.size();
        exchange.duration = duration;
        if let Some(answer) = answer {
            exchange.response_headers = answer.logged_headers();
            exchange.response_body = kept(&answer.body);
        }
        self.bytes += exchange.size();
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > self.limit {
            let Some(oldest) = self.exchanges.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }

    pub(crate) fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// The requests after the one with this number.
    pub(crate) fn since(&self, seq: u64) -> Vec<RequestEntry> {
        self.exchanges.iter().filter(|exchange| exchange.seq > seq).map(Exchange::entry).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.exchanges.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_kept_as_they_go_over_the_wire() {
        let written = [("ETag", "W/\"a: b\""), ("Empty", ""), ("Broken", "a\nX: y"), ("X: y", ""), ("Last", "1")];
        let headers: Headers = written.into_iter().collect();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [written[0], written[1], written[4]]);
        assert_eq!((headers.get("etag"), headers.get("x")), (Some(written[0].1), None));
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_late_answers_find_their_request() {
        let mut log = RequestLog::default();
        log.set_limit(1);
        let body = |byte: u8| Bytes::from(vec![byte; 300_000]);
        for byte in 1..=9 {
            log.push(Exchange { request_body: body(byte), ..Exchange::default() });
        }
        let kept: Vec<u64> = log.exchanges().map(|exchange| exchange.seq).collect();
        assert_eq!(kept, [7, 8, 9]);
        log.answered(1, None, Duration::from_secs(9));
        log.answered(8, None, Duration::from_secs(1));
        assert_eq!(log.exchanges().map(|exchange| exchange.duration.as_secs()).collect::<Vec<_>>(), [0, 1, 0]);
        log.clear();
        assert_eq!(log.push(Exchange::default()), 10, "numbers go on");
    }
}
