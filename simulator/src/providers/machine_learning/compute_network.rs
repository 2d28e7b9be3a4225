//! Where a compute may be: regions, subnets, the managed network (Microsoft's pages on managed networks and on training in a
//! network).

use serde_json::{Value, json};

use crate::call::Call;
use crate::error::ArmError;
use crate::ids;
use crate::world::World;

use super::isolation::Isolation;
use super::provision;

fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::validation(message))
}

/// Judges the place of a compute of a workspace (key).
pub(super) fn check(call: &Call<'_>, workspace: &str, location: &str, properties: &Value) -> Result<(), ArmError> {
    let world = &*call.world;
    let home = &world.resource(workspace)?["location"];
    let isolation = world.networks.get(workspace).map(|network| network.isolation).unwrap_or_default();
    let kind = properties["computeType"].as_str().unwrap_or_default();
    let given = &properties["properties"];
    let subnet = given["subnet"]["id"].as_str();
    let elsewhere = home.as_str().is_some_and(|home| home != location);
    if elsewhere && ["ComputeInstance", "Kubernetes"].contains(&kind) {
        return refuse(format!(
            "A compute of type {kind} must be in the region of its workspace, not in '{location}'."
        ));
    }
    if isolation != Isolation::Disabled {
        if subnet.is_some() {
            return refuse("A compute of a workspace with a managed network cannot be in a subnet.");
        }
        if elsewhere {
            return refuse(format!("A compute in '{location}' cannot be in the managed network of another region."));
        }
        if ["VirtualMachine", "Kubernetes"].contains(&kind) {
            return refuse(format!(
                "A compute of type {kind} cannot be attached to a workspace with a managed network."
            ));
        }
        return Ok(());
    }
    if let Some(subnet) = subnet {
        check_subnet(call, workspace, subnet, kind, location)?;
    }
    let reachable = world.connections_on(workspace).any(|connection| connection.status == "Approved");
    if given["enableNodePublicIp"] == json!(false) && !reachable {
        return refuse("A compute without public IP needs a private endpoint on the workspace.");
    }
    Ok(())
}

/// A subnet is in the subscription of the workspace and given to nobody else, not in the addresses of containers, and for an
/// instance in its region; whoever puts a compute there has the right to join it.
fn check_subnet(call: &Call<'_>, workspace: &str, subnet: &str, kind: &str, location: &str) -> Result<(), ArmError> {
    let world = &*call.world;
    if ids::subscription(subnet).map(ids::key) != ids::subscription(workspace).map(ids::key) {
        return refuse("The subnet of a compute must be in the subscription of the workspace.");
    }
    let join = "Microsoft.Network/virtualNetworks/subnets/join/action";
    world.require_linked(&call.caller, &call.path, join, subnet)?;
    let (Some(found), Some(network)) =
        (world.resources.get(&ids::key(subnet)), world.resources.get(&ids::key(&ids::parent(subnet))))
    else {
        return refuse(format!("The subnet '{subnet}' was not found."));
    };
    if found["properties"]["delegations"].as_array().is_some_and(|delegations| !delegations.is_empty()) {
        return refuse(format!("The subnet '{subnet}' is delegated to another service."));
    }
    let ranges = network["properties"]["addressSpace"]["addressPrefixes"].as_array();
    if ranges.into_iter().flatten().filter_map(Value::as_str).any(|range| range.starts_with("172.17.")) {
        return refuse("The network of a compute cannot have the addresses 172.17.0.0/16, which containers use.");
    }
    if kind == "ComputeInstance" && world.location_of(network) != location {
        return refuse("The subnet of a compute instance must be in the region of the workspace.");
    }
    Ok(())
}

/// Begins to build the network if the compute is the first that needs it, and says how long the compute waits for it.
pub(super) fn wait(call: &mut Call<'_>, workspace: &str) -> Result<f64, ArmError> {
    let key = ids::key(workspace);
    if !is_missing(call.world, &key) {
        return Ok(0.0);
    }
    let now = call.world.now;
    let building = call
        .world
        .operations
        .running()
        .find(|operation| operation.kind == provision::KIND && ids::contains(&key, &operation.resource));
    if let Some(building) = building {
        return Ok(building.due.saturating_sub(now) as f64 / 1000.0);
    }
    provision::caller_may(call, workspace)?;
    let plan = provision::plan(call.world, &key, false);
    let seconds = plan.seconds;
    call.world.begin_beside(plan, &call.caller.object_id);
    Ok(seconds)
}

/// Whether a workspace (key) wants a managed network that is not built.
pub(super) fn is_missing(world: &World, workspace: &str) -> bool {
    world.networks.get(workspace).is_some_and(|network| network.isolation != Isolation::Disabled && !network.active)
}
