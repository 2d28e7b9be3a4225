//! All that the posture is judged by.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::azure::machine_learning::{OutboundRule, Workspace};

use super::dependency::Dependency;
use super::security_group::SecurityGroup;

/// All that the posture is judged by.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The workspace's ARM id.
    pub id: &'a ArmId,
    /// The workspace as ARM shows it.
    pub workspace: &'a Workspace,
    /// Its outbound rules.
    pub rules: &'a [OutboundRule],
    /// Subscriptions that the AzureConnection calls its own: who asks from there is no stranger.
    pub own_subscriptions: &'a [String],
    /// What the workspace is made of, as far as ARM names it.
    pub dependencies: &'a [Dependency],
    /// The compute that builds images.
    pub build_compute: BuildCompute,
    /// The networks that are attached to it.
    pub networks: &'a [Network],
    /// The roles that its identity holds by which connections are approved. The error says why that is not known.
    pub roles: &'a Result<Vec<HeldRole>, String>,
    /// Its computes.
    pub computes: &'a [ComputeIsolation],
    /// Private endpoints, in lower case, that a policy of this installation approved.
    pub approved_by_policy: &'a BTreeSet<String>,
    /// Private-endpoint rules of other workspaces of this cluster.
    pub rules_of_others: &'a [RuleOfOther],
    /// Whether there are more of those that nobody has looked at since the operator started.
    pub others_unseen: bool,
    /// When the operator first saw each pending connection, by its endpoint in lower case.
    pub first_seen: &'a BTreeMap<String, Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// The compute that builds images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildCompute {
    /// None is named.
    None,
    /// The one that is named is there.
    There,
    /// There is none of that name.
    Missing,
    /// One is named, and the operator could not look.
    Unknown,
}

/// A role by which its holder approves connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// ARM id of the assignment.
    pub id: String,
    /// The role's name.
    pub name: String,
    /// The scope it is on.
    pub scope: String,
    /// This operator assigned it for the time that a rule takes, and takes it back.
    pub temporary: bool,
}

/// Whether a compute is in the workspace's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputeIsolation {
    /// Its name in Azure.
    pub name: String,
    /// `None` if that is not known.
    pub isolated: Option<bool>,
    /// Why.
    pub why: String,
}

/// A private-endpoint rule of another workspace, which accounts for a connection on its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOfOther {
    /// Its name in Azure.
    pub name: String,
    /// ARM id of where it leads.
    pub target: String,
}

/// A network that is attached to the workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Namespace and name of the VnetAttachment.
    pub attachment: String,
    /// ARM id of the network.
    pub id: String,
    /// Why nothing is known of it, if so.
    pub unseen: Option<String>,
    /// Private endpoints in it that lead to the workspace or to what it depends on.
    pub endpoints: Vec<NetworkEndpoint>,
    /// True if DNS servers of its owner answer for it, which the operator cannot ask.
    pub custom_dns: bool,
    /// The attached subnet.
    pub subnet: Option<NetworkSubnet>,
}

/// A private endpoint in an attached network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEndpoint {
    /// Its ARM id.
    pub id: String,
    /// ARM id of where it leads.
    pub target: String,
    /// The sub-resource.
    pub group: String,
    /// Whether its connection is approved.
    pub approved: bool,
    /// What of its names is missing, if anything.
    pub names_missing: Option<String>,
}

/// An attached subnet.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSubnet {
    /// Its ARM id.
    pub id: String,
    /// Its address prefixes.
    pub prefixes: Vec<IpNet>,
    /// Its security group: `None` if it has none. The error says why it could not be read.
    pub security_group: Option<Result<SecurityGroup, String>>,
    /// Services that it reaches by service endpoints.
    pub service_endpoints: Vec<String>,
    /// Whether policies limit what is reached by them.
    pub endpoint_policies: bool,
    /// Nothing but private endpoints lies in it, which need nothing from outside.
    pub endpoints_only: bool,
}

impl Facts<'_> {
    /// True if `subscription` is one of the connection's own.
    pub(super) fn is_own(&self, subscription: &str) -> bool {
        self.own_subscriptions.iter().any(|own| own.eq_ignore_ascii_case(subscription))
    }

    /// True if `endpoint` belongs to an attachment of this workspace.
    pub(super) fn is_attached(&self, endpoint: &str) -> bool {
        let mut all = self.networks.iter().flat_map(|network| &network.endpoints);
        all.any(|known| known.id.eq_ignore_ascii_case(endpoint))
    }

    /// The region of the workspace, in lower case.
    pub(super) fn region(&self) -> String {
        self.workspace.location.as_deref().unwrap_or_default().replace(' ', "").to_ascii_lowercase()
    }
}
