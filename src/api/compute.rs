//! `AmlCompute`: one compute of a workspace, without a way in or out of its own.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, DeletionPolicy, Drift, ManagementPolicy, ObjectRef, OwnIdentity, Recreate, ResourceRef,
    WouldWrite,
};
use super::condition::Condition;
use super::operation::Operation;

/// One compute of a workspace: exactly one of `instance`, `cluster`, `kubernetes`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "AmlCompute",
    plural = "amlcomputes",
    namespaced,
    shortname = "amlc",
    category = "aml",
    category = "azure",
    status = "AmlComputeStatus",
    derive = "PartialEq",
    doc = "One compute of an Azure Machine Learning workspace: an instance, a cluster, or an attached Kubernetes cluster that is only reported. Closed unless it says otherwise: no public address, no SSH, no local accounts.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.vmSize"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.nodes"),
    printcolumn(name = "Isolated", type_ = "string", json_path = ".status.conditions[?(@.type==\"Isolated\")].status"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
    validation = Rule::new("has(self.spec.azureName) || (self.metadata.name.matches('^[a-zA-Z][a-zA-Z0-9-]{2,23}$') && !self.metadata.name.matches('-[0-9]+$'))").message("a compute's name in Azure takes 3 to 24 letters, digits and -, starts with a letter and does not end in - and digits; metadata.name is none, so give one in spec.azureName"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.instance), has(self.cluster), has(self.kubernetes)].filter(x, x).size() == 1").message("a compute is exactly one of instance, cluster, kubernetes"),
    validation = Rule::new("has(self.instance) == has(oldSelf.instance) && has(self.cluster) == has(oldSelf.cluster) && has(self.kubernetes) == has(oldSelf.kubernetes)").message("what a compute is cannot change: delete it and create another"),
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this compute and create another"),
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this compute and create another"),
    validation = Rule::new("!has(self.azureName) || (has(self.adoption) && self.adoption != 'Never') || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("deletionPolicy: Delete with an explicit azureName needs adoption: IfMatching or Always, since the name may be somebody else's"),
    validation = Rule::new("!has(self.kubernetes) || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("an attached Kubernetes cluster is only reported; leave deletionPolicy out"),
    validation = Rule::new("!has(self.power) || has(self.instance)").message("power: only a compute instance is started and stopped; a cluster scales by itself"),
)]
pub struct AmlComputeSpec {
    /// The workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// Name of the compute in Azure; left out, `metadata.name`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9-]{2,23}$') && !self.matches('-[0-9]+$')").message("azureName: a compute's name in Azure takes 3 to 24 letters, digits and -, starts with a letter and does not end in - and digits"))]
    pub azure_name: Option<String>,
    /// A machine for one person to work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<ComputeInstance>,
    /// Nodes that come and go with the jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ComputeCluster>,
    /// A Kubernetes cluster that somebody attached to the workspace: it is reported, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<AttachedKubernetes>,
    /// Azure region; left out, the workspace's. An instance, and every compute of a workspace with a managed network, must be in the
    /// workspace's. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]+$')").message("location: the region's short name in lower case without spaces, for example westeurope"))]
    pub location: Option<String>,
    /// How it is reached; left out, without a public address, in the workspace's managed network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ComputeNetwork>,
    /// The compute's own identity: one system-assigned or several user-assigned, never both. Left out, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<OwnIdentity>,
    /// Whether local accounts beside Entra's are allowed; left out or `false`, they are not. Azure takes it at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_auth: Option<bool>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Whether an instance runs; left out, that is left to its users and its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// What to do about a change that Azure takes only by making the compute anew, which loses what is on its disks and ends what
    /// runs there: `Never`, the default, says so; `Allowed` deletes it and creates it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<Recreate>,
    /// `Observe` reads and reports only; `Manage`, the default, brings Azure to what this object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Delete`, the default, deletes the compute with its disks. An attached Kubernetes cluster
    /// is always retained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do if the workspace already has a compute under this name; default `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Starts nothing new; what runs is followed, deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that open the compute, one entry each, as the condition asks for it; here `NodePublicIp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// A machine for one person to work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComputeInstance {
    /// Size of the machine, for example `Standard_DS3_v2`. A change makes it anew.
    #[schemars(length(min = 1, max = 64))]
    pub vm_size: String,
    /// Who works on it; left out, whoever the operator's credential is, so that nobody else can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_user: Option<AssignedUser>,
    /// Who may open its applications; left out, `Personal`. A change makes the instance anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_sharing_policy: Option<SharingPolicy>,
    /// How long it may stand idle before it is shut down, as an ISO 8601 duration of 15 minutes to 3 days, for example `PT60M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?)?$') && size(self) > 2").message("idleTimeBeforeShutdown: an ISO 8601 duration in days, hours and minutes, for example PT60M"))]
    pub idle_time_before_shutdown: Option<String>,
    /// Whether its user may become root; left out, Azure decides, which today is yes. A change makes the instance anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_access: Option<bool>,
    /// Whether its SSH port is open to whoever reaches the machine; left out or `false`, it is closed. A change makes it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<Ssh>,
}

