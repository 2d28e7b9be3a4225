//! The child resource `managedNetworks/default` of the previews: the same network, seen and changed from its own place.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::world::World;

use super::isolation::Isolation;
use super::{document, provision, versions, workspace};

const KIND: &str = "Microsoft.MachineLearningServices/workspaces/managedNetworks";

/// The id of the network of a workspace's document.
pub(super) fn id_of(workspace: &Value) -> String {
    format!("{}/managedNetworks/default", workspace["id"].as_str().unwrap_or_default())
}

/// The workspace, if the call names the one network that there is.
fn workspace_of(call: &Call<'_>) -> Result<String, ArmError> {
    let id = ids::ancestor(&call.path, 8);
    call.world.resource(&id)?;
    let name = call.path.trim_matches('/').split('/').nth(9);
    match name {
        Some(name) if !name.eq_ignore_ascii_case("default") => Err(ArmError::not_found(&call.path)),
        _ => Ok(id),
    }
}

fn render(world: &World, resource: &str) -> Option<Value> {
    let key = ids::key(&ids::ancestor(resource, 8));
    let workspace = world.resources.get(&key)?;
    let network = world.networks.get(&key)?;
    let busy = world.operations.running().any(|operation| {
        ["workspaceUpdate", "rulesBatch", provision::KIND].contains(&operation.kind)
            && ids::contains(&key, &operation.resource)
    });
    // Chosen: deferred is what is wanted and not built; a network that is not wanted is as it should be.
    let state = match network.isolation {
        _ if busy => "Updating",
        Isolation::Disabled => "Succeeded",
        _ if network.active => "Succeeded",
        _ => "Deferred",
    };
    Some(json!({
        "id": id_of(workspace),
        "name": "default",
        "type": KIND,
        "properties": { "managedNetwork": world.network_document(&key), "provisioningState": state },
    }))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let id = workspace_of(call)?;
    let items = render(call.world, &id).into_iter().collect();
    Ok(call.page(items, "$skip"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = workspace_of(call)?;
    render(call.world, &id).map(Reply::ok).ok_or_else(|| ArmError::not_found(&call.path))
}

/// PUT and PATCH: a PATCH of the workspace that says nothing but its network.
pub(super) fn write(call: &mut Call<'_>) -> Answer {
    let id = workspace_of(call)?;
    let sent = document::sent(call)?;
    let body = json!({ "properties": { "managedNetwork": sent["properties"]["managedNetwork"] } });
    start(call, &id, body, "workspaceUpdate", render)
}

/// `POST batchOutboundRules`: many rules in one operation. Whether what it does not name stays is not known, and decided
/// as for the workspace's own map.
pub(super) fn batch(call: &mut Call<'_>) -> Answer {
    let id = workspace_of(call)?;
    let sent = document::sent(call)?;
    let body = json!({ "properties": { "managedNetwork": sent["properties"] } });
    start(call, &id, body, "rulesBatch", rules)
}

fn rules(world: &World, resource: &str) -> Option<Value> {
    let key = ids::key(&ids::ancestor(resource, 8));
    let network = id_of(world.resources.get(&key)?);
    let rules: Vec<Value> = world.visible_rules(&key).values().map(|rule| rule.nested_document(&network)).collect();
    Some(json!({ "value": rules }))
}

/// The rules below the child resource, with their whole ids.
pub(super) fn list_rules(call: &mut Call<'_>) -> Answer {
    let id = workspace_of(call)?;
    let items = rules(call.world, &id).and_then(|list| list["value"].as_array().cloned()).unwrap_or_default();
    Ok(call.page(items, "$skip"))
}

fn start(
    call: &mut Call<'_>,
    id: &str,
    body: Value,
    kind: &'static str,
    result: fn(&World, &str) -> Option<Value>,
) -> Answer {
    let body = versions::workspace_taken(body, &call.api_version);
    let location = call.world.resource(id)?["location"].as_str().unwrap_or_default().to_owned();
    let plan = workspace::change_of(call, id, &body, false)?;
    Ok(call.start(Plan { kind, result, ..plan }, Style::MACHINE_LEARNING, &location))
}
