//! Reads the network, the endpoints in it, and the zones that answer for them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::obstacles::obstacles;
use super::{Remembered, siblings};
use crate::api::VnetAttachment;
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::DnsMode;
use crate::azure::client::{Client, Priority};
use crate::azure::error::ErrorClass;
use crate::azure::network::{
    API_VERSION, DNS_API_VERSION, LinkResource, NetworkInterface, PRIVATE_ZONES, PrivateEndpoint, RecordSet,
    VirtualNetwork, ZoneLink, read,
};
use crate::azure::private_link::{Connection, Dialect, Listing};
use crate::controllers::attached::Scene;
use crate::plan::vnet::{
    GROUP, Observed, Places, Seen, SeenZone, Target, endpoint_id, records_of_interest, targets, zone_names,
};
use crate::plan::{Reason, Verdict};

/// How long what a target says of its sub-resources is believed.
const ZONES_BELIEVED: Duration = Duration::from_secs(12 * 3600);
/// How many endpoints of others are looked at for one that can be reused, and how many zones of others for one that is linked.
const CANDIDATES: usize = 20;

/// Reads a resource that may be absent.
pub(super) async fn find<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    version: &str,
    priority: Priority,
) -> Result<Option<T>, Verdict> {
    let found = client.find(path, version, priority).await;
    let found = found.map_err(|error| Verdict::of_error(&format!("reading {path}"), &error))?;
    let unreadable =
        |error| Verdict::new(Reason::AzureRefused, format!("what Azure shows of {path} cannot be read: {error}"));
    found.map(|value| read(value).map_err(unreadable)).transpose()
}

/// Reads a resource whose group may be absent too: then it is absent.
async fn find_deep<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    version: &str,
    priority: Priority,
) -> Result<Option<T>, Verdict> {
    match find(client, path, version, priority).await {
        Err(verdict) if verdict.reason == Reason::ParentMissing => Ok(None),
        found => found,
    }
}

/// Reads all that the decision needs.
pub(super) async fn observe(
    object: &VnetAttachment,
    scene: &Scene<'_>,
    extra: &mut Remembered,
) -> Result<Observed, Verdict> {
    let mut observed = Observed {
        peers: siblings::peers(object, scene),
        others: siblings::others(object, scene),
        ..Observed::default()
    };
    let Ok(shown) = scene.site.shown() else { return Ok(observed) };
    let places = Places::of(&object.spec)?;
    let targets = targets(&object.spec, &scene.site.workspace.spec, scene.site.id, shown)?;
    let client = &scene.connected.client;
    let network: Option<VirtualNetwork> = find(client, places.network.as_str(), API_VERSION, scene.priority).await?;
    let Some(network) = network else { return Ok(observed) };
    for target in &targets {
        observed.endpoints.push(endpoint(object, scene, &places, &network, target, extra).await?);
    }
    observed.network = Some(network);
    observed.obstacles = obstacles(scene, &places, &observed).await?;
    if object.spec.dns_mode() != DnsMode::Custom {
        zones(object, scene, &places, &mut observed).await?;
    }
    Ok(observed)
}

/// Reads one endpoint, or one in the same network that can be used instead.
async fn endpoint(
    object: &VnetAttachment,
    scene: &Scene<'_>,
    places: &Places,
    network: &VirtualNetwork,
    target: &Target,
    extra: &mut Remembered,
) -> Result<Seen, Verdict> {
    let client = &scene.connected.client;
    let id = endpoint_id(scene.site.owner, places, target)?;
    let own: Option<PrivateEndpoint> = find_deep(client, id.as_str(), API_VERSION, scene.priority).await?;
    let stated = stated_zones(scene, target, extra).await;
    let mut seen = Seen { zones: zone_names(target, &stated, scene.connected.spec.cloud), ..Seen::default() };
    match &own {
        Some(shown) => {
            let version = format!("{} {}", id.key(), shown.etag.as_deref().unwrap_or_default());
            if !shown.is_approved() && extra.asked.insert(version.clone()) {
                // A policy may have been waiting for it.
                scene.context.ask_policies_on(target.id.as_str());
            }
            if !shown.is_moving() {
                seen.names = names(scene, &id, &version, extra).await?;
            }
            if shown.is_approved() && object.spec.dns_mode() != DnsMode::Custom {
                let path = format!("{id}/privateDnsZoneGroups/{GROUP}");
                seen.group = find(client, &path, API_VERSION, scene.priority).await?;
            }
        }
        None => {
            seen.reusable = reusable(scene, network, target).await?;
            if seen.reusable.is_none() {
                seen.maker = siblings::maker(object, scene, places, target);
            }
            if let Some((_, shown)) = &seen.reusable {
                let configs = shown.properties.custom_dns_configs.iter().flatten();
                seen.names = configs
                    .filter_map(|config| {
                        let address = config.ip_addresses.iter().flatten().next()?.parse().ok()?;
                        Some((config.fqdn.clone()?.to_ascii_lowercase(), address))
                    })
                    .collect();
            }
        }
    }
    seen.own = own;
    Ok(seen)
}

