//! Microsoft.Insights and Microsoft.OperationalInsights: what the operator reads of Application Insights components and of the log
//! workspaces behind them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::resource::Resource;

/// The version every request for a component names.
pub const API_VERSION: &str = "2020-02-02";
/// The type of a component.
pub const COMPONENTS: &str = "Microsoft.Insights/components";
/// The version every request for a log workspace names.
pub const LOGS_API_VERSION: &str = "2023-09-01";
/// The type of a log workspace.
pub const LOG_WORKSPACES: &str = "Microsoft.OperationalInsights/workspaces";

/// The properties of a component that a PUT may state (specification 2020-02-02); the others are the service's.
const WRITABLE: [&str; 14] = [
    "Application_Type",
    "Flow_Type",
    "Request_Source",
    "HockeyAppId",
    "SamplingPercentage",
    "RetentionInDays",
    "DisableIpMasking",
    "ImmediatePurgeDataOn30Days",
    "WorkspaceResourceId",
    "publicNetworkAccessForIngestion",
    "publicNetworkAccessForQuery",
    "IngestionMode",
    "DisableLocalAuth",
    "ForceCustomerStorageForProfiler",
];

/// A log workspace as ARM shows it.
pub type LogWorkspace = Resource<MonitorProperties>;

/// The properties of a component or log workspace that matter here: who may send to it, and ask it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MonitorProperties {
    /// `Creating`, `Updating`, `Succeeded` and others.
    pub provisioning_state: Option<String>,
    /// Whether telemetry comes in by the public address; missing means that it does.
    pub public_network_access_for_ingestion: Option<String>,
    /// Whether queries are answered there; missing means that they are.
    pub public_network_access_for_query: Option<String>,
    /// ARM id of the log workspace behind a component.
    #[serde(rename = "WorkspaceResourceId")]
    pub workspace_resource_id: Option<String>,
}

/// A component as ARM shows it. A PATCH changes nothing but its tags, so that a change takes a PUT of the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// What is compared.
    pub shown: Resource<MonitorProperties>,
    /// The body of a PUT that changes nothing.
    pub body: Value,
}

impl Component {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is no component at all.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        let mut body = Map::new();
        for member in ["location", "kind", "tags"] {
            if let Some(kept) = value.get(member).filter(|kept| !kept.is_null()) {
                body.insert(member.to_owned(), kept.clone());
            }
        }
        let properties = value.get("properties").and_then(Value::as_object).into_iter().flatten();
        let writable = |name: &str| WRITABLE.iter().any(|known| known.eq_ignore_ascii_case(name));
        let kept: Map<String, Value> = properties
            .filter(|(name, value)| writable(name) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        body.insert("properties".to_owned(), Value::Object(kept));
        Ok(Self { shown: Resource::read(value)?, body: Value::Object(body) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_only_the_service_says_is_not_sent_back() {
        let component = Component::read(json!({
            "id": "/x", "name": "x", "location": "westeurope", "kind": "web", "tags": {"cost": "42"}, "etag": "e",
            "properties": {"Application_Type": "web", "WorkspaceResourceId": "/w", "InstrumentationKey": "secret", "HockeyAppId": null,
                "publicNetworkAccessForQuery": "Disabled", "provisioningState": "Succeeded"},
        }))
        .unwrap();
        assert_eq!(
            component.body,
            json!({"location": "westeurope", "kind": "web", "tags": {"cost": "42"}, "properties": {
                "Application_Type": "web", "WorkspaceResourceId": "/w", "publicNetworkAccessForQuery": "Disabled"}})
        );
        assert_eq!(component.shown.properties.public_network_access_for_query.as_deref(), Some("Disabled"));
    }
}
