//! A workspace's managed network: isolation, service-made rules, and what happens to rules once it is built.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::connections::Request;
use crate::error::ArmError;
use crate::ids;
use crate::settings::ApproverMissing;
use crate::world::World;

use super::WORKSPACE;
use super::rules::{Category, Rule, Status};

/// The text with which AML refuses what the workspace's identity may not approve (seen in 2025).
pub(super) const NO_APPROVER: &str =
    "Workspace managed identity don't have required permissions to read and approve private endpoint connections";

/// How far a network is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    #[default]
    Disabled,
    AllowInternetOutbound,
    AllowOnlyApprovedOutbound,
}

impl Isolation {
    pub(super) fn parse(text: &str) -> Result<Self, ArmError> {
        match text {
            "Disabled" => Ok(Self::Disabled),
            "AllowInternetOutbound" => Ok(Self::AllowInternetOutbound),
            "AllowOnlyApprovedOutbound" => Ok(Self::AllowOnlyApprovedOutbound),
            other => Err(ArmError::validation(format!("'{other}' is not an isolation mode."))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::AllowInternetOutbound => "AllowInternetOutbound",
            Self::AllowOnlyApprovedOutbound => "AllowOnlyApprovedOutbound",
        }
    }

    /// Networks only ever become tighter (Microsoft's page on managed networks).
    pub(super) fn may_become(self, next: Self) -> bool {
        self == next
            || self == Self::Disabled
            || (self == Self::AllowInternetOutbound && next == Self::AllowOnlyApprovedOutbound)
    }
}

/// A managed network. Rules are keyed by their lower-cased name.
#[derive(Clone, Debug, Default)]
pub(crate) struct ManagedNetwork {
    pub(super) isolation: Isolation,
    pub(super) firewall_sku: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) network_monitor: Option<bool>,
    pub(super) network_id: String,
    /// Built: until then rules are only stored.
    pub(super) active: bool,
    pub(super) spark_ready: bool,
    pub(super) rules: BTreeMap<String, Rule>,
}

/// What a running operation is about to change in the rules of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    /// The key of the workspace.
    pub(super) workspace: String,
    pub(super) upserts: Vec<Rule>,
    /// Keys of rules.
    pub(super) removals: Vec<String>,
}

impl ManagedNetwork {
    pub(super) fn has_firewall(&self) -> bool {
        self.active && self.rules.values().any(|rule| rule.category == Category::UserDefined && rule.is("FQDN"))
    }
}

impl World {
    /// The rules as ARM shows them: what is there, and what running operations are doing to it.
    pub(super) fn visible_rules(&self, workspace: &str) -> BTreeMap<String, Rule> {
        let Some(network) = self.networks.get(workspace) else { return BTreeMap::new() };
        let mut rules = network.rules.clone();
        for overlay in self.operations.running().filter_map(|operation| operation.overlay.as_ref()) {
            if overlay.workspace != workspace {
                continue;
            }
            for rule in &overlay.upserts {
                let status = if network.active { Status::Provisioning } else { Status::Inactive };
                rules.insert(rule.key(), Rule { status, ..rule.clone() });
            }
            for removed in &overlay.removals {
                if let Some(rule) = rules.get_mut(removed) {
                    rule.status = Status::Deleting;
                }
            }
        }
        rules
    }

    /// `properties.managedNetwork` of a workspace.
    pub(super) fn network_document(&self, workspace: &str) -> Value {
        let Some(network) = self.networks.get(workspace) else { return Value::Null };
        if network.isolation == Isolation::Disabled {
            return json!({ "isolationMode": "Disabled" });
        }
        let rules: serde_json::Map<String, Value> =
            self.visible_rules(workspace).into_values().map(|rule| (rule.name.clone(), rule.properties())).collect();
        let mut document = json!({
            "isolationMode": network.isolation.name(),
            "networkId": network.network_id,
            "outboundRules": rules,
            "status": {
                "status": if network.active { "Active" } else { "Inactive" },
                "sparkReady": network.spark_ready,
            },
        });
        if network.isolation == Isolation::AllowOnlyApprovedOutbound {
            // Shown from the start, although the firewall only comes with the first FQDN rule.
            document["firewallSku"] = json!(network.firewall_sku.as_deref().unwrap_or("Standard"));
        }
        if let Some(kind) = &network.kind {
            document["managedNetworkKind"] = json!(kind);
        }
        if let Some(monitor) = network.network_monitor {
            document["enableNetworkMonitor"] = json!(monitor);
        }
        document
    }

