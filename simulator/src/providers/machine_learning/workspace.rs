//! Workspaces: creating, changing and deleting them.

use serde_json::Value;

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::settings::{ApproverMissing, ConcurrentWrites, RuleMapPatch};
use crate::world::World;

use super::document::{create, render, store};
use super::network::Isolation;
use super::rules::{Change, Rule};
use super::{WORKSPACE, provision, validation};

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
    let mut items = call.world.list(ids::list_scope(&call.path), WORKSPACE);
    if let Some(kind) = call.request.query("kind") {
        items.retain(|workspace| workspace["kind"].as_str().is_some_and(|k| k.eq_ignore_ascii_case(&kind)));
    }
    Ok(call.page(items, "$skip"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let document = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, document)))
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
            world.refresh_service_rules(&key);
            if build {
                provision::build(world, &key, false);
            }
            Ok(())
        }),
        result: |world, id| world.render(id),
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
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
            world.refresh_service_rules(&ids::key(&id));
            Ok(())
        }),
        result: |world, id| world.render(id),
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
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
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}
