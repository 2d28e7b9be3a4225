//! `PrivateEndpointApproval`: lists a target's connections, asks `decide()`, and approves one at a time, read before and after.

mod approve;
mod cut;
mod depart;
mod notice;
mod report;
mod requester;
mod settle;
mod votes;
mod withdraw;
mod write;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::PrivateEndpointApproval;
use crate::api::approval::{DecisionWord, Mode};
use crate::api::condition::rfc3339;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::error::ArmError;
use crate::azure::private_link::{Connection, Dialect, Listing};
use crate::plan::approval::{Decision, Policy, acts, decide_all, next, unreadable};
use crate::plan::decisions::Vote;
use crate::plan::fence::Fence;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::key_of;
use crate::runtime::ledger::{LedgerError, OpenPage, Page};
use crate::runtime::status::{Basis, has_finalizer};
use crate::telemetry::ConnectionsOnTarget;

use approve::{approve, reject};
use cut::cut;
use notice::notice;
use report::report;
use requester::{hear, withdraw_unproven};
use settle::settle;
pub(crate) use votes::weigh;
use votes::{believed_votes, guard_condition, spend, tell_blocked, votes};
use withdraw::{Ending, expired};
use write::waiting;

/// Everything one turn on a target works with.
struct Turn<'a> {
    context: &'a Context,
    connected: &'a Connected,
    target: &'a ArmId,
    dialect: &'static Dialect,
    key: ObjectKey,
}

/// Looks at one policy.
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
    let (target, dialect, connected) = match admit(&context, &policy) {
        Ok(admitted) => admitted,
        Err(verdict) => return blocked(&context, &mut policy, verdict).await,
    };
    let turn = Turn { context: &context, connected: &connected, target: &target, dialect, key: key_of(&policy) };
    let outcome = {
        let Some(_lane) = context.lanes.enter(lane(&target)) else {
            return Ok(Outcome::Again(context.pace.lane));
        };
        attend(&turn, &mut policy).await?
    };
    // Approvals go first: requesters are asked once the turn has nothing else to do.
    let busy = outcome == Outcome::Again(context.pace.lane);
    Ok(if !busy && requester::ask(&turn).await { Outcome::Again(context.pace.lane) } else { outcome })
}

/// The lane of a target's connections: provisioning and rules of the same resource must not hold up approvals.
fn lane(target: &ArmId) -> String {
    format!("{}/privateendpointconnections", target.key())
}

/// How proofs name a policy.
fn name_of(key: &ObjectKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// What only the cluster has to say, before Azure is asked.
fn admit(context: &Context, policy: &PrivateEndpointApproval) -> Result<(ArmId, &'static Dialect, Connected), Verdict> {
    let target = ArmId::parse(&policy.spec.target.resource_id)
        .map_err(|error| Verdict::new(Reason::Invalid, format!("target.resourceId: {error}")))?;
    let dialect = Dialect::of(&target.type_()).ok_or_else(|| {
        Verdict::new(
            Reason::UnsupportedTarget,
            format!("connections of {} are not known to the operator; it knows {}", target.type_(), Dialect::known()),
        )
    })?;
    let connected = Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name)?;
    allowed(context, &connected, policy, &target)?;
    Ok((target, dialect, connected))
}

fn allowed(
    context: &Context,
    connected: &Connected,
    policy: &PrivateEndpointApproval,
    target: &ArmId,
) -> Result<(), Verdict> {
    let namespace = policy.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    Fence::new(&connected.name, &connected.spec, &namespace, &labels).allows(Verb::Approve, target)
}

/// How long the policy is still in force; zero once its time is over, `None` if it has no end.
fn left(context: &Context, policy: &PrivateEndpointApproval) -> Option<Duration> {
    let end = policy.spec.expires_at.as_ref()?;
    // What lies in the past is a negative span, which no Duration can hold.
    Some(Duration::try_from(end.0.duration_since(context.now())).unwrap_or_default())
}

/// All policies in force on the target: whoever may approve there is asked, so that every turn decides alike.
fn policies(turn: &Turn<'_>, page: &Page) -> Vec<Policy> {
    policies_with(turn, |policy| votes(turn.context, policy, turn.target, page))
}

