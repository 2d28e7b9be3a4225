//! People's decisions, as a turn on a target sees them.

use kube::ResourceExt;

use super::Turn;
use super::look::{Decided, refusals};
use super::write::waiting;
use crate::api::approval::Mode;
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::decision::Choice;
use crate::api::ids::ArmId;
use crate::api::{ApprovalDecision, PrivateEndpointApproval};
use crate::plan::approval::Decision;
use crate::plan::decisions::{Guard, Standards, Vote, admit, standing, target_of};
use crate::plan::rules::ObjectKey;
use crate::plan::targets::Targets;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::indexes::key_of;
use crate::runtime::ledger::Page;
use crate::runtime::status::{WriteError, fresh};

/// What a decision for `policy` counts as, or why it does not count.
pub(crate) fn weigh(
    context: &Context,
    policy: &PrivateEndpointApproval,
    decision: &ApprovalDecision,
    spent: bool,
) -> Result<Vote, Verdict> {
    weigh_by(&context.guard.seen(), context, policy, decision, spent)
}

fn weigh_by(
    guard: &Guard,
    context: &Context,
    policy: &PrivateEndpointApproval,
    decision: &ApprovalDecision,
    spent: bool,
) -> Result<Vote, Verdict> {
    let standards = Standards {
        guard,
        settling: context.pace.guard_settling,
        policy_created: policy.metadata.creation_timestamp.as_ref().map(|time| time.0),
    };
    admit(decision, standards, spent)
}

/// All decisions for `policy` on `target`.
fn on<'a>(
    context: &'a Context,
    policy: &PrivateEndpointApproval,
    target: &'a ArmId,
) -> impl Iterator<Item = ApprovalDecision> + 'a {
    let targets = Targets::of(&policy.spec.target).ok();
    let on = move |decision: &ApprovalDecision| {
        targets.as_ref().is_some_and(|targets| target_of(decision, targets).is_ok_and(|named| named == *target))
    };
    context.indexes.decisions_of(&key_of(policy)).into_iter().filter(on)
}

/// All decisions that count for `policy` on `target`, with their objects, if `guard` vouches for them.
fn weighed(
    guard: &Guard,
    context: &Context,
    policy: &PrivateEndpointApproval,
    target: &ArmId,
    page: &Page,
) -> Vec<(ApprovalDecision, Vote)> {
    let weighed = on(context, policy, target).filter_map(|decision| {
        let spent = page.signatures.is_spent(&decision.uid().unwrap_or_default());
        let vote = weigh_by(guard, context, policy, &decision, spent).ok()?;
        Some((decision, vote))
    });
    weighed.collect()
}

/// All votes for `policy` on `target`.
pub(super) fn votes(context: &Context, policy: &PrivateEndpointApproval, target: &ArmId, page: &Page) -> Vec<Vote> {
    weighed(&context.guard.seen(), context, policy, target, page).into_iter().map(|(_, vote)| vote).collect()
}

/// All approvals for `policy`, whatever vouches for them. They let nobody in, but may keep a connection from being cut off: a guard
/// that is missing says nothing about what people decided.
pub(super) fn believed_votes(
    context: &Context,
    policy: &PrivateEndpointApproval,
    target: &ArmId,
    page: &Page,
) -> Vec<Vote> {
    let all = weighed(&Guard::InForce { since: jiff::Timestamp::MIN }, context, policy, target, page);
    all.into_iter().map(|(_, vote)| vote).filter(|vote| vote.choice == Choice::Approve).collect()
}

/// Makes sure, right before anything is written on the word of people, that the guard is in force and that they stand by it.
///
/// # Errors
/// [`WriteError::Outdated`] if not: look again.
pub(super) async fn confirm(turn: &Turn<'_>, decision: &Decision) -> Result<(), Error> {
    if decision.people.is_empty() {
        return Ok(());
    }
    let mut stand = true;
    if turn.context.guard.look().await? {
        turn.context.tell_of_guard();
        stand = false;
    }
    for key in &decision.policies {
        for signature in &decision.people {
            let known = turn.context.indexes.decisions_of(key);
            if known.iter().any(|known| known.uid().as_deref() == Some(&signature.uid)) {
                let now: Option<ApprovalDecision> =
                    fresh(&turn.context.kube, Some(&key.namespace), &signature.name).await?;
                stand &= now.is_some_and(|now| {
                    now.uid().as_deref() == Some(&signature.uid) && now.metadata.deletion_timestamp.is_none()
                });
            }
        }
    }
    if stand { Ok(()) } else { Err(WriteError::Outdated.into()) }
}

