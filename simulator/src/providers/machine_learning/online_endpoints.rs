//! Online endpoints, by which models are called (OpenAPI 2024-10-01; what users print of theirs).

use serde_json::{Value, json};

use crate::call::{Answer, Call, Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::providers::resource_identity;
use crate::resource_type::{Patch, Proposal, ResourceType, Write};
use crate::settings::OperationSeconds;
use crate::world::World;

use super::document;

const STATUS: &str = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/mfeOperationsStatus/oeidp:{id}";
const RESULT: &str = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/mfeOperationResults/oeidp:{id}";

/// 201 with the endpoint and one status URL. Chosen: also of a change that takes time, for which the specification has no
/// other answer that could be followed.
pub(super) const PUT: Style = Style {
    running: 201,
    done: 201,
    headers: &[("x-ms-async-operation-timeout", "PT1H")],
    status_url: Some((STATUS, "")),
    ..Style::at_once(201)
};
pub(super) const UPDATE: Style = Style { done: 200, ..PUT };
/// 202, no body, `Location`.
pub(super) const LATER: Style = Style {
    running: 202,
    body: Shown::Nothing,
    status_url: None,
    location_url: Some((RESULT, "")),
    retry_after: Some(10),
    ..UPDATE
};

const fn write(kind: &'static str, busy: &'static str, style: Style) -> Write {
    let seconds: fn(&OperationSeconds) -> f64 = |times| times.online_endpoint;
    Write { kind, seconds, busy, style }
}

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
    accept,
    stored,
    removed: resource_identity::forget,
    render: |_, mut document| {
        if let Some(members) = document.as_object_mut() {
            members.remove(KEYS);
        }
        document
    },
    names: &[
        "authMode",
        "compute",
        "keys",
        "mirrorTraffic",
        "primaryKey",
        "publicNetworkAccess",
        "secondaryKey",
        "traffic",
    ],
    create: write("onlineEndpointCreate", "Creating", PUT),
    update: write("onlineEndpointUpdate", "Updating", UPDATE),
    // Tags and identity, nothing else (PartialMinimalTrackedResourceWithIdentity).
    patch: Some((
        Patch::Only { members: &["identity"], properties: &[] },
        write("onlineEndpointPatch", "Updating", LATER),
    )),
    delete: write("onlineEndpointDelete", "Deleting", LATER),
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

/// The member of a stored endpoint that holds its keys; nothing but `listKeys` shows it.
const KEYS: &str = "keys";

/// System-assigned or user-assigned ones (Microsoft's page on the identities of online endpoints).
const IDENTITIES: &[&str] = &["SystemAssigned", "UserAssigned"];

fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::validation(message))
}

/// Three to 32 letters, digits and hyphens, a letter first (Microsoft's page on the limits of online endpoints).
pub(super) fn check_name(name: &str, what: &str) -> Result<(), ArmError> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let first = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if !first || !(3..=32).contains(&name.len()) || name.ends_with('-') || !name.chars().all(inner) {
        return refuse(format!("'{name}' is no name of {what}: 3 to 32 letters, digits and hyphens, a letter first."));
    }
    Ok(())
}

/// Traffic goes to deployments that are there, all of it or none (Microsoft's page on safe rollout).
fn check_traffic(world: &World, id: &str, traffic: &Value) -> Result<(), ArmError> {
    let mut sum = 0;
    for (name, share) in traffic.as_object().into_iter().flatten() {
        let Some(share) = share.as_u64().filter(|share| *share <= 100) else {
            return refuse(format!("The traffic to '{name}' is not a number from 0 to 100."));
        };
        if !world.resources.contains_key(&ids::key(&format!("{id}/deployments/{name}"))) {
            return refuse(format!("The endpoint has no deployment '{name}'."));
        }
        sum += share;
    }
    if sum != 0 && sum != 100 {
        return refuse(format!("The traffic adds up to {sum} instead of 0 or 100."));
    }
    Ok(())
}

