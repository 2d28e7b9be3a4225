//! Private endpoint connections on a target, in the dialect of its type.

use serde_json::{Map, Value, json};

mod dialect;
mod groups;

pub use dialect::{Dialect, Listing, SubResource, Withdrawal};
pub use groups::{groups, owner_of};

impl Dialect {
    /// The body that sets `connection` to `state`: as read, with only the state changed, so that nothing another party wrote
    /// is lost.
    pub fn body(&self, connection: &Connection, state: &str, description: &str) -> Value {
        let mut properties = connection.properties.clone();
        let present = properties.get("privateLinkServiceConnectionState").and_then(Value::as_object);
        let mut link = Map::new();
        if let Some(field) = self.actions_field
            && let Some(actions) = present.and_then(|present| present.get(field))
        {
            link.insert(field.into(), actions.clone());
        }
        link.insert("status".into(), state.into());
        link.insert("description".into(), description.into());
        properties.insert("privateLinkServiceConnectionState".into(), Value::Object(link));
        properties.remove("provisioningState");
        json!({ "properties": properties })
    }
}

/// A private endpoint connection as its target shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Name on the target.
    pub name: String,
    /// ARM id of the endpoint that asks, as ARM states it; the requester cannot write it.
    pub endpoint: String,
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`.
    pub state: String,
    /// All properties, as shown.
    pub properties: Map<String, Value>,
}

/// Which sub-resources a connection is for, as far as its target says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// ARM does not say.
    No,
    /// These, in ARM's spelling.
    Groups(Vec<String>),
}

impl Connection {
    /// Reads one entry of a list.
    pub fn read(value: &Value) -> Option<Self> {
        let properties = value.get("properties")?.as_object()?.clone();
        let text = |path: [&str; 2]| Some(properties.get(path[0])?.get(path[1])?.as_str()?.to_owned());
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            endpoint: text(["privateEndpoint", "id"]).unwrap_or_default(),
            state: text(["privateLinkServiceConnectionState", "status"]).unwrap_or_default(),
            properties,
        })
    }

    /// The sub-resources it is for. A type that states them may still leave them out; then nothing is stated.
    pub fn sub_resources(&self, dialect: &Dialect) -> Stated {
        let groups = match dialect.sub_resource {
            SubResource::NotStated => Vec::new(),
            SubResource::GroupId => self.properties.get("groupId").into_iter().collect(),
            SubResource::GroupIds => {
                self.properties.get("groupIds").and_then(Value::as_array).into_iter().flatten().collect()
            }
        };
        let groups: Vec<String> = groups.into_iter().filter_map(|group| group.as_str().map(str::to_owned)).collect();
        if groups.is_empty() { Stated::No } else { Stated::Groups(groups) }
    }

    /// True once no decision is under way on it. An operation that failed or was cancelled has ended too (ARM RPC,
    /// async-api-reference: the terminal states).
    pub fn is_settled(&self, dialect: &Dialect) -> bool {
        let state = self.properties.get("provisioningState").and_then(Value::as_str);
        let mut ends = dialect.settled.iter().chain(&["Failed", "Canceled"]);
        state.is_none_or(|state| ends.any(|end| state.eq_ignore_ascii_case(end)))
    }

    /// True if it is for `endpoint`.
    pub fn is_of(&self, endpoint: &str) -> bool {
        self.endpoint.eq_ignore_ascii_case(endpoint)
    }

    /// True if it waits for a decision.
    pub fn is_pending(&self) -> bool {
        self.state.eq_ignore_ascii_case("Pending")
    }

    /// True if traffic may flow.
    pub fn is_approved(&self) -> bool {
        self.state.eq_ignore_ascii_case("Approved")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_changes_when_a_decision_is_written() {
        let connection = Connection::read(&json!({"name": "lake.1", "properties": {
            "privateEndpoint": {"id": "/pe"}, "provisioningState": "Succeeded",
            "privateLinkServiceConnectionState": {"status": "Pending", "description": "let me in", "actionRequired": "None"}
        }}))
        .unwrap();
        assert!(connection.is_pending());
        let dialect = Dialect::of("microsoft.storage/storageaccounts").unwrap();
        assert_eq!(
            dialect.body(&connection, "Approved", "by lake"),
            json!({"properties": {"privateEndpoint": {"id": "/pe"}, "privateLinkServiceConnectionState":
                {"status": "Approved", "description": "by lake", "actionRequired": "None"}}})
        );
    }
}
