//! The switches: durations, manners, and every behaviour of which no source says which of two it is.

use serde::{Deserialize, Serialize};

use crate::clouds::Cloud;

/// What ARM does with a private-endpoint rule when the workspace's identity may not approve on the target.
///
/// Both have been seen: a refusal (2025) and a connection left pending (2024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApproverMissing {
    /// 400 `ValidationError`.
    #[default]
    Refuse,
    /// Accepted; a pending connection stays on the target and the rule is not active until it is approved.
    Pending,
}

/// What a rule map in a PATCH or PUT of a workspace means. No official text says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleMapPatch {
    /// JSON merge-patch: rules that are not named stay, `null` removes.
    #[default]
    Merge,
    /// The map is the whole set of user-defined rules.
    Replace,
}

/// What a write to a workspace does while another operation runs on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrentWrites {
    /// 409 `Conflict`.
    #[default]
    Conflict,
    /// 429 `RetryableErrorDueToAnotherOperation`, as the network provider answers when a target is locked.
    Retry,
    /// Accepted; the operation that ends last writes back the rules it saw when it began, and loses the others.
    LoseRules,
}

/// Whether something is allowed that one source allows and another forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leniency {
    /// Allowed.
    Allow,
    /// 400 `ValidationError`.
    Refuse,
}

/// What an approval does to another one still in progress on the same target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParallelApprovals {
    /// The earlier one is cancelled and its connection stays as it was.
    #[default]
    Supersede,
    /// Both take effect.
    Allow,
}

/// What a SQL server says to a second decision on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondApproval {
    /// 400 `PrivateEndpointConnectionStatusNotPending`, as its specification lists it.
    #[default]
    Refuse,
    /// As every other provider does.
    Accept,
}

/// Whether a rejected connection can be approved after all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectedConnections {
    /// No: the consumer has to ask again, as the transitions in AML's specification have it.
    #[default]
    Final,
    /// Yes, by the same PUT.
    Approvable,
}

/// What a storage account says to a change while another one goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConcurrentAccountWrites {
    /// 409 `StorageAccountOperationInProgress`.
    #[default]
    Refuse,
    /// Accepted: the last one counts.
    Allow,
}

/// What a write to a network resource does while another operation runs on it or on what belongs to it: two subnets of
/// one virtual network, for example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParallelNetworkWrites {
    /// 429 `RetryableError` with the detail `RetryableErrorDueToAnotherOperation`.
    #[default]
    Refuse,
    /// Both take effect.
    Allow,
}

/// What deleting a DNS zone group does to a record that another endpoint's group has written over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZoneGroupRecords {
    /// The record goes, whoever wrote it last: the other endpoint's name is lost (Microsoft's page on private endpoint
    /// DNS warns of it).
    #[default]
    DeletedByName,
    /// A record that another group wrote last stays.
    DeletedByWriter,
}

/// Whether a private endpoint can be made in a subnet of which one source says that it cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubnetUse {
    /// It can.
    #[default]
    Allow,
    /// 400.
    Refuse,
}

/// What Microsoft.Network does with a member of `properties` that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownNetworkProperties {
    /// It is not stored.
    #[default]
    Ignore,
    /// 400 `InvalidRequestFormat`.
    Refuse,
}

