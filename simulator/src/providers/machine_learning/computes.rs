//! Computes of a workspace: clusters, instances, attached machines (recording of workspaces, 2024-04-01; OpenAPI
//! 2024-10-01; recordings of azure-ai-ml).

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::{Plan, State};
use crate::providers::resource_identity;
use crate::resource_type::{self, ResourceType, Write};
use crate::world::World;

use super::{compute_network, compute_properties};

/// One system-assigned or several user-assigned identities (Microsoft's page on identity-based authentication).
const IDENTITIES: &[&str] = &["None", "SystemAssigned", "UserAssigned"];

const COMPUTE: &str = "Microsoft.MachineLearningServices/workspaces/computes";
const STATUS: &str = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/computeOperationsStatus/{id}";

/// 201 with the compute and one status URL.
const CREATE: Style =
    Style { running: 201, done: 201, status_url: Some((STATUS, "service=new")), ..Style::at_once(201) };
const UPDATE: Style = Style { running: 200, done: 200, ..CREATE };
/// 202, the same URL, no `Location` (recorded, though the specification names one).
const DELETE: Style = Style { running: 202, done: 200, body: Shown::Nothing, ..CREATE };
/// Starting and stopping is always answered by 202, and a 202 without a URL would make clients poll the action itself.
const ACTION: Style = Style { done: 202, ..DELETE };

const fn write(kind: &'static str, busy: &'static str, style: Style) -> Write {
    Write { kind, seconds: |times| times.compute, busy, style }
}

pub(super) const TYPE: ResourceType = ResourceType {
    kind: COMPUTE,
    tracked: false,
    render,
    removed: resource_identity::forget,
    create: write("computeCreate", "Creating", CREATE),
    update: write("computeUpdate", "Updating", UPDATE),
    delete: write("computeDelete", "Deleting", DELETE),
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

/// The computes of a workspace (key).
pub(super) fn of<'a>(world: &'a World, workspace: &str) -> impl Iterator<Item = &'a Value> {
    let below = format!("{workspace}/computes/");
    let all = world.resources.range(below.clone()..);
    all.take_while(move |(key, _)| key.starts_with(&below)).map(|(_, document)| document)
}

/// An instance shows what it is being made to do.
fn render(world: &World, mut document: Value) -> Value {
    let key = ids::key(document["id"].as_str().unwrap_or_default());
    let state = match world.operations.latest(&key) {
        Some(("computeCreate", State::Running)) => "Creating",
        Some(("computeDelete", State::Running)) => "Deleting",
        Some(("computeStart", State::Running)) => "Starting",
        Some(("computeStop", State::Running)) => "Stopping",
        Some(("computeRestart", State::Running)) => "Restarting",
        _ => return document,
    };
    if document["properties"]["computeType"] == "ComputeInstance" {
        document["properties"]["properties"]["state"] = json!(state);
    }
    document
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::validation(message))
}

/// `PUT`. Chosen: of what is there only the scale, the idle time and the schedules can be changed, whatever else the body
/// says is to be what it is, and what it leaves out stays; the specification calls it overwriting.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let workspace = ids::parent(&call.path);
    let owner = call.world.resources.get(&ids::key(&workspace));
    let home = owner.ok_or_else(|| ArmError::parent_not_found(&workspace))?["location"].clone();
    let mut body = call.json(compute_properties::NAMES)?;
    let id = call.path.clone();
    let key = ids::key(&id);
    let existing = call.world.resources.get(&key).cloned();
    if let Some(existing) = &existing {
        compute_properties::fill(&mut body, existing);
    }
    let location = body::location(body["location"].as_str().or(home.as_str()).unwrap_or_default());
    let owner = ids::key(&workspace);
    compute_network::check(call, &owner, &location, &body["properties"])?;
    let none = Value::Null;
    let has = existing.as_ref().map_or(&none, |existing| &existing["identity"]);
    resource_identity::check(call.world, (&call.caller, &id), has, &body["identity"], IDENTITIES)?;
    let now = rfc3339(call.world.now);
    let mut properties = compute_properties::complete(call, &workspace, &location, &body["properties"])?;
    properties["createdOn"] = json!(now);
    properties["modifiedOn"] = json!(now);
    let mut document = json!({
        "id": id, "name": ids::name(&id), "type": COMPUTE, "location": location,
        "tags": body.get("tags").cloned().unwrap_or_default(), "properties": properties,
    });
    if let Some(existing) = &existing {
        compute_properties::check_fixed(existing, &document)?;
        compute_properties::keep(&mut document, existing);
    }
    let waiting = if existing.is_none() { compute_network::wait(call, &workspace)? } else { 0.0 };
    if body["identity"]["type"].is_string() {
        let now = existing.as_ref().map_or(Value::Null, |existing| existing["identity"].clone());
        let generation = call.world.next_generation(&format!("{id} identity"));
        let life = format!("{id} {generation}");
        document["identity"] = resource_identity::given(call.world, &id, &body["identity"], &now, &life)?;
    } else if let Some(existing) = existing.as_ref().filter(|existing| existing["identity"].is_object()) {
        document["identity"] = existing["identity"].clone();
    }
    call.world.resources.insert(key.clone(), document);
    let write = if existing.is_some() { TYPE.update } else { TYPE.create };
    let seconds = waiting + (write.seconds)(&call.world.settings.operation_seconds);
    let plan = Plan {
        kind: write.kind,
        resource: key,
        seconds,
        effect: Box::new(move |world| {
            if compute_network::is_missing(world, &owner) {
                let message = "The managed network of the workspace could not be provisioned.";
                return Err(ArmError::new(400, "UserError", message));
            }
            Ok(())
        }),
        result: |world, id| world.render(id),
        overlay: None,
    };
    Ok(call.start(plan, write.style, &location))
}

