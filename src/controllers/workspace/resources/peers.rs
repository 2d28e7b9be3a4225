//! Other workspaces of the cluster that are made of the same resources.

use std::collections::HashMap;

use kube::ResourceExt;

use super::super::Turn;
use crate::api::AmlWorkspace;
use crate::api::common::ManagementPolicy;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::plan::fence::Fence;
use crate::plan::resources::{Associated, Peer, Peers, Posture, declared};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::terms::Term;

/// What other workspaces say of the resources `ours`, by id in lower case.
pub(super) fn peers(turn: &Turn<'_>, workspace: &AmlWorkspace, ours: &[Associated<'_>]) -> HashMap<String, Peers> {
    let context = turn.context;
    let tenant = &turn.connected.spec.tenant_id;
    // Of what is only named nothing is decided.
    let decided = ours.iter().filter(|resource| resource.is_looked_at());
    let shared = decided.filter_map(|resource| ArmId::parse(&resource.id).ok());
    let of = |resource: ArmId| {
        let others = context.indexes.workspaces.find(&Term::MadeOf(resource.key()));
        let peers = others.iter().filter_map(|other| peer(context, workspace, other.0.as_ref().ok()?, &resource));
        (resource.key(), Peers::of(peers, tenant))
    };
    shared.map(of).collect()
}

/// What the workspace `other` says of `resource`, if it has a say.
fn peer(context: &Context, workspace: &AmlWorkspace, other: &AmlWorkspace, resource: &ArmId) -> Option<Peer> {
    let observes = other.spec.management_policy == Some(ManagementPolicy::Observe);
    if observes || key_of(other) == key_of(workspace) || other.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let id = workspace_id(other).ok()?;
    let same = |theirs: &Associated<'_>| theirs.id.eq_ignore_ascii_case(resource.as_str());
    let posture = declared(&other.spec, &id).into_iter().find(same)?.posture?;
    // Nobody has a say by naming what he may not reach.
    if !may(context, other, Verb::Reach, resource) {
        return None;
    }
    let manage = posture.manage && may(context, other, Verb::Configure, resource);
    let name = format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any());
    Some(Peer { name, workspace: id, posture: Posture { manage, ..posture } })
}

/// True if the namespace of `workspace` may `verb` on `resource` by what the cluster says.
fn may(context: &Context, workspace: &AmlWorkspace, verb: Verb, resource: &ArmId) -> bool {
    let name = &workspace.spec.connection_ref.name;
    let Ok(connected) = Connected::find(&context.indexes, &context.clients, name) else { return false };
    let namespace = workspace.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    Fence::new(&connected.name, &connected.spec, &namespace, &labels).allows(verb, resource).is_ok()
}
