//! What a network gets an endpoint for.

use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::{NetworkRole, VnetAttachmentSpec};
use crate::api::workspace::AmlWorkspaceSpec;
use crate::azure::machine_learning::Workspace;
use crate::azure::network::PRIVATE_ENDPOINTS;
use crate::azure::private_link::groups;
use crate::plan::attached::Site;
use crate::plan::names;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::Owner;
use crate::plan::resources;

use super::Places;

/// One endpoint that shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where it leads.
    pub id: ArmId,
    /// The sub-resource, as ARM spells it.
    pub group: String,
    /// How many addresses it takes.
    pub addresses: u128,
    /// The zones that the object names for it; empty for those that Azure names.
    pub zones: Vec<String>,
}

impl Target {
    /// What it is called in messages.
    pub fn words(&self) -> String {
        format!("{}/{}", self.id.name(), self.group)
    }
}

/// An endpoint of a workspace has one address each for the workspace, its notebooks and its online endpoints (Microsoft: "Use custom
/// DNS").
const WORKSPACE_ADDRESSES: u128 = 3;
/// A registry has one for itself and one for its data.
const REGISTRY_ADDRESSES: u128 = 2;
/// A private link scope has one for each service of Azure Monitor.
const MONITOR_ADDRESSES: u128 = 11;

/// Everything that the network gets an endpoint for. What the workspace is made of is taken from its object; a registry that Azure made for
/// it, from what ARM shows.
///
/// # Errors
/// With the verdict to report if an id cannot be read or a sub-resource cannot be.
pub fn targets(
    spec: &VnetAttachmentSpec,
    workspace: &AmlWorkspaceSpec,
    id: &ArmId,
    shown: &Workspace,
) -> Result<Vec<Target>, Verdict> {
    let read = |text: &str| ArmId::parse(text).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()));
    let target =
        |id: ArmId, group: &str, addresses| Target { id, group: group.to_owned(), addresses, zones: Vec::new() };
    let ids: Vec<(&str, String)> = resources::ids(workspace, id).collect();
    let declared = |field: &str| ids.iter().find(|(name, _)| *name == field).map(|(_, id)| id.as_str());
    let mut targets = vec![target(id.clone(), "amlworkspace", WORKSPACE_ADDRESSES)];
    if let Some(storage) = declared("storageAccount").or(shown.properties.storage_account.as_deref()) {
        let storage = read(storage)?;
        targets.extend(spec.storage().into_iter().map(|service| target(storage.clone(), service.as_str(), 1)));
    }
    let vault = declared("keyVault").or(shown.properties.key_vault.as_deref());
    if let Some(vault) = vault.filter(|_| spec.role == NetworkRole::Services) {
        targets.push(target(read(vault)?, "vault", 1));
    }
    let registry = declared("containerRegistry").or(shown.properties.container_registry.as_deref());
    if let Some(registry) = registry.filter(|_| spec.role != NetworkRole::Clients) {
        targets.push(target(read(registry)?, "registry", REGISTRY_ADDRESSES));
    }
    if let Some(scope) = &spec.monitor_private_link_scope {
        targets.push(target(read(&scope.resource_id)?, "azuremonitor", MONITOR_ADDRESSES));
    }
    for extra in &spec.extra_targets {
        let id = read(&extra.resource_id)?;
        for group in &extra.subresources {
            let known = groups(&id.type_());
            let spelled = known.and_then(|known| known.iter().find(|one| one.eq_ignore_ascii_case(group)));
            if let (Some(known), None) = (known, spelled) {
                let message = format!(
                    "extraTargets: {id} has no sub-resource {group:?}; a {} has {}",
                    id.type_(),
                    known.join(", ")
                );
                return Err(Verdict::new(Reason::Invalid, message));
            }
            let group = spelled.map_or(group.as_str(), |group| *group);
            targets.push(Target { zones: extra.zones.clone(), ..target(id.clone(), group, 1) });
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    targets.retain(|target| seen.insert((target.id.key(), target.group.to_ascii_lowercase())));
    Ok(targets)
}

/// The id of the endpoint that `owner` has for `target`: its name follows from the object and the target, so that losing all status loses
/// nothing.
///
/// # Errors
/// With the verdict to report if the group's path makes no id.
pub fn endpoint_id(owner: &Owner, places: &Places, target: &Target) -> Result<ArmId, Verdict> {
    let parts =
        [&owner.installation, &owner.namespace, &owner.name, &target.id.key(), &target.group.to_ascii_lowercase()];
    let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    let name = names::derived(&format!("{}-{}", owner.name, target.group), &parts);
    let id = format!("{}/providers/{PRIVATE_ENDPOINTS}/{name}", places.endpoints);
    ArmId::parse(&id).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
}

/// Refuses what no grant allows, before Azure is asked.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &VnetAttachmentSpec, site: &Site<'_>) -> Result<(), Verdict> {
    let places = Places::of(spec)?;
    site.fence.allows(Verb::Reach, &places.subnet)?;
    // Reading the network tells what lies in it, which reaching one of its subnets includes.
    let shown = Workspace::default();
    let shown = site.view.workspace.as_ref().unwrap_or(&shown);
    for target in targets(spec, &site.workspace.spec, site.id, shown)? {
        site.fence.allows(Verb::Reach, &target.id)?;
        site.fence.allows_reading(&endpoint_id(site.owner, &places, &target)?)?;
    }
    if spec.dns_mode() != crate::api::vnet_attachment::DnsMode::Custom {
        // A name that no zone has: whether the group may be written to at all.
        site.fence.allows_some(Verb::Dns, &places.zones)?;
    }
    Ok(())
}
