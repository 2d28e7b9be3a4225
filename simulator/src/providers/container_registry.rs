//! Microsoft.ContainerRegistry: registries and their private endpoint connections.

use serde_json::{Value, json};

use super::network_rules;
use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, Write};
use crate::routes::{
    Provider, Route, connectable, connection_list, link_resource, link_resources, patchable, row, tracked,
};
use crate::world::World;

pub(crate) const KIND: &str = "Microsoft.ContainerRegistry/registries";

/// 2019-12-01-preview is what azure-cli uses to approve connections.
const VERSIONS: &[&str] = &["2019-12-01-preview", "2023-07-01", "2025-04-01", "2025-11-01"];

macro_rules! registry {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerRegistry/registries/{}/", $tail)
    };
}

const ROUTES: &[Route] = &[
    row("GET", registry!("operationStatuses/{}"), VERSIONS, operation),
    row("GET", registry!("privateEndpointConnections/{}/operationStatuses/{}"), VERSIONS, operation),
    row("POST", "/subscriptions/{}/providers/Microsoft.ContainerRegistry/checkNameAvailability", VERSIONS, check_name),
];

/// 201 with the registry and `Azure-AsyncOperation` (OpenAPI, examples of registries).
const PUT: Style = Style {
    running: 201,
    done: 200,
    body: Shown::Resource,
    status_url: Some(("{resource}/operationStatuses/registries-{id}", "")),
    location_url: None,
    retry_after: Some(10),
    ..Style::at_once(200)
};

const DELETE: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    status_url: None,
    location_url: Some(("{resource}/operationStatuses/registries-{id}", "")),
    retry_after: Some(10),
    ..Style::at_once(200)
};

const UPDATE: Write = Write { kind: "registryUpdate", seconds: |times| times.registry, busy: "Updating", style: PUT };

const REGISTRY: ResourceType = ResourceType {
    kind: KIND,
    accept,
    render,
    names: &[
        "action",
        "adminUserEnabled",
        "anonymousPullEnabled",
        "dataEndpointEnabled",
        "defaultAction",
        "encryption",
        "ipRules",
        "networkRuleBypassAllowedForTasks",
        "networkRuleBypassOptions",
        "networkRuleSet",
        "policies",
        "publicNetworkAccess",
        "value",
        "zoneRedundancy",
    ],
    create: Write { kind: "registryCreate", busy: "Creating", ..UPDATE },
    update: UPDATE,
    patch: Some((Patch::Merge, UPDATE)),
    delete: Write { kind: DELETION, seconds: |times| times.registry, busy: "Deleting", style: DELETE },
    ..ResourceType::DEFAULT
};

const DELETION: &str = "registryDelete";

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.ContainerRegistry",
    source: "OpenAPI 2023-07-01",
    missing: &[
        "Images and their import, cache rules, credentials, tokens and their scope maps, replications, webhooks, usages",
    ],
    types: &[REGISTRY],
    routes: &[
        tracked!("Microsoft.ContainerRegistry/registries", VERSIONS),
        patchable!("Microsoft.ContainerRegistry/registries", VERSIONS),
        connectable!("Microsoft.ContainerRegistry/registries", VERSIONS),
        connection_list!("Microsoft.ContainerRegistry/registries", VERSIONS),
        link_resources!("Microsoft.ContainerRegistry/registries", VERSIONS),
        link_resource!("Microsoft.ContainerRegistry/registries", VERSIONS),
        ROUTES,
    ],
};

/// One path serves both kinds of status: deletions are followed by `Location`, the rest by `Azure-AsyncOperation`
/// (OpenAPI, examples).
fn operation(call: &mut Call<'_>) -> Answer {
    let kind = ids::operation(&call.path).and_then(|id| call.world.operations.get(&id)).map(|operation| operation.kind);
    if kind.is_some_and(|kind| kind.ends_with("Delete")) {
        call.operation_result(Some(10))
    } else {
        call.operation_status(Some(10))
    }
}

fn name_fault(name: &str) -> Option<String> {
    let fits = (5..=50).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    (!fits).then(|| {
        "Registry names may contain alpha numeric characters only and must be between 5 and 50 characters.".to_owned()
    })
}

fn login_server(world: &World, name: &str) -> String {
    world.settings.cloud.spell(&format!("{}.azurecr.io", name.to_ascii_lowercase()))
}

/// Names are host names: one in the world.
fn taken(world: &World, id: &str, name: &str) -> Option<String> {
    world
        .name_taken(KIND, id, name)
        .then(|| format!("The registry DNS name {} is already in use.", login_server(world, name)))
}

