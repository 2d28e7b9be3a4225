//! Microsoft.Authorization: role assignments and definitions.

use serde::Deserialize;
use serde_json::Value;
use wildmatch::WildMatchPattern;

/// The version every request of this provider names.
pub const API_VERSION: &str = "2022-04-01";

/// What lets somebody give themselves any role: whoever holds one of these is as good as Owner.
const PRIVILEGED: [&str; 4] = [
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/roleDefinitions/write",
    "Microsoft.Authorization/roleManagementPolicies/write",
    "Microsoft.Authorization/elevateAccess/action",
];

/// A role assignment as ARM shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its name, a GUID.
    pub name: String,
    /// The scope it is on.
    pub scope: String,
    /// GUID of the role, lower case.
    pub role: String,
    /// ARM id of the role.
    pub role_definition_id: String,
    /// Who holds the role.
    pub principal: String,
    /// Words of whoever made it.
    pub description: String,
}

impl RoleAssignment {
    /// Reads one entry of a list.
    pub fn read(value: &Value) -> Option<Self> {
        let properties = value.get("properties")?;
        let text = |key: &str| properties.get(key).and_then(Value::as_str);
        let role_definition_id = text("roleDefinitionId")?.to_owned();
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            scope: text("scope").unwrap_or_default().to_owned(),
            role: role_definition_id.rsplit('/').next().unwrap_or_default().to_ascii_lowercase(),
            role_definition_id,
            principal: text("principalId").unwrap_or_default().to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
        })
    }
}

/// A role definition as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RoleDefinition {
    /// What it allows.
    pub permissions: Vec<Permission>,
}

/// One set of actions of a role definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Permission {
    /// Allowed actions, with `*` for any characters.
    pub actions: Vec<String>,
    /// Actions taken out again.
    pub not_actions: Vec<String>,
    /// Allowed actions on data.
    pub data_actions: Vec<String>,
    /// Actions on data taken out again.
    pub not_data_actions: Vec<String>,
}

/// True if whatever `inner` stands for, `outer` stands for too: a star of `outer` takes a star of `inner` as any other letter.
fn covers(outer: &str, inner: &str) -> bool {
    WildMatchPattern::<'*', '\0'>::new_case_insensitive(outer).matches(inner)
}

/// True if `one` and `other` may stand for the same action. Only a difference before the first star tells for sure that not.
fn may_meet(one: &str, other: &str) -> bool {
    let fixed = |pattern: &str| pattern.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let (one, other) = (fixed(one), fixed(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// True if the actions `wanted` without `excepted` are all among `actions` without `not_actions`.
fn holds_all(actions: &[String], not_actions: &[String], wanted: &str, excepted: &[String]) -> bool {
    let taken_out = |not: &String| may_meet(not, wanted) && !excepted.iter().any(|excepted| covers(excepted, not));
    actions.iter().any(|action| covers(action, wanted)) && !not_actions.iter().any(taken_out)
}

impl RoleDefinition {
    /// True if the role allows `action`.
    pub fn allows(&self, action: &str) -> bool {
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| covers(pattern, action));
        self.permissions.iter().any(|permission| matches(&permission.actions) && !matches(&permission.not_actions))
    }

    /// True if the role allows all that `other` allows, on the resource and on its data. Errs on the side of no.
    pub fn contains(&self, other: &Self) -> bool {
        let within = |wanted: &Permission| {
            let control = wanted.actions.iter().all(|action| {
                let mine = |one: &Permission| holds_all(&one.actions, &one.not_actions, action, &wanted.not_actions);
                self.permissions.iter().any(mine)
            });
            let data = wanted.data_actions.iter().all(|action| {
                let mine = |one: &Permission| {
                    holds_all(&one.data_actions, &one.not_data_actions, action, &wanted.not_data_actions)
                };
                self.permissions.iter().any(mine)
            });
            control && data
        };
        let empty = other.permissions.iter().all(|wanted| wanted.actions.is_empty() && wanted.data_actions.is_empty());
        !empty && other.permissions.iter().all(within)
    }

    /// True if whoever holds the role can give themselves any other.
    pub fn is_privileged(&self) -> bool {
        PRIVILEGED.iter().any(|action| self.allows(action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(permissions: &Value) -> RoleDefinition {
        serde_json::from_value(json!({ "permissions": [permissions] })).unwrap()
    }

    #[test]
    fn actions_and_not_actions_are_weighed_within_one_permission() {
        let role =
            |actions: &[&str], not_actions: &[&str]| role(&json!({"actions": actions, "notActions": not_actions}));
        let approve = "Microsoft.Storage/storageAccounts/privateEndpointConnectionsApproval/action";
        assert!(role(&["*"], &[]).allows(approve));
        assert!(role(&["microsoft.storage/*/privateendpointconnectionsapproval/action"], &[]).allows(approve));
        assert!(!role(&["*/read"], &[]).allows(approve));
        assert!(!role(&["*"], &["Microsoft.Storage/*"]).allows(approve));
    }

    #[test]
    fn a_role_contains_another_only_if_nothing_is_left_out() {
        let owner = role(&json!({"actions": ["*"]}));
        let contributor = role(&json!({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}));
        let storage = role(&json!({"actions": ["Microsoft.Storage/*"]}));
        let reader = role(&json!({"actions": ["*/read"]}));
        let blobs =
            role(&json!({"dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]}));
        let all_blobs = role(&json!({"actions": ["Microsoft.Storage/*/read"], "dataActions": ["Microsoft.Storage/*"]}));
        let storage_reader = role(&json!({"actions": ["Microsoft.Storage/*/read"]}));
        for (outer, inner, want) in [
            (&owner, &contributor, true),
            (&contributor, &owner, false),
            (&contributor, &contributor, true),
            (&contributor, &storage, true),
            (&storage, &contributor, false),
            (&reader, &storage_reader, true),
            (&storage_reader, &reader, false),
            (&owner, &blobs, false),
            (&all_blobs, &blobs, true),
            (&blobs, &all_blobs, false),
            (&owner, &role(&json!({})), false),
        ] {
            assert_eq!(outer.contains(inner), want, "{outer:?} contains {inner:?}");
        }
    }

    #[test]
    fn what_can_assign_roles_is_privileged_under_any_name() {
        for (permissions, want) in [
            (json!({"actions": ["*"]}), true),
            (json!({"actions": ["Microsoft.Authorization/*"]}), true),
            (json!({"actions": ["*/write"]}), true),
            (
                json!({"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"]}),
                false,
            ),
            (json!({"actions": ["Microsoft.Storage/*"]}), false),
        ] {
            assert_eq!(role(&permissions).is_privileged(), want, "{permissions}");
        }
    }
}
