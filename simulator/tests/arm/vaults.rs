use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, SUB, TENANT, id};

const V: &str = "2024-11-01";

fn path() -> String {
    id("Microsoft.KeyVault/vaults", "made")
}

fn deleted() -> String {
    format!("/subscriptions/{SUB}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/made")
}

fn vault(more: Value) -> Value {
    let mut properties =
        json!({ "tenantId": TENANT, "sku": { "family": "A", "name": "standard" }, "accessPolicies": [] });
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "location": "westeurope", "properties": properties })
}

#[tokio::test]
async fn a_vault_is_answered_at_once_and_found_in_dns_later() {
    let seconds = OperationSeconds { vault_create: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let made = lab.put(&path(), "2021-04-01-preview", vault(json!({ "enableSoftDelete": false }))).await.expect(200);
    assert!(made.header("Location").is_none() && made.header("Azure-AsyncOperation").is_none());
    assert_eq!(made.body["properties"]["provisioningState"], "RegisteringDns");
    // Soft delete cannot be turned off; what there is none of is not shown.
    assert_eq!(made.body["properties"]["enableSoftDelete"], true);
    assert_eq!(made.body["systemData"]["createdByType"], "Application");
    assert!(made.body["properties"].get("privateEndpointConnections").is_none());
    lab.sim.clock().advance(Duration::from_secs(10));
    let settled = lab.get(&path(), V).await.expect(200).body;
    assert_eq!(settled["properties"]["provisioningState"], "Succeeded");
    assert_eq!(settled["properties"]["vaultUri"], "https://made.vault.azure.net/");
}

#[tokio::test]
async fn rules_come_back_as_the_service_writes_them() {
    let lab = Lab::start(Settings::fast()).await;
    let far = "/subscriptions/99999999-0000-0000-0000-000000000000/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/S";
    let rules = json!({ "defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [{ "value": "124.56.78.91" },
        { "value": "20.0.0.0/24" }], "virtualNetworkRules": [{ "id": far }] });
    let made = lab.put(&path(), V, vault(json!({ "networkAcls": rules }))).await.expect(200).body;
    let shown = &made["properties"]["networkAcls"];
    assert_eq!(shown["ipRules"], json!([{ "value": "124.56.78.91/32" }, { "value": "20.0.0.0/24" }]));
    assert_eq!(shown["virtualNetworkRules"][0]["id"], far.to_lowercase());
    let near = format!("{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/absent");
    let refused = |ignore: bool| {
        json!({ "properties": { "networkAcls": { "virtualNetworkRules": [
            { "id": near, "ignoreMissingVnetServiceEndpoint": ignore }] } } })
    };
    lab.call("PATCH", &path(), V, Some(refused(false))).await.expect(400);
    let kept = lab.call("PATCH", &path(), V, Some(refused(true))).await.expect(200).body;
    assert_eq!(kept["properties"]["networkAcls"]["defaultAction"], "Deny");
    let closed = json!({ "properties": { "publicNetworkAccess": "Disabled" } });
    let closed = lab.call("PATCH", &path(), V, Some(closed)).await.expect(200).body;
    assert_eq!(closed["properties"]["publicNetworkAccess"], "Disabled");
}

#[tokio::test]
async fn what_is_not_a_vault_is_refused() {
    let lab = Lab::start(Settings::fast()).await;
    let bad = id("Microsoft.KeyVault/vaults", "1--no");
    assert_eq!(lab.put(&bad, V, vault(json!({}))).await.expect(400).code(), "VaultNameNotValid");
    for properties in [
        json!({ "tenantId": null }),
        json!({ "sku": { "family": "A", "name": "golden" } }),
        json!({ "accessPolicies": null }),
        json!({ "softDeleteRetentionInDays": 3 }),
        json!({ "enablePurgeProtection": false }),
        json!({ "networkAcls": { "bypass": "Everybody" } }),
    ] {
        let refused = lab.put(&path(), V, vault(properties.clone())).await.expect(400);
        assert_eq!(refused.code(), "BadRequest", "{properties}");
    }
    lab.put(&path(), V, vault(json!({ "accessPolicies": null, "enableRbacAuthorization": true }))).await.expect(200);
}

