//! Private DNS zones.

use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Etag, Patch, Proposal, ResourceType};
use crate::world::World;

use super::super::common::without_empty_tags;
use super::{links, records, write};

pub(in super::super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Network/privateDnsZones",
    accept,
    stored: records::start_of_authority,
    removable,
    render,
    create: write("privateDnsZonePut", "Creating", 201),
    update: write("privateDnsZoneUpdate", "Updating", 200),
    patch: Some((Patch::Tags, write("privateDnsZonePatch", "Updating", 200))),
    delete: write("privateDnsZoneDelete", "Deleting", 200),
    etag: Etag::Conditional,
    ..ResourceType::DEFAULT
};

/// Zones and links lie nowhere (examples of OpenAPI privatedns 2024-06-01; code: recordings of azure-ai-ml).
pub(super) fn global(proposal: &Proposal<'_>) -> Result<(), ArmError> {
    let location = proposal.body["location"].as_str().unwrap_or_default();
    if location.eq_ignore_ascii_case("global") {
        return Ok(());
    }
    let kind = ids::resource_type(proposal.id).unwrap_or_default();
    let message = format!(
        "The provided location '{location}' is not available for resource type '{kind}'. List of available regions for \
         the resource type is 'global'."
    );
    Err(ArmError::new(400, "LocationNotAvailableForResourceType", message))
}

/// Chosen: two labels or more, each of the characters of host names, none longer than 63, 253 in all.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(label)
}

fn accept(_: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    global(proposal)?;
    let name = ids::name(proposal.id);
    if !is_domain(name) {
        let message = format!("The zone name '{name}' is not a domain name.");
        return Err(ArmError::new(400, "BadRequest", message));
    }
    // All of `properties` is read-only.
    Ok(json!({ "properties": {} }))
}

/// Record sets go with the zone, links do not. Chosen: code and sentence, as users quote them.
fn removable(world: &World, document: &Value) -> Result<(), ArmError> {
    let id = document["id"].as_str().unwrap_or_default();
    let links: Vec<String> = world
        .children(id, links::TYPE.kind)
        .filter_map(|link| link["id"].as_str().and_then(ids::provider_path))
        .map(|path| format!("'{path}'"))
        .collect();
    if links.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Cannot delete resource while nested resources exist. Some existing nested resource IDs include: {}. Please \
         delete all nested resources before deleting this resource.",
        links.join(", ")
    );
    Err(ArmError::new(409, "CannotDeleteResource", message))
}

/// With the counts, and the limits as recorded.
fn render(world: &World, document: Value) -> Value {
    let mut zone = without_empty_tags(document);
    let id = zone["id"].as_str().unwrap_or_default().to_owned();
    let links: Vec<&Value> = world.children(&id, links::TYPE.kind).collect();
    let registering = links.iter().filter(|link| link["properties"]["registrationEnabled"] == json!(true)).count();
    let properties = &mut zone["properties"];
    properties["maxNumberOfRecordSets"] = json!(25_000);
    properties["maxNumberOfVirtualNetworkLinks"] = json!(1_000);
    properties["maxNumberOfVirtualNetworkLinksWithRegistration"] = json!(100);
    properties["numberOfRecordSets"] = json!(records::of_zone(world, &id).count());
    properties["numberOfVirtualNetworkLinks"] = json!(links.len());
    properties["numberOfVirtualNetworkLinksWithRegistration"] = json!(registering);
    zone
}
