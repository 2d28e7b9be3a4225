//! What the shared parts keep for one kind that attaches to a workspace: its objects, who wants to hear of them, and what its turns
//! remember.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

use kube::ResourceExt;
use kube::runtime::reflector::store::WriterDropped;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc::UnboundedSender;

use super::guarded::Guarded;
use super::indexes::{Indexes, age, census_of, key_of};
use super::lookup::Index;
use super::status::has_finalizer;
use super::terms::Term;
use crate::api::common::{DeletionPolicy, ManagementPolicy};
use crate::api::{AmlCompute, AmlDatastore, AmlOnlineEndpoint, AmlWorkspace, SynapseLink, VnetAttachment};
use crate::controllers::attached::{Attached, Memory, may_attach};
use crate::plan::rules::ObjectKey;
use crate::runtime::context::Context;
use crate::telemetry::ObjectCount;

/// The stations of all kinds that attach to a workspace.
#[derive(Clone)]
pub struct Stations {
    /// Networks.
    pub attachments: Station<VnetAttachment>,
    /// Computes.
    pub computes: Station<AmlCompute>,
    /// Datastores.
    pub datastores: Station<AmlDatastore>,
    /// Online endpoints.
    pub endpoints: Station<AmlOnlineEndpoint>,
    /// Links to Synapse.
    pub links: Station<SynapseLink>,
}

impl Stations {
    /// All of them.
    pub fn all(&self) -> [&dyn AnyStation; 5] {
        [&self.attachments, &self.computes, &self.datastores, &self.endpoints, &self.links]
    }

    /// Asks for a look at the object `key` of `kind`.
    pub fn ask(&self, kind: &str, key: &ObjectKey) {
        self.all().iter().filter(|station| station.kind() == kind).for_each(|station| station.ask_one(key));
    }

    /// Asks for a look at all that attach to the workspace `key`.
    pub fn ask_of(&self, key: &ObjectKey) {
        self.all().iter().for_each(|station| station.ask_of(key));
    }

    /// True if anything attaches to the workspace `key`.
    pub fn any_of(&self, key: &ObjectKey) -> bool {
        self.all().iter().any(|station| station.any_of(key))
    }

    /// True if anything that may attach to `workspace` waits for its managed network.
    pub fn need_network(&self, context: &Context, workspace: &AmlWorkspace) -> bool {
        self.all().iter().any(|station| station.needs_network(context, workspace))
    }

    /// Resolves once every store has seen its first whole list.
    ///
    /// # Errors
    /// If a watch has ended.
    pub async fn wait(&self) -> Result<(), WriterDropped> {
        for station in self.all() {
            station.wait().await?;
        }
        Ok(())
    }
}

/// What is asked of all stations alike.
pub trait AnyStation: Send + Sync {
    /// The kind.
    fn kind(&self) -> &'static str;
    /// Asks for a look at the object `key`.
    fn ask_one(&self, key: &ObjectKey);
    /// Asks for a look at all that attach to the workspace `key`.
    fn ask_of(&self, key: &ObjectKey);
    /// Asks for a look at all in the namespace `name`.
    fn ask_in(&self, name: &str);
    /// True if anything attaches to the workspace `key`.
    fn any_of(&self, key: &ObjectKey) -> bool;
    /// Everything that uses the connection `name`, with its kind.
    fn users_of(&self, indexes: &Indexes, name: &str) -> Vec<(&'static str, ObjectKey)>;
    /// The uids of objects of the connection `name` whose deletion removes something from Azure.
    fn removals(&self, indexes: &Indexes, name: &str) -> Vec<String>;
    /// True if anything that may attach to `workspace` waits for its managed network.
    fn needs_network(&self, context: &Context, workspace: &AmlWorkspace) -> bool;
    /// How many objects there are, by kind and Ready condition.
    fn census(&self) -> Vec<ObjectCount>;
    /// Resolves once the store has seen its first whole list.
    fn wait(&self) -> BoxFuture<'_, Result<(), WriterDropped>>;
}

impl<K: Attached> AnyStation for Station<K> {
    fn kind(&self) -> &'static str {
        K::NAME
    }

    fn ask_one(&self, key: &ObjectKey) {
        self.ask(key);
    }

    fn ask_of(&self, key: &ObjectKey) {
        self.ask_found(&Term::Workspace(key.clone()));
    }

    fn ask_in(&self, name: &str) {
        self.ask_found(&Term::Namespace(name.into()));
    }

    fn any_of(&self, key: &ObjectKey) -> bool {
        self.index.has(&Term::Workspace(key.clone()))
    }

    fn users_of(&self, indexes: &Indexes, name: &str) -> Vec<(&'static str, ObjectKey)> {
        let users = self.objects().filter(|object| connection_of(indexes, object).as_deref() == Some(name));
        users.map(|object| (K::NAME, key_of(&object))).collect()
    }

