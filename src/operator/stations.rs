//! The kinds that attach to a workspace, each watched and run the same way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::tell_departing;
use crate::api::AmlCompute;
use crate::controllers::attached::{Attached, reconcile};
use crate::runtime::context::Context;
use crate::runtime::driver::{Source, run};
use crate::runtime::station::{Station, Stations, workspace_of};
use crate::runtime::status::OwnWrites;
use crate::runtime::streams::{Guarded, watch};

/// A kind's watch before it begins.
struct Pending<K: Attached> {
    writer: Writer<Guarded<K>>,
    asked: UnboundedReceiver<ObjectRef<Guarded<K>>>,
}

/// All of them.
pub(super) struct AllPending {
    computes: Pending<AmlCompute>,
}

fn station<K: Attached>() -> (Station<K>, Pending<K>) {
    let (store, writer) = reflector::store();
    let (ask, asked) = unbounded_channel();
    (Station::new(store, ask), Pending { writer, asked })
}

/// The stations, and what their watches need to begin.
pub(super) fn stations() -> (Stations, AllPending) {
    let (computes, pending_computes) = station();
    (Stations { computes }, AllPending { computes: pending_computes })
}

/// Runs the controllers of all of them until `shutdown`.
pub(super) async fn run_all(pending: AllPending, context: Arc<Context>, own: OwnWrites, shutdown: CancellationToken) {
    attend(pending.computes, context, own, shutdown).await;
}

fn attend<K: Attached>(
    pending: Pending<K>,
    context: Arc<Context>,
    own: OwnWrites,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> {
    let told = context.clone();
    let changes = watch(
        Api::<Guarded<K>>::all(context.kube.clone()),
        context.selector.as_deref(),
        pending.writer,
        own,
        move |object: &Guarded<K>, _| {
            tell_departing(&told);
            let Ok(object) = &object.0 else { return };
            let key = workspace_of(object);
            // Its lane posts what ARM shows once somebody wants to know.
            told.triggers.workspace(&key);
            if let Some(Ok(workspace)) = told.indexes.workspace(&key).as_ref().map(|found| found.0.as_ref()) {
                told.triggers.connection(&workspace.spec.connection_ref.name);
            }
        },
    );
    let store = K::station(&context).store.clone();
    let source = Source { changes, asked: pending.asked, store, gather: Duration::ZERO };
    run(context, source, shutdown, reconcile::<K>)
}

/// Stations without watches, for tests of what stands beside them.
#[cfg(test)]
pub(crate) fn unwatched() -> Stations {
    stations().0
}
