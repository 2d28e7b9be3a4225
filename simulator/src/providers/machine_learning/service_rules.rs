//! The rules that the service makes by itself.

use crate::ids;
use crate::world::World;

use super::isolation::Isolation;
use super::rules::{Category, Rule};

impl World {
    /// Makes the service's own rules what isolation and the workspace's resources ask for.
    pub(super) fn refresh_service_rules(&mut self, workspace: &str) {
        let (Some(document), Some(network)) = (self.resources.get(workspace), self.networks.get(workspace)) else {
            return;
        };
        let isolation = network.isolation;
        if isolation == Isolation::Disabled {
            let all: Vec<String> = network.rules.keys().cloned().collect();
            self.drop_rules(workspace, &all);
            if let Some(network) = self.networks.get_mut(workspace) {
                (network.active, network.spark_ready) = (false, false);
            }
            return;
        }
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
        // In the looser mode only what is closed to the public network gets an endpoint.
        let all = isolation == Isolation::AllowOnlyApprovedOutbound;
        let mut wanted: Vec<Rule> = endpoints
            .iter()
            .filter(|(target, _)| all || closed(target))
            .map(|(target, group)| Rule::required_endpoint(id, target, group))
            .collect();
        if all {
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
}
