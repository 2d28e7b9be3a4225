//! Finds a kind's objects by what they say, so that a turn costs what it is about and not all that the cluster holds: with a
//! thousand workspaces, a search through all of them in each one's turn would cost a million steps.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use kube::runtime::reflector::{ObjectRef, Store};

use super::guarded::Guarded;
use super::indexes::key_of;
use super::terms::{Term, Terms, terms_of};
use crate::plan::rules::ObjectKey;

/// Stands for a term. Drawn anew in each process, so that nobody can choose names that collide.
type Mark = u64;

/// Which objects may be found by a term.
///
/// Invariant: it names every object that the store holds under all of the object's terms, and perhaps others: what is about to
/// enter the store is noted before, what has left it is forgotten afterwards. So nothing is ever overlooked, and what is named is
/// looked at.
#[derive(Debug, Default)]
struct Places {
    objects: HashMap<Arc<ObjectKey>, Box<[Mark]>>,
    by_mark: HashMap<Mark, Vec<Arc<ObjectKey>>>,
}

impl Places {
    /// From now on exactly `marks` lead to `key`.
    fn set(&mut self, key: ObjectKey, marks: Vec<Mark>) {
        let (key, before) =
            self.objects.remove_entry(&key).unwrap_or_else(|| (Arc::new(key), Box::<[Mark]>::default()));
        for mark in before.iter().filter(|mark| !marks.contains(mark)) {
            if let Some(keys) = self.by_mark.get_mut(mark) {
                keys.retain(|known| !Arc::ptr_eq(known, &key));
                if keys.is_empty() {
                    self.by_mark.remove(mark);
                }
            }
        }
        for mark in marks.iter().filter(|mark| !before.contains(mark)) {
            self.by_mark.entry(*mark).or_default().push(Arc::clone(&key));
        }
        if !marks.is_empty() {
            self.objects.insert(key, marks.into_boxed_slice());
        }
    }
}

/// All objects of a kind, as its watch shows them.
pub struct Index<K: Terms> {
    store: Store<Guarded<K>>,
    hasher: RandomState,
    places: Arc<RwLock<Places>>,
}

impl<K: Terms> Clone for Index<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), hasher: self.hasher.clone(), places: Arc::clone(&self.places) }
    }
}

impl<K: Terms> Index<K> {
    /// An index over `store`, whose watch has to [`announce`](Self::announce) and [`settle`](Self::settle) every object.
    pub fn new(store: Store<Guarded<K>>) -> Self {
        Self { store, hasher: RandomState::new(), places: Arc::default() }
    }

    /// The store.
    pub fn store(&self) -> Store<Guarded<K>> {
        self.store.clone()
    }

    /// All objects.
    pub fn state(&self) -> Vec<Arc<Guarded<K>>> {
        self.store.state()
    }

    /// The object `key`; of a cluster-scoped one the namespace does not matter.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Guarded<K>>> {
        self.store.get(&ObjectRef::new(&key.name).within(&key.namespace))
    }

    /// The objects that are found by `term`.
    pub fn find(&self, term: &Term<'_>) -> Vec<Arc<Guarded<K>>> {
        let keys = {
            let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
            places.by_mark.get(&self.hasher.hash_one(term)).cloned().unwrap_or_default()
        };
        let objects = keys.iter().filter_map(|key| self.get(key));
        objects.filter(|object| terms_of(object.as_ref()).contains(term)).collect()
    }

    /// True if an object is found by `term`.
    pub fn has(&self, term: &Term<'_>) -> bool {
        !self.find(term).is_empty()
    }

    /// To be called before the store shows `object`.
    pub fn announce(&self, object: &Guarded<K>) {
        let key = key_of(object);
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let mut marks = places.objects.get(&key).map(|marks| marks.to_vec()).unwrap_or_default();
        let known = marks.len();
        for mark in self.marks(object) {
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        if marks.len() != known {
            places.set(key, marks);
        }
    }

    /// To be called once the store shows `object`, or does not any more.
    pub fn settle(&self, object: &Guarded<K>) {
        let key = key_of(object);
        // Another object of this name may be there by now.
        let shown = self.get(&key);
        let marks = shown.map(|shown| self.marks(shown.as_ref())).unwrap_or_default();
        self.places.write().unwrap_or_else(PoisonError::into_inner).set(key, marks);
    }

    fn marks(&self, object: &Guarded<K>) -> Vec<Mark> {
        terms_of(object).iter().map(|term| self.hasher.hash_one(term)).collect()
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::{reflector, watcher};
    use kube::{Resource, ResourceExt};
    use serde_json::json;

    use super::*;
    use crate::api::OutboundRule;

    /// A rule of the workspace `of`.
    fn rule(name: &str, of: &str, going: bool) -> Guarded<OutboundRule> {
        let deleted = going.then_some("2026-01-01T00:00:00Z");
        serde_json::from_value(json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
            "metadata": {"name": name, "namespace": "team", "uid": name, "deletionTimestamp": deleted},
            "spec": {"workspaceRef": {"name": of}, "fqdn": "pytorch.org"},
        }))
        .unwrap()
    }

    fn of(name: &str) -> Term<'static> {
        Term::Workspace(ObjectKey { namespace: "team".into(), name: name.to_owned() })
    }

    fn names(index: &Index<OutboundRule>, term: &Term<'_>) -> Vec<String> {
        let mut names: Vec<String> = index.find(term).iter().map(|rule| rule.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn objects_are_found_by_what_the_store_shows_of_them() {
        let (store, mut writer) = reflector::store();
        let index = Index::new(store);
        let mut show = |rule: Guarded<OutboundRule>| {
            index.announce(&rule);
            writer.apply_watcher_event(&watcher::Event::Apply(rule.clone()));
            index.settle(&rule);
        };
        show(rule("a", "fraud", false));
        show(rule("b", "fraud", false));
        show(rule("c", "churn", false));
        assert_eq!(
            (names(&index, &of("fraud")), names(&index, &of("churn"))),
            (vec!["a".into(), "b".into()], vec!["c".into()])
        );
        // What is announced is not there yet, and what was there is still found.
        index.announce(&rule("b", "churn", true));
        assert_eq!((names(&index, &of("fraud")).len(), names(&index, &of("churn")).len()), (2, 1));
        show(rule("b", "churn", true));
        assert_eq!(names(&index, &of("fraud")), ["a"]);
        assert_eq!(names(&index, &of("churn")), ["b", "c"]);
        assert_eq!(names(&index, &Term::Going), ["b"]);
        writer.apply_watcher_event(&watcher::Event::Delete(rule("b", "churn", true)));
        index.settle(&rule("b", "churn", true));
        assert!(!index.has(&Term::Going));
        let places = index.places.read().unwrap();
        assert_eq!(places.objects.len(), 2, "what is gone is forgotten");
        assert!(places.by_mark.values().all(|keys| !keys.is_empty()));
        assert_eq!(index.get(&key_of(&rule("a", "fraud", false))).unwrap().meta().uid.as_deref(), Some("a"));
    }
}
