//! `OutboundRule`: one destination that a workspace may reach.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{Adoption, DeletionPolicy, Drift, ManagementPolicy, MissingRole, ObjectRef};
use super::condition::Condition;

/// One destination that a workspace may reach: exactly one of `fqdn`, `privateEndpoint`, `serviceTag`.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aml-operator.io",
    version = "v1alpha1",
    kind = "OutboundRule",
    plural = "outboundrules",
    namespaced,
    shortname = "amlor",
    category = "aml",
    category = "azure",
    status = "OutboundRuleStatus",
    derive = "PartialEq",
    doc = "One destination that a workspace may reach: exactly one of fqdn, privateEndpoint, serviceTag.",
    selectable = ".spec.workspaceRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Type", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "Destination", type_ = "string", json_path = ".status.destination"),
    printcolumn(name = "Workspace", type_ = "string", json_path = ".spec.workspaceRef.name", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: at most 63 characters, so that it fits into owner tags"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.fqdn), has(self.privateEndpoint), has(self.serviceTag)].filter(x, x).size() == 1").message("a rule has exactly one destination: give one of fqdn, privateEndpoint, serviceTag. Write one OutboundRule for each destination"),
    validation = Rule::new("has(self.fqdn) == has(oldSelf.fqdn) && has(self.privateEndpoint) == has(oldSelf.privateEndpoint) && has(self.serviceTag) == has(oldSelf.serviceTag)").message("the kind of destination cannot change: delete this rule and create another"),
    validation = Rule::new("self.workspaceRef == oldSelf.workspaceRef").message("workspaceRef cannot change: delete this rule and create another"),
    validation = Rule::new("has(self.azureName) == has(oldSelf.azureName) && (!has(self.azureName) || self.azureName == oldSelf.azureName)").message("azureName cannot change: delete this rule and create another"),
    validation = Rule::new("!has(self.azureName) || (has(self.adoption) && self.adoption != 'Never')").message("azureName: a rule carries no owner tag, so naming it yourself is a claim; set adoption: IfMatching or Always too"),
)]
pub struct OutboundRuleSpec {
    /// The workspace. In another namespace it must admit this one in `spec.allowedRules`. Cannot change.
    pub workspace_ref: ObjectRef,
    /// Name of the rule in Azure; left out, one is derived that is unique to this object. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$')").message("azureName: a rule's name in Azure takes 3 to 33 letters, digits, - and _, and starts with a letter or digit"))]
    pub azure_name: Option<String>,
    /// A host name, reached on ports 80 and 443; `*.` in front covers everything below. Only with the isolation mode
    /// `AllowOnlyApprovedOutbound`, and not for Azure Storage, which is reached through a private endpoint. The first FQDN rule of a workspace starts an Azure Firewall, which costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(
        validation = Rule::new("!self.contains('://')").message("fqdn: a host name without a scheme, for example pytorch.org"),
        validation = Rule::new("self.contains('://') || !self.contains('/')").message("fqdn: a host name without a path, for example pytorch.org"),
        validation = Rule::new("self.contains('://') || !self.contains(':')").message("fqdn: a host name without a port; Azure opens 80 and 443"),
        validation = Rule::new("!self.contains('*') || self.matches('^[*][.][^*]+$')").message("fqdn: a wildcard stands only as the whole first label, for example *.pytorch.org"),
        validation = Rule::new("self.contains('/') || self.contains(':') || self.contains('*') && !self.matches('^[*][.][^*]+$') || self.matches('^([*][.])?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?[.])+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$')").message("fqdn: must be one host name such as pytorch.org or *.pytorch.org; write one OutboundRule for each host"),
    )]
    pub fqdn: Option<String>,
    /// An Azure resource, reached through a private endpoint inside the managed network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_endpoint: Option<PrivateEndpointDestination>,
    /// A set of addresses that Microsoft keeps under a name. Only with `AllowOnlyApprovedOutbound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tag: Option<ServiceTagDestination>,
    /// `Observe` reads and reports only; `Manage`, the default, keeps the rule in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,
    /// What deleting this object does in Azure; `Delete`, the default, removes the rule, `Retain` leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What to do if Azure already has a rule under `azureName`; default `Never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Leaves the rule in Azure as it is; deletion still works.
    #[serde(default)]
    pub suspend: bool,
}

