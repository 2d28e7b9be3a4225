//! Microsoft.Network: private endpoints, the asking side of a connection.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Style};
use crate::connections::{self, Request};
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Etag, Proposal, ResourceType, Write};
use crate::routes::{Provider, Route, row, tracked};
use crate::world::World;

const ENDPOINT: &str = "Microsoft.Network/privateEndpoints";

const VERSIONS: &[&str] = &[
    "2020-11-01",
    "2021-05-01",
    "2022-01-01",
    "2023-09-01",
    "2024-03-01",
    "2024-05-01",
    "2025-01-01",
    "2025-05-01",
    "2025-09-01",
    "2026-03-01",
];

const ROUTES: &[Route] = &[
    row("GET", "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operations/{}", VERSIONS, operation_status),
    row(
        "GET",
        "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operationResults/{}",
        VERSIONS,
        operation_result,
    ),
];

const ENDPOINTS: ResourceType = ResourceType {
    kind: ENDPOINT,
    accept,
    stored,
    removed,
    render,
    create: Write { style: Style::NETWORK_CREATE, ..UPDATE },
    update: UPDATE,
    delete: Write {
        kind: "privateEndpointDelete",
        seconds: |times| times.private_endpoint_delete,
        busy: "Deleting",
        style: Style::NETWORK_DELETE,
    },
    etag: Etag::Member,
    ..ResourceType::DEFAULT
};

const UPDATE: Write = Write {
    kind: "privateEndpointPut",
    seconds: |times| times.private_endpoint,
    busy: "Updating",
    style: Style::NETWORK_UPDATE,
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Network",
    source: "OpenAPI 2024-05-01, recording of private endpoints (2024-03-01)",
    missing: &[],
    types: &[ENDPOINTS],
    routes: &[tracked!("Microsoft.Network/privateEndpoints", VERSIONS), ROUTES],
};

const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";

fn operation_status(call: &mut Call<'_>) -> Answer {
    call.operation_status(Some(10))
}

fn operation_result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

/// What a connection asks for.
struct Wanted {
    target: String,
    groups: Vec<String>,
    message: String,
    manual: bool,
}

fn wanted(body: &Value) -> Result<Wanted, ArmError> {
    let items = |name: &str| body["properties"][name].as_array().cloned().unwrap_or_default();
    let (automatic, manual) = (items(AUTOMATIC), items(MANUAL));
    let (item, manual) = match (automatic.as_slice(), manual.as_slice()) {
        ([one], []) => (one, false),
        ([], [one]) => (one, true),
        _ => {
            let message = format!("Exactly one connection must be stated, in {AUTOMATIC} or in {MANUAL}.");
            return Err(ArmError::new(400, "InvalidRequestFormat", message));
        }
    };
    let properties = &item["properties"];
    let target = properties["privateLinkServiceId"].as_str().unwrap_or_default().to_owned();
    let groups: Vec<String> =
        properties["groupIds"].as_array().into_iter().flatten().filter_map(|g| g.as_str().map(str::to_owned)).collect();
    if item["name"].as_str().is_none_or(str::is_empty) || ids::resource_type(&target).is_none() {
        return Err(ArmError::new(
            400,
            "InvalidRequestFormat",
            "The connection lacks a name or a privateLinkServiceId.",
        ));
    }
    if let Some(group) = groups.iter().find(|group| !connections::has_group(&target, group)) {
        let message = format!("The group id '{group}' is not supported by '{target}'.");
        return Err(ArmError::new(400, "InvalidGroupId", message));
    }
    let message = properties["requestMessage"].as_str().unwrap_or_default().to_owned();
    if message.chars().count() > 140 {
        return Err(ArmError::new(400, "InvalidRequestFormat", "requestMessage is longer than 140 characters."));
    }
    Ok(Wanted { target, groups, message, manual })
}

