//! Azure Monitor's private link scopes, and what belongs to them.

use serde_json::{Value, json};

use crate::body;
use crate::error::ArmError;
use crate::ids;
use crate::providers::network;
use crate::providers::targets;
use crate::resource_type::{Patch, Proposal, ResourceType, at_once};
use crate::world::World;

const SCOPE_KIND: &str = "Microsoft.Insights/privateLinkScopes";
const SCOPED_KIND: &str = "Microsoft.Insights/privateLinkScopes/scopedResources";

/// What a scope can hold (Microsoft's page on private links of Azure Monitor).
const HELD: &[&str] = &[
    "Microsoft.Insights/components",
    "Microsoft.Insights/dataCollectionEndpoints",
    "Microsoft.OperationalInsights/workspaces",
];

pub(super) const SCOPE: ResourceType = ResourceType {
    kind: SCOPE_KIND,
    accept,
    render: World::with_connections,
    names: &[
        "accessModeSettings",
        "queryAccessMode",
        "ingestionAccessMode",
        "exclusions",
        "privateEndpointConnectionName",
    ],
    patch: Some((Patch::Tags, at_once("privateLinkScopePatch", 200))),
    ..ResourceType::DEFAULT
};

pub(super) const SCOPED: ResourceType = ResourceType {
    kind: SCOPED_KIND,
    accept: accept_scoped,
    stored: |world, key| refresh(world, key),
    removed: |world, document| refresh(world, document["id"].as_str().unwrap_or_default()),
    names: &["linkedResourceId"],
    tracked: false,
    ..ResourceType::DEFAULT
};

fn id_of(document: &Value) -> &str {
    document["id"].as_str().unwrap_or_default()
}

/// Access modes are open unless they are stated (examples of OpenAPI 2021-07-01-preview state them always). Chosen: code and
/// sentence for a mode that there is not, and for a scope that lies in a region.
fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let location = proposal.body["location"].as_str().unwrap_or_default();
    if !location.eq_ignore_ascii_case("global") {
        let message = format!("The provided location '{location}' is not available for resource type '{SCOPE_KIND}'.");
        return Err(ArmError::new(400, "LocationNotAvailableForResourceType", message));
    }
    let mut document = targets::accept(world, proposal)?;
    let modes = &mut document["properties"]["accessModeSettings"];
    if !modes.is_object() {
        *modes = json!({});
    }
    for name in ["queryAccessMode", "ingestionAccessMode"] {
        match modes[name].as_str() {
            Some("Open" | "PrivateOnly") => {}
            None if modes[name].is_null() => modes[name] = json!("Open"),
            _ => return Err(ArmError::bad_request(format!("'accessModeSettings.{name}' is not valid."))),
        }
    }
    if modes["exclusions"].is_null() {
        modes["exclusions"] = json!([]);
    }
    Ok(document)
}

/// Chosen: code and sentence for what no scope can hold, or is not there.
fn accept_scoped(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let linked = proposal.body["properties"]["linkedResourceId"].as_str().unwrap_or_default();
    let kind = ids::resource_type(linked).unwrap_or_default();
    if !HELD.iter().any(|held| held.eq_ignore_ascii_case(&kind)) || world.resource(linked).is_err() {
        return Err(ArmError::bad_request(format!("'{linked}' is not a resource that a private link scope can hold.")));
    }
    Ok(json!({ "properties": body::members(&proposal.body["properties"], &["linkedResourceId"]) }))
}

/// The endpoints of a scope have an address for what it holds: they change with it.
fn refresh(world: &mut World, scoped: &str) {
    network::refresh_endpoints(world, &ids::ancestor(scoped, 8));
}

fn of_scope<'a>(world: &'a World, scope: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    world.children(scope, SCOPED_KIND)
}

fn linked(scoped: &Value) -> &str {
    scoped["properties"]["linkedResourceId"].as_str().unwrap_or_default()
}

/// What a scope holds.
pub(crate) fn scoped<'a>(world: &'a World, scope: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    of_scope(world, scope).filter_map(|scoped| world.resources.get(&ids::key(linked(scoped))))
}

/// Whether a scope holds a resource.
pub(crate) fn is_scoped(world: &World, scope: &str, resource: &str) -> bool {
    of_scope(world, scope).any(|scoped| ids::key(linked(scoped)) == ids::key(resource))
}

/// The scoped resources that name a resource, one for each scope that holds it.
pub(crate) fn scopes_of<'a>(world: &'a World, resource: &str) -> Vec<&'a Value> {
    let all = world.all_of(SCOPE_KIND).flat_map(|scope| of_scope(world, id_of(scope)));
    all.filter(|scoped| ids::key(linked(scoped)) == ids::key(resource)).collect()
}

/// The guid by which a resource knows the scope that holds it.
pub(crate) fn guid(scoped: &Value) -> String {
    ids::guid(&["private link scope", &ids::ancestor(id_of(scoped), 8)]).to_string()
}

/// A resource in a scope cannot be deleted (Microsoft's page on private links of Azure Monitor). Chosen: code and sentence.
pub(crate) fn not_scoped(world: &World, document: &Value) -> Result<(), ArmError> {
    let Some(scoped) = scopes_of(world, id_of(document)).first().copied() else { return Ok(()) };
    let message =
        format!("The resource is connected to a private link scope by '{}'; disconnect it first.", id_of(scoped));
    Err(ArmError::conflict(message))
}
