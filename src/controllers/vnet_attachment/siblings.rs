//! What the cluster knows of other attachments and workspaces, as far as it bears on one attachment.

use kube::ResourceExt;

use crate::api::VnetAttachment;
use crate::api::common::ManagementPolicy;
use crate::azure::machine_learning::Workspace;
use crate::controllers::attached::{Attached, Scene, may_attach};
use crate::plan::vnet::{Peer, Places, Target, targets};
use crate::runtime::indexes::{age, key_of, workspace_id};
use crate::runtime::station::workspace_of;
use crate::runtime::terms::Term;

/// Other attachments of the same workspace that are not being deleted.
pub(super) fn peers(object: &VnetAttachment, scene: &Scene<'_>) -> Vec<Peer> {
    let station = &scene.context.indexes.stations.attachments;
    let others = station
        .of(&workspace_of(object))
        .into_iter()
        .filter(|other| key_of(other) != key_of(object) && other.metadata.deletion_timestamp.is_none());
    let peer = |other: VnetAttachment| {
        let places = Places::of(&other.spec).ok()?;
        Some(Peer { network: places.network.key(), role: other.spec.role })
    };
    others.filter_map(peer).collect()
}

/// Other workspaces of this namespace that are not attached to this network.
pub(super) fn others(object: &VnetAttachment, scene: &Scene<'_>) -> Vec<String> {
    let Ok(places) = Places::of(&object.spec) else { return Vec::new() };
    let indexes = &scene.context.indexes;
    let namespace = object.namespace().unwrap_or_default();
    let workspaces = indexes.workspaces.find(&Term::Namespace(namespace.into()));
    let mut names: Vec<String> = workspaces
        .iter()
        .filter_map(|workspace| workspace.0.as_ref().ok())
        .map(key_of)
        .filter(|key| *key != workspace_of(object))
        .filter(|key| {
            let attached = indexes.stations.attachments.of(key);
            !attached.iter().any(|other| Places::of(&other.spec).is_ok_and(|other| other.network == places.network))
        })
        .map(|key| key.name)
        .collect();
    names.sort();
    names
}

/// The older attachment of this namespace, by name, that makes an endpoint for `target` in the same network: a network's names lead to
/// one of them only. Those of other namespaces are not waited for, since nobody shall be held up by others.
pub(super) fn maker(object: &VnetAttachment, scene: &Scene<'_>, places: &Places, target: &Target) -> Option<String> {
    let indexes = &scene.context.indexes;
    let own = age(object);
    let makes = |other: &VnetAttachment| {
        let policies = other.policies();
        let acts = !policies.suspend
            && policies.management != ManagementPolicy::Observe
            && other.metadata.deletion_timestamp.is_none();
        let found = indexes.workspace(&workspace_of(other));
        let (true, Some(workspace)) = (acts, found.as_ref().and_then(|found| found.0.as_ref().ok())) else {
            return false;
        };
        let (Ok(theirs), Ok(id)) = (Places::of(&other.spec), workspace_id(workspace)) else { return false };
        let same = |one: &Target| one.id == target.id && one.group.eq_ignore_ascii_case(&target.group);
        theirs.network == places.network
            && may_attach(scene.context, other, workspace)
            && targets(&other.spec, &workspace.spec, &id, &Workspace::default())
                .is_ok_and(|targets| targets.iter().any(same))
    };
    let older = |other: &VnetAttachment| other.namespace() == object.namespace() && age(other) < own;
    let mut others: Vec<VnetAttachment> =
        indexes.stations.attachments.objects().filter(|other| older(other) && makes(other)).collect();
    others.sort_by_cached_key(age);
    others.first().map(ResourceExt::name_any)
}
