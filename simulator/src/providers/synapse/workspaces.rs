//! Workspaces.

use serde_json::{Value, json};

use crate::body;
use crate::call::{Shown, Style};
use crate::error::ArmError;
use crate::ids;
use crate::providers::resource_identity;
use crate::resource_type::{Patch, Proposal, ResourceType, Write};
use crate::settings::OperationSeconds;
use crate::world::World;

use super::data_plane::NETWORK;
use super::refuse;

pub(super) const KIND: &str = "Microsoft.Synapse/workspaces";

pub(super) const STATUS: &str = "{target}/operationStatuses/{id}";
pub(super) const RESULT: &str = "{target}/operationResults/{id}";

/// 201 with the workspace, and one URL.
const CREATE: Style = Style { running: 201, done: 201, status_url: Some((STATUS, "")), ..Style::at_once(201) };
const UPDATE: Style = Style { done: 200, ..CREATE };
/// 202, no body, both URLs. Never 200, by which it would show the workspace.
const DELETE: Style =
    Style { running: 202, done: 202, body: Shown::Nothing, location_url: Some((RESULT, "")), ..CREATE };

const fn write(kind: &'static str, seconds: fn(&OperationSeconds) -> f64, busy: &'static str, style: Style) -> Write {
    Write { kind, seconds, busy, style }
}

/// What a PATCH may change (OpenAPI 2021-06-01, WorkspacePatchProperties).
const PATCHABLE: &[&str] = &[
    "encryption",
    "managedVirtualNetworkSettings",
    "publicNetworkAccess",
    "purviewConfiguration",
    "sqlAdministratorLoginPassword",
    "workspaceRepositoryConfiguration",
];

/// What the service states, and the password, which it shows to nobody.
const NOT_TAKEN: &[&str] = &[
    "adlaResourceId",
    "connectivityEndpoints",
    "extraProperties",
    "privateEndpointConnections",
    "provisioningState",
    "settings",
    "sqlAdministratorLoginPassword",
    "workspaceUID",
];

/// What stays as it was at creation, as pointers into `properties`: by its `x-ms-mutability`, and Microsoft's pages on managed
/// virtual networks and on data exfiltration protection. Chosen: also who administers the workspace.
const FIXED: &[&str] = &[
    "/cspWorkspaceAdminProperties/initialWorkspaceAdminObjectId",
    "/defaultDataLakeStorage/accountUrl",
    "/defaultDataLakeStorage/filesystem",
    "/managedResourceGroupName",
    "/managedVirtualNetwork",
    "/managedVirtualNetworkSettings/preventDataExfiltration",
];

const IDENTITIES: &[&str] = &["None", "SystemAssigned", "SystemAssigned,UserAssigned"];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: KIND,
    accept,
    stored,
    removed: resource_identity::forget,
    render: World::with_connections,
    names: &[
        "accountUrl",
        "allowedAadTenantIdsForLinking",
        "azureADOnlyAuthentication",
        "cspWorkspaceAdminProperties",
        "defaultDataLakeStorage",
        "encryption",
        "filesystem",
        "initialWorkspaceAdminObjectId",
        "linkedAccessCheckOnTargetResource",
        "managedResourceGroupName",
        "managedVirtualNetwork",
        "managedVirtualNetworkSettings",
        "preventDataExfiltration",
        "publicNetworkAccess",
        "purviewConfiguration",
        "sqlAdministratorLogin",
        "sqlAdministratorLoginPassword",
        "trustedServiceBypassEnabled",
        "workspaceRepositoryConfiguration",
    ],
    create: write("synapseWorkspaceCreate", |times| times.synapse_create, "Provisioning", CREATE),
    update: write("synapseWorkspaceUpdate", |times| times.synapse_update, "Provisioning", UPDATE),
    patch: Some((
        Patch::Only { members: &["identity"], properties: PATCHABLE },
        write("synapseWorkspacePatch", |times| times.synapse_update, "Provisioning", UPDATE),
    )),
    delete: write("synapseWorkspaceDelete", |times| times.synapse_delete, "Deleting", DELETE),
    ..ResourceType::DEFAULT
};

/// A name is a host's, and one in the world (Microsoft's page on naming rules).
fn check_name(world: &World, id: &str) -> Result<(), ArmError> {
    let name = ids::name(id);
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    let fits = (1..=50).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("-ondemand");
    if !fits {
        return refuse(format!(
            "'{name}' is no name of a workspace: 1 to 50 lower-case letters, digits and hyphens, a letter or digit at both \
             ends, without '-ondemand'."
        ));
    }
    if world.name_taken(KIND, id, name) {
        // Chosen: status and code for a name that somebody else has.
        let message = format!("The workspace name '{name}' is not available.");
        return Err(ArmError::new(409, "WorkspaceNameNotAvailable", message));
    }
    Ok(())
}

fn check_fixed(now: &Value, given: &Value) -> Result<(), ArmError> {
    let nothing = |value: &Value| value.is_null() || *value == json!(false) || *value == json!("");
    for fixed in FIXED {
        let (now, asked) = (now.pointer(fixed).unwrap_or(&Value::Null), given.pointer(fixed).unwrap_or(&Value::Null));
        if !asked.is_null() && asked != now && !(nothing(now) && nothing(asked)) {
            return refuse(format!("'{}' of a workspace cannot be changed.", ids::name(fixed)));
        }
    }
    Ok(())
}

