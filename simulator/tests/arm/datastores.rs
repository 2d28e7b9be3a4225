//! Datastores and connections: what a workspace reads from, and the secrets of both.

use arm_simulator::{SeedResource, Settings};
use serde_json::{Value, json};

use crate::lab::{Lab, ML, seed, storage};

fn blob(credentials: Value) -> Value {
    json!({ "properties": {
        "datastoreType": "AzureBlob", "accountName": "lake", "containerName": "data", "credentials": credentials,
    } })
}

fn none() -> Value {
    json!({ "credentialsType": "None" })
}

fn account_key() -> Value {
    json!({ "credentialsType": "AccountKey", "secrets": { "secretsType": "AccountKey", "key": "hush-hush" } })
}

fn path(workspace: &str, name: &str) -> String {
    format!("{workspace}/datastores/{name}")
}

#[tokio::test]
async fn a_datastore_shows_everything_but_its_secrets() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    let made = lab.put(&path(&ws, "lake"), ML, blob(account_key())).await.expect(201).body;
    let expected = json!({
        "datastoreType": "AzureBlob", "accountName": "lake", "containerName": "data", "endpoint": "core.windows.net",
        "protocol": "https", "serviceDataAccessAuthIdentity": "None", "isDefault": false,
        "credentials": { "credentialsType": "AccountKey" },
    });
    assert_eq!(made["properties"], expected);
    assert_eq!(lab.get(&path(&ws, "lake"), ML).await.expect(200).body, made);
    let secrets = format!("{}/listSecrets", path(&ws, "lake"));
    let listed = lab.post(&secrets, None).await.expect(200).body;
    assert_eq!(listed, json!({ "secretsType": "AccountKey", "key": "hush-hush" }));
    // A new secret takes the place of the old one; without any there is none to list.
    let mut rotated = blob(account_key());
    rotated["properties"]["credentials"]["secrets"]["key"] = json!("hush-again");
    lab.put(&path(&ws, "lake"), ML, rotated).await.expect(200);
    assert_eq!(lab.post(&secrets, None).await.expect(200).body["key"], "hush-again");
    lab.put(&path(&ws, "lake"), ML, blob(none())).await.expect(200);
    lab.post(&secrets, None).await.expect(400);
    // Nobody else keeps it: not the log, not the state.
    let kept = lab.sim.exchanges().iter().any(|exchange| {
        [&exchange.request_body, &exchange.response_body]
            .iter()
            .any(|body| String::from_utf8_lossy(body).contains("hush"))
    });
    assert!(!kept && !lab.sim.state_json().to_string().contains("hush"));
    lab.delete(&path(&ws, "lake"), ML).await.expect(200);
    lab.delete(&path(&ws, "lake"), ML).await.expect(204);
    lab.get(&path(&ws, "lake"), ML).await.expect(404);
}