    fn removals(&self, indexes: &Indexes, name: &str) -> Vec<String> {
        let removes = |object: &K| {
            let policies = object.policies();
            connection_of(indexes, object).as_deref() == Some(name)
                && has_finalizer(object)
                && policies.deletion == DeletionPolicy::Delete
                && policies.management != ManagementPolicy::Observe
                && !Context::abandoned(object)
        };
        let going = self.index.find(&Term::Going);
        let going = going.iter().filter_map(|object| object.0.as_ref().ok());
        going.filter(|object| removes(object)).filter_map(ResourceExt::uid).collect()
    }

    fn needs_network(&self, context: &Context, workspace: &AmlWorkspace) -> bool {
        let key = key_of(workspace);
        self.of(&key).iter().any(|object| {
            object.needs_network()
                && object.meta().deletion_timestamp.is_none()
                && !object.policies().suspend
                && object.policies().management != ManagementPolicy::Observe
                && may_attach(context, object, workspace)
        })
    }

    fn census(&self) -> Vec<ObjectCount> {
        census_of(&self.index)
    }

    fn wait(&self) -> BoxFuture<'_, Result<(), WriterDropped>> {
        let store = self.index.store();
        Box::pin(async move { store.wait_until_ready().await })
    }
}

/// The connection that `object` uses through its workspace; once that is gone, the one it used last.
fn connection_of<K: Attached>(indexes: &Indexes, object: &K) -> Option<String> {
    let workspace = indexes.workspace(&workspace_of(object));
    let workspace = workspace.as_ref().and_then(|workspace| workspace.0.as_ref().ok());
    let said = || object.status().and_then(|status| K::said(status).1.map(ToOwned::to_owned));
    workspace.map(|workspace| workspace.spec.connection_ref.name.clone()).or_else(said)
}

/// One kind's station.
pub struct Station<K: Attached> {
    /// All objects.
    pub index: Index<K>,
    asked: UnboundedSender<ObjectRef<Guarded<K>>>,
    memories: Arc<Mutex<HashMap<String, Memory<K>>>>,
}

impl<K: Attached> Clone for Station<K> {
    fn clone(&self) -> Self {
        Self { index: self.index.clone(), asked: self.asked.clone(), memories: Arc::clone(&self.memories) }
    }
}

/// Asks for looks at objects, for whoever must not keep their station alive.
pub struct Asker<K: Attached>(UnboundedSender<ObjectRef<Guarded<K>>>);

impl<K: Attached> Asker<K> {
    /// Asks for a look at the object `key`.
    pub fn ask(&self, key: &ObjectKey) {
        // A closed channel means the controllers are shutting down: nobody is left to look.
        drop(self.0.send(ObjectRef::new(&key.name).within(&key.namespace)));
    }
}

impl<K: Attached> Station<K> {
    /// A station over these objects.
    pub fn new(store: Store<Guarded<K>>, asked: UnboundedSender<ObjectRef<Guarded<K>>>) -> Self {
        Self { index: Index::new(store), asked, memories: Arc::default() }
    }

    /// What asks for looks at its objects.
    pub fn asker(&self) -> Asker<K> {
        Asker(self.asked.clone())
    }

    /// Asks for a look at the object `key`.
    pub fn ask(&self, key: &ObjectKey) {
        self.asker().ask(key);
    }

    /// Asks for a look at every object for which `wanted` holds.
    pub fn ask_all(&self, wanted: impl Fn(&K) -> bool) {
        for object in self.objects().filter(|object| wanted(object)) {
            self.ask(&key_of(&object));
        }
    }

    /// Asks for a look at every object that is found by `term`.
    fn ask_found(&self, term: &Term<'_>) {
        self.index.find(term).iter().for_each(|object| self.ask(&key_of(object.as_ref())));
    }

    /// The object `key`, if it is there and can be read.
    pub fn get(&self, key: &ObjectKey) -> Option<K> {
        self.index.get(key)?.0.as_ref().ok().cloned()
    }

    /// All objects that can be read.
    pub fn objects(&self) -> impl Iterator<Item = K> {
        let readable = |object: Arc<Guarded<K>>| object.0.as_ref().ok().cloned();
        self.index.state().into_iter().filter_map(readable)
    }

    /// All that attach to the workspace `key`, oldest first.
    pub fn of(&self, key: &ObjectKey) -> Vec<K> {
        let found = self.index.find(&Term::Workspace(key.clone()));
        let mut objects: Vec<K> = found.iter().filter_map(|object| object.0.as_ref().ok()).cloned().collect();
        objects.sort_by_cached_key(age);
        objects
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Memory<K>>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is remembered of the object `uid`; it is put back at the end of the turn.
    pub fn take(&self, uid: &str) -> Memory<K> {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Puts back what is remembered.
    pub fn put(&self, uid: &str, memory: Memory<K>) {
        self.lock().insert(uid.to_owned(), memory);
    }

    /// Forgets the object `uid`, which is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// The workspace that `object` attaches to.
pub fn workspace_of<K: Attached>(object: &K) -> ObjectKey {
    let reference = object.policies().workspace_ref;
    let own = || object.namespace().unwrap_or_default();
    ObjectKey { namespace: reference.namespace.clone().unwrap_or_else(own), name: reference.name.clone() }
}
