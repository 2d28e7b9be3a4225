//! A workspace as it should be, to be spoilt by tests.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::ids::ArmId;
use crate::api::workspace::{Check, FindingState};
use crate::azure::machine_learning::{OutboundRule, Workspace};

use super::{
    BuildCompute, ComputeIsolation, Dependency, DependencyKind, Facts, HeldRole, Network, NetworkEndpoint,
    NetworkSubnet, RuleOfOther, SecurityGroup, Shown, Sight, judge,
};

pub(super) const OWN: &str = "00000000-0000-0000-0000-000000000001";
pub(super) const MICROSOFT: &str = "77777777-0000-0000-0000-000000000007";
pub(super) const STRANGER: &str = "66666666-0000-0000-0000-000000000666";

pub(super) fn id(type_: &str, name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/rg/providers/{type_}/{name}")
}

pub(super) fn endpoint(subscription: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/net/providers/Microsoft.Network/privateEndpoints/{name}")
}

pub(super) fn connection(endpoint: &str, state: &str) -> Value {
    json!({"id": format!("/c/{}", endpoint.rsplit('/').next().unwrap_or_default()), "name": "c", "properties": {
        "privateEndpoint": {"id": endpoint}, "privateLinkServiceConnectionState": {"status": state}}})
}

pub(super) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// All that is judged, as documents of ARM's where it is one.
pub(super) struct Scene {
    pub(super) workspace: Value,
    pub(super) rules: Vec<Value>,
    /// Storage, vault, registry, insights; `None` cannot be read.
    pub(super) resources: BTreeMap<DependencyKind, Option<Value>>,
    pub(super) build_compute: BuildCompute,
    pub(super) networks: Vec<Network>,
    pub(super) roles: Result<Vec<HeldRole>, String>,
    pub(super) computes: Vec<ComputeIsolation>,
    pub(super) approved_by_policy: BTreeSet<String>,
    pub(super) rules_of_others: Vec<RuleOfOther>,
    pub(super) others_unseen: bool,
    pub(super) first_seen: BTreeMap<String, Timestamp>,
}

pub(super) fn workspace_id() -> String {
    id("Microsoft.MachineLearningServices/workspaces", "fraud")
}

pub(super) fn id_of(kind: DependencyKind) -> String {
    match kind {
        DependencyKind::Storage => id("Microsoft.Storage/storageAccounts", "data"),
        DependencyKind::Vault => id("Microsoft.KeyVault/vaults", "keys"),
        DependencyKind::Registry => id("Microsoft.ContainerRegistry/registries", "images"),
        DependencyKind::Insights => id("Microsoft.Insights/components", "insights"),
    }
}

pub(super) fn pe_rule(name: &str, target: &str, status: &str, category: &str) -> Value {
    json!({"name": name, "properties": {"type": "PrivateEndpoint", "category": category, "status": status,
        "destination": {"serviceResourceId": target, "subresourceTarget": "blob", "sparkEnabled": false}}})
}

/// A subnet whose security group lets out what is needed, and of storage only the team's own.
pub(super) fn subnet() -> NetworkSubnet {
    let tags = [
        ("AzureActiveDirectory", "Tcp"),
        ("AzureMachineLearning", "*"),
        ("BatchNodeManagement.westeurope", "*"),
        ("AzureResourceManager", "Tcp"),
        ("Storage.westeurope", "Tcp"),
        ("AzureFrontDoor.FrontEnd", "Tcp"),
        ("AzureFrontDoor.FirstParty", "Tcp"),
        ("MicrosoftContainerRegistry.westeurope", "Tcp"),
        ("Internet", "*"),
    ];
    let rules = tags.iter().enumerate().map(|(index, (tag, protocol))| {
        json!({"properties": {"priority": index, "direction": "Outbound", "access": if *tag == "Internet" { "Deny" } else { "Allow" },
            "protocol": protocol, "sourceAddressPrefix": "*", "destinationAddressPrefix": tag, "destinationPortRange": "*"}})
    });
    let group = json!({"id": id("Microsoft.Network/networkSecurityGroups", "nsg"), "properties": {"securityRules": rules.collect::<Vec<_>>()}});
    NetworkSubnet {
        id: format!("{}/subnets/clients", id("Microsoft.Network/virtualNetworks", "hub")),
        prefixes: vec!["10.1.1.0/24".parse().unwrap()],
        security_group: Some(Ok(SecurityGroup::read(&group))),
        service_endpoints: vec!["Microsoft.Storage".into()],
        endpoint_policies: true,
        endpoints_only: false,
    }
}

fn network(name: &str, targets: &[(String, &str)]) -> Network {
    let endpoint = |(target, group): &(String, &str)| NetworkEndpoint {
        id: endpoint(OWN, &format!("{name}-{group}")),
        target: target.clone(),
        group: (*group).to_owned(),
        approved: true,
        names_missing: None,
    };
    Network {
        attachment: format!("team/{name}"),
        id: id("Microsoft.Network/virtualNetworks", name),
        endpoints: targets.iter().map(endpoint).collect(),
        ..Network::default()
    }
}

