//! A workspace as a document: what the service fills in, what a body may set, what GET shows.

use serde_json::{Map, Value, json};

use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::operations::State;
use crate::world::World;

use super::WORKSPACE;
use super::network::{Isolation, ManagedNetwork};

/// What PATCH takes (models of 2025-12-01); everything else in its properties is ignored.
const PATCHABLE: &[&str] = &[
    "applicationInsights",
    "containerRegistry",
    "description",
    "enableDataIsolation",
    "encryption",
    "featureStoreSettings",
    "friendlyName",
    "imageBuildCompute",
    "primaryUserAssignedIdentity",
    "publicNetworkAccess",
    "serverlessComputeSettings",
    "serviceManagedResourcesSettings",
    "systemDatastoresAuthMode",
    "v1LegacyMode",
];

/// What PUT takes besides.
const ONLY_PUT: &[&str] = &[
    "allowPublicAccessWhenBehindVnet",
    "associatedWorkspaces",
    "enableServiceSideCMKEncryption",
    "hbiWorkspace",
    "hubResourceId",
    "keyVault",
    "sharedPrivateLinkResources",
    "storageAccount",
    "workspaceHubConfig",
];

/// Stores a new workspace with everything the service adds, and its network without user-defined rules.
pub(crate) fn create(world: &mut World, id: &str, body: &Value) -> Result<(), ArmError> {
    let key = ids::key(id);
    let name = ids::name(id).to_owned();
    let generation = world.next_generation(id).to_string();
    let tenant = world.tenant_of(id).unwrap_or_default().to_owned();
    let location = body["location"].as_str().unwrap_or_default().to_lowercase().replace(' ', "");
    let workspace_id = ids::guid(&["workspace", id, &generation]);
    let mut properties = json!({
        "friendlyName": name, "description": "", "hbiWorkspace": false, "applicationInsights": null,
        "containerRegistry": null, "imageBuildCompute": null, "publicNetworkAccess": "Enabled", "v1LegacyMode": false,
        "enableDataIsolation": false, "allowPublicAccessWhenBehindVnet": false, "softDeleteEnabled": false,
        "tenantId": tenant, "storageHnsEnabled": false, "workspaceId": workspace_id,
        "systemDatastoresAuthMode": "accesskey",
        "discoveryUrl": format!("https://{location}.api.azureml.ms/discovery"),
        "mlFlowTrackingUri": format!("azureml://{location}.api.azureml.ms/mlflow/v1.0{id}"),
        "notebookInfo": {
            "resourceId": workspace_id.simple().to_string(), "isPrivateLinkEnabled": false,
            "fqdn": format!("ml-{name}-{location}-{workspace_id}.{location}.notebooks.azure.net"),
            "notebookPreparationError": null,
        },
        "creationTime": crate::clock::rfc3339(world.now),
    });
    properties["softDeleteEnabled"] = json!(world.settings.soft_delete);
    let kind = body["kind"].as_str().unwrap_or("Default");
    let document = json!({
        "id": id, "name": name, "type": WORKSPACE, "location": location, "etag": null,
        "tags": {}, "kind": kind, "sku": { "name": "Basic", "tier": "Basic" }, "properties": properties,
        "systemData": { "createdAt": crate::clock::rfc3339(world.now), "createdByType": "Application" },
    });
    world.resources.insert(key.clone(), document);
    let network_id = ids::guid(&["managed network", id, &generation]).to_string();
    world.networks.insert(key, ManagedNetwork { network_id, ..ManagedNetwork::default() });
    store(world, id, body, true)
}

fn sub_object<'a>(document: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    document[name].as_object_mut()
}

