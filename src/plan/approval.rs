//! `decide()`: the one question on the way to an approved connection, and what follows for one target.
//!
//! Attacker model: anybody in the tenant, or any Azure customer who knows a resource id, can raise a connection request on it.
//! So nothing is approved for being pending: only what ARM itself states of the requesting endpoint counts, and what no policy
//! allows stays as it is.

use wildmatch::WildMatchPattern;

use crate::api::approval::{AllowEntry, DecisionWord, EndpointMatch};
use crate::api::ids::ArmId;
use crate::azure::private_link::Connection;

use super::rules::ObjectKey;

/// What is known about a statement. What ARM does not say is unknown, and unknown never allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// ARM does not say.
    Unknown,
}

impl Truth {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// One policy in force on a target: its namespace holds the verb `approve` there.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The object.
    pub key: ObjectKey,
    /// Its allow entries.
    pub allow: Vec<AllowEntry>,
    /// Subscriptions that the policy's AzureConnection calls its own.
    pub own_subscriptions: Vec<String>,
}

/// What was decided about one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Allowed or not.
    pub word: DecisionWord,
    /// The policies that allow it.
    pub policies: Vec<ObjectKey>,
    /// Why, for people.
    pub why: String,
}

/// Whether `entry` holds for the endpoint that asks.
fn holds(entry: &EndpointMatch, endpoint: Option<&ArmId>, own_subscriptions: &[String]) -> Truth {
    // Without an id that can be read nothing is known of who asks.
    let Some(endpoint) = endpoint else { return Truth::Unknown };
    if !endpoint.is("Microsoft.Network/privateEndpoints") {
        return Truth::No;
    }
    // In subscriptions of others, names are chosen by whoever asks: subscription, group and name say nothing there.
    let own = own_subscriptions.iter().any(|own| own.eq_ignore_ascii_case(&entry.subscription_id));
    let subscription = own && entry.subscription_id.eq_ignore_ascii_case(endpoint.subscription());
    let group =
        entry.resource_group.as_deref().is_none_or(|group| group.eq_ignore_ascii_case(endpoint.resource_group()));
    let name = entry.name.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(endpoint.name()));
    let pattern = entry
        .name_pattern
        .as_deref()
        .is_none_or(|pattern| WildMatchPattern::<'*', '?'>::new_case_insensitive(pattern).matches(endpoint.name()));
    Truth::from(subscription).and(group.into()).and(name.into()).and(pattern.into())
}

/// Decides about `connection` by all `policies` on its target. Default deny.
pub fn decide(connection: &Connection, policies: &[Policy]) -> Decision {
    let endpoint = ArmId::parse(&connection.endpoint).ok();
    let allows = |policy: &&Policy| {
        let entry_holds = |entry: &AllowEntry| {
            holds(&entry.private_endpoint, endpoint.as_ref(), &policy.own_subscriptions) == Truth::Yes
        };
        policy.allow.iter().any(entry_holds)
    };
    let allowing: Vec<ObjectKey> = policies.iter().filter(allows).map(|policy| policy.key.clone()).collect();
    if allowing.is_empty() {
        let why = if endpoint.is_none() {
            "ARM does not state which endpoint asks, so no policy can allow it".to_owned()
        } else {
            "no policy on this target allows the endpoint that asks".to_owned()
        };
        return Decision { word: DecisionWord::Unmatched, policies: Vec::new(), why };
    }
    let names: Vec<String> = allowing.iter().map(|key| format!("{}/{}", key.namespace, key.name)).collect();
    Decision { word: DecisionWord::Allowed, policies: allowing, why: format!("allowed by {}", names.join(", ")) }
}

/// The next connection that `policy` approves: pending, allowed by it, the first by name. One at a time, because parallel
/// approvals on a target cancel each other.
pub fn next<'a>(policy: &ObjectKey, decided: &'a [(Connection, Decision)]) -> Option<&'a Connection> {
    let mine = decided.iter().filter(|(connection, decision)| {
        connection.is_pending() && decision.word == DecisionWord::Allowed && decision.policies.contains(policy)
    });
    mine.map(|(connection, _)| connection).min_by(|a, b| a.name.cmp(&b.name))
}

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
    /// When the request was about to go out, RFC 3339.
    pub started_at: String,
}

/// How an approval under proof stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    /// It took effect for the endpoint that was decided on.
    Approved,
    /// It did not take effect; it is decided on anew.
    NotYet,
    /// Somebody else's endpoint is approved under that name: it has to be withdrawn.
    Exchanged {
        /// The endpoint that is there.
        found: String,
    },
    /// The connection is gone, or was rejected since.
    Gone,
}

