//! The policy is being deleted. An approval whose end is not known is settled first, so that no exchanged endpoint stays approved
//! because nobody looks any more; then what it approved stays approved, unless it says `onDelete: Withdraw`.

use kube::ResourceExt;

use super::settle::settle;
use super::withdraw::{Ending, withdraw};
use super::{Turn, allowed, blocked, decided, lane, list, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::ids::ArmId;
use crate::azure::private_link::Dialect;
use crate::controllers::removals::{cut_key, definition_going, withdraws};
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

/// Settles what the deletion of the policy means for Azure, then lets it go.
pub(super) async fn depart(context: &Context, mut policy: PrivateEndpointApproval) -> Result<Outcome, Error> {
    if !has_finalizer(&policy) {
        context.endings.forget(&policy.uid().unwrap_or_default());
        return Ok(Outcome::Done);
    }
    let target = ArmId::parse(&policy.spec.target.resource_id).ok();
    if let Some(target) = &target {
        // Another policy on the target brings its numbers back at its next look.
        context.metrics.connections(&target.key(), None);
    }
    let known = target.as_ref().and_then(|target| Some((target, Dialect::of(&target.type_())?)));
    let Some((target, dialect)) = known.filter(|_| !Context::abandoned(&policy)) else {
        return release(context, &policy, KEPT).await;
    };
    let Some(_lane) = context.lanes.enter(lane(target)) else { return Ok(Outcome::Again(context.pace.lane)) };
    let key = key_of(&policy);
    let own = |page: &OpenPage| page.page.proofs.iter().any(|proof| proof.policy == name_of(&key));
    let approved = |page: &OpenPage| page.page.approvals.iter().any(|approval| approval.policy == name_of(&key));
    let withdraws = withdraws(context, &policy) && !definition_going::<PrivateEndpointApproval>(context).await?;
    let mut page = match context.ledger.open(target).await {
        Ok(page) if own(&page) || (withdraws && approved(&page)) => page,
        // Lost memory means hold, never withdraw.
        Ok(_) | Err(LedgerError::Damaged { .. }) => return release(context, &policy, KEPT).await,
        Err(error) => return Err(error.into()),
    };
    let keep = format!(
        "to let go and leave Azure as it is, {}annotate this object with aml-operator.io/abandon: {}",
        if withdraws { "set onDelete: Keep or " } else { "" },
        policy.uid().unwrap_or_default()
    );
    let connected = match Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(verdict) => return waits(context, &mut policy, verdict, &keep).await,
    };
    let turn = Turn { context, connected: &connected, target, dialect, key: key.clone() };
    let connections = match list(&turn).await {
        Ok(connections) => connections,
        Err(verdict) => return waits(context, &mut policy, verdict, &keep).await,
    };
    if let Some(verdict) = settle(&turn, &policy, &connections, &mut page).await?
        && (withdraws || own(&page))
    {
        return waits(context, &mut policy, verdict, &keep).await;
    }
    let end = policy.metadata.deletion_timestamp.as_ref().map(|at| at.0).filter(|_| withdraws);
    let Some(end) = end else { return release(context, &policy, KEPT).await };
    let held = held(&turn, &policy);
    let decided = decided(&turn, &connections, &page.page);
    match withdraw(&turn, &policy, &decided, &mut page, end, &keep, held.is_some()).await? {
        Ending::Again => Ok(Outcome::Again(context.pace.lane)),
        Ending::Over(verdict) => release(context, &policy, &verdict.message).await,
        Ending::Waits(verdict) => match held {
            Some(held) => {
                let message = format!("{}: {}", held.message, verdict.message);
                blocked(context, &mut policy, Verdict { message, ..held }).await
            }
            None => blocked(context, &mut policy, verdict).await,
        },
    }
}

/// Why nothing may be withdrawn, if so. A connection that is being deleted still serves this.
fn held(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> Option<Verdict> {
    if policy.spec.suspend {
        return Some(Verdict::new(Reason::Suspended, "suspended: nothing is withdrawn (spec.suspend)"));
    }
    let refused = allowed(turn.context, turn.connected, policy, turn.target).err();
    refused.or_else(|| turn.connected.holds_writes().filter(|_| !turn.connected.deleting))
}

/// Says what the deletion waits for, and how to let go.
async fn waits(
    context: &Context,
    policy: &mut PrivateEndpointApproval,
    verdict: Verdict,
    keep: &str,
) -> Result<Outcome, Error> {
    let message = format!("{}. What this policy asked for has to be settled first; {keep}", verdict.message);
    blocked(context, policy, Verdict { message, ..verdict }).await
}
