use std::time::Duration;

use arm_simulator::{SeedResource, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, ML, endpoint_rule, fqdn_rule, id, storage, vault, workspace, workspace_body};

const PREVIEW: &str = "2026-03-15-preview";

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
    assert_eq!(properties["managedNetwork"]["isolationMode"], "Disabled");
    let modes = json!(["AllowInternetOutbound", "AllowOnlyApprovedOutbound"]);
    assert_eq!(properties["managedNetwork"]["changeableIsolationModes"], modes);
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
        ("no-vault", with(|b| b["properties"]["keyVault"] = Value::Null), "ValidationError"),
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
async fn what_a_workspace_rests_on_may_come_after_it_but_not_too_late() {
    let settings = Settings { clock_speed: 0.0, ..Settings::fast() };
    for in_time in [true, false] {
        let lab = Lab::start(settings.clone()).await;
        lab.sim.settings(|settings| settings.operation_seconds.workspace_create = 10.0);
        let (id, late) = (workspace("early"), id("Microsoft.KeyVault/vaults", "late"));
        let mut body = workspace_body("Disabled");
        body["properties"]["keyVault"] = json!(late);
        lab.put(&id, ML, body).await.expect(202);
        if in_time {
            let resources = vec![SeedResource::new(late, "westeurope")];
            lab.sim.seed(arm_simulator::Seed { resources, ..Default::default() }).unwrap();
        }
        lab.sim.clock().advance(Duration::from_secs(10));
        let state = lab.get(&id, ML).await.expect(200).body["properties"]["provisioningState"].clone();
        assert_eq!(state, if in_time { "Succeeded" } else { "Failed" });
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
async fn a_workspace_reads_as_recorded() {
    let lab = Lab::start(Settings { soft_delete: false, ..Settings::fast() }).await;
    let id = workspace("recorded");
    let body = json!({
        "identity": { "type": "SystemAssigned" }, "location": "West Europe", "name": "recorded",
        "properties": {
            "allowPublicAccessWhenBehindVnet": false, "keyVault": vault(), "storageAccount": storage("own")
        },
        "sku": { "name": "Standard_S1", "tier": "Free" },
    });
    lab.put(&id, "2024-04-01", body).await.expect(200);
    let read = lab.get(&id, "2024-04-01").await.expect(200).body;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut recorded = vec![
        "friendlyName",
        "description",
        "storageAccount",
        "keyVault",
        "applicationInsights",
        "hbiWorkspace",
        "tenantId",
        "imageBuildCompute",
        "provisioningState",
        "managedNetwork",
        "allowRoleAssignmentOnRG",
        "v1LegacyMode",
        "softDeleteEnabled",
        "creationTime",
        "notebookInfo",
        "storageHnsEnabled",
        "workspaceId",
        "linkedModelInventoryArmId",
        "privateLinkCount",
        "publicNetworkAccess",
        "ipAllowlist",
        "discoveryUrl",
        "mlFlowTrackingUri",
        "serverlessComputeSettings",
        "EnableSoftwareBillOfMaterials",
        "sdkTelemetryAppInsightsKey",
        "sasGetterUri",
        "enableDataIsolation",
    ];
    let mut shown = names(&read["properties"]);
    recorded.sort_unstable();
    shown.sort();
    assert_eq!(shown, recorded);
    assert_eq!(names(&read["systemData"]).len(), 6);
    assert_eq!((&read["sku"], &read["etag"]), (&json!({ "name": "Basic", "tier": "Basic" }), &Value::Null));
    assert_eq!(read["location"], "westeurope");
    let keys = lab.send("POST", &format!("{id}/listKeys?api-version=2021-07-01"), &lab.token, None).await.unwrap();
    assert_eq!(keys.expect(200).body["userStorageArmId"], storage("own"));
}

#[tokio::test]
async fn a_version_neither_takes_nor_shows_what_it_does_not_have() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("views", "AllowOnlyApprovedOutbound").await;
    let acls = json!({ "defaultAction": "Deny", "ipRules": [{ "value": "20.1.2.3" }] });
    let patch = json!({ "properties": { "networkAcls": acls, "systemDatastoresAuthMode": "Identity" } });
    let url = |version: &str| format!("{id}?api-version={version}");
    lab.send("PATCH", &url("2024-10-01"), &lab.token, Some(patch.clone())).await.unwrap().expect(200);
    let untouched = lab.get(&id, PREVIEW).await.body["properties"].clone();
    assert_eq!(untouched["networkAcls"]["defaultAction"], "Allow");
    assert_eq!(untouched["systemDatastoresAuthMode"], "accesskey");
    lab.send("PATCH", &url(PREVIEW), &lab.token, Some(patch)).await.unwrap().expect(200);
    assert_eq!(lab.get(&id, PREVIEW).await.body["properties"]["networkAcls"], acls);
    let stable = lab.get(&id, ML).await.body["properties"].clone();
    assert_eq!((stable.get("networkAcls"), &stable["systemDatastoresAuthMode"]), (None, &json!("Identity")));
    let old = lab.get(&id, "2023-10-01").await.body["properties"].clone();
    assert_eq!((old.get("systemDatastoresAuthMode"), old["managedNetwork"].get("firewallSku")), (None, None));
    assert_eq!(lab.get(&id, "2019-01-01").await.status, 400);
}

#[tokio::test]
async fn names_of_members_have_no_case() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("cased", "AllowOnlyApprovedOutbound").await;
    let rule = json!({ "type": "FQDN", "DESTINATION": "pypi.org" });
    let patch = json!({ "PROPERTIES": { "publicnetworkaccess": "Disabled",
        "ManagedNetwork": { "OutboundRules": { "PyPI": rule } } } });
    let read = lab.patch(&id, patch).await.expect(200).body;
    assert_eq!(read["properties"]["publicNetworkAccess"], "Disabled");
    assert_eq!(read["properties"]["managedNetwork"]["outboundRules"]["PyPI"]["destination"], "pypi.org");
}

