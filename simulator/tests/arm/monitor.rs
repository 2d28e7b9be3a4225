//! Components, log workspaces, private link scopes.

use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings, Way};
use serde_json::{Value, json};

use crate::dns::{make_zone, zone};
use crate::endpoints::{connect, group, lab_with};
use crate::lab::{Lab, SUB, id, seed};
use crate::networks::network;

const COMPONENTS: &str = "2020-02-02";
const SCOPES: &str = "2021-07-01-preview";
const LOGS: &str = "2023-09-01";
const NETWORK: &str = "2024-05-01";

fn component(name: &str) -> String {
    id("Microsoft.Insights/components", name)
}

fn logs(name: &str) -> String {
    id("Microsoft.OperationalInsights/workspaces", name)
}

fn scope() -> String {
    id("Microsoft.Insights/privateLinkScopes", "scope")
}

fn here(properties: Value) -> Value {
    json!({ "location": "westeurope", "kind": "web", "properties": properties })
}

/// A component with its log workspace.
async fn make(lab: &Lab) {
    lab.put(&logs("logs"), LOGS, here(json!({}))).await.expect(201);
    let body = json!({ "Application_Type": "web", "WorkspaceResourceId": logs("logs") });
    lab.put(&component("ai"), COMPONENTS, here(body)).await.expect(200);
}

async fn scoped(lab: &Lab, name: &str, linked: &str) -> u16 {
    let body = json!({ "properties": { "linkedResourceId": linked } });
    lab.put(&format!("{}/scopedResources/{name}", scope()), SCOPES, body).await.status
}

