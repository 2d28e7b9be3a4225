//! Approvals as effects: each is kept as a proof until its end is known, read before and after, and withdrawn if another
//! endpoint turns out to stand behind the connection.

use tracing::info;

use super::settle::{approved, withdraw};
use super::votes::confirm;
use super::write::{is_current, put, read, refused, sent, unchanged};
use super::{Turn, link_behind, name_of, policies};
use crate::api::PrivateEndpointApproval;
use crate::azure::error::clean;
use crate::azure::private_link::Connection;
use crate::controllers::synapse_link::vouches;
use crate::plan::approval::{Decision, decide};
use crate::plan::decisions::names;
use crate::plan::proof::{Proof, Proven, prove};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::ledger::{OpenPage, Page, moment};
use crate::runtime::status::WriteError;
use crate::telemetry::AUDIT;

/// Reads everything anew that a decision stands on: the people, the policy, the grant, the connection itself, and what a link says of it.
/// What is written is exactly what was decided on, on the word of exactly those who stand by it.
async fn before(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connection: &Connection,
    decision: &Decision,
    page: &Page,
) -> Result<Result<Connection, Verdict>, Error> {
    confirm(turn, decision).await?;
    unchanged(turn, policy).await?;
    let before = match read(turn, &connection.name).await {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let still = before.filter(|before| {
        let again = decide(before, turn.dialect, &policies(turn, page));
        before.is_pending()
            && is_current(turn, policy)
            && before.is_of(&connection.endpoint)
            && again.word == decision.word
            && again.people == decision.people
            && again.policies.contains(&turn.key)
    });
    let Some(before) = still else { return Err(WriteError::Outdated.into()) };
    if let Some(link) = link_behind(policy, decision)
        && let Err(verdict) = vouches(turn.context, turn.connected, &link, turn.target, turn.dialect, &before).await
    {
        return Ok(Err(verdict));
    }
    Ok(Ok(before))
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
    let before = match before(turn, policy, connection, decision, page).await? {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let name = name_of(&turn.key);
    let rule = decision.entry_of(&turn.key);
    let request_id = match put(turn, &before, "Rejected", &format!("Rejected by policy {name}")).await {
        Ok(request_id) => request_id,
        Err(error) => return Ok(refused(turn, &before, &format!("rejecting {}", before.name), &error)),
    };
    context.metrics.decided("rejected");
    info!(
        target: AUDIT, policy = name, generation = policy.metadata.generation, target_id = %turn.target,
        connection = before.name, requester = before.endpoint, request_id, rule, people = names(&decision.people), "rejected"
    );
    let note = format!(
        "rejected {} from {} on {} by {}",
        before.name,
        clean(&before.endpoint, 512),
        turn.target,
        clean(&decision.decided_by().unwrap_or(name), 256)
    );
    context.events.publish(policy, false, "Rejected", &note).await;
    // Where a decision takes time, the next turn sees it still pending: it is looked at again when it had time to show.
    let shown = read(turn, &before.name).await.ok().flatten();
    if shown.is_some_and(|shown| shown.is_pending()) {
        return Ok(Err(sent(turn, &before, &format!("rejecting {}", before.name))));
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
    let before = match before(turn, policy, connection, decision, &page.page).await? {
        Ok(before) => before,
        Err(verdict) => return Ok(Err(verdict)),
    };
    if page.page.is_full() {
        let message = format!(
            "approving {}: the ledger's page of this target has no room for another approval, and without a record it could not be \
             withdrawn. Reject or delete connections on the target that nobody needs",
            before.name
        );
        return Ok(Err(Verdict::new(Reason::LedgerFull, message)));
    }
    let mut proof = Proof {
        connection: before.name.clone(),
        endpoint: before.endpoint.clone(),
        policy: name_of(&turn.key),
        rule: decision.entry_of(&turn.key),
        generation: policy.metadata.generation,
        request_id: None,
        // In full: cut to the second, it would seem to have rested up to a second longer than it has.
        started_at: moment(context.now()),
        withdrawn_at: None,
    };
    // What is asked for once more is followed from here; an earlier request may still show if this one is refused.
    let (earlier, asked) = std::mem::take(&mut page.page.asked).into_iter().partition(|asked| asked.is_for(&before));
    page.page.asked = asked;
    page.page.signatures.sign(&decision.people, &before, &moment(context.now()));
    page.page.proofs.push(proof.clone());
    context.ledger.save(turn.target, page).await?;
    let request_id = match put(turn, &before, "Approved", &format!("Approved by policy {}", proof.policy)).await {
        Ok(request_id) => request_id,
        Err(error) if error.outcome_unknown() => {
            return Ok(Err(Verdict::of_error("no answer came to the approval", &error).after(Some(context.pace.poll))));
        }
        Err(error) => {
            page.page.proofs.retain(|open| *open != proof);
            page.page.asked.extend::<Vec<Proof>>(earlier);
            context.ledger.save(turn.target, page).await?;
            return Ok(refused(turn, &before, &format!("approving {}", before.name), &error));
        }
    };
    page.page.proofs.retain(|open| *open != proof);
    proof.request_id = request_id;
    page.page.proofs.push(proof.clone());
    // Read after: the answer to a write is no proof of what is there.
    let after = match read(turn, &before.name).await {
        Ok(after) => after,
        Err(verdict) => {
            context.ledger.save(turn.target, page).await?;
            return Ok(Err(verdict));
        }
    };
    match (prove(&proof, after.as_ref(), turn.dialect, context.now(), context.pace.proofs()), after) {
        (Proven::Approved, _) => {
            approved(turn, policy, &proof, &mut page.page).await;
            context.ledger.save(turn.target, page).await?;
            Ok(Ok(()))
        }
        (Proven::Exchanged { found }, Some(after)) => {
            page.page.proofs.retain(|open| *open != proof);
            let verdict = withdraw(turn, policy, &mut proof, &after, &found).await;
            page.page.proofs.push(proof);
            context.ledger.save(turn.target, page).await?;
            Ok(Err(verdict))
        }
        // The proof stays open: the next turns settle it, and tell by which request it was.
        _ => {
            context.ledger.save(turn.target, page).await?;
            Ok(Err(Verdict::new(Reason::Updating, format!("{} was approved; Azure does not show it yet", before.name))
                .after(Some(context.pace.poll))))
        }
    }
}
