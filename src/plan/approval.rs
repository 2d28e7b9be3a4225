//! `decide()`: the one question on the way to an approved connection, and what follows for one target.
//!
//! Attacker model: anybody in the tenant, or any Azure customer who knows a resource id, can raise a connection request on it.
//! So nothing is approved for being pending: only what ARM itself states of the requesting endpoint counts, and what no policy
//! allows stays as it is.

use wildmatch::WildMatchPattern;

use std::collections::BTreeMap;

use crate::api::approval::{AllowEntry, DecisionWord, DenyEntry, EndpointMatch, Limits};
use crate::api::ids::ArmId;
use crate::azure::private_link::{Connection, Dialect, Stated};

use super::decisions::{Ballot, Signature, Vote, names};
use super::proof::Proof;
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
    /// Its reject entries.
    pub reject: Vec<DenyEntry>,
    /// Its hold entries.
    pub hold: Vec<DenyEntry>,
    /// How many it may let in.
    pub limits: Option<Limits>,
    /// How many people must approve what it allows; `None` for nobody.
    pub require_approvers: Option<u8>,
    /// What people decided for it, as far as it counts.
    pub votes: Vec<Vote>,
    /// It allows nothing any more; what it rejects and holds stays so.
    pub expired: bool,
    /// Subscriptions that the policy's AzureConnection calls its own.
    pub own_subscriptions: Vec<String>,
}

/// What was decided about one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The word.
    pub word: DecisionWord,
    /// The policies that decided so.
    pub policies: Vec<ObjectKey>,
    /// Why, for people.
    pub why: String,
    /// The people who decided so; empty if the policies' entries did.
    pub people: Vec<Signature>,
}

/// What ARM states of one connection.
struct Facts {
    /// The endpoint that asks, if its id can be read.
    endpoint: Option<ArmId>,
    sub_resources: Stated,
}

/// Whether the endpoint that asks is the one that `wanted` describes.
fn is_endpoint(wanted: &EndpointMatch, facts: &Facts, own_subscriptions: &[String]) -> Truth {
    // Without an id that can be read nothing is known of who asks.
    let Some(endpoint) = &facts.endpoint else { return Truth::Unknown };
    // What is no private endpoint is nothing that a policy can mean.
    if !endpoint.is("Microsoft.Network/privateEndpoints") {
        return Truth::Unknown;
    }
    if let Some(id) = &wanted.id {
        return ArmId::parse(id).is_ok_and(|id| id == *endpoint).into();
    }
    let is_own = |id: &str| own_subscriptions.iter().any(|own| own.eq_ignore_ascii_case(id));
    let side = wanted.own_subscription.is_none_or(|own| own == is_own(endpoint.subscription()));
    let subscription = match &wanted.subscription_id {
        None => Truth::Yes,
        Some(id) if !id.eq_ignore_ascii_case(endpoint.subscription()) => Truth::No,
        // In subscriptions of others, managed networks' among them, names are chosen by whoever asks: that it lies there says
        // nothing of who it is.
        Some(id) if is_own(id) => Truth::Yes,
        Some(_) => Truth::Unknown,
    };
    let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(is));
    let pattern = wanted
        .name_pattern
        .as_deref()
        .is_none_or(|pattern| WildMatchPattern::<'*', '?'>::new_case_insensitive(pattern).matches(endpoint.name()));
    let names =
        same(&wanted.resource_group, endpoint.resource_group()) && same(&wanted.name, endpoint.name()) && pattern;
    Truth::from(side).and(subscription).and(names.into())
}

/// Whether the connection is for `wanted`: for nothing else (`every`), or for one of them at least.
fn is_for(wanted: &[String], facts: &Facts, every: bool) -> Truth {
    if wanted.is_empty() {
        return Truth::Yes;
    }
    let Stated::Groups(groups) = &facts.sub_resources else { return Truth::Unknown };
    let listed = |group: &String| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(group));
    if every { groups.iter().all(listed) } else { groups.iter().any(listed) }.into()
}

