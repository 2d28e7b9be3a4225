//! Who uses a security group, a route table or a public address: read from the users themselves.

use serde_json::Value;

use crate::ids;
use crate::world::World;

use super::common::id_of;
use super::{interfaces, subnets, virtual_networks};

fn is(reference: &Value, id: &str) -> bool {
    id_of(reference).is_some_and(|theirs| ids::key(theirs) == ids::key(id))
}

/// The ids of the subnets whose `member` refers to `id`.
pub(super) fn subnets_with(world: &World, member: &str, id: &str) -> Vec<String> {
    let networks = world.all_of(virtual_networks::TYPE.kind);
    let subnets =
        networks.flat_map(|network| world.children(network["id"].as_str().unwrap_or_default(), subnets::TYPE.kind));
    let using = subnets.filter(|subnet| is(&subnet["properties"][member], id));
    using.filter_map(|subnet| subnet["id"].as_str().map(str::to_owned)).collect()
}

/// The ids of the subnets that have a service endpoint policy.
pub(super) fn subnets_with_policy(world: &World, id: &str) -> Vec<String> {
    let has = |subnet: &&Value| {
        let mut policies = subnet["properties"]["serviceEndpointPolicies"].as_array().into_iter().flatten();
        policies.any(|policy| is(policy, id))
    };
    let networks = world.all_of(virtual_networks::TYPE.kind);
    let subnets =
        networks.flat_map(|network| world.children(network["id"].as_str().unwrap_or_default(), subnets::TYPE.kind));
    subnets.filter(has).filter_map(|subnet| subnet["id"].as_str().map(str::to_owned)).collect()
}

/// The ids of the network interfaces with a security group.
pub(super) fn interfaces_with_group(world: &World, id: &str) -> Vec<String> {
    let using = world.all_of(interfaces::TYPE.kind).filter(|nic| is(&nic["properties"]["networkSecurityGroup"], id));
    using.filter_map(|nic| nic["id"].as_str().map(str::to_owned)).collect()
}

/// The id of the IP configuration with a public address.
pub(super) fn configuration_with_address(world: &World, id: &str) -> Option<String> {
    let configurations =
        world.all_of(interfaces::TYPE.kind).flat_map(|nic| nic["properties"]["ipConfigurations"].as_array()).flatten();
    let mut using = configurations.filter(|item| is(&item["properties"]["publicIPAddress"], id));
    using.find_map(|item| item["id"].as_str().map(str::to_owned))
}
