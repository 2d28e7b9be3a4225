//! Application Insights components, and the log workspaces behind them.

use serde_json::{Value, json};

use crate::azure::insights::MonitorProperties;
use crate::plan::difference::{Comparison, Mend};

use super::declared::Posture;
use super::firewall::switch;

/// The switches of the public address: who sends, and who asks.
const SWITCHES: [&str; 2] = ["publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"];

/// Where it is not reached as it shall be. Both have no list of whom they let in: closed, they are reached through a private link scope
/// only.
pub(super) fn compare(shown: &MonitorProperties, posture: &Posture, found: &mut Comparison) {
    let wanted = switch(posture);
    let now = [&shown.public_network_access_for_ingestion, &shown.public_network_access_for_query];
    for (name, now) in SWITCHES.into_iter().zip(now) {
        // Missing means open (specification 2020-02-02).
        let now = now.as_deref().unwrap_or("Enabled");
        if !now.eq_ignore_ascii_case(wanted) {
            let patch = Mend::Patch(json!({ "properties": { name: wanted } }));
            found.note(format!("properties.{name}"), Some(now), wanted, patch);
        }
    }
}

/// Where a component of ours does not send what it records to `logs`.
pub(super) fn compare_logs(shown: &MonitorProperties, logs: &str, found: &mut Comparison) {
    let patch = Mend::Patch(json!({ "properties": { "WorkspaceResourceId": logs } }));
    found.word("properties.WorkspaceResourceId", shown.workspace_resource_id.as_deref(), logs, patch);
}

fn switches(posture: &Posture) -> Value {
    let switch = switch(posture);
    json!({ SWITCHES[0]: switch, SWITCHES[1]: switch })
}

/// The body of the PUT that creates a component which sends to `logs`.
pub(super) fn creation(posture: &Posture, logs: &str) -> Value {
    let mut properties = switches(posture);
    properties["Application_Type"] = "web".into();
    properties["WorkspaceResourceId"] = logs.into();
    json!({ "kind": "web", "properties": properties })
}

/// The body of the PUT that creates a log workspace.
pub(super) fn creation_of_logs(posture: &Posture) -> Value {
    let mut properties = switches(posture);
    properties["sku"] = json!({ "name": "PerGB2018" });
    json!({ "properties": properties })
}