    /// The object id whose rights decide over the workspace's managed endpoints.
    pub(super) fn workspace_identity(&self, workspace: &str) -> Option<String> {
        let document = self.resources.get(workspace)?;
        if let Some(primary) = document["properties"]["primaryUserAssignedIdentity"].as_str() {
            let identity = self.resources.get(&ids::key(primary))?;
            return identity["properties"]["principalId"].as_str().map(str::to_owned);
        }
        document["identity"]["principalId"].as_str().map(str::to_owned)
    }

    /// The workspace itself and the resources it was created with, which need no approver role.
    fn is_own(&self, workspace: &str, target: &str) -> bool {
        let target = ids::key(target);
        let properties =
            &self.resources.get(workspace).map(|document| document["properties"].clone()).unwrap_or_default();
        target == workspace
            || ["storageAccount", "keyVault", "containerRegistry"]
                .iter()
                .any(|name| properties[*name].as_str().is_some_and(|id| ids::key(id) == target))
    }

    /// Whether the workspace can raise an approved endpoint on the target. It must be able to read the target and to
    /// approve there: the message names both, and the field knows of registries where only reading was missing.
    pub(super) fn can_approve(&self, workspace: &str, target: &str) -> bool {
        if self.is_own(workspace, target) {
            return true;
        }
        let Some(identity) = self.workspace_identity(workspace) else { return false };
        let kind = ids::resource_type(target).unwrap_or_default();
        ["read", "privateEndpointConnectionsApproval/action"]
            .iter()
            .all(|action| self.roles.allowed(&identity, &format!("{kind}/{action}"), target, self.now))
    }

    /// Makes the service's own rules what isolation and the workspace's resources ask for.
    pub(super) fn refresh_service_rules(&mut self, workspace: &str) {
        let (Some(document), Some(network)) = (self.resources.get(workspace), self.networks.get(workspace)) else {
            return;
        };
        let isolation = network.isolation;
        let closed = |id: &str| {
            let target = self.resources.get(&ids::key(id));
            target
                .and_then(|t| t["properties"]["publicNetworkAccess"].as_str())
                .is_some_and(|a| a.eq_ignore_ascii_case("disabled"))
        };
        let id = document["id"].as_str().unwrap_or_default();
        let mut endpoints: Vec<(&str, &str)> = vec![(id, "amlworkspace")];
        for (name, groups) in
            [("storageAccount", &["blob", "file"][..]), ("keyVault", &["vault"]), ("containerRegistry", &["registry"])]
        {
            if let Some(target) = document["properties"][name].as_str().filter(|target| !target.is_empty()) {
                endpoints.extend(groups.iter().map(|group| (target, *group)));
            }
        }
        let mut wanted = Vec::new();
        if isolation != Isolation::Disabled {
            // In the looser mode only what is closed to the public network gets an endpoint.
            let all = isolation == Isolation::AllowOnlyApprovedOutbound;
            wanted.extend(
                endpoints
                    .iter()
                    .filter(|(target, _)| all || closed(target))
                    .map(|(t, g)| Rule::required_endpoint(id, t, g)),
            );
        }
        if isolation == Isolation::AllowOnlyApprovedOutbound {
            let region = document["location"].as_str().unwrap_or_default();
            wanted.extend(Rule::required_tags(region));
        }
        // Chosen: an endpoint that a user's rule already makes is not made twice. Only a body that brings both the mode
        // and such a rule gets here; a rule that comes later than the service's is refused.
        let users: Vec<_> = network.rules.values().filter(|rule| rule.category == Category::UserDefined).collect();
        let taken = |rule: &Rule| {
            rule.is("PrivateEndpoint") && users.iter().any(|user| user.endpoint_key() == rule.endpoint_key())
        };
        wanted.retain(|rule| !taken(rule));
        let keys: Vec<String> = wanted.iter().map(Rule::key).collect();
        let required = network.rules.values().filter(|rule| rule.category == Category::Required).map(Rule::key);
        let obsolete: Vec<String> = required.filter(|key| !keys.contains(key)).collect();
        self.drop_rules(workspace, &obsolete);
        let Some(network) = self.networks.get_mut(workspace) else { return };
        for rule in wanted {
            network.rules.entry(rule.key()).or_insert(rule);
        }
        self.activate(workspace);
    }

    /// Brings every rule of a built network to where it can be.
    pub(super) fn activate(&mut self, workspace: &str) {
        let Some(network) = self.networks.get(workspace) else { return };
        if !network.active {
            return;
        }
        let open: Vec<Rule> = network.rules.values().filter(|rule| rule.status != Status::Active).cloned().collect();
        for rule in open {
            let (status, error, connection) = self.activated(workspace, &rule);
            let rules = self.networks.get_mut(workspace).map(|network| &mut network.rules);
            if let Some(rule) = rules.and_then(|rules| rules.get_mut(&rule.key())) {
                (rule.status, rule.error, rule.connection) = (status, error, connection);
            }
        }
    }

