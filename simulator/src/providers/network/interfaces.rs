//! Network interfaces: the ones that people make, and the ones that a private endpoint has.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::body;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType, at_once};
use crate::world::World;

use super::common::{
    BASE, delete, id_of, invalid, linked, not_referable, properties, provisioned, referenced, resource_guid,
    without_empty_tags,
};
use super::subnets;

const INTERFACE: &str = "Microsoft.Network/networkInterfaces";

const WRITABLE: &[&str] = &[
    "ipConfigurations",
    "networkSecurityGroup",
    "dnsSettings",
    "enableAcceleratedNetworking",
    "enableIPForwarding",
    "nicType",
    "auxiliaryMode",
    "auxiliarySku",
    "disableTcpStateTracking",
];

const READ_ONLY: &[&str] = &[
    "resourceGuid",
    "macAddress",
    "primary",
    "virtualMachine",
    "privateEndpoint",
    "vnetEncryptionSupported",
    "hostedWorkloads",
    "tapConfigurations",
    "privateLinkService",
    "dscpConfiguration",
    "workloadType",
    "migrationPhase",
    "allowPort25Out",
    "defaultOutboundConnectivityEnabled",
];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: INTERFACE,
    accept,
    removable,
    render,
    names: &[
        "ipConfigurations",
        "networkSecurityGroup",
        "dnsSettings",
        "dnsServers",
        "enableAcceleratedNetworking",
        "enableIPForwarding",
        "nicType",
        "auxiliaryMode",
        "auxiliarySku",
        "disableTcpStateTracking",
        "privateIPAddress",
        "privateIPAllocationMethod",
        "privateIPAddressVersion",
        "subnet",
        "primary",
        "publicIPAddress",
    ],
    // The recorded PUT is no operation.
    create: at_once("networkInterfacePut", 201),
    update: at_once("networkInterfacePut", 200),
    delete: delete("networkInterfaceDelete", 4),
    ..BASE
};

/// The IP configurations that lie in a subnet, with their interfaces.
pub(super) fn in_subnet<'a>(world: &'a World, subnet: &str) -> impl Iterator<Item = (&'a Value, &'a Value)> + use<'a> {
    let subnet = ids::key(subnet);
    let configurations = |interface: &'a Value| {
        let items = interface["properties"]["ipConfigurations"].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(move |item| (interface, item))
    };
    let lies_there =
        move |item: &Value| id_of(&item["properties"]["subnet"]).is_some_and(|theirs| ids::key(theirs) == subnet);
    world.all_of(INTERFACE).flat_map(configurations).filter(move |(_, item)| lies_there(item))
}

