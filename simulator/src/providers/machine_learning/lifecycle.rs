//! Deleting workspaces, and what is left of them: soft delete, recovery, purge (Microsoft's page on soft deletion).

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::providers::resource_identity;
use crate::world::World;

use super::{kinds, workspace};

/// How long a deleted workspace is kept if it does not say otherwise.
const RETENTION_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

/// What makes a PUT recover (bicep types of 2022-05-01; no version declares it today).
const RECOVER: &str = "allowRecoverSoftDeletedWorkspace";

/// Removes a workspace and all that lives and dies with it; role assignments of its identity stay, as in ARM.
pub(super) fn forget(world: &mut World, key: &str) -> Option<Value> {
    world.remove_network(key);
    world.remove(key)
}

/// What a removed workspace takes with it besides its children.
pub(super) fn removed(world: &mut World, document: &Value) {
    let key = document["id"].as_str().map(ids::key).unwrap_or_default();
    world.remove_network(&key);
    resource_identity::forget(world, document);
}

/// Keeps a deleted workspace for as long as it says.
fn keep(world: &mut World, key: String, document: Value) {
    let days = document["properties"]["softDeleteRetentionInDays"].as_i64().unwrap_or(RETENTION_DAYS);
    let until = world.now.saturating_add(days.saturating_mul(DAY_MS));
    world.soft_deleted.insert(key, json!({ "document": document, "until": until }));
}

/// The deleted workspace that a PUT brings back; `None` if there is none.
///
/// # Errors
/// There is one, and the body does not ask for it. Code and text as in a public log of a deployment.
pub(super) fn recoverable(world: &mut World, key: &str, body: &Value) -> Result<Option<Value>, ArmError> {
    let now = world.now;
    world.soft_deleted.retain(|_, kept| kept["until"].as_i64().is_some_and(|until| until > now));
    let Some(kept) = world.soft_deleted.get(key) else { return Ok(None) };
    let wish = &body["properties"][RECOVER];
    if *wish == json!(true) || wish.as_str().is_some_and(|wish| wish.eq_ignore_ascii_case("true")) {
        return Ok(Some(kept["document"].clone()));
    }
    let message = "Soft-deleted workspace exists. Please purge or recover it. https://aka.ms/wsoftdelete";
    Err(ArmError::bad_request(message))
}

/// Gives a workspace that was created again what its former self was. Chosen: its guid, its identity, and what it said
/// of itself come back; its network is as the body says and not built, computes are gone.
pub(super) fn recover(world: &mut World, key: &str, former: Value) {
    world.soft_deleted.remove(key);
    let replaced = world.resources.get(key).and_then(|new| new["identity"]["principalId"].as_str()).map(str::to_owned);
    if let (Some(replaced), true) = (replaced, former["identity"]["principalId"].is_string()) {
        world.directory.remove_principal(&replaced);
    }
    if let Some(principal) = former["identity"]["principalId"].as_str() {
        resource_identity::enlist(world, key, principal);
    }
    world.resources.insert(key.to_owned(), former);
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let key = ids::key(&call.path);
    let purge = call.request.query("forceToPurge").is_some_and(|purge| purge.eq_ignore_ascii_case("true"));
    let Some(document) = call.world.resources.get(&key) else {
        // A soft-deleted workspace is purged by deleting it once more (reported by people who clean up).
        if purge {
            call.world.soft_deleted.remove(&key);
        }
        return Ok(Reply::empty(204));
    };
    if document["kind"] == kinds::HUB && !kinds::projects(call.world, &key).is_empty() {
        // Chosen: a hub stays while it has projects; no official text is known.
        return Err(ArmError::conflict("The hub has projects, which must be deleted first."));
    }
    let location = document["location"].as_str().unwrap_or_default().to_owned();
    workspace::refuse_concurrent(call.world, &key)?;
    let plan = Plan {
        kind: "workspaceDelete",
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.workspace_delete,
        overlay: None,
        effect: Box::new(move |world| {
            let document = forget(world, &key);
            if let (Some(document), false, true) = (document, purge, world.settings.soft_delete) {
                keep(world, key, document);
            }
            Ok(())
        }),
        result: |_, _| None,
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}
