//! Whether everybody agrees that a workspace's identity may approve its own connections on a target.

use super::super::Memory;
use super::super::observe::Seen;
use super::approve::{Asking, Target};
use super::sharing::others;
use crate::api::common::{Door, acknowledged};
use crate::api::connection::Verb;
use crate::azure::private_link::Dialect;
use crate::plan::roles::{of_target, same_as_pinned};
use crate::plan::{Reason, Verdict};
use crate::runtime::role_ledger::OpenRecord;

/// Whether all agree that the workspace's identity may approve its own connections on the target, beside those who speak for or
/// against single rules: verb, list and policies.
pub(super) async fn consent(
    asking: Asking<'_>,
    seen: &Seen,
    memory: &mut Memory,
    open: &OpenRecord,
    target: &Target,
    assigned: bool,
) -> Result<(), Verdict> {
    let Asking { turn, workspace, role, may } = asking;
    if let Some(verdict) = &may.refused {
        return Err(verdict.clone());
    }
    if let Some(verdict) = target.refused.as_ref().filter(|_| target.rules.is_empty()) {
        return Err(verdict.clone());
    }
    let Some(identity) = &seen.roles.identity else {
        return Err(Verdict::new(
            Reason::WorkspaceNotReady,
            "Azure does not state the declared identity's object id yet",
        ));
    };
    // Without the right to write the rule, the role would be out for nothing.
    turn.fence.allows(Verb::Configure, turn.id)?;
    let id = &target.id;
    if Dialect::of(&id.type_()).is_none() {
        let message =
            format!("connections of {} are not known to the operator, so it cannot see what is approved", id.type_());
        return Err(Verdict::new(Reason::UnsupportedTarget, message));
    }
    let definition = seen.roles.definitions.get(role);
    let lacks = of_target(id)
        .into_iter()
        .flat_map(|need| need.actions)
        .find(|action| definition.is_none_or(|definition| !definition.allows(action)));
    if let Some(action) = lacks {
        let message = format!("the AzureConnection's approverRoleDefinitionId {role} does not allow {action}");
        return Err(Verdict::new(Reason::ApproverRoleMissing, message));
    }
    same_as_pinned(&open.record, identity, &workspace.spec.acknowledge)
        .map_err(|verdict| Verdict { reason: Reason::AcknowledgementRequiredElsewhere, ..verdict })?;
    let acknowledged = acknowledged(&workspace.spec.acknowledge, Door::SharedIdentity, &identity.principal);
    if !acknowledged && let Some(by) = others(turn, workspace, memory, identity, assigned).await? {
        return Err(Verdict::new(
            Reason::AcknowledgementRequiredElsewhere,
            format!(
                "the workspace's identity {} is also used by {by}, which could then approve anything that is pending on {id}. Give \
                 the workspace an identity of its own, or acknowledge {{door: SharedIdentity, value: {}}} on the AmlWorkspace",
                identity.principal, identity.principal
            ),
        ));
    }
    Ok(())
}
