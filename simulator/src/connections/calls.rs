//! What clients ask of connections and of what can be connected to.

use serde_json::{Value, json};

use super::dialect::{Dialect, Group};
use super::{DECISION, DELETION, dialect};
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
    Ok(Reply::ok(json!({ "value": all })))
}

/// `GET` of one connection.
pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    call.world.resource(&target_of(call))?;
    shown(call.world, &ids::key(&call.path)).map(Reply::ok).ok_or_else(|| ArmError::not_found(&call.path))
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
    Ok(call.start(plan, dialect.put, &location))
}

/// `DELETE`: takes the connection off its target; 204 if there is none.
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let location = call.world.location_of(call.world.resource(&target)?);
    let key = ids::key(&call.path);
    if !call.world.connections.contains_key(&key) {
        return Ok(Reply::empty(204));
    }
    let style = dialect(&target).delete;
    if style.running == style.done {
        call.world.disconnect(&key);
        // An empty text, not nothing (recording of Storage).
        return Ok(Reply { payload: Payload::Text(String::new()), ..Reply::empty(style.done) });
    }
    let shown = ids::name(&call.path).to_owned();
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
    // What is gone is shown once more, by its state only (OpenAPI KeyVault 2024-11-01 and its example).
    let kind = ids::resource_type(&call.path).unwrap_or_default();
    let removed = json!({
        "id": call.path, "name": shown, "type": kind, "properties": { "provisioningState": "Disconnected" }
    });
    Ok(if reply.status == 200 { Reply::ok(removed) } else { reply })
}

fn link_document(target: &str, location: &str, group: &Group) -> Value {
    let kind = ids::resource_type(target).unwrap_or_default();
    let members: Vec<String> = group.members.iter().map(|member| member.replace("{location}", location)).collect();
    json!({
        "id": format!("{target}/privateLinkResources/{}", group.name),
        "name": group.name,
        "type": format!("{kind}/privateLinkResources"),
        "properties": {
            "groupId": group.name,
            "requiredMembers": members,
            "requiredZoneNames": group.zones,
        }
    })
}

/// `GET` of what a target lets endpoints connect to.
pub(crate) fn link_resources(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let location = call.world.location_of(call.world.resource(&target)?);
    let groups = dialect(&target).groups.iter();
    let value: Vec<Value> = groups.map(|group| link_document(&target, &location, group)).collect();
    Ok(Reply::ok(json!({ "value": value })))
}

/// `GET` of one of them, for the providers that have it.
pub(crate) fn link_resource(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    let location = call.world.location_of(call.world.resource(&target)?);
    let group = dialect(&target).groups.iter().find(|group| group.name.eq_ignore_ascii_case(ids::name(&call.path)));
    let group = group.ok_or_else(|| ArmError::not_found(&call.path))?;
    Ok(Reply::ok(link_document(&target, &location, group)))
}
