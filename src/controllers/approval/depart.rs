//! The policy is being deleted. An approval whose end is not known is settled first, so that no exchanged endpoint stays approved
//! because nobody looks any more; then what it approved stays approved, unless it says `onDelete: Withdraw`.

use kube::ResourceExt;

use super::look::{decided, list};
use super::memory::attended_before;
use super::settle::settle;
use super::withdraw::{Ending, withdraw};
use super::{Turn, allowed, blocked, lane, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::ids::ArmId;
use crate::azure::private_link::Dialect;
use crate::controllers::removals::{cut_key, definition_going, withdraws};
use crate::plan::targets::{Choice, Targets, summary};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::key_of;
use crate::runtime::ledger::{LedgerError, OpenPage};
use crate::runtime::status::has_finalizer;

const KEPT: &str = "Azure keeps what was approved";

async fn release(context: &Context, policy: &PrivateEndpointApproval, note: &str) -> Result<Outcome, Error> {
    context.release(policy, note).await?;
    context.endings.forget(&policy.uid().unwrap_or_default());
    context.endings.forget(&cut_key(policy));
    Ok(Outcome::Done)
}

/// How far the policy's end has come on one target.
enum Departing {
    /// Look again at once.
    Again,
    /// This is waited for.
    Waits(Verdict),
    /// Nothing is left to do; the note says what that means for Azure.
    Over(String),
}

/// Settles what the deletion of the policy means for Azure on each of its targets, then lets it go.
pub(super) async fn depart(context: &Context, mut policy: PrivateEndpointApproval) -> Result<Outcome, Error> {
    if !has_finalizer(&policy) {
        context.endings.forget(&policy.uid().unwrap_or_default());
        return Ok(Outcome::Done);
    }
    let targets = Targets::of(&policy.spec.target).ok();
    let known = targets.and_then(|targets| Some((Dialect::of(&targets.type_())?, targets)));
    let attended = match &known {
        Some((_, Targets::One(target))) => vec![target.clone()],
        // Lost memory means hold, never withdraw.
        Some((_, targets)) => attended_before(context, &policy, targets).await?.unwrap_or_default(),
        None => Vec::new(),
    };
    for target in &attended {
        // Another policy on the target brings its numbers back at its next look.
        context.metrics.connections(&target.key(), None);
    }
    let Some((dialect, targets)) = known.filter(|_| !Context::abandoned(&policy)) else {
        return release(context, &policy, KEPT).await;
    };
    let withdraws = withdraws(context, &policy) && !definition_going::<PrivateEndpointApproval>(context).await?;
    if withdraws {
        context.endings.expect(&policy.uid().unwrap_or_default(), attended.iter().map(ArmId::key));
    }
    let (mut again, mut waiting, mut note) = (false, Vec::new(), KEPT.to_owned());
    for target in &attended {
        let Some(_lane) = context.lanes.enter(lane(target)) else {
            again = true;
            continue;
        };
        match on(context, &policy, &targets, target, dialect, withdraws).await? {
            Departing::Again => again = true,
            Departing::Waits(verdict) => waiting.push((target.clone(), verdict)),
            Departing::Over(said) => note = said,
        }
    }
    if again {
        return Ok(Outcome::Again(context.pace.lane));
    }
    if waiting.is_empty() {
        return release(context, &policy, &note).await;
    }
    // The first to come up again says when to look.
    let after = waiting.iter().filter_map(|(_, verdict)| verdict.after).min();
    let choice = Choice { attended, ..Choice::default() };
    let verdict = summary(&targets, &choice, &waiting, false);
    blocked(context, &mut policy, Verdict { after: after.or(verdict.after), ..verdict }).await
}

/// Settles and, if it `withdraws`, takes back what the policy has on `target`.
async fn on(
    context: &Context,
    policy: &PrivateEndpointApproval,
    targets: &Targets,
    target: &ArmId,
    dialect: &'static Dialect,
    withdraws: bool,
) -> Result<Departing, Error> {
    let (key, uid) = (key_of(policy), policy.uid().unwrap_or_default());
    let own = |page: &OpenPage| page.page.proofs.iter().any(|proof| proof.policy == name_of(&key));
    let approved = |page: &OpenPage| page.page.approvals.iter().any(|approval| approval.policy == name_of(&key));
    let kept = || {
        // Nothing ends here: it does not count as a removal.
        context.endings.post(&uid, target.key(), Vec::new());
        Ok(Departing::Over(KEPT.to_owned()))
    };
    let mut page = match context.ledger.open(target).await {
        Ok(page) if own(&page) || (withdraws && approved(&page)) => page,
        // Lost memory means hold, never withdraw.
        Ok(_) | Err(LedgerError::Damaged { .. }) => return kept(),
        Err(error) => return Err(error.into()),
    };
    let keep = format!(
        "to let go and leave Azure as it is, {}annotate this object with aml-operator.io/abandon: {uid}",
        if withdraws { "set onDelete: Keep or " } else { "" },
    );
    let unsettled = |verdict: Verdict| {
        let message = format!("{}. What this policy asked for has to be settled first; {keep}", verdict.message);
        Ok(Departing::Waits(Verdict { message, ..verdict }))
    };
    let connected = match Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(verdict) => return unsettled(verdict),
    };
    let turn = Turn { context, connected: &connected, target, dialect, key: key.clone() };
    let connections = match list(&turn).await {
        Ok(connections) => connections,
        // Resources of a group come and go: with one that is gone, its connections are.
        Err(verdict) if verdict.reason == Reason::ParentMissing && matches!(targets, Targets::Group { .. }) => {
            return kept();
        }
        Err(verdict) => return unsettled(verdict),
    };
    if let Some(verdict) = settle(&turn, policy, &connections, &mut page).await?
        && (withdraws || own(&page))
    {
        return unsettled(verdict);
    }
    let end = policy.metadata.deletion_timestamp.as_ref().map(|at| at.0).filter(|_| withdraws);
    let Some(end) = end else { return kept() };
    let held = held(&turn, policy);
    let decided = decided(&turn, &connections, &page.page);
    Ok(match withdraw(&turn, policy, &decided, &mut page, end, &keep, held.is_some()).await? {
        Ending::Again => Departing::Again,
        Ending::Over(verdict) => Departing::Over(verdict.message),
        Ending::Waits(verdict) => Departing::Waits(match held {
            Some(held) => Verdict { message: format!("{}: {}", held.message, verdict.message), ..held },
            None => verdict,
        }),
    })
}

/// Why nothing may be withdrawn, if so. A connection that is being deleted still serves this.
fn held(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> Option<Verdict> {
    if policy.spec.suspend {
        return Some(Verdict::new(Reason::Suspended, "suspended: nothing is withdrawn (spec.suspend)"));
    }
    let refused = allowed(turn.context, turn.connected, policy, turn.target).err();
    refused.or_else(|| turn.connected.holds_writes().filter(|_| !turn.connected.deleting))
}
