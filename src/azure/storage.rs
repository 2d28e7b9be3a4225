//! Microsoft.Storage: what the operator reads of accounts.

use serde::Deserialize;

use super::network_rules::NetworkRules;
use super::resource::Resource;

/// The version every request for an account names.
pub const API_VERSION: &str = "2023-05-01";
/// The type of an account.
pub const ACCOUNTS: &str = "Microsoft.Storage/storageAccounts";

/// A storage account as ARM shows it.
pub type Account = Resource<AccountProperties>;

/// The properties of an account that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AccountProperties {
    /// `Creating`, `ResolvingDNS`, `Succeeded`.
    pub provisioning_state: Option<String>,
    /// `Enabled`, `Disabled`, `SecuredByPerimeter`; missing means `Enabled`.
    pub public_network_access: Option<String>,
    /// Whom it lets in.
    pub network_acls: Option<NetworkRules>,
    /// `TLS1_0` and later; missing means `TLS1_0`.
    pub minimum_tls_version: Option<String>,
    /// Whether containers may be open to everybody.
    pub allow_blob_public_access: Option<bool>,
    /// Whether its keys are good for anything; missing means that they are.
    pub allow_shared_key_access: Option<bool>,
    /// Whether it takes nothing but HTTPS.
    pub supports_https_traffic_only: Option<bool>,
    /// Whether it has a hierarchical namespace.
    pub is_hns_enabled: Option<bool>,
}
