//! What can be asked of a workspace: keys, a diagnosis, the hosts it needs.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::world::World;

use super::network;

/// `POST listKeys` (recording of workspaces, which asks it at 2021-07-01).
pub(super) fn list_keys(call: &mut Call<'_>) -> Answer {
    let id = ids::ancestor(&call.path, 8);
    let properties = &call.world.resource(&id)?["properties"];
    let key = |of: &str| {
        let half = |n: &str| ids::guid(&[of, n, &id]).simple().to_string();
        half("1") + &half("2")
    };
    let registry = properties["containerRegistry"].as_str().map(|registry| {
        json!({ "location": call.world.location_of(&json!({ "id": registry })), "username": ids::name(registry),
            "passwords": [{ "name": "password", "value": key("registry") }] })
    });
    Ok(Reply::ok(json!({
        "userStorageKey": key("storage"), "userStorageArmId": properties["storageAccount"],
        "appInsightsInstrumentationKey": properties["applicationInsights"].as_str().map(|id| ids::guid(&["insights", id])),
        "containerRegistryCredentials": registry,
        "notebookAccessKeys": { "primaryAccessKey": key("primary"), "secondaryAccessKey": key("secondary") },
    })))
}

/// `GET outboundNetworkDependenciesEndpoints` (example of the specification).
pub(super) fn dependencies(call: &mut Call<'_>) -> Answer {
    call.world.resource(&ids::ancestor(&call.path, 8))?;
    let item = |category: &str, host: &str| {
        json!({ "properties": { "category": category, "endpoints": [
            { "domainName": host, "endpointDetails": [{ "port": 443 }] }
        ] } })
    };
    let value =
        [item("Azure Active Directory", "login.microsoftonline.com"), item("Azure portal", "management.azure.com")];
    Ok(Reply::ok(json!({ "value": value })))
}

/// `POST diagnose`.
pub(super) fn diagnose(call: &mut Call<'_>) -> Answer {
    let id = ids::ancestor(&call.path, 8);
    let location = call.world.location_of(call.world.resource(&id)?);
    let plan = Plan {
        kind: "diagnose",
        resource: ids::key(&id),
        seconds: call.world.settings.operation_seconds.diagnose,
        effect: Box::new(|_| Ok(())),
        result: |world, id| Some(findings(world, id)),
        overlay: None,
    };
    Ok(call.start(plan, Style::MACHINE_LEARNING, &location))
}

/// What is wrong with a workspace's surroundings. Chosen: codes and texts, of which one example is known.
fn findings(world: &World, workspace: &str) -> Value {
    let finding = |code: &str, message: String| json!({ "code": code, "level": "Warning", "message": message });
    let properties = world.resources.get(workspace).map(|document| document["properties"].clone()).unwrap_or_default();
    // A dependency that is closed to the public network and cannot be reached by an endpoint either.
    let of = |name: &str| {
        let mut found = Vec::new();
        let Some(id) = properties[name].as_str().filter(|id| !id.is_empty()) else { return found };
        let Some(target) = world.resources.get(&ids::key(id)) else {
            found.push(finding("ResourceNotFound", format!("The resource '{id}' was not found.")));
            return found;
        };
        let closed =
            target["properties"]["publicNetworkAccess"].as_str().is_some_and(|a| a.eq_ignore_ascii_case("disabled"));
        let connected = world.connections_on(id).any(|connection| connection.status == "Approved");
        if closed && !connected {
            let text = format!("Public access to '{id}' is disabled and no approved private endpoint leads to it.");
            found.push(finding("PublicAccessDisabledWithoutPrivateEndpoint", text));
        }
        let rules = target["properties"]["networkAcls"]["virtualNetworkRules"].as_array();
        if connected && rules.is_some_and(|rules| !rules.is_empty()) {
            // The documentation: one target cannot have both.
            let text = format!("'{id}' has both a private endpoint and a service endpoint.");
            found.push(finding("PrivateAndServiceEndpoint", text));
        }
        found
    };
    let locks: Vec<Value> = network::refuse_locked(world, workspace)
        .err()
        .map(|error| finding("ResourceLock", error.message))
        .into_iter()
        .collect();
    json!({ "value": {
        "userDefinedRouteResults": [], "networkSecurityRuleResults": [], "resourceLockResults": locks,
        "dnsResolutionResults": [], "storageAccountResults": of("storageAccount"), "keyVaultResults": of("keyVault"),
        "containerRegistryResults": of("containerRegistry"),
        "applicationInsightsResults": of("applicationInsights"), "otherResults": [],
    } })
}
