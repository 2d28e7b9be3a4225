//! Role assignments (OpenAPI Authorization 2022-04-01).

use std::sync::Arc;

use serde_json::Value;

use super::quoted;
use crate::call::{Answer, Call};
use crate::condition::{Condition, Facts, Name, Source, VERSION};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::rbac::{Limit, Made, RoleAssignment};

/// Names of the members that a PUT may have.
const NAMES: &[&str] = &[
    "condition",
    "conditionVersion",
    "delegatedManagedIdentityResourceId",
    "description",
    "principalId",
    "principalType",
    "roleDefinitionId",
];

/// The three filters of the API that name principals or scopes.
enum Filter {
    None,
    AtScope,
    /// On the scope, above and below it.
    Principal(String),
    /// On the scope and above it only.
    AssignedTo(String),
}

fn filter_of(call: &Call<'_>) -> Result<Filter, ArmError> {
    let Some(filter) = call.request.query("$filter").filter(|filter| !filter.is_empty()) else {
        return Ok(Filter::None);
    };
    let stated = filter.trim();
    if stated.eq_ignore_ascii_case("atScope()") {
        return Ok(Filter::AtScope);
    }
    if let Some(id) = quoted(stated, "principalId eq '", "'") {
        return Ok(Filter::Principal(id.to_owned()));
    }
    if let Some(id) = quoted(stated, "assignedTo('", "')") {
        return Ok(Filter::AssignedTo(id.to_owned()));
    }
    // Chosen: code and sentence for a filter that is not one of the documented ones.
    Err(ArmError::new(400, "UnsupportedQuery", format!("The filter '{filter}' is not supported.")))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let scope = call.param(0).to_owned();
    let filter = filter_of(call)?;
    let at_or_above = |assignment: &RoleAssignment| ids::contains(&assignment.scope, &scope);
    let below = |assignment: &RoleAssignment| ids::contains(&scope, &assignment.scope);
    let items: Vec<Value> = call
        .world
        .roles
        .assignments()
        .values()
        .filter(|assignment| call.world.assigned_in(&call.caller.tenant, assignment))
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

/// The assignment that a call is about, if there is one in the caller's tenant.
fn present<'a>(call: &'a Call<'_>) -> Option<&'a RoleAssignment> {
    let found = call.world.roles.assignments().get(&ids::key(&call.path));
    found.filter(|assignment| call.world.assigned_in(&call.caller.tenant, assignment))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    present(call).map(|a| Reply::ok(a.render())).ok_or_else(|| not_found(call.param(1)))
}

/// The types of principals, as ARM spells them.
const TYPES: [&str; 5] = ["User", "Group", "ServicePrincipal", "ForeignGroup", "Device"];

/// What a request wants to assign.
struct Wanted {
    /// The last segment of the role definition's id.
    role: String,
    principal_id: String,
    /// In ARM's spelling.
    principal_type: Option<String>,
}

impl Wanted {
    /// The one reading of a request's body, for the condition that is to limit it as for what is then done.
    fn of(body: &Value) -> Option<Self> {
        let text = |name: &str| body["properties"][name].as_str().map(str::to_owned);
        let role = text("roleDefinitionId")?;
        Some(Self {
            role: ids::name(&role).to_owned(),
            principal_id: text("principalId")?,
            // What is none of the types is refused as it is written, whatever a condition thought of it.
            principal_type: text("principalType").map(|stated| {
                let known = TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(&stated));
                known.map_or(stated, str::to_owned)
            }),
        })
    }
}

/// What a condition on the caller's own role can ask about a call: the assignment that is asked for, and the one that
/// is there.
pub(crate) struct CallFacts<'a>(pub(crate) &'a Call<'a>);

