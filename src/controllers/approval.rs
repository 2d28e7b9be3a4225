//! `PrivateEndpointApproval`: lists a target's connections, asks `decide()`, and approves one at a time, read before and after.

use std::sync::Arc;

use kube::ResourceExt;
use reqwest::Method;
use tracing::{info, warn};

use crate::api::approval::{ConnectionReport, DecisionWord, PrivateEndpointApprovalStatus};
use crate::api::common::ManagementPolicy;
use crate::api::condition::{ConditionDraft, ConditionStatus, rfc3339};
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::{AzureConnection, PrivateEndpointApproval};
use crate::azure::client::Priority;
use crate::azure::error::clean;
use crate::azure::private_link::{Connection, Dialect};
use crate::plan::approval::{Decision, Policy, Proof, Proven, decide, next, prove};
use crate::plan::fence::Fence;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::key_of;
use crate::runtime::ledger::{Approval, LedgerError, OpenPage};
use crate::runtime::status::{Basis, WriteError, fresh, has_finalizer};
use crate::telemetry::AUDIT;

/// How many connections the status lists.
const LISTED: usize = 100;

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
        return depart(&context, policy).await;
    }
    if policy.status.is_none() {
        let verdict = Verdict::new(Reason::Pending, "seen for the first time");
        context.report(&mut policy, Default::default(), &verdict, Vec::new(), Basis::Version).await?;
    }
    if !has_finalizer(&policy) && policy.spec.management_policy != Some(ManagementPolicy::Observe) {
        context.status.finalizer(&policy, true).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let (target, dialect, connected) = match admit(&context, &policy) {
        Ok(admitted) => admitted,
        Err(verdict) => return blocked(&context, &mut policy, verdict).await,
    };
    let Some(_lane) = context.lanes.enter(lane(&target)) else {
        return Ok(Outcome::Again(context.pace.lane));
    };
    let turn = Turn { context: &context, connected: &connected, target: &target, dialect, key: key_of(&policy) };
    attend(&turn, &mut policy).await
}

/// The object is being deleted. What was approved stays approved; an approval whose end is not known is settled first, so that no
/// exchanged endpoint stays approved because nobody looks any more.
async fn depart(context: &Context, mut policy: PrivateEndpointApproval) -> Result<Outcome, Error> {
    if !has_finalizer(&policy) {
        return Ok(Outcome::Done);
    }
    let done = "Azure keeps what was approved";
    let target = ArmId::parse(&policy.spec.target.resource_id).ok();
    let known = target.as_ref().and_then(|target| Some((target, Dialect::of(&target.type_())?)));
    let Some((target, dialect)) = known.filter(|_| !Context::abandoned(&policy)) else {
        context.release(&policy, done).await?;
        return Ok(Outcome::Done);
    };
    let Some(_lane) = context.lanes.enter(lane(target)) else { return Ok(Outcome::Again(context.pace.lane)) };
    let key = key_of(&policy);
    let own = |page: &OpenPage| page.page.proofs.iter().any(|proof| proof.policy == name_of(&key));
    let mut page = match context.ledger.open(target).await {
        Ok(page) if own(&page) => page,
        Ok(_) | Err(LedgerError::Damaged { .. }) => {
            context.release(&policy, done).await?;
            return Ok(Outcome::Done);
        }
        Err(error) => return Err(error.into()),
    };
    let connected = match Connected::find(&context.indexes, &context.clients, &policy.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(mut verdict) => {
            verdict.message.push_str(&format!(
                ". An approval of this policy has to be settled first; to let go all the same, annotate this object with \
                 aml-operator.io/abandon: {}",
                policy.uid().unwrap_or_default()
            ));
            return blocked(context, &mut policy, verdict).await;
        }
    };
    let turn = Turn { context, connected: &connected, target, dialect, key: key.clone() };
    let connections = match list(&turn).await {
        Ok(connections) => connections,
        Err(verdict) => return blocked(context, &mut policy, verdict).await,
    };
    match settle(&turn, &policy, &connections, &mut page).await? {
        Some(verdict) if own(&page) => blocked(context, &mut policy, verdict).await,
        _ => {
            context.release(&policy, done).await?;
            Ok(Outcome::Done)
        }
    }
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

/// All policies in force on the target: whoever may approve there is asked, so that every turn decides alike.
fn policies(turn: &Turn<'_>) -> Vec<Policy> {
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
                own_subscriptions: connected.spec.own_subscriptions.clone(),
            });
        }
    }
    policies.sort_by(|a, b| a.key.cmp(&b.key));
    policies
}

