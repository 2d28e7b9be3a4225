//! What a workspace is.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::ObjectRef;

/// What the workspace is: `Default` (also if left out), `Hub`, `Project` in a hub, or `FeatureStore`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkspaceKind {
    /// A workspace by itself.
    Default,
    /// Holds network, storage and vault for its projects.
    Hub,
    /// Lives in a hub's network, with the hub's storage and vault.
    Project,
    /// Serves features to other workspaces.
    FeatureStore,
}

impl WorkspaceKind {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::Hub => "Hub",
            Self::Project => "Project",
            Self::FeatureStore => "FeatureStore",
        }
    }
}

/// The hub that a project lives in: by its ARM id, or by the `AmlWorkspace` that declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != has(self.workspaceRef)").message("hub: give exactly one of resourceId and workspaceRef"),
    validation = Rule::new("!has(self.resourceId) || self.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.MachineLearningServices/workspaces/[a-z0-9][a-z0-9_-]*$')").message("hub.resourceId: must be the ARM id of a workspace, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.MachineLearningServices/workspaces/<name>"),
)]
pub struct Hub {
    /// ARM id of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// The object that declares the hub. Whoever it belongs to, this namespace needs the verb `reach` on the hub's ARM id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_ref: Option<ObjectRef>,
}

/// How the workspace's own datastores reach the default storage account: `AccessKey`, `Identity` (no shared keys), or
/// `UserDelegationSAS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SystemDatastoresAuthMode {
    /// With the account's key.
    AccessKey,
    /// As whoever asks.
    Identity,
    /// With signatures that an identity made.
    #[serde(rename = "UserDelegationSAS")]
    UserDelegationSas,
}

impl SystemDatastoresAuthMode {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessKey => "AccessKey",
            Self::Identity => "Identity",
            Self::UserDelegationSas => "UserDelegationSAS",
        }
    }
}

/// What to do if Azure still keeps a deleted workspace of this name: `Stop` (default) says so, `Recover` brings it back as it was,
/// `Purge` destroys it with what it kept, once the door `PurgeWorkspace` is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnSoftDeleted {
    /// Nothing; the object says so.
    #[default]
    Stop,
    /// It comes back with its own identity and id; from then on it is treated as any workspace that exists, `adoption` included.
    Recover,
    /// It is destroyed for good, and a new one is created.
    Purge,
}
