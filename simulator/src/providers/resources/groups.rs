//! Resource groups.

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::{Plan, State};
use crate::resource_type;
use crate::world::World;

use super::listing::Filter;

const KIND: &str = "Microsoft.Resources/resourceGroups";

/// For the log and the fault plan.
const DELETION: &str = "resourceGroupDelete";

const NAMES: &[&str] = &["managedBy"];

/// 202, `Location`, `Retry-After: 15`, no body to the end (recordings of resource groups).
const DELETE: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    status_url: None,
    location_url: Some(("/subscriptions/{subscription}/operationresults/{id}", "")),
    retry_after: Some(15),
    ..Style::at_once(200)
};

fn being_deleted(world: &World, key: &str) -> bool {
    matches!(world.operations.latest(key), Some((DELETION, State::Running)))
}

fn shown(world: &World, group: &Value) -> Value {
    let mut group = group.clone();
    if being_deleted(world, &ids::key(group["id"].as_str().unwrap_or_default())) {
        group["properties"]["provisioningState"] = json!("Deleting");
    }
    group
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let subscription = format!("/subscriptions/{}", call.param(0));
    let world = &*call.world;
    let all = world.groups.iter().filter(|(id, _)| ids::contains(&subscription, id)).map(|(_, group)| group);
    let filter = Filter::of(call)?;
    Ok(call.page_of(all.filter(|group| filter.lets(group)), |group| shown(world, group), "$skiptoken"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let group = call.world.groups.get(&ids::key(&call.path));
    group.map(|group| Reply::ok(shown(call.world, group))).ok_or_else(|| ArmError::group_not_found(call.param(1)))
}

/// 201 for a new group, 200 for one that is there (recordings of resource groups).
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let (key, name) = (ids::key(&call.path), call.param(1).to_owned());
    let sent = call.json(NAMES)?;
    let location = sent["location"].as_str().map(body::location).filter(|location| !location.is_empty());
    let Some(location) = location else {
        return Err(ArmError::new(400, "LocationRequired", "The location property is required for this definition."));
    };
    let fits = |c: char| c.is_alphanumeric() || "-_.()".contains(c);
    if name.chars().count() > 90 || name.ends_with('.') || !name.chars().all(fits) {
        // Chosen: code and sentence for a name that breaks the documented rules.
        let message = format!("The resource group name '{name}' is not valid.");
        return Err(ArmError::new(400, "InvalidResourceGroup", message));
    }
    let existing = call.world.groups.get(&key);
    let now = existing.and_then(|group| group["location"].as_str());
    if let Some(now) = now.filter(|now| body::location(now) != location) {
        let message = format!(
            "Invalid resource group location '{location}'. The Resource group already exists in location '{now}'."
        );
        return Err(ArmError::new(409, "InvalidResourceGroupLocation", message));
    }
    let status = if existing.is_some() { 200 } else { 201 };
    let id = existing.and_then(|group| group["id"].as_str()).unwrap_or(&call.path).to_owned();
    let mut group = json!({
        "id": id, "name": ids::name(&id), "type": KIND, "location": location, "tags": body::tags(&sent["tags"])?,
        "properties": { "provisioningState": "Succeeded" },
    });
    if let Some(manager) = sent["managedBy"].as_str() {
        group["managedBy"] = json!(manager);
    }
    call.world.groups.insert(key, group.clone());
    Ok(Reply::json(status, group))
}

/// Tags can be changed, as a whole.
pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    let sent = call.json(NAMES)?;
    let name = call.param(1).to_owned();
    let group = call.world.groups.get_mut(&ids::key(&call.path)).ok_or_else(|| ArmError::group_not_found(&name))?;
    if let Some(tags) = sent.get("tags") {
        group["tags"] = body::tags(tags)?;
    }
    Ok(Reply::ok(group.clone()))
}

/// Deletes a group with all that is in it.
pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let key = ids::key(&call.path);
    if !call.world.groups.contains_key(&key) {
        return Err(ArmError::group_not_found(call.param(1)));
    }
    let plan = Plan {
        kind: DELETION,
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.group_delete,
        effect: Box::new(move |world| empty(world, &key)),
        result: |_, _| None,
        overlay: None,
    };
    Ok(call.start(plan, DELETE, ""))
}

/// GET of the deletion's `Location`. Recorded three times: the first 202 has no `Location` of its own, later ones have.
pub(super) fn deletion(call: &mut Call<'_>) -> Answer {
    let mut reply = call.operation_result(Some(15))?;
    if ids::operation(&call.path).is_some_and(|id| call.world.operations.first_look(&id)) {
        reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Location"));
    }
    Ok(reply)
}

/// What goes first: an endpoint before what it leads to and the subnet it lies in, a workspace before what it uses,
/// networks last. Chosen: ARM tries in its own order, and again.
fn rank(kind: &str) -> u8 {
    match kind {
        "Microsoft.Network/privateEndpoints" => 0,
        "Microsoft.MachineLearningServices/workspaces" => 1,
        kind if kind.starts_with("Microsoft.Network/") => 3,
        _ => 2,
    }
}

fn empty(world: &mut World, group: &str) -> Result<(), ArmError> {
    let below = format!("{group}/");
    loop {
        let mut left: Vec<(u8, String)> = world
            .resources
            .range(below.clone()..)
            .take_while(|(id, _)| id.starts_with(&below))
            .map(|(id, document)| (rank(document["type"].as_str().unwrap_or_default()), id.clone()))
            .collect();
        left.sort();
        let before = left.len();
        for (_, id) in &left {
            // Children go with their parents, so some are gone already.
            let Some(document) = world.resources.get(id).cloned() else { continue };
            let kind = document["type"].as_str().and_then(resource_type::find);
            if kind.is_none_or(|kind| (kind.removable)(world, &document).is_ok()) {
                world.remove(id);
            }
        }
        let stuck: Vec<&str> =
            left.iter().map(|(_, id)| id.as_str()).filter(|id| world.resources.contains_key(*id)).collect();
        if stuck.is_empty() {
            world.groups.remove(group);
            let inside = world.roles.assignments().iter().filter(|(_, one)| ids::contains(group, &one.scope));
            let inside: Vec<String> = inside.map(|(key, _)| key.clone()).collect();
            for key in inside {
                world.roles.unassign(&key);
            }
            return Ok(());
        }
        if stuck.len() == before {
            let what: Vec<&str> = stuck.iter().filter_map(|id| ids::provider_path(id)).collect();
            let message = format!(
                "Deletion of resource group '{}' failed as resources with identifiers '{}' could not be deleted. The \
                 provisioning state of the resource group will be rolled back.",
                ids::name(group),
                what.join(",")
            );
            // Code and sentence: the recorded answer in the tests of Azure/go-autorest (September 2018).
            return Err(ArmError::new(409, "ResourceGroupDeletionBlocked", message));
        }
    }
}

/// Nothing is written to a group that is being deleted; deleting what is in it goes on.
pub(super) fn refuse_in_deletion(call: &Call<'_>) -> Result<(), ArmError> {
    let Some(name) = ids::resource_group(&call.path) else { return Ok(()) };
    if call.request.method == "DELETE" || !being_deleted(call.world, &ids::key(&ids::ancestor(&call.path, 4))) {
        return Ok(());
    }
    let message = format!("The resource group '{name}' is in deprovisioning state and cannot perform this operation.");
    // The code is of Microsoft's page on common deployment errors. Chosen: the sentence.
    Err(ArmError::new(409, "ResourceGroupBeingDeleted", message))
}
