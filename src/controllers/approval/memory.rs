//! The ledger, as policies on targets use it: what has to be written before a target is attended, and what it means if that is
//! gone. A page is a target's; a group has one too, which names the targets attended there, so that a page that is gone can be
//! told from a resource that is new.

use super::{granted, may_approve, on_target};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::Mode;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::plan::targets::{Targets, remembered};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::ledger::{LedgerError, OpenPage};
use crate::runtime::status::has_finalizer;

/// How many targets the page of a group keeps: more than policies decide on, so that only what is gone from it falls off.
const KEPT: usize = 400;

fn damaged(error: &LedgerError) -> Verdict {
    let message = format!("nothing is approved while the ledger cannot be read: {error}");
    Verdict::new(Reason::LedgerDamaged, message)
}

/// Opens a target's page of the ledger. The inner error is what to say if nothing may be done without it: it cannot be read, or
/// is gone although a policy in force has attended the target.
pub(super) async fn open(
    context: &Context,
    policy: &PrivateEndpointApproval,
    target: &ArmId,
) -> Result<Result<OpenPage, Verdict>, Error> {
    let lost = match context.ledger.open(target).await {
        Ok(page) if page.is_missing() => {
            let alone = matches!(on_target(policy, target), Some(Targets::One(_)));
            if (alone && has_finalizer(policy)) || is_attended(context, target).await? {
                context.ledger.gone(target)
            } else {
                return Ok(Ok(page));
            }
        }
        Ok(page) => return Ok(Ok(page)),
        Err(error @ LedgerError::Damaged { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    Ok(Err(damaged(&lost)))
}

/// True if a policy whose namespace may approve on the target has attended it.
async fn is_attended(context: &Context, target: &ArmId) -> Result<bool, Error> {
    let mut by_group = false;
    for object in context.indexes.policies_on(target) {
        let Ok(policy) = &object.0 else { continue };
        let Some(targets) = on_target(policy, target).filter(|_| has_finalizer(policy)) else { continue };
        if may_approve(context, policy, target).is_some() {
            if matches!(targets, Targets::One(_)) {
                return Ok(true);
            }
            by_group = true;
        }
    }
    if !by_group {
        return Ok(false);
    }
    Ok(match context.ledger.open(Targets::around(target).path()).await {
        Ok(page) => page.is_missing() || page.page.targets.iter().any(|id| id.eq_ignore_ascii_case(target.as_str())),
        // What cannot be read may name it.
        Err(LedgerError::Damaged { .. }) => true,
        Err(error) => return Err(error.into()),
    })
}

/// True if a policy whose namespace may approve on some of the group has attended it: then a page that is missing was lost, also for
/// a policy that is new there.
fn is_group_attended(context: &Context, targets: &Targets) -> bool {
    context.indexes.policies_meeting(targets).iter().filter_map(|object| object.0.as_ref().ok()).any(|policy| {
        let same = Targets::of(&policy.spec.target).is_ok_and(|other| other == *targets);
        let may = || granted(context, policy, |fence| fence.allows_some(Verb::Approve, targets.path()));
        same && has_finalizer(policy) && may().is_some()
    })
}

/// The targets of a group that are attended, as its page of the ledger names them. The inner error is what to say if that is
/// lost.
pub(super) async fn attended_before(
    context: &Context,
    policy: &PrivateEndpointApproval,
    targets: &Targets,
) -> Result<Result<Vec<ArmId>, Verdict>, Error> {
    Ok(match context.ledger.open(targets.path()).await {
        Ok(page) if page.is_missing() && (has_finalizer(policy) || is_group_attended(context, targets)) => {
            Err(damaged(&context.ledger.gone(targets.path())))
        }
        Ok(page) => {
            let ids = page.page.targets.iter().filter_map(|id| ArmId::parse(id).ok());
            Ok(ids.filter(|id| targets.covers(id)).collect())
        }
        Err(error @ LedgerError::Damaged { .. }) => Err(damaged(&error)),
        Err(error) => return Err(error.into()),
    })
}

/// Writes down that `attended` are attended now, each after it has a page of its own: from then on, one that is missing means that
/// memory was lost.
pub(super) async fn enroll(
    context: &Context,
    policy: &PrivateEndpointApproval,
    targets: &Targets,
    attended: &[ArmId],
) -> Result<(), Error> {
    if policy.spec.mode == Some(Mode::DryRun) {
        return Ok(());
    }
    let ledger = &context.ledger;
    let mut group = ledger.open(targets.path()).await?;
    let mut known: Vec<ArmId> = Vec::new();
    let mut changed = group.is_missing();
    for target in attended {
        if !group.page.targets.iter().any(|known| known.eq_ignore_ascii_case(target.as_str())) {
            // A page that cannot be read, or is lost, is for the look at the target to tell.
            let Ok(mut page) = ledger.open(target).await else { continue };
            if page.is_missing() {
                if is_attended(context, target).await? {
                    continue;
                }
                ledger.save(target, &mut page).await?;
            }
            changed = true;
        }
        known.push(target.clone());
    }
    if changed {
        group.page.targets = remembered(&group.page.targets, &known, KEPT);
        ledger.save(targets.path(), &mut group).await?;
    }
    Ok(())
}

/// Writes down what has to be there before `policy` gets its finalizer. The inner error is what to say if that cannot be.
pub(super) async fn remember(
    context: &Context,
    policy: &PrivateEndpointApproval,
    targets: &Targets,
    attended: &[ArmId],
) -> Result<Result<(), Verdict>, Error> {
    match targets {
        Targets::One(target) => match open(context, policy, target).await? {
            Ok(mut page) if page.is_missing() => context.ledger.save(target, &mut page).await?,
            Ok(_) => {}
            Err(verdict) => return Ok(Err(verdict)),
        },
        Targets::Group { .. } => enroll(context, policy, targets, attended).await?,
    }
    Ok(Ok(()))
}