impl Policy {
    /// Only what is known to hold allows.
    fn allows(&self, facts: &Facts) -> bool {
        !self.expired
            && self.allow.iter().any(|entry| {
                // A workspace's own connections cannot be told from others': it approves them itself, or nobody does.
                let Some(wanted) = &entry.private_endpoint else { return false };
                // Own subscriptions alone name nobody.
                let named = wanted.id.is_some() || wanted.subscription_id.is_some();
                let endpoint = is_endpoint(wanted, facts, &self.own_subscriptions);
                named && endpoint.and(is_for(&entry.sub_resources, facts, true)) == Truth::Yes
            })
    }

    /// What is not known not to hold denies.
    fn denies(&self, entries: &[DenyEntry], facts: &Facts) -> bool {
        entries.iter().any(|entry| {
            let endpoint = entry
                .private_endpoint
                .as_ref()
                .map_or(Truth::Yes, |wanted| is_endpoint(wanted, facts, &self.own_subscriptions));
            endpoint.and(is_for(&entry.sub_resources, facts, false)) != Truth::No
        })
    }
}

/// Decides about `connection` by all `policies` on its target: reject beats hold beats allow, and what nobody names stays
/// pending. The order of policies and entries does not matter.
///
/// People decide for a policy and have its weight: one who rejects does so like an entry. If as many as it asks for approve, they
/// lift its own hold and let in what no entry allows; another policy's hold is for that policy's people to lift, and no
/// rejection is ever lifted.
pub fn decide(connection: &Connection, dialect: &Dialect, policies: &[Policy]) -> Decision {
    let facts =
        Facts { endpoint: ArmId::parse(&connection.endpoint).ok(), sub_resources: connection.sub_resources(dialect) };
    let all = |holds: &dyn Fn(&Policy) -> bool| -> Vec<ObjectKey> {
        policies.iter().filter(|policy| holds(policy)).map(|policy| policy.key.clone()).collect()
    };
    let by = |word, verb: &str, policies: Vec<ObjectKey>| {
        let names: Vec<String> = policies.iter().map(|key| format!("{}/{}", key.namespace, key.name)).collect();
        Decision { word, policies, why: format!("{verb} by {}", names.join(", ")), people: Vec::new() }
    };
    let ballots: Vec<(&Policy, Ballot)> =
        policies.iter().map(|policy| (policy, Ballot::of(policy, connection))).collect();
    let by_people = |word, verb: &str, of: fn(&Ballot) -> &[Signature]| -> Option<Decision> {
        let signed: Vec<&(&Policy, Ballot)> = ballots.iter().filter(|(_, ballot)| !of(ballot).is_empty()).collect();
        let mut people: Vec<Signature> = signed.iter().flat_map(|(_, ballot)| of(ballot).to_vec()).collect();
        people.sort();
        let verb = format!("{verb} by {}, asked", names(&people));
        let decision = by(word, &verb, signed.iter().map(|(policy, _)| policy.key.clone()).collect());
        (!people.is_empty()).then_some(Decision { people, ..decision })
    };
    let rejecting = all(&|policy| policy.denies(&policy.reject, &facts));
    if !rejecting.is_empty() {
        return by(DecisionWord::Rejected, "rejected", rejecting);
    }
    if let Some(decision) = by_people(DecisionWord::Rejected, "rejected", Ballot::rejected_by) {
        return decision;
    }
    let held =
        |policy: &Policy, ballot: &Ballot| policy.denies(&policy.hold, &facts) && ballot.approved_by().is_empty();
    let holding = ballots.iter().filter(|(policy, ballot)| held(policy, ballot));
    let holding: Vec<ObjectKey> = holding.map(|(policy, _)| policy.key.clone()).collect();
    if !holding.is_empty() {
        return by(DecisionWord::Held, "held for a person", holding);
    }
    if let Some(decision) = by_people(DecisionWord::Allowed, "approved", Ballot::approved_by) {
        return decision;
    }
    let allowing = all(&|policy| policy.allows(&facts) && policy.require_approvers.is_none());
    if !allowing.is_empty() {
        return by(DecisionWord::Allowed, "allowed", allowing);
    }
    let lacking = all(&|policy| policy.allows(&facts));
    if !lacking.is_empty() {
        return by(DecisionWord::ApproversMissing, "allowed once enough people have approved it", lacking);
    }
    let why = if facts.endpoint.is_none() {
        "ARM does not state which endpoint asks, so no policy can allow it"
    } else {
        "no policy on this target allows the endpoint that asks"
    };
    Decision { word: DecisionWord::Unmatched, policies: Vec::new(), why: why.to_owned(), people: Vec::new() }
}

