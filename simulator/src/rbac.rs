//! Role definitions, role assignments, and whether somebody may do something.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::built_in_roles::built_in;
use crate::clock::rfc3339;
use crate::condition::{Condition, Facts, NoFacts};
use crate::ids;

/// Patterns of actions, as somebody wrote them and as they are compared.
#[derive(Clone, Debug, Default)]
struct Patterns {
    written: Vec<String>,
    lower: Vec<String>,
}

impl Patterns {
    fn new(written: Vec<String>) -> Self {
        let lower = written.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        Self { written, lower }
    }

    fn matches(&self, action: &str) -> bool {
        self.lower.iter().any(|pattern| ids::wildcard_lower(pattern, action))
    }
}

/// What a role allows. Actions on data are stored and shown, but nothing here asks for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permission {
    actions: Patterns,
    not_actions: Patterns,
    data_actions: Vec<String>,
    not_data_actions: Vec<String>,
}

impl Permission {
    pub(crate) fn new(
        actions: Vec<String>,
        not_actions: Vec<String>,
        data_actions: Vec<String>,
        not_data_actions: Vec<String>,
    ) -> Self {
        let (actions, not_actions) = (Patterns::new(actions), Patterns::new(not_actions));
        Self { actions, not_actions, data_actions, not_data_actions }
    }

    pub(crate) fn render(&self) -> Value {
        json!({
            "actions": self.actions.written, "notActions": self.not_actions.written,
            "dataActions": self.data_actions, "notDataActions": self.not_data_actions,
        })
    }
}

/// Who made or changed something, and when in simulated milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) created_on: i64,
    pub(crate) updated_on: i64,
    pub(crate) created_by: Option<String>,
    pub(crate) updated_by: Option<String>,
}

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct RoleDefinition {
    /// Its guid.
    pub(crate) id: String,
    pub(crate) role_name: String,
    pub(crate) description: String,
    pub(crate) built_in: bool,
    pub(crate) permissions: Vec<Permission>,
    /// Where it can be assigned.
    pub(crate) assignable_scopes: Vec<String>,
    /// Nothing for what Azure brought along.
    pub(crate) made: Option<Made>,
}

impl RoleDefinition {
    /// Whether it allows an action, given lower-cased.
    fn allows(&self, action: &str) -> bool {
        self.permissions
            .iter()
            .any(|permission| permission.actions.matches(action) && !permission.not_actions.matches(action))
    }

    /// Whether it can be assigned on a scope.
    pub(crate) fn assignable_on(&self, scope: &str) -> bool {
        self.assignable_scopes.iter().any(|assignable| ids::contains(assignable, scope))
    }

    pub(crate) fn render(&self, subscription: Option<&str>) -> Value {
        let prefix = subscription.map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        let made = self.made.as_ref();
        let mut definition = json!({
            "id": format!("{prefix}/providers/Microsoft.Authorization/roleDefinitions/{}", self.id),
            "name": self.id,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": self.role_name,
                "type": if self.built_in { "BuiltInRole" } else { "CustomRole" },
                "description": self.description,
                "assignableScopes": self.assignable_scopes,
                "permissions": self.permissions.iter().map(Permission::render).collect::<Vec<_>>(),
                "createdOn": made.map(|made| rfc3339(made.created_on)),
                "updatedOn": made.map(|made| rfc3339(made.updated_on)),
                "createdBy": made.and_then(|made| made.created_by.clone()),
                "updatedBy": made.and_then(|made| made.updated_by.clone()),
            }
        });
        // Nobody made what is built in, and the specification has no null there (OpenAPI Authorization 2022-04-01).
        if let Some(properties) = definition["properties"].as_object_mut() {
            properties.retain(|name, value| !value.is_null() || name == "description");
        }
        definition
    }
}

/// A condition, as it was written and as it was understood.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) text: String,
    pub(crate) condition: Arc<Condition>,
}

/// A role given to a principal on a scope.
#[derive(Clone, Debug)]
pub(crate) struct RoleAssignment {
    /// The whole id, in the spelling of who made it.
    pub(crate) id: String,
    pub(crate) scope: String,
    /// The guid of the role definition.
    pub(crate) role: String,
    pub(crate) principal_id: String,
    pub(crate) principal_type: String,
    pub(crate) limit: Option<Limit>,
    pub(crate) description: Option<String>,
    pub(crate) made: Made,
    /// Simulated time from which it has an effect.
    pub(crate) effective_at: i64,
}

