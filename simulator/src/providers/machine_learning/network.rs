//! A workspace's managed network: what is stored of it, and what is seen.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::providers::locks;
use crate::world::World;

use super::WORKSPACE;
use super::isolation::Isolation;
use super::rules::{Category, Rule, Status};

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
    /// The first FQDN rule makes the firewall.
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
        let changeable = network.isolation.changeable(self);
        if network.isolation == Isolation::Disabled {
            return json!({ "isolationMode": "Disabled", "changeableIsolationModes": changeable });
        }
        let rules: serde_json::Map<String, Value> =
            self.visible_rules(workspace).into_values().map(|rule| (rule.name.clone(), rule.properties())).collect();
        let mut document = json!({
            "isolationMode": network.isolation.name(),
            "changeableIsolationModes": changeable,
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
        if network.has_firewall() {
            // An address of the block for documentation: nobody shall reach it.
            let last = ids::guid(&["firewall", &network.network_id]).as_bytes()[0];
            document["firewallPublicIpAddress"] = json!(format!("203.0.113.{last}"));
        }
        if let Some(kind) = &network.kind {
            document["managedNetworkKind"] = json!(kind);
        }
        if let Some(monitor) = network.network_monitor {
            document["enableNetworkMonitor"] = json!(monitor);
        }
        document
    }

    /// What `outboundRules` lists.
    pub(crate) fn rules_document(&self, workspace: &str) -> Vec<Value> {
        let name = self.resources.get(workspace).and_then(|d| d["name"].as_str()).unwrap_or_default();
        self.visible_rules(workspace).values().map(|rule| rule.document(name)).collect()
    }
}

/// Whether an id is that of a workspace.
pub(super) fn is_workspace(id: &str) -> bool {
    ids::resource_type(id).is_some_and(|kind| kind.eq_ignore_ascii_case(WORKSPACE))
}

/// Refuses what the service would have to do itself below a lock: with a lock on the workspace or above it, its
/// internal calls fail (Microsoft's page on managed networks).
pub(super) fn refuse_locked(world: &World, workspace: &str) -> Result<(), ArmError> {
    let Some((scope, id)) = locks::over(world, workspace) else { return Ok(()) };
    Err(ArmError::new(
        409,
        "ScopeLocked",
        format!("The managed network cannot be changed because the scope '{scope}' is locked by '{id}'."),
    ))
}
