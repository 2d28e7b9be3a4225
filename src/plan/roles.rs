//! Which roles an identity needs for its private endpoints, and how to say that one is missing.

use crate::api::common::MissingRole;
use crate::api::ids::ArmId;
use crate::azure::authorization::{APPROVER_ROLE, APPROVER_ROLE_NAME};

/// What reading the role assignments of an identity on a target came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleCheck {
    /// It has the right to approve.
    Held,
    /// It has not, as far as assignments on and above the target show.
    Missing,
    /// Nobody could tell: the operator may not read the assignments, or nobody looked yet.
    Unknown,
}

/// The action that an identity needs on a target to approve a connection there. Azure spells it the same for every type.
pub fn approval_action(target: &ArmId) -> String {
    format!("{}/privateEndpointConnectionsApproval/action", target.type_())
}

/// Says that `principal` lacks the approver role on `target`, and how to grant it.
pub fn missing_approver(principal: &str, target: &ArmId) -> MissingRole {
    MissingRole {
        scope: target.to_string(),
        role: APPROVER_ROLE_NAME.into(),
        principal_id: principal.into(),
        command: format!(
            "az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal \
             --role {APPROVER_ROLE} --scope {target}"
        ),
    }
}
