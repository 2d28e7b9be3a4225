use super::*;
use crate::plan::outcome::Reason;
use serde_json::json;

const OWN: &str = "00000000-0000-0000-0000-000000000002";
const FOREIGN: &str = "00000000-0000-0000-0000-00000000000f";

fn connection(endpoint: &str, state: &str) -> Connection {
    Connection::read(&json!({"name": "c", "properties": {"privateEndpoint": {"id": endpoint},
        "privateLinkServiceConnectionState": {"status": state, "description": "please, I am the hub"}}}))
    .unwrap()
}

fn endpoint(subscription: &str, group: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/{name}")
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
        self_approvals: vec![],
        acts: true,
        own_subscriptions: vec![OWN.into()],
        linked: Default::default(),
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
    let decided =
        decide_all(&[named("a"), named("b"), named("c")], Dialect::of(STORAGE).unwrap(), std::slice::from_ref(&hub));
    let asked = |name: &str, at: &str| Proof {
        connection: name.into(),
        endpoint: endpoint(OWN, "hub", name),
        policy: "platform/lake".into(),
        rule: None,
        generation: None,
        request_id: None,
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
    for twin in
        [endpoint(FOREIGN, "partner2", "lake"), endpoint(OWN, "partner", "lake"), endpoint(FOREIGN, "partner", "lake2")]
    {
        assert_eq!(word(twin.clone()), DecisionWord::Unmatched, "{twin}");
    }
}

#[test]
fn a_sub_resource_that_is_not_stated_never_allows_and_always_denies() {
    let mut allow = policy(json!({"subscriptionId": OWN}));
    allow.allow[0].sub_resources = vec!["sqlServer".into()];
    let deny =
        Policy { hold: entries(json!([{"subResources": ["sqlServer"]}])), ..policy(json!({"subscriptionId": OWN})) };
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
    assert_eq!(words(&[all(json!({"total": 2}))]), word(Allowed, OverLimit), "the first by name gets the last place");
    assert_eq!(words(&[all(json!({"perSubscription": 2}))]), word(Allowed, OverLimit));
    assert_eq!(words(&[all(json!({"total": 3}))]), word(Allowed, Allowed));
    let other =
        Policy { key: ObjectKey { namespace: "platform".into(), name: "other".into() }, ..all(json!({"total": 2})) };
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

/// A policy with one allow entry for the own subscription, narrowed by `expression`.
fn narrowed(expression: &str) -> Policy {
    let mut policy = policy(json!({"subscriptionId": OWN}));
    policy.allow[0].expression = Some(expression.to_owned().into());
    policy
}

#[test]
fn an_expression_asks_only_for_what_arm_states() {
    let asks = connection(&endpoint(&OWN.to_uppercase(), "Hub", "Lake-1"), "Pending");
    for (expression, holds) in [
        ("true", true),
        ("false", false),
        ("endpoint.ownSubscription", true),
        ("endpoint.name == 'lake-1'", true),
        ("endpoint.name != 'lake-1'", false),
        ("endpoint.name.startsWith('lake-') && endpoint.resourceGroup in ['spoke', 'hub']", true),
        ("endpoint.name.endsWith('-2') || endpoint.id.contains('/resourcegroups/hub/')", true),
        ("!(endpoint.resourceGroup in ['hub'])", false),
        ("endpoint.name in []", false),
        ("endpoint.subscriptionId == '00000000-0000-0000-0000-000000000002'", true),
        ("'lake-1'.startsWith(endpoint.name)", true),
    ] {
        let decision = decide(&asks, &[narrowed(expression)]);
        assert_eq!(decision.word == DecisionWord::Allowed, holds, "{expression}: {}", decision.why);
        let said = decision.why.contains("the expression of platform/lake allow[0] does not hold");
        assert_eq!(said, !holds, "{}", decision.why);
    }
}

#[test]
fn what_an_expression_cannot_know_does_not_allow() {
    let sql = Dialect::of("Microsoft.Sql/servers").unwrap();
    let storage = Dialect::of(STORAGE).unwrap();
    let mut asks = connection(&endpoint(OWN, "hub", "x"), "Pending");
    asks.properties.insert("groupIds".into(), json!(["SqlServer"]));
    for (expression, where_stated, where_not) in [
        ("'sqlserver' in connection.subResources", true, false),
        ("!('sqlserver' in connection.subResources)", false, false),
        ("!('blob' in connection.subResources)", true, false),
        ("'blob' in connection.subResources || endpoint.name == 'x'", true, true),
        ("'sqlserver' in connection.subResources && endpoint.name == 'y'", false, false),
    ] {
        for (dialect, holds) in [(sql, where_stated), (storage, where_not)] {
            let decision = super::decide(&asks, dialect, &[narrowed(expression)]);
            assert_eq!(decision.word == DecisionWord::Allowed, holds, "{expression} on {}", dialect.target_type);
        }
    }
    let why = super::decide(&asks, storage, &[narrowed("'blob' in connection.subResources")]).why;
    assert!(why.contains("asks for what Azure does not state"), "{why}");
}

#[test]
fn while_an_expression_cannot_be_read_its_policy_allows_nothing_and_denies_all_the_same() {
    let asks = connection(&endpoint(OWN, "hub", "lake-1"), "Pending");
    let mut bad = narrowed("endpoint.name = 'lake-1'");
    bad.allow.push(serde_json::from_value(json!({"privateEndpoint": {"subscriptionId": OWN}})).unwrap());
    let decision = decide(&asks, std::slice::from_ref(&bad));
    assert_eq!(decision.word, DecisionWord::Unmatched);
    assert!(
        decision.why.contains("platform/lake allows nothing: allow[0].expression, character 15"),
        "{}",
        decision.why
    );
    bad.hold = entries(json!([{"privateEndpoint": {"subscriptionId": OWN}}]));
    assert_eq!(decide(&asks, std::slice::from_ref(&bad)).word, DecisionWord::Held);
    let mut other = policy(json!({"subscriptionId": OWN}));
    other.key.name = "other".into();
    bad.hold.clear();
    assert_eq!(decide(&asks, &[bad, other]).word, DecisionWord::Allowed, "another policy's word stands");
}

#[test]
fn the_entry_that_decided_is_named() {
    let asks = connection(&endpoint(OWN, "hub", "lake-1"), "Pending");
    let mut lake = policy(json!({"subscriptionId": OWN, "resourceGroup": "spoke"}));
    lake.allow
        .push(serde_json::from_value(json!({"name": "own hub", "privateEndpoint": {"subscriptionId": OWN}})).unwrap());
    let by = |policies: &[Policy]| decide(&asks, policies).decided_by();
    assert_eq!(by(std::slice::from_ref(&lake)).as_deref(), Some("platform/lake allow[1] \"own hub\""));
    let second = Policy { key: ObjectKey { namespace: "data".into(), name: "all".into() }, ..narrowed("true") };
    assert_eq!(by(&[second, lake.clone()]).as_deref(), Some("data/all allow[0], platform/lake allow[1] \"own hub\""));
    lake.hold = entries(json!([{"subResources": ["blob"]}]));
    assert_eq!(by(std::slice::from_ref(&lake)).as_deref(), Some("platform/lake hold[0]"));
    lake.reject = entries(json!([{"name": "strangers", "privateEndpoint": {"subscriptionId": OWN}}]));
    assert_eq!(by(std::slice::from_ref(&lake)).as_deref(), Some("platform/lake reject[0] \"strangers\""));
    assert_eq!(by(&[]), None);
}

#[test]
fn only_what_is_known_to_be_meant_is_cut_off() {
    let cuts = |entry: serde_json::Value, asks: &str, state: &str, dialect: &str| {
        let cutting = Policy { reject: entries(json!([entry])), ..policy(json!({"subscriptionId": OWN})) };
        let connections = [connection(asks, state)];
        let cuts = cut_off(&cutting, &connections, Dialect::of(dialect).unwrap());
        cuts.first().map(|cut| (cut.rule.entry(), cut.value.clone()))
    };
    let (ours, strangers) = (endpoint(OWN, "Hub", "lake-1"), endpoint(FOREIGN, "hub", "lake-1"));
    let also = json!(["Pending", "Approved"]);
    let others = json!({"privateEndpoint": {"ownSubscription": false}, "appliesTo": also});
    let want = Some(("reject[0]".to_owned(), strangers.to_lowercase()));
    assert_eq!(cuts(others.clone(), &strangers, "Approved", STORAGE), want);
    for (entry, asks, state, why) in [
        (json!({"privateEndpoint": {"ownSubscription": false}}), strangers.as_str(), "Approved", "pending ones only"),
        (others.clone(), strangers.as_str(), "Pending", "that is the rejection's"),
        (others.clone(), strangers.as_str(), "Rejected", "there is nothing to cut"),
        (others.clone(), ours.as_str(), "Approved", "ours"),
        (others, "", "Approved", "nobody knows whose it is"),
        (
            json!({"privateEndpoint": {"subscriptionId": FOREIGN}, "appliesTo": also}),
            strangers.as_str(),
            "Approved",
            "names in others' subscriptions say nothing of who it is",
        ),
        (
            json!({"subResources": ["blob"], "appliesTo": also}),
            ours.as_str(),
            "Approved",
            "the sub-resource is not stated",
        ),
    ] {
        assert_eq!(cuts(entry, asks, state, STORAGE), None, "{why}");
    }
    let exact = json!({"privateEndpoint": {"id": ours}, "appliesTo": also});
    assert!(cuts(exact, &ours.to_uppercase().replace("/PROVIDERS/", "/providers/"), "Approved", STORAGE).is_some());
}

proptest::proptest! {
    /// An expression only narrows: with one on any entry, whatever it says, nobody is allowed who was not without it.
    #[test]
    fn an_expression_never_lets_anybody_in(
        asks in (0..2usize, 0..3usize, 0..3usize),
        named in proptest::collection::vec((0..2usize, 0..4usize), 0..4),
        on in 0..4usize,
        words in proptest::collection::vec(0..8usize, 0..5),
        turned in proptest::bool::ANY,
    ) {
        let (subscriptions, groups) = ([OWN, FOREIGN], ["a", "b", "c"]);
        let parts = ["true", "false", "endpoint.ownSubscription", "endpoint.resourceGroup == 'a'",
            "endpoint.name != 'b'", "'blob' in connection.subResources", "endpoint.id.contains('c')", "nonsense"];
        let joined = words.iter().map(|word| parts[*word]).collect::<Vec<_>>().join(if turned { " || " } else { " && " });
        let mut plain = policy(json!({"subscriptionId": OWN}));
        plain.allow = named.iter().map(|(subscription, group)| {
            let mut entry = json!({"subscriptionId": subscriptions[*subscription]});
            if let Some(group) = groups.get(*group) { entry["resourceGroup"] = json!(group); }
            serde_json::from_value(json!({"privateEndpoint": entry})).unwrap()
        }).collect();
        let mut narrowed = plain.clone();
        if let Some(entry) = narrowed.allow.get_mut(on) {
            entry.expression = Some(if turned { format!("!({joined})") } else { joined }.into());
        }
        let asking = connection(&endpoint(subscriptions[asks.0], groups[asks.1], groups[asks.2]), "Pending");
        let allowed = |policy: &Policy| decide(&asking, std::slice::from_ref(policy)).word == DecisionWord::Allowed;
        proptest::prop_assert!(allowed(&plain) || !allowed(&narrowed));
    }
}

/// A policy on the lake that says `spec`.
fn saying(spec: serde_json::Value) -> Policy {
    let list = |name: &str| spec.get(name).cloned().unwrap_or_else(|| json!([]));
    Policy {
        allow: serde_json::from_value(list("allow")).unwrap(),
        reject: serde_json::from_value(list("reject")).unwrap(),
        hold: serde_json::from_value(list("hold")).unwrap(),
        ..policy(json!({"subscriptionId": OWN}))
    }
}

fn fraud() -> ObjectKey {
    ObjectKey { namespace: "team".into(), name: "fraud".into() }
}

fn giving() -> Policy {
    saying(json!({"allow": [{"workspaceRef": {"name": "fraud", "namespace": "team"}}]}))
}

fn ask_leave(policies: &[Policy]) -> Result<String, (Reason, String)> {
    let lake = ArmId::of(OWN, "data", STORAGE, "lake").unwrap();
    leave(&fraud(), &lake, Some("blob"), policies)
        .map(|rule| rule.entry())
        .map_err(|verdict| (verdict.reason, verdict.message))
}

#[test]
fn a_workspace_has_leave_only_by_a_policy_in_force_that_names_it_and_asks_no_people() {
    assert_eq!(ask_leave(&[giving()]), Ok("allow[0]".into()));
    let here = Policy {
        key: ObjectKey { namespace: "team".into(), name: "own".into() },
        ..saying(json!({"allow": [
        {"privateEndpoint": {"subscriptionId": OWN}}, {"workspaceRef": {"name": "fraud"}, "name": "ours"}]}))
    };
    assert_eq!(ask_leave(&[here]), Ok("allow[1] \"ours\"".into()), "left out, the namespace is the policy's own");
    let refused = |policy: Policy| ask_leave(&[policy]).unwrap_err();
    for (workspace, why) in [
        (json!({"name": "fraud"}), "another namespace's workspace"),
        (json!({"name": "other", "namespace": "team"}), "another workspace"),
    ] {
        assert_eq!(refused(saying(json!({"allow": [{"workspaceRef": workspace}]}))).0, Reason::PolicyMissing, "{why}");
    }
    assert_eq!(
        refused(saying(json!({"allow": [{"privateEndpoint": {"subscriptionId": FOREIGN}}]}))).0,
        Reason::PolicyMissing
    );
    let unreadable = saying(json!({"allow": [{"workspaceRef": {"name": "fraud", "namespace": "team"}},
        {"privateEndpoint": {"subscriptionId": OWN}, "expression": "what"}]}));
    for (policy, word) in [
        (Policy { acts: false, ..giving() }, "spec.suspend"),
        (Policy { expired: true, ..giving() }, "spec.expiresAt"),
        (Policy { require_approvers: Some(1), ..giving() }, "spec.requireApprovers"),
        (unreadable, "corrected"),
    ] {
        let (reason, message) = refused(policy.clone());
        assert_eq!(reason, Reason::PolicyNotInForce, "{message}");
        assert!(message.contains(word) && message.contains("platform/lake allow[0]"), "{message}");
        assert!(ask_leave(&[policy, giving()]).is_ok(), "another policy may, beside one that does not: {word}");
    }
}

#[test]
fn what_any_policy_rejects_or_holds_is_not_a_workspaces_to_approve() {
    let own = json!({"privateEndpoint": {"subscriptionId": OWN}});
    let own_id = json!({"privateEndpoint": {"id": endpoint(OWN, "hub", "lake-1")}});
    let foreign_id = json!({"privateEndpoint": {"id": endpoint(FOREIGN, "hub", "lake-1")}});
    let vendor = json!({"privateEndpoint": {"subscriptionId": FOREIGN}});
    for (entry, denies) in [
        (own, false),
        (own_id, false),
        (json!({"privateEndpoint": {"ownSubscription": true}}), false),
        (json!({"subResources": ["dfs"]}), false),
        (json!({"privateEndpoint": {"ownSubscription": false}, "subResources": ["dfs"]}), false),
        (json!({"privateEndpoint": {"ownSubscription": false}}), true),
        (json!({"subResources": ["BLOB", "dfs"]}), true),
        // It may well be one of Microsoft's: who says so before it is there?
        (vendor.clone(), true),
        (json!({"privateEndpoint": {"subscriptionId": FOREIGN, "resourceGroup": "g", "name": "n"}}), true),
        (foreign_id, true),
    ] {
        for list in ["reject", "hold"] {
            let denying = saying(json!({ list: [entry] }));
            let asked = ask_leave(&[giving(), denying.clone()]);
            assert_eq!(asked, ask_leave(&[denying, giving()]), "whatever the order");
            assert_eq!(asked.is_err(), denies, "{list} {entry}");
            if let Err((reason, message)) = asked {
                assert_eq!(reason, Reason::Overruled);
                assert!(message.contains(&format!("{list}[0]")), "{message}");
            }
        }
    }
    let both = [saying(json!({"hold": [vendor]})), saying(json!({"reject": [vendor]}))];
    assert!(ask_leave(&both).unwrap_err().1.contains("reject[0]"), "reject beats hold");
}

#[test]
fn what_a_workspace_approved_itself_is_put_down_to_its_entry_and_nothing_pending_ever_is() {
    let managed = endpoint(FOREIGN, "commonHoboRG7", "datalake");
    let own = SelfApproval {
        connection: "c".into(),
        endpoint: managed.clone(),
        namespace: "team".into(),
        workspace: "fraud".into(),
        rule: "team/datalake".into(),
        at: "2026-01-01T00:00:00Z".into(),
    };
    let with = |policy: Policy, own: &SelfApproval| Policy { self_approvals: vec![own.clone()], ..policy };
    let word = |policy: Policy, state: &str| decide(&connection(&managed, state), &[policy]);
    let decided = word(with(giving(), &own), "Approved");
    assert_eq!((decided.word, decided.rules[0].entry()), (DecisionWord::Allowed, "allow[0]".to_owned()));
    for (policy, state, why) in [
        (with(giving(), &own), "Pending", "asked anew, it may be anybody's"),
        (with(giving(), &own), "Rejected", "it is not approved"),
        (giving(), "Approved", "nobody saw the workspace approve it"),
        (with(giving(), &SelfApproval { workspace: "other".into(), ..own.clone() }), "Approved", "another workspace"),
        (
            with(giving(), &SelfApproval { endpoint: endpoint(FOREIGN, "x", "y"), ..own.clone() }),
            "Approved",
            "another endpoint",
        ),
        (with(Policy { expired: true, ..giving() }, &own), "Approved", "its leave is over"),
    ] {
        assert_eq!(word(policy, state).word, DecisionWord::Unmatched, "{why}");
    }
    let rejecting = with(
        Policy {
            reject: saying(json!({"reject": [{"privateEndpoint": {"ownSubscription": false}}]})).reject,
            ..giving()
        },
        &own,
    );
    assert_eq!(word(rejecting, "Approved").word, DecisionWord::Rejected, "as with anything else that is approved");
}
