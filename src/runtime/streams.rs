//! Watches: what of them is kept in memory, and which of their events call for a reconcile.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};

use super::guarded::Guarded;
use super::kind::Kind;
use super::lookup::Index;
use super::status::OwnWrites;
use super::terms::Terms;

/// Remembers of each object what calls for a reconcile when it changes: everything but what this process wrote itself.
#[derive(Debug, Default)]
struct Fingerprints(Mutex<HashMap<String, u64>>);

impl Fingerprints {
    /// Notes the object as it is now; true if that calls for a reconcile.
    fn note<K: Kind>(&self, object: &Guarded<K>, own: &OwnWrites) -> bool {
        let meta = object.meta();
        let uid = meta.uid.clone().unwrap_or_default();
        let status = object.0.as_ref().ok().and_then(|object| serde_json::to_value(object.status()?).ok());
        // Status only counts when somebody else wrote it: a status wiped by hand is put right at once.
        let foreign = status.filter(|status| !own.wrote(&uid, status)).map(|status| status.to_string());
        let mut hasher = DefaultHasher::new();
        (meta.generation, &meta.deletion_timestamp.as_ref().map(|time| time.0.to_string())).hash(&mut hasher);
        (&meta.finalizers, &meta.annotations, &foreign, object.0.is_err()).hash(&mut hasher);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(uid, hasher.finish()) != Some(hasher.finish())
    }

    fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// What of an event reaches the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The object is there, new or changed.
    Present,
    /// The object is gone.
    Gone,
}

/// What a watch's events changed in its store, told once the store shows it.
///
/// A list after an outage fills a buffer first; the store takes it over as a whole at the end (`InitDone`). Telling earlier would
/// have controllers look at what the store held before the outage, so only the end counts: everything in the store is told as
/// present, and what it held when the list began and holds no longer as gone, because no event will ever say so.
fn changes<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    store: Store<K>,
) -> impl Stream<Item = Result<(Arc<K>, Change), watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    // Shared with the store, so it costs a pointer each, and only while a list is under way.
    let mut before: Vec<Arc<K>> = Vec::new();
    events
        .map_ok(move |event| {
            let told = match event {
                watcher::Event::Apply(object) => vec![(Arc::new(object), Change::Present)],
                watcher::Event::Delete(object) => vec![(Arc::new(object), Change::Gone)],
                watcher::Event::Init => {
                    before = store.state();
                    Vec::new()
                }
                watcher::Event::InitApply(_) => Vec::new(),
                watcher::Event::InitDone => listed(std::mem::take(&mut before), store.state()),
            };
            futures::stream::iter(told.into_iter().map(Ok))
        })
        .try_flatten()
}

/// What a whole list says: first who is gone, so that a namesake made meanwhile comes after its forerunner.
fn listed<K: Resource>(before: Vec<Arc<K>>, now: Vec<Arc<K>>) -> Vec<(Arc<K>, Change)> {
    let present: HashSet<Option<String>> = now.iter().map(|object| object.meta().uid.clone()).collect();
    let gone = before.into_iter().filter(|object| !present.contains(&object.meta().uid));
    let gone: Vec<_> = gone.map(|object| (object, Change::Gone)).collect();
    gone.into_iter().chain(now.into_iter().map(|object| (object, Change::Present))).collect()
}

/// Watches all objects of `K`: keeps them in `writer`'s store and in the `index` over it, tells `fan_out` of each change
/// that matters, and yields the objects that call for a reconcile. Both see the store as it is after the change.
pub fn watch<K: Terms>(
    api: Api<Guarded<K>>,
    selector: Option<&str>,
    writer: Writer<Guarded<K>>,
    index: Index<K>,
    own: OwnWrites,
    fan_out: impl Fn(&Guarded<K>, Change) + Send + Sync + 'static,
) -> BoxStream<'static, Result<Guarded<K>, watcher::Error>> {
    let config = watcher::Config { label_selector: selector.map(ToOwned::to_owned), ..watcher::Config::default() };
    let events = watcher(api, config).default_backoff();
    that_matter(kept(events, writer, &index), index, own, fan_out).boxed()
}

/// Keeps what `events` show in `writer`'s store, and tells the `index` before.
fn kept<K: Terms>(
    events: impl Stream<Item = Result<watcher::Event<Guarded<K>>, watcher::Error>> + Send + 'static,
    writer: Writer<Guarded<K>>,
    index: &Index<K>,
) -> impl Stream<Item = Result<(Arc<Guarded<K>>, Change), watcher::Error>> + Send + 'static {
    let (store, announced) = (index.store(), index.clone());
    let events = events.inspect_ok(move |event| {
        if let watcher::Event::Apply(object) | watcher::Event::InitApply(object) = event {
            announced.announce(object);
        }
    });
    changes(events.reflect(writer), store)
}