/// Refuses what only premium registries have. Chosen: the sentence, after the one that users quote on public access.
pub(crate) fn needs_premium(code: &str, what: &str, sku: &str) -> ArmError {
    let message = format!(
        "{what} is not supported for the SKU {sku}. For more information, please visit https://aka.ms/acr/private-link."
    );
    ArmError::new(400, code, message)
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let (body, name) = (proposal.body, ids::name(proposal.id));
    if let Some(fault) = name_fault(name) {
        // Chosen: `RegistryNameInvalid`, the code for a name against the rules.
        return Err(ArmError::new(400, "RegistryNameInvalid", fault));
    }
    if let Some(fault) = taken(world, proposal.id, name) {
        // Chosen: the code `AlreadyInUse` for a name that is taken, as azure-cli's users quote it.
        return Err(ArmError::new(409, "AlreadyInUse", fault));
    }
    // A seeded registry need not say what it is; it is shown as a premium one.
    let unsaid = if proposal.existing.is_some_and(|existing| existing["sku"].is_null()) { "Premium" } else { "" };
    let stated = body["sku"]["name"].as_str().unwrap_or(unsaid);
    let known = ["Basic", "Standard", "Premium"].into_iter().find(|known| known.eq_ignore_ascii_case(stated));
    let Some(sku) = known else {
        // Chosen: code and sentence for a SKU that there is not.
        return Err(ArmError::new(400, "InvalidSku", format!("The SKU '{stated}' of the registry is not valid.")));
    };
    let mut document = body::members(body, &["identity", "properties"]);
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    document["sku"] = json!({ "name": sku, "tier": sku });
    let properties = &document["properties"];
    let rules = &properties["networkRuleSet"];
    let addresses: Vec<&Value> = rules["ipRules"].as_array().into_iter().flatten().collect();
    for (what, value, allowed) in [
        ("publicNetworkAccess", &properties["publicNetworkAccess"], ["Enabled", "Disabled"]),
        ("networkRuleBypassOptions", &properties["networkRuleBypassOptions"], ["AzureServices", "None"]),
        ("networkRuleSet.defaultAction", &rules["defaultAction"], ["Allow", "Deny"]),
    ] {
        if !value.as_str().map_or(value.is_null(), |value| allowed.contains(&value)) {
            return Err(ArmError::bad_request(format!("'{what}' is not valid.")));
        }
    }
    for flag in ["adminUserEnabled", "anonymousPullEnabled", "dataEndpointEnabled", "networkRuleBypassAllowedForTasks"]
    {
        if !properties[flag].is_null() && !properties[flag].is_boolean() {
            return Err(ArmError::bad_request(format!("'{flag}' is not valid.")));
        }
    }
    if !addresses.iter().all(|rule| rule["value"].as_str().is_some_and(network_rules::is_range)) {
        return Err(ArmError::bad_request("'networkRuleSet.ipRules' holds what is not an address or a range."));
    }
    if sku != "Premium" {
        // Chosen: the codes under which each of these is refused; that they need the premium SKU is documented.
        if properties["publicNetworkAccess"] == "Disabled" {
            let what = "Disabling public network access";
            return Err(needs_premium("DisablingPublicNetworkAccessNotSupported", what, sku));
        }
        if rules["defaultAction"] == "Deny" || !addresses.is_empty() {
            return Err(needs_premium("NetworkRuleSetNotSupported", "Network rule set", sku));
        }
        if properties["dataEndpointEnabled"] == true {
            return Err(needs_premium("DataEndpointNotSupported", "Dedicated data endpoint", sku));
        }
        if world.connections_on(proposal.id).next().is_some() {
            return Err(needs_premium("PrivateEndpointConnectionNotSupported", "Private endpoint connection", sku));
        }
    }
    let created = proposal.existing.map(|old| old["properties"]["creationDate"].clone()).filter(Value::is_string);
    document["properties"]["creationDate"] = created.unwrap_or_else(|| json!(rfc3339(world.now)));
    Ok(document)
}

/// A registry with what the service fills in (OpenAPI, examples).
fn render(world: &World, document: Value) -> Value {
    let mut registry = document;
    // Every registry has a tier, also that of a seed that does not say which; Premium is the one with private endpoints.
    if registry["sku"].is_null() {
        registry["sku"] = json!({ "name": "Premium", "tier": "Premium" });
    }
    let (id, location) =
        (registry["id"].as_str().unwrap_or_default(), registry["location"].as_str().unwrap_or_default());
    let name = ids::name(id).to_ascii_lowercase();
    let has_data = registry["properties"]["dataEndpointEnabled"] == true;
    let data_host = || world.settings.cloud.spell(&format!("{name}.{location}.data.azurecr.io"));
    let hosts: Vec<String> = has_data.then(data_host).into_iter().collect();
    let mut shown = json!({
        "loginServer": login_server(world, &name),
        "adminUserEnabled": false,
        "networkRuleSet": { "defaultAction": "Allow", "ipRules": [] },
        "policies": {
            "quarantinePolicy": { "status": "disabled" },
            "trustPolicy": { "type": "Notary", "status": "disabled" },
            "retentionPolicy": { "days": 7, "status": "disabled" },
            "exportPolicy": { "status": "enabled" },
        },
        "encryption": { "status": "disabled" },
        "dataEndpointEnabled": false,
        "dataEndpointHostNames": hosts,
        "privateEndpointConnections": world.render_connections(id),
        "publicNetworkAccess": "Enabled",
        "networkRuleBypassOptions": "AzureServices",
        "zoneRedundancy": "Disabled",
    });
    body::merge(&mut shown, &registry["properties"], &["privateEndpointConnections"]);
    for rule in shown["networkRuleSet"]["ipRules"].as_array_mut().into_iter().flatten() {
        rule["action"] = json!("Allow");
    }
    registry["properties"] = shown;
    registry
}

fn check_name(call: &mut Call<'_>) -> Answer {
    let body = call.json(&[])?;
    let name = body["name"].as_str().unwrap_or_default();
    let fault = name_fault(name).map(|fault| ("Invalid", fault));
    let fault = fault.or_else(|| taken(call.world, "", name).map(|fault| ("AlreadyExists", fault)));
    Ok(Reply::ok(match fault {
        Some((reason, message)) => json!({ "nameAvailable": false, "reason": reason, "message": message }),
        None => json!({ "nameAvailable": true }),
    }))
}
