//! The guard: the admission policy that vouches for people's decisions, and whether it is in force as this version expects it.
//!
//! Whoever may change admission policies may write any decision. That cannot be prevented from here, but it can be noticed: an
//! edition of the guard (uid and generation of the policy and of its binding) never comes back once it was changed or deleted,
//! so only decisions younger than the present edition count. When it was first seen is told by the API server's clock, as the
//! creation time of a Secret beside the ledger, because that clock dates the decisions too. Without the Secret the edition counts
//! as new: lost memory means hold.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde_json::Value;

use crate::plan::decisions::Guard;

/// Name of the policy and of its binding.
pub const NAME: &str = "approvaldecisions.aml-operator.io";
/// The policy, as the chart installs it.
const POLICY: &str = include_str!("../../charts/aml-operator/files/guard/policy.yaml");
/// Its binding.
const BINDING: &str = include_str!("../../charts/aml-operator/files/guard/binding.yaml");
/// The Secret that remembers the present edition.
const MEMORY: &str = "aml-ledger-guard";
/// The key in it.
const KEY: &str = "edition";

/// Looks after the guard.
pub struct Watchman {
    client: Client,
    secrets: Api<Secret>,
    seen: Mutex<Guard>,
}

/// What was found of one of the two objects.
enum Found {
    /// It is as expected: its uid and generation.
    Edition(String),
    /// It is not.
    Not(String),
}

impl Watchman {
    /// A watchman who has not looked yet. What he remembers lies in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        let secrets = Api::namespaced(client.clone(), namespace);
        let seen = Guard::Missing { why: "the operator has not looked at it yet".into() };
        Self { client, secrets, seen: Mutex::new(seen) }
    }

    /// The guard as it was seen last.
    pub fn seen(&self) -> Guard {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the guard. True if it is not as it was seen before.
    ///
    /// # Errors
    /// If Kubernetes does not answer, or somebody else wrote the Secret at the same time. What was seen before stands.
    pub async fn look(&self) -> Result<bool, kube::Error> {
        let guard = match self.examine().await {
            Ok(guard) => guard,
            // Rights that are not there do not come by waiting.
            Err(kube::Error::Api(status)) if status.is_forbidden() => Guard::Missing { why: status.message.clone() },
            Err(error) => return Err(error),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != guard;
        *seen = guard;
        Ok(changed)
    }

    async fn examine(&self) -> Result<Guard, kube::Error> {
        let policy = self.find::<ValidatingAdmissionPolicy>("ValidatingAdmissionPolicy", POLICY).await?;
        let binding =
            self.find::<ValidatingAdmissionPolicyBinding>("ValidatingAdmissionPolicyBinding", BINDING).await?;
        match (policy, binding) {
            (Found::Edition(policy), Found::Edition(binding)) => self.remember(&format!("{policy} {binding}")).await,
            (Found::Not(why), _) | (_, Found::Not(why)) => Ok(Guard::Missing { why }),
        }
    }

    /// Compares an object with what the chart holds. Read untyped: a field that this version does not know may narrow what the
    /// policy matches, and must not be lost in reading.
    async fn find<K: Resource<DynamicType = ()>>(&self, kind: &str, expected: &str) -> Result<Found, kube::Error> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<K>(&()));
        let Some(object) = api.get_opt(NAME).await? else {
            return Ok(Found::Not(format!("there is no {kind} {NAME}")));
        };
        let expected: Value = serde_saphyr::from_str(expected).unwrap_or_default();
        let spec = object.data.get("spec");
        if spec.is_none() || spec != expected.get("spec") {
            return Ok(Found::Not(format!("the {kind} {NAME} is not as this version of the operator expects it")));
        }
        let meta = object.metadata;
        match (meta.uid, meta.generation, meta.deletion_timestamp) {
            (Some(uid), Some(generation), None) => Ok(Found::Edition(format!("{uid}/{generation}"))),
            _ => Ok(Found::Not(format!("the {kind} {NAME} is being deleted"))),
        }
    }

    /// Since when `edition` is known; if it is new, since now.
    async fn remember(&self, edition: &str) -> Result<Guard, kube::Error> {
        if let Some(secret) = self.secrets.get_opt(MEMORY).await? {
            let known = secret.data.as_ref().and_then(|data| data.get(KEY));
            let since = secret.metadata.creation_timestamp.as_ref().map(|time| time.0);
            if let (true, Some(since)) = (known.is_some_and(|known| known.0 == edition.as_bytes()), since) {
                return Ok(Guard::InForce { since });
            }
            // A Secret that is made anew rather than changed: only its creation is dated by the API server beyond doubt.
            let only = Preconditions { uid: secret.metadata.uid, resource_version: secret.metadata.resource_version };
            self.secrets.delete(MEMORY, &DeleteParams { preconditions: Some(only), ..DeleteParams::default() }).await?;
        }
        let labels = [("app.kubernetes.io/managed-by".to_owned(), "aml-operator".to_owned())];
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(MEMORY.into()),
                labels: Some(BTreeMap::from(labels)),
                ..ObjectMeta::default()
            },
            type_: Some("aml-operator.io/ledger".into()),
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(edition.as_bytes().to_vec()))])),
            immutable: Some(true),
            ..Secret::default()
        };
        let created = self.secrets.create(&PostParams::default(), &secret).await?;
        Ok(match created.metadata.creation_timestamp {
            Some(since) => Guard::InForce { since: since.0 },
            None => Guard::Missing { why: "the API server does not say what time it is".into() },
        })
    }

    /// Yields whenever one of the two objects may have changed.
    pub fn changes(&self) -> BoxStream<'static, ()> {
        let policies = changes_of::<ValidatingAdmissionPolicy>(self.client.clone());
        let bindings = changes_of::<ValidatingAdmissionPolicyBinding>(self.client.clone());
        futures::stream::select(policies, bindings).boxed()
    }
}

fn changes_of<K>(client: Client) -> impl Stream<Item = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    // By name: the chart's rights go no further.
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    watcher(Api::<PartialObjectMeta<K>>::all(client), config).default_backoff().filter_map(|event| {
        use watcher::Event::{Apply, Delete, InitDone};
        futures::future::ready(matches!(event, Ok(Apply(_) | Delete(_) | InitDone)).then_some(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_objects_can_be_read_and_refuse_rather_than_warn() {
        let read = |text| serde_saphyr::from_str::<Value>(text).unwrap();
        let (policy, binding) = (read(POLICY), read(BINDING));
        assert_eq!((&policy["metadata"]["name"], &binding["metadata"]["name"]), (&NAME.into(), &NAME.into()));
        assert_eq!(binding["spec"]["policyName"], NAME);
        assert_eq!(binding["spec"]["validationActions"], serde_json::json!(["Deny"]));
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
        assert_eq!(policy["spec"]["validations"].as_array().unwrap().len(), 4);
    }
}
