//! `SynapseLink`: a Synapse workspace whose notebooks may use an Azure Machine Learning workspace privately.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, DeletionPolicy, Drift, ManagementPolicy, MissingRole, ObjectRef, Recreate, ResourceRef,
    WouldWrite, words_of_fields,
};
use super::condition::Condition;
use super::operation::Operation;
use super::workspace::RolePolicy;

/// A Synapse workspace whose notebooks may use an Azure Machine Learning workspace privately.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "SynapseLink",
    plural = "synapselinks",
    namespaced,
    shortname = "amlsyn",
    category = "aml",
    category = "azure",
    status = "SynapseLinkStatus",
    derive = "PartialEq",
    doc = "A Synapse workspace whose notebooks may use an Azure Machine Learning workspace privately: the linked service, the managed private endpoint with its approval by policy, and the role, each with a condition of its own.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Approved", type_ = "string", json_path = ".status.approved"),
    printcolumn(name = "LinkedService", type_ = "string", json_path = ".status.linkedService"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Synapse", type_ = "string", json_path = ".spec.synapseWorkspace.resourceId", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
#[x_kube(
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this link and create another"),
    validation = Rule::new("self.synapseWorkspace.resourceId.lowerAscii() == oldSelf.synapseWorkspace.resourceId.lowerAscii()").message("synapseWorkspace cannot change: delete this link and create another"),
    validation = Rule::new("self.synapseWorkspace.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Synapse/workspaces/[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?$')").message("synapseWorkspace.resourceId: must be the ARM id of a Synapse workspace, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Synapse/workspaces/<name>"),
    validation = Rule::new("!has(self.linkedService) || (has(self.adoption) && self.adoption != 'Never')").message("adoption: naming a linked service claims it, whoever made it; say IfMatching or Always, or leave linkedService out"),
    validation = Rule::new("(has(self.linkedService) ? self.linkedService.azureName : '') == (has(oldSelf.linkedService) ? oldSelf.linkedService.azureName : '')").message("linkedService.azureName cannot change, nor come or go: delete this link and create another"),
)]
pub struct SynapseLinkSpec {
    /// The Azure Machine Learning workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// The Synapse workspace. It must have a managed virtual network, and data exfiltration protection must be off: Microsoft does not
    /// support the integration with it, and neither can be changed once a Synapse workspace exists. This namespace needs the verb `reach`
    /// on it. Cannot change.
    pub synapse_workspace: ResourceRef,
    /// The linked service by which notebooks name the workspace; left out, one is made whose name follows from this object. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_service: Option<LinkedServiceName>,
    /// What notebooks use directly of what the workspace is made of, each by a managed private endpoint of its own: `blob`, `file`, `dfs`,
    /// `queue` and `table` of its default storage account, `vault`, `registry`. Each needs an approval of its own. This namespace needs the
    /// verb `reach` on them. Left out: only the workspace itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub extra_endpoints: Vec<ExtraEndpoint>,
    /// A Spark pool to be made in the Synapse workspace, of the smallest size, that stops by itself when it is idle. Left out, none is made,
    /// and notebooks run on a pool that is there. This namespace needs the verb `create` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_pool: Option<SparkPoolRequest>,
    /// The role that Synapse's own identity needs on the workspace; left out, Contributor, as Microsoft documents it, and it is only reported
    /// while it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<LinkRole>,
    /// What to do about an endpoint whose connection was removed or rejected on the other side, or whose creation failed: `Never`, the
    /// default, says so; `Allowed` deletes it and asks anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<Recreate>,
    /// `Observe` reads and reports only; `Manage`, the default, brings Azure to what this object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Delete`, the default, removes what it made and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do about a linked service of that name, or a Spark pool, that is there already and not this object's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Starts nothing new; what runs is followed, deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that wait for it, one entry each, as the condition asks for it; here `IdentityChanged` and `Takeover`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// A linked service by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkedServiceName {
    /// Its name in Synapse: letters, digits and underscores, a letter first. One that is there already is taken over as `adoption` allows.
    #[schemars(length(min = 1, max = 140), regex(pattern = r"^[A-Za-z][A-Za-z0-9_]*$"))]
    pub azure_name: String,
}

