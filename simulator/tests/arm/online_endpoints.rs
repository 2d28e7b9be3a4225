//! Online endpoints and their deployments.

use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, ML};

fn endpoint(own: Value) -> Value {
    let mut properties = json!({ "authMode": "Key", "publicNetworkAccess": "Disabled" });
    properties.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({ "location": "westeurope", "properties": properties })
}

fn deployment(own: Value) -> Value {
    let mut properties =
        json!({ "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "model": "azureml:m:1" });
    properties.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({ "location": "westeurope", "properties": properties })
}

fn path(workspace: &str, name: &str) -> String {
    format!("{workspace}/onlineEndpoints/{name}")
}

async fn follow(lab: &Lab, answer: &Answer, header: &str) -> Answer {
    lab.send("GET", answer.header(header).unwrap(), &lab.token, None).await.unwrap()
}

#[tokio::test]
async fn an_endpoint_is_made_changed_and_deleted_by_operations() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("caller", "Disabled").await;
    let path = path(&ws, "score");
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let made = lab
        .put(&path, ML, endpoint(json!({ "keys": { "primaryKey": "hush", "secondaryKey": "hush-2" } })))
        .await
        .expect(201);
    assert_eq!(made.header("x-ms-async-operation-timeout"), Some("PT1H"));
    assert!(made.header("Azure-AsyncOperation").unwrap().contains("/locations/westeurope/mfeOperationsStatus/oeidp:"));
    assert_eq!(made.body["properties"]["provisioningState"], "Creating");
    assert_eq!(follow(&lab, &made, "Azure-AsyncOperation").await.expect(200).body["status"], "InProgress");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(follow(&lab, &made, "Azure-AsyncOperation").await.expect(200).body["status"], "Succeeded");
    let shown = lab.get(&path, ML).await.expect(200).body;
    let properties = &shown["properties"];
    assert_eq!(
        (&properties["provisioningState"], &properties["publicNetworkAccess"]),
        (&json!("Succeeded"), &json!("Disabled"))
    );
    assert_eq!(properties["scoringUri"], "https://score.westeurope.inference.ml.azure.com/score");
    assert_eq!((properties.get("keys"), &shown["kind"]), (None, &json!("Managed")));
    let identity = shown["identity"]["principalId"].clone();
    assert!(identity.is_string());
    let keys = lab.post(&format!("{path}/listKeys"), None).await.expect(200).body;
    assert_eq!(keys, json!({ "primaryKey": "hush", "secondaryKey": "hush-2" }));

    // A PATCH knows tags and identity, and says nothing of the network.
    let patch = json!({ "tags": { "a": "b" }, "properties": { "publicNetworkAccess": "Enabled" } });
    let patching = lab.patch(&path, patch).await.expect(202);
    assert_eq!(patching.text, "");
    assert_eq!(follow(&lab, &patching, "Location").await.status, 202);
    lab.sim.clock().advance(Duration::from_secs(10));
    let patched = follow(&lab, &patching, "Location").await.expect(200).body;
    assert_eq!(
        (&patched["tags"], &patched["properties"]["publicNetworkAccess"]),
        (&json!({ "a": "b" }), &json!("Disabled"))
    );
    lab.put(&path, ML, endpoint(json!({ "publicNetworkAccess": "Enabled" }))).await.expect(201);
    lab.sim.clock().advance(Duration::from_secs(10));
    let opened = lab.get(&path, ML).await.body;
    assert_eq!(
        (&opened["properties"]["publicNetworkAccess"], &opened["identity"]["principalId"]),
        (&json!("Enabled"), &identity)
    );

    let deleting = lab.delete(&path, ML).await.expect(202);
    assert_eq!(lab.get(&path, ML).await.body["properties"]["provisioningState"], "Deleting");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(follow(&lab, &deleting, "Location").await.expect(200).text, "");
    lab.get(&path, ML).await.expect(404);
    lab.delete(&path, ML).await.expect(204);
}

#[tokio::test]
async fn endpoints_are_judged() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("caller", "Disabled").await;
    for (name, body, status) in [
        ("token", endpoint(json!({ "authMode": "AADToken" })), 201),
        ("odd", endpoint(json!({ "authMode": "Password" })), 400),
        ("odd", endpoint(json!({ "publicNetworkAccess": "Perhaps" })), 400),
        ("odd", endpoint(json!({ "traffic": { "blue": 100 } })), 400),
        ("ab", endpoint(json!({})), 400),
        ("1st", endpoint(json!({})), 400),
        ("with_underscore", endpoint(json!({})), 400),
        ("nowhere", json!({ "properties": { "authMode": "Key" } }), 400),
    ] {
        let answer = lab.put(&path(&ws, name), ML, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    lab.post(&format!("{}/listKeys", path(&ws, "token")), None).await.expect(400);
}

#[tokio::test]
async fn keys_are_made_anew_one_at_a_time() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("caller", "Disabled").await;
    let path = path(&ws, "score");
    lab.put(&path, ML, endpoint(json!({}))).await.expect(201);
    let keys = || async { lab.post(&format!("{path}/listKeys"), None).await.expect(200).body };
    let before = keys().await;
    lab.post(&format!("{path}/regenerateKeys"), Some(json!({ "keyType": "Primary" }))).await.expect(200);
    let after = keys().await;
    assert_ne!(before["primaryKey"], after["primaryKey"]);
    assert_eq!(before["secondaryKey"], after["secondaryKey"]);
    lab.post(&format!("{path}/regenerateKeys"), Some(json!({ "keyType": "Third" }))).await.expect(400);
}

#[tokio::test]
async fn traffic_goes_to_deployments_that_are_there_and_keeps_them() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("caller", "Disabled").await;
    let path = path(&ws, "score");
    lab.put(&path, ML, endpoint(json!({}))).await.expect(201);
    let blue = format!("{path}/deployments/blue");
    let made = lab.put(&blue, ML, deployment(json!({}))).await.expect(201).body;
    assert_eq!(
        (&made["properties"]["egressPublicNetworkAccess"], &made["sku"]),
        (&json!("Enabled"), &json!({ "name": "Default", "capacity": 1 }))
    );
    for (traffic, status) in [
        (json!({ "blue": 50 }), 400),
        (json!({ "green": 100 }), 400),
        (json!({ "blue": 101 }), 400),
        (json!({ "blue": 100 }), 200),
    ] {
        let answer = lab.put(&path, ML, endpoint(json!({ "traffic": traffic }))).await;
        assert_eq!(answer.status, status, "{traffic}: {}", answer.text);
    }
    lab.delete(&blue, ML).await.expect(400);
    lab.put(&path, ML, endpoint(json!({}))).await.expect(200);
    lab.delete(&blue, ML).await.expect(200);
    lab.put(&blue, ML, deployment(json!({}))).await.expect(201);
    lab.delete(&path, ML).await.expect(200);
    lab.get(&blue, ML).await.expect(404);
}

