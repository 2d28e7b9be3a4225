//! The networks from which the workspace is used: whether names lead where they should, and what gets out.

use std::collections::BTreeSet;

use crate::api::ids::ArmId;
use crate::api::workspace::Check;

use super::dependency::{DependencyKind, Exposure, PrivateConnection};
use super::facts::{Facts, Network, NetworkSubnet};
use super::security_group::Way;
use super::{Sight, connections};

pub(super) fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let mut sights = Vec::new();
    let mut subnets = BTreeSet::new();
    for network in facts.networks {
        sights.push(names(network));
        // Several attachments may share a subnet.
        if let Some(subnet) = network.subnet.as_ref().filter(|subnet| subnets.insert(subnet.id.to_ascii_lowercase())) {
            sights.extend(outbound(facts, subnet));
        }
    }
    // Two attachments of one network are one place: what one of them lacks is a flaw there.
    let mut merged: Vec<Sight> = Vec::new();
    for sight in sights {
        match merged
            .iter_mut()
            .find(|known| known.check == sight.check && known.resource.eq_ignore_ascii_case(&sight.resource))
        {
            Some(known) if known.state <= sight.state => {}
            Some(known) => *known = sight,
            None => merged.push(sight),
        }
    }
    merged.push(line_of_sight(facts));
    merged
}

fn names(network: &Network) -> Sight {
    let check = Check::DnsIncomplete;
    if let Some(why) = &network.unseen {
        return Sight::unknown(check, &network.id, format!("VnetAttachment {}: {why}", network.attachment));
    }
    if network.custom_dns {
        let words = "DNS servers of your own answer there, which the operator cannot ask (dns.mode: Custom)";
        return Sight::unknown(check, &network.id, format!("VnetAttachment {}: {words}", network.attachment));
    }
    let approved = network.endpoints.iter().filter(|endpoint| endpoint.approved);
    let missing: Vec<String> = approved
        .filter_map(|endpoint| {
            let words = endpoint.names_missing.as_ref()?;
            Some(format!("{}/{}: {words}", endpoint.target.rsplit('/').next().unwrap_or_default(), endpoint.group))
        })
        .collect();
    Sight::of(check, &network.id, !missing.is_empty(), missing.join(". ")).about(&network.attachment)
}

fn outbound(facts: &Facts<'_>, subnet: &NetworkSubnet) -> Vec<Sight> {
    let (lacks, storage) = (Check::SecurityGroupLacksRules, Check::StorageWithoutEndpointPolicy);
    let both = |state: fn(Check, &str, String) -> Sight, why: &str| {
        vec![state(lacks, &subnet.id, why.to_owned()), state(storage, &subnet.id, why.to_owned())]
    };
    let group = match &subnet.security_group {
        // Security groups do not stop what private endpoints answer, and nothing else is there.
        _ if subnet.endpoints_only => return both(|check, id, _| Sight::pass(check, id), ""),
        // Whoever has no group has another way to limit what gets out, or wants none.
        None => return both(|check, id, _| Sight::pass(check, id), ""),
        Some(Err(why)) => {
            return both(Sight::unknown, &format!("its security group is not known: {why}"));
        }
        Some(Ok(group)) => group,
    };
    let region = facts.region();
    let (missing, open) = group.lacks(&region, &subnet.prefixes);
    let words = format!("{} lets nothing out to {}", group.id, missing.join(", "));
    let rules = if open {
        Sight::unknown(lacks, &subnet.id, format!("{words}, unless its rules by addresses do"))
    } else {
        Sight::of(lacks, &subnet.id, !missing.is_empty(), words)
    };
    let limited = subnet.endpoint_policies
        && subnet.service_endpoints.iter().any(|service| service.to_ascii_lowercase().starts_with("microsoft.storage"));
    let opens = match group.opens_storage(&region, &subnet.prefixes) {
        _ if limited => Sight::pass(storage, &subnet.id),
        Way::Stopped => Sight::pass(storage, &subnet.id),
        Way::Out => {
            let words = format!(
                "{} lets out to every storage account of the region, strangers' too, and no service endpoint policy limits it",
                group.id
            );
            Sight::fail(storage, &subnet.id, words)
        }
        Way::Unknown => {
            Sight::unknown(storage, &subnet.id, format!("{} has rules by addresses, which may be storage", group.id))
        }
    };
    vec![rules, opens]
}