/// The names of an own endpoint, by its interface, whose name the operator chose. Read once for each version of the endpoint.
async fn names(
    scene: &Scene<'_>,
    endpoint: &ArmId,
    version: &str,
    extra: &mut Remembered,
) -> Result<Vec<(String, std::net::IpAddr)>, Verdict> {
    if let Some(known) = extra.names.get(version) {
        return Ok(known.clone());
    }
    let group = endpoint.as_str().rsplit_once("/providers/").map_or("", |(group, _)| group);
    let path = format!("{group}/providers/Microsoft.Network/networkInterfaces/{}-nic", endpoint.name());
    let interface: Option<NetworkInterface> = find(&scene.connected.client, &path, API_VERSION, scene.priority).await?;
    let names = interface.map(|interface| interface.names()).unwrap_or_default();
    if !names.is_empty() {
        let own = format!("{} ", endpoint.key());
        extra.names.retain(|known, _| !known.starts_with(&own));
        extra.names.insert(version.to_owned(), names.clone());
    }
    Ok(names)
}

/// What a target says of the zones of its sub-resource; nothing if it does not say, or may not be asked.
async fn stated_zones(scene: &Scene<'_>, target: &Target, extra: &mut Remembered) -> Vec<String> {
    let now = scene.site.now;
    let key = target.id.key();
    let believed =
        |at: jiff::Timestamp| now.duration_since(at).try_into().is_ok_and(|age: Duration| age < ZONES_BELIEVED);
    let known = extra.zones.get(&key).filter(|(at, _)| believed(*at));
    if known.is_none() {
        let Some(dialect) = Dialect::of(&target.id.type_()) else { return Vec::new() };
        let path = format!("{}/privateLinkResources", target.id);
        let Ok(listed) = scene.connected.client.list(&path, dialect.api_version, scene.priority).await else {
            return Vec::new();
        };
        let resources = listed.into_iter().filter_map(|value| read::<LinkResource>(value).ok());
        let zones = resources.filter_map(|resource| {
            let group = resource.properties.group_id?.to_ascii_lowercase();
            Some((group, resource.properties.required_zone_names.unwrap_or_default()))
        });
        extra.zones.insert(key.clone(), (now, zones.collect()));
    }
    let zones = extra.zones.get(&key).map(|(_, zones)| zones);
    zones.and_then(|zones| zones.get(&target.group.to_ascii_lowercase())).cloned().unwrap_or_default()
}

/// An approved endpoint in the same network that leads to `target`. Only what this namespace may read is looked at.
async fn reusable(
    scene: &Scene<'_>,
    network: &VirtualNetwork,
    target: &Target,
) -> Result<Option<(ArmId, PrivateEndpoint)>, Verdict> {
    let client = &scene.connected.client;
    let connections: Vec<String> = if target.id == *scene.site.id {
        let shown = scene.site.view.workspace.as_ref();
        shown.map(|shown| shown.private_paths().map(ToOwned::to_owned).collect()).unwrap_or_default()
    } else {
        approved_on(client, target, scene.priority).await?
    };
    let here = |id: &&String| network.endpoints().any(|endpoint| endpoint.eq_ignore_ascii_case(id));
    for id in connections.iter().filter(here).take(CANDIDATES) {
        let Ok(id) = ArmId::parse(id) else { continue };
        if scene.site.fence.allows_reading(&id).is_err() {
            continue;
        }
        let found: Option<PrivateEndpoint> = match find(client, id.as_str(), API_VERSION, scene.priority).await {
            Ok(found) => found,
            // One that the operator may not read is no help, and no harm.
            Err(verdict) if verdict.reason == Reason::AuthorizationFailed => None,
            Err(verdict) => return Err(verdict),
        };
        let fits =
            |endpoint: &PrivateEndpoint| endpoint.is_approved() && endpoint.leads_to(target.id.as_str(), &target.group);
        if let Some(endpoint) = found.filter(fits) {
            return Ok(Some((id, endpoint)));
        }
    }
    Ok(None)
}

