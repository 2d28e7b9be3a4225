//! The one writer of status, and of finalizers.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::kind::Kind;
use crate::api::FINALIZER;

/// The name under which the operator owns fields.
pub const FIELD_MANAGER: &str = "aml-operator";
/// How many of its own writes per object the operator recognises in the watch.
const REMEMBERED: usize = 8;
/// How long an object is waited for that the watch does not show as it was last written: a watch is behind for moments, and a cluster
/// that was put back to an older state never shows it.
const BEHIND: Duration = Duration::from_secs(10);

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

/// What this process wrote to one object.
#[derive(Debug, Default)]
struct Written {
    /// Hashes of the last statuses.
    statuses: Vec<u64>,
    /// The version that the last write made, and when.
    version: Option<(u64, Instant)>,
}

/// Remembers what was written, so that the watch can tell our own statuses from others', and a turn whether the watch is behind.
#[derive(Clone, Debug, Default)]
pub struct OwnWrites(Arc<Mutex<HashMap<String, Written>>>);

impl OwnWrites {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, uid: &str, status: &Value) {
        let mut writes = self.lock();
        let statuses = &mut writes.entry(uid.to_owned()).or_default().statuses;
        statuses.push(hash(status));
        if statuses.len() > REMEMBERED {
            statuses.remove(0);
        }
    }

    /// Notes that a write left the object as `meta`.
    fn left(&self, meta: &ObjectMeta) {
        let (Some(uid), Some(version)) = (&meta.uid, version(meta)) else { return };
        self.lock().entry(uid.clone()).or_default().version = Some((version, Instant::now()));
    }

    /// True if this process wrote `status` to the object `uid`.
    pub fn wrote(&self, uid: &str, status: &Value) -> bool {
        self.lock().get(uid).is_some_and(|written| written.statuses.contains(&hash(status)))
    }

    /// True if the object was seen before this process last wrote to it. Whatever is written on such a sight is refused, at the cost
    /// of a call and of a turn, and the more so the busier the API server is.
    fn is_ahead_of(&self, seen: &ObjectMeta) -> bool {
        let (Some(uid), Some(seen)) = (&seen.uid, version(seen)) else { return false };
        let written = self.lock().get(uid).and_then(|written| written.version);
        written.is_some_and(|(version, at)| seen < version && at.elapsed() < BEHIND)
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }
}

/// The version as a number. Versions of one resource type compare as numbers, says Kubernetes since 1.35 (API concepts, "Resource
/// versions"); one that is none tells nothing.
fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_ref()?.parse().ok()
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
        self.own.left(&written.metadata);
        self.metrics.status_written(K::NAME);
        Ok(written)
    }

    /// True if `seen` is older than what was last written to the object: its watch is behind, and will show it in a moment.
    pub fn is_ahead_of(&self, seen: &ObjectMeta) -> bool {
        self.own.is_ahead_of(seen)
    }

    /// Puts our finalizer on the object, if it is not there yet, and takes over the version that the write made.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read.
    pub async fn hold<K: Kind>(&self, object: &mut K) -> Result<(), WriteError> {
        if has_finalizer(object) {
            return Ok(());
        }
        let written = self.finalizers(object, Some(FINALIZER)).await?;
        self.own.left(&written);
        object.meta_mut().resource_version = written.resource_version;
        object.meta_mut().finalizers = written.finalizers;
        Ok(())
    }

    /// Takes our finalizer off the object, if it is there.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read.
    pub async fn release<K: Kind>(&self, object: &K) -> Result<(), WriteError> {
        if has_finalizer(object) {
            self.finalizers(object, None).await?;
        }
        Ok(())
    }

    /// Writes the list of finalizers: others' and `own`.
    async fn finalizers<K: Kind>(&self, object: &K, own: Option<&str>) -> Result<ObjectMeta, WriteError> {
        let others = object.finalizers().iter().map(String::as_str).filter(|entry| *entry != FINALIZER);
        let finalizers: Vec<&str> = others.chain(own).collect();
        let meta = object.meta();
        // The version guards the list: a merge patch replaces it, and others' finalizers must not get lost.
        let patch = json!({ "metadata": {
            "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": finalizers,
        }});
        let (name, params) = (object.name_any(), PatchParams::default());
        let written = self.api(object).patch_metadata(&name, &params, &Patch::Merge(&patch)).await.map_err(outdated)?;
        Ok(written.metadata)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uid: &str, version: &str) -> ObjectMeta {
        ObjectMeta { uid: Some(uid.into()), resource_version: Some(version.into()), ..ObjectMeta::default() }
    }

    /// Time is faked.
    #[tokio::test(start_paused = true)]
    async fn what_was_seen_before_the_last_write_is_told() {
        let own = OwnWrites::default();
        own.remember("a", &json!({}));
        assert!(!own.is_ahead_of(&seen("a", "9")), "nothing is known of the version yet");
        own.left(&seen("a", "10"));
        for (uid, version, expected) in [
            ("a", "9", true),
            ("a", "10", false),
            ("a", "11", false),
            // Another object, whose version tells nothing of this one.
            ("b", "9", false),
            ("a", "not a number", false),
        ] {
            assert_eq!(own.is_ahead_of(&seen(uid, version)), expected, "{uid} {version}");
        }
        own.left(&seen("a", "not a number"));
        assert!(own.is_ahead_of(&seen("a", "9")));
        tokio::time::advance(BEHIND).await;
        assert!(!own.is_ahead_of(&seen("a", "9")), "a cluster that was put back is not waited for");
        own.left(&seen("a", "10"));
        own.forget("a");
        assert!(!own.is_ahead_of(&seen("a", "9")));
    }
}
