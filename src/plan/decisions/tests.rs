//! Decisions of people, in `decide()` and by themselves.

use serde_json::json;

use super::*;
use crate::api::approval::DecisionWord::{Allowed, ApproversMissing, Held, OverLimit, Rejected, Unmatched};
use crate::azure::private_link::Dialect;
use crate::plan::approval::{decide, decide_all, next};
use crate::plan::rules::ObjectKey;

const OWN: &str = "00000000-0000-0000-0000-000000000002";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const LAKE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake";

fn endpoint(name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/hub/providers/Microsoft.Network/privateEndpoints/{name}")
}

fn connection(name: &str, state: &str) -> Connection {
    Connection::read(&json!({"name": name, "properties": {"privateEndpoint": {"id": endpoint(name)},
        "privateLinkServiceConnectionState": {"status": state}}}))
    .unwrap()
}

/// A policy of the name with these members of a spec.
fn policy(name: &str, spec: serde_json::Value) -> Policy {
    let part = |member: &str| spec.get(member).cloned().unwrap_or(json!([]));
    Policy {
        key: ObjectKey { namespace: "platform".into(), name: name.into() },
        allow: serde_json::from_value(part("allow")).unwrap(),
        reject: serde_json::from_value(part("reject")).unwrap(),
        hold: serde_json::from_value(part("hold")).unwrap(),
        limits: spec.get("limits").map(|limits| serde_json::from_value(limits.clone()).unwrap()),
        require_approvers: spec.get("requireApprovers").and_then(|n| n.as_u64()).map(|n| u8::try_from(n).unwrap()),
        votes: vec![],
        expired: false,
        self_approvals: vec![],
        acts: true,
        own_subscriptions: vec![OWN.into()],
        linked: Default::default(),
    }
}

fn everybody() -> serde_json::Value {
    json!([{"privateEndpoint": {"subscriptionId": OWN}}])
}

fn vote(approver: &str, choice: Choice, on: &str) -> Vote {
    let signature =
        Signature { approver: approver.into(), name: format!("{approver}-{on}"), uid: format!("{approver}-{on}") };
    Vote { signature, choice, connection: on.into(), endpoint: endpoint(on), may_edit_policy: false, spent: false }
}

fn approves(approver: &str, on: &str) -> Vote {
    vote(approver, Choice::Approve, on)
}

fn word(policies: &[Policy], state: &str) -> (DecisionWord, String) {
    let decision = decide(&connection("c", state), Dialect::of(STORAGE).unwrap(), policies);
    (decision.word, names(&decision.people))
}

fn with(policy: &Policy, votes: Vec<Vote>) -> Policy {
    Policy { votes, ..policy.clone() }
}

#[test]
fn a_person_lets_in_what_is_held_or_unmatched_and_never_what_a_policy_rejects() {
    let silent = policy("lake", json!({}));
    let holds = policy("lake", json!({"allow": everybody(), "hold": everybody()}));
    let rejects = policy("lake", json!({"allow": everybody(), "reject": everybody()}));
    for (policy, without, then) in [(silent, Unmatched, Allowed), (holds, Held, Allowed), (rejects, Rejected, Rejected)]
    {
        assert_eq!(word(std::slice::from_ref(&policy), "Pending").0, without);
        let by = if then == Allowed { "alice" } else { "" };
        assert_eq!(word(&[with(&policy, vec![approves("alice", "c")])], "Pending"), (then, by.to_owned()));
    }
}

#[test]
fn a_person_who_rejects_beats_every_entry_and_everybody_who_approves() {
    let allows = policy("lake", json!({"allow": everybody()}));
    let other = policy("other", json!({}));
    let rejects = vote("mallory", Choice::Reject, "c");
    let votes = vec![approves("alice", "c"), approves("bob", "c"), rejects.clone()];
    assert_eq!(word(&[with(&allows, votes)], "Pending"), (Rejected, "mallory".into()));
    let policies = [allows, with(&other, vec![rejects])];
    assert_eq!(word(&policies, "Pending"), (Rejected, "mallory".into()), "also for another policy on the target");
    let decided = decide_all(&[connection("c", "Pending")], Dialect::of(STORAGE).unwrap(), &policies);
    let acting = |policy: &Policy| next(&policy.key, &decided, &[], |_| false).is_some();
    assert!(acting(&policies[1]) && !acting(&policies[0]));
}

#[test]
fn a_decision_is_for_one_connection_and_one_endpoint_as_azure_states_them_now() {
    let silent = policy("lake", json!({}));
    let word = |vote| word(&[with(&silent, vec![vote])], "Pending").0;
    assert_eq!(word(approves("alice", "c")), Allowed);
    assert_eq!(word(Vote { endpoint: endpoint("C").to_uppercase(), ..approves("alice", "c") }), Allowed);
    assert_eq!(word(Vote { endpoint: endpoint("other"), ..approves("alice", "c") }), Unmatched);
    assert_eq!(word(Vote { connection: "other".into(), ..approves("alice", "c") }), Unmatched);
    assert_eq!(word(Vote { endpoint: String::new(), ..approves("alice", "c") }), Unmatched);
}

