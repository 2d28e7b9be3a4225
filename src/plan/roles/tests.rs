use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::common::Acknowledgement;
use crate::api::condition::ConditionStatus;
use crate::api::connection::AzureConnectionSpec;
use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::workspace::{AmlWorkspaceSpec, RolePolicy};
use crate::azure::authorization::{RoleAssignment, RoleDefinition};
use crate::azure::machine_learning::Workspace;
use crate::azure::private_link::Connection;
use crate::plan::fence::Fence;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const OURS: &str = "installation-1";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const BLOBS: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
const VAULT: &str = "00482a5a-887f-4fb3-b363-3b7fe8e74483";
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";

fn id(type_: &str, name: &str) -> ArmId {
    ArmId::of(SUB, "rg", type_, name).unwrap()
}

fn workspace_id() -> ArmId {
    id("Microsoft.MachineLearningServices/workspaces", "fraud")
}

fn user(name: &str) -> String {
    id("Microsoft.ManagedIdentity/userAssignedIdentities", name).to_string()
}

fn spec(identity: &Value) -> AmlWorkspaceSpec {
    serde_json::from_value(json!({
        "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
        "identity": identity, "publicNetworkAccess": "Disabled", "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
        "associatedResources": {
            "storageAccount": {"resourceId": id("Microsoft.Storage/storageAccounts", "data").as_str()},
            "keyVault": {"resourceId": id("Microsoft.KeyVault/vaults", "keys").as_str()},
            "applicationInsights": {"resourceId": id("Microsoft.Insights/components", "seen").as_str()},
            "containerRegistry": {"resourceId": id("Microsoft.ContainerRegistry/registries", "images").as_str()},
        },
    }))
    .unwrap()
}

fn shown(identity: &Value, properties: &Value) -> Workspace {
    Workspace::read(json!({"identity": identity, "properties": properties})).unwrap()
}

fn definition(actions: &[&str]) -> RoleDefinition {
    serde_json::from_value(json!({"permissions": [{"actions": actions}]})).unwrap()
}

fn definitions() -> BTreeMap<String, RoleDefinition> {
    let contributor = json!({"permissions": [{"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"]}]});
    let blobs = json!({"permissions": [{"actions": ["Microsoft.Storage/storageAccounts/blobServices/containers/read"],
        "dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"]}]});
    let vault = json!({"permissions": [{"actions": ["Microsoft.KeyVault/*/read"], "dataActions": ["Microsoft.KeyVault/vaults/*"]}]});
    BTreeMap::from([
        (CONTRIBUTOR.to_owned(), serde_json::from_value(contributor).unwrap()),
        (BLOBS.to_owned(), serde_json::from_value(blobs).unwrap()),
        (VAULT.to_owned(), serde_json::from_value(vault).unwrap()),
        (OWNER.to_owned(), definition(&["*"])),
    ])
}

fn assignment(role: &str) -> RoleAssignment {
    RoleAssignment {
        name: "somebody's".into(),
        scope: format!("/subscriptions/{SUB}"),
        role: role.into(),
        principal: "p".into(),
        description: String::new(),
        created_on: None,
    }
}

fn names(needs: &[Need]) -> Vec<String> {
    needs.iter().map(|need| format!("{}: {}", need.scope.name(), need.role.name)).collect()
}

#[test]
fn azure_assigns_what_a_system_assigned_identity_needs_and_nobody_what_a_user_assigned_one_does() {
    let spec = spec(&json!({"type": "SystemAssigned"}));
    assert_eq!(of_workspace(&workspace_id(), &spec, &IdentityKind::SystemAssigned, Some(true)), []);
    let user = IdentityKind::UserAssigned(user("ml"));
    let needs = of_workspace(&workspace_id(), &spec, &user, Some(true));
    assert_eq!(
        names(&needs),
        [
            "fraud: Contributor",
            "data: Contributor",
            "data: Storage Blob Data Contributor",
            "keys: Contributor",
            "keys: Key Vault Administrator",
            "images: Contributor",
            "seen: Contributor",
        ]
    );
    let by_policies = of_workspace(&workspace_id(), &spec, &user, Some(false));
    assert!(!names(&by_policies).contains(&"keys: Key Vault Administrator".to_owned()), "a policy does it there");
}

