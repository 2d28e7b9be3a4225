//! `AmlDatastore`: where a workspace reads from, and with whose rights.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Acknowledgement, Adoption, DeletionPolicy, Drift, ManagementPolicy, ObjectRef, Recreate, ResourceRef, WouldWrite,
};
use super::condition::Condition;
use super::operation::Operation;

/// The type of the Secrets that datastores take credentials from. Secrets of no other type are ever used.
pub const CREDENTIAL_SECRET: &str = "aml-operator.io/datastore-credential";
/// The annotation by which such a Secret names the workspace whose datastore it is for: `<name>` of an AmlWorkspace in its own namespace,
/// or `<namespace>/<name>`.
pub const SECRET_WORKSPACE: &str = "aml-operator.io/workspace";
/// The annotation by which it names the AmlDatastore, in its own namespace.
pub const SECRET_DATASTORE: &str = "aml-operator.io/datastore";
/// The tag of a datastore in Azure by which its credential is recognised: a fingerprint that nobody can compute without the
/// installation's key, so that it says nothing of the secret.
pub const CREDENTIAL_TAG: &str = "aml-operator.io-credential";

/// Where a workspace reads from: exactly one of `blob`, `adlsGen2`, `file`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "AmlDatastore",
    plural = "amldatastores",
    namespaced,
    shortname = "amlds",
    category = "aml",
    category = "azure",
    status = "AmlDatastoreStatus",
    derive = "PartialEq",
    doc = "A place in a storage account that an Azure Machine Learning workspace reads from, by everybody's own identity unless it says otherwise. It says whether the workspace's managed network leads there, and the OutboundRule that is missing.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Credential", type_ = "string", json_path = ".status.credentialsType"),
    printcolumn(name = "Reachable", type_ = "string", json_path = ".status.conditions[?(@.type==\"Reachable\")].status"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
    validation = Rule::new("has(self.spec.azureName) || !self.metadata.name.contains('.')").message("a datastore's name in Azure takes letters, digits, - and _; metadata.name has a dot, so give one in spec.azureName"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.adlsGen1)").message("adlsGen1: Azure has retired Data Lake Storage Gen1; move the data to Gen2 and declare adlsGen2"),
    validation = Rule::new("has(self.adlsGen1) || [has(self.blob), has(self.adlsGen2), has(self.file)].filter(x, x).size() == 1").message("a datastore is exactly one of blob, adlsGen2, file"),
    validation = Rule::new("has(self.blob) == has(oldSelf.blob) && has(self.adlsGen2) == has(oldSelf.adlsGen2) && has(self.file) == has(oldSelf.file)").message("what a datastore is cannot change: delete it and create another"),
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this datastore and create another"),
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this datastore and create another"),
    validation = Rule::new("!has(self.azureName) || (has(self.adoption) && self.adoption != 'Never') || !has(self.deletionPolicy) || self.deletionPolicy == 'Retain'").message("deletionPolicy: Delete with an explicit azureName needs adoption: IfMatching or Always, since the name may be somebody else's"),
)]
pub struct AmlDatastoreSpec {
    /// The workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// Name of the datastore in Azure; left out, `metadata.name`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$')").message("azureName: a datastore's name in Azure takes letters, digits, - and _, and starts with a letter or digit"))]
    pub azure_name: Option<String>,
    /// A container of blobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobContainer>,
    /// A file system of a Data Lake Storage Gen2 account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adls_gen2: Option<Filesystem>,
    /// A file share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileShare>,
    /// Always refused: Azure has retired Data Lake Storage Gen1. Use `adlsGen2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adls_gen1: Option<RetiredStore>,
    /// With which identity of the workspace Azure Machine Learning itself reads there, for previews in the studio and the like; left out,
    /// `None`: only people and jobs read, each with their own rights. A change makes the datastore anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_data_access_auth_identity: Option<ServiceIdentity>,
    /// A credential that everybody who may use the workspace reads with. Left out, there is none and everybody reads with their own
    /// identity, which is the better way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<DatastoreCredential>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// What to do about a change that Azure takes only by making the datastore anew, such as another container: `Never`, the default, says
    /// so; `Allowed` deletes it and creates it again. The data is not touched; jobs that start in between do not find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<Recreate>,
    /// `Observe` reads and reports only; `Manage`, the default, brings Azure to what this object says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Delete`, the default, deletes the datastore, which is only a reference: the data stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do if the workspace already has a datastore under this name; default `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Starts nothing new; deletion still works.
    #[serde(default)]
    pub suspend: bool,
    /// Your word for steps that need one, one entry each, as the condition asks for it; here `Takeover`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
}