fn that_matter<K: Terms>(
    changes: impl Stream<Item = Result<(Arc<Guarded<K>>, Change), watcher::Error>> + Send + 'static,
    index: Index<K>,
    own: OwnWrites,
    fan_out: impl Fn(&Guarded<K>, Change) + Send + Sync + 'static,
) -> impl Stream<Item = Result<Guarded<K>, watcher::Error>> + Send + 'static {
    let known = Fingerprints::default();
    changes.try_filter_map(move |(object, change)| {
        index.settle(&object);
        let matters = match change {
            Change::Present => known.note(&object, &own),
            Change::Gone => {
                let uid = object.meta().uid.clone().unwrap_or_default();
                known.forget(&uid);
                own.forget(&uid);
                true
            }
        };
        let out = matters.then(|| {
            fan_out(&object, change);
            Arc::unwrap_or_clone(object)
        });
        futures::future::ready(Ok(out))
    })
}

/// Watches the metadata of all objects of `K`, keeps them in `writer`'s store, and yields each that changed or is gone.
pub fn watch_metadata<K>(
    api: Api<PartialObjectMeta<K>>,
    writer: Writer<PartialObjectMeta<K>>,
) -> BoxStream<'static, Result<Arc<PartialObjectMeta<K>>, watcher::Error>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let store = writer.as_reader();
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.metadata.managed_fields = None)
        .reflect(writer);
    changes(events, store).map_ok(|(object, _)| object).boxed()
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use kube::runtime::reflector;
    use serde_json::json;
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

    use super::*;
    use crate::api::OutboundRule;
    use crate::plan::rules::ObjectKey;
    use crate::runtime::terms::Term;

    /// A rule as the API server sends it; `host` changes with the generation.
    fn rule(name: &str, uid: &str, generation: i64) -> Guarded<OutboundRule> {
        serde_json::from_value(json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
            "metadata": {"name": name, "namespace": "team", "uid": uid, "generation": generation},
            "spec": {"workspaceRef": {"name": "fraud"}, "fqdn": format!("g{generation}.example.org")},
        }))
        .unwrap()
    }

    /// What is told of `events`, and for each what the store holds at that moment.
    async fn told(events: Vec<watcher::Event<Guarded<OutboundRule>>>) -> (Vec<String>, Vec<String>) {
        let (store, writer) = reflector::store::<Guarded<OutboundRule>>();
        let (tell, heard) = std::sync::mpsc::channel();
        let index = Index::new(store);
        let shown = index.clone();
        let fan_out = move |object: &Guarded<OutboundRule>, change| {
            let found = |term| {
                let found = shown.find(&term).into_iter();
                let mut found: Vec<String> = found
                    .map(|object| format!("{}/{}", object.name_any(), object.meta().generation.unwrap()))
                    .collect();
                found.sort();
                found
            };
            let held = found(Term::Namespace("team".into()));
            assert_eq!(held.len(), shown.state().len(), "what the store holds is found");
            let of_workspace = ObjectKey { namespace: "team".into(), name: "fraud".into() };
            assert_eq!(found(Term::Workspace(of_workspace)), held);
            let uid = object.meta().uid.clone().unwrap();
            tell.send(format!("{change:?} {} {uid}: {}", object.name_any(), held.join(" "))).unwrap();
        };
        let events = kept(futures::stream::iter(events.into_iter().map(Ok)), writer, &index);
        let yielded: Vec<_> = that_matter(events, index, OwnWrites::default(), fan_out)
            .map_ok(|object| object.name_any())
            .try_collect()
            .await
            .unwrap();
        let mut heard: Vec<String> = heard.try_iter().collect();
        heard.sort();
        (heard, yielded)
    }

    #[tokio::test]
    async fn a_list_is_told_once_the_store_shows_it() {
        let (heard, yielded) = told(vec![
            Init,
            InitApply(rule("a", "1", 1)),
            InitApply(rule("b", "2", 1)),
            InitDone,
            // The watch breaks; meanwhile `a` changes and `b` does not.
            Init,
            InitApply(rule("a", "1", 2)),
            InitApply(rule("b", "2", 1)),
            InitDone,
        ])
        .await;
        assert_eq!(heard, ["Present a 1: a/1 b/1", "Present a 1: a/2 b/1", "Present b 2: a/1 b/1"]);
        assert_eq!(yielded.len(), 3, "what did not change is not told twice");
    }

    #[tokio::test]
    async fn what_vanished_during_an_outage_is_told_as_gone() {
        let (heard, yielded) = told(vec![
            Init,
            InitApply(rule("a", "1", 1)),
            InitApply(rule("b", "2", 1)),
            InitDone,
            Apply(rule("c", "3", 1)),
            Delete(rule("c", "3", 1)),
            // `b` was deleted and made again under the same name; a first try to list broke off.
            Init,
            InitApply(rule("a", "1", 9)),
            Init,
            InitApply(rule("b", "4", 1)),
            InitDone,
            // A forgotten object that comes back as it was is news.
            Apply(rule("a", "1", 1)),
        ])
        .await;
        assert_eq!(
            heard,
            [
                "Gone a 1: b/1",
                "Gone b 2: b/1",
                "Gone c 3: a/1 b/1",
                "Present a 1: a/1 b/1",
                "Present a 1: a/1 b/1",
                "Present b 2: a/1 b/1",
                "Present b 4: b/1",
                "Present c 3: a/1 b/1 c/1",
            ]
        );
        let forerunners_first = yielded.iter().rposition(|name| name == "b");
        assert_eq!(forerunners_first, Some(yielded.len() - 2), "the new b is told after everything that is gone");
    }
}
