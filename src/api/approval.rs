//! `PrivateEndpointApproval`: which private endpoint connections on a target are approved.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::common::{Acknowledgement, ConnectionRef, ObjectRef, words_of_fields};
use super::condition::Condition;
use super::expression::Expression;

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
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.target.resourceGroupId", priority = "1"),
    printcolumn(name = "Targets", type_ = "integer", json_path = ".status.targets", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = words_of_fields)]
#[x_kube(
    validation = Rule::new("self.target == oldSelf.target").message("target cannot change: delete this policy and create another"),
)]
pub struct PrivateEndpointApprovalSpec {
    /// The connection to Azure. A grant must give this namespace the verb `approve` on the target.
    pub connection_ref: ConnectionRef,
    /// Whose connections are decided on: one resource, or all resources of a type in a resource group. Cannot change.
    pub target: Target,
    /// Who is approved. A connection is approved if all that at least one entry states holds and no policy on the target rejects
    /// or holds it; without an entry nothing is approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allow: Vec<AllowEntry>,
    /// Who is rejected while pending, whatever any policy on the target allows. What Azure does not state (the sub-resource of
    /// most types) counts as holding here. Who is approved already stays so, unless the entry's `appliesTo` says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub reject: Vec<DenyEntry>,
    /// Who stays pending until a person decides, whatever any policy on the target allows. What Azure does not state counts as
    /// holding here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic, validation = Rule::new("self.all(entry, !has(entry.appliesTo))").message("hold: appliesTo is for reject only, since what is approved cannot be held"))]
    pub hold: Vec<DenyEntry>,
    /// How many connections this policy may let in; what is beyond stays pending until a person decides. Left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How many people must have decided `Approve` (an ApprovalDecision for this policy) before a connection that it allows is
    /// approved; with two or more, only those who may not edit the policy count. Left out: none for what an entry allows, and one
    /// for what is held, over a limit or allowed by no entry. Any one `Reject` rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5), extend("format" = "int32"))]
    pub require_approvers: Option<u8>,
    /// From this time on the policy approves nothing new; what it rejects and holds, it goes on rejecting and holding. What it
    /// approved stays approved, unless `onExpiry` says otherwise. For example `2027-01-31T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// What becomes of the connections that this policy approved once `expiresAt` has passed. `Keep` (default): they stay approved.
    /// `Withdraw`: after `gracePeriod` those that are still approved for the same endpoint and that no other policy in force
    /// allows are withdrawn, one at a time. What others approved always stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<Aftermath>,
    /// What becomes of the connections that this policy approved once this object is deleted. `Keep` (default): they stay approved.
    /// `Withdraw`: as for `onExpiry`, and this object stays until it is done. With its namespace, its kind or the ledger gone, they
    /// stay approved all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<Aftermath>,
    /// How long after the deletion or `expiresAt` a withdrawal begins, for example `30m`, `1h30m` or `0s`. Default: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$')").message("gracePeriod: must be hours, minutes and seconds, for example 1h, 1h30m or 0s"))]
    pub grace_period: Option<String>,
    /// What becomes of a connection that this policy approved and whose requesting endpoint, which the operator can read, still
    /// waits two minutes later. `Alarm` (default): an event, and the condition ConnectionsDoubtful. `Withdraw`: it is withdrawn as
    /// well. An endpoint that leads to another target, or was turned away by its own side, always loses its connection; one that
    /// the operator cannot read is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unproven: Option<OnUnproven>,
    /// Your word for each approved connection that is cut off, as the condition asks for it: door `RejectApproved`, and as value the
    /// id of the endpoint that loses its connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub acknowledge: Vec<Acknowledgement>,
    /// `Enforce` (default) approves and rejects. `DryRun` decides and reports, and neither approves nor rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Neither approves nor rejects anything new while true.
    #[serde(default)]
    pub suspend: bool,
}