#[tokio::test]
async fn addresses_are_allowed_after_creation_and_public_only() {
    let lab = Lab::start(Settings::fast()).await;
    let id = workspace("listed");
    let mut body = workspace_body("Disabled");
    body["properties"]["ipAllowlist"] = json!(["20.1.2.3"]);
    lab.put(&id, PREVIEW, body.clone()).await.expect(400);
    body["properties"]["ipAllowlist"] = json!([]);
    lab.put(&id, PREVIEW, body).await.expect(200);
    let many: Vec<String> = (0..201).map(|n| format!("20.1.2.{n}")).collect();
    for (addresses, status) in [
        (json!(["20.1.2.0/24"]), 200),
        (json!(many[..200]), 200),
        (json!(many), 400),
        (json!(["10.0.0.1"]), 400),
        (json!(["2603::1"]), 400),
    ] {
        let patch = json!({ "properties": { "ipAllowlist": addresses } });
        let url = format!("{id}?api-version={PREVIEW}");
        lab.send("PATCH", &url, &lab.token, Some(patch)).await.unwrap().expect(status);
    }
    assert_eq!(lab.get(&id, PREVIEW).await.body["properties"]["ipAllowlist"].as_array().unwrap().len(), 200);
}

#[tokio::test]
async fn a_new_workspace_lets_itself_into_its_vault() {
    let mut seed = crate::lab::seed();
    for (n, rbac) in [(2, Some(json!(true))), (1, None)] {
        let mut resource = SeedResource::new(id("Microsoft.KeyVault/vaults", &format!("policies-{n}")), "westeurope");
        if let Some(rbac) = rbac {
            resource = resource.property("enableRbacAuthorization", rbac);
        }
        seed.resources.push(resource.property("accessPolicies", json!([])));
    }
    let lab = Lab::with(seed, Settings::fast()).await;
    for (n, expected) in [(1, 1), (2, 0)] {
        let vault = id("Microsoft.KeyVault/vaults", &format!("policies-{n}"));
        let mut body = workspace_body("Disabled");
        body["properties"]["keyVault"] = json!(vault);
        let made = lab.put(&workspace(&format!("keyed-{n}")), ML, body).await.expect(200).body;
        let policies = lab.get(&vault, "2024-11-01").await.expect(200).body["properties"]["accessPolicies"].clone();
        assert_eq!(policies.as_array().unwrap().len(), expected);
        if expected == 1 {
            assert_eq!(policies[0]["objectId"], made["identity"]["principalId"]);
        }
    }
}

