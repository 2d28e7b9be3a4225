//! What the ledger remembers of people's decisions: who let which connection in, and which decisions are used up.

use serde::{Deserialize, Serialize};

use crate::azure::private_link::Connection;

use super::decisions::Signature;

/// A decision under an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// Uid of the ApprovalDecision.
    pub decision: String,
    /// Who decided.
    pub approver: String,
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that asked.
    pub endpoint: String,
    /// When the approval was about to be written, RFC 3339.
    pub at: String,
    /// The approval took effect: the decision approves nothing a second time.
    #[serde(default)]
    pub spent: bool,
    /// Another approval of the same connection followed.
    #[serde(default)]
    pub past: bool,
}

/// All decisions under the approvals on one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signatures(Vec<Signed>);

impl Signatures {
    /// True if there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes, before it is written, that an approval of `connection` rests on `people`; on nobody, if an entry allows it.
    pub fn sign(&mut self, people: &[Signature], connection: &Connection, at: &str) {
        for signed in self.0.iter_mut().filter(|signed| is_for(signed, &connection.name, &connection.endpoint)) {
            signed.past = true;
        }
        self.0.retain(|signed| signed.spent || !signed.past);
        self.0.extend(people.iter().map(|person| Signed {
            decision: person.uid.clone(),
            approver: person.approver.clone(),
            connection: connection.name.clone(),
            endpoint: connection.endpoint.clone(),
            at: at.to_owned(),
            spent: false,
            past: false,
        }));
    }

    /// Marks as spent what `took_effect(connection, endpoint, at)`, and forgets what neither `exists` any more nor tells who let
    /// in a connection that took effect. True if that changed anything.
    pub fn settle(&mut self, took_effect: impl Fn(&Signed) -> bool, exists: impl Fn(&str) -> bool) -> bool {
        let before = self.0.clone();
        for signed in self.0.iter_mut().filter(|signed| !signed.past && !signed.spent) {
            signed.spent = took_effect(signed);
        }
        self.0.retain(|signed| exists(&signed.decision) || (!signed.past && (!signed.spent || took_effect(signed))));
        self.0 != before
    }

    /// True if an approval took effect on the word of this decision.
    pub fn is_spent(&self, decision: &str) -> bool {
        self.0.iter().any(|signed| signed.spent && signed.decision == decision)
    }

    /// On whose word the latest approval of `connection` for `endpoint` rests; nobody's, if an entry allowed it.
    pub fn approvers(&self, connection: &str, endpoint: &str) -> Vec<&str> {
        let signed = self.0.iter().filter(|signed| !signed.past && is_for(signed, connection, endpoint));
        signed.map(|signed| signed.approver.as_str()).collect()
    }
}

fn is_for(signed: &Signed, connection: &str, endpoint: &str) -> bool {
    signed.connection == connection && signed.endpoint.eq_ignore_ascii_case(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decision_is_spent_once_its_approval_took_effect_and_tells_who_it_was() {
        let one = Connection::read(&json!({"name": "c", "properties": {"privateEndpoint": {"id": "/e"},
            "privateLinkServiceConnectionState": {"status": "Pending"}}}))
        .unwrap();
        let alice = Signature { approver: "alice".into(), name: "d".into(), uid: "1".into() };
        let mut book = Signatures::default();
        book.sign(std::slice::from_ref(&alice), &one, "2026-01-01T00:00:00Z");
        assert!(!book.settle(|_| false, |_| true) && !book.is_spent("1"), "an approval without effect spends nothing");
        assert!(book.settle(|_| true, |_| true) && book.is_spent("1"));
        assert_eq!(book.approvers("c", "/E"), ["alice"]);
        book.settle(|_| true, |_| false);
        assert_eq!(book.approvers("c", "/E"), ["alice"], "who it was outlives the decision");
        book.sign(&[], &one, "2026-01-02T00:00:00Z");
        assert!(book.approvers("c", "/E").is_empty(), "an entry let it in the next time");
        assert!(book.is_spent("1"));
        book.settle(|_| true, |_| false);
        assert!(book.is_empty(), "what nobody needs is forgotten");
    }
}
