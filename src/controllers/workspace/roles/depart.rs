//! What becomes of roles when the object of a workspace goes.

use kube::ResourceExt;
use tracing::info;

use super::ending::{take_back_through, through};
use super::is_anothers;
use super::write::TakenBack;
use crate::api::AmlWorkspace;
use crate::api::ids::ArmId;
use crate::plan::roles::{End, Entry};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::ledger::LedgerError;
use crate::telemetry::AUDIT;

/// Takes back what was assigned for a time, and with `all` whatever was assigned, before the object of the workspace goes. Says why
/// it has to stay, if so.
///
/// # Errors
/// If Kubernetes does not take what is noted.
pub(in super::super) async fn leave(
    context: &Context,
    id: &ArmId,
    workspace: &AmlWorkspace,
    all: bool,
) -> Result<Option<Verdict>, Error> {
    let mut open = match context.role_ledger.open(id).await {
        Ok(open) => open,
        // What it held cannot be told; the object must not hang on it.
        Err(LedgerError::Damaged { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if is_anothers(context, workspace, &open) {
        return Ok(None);
    }
    let going: Vec<Entry> = open.record.entries.iter().filter(|entry| all || entry.is_lent()).cloned().collect();
    let mut left = Vec::new();
    for entry in going {
        if take_back_through(context, id, &mut open, &entry, End::Done).await? == TakenBack::Waits {
            let why = through(context, id, &entry).err().map(|verdict| format!(" ({})", verdict.message));
            left.push(entry.words() + &why.unwrap_or_default());
        }
    }
    Ok((!left.is_empty()).then(|| kept(&some(&left), workspace)))
}

/// The first few of `names`, and how many more there are.
fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(3);
    names.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
        + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// What stays of roles when the object of the workspace is let go, for people; each is told in the audit log.
pub(in super::super) async fn left_behind(context: &Context, id: &ArmId, workspace: &AmlWorkspace) -> String {
    let open = match context.role_ledger.open(id).await {
        Ok(open) => open,
        Err(error) => return format!(". Which roles were assigned cannot be told: {error}"),
    };
    if is_anothers(context, workspace, &open) {
        return String::new();
    }
    for entry in &open.record.entries {
        info!(
            target: AUDIT, scope = entry.scope, role = entry.role, principal = entry.principal,
            connection = entry.connection, lent = entry.is_lent(), "role of an abandoned workspace"
        );
    }
    let words = |lent: bool| -> Vec<String> {
        open.record.entries.iter().filter(|entry| entry.is_lent() == lent).map(Entry::words).collect()
    };
    let mut said = String::new();
    for (what, entries) in [
        ("what the workspace works with stays", words(false)),
        ("what was assigned for rules is still taken back", words(true)),
    ] {
        if !entries.is_empty() {
            said.push_str(&format!("; {what}: {}", some(&entries)));
        }
    }
    said
}

fn kept(why: &str, workspace: &AmlWorkspace) -> Verdict {
    Verdict::new(
        Reason::Deleting,
        format!(
            "roles that were assigned to the workspace's identity are being taken back and not seen to be gone yet: {why}. To let go of this object all the same, \
             annotate it with aml-operator.io/abandon: {}",
            workspace.uid().unwrap_or_default()
        ),
    )
}
