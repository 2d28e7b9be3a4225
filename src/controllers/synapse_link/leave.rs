//! Reads what a link that is being deleted may have made.

use super::observe::{endpoints, linked_services, pools, recognise, trouble, workspace};
use super::role::granted_here;
use super::{data_plane, ledger_key};
use crate::api::SynapseLink;
use crate::api::connection::Verb;
use crate::azure::client::Priority;
use crate::controllers::attached::Exit;
use crate::plan::attached::Farewell;
use crate::plan::synapse::{Leaving, is_usable, linked_service_name, pool_of, synapse_of};
use crate::plan::{Reason, Verdict};

/// Decides what the deletion of `object` means for Azure.
pub(super) async fn farewell(object: &SynapseLink, exit: &Exit<'_>) -> Result<Farewell, Verdict> {
    let (context, arm) = (exit.context, &exit.connected.client);
    let synapse = synapse_of(&object.spec)?;
    let open = context.link_ledger.open(&ledger_key(object), &synapse).await.map_err(trouble)?;
    // A finalizer proves nothing: its namespace can write one. What was asked for is on record; without a record, whoever may reach the
    // workspace may have it looked at.
    if open.is_missing() && exit.fence.allows(Verb::Reach, &synapse).is_err() {
        return Ok(Farewell::Release("nothing was ever made for it in Azure".into()));
    }
    let found = match workspace(arm, &synapse, Priority::Urgent).await {
        Err(verdict) if verdict.reason == Reason::ParentMissing => None,
        found => found?,
    };
    let pinned = open.record.pins.as_ref().map(|pins| &pins.synapse_workspace_uid);
    // In a workspace that somebody made anew under the name there is nothing of this link.
    let same = found.filter(|found| pinned.is_none_or(|uid| found.properties.workspace_uid.as_ref() == Some(uid)));
    let mut leaving = Leaving { synapse: synapse.name().to_ascii_lowercase(), ..Leaving::default() };
    if let Some(found) = same.filter(is_usable) {
        let data = data_plane(exit.connected, &synapse)?;
        recognise(&data, &synapse, &found).await?;
        let name = linked_service_name(exit.owner, &object.spec);
        let own = object.spec.linked_service.is_none() || open.record.wrote_linked_service;
        let mut services = linked_services(&data, &synapse, Priority::Urgent).await?.into_iter();
        leaving.linked_service = services.find(|service| own && service.name.eq_ignore_ascii_case(&name));
        leaving.endpoints = endpoints(&data, &synapse, Priority::Urgent).await?;
        if let Some(id) = pool_of(&object.spec, &synapse)? {
            let mut pools = pools(arm, &synapse, Priority::Urgent).await?.into_iter();
            leaving.pool = pools.find(|pool| pool.name.eq_ignore_ascii_case(id.name())).map(|pool| (id, pool));
        }
    }
    for granted in &open.record.granted {
        leaving.assignments.extend(granted_here(context, arm, object, granted, Priority::Urgent).await?);
    }
    let farewell = crate::plan::synapse::farewell(exit.owner, &leaving);
    if matches!(farewell, Farewell::Release(_)) {
        context.link_ledger.remove(&open).await.map_err(trouble)?;
    }
    Ok(farewell)
}