/// How many connections a policy has let in.
#[derive(Default)]
struct Admitted {
    total: u16,
    by_subscription: BTreeMap<String, u16>,
}

impl Admitted {
    fn has_room(&self, limits: Option<&Limits>, subscription: &str) -> bool {
        let Some(limits) = limits else { return true };
        let of_subscription = self.by_subscription.get(subscription).copied().unwrap_or_default();
        limits.total.is_none_or(|total| self.total < total)
            && limits.per_subscription.is_none_or(|each| of_subscription < each)
    }

    fn count(&mut self, subscription: &str) {
        self.total = self.total.saturating_add(1);
        let of_subscription = self.by_subscription.entry(subscription.to_owned()).or_default();
        *of_subscription = of_subscription.saturating_add(1);
    }
}

/// Decides about all connections of a target: each by itself, then what the limits leave room for. Those approved already take
/// their places first, the pending ones follow by name.
pub fn decide_all(connections: &[Connection], dialect: &Dialect, policies: &[Policy]) -> Vec<(Connection, Decision)> {
    let mut decided: Vec<(Connection, Decision)> =
        connections.iter().map(|connection| (connection.clone(), decide(connection, dialect, policies))).collect();
    decided.sort_by_key(|(connection, _)| (!connection.is_approved(), connection.name.clone()));
    let mut admitted: BTreeMap<ObjectKey, Admitted> = BTreeMap::new();
    for (connection, decision) in &mut decided {
        // What is approved takes its place, also if the decisions that let it in are gone.
        let counts = match decision.word {
            DecisionWord::Allowed => connection.is_approved() || connection.is_pending(),
            DecisionWord::ApproversMissing => connection.is_approved(),
            _ => false,
        };
        if !counts {
            continue;
        }
        let subscription =
            ArmId::parse(&connection.endpoint).map(|id| id.subscription().to_ascii_lowercase()).unwrap_or_default();
        let room = |key: &ObjectKey| {
            let policy = policies.iter().find(|policy| policy.key == *key);
            let limits = policy.and_then(|policy| policy.limits.as_ref());
            admitted.get(key).is_none_or(|so_far| so_far.has_room(limits, &subscription))
        };
        // People see what is there already: limits bind entries only.
        let bound = connection.is_pending() && decision.people.is_empty();
        if bound && !decision.policies.iter().any(room) {
            decision.word = DecisionWord::OverLimit;
            decision.why = format!("{}, which has let in as many as it may (spec.limits)", decision.why);
            continue;
        }
        if bound {
            decision.policies.retain(room);
        }
        for key in &decision.policies {
            admitted.entry(key.clone()).or_default().count(&subscription);
        }
    }
    decided
}

/// The next connection on which `policy` acts: pending, and rejected or allowed by it; what is rejected first, then what was not
/// asked for before, then the first by name. One at a time, because parallel decisions on a target cancel each other. `asked` are
/// approvals that were sent and did not show, so that one which Azure never carries out holds up no other; `waits` is true of
/// what Azure refused a while ago.
pub fn next<'a>(
    policy: &ObjectKey,
    decided: &'a [(Connection, Decision)],
    asked: &[Proof],
    waits: impl Fn(&Connection) -> bool,
) -> Option<&'a (Connection, Decision)> {
    let mine = decided.iter().filter(|(connection, decision)| acts(policy, connection, decision) && !waits(connection));
    let last_asked = |connection: &Connection| {
        asked.iter().filter(|proof| proof.is_for(connection)).map(|proof| &proof.started_at).max()
    };
    mine.min_by_key(|(connection, decision)| (decision.word, last_asked(connection), &connection.name))
}

