//! Role definitions and permissions (OpenAPI Authorization 2022-04-01).

use serde_json::{Value, json};

use super::quoted;
use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::rbac::{Made, Permission, RoleDefinition};

/// Names of the members that a PUT may have.
const NAMES: &[&str] = &[
    "actions",
    "assignableScopes",
    "dataActions",
    "description",
    "notActions",
    "notDataActions",
    "permissions",
    "roleName",
];

const WRITE: &str = "Microsoft.Authorization/roleDefinitions/write";

/// A role that there is not. Chosen: status, code and sentence, as users of azurerm quote them.
fn does_not_exist(name: &str) -> ArmError {
    let message = format!("The specified role definition with ID '{name}' does not exist.");
    ArmError::new(404, "RoleDefinitionDoesNotExist", message)
}

fn render(call: &Call<'_>, role: &RoleDefinition) -> Value {
    role.render(ids::subscription(call.param(0)))
}

/// The role that a call is about, if the caller's tenant has it.
fn present<'a>(call: &'a Call<'_>) -> Option<&'a RoleDefinition> {
    let found = call.world.roles.definitions.get(&ids::key(call.param(1)));
    found.filter(|role| call.world.defined_in(&call.caller.tenant, role))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let filter = call.request.query("$filter").unwrap_or_default();
    let filter = filter.trim();
    let name = quoted(filter, "roleName eq '", "'");
    let kind = quoted(filter, "type eq '", "'");
    let below = filter.eq_ignore_ascii_case("atScopeAndBelow()");
    if !filter.is_empty() && name.is_none() && kind.is_none() && !below && !filter.eq_ignore_ascii_case("atScope()") {
        // Chosen: code and sentence for a filter that is not one of the documented ones.
        return Err(ArmError::new(400, "UnsupportedQuery", format!("The filter '{filter}' is not supported.")));
    }
    let scope = call.param(0);
    let definitions = call.world.roles.definitions.values();
    let items = definitions
        .filter(|role| call.world.defined_in(&call.caller.tenant, role))
        .filter(|role| {
            role.assignable_on(scope)
                || below && role.assignable_scopes.iter().any(|assignable| ids::contains(scope, assignable))
        })
        .filter(|role| name.is_none_or(|name| role.role_name.eq_ignore_ascii_case(name)))
        .filter(|role| kind.is_none_or(|kind| kind.eq_ignore_ascii_case("BuiltInRole") == role.built_in))
        .map(|role| render(call, role))
        .collect();
    Ok(call.page(items, "$skipToken"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    present(call).map(|role| Reply::ok(render(call, role))).ok_or_else(|| does_not_exist(call.param(1)))
}

/// A list of texts; left out, an empty one.
fn texts(value: &Value) -> Result<Vec<String>, ArmError> {
    let Some(items) = value.as_array() else {
        return if value.is_null() { Ok(Vec::new()) } else { Err(malformed("a list of strings is wanted")) };
    };
    let text = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(|| malformed("a string is wanted"));
    items.iter().map(text).collect()
}

fn malformed(what: &str) -> ArmError {
    let message = format!("The request content was invalid and could not be deserialized: {what}.");
    ArmError::new(400, "InvalidRequestContent", message)
}

fn permission(value: &Value) -> Result<Permission, ArmError> {
    let list = |name: &str| texts(&value[name]);
    Ok(Permission::new(list("actions")?, list("notActions")?, list("dataActions")?, list("notDataActions")?))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let body = call.json(NAMES)?;
    let properties = &body["properties"];
    let id = call.param(1).to_owned();
    // Chosen: codes and sentences for a role's bad id, for bad scopes, for a name that another role has, and for a built-in
    // role that somebody changes or deletes.
    if uuid::Uuid::parse_str(&id).is_err() {
        let message = format!("The role definition ID '{id}' is not valid. The role definition ID must be a GUID.");
        return Err(ArmError::new(400, "InvalidRoleDefinitionId", message));
    }
    let role_name = properties["roleName"].as_str().filter(|name| !name.is_empty());
    let role_name = role_name.ok_or_else(|| malformed("roleName is required"))?.to_owned();
    let permissions = properties["permissions"].as_array().filter(|permissions| !permissions.is_empty());
    let permissions = permissions.ok_or_else(|| malformed("permissions are required"))?;
    let permissions: Vec<Permission> = permissions.iter().map(permission).collect::<Result<_, _>>()?;
    let assignable_scopes = texts(&properties["assignableScopes"])?;
    // A custom role cannot be assigned everywhere (Microsoft's page on custom roles).
    if assignable_scopes.is_empty() || assignable_scopes.iter().any(|scope| ids::subscription(scope).is_none()) {
        let message = "The assignable scopes of a custom role are subscriptions, resource groups and resources.";
        return Err(ArmError::new(400, "InvalidAssignableScopes", message));
    }
    // Else somebody who may write roles on one scope could write them for all.
    for scope in &assignable_scopes {
        call.require(WRITE, scope)?;
    }
    let existing = present(call);
    if existing.is_none() && call.world.roles.definitions.contains_key(&ids::key(&id)) {
        // Chosen: guids of roles are unique over all tenants here, and more than that the other tenant does not tell.
        let message = format!("The role definition ID '{id}' cannot be used.");
        return Err(ArmError::new(409, "RoleDefinitionIdInUse", message));
    }
    if existing.is_some_and(|role| role.built_in) {
        let message = "A built-in role cannot be changed.";
        return Err(ArmError::new(400, "RoleDefinitionUpdateNotPermitted", message));
    }
    // One that somebody else uses on scopes of their own changes only with the right to write it there.
    for scope in existing.map(|role| role.assignable_scopes.clone()).unwrap_or_default() {
        call.require(WRITE, &scope)?;
    }
    let taken = |role: &RoleDefinition| {
        role.role_name.eq_ignore_ascii_case(&role_name)
            && !role.id.eq_ignore_ascii_case(&id)
            && call.world.defined_in(&call.caller.tenant, role)
    };
    if call.world.roles.definitions.values().any(taken) {
        let message = "A custom role with the same name already exists in this directory. Use a different name.";
        return Err(ArmError::new(409, "RoleDefinitionWithSameNameExists", message));
    }
    let (now, caller) = (call.world.now, Some(call.caller.object_id.clone()));
    let first = existing.and_then(|role| role.made.clone());
    let (created_on, created_by) =
        first.map_or_else(|| (now, caller.clone()), |made| (made.created_on, made.created_by));
    let role = RoleDefinition {
        id: id.clone(),
        role_name,
        description: properties["description"].as_str().unwrap_or_default().to_owned(),
        built_in: false,
        permissions,
        assignable_scopes,
        made: Some(Made { created_on, updated_on: now, created_by, updated_by: caller }),
    };
    // 201 for a change, too: the only success that the OpenAPI names.
    let reply = Reply::json(201, render(call, &role));
    call.world.roles.definitions.insert(ids::key(&id), role);
    Ok(reply)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let key = ids::key(call.param(1));
    let Some(role) = present(call) else { return Ok(Reply::empty(204)) };
    if role.built_in {
        return Err(ArmError::new(400, "RoleDefinitionDeleteNotPermitted", "A built-in role cannot be deleted."));
    }
    for scope in &role.assignable_scopes {
        call.require("Microsoft.Authorization/roleDefinitions/delete", scope)?;
    }
    if call.world.roles.assignments().values().any(|assignment| assignment.role.eq_ignore_ascii_case(&role.id)) {
        // Chosen: the status for a role that is in use; code and sentence are documented.
        let message = "There are existing role assignments referencing role.";
        return Err(ArmError::new(400, "RoleDefinitionHasAssignments", message));
    }
    let reply = Reply::ok(render(call, role));
    call.world.roles.definitions.remove(&key);
    Ok(reply)
}

/// What the caller's own roles allow on a scope.
pub(super) fn permissions(call: &mut Call<'_>) -> Answer {
    let (caller, scope, now) = (&call.caller.object_id, call.param(0), call.world.now);
    let held = call.world.roles.reaching(caller, scope, now);
    let items: Vec<Value> = held.flat_map(|(_, role)| role.permissions.iter().map(Permission::render)).collect();
    Ok(Reply::ok(json!({ "value": items })))
}
