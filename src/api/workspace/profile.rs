//! Profiles: the networks of Microsoft's guide to secure workspaces, each under one name.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::associated::Access;
use super::network::{IsolationMode, PublicNetworkAccess};

/// What is left out of the fields that decide about the network: `Private` closes all of it, `SecuredResources` leaves the workspace
/// itself public and closes what it is made of, `Public` has no network of its own. Any field that is given overrides it.
//
// Microsoft: "Secure Azure Machine Learning workspace resources using virtual networks", the example scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// No network: the workspace is reached from the internet, and reaches it.
    Public,
    /// The workspace is reached from the internet; what it is made of is not, and computes reach that through private endpoints.
    SecuredResources,
    /// Everything is reached through private endpoints only, and nothing goes out but to what rules allow.
    Private,
}

impl Profile {
    /// Whether the workspace can be reached from the internet.
    pub const fn public_network_access(self) -> PublicNetworkAccess {
        match self {
            Self::Public | Self::SecuredResources => PublicNetworkAccess::Enabled,
            Self::Private => PublicNetworkAccess::Disabled,
        }
    }

    /// How its managed network treats outgoing traffic.
    pub const fn isolation_mode(self) -> IsolationMode {
        match self {
            Self::Public => IsolationMode::Disabled,
            Self::SecuredResources => IsolationMode::AllowInternetOutbound,
            Self::Private => IsolationMode::AllowOnlyApprovedOutbound,
        }
    }

    /// Who comes in to what the workspace is made of.
    pub const fn access(self) -> Access {
        match self {
            Self::Public => Access::Public,
            Self::SecuredResources | Self::Private => Access::PrivateEndpoint,
        }
    }
}

/// What the fields that decide about the network come to, given or set by the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveNetwork {
    /// Whether the workspace can be reached from the internet.
    pub public_network_access: PublicNetworkAccess,
    /// How the managed network treats outgoing traffic; left out for a `Project`, which lives in its hub's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_mode: Option<IsolationMode>,
}
