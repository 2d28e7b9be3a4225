use arm_simulator::Settings;
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, TENANT, id};

const V: &str = "2023-01-31";

fn path() -> String {
    id("Microsoft.ManagedIdentity/userAssignedIdentities", "robot")
}

fn credential(subject: &str) -> Value {
    json!({ "properties": { "issuer": "https://issuer.example", "subject": subject, "audiences": ["api://AzureADTokenExchange"] } })
}

#[tokio::test]
async fn an_identity_is_what_was_recorded() {
    let lab = Lab::start(Settings::fast()).await;
    let body = json!({ "location": "westus2", "name": "robot" });
    let made = lab.put(&path(), "2018-11-30", body.clone()).await.expect(201);
    assert_eq!(made.header("Location"), made.body["id"].as_str());
    let made = made.body;
    let lower = path().replace("resourceGroups", "resourcegroups");
    let ids = &made["properties"];
    assert_eq!(
        made,
        json!({
            "location": "westus2", "tags": {}, "id": lower, "name": "robot",
            "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
            "properties": { "tenantId": TENANT, "principalId": ids["principalId"], "clientId": ids["clientId"] },
        })
    );
    assert_eq!(lab.put(&path(), "2018-11-30", body).await.expect(200).body, made);
    let tagged = lab.call("PATCH", &path(), V, Some(json!({ "tags": { "a": "1" } }))).await.expect(200).body;
    assert_eq!((&tagged["tags"], &tagged["properties"]), (&json!({ "a": "1" }), ids));
    lab.delete(&path(), V).await.expect(200);
    lab.delete(&path(), V).await.expect(204);
    // Made anew it is somebody else.
    let anew = lab.put(&path(), V, json!({ "location": "westus2" })).await.expect(201).body;
    assert_ne!(anew["properties"]["principalId"], ids["principalId"]);
}

#[tokio::test]
async fn role_assignments_find_a_new_identity_late() {
    let settings = Settings { principal_replication_seconds: 30.0, clock_speed: 0.0, ..Settings::fast() };
    let lab = Lab::start(settings).await;
    let made = lab.put(&path(), V, json!({ "location": "westus2" })).await.expect(201).body;
    let name = "aaaaaaaa-0000-0000-0000-0000000000aa";
    let assignment = format!("{GROUP}/providers/Microsoft.Authorization/roleAssignments/{name}");
    let role = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let body = json!({ "properties": { "roleDefinitionId": role, "principalId": made["properties"]["principalId"] } });
    assert_eq!(lab.put(&assignment, "2022-04-01", body.clone()).await.expect(400).code(), "PrincipalNotFound");
    lab.sim.clock().advance(std::time::Duration::from_secs(30));
    lab.put(&assignment, "2022-04-01", body).await.expect(201);
}

#[tokio::test]
async fn credentials_are_unique_complete_and_at_most_twenty() {
    let lab = Lab::start(Settings::fast()).await;
    let fic = |name: &str| format!("{}/federatedIdentityCredentials/{name}", path());
    lab.put(&fic("first"), V, credential("a")).await.expect(404);
    lab.put(&path(), V, json!({ "location": "westus2" })).await.expect(201);
    lab.put(&fic("first"), V, credential("a")).await.expect(201);
    lab.put(&fic("first"), V, credential("a")).await.expect(200);
    let twice = lab.put(&fic("second"), V, credential("a")).await.expect(409);
    assert!(twice.message().starts_with("Issuer and subject combination already exists"), "{}", twice.message());
    lab.put(&fic("x"), V, credential("b")).await.expect(400);
    lab.put(&fic("second"), V, json!({ "properties": { "issuer": "https://issuer.example" } })).await.expect(400);
    for number in 1..20 {
        lab.put(&fic(&format!("fic{number}")), V, credential(&format!("s{number}"))).await.expect(201);
    }
    lab.put(&fic("one-too-many"), V, credential("last")).await.expect(400);
    let all = lab.get(&format!("{}/federatedIdentityCredentials", path()), V).await.expect(200).body;
    assert_eq!(all["value"].as_array().unwrap().len(), 20);
    lab.delete(&fic("first"), V).await.expect(200);
    lab.put(&fic("second"), V, credential("a")).await.expect(201);
}
