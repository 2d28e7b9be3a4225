use std::time::Duration;

use arm_simulator::{OperationSeconds, ParallelApprovals, Seed, SeedConnection, Settings};
use serde_json::{Value, json};

use crate::lab::{Lab, ML, status_of, storage, vault, workspace};

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