/// How long operations take, in simulated seconds; `0` makes the operation synchronous.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct OperationSeconds {
    /// Creating a workspace.
    pub workspace_create: f64,
    /// PUT or PATCH of an existing workspace.
    pub workspace_update: f64,
    /// Deleting a workspace.
    pub workspace_delete: f64,
    /// Building the managed network.
    pub provision: f64,
    /// Added when an operation builds the firewall, which the first FQDN rule does.
    pub firewall: f64,
    /// A rule on a network that is built.
    pub rule: f64,
    /// A rule on a network that is not yet built: it is only stored.
    pub rule_inactive: f64,
    /// Creating, changing, deleting, starting or stopping a compute.
    pub compute: f64,
    /// Diagnosing a workspace.
    pub diagnose: f64,
    /// Creating or changing a private endpoint.
    pub private_endpoint: f64,
    /// Deleting a private endpoint.
    pub private_endpoint_delete: f64,
    /// Creating, changing or deleting any other network resource that takes an operation: virtual networks, subnets,
    /// security groups and rules, route tables and routes, public addresses.
    pub network: f64,
    /// Creating, changing or deleting a DNS zone group of a private endpoint.
    pub zone_group: f64,
    /// Creating, changing or deleting a private DNS zone or a link of one.
    pub private_dns: f64,
    /// Approving or rejecting a connection; the answer comes at once, the state changes when this has passed.
    pub approval: f64,
    /// Deleting a connection, for the providers where that is an operation.
    pub connection_delete: f64,
    /// Creating a storage account.
    pub storage_create: f64,
    /// How long a storage account is busy with a change after that was answered.
    pub storage_update: f64,
    /// Until a new key vault is found in DNS.
    pub vault_create: f64,
    /// Purging a deleted vault.
    pub vault_purge: f64,
    /// Creating, changing or deleting a container registry.
    pub registry: f64,
    /// Creating a log workspace.
    pub log_workspace: f64,
    /// Creating, changing or deleting a SQL server.
    pub sql_server: f64,
    /// Creating, changing or deleting an online endpoint.
    pub online_endpoint: f64,
    /// Creating, changing or deleting a deployment of an online endpoint.
    pub online_deployment: f64,
    /// Creating a Synapse workspace.
    pub synapse_create: f64,
    /// Changing a Synapse workspace.
    pub synapse_update: f64,
    /// Deleting a Synapse workspace.
    pub synapse_delete: f64,
    /// Making a managed private endpoint of a Synapse workspace, up to the connection that it raises on its target.
    pub synapse_endpoint: f64,
    /// Deleting a managed private endpoint of a Synapse workspace.
    pub synapse_endpoint_delete: f64,
    /// Writing or deleting a linked service.
    pub linked_service: f64,
    /// Creating, changing or deleting a Spark pool.
    pub spark_pool: f64,
    /// Deleting a resource group with all that is in it.
    pub group_delete: f64,
    /// Registering a resource provider with a subscription.
    pub provider_registration: f64,
}

impl Default for OperationSeconds {
    fn default() -> Self {
        Self {
            workspace_create: 20.0,
            workspace_update: 10.0,
            workspace_delete: 20.0,
            provision: 1800.0,
            firewall: 600.0,
            rule: 120.0,
            rule_inactive: 5.0,
            compute: 60.0,
            diagnose: 5.0,
            private_endpoint: 15.0,
            private_endpoint_delete: 10.0,
            network: 3.0,
            zone_group: 10.0,
            private_dns: 30.0,
            approval: 0.0,
            connection_delete: 5.0,
            storage_create: 17.0,
            storage_update: 0.0,
            vault_create: 10.0,
            vault_purge: 10.0,
            registry: 10.0,
            log_workspace: 10.0,
            sql_server: 60.0,
            online_endpoint: 90.0,
            online_deployment: 600.0,
            synapse_create: 300.0,
            synapse_update: 15.0,
            synapse_delete: 180.0,
            synapse_endpoint: 60.0,
            synapse_endpoint_delete: 30.0,
            linked_service: 10.0,
            spark_pool: 30.0,
            group_delete: 30.0,
            provider_registration: 30.0,
        }
    }
}

