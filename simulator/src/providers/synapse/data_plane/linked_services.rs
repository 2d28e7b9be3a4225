//! Linked services: what a workspace knows of the services that it works with.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::{Payload, Reply};
use crate::ids;
use crate::operations::Plan;
use crate::resource_type::{self, Etag, ResourceType};

use super::super::refuse;

/// 202 with a record of the operation, and `Location`, which in the end answers with the service.
const PUT: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    location_url: Some(("/operationResults/{id}", "")),
    ..Style::at_once(200)
};

pub(crate) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Synapse/workspaces/linkedservices",
    tracked: false,
    shows_state: false,
    etag: Etag::Conditional,
    names: &["typeProperties", "connectVia", "description", "annotations", "parameters"],
    ..ResourceType::DEFAULT
};

/// What stands in the place of a secret (example of the specification).
const MASK: &str = "**********";

/// The members without which a service of a type is none (OpenAPI 2020-12-01, LinkedService).
fn required(kind: &str) -> &'static [&'static str] {
    match kind {
        "AzureMLService" => &["subscriptionId", "resourceGroupName", "mlWorkspaceName"],
        _ => &[],
    }
}

/// Chosen: types other than AzureMLService are taken as they come.
fn check(name: &str, properties: &Value) -> Result<(), ArmError> {
    let first = name.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
    if !first || name.len() > 260 || name.contains(|letter: char| "<>*#.%&:\\+?/".contains(letter)) {
        return refuse(format!("'{name}' is no name of a linked service."));
    }
    let Some(kind) = properties["type"].as_str() else { return refuse("The linked service has no type.") };
    let own = &properties["typeProperties"];
    if !own.is_object() {
        return refuse("The linked service has no typeProperties.");
    }
    let missing = required(kind).iter().find(|member| own[**member].is_null() || own[**member] == json!(""));
    match missing {
        Some(member) => refuse(format!("A linked service of type {kind} needs '{member}'.")),
        None => Ok(()),
    }
}

/// Secrets are kept, and shown to nobody.
fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let secret = members.get("type").is_some_and(|kind| *kind == json!("SecureString"));
            for (name, value) in members {
                if secret && name == "value" {
                    *value = json!(MASK);
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

fn not_found(call: &Call<'_>) -> ArmError {
    let (subscription, group) = (ids::subscription(&call.path), ids::resource_group(&call.path));
    let message = format!(
        "The LinkedService {} was not found in (subscription={} resourceGroup={} workspace={})",
        ids::name(&call.path),
        subscription.unwrap_or_default(),
        group.unwrap_or_default(),
        ids::name(&ids::ancestor(&call.path, 8))
    );
    ArmError::new(404, "LinkedServiceNotFound", message)
}

/// The services that every workspace has for its own SQL and its own lake (recorded).
fn defaults(workspace: &Value) -> Vec<Value> {
    let (id, name) = (workspace["id"].as_str().unwrap_or_default(), workspace["name"].as_str().unwrap_or_default());
    let service = |tail: &str, kind: &str, own: Value| {
        let called = format!("{name}-{tail}");
        json!({
            "id": format!("{id}/linkedservices/{called}"), "name": called, "type": TYPE.kind,
            "etag": ids::guid(&["default linked service", id, tail]),
            "properties": {
                "type": kind, "typeProperties": own,
                "connectVia": { "referenceName": "AutoResolveIntegrationRuntime", "type": "IntegrationRuntimeReference" },
            },
        })
    };
    let source =
        format!("Data Source=tcp:{name}.sql.azuresynapse.net,1433;Initial Catalog=@{{linkedService().DBName}}");
    let mut sql = service("WorkspaceDefaultSqlServer", "AzureSqlDW", json!({ "connectionString": source }));
    sql["properties"]["parameters"] = json!({ "DBName": { "type": "String" } });
    let lake = workspace["properties"]["defaultDataLakeStorage"]["accountUrl"].as_str();
    let lake = lake.map(|url| service("WorkspaceDefaultStorage", "AzureBlobFS", json!({ "url": url })));
    [Some(sql), lake].into_iter().flatten().collect()
}

fn default_one(call: &Call<'_>) -> Result<Option<Value>, ArmError> {
    let asked = ids::key(&call.path);
    let mut all = defaults(super::workspace(call)?).into_iter();
    Ok(all.find(|service| service["id"].as_str().is_some_and(|id| ids::key(id) == asked)))
}

/// Chosen: the services that are there from the start cannot be written.
fn refuse_default(call: &Call<'_>) -> Result<(), ArmError> {
    match default_one(call)? {
        Some(_) => refuse(format!("The linked service '{}' is the workspace's own.", ids::name(&call.path))),
        None => Ok(()),
    }
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let workspace = super::workspace(call)?;
    let id = workspace["id"].as_str().unwrap_or_default();
    let items = defaults(workspace).into_iter().chain(call.world.list(id, TYPE.kind).cloned()).collect();
    Ok(call.page(items, "$skipToken"))
}

/// `GET`; nothing if the client has it already, by its tag.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let service = match default_one(call)? {
        Some(default) => default,
        None => call.world.resources.get(&ids::key(&call.path)).cloned().ok_or_else(|| not_found(call))?,
    };
    let known = call.request.header("If-None-Match").map(|tag| tag.trim_matches('"'));
    Ok(match known {
        Some(tag) if tag == "*" || service["etag"] == json!(tag) => Reply::empty(304),
        _ => Reply::ok(service),
    })
}

