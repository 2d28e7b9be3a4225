//! Name resolution, as Azure's DNS does it for a virtual network and as the public one does for everybody.

use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::hosts;
use super::vantage::Vantage;
use crate::connections::Connection;
use crate::ids;
use crate::providers::network::{self, Lookup};
use crate::world::World;

/// Where Azure's own DNS answers, from inside every network (Microsoft's page on that address).
const AZURE_DNS: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// How many aliases are followed; who leads in a circle gets no answer.
const MOST_ALIASES: usize = 16;

/// How a query ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Answer {
    /// There are addresses.
    Found,
    /// NXDOMAIN.
    NoSuchName,
    /// The name is there, and has no address.
    NoAddress,
    /// Nobody answers: the network's DNS server is none that the simulator knows, or aliases lead in a circle.
    Silence,
}

/// What a host name is at some place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// The name that was asked for.
    pub name: String,
    /// How it ended.
    pub answer: Answer,
    /// The aliases that were followed, in their order.
    pub aliases: Vec<String>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The private DNS zone that had the last word; nothing if it was the public DNS.
    pub zone: Option<String>,
    /// Whether a private zone said that there is no such name, and the public DNS was asked instead
    /// (`resolutionPolicy: NxDomainRedirect`).
    pub redirected: bool,
}

/// One step: an end, or another name.
enum Step {
    Addresses(Vec<IpAddr>),
    Alias(String),
    End(Answer),
}

pub(super) fn resolve(world: &World, from: &Vantage, name: &str) -> Resolution {
    let asked = name.trim_end_matches('.').to_lowercase();
    let mut resolution = Resolution {
        name: asked.clone(),
        answer: Answer::Silence,
        aliases: Vec::new(),
        addresses: Vec::new(),
        zone: None,
        redirected: false,
    };
    let network = match from {
        Vantage::Network { network, .. } => match server(world, network) {
            Some(network) => Some(network),
            None => return resolution,
        },
        Vantage::Internet | Vantage::Address(_) | Vantage::Service(_) => None,
    };
    let mut current = asked;
    for _ in 0..MOST_ALIASES {
        match step(world, network.as_deref(), &current, &mut resolution) {
            Step::Addresses(addresses) => {
                (resolution.answer, resolution.addresses) = (Answer::Found, addresses);
                return resolution;
            }
            Step::Alias(next) => {
                resolution.aliases.push(next.clone());
                current = next;
            }
            Step::End(answer) => {
                resolution.answer = answer;
                return resolution;
            }
        }
    }
    resolution
}

/// The network whose private zones answer for a network: its own, unless it has DNS servers of its own. Chosen: a server
/// in a network that can be seen from there forwards to Azure's DNS where it stands (as Microsoft's page on custom DNS
/// advises); of any other one nothing is known. Of several, the first that is known answers.
fn server(world: &World, network: &str) -> Option<String> {
    let servers = network::dns_servers(world, network);
    if servers.is_empty() {
        return Some(network.to_owned());
    }
    let seen = network::in_sight(world, network);
    servers.iter().find_map(|server| {
        if *server == IpAddr::V4(AZURE_DNS) {
            return Some(network.to_owned());
        }
        seen.iter().find(|seen| network::holds(world, seen, *server)).cloned()
    })
}

/// The longest zone that is linked to the network answers alone for what lies in it, also by saying that there is no
/// such name; the public DNS answers for the rest.
fn step(world: &World, network: Option<&str>, name: &str, resolution: &mut Resolution) -> Step {
    let zone = network.and_then(|network| network::zone_for(world, network, name));
    let Some(zone) = zone else {
        resolution.zone = None;
        return public(world, name);
    };
    resolution.zone = Some(zone.id.clone());
    match network::look_up(world, &zone.id, name) {
        Lookup::Addresses(addresses) => Step::Addresses(addresses),
        Lookup::Alias(alias) => Step::Alias(alias),
        Lookup::OtherRecords => Step::End(Answer::NoAddress),
        Lookup::Nothing if zone.redirects => {
            (resolution.zone, resolution.redirected) = (None, true);
            public(world, name)
        }
        Lookup::Nothing => Step::End(Answer::NoSuchName),
    }
}

/// Whether somebody is connected to a resource by one of its groups. A service that states no groups is one group.
fn is_connected(world: &World, resource: &str, group: &str) -> bool {
    let by_group = |connection: &Connection| {
        let mut groups = connection.groups.iter();
        connection.groups.is_empty() || groups.any(|theirs| theirs.eq_ignore_ascii_case(group))
    };
    world.connections_on(resource).any(|connection| connection.status == "Approved" && by_group(connection))
}

/// The public DNS knows the services of this world and nothing else. A service that has an endpoint is an alias of a name
/// below `privatelink`, and that one is an address of the service (Microsoft's page on private endpoint DNS).
fn public(world: &World, name: &str) -> Step {
    let Some(served) = hosts::find(world, name) else { return Step::End(Answer::NoSuchName) };
    let resource = served.resource["id"].as_str().unwrap_or_default();
    if served.name.host == name && (served.shared || is_connected(world, resource, &served.group)) {
        return Step::Alias(served.name.alias());
    }
    // An address of a block for documentation: nobody shall reach it.
    let last = ids::guid(&["public address", resource, &served.group]).as_bytes()[0];
    Step::Addresses(vec![IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))])
}
