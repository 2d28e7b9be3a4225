use std::time::Duration;

use arm_simulator::{
    OperationSeconds, ParallelApprovals, RejectedConnections, SecondApproval, Seed, SeedConnection, SeedResource,
    Settings,
};
use serde_json::{Value, json};

use crate::lab::{Lab, ML, id, status_of, storage, vault, workspace};

const STRANGER: &str = "/subscriptions/77777777-0000-0000-0000-000000000000/resourceGroups/theirs/providers/Microsoft.Network/privateEndpoints/pe-x";

fn ask(target: &str, endpoint: &str) -> SeedConnection {
    SeedConnection { target: target.into(), private_endpoint_id: endpoint.into(), ..SeedConnection::default() }
}

async fn asked(lab: &Lab, target: &str, version: &str) -> Value {
    lab.sim.seed(Seed { connections: vec![ask(target, STRANGER)], ..Seed::default() }).unwrap();
    lab.get(&format!("{target}/privateEndpointConnections"), version).await.expect(200).body["value"][0].clone()
}

fn state(status: &str) -> Value {
    json!({ "properties": { "privateLinkServiceConnectionState": { "status": status, "description": null } } })
}

#[tokio::test]
async fn each_provider_speaks_its_dialect() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("target", "Disabled").await;
    for (target, old, new, actions, name) in [
        (storage("lake"), "2019-06-01", "2023-05-01", "actionRequired", "lake."),
        (vault(), "2019-09-01", "2024-11-01", "actionsRequired", "pe-x."),
        (ws, "2021-01-01", ML, "actionsRequired", "pe-x."),
    ] {
        let connection = asked(&lab, &target, new).await;
        assert!(connection["name"].as_str().unwrap().starts_with(name), "{connection}");
        assert_eq!(connection["properties"]["privateEndpoint"]["id"], STRANGER);
        assert_eq!(connection["properties"]["privateLinkServiceConnectionState"][actions], "None");
        let id = connection["id"].as_str().unwrap();
        // Neither an absent nor an empty nor another endpoint in the body changes the one that is stated.
        let mut body = state("Approved");
        body["properties"]["privateEndpoint"] = json!({ "id": "/subscriptions/mine" });
        let approved = lab.put(id, old, body).await.expect(200).body;
        assert_eq!(approved["properties"]["privateEndpoint"]["id"], STRANGER);
        assert_eq!(approved["properties"]["privateLinkServiceConnectionState"]["description"], "");
        assert_eq!(approved["properties"]["provisioningState"], "Succeeded");
        let on_target = lab.get(&target, new).await.body;
        assert_eq!(status_of(&on_target["properties"]["privateEndpointConnections"][0]), "Approved");
        // As `az` does: the whole object back, with another status.
        let mut whole = lab.get(id, old).await.body;
        whole["properties"]["privateLinkServiceConnectionState"]["status"] = json!("Rejected");
        assert_eq!(status_of(&lab.put(id, old, whole).await.expect(200).body), "Rejected");
        lab.put(id, new, state("Approved")).await.expect(400);
        lab.put(id, new, state("Perhaps")).await.expect(400);
        lab.delete(id, new).await.expect(200);
        lab.delete(id, new).await.expect(204);
        lab.put(id, new, state("Approved")).await.expect(404);
        let links = lab.get(&format!("{target}/privateLinkResources"), new).await.expect(200).body;
        assert!(links["value"][0]["properties"]["groupId"].is_string());
    }
}

#[tokio::test]
async fn parallel_approvals_supersede_each_other_unless_told_otherwise() {
    for (mode, first) in [(ParallelApprovals::Supersede, "Pending"), (ParallelApprovals::Allow, "Approved")] {
        let seconds = OperationSeconds { approval: 10.0, ..OperationSeconds::all(0.0) };
        let settings =
            Settings { parallel_approvals: mode, operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() };
        let lab = Lab::start(settings).await;
        let connections =
            vec![ask(&storage("lake"), &format!("{STRANGER}1")), ask(&storage("lake"), &format!("{STRANGER}2"))];
        lab.sim.seed(Seed { connections, ..Seed::default() }).unwrap();
        let ids: Vec<String> =
            lab.connections(&storage("lake")).await.iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect();
        for id in &ids {
            let answer = lab.put(id, "2023-05-01", state("Approved")).await.expect(200).body;
            assert_eq!(
                (status_of(&answer), &answer["properties"]["provisioningState"]),
                ("Pending", &json!("Creating"))
            );
        }
        lab.sim.clock().advance(Duration::from_secs(10));
        let mut seen = Vec::new();
        for id in &ids {
            let connection = lab.get(id, "2023-05-01").await.body;
            assert_eq!(connection["properties"]["provisioningState"], "Succeeded");
            seen.push(status_of(&connection).to_owned());
        }
        assert_eq!(seen, [first, "Approved"], "{mode:?}");
    }
}

