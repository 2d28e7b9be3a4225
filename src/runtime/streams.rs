//! Watches: what of them is kept in memory, and which of their events call for a reconcile.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};

use super::kind::Kind;
use super::status::OwnWrites;

/// An object that may turn out unreadable: one malformed object must not stop the watch for the others.
pub type Guarded<K> = DeserializeGuard<K>;

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

/// Watches all objects of `K`: keeps them, pruned, in `writer`'s store, tells `fan_out` of each change that matters, and yields
/// the objects that call for a reconcile.
///
/// Managed fields are three quarters of an object's memory (measured with kube 5), and nothing here reads them.
pub fn watch<K: Kind>(
    api: Api<Guarded<K>>,
    selector: Option<&str>,
    writer: Writer<Guarded<K>>,
    own: OwnWrites,
    fan_out: impl Fn(&Guarded<K>, Change) + Send + Sync + 'static,
) -> BoxStream<'static, Result<Guarded<K>, watcher::Error>> {
    let known = Arc::new(Fingerprints::default());
    watcher(api, watcher::Config { label_selector: selector.map(ToOwned::to_owned), ..watcher::Config::default() })
        .default_backoff()
        .modify(prune)
        .reflect(writer)
        .try_filter_map(move |event| {
            let touched = match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    let matters = known.note(&object, &own);
                    matters.then_some((object, Change::Present))
                }
                watcher::Event::Delete(object) => {
                    let uid = object.meta().uid.clone().unwrap_or_default();
                    known.forget(&uid);
                    own.forget(&uid);
                    Some((object, Change::Gone))
                }
                watcher::Event::Init | watcher::Event::InitDone => None,
            };
            let out = touched.map(|(object, change)| {
                fan_out(&object, change);
                object
            });
            futures::future::ready(Ok(out))
        })
        .boxed()
}

fn prune<K: Kind>(object: &mut Guarded<K>) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