/// Judges the properties that a workspace would have.
fn check(properties: &Value) -> Result<(), ArmError> {
    let settings = &properties["managedVirtualNetworkSettings"];
    let managed = properties["managedVirtualNetwork"].as_str().filter(|name| !name.is_empty());
    if let Some(name) = managed.filter(|name| *name != "default") {
        return refuse(format!("managedVirtualNetwork is '{name}'; there is only 'default'."));
    }
    let prevents = &settings["preventDataExfiltration"];
    let tenants = &settings["allowedAadTenantIdsForLinking"];
    let listed = tenants.as_array().is_some_and(|tenants| tenants.iter().all(Value::is_string));
    if !(prevents.is_null() || prevents.is_boolean()) || !(tenants.is_null() || listed) {
        return refuse("managedVirtualNetworkSettings is not of the form that it has.");
    }
    if *prevents == json!(true) && managed.is_none() {
        return refuse("preventDataExfiltration needs a managedVirtualNetwork.");
    }
    match &properties["publicNetworkAccess"] {
        Value::Null => Ok(()),
        access if *access == json!("Enabled") || *access == json!("Disabled") => Ok(()),
        other => refuse(format!("{other} is not a publicNetworkAccess.")),
    }
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let none = Value::Null;
    let (now, had) = proposal.existing.map_or((&none, &none), |now| (&now["properties"], &now["identity"]));
    if proposal.existing.is_none() {
        check_name(world, proposal.id)?;
    }
    resource_identity::check(world, (proposal.caller, proposal.id), had, &proposal.body["identity"], IDENTITIES)?;
    // Chosen: what a PUT leaves out or nulls stays as it was.
    let mut given = proposal.body["properties"].clone();
    if let Some(members) = given.as_object_mut() {
        members.retain(|name, value| !value.is_null() && !NOT_TAKEN.contains(&name.as_str()));
    }
    // Whoever makes a workspace is its first administrator, unless another one is named (recorded).
    let mut properties =
        json!({ "cspWorkspaceAdminProperties": { "initialWorkspaceAdminObjectId": proposal.caller.object_id } });
    if now.is_object() {
        check_fixed(now, &given)?;
        properties = now.clone();
    }
    if given.is_object() {
        body::merge(&mut properties, &given, &[]);
    }
    check(&properties)?;
    let mut identity = had.clone();
    if proposal.body["identity"]["type"].is_string() {
        identity = proposal.body["identity"].clone();
        for kept in ["principalId", "userAssignedIdentities"] {
            if kept == "principalId" || !identity[kept].is_object() {
                identity[kept] = had[kept].clone();
            }
        }
    }
    Ok(json!({ "identity": identity, "properties": properties }))
}

/// Adds what the service does: the guid, the names, the identity, the managed network. A seeded workspace may state its
/// guid.
fn stored(world: &mut World, key: &str) {
    let Some(mut document) = world.resources.get(key).cloned() else { return };
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    let name = ids::name(&id).to_ascii_lowercase();
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    let uid = match document["properties"]["workspaceUID"].as_str() {
        Some(uid) => uid.to_owned(),
        None => ids::guid(&["synapse workspace", &id, &world.next_generation(&id).to_string()]).to_string(),
    };
    let host = |label: &str| world.settings.cloud.spell(&format!("{label}.azuresynapse.net"));
    let defaults = json!({
        "workspaceUID": uid,
        "connectivityEndpoints": {
            "web": format!("https://{}?workspace={}", host("web"), id.replace('/', "%2f")),
            "dev": format!("https://{}", host(&format!("{name}.dev"))),
            "sqlOnDemand": host(&format!("{name}-ondemand.sql")),
            "sql": host(&format!("{name}.sql")),
        },
        "managedResourceGroupName": format!("synapseworkspace-managedrg-{}", ids::guid(&["managed group", &uid])),
        "encryption": { "doubleEncryptionEnabled": false },
        "extraProperties": { "WorkspaceType": "Normal", "IsScopeEnabled": false },
        "publicNetworkAccess": "Enabled", "trustedServiceBypassEnabled": false,
    });
    for (name, value) in defaults.as_object().into_iter().flatten() {
        if document["properties"][name].is_null() {
            document["properties"][name] = value.clone();
        }
    }
    // Chosen: a workspace made without a word about identity gets a system-assigned one.
    if !document["identity"]["type"].is_string() {
        document["identity"] = json!({ "type": "SystemAssigned" });
    }
    let identity = &document["identity"];
    // A user-assigned identity that is not there was refused before; a seed may name one all the same.
    if let Ok(given) = resource_identity::given(world, &id, identity, identity, &uid) {
        document["identity"] = given;
    }
    if document["properties"]["managedVirtualNetwork"].as_str().is_some_and(|name| !name.is_empty()) {
        let network = format!("{id}/managedVirtualNetworks/default");
        let child = json!({ "id": network, "name": "default", "type": NETWORK.kind, "properties": {} });
        world.resources.insert(ids::key(&network), child);
    }
    world.resources.insert(key.to_owned(), document);
}
