//! How secure a workspace is, with all it depends on: what was looked at, what was found, and what is accepted for a time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the workspace's posture is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Posture {
    /// Flaws that are accepted for a time, each with the reason. Once `expires` has passed the flaw counts again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub waivers: Vec<Waiver>,
}

/// A flaw that is accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// The check, as `status.posture.findings[].check` names it.
    pub check: Check,
    /// The resource, as `status.posture.findings[].resource` names it; left out, every resource that the check finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub resource: Option<String>,
    /// Why it is accepted, for whoever reviews it later.
    #[schemars(length(min = 1, max = 512))]
    pub reason: String,
    /// From this time on the flaw counts again. For example `2027-01-31T00:00:00Z`.
    pub expires: Time,
}

/// Writes the enum of all checks, and the list of them.
macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident,)*) => {
        /// One thing that is looked at. docs/posture.md says what each one looks at and what to do about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Check {
            $($(#[$doc])* $check,)*
        }

        impl Check {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$check),*];

            /// The word in manifests, statuses and metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$check => stringify!($check),)*
                }
            }
        }
    };
}

checks! {
    /// The workspace can be reached from the internet.
    WorkspacePublicAccess,
    /// The storage account can be reached from the internet.
    StoragePublicAccess,
    /// The key vault can be reached from the internet.
    VaultPublicAccess,
    /// The container registry can be reached from the internet.
    RegistryPublicAccess,
    /// Application Insights takes telemetry, or answers queries, from the internet.
    InsightsPublicAccess,
    /// The storage account takes shared keys.
    StorageSharedKeys,
    /// Containers of the storage account can be opened to everybody.
    StorageAnonymousBlobs,
    /// The registry's admin user is on.
    RegistryAdminUser,
    /// The managed network lets out more than what rules allow, or there is none.
    IsolationMode,
    /// The managed network is not built.
    ManagedNetworkInactive,
    /// An outbound rule is inactive or failed.
    RuleNotActive,
    /// An outbound rule leads to every host below a domain.
    RuleWildcardFqdn,
    /// An outbound rule leads to a service tag that stands for other customers' resources too.
    RuleBroadServiceTag,
    /// Images cannot be built, since the registry is restricted and no compute builds them.
    ImageBuildsCannotWork,
    /// A stranger's private endpoint is approved.
    ConnectionStrangerApproved,
    /// A stranger's private endpoint asks to be approved.
    ConnectionStrangerPending,
    /// A private endpoint has been waiting for its approval for more than a week.
    ConnectionPendingTooLong,
    /// A resource is reached by a service endpoint and by a private endpoint.
    ServiceAndPrivateEndpoint,
    /// No network holds private endpoints of the workspace and of its storage account.
    NoLineOfSight,
    /// Host names do not lead to their private endpoint in an attached network.
    DnsIncomplete,
    /// The security group of an attached subnet lacks outbound rules that the workspace needs.
    SecurityGroupLacksRules,
    /// An attached subnet reaches every storage account.
    StorageWithoutEndpointPolicy,
    /// The workspace's identity may approve connections on more than one resource.
    ApproverRoleTooWide,
    /// The workspace's identity may approve connections for ever.
    ApproverRoleStanding,
    /// A compute is outside of the workspace's network.
    ComputeNotIsolated,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FindingState {
    /// The flaw is there.
    Fail,
    /// Azure does not say, or the operator may not read it.
    Unknown,
    /// The flaw is there, and a waiver accepts it.
    Waived,
    /// The flaw is not there.
    Pass,
}

impl FindingState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Unknown, Self::Waived, Self::Pass];

    /// The word in statuses and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Unknown => "Unknown",
            Self::Waived => "Waived",
            Self::Pass => "Pass",
        }
    }
}

/// How bad a flaw is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// Strangers may be in.
    Critical,
    /// One more mistake lets strangers in, or data out.
    High,
    /// A line of defence is missing.
    Medium,
    /// Something does not work, or is more than it need be.
    Low,
}

impl Severity {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
        }
    }
}

/// What the posture came to: counts of all checks, and those that somebody should look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostureStatus {
    /// How many flaws there are.
    pub failed: i64,
    /// How many things could not be told.
    pub unknown: i64,
    /// How many flaws are accepted by waivers.
    pub waived: i64,
    /// How many things are as they should be.
    pub passed: i64,
    /// Flaws, and what could not be told, the worst first; at most 64 are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["check".into(), "resource".into()]))]
    pub findings: Vec<Finding>,
}

/// One thing that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check.
    #[schemars(length(max = 64))]
    pub check: String,
    /// ARM id of what has the flaw.
    #[schemars(length(max = 1024))]
    pub resource: String,
    /// `Fail`, `Unknown` or `Waived`.
    #[schemars(length(max = 16))]
    pub state: String,
    /// `Critical`, `High`, `Medium` or `Low`.
    #[schemars(length(max = 16))]
    pub severity: String,
    /// What was seen; shortened when long.
    #[schemars(length(max = 512))]
    pub evidence: String,
    /// What to do about it: the field that mends it, or the command.
    #[schemars(length(max = 1024))]
    pub fix: String,
    /// What the check is called elsewhere.
    #[serde(default, skip_serializing_if = "Mappings::is_empty")]
    pub mappings: Mappings,
    /// Since when it is so, RFC 3339.
    #[schemars(length(max = 64))]
    pub since: String,
}

/// What a check is called elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mappings {
    /// Name of the built-in Azure Policy definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub azure_policy: Option<String>,
    /// Control of the Microsoft cloud security benchmark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mcsb: Option<String>,
    /// Rule of PSRule for Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub ps_rule: Option<String>,
    /// Check of Checkov.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub checkov: Option<String>,
}

impl Mappings {
    /// True if it is called nothing elsewhere.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
