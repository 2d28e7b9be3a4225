//! Workspaces: creating, changing and deleting them.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Style};
use crate::directory::Principal;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::{Plan, State};
use crate::providers::storage::scope_of;
use crate::settings::{ApproverMissing, ConcurrentWrites, RuleMapPatch};
use crate::world::World;

use super::network::{Isolation, ManagedNetwork};
use super::rules::{Change, Rule};
use super::{WORKSPACE, provision, validation};

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

/// 409 while an operation runs on the workspace, unless the settings let writes overlap.
pub(super) fn refuse_concurrent(world: &World, workspace: &str) -> Result<(), ArmError> {
    let busy = world
        .operations
        .running()
        .any(|operation| operation.kind != "connectionDecision" && ids::contains(workspace, &operation.resource));
    if busy && world.settings.concurrent_writes == ConcurrentWrites::Conflict {
        // No official text is known.
        return Err(ArmError::conflict("Another operation is in progress on this workspace. Please try again later."));
    }
    Ok(())
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let mut items = call.world.list(&scope_of(&call.path), WORKSPACE);
    if let Some(kind) = call.request.query("kind") {
        items.retain(|workspace| workspace["kind"].as_str().is_some_and(|k| k.eq_ignore_ascii_case(&kind)));
    }
    Ok(call.page(items, "$skip"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let document = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, document)))
}

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
fn store(world: &mut World, id: &str, body: &Value, put: bool) -> Result<(), ArmError> {
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
    world.refresh_service_rules(&key);
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
                secret: None,
                assertions: Vec::new(),
                managed_identity: false,
                known_at: world.now.saturating_add(delay),
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

/// Reads the rule map of a body: rules to set, and keys of rules to remove.
pub(super) fn rule_map(world: &World, workspace: &str, body: &Value) -> Result<(Vec<Rule>, Vec<String>), ArmError> {
    let Some(map) = body["properties"]["managedNetwork"]["outboundRules"].as_object() else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut upserts, mut removals) = (Vec::new(), Vec::new());
    for (name, rule) in map {
        if rule.is_null() {
            removals.push(ids::key(name));
        } else {
            upserts.push(validation::rule(world, workspace, name, rule)?);
        }
    }
    if world.settings.rule_map_patch == RuleMapPatch::Replace {
        let visible = world.visible_rules(workspace);
        let users = visible.values().filter(|rule| validation::is_users(rule)).map(Rule::key);
        removals.extend(users.filter(|key| !upserts.iter().any(|rule| rule.key() == *key)));
    }
    validation::set(world, workspace, &upserts, &removals)?;
    Ok((upserts, removals))
}

fn check_isolation(world: &World, workspace: &str, body: &Value) -> Result<(), ArmError> {
    let Some(mode) = body["properties"]["managedNetwork"]["isolationMode"].as_str() else { return Ok(()) };
    let next = Isolation::parse(mode)?;
    let now = world.networks.get(workspace).map(|network| network.isolation).unwrap_or_default();
    if now.may_become(next) {
        return Ok(());
    }
    Err(ArmError::validation(format!(
        "The isolation mode of the managed network cannot be changed from {} to {}.",
        now.name(),
        next.name()
    )))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let body = call.json()?;
    let (id, key) = (call.path.clone(), ids::key(&call.path));
    if call.world.resources.contains_key(&key) {
        return update(call, &body, true);
    }
    let name = ids::name(&id).to_owned();
    if !validation::name_is_valid(&name) {
        return Err(ArmError::validation(format!("'{name}' is not a valid workspace name.")));
    }
    let Some(location) = body["location"].as_str().map(str::to_owned) else {
        return Err(ArmError::new(400, "LocationRequired", "The location property is required for this definition."));
    };
    if call.world.soft_deleted.contains_key(&key) {
        let message = format!("Soft-deleted workspace exists. Please purge or recover it. Workspace: {name}");
        return Err(ArmError::conflict(message));
    }
    for required in ["storageAccount", "keyVault"] {
        let target = body["properties"][required].as_str().unwrap_or_default();
        if !call.world.resources.contains_key(&ids::key(target)) {
            return Err(ArmError::validation(format!("The {required} '{target}' of the workspace was not found.")));
        }
    }
    // A refused creation must leave nothing behind, so everything is checked on the workspace that would result.
    create(call.world, &id, &body)?;
    let checked = rule_map(call.world, &key, &body).and_then(|(upserts, _)| {
        caller_may_approve(call, &key, &upserts)?;
        Ok(upserts)
    });
    let upserts = match checked {
        Ok(upserts) => upserts,
        Err(error) => {
            forget(call.world, &key);
            return Err(error);
        }
    };
    let build = body["properties"]["provisionNetworkNow"].as_bool().unwrap_or(false);
    let mut seconds = call.world.settings.operation_seconds.workspace_create;
    let change = Change::new(call.world, &key, upserts, Vec::new());
    if build {
        seconds += provision::seconds(call.world, &key);
    }
    let plan = Plan {
        kind: "workspaceCreate",
        resource: key.clone(),
        seconds,
        overlay: Some(change.overlay.clone()),
        effect: Box::new(move |world| {
            change.apply(world);
            if build {
                provision::build(world, &key, false);
            }
            Ok(())
        }),
        result: |world, id| world.render(id),
    };
    Ok(call.start(plan, Style::MachineLearning, &location))
}