    fn activated(&mut self, workspace: &str, rule: &Rule) -> (Status, Option<String>, Option<String>) {
        let Some((target, group)) = rule.endpoint_destination() else { return (Status::Active, None, None) };
        if let Some(key) = rule.connection.clone().filter(|key| self.connections.contains_key(key)) {
            let approved = self.connections.get(&key).is_some_and(|connection| connection.status == "Approved");
            return (if approved { Status::Active } else { Status::Inactive }, None, Some(key));
        }
        let approved = self.can_approve(workspace, &target);
        if !approved && self.settings.approver_missing == ApproverMissing::Refuse {
            return (Status::Failed, Some(NO_APPROVER.to_owned()), None);
        }
        let endpoint = self.managed_endpoint_id(workspace, rule);
        let key = self.connect(Request {
            target: &target,
            endpoint: &endpoint,
            groups: vec![group],
            approved,
            description: if approved { "Auto-Approved" } else { "" },
            rule: Some((workspace.to_owned(), rule.key())),
        });
        (if approved { Status::Active } else { Status::Inactive }, None, Some(key))
    }

    /// The id that a managed endpoint has on its target: in a subscription of Microsoft's, shared with strangers, in a
    /// group that names no tenant.
    fn managed_endpoint_id(&self, workspace: &str, rule: &Rule) -> String {
        let document = self.resources.get(workspace);
        let region = document.and_then(|d| d["location"].as_str()).unwrap_or_default();
        let subscription = ids::guid(&["managed network subscription", region]);
        // Chosen: a user's rule gets a suffix, since ids are unique and rule names are not; what Azure does is not
        // known, so nobody may rely on it. Service-made names carry one already.
        let name = match rule.category {
            Category::Required => rule.name.clone(),
            Category::UserDefined => {
                let unique = ids::guid(&["managed endpoint", workspace, &rule.name]).simple().to_string();
                format!("{}-{}", rule.name, &unique[..8])
            }
        };
        format!(
            "/subscriptions/{subscription}/resourceGroups/commonHoboRG1/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    /// Takes rules out, and their connections off the targets.
    pub(super) fn drop_rules(&mut self, workspace: &str, keys: &[String]) {
        for key in keys {
            let removed = self.networks.get_mut(workspace).and_then(|network| network.rules.remove(key));
            if let Some(connection) = removed.and_then(|rule| rule.connection) {
                self.connections.remove(&connection);
            }
        }
    }

    /// Takes the whole network down with its workspace.
    pub(super) fn remove_network(&mut self, workspace: &str) {
        self.networks.remove(workspace);
        self.connections.retain(|_, c| c.rule.as_ref().is_none_or(|(owner, _)| owner != workspace));
    }

    /// What `outboundRules` lists.
    pub(crate) fn rules_document(&self, workspace: &str) -> Vec<Value> {
        let name = self.resources.get(workspace).and_then(|d| d["name"].as_str()).unwrap_or_default();
        self.visible_rules(workspace).values().map(|rule| rule.document(name)).collect()
    }
}

/// A managed endpoint's connection was approved, rejected or removed on its target.
pub(crate) fn connection_changed(world: &mut World, workspace: &str, rule: &str) {
    let Some(key) = world.networks.get(workspace).and_then(|n| n.rules.get(rule)).and_then(|r| r.connection.clone())
    else {
        return;
    };
    let state = world.connections.get(&key).map(|connection| connection.status.clone());
    let Some(rule) = world.networks.get_mut(workspace).and_then(|network| network.rules.get_mut(rule)) else { return };
    // Chosen: a rule whose connection was refused or taken away says so and stays; nothing raises it again by itself.
    (rule.status, rule.error) = match state.as_deref() {
        Some("Approved") => (Status::Active, None),
        Some("Pending") => (Status::Inactive, None),
        Some(other) => (Status::Failed, Some(format!("The private endpoint connection is {other}."))),
        None => (Status::Failed, Some("The private endpoint connection was removed by the target.".to_owned())),
    };
}

/// The tenant of a target must be the workspace's (Microsoft's page on managed networks).
pub(super) fn same_tenant(world: &World, workspace: &str, target: &str) -> bool {
    world.tenant_of(workspace) == world.tenant_of(target)
}

/// Whether an id is that of a workspace.
pub(super) fn is_workspace(id: &str) -> bool {
    ids::resource_type(id).is_some_and(|kind| kind.eq_ignore_ascii_case(WORKSPACE))
}
