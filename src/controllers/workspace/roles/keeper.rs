//! Takes back roles that were assigned for a time, whatever became of the objects that asked for them: once their time is over, once
//! the object is gone, and again until nothing of them is left. The ledger alone says what there is, so a restart changes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;

use super::write::take_back;
use crate::api::ids::ArmId;
use crate::plan::roles::{End, Entry, Term};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::indexes::key_of;

/// Looks after all such roles, for ever. The first look waits until the cluster's objects are known.
pub async fn keep(context: Arc<Context>) {
    loop {
        let wait = if context.indexes.synced() {
            sweep(&context).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "the ledger of roles could not be looked through; it is tried again");
                context.pace.poll
            })
        } else {
            context.pace.lane
        };
        tokio::time::sleep(wait).await;
    }
}

/// Looks once, and returns when to look again.
async fn sweep(context: &Context) -> Result<Duration, Error> {
    let mut next = context.pace.role_recheck;
    for open in context.role_ledger.all().await? {
        if !open.record.entries.iter().any(Entry::is_short_lived) {
            continue;
        }
        let Ok(workspace) = ArmId::parse(&open.record.workspace) else { continue };
        // Not while the workspace's own turn is at it: a second deletion of the same would be refused to a delegate.
        let Some(_lane) = context.lanes.enter(workspace.key()) else {
            next = next.min(context.pace.lane);
            continue;
        };
        next = next.min(tend(context, &workspace).await?);
    }
    Ok(next.max(context.pace.lane))
}

/// Looks after the roles of one workspace, alone in its lane. Returns when to look again.
async fn tend(context: &Context, workspace: &ArmId) -> Result<Duration, Error> {
    let mut next = context.pace.role_recheck;
    let mut open = context.role_ledger.open(workspace).await?;
    let now = context.now();
    let workspaces = context.indexes.workspaces.state();
    let asker = workspaces.iter().find(|workspace| workspace.meta().uid.as_deref() == Some(&open.record.uid));
    let short_lived: Vec<Entry> = open.record.entries.iter().filter(|entry| entry.is_short_lived()).cloned().collect();
    for entry in short_lived {
        let end = match (entry.ends, asker) {
            (Some(end), _) => end,
            _ if entry.is_over(now) => End::Expired,
            (None, None) => End::Revoked,
            (None, Some(_)) => {
                next = next.min(left(&entry, now));
                continue;
            }
        };
        // Without its connection nothing can be done; the record stays, and is tried again.
        let Ok(connected) = Connected::find(&context.indexes, &context.clients, &open.record.connection) else {
            next = next.min(context.pace.poll);
            continue;
        };
        if !take_back(context, &connected.client, &mut open, &entry, end).await? {
            next = next.min(context.pace.poll);
        }
        if let Some(workspace) = asker {
            context.triggers.workspace(&key_of(workspace.as_ref()));
        }
    }
    Ok(next)
}

fn left(entry: &Entry, now: Timestamp) -> Duration {
    let Term::Until(until) = &entry.term else { return Duration::MAX };
    until.parse::<Timestamp>().ok().and_then(|until| until.duration_since(now).try_into().ok()).unwrap_or_default()
}
