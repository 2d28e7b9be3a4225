//! Settles approvals whose end is not known, before anything new is decided: each is followed until Azure shows what became of it,
//! and what shows up for another endpoint is taken back until that is seen.

use tracing::{info, warn};

use super::votes::spend;
use super::write::{take_back, under_way};
use super::{Turn, policies};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{DecisionWord, RequesterSide};
use crate::azure::error::clean;
use crate::azure::private_link::Connection;
use crate::plan::approval::decide;
use crate::plan::proof::{Approval, Proof, Proven, is_expected, prove, resumes, still_holds};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::ledger::{OpenPage, Page, moment};
use crate::telemetry::AUDIT;

/// Settles what is open on the target. A verdict says why nothing new may be started there yet.
pub(super) async fn settle(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connections: &[Connection],
    page: &mut OpenPage,
) -> Result<Option<Verdict>, Error> {
    let context = turn.context;
    let (now, waits) = (context.now(), context.pace.proofs());
    let shown = |proof: &Proof| connections.iter().find(|connection| connection.name == proof.connection);
    let before = page.page.clone();
    resume(turn, connections, &mut page.page);
    let mut failed = None;
    for proof in std::mem::take(&mut page.page.proofs) {
        let mut proof = proof.believable(now);
        match prove(&proof, shown(&proof), turn.dialect, now, waits) {
            Proven::Approved => approved(turn, policy, &proof, &mut page.page).await,
            Proven::Open => page.page.proofs.push(proof),
            Proven::Silent => page.page.asked.push(proof),
            Proven::Withdrawn => {
                context.metrics.decided("withdrawn");
                // What was asked for may still show, as before.
                page.page.asked.push(Proof { withdrawn_at: None, ..proof });
            }
            Proven::Exchanged { .. } if turn.connected.is_read_only() => {
                failed = turn.connected.holds_writes();
                page.page.proofs.push(proof);
            }
            Proven::Exchanged { found } => {
                if let Some(shown) = shown(&proof) {
                    failed = Some(withdraw(turn, policy, &mut proof, shown, &found).await);
                }
                page.page.proofs.push(proof);
            }
        }
    }
    if page.page != before {
        context.ledger.save(turn.target, page).await?;
    }
    let unknown = || {
        let message = "an approval is under way; nothing else is approved here until Azure shows what became of it";
        Verdict::new(Reason::Updating, message).after(Some(context.pace.poll))
    };
    let open = failed.or_else(|| (!page.page.proofs.is_empty()).then(unknown));
    Ok(open.or_else(|| under_way(turn, connections)))
}

/// Opens again what shows although it was given up, and forgets what no longer says anything.
fn resume(turn: &Turn<'_>, connections: &[Connection], page: &mut Page) {
    let (now, waits) = (turn.context.now(), turn.context.pace.proofs());
    page.approvals.retain(|approval| still_holds(approval, connections, now, waits));
    if page.asked.is_empty() {
        return;
    }
    let policies = policies(turn, page);
    let (resumed, asked) = std::mem::take(&mut page.asked)
        .into_iter()
        .map(|asked| asked.believable(now))
        .filter(|asked| is_expected(asked, now, waits))
        .partition(|asked| {
            let shown = connections.iter().find(|connection| connection.name == asked.connection);
            let explained = shown.is_some_and(|shown| {
                page.approvals.iter().any(|approval| approval.is_of(shown))
                    || decide(shown, turn.dialect, &policies).word == DecisionWord::Allowed
            });
            resumes(asked, shown, turn.dialect, explained, now, waits)
        });
    page.asked = asked;
    page.proofs.extend::<Vec<Proof>>(resumed);
}

/// Records an approval that took effect: in the ledger's page, the audit log, the metrics and as an event.
pub(super) async fn approved(turn: &Turn<'_>, policy: &PrivateEndpointApproval, proof: &Proof, page: &mut Page) {
    let context = turn.context;
    let same = |connection: &str, endpoint: &str| {
        connection == proof.connection && endpoint.eq_ignore_ascii_case(&proof.endpoint)
    };
    page.proofs.retain(|open| open != proof);
    page.asked.retain(|asked| !same(&asked.connection, &asked.endpoint));
    page.approvals.retain(|before| !same(&before.connection, &before.endpoint));
    page.approvals.push(Approval {
        connection: proof.connection.clone(),
        endpoint: proof.endpoint.clone(),
        policy: proof.policy.clone(),
        at: moment(context.now()),
        request_id: proof.request_id.clone(),
        side: RequesterSide::Waiting,
    });
    // At once: the record goes as soon as the connection is cut, and whoever cut it must not be overruled by the same decision.
    spend(context, page);
    let people = page.signatures.approvers(&proof.connection, &proof.endpoint).join(", ");
    context.metrics.decided("approved");
    context.tell_requester(&proof.endpoint);
    info!(
        target: AUDIT, policy = proof.policy, generation = proof.generation, target_id = %turn.target,
        connection = proof.connection, requester = proof.endpoint, request_id = proof.request_id, rule = proof.rule, people, "approved"
    );
    let by = match &proof.rule {
        Some(rule) => format!("{} {rule}", proof.policy),
        None => format!("{people}, asked by {}", proof.policy),
    };
    let note = format!(
        "approved {} from {} on {} by {}",
        proof.connection,
        clean(&proof.endpoint, 512),
        turn.target,
        clean(&by, 256)
    );
    context.events.publish(policy, false, "Approved", &note).await;
}

/// Asks Azure to take back a connection that turned out to belong to another endpoint than the one decided on. Its answer is no
/// proof: the proof stays open until the connection is seen to be no longer approved.
pub(super) async fn withdraw(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    proof: &mut Proof,
    shown: &Connection,
    found: &str,
) -> Verdict {
    let context = turn.context;
    let answer = take_back(turn, shown, "Rejected: the endpoint is not the one that was decided on").await;
    let note = format!(
        "withdrew {}: {} was decided on, {} is there",
        proof.connection,
        clean(&proof.endpoint, 300),
        clean(found, 300)
    );
    warn!(
        target: AUDIT, policy = proof.policy, generation = proof.generation, target_id = %turn.target,
        connection = proof.connection, requester = found,
        ok = answer.is_ok(), "withdrawn"
    );
    if proof.withdrawn_at.is_none() {
        context.events.publish(policy, true, "Withdrawn", &note).await;
    }
    match answer {
        Ok(_) => {
            proof.withdrawn_at = Some(moment(context.now()));
            Verdict::new(Reason::Updating, format!("{note}; it is asked for again until Azure shows it"))
                .after(Some(context.pace.poll))
        }
        Err(error) => {
            if error.outcome_unknown() {
                proof.withdrawn_at = Some(moment(context.now()));
            }
            Verdict::of_error(&note, &error).after(Some(context.pace.poll))
        }
    }
}
