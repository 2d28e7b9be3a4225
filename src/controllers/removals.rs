//! Which removals from Azure wait on a connection, for the breaker.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::{Api, CustomResourceExt, ResourceExt};

use crate::api::approval::{Aftermath, DenyEntry, Mode};
use crate::api::common::{DeletionPolicy, Door, ManagementPolicy, acknowledged};
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::{AmlWorkspace, OutboundRule, PrivateEndpointApproval};
use crate::plan::Verdict;
use crate::plan::breaker::{Breaker, check};
use crate::plan::fence::Fence;
use crate::plan::outcome::Reason;
use crate::plan::targets::Targets;
use crate::runtime::context::Context;
use crate::runtime::guarded::Guarded;
use crate::runtime::indexes::{Indexes, admits, key_of, workspace_key};
use crate::runtime::status::has_finalizer;
use crate::runtime::terms::Term;

/// True if deleting `workspace` removes it from Azure. A namespace that goes takes its objects along without meaning their data.
pub fn removes_workspace(indexes: &Indexes, workspace: &AmlWorkspace) -> bool {
    workspace.metadata.deletion_timestamp.is_some()
        && has_finalizer(workspace)
        && workspace.spec.deletion_policy == Some(DeletionPolicy::Delete)
        && workspace.spec.management_policy != Some(ManagementPolicy::Observe)
        && !indexes.namespace(&workspace.namespace().unwrap_or_default()).1
        && !Context::abandoned(workspace)
}

/// True if deleting `rule` removes it from Azure. With its workspace going, it is released instead.
pub fn removes_rule(indexes: &Indexes, rule: &OutboundRule) -> bool {
    rule.metadata.deletion_timestamp.is_some()
        && has_finalizer(rule)
        && rule.spec.deletion_policy != Some(DeletionPolicy::Retain)
        && rule.spec.management_policy != Some(ManagementPolicy::Observe)
        && !Context::abandoned(rule)
        && !workspace_going(indexes, rule)
}

/// True if what `policy` approved is withdrawn because the policy ends. A namespace that goes takes its objects along without
/// meaning their connections.
pub fn withdraws(context: &Context, policy: &PrivateEndpointApproval) -> bool {
    let ends = if policy.metadata.deletion_timestamp.is_some() {
        policy.spec.on_delete == Some(Aftermath::Withdraw) && has_finalizer(policy)
    } else {
        let passed = policy.spec.expires_at.as_ref().is_some_and(|end| end.0 <= context.now());
        policy.spec.on_expiry == Some(Aftermath::Withdraw) && passed
    };
    ends && policy.spec.mode != Some(Mode::DryRun)
        && !context.indexes.namespace(&policy.namespace().unwrap_or_default()).1
        && !Context::abandoned(policy)
}

/// True if the namespace of `policy` may approve on its target. Policies that may not neither open the breaker nor water down its
/// share.
fn may_approve(context: &Context, policy: &PrivateEndpointApproval, name: &str, spec: &AzureConnectionSpec) -> bool {
    let namespace = policy.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(name, spec, &namespace, &labels);
    Targets::of(&policy.spec.target).is_ok_and(|targets| fence.allows_some(Verb::Approve, targets.path()).is_ok())
}

/// Under which name the connections that `policy` cuts off although it goes on wait, beside those that end with it.
pub fn cut_key(policy: &PrivateEndpointApproval) -> String {
    format!("{}/cut", policy.uid().unwrap_or_default())
}

/// True if `policy` cuts off what is approved already, once it is agreed on.
pub fn cuts(policy: &PrivateEndpointApproval) -> bool {
    policy.metadata.deletion_timestamp.is_none()
        && policy.spec.mode != Some(Mode::DryRun)
        && policy.spec.reject.iter().any(DenyEntry::applies_to_approved)
        && policy.spec.acknowledge.iter().any(|entry| entry.door == Door::RejectApproved)
}

/// True if the workspace of `rule` is gone or going, as far as the index shows.
pub fn workspace_going(indexes: &Indexes, rule: &OutboundRule) -> bool {
    let key = workspace_key(rule);
    let going = |workspace: &AmlWorkspace| workspace.metadata.deletion_timestamp.is_some();
    let workspace = indexes.workspace(&key);
    let gone = workspace.is_none_or(|workspace| workspace.0.as_ref().is_ok_and(going));
    gone || indexes.namespace(&key.namespace).1
}

