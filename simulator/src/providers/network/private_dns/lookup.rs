//! What private zones answer to the networks that are linked to them.

use std::net::IpAddr;

use serde_json::Value;

use crate::ids;
use crate::operations::State;
use crate::world::World;

use super::super::common::id_of;
use super::{links, records, zones};

/// A zone that answers for a name.
pub(crate) struct Zone {
    pub(crate) id: String,
    /// Whether the public DNS is asked for what the zone does not have.
    pub(crate) redirects: bool,
}

/// What a zone has under a name.
pub(crate) enum Lookup {
    Addresses(Vec<IpAddr>),
    Alias(String),
    /// The name is there, but neither addresses nor an alias.
    OtherRecords,
    Nothing,
}

/// The zone that answers for a name in a network: of those that are linked, the longest in which the name lies. A link
/// counts as soon as it is made.
pub(crate) fn zone_for(world: &World, network: &str, name: &str) -> Option<Zone> {
    let linked = |zone: &Value| {
        let zone_id = zone["id"].as_str().unwrap_or_default();
        let link = world.children(zone_id, links::KIND).find(|link| {
            id_of(&link["properties"]["virtualNetwork"]).is_some_and(|theirs| ids::key(theirs) == ids::key(network))
        })?;
        let latest = world.operations.latest(&ids::key(link["id"].as_str().unwrap_or_default()));
        let being_made = matches!(latest, Some((links::CREATION, State::Running)));
        // Only for zones of private links (OpenAPI privatedns 2024-06-01, resolutionPolicy).
        let redirects = link["properties"]["resolutionPolicy"] == "NxDomainRedirect"
            && ids::name(zone_id).to_lowercase().starts_with("privatelink.");
        (!being_made).then(|| Zone { id: zone_id.to_owned(), redirects })
    };
    let holds = |zone: &&Value| relative(ids::name(zone["id"].as_str().unwrap_or_default()), name).is_some();
    world.all_of(zones::TYPE.kind).filter(holds).filter_map(linked).max_by_key(|zone| ids::name(&zone.id).len())
}

/// A name as a zone has it in its records, if it lies in the zone.
fn relative(zone: &str, name: &str) -> Option<String> {
    let rest = name.strip_suffix(&zone.to_lowercase())?;
    if rest.is_empty() { Some("@".to_owned()) } else { rest.strip_suffix('.').map(str::to_owned) }
}

/// What a zone has under a name: its own records, else those of the wildcard below the closest name that is there (RFC
/// 4592).
pub(crate) fn look_up(world: &World, zone: &str, name: &str) -> Lookup {
    let Some(wanted) = relative(ids::name(zone), name) else { return Lookup::Nothing };
    let all: Vec<&Value> = records::of_zone(world, zone).collect();
    let named = |name: &str| all.iter().copied().filter(|record| record["name"] == name).collect::<Vec<_>>();
    let is_above = |name: &str| {
        let below = format!(".{name}");
        all.iter().any(|record| record["name"].as_str().is_some_and(|other| other == name || other.ends_with(&below)))
    };
    if is_above(&wanted) {
        return content(&named(&wanted));
    }
    let mut rest = wanted.as_str();
    while rest != "@" {
        let parent = rest.split_once('.').map_or("", |(_, parent)| parent);
        let wildcard = if parent.is_empty() { "*".to_owned() } else { format!("*.{parent}") };
        let found = named(&wildcard);
        if !found.is_empty() {
            return content(&found);
        }
        if parent.is_empty() || is_above(parent) {
            break;
        }
        rest = parent;
    }
    Lookup::Nothing
}

/// What the record sets of one name say.
fn content(sets: &[&Value]) -> Lookup {
    if let Some(alias) = sets.iter().find_map(|set| set["properties"]["cnameRecord"]["cname"].as_str()) {
        return Lookup::Alias(alias.trim_end_matches('.').to_lowercase());
    }
    let list = |name: &str| sets.iter().find_map(|set| set["properties"][name].as_array()).cloned().unwrap_or_default();
    let v4 = list("aRecords").into_iter().map(|record| record["ipv4Address"].clone());
    let v6 = list("aaaaRecords").into_iter().map(|record| record["ipv6Address"].clone());
    let addresses: Vec<IpAddr> = v4.chain(v6).filter_map(|address| address.as_str()?.parse().ok()).collect();
    if addresses.is_empty() { Lookup::OtherRecords } else { Lookup::Addresses(addresses) }
}
