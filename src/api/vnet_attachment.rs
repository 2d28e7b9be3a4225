//! `VnetAttachment`: a subnet from which a workspace, and all it depends on, can be used privately.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, DeletionPolicy, Drift, ManagementPolicy, ObjectRef, Recreate, ResourceRef, WouldWrite,
};
use super::condition::Condition;
use super::operation::Operation;

/// A subnet from which a workspace, and all it depends on, can be used privately.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "VnetAttachment",
    plural = "vnetattachments",
    namespaced,
    shortname = "amlvnet",
    category = "aml",
    category = "azure",
    status = "VnetAttachmentStatus",
    derive = "PartialEq",
    doc = "A subnet from which an Azure Machine Learning workspace can be used privately: private endpoints for the workspace and all it depends on, each approved by policy, and the DNS that leads there.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Endpoints", type_ = "string", json_path = ".status.approved"),
    printcolumn(name = "DNS", type_ = "string", json_path = ".status.conditions[?(@.type==\"DnsReady\")].status"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this attachment and create another"),
    validation = Rule::new("self.subnet.resourceId.lowerAscii() == oldSelf.subnet.resourceId.lowerAscii()").message("subnet cannot change: Azure does not move private endpoints; delete this attachment and create another"),
    validation = Rule::new("has(self.endpointsResourceGroupId) == has(oldSelf.endpointsResourceGroupId) && (!has(self.endpointsResourceGroupId) || self.endpointsResourceGroupId.lowerAscii() == oldSelf.endpointsResourceGroupId.lowerAscii())").message("endpointsResourceGroupId cannot change: delete this attachment and create another"),
    validation = Rule::new("self.subnet.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Network/virtualNetworks/[a-z0-9_][a-z0-9._-]*/subnets/[a-z0-9_][a-z0-9._-]*$')").message("subnet.resourceId: must be the ARM id of a subnet, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<network>/subnets/<name>"),
)]
pub struct VnetAttachmentSpec {
    /// The workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// The subnet that the private endpoints lie in. It needs room: three addresses for the workspace, one or two for everything else.
    /// This namespace needs the verb `reach` on it. Cannot change.
    pub subnet: ResourceRef,
    /// What the network is for, which decides what gets an endpoint there.
    pub role: NetworkRole,
    /// Id of the resource group that the private endpoints are made in, `/subscriptions/<id>/resourceGroups/<name>`; left out, the
    /// network's. This namespace needs the verb `create` there. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]$')").message("endpointsResourceGroupId: must be the ARM id of a resource group, /subscriptions/<id>/resourceGroups/<name>"))]
    pub endpoints_resource_group_id: Option<String>,
    /// Which services of the default storage account get an endpoint; left out, `blob` and `file`, without `file` for `Inference`. `queue` and
    /// `table` are needed for batch endpoints and ParallelRunStep, `dfs` for Data Lake Gen2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub storage_services: Option<Vec<StorageService>>,
    /// The Azure Monitor private link scope through which Application Insights is reached; left out, it is reached publicly. Set the
    /// scope to open mode: AML does not work with a closed one. This namespace needs the verb `reach` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor_private_link_scope: Option<ResourceRef>,
    /// Other resources that are used from the workspace in this network, such as a second storage account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub extra_targets: Vec<ExtraTarget>,
    /// How names are led to the endpoints; left out, `mode: Managed` with zones in the endpoints' resource group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<AttachmentDns>,
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
    /// Starts nothing new; what runs is followed, deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that cannot be taken back, one entry each, as the condition asks for it; here `LastPrivatePath`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkRole {
    /// It holds workspace and dependencies together, which Microsoft asks of one network at least: endpoints for the workspace, storage,
    /// vault and registry.
    Services,
    /// People and jobs use the workspace from it: endpoints for the workspace and the storage that the studio shows.
    Clients,
    /// Online endpoints are called from it, or AKS serves models in it: endpoints for the workspace, blobs and the registry.
    Inference,
}

/// A service of a storage account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StorageService {
    /// Blobs.
    Blob,
    /// File shares.
    File,
    /// Data Lake Gen2.
    Dfs,
    /// Queues.
    Queue,
    /// Tables.
    Table,
}

impl StorageService {
    /// The sub-resource's name in ARM.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::File => "file",
            Self::Dfs => "dfs",
            Self::Queue => "queue",
            Self::Table => "table",
        }
    }
}

/// Another resource that is used from the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExtraTarget {
    /// ARM id of the resource. This namespace needs the verb `reach` on it.
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: String,
    /// Its sub-resources, one endpoint each, for example `blob`.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub subresources: Vec<String>,
    /// The private DNS zones that answer for it; left out, those that Azure names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(min = 3, max = 253)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub zones: Vec<String>,
}

