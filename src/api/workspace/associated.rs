//! What a workspace is made of: its storage account, key vault, registry and Application Insights, each existing or created, and how
//! each may be reached.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{ResourceRef, words_of_fields};

/// What the workspace stores its data, secrets, images and telemetry in. Storage and key vault cannot change once it exists. Whatever
/// becomes of the workspace, none of it is ever deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssociatedResources {
    /// The default storage account. Cannot change.
    pub storage_account: StorageAccount,
    /// The key vault. Cannot change.
    pub key_vault: KeyVault,
    /// The Application Insights component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_insights: Option<ApplicationInsights>,
    /// The container registry; left out, Azure makes one with the first image build, with its admin account on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_registry: Option<ContainerRegistry>,
}

/// The default storage account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != has(self.create)").message("associatedResources.storageAccount: give exactly one of resourceId and create"),
    validation = Rule::new("has(self.create) == has(oldSelf.create) && (!has(self.resourceId) || !has(oldSelf.resourceId) || self.resourceId.lowerAscii() == oldSelf.resourceId.lowerAscii())").message("associatedResources: Azure does not let a workspace change its storage account or key vault"),
    validation = Rule::new("!has(self.resourceId) || self.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Storage/storageAccounts/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.storageAccount.resourceId: must be the ARM id of a storage account, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<name>"),
)]
pub struct StorageAccount {
    /// ARM id of an account that exists. This namespace needs the verb `reach` on it, and `configure` if its network is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// Creates an account in the workspace's resource group: version 2, TLS 1.2, no anonymous access, closed to the public, without shared
    /// keys where `systemDatastoresAuthMode` is `Identity`. This namespace needs the verbs `reach` and `create` on it, and `configure`
    /// to keep it so. `{}` takes what is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateStorageAccount>,
    /// How it may be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ResourceNetwork>,
}

/// A storage account to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("associatedResources.storageAccount.create cannot change: a storage account stays what it was created as"))]
pub struct CreateStorageAccount {
    /// Its name, unique in all of Azure; left out, one that follows from the workspace's ARM id. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]{3,24}$')").message("storageAccount.create.name: 3 to 24 lower-case letters and digits"))]
    pub name: Option<String>,
    /// How often, and where, its data is kept; left out, `Standard_LRS`. Cannot change here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<StorageSku>,
    /// Whether it has a hierarchical namespace (Data Lake Storage). Cannot change.
    #[serde(default)]
    pub hierarchical_namespace: bool,
}

/// How often, and where, the data of a storage account is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StorageSku {
    /// Three times in one place.
    #[default]
    #[serde(rename = "Standard_LRS")]
    Lrs,
    /// In three zones.
    #[serde(rename = "Standard_ZRS")]
    Zrs,
    /// In another region too.
    #[serde(rename = "Standard_GRS")]
    Grs,
    /// In another region too, readable there.
    #[serde(rename = "Standard_RAGRS")]
    RaGrs,
    /// In three zones, and another region.
    #[serde(rename = "Standard_GZRS")]
    Gzrs,
    /// In three zones, and another region, readable there.
    #[serde(rename = "Standard_RAGZRS")]
    RaGzrs,
}

impl StorageSku {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lrs => "Standard_LRS",
            Self::Zrs => "Standard_ZRS",
            Self::Grs => "Standard_GRS",
            Self::RaGrs => "Standard_RAGRS",
            Self::Gzrs => "Standard_GZRS",
            Self::RaGzrs => "Standard_RAGZRS",
        }
    }
}

/// The key vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != has(self.create)").message("associatedResources.keyVault: give exactly one of resourceId and create"),
    validation = Rule::new("has(self.create) == has(oldSelf.create) && (!has(self.resourceId) || !has(oldSelf.resourceId) || self.resourceId.lowerAscii() == oldSelf.resourceId.lowerAscii())").message("associatedResources: Azure does not let a workspace change its storage account or key vault"),
    validation = Rule::new("!has(self.resourceId) || self.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.KeyVault/vaults/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.keyVault.resourceId: must be the ARM id of a key vault, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<name>"),
    validation = Rule::new("!has(self.network) || !has(self.network.trustWorkspace)").message("associatedResources.keyVault.network.trustWorkspace: only storage accounts have resource instance rules; a vault lets a workspace in by trustedServices"),
)]
pub struct KeyVault {
    /// ARM id of a vault that exists. This namespace needs the verb `reach` on it, and `configure` if its network is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// Creates a vault in the workspace's resource group: by roles, with soft delete, closed to the public. This namespace needs the verbs
    /// `reach` and `create` on it, and `configure` to keep it so. `{}` takes what is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateKeyVault>,
    /// How it may be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ResourceNetwork>,
}

/// A key vault to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)").message("associatedResources.keyVault.create.name cannot change: it says which vault this is"),
    validation = Rule::new("!has(oldSelf.purgeProtection) || !oldSelf.purgeProtection || (has(self.purgeProtection) && self.purgeProtection)").message("associatedResources.keyVault.create.purgeProtection: Azure does not turn purge protection off again"),
)]
pub struct CreateKeyVault {
    /// Its name, unique in all of Azure; left out, one that follows from the workspace's ARM id. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 24))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$') && !self.contains('--')").message("keyVault.create.name: 3 to 24 letters, digits and single hyphens; it begins with a letter and ends with a letter or digit"))]
    pub name: Option<String>,
    /// Whether nobody can destroy the vault, or a secret in it, before its retention time is over. Azure does not turn it off again.
    #[serde(default)]
    pub purge_protection: bool,
}

