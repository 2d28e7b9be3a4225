//! Whether everybody agrees that a workspace's identity may approve its own connections on a target.

use std::time::Duration;

use kube::ResourceExt;

use super::super::observe::Seen;
use super::super::{Memory, Turn};
use super::approve::{Asking, Target};
use crate::api::AmlWorkspace;
use crate::api::common::{Door, acknowledged};
use crate::api::connection::Verb;
use crate::azure::machine_learning::API_VERSION;
use crate::azure::private_link::Dialect;
use crate::controllers::approval;
use crate::plan::roles::{Identity, IdentityKind, of_target, permits, same_as_pinned};
use crate::plan::{Reason, Verdict};
use crate::runtime::indexes::key_of;
use crate::runtime::role_ledger::OpenRecord;

/// Whether all agree that the workspace's identity may approve its own connections on the target, beside verb and list.
pub(super) async fn consent(
    asking: Asking<'_>,
    seen: &Seen,
    memory: &mut Memory,
    open: &OpenRecord,
    target: &Target,
    assigned: bool,
) -> Result<(), Verdict> {
    let Asking { turn, workspace, role, .. } = asking;
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
    if !approval::permits_workspace(turn.context, id, &key_of(workspace), permits) {
        return Err(Verdict::new(
            Reason::PolicyMissing,
            format!(
                "no PrivateEndpointApproval in force on {id} allows AmlWorkspace {}/{} to approve its own connections; its platform \
                 team can add allow: [{{workspaceRef: {{name: {}, namespace: {}}}}}]",
                workspace.namespace().unwrap_or_default(),
                workspace.name_any(),
                workspace.name_any(),
                workspace.namespace().unwrap_or_default()
            ),
        ));
    }
    same_as_pinned(&open.record, identity, &workspace.spec.acknowledge)
        .map_err(|verdict| Verdict { reason: Reason::AcknowledgementRequiredElsewhere, ..verdict })?;
    let acknowledged = acknowledged(&workspace.spec.acknowledge, Door::SharedIdentity, &identity.principal);
    if !acknowledged && let Some(by) = shared(turn, workspace, memory, identity, assigned).await {
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

/// Who else uses the identity, as far as that can be known. A system-assigned one belongs to the workspace alone.
async fn shared(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    identity: &Identity,
    assigned: bool,
) -> Option<String> {
    let IdentityKind::UserAssigned(id) = &identity.kind else { return None };
    let context = turn.context;
    for other in context.indexes.workspaces.state() {
        let Ok(other) = &other.0 else { continue };
        if key_of(other) != key_of(workspace)
            && other.spec.identity.user_assigned_identities.iter().any(|named| named.eq_ignore_ascii_case(id))
        {
            return Some(format!("AmlWorkspace {}/{}", other.namespace().unwrap_or_default(), other.name_any()));
        }
    }
    let key = identity.kind.key();
    let known = memory.role_memory.shared.get(&key).filter(|(shared, at)| {
        let age: Duration = context.now().duration_since(*at).try_into().unwrap_or_default();
        age < if *shared { context.pace.role_recheck } else { context.pace.role_memory }
    });
    let shared = match known {
        Some((shared, _)) => *shared,
        // What was looked at before the role was assigned is not looked at again while it is out.
        None if assigned => false,
        None => {
            let mut shared = false;
            for kind in ["computes", "onlineEndpoints"] {
                let list = turn.connected.client.list(&format!("{}/{kind}", turn.id), API_VERSION, turn.priority).await;
                // What cannot be looked at may use it.
                shared |= list.map_or(true, |list| {
                    list.iter().any(|one| {
                        let users = one["identity"]["userAssignedIdentities"].as_object();
                        users.is_some_and(|users| users.keys().any(|user| user.eq_ignore_ascii_case(id)))
                    })
                });
            }
            memory.role_memory.shared.insert(key, (shared, context.now()));
            shared
        }
    };
    shared.then(|| "a compute or an online endpoint of the workspace, or these cannot be listed".to_owned())
}