#[tokio::test]
async fn a_deployment_keeps_its_size_and_is_patched_by_tags_and_scale() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("caller", "Disabled").await;
    let path = path(&ws, "score");
    lab.put(&path, ML, endpoint(json!({}))).await.expect(201);
    let blue = format!("{path}/deployments/blue");
    for (body, status) in [
        (deployment(json!({ "endpointComputeType": "Abacus" })), 400),
        (deployment(json!({ "egressPublicNetworkAccess": "Perhaps" })), 400),
        (deployment(json!({ "egressPublicNetworkAccess": "Disabled" })), 201),
        (deployment(json!({ "instanceType": "Standard_F4s_v2" })), 400),
        (deployment(json!({ "model": "azureml:m:2" })), 200),
    ] {
        let answer = lab.put(&blue, ML, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let patch = json!({ "tags": { "a": "b" }, "sku": { "capacity": 3 }, "properties": { "model": "azureml:m:3" } });
    let patched = lab.patch(&blue, patch).await.expect(200).body;
    assert_eq!(
        (&patched["sku"], &patched["properties"]["model"]),
        (&json!({ "name": "Default", "capacity": 3 }), &json!("azureml:m:2"))
    );
    let listed = lab.get(&format!("{path}/deployments"), ML).await.expect(200).body;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deployment_waits_for_the_managed_network() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("caller", "AllowOnlyApprovedOutbound").await;
    let path = path(&ws, "score");
    lab.put(&path, ML, endpoint(json!({}))).await.expect(201);
    let blue = format!("{path}/deployments/blue");
    let early = lab.put(&blue, ML, deployment(json!({}))).await.expect(400);
    assert!(early.message().contains("must be provisioned"), "{}", early.text);
    lab.provision(&ws).await.expect(200);
    lab.put(&blue, ML, deployment(json!({ "egressPublicNetworkAccess": "Disabled" }))).await.expect(400);
    lab.put(&blue, ML, deployment(json!({}))).await.expect(201);
}
