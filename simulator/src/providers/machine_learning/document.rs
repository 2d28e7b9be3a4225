//! A workspace as a document: what the service fills in, what a body may set, what GET shows.

use serde_json::{Value, json};

use crate::body;
use crate::call::Call;
use crate::clock::rfc3339;
use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::operations::State;
use crate::reachability::hosts;
use crate::world::World;

use super::WORKSPACE;
use super::identity;
use super::isolation::Isolation;
use super::kinds;
use super::network::ManagedNetwork;

/// What PATCH takes (models of 2025-12-01, and the previews' own); everything else in its properties is ignored.
const PATCHABLE: &[&str] = &[
    "allowRoleAssignmentOnRG",
    "applicationInsights",
    "containerRegistry",
    "description",
    "enableDataIsolation",
    "enableSoftwareBillOfMaterials",
    "encryption",
    "featureStoreSettings",
    "friendlyName",
    "imageBuildCompute",
    "ipAllowlist",
    "networkAcls",
    "primaryUserAssignedIdentity",
    "publicNetworkAccess",
    "serverlessComputeSettings",
    "serviceManagedResourcesSettings",
    "softDeleteRetentionInDays",
    "systemDatastoresAuthMode",
    "v1LegacyMode",
];

/// What PUT takes besides.
const ONLY_PUT: &[&str] = &[
    "allowPublicAccessWhenBehindVnet",
    "associatedWorkspaces",
    "containerRegistries",
    "enableServiceSideCMKEncryption",
    "enableSimplifiedCmk",
    "existingWorkspaces",
    "hbiWorkspace",
    "hubResourceId",
    "keyVault",
    "keyVaults",
    "sharedPrivateLinkResources",
    "storageAccount",
    "storageAccounts",
    "workspaceHubConfig",
];

/// Names of the members that are neither of these.
const OTHER: &[&str] = &[
    "action",
    "addressPrefixes",
    "allowRecoverSoftDeletedWorkspace",
    "category",
    "defaultAction",
    "destination",
    "enableNetworkMonitor",
    "firewallSku",
    "fqdns",
    "identityClientId",
    "includeSpark",
    "ipRules",
    "isolationMode",
    "keyIdentifier",
    "keyVaultArmId",
    "keyVaultProperties",
    "managedNetwork",
    "managedNetworkKind",
    "outboundRules",
    "portRanges",
    "protocol",
    "provisionNetworkNow",
    "serviceResourceId",
    "serviceTag",
    "sparkEnabled",
    "status",
    "subresourceTarget",
    "tier",
    "userAssignedIdentity",
    "value",
];

fn names() -> Vec<&'static str> {
    [PATCHABLE, ONLY_PUT, OTHER].into_iter().flatten().copied().collect()
}

/// The body of a call about a workspace, in its canonical spelling.
pub(super) fn sent(call: &Call<'_>) -> Result<Value, ArmError> {
    call.json(&names()).map(canonical)
}

/// A body with the names as the specification spells them. Names of rules are the user's own; the members of rules not.
pub(super) fn canonical(sent: Value) -> Value {
    let names = names();
    let mut sent = body::canonical(sent, &names);
    // The map of rules stands in the network, and the network at three depths: of a workspace, of the child resource
    // `managedNetworks`, and as the whole properties of a batch.
    for path in ["/properties/managedNetwork/outboundRules", "/properties/outboundRules"] {
        for rule in sent.pointer_mut(path).and_then(Value::as_object_mut).into_iter().flatten() {
            *rule.1 = body::canonical(rule.1.take(), &names);
        }
    }
    sent
}

/// What the service says of a new workspace before its body is read (recording of workspaces, 2024-04-01).
fn defaults(world: &World, id: &str, location: &str, kind: &str, guid: uuid::Uuid) -> Value {
    let notebook = ids::guid(&["notebook", &guid.to_string()]).simple().to_string();
    let telemetry = ids::guid(&["telemetry", location]);
    let cloud = world.settings.cloud;
    let api = cloud.spell(&format!("{location}.api.azureml.ms"));
    let label = hosts::notebook_label(ids::name(id), location, &guid.to_string());
    json!({
        "friendlyName": "", "description": "", "hbiWorkspace": false, "applicationInsights": null,
        "imageBuildCompute": null, "publicNetworkAccess": "Enabled", "v1LegacyMode": false,
        // On for hubs and projects, off for others (Microsoft's page on identity-based service authentication).
        "enableDataIsolation": matches!(kind, kinds::HUB | kinds::PROJECT),
        // Recorded at a time when every workspace was soft-deleted: the member does not tell.
        "softDeleteEnabled": false, "tenantId": world.tenant_of(id).unwrap_or_default(),
        "storageHnsEnabled": false, "workspaceId": guid, "systemDatastoresAuthMode": "accesskey",
        "allowRoleAssignmentOnRG": true, "enableSoftwareBillOfMaterials": false, "ipAllowlist": [],
        "networkAcls": { "defaultAction": "Allow", "ipRules": [] }, "serverlessComputeSettings": null,
        "linkedModelInventoryArmId": null, "sasGetterUri": "", "sdkTelemetryAppInsightsKey": telemetry,
        "discoveryUrl": format!("https://{api}/discovery"),
        "mlFlowTrackingUri": format!("azureml://{api}/mlflow/v1.0{id}"),
        "notebookInfo": {
            "resourceId": notebook, "isPrivateLinkEnabled": false, "notebookPreparationError": null,
            "fqdn": cloud.spell(&format!("{label}.{location}.notebooks.azure.net")),
        },
        "creationTime": rfc3339(world.now),
    })
}

