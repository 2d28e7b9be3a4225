//! What became of an approval that was sent: proofs, which are kept until their end is known.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::approval::RequesterSide;
use crate::azure::private_link::{Connection, Dialect};

/// An approval that was about to be written, kept in the ledger until its end is known.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that was approved, as ARM stated it right before.
    pub endpoint: String,
    /// Namespace and name of the policy.
    pub policy: String,
    /// The policy's entry that decided, for example `allow[0]`; `None` if people did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The policy's generation that was decided by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// ARM's id of the request, once it is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When the request was about to go out, RFC 3339.
    pub started_at: String,
    /// When a withdrawal was last sent, RFC 3339, if another endpoint turned out to be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<String>,
}

/// An approval that took effect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that was approved.
    pub endpoint: String,
    /// Namespace and name of the policy.
    pub policy: String,
    /// When, RFC 3339.
    pub at: String,
    /// ARM's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the requester's side said of it.
    #[serde(default)]
    pub side: RequesterSide,
}

impl Proof {
    /// True if `connection` is what was asked for, by name and endpoint.
    pub fn is_for(&self, connection: &Connection) -> bool {
        self.connection == connection.name && connection.is_of(&self.endpoint)
    }

    /// The same, with a start that can be believed: one in the future, or one that cannot be read, was not written by a healthy
    /// clock of ours, and counts from now. Kept so, it holds its target no longer than any other.
    pub fn believable(mut self, now: Timestamp) -> Self {
        if self.started_at.parse::<Timestamp>().map_or(true, |at| at > now) {
            self.started_at = now.to_string();
        }
        self
    }
}

impl Approval {
    /// True if `connection` is what was approved, by name and endpoint.
    pub fn is_of(&self, connection: &Connection) -> bool {
        self.connection == connection.name && connection.is_of(&self.endpoint)
    }
}

/// A connection that a workspace raised for an outbound rule and approved itself, with the approver role assigned for that: it was
/// the only one newly approved while the rule was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelfApproval {
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that was approved.
    pub endpoint: String,
    /// Namespace of the AmlWorkspace.
    pub namespace: String,
    /// Its name.
    pub workspace: String,
    /// Namespace and name of the OutboundRule.
    pub rule: String,
    /// When that was seen, RFC 3339.
    pub at: String,
}

impl SelfApproval {
    /// True if `connection` is what was approved, by name and endpoint.
    pub fn is_of(&self, connection: &Connection) -> bool {
        self.connection == connection.name && connection.is_of(&self.endpoint)
    }

    /// Who approved it, for people.
    pub fn by(&self) -> String {
        format!("AmlWorkspace {}/{} for OutboundRule {}", self.namespace, self.workspace, self.rule)
    }
}

/// How long what takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// After this a request without an answer is believed lost.
    pub rest: Duration,
    /// For how long at the most a connection that Azure still works on is waited for.
    pub settling: Duration,
    /// For how long an approval that never showed may still take effect.
    pub late: Duration,
    /// For how long the requester's side may go on waiting after an approval.
    pub silence: Duration,
}

/// How an approval under proof stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    /// It took effect for the endpoint that was decided on.
    Approved,
    /// Azure works on it, or the request may still arrive: nothing else is approved on the target.
    Open,
    /// It did not show in time. It may be repeated, and may still show.
    Silent,
    /// Somebody else's endpoint is approved under that name: it has to be withdrawn, again if that did not help.
    Exchanged {
        /// The endpoint that is there.
        found: String,
    },
    /// Somebody else's endpoint was withdrawn, and is seen to be no longer approved.
    Withdrawn,
}

/// `at` as the ledger writes it: to the millisecond, so that its waits mean what they say also where they are shorter than a second,
/// and always as long, so that two such texts compare like the moments.
pub fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// How long ago `at` was; nothing if it cannot be read or lies ahead.
pub(super) fn age(at: &str, now: Timestamp) -> Duration {
    at.parse::<Timestamp>().ok().and_then(|at| now.duration_since(at).try_into().ok()).unwrap_or_default()
}