/// A container of blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.storageAccount.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Storage/storageAccounts/[a-z0-9]{3,24}$')").message("blob.storageAccount.resourceId: must be the ARM id of a storage account, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<name>"))]
pub struct BlobContainer {
    /// The storage account. This namespace needs the verb `reach` on it. A change makes the datastore anew.
    pub storage_account: ResourceRef,
    /// Name of the container. A change makes the datastore anew.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[$]?[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub container_name: String,
}

/// A file system of a Data Lake Storage Gen2 account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.storageAccount.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Storage/storageAccounts/[a-z0-9]{3,24}$')").message("adlsGen2.storageAccount.resourceId: must be the ARM id of a storage account, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<name>"))]
pub struct Filesystem {
    /// The storage account. This namespace needs the verb `reach` on it. A change makes the datastore anew.
    pub storage_account: ResourceRef,
    /// Name of the file system, which is the container's. A change makes the datastore anew.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[$]?[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub filesystem: String,
}

/// A file share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.storageAccount.resourceId.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.Storage/storageAccounts/[a-z0-9]{3,24}$')").message("file.storageAccount.resourceId: must be the ARM id of a storage account, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Storage/storageAccounts/<name>"))]
pub struct FileShare {
    /// The storage account. This namespace needs the verb `reach` on it. A change makes the datastore anew.
    pub storage_account: ResourceRef,
    /// Name of the share. A change makes the datastore anew.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub file_share_name: String,
}

/// A store of a kind that Azure has retired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetiredStore {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub store_name: Option<String>,
}

/// With which identity of the workspace Azure Machine Learning itself reads: `None` (also if left out),
/// `WorkspaceSystemAssignedIdentity`, `WorkspaceUserAssignedIdentity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceIdentity {
    /// It does not read.
    #[default]
    None,
    /// With the workspace's system-assigned identity.
    WorkspaceSystemAssignedIdentity,
    /// With the workspace's user-assigned identity.
    WorkspaceUserAssignedIdentity,
}

impl ServiceIdentity {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::WorkspaceSystemAssignedIdentity => "WorkspaceSystemAssignedIdentity",
            Self::WorkspaceUserAssignedIdentity => "WorkspaceUserAssignedIdentity",
        }
    }
}

/// A credential: exactly one of `accountKey`, `sas`, `servicePrincipal`, `certificate`. The secret itself stands in a Secret only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.accountKey), has(self.sas), has(self.servicePrincipal), has(self.certificate)].filter(x, x).size() == 1").message("credential: give exactly one of accountKey, sas, servicePrincipal, certificate"))]
pub struct DatastoreCredential {
    /// The account's key, which opens everything in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_key: Option<AccountKeyCredential>,
    /// A shared access signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sas: Option<SasCredential>,
    /// An application with a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_principal: Option<ServicePrincipalCredential>,
    /// An application with a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateCredential>,
}

/// The account's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountKeyCredential {
    /// The Secret with the key under `accountKey`.
    pub secret_ref: CredentialSecretRef,
}

/// A shared access signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SasCredential {
    /// The Secret with the signature under `sasToken`.
    pub secret_ref: CredentialSecretRef,
}

/// An application with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipalCredential {
    /// The application's tenant.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub tenant_id: String,
    /// The application's client id.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub client_id: String,
    /// The Secret with the password under `clientSecret`.
    pub secret_ref: CredentialSecretRef,
}

