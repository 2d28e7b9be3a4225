//! What is said of a policy: what it allows on its target, and what waits for a person.

use super::look::Decided;
use super::notice::{Doubts, condition, doubts};
use super::sights::{Rank, Shown, Sight};
use super::votes::{guard_condition, tell, tell_unattended};
use super::write::waiting;
use super::{Turn, key_of, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{ConnectionReport, DecisionWord, Mode, PrivateEndpointApprovalStatus};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::azure::error::clean;
use crate::azure::private_link::{Connection, Stated};
use crate::plan::Verdict;
use crate::plan::approval::Decision;
use crate::plan::targets::{Choice, Targets, named, summary};
use crate::runtime::context::Context;
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
    let itself = page.page.self_approvals.iter().find(|own| connection.is_approved() && own.is_of(connection));
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
        target: turn.target.to_string(),
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
            None => itself.map_or_else(|| "somebody else".to_owned(), |own| clean(&own.by(), 160)),
        }),
        approved_at: ours.map(|approval| approval.at.clone()).or_else(|| itself.map(|own| own.at.clone())),
    }
}

/// What the target shows `policy`, with the decisions of all policies there.
pub(super) fn sight(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    decided: &Decided,
    page: &OpenPage,
    verdict: Verdict,
) -> Sight {
    let mine = |decision: &Decision| decision.policies.contains(&turn.key);
    let count =
        |test: &dyn Fn(&(Connection, Decision)) -> bool| decided.each.iter().filter(|entry| test(entry)).count();
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
    let mut listed: Vec<&(Connection, Decision)> = decided.each.iter().filter(matters).collect();
    let against = |(connection, decision): &(Connection, Decision)| {
        connection.is_approved() && decision.word == DecisionWord::Rejected
    };
    // What waits for a person comes first, and what is approved against a policy or without one next, so that none of it is ever
    // dropped from the list for what is settled.
    let rank = |entry: &(Connection, Decision)| -> Rank {
        (!unmatched(entry), !against(entry), !unexplained(&entry.0), !entry.0.is_pending())
    };
    listed.sort_by_cached_key(|entry| (rank(entry), entry.0.name.clone()));
    let shown = Shown {
        approved: count(&|(connection, decision)| connection.is_approved() && mine(decision)),
        pending: count(&|(connection, _)| connection.is_pending()),
        unmatched: count(&unmatched),
        all: listed.len(),
        listed: listed.iter().take(LISTED).map(|entry| (rank(entry), one(turn, &entry.0, &entry.1, page))).collect(),
        doubts: doubts(&decided.each, &page.page),
    };
    tell(turn, policy, decided, &page.page, &verdict);
    Sight { verdict, shown: Some(shown) }
}

/// Writes the whole status of `policy`, from what its targets showed when each was looked at last. `trouble` is what is wrong with
/// its group.
pub(super) async fn report(
    context: &Context,
    policy: &mut PrivateEndpointApproval,
    targets: &Targets,
    choice: &Choice,
    trouble: Option<Verdict>,
) -> Result<(), Error> {
    let (sights, gone) = context.sights.all(&key_of(policy), &choice.attended);
    for target in gone {
        context.metrics.connections(&target, None);
    }
    let sights = sights.unwrap_or_default();
    let verdicts: Vec<_> = sights.iter().map(|(id, sight)| (id.clone(), sight.verdict.clone())).collect();
    let verdict =
        trouble.unwrap_or_else(|| summary(targets, choice, &verdicts, policy.spec.mode == Some(Mode::DryRun)));
    tell_unattended(context, policy, &choice.attended);
    let mut more: Vec<ConditionDraft> = skipped(choice).into_iter().chain(guard_condition(context, policy)).collect();
    let shown: Vec<&Shown> = sights.iter().filter_map(|(_, sight)| sight.shown.as_ref()).collect();
    // What could not be seen is no news: what was said before stays.
    let status = if shown.is_empty() && !choice.attended.is_empty() {
        policy.status.clone().unwrap_or_default()
    } else {
        more.push(pending(&shown));
        more.push(condition(&shown.iter().map(|shown| &shown.doubts).collect::<Vec<&Doubts>>()));
        status(&shown, choice.attended.len())
    };
    context.report(policy, status, &verdict, more, Basis::Version).await?;
    Ok(())
}

fn status(shown: &[&Shown], targets: usize) -> PrivateEndpointApprovalStatus {
    let sum = |of: fn(&Shown) -> usize| i64::try_from(shown.iter().map(|shown| of(shown)).sum::<usize>()).ok();
    let mut listed: Vec<&(Rank, ConnectionReport)> = shown.iter().flat_map(|shown| &shown.listed).collect();
    listed.sort_by(|(a, one), (b, other)| (a, &one.target, &one.name).cmp(&(b, &other.target, &other.name)));
    let more = sum(|shown| shown.all).unwrap_or_default() - i64::try_from(listed.len().min(LISTED)).unwrap_or_default();
    PrivateEndpointApprovalStatus {
        targets: i64::try_from(targets).ok(),
        approved: sum(|shown| shown.approved),
        pending: sum(|shown| shown.pending),
        unmatched: sum(|shown| shown.unmatched),
        connections: listed.iter().take(LISTED).map(|(_, one)| one.clone()).collect(),
        more_connections: (more > 0).then_some(more),
        ..PrivateEndpointApprovalStatus::default()
    }
}

/// Whether any connection waits for a person, and which.
fn pending(shown: &[&Shown]) -> ConditionDraft {
    let total: usize = shown.iter().map(|shown| shown.unmatched).sum();
    let waiting = shown.iter().flat_map(|shown| &shown.listed).filter(|((settled, ..), _)| !settled);
    let waiting: Vec<String> = waiting
        .take(5)
        .map(|(_, one)| {
            let (name, endpoint) = (clean(&one.name, 128), clean(&one.private_endpoint, 256));
            format!("{name} from {endpoint} ({})", clean(&one.why, 256))
        })
        .collect();
    let (reason, message) = if waiting.is_empty() {
        ("NonePending", "no connection waits for a person".to_owned())
    } else {
        let (count, more) = match total.saturating_sub(waiting.len()) {
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
    ConditionDraft {
        type_: "ConnectionsPending",
        status: ConditionStatus::from(!waiting.is_empty()),
        reason: reason.to_owned(),
        message,
    }
}

/// Which resources of the group the policy does not decide on because no grant covers them.
fn skipped(choice: &Choice) -> Option<ConditionDraft> {
    (!choice.skipped.is_empty()).then(|| ConditionDraft {
        type_: "TargetsSkipped",
        status: ConditionStatus::True,
        reason: "ScopeNotAllowed".into(),
        message: format!(
            "nothing is decided on {}: no grant lets this namespace approve there. A platform administrator can add one with \
             verbs: [approve]",
            named(&choice.skipped)
        ),
    })
}
