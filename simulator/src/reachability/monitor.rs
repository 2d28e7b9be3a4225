//! Azure Monitor, whose components and workspaces share most of their names, and whose private endpoints lead to a scope
//! that holds many of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::firewall::Judgement;
use super::hosts::{HostName, Member, Served};
use super::reach::Way;
use crate::body;
use crate::ids;
use crate::providers::insights;
use crate::resource_type;
use crate::world::World;

const SCOPE: &str = "Microsoft.Insights/privateLinkScopes";
const COMPONENT: &str = "Microsoft.Insights/components";
const WORKSPACE: &str = "Microsoft.OperationalInsights/workspaces";
const GROUP: &str = "azuremonitor";

/// The names that every scope has: domain and what stands before it (users' count of a scope's addresses, Microsoft's page
/// on private links of Azure Monitor).
const GLOBAL: &[(&str, &str)] = &[
    ("api", MONITOR),
    ("global.in.ai", MONITOR),
    ("profiler", MONITOR),
    ("live", MONITOR),
    ("diagservices-query", MONITOR),
    ("snapshot", MONITOR),
    ("global.handler.control", MONITOR),
    ("scadvisorcontentpl", "blob.core.windows.net"),
];

const MONITOR: &str = "monitor.azure.com";

/// The domains in which a log workspace has a name made of its id.
const OF_WORKSPACES: &[&str] =
    &["oms.opinsights.azure.com", "ods.opinsights.azure.com", "agentsvc.azure-automation.net"];

fn is(document: &Value, kind: &str) -> bool {
    document["type"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(kind))
}

/// Whether a resource is a private link scope.
pub(super) fn is_scope(resource: &Value) -> bool {
    is(resource, SCOPE)
}

/// Whether a resource is one of those that a scope can hold.
pub(super) fn is_monitored(resource: &Value) -> bool {
    is(resource, COMPONENT) || is(resource, WORKSPACE)
}

fn host(world: &World, name: &str, domain: &str) -> HostName {
    let domain = world.settings.cloud.spell(domain);
    HostName { host: format!("{name}.{domain}"), zone: format!("privatelink.{domain}"), record: name.to_owned() }
}

/// Where the telemetry of a component goes in its region. Chosen: the number in the first one's name.
fn regional(world: &World, component: &Value) -> [HostName; 2] {
    let region = body::location(component["location"].as_str().unwrap_or_default());
    [format!("{region}-0.in.ai"), format!("{region}.livediagnostics")].map(|name| host(world, &name, MONITOR))
}

/// The names of a log workspace.
fn of_workspace(world: &World, workspace: &Value) -> Vec<HostName> {
    let shown = resource_type::render(world, workspace);
    let Some(id) = shown["properties"]["customerId"].as_str() else { return Vec::new() };
    OF_WORKSPACES.iter().map(|domain| host(world, id, domain)).collect()
}

/// The host names of a component or log workspace, the one that both are asked by first.
pub(super) fn served<'a>(world: &'a World, resource: &'a Value) -> Vec<Served<'a>> {
    let own: Vec<HostName> = if is(resource, COMPONENT) {
        regional(world, resource).into()
    } else if is(resource, WORKSPACE) {
        of_workspace(world, resource)
    } else {
        return Vec::new();
    };
    let all = std::iter::once(host(world, "api", MONITOR)).chain(own);
    let group = || GROUP.to_owned();
    all.map(|name| Served { resource, group: group(), member: name.record.clone(), name, shared: true, endpoint: None })
        .collect()
}

/// The members of a scope: an address for each global name, two for each region with a component, three for each region
/// with a log workspace, which the workspaces there share. Chosen: what they are called.
pub(super) fn members(world: &World, scope: &Value) -> Vec<Member> {
    let member = |name: String, names: Vec<HostName>| Member { group: GROUP.to_owned(), name, names };
    let of_one = |name: HostName| member(name.record.clone(), vec![name]);
    let mut found: Vec<Member> = GLOBAL.iter().map(|(name, domain)| of_one(host(world, name, domain))).collect();
    let held: Vec<&Value> = insights::scoped(world, ids_of(scope)).collect();
    let region = |resource: &Value| body::location(resource["location"].as_str().unwrap_or_default());
    let components = held.iter().filter(|resource| is(resource, COMPONENT));
    let mut seen = BTreeSet::new();
    for component in components.filter(|component| seen.insert(region(component))) {
        found.extend(regional(world, component).map(of_one));
    }
    let workspaces: Vec<&Value> = held.iter().copied().filter(|resource| is(resource, WORKSPACE)).collect();
    for region_of in workspaces.iter().map(|workspace| region(workspace)).collect::<BTreeSet<_>>() {
        let here = || workspaces.iter().filter(|workspace| region(workspace) == region_of);
        for (index, domain) in OF_WORKSPACES.iter().enumerate() {
            let names = here().filter_map(|workspace| of_workspace(world, workspace).get(index).cloned()).collect();
            let word = domain.split('.').next().unwrap_or_default();
            found.push(member(format!("{word}_{region_of}"), names));
        }
    }
    found
}

fn ids_of(document: &Value) -> &str {
    document["id"].as_str().unwrap_or_default()
}

/// Whether a name is asked for what was recorded; by the others telemetry comes in.
fn is_query(served: &Served<'_>) -> bool {
    served.name.record == "api"
}

/// Judges a client who comes from the public network, or from a private one in which nothing is closed.
pub(super) fn judge_public(world: &World, served: &Served<'_>) -> Judgement {
    let shown = resource_type::render(world, served.resource);
    let (member, what) = if is_query(served) {
        ("publicNetworkAccessForQuery", "queries")
    } else {
        ("publicNetworkAccessForIngestion", "ingestion")
    };
    if shown["properties"][member] == "Disabled" {
        return Err(format!("Its public network access is disabled for {what}."));
    }
    Ok((Way::Public, format!("Its public network access is enabled for {what}.")))
}

/// Judges a client whose private endpoint leads to a scope that does not hold the resource: a scope in open mode lets it
/// through to what is public, one in private mode to nothing (Microsoft's page on access modes).
pub(super) fn judge_unscoped(world: &World, scope: &Value, served: &Served<'_>) -> Judgement {
    let mode = if is_query(served) { "queryAccessMode" } else { "ingestionAccessMode" };
    if scope["properties"]["accessModeSettings"][mode] == "PrivateOnly" {
        let name = ids::name(ids_of(scope));
        return Err(format!("The private link scope '{name}' does not hold it, and is in mode PrivateOnly."));
    }
    judge_public(world, served)
}