/// True if `rule` is one of the connection's rules: admitted by its workspace, or seen in Azure. Others neither open the breaker
/// nor water down its share.
fn counts(context: &Context, rule: &OutboundRule) -> bool {
    let (labels, _) = context.indexes.namespace(&rule.namespace().unwrap_or_default());
    let workspace = context.indexes.workspace(&workspace_key(rule));
    let admitted =
        workspace.is_some_and(|workspace| workspace.0.as_ref().is_ok_and(|workspace| admits(workspace, rule, &labels)));
    admitted || context.board.read(&key_of(rule)).is_some_and(|posting| posting.state.service_status.is_some())
}

/// The breaker of connection `name`. What is being deleted is found at once; everything is counted only where that is many.
pub fn breaker(context: &Context, name: &str, spec: &AzureConnectionSpec) -> Breaker {
    let indexes = &context.indexes;
    let going = indexes.workspaces.find(&Term::Going);
    let going = going.iter().filter_map(|workspace| workspace.0.as_ref().ok());
    let going = going.filter(|workspace| workspace.spec.connection_ref.name == name);
    let mut waiting: Vec<String> =
        going.filter(|workspace| removes_workspace(indexes, workspace)).filter_map(ResourceExt::uid).collect();
    let going = indexes.rules.find(&Term::Going);
    let going = going.iter().filter_map(|rule| rule.0.as_ref().ok());
    let going = going.filter(|rule| indexes.connection_of(rule).as_deref() == Some(name) && counts(context, rule));
    waiting.extend(going.filter(|rule| removes_rule(indexes, rule)).filter_map(ResourceExt::uid));
    for station in indexes.stations.all() {
        waiting.extend(station.removals(indexes, name));
    }
    let ends = endings(context, name, spec);
    waiting.extend(ends.waiting);
    let recent = context.removals.within(name, context.pace.breaker_window, context.now());
    let said = |hash: &str| acknowledged(&spec.acknowledge, Door::MassChange, hash);
    let all = || ends.all + declared(context, name) + recent;
    context.removals.agreed(name, |word| check(&waiting, recent, all, said, word))
}

/// How many workspaces there are of connection `name`, and rules and whatever else attaches to them.
fn declared(context: &Context, name: &str) -> usize {
    let workspaces = context.indexes.workspaces.find(&Term::Connection(name.into()));
    let rules = |workspace: &Guarded<AmlWorkspace>| {
        let rules = context.indexes.rules.find(&Term::Workspace(key_of(workspace)));
        rules.iter().filter(|rule| rule.0.as_ref().is_ok_and(|rule| counts(context, rule))).count()
    };
    let attached = context
        .indexes
        .stations
        .all()
        .iter()
        .map(|station| station.users_of(&context.indexes, name).len())
        .sum::<usize>();
    workspaces.iter().map(|workspace| 1 + rules(workspace)).sum::<usize>() + attached
}

/// Connections that policies may withdraw or cut off.
#[derive(Default)]
struct Endings {
    /// Those that wait for it.
    waiting: Vec<String>,
    /// How many there are in all.
    all: usize,
}

/// The connections that policies of connection `name` may withdraw or cut off.
fn endings(context: &Context, name: &str, spec: &AzureConnectionSpec) -> Endings {
    let mut ends = Endings::default();
    for policy in context.indexes.approvals.find(&Term::Connection(name.into())) {
        let Ok(policy) = &policy.0 else { continue };
        if !may_approve(context, policy, name, spec) {
            continue;
        }
        let uid = policy.uid().unwrap_or_default();
        // One that may have to withdraw one day counts among all.
        let may_withdraw = [policy.spec.on_delete, policy.spec.on_expiry].contains(&Some(Aftermath::Withdraw));
        if may_withdraw {
            let ending = if withdraws(context, policy) { context.endings.of(&uid) } else { Vec::new() };
            ends.all += ending.len().max(1);
            ends.waiting.extend(ending);
        }
        if cuts(policy) {
            let cut = context.endings.of(&cut_key(policy));
            ends.all += cut.len().max(1);
            ends.waiting.extend(cut);
        }
    }
    ends
}

/// Why removals through connection `name` wait, if they do.
pub fn many_at_once(context: &Context, name: &str, spec: &AzureConnectionSpec) -> Option<Verdict> {
    let Breaker::Open { waiting, .. } = breaker(context, name, spec) else { return None };
    Some(Verdict::new(
        Reason::MassChange,
        format!("{waiting} removals at once wait for an acknowledgement on AzureConnection {name:?}; see its status"),
    ))
}

/// True if the kind itself is being removed from the cluster, which deletes every object without meaning what it stands for.
///
/// # Errors
/// If Kubernetes does not answer.
pub async fn definition_going<K: CustomResourceExt>(context: &Context) -> Result<bool, kube::Error> {
    let definitions: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(context.kube.clone());
    let definition = definitions.get_opt(K::crd_name()).await?;
    Ok(definition.is_none_or(|definition| definition.metadata.deletion_timestamp.is_some()))
}
