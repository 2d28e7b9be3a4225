//! What the firewalls of data accounts have in common: addresses, and subnets that must be fit for them.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::ids;
use crate::world::World;

/// Whether a text is an IPv4 address, or a range in CIDR notation.
pub(crate) fn is_range(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
        None => (text, Some(32)),
    };
    address.parse::<Ipv4Addr>().is_ok() && prefix.is_some_and(|prefix| prefix <= 32)
}

/// Why a subnet cannot be let in.
pub(crate) enum SubnetFault {
    /// The id is not one of a subnet.
    BadId,
    /// What the service says after "Validation of network acls failure: " (sentences as users quote them).
    Refused(String),
}

/// Whether traffic from a subnet can be let in to a service: the subnet must exist, be settled and have the service's
/// endpoint. Subnets of subscriptions that the simulator does not have are not judged.
pub(crate) fn check_subnet(world: &World, id: &str, service: &str) -> Result<(), SubnetFault> {
    let kind = ids::resource_type(id).unwrap_or_default();
    if !kind.eq_ignore_ascii_case("Microsoft.Network/virtualNetworks/subnets") {
        return Err(SubnetFault::BadId);
    }
    if ids::subscription(id).is_none_or(|subscription| !world.subscriptions.contains_key(&ids::key(subscription))) {
        return Ok(());
    }
    let (subnet, network) = (ids::name(id), ids::parent(id));
    let Some(document) = world.resources.get(&ids::key(id)) else {
        // Chosen: the whole sentence for a subnet that there is not, after the one for a subnet that is not settled.
        let message = format!("SubnetsNotFound:Subnets {subnet} of virtual network {network} were not found.");
        return Err(SubnetFault::Refused(message));
    };
    if world.operations.running().any(|operation| operation.resource == ids::key(id)) {
        return Err(SubnetFault::Refused(format!(
            "SubnetsNotProvisioned:Cannot proceed with operation because subnets {subnet} of the virtual network \
             {network} are not provisioned. They are in Updating state.."
        )));
    }
    let mut endpoints = document["properties"]["serviceEndpoints"].as_array().into_iter().flatten();
    if endpoints.any(|endpoint| is_of(endpoint["service"].as_str().unwrap_or_default(), service)) {
        return Ok(());
    }
    Err(SubnetFault::Refused(format!(
        "SubnetsHaveNoServiceEndpointsConfigured:Subnets {subnet} of virtual network {network} do not have \
         ServiceEndpoints for {service} resources configured. Add {service} to subnet's ServiceEndpoints collection \
         before trying to ACL {service} resources to these subnets.."
    )))
}

/// Whether a service endpoint is one of a service; `Microsoft.Storage.Global` is good for every region.
fn is_of(endpoint: &str, service: &str) -> bool {
    endpoint.eq_ignore_ascii_case(service) || endpoint.eq_ignore_ascii_case(&format!("{service}.Global"))
}

/// The service endpoint policy of a subnet because of which a resource cannot be reached over the subnet's service
/// endpoint: one that speaks of the service but not of the resource, its group or its subscription.
pub(crate) fn excluding_policy(world: &World, subnet: &str, service: &str, resource: &Value) -> Option<String> {
    let id = resource["id"].as_str().unwrap_or_default();
    let subnet = world.resources.get(&ids::key(subnet))?;
    let policies = subnet["properties"]["serviceEndpointPolicies"].as_array().into_iter().flatten();
    let policies: Vec<&str> = policies.filter_map(|policy| policy["id"].as_str()).collect();
    let definitions = |policy: &str| world.below(&ids::key(policy)).map(|(_, definition)| &definition["properties"]);
    let speaks = |definition: &&Value| is_of(definition["service"].as_str().unwrap_or_default(), service);
    let mut of_service = policies.iter().flat_map(|policy| definitions(policy)).filter(speaks).peekable();
    of_service.peek()?;
    let names = |definition: &Value| {
        let mut resources = definition["serviceResources"].as_array().into_iter().flatten();
        resources.any(|named| named.as_str().is_some_and(|named| ids::contains(named, id)))
    };
    if of_service.any(names) { None } else { policies.first().map(|policy| ids::name(policy).to_owned()) }
}
