//! `AmlOnlineEndpoint`: where models are called, closed to the internet unless somebody says otherwise.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, DeletionPolicy, Drift, ManagementPolicy, ObjectRef, OwnIdentity, WouldWrite,
};
use super::condition::Condition;
use super::operation::Operation;
use super::workspace::PublicNetworkAccess;

/// An endpoint of a workspace by which models are called.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "AmlOnlineEndpoint",
    plural = "amlonlineendpoints",
    namespaced,
    shortname = "amloe",
    category = "aml",
    category = "azure",
    status = "AmlOnlineEndpointStatus",
    derive = "PartialEq",
    doc = "A managed online endpoint of an Azure Machine Learning workspace: from where and with what it is called, and as whom it runs. Its deployments and the traffic between them are whoever's deploys models: they are observed and judged, never changed.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Public", type_ = "string", json_path = ".status.publicNetworkAccess"),
    printcolumn(name = "Auth", type_ = "string", json_path = ".status.authMode"),
    printcolumn(name = "Isolated", type_ = "string", json_path = ".status.conditions[?(@.type==\"Isolated\")].status"),
    printcolumn(name = "Serving", type_ = "string", json_path = ".status.conditions[?(@.type==\"Serving\")].status"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
    validation = Rule::new("has(self.spec.azureName) || self.metadata.name.matches('^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$')").message("an online endpoint's name in Azure takes 3 to 32 letters, digits and -, starts with a letter and ends in a letter or digit; metadata.name is none, so give one in spec.azureName"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this endpoint and create another"),
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this endpoint and create another"),
    validation = Rule::new("!has(self.azureName) || (has(self.adoption) && self.adoption != 'Never') || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("deletionPolicy: Delete with an explicit azureName needs adoption: IfMatching or Always, since the name may be somebody else's"),
)]
pub struct AmlOnlineEndpointSpec {
    /// The workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// Name of the endpoint in Azure, part of its host name and taken once in a region; left out, `metadata.name`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$')").message("azureName: an online endpoint's name in Azure takes 3 to 32 letters, digits and -, starts with a letter and ends in a letter or digit"))]
    pub azure_name: Option<String>,
    /// From where it can be called: `Disabled`, only through the workspace's private endpoints; `Enabled`, from the internet, which needs
    /// `egress.publicNetworkAccess: Enabled` of a grant and the acknowledgement `{door: PublicNetworkAccess, value: <the endpoint's name>}`.
    /// The workspace's own switch does not close it.
    pub public_network_access: PublicNetworkAccess,
    /// What callers prove themselves with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_mode: Option<AuthMode>,
    /// As whom its deployments run; left out, Azure gives it a system-assigned identity and none is looked for. Azure takes it at creation
    /// only: for another one, delete the endpoint and create it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<OwnIdentity>,
    /// `Observe` reads and reports only; `Manage`, the default, brings Azure to what this object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Delete`, the default, deletes the endpoint once nobody has a deployment in it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do if the workspace already has an endpoint under this name; default `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Starts nothing new; what runs is followed, deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that open the endpoint, one entry each, as the condition asks for it; here `PublicNetworkAccess`, `Takeover`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// What callers prove themselves with: `AADToken`, also if left out, a token of Entra's, so that every caller is known and has a role on
/// the endpoint; or `Key`, which whoever has it can use and hand on. The operator never reads keys.
//
// kube shows this in place of the field's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AuthMode {
    /// A token of Entra's, for a caller with a role on the endpoint.
    #[default]
    #[serde(rename = "AADToken")]
    AadToken,
    /// A key.
    Key,
}

impl AuthMode {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AadToken => "AADToken",
            Self::Key => "Key",
        }
    }
}

/// What the operator reports of an online endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmlOnlineEndpointStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, Isolated (whether it is closed to the internet, and its deployments have no way out of their own), Serving (whether all
    /// traffic goes to deployments that work), and while they hold Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the AzureConnection that it was last reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// ARM id of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_id: Option<String>,
    /// Where it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub scoring_uri: Option<String>,
    /// From where it can be called, as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub public_network_access: Option<String>,
    /// What callers prove themselves with, as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub auth_mode: Option<String>,
    /// Object id of the endpoint's system-assigned identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub principal_id: Option<String>,
    /// How many deployments there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments_total: Option<i64>,
    /// The deployments, by name; at most 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub deployments: Vec<DeploymentStatus>,
    /// Fields that were found changed, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub drift: Vec<Drift>,
    /// With `managementPolicy: Observe`: what would be written, in ARM's own terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub would_write: Vec<WouldWrite>,
    /// Writes to ARM under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub operations: Vec<Operation>,
}

/// One deployment of an endpoint, as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// Its name.
    #[schemars(length(max = 64))]
    pub name: String,
    /// How many of a hundred calls it answers.
    pub traffic: i64,
    /// How many of a hundred calls it gets a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirrored: Option<i64>,
    /// `Succeeded`, `Failed`, or what ARM is doing with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state: Option<String>,
    /// The older switch of its way out. It says nothing where the workspace has a managed network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub egress_public_network_access: Option<String>,
}
