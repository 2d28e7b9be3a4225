//! How many addresses of a network's subnets are in use, and whether one is free.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;

use super::common::invalid;
use super::{interfaces, subnets};

/// How many free addresses are told in place of one that is taken. Chosen.
const OTHERS: usize = 5;

/// `GET …/usages`: for each subnet how many addresses it has and how many are in use. Chosen: the words of the name, as
/// users quote them.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let network = ids::parent(&format!("{}/x", call.path));
    call.world.resource(&network)?;
    let usage = |subnet: &Value| -> Result<Value, ArmError> {
        let id = subnet["id"].as_str().unwrap_or_default();
        let size: f64 = subnets::prefixes(subnet)?.iter().map(|prefix| prefix.size()).sum();
        let used = interfaces::addresses_in(call.world, id).count();
        Ok(json!({
            "id": id, "currentValue": used, "limit": size, "unit": "Count",
            "name": { "value": "SubnetSpace", "localizedValue": "Subnet size and usage" },
        }))
    };
    let usages: Vec<Value> =
        call.world.children(&network, subnets::TYPE.kind).map(usage).collect::<Result<_, ArmError>>()?;
    Ok(Reply::ok(json!({ "value": usages })))
}

/// `GET …/CheckIPAddressAvailability?ipAddress=…`.
pub(super) fn check(call: &mut Call<'_>) -> Answer {
    let network = ids::parent(&format!("{}/x", call.path));
    call.world.resource(&network)?;
    let asked = call.request.query("ipAddress").and_then(|address| address.parse::<IpAddr>().ok());
    let asked = asked.ok_or_else(|| invalid("'ipAddress' is missing or no address."))?;
    for subnet in call.world.children(&network, subnets::TYPE.kind) {
        let prefixes = subnets::prefixes(subnet)?;
        if !prefixes.iter().any(|prefix| prefix.holds(asked)) {
            continue;
        }
        let reserved = prefixes.iter().any(|prefix| prefix.reserves(asked));
        let id = subnet["id"].as_str().unwrap_or_default();
        let taken: Vec<IpAddr> = interfaces::addresses_in(call.world, id).map(|(address, _)| address).collect();
        let available = !reserved && !taken.contains(&asked);
        let mut answer = json!({ "available": available, "isPlatformReserved": reserved });
        if !available {
            let free = prefixes.iter().flat_map(|prefix| prefix.addresses()).filter(|free| !taken.contains(free));
            answer["availableIPAddresses"] = free.take(OTHERS).map(|free| json!(free)).collect();
        }
        return Ok(Reply::ok(answer));
    }
    // Chosen: an address of no subnet is not available.
    Ok(Reply::ok(json!({ "available": false, "isPlatformReserved": false })))
}
