use serde_json::{Value, json};

use super::*;
use crate::api::common::{Acknowledgement, Door};
use crate::api::condition::ConditionStatus::{False, True, Unknown};
use crate::api::{AmlWorkspace, OWNER_TAG, SynapseLink};
use crate::plan::attached::{Farewell, View};
use crate::plan::fence::Fence;
use crate::plan::ownership::Origin;
use crate::plan::roles::RoleCheck;

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const FOREIGN: &str = "99999999-0000-0000-0000-00000000000f";
const UID: &str = "11111111-2222-3333-4444-000000000001";
const PRINCIPAL: &str = "22222222-2222-3333-4444-000000000001";
const PAUSE: Duration = Duration::from_secs(30);
const EFFECTIVE: Duration = Duration::from_secs(600);

fn id(type_: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/rg/providers/{type_}/{name}")
}

fn aml() -> ArmId {
    ArmId::parse(&id("Microsoft.MachineLearningServices/workspaces", "fraud")).unwrap()
}

fn synapse() -> ArmId {
    ArmId::parse(&id("Microsoft.Synapse/workspaces", "analytics")).unwrap()
}

fn owner() -> Owner {
    Owner { installation: "i".into(), kind: "SynapseLink", namespace: "team".into(), name: "analytics".into() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn workspace() -> AmlWorkspace {
    serde_json::from_value(json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace",
        "metadata": {"name": "fraud", "namespace": "team"}, "spec": {
            "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
            "identity": {"type": "SystemAssigned"}, "publicNetworkAccess": "Disabled",
            "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
            "associatedResources": {
                "storageAccount": {"resourceId": id("Microsoft.Storage/storageAccounts", "data")},
                "keyVault": {"resourceId": id("Microsoft.KeyVault/vaults", "keys")},
            },
        },
    }))
    .unwrap()
}

fn connection(name: &str, endpoint: &str, state: &str) -> Connection {
    Connection::read(&json!({"name": name, "properties": {"privateEndpoint": {"id": endpoint},
        "privateLinkServiceConnectionState": {"status": state}}}))
    .unwrap()
}

/// The id that Synapse's endpoint `name` has on its target.
fn endpoint_of(name: &str) -> String {
    format!(
        "/subscriptions/{FOREIGN}/resourceGroups/vnet-9-w-1-rg/providers/Microsoft.Network/privateEndpoints/analytics.{name}"
    )
}

/// A small Azure, and a link in it.
struct Case {
    object: SynapseLink,
    workspace: AmlWorkspace,
    view: View,
    connection: AzureConnectionSpec,
    observed: Observed,
    /// The targets' connections.
    targets: BTreeMap<String, Vec<Connection>>,
    now: Timestamp,
    observes: bool,
    drawn: u8,
    imitations: Vec<(String, String)>,
}

