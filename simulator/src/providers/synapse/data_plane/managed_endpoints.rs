//! Managed private endpoints: made in the managed network of a workspace, approved on their targets.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Shown, Style};
use crate::connections::{Request, has_group};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::resource_type::{self, Proposal, ResourceType, Write};
use crate::settings::OperationSeconds;
use crate::world::World;

use super::super::refuse;

/// The managed network of a workspace that has one.
pub(crate) const NETWORK: ResourceType = ResourceType {
    kind: "Microsoft.Synapse/workspaces/managedVirtualNetworks",
    tracked: false,
    shows_state: false,
    ..ResourceType::DEFAULT
};

/// 200 with the endpoint: no operation that a client could follow. Nor has the DELETE one, which is always a 202.
const PUT: Style = Style::at_once(200);
const DELETE: Style = Style { body: Shown::Nothing, ..Style::at_once(202) };

const fn write(kind: &'static str, seconds: fn(&OperationSeconds) -> f64, busy: &'static str, style: Style) -> Write {
    Write { kind, seconds, busy, style }
}

pub(crate) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Synapse/workspaces/managedVirtualNetworks/managedPrivateEndpoints",
    tracked: false,
    accept,
    settled: connect,
    removed,
    render,
    names: &["fqdns", "groupId", "privateLinkResourceId"],
    create: write("synapseEndpointCreate", |times| times.synapse_endpoint, "Provisioning", PUT),
    update: write("synapseEndpointUpdate", |times| times.synapse_endpoint, "Provisioning", PUT),
    delete: write("synapseEndpointDelete", |times| times.synapse_endpoint_delete, "Deleting", DELETE),
    ..ResourceType::DEFAULT
};

/// The member of a stored endpoint that holds the key of its connection: there may be others with the same endpoint's id.
const CONNECTION: &str = "connection";

/// Refuses what the workspace's settings do not let it link to (Microsoft's page on data exfiltration protection: its own
/// tenant and those that are listed).
fn check_tenant(world: &World, workspace: &Value, target: &str) -> Result<(), ArmError> {
    let id = workspace["id"].as_str().unwrap_or_default();
    if allows_tenant(world, workspace, target) {
        return Ok(());
    }
    refuse(format!(
        "Data exfiltration protection of the workspace '{}' does not allow a private endpoint to '{target}': its tenant is \
         not an allowed one.",
        ids::name(id)
    ))
}

fn prevents_exfiltration(workspace: &Value) -> bool {
    workspace["properties"]["managedVirtualNetworkSettings"]["preventDataExfiltration"] == json!(true)
}

fn allows_tenant(world: &World, workspace: &Value, target: &str) -> bool {
    if !prevents_exfiltration(workspace) {
        return true;
    }
    let listed = workspace["properties"]["managedVirtualNetworkSettings"]["allowedAadTenantIdsForLinking"].as_array();
    let own = world.tenant_of(workspace["id"].as_str().unwrap_or_default());
    let mut allowed = listed.into_iter().flatten().filter_map(Value::as_str).chain(own);
    world.tenant_of(target).is_some_and(|tenant| allowed.any(|allowed| allowed.eq_ignore_ascii_case(tenant)))
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let given = &proposal.body["properties"];
    let name = ids::name(proposal.id);
    // Chosen: what a name may be.
    let letters = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if !letters || name.len() > 64 {
        return refuse(format!("'{name}' is no name of a managed private endpoint."));
    }
    let target = given["privateLinkResourceId"].as_str().unwrap_or_default();
    if ids::subscription(target).is_none() || ids::resource_type(target).is_none() {
        return refuse(format!("The privateLinkResourceId '{target}' is not the id of a resource."));
    }
    check_tenant(world, world.resource(&ids::ancestor(proposal.id, 8))?, target)?;
    let none = Value::Null;
    let now = proposal.existing.map_or(&none, |now| &now["properties"]);
    let same = |name: &str| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
        now.is_null() || text(&now[name]) == text(&given[name])
    };
    // Chosen: an endpoint leads to where it led at first.
    if !same("privateLinkResourceId") || !same("groupId") {
        return refuse(format!("The managed private endpoint '{name}' is there and leads to another resource."));
    }
    let mut document = json!({ "properties": {
        "privateLinkResourceId": given["privateLinkResourceId"], "groupId": given["groupId"],
        "fqdns": given["fqdns"].as_array().cloned().unwrap_or_default(),
    } });
    if let Some(connection) = proposal.existing.and_then(|now| now[CONNECTION].as_str()) {
        document[CONNECTION] = json!(connection);
    }
    Ok(document)
}