/// Whether `policy` would write what was decided about `connection`.
pub fn acts(policy: &ObjectKey, connection: &Connection, decision: &Decision) -> bool {
    connection.is_pending()
        && matches!(decision.word, DecisionWord::Rejected | DecisionWord::Allowed)
        && decision.policies.contains(policy)
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

    const STORAGE: &str = "Microsoft.Storage/storageAccounts";

    fn decide(connection: &Connection, policies: &[Policy]) -> Decision {
        super::decide(connection, Dialect::of(STORAGE).unwrap(), policies)
    }

    fn policy(entry: serde_json::Value) -> Policy {
        Policy {
            key: ObjectKey { namespace: "platform".into(), name: "lake".into() },
            allow: vec![serde_json::from_value(json!({ "privateEndpoint": entry })).unwrap()],
            reject: vec![],
            hold: vec![],
            limits: None,
            require_approvers: None,
            votes: vec![],
            expired: false,
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
            (json!({"ownSubscription": true}), endpoint(OWN, "any", "any"), false),
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
            assert_eq!(next(key, &[(connection, decision)], &[], |_| false).is_some(), want, "{state}");
        }
    }

    #[test]
    fn what_azure_refuses_or_never_carries_out_holds_up_no_other() {
        let hub = policy(json!({"subscriptionId": OWN}));
        let named = |name: &str| Connection { name: name.into(), ..connection(&endpoint(OWN, "hub", name), "Pending") };
        let decided = decide_all(
            &[named("a"), named("b"), named("c")],
            Dialect::of(STORAGE).unwrap(),
            std::slice::from_ref(&hub),
        );
        let asked = |name: &str, at: &str| Proof {
            connection: name.into(),
            endpoint: endpoint(OWN, "hub", name),
            policy: "platform/lake".into(),
            started_at: at.into(),
            withdrawn_at: None,
        };
        let chosen = |asked: &[Proof], refused: &str| {
            next(&hub.key, &decided, asked, |one| refused.contains(&one.name)).map(|(one, _)| one.name.clone())
        };
        assert_eq!(chosen(&[], "").as_deref(), Some("a"));
        assert_eq!(chosen(&[], "a").as_deref(), Some("b"), "refused ones wait");
        assert_eq!(chosen(&[asked("a", "1")], "").as_deref(), Some("b"), "what was not asked for goes first");
        assert_eq!(chosen(&[asked("a", "2"), asked("b", "1")], "c").as_deref(), Some("b"), "the longest ago first");
        assert_eq!(chosen(&[], "abc"), None);
    }

    fn entries(list: serde_json::Value) -> Vec<DenyEntry> {
        serde_json::from_value(list).unwrap()
    }

    #[test]
    fn reject_beats_hold_beats_allow_over_all_policies() {
        let allow = policy(json!({"subscriptionId": OWN}));
        let named = |name: &str| ObjectKey { namespace: "security".into(), name: name.into() };
        let hold = Policy {
            key: named("hold"),
            allow: vec![],
            hold: entries(json!([{"privateEndpoint": {"subscriptionId": OWN, "resourceGroup": "hub"}}])),
            ..policy(json!({"subscriptionId": OWN}))
        };
        let reject = Policy {
            key: named("reject"),
            allow: vec![],
            reject: entries(json!([{"privateEndpoint": {"id": endpoint(OWN, "hub", "lake-1")}}])),
            ..policy(json!({"subscriptionId": OWN}))
        };
        let asks = |group: &str, name: &str| connection(&endpoint(OWN, group, name), "Pending");
        for (connection, policies, word, by) in [
            (asks("spoke", "lake-1"), vec![&allow, &hold, &reject], DecisionWord::Allowed, &allow),
            (asks("hub", "lake-2"), vec![&allow, &hold, &reject], DecisionWord::Held, &hold),
            (asks("hub", "lake-1"), vec![&allow, &hold, &reject], DecisionWord::Rejected, &reject),
            (asks("HUB", "LAKE-1"), vec![&reject, &allow], DecisionWord::Rejected, &reject),
            (asks("hub", "lake-1"), vec![&allow, &hold], DecisionWord::Held, &hold),
        ] {
            let mut policies: Vec<Policy> = policies.into_iter().cloned().collect();
            let decision = decide(&connection, &policies);
            assert_eq!((decision.word, &decision.policies), (word, &vec![by.key.clone()]), "{}", connection.endpoint);
            policies.reverse();
            assert_eq!(decide(&connection, &policies).word, word, "the order of policies does not matter");
        }
    }

    #[test]
    fn everybody_elses_subscriptions_can_be_denied_and_an_unreadable_requester_is() {
        let strangers = Policy {
            reject: entries(json!([{"privateEndpoint": {"ownSubscription": false}}])),
            ..policy(json!({"subscriptionId": OWN}))
        };
        for (asks, word) in [
            (endpoint(OWN, "hub", "lake-1"), DecisionWord::Allowed),
            (endpoint(FOREIGN, "hub", "lake-1"), DecisionWord::Rejected),
            (String::new(), DecisionWord::Rejected),
        ] {
            assert_eq!(decide(&connection(&asks, "Pending"), std::slice::from_ref(&strangers)).word, word, "{asks}");
        }
        // A name in a subscription of others is chosen by whoever asks, so it cannot be excluded that it is the one meant.
        let named = Policy {
            hold: entries(json!([{"privateEndpoint": {"subscriptionId": FOREIGN}}])),
            ..policy(json!({"subscriptionId": OWN}))
        };
        let word = |asks: &str| decide(&connection(asks, "Pending"), std::slice::from_ref(&named)).word;
        assert_eq!(word(&endpoint(FOREIGN, "hub", "x")), DecisionWord::Held);
        assert_eq!(word(&endpoint(OWN, "hub", "x")), DecisionWord::Allowed);
    }

    #[test]
    fn a_full_id_names_one_endpoint_wherever_it_lies() {
        let partner = policy(json!({"id": endpoint(FOREIGN, "partner", "lake")}));
        let word = |asks: String| decide(&connection(&asks, "Pending"), std::slice::from_ref(&partner)).word;
        assert_eq!(word(endpoint(FOREIGN, "PARTNER", "lake")), DecisionWord::Allowed);
        for twin in [
            endpoint(FOREIGN, "partner2", "lake"),
            endpoint(OWN, "partner", "lake"),
            endpoint(FOREIGN, "partner", "lake2"),
        ] {
            assert_eq!(word(twin.clone()), DecisionWord::Unmatched, "{twin}");
        }
    }

    #[test]
    fn a_sub_resource_that_is_not_stated_never_allows_and_always_denies() {
        let mut allow = policy(json!({"subscriptionId": OWN}));
        allow.allow[0].sub_resources = vec!["sqlServer".into()];
        let deny = Policy {
            hold: entries(json!([{"subResources": ["sqlServer"]}])),
            ..policy(json!({"subscriptionId": OWN}))
        };
        let sql = Dialect::of("Microsoft.Sql/servers").unwrap();
        let storage = Dialect::of(STORAGE).unwrap();
        for (dialect, stated, allowed, held) in [
            (sql, json!(["SqlServer"]), true, true),
            (sql, json!(["sqlServer", "other"]), false, true),
            (sql, json!(["other"]), false, false),
            (sql, json!([]), false, true),
            // Storage states none: whatever such a member says there, the specification does not know it.
            (storage, json!(["sqlServer"]), false, true),
        ] {
            let mut asks = connection(&endpoint(OWN, "hub", "x"), "Pending");
            asks.properties.insert("groupIds".into(), stated.clone());
            let word = |policy: &Policy| super::decide(&asks, dialect, std::slice::from_ref(policy)).word;
            assert_eq!(word(&allow) == DecisionWord::Allowed, allowed, "{} {stated}", dialect.target_type);
            assert_eq!(word(&deny) == DecisionWord::Held, held, "{} {stated}", dialect.target_type);
        }
    }

    #[test]
    fn limits_leave_the_rest_pending_and_count_what_is_approved_already() {
        let all = |limits: serde_json::Value| Policy {
            limits: Some(serde_json::from_value(limits).unwrap()),
            ..policy(json!({"subscriptionId": OWN}))
        };
        let named = |name: &str, state: &str| {
            let mut one = connection(&endpoint(OWN, "hub", name), state);
            one.name = name.into();
            one
        };
        let asked = [named("c", "Pending"), named("a", "Pending"), named("z", "Approved"), named("r", "Rejected")];
        let words = |policies: &[Policy]| -> Vec<(String, DecisionWord)> {
            let decided = decide_all(&asked, Dialect::of(STORAGE).unwrap(), policies);
            decided.into_iter().filter(|(one, _)| one.is_pending()).map(|(one, d)| (one.name, d.word)).collect()
        };
        use DecisionWord::{Allowed, OverLimit};
        let word = |a, c| vec![("a".to_owned(), a), ("c".to_owned(), c)];
        assert_eq!(words(&[all(json!({"total": 1}))]), word(OverLimit, OverLimit));
        assert_eq!(
            words(&[all(json!({"total": 2}))]),
            word(Allowed, OverLimit),
            "the first by name gets the last place"
        );
        assert_eq!(words(&[all(json!({"perSubscription": 2}))]), word(Allowed, OverLimit));
        assert_eq!(words(&[all(json!({"total": 3}))]), word(Allowed, Allowed));
        let other = Policy {
            key: ObjectKey { namespace: "platform".into(), name: "other".into() },
            ..all(json!({"total": 2}))
        };
        assert_eq!(words(&[all(json!({"total": 1})), other]), word(Allowed, OverLimit), "another policy has room");
    }

    #[test]
    fn an_expired_policy_allows_nothing_and_still_denies() {
        let asks = connection(&endpoint(OWN, "hub", "lake-1"), "Pending");
        let expired = Policy { expired: true, ..policy(json!({"subscriptionId": OWN})) };
        assert_eq!(decide(&asks, std::slice::from_ref(&expired)).word, DecisionWord::Unmatched);
        let hold = Policy { hold: entries(json!([{"subResources": ["blob"]}])), ..expired };
        assert_eq!(decide(&asks, &[hold]).word, DecisionWord::Held);
    }

    proptest::proptest! {
        /// Whatever policies there are, and in whatever order: an approval always has an entry that names the endpoint by what
        /// ARM states, in a subscription of one's own or by its full id, and no entry against it.
        #[test]
        fn nothing_is_allowed_that_no_entry_allows(
            asks in (0..3usize, 0..3usize, 0..3usize),
            policies in proptest::collection::vec((0..3usize, (0..3usize, 0..4usize, 0..4usize), 0..4usize), 0..5),
            turn in 0..5usize,
        ) {
            let (subscriptions, words) = ([OWN, FOREIGN, "00000000-0000-0000-0000-000000000003"], ["a", "b", "c"]);
            let (subscription, group, name) = (subscriptions[asks.0], words[asks.1], words[asks.2]);
            let entry = |(s, g, n): (usize, usize, usize)| {
                let mut entry = json!({"subscriptionId": subscriptions[s]});
                if let Some(group) = words.get(g) {
                    entry["resourceGroup"] = json!(group);
                    if let Some(name) = words.get(n) { entry["name"] = json!(name); }
                }
                entry
            };
            // The oracle reads the same entry once more, in other words.
            let names = |(s, g, n): (usize, usize, usize)| {
                let group_fits = words.get(g).is_none_or(|wanted| *wanted == group);
                let name_fits = words.get(g).is_none() || words.get(n).is_none_or(|wanted| *wanted == name);
                subscriptions[s] == subscription && group_fits && name_fits
            };
            let mut all: Vec<Policy> = Vec::new();
            let (mut allowed, mut denied) = (false, false);
            for (index, (what, selector, _)) in policies.iter().enumerate() {
                let mut one = policy(json!({"subscriptionId": OWN}));
                one.key.name = format!("p{index}");
                one.allow.clear();
                match what {
                    0 => {
                        one.allow = vec![serde_json::from_value(json!({"privateEndpoint": entry(*selector)})).unwrap()];
                        allowed |= names(*selector) && subscription == OWN;
                    }
                    1 => {
                        one.hold = entries(json!([{"privateEndpoint": entry(*selector)}]));
                        denied |= names(*selector);
                    }
                    _ => {
                        one.reject = entries(json!([{"privateEndpoint": entry(*selector)}]));
                        denied |= names(*selector);
                    }
                }
                all.push(one);
            }
            let asking = connection(&endpoint(subscription, group, name), "Pending");
            let word = decide(&asking, &all).word;
            proptest::prop_assert_eq!(word == DecisionWord::Allowed, allowed && !denied);
            if !all.is_empty() { let by = turn % all.len(); all.rotate_left(by); }
            proptest::prop_assert_eq!(decide(&asking, &all).word, word);
        }
    }
}