/// An application with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateCredential {
    /// The application's tenant.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub tenant_id: String,
    /// The application's client id.
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub client_id: String,
    /// Thumbprint of the certificate.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[a-zA-Z0-9]+$"))]
    pub thumbprint: String,
    /// The Secret with the certificate, and its key, under `certificate`.
    pub secret_ref: CredentialSecretRef,
}

/// A Secret of the type `aml-operator.io/datastore-credential` in this object's namespace. It agrees to be used by two annotations:
/// `aml-operator.io/workspace` names the AmlWorkspace (`<name>`, or `<namespace>/<name>`), `aml-operator.io/datastore` this object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What kind of credential one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// The account's key.
    AccountKey,
    /// A shared access signature.
    Sas,
    /// An application with a password.
    ServicePrincipal,
    /// An application with a certificate.
    Certificate,
}

impl CredentialKind {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountKey => "AccountKey",
            Self::Sas => "Sas",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::Certificate => "Certificate",
        }
    }

    /// The key in the Secret.
    pub const fn data_key(self) -> &'static str {
        match self {
            Self::AccountKey => "accountKey",
            Self::Sas => "sasToken",
            Self::ServicePrincipal => "clientSecret",
            Self::Certificate => "certificate",
        }
    }

    /// The member of ARM's secrets.
    pub const fn member(self) -> &'static str {
        match self {
            Self::AccountKey => "key",
            _ => self.data_key(),
        }
    }
}

impl DatastoreCredential {
    /// What kind it is, and the Secret that it stands in; `None` if it says nothing, which the schema refuses.
    pub fn kind(&self) -> Option<(CredentialKind, &CredentialSecretRef)> {
        if let Some(key) = &self.account_key {
            return Some((CredentialKind::AccountKey, &key.secret_ref));
        }
        if let Some(sas) = &self.sas {
            return Some((CredentialKind::Sas, &sas.secret_ref));
        }
        if let Some(principal) = &self.service_principal {
            return Some((CredentialKind::ServicePrincipal, &principal.secret_ref));
        }
        let certificate = self.certificate.as_ref()?;
        Some((CredentialKind::Certificate, &certificate.secret_ref))
    }
}

/// A place in a storage account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The type of datastore, in ARM's words.
    pub type_: &'static str,
    /// ARM id of the account.
    pub account: &'a str,
    /// The part of the account, in the words of private endpoints.
    pub subresource: &'static str,
    /// The member of the datastore that names the container.
    pub member: &'static str,
    /// Name of the container, file system or share.
    pub container: &'a str,
}

impl AmlDatastoreSpec {
    /// Where it leads; `None` if it says nothing, which the schema refuses.
    pub fn place(&self) -> Option<Place<'_>> {
        if let Some(blob) = &self.blob {
            return Some(Place {
                type_: "AzureBlob",
                account: &blob.storage_account.resource_id,
                subresource: "blob",
                member: "containerName",
                container: &blob.container_name,
            });
        }
        if let Some(lake) = &self.adls_gen2 {
            return Some(Place {
                type_: "AzureDataLakeGen2",
                account: &lake.storage_account.resource_id,
                subresource: "dfs",
                member: "filesystem",
                container: &lake.filesystem,
            });
        }
        let share = self.file.as_ref()?;
        Some(Place {
            type_: "AzureFile",
            account: &share.storage_account.resource_id,
            subresource: "file",
            member: "fileShareName",
            container: &share.file_share_name,
        })
    }
}

/// What the operator reports of a datastore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AmlDatastoreStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, Reachable (whether the workspace's managed network leads to the place), CredentialFollowed (only with a credential: whether
    /// a change of the Secret is seen at once), and while they hold Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the AzureConnection that it was last reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub connection: Option<String>,
    /// ARM id of the datastore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub resource_id: Option<String>,
    /// `AzureBlob`, `AzureDataLakeGen2` or `AzureFile`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub type_: Option<String>,
    /// Account and container: `lake/raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub target: Option<String>,
    /// `None`, `AccountKey`, `Sas`, `ServicePrincipal` or `Certificate`, as ARM shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub credentials_type: Option<String>,
    /// While nothing in the managed network leads to the place: the OutboundRule that would, as a manifest to apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub suggested_rule: Option<String>,
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