impl Case {
    fn of(spec: &Value) -> Self {
        let mut all =
            json!({"workspaceRef": {"name": "fraud"}, "synapseWorkspace": {"resourceId": synapse().as_str()}});
        for (key, value) in spec.as_object().unwrap() {
            all[key] = value.clone();
        }
        let object = serde_json::from_value(json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "SynapseLink",
            "metadata": {"name": "analytics", "namespace": "team"}, "spec": all,
        }))
        .unwrap();
        let connection = json!({
            "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}},
            "grants": [{"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}/resourceGroups/rg"),
                "verbs": ["create", "reach", "grantRoles"]}],
            "grantableRoles": [{"scope": format!("/subscriptions/{SUB}"), "roleDefinitionIds": [CONTRIBUTOR]}],
        });
        let shown = serde_json::from_value(json!({"location": "westeurope", "properties": {
            "workspaceId": "fb7e20a0", "discoveryUrl": "https://westeurope.api.azureml.ms/discovery"}}))
        .unwrap();
        let mut case = Self {
            object,
            workspace: workspace(),
            view: View { workspace: Some(shown), rules: Vec::new() },
            connection: serde_json::from_value(connection).unwrap(),
            observed: Observed {
                synapse: Some(serde_json::from_value(json!({
                    "name": "analytics", "location": "westeurope",
                    "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL, "tenantId": SUB},
                    "properties": {"workspaceUID": UID, "provisioningState": "Succeeded", "managedVirtualNetwork": "default"},
                })).unwrap()),
                record: Record::of("team/analytics", synapse().as_str()),
                ..Observed::default()
            },
            targets: BTreeMap::new(),
            now: at(0),
            observes: false,
            drawn: 0,
            imitations: Vec::new(),
        };
        case.observed.role.check = RoleCheck::Missing;
        case
    }

    fn with<T>(&self, run: impl FnOnce(&Site<'_>) -> T) -> T {
        let labels = BTreeMap::new();
        let owner = owner();
        let fence = Fence::new("contoso", &self.connection, "team", &labels);
        run(&Site {
            owner: &owner,
            fence: &fence,
            workspace: &self.workspace,
            id: &aml(),
            view: &self.view,
            observes: self.observes,
            now: self.now,
        })
    }

    fn wanted(&self) -> Vec<Wanted> {
        wanted(&self.object.spec, &self.workspace.spec, &aml(), self.view.workspace.as_ref().unwrap()).unwrap()
    }

    fn pins(&self) -> LinkPins {
        pins_now(self.view.workspace.as_ref().unwrap(), self.observed.synapse.as_ref().unwrap()).unwrap()
    }

    /// What the edge does before a decision: it takes in what both sides show.
    fn look(&mut self) {
        let wanted = self.wanted();
        let mut record = std::mem::take(&mut self.observed.record);
        if check_pins(&record, &self.pins(), &self.object.spec.acknowledge).is_ok() {
            if record.pins.is_some() {
                record.pin(&self.pins());
            }
            record.prepare("uid", "", &wanted);
            record.forget_gone(&self.observed.endpoints);
            for one in &wanted {
                let Some(asked) = record.asked(one).cloned() else { continue };
                let shown = self.observed.endpoints.iter().find(|shown| Some(&shown.name) == asked.name.as_ref());
                let Some(shown) = shown.filter(|shown| !shown.state().is_empty()) else { continue };
                let listing = self.targets.get(&one.target.key()).cloned().unwrap_or_default();
                let advanced = advance(&asked, shown, &listing, self.now, PAUSE);
                self.imitations.extend(advanced.imitations);
                *record.asked_mut(one) = advanced.asked;
                self.observed.listings.insert(one.target.key(), listing);
            }
        } else {
            record.distrust();
        }
        self.observed.record = record;
    }

    fn drawn(&self) -> BTreeMap<String, String> {
        let name = |(at, one): (usize, &Wanted)| {
            let noise = [self.drawn.wrapping_mul(16).wrapping_add(u8::try_from(at).unwrap()); 32];
            (key_of(one), names::random(&prefix(&owner()), noise))
        };
        self.wanted().iter().enumerate().map(name).collect()
    }

    fn plan(&self) -> Decided<SynapseLinkStatus> {
        let drawn = self.drawn();
        self.with(|site| {
            plan(SynapseInput {
                site,
                synapse: &synapse(),
                spec: &self.object.spec,
                policies: Policies {
                    workspace_ref: &self.object.spec.workspace_ref,
                    management: Default::default(),
                    deletion: crate::api::common::DeletionPolicy::Delete,
                    adoption: self.object.spec.adoption.unwrap_or_default(),
                    suspend: false,
                    acknowledge: &self.object.spec.acknowledge,
                },
                connection: &self.connection,
                observed: &self.observed,
                drawn: &drawn,
                waits: Waits { pause: PAUSE, role_effective: EFFECTIVE },
            })
        })
    }

    fn turn(&mut self) -> Decided<SynapseLinkStatus> {
        self.look();
        self.plan()
    }

    /// What becomes of `step`, ledger first.
    fn carry_out(&mut self, step: &Step) {
        let request = &step.request;
        let name = request.id.rsplit('/').next().unwrap().to_owned();
        if self.observed.record.pins.is_none() {
            self.observed.record.pins = Some(self.pins());
        }
        if request.id.contains("/linkedservices/") {
            self.observed.linked_services.retain(|service| service.name != name);
            if let Some(mut body) = request.body.clone() {
                body["name"] = json!(name);
                self.observed.record.wrote_linked_service = true;
                self.observed.linked_services.push(serde_json::from_value(body).unwrap());
            }
        } else if request.id.contains("/managedPrivateEndpoints/") {
            self.observed.endpoints.retain(|endpoint| endpoint.name != name);
            self.targets.values_mut().for_each(|all| all.retain(|one| one.endpoint != endpoint_of(&name)));
            if let Some(mut body) = request.body.clone() {
                let drawn = self.drawn();
                for one in self.wanted() {
                    if drawn.get(&key_of(&one)) == Some(&name) {
                        let listing = self.targets.get(&one.target.key()).cloned().unwrap_or_default();
                        let asked = self.observed.record.asked_mut(&one);
                        (asked.name, asked.baseline) = (Some(name.clone()), listing.iter().map(mark).collect());
                    }
                }
                self.drawn += 1;
                let target = body["properties"]["privateLinkResourceId"].as_str().unwrap().to_lowercase();
                let raised = connection(&format!("c.{name}"), &endpoint_of(&name), "Pending");
                self.targets.entry(target).or_default().push(raised);
                body["name"] = json!(name);
                body["properties"]["connectionState"] = json!({"status": "Pending"});
                body["properties"]["provisioningState"] = json!("Succeeded");
                self.observed.endpoints.push(serde_json::from_value(body).unwrap());
            }
        } else if request.id.contains("/roleAssignments/") {
            self.observed.role.check = if request.method == "PUT" { RoleCheck::Held } else { RoleCheck::Missing };
            self.observed.role.since = Some(self.now);
            self.observed.stale_roles.clear();
        } else {
            let mut body = request.body.clone().unwrap();
            body["name"] = json!(name);
            self.observed.pools.push(serde_json::from_value(body).unwrap());
        }
    }

    /// The policy approves whatever the link says is its own.
    fn approve(&mut self) {
        for asked in self.observed.record.endpoints.clone() {
            let Some(own) = asked.own() else { continue };
            for one in self.targets.values_mut().flatten().filter(|one| own.is(one)) {
                one.state = "Approved".into();
                for shown in &mut self.observed.endpoints {
                    if asked.name.as_ref() == Some(&shown.name) {
                        shown.properties.connection_state.as_mut().unwrap().status = Some("Approved".into());
                    }
                }
            }
        }
    }

    fn turn_and_carry_out(&mut self) -> Decided<SynapseLinkStatus> {
        let decided = self.turn();
        for step in &decided.steps {
            self.carry_out(step);
        }
        decided
    }

    /// Goes on until the link is verified; the reasons on the way.
    fn settle(&mut self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for _ in 0..40 {
            let decided = self.turn_and_carry_out();
            if reasons.last() != Some(&decided.verdict.reason) {
                reasons.push(decided.verdict.reason);
            }
            match decided.verdict.reason {
                Reason::Verified => return reasons,
                Reason::ApprovalPending => self.approve(),
                Reason::RoleMissing => {
                    self.observed.role.check = RoleCheck::Held;
                    self.observed.role.since = Some(self.now);
                }
                _ => {}
            }
            self.now += decided.verdict.after.unwrap_or(Duration::from_secs(1));
        }
        panic!("never verified: {reasons:?}");
    }

    fn own_name(&self) -> String {
        self.observed.record.endpoints[0].name.clone().unwrap()
    }

    /// Somebody raises a connection on the workspace under the link's own name.
    fn imitate(&mut self, name: &str, which: &str) -> Connection {
        let theirs = format!(
            "/subscriptions/{FOREIGN}/resourceGroups/{which}/providers/Microsoft.Network/privateEndpoints/analytics.{name}"
        );
        let twin = connection(&format!("twin.{which}"), &theirs, "Pending");
        self.targets.entry(aml().key()).or_default().push(twin.clone());
        twin
    }

    fn is_own(&self, connection: &Connection) -> bool {
        self.observed.record.endpoints.iter().filter_map(Asked::own).any(|own| own.is(connection))
    }
}