#[tokio::test]
async fn datastores_are_judged() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    let of = |kind: &str, own: Value| {
        let mut body = json!({ "properties": { "datastoreType": kind, "credentials": none() } });
        body["properties"].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        body
    };
    let principal = |own: Value| {
        let mut credentials = json!({
            "credentialsType": "ServicePrincipal", "tenantId": crate::lab::TENANT,
            "clientId": "44444444-4444-4444-4444-444444444444",
            "secrets": { "secretsType": "ServicePrincipal", "clientSecret": "hush" },
        });
        credentials.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        of("AzureDataLakeGen2", json!({ "accountName": "lake", "filesystem": "fs", "credentials": credentials }))
    };
    let sas = json!({ "credentialsType": "Sas", "secrets": { "secretsType": "Sas", "sasToken": "?sv=1" } });
    for (name, body, status) in [
        ("gen2", of("AzureDataLakeGen2", json!({ "accountName": "lake", "filesystem": "fs" })), 201),
        ("file", of("AzureFile", json!({ "accountName": "lake", "fileShareName": "share" })), 201),
        ("sp", principal(json!({})), 201),
        ("sas", blob(sas), 201),
        ("sp2", principal(json!({ "secrets": { "secretsType": "ServicePrincipal" } })), 400),
        ("sp2", principal(json!({ "clientId": null })), 400),
        ("key", blob(json!({ "credentialsType": "AccountKey" })), 400),
        ("odd", blob(json!({ "credentialsType": "Handshake" })), 400),
        ("odd", of("Floppy", json!({ "accountName": "lake" })), 400),
        ("odd", of("AzureFile", json!({ "accountName": "lake" })), 400),
        (
            "odd",
            of(
                "AzureBlob",
                json!({ "accountName": "lake", "containerName": "c", "serviceDataAccessAuthIdentity": "Me" }),
            ),
            400,
        ),
        ("no.name", blob(none()), 400),
        ("-name", blob(none()), 400),
    ] {
        let answer = lab.put(&path(&ws, name), ML, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
}

#[tokio::test]
async fn where_a_datastore_leads_stays() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    lab.put(&path(&ws, "lake"), ML, blob(none())).await.expect(201);
    for (member, value, status) in [
        ("description", json!("ours"), 200),
        ("accountName", json!("own"), 400),
        ("containerName", json!("other"), 400),
        ("endpoint", json!("core.chinacloudapi.cn"), 400),
        ("protocol", json!("http"), 400),
        ("serviceDataAccessAuthIdentity", json!("WorkspaceSystemAssignedIdentity"), 400),
    ] {
        let mut body = blob(none());
        body["properties"][member] = value;
        let answer = lab.put(&path(&ws, "lake"), ML, body).await;
        assert_eq!(answer.status, status, "{member}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_account_is_tried_unless_the_caller_says_not_to() {
    let mut seed = seed();
    let keyless = SeedResource::new(storage("keyless"), "westeurope").property("allowSharedKeyAccess", json!(false));
    seed.resources.push(keyless);
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    let of = |account: &str, credentials: Value| {
        let mut body = blob(credentials);
        body["properties"]["accountName"] = json!(account);
        body
    };
    for (name, body) in [("nowhere", of("nothing", none())), ("keyless", of("keyless", account_key()))] {
        lab.put(&path(&ws, name), ML, body.clone()).await.expect(400);
        lab.call("PUT", &format!("{}?skipValidation=true", path(&ws, name)), ML, Some(body)).await.expect(201);
    }
}

#[tokio::test]
async fn every_workspace_has_four_datastores_from_the_start() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    lab.put(&path(&ws, "lake"), ML, blob(none())).await.expect(201);
    let names = |query: &'static str| {
        let (lab, url) = (&lab, format!("{ws}/datastores?api-version={ML}{query}"));
        async move {
            let all = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body;
            all["value"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let default = ["workspaceblobstore", "workspacefilestore", "workspaceartifactstore", "workspaceworkingdirectory"];
    assert_eq!(names("").await, [&default[..], &["lake"]].concat());
    assert_eq!(names("&isDefault=true").await, ["workspaceblobstore"]);
    assert_eq!(names("&names=lake,other").await, ["lake"]);
    assert_eq!(names("&searchText=file").await, ["workspacefilestore"]);
    assert_eq!(names("&count=2").await, default[..2]);
    let shown = lab.get(&path(&ws, "workspaceblobstore"), ML).await.expect(200).body;
    assert_eq!((&shown["properties"]["accountName"], &shown["properties"]["isDefault"]), (&json!("own"), &json!(true)));
    lab.delete(&path(&ws, "workspaceblobstore"), ML).await.expect(400);
}

#[tokio::test]
async fn a_connection_keeps_its_secrets_to_itself() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("reader", "Disabled").await;
    let path = format!("{ws}/connections/hub");
    let body = json!({ "properties": {
        "authType": "ApiKey", "category": "ApiKey", "target": "https://api.example", "credentials": { "key": "hush-hush" },
    } });
    let made = lab.put(&path, ML, body).await.expect(200);
    assert!(!made.text.contains("hush"));
    let patch = json!({ "properties": { "authType": "ApiKey", "metadata": { "a": "b" } } });
    let changed = lab.patch(&path, patch).await.expect(200).body;
    assert_eq!(
        (&changed["properties"]["metadata"], &changed["properties"]["target"]),
        (&json!({ "a": "b" }), &json!("https://api.example"))
    );
    let secrets = lab.post(&format!("{path}/listsecrets"), None).await.expect(200).body;
    assert_eq!(secrets["properties"]["credentials"], json!({ "key": "hush-hush" }));
    let count = |query: &'static str| {
        let (lab, url) = (&lab, format!("{ws}/connections?api-version={ML}{query}"));
        async move {
            lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body["value"].as_array().unwrap().len()
        }
    };
    assert_eq!((count("").await, count("&category=ApiKey").await, count("&category=Git").await), (1, 1, 0));
}
