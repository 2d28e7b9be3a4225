//! What the firewalls of storage accounts, key vaults and registries have in common.

use serde::Deserialize;
use serde_json::Value;

/// Whom a resource lets in by its public address. The entries are kept as they were shown, since their lists are written as a whole.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkRules {
    /// Who comes in whatever the rules say: `None`, `AzureServices`; with storage also `Logging` and `Metrics`, separated by commas.
    pub bypass: Option<String>,
    /// `Allow` or `Deny`: what happens to whom no entry names.
    pub default_action: Option<String>,
    /// Addresses and blocks, by `value`.
    pub ip_rules: Option<Vec<Value>>,
    /// Subnets, by `id`.
    pub virtual_network_rules: Option<Vec<Value>>,
    /// Resource instances, by `resourceId` and `tenantId`; storage only.
    pub resource_access_rules: Option<Vec<Value>>,
}