fn statuses(decided: &Decided<SynapseLinkStatus>) -> Vec<ConditionStatus> {
    let types: Vec<&str> = decided.conditions.iter().map(|condition| condition.type_).collect();
    assert_eq!(types, CONDITIONS, "each once, in the order of the steps");
    decided.conditions.iter().map(|condition| condition.status).collect()
}

fn paths(decided: &Decided<SynapseLinkStatus>) -> Vec<String> {
    decided.steps.iter().map(|step| format!("{} {}", step.request.method, step.request.id)).collect()
}

#[test]
fn from_nothing_to_verified_each_step_after_the_other() {
    let mut case = Case::of(&json!({}));
    let first = case.turn_and_carry_out();
    assert_eq!(statuses(&first), [True, True, False, Unknown, Unknown, False, Unknown]);
    let service = linked_service_name(&owner(), &case.object.spec);
    assert_eq!(paths(&first), [format!("PUT synapse://analytics/linkedservices/{service}")]);
    assert!(service.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{service}");
    let body = first.steps[0].request.body.clone().unwrap();
    assert_eq!(body["properties"]["typeProperties"]["authentication"], "MSI");
    assert!(!body.to_string().to_lowercase().contains("key"), "no secret: {body}");
    let second = case.turn_and_carry_out();
    assert_eq!(statuses(&second), [True, True, True, False, Unknown, False, Unknown]);
    assert_eq!(second.steps.len(), 1);
    assert!(second.steps[0].request.id.contains("/managedPrivateEndpoints/analytics-"), "{:?}", paths(&second));
    let third = case.turn();
    assert_eq!(statuses(&third), [True, True, True, True, False, False, Unknown]);
    assert_eq!((third.verdict.reason, third.verdict.after), (Reason::Attributing, Some(PAUSE)));
    assert!(third.status.missing_roles[0].command.contains(PRINCIPAL), "the role is told from the beginning");
    case.now = at(30);
    let fourth = case.turn();
    assert_eq!(fourth.verdict.reason, Reason::ApprovalPending);
    assert!(
        fourth.verdict.message.contains("synapseLinkRef: {name: analytics, namespace: team}"),
        "{}",
        fourth.verdict.message
    );
    case.approve();
    let fifth = case.turn();
    assert_eq!(statuses(&fifth), [True, True, True, True, True, False, Unknown]);
    assert_eq!(
        (fifth.verdict.reason, fifth.steps.len()),
        (Reason::RoleMissing, 0),
        "Contributor is not granted by default"
    );
    case.observed.role = RoleSeen { check: RoleCheck::Held, since: Some(case.now), ..RoleSeen::default() };
    let sixth = case.turn();
    assert_eq!(statuses(&sixth), [True, True, True, True, True, True, False]);
    assert_eq!(
        (sixth.verdict.reason, sixth.verdict.after),
        (Reason::RoleSettling, Some(EFFECTIVE)),
        "waited for, not failed"
    );
    case.now = at(630);
    let last = case.turn();
    assert_eq!(statuses(&last), [True; 7]);
    assert_eq!((last.verdict.reason, last.steps.len()), (Reason::Verified, 0));
    let cell = last.status.verify_with.unwrap();
    assert!(cell.contains(&format!("getWorkspace(\"{service}\")")), "{cell}");
    assert!(cell.contains("fb7e20a0.workspace.westeurope.api.azureml.ms"), "{cell}");
    assert_eq!(last.status.approved.as_deref(), Some("1/1"));
}

#[test]
fn what_cannot_work_stops_at_its_step_with_nothing_made() {
    for (change, at, reason) in [
        (
            json!({"managedVirtualNetworkSettings": {"preventDataExfiltration": true}}),
            0,
            Reason::ExfiltrationProtectionOn,
        ),
        (json!({"managedVirtualNetwork": ""}), 1, Reason::ManagedVnetMissing),
    ] {
        let mut case = Case::of(&json!({"sparkPool": {"azureName": "spark1", "sparkVersion": "3.4"}}));
        let mut properties = json!({"workspaceUID": UID, "managedVirtualNetwork": "default"});
        for (key, value) in change.as_object().unwrap() {
            properties[key] = value.clone();
        }
        case.observed.synapse.as_mut().unwrap().properties = serde_json::from_value(properties).unwrap();
        let decided = case.turn();
        assert_eq!((decided.verdict.reason, decided.steps.len()), (reason, 0));
        let statuses = statuses(&decided);
        assert_eq!(statuses[at], False);
        assert!(statuses[at + 1..].iter().all(|status| *status == Unknown), "{statuses:?}");
    }
    let mut case = Case::of(&json!({}));
    case.observed.synapse = None;
    let decided = case.plan();
    assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::ParentMissing, 0));
    assert!(statuses(&decided).iter().all(|status| *status == Unknown));
}

