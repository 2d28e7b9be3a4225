//! `AmlWorkspace`: one Azure Machine Learning workspace with its managed network.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, ConnectionRef, DeletionPolicy, Drift, ManagementPolicy, MissingRole, NamespaceSelector,
    ResourceRef,
};
use super::condition::Condition;
use super::operation::Operation;

/// One Azure Machine Learning workspace: who it is, what it depends on, how it is isolated.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "AmlWorkspace",
    plural = "amlworkspaces",
    namespaced,
    shortname = "amlws",
    category = "aml",
    category = "azure",
    status = "AmlWorkspaceStatus",
    derive = "PartialEq",
    doc = "One Azure Machine Learning workspace: who it is, what it depends on, how it is isolated.",
    selectable = ".spec.connectionRef.name",
    selectable = ".spec.subscriptionId",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Isolation", type_ = "string", json_path = ".status.isolationMode"),
    printcolumn(name = "Network", type_ = "string", json_path = ".status.network"),
    printcolumn(name = "Rules", type_ = "string", json_path = ".status.rules"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
    validation = Rule::new("has(self.spec.azureName) || self.metadata.name.matches('^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$')").message("metadata.name becomes the workspace's name in Azure, which takes 3 to 33 letters, digits, - and _: choose another, or set spec.azureName"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("self.subscriptionId == oldSelf.subscriptionId && self.resourceGroup == oldSelf.resourceGroup").message("subscriptionId and resourceGroup cannot change: they say which workspace this is. Delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("self.location == oldSelf.location").message("location cannot change: Azure does not move workspaces"),
    validation = Rule::new("!has(self.azureName) || (has(self.adoption) && self.adoption != 'Never') || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("deletionPolicy: Delete with an explicit azureName needs adoption: IfMatching or Always, since the name may be somebody else's"),
)]
pub struct AmlWorkspaceSpec {
    /// The connection to Azure.
    pub connection_ref: ConnectionRef,
    /// Name of the workspace in Azure; left out, `metadata.name`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$')").message("azureName: a workspace's name in Azure takes 3 to 33 letters, digits, - and _, and starts with a letter or digit"))]
    pub azure_name: Option<String>,
    /// Id of the subscription. Cannot change.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message("subscriptionId: must be the GUID of the subscription, for example 00000000-0000-0000-0000-000000000001"))]
    pub subscription_id: String,
    /// Name of the resource group, which must exist. Cannot change.
    #[schemars(length(min = 1, max = 90), regex(pattern = r"^[A-Za-z0-9_()-]([A-Za-z0-9._()-]*[A-Za-z0-9_()-])?$"))]
    pub resource_group: String,
    /// Azure region, for example `westeurope`. Cannot change.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]+$')").message("location: the region's short name in lower case without spaces, for example westeurope"))]
    pub location: String,
    /// The workspace's own identity in Azure.
    pub identity: Identity,
    /// Whether the workspace can be reached from the internet. Opening it needs the grant's
    /// `egress.publicNetworkAccess: Enabled` and the acknowledgement `PublicNetworkAccess`.
    pub public_network_access: PublicNetworkAccess,
    /// The network that Azure manages for the workspace.
    pub managed_network: ManagedNetwork,
    /// What the workspace stores its data, secrets and telemetry in.
    pub associated_resources: AssociatedResources,
    /// Which namespaces beside the workspace's own may attach outbound rules; left out, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_rules: Option<AllowedRules>,
    /// How rules that no object of this cluster declares are treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_rules: Option<OutboundRulesPolicy>,
    /// `Observe` reads and reports only; `Manage`, the default, brings Azure to what this object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Retain`, the default, leaves the workspace. `Delete` needs the verb `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do if Azure already has a workspace under this name; default `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Starts nothing new; what runs is followed, deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that cost money or cannot be taken back, one entry each, as the condition asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

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
#[x_kube(validation = Rule::new("self.isolationMode != 'Disabled' || !has(self.provision) || self.provision.when == 'Never'").message("managedNetwork.provision: there is nothing to provision with isolationMode: Disabled; leave it out"))]
pub struct ManagedNetwork {
    /// How outgoing traffic is treated. Going from `Disabled` to a stricter mode, or from `AllowInternetOutbound` to
    /// `AllowOnlyApprovedOutbound`, cannot be taken back.
    pub isolation_mode: IsolationMode,
    /// SKU of the Azure Firewall that the first FQDN rule starts; left out, Azure chooses (`Standard`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firewall_sku: Option<FirewallSku>,
    /// When the network is built; left out, Azure builds it with the first compute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
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

/// What the workspace stores its data, secrets and telemetry in. Storage and key vault cannot change once it exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.storageAccount.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Storage/storageAccounts/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.storageAccount.resourceId: must be the ARM id of a storage account, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<name>"),
    validation = Rule::new("self.keyVault.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.KeyVault/vaults/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.keyVault.resourceId: must be the ARM id of a key vault, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<name>"),
    validation = Rule::new("!has(self.applicationInsights) || self.applicationInsights.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Insights/components/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.applicationInsights.resourceId: must be the ARM id of an Application Insights component, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Insights/components/<name>"),
    validation = Rule::new("!has(self.containerRegistry) || self.containerRegistry.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.ContainerRegistry/registries/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.containerRegistry.resourceId: must be the ARM id of a container registry, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerRegistry/registries/<name>"),
    validation = Rule::new("self.storageAccount.resourceId.lowerAscii() == oldSelf.storageAccount.resourceId.lowerAscii() && self.keyVault.resourceId.lowerAscii() == oldSelf.keyVault.resourceId.lowerAscii()").message("associatedResources: Azure does not let a workspace change its storage account or key vault"),
)]
pub struct AssociatedResources {
    /// The default storage account. Cannot change.
    pub storage_account: ResourceRef,
    /// The key vault. Cannot change.
    pub key_vault: ResourceRef,
    /// The Application Insights component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_insights: Option<ResourceRef>,
    /// The container registry; left out, Azure makes one with the first image build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_registry: Option<ResourceRef>,
}

impl AssociatedResources {
    /// All ids, with the name of the field that holds each.
    pub fn ids(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("storageAccount", Some(&self.storage_account)),
            ("keyVault", Some(&self.key_vault)),
            ("applicationInsights", self.application_insights.as_ref()),
            ("containerRegistry", self.container_registry.as_ref()),
        ]
        .into_iter()
        .filter_map(|(field, resource)| resource.map(|resource| (field, resource.resource_id.as_str())))
    }
}

/// Who may attach rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRules {
    /// Namespaces beside the workspace's own.
    pub namespaces: NamespaceSelector,
}

