//! `OutboundRule`: reports what its workspace's lane knows of it, and keeps its object until the rule is settled. It never calls
//! Azure: all that concerns a workspace's rules happens in the workspace's lane.

use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};

use crate::api::common::{DeletionPolicy, ManagementPolicy};
use crate::api::outbound_rule::OutboundRuleStatus;
use crate::api::{AmlWorkspace, OutboundRule};
use crate::plan::names::rule_name;
use crate::plan::rule_body::RuleBody;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{key_of, workspace_key};
use crate::runtime::kind::Kind;
use crate::runtime::status::{Basis, fresh, has_finalizer};

use super::removals::workspace_going;

/// How many drifts a rule's status keeps.
const DRIFTS: usize = 10;

/// Looks at one rule.
///
/// # Errors
/// If Kubernetes does not take what is reported.
pub async fn reconcile(context: Arc<Context>, mut rule: OutboundRule) -> Result<Outcome, Error> {
    let key = key_of(&rule);
    if rule.metadata.deletion_timestamp.is_some() {
        return depart(&context, rule, &key).await;
    }
    if rule.spec.management_policy != Some(ManagementPolicy::Observe) && !has_finalizer(&rule) {
        if rule.status.is_none() {
            report(&context, &mut rule, Verdict::new(Reason::Pending, "waiting for the workspace's turn"), None)
                .await?;
        }
        context.status.hold(&mut rule).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let workspace_object = context.indexes.workspace(&workspace_key(&rule));
    if workspace_object.is_none() {
        let workspace = workspace_key(&rule);
        let verdict = Verdict::new(
            Reason::WorkspaceMissing,
            format!("there is no AmlWorkspace {:?} in namespace {:?}", workspace.name, workspace.namespace),
        );
        report(&context, &mut rule, verdict, None).await?;
        // The workspace's own arrival calls for the next look.
        return Ok(Outcome::Done);
    }
    let workspace_uid = workspace_object.and_then(|workspace| workspace.meta().uid.clone());
    let posting = context.board.read(&key).filter(|posting| {
        Some(&posting.workspace) == workspace_uid.as_ref()
            && Some(&posting.uid) == rule.metadata.uid.as_ref()
            && posting.generation == rule.metadata.generation
            && !posting.deleting
    });
    let Some(posting) = posting else {
        if rule.status.is_none() {
            report(&context, &mut rule, Verdict::new(Reason::Pending, "waiting for the workspace's turn"), None)
                .await?;
        }
        // The workspace's lane posts when it has looked; until then what was said stands.
        return Ok(Outcome::Done);
    };
    report(&context, &mut rule, posting.state.verdict.clone(), Some(&posting.state)).await?;
    Ok(Outcome::Done)
}

async fn report(
    context: &Context,
    rule: &mut OutboundRule,
    verdict: Verdict,
    state: Option<&crate::plan::rules::RuleState>,
) -> Result<(), Error> {
    let mut status: OutboundRuleStatus = rule.status.clone().unwrap_or_default();
    let derived = || rule_name(&context.installation, &rule.namespace().unwrap_or_default(), &rule.name_any());
    status.azure_name = Some(rule.spec.azure_name.clone().unwrap_or_else(derived));
    if let Some(body) = RuleBody::declared(&rule.spec) {
        status.type_ = Some(body.type_().to_owned());
        status.destination = Some(body.short());
    }
    if let Some(state) = state {
        status.service_status.clone_from(&state.service_status);
        status.missing_role.clone_from(&state.missing_role);
        for noticed in &state.drift {
            // What was noticed stays posted, so that it is never missed; it is told once.
            if !status.drift.contains(noticed) {
                context.metrics.drifted(OutboundRule::NAME);
                status.drift.push(noticed.clone());
            }
        }
        let overflow = status.drift.len().saturating_sub(DRIFTS);
        status.drift.drain(..overflow);
    }
    context.report(rule, status, &verdict, Vec::new(), Basis::Version).await?;
    Ok(())
}

/// The object is being deleted.
async fn depart(context: &Context, mut rule: OutboundRule, key: &ObjectKey) -> Result<Outcome, Error> {
    if !has_finalizer(&rule) {
        context.board.forget(key);
        return Ok(Outcome::Done);
    }
    let observes = rule.spec.management_policy == Some(ManagementPolicy::Observe);
    let note = if Context::abandoned(&rule) {
        Some("abandoned by annotation; whatever is left in Azure stays")
    } else if observes || rule.spec.deletion_policy == Some(DeletionPolicy::Retain) {
        Some("Azure keeps the rule")
    } else {
        None
    };
    if let Some(note) = note {
        return release(context, &rule, key, note).await;
    }
    let age =
        rule.metadata.deletion_timestamp.as_ref().and_then(|at| context.now().duration_since(at.0).try_into().ok());
    let left = context.pace.workspace_grace.saturating_sub(age.unwrap_or(Duration::ZERO));
    if workspace_going(&context.indexes, &rule) {
        // The index may be late: only a fresh read tells, and only after a while, because a tool that deletes a whole folder
        // may delete the rule first.
        if !left.is_zero() {
            return Ok(Outcome::Again(left));
        }
        let workspace = workspace_key(&rule);
        let found: Option<AmlWorkspace> = fresh(&context.kube, Some(&workspace.namespace), &workspace.name).await?;
        let going = found.is_none_or(|workspace| workspace.metadata.deletion_timestamp.is_some());
        if going || context.indexes.namespace(&workspace.namespace).1 {
            return release(
                context,
                &rule,
                key,
                "the workspace's object is gone or going; the rule stays with the workspace",
            )
            .await;
        }
        return Ok(Outcome::Again(context.pace.poll));
    }
    let posting =
        context.board.read(key).filter(|posting| Some(&posting.uid) == rule.metadata.uid.as_ref() && posting.deleting);
    if let Some(posting) = &posting {
        if posting.state.gone {
            return release(context, &rule, key, "the rule is gone from Azure").await;
        }
        report(context, &mut rule, posting.state.verdict.clone(), Some(&posting.state)).await?;
    } else {
        let verdict = Verdict::new(Reason::Deleting, "waiting for the workspace's turn to remove the rule");
        report(context, &mut rule, verdict, None).await?;
    }
    context.triggers.workspace(&workspace_key(&rule));
    Ok(Outcome::Again(left.max(context.pace.poll)))
}

async fn release(context: &Context, rule: &OutboundRule, key: &ObjectKey, note: &str) -> Result<Outcome, Error> {
    context.release(rule, note).await?;
    context.board.forget(key);
    Ok(Outcome::Done)
}
