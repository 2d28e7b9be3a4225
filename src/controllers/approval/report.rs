//! What is said of a policy: what it allows on its target, and what waits for a person.

use super::notice::doubtful;
use super::votes::{guard_condition, tell};
use super::write::waiting;
use super::{Turn, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{ConnectionReport, DecisionWord, PrivateEndpointApprovalStatus};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::azure::error::clean;
use crate::azure::private_link::{Connection, Stated};
use crate::plan::Verdict;
use crate::plan::approval::Decision;
use crate::runtime::driver::Error;
use crate::runtime::ledger::OpenPage;
use crate::runtime::status::Basis;

/// How many connections the status lists.
const LISTED: usize = 100;

/// What is said of one connection.
fn one(turn: &Turn<'_>, connection: &Connection, decision: &Decision, page: &OpenPage) -> ConnectionReport {
    let ours = page.page.approvals.iter().rev().find(|approval| {
        approval.connection == connection.name && approval.endpoint.eq_ignore_ascii_case(&connection.endpoint)
    });
    let ours = ours.filter(|_| connection.is_approved());
    let why = if page.page.is_unexplained(connection) {
        format!("approved by somebody else; {}", decision.why)
    } else {
        decision.why.clone()
    };
    // What Azure said to the decision, if it refused it; what is over needs no such word.
    let undone = connection.is_pending() || connection.is_approved();
    let refusal = undone.then(|| waiting(turn, connection)).flatten();
    let why = refusal.map_or_else(|| why.clone(), |verdict| format!("{why}; {}", verdict.message));
    let people = page.page.signatures.approvers(&connection.name, &connection.endpoint).join(", ");
    ConnectionReport {
        name: clean(&connection.name, 256),
        private_endpoint: clean(&connection.endpoint, 1024),
        state: clean(&connection.state, 64),
        sub_resources: match connection.sub_resources(turn.dialect) {
            Stated::No => "not stated".to_owned(),
            Stated::Groups(groups) => clean(&groups.join(", "), 256),
        },
        decision: decision.word,
        rule: decision.decided_by().map(|rule| clean(&rule, 512)),
        why: clean(&why, 512),
        proven: ours.map(|approval| approval.side),
        first_seen: page.page.first_seen(connection).unwrap_or_default().to_owned(),
        approved_by: connection.is_approved().then(|| match ours {
            Some(approval) if people.is_empty() => clean(&approval.policy, 160),
            Some(_) => clean(&people, 160),
            None => "somebody else".to_owned(),
        }),
        approved_at: ours.map(|approval| approval.at.clone()),
    }
}

/// Writes the whole status of `policy`.
pub(super) async fn report(
    turn: &Turn<'_>,
    policy: &mut PrivateEndpointApproval,
    decided: &[(Connection, Decision)],
    page: &OpenPage,
    verdict: Verdict,
) -> Result<(), Error> {
    let mine = |decision: &Decision| decision.policies.contains(&turn.key);
    let count = |test: &dyn Fn(&(Connection, Decision)) -> bool| {
        i64::try_from(decided.iter().filter(|entry| test(entry)).count()).ok()
    };
    let unmatched = |(connection, decision): &(Connection, Decision)| {
        connection.is_pending() && !matches!(decision.word, DecisionWord::Rejected | DecisionWord::Allowed)
    };
    let name = name_of(&turn.key);
    let approved_here = |connection: &Connection| {
        connection.is_approved()
            && page.page.approvals.iter().any(|approval| approval.policy == name && approval.is_of(connection))
    };
    let unexplained = |connection: &Connection| page.page.is_unexplained(connection);
    let matters = |(connection, decision): &&(Connection, Decision)| {
        connection.is_pending() || mine(decision) || unexplained(connection) || approved_here(connection)
    };
    let mut listed: Vec<&(Connection, Decision)> = decided.iter().filter(matters).collect();
    let against = |(connection, decision): &(Connection, Decision)| {
        connection.is_approved() && decision.word == DecisionWord::Rejected
    };
    // What waits for a person comes first, and what is approved against a policy or without one next, so that none of it is ever
    // dropped from the list for what is settled.
    listed.sort_by_cached_key(|entry| {
        (!unmatched(entry), !against(entry), !unexplained(&entry.0), !entry.0.is_pending(), entry.0.name.clone())
    });
    let more = listed.len().saturating_sub(LISTED);
    let status = PrivateEndpointApprovalStatus {
        approved: count(&|(connection, decision)| connection.is_approved() && mine(decision)),
        pending: count(&|(connection, _)| connection.is_pending()),
        unmatched: count(&unmatched),
        connections: listed
            .iter()
            .take(LISTED)
            .map(|(connection, decision)| one(turn, connection, decision, page))
            .collect(),
        more_connections: (more > 0).then(|| i64::try_from(more).ok()).flatten(),
        ..PrivateEndpointApprovalStatus::default()
    };
    let waiting: Vec<String> = decided
        .iter()
        .filter(|entry| unmatched(entry))
        .take(5)
        .map(|(connection, decision)| {
            let (name, endpoint) = (clean(&connection.name, 128), clean(&connection.endpoint, 256));
            format!("{name} from {endpoint} ({})", clean(&decision.why, 256))
        })
        .collect();
    let total = status.unmatched.unwrap_or_default();
    let (reason, message) = if waiting.is_empty() {
        ("NonePending", "no connection waits for a person".to_owned())
    } else {
        let (count, more) = match total.saturating_sub(i64::try_from(waiting.len()).unwrap_or(i64::MAX)) {
            0 if total == 1 => ("1 connection waits".to_owned(), String::new()),
            0 => (format!("{total} connections wait"), String::new()),
            more => (format!("{total} connections wait"), format!("; and {more} more, see status.connections")),
        };
        let text = format!(
            "{count} for a person: {}{more}. To let one in or turn it away, create an ApprovalDecision, or have a policy allow or reject it",
            waiting.join("; ")
        );
        ("DecisionNeeded", text)
    };
    let pending = ConditionDraft {
        type_: "ConnectionsPending",
        status: ConditionStatus::from(!waiting.is_empty()),
        reason: reason.to_owned(),
        message,
    };
    tell(turn, policy, decided, &page.page, &verdict);
    let mut more = vec![pending, doubtful(decided, &page.page)];
    more.extend(guard_condition(turn.context, policy));
    turn.context.report(policy, status, &verdict, more, Basis::Version).await?;
    Ok(())
}