/// Ids of the endpoints that are approved on `target`; none if the operator may not list them.
async fn approved_on(client: &Client, target: &Target, priority: Priority) -> Result<Vec<String>, Verdict> {
    let Some(dialect) = Dialect::of(&target.id.type_()) else { return Ok(Vec::new()) };
    let listed = match dialect.listing {
        Listing::Children => {
            let path = format!("{}/privateEndpointConnections", target.id);
            client.list(&path, dialect.api_version, priority).await
        }
        Listing::Member(version) => client
            .get(target.id.as_str(), version, priority)
            .await
            .map(|shown| shown["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default()),
    };
    match listed {
        Ok(listed) => {
            let connections = listed.iter().filter_map(Connection::read).filter(Connection::is_approved);
            Ok(connections.map(|connection| connection.endpoint).collect())
        }
        Err(error) if error.class == ErrorClass::Forbidden => Ok(Vec::new()),
        Err(error) => Err(Verdict::of_error(&format!("reading the connections of {}", target.id), &error)),
    }
}

/// Reads the zones, their links to the network, and the records of interest.
async fn zones(
    object: &VnetAttachment,
    scene: &Scene<'_>,
    places: &Places,
    observed: &mut Observed,
) -> Result<(), Verdict> {
    let client = &scene.connected.client;
    let guid = scene.site.view.workspace.as_ref().and_then(|shown| shown.properties.workspace_id.clone());
    let guid = guid.unwrap_or_default().to_ascii_lowercase();
    let mut interesting: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for seen in &observed.endpoints {
        let approved = seen.own.as_ref().or(seen.reusable.as_ref().map(|(_, shown)| shown));
        let approved = approved.is_some_and(PrivateEndpoint::is_approved);
        for name in &seen.zones {
            let records = interesting.entry(name.clone()).or_default();
            if approved {
                records.extend(records_of_interest(seen, name, &guid));
            }
        }
    }
    let mut namesakes = None;
    for (name, records) in interesting {
        let id = places.zone(&name)?;
        let mut zone = SeenZone {
            zone: find_deep(client, id.as_str(), DNS_API_VERSION, scene.priority).await?,
            ..SeenZone::default()
        };
        if zone.zone.is_some() {
            if object.spec.dns_mode() == DnsMode::Managed {
                zone.link = link(client, &id, &places.network, scene.priority).await?;
            }
            for record in records {
                let path = format!("{id}/A/{record}");
                let found: Option<RecordSet> = find(client, &path, DNS_API_VERSION, scene.priority).await?;
                zone.records.insert(record, found.map(|found| found.addresses()));
            }
        }
        if object.spec.dns_mode() == DnsMode::Managed && zone.link.is_none() {
            let namesakes = match &namesakes {
                Some(known) => known,
                None => namesakes.insert(visible_zones(scene, places).await?),
            };
            zone.elsewhere = linked_elsewhere(scene, places, &id, namesakes).await?;
        }
        observed.zones.insert(name, zone);
    }
    Ok(())
}

/// The private DNS zones in the network's subscription that this namespace may know of; none if the operator may not list them.
async fn visible_zones(scene: &Scene<'_>, places: &Places) -> Result<Vec<ArmId>, Verdict> {
    let path = format!("/subscriptions/{}/providers/{PRIVATE_ZONES}", places.network.subscription());
    let listed = match scene.connected.client.list(&path, DNS_API_VERSION, scene.priority).await {
        Ok(listed) => listed,
        Err(error) if error.class == ErrorClass::Forbidden => return Ok(Vec::new()),
        Err(error) => {
            return Err(Verdict::of_error("reading the private DNS zones of the network's subscription", &error));
        }
    };
    let ids = listed.iter().filter_map(|zone| ArmId::parse(zone["id"].as_str()?).ok());
    Ok(ids.filter(|id| scene.site.fence.allows_reading(id).is_ok()).collect())
}

/// The zone of the same name as `zone` that the network is linked to instead.
async fn linked_elsewhere(
    scene: &Scene<'_>,
    places: &Places,
    zone: &ArmId,
    visible: &[ArmId],
) -> Result<Option<ArmId>, Verdict> {
    let namesake = |id: &&ArmId| *id != zone && id.name().eq_ignore_ascii_case(zone.name());
    for other in visible.iter().filter(namesake).take(CANDIDATES) {
        if link(&scene.connected.client, other, &places.network, scene.priority).await?.is_some() {
            return Ok(Some(other.clone()));
        }
    }
    Ok(None)
}

/// The link of a zone to the network: the one with the operator's name first, since a hub's zone may have a thousand.
async fn link(client: &Client, zone: &ArmId, network: &ArmId, priority: Priority) -> Result<Option<ZoneLink>, Verdict> {
    if let Ok(own) = crate::plan::vnet::link_id(zone, network) {
        let found: Option<ZoneLink> = find(client, own.as_str(), DNS_API_VERSION, priority).await?;
        if let Some(found) = found.filter(|link| link.leads_to(network.as_str())) {
            return Ok(Some(found));
        }
    }
    let path = format!("{zone}/virtualNetworkLinks");
    let listed = client.list(&path, DNS_API_VERSION, priority).await;
    let listed = listed.map_err(|error| Verdict::of_error(&format!("reading the links of {zone}"), &error))?;
    let links = listed.into_iter().filter_map(|value| read::<ZoneLink>(value).ok());
    Ok(links.into_iter().find(|link| link.leads_to(network.as_str())))
}