/// An Azure resource reached through a private endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.resourceId.matches('^/[sS]ubscriptions/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/[rR]esource[gG]roups/[A-Za-z0-9._()-]+/providers/[A-Za-z0-9.]+(/[A-Za-z0-9]+/[A-Za-z0-9._()-]+)+$') && !self.resourceId.matches('/[.]+(/|$)')").message("privateEndpoint.resourceId: must be a full ARM id, for example /subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake"))]
pub struct PrivateEndpointDestination {
    /// Full ARM id of the resource. It must lie in the same tenant, and a grant must allow this namespace to `reach` it.
    #[schemars(length(min = 1, max = 1024))]
    pub resource_id: String,
    /// Which part of it, in Azure's words: `blob`, `dfs`, `file`, `queue`, `table`, `vault`, `registry`, `sqlServer`, …; of an
    /// Application Gateway, the name of its frontend.
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_])?$"))]
    pub subresource: String,
    /// Whether serverless Spark reaches it too; the network must be provisioned with `includeSpark`.
    #[serde(default)]
    pub spark_enabled: bool,
    /// Host names, of your own domains, that lead to an Application Gateway behind the private endpoint; for other resources leave
    /// them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(
            length(min = 1, max = 253),
            regex(
                pattern = r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?[.])+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$"
            )
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub fqdns: Vec<String>,
    /// What to do when the workspace's identity may not approve the connection on the target. `Report`, the default, says
    /// which role is missing where, and the command that grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_role: Option<ApproverRole>,
}

/// What to do when the workspace's identity may not approve its own connection on the target. `Report` (default) says which
/// role is missing where, and the command that grants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApproverRole {
    /// Say what is missing, and wait.
    #[default]
    Report,
}

/// A service tag, with protocol and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTagDestination {
    /// The service tag, for example `AzureMonitor` or `Storage.WestEurope`.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z][A-Za-z0-9.]*$"))]
    pub tag: String,
    /// The protocol.
    pub protocol: Protocol,
    /// Ports and ranges, separated by commas, for example `443` or `80, 8080-8089`; `*` for all.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new("self.matches('^([*]|([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(-([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?( *, *([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(-([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)*)$')").message("serviceTag.portRanges: ports up to 65535 and ranges of them, separated by commas, for example 443 or 80, 8080-8089; * for all"),
        validation = Rule::new("self.replace(' ', '').split(',').all(range, !range.matches('^[0-9]{1,5}-[0-9]{1,5}$') || int(range.split('-')[0]) <= int(range.split('-')[1]))").message("serviceTag.portRanges: a range begins with its lower port, for example 8080-8089"),
    )]
    pub port_ranges: String,
    /// Whether the traffic is allowed; left out, `Allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<TrafficAction>,
    /// Address prefixes (CIDR) instead of the tag's own. Azure then ignores the tag, so the grant must allow these addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64), regex(pattern = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub address_prefixes: Vec<String>,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// TCP.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// ICMP.
    #[serde(rename = "ICMP")]
    Icmp,
    /// All.
    #[serde(rename = "*")]
    Any,
}

impl Protocol {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Icmp => "ICMP",
            Self::Any => "*",
        }
    }
}

/// Whether the traffic is allowed: `Allow` (default) or `Deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficAction {
    /// It is.
    Allow,
    /// It is not.
    Deny,
}

impl TrafficAction {
    /// The word ARM uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// What the operator reports of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboundRuleStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last value of the annotation `aml-operator.io/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready is True once the rule is active in Azure, or defined there and waiting for the network to be built.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Name of the rule in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub azure_name: Option<String>,
    /// `FQDN`, `PrivateEndpoint` or `ServiceTag`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub type_: Option<String>,
    /// The destination in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub destination: Option<String>,
    /// State of the rule as ARM shows it: `Inactive`, `Provisioning`, `Active`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub service_status: Option<String>,
    /// The role that the workspace's identity lacks on the target, with the command that grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_role: Option<MissingRole>,
    /// Times the rule was found changed or lost in Azure, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub drift: Vec<Drift>,
}