/// The container registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != has(self.create)").message("associatedResources.containerRegistry: give exactly one of resourceId and create"),
    validation = Rule::new("has(self.create) == has(oldSelf.create)").message("associatedResources.containerRegistry: resourceId and create cannot take each other's place"),
    validation = Rule::new("!has(self.resourceId) || self.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.ContainerRegistry/registries/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.containerRegistry.resourceId: must be the ARM id of a container registry, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerRegistry/registries/<name>"),
    validation = Rule::new("!has(self.network) || !has(self.network.trustWorkspace)").message("associatedResources.containerRegistry.network.trustWorkspace: only storage accounts have resource instance rules; a registry lets a workspace in by trustedServices"),
    validation = Rule::new("!has(self.network) || ((!has(self.network.access) || self.network.access != 'ServiceEndpoint') && !has(self.network.subnets))").message("associatedResources.containerRegistry.network: a registry knows no service endpoints and no subnets; use PrivateEndpoint, or Public with ipRules"),
)]
pub struct ContainerRegistry {
    /// ARM id of a registry that exists. This namespace needs the verb `reach` on it, and `configure` if its network is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// Creates a registry in the workspace's resource group: Premium, without admin account, closed to the public. This namespace needs
    /// the verbs `reach` and `create` on it, and `configure` to keep it so. `{}` takes what is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateContainerRegistry>,
    /// How it may be reached. Only a Premium registry can be closed to the public, or open to some addresses only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ResourceNetwork>,
}

/// A container registry to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)").message("associatedResources.containerRegistry.create.name cannot change: it says which registry this is"))]
pub struct CreateContainerRegistry {
    /// Its name, unique in all of Azure; left out, one that follows from the workspace's ARM id. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 5, max = 50))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9]{5,50}$')").message("containerRegistry.create.name: 5 to 50 letters and digits"))]
    pub name: Option<String>,
    /// Its SKU; left out, `Premium`, which alone can be closed to the public. A later upgrade waits for the door `RegistrySku`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<RegistrySku>,
}

/// SKU of a container registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RegistrySku {
    /// Small.
    Basic,
    /// Larger.
    Standard,
    /// With private endpoints and network rules.
    #[default]
    Premium,
}

impl RegistrySku {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Standard => "Standard",
            Self::Premium => "Premium",
        }
    }

    /// Reads ARM's word, whatever its case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Basic, Self::Standard, Self::Premium].into_iter().find(|sku| sku.as_str().eq_ignore_ascii_case(text))
    }
}

/// The Application Insights component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != has(self.create)").message("associatedResources.applicationInsights: give exactly one of resourceId and create"),
    validation = Rule::new("has(self.create) == has(oldSelf.create)").message("associatedResources.applicationInsights: resourceId and create cannot take each other's place"),
    validation = Rule::new("!has(self.resourceId) || self.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Insights/components/[a-z0-9_-][a-z0-9._-]*$')").message("associatedResources.applicationInsights.resourceId: must be the ARM id of an Application Insights component, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Insights/components/<name>"),
    validation = Rule::new("!has(self.network) || !(has(self.network.trustedServices) || has(self.network.trustWorkspace) || has(self.network.ipRules) || has(self.network.subnets) || has(self.network.ownership))").message("associatedResources.applicationInsights.network: has manage and access only; Application Insights has no list of whom it lets in"),
    validation = Rule::new("!has(self.network) || !has(self.network.access) || self.network.access != 'ServiceEndpoint'").message("associatedResources.applicationInsights.network.access: Application Insights knows no service endpoints; use PrivateEndpoint (a private link scope) or Public"),
)]
pub struct ApplicationInsights {
    /// ARM id of a component that exists. This namespace needs the verb `reach` on it, and `configure` if its network is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// Creates a component in the workspace's resource group, with a log workspace, closed to the public. This namespace needs the verbs
    /// `reach` and `create` on both, and `configure` to keep them so. `{}` takes what is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateApplicationInsights>,
    /// How it may be reached. Closed to the public, it takes telemetry and answers queries through an Azure Monitor private link scope
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<ResourceNetwork>,
}

/// An Application Insights component to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("associatedResources.applicationInsights.create cannot change: name and log workspace say which component this is"),
    validation = Rule::new("!has(self.logWorkspace) || self.logWorkspace.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.OperationalInsights/workspaces/[a-z0-9_-][a-z0-9._-]*$')").message("applicationInsights.create.logWorkspace.resourceId: must be the ARM id of a Log Analytics workspace, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.OperationalInsights/workspaces/<name>"),
)]
pub struct CreateApplicationInsights {
    /// Its name; left out, one that follows from the workspace's ARM id. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9_-][a-zA-Z0-9._-]*$')").message("applicationInsights.create.name: letters, digits, hyphens, underscores and dots, and no dot at the beginning"))]
    pub name: Option<String>,
    /// The Log Analytics workspace that keeps what it records; left out, one is created beside it. One that exists needs the verb `reach`
    /// and is left as it is. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_workspace: Option<ResourceRef>,
}

