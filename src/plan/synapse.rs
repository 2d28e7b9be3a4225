//! What a link between a Synapse workspace and an Azure Machine Learning workspace needs next: one step after the other, each with a
//! condition of its own, so that everybody sees where it stands and who has to act.

mod endpoints;
mod farewell;
mod handshake;
mod linked_service;
mod notebook;
mod pool;
mod role;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::ids::ArmId;
use crate::api::synapse_link::{ExtraEndpoint, LinkPins, SynapseLinkSpec, SynapseLinkStatus};
use crate::api::workspace::AmlWorkspaceSpec;
use crate::azure::machine_learning;
use crate::azure::private_link::Connection;
use crate::azure::synapse::{LinkedService, ManagedEndpoint, SPARK_POOLS, SparkPool, WORKSPACES, Workspace};

use super::attached::{Decided, Policies, Site};
use super::difference::Difference;
use super::names;
use super::outcome::{Reason, Verdict};
use super::ownership::Owner;
use super::resources;
use super::step::Step;

pub use farewell::{Leaving, farewell};
pub use handshake::{Advance, Asked, Granted, NAMES, Record, Sighting, advance, check_pins, mark, namesakes};
pub use role::{CONTRIBUTOR, RoleSeen, role_of};

/// Whether data exfiltration protection is off.
pub const EXFILTRATION_OFF: &str = "ExfiltrationProtectionOff";
/// Whether the Synapse workspace has a managed network.
pub const MANAGED_VNET: &str = "ManagedVnetPresent";
/// Whether the linked service leads to the workspace.
pub const LINKED_SERVICE: &str = "LinkedServiceReady";
/// Whether the managed private endpoints are made.
pub const ENDPOINT: &str = "ManagedPrivateEndpointReady";
/// Whether their connections are approved, by the word of both sides.
pub const APPROVED: &str = "ConnectionApproved";
/// Whether Synapse's identity holds its role on the workspace.
pub const ROLE: &str = "RoleAssigned";
/// Whether all of it was seen to fit together.
pub const VERIFIED: &str = "Verified";
/// The conditions, in the order of the steps.
pub const CONDITIONS: &[&str] = &[EXFILTRATION_OFF, MANAGED_VNET, LINKED_SERVICE, ENDPOINT, APPROVED, ROLE, VERIFIED];

/// The sub-resource of a workspace.
const WORKSPACE_GROUP: &str = "amlworkspace";

/// One managed private endpoint that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it leads to.
    pub target: ArmId,
    /// The sub-resource.
    pub group: &'static str,
}

impl Wanted {
    /// What it is called in messages.
    pub fn words(&self) -> String {
        format!("{}/{}", self.target.name(), self.group)
    }
}

/// All that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The Synapse workspace as ARM shows it; `None` if there is none.
    pub synapse: Option<Workspace>,
    /// Its Spark pools.
    pub pools: Vec<SparkPool>,
    /// Its linked services.
    pub linked_services: Vec<LinkedService>,
    /// Its managed private endpoints.
    pub endpoints: Vec<ManagedEndpoint>,
    /// What the targets show, by key; only of those that were asked for something.
    pub listings: BTreeMap<String, Vec<Connection>>,
    /// What was seen of the role.
    pub role: RoleSeen,
    /// Assignments of this installation's for the link that it does not ask for any more.
    pub stale_roles: Vec<ArmId>,
    /// What the ledger holds, with what this look came to.
    pub record: Record,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Between the two lists of a target.
    pub pause: Duration,
    /// How long after its assignment a role may not be in effect yet.
    pub role_effective: Duration,
}

/// Everything the decision rests on.
#[derive(Clone, Copy)]
pub struct SynapseInput<'a> {
    /// What every attached object is decided on.
    pub site: &'a Site<'a>,
    /// The Synapse workspace's ARM id.
    pub synapse: &'a ArmId,
    /// What is declared.
    pub spec: &'a SynapseLinkSpec,
    /// Its policies.
    pub policies: Policies<'a>,
    /// The connection, for what may be assigned.
    pub connection: &'a AzureConnectionSpec,
    /// What was seen.
    pub observed: &'a Observed,
    /// Names for endpoints that have none yet, drawn at the edge; by [`key_of`].
    pub drawn: &'a BTreeMap<String, String>,
    /// How long things take.
    pub waits: Waits,
}

/// How drawn names are filed.
pub fn key_of(wanted: &Wanted) -> String {
    format!("{} {}", wanted.target.key(), wanted.group)
}