#[test]
fn a_target_has_to_be_read_and_approved_on() {
    let storage = of_target(&id("Microsoft.Storage/storageAccounts", "lake"));
    assert_eq!(names(&storage), ["lake: Azure AI Enterprise Network Connection Approver"]);
    assert_eq!(storage[0].actions.len(), 2);
    let registry = of_target(&id("microsoft.containerregistry/registries", "images"));
    assert_eq!(names(&registry), ["images: Azure AI Enterprise Network Connection Approver", "images: Reader"]);
    let factory = of_target(&id("Microsoft.DataFactory/factories", "f"));
    assert_eq!(factory[0].role.id, None, "no built-in role covers it");
    assert!(missing("p", &factory[0]).command.contains("<id of that role>"));
}

#[test]
fn any_role_that_does_is_accepted_wherever_it_comes_from() {
    let lake = id("Microsoft.Storage/storageAccounts", "lake");
    let approve = format!("{}/privateEndpointConnectionsApproval/action", lake.type_());
    let read = format!("{}/read", lake.type_());
    let mut known = definitions();
    known.insert("approves".into(), definition(&[&approve]));
    known.insert("reads".into(), definition(&[&read]));
    let target = &of_target(&lake)[0];
    let contributor = &of_workspace(
        &workspace_id(),
        &spec(&json!({"type": "SystemAssigned"})),
        &IdentityKind::UserAssigned(user("ml")),
        None,
    )[0];
    for (need, roles, want) in [
        (target, vec![], RoleCheck::Missing),
        (target, vec!["approves"], RoleCheck::Missing),
        (target, vec!["approves", "reads"], RoleCheck::Held),
        (target, vec![OWNER], RoleCheck::Held),
        (target, vec!["approves", "unreadable"], RoleCheck::Unknown),
        (contributor, vec![], RoleCheck::Missing),
        (contributor, vec![CONTRIBUTOR], RoleCheck::Held),
        (contributor, vec![OWNER], RoleCheck::Held),
        (contributor, vec!["reads"], RoleCheck::Missing),
        (contributor, vec!["unreadable"], RoleCheck::Unknown),
    ] {
        let assignments: Vec<RoleAssignment> = roles.iter().map(|role| assignment(role)).collect();
        assert_eq!(check(need, &assignments, &known), want, "{} with {roles:?}", need.role.name);
    }
}

#[test]
fn whose_the_acting_identity_is_comes_from_the_declaration_and_never_from_the_portal() {
    let identity = |value: Value| spec(&value).identity;
    let portal = json!({"type": "SystemAssigned,UserAssigned", "principalId": "system",
        "userAssignedIdentities": {user("ML"): {"principalId": "declared"}, user("evil"): {"principalId": "evil"}}});
    let shown = shown(&portal, &json!({"primaryUserAssignedIdentity": user("evil")}));
    let principal = |declared| acting(&identity(declared), &shown).map(|identity| identity.principal);
    assert_eq!(principal(json!({"type": "SystemAssigned"})).as_deref(), Some("system"));
    assert_eq!(
        principal(json!({"type": "UserAssigned", "userAssignedIdentities": [user("ml")]})).as_deref(),
        Some("declared")
    );
    let both = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user("ml")], "primaryUserAssignedIdentity": user("ml")});
    assert_eq!(principal(both).as_deref(), Some("declared"));
    let gone = json!({"type": "UserAssigned", "userAssignedIdentities": [user("gone")]});
    assert_eq!(principal(gone), None, "what Azure does not show has no object id");
}

/// A connection whose grants hold `verbs` for the team, and which lists `roles`.
fn connection(verbs: &[&str], roles: &[&str]) -> AzureConnectionSpec {
    let scope = format!("/subscriptions/{SUB}/resourceGroups/rg");
    let grants = if verbs.is_empty() {
        json!([])
    } else {
        json!([{"namespaces": {"names": ["team"]}, "scope": scope, "verbs": verbs}])
    };
    let listed = if roles.is_empty() { json!([]) } else { json!([{"scope": scope, "roleDefinitionIds": roles}]) };
    serde_json::from_value(json!({
        "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}}, "grants": grants, "grantableRoles": listed,
    }))
    .unwrap()
}

struct World {
    connection: AzureConnectionSpec,
    policy: RolePolicy,
    identity: Option<Identity>,
    needs: Vec<Checked>,
    in_use: Vec<String>,
    acting: Option<&'static str>,
    record: Record,
    acknowledge: Vec<Acknowledgement>,
}

fn identity(principal: &str) -> Identity {
    Identity { kind: IdentityKind::UserAssigned(user("ml")), principal: principal.into() }
}