impl Facts for CallFacts<'_> {
    fn value(&self, source: Source, name: &Name) -> Option<String> {
        let call = self.0;
        let kind = ids::resource_type(&call.path)?;
        if !kind.eq_ignore_ascii_case("Microsoft.Authorization/roleAssignments") {
            return None;
        }
        match source {
            Source::Request => {
                let wanted = Wanted::of(&call.json(NAMES).ok()?)?;
                match name {
                    Name::RoleDefinitionId => Some(wanted.role),
                    Name::PrincipalId => Some(wanted.principal_id),
                    Name::PrincipalType => wanted.principal_type.or_else(|| {
                        let principal = call.world.directory.principal(&wanted.principal_id)?;
                        Some(principal.kind.name().to_owned())
                    }),
                    Name::Other(_) => None,
                }
            }
            Source::Resource => {
                // Chosen: of an assignment that is not there nothing is known, so that a delegate with a condition
                // who deletes one twice gets 403 the second time.
                let assignment = call.world.roles.assignments().get(&ids::key(&call.path))?;
                match name {
                    Name::RoleDefinitionId => Some(assignment.role.clone()),
                    Name::PrincipalId => Some(assignment.principal_id.clone()),
                    Name::PrincipalType => Some(assignment.principal_type.clone()),
                    Name::Other(_) => None,
                }
            }
            Source::Elsewhere => None,
        }
    }
}

/// The condition of a request's body. Azure's sentence for whatever is wrong with it, the version included, is a single
/// one (Microsoft's page on troubleshooting conditions); what follows it is the simulator's.
fn limit(body: &Value) -> Result<Option<Limit>, ArmError> {
    let Some(text) = body["properties"]["condition"].as_str().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // Chosen: `InvalidRoleAssignmentCondition` as the code of a refused condition.
    let refuse = |why: &str| {
        let message = format!("The given role assignment condition is invalid. {why}");
        ArmError::new(400, "InvalidRoleAssignmentCondition", message)
    };
    // Chosen: a condition without a version is refused, though one page of the documentation speaks of a default.
    if body["properties"]["conditionVersion"].as_str() != Some(VERSION) {
        return Err(refuse("The conditionVersion must be '2.0'."));
    }
    let condition = Condition::parse(text).map_err(|error| refuse(&format!("{error}.")))?;
    Ok(Some(Limit { text: text.to_owned(), condition: Arc::new(condition) }))
}

/// The principal's type: as stated, or as the directory knows it. Somebody of another directory does not exist, whatever
/// is stated.
fn principal_type(call: &Call<'_>, wanted: &Wanted) -> Result<String, ArmError> {
    let tenant = call.world.tenant_of(call.param(0)).unwrap_or(&call.caller.tenant);
    let found = call.world.directory.principal(&wanted.principal_id);
    if found.is_some_and(|principal| !principal.tenant.eq_ignore_ascii_case(tenant)) {
        return Err(principal_not_found(&wanted.principal_id, tenant));
    }
    let known = found.filter(|principal| principal.known_at <= call.world.now);
    let Some(stated) = &wanted.principal_type else {
        let kind = known.map(|principal| principal.kind.name().to_owned());
        return kind.ok_or_else(|| principal_not_found(&wanted.principal_id, tenant));
    };
    let refuse = |code: &str, message: String| Err(ArmError::new(400, code, message));
    let Some(stated) = TYPES.into_iter().find(|name| name == stated) else {
        // Chosen: the code of a principal type that there is not; the sentence is Azure's.
        let text = format!(
            "The PrincipalType property '{stated}' is not valid. It must be 'User', 'Group' or 'ServicePrincipal'."
        );
        return refuse("InvalidPrincipalType", text);
    };
    match known.map(|principal| principal.kind.name()) {
        // Chosen: code and sentence for a principal of another type, with the misspelling that users quote as Azure's own.
        Some(real) if real != stated => refuse(
            "UnmatchedPrincipalType",
            format!(
                "The PrincipalId '{}' has type '{real}' , which is different from specified PrinciaplType '{stated}'.",
                wanted.principal_id.replace('-', "")
            ),
        ),
        _ => Ok(stated.to_owned()),
    }
}