/// The Synapse workspace that `spec` names.
///
/// # Errors
/// With the verdict to report if it is no such id.
pub fn synapse_of(spec: &SynapseLinkSpec) -> Result<ArmId, Verdict> {
    let text = &spec.synapse_workspace.resource_id;
    let id = ArmId::parse(text)
        .map_err(|error| Verdict::new(Reason::Invalid, format!("synapseWorkspace.resourceId: {error}")))?;
    if id.is(WORKSPACES) {
        return Ok(id);
    }
    Err(Verdict::new(Reason::Invalid, format!("synapseWorkspace.resourceId: {id} is no {WORKSPACES}")))
}

/// The Spark pool that `spec` asks for.
///
/// # Errors
/// With the verdict to report if its name makes no id.
pub fn pool_of(spec: &SynapseLinkSpec, synapse: &ArmId) -> Result<Option<ArmId>, Verdict> {
    let invalid =
        |error: crate::api::ids::NoArmId| Verdict::new(Reason::Invalid, format!("sparkPool.azureName: {error}"));
    let request = spec.spark_pool.as_ref();
    request.map(|pool| synapse.child(SPARK_POOLS, &pool.azure_name).map_err(invalid)).transpose()
}

/// The name of the linked service.
pub fn linked_service_name(owner: &Owner, spec: &SynapseLinkSpec) -> String {
    let own = || names::identifier(&owner.installation, &owner.namespace, &owner.name);
    spec.linked_service.as_ref().map_or_else(own, |named| named.azure_name.clone())
}

/// What the names of an object's endpoints begin with: it follows from the object, so that what is left of it can be known.
pub fn prefix(owner: &Owner) -> String {
    names::rule_name(&owner.installation, &owner.namespace, &owner.name)
}

/// Every endpoint that shall be: one to the workspace, and those that are asked for besides. What the workspace is made of is taken from
/// its object; a registry that Azure made for it, from what ARM shows.
///
/// # Errors
/// With the verdict to report if the workspace has no such part.
pub fn wanted(
    spec: &SynapseLinkSpec,
    workspace: &AmlWorkspaceSpec,
    id: &ArmId,
    shown: &machine_learning::Workspace,
) -> Result<Vec<Wanted>, Verdict> {
    let ids: Vec<(&str, String)> = resources::ids(workspace, id).collect();
    let declared = |field: &str| ids.iter().find(|(name, _)| *name == field).map(|(_, id)| id.as_str());
    let mut all = vec![Wanted { target: id.clone(), group: WORKSPACE_GROUP }];
    for extra in &spec.extra_endpoints {
        let properties = &shown.properties;
        let (part, found) = match extra {
            ExtraEndpoint::Vault => ("key vault", declared("keyVault").or(properties.key_vault.as_deref())),
            ExtraEndpoint::Registry => {
                ("container registry", declared("containerRegistry").or(properties.container_registry.as_deref()))
            }
            _ => ("storage account", declared("storageAccount").or(properties.storage_account.as_deref())),
        };
        let found = found.ok_or_else(|| {
            let message = format!("extraEndpoints: {} needs the workspace's {part}, and it has none", extra.as_str());
            Verdict::new(Reason::ParentMissing, message)
        })?;
        let target = ArmId::parse(found).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))?;
        all.push(Wanted { target, group: extra.as_str() });
    }
    Ok(all)
}

/// Refuses what no grant allows, before Azure is asked.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &SynapseLinkSpec, site: &Site<'_>) -> Result<(), Verdict> {
    let synapse = synapse_of(spec)?;
    site.fence.allows(Verb::Reach, &synapse)?;
    if let Some(pool) = pool_of(spec, &synapse)? {
        site.fence.allows(Verb::Create, &pool)?;
    }
    let unknown = machine_learning::Workspace::default();
    let shown = site.view.workspace.as_ref().unwrap_or(&unknown);
    if shown.is_project() {
        let message = "the workspace is a Project, which is reached by its hub's endpoints: link the hub";
        return Err(Verdict::new(Reason::Invalid, message));
    }
    // What only Azure can tell is asked for once it has told.
    for wanted in wanted(spec, &site.workspace.spec, site.id, shown).unwrap_or_default() {
        site.fence.allows(Verb::Reach, &wanted.target)?;
    }
    Ok(())
}

/// Who stands behind the names now; `None` while Azure does not say.
pub fn pins_now(shown: &machine_learning::Workspace, synapse: &Workspace) -> Option<LinkPins> {
    let identity = synapse.identity.as_ref();
    let text = |of: fn(&crate::azure::synapse::Identity) -> &Option<String>| {
        identity.and_then(|identity| of(identity).clone()).unwrap_or_default()
    };
    Some(LinkPins {
        synapse_workspace_uid: synapse.properties.workspace_uid.clone()?,
        principal_id: text(|identity| &identity.principal_id),
        tenant_id: text(|identity| &identity.tenant_id),
        workspace_id: shown.properties.workspace_id.clone()?,
    })
}