/// Chosen: a PUT states the whole endpoint; traffic that it leaves out goes nowhere.
fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let (id, body, none) = (proposal.id, proposal.body, Value::Null);
    let given = &body["properties"];
    let had = proposal.existing.map_or(&none, |now| &now["identity"]);
    check_name(ids::name(id), "an online endpoint")?;
    let mode = given["authMode"].as_str().unwrap_or_default();
    if !["AMLToken", "Key", "AADToken"].contains(&mode) {
        return refuse(format!("'{mode}' is not an authMode."));
    }
    let access = given["publicNetworkAccess"].as_str().unwrap_or("Enabled");
    if !["Enabled", "Disabled"].contains(&access) {
        return refuse(format!("'{access}' is not a publicNetworkAccess."));
    }
    check_traffic(world, id, &given["traffic"])?;
    resource_identity::check(world, (proposal.caller, id), had, &body["identity"], IDENTITIES)?;
    let region = crate::body::location(body["location"].as_str().unwrap_or_default());
    let host = world.settings.cloud.spell(&format!("{}.{region}.inference.ml.azure.com", ids::name(id).to_lowercase()));
    let mut own = given["properties"].as_object().cloned().unwrap_or_default();
    own.insert("azureml.onlineendpointid".into(), json!(ids::key(id)));
    let map = |name: &str| given[name].as_object().cloned().unwrap_or_default();
    let mut properties = json!({
        "authMode": mode, "publicNetworkAccess": access, "traffic": map("traffic"), "mirrorTraffic": map("mirrorTraffic"),
        "properties": own, "scoringUri": format!("https://{host}/score"), "swaggerUri": format!("https://{host}/swagger.json"),
    });
    for name in ["description", "compute"].into_iter().filter(|name| !given[*name].is_null()) {
        properties[name] = given[name].clone();
    }
    let mut identity = if body["identity"]["type"].is_string() { body["identity"].clone() } else { had.clone() };
    if !identity["type"].is_string() {
        // Chosen: an endpoint made without a word about identity gets a system-assigned one.
        identity = json!({ "type": "SystemAssigned" });
    }
    identity["principalId"] = had["principalId"].clone();
    let keys = proposal.existing.map_or_else(|| given[KEYS].clone(), |now| now[KEYS].clone());
    let mut document = json!({
        "kind": body["kind"].as_str().unwrap_or("Managed"), "identity": identity, "properties": properties, KEYS: keys,
        "systemData": proposal.existing.map_or(json!({}), |now| now["systemData"].clone()),
    });
    if body["sku"].is_object() {
        document["sku"] = body["sku"].clone();
    }
    document::sign(&mut document, Some(proposal.caller), &rfc3339(world.now));
    Ok(document)
}

fn stored(world: &mut World, key: &str) {
    let Some(mut document) = world.resources.get(key).cloned() else { return };
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    let life = if document["identity"]["principalId"].is_null() || !document[KEYS].is_object() {
        format!("{id} {}", world.next_generation(&id))
    } else {
        id.clone()
    };
    // A user-assigned identity that is not there was refused before; a seed may name one all the same.
    let identity = &document["identity"];
    if let Ok(given) = resource_identity::given(world, &id, identity, identity, &life) {
        document["identity"] = given;
    }
    if !document[KEYS].is_object() {
        let made = |which: &str| ids::guid(&["endpoint key", which, &life]).simple().to_string();
        document[KEYS] = json!({ "primaryKey": made("primary"), "secondaryKey": made("secondary") });
    }
    world.resources.insert(key.to_owned(), document);
}

/// The endpoint whose keys an action is about.
fn keyed(call: &Call<'_>) -> Result<String, ArmError> {
    let id = ids::ancestor(&call.path, 10);
    if call.world.resource(&id)?["properties"]["authMode"] != json!("Key") {
        // Chosen: only endpoints that are called with keys have any.
        return refuse(format!("The endpoint '{}' is not called with keys.", ids::name(&id)));
    }
    Ok(id)
}

pub(super) fn list_keys(call: &mut Call<'_>) -> Answer {
    let id = keyed(call)?;
    Ok(Reply::ok(call.world.resource(&id)?[KEYS].clone()))
}

/// Chosen: done at once.
pub(super) fn regenerate_keys(call: &mut Call<'_>) -> Answer {
    let id = keyed(call)?;
    let body = call.json(&["keyType", "keyValue"])?;
    let name = match body["keyType"].as_str() {
        Some("Primary") => "primaryKey",
        Some("Secondary") => "secondaryKey",
        other => return refuse(format!("'{}' is not a keyType.", other.unwrap_or_default())),
    };
    let generation = call.world.next_generation(&format!("{id} {name}")).to_string();
    let new = ids::guid(&["endpoint key", &id, name, &generation]).simple().to_string();
    let key = body["keyValue"].as_str().map_or(new, str::to_owned);
    call.world.resource_mut(&id)?[KEYS][name] = json!(key);
    Ok(Reply::empty(200))
}
