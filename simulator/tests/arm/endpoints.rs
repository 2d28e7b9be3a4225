use arm_simulator::Settings;
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, assignment, id, seed, status_of, storage};

const NETWORK: &str = "2024-05-01";

fn endpoint(list: &str, target: &str) -> Value {
    let connection = json!({ "name": "c1", "properties": { "privateLinkServiceId": target, "groupIds": ["blob"], "requestMessage": "please" } });
    json!({
        "location": "westeurope",
        "properties": {
            "subnet": { "id": format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/pe") },
            list: [connection],
        }
    })
}

const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";

#[tokio::test]
async fn both_sides_of_a_connection_agree() {
    let lab = Lab::start(Settings::fast()).await;
    let pe = id("Microsoft.Network/privateEndpoints", "pe1");
    let created = lab.put(&pe, NETWORK, endpoint(MANUAL, &storage("lake"))).await.expect(201).body;
    let theirs = |body: &Value| status_of(&body["properties"][MANUAL][0]).to_owned();
    assert_eq!(theirs(&created), "Pending");
    let connection = lab.connections(&storage("lake")).await.remove(0);
    assert_eq!((status_of(&connection), &connection["properties"]["privateEndpoint"]["id"]), ("Pending", &json!(pe)));
    let url = connection["id"].as_str().unwrap();
    for status in ["Approved", "Rejected"] {
        let body = json!({ "properties": { "privateLinkServiceConnectionState": { "status": status } } });
        lab.put(url, "2023-05-01", body).await.expect(200);
        assert_eq!(theirs(&lab.get(&pe, NETWORK).await.body), status);
    }
    lab.delete(url, "2023-05-01").await.expect(200);
    assert_eq!(theirs(&lab.get(&pe, NETWORK).await.body), "Disconnected");
    lab.delete(&pe, NETWORK).await.expect(200);
    lab.delete(&pe, NETWORK).await.expect(204);

    lab.put(&pe, NETWORK, endpoint(AUTOMATIC, &storage("lake"))).await.expect(201);
    lab.put(&pe, NETWORK, endpoint(AUTOMATIC, &storage("lake"))).await.expect(200);
    let connections = lab.connections(&storage("lake")).await;
    assert_eq!((connections.len(), status_of(&connections[0])), (1, "Approved"));
    lab.delete(&pe, NETWORK).await.expect(200);
    assert!(lab.connections(&storage("lake")).await.is_empty());
}

#[tokio::test]
async fn an_automatic_connection_needs_rights_on_the_target() {
    let mut seed = seed();
    seed.role_definitions.push(arm_simulator::SeedRole {
        name: "aaaaaaaa-0000-0000-0000-000000000002".into(),
        role_name: "network".into(),
        actions: vec!["Microsoft.Network/*".into()],
        not_actions: Vec::new(),
    });
    seed.role_assignments.push(assignment(GROUP, "network", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let url = format!("{}?api-version={NETWORK}", id("Microsoft.Network/privateEndpoints", "pe2"));
    let refused = lab.send("PUT", &url, &guest, Some(endpoint(AUTOMATIC, &storage("lake")))).await.unwrap().expect(403);
    assert_eq!(refused.code(), "LinkedAuthorizationFailed");
    assert!(lab.connections(&storage("lake")).await.is_empty());
    lab.send("PUT", &url, &guest, Some(endpoint(MANUAL, &storage("lake")))).await.unwrap().expect(201);
}

#[tokio::test]
async fn a_request_states_exactly_one_known_connection() {
    let lab = Lab::start(Settings::fast()).await;
    let pe = id("Microsoft.Network/privateEndpoints", "pe3");
    let mut both = endpoint(AUTOMATIC, &storage("lake"));
    both["properties"][MANUAL] = both["properties"][AUTOMATIC].clone();
    let mut group = endpoint(MANUAL, &storage("lake"));
    group["properties"][MANUAL][0]["properties"]["groupIds"] = json!(["vault"]);
    for body in [both, group, endpoint("somethingElse", &storage("lake"))] {
        lab.put(&pe, NETWORK, body).await.expect(400);
    }
    lab.put(&pe, NETWORK, endpoint(MANUAL, &storage("absent"))).await.expect(404);
}
