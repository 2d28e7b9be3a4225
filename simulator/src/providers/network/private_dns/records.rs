//! Record sets of private DNS zones.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{self, Etag, Patch, Proposal, ResourceType, at_once};
use crate::routes::{Route, row};
use crate::settings::ZoneGroupRecords;
use crate::world::World;

use super::{VERSIONS, zones};

/// Which DNS zone group wrote a record, by key; nobody is shown it.
const WRITER: &str = "writtenBy";

const NAMES: &[&str] = &[
    "ttl",
    "metadata",
    "aRecords",
    "ipv4Address",
    "aaaaRecords",
    "ipv6Address",
    "cnameRecord",
    "cname",
    "mxRecords",
    "preference",
    "exchange",
    "ptrRecords",
    "ptrdname",
    "soaRecord",
    "host",
    "email",
    "serialNumber",
    "refreshTime",
    "retryTime",
    "expireTime",
    "minimumTtl",
    "srvRecords",
    "priority",
    "weight",
    "port",
    "target",
    "txtRecords",
    "value",
];

/// Every type, with the member of `properties` that holds its records.
const MEMBERS: &[(&str, &str)] = &[
    ("A", "aRecords"),
    ("AAAA", "aaaaRecords"),
    ("CNAME", "cnameRecord"),
    ("MX", "mxRecords"),
    ("PTR", "ptrRecords"),
    ("SOA", "soaRecord"),
    ("SRV", "srvRecords"),
    ("TXT", "txtRecords"),
];

const fn record(kind: &'static str) -> ResourceType {
    ResourceType {
        kind,
        accept,
        removable,
        render,
        names: NAMES,
        tracked: false,
        shows_state: false,
        create: at_once("recordSetPut", 201),
        update: at_once("recordSetPut", 200),
        patch: Some((Patch::Merge, at_once("recordSetPatch", 200))),
        delete: at_once("recordSetDelete", 200),
        etag: Etag::Conditional,
        ..ResourceType::DEFAULT
    }
}

macro_rules! record_types {
    ($($kind:literal),*) => {
        pub(in super::super) const A: ResourceType = record("Microsoft.Network/privateDnsZones/A");
        pub(in super::super) const AAAA: ResourceType = record("Microsoft.Network/privateDnsZones/AAAA");
        pub(in super::super) const CNAME: ResourceType = record("Microsoft.Network/privateDnsZones/CNAME");
        pub(in super::super) const MX: ResourceType = record("Microsoft.Network/privateDnsZones/MX");
        pub(in super::super) const PTR: ResourceType = record("Microsoft.Network/privateDnsZones/PTR");
        pub(in super::super) const SOA: ResourceType = record("Microsoft.Network/privateDnsZones/SOA");
        pub(in super::super) const SRV: ResourceType = record("Microsoft.Network/privateDnsZones/SRV");
        pub(in super::super) const TXT: ResourceType = record("Microsoft.Network/privateDnsZones/TXT");

        pub(in super::super) const ROUTES: &[Route] = &[
            $(
                row("GET", record_types!(@list $kind), VERSIONS, list),
                row("GET", record_types!(@one $kind), VERSIONS, |call| resource_type::get(lower(call))),
                row("PUT", record_types!(@one $kind), VERSIONS, |call| resource_type::put(lower(call))),
                row("PATCH", record_types!(@one $kind), VERSIONS, |call| resource_type::patch(lower(call))),
                row("DELETE", record_types!(@one $kind), VERSIONS, |call| resource_type::delete(lower(call))),
            )*
            row("GET", record_types!(@list "ALL"), VERSIONS, list),
        ];
    };
    (@list $kind:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/privateDnsZones/{}/", $kind)
    };
    (@one $kind:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/privateDnsZones/{}/", $kind, "/{}")
    };
}

record_types!("A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV", "TXT");

/// Names of records are stored in lower case (examples of OpenAPI privatedns 2024-06-01).
fn lower<'a, 'b>(call: &'a mut Call<'b>) -> &'a mut Call<'b> {
    let name = ids::name(&call.path).to_lowercase();
    call.path = format!("{}/{name}", call.path.rsplit_once('/').map_or("", |(before, _)| before));
    call
}

