//! Public access from selected addresses: `ipAllowlist` and `networkAcls` (Microsoft's page on private links).

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::error::ArmError;

/// The most addresses that a list may hold.
const LIMIT: usize = 200;

/// An address or a block of public IPv4 addresses.
fn is_public(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<Ipv4Addr>() else { return false };
    if bits.is_some_and(|bits| !bits.parse::<u8>().is_ok_and(|bits| (1..=32).contains(&bits))) {
        return false;
    }
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let reserved = a == 0 || a >= 224;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || reserved)
}

/// Judges the lists in a body. A workspace has to exist before it can have any.
pub(super) fn check(body: &Value, exists: bool) -> Result<(), ArmError> {
    let properties = &body["properties"];
    let listed = properties["ipAllowlist"].as_array().into_iter().flatten();
    let rules = properties["networkAcls"]["ipRules"].as_array().into_iter().flatten();
    let lists: [Vec<&Value>; 2] = [listed.collect(), rules.map(|rule| &rule["value"]).collect()];
    for addresses in lists {
        if !addresses.is_empty() && !exists {
            return Err(ArmError::validation("Addresses can only be allowed after the workspace was created."));
        }
        if addresses.len() > LIMIT {
            return Err(ArmError::validation(format!("At most {LIMIT} addresses can be allowed.")));
        }
        if let Some(bad) = addresses.iter().find(|address| !address.as_str().is_some_and(is_public)) {
            let message = format!("{bad} is not a public IPv4 address or a block of such addresses.");
            return Err(ArmError::validation(message));
        }
    }
    match properties["networkAcls"]["defaultAction"].as_str() {
        None | Some("Allow" | "Deny") => Ok(()),
        Some(other) => Err(ArmError::validation(format!("'{other}' is not a default action."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_taken() {
        for (text, expected) in [
            ("20.1.2.3", true),
            ("20.1.2.0/24", true),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("192.0.2.1", false),
            ("0.0.0.0/0", false),
            ("240.0.0.1", false),
            ("20.1.2.0/33", false),
            ("20.1.2", false),
            ("2603:1020::1", false),
        ] {
            assert_eq!(is_public(text), expected, "{text}");
        }
    }
}