/// Recording of role assignments.
fn principal_not_found(principal: &str, tenant: &str) -> ArmError {
    ArmError::new(
        400,
        "PrincipalNotFound",
        format!(
            "Principal {} does not exist in the directory {tenant}. Check that you have the correct principal ID. \
             If you are creating this principal and then immediately assigning a role, this error might be \
             related to a replication delay. In this case, set the role assignment principalType property to a \
             value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
            principal.replace('-', "")
        ),
    )
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let body = call.json(NAMES)?;
    let name = call.param(1).to_owned();
    let (key, scope, now) = (ids::key(&call.path), call.param(0).to_owned(), call.world.now);
    if uuid::Uuid::parse_str(&name).is_err() {
        let message = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        // Chosen: code and sentence for a name that is no guid, as users of the API quote them.
        return Err(ArmError::new(400, "InvalidRoleAssignmentId", message));
    }
    let wanted = Wanted::of(&body)
        .ok_or_else(|| ArmError::new(400, "InvalidRequestContent", "roleDefinitionId and principalId are required."))?;
    let definition = call.world.roles.definitions.get(&ids::key(&wanted.role));
    let definition = definition.filter(|role| call.world.defined_in(&call.caller.tenant, role)).ok_or_else(|| {
        // Chosen: status, code and sentence for a role that there is not: those with which the role itself is not found.
        let message = format!("The specified role definition with ID '{}' does not exist.", wanted.role);
        ArmError::new(404, "RoleDefinitionDoesNotExist", message)
    })?;
    if !definition.assignable_on(&scope) {
        let message = format!(
            "The scope '{scope}' is not among the assignable scopes of the role definition '{}'.",
            definition.id
        );
        // Chosen: code and sentence for a scope on which the role cannot be assigned.
        return Err(ArmError::new(400, "RoleAssignmentScopeNotAssignableToRoleDefinition", message));
    }
    let role = definition.id.clone();
    let principal_type = principal_type(call, &wanted)?;
    let limit = limit(&body)?;
    let principal_id = wanted.principal_id;
    let description = body["properties"]["description"].as_str().map(str::to_owned);
    let caller = call.caller.object_id.clone();
    // On the root there can be one of another tenant's under the same guid.
    let foreign = present(call).is_none();
    let roles = &mut call.world.roles;
    let same = |a: &RoleAssignment| {
        a.role.eq_ignore_ascii_case(&role)
            && a.principal_id.eq_ignore_ascii_case(&principal_id)
            && ids::key(&a.scope) == ids::key(&scope)
    };
    if let Some(existing) = roles.assignments().get(&key) {
        if foreign || !same(existing) {
            let message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
            // Code and sentence: issue 10 of jetbrains/teamcity-azure-template, which quotes the service.
            return Err(ArmError::new(400, "RoleAssignmentUpdateNotPermitted", message));
        }
        let made = Made { updated_on: now, updated_by: Some(caller), ..existing.made.clone() };
        let changed = RoleAssignment { limit, description, made, ..existing.clone() };
        let reply = Reply::ok(changed.render());
        roles.assign(changed);
        return Ok(reply);
    }
    if roles.assignments().values().any(same) {
        return Err(ArmError::new(409, "RoleAssignmentExists", "The role assignment already exists."));
    }
    let delay = (call.world.settings.role_assignment_delay_seconds * 1000.0) as i64;
    let caller = Some(caller);
    let assignment = RoleAssignment {
        id: call.path.clone(),
        scope,
        role,
        principal_id,
        principal_type,
        limit,
        description,
        made: Made { created_on: now, updated_on: now, created_by: caller.clone(), updated_by: caller },
        effective_at: now.saturating_add(delay),
    };
    let mut body = assignment.render();
    // Only the answer to the creation does not know who created it (recording of role assignments).
    body["properties"]["createdBy"] = Value::Null;
    roles.assign(assignment);
    Ok(Reply::json(201, body))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    if present(call).is_none() {
        return Ok(Reply::empty(204));
    }
    let removed = call.world.roles.unassign(&ids::key(&call.path));
    Ok(removed.map_or_else(|| Reply::empty(204), |assignment| Reply::ok(assignment.render())))
}