/// The same, with the votes that `votes` finds for each.
fn policies_with(turn: &Turn<'_>, votes: impl Fn(&PrivateEndpointApproval) -> Vec<Vote>) -> Vec<Policy> {
    let context = turn.context;
    let mut policies: Vec<Policy> = Vec::new();
    for object in context.indexes.approvals.state() {
        let Ok(policy) = &object.0 else { continue };
        let on_target = ArmId::parse(&policy.spec.target.resource_id).is_ok_and(|target| target == *turn.target);
        if !on_target || policy.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let name = &policy.spec.connection_ref.name;
        let Ok(connected) = Connected::find(&context.indexes, &context.clients, name) else { continue };
        if allowed(context, &connected, policy, turn.target).is_ok() {
            policies.push(Policy {
                key: key_of(policy),
                allow: policy.spec.allow.clone(),
                reject: policy.spec.reject.clone(),
                hold: policy.spec.hold.clone(),
                limits: policy.spec.limits.clone(),
                require_approvers: policy.spec.require_approvers,
                votes: votes(policy),
                expired: left(context, policy).is_some_and(|left| left.is_zero()),
                own_subscriptions: connected.spec.own_subscriptions.clone(),
            });
        }
    }
    policies.sort_by(|a, b| a.key.cmp(&b.key));
    policies
}

async fn attend(turn: &Turn<'_>, policy: &mut PrivateEndpointApproval) -> Result<Outcome, Error> {
    let context = turn.context;
    let observes = policy.spec.mode == Some(Mode::DryRun);
    let mut page = match open(turn, policy).await? {
        Ok(page) => page,
        Err(verdict) => return blocked(context, policy, verdict).await,
    };
    if !has_finalizer(policy) && !observes {
        // The page first: from then on, the finalizer without a page means that memory was lost.
        if page.is_missing() {
            context.ledger.save(turn.target, &mut page).await?;
        }
        context.status.finalizer(policy, true).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let connections = match list(turn).await {
        Ok(connections) => connections,
        Err(verdict) => return blocked(context, policy, verdict).await,
    };
    let before = page.page.seen.clone();
    page.page.see(&connections, &rfc3339(context.now()));
    if page.page.seen != before {
        context.ledger.save(turn.target, &mut page).await?;
    }
    context.metrics.connections(&turn.target.key(), Some(shown(&connections, &page.page)));
    if let Some(verdict) = settle(turn, policy, &connections, &mut page).await? {
        report(turn, policy, &decided(turn, &connections, &page.page), &page, verdict.clone()).await?;
        return Ok(Outcome::Reported(verdict));
    }
    if spend(context, &mut page.page) {
        context.ledger.save(turn.target, &mut page).await?;
    }
    let follows = hear(turn, policy, &connections, &mut page).await?;
    let decided = decided(turn, &connections, &page.page);
    notice(turn, policy, &decided, &mut page).await?;
    if let Some(verdict) = withdraw_unproven(turn, policy, &connections, &page).await? {
        report(turn, policy, &decided, &page, verdict.clone()).await?;
        return Ok(Outcome::Reported(verdict));
    }
    let held = if policy.spec.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is approved or rejected (spec.suspend)"))
    } else {
        turn.connected.holds_writes().filter(|_| !observes)
    };
    let waits = |connection: &Connection| waiting(turn, connection).is_some();
    let next = next(&turn.key, &decided, &page.page.asked, waits).filter(|_| !observes && held.is_none());
    if let Some((connection, decision)) = next {
        let done = match decision.word {
            DecisionWord::Rejected => reject(turn, policy, connection, decision, &page.page).await?,
            _ => approve(turn, policy, connection, decision, &mut page).await?,
        };
        if let Err(verdict) = done {
            report(turn, policy, &decided, &page, verdict.clone()).await?;
            return Ok(Outcome::Reported(verdict));
        }
        // One at a time: the next one is looked for on a fresh list.
        return Ok(Outcome::Again(context.pace.lane));
    }
    let cutting = match cut(turn, policy, &connections, &page.page, observes || held.is_some()).await? {
        None => None,
        Some(Ending::Again) => return Ok(Outcome::Again(context.pace.lane)),
        Some(Ending::Waits(verdict) | Ending::Over(verdict)) => Some(verdict),
    };
    let left = left(context, policy);
    let over = match left.filter(Duration::is_zero) {
        Some(_) => match expired(turn, policy, &decided, &mut page, held.is_some()).await? {
            Ending::Again => return Ok(Outcome::Again(context.pace.lane)),
            Ending::Waits(verdict) | Ending::Over(verdict) => Some(verdict),
        },
        None => {
            context.endings.forget(&policy.uid().unwrap_or_default());
            None
        }
    };
    let invalid = unreadable(&policy.spec.allow).map(|fault| {
        let message = format!(
            "nothing is allowed by this policy until it is corrected; what it rejects and holds stays so: {fault}"
        );
        Verdict::new(Reason::Invalid, message)
    });
    let verdict = held.or(invalid).or_else(|| refusals(turn, &decided)).or(cutting).or(over).unwrap_or_else(|| {
        if observes {
            let message = format!(
                "decides on the connections of {}, and neither approves nor rejects: status.connections says what it would \
                 do. Take spec.mode out to let it act",
                turn.target
            );
            return Verdict::new(Reason::DryRun, message);
        }
        Verdict::new(Reason::InForce, format!("decides on the connections of {}", turn.target))
    });
    report(turn, policy, &decided, &page, verdict.clone()).await?;
    let uid = policy.uid().unwrap_or_default();
    let again = context.requeue(&uid, &verdict).min(if follows { context.pace.poll } else { context.pace.connections });
    Ok(Outcome::Again(left.filter(|left| !left.is_zero()).map_or(again, |left| again.min(left))))
}

