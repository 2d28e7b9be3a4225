//! Microsoft.Network: private endpoints, the asking side of a connection.

use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Style};
use crate::connections::{self, Request};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::{Plan, State};
use crate::routes::Route;
use crate::world::World;

pub(crate) const ENDPOINT: &str = "Microsoft.Network/privateEndpoints";

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

macro_rules! endpoint {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/privateEndpoints", $tail)
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route { method: "GET", path: endpoint!(""), versions: VERSIONS, run: list },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.Network/privateEndpoints",
        versions: VERSIONS,
        run: list,
    },
    Route { method: "GET", path: endpoint!("/{}"), versions: VERSIONS, run: get },
    Route { method: "PUT", path: endpoint!("/{}"), versions: VERSIONS, run: put },
    Route { method: "DELETE", path: endpoint!("/{}"), versions: VERSIONS, run: delete },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operations/{}",
        versions: VERSIONS,
        run: operation_status,
    },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operationResults/{}",
        versions: VERSIONS,
        run: operation_result,
    },
];

const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";

fn operation_status(call: &mut Call<'_>) -> Answer {
    call.operation_status(Some(10))
}

fn operation_result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

fn list(call: &mut Call<'_>) -> Answer {
    let items = call.world.list(ids::list_scope(&call.path), ENDPOINT);
    Ok(call.page(items, "$skipToken"))
}

fn get(call: &mut Call<'_>) -> Answer {
    let document = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, document)))
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
fn linked(call: &Call<'_>, action: &str, scope: &str) -> Result<(), ArmError> {
    if call.world.may(&call.caller.object_id, action, scope) {
        return Ok(());
    }
    let (client, object, path) = (&call.caller.client_id, &call.caller.object_id, &call.path);
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

fn put(call: &mut Call<'_>) -> Answer {
    let body = call.json()?;
    let path = call.path.clone();
    let Some(location) = body["location"].as_str().map(str::to_owned) else {
        return Err(ArmError::new(400, "LocationRequired", "The location property is required for this definition."));
    };
    let Some(subnet) = body["properties"]["subnet"]["id"].as_str().map(str::to_owned) else {
        return Err(ArmError::new(400, "InvalidRequestFormat", "The private endpoint has no subnet."));
    };
    let wanted = wanted(&body)?;
    linked(call, "Microsoft.Network/virtualNetworks/subnets/join/action", &subnet)?;
    call.world.resource(&wanted.target)?;
    if !wanted.manual {
        let kind = ids::resource_type(&wanted.target).unwrap_or_default();
        linked(call, &format!("{kind}/PrivateEndpointConnectionsApproval/action"), &wanted.target)?;
    }
    let created = !call.world.resources.contains_key(&ids::key(&path));
    if call.world.connection_of(&path, &wanted.target).is_none() {
        let description = if wanted.manual { wanted.message.as_str() } else { "Auto-Approved" };
        call.world.connect(Request {
            target: &wanted.target,
            endpoint: &path,
            groups: wanted.groups,
            approved: !wanted.manual,
            description,
            rule: None,
        });
    }
    let mut properties = body["properties"].as_object().cloned().unwrap_or_default();
    properties.entry(AUTOMATIC).or_insert_with(|| json!([]));
    properties.entry(MANUAL).or_insert_with(|| json!([]));
    properties.insert("resourceGuid".into(), json!(ids::guid(&["endpoint", &path])));
    let document = json!({
        "id": path, "name": ids::name(&path), "type": ENDPOINT, "location": location,
        "tags": body["tags"].as_object().cloned().unwrap_or_default(),
        "properties": properties,
    });
    call.world.resources.insert(ids::key(&path), document);
    let plan = Plan {
        kind: "privateEndpointPut",
        resource: ids::key(&path),
        seconds: call.world.settings.operation_seconds.private_endpoint,
        effect: Box::new(|_| Ok(())),
        result: |world, id| world.render(id),
        overlay: None,
    };
    Ok(call.start(plan, Style::NetworkPut { created }, &location).header("Azure-AsyncNotification", "Enabled"))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let key = ids::key(&call.path);
    let Some(document) = call.world.resources.get(&key) else { return Ok(Reply::empty(204)) };
    let location = document["location"].as_str().unwrap_or_default().to_owned();
    let plan = Plan {
        kind: "privateEndpointDelete",
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.private_endpoint_delete,
        effect: Box::new(move |world| {
            world.resources.remove(&key);
            let theirs = |endpoint: &str| ids::key(endpoint) == key;
            let gone: Vec<String> =
                world.connections.iter().filter(|(_, c)| theirs(&c.endpoint)).map(|(id, _)| id.clone()).collect();
            gone.iter().for_each(|connection| world.disconnect(connection));
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    Ok(call.start(plan, Style::NetworkDelete, &location))
}

/// An endpoint as GET shows it: the state of its connection is what the target says at this moment.
pub(crate) fn render(world: &World, document: &Value) -> Value {
    let id = document["id"].as_str().unwrap_or_default();
    let mut endpoint = document.clone();
    let state = match world.operations.latest(&ids::key(id)) {
        Some(("privateEndpointDelete", State::Running)) => "Deleting",
        Some((_, State::Running)) => "Updating",
        Some((_, State::Failed(_))) => "Failed",
        _ => "Succeeded",
    };
    let Some(properties) = endpoint["properties"].as_object_mut() else { return endpoint };
    properties.insert("provisioningState".into(), json!(state));
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
