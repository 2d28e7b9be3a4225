//! Whom a service lets in by its public address.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::hosts::Served;
use super::monitor;
use super::reach::Way;
use super::vantage::Vantage;
use crate::ids;
use crate::providers::machine_learning::WORKSPACE;
use crate::providers::network_rules;
use crate::resource_type;
use crate::world::World;

/// How somebody gets in, and why; or why not.
pub(super) type Judgement = Result<(Way, String), String>;

/// Services whose subnets and addresses are let in one by one, by children called `firewallRules`, and nobody else.
const RULES_AS_CHILDREN: &[&str] = &[
    "Microsoft.Sql/servers",
    "Microsoft.Synapse/workspaces",
    "Microsoft.DBforPostgreSQL/flexibleServers",
    "Microsoft.DBforMySQL/flexibleServers",
];

/// What subnets call the service endpoint of a namespace, where it is not called like the namespace.
fn service_endpoint(kind: &str) -> &str {
    match kind.split('/').next().unwrap_or_default() {
        "Microsoft.DocumentDB" => "Microsoft.AzureCosmosDB",
        namespace => namespace,
    }
}

/// The public side of a service.
struct Firewall {
    disabled: bool,
    /// Whether only those get in who are let in one by one.
    closed: bool,
    /// Ranges, with first and last address.
    ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    subnets: Vec<String>,
    /// Ids of resources, in which `*` stands for any name.
    instances: Vec<String>,
    trusts_azure: bool,
}

/// First and last address of an address or of a range in CIDR notation.
fn range(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let (address, length) = (u32::from(address.parse::<Ipv4Addr>().ok()?), length.parse::<u32>().ok()?);
    let host = u32::MAX.checked_shr(length).unwrap_or(0);
    Some(((address & !host).into(), (address | host).into()))
}

fn texts<'a>(list: &'a Value, members: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let text = |item: &'a Value| item.as_str().or_else(|| members.iter().find_map(|member| item[*member].as_str()));
    list.as_array().into_iter().flatten().filter_map(text)
}

impl Firewall {
    fn of(world: &World, resource: &Value) -> Self {
        let shown = resource_type::render(world, resource);
        let (id, kind) = (shown["id"].as_str().unwrap_or_default(), shown["type"].as_str().unwrap_or_default());
        let properties = &shown["properties"];
        // Registries have a set of rules, the others lists; Cosmos has them beside all else.
        let set =
            ["networkAcls", "networkRuleSet"].into_iter().map(|name| &properties[name]).find(|set| set.is_object());
        let rules = set.unwrap_or(properties);
        let mut ranges: Vec<_> = texts(&rules["ipRules"], &["value", "ipAddressOrRange"]).filter_map(range).collect();
        ranges.extend(texts(&properties["ipAllowlist"], &[]).filter_map(range));
        let mut subnets: Vec<String> = texts(&rules["virtualNetworkRules"], &["id"]).map(str::to_owned).collect();
        let by_children = RULES_AS_CHILDREN.iter().any(|known| known.eq_ignore_ascii_case(kind));
        if by_children {
            for child in world.below(&ids::key(id)).map(|(_, child)| &child["properties"]) {
                let address = |name: &str| child[name].as_str()?.parse::<Ipv4Addr>().ok();
                ranges.extend(address("startIpAddress").zip(address("endIpAddress")));
                subnets.extend(child["virtualNetworkSubnetId"].as_str().map(str::to_owned));
            }
        }
        let listed = properties["isVirtualNetworkFilterEnabled"] == true || (set.is_none() && !ranges.is_empty());
        let allowlist = properties["ipAllowlist"].as_array().is_some_and(|list| !list.is_empty());
        let access = properties["publicNetworkAccess"].as_str().unwrap_or("Enabled");
        let bypass = rules["bypass"].as_str().or(properties["networkRuleBypassOptions"].as_str());
        let tenant = world.tenant_of(id).unwrap_or_default();
        let instances = rules["resourceAccessRules"].as_array().into_iter().flatten();
        let instances =
            instances.filter(|rule| rule["tenantId"].as_str().is_none_or(|theirs| theirs.eq_ignore_ascii_case(tenant)));
        Self {
            disabled: !access.eq_ignore_ascii_case("enabled"),
            closed: rules["defaultAction"] == "Deny" || by_children || listed || allowlist,
            ranges,
            subnets,
            instances: instances.filter_map(|rule| rule["resourceId"].as_str().map(ids::key)).collect(),
            trusts_azure: bypass.is_some_and(|bypass| bypass.contains("AzureServices")),
        }
    }

