//! How a workspace is reached, and what it may reach.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::words_of_fields;

/// Whether the workspace can be reached from the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PublicNetworkAccess {
    /// Only through private endpoints.
    Disabled,
    /// From anywhere.
    Enabled,
}

impl PublicNetworkAccess {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Enabled => "Enabled",
        }
    }
}

/// From which addresses the workspace can be reached while `publicNetworkAccess` is `Enabled`.
///
/// Online endpoints with public access of their own go on honouring the list when the workspace's `publicNetworkAccess` is
/// `Disabled`: empty it before, if that is not wanted (Microsoft: "Configure a private endpoint for a workspace").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.defaultAction == 'Deny' || !has(self.ipRules) || size(self.ipRules) == 0").message("networkAcls.ipRules: with defaultAction: Allow every address is let in, so a list would say nothing; set Deny, or leave the list out"),
    validation = Rule::new("!has(self.ipRules) || self.ipRules.all(r, (isIP(r) && ip(r).family() == 4) || (isCIDR(r) && cidr(r).ip().family() == 4 && cidr(r) == cidr(r).masked()))").message("networkAcls.ipRules: each must be a public IPv4 address or a block of such addresses, for example 20.1.2.3 or 20.1.2.0/24"),
)]
pub struct NetworkAcls {
    /// What happens to addresses that the list does not name: `Deny`, or `Allow` without a list.
    pub default_action: DefaultAction,
    /// Public IPv4 addresses and blocks that may come in; Azure takes at most 200, and none from reserved ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(min = 7, max = 18)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub ip_rules: Vec<String>,
}

/// What happens to addresses that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DefaultAction {
    /// They are let in.
    Allow,
    /// They are not.
    Deny,
}

impl DefaultAction {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// How the managed network treats outgoing traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IsolationMode {
    /// No managed network.
    Disabled,
    /// Everything may go out; private endpoints only where rules say so.
    AllowInternetOutbound,
    /// Nothing goes out but to what rules allow.
    AllowOnlyApprovedOutbound,
}

impl IsolationMode {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::AllowInternetOutbound => "AllowInternetOutbound",
            Self::AllowOnlyApprovedOutbound => "AllowOnlyApprovedOutbound",
        }
    }

    /// Reads ARM's word, whatever its case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Disabled, Self::AllowInternetOutbound, Self::AllowOnlyApprovedOutbound]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(text))
    }
}

/// The network that Azure manages for the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
#[x_kube(validation = Rule::new("!has(self.isolationMode) || self.isolationMode != 'Disabled' || !has(self.provision) || self.provision.when == 'Never'").message("managedNetwork.provision: there is nothing to provision with isolationMode: Disabled; leave it out"))]
pub struct ManagedNetwork {
    /// How outgoing traffic is treated; required, unless `spec.profile` sets it. Going from `Disabled` to a stricter mode, or from
    /// `AllowInternetOutbound` to `AllowOnlyApprovedOutbound`, cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    isolation_mode: Option<IsolationMode>,
    /// SKU of the Azure Firewall that the first FQDN rule starts; left out, Azure chooses (`Standard`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall_sku: Option<FirewallSku>,
    /// When the network is built; left out, Azure builds it with the first compute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
}

impl ManagedNetwork {
    /// The isolation mode as the manifest has it, for [`crate::plan::effective`] alone.
    pub fn isolation_mode(&self) -> Option<IsolationMode> {
        self.isolation_mode
    }
}

/// SKU of the Azure Firewall that the first FQDN rule starts: `Basic` or `Standard`; left out, Azure takes `Standard`. It costs
/// by the hour, so the door `AzureFirewall` must be acknowledged with this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FirewallSku {
    /// Cheaper, for up to 250 Mbps.
    Basic,
    /// The default.
    Standard,
}

impl FirewallSku {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
        }
    }
}

/// When and how the managed network is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provision {
    /// `Immediately`, with the first compute (`OnFirstCompute`), or `Never` by the operator.
    pub when: ProvisionWhen,
    /// Whether serverless Spark is prepared too; rules with `sparkEnabled` need it.
    #[serde(default)]
    pub include_spark: bool,
}

/// When the managed network is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProvisionWhen {
    /// The operator never asks for it.
    Never,
    /// When the first compute or endpoint needs it.
    OnFirstCompute,
    /// As soon as the workspace exists. About half an hour.
    Immediately,
}