impl OperationSeconds {
    /// Every operation takes `seconds`.
    pub fn all(seconds: f64) -> Self {
        Self {
            workspace_create: seconds,
            workspace_update: seconds,
            workspace_delete: seconds,
            provision: seconds,
            firewall: seconds,
            rule: seconds,
            rule_inactive: seconds,
            compute: seconds,
            diagnose: seconds,
            private_endpoint: seconds,
            private_endpoint_delete: seconds,
            network: seconds,
            zone_group: seconds,
            private_dns: seconds,
            approval: seconds,
            connection_delete: seconds,
            storage_create: seconds,
            storage_update: seconds,
            vault_create: seconds,
            vault_purge: seconds,
            registry: seconds,
            log_workspace: seconds,
            sql_server: seconds,
            online_endpoint: seconds,
            online_deployment: seconds,
            synapse_create: seconds,
            synapse_update: seconds,
            synapse_delete: seconds,
            synapse_endpoint: seconds,
            synapse_endpoint_delete: seconds,
            linked_service: seconds,
            spark_pool: seconds,
            group_delete: seconds,
            provider_registration: seconds,
        }
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bucket {
    /// How many requests fit into a full bucket.
    pub size: f64,
    /// How many come back each simulated second.
    pub refill_per_second: f64,
}

/// ARM's buckets for one principal and one subscription, or for one principal outside any (Microsoft's page on ARM
/// throttling). All principals of a subscription together have fifteen times as much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Buckets {
    /// GET and HEAD.
    pub reads: Bucket,
    /// PUT, PATCH and POST.
    pub writes: Bucket,
    /// DELETE.
    pub deletes: Bucket,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            reads: Bucket { size: 250.0, refill_per_second: 25.0 },
            writes: Bucket { size: 200.0, refill_per_second: 10.0 },
            deletes: Bucket { size: 200.0, refill_per_second: 10.0 },
        }
    }
}