/// Compares what was about to be approved with what the target shows now.
pub fn prove(proof: &Proof, shown: Option<&Connection>) -> Proven {
    let Some(shown) = shown else { return Proven::Gone };
    let same = shown.endpoint.eq_ignore_ascii_case(&proof.endpoint);
    match (same, shown.is_approved(), shown.is_pending()) {
        (true, true, _) => Proven::Approved,
        (false, true, _) => Proven::Exchanged { found: shown.endpoint.clone() },
        (_, false, true) => Proven::NotYet,
        (_, false, false) => Proven::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OWN: &str = "00000000-0000-0000-0000-000000000002";
    const FOREIGN: &str = "00000000-0000-0000-0000-00000000000f";

    fn connection(endpoint: &str, state: &str) -> Connection {
        Connection::read(&json!({"name": "c", "properties": {"privateEndpoint": {"id": endpoint},
            "privateLinkServiceConnectionState": {"status": state, "description": "please, I am the hub"}}}))
        .unwrap()
    }

    fn endpoint(subscription: &str, group: &str, name: &str) -> String {
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    fn policy(entry: serde_json::Value) -> Policy {
        Policy {
            key: ObjectKey { namespace: "platform".into(), name: "lake".into() },
            allow: vec![serde_json::from_value(json!({ "privateEndpoint": entry })).unwrap()],
            own_subscriptions: vec![OWN.into()],
        }
    }

    #[test]
    fn all_that_an_entry_states_must_hold() {
        let hub = json!({"subscriptionId": OWN, "resourceGroup": "hub", "namePattern": "lake-*"});
        for (entry, asks, want) in [
            (hub.clone(), endpoint(OWN, "hub", "lake-1"), true),
            (hub.clone(), endpoint(&OWN.to_uppercase(), "HUB", "LAKE-1"), true),
            (hub.clone(), endpoint(OWN, "hub", "pond-1"), false),
            (hub.clone(), endpoint(OWN, "hub2", "lake-1"), false),
            (hub.clone(), endpoint(FOREIGN, "hub", "lake-1"), false),
            (json!({"subscriptionId": OWN}), endpoint(OWN, "any", "any"), true),
            (json!({"subscriptionId": FOREIGN}), endpoint(FOREIGN, "any", "any"), false),
            (
                json!({"subscriptionId": OWN, "resourceGroup": "hub", "name": "lake-?"}),
                endpoint(OWN, "hub", "lake-1"),
                false,
            ),
            (hub.clone(), String::new(), false),
            (hub.clone(), "lake-1".into(), false),
            (
                json!({"subscriptionId": OWN}),
                format!("/subscriptions/{OWN}/resourceGroups/x/providers/Contoso.Fake/privateEndpoints/lake-1"),
                false,
            ),
            (hub, format!("{}/../../../{FOREIGN}", endpoint(OWN, "hub", "lake-1")), false),
        ] {
            let decision = decide(&connection(&asks, "Pending"), &[policy(entry.clone())]);
            assert_eq!(decision.word == DecisionWord::Allowed, want, "{entry} asked by {asks}: {}", decision.why);
        }
    }

    #[test]
    fn without_a_policy_everything_stays_pending() {
        let decision = decide(&connection(&endpoint(OWN, "hub", "lake-1"), "Pending"), &[]);
        assert_eq!(decision.word, DecisionWord::Unmatched);
        let none = Policy { allow: vec![], ..policy(json!({"subscriptionId": OWN})) };
        assert_eq!(decide(&connection(&endpoint(OWN, "hub", "x"), "Pending"), &[none]).word, DecisionWord::Unmatched);
    }

    #[test]
    fn only_pending_ones_are_approved_and_only_by_a_policy_that_allows_them() {
        let hub = policy(json!({"subscriptionId": OWN}));
        let other = ObjectKey { namespace: "x".into(), name: "y".into() };
        for (state, key, want) in [
            ("Pending", &hub.key, true),
            ("Approved", &hub.key, false),
            ("Rejected", &hub.key, false),
            ("Disconnected", &hub.key, false),
            ("Pending", &other, false),
        ] {
            let connection = connection(&endpoint(OWN, "hub", "lake-1"), state);
            let decision = decide(&connection, std::slice::from_ref(&hub));
            assert_eq!(next(key, &[(connection, decision)]).is_some(), want, "{state}");
        }
    }

    #[test]
    fn an_exchanged_endpoint_is_found_out() {
        let proof = Proof {
            connection: "c".into(),
            endpoint: endpoint(OWN, "hub", "lake-1"),
            policy: "platform/lake".into(),
            started_at: String::new(),
        };
        let shown = |id: &str, state| prove(&proof, Some(&connection(id, state)));
        assert_eq!(shown(&endpoint(OWN, "HUB", "lake-1"), "Approved"), Proven::Approved);
        assert!(matches!(shown(&endpoint(FOREIGN, "hub", "lake-1"), "Approved"), Proven::Exchanged { .. }));
        assert_eq!(shown(&endpoint(FOREIGN, "hub", "lake-1"), "Pending"), Proven::NotYet);
        assert_eq!(shown(&endpoint(OWN, "hub", "lake-1"), "Rejected"), Proven::Gone);
        assert_eq!(prove(&proof, None), Proven::Gone);
    }
}
