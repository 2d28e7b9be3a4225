//! The request log: what reached ARM, in the order in which it took effect.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One ARM request.
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

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: Vec<RequestEntry>,
    last: u64,
}

impl RequestLog {
    pub(crate) fn push(&mut self, mut entry: RequestEntry) {
        self.last += 1;
        entry.seq = self.last;
        self.entries.push(entry);
    }

    pub(crate) fn since(&self, seq: u64) -> Vec<RequestEntry> {
        self.entries.iter().filter(|entry| entry.seq > seq).cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}
