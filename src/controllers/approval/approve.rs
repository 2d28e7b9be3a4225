//! Approvals as effects: each is kept as a proof until its end is known, read before and after, and withdrawn if another
//! endpoint turns out to stand behind the connection.

use kube::ResourceExt;
use reqwest::Method;
use tracing::{info, warn};

use super::{Turn, name_of, policies};
use crate::api::approval::DecisionWord;
use crate::api::condition::rfc3339;
use crate::api::{AzureConnection, PrivateEndpointApproval};
use crate::azure::client::Priority;
use crate::azure::error::clean;
use crate::azure::private_link::{Connection, Withdrawal};
use crate::plan::approval::{Decision, Proof, Proven, decide, prove};
use crate::plan::decisions::names;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::ledger::{Approval, OpenPage, Page};
use crate::runtime::status::{WriteError, fresh};
use crate::telemetry::AUDIT;

/// Settles approvals whose end is not known, before anything new is decided.
pub(super) async fn settle(
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
    let people = page.page.signatures.approvers(&proof.connection, &proof.endpoint).join(", ");
    context.metrics.decided("approved");
    info!(
        target: AUDIT, policy = proof.policy, target_id = %turn.target, connection = proof.connection,
        requester = proof.endpoint, request_id, people, "approved"
    );
    let note = format!("approved {} from {} on {}", proof.connection, clean(&proof.endpoint, 512), turn.target);
    context.events.publish(policy, false, "Approved", &note).await;
}

/// Reads everything anew that a decision stands on: the policy, the grant and the connection itself. What is written is exactly
/// what was decided on.
async fn before(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    word: DecisionWord,
    page: &Page,
) -> Result<Result<Connection, Verdict>, Error> {
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
    let before = match read(turn, &connection.name).await {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let still = before.filter(|before| {
        let decision = decide(before, turn.dialect, &policies(turn, page));
        before.is_pending()
            && before.endpoint.eq_ignore_ascii_case(&connection.endpoint)
            && decision.word == word
            && decision.policies.contains(&turn.key)
    });
    still.map(Ok).ok_or_else(|| WriteError::Outdated.into())
}

/// Rejects `connection`. No proof is kept: should another endpoint stand behind it by then, nothing was opened.
pub(super) async fn reject(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    decision: &Decision,
    page: &Page,
) -> Result<Result<(), Verdict>, Error> {
    let context = turn.context;
    let before = match before(turn, policy, connection, DecisionWord::Rejected, page).await? {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let name = name_of(&turn.key);
    let body = turn.dialect.body(&before, "Rejected", &format!("Rejected by policy {name}"));
    let path = path(turn, &before.name);
    let answer =
        turn.connected.client.send(Method::PUT, &path, turn.dialect.api_version, Some(&body), Priority::Urgent).await;
    context.metrics.operation_started("PUT privateEndpointConnections");
    let accepted = match answer {
        Ok(accepted) => accepted,
        Err(error) => {
            let verdict = Verdict::of_error(&format!("rejecting {}", before.name), &error);
            return Ok(Err(if error.outcome_unknown() { verdict.after(Some(context.pace.poll)) } else { verdict }));
        }
    };
    context.metrics.decided("rejected");
    info!(
        target: AUDIT, policy = name, target_id = %turn.target, connection = before.name,
        requester = before.endpoint, request_id = accepted.request_id, people = names(&decision.people), "rejected"
    );
    let note = format!("rejected {} from {} on {}", before.name, clean(&before.endpoint, 512), turn.target);
    context.events.publish(policy, false, "Rejected", &note).await;
    // Where a decision takes time, the next turn sees it still pending: it is looked at again when it had time to show.
    let shown = read(turn, &before.name).await.ok().flatten();
    if shown.is_some_and(|shown| shown.is_pending()) {
        let message = format!("{} was rejected; Azure does not show it yet", before.name);
        return Ok(Err(Verdict::new(Reason::Updating, message).after(Some(context.pace.poll))));
    }
    Ok(Ok(()))
}

/// Approves `connection`. The inner error is what to say if it could not be done.
pub(super) async fn approve(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    decision: &Decision,
    page: &mut OpenPage,
) -> Result<Result<(), Verdict>, Error> {
    let context = turn.context;
    let before = match before(turn, policy, connection, DecisionWord::Allowed, &page.page).await? {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let proof = Proof {
        connection: before.name.clone(),
        endpoint: before.endpoint.clone(),
        policy: name_of(&turn.key),
        // In full: cut to the second, it would seem to have rested up to a second longer than it has.
        started_at: context.now().to_string(),
    };
    page.page.signatures.sign(&decision.people, &before, &rfc3339(context.now()));
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

/// Takes back a connection that turned out to belong to another endpoint than the one decided on. `None` once that is done.
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
    let (method, body) = match turn.dialect.withdrawal {
        Withdrawal::Reject => (Method::PUT, Some(&body)),
        Withdrawal::Delete => (Method::DELETE, None),
    };
    let path = path(turn, &shown.name);
    let answer = turn.connected.client.send(method, &path, turn.dialect.api_version, body, Priority::Urgent).await;
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
