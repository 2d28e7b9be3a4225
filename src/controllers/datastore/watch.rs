//! Follows the one Secret that a datastore takes its credential from: its metadata, and no other Secret's.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::task::AbortHandle;

use crate::api::datastore::CREDENTIAL_SECRET;

/// Nobody knows yet whether it may be watched.
const BEGINNING: u8 = 0;
/// Its changes are seen.
const WATCHED: u8 = 1;
/// The operator may not watch it.
const REFUSED: u8 = 2;

/// The watch of one Secret. It ends with the last of its holders, or when Kubernetes refuses it.
#[derive(Debug)]
pub(super) struct Watch {
    name: String,
    state: Arc<AtomicU8>,
    task: Mutex<Task>,
}

#[derive(Debug)]
struct Task {
    handle: AbortHandle,
    begun: Timestamp,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).handle.abort();
    }
}

impl Watch {
    /// Begins to watch the Secret `name` of `namespace`; `changed` hears of each change, and of whether it may be watched.
    pub(super) fn begin(
        kube: &kube::Client,
        namespace: &str,
        name: &str,
        now: Timestamp,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(AtomicU8::new(BEGINNING));
        let handle = follow(kube, namespace, name, state.clone(), changed);
        Self { name: name.to_owned(), state, task: Mutex::new(Task { handle, begun: now }) }
    }

    /// True if it watches the Secret `name`.
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether changes of the Secret are seen; `None` if that is not known yet.
    pub(super) fn sees(&self) -> Option<bool> {
        match self.state.load(Ordering::Acquire) {
            WATCHED => Some(true),
            REFUSED => Some(false),
            _ => None,
        }
    }

    /// Tries again what was refused at least `wait` ago: somebody may have allowed it.
    pub(super) fn renew(
        &self,
        kube: &kube::Client,
        namespace: &str,
        now: Timestamp,
        wait: Duration,
        changed: impl Fn() + Send + Sync + 'static,
    ) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = Duration::try_from(now.duration_since(task.begun)).is_ok_and(|rested| rested >= wait);
        if self.sees() == Some(false) && task.handle.is_finished() && rested {
            let handle = follow(kube, namespace, &self.name, self.state.clone(), changed);
            *task = Task { handle, begun: now };
        }
    }
}

fn follow(
    kube: &kube::Client,
    namespace: &str,
    name: &str,
    state: Arc<AtomicU8>,
    changed: impl Fn() + Send + Sync + 'static,
) -> AbortHandle {
    let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(kube.clone(), namespace);
    // With its name in the selector the right to this one Secret suffices (resourceNames).
    let config = Config::default().fields(&format!("metadata.name={name},type={CREDENTIAL_SECRET}"));
    let task = tokio::spawn(async move {
        let mut events = pin!(watcher(secrets, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init | Event::InitApply(_)) => {}
                Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => {
                    state.store(WATCHED, Ordering::Release);
                    changed();
                }
                Err(error) if is_refusal(&error) => {
                    if state.swap(REFUSED, Ordering::AcqRel) != REFUSED {
                        changed();
                    }
                    return;
                }
                Err(error) => tracing::debug!(%error, "a credential's Secret cannot be watched just now"),
            }
        }
    });
    task.abort_handle()
}

fn is_refusal(error: &Error) -> bool {
    let forbidden = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 403);
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
            forbidden(error)
        }
        Error::WatchError(status) => status.code == 403,
        _ => false,
    }
}