/// Marks the decisions whose approvals took effect. True if the page changed.
pub(super) fn spend(context: &Context, page: &mut Page) -> bool {
    let approvals = &page.approvals;
    let took_effect = |signed: &crate::plan::signatures::Signed| {
        approvals.iter().any(|approval| {
            approval.connection == signed.connection
                && approval.endpoint.eq_ignore_ascii_case(&signed.endpoint)
                && approval.at >= signed.at
        })
    };
    page.signatures.settle(took_effect, |uid| context.indexes.has_decision(uid))
}

/// Posts what became of every decision for `policy` on the target, for their own controller to report.
pub(super) fn tell(
    turn: &Turn<'_>,
    object: &PrivateEndpointApproval,
    decided: &Decided,
    page: &Page,
    verdict: &Verdict,
) {
    let context = turn.context;
    let Some(policy) = decided.policy(&turn.key) else { return };
    let acts = matches!(verdict.reason, Reason::InForce | Reason::Updating);
    // A policy that says what Azure refused goes on with the others.
    let goes_on = || refusals(turn, &decided.each).is_some_and(|refusal| refusal == *verdict);
    let moves = object.spec.mode != Some(Mode::DryRun) && (acts || goes_on());
    for (decision, vote) in weighed(&context.guard.seen(), context, object, turn.target, page) {
        let mut became = standing(&vote, policy, &decided.each);
        if became.reason == Reason::Updating {
            let on = decided.each.iter().find(|(connection, _)| vote.is_on(connection));
            became = match on.and_then(|(connection, _)| waiting(turn, connection)) {
                // What Azure said when it was tried.
                Some(said) => said,
                None if moves => became,
                None => not_in_force(&turn.key, verdict),
            };
        }
        post(context, &decision, became);
    }
}

/// Posts of every decision for a policy that stops before it decides that nothing becomes of it.
pub(super) fn tell_blocked(context: &Context, object: &PrivateEndpointApproval, verdict: &Verdict) {
    let key = key_of(object);
    for decision in context.indexes.decisions_of(&key) {
        post(context, &decision, not_in_force(&key, verdict));
    }
}

/// Posts of every decision for a policy on a target where it stops before it decides that nothing becomes of it.
pub(super) fn tell_blocked_on(context: &Context, object: &PrivateEndpointApproval, target: &ArmId, verdict: &Verdict) {
    for decision in on(context, object, target) {
        post(context, &decision, not_in_force(&key_of(object), verdict));
    }
}

/// Posts of every decision on a resource of the policy's group that the policy does not decide on that nothing becomes of it.
pub(super) fn tell_unattended(context: &Context, object: &PrivateEndpointApproval, attended: &[ArmId]) {
    let Ok(targets) = Targets::of(&object.spec.target) else { return };
    for decision in context.indexes.decisions_of(&key_of(object)) {
        if let Ok(target) = target_of(&decision, &targets)
            && !attended.contains(&target)
        {
            let message = format!(
                "the policy does not decide on {target}: it is not there, or the policy's status says why; compare target with the \
                 policy's status.connections"
            );
            post(context, &decision, Verdict::new(Reason::RequestMissing, message));
        }
    }
}

fn not_in_force(key: &ObjectKey, verdict: &Verdict) -> Verdict {
    let message = format!("the policy {} says {}: {}", key.name, verdict.reason.word(), verdict.message);
    Verdict::new(Reason::PolicyNotInForce, message)
}

fn post(context: &Context, decision: &ApprovalDecision, verdict: Verdict) {
    if context.standings.post(&decision.uid().unwrap_or_default(), verdict) {
        context.triggers.decision(&key_of(decision));
    }
}

/// The policy's condition about a guard that is not in force, where anybody's decision is asked for.
pub(super) fn guard_condition(context: &Context, policy: &PrivateEndpointApproval) -> Option<ConditionDraft> {
    let asked = policy.spec.require_approvers.is_some() || !context.indexes.decisions_of(&key_of(policy)).is_empty();
    match context.guard.seen() {
        Guard::Missing { why } if asked => Some(ConditionDraft {
            type_: "GuardMissing",
            status: ConditionStatus::True,
            reason: "GuardMissing".into(),
            message: Guard::complaint(&why),
        }),
        _ => None,
    }
}