#[test]
fn a_policy_that_asks_for_approvers_waits_until_enough_different_people_who_may_not_edit_it_approved() {
    let two = policy("lake", json!({"allow": everybody(), "requireApprovers": 2}));
    let editor = Vote { may_edit_policy: true, ..approves("editor", "c") };
    let again =
        Vote { signature: Signature { uid: "2".into(), ..approves("alice", "c").signature }, ..approves("alice", "c") };
    for (votes, want) in [
        (vec![], ApproversMissing),
        (vec![approves("alice", "c")], ApproversMissing),
        (vec![approves("alice", "c"), again], ApproversMissing),
        (vec![approves("alice", "c"), editor.clone()], ApproversMissing),
        (vec![approves("alice", "c"), approves("bob", "other")], ApproversMissing),
        (vec![approves("alice", "c"), approves("bob", "c")], Allowed),
    ] {
        assert_eq!(word(&[with(&two, votes.clone())], "Pending").0, want, "{votes:?}");
    }
    let one = policy("lake", json!({"allow": everybody(), "requireApprovers": 1}));
    assert_eq!(word(std::slice::from_ref(&one), "Pending").0, ApproversMissing);
    assert_eq!(word(&[with(&one, vec![editor])], "Pending"), (Allowed, "editor".into()));
    let held = policy("lake", json!({"hold": everybody(), "requireApprovers": 2}));
    assert_eq!(word(&[with(&held, vec![approves("alice", "c")])], "Pending").0, Held, "as many lift a hold");
}

#[test]
fn another_policys_hold_is_for_its_own_people_to_lift() {
    let allows = policy("lake", json!({"allow": everybody()}));
    let security = policy("security", json!({"hold": everybody()}));
    let outsider = with(&allows, vec![approves("alice", "c")]);
    assert_eq!(word(&[outsider.clone(), security.clone()], "Pending").0, Held);
    let officer = with(&security, vec![approves("olga", "c")]);
    assert_eq!(word(&[allows, officer.clone()], "Pending"), (Allowed, "olga".into()));
    assert_eq!(word(&[officer, outsider], "Pending"), (Allowed, "alice, olga".into()));
}

#[test]
fn a_person_lets_in_one_more_than_the_limit() {
    let full = policy("lake", json!({"allow": everybody(), "limits": {"total": 1}}));
    let asked = [connection("a", "Approved"), connection("b", "Pending"), connection("c", "Pending")];
    let words = |policy: Policy| -> Vec<DecisionWord> {
        let decided = decide_all(&asked, Dialect::of(STORAGE).unwrap(), &[policy]);
        decided.into_iter().map(|(_, decision)| decision.word).collect()
    };
    assert_eq!(words(full.clone()), [Allowed, OverLimit, OverLimit]);
    assert_eq!(words(with(&full, vec![approves("alice", "c")])), [Allowed, OverLimit, Allowed]);
}

#[test]
fn an_expired_policy_lets_nobody_in_on_a_persons_word_and_still_rejects_on_it() {
    let over = Policy { expired: true, ..policy("lake", json!({})) };
    assert_eq!(word(&[with(&over, vec![approves("alice", "c")])], "Pending").0, Unmatched);
    assert_eq!(word(&[with(&over, vec![vote("bob", Choice::Reject, "c")])], "Pending").0, Rejected);
}

#[test]
fn a_decision_that_was_carried_out_explains_the_approval_and_does_not_repeat_it() {
    let spent = Vote { spent: true, ..approves("alice", "c") };
    let lake = with(&policy("lake", json!({})), vec![spent.clone()]);
    assert_eq!(word(std::slice::from_ref(&lake), "Approved"), (Allowed, "alice".into()));
    assert_eq!(word(std::slice::from_ref(&lake), "Pending").0, Unmatched);
    let decided = decide_all(&[connection("c", "Pending")], Dialect::of(STORAGE).unwrap(), std::slice::from_ref(&lake));
    assert_eq!(standing(&spent, &lake, &decided).reason, Reason::Outdated);
}

fn object(spec: serde_json::Value, created: i64) -> ApprovalDecision {
    let created = Timestamp::from_second(created).unwrap().to_string();
    let mut full = json!({"policyRef": {"name": "lake"}, "connectionName": "c", "privateEndpointId": endpoint("c"),
        "decision": "Approve", "approver": "alice", "mayEditPolicy": false});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({"apiVersion": "aml-operator.io/v1alpha1", "kind": "ApprovalDecision",
        "metadata": {"name": "d", "namespace": "platform", "uid": "u", "creationTimestamp": created}, "spec": full}))
    .unwrap()
}

