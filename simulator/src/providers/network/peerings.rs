//! Peerings of virtual networks. Each side is written by itself; traffic flows when both are there.

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::address::Prefix;
use super::common::{CHILD, delete, free, id_of, invalid, linked, properties, put, referenced, resource_guid};
use super::virtual_networks;

const PEERING: &str = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings";

/// The member of a network that lists them.
pub(super) const LIST: &str = "virtualNetworkPeerings";

/// Set once both sides were there; nobody is shown it.
const MET: &str = "met";

const WRITABLE: &[&str] = &[
    "allowVirtualNetworkAccess",
    "allowForwardedTraffic",
    "allowGatewayTransit",
    "useRemoteGateways",
    "remoteVirtualNetwork",
    "doNotVerifyRemoteGateways",
    "peerCompleteVnets",
    "enableOnlyIPv6Peering",
    "localSubnetNames",
    "remoteSubnetNames",
];

/// The specification marks only some of these; a client that sends back what it has read sends them all.
const READ_ONLY: &[&str] = &[
    "localAddressSpace",
    "localVirtualNetworkAddressSpace",
    "remoteAddressSpace",
    "remoteVirtualNetworkAddressSpace",
    "remoteBgpCommunities",
    "remoteVirtualNetworkEncryption",
    "peeringState",
    "peeringSyncLevel",
    "resourceGuid",
];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: PEERING,
    accept,
    stored,
    removable: |world, document| free(world, document["id"].as_str().unwrap_or_default()),
    removed: |world, document| touch_network(world, document["id"].as_str().unwrap_or_default()),
    render,
    names: &[
        "allowVirtualNetworkAccess",
        "allowForwardedTraffic",
        "allowGatewayTransit",
        "useRemoteGateways",
        "remoteVirtualNetwork",
        "peeringState",
    ],
    create: put("virtualNetworkPeeringPut", Style::network_create(10)),
    update: put("virtualNetworkPeeringPut", Style::network_update(10)),
    delete: delete("virtualNetworkPeeringDelete", 10),
    ..CHILD
};

fn remote(peering: &Value) -> &str {
    id_of(&peering["properties"]["remoteVirtualNetwork"]).unwrap_or_default()
}

fn same(left: &str, right: &str) -> bool {
    ids::key(left) == ids::key(right)
}

/// Defaults: examples of OpenAPI Network 2024-05-01.
fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let mut stored = properties(world, proposal, WRITABLE, READ_ONLY)?;
    let (local, wanted) = (ids::parent(proposal.id), remote(proposal.body));
    if wanted.is_empty() || same(&local, wanted) {
        return Err(invalid("A peering leads to another virtual network."));
    }
    let network = world.resource(&local)?;
    let other = referenced(world, proposal.id, wanted)?;
    linked(world, proposal, "Microsoft.Network/virtualNetworks/peer/action", wanted)?;
    if proposal.existing.is_some_and(|existing| !same(remote(existing), wanted)) {
        // Chosen: code and sentence for a peering that shall lead elsewhere.
        let message = format!("The remote virtual network of peering {} cannot be changed.", proposal.id);
        return Err(ArmError::new(400, "ChangingRemoteVirtualNetworkNotAllowed", message));
    }
    let mut others = world.children(&local, PEERING).filter(|other| !same(proposal.id, id_text(other)));
    if let Some(double) = others.find(|other| same(remote(other), wanted)) {
        // Chosen: sentence for a second peering with the same network; the code is as users quote it.
        let message = format!("{} already references virtual network {wanted}.", id_text(double));
        return Err(ArmError::new(400, "AnotherPeeringAlreadyReferencesRemoteVnet", message));
    }
    let (ours, theirs) = (virtual_networks::space(network)?, virtual_networks::space(other)?);
    if ours.iter().any(|our: &Prefix| theirs.iter().any(|their| our.overlaps(*their))) {
        // Networks with addresses in common cannot be peered (Microsoft's page on peerings). Chosen: code and sentence, as
        // users quote them.
        let message = format!("Cannot create or update peering {}: the address spaces overlap.", proposal.id);
        return Err(ArmError::new(400, "VnetAddressSpacesOverlap", message));
    }
    for (name, default) in [
        ("allowVirtualNetworkAccess", true),
        ("allowForwardedTraffic", false),
        ("allowGatewayTransit", false),
        ("useRemoteGateways", false),
        ("doNotVerifyRemoteGateways", false),
    ] {
        stored.entry(name).or_insert(json!(default));
    }
    stored.insert("remoteVirtualNetwork".into(), json!({ "id": wanted }));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    let mut document = json!({ "properties": stored });
    if let Some(existing) = proposal.existing {
        document[MET] = existing[MET].clone();
    }
    Ok(document)
}

fn id_text(document: &Value) -> &str {
    document["id"].as_str().unwrap_or_default()
}

/// The other network's peering with this one's network.
fn counterpart<'a>(world: &'a World, peering: &Value) -> Option<&'a Value> {
    let local = ids::parent(id_text(peering));
    world.children(remote(peering), PEERING).find(|theirs| same(remote(theirs), &local))
}

/// A network shows its peerings: it looks different now.
fn touch_network(world: &mut World, peering: &str) {
    world.renew_etag(&ids::key(&ids::parent(peering)));
}

fn stored(world: &mut World, key: &str) {
    let Some(peering) = world.resources.get(key) else { return };
    if let Some(theirs) = counterpart(world, peering).map(|theirs| ids::key(id_text(theirs))) {
        for met in [key, &theirs] {
            if let Some(document) = world.resources.get_mut(met) {
                document[MET] = json!(true);
            }
        }
    }
    touch_network(world, key);
}

/// Whether both sides are there; one that has lost the other stays disconnected until it has it again.
fn state(world: &World, peering: &Value) -> &'static str {
    match counterpart(world, peering) {
        Some(_) => "Connected",
        None if peering[MET] == true => "Disconnected",
        None => "Initiated",
    }
}

fn render(world: &World, document: Value) -> Value {
    let mut peering = document;
    let state = state(world, &peering);
    let other = world.resources.get(&ids::key(remote(&peering)));
    let space = other.map(|other| other["properties"]["addressSpace"].clone()).unwrap_or(json!({}));
    let properties = &mut peering["properties"];
    properties["peeringState"] = json!(state);
    properties["peeringSyncLevel"] = json!(if state == "Connected" { "FullyInSync" } else { "RemoteNotInSync" });
    properties["remoteAddressSpace"] = space.clone();
    properties["remoteVirtualNetworkAddressSpace"] = space;
    if let Some(members) = peering.as_object_mut() {
        members.remove(MET);
    }
    peering
}

/// A network's peerings as it shows them.
pub(super) fn of_network(world: &World, network: &str) -> Vec<Value> {
    world.children(network, PEERING).map(|peering| crate::resource_type::render(world, peering)).collect()
}

/// The networks to which traffic flows from one: itself, and those it is peered with, if both sides let it. Peerings are
/// not followed further (Microsoft's page on peerings: they are not transitive).
pub(crate) fn in_sight(world: &World, network: &str) -> Vec<String> {
    let open = |peering: &Value| peering["properties"]["allowVirtualNetworkAccess"] != false;
    let seen = world.children(network, PEERING).filter(|ours| open(ours) && counterpart(world, ours).is_some_and(open));
    std::iter::once(network.to_owned()).chain(seen.map(|peering| remote(peering).to_owned())).collect()
}
