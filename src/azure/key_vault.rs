//! Microsoft.KeyVault: what the operator reads of vaults.

use serde::Deserialize;

use super::network_rules::NetworkRules;
use super::resource::Resource;

/// The version every request for a vault names.
pub const API_VERSION: &str = "2024-11-01";
/// The type of a vault.
pub const VAULTS: &str = "Microsoft.KeyVault/vaults";

/// A key vault as ARM shows it.
pub type Vault = Resource<VaultProperties>;

/// The properties of a vault that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VaultProperties {
    /// `RegisteringDns` or `Succeeded`.
    pub provisioning_state: Option<String>,
    /// `Enabled` or `Disabled`, in any case; missing means `Enabled`.
    pub public_network_access: Option<String>,
    /// Whom it lets in.
    pub network_acls: Option<NetworkRules>,
    /// Whether roles decide on what is in it, and not access policies.
    pub enable_rbac_authorization: Option<bool>,
    /// Whether nobody can destroy what is in it before its time.
    pub enable_purge_protection: Option<bool>,
}
