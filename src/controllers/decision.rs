//! `ApprovalDecision`: reports what became of a person's decision. It writes nothing in Azure: the policy's turn does.

use std::sync::Arc;

use kube::ResourceExt;

use super::approval::weigh;
use crate::api::ApprovalDecision;
use crate::plan::decisions::target_of;
use crate::plan::targets::Targets;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::policy_key;
use crate::runtime::status::Basis;

/// Looks at one decision.
///
/// # Errors
/// If Kubernetes does not answer, or does not take what is reported.
pub async fn reconcile(context: Arc<Context>, mut decision: ApprovalDecision) -> Result<Outcome, Error> {
    if decision.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Done);
    }
    if context.guard.look().await? {
        context.tell_of_guard();
    }
    let Some(verdict) = judge(&context, &decision) else {
        // The policy's turn tells when it has looked; until then what was said stands.
        return Ok(Outcome::Done);
    };
    let status = decision.status.clone().unwrap_or_default();
    context.report(&mut decision, status, &verdict, Vec::new(), Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

/// What is known of the decision; `None` if that is what was reported before.
fn judge(context: &Context, decision: &ApprovalDecision) -> Option<Verdict> {
    let key = policy_key(decision);
    let Some(object) = context.indexes.policy(&key) else {
        let message = format!("there is no PrivateEndpointApproval {:?} in this namespace", key.name);
        return Some(Verdict::new(Reason::PolicyMissing, message));
    };
    let readable = object.0.as_ref().ok().filter(|policy| policy.metadata.deletion_timestamp.is_none());
    let targets = readable.and_then(|policy| Some((policy, Targets::of(&policy.spec.target).ok()?)));
    let Some((policy, targets)) = targets else {
        let message = format!("the PrivateEndpointApproval {:?} cannot be understood or is being deleted", key.name);
        return Some(Verdict::new(Reason::PolicyNotInForce, message));
    };
    let judged = weigh(context, policy, decision, false).and_then(|_| target_of(decision, &targets));
    if let Err(verdict) = judged {
        return Some(verdict);
    }
    let known = context.standings.read(&decision.uid().unwrap_or_default());
    let first = || Verdict::new(Reason::Pending, "waiting for the policy's turn");
    known.or_else(|| decision.status.is_none().then(first))
}
