//! The one writer of status, and of finalizers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::kind::Kind;
use crate::api::FINALIZER;

/// The name under which the operator owns fields.
pub const FIELD_MANAGER: &str = "aml-operator";
/// How many of its own writes per object the operator recognises in the watch.
const REMEMBERED: usize = 8;

/// A failure to write to Kubernetes.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first, or the object is gone or another one: look again.
    #[error("the object changed meanwhile")]
    Outdated,
    /// Anything else.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
}

/// Whether a write holds only for the version that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The version read: a 409 means look again.
    Version,
    /// The object, whatever changed of it: for what must not be lost.
    Object,
}

/// Remembers the statuses written, so that the watch can tell our own from others'.
#[derive(Clone, Debug, Default)]
pub struct OwnWrites(Arc<Mutex<HashMap<String, Vec<u64>>>>);

impl OwnWrites {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, uid: &str, status: &Value) {
        let mut writes = self.lock();
        let hashes = writes.entry(uid.to_owned()).or_default();
        hashes.push(hash(status));
        if hashes.len() > REMEMBERED {
            hashes.remove(0);
        }
    }

    /// True if this process wrote `status` to the object `uid`.
    pub fn wrote(&self, uid: &str, status: &Value) -> bool {
        self.lock().get(uid).is_some_and(|hashes| hashes.contains(&hash(status)))
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Writes statuses and finalizers.
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
    own: OwnWrites,
    metrics: crate::telemetry::Metrics,
}

fn outdated(error: kube::Error) -> WriteError {
    match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_not_found() => WriteError::Outdated,
        other => WriteError::Kube(other),
    }
}

impl StatusWriter {
    /// A writer that remembers its writes in `own`.
    pub fn new(client: Client, own: OwnWrites, metrics: crate::telemetry::Metrics) -> Self {
        Self { client, own, metrics }
    }

    fn api<K: Kind>(&self, object: &K) -> Api<DynamicObject> {
        dynamic::<K>(&self.client, object.namespace().as_deref())
    }

    /// Writes the whole `status` of `object`, if it says anything new, and takes over the version that the write made.
    ///
    /// The status is replaced as a whole: server-side apply would leave in place what somebody else put into a list of it, and a
    /// forged operation would stay there for ever.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read.
    pub async fn write<K: Kind>(&self, object: &mut K, status: K::Status, basis: Basis) -> Result<(), WriteError> {
        if object.status() == Some(&status) {
            return Ok(());
        }
        let content = serde_json::to_value(&status).unwrap_or(Value::Null);
        let written = self.replace::<K>(object.meta(), content, basis).await?;
        object.meta_mut().resource_version = written.metadata.resource_version;
        object.set_status(status);
        Ok(())
    }

    /// Says in the status of an object that cannot be decoded why it is ignored.
    ///
    /// # Errors
    /// As [`StatusWriter::write`].
    pub async fn write_undecoded<K: Kind>(&self, meta: &ObjectMeta, status: Value) -> Result<(), WriteError> {
        self.replace::<K>(meta, status, Basis::Object).await.map(|_| ())
    }

    async fn replace<K: Kind>(
        &self,
        meta: &ObjectMeta,
        status: Value,
        basis: Basis,
    ) -> Result<DynamicObject, WriteError> {
        let uid = meta.uid.clone().unwrap_or_default();
        // Setting uid and version to what was read is how a patch says "only if": another value is a conflict.
        let mut steps = vec![json!({ "op": "replace", "path": "/metadata/uid", "value": uid })];
        if basis == Basis::Version {
            steps.push(json!({ "op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version }));
        }
        steps.push(json!({ "op": "add", "path": "/status", "value": status }));
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(steps)).map_err(kube::Error::SerdeError)?;
        self.own.remember(&uid, &status);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let api = dynamic::<K>(&self.client, meta.namespace.as_deref());
        let name = meta.name.clone().unwrap_or_default();
        let written = api.patch_status(&name, &params, &Patch::<()>::Json(patch)).await.map_err(outdated)?;
        self.metrics.status_written(K::NAME);
        Ok(written)
    }

    /// Adds our finalizer, or takes it off. Does nothing if it already is so.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read.
    pub async fn finalizer<K: Kind>(&self, object: &K, wanted: bool) -> Result<(), WriteError> {
        if has_finalizer(object) == wanted {
            return Ok(());
        }
        let mut finalizers: Vec<&str> =
            object.finalizers().iter().map(String::as_str).filter(|entry| *entry != FINALIZER).collect();
        if wanted {
            finalizers.push(FINALIZER);
        }
        let meta = object.meta();
        // The version guards the list: a merge patch replaces it, and others' finalizers must not get lost.
        let patch = json!({ "metadata": {
            "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": finalizers,
        }});
        let params = PatchParams::default();
        self.api(object).patch_metadata(&object.name_any(), &params, &Patch::Merge(&patch)).await.map_err(outdated)?;
        Ok(())
    }
}

/// True if the object carries our finalizer.
pub fn has_finalizer<K: Kind>(object: &K) -> bool {
    object.finalizers().iter().any(|entry| entry == FINALIZER)
}

/// The API for objects of `K` in `namespace`, or for cluster-scoped ones. Untyped, because only the scope differs between kinds.
pub fn dynamic<K: Kind>(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<K>(&());
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Reads `name` anew, or `None` if it is gone.
///
/// # Errors
/// If Kubernetes does not answer, or answers something that is no `K`.
pub async fn fresh<K: Kind>(client: &Client, namespace: Option<&str>, name: &str) -> Result<Option<K>, WriteError> {
    let Some(object) = dynamic::<K>(client, namespace).get_opt(name).await? else { return Ok(None) };
    let value = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    Ok(Some(serde_json::from_value(value).map_err(kube::Error::SerdeError)?))
}