/// The resources whose connections a policy decides on: `resourceId`, or `resourceGroupId` with `resourceType`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.resourceId) != (has(self.resourceGroupId) || has(self.resourceType))").message("target: give resourceId, or resourceGroupId with resourceType"),
    validation = Rule::new("has(self.resourceGroupId) == has(self.resourceType)").message("target: resourceGroupId and resourceType need each other"),
    validation = Rule::new("!has(self.resourceId) || (self.resourceId.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+/providers/[A-Za-z0-9.]+(/[A-Za-z0-9]+/[A-Za-z0-9._()-]+)+$') && !self.resourceId.matches('/[.]+(/|$)'))").message("target.resourceId: must be a full ARM id, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake"),
    validation = Rule::new("!has(self.resourceGroupId) || (self.resourceGroupId.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+$') && !self.resourceGroupId.matches('/[.]+$'))").message("target.resourceGroupId: must be the full ARM id of a resource group, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/data-rg"),
)]
pub struct Target {
    /// Full ARM id of one resource, for example
    /// `/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: Option<String>,
    /// Full ARM id of a resource group, for example
    /// `/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/data-rg`. The policy decides on each resource of
    /// `resourceType` in it for itself, also on those created later. At most 100; more are named in the condition Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub resource_group_id: Option<String>,
    /// Type of the resources in `resourceGroupId`, for example `Microsoft.Storage/storageAccounts`. Those that no grant lets
    /// this namespace `approve` on are skipped; the condition TargetsSkipped names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 128), regex(pattern = r"^[A-Za-z0-9.]+/[A-Za-z0-9]+$"))]
    pub resource_type: Option<String>,
}

/// Whether a policy acts. `Enforce` (default) approves and rejects; `DryRun` decides and reports only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Approves and rejects.
    #[default]
    Enforce,
    /// Decides and reports; neither approves nor rejects.
    DryRun,
}

/// What becomes of what a policy approved once the policy ends: `Keep` (default) leaves it approved, `Withdraw` takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Aftermath {
    /// It stays approved.
    #[default]
    Keep,
    /// It is taken back after the grace period.
    Withdraw,
}

/// What becomes of an approved connection whose requesting endpoint stays silent: `Alarm` (default) says so, `Withdraw` takes the
/// approval back as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnproven {
    /// It stays approved, and people are told.
    #[default]
    Alarm,
    /// It is taken back.
    Withdraw,
}

/// What the requesting endpoint says of an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RequesterSide {
    /// Not known yet: it was not read, or still waits.
    #[default]
    Waiting,
    /// It leads to the target and is approved.
    Confirmed,
    /// It cannot be read, or does not name its target by id.
    Unprovable,
    /// It leads to the target and still waits, two minutes after the approval.
    Silent,
    /// It leads elsewhere, or is not approved although the target says so.
    Contradicted,
}

/// How many connections a policy may let in. Those that are approved already count, whoever approved them, if the policy allows
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.total) || has(self.perSubscription)").message("limits: give total, perSubscription or both"),
)]
pub struct Limits {
    /// On each target, in total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("format" = "int32"))]
    pub total: Option<u16>,
    /// On each target, from any one subscription of requesting endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), extend("format" = "int32"))]
    pub per_subscription: Option<u16>,
}

