//! Subnets: of a network's list and as resources of their own.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::address::Prefix;
use super::children::Children;
use super::common::{CHILD, delete, free, id_of, invalid, linked, properties, provisioned, put, referenced};
use super::{interfaces, service_endpoint_policies, virtual_networks};

const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";

const WRITABLE: &[&str] = &[
    "addressPrefix",
    "addressPrefixes",
    "networkSecurityGroup",
    "routeTable",
    "natGateway",
    "serviceEndpoints",
    "serviceEndpointPolicies",
    "ipAllocations",
    "delegations",
    "privateEndpointNetworkPolicies",
    "privateLinkServiceNetworkPolicies",
    "applicationGatewayIPConfigurations",
    "sharingScope",
    "defaultOutboundAccess",
    "ipamPoolPrefixAllocations",
    "serviceGateway",
];

const READ_ONLY: &[&str] = &[
    "privateEndpoints",
    "ipConfigurations",
    "ipConfigurationProfiles",
    "resourceNavigationLinks",
    "serviceAssociationLinks",
    "purpose",
];

pub(super) const SUBNETS: Children = Children { list: "subnets", kind: SUBNET, shape };

pub(super) const TYPE: ResourceType = ResourceType {
    kind: SUBNET,
    accept,
    stored: Children::touch_parent,
    removable: |world, document| {
        free(world, document["id"].as_str().unwrap_or_default())?;
        unused(world, document)
    },
    removed: |world, document| Children::touch_parent(world, document["id"].as_str().unwrap_or_default()),
    render,
    names: virtual_networks::TYPE.names,
    create: put("subnetPut", Style::network_create(3)),
    update: put("subnetPut", Style::network_update(3)),
    delete: delete("subnetDelete", 10),
    ..CHILD
};

/// The prefixes of a subnet: it has one or a list.
pub(super) fn prefixes(subnet: &Value) -> Result<Vec<Prefix>, ArmError> {
    match subnet["properties"]["addressPrefix"].as_str() {
        Some(one) => Ok(vec![Prefix::parse(one)?]),
        None => Prefix::parse_all(&subnet["properties"]["addressPrefixes"]),
    }
}

fn one_of(properties: &serde_json::Map<String, Value>, name: &str, allowed: &[&str]) -> Result<(), ArmError> {
    match properties.get(name).map(|value| value.as_str().unwrap_or_default()) {
        Some(value) if !allowed.contains(&value) => Err(invalid(format!("'{value}' is not a value of {name}."))),
        _ => Ok(()),
    }
}