#[tokio::test]
async fn a_component_is_filled_in_and_keeps_its_keys() {
    let lab = Lab::start(Settings::fast()).await;
    make(&lab).await;
    let made = lab.get(&component("ai"), COMPONENTS).await.expect(200).body;
    let shown = &made["properties"];
    for (name, value) in [
        ("publicNetworkAccessForIngestion", "Enabled"),
        ("publicNetworkAccessForQuery", "Enabled"),
        ("IngestionMode", "LogAnalytics"),
        ("Flow_Type", "Bluefield"),
        ("TenantId", crate::lab::TENANT),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let key = shown["InstrumentationKey"].as_str().unwrap().to_owned();
    let string = shown["ConnectionString"].as_str().unwrap();
    assert!(string.starts_with(&format!("InstrumentationKey={key};IngestionEndpoint=https://westeurope-")), "{string}");
    let closed = json!({ "Application_Type": "web", "publicNetworkAccessForIngestion": "Disabled", "InstrumentationKey": "mine" });
    let closed = lab.put(&component("ai"), COMPONENTS, here(closed)).await.expect(200).body;
    assert_eq!(closed["properties"]["publicNetworkAccessForIngestion"], "Disabled");
    assert_eq!(closed["properties"]["InstrumentationKey"], key.as_str());
    // PATCH is for tags.
    let patch = json!({ "tags": { "a": "b" }, "properties": { "publicNetworkAccessForIngestion": "Enabled" } });
    let patched = lab.call("PATCH", &component("ai"), COMPONENTS, Some(patch)).await.expect(200).body;
    assert_eq!(
        (&patched["tags"]["a"], &patched["properties"]["publicNetworkAccessForIngestion"]),
        (&json!("b"), &json!("Disabled"))
    );
    for bad in [
        json!({}),
        json!({ "Application_Type": "web", "publicNetworkAccessForQuery": "Perhaps" }),
        json!({ "Application_Type": "web", "WorkspaceResourceId": logs("absent") }),
    ] {
        lab.put(&component("other"), COMPONENTS, here(bad)).await.expect(400);
    }
}

#[tokio::test]
async fn a_log_workspace_takes_its_time_and_comes_back_with_its_id() {
    let seconds = OperationSeconds { log_workspace: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let body = here(json!({ "sku": { "name": "pergb2018" }, "publicNetworkAccessForQuery": "Disabled" }));
    let made = lab.put(&logs("logs"), LOGS, body.clone()).await.expect(201).body;
    assert_eq!(
        (&made["properties"]["provisioningState"], &made["properties"]["sku"]["name"]),
        (&json!("Creating"), &json!("PerGB2018"))
    );
    lab.sim.clock().advance(Duration::from_secs(10));
    let shown = lab.get(&logs("logs"), LOGS).await.expect(200).body["properties"].clone();
    assert_eq!(
        (&shown["provisioningState"], &shown["publicNetworkAccessForQuery"], &shown["publicNetworkAccessForIngestion"]),
        (&json!("Succeeded"), &json!("Disabled"), &json!("Enabled"))
    );
    let customer = shown["customerId"].clone();
    let patch = json!({ "properties": { "publicNetworkAccessForIngestion": "Disabled" } });
    let patched = lab.call("PATCH", &logs("logs"), LOGS, Some(patch)).await.expect(200).body["properties"].clone();
    assert_eq!(
        (&patched["publicNetworkAccessForIngestion"], &patched["publicNetworkAccessForQuery"]),
        (&json!("Disabled"), &json!("Disabled"))
    );
    let id_of = |answer: &Value| answer["properties"]["customerId"].clone();
    // Deleted and made again is the same one, unless it was forced.
    lab.delete(&logs("logs"), LOGS).await.expect(200);
    lab.get(&logs("logs"), LOGS).await.expect(404);
    assert_eq!(id_of(&lab.put(&logs("logs"), LOGS, body.clone()).await.expect(201).body), customer);
    lab.call("DELETE", &format!("{}?force=true", logs("logs")), LOGS, None).await.expect(200);
    assert_ne!(id_of(&lab.put(&logs("logs"), LOGS, body.clone()).await.expect(201).body), customer);
    lab.put(&logs("no"), LOGS, body).await.expect(400);
    let all = lab.get(&format!("/subscriptions/{SUB}/providers/Microsoft.OperationalInsights/workspaces"), LOGS).await;
    assert_eq!(all.expect(200).body["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_scope_holds_what_is_monitored_and_it_alone() {
    let lab = Lab::start(Settings::fast()).await;
    make(&lab).await;
    let body = |location: &str, mode: &str| json!({ "location": location, "properties": { "accessModeSettings": { "queryAccessMode": mode } } });
    lab.put(&scope(), SCOPES, body("westeurope", "Open")).await.expect(400);
    lab.put(&scope(), SCOPES, body("global", "Perhaps")).await.expect(400);
    let made = lab.put(&scope(), SCOPES, body("global", "Open")).await.expect(201).body;
    let modes = json!({ "queryAccessMode": "Open", "ingestionAccessMode": "Open", "exclusions": [] });
    assert_eq!(made["properties"]["accessModeSettings"], modes);
    assert_eq!(scoped(&lab, "store", &crate::lab::storage("lake")).await, 400);
    assert_eq!(scoped(&lab, "absent", &component("absent")).await, 400);
    assert_eq!((scoped(&lab, "ai", &component("ai")).await, scoped(&lab, "logs", &logs("logs")).await), (201, 201));
    let list = lab.get(&format!("{}/scopedResources", scope()), SCOPES).await.expect(200).body;
    assert_eq!(list["value"].as_array().unwrap().len(), 2);
    let shown = lab.get(&component("ai"), COMPONENTS).await.body["properties"]["PrivateLinkScopedResources"].clone();
    assert_eq!(shown[0]["ResourceId"], format!("{}/scopedResources/ai", scope()));
    // Nothing goes while it is held.
    lab.delete(&component("ai"), COMPONENTS).await.expect(409);
    lab.delete(&logs("logs"), LOGS).await.expect(409);
    lab.delete(&format!("{}/scopedResources/ai", scope()), SCOPES).await.expect(200);
    lab.delete(&component("ai"), COMPONENTS).await.expect(200);
}

/// The names of Azure Monitor are shared: a scope takes an address for each, and more with what it holds.
#[tokio::test]
async fn a_scope_is_reached_by_many_addresses_which_change_with_it() {
    let lab = lab_with(seed(), Settings::fast()).await;
    make(&lab).await;
    lab.put(&scope(), SCOPES, json!({ "location": "global", "properties": {} })).await.expect(201);
    let made = connect(&lab, "ampls", &scope(), "azuremonitor").await;
    let count = |endpoint: &Value| endpoint["properties"]["customDnsConfigs"].as_array().unwrap().len();
    assert_eq!(count(&made), 8);
    let monitor = make_zone(&lab, "privatelink.monitor.azure.com").await;
    group(&lab, "ampls", &monitor).await;
    let link = json!({ "location": "global", "properties": { "virtualNetwork": { "id": network("v") } } });
    lab.put(&format!("{}/virtualNetworkLinks/v", zone("privatelink.monitor.azure.com")), "2024-06-01", link)
        .await
        .expect(201);
    let ingestion = "westeurope-0.in.ai.monitor.azure.com";
    // The zone is there and has no such name yet: telemetry from there goes nowhere.
    assert!(!lab.sim.reach(&network("v"), ingestion).unwrap().reachable);
    scoped(&lab, "ai", &component("ai")).await;
    let shown = lab.get(&crate::endpoints::pe("ampls"), NETWORK).await.expect(200).body;
    assert_eq!(count(&shown), 10);
    assert_eq!(lab.sim.reach(&network("v"), ingestion).unwrap().way, Some(Way::PrivateEndpoint));
    let first = lab.sim.resolve(&network("v"), "api.monitor.azure.com").unwrap().addresses;
    scoped(&lab, "logs", &logs("logs")).await;
    let shown = lab.get(&crate::endpoints::pe("ampls"), NETWORK).await.expect(200).body;
    assert_eq!(count(&shown), 13);
    assert_eq!(lab.sim.resolve(&network("v"), "api.monitor.azure.com").unwrap().addresses, first, "addresses stay");
    // From outside the switches of each decide.
    let body = json!({ "Application_Type": "web", "publicNetworkAccessForIngestion": "Disabled" });
    lab.put(&component("ai"), COMPONENTS, here(body)).await.expect(200);
    let outside = lab.sim.reach_all("internet", &component("ai")).unwrap();
    let told: Vec<(&str, bool)> =
        outside.iter().map(|reach| (reach.name.split('.').next().unwrap(), reach.reachable)).collect();
    assert_eq!(told, [("api", true), ("westeurope-0", false), ("westeurope", false)]);
    assert!(lab.sim.reach_all("internet", &logs("logs")).unwrap().iter().all(|reach| reach.reachable));
}

#[tokio::test]
async fn the_mode_of_a_scope_decides_on_what_it_does_not_hold() {
    for (mode, reachable) in [("Open", true), ("PrivateOnly", false)] {
        let lab = lab_with(seed(), Settings::fast()).await;
        make(&lab).await;
        let modes = json!({ "queryAccessMode": mode, "ingestionAccessMode": mode });
        lab.put(&scope(), SCOPES, json!({ "location": "global", "properties": { "accessModeSettings": modes } }))
            .await
            .expect(201);
        scoped(&lab, "ai", &component("ai")).await;
        let other = json!({ "Application_Type": "web" });
        lab.put(&component("other"), COMPONENTS, here(other)).await.expect(200);
        connect(&lab, "ampls", &scope(), "azuremonitor").await;
        let monitor = make_zone(&lab, "privatelink.monitor.azure.com").await;
        group(&lab, "ampls", &monitor).await;
        let link = json!({ "location": "global", "properties": { "virtualNetwork": { "id": network("v") } } });
        lab.put(&format!("{monitor}/virtualNetworkLinks/v"), "2024-06-01", link).await.expect(201);
        let all = |to: &str| {
            lab.sim.reach_all(&network("v"), to).unwrap().iter().map(|reach| reach.reachable).collect::<Vec<_>>()
        };
        assert_eq!(all(&component("ai")), [true; 3]);
        assert_eq!(all(&component("other")), [reachable; 3], "{mode}");
    }
}
