//! The ARM calls, from the simulator's request log: each write a line, reads as a number.

use serde_json::Value;

use crate::objects::{some, text};

/// What the log said that has not been told yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    last: u64,
    /// Reads since the last write.
    reads: u64,
    /// All reads since the beginning.
    pub(crate) total_reads: u64,
    /// All writes since the beginning.
    pub(crate) total_writes: u64,
}

impl Calls {
    /// The number of the last request that was taken in.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Takes in further requests and returns a line for each write.
    pub(crate) fn take(&mut self, requests: &[Value]) -> Vec<String> {
        let mut lines = Vec::new();
        for request in requests {
            self.last = self.last.max(request["seq"].as_u64().unwrap_or_default());
            if matches!(text(request, "/method"), "GET" | "HEAD") {
                self.reads += 1;
                self.total_reads += 1;
                continue;
            }
            self.total_writes += 1;
            let reads = match std::mem::take(&mut self.reads) {
                0 => String::new(),
                1 => ", after 1 read".to_owned(),
                reads => format!(", after {reads} reads"),
            };
            lines.push(format!("{}{reads}", write_line(request)));
        }
        lines
    }
}

fn write_line(request: &Value) -> String {
    let status = request["status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let mut line = format!("{:<6} {} -> {status}", text(request, "/method"), short(text(request, "/path")));
    let operation = text(request, "/startedOperation");
    if !operation.is_empty() {
        line.push_str(&format!(", begins {operation}"));
    }
    let said = said(request);
    if !said.is_empty() {
        line.push_str(&format!(" ({said})"));
    }
    line
}

/// What a body comes down to, as far as the time line is concerned.
fn said(request: &Value) -> String {
    let decision = text(request, "/body/properties/privateLinkServiceConnectionState/status");
    if !decision.is_empty() {
        return decision.to_owned();
    }
    let rule = text(request, "/body/properties/type");
    if !rule.is_empty() {
        return rule.to_owned();
    }
    let Some(rules) = request.pointer("/body/properties/managedNetwork/outboundRules").and_then(Value::as_object)
    else {
        return String::new();
    };
    format!("rules {}", some(rules.keys().map(String::as_str)))
}

/// A path without what is the same for all: subscription, group and provider.
fn short(path: &str) -> &str {
    let after = path.split_once("/providers/").map_or(path, |(_, after)| after);
    after.split_once('/').map_or(after, |(_, resource)| resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WORKSPACE: &str =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w";

    #[test]
    fn writes_are_told_each_and_reads_are_counted() {
        let mut calls = Calls::default();
        let lines = calls.take(&[
            json!({"seq": 1, "method": "GET", "path": WORKSPACE, "status": 404}),
            json!({"seq": 2, "method": "PUT", "path": WORKSPACE, "status": 201, "startedOperation": "workspaceCreate"}),
            json!({"seq": 3, "method": "GET", "path": WORKSPACE, "status": 200}),
            json!({"seq": 4, "method": "GET", "path": WORKSPACE, "status": 200}),
        ]);
        assert_eq!(lines, ["PUT    workspaces/w -> 201, begins workspaceCreate, after 1 read"]);
        assert_eq!((calls.last(), calls.total_reads, calls.total_writes), (4, 3, 1));
        let next = calls.take(&[json!({"seq": 5, "method": "DELETE", "path": WORKSPACE, "status": 202})]);
        assert_eq!(next, ["DELETE workspaces/w -> 202, after 2 reads"]);
    }

    #[test]
    fn a_body_is_told_by_what_it_decides() {
        let patch = json!({"method": "PATCH", "path": WORKSPACE, "status": 202,
            "body": {"properties": {"managedNetwork": {"outboundRules": {"monitor-1": {}, "pytorch-2": {}}}}}});
        assert_eq!(write_line(&patch), "PATCH  workspaces/w -> 202 (rules monitor-1, pytorch-2)");
        let approval = json!({"method": "PUT", "status": null,
            "path": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/l/privateEndpointConnections/c",
            "body": {"properties": {"privateLinkServiceConnectionState": {"status": "Approved"}}}});
        assert_eq!(
            write_line(&approval),
            "PUT    storageAccounts/l/privateEndpointConnections/c -> no answer (Approved)"
        );
    }
}
