//! Fields and words that every kind shares.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names the `AzureConnection` (cluster-scoped) through which Azure is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// Name of the AzureConnection. Its grants decide what this namespace may do with it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// Names an object of a known kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Namespace of the object; left out, the namespace of the object that says this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// Names an existing Azure resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRef {
    /// Full ARM id, for example
    /// `/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/data`.
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: String,
}

/// `Manage` (default) brings Azure to what the object says and keeps it there. `Observe` reads and reports what it would do;
/// it writes nothing, adopts nothing, and lets go without a write.
//
// The doc comments of these enums list the values, because kube shows them in place of an optional field's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Reads and reports what it would do; writes nothing, adopts nothing and lets go without a write.
    Observe,
    /// Brings Azure to what the object says and keeps it there.
    #[default]
    Manage,
}

/// What deleting the object does in Azure. `Retain` leaves everything there, tagged as before; `Delete` deletes it. The default
/// is `Retain` for what holds data, such as a workspace, and `Delete` for what does not, such as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// What the object stands for is deleted in Azure too.
    Delete,
    /// It stays in Azure, tagged as before, and the same object may take it up again later.
    Retain,
}

/// What to do if Azure already has something under that name that is not this object's. `Never` (default) leaves it alone and
/// says so, `IfMatching` takes it over if it already is as declared, `Always` takes it over and changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// It is left alone and the object says so.
    #[default]
    Never,
    /// It is taken over only if it already is as declared, so that nothing but the owner tag has to be written.
    IfMatching,
    /// It is taken over and changed as declared.
    Always,
}

/// What to do about a change that Azure takes only by making the resource anew: `Never` (default) says so, `Allowed` deletes it and
/// creates it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Recreate {
    /// It is said and left.
    #[default]
    Never,
    /// It is deleted and created again.
    Allowed,
}

/// The identity of what runs in a workspace, such as a compute: one system-assigned or several user-assigned, never both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new("(self.type == 'UserAssigned') == (has(self.userAssignedIdentities) && size(self.userAssignedIdentities) > 0)").message("identity.userAssignedIdentities: give at least one id with type UserAssigned, none otherwise"),
    validation = kube::core::Rule::new("!has(self.userAssignedIdentities) || self.userAssignedIdentities.all(i, i.matches('(?i)^/subscriptions/[0-9a-f-]{36}/resourceGroups/[a-z0-9._()-]*[a-z0-9_()-]/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[a-z0-9_-][a-z0-9._-]*$'))").message("identity.userAssignedIdentities: must be ARM ids of user-assigned identities, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"),
)]
pub struct OwnIdentity {
    /// `SystemAssigned` or `UserAssigned`: Azure takes one or the other.
    #[serde(rename = "type")]
    pub type_: OwnIdentityType,
    /// ARM ids of the user-assigned identities. The first one mounts, pulls and reads. This namespace needs the verb `reach` on each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 512)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub user_assigned_identities: Vec<String>,
}

/// Kinds of identity of what runs in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OwnIdentityType {
    /// Made and deleted with what it is for.
    SystemAssigned,
    /// Made by somebody else.
    UserAssigned,
}

impl OwnIdentityType {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemAssigned => "SystemAssigned",
            Self::UserAssigned => "UserAssigned",
        }
    }
}

/// A one-way or costly step that waits for a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Door {
    /// The first FQDN rule starts an Azure Firewall, which costs by the hour. Value: its SKU (`Basic` or `Standard`).
    AzureFirewall,
    /// The isolation mode cannot be taken back. Value: the mode it goes to.
    IsolationMode,
    /// Existing computes have to be deleted and created again. Value: the isolation mode that demands it.
    RecreateComputes,
    /// The workspace, or something that it is made of, becomes reachable from the internet. Value: `Enabled`, or `SelectedAddresses`
    /// where a list says from where; of an online endpoint, its name.
    PublicNetworkAccess,
    /// The last private way to the workspace goes while public access is off. Value: the endpoint's ARM id.
    LastPrivatePath,
    /// A soft-deleted workspace of the same name is purged with its data. Value: the workspace's name.
    PurgeWorkspace,
    /// The registry is upgraded, which costs more. Value: the SKU.
    RegistrySku,
    /// Rules made by others are removed, or whom others let in to what the workspace is made of. Value: their names, separated by commas.
    ExclusiveRules,
    /// An identity that computes or endpoints also use gets the right to approve. Value: its principal id.
    SharedIdentity,
    /// The identity behind a name is another one than before. Value: the new identity; where a workspace gives up its
    /// system-assigned identity, the type that is left (`UserAssigned`).
    IdentityChanged,
    /// A connection that is approved already is cut off. Value: the id of the endpoint that loses it, in lower case.
    RejectApproved,
    /// Compute nodes get public addresses. Value: the compute's name.
    NodePublicIp,
    /// A resource that is tagged as another's is taken over. Value: the present value of the tag.
    Takeover,
    /// Many removals at once go on. Value: the hash in `status.massChange`.
    MassChange,
}

