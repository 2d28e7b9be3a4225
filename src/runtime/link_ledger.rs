//! The ledger of links: what was asked for under which names, what the targets showed before, and who stood behind the names. One
//! Secret a link, in the operator's own namespace, part of any backup. Not on the page of a target: that one belongs to the lane of the
//! target's connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Client, ResourceExt};

use super::ledger::{LedgerError, empty_page, put_page};
use super::status::WriteError;
use crate::api::ids::ArmId;
use crate::plan::names::fingerprint;
use crate::plan::rules::ObjectKey;
use crate::plan::synapse::Record;

/// The key in the Secret.
const KEY: &str = "link.json";
/// The label by which the Secrets are found again after a start, and the installation they are of.
const LABEL: &str = "aml-operator.io/link";

/// A record as it was read, with the version that guards its next write.
#[derive(Clone, Debug, Default)]
pub struct OpenLink {
    /// What it holds.
    pub record: Record,
    secret: Option<Secret>,
}

impl OpenLink {
    /// True if there is no such record yet, or no longer.
    pub fn is_missing(&self) -> bool {
        self.secret.is_none()
    }
}

/// The ledger of links in the operator's namespace. What it holds is also known in memory: whoever decides about a target's connections
/// asks for it in the middle of a decision.
#[derive(Clone)]
pub struct LinkLedger {
    secrets: Api<Secret>,
    installation: String,
    known: Arc<Mutex<HashMap<String, Record>>>,
}

/// How records name an object.
fn link_of(key: &ObjectKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

impl LinkLedger {
    /// The ledger of `installation` in `namespace`.
    pub fn new(client: Client, namespace: &str, installation: &str) -> Self {
        let installation = fingerprint(&[installation]);
        Self { secrets: Api::namespaced(client, namespace), installation, known: Arc::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Record>> {
        // Records are replaced whole, so a panic elsewhere cannot have left one half-written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, link: &str, synapse: &str) -> String {
        format!("aml-ledger-{}", fingerprint(&[&self.installation, "link", link, &synapse.to_ascii_lowercase()]))
    }

    fn read(&self, secret: Secret) -> Result<OpenLink, LedgerError> {
        let name = secret.name_any();
        let damaged = |what: &str| LedgerError::Damaged {
            name: name.clone(),
            what: what.to_owned(),
            empty: "the link and synapse it had, or delete the Secret to have the endpoints asked for anew".to_owned(),
        };
        let data = secret.data.as_ref().and_then(|data| data.get(KEY)).ok_or_else(|| damaged("it has no link.json"))?;
        let record: Record = serde_json::from_slice(&data.0).map_err(|error| damaged(&error.to_string()))?;
        if self.name(&record.link, &record.synapse) != name {
            return Err(damaged("it belongs to another link"));
        }
        Ok(OpenLink { record, secret: Some(secret) })
    }

    /// Opens the record of the link `key` to `synapse`.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub async fn open(&self, key: &ObjectKey, synapse: &ArmId) -> Result<OpenLink, LedgerError> {
        let link = link_of(key);
        let found = self.secrets.get_opt(&self.name(&link, synapse.as_str())).await.map_err(WriteError::Kube)?;
        let open = match found {
            Some(secret) => self.read(secret)?,
            None => OpenLink { record: Record::of(&link, synapse.as_str()), secret: None },
        };
        self.lock().insert(link, open.record.clone());
        Ok(open)
    }

    /// Writes the record back, if nobody else did since it was opened.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if somebody did.
    pub async fn save(&self, open: &mut OpenLink) -> Result<(), LedgerError> {
        let name = self.name(&open.record.link, &open.record.synapse);
        let empty = || empty_page(name, BTreeMap::from([(LABEL.to_owned(), self.installation.clone())]));
        let written = put_page(&self.secrets, open.secret.take(), empty, KEY, &open.record).await?;
        open.secret = Some(written);
        self.lock().insert(open.record.link.clone(), open.record.clone());
        Ok(())
    }

    /// Removes the record: nothing of the link is left.
    ///
    /// # Errors
    /// If Kubernetes does not answer.
    pub async fn remove(&self, open: &OpenLink) -> Result<(), LedgerError> {
        self.lock().remove(&open.record.link);
        let Some(secret) = &open.secret else { return Ok(()) };
        let preconditions = Some(Preconditions { uid: secret.uid(), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match self.secrets.delete(&secret.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(error) => Err(WriteError::Kube(error).into()),
        }
    }

    /// Reads all records of this installation, once after a start: what was made sure before must not seem unknown.
    ///
    /// # Errors
    /// If Kubernetes does not answer.
    pub async fn load(&self) -> Result<(), LedgerError> {
        let params = ListParams::default().labels(&format!("{LABEL}={}", self.installation));
        let listed = self.secrets.list(&params).await.map_err(WriteError::Kube)?;
        for secret in listed.items {
            match self.read(secret) {
                Ok(open) => drop(self.lock().insert(open.record.link.clone(), open.record)),
                Err(error) => tracing::error!(%error, "the connections of a link are not known"),
            }
        }
        Ok(())
    }

    /// What is known of the link `key` to `synapse`.
    pub fn known(&self, key: &ObjectKey, synapse: &ArmId) -> Option<Record> {
        let record = self.lock().get(&link_of(key)).cloned();
        record.filter(|record| record.synapse.eq_ignore_ascii_case(synapse.as_str()))
    }
}
