//! Takes back roles that were assigned for a time, whatever became of the objects that asked for them: once their time is over, once
//! the object is gone, and again until nothing of them is left. The ledger alone says what there is, so a restart changes nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;

use super::write::take_back;
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
    for mut open in context.role_ledger.all().await? {
        let now = context.now();
        let workspaces = context.indexes.workspaces.state();
        let asker = workspaces.iter().find(|workspace| workspace.meta().uid.as_deref() == Some(&open.record.uid));
        let short_lived = open.record.entries.iter().filter(|entry| entry.is_short_lived());
        for entry in short_lived.cloned().collect::<Vec<Entry>>() {
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
    }
    Ok(next.max(context.pace.lane))
}

fn left(entry: &Entry, now: Timestamp) -> Duration {
    let Term::Until(until) = &entry.term else { return Duration::MAX };
    until.parse::<Timestamp>().ok().and_then(|until| until.duration_since(now).try_into().ok()).unwrap_or_default()
}
