use std::time::Duration;

use arm_simulator::{OperationSeconds, Seed, SeedSubscription, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, SUB, TENANT, assignment, id, storage, vault};

const V: &str = "2020-06-01";
const LOCKS: &str = "2020-05-01";
const STORAGE: &str = "2023-05-01";

fn group(name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/{name}")
}

fn slow(change: impl FnOnce(&mut OperationSeconds)) -> Settings {
    let mut seconds = OperationSeconds::all(0.0);
    change(&mut seconds);
    Settings { operation_seconds: seconds, clock_speed: 0.0, retry_after_ms: None, ..Settings::fast() }
}

fn names(list: &Value) -> Vec<&str> {
    list["value"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_group_is_what_was_recorded() {
    let lab = Lab::start(Settings::fast()).await;
    let body = json!({ "location": "West US 2", "name": "fresh", "tags": { "CreatedAt": "then" } });
    let made = lab.put(&group("fresh"), V, body.clone()).await.expect(201).body;
    let expected = json!({
        "id": group("fresh"), "name": "fresh", "type": "Microsoft.Resources/resourceGroups", "location": "westus2",
        "tags": { "CreatedAt": "then" }, "properties": { "provisioningState": "Succeeded" },
    });
    assert_eq!(made, expected);
    assert_eq!(lab.get(&group("FRESH"), V).await.expect(200).body, expected);
    lab.put(&group("fresh"), V, body).await.expect(200);
    let moved = lab.put(&group("fresh"), V, json!({ "location": "eastus" })).await.expect(409);
    assert_eq!(moved.code(), "InvalidResourceGroupLocation");
    let tagged = lab.call("PATCH", &group("fresh"), V, Some(json!({ "tags": {} }))).await.expect(200).body;
    assert_eq!((&tagged["tags"], &tagged["location"]), (&json!({}), &json!("westus2")));
    lab.put(&group("bad."), V, json!({ "location": "eastus" })).await.expect(400);
    lab.put(&group("bad"), V, json!({})).await.expect(400);
    let tag = format!("/subscriptions/{SUB}/resourceGroups?$filter=tagName%20eq%20'CreatedAt'");
    assert!(names(&lab.call("GET", &tag, V, None).await.expect(200).body).is_empty());
}

#[tokio::test]
async fn existence_is_asked_for_by_head() {
    let lab = Lab::start(Settings::fast()).await;
    for (path, version, status) in [
        (GROUP.to_owned(), V, 204),
        (group("absent"), V, 404),
        (storage("lake"), STORAGE, 204),
        (storage("absent"), STORAGE, 404),
    ] {
        let answer = lab.call("HEAD", &path, version, None).await.expect(status);
        assert_eq!(answer.text, "");
    }
}

#[tokio::test]
async fn deleting_a_group_deletes_all_that_is_in_it() {
    let lab = Lab::start(slow(|seconds| seconds.group_delete = 30.0)).await;
    lab.workspace("work", "Disabled").await;
    let accepted = lab.delete(GROUP, V).await.expect(202);
    assert_eq!((accepted.text.as_str(), accepted.header("Retry-After")), ("", Some("15")));
    let url = accepted.header("Location").unwrap().to_owned();
    assert!(url.contains(&format!("/subscriptions/{SUB}/operationresults/")), "{url}");
    assert_eq!(lab.get(GROUP, V).await.body["properties"]["provisioningState"], "Deleting");
    // The hurt: whoever creates again too early is refused.
    let body = json!({ "location": "westeurope", "kind": "StorageV2", "sku": { "name": "Standard_LRS" } });
    let early = lab.put(&storage("again"), STORAGE, body).await.expect(409);
    assert_eq!(early.code(), "ResourceGroupBeingDeleted");
    let waiting = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(202);
    assert_eq!(waiting.header("Retry-After"), Some("15"));
    lab.sim.clock().advance(Duration::from_secs(30));
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).text, "");
    let gone = lab.delete(&storage("lake"), STORAGE).await.expect(404);
    assert_eq!((gone.code(), gone.header("x-ms-failure-cause")), ("ResourceGroupNotFound", Some("gateway")));
    assert_eq!(gone.message(), "Resource group 'rg1' could not be found.");
    let state = lab.sim.state_json();
    assert_eq!((&state["resources"], &state["resourceGroups"]), (&json!({}), &json!({})));
    // A deleted vault outlives its group.
    let kept = format!("/subscriptions/{SUB}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv1");
    assert_eq!(lab.get(&kept, "2024-11-01").await.expect(200).body["properties"]["vaultId"], vault());
}