/// Compares what was about to be approved with what the target shows at `now`.
pub fn prove(proof: &Proof, shown: Option<&Connection>, dialect: &Dialect, now: Timestamp, waits: Waits) -> Proven {
    let asked = age(&proof.started_at, now);
    let moves = shown.is_some_and(|shown| !shown.is_settled(dialect));
    if let Some(shown) = shown.filter(|shown| shown.is_approved() && !proof.is_for(shown)) {
        // While Azure carries the withdrawal out, another one would only cancel it, and not every type shows that it is at work.
        let under_way = proof.withdrawn_at.as_ref().is_some_and(|at| age(at, now) < waits.rest);
        return if under_way { Proven::Open } else { Proven::Exchanged { found: shown.endpoint.clone() } };
    }
    if proof.withdrawn_at.is_some() {
        return Proven::Withdrawn;
    }
    if moves && asked < waits.settling {
        return Proven::Open;
    }
    if shown.is_some_and(Connection::is_approved) {
        return Proven::Approved;
    }
    if asked < waits.rest { Proven::Open } else { Proven::Silent }
}

/// Whether an approval that did not show in time has to be looked at again: the connection is approved now, or worked on.
/// `explained` is true if another endpoint under that name is approved for a reason of its own.
pub fn resumes(
    asked: &Proof,
    shown: Option<&Connection>,
    dialect: &Dialect,
    explained: bool,
    now: Timestamp,
    waits: Waits,
) -> bool {
    let Some(shown) = shown else { return false };
    if asked.is_for(shown) {
        return shown.is_approved() || (!shown.is_settled(dialect) && age(&asked.started_at, now) < waits.settling);
    }
    shown.is_approved() && !explained
}

/// Whether an approval that did not show in time may still.
pub fn is_expected(asked: &Proof, now: Timestamp, waits: Waits) -> bool {
    age(&asked.started_at, now) < waits.late
}

