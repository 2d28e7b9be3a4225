//! `ApprovalDecision`: a person's decision on one private endpoint connection.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::ResourceRef;
use super::condition::Condition;

/// A person's decision on one private endpoint connection, for the policy that asks for it. It cannot change.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "ApprovalDecision",
    plural = "approvaldecisions",
    namespaced,
    shortname = "amlpead",
    category = "aml",
    category = "azure",
    status = "ApprovalDecisionStatus",
    derive = "PartialEq",
    doc = "A person's decision on one private endpoint connection, for the policy that asks for it. It cannot change.",
    selectable = ".spec.policyRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyRef.name"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.privateEndpointId", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a decision cannot change: delete it and create another"),
)]
pub struct ApprovalDecisionSpec {
    /// The policy that is decided for. Creating the decision needs the verb `approve` on it.
    pub policy_ref: PolicyRef,
    /// Name of the connection on the target, as the policy's `status.connections` lists it.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[^/\s]+$"))]
    pub connection_name: String,
    /// Full ARM id of the private endpoint that asks, as the policy's `status.connections` lists it. The decision counts only
    /// while ARM states exactly this endpoint for the connection.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+/providers/[mM]icrosoft[.][nN]etwork/[pP]rivate[eE]ndpoints/[A-Za-z0-9._-]+$')").message("privateEndpointId: must be the full ARM id of a private endpoint, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/hub/providers/Microsoft.Network/privateEndpoints/lake"))]
    pub private_endpoint_id: String,
    /// The resource whose connection it is. Left out: the policy's target. It is needed if the policy's target is a resource
    /// group, since two resources may have connections of the same name; then it must be one that the policy covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ResourceRef>,
    /// What is decided.
    pub decision: Choice,
    /// Who decides: the Kubernetes user name of whoever creates this object, for example `alice@contoso.com`, or
    /// `system:serviceaccount:flux-system:team-fraud` where a GitOps engine applies it.
    #[schemars(length(min = 1, max = 256))]
    pub approver: String,
    /// Whether the approver may edit (update or patch) the policy. It must be true to fact. Where a policy asks for two or more
    /// approvers, only those who may not edit it count.
    pub may_edit_policy: bool,
    /// Why, for whoever reads it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub reason: Option<String>,
}

/// Names a `PrivateEndpointApproval` of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// Name of the PrivateEndpointApproval, in the namespace of this object.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What a person decides. `Approve` lets the connection in, `Reject` turns it away while it is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Choice {
    /// The connection is let in, unless a policy rejects it.
    Approve,
    /// The connection is turned away, whatever any policy allows.
    Reject,
}

/// What the operator reports of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalDecisionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready is True once Azure shows what was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
