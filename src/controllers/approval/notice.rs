//! What somebody else approved although no policy in force allows it: told, and never withdrawn by itself, for it may well be right.

use tracing::warn;

use super::Turn;
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{DecisionWord, RequesterSide};
use crate::api::condition::{ConditionDraft, ConditionStatus, rfc3339};
use crate::azure::error::clean;
use crate::azure::private_link::Connection;
use crate::plan::approval::Decision;
use crate::plan::roles::{turns_on, written};
use crate::runtime::driver::Error;
use crate::runtime::ledger::{OpenPage, Page};
use crate::telemetry::AUDIT;

/// Notes and tells what is approved from now on without an explanation. True if some of it may be explained soon.
///
/// While a workspace writes a rule with the approver role, the connection that comes with it is approved before anybody has seen
/// whose it is. It is not told as somebody else's before that is settled.
pub(super) async fn notice(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    decided: &[(Connection, Decision)],
    page: &mut OpenPage,
) -> Result<bool, Error> {
    let context = turn.context;
    let allowed = |decision: &Decision| decision.word == DecisionWord::Allowed;
    let puzzles = decided.iter().any(|(connection, decision)| page.page.is_puzzling(connection, allowed(decision)));
    let records = if puzzles { context.role_ledger.all().await?.records } else { Vec::new() };
    let known = records.iter().map(|open| &open.record);
    let turns = turns_on(turn.target, known, context.pace.role_deadline, context.now());
    let open = |connection: &Connection| turns.iter().any(|before| !before.contains(&written(connection)));
    let mut waits = false;
    let (before, now) = (page.page.seen.clone(), rfc3339(context.now()));
    for (connection, decision) in decided {
        if page.page.is_puzzling(connection, allowed(decision)) && open(connection) {
            waits = true;
            continue;
        }
        if !page.page.explain(connection, allowed(decision), &now) {
            continue;
        }
        context.metrics.decided("unexplained");
        warn!(
            target: AUDIT, target_id = %turn.target, connection = connection.name, requester = connection.endpoint,
            "unexplained"
        );
        let note = format!(
            "somebody else approved {} from {} on {}, and no policy allows it",
            clean(&connection.name, 256),
            clean(&connection.endpoint, 512),
            turn.target
        );
        context.events.publish(policy, true, "ApprovedElsewhere", &note).await;
    }
    if page.page.seen != before {
        context.ledger.save(turn.target, page).await?;
    }
    Ok(waits)
}

/// What is approved on a target and perhaps should not be, each as it is named to people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Doubts {
    /// Approved here, and the requesting endpoint does not bear it out.
    unproven: Vec<String>,
    /// Approved by somebody else, and no policy allows it.
    elsewhere: Vec<String>,
}

/// What is in doubt on the target.
pub(super) fn doubts(decided: &[(Connection, Decision)], page: &Page) -> Doubts {
    let all = || decided.iter().map(|(connection, _)| connection).filter(|connection| connection.is_approved());
    let unproven = |connection: &&Connection| {
        let ours = page.approvals.iter().rev().find(|approval| approval.is_of(connection));
        ours.is_some_and(|ours| matches!(ours.side, RequesterSide::Silent | RequesterSide::Contradicted))
    };
    let named = |one: &Connection| format!("{} from {}", clean(&one.name, 128), clean(&one.endpoint, 256));
    Doubts {
        unproven: all().filter(unproven).map(named).collect(),
        elsewhere: all().filter(|connection| page.is_unexplained(connection)).map(named).collect(),
    }
}

/// The condition about what is in doubt on all targets of a policy.
pub(super) fn condition(doubts: &[&Doubts]) -> ConditionDraft {
    let draft = |status: bool, reason: &str, message: String| ConditionDraft {
        type_: "ConnectionsDoubtful",
        status: ConditionStatus::from(status),
        reason: reason.to_owned(),
        message,
    };
    let named = |connections: &[&str]| {
        let few: Vec<&str> = connections.iter().take(5).copied().collect();
        format!("({}): {}", connections.len(), few.join("; "))
    };
    let all = |of: fn(&Doubts) -> &[String]| -> Vec<&str> {
        doubts.iter().flat_map(|doubts| of(doubts)).map(String::as_str).collect()
    };
    let (unproven, elsewhere) = (all(|doubts| &doubts.unproven), all(|doubts| &doubts.elsewhere));
    let mut said = Vec::new();
    if !unproven.is_empty() {
        said.push(format!(
            "approved here, and the requesting endpoint does not bear it out {}. Ask who runs it; spec.onUnproven: Withdraw takes \
             back what stays silent",
            named(&unproven)
        ));
    }
    if !elsewhere.is_empty() {
        said.push(format!(
            "approved by somebody else, and no policy allows it {}. If it is right, write a policy that allows it; if not, reject or \
             delete it in Azure, whose activity log says who approved it",
            named(&elsewhere)
        ));
    }
    match (unproven.is_empty(), elsewhere.is_empty()) {
        (true, true) => draft(false, "NoneDoubtful", "no approved connection is in doubt".to_owned()),
        (false, _) => draft(true, "Unproven", said.join(". ")),
        (true, false) => draft(true, "ApprovedElsewhere", said.join(". ")),
    }
}
