use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, id};

const V: &str = "2023-07-01";

fn path() -> String {
    id("Microsoft.ContainerRegistry/registries", "images")
}

fn registry(sku: &str, properties: Value) -> Value {
    json!({ "location": "westeurope", "sku": { "name": sku }, "properties": properties })
}

#[tokio::test]
async fn a_registry_is_made_changed_and_deleted_by_operations() {
    let seconds = OperationSeconds { registry: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let made = lab.put(&path(), V, registry("premium", json!({ "adminUserEnabled": true }))).await.expect(201);
    let url = made.header("Azure-AsyncOperation").unwrap().to_owned();
    assert!(url.contains("/registries/images/operationStatuses/registries-"), "{url}");
    assert_eq!(made.body["properties"]["provisioningState"], "Creating");
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "InProgress");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "Succeeded");
    let shown = lab.get(&path(), V).await.expect(200).body;
    assert_eq!(shown["sku"], json!({ "name": "Premium", "tier": "Premium" }));
    assert_eq!(shown["properties"]["loginServer"], "images.azurecr.io");
    assert_eq!(shown["properties"]["networkRuleBypassOptions"], "AzureServices");
    let change = json!({ "properties": { "publicNetworkAccess": "Disabled", "dataEndpointEnabled": true } });
    let changed = lab.call("PATCH", &path(), V, Some(change)).await.expect(201).body;
    assert_eq!(changed["properties"]["provisioningState"], "Updating");
    assert_eq!(changed["properties"]["adminUserEnabled"], true);
    assert_eq!(changed["properties"]["dataEndpointHostNames"], json!(["images.westeurope.data.azurecr.io"]));
    lab.sim.clock().advance(Duration::from_secs(10));
    let gone = lab.delete(&path(), V).await.expect(202);
    let url = gone.header("Location").unwrap().to_owned();
    // As long as it goes on its `Location` says so by 202: a 200 would end the client's waiting.
    lab.send("GET", &url, &lab.token, None).await.unwrap().expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(&path(), V).await.expect(404);
}

#[tokio::test]
async fn only_premium_registries_have_a_firewall_and_endpoints() {
    let lab = Lab::start(Settings::fast()).await;
    for (properties, code) in [
        (json!({ "publicNetworkAccess": "Disabled" }), "DisablingPublicNetworkAccessNotSupported"),
        (json!({ "networkRuleSet": { "defaultAction": "Deny" } }), "NetworkRuleSetNotSupported"),
        (json!({ "dataEndpointEnabled": true }), "DataEndpointNotSupported"),
    ] {
        assert_eq!(lab.put(&path(), V, registry("Basic", properties.clone())).await.expect(400).code(), code);
        lab.put(&path(), V, registry("Premium", properties)).await.expect(200);
        lab.delete(&path(), V).await.expect(200);
    }
    lab.put(&path(), V, registry("Standard", json!({}))).await.expect(200);
    let endpoint = id("Microsoft.Network/privateEndpoints", "pe");
    let network = id("Microsoft.Network/virtualNetworks", "v");
    let space = json!({ "addressPrefixes": ["10.0.0.0/16"] });
    let subnet = json!({ "name": "s", "properties": { "addressPrefix": "10.0.0.0/24" } });
    let body = json!({ "location": "westeurope", "properties": { "addressSpace": space, "subnets": [subnet] } });
    lab.put(&network, "2024-05-01", body).await.expect(201);
    let request = json!({ "location": "westeurope", "properties": {
        "subnet": { "id": format!("{network}/subnets/s") },
        "privateLinkServiceConnections": [{ "name": "c", "properties": { "privateLinkServiceId": path(), "groupIds": ["registry"] } }] } });
    let refused = lab.put(&endpoint, "2024-05-01", request).await.expect(400);
    assert!(refused.message().contains("not supported for the SKU Standard"), "{}", refused.message());
}

#[tokio::test]
async fn names_and_what_can_be_connected_to() {
    let lab = Lab::start(Settings::fast()).await;
    lab.put(&id("Microsoft.ContainerRegistry/registries", "no-way"), V, registry("Basic", json!({}))).await.expect(400);
    lab.put(&path(), V, registry("Golden", json!({}))).await.expect(400);
    lab.put(&path(), V, registry("Basic", json!({}))).await.expect(200);
    let check = format!("{}/providers/Microsoft.ContainerRegistry/checkNameAvailability", &GROUP[..GROUP.len() - 19]);
    let told = lab
        .call("POST", &check, V, Some(json!({ "name": "IMAGES", "type": "Microsoft.ContainerRegistry/registries" })))
        .await
        .expect(200)
        .body;
    assert_eq!(told["nameAvailable"], false);
    let link = lab.get(&format!("{}/privateLinkResources/registry", path()), V).await.expect(200).body;
    assert_eq!(link["properties"]["requiredMembers"], json!(["registry", "registry_data_westeurope"]));
    lab.get(&format!("{}/privateLinkResources/blob", path()), V).await.expect(404);
}

#[tokio::test]
async fn everything_that_secures_a_registry_is_read_back() {
    let lab = Lab::start(Settings::fast()).await;
    let path = id("Microsoft.ContainerRegistry/registries", "closed");
    let wanted = json!({
        "adminUserEnabled": false, "anonymousPullEnabled": false, "dataEndpointEnabled": true,
        "publicNetworkAccess": "Disabled", "networkRuleBypassOptions": "None",
        "networkRuleSet": { "defaultAction": "Deny", "ipRules": [{ "action": "Allow", "value": "20.1.2.0/24" }] },
    });
    let body = |properties: &serde_json::Value| json!({ "location": "westeurope", "sku": { "name": "Premium" }, "properties": properties });
    lab.put(&path, "2025-11-01", body(&wanted)).await;
    let shown = lab.get(&path, "2025-11-01").await.expect(200).body["properties"].clone();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    lab.put(&path, "2025-11-01", body(&json!({ "adminUserEnabled": "yes" }))).await.expect(400);
}
