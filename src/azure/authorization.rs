//! Microsoft.Authorization: role assignments and definitions.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;
use wildmatch::WildMatchPattern;

use crate::api::ids::ArmId;

/// The version every request of this provider names.
pub const API_VERSION: &str = "2022-04-01";

/// The built-in role Azure AI Enterprise Network Connection Approver.
pub const APPROVER_ROLE: &str = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea";
/// Its name.
pub const APPROVER_ROLE_NAME: &str = "Azure AI Enterprise Network Connection Approver";

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
    /// Who holds the role.
    pub principal: String,
    /// Words of whoever made it.
    pub description: String,
    /// When it was made, if that can be read.
    pub created_on: Option<Timestamp>,
}

impl RoleAssignment {
    /// Reads one entry of a list.
    pub fn read(value: &Value) -> Option<Self> {
        let properties = value.get("properties")?;
        let text = |key: &str| properties.get(key).and_then(Value::as_str);
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            scope: text("scope").unwrap_or_default().to_owned(),
            role: text("roleDefinitionId")?.rsplit('/').next().unwrap_or_default().to_ascii_lowercase(),
            principal: text("principalId").unwrap_or_default().to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
            created_on: text("createdOn").and_then(|at| at.parse().ok()),
        })
    }
}

/// Where to read the role definition that an assignment on `target` names. Of the id that the assignment states only the GUID at
/// its end is used, below the target's own subscription: it may have been made on any scope, and must not lead to another.
pub fn definition_path(target: &ArmId, stated: &str) -> Option<String> {
    let name = Uuid::try_parse(stated.rsplit('/').next()?).ok()?;
    let subscription = target.subscription();
    Some(format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{name}"))
}

/// The assignments on and above `target` that count for `principal`, groups included; `None` if it is no object id, which alone may
/// be part of the filter.
pub fn assignments_path(target: &ArmId, principal: &str) -> Option<String> {
    let principal = Uuid::try_parse(principal).ok()?;
    Some(format!("{target}/providers/Microsoft.Authorization/roleAssignments?$filter=assignedTo('{principal}')"))
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
    fn what_arm_states_of_roles_leads_nowhere_but_to_roles_of_the_targets_own_subscription() {
        let own = "00000000-0000-0000-0000-000000000001";
        let target = ArmId::of(own, "rg", "Microsoft.Storage/storageAccounts", "lake").unwrap();
        let home = format!("/subscriptions/{own}/providers/Microsoft.Authorization/roleDefinitions/{APPROVER_ROLE}");
        for stated in [
            format!(
                "/subscriptions/99999999-0000-0000-0000-00000000000f/providers/Microsoft.Authorization/roleDefinitions/{APPROVER_ROLE}"
            ),
            format!("/providers/Microsoft.Authorization/roleDefinitions/{}", APPROVER_ROLE.to_uppercase()),
            format!(
                "/subscriptions/{own}/resourceGroups/theirs/providers/Microsoft.Storage/storageAccounts/x/../{APPROVER_ROLE}"
            ),
            APPROVER_ROLE.to_owned(),
        ] {
            assert_eq!(definition_path(&target, &stated).as_deref(), Some(home.as_str()), "{stated}");
        }
        for stated in ["", "/", "lake", "/subscriptions/x/roleDefinitions/Owner", &format!("{APPROVER_ROLE}?x=1")] {
            assert_eq!(definition_path(&target, stated), None, "{stated}");
        }
        assert!(assignments_path(&target, APPROVER_ROLE).is_some_and(|path| path.starts_with(target.as_str())));
        assert_eq!(assignments_path(&target, "x') or assignedTo('y"), None);
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
