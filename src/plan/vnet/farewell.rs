//! What the deletion of an attachment takes away: what it made, and nothing else; never the last way to a workspace without a word.

use crate::api::OWNER_TAG;
use crate::api::common::{Acknowledgement, Door, acknowledged};
use crate::api::ids::ArmId;
use crate::azure::machine_learning::Workspace;
use crate::azure::network::{API_VERSION, DNS_API_VERSION, PrivateEndpoint, PrivateZone, ZoneLink};
use crate::plan::attached::Farewell;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::Owner;
use crate::plan::step::Step;

use super::dns::{GROUP, shared_owner};

/// What is there of what an attachment may have made.
#[derive(Clone, Debug, Default)]
pub struct Leaving {
    /// Endpoints, with whether they have a zone group.
    pub endpoints: Vec<(ArmId, PrivateEndpoint, bool)>,
    /// Links to the network, of zones that it used.
    pub links: Vec<(ArmId, ZoneLink)>,
    /// Zones that it used.
    pub zones: Vec<(ArmId, PrivateZone)>,
    /// Whether another attachment to the same network goes on.
    pub network_in_use: bool,
    /// The workspace as ARM shows it; `None` if it is gone.
    pub workspace: Option<Workspace>,
}

/// Decides what the deletion means for Azure. The order is: records, endpoints, links, zones.
pub fn farewell(owner: &Owner, acknowledge: &[Acknowledgement], leaving: &Leaving) -> Farewell {
    let own: Vec<&(ArmId, PrivateEndpoint, bool)> = leaving
        .endpoints
        .iter()
        .filter(|(_, endpoint, _)| endpoint.tag(OWNER_TAG).is_some_and(|tag| owner.is(tag)))
        .collect();
    if let Some(verdict) = last_path(&own, acknowledge, leaving) {
        return Farewell::Wait(verdict);
    }
    let mut steps = Vec::new();
    for (id, endpoint, has_group) in own.iter().copied() {
        let message = format!("Azure is removing the private endpoint {}", id.name());
        let verdict = Verdict::new(Reason::Deleting, message);
        if endpoint.is_moving() {
            return Farewell::Wait(verdict);
        }
        let group = id.child("privateDnsZoneGroups", GROUP).ok().filter(|_| *has_group);
        steps.push(Step::delete(group.as_ref().unwrap_or(id), API_VERSION, verdict));
    }
    if !steps.is_empty() {
        return Farewell::Remove(steps);
    }
    let shared = shared_owner(&owner.installation);
    let is_shared = |tag: Option<&str>| tag.is_some_and(|tag| shared.is(tag));
    if !leaving.network_in_use {
        for (id, link) in leaving.links.iter().filter(|(_, link)| is_shared(link.tag(OWNER_TAG))) {
            let verdict = Verdict::new(Reason::Deleting, "Azure is unlinking the zones from the network");
            if link.is_moving() {
                return Farewell::Wait(verdict);
            }
            steps.push(Step::delete(id, DNS_API_VERSION, verdict));
        }
    }
    if !steps.is_empty() {
        return Farewell::Remove(steps);
    }
    // A zone that holds anybody's record, or answers in anybody's network, stays.
    let unused = leaving.zones.iter().filter(|(_, zone)| is_shared(zone.tag(OWNER_TAG)) && zone.is_unused());
    let verdict = Verdict::new(Reason::Deleting, "Azure is removing the zones that nothing uses any more");
    let steps: Vec<Step> = unused.map(|(id, _)| Step::delete(id, DNS_API_VERSION, verdict.clone())).collect();
    if steps.is_empty() {
        return Farewell::Release("all that it made is gone; whatever else uses the network stays".into());
    }
    Farewell::Remove(steps)
}

/// The door that the last private way to a workspace without public access needs.
fn last_path(
    own: &[&(ArmId, PrivateEndpoint, bool)],
    acknowledge: &[Acknowledgement],
    leaving: &Leaving,
) -> Option<Verdict> {
    let workspace = leaving.workspace.as_ref()?;
    let public = workspace.properties.public_network_access.as_deref().unwrap_or("Enabled");
    if !public.eq_ignore_ascii_case("Disabled") {
        return None;
    }
    let paths: Vec<&str> = workspace.private_paths().collect();
    let is_own = |path: &&str| own.iter().any(|(id, _, _)| id.as_str().eq_ignore_ascii_case(path));
    let leads = own.iter().find(|(id, _, _)| paths.iter().any(|path| id.as_str().eq_ignore_ascii_case(path)));
    let (id, _, _) = leads.filter(|_| paths.iter().all(is_own))?;
    if acknowledged(acknowledge, Door::LastPrivatePath, &id.key()) {
        return None;
    }
    let key = id.key();
    Some(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "the private endpoint {} is the last private way to the workspace, whose public access is off: without it nobody reaches the \
             workspace, and it does not open by itself. If that is meant, add to spec.acknowledge {{door: LastPrivatePath, value: {key}}}",
            id.name()
        ),
    ))
}
