//! Building images: what a job or deployment with packages of its own makes a workspace do first. It belongs to the data
//! plane, which is not here; whether it works, and the registry that the first one makes, are.

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::providers::container_registry;
use crate::resource_type;
use crate::world::World;

/// How the build of an image went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageBuild {
    /// Whether there is an image.
    pub built: bool,
    /// Why, a sentence for people.
    pub reason: String,
    /// The id of the workspace's registry.
    pub registry: Option<String>,
}

/// Builds an image for a workspace. One that has no registry gets one of its own by its first image (Microsoft's page on
/// securing workspaces), with the admin account on (its page on identity-based authentication).
///
/// # Errors
/// There is no such workspace.
pub(crate) fn build(world: &mut World, workspace: &str) -> Result<ImageBuild, ArmError> {
    let document = world.resource(workspace)?.clone();
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    let own = document["properties"]["containerRegistry"].as_str().filter(|id| !id.is_empty());
    let registry = match own {
        Some(registry) => registry.to_owned(),
        None => make_registry(world, &id, &document)?,
    };
    let (built, reason) = judge(world, &id, &document, &registry);
    Ok(ImageBuild { built, reason, registry: Some(registry) })
}

/// Chosen: the registry's name and its tier, of which there are no private endpoints.
fn make_registry(world: &mut World, workspace: &str, document: &Value) -> Result<String, ArmError> {
    let guid = document["properties"]["workspaceId"].as_str().unwrap_or_default().replace('-', "");
    let registry = format!("{}/providers/{}/{guid}", ids::list_scope(workspace), container_registry::KIND);
    let made = json!({
        "id": registry, "name": ids::name(&registry), "type": container_registry::KIND,
        "location": document["location"], "tags": {}, "sku": { "name": "Standard", "tier": "Standard" },
        "properties": { "adminUserEnabled": true },
    });
    world.resources.insert(ids::key(&registry), made);
    world.resource_mut(workspace)?["properties"]["containerRegistry"] = json!(registry);
    world.refresh_service_rules(&ids::key(workspace));
    Ok(registry)
}

/// Behind a restriction of the registry's network neither its own tasks nor serverless builds work; a compute of the
/// workspace must build (Microsoft's page on securing workspaces).
fn judge(world: &World, workspace: &str, document: &Value, registry: &str) -> (bool, String) {
    if let Some(compute) = document["properties"]["imageBuildCompute"].as_str().filter(|name| !name.is_empty()) {
        let there = world.resources.contains_key(&ids::key(&format!("{workspace}/computes/{compute}")));
        let reason = if there {
            format!("The compute '{compute}' builds.")
        } else {
            format!("There is no compute '{compute}', which the workspace names to build.")
        };
        return (there, reason);
    }
    let Some(registry) = world.resources.get(&ids::key(registry)) else {
        return (false, "The workspace's registry is not there.".into());
    };
    let shown = resource_type::render(world, registry);
    let properties = &shown["properties"];
    let closed =
        properties["publicNetworkAccess"] == "Disabled" || properties["networkRuleSet"]["defaultAction"] == "Deny";
    if closed {
        return (false, "The registry's network is restricted, and the workspace names no compute to build.".into());
    }
    (true, "The registry's own tasks build.".into())
}
