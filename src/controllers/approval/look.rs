//! One look at one target: what is open there is settled, what it shows is decided on, and at most one connection is written.

use std::time::Duration;

use kube::ResourceExt;

use super::approve::{approve, reject};
use super::cut::cut;
use super::memory::open;
use super::notice::notice;
use super::report::sight;
use super::requester::{hear, withdraw_unproven};
use super::settle::settle;
use super::sights::Sight;
use super::votes::{believed_votes, spend, tell_blocked_on};
use super::withdraw::{Ending, expired};
use super::write::waiting;
use super::{Turn, left, policies, policies_with};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{DecisionWord, Mode};
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::azure::client::{Client, Priority};
use crate::azure::error::ArmError;
use crate::azure::private_link::{Connection, Dialect, Listing};
use crate::plan::approval::{Decision, Policy, acts, decide_all, next, unreadable};
use crate::plan::looks::{Raiser, until_next};
use crate::plan::outcome::Requeue;
use crate::plan::rules::ObjectKey;
use crate::plan::targets::in_force;
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::indexes::{admits, key_of, workspace_key};
use crate::runtime::ledger::Page;
use crate::runtime::terms::Term;
use crate::telemetry::ConnectionsOnTarget;

/// What a look came to.
pub(super) enum Looked {
    /// Something was done: look again at once.
    Again,
    /// This is to be said, and the next look is due after so long.
    Said(Sight, Duration),
}

impl Turn<'_> {
    /// What counts the failures of this policy on this target.
    fn failures(&self, policy: &PrivateEndpointApproval) -> String {
        format!("{}{}", policy.uid().unwrap_or_default(), self.target.key())
    }

    /// Nothing was seen, and this is why.
    fn blocked(&self, policy: &PrivateEndpointApproval, verdict: Verdict) -> Looked {
        tell_blocked_on(self.context, policy, self.target, &verdict);
        let wait = self.context.requeue(&self.failures(policy), &verdict);
        Looked::Said(Sight { verdict, shown: None }, wait)
    }

    /// When to look again at what shows `connections`, after `verdict`. What Azure asked to wait for is waited for.
    fn wait(&self, policy: &PrivateEndpointApproval, verdict: &Verdict, connections: &[Connection]) -> Duration {
        let looks = self.context.pace.looks();
        let wait = self.context.requeue(&self.failures(policy), verdict);
        let moves = verdict.reason == Reason::Updating || connections.iter().any(|one| !one.is_settled(self.dialect));
        match verdict.reason.requeue() {
            Requeue::Soon if verdict.reason != Reason::Updating => wait,
            Requeue::Slow | Requeue::Backoff => wait.min(looks.rest),
            _ => {
                let wait = wait.min(until_next(moves, is_expected(self), looks));
                verdict.after.map_or(wait, |after| wait.min(after))
            }
        }
    }
}

/// True if a rule of this cluster is about to raise a connection on the target.
fn is_expected(turn: &Turn<'_>) -> bool {
    let (context, indexes) = (turn.context, &turn.context.indexes);
    let raisers = indexes.rules.find(&Term::Destination(turn.target.key()));
    raisers.iter().filter_map(|object| object.0.as_ref().ok()).any(|rule| {
        let Some(endpoint) = &rule.spec.private_endpoint else { return false };
        let labels = indexes.namespace(&rule.namespace().unwrap_or_default()).0;
        let workspace = indexes.workspace(&workspace_key(rule));
        let admits =
            workspace.is_some_and(|object| object.0.as_ref().is_ok_and(|object| admits(object, rule, &labels)));
        let posting =
            context.board.read(&key_of(rule)).filter(|posting| Some(&posting.uid) == rule.metadata.uid.as_ref());
        let raiser = Raiser {
            connection: indexes.connection_of(rule),
            destination: endpoint.resource_id.clone(),
            admitted: admits && rule.metadata.deletion_timestamp.is_none(),
            reason: posting.map(|posting| posting.state.verdict.reason),
        };
        raiser.is_on_its_way(&turn.connected.name, turn.target)
    })
}

