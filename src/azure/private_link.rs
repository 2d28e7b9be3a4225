//! Private endpoint connections on a target: one row for each type of resource whose dialect is known.

use serde_json::{Map, Value, json};

/// How one type of resource speaks about its private endpoint connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The type of the target.
    pub target_type: &'static str,
    /// The version every request names.
    pub api_version: &'static str,
    /// How it spells the field for what the requester has to do.
    pub actions_field: &'static str,
}

/// The dialects, from the specifications of Microsoft.Storage 2023-05-01, Microsoft.KeyVault 2024-11-01 and
/// Microsoft.MachineLearningServices 2024-10-01. In these three, approving is synchronous, a rejected connection may be
/// rejected again, and the sub-resource asked for is not stated.
const DIALECTS: &[Dialect] = &[
    Dialect {
        target_type: "Microsoft.Storage/storageAccounts",
        api_version: "2023-05-01",
        // Singular: so spelled by Storage alone.
        actions_field: "actionRequired",
    },
    Dialect { target_type: "Microsoft.KeyVault/vaults", api_version: "2024-11-01", actions_field: "actionsRequired" },
    Dialect {
        target_type: "Microsoft.MachineLearningServices/workspaces",
        api_version: "2025-12-01",
        actions_field: "actionsRequired",
    },
];

impl Dialect {
    /// The dialect of `target_type`, if it is known.
    pub fn of(target_type: &str) -> Option<&'static Self> {
        DIALECTS.iter().find(|dialect| dialect.target_type.eq_ignore_ascii_case(target_type))
    }

    /// The types that are known, for messages.
    pub fn known() -> String {
        DIALECTS.iter().map(|dialect| dialect.target_type).collect::<Vec<_>>().join(", ")
    }

    /// The body that sets `connection` to `state`: as read, with only the state changed, so that nothing another party wrote
    /// is lost.
    pub fn body(&self, connection: &Connection, state: &str, description: &str) -> Value {
        let mut properties = connection.properties.clone();
        let present = properties.get("privateLinkServiceConnectionState").and_then(Value::as_object);
        let mut link = Map::new();
        if let Some(actions) = present.and_then(|present| present.get(self.actions_field)) {
            link.insert(self.actions_field.into(), actions.clone());
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

    #[test]
    fn a_type_outside_the_table_is_not_guessed() {
        assert!(Dialect::of("Microsoft.Storage/storageAccounts/blobServices").is_none());
        assert!(Dialect::of("Contoso.Made/up").is_none());
    }
}