impl World {
    fn new(verbs: &[&str], roles: &[&str]) -> Self {
        let spec = spec(&json!({"type": "UserAssigned", "userAssignedIdentities": [user("ml")]}));
        let needs = of_workspace(&workspace_id(), &spec, &identity("p").kind, Some(true));
        Self {
            connection: connection(verbs, roles),
            policy: RolePolicy::Grant,
            identity: Some(identity("p")),
            needs: needs.into_iter().map(|need| checked(need, RoleCheck::Missing, RoleCheck::Missing)).collect(),
            in_use: vec![],
            acting: Some("p"),
            record: Record::default(),
            acknowledge: vec![],
        }
    }

    fn plan(&self) -> Grants {
        let fence = Fence::new("contoso", &self.connection, "team", &BTreeMap::new());
        plan(GrantsInput {
            installation: OURS,
            policy: self.policy,
            identity: self.identity.as_ref(),
            needs: &self.needs,
            unchecked: None,
            in_use: &self.in_use,
            acting: self.acting,
            fence: &fence,
            connection: &self.connection,
            definitions: &definitions(),
            record: &self.record,
            acknowledge: &self.acknowledge,
            waits: &BTreeMap::new(),
        })
    }

    /// Carries out what was planned, as Azure and the ledger then show it.
    fn apply(&mut self, grants: &Grants) {
        if let Some(assign) = &grants.assign {
            self.record.pins.insert(assign.identity.clone(), assign.principal.clone());
            self.record.put(entry(&assign.scope, &assign.role, &assign.principal, assign.term.clone()));
            for one in &mut self.needs {
                if one.need.scope == assign.scope && one.need.role.id == Some(&assign.role) {
                    one.check = RoleCheck::Held;
                }
            }
        } else if let Some(TakeBack(entry)) = &grants.take_back {
            self.record.forget(entry);
        }
    }
}

fn checked(need: Need, check: RoleCheck, otherwise: RoleCheck) -> Checked {
    Checked { need, check, otherwise }
}

