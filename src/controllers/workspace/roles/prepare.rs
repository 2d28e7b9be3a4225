//! Readies a target for the approver role: what is approved there now, whose turn it is, and the assignment.

use std::time::Duration;

use super::super::Memory;
use super::super::observe::Seen;
use super::approve::{Asking, Target, connections, freeze, wait};
use super::{carry_out, entry_of, take_back};
use crate::plan::roles::{Assign, End, Entry, is_taken, written};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::ledger::moment;
use crate::runtime::role_ledger::OpenRecord;

/// What is prepared on a target.
pub(super) struct Step {
    pub(super) wanted: Assign,
    /// What the ledger has of it.
    pub(super) entry: Option<Entry>,
    /// Azure name of the rule whose turn it will be.
    pub(super) rule: Option<String>,
    /// Whether the role has to be assigned.
    pub(super) assign: bool,
}

/// Notes what is approved on the target and whose turn it is, and assigns the role if it has to be.
pub(super) async fn prepare(
    asking: Asking<'_>,
    seen: &mut Seen,
    memory: &mut Memory,
    open: &mut OpenRecord,
    target: &Target,
    step: Step,
) -> Result<Option<Duration>, Error> {
    let Asking { turn, workspace, .. } = asking;
    let Step { wanted, entry, rule, assign } = step;
    let context = turn.context;
    // Of all workspaces that look at the target, one at a time does so and notes its turn.
    let Some(_lane) = context.lanes.enter(format!("{}/approver", target.id.key())) else {
        return Ok(wait(seen, context.pace.lane));
    };
    if rule.is_some() {
        let all = context.role_ledger.all().await?;
        let records = all.records.iter().map(|other| &other.record);
        if is_taken(&target.id, turn.id.as_str(), records, context.pace.role_deadline, context.now()) {
            let message =
                format!("waiting until the rule of another workspace, whose turn it is on {}, is in force", target.id);
            freeze(seen, target, None, &Verdict::new(Reason::Pending, message));
            return Ok(wait(seen, context.pace.poll));
        }
    }
    let connections = match connections(turn, &target.id).await {
        Ok(connections) => connections,
        Err(verdict) => {
            freeze(seen, target, None, &verdict);
            return Ok(wait(seen, context.pace.poll));
        }
    };
    let began = entry.as_ref().filter(|entry| entry.claims() && rule.is_some() && entry.turn == rule);
    let (before, turn_since) = match began {
        // What was approved since the turn began may be its own.
        Some(entry) => (entry.before.clone(), entry.turn_since.clone()),
        None => {
            let approved = connections.iter().filter(|one| one.is_approved()).map(written);
            (approved.collect(), if rule.is_some() { moment(context.now()) } else { String::new() })
        }
    };
    let noted = Entry {
        asked_at: entry.as_ref().map(|entry| entry.asked_at.clone()).unwrap_or_default(),
        wish: target.wish.clone(),
        before,
        turn_since,
        turn: rule,
        ..entry_of(turn, &wanted, wanted.term.clone())
    };
    if !assign {
        open.record.put(noted);
        context.role_ledger.save(open).await?;
        return Ok(Some(context.pace.lane));
    }
    let path = wanted.path(&context.installation);
    if !memory.role_memory.refused.contains_key(&path)
        && let Some(wait) = carry_out(turn, workspace, memory, open, &wanted, noted).await?
    {
        return Ok(Some(wait));
    }
    if let Some((verdict, _)) = memory.role_memory.refused.get(&path) {
        freeze(seen, target, None, &verdict.clone());
    }
    // Whom the present connection may not assign it to does not keep it from a former one.
    if let Some(entry) = entry.filter(|entry| entry.claims() && entry.connection != turn.connected.name) {
        take_back(turn, workspace, memory, open, &entry, End::Revoked).await?;
    }
    Ok(wait(seen, context.pace.role_recheck))
}