/// The addresses taken in a subnet, with the ids of their interfaces.
pub(super) fn addresses_in<'a>(world: &'a World, subnet: &str) -> impl Iterator<Item = (IpAddr, &'a str)> + use<'a> {
    in_subnet(world, subnet).filter_map(|(interface, item)| {
        let address = item["properties"]["privateIPAddress"].as_str()?.parse().ok()?;
        Some((address, interface["id"].as_str()?))
    })
}

/// The interfaces with an address, each with that IP configuration: one in each network that uses the address.
pub(crate) fn at(world: &World, address: IpAddr) -> impl Iterator<Item = (&Value, &Value)> {
    world.all_of(INTERFACE).filter_map(move |interface| {
        let has = |item: &&Value| {
            let own = item["properties"]["privateIPAddress"].as_str().and_then(|own| own.parse::<IpAddr>().ok());
            own == Some(address)
        };
        Some((interface, interface["properties"]["ipConfigurations"].as_array()?.iter().find(has)?))
    })
}

/// A subnet that `by` may lie in: it exists, in the same region.
pub(super) fn subnet_for<'a>(world: &'a World, proposal: &Proposal<'_>, subnet: &str) -> Result<&'a Value, ArmError> {
    linked(world, proposal, "Microsoft.Network/virtualNetworks/subnets/join/action", subnet)?;
    let found = referenced(world, proposal.id, subnet)?;
    let region = body::location(proposal.body["location"].as_str().unwrap_or_default());
    if super::virtual_networks::region(world, subnet) != region {
        return Err(not_referable(proposal.id, subnet));
    }
    provisioned(world, proposal.id, subnet)?;
    Ok(found)
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    if let Some(existing) = proposal.existing {
        not_of_an_endpoint(existing, "Change")?;
    }
    let mut stored = properties(world, proposal, WRITABLE, READ_ONLY)?;
    let items = stored.get("ipConfigurations").and_then(Value::as_array).cloned().unwrap_or_default();
    if items.is_empty() {
        return Err(invalid("A network interface needs an IP configuration."));
    }
    let mut taken = Vec::new();
    let mut configurations = Vec::new();
    for (index, item) in items.iter().enumerate() {
        configurations.push(configuration(world, proposal, item, index == 0, &mut taken)?);
    }
    if let Some(group) = stored.get("networkSecurityGroup").and_then(id_of).map(str::to_owned) {
        linked(world, proposal, "Microsoft.Network/networkSecurityGroups/join/action", &group)?;
        referenced(world, proposal.id, &group)?;
        provisioned(world, proposal.id, &group)?;
        stored.insert("networkSecurityGroup".into(), json!({ "id": group }));
    }
    let guid = resource_guid(world, proposal);
    stored.insert("ipConfigurations".into(), json!(configurations));
    stored.insert("dnsSettings".into(), dns_settings(&guid, &stored.get("dnsSettings").cloned().unwrap_or_default()));
    stored.insert("resourceGuid".into(), guid);
    for (name, value) in [
        ("enableAcceleratedNetworking", json!(false)),
        ("vnetEncryptionSupported", json!(false)),
        ("enableIPForwarding", json!(false)),
        ("hostedWorkloads", json!([])),
        ("tapConfigurations", json!([])),
        ("nicType", json!("Standard")),
    ] {
        stored.entry(name).or_insert(value);
    }
    Ok(json!({ "properties": stored }))
}

fn configuration(
    world: &World,
    proposal: &Proposal<'_>,
    item: &Value,
    first: bool,
    taken: &mut Vec<IpAddr>,
) -> Result<Value, ArmError> {
    let (name, wanted) = (item["name"].as_str().unwrap_or_default(), &item["properties"]);
    if name.is_empty() {
        return Err(invalid("An IP configuration has no name."));
    }
    let public = id_of(&wanted["publicIPAddress"]);
    if let Some(address) = public {
        linked(world, proposal, "Microsoft.Network/publicIPAddresses/join/action", address)?;
        referenced(world, proposal.id, address)?;
        provisioned(world, proposal.id, address)?;
    }
    let subnet_id = id_of(&wanted["subnet"]).ok_or_else(|| invalid(format!("'{name}' has no subnet.")))?;
    let subnet = subnet_for(world, proposal, subnet_id)?;
    let is_static = wanted["privateIPAllocationMethod"].as_str().is_some_and(|m| m.eq_ignore_ascii_case("Static"));
    let address = if is_static {
        let address = wanted["privateIPAddress"].as_str().and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| {
            let message = format!(
                "Private IP address is required when privateIPAllocationMethod is Static in IP configuration {name}."
            );
            // Chosen: code and sentence for a static address that is not stated.
            ArmError::new(400, "PrivateIPAddressMissing", message)
        })?;
        subnets::check_static(world, subnet, address, proposal.id)?;
        address
    } else {
        match kept_address(proposal, name, subnet_id) {
            Some(address) => address,
            None => first_free(world, subnet, taken)?,
        }
    };
    taken.push(address);
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "privateIPAddress": address,
        "privateIPAllocationMethod": if is_static { "Static" } else { "Dynamic" },
        "subnet": { "id": subnet_id },
        "primary": wanted["primary"].as_bool().unwrap_or(first),
        "privateIPAddressVersion": wanted["privateIPAddressVersion"].as_str().unwrap_or("IPv4"),
    });
    if let Some(address) = public {
        properties["publicIPAddress"] = json!({ "id": address });
    }
    Ok(json!({
        "name": name, "id": format!("{}/ipConfigurations/{name}", proposal.id),
        "type": format!("{INTERFACE}/ipConfigurations"), "properties": properties,
    }))
}

fn first_free(world: &World, subnet: &Value, taken: &[IpAddr]) -> Result<IpAddr, ArmError> {
    let free = subnets::free_addresses(world, subnet, 1, taken)?;
    free.first().copied().ok_or_else(|| invalid("The subnet has no address."))
}

/// A dynamic address stays for as long as its configuration lies in the same subnet.
fn kept_address(proposal: &Proposal<'_>, name: &str, subnet: &str) -> Option<IpAddr> {
    let items = proposal.existing?["properties"]["ipConfigurations"].as_array()?;
    let same = |item: &&Value| {
        item["name"] == json!(name)
            && id_of(&item["properties"]["subnet"]).is_some_and(|theirs| ids::key(theirs) == ids::key(subnet))
    };
    items.iter().find(same)?["properties"]["privateIPAddress"].as_str()?.parse().ok()
}

