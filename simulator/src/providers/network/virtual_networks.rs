//! Virtual networks.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::body;
use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::address::Prefix;
use super::common::{BASE, delete, free, invalid, properties, put, resource_guid, without_empty_tags};
use super::peerings;
use super::subnets::{self, SUBNETS};

const WRITABLE: &[&str] = &[
    "addressSpace",
    "dhcpOptions",
    "flowTimeoutInMinutes",
    "enableDdosProtection",
    "enableVmProtection",
    "ddosProtectionPlan",
    "bgpCommunities",
    "encryption",
    "ipAllocations",
    "privateEndpointVNetPolicies",
];

const READ_ONLY: &[&str] =
    &["subnets", "virtualNetworkPeerings", "resourceGuid", "flowLogs", "defaultPublicNatGateway"];

/// Since this version a PUT without `subnets` leaves them alone; before, it removed them all (Azure networking blog,
/// "updates without subnet property").
const SUBNETS_MAY_BE_LEFT_OUT: &str = "2023-09-01";

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Network/virtualNetworks",
    accept,
    stored: |world, key| SUBNETS.stored(world, key),
    removable: |world, document| {
        free(world, document["id"].as_str().unwrap_or_default())?;
        world
            .children(document["id"].as_str().unwrap_or_default(), SUBNETS.kind)
            .try_for_each(|subnet| subnets::unused(world, subnet))
    },
    render,
    names: &[
        "addressSpace",
        "addressPrefixes",
        "dhcpOptions",
        "dnsServers",
        "flowTimeoutInMinutes",
        "subnets",
        "enableDdosProtection",
        "enableVmProtection",
        "ddosProtectionPlan",
        "bgpCommunities",
        "encryption",
        "enabled",
        "enforcement",
        "ipAllocations",
        "privateEndpointVNetPolicies",
        "virtualNetworkPeerings",
        "addressPrefix",
        "networkSecurityGroup",
        "routeTable",
        "natGateway",
        "serviceEndpoints",
        "service",
        "locations",
        "serviceEndpointPolicies",
        "delegations",
        "serviceName",
        "privateEndpointNetworkPolicies",
        "privateLinkServiceNetworkPolicies",
        "sharingScope",
        "defaultOutboundAccess",
    ],
    create: put("virtualNetworkPut", Style::network_create(3)),
    update: put("virtualNetworkPut", Style::network_update(3)),
    delete: delete("virtualNetworkDelete", 10),
    ..BASE
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let mut stored = properties(world, proposal, WRITABLE, READ_ONLY)?;
    let name = ids::name(proposal.id);
    let space = Prefix::parse_all(&proposal.body["properties"]["addressSpace"]["addressPrefixes"])?;
    if space.is_empty() {
        return Err(invalid(format!("The virtual network '{name}' has no address space.")));
    }
    let given = proposal.body["properties"].as_object().is_some_and(|given| given.contains_key(SUBNETS.list));
    let removes = given || proposal.api_version < SUBNETS_MAY_BE_LEFT_OUT;
    let wanted = if removes {
        SUBNETS.accept(world, proposal)?
    } else {
        world.children(proposal.id, SUBNETS.kind).cloned().collect()
    };
    for (index, subnet) in wanted.iter().enumerate() {
        subnets::fit(name, subnet, &space, wanted.iter().take(index))?;
    }
    if removes {
        stored.insert(SUBNETS.list.into(), json!(wanted));
    }
    stored.entry("enableDdosProtection").or_insert(json!(false));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    Ok(json!({ "properties": stored }))
}

fn render(world: &World, document: Value) -> Value {
    let mut network = without_empty_tags(document);
    network["properties"][SUBNETS.list] = SUBNETS.render(world, &network);
    let id = network["id"].as_str().unwrap_or_default().to_owned();
    network["properties"][peerings::LIST] = peerings::of_network(world, &id).into();
    network
}

/// The address space of a network.
pub(super) fn space(network: &Value) -> Result<Vec<Prefix>, ArmError> {
    Prefix::parse_all(&network["properties"]["addressSpace"]["addressPrefixes"])
}

/// The DNS servers that a network states in place of Azure's own.
pub(crate) fn dns_servers(world: &World, network: &str) -> Vec<IpAddr> {
    let network = world.resources.get(&ids::key(network));
    let servers = network.and_then(|network| network["properties"]["dhcpOptions"]["dnsServers"].as_array());
    servers.into_iter().flatten().filter_map(|server| server.as_str()?.parse().ok()).collect()
}

/// Whether an address lies in a network.
pub(crate) fn holds(world: &World, network: &str, address: IpAddr) -> bool {
    let space = world.resources.get(&ids::key(network)).and_then(|network| space(network).ok());
    space.into_iter().flatten().any(|prefix| prefix.holds(address))
}

/// The region of the network that a subnet lies in.
pub(super) fn region(world: &World, subnet: &str) -> String {
    let network = world.resources.get(&ids::key(&ids::parent(subnet)));
    body::location(network.and_then(|network| network["location"].as_str()).unwrap_or_default())
}