#[tokio::test]
async fn projects_belong_to_a_hub() {
    let lab = Lab::start(Settings::fast()).await;
    let mut hub = workspace_body("AllowInternetOutbound");
    hub["kind"] = json!("hub");
    let created = lab.put(&workspace("hub1"), ML, hub).await.expect(200).body;
    assert_eq!((&created["kind"], &created["properties"]["enableDataIsolation"]), (&json!("Hub"), &json!(true)));
    let project =
        |hub: &str| json!({ "location": "westeurope", "kind": "Project", "properties": { "hubResourceId": hub } });
    lab.put(&workspace("lost"), ML, project(&workspace("nowhere"))).await.expect(400);
    let mut own_network = project(&workspace("hub1"));
    own_network["properties"]["managedNetwork"] = json!({ "isolationMode": "Disabled" });
    assert!(lab.put(&workspace("own-net"), ML, own_network).await.expect(400).message().contains("managed network"));
    let made = lab.put(&workspace("project1"), ML, project(&workspace("hub1"))).await.expect(200).body;
    assert_eq!(made["properties"]["storageAccount"], storage("own"));
    assert_eq!(made["properties"]["managedNetwork"], json!({ "isolationMode": "AllowInternetOutbound" }));
    let hub = lab.get(&workspace("hub1"), ML).await.body;
    assert_eq!(hub["properties"]["associatedWorkspaces"], json!([workspace("project1")]));
    lab.delete(&workspace("hub1"), ML).await.expect(409);
    lab.delete(&workspace("project1"), ML).await.expect(200);
    lab.delete(&workspace("hub1"), ML).await.expect(200);
}

#[tokio::test]
async fn identities_grow_but_are_not_given_up() {
    let mut seed = crate::lab::seed();
    let user = |name: &str| id("Microsoft.ManagedIdentity/userAssignedIdentities", name);
    let object = |name: &str| format!("00000000-0000-0000-0000-00000000000{}", if name == "one" { 1 } else { 2 });
    for name in ["one", "two"] {
        let resource = SeedResource::new(user(name), "westeurope");
        let client = object(name).replace("-0000-", "-c11e-");
        seed.resources.push(resource.property("principalId", json!(object(name))).property("clientId", json!(client)));
    }
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("ids", "Disabled").await;
    let identity = |kind: &str, users: &[&str]| {
        let set: serde_json::Map<String, Value> = users.iter().map(|name| (user(name), json!({}))).collect();
        json!({ "identity": { "type": kind, "userAssignedIdentities": set } })
    };
    let both = "SystemAssigned,UserAssigned";
    for (body, status) in [
        (identity("Both", &["one"]), 400),
        (identity(both, &["three"]), 400),
        (identity(both, &[]), 400),
        (identity(both, &["one", "two"]), 200),
        (identity(both, &["two"]), 200),
        (json!({ "identity": { "type": "SystemAssigned" } }), 400),
        (json!({ "properties": { "primaryUserAssignedIdentity": user("one") } }), 400),
        (json!({ "properties": { "primaryUserAssignedIdentity": user("two") } }), 200),
    ] {
        let answer = lab.patch(&ws, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let shown = lab.get(&ws, ML).await.body["identity"].clone();
    let set = shown["userAssignedIdentities"].as_object().unwrap();
    assert_eq!(set.keys().collect::<Vec<_>>(), [&user("two")], "the set that was sent is the whole one");
    // From now on the primary identity's rights count, not the system-assigned one's.
    lab.patch(&ws, json!({ "properties": { "managedNetwork": { "isolationMode": "AllowInternetOutbound" } } }))
        .await
        .expect(200);
    lab.let_approve(&ws, &storage("lake")).await;
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "blob")).await.expect(400);
    let assignment = crate::lab::assignment(&storage("lake"), crate::lab::APPROVER, &object("two"));
    lab.sim.seed(arm_simulator::Seed { role_assignments: vec![assignment], ..Default::default() }).unwrap();
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "blob")).await.expect(200);
}

