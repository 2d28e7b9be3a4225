//! Microsoft.ContainerRegistry: what the operator reads of registries.

use serde::Deserialize;

use super::network_rules::NetworkRules;
use super::resource::Resource;

/// The version every request for a registry names.
pub const API_VERSION: &str = "2023-07-01";
/// The type of a registry.
pub const REGISTRIES: &str = "Microsoft.ContainerRegistry/registries";

/// A registry as ARM shows it.
pub type Registry = Resource<RegistryProperties>;

/// The properties of a registry that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegistryProperties {
    /// `Creating`, `Updating`, `Succeeded`, `Failed`.
    pub provisioning_state: Option<String>,
    /// `Enabled` or `Disabled`; missing means `Enabled`.
    pub public_network_access: Option<String>,
    /// Whom it lets in: addresses only.
    pub network_rule_set: Option<NetworkRules>,
    /// `AzureServices` or `None`.
    pub network_rule_bypass_options: Option<String>,
    /// Whether it has an account with a password for everything.
    pub admin_user_enabled: Option<bool>,
    /// Whether everybody may read its images.
    pub anonymous_pull_enabled: Option<bool>,
}