fn dns_settings(guid: &Value, wanted: &Value) -> Value {
    // Chosen: a name out of the interface's guid; Azure's is a random word of the virtual network.
    let word: String = guid.as_str().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(26).collect();
    let servers = wanted["dnsServers"].as_array().cloned().unwrap_or_default();
    json!({
        "dnsServers": servers, "appliedDnsServers": [],
        "internalDomainNameSuffix": format!("{word}.xx.internal.cloudapp.net"),
    })
}

/// What an interface of a private endpoint is made of.
pub(super) struct Address {
    pub(super) address: IpAddr,
    /// The name of the configuration, if the address was asked for.
    pub(super) chosen_as: Option<String>,
    pub(super) group: String,
    pub(super) member: String,
    pub(super) hosts: Vec<String>,
}

/// The IP configurations of an endpoint's interface, as recorded.
fn configurations(id: &str, subnet: &str, addresses: &[Address]) -> Vec<Value> {
    let configuration = |(index, item): (usize, &Address)| {
        let own = ids::guid(&["ip configuration", id, &item.group, &item.member]);
        let name = item.chosen_as.clone().unwrap_or_else(|| format!("privateEndpointIpConfig.{own}"));
        json!({
            "name": name, "id": format!("{id}/ipConfigurations/{name}"),
            "type": format!("{INTERFACE}/ipConfigurations"),
            "properties": {
                "provisioningState": "Succeeded", "privateIPAddress": item.address,
                "privateIPAllocationMethod": if item.chosen_as.is_some() { "Static" } else { "Dynamic" },
                "subnet": { "id": subnet }, "primary": index == 0, "privateIPAddressVersion": "IPv4",
                "privateLinkConnectionProperties": {
                    "groupId": item.group, "requiredMemberName": item.member, "fqdns": item.hosts,
                },
            }
        })
    };
    addresses.iter().enumerate().map(configuration).collect()
}

/// The interface of a private endpoint, as recorded.
pub(super) fn of_endpoint(world: &mut World, id: &str, endpoint: &Value, subnet: &str, addresses: &[Address]) {
    let endpoint_id = endpoint["id"].as_str().unwrap_or_default();
    let lives = world.next_generation(&format!("interface {id}")).to_string();
    let guid = json!(ids::guid(&["interface", id, &lives]));
    let document = json!({
        "id": id, "name": ids::name(id), "type": INTERFACE, "location": endpoint["location"], "tags": {},
        "kind": "Regular", "managedBy": endpoint_id,
        "properties": {
            "dnsSettings": dns_settings(&guid, &Value::Null), "resourceGuid": guid,
            "ipConfigurations": configurations(id, subnet, addresses), "macAddress": "", "enableAcceleratedNetworking": false,
            "vnetEncryptionSupported": false, "enableIPForwarding": false, "hostedWorkloads": [],
            "tapConfigurations": [], "privateEndpoint": { "id": endpoint_id }, "nicType": "Standard",
            "allowPort25Out": true, "auxiliaryMode": "None",
        }
    });
    let key = ids::key(id);
    world.resources.insert(key.clone(), document);
    world.renew_etag(&key);
}

/// Gives an endpoint's interface other addresses.
pub(super) fn readdress(world: &mut World, id: &str, subnet: &str, addresses: &[Address]) {
    let key = ids::key(id);
    if let Some(interface) = world.resources.get_mut(&key) {
        interface["properties"]["ipConfigurations"] = configurations(id, subnet, addresses).into();
        world.renew_etag(&key);
    }
}

/// Azure makes, changes and deletes the interface of an endpoint with the endpoint. Chosen: the code and the sentence with
/// which it refuses others.
fn not_of_an_endpoint(interface: &Value, verb: &str) -> Result<(), ArmError> {
    let Some(endpoint) = id_of(&interface["properties"]["privateEndpoint"]) else { return Ok(()) };
    let id = interface["id"].as_str().unwrap_or_default();
    let message =
        format!("Network interface {id} is managed by private endpoint {endpoint}, by which alone it changes.");
    Err(ArmError::new(400, format!("Cannot{verb}NetworkInterfaceManagedByPrivateEndpoint"), message))
}

fn removable(_: &World, document: &Value) -> Result<(), ArmError> {
    not_of_an_endpoint(document, "Delete")
}

fn render(_: &World, document: Value) -> Value {
    let mut interface = without_empty_tags(document);
    let tag = interface["etag"].clone();
    for item in interface["properties"]["ipConfigurations"].as_array_mut().into_iter().flatten() {
        item["etag"] = tag.clone();
    }
    interface
}