#[test]
fn each_extra_endpoint_is_asked_for_and_made_sure_by_itself() {
    let mut case = Case::of(&json!({"extraEndpoints": ["dfs", "vault"]}));
    assert_eq!(case.settle().last(), Some(&Reason::Verified));
    let names: std::collections::BTreeSet<_> =
        case.observed.record.endpoints.iter().map(|asked| asked.name.clone().unwrap()).collect();
    assert_eq!(names.len(), 3);
    assert_eq!(case.turn().status.approved.as_deref(), Some("3/3"));
    // One that is not asked for any more goes, and no other.
    case.object.spec.extra_endpoints.pop();
    let decided = case.turn();
    assert_eq!(decided.steps.len(), 1);
    assert!(decided.steps[0].removes() && decided.steps[0].request.id.contains("/managedPrivateEndpoints/"));
    case.carry_out(&decided.steps[0].clone());
    assert_eq!(case.turn().verdict.reason, Reason::Verified);
    let mut lacks = Case::of(&json!({"extraEndpoints": ["registry"]}));
    lacks.observed.record = Record::default();
    let shown = lacks.view.workspace.clone().unwrap();
    let refused = wanted(&lacks.object.spec, &lacks.workspace.spec, &aml(), &shown).unwrap_err();
    assert!(refused.message.contains("registry"), "{}", refused.message);
}

