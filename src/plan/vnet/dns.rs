//! The names: zones, their links to the network, and the zone groups that write records. No record that another endpoint holds is ever
//! overwritten, and a link is made only once there is something behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::json;

use crate::api::OWNER_TAG;
use crate::api::connection::{CloudName, Verb};
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::{DnsMode, ResolutionPolicy};
use crate::azure::network::{API_VERSION, DNS_API_VERSION, is_host};
use crate::azure::private_zones::{record, zones};
use crate::plan::difference::Difference;
use crate::plan::names;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::{Origin, Owner};
use crate::plan::step::Step;

use super::{Endpoint, Findings, Places, Seen, SeenZone, Target, VnetInput};

/// The name of the zone group of an own endpoint. There can be only one.
pub const GROUP: &str = "default";

/// What is known of the names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the endpoint's key: what of its names is missing.
    pub(super) missing: BTreeMap<String, String>,
    /// The zones in use.
    pub(super) zones: Vec<ArmId>,
    /// True if links of this network answer for a workspace's zone, and hide what is not in it.
    pub(super) hides: bool,
}

/// Whose tag zones and links carry: they serve every attachment of the installation.
pub fn shared_owner(installation: &str) -> Owner {
    Owner { installation: installation.to_owned(), kind: "VnetAttachment", namespace: "*".into(), name: "*".into() }
}

/// The zones that answer for `target`: those that the object names, else those that the target itself names (`stated`), else those of
/// Microsoft's table.
pub fn zone_names(target: &Target, stated: &[String], cloud: CloudName) -> Vec<String> {
    let named = if target.zones.is_empty() { stated } else { &target.zones };
    let names: Vec<String> = named.iter().map(|name| name.to_ascii_lowercase()).filter(|name| is_zone(name)).collect();
    if !names.is_empty() {
        return names;
    }
    zones(&target.id.type_(), &target.group, cloud).into_iter().map(ToOwned::to_owned).collect()
}

fn is_zone(name: &str) -> bool {
    is_host(name) && !name.starts_with("*.")
}

/// What the names of `seen` are called in `zone`, with their addresses; `None` if one of its names has no known place in any zone.
fn records(seen: &Seen, zone: &str, guid: &str) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut records: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for (host, address) in &seen.names {
        if let Some(name) = record(host, zone, guid) {
            records.entry(name).or_default().insert(*address);
        }
    }
    records
}

