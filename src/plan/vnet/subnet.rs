//! Whether private endpoints can be made, and lie in a subnet: asked before the first is made.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::azure::network::{Subnet, VirtualNetwork};
use crate::plan::outcome::{Reason, Verdict};

use super::{Obstacles, Places};

/// The container bridge of computes: a network in this range cannot be reached from them (Microsoft: "Secure an Azure Machine Learning
/// workspace with virtual networks").
const BRIDGE: &str = "172.17.0.0/16";

/// The subnet, if `needed` more addresses can be had in it.
///
/// # Errors
/// With the verdict to report if not.
pub(super) fn usable<'a>(network: &'a VirtualNetwork, places: &Places, needed: u128) -> Result<&'a Subnet, Verdict> {
    let id = &places.subnet;
    let refuse = |why: String| Err(Verdict::new(Reason::SubnetNotUsable, format!("subnet {}: {why}", id.name())));
    let same = |subnet: &&Subnet| subnet.id.as_deref().is_some_and(|shown| shown.eq_ignore_ascii_case(id.as_str()));
    let Some(subnet) = network.subnets().find(same) else {
        let message = format!(
            "the network {} has no subnet {}; create it, or correct subnet.resourceId",
            places.network,
            id.name()
        );
        return Err(Verdict::new(Reason::ParentMissing, message));
    };
    let own = &subnet.properties;
    if let Some(delegation) = own.delegations.iter().flatten().next() {
        let service = delegation["properties"]["serviceName"].as_str().unwrap_or("a service");
        return refuse(format!("it is delegated to {service}, and takes no private endpoints; name another one"));
    }
    if own.private_endpoint_network_policies.as_deref().is_some_and(|policies| policies.eq_ignore_ascii_case("Enabled"))
    {
        return refuse(
            "its network policies for private endpoints are on; whoever owns it sets privateEndpointNetworkPolicies: Disabled".into(),
        );
    }
    let bridge: Option<IpNet> = BRIDGE.parse().ok();
    let meets = |prefix: &IpNet| {
        bridge
            .is_some_and(|bridge| bridge.contains(&prefix.network()) || prefix.contains(&IpAddr::from([172, 17, 0, 0])))
    };
    if subnet.prefixes().iter().any(meets) {
        return refuse(format!(
            "it lies in {BRIDGE}, which the containers of computes use themselves; name another one"
        ));
    }
    let room = subnet.room();
    if room < needed {
        return refuse(format!("the endpoints need {needed} addresses, and {room} are free; give it a larger prefix"));
    }
    Ok(subnet)
}

/// Refuses what Azure would refuse for the sake of its order.
///
/// # Errors
/// With the verdict to report.
pub(super) fn unhindered(obstacles: &Obstacles, places: &Places) -> Result<(), Verdict> {
    if let Some(state) = &obstacles.unregistered {
        let message = format!(
            "the provider Microsoft.Network is {state} in the subscription of {}; register it: az provider register --namespace \
             Microsoft.Network --subscription {}",
            places.endpoints,
            places.subscription()
        );
        return Err(Verdict::new(Reason::ProviderNotRegistered, message));
    }
    if let Some(lock) = &obstacles.lock {
        let message =
            format!("the lock {lock} is ReadOnly, so that no private endpoint can be made; whoever set it removes it");
        return Err(Verdict::new(Reason::Locked, message));
    }
    Ok(())
}