/// Whether the record of an approval still says something: the connection is approved, or the record is so fresh that a list may
/// not show it yet. What was revoked and approved again since, somebody else approved.
pub fn still_holds(approval: &Approval, connections: &[Connection], now: Timestamp, waits: Waits) -> bool {
    let shown = connections.iter().find(|connection| approval.is_of(connection));
    shown.is_some_and(Connection::is_approved) || age(&approval.at, now) < waits.rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OURS: &str = "/ours";
    const THEIRS: &str = "/theirs";
    const WAITS: Waits = Waits {
        rest: Duration::from_secs(90),
        settling: Duration::from_secs(3600),
        late: Duration::from_secs(86400),
        silence: Duration::from_secs(120),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn proof() -> Proof {
        Proof {
            connection: "c".into(),
            endpoint: OURS.into(),
            policy: "platform/lake".into(),
            rule: None,
            generation: None,
            request_id: None,
            started_at: at(0).to_string(),
            withdrawn_at: None,
        }
    }

    fn shown(endpoint: &str, state: &str, provisioning: &str) -> Connection {
        Connection::read(&json!({"name": "c", "properties": {"privateEndpoint": {"id": endpoint},
            "provisioningState": provisioning, "privateLinkServiceConnectionState": {"status": state}}}))
        .unwrap()
    }

    fn dialect() -> &'static Dialect {
        Dialect::of("Microsoft.Storage/storageAccounts").unwrap()
    }

    #[test]
    fn a_proof_stays_open_while_azure_works_on_the_connection() {
        let exchanged = || Proven::Exchanged { found: THEIRS.into() };
        for (endpoint, state, provisioning, second, want) in [
            ("/OURS", "Approved", "Succeeded", 1, Proven::Approved),
            (OURS, "Approved", "Updating", 1, Proven::Open),
            (OURS, "Pending", "Updating", 89, Proven::Open),
            (OURS, "Pending", "Updating", 3599, Proven::Open),
            (OURS, "Pending", "Updating", 3600, Proven::Silent),
            (OURS, "Approved", "Updating", 3600, Proven::Approved),
            (OURS, "Pending", "Succeeded", 89, Proven::Open),
            (OURS, "Pending", "Succeeded", 90, Proven::Silent),
            (OURS, "Pending", "Failed", 90, Proven::Silent),
            (OURS, "Rejected", "Succeeded", 89, Proven::Open),
            (OURS, "Rejected", "Succeeded", 90, Proven::Silent),
            (THEIRS, "Pending", "Succeeded", 90, Proven::Silent),
            (THEIRS, "Approved", "Succeeded", 1, exchanged()),
            (THEIRS, "Approved", "Updating", 1, exchanged()),
            (THEIRS, "Approved", "Succeeded", 99999, exchanged()),
        ] {
            let found = prove(&proof(), Some(&shown(endpoint, state, provisioning)), dialect(), at(second), WAITS);
            assert_eq!(found, want, "{endpoint} {state} {provisioning} after {second} s");
        }
        assert_eq!(prove(&proof(), None, dialect(), at(1), WAITS), Proven::Open);
        assert_eq!(prove(&proof(), None, dialect(), at(90), WAITS), Proven::Silent);
    }

    #[test]
    fn a_withdrawal_is_repeated_until_it_is_read_back() {
        let sent = Proof { withdrawn_at: Some(at(10).to_string()), ..proof() };
        let look = |shown: Option<Connection>, second| prove(&sent, shown.as_ref(), dialect(), at(second), WAITS);
        let exchanged = Proven::Exchanged { found: THEIRS.into() };
        for provisioning in ["Updating", "Succeeded"] {
            assert_eq!(look(Some(shown(THEIRS, "Approved", provisioning)), 99), Proven::Open, "{provisioning}");
            assert_eq!(look(Some(shown(THEIRS, "Approved", provisioning)), 100), exchanged, "{provisioning}");
        }
        assert_eq!(look(Some(shown(THEIRS, "Rejected", "Succeeded")), 11), Proven::Withdrawn);
        assert_eq!(look(None, 11), Proven::Withdrawn);
    }

    #[test]
    fn a_start_in_the_future_counts_from_now() {
        for start in ["9999-01-01T00:00:00Z", "yesterday", ""] {
            let proof = Proof { started_at: start.into(), ..proof() }.believable(at(100));
            let look = |second| prove(&proof, None, dialect(), at(second), WAITS);
            assert_eq!((look(189), look(190)), (Proven::Open, Proven::Silent), "{start}");
        }
        assert_eq!(proof().believable(at(100)), proof());
    }

    #[test]
    fn what_was_asked_for_is_found_when_it_shows_later() {
        let look = |shown: Connection, explained, second| {
            resumes(&proof(), Some(&shown), dialect(), explained, at(second), WAITS)
        };
        assert!(look(shown(OURS, "Approved", "Succeeded"), false, 500));
        assert!(look(shown(THEIRS, "Approved", "Succeeded"), false, 500));
        assert!(!look(shown(THEIRS, "Approved", "Succeeded"), true, 500), "a policy allows that one");
        assert!(look(shown(OURS, "Pending", "Updating"), false, 500));
        assert!(!look(shown(OURS, "Pending", "Updating"), false, 3600));
        for state in ["Pending", "Rejected"] {
            assert!(!look(shown(OURS, state, "Succeeded"), false, 500));
            assert!(!look(shown(THEIRS, state, "Succeeded"), false, 500));
        }
        assert!(!resumes(&proof(), None, dialect(), false, at(500), WAITS));
        assert!(is_expected(&proof(), at(86399), WAITS) && !is_expected(&proof(), at(86400), WAITS));
    }

    #[test]
    fn what_was_revoked_is_no_longer_ours() {
        let approval = Approval {
            connection: "c".into(),
            endpoint: OURS.into(),
            policy: "platform/lake".into(),
            at: at(0).to_string(),
            request_id: None,
            side: RequesterSide::Waiting,
        };
        for (connections, second, want) in [
            (vec![shown("/OURS", "Approved", "Succeeded")], 500, true),
            (vec![shown(OURS, "Rejected", "Succeeded")], 500, false),
            (vec![shown(THEIRS, "Approved", "Succeeded")], 500, false),
            (vec![], 500, false),
            (vec![], 89, true),
        ] {
            assert_eq!(still_holds(&approval, &connections, at(second), WAITS), want, "{connections:?} {second}");
        }
    }
}