#[test]
fn a_twin_is_never_taken_for_ours_whenever_it_comes() {
    // With ours: between the first list and the second.
    let mut with = Case::of(&json!({}));
    (0..3).for_each(|_| drop(with.turn_and_carry_out()));
    let name = with.own_name();
    let twin = with.imitate(&name, "with");
    with.now = at(30);
    let decided = with.turn_and_carry_out();
    assert_eq!(with.imitations.len(), 2, "nobody can tell which is which: {:?}", with.imitations);
    assert!(
        paths(&decided).iter().any(|path| path.starts_with("DELETE") && path.ends_with(&name)),
        "{:?}",
        paths(&decided)
    );
    assert_ne!(with.own_name(), name, "asked for anew under another name");
    assert_eq!(with.settle().last(), Some(&Reason::Verified));
    assert!(!with.is_own(&twin));
    assert_eq!(with.targets[&aml().key()].iter().filter(|one| one.is_approved()).count(), 1);

    // Before ours: the name is known to somebody before Synapse says that ours waits.
    let mut before = Case::of(&json!({}));
    (0..2).for_each(|_| drop(before.turn_and_carry_out()));
    let name = before.own_name();
    before.targets.clear();
    before.observed.endpoints[0].properties.connection_state = None;
    let twin = before.imitate(&name, "before");
    assert_eq!(before.turn().verdict.reason, Reason::Creating);
    before.observed.endpoints[0].properties.connection_state =
        Some(crate::azure::synapse::ConnectionState { status: Some("Pending".into()), description: None });
    before.targets.get_mut(&aml().key()).unwrap().push(connection("c.late", &endpoint_of(&name), "Pending"));
    drop(before.turn_and_carry_out());
    assert_ne!(before.own_name(), name);
    assert_eq!(before.settle().last(), Some(&Reason::Verified));
    assert!(!before.is_own(&twin) && before.imitations.len() == 2);

    // After ours is in: it is told, and ours goes on.
    let mut after = Case::of(&json!({}));
    after.settle();
    let name = after.own_name();
    let twin = after.imitate(&name, "after");
    let decided = after.turn();
    assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::Verified, 0));
    assert_eq!((after.own_name(), after.imitations.len()), (name, 1));
    assert!(!after.is_own(&twin) && decided.status.endpoints[0].twins == Some(1));
    let approved = decided.conditions.iter().find(|condition| condition.type_ == APPROVED).unwrap();
    assert!(approved.message.contains("1 more"), "{}", approved.message);
    after.turn();
    assert_eq!(after.imitations.len(), 1, "told once");
}

#[test]
fn whoever_imitates_every_name_gets_nothing_and_is_told_of_at_last() {
    let mut case = Case::of(&json!({}));
    for round in 0..NAMES {
        loop {
            let decided = case.turn_and_carry_out();
            if decided.verdict.reason == Reason::Attributing {
                break;
            }
        }
        let name = case.own_name();
        case.imitate(&name, &format!("twin{round}"));
        case.now += PAUSE;
    }
    let decided = case.turn_and_carry_out();
    assert_eq!(decided.verdict.reason, Reason::Imitated);
    assert!(decided.steps.iter().all(Step::removes), "{:?}", paths(&decided));
    assert!(
        case.observed.endpoints.is_empty() && case.observed.record.endpoints.iter().all(|asked| asked.own().is_none())
    );
    assert!(case.turn().steps.is_empty(), "it is not tried for ever");
    case.observed.record.prepare("uid", "again", &case.wanted());
    let again = case.plan();
    assert_eq!(again.steps.iter().filter(|step| step.request.method == "PUT").count(), 1);
}