    fn lets_in(&self, address: Ipv4Addr) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }

    fn lists(&self, subnet: &str) -> bool {
        self.subnets.iter().any(|listed| ids::key(listed) == ids::key(subnet))
    }
}

/// Judges a client at the public address of a service.
pub(super) fn judge(world: &World, from: &Vantage, served: &Served<'_>) -> Judgement {
    let resource = served.resource;
    if monitor::is_monitored(resource) {
        return monitor::judge_public(world, served);
    }
    let firewall = Firewall::of(world, resource);
    let kind = resource["type"].as_str().unwrap_or_default();
    // An online endpoint has a switch of its own, and honours the workspace's list whatever the workspace's switch says
    // (Microsoft's page on private links of workspaces, "Public access from selected addresses").
    let (disabled, whose) = match served.endpoint {
        Some(endpoint) => (endpoint["properties"]["publicNetworkAccess"] == "Disabled", "The online endpoint's"),
        None => (firewall.disabled, "Its"),
    };
    let shut = || Err(format!("{whose} public network access is disabled."));
    match from {
        Vantage::Service(caller) if kind != WORKSPACE => instance(&firewall, caller, disabled),
        _ if disabled => shut(),
        Vantage::Network { subnet: Some(subnet), .. } => from_subnet(world, &firewall, resource, subnet),
        _ if !firewall.closed => Ok((Way::Public, "Its public network access is enabled for everybody.".into())),
        Vantage::Address(address) if firewall.lets_in(*address) => {
            Ok((Way::Public, format!("The address {address} is among those that it lets in.")))
        }
        Vantage::Address(address) => Err(format!("The address {address} is not among those that it lets in.")),
        Vantage::Network { subnet: None, .. } => {
            Err("It lets in selected subnets and addresses only, and no subnet is stated.".into())
        }
        Vantage::Internet | Vantage::Service(_) => Err("It lets in selected addresses only.".into()),
    }
}

/// Resource instances and trusted services stay let in when public access is disabled (Microsoft's page on the network
/// security of storage accounts). Which services are trusted, and with which roles, is not judged.
fn instance(firewall: &Firewall, caller: &str, disabled: bool) -> Judgement {
    let matches = |pattern: &String| ids::wildcard_lower(pattern, &ids::key(caller));
    if firewall.instances.iter().any(matches) {
        Ok((Way::ResourceInstance, format!("A resource instance rule lets in '{caller}'.")))
    } else if !disabled && !firewall.closed {
        Ok((Way::Public, "Its public network access is enabled for everybody.".into()))
    } else if firewall.trusts_azure {
        Ok((Way::TrustedService, "It lets in trusted services of Azure.".into()))
    } else {
        Err(format!("Neither a resource instance rule nor the bypass for trusted services lets in '{caller}'."))
    }
}

/// A subnet with the service's endpoint is known to the service as this subnet; without, it is some public address.
fn from_subnet(world: &World, firewall: &Firewall, resource: &Value, subnet: &str) -> Judgement {
    let service = service_endpoint(resource["type"].as_str().unwrap_or_default());
    let name = ids::name(subnet);
    let through_endpoint = network_rules::check_subnet(world, subnet, service).is_ok();
    if through_endpoint && let Some(policy) = network_rules::excluding_policy(world, subnet, service, resource) {
        return Err(format!("The service endpoint policy '{policy}' of subnet '{name}' does not name it."));
    }
    match (firewall.lists(subnet), through_endpoint) {
        (true, true) => Ok((Way::ServiceEndpoint, format!("A virtual network rule lets in subnet '{name}'."))),
        _ if !firewall.closed && through_endpoint => {
            Ok((Way::ServiceEndpoint, "Its public network access is enabled for everybody.".into()))
        }
        _ if !firewall.closed => Ok((Way::Public, "Its public network access is enabled for everybody.".into())),
        (true, false) => {
            Err(format!("A virtual network rule names subnet '{name}', which has no service endpoint of {service}."))
        }
        (false, _) => Err(format!("No virtual network rule lets in subnet '{name}'.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_their_prefix_says() {
        let of = |text: &str| range(text).map(|(first, last)| (first.to_string(), last.to_string()));
        let pair = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(of("20.1.2.3"), pair("20.1.2.3", "20.1.2.3"));
        assert_eq!(of("20.1.2.0/24"), pair("20.1.2.0", "20.1.2.255"));
        assert_eq!(of("0.0.0.0/0"), pair("0.0.0.0", "255.255.255.255"));
        assert_eq!((of("20.1.2"), of("everybody")), (None, None));
    }
}