/// What the names need.
pub(super) fn judge(
    input: &VnetInput<'_>,
    places: &Places,
    endpoints: &[Endpoint<'_>],
    findings: &mut Findings,
) -> Names {
    let mut known = Names::default();
    let mode = input.spec.dns_mode();
    if mode == DnsMode::Custom {
        return known;
    }
    let mut seen_zones = BTreeSet::new();
    for endpoint in endpoints {
        let mut lacks = Vec::new();
        if endpoint.seen.zones.is_empty() && !endpoint.target.group.is_empty() {
            let message = format!(
                "no source tells which private DNS zone answers for {}; name it in extraTargets[].zones",
                endpoint.target.words()
            );
            findings.problems.push(Verdict::new(Reason::ZoneMissing, message.clone()));
            lacks.push(message);
        }
        let mut ready = true;
        for name in &endpoint.seen.zones {
            let Ok(id) = places.zone(name) else { continue };
            let none = SeenZone::default();
            let zone = input.observed.zones.get(name).unwrap_or(&none);
            let first = seen_zones.insert(name.clone());
            if first {
                known.zones.push(id.clone());
            }
            ready &= self::zone(input, places, &id, zone, endpoint, first, findings, &mut lacks);
            known.hides |= endpoint.target.group == "amlworkspace" && hides(input, zone);
        }
        if endpoint.is_approved() && ready {
            self::group(input, places, endpoint, findings, &mut lacks);
        } else if endpoint.is_approved() && lacks.is_empty() {
            lacks.push("its zones are not ready yet".to_owned());
        }
        if !lacks.is_empty() {
            known.missing.insert(endpoint.id.key(), lacks.join("; "));
        }
    }
    known
}

/// True if what a zone does not hold does not exist in the network, or will not once it is linked.
fn hides(input: &VnetInput<'_>, seen: &SeenZone) -> bool {
    let dns = input.spec.dns.as_ref();
    match &seen.link {
        Some(link) => !link.asks_the_public_dns(),
        None => {
            input.spec.dns_mode() == DnsMode::Managed
                && dns.and_then(|dns| dns.resolution_policy) == Some(ResolutionPolicy::Default)
        }
    }
}

/// Sees that a zone is there and answers in the network; true if a record in it would be found.
#[allow(clippy::too_many_arguments, reason = "each is one thing, and none belongs to another")]
fn zone(
    input: &VnetInput<'_>,
    places: &Places,
    id: &ArmId,
    seen: &SeenZone,
    endpoint: &Endpoint<'_>,
    first: bool,
    findings: &mut Findings,
    lacks: &mut Vec<String>,
) -> bool {
    let managed = input.spec.dns_mode() == DnsMode::Managed;
    let name = id.name().to_owned();
    let tags = json!({ OWNER_TAG: shared_owner(&input.site.owner.installation).tag(Origin::Created) });
    if let Some(elsewhere) = seen.elsewhere.as_ref().filter(|_| managed && seen.link.is_none()) {
        let message = format!(
            "the network {} is linked to {elsewhere} already, and Azure lets a network have one zone of a name: use that one \
             (dns.zonesResourceGroupId, and mode: ZoneGroups if it is not yours), or have the link removed there",
            places.network
        );
        lacks.push(format!("the network asks another zone {name}"));
        if first {
            findings.problems.push(Verdict::new(Reason::ZoneElsewhere, message));
        }
        return false;
    }
    let Some(zone) = &seen.zone else {
        lacks.push(format!("the zone {name} is missing"));
        if !managed {
            let message = format!(
                "there is no private DNS zone {id}, and dns.mode: ZoneGroups makes none; ask whoever owns the zones, or correct \
                 dns.zonesResourceGroupId"
            );
            findings.problems.push(Verdict::new(Reason::ZoneMissing, message));
        } else if first {
            let verdict = Verdict::new(Reason::Creating, format!("Azure is making the private DNS zone {name}"));
            let body = json!({"location": "global", "tags": tags});
            let step = Step::put(id, DNS_API_VERSION, body, verdict).only_if_absent().needing(Verb::Dns, id);
            findings.steps.push(step);
            findings.differences.push(Difference::of(format!("privateDnsZones/{name}"), None, "there"));
        }
        return false;
    };
    if zone.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Creating")) {
        lacks.push(format!("the zone {name} is being made"));
        findings.problems.push(Verdict::new(Reason::Updating, format!("Azure is making the private DNS zone {name}")));
        return false;
    }
    if !managed {
        return true;
    }
    match &seen.link {
        Some(link) if link.is_moving() => {
            lacks.push(format!("the zone {name} is being linked to the network"));
            let message = format!("Azure is linking the zone {name} to the network");
            findings.problems.push(Verdict::new(Reason::Updating, message));
            false
        }
        Some(_) => true,
        // Linking a zone changes what names mean in the network: only once there is something behind them.
        None if !endpoint.is_approved() => false,
        None => {
            lacks.push(format!("the zone {name} is not linked to the network"));
            if let Ok(link) = link_id(id, &places.network)
                && !findings.steps.iter().any(|step| step.request.id.eq_ignore_ascii_case(link.as_str()))
            {
                let policy = input.spec.dns.as_ref().and_then(|dns| dns.resolution_policy);
                let policy = policy.unwrap_or(ResolutionPolicy::NxDomainRedirect).as_str();
                let verdict =
                    Verdict::new(Reason::Updating, format!("Azure is linking the zone {name} to the network"));
                let body = json!({"location": "global", "tags": tags, "properties": {
                    "virtualNetwork": { "id": places.network.as_str() }, "registrationEnabled": false,
                    "resolutionPolicy": policy,
                }});
                let step = Step::put(&link, DNS_API_VERSION, body, verdict).only_if_absent().needing(Verb::Dns, &link);
                findings.steps.push(step);
                let field = format!("privateDnsZones/{name}/virtualNetworkLinks");
                findings.differences.push(Difference::of(field, None, places.network.name()));
            }
            false
        }
    }
}