#[test]
fn only_two_lists_after_synapses_own_word_make_sure() {
    let asked =
        Asked { name: Some("n-1".into()), target: aml().to_string(), group: "amlworkspace".into(), ..Asked::default() };
    let shown = |state: &str| -> ManagedEndpoint {
        serde_json::from_value(json!({"name": "n-1", "properties": {"connectionState": {"status": state}}})).unwrap()
    };
    let ours = |state: &str| connection("c", "/x/privateEndpoints/ws.n-1", state);
    let other = connection("d", "/y/privateEndpoints/ws.n-1", "Pending");
    let stranger = connection("s", "/z/privateEndpoints/ws.n-2", "Pending");
    let look = |asked: &Asked, state: &str, listing: &[Connection], second| {
        advance(asked, &shown(state), listing, at(second), PAUSE)
    };
    let first = look(&asked, "Pending", &[ours("Pending"), stranger.clone()], 0);
    assert!(first.asked.sighted.is_some() && first.asked.own().is_none() && first.imitations.is_empty());
    assert!(look(&first.asked, "Pending", &[ours("Pending")], 29).asked.own().is_none(), "too soon");
    let second = look(&first.asked, "Pending", &[ours("Pending")], 30);
    assert!(second.asked.own().is_some_and(|own| own.is(&ours("Pending"))));
    for (what, from, state, listing, own, named) in [
        ("Synapse has not said that it waits", &asked, "", vec![ours("Pending")], false, true),
        ("it was seen too early", &asked, "Provisioning", vec![ours("Pending")], false, true),
        ("it vanished", &first.asked, "Pending", vec![], false, true),
        ("another one stands in its place", &first.asked, "Pending", vec![other.clone()], false, false),
        ("there are two", &first.asked, "Pending", vec![ours("Pending"), other.clone()], false, false),
        (
            "there are two, after it was made sure",
            &second.asked,
            "Pending",
            vec![ours("Pending"), other.clone()],
            false,
            false,
        ),
        ("it was turned away", &second.asked, "Rejected", vec![ours("Rejected"), other.clone()], false, true),
        ("it is in", &second.asked, "Approved", vec![ours("Approved"), other.clone()], true, true),
        ("somebody else let it in", &asked, "Approved", vec![ours("Approved")], true, true),
        (
            "somebody let both in",
            &asked,
            "Approved",
            vec![ours("Approved"), connection("d", &other.endpoint, "Approved")],
            false,
            false,
        ),
        (
            "somebody let the other one in",
            &second.asked,
            "Pending",
            vec![ours("Pending"), connection("d", &other.endpoint, "Approved")],
            false,
            false,
        ),
    ] {
        let next = look(from, state, &listing, 30).asked;
        assert_eq!((next.own().is_some(), next.name.is_some()), (own, named), "{what}");
    }
    let known = Asked { baseline: vec![mark(&ours("Pending"))], ..asked.clone() };
    assert!(look(&known, "Pending", &[ours("Pending")], 0).asked.name.is_none(), "it was there before anybody asked");
}

#[test]
fn another_one_behind_a_name_stops_everything_until_acknowledged() {
    let mut case = Case::of(&json!({"role": {"policy": "Grant"}}));
    for _ in 0..3 {
        case.turn_and_carry_out();
    }
    case.now = at(30);
    assert_eq!(case.turn().verdict.reason, Reason::ApprovalPending);
    assert!(case.observed.record.endpoints[0].own().is_some());
    // Deleted, and made anew by somebody under the same name, who even makes an endpoint of the same name.
    let remade = case.observed.synapse.as_mut().unwrap();
    remade.properties.workspace_uid = Some("another".into());
    remade.identity.as_mut().unwrap().principal_id = Some("somebody".into());
    let decided = case.turn();
    assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::IdentityChanged, 0));
    assert!(case.observed.record.endpoints[0].own().is_none(), "no policy lets it in any more");
    for value in ["another", "somebody"] {
        let asked = format!("{{door: IdentityChanged, value: {value}}}");
        assert!(decided.verdict.message.contains(&asked), "{}", decided.verdict.message);
    }
    let word = |value: &str| Acknowledgement { door: Door::IdentityChanged, value: value.into() };
    case.object.spec.acknowledge = vec![word("another")];
    assert_eq!(case.turn().verdict.reason, Reason::IdentityChanged, "each needs a word");
    case.object.spec.acknowledge = vec![word("another"), word("somebody")];
    let name = case.own_name();
    case.observed.linked_services.clear();
    assert_eq!(case.turn().verdict.reason, Reason::Creating);
    assert!(case.observed.record.endpoints.is_empty(), "what was asked for in other hands is forgotten, as {name} is");
    case.observed.role.definitions = definitions();
    assert_eq!(case.settle().last(), Some(&Reason::Verified));
}

