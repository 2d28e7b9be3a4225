//! Microsoft.ManagedIdentity: user-assigned identities and the tokens of others that they trust.

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call};
use crate::directory::Principal;
use crate::error::ArmError;
use crate::http::Payload;
use crate::ids;
use crate::resource_type::{self, Patch, Proposal, ResourceType, at_once};
use crate::routes::{Provider, Route, child, patchable, row};
use crate::world::World;

const VERSIONS: &[&str] = &["2018-11-30", "2023-01-31", "2024-11-30"];

const CREDENTIAL: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";

macro_rules! identities {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities", $tail)
    };
}

const ROUTES: &[Route] = &[
    row(
        "GET",
        "/subscriptions/{}/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
        VERSIONS,
        resource_type::list,
    ),
    row("GET", identities!(""), VERSIONS, resource_type::list),
    row("GET", identities!("/{}"), VERSIONS, resource_type::get),
    row("PUT", identities!("/{}"), VERSIONS, put),
    row("DELETE", identities!("/{}"), VERSIONS, resource_type::delete),
];

/// How many credentials an identity takes (documented limit).
const MOST_CREDENTIALS: usize = 20;

const IDENTITY: ResourceType = ResourceType {
    kind: "Microsoft.ManagedIdentity/userAssignedIdentities",
    accept,
    stored,
    removed,
    render,
    shows_state: false,
    patch: Some((Patch::Tags, at_once("update", 200))),
    page_token: "$skiptoken",
    ..ResourceType::DEFAULT
};

const FEDERATED: ResourceType = ResourceType {
    kind: CREDENTIAL,
    accept: credential,
    render,
    names: &["issuer", "subject", "audiences"],
    tracked: false,
    shows_state: false,
    page_token: "$skiptoken",
    ..ResourceType::DEFAULT
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.ManagedIdentity",
    source: "OpenAPI 2023-01-31, recording of identities (2018-11-30)",
    missing: &["System-assigned identities as a resource, the list of operations"],
    types: &[IDENTITY, FEDERATED],
    routes: &[
        ROUTES,
        patchable!("Microsoft.ManagedIdentity/userAssignedIdentities", VERSIONS),
        child!("Microsoft.ManagedIdentity/userAssignedIdentities/{}/federatedIdentityCredentials", VERSIONS),
    ],
};

/// A new identity is announced by its path, in `Location` (recording of identities).
fn put(call: &mut Call<'_>) -> Answer {
    let reply = resource_type::put(call)?;
    let id = match &reply.payload {
        Payload::Json(document) if reply.status == 201 => document["id"].as_str().map(str::to_owned),
        _ => None,
    };
    Ok(match id {
        Some(id) => reply.header("Location", id),
        None => reply,
    })
}

fn accept(_: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let name = ids::name(proposal.id);
    if !(3..=128).contains(&name.len()) || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        // Chosen: code and sentence for a name that breaks the documented rules.
        let message = format!("The name '{name}' of the identity is not valid.");
        return Err(ArmError::new(400, "InvalidResourceName", message));
    }
    // Its properties are the service's to state.
    let properties = proposal.existing.map(|old| old["properties"].clone()).unwrap_or_else(|| json!({}));
    Ok(json!({ "properties": properties }))
}

/// Makes the principal of a new identity; role assignments find it when the directory has spread it.
fn stored(world: &mut World, key: &str) {
    let Some(document) = world.resources.get(key) else { return };
    let id = document["id"].as_str().unwrap_or_default().to_owned();
    if document["properties"]["principalId"].is_string() {
        return;
    }
    let generation = world.next_generation(&format!("identity {key}")).to_string();
    let object_id = ids::guid(&["user identity", key, &generation]).to_string();
    let client_id = ids::guid(&["client", &object_id]).to_string();
    let tenant = world.tenant_of(&id).unwrap_or_default().to_owned();
    let delay = (world.settings.principal_replication_seconds * 1000.0) as i64;
    world.directory.add_principal(Principal {
        tenant: tenant.clone(),
        client_id: client_id.clone(),
        object_id: object_id.clone(),
        resource_id: Some(id),
        known_at: world.now.saturating_add(delay),
        ..Principal::default()
    });
    if let Some(document) = world.resources.get_mut(key) {
        document["properties"] = json!({ "tenantId": tenant, "principalId": object_id, "clientId": client_id });
    }
}

/// The principal goes with its identity; role assignments stay, as in ARM.
fn removed(world: &mut World, document: &Value) {
    if let Some(principal) = document["properties"]["principalId"].as_str() {
        world.directory.remove_principal(principal);
    }
}

/// This provider spells `resourcegroups` so in ids (recording of identities, OpenAPI examples).
fn render(_: &World, document: Value) -> Value {
    let mut shown = document;
    if let Some(id) = shown["id"].as_str() {
        shown["id"] = json!(id.replacen("/resourceGroups/", "/resourcegroups/", 1));
    }
    shown
}

fn credential(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let name = ids::name(proposal.id);
    let fits = (3..=120).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !fits {
        return Err(ArmError::bad_request(format!(
            "The name '{name}' of the federated identity credential is not valid."
        )));
    }
    let properties = body::members(&proposal.body["properties"], &["issuer", "subject", "audiences"]);
    let text = |name: &str| properties[name].as_str().filter(|text| !text.is_empty());
    let audiences =
        properties["audiences"].as_array().filter(|all| !all.is_empty() && all.iter().all(Value::is_string));
    let (Some(issuer), Some(subject), Some(_)) = (text("issuer"), text("subject"), audiences) else {
        return Err(ArmError::bad_request("issuer, subject and audiences are required."));
    };
    let parent = ids::key(&ids::parent(proposal.id));
    let others: Vec<&Value> = world
        .resources
        .range(format!("{parent}/")..)
        .take_while(|(id, _)| id.starts_with(&format!("{parent}/")))
        .map(|(_, document)| document)
        .filter(|document| document["type"] == CREDENTIAL)
        .filter(|document| document["id"].as_str().is_some_and(|id| ids::key(id) != ids::key(proposal.id)))
        .collect();
    let same = |other: &Value| other["properties"]["issuer"] == issuer && other["properties"]["subject"] == subject;
    if others.iter().copied().any(same) {
        // Chosen: code and sentence for two credentials of one subject, the sentence as users quote it.
        let message = "Issuer and subject combination already exists for this Managed Identity.";
        return Err(ArmError::new(409, "Conflict", message));
    }
    if others.len() >= MOST_CREDENTIALS {
        // Chosen: code and sentence for one credential too many; the number is documented.
        let message = format!("An identity has at most {MOST_CREDENTIALS} federated identity credentials.");
        return Err(ArmError::bad_request(message));
    }
    Ok(json!({ "properties": properties }))
}
