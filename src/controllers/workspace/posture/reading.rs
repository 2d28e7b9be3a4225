//! What the posture reads from ARM, once each resync: the resources that the workspace names, the compute that builds images, and where the
//! workspace's identity may approve connections.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt;
use tracing::debug;

use super::super::Turn;
use super::cluster::approved_by_policy;
use super::{DUE, younger};
use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::{AmlWorkspace, RECONCILE_AT};
use crate::azure::authorization::{self, APPROVER_ROLE, APPROVER_ROLE_NAME, RoleAssignment};
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::{API_VERSION, Workspace};
use crate::azure::{container_registry, insights, key_vault, storage};
use crate::plan::posture::{BuildCompute, Dependency, DependencyKind, HeldRole, Shown};
use crate::plan::roles::is_ours;
use crate::runtime::indexes::key_of;

/// What was read, and when.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Timestamp,
    /// What was asked for: what the workspace names anew is read at once.
    asked: Asked,
    /// The resources that the workspace names.
    pub(super) dependencies: Vec<Dependency>,
    /// The compute that builds images.
    pub(super) build_compute: BuildCompute,
    /// Where its identity may approve connections. The error says why that is not known.
    pub(super) roles: Result<Vec<HeldRole>, String>,
    /// Endpoints, in lower case, that policies approved on the workspace or one of the resources.
    pub(super) approved_by_policy: BTreeSet<String>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    token: Option<String>,
    resources: Vec<(DependencyKind, String)>,
    compute: Option<String>,
    principal: Option<String>,
}

/// What has to be read. A project's resources are its hub's, whose object speaks of them.
fn asked(workspace: &AmlWorkspace, shown: &Workspace) -> Asked {
    let own = &shown.properties;
    let named = [
        (DependencyKind::Storage, &own.storage_account),
        (DependencyKind::Vault, &own.key_vault),
        (DependencyKind::Registry, &own.container_registry),
        (DependencyKind::Insights, &own.application_insights),
    ];
    let named = named.into_iter().filter(|_| !shown.is_project());
    Asked {
        token: workspace.annotations().get(RECONCILE_AT).cloned(),
        resources: named.filter_map(|(kind, id)| Some((kind, id.clone().filter(|id| !id.is_empty())?))).collect(),
        compute: own.image_build_compute.clone().filter(|name| !name.is_empty()),
        principal: shown.acting_principal().map(ToOwned::to_owned),
    }
}

/// Reads it, unless `previous` is young enough: one GET each, all at once, but of what was `read_before` in this turn.
pub(super) async fn read(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    shown: &Workspace,
    read_before: &BTreeMap<String, Shown>,
    previous: Option<Reading>,
) -> Reading {
    let asked = asked(workspace, shown);
    let now = turn.context.now();
    let known = match previous {
        Some(known) if known.asked == asked && younger(known.at, now, turn.context.pace.resync.mul_f64(DUE)) => {
            return known;
        }
        Some(known) => known.dependencies,
        None => Vec::new(),
    };
    let look = async |kind: DependencyKind, id: &str| match read_before.get(&id.to_ascii_lowercase()) {
        Some(shown) => Dependency { kind, id: id.to_owned(), shown: Ok(shown.clone()) },
        None => dependency(turn, kind, id, &known).await,
    };
    let dependencies = join_all(asked.resources.iter().map(|(kind, id)| look(*kind, id)));
    let compute = build_compute(turn, asked.compute.as_deref());
    let roles = roles(turn, workspace, asked.principal.as_deref());
    let approved = approved_by_policy(turn, asked.resources.iter().map(|(_, id)| id.as_str()));
    let (dependencies, build_compute, roles, approved_by_policy) = tokio::join!(dependencies, compute, roles, approved);
    Reading { at: turn.context.now(), asked, dependencies, build_compute, roles, approved_by_policy }
}

fn why(error: &ArmError) -> String {
    match error.class {
        ErrorClass::Forbidden => format!("the operator may not read it ({})", error.code),
        _ => error.to_string(),
    }
}

/// True if the answer says nothing of the resource: what it was seen to be before is believed for as long.
fn passes(error: &ArmError) -> bool {
    matches!(
        error.class,
        ErrorClass::Throttled | ErrorClass::Busy | ErrorClass::Transient | ErrorClass::Unauthenticated
    )
}

