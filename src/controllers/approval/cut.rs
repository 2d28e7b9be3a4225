//! The cut of connections that are approved already, for `reject` entries with `appliesTo: Approved`: each after a word of its own,
//! one at a time, and counted by the breaker like every removal.

use super::look::Decided;
use super::withdraw::{Ending, Removal, named, remove};
use super::write::{changed, is_current, read, unchanged, waiting};
use super::{Turn, policies};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::DenyEntry;
use crate::api::common::{Door, acknowledged};
use crate::azure::error::clean;
use crate::azure::private_link::Connection;
use crate::controllers::removals::{cut_key, many_at_once};
use crate::plan::approval::{Cut, Policy, cut_off};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::ledger::Page;

/// How many lines a condition asks about at once.
const ASKED: usize = 3;

/// Cuts off the next connection that `policy` rejects although it is approved, if there is any. `connections` are all on the
/// target; with `held` nothing may be written.
pub(super) async fn cut(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connections: &[Connection],
    decided: &Decided,
    page: &Page,
    held: bool,
) -> Result<Option<Ending>, Error> {
    let context = turn.context;
    if !policy.spec.reject.iter().any(DenyEntry::applies_to_approved) {
        context.endings.forget(&cut_key(policy));
        return Ok(None);
    }
    let cuts = cuts(turn, connections, &decided.policies);
    let agreed = |cut: &&Cut<'_>| acknowledged(&policy.spec.acknowledge, Door::RejectApproved, &cut.value);
    let (due, asked): (Vec<&Cut<'_>>, Vec<&Cut<'_>>) = cuts.iter().partition(agreed);
    if context.endings.post(
        &cut_key(policy),
        turn.target.key(),
        due.iter().map(|cut| cut.connection.name.clone()).collect(),
    ) {
        context.triggers.connection(&turn.connected.name);
    }
    if held && !cuts.is_empty() {
        let lines: Vec<&Connection> = cuts.iter().map(|cut| cut.connection).collect();
        let message = format!(
            "decides, and writes nothing: status.connections says what it would do. Once acknowledged, it would cut off {}",
            named(&lines)
        );
        return Ok(Some(Ending::Over(Verdict::new(Reason::DryRun, message))));
    }
    let waits = |verdict| Ok(Some(Ending::Waits(verdict)));
    if !due.is_empty()
        && let Some(verdict) = many_at_once(context, &turn.connected.name, &turn.connected.spec)
    {
        let lines: Vec<&Connection> = due.iter().map(|cut| cut.connection).collect();
        let message = format!("{}. It holds up cutting off {}", verdict.message, named(&lines));
        return waits(Verdict { message, ..verdict });
    }
    // What Azure refuses does not hold up the others.
    if let Some(next) = due.iter().find(|cut| waiting(turn, cut.connection).is_none()) {
        return match send(turn, policy, next, page).await? {
            Ok(()) => Ok(Some(Ending::Again)),
            Err(verdict) => waits(verdict),
        };
    }
    if !asked.is_empty() {
        return waits(Verdict::new(Reason::AcknowledgementRequired, question(&asked)));
    }
    Ok(due.first().and_then(|cut| waiting(turn, cut.connection)).map(Ending::Waits))
}

/// What is cut off, and the word that it waits for.
fn question(asked: &[&Cut<'_>]) -> String {
    let each = |cut: &&Cut<'_>| {
        format!(
            "{} ({}): acknowledge {{door: RejectApproved, value: {}}}",
            clean(&cut.connection.name, 128),
            cut.rule.entry(),
            clean(&cut.value, 320)
        )
    };
    let listed: Vec<String> = asked.iter().take(ASKED).map(each).collect();
    let more = asked.len().saturating_sub(ASKED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more, asked about after these") };
    format!(
        "would cut off connections that are approved already, and with them whoever works over them. If that is meant, for each one: \
         {}{more}. If not, take Approved out of the entry's appliesTo",
        listed.join("; ")
    )
}

/// What the policy of this turn cuts off among `connections`, as one of `policies`.
fn cuts<'a>(turn: &Turn<'_>, connections: &'a [Connection], policies: &[Policy]) -> Vec<Cut<'a>> {
    let own = policies.iter().find(|policy| policy.key == turn.key);
    own.map(|own| cut_off(own, connections, turn.dialect)).unwrap_or_default()
}

/// Cuts one connection off, read and decided on anew.
async fn send(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    wanted: &Cut<'_>,
    page: &Page,
) -> Result<Result<(), Verdict>, Error> {
    unchanged(turn, policy).await?;
    let now = match read(turn, &wanted.connection.name).await {
        Ok(now) => now,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let again = cuts(turn, now.as_slice(), &policies(turn, page));
    // Another endpoint behind the same name was not agreed on.
    let Some(cut) = again.first().filter(|cut| cut.value == wanted.value && is_current(turn, policy)) else {
        return Ok(Err(changed(turn, wanted.connection)));
    };
    let rule = cut.rule.entry();
    let why = format!("Rejected by policy {}", super::name_of(&turn.key));
    remove(
        turn,
        policy,
        cut.connection,
        &Removal { doing: "cutting off", done: "cut off", event: "CutOff", word: "cut off", why, rule: Some(rule) },
    )
    .await
}