/// Looks at the target for `policy`.
///
/// # Errors
/// If Kubernetes does not answer, or something changed meanwhile.
pub(super) async fn look(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> Result<Looked, Error> {
    let context = turn.context;
    let observes = policy.spec.mode == Some(Mode::DryRun);
    let mut page = match open(context, policy, turn.target).await? {
        Ok(page) => page,
        Err(verdict) => return Ok(turn.blocked(policy, verdict)),
    };
    let connections = match list(turn).await {
        Ok(connections) => connections,
        Err(verdict) => return Ok(turn.blocked(policy, verdict)),
    };
    let before = (page.page.seen.clone(), page.page.self_approvals.clone());
    page.page.see(&connections, &rfc3339(context.now()));
    if (&page.page.seen, &page.page.self_approvals) != (&before.0, &before.1) {
        context.ledger.save(turn.target, &mut page).await?;
    }
    context.metrics.connections(&turn.target.key(), Some(shown(&connections, &page.page)));
    if let Some(verdict) = settle(turn, policy, &connections, &mut page).await? {
        let wait = turn.wait(policy, &verdict, &connections);
        return Ok(Looked::Said(sight(turn, policy, &decided(turn, &connections, &page.page), &page, verdict), wait));
    }
    if spend(context, &mut page.page) {
        context.ledger.save(turn.target, &mut page).await?;
    }
    let follows = hear(turn, policy, &connections, &mut page).await?;
    let decided = decided(turn, &connections, &page.page);
    let follows = notice(turn, policy, &decided.each, &mut page).await? || follows;
    if let Some(verdict) = withdraw_unproven(turn, policy, &connections, &page).await? {
        let wait = turn.wait(policy, &verdict, &connections);
        return Ok(Looked::Said(sight(turn, policy, &decided, &page, verdict), wait));
    }
    let held = if policy.spec.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is approved or rejected (spec.suspend)"))
    } else {
        turn.connected.holds_writes().filter(|_| !observes)
    };
    let waits = |connection: &Connection| waiting(turn, connection).is_some();
    let next = next(&turn.key, &decided.each, &page.page.asked, waits).filter(|_| !observes && held.is_none());
    if let Some((connection, decision)) = next {
        let done = match decision.word {
            DecisionWord::Rejected => reject(turn, policy, connection, decision, &page.page).await?,
            _ => approve(turn, policy, connection, decision, &mut page).await?,
        };
        if let Err(verdict) = done {
            let wait = turn.wait(policy, &verdict, &connections);
            return Ok(Looked::Said(sight(turn, policy, &decided, &page, verdict), wait));
        }
        // One at a time: the next one is looked for on a fresh list.
        return Ok(Looked::Again);
    }
    let cutting = match cut(turn, policy, &connections, &decided, &page.page, observes || held.is_some()).await? {
        None => None,
        Some(Ending::Again) => return Ok(Looked::Again),
        Some(Ending::Waits(verdict) | Ending::Over(verdict)) => Some(verdict),
    };
    let left = left(context, policy);
    let over = match left.filter(Duration::is_zero) {
        Some(_) => match expired(turn, policy, &decided, &mut page, held.is_some()).await? {
            Ending::Again => return Ok(Looked::Again),
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
    let verdict = held
        .or(invalid)
        .or_else(|| refusals(turn, &decided.each))
        .or(cutting)
        .or(over)
        .unwrap_or_else(|| in_force(observes, turn.target.as_str()));
    let wait = turn.wait(policy, &verdict, &connections);
    let wait = if follows { wait.min(context.pace.poll) } else { wait };
    let wait = left.filter(|left| !left.is_zero()).map_or(wait, |left| wait.min(left));
    Ok(Looked::Said(sight(turn, policy, &decided, &page, verdict), wait))
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
pub(super) fn refusals(turn: &Turn<'_>, decided: &[(Connection, Decision)]) -> Option<Verdict> {
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

/// Reads all connections on the target, as its dialect lists them.
pub(super) async fn list(turn: &Turn<'_>) -> Result<Vec<Connection>, Verdict> {
    connections(&turn.connected.client, turn.target, turn.dialect).await
}

/// Reads all connections on `target`, as its dialect lists them.
///
/// # Errors
/// With the verdict to report if they cannot be listed.
pub(crate) async fn connections(
    client: &Client,
    target: &ArmId,
    dialect: &Dialect,
) -> Result<Vec<Connection>, Verdict> {
    let failed = |error: &ArmError| Verdict::of_error("listing the target's connections", error);
    let listed = match dialect.listing {
        Listing::Children => {
            let path = format!("{target}/privateEndpointConnections");
            client.list(&path, dialect.api_version, Priority::Resync).await.map_err(|error| failed(&error))?
        }
        Listing::Member(version) => {
            let target = client.get(target.as_str(), version, Priority::Resync).await;
            let target = target.map_err(|error| failed(&error))?;
            target["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default()
        }
    };
    Ok(listed.iter().filter_map(Connection::read).collect())
}

/// What all policies on a target decide, for everything that one look at it does.
pub(super) struct Decided {
    /// The policies in force there.
    pub(super) policies: Vec<Policy>,
    /// What they decide about each connection.
    pub(super) each: Vec<(Connection, Decision)>,
}

impl Decided {
    /// The policy `key`, if it is one of them.
    pub(super) fn policy(&self, key: &ObjectKey) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.key == *key)
    }
}

/// What all policies on the target decide about `connections`.
pub(super) fn decided(turn: &Turn<'_>, connections: &[Connection], page: &Page) -> Decided {
    let policies = policies(turn, page);
    Decided { each: decide_all(connections, turn.dialect, &policies), policies }
}

/// What would be decided if every person's approval counted whose only fault is that the guard does not vouch for it.
pub(super) fn believed(turn: &Turn<'_>, connections: &[Connection], page: &Page) -> Vec<(Connection, Decision)> {
    let policies = policies_with(turn, page, |policy| believed_votes(turn.context, policy, turn.target, page));
    decide_all(connections, turn.dialect, &policies)
}
