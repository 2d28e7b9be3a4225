//! Kinds of workspaces: hubs, their projects, feature stores.

use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::world::World;

use super::{WORKSPACE, endpoints};

pub(super) const HUB: &str = "Hub";
pub(super) const PROJECT: &str = "Project";
const KINDS: &[&str] = &["Default", HUB, PROJECT, "FeatureStore"];

/// The kind as the service spells it. Chosen: an unknown kind is refused, and the case of a known one does not matter.
pub(super) fn canonical(kind: Option<&str>) -> Result<&'static str, ArmError> {
    let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or("Default");
    let known = KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind));
    known.copied().ok_or_else(|| ArmError::validation(format!("'{kind}' is not a kind of workspace.")))
}

/// Judges what a kind asks of a new workspace, and that an existing one stays what it is.
pub(super) fn check(world: &World, existing: Option<&Value>, body: &Value) -> Result<(), ArmError> {
    let refuse = |message: String| Err(ArmError::validation(message));
    if let Some(now) = existing.and_then(|existing| existing["kind"].as_str()) {
        if body["kind"].as_str().is_some_and(|asked| !asked.eq_ignore_ascii_case(now)) {
            return refuse(format!("The kind of a workspace cannot be changed from {now}."));
        }
        if now == PROJECT && body["properties"]["managedNetwork"].is_object() {
            return refuse("Project workspace shouldn't define it's own managed network properties".into());
        }
        return Ok(());
    }
    if canonical(body["kind"].as_str())? == PROJECT {
        if body["properties"]["managedNetwork"].is_object() {
            return refuse("Project workspace shouldn't define it's own managed network properties".into());
        }
        let hub = body["properties"]["hubResourceId"].as_str().unwrap_or_default();
        if world.resources.get(&ids::key(hub)).is_none_or(|hub| hub["kind"] != HUB) {
            return refuse(format!("The hub '{hub}' of the project was not found."));
        }
        return Ok(());
    }
    for required in DEPENDENCIES {
        if body["properties"][*required].as_str().is_none_or(str::is_empty) {
            return refuse(format!("The workspace needs a {required}."));
        }
    }
    Ok(())
}

/// Refuses what belongs to another tenant: a workspace approves its own endpoints there, and its identity is let into
/// the vault. Chosen: within the tenant nothing more is asked of whoever creates or changes a workspace, and the
/// sentence; Microsoft's page on managed networks only says that targets are of the same tenant.
pub(super) fn check_tenant(world: &World, workspace: &str, body: &Value) -> Result<(), ArmError> {
    let linked = ["storageAccount", "keyVault", "containerRegistry", "applicationInsights", "hubResourceId"];
    for name in linked {
        let target = body["properties"][name].as_str().filter(|target| !target.is_empty());
        if let Some(target) = target.filter(|target| !endpoints::same_tenant(world, workspace, target)) {
            return Err(ArmError::validation(format!("The {name} '{target}' is not in the tenant of the workspace.")));
        }
    }
    Ok(())
}

/// What a workspace cannot be without.
const DEPENDENCIES: &[&str] = &["storageAccount", "keyVault"];

/// Whether everything that a workspace rests on is there. This is asked while it is being created and not when it is
/// accepted: the recording's vault is sent after the workspace.
pub(super) fn check_dependencies(world: &World, workspace: &str) -> Result<(), ArmError> {
    let properties = &world.resource(workspace)?["properties"];
    for required in DEPENDENCIES {
        let target = properties[*required].as_str().unwrap_or_default();
        if !world.resources.contains_key(&ids::key(target)) {
            let message = format!("The {required} '{target}' of the workspace was not found.");
            return Err(ArmError::validation(message));
        }
    }
    Ok(())
}

/// A project has its hub's resources.
pub(super) fn inherit(world: &mut World, id: &str, body: &Value) -> Result<(), ArmError> {
    let Some(hub) = body["properties"]["hubResourceId"].as_str().and_then(|hub| world.resources.get(&ids::key(hub)))
    else {
        return Ok(());
    };
    let from = hub["properties"].clone();
    let project = world.resource_mut(id)?;
    for name in ["storageAccount", "keyVault", "containerRegistry", "applicationInsights"] {
        project["properties"][name] = from[name].clone();
    }
    Ok(())
}

/// The ids of a hub's projects.
pub(super) fn projects(world: &World, hub: &str) -> Vec<Value> {
    let of_hub = |document: &&Value| {
        document["type"] == WORKSPACE
            && document["properties"]["hubResourceId"].as_str().is_some_and(|id| ids::key(id) == hub)
    };
    world.resources.values().filter(of_hub).map(|project| project["id"].clone()).collect()
}

/// Chosen: a project shows the isolation mode of its hub, in whose network it is, and none of the rules.
pub(super) fn network(world: &World, workspace: &Value) -> Option<Value> {
    if workspace["kind"] != PROJECT {
        return None;
    }
    let hub = workspace["properties"]["hubResourceId"].as_str().unwrap_or_default();
    let mode = world.networks.get(&ids::key(hub)).map(|network| network.isolation).unwrap_or_default();
    Some(json!({ "isolationMode": mode.name() }))
}
