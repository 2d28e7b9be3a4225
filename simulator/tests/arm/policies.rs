//! What Azure Policy denies.

use arm_simulator::{Seed, SeedPolicy, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, SUB, storage};

const V: &str = "2023-05-01";

fn policy() -> SeedPolicy {
    SeedPolicy {
        name: "no-open-data".into(),
        display_name: Some("No open data".into()),
        scope: format!("/subscriptions/{SUB}"),
        types: vec!["microsoft.storage/STORAGEACCOUNTS".into()],
        field: Some("properties.publicNetworkAccess".into()),
        allowed: vec![json!("disabled")],
    }
}

fn account(access: Value) -> Value {
    json!({ "location": "westeurope", "kind": "StorageV2", "sku": { "name": "Standard_LRS" },
        "properties": { "PublicNetworkAccess": access } })
}

fn add(lab: &Lab, policy: SeedPolicy) {
    lab.sim.seed(Seed { policies: vec![policy], ..Seed::default() }).unwrap();
}

#[tokio::test]
async fn a_policy_denies_what_does_not_state_what_it_wants() {
    let lab = Lab::start(Settings::fast()).await;
    add(&lab, policy());
    let denied = lab.put(&storage("made"), V, account(json!("Enabled"))).await.expect(403);
    assert_eq!((denied.code(), &denied.body["error"]["target"]), ("RequestDisallowedByPolicy", &json!("made")));
    assert!(denied.message().starts_with("Resource 'made' was disallowed by policy."), "{}", denied.message());
    let info = &denied.body["error"]["additionalInfo"][0];
    let assignment = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/policyAssignments/no-open-data");
    assert_eq!((&info["type"], &info["info"]["policyAssignmentId"]), (&json!("PolicyViolation"), &json!(assignment)));
    lab.get(&storage("made"), V).await.expect(404);
    lab.put(&storage("made"), V, account(Value::Null)).await.expect(403);
    lab.put(&storage("made"), V, account(json!("Disabled"))).await.expect(200);
    // Of a change the whole counts: this one leaves the account as the policy wants it, the next one does not.
    let change = |properties: Value| Some(json!({ "properties": properties }));
    lab.call("PATCH", &storage("made"), V, change(json!({ "allowSharedKeyAccess": false }))).await.expect(200);
    lab.call("PATCH", &storage("made"), V, change(json!({ "publicNetworkAccess": "Enabled" }))).await.expect(403);
    // What is there and is not as it should be can be deleted, and mended.
    lab.call("PATCH", &storage("lake"), V, change(json!({ "allowSharedKeyAccess": false }))).await.expect(403);
    lab.call("PATCH", &storage("lake"), V, change(json!({ "publicNetworkAccess": "Disabled" }))).await.expect(200);
    lab.delete(&storage("own"), V).await.expect(200);
}

#[tokio::test]
async fn a_policy_without_a_field_denies_its_types_in_its_scope_until_it_is_taken_back() {
    let lab = Lab::start(Settings::fast()).await;
    let elsewhere = format!("{GROUP}-other");
    add(&lab, SeedPolicy { field: None, scope: elsewhere, ..policy() });
    lab.put(&storage("made"), V, account(json!("Enabled"))).await.expect(200);
    add(&lab, SeedPolicy { field: None, scope: GROUP.into(), ..policy() });
    lab.put(&storage("made"), V, account(json!("Disabled"))).await.expect(403);
    add(&lab, SeedPolicy { field: None, scope: GROUP.into(), types: Vec::new(), ..policy() });
    lab.put(&storage("made"), V, account(json!("Enabled"))).await.expect(200);
}