#[tokio::test]
async fn a_deleted_vault_keeps_its_name_until_it_is_purged() {
    let seconds = OperationSeconds { vault_purge: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let unknown = lab.get(&deleted(), V).await.expect(404);
    assert_eq!(unknown.code(), "DeletedVaultNotFound");
    lab.put(&path(), V, vault(json!({ "enabledForDeployment": true }))).await.expect(200);
    lab.delete(&path(), V).await.expect(200);
    lab.get(&path(), V).await.expect(404);
    let there = lab.get(&deleted(), V).await.expect(200).body;
    assert_eq!(
        (&there["properties"]["vaultId"], &there["type"]),
        (&json!(path()), &json!("Microsoft.KeyVault/deletedVaults"))
    );
    let all = format!("/subscriptions/{SUB}/providers/Microsoft.KeyVault/deletedVaults");
    assert_eq!(lab.get(&all, V).await.body["value"][0], there);
    // The hurt: deleted and made again is not the same as never deleted.
    assert_eq!(lab.put(&path(), V, vault(json!({}))).await.expect(409).code(), "ConflictError");
    let recovered = lab
        .put(
            &path(),
            V,
            json!({ "location": "westeurope", "properties": { "createMode": "recover",
        "tenantId": TENANT, "sku": { "family": "A", "name": "standard" } } }),
        )
        .await
        .expect(200)
        .body;
    assert_eq!(recovered["properties"]["enabledForDeployment"], true);
    assert!(recovered["properties"].get("createMode").is_none());
    lab.get(&deleted(), V).await.expect(404);
    lab.delete(&path(), V).await.expect(200);
    let purge = lab.call("POST", &format!("{}/purge", deleted()), V, None).await.expect(202);
    let location = purge.header("Location").unwrap().to_owned();
    lab.send("GET", &location, &lab.token, None).await.unwrap().expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.send("GET", &location, &lab.token, None).await.unwrap().expect(200);
    lab.get(&deleted(), V).await.expect(404);
    lab.put(&path(), V, vault(json!({}))).await.expect(200);
}

#[tokio::test]
async fn purge_protection_outlasts_a_put_and_only_time_purges() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.put(&path(), V, vault(json!({ "enablePurgeProtection": true, "softDeleteRetentionInDays": 7 })))
        .await
        .expect(200);
    let again = lab.put(&path(), V, vault(json!({}))).await.expect(200).body;
    assert_eq!(again["properties"]["enablePurgeProtection"], true);
    lab.put(&path(), V, vault(json!({ "softDeleteRetentionInDays": 8 }))).await.expect(400);
    lab.delete(&path(), V).await.expect(200);
    lab.call("POST", &format!("{}/purge", deleted()), V, None).await.expect(405);
    lab.sim.clock().advance(Duration::from_secs(7 * 86_400));
    lab.get(&deleted(), V).await.expect(404);
    lab.put(&path(), V, vault(json!({}))).await.expect(200);
}

#[tokio::test]
async fn roles_decide_in_new_vaults_of_newer_versions() {
    let lab = Lab::start(Settings::fast()).await;
    let older = lab.put(&path(), V, vault(json!({}))).await.expect(200).body;
    assert!(older["properties"].get("enableRbacAuthorization").is_none());
    // An update changes nothing of what is there.
    let same = lab.put(&path(), "2026-02-01", vault(json!({}))).await.expect(200).body;
    assert!(same["properties"].get("enableRbacAuthorization").is_none());
    let newer = id("Microsoft.KeyVault/vaults", "newer");
    let made = lab.put(&newer, "2026-02-01", vault(json!({ "accessPolicies": null }))).await.expect(200).body;
    assert_eq!(made["properties"]["enableRbacAuthorization"], true);
    let policies = id("Microsoft.KeyVault/vaults", "policies");
    let made =
        lab.put(&policies, "2026-02-01", vault(json!({ "enableRbacAuthorization": false }))).await.expect(200).body;
    assert_eq!(made["properties"]["enableRbacAuthorization"], false);
}

/// Names are one in the world, also those that are only asleep.
#[tokio::test]
async fn a_deleted_vault_of_another_subscription_holds_its_name() {
    let lab = Lab::start(Settings::fast()).await;
    let other = "00000000-0000-0000-0000-000000000002";
    let seed = arm_simulator::Seed {
        subscriptions: vec![arm_simulator::SeedSubscription {
            subscription_id: other.into(),
            tenant_id: TENANT.into(),
        }],
        resource_groups: vec![arm_simulator::SeedGroup {
            subscription_id: other.into(),
            name: "rg1".into(),
            location: "westeurope".into(),
        }],
        ..arm_simulator::Seed::default()
    };
    lab.sim.seed(seed).unwrap();
    let theirs = path().replace(SUB, other);
    lab.put(&theirs, V, vault(json!({}))).await.expect(200);
    assert_eq!(lab.put(&path(), V, vault(json!({}))).await.expect(409).code(), "VaultAlreadyExists");
    lab.delete(&theirs, V).await.expect(200);
    assert_eq!(lab.put(&path(), V, vault(json!({}))).await.expect(409).code(), "VaultAlreadyExists");
    let check = format!("/subscriptions/{SUB}/providers/Microsoft.KeyVault/checkNameAvailability");
    let asked = json!({ "name": "made", "type": "Microsoft.KeyVault/vaults" });
    let told = lab.call("POST", &check, V, Some(asked)).await.expect(200).body;
    assert_eq!((&told["nameAvailable"], &told["reason"]), (&json!(false), &json!("AlreadyExists")));
    // Their owner makes it final.
    lab.call("POST", &format!("{}/purge", deleted().replace(SUB, other)), V, None).await.expect(200);
    lab.put(&path(), V, vault(json!({}))).await.expect(200);
}

#[tokio::test]
async fn everything_that_secures_a_vault_is_read_back() {
    let lab = Lab::start(Settings::fast()).await;
    let wanted = json!({
        "enableRbacAuthorization": true, "enablePurgeProtection": true, "softDeleteRetentionInDays": 30,
        "publicNetworkAccess": "Disabled",
        "networkAcls": { "bypass": "AzureServices", "defaultAction": "Deny", "ipRules": [], "virtualNetworkRules": [] },
    });
    lab.put(&path(), V, vault(wanted.clone())).await.expect(200);
    let shown = lab.get(&path(), V).await.expect(200).body["properties"].clone();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
    }
    let off = json!({ "properties": { "enablePurgeProtection": false } });
    lab.call("PATCH", &path(), V, Some(off)).await.expect(400);
}
