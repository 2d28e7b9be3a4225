//! `AzureConnection`: the only door to a credential, and the grants that say who may do what through it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{Acknowledgement, ManagementPolicy, NamespaceSelector};
use super::condition::Condition;

/// How Azure is reached, and which namespaces may do what on which ARM scopes through it.
///
/// Nothing is allowed that no grant names. The operator's own rights in Azure are stronger than any tenant's: this object is
/// the fence, so only platform administrators should be able to write it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "AzureConnection",
    plural = "azureconnections",
    shortname = "amlconn",
    category = "aml",
    category = "azure",
    status = "AzureConnectionStatus",
    derive = "PartialEq",
    doc = "How Azure is reached, and which namespaces may do what on which ARM scopes through it. Nothing is allowed that no grant names.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Cloud", type_ = "string", json_path = ".spec.cloud"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantId", priority = "1"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.cloud == 'Custom') == has(self.customCloud)").message("customCloud: give it with cloud: Custom, and only then"),
    validation = Rule::new("self.cloud != 'Custom' || has(self.credential.clientSecret)").message("credential: cloud: Custom takes a clientSecret only; a federated token sent to a foreign authority could be replayed at the real one"),
    validation = Rule::new("self.tenantId == oldSelf.tenantId && self.cloud == oldSelf.cloud").message("tenantId and cloud cannot change: what was made in one directory is not in another. Create a second AzureConnection"),
)]
pub struct AzureConnectionSpec {
    /// The Entra tenant (directory) id.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message("tenantId: must be the GUID of the tenant, for example 00000000-0000-0000-0000-000000000001"))]
    pub tenant_id: String,
    /// Which Azure: `Public`, `UsGovernment`, `China` (operated by 21Vianet), or `Custom` for anything else that speaks ARM.
    pub cloud: CloudName,
    /// Endpoints of a custom cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_cloud: Option<CustomCloud>,
    /// The identity the operator uses: exactly one of workloadIdentity, managedIdentity, clientSecret.
    pub credential: Credential,
    /// Subscriptions that are yours. Only an endpoint in one of them can be told from a stranger's by subscription,
    /// resource group and name, because Azure's managed networks place endpoints in Microsoft's own subscriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub own_subscriptions: Vec<String>,
    /// Who may do what, and where. What no grant allows is refused with the condition reason `ScopeNotAllowed` or
    /// `EgressNotAllowed`, before Azure is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grants: Vec<Grant>,
    /// Which roles the operator may assign, and where. Nothing else is ever assigned, whatever a grant says; a namespace needs the
    /// verb `grantRoles` on the scope besides. Mirror this list by a condition on the operator's own right to assign roles. Left
    /// out, none: see docs/security/azure-roles.md for what is known to be missing before you list any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub grantable_roles: Vec<GrantableRoles>,
    /// Id (GUID) of the role that `approverRole: Temporary | Standing` of outbound rules assigns on a rule's target. It must allow
    /// reading the target and approving connections on it, should allow nothing else, and must be in `grantableRoles` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub approver_role_definition_id: Option<String>,
    /// `Observe` makes every object that uses this connection read-only, whatever it says itself; removals wait then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// Starts nothing new on any object that uses this connection; operations under way are followed, removals wait.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for a step that waits for it; here `MassChange`, with the hash from `status.massChange`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// Which Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloudName {
    /// Azure public.
    Public,
    /// Azure US Government.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
    /// Anything else that speaks ARM, at `customCloud`.
    Custom,
}

/// Endpoints of a cloud that is not one of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.resourceManagerEndpoint.startsWith('https://')").message("customCloud.resourceManagerEndpoint: must start with https://, because tokens go there"),
    validation = Rule::new("self.authorityHost.startsWith('https://')").message("customCloud.authorityHost: must start with https://, because secrets go there"),
    validation = Rule::new("!has(self.synapseEndpointTemplate) || (self.synapseEndpointTemplate.startsWith('https://') && self.synapseEndpointTemplate.split('{workspace}').size() == 2)").message("customCloud.synapseEndpointTemplate: must start with https://, because tokens go there, and hold {workspace} once, for example https://arm.example.org/synapse/{workspace}"),
    validation = Rule::new("!has(self.synapseAudience) || has(self.synapseEndpointTemplate)").message("customCloud.synapseAudience: give it with synapseEndpointTemplate, and only then"),
)]
pub struct CustomCloud {
    /// Where ARM answers, for example `https://management.local.azurestack.external`.
    #[schemars(length(min = 9, max = 512))]
    pub resource_manager_endpoint: String,
    /// The audience that tokens for ARM are asked for; left out, the endpoint itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub resource_manager_audience: Option<String>,
    /// Where tokens are asked for, for example `https://login.example.org`.
    #[schemars(length(min = 9, max = 512))]
    pub authority_host: String,
    /// Where the data planes of Synapse workspaces answer, with `{workspace}` for a workspace's name, for example
    /// `https://{workspace}.dev.synapse.example.org`. A SynapseLink needs it; left out, there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 512))]
    pub synapse_endpoint_template: Option<String>,
    /// The audience that tokens for these data planes are asked for; left out, `https://dev.azuresynapse.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub synapse_audience: Option<String>,
    /// Certificates (PEM) that all these endpoints are trusted by; left out, the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
}

