//! DNS zone groups of private endpoints: they write the endpoint's names into private DNS zones.

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::reachability::hosts;
use crate::resource_type::{Proposal, ResourceType, Write};
use crate::world::World;

use super::common::{CHILD, free, invalid, linked, properties, referenced};
use super::{endpoint_addresses, endpoints, private_dns};

const GROUP: &str = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups";

/// How many zones a group may name (Microsoft's page on private endpoint DNS).
const MOST_ZONES: usize = 5;

/// Seconds, as recorded.
const TTL: u32 = 10;

pub(super) const TYPE: ResourceType = ResourceType {
    kind: GROUP,
    accept,
    seeded: |world, key| complete(world, key),
    settled,
    removable: |world, document| free(world, document["id"].as_str().unwrap_or_default()),
    removed,
    render,
    names: &["privateDnsZoneConfigs", "privateDnsZoneId", "recordSets"],
    create: Write { style: Style::network_create(10), ..UPDATE },
    update: UPDATE,
    delete: Write {
        kind: "privateDnsZoneGroupDelete",
        seconds: |times| times.zone_group,
        busy: "Deleting",
        style: Style::network_delete(10),
    },
    ..CHILD
};

const UPDATE: Write = Write {
    kind: "privateDnsZoneGroupPut",
    seconds: |times| times.zone_group,
    busy: "Updating",
    style: Style::network_update(10),
};

/// Whether an endpoint has a zone group.
pub(super) fn has_any(world: &World, endpoint: &str) -> bool {
    world.children(endpoint, GROUP).next().is_some()
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    properties(world, proposal, &["privateDnsZoneConfigs"], &[])?;
    let parent = ids::parent(proposal.id);
    // A second group beside the first is refused (azurerm, remark in its source). Chosen: code and sentence.
    let own = ids::key(proposal.id);
    if world.children(&parent, GROUP).any(|other| other["id"].as_str().is_some_and(|id| ids::key(id) != own)) {
        return Err(invalid(format!("The private endpoint {parent} has a DNS zone group already.")));
    }
    let configs = proposal.body["properties"]["privateDnsZoneConfigs"].as_array();
    let configs = configs.map(Vec::as_slice).unwrap_or_default();
    if configs.len() > MOST_ZONES {
        return Err(invalid(format!("A DNS zone group names at most {MOST_ZONES} zones.")));
    }
    let mut stored = Vec::new();
    for config in configs {
        stored.push(accept_config(world, proposal, &parent, config)?);
    }
    Ok(json!({ "properties": { "privateDnsZoneConfigs": stored } }))
}