#[tokio::test]
async fn fixed_things_and_unknown_regions_are_refused() {
    let lab = Lab::start(Settings::fast()).await;
    let mut body = workspace_body("Disabled");
    body["location"] = json!("atlantis");
    let refused = lab.put(&workspace("sunk"), ML, body).await.expect(400);
    assert_eq!(refused.code(), "LocationNotAvailableForResourceType");
    let ws = lab.workspace("stays", "AllowOnlyApprovedOutbound").await;
    for properties in [
        json!({ "enableDataIsolation": true }),
        json!({ "encryption": { "status": "Enabled", "keyVaultProperties": {} } }),
        json!({ "publicNetworkAccess": "Sometimes" }),
        json!({ "systemDatastoresAuthMode": "Password" }),
        json!({ "managedNetwork": { "firewallSku": "Premium" } }),
    ] {
        lab.patch(&ws, json!({ "properties": properties })).await.expect(400);
    }
    let kind = |kind: &str| json!({ "properties": { "managedNetwork": { "managedNetworkKind": kind } } });
    lab.patch(&ws, kind("V2")).await.expect(200);
    lab.patch(&ws, kind("V1")).await.expect(400);
    let registry = id("Microsoft.ContainerRegistry/registries", "acr1");
    let with = |registry: &str| json!({ "properties": { "containerRegistry": registry } });
    lab.patch(&ws, with(&registry)).await.expect(200);
    let rules = lab.get(&ws, ML).await.body["properties"]["managedNetwork"]["outboundRules"].clone();
    assert!(rules.as_object().unwrap().keys().any(|name| name.starts_with("__SYS_PE_acr1_registry_")));
    let erased = lab.patch(&ws, with("")).await.expect(200).body;
    assert_eq!(erased["properties"].get("containerRegistry"), None);
}

#[tokio::test]
async fn a_diagnosis_tells_what_is_wrong_around_a_workspace() {
    let mut seed = crate::lab::seed();
    seed.resources[0] = seed.resources[0].clone().property("publicNetworkAccess", json!("Disabled"));
    let lock = format!("{GROUP}/providers/Microsoft.Authorization/locks/keep");
    seed.resources.push(SeedResource::new(lock, ""));
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("ill", "Disabled").await;
    let body = Some(json!({ "value": {} }));
    let found = lab.post(&format!("{ws}/diagnose"), body).await.expect(200).body["value"].clone();
    assert_eq!(found.as_object().unwrap().len(), 9);
    assert_eq!(found["storageAccountResults"][0]["level"], "Warning");
    assert!(found["resourceLockResults"][0]["message"].as_str().unwrap().contains("/locks/keep"));
    assert_eq!(found["keyVaultResults"], json!([]));
    let hosts = lab.get(&format!("{ws}/outboundNetworkDependenciesEndpoints"), ML).await.expect(200).body;
    assert_eq!(hosts["value"][0]["properties"]["endpoints"][0]["domainName"], "login.microsoftonline.com");
}

#[tokio::test]
async fn a_connection_of_a_workspace_reads_as_recorded() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("linked", "Disabled").await;
    let path = format!("{ws}/connections/registry");
    let body = json!({ "properties": { "authType": "None", "category": "ContainerRegistry",
        "target": "www.microsoft.com", "value": "secret", "valueFormat": "JSON" } });
    let made = lab.put(&path, "2024-04-01", body).await.expect(200).body;
    assert_eq!((&made["tags"], &made["properties"]["peStatus"]), (&Value::Null, &json!("NotApplicable")));
    assert_eq!(made["properties"].get("value"), None);
    assert_eq!(lab.get(&path, "2024-04-01").await.expect(200).body["properties"], made["properties"]);
    assert_eq!(lab.delete(&path, "2024-04-01").await.expect(200).text, "");
}