/// The id of the link that the operator makes from a zone to a network: the name follows from the network, so that two attachments to one
/// network mean the same link.
pub fn link_id(zone: &ArmId, network: &ArmId) -> Result<ArmId, crate::api::ids::NoArmId> {
    zone.child("virtualNetworkLinks", &names::derived(network.name(), &[&network.key()]))
}

/// Sees that the endpoint's records are written, and that nobody else's are overwritten.
fn group(
    input: &VnetInput<'_>,
    places: &Places,
    endpoint: &Endpoint<'_>,
    findings: &mut Findings,
    lacks: &mut Vec<String>,
) {
    let guid = input.site.view.workspace.as_ref().and_then(|shown| shown.properties.workspace_id.as_deref());
    let guid = guid.unwrap_or_default().to_ascii_lowercase();
    let written = |name: &str| {
        let zone = places.zone(name).map(|id| id.key()).unwrap_or_default();
        endpoint.seen.group.as_ref().is_some_and(|group| group.zones().any(|id| id.eq_ignore_ascii_case(&zone)))
    };
    let (mut missing, mut foreign) = (Vec::new(), Vec::new());
    for name in &endpoint.seen.zones {
        let Some(zone) = input.observed.zones.get(name) else { continue };
        if endpoint.own && !written(name) {
            missing.push(format!("the zone group leaves out {name}"));
        }
        for (record, addresses) in records(endpoint.seen, name, &guid) {
            match zone.records.get(&record) {
                Some(Some(held)) if held.iter().copied().collect::<BTreeSet<_>>() == addresses => {}
                Some(Some(held)) if !held.is_empty() => {
                    let held: Vec<String> = held.iter().map(ToString::to_string).collect();
                    foreign.push(format!("{record} in {name} leads to {}", held.join(", ")));
                }
                Some(_) => missing.push(format!("{record} is not in {name}")),
                None => {}
            }
        }
    }
    if !foreign.is_empty() {
        let message = format!(
            "{}: {}, which another endpoint holds; it is left alone. Reach it through that endpoint (peer the networks), or use zones of this \
             network's own (dns.zonesResourceGroupId)",
            endpoint.target.words(),
            foreign.join("; ")
        );
        findings.problems.push(Verdict::new(Reason::RecordOwned, message));
        lacks.extend(foreign);
        return;
    }
    if missing.is_empty() {
        return;
    }
    if !endpoint.own {
        let message = format!(
            "{}: {}; the private endpoint {} is somebody else's, who has to write its records",
            endpoint.target.words(),
            missing.join("; "),
            endpoint.id
        );
        findings.problems.push(Verdict::new(Reason::ZoneMissing, message));
        lacks.extend(missing);
        return;
    }
    lacks.extend(missing.iter().cloned());
    if endpoint.seen.group.as_ref().is_some_and(crate::azure::network::ZoneGroup::is_moving) {
        let message = format!("Azure is writing the records of {}", endpoint.target.words());
        findings.problems.push(Verdict::new(Reason::Updating, message));
        return;
    }
    let Ok(id) = endpoint.id.child("privateDnsZoneGroups", GROUP) else { return };
    let zones: Vec<ArmId> = endpoint.seen.zones.iter().filter_map(|name| places.zone(name).ok()).collect();
    let configs = zones
        .iter()
        .map(|zone| json!({"name": zone.name().replace('.', "-"), "properties": {"privateDnsZoneId": zone.as_str()}}));
    let body = json!({"properties": {"privateDnsZoneConfigs": configs.collect::<Vec<_>>()}});
    let verdict =
        Verdict::new(Reason::Updating, format!("Azure is writing the records of {}", endpoint.target.words()));
    let mut step = Step::put(&id, API_VERSION, body, verdict).needing(Verb::Create, &endpoint.id);
    for zone in &zones {
        step = step.needing(Verb::Dns, zone);
    }
    step.why = missing.join("; ");
    findings.steps.push(step);
    let differences = missing.iter().map(|words| {
        Difference::of(format!("privateEndpoints/{}/privateDnsZoneGroups", endpoint.id.name()), Some(words), "written")
    });
    findings.differences.extend(differences);
}

/// The records of interest in each zone, for what is read.
pub fn records_of_interest(seen: &Seen, zone: &str, guid: &str) -> Vec<String> {
    records(seen, zone, guid).into_keys().collect()
}
