//! What the cluster says of the approver role: which rules ask for it, and whether everybody there agrees. The workspace's own turn
//! asks this, and the keeper, who has no turn to go by.

use kube::ResourceExt;

use super::super::{entitled_to_manage, rival};
use super::look::{asks_for_role, target_of};
use crate::api::common::ManagementPolicy;
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::{AmlWorkspace, OutboundRule};
use crate::controllers::approval;
use crate::plan::Verdict;
use crate::plan::fence::Fence;
use crate::plan::ownership::Owner;
use crate::plan::roles::{Asked, declared, is_grantable};
use crate::runtime::context::Context;
use crate::runtime::indexes::{admits, key_of};

/// An AzureConnection as the cluster shows it, whatever its credential is good for: what is asked for must not be forgotten because a
/// token is late.
#[derive(Clone, Copy)]
pub(in super::super) struct Through<'a> {
    pub(in super::super) context: &'a Context,
    pub(in super::super) name: &'a str,
    pub(in super::super) spec: &'a AzureConnectionSpec,
}

impl Through<'_> {
    /// What it lets `namespace` do, asked by `ask`.
    pub(super) fn fenced<T>(&self, namespace: &str, ask: impl FnOnce(&Fence<'_>) -> T) -> T {
        let (labels, _) = self.context.indexes.namespace(namespace);
        ask(&Fence::new(self.name, self.spec, namespace, &labels))
    }

    /// True if `workspace` admits `rule`, and its namespace may reach `target`.
    pub(super) fn has_say(&self, workspace: &AmlWorkspace, rule: &OutboundRule, target: &ArmId) -> bool {
        let namespace = rule.namespace().unwrap_or_default();
        let (labels, _) = self.context.indexes.namespace(&namespace);
        admits(workspace, rule, &labels) && self.fenced(&namespace, |fence| fence.allows(Verb::Reach, target).is_ok())
    }

    /// What `rule` asks for now, if it has a say in `workspace`: on which target, and for how long.
    pub(super) fn wish(&self, workspace: &AmlWorkspace, rule: &OutboundRule) -> Option<(ArmId, ApproverRole)> {
        let role = rule.spec.private_endpoint.as_ref()?.approver_role?;
        let observes = rule.spec.management_policy == Some(ManagementPolicy::Observe);
        if !asks_for_role(rule) || observes || rule.spec.suspend || rule.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let target = target_of(rule)?;
        self.has_say(workspace, rule, &target).then_some((target, role))
    }

    /// Whether all in the cluster agree that `role` is assigned on `target` for `rule`: the namespace that names the target may have
    /// it assigned there, and the policies on the target let the workspace approve its own connection.
    pub(super) fn agreed(
        &self,
        workspace: &AmlWorkspace,
        rule: &OutboundRule,
        target: &ArmId,
        role: &str,
    ) -> Result<(), Verdict> {
        let namespace = rule.namespace().unwrap_or_default();
        self.fenced(&namespace, |fence| is_grantable(fence, self.spec, target, role))?;
        let sub_resource = rule.spec.private_endpoint.as_ref().map(|endpoint| endpoint.subresource.as_str());
        approval::leave(self.context, target, &key_of(workspace), sub_resource).map(|_| ())
    }
}

/// What the live objects of the workspace `id` ask for.
pub(super) fn asked(context: &Context, id: &ArmId) -> Vec<Asked> {
    let workspaces = context.indexes.declarers(id);
    let readable = workspaces.iter().filter_map(|object| object.0.as_ref().ok());
    let live = readable.filter(|workspace| workspace.metadata.deletion_timestamp.is_none());
    live.filter_map(|workspace| of(context, id, workspace)).collect()
}

fn of(context: &Context, id: &ArmId, workspace: &AmlWorkspace) -> Option<Asked> {
    let name = &workspace.spec.connection_ref.name;
    let object = context.indexes.connection(name)?;
    let spec = &object.0.as_ref().ok()?.spec;
    let through = Through { context, name, spec };
    let namespace = workspace.namespace().unwrap_or_default();
    let owner = Owner {
        installation: context.installation.clone(),
        kind: "AmlWorkspace",
        namespace: namespace.clone(),
        name: workspace.name_any(),
    };
    if !entitled_to_manage(context, id, name, spec, workspace) || rival(context, id, &owner, workspace).is_some() {
        return None;
    }
    // Without the right to write rules the role is out for nothing.
    through.fenced(&namespace, |fence| fence.allows(Verb::Configure, id)).ok()?;
    let role = spec.approver_role_definition_id.as_deref()?.to_ascii_lowercase();
    let rules = context.indexes.rules_of(&key_of(workspace));
    let targets = rules.iter().filter_map(|rule| {
        let (target, _) = through.wish(workspace, rule)?;
        through.agreed(workspace, rule, &target, &role).ok().map(|()| target.key())
    });
    Some(Asked { identity: declared(&workspace.spec.identity)?.key(), targets: targets.collect(), role })
}
