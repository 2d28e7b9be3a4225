//! The ledger of roles: what was assigned to a workspace's identity, and until when. One Secret a workspace, in the operator's own
//! namespace, part of any backup. Not on the page of a target: that one belongs to the lane of the target's connections.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::ledger::{LedgerError, empty_page, put_page};
use super::status::WriteError;
use crate::api::ids::ArmId;
use crate::plan::names::fingerprint;
use crate::plan::roles::{Entry, Record};

/// The key in the Secret.
const KEY: &str = "roles.json";
/// The label by which the Secrets are found again when nothing else is known, and the installation they are of.
const LABEL: &str = "aml-operator.io/roles";
/// How much of it a workspace may have: more targets than any workspace has rules.
const KEPT: usize = 1000;

/// A record as it was read, with the version that guards its next write.
#[derive(Clone, Debug, Default)]
pub struct OpenRecord {
    /// What it holds.
    pub record: Record,
    secret: Option<Secret>,
}

/// All records.
#[derive(Debug, Default)]
pub struct AllRecords {
    /// Those that can be read.
    pub records: Vec<OpenRecord>,
    /// Names of the Secrets that cannot: they may hold anything.
    pub damaged: Vec<String>,
}

impl AllRecords {
    /// What was assigned through the AzureConnection `name` and must not outlive it: nobody else could take it back.
    pub fn lent_through(&self, name: &str) -> impl Iterator<Item = &Entry> {
        let entries = self.records.iter().flat_map(|open| &open.record.entries);
        entries.filter(move |entry| entry.connection == name && entry.is_lent())
    }
}

/// The ledger of roles in the operator's namespace.
#[derive(Clone)]
pub struct RoleLedger {
    secrets: Api<Secret>,
    installation: String,
}

impl RoleLedger {
    /// The ledger of `installation` in `namespace`.
    pub fn new(client: Client, namespace: &str, installation: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), installation: fingerprint(&[installation]) }
    }

    fn name(workspace: &ArmId) -> String {
        format!("aml-ledger-{}", fingerprint(&[&workspace.key(), "roles"]))
    }

    fn read(secret: Secret, workspace: Option<&ArmId>) -> Result<OpenRecord, LedgerError> {
        let name = secret.name_any();
        let damaged = |what: &str| LedgerError::Damaged {
            name: name.clone(),
            what: what.to_owned(),
            empty: serde_json::json!({ "workspace": workspace.map(ArmId::as_str) }).to_string(),
        };
        let data =
            secret.data.as_ref().and_then(|data| data.get(KEY)).ok_or_else(|| damaged("it has no roles.json"))?;
        let record: Record = serde_json::from_slice(&data.0).map_err(|error| damaged(&error.to_string()))?;
        let own = ArmId::parse(&record.workspace).ok().filter(|id| Self::name(id) == name);
        if own.is_none() || workspace.is_some_and(|workspace| Some(workspace) != own.as_ref()) {
            return Err(damaged("it belongs to another workspace"));
        }
        Ok(OpenRecord { record, secret: Some(secret) })
    }

    /// Opens the record of `workspace`.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub async fn open(&self, workspace: &ArmId) -> Result<OpenRecord, LedgerError> {
        match self.secrets.get_opt(&Self::name(workspace)).await.map_err(WriteError::Kube)? {
            Some(secret) => Self::read(secret, Some(workspace)),
            None => {
                let record = Record { workspace: workspace.to_string(), ..Record::default() };
                Ok(OpenRecord { record, secret: None })
            }
        }
    }

    /// All records of this installation, read at once: for what no object asks about any more, and for who else has a claim.
    ///
    /// # Errors
    /// If Kubernetes does not answer.
    pub async fn all(&self) -> Result<AllRecords, LedgerError> {
        let params = ListParams::default().labels(&format!("{LABEL}={}", self.installation));
        let listed = self.secrets.list(&params).await.map_err(WriteError::Kube)?;
        let mut all = AllRecords::default();
        for secret in listed.items {
            let name = secret.name_any();
            match Self::read(secret, None) {
                Ok(open) => all.records.push(open),
                Err(error) => {
                    tracing::error!(%error, "roles that were assigned for rules may outlast them");
                    all.damaged.push(name);
                }
            }
        }
        Ok(all)
    }

    /// Writes the record back, if nobody else did since it was opened.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if somebody did.
    pub async fn save(&self, open: &mut OpenRecord) -> Result<(), LedgerError> {
        let overflow = open.record.spent.len().saturating_sub(KEPT);
        open.record.spent.drain(..overflow);
        // Only a record of a workspace is ever made anew.
        let Ok(workspace) = ArmId::parse(&open.record.workspace) else { return Ok(()) };
        let empty =
            || empty_page(Self::name(&workspace), BTreeMap::from([(LABEL.to_owned(), self.installation.clone())]));
        let written = put_page(&self.secrets, open.secret.take(), empty, KEY, &open.record).await?;
        open.secret = Some(written);
        Ok(())
    }
}
