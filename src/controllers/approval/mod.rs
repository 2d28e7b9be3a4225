//! `PrivateEndpointApproval`: lists a target's connections, asks `decide()`, and approves one at a time, read before and after. A
//! policy on a resource group does so on each target in it, as other policies on that target do.

mod approve;
mod cut;
mod depart;
mod look;
mod memory;
mod notice;
mod report;
mod requester;
mod settle;
mod sights;
mod survey;
mod votes;
mod withdraw;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::PrivateEndpointApproval;
use crate::api::approval::{AllowEntry, Mode};
use crate::api::common::ObjectRef;
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::ids::ArmId;
use crate::azure::private_link::Dialect;
use crate::controllers::removals::{cut_key, cuts, withdraws};
use crate::plan::approval::{Decision, Linked, Policy, Rule};
use crate::plan::decisions::Vote;
use crate::plan::fence::Fence;
use crate::plan::proof::SelfApproval;
use crate::plan::rules::ObjectKey;
use crate::plan::targets::Targets;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::key_of;
use crate::runtime::ledger::Page;
use crate::runtime::status::{Basis, has_finalizer};

pub(crate) use look::connections;
use look::{Looked, look};
use memory::remember;
use report::report;
pub use sights::Sights;
use survey::survey;
pub(crate) use votes::weigh;
use votes::{guard_condition, tell_blocked, votes};

/// Everything one turn on a target works with.
struct Turn<'a> {
    context: &'a Context,
    connected: &'a Connected,
    target: &'a ArmId,
    dialect: &'static Dialect,
    key: ObjectKey,
}

