//! Microsoft.MachineLearningServices: datastores.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The version every request for a datastore names.
pub const API_VERSION: &str = "2025-12-01";

/// A datastore as ARM shows it. It is written and deleted at once, has no state, and never shows its secrets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Datastore {
    /// Everything.
    pub properties: DatastoreProperties,
}

/// What a datastore has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DatastoreProperties {
    /// `AzureBlob`, `AzureDataLakeGen2`, `AzureFile` and others.
    pub datastore_type: Option<String>,
    /// Name of the storage account.
    pub account_name: Option<String>,
    /// Of `AzureBlob`.
    pub container_name: Option<String>,
    /// Of `AzureDataLakeGen2`.
    pub filesystem: Option<String>,
    /// Of `AzureFile`.
    pub file_share_name: Option<String>,
    /// Suffix of the account's host names.
    pub endpoint: Option<String>,
    /// `https`.
    pub protocol: Option<String>,
    /// Subscription of the account, where it is said.
    pub subscription_id: Option<String>,
    /// Resource group of the account, where it is said.
    pub resource_group: Option<String>,
    /// `None`, `WorkspaceSystemAssignedIdentity`, `WorkspaceUserAssignedIdentity`.
    pub service_data_access_auth_identity: Option<String>,
    /// How it is read, without secrets.
    pub credentials: Option<Credentials>,
    /// Words for people.
    pub description: Option<String>,
    /// Its tags: a datastore has them among its properties.
    pub tags: Option<BTreeMap<String, Option<String>>>,
    /// Properties that others keep there; they go back as they came.
    pub properties: Option<Map<String, Value>>,
}

/// How a datastore is read, as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Credentials {
    /// `None`, `AccountKey`, `Sas`, `ServicePrincipal`, `Certificate`.
    pub credentials_type: Option<String>,
    /// Of a service principal.
    pub tenant_id: Option<String>,
    /// Of a service principal.
    pub client_id: Option<String>,
    /// Of its certificate.
    pub thumbprint: Option<String>,
}

impl Datastore {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }

    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tags = self.properties.tags.as_ref()?;
        tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_deref())
    }
}
