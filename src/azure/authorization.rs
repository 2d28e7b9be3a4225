//! Microsoft.Authorization: role assignments and definitions, read only.

use serde::Deserialize;
use uuid::Uuid;

use crate::api::ids::ArmId;

/// The version every request of this provider names.
pub const API_VERSION: &str = "2022-04-01";

/// The built-in role Azure AI Enterprise Network Connection Approver.
pub const APPROVER_ROLE: &str = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea";
/// Its name.
pub const APPROVER_ROLE_NAME: &str = "Azure AI Enterprise Network Connection Approver";

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
}

impl RoleDefinition {
    /// True if the role allows `action`.
    pub fn allows(&self, action: &str) -> bool {
        let matches = |patterns: &[String]| {
            let fits = |pattern: &String| wildmatch::WildMatch::new_case_insensitive(pattern).matches(action);
            patterns.iter().any(fits)
        };
        self.permissions.iter().any(|permission| matches(&permission.actions) && !matches(&permission.not_actions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let role = |actions: &[&str], not_actions: &[&str]| RoleDefinition {
            permissions: vec![Permission {
                actions: actions.iter().map(ToString::to_string).collect(),
                not_actions: not_actions.iter().map(ToString::to_string).collect(),
            }],
        };
        let approve = "Microsoft.Storage/storageAccounts/privateEndpointConnectionsApproval/action";
        assert!(role(&["*"], &[]).allows(approve));
        assert!(role(&["microsoft.storage/*/privateendpointconnectionsapproval/action"], &[]).allows(approve));
        assert!(!role(&["*/read"], &[]).allows(approve));
        assert!(!role(&["*"], &["Microsoft.Storage/*"]).allows(approve));
    }
}
