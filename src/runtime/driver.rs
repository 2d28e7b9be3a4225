//! The shared driver: runs one controller, turns what a reconcile came to into the next look, and measures it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::context::Context;
use super::gather::gathered;
use super::guarded::Guarded;
use super::kind::Kind;
use super::status::WriteError;
use crate::api::condition::{Condition, settle};
use crate::plan::Verdict;
use crate::telemetry::ReconcileResult;

/// How many objects of a kind are worked on at once.
const CONCURRENCY: u16 = 64;
/// How soon a reconcile that came too early looks again.
const EARLY: Duration = Duration::from_millis(50);

/// What a reconcile came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It reported this; the verdict's reason says when to look again.
    Reported(Verdict),
    /// It has more to do after this time.
    Again(Duration),
    /// Nothing more until something changes.
    Done,
}

/// Why a reconcile could not report at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A write to Kubernetes failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] super::ledger::LedgerError),
    /// A read from Kubernetes failed.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
}

impl Error {
    fn is_outdated(&self) -> bool {
        use super::ledger::LedgerError;
        matches!(self, Self::Write(WriteError::Outdated) | Self::Ledger(LedgerError::Write(WriteError::Outdated)))
    }
}

/// What starts reconciles of one kind.
pub struct Source<K: Kind, S> {
    /// Objects that changed.
    pub changes: S,
    /// Objects that others ask about.
    pub asked: UnboundedReceiver<ObjectRef<Guarded<K>>>,
    /// All objects.
    pub store: Store<Guarded<K>>,
    /// How long what others ask gathers before one look; a change of the object itself is looked at once.
    pub gather: Duration,
}

/// Runs the controller of `K` until `shutdown`, then until what is under way has ended.
pub async fn run<K, S, R, F>(context: Arc<Context>, source: Source<K, S>, shutdown: CancellationToken, reconcile: R)
where
    K: Kind,
    S: Stream<Item = Result<Guarded<K>, watcher::Error>> + Send + 'static,
    R: Fn(Arc<Context>, K) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Outcome, Error>> + Send + 'static,
{
    let asked = gathered(source.asked, source.gather);
    let controller = Controller::for_stream(source.changes, source.store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .reconcile_on(asked)
        .graceful_shutdown_on(async move { shutdown.cancelled().await });
    controller
        .run(
            move |object, context: Arc<Context>| turn(context, object, reconcile.clone()),
            |object, error: &Error, context| {
                let uid = object.uid().unwrap_or_default();
                if error.is_outdated() {
                    return Action::requeue(context.pace.lane);
                }
                warn!(kind = K::NAME, name = object.name_any(), namespace = object.namespace(), %error, "reconcile failed");
                Action::requeue(context.failures.next(&uid, context.pace.backoff_first, context.pace.backoff_last))
            },
            context,
        )
        .for_each(|result| async move {
            if let Err(error) = result {
                debug!(kind = K::NAME, %error, "controller");
            }
        })
        .await;
}

async fn turn<K, R, F>(context: Arc<Context>, object: Arc<Guarded<K>>, reconcile: R) -> Result<Action, Error>
where
    K: Kind,
    R: Fn(Arc<Context>, K) -> F,
    F: Future<Output = Result<Outcome, Error>>,
{
    if !context.indexes.synced() || context.status.is_ahead_of(object.meta()) {
        return Ok(Action::requeue(EARLY));
    }
    let started = Instant::now();
    let uid = object.meta().uid.clone().unwrap_or_default();
    let outcome = match &object.0 {
        Ok(readable) => reconcile(context.clone(), readable.clone()).await,
        Err(unreadable) => freeze::<K>(&context, unreadable).await,
    };
    let (result, action) = match &outcome {
        Ok(Outcome::Reported(verdict)) => {
            let wait = context.requeue(&uid, verdict);
            let result =
                if verdict.reason.is_ready() { ReconcileResult::Success } else { ReconcileResult::RequeueAfter };
            (result, Action::requeue(wait))
        }
        Ok(Outcome::Again(wait)) => (ReconcileResult::Requeue, Action::requeue(*wait)),
        Ok(Outcome::Done) => (ReconcileResult::Success, Action::await_change()),
        Err(error) if error.is_outdated() => (ReconcileResult::Requeue, Action::await_change()),
        Err(_) => (ReconcileResult::Error, Action::await_change()),
    };
    context.metrics.reconciled(K::NAME, result, started.elapsed());
    outcome.map(|_| action)
}

/// Says of an object that cannot be read that it cannot; what it stands for stays as it is.
async fn freeze<K: Kind>(
    context: &Context,
    unreadable: &kube::core::error_boundary::InvalidObject,
) -> Result<Outcome, Error> {
    let verdict = Context::unreadable(&unreadable.error);
    let meta = &unreadable.metadata;
    let conditions: Vec<Condition> = settle(verdict.conditions(), &[], meta.generation, context.now());
    // Its last status cannot be read either, so one write a process and generation has to do.
    let status = json!({ "observedGeneration": meta.generation, "conditions": conditions });
    context.status.write_undecoded::<K>(meta, status).await?;
    Ok(Outcome::Done)
}