/// How rules that no object of this cluster declares are treated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboundRulesPolicy {
    /// `Shared`, the default, leaves strangers' rules alone and lists them. `Exclusive` removes them once the door
    /// `ExclusiveRules` is acknowledged with their names; a rule that somebody makes later is asked about again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<RuleOwnership>,
    /// Removes rules that this installation made and whose object no longer exists; otherwise they are only listed.
    #[serde(default)]
    pub prune_orphans: bool,
}

/// `Shared` (default) leaves rules that others made alone and lists them. `Exclusive` removes them once the door
/// `ExclusiveRules` is acknowledged with their names; a rule that somebody makes later is asked about again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RuleOwnership {
    /// They stay.
    #[default]
    Shared,
    /// They go.
    Exclusive,
}

/// What the operator reports of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmlWorkspaceStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready speaks of the workspace itself, ManagedNetworkActive of its network, RulesReady of all attached rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// ARM id of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_id: Option<String>,
    /// The workspace's own GUID, which its host names contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub workspace_id: Option<String>,
    /// Object id of the workspace's system-assigned identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub principal_id: Option<String>,
    /// Isolation mode as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub isolation_mode: Option<String>,
    /// State of the managed network as ARM shows it: `Active` once it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub network: Option<String>,
    /// Rules that are active, of rules that are declared: `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub rules: Option<String>,
    /// Rules in Azure that others made; left alone unless `spec.outboundRules.ownership` is `Exclusive`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 64)))]
    pub unmanaged_rules: Vec<String>,
    /// Rules in Azure that this installation made and whose object is gone; removed only with `spec.outboundRules.pruneOrphans`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 64)))]
    pub orphaned_rules: Vec<String>,
    /// Roles that the workspace's identity lacks, with the command that grants each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub missing_roles: Vec<MissingRole>,
    /// Fields that were found changed, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub drift: Vec<Drift>,
    /// With `managementPolicy: Observe`: what would be written, in ARM's own terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 512)))]
    pub planned: Vec<String>,
    /// Writes to ARM under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub operations: Vec<Operation>,
}