/// Judges a subnet by itself: OpenAPI Network 2024-05-01, defaults as recorded.
fn shape(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut stored = properties(world, proposal, WRITABLE, READ_ONLY)?;
    let body = json!({ "properties": stored });
    let wanted = prefixes(&body)?;
    let name = ids::name(proposal.id);
    if wanted.is_empty() {
        return Err(invalid(format!("The subnet '{name}' has no address prefix.")));
    }
    one_of(
        &stored,
        "privateEndpointNetworkPolicies",
        &["Enabled", "Disabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled"],
    )?;
    one_of(&stored, "privateLinkServiceNetworkPolicies", &["Enabled", "Disabled"])?;
    for (member, kind) in [
        ("networkSecurityGroup", "networkSecurityGroups"),
        ("routeTable", "routeTables"),
        ("natGateway", "natGateways"),
    ] {
        if let Some(id) = stored.get(member).and_then(id_of).map(str::to_owned) {
            linked(world, proposal, &format!("Microsoft.Network/{kind}/join/action"), &id)?;
            referenced(world, proposal.id, &id)?;
            stored.insert(member.into(), json!({ "id": id }));
        }
    }
    let policies = stored.get(service_endpoint_policies::MEMBER).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut kept = Vec::new();
    for policy in policies {
        let id = id_of(&policy).ok_or_else(|| invalid(format!("A policy of subnet '{name}' has no id.")))?;
        linked(world, proposal, "Microsoft.Network/serviceEndpointPolicies/join/action", id)?;
        referenced(world, proposal.id, id)?;
        kept.push(json!({ "id": id }));
    }
    if !kept.is_empty() {
        stored.insert(service_endpoint_policies::MEMBER.into(), json!(kept));
    }
    // A prefix under addresses in use may not be taken away. Chosen: code and
    // sentence.
    for (interface, configuration) in interfaces::in_subnet(world, proposal.id) {
        let address = configuration["properties"]["privateIPAddress"].as_str().and_then(|a| a.parse::<IpAddr>().ok());
        if address.is_some_and(|address| !wanted.iter().any(|prefix| prefix.holds(address))) {
            let user = interface["id"].as_str().unwrap_or_default();
            let message = format!("The address prefix of subnet {name} is in use by {user} and cannot be changed.");
            return Err(ArmError::new(400, "InUsePrefixCannotBeDeleted", message));
        }
    }
    let services = stored.get("serviceEndpoints").and_then(Value::as_array).cloned();
    if let Some(services) = services {
        let region = virtual_networks::region(world, proposal.id);
        let shown = |service: &Value| {
            let locations = service["locations"].as_array().cloned().filter(|locations| !locations.is_empty());
            // Chosen: the network's own region where none is named; Azure adds paired ones for some services.
            let locations = locations.unwrap_or_else(|| vec![json!(region)]);
            json!({ "service": service["service"], "locations": locations, "provisioningState": "Succeeded" })
        };
        stored.insert("serviceEndpoints".into(), services.iter().map(shown).collect());
    }
    let delegations = stored.get("delegations").and_then(Value::as_array).cloned().unwrap_or_default();
    let shown = |delegation: &Value| {
        let name = &delegation["name"];
        json!({
            "name": name,
            "id": format!("{}/delegations/{}", proposal.id, name.as_str().unwrap_or_default()),
            "type": format!("{SUBNET}/delegations"),
            "properties": {
                "provisioningState": "Succeeded", "actions": [],
                "serviceName": delegation["properties"]["serviceName"],
            }
        })
    };
    stored.insert("delegations".into(), delegations.iter().map(shown).collect());
    stored.entry("privateEndpointNetworkPolicies").or_insert(json!("Disabled"));
    stored.entry("privateLinkServiceNetworkPolicies").or_insert(json!("Enabled"));
    Ok(json!({ "properties": stored }))
}

/// Judges where a subnet lies. Chosen: codes and texts, as users quote them (`NetcfgInvalidSubnet` is what older reports
/// show for all).
pub(super) fn fit<'a>(
    network: &str,
    subnet: &Value,
    space: &[Prefix],
    others: impl Iterator<Item = &'a Value>,
) -> Result<(), ArmError> {
    let name = subnet["name"].as_str().unwrap_or_default();
    let refuse = |code: &str, message: String| Err(ArmError::new(400, code, message));
    let own = prefixes(subnet)?;
    if own.iter().any(|prefix| !prefix.is_usable()) {
        let message = format!("Subnet '{name}' is not valid in virtual network '{network}'.");
        return refuse("NetcfgInvalidSubnet", message);
    }
    if own.iter().any(|prefix| !space.iter().any(|space| space.contains(*prefix))) {
        let message = format!(
            "Subnet '{name}' is not valid because its IP address range is outside the IP address range of virtual \
             network '{network}'."
        );
        return refuse("NetcfgSubnetRangeOutsideVnet", message);
    }
    for other in others {
        if prefixes(other)?.iter().any(|theirs| own.iter().any(|prefix| prefix.overlaps(*theirs))) {
            let message = format!(
                "Subnet '{name}' is not valid because its IP address range overlaps with that of an existing subnet in \
                 virtual network '{network}'."
            );
            return refuse("NetcfgSubnetRangesOverlap", message);
        }
    }
    Ok(())
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    for (interface, _) in interfaces::in_subnet(world, proposal.id) {
        provisioned(world, proposal.id, interface["properties"]["privateEndpoint"]["id"].as_str().unwrap_or_default())?;
    }
    let mut document = shape(world, proposal)?;
    let (name, parent) = (ids::name(proposal.id), ids::parent(proposal.id));
    document["name"] = json!(name);
    let network = world.resource(&parent)?;
    let others = world.children(&parent, SUBNET);
    let others = others.filter(|other| !other["name"].as_str().is_some_and(|other| other.eq_ignore_ascii_case(name)));
    fit(ids::name(&parent), &document, &virtual_networks::space(network)?, others)?;
    Ok(document)
}