#[test]
fn only_what_the_guard_in_its_present_edition_has_seen_counts() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let in_force = Guard::InForce { since: at(1000) };
    let missing = Guard::Missing { why: "there is none".into() };
    let admitted = |guard: &Guard, policy: i64, decision: ApprovalDecision| {
        let standards = Standards { guard, settling: Duration::from_secs(30), policy_created: Some(at(policy)) };
        admit(&decision, standards, false).map(|_| ()).map_err(|verdict| verdict.reason)
    };
    let made = |second| object(json!({}), second);
    assert_eq!(admitted(&in_force, 900, made(1031)), Ok(()));
    assert_eq!(admitted(&in_force, 900, made(1030)), Err(Reason::Outdated), "not every API server asked it yet");
    assert_eq!(admitted(&in_force, 900, made(999)), Err(Reason::Outdated));
    assert_eq!(admitted(&in_force, 1040, made(1039)), Err(Reason::Outdated), "made for an earlier policy of the name");
    assert_eq!(admitted(&missing, 900, made(1031)), Err(Reason::GuardMissing));
}

#[test]
fn a_decision_is_on_one_target_of_its_policy() {
    use crate::plan::targets::Targets;
    let (lake, one) = (ArmId::parse(LAKE).unwrap(), Targets::One(ArmId::parse(LAKE).unwrap()));
    let group = Targets::around(&lake);
    let on = |target: &str, targets: &Targets| {
        let decision = object(json!({"target": {"resourceId": target}}), 1031);
        target_of(&decision, targets).map_err(|verdict| verdict.reason)
    };
    let silent = |targets: &Targets| target_of(&object(json!({}), 1031), targets).map_err(|verdict| verdict.reason);
    let shouted = LAKE.to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions");
    assert_eq!((on(&shouted, &one), silent(&one)), (Ok(lake.clone()), Ok(lake.clone())));
    assert_eq!(on(&LAKE.replace("lake", "pond"), &one), Err(Reason::Invalid));
    assert_eq!(on(&shouted, &group), Ok(lake));
    assert_eq!(silent(&group), Err(Reason::Invalid), "two resources may have connections of one name");
    assert_eq!(on(&LAKE.replace("/rg/", "/rg2/"), &group), Err(Reason::Invalid));
}

#[test]
fn every_decision_says_what_became_of_it() {
    let silent = policy("lake", json!({}));
    let rejects = policy("lake", json!({"reject": everybody()}));
    let two = policy("lake", json!({"allow": everybody(), "requireApprovers": 2}));
    let reject = vote("bob", Choice::Reject, "c");
    let editor = Vote { may_edit_policy: true, ..approves("alice", "c") };
    for (policy, vote, state, want) in [
        (&silent, approves("alice", "c"), "Pending", Reason::Updating),
        (&silent, approves("alice", "c"), "Approved", Reason::Applied),
        (&silent, approves("alice", "c"), "Rejected", Reason::Outdated),
        (&silent, approves("alice", "other"), "Pending", Reason::RequestMissing),
        (&silent, reject.clone(), "Pending", Reason::Updating),
        (&silent, reject.clone(), "Rejected", Reason::Applied),
        (&silent, reject, "Approved", Reason::Outdated),
        (&rejects, approves("alice", "c"), "Pending", Reason::Overruled),
        (&two, approves("alice", "c"), "Pending", Reason::ApproversMissing),
        (&two, editor, "Pending", Reason::ApproverMayEditPolicy),
    ] {
        let policy = with(policy, vec![vote.clone()]);
        let decided =
            decide_all(&[connection("c", state)], Dialect::of(STORAGE).unwrap(), std::slice::from_ref(&policy));
        let verdict = standing(&vote, &policy, &decided);
        assert_eq!(verdict.reason, want, "{state} {vote:?}: {}", verdict.message);
    }
}

proptest::proptest! {
    /// Whoever decided what, and in whatever order: nobody is let in without an entry or enough people of a policy that does not
    /// reject, and nobody whom anybody rejects.
    #[test]
    fn nobody_gets_in_without_enough_people(
        votes in proptest::collection::vec((0..4usize, 0..2usize, proptest::bool::ANY, 0..2usize), 0..8),
        needed in 0..4u8,
        turn in 0..8usize,
    ) {
        let people = ["a", "b", "c", "d"];
        let mut all: Vec<Vote> = votes.iter().map(|(who, choice, edits, on)| {
            let choice = if *choice == 0 { Choice::Approve } else { Choice::Reject };
            Vote { may_edit_policy: *edits, ..vote(people[*who], choice, ["c", "other"][*on]) }
        }).collect();
        let mut asks = policy("lake", json!({}));
        asks.require_approvers = (needed > 0).then_some(needed);
        let on_it = || votes.iter().filter(|(_, _, _, on)| *on == 0);
        let rejected = on_it().any(|(_, choice, _, _)| *choice == 1);
        let mut approvers: Vec<usize> =
            on_it().filter(|(_, choice, edits, _)| *choice == 0 && !(needed > 1 && *edits)).map(|vote| vote.0).collect();
        approvers.sort_unstable();
        approvers.dedup();
        let enough = approvers.len() >= usize::from(needed.max(1));
        let want = if rejected { Rejected } else if enough { Allowed } else { Unmatched };
        proptest::prop_assert_eq!(word(&[with(&asks, all.clone())], "Pending").0, want);
        if !all.is_empty() { let by = turn % all.len(); all.rotate_left(by); }
        proptest::prop_assert_eq!(word(&[with(&asks, all)], "Pending").0, want);
    }
}