/// Takes over what a PUT or PATCH may set, the network's rules excepted.
pub(super) fn store(world: &mut World, id: &str, body: &Value, put: bool) -> Result<(), ArmError> {
    let key = ids::key(id);
    let identity = identity(world, id, body)?;
    let document = world.resource_mut(id)?;
    if let Some(identity) = identity {
        document["identity"] = identity;
    }
    // Tags are replaced as a whole wherever they are given (ARM RPC, resource-api-reference); a PUT without clears them.
    if body["tags"].is_object() || put {
        document["tags"] = body["tags"].as_object().cloned().unwrap_or_default().into();
    }
    if body["sku"].is_object() {
        document["sku"] = body["sku"].clone();
    }
    let taken = |name: &str| PATCHABLE.contains(&name) || (put && ONLY_PUT.contains(&name));
    let given = body["properties"].as_object().cloned().unwrap_or_default();
    if let Some(properties) = sub_object(document, "properties") {
        for (name, value) in given {
            // Chosen: what a PUT leaves out or nulls stays as it was; on the registry an empty string erases.
            if !taken(&name) || value.is_null() {
                continue;
            }
            let erased = name == "containerRegistry" && value == json!("");
            let slot = properties.entry(name).or_insert(Value::Null);
            if erased {
                *slot = Value::Null;
            } else {
                merge(slot, value);
            }
        }
    }
    let wanted = &body["properties"]["managedNetwork"];
    if let Some(network) = world.networks.get_mut(&key) {
        if let Some(mode) = wanted["isolationMode"].as_str() {
            network.isolation = Isolation::parse(mode)?;
        }
        let text = |name: &str| wanted[name].as_str().map(str::to_owned);
        network.firewall_sku = text("firewallSku").or(network.firewall_sku.take());
        network.kind = text("managedNetworkKind").or(network.kind.take());
        network.network_monitor = wanted["enableNetworkMonitor"].as_bool().or(network.network_monitor);
    }
    Ok(())
}

/// JSON merge-patch (RFC 7396), which ARM asks of a PATCH of `properties`.
fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(members) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (name, value) in members {
                if value.is_null() {
                    target.as_object_mut().map(|object| object.remove(&name));
                } else {
                    merge(&mut target[name], value);
                }
            }
        }
        other => *target = other,
    }
}

/// The identity that results from a body, with the guids that the directory gives it. `None` if nothing changes.
fn identity(world: &mut World, id: &str, body: &Value) -> Result<Option<Value>, ArmError> {
    let existing = world.resource(id)?["identity"].clone();
    let wanted = body["identity"]["type"].as_str();
    // Chosen: a workspace created without a word about identity gets a system-assigned one.
    let kind = match (wanted, existing["type"].as_str()) {
        (Some(kind), _) => kind.to_owned(),
        (None, Some(_)) => return Ok(None),
        (None, None) => "SystemAssigned".to_owned(),
    };
    let tenant = world.tenant_of(id).unwrap_or_default().to_owned();
    let mut identity = json!({ "type": kind });
    if kind.contains("SystemAssigned") {
        let object_id = match existing["principalId"].as_str() {
            Some(existing) => existing.to_owned(),
            None => {
                let workspace_id =
                    world.resource(id)?["properties"]["workspaceId"].as_str().unwrap_or_default().to_owned();
                ids::guid(&["system identity", &workspace_id]).to_string()
            }
        };
        if world.directory.principal(&object_id).is_none() {
            let delay = (world.settings.principal_replication_seconds * 1000.0) as i64;
            world.directory.add_principal(Principal {
                tenant: tenant.clone(),
                client_id: ids::guid(&["client", &object_id]).to_string(),
                object_id: object_id.clone(),
                resource_id: Some(id.to_owned()),
                known_at: world.now.saturating_add(delay),
                ..Principal::default()
            });
        }
        identity["principalId"] = json!(object_id);
        identity["tenantId"] = json!(tenant);
    } else if let Some(gone) = existing["principalId"].as_str() {
        world.directory.remove_principal(gone);
    }
    if kind.contains("UserAssigned") {
        let given = body["identity"]["userAssignedIdentities"].as_object();
        let mut assigned = Map::new();
        for user in given.into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(id, _)| id) {
            let properties = world.resource(user)?["properties"].clone();
            let shown = json!({ "principalId": properties["principalId"], "clientId": properties["clientId"] });
            assigned.insert(user.clone(), shown);
        }
        identity["userAssignedIdentities"] = assigned.into();
    }
    Ok(Some(identity))
}

/// A workspace as GET shows it.
pub(crate) fn render(world: &World, document: &Value) -> Value {
    let mut workspace = document.clone();
    let id = document["id"].as_str().unwrap_or_default();
    let key = ids::key(id);
    let state = match world.operations.latest(&key) {
        Some(("workspaceCreate", State::Running)) => "Creating",
        Some(("workspaceDelete", State::Running)) => "Deleting",
        Some((_, State::Running)) => "Updating",
        Some((_, State::Failed(_))) => "Failed",
        _ => "Succeeded",
    };
    let approved = world.connections_on(id).filter(|connection| connection.status == "Approved").count();
    let properties = &mut workspace["properties"];
    properties["provisioningState"] = json!(state);
    properties["privateEndpointConnections"] = world.render_connections(id).into();
    properties["privateLinkCount"] = json!(approved);
    properties["managedNetwork"] = world.network_document(&key);
    workspace
}