/// A person's word for one door, bound to what it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledgement {
    /// Which step is acknowledged.
    pub door: Door,
    /// What it leads to, word for word as the condition asks for it. Another value does not open the door.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// True if `acknowledge` holds the word for `door` and exactly `value`.
pub fn acknowledged(acknowledge: &[Acknowledgement], door: Door, value: &str) -> bool {
    acknowledge.iter().any(|entry| entry.door == door && entry.value == value)
}

/// A field of a resource in Azure that was found changed after it had been as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Path of the field in ARM's own terms, for example `properties.publicNetworkAccess`; of another resource than the object's own with
    /// that resource's ARM id before it.
    #[schemars(length(max = 512))]
    pub field: String,
    /// What was found; shortened when long.
    #[schemars(length(max = 256))]
    pub found: String,
    /// What is declared; shortened when long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub wanted: Option<String>,
    /// When it was found, RFC 3339.
    #[schemars(length(max = 64))]
    pub at: String,
}

/// One thing that would be written to Azure, in ARM's own terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WouldWrite {
    /// The request, for example `PATCH` or `POST provisionManagedNetwork`.
    #[schemars(length(max = 64))]
    pub verb: String,
    /// ARM id of what would be written, or `synapse://<workspace>/…` for what lies in a Synapse workspace's data plane.
    #[schemars(length(max = 1024))]
    pub id: String,
    /// Path of the field, for example `properties.publicNetworkAccess`; left out where the whole resource is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub field: Option<String>,
    /// What Azure has; left out where it has nothing. Shortened when long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub from: Option<String>,
    /// What it would be; left out where it would be removed. Shortened when long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub to: Option<String>,
}

/// A role that an identity lacks, and how to give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingRole {
    /// ARM id of the scope that the role is needed on.
    #[schemars(length(max = 1024))]
    pub scope: String,
    /// Name of the role.
    #[schemars(length(max = 128))]
    pub role: String,
    /// What it is needed for.
    #[schemars(length(max = 256))]
    pub needed_for: String,
    /// Object id of the identity that lacks it.
    #[schemars(length(max = 64))]
    pub principal_id: String,
    /// The command that grants it; somebody with the right to assign roles on the scope runs it.
    #[schemars(length(max = 2048))]
    pub command: String,
}

/// The namespaces something is open to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = kube::core::Rule::new("(has(self.names) && size(self.names) > 0) || (has(self.matchLabels) && size(self.matchLabels) > 0)").message("name at least one namespace in names, or one label in matchLabels"))]
pub struct NamespaceSelector {
    /// Namespaces by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub names: Vec<String>,
    /// Namespaces that carry all of these labels. Use only labels that tenants cannot set on their namespaces.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = serde_json::json!({"type": "string", "maxLength": 63})))]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

impl NamespaceSelector {
    /// True if the namespace `name` with `labels` is meant.
    pub fn matches(&self, name: &str, labels: &std::collections::BTreeMap<String, String>) -> bool {
        let by_name = self.names.iter().any(|wanted| wanted == name);
        let by_label = !self.match_labels.is_empty()
            && self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        by_name || by_label
    }
}

/// Keeps what a field says of itself where its type, an optional enum, has a description of its own: the type's would win, and all
/// fields of that type would read the same.
pub(super) fn words_of_fields(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    for field in properties.into_iter().flat_map(serde_json::Map::values_mut) {
        let says = field.get("description").is_some();
        let kind = field.pointer_mut("/anyOf/0").and_then(serde_json::Value::as_object_mut);
        if let Some(kind) = kind.filter(|_| says) {
            kind.remove("description");
        }
    }
}
