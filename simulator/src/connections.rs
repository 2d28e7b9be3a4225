//! Private endpoint connections: the target's side of a private endpoint, in each provider's dialect.

use serde_json::{Value, json};

use crate::call::{Answer, Call, Style};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::providers::machine_learning;
use crate::world::{self, World};

/// The kind of the operation by which a connection is approved or rejected.
const DECISION: &str = "connectionDecision";

/// How a provider's connections differ from the others'.
pub(crate) struct Dialect {
    /// The type of the target.
    kind: &'static str,
    /// Storage spells it in the singular.
    actions_field: &'static str,
    /// `provisioningState` while a decision takes effect.
    busy: &'static str,
    /// Storage names connections after the account, others after the endpoint.
    named_after_target: bool,
    /// Whether DELETE is a long-running operation.
    slow_delete: bool,
    /// Whether a connection states its sub-resources. The specifications of Storage, KeyVault and AML have no such
    /// member; those of Sql, CognitiveServices and Databricks do.
    states_groups: bool,
    /// The group ids of the target, with their private DNS zone.
    groups: &'static [(&'static str, &'static str)],
}

/// From the OpenAPI files of Storage 2023-05-01, KeyVault 2024-11-01, ContainerRegistry 2023-07-01 and
/// MachineLearningServices 2024-10-01, and from public recordings (names).
const DIALECTS: &[Dialect] = &[
    Dialect {
        kind: "Microsoft.Storage/storageAccounts",
        actions_field: "actionRequired",
        busy: "Creating",
        named_after_target: true,
        slow_delete: false,
        states_groups: false,
        groups: &[
            ("blob", "privatelink.blob.core.windows.net"),
            ("table", "privatelink.table.core.windows.net"),
            ("queue", "privatelink.queue.core.windows.net"),
            ("file", "privatelink.file.core.windows.net"),
            ("web", "privatelink.web.core.windows.net"),
            ("dfs", "privatelink.dfs.core.windows.net"),
        ],
    },
    Dialect {
        kind: "Microsoft.KeyVault/vaults",
        actions_field: "actionsRequired",
        busy: "Updating",
        named_after_target: false,
        slow_delete: true,
        states_groups: false,
        groups: &[("vault", "privatelink.vaultcore.azure.net")],
    },
    Dialect {
        kind: "Microsoft.MachineLearningServices/workspaces",
        actions_field: "actionsRequired",
        busy: "Creating",
        named_after_target: false,
        slow_delete: false,
        states_groups: false,
        groups: &[("amlworkspace", "privatelink.api.azureml.ms")],
    },
    // Every other type: as the common private-link types of ARM have it.
    Dialect {
        kind: "",
        actions_field: "actionsRequired",
        busy: "Updating",
        named_after_target: false,
        slow_delete: false,
        states_groups: true,
        groups: &[],
    },
];

pub(crate) fn dialect(target: &str) -> &'static Dialect {
    let kind = ids::resource_type(target).unwrap_or_default();
    let last = &DIALECTS[DIALECTS.len() - 1];
    DIALECTS.iter().find(|dialect| dialect.kind.eq_ignore_ascii_case(&kind)).unwrap_or(last)
}

/// Whether a target of a known type has this sub-resource; unknown types are not judged.
pub(crate) fn has_group(target: &str, group: &str) -> bool {
    let groups = dialect(target).groups;
    groups.is_empty() || groups.iter().any(|(name, _)| name.eq_ignore_ascii_case(group))
}

/// One connection on a target.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) target: String,
    /// Stated by ARM; no body of a PUT changes it.
    pub(crate) endpoint: String,
    pub(crate) groups: Vec<String>,
    pub(crate) status: String,
    pub(crate) description: String,
    /// The workspace (key) and the rule (key) whose managed endpoint this is.
    pub(crate) rule: Option<(String, String)>,
}

impl Connection {
    pub(crate) fn render(&self) -> Value {
        self.render_as(false)
    }

    fn render_as(&self, busy: bool) -> Value {
        let dialect = dialect(&self.target);
        let kind = ids::resource_type(&self.id).unwrap_or_default();
        let mut document = json!({
            "id": self.id,
            "name": ids::name(&self.id),
            "type": kind,
            "properties": {
                "privateEndpoint": { "id": self.endpoint },
                "privateLinkServiceConnectionState": {
                    "status": self.status,
                    "description": self.description,
                    dialect.actions_field: "None",
                },
                "provisioningState": if busy { dialect.busy } else { "Succeeded" },
            }
        });
        if dialect.states_groups {
            document["properties"]["groupIds"] = json!(self.groups);
        }
        document
    }
}

/// A connection that an endpoint asks for.
pub(crate) struct Request<'a> {
    pub(crate) target: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) groups: Vec<String>,
    pub(crate) approved: bool,
    pub(crate) description: &'a str,
    pub(crate) rule: Option<(String, String)>,
}

impl World {
    /// Raises a connection on a target and returns its key.
    pub(crate) fn connect(&mut self, request: Request<'_>) -> String {
        let generation = self.next_generation(&format!("{}->{}", request.endpoint, request.target)).to_string();
        let guid = ids::guid(&["connection", request.target, request.endpoint, &generation]);
        let of = if dialect(request.target).named_after_target { request.target } else { request.endpoint };
        let id = format!("{}/privateEndpointConnections/{}.{guid}", request.target, ids::name(of));
        let connection = Connection {
            id: id.clone(),
            target: request.target.to_owned(),
            endpoint: request.endpoint.to_owned(),
            groups: request.groups,
            status: if request.approved { "Approved" } else { "Pending" }.to_owned(),
            description: request.description.to_owned(),
            rule: request.rule,
        };
        self.connections.insert(ids::key(&id), connection);
        ids::key(&id)
    }

