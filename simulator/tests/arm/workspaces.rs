use arm_simulator::Settings;
use serde_json::{Value, json};

use crate::lab::{Lab, ML, endpoint_rule, fqdn_rule, storage, workspace, workspace_body};

#[tokio::test]
async fn the_service_fills_in_what_clients_may_not_set() {
    let lab = Lab::start(Settings::fast()).await;
    let id = workspace("fresh");
    let mut body = workspace_body("Disabled");
    body["properties"]["workspaceId"] = json!("mine");
    body["properties"]["provisioningState"] = json!("Failed");
    body["tags"] = json!({ "owner": "team" });
    let created = lab.put(&id, ML, body).await.expect(200).body;
    let properties = &created["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_ne!(properties["workspaceId"], "mine");
    assert_eq!(properties["managedNetwork"], json!({ "isolationMode": "Disabled" }));
    assert_eq!(created["tags"], json!({ "owner": "team" }));
    let is_guid = |value: &Value| value.as_str().is_some_and(|text| text.len() == 36);
    assert!(is_guid(&properties["workspaceId"]) && is_guid(&created["identity"]["principalId"]));
}

#[tokio::test]
async fn creation_is_refused_and_leaves_nothing_behind() {
    let lab = Lab::start(Settings::fast()).await;
    let with = |change: fn(&mut Value)| {
        let mut body = workspace_body("AllowOnlyApprovedOutbound");
        change(&mut body);
        body
    };
    for (name, body, code) in [
        ("x", with(|_| {}), "ValidationError"),
        ("no-location", with(|b| b["location"] = Value::Null), "LocationRequired"),
        ("no-vault", with(|b| b["properties"]["keyVault"] = json!("/nowhere")), "ValidationError"),
        (
            "bad-rule",
            with(|b| b["properties"]["managedNetwork"]["outboundRules"] = json!({ "abc": fqdn_rule("*") })),
            "ValidationError",
        ),
    ] {
        let id = workspace(name);
        assert_eq!(lab.put(&id, ML, body).await.expect(400).code(), code, "{name}");
        lab.get(&id, ML).await.expect(404);
    }
}

#[tokio::test]
async fn patch_is_narrower_than_put() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("patched", "Disabled").await;
    let before = lab.get(&id, ML).await.body;
    let patch = json!({
        "tags": { "a": "1" },
        "properties": {
            "description": "new", "publicNetworkAccess": "Disabled", "systemDatastoresAuthMode": "identity",
            "hbiWorkspace": true, "storageAccount": storage("lake"), "allowPublicAccessWhenBehindVnet": true,
        }
    });
    let after = lab.patch(&id, patch).await.expect(200).body;
    assert_eq!(after["properties"]["description"], "new");
    assert_eq!(after["properties"]["publicNetworkAccess"], "Disabled");
    for untouched in ["hbiWorkspace", "storageAccount", "allowPublicAccessWhenBehindVnet", "friendlyName"] {
        assert_eq!(after["properties"][untouched], before["properties"][untouched], "{untouched}");
    }
    let after = lab.patch(&id, json!({ "tags": { "b": "2" } })).await.expect(200).body;
    assert_eq!(after["tags"], json!({ "b": "2" }), "tags are replaced as a whole");
    assert_eq!(after["properties"]["description"], "new");
}

#[tokio::test]
async fn what_is_fixed_at_creation_stays() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("fixed", "Disabled").await;
    let mut body = workspace_body("Disabled");
    body["properties"]["storageAccount"] = json!(storage("lake"));
    lab.put(&id, ML, body).await.expect(400);
    let mut body = workspace_body("Disabled");
    body["location"] = json!("eastus");
    assert_eq!(lab.put(&id, ML, body).await.expect(409).code(), "InvalidResourceLocation");
    let mut body = workspace_body("Disabled");
    body["properties"]["storageAccount"] = json!(storage("own").to_uppercase());
    lab.put(&id, ML, body).await.expect(200);
}

#[tokio::test]
async fn isolation_only_tightens() {
    let (d, i, o) = ("Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound");
    let lab = Lab::start(Settings::fast()).await;
    for (n, (from, to, status)) in
        [(d, i, 200), (d, o, 200), (i, o, 200), (o, o, 200), (i, d, 400), (o, i, 400), (o, d, 400)]
            .into_iter()
            .enumerate()
    {
        let id = lab.workspace(&format!("iso-{n}"), from).await;
        let patch = json!({ "properties": { "managedNetwork": { "isolationMode": to } } });
        let answer = lab.patch(&id, patch).await.expect(status);
        let expected = if status == 200 { to } else { from };
        let shown = lab.get(&id, ML).await.body;
        assert_eq!(shown["properties"]["managedNetwork"]["isolationMode"], expected, "{from} to {to}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_service_makes_its_own_rules() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("ruled", "AllowOnlyApprovedOutbound").await;
    let list = lab.get(&format!("{id}/outboundRules"), ML).await.expect(200).body;
    let rules = list["value"].as_array().unwrap();
    let has = |start: &str| rules.iter().any(|rule| rule["name"].as_str().unwrap().starts_with(start));
    for name in [
        "__SYS_ST_AzureActiveDirectory_TCP",
        "__SYS_ST_MicrosoftContainerRegistry.westeurope_TCP",
        "__SYS_PE_own_blob_",
        "__SYS_PE_own_file_",
        "__SYS_PE_kv1_vault_",
        "__SYS_PE_ruled_amlworkspace_",
    ] {
        assert!(has(name), "{name}");
    }
    assert!(rules.iter().all(|rule| rule["properties"]["category"] == "Required"));
    assert!(rules.iter().all(|rule| rule["properties"]["status"] == "Inactive"));
    let map = lab.get(&id, ML).await.body["properties"]["managedNetwork"]["outboundRules"].clone();
    assert_eq!(map.as_object().unwrap().len(), rules.len());

    // The looser mode only closes in what has no public access, here the workspace itself.
    let mut body = workspace_body("AllowInternetOutbound");
    body["properties"]["publicNetworkAccess"] = json!("Disabled");
    let loose = lab.put(&workspace("loose"), ML, body).await.expect(200).body;
    let map = loose["properties"]["managedNetwork"]["outboundRules"].as_object().unwrap().clone();
    assert_eq!(map.len(), 1);
    assert!(map.keys().next().unwrap().starts_with("__SYS_PE_loose_amlworkspace_"));
}

#[tokio::test]
async fn a_deleted_workspace_keeps_its_name_until_it_is_purged() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("gone", "Disabled").await;
    lab.delete(&id, ML).await.expect(200);
    lab.get(&id, ML).await.expect(404);
    assert_eq!(lab.put(&id, ML, workspace_body("Disabled")).await.expect(409).code(), "Conflict");
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