fn entry(scope: &ArmId, role: &str, principal: &str, term: Term) -> Entry {
    Entry {
        scope: scope.to_string(),
        role: role.into(),
        principal: principal.into(),
        identity: identity(principal).kind.key(),
        connection: "contoso".into(),
        tenant: SUB.into(),
        term,
        asked_at: at(0).to_string(),
        wish: "w".into(),
        before: vec![],
        turn: None,
        turn_since: String::new(),
        ends: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_role_is_assigned_only_with_verb_list_and_leave() {
    for (verbs, roles, policy, assigned, word) in [
        (vec!["grantRoles"], vec![CONTRIBUTOR], RolePolicy::Grant, true, "Assigning"),
        (vec!["grantRoles"], vec![CONTRIBUTOR], RolePolicy::Report, false, "RolesMissing"),
        (vec!["configure", "reach"], vec![CONTRIBUTOR], RolePolicy::Grant, false, "RolesMissing"),
        (vec!["grantRoles"], vec![VAULT], RolePolicy::Grant, true, "Assigning"),
        (vec!["grantRoles"], vec![OWNER], RolePolicy::Grant, false, "RolesMissing"),
        (vec!["grantRoles"], vec![], RolePolicy::Grant, false, "RolesMissing"),
    ] {
        let plan = World { policy, ..World::new(&verbs, &roles) }.plan();
        assert_eq!((plan.assign.is_some(), plan.ready.reason), (assigned, word), "{verbs:?} {roles:?}");
        assert_eq!(plan.missing.len(), 7, "what is missing is told all the same");
        if let Some(assign) = plan.assign {
            assert!(roles.contains(&assign.role.as_str()));
        }
    }
}

#[test]
fn a_role_that_can_assign_roles_is_never_assigned_under_any_name() {
    let connection = connection(&["grantRoles"], &[OWNER, VAULT]);
    let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
    let lake = id("Microsoft.Storage/storageAccounts", "lake");
    let roles = definitions();
    let may = |role: &str, definition| {
        is_grantable(&fence, &connection, &lake, role)
            .and_then(|()| is_harmless(&lake, role, definition))
            .map_err(|verdict| verdict.reason)
    };
    assert_eq!(may(OWNER, roles.get(OWNER)), Err(Reason::ScopeNotAllowed));
    assert_eq!(may(VAULT, roles.get(VAULT)), Ok(()));
    assert_eq!(may(VAULT, None), Err(Reason::AuthorizationFailed), "what cannot be read may allow anything");
}

#[test]
fn another_identity_under_the_same_name_gets_nothing_until_a_person_says_so() {
    let mut world = World::new(&["grantRoles"], &[CONTRIBUTOR]);
    world.record.pins.insert(identity("p").kind.key(), "before".into());
    let plan = world.plan();
    assert_eq!((plan.assign, plan.take_back, plan.ready.reason), (None, None, "IdentityChanged"));
    assert!(plan.ready.message.contains("{door: IdentityChanged, value: p}"), "{}", plan.ready.message);
    world.acknowledge = serde_json::from_value(json!([{"door": "IdentityChanged", "value": "p"}])).unwrap();
    assert!(world.plan().assign.is_some());
}

#[test]
fn ours_go_when_the_workspace_needs_them_no_more() {
    let mut world = World::new(&[], &[]);
    let old = id("Microsoft.ContainerRegistry/registries", "before");
    let needed = entry(&id("Microsoft.Storage/storageAccounts", "data"), CONTRIBUTOR, "p", Term::Needed);
    let stale = entry(&old, CONTRIBUTOR, "p", Term::Needed);
    let of_rule = entry(&old, VAULT, "p", Term::Standing);
    world.record.entries = vec![needed, of_rule, stale.clone()];
    assert_eq!(world.plan().take_back, Some(TakeBack(stale)), "that needs no grant any more");
    world.in_use = vec![old.key()];
    assert_eq!(world.plan().take_back, None, "Azure still has the workspace use it");
    world.in_use.clear();
    world.identity = None;
    assert_eq!(world.plan().take_back, None, "absence is no evidence");
}

#[test]
fn another_identity_leaves_the_former_one_nothing_on_what_is_still_used() {
    let mut world = World::new(&["grantRoles"], &[]);
    let data = id("Microsoft.Storage/storageAccounts", "data");
    let former = entry(&data, CONTRIBUTOR, "former", Term::Needed);
    world.record.entries = vec![former.clone()];
    world.in_use = vec![data.key()];
    for acting in [Some("former"), None] {
        world.acting = acting;
        assert_eq!(world.plan().take_back, None, "as long as Azure acts as it, or does not say: {acting:?}");
    }
    world.acting = Some("p");
    assert_eq!(world.plan().take_back, Some(TakeBack(former)));
}

#[test]
fn what_rests_on_anothers_claim_is_claimed_too() {
    let mut world = World::new(&["grantRoles"], &[CONTRIBUTOR]);
    for one in &mut world.needs {
        one.check = RoleCheck::Held;
        one.otherwise = RoleCheck::Held;
    }
    assert_eq!(world.plan().assign, None, "somebody outside made it: it is theirs");
    world.needs[1].otherwise = RoleCheck::Missing;
    let plan = world.plan();
    let assign = plan.assign.clone().expect("a claim of its own");
    assert_eq!((assign.scope.name(), assign.role.as_str(), assign.term.clone()), ("data", CONTRIBUTOR, Term::Needed));
    assert!(plan.missing.is_empty());
    world.apply(&plan);
    assert_eq!(world.plan().assign, None, "once");
    let claim = world.record.entries[0].clone();
    world.record.end(claim, End::Done);
    assert!(world.plan().assign.is_some(), "one that is being taken back claims nothing");
    world.policy = RolePolicy::Report;
    assert_eq!(world.plan().assign, None);
}

#[test]
fn access_to_the_key_is_told_and_not_guessed() {
    let mut with_key = spec(&json!({"type": "SystemAssigned"}));
    assert_eq!(of_key(&with_key), None);
    let vault = id("Microsoft.KeyVault/vaults", "secrets");
    let key = json!({"keyVault": {"resourceId": vault.as_str()}, "keyIdentifier": "https://secrets.vault.azure.net/keys/k/1",
        "userAssignedIdentity": user("reader")});
    with_key.encryption = Some(serde_json::from_value(key).unwrap());
    let told = of_key(&with_key).expect("a need");
    assert!(told.contains(&user("reader")) && told.contains(vault.as_str()), "{told}");
    assert!(
        !names(&of_workspace(&workspace_id(), &with_key, &IdentityKind::UserAssigned(user("ml")), None))
            .iter()
            .any(|need| need.starts_with("secrets"))
    );
}

#[test]
fn ours_are_known_by_name_and_description() {
    let lake = id("Microsoft.Storage/storageAccounts", "lake");
    let path = assignment_path(OURS, &lake, "P", "R");
    assert_eq!(
        path,
        assignment_path(OURS, &ArmId::parse(&lake.key()).unwrap(), "p", "r").replace(&lake.key(), lake.as_str())
    );
    assert_ne!(path, assignment_path("installation-2", &lake, "p", "r"));
    let name = path.rsplit('/').next().unwrap().to_owned();
    let one = RoleAssignment { name, role: "r".into(), description: description(OURS), ..assignment("r") };
    assert!(is_ours(&one, OURS, &lake));
    for other in [
        RoleAssignment { description: "mine now".into(), ..one.clone() },
        RoleAssignment { principal: "q".into(), ..one.clone() },
        RoleAssignment { name: "0".into(), ..one.clone() },
    ] {
        assert!(!is_ours(&other, OURS, &lake), "{other:?}");
    }
    assert!(!is_ours(&one, "installation-2", &lake));
}

#[test]
fn only_missing_roles_are_false_and_what_cannot_be_seen_is_unknown() {
    let mut world = World::new(&[], &[]);
    world.needs.iter_mut().for_each(|one| (one.check, one.otherwise) = (RoleCheck::Held, RoleCheck::Held));
    assert_eq!((world.plan().ready.status, world.plan().ready.reason), (ConditionStatus::True, "AllHeld"));
    world.needs[0].check = RoleCheck::Unknown;
    assert_eq!((world.plan().ready.status, world.plan().ready.reason), (ConditionStatus::Unknown, "RolesUnknown"));
    world.needs.clear();
    assert_eq!((world.plan().ready.status, world.plan().ready.reason), (ConditionStatus::True, "AssignedByAzure"));
}

proptest! {
    /// Whatever is granted and listed: no role is assigned without verb, list and declared identity, and what was planned, once
    /// carried out, is not planned again.
    #[test]
    fn nothing_is_assigned_without_verb_list_and_identity_and_all_comes_to_rest(
        verb in any::<bool>(), listed in proptest::sample::subsequence(vec![CONTRIBUTOR, BLOBS, VAULT, OWNER], 0..=4),
        policy in any::<bool>(), known in any::<bool>(), pinned in 0..3usize, held in proptest::collection::vec(any::<bool>(), 7),
        stale in 0..3usize,
    ) {
        let verbs: &[&str] = if verb { &["grantRoles"] } else { &["reach", "configure", "create", "approve"] };
        let mut world = World::new(verbs, &listed);
        world.policy = if policy { RolePolicy::Grant } else { RolePolicy::Report };
        world.identity = known.then(|| identity("p"));
        for (one, held) in world.needs.iter_mut().zip(&held) {
            one.check = if *held { RoleCheck::Held } else { RoleCheck::Missing };
            one.otherwise = one.check;
        }
        if pinned > 0 {
            world.record.pins.insert(identity("p").kind.key(), ["", "p", "other"][pinned].into());
        }
        for number in 0..stale {
            world.record.put(entry(&id("Microsoft.Storage/storageAccounts", &format!("old{number}")), CONTRIBUTOR, "p", Term::Needed));
        }
        let mut rounds = 0;
        loop {
            let plan = world.plan();
            if let Some(assign) = &plan.assign {
                prop_assert!(verb && policy && known && pinned != 2);
                prop_assert!(listed.contains(&assign.role.as_str()) && assign.role != OWNER);
                prop_assert_eq!(assign.principal.as_str(), "p");
                let lacking = |one: &Checked| {
                    one.check == RoleCheck::Missing && one.need.scope == assign.scope && one.need.role.id == Some(assign.role.as_str())
                };
                let lacked = world.needs.iter().any(lacking);
                prop_assert!(lacked);
            }
            if let Some(TakeBack(entry)) = &plan.take_back {
                prop_assert!(entry.scope.contains("/old") && known && pinned != 2);
            }
            if plan.assign.is_none() && plan.take_back.is_none() {
                prop_assert_eq!(world.plan(), plan);
                break;
            }
            world.apply(&plan);
            rounds += 1;
            prop_assert!(rounds <= 12, "it never comes to rest");
        }
    }
}

/// One target of the approver role, as it stands.
struct Case {
    rules: Vec<RuleOnTarget>,
    network_active: bool,
    otherwise: RoleCheck,
    shown: bool,
    claimed: bool,
    moved: bool,
    entry: Option<Entry>,
    spent: Option<Spent>,
    allowed: Result<(), Verdict>,
    now: i64,
}

fn rule(name: &str, active: bool) -> RuleOnTarget {
    RuleOnTarget {
        key: ObjectKey { namespace: "team".into(), name: name.into() },
        azure_name: name.into(),
        role: ApproverRole::Temporary,
        active,
        refused: false,
    }
}

fn lake() -> ArmId {
    id("Microsoft.Storage/storageAccounts", "lake")
}

impl Default for Case {
    fn default() -> Self {
        Self {
            rules: vec![rule("a", false), rule("b", false)],
            network_active: true,
            otherwise: RoleCheck::Missing,
            shown: false,
            claimed: false,
            moved: false,
            entry: None,
            spent: None,
            allowed: Ok(()),
            now: 10,
        }
    }
}

impl Case {
    fn step(&self) -> Approver {
        attend_target(ApproverInput {
            target: &lake(),
            rules: &self.rules,
            network_active: self.network_active,
            otherwise: self.otherwise,
            shown: self.shown,
            claimed: self.claimed,
            moved: self.moved,
            entry: self.entry.as_ref(),
            spent: self.spent.as_ref(),
            wish: "w",
            allowed: &self.allowed,
            effective: Duration::from_secs(600),
            now: at(self.now),
        })
    }

    fn reason(&self) -> Option<Reason> {
        match self.step() {
            Approver::Wait(Blocked(verdict)) => Some(verdict.reason),
            _ => None,
        }
    }
}

fn temporary(turn: Option<&str>) -> Entry {
    Entry { turn: turn.map(Into::into), ..entry(&lake(), "r", "p", Term::Until(at(3600).to_string())) }
}

#[test]
fn the_approver_role_is_assigned_only_when_everything_says_so() {
    let prepare = |assign| Approver::Prepare { rule: Some("a".into()), assign, standing: false };
    assert_eq!(Case::default().step(), prepare(true));
    assert_eq!(Case { network_active: false, ..Case::default() }.reason(), Some(Reason::WorkspaceNotReady));
    assert_eq!(Case { otherwise: RoleCheck::Unknown, ..Case::default() }.reason(), Some(Reason::Pending));
    let refused = || Err(Verdict::new(Reason::PolicyMissing, "none"));
    assert_eq!(Case { allowed: refused(), ..Case::default() }.reason(), Some(Reason::PolicyMissing));
    assert_eq!(
        Case { otherwise: RoleCheck::Held, allowed: refused(), ..Case::default() }.step(),
        Approver::Usual,
        "somebody else did"
    );
    let active = vec![rule("a", true), rule("b", true)];
    assert_eq!(Case { rules: active, ..Case::default() }.step(), Approver::Usual, "there is nothing to approve");
}

#[test]
fn one_rule_at_a_time_is_written_and_proven_and_then_the_role_goes() {
    let with = |rules, turn, shown| Case { rules, entry: Some(temporary(turn)), shown, ..Case::default() }.step();
    let open = || vec![rule("a", false), rule("b", false)];
    assert_eq!(
        with(open(), Some("a"), false),
        Approver::Prepare { rule: Some("a".into()), assign: true, standing: false }
    );
    assert_eq!(with(open(), Some("a"), true), Approver::Write { rule: "a".into() });
    let half = || vec![rule("a", true), rule("b", false)];
    assert_eq!(with(half(), Some("a"), true), Approver::Prove { rule: "a".into() });
    assert_eq!(with(half(), None, true), Approver::Prepare { rule: Some("b".into()), assign: false, standing: false });
    let done = || vec![rule("a", true), rule("b", true)];
    assert_eq!(with(done(), Some("b"), true), Approver::Prove { rule: "b".into() });
    assert_eq!(with(done(), None, true), Approver::End(End::Done));
    assert_eq!(with(vec![], Some("b"), true), Approver::End(End::Done), "the rules are gone");
}

#[test]
fn the_role_goes_at_its_deadline_and_when_what_allowed_it_is_gone() {
    let case = |now, allowed, entry| Case { now, allowed, entry: Some(entry), shown: true, ..Case::default() }.step();
    assert_eq!(case(3599, Ok(()), temporary(Some("a"))), Approver::Write { rule: "a".into() });
    assert_eq!(case(3600, Ok(()), temporary(Some("a"))), Approver::End(End::Expired));
    let unreadable = Entry { term: Term::Until("soon".into()), ..temporary(Some("a")) };
    assert_eq!(case(1, Ok(()), unreadable), Approver::End(End::Expired), "an end that cannot be read is over");
    let refused = || Err(Verdict::new(Reason::ScopeNotAllowed, "no"));
    assert_eq!(case(1, refused(), temporary(Some("a"))), Approver::End(End::Revoked));
    let forgotten = Case { shown: true, ..Case::default() };
    assert_eq!(forgotten.step(), Approver::End(End::Revoked), "nobody remembers its deadline");
    let anothers = Case { shown: true, claimed: true, ..Case::default() };
    assert_eq!(anothers.step(), Case::default().step(), "what another claim keeps is neither taken nor relied on");
    let standing = Entry { term: Term::Standing, ..temporary(Some("a")) };
    assert_eq!(case(1, Ok(()), standing), Approver::End(End::Done), "the rules ask for a temporary one now");
}

#[test]
fn refusals_say_nothing_for_ten_minutes_and_then_the_role_goes() {
    let refused = || vec![RuleOnTarget { refused: true, ..rule("a", false) }];
    let case =
        |now| Case { rules: refused(), now, entry: Some(temporary(Some("a"))), shown: true, ..Case::default() }.step();
    assert_eq!(case(599), Approver::Write { rule: "a".into() });
    assert_eq!(case(600), Approver::End(End::Failed));
    for (end, want) in [(End::Failed, Reason::ApproverRoleMissing), (End::Expired, Reason::ApproverRoleExpired)] {
        let spent = |wish: &str| Some(Spent { scope: lake().to_string(), wish: wish.into(), end });
        assert_eq!(Case { spent: spent("w"), ..Case::default() }.reason(), Some(want));
        assert!(matches!(Case { spent: spent("another"), ..Case::default() }.step(), Approver::Prepare { .. }));
    }
}

#[test]
fn a_standing_role_stays_as_long_as_a_rule_asks_for_it() {
    let standing = |active| vec![RuleOnTarget { role: ApproverRole::Standing, ..rule("a", active) }];
    let entry = || Some(Entry { term: Term::Standing, ..temporary(None) });
    let case = |rules, shown, now| Case { rules, entry: entry(), shown, now, ..Case::default() }.step();
    assert_eq!(case(standing(true), true, 999_999), Approver::Usual);
    assert_eq!(
        case(standing(true), false, 1),
        Approver::Prepare { rule: None, assign: true, standing: true },
        "somebody took it away"
    );
    assert_eq!(case(vec![], true, 1), Approver::End(End::Done));
    let with = |rules, entry, otherwise| Case { rules, entry, otherwise, shown: true, ..Case::default() }.step();
    assert_eq!(
        with(standing(true), None, RoleCheck::Missing),
        Approver::Prepare { rule: None, assign: true, standing: true },
        "a lost ledger: it has no deadline, and is claimed anew"
    );
    for shown in [true, false] {
        let own = Case { rules: standing(true), entry: entry(), otherwise: RoleCheck::Held, shown, ..Case::default() };
        assert_eq!(own.step(), Approver::End(End::Done), "the target has become the workspace's own, shown: {shown}");
    }
    let moved = Case { rules: standing(true), entry: entry(), moved: true, shown: true, ..Case::default() };
    assert_eq!(
        moved.step(),
        Approver::Prepare { rule: None, assign: true, standing: true },
        "another connection answers for it now: it stays, and is claimed through that one"
    );
    let gone = Some(Entry { turn: Some("gone".into()), ..entry().unwrap() });
    assert_eq!(
        with(standing(true), gone, RoleCheck::Missing),
        Approver::Prepare { rule: None, assign: false, standing: true },
        "the turn of a rule that is gone is over"
    );
}

#[test]
fn exactly_one_new_connection_is_the_rules_own() {
    let connection = |name: &str, state: &str| {
        Connection::read(&json!({"name": name, "properties": {"privateEndpoint": {"id": format!("/pe/{name}")},
            "privateLinkServiceConnectionState": {"status": state}}}))
        .unwrap()
    };
    let before = vec![written(&connection("old", "Approved"))];
    let look = |new: &[(&str, &str)]| {
        let now: Vec<Connection> = new.iter().map(|(name, state)| connection(name, state)).collect();
        newly_approved(&before, &now, |one| one.name == "decided").map(written)
    };
    assert_eq!(look(&[("old", "Approved"), ("a", "Approved"), ("b", "Pending")]), Ok("a /pe/a".into()));
    assert_eq!(look(&[("old", "Approved"), ("a", "Approved"), ("decided", "Approved")]), Ok("a /pe/a".into()));
    assert_eq!(look(&[("old", "Approved")]), Err(Surprise::None));
    assert_eq!(
        look(&[("a", "Approved"), ("b", "Approved")]),
        Err(Surprise::Several(vec!["a /pe/a".into(), "b /pe/b".into()]))
    );
}

/// What the cluster asks for: as `ml`, role `r` on the lake.
fn asked() -> Asked {
    Asked { role: "r".into(), identity: identity("p").kind.key(), targets: [lake().key()].into() }
}

#[test]
fn what_no_live_object_asks_for_ends_and_what_a_workspace_works_with_does_not() {
    let of = |term| entry(&lake(), "r", "p", term);
    let standing = || of(Term::Standing);
    let now = at(10);
    assert_eq!(due(&standing(), &[asked()], now), None);
    let elsewhere = Asked { targets: [id("Microsoft.Storage/storageAccounts", "pond").key()].into(), ..asked() };
    for (what, asks) in [
        ("nobody is there, can be read or is let through", vec![]),
        ("the rule leads elsewhere, or is refused", vec![elsewhere]),
        ("another role is the approver role now", vec![Asked { role: "s".into(), ..asked() }]),
        ("the workspace acts as another identity", vec![Asked { identity: "SystemAssigned".into(), ..asked() }]),
    ] {
        assert_eq!(due(&standing(), &asks, now), Some(End::Revoked), "{what}");
        assert_eq!(due(&of(Term::Until(at(99).to_string())), &asks, now), Some(End::Revoked), "{what}");
        assert_eq!(due(&of(Term::Needed), &asks, now), None, "{what}");
    }
    assert_eq!(due(&standing(), &[Asked::default(), asked()], now), None, "one is enough");
    assert_eq!(due(&of(Term::Until(at(10).to_string())), &[asked()], now), Some(End::Expired));
    let ending = Entry { ends: Some(End::Failed), ..of(Term::Needed) };
    assert_eq!(due(&ending, &[asked()], now), Some(End::Failed), "what has begun to end ends");
}

fn record(workspace: &str, entries: Vec<Entry>) -> Record {
    Record { workspace: workspace.into(), entries, ..Record::default() }
}

#[test]
fn an_assignment_stays_with_whoever_else_has_a_claim_on_it() {
    let needed = entry(&lake(), "R", "P", Term::Needed);
    let standing = entry(&ArmId::parse(&lake().key()).unwrap(), "r", "p", Term::Standing);
    let ended = |entry: &Entry| Entry { ends: Some(End::Done), ..entry.clone() };
    let kept = |records: &[Record]| is_kept(&ended(&standing), "/A", records);
    assert!(!kept(&[record("/a", vec![standing.clone()])]), "its own claim does not keep it");
    assert!(kept(&[record("/a", vec![ended(&standing), needed.clone()])]), "the workspace itself works with it");
    assert!(kept(&[record("/a", vec![]), record("/b", vec![standing.clone()])]), "another workspace");
    assert!(!kept(&[record("/b", vec![ended(&standing), ended(&needed)])]), "who gives it up as well");
    for other in [entry(&lake(), "s", "p", Term::Standing), entry(&lake(), "r", "q", Term::Standing)] {
        assert!(!kept(&[record("/b", vec![other])]), "another assignment");
    }
    let mut both = record("/a", vec![standing.clone()]);
    both.put(needed.clone());
    both.put(standing.clone());
    assert_eq!(both.entries.len(), 2, "one claim of each sort");
    both.forget(&standing);
    assert_eq!(both.entries, [needed]);
}

#[test]
fn one_workspace_at_a_time_has_its_turn_on_a_target() {
    let most = Duration::from_secs(3600);
    let taken = |entry: Entry, now| is_taken(&lake(), "/a", [&record("/b", vec![entry])], most, at(now));
    let standing = |turn: Option<&str>| Entry {
        turn: turn.map(Into::into),
        turn_since: at(0).to_string(),
        ..entry(&lake(), "r", "q", Term::Standing)
    };
    assert!(taken(standing(Some("rule")), 10));
    assert!(!taken(standing(None), 10), "it is out, and nothing is written with it");
    assert!(!taken(standing(Some("rule")), 3600), "nothing comes of it");
    assert!(taken(temporary(None), 10) && !taken(temporary(None), 3600), "a temporary one is for writing");
    assert!(!taken(Entry { ends: Some(End::Done), ..temporary(Some("rule")) }, 10));
    assert!(!taken(entry(&lake(), "r", "q", Term::Needed), 10));
    assert!(!is_taken(&lake(), "/A", [&record("/a", vec![temporary(None)])], most, at(10)), "its own");
    let before = Entry { before: vec!["old /pe".into()], ..standing(Some("rule")) };
    let record = record("/b", vec![before.clone(), standing(None)]);
    assert_eq!(turns_on(&lake(), [&record], most, at(10)), [before.before.as_slice()]);
}
