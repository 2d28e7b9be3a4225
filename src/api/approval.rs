//! `PrivateEndpointApproval`: which private endpoint connections on a target are approved.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ConnectionRef, ManagementPolicy, ResourceRef};
use super::condition::Condition;

/// A policy: which private endpoint connections on a target are approved. What no entry allows stays pending.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "PrivateEndpointApproval",
    plural = "privateendpointapprovals",
    namespaced,
    shortname = "amlpea",
    category = "aml",
    category = "azure",
    status = "PrivateEndpointApprovalStatus",
    derive = "PartialEq",
    doc = "A policy: which private endpoint connections on a target are approved. What no entry allows stays pending.",
    selectable = ".spec.connectionRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Approved", type_ = "integer", json_path = ".status.approved"),
    printcolumn(name = "Pending", type_ = "integer", json_path = ".status.pending"),
    printcolumn(name = "Unmatched", type_ = "integer", json_path = ".status.unmatched"),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.target.resourceId", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.target.resourceId.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+/providers/[A-Za-z0-9.]+(/[A-Za-z0-9]+/[A-Za-z0-9._()-]+)+$') && !self.target.resourceId.matches('/[.]+(/|$)')").message("target.resourceId: must be a full ARM id, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake"),
    validation = Rule::new("self.target == oldSelf.target").message("target cannot change: delete this policy and create another"),
)]
pub struct PrivateEndpointApprovalSpec {
    /// The connection to Azure. A grant must give this namespace the verb `approve` on the target.
    pub connection_ref: ConnectionRef,
    /// The resource whose connections are decided on. Cannot change.
    pub target: ResourceRef,
    /// Who is approved. A connection is approved if all that at least one entry states holds; without an entry nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allow: Vec<AllowEntry>,
    /// `Observe` decides and reports, and approves nothing; `Manage` is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// Approves nothing new while true.
    #[serde(default)]
    pub suspend: bool,
}

/// One way to be approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowEntry {
    /// A private endpoint in a subscription of your own, by what ARM itself states of it. All that is stated here must hold.
    pub private_endpoint: EndpointMatch,
}

/// A private endpoint in a subscription of your own. All that is stated must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.name) && has(self.namePattern))").message("privateEndpoint: give name or namePattern, not both"),
    validation = Rule::new("!(has(self.name) || has(self.namePattern)) || has(self.resourceGroup)").message("privateEndpoint.resourceGroup: needed with a name, since endpoint names are unique within a group only"),
)]
pub struct EndpointMatch {
    /// Subscription of the endpoint; it must be among the connection's `ownSubscriptions`, else the entry never holds.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message("privateEndpoint.subscriptionId: must be the GUID of the subscription, for example 00000000-0000-0000-0000-000000000001"))]
    pub subscription_id: String,
    /// Resource group of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 90), regex(pattern = r"^[A-Za-z0-9._()-]+$"))]
    pub resource_group: Option<String>,
    /// Name of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub name: Option<String>,
    /// Pattern of the endpoint's name: `*` stands for any characters, `?` for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9._*?-]+$"))]
    pub name_pattern: Option<String>,
}

/// What the operator reports of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivateEndpointApprovalStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready is True while the policy is in force; ConnectionsPending says whether any connection waits for a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Connections on the target that are approved and that this policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<i64>,
    /// Connections on the target that are pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<i64>,
    /// Pending ones that no policy allows: a person has to look at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<i64>,
    /// The connections that matter to this policy: what it allows, and what waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub connections: Vec<ConnectionReport>,
    /// How many more there are than the list holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_connections: Option<i64>,
}

/// One private endpoint connection, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    /// Name of the connection on the target.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// ARM id of the endpoint that asks, as ARM states it.
    #[schemars(length(max = 1024))]
    pub private_endpoint: String,
    /// State as ARM shows it: `Pending`, `Approved`, `Rejected`, `Disconnected`.
    #[schemars(length(max = 64))]
    pub state: String,
    /// What was decided.
    pub decision: DecisionWord,
    /// Why, for people.
    #[schemars(length(max = 512))]
    pub why: String,
}

/// What was decided about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DecisionWord {
    /// A policy allows it.
    Allowed,
    /// No policy allows it: default deny. It stays pending until a person decides.
    Unmatched,
}