/// How names are led to the endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'ZoneGroups' || has(self.zonesResourceGroupId)").message("dns.zonesResourceGroupId: with mode: ZoneGroups say where the zones are"),
    validation = Rule::new("self.mode != 'Custom' || !has(self.zonesResourceGroupId)").message("dns.zonesResourceGroupId: with mode: Custom no zones are used; leave it out"),
)]
pub struct AttachmentDns {
    /// `Managed` makes what is missing of zones, links to this network and zone groups. `ZoneGroups` writes records into zones that
    /// somebody else made and linked, as in a hub. `Custom` writes nothing: `status.dnsRecords` says what your own servers must answer.
    pub mode: DnsMode,
    /// Id of the resource group that the private DNS zones are in, `/subscriptions/<id>/resourceGroups/<name>`; left out, the endpoints'.
    /// This namespace needs the verb `dns` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]$')").message("dns.zonesResourceGroupId: must be the ARM id of a resource group, /subscriptions/<id>/resourceGroups/<name>"))]
    pub zones_resource_group_id: Option<String>,
    /// What a link answers for names that its zone does not hold: `Default` says they do not exist, which hides other workspaces from
    /// this network; `NxDomainRedirect` asks the public DNS. Left out, a new link gets `NxDomainRedirect`, and one that is there stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_policy: Option<ResolutionPolicy>,
    /// Name of a ConfigMap in this namespace that `status.dnsRecords` is written to, as `hosts` and as `zone` files. The operator must be
    /// allowed to (chart value `dnsConfigMaps.enabled`), and it never takes over a ConfigMap that it did not make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map: Option<String>,
}

/// How names are led to the endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsMode {
    /// Zones, links and zone groups.
    #[default]
    Managed,
    /// Zone groups in zones that somebody else made and linked.
    ZoneGroups,
    /// Nothing in Azure.
    Custom,
}

/// What a link answers for names that its zone does not hold: `Default`, that they do not exist; `NxDomainRedirect`, what the public DNS
/// says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResolutionPolicy {
    /// They do not exist.
    Default,
    /// The public DNS is asked.
    NxDomainRedirect,
}

impl ResolutionPolicy {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::NxDomainRedirect => "NxDomainRedirect",
        }
    }
}

impl VnetAttachmentSpec {
    /// How names are led to the endpoints.
    pub fn dns_mode(&self) -> DnsMode {
        self.dns.as_ref().map(|dns| dns.mode).unwrap_or_default()
    }

    /// The services of the default storage account that get an endpoint.
    pub fn storage(&self) -> Vec<StorageService> {
        let usual = match self.role {
            NetworkRole::Services | NetworkRole::Clients => vec![StorageService::Blob, StorageService::File],
            NetworkRole::Inference => vec![StorageService::Blob],
        };
        self.storage_services.clone().unwrap_or(usual)
    }
}

/// One private endpoint of an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedEndpoint {
    /// ARM id of what it leads to.
    #[schemars(length(max = 1024))]
    pub target: String,
    /// The sub-resource.
    #[schemars(length(max = 64))]
    pub subresource: String,
    /// ARM id of the endpoint.
    #[schemars(length(max = 1024))]
    pub resource_id: String,
    /// How its connection stands: `Missing`, `Pending`, `Approved`, `Rejected`, `Disconnected`.
    #[schemars(length(max = 32))]
    pub state: String,
    /// `Created` by this object, or `Reused`: it was there before, in the same network.
    #[schemars(length(max = 16))]
    pub origin: String,
    /// What of its names is missing; left out if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub dns: Option<String>,
}

/// A host name, and what it must resolve to in the network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecord {
    /// The public host name; `*` stands for every name at that place.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The private address.
    #[schemars(length(max = 45))]
    pub address: String,
}

/// What the operator reports of an attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct VnetAttachmentStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready; EndpointsApproved; DnsReady; SameNetwork (whether some network holds the workspace and all it depends on); NamesHidden (whether
    /// a zone hides the names of other workspaces from this network); and while they hold Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the AzureConnection that it was last reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// Region of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub location: Option<String>,
    /// Endpoints that are approved, of those that shall be: `4/5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub approved: Option<String>,
    /// The private endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["target".into(), "subresource".into()]))]
    pub endpoints: Vec<AttachedEndpoint>,
    /// Every host name with the address that it must resolve to in this network, for DNS servers of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub dns_records: Vec<DnsRecord>,
    /// ARM ids of the private DNS zones that answer for the endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub zones: Vec<String>,
    /// What was found changed, newest last.
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
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["id".into()]))]
    pub operations: Vec<Operation>,
}
