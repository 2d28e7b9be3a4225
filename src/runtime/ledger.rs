//! The ledger: what must not be lost with a status. One Secret a target, in the operator's own namespace, part of any backup.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};

use super::status::WriteError;
use crate::azure::private_link::Connection;
use crate::plan::names::fingerprint;
use crate::plan::proof::{Approval, Proof};
use crate::plan::signatures::Signatures;

/// The key in the Secret.
const KEY: &str = "ledger.json";
/// How many approvals a page keeps, of each sort: more connections than any target has.
const KEPT: usize = 1000;

/// A connection that a target has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that asks.
    pub endpoint: String,
    /// When it was first seen, RFC 3339.
    pub at: String,
}

/// What the ledger holds of one target, or of a resource group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The target's ARM id, or the ARM path of a group's resources of a type, so that a Secret that was copied or renamed is found out.
    pub target: String,
    /// Approvals whose end is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
    /// Approvals that did not show in time and may still take effect, oldest first; the oldest fall off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Proof>,
    /// Approvals carried out that still stand, oldest first; the oldest fall off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Whose decisions the approvals rest on.
    #[serde(default, skip_serializing_if = "Signatures::is_empty")]
    pub signatures: Signatures,
    /// Connections that the target shows, since when: how long somebody waits must not depend on a status that anybody may wipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
    /// On the page of a resource group: the targets that are attended there, each of which has a page of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

impl Page {
    /// Notes what the target shows now: what is new is seen from `now` on, what is gone is forgotten. Past [`KEPT`] the latest
    /// are not noted, so that a flood cannot make the page grow without end.
    pub fn see(&mut self, connections: &[Connection], now: &str) {
        let is = |seen: &Seen, one: &Connection| {
            seen.connection == one.name && seen.endpoint.eq_ignore_ascii_case(&one.endpoint)
        };
        self.seen.retain(|seen| connections.iter().any(|one| is(seen, one)));
        let new: Vec<Seen> = connections
            .iter()
            .filter(|one| !self.seen.iter().any(|seen| is(seen, one)))
            .map(|one| Seen { connection: one.name.clone(), endpoint: one.endpoint.clone(), at: now.to_owned() })
            .collect();
        self.seen.extend(new);
        self.seen.truncate(KEPT);
    }

    /// When a connection was first seen.
    pub fn first_seen(&self, one: &Connection) -> Option<&str> {
        let seen = self
            .seen
            .iter()
            .find(|seen| seen.connection == one.name && seen.endpoint.eq_ignore_ascii_case(&one.endpoint));
        seen.map(|seen| seen.at.as_str())
    }
}

/// A page as it was read, with the version that guards its next write.
#[derive(Clone, Debug)]
pub struct OpenPage {
    /// What it holds.
    pub page: Page,
    secret: Option<Secret>,
}

impl OpenPage {
    /// True if there is no such page yet, or no longer.
    pub fn is_missing(&self) -> bool {
        self.secret.is_none()
    }
}

/// Why the ledger cannot be used. Then nothing is approved: lost memory means hold.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Kubernetes failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Secret does not hold what the operator wrote there.
    #[error(
        "Secret {name} is damaged: {what}. Restore it from a backup, or give it an empty page: ledger.json with {empty}"
    )]
    Damaged {
        /// Name of the Secret.
        name: String,
        /// What is wrong.
        what: String,
        /// What an empty page of the target holds.
        empty: String,
    },
    /// There is no page, although policies have attended the target.
    #[error(
        "the ledger page is gone: there is no Secret {name}, although policies have decided here before. Restore it from a backup; \
         to go on without that memory, create it with an empty page: kubectl create secret generic {name} --namespace {namespace} \
         --from-literal=ledger.json='{empty}'"
    )]
    Gone {
        /// Name of the Secret.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What an empty page of the target holds.
        empty: String,
    },
}

/// The ledger in the operator's namespace.
#[derive(Clone)]
pub struct Ledger {
    secrets: Api<Secret>,
    namespace: String,
}

impl Ledger {
    /// The ledger in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    fn empty(target: &str) -> String {
        serde_json::json!({ "target": target }).to_string()
    }

    /// What to say of a page of `target` that was there and is not.
    pub fn gone(&self, target: &(impl AsRef<str> + ?Sized)) -> LedgerError {
        let target = target.as_ref();
        LedgerError::Gone { name: Self::name(target), namespace: self.namespace.clone(), empty: Self::empty(target) }
    }

    fn name(target: &str) -> String {
        format!("aml-ledger-{}", fingerprint(&[&target.to_ascii_lowercase()]))
    }

    /// Opens the page of `target`: an ARM id, or the ARM path of a group's resources of a type.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub async fn open(&self, target: &(impl AsRef<str> + ?Sized)) -> Result<OpenPage, LedgerError> {
        let target = target.as_ref();
        let name = Self::name(target);
        let secret = self.secrets.get_opt(&name).await.map_err(WriteError::Kube)?;
        let Some(secret) = secret else {
            return Ok(OpenPage { page: Page { target: target.to_owned(), ..Page::default() }, secret: None });
        };
        let damaged =
            |what: &str| LedgerError::Damaged { name: name.clone(), what: what.to_owned(), empty: Self::empty(target) };
        let data =
            secret.data.as_ref().and_then(|data| data.get(KEY)).ok_or_else(|| damaged("it has no ledger.json"))?;
        let page: Page = serde_json::from_slice(&data.0).map_err(|error| damaged(&error.to_string()))?;
        if !page.target.eq_ignore_ascii_case(target) {
            return Err(damaged("it belongs to another target"));
        }
        Ok(OpenPage { page, secret: Some(secret) })
    }

    /// Writes the page back, if nobody else did since it was opened.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if somebody did.
    pub async fn save(&self, target: &(impl AsRef<str> + ?Sized), open: &mut OpenPage) -> Result<(), LedgerError> {
        let target = target.as_ref();
        let overflow = open.page.approvals.len().saturating_sub(KEPT);
        open.page.approvals.drain(..overflow);
        let overflow = open.page.asked.len().saturating_sub(KEPT);
        open.page.asked.drain(..overflow);
        let content =
            serde_json::to_vec(&open.page).map_err(|error| WriteError::Kube(kube::Error::SerdeError(error)))?;
        let data = BTreeMap::from([(KEY.to_owned(), ByteString(content))]);
        let guard = |error: kube::Error| match error {
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() || status.is_not_found() => {
                WriteError::Outdated
            }
            other => WriteError::Kube(other),
        };
        let written = match open.secret.take() {
            Some(mut secret) => {
                secret.data = Some(data);
                secret.metadata.managed_fields = None;
                self.secrets.replace(&secret.name_any(), &PostParams::default(), &secret).await.map_err(guard)?
            }
            None => {
                let labels = [("app.kubernetes.io/managed-by".to_owned(), "aml-operator".to_owned())];
                let secret = Secret {
                    metadata: ObjectMeta {
                        name: Some(Self::name(target)),
                        labels: Some(BTreeMap::from(labels)),
                        ..ObjectMeta::default()
                    },
                    type_: Some("aml-operator.io/ledger".into()),
                    data: Some(data),
                    ..Secret::default()
                };
                self.secrets.create(&PostParams::default(), &secret).await.map_err(guard)?
            }
        };
        open.secret = Some(written);
        Ok(())
    }
}