impl RoleAssignment {
    pub(crate) fn render(&self) -> Value {
        let subscription = ids::subscription(&self.scope).map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        json!({
            "properties": {
                "roleDefinitionId":
                    format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", self.role),
                "principalId": self.principal_id,
                "principalType": self.principal_type,
                "scope": self.scope,
                "condition": self.limit.as_ref().map(|limit| &limit.text),
                "conditionVersion": self.limit.as_ref().map(|_| crate::condition::VERSION),
                "createdOn": rfc3339(self.made.created_on),
                "updatedOn": rfc3339(self.made.updated_on),
                "createdBy": self.made.created_by,
                "updatedBy": self.made.updated_by,
                "delegatedManagedIdentityResourceId": null,
                "description": self.description,
            },
            "id": self.id,
            "type": "Microsoft.Authorization/roleAssignments",
            "name": ids::name(&self.id),
        })
    }
}

/// Definitions and assignments.
#[derive(Debug)]
pub(crate) struct Roles {
    /// By guid, lower-cased.
    pub(crate) definitions: BTreeMap<String, RoleDefinition>,
    /// By whole id, lower-cased.
    assignments: BTreeMap<String, RoleAssignment>,
    /// The keys of the assignments by principal and scope: a question looks at a handful of scopes, however many
    /// assignments there are.
    held: HashMap<String, HashMap<String, Vec<String>>>,
}

impl Default for Roles {
    fn default() -> Self {
        Self { definitions: built_in(), assignments: BTreeMap::new(), held: HashMap::new() }
    }
}

impl Roles {
    /// Every assignment, by its key.
    pub(crate) fn assignments(&self) -> &BTreeMap<String, RoleAssignment> {
        &self.assignments
    }

    /// Adds an assignment, or puts it in place of the one with the same id.
    pub(crate) fn assign(&mut self, assignment: RoleAssignment) {
        let key = ids::key(&assignment.id);
        self.unassign(&key);
        let scopes = self.held.entry(ids::key(&assignment.principal_id)).or_default();
        scopes.entry(ids::key(&assignment.scope)).or_default().push(key.clone());
        self.assignments.insert(key, assignment);
    }

    /// Takes an assignment away.
    pub(crate) fn unassign(&mut self, key: &str) -> Option<RoleAssignment> {
        let assignment = self.assignments.remove(key)?;
        let (principal, scope) = (ids::key(&assignment.principal_id), ids::key(&assignment.scope));
        if let Some(scopes) = self.held.get_mut(&principal) {
            if let Some(keys) = scopes.get_mut(&scope) {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    scopes.remove(&scope);
                }
            }
            if scopes.is_empty() {
                self.held.remove(&principal);
            }
        }
        Some(assignment)
    }

    /// The assignments of a principal that reach a resource at simulated time `now`, with their roles.
    pub(crate) fn reaching(
        &self,
        principal: &str,
        resource: &str,
        now: i64,
    ) -> impl Iterator<Item = (&RoleAssignment, &RoleDefinition)> {
        let resource = ids::key(resource);
        let mut end = Some(resource.len());
        let scopes = self.held.get(&ids::key(principal));
        std::iter::from_fn(move || {
            // From the resource up to the root, which is the empty scope.
            let scope = &resource[..end.take()?];
            end = scope.rfind('/');
            Some(scopes.and_then(|scopes| scopes.get(scope)))
        })
        .flatten()
        .flatten()
        .filter_map(move |key| self.assignments.get(key))
        .filter(move |assignment| assignment.effective_at <= now)
        .filter_map(|assignment| Some((assignment, self.definitions.get(&ids::key(&assignment.role))?)))
    }

    /// Whether a principal may do `action` on `resource` at simulated time `now`.
    pub(crate) fn allowed(&self, principal: &str, action: &str, resource: &str, now: i64) -> bool {
        self.allowed_with(principal, action, resource, now, &NoFacts)
    }

    /// [`Self::allowed`] for one call, about which conditions can ask.
    pub(crate) fn allowed_with(
        &self,
        principal: &str,
        action: &str,
        resource: &str,
        now: i64,
        facts: &dyn Facts,
    ) -> bool {
        let action = action.to_ascii_lowercase();
        self.reaching(principal, resource, now).any(|(assignment, role)| {
            role.allows(&action) && assignment.limit.as_ref().is_none_or(|limit| limit.condition.allows(&action, facts))
        })
    }

    /// A definition by its guid, whole id or name.
    pub(crate) fn definition(&self, reference: &str) -> Option<&RoleDefinition> {
        let by_guid = self.definitions.get(&ids::key(ids::name(reference)));
        by_guid.or_else(|| self.definitions.values().find(|role| role.role_name.eq_ignore_ascii_case(reference)))
    }
}