fn definitions() -> BTreeMap<String, crate::azure::authorization::RoleDefinition> {
    let everything = serde_json::from_value(json!({"permissions": [{"actions": ["*"],
        "notActions": ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"]}]}))
    .unwrap();
    BTreeMap::from([(CONTRIBUTOR.to_owned(), everything)])
}

#[test]
fn a_role_is_granted_only_after_the_approval_and_only_as_the_platform_allows() {
    let mut case = Case::of(&json!({"role": {"policy": "Grant"}}));
    case.observed.role.definitions = definitions();
    let mut granted = Vec::new();
    for _ in 0..40 {
        let decided = case.turn_and_carry_out();
        let roles: Vec<&Step> =
            decided.steps.iter().filter(|step| step.request.id.contains("/roleAssignments/")).collect();
        if !roles.is_empty() {
            let approved = decided.conditions.iter().find(|condition| condition.type_ == APPROVED).unwrap();
            assert_eq!(approved.status, True);
            granted.extend(roles.into_iter().cloned());
        }
        match decided.verdict.reason {
            Reason::Verified => break,
            Reason::ApprovalPending => case.approve(),
            _ => {}
        }
        case.now += decided.verdict.after.unwrap_or(Duration::from_secs(1));
    }
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0].request.body.as_ref().unwrap()["properties"]["principalId"], PRINCIPAL);
    for (what, change) in [
        (
            "the namespace lacks the verb",
            json!({"grants": [{"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}"), "verbs": ["reach"]}]}),
        ),
        ("the connection does not list it", json!({"grantableRoles": []})),
    ] {
        let mut refused = Case::of(&json!({"role": {"policy": "Grant"}}));
        refused.observed.role.definitions = definitions();
        let mut spec = serde_json::to_value(&refused.connection).unwrap();
        for (key, value) in change.as_object().unwrap() {
            spec[key] = value.clone();
        }
        refused.connection = serde_json::from_value(spec).unwrap();
        for _ in 0..20 {
            let decided = refused.turn_and_carry_out();
            assert!(!decided.steps.iter().any(|step| step.request.id.contains("/roleAssignments/")), "{what}");
            if decided.verdict.reason == Reason::ApprovalPending {
                refused.approve();
            }
            refused.now += decided.verdict.after.unwrap_or(Duration::from_secs(1));
        }
        let told = refused.turn();
        assert_eq!(told.verdict.reason, Reason::RoleMissing, "{what}");
    }
}

#[test]
fn a_linked_service_that_is_named_is_taken_only_as_adoption_says() {
    let theirs: LinkedService = serde_json::from_value(json!({"name": "AzureMLService1", "properties": {"type": "AzureMLService",
        "typeProperties": {"subscriptionId": SUB, "resourceGroupName": "RG", "mlWorkspaceName": "other", "authentication": "MSI"}}}))
    .unwrap();
    for (adoption, reason, writes) in [("IfMatching", Reason::AdoptionRefused, 0), ("Always", Reason::Updating, 1)] {
        let mut case = Case::of(&json!({"linkedService": {"azureName": "azuremlservice1"}, "adoption": adoption}));
        case.observed.linked_services.push(theirs.clone());
        let decided = case.turn();
        assert_eq!((decided.verdict.reason, decided.steps.len()), (reason, writes), "{adoption}");
    }
    let mut case = Case::of(&json!({"linkedService": {"azureName": "AzureMLService1"}, "adoption": "IfMatching"}));
    let mut matching = theirs;
    matching.properties.type_properties["mlWorkspaceName"] = json!("FRAUD");
    case.observed.linked_services.push(matching);
    assert_eq!(statuses(&case.turn())[2], True, "names compare as Azure compares them");
}

#[test]
fn what_the_other_side_turned_away_or_removed_is_noticed() {
    for (state, target, words) in [("Rejected", Some("Rejected"), "rejected"), ("Disconnected", None, "removed")] {
        let mut case = Case::of(&json!({}));
        case.settle();
        let name = case.own_name();
        case.observed.endpoints[0].properties.connection_state.as_mut().unwrap().status = Some(state.into());
        case.targets.insert(
            aml().key(),
            target.map(|state| connection(&format!("c.{name}"), &endpoint_of(&name), state)).into_iter().collect(),
        );
        let decided = case.turn();
        assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::ConnectionRejected, 0), "{state}");
        assert!(decided.verdict.message.contains(words), "{}", decided.verdict.message);
        assert!(!decided.differences.is_empty(), "it is told as drift");
        case.object.spec.recreate = Some(crate::api::common::Recreate::Allowed);
        assert!(case.turn().steps[0].removes());
        // What was turned away may stay on the target for long.
        let before = connection(&format!("c.{name}"), &endpoint_of(&name), "Disconnected");
        case.turn_and_carry_out();
        case.targets.entry(aml().key()).or_default().push(before);
        assert_eq!(case.settle().last(), Some(&Reason::Verified), "{state}");
        assert!(
            case.own_name() != name && case.imitations.is_empty(),
            "it asks anew under another name: {:?}",
            case.imitations
        );
    }
}