    /// The connections on a target, ordered by name.
    pub(crate) fn connections_on(&self, target: &str) -> impl Iterator<Item = &Connection> + use<'_> {
        world::below(&self.connections, &format!("{}/privateEndpointConnections", target.trim_end_matches('/')))
    }

    pub(crate) fn render_connection(&self, connection: &Connection) -> Value {
        let key = ids::key(&connection.id);
        let busy = self.operations.running().any(|operation| operation.kind == DECISION && operation.resource == key);
        connection.render_as(busy)
    }

    pub(crate) fn render_connections(&self, target: &str) -> Vec<Value> {
        self.connections_on(target).map(|connection| self.render_connection(connection)).collect()
    }

    /// The connection that an endpoint has on a target, if it is still there.
    pub(crate) fn connection_of(&self, endpoint: &str, target: &str) -> Option<&Connection> {
        self.connections_on(target).find(|connection| connection.endpoint.eq_ignore_ascii_case(endpoint))
    }

    fn decide(&mut self, key: &str, status: &str, description: &str) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.status = status.to_owned();
        connection.description = description.to_owned();
        if let Some((workspace, rule)) = connection.rule.clone() {
            machine_learning::connection_changed(self, &workspace, &rule);
        }
    }

    /// Takes a connection off its target.
    pub(crate) fn disconnect(&mut self, key: &str) {
        let removed = self.connections.remove(key);
        if let Some((workspace, rule)) = removed.and_then(|connection| connection.rule) {
            machine_learning::connection_changed(self, &workspace, &rule);
        }
    }
}

/// The transitions that the connection status enum documents (MachineLearningServices 2024-10-01). Chosen: for every
/// provider; stating the present state again is no change.
fn transition_allowed(from: &str, to: &str) -> bool {
    from.eq_ignore_ascii_case(to)
        || matches!(
            (from, to),
            ("Pending", "Approved" | "Rejected" | "Disconnected")
                | ("Approved", "Rejected" | "Disconnected")
                | ("Rejected", "Pending" | "Disconnected")
        )
}

fn target_of(call: &Call<'_>) -> String {
    ids::ancestor(&call.path, 8)
}

pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    Ok(Reply::ok(json!({ "value": call.world.render_connections(&target) })))
}

pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    call.world.resource(&target_of(call))?;
    let connection = call.world.connections.get(&ids::key(&call.path));
    let connection = connection.ok_or_else(|| ArmError::not_found(&call.path))?;
    Ok(Reply::ok(call.world.render_connection(connection)))
}

pub(crate) fn put(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    let key = ids::key(&call.path);
    let body = call.json()?;
    let state = &body["properties"]["privateLinkServiceConnectionState"];
    let status = match state["status"].as_str() {
        Some(status) if ["Pending", "Approved", "Rejected", "Disconnected"].contains(&status) => status.to_owned(),
        _ => return Err(ArmError::bad_request("privateLinkServiceConnectionState.status is missing or unknown.")),
    };
    let description = state["description"].as_str().unwrap_or_default().to_owned();
    let connection = call.world.connections.get(&key).ok_or_else(|| ArmError::not_found(&call.path))?;
    if !transition_allowed(&connection.status, &status) {
        let message = format!("The connection state cannot change from {} to {status}.", connection.status);
        return Err(ArmError::new(400, "InvalidPrivateEndpointConnectionState", message));
    }
    // Chosen: who approves needs the approval action on the target besides the write on the connection; the roles
    // made for approvers carry both.
    if status == "Approved" {
        let kind = ids::resource_type(&target).unwrap_or_default();
        call.require(&format!("{kind}/PrivateEndpointConnectionsApproval/action"), &target)?;
    }
    if call.world.settings.parallel_approvals == crate::settings::ParallelApprovals::Supersede {
        let on_target = ids::key(&target);
        call.world.operations.cancel(|other| other.kind == DECISION && ids::contains(&on_target, &other.resource));
    }
    let decided = key.clone();
    let plan = Plan {
        kind: DECISION,
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.approval,
        effect: Box::new(move |world| {
            world.decide(&decided, &status, &description);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    call.world.begin(plan, &call.caller.object_id);
    let connection = call.world.connections.get(&key).ok_or_else(|| ArmError::not_found(&call.path))?;
    Ok(Reply::ok(call.world.render_connection(connection)))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    let key = ids::key(&call.path);
    if !call.world.connections.contains_key(&key) {
        return Ok(Reply::empty(204));
    }
    if !dialect(&target).slow_delete {
        call.world.disconnect(&key);
        return Ok(Reply { payload: crate::http::Payload::Text(String::new()), ..Reply::empty(200) });
    }
    let plan = Plan {
        kind: "connectionDelete",
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.connection_delete,
        effect: Box::new(move |world| {
            world.disconnect(&key);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    let location = call.world.resource(&target)?["location"].as_str().unwrap_or_default().to_owned();
    Ok(call.start(plan, Style::VAULT_DELETE, &location))
}

pub(crate) fn link_resources(call: &mut Call<'_>) -> Answer {
    let target = target_of(call);
    call.world.resource(&target)?;
    let kind = ids::resource_type(&target).unwrap_or_default();
    let item = |(group, zone): &(&str, &str)| {
        json!({
            "id": format!("{target}/privateLinkResources/{group}"),
            "name": group,
            "type": format!("{kind}/privateLinkResources"),
            "properties": {
                "groupId": group,
                // The default member of an AML workspace is called so in the specification's example.
                "requiredMembers": [if *group == "amlworkspace" { "default" } else { group }],
                "requiredZoneNames": [zone],
            }
        })
    };
    Ok(Reply::ok(json!({ "value": dialect(&target).groups.iter().map(item).collect::<Vec<_>>() })))
}
