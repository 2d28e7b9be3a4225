//! The withdrawal of what a policy approved, once the policy ends and says so: after its grace period, one at a time, and only
//! what it approved itself and nobody else allows.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tracing::info;

use super::look::{Decided, believed, decided};
use super::write::{changed, is_current, read, refused, sent, take_back, unchanged, waiting};
use super::{Turn, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::condition::rfc3339;
use crate::azure::error::clean;
use crate::azure::private_link::Connection;
use crate::controllers::removals::{many_at_once, withdraws};
use crate::plan::approval::unreadable;
use crate::plan::withdrawal::{Ends, ending};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::ledger::OpenPage;
use crate::telemetry::AUDIT;

/// How far a withdrawal has come.
pub(super) enum Ending {
    /// One was sent: look again.
    Again,
    /// Something is left to withdraw, and this is what it waits for.
    Waits(Verdict),
    /// Nothing is left.
    Over(Verdict),
}

/// How long after its end the policy withdraws.
fn grace(context: &Context, policy: &PrivateEndpointApproval) -> Duration {
    let text = policy.spec.grace_period.as_deref();
    let stated = text.and_then(|text| text.parse::<jiff::SignedDuration>().ok());
    stated.and_then(|stated| stated.try_into().ok()).unwrap_or(context.pace.withdrawal_grace)
}

/// What the end of a policy whose time is over comes to.
pub(super) async fn expired(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    decided: &Decided,
    page: &mut OpenPage,
    held: bool,
) -> Result<Ending, Error> {
    let over = |rest: &str| {
        Verdict::new(Reason::Expired, format!("spec.expiresAt has passed: nothing new is approved; {rest}"))
    };
    let Some(end) = policy.spec.expires_at.as_ref().filter(|_| withdraws(turn.context, policy)) else {
        return Ok(Ending::Over(over("what was approved stays so")));
    };
    let keep = "to keep it, set onExpiry: Keep or a later expiresAt";
    Ok(match withdraw(turn, policy, decided, page, end.0, keep, held).await? {
        Ending::Waits(verdict) if verdict.reason == Reason::Deleting => {
            Ending::Waits(Verdict { message: over(&verdict.message).message, reason: Reason::Expired, ..verdict })
        }
        Ending::Over(_) => Ending::Over(over("what it approved is withdrawn")),
        other => other,
    })
}

/// Withdraws the next connection that ends with `policy`, which ended at `end`. `keep` says how to let go by hand; with `held`
/// nothing may be written.
pub(super) async fn withdraw(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    decided: &Decided,
    page: &mut OpenPage,
    end: Timestamp,
    keep: &str,
    held: bool,
) -> Result<Ending, Error> {
    let context = turn.context;
    let uid = policy.uid().unwrap_or_default();
    let connections: Vec<Connection> = decided.each.iter().map(|(connection, _)| connection.clone()).collect();
    let believed = believed(turn, &connections, &page.page);
    let Ends { surely: ending, perhaps } = ending(&name_of(&turn.key), &page.page.approvals, &decided.each, &believed);
    let all = ending.iter().chain(&perhaps);
    if context.endings.post(&uid, turn.target.key(), all.map(|connection| connection.name.clone()).collect()) {
        context.triggers.connection(&turn.connected.name);
    }
    let Some(first) = ending.first() else {
        if !perhaps.is_empty() {
            let message = format!(
                "people decided to keep {}, and the admission policy does not vouch for that: see the ApprovalDecisions on it, and \
                 make them again or delete them; {keep}",
                named(&perhaps)
            );
            return Ok(Ending::Waits(Verdict::new(Reason::GuardMissing, message)));
        }
        let verdict = Verdict::new(Reason::Deleting, "what it approved is withdrawn");
        return Ok(Ending::Over(verdict));
    };
    let waits = |verdict: Verdict| Ok(Ending::Waits(verdict));
    let due = end.checked_add(grace(context, policy)).unwrap_or(end);
    let left = Duration::try_from(due.duration_since(context.now())).unwrap_or_default();
    if held || !left.is_zero() {
        let verdict =
            Verdict::new(Reason::Deleting, format!("withdraws {} from {} on; {keep}", named(&ending), rfc3339(due)));
        return waits(verdict.after(Some(left.clamp(context.pace.lane, context.pace.connections))));
    }
    if let Some(verdict) = many_at_once(context, &turn.connected.name, &turn.connected.spec) {
        return waits(Verdict {
            message: format!("{}. It holds up {}; {keep}", verdict.message, named(&ending)),
            ..verdict
        });
    }
    // What it allows is not known, so it cannot be told what nobody else allows.
    let mut others = decided.policies.iter().filter(|other| other.key != turn.key);
    if let Some(other) = others.find(|other| unreadable(&other.allow).is_some()) {
        let message = format!(
            "policy {} has an expression that cannot be read, so nothing is withdrawn until it is corrected. It holds up {}; {keep}",
            name_of(&other.key),
            named(&ending)
        );
        return waits(Verdict::new(Reason::PolicyNotInForce, message));
    }
    // What Azure refuses does not hold up the others.
    let Some(next) = ending.iter().find(|one| waiting(turn, one).is_none()) else {
        let refusal = waiting(turn, first).unwrap_or_else(|| Verdict::new(Reason::AzureBusy, "it is tried again"));
        return waits(Verdict { message: format!("{}. {keep}", refusal.message), ..refusal });
    };
    Ok(match send(turn, policy, next, page).await? {
        Ok(()) => Ending::Again,
        Err(verdict) => Ending::Waits(verdict),
    })
}

/// Withdraws one connection, read and decided on anew.
async fn send(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    page: &OpenPage,
) -> Result<Result<(), Verdict>, Error> {
    let context = turn.context;
    unchanged(turn, policy).await?;
    let now = match read(turn, &connection.name).await {
        Ok(now) => now,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let name = name_of(&turn.key);
    // The guard is looked at anew: whether people's decisions count must not be old news when somebody is cut off.
    if context.guard.look().await? {
        context.tell_of_guard();
    }
    let (again, believed) = (decided(turn, now.as_slice(), &page.page), believed(turn, now.as_slice(), &page.page));
    let ends = ending(&name, &page.page.approvals, &again.each, &believed);
    let Some(now) = ends.surely.first().copied().filter(|now| now.is_of(&connection.endpoint)) else {
        return Ok(Err(changed(turn, connection)));
    };
    if !is_current(turn, policy) {
        return Ok(Ok(()));
    }
    let removal = Removal {
        doing: "withdrawing",
        done: "withdrew",
        event: "Withdrawn",
        word: "withdrawn",
        why: format!("Withdrawn: policy {name} has ended"),
        rule: None,
    };
    remove(turn, policy, now, &removal).await
}

/// One approved connection that is taken from whoever has it.
pub(super) struct Removal {
    /// For messages, for example `withdrawing`.
    pub(super) doing: &'static str,
    /// For the event's note, for example `withdrew`.
    pub(super) done: &'static str,
    /// The event's reason.
    pub(super) event: &'static str,
    /// The word of the metrics and the audit log.
    pub(super) word: &'static str,
    /// What the target shows.
    pub(super) why: String,
    /// The entry that decided, if one did.
    pub(super) rule: Option<String>,
}

/// Takes `now`, which was just read, from whoever has it: once nothing else works on it, counted for the breaker and recorded.
pub(super) async fn remove(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    now: &Connection,
    removal: &Removal,
) -> Result<Result<(), Verdict>, Error> {
    let context = turn.context;
    let doing = format!("{} {}", removal.doing, now.name);
    if !now.is_settled(turn.dialect) {
        let message = format!("{doing}: Azure still works on it");
        return Ok(Err(Verdict::new(Reason::AzureBusy, message).after(Some(context.pace.poll))));
    }
    let request_id = match take_back(turn, now, &removal.why).await {
        Ok(request_id) => request_id,
        Err(error) => return Ok(refused(turn, now, &doing, &error)),
    };
    sent(turn, now, &doing);
    context.removals.note(&turn.connected.name, context.now());
    context.metrics.decided(removal.word);
    let name = name_of(&turn.key);
    info!(
        target: AUDIT, policy = name, generation = policy.metadata.generation, target_id = %turn.target, connection = now.name, requester = now.endpoint, request_id,
        rule = removal.rule, "{}", removal.word
    );
    let by = removal.rule.as_ref().map(|rule| format!(" by {name} {rule}")).unwrap_or_default();
    let done = format!("{} {}", removal.done, now.name);
    let note = format!("{done} from {} on {}{by}", clean(&now.endpoint, 512), turn.target);
    context.events.publish(policy, false, removal.event, &note).await;
    Ok(Ok(()))
}

/// The connections for a message.
pub(super) fn named(connections: &[&Connection]) -> String {
    let listed: Vec<String> = connections
        .iter()
        .take(5)
        .map(|connection| format!("{} of {}", clean(&connection.name, 128), clean(&connection.endpoint, 256)))
        .collect();
    let more = connections.len().saturating_sub(5);
    listed.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}