/// How a resource may be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
#[x_kube(
    validation = Rule::new("!has(self.access) || self.access != 'PrivateEndpoint' || !((has(self.ipRules) && size(self.ipRules) > 0) || (has(self.subnets) && size(self.subnets) > 0))").message("network: with access: PrivateEndpoint nobody comes in by the public address, so ipRules and subnets would say nothing; leave them out, or set ServiceEndpoint or Public"),
    validation = Rule::new("!has(self.access) || (self.access == 'ServiceEndpoint') == (has(self.subnets) && size(self.subnets) > 0)").message("network.subnets: give at least one with access: ServiceEndpoint, and none otherwise"),
    validation = Rule::new("!has(self.ipRules) || self.ipRules.all(r, (isIP(r) && ip(r).family() == 4) || (isCIDR(r) && cidr(r).ip().family() == 4 && cidr(r) == cidr(r).masked() && cidr(r).prefixLength() <= 30))").message("network.ipRules: each must be a public IPv4 address, or a block of at least four such addresses, for example 20.1.2.3 or 20.1.2.0/24"),
    validation = Rule::new("!has(self.subnets) || self.subnets.all(s, s.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Network/virtualNetworks/[a-z0-9_-][a-z0-9._-]*/subnets/[a-z0-9_-][a-z0-9._-]*$'))").message("network.subnets: each resourceId must be the ARM id of a subnet, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<name>/subnets/<name>"),
)]
pub struct ResourceNetwork {
    /// `false` only checks and reports; left out or `true`, what differs is put right, for which this namespace needs the verb
    /// `configure` on the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manage: Option<bool>,
    /// Who comes in: `PrivateEndpoint` closes the public address, `ServiceEndpoint` opens it to `subnets` (and `ipRules`) only, `Public`
    /// to everybody, or to `ipRules` only. Left out, what `spec.profile` says, and without one a resource that is created is closed;
    /// one that exists needs a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Whether services that Azure trusts come in all the same, which Azure Machine Learning needs unless `trustWorkspace` is set. Left out,
    /// `true` with `access: PrivateEndpoint` or a profile or a resource that is created, else Azure's setting is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_services: Option<bool>,
    /// Whether this workspace comes in all the same, by a resource instance rule: narrower than `trustedServices`. Storage accounts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_workspace: Option<bool>,
    /// Public IPv4 addresses and blocks that may come in. Needs the grant's `egress.publicNetworkAccess` on the resource and the door
    /// `PublicNetworkAccess`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 7, max = 18)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ip_rules: Vec<String>,
    /// Subnets that may come in over their service endpoint. This namespace needs the verb `reach` on each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["resourceId".into()]))]
    pub subnets: Vec<SubnetRef>,
    /// How addresses, subnets and resource instances that no object of this cluster declares are treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<EntryOwnership>,
}

/// Names a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubnetRef {
    /// Full ARM id of the subnet.
    #[schemars(length(min = 1, max = 512))]
    pub resource_id: String,
}

/// Who comes in to a resource: nobody but private endpoints, selected subnets, or the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    /// Private endpoints only.
    PrivateEndpoint,
    /// Selected subnets, and selected addresses.
    ServiceEndpoint,
    /// Everybody, or selected addresses.
    Public,
}

impl Access {
    /// The word as a manifest has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateEndpoint => "PrivateEndpoint",
            Self::ServiceEndpoint => "ServiceEndpoint",
            Self::Public => "Public",
        }
    }
}

/// `Shared` (default) leaves entries that others made alone and lists them in the status. `Exclusive` removes them once the door
/// `ExclusiveRules` is acknowledged with their values; one that somebody makes later is asked about again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntryOwnership {
    /// They stay.
    #[default]
    Shared,
    /// They go.
    Exclusive,
}

/// How the workspace came by a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResourceOrigin {
    /// The manifest names it.
    Existing,
    /// The manifest has it created.
    Created,
}

/// One resource that the workspace is made of, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssociatedResourceStatus {
    /// The field of `spec.associatedResources` that declares it.
    #[schemars(length(max = 64))]
    pub field: String,
    /// Its ARM id.
    #[schemars(length(max = 1024))]
    pub resource_id: String,
    /// Whether it is named or created by the manifest.
    pub origin: ResourceOrigin,
    /// Who shall come in; left out where nothing says so, and it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// What is not as declared, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 512)))]
    pub missing: Vec<String>,
    /// Addresses, subnets and resource instances that come in and that no object of this cluster declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 1024)))]
    pub unmanaged_entries: Vec<String>,
    /// Marks of the entries that this object has declared, separated by commas, so that one taken out of the manifest is told from
    /// others'. Whoever may write this status can at most have entries removed, none added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub entries: Option<String>,
    /// The generation of the spec that it was last seen to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_generation: Option<i64>,
}
