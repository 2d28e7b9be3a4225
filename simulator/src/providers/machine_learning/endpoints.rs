//! Managed private endpoints: raised by rules, approved by the workspace's identity, seen on their targets.

use crate::connections::Request;
use crate::ids;
use crate::settings::ApproverMissing;
use crate::world::World;

use super::rules::{Category, Rule, Status};

/// The text with which AML refuses what the workspace's identity may not approve (seen in 2025).
pub(super) const NO_APPROVER: &str =
    "Workspace managed identity don't have required permissions to read and approve private endpoint connections";

impl World {
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
            .all(|action| self.holds(&identity, &format!("{kind}/{action}"), target))
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
            let may = self.can_approve(workspace, &target);
            let Some(connection) = self.connections.get_mut(&key) else { return (Status::Inactive, None, None) };
            // Chosen: with every write of rules the service tries anew to approve what it could not approve before.
            if may && connection.status == "Pending" {
                connection.status = "Approved".to_owned();
                connection.towards = "Approved".to_owned();
                connection.description = "Auto-Approved".to_owned();
            }
            let approved = connection.status == "Approved";
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
        // Several networks share a group: neither subscription nor group tells whose an endpoint is.
        let group = 1 + ids::guid(&["managed network group", workspace]).as_bytes()[0] % 2;
        format!(
            "/subscriptions/{subscription}/resourceGroups/commonHoboRG{group}/providers/Microsoft.Network/privateEndpoints/{name}"
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