impl Scene {
    /// Nothing is wrong with it.
    pub(super) fn clean() -> Self {
        let storage = id_of(DependencyKind::Storage);
        let own = |name: &str| connection(&endpoint(OWN, name), "Approved");
        let managed = |name: &str| connection(&endpoint(MICROSOFT, name), "Approved");
        let closed = |more: Value, connections: Vec<Value>| {
            let mut properties = json!({"publicNetworkAccess": "Disabled", "privateEndpointConnections": connections});
            properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Some(json!({ "properties": properties }))
        };
        let acls = json!({"defaultAction": "Deny", "ipRules": [], "virtualNetworkRules": []});
        let mut hub =
            network("hub", &[(workspace_id(), "amlworkspace"), (storage.clone(), "blob"), (storage.clone(), "file")]);
        hub.subnet = Some(subnet());
        Self {
            workspace: json!({"location": "westeurope", "identity": {"type": "SystemAssigned", "principalId": "p"}, "properties": {
                "workspaceId": "w", "publicNetworkAccess": "Disabled", "imageBuildCompute": "builder",
                "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "status": {"status": "Active"}},
                "privateEndpointConnections": [own("hub-amlworkspace"), managed("__SYS_PE_fraud_amlworkspace_1")],
            }}),
            rules: vec![
                pe_rule("__SYS_PE_data_blob_1", &storage, "Active", "Required"),
                pe_rule("__SYS_PE_fraud_amlworkspace_1", &workspace_id(), "Active", "Required"),
                json!({"name": "__SYS_ST_AzureFrontDoor", "properties": {"type": "ServiceTag", "category": "Required", "status": "Active",
                    "destination": {"serviceTag": "AzureFrontDoor.FirstParty", "protocol": "*", "portRanges": "*", "action": "Allow"}}}),
                json!({"name": "pypi", "properties": {"type": "FQDN", "category": "UserDefined", "status": "Active", "destination": "pypi.org"}}),
                json!({"name": "monitor", "properties": {"type": "ServiceTag", "category": "UserDefined", "status": "Active",
                    "destination": {"serviceTag": "AzureMonitor", "protocol": "TCP", "portRanges": "443", "action": "Allow"}}}),
            ],
            resources: [
                (
                    DependencyKind::Storage,
                    closed(
                        json!({"allowSharedKeyAccess": false, "allowBlobPublicAccess": false, "networkAcls": acls}),
                        vec![own("hub-blob"), own("hub-file"), managed("__SYS_PE_data_blob_1")],
                    ),
                ),
                (DependencyKind::Vault, closed(json!({ "networkAcls": acls }), Vec::new())),
                (DependencyKind::Registry, closed(json!({"adminUserEnabled": false, "networkRuleSet": acls}), Vec::new())),
                (
                    DependencyKind::Insights,
                    closed(json!({"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled"}), Vec::new()),
                ),
            ]
            .into(),
            build_compute: BuildCompute::There,
            networks: vec![hub],
            roles: Ok(Vec::new()),
            computes: vec![ComputeIsolation { name: "train".into(), isolated: Some(true), why: String::new() }],
            approved_by_policy: BTreeSet::new(),
            rules_of_others: Vec::new(),
            others_unseen: false,
            first_seen: BTreeMap::new(),
        }
    }

    /// A member of the properties of a resource.
    pub(super) fn of(&mut self, kind: DependencyKind) -> &mut Value {
        &mut self.resources.get_mut(&kind).unwrap().as_mut().unwrap()["properties"]
    }

    pub(super) fn properties(&mut self) -> &mut Value {
        &mut self.workspace["properties"]
    }

    /// Adds a connection to a resource.
    pub(super) fn connect(&mut self, kind: DependencyKind, connection: Value) {
        self.of(kind)["privateEndpointConnections"].as_array_mut().unwrap().push(connection);
    }

    pub(super) fn judge(&self) -> Vec<Sight> {
        let dependency = |(kind, document): (&DependencyKind, &Option<Value>)| Dependency {
            kind: *kind,
            id: id_of(*kind),
            shown: document.as_ref().map(|document| Shown::read(*kind, document)).ok_or_else(|| "403".to_owned()),
        };
        let dependencies: Vec<Dependency> = self.resources.iter().map(dependency).collect();
        let rules: Vec<OutboundRule> = self.rules.iter().filter_map(OutboundRule::read).collect();
        judge(&Facts {
            id: &ArmId::parse(&workspace_id()).unwrap(),
            workspace: &Workspace::read(self.workspace.clone()).unwrap(),
            rules: &rules,
            own_subscriptions: &[OWN.to_owned()],
            dependencies: &dependencies,
            build_compute: self.build_compute,
            networks: &self.networks,
            roles: &self.roles,
            computes: &self.computes,
            approved_by_policy: &self.approved_by_policy,
            rules_of_others: &self.rules_of_others,
            others_unseen: self.others_unseen,
            first_seen: &self.first_seen,
            now: now(),
        })
    }

    /// The checks that came to `state`, each once.
    pub(super) fn checks(&self, state: FindingState) -> BTreeSet<Check> {
        self.judge().into_iter().filter(|sight| sight.state == state).map(|sight| sight.check).collect()
    }
}
