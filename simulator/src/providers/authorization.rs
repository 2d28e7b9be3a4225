//! Microsoft.Authorization: role definitions and role assignments.

use serde_json::Value;

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::rbac::RoleAssignment;
use crate::routes::{Provider, Route};

const ASSIGNMENTS: &[&str] = &["2022-04-01", "2020-04-01-preview"];
const DEFINITIONS: &[&str] = &["2022-04-01", "2022-05-01-preview", "2018-01-01-preview"];

macro_rules! authorization {
    ($tail:literal) => {
        concat!("{scope}/providers/Microsoft.Authorization/", $tail)
    };
}

const ROUTES: &[Route] = &[
    Route { method: "GET", path: authorization!("roleAssignments"), versions: ASSIGNMENTS, run: list },
    Route { method: "GET", path: authorization!("roleAssignments/{}"), versions: ASSIGNMENTS, run: get },
    Route { method: "PUT", path: authorization!("roleAssignments/{}"), versions: ASSIGNMENTS, run: put },
    Route { method: "DELETE", path: authorization!("roleAssignments/{}"), versions: ASSIGNMENTS, run: delete },
    Route { method: "GET", path: authorization!("roleDefinitions"), versions: DEFINITIONS, run: list_definitions },
    Route { method: "GET", path: authorization!("roleDefinitions/{}"), versions: DEFINITIONS, run: get_definition },
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Authorization",
    source: "OpenAPI 2022-04-01, recording of role assignments",
    missing: &[],
    types: &[],
    routes: &[ROUTES],
};

/// The three filters of the API that name principals or scopes.
enum Filter {
    None,
    AtScope,
    /// On the scope, above and below it.
    Principal(String),
    /// On the scope and above it only.
    AssignedTo(String),
}

fn quoted<'a>(filter: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let rest = filter.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
    rest.and_then(|_| filter[prefix.len()..].strip_suffix(suffix))
}

fn filter_of(call: &Call<'_>) -> Result<Filter, ArmError> {
    let Some(filter) = call.request.query("$filter").filter(|filter| !filter.is_empty()) else {
        return Ok(Filter::None);
    };
    let compact: String = filter.trim().to_owned();
    if compact.eq_ignore_ascii_case("atScope()") {
        return Ok(Filter::AtScope);
    }
    if let Some(id) = quoted(&compact, "principalId eq '", "'") {
        return Ok(Filter::Principal(id.to_owned()));
    }
    if let Some(id) = quoted(&compact, "assignedTo('", "')") {
        return Ok(Filter::AssignedTo(id.to_owned()));
    }
    Err(ArmError::new(400, "UnsupportedQuery", format!("The filter '{filter}' is not supported.")))
}

fn list(call: &mut Call<'_>) -> Answer {
    let scope = call.param(0).to_owned();
    let filter = filter_of(call)?;
    let at_or_above = |assignment: &RoleAssignment| ids::contains(&assignment.scope, &scope);
    let below = |assignment: &RoleAssignment| ids::contains(&scope, &assignment.scope);
    let items: Vec<Value> = call
        .world
        .roles
        .assignments
        .values()
        .filter(|assignment| match &filter {
            Filter::None => at_or_above(assignment) || below(assignment),
            Filter::AtScope => at_or_above(assignment),
            Filter::Principal(id) => {
                (at_or_above(assignment) || below(assignment)) && assignment.principal_id.eq_ignore_ascii_case(id)
            }
            Filter::AssignedTo(id) => at_or_above(assignment) && assignment.principal_id.eq_ignore_ascii_case(id),
        })
        .map(RoleAssignment::render)
        .collect();
    Ok(call.page(items, "$skipToken"))
}

fn not_found(name: &str) -> ArmError {
    ArmError::new(404, "RoleAssignmentNotFound", format!("The role assignment '{name}' is not found."))
}

fn get(call: &mut Call<'_>) -> Answer {
    let assignment = call.world.roles.assignments.get(&ids::key(&call.path));
    assignment.map(|a| Reply::ok(a.render())).ok_or_else(|| not_found(call.param(1)))
}