/// A reply that says what was begun (recorded).
fn begun(call: &Call<'_>, mut reply: Reply, state: &str) -> Reply {
    let Some(operation) = super::operation_of(&reply).map(str::to_owned) else { return reply };
    let now = rfc3339(call.world.now);
    let record = ids::guid(&["linked service", &call.path]);
    reply.payload = Payload::Json(json!({
        "id": call.path, "recordId": record.as_fields().0 % 1_000_000, "state": state, "created": now, "changed": now,
        "type": "LinkedService", "name": ids::name(&call.path), "operationId": operation, "artifactId": record,
    }));
    reply
}

/// `PUT`. Chosen: what it makes is seen when the operation is over.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    refuse_default(call)?;
    let sent = call.json(TYPE.names)?;
    let key = ids::key(&call.path);
    let existing = call.world.resources.get(&key).cloned();
    resource_type::check_preconditions(call, &TYPE, existing.as_ref())?;
    let mut properties = sent["properties"].clone();
    check(ids::name(&call.path), &properties)?;
    mask(&mut properties);
    let id = existing.as_ref().and_then(|now| now["id"].as_str()).unwrap_or(&call.path).to_owned();
    let document = json!({ "id": id, "name": ids::name(&id), "type": TYPE.kind, "properties": properties });
    let location = call.world.location_of(&document);
    let written = key.clone();
    let plan = Plan {
        kind: "linkedServicePut",
        resource: key,
        seconds: call.world.settings.operation_seconds.linked_service,
        effect: Box::new(move |world| {
            // The workspace may be gone meanwhile.
            world.resource(&ids::ancestor(&written, 8))?;
            world.resources.insert(written.clone(), document);
            world.renew_etag(&written);
            Ok(())
        }),
        result: |world, id| world.render(id),
        overlay: None,
    };
    let reply = call.start(plan, PUT, &location);
    Ok(begun(call, reply, if existing.is_some() { "Updating" } else { "Creating" }))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    refuse_default(call)?;
    let key = ids::key(&call.path);
    if !call.world.resources.contains_key(&key) {
        return Ok(Reply::empty(204));
    }
    let location = call.world.location_of(super::workspace(call)?);
    let gone = key.clone();
    let plan = Plan {
        kind: "linkedServiceDelete",
        resource: key,
        seconds: call.world.settings.operation_seconds.linked_service,
        effect: Box::new(move |world| {
            world.remove(&gone);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    let reply = call.start(plan, PUT, &location);
    Ok(begun(call, reply, "Deleting"))
}