/// The record sets of a zone, as stored.
pub(super) fn of_zone<'a>(world: &'a World, zone: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let is_record = |document: &&Value| {
        let kind = document["type"].as_str().map(ids::name).unwrap_or_default();
        MEMBERS.iter().any(|(known, _)| *known == kind)
    };
    world.below(&ids::key(zone)).map(|(_, document)| document).filter(is_record)
}

/// One type, or `ALL`; `$recordsetnamesuffix` is the end of the names.
fn list(call: &mut Call<'_>) -> Answer {
    let (zone, wanted) = (ids::ancestor(&call.path, 8), ids::name(&call.path).to_uppercase());
    call.world.resource(&zone)?;
    let suffix = call.request.query("$recordsetnamesuffix").unwrap_or_default().to_lowercase();
    let fits = |document: &&Value| {
        let kind = document["type"].as_str().map(ids::name).unwrap_or_default();
        (wanted == "ALL" || kind == wanted) && document["name"].as_str().is_some_and(|name| name.ends_with(&suffix))
    };
    let found = of_zone(call.world, &zone).filter(fits);
    let items = found.map(|document| resource_type::render(call.world, document)).collect();
    Ok(call.page(items, "$skipToken"))
}

fn bad(message: impl Into<String>) -> ArmError {
    ArmError::new(400, "BadRequest", message)
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let kind = ids::name(&ids::resource_type(proposal.id).unwrap_or_default()).to_uppercase();
    let (name, zone) = (ids::name(proposal.id), ids::parent(proposal.id));
    let given = &proposal.body["properties"];
    let member = MEMBERS.iter().find(|(known, _)| *known == kind).map_or("", |(_, member)| member);
    if kind == "SOA" && proposal.existing.is_none() {
        return Err(bad("A zone has one SOA record, '@', which comes with it."));
    }
    // Chosen: what is not stated is an hour.
    let ttl = if given["ttl"].is_null() { json!(3600) } else { given["ttl"].clone() };
    if ttl.as_u64().is_none_or(|ttl| ttl > u64::from(u32::MAX >> 1)) {
        return Err(bad(format!("The TTL {ttl} is not valid.")));
    }
    let records = match kind.as_str() {
        "CNAME" => given[member].clone(),
        "SOA" => start_of(given, proposal.existing)?,
        _ => json!(given[member].as_array().cloned().unwrap_or_default()),
    };
    judge(&kind, name, &records)?;
    let others = of_zone(world, &zone).filter(|other| other["name"] == json!(name) && other["type"] != json!(""));
    let mut kinds = others.filter_map(|other| other["type"].as_str().map(ids::name)).filter(|other| *other != kind);
    // A name with a CNAME has nothing else (RFC 1034, 3.6.2). Chosen: code and sentence.
    if kinds.any(|other| other == "CNAME" || kind == "CNAME") {
        return Err(bad(format!("The name '{name}' would have a CNAME record beside another one.")));
    }
    let mut properties = json!({ "ttl": ttl, member: records });
    if given["metadata"].is_object() {
        properties["metadata"] = given["metadata"].clone();
    }
    Ok(json!({ "properties": properties }))
}

/// Only what follows the host may be changed.
fn start_of(given: &Value, existing: Option<&Value>) -> Result<Value, ArmError> {
    let mut record = existing.map(|existing| existing["properties"]["soaRecord"].clone()).unwrap_or_default();
    for name in ["email", "serialNumber", "refreshTime", "retryTime", "expireTime", "minimumTtl"] {
        let wanted = &given["soaRecord"][name];
        if !wanted.is_null() {
            record[name] = wanted.clone();
        }
    }
    Ok(record)
}

fn judge(kind: &str, name: &str, records: &Value) -> Result<(), ArmError> {
    let items = records.as_array().map(Vec::as_slice).unwrap_or_default();
    let all = |good: fn(&Value) -> bool| items.iter().all(good);
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let valid = match kind {
        "A" => all(|item| item["ipv4Address"].as_str().is_some_and(|address| address.parse::<Ipv4Addr>().is_ok())),
        "AAAA" => all(|item| item["ipv6Address"].as_str().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())),
        "CNAME" => name != "@" && text(&records["cname"]),
        "MX" => all(|item| item["exchange"].is_string() && item["preference"].is_u64()),
        "PTR" => all(|item| item["ptrdname"].is_string()),
        "SRV" => all(|item| item["target"].is_string() && item["port"].is_u64()),
        "TXT" => all(|item| item["value"].is_array()),
        _ => true,
    };
    let is_single = matches!(kind, "CNAME" | "SOA");
    // Chosen: a set without records is refused.
    if valid && (is_single || !items.is_empty()) {
        return Ok(());
    }
    Err(bad(format!("The records of the {kind} record set '{name}' are not valid.")))
}

