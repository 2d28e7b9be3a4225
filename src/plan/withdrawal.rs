//! What a policy that ends takes back: only what it approved itself, and only what nobody else allows.

use crate::api::approval::DecisionWord;
use crate::azure::private_link::Connection;

use super::approval::Decision;
use super::proof::Approval;

/// The connections that end with `policy`, by name: approved, last approved by it according to the ledger, for the same
/// endpoint, and allowed by no policy in force. `decided` must not count the policy itself.
pub fn ending<'a>(policy: &str, approvals: &[Approval], decided: &'a [(Connection, Decision)]) -> Vec<&'a Connection> {
    let ours = |connection: &Connection| {
        approvals.iter().rev().find(|approval| approval.is_of(connection)).is_some_and(|last| last.policy == policy)
    };
    let mut ending: Vec<&Connection> = decided
        .iter()
        .filter(|(connection, decision)| {
            connection.is_approved() && decision.word != DecisionWord::Allowed && ours(connection)
        })
        .map(|(connection, _)| connection)
        .collect();
    ending.sort_by(|a, b| a.name.cmp(&b.name));
    ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_the_policy_approved_and_nobody_else_allows_ends_with_it() {
        let connection = |name: &str, endpoint: &str, state: &str| {
            Connection::read(&json!({"name": name, "properties": {"privateEndpoint": {"id": endpoint},
                "privateLinkServiceConnectionState": {"status": state}}}))
            .unwrap()
        };
        let decision =
            |word| Decision { word, policies: Vec::new(), why: String::new(), rules: Vec::new(), people: Vec::new() };
        let approval = |name: &str, endpoint: &str, policy: &str| Approval {
            connection: name.into(),
            endpoint: endpoint.into(),
            policy: policy.into(),
            at: String::new(),
            request_id: None,
        };
        let approvals = [
            approval("b", "/B", "ns/ends"),
            approval("a", "/a", "ns/ends"),
            approval("allowed", "/c", "ns/ends"),
            approval("other", "/d", "ns/other"),
            approval("exchanged", "/e", "ns/ends"),
            approval("rejected", "/f", "ns/ends"),
            approval("later", "/g", "ns/ends"),
            approval("later", "/g", "ns/other"),
            approval("held", "/i", "ns/ends"),
        ];
        use DecisionWord::{Allowed, Held, Unmatched};
        let decided = [
            (connection("b", "/b", "Approved"), decision(Unmatched)),
            (connection("a", "/a", "Approved"), decision(Unmatched)),
            (connection("allowed", "/c", "Approved"), decision(Allowed)),
            (connection("other", "/d", "Approved"), decision(Unmatched)),
            (connection("exchanged", "/other", "Approved"), decision(Unmatched)),
            (connection("rejected", "/f", "Rejected"), decision(Unmatched)),
            (connection("later", "/g", "Approved"), decision(Unmatched)),
            (connection("stranger", "/h", "Approved"), decision(Unmatched)),
            (connection("held", "/i", "Approved"), decision(Held)),
        ];
        let names: Vec<&str> = ending("ns/ends", &approvals, &decided).iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "held"]);
    }
}