/// The id that an endpoint has on its target: in a subscription of Microsoft's, in a group of several networks of a
/// region (an exported template of a SQL server, a sample of a storage role's condition).
fn endpoint_id(world: &World, id: &str) -> String {
    let workspace = world.resources.get(&ids::key(&ids::ancestor(id, 8)));
    let region = workspace.and_then(|workspace| workspace["location"].as_str()).unwrap_or_default();
    let uid = workspace.and_then(|workspace| workspace["properties"]["workspaceUID"].as_str()).unwrap_or_default();
    let name = workspace.and_then(|workspace| workspace["name"].as_str()).unwrap_or_default();
    let subscription = ids::guid(&["synapse managed network subscription", region]).to_string();
    let (first, number) =
        (&subscription[..8], 1 + ids::guid(&["synapse managed network group", uid]).as_bytes()[0] % 4);
    format!(
        "/subscriptions/{subscription}/resourceGroups/vnet-{first}-{region}-{number}-rg/providers/Microsoft.Network/\
         privateEndpoints/{name}.{}",
        ids::name(id)
    )
}

/// Raises the connection on the target, which is always one to be approved. Chosen: it brings no message; an endpoint whose
/// target is not there, or has no such group, fails.
fn connect(world: &mut World, key: &str) -> Result<(), ArmError> {
    let document = world.resource(key)?.clone();
    if document[CONNECTION].is_string() {
        return Ok(());
    }
    let text = |name: &str| document["properties"][name].as_str().unwrap_or_default().to_owned();
    let (target, group) = (text("privateLinkResourceId"), text("groupId"));
    let found = world.connectable(&target)?["id"].as_str().unwrap_or_default().to_owned();
    if !has_group(&found, &group) {
        return refuse(format!("'{found}' has no private link resource '{group}'."));
    }
    let endpoint = endpoint_id(world, document["id"].as_str().unwrap_or_default());
    let groups = if group.is_empty() { Vec::new() } else { vec![group] };
    let connection = world.connect(Request {
        target: &found,
        endpoint: &endpoint,
        groups,
        approved: false,
        description: "",
        rule: None,
    });
    world.resource_mut(key)?[CONNECTION] = json!(connection);
    Ok(())
}

/// Takes the connection of a deleted endpoint off its target.
fn removed(world: &mut World, document: &Value) {
    if let Some(connection) = document[CONNECTION].as_str() {
        world.disconnect(connection);
    }
}

/// The state of an endpoint's connection is what the target says at this moment; while there is none yet, nothing.
fn render(world: &World, mut document: Value) -> Value {
    let connection = document.as_object_mut().and_then(|members| members.remove(CONNECTION));
    let state = connection.as_ref().and_then(Value::as_str).map_or(json!({}), |key| {
        let (status, description) = match world.connections.get(key) {
            Some(connection) => (connection.status.as_str(), connection.description.as_str()),
            None => ("Disconnected", ""),
        };
        json!({ "status": status, "description": description, "actionsRequired": "None" })
    });
    let id = document["id"].as_str().unwrap_or_default();
    // Chosen: nothing is compliant where nothing is prevented (recorded), everything that could be made where it is.
    let workspace = world.resources.get(&ids::key(&ids::ancestor(id, 8)));
    let target = document["properties"]["privateLinkResourceId"].as_str().unwrap_or_default();
    let compliant =
        workspace.is_some_and(|workspace| prevents_exfiltration(workspace) && allows_tenant(world, workspace, target));
    document["properties"]["connectionState"] = state;
    document["properties"]["isReserved"] = json!(false);
    document["properties"]["isCompliant"] = json!(compliant);
    document
}