/// Whether it makes sense to look further than at the Synapse workspace itself.
pub fn is_usable(synapse: &Workspace) -> bool {
    !synapse.prevents_exfiltration() && synapse.has_managed_network()
}

/// What one step of the link came to.
struct Stage {
    condition: ConditionDraft,
    /// What stops here; `None` if it is in place.
    stops: Option<Verdict>,
    steps: Vec<Step>,
    differences: Vec<Difference>,
}

impl Stage {
    fn new(type_: &'static str, status: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        let condition = ConditionDraft { type_, status, reason: reason.to_owned(), message: message.into() };
        Self { condition, stops: None, steps: Vec::new(), differences: Vec::new() }
    }

    /// It is in place.
    fn holds(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, ConditionStatus::True, reason, message)
    }

    /// It is not, for the reason that `verdict` tells.
    fn stops(type_: &'static str, verdict: Verdict) -> Self {
        let stage = Self::new(type_, ConditionStatus::False, verdict.reason.word(), verdict.message.clone());
        Self { stops: Some(verdict), ..stage }
    }

    fn with(mut self, steps: Vec<Step>) -> Self {
        self.steps = steps;
        self
    }

    fn differing(mut self, differences: Vec<Difference>) -> Self {
        self.differences = differences;
        self
    }
}

/// A step that nobody has come to.
fn not_reached(type_: &'static str, waits_for: &str) -> ConditionDraft {
    let message = format!("not looked at before {waits_for} is True");
    ConditionDraft { type_, status: ConditionStatus::Unknown, reason: "NotReached".into(), message }
}

/// Decides.
pub fn plan(input: SynapseInput<'_>) -> Decided<SynapseLinkStatus> {
    let SynapseInput { site, spec, observed, .. } = input;
    let mut status = SynapseLinkStatus { pins: observed.record.pins.clone(), ..SynapseLinkStatus::default() };
    let shown = match site.shown() {
        Ok(shown) => shown,
        Err(verdict) => return Decided::stopped(status, verdict).with(none_reached()),
    };
    let Some(synapse) = &observed.synapse else {
        let message = format!(
            "there is no Synapse workspace {}; create it, or delete this link. Nothing is asked of whoever has its name now",
            input.synapse
        );
        return Decided::stopped(status, Verdict::new(Reason::ParentMissing, message)).with(none_reached());
    };
    let mut done: Vec<Stage> = vec![exfiltration(synapse), managed_network(synapse)];
    if let Some(at) = done.iter().position(|stage| stage.stops.is_some()) {
        done.truncate(at + 1);
        return conclude(status, done, Vec::new());
    }
    let Some(now) = pins_now(shown, synapse).filter(|_| !synapse.is_moving()) else {
        let message = format!("Azure is still at work on the Synapse workspace {}", input.synapse);
        done.push(Stage::stops(LINKED_SERVICE, Verdict::new(Reason::Creating, message)));
        return conclude(status, done, Vec::new());
    };
    if let Err(verdict) = check_pins(&observed.record, &now, &spec.acknowledge) {
        done.push(Stage::stops(LINKED_SERVICE, verdict));
        return conclude(status, done, Vec::new());
    }
    let wanted = match wanted(spec, &site.workspace.spec, site.id, shown) {
        Ok(wanted) => wanted,
        Err(verdict) => {
            done.push(Stage::stops(LINKED_SERVICE, verdict));
            return conclude(status, done, Vec::new());
        }
    };
    let pool = pool::judge(&input);
    status.spark_pool = pool.name.clone();
    let service = linked_service_name(site.owner, spec);
    let host = notebook::host(shown);
    status.workspace_host = host.clone();
    status.endpoints = endpoints::report(&input, &wanted);
    status.approved = Some(endpoints::approved(&status.endpoints));
    let role = role::judge(&input, &now);
    status.missing_roles = role.missing.clone();
    let stages: [&dyn Fn() -> Stage; 4] = [
        &|| linked_service::judge(&input, &service),
        &|| endpoints::made(&input, &wanted),
        &|| endpoints::approval(&input, &wanted),
        &|| role.stage(),
    ];
    for stage in stages {
        let stage = stage();
        let stops = stage.stops.is_some();
        done.push(stage);
        if stops {
            break;
        }
    }
    if linked_service::is_there(&input, &service) {
        status.verify_with = Some(notebook::cell(&service, host.as_deref(), site.id.name()));
        status.linked_service = Some(service);
    }
    if done.iter().all(|stage| stage.stops.is_none()) {
        done.push(verified(&input, host.as_deref(), &role, &pool));
    }
    let mut beside = endpoints::left_over(&input, &wanted);
    beside.extend(pool.steps);
    beside.extend(observed.stale_roles.iter().map(role::take_back));
    let role = role.condition();
    let mut decided = conclude(status, done, beside);
    decided.differences.extend(pool.differences);
    // Whoever assigns roles need not wait for whoever approves.
    if let Some(place) = decided.conditions.iter_mut().find(|condition| condition.type_ == ROLE)
        && place.status == ConditionStatus::Unknown
        && place.reason == "NotReached"
    {
        *place = role;
    }
    decided
}