#[test]
fn a_pool_is_made_only_on_request_small_and_pausing() {
    let mut case = Case::of(&json!({"sparkPool": {"azureName": "spark1", "sparkVersion": "3.4"}}));
    let decided = case.turn();
    let step = decided.steps.iter().find(|step| step.request.id.contains("/bigDataPools/spark1")).unwrap();
    let body = step.request.body.clone().unwrap();
    assert_eq!(body["properties"]["nodeSize"], "Small");
    assert_eq!(body["properties"]["autoPause"], json!({"enabled": true, "delayInMinutes": 15}));
    assert_eq!(body["tags"][OWNER_TAG], owner().tag(Origin::Created));
    assert_eq!(case.settle().last(), Some(&Reason::Verified));
    // Somebody makes it large, and keeps it running.
    let mut large = case.observed.pools[0].clone();
    large.properties.node_size = Some("XXLarge".into());
    large.properties.auto_pause.as_mut().unwrap().enabled = Some(false);
    case.observed.pools = vec![large];
    let mends = case.turn();
    assert_eq!((mends.differences.len(), mends.steps.len()), (2, 1));
    // Somebody else's of that name is left alone.
    case.observed.pools[0].tags = None;
    let refused = case.turn();
    assert_eq!((refused.verdict.reason, refused.steps.len()), (Reason::AdoptionRefused, 0));
    let mut found = Case::of(&json!({}));
    found.observed.pools = vec![
        serde_json::from_value(json!({"name": "theirs", "properties": {"provisioningState": "Succeeded"}})).unwrap(),
    ];
    assert_eq!(found.turn().status.spark_pool.as_deref(), Some("theirs"));
    assert!(!paths(&found.turn()).iter().any(|path| path.contains("bigDataPools")));
}

#[test]
fn losing_all_memory_keeps_what_is_in_and_asks_anew_for_what_waits() {
    let mut case = Case::of(&json!({}));
    case.settle();
    let name = case.own_name();
    case.observed.record = Record::of("team/analytics", synapse().as_str());
    case.observed.record.take_up(&prefix(&owner()), &case.wanted(), &case.observed.endpoints.clone());
    let decided = case.turn();
    assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::Verified, 0));
    assert_eq!(case.own_name(), name);
    // One that waits cannot be told from an imitation any more.
    let mut waits = Case::of(&json!({}));
    (0..3).for_each(|_| drop(waits.turn_and_carry_out()));
    let name = waits.own_name();
    waits.observed.record = Record::of("team/analytics", synapse().as_str());
    waits.observed.record.take_up(&prefix(&owner()), &waits.wanted(), &waits.observed.endpoints.clone());
    let decided = waits.turn();
    assert!(
        paths(&decided).iter().any(|path| path.starts_with("DELETE") && path.ends_with(&name)),
        "{:?}",
        paths(&decided)
    );
    assert_eq!(waits.settle().last(), Some(&Reason::Verified));
}

#[test]
fn what_only_looks_says_what_it_would_do() {
    let mut case = Case::of(&json!({}));
    case.observes = true;
    let decided = case.turn();
    assert_eq!(decided.steps.len(), 1);
    assert_eq!(decided.steps[0].would()[0].verb, "PUT");
}

#[test]
fn a_departure_takes_its_own_things_in_order_and_nobody_elses() {
    let mut case = Case::of(&json!({"sparkPool": {"azureName": "spark1", "sparkVersion": "3.4"}}));
    case.settle();
    let pool = synapse().child(SPARK_POOLS, "spark1").unwrap();
    let role = ArmId::parse(&format!("{}/providers/Microsoft.Authorization/roleAssignments/{UID}", aml())).unwrap();
    let mut endpoints = case.observed.endpoints.clone();
    endpoints.push(serde_json::from_value(json!({"name": "theirs", "properties": {}})).unwrap());
    let mut leaving = Leaving {
        synapse: "analytics".into(),
        linked_service: case.observed.linked_services.first().cloned(),
        endpoints,
        assignments: vec![role],
        pool: Some((pool, case.observed.pools[0].clone())),
    };
    let mut order = Vec::new();
    loop {
        match farewell(&owner(), &leaving) {
            Farewell::Remove(steps) => {
                for step in steps {
                    assert!(step.removes() && step.needs.is_empty());
                    let what = step.request.id.clone();
                    if what.contains("/linkedservices/") {
                        leaving.linked_service = None;
                    } else if what.contains("/managedPrivateEndpoints/") {
                        leaving.endpoints.retain(|one| !what.ends_with(&one.name));
                    } else if what.contains("/roleAssignments/") {
                        leaving.assignments.clear();
                    } else {
                        leaving.pool = None;
                    }
                    let parts: Vec<&str> = what.split('/').collect();
                    order.push(parts[parts.len() - 2].to_owned());
                }
            }
            Farewell::Release(_) => break,
            Farewell::Wait(verdict) => panic!("{}", verdict.message),
        }
    }
    assert_eq!(order, ["linkedservices", "managedPrivateEndpoints", "roleAssignments", "bigDataPools"]);
    assert_eq!(leaving.endpoints.len(), 1, "what is not this link's stays");
}