/// PATCH: nothing but the scale of a cluster.
pub(super) fn patch(call: &mut Call<'_>) -> Answer {
    let body = call.json(compute_properties::NAMES)?;
    let now = rfc3339(call.world.now);
    let document = call.world.resource_mut(&call.path)?;
    if document["properties"]["computeType"] != "AmlCompute" {
        return refuse("Only clusters can be changed.");
    }
    let scale = &body["properties"]["properties"]["scaleSettings"];
    compute_properties::check_scale(scale)?;
    body::merge(&mut document["properties"]["properties"]["scaleSettings"], scale, &[]);
    document["properties"]["modifiedOn"] = json!(now);
    let id = call.path.clone();
    operate(call, TYPE.update.kind, UPDATE, &id, None)
}

/// `POST updateIdleShutdownSetting`, by which an instance learns when to stop by itself, or never.
pub(super) fn update_idle_shutdown(call: &mut Call<'_>) -> Answer {
    let body = call.json(compute_properties::NAMES)?;
    compute_properties::check_idle(&body)?;
    let document = call.world.resource_mut(&ids::ancestor(&call.path, 10))?;
    if document["properties"]["computeType"] != "ComputeInstance" {
        return refuse("Only compute instances stop by themselves.");
    }
    if let Some(own) = document["properties"]["properties"].as_object_mut() {
        own.insert(compute_properties::IDLE.into(), body[compute_properties::IDLE].clone());
        own.retain(|name, value| name != compute_properties::IDLE || value.is_string());
    }
    Ok(Reply::empty(200))
}

/// The specification requires `underlyingResourceAction`; the recording leaves it out, and is answered.
pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    match call.request.query("underlyingResourceAction").as_deref() {
        None | Some("Delete" | "Detach") => resource_type::delete(call),
        Some(other) => Err(ArmError::bad_request(format!("underlyingResourceAction cannot be '{other}'."))),
    }
}

fn operate(call: &mut Call<'_>, kind: &'static str, style: Style, id: &str, state: Option<&'static str>) -> Answer {
    let key = ids::key(id);
    let location = call.world.location_of(call.world.resource(id)?);
    let plan = Plan {
        kind,
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.compute,
        effect: Box::new(move |world| {
            if let Some(state) = state {
                world.resource_mut(&key)?["properties"]["properties"]["state"] = json!(state);
            }
            Ok(())
        }),
        result: |world, id| world.render(id),
        overlay: None,
    };
    Ok(call.start(plan, style, &location))
}

fn act(call: &mut Call<'_>, kind: &'static str, state: &'static str) -> Answer {
    let id = ids::ancestor(&call.path, 10);
    if call.world.resource(&id)?["properties"]["computeType"] != "ComputeInstance" {
        return refuse("Only compute instances can be started and stopped.");
    }
    operate(call, kind, ACTION, &id, Some(state))
}

pub(super) fn start(call: &mut Call<'_>) -> Answer {
    act(call, "computeStart", "Running")
}

pub(super) fn stop(call: &mut Call<'_>) -> Answer {
    act(call, "computeStop", "Stopped")
}

pub(super) fn restart(call: &mut Call<'_>) -> Answer {
    act(call, "computeRestart", "Running")
}
