//! Building the managed network: `provisionManagedNetwork`, and the first compute.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::ids;
use crate::operations::Plan;
use crate::world::World;

use super::isolation::Isolation;
use super::rules::{Change, Status};
use super::{document, network, validation, workspace};

/// The kind of the operation that builds a network.
pub(super) const KIND: &str = "provision";

/// The simulated seconds that building takes, with the firewall if a rule needs one.
pub(super) fn seconds(world: &World, workspace: &str) -> f64 {
    let times = &world.settings.operation_seconds;
    let Some(network) = world.networks.get(workspace) else { return times.provision };
    if network.active {
        return times.rule;
    }
    let firewall = network.rules.values().any(|rule| validation::is_users(rule) && rule.is("FQDN"));
    times.provision + if firewall { times.firewall } else { 0.0 }
}

/// Builds the network: rules become active as far as they can.
///
/// # Errors
/// Below a lock the service cannot build.
pub(super) fn build(world: &mut World, workspace: &str, spark: bool) -> Result<(), ArmError> {
    network::refuse_locked(world, workspace)?;
    let Some(network) = world.networks.get_mut(workspace) else { return Ok(()) };
    network.active = true;
    network.spark_ready |= spark;
    // What failed before is tried again with everything else.
    for rule in network.rules.values_mut().filter(|rule| rule.status == Status::Failed) {
        rule.status = Status::Inactive;
    }
    world.activate(workspace);
    Ok(())
}

/// Who has a network built must be able to read and write the workspace's connections (Microsoft's pages on managed
/// networks).
pub(super) fn caller_may(call: &Call<'_>, workspace: &str) -> Result<(), ArmError> {
    for verb in ["read", "write"] {
        let action = format!("Microsoft.MachineLearningServices/workspaces/privateEndpointConnections/{verb}");
        call.require(&action, workspace)?;
    }
    Ok(())
}

fn result(world: &World, resource: &str) -> Option<Value> {
    let network = world.networks.get(&ids::ancestor(resource, 8))?;
    let status = if network.active { "Active" } else { "Inactive" };
    Some(json!({ "status": status, "sparkReady": network.spark_ready }))
}

/// The operation that builds a workspace's network.
pub(super) fn plan(world: &World, workspace: &str, spark: bool) -> Plan {
    let key = workspace.to_owned();
    Plan {
        kind: KIND,
        resource: format!("{workspace}/provisionmanagednetwork"),
        seconds: seconds(world, workspace),
        effect: Box::new(move |world| build(world, &key, spark)),
        result,
        overlay: None,
    }
}

pub(super) fn post(call: &mut Call<'_>) -> Answer {
    let id = ids::ancestor(&call.path, 8);
    let key = ids::key(&id);
    let location = call.world.resource(&id)?["location"].as_str().unwrap_or_default().to_owned();
    // The specification calls the body optional; the service does not (field report).
    let Some(body) = call.request.json().filter(Value::is_object) else {
        return Err(ArmError::bad_request("Request body could not be read."));
    };
    let body = document::canonical(body);
    if call.world.networks.get(&key).is_none_or(|network| network.isolation == Isolation::Disabled) {
        return Err(ArmError::validation("The workspace has no managed network to provision."));
    }
    caller_may(call, &id)?;
    workspace::refuse_concurrent(call.world, &key)?;
    let plan = plan(call.world, &key, body["includeSpark"].as_bool().unwrap_or(false));
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}

/// Takes over the rules of a seeded workspace, and builds its network if the seed says that it is built.
pub(crate) fn seed_network(world: &mut World, id: &str, body: &Value) -> Result<(), ArmError> {
    let key = ids::key(id);
    let (upserts, _) = workspace::rule_map(world, &key, body)?;
    Change::new(world, &key, upserts, Vec::new()).apply(world)?;
    world.refresh_service_rules(&key);
    let status = &body["properties"]["managedNetwork"]["status"];
    if status["status"] == json!("Active") {
        build(world, &key, status["sparkReady"].as_bool().unwrap_or(false))?;
    }
    Ok(())
}