fn none_reached() -> Vec<ConditionDraft> {
    CONDITIONS.iter().map(|type_| not_reached(type_, "what comes before")).collect()
}

/// The verdict is that of the first step that stops; what comes after it is not reached.
fn conclude(status: SynapseLinkStatus, done: Vec<Stage>, beside: Vec<Step>) -> Decided<SynapseLinkStatus> {
    let fine = || {
        Verdict::new(
            Reason::Verified,
            "Synapse's notebooks can use the workspace privately; status.verifyWith checks it from Spark",
        )
    };
    let mut verdict = None;
    let mut last = CONDITIONS[0];
    let mut decided = Decided::stopped(status, fine());
    for stage in done {
        last = stage.condition.type_;
        verdict = verdict.or(stage.stops);
        decided.conditions.push(stage.condition);
        decided.steps.extend(stage.steps);
        decided.differences.extend(stage.differences);
    }
    decided.steps.extend(beside);
    let reached = decided.conditions.len();
    decided.conditions.extend(CONDITIONS.iter().skip(reached).map(|type_| not_reached(type_, last)));
    decided.verdict = verdict.unwrap_or_else(fine);
    decided
}

/// The integration is not supported with it (Microsoft: "Quickstart: Create a new Azure Machine Learning linked service in Synapse").
fn exfiltration(synapse: &Workspace) -> Stage {
    if !synapse.prevents_exfiltration() {
        return Stage::holds(EXFILTRATION_OFF, "Off", "data exfiltration protection is off");
    }
    let message = "data exfiltration protection is on in the Synapse workspace, and Microsoft does not support using Azure Machine Learning \
                   with it. It cannot be switched off: link another Synapse workspace. Nothing was made";
    Stage::stops(EXFILTRATION_OFF, Verdict::new(Reason::ExfiltrationProtectionOn, message))
}

fn managed_network(synapse: &Workspace) -> Stage {
    if synapse.has_managed_network() {
        return Stage::holds(MANAGED_VNET, "Present", "the Synapse workspace has a managed virtual network");
    }
    let message = "the Synapse workspace has no managed virtual network, so no private endpoint can be made in it. It cannot be added to one \
                   that is there: link another Synapse workspace. Nothing was made";
    Stage::stops(MANAGED_VNET, Verdict::new(Reason::ManagedVnetMissing, message))
}

/// All that can be told from outside Spark: the linked service names this very workspace, its name has a private way, both sides say that
/// it is approved, and the role had time to arrive.
fn verified(input: &SynapseInput<'_>, host: Option<&str>, role: &role::Judged, pool: &pool::Judged) -> Stage {
    if let Some(left) = role.settling(input.site.now, input.waits.role_effective) {
        let message = "Synapse's identity was given its role only just; Azure takes some minutes to heed it";
        return Stage::stops(VERIFIED, Verdict::new(Reason::RoleSettling, message).after(Some(left)));
    }
    if let Some(verdict) = &pool.verdict {
        return Stage::stops(VERIFIED, verdict.clone());
    }
    let Some(host) = host else {
        let message = "Azure does not say yet under which name the workspace is reached";
        return Stage::stops(VERIFIED, Verdict::new(Reason::WorkspaceNotReady, message));
    };
    let mut message = format!(
        "the linked service leads to this workspace ({}), {host} leads to an endpoint that both sides show as approved",
        input.observed.record.pins.as_ref().map(|pins| pins.workspace_id.as_str()).unwrap_or_default()
    );
    if role.is_unknown() {
        message.push_str("; whether Synapse's identity holds the role could not be looked up");
    }
    if pool.name.is_none() {
        message.push_str("; there is no Spark pool to run a notebook on yet");
    }
    Stage::holds(VERIFIED, "BothSidesAgree", message)
}

/// How long ago `at` was, against `wait`; `None` if it is over or not known.
fn left_of(at: Option<Timestamp>, wait: Duration, now: Timestamp) -> Option<Duration> {
    let age = Duration::try_from(now.duration_since(at?)).unwrap_or_default();
    wait.checked_sub(age).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests;
