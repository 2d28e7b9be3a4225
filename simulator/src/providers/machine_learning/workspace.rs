//! Workspaces: reading, creating and changing them.

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::resource_type;
use crate::settings::{ConcurrentWrites, RuleMapPatch};
use crate::world::World;

use super::document::{create, render, store};
use super::isolation::{self, Isolation};
use super::rules::{Change, Rule};
use super::{WORKSPACE, access, document, identity, kinds, lifecycle, locations, provision, validation, versions};

/// The operations during which a workspace takes no other write.
const EXCLUSIVE: &[&str] =
    &["workspaceCreate", "workspaceUpdate", "workspaceDelete", "provision", "rulePut", "ruleDelete", "rulesBatch"];

/// Refuses a write while another one runs on the workspace, unless the settings let writes overlap.
pub(super) fn refuse_concurrent(world: &World, workspace: &str) -> Result<(), ArmError> {
    let busy = world
        .operations
        .running()
        .any(|operation| EXCLUSIVE.contains(&operation.kind) && ids::contains(workspace, &operation.resource));
    // Chosen: the sentences for a workspace that is busy; no official text is known for AML.
    match world.settings.concurrent_writes {
        ConcurrentWrites::Conflict if busy => {
            Err(ArmError::conflict("Another operation is in progress on this workspace. Please try again later."))
        }
        ConcurrentWrites::Retry if busy => Err(ArmError::new(
            429,
            "RetryableErrorDueToAnotherOperation",
            "Another operation on this or dependent resource is in progress.",
        )),
        _ => Ok(()),
    }
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let call = &*call;
    let kind = call.request.query("kind");
    let wanted = |workspace: &&Value| {
        kind.as_ref().is_none_or(|kind| workspace["kind"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(kind)))
    };
    let items = call.world.list(ids::list_scope(&call.path), WORKSPACE).filter(wanted);
    Ok(call.page_of(items, |document| resource_type::render(call.world, document), "$skip"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let document = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, document.clone())))
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

/// Judges everything in a body but its rules.
fn check(call: &Call<'_>, id: &str, body: &Value) -> Result<(), ArmError> {
    let (world, version, workspace) = (&*call.world, call.api_version.as_str(), &ids::key(id));
    let existing = world.resources.get(workspace);
    kinds::check_tenant(world, workspace, body)?;
    kinds::check(world, existing, body)?;
    identity::check(world, (&call.caller, id), existing, body)?;
    access::check(body, existing.is_some())?;
    isolation::check(world, workspace, body)?;
    let properties = &body["properties"];
    if let Some(mode) = properties["systemDatastoresAuthMode"].as_str() {
        let known = ["accesskey", "identity"].contains(&mode.to_ascii_lowercase().as_str())
            || (mode.eq_ignore_ascii_case("UserDelegationSAS") && versions::has_user_delegation(version));
        if !known {
            return Err(ArmError::validation(format!("'{mode}' is not a systemDatastoresAuthMode.")));
        }
    }
    match properties["publicNetworkAccess"].as_str() {
        None | Some("Enabled" | "Disabled") => Ok(()),
        Some(other) => Err(ArmError::validation(format!("'{other}' is not a publicNetworkAccess."))),
    }
}

/// What stays as it was at creation: by the descriptions of the specification, and Microsoft's page on data isolation.
fn check_fixed(existing: &Value, body: &Value, put: bool) -> Result<(), ArmError> {
    let refuse = |name: &str| Err(ArmError::validation(format!("The {name} of a workspace cannot be changed.")));
    let (now, asked) = (&existing["properties"], &body["properties"]);
    for fixed in ["storageAccount", "keyVault"].into_iter().filter(|_| put) {
        let other = |asked: &str| now[fixed].as_str().is_none_or(|now| ids::key(now) != ids::key(asked));
        if asked[fixed].as_str().is_some_and(other) {
            return refuse(fixed);
        }
    }
    if put && asked["hbiWorkspace"].is_boolean() && asked["hbiWorkspace"] != now["hbiWorkspace"] {
        return refuse("hbiWorkspace");
    }
    if asked["enableDataIsolation"].is_boolean() && asked["enableDataIsolation"] != now["enableDataIsolation"] {
        return refuse("enableDataIsolation");
    }
    // Chosen: a key can be changed for another one, a workspace without one gets none later.
    if asked["encryption"].is_object() && !now["encryption"].is_object() {
        return refuse("encryption");
    }
    Ok(())
}