/// At creation the identity does not exist yet, so the caller's right counts (recording of azure-ai-ml, 2024).
fn caller_may_approve(call: &Call<'_>, workspace: &str, upserts: &[Rule]) -> Result<(), ArmError> {
    if call.world.settings.approver_missing != ApproverMissing::Refuse {
        return Ok(());
    }
    for (target, _) in upserts.iter().filter_map(Rule::endpoint_destination) {
        let kind = ids::resource_type(&target).unwrap_or_default();
        let action = format!("{kind}/privateEndpointConnectionsApproval/action");
        let caller = call.world.may(&call.caller.object_id, &action, &target);
        if !caller && !call.world.can_approve(workspace, &target) {
            let message =
                format!("User does not have permission to approve private link connections to resource: {target}");
            return Err(ArmError::new(400, "UserError", message));
        }
    }
    Ok(())
}

pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    call.world.resource(&call.path)?;
    let body = call.json()?;
    update(call, &body, false)
}

fn update(call: &mut Call<'_>, body: &Value, put: bool) -> Answer {
    let (id, key) = (call.path.clone(), ids::key(&call.path));
    refuse_concurrent(call.world, &key)?;
    let document = call.world.resource(&id)?;
    let location = document["location"].as_str().unwrap_or_default().to_owned();
    if put {
        let asked = body["location"].as_str().unwrap_or(&location).to_lowercase().replace(' ', "");
        if asked != location {
            let message = format!(
                "The resource '{}' already exists in location '{location}'. A resource with the same name cannot be created in location '{asked}'. Please select a new resource name.",
                ids::name(&id)
            );
            return Err(ArmError::new(409, "InvalidResourceLocation", message));
        }
        for fixed in ["storageAccount", "keyVault"] {
            let (now, asked) = (document["properties"][fixed].as_str(), body["properties"][fixed].as_str());
            if asked.is_some_and(|asked| now.is_none_or(|now| ids::key(now) != ids::key(asked))) {
                return Err(ArmError::validation(format!("The {fixed} of a workspace cannot be changed.")));
            }
        }
    }
    check_isolation(call.world, &key, body)?;
    // Rules are judged under the mode that the same body sets.
    let before = call.world.networks.get(&key).cloned().unwrap_or_default();
    if let (Some(mode), Some(network)) =
        (body["properties"]["managedNetwork"]["isolationMode"].as_str(), call.world.networks.get_mut(&key))
    {
        network.isolation = Isolation::parse(mode)?;
    }
    let checked = rule_map(call.world, &key, body).and_then(|(upserts, removals)| {
        validation::approver(call.world, &key, &upserts)?;
        Ok(Change::new(call.world, &key, upserts, removals))
    });
    call.world.networks.insert(key.clone(), before);
    let change = checked?;
    let times = &call.world.settings.operation_seconds;
    let rules =
        if change.overlay.upserts.is_empty() && change.overlay.removals.is_empty() { 0.0 } else { change.seconds };
    let seconds = times.workspace_update.max(rules);
    let body = body.clone();
    let plan = Plan {
        kind: "workspaceUpdate",
        resource: key,
        seconds,
        overlay: Some(change.overlay.clone()),
        effect: Box::new(move |world| {
            store(world, &id, &body, put)?;
            change.apply(world);
            Ok(())
        }),
        result: |world, id| world.render(id),
    };
    Ok(call.start(plan, Style::MachineLearning, &location))
}

/// Removes a workspace and all that lives and dies with it; role assignments of its identity stay, as in ARM.
fn forget(world: &mut World, key: &str) -> Option<Value> {
    world.remove_network(key);
    let own: Vec<String> = world.connections_on(key).map(|connection| ids::key(&connection.id)).collect();
    own.iter().for_each(|connection| world.disconnect(connection));
    let document = world.resources.remove(key)?;
    if let Some(identity) = document["identity"]["principalId"].as_str() {
        world.directory.remove_principal(identity);
    }
    Some(document)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let key = ids::key(&call.path);
    let purge = call.request.query("forceToPurge").is_some_and(|purge| purge.eq_ignore_ascii_case("true"));
    let Some(document) = call.world.resources.get(&key) else {
        // Chosen: purging a soft-deleted workspace is done by deleting it once more.
        if purge {
            call.world.soft_deleted.remove(&key);
        }
        return Ok(Reply::empty(204));
    };
    let location = document["location"].as_str().unwrap_or_default().to_owned();
    refuse_concurrent(call.world, &key)?;
    let plan = Plan {
        kind: "workspaceDelete",
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.workspace_delete,
        overlay: None,
        effect: Box::new(move |world| {
            let document = forget(world, &key);
            if let (Some(document), false, true) = (document, purge, world.settings.soft_delete) {
                world.soft_deleted.insert(key, document);
            }
            Ok(())
        }),
        result: |_, _| None,
    };
    Ok(call.start(plan, Style::MachineLearning, &location))
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