/// What the target shows, for the metrics.
fn shown(connections: &[Connection], page: &Page) -> ConnectionsOnTarget {
    let mut shown = ConnectionsOnTarget::default();
    for connection in connections {
        *shown.by_state.entry(connection.state.clone()).or_default() += 1;
    }
    let pending = connections.iter().filter(|connection| connection.is_pending());
    let since = pending.filter_map(|connection| page.first_seen(connection)?.parse::<jiff::Timestamp>().ok());
    shown.oldest_pending = since.min().map(jiff::Timestamp::as_second);
    shown
}

/// What Azure refused of what this policy decided, and will be asked again later.
fn refusals(turn: &Turn<'_>, decided: &[(Connection, Decision)]) -> Option<Verdict> {
    let mut refused = decided
        .iter()
        .filter(|(connection, decision)| acts(&turn.key, connection, decision))
        .filter_map(|(connection, _)| waiting(turn, connection));
    let mut first = refused.next()?;
    let more = refused.count();
    if more > 0 {
        first.message.push_str(&format!(". The same goes for {more} more; see status.connections"));
    }
    Some(first)
}

/// Opens the target's page of the ledger. The inner error is what to say if nothing may be done without it: it cannot be read, or is
/// gone although a policy in force has attended the target.
async fn open(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> Result<Result<OpenPage, Verdict>, Error> {
    let ledger = &turn.context.ledger;
    let lost = match ledger.open(turn.target).await {
        Ok(page) if page.is_missing() && (has_finalizer(policy) || is_attended(turn)) => ledger.gone(turn.target),
        Ok(page) => return Ok(Ok(page)),
        Err(error @ LedgerError::Damaged { .. }) => error,
        Err(error) => return Err(error.into()),
    };
    let message = format!("nothing is approved while the ledger cannot be read: {lost}");
    Ok(Err(Verdict::new(Reason::LedgerDamaged, message)))
}

/// True if a policy whose namespace may approve on the target has attended it.
fn is_attended(turn: &Turn<'_>) -> bool {
    let context = turn.context;
    context.indexes.approvals.state().iter().filter_map(|object| object.0.as_ref().ok()).any(|policy| {
        let on_target = ArmId::parse(&policy.spec.target.resource_id).is_ok_and(|target| target == *turn.target);
        let connected = || Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name);
        on_target
            && has_finalizer(policy)
            && connected().is_ok_and(|connected| allowed(context, &connected, policy, turn.target).is_ok())
    })
}

/// Reads all connections on the target, as its dialect lists them.
async fn list(turn: &Turn<'_>) -> Result<Vec<Connection>, Verdict> {
    let failed = |error: &ArmError| Verdict::of_error("listing the target's connections", error);
    let client = &turn.connected.client;
    let listed = match turn.dialect.listing {
        Listing::Children => {
            let path = format!("{}/privateEndpointConnections", turn.target);
            client.list(&path, turn.dialect.api_version, Priority::Resync).await.map_err(|error| failed(&error))?
        }
        Listing::Member(version) => {
            let target = client.get(&turn.target.to_string(), version, Priority::Resync).await;
            let target = target.map_err(|error| failed(&error))?;
            target["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default()
        }
    };
    Ok(listed.iter().filter_map(Connection::read).collect())
}

fn decided(turn: &Turn<'_>, connections: &[Connection], page: &Page) -> Vec<(Connection, Decision)> {
    decide_all(connections, turn.dialect, &policies(turn, page))
}

/// What would be decided if every person's approval counted whose only fault is that the guard does not vouch for it.
fn believed(turn: &Turn<'_>, connections: &[Connection], page: &Page) -> Vec<(Connection, Decision)> {
    let policies = policies_with(turn, |policy| believed_votes(turn.context, policy, turn.target, page));
    decide_all(connections, turn.dialect, &policies)
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
