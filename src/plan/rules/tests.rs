use serde_json::json;

use crate::azure::error::ArmError;

use super::*;

const INSTALLATION: &str = "cluster-1";
const LAKE: &str = "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/data/providers/Microsoft.Storage/storageAccounts/lake";
const RETRY: Duration = Duration::from_secs(600);

fn fqdn(host: &str) -> RuleBody {
    RuleBody::Fqdn { host: host.into() }
}

fn endpoint() -> RuleBody {
    RuleBody::PrivateEndpoint {
        resource_id: LAKE.into(),
        subresource: "dfs".into(),
        spark_enabled: false,
        fqdns: vec![],
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { namespace: "team".into(), name: name.into() }
}

/// An object of the same name as its rule, whose name is derived as far as the engine can tell.
fn declared(name: &str, standing: Standing) -> Declared {
    let created = "2026-01-01T00:00:00Z".into();
    Declared { key: key(name), created, azure_name: name.into(), claim: None, entitled: true, standing, token: None }
}

fn wanted(name: &str) -> Declared {
    declared(name, Standing::Wanted(fqdn(&format!("{name}.org"))))
}

fn shown(name: &str, body: &RuleBody, status: &str) -> OutboundRule {
    let mut properties = body.to_body();
    properties["status"] = json!(status);
    OutboundRule::read(&json!({"name": name, "properties": properties})).unwrap()
}

fn active(name: &str, host: &str) -> OutboundRule {
    shown(name, &fqdn(host), "Active")
}

fn service_made() -> OutboundRule {
    let properties = json!({"type": "FQDN", "category": "Required", "destination": "login.org", "status": "Active"});
    OutboundRule::read(&json!({"name": "login-rule", "properties": properties})).unwrap()
}

/// The names that a person agreed to lose.
fn said(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn refusal(code: &str) -> ArmError {
    ArmError::from_failure(code, "Azure says no to this")
}

fn role_refusal() -> ArmError {
    let text =
        "Workspace managed identity don't have required permissions to read and approve private endpoint connections";
    ArmError::from_failure("ValidationError", text)
}

/// A lane's world: what is declared, what ARM shows, what is remembered.
#[derive(Clone)]
struct Lane {
    declared: Vec<Declared>,
    observed: Vec<OutboundRule>,
    isolation: IsolationMode,
    network_active: bool,
    roles: BTreeMap<String, RoleCheck>,
    exclusive: Option<BTreeSet<String>>,
    prune: bool,
    index_whole: bool,
    firewall_closed: Option<&'static str>,
    memory: RuleMemory,
    now: Timestamp,
}

impl Lane {
    fn new(declared: Vec<Declared>, observed: Vec<OutboundRule>) -> Self {
        Self {
            declared,
            observed,
            isolation: IsolationMode::AllowOnlyApprovedOutbound,
            network_active: true,
            roles: BTreeMap::new(),
            exclusive: None,
            prune: false,
            index_whole: true,
            firewall_closed: None,
            memory: RuleMemory::default(),
            now: Timestamp::from_second(1_000_000).unwrap(),
        }
    }

    fn with_role(mut self, role: RoleCheck) -> Self {
        self.roles = BTreeMap::from([(LAKE.to_ascii_lowercase(), role)]);
        self
    }

    fn plan(&self) -> RulesPlan {
        plan(RulesInput {
            installation: INSTALLATION,
            declared: &self.declared,
            observed: &self.observed,
            isolation: self.isolation,
            network_active: self.network_active,
            principal: Some("ws-principal"),
            roles: &self.roles,
            exclusive: self.exclusive.as_ref(),
            prune: self.prune,
            index_whole: self.index_whole,
            firewall_closed: self.firewall_closed,
            memory: &self.memory,
            now: self.now,
            retry: RETRY,
        })
    }

    /// Plans as a turn does: with the reading remembered afterwards.
    fn turn(&mut self) -> RulesPlan {
        let decided = self.plan();
        remember_reading(&mut self.memory, &self.declared, &self.observed, decided.noticed.clone());
        decided
    }

    fn refuse(&mut self, write: &RuleWrite, error: &ArmError) {
        let tokens = self.declared.iter().map(|rule| (rule.azure_name.clone(), rule.token.clone())).collect();
        remember_refusal(&mut self.memory, write, Some("ws-principal"), &tokens, error, self.now);
    }

    fn wait(&mut self, seconds: i64) {
        self.now = Timestamp::from_second(self.now.as_second() + seconds).unwrap();
    }

    /// Plays ARM for one write. ARM that replaces takes a PATCH's map for the whole set, as far as users' rules go.
    fn apply(&mut self, write: &RuleWrite, replaces: bool) {
        let put = |observed: &mut Vec<OutboundRule>, name: &str, properties: &Value| {
            let mut properties = properties.clone();
            properties["status"] = json!("Active");
            let rule = OutboundRule::read(&json!({"name": name, "properties": properties})).unwrap();
            match observed.iter_mut().find(|rule| rule.name == name) {
                Some(old) => *old = rule,
                None => observed.push(rule),
            }
        };
        match write {
            RuleWrite::Patch { rules, .. } => {
                if replaces {
                    self.observed.retain(|rule| !rule.is_user_defined() || rules.contains_key(&rule.name));
                }
                rules.iter().for_each(|(name, properties)| put(&mut self.observed, name, properties));
            }
            RuleWrite::Put { name, properties } => put(&mut self.observed, name, properties),
            RuleWrite::Delete { name } => self.observed.retain(|rule| rule.name != *name),
        }
    }

    /// Turns until nothing is left to write; ARM refuses whatever changes one of `bad`.
    fn settle(&mut self, bad: &[String], replaces: bool) -> Vec<RuleWrite> {
        let mut writes = Vec::new();
        while let Some(write) = self.turn().write {
            assert!(writes.len() < 200, "it never comes to rest: {:?}", writes.split_off(190));
            if write.names().iter().any(|name| bad.contains(name)) {
                self.refuse(&write, &refusal("ValidationError"));
            } else {
                self.apply(&write, replaces);
            }
            writes.push(write);
        }
        writes
    }

    fn word(&self, name: &str) -> (&'static str, String) {
        let verdict = self.plan().states[&key(name)].verdict.clone();
        (verdict.reason.word(), verdict.message)
    }

    fn shows(&self, name: &str) -> Option<RuleBody> {
        self.observed.iter().find(|rule| rule.name == name).and_then(RuleBody::observed)
    }
}

#[test]
fn new_rules_go_in_one_patch_with_all_that_users_have() {
    let frozen = declared("held", Standing::Frozen(Verdict::new(Reason::Suspended, "suspended")));
    let orphan = names::rule_name(INSTALLATION, "team", "gone");
    let observed =
        vec![service_made(), active("held", "held.org"), active("kept", "kept.org"), active(&orphan, "o.org")];
    let lane = Lane::new(vec![wanted("one"), wanted("two"), wanted("kept"), frozen], observed);
    let decided = lane.plan();
    let Some(RuleWrite::Patch { rules, names }) = decided.write else { panic!("{:?}", decided.write) };
    assert_eq!(names, BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    assert_eq!(
        rules.keys().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"held".to_owned(), &"kept".into(), &"one".into(), &"two".into(), &orphan])
    );
    assert_eq!(rules["held"], json!({"type": "FQDN", "category": "UserDefined", "destination": "held.org"}));
    assert_eq!(decided.orphaned, [orphan]);
    assert_eq!(lane.word("one").0, "Updating");
    assert_eq!(lane.word("kept").0, "Active");
    assert_eq!(lane.word("held"), ("Suspended", "suspended".into()));
}

#[test]
fn beside_strangers_one_rule_at_a_time_and_the_price_is_named() {
    let mut lane = Lane::new(vec![wanted("one"), wanted("two")], vec![active("theirs", "x.org")]);
    let decided = lane.plan();
    assert!(matches!(&decided.write, Some(RuleWrite::Put { name, .. }) if name == "one"), "{:?}", decided.write);
    assert_eq!(decided.unmanaged, ["theirs"]);
    for (name, word) in [("one", "Updating"), ("two", "Pending")] {
        let (found, message) = lane.word(name);
        assert_eq!(found, word);
        assert!(message.contains("One rule at a time") && message.contains("minutes for each"), "{message}");
    }
    assert_eq!(lane.settle(&[], true).len(), 2);
    assert!(lane.shows("theirs").is_some());
}

#[test]
fn only_what_may_go_goes() {
    let orphan = names::rule_name(INSTALLATION, "team", "gone");
    for (exclusive, prune, index_whole, stranger_stays, orphan_stays) in [
        (false, false, true, true, true),
        (true, false, true, false, true),
        (true, true, false, true, true),
        (false, true, true, true, false),
        (true, true, true, false, false),
    ] {
        let mut lane = Lane::new(
            vec![wanted("one"), wanted("two")],
            vec![active("theirs", "x.org"), active(&orphan, "y.org"), service_made()],
        );
        (lane.exclusive, lane.prune, lane.index_whole) = (exclusive.then(|| said(&["theirs"])), prune, index_whole);
        assert_eq!(lane.plan().orphaned, [orphan.as_str()], "it is listed either way");
        lane.settle(&[], true);
        let case = format!("exclusive {exclusive}, prune {prune}, whole {index_whole}");
        assert_eq!(lane.shows("theirs").is_some(), stranger_stays, "{case}");
        assert_eq!(lane.shows(&orphan).is_some(), orphan_stays, "{case}");
        assert!(
            lane.shows("login-rule").is_some() && lane.shows("one").is_some() && lane.shows("two").is_some(),
            "{case}"
        );
    }
}

#[test]
fn a_rule_whose_object_lost_its_grant_stays_and_is_no_orphan() {
    let name = names::rule_name(INSTALLATION, "team", "lost");
    let lost = Declared {
        azure_name: name.clone(),
        entitled: false,
        ..declared("lost", Standing::Frozen(Verdict::new(Reason::NotAdmitted, "")))
    };
    let mut lane = Lane::new(vec![lost, wanted("one"), wanted("two")], vec![active(&name, "lost.org")]);
    lane.prune = true;
    assert_eq!(lane.plan().orphaned, [""; 0]);
    lane.settle(&[], true);
    assert!(lane.shows(&name).is_some());
    assert_eq!(lane.word("lost").0, "NotAdmitted");
}

#[test]
fn removals_come_first_and_end() {
    let body = fqdn("old.org");
    let removing = declared("old", Standing::Removing(Some(body.clone())));
    let mut lane = Lane::new(vec![wanted("one"), wanted("two"), removing], vec![active("old", "old.org")]);
    assert_eq!(lane.plan().write, Some(RuleWrite::Delete { name: "old".into() }));
    assert_eq!(lane.word("old").0, "Deleting");
    lane.observed = vec![shown("old", &body, "Deleting")];
    assert!(!matches!(lane.plan().write, Some(RuleWrite::Delete { .. })), "Azure is at it already");
    assert!(!lane.plan().states[&key("old")].gone);
    lane.observed.clear();
    assert!(lane.plan().states[&key("old")].gone, "nothing is left, so the object may go");
}

#[test]
fn what_was_never_taken_over_is_not_deleted() {
    for (claim, shown_host, gone) in [
        (None, "other.org", false),
        (Some(Adoption::Always), "other.org", false),
        (Some(Adoption::IfMatching), "mine.org", false),
        (Some(Adoption::IfMatching), "other.org", true),
        (Some(Adoption::Never), "mine.org", true),
    ] {
        let removing = Declared { claim, ..declared("rule", Standing::Removing(Some(fqdn("mine.org")))) };
        let lane = Lane::new(vec![removing], vec![active("rule", shown_host)]);
        let decided = lane.plan();
        assert_eq!(decided.states[&key("rule")].gone, gone, "{claim:?} {shown_host}");
        assert_eq!(decided.write.is_none(), gone, "{claim:?} {shown_host}");
    }
}

#[test]
fn a_removal_that_azure_refuses_does_not_hold_up_the_others() {
    let removing = declared("stuck", Standing::Removing(None));
    let mut lane = Lane::new(vec![removing, wanted("one"), wanted("two")], vec![active("stuck", "s.org")]);
    let writes = lane.settle(&["stuck".into()], true);
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(lane.shows("one").is_some() && lane.shows("two").is_some() && lane.shows("stuck").is_some());
    let (word, message) = lane.word("stuck");
    assert_eq!(word, "AzureRefused");
    assert!(message.contains("Azure says no to this"), "{message}");
    lane.wait(601);
    assert_eq!(lane.plan().write, Some(RuleWrite::Delete { name: "stuck".into() }), "it is tried again in time");
}

#[test]
fn a_rule_that_others_made_is_left_alone_unless_adoption_says_otherwise() {
    for (claim, host, word, writes) in [
        (Adoption::IfMatching, "rule.org", "Active", false),
        (Adoption::IfMatching, "other.org", "AdoptionRefused", false),
        (Adoption::Never, "other.org", "AdoptionRefused", false),
        (Adoption::Always, "other.org", "Updating", true),
    ] {
        let lane = Lane::new(vec![Declared { claim: Some(claim), ..wanted("rule") }], vec![active("rule", host)]);
        assert_eq!(lane.word("rule").0, word, "{claim:?} {host}");
        assert_eq!(lane.plan().write.is_some(), writes, "{claim:?} {host}");
    }
    // It counts as a stranger's, but an object names it, so that not even Exclusive removes it.
    let mine = Declared { claim: Some(Adoption::IfMatching), ..wanted("rule") };
    let mut lane = Lane::new(vec![mine, wanted("one"), wanted("two")], vec![active("rule", "other.org")]);
    lane.exclusive = Some(said(&["rule"]));
    assert_eq!(lane.plan().unmanaged, ["rule"]);
    assert!(lane.settle(&[], true).iter().all(|write| matches!(write, RuleWrite::Put { .. })));
    assert_eq!(lane.shows("rule"), Some(fqdn("other.org")));
}

#[test]
fn names_are_azures_whatever_their_case_and_azures_own_rules_are_never_overwritten() {
    let upper = Declared { claim: Some(Adoption::IfMatching), ..declared("Rule", Standing::Wanted(fqdn("rule.org"))) };
    let lane = Lane::new(vec![upper], vec![active("rule", "rule.org")]);
    assert_eq!((lane.word("Rule").0, lane.plan().write, lane.plan().unmanaged), ("Active", None, vec![]));
    let own = Declared { claim: Some(Adoption::Always), ..wanted("login-rule") };
    let lane = Lane::new(vec![own], vec![service_made()]);
    assert_eq!((lane.word("login-rule").0, lane.plan().write), ("AdoptionRefused", None));
}

#[test]
fn of_two_objects_for_one_rule_the_older_wins() {
    let younger = Declared { key: key("younger"), ..declared("rule", Standing::Wanted(fqdn("other.org"))) };
    let lane = Lane::new(vec![wanted("rule"), younger.clone()], vec![]);
    let decided = lane.plan();
    assert!(
        matches!(&decided.write, Some(RuleWrite::Put { properties, .. }) if properties["destination"] == "rule.org")
    );
    assert_eq!(lane.word("younger").0, "ManagedElsewhere", "also while the older one is written");
    let going = Declared { standing: Standing::Removing(None), ..younger };
    let decided = Lane::new(vec![wanted("rule"), going], vec![active("rule", "rule.org")]).plan();
    assert!(decided.write.is_none() && decided.states[&key("younger")].gone, "it goes without the rule");
}

#[test]
fn nobody_sits_on_a_name_that_he_may_not_use() {
    let squatter = Declared {
        key: key("older"),
        claim: Some(Adoption::Always),
        entitled: false,
        ..declared("shared", Standing::Frozen(Verdict::new(Reason::NotAdmitted, "")))
    };
    let lane = Lane::new(vec![squatter, Declared { claim: Some(Adoption::Always), ..wanted("shared") }], vec![]);
    assert_eq!(lane.plan().write.map(|write| write.names().len()), Some(1), "the admitted object writes its rule");
    assert_eq!(lane.word("older").0, "NotAdmitted");
    let going = Declared { standing: Standing::Removing(Some(fqdn("shared.org"))), ..lane.declared[0].clone() };
    let lane = Lane::new(vec![going], vec![active("shared", "shared.org")]);
    assert_eq!(lane.plan().write, None, "what never was its own is not removed");
    assert!(lane.plan().states[&key("older")].gone, "and the object may go");
}

#[test]
fn doors_and_modes_that_forbid_a_rule_are_named_and_nothing_is_written() {
    let rules = || vec![wanted("host"), declared("lake", Standing::Wanted(endpoint()))];
    let mut lane = Lane::new(rules(), vec![]);
    lane.isolation = IsolationMode::AllowInternetOutbound;
    assert_eq!(lane.word("host").0, "IsolationModeForbids");
    assert_eq!(lane.plan().write.map(|write| write.names()), Some(BTreeSet::from(["lake".to_owned()])));
    lane.isolation = IsolationMode::Disabled;
    assert_eq!((lane.word("lake").0, lane.plan().write), ("IsolationModeForbids", None));

    let mut lane = Lane::new(rules(), vec![]);
    lane.firewall_closed = Some("Basic");
    let (word, message) = lane.word("host");
    assert_eq!(word, "AcknowledgementRequired");
    assert!(message.contains("{door: AzureFirewall, value: Basic}"), "{message}");
    assert_eq!(lane.plan().write.map(|write| write.names()), Some(BTreeSet::from(["lake".to_owned()])));
    lane.observed = vec![active("theirs", "x.org")];
    assert_ne!(lane.word("host").0, "AcknowledgementRequired", "the firewall runs already");
}

#[test]
fn a_missing_role_keeps_only_its_own_rule_waiting() {
    let lake = declared("a-lake", Standing::Wanted(endpoint()));
    let mut lane = Lane::new(vec![lake, wanted("one"), wanted("two")], vec![]).with_role(RoleCheck::Missing);
    let write = lane.turn().write.unwrap();
    assert_eq!(write.names(), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    lane.apply(&write, true);
    let tried = lane.turn().write.unwrap();
    assert!(matches!(&tried, RuleWrite::Put { name, .. } if name == "a-lake"), "ARM's own answer counts: {tried:?}");
    lane.refuse(&tried, &role_refusal());
    let decided = lane.turn();
    let state = &decided.states[&key("a-lake")];
    let missing = state.missing_role.as_ref().unwrap();
    assert_eq!((decided.write, state.verdict.reason), (None, Reason::ApproverRoleMissing));
    assert_eq!((missing.scope.as_str(), missing.principal_id.as_str()), (LAKE, "ws-principal"));
    assert!(state.verdict.message.contains(&missing.command) && missing.command.contains(LAKE));

    let due = |lane: &Lane| lane.plan().write == Some(tried.clone());
    lane.wait(599);
    assert!(!due(&lane));
    lane.wait(1);
    assert!(due(&lane), "ten minutes later, in case nobody can see the role");
    lane.refuse(&tried, &role_refusal());
    let mut held = lane.clone().with_role(RoleCheck::Held);
    assert!(!due(&held), "an assignment that does not suffice yet makes no write every turn");
    held.wait(120);
    assert!(due(&held), "but sooner than else");
    lane.declared[0].token = Some("now".into());
    assert!(due(&lane), "a person asked for it");
}

#[test]
fn one_bad_rule_is_found_and_all_others_get_in() {
    for (count, bad) in [(2, 0), (9, 8), (16, 5), (100, 37)] {
        for replaces in [false, true] {
            let names: Vec<String> = (0..count).map(|n| format!("rule-{n:03}")).collect();
            let observed = vec![active("settled", "settled.org")];
            let mut lane = Lane::new(names.iter().map(|name| wanted(name)).collect(), observed);
            lane.declared.push(wanted("settled"));
            let culprit = names[bad].clone();
            let writes = lane.settle(std::slice::from_ref(&culprit), replaces);
            let bound = 2 * usize::ilog2(count) as usize + 4;
            assert!(writes.len() <= bound, "{} writes for {count} rules", writes.len());
            let missing: Vec<_> = names.iter().filter(|name| lane.shows(name).is_none()).collect();
            assert_eq!(missing, [&culprit]);
            assert_eq!(lane.word("settled").0, "Active");
            let (word, message) = lane.word(&culprit);
            assert_eq!(word, "AzureRefused");
            assert!(message.contains("Azure says no to this"), "{message}");
            // Corrected, it is written at once.
            lane.declared[bad].standing = Standing::Wanted(fqdn("corrected.org"));
            assert_eq!(lane.settle(&[], replaces).len(), 1);
            assert_eq!((lane.word(&culprit).0, lane.memory.refusals.len(), lane.memory.groups.len()), ("Active", 0, 0));
        }
    }
}

#[test]
fn a_refused_rule_is_tried_again_alone_and_keeps_azures_words() {
    let mut lane = Lane::new(vec![wanted("bad")], vec![]);
    lane.settle(&["bad".into()], true);
    lane.declared.extend([wanted("new"), wanted("newer")]);
    lane.declared[0].token = Some("now".into());
    let write = lane.turn().write.unwrap();
    assert_eq!(write.names(), BTreeSet::from(["new".to_owned(), "newer".to_owned()]), "not at the others' risk");
    lane.apply(&write, true);
    lane.declared[0].token = None;
    assert_eq!(lane.plan().write, None);
    lane.wait(600);
    assert!(lane.plan().write.is_some());
    assert_eq!(lane.word("bad").0, "AzureRefused", "what ARM said stays while it is tried");
}

#[test]
fn what_passes_by_itself_blames_no_rule() {
    for (code, blames) in [
        ("ValidationError", true),
        ("InvalidParameter", true),
        ("LinkedInvalidPropertyId", true),
        ("RequestDisallowedByPolicy", true),
        ("QuotaExceeded", true),
        ("LinkedAuthorizationFailed", true),
        ("NobodyKnowsThisCode", true),
        ("AuthorizationFailed", false),
        ("ScopeLocked", false),
        ("Conflict", false),
        ("TooManyRequests", false),
        ("InternalServerError", false),
        ("OperationTimedOut", false),
        ("PreconditionFailed", false),
    ] {
        let mut lane = Lane::new(vec![wanted("one"), wanted("two")], vec![]);
        let write = lane.turn().write.unwrap();
        lane.refuse(&write, &refusal(code));
        assert_eq!(!lane.memory.groups.is_empty(), blames, "{code}");
        assert_eq!(lane.plan().write == Some(write), !blames, "{code}: else the same is sent again");
    }
}

#[test]
fn a_rule_that_gets_lost_or_changed_is_reported_once_and_restored() {
    for (after, field, found) in
        [(vec![], "properties", "missing"), (vec![active("rule", "evil.org")], "properties.destination", "evil.org")]
    {
        for observes in [false, true] {
            let standing = if observes { Standing::Observed } else { Standing::Wanted };
            let mut lane =
                Lane::new(vec![declared("rule", standing(fqdn("rule.org")))], vec![active("rule", "rule.org")]);
            assert_eq!(lane.turn().write, None);
            lane.observed = after.clone();
            let decided = lane.turn();
            let drift = &decided.states[&key("rule")].drift;
            let told: Vec<_> = drift.iter().map(|drift| (drift.field.as_str(), drift.found.as_str())).collect();
            assert_eq!(told, [(field, found)]);
            assert_eq!((drift[0].wanted.as_deref(), drift[0].at.as_str()), (Some("rule.org"), "1970-01-12T13:46:40Z"));
            if observes {
                assert_eq!(decided.write, None);
                assert_eq!(lane.word("rule").0, "Differs");
                continue;
            }
            let cause = &decided.causes["rule"];
            assert!(
                cause == "Azure has no such rule" || cause.contains("evil.org") && cause.contains("rule.org"),
                "{cause}"
            );
            lane.apply(&decided.write.unwrap(), true);
            lane.wait(60);
            let decided = lane.turn();
            assert_eq!(
                (decided.write, decided.states[&key("rule")].drift.len()),
                (None, 1),
                "it stays remembered, once"
            );
            assert_eq!(lane.shows("rule"), Some(fqdn("rule.org")));
        }
    }
    let mut lane = Lane::new(vec![wanted("rule")], vec![active("rule", "rule.org")]);
    lane.turn();
    lane.declared[0].standing = Standing::Wanted(fqdn("edited.org"));
    let decided = lane.turn();
    assert_eq!(decided.states[&key("rule")].drift, [], "an edit is no drift");
    assert!(decided.write.is_some());
}

#[test]
fn strangers_rules_go_only_by_name_and_a_new_one_is_asked_about_again() {
    let strangers = || vec![active("Theirs", "x.org"), active("others", "y.org")];
    let mut lane = Lane::new(vec![wanted("one"), wanted("two")], strangers());
    assert_eq!(lane.plan().door, None, "nobody asked for it");
    lane.exclusive = Some(BTreeSet::new());
    let door = lane.plan().door.unwrap();
    assert_eq!(door.reason, Reason::AcknowledgementRequired);
    assert!(door.message.contains("{door: ExclusiveRules, value: \"Theirs,others\"}"), "{}", door.message);
    assert_eq!(lane.clone().settle(&[], true).len(), 2, "ours are written one by one meanwhile");

    lane.exclusive = Some(said(&["theirs"]));
    assert!(lane.plan().door.unwrap().message.contains("value: \"others\""));
    lane.settle(&[], true);
    assert!(lane.shows("Theirs").is_none() && lane.shows("others").is_some());
    lane.exclusive = Some(said(&["theirs", "others"]));
    lane.settle(&[], true);
    assert_eq!((lane.plan().door, lane.observed.len()), (None, 2));
    lane.observed.push(active("later", "z.org"));
    assert!(lane.plan().door.unwrap().message.contains("value: \"later\""));
    assert_eq!(lane.plan().write, None);
    let many = (0..60).map(|n| active(&format!("stranger-with-a-very-long-name-{n:02}"), "x.org")).collect();
    let mut lane = Lane::new(vec![], many);
    lane.exclusive = Some(BTreeSet::new());
    let message = lane.plan().door.unwrap().message;
    let value = message.split("value: \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(value.len() <= 1024 && value.split(',').count() == 25, "as much as one acknowledgement takes: {value}");
}

#[test]
fn each_destination_is_one_objects_the_older_ones_unless_another_has_it_already() {
    let at = |created: &str, name: &str, body: RuleBody| Declared {
        created: created.into(),
        ..declared(name, Standing::Wanted(body))
    };
    let two = || vec![at("2026-02-02T00:00:00Z", "a-young", endpoint()), at("2026-01-01T00:00:00Z", "old", endpoint())];
    let mut lane = Lane::new(two(), vec![]);
    let write = lane.turn().write.unwrap();
    assert_eq!(write.names(), BTreeSet::from(["old".to_owned()]));
    let (word, message) = lane.word("a-young");
    assert_eq!(word, "ManagedElsewhere");
    assert!(message.contains("OutboundRule team/old"), "{message}");
    assert!(lane.word("old").1.contains("team/a-young"), "{}", lane.word("old").1);
    lane.apply(&write, true);
    assert_eq!((lane.plan().write, lane.word("old").0), (None, "Active"));
    // The older object goes: first its rule, then the other's comes.
    lane.declared[1].standing = Standing::Removing(Some(endpoint()));
    assert!(lane.word("a-young").1.contains("removed"), "{}", lane.word("a-young").1);
    let writes = lane.settle(&[], true);
    assert!(
        matches!(&writes[..], [RuleWrite::Delete { name }, RuleWrite::Put { name: other, .. }] if name == "old" && other == "a-young")
    );

    let lane = Lane::new(two(), vec![shown("a-young", &endpoint(), "Active")]);
    assert_eq!((lane.plan().write, lane.word("a-young").0), (None, "Active"), "a rebuilt cluster changes nothing");
    assert_eq!(lane.word("old").0, "ManagedElsewhere");
    // Who has no say holds nothing up.
    let mut objects = two();
    objects[1].entitled = false;
    objects[1].standing = Standing::Frozen(Verdict::new(Reason::NotAdmitted, ""));
    assert_eq!(Lane::new(objects, vec![]).plan().write.map(|write| write.names().len()), Some(1));
}

#[test]
fn a_destination_that_azure_or_a_stranger_has_is_named_before_azure_refuses_it() {
    let mut required = shown("__SYS_PE_lake_dfs_12345678", &endpoint(), "Active");
    required.properties.insert("category".into(), json!("Required"));
    let rule = || vec![declared("lake", Standing::Wanted(endpoint()))];
    let lane = Lane::new(rule(), vec![required]);
    assert_eq!((lane.word("lake").0, lane.plan().write), ("DestinationRefused", None));
    assert!(lane.word("lake").1.contains("__SYS_PE_lake_dfs"), "{}", lane.word("lake").1);
    let mut lane = Lane::new(rule(), vec![shown("theirs", &endpoint(), "Active")]);
    assert_eq!((lane.word("lake").0, lane.plan().write), ("ManagedElsewhere", None));
    assert!(lane.word("lake").1.contains("azureName: theirs"), "{}", lane.word("lake").1);
    lane.exclusive = Some(said(&["theirs"]));
    assert_eq!(lane.settle(&[], true).len(), 2, "with their rule gone, ours comes");
    // A host may be named twice; ARM takes that.
    let lane = Lane::new(vec![wanted("rule")], vec![active("theirs", "rule.org")]);
    assert!(lane.plan().write.is_some());
}

#[test]
fn a_rule_in_place_is_what_azure_makes_of_it() {
    for (status, network_active, word, writes) in [
        ("Active", true, "Active", false),
        ("Inactive", false, "Defined", false),
        ("Provisioning", true, "Updating", false),
        ("Failed", true, "AzureRefused", true),
        ("Failed", false, "AzureRefused", true),
        ("Inactive", true, "AzureRefused", true),
    ] {
        let mut rule = shown("lake", &endpoint(), status);
        rule.properties.insert("errorInformation".into(), json!("the subnet is full"));
        let mut lane = Lane::new(vec![declared("lake", Standing::Wanted(endpoint()))], vec![rule]);
        lane.network_active = network_active;
        let (found, message) = lane.word("lake");
        assert_eq!(found, word, "{status} {network_active}");
        assert_eq!(message.contains("the subnet is full"), word == "AzureRefused", "{message}");
        assert_eq!(lane.plan().write.is_some(), writes, "{status} {network_active}");
        lane.memory.nudged.insert("lake".into(), lane.now);
        assert_eq!(lane.plan().write, None, "{status}: not again at once");
        lane.wait(600);
        assert_eq!(lane.plan().write.is_some(), writes, "{status}: but in time");
    }
    let pending =
        Lane::new(vec![declared("lake", Standing::Wanted(endpoint()))], vec![shown("lake", &endpoint(), "Inactive")]);
    let pending = pending.with_role(RoleCheck::Missing);
    assert_eq!((pending.word("lake").0, pending.plan().write), ("ApproverRoleMissing", None));
}

mod properties;
mod rule_sets;
