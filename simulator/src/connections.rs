//! Private endpoint connections: the target's side of a private endpoint, in each provider's dialect.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::operations::State;
use crate::providers::network::ENDPOINT_CREATION;
use crate::providers::{container_registry, machine_learning};
use crate::world::{self, World};

mod calls;
mod dialect;

pub(crate) use calls::{delete, get, link_resource, link_resources, list, put};
pub(crate) use dialect::{dialect, has_group};

use dialect::{Embedded, Naming, Stated};

/// The kind of the operation by which a connection is approved or rejected.
const DECISION: &str = "connectionDecision";

/// The kind of the operation by which a connection is deleted.
const DELETION: &str = "connectionDelete";

/// The state of a connection, and what it is called in the document of a registry.
const STATE: &str = "privateLinkServiceConnectionState";
const REGISTRY_STATE: &str = "registryPrivateLinkServiceConnectionState";

/// The member of a target's `properties` that holds its connections; it is not for clients to write.
pub(crate) fn embedding_member(target: &str) -> Option<&'static str> {
    match dialect(target).embedded {
        Embedded::Not => None,
        Embedded::Whole | Embedded::Brief => Some("privateEndpointConnections"),
        Embedded::Registry => Some("registryPrivateEndpointConnections"),
    }
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
    /// The status that the last decision leads to.
    pub(crate) towards: String,
    /// The workspace (key) and the rule (key) whose managed endpoint this is.
    pub(crate) rule: Option<(String, String)>,
    /// Simulated time.
    pub(crate) raised_at: i64,
}

impl Connection {
    /// The connection when nothing is under way on it.
    pub(crate) fn render(&self) -> Value {
        self.render_in(self.at_rest())
    }

    fn at_rest(&self) -> Option<&'static str> {
        let states = dialect(&self.target).states.as_ref()?;
        if self.status == "Pending" { states.waiting } else { Some(states.settled) }
    }

    fn render_in(&self, state: Option<&str>) -> Value {
        let dialect = dialect(&self.target);
        let kind = ids::resource_type(&self.id).unwrap_or_default();
        let mut decision = json!({ "status": self.status, "description": self.description });
        if let Some(field) = dialect.actions_field {
            decision[field] = json!("None");
        }
        let mut properties = json!({
            "privateEndpoint": { "id": self.endpoint },
            "privateLinkServiceConnectionState": decision,
        });
        if let Some(state) = state {
            properties["provisioningState"] = json!(state);
        }
        match dialect.stated {
            Stated::Not => {}
            Stated::GroupIds => properties["groupIds"] = json!(self.groups),
            Stated::GroupId => properties["groupId"] = json!(self.groups.first()),
        }
        let mut shown = json!({ "id": self.id, "name": ids::name(&self.id), "type": kind, "properties": properties });
        if dialect.dated {
            shown["systemData"] = json!({ "createdAt": rfc3339(self.raised_at) });
        }
        shown
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
        let name = match dialect(request.target).naming {
            Naming::Target => format!("{}.{guid}", ids::name(request.target)),
            Naming::Endpoint => format!("{}.{guid}", ids::name(request.endpoint)),
            Naming::EndpointDashed => format!("{}-{guid}", ids::name(request.endpoint)),
            Naming::Guid => guid.to_string(),
        };
        let id = format!("{}/privateEndpointConnections/{name}", request.target);
        let status = if request.approved { "Approved" } else { "Pending" };
        let connection = Connection {
            id: id.clone(),
            target: request.target.to_owned(),
            endpoint: request.endpoint.to_owned(),
            groups: request.groups,
            status: status.to_owned(),
            towards: status.to_owned(),
            description: request.description.to_owned(),
            rule: request.rule,
            raised_at: self.now,
        };
        self.connections.insert(ids::key(&id), connection);
        ids::key(&id)
    }

    /// The connections on a target, ordered by name. One appears when the endpoint that asks for it is made (recording
    /// of private endpoints: the account shows none before).
    pub(crate) fn connections_on(&self, target: &str) -> impl Iterator<Item = &Connection> + use<'_> {
        self.raised_on(target).filter(|connection| {
            let endpoint = self.operations.latest(&ids::key(&connection.endpoint));
            !matches!(endpoint, Some((ENDPOINT_CREATION, State::Running)))
        })
    }

    /// Every connection on a target, also those of endpoints that are still being made.
    pub(crate) fn raised_on(&self, target: &str) -> impl Iterator<Item = &Connection> + use<'_> {
        world::below(&self.connections, &format!("{}/privateEndpointConnections", target.trim_end_matches('/')))
    }

    pub(crate) fn render_connection(&self, connection: &Connection) -> Value {
        let key = ids::key(&connection.id);
        let under_way = |kind: &str| self.operations.running().any(|op| op.kind == kind && op.resource == key);
        let state = dialect(&connection.target).states.as_ref().and_then(|states| {
            if under_way(DELETION) {
                Some(states.deleting)
            } else if !under_way(DECISION) {
                connection.at_rest()
            } else if connection.towards == "Approved" {
                Some(states.approving)
            } else {
                Some(states.rejecting)
            }
        });
        connection.render_in(state)
    }

    /// The connections as the target's own document shows them.
    pub(crate) fn render_connections(&self, target: &str) -> Vec<Value> {
        let embedded = dialect(target).embedded;
        let render = |connection: &Connection| {
            let mut shown = self.render_connection(connection);
            if let Some(members) = shown.as_object_mut().filter(|_| embedded != Embedded::Whole) {
                members.retain(|name, _| name == "id" || name == "properties");
                if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut)
                    && embedded == Embedded::Registry
                    && let Some(state) = properties.remove(STATE)
                {
                    properties.insert(REGISTRY_STATE.to_owned(), state);
                }
            }
            shown
        };
        self.connections_on(target).map(render).collect()
    }

    /// A target's document with its connections, in the member that its type has for them.
    pub(crate) fn with_connections(&self, document: Value) -> Value {
        let mut document = document;
        let id = document["id"].as_str().unwrap_or_default();
        if let Some(member) = embedding_member(id) {
            let connections = self.render_connections(id);
            if !document["properties"].is_object() {
                document["properties"] = json!({});
            }
            document["properties"][member] = json!(connections);
        }
        document
    }

    /// The target of a wanted connection, if it takes any.
    pub(crate) fn connectable(&self, target: &str) -> Result<&Value, ArmError> {
        let resource = self.resource(target)?;
        let registry = resource["type"].as_str().is_some_and(|kind| kind == container_registry::KIND);
        match resource["sku"]["name"].as_str() {
            Some(sku) if registry && sku != "Premium" => Err(container_registry::needs_premium(
                "PrivateEndpointConnectionNotSupported",
                "Private endpoint connection",
                sku,
            )),
            _ => Ok(resource),
        }
    }

    /// The connection that an endpoint has on a target, if it is still there.
    pub(crate) fn connection_of(&self, endpoint: &str, target: &str) -> Option<&Connection> {
        self.raised_on(target).find(|connection| connection.endpoint.eq_ignore_ascii_case(endpoint))
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