async fn attend(turn: &Turn<'_>, policy: &mut PrivateEndpointApproval) -> Result<Outcome, Error> {
    let context = turn.context;
    let connections = match list(turn).await {
        Ok(connections) => connections,
        Err(verdict) => return blocked(context, policy, verdict).await,
    };
    let mut page = match context.ledger.open(turn.target).await {
        Ok(page) => page,
        Err(LedgerError::Damaged { name, what }) => {
            let verdict = Verdict::new(
                Reason::LedgerDamaged,
                format!("nothing is approved while the ledger cannot be read: {}", LedgerError::Damaged { name, what }),
            );
            return blocked(context, policy, verdict).await;
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(verdict) = settle(turn, policy, &connections, &mut page).await? {
        report(turn, policy, &decided(turn, &connections), verdict.clone()).await?;
        return Ok(Outcome::Reported(verdict));
    }
    let decided = decided(turn, &connections);
    let observes = policy.spec.management_policy == Some(ManagementPolicy::Observe);
    let held = if policy.spec.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is approved (spec.suspend)"))
    } else {
        turn.connected.holds_writes().filter(|_| !observes)
    };
    let next = next(&turn.key, &decided).filter(|_| !observes && held.is_none());
    if let Some(connection) = next {
        if let Err(verdict) = approve(turn, policy, connection, &mut page).await? {
            report(turn, policy, &decided, verdict.clone()).await?;
            return Ok(Outcome::Reported(verdict));
        }
        // One at a time: the next one is looked for on a fresh list.
        return Ok(Outcome::Again(std::time::Duration::ZERO));
    }
    let verdict = held.unwrap_or_else(|| {
        let word = if observes { "decides, and with Observe approves nothing" } else { "decides" };
        Verdict::new(Reason::InForce, format!("{word} on the connections of {}", turn.target))
    });
    report(turn, policy, &decided, verdict.clone()).await?;
    let uid = policy.uid().unwrap_or_default();
    Ok(Outcome::Again(context.requeue(&uid, &verdict).min(context.pace.connections)))
}

async fn list(turn: &Turn<'_>) -> Result<Vec<Connection>, Verdict> {
    let path = format!("{}/privateEndpointConnections", turn.target);
    let listed = turn.connected.client.list(&path, turn.dialect.api_version, Priority::Resync).await;
    let listed = listed.map_err(|error| Verdict::of_error("listing the target's connections", &error))?;
    Ok(listed.iter().filter_map(Connection::read).collect())
}

fn decided(turn: &Turn<'_>, connections: &[Connection]) -> Vec<(Connection, Decision)> {
    let policies = policies(turn);
    connections.iter().map(|connection| (connection.clone(), decide(connection, &policies))).collect()
}

/// Settles approvals whose end is not known, before anything new is decided.
async fn settle(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connections: &[Connection],
    page: &mut OpenPage,
) -> Result<Option<Verdict>, Error> {
    let context = turn.context;
    let mut open = Vec::new();
    let mut failed = None;
    let before = page.page.clone();
    for proof in std::mem::take(&mut page.page.proofs) {
        let shown = connections.iter().find(|connection| connection.name == proof.connection);
        match prove(&proof, shown) {
            Proven::Approved => approved(turn, policy, &proof, None, page).await,
            // Whatever is shown now: a request without an answer may still arrive.
            Proven::Gone | Proven::NotYet if rested(context, &proof) => {}
            Proven::Gone | Proven::NotYet => open.push(proof),
            Proven::Exchanged { .. } if turn.connected.is_read_only() => {
                failed = turn.connected.holds_writes();
                open.push(proof);
            }
            Proven::Exchanged { found } => {
                if let Some(verdict) = withdraw(turn, policy, &proof, shown, &found).await {
                    failed = Some(verdict);
                    open.push(proof);
                }
            }
        }
    }
    page.page.proofs = open;
    if page.page != before {
        context.ledger.save(turn.target, page).await?;
    }
    let unknown = || {
        let message = "an approval is under way; nothing else is approved here until Azure shows what became of it";
        Verdict::new(Reason::Updating, message).after(Some(context.pace.poll))
    };
    Ok(failed.or_else(|| (!page.page.proofs.is_empty()).then(unknown)))
}

fn rested(context: &Context, proof: &Proof) -> bool {
    let started = proof.started_at.parse::<jiff::Timestamp>().ok();
    started.is_none_or(|at| {
        let age: std::time::Duration = context.now().duration_since(at).try_into().unwrap_or_default();
        age >= context.pace.rest
    })
}

/// Records an approval that took effect: in the ledger's page, the audit log, the metrics and as an event.
async fn approved(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    proof: &Proof,
    request_id: Option<String>,
    page: &mut OpenPage,
) {
    let context = turn.context;
    page.page.proofs.retain(|open| open != proof);
    page.page.approvals.push(Approval {
        connection: proof.connection.clone(),
        endpoint: proof.endpoint.clone(),
        policy: proof.policy.clone(),
        at: rfc3339(context.now()),
        request_id: request_id.clone(),
    });
    context.metrics.decided("approved");
    info!(
        target: AUDIT, policy = proof.policy, target_id = %turn.target, connection = proof.connection,
        requester = proof.endpoint, request_id, "approved"
    );
    let note = format!("approved {} from {} on {}", proof.connection, clean(&proof.endpoint, 512), turn.target);
    context.events.publish(policy, false, "Approved", &note).await;
}

/// Approves `connection`. The inner error is what to say if it could not be done.
async fn approve(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    page: &mut OpenPage,
) -> Result<Result<(), Verdict>, Error> {
    let context = turn.context;
    let now: Option<PrivateEndpointApproval> = fresh(&context.kube, Some(&turn.key.namespace), &turn.key.name).await?;
    let unchanged = now.is_some_and(|now| {
        now.uid() == policy.uid()
            && now.metadata.generation == policy.metadata.generation
            && now.metadata.deletion_timestamp.is_none()
    });
    let connection_now: Option<AzureConnection> = fresh(&context.kube, None, &turn.connected.name).await?;
    // A grant that was taken back a moment ago must not be used once more.
    let granted = connection_now.is_some_and(|now| now.uid() == turn.connected.uid && now.spec == turn.connected.spec);
    if !unchanged || !granted {
        return Err(WriteError::Outdated.into());
    }
    // Read right before: what is approved is exactly what was decided on.
    let before = match read(turn, &connection.name).await {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let still = before.as_ref().is_some_and(|before| {
        before.is_pending()
            && before.endpoint.eq_ignore_ascii_case(&connection.endpoint)
            && decide(before, &policies(turn)).policies.contains(&turn.key)
    });
    let Some(before) = before.filter(|_| still) else { return Err(WriteError::Outdated.into()) };
    let proof = Proof {
        connection: before.name.clone(),
        endpoint: before.endpoint.clone(),
        policy: name_of(&turn.key),
        started_at: rfc3339(context.now()),
    };
    page.page.proofs.push(proof.clone());
    context.ledger.save(turn.target, page).await?;
    let body = turn.dialect.body(&before, "Approved", &format!("Approved by policy {}", proof.policy));
    let path = path(turn, &before.name);
    let answer =
        turn.connected.client.send(Method::PUT, &path, turn.dialect.api_version, Some(&body), Priority::Urgent).await;
    context.metrics.operation_started("PUT privateEndpointConnections");
    let request_id = match answer {
        Ok(accepted) => accepted.request_id,
        Err(error) if error.outcome_unknown() => {
            return Ok(Err(Verdict::of_error("no answer came to the approval", &error).after(Some(context.pace.poll))));
        }
        Err(error) => {
            page.page.proofs.retain(|open| *open != proof);
            context.ledger.save(turn.target, page).await?;
            return Ok(Err(Verdict::of_error(&format!("approving {}", before.name), &error)));
        }
    };
    // Read after: the answer to a write is no proof of what is there.
    let after = match read(turn, &before.name).await {
        Ok(after) => after,
        Err(verdict) => return Ok(Err(verdict)),
    };
    match prove(&proof, after.as_ref()) {
        Proven::Approved => {
            approved(turn, policy, &proof, request_id, page).await;
            context.ledger.save(turn.target, page).await?;
            Ok(Ok(()))
        }
        Proven::Exchanged { found } => {
            let verdict = withdraw(turn, policy, &proof, after.as_ref(), &found).await;
            if verdict.is_none() {
                page.page.proofs.retain(|open| *open != proof);
                context.ledger.save(turn.target, page).await?;
            }
            Ok(verdict.map_or(Ok(()), Err))
        }
        // The proof stays open: the next turns settle it.
        Proven::NotYet | Proven::Gone => {
            Ok(Err(Verdict::new(Reason::Updating, format!("{} was approved; Azure does not show it yet", before.name))
                .after(Some(context.pace.poll))))
        }
    }
}

fn path(turn: &Turn<'_>, name: &str) -> String {
    format!("{}/privateEndpointConnections/{name}", turn.target)
}

async fn read(turn: &Turn<'_>, name: &str) -> Result<Option<Connection>, Verdict> {
    let read = turn.connected.client.find(&path(turn, name), turn.dialect.api_version, Priority::Urgent).await;
    let read = read.map_err(|error| Verdict::of_error(&format!("reading the connection {name}"), &error))?;
    Ok(read.as_ref().and_then(Connection::read))
}

/// Rejects a connection that turned out to belong to another endpoint than the one decided on. `None` once that is done.
async fn withdraw(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    proof: &Proof,
    shown: Option<&Connection>,
    found: &str,
) -> Option<Verdict> {
    let shown = shown?;
    let context = turn.context;
    let body = turn.dialect.body(shown, "Rejected", "Rejected: the endpoint is not the one that was decided on");
    let path = path(turn, &shown.name);
    let answer =
        turn.connected.client.send(Method::PUT, &path, turn.dialect.api_version, Some(&body), Priority::Urgent).await;
    context.metrics.decided("withdrawn");
    let note = format!(
        "withdrew {}: {} was decided on, {} is there",
        proof.connection,
        clean(&proof.endpoint, 300),
        clean(found, 300)
    );
    warn!(target: AUDIT, policy = proof.policy, target_id = %turn.target, connection = proof.connection, requester = found, ok = answer.is_ok(), "withdrawn");
    context.events.publish(policy, true, "Withdrawn", &note).await;
    answer.err().map(|error| Verdict::of_error(&note, &error).after(Some(context.pace.poll)))
}

/// Reports a verdict that stops before a decision; what was known stays.
async fn blocked(context: &Context, policy: &mut PrivateEndpointApproval, verdict: Verdict) -> Result<Outcome, Error> {
    let status = policy.status.clone().unwrap_or_default();
    context.report(policy, status, &verdict, Vec::new(), Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

async fn report(
    turn: &Turn<'_>,
    policy: &mut PrivateEndpointApproval,
    decided: &[(Connection, Decision)],
    verdict: Verdict,
) -> Result<(), Error> {
    let mine = |decision: &Decision| decision.policies.contains(&turn.key);
    let count = |test: &dyn Fn(&(Connection, Decision)) -> bool| {
        i64::try_from(decided.iter().filter(|entry| test(entry)).count()).ok()
    };
    let unmatched = |(connection, decision): &(Connection, Decision)| {
        connection.is_pending() && decision.word == DecisionWord::Unmatched
    };
    let mut listed: Vec<&(Connection, Decision)> =
        decided.iter().filter(|(connection, decision)| connection.is_pending() || mine(decision)).collect();
    // What waits for a person comes first, so that it is never cut off by what is settled.
    listed.sort_by_key(|entry| (!unmatched(entry), !entry.0.is_pending(), entry.0.name.clone()));
    let more = listed.len().saturating_sub(LISTED);
    let status = PrivateEndpointApprovalStatus {
        approved: count(&|(connection, decision)| connection.is_approved() && mine(decision)),
        pending: count(&|(connection, _)| connection.is_pending()),
        unmatched: count(&unmatched),
        connections: listed
            .iter()
            .take(LISTED)
            .map(|(connection, decision)| ConnectionReport {
                name: clean(&connection.name, 256),
                private_endpoint: clean(&connection.endpoint, 1024),
                state: clean(&connection.state, 64),
                decision: decision.word,
                why: clean(&decision.why, 512),
            })
            .collect(),
        more_connections: (more > 0).then(|| i64::try_from(more).ok()).flatten(),
        ..PrivateEndpointApprovalStatus::default()
    };
    let waiting: Vec<String> = decided
        .iter()
        .filter(|entry| unmatched(entry))
        .take(5)
        .map(|(connection, _)| format!("{} from {}", clean(&connection.name, 128), clean(&connection.endpoint, 256)))
        .collect();
    let total = status.unmatched.unwrap_or_default();
    let (reason, message) = if waiting.is_empty() {
        ("NonePending", "no connection waits for a person".to_owned())
    } else {
        let text = format!("allowed by no policy, so pending until a person decides ({total}): {}", waiting.join("; "));
        ("DecisionNeeded", text)
    };
    let pending = ConditionDraft {
        type_: "ConnectionsPending",
        status: ConditionStatus::from(!waiting.is_empty()),
        reason: reason.to_owned(),
        message,
    };
    turn.context.report(policy, status, &verdict, vec![pending], Basis::Version).await?;
    Ok(())
}
