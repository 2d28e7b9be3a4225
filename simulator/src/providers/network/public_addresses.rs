//! Public IP addresses.

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::common::{BASE, delete, free, invalid, properties, put, resource_guid, without_empty_tags};
use super::users;

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Network/publicIPAddresses",
    accept,
    settled,
    removable,
    render,
    names: &[
        "tier",
        "publicIPAllocationMethod",
        "publicIPAddressVersion",
        "dnsSettings",
        "domainNameLabel",
        "idleTimeoutInMinutes",
        "ipTags",
        "publicIPPrefix",
        "ddosSettings",
        "natGateway",
        "deleteOption",
    ],
    create: put("publicIpAddressPut", Style::network_create(1)),
    update: put("publicIpAddressPut", Style::network_update(1)),
    delete: delete("publicIpAddressDelete", 10),
    ..BASE
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let writable = &[
        "publicIPAllocationMethod",
        "publicIPAddressVersion",
        "dnsSettings",
        "idleTimeoutInMinutes",
        "ipTags",
        "publicIPPrefix",
        "ddosSettings",
        "natGateway",
        "deleteOption",
    ];
    let mut stored = properties(world, proposal, writable, &["ipAddress", "ipConfiguration", "resourceGuid"])?;
    let method = stored.get("publicIPAllocationMethod").and_then(Value::as_str).unwrap_or("Dynamic").to_owned();
    let sku = proposal.body["sku"]["name"].as_str().unwrap_or("Basic");
    if sku == "Standard" && method != "Static" {
        // Chosen: the code for an address of the Standard SKU that is not static; the rule is documented.
        return Err(invalid("A public IP address of the SKU Standard is allocated statically."));
    }
    stored.insert("publicIPAllocationMethod".into(), json!(method));
    stored.entry("publicIPAddressVersion").or_insert(json!("IPv4"));
    stored.entry("idleTimeoutInMinutes").or_insert(json!(4));
    stored.entry("ipTags").or_insert_with(|| json!([]));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    if let Some(address) = proposal.existing.and_then(|existing| existing["properties"]["ipAddress"].as_str()) {
        stored.insert("ipAddress".into(), json!(address));
    }
    let tier = proposal.body["sku"]["tier"].as_str().unwrap_or("Regional");
    Ok(json!({ "sku": { "name": sku, "tier": tier }, "properties": stored }))
}

/// The address is there when the operation has ended (recording), if it is a static one.
fn settled(world: &mut World, key: &str) -> Result<(), ArmError> {
    let number = world.all_of(TYPE.kind).filter(|other| other["properties"]["ipAddress"].is_string()).count();
    let Some(document) = world.resources.get_mut(key) else { return Ok(()) };
    let properties = &mut document["properties"];
    if properties["publicIPAllocationMethod"] == json!("Static") && !properties["ipAddress"].is_string() {
        // Chosen: an address of the range that is kept for documentation (RFC 5737), so that nobody real is meant.
        properties["ipAddress"] = json!(format!("203.0.113.{}", number % 254 + 1));
    }
    Ok(())
}

fn removable(world: &World, document: &Value) -> Result<(), ArmError> {
    let id = document["id"].as_str().unwrap_or_default();
    free(world, id)?;
    let Some(user) = users::configuration_with_address(world, id) else { return Ok(()) };
    let message = format!("Public IP address {id} can not be deleted since it is still allocated to resource {user}.");
    // Chosen: code and sentence for an address that is in use, as users quote them.
    Err(ArmError::new(400, "PublicIPAddressCannotBeDeleted", message))
}

fn render(world: &World, document: Value) -> Value {
    let mut address = without_empty_tags(document);
    let id = address["id"].as_str().map(ids::key).unwrap_or_default();
    if let Some(user) = users::configuration_with_address(world, &id) {
        address["properties"]["ipConfiguration"] = json!({ "id": user });
    }
    address
}