const fn version(kind: DependencyKind) -> &'static str {
    match kind {
        DependencyKind::Storage => storage::API_VERSION,
        DependencyKind::Vault => key_vault::API_VERSION,
        DependencyKind::Registry => container_registry::API_VERSION,
        DependencyKind::Insights => insights::API_VERSION,
    }
}

async fn dependency(turn: &Turn<'_>, kind: DependencyKind, id: &str, known: &[Dependency]) -> Dependency {
    let dependency = |shown| Dependency { kind, id: id.to_owned(), shown };
    let id = match ArmId::parse(id) {
        Ok(id) => id,
        Err(error) => return dependency(Err(error.to_string())),
    };
    // ARM names it, and whoever may edit the workspace in Azure could have it name anything.
    if let Err(verdict) = turn.fence.allows_reading(&id) {
        return dependency(Err(verdict.message));
    }
    match turn.connected.client.find(id.as_str(), version(kind), turn.priority).await {
        Ok(Some(answer)) => dependency(Ok(Shown::read(kind, &answer))),
        Ok(None) => dependency(Err("there is no such resource".to_owned())),
        Err(error) => {
            debug!(id = id.as_str(), %error, "the posture of a resource cannot be read");
            let same =
                |one: &&Dependency| one.kind == kind && one.id.eq_ignore_ascii_case(id.as_str()) && one.shown.is_ok();
            known.iter().find(same).filter(|_| passes(&error)).cloned().unwrap_or_else(|| dependency(Err(why(&error))))
        }
    }
}

async fn build_compute(turn: &Turn<'_>, name: Option<&str>) -> BuildCompute {
    let Some(name) = name else { return BuildCompute::None };
    let Ok(id) = turn.id.child("computes", name) else { return BuildCompute::Missing };
    match turn.connected.client.find(id.as_str(), API_VERSION, turn.priority).await {
        Ok(Some(_)) => BuildCompute::There,
        Ok(None) => BuildCompute::Missing,
        Err(_) => BuildCompute::Unknown,
    }
}

/// Where the identity may approve connections, in the workspace's subscription: one list of all that it holds there.
async fn roles(turn: &Turn<'_>, workspace: &AmlWorkspace, principal: Option<&str>) -> Result<Vec<HeldRole>, String> {
    let principal = principal.and_then(|principal| uuid::Uuid::try_parse(principal).ok());
    let Some(principal) = principal else { return Err("Azure does not state its object id".to_owned()) };
    let subscription = turn.id.subscription();
    let path = format!(
        "/subscriptions/{subscription}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '{principal}'"
    );
    let listed = turn.connected.client.list(&path, authorization::API_VERSION, turn.priority).await;
    let listed = listed.map_err(|error| why(&error))?;
    let custom = turn.connected.spec.approver_role_definition_id.as_deref().map(str::to_ascii_lowercase);
    let held = listed.iter().filter_map(|value| {
        let assignment = RoleAssignment::read(value)?;
        let built_in = assignment.role == APPROVER_ROLE;
        if !built_in && custom.as_deref() != Some(assignment.role.as_str()) {
            return None;
        }
        let name = if built_in { APPROVER_ROLE_NAME.to_owned() } else { format!("the role {}", assignment.role) };
        let ours = ArmId::parse(&assignment.scope).is_ok_and(|scope| {
            is_ours(&assignment, &turn.context.installation, &scope) && !stays(turn, workspace, &scope)
        });
        let id = value["id"].as_str().unwrap_or_default().to_owned();
        Some(HeldRole { id, name, scope: assignment.scope, temporary: ours })
    });
    Ok(held.collect())
}

/// True if a rule asks for the role on `scope` for as long as it exists.
fn stays(turn: &Turn<'_>, workspace: &AmlWorkspace, scope: &ArmId) -> bool {
    turn.context.indexes.rules_of(&key_of(workspace)).iter().any(|rule| {
        rule.spec.private_endpoint.as_ref().is_some_and(|endpoint| {
            endpoint.approver_role == Some(ApproverRole::Standing)
                && endpoint.resource_id.eq_ignore_ascii_case(scope.as_str())
        })
    })
}
