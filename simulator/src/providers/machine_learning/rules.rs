//! Outbound rules: their shape, and their own operations.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::settings::ConcurrentWrites;
use crate::world::World;

use super::network::{self, Overlay};
use super::{document, managed_networks, validation, versions, workspace};

/// Who made a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Required,
    UserDefined,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Inactive,
    Active,
    Provisioning,
    Deleting,
    Failed,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(super) name: String,
    pub(super) category: Category,
    pub(super) kind: String,
    pub(super) destination: Value,
    pub(super) fqdns: Option<Value>,
    pub(super) status: Status,
    pub(super) error: Option<String>,
    /// The key of the connection on the target.
    pub(super) connection: Option<String>,
}

impl Rule {
    pub(super) fn user_defined(name: &str, kind: &str, destination: Value, fqdns: Option<Value>) -> Self {
        Self {
            name: name.to_owned(),
            category: Category::UserDefined,
            kind: kind.to_owned(),
            destination,
            fqdns,
            status: Status::Inactive,
            error: None,
            connection: None,
        }
    }

    fn required(name: String, kind: &str, destination: Value) -> Self {
        Self { name, category: Category::Required, ..Self::user_defined("", kind, destination, None) }
    }

    /// The name is as listed for a real workspace: `__SYS_PE_{account}_blob_{8 hex}`.
    pub(super) fn required_endpoint(workspace: &str, target: &str, group: &str) -> Self {
        let hash = ids::guid(&["service rule", workspace, target, group]).simple().to_string();
        let destination = json!({ "serviceResourceId": target, "subresourceTarget": group, "sparkEnabled": true });
        Self::required(format!("__SYS_PE_{}_{group}_{}", ids::name(target), &hash[..8]), "PrivateEndpoint", destination)
    }

    /// The service tags listed for a real `AllowOnlyApprovedOutbound` workspace.
    pub(super) fn required_tags(region: &str) -> Vec<Self> {
        let registry = format!("MicrosoftContainerRegistry.{region}");
        [
            ("AzureActiveDirectory", "TCP", "80, 443", "_TCP"),
            ("AzureMachineLearning", "TCP", "443", "_TCP"),
            ("AzureMachineLearning", "UDP", "5831", "_UDP"),
            ("AzureResourceManager", "TCP", "443", "_TCP"),
            ("BatchNodeManagement", "TCP", "443", "_TCP"),
            ("AzureMonitor", "TCP", "443", "_TCP"),
            (registry.as_str(), "TCP", "443", "_TCP"),
            ("AzureFrontDoor.FirstParty", "*", "*", ""),
            ("VirtualNetwork", "*", "*", ""),
        ]
        .into_iter()
        .map(|(tag, protocol, ports, suffix)| {
            let destination = json!({
                "serviceTag": tag, "protocol": protocol, "portRanges": ports, "action": "Allow", "addressPrefixes": []
            });
            Self::required(format!("__SYS_ST_{tag}{suffix}"), "ServiceTag", destination)
        })
        .collect()
    }

    pub(super) fn key(&self) -> String {
        ids::key(&self.name)
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Target and sub-resource of a private-endpoint rule.
    pub(super) fn endpoint_destination(&self) -> Option<(String, String)> {
        let text = |name: &str| self.destination[name].as_str().unwrap_or_default().to_owned();
        self.is("PrivateEndpoint").then(|| (text("serviceResourceId"), text("subresourceTarget")))
    }

    /// What rules are compared by: the same target and sub-resource is the same endpoint.
    pub(super) fn endpoint_key(&self) -> Option<(String, String)> {
        self.endpoint_destination().map(|(target, group)| (ids::key(&target), group.to_ascii_lowercase()))
    }

    pub(super) fn properties(&self) -> Value {
        let mut destination = self.destination.clone();
        let status = format!("{:?}", self.status);
        if self.is("PrivateEndpoint") && destination["sparkEnabled"] == json!(true) {
            destination["sparkStatus"] = json!(if self.status == Status::Active { "Active" } else { "Inactive" });
        }
        let mut properties = json!({
            "type": self.kind, "category": format!("{:?}", self.category), "status": status, "destination": destination
        });
        if let Some(fqdns) = &self.fqdns {
            properties["fqdns"] = fqdns.clone();
        }
        if let Some(error) = &self.error {
            properties["errorInformation"] = json!(error);
        }
        properties
    }

    /// As listed below a workspace. The id is not a full ARM id and there are nulls that no specification declares
    /// (seen in the field).
    pub(super) fn document(&self, workspace: &str) -> Value {
        let id = format!("{workspace}/outboundRules/{}", self.name);
        self.document_as(&id, "Microsoft.MachineLearningServices/workspaces/outboundRules")
    }

    /// As listed below the child resource `managedNetworks`: there the id is whole (example of the previews).
    pub(super) fn nested_document(&self, network: &str) -> Value {
        let id = format!("{network}/outboundRules/{}", self.name);
        self.document_as(&id, "Microsoft.MachineLearningServices/workspaces/managedNetworks/outboundRules")
    }

    fn document_as(&self, id: &str, kind: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "type": kind,
            "location": null,
            "tags": null,
            "systemData": null,
            "properties": self.properties(),
        })
    }
}

/// A change of a workspace's rules, ready to be made part of an operation.
pub(super) struct Change {
    pub(super) overlay: Overlay,
    /// The rules as they are when the change begins, if it will write them back ([`ConcurrentWrites::LoseRules`]).
    snapshot: Option<Vec<Rule>>,
    /// Simulated seconds.
    pub(super) seconds: f64,
}