/// Chosen: code and sentence with which the SOA record refuses to be deleted alone.
fn removable(_: &World, document: &Value) -> Result<(), ArmError> {
    let kind = document["type"].as_str().map(ids::name).unwrap_or_default();
    if kind == "SOA" { Err(bad("The SOA record of a zone goes with the zone only.")) } else { Ok(()) }
}

fn render(_: &World, document: Value) -> Value {
    let mut record = document;
    let id = record["id"].as_str().unwrap_or_default();
    let (name, zone) = (ids::name(id), ids::ancestor(id, 8));
    let zone = ids::name(&zone);
    let fqdn = if name == "@" { format!("{zone}.") } else { format!("{name}.{zone}.") };
    record["properties"]["fqdn"] = json!(fqdn);
    record["properties"]["isAutoRegistered"] = json!(false);
    if let Some(members) = record.as_object_mut() {
        members.remove(WRITER);
    }
    record
}

/// Gives a new zone its SOA record (values: example of OpenAPI privatedns 2024-06-01).
pub(super) fn start_of_authority(world: &mut World, zone: &str) {
    let id = world.resources.get(zone).and_then(|zone| zone["id"].as_str()).map(|id| format!("{id}/SOA/@"));
    let Some(id) = id.filter(|id| !world.resources.contains_key(&ids::key(id))) else { return };
    let record = json!({
        "host": "azureprivatedns.net", "email": "azureprivatedns-hostmaster.microsoft.com", "serialNumber": 1,
        "refreshTime": 3600, "retryTime": 300, "expireTime": 2_419_200, "minimumTtl": 300,
    });
    insert(world, &id, SOA.kind, json!({ "ttl": 3600, "soaRecord": record }), None);
}

fn insert(world: &mut World, id: &str, kind: &str, properties: Value, writer: Option<&str>) {
    let key = ids::key(id);
    let mut document = json!({ "id": id, "name": ids::name(id), "type": kind, "properties": properties });
    if let Some(writer) = writer {
        document[WRITER] = json!(writer);
    }
    world.resources.insert(key.clone(), document);
    world.renew_etag(&key);
}

/// The id of an A record set.
pub(in super::super) fn address_id(zone: &str, name: &str) -> String {
    format!("{zone}/A/{}", name.to_lowercase())
}

/// Writes an A record set for a DNS zone group, over whatever stands there.
pub(in super::super) fn write_addresses(
    world: &mut World,
    zone: &str,
    name: &str,
    ttl: u32,
    addresses: &Value,
    writer: &str,
) {
    let records: Vec<Value> =
        addresses.as_array().into_iter().flatten().map(|address| json!({ "ipv4Address": address })).collect();
    let zone_id = world.resources.get(&ids::key(zone)).and_then(|zone| zone["id"].as_str()).map(str::to_owned);
    // A zone that was deleted meanwhile takes no records.
    let Some(zone_id) = zone_id else { return };
    let properties = json!({ "ttl": ttl, "aRecords": records });
    insert(world, &address_id(&zone_id, name), A.kind, properties, Some(writer));
}

/// Takes an A record set of a DNS zone group away, which another group may have written over.
pub(in super::super) fn withdraw(world: &mut World, zone: &str, name: &str, writer: &str) {
    let key = ids::key(&address_id(zone, name));
    let by_name = world.settings.zone_group_records == ZoneGroupRecords::DeletedByName;
    let own = world.resources.get(&key).is_some_and(|record| record[WRITER] == json!(writer));
    if by_name || own {
        world.remove(&key);
    }
}

/// The keys of the record sets that a DNS zone group wrote last.
pub(in super::super) fn written_by(world: &World, writer: &str) -> Vec<String> {
    let zones = world.all_of(zones::TYPE.kind);
    let records = zones.flat_map(|zone| of_zone(world, zone["id"].as_str().unwrap_or_default()));
    let own = records.filter(|record| record[WRITER] == json!(writer));
    own.filter_map(|record| record["id"].as_str().map(ids::key)).collect()
}
