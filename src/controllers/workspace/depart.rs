//! The object is being deleted.

use kube::ResourceExt;

use super::declare::Rules;
use super::observe::Seen;
use super::operation::{Progress, follow};
use super::report::Report;
use super::{Memory, Turn, apply, declare, observe, roles};
use crate::api::AmlWorkspace;
use crate::api::common::{DeletionPolicy, ManagementPolicy};
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::controllers::removals;
use crate::plan::fence::Fence;
use crate::plan::intent::{Settlement, Traces, settle};
use crate::plan::ownership::Owner;
use crate::plan::workspace::{Farewell, WorkspacePlan, Write, farewell};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::status::has_finalizer;

/// Settles what the deletion of the object means for Azure, then lets it go.
pub(super) async fn depart(
    context: &Context,
    id: &ArmId,
    owner: Owner,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    priority: Priority,
) -> Result<Outcome, Error> {
    if !has_finalizer(workspace) {
        return Ok(Outcome::Done);
    }
    if let Some(verdict) = roles::leave(context, id, workspace, false).await? {
        return super::simple(context, workspace, verdict).await;
    }
    let keeps = workspace.spec.deletion_policy != Some(DeletionPolicy::Delete)
        || workspace.spec.management_policy == Some(ManagementPolicy::Observe);
    if keeps {
        context.release(workspace, "Azure keeps the workspace (deletionPolicy: Retain)").await?;
        return Ok(Outcome::Done);
    }
    if !removals::removes_workspace(&context.indexes, workspace)
        || removals::definition_going::<AmlWorkspace>(context).await?
    {
        context.release(workspace, "its namespace or its kind is being deleted, so Azure keeps the workspace").await?;
        return Ok(Outcome::Done);
    }
    let connected = match Connected::find(&context.indexes, &context.clients, &workspace.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(mut verdict) => {
            verdict.message.push_str(". The workspace cannot be deleted in Azure without it");
            let verdict = letting_go(workspace, verdict);
            declare::post_blocked(context, workspace, &verdict);
            return super::simple(context, workspace, verdict).await;
        }
    };
    let namespace = workspace.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    let turn = Turn { context, id, owner, connected: &connected, fence, priority };
    if let Some(verdict) = held(&turn) {
        let verdict = letting_go(workspace, verdict);
        return super::simple(context, workspace, verdict).await;
    }
    let unknown = match follow(&turn, workspace, memory).await {
        Progress::None => None,
        Progress::Unknown(intent) => Some(intent),
        Progress::Running(running) => {
            Report::unseen(workspace, memory, running.verdict).publish(&turn, workspace, memory).await?;
            return Ok(Outcome::Again(running.wait));
        }
        Progress::Unread(verdict) | Progress::Failed(verdict) => {
            return super::unseen(&turn, workspace, memory, verdict).await;
        }
    };
    let seen = match observe::observe(&turn, workspace, memory).await {
        Ok(seen) => seen,
        Err(error) if error.group_gone => {
            context.release(workspace, "the resource group is gone, and the workspace with it").await?;
            return Ok(Outcome::Done);
        }
        Err(error) => return super::unseen(&turn, workspace, memory, error.verdict).await,
    };
    if let (Some(intent), None) = (&unknown, &seen.workspace) {
        // What is not there may still come: the request that creates it may be on its way.
        let traces = Traces { visible: false, busy: false, last_busy: memory.last_busy };
        if settle(intent, traces, context.now(), context.pace.rest) == Settlement::Wait {
            let message = "a request went out and its answer never came; waiting until Azure shows what became of it";
            return super::unseen(&turn, workspace, memory, Verdict::new(Reason::OutcomeUnknown, message)).await;
        }
    }
    let farewell = farewell(&turn.owner, workspace.spec.deletion_policy, seen.workspace.as_ref(), &seen.rules);
    match farewell {
        Farewell::Release(note) => {
            if seen.workspace.is_none()
                && let Some(verdict) = roles::leave(context, id, workspace, true).await?
            {
                return super::simple(context, workspace, verdict).await;
            }
            context.release(workspace, &note).await?;
            Ok(Outcome::Done)
        }
        Farewell::Deleting => super::unseen(&turn, workspace, memory, Write::Delete.verdict(&[])).await,
        Farewell::Disconnect(name) => remove(&turn, workspace, memory, seen, Write::Disconnect(name)).await,
        Farewell::Delete => remove(&turn, workspace, memory, seen, Write::Delete).await,
    }
}

/// Removes something for good. A removal whose answer never came may be repeated: the second one finds nothing, or the first at work;
/// what Azure refuses is asked for again later, for as long as it takes.
async fn remove(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    seen: Seen,
    write: Write,
) -> Result<Outcome, Error> {
    memory.operations.clear();
    let request = write.request(turn.id, None);
    if let Some(wait) = apply::too_soon(turn, workspace, memory, &request) {
        return super::unseen(turn, workspace, memory, wait.into_verdict()).await;
    }
    let decided = WorkspacePlan::writing(write.clone(), Vec::new(), Vec::new());
    let step = apply::Step { write, request, seen, decided, rules: Rules::default() };
    apply::apply(turn, workspace, memory, step).await
}

/// The same, with how to let go of an object whose deletion waits for somebody or something.
pub(super) fn letting_go(workspace: &AmlWorkspace, mut verdict: Verdict) -> Verdict {
    let moves = matches!(verdict.reason, Reason::Deleting | Reason::Throttled | Reason::Creating | Reason::Updating);
    if workspace.metadata.deletion_timestamp.is_some() && !moves {
        verdict.message.push_str(&format!(
            ". To let go of this object and leave Azure as it is, annotate it with aml-operator.io/abandon: {}",
            workspace.uid().unwrap_or_default()
        ));
    }
    verdict
}

/// Why the deletion waits, if it does.
fn held(turn: &Turn<'_>) -> Option<Verdict> {
    let many = removals::many_at_once(turn.context, &turn.connected.name, &turn.connected.spec);
    // A connection that is being deleted still serves deletions; one that is suspended or read-only does not.
    many.or_else(|| (!turn.connected.deleting).then(|| turn.connected.holds_writes()).flatten())
}