fn body_of(call: &Call<'_>) -> Result<Value, ArmError> {
    Ok(versions::workspace_taken(document::sent(call)?, &call.api_version))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let body = body_of(call)?;
    let (id, key) = (call.path.clone(), ids::key(&call.path));
    if call.world.resources.contains_key(&key) {
        return update(call, &body, true);
    }
    let name = ids::name(&id).to_owned();
    if !validation::name_is_valid(&name) {
        return Err(ArmError::validation(format!("'{name}' is not a valid workspace name.")));
    }
    let Some(location) = body["location"].as_str().map(body::location) else {
        return Err(ArmError::new(400, "LocationRequired", "The location property is required for this definition."));
    };
    locations::check(call.world.settings.cloud, &location, WORKSPACE)?;
    let recovered = lifecycle::recoverable(call.world, &key, &body)?;
    check(call, &id, &body)?;
    // A refused creation must leave nothing behind, so everything is checked on the workspace that would result.
    create(call.world, &id, &body)?;
    let checked = rule_map(call.world, &key, &body)
        .and_then(|(upserts, _)| validation::at_creation(call, &key, &upserts).map(|()| upserts));
    let upserts = match checked {
        Ok(upserts) => upserts,
        Err(error) => {
            lifecycle::forget(call.world, &key);
            return Err(error);
        }
    };
    let build = body["properties"]["provisionNetworkNow"].as_bool().unwrap_or(false)
        && call.world.networks.get(&key).is_some_and(|network| network.isolation != Isolation::Disabled);
    if build && let Err(error) = provision::caller_may(call, &id) {
        lifecycle::forget(call.world, &key);
        return Err(error);
    }
    if let Some(former) = recovered {
        lifecycle::recover(call.world, &key, former);
    }
    if let Some(document) = call.world.resources.get_mut(&key) {
        document["systemData"] = json!({});
        document::sign(document, Some(&call.caller), &crate::clock::rfc3339(call.world.now));
    }
    let mut seconds = call.world.settings.operation_seconds.workspace_create;
    let grant = identity::vault_grant(&key, seconds);
    call.world.begin_beside(grant, &call.caller.object_id);
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
            // Chosen: a workspace whose creation fails stays, and says so.
            kinds::check_dependencies(world, &key)?;
            change.apply(world)?;
            world.refresh_service_rules(&key);
            if build { provision::build(world, &key, false) } else { Ok(()) }
        }),
        result: |world, id| world.render(id),
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}

pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    call.world.resource(&call.path)?;
    let body = body_of(call)?;
    update(call, &body, false)
}

fn update(call: &mut Call<'_>, body: &Value, put: bool) -> Answer {
    let (id, key) = (call.path.clone(), ids::key(&call.path));
    let existing = call.world.resource(&id)?;
    let location = existing["location"].as_str().unwrap_or_default().to_owned();
    if put {
        let asked = body["location"].as_str().map_or(location.clone(), body::location);
        if asked != location {
            let message = format!(
                "The resource '{}' already exists in location '{location}'. A resource with the same name cannot be created in location '{asked}'. Please select a new resource name.",
                ids::name(&id)
            );
            return Err(ArmError::new(409, "InvalidResourceLocation", message));
        }
    }
    check_fixed(existing, body, put)?;
    let plan = change_of(call, &id, body, put)?;
    let plan = Plan { kind: "workspaceUpdate", resource: key, result: |world, id| world.render(id), ..plan };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}

/// The operation that changes a workspace, its network or its rules as a body says.
///
/// # Errors
/// When another operation runs, or when the body cannot be taken.
pub(super) fn change_of(call: &mut Call<'_>, id: &str, body: &Value, put: bool) -> Result<Plan, ArmError> {
    let key = ids::key(id);
    refuse_concurrent(call.world, &key)?;
    check(call, id, body)?;
    // Rules are judged under the mode that the same body sets.
    let before = call.world.networks.get(&key).cloned();
    if let (Some(mode), Some(network)) =
        (body["properties"]["managedNetwork"]["isolationMode"].as_str(), call.world.networks.get_mut(&key))
    {
        network.isolation = Isolation::parse(mode)?;
    }
    let checked = rule_map(call.world, &key, body).and_then(|(upserts, removals)| {
        validation::approver(call.world, &key, &upserts)?;
        Ok(Change::new(call.world, &key, upserts, removals))
    });
    if let Some(before) = before {
        call.world.networks.insert(key.clone(), before);
    }
    let change = checked?;
    let times = &call.world.settings.operation_seconds;
    let rules =
        if change.overlay.upserts.is_empty() && change.overlay.removals.is_empty() { 0.0 } else { change.seconds };
    let seconds = times.workspace_update.max(rules);
    let (id, body, author) = (id.to_owned(), body.clone(), call.caller.clone());
    Ok(Plan {
        kind: "workspaceUpdate",
        resource: key,
        seconds,
        overlay: Some(change.overlay.clone()),
        effect: Box::new(move |world| {
            store(world, &id, &body, put, Some(&author))?;
            change.apply(world)?;
            world.refresh_service_rules(&ids::key(&id));
            Ok(())
        }),
        result: |_, _| None,
    })
}
