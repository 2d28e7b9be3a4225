//! The object is being deleted: what that means for Azure, then it is let go.

use kube::ResourceExt;

use super::carry_out::{self, Turn};
use super::{Attached, Exit, Memory, owner, report, workspace_of};
use crate::api::AmlWorkspace;
use crate::api::common::{DeletionPolicy, ManagementPolicy};
use crate::controllers::removals;
use crate::plan::attached::{Decided, Farewell};
use crate::plan::fence::Fence;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::status::{fresh, has_finalizer};

/// Settles what the deletion of `object` means for Azure, then lets it go.
pub(super) async fn depart<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &mut Memory<K>,
) -> Result<Outcome, Error> {
    if !has_finalizer(object) {
        return Ok(Outcome::Done);
    }
    let policies = object.policies();
    let keeps = policies.deletion == DeletionPolicy::Retain || policies.management == ManagementPolicy::Observe;
    if keeps {
        context.release(object, &format!("Azure keeps {} (deletionPolicy: Retain)", K::NOUN)).await?;
        return Ok(Outcome::Done);
    }
    if removals::definition_going::<K>(context).await? {
        context.release(object, &format!("its kind is being deleted, so Azure keeps {}", K::NOUN)).await?;
        return Ok(Outcome::Done);
    }
    if K::PART_OF_WORKSPACE
        && let Some(outcome) = with_workspace(context, object).await?
    {
        return Ok(outcome);
    }
    let workspace = workspace_of(context, object).ok();
    let said = object.status().and_then(|status| K::said(status).1.map(ToOwned::to_owned));
    let name = workspace.as_ref().map(|(workspace, _)| workspace.spec.connection_ref.name.clone()).or(said);
    let Some(name) = name else {
        context.release(object, "nothing was ever made for it in Azure").await?;
        return Ok(Outcome::Done);
    };
    let connected = match Connected::find(&context.indexes, &context.clients, &name) {
        Ok(connected) => connected,
        Err(mut verdict) => {
            verdict.message.push_str(&format!(". {} cannot be removed from Azure without it", capital(K::NOUN)));
            return report::unseen(context, object, memory, verdict).await;
        }
    };
    let namespace = object.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    // A connection that is being deleted still serves deletions; one that is suspended or read-only does not.
    let many = removals::many_at_once(context, &connected.name, &connected.spec);
    let held = many.or_else(|| (!connected.deleting).then(|| connected.holds_writes()).flatten());
    if let Some(verdict) = held {
        return report::unseen(context, object, memory, verdict).await;
    }
    let said = object.status().map(|status| K::said(status).0.to_vec()).unwrap_or_default();
    memory.writes.take_over(&said, |id| object.owns(workspace.as_ref().map(|(_, id)| id), id));
    let followed = carry_out::follow(context, &connected, object, memory).await;
    if let (Some(wait), false) = (followed.running, followed.ended) {
        return report::while_running(context, object, memory, followed.unread, wait).await;
    }
    let owner = owner(context, object);
    let exit = Exit {
        context,
        connected: &connected,
        owner: &owner,
        fence: &fence,
        workspace: workspace.as_ref().map(|(workspace, id)| (workspace, id)),
        now: context.now(),
    };
    let steps = match object.farewell(&exit, &mut memory.extra).await {
        Err(verdict) | Ok(Farewell::Wait(verdict)) => return report::unseen(context, object, memory, verdict).await,
        Ok(Farewell::Release(note)) => {
            if let Some(wait) = followed.running {
                return report::while_running(context, object, memory, followed.unread, wait).await;
            }
            // What is not there may still come: a request whose answer never came may be on its way.
            let open = memory.writes.occupied();
            if let Some(verdict) = memory.writes.settle(&open, |_| false, context.now(), context.pace.rest) {
                return report::unseen(context, object, memory, verdict).await;
            }
            context.release(object, &note).await?;
            return Ok(Outcome::Done);
        }
        Ok(Farewell::Remove(steps)) => steps,
    };
    let verdict = steps.first().map_or_else(
        || Verdict::new(Reason::Deleting, "waiting for the workspace's turn"),
        |step| step.verdict.clone(),
    );
    let status = object.status().cloned().unwrap_or_default();
    let decided = Decided { steps, ..Decided::stopped(status, verdict) };
    let turn = Turn {
        context,
        connected: &connected,
        fence: None,
        workspace: None,
        observes: false,
        held: None,
        looked: context.now(),
        running: followed.running,
    };
    carry_out::carry_out(&turn, None, object, memory, decided, |_| false).await
}

/// What is part of the workspace stays with it if the workspace's object is gone or going, as a rule does.
async fn with_workspace<K: Attached>(context: &Context, object: &K) -> Result<Option<Outcome>, Error> {
    let key = crate::runtime::station::workspace_of(object);
    let going = |workspace: &AmlWorkspace| workspace.metadata.deletion_timestamp.is_some();
    let found = context.indexes.workspace(&key);
    let seen_going = found.is_none_or(|workspace| workspace.0.as_ref().is_ok_and(going));
    if !seen_going && !context.indexes.namespace(&key.namespace).1 {
        return Ok(None);
    }
    let age = object.meta().deletion_timestamp.as_ref();
    let age = age.and_then(|at| context.now().duration_since(at.0).try_into().ok()).unwrap_or_default();
    let left = context.pace.workspace_grace.saturating_sub(age);
    // The index may be late: only a fresh read tells, and only after a while, because a tool that deletes a whole folder may delete
    // this object first.
    if !left.is_zero() {
        return Ok(Some(Outcome::Again(left)));
    }
    let found: Option<AmlWorkspace> = fresh(&context.kube, Some(&key.namespace), &key.name).await?;
    if found.as_ref().is_none_or(going) || context.indexes.namespace(&key.namespace).1 {
        let note = format!("the workspace's object is gone or going; {} stays with the workspace", K::NOUN);
        context.release(object, &note).await?;
        return Ok(Some(Outcome::Done));
    }
    Ok(Some(Outcome::Again(context.pace.poll)))
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