fn accept_config(world: &World, proposal: &Proposal<'_>, endpoint: &str, config: &Value) -> Result<Value, ArmError> {
    let name = config["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("A configuration of a DNS zone group has no name."))?;
    let zone_id = config["properties"]["privateDnsZoneId"].as_str().unwrap_or_default();
    let is_zone =
        ids::resource_type(zone_id).is_some_and(|kind| kind.eq_ignore_ascii_case(private_dns::zones::TYPE.kind));
    if !is_zone {
        return Err(invalid(format!("'{zone_id}' is not the id of a private DNS zone.")));
    }
    referenced(world, proposal.id, zone_id)?;
    linked(world, proposal, "Microsoft.Network/privateDnsZones/join/action", zone_id)?;
    Ok(json!({
        "name": name, "id": format!("{}/privateDnsZoneConfigs/{name}", proposal.id),
        "type": format!("{GROUP}/privateDnsZoneConfigs"),
        "properties": {
            "privateDnsZoneId": zone_id, "recordSets": record_sets(world, world.resource(endpoint)?, ids::name(zone_id)),
        }
    }))
}

/// The records of a zone for an endpoint.
fn record_sets(world: &World, endpoint: &Value, zone: &str) -> Vec<Value> {
    let addresses =
        endpoints::interface(world, endpoint).and_then(|nic| nic["properties"]["ipConfigurations"].as_array());
    let records = hosts::records(&endpoint_addresses::members_of(world, endpoint), zone);
    let record = |(index, record): &(usize, String)| {
        let address = &addresses?.get(*index)?["properties"]["privateIPAddress"];
        Some(json!({
            "recordType": "A", "recordSetName": record, "fqdn": format!("{record}.{zone}"), "ttl": TTL,
            "ipAddresses": [address],
        }))
    };
    records.iter().filter_map(record).collect()
}

/// Writes the records of an endpoint anew, whose members have changed.
pub(super) fn refresh(world: &mut World, endpoint: &str) {
    let groups: Vec<String> =
        world.children(endpoint, GROUP).filter_map(|group| group["id"].as_str().map(ids::key)).collect();
    groups.iter().for_each(|group| complete(world, group));
}

/// States the records of a group in it, as its endpoint has them now, and writes them.
fn complete(world: &mut World, key: &str) {
    let endpoint = world.resources.get(&ids::key(&ids::parent(key))).cloned();
    let (Some(mut group), Some(endpoint)) = (world.resources.get(key).cloned(), endpoint) else { return };
    let id = group["id"].as_str().unwrap_or_default().to_owned();
    for config in group["properties"]["privateDnsZoneConfigs"].as_array_mut().into_iter().flatten() {
        let (name, zone) = (config["name"].clone(), config["properties"]["privateDnsZoneId"].clone());
        let (name, zone) = (name.as_str().unwrap_or_default(), ids::name(zone.as_str().unwrap_or_default()).to_owned());
        config["id"] = json!(format!("{id}/privateDnsZoneConfigs/{name}"));
        config["type"] = json!(format!("{GROUP}/privateDnsZoneConfigs"));
        config["properties"]["recordSets"] = record_sets(world, &endpoint, &zone).into();
    }
    world.resources.insert(key.to_owned(), group);
    write_records(world, key);
}

/// Zone, name and addresses of every record that a group states.
fn records(group: &Value) -> Vec<(String, String, Value)> {
    let configs = group["properties"]["privateDnsZoneConfigs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_config = |config: &Value| {
        let zone = config["properties"]["privateDnsZoneId"].as_str().unwrap_or_default().to_owned();
        let records = config["properties"]["recordSets"].as_array().cloned().unwrap_or_default();
        let record = move |record: Value| {
            let name = record["recordSetName"].as_str().unwrap_or_default().to_owned();
            (zone.clone(), name, record["ipAddresses"].clone())
        };
        records.into_iter().map(record).collect::<Vec<_>>()
    };
    configs.iter().flat_map(of_config).collect()
}

fn settled(world: &mut World, key: &str) -> Result<(), ArmError> {
    write_records(world, key);
    Ok(())
}

/// Writes the records, over whatever stands there; what the group wrote before and states no more goes.
fn write_records(world: &mut World, key: &str) {
    let Some(group) = world.resources.get(key).cloned() else { return };
    let wanted = records(&group);
    let ids: Vec<String> =
        wanted.iter().map(|(zone, name, _)| ids::key(&private_dns::records::address_id(zone, name))).collect();
    for stale in private_dns::records::written_by(world, key) {
        if !ids.contains(&stale) {
            world.remove(&stale);
        }
    }
    for (zone, name, addresses) in wanted {
        private_dns::records::write_addresses(world, &zone, &name, TTL, &addresses, key);
    }
}

/// Takes the records out of the zones.
fn removed(world: &mut World, document: &Value) {
    let key = ids::key(document["id"].as_str().unwrap_or_default());
    for (zone, name, _) in records(document) {
        private_dns::records::withdraw(world, &zone, &name, &key);
    }
}

/// A group as GET shows it: its parts are in the state that it is in.
fn render(_: &World, document: Value) -> Value {
    let mut group = document;
    let (tag, state) = (group["etag"].clone(), group["properties"]["provisioningState"].clone());
    for config in group["properties"]["privateDnsZoneConfigs"].as_array_mut().into_iter().flatten() {
        config["etag"] = tag.clone();
        config["properties"]["provisioningState"] = state.clone();
        for record in config["properties"]["recordSets"].as_array_mut().into_iter().flatten() {
            record["provisioningState"] = state.clone();
        }
    }
    group
}