/// One way to be approved. All that is stated must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.privateEndpoint), has(self.workspaceRef), has(self.vnetAttachmentRef), has(self.synapseLinkRef)].filter(x, x).size() == 1").message("allow: each entry gives one of privateEndpoint, synapseLinkRef, vnetAttachmentRef, workspaceRef"),
    validation = Rule::new("!has(self.privateEndpoint) || has(self.privateEndpoint.id) || has(self.privateEndpoint.subscriptionId)").message("privateEndpoint: an entry that allows must say whom: give id, or subscriptionId"),
    validation = Rule::new("!has(self.workspaceRef) || !has(self.subResources)").message("workspaceRef: gives a workspace leave to approve its own connections, whatever they are for; leave subResources out"),
    validation = Rule::new("!has(self.workspaceRef) || !has(self.expression)").message("workspaceRef: gives a workspace leave, of which an expression has nothing to say; leave expression out"),
)]
pub struct AllowEntry {
    /// A name by which people recognise the entry in status, events and the audit log, for example `hub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"))]
    pub name: Option<String>,
    /// The private endpoint that asks, by what ARM itself states of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_endpoint: Option<EndpointMatch>,
    /// The AmlWorkspace (namespace left out: this one) whose outbound rules with `approverRole: Temporary | Standing` may have the
    /// approver role assigned on this target, so that the workspace approves the connection that it raised itself. Such an entry
    /// never approves a pending connection: which workspace a managed network's connection comes from, Azure does not state. No
    /// policy on the target may reject or hold that connection; since its endpoint's id is not known before it is there, an entry
    /// for a subscription that is not an own one may mean it. A policy with `requireApprovers` gives no such leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_ref: Option<ObjectRef>,
    /// The VnetAttachment (namespace left out: this one) whose private endpoints to this target are meant: by their full ids, which follow
    /// from the attachment, so that no other endpoint can pass for one. It must use the same AzureConnection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnet_attachment_ref: Option<ObjectRef>,
    /// The SynapseLink (namespace left out: this one) whose managed private endpoint to this target is meant. Such endpoints lie in
    /// Microsoft's subscriptions under names of the requester's choice, so it is made sure first which connection is the link's: by a name
    /// that nobody could know, by Synapse's own word, and by two lists of this target that show one such connection and no other. It must
    /// use the same AzureConnection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synapse_link_ref: Option<ObjectRef>,
    /// The connection must be for these sub-resources and no others, for example `blob`. Most types of target do not state it
    /// (Storage and Key Vault among them): there an entry with this field never holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub sub_resources: Vec<String>,
    /// A condition on top, in a part of the Common Expression Language (CEL); it can only narrow what the other fields allow. For
    /// example `endpoint.name.startsWith('lake-') && !(endpoint.resourceGroup in ['lab', 'sandbox'])`. It may ask for `endpoint.id`,
    /// `endpoint.subscriptionId`, `endpoint.resourceGroup`, `endpoint.name`, `endpoint.ownSubscription` and
    /// `connection.subResources`, all in lower case, with `==`, `!=`, `in`, `!`, `&&`, `||`, `startsWith`, `endsWith` and `contains`.
    /// What asks for something that Azure does not state does not hold. While one cannot be read, no entry of this policy allows anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<Expression>,
}

/// One way to be rejected or held. All that is stated must hold, or not be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.privateEndpoint) || (has(self.subResources) && size(self.subResources) > 0)").message("give privateEndpoint, subResources or both"),
    validation = Rule::new("!has(self.appliesTo) || 'Pending' in self.appliesTo").message("appliesTo: must hold Pending, since who may not stay must not get in"),
)]
pub struct DenyEntry {
    /// A name by which people recognise the entry in status, events and the audit log, for example `hub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"))]
    pub name: Option<String>,
    /// The private endpoint that asks, by what ARM itself states of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_endpoint: Option<EndpointMatch>,
    /// The connection is for at least one of these sub-resources, or Azure does not say for which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub sub_resources: Vec<String>,
    /// With `Approved` beside `Pending`, in `reject` only: connections that are approved already are cut off too, whoever approved
    /// them, each once it is acknowledged (`spec.acknowledge`, door `RejectApproved`). Here what Azure does not state does not hold.
    /// Left out: only pending ones are rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub applies_to: Vec<Phase>,
}

impl DenyEntry {
    /// True if it also rejects what is approved already.
    pub fn applies_to_approved(&self) -> bool {
        self.applies_to.contains(&Phase::Approved)
    }
}

/// What a `reject` entry applies to: `Pending` requests, and with `Approved` also connections that are approved already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Requests that wait for a decision.
    Pending,
    /// Connections that are approved already.
    Approved,
}