#[tokio::test]
async fn approving_needs_the_approval_action() {
    let mut seed = crate::lab::seed();
    seed.role_definitions.push(arm_simulator::SeedRole {
        name: "aaaaaaaa-0000-0000-0000-000000000001".into(),
        role_name: "half an approver".into(),
        actions: vec![
            "Microsoft.Storage/*/read".into(),
            "Microsoft.Storage/storageAccounts/privateEndpointConnections/write".into(),
        ],
        not_actions: Vec::new(),
    });
    seed.role_assignments.push(crate::lab::assignment(&storage("lake"), "half an approver", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let connection = asked(&lab, &storage("lake"), "2023-05-01").await;
    let url = format!("{}?api-version=2023-05-01", connection["id"].as_str().unwrap());
    let guest = lab.sign_in("guest").await;
    let refused = lab.send("PUT", &url, &guest, Some(state("Approved"))).await.unwrap().expect(403);
    assert!(refused.message().contains("PrivateEndpointConnectionsApproval/action"), "{}", refused.message());
    lab.send("PUT", &url, &guest, Some(state("Rejected"))).await.unwrap().expect(200);
}

#[tokio::test]
async fn a_vault_deletes_connections_by_an_operation() {
    let seconds = OperationSeconds { connection_delete: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let connection = asked(&lab, &vault(), "2024-11-01").await;
    let id = connection["id"].as_str().unwrap();
    let accepted = lab.delete(id, "2024-11-01").await.expect(202);
    let location = accepted.header("Location").unwrap();
    assert!(accepted.header("Azure-AsyncOperation").is_none());
    lab.send("GET", location, &lab.token, None).await.unwrap().expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.send("GET", location, &lab.token, None).await.unwrap().expect(200);
    lab.get(id, "2024-11-01").await.expect(404);
    lab.get(&workspace("none"), ML).await.expect(404);
}

fn registry() -> String {
    id("Microsoft.ContainerRegistry/registries", "images")
}

fn server() -> String {
    id("Microsoft.Sql/servers", "facts")
}

/// A lab in which decisions and deletions take ten seconds, with a registry and a server besides.
async fn slow(change: impl FnOnce(&mut Settings)) -> Lab {
    let seconds = OperationSeconds { approval: 10.0, connection_delete: 10.0, ..OperationSeconds::all(0.0) };
    let mut settings =
        Settings { operation_seconds: seconds, clock_speed: 0.0, retry_after_ms: None, ..Settings::fast() };
    change(&mut settings);
    let lab = Lab::start(settings).await;
    let resources = [registry(), server()].map(|id| SeedResource::new(id, "westeurope")).to_vec();
    lab.sim.seed(Seed { resources, ..Seed::default() }).unwrap();
    lab
}

#[tokio::test]
async fn a_registry_decides_and_deletes_by_operations_below_the_connection() {
    let lab = slow(|_| {}).await;
    let (old, new) = ("2019-12-01-preview", "2023-07-01");
    let connection = asked(&lab, &registry(), old).await;
    assert!(connection["name"].as_str().unwrap().starts_with("pe-x."), "{connection}");
    assert!(connection["properties"].get("groupIds").is_none());
    let id = connection["id"].as_str().unwrap();
    let begun = lab.put(id, new, state("Approved")).await.expect(201);
    assert_eq!(
        (status_of(&begun.body), &begun.body["properties"]["provisioningState"]),
        ("Pending", &json!("Updating"))
    );
    let url = begun.header("Azure-AsyncOperation").unwrap().to_owned();
    assert!(url.contains(&format!("{id}/operationStatuses/privateendpointconnections-")), "{url}");
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body["status"], "InProgress");
    // By time, not by asking: `az` never looks at the operation.
    lab.sim.clock().advance(Duration::from_secs(10));
    let settled = lab.get(id, old).await.body;
    assert_eq!((status_of(&settled), &settled["properties"]["provisioningState"]), ("Approved", &json!("Succeeded")));
    let gone = lab.delete(id, new).await.expect(202);
    assert!(gone.header("Azure-AsyncOperation").is_none());
    assert_eq!(lab.get(id, new).await.body["properties"]["provisioningState"], "Deleting");
    let url = gone.header("Location").unwrap().to_owned();
    lab.send("GET", &url, &lab.token, None).await.unwrap().expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200);
    lab.delete(id, new).await.expect(204);
}

#[tokio::test]
async fn a_sql_server_says_approving_ready_and_dropping() {
    let lab = slow(|_| {}).await;
    let version = "2018-06-01-preview";
    let connection = asked(&lab, &server(), version).await;
    assert!(connection["name"].as_str().unwrap().starts_with("pe-x-"), "{connection}");
    assert_eq!(connection["properties"]["groupIds"], json!([]));
    assert_eq!(connection["properties"]["provisioningState"], "Ready");
    let id = connection["id"].as_str().unwrap();
    let wrong = lab.put(id, version, state("Disconnected")).await.expect(400);
    assert_eq!(wrong.code(), "IncorrectPrivateLinkServiceConnectionStateStatus");
    let silent = json!({ "properties": { "privateLinkServiceConnectionState": { "status": "Approved" } } });
    lab.put(id, version, silent).await.expect(400);
    let begun = lab.put(id, version, state("Approved")).await.expect(202);
    assert_eq!(begun.text, "");
    let url = begun.header("Azure-AsyncOperation").unwrap().to_owned();
    assert!(begun.header("Location").is_some());
    assert_eq!(lab.get(id, version).await.body["properties"]["provisioningState"], "Approving");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "Succeeded");
    let settled = lab.get(id, version).await.body;
    assert_eq!((status_of(&settled), &settled["properties"]["provisioningState"]), ("Approved", &json!("Ready")));
    // The server's own document shows connections by id and properties only.
    let embedded = lab.get(&server(), version).await.body["properties"]["privateEndpointConnections"][0].clone();
    assert_eq!(embedded, json!({ "id": id, "properties": settled["properties"] }));
    lab.delete(id, version).await.expect(202);
    assert_eq!(lab.get(id, version).await.body["properties"]["provisioningState"], "Dropping");
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(id, version).await.expect(404);
}

