//! Reads what an attachment that is being deleted may have made.

use std::collections::BTreeMap;

use super::observe::find;
use crate::api::VnetAttachment;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::network::{
    API_VERSION, DNS_API_VERSION, PRIVATE_ENDPOINTS, PrivateEndpoint, PrivateZone, ZoneGroup, ZoneLink,
};
use crate::controllers::attached::Exit;
use crate::plan::attached::Farewell;
use crate::plan::vnet::{GROUP, Leaving, Places, endpoint_id, link_id, targets};
use crate::plan::{Reason, Verdict};
use crate::runtime::indexes::key_of;

/// Decides what the deletion of `object` means for Azure.
pub(super) async fn farewell(object: &VnetAttachment, exit: &Exit<'_>) -> Result<Farewell, Verdict> {
    let places = Places::of(&object.spec)?;
    let view = exit.workspace.and_then(|(_, id)| exit.context.views.read(id));
    if exit.workspace.is_some() && view.is_none() {
        if let Some((workspace, _)) = exit.workspace {
            exit.context.triggers.workspace(&key_of(workspace));
        }
        return Ok(Farewell::Wait(Verdict::new(Reason::Deleting, "waiting for the workspace's turn")));
    }
    let shown = view.as_ref().and_then(|view| view.workspace.clone());
    let mut leaving = Leaving { network_in_use: in_use(object, exit, &places), workspace: shown, ..Leaving::default() };
    for id in candidates(object, exit, &places, &leaving) {
        // The status may have been written by anybody: only what this namespace may read is looked at, and only what carries this
        // object's tag is removed.
        if exit.fence.allows_reading(&id).is_err() {
            continue;
        }
        let client = &exit.connected.client;
        let found: Option<PrivateEndpoint> =
            absent_is_none(find(client, id.as_str(), API_VERSION, Priority::Urgent).await)?;
        if let Some(found) = found {
            let path = format!("{id}/privateDnsZoneGroups/{GROUP}");
            let group: Option<ZoneGroup> = find(client, &path, API_VERSION, Priority::Urgent).await?;
            leaving.endpoints.push((id, found, group.is_some()));
        }
    }
    if leaving.endpoints.is_empty() {
        zones(object, exit, &places, &mut leaving).await?;
    }
    Ok(crate::plan::vnet::farewell(exit.owner, &object.spec.acknowledge, &leaving))
}

/// What is in a group that is gone is gone too.
fn absent_is_none<T>(found: Result<Option<T>, Verdict>) -> Result<Option<T>, Verdict> {
    match found {
        Err(verdict) if verdict.reason == Reason::ParentMissing => Ok(None),
        found => found,
    }
}

/// The ids under which endpoints of this object may lie: those that follow from what is declared now, and those that the status names.
fn candidates(object: &VnetAttachment, exit: &Exit<'_>, places: &Places, leaving: &Leaving) -> Vec<ArmId> {
    let mut found: BTreeMap<String, ArmId> = BTreeMap::new();
    if let (Some((workspace, id)), Some(shown)) = (exit.workspace, &leaving.workspace) {
        let declared = targets(&object.spec, &workspace.spec, id, shown).unwrap_or_default();
        let ids = declared.iter().filter_map(|target| endpoint_id(exit.owner, places, target).ok());
        found.extend(ids.map(|id| (id.key(), id)));
    }
    let said = object.status.iter().flat_map(|status| &status.endpoints);
    let ids = said.filter_map(|endpoint| ArmId::parse(&endpoint.resource_id).ok());
    found.extend(ids.filter(|id| id.is(PRIVATE_ENDPOINTS)).map(|id| (id.key(), id)));
    found.into_values().collect()
}

async fn zones(
    object: &VnetAttachment,
    exit: &Exit<'_>,
    places: &Places,
    leaving: &mut Leaving,
) -> Result<(), Verdict> {
    let client = &exit.connected.client;
    let said = object.status.iter().flat_map(|status| &status.zones);
    let own = |id: &ArmId| places.zone(id.name()).is_ok_and(|zone| zone == *id);
    for id in said.filter_map(|id| ArmId::parse(id).ok()).filter(own) {
        let zone: Option<PrivateZone> =
            absent_is_none(find(client, id.as_str(), DNS_API_VERSION, Priority::Urgent).await)?;
        let Some(zone) = zone else { continue };
        if let Ok(link) = link_id(&id, &places.network) {
            let found: Option<ZoneLink> = find(client, link.as_str(), DNS_API_VERSION, Priority::Urgent).await?;
            leaving.links.extend(found.map(|found| (link, found)));
        }
        leaving.zones.push((id, zone));
    }
    Ok(())
}

/// True if another attachment to the same network goes on: the links serve it too.
fn in_use(object: &VnetAttachment, exit: &Exit<'_>, places: &Places) -> bool {
    exit.context.indexes.stations.attachments.objects().any(|other| {
        key_of(&other) != key_of(object)
            && other.metadata.deletion_timestamp.is_none()
            && Places::of(&other.spec).is_ok_and(|other| other.network == places.network)
    })
}
