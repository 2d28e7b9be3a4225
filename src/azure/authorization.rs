//! Microsoft.Authorization: role assignments and definitions, read only.

use serde::Deserialize;

/// The version every request of this provider names.
pub const API_VERSION: &str = "2022-04-01";

/// The built-in role Azure AI Enterprise Network Connection Approver.
pub const APPROVER_ROLE: &str = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea";
/// Its name.
pub const APPROVER_ROLE_NAME: &str = "Azure AI Enterprise Network Connection Approver";

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
