//! Whether a client gets through to a service.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::firewall;
use super::hosts::{self, Served};
use super::monitor;
use super::resolve::{Answer, Resolution, resolve};
use super::vantage::Vantage;
use crate::ids;
use crate::providers::{insights, network};
use crate::world::World;

/// How a client gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Way {
    /// By a private endpoint.
    PrivateEndpoint,
    /// By the public address, over a service endpoint of the client's subnet.
    ServiceEndpoint,
    /// By the public address, as anybody from outside.
    Public,
    /// By the public address, as the one resource that a rule names.
    ResourceInstance,
    /// By the public address, as a service that Azure trusts.
    TrustedService,
}

/// Whether a client gets through to a host name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// The host name.
    pub name: String,
    /// Whether it gets through.
    pub reachable: bool,
    /// How; nothing if it does not.
    pub way: Option<Way>,
    /// Why, a sentence for people.
    pub reason: String,
    /// The id of the resource that the name belongs to, if it is one in this world.
    pub resource: Option<String>,
    /// The id of the private endpoint that the client meets.
    pub private_endpoint: Option<String>,
    /// What the name is there.
    pub resolution: Resolution,
}

fn id_of(document: &Value) -> String {
    document["id"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn reach(world: &World, from: &Vantage, name: &str) -> Reach {
    let resolution = resolve(world, from, name);
    let served = hosts::find(world, &resolution.name);
    answer(world, from, resolution, served)
}

/// The same for a name of which it is known what serves it: some names are those of several resources.
pub(super) fn reach_served(world: &World, from: &Vantage, served: Served<'_>) -> Reach {
    answer(world, from, resolve(world, from, &served.name.host), Some(served))
}

fn answer(world: &World, from: &Vantage, resolution: Resolution, served: Option<Served<'_>>) -> Reach {
    let mut private_endpoint = None;
    let judgement = judge(world, from, &resolution, served.as_ref(), &mut private_endpoint);
    let (way, reason) = match judgement {
        Ok((way, reason)) => (Some(way), reason),
        Err(reason) => (None, reason),
    };
    Reach {
        name: resolution.name.clone(),
        reachable: way.is_some(),
        way,
        reason,
        resource: served.map(|served| id_of(served.resource)),
        private_endpoint,
        resolution,
    }
}

fn judge(
    world: &World,
    from: &Vantage,
    resolution: &Resolution,
    served: Option<&Served<'_>>,
    private_endpoint: &mut Option<String>,
) -> firewall::Judgement {
    let zone = resolution.zone.as_deref().map(|zone| format!("zone '{}'", ids::name(zone)));
    let told = zone.unwrap_or_else(|| "the public DNS".to_owned());
    let first = match resolution.answer {
        Answer::Found => resolution.addresses.first(),
        Answer::NoSuchName => return Err(format!("There is no such name, says {told}.")),
        Answer::NoAddress => return Err(format!("The name has no address, says {told}.")),
        Answer::Silence => return Err("No DNS server answers that the simulator knows.".into()),
    };
    let (Some(address), Some(served)) = (first, served) else {
        return Err("The name belongs to no service of this world.".into());
    };
    // What a private zone says need not be private: somebody may have written a public address there.
    if is_private(*address) {
        return by_endpoint(world, from, *address, served, private_endpoint);
    }
    firewall::judge(world, from, served)
}

/// Addresses of networks (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(address) => address.octets()[0] & 0xfe == 0xfc,
    }
}

fn by_endpoint(
    world: &World,
    from: &Vantage,
    address: IpAddr,
    served: &Served<'_>,
    private_endpoint: &mut Option<String>,
) -> firewall::Judgement {
    let Vantage::Network { network, .. } = from else {
        return Err(format!("{address} is a private address, which is not reached from outside."));
    };
    let seen = network::in_sight(world, network);
    let network_of = |item: &Value| item["properties"]["subnet"]["id"].as_str().map(ids::parent).unwrap_or_default();
    let is_seen = |item: &Value| seen.iter().any(|seen| ids::key(seen) == ids::key(&network_of(item)));
    let holders: Vec<(&Value, &Value)> = network::interfaces_at(world, address).collect();
    let Some((interface, item)) = holders.iter().find(|(_, item)| is_seen(item)) else {
        let elsewhere = holders.first().map(|(_, item)| network_of(item));
        return Err(match elsewhere {
            Some(other) => format!(
                "No line of sight: {address} lies in network '{}', which is not peered with '{}'.",
                ids::name(&other),
                ids::name(network)
            ),
            None => format!("Nothing has the address {address}."),
        });
    };
    let Some(endpoint) = interface["properties"]["privateEndpoint"]["id"].as_str() else {
        return Err(format!("{address} belongs to '{}', which is no private endpoint.", id_of(interface)));
    };
    *private_endpoint = Some(endpoint.to_owned());
    let name = ids::name(endpoint);
    let resource = id_of(served.resource);
    let target = network::target_of(world, endpoint).unwrap_or_default();
    let link = &item["properties"]["privateLinkConnectionProperties"];
    let is_member = link["groupId"].as_str().is_some_and(|group| group.eq_ignore_ascii_case(&served.group))
        && link["requiredMemberName"].as_str().is_some_and(|member| member.eq_ignore_ascii_case(&served.member));
    let leads_there = match world.resources.get(&ids::key(&target)).filter(|target| monitor::is_scope(target)) {
        Some(scope) => {
            if !insights::is_scoped(world, &target, &resource) {
                return monitor::judge_unscoped(world, scope, served);
            }
            true
        }
        None => ids::key(&target) == ids::key(&resource) && is_member,
    };
    if !leads_there {
        return Err(format!("{address} belongs to private endpoint '{name}', which leads elsewhere."));
    }
    match world.connection_of(endpoint, &target).map(|connection| connection.status.as_str()) {
        Some("Approved") => {
            Ok((Way::PrivateEndpoint, format!("Private endpoint '{name}' is approved and can be seen from there.")))
        }
        Some(status) => Err(format!("The connection of private endpoint '{name}' is {status}.")),
        None => Err(format!("The connection of private endpoint '{name}' was removed by the target.")),
    }
}
