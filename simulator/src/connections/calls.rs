//! What clients ask of connections and of what can be connected to.

use serde_json::{Value, json};

use super::dialect::{Dialect, Farewell, Group};
use super::{Connection, DECISION, DELETION, dialect};
use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::{Payload, Reply};
use crate::ids;
use crate::operations::Plan;
use crate::settings::{ParallelApprovals, RejectedConnections, SecondApproval};
use crate::world::World;

/// The transitions that the connection status enum documents (MachineLearningServices 2024-10-01). Chosen: for every
/// provider; stating the present state again is no change.
fn transition_allowed(from: &str, to: &str, rejected: RejectedConnections) -> bool {
    from.eq_ignore_ascii_case(to)
        || matches!(
            (from, to),
            ("Pending", "Approved" | "Rejected" | "Disconnected")
                | ("Approved", "Rejected" | "Disconnected")
                | ("Rejected", "Pending" | "Disconnected")
        )
        || (rejected == RejectedConnections::Approvable && (from, to) == ("Rejected", "Approved"))
}

/// Names of the members that a PUT may have.
const NAMES: &[&str] =
    &["privateLinkServiceConnectionState", "status", "description", "actionsRequired", "actionRequired"];

/// What a PUT wants: status and description.
fn decision(dialect: &Dialect, body: &Value) -> Result<(String, String), ArmError> {
    let state = &body["properties"]["privateLinkServiceConnectionState"];
    let status = state["status"].as_str().unwrap_or_default();
    if !dialect.statuses.contains(&status) {
        let known = dialect.statuses.join(", ");
        let message = format!("privateLinkServiceConnectionState.status is '{status}'; it must be one of {known}.");
        return Err(ArmError::new(400, dialect.bad_status, message));
    }
    // Chosen: the member must be there where the specification requires it; azure-cli may send it as null.
    if dialect.description_required && state.get("description").is_none() {
        return Err(ArmError::bad_request("privateLinkServiceConnectionState.description is required."));
    }
    // A description of null comes back as an empty one (recording of Storage).
    Ok((status.to_owned(), state["description"].as_str().unwrap_or_default().to_owned()))
}

fn target_of(call: &Call<'_>) -> String {
    ids::ancestor(&call.path, 8)
}

fn shown(world: &World, key: &str) -> Option<Value> {
    world.connections.get(key).map(|connection| world.render_connection(connection))
}

/// `GET` of the connections on a target.
pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    let all: Vec<Value> = call.world.connections_on(&target).map(|c| call.world.render_connection(c)).collect();
    Ok(spelled(call, dialect(&target), Reply::ok(json!({ "value": all }))))
}

/// A reply in the spelling of the call's version. The target's own document and the results of operations keep the usual.
fn spelled(call: &Call<'_>, dialect: &Dialect, reply: Reply) -> Reply {
    let mut reply = reply;
    let other = dialect.other_spelling.filter(|(version, _)| *version == call.api_version);
    if let (Some(usual), Some((_, other)), Payload::Json(body)) = (dialect.actions_field, other, &mut reply.payload) {
        respell(body, usual, other);
    }
    reply
}

fn respell(value: &mut Value, usual: &str, other: &str) {
    match value {
        Value::Object(members) => {
            if let Some(actions) = members.remove(usual) {
                members.insert(other.to_owned(), actions);
            }
            members.values_mut().for_each(|member| respell(member, usual, other));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| respell(item, usual, other)),
        _ => {}
    }
}

/// `GET` of one connection.
pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    let connection = shown(call.world, &ids::key(&call.path)).ok_or_else(|| ArmError::not_found(&call.path))?;
    Ok(spelled(call, dialect(&target), Reply::ok(connection)))
}

/// `PUT`: approves or rejects. Of the body only the state counts; the endpoint is ARM's to state.
pub(crate) fn put(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let location = call.world.location_of(call.world.resource(&target)?);
    let key = ids::key(&call.path);
    let dialect = dialect(&target);
    let (status, description) = decision(dialect, &call.json(NAMES)?)?;
    let settings = &call.world.settings;
    let connection = call.world.connections.get(&key).ok_or_else(|| ArmError::not_found(&call.path))?;
    if dialect.decided_once && settings.sql_second_approval == SecondApproval::Refuse && connection.status != "Pending"
    {
        let message = format!("The private endpoint connection is {}, not pending.", connection.status);
        return Err(ArmError::new(400, "PrivateEndpointConnectionStatusNotPending", message));
    }
    if !transition_allowed(&connection.status, &status, settings.rejected_connections) {
        let message = format!("The connection state cannot change from {} to {status}.", connection.status);
        // Chosen: code and sentence for a change of state that is not allowed.
        return Err(ArmError::new(400, "InvalidPrivateEndpointConnectionState", message));
    }
    // Chosen: who approves needs the approval action on the target besides the write on the connection; the roles
    // made for approvers carry both.
    if status == "Approved" {
        let kind = ids::resource_type(&target).unwrap_or_default();
        call.require(&format!("{kind}/PrivateEndpointConnectionsApproval/action"), &target)?;
    }
    if call.world.settings.parallel_approvals == ParallelApprovals::Supersede {
        let on_target = ids::key(&target);
        call.world.operations.cancel(|other| other.kind == DECISION && ids::contains(&on_target, &other.resource));
    }
    if let Some(connection) = call.world.connections.get_mut(&key) {
        connection.towards.clone_from(&status);
    }
    let decided = key.clone();
    let plan = Plan {
        kind: DECISION,
        resource: key,
        seconds: call.world.settings.operation_seconds.approval,
        effect: Box::new(move |world| {
            world.decide(&decided, &status, &description);
            Ok(())
        }),
        result: shown,
        overlay: None,
    };
    let reply = call.start(plan, dialect.put, &location);
    Ok(spelled(call, dialect, reply))
}

