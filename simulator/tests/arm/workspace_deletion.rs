//! What a deleted workspace leaves behind, and how it comes back.

use std::time::Duration;

use arm_simulator::Settings;
use serde_json::json;

use crate::lab::{Lab, ML, endpoint_rule, storage, workspace_body};

#[tokio::test]
async fn a_deleted_workspace_keeps_its_name_until_it_is_purged() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("gone", "Disabled").await;
    lab.delete(&id, ML).await.expect(200);
    lab.get(&id, ML).await.expect(404);
    let refused = lab.put(&id, ML, workspace_body("Disabled")).await.expect(400);
    assert_eq!(refused.code(), "BadRequest");
    assert!(refused.message().starts_with("Soft-deleted workspace exists."), "{}", refused.text);
    lab.send("DELETE", &format!("{id}?api-version={ML}&forceToPurge=true"), &lab.token, None)
        .await
        .unwrap()
        .expect(204);
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(200);
    let first = lab.get(&id, ML).await.body["properties"]["workspaceId"].clone();
    lab.send("DELETE", &format!("{id}?api-version={ML}&forceToPurge=true"), &lab.token, None)
        .await
        .unwrap()
        .expect(200);
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(200);
    assert_ne!(lab.get(&id, ML).await.body["properties"]["workspaceId"], first, "a new workspace has a new id");
}

#[tokio::test]
async fn a_workspace_takes_its_managed_endpoints_with_it() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.built("leaving", "AllowOnlyApprovedOutbound").await;
    lab.let_approve(&id, &storage("lake")).await;
    lab.rule(&id, "lake", endpoint_rule(&storage("lake"), "blob")).await.expect(200);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);
    lab.delete(&id, ML).await.expect(200);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 0);
    assert_eq!(lab.connections(&storage("own")).await.len(), 0);
}

#[tokio::test]
async fn a_deleted_workspace_comes_back_or_is_forgotten_in_time() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let id = lab.workspace("back", "Disabled").await;
    let first = lab.get(&id, ML).await.body;
    lab.delete(&id, ML).await.expect(200);
    let mut body = workspace_body("Disabled");
    body["properties"]["allowRecoverSoftDeletedWorkspace"] = json!("True");
    let back = lab.put(&id, ML, body).await.expect(200).body;
    assert_eq!(back["properties"]["workspaceId"], first["properties"]["workspaceId"]);
    assert_eq!(back["identity"], first["identity"]);
    lab.delete(&id, ML).await.expect(200);
    lab.sim.clock().advance(Duration::from_secs(13 * 86_400));
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(400);
    lab.sim.clock().advance(Duration::from_secs(86_400));
    let token = lab.sign_in("owner").await;
    let url = format!("{id}?api-version={ML}");
    let fresh = lab.send("PUT", &url, &token, Some(workspace_body("Disabled"))).await.unwrap().expect(200).body;
    assert_ne!(fresh["properties"]["workspaceId"], first["properties"]["workspaceId"]);
}