/// A part of what a workspace is made of that notebooks use directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExtraEndpoint {
    /// Blobs of the default storage account.
    Blob,
    /// File shares of it.
    File,
    /// Data Lake Gen2 of it.
    Dfs,
    /// Queues of it.
    Queue,
    /// Tables of it.
    Table,
    /// The key vault.
    Vault,
    /// The container registry.
    Registry,
}

impl ExtraEndpoint {
    /// The sub-resource's name in ARM.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::File => "file",
            Self::Dfs => "dfs",
            Self::Queue => "queue",
            Self::Table => "table",
            Self::Vault => "vault",
            Self::Registry => "registry",
        }
    }
}

/// A Spark pool to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SparkPoolRequest {
    /// Its name: at most 15 letters and digits, a letter first.
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"))]
    pub azure_name: String,
    /// The version of Spark, for example `3.4`.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]+([.][0-9]+)*$"))]
    pub spark_version: String,
    /// After how many idle minutes it stops; left out, 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 10080), extend("format" = "int32"))]
    pub auto_pause_minutes: Option<u16>,
}

/// The role of Synapse's identity on the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
pub struct LinkRole {
    /// `Report`, the default, names the role and the command that assigns it. `Grant` assigns it, once the connection is approved: then
    /// this namespace needs the verb `grantRoles` on the workspace, and the AzureConnection must list the role in `grantableRoles` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<RolePolicy>,
    /// Id (GUID) of the role; left out, Contributor. A narrower one, made for what the notebooks do, is safer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub role_definition_id: Option<String>,
}

/// Who stood behind the names when the link was made. Something else behind one of them is told as `IdentityChanged`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkPins {
    /// `workspaceUID` of the Synapse workspace.
    #[schemars(length(max = 64))]
    pub synapse_workspace_uid: String,
    /// Object id of Synapse's identity.
    #[schemars(length(max = 64))]
    pub principal_id: String,
    /// Its tenant.
    #[schemars(length(max = 64))]
    pub tenant_id: String,
    /// `workspaceId` of the Azure Machine Learning workspace.
    #[schemars(length(max = 64))]
    pub workspace_id: String,
}

/// One managed private endpoint of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkEndpoint {
    /// ARM id of what it leads to.
    #[schemars(length(max = 1024))]
    pub target: String,
    /// The sub-resource.
    #[schemars(length(max = 64))]
    pub subresource: String,
    /// Its name in Synapse; part of it is random, so that nobody can be there before.
    #[schemars(length(max = 128))]
    pub name: String,
    /// How its connection stands by Synapse's own word: `Missing`, `Provisioning`, `Pending`, `Approved`, `Rejected`, `Disconnected`.
    #[schemars(length(max = 32))]
    pub state: String,
    /// How the same connection stands on the target; left out while it is not known which one it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub target_state: Option<String>,
    /// Id of the endpoint as the target states it, once it is sure which connection is this link's. A policy with `synapseLinkRef` allows
    /// this one and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub private_endpoint: Option<String>,
    /// How many other connections on the target have this endpoint's name. They are somebody else's: reject them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twins: Option<i64>,
}

/// What the operator reports of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SynapseLinkStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready; and step by step ExfiltrationProtectionOff, ManagedVnetPresent, LinkedServiceReady, ManagedPrivateEndpointReady,
    /// ConnectionApproved, RoleAssigned, Verified; and while they hold Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the AzureConnection that Azure was last reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// Name of the linked service, which notebooks use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 140))]
    pub linked_service: Option<String>,
    /// The host name of the workspace that notebooks must reach at a private address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub workspace_host: Option<String>,
    /// Endpoints that are approved on both sides, of those that shall be: `1/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub approved: Option<String>,
    /// The managed private endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub endpoints: Vec<LinkEndpoint>,
    /// A Spark pool that notebooks can run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub spark_pool: Option<String>,
    /// The role that is missing, with the command that assigns it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub missing_roles: Vec<MissingRole>,
    /// Who stood behind the names when the link was made. Only shown here: what counts is kept in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<LinkPins>,
    /// A cell for a Synapse notebook that checks the link from Spark: that the workspace's name leads to a private address, and that the
    /// linked service opens the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub verify_with: Option<String>,
    /// Fields that were found changed, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub drift: Vec<Drift>,
    /// With `managementPolicy: Observe`: what would be written, in Azure's own terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub would_write: Vec<WouldWrite>,
    /// Writes to Azure under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["id".into()]))]
    pub operations: Vec<Operation>,
}