/// ARM checks the caller's rights on what a request links to as well.
fn linked(world: &World, proposal: &Proposal<'_>, action: &str, scope: &str) -> Result<(), ArmError> {
    if world.may(&proposal.caller.object_id, action, scope) {
        return Ok(());
    }
    let (client, object, path) = (&proposal.caller.client_id, &proposal.caller.object_id, proposal.id);
    Err(ArmError::new(
        403,
        "LinkedAuthorizationFailed",
        format!(
            "The client '{client}' with object id '{object}' has permission to perform action '{ENDPOINT}/write' on \
             scope '{path}'; however, it does not have permission to perform action(s) '{action}' on the linked \
             scope(s) '{scope}' or the linked scope(s) are invalid."
        ),
    ))
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let body = proposal.body;
    let Some(subnet) = body["properties"]["subnet"]["id"].as_str() else {
        return Err(ArmError::new(400, "InvalidRequestFormat", "The private endpoint has no subnet."));
    };
    let wanted = wanted(body)?;
    linked(world, proposal, "Microsoft.Network/virtualNetworks/subnets/join/action", subnet)?;
    world.connectable(&wanted.target)?;
    if !wanted.manual {
        let kind = ids::resource_type(&wanted.target).unwrap_or_default();
        linked(world, proposal, &format!("{kind}/PrivateEndpointConnectionsApproval/action"), &wanted.target)?;
    }
    let mut properties = body["properties"].as_object().cloned().unwrap_or_default();
    properties.entry(AUTOMATIC).or_insert_with(|| json!([]));
    properties.entry(MANUAL).or_insert_with(|| json!([]));
    properties.insert("resourceGuid".into(), json!(ids::guid(&["endpoint", proposal.id])));
    Ok(json!({ "properties": properties }))
}

/// Raises the connection on the target.
fn stored(world: &mut World, key: &str) {
    let Some(document) = world.resources.get(key) else { return };
    let (Some(id), Ok(wanted)) = (document["id"].as_str().map(str::to_owned), wanted(document)) else { return };
    if world.connection_of(&id, &wanted.target).is_none() {
        let description = if wanted.manual { wanted.message.as_str() } else { "Auto-Approved" };
        world.connect(Request {
            target: &wanted.target,
            endpoint: &id,
            groups: wanted.groups,
            approved: !wanted.manual,
            description,
            rule: None,
        });
    }
}

/// Takes the endpoint's connections off their targets.
fn removed(world: &mut World, document: &Value) {
    let key = ids::key(document["id"].as_str().unwrap_or_default());
    let theirs = |endpoint: &str| ids::key(endpoint) == key;
    let gone: Vec<String> =
        world.connections.iter().filter(|(_, c)| theirs(&c.endpoint)).map(|(id, _)| id.clone()).collect();
    gone.iter().for_each(|connection| world.disconnect(connection));
}

/// An endpoint as GET shows it: the state of its connection is what the target says at this moment.
fn render(world: &World, document: Value) -> Value {
    let mut endpoint = document;
    let id = endpoint["id"].as_str().unwrap_or_default().to_owned();
    let id = id.as_str();
    let Some(properties) = endpoint["properties"].as_object_mut() else { return endpoint };
    let nic = format!(
        "{}/networkInterfaces/{}.nic.{}",
        &id[..id.rfind('/').unwrap_or(0)].replace("/privateEndpoints", ""),
        ids::name(id),
        ids::guid(&["nic", id])
    );
    properties.insert("networkInterfaces".into(), json!([{ "id": nic }]));
    properties.entry("customDnsConfigs").or_insert_with(|| json!([]));
    properties.entry("ipConfigurations").or_insert_with(|| json!([]));
    for list in [AUTOMATIC, MANUAL] {
        let items = properties.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for item in items {
            render_connection(world, id, list, item);
        }
    }
    endpoint
}

fn render_connection(world: &World, endpoint: &str, list: &str, item: &mut Value) {
    let name = item["name"].as_str().unwrap_or_default().to_owned();
    let target = item["properties"]["privateLinkServiceId"].as_str().unwrap_or_default().to_owned();
    let state = match world.connection_of(endpoint, &target) {
        Some(connection) => json!({
            "status": connection.status, "description": connection.description, "actionsRequired": "None"
        }),
        // What the target has deleted, the asking side sees as disconnected.
        None => json!({
            "status": "Disconnected", "description": "The connection was removed by the target.", "actionsRequired": "None"
        }),
    };
    let Some(item) = item.as_object_mut() else { return };
    item.insert("id".into(), json!(format!("{endpoint}/{list}/{name}")));
    item.insert("type".into(), json!(format!("{ENDPOINT}/{list}")));
    let properties = item.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    properties["provisioningState"] = json!("Succeeded");
    properties["privateLinkServiceConnectionState"] = state;
}
