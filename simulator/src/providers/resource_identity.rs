//! The identity that a resource has, whatever its provider: a system-assigned one, user-assigned ones, or both.

use serde_json::{Map, Value, json};

use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::world::World;

const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

/// Whether an identity is of a type, or of that one and another.
pub(crate) fn has(identity: &Value, kind: &str) -> bool {
    identity["type"].as_str().is_some_and(|text| text.contains(kind))
}

/// Ids of the user-assigned identities, as a body or a document has them; null takes one out.
pub(crate) fn users(identity: &Value) -> impl Iterator<Item = &String> {
    let map = identity["userAssignedIdentities"].as_object();
    map.into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(id, _)| id)
}

/// Judges the identity that somebody wants a resource to have. Who gives a resource an identity acts through it from
/// then on, and must have the right to assign it (Microsoft's page on managed identities; the Managed Identity Operator
/// role is for this). Chosen: on every body that names it, also if the resource has it already.
///
/// `now` is what it has, `kinds` are the types that there are, written without spaces.
pub(crate) fn check(
    world: &World,
    (caller, id): (&Principal, &str),
    now: &Value,
    wanted: &Value,
    kinds: &[&str],
) -> Result<(), ArmError> {
    if let Some(kind) = wanted["type"].as_str().filter(|kind| !kinds.contains(&kind.replace(' ', "").as_str())) {
        return Err(ArmError::validation(format!("'{kind}' is not one of the types of identity {kinds:?}.")));
    }
    for user in users(wanted) {
        world.require_linked(caller, id, &format!("{IDENTITY}/assign/action"), user)?;
        let found = world.resources.get(&ids::key(user));
        if found.is_none_or(|found| !found["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(IDENTITY))) {
            let message = format!("The user-assigned identity '{user}' was not found.");
            return Err(ArmError::new(400, "FailedIdentityOperation", message));
        }
    }
    let resulting = if wanted["type"].is_string() { wanted } else { now };
    let set = if wanted["userAssignedIdentities"].is_object() { wanted } else { now };
    if has(resulting, "UserAssigned") && users(set).next().is_none() {
        let message = "An identity of type UserAssigned needs userAssignedIdentities.";
        return Err(ArmError::validation(message));
    }
    Ok(())
}

/// The identity that `wanted` asks for in the place of `now`, with the guids that the directory gives it. `life` is a word
/// that this resource shares with no other, not even with one that had its name before.
pub(crate) fn given(world: &mut World, id: &str, wanted: &Value, now: &Value, life: &str) -> Result<Value, ArmError> {
    let kind = wanted["type"].as_str().unwrap_or("None").replace(' ', "");
    let mut identity = json!({ "type": kind });
    if kind.contains("SystemAssigned") {
        let own = || ids::guid(&["system identity", life]).to_string();
        let object_id = now["principalId"].as_str().map_or_else(own, str::to_owned);
        identity["tenantId"] = json!(enlist(world, id, &object_id));
        identity["principalId"] = json!(object_id);
    } else if let Some(gone) = now["principalId"].as_str() {
        world.directory.remove_principal(gone);
    }
    if kind.contains("UserAssigned") {
        // The set is the whole one: who is not named is removed.
        let set = if wanted["userAssignedIdentities"].is_object() { wanted } else { now };
        identity["userAssignedIdentities"] = shown(world, set)?;
    }
    Ok(identity)
}

/// The user-assigned identities of a body with the guids that they have.
fn shown(world: &World, identity: &Value) -> Result<Value, ArmError> {
    let mut assigned = Map::new();
    for user in users(identity) {
        let properties = &world.resource(user)?["properties"];
        let guids = json!({ "principalId": properties["principalId"], "clientId": properties["clientId"] });
        assigned.insert(user.clone(), guids);
    }
    Ok(assigned.into())
}

/// Makes a system-assigned identity known to the directory, and returns its tenant.
pub(crate) fn enlist(world: &mut World, resource: &str, object_id: &str) -> String {
    let tenant = world.tenant_of(resource).unwrap_or_default().to_owned();
    if world.directory.principal(object_id).is_none() {
        let delay = (world.settings.principal_replication_seconds * 1000.0) as i64;
        world.directory.add_principal(Principal {
            tenant: tenant.clone(),
            client_id: ids::guid(&["client", object_id]).to_string(),
            object_id: object_id.to_owned(),
            resource_id: Some(resource.to_owned()),
            known_at: world.now.saturating_add(delay),
            ..Principal::default()
        });
    }
    tenant
}

/// Makes the system-assigned identity of a resource that is gone unknown.
pub(crate) fn forget(world: &mut World, document: &Value) {
    if let Some(identity) = document["identity"]["principalId"].as_str() {
        world.directory.remove_principal(identity);
    }
}
