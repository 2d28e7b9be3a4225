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
use crate::api::{AmlCompute, AmlDatastore, AmlOnlineEndpoint, SynapseLink, VnetAttachment};
use crate::controllers::attached::{Attached, reconcile};
use crate::runtime::context::Context;
use crate::runtime::driver::{Source, run};
use crate::runtime::guarded::Guarded;
use crate::runtime::indexes::key_of;
use crate::runtime::kind::Kind;
use crate::runtime::station::{Station, Stations, workspace_of};
use crate::runtime::status::OwnWrites;
use crate::runtime::streams::{Change, watch};
use crate::runtime::terms::Term;

/// A kind's watch before it begins.
struct Pending<K: Attached> {
    writer: Writer<Guarded<K>>,
    asked: UnboundedReceiver<ObjectRef<Guarded<K>>>,
}

/// All of them.
pub(super) struct AllPending {
    attachments: Pending<VnetAttachment>,
    computes: Pending<AmlCompute>,
    datastores: Pending<AmlDatastore>,
    endpoints: Pending<AmlOnlineEndpoint>,
    links: Pending<SynapseLink>,
}

fn station<K: Attached>() -> (Station<K>, Pending<K>) {
    let (store, writer) = reflector::store();
    let (ask, asked) = unbounded_channel();
    (Station::new(store, ask), Pending { writer, asked })
}

/// The stations, and what their watches need to begin.
pub(super) fn stations() -> (Stations, AllPending) {
    let (attachments, of_attachments) = station();
    let (computes, of_computes) = station();
    let (datastores, of_datastores) = station();
    let (endpoints, of_endpoints) = station();
    let (links, of_links) = station();
    let pending = AllPending {
        attachments: of_attachments,
        computes: of_computes,
        datastores: of_datastores,
        endpoints: of_endpoints,
        links: of_links,
    };
    (Stations { attachments, computes, datastores, endpoints, links }, pending)
}

/// Runs the controllers of all of them until `shutdown`.
pub(super) async fn run_all(pending: AllPending, context: Arc<Context>, own: OwnWrites, shutdown: CancellationToken) {
    let attachments = attend(pending.attachments, context.clone(), own.clone(), shutdown.clone());
    let computes = attend(pending.computes, context.clone(), own.clone(), shutdown.clone());
    let datastores = attend(pending.datastores, context.clone(), own.clone(), shutdown.clone());
    let endpoints = attend(pending.endpoints, context.clone(), own.clone(), shutdown.clone());
    let links = attend(pending.links, context, own, shutdown);
    tokio::join!(attachments, computes, datastores, endpoints, links);
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
        K::station(&context).index.clone(),
        own,
        move |object: &Guarded<K>, change| {
            tell_departing(&told);
            if change == Change::Gone || object.0.is_err() {
                // It has no more turns.
                told.calm.leave(K::NAME, &key_of(object));
            }
            let Ok(object) = &object.0 else { return };
            let key = workspace_of(object);
            // Its lane posts what ARM shows once somebody wants to know.
            told.triggers.workspace(&key);
            match K::NAME {
                VnetAttachment::NAME => tell_linking(&told, &Term::Attachment(key_of(object))),
                SynapseLink::NAME => tell_linking(&told, &Term::Link(key_of(object))),
                _ => {}
            }
            if let Some(Ok(workspace)) = told.indexes.workspace(&key).as_ref().map(|found| found.0.as_ref()) {
                told.triggers.connection(&workspace.spec.connection_ref.name);
            }
        },
    );
    let store = K::station(&context).index.store();
    let source = Source { changes, asked: pending.asked, store, gather: Duration::ZERO };
    run(context, source, shutdown, reconcile::<K>)
}

/// Asks the policies that `link` to an object to look again: its endpoints are what they allow.
fn tell_linking(context: &Context, link: &Term<'_>) {
    for policy in context.indexes.approvals.find(link) {
        context.ask_policy(&key_of(policy.as_ref()));
    }
}

/// Stations without watches, for tests of what stands beside them.
#[cfg(test)]
pub(crate) fn unwatched() -> Stations {
    stations().0
}