/// Stores a new workspace with everything the service adds, and its network without user-defined rules.
pub(crate) fn create(world: &mut World, id: &str, body: &Value) -> Result<(), ArmError> {
    let key = ids::key(id);
    let generation = world.next_generation(id).to_string();
    let location = body::location(body["location"].as_str().unwrap_or_default());
    let guid = ids::guid(&["workspace", id, &generation]);
    let kind = kinds::canonical(body["kind"].as_str())?;
    let document = json!({
        "id": id, "name": ids::name(id), "type": WORKSPACE, "location": location, "etag": null,
        // Recorded: whatever is sent, the SKU is Basic.
        "tags": {}, "kind": kind, "sku": { "name": "Basic", "tier": "Basic" },
        "properties": defaults(world, id, &location, kind, guid), "systemData": {},
    });
    world.resources.insert(key.clone(), document);
    if kind != kinds::PROJECT {
        let network_id = ids::guid(&["managed network", id, &generation]).to_string();
        world.networks.insert(key, ManagedNetwork { network_id, ..ManagedNetwork::default() });
    }
    kinds::inherit(world, id, body)?;
    store(world, id, body, true, None)
}

/// Takes over what a PUT or PATCH may set, the network's rules excepted.
pub(super) fn store(
    world: &mut World,
    id: &str,
    body: &Value,
    put: bool,
    author: Option<&Principal>,
) -> Result<(), ArmError> {
    let key = ids::key(id);
    let identity = identity::resulting(world, id, body)?;
    let now = rfc3339(world.now);
    let document = world.resource_mut(id)?;
    if let Some(identity) = identity {
        document["identity"] = identity;
    }
    // Tags are replaced as a whole wherever they are given (ARM RPC, resource-api-reference); a PUT without clears them.
    if body["tags"].is_object() || put {
        document["tags"] = body::tags(&body["tags"])?;
    }
    sign(document, author, &now);
    let taken = |name: &str| PATCHABLE.contains(&name) || (put && ONLY_PUT.contains(&name));
    let given = body["properties"].as_object().cloned().unwrap_or_default();
    for (name, value) in given {
        // Chosen: what a PUT leaves out or nulls stays as it was. An empty string erases the registry and the build
        // compute (azure-ai-ml's models, Microsoft's page on managed networks).
        if !taken(&name) || value.is_null() {
            continue;
        }
        let erasable = ["containerRegistry", "imageBuildCompute"].contains(&name.as_str());
        let slot = &mut document["properties"][name];
        if erasable && value == json!("") {
            *slot = Value::Null;
        } else {
            body::merge(slot, &value, &[]);
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

/// Notes in `systemData` who wrote, and when.
pub(super) fn sign(document: &mut Value, author: Option<&Principal>, now: &str) {
    let who = author.map_or("", |author| &author.client_id);
    let data = &mut document["systemData"];
    if !data["createdAt"].is_string() {
        *data = json!({ "createdAt": now, "createdBy": who, "createdByType": "Application" });
    }
    data["lastModifiedAt"] = json!(now);
    data["lastModifiedBy"] = json!(who);
    data["lastModifiedByType"] = json!("Application");
}

/// Members that the recording does not have while they say nothing.
const SILENT: &[&str] = &["containerRegistry", "allowPublicAccessWhenBehindVnet"];

/// A workspace as GET shows it.
pub(crate) fn render(world: &World, mut workspace: Value) -> Value {
    let id = workspace["id"].as_str().unwrap_or_default().to_owned();
    let key = ids::key(&id);
    let state = match world.operations.latest(&key) {
        Some(("workspaceCreate", State::Running)) => "Creating",
        Some(("workspaceDelete", State::Running)) => "Deleting",
        Some((_, State::Running)) => "Updating",
        Some((_, State::Failed(_))) => "Failed",
        _ => "Succeeded",
    };
    let approved = world.connections_on(&id).filter(|connection| connection.status == "Approved").count();
    let connections = world.render_connections(&id);
    let network = kinds::network(world, &workspace).unwrap_or_else(|| world.network_document(&key));
    if workspace["kind"] == kinds::HUB {
        workspace["properties"]["associatedWorkspaces"] = kinds::projects(world, &key).into();
    }
    if let Some(properties) = workspace["properties"].as_object_mut() {
        properties.retain(|name, value| !(SILENT.contains(&name.as_str()) && (value.is_null() || *value == false)));
        properties.insert("provisioningState".into(), json!(state));
        properties.insert("privateLinkCount".into(), json!(approved));
        properties.insert("managedNetwork".into(), network);
        if !connections.is_empty() {
            properties.insert("privateEndpointConnections".into(), connections.into());
        }
        // The service spells these two in its own way (recording).
        if let Some(vault) = properties.get("keyVault").and_then(Value::as_str) {
            let vault = vault.replace("/Microsoft.KeyVault/", "/Microsoft.Keyvault/");
            properties.insert("keyVault".into(), json!(vault));
        }
        if let Some(flag) = properties.get("enableSoftwareBillOfMaterials").cloned() {
            properties.insert("EnableSoftwareBillOfMaterials".into(), flag);
            properties.remove("enableSoftwareBillOfMaterials");
        }
    }
    workspace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_keep_their_names_and_lose_their_spelling() {
        let sent = json!({ "Properties": { "MANAGEDNETWORK": { "outboundrules": {
            "Type": { "TYPE": "FQDN", "Destination": "pypi.org" } } } } });
        let rule = json!({ "type": "FQDN", "destination": "pypi.org" });
        assert_eq!(
            canonical(sent),
            json!({ "properties": { "managedNetwork": { "outboundRules": { "Type": rule } } } })
        );
    }
}