/// A private endpoint, by what ARM itself states of it. All that is stated must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.id) || has(self.subscriptionId) || has(self.ownSubscription)").message("privateEndpoint: give id, subscriptionId or ownSubscription"),
    validation = Rule::new("!has(self.id) || !(has(self.subscriptionId) || has(self.ownSubscription) || has(self.resourceGroup) || has(self.name) || has(self.namePattern))").message("privateEndpoint: an id says it all; give nothing beside it"),
    validation = Rule::new("!(has(self.name) && has(self.namePattern))").message("privateEndpoint: give name or namePattern, not both"),
    validation = Rule::new("!(has(self.name) || has(self.namePattern)) || has(self.resourceGroup)").message("privateEndpoint.resourceGroup: needed with a name, since endpoint names are unique within a group only"),
    validation = Rule::new("!has(self.resourceGroup) || has(self.subscriptionId)").message("privateEndpoint.subscriptionId: needed with a resource group, since group names are unique within a subscription only"),
)]
pub struct EndpointMatch {
    /// The endpoint's full ARM id, for example
    /// /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub/providers/Microsoft.Network/privateEndpoints/lake.
    /// It may lie in any subscription: who owns that subscription decides what carries the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+/providers/[mM]icrosoft[.][nN]etwork/[pP]rivate[eE]ndpoints/[A-Za-z0-9._-]+$')").message("privateEndpoint.id: must be the full ARM id of a private endpoint, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub/providers/Microsoft.Network/privateEndpoints/lake"))]
    pub id: Option<String>,
    /// Whether the endpoint lies in one of the connection's `ownSubscriptions`: `false` means everybody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_subscription: Option<bool>,
    /// Subscription of the endpoint; it must be among the connection's `ownSubscriptions`, else an entry that allows never holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$')").message("privateEndpoint.subscriptionId: must be the GUID of the subscription, for example 00000000-0000-0000-0000-000000000001"))]
    pub subscription_id: Option<String>,
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
    /// Ready is True while the policy is in force; ConnectionsPending says whether any connection waits for a person,
    /// ConnectionsDoubtful whether one is approved that should not be; TargetsSkipped is there while no grant covers some resources of
    /// the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How many resources the policy decides on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<i64>,
    /// Connections on all targets that are approved and that this policy allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<i64>,
    /// Connections on all targets that are pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<i64>,
    /// Pending ones that no policy allows or rejects, that one holds, that are over a limit or that lack approvers: a person has to
    /// look at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<i64>,
    /// The connections that matter to this policy: first those for a person (what waits for one, and what somebody else approved
    /// although no policy allows it), then what else waits, then what this policy allowed, approved or rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["target".into(), "name".into()]))]
    pub connections: Vec<ConnectionReport>,
    /// How many more there are than the list holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_connections: Option<i64>,
}

/// One private endpoint connection, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    /// ARM id of the target.
    #[schemars(length(min = 1, max = 1024))]
    pub target: String,
    /// Name of the connection on the target.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// ARM id of the endpoint that asks, as ARM states it.
    #[schemars(length(max = 1024))]
    pub private_endpoint: String,
    /// State as ARM shows it: `Pending`, `Approved`, `Rejected`, `Disconnected`.
    #[schemars(length(max = 64))]
    pub state: String,
    /// The sub-resources it is for, or `not stated` where ARM does not say.
    #[schemars(length(max = 256))]
    pub sub_resources: String,
    /// What was decided: `Rejected` beats `Held` beats `Allowed`, over all policies on the target. `ApproversMissing` and
    /// `OverLimit` are allowed by a policy and wait for people; `Unmatched` is named by none, and waits too.
    pub decision: DecisionWord,
    /// What decided so: an entry, for example `platform/lake allow[0] "hub"`, or people's decisions. Left out if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub rule: Option<String>,
    /// Why it was decided so, and what Azure said to it if it refused.
    #[schemars(length(max = 512))]
    pub why: String,
    /// When this operator first saw it, RFC 3339.
    #[schemars(length(max = 64))]
    pub first_seen: String,
    /// Who approved it, if it is approved: the people who decided so, else a policy (`namespace/name`), or `somebody else`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 160))]
    pub approved_by: Option<String>,
    /// When this operator approved it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub approved_at: Option<String>,
    /// What the requesting endpoint itself shows, if this operator approved the connection: `Confirmed`, `Waiting`, `Silent` (still
    /// waiting after two minutes), `Contradicted` (it leads elsewhere or is not approved, so the approval is taken back) or
    /// `Unprovable` (the operator may not read it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<RequesterSide>,
}

/// What was decided about a connection: `Rejected` beats `Held` beats `Allowed`, over all policies on the target; `Unmatched` is
/// what no entry names. A person's decision counts as its policy's: it rejects, or lets in what is held, over a limit or unmatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DecisionWord {
    /// A policy or a person rejects it, whatever others allow.
    Rejected,
    /// A policy holds it for a person, whatever others allow.
    Held,
    /// A policy allows it or people approve it, and none rejects or holds it.
    Allowed,
    /// A policy allows it, once more people have approved it.
    ApproversMissing,
    /// A policy allows it, but every policy that does has let in as many as it may.
    OverLimit,
    /// No policy allows it: default deny. It stays pending until a person decides.
    Unmatched,
}