fn put(call: &mut Call<'_>) -> Answer {
    let body = call.json()?;
    let properties = &body["properties"];
    let text = |name: &str| properties[name].as_str().map(str::to_owned);
    let name = call.param(1).to_owned();
    let (key, scope, now) = (ids::key(&call.path), call.param(0).to_owned(), call.world.now);
    if uuid::Uuid::parse_str(&name).is_err() {
        let message = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        return Err(ArmError::new(400, "InvalidRoleAssignmentId", message));
    }
    let (Some(role), Some(principal_id)) = (text("roleDefinitionId"), text("principalId")) else {
        return Err(ArmError::new(400, "InvalidRequestContent", "roleDefinitionId and principalId are required."));
    };
    let role = match call.world.roles.definitions.get(&ids::key(ids::name(&role))) {
        Some(definition) => definition.id.clone(),
        None => {
            let message = format!("The specified role definition with ID '{}' does not exist.", ids::name(&role));
            return Err(ArmError::new(404, "RoleDefinitionDoesNotExist", message));
        }
    };
    let known = call.world.directory.principal(&principal_id).is_some_and(|p| p.known_at <= now);
    let stated_type = text("principalType");
    if stated_type.is_none() && !known {
        let tenant = call.world.tenant_of(&scope).unwrap_or_default().to_owned();
        return Err(ArmError::new(
            400,
            "PrincipalNotFound",
            format!(
                "Principal {} does not exist in the directory {tenant}. Check that you have the correct principal ID. \
                 If you are creating this principal and then immediately assigning a role, this error might be \
                 related to a replication delay. In this case, set the role assignment principalType property to a \
                 value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
                principal_id.replace('-', "")
            ),
        ));
    }
    let roles = &mut call.world.roles;
    let same = |a: &RoleAssignment| {
        a.role.eq_ignore_ascii_case(&role)
            && a.principal_id.eq_ignore_ascii_case(&principal_id)
            && ids::key(&a.scope) == ids::key(&scope)
    };
    if let Some(existing) = roles.assignments.get_mut(&key) {
        if !same(existing) {
            let message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
            return Err(ArmError::new(400, "RoleAssignmentUpdateNotPermitted", message));
        }
        existing.condition = text("condition");
        existing.condition_version = text("conditionVersion");
        existing.description = text("description");
        existing.updated_on = now;
        return Ok(Reply::ok(existing.render()));
    }
    if roles.assignments.values().any(same) {
        return Err(ArmError::new(409, "RoleAssignmentExists", "The role assignment already exists."));
    }
    let delay = (call.world.settings.role_assignment_delay_seconds * 1000.0) as i64;
    let assignment = RoleAssignment {
        id: call.path.clone(),
        scope,
        role,
        principal_id,
        // All principals of the simulator are service principals, which is also what ARM finds out by itself.
        principal_type: stated_type.unwrap_or_else(|| "ServicePrincipal".into()),
        condition: text("condition"),
        condition_version: text("conditionVersion"),
        description: text("description"),
        created_on: now,
        updated_on: now,
        created_by: Some(call.caller.object_id.clone()),
        effective_at: now.saturating_add(delay),
    };
    let body = assignment.render();
    call.world.roles.assignments.insert(key, assignment);
    Ok(Reply::json(201, body))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let removed = call.world.roles.assignments.remove(&ids::key(&call.path));
    Ok(removed.map_or_else(|| Reply::empty(204), |assignment| Reply::ok(assignment.render())))
}

fn list_definitions(call: &mut Call<'_>) -> Answer {
    let subscription = ids::subscription(call.param(0)).map(str::to_owned);
    let wanted = call.request.query("$filter").unwrap_or_default();
    let name = quoted(wanted.trim(), "roleName eq '", "'");
    let definitions = call.world.roles.definitions.values();
    let items = definitions
        .filter(|role| name.is_none_or(|name| role.role_name.eq_ignore_ascii_case(name)))
        .map(|role| role.render(subscription.as_deref()))
        .collect();
    Ok(call.page(items, "$skipToken"))
}

fn get_definition(call: &mut Call<'_>) -> Answer {
    let subscription = ids::subscription(call.param(0)).map(str::to_owned);
    let role = call.world.roles.definitions.get(&ids::key(call.param(1)));
    role.map(|role| Reply::ok(role.render(subscription.as_deref()))).ok_or_else(|| {
        let message = format!("The specified role definition with ID '{}' does not exist.", call.param(1));
        ArmError::new(404, "RoleDefinitionDoesNotExist", message)
    })
}
