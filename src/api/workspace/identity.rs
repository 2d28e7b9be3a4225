//! Who a workspace is in Azure, and the key that its data is encrypted with.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::ResourceRef;

/// An identity in Azure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.type.contains('UserAssigned') == (has(self.userAssignedIdentities) && size(self.userAssignedIdentities) > 0)").message("identity.userAssignedIdentities: give at least one id when the type includes UserAssigned, none otherwise"),
    validation = Rule::new("!has(self.userAssignedIdentities) || self.userAssignedIdentities.all(i, i.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[a-z0-9_-][a-z0-9._-]*$'))").message("identity.userAssignedIdentities: must be ARM ids of user-assigned identities, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"),
    validation = Rule::new("!has(self.primaryUserAssignedIdentity) || (has(self.userAssignedIdentities) && self.userAssignedIdentities.exists(i, i.lowerAscii() == self.primaryUserAssignedIdentity.lowerAscii()))").message("identity.primaryUserAssignedIdentity: must be one of userAssignedIdentities"),
)]
pub struct Identity {
    /// `SystemAssigned`, `UserAssigned`, or both, written `SystemAssigned,UserAssigned`.
    #[serde(rename = "type")]
    pub type_: IdentityType,
    /// ARM ids of the user-assigned identities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub user_assigned_identities: Vec<String>,
    /// Which of them the workspace itself uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub primary_user_assigned_identity: Option<String>,
}

/// Kinds of identity, as Microsoft.MachineLearningServices spells them (no space after the comma).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityType {
    /// Made and deleted with the workspace.
    SystemAssigned,
    /// Made by somebody else.
    UserAssigned,
    /// Both.
    #[serde(rename = "SystemAssigned,UserAssigned")]
    Both,
}

impl IdentityType {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemAssigned => "SystemAssigned",
            Self::UserAssigned => "UserAssigned",
            Self::Both => "SystemAssigned,UserAssigned",
        }
    }
}

/// A key of one's own, for the data that Azure keeps for the workspace. It can only be given at creation; later the key can change,
/// but neither the vault nor the identity that reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.keyVault.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.KeyVault/vaults/[a-z0-9_-][a-z0-9._-]*$')").message("encryption.keyVault.resourceId: must be the ARM id of a key vault, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<name>"),
    validation = Rule::new("self.keyIdentifier.matches('^https://[a-zA-Z0-9-]+[.][a-zA-Z0-9.-]+/keys/[a-zA-Z0-9-]+/[a-zA-Z0-9]+$')").message("encryption.keyIdentifier: must be the full identifier of a key's version, https://<vault>.vault.azure.net/keys/<name>/<version>"),
    validation = Rule::new("!has(self.userAssignedIdentity) || self.userAssignedIdentity.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[a-z0-9_-][a-z0-9._-]*$')").message("encryption.userAssignedIdentity: must be the ARM id of a user-assigned identity, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"),
    validation = Rule::new("self.keyVault.resourceId.lowerAscii() == oldSelf.keyVault.resourceId.lowerAscii()").message("encryption.keyVault: Azure does not let a workspace change the vault of its key"),
)]
pub struct Encryption {
    /// The vault that holds the key. This namespace needs the verb `reach` on it. Cannot change.
    pub key_vault: ResourceRef,
    /// Identifier of the key's version, for example `https://keys.vault.azure.net/keys/workspace/0123456789abcdef`. It must be a
    /// key of that vault.
    #[schemars(length(min = 1, max = 512))]
    pub key_identifier: String,
    /// ARM id of the user-assigned identity that reads the key; left out, the workspace's own. This namespace needs the verb `reach`
    /// on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub user_assigned_identity: Option<String>,
}