/// Refuses to give up a subnet that is in use (code: Microsoft's page on common deployment errors). Chosen: the sentence,
/// as users quote it.
pub(super) fn unused(world: &World, subnet: &Value) -> Result<(), ArmError> {
    let id = subnet["id"].as_str().unwrap_or_default();
    let users: Vec<&str> =
        interfaces::in_subnet(world, id).filter_map(|(_, configuration)| configuration["id"].as_str()).collect();
    if users.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Subnet {} is in use by {} and cannot be deleted. In order to delete the subnet, delete all the resources within \
         the subnet. See aka.ms/deletesubnet.",
        ids::name(id),
        users.join(", ")
    );
    Err(ArmError::new(400, "InUseSubnetCannotBeDeleted", message))
}

/// A subnet as GET shows it: with what lies in it, if anything does.
fn render(world: &World, document: Value) -> Value {
    let mut subnet = document;
    let id = subnet["id"].as_str().unwrap_or_default().to_owned();
    let mut endpoints = BTreeSet::new();
    let mut configurations = Vec::new();
    for (interface, configuration) in interfaces::in_subnet(world, &id) {
        endpoints.extend(interface["properties"]["privateEndpoint"]["id"].as_str());
        configurations.push(json!({ "id": configuration["id"] }));
    }
    if !endpoints.is_empty() {
        let shown = |endpoint: &&str| json!({ "id": endpoint });
        subnet["properties"]["privateEndpoints"] = endpoints.iter().map(shown).collect();
    }
    if !configurations.is_empty() {
        subnet["properties"]["ipConfigurations"] = configurations.into();
    }
    subnet
}

/// `count` addresses of a subnet that nobody has, lowest first; those in `besides` are spoken for as well.
pub(super) fn free_addresses(
    world: &World,
    subnet: &Value,
    count: usize,
    besides: &[IpAddr],
) -> Result<Vec<IpAddr>, ArmError> {
    let id = subnet["id"].as_str().unwrap_or_default();
    let mut taken: BTreeSet<IpAddr> = interfaces::addresses_in(world, id).map(|(address, _)| address).collect();
    taken.extend(besides);
    let mut found = Vec::new();
    for prefix in prefixes(subnet)? {
        let free = prefix.addresses().filter(|address| !taken.contains(address));
        found.extend(free.take(count.saturating_sub(found.len())));
    }
    if found.len() == count {
        return Ok(found);
    }
    // Chosen: code and sentence for a subnet without a free address.
    let message = format!("Subnet {} does not have enough capacity for {count} IP addresses.", ids::name(id));
    Err(ArmError::new(400, "SubnetIsFull", message))
}

/// Judges an address that somebody asks for in a subnet; `owner` may have it already. Chosen: codes and sentences, as users
/// quote them.
pub(super) fn check_static(world: &World, subnet: &Value, address: IpAddr, owner: &str) -> Result<(), ArmError> {
    let id = subnet["id"].as_str().unwrap_or_default();
    let prefixes = prefixes(subnet)?;
    let refuse = |code: &str, message: String| Err(ArmError::new(400, code, message));
    if !prefixes.iter().any(|prefix| prefix.holds(address)) {
        let message = format!("Private static IP address {address} does not belong to the range of subnet {id}.");
        return refuse("PrivateIPAddressNotInSubnet", message);
    }
    if prefixes.iter().any(|prefix| prefix.reserves(address)) {
        let message = format!("Private static IP address {address} falls within reserved IP range of subnet {id}.");
        return refuse("PrivateIPAddressInReservedRange", message);
    }
    let holder = interfaces::addresses_in(world, id)
        .find(|(theirs, interface)| *theirs == address && !interface.eq_ignore_ascii_case(owner));
    match holder {
        Some((_, interface)) => {
            let message = format!(
                "IP configuration of {owner} is using the private IP address {address} which is already allocated to \
                 resource {interface}."
            );
            refuse("PrivateIPAddressIsAllocated", message)
        }
        None => Ok(()),
    }
}