/// Looks at one policy: at each of its targets for which it is time, one after the other.
///
/// # Errors
/// If Kubernetes does not take what is reported.
pub async fn reconcile(context: Arc<Context>, mut policy: PrivateEndpointApproval) -> Result<Outcome, Error> {
    if policy.metadata.deletion_timestamp.is_some() {
        return depart::depart(&context, policy).await;
    }
    if policy.status.is_none() {
        let verdict = Verdict::new(Reason::Pending, "seen for the first time");
        context.report(&mut policy, Default::default(), &verdict, Vec::new(), Basis::Version).await?;
    }
    let (targets, dialect, connected) = match admit(&context, &policy) {
        Ok(admitted) => admitted,
        // What was said stands until a process that has just started has looked at the credential.
        Err(verdict) if verdict.reason == Reason::Pending => return Ok(Outcome::Reported(verdict)),
        Err(verdict) => return blocked(&context, &mut policy, verdict).await,
    };
    let (choice, trouble) = match survey(&context, &connected, &policy, &targets, dialect).await? {
        Ok(surveyed) => surveyed,
        Err(verdict) => return blocked(&context, &mut policy, verdict).await,
    };
    if !has_finalizer(&policy) && policy.spec.mode != Some(Mode::DryRun) {
        if let Err(verdict) = remember(&context, &policy, &targets, &choice.attended).await? {
            return blocked(&context, &mut policy, verdict).await;
        }
        context.status.hold(&mut policy).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let key = key_of(&policy);
    if withdraws(&context, &policy) {
        context.endings.expect(&policy.uid().unwrap_or_default(), choice.attended.iter().map(ArmId::key));
    }
    if cuts(&policy) {
        context.endings.expect(&cut_key(&policy), choice.attended.iter().map(ArmId::key));
    }
    let is_group = matches!(targets, Targets::Group { .. });
    let (mut again, mut failed) = (false, None);
    for target in &choice.attended {
        // A single target is looked at whenever its policy is: only in a group would that ask ARM for what nobody wants to know.
        if is_group && !context.sights.is_due(&key, target, context.now()) {
            continue;
        }
        let ticket = context.sights.ticket(&key);
        let turn = Turn { context: &context, connected: &connected, target, dialect, key: key.clone() };
        let looked = {
            let Some(_lane) = context.lanes.enter(lane(target)) else {
                again = true;
                continue;
            };
            match look(&turn, &policy).await {
                Ok(looked) => looked,
                // One target holds up no other.
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            }
        };
        match looked {
            Looked::Again => again = true,
            Looked::Said(sight, wait) => {
                // Approvals go first: requesters are asked once there is nothing else to do, and not in the target's lane. What they
                // say is taken in at once.
                let wait = if requester::ask(&turn).await { Duration::ZERO } else { wait };
                let now = context.now();
                context.sights.note(&key, target, sight, now.checked_add(wait).unwrap_or(now), ticket);
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    // Of one target there is something to say once nothing is left to do at once; of many, one that is busy keeps nothing back.
    if again && !(is_group && choice.attended.iter().all(|target| context.sights.has(&key, target))) {
        return Ok(Outcome::Again(context.pace.lane));
    }
    report(&context, &mut policy, &targets, &choice, trouble).await?;
    if again {
        return Ok(Outcome::Again(context.pace.lane));
    }
    let next = context.sights.next(&key).map(|next| Duration::try_from(next.duration_since(context.now())));
    Ok(Outcome::Again(next.and_then(Result::ok).unwrap_or_default().max(context.pace.lane)))
}

/// The lane of a target's connections: provisioning and rules of the same resource must not hold up approvals.
pub(crate) fn lane(target: &ArmId) -> String {
    format!("{}/privateendpointconnections", target.key())
}

/// How proofs name a policy.
fn name_of(key: &ObjectKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// What only the cluster has to say, before Azure is asked.
fn admit(
    context: &Context,
    policy: &PrivateEndpointApproval,
) -> Result<(Targets, &'static Dialect, Connected), Verdict> {
    let targets = Targets::of(&policy.spec.target).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))?;
    let dialect = Dialect::of(&targets.type_()).ok_or_else(|| {
        Verdict::new(
            Reason::UnsupportedTarget,
            format!("connections of {} are not known to the operator; it knows {}", targets.type_(), Dialect::known()),
        )
    })?;
    let connected = Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name)?;
    match &targets {
        Targets::One(target) => allowed(context, &connected, policy, target)?,
        // What it names may be asked for; what is found there is fenced one by one.
        Targets::Group { path, .. } => {
            fenced(context, &connected, policy, |fence| fence.allows_some(Verb::Approve, path))?
        }
    }
    Ok((targets, dialect, connected))
}

/// What `policy` decides on, if `target` is of it.
fn on_target(policy: &PrivateEndpointApproval, target: &ArmId) -> Option<Targets> {
    Targets::of(&policy.spec.target).ok().filter(|targets| targets.covers(target))
}

fn allowed(
    context: &Context,
    connected: &Connected,
    policy: &PrivateEndpointApproval,
    target: &ArmId,
) -> Result<(), Verdict> {
    fenced(context, connected, policy, |fence| fence.allows(Verb::Approve, target))
}

fn fenced(
    context: &Context,
    connected: &Connected,
    policy: &PrivateEndpointApproval,
    ask: impl FnOnce(&Fence<'_>) -> Result<(), Verdict>,
) -> Result<(), Verdict> {
    within(context, &connected.name, &connected.spec, policy, ask)
}

fn within<T>(
    context: &Context,
    name: &str,
    spec: &AzureConnectionSpec,
    policy: &PrivateEndpointApproval,
    ask: impl FnOnce(&Fence<'_>) -> T,
) -> T {
    let namespace = policy.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    ask(&Fence::new(name, spec, &namespace, &labels))
}

/// What the AzureConnection of `policy` calls its own, if its grants satisfy `ask`. Its credential does not matter: what a policy
/// rejects or holds must not be forgotten because a token is late.
fn granted(
    context: &Context,
    policy: &PrivateEndpointApproval,
    ask: impl FnOnce(&Fence<'_>) -> Result<(), Verdict>,
) -> Option<Vec<String>> {
    let name = &policy.spec.connection_ref.name;
    let object = context.indexes.connection(name)?;
    let connection = object.0.as_ref().ok()?;
    within(context, name, &connection.spec, policy, ask).ok().map(|()| connection.spec.own_subscriptions.clone())
}

/// The same for the right to approve on `target`.
fn may_approve(context: &Context, policy: &PrivateEndpointApproval, target: &ArmId) -> Option<Vec<String>> {
    granted(context, policy, |fence| fence.allows(Verb::Approve, target))
}

/// How long the policy is still in force; zero once its time is over, `None` if it has no end.
fn left(context: &Context, policy: &PrivateEndpointApproval) -> Option<Duration> {
    let end = policy.spec.expires_at.as_ref()?;
    // What lies in the past is a negative span, which no Duration can hold.
    Some(Duration::try_from(end.0.duration_since(context.now())).unwrap_or_default())
}

/// All policies in force on the target: whoever may approve there is asked, so that every turn decides alike.
fn policies(turn: &Turn<'_>, page: &Page) -> Vec<Policy> {
    policies_with(turn, page, |policy| votes(turn.context, policy, turn.target, page))
}

/// The same, with the votes that `votes` finds for each.
fn policies_with(turn: &Turn<'_>, page: &Page, votes: impl Fn(&PrivateEndpointApproval) -> Vec<Vote>) -> Vec<Policy> {
    policies_on(turn.context, turn.target, &page.self_approvals, votes)
}

/// All policies in force on `target`.
fn policies_on(
    context: &Context,
    target: &ArmId,
    self_approvals: &[SelfApproval],
    votes: impl Fn(&PrivateEndpointApproval) -> Vec<Vote>,
) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for object in context.indexes.policies_on(target) {
        let Ok(policy) = &object.0 else { continue };
        if policy.metadata.deletion_timestamp.is_some() {
            continue;
        }
        if let Some(own_subscriptions) = may_approve(context, policy, target) {
            policies.push(Policy {
                key: key_of(policy),
                allow: policy.spec.allow.clone(),
                reject: policy.spec.reject.clone(),
                hold: policy.spec.hold.clone(),
                limits: policy.spec.limits.clone(),
                require_approvers: policy.spec.require_approvers,
                votes: votes(policy),
                self_approvals: self_approvals.to_vec(),
                expired: left(context, policy).is_some_and(|left| left.is_zero()),
                acts: !policy.spec.suspend && policy.spec.mode != Some(Mode::DryRun),
                own_subscriptions,
                linked: linked(context, policy, target),
            });
        }
    }
    policies.sort_by(|a, b| a.key.cmp(&b.key));
    policies
}

/// The endpoints on `target` of the objects that the allow entries of `policy` link to, by the entry's place in the list. An object that is
/// missing, unreadable, going or of another connection has none.
fn linked(context: &Context, policy: &PrivateEndpointApproval, target: &ArmId) -> BTreeMap<usize, Vec<Linked>> {
    let connection = &policy.spec.connection_ref.name;
    let endpoints = |entry: &AllowEntry| {
        if let Some(named) = &entry.vnet_attachment_ref {
            let found = super::vnet_attachment::endpoints_on(context, &named_by(policy, named), connection, target);
            return Some(found.into_iter().map(Linked::by_id).collect());
        }
        let named = entry.synapse_link_ref.as_ref()?;
        Some(super::synapse_link::endpoints_on(context, &named_by(policy, named), connection, target))
    };
    let entries = policy.spec.allow.iter().enumerate();
    entries.filter_map(|(index, entry)| Some((index, endpoints(entry)?))).collect()
}

/// The object that `policy` means by `named`.
fn named_by(policy: &PrivateEndpointApproval, named: &ObjectRef) -> ObjectKey {
    let namespace = named.namespace.clone().or_else(|| policy.namespace()).unwrap_or_default();
    ObjectKey { namespace, name: named.name.clone() }
}

/// The SynapseLink by which `policy` decided to allow, if it was by one.
fn link_behind(policy: &PrivateEndpointApproval, decision: &Decision) -> Option<ObjectKey> {
    let own = key_of(policy);
    let mut rules = decision.rules.iter().filter(|rule| rule.policy == own && rule.list == "allow");
    let named = rules.find_map(|rule| policy.spec.allow.get(rule.index)?.synapse_link_ref.as_ref())?;
    Some(named_by(policy, named))
}

/// Whether the policies on `target` let `workspace` approve the connection that its rule to `sub_resource` raises there.
///
/// # Errors
/// With the verdict to report if not.
pub(crate) fn leave(
    context: &Context,
    target: &ArmId,
    workspace: &ObjectKey,
    sub_resource: Option<&str>,
) -> Result<Rule, Verdict> {
    // What people decided is about connections that are there.
    crate::plan::approval::leave(workspace, target, sub_resource, &policies_on(context, target, &[], |_| Vec::new()))
}

/// Reports a verdict that stops before a decision. What was known stays, except of a target that the policy has no say on: what a
/// status claims to know of that was written by somebody else, or holds no more.
async fn blocked(context: &Context, policy: &mut PrivateEndpointApproval, verdict: Verdict) -> Result<Outcome, Error> {
    tell_blocked(context, policy, &verdict);
    let no_say = matches!(verdict.reason, Reason::ScopeNotAllowed | Reason::UnsupportedTarget | Reason::Invalid);
    let status = policy.status.clone().filter(|_| !no_say).unwrap_or_default();
    context
        .report(policy, status, &verdict, guard_condition(context, policy).into_iter().collect(), Basis::Version)
        .await?;
    Ok(Outcome::Reported(verdict))
}
