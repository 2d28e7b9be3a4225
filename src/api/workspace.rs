//! `AmlWorkspace`: one Azure Machine Learning workspace with its managed network.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, ConnectionRef, DeletionPolicy, Drift, ManagementPolicy, MissingRole, NamespaceSelector,
    WouldWrite, words_of_fields,
};
use super::condition::Condition;
use super::operation::Operation;

mod associated;
mod identity;
mod kind;
mod network;
mod posture;
mod profile;

pub use associated::{
    Access, ApplicationInsights, AssociatedResourceStatus, AssociatedResources, ContainerRegistry,
    CreateApplicationInsights, CreateContainerRegistry, CreateKeyVault, CreateStorageAccount, EntryOwnership, KeyVault,
    RegistrySku, ResourceNetwork, ResourceOrigin, StorageAccount, StorageSku, SubnetRef,
};
pub use identity::{Encryption, Identity, IdentityType};
pub use kind::{Hub, OnSoftDeleted, SystemDatastoresAuthMode, WorkspaceKind};
pub use network::{
    DefaultAction, FirewallSku, IsolationMode, ManagedNetwork, NetworkAcls, Provision, ProvisionWhen,
    PublicNetworkAccess,
};
pub use posture::{Check, Finding, FindingState, Mappings, Posture, PostureStatus, Severity, Waiver};
pub use profile::{EffectiveNetwork, Profile};

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
    printcolumn(name = "Secure", type_ = "string", json_path = ".status.conditions[?(@.type==\"Secure\")].status", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
    validation = Rule::new("has(self.spec.azureName) || self.metadata.name.matches('^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$')").message("metadata.name becomes the workspace's name in Azure, which takes 3 to 33 letters, digits, - and _: choose another, or set spec.azureName"),
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
#[x_kube(
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("self.subscriptionId == oldSelf.subscriptionId && self.resourceGroup == oldSelf.resourceGroup").message("subscriptionId and resourceGroup cannot change: they say which workspace this is. Delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("self.location == oldSelf.location").message("location cannot change: Azure does not move workspaces"),
    validation = Rule::new("!has(self.kind) || !has(oldSelf.kind) || self.kind == oldSelf.kind").message("kind cannot change: a workspace stays what it was created as. Delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("!has(self.hub) || !has(oldSelf.hub) || self.hub == oldSelf.hub").message("hub cannot change: a project stays in its hub. Delete this object (Azure keeps the workspace by default) and create another"),
    validation = Rule::new("!has(self.hbiWorkspace) || !has(oldSelf.hbiWorkspace) || self.hbiWorkspace == oldSelf.hbiWorkspace").message("hbiWorkspace cannot change: Azure takes it at creation only"),
    validation = Rule::new("!has(self.enableDataIsolation) || !has(oldSelf.enableDataIsolation) || self.enableDataIsolation == oldSelf.enableDataIsolation").message("enableDataIsolation cannot change: Azure takes it at creation only"),
    validation = Rule::new("has(self.kind) && self.kind == 'Project' ? has(self.hub) && !has(self.managedNetwork) && !has(self.associatedResources) && !has(self.encryption) : !has(self.hub) && (has(self.managedNetwork) || has(self.profile)) && has(self.associatedResources)").message("a workspace of kind Project has a hub and takes managedNetwork, associatedResources and encryption from it; every other kind has managedNetwork (or a profile) and associatedResources of its own and no hub"),
    validation = Rule::new("!has(self.associatedResources) || has(self.profile) || [has(self.associatedResources.storageAccount.network) && !has(self.associatedResources.storageAccount.network.access) && !has(self.associatedResources.storageAccount.create), has(self.associatedResources.keyVault.network) && !has(self.associatedResources.keyVault.network.access) && !has(self.associatedResources.keyVault.create), has(self.associatedResources.containerRegistry) && has(self.associatedResources.containerRegistry.network) && !has(self.associatedResources.containerRegistry.network.access) && !has(self.associatedResources.containerRegistry.create), has(self.associatedResources.applicationInsights) && has(self.associatedResources.applicationInsights.network) && !has(self.associatedResources.applicationInsights.network.access) && !has(self.associatedResources.applicationInsights.create)].all(left, !left)").message("associatedResources: network.access is required for a resource that exists, unless a profile sets it"),
    validation = Rule::new("has(self.publicNetworkAccess) || has(self.profile)").message("publicNetworkAccess: required, unless a profile sets it: Disabled, or Enabled to let the internet reach the workspace"),
    validation = Rule::new("!has(self.managedNetwork) || has(self.managedNetwork.isolationMode) || has(self.profile)").message("managedNetwork.isolationMode: required, unless a profile sets it"),
    validation = Rule::new("!has(self.profile) || self.profile != 'Public' || !has(self.managedNetwork) || has(self.managedNetwork.isolationMode) || !has(self.managedNetwork.provision) || self.managedNetwork.provision.when == 'Never'").message("managedNetwork.provision: with profile: Public there is no managed network to provision; leave it out, or give an isolationMode"),
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
    /// Sets what is left out of the fields that decide about the network: `publicNetworkAccess`, `managedNetwork.isolationMode` and
    /// `network.access` of what the workspace is made of. `Private` is `Disabled`, `AllowOnlyApprovedOutbound` and `PrivateEndpoint`,
    /// `SecuredResources` is `Enabled`, `AllowInternetOutbound` and `PrivateEndpoint`, `Public` is `Enabled`, `Disabled` and `Public`. Any field that is given overrides it; `status.effective` shows what it comes to. Grants and
    /// acknowledgements are needed all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Whether the workspace can be reached from the internet; required, unless `profile` sets it. Opening it needs the grant's
    /// `egress.publicNetworkAccess: Enabled` and the acknowledgement `PublicNetworkAccess`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_network_access: Option<PublicNetworkAccess>,
    /// From which addresses the workspace can be reached while `publicNetworkAccess` is `Enabled`; left out, Azure's own list is left
    /// alone (a new workspace lets in every address). With `defaultAction: Deny` the acknowledgement is
    /// `{door: PublicNetworkAccess, value: SelectedAddresses}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_acls: Option<NetworkAcls>,
    /// The network that Azure manages for the workspace. Required, unless `profile` is given, except for a `Project`, which lives in its
    /// hub's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed_network: Option<ManagedNetwork>,
    /// What the workspace stores its data, secrets, images and telemetry in. Required, except for a `Project`, which has its hub's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    associated_resources: Option<AssociatedResources>,
    /// What the workspace is; left out, a new one is `Default`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<WorkspaceKind>,
    /// The hub of a `Project`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<Hub>,
    /// Name that people see in the studio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub friendly_name: Option<String>,
    /// What the workspace is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Tags that the workspace carries in Azure. Only these are written; others' tags stay as they are. A tag that is taken out here
    /// goes in Azure too: the tag `aml-operator.io-tags` beside them lists which ones are this object's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 15, "additionalProperties" = serde_json::json!({"type": "string", "maxLength": 256})))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[^<>%&?/,\\\\\\\\]{1,128}$') && !k.lowerAscii().startsWith('aml-operator.io') && !k.lowerAscii().startsWith('microsoft') && !k.lowerAscii().startsWith('azure') && !k.lowerAscii().startsWith('windows'))").message("tags: a name has 1 to 128 characters, none of < > % & ? / comma and backslash, and does not begin with aml-operator.io, microsoft, azure or windows, which are taken"))]
    pub tags: BTreeMap<String, String>,
    /// How the workspace's own datastores reach the default storage account. `Identity` does without shared keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_datastores_auth_mode: Option<SystemDatastoresAuthMode>,
    /// Name of the compute that builds images, needed where the registry is not public; an empty text gives the builds back to the
    /// registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub image_build_compute: Option<String>,
    /// Whether only the first version of the API works, which keeps its calls inside the network and knows no managed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v1_legacy_mode: Option<bool>,
    /// Whether Azure collects less of its own diagnostic data because the workspace's is sensitive. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hbi_workspace: Option<bool>,
    /// Whether what this workspace stores is kept apart from other workspaces' on the same storage account and vault. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_data_isolation: Option<bool>,
    /// A key of your own for what Azure keeps for the workspace; only at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What to do if Azure still keeps a deleted workspace of this name; `Stop`, the default, only says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_soft_deleted: Option<OnSoftDeleted>,
    /// Which namespaces beside the workspace's own may attach outbound rules; left out, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_rules: Option<AllowedRules>,
    /// How rules that no object of this cluster declares are treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_rules: Option<OutboundRulesPolicy>,
    /// What to do about roles that the workspace's identity needs and lacks. `Report`, the default, names them in
    /// `status.missingRoles` with the command that assigns each. `Grant` assigns those that the AzureConnection's `grantableRoles`
    /// lists where this namespace holds the verb `grantRoles`, and takes back what it assigned once it is no longer needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RolePolicy>,
    /// How the security of the workspace, and of all it depends on, is judged: `status.posture` has what was found, the condition Secure
    /// sums it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<Posture>,
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

/// The fields that a profile or a derived name sets where they are left out, as the manifest has them.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    /// Whether the workspace can be reached from the internet.
    pub public_network_access: Option<PublicNetworkAccess>,
    /// Its managed network.
    pub managed_network: Option<&'a ManagedNetwork>,
    /// What it is made of.
    pub associated_resources: Option<&'a AssociatedResources>,
}

impl AmlWorkspaceSpec {
    /// What the manifest states, for [`crate::plan::effective`] and [`crate::plan::resources`] alone: everybody else asks what it comes
    /// to.
    pub fn stated(&self) -> Stated<'_> {
        Stated {
            public_network_access: self.public_network_access,
            managed_network: self.managed_network.as_ref(),
            associated_resources: self.associated_resources.as_ref(),
        }
    }

    /// What it is.
    pub fn kind(&self) -> WorkspaceKind {
        self.kind.unwrap_or(WorkspaceKind::Default)
    }

    /// The user-assigned identities that it declares, the one that reads its encryption key among them.
    pub fn user_assigned_identities(&self) -> impl Iterator<Item = &String> {
        let reader = self.encryption.as_ref().and_then(|key| key.user_assigned_identity.as_ref());
        self.identity.user_assigned_identities.iter().chain(reader)
    }
}

/// What to do about roles that the workspace's identity needs and lacks. `Report` (default) names them in `status.missingRoles`;
/// `Grant` assigns those that the AzureConnection's `grantableRoles` lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RolePolicy {
    /// They are named, with the command that assigns each.
    #[default]
    Report,
    /// They are assigned, as far as the AzureConnection allows.
    Grant,
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
    /// Ready speaks of the workspace itself and of what it is made of, ResourcesReady of the latter, ManagedNetworkActive of its network,
    /// RolesReady of what its identity may do, RulesReady of all attached rules, Secure of the posture.
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
    /// What the fields that decide about the network come to, with what `spec.profile` sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<EffectiveNetwork>,
    /// What the workspace is made of, as it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["field".into()]))]
    pub associated_resources: Vec<AssociatedResourceStatus>,
    /// Isolation mode as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub isolation_mode: Option<String>,
    /// When the workspace was seen to leave the isolation mode `Disabled`, RFC 3339. Computes that are older are not in its network. Left
    /// out if it was isolated from the beginning, or this operator did not see the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub isolated_since: Option<String>,
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
    /// The generation of the spec that Azure was last seen to match. Absent while it does not: then what differs is on its way, or
    /// was told in `drift`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_generation: Option<i64>,
    /// How secure the workspace is, with all it depends on and every network that is attached to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posture: Option<PostureStatus>,
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
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub operations: Vec<Operation>,
}
