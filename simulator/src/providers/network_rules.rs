//! What the firewalls of data accounts have in common: addresses, and subnets that must be fit for them.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::ids;
use crate::world::World;

/// Whether a text is an IPv4 address, or a range in CIDR notation.
pub(super) fn is_range(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
        None => (text, Some(32)),
    };
    address.parse::<Ipv4Addr>().is_ok() && prefix.is_some_and(|prefix| prefix <= 32)
}

/// Why a subnet cannot be let in.
pub(super) enum SubnetFault {
    /// The id is not one of a subnet.
    BadId,
    /// What the service says after "Validation of network acls failure: " (sentences as users quote them).
    Refused(String),
}

/// Whether traffic from a subnet can be let in to a service: the subnet must exist, be settled and have the service's
/// endpoint. Subnets of subscriptions that the simulator does not have are not judged.
pub(super) fn check_subnet(world: &World, id: &str, service: &str) -> Result<(), SubnetFault> {
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
    let endpoints = document["properties"]["serviceEndpoints"].as_array().into_iter().flatten();
    let has = |endpoint: &Value| {
        let name = endpoint["service"].as_str().unwrap_or_default();
        // `Microsoft.Storage.Global` is good for every region.
        name.eq_ignore_ascii_case(service) || name.eq_ignore_ascii_case(&format!("{service}.Global"))
    };
    if endpoints.into_iter().any(has) {
        return Ok(());
    }
    Err(SubnetFault::Refused(format!(
        "SubnetsHaveNoServiceEndpointsConfigured:Subnets {subnet} of virtual network {network} do not have \
         ServiceEndpoints for {service} resources configured. Add {service} to subnet's ServiceEndpoints collection \
         before trying to ACL {service} resources to these subnets.."
    )))
}
