//! What a policy that ends takes back: only what it approved itself, and only what nobody else allows.

use crate::api::approval::DecisionWord;
use crate::azure::private_link::Connection;

use super::approval::Decision;
use super::proof::Approval;

/// What ends with a policy, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ends<'a> {
    /// What has to be withdrawn.
    pub surely: Vec<&'a Connection>,
    /// What somebody's decision would keep, if anything vouched for it. That nothing does is no reason to cut a connection off.
    pub perhaps: Vec<&'a Connection>,
}

/// The connections that end with `policy`: approved, last approved by it according to the ledger, for the same
/// endpoint, and allowed by no policy in force. `decided` must not count the policy itself; `believed` is the same as if every
/// person's approval counted whose only fault is that the admission policy does not vouch for it.
pub fn ending<'a>(
    policy: &str,
    approvals: &[Approval],
    decided: &'a [(Connection, Decision)],
    believed: &[(Connection, Decision)],
) -> Ends<'a> {
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
    let kept = |connection: &Connection| {
        believed.iter().any(|(believed, decision)| {
            believed.name == connection.name
                && believed.is_of(&connection.endpoint)
                && decision.word == DecisionWord::Allowed
        })
    };
    let (perhaps, surely) = ending.into_iter().partition(|connection| kept(connection));
    Ends { surely, perhaps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::approval::RequesterSide;
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
            side: RequesterSide::Waiting,
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
        let names = |ends: &[&Connection]| -> Vec<String> { ends.iter().map(|one| one.name.clone()).collect() };
        let ends = ending("ns/ends", &approvals, &decided, &decided);
        assert_eq!((names(&ends.surely), names(&ends.perhaps)), (["a", "b", "held"].map(String::from).into(), vec![]));
        let believed = [
            (connection("a", "/A", "Approved"), decision(Allowed)),
            (connection("b", "/other", "Approved"), decision(Allowed)),
        ];
        let ends = ending("ns/ends", &approvals, &decided, &believed);
        assert_eq!(names(&ends.perhaps), ["a"], "somebody's decision would keep it, and nothing vouches for that");
        assert_eq!(names(&ends.surely), ["b", "held"]);
    }
}
