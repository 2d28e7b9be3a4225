//! Takes back what was assigned for rules, whatever became of the objects that asked for it: once its time is over, once no object
//! that can be read and is let through asks for it any more, and again until nothing of it is left. The ledger says what there is
//! and the cluster who asks, so a restart changes nothing.
//!
//! No turn of a workspace is needed for that: an object that is refused, abandoned or gone has none. Neither the ceilings of an
//! AzureConnection nor the breaker hold it up: they are there so that nothing is lost by mistake, and by this nothing is.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::asked::asked;
use super::ending::take_back_through;
use super::write::TakenBack;
use crate::api::ids::ArmId;
use crate::plan::roles::{Asked, End, Entry, Term, due};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::role_ledger::OpenRecord;

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
    for open in context.role_ledger.all().await?.records {
        let Ok(workspace) = ArmId::parse(&open.record.workspace) else { continue };
        if !open.record.entries.iter().any(Entry::is_lent) {
            continue;
        }
        let (ending, wait) = ending(&open, &asked(context, &workspace), context.now());
        next = next.min(wait);
        if ending.is_empty() {
            continue;
        }
        // Not while the workspace's own turn is at it: a second deletion of the same would be refused to a delegate.
        let Some(_lane) = context.lanes.enter(workspace.key()) else {
            next = next.min(context.pace.lane);
            continue;
        };
        match tend(context, &workspace).await {
            Ok(wait) => next = next.min(wait),
            // One record holds up no other.
            Err(error) => {
                tracing::debug!(%error, %workspace, "roles could not be taken back; it is tried again");
                next = next.min(context.pace.poll);
            }
        }
    }
    Ok(next.max(context.pace.lane))
}

/// What ends now, and how long until something else may.
fn ending(open: &OpenRecord, asked: &[Asked], now: Timestamp) -> (Vec<Entry>, Duration) {
    let (ending, going_on): (Vec<Entry>, Vec<Entry>) =
        open.record.entries.iter().cloned().partition(|entry| due(entry, asked, now).is_some());
    let next = going_on.iter().map(|entry| left(entry, now)).min();
    (ending, next.unwrap_or(Duration::MAX))
}

/// Takes back what ends of one workspace's, alone in its lane. Returns when to look again.
async fn tend(context: &Context, workspace: &ArmId) -> Result<Duration, Error> {
    let mut open = context.role_ledger.open(workspace).await?;
    let asked = asked(context, workspace);
    let (ending, mut next) = ending(&open, &asked, context.now());
    for entry in ending {
        let Some(end) = due(&entry, &asked, context.now()) else { continue };
        let became = take_back_through(context, workspace, &mut open, &entry, end).await?;
        match became {
            // Whoever else needs it goes on needing it for a while.
            TakenBack::Kept => {}
            TakenBack::Waits => next = next.min(context.pace.poll),
            TakenBack::Gone => context.triggers.connection(&entry.connection),
        }
        if entry.claims() || became == TakenBack::Gone {
            tell(context, workspace, &entry, end).await;
        }
    }
    Ok(next)
}

/// Tells the objects of the workspace, if there are any, and has them look again.
async fn tell(context: &Context, id: &ArmId, entry: &Entry, end: End) {
    for object in context.indexes.workspaces.state() {
        let Ok(workspace) = &object.0 else { continue };
        if workspace_id(workspace).is_ok_and(|own| own == *id) {
            if entry.claims() {
                let note = format!("takes back {} ({end:?})", entry.words());
                context.events.publish(workspace, true, "RoleTakenBack", &note).await;
            }
            context.triggers.workspace(&key_of(workspace));
        }
    }
}

fn left(entry: &Entry, now: Timestamp) -> Duration {
    let Term::Until(until) = &entry.term else { return Duration::MAX };
    until.parse::<Timestamp>().ok().and_then(|until| until.duration_since(now).try_into().ok()).unwrap_or_default()
}