/// Who works on an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssignedUser {
    /// Object id of the user in Entra.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub object_id: String,
    /// Tenant of the user; left out, the connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub tenant_id: Option<String>,
}

/// Access by SSH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ssh {
    /// The public key that opens it, for example `ssh-rsa AAAA… alice`.
    #[schemars(length(min = 16, max = 4096))]
    #[x_kube(validation = Rule::new("self.startsWith('ssh-') || self.startsWith('ecdsa-')").message("ssh.adminPublicKey: a public key, for example ssh-rsa AAAA…; a private key never belongs here"))]
    pub admin_public_key: String,
}

/// Who may open the applications of an instance: `Personal` (also if left out), only its user; `Shared`, everybody with a role on the
/// workspace that allows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SharingPolicy {
    /// Only its user.
    #[default]
    Personal,
    /// Everybody whose role on the workspace allows it.
    Shared,
}

impl SharingPolicy {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "Personal",
            Self::Shared => "Shared",
        }
    }
}

/// Nodes that come and go with the jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.minNodes) || self.minNodes <= self.maxNodes").message("cluster.minNodes: must not be above maxNodes"))]
pub struct ComputeCluster {
    /// Size of each node, for example `Standard_DS3_v2`. A change makes the cluster anew.
    #[schemars(length(min = 1, max = 64))]
    pub vm_size: String,
    /// Whether its nodes may be taken away for others; left out, `Dedicated`. A change makes the cluster anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_priority: Option<VmPriority>,
    /// How many nodes there are at least; they cost also while idle. Left out, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_nodes: Option<i32>,
    /// How many nodes there are at most.
    #[schemars(range(min = 0, max = 1000))]
    pub max_nodes: i32,
    /// How long a node may stand idle before it goes, as an ISO 8601 duration, for example `PT5M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^P([0-9]+D)?(T([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$') && size(self) > 2").message("nodeIdleTimeBeforeScaleDown: an ISO 8601 duration, for example PT5M"))]
    pub node_idle_time_before_scale_down: Option<String>,
}

/// Whether nodes may be taken away for others: `Dedicated` (also if left out) or `LowPriority`, which is cheaper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VmPriority {
    /// They stay.
    #[default]
    Dedicated,
    /// They may be taken away at any time.
    LowPriority,
}

impl VmPriority {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dedicated => "Dedicated",
            Self::LowPriority => "LowPriority",
        }
    }
}

/// A Kubernetes cluster that somebody attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedKubernetes {
    /// ARM id of the cluster that is expected behind the compute; left out, any. It is only compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub cluster_resource_id: Option<String>,
}

/// How a compute is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.subnet) || self.subnet.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Network/virtualNetworks/[a-z0-9_][a-z0-9._-]*/subnets/[a-z0-9_][a-z0-9._-]*$')").message("network.subnet.resourceId: must be the ARM id of a subnet, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<network>/subnets/<name>"))]
pub struct ComputeNetwork {
    /// Whether nodes get public addresses; left out or `false`, they do not. Azure's own default is that they do. Opening it needs the
    /// acknowledgement `{door: NodePublicIp, value: <the compute's name>}`. A change makes the compute anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_node_public_ip: Option<bool>,
    /// A subnet of your own, in the workspace's subscription; only without a managed network. This namespace needs the verb `reach` on
    /// it. A change makes the compute anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<ResourceRef>,
}

/// Whether an instance runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Power {
    /// `Running` or `Stopped`.
    pub state: PowerState,
    /// A new value restarts the instance once, for example the present time. Nothing is restarted by the first value of a new object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub restart_at: Option<String>,
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PowerState {
    /// It is started when it is not running.
    Running,
    /// It is stopped when it is running.
    Stopped,
}

impl PowerState {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Stopped => "Stopped",
        }
    }
}

impl AmlComputeSpec {
    /// Whether nodes get public addresses.
    pub fn node_public_ip(&self) -> bool {
        self.network.as_ref().and_then(|network| network.enable_node_public_ip).unwrap_or(false)
    }

    /// The subnet of one's own.
    pub fn subnet(&self) -> Option<&str> {
        self.network.as_ref()?.subnet.as_ref().map(|subnet| subnet.resource_id.as_str())
    }

    /// What it is, in ARM's words.
    pub fn type_(&self) -> &'static str {
        match (&self.instance, &self.cluster) {
            (Some(_), _) => "ComputeInstance",
            (None, Some(_)) => "AmlCompute",
            (None, None) => "Kubernetes",
        }
    }
}

/// What the operator reports of a compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmlComputeStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, Isolated (whether the compute is in the managed network, or without a public address in a subnet), and while they hold
    /// Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the AzureConnection that it was last reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// ARM id of the compute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_id: Option<String>,
    /// `ComputeInstance`, `AmlCompute` (a cluster) or `Kubernetes`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub type_: Option<String>,
    /// Size as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vm_size: Option<String>,
    /// State of an instance as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state: Option<String>,
    /// Bounds of a cluster, at least to at most: `0-4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub nodes: Option<String>,
    /// Object id of the compute's own system-assigned identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub principal_id: Option<String>,
    /// The value of `spec.power.restartAt` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub restarted_at: Option<String>,
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