/// All switches. The JSON and YAML form uses camelCase names; what is left out has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Whose names the services have.
    pub cloud: Cloud,
    /// Durations, in simulated seconds.
    pub operation_seconds: OperationSeconds,
    /// `Retry-After` of operation answers, in whole seconds. Without it each provider does as its recordings show.
    pub retry_after_seconds: Option<u32>,
    /// `x-ms-retry-after-ms` of operation answers.
    pub retry_after_ms: Option<u64>,
    /// Leaves `api-version` out of the operation URLs, as AML has been reported to do.
    pub omit_api_version: bool,
    /// Adds the signature parameters of some kilobytes that Azure's operation URLs carry.
    pub signed_operation_urls: bool,
    /// See [`ApproverMissing`].
    pub approver_missing: ApproverMissing,
    /// See [`RuleMapPatch`].
    pub rule_map_patch: RuleMapPatch,
    /// See [`ConcurrentWrites`].
    pub concurrent_writes: ConcurrentWrites,
    /// Whether a managed network may go from `AllowInternetOutbound` to `AllowOnlyApprovedOutbound`.
    pub isolation_tightening: Leniency,
    /// Whether a managed network may go from `AllowInternetOutbound` back to `Disabled`.
    pub isolation_disabling: Leniency,
    /// Whether a managed network may be enabled while the workspace has computes.
    pub isolation_with_computes: Leniency,
    /// See [`ParallelApprovals`].
    pub parallel_approvals: ParallelApprovals,
    /// See [`SecondApproval`].
    pub sql_second_approval: SecondApproval,
    /// See [`RejectedConnections`].
    pub rejected_connections: RejectedConnections,
    /// See [`ConcurrentAccountWrites`].
    pub concurrent_account_writes: ConcurrentAccountWrites,
    /// Namespaces that no subscription is registered to use until it asks for them, in any case.
    pub unregistered_providers: Vec<String>,
    /// See [`ParallelNetworkWrites`].
    pub parallel_network_writes: ParallelNetworkWrites,
    /// See [`ZoneGroupRecords`].
    pub zone_group_records: ZoneGroupRecords,
    /// See [`SubnetUse`]: a subnet whose `privateEndpointNetworkPolicies` are `Enabled`. Microsoft's page on virtual networks
    /// of workspaces wants them off; since security groups work for endpoints they need not be.
    pub endpoint_network_policies: SubnetUse,
    /// See [`SubnetUse`]: a subnet that is delegated. The portal refuses it.
    pub delegated_subnets: SubnetUse,
    /// See [`UnknownNetworkProperties`].
    pub unknown_network_properties: UnknownNetworkProperties,
    /// `customDnsConfigs` of a private endpoint is empty while it has a DNS zone group. No source says.
    pub zone_group_empties_dns_configs: bool,
    /// A workspace deleted without `forceToPurge` keeps its name taken until it is purged, recovered, or its retention
    /// is over.
    pub soft_delete: bool,
    /// Every request is checked against the caller's role assignments.
    pub enforce_rbac: bool,
    /// How long a role assignment exists before it has an effect, in simulated seconds.
    pub role_assignment_delay_seconds: f64,
    /// How long a new managed identity is unknown to role assignments that state no `principalType`.
    pub principal_replication_seconds: f64,
    /// How long a bearer token is good for, in real seconds: clients judge its age by their own clock.
    pub token_lifetime_seconds: u64,
    /// Tokens without a signature are taken at their word: their claims are checked all the same. For clients that
    /// make their own.
    pub unsigned_tokens: bool,
    /// What App Service's form of the metadata service wants to see in `X-IDENTITY-HEADER`.
    pub identity_header: String,
    /// Empties the buckets and answers 429.
    pub throttle: bool,
    /// Sizes of the buckets.
    pub buckets: Buckets,
    /// How many items a list page holds.
    pub page_size: usize,
    /// How long every answer takes, in real milliseconds.
    pub latency_ms: u64,
    /// Simulated seconds for each real one; `0` stops the clock.
    pub clock_speed: f64,
    /// What decides everything random that a client can see: two runs of one story with the same number answer with the
    /// same ids, and with a clock that stands still (`clockSpeed` 0) at the same times. Tokens are
    /// excepted: their age is judged by real clocks, and their signing key is made anew. Left out, every run differs.
    pub random_seed: Option<u64>,
    /// How much memory the request log may take, in megabytes; the oldest requests go first.
    pub log_megabytes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cloud: Cloud::default(),
            operation_seconds: OperationSeconds::default(),
            retry_after_seconds: None,
            retry_after_ms: None,
            omit_api_version: false,
            signed_operation_urls: true,
            approver_missing: ApproverMissing::default(),
            rule_map_patch: RuleMapPatch::default(),
            concurrent_writes: ConcurrentWrites::default(),
            isolation_tightening: Leniency::Allow,
            isolation_disabling: Leniency::Refuse,
            isolation_with_computes: Leniency::Refuse,
            parallel_approvals: ParallelApprovals::default(),
            sql_second_approval: SecondApproval::default(),
            rejected_connections: RejectedConnections::default(),
            concurrent_account_writes: ConcurrentAccountWrites::default(),
            unregistered_providers: Vec::new(),
            parallel_network_writes: ParallelNetworkWrites::default(),
            zone_group_records: ZoneGroupRecords::default(),
            endpoint_network_policies: SubnetUse::default(),
            delegated_subnets: SubnetUse::default(),
            unknown_network_properties: UnknownNetworkProperties::default(),
            zone_group_empties_dns_configs: false,
            // Chosen: soft delete of workspaces is on, which is the harder case for a client that deletes and creates again.
            soft_delete: true,
            enforce_rbac: true,
            role_assignment_delay_seconds: 0.0,
            principal_replication_seconds: 0.0,
            token_lifetime_seconds: 3600,
            unsigned_tokens: false,
            identity_header: "simulated-identity-header".into(),
            throttle: false,
            buckets: Buckets::default(),
            page_size: 100,
            latency_ms: 0,
            clock_speed: 1.0,
            random_seed: None,
            // Chosen: 16 megabytes of requests, some six thousand reads.
            log_megabytes: 16,
        }
    }
}

impl Settings {
    /// Settings for tests: operations take no time, and whatever is made to take some says to poll every few
    /// milliseconds.
    pub fn fast() -> Self {
        Self {
            operation_seconds: OperationSeconds::all(0.0),
            retry_after_ms: Some(5),
            signed_operation_urls: false,
            ..Self::default()
        }
    }
}