#[tokio::test]
async fn a_sql_server_refuses_a_second_decision_unless_told_otherwise() {
    for (mode, status) in [(SecondApproval::Refuse, 400), (SecondApproval::Accept, 200)] {
        let lab = slow(|settings| {
            settings.sql_second_approval = mode;
            settings.operation_seconds.approval = 0.0;
        })
        .await;
        let connection = asked(&lab, &server(), "2021-11-01").await;
        let id = connection["id"].as_str().unwrap();
        lab.put(id, "2021-11-01", state("Approved")).await.expect(200);
        // The hurt: neither approving again nor taking it back works.
        for again in ["Approved", "Rejected"] {
            let answer = lab.put(id, "2021-11-01", state(again)).await.expect(status);
            if status == 400 {
                assert_eq!(answer.code(), "PrivateEndpointConnectionStatusNotPending");
            } else {
                assert_eq!(status_of(&answer.body), again);
            }
        }
    }
}

#[tokio::test]
async fn a_rejected_connection_stays_so_unless_told_otherwise() {
    for (mode, status) in [(RejectedConnections::Final, 400), (RejectedConnections::Approvable, 200)] {
        let lab = Lab::start(Settings { rejected_connections: mode, ..Settings::fast() }).await;
        let connection = asked(&lab, &storage("lake"), "2023-05-01").await;
        let id = connection["id"].as_str().unwrap();
        lab.put(id, "2023-05-01", state("Rejected")).await.expect(200);
        lab.put(id, "2023-05-01", state("Approved")).await.expect(status);
    }
}

#[tokio::test]
async fn a_slow_vault_answers_at_once_and_says_where_to_ask() {
    let lab = slow(|_| {}).await;
    let connection = asked(&lab, &vault(), "2024-11-01").await;
    let id = connection["id"].as_str().unwrap();
    let begun = lab.put(id, "2024-11-01", state("Approved")).await.expect(200);
    assert_eq!(begun.body["properties"]["provisioningState"], "Updating");
    assert_eq!(begun.header("Retry-After"), Some("10"));
    let url = begun.header("Azure-AsyncOperation").unwrap().to_owned();
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "InProgress");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "Succeeded");
    let embedded = lab.get(&vault(), "2024-11-01").await.body["properties"]["privateEndpointConnections"][0].clone();
    assert_eq!((status_of(&embedded), embedded.get("name")), ("Approved", None));
}

#[tokio::test]
async fn an_empty_endpoint_in_the_body_changes_nothing() {
    let lab = slow(|settings| settings.operation_seconds.approval = 0.0).await;
    for (target, version) in [(storage("lake"), "2023-05-01"), (registry(), "2023-07-01"), (server(), "2021-11-01")] {
        let connection = asked(&lab, &target, version).await;
        let mut body = state("Approved");
        body["properties"]["privateEndpoint"] = json!({});
        let approved = lab.put(connection["id"].as_str().unwrap(), version, body).await.expect(200).body;
        assert_eq!(approved["properties"]["privateEndpoint"]["id"], STRANGER);
    }
}