/// The id of the managed network that a call names.
fn network(call: &Call<'_>) -> Result<String, ArmError> {
    let id = ids::ancestor(&call.path, 10);
    if call.world.resources.contains_key(&ids::key(&id)) {
        return Ok(id);
    }
    // The words by which Microsoft's action for deployments and others know it.
    let message = "InvalidManagedVnetName: The workspace does not have a managed virtual network associated with it.";
    Err(ArmError::new(400, "BadRequest", message))
}

/// The endpoints to its own SQL that every workspace with a managed network has (recorded). They are the service's: no
/// connection shows them, and nobody can change them.
fn reserved(workspace: &Value) -> Vec<Value> {
    let (id, name) = (workspace["id"].as_str().unwrap_or_default(), workspace["name"].as_str().unwrap_or_default());
    let uid = workspace["properties"]["workspaceUID"].as_str().unwrap_or_default();
    let endpoint = |group: &str, host: &str| {
        let own = format!("synapse-ws-{group}--{name}");
        json!({
            "id": format!("{id}/managedVirtualNetworks/default/managedPrivateEndpoints/{own}"), "name": own,
            "type": TYPE.kind,
            "properties": {
                "privateLinkResourceId": id, "groupId": group, "provisioningState": "Succeeded",
                "connectionState": {
                    "status": "Approved", "description": "Approved by Microsoft.Synapse Resource Provider",
                    "actionsRequired": "",
                },
                "isReserved": true, "fqdns": [format!("{host}.{uid}.sql.azuresynapse.net")], "isCompliant": false,
            },
        })
    };
    vec![endpoint("sql", name), endpoint("sqlOnDemand", &format!("{name}-ondemand"))]
}

fn reserved_one(call: &Call<'_>) -> Result<Option<Value>, ArmError> {
    let asked = ids::key(&call.path);
    let mut all = reserved(super::workspace(call)?).into_iter();
    Ok(all.find(|endpoint| endpoint["id"].as_str().is_some_and(|id| ids::key(id) == asked)))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let network = network(call)?;
    let stored = call.world.list(&network, TYPE.kind).map(|document| resource_type::render(call.world, document));
    let items = reserved(super::workspace(call)?).into_iter().chain(stored).collect();
    Ok(call.page(items, "$skipToken"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    network(call)?;
    let shown = match reserved_one(call)? {
        Some(reserved) => Some(reserved),
        None => call.world.render(&call.path),
    };
    shown.map(Reply::ok).ok_or_else(|| {
        // As recorded, but for the trace of calls that it tells.
        let name = ids::name(&call.path);
        let message = json!({
            "CorrelationId": "", "StatusCode": 404,
            "Message": format!("Resource not found: Message=PrivateEndpoint has been deleted: ReferenceName={name}."),
            "ErrorType": "PrivateEndpointNotFound", "ErrorNumber": 2145,
        });
        ArmError::new(404, "UnknownError", message.to_string())
    })
}

/// Chosen: the service's own endpoints cannot be written.
fn refuse_reserved(call: &Call<'_>) -> Result<(), ArmError> {
    match reserved_one(call)? {
        Some(_) => refuse(format!("The managed private endpoint '{}' is reserved.", ids::name(&call.path))),
        None => Ok(()),
    }
}

/// `PUT`. The URL of the endpoint itself comes along as `Location` (recorded), though there is no operation to follow.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    network(call)?;
    refuse_reserved(call)?;
    let reply = resource_type::put(call)?;
    let (base, path, version) = (&call.request.base, &call.request.path, &call.api_version);
    Ok(reply.header("Location", format!("{base}{path}?api-version={version}")))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    network(call)?;
    refuse_reserved(call)?;
    resource_type::delete(call)
}
