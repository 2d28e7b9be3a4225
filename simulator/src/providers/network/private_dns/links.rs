//! Links of private DNS zones to virtual networks.

use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Etag, Patch, Proposal, ResourceType};
use crate::world::World;

use super::super::common::{id_of, linked, without_empty_tags};
use super::{write, zones};

/// The first version with `resolutionPolicy`.
const WITH_POLICY: &str = "2024-06-01";

/// The kind of the operation that makes a link.
pub(super) const CREATION: &str = "virtualNetworkLinkPut";

pub(super) const KIND: &str = "Microsoft.Network/privateDnsZones/virtualNetworkLinks";

pub(in super::super) const TYPE: ResourceType = ResourceType {
    kind: KIND,
    accept,
    render,
    names: &["virtualNetwork", "registrationEnabled", "resolutionPolicy", "virtualNetworkLinkState"],
    create: write(CREATION, "Creating", 201),
    update: write("virtualNetworkLinkUpdate", "Updating", 200),
    patch: Some((Patch::Merge, write("virtualNetworkLinkPatch", "Updating", 200))),
    delete: write("virtualNetworkLinkDelete", "Deleting", 200),
    etag: Etag::ConditionalQuoted,
    ..ResourceType::DEFAULT
};

fn bad(message: impl Into<String>) -> ArmError {
    ArmError::new(400, "BadRequest", message)
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    zones::global(proposal)?;
    let wanted = &proposal.body["properties"];
    let network = id_of(&wanted["virtualNetwork"]).ok_or_else(|| bad("The link names no virtual network."))?;
    let before = proposal.existing.map(|existing| &existing["properties"]);
    if before.is_some_and(|before| id_of(&before["virtualNetwork"]).is_some_and(|id| ids::key(id) != ids::key(network)))
    {
        // Chosen: code and sentence for a link that shall lead to another network.
        return Err(bad("The virtual network of a link cannot be changed."));
    }
    world.resource(network)?;
    linked(world, proposal, "Microsoft.Network/virtualNetworks/join/action", network)?;
    let registers = wanted["registrationEnabled"].as_bool().unwrap_or(false);
    distinct(world, proposal, network, registers)?;
    let mut properties = json!({ "virtualNetwork": { "id": network }, "registrationEnabled": registers });
    let policy = if proposal.api_version >= WITH_POLICY { &wanted["resolutionPolicy"] } else { &Value::Null };
    match (policy.as_str(), before.map(|before| &before["resolutionPolicy"])) {
        (Some(policy), _) if ["Default", "NxDomainRedirect"].contains(&policy) => {
            properties["resolutionPolicy"] = json!(policy);
        }
        (Some(policy), _) => return Err(bad(format!("'{policy}' is not a value of resolutionPolicy."))),
        // Chosen: who cannot name it, or does not, leaves it as it is.
        (None, Some(before)) if before.is_string() => properties["resolutionPolicy"] = before.clone(),
        _ => {}
    }
    Ok(json!({ "properties": properties }))
}

/// A network has one zone of a name, one link to a zone and one zone in which it registers (Microsoft's page on virtual
/// network links). Chosen: codes and sentences; that of the first as users quote it.
fn distinct(world: &World, proposal: &Proposal<'_>, network: &str, registers: bool) -> Result<(), ArmError> {
    let (own, zone) = (ids::key(proposal.id), ids::parent(proposal.id));
    let same = |left: &str, right: &str| ids::key(left) == ids::key(right);
    let links =
        world.all_of(zones::TYPE.kind).flat_map(|zone| world.children(zone["id"].as_str().unwrap_or_default(), KIND));
    for link in links {
        let id = link["id"].as_str().unwrap_or_default();
        let to_network = id_of(&link["properties"]["virtualNetwork"]).is_some_and(|theirs| same(theirs, network));
        if ids::key(id) == own || !to_network {
            continue;
        }
        let (theirs, ours) = (ids::parent(id), ids::name(&zone));
        if same(&theirs, &zone) {
            let message = format!("The virtual network is linked to the zone already, by '{}'.", ids::name(id));
            return Err(ArmError::conflict(message));
        }
        if same(ids::name(&theirs), ours) {
            return Err(bad(format!(
                "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link \
                 virtual network with '{}' and '{ours}' zones.",
                ids::name(&theirs)
            )));
        }
        if registers && link["properties"]["registrationEnabled"] == json!(true) {
            return Err(bad(format!("The virtual network registers in the zone '{}' already.", ids::name(&theirs))));
        }
    }
    Ok(())
}

fn render(_: &World, document: Value) -> Value {
    let mut link = without_empty_tags(document);
    let done = link["properties"]["provisioningState"] == json!("Succeeded");
    link["properties"]["virtualNetworkLinkState"] = json!(if done { "Completed" } else { "InProgress" });
    link
}
