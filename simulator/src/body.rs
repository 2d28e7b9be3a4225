//! Request bodies: names without case, merge-patch, the members that ARM itself understands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ArmError;

/// Members whose own members are the user's words, never to be respelled.
const FREE: &[&str] = &["tags", "outboundRules", "userAssignedIdentities", "metadata"];

/// Names that every resource may have.
const COMMON: &[&str] = &[
    "id",
    "name",
    "type",
    "location",
    "tags",
    "properties",
    "sku",
    "kind",
    "identity",
    "userAssignedIdentities",
    "etag",
];

/// A body whose member names have their canonical spelling: ARM takes them in any case (ARM RPC, common-api-details).
pub(crate) fn canonical(body: Value, names: &[&str]) -> Value {
    let spelling: BTreeMap<String, &str> =
        COMMON.iter().chain(names).map(|name| (name.to_ascii_lowercase(), *name)).collect();
    respell(body, &spelling)
}

fn respell(value: Value, spelling: &BTreeMap<String, &str>) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let name = spelling.get(&name.to_ascii_lowercase()).map_or(name, |known| (*known).to_owned());
                    let value = if FREE.contains(&name.as_str()) { value } else { respell(value, spelling) };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(|item| respell(item, spelling)).collect(),
        other => other,
    }
}

/// Members that are objects wherever they stand (OpenAPI files of the providers).
const OBJECTS: &[&str] = &[
    "addressSpace",
    "cnameRecord",
    "ddosProtectionPlan",
    "dhcpOptions",
    "dnsSettings",
    "encryption",
    "identity",
    "keyCreationTime",
    "managedNetwork",
    "natGateway",
    "networkAcls",
    "networkRuleSet",
    "networkSecurityGroup",
    "policies",
    "privateEndpoint",
    "privateLinkServiceConnectionState",
    "properties",
    "publicIPAddress",
    "remoteVirtualNetwork",
    "routeTable",
    "scaleSettings",
    "sku",
    "soaRecord",
    "subnet",
    "tags",
    "userAssignedIdentities",
];

/// Members that are lists of objects, likewise.
const LISTS: &[&str] = &[
    "aRecords",
    "aaaaRecords",
    "accessPolicies",
    "delegations",
    "ipConfigurations",
    "ipRules",
    "manualPrivateLinkServiceConnections",
    "mxRecords",
    "privateDnsZoneConfigs",
    "privateLinkServiceConnections",
    "ptrRecords",
    "recordSets",
    "resourceAccessRules",
    "routes",
    "securityRules",
    "serviceEndpointPolicies",
    "serviceEndpointPolicyDefinitions",
    "serviceEndpoints",
    "srvRecords",
    "subnets",
    "txtRecords",
    "virtualNetworkRules",
];

/// The first member that is neither absent, nor null, nor of the form that its name stands for. What is stored has been
/// asked this, so that it can be shown and added to without asking again.
pub(crate) fn misshapen(value: &Value) -> Option<&str> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            let fits = if OBJECTS.contains(&name.as_str()) {
                value.is_object()
            } else if LISTS.contains(&name.as_str()) {
                value.as_array().is_some_and(|items| items.iter().all(Value::is_object))
            } else {
                true
            };
            match (value.is_null() || fits, FREE.contains(&name.as_str())) {
                (false, _) => Some(name.as_str()),
                (true, true) => None,
                (true, false) => misshapen(value),
            }
        }),
        Value::Array(items) => items.iter().find_map(misshapen),
        _ => None,
    }
}

/// JSON merge-patch (RFC 7396), leaving the members in `except` alone.
pub(crate) fn merge(target: &mut Value, patch: &Value, except: &[&str]) {
    let Some(patch) = patch.as_object() else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (name, value) in patch.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value, &[]);
        }
    }
}

/// Those members of a body that have a value.
pub(crate) fn members(body: &Value, names: &[&str]) -> Value {
    let member =
        |name: &&str| body.get(*name).filter(|value| !value.is_null()).map(|value| ((*name).to_owned(), value.clone()));
    Value::Object(names.iter().filter_map(member).collect())
}

/// A region as ARM stores it: `West Europe` is `westeurope`.
pub(crate) fn location(text: &str) -> String {
    text.to_ascii_lowercase().replace(' ', "")
}

/// Tags: strings, at most 50 (ARM's own limit), an empty map if there are none. Chosen: code and sentence if they are not.
pub(crate) fn tags(tags: &Value) -> Result<Value, ArmError> {
    let Some(map) = tags.as_object() else { return Ok(Value::Object(Map::new())) };
    if map.len() > 50 || map.values().any(|value| !value.is_string()) {
        let message = "The tags are not valid: at most 50, each a text.";
        return Err(ArmError::new(400, "InvalidTags", message));
    }
    Ok(tags.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_respelled_but_never_the_users_own() {
        let sent = json!({ "LOCATION": "x", "Properties": { "publicnetworkaccess": "Disabled", "own": 1 }, "tags": { "Location": "a" } });
        let read = canonical(sent, &["publicNetworkAccess"]);
        assert_eq!(
            read,
            json!({ "location": "x", "properties": { "publicNetworkAccess": "Disabled", "own": 1 }, "tags": { "Location": "a" } })
        );
    }

    #[test]
    fn a_null_in_a_patch_removes() {
        let mut stored = json!({ "properties": { "a": { "b": 1, "c": 2 }, "list": [1, 2] }, "tags": { "t": "1" } });
        merge(&mut stored, &json!({ "properties": { "a": { "b": null }, "list": [3] }, "tags": {} }), &["tags"]);
        assert_eq!(stored, json!({ "properties": { "a": { "c": 2 }, "list": [3] }, "tags": { "t": "1" } }));
    }
}