#[tokio::test]
async fn lists_hold_every_type_and_are_filtered() {
    let lab = Lab::start(Settings { page_size: 2, ..Settings::fast() }).await;
    let tags = json!({ "tags": { "Team": "data" } });
    lab.call("PATCH", &storage("lake"), STORAGE, Some(tags)).await.expect(200);
    let all = format!("{GROUP}/resources");
    let first = lab.get(&all, V).await.expect(200).body;
    let next = first["nextLink"].as_str().unwrap();
    let second = lab.send("GET", next, &lab.token, None).await.unwrap().expect(200).body;
    assert_eq!([names(&first), names(&second)].concat(), ["kv1", "lake", "own"]);
    assert!(first["value"][0].get("properties").is_none());
    for (filter, expected) in [
        ("resourceType%20eq%20'microsoft.storage/STORAGEACCOUNTS'", vec!["lake", "own"]),
        ("tagName%20eq%20'team'%20and%20tagValue%20eq%20'data'", vec!["lake"]),
        ("tagName%20eq%20'team'%20and%20tagValue%20eq%20'other'", vec![]),
        ("name%20eq%20'own'", vec!["own"]),
    ] {
        let list = format!("/subscriptions/{SUB}/resources?$filter={filter}&$expand=provisioningState");
        let list = lab.call("GET", &list, V, None).await.expect(200).body;
        assert_eq!(names(&list), expected, "{filter}");
        assert!(list["value"].as_array().unwrap().iter().all(|item| item["provisioningState"] == "Succeeded"));
    }
    let top = lab.call("GET", &format!("{all}?$top=1"), V, None).await.expect(200).body;
    assert_eq!(names(&top), ["kv1"]);
    assert!(top["nextLink"].as_str().unwrap().contains("$top=1"));
    lab.call("GET", &format!("{all}?$filter=startswith(name,'a')"), V, None).await.expect(400);
}