/// Where the private endpoints of one resource lie.
#[derive(Debug, Default)]
struct Places {
    /// In these attached networks, by id in lower case.
    networks: BTreeSet<String>,
    /// Also in some that no attachment names.
    elsewhere: bool,
}

fn places(facts: &Facts<'_>, target: &str, connections: &[PrivateConnection]) -> Places {
    let mut places = Places::default();
    let leads = |id: &str| id.eq_ignore_ascii_case(target);
    for network in facts.networks {
        if network.endpoints.iter().any(|endpoint| endpoint.approved && leads(&endpoint.target)) {
            places.networks.insert(network.id.to_ascii_lowercase());
        }
    }
    // A stranger's network is no place to work from, and a managed one no client's.
    places.elsewhere = connections::attribute(facts, target, connections).iter().any(|(connection, whose)| {
        connection.is("Approved") && *whose == connections::Whose::Ours && !facts.is_attached(&connection.endpoint)
    });
    places
}

/// Microsoft: "Use Azure Machine Learning studio in an Azure virtual network": with private endpoints, those of workspace and storage lie in
/// one network; with a service endpoint, the workspace's lies in a subnet that the account lets in.
fn line_of_sight(facts: &Facts<'_>) -> Sight {
    let check = Check::NoLineOfSight;
    let id = facts.id.as_str();
    let own = places(facts, id, &connections::of_workspace(facts));
    let storage = facts.dependencies.iter().find(|dependency| dependency.kind == DependencyKind::Storage);
    let (Some(storage), false) = (storage, own.networks.is_empty() && !own.elsewhere) else {
        // Nobody works privately.
        return Sight::pass(check, id);
    };
    let shown = match &storage.shown {
        Ok(shown) => shown,
        Err(why) => return Sight::unknown(check, id, format!("the storage account's endpoints are not known: {why}")),
    };
    let theirs = places(facts, &storage.id, &shown.connections);
    let unseen = facts.networks.iter().any(|network| network.unseen.is_some());
    let private = !theirs.networks.is_empty() || theirs.elsewhere;
    if own.networks.intersection(&theirs.networks).next().is_some() {
        return Sight::pass(check, id);
    }
    if !private && matches!(shown.exposure, Exposure::Open(_)) {
        return Sight::pass(check, id);
    }
    // With a service endpoint, the subnet of the workspace's private endpoint has to be among those that the account lets in.
    let by_service = !private && matches!(shown.exposure, Exposure::Selected(_)) && !shown.subnets.is_empty();
    let lets_in = |subnet: &NetworkSubnet| shown.subnets.iter().any(|known| known.eq_ignore_ascii_case(&subnet.id));
    let meets = |network: &Network| {
        own.networks.contains(&network.id.to_ascii_lowercase()) && network.subnet.as_ref().is_some_and(lets_in)
    };
    if by_service && facts.networks.iter().any(meets) {
        return Sight::pass(check, id);
    }
    let name = |networks: &BTreeSet<String>, elsewhere: bool| {
        let names = networks.iter().filter_map(|network| ArmId::parse(network).ok().map(|id| id.name().to_owned()));
        let mut names: Vec<String> = names.collect();
        names.extend(elsewhere.then(|| "networks that no VnetAttachment names".to_owned()));
        if names.is_empty() { "no network".to_owned() } else { names.join(", ") }
    };
    let account = storage.id.rsplit('/').next().unwrap_or_default();
    let there = if by_service {
        format!("{account} lets in {} by service endpoints", shown.subnets.join(", "))
    } else {
        format!("those of {account} in {}", name(&theirs.networks, theirs.elsewhere))
    };
    let evidence = format!("private endpoints of the workspace lie in {}, {there}", name(&own.networks, own.elsewhere));
    // They could meet where nobody looked.
    let open = unseen || own.elsewhere && (private || by_service) || theirs.elsewhere;
    if open { Sight::unknown(check, id, evidence) } else { Sight::fail(check, id, evidence) }
}
