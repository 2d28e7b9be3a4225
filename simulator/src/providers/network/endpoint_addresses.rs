//! The addresses of a private endpoint: one for each member of the groups that it connects to.

use std::net::IpAddr;

use serde_json::Value;

use crate::error::ArmError;
use crate::ids;
use crate::reachability::hosts::{self, Member};
use crate::world::World;

use super::common::{id_of, invalid};
use super::endpoints::{Wanted, interface, interface_id, wanted};
use super::interfaces::{self, Address};
use super::{subnets, zone_groups};

/// A target without groups (a private link service) has one nameless member.
pub(super) fn members(world: &World, target: &Value, wanted: &Wanted) -> Vec<Member> {
    let one = [String::new()];
    hosts::members(world, target, if wanted.groups.is_empty() { &one } else { &wanted.groups })
}

/// The members of an existing endpoint, in the order of its addresses.
pub(super) fn members_of(world: &World, endpoint: &Value) -> Vec<Member> {
    let Ok(wanted) = wanted(endpoint) else { return Vec::new() };
    world.resources.get(&ids::key(&wanted.target)).map(|target| members(world, target, &wanted)).unwrap_or_default()
}

/// An address for each member: those asked for, else the next free ones of the subnet.
pub(super) fn addresses(
    world: &World,
    id: &str,
    body: &Value,
    subnet: &Value,
    members: &[Member],
) -> Result<Vec<Address>, ArmError> {
    let asked = body["properties"]["ipConfigurations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if asked.is_empty() {
        let free = subnets::free_addresses(world, subnet, members.len(), &[])?;
        return Ok(members.iter().zip(free).map(|(member, free)| address_of(member, free, None)).collect());
    }
    let same = |value: &Value, name: &str| value.as_str().unwrap_or_default().eq_ignore_ascii_case(name);
    let mut found: Vec<Address> = Vec::new();
    for member in members {
        let fits = |item: &&Value| {
            same(&item["properties"]["groupId"], &member.group) && same(&item["properties"]["memberName"], &member.name)
        };
        let Some(item) = asked.iter().find(fits) else {
            // Chosen: code and sentence for a member without its static address, as users quote them.
            let message = format!(
                "Private Endpoint {id} contains static ipconfigurations and its missing these membernames/groupids \
                 requested by Private Link service [GroupId: {}, MemberName: {}]. Private Endpoint needs to be \
                 reconfigured with missing memberNames.",
                member.group, member.name
            );
            return Err(ArmError::new(400, "PrivateEndpointIpConfigurationMissingMemberNamesRequiredByFps", message));
        };
        let text = item["properties"]["privateIPAddress"].as_str().unwrap_or_default();
        let wanted = text.parse().map_err(|_| invalid(format!("'{text}' is not an IP address.")))?;
        subnets::check_static(world, subnet, wanted, id)?;
        if found.iter().any(|other| other.address == wanted) {
            return Err(invalid(format!("The IP address {wanted} is asked for twice.")));
        }
        found.push(address_of(member, wanted, item["name"].as_str().map(str::to_owned)));
    }
    Ok(found)
}

/// Gives the endpoints of a target the members that it has now; whoever has an address keeps it. Chosen: a subnet without
/// room leaves an endpoint as it is.
pub(crate) fn refresh(world: &mut World, target: &str) {
    let endpoints: Vec<String> = world.raised_on(target).map(|connection| ids::key(&connection.endpoint)).collect();
    for key in endpoints {
        let Some(endpoint) = world.resources.get(&key).cloned() else { continue };
        let Some(addresses) = present_addresses(world, &endpoint) else { continue };
        let subnet = id_of(&endpoint["properties"]["subnet"]).unwrap_or_default();
        interfaces::readdress(world, &interface_id(&endpoint), subnet, &addresses);
        zone_groups::refresh(world, &key);
    }
}

/// An address for each member that an endpoint should have now.
fn present_addresses(world: &World, endpoint: &Value) -> Option<Vec<Address>> {
    let items = interface(world, endpoint)?["properties"]["ipConfigurations"].as_array()?;
    let subnet = world.resource(id_of(&endpoint["properties"]["subnet"])?).ok()?;
    let held = |member: &Member| -> Option<(IpAddr, Option<String>)> {
        let properties = &items.iter().find(|item| is_of(item, member))?["properties"];
        let asked = properties["privateIPAllocationMethod"] == "Static";
        let name = items.iter().find(|item| is_of(item, member))?["name"].as_str().filter(|_| asked);
        Some((properties["privateIPAddress"].as_str()?.parse().ok()?, name.map(str::to_owned)))
    };
    let members = members_of(world, endpoint);
    let missing = members.iter().filter(|member| held(member).is_none()).count();
    let mut free = subnets::free_addresses(world, subnet, missing, &[]).ok()?.into_iter();
    let mut address = |member: &Member| {
        let (address, chosen_as) = held(member).or_else(|| Some((free.next()?, None)))?;
        Some(address_of(member, address, chosen_as))
    };
    members.iter().map(&mut address).collect()
}

/// Whether an IP configuration is the one of a member.
fn is_of(item: &Value, member: &Member) -> bool {
    let link = &item["properties"]["privateLinkConnectionProperties"];
    link["groupId"] == member.group.as_str() && link["requiredMemberName"] == member.name.as_str()
}

fn address_of(member: &Member, address: IpAddr, chosen_as: Option<String>) -> Address {
    Address {
        address,
        chosen_as,
        group: member.group.clone(),
        member: member.name.clone(),
        hosts: member.names.iter().map(|name| name.host.clone()).collect(),
    }
}