/// The identity the operator uses. Exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.workloadIdentity), has(self.managedIdentity), has(self.clientSecret)].filter(x, x).size() == 1").message("credential: give exactly one of workloadIdentity, managedIdentity, clientSecret"))]
pub struct Credential {
    /// The operator's service-account token is exchanged (workload identity federation). The best choice on AKS and elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
    /// A managed identity of the machine the operator runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<ManagedIdentity>,
    /// An application's client secret, from a Secret in the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecret>,
}

/// Workload identity federation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Client id of the application or user-assigned identity; left out, the one the pod's environment names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub client_id: Option<String>,
}

/// A managed identity of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedIdentity {
    /// Client id of a user-assigned identity; left out, the system-assigned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub client_id: Option<String>,
}

/// An application's client secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// Client id of the application.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message("clientId: must be the GUID of the application, for example 00000000-0000-0000-0000-000000000001"))]
    pub client_id: String,
    /// The Secret that holds it. It must lie in the operator's namespace.
    pub secret_ref: SecretKeyRef,
}

/// A key of a Secret in the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// One permission. Every grant includes reading what it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The namespaces whose objects may use it.
    pub namespaces: NamespaceSelector,
    /// A path of whole ARM segments; everything at or below it is covered. `*` stands for one segment, but not for the
    /// subscription. Example: `/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/fraud-rg`.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/subscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(/[A-Za-z0-9._()@*-]+)*/?$') && !self.matches('/[.]+(/|$)')").message("scope: a path of whole ARM segments that starts with /subscriptions/<id>, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"))]
    pub scope: String,
    /// What may be done there.
    #[schemars(length(min = 1, max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub verbs: Vec<Verb>,
    /// How far workspaces under this scope may be opened. Left out: no FQDN, no service tag; the isolation mode
    /// `AllowOnlyApprovedOutbound` and public access `Disabled` are always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
}

/// Roles that the operator may assign at or below a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantableRoles {
    /// A path of whole ARM segments; everything at or below it is covered. `*` stands for one segment, but not for the
    /// subscription.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/subscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(/[A-Za-z0-9._()@*-]+)*/?$') && !self.matches('/[.]+(/|$)')").message("scope: a path of whole ARM segments that starts with /subscriptions/<id>, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg"))]
    pub scope: String,
    /// Ids (GUIDs) of role definitions. Owner, User Access Administrator and Role Based Access Control Administrator are refused,
    /// and so is any role that could assign roles itself. Contributor and Key Vault Administrator are assigned only if listed here.
    #[schemars(
        length(min = 1, max = 32),
        inner(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))
    )]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(role, !(role.lowerAscii() in ['8e3af657-a8ff-443c-a75c-2fe8c4bcb635', '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9', 'f58310d9-a9f6-439a-9e8d-f62e7b41a168']))").message("roleDefinitionIds: Owner, User Access Administrator and Role Based Access Control Administrator can assign roles themselves, so the operator never assigns them"),
    )]
    pub role_definition_ids: Vec<String>,
}

/// What a grant allows beside reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Create what is absent.
    Create,
    /// Change what exists: a workspace with its rules and network, another resource's network fields.
    Configure,
    /// Name something as a target: of a rule, as an associated resource.
    Reach,
    /// Approve private endpoint connections on a target.
    Approve,
    /// Assign roles on a scope.
    GrantRoles,
    /// Write private DNS zones, links and zone groups.
    Dns,
    /// Delete what holds data.
    Delete,
}

impl Verb {
    /// The verb as it is written in a grant.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Configure => "configure",
            Self::Reach => "reach",
            Self::Approve => "approve",
            Self::GrantRoles => "grantRoles",
            Self::Dns => "dns",
            Self::Delete => "delete",
        }
    }
}

/// How far a workspace may be opened. A rule is judged by all that it covers, however it is spelled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Host names that rules may lead to. `*.pytorch.org` allows itself and everything below it, `download.pytorch.org` and
    /// `*.download.pytorch.org`, but not `pytorch.org`. What leads to storage accounts, such as `*.core.windows.net`, is allowed
    /// only by an entry that is the same word for word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub fqdns: Vec<String>,
    /// Service tags that rules may lead to; `AzureMonitor.WestEurope` is part of `AzureMonitor`. Mind that tags such as
    /// `AzureCloud`, `Storage` or `Internet` stand for the addresses of strangers too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub service_tags: Vec<String>,
    /// Address prefixes (CIDR) that rules may lead to, and all within them. Azure ignores a rule's service tag when it has
    /// address prefixes, so those are judged by this list alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 64), regex(pattern = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub address_prefixes: Vec<String>,
    /// Isolation modes beside `AllowOnlyApprovedOutbound`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub isolation_modes: Vec<super::workspace::IsolationMode>,
    /// `Enabled` allows workspaces that are reachable from the internet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_network_access: Option<super::workspace::PublicNetworkAccess>,
}

/// What the operator reports of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureConnectionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, and while they hold Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many objects use this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<i64>,
    /// Hash of the removals that wait because they are many at once; acknowledge it with the door `MassChange`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mass_change: Option<String>,
}