/// `DELETE`: takes the connection off its target; if there is none, mostly 204.
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let location = call.world.location_of(call.world.resource(&target)?);
    let key = ids::key(&call.path);
    let dialect = dialect(&target);
    let Some(connection) = call.world.connections.get(&key) else {
        return if dialect.delete_insists { Err(ArmError::not_found(&call.path)) } else { Ok(Reply::empty(204)) };
    };
    let shown = farewell(dialect, connection);
    let style = dialect.delete;
    if style.status_url.is_none() && style.location_url.is_none() {
        call.world.disconnect(&key);
        return Ok(Reply { payload: shown, ..Reply::empty(style.done) });
    }
    let gone = key.clone();
    let plan = Plan {
        kind: DELETION,
        resource: key,
        seconds: call.world.settings.operation_seconds.connection_delete,
        effect: Box::new(move |world| {
            world.disconnect(&gone);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    let reply = call.start(plan, style, &location);
    Ok(if reply.status == 200 { Reply { payload: shown, ..reply } } else { reply })
}

/// What is shown of a connection that goes.
fn farewell(dialect: &Dialect, connection: &Connection) -> Payload {
    match dialect.farewell {
        Farewell::Nothing => Payload::Empty,
        Farewell::EmptyText => Payload::Text(String::new()),
        Farewell::State => {
            let (id, kind) = (&connection.id, ids::resource_type(&connection.id).unwrap_or_default());
            let properties = json!({ "provisioningState": "Disconnected" });
            Payload::Json(json!({ "id": id, "name": ids::name(id), "type": kind, "properties": properties }))
        }
        Farewell::Connection => {
            let gone = Connection { status: "Disconnected".into(), description: String::new(), ..connection.clone() };
            Payload::Json(gone.render())
        }
    }
}

/// Something that an endpoint can be connected to.
struct Link {
    group: String,
    members: Vec<String>,
    zones: Vec<String>,
}

impl Link {
    fn render(&self, target: &str) -> Value {
        let kind = ids::resource_type(target).unwrap_or_default();
        json!({
            "id": format!("{target}/privateLinkResources/{}", self.group),
            "name": self.group,
            "type": format!("{kind}/privateLinkResources"),
            "properties": {
                "groupId": self.group,
                "requiredMembers": self.members,
                "requiredZoneNames": self.zones,
            }
        })
    }
}

/// What a target lets endpoints connect to.
fn links(world: &World, target: &str) -> Result<Vec<Link>, ArmError> {
    let document = world.resource(target)?;
    let (location, dialect) = (world.location_of(document), dialect(target));
    let fixed = |group: &Group| {
        let fill = |member: &&str| member.replace("{name}", ids::name(target)).replace("{location}", &location);
        let zones = group.zones.iter().map(|zone| world.settings.cloud.spell(zone)).collect();
        Link { group: group.name.to_owned(), members: group.members.iter().map(fill).collect(), zones }
    };
    // Chosen: a frontend takes part as soon as it names a private link configuration; its one member is called as it is.
    let own = dialect.groups_in.and_then(|list| document["properties"][list].as_array()).into_iter().flatten();
    let own = own.filter(|item| item["properties"]["privateLinkConfiguration"].is_object()).filter_map(|item| {
        let name = item["name"].as_str()?.to_owned();
        Some(Link { members: vec![name.clone()], group: name, zones: Vec::new() })
    });
    Ok(dialect.groups.iter().map(fixed).chain(own).collect())
}

/// `GET` of what a target lets endpoints connect to.
pub(crate) fn link_resources(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let value: Vec<Value> = links(call.world, &target)?.iter().map(|link| link.render(&target)).collect();
    Ok(Reply::ok(json!({ "value": value })))
}

/// `GET` of one of them, for the providers that have it.
pub(crate) fn link_resource(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let links = links(call.world, &target)?;
    let link = links.iter().find(|link| link.group.eq_ignore_ascii_case(ids::name(&call.path)));
    link.map(|link| Reply::ok(link.render(&target))).ok_or_else(|| ArmError::not_found(&call.path))
}
