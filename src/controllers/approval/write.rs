//! What every write on a connection has in common: what is read anew before it, how it is sent, and what its refusal means.

use std::time::Duration;

use kube::ResourceExt;
use reqwest::Method;

use super::Turn;
use crate::api::{AzureConnection, PrivateEndpointApproval};
use crate::azure::client::Priority;
use crate::azure::codes::ErrorClass;
use crate::azure::error::ArmError;
use crate::azure::private_link::{Connection, Withdrawal};
use crate::plan::{Reason, Verdict};
use crate::runtime::attempts::Attempt;
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::status::{WriteError, fresh};

/// Reads anew what a write stands on in Kubernetes: the policy and the grant.
///
/// # Errors
/// [`WriteError::Outdated`] if either is another one now.
pub(super) async fn unchanged(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> Result<(), Error> {
    let context = turn.context;
    let now: Option<PrivateEndpointApproval> = fresh(&context.kube, Some(&turn.key.namespace), &turn.key.name).await?;
    let same = now.is_some_and(|now| {
        now.uid() == policy.uid()
            && now.metadata.generation == policy.metadata.generation
            && now.metadata.deletion_timestamp.is_some() == policy.metadata.deletion_timestamp.is_some()
            && !Context::abandoned(&now)
    });
    let connection: Option<AzureConnection> = fresh(&context.kube, None, &turn.connected.name).await?;
    // A grant that was taken back a moment ago must not be used once more.
    let granted = connection.is_some_and(|now| now.uid() == turn.connected.uid && now.spec == turn.connected.spec);
    if same && granted { Ok(()) } else { Err(WriteError::Outdated.into()) }
}

/// What is said of a connection that was another one, or decided otherwise, when it was read by itself: nothing was written, and a
/// list that goes on to say something else than the connection must not be asked without a pause.
pub(super) fn changed(turn: &Turn<'_>, connection: &Connection) -> Verdict {
    let message = format!("{} changed while it was looked at; it is looked at again shortly", connection.name);
    Verdict::new(Reason::Updating, message).after(Some(turn.context.pace.poll))
}

/// Whether `policy` is still the one of its name, in the same edition, as far as the watch shows: to be asked after Azure has
/// answered, which may take long. Another one under the same name has the same say in a decision, and may not be meant to act.
pub(super) fn is_current(turn: &Turn<'_>, policy: &PrivateEndpointApproval) -> bool {
    turn.context.indexes.policy(&turn.key).is_some_and(|known| {
        known
            .0
            .as_ref()
            .is_ok_and(|known| known.uid() == policy.uid() && known.metadata.generation == policy.metadata.generation)
    })
}

pub(super) fn path(turn: &Turn<'_>, name: &str) -> String {
    format!("{}/privateEndpointConnections/{name}", turn.target)
}

/// Reads one connection, or `None` if it is gone.
pub(super) async fn read(turn: &Turn<'_>, name: &str) -> Result<Option<Connection>, Verdict> {
    let read = turn.connected.client.find(&path(turn, name), turn.dialect.api_version, Priority::Urgent).await;
    let read = read.map_err(|error| Verdict::of_error(&format!("reading the connection {name}"), &error))?;
    Ok(read.as_ref().and_then(Connection::read))
}

/// Sets `connection` to `state`; ARM's request id.
pub(super) async fn put(
    turn: &Turn<'_>,
    connection: &Connection,
    state: &str,
    description: &str,
) -> Result<Option<String>, ArmError> {
    let body = turn.dialect.body(connection, state, description);
    let (path, version) = (path(turn, &connection.name), turn.dialect.api_version);
    let answer = turn.connected.client.send(Method::PUT, &path, version, Some(&body), Priority::Urgent).await;
    turn.context.metrics.operation_started("PUT privateEndpointConnections");
    answer.map(|accepted| accepted.request_id)
}

/// Takes an approval of `connection` back, the way its type does it; ARM's request id.
pub(super) async fn take_back(turn: &Turn<'_>, connection: &Connection, why: &str) -> Result<Option<String>, ArmError> {
    if turn.dialect.withdrawal == Withdrawal::Reject {
        return put(turn, connection, "Rejected", why).await;
    }
    let (path, version) = (path(turn, &connection.name), turn.dialect.api_version);
    let answer = turn.connected.client.send(Method::DELETE, &path, version, None, Priority::Urgent).await;
    turn.context.metrics.operation_started("DELETE privateEndpointConnections");
    answer.map(|accepted| accepted.request_id)
}

/// What a refused write comes to. A refusal that repeating does not help is remembered for the connection, so that others go on:
/// then there is nothing to say now, and the report says it.
pub(super) fn refused(turn: &Turn<'_>, connection: &Connection, doing: &str, error: &ArmError) -> Result<(), Verdict> {
    let context = turn.context;
    let verdict = Verdict::of_error(doing, error);
    if !lasts(error) {
        return Err(if error.outcome_unknown() { verdict.after(Some(context.pace.poll)) } else { verdict });
    }
    remember(turn, connection, verdict, context.pace.slow);
    Ok(())
}

/// Notes that a decision on `connection` was sent and does not show yet, and says so.
pub(super) fn sent(turn: &Turn<'_>, connection: &Connection, doing: &str) -> Verdict {
    let pace = &turn.context.pace;
    let verdict = Verdict::new(Reason::Updating, format!("{doing}: Azure does not show it yet")).after(Some(pace.poll));
    remember(turn, connection, verdict.clone(), pace.settling);
    verdict
}

/// The write on `connection` that has to be waited for: one that Azure refused a while ago, or one that does not show yet and may
/// still, because it went out a moment ago or Azure works on it.
pub(super) fn waiting(turn: &Turn<'_>, connection: &Connection) -> Option<Verdict> {
    let (context, now) = (turn.context, turn.context.now());
    let attempt = context.attempts.of(turn.target, connection, now)?;
    let age = Duration::try_from(now.duration_since(attempt.at)).unwrap_or_default();
    let over = age >= context.pace.rest && connection.is_settled(turn.dialect);
    (attempt.verdict.reason != Reason::Updating || !over).then_some(attempt.verdict)
}

/// What is under way on the target, if anything: parallel decisions would cancel each other, whichever policies they come from.
pub(super) fn under_way(turn: &Turn<'_>, connections: &[Connection]) -> Option<Verdict> {
    let undone = connections.iter().filter(|connection| connection.is_approved() || connection.is_pending());
    undone.filter_map(|connection| waiting(turn, connection)).find(|verdict| verdict.reason == Reason::Updating)
}

/// Keeps `connection` from being written for `wait`, with `verdict` to say meanwhile.
fn remember(turn: &Turn<'_>, connection: &Connection, verdict: Verdict, wait: Duration) {
    let now = turn.context.now();
    let until = now.checked_add(wait).unwrap_or(now);
    turn.context.attempts.note(turn.target, connection, Attempt { at: now, until, verdict }, now);
}

/// Whether the same request is likely to be refused again: nothing that passes by itself, such as load, a lost answer, another
/// operation or a connection that is gone meanwhile.
fn lasts(error: &ArmError) -> bool {
    let passes = matches!(
        error.class,
        ErrorClass::Throttled
            | ErrorClass::Busy
            | ErrorClass::Transient
            | ErrorClass::Precondition
            | ErrorClass::PrincipalNotReady
            | ErrorClass::Unauthenticated
            | ErrorClass::NotFound
    );
    !passes && !error.outcome_unknown() && error.status.is_some_and(|status| status != 409 && status != 429)
}
