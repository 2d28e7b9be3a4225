use arm_simulator::{OperationSeconds, Settings};
use serde_json::json;

use crate::lab::{GROUP, Lab, ML, storage, workspace, workspace_body};

#[tokio::test]
async fn everything_can_be_driven_without_the_library() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let control = |method: &'static str, what: &'static str, body| {
        let lab = &lab;
        async move { lab.send(method, &format!("/_simulator/{what}"), "", body).await.unwrap() }
    };
    let slow = json!({ "operationSeconds": { "workspaceCreate": 10.0 } });
    let settings = control("PATCH", "settings", Some(slow)).await.expect(200).body;
    let expected = Settings {
        operation_seconds: OperationSeconds { workspace_create: 10.0, ..OperationSeconds::all(0.0) },
        clock_speed: 0.0,
        ..Settings::fast()
    };
    assert_eq!(settings, serde_json::to_value(&expected).unwrap());
    control("PATCH", "settings", Some(json!({ "typo": 1 }))).await.expect(400);

    let id = workspace("driven");
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(202);
    let before = control("GET", "clock", None).await.body["nowMs"].as_i64().unwrap();
    let after = control("POST", "clock", Some(json!({ "advanceMs": 10_000 }))).await.expect(200).body;
    assert_eq!(after["nowMs"].as_i64().unwrap(), before + 10_000);
    assert_eq!(lab.get(&id, ML).await.body["properties"]["provisioningState"], "Succeeded");

    let fault = json!({ "path": "resourceGroups/rg1", "times": 1, "action": { "kind": "status", "status": 503, "code": "Down" } });
    control("POST", "faults", Some(fault)).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(503);
    lab.get(GROUP, "2021-04-01").await.expect(200);
    control("POST", "faults", Some(json!({ "action": { "kind": "drop" } }))).await.expect(204);
    control("DELETE", "faults", None).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(200);

    let connection =
        json!({ "connections": [{ "target": storage("lake"), "privateEndpointId": "/subscriptions/x/pe" }] });
    control("POST", "seed", Some(connection)).await.expect(204);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);
    let unknown = json!({ "connections": [{ "target": storage("absent"), "privateEndpointId": "/x" }] });
    control("POST", "seed", Some(unknown)).await.expect(400);

    let log = control("GET", "requests?since=1", None).await.expect(200).body;
    let first = &log[0];
    assert_eq!((&first["seq"], &first["method"], &first["caller"]), (&json!(2), &json!("GET"), &json!("owner-object")));
    assert!(
        lab.sim.requests()[0].body.is_some()
            && lab.sim.requests()[0].started_operation.as_deref() == Some("workspaceCreate")
    );
    control("DELETE", "requests", None).await.expect(204);
    assert!(lab.sim.requests().is_empty());

    let state = control("GET", "state", None).await.expect(200).body;
    assert_eq!(state, lab.sim.state_json());
    control("DELETE", "tokens", None).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(401);
    control("GET", "nothing", None).await.expect(404);
}

#[tokio::test]
async fn the_same_story_ends_in_the_same_state() {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let lab = Lab::start(Settings::fast()).await;
        let ws = lab.built("story", "AllowOnlyApprovedOutbound").await;
        lab.let_approve(&ws, &storage("lake")).await;
        lab.rule(&ws, "lake", crate::lab::endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
        ends.push(lab.sim.state_json());
    }
    assert_eq!(ends[0], ends[1]);
    assert!(ends[0]["resources"].as_object().unwrap().contains_key(&workspace("story").to_ascii_lowercase()));
}