impl Change {
    pub(super) fn new(world: &World, workspace: &str, upserts: Vec<Rule>, removals: Vec<String>) -> Self {
        let network = world.networks.get(workspace);
        let active = network.is_some_and(|network| network.active);
        let times = &world.settings.operation_seconds;
        let first_fqdn = active
            && upserts.iter().any(|rule| rule.is("FQDN"))
            && network.is_some_and(|network| !network.has_firewall());
        let snapshot = (world.settings.concurrent_writes == ConcurrentWrites::LoseRules).then(|| {
            let rules = network.map(|network| network.rules.values()).into_iter().flatten();
            rules.filter(|rule| rule.category == Category::UserDefined).cloned().collect()
        });
        let seconds =
            if active { times.rule } else { times.rule_inactive } + if first_fqdn { times.firewall } else { 0.0 };
        Self { overlay: Overlay { workspace: workspace.to_owned(), upserts, removals }, snapshot, seconds }
    }

    /// # Errors
    /// Below a lock nothing can be done to a network that is built.
    pub(super) fn apply(self, world: &mut World) -> Result<(), ArmError> {
        let Overlay { workspace, upserts, removals } = self.overlay;
        let touches = !upserts.is_empty() || !removals.is_empty();
        if touches && world.networks.get(&workspace).is_some_and(|network| network.active) {
            network::refuse_locked(world, &workspace)?;
        }
        if let Some(snapshot) = self.snapshot {
            // The service writes back the set it read when it began: what others have added since is lost.
            let kept: Vec<String> = snapshot.iter().map(Rule::key).collect();
            let rules = world.networks.get(&workspace).map(|network| network.rules.values()).into_iter().flatten();
            let lost: Vec<String> = rules
                .filter(|rule| rule.category == Category::UserDefined && !kept.contains(&rule.key()))
                .map(Rule::key)
                .collect();
            world.drop_rules(&workspace, &lost);
            let Some(network) = world.networks.get_mut(&workspace) else { return Ok(()) };
            for rule in snapshot {
                network.rules.entry(rule.key()).or_insert(Rule { connection: None, status: Status::Inactive, ..rule });
            }
        }
        for mut rule in upserts {
            let previous = world.networks.get(&workspace).and_then(|network| network.rules.get(&rule.key())).cloned();
            match previous {
                Some(previous) if previous.endpoint_key() == rule.endpoint_key() => {
                    // The same endpoint stays; whether it is usable is judged anew.
                    rule.connection = previous.connection;
                }
                Some(previous) => world.drop_rules(&workspace, &[previous.key()]),
                None => {}
            }
            if let Some(network) = world.networks.get_mut(&workspace) {
                network.rules.insert(rule.key(), rule);
            }
        }
        world.drop_rules(&workspace, &removals);
        world.activate(&workspace);
        Ok(())
    }
}

fn workspace_of(call: &Call<'_>) -> String {
    ids::ancestor(&call.path, 8)
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let workspace = workspace_of(call);
    call.world.resource(&workspace)?;
    let items = call.world.rules_document(&ids::key(&workspace));
    Ok(call.page(items, "$skip"))
}

/// A rule (key of its id, below the workspace or below `managedNetworks`) as GET shows it.
fn render(world: &World, rule: &str) -> Option<Value> {
    let workspace = ids::ancestor(rule, 8);
    let document = world.resources.get(&workspace)?;
    let rules = world.visible_rules(&workspace);
    let found = rules.get(&ids::key(ids::name(rule)))?;
    Some(if rule.contains("/managednetworks/") {
        found.nested_document(&managed_networks::id_of(document))
    } else {
        found.document(document["name"].as_str().unwrap_or_default())
    })
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.world.resource(&workspace_of(call))?;
    let document = render(call.world, &ids::key(&call.path));
    document.map(Reply::ok).ok_or_else(|| ArmError::not_found(&call.path))
}

fn start(call: &mut Call<'_>, kind: &'static str, workspace: &str, change: Change) -> Answer {
    let location = call.world.resource(workspace)?["location"].as_str().unwrap_or_default().to_owned();
    let plan = Plan {
        kind,
        resource: ids::key(&call.path),
        seconds: change.seconds,
        overlay: Some(change.overlay.clone()),
        effect: Box::new(move |world| change.apply(world)),
        result: render,
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let workspace = workspace_of(call);
    let key = ids::key(&workspace);
    call.world.resource(&workspace)?;
    workspace::refuse_concurrent(call.world, &key)?;
    let sent = document::sent(call)?;
    let body = versions::rule_taken(sent["properties"].clone(), &call.api_version);
    let name = ids::name(&call.path).to_owned();
    let rule = validation::rule(call.world, &key, &name, &body)?;
    validation::set(call.world, &key, std::slice::from_ref(&rule), &[])?;
    validation::approver(call.world, &key, std::slice::from_ref(&rule))?;
    let change = Change::new(call.world, &key, vec![rule], Vec::new());
    start(call, "rulePut", &workspace, change)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let workspace = workspace_of(call);
    let key = ids::key(&workspace);
    call.world.resource(&workspace)?;
    let name = ids::key(ids::name(&call.path));
    match call.world.visible_rules(&key).get(&name) {
        None => return Ok(Reply::empty(204)),
        Some(rule) if rule.category != Category::UserDefined => {
            return Err(ArmError::validation(format!("The outbound rule '{}' is required by the service.", rule.name)));
        }
        Some(_) => {}
    }
    workspace::refuse_concurrent(call.world, &key)?;
    let change = Change::new(call.world, &key, Vec::new(), vec![name]);
    start(call, "ruleDelete", &workspace, change)
}