#[tokio::test]
async fn everybody_sees_the_subscriptions_that_a_role_leads_to() {
    let mut seed = crate::lab::seed();
    let second = "00000000-0000-0000-0000-000000000002";
    for (subscription, tenant) in [(second, TENANT), ("00000000-0000-0000-0000-000000000003", "elsewhere")] {
        seed.subscriptions.push(SeedSubscription { subscription_id: subscription.into(), tenant_id: tenant.into() });
    }
    seed.role_assignments.push(assignment(&storage("lake"), "Reader", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let seen = async |token: &str| {
        let list =
            lab.send("GET", &format!("/subscriptions?api-version={V}"), token, None).await.unwrap().expect(200).body;
        let ids =
            list["value"].as_array().unwrap().iter().map(|one| one["subscriptionId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(seen(&lab.token).await, [SUB, second]);
    assert_eq!(seen(&lab.sign_in("guest").await).await, [SUB]);
    assert_eq!(lab.get("/tenants", V).await.expect(200).body["value"][0]["tenantId"], TENANT);
    let locations = lab.get(&format!("/subscriptions/{SUB}/locations"), V).await.expect(200).body;
    assert!(names(&locations).contains(&"westeurope"));
}

#[tokio::test]
async fn a_provider_that_is_not_registered_takes_no_writes() {
    let settings = Settings {
        unregistered_providers: vec!["microsoft.storage".into()],
        ..slow(|seconds| seconds.provider_registration = 60.0)
    };
    let lab = Lab::start(settings).await;
    let provider = format!("/subscriptions/{SUB}/providers/Microsoft.Storage");
    let state = async || lab.get(&provider, V).await.expect(200).body["registrationState"].as_str().unwrap().to_owned();
    let patch = async || lab.call("PATCH", &storage("lake"), STORAGE, Some(json!({}))).await;
    assert_eq!(state().await, "NotRegistered");
    let refused = patch().await.expect(409);
    assert_eq!(refused.code(), "MissingSubscriptionRegistration");
    assert_eq!(
        refused.message(),
        "The subscription is not registered to use namespace 'Microsoft.Storage'. See https://aka.ms/rps-not-found for \
         how to register subscriptions."
    );
    lab.get(&storage("lake"), STORAGE).await.expect(200);
    lab.call("POST", &format!("{provider}/register"), V, None).await.expect(200);
    assert_eq!(state().await, "Registering");
    patch().await.expect(409);
    lab.sim.clock().advance(Duration::from_secs(60));
    assert_eq!(state().await, "Registered");
    patch().await.expect(200);
    lab.call("POST", &format!("{provider}/unregister"), V, None).await.expect(200);
    assert_eq!(state().await, "Unregistered");
    patch().await.expect(409);
    let types = lab.get(&provider, V).await.body["resourceTypes"].clone();
    let accounts = types.as_array().unwrap().iter().find(|kind| kind["resourceType"] == "storageAccounts").unwrap();
    assert!(accounts["apiVersions"].as_array().unwrap().contains(&json!(STORAGE)));
    let all = lab.get(&format!("/subscriptions/{SUB}/providers"), V).await.expect(200).body;
    assert!(all["value"].as_array().unwrap().iter().any(|one| one["namespace"] == "Microsoft.Network"));
    lab.get(&format!("/subscriptions/{SUB}/providers/Microsoft.Nothing"), V).await.expect(404);
}

#[tokio::test]
async fn locks_hold_on_everything_below() {
    let lab = Lab::start(Settings::fast()).await;
    let lock = |scope: &str| format!("{scope}/providers/Microsoft.Authorization/locks/hold");
    let level = |level: &str| json!({ "properties": { "level": level, "notes": "why" } });
    let change = async || lab.call("PATCH", &storage("lake"), STORAGE, Some(json!({ "tags": {} }))).await;
    let keys = async || lab.call("POST", &format!("{}/listKeys", storage("lake")), STORAGE, None).await;

    let made = lab.put(&lock(GROUP), LOCKS, level("CanNotDelete")).await.expect(201).body;
    assert_eq!(
        (&made["type"], &made["properties"]["level"]),
        (&json!("Microsoft.Authorization/locks"), &json!("CanNotDelete"))
    );
    let refused = lab.delete(&storage("lake"), STORAGE).await.expect(409);
    assert_eq!(refused.code(), "ScopeLocked");
    let expected = format!(
        "The scope '{}' cannot perform delete operation because following scope(s) are locked: '{GROUP}'. Please remove \
         the lock and try again.",
        storage("lake")
    );
    assert_eq!(refused.message(), expected);
    change().await.expect(200);
    keys().await.expect(200);

    lab.put(&lock(GROUP), LOCKS, level("readonly")).await.expect(200);
    for refused in [change().await, keys().await, lab.delete(GROUP, V).await] {
        assert_eq!((refused.status, refused.code()), (409, "ScopeLocked"));
    }
    lab.get(&storage("lake"), STORAGE).await.expect(200);
    lab.put(&lock(GROUP), LOCKS, level("Perhaps")).await.expect(400);
    lab.delete(&lock(GROUP), LOCKS).await.expect(200);
    lab.delete(&lock(GROUP), LOCKS).await.expect(204);

    // One lock below is enough to keep the group; it is listed from above, and it is not among the resources.
    lab.put(&lock(&storage("lake")), "2016-09-01", level("CanNotDelete")).await.expect(201);
    let blocked = lab.delete(GROUP, V).await.expect(409);
    assert!(blocked.message().contains(&format!("locked: '{}'", storage("lake"))), "{}", blocked.message());
    let above = lab.get(&format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/locks"), LOCKS).await;
    assert_eq!(names(&above.expect(200).body), ["hold"]);
    assert_eq!(names(&lab.get(&format!("{GROUP}/resources"), V).await.body), ["kv1", "lake", "own"]);
    lab.delete(&storage("own"), STORAGE).await.expect(200);
    lab.put(&lock(&storage("absent")), LOCKS, level("ReadOnly")).await.expect(404);
    lab.delete(&lock(&storage("lake")), LOCKS).await.expect(200);
    lab.delete(&storage("lake"), STORAGE).await.expect(200);
}

#[tokio::test]
async fn a_contributor_can_neither_lock_nor_unlock() {
    let lab = Lab::start(Settings::fast()).await;
    let roles = vec![assignment(GROUP, "Contributor", "guest-object")];
    lab.sim.seed(Seed { role_assignments: roles, ..Seed::default() }).unwrap();
    let guest = lab.sign_in("guest").await;
    let lock = format!("{}/providers/Microsoft.Authorization/locks/hold", id("Microsoft.KeyVault/vaults", "kv1"));
    let url = format!("{lock}?api-version={LOCKS}");
    let body = json!({ "properties": { "level": "CanNotDelete" } });
    lab.send("PUT", &url, &guest, Some(body.clone())).await.unwrap().expect(403);
    lab.put(&lock, LOCKS, body).await.expect(201);
    lab.send("DELETE", &url, &guest, None).await.unwrap().expect(403);
}

#[tokio::test]
async fn what_is_named_after_an_operation_of_ones_own_is_no_operation() {
    let lab = Lab::start(slow(|seconds| seconds.registry = 60.0)).await;
    let roles = vec![assignment(GROUP, "Contributor", "guest-object")];
    lab.sim.seed(Seed { role_assignments: roles, ..Seed::default() }).unwrap();
    let guest = lab.sign_in("guest").await;
    let registry = format!("{}?api-version=2023-07-01", id("Microsoft.ContainerRegistry/registries", "images"));
    let body = json!({ "location": "westeurope", "sku": { "name": "Basic" } });
    let begun = lab.send("PUT", &registry, &guest, Some(body)).await.unwrap().expect(201);
    let url = begun.header("Azure-AsyncOperation").unwrap().to_owned();
    lab.send("GET", &url, &guest, None).await.unwrap().expect(200);
    let path = url.split('?').next().unwrap();
    let operation = &path[path.len() - 36..];
    let theft = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleAssignments/{operation}");
    let owner = "/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    let body = json!({ "properties": { "roleDefinitionId": owner, "principalId": "guest-object" } });
    lab.send("PUT", &format!("{theft}?api-version=2022-04-01"), &guest, Some(body)).await.unwrap().expect(403);
}
