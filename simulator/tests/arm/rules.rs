use std::time::Duration;

use arm_simulator::{
    ApproverMissing, ConcurrentWrites, OperationSeconds, RuleMapPatch, Seed, SeedResource, SeedRole, Settings,
};
use serde_json::{Value, json};

use crate::lab::{Lab, ML, endpoint_rule, fqdn_rule, status_of, storage, vault, workspace};

fn tag_rule(protocol: &str, ports: &str) -> Value {
    json!({ "type": "ServiceTag", "destination": { "serviceTag": "DataFactory", "protocol": protocol, "portRanges": ports } })
}

#[tokio::test]
async fn rules_are_judged_as_the_service_judges_them() {
    let lab = Lab::start(Settings::fast()).await;
    let strict = lab.workspace("strict", "AllowOnlyApprovedOutbound").await;
    let loose = lab.workspace("loose", "AllowInternetOutbound").await;
    let open = lab.workspace("open", "Disabled").await;
    let category = |category: &str| json!({ "type": "FQDN", "category": category, "destination": "pypi.org" });
    for (ws, name, rule, status) in [
        (&strict, "fqdn-ok", fqdn_rule("pypi.org"), 200),
        (&strict, "fqdn-many", fqdn_rule("pytorch.org, *.pytorch.org"), 200),
        (&strict, "fqdn-star", fqdn_rule("*"), 400),
        (&strict, "fqdn-url", fqdn_rule("https://pypi.org"), 400),
        (&strict, "fqdn-storage", fqdn_rule("lake.blob.core.windows.net"), 400),
        (&strict, "fqdn-vscode", fqdn_rule("vscode.blob.core.windows.net"), 200),
        (&strict, "tag-ok", tag_rule("TCP", "80, 8080-8089"), 200),
        (&strict, "tag-backwards", tag_rule("TCP", "8089-8080"), 400),
        (&strict, "tag-port", tag_rule("TCP", "eighty"), 400),
        (&strict, "tag-protocol", tag_rule("tcp", "80"), 400),
        (&strict, "no", fqdn_rule("pypi.org"), 400),
        (&strict, "bad.name", fqdn_rule("pypi.org"), 400),
        (&strict, "required", category("Required"), 400),
        (&strict, "recommended", category("Recommended"), 400),
        (&strict, "type-case", json!({ "type": "fqdn", "destination": "pypi.org" }), 400),
        (&strict, "own-table", endpoint_rule(&storage("own"), "table"), 200),
        (&strict, "own-blob", endpoint_rule(&storage("own"), "blob"), 400),
        (&strict, "own-again", endpoint_rule(&storage("own").to_uppercase(), "TABLE"), 400),
        (&strict, "no-group", endpoint_rule(&vault(), "blob"), 400),
        (&strict, "no-target", endpoint_rule(&storage("absent"), "blob"), 400),
        (&loose, "loose-fqdn", fqdn_rule("pypi.org"), 400),
        (&loose, "loose-tag", tag_rule("TCP", "80"), 400),
        (&loose, "loose-pe", endpoint_rule(&storage("own"), "blob"), 200),
        (&open, "open-fqdn", fqdn_rule("pypi.org"), 400),
    ] {
        let answer = lab.rule(ws, name, rule).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        if status == 400 {
            assert_eq!(answer.code(), "ValidationError", "{name}");
            assert_eq!(lab.rule_status(ws, name).await, None, "{name}");
        }
    }
}

#[tokio::test]
async fn rules_are_inactive_until_the_network_is_built() {
    let seconds = OperationSeconds { provision: 100.0, firewall: 50.0, rule: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("timed", "AllowOnlyApprovedOutbound").await;
    lab.rule(&ws, "own-table", endpoint_rule(&storage("own"), "table")).await.expect(200);
    assert_eq!(lab.rule_status(&ws, "own-table").await.as_deref(), Some("Inactive"));
    assert_eq!(lab.connections(&storage("own")).await.len(), 0);

    lab.post(&format!("{ws}/provisionManagedNetwork"), None).await.expect(400);
    lab.provision(&ws).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(99));
    assert_eq!(lab.rule_status(&ws, "own-table").await.as_deref(), Some("Inactive"));
    lab.sim.clock().advance(Duration::from_secs(1));
    assert_eq!(lab.rule_status(&ws, "own-table").await.as_deref(), Some("Active"));
    let network = lab.get(&ws, ML).await.body["properties"]["managedNetwork"]["status"].clone();
    assert_eq!(network, json!({ "status": "Active", "sparkReady": true }));
    let own = lab.connections(&storage("own")).await;
    assert_eq!(own.len(), 3, "blob and file of the service, table of the user");
    for connection in &own {
        assert_eq!(status_of(connection), "Approved");
        let endpoint = connection["properties"]["privateEndpoint"]["id"].as_str().unwrap();
        assert!(endpoint.contains("/resourceGroups/commonHoboRG") && !endpoint.contains(crate::lab::SUB), "{endpoint}");
    }

    // The first FQDN rule builds the firewall, the second does not.
    for (name, seconds) in [("first", 60), ("second", 10)] {
        lab.rule(&ws, name, fqdn_rule(&format!("{name}.org"))).await.expect(202);
        assert_eq!(lab.rule_status(&ws, name).await.as_deref(), Some("Provisioning"));
        lab.sim.clock().advance(Duration::from_secs(seconds - 1));
        assert_eq!(lab.rule_status(&ws, name).await.as_deref(), Some("Provisioning"));
        lab.sim.clock().advance(Duration::from_secs(1));
        assert_eq!(lab.rule_status(&ws, name).await.as_deref(), Some("Active"));
    }
    lab.delete(&format!("{ws}/outboundRules/first"), ML).await.expect(202);
    assert_eq!(lab.rule_status(&ws, "first").await.as_deref(), Some("Deleting"));
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.rule_status(&ws, "first").await, None);
    lab.delete(&format!("{ws}/outboundRules/first"), ML).await.expect(204);
}

#[tokio::test]
async fn without_the_approver_role_a_rule_is_refused() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.built("refused", "AllowInternetOutbound").await;
    let rule = || endpoint_rule(&storage("lake"), "dfs");
    let text =
        "Workspace managed identity don't have required permissions to read and approve private endpoint connections";
    let refused = lab.rule(&ws, "lake", rule()).await.expect(400);
    assert_eq!((refused.code(), refused.message()), ("ValidationError", text));
    let map = json!({ "properties": { "managedNetwork": { "outboundRules": { "lake": rule() } } } });
    assert_eq!(lab.patch(&ws, map).await.expect(400).message(), text);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 0);
    lab.let_approve(&ws, &storage("lake")).await;
    let active = lab.rule(&ws, "lake", rule()).await.expect(200);
    assert_eq!(active.body["properties"]["status"], "Active");
    assert_eq!(status_of(&lab.connections(&storage("lake")).await[0]), "Approved");
}

#[tokio::test]
async fn without_the_approver_role_a_connection_may_also_be_left_pending() {
    let lab = Lab::start(Settings { approver_missing: ApproverMissing::Pending, ..Settings::fast() }).await;
    let ws = lab.built("pending", "AllowInternetOutbound").await;
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
    assert_eq!(lab.rule_status(&ws, "lake").await.as_deref(), Some("Inactive"));
    let connection = lab.connections(&storage("lake")).await.remove(0);
    assert_eq!(status_of(&connection), "Pending");
    let approve = json!({ "properties": { "privateLinkServiceConnectionState": { "status": "Approved" } } });
    lab.put(connection["id"].as_str().unwrap(), "2023-05-01", approve).await.expect(200);
    assert_eq!(lab.rule_status(&ws, "lake").await.as_deref(), Some("Active"));
    lab.delete(connection["id"].as_str().unwrap(), "2023-05-01").await.expect(200);
    let rule = lab.get(&format!("{ws}/outboundRules/lake"), ML).await.body;
    assert_eq!(rule["properties"]["status"], "Failed");
    assert!(rule["properties"]["errorInformation"].as_str().unwrap().contains("removed"));
}

#[tokio::test]
async fn a_rule_left_pending_is_approved_when_it_is_written_again_with_the_right() {
    let lab = Lab::start(Settings { approver_missing: ApproverMissing::Pending, ..Settings::fast() }).await;
    let ws = lab.built("patient", "AllowInternetOutbound").await;
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
    lab.let_approve(&ws, &storage("lake")).await;
    assert_eq!(lab.rule_status(&ws, "lake").await.as_deref(), Some("Inactive"), "nothing happens by itself");
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
    assert_eq!(lab.rule_status(&ws, "lake").await.as_deref(), Some("Active"));
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);
}

#[tokio::test]
async fn a_right_lost_before_the_network_is_built_fails_the_rule() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("late", "AllowInternetOutbound").await;
    lab.let_approve(&ws, &storage("lake")).await;
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
    let list =
        lab.get(&format!("{}/providers/Microsoft.Authorization/roleAssignments", storage("lake")), "2022-04-01").await;
    let own = list.body["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["properties"]["scope"] == storage("lake"))
        .unwrap()
        .clone();
    lab.delete(own["id"].as_str().unwrap(), "2022-04-01").await.expect(200);
    lab.provision(&ws).await.expect(200);
    let rule = lab.get(&format!("{ws}/outboundRules/lake"), ML).await.body;
    assert_eq!(rule["properties"]["status"], "Failed");
    assert!(rule["properties"]["errorInformation"].as_str().unwrap().contains("approve private endpoint connections"));
}

#[tokio::test]
async fn a_rule_map_merges_or_replaces() {
    for (mode, expected) in [(RuleMapPatch::Merge, vec!["one", "three"]), (RuleMapPatch::Replace, vec!["three"])] {
        let lab = Lab::start(Settings { rule_map_patch: mode, ..Settings::fast() }).await;
        let ws = lab.workspace("mapped", "AllowOnlyApprovedOutbound").await;
        for name in ["one", "two"] {
            lab.rule(&ws, name, fqdn_rule(&format!("{name}.org"))).await.expect(200);
        }
        let map = json!({ "two": null, "three": fqdn_rule("three.org") });
        let patch = json!({ "properties": { "managedNetwork": { "outboundRules": map } } });
        lab.patch(&ws, patch).await.expect(200);
        assert_eq!(lab.user_rules(&ws).await, expected, "{mode:?}");
        let required = json!({ "sys": { "type": "FQDN", "category": "Required", "destination": "a.org" } });
        let patch = json!({ "properties": { "managedNetwork": { "outboundRules": required } } });
        lab.patch(&ws, patch).await.expect(400);
        assert_eq!(lab.user_rules(&ws).await, expected, "a refused map changes nothing");
        let patch = json!({ "properties": { "managedNetwork": { "isolationMode": "AllowOnlyApprovedOutbound" } } });
        lab.patch(&ws, patch).await.expect(200);
        assert_eq!(lab.user_rules(&ws).await, expected, "a body without a map changes no rule");
    }
}

#[tokio::test]
async fn isolation_and_rules_can_come_in_one_patch() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("at-once", "Disabled").await;
    let network =
        json!({ "isolationMode": "AllowOnlyApprovedOutbound", "outboundRules": { "pypi": fqdn_rule("pypi.org") } });
    lab.patch(&ws, json!({ "properties": { "managedNetwork": network } })).await.expect(200);
    assert_eq!(lab.user_rules(&ws).await, ["pypi"]);
}

#[tokio::test]
async fn overlapping_writes_conflict_or_lose_rules() {
    for (mode, second, expected) in [
        (ConcurrentWrites::Conflict, 409, vec!["one"]),
        (ConcurrentWrites::Retry, 429, vec!["one"]),
        (ConcurrentWrites::LoseRules, 202, vec!["two"]),
    ] {
        let settings = Settings { concurrent_writes: mode, clock_speed: 0.0, ..Settings::fast() };
        let lab = Lab::start(settings).await;
        let ws = lab.built("busy", "AllowOnlyApprovedOutbound").await;
        lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
        lab.rule(&ws, "one", fqdn_rule("one.org")).await.expect(202);
        let answer = lab.rule(&ws, "two", fqdn_rule("two.org")).await.expect(second);
        if second == 429 {
            assert_eq!(answer.code(), "RetryableErrorDueToAnotherOperation");
        }
        if second == 409 {
            assert_eq!(answer.code(), "Conflict");
            lab.patch(&ws, json!({ "tags": {} })).await.expect(409);
            lab.provision(&ws).await.expect(409);
            lab.delete(&ws, ML).await.expect(409);
        }
        lab.sim.clock().advance(Duration::from_secs(60));
        assert_eq!(lab.user_rules(&ws).await, expected, "{mode:?}");
    }
}

#[tokio::test]
async fn a_rule_pointed_elsewhere_leaves_its_old_target() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.built("moved", "AllowInternetOutbound").await;
    lab.let_approve(&ws, &storage("lake")).await;
    lab.rule(&ws, "data", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
    lab.rule(&ws, "data", endpoint_rule(&storage("own"), "table")).await.expect(200);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 0);
    assert_eq!(lab.connections(&storage("own")).await.len(), 1);
    lab.delete(&format!("{ws}/outboundRules/data"), ML).await.expect(200);
    assert_eq!(lab.connections(&storage("own")).await.len(), 0);
}

#[tokio::test]
async fn a_workspace_can_be_there_from_the_start() {
    let mut seed = crate::lab::seed();
    let network = json!({
        "isolationMode": "AllowOnlyApprovedOutbound", "status": { "status": "Active", "sparkReady": false },
        "outboundRules": { "pypi": fqdn_rule("pypi.org") },
    });
    let resource = arm_simulator::SeedResource::new(workspace("old"), "westeurope")
        .property("storageAccount", json!(storage("own")))
        .property("keyVault", json!(vault()))
        .property("managedNetwork", network);
    seed.resources.push(resource);
    let lab = Lab::with(seed, Settings::fast()).await;
    assert_eq!(lab.rule_status(&workspace("old"), "pypi").await.as_deref(), Some("Active"));
    assert_eq!(lab.connections(&storage("own")).await.len(), 2);
}

#[tokio::test]
async fn a_users_rule_that_comes_with_the_workspace_stands_in_for_the_services_own() {
    let lab = Lab::start(Settings::fast()).await;
    let mut body = crate::lab::workspace_body("AllowOnlyApprovedOutbound");
    body["properties"]["managedNetwork"]["outboundRules"] = json!({ "mine": endpoint_rule(&storage("own"), "blob") });
    lab.put(&workspace("twice"), ML, body).await.expect(200);
    let list = lab.get(&format!("{}/outboundRules", workspace("twice")), ML).await.body;
    let to_blob = |rule: &&Value| rule["properties"]["destination"]["subresourceTarget"] == "blob";
    let names: Vec<_> = list["value"].as_array().unwrap().iter().filter(to_blob).map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["mine"]);
}

#[tokio::test]
async fn a_registry_needs_more_than_the_approver_role() {
    let mut seed = crate::lab::seed();
    let registry = crate::lab::id("Microsoft.ContainerRegistry/registries", "acr1");
    seed.resources.push(SeedResource::new(registry.clone(), "westeurope"));
    for missing in [ApproverMissing::Refuse, ApproverMissing::Pending] {
        let lab = Lab::with(seed.clone(), Settings { approver_missing: missing, ..Settings::fast() }).await;
        let ws = lab.built("images", "AllowInternetOutbound").await;
        lab.let_approve(&ws, &registry).await;
        let rule = endpoint_rule(&registry, "registry");
        if missing == ApproverMissing::Refuse {
            lab.rule(&ws, "acr", rule.clone()).await.expect(400);
        } else {
            lab.rule(&ws, "early", rule.clone()).await.expect(200);
            assert_eq!(lab.rule_status(&ws, "early").await.as_deref(), Some("Inactive"));
            lab.delete(&format!("{ws}/outboundRules/early"), ML).await.expect(200);
        }
        let identity = lab.get(&ws, ML).await.body["identity"]["principalId"].as_str().unwrap().to_owned();
        let reader = crate::lab::assignment(&registry, "Reader", &identity);
        lab.sim.seed(Seed { role_assignments: vec![reader], ..Seed::default() }).unwrap();
        lab.rule(&ws, "acr", rule).await.expect(200);
        assert_eq!(lab.rule_status(&ws, "acr").await.as_deref(), Some("Active"), "{missing:?}");
    }
}

#[tokio::test]
async fn the_first_fqdn_rule_makes_the_firewall() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.built("walled", "AllowOnlyApprovedOutbound").await;
    let network = || async { lab.get(&ws, ML).await.body["properties"]["managedNetwork"].clone() };
    assert_eq!(
        (&network().await["firewallSku"], network().await.get("firewallPublicIpAddress")),
        (&json!("Standard"), None)
    );
    lab.rule(&ws, "pypi", fqdn_rule("pypi.org")).await.expect(200);
    assert!(network().await["firewallPublicIpAddress"].is_string());
}

#[tokio::test]
async fn a_lock_lets_the_services_own_calls_fail() {
    let mut seed = crate::lab::seed();
    let scope = workspace("locked");
    seed.resources.push(SeedResource::new(format!("{scope}/providers/Microsoft.Authorization/locks/keep"), ""));
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("locked", "AllowOnlyApprovedOutbound").await;
    let accepted = lab.provision(&ws).await.expect(202);
    let status = lab.send("GET", accepted.header("Azure-AsyncOperation").unwrap(), &lab.token, None).await.unwrap();
    assert_eq!((&status.body["status"], &status.body["error"]["code"]), (&json!("Failed"), &json!("ScopeLocked")));
    let network = lab.get(&ws, ML).await.body["properties"]["managedNetwork"]["status"].clone();
    assert_eq!(network["status"], "Inactive");
}

#[tokio::test]
async fn a_workspace_is_no_target_of_its_own_before_it_exists() {
    let lab = Lab::start(Settings::fast()).await;
    let id = workspace("self");
    let mut body = crate::lab::workspace_body("AllowInternetOutbound");
    body["properties"]["managedNetwork"]["outboundRules"] = json!({ "self": endpoint_rule(&id, "amlworkspace") });
    lab.put(&id, ML, body).await.expect(400);
    let ws = lab.built("self", "AllowInternetOutbound").await;
    lab.rule(&ws, "self", endpoint_rule(&id, "amlworkspace")).await.expect(200);
    assert_eq!(lab.rule_status(&ws, "self").await.as_deref(), Some("Active"));
}

#[tokio::test]
async fn strangers_networks_share_a_subscription_and_groups() {
    let lab = Lab::start(Settings::fast()).await;
    let mut groups = std::collections::BTreeSet::new();
    for n in 0..3 {
        lab.built(&format!("neighbour-{n}"), "AllowOnlyApprovedOutbound").await;
    }
    let connections = lab.connections(&storage("own")).await;
    for connection in &connections {
        assert_eq!(connection["properties"].get("groupIds"), None, "nothing says which sub-resource is asked for");
        let endpoint = connection["properties"]["privateEndpoint"]["id"].as_str().unwrap();
        groups.insert(endpoint.split("/providers/").next().unwrap().to_owned());
    }
    assert_eq!(connections.len(), 6);
    assert!(groups.len() < 3, "{groups:?}");
}

#[tokio::test]
async fn previews_have_the_network_as_a_child() {
    const PREVIEW: &str = "2026-03-15-preview";
    for (mode, expected) in [(RuleMapPatch::Merge, vec!["one", "two"]), (RuleMapPatch::Replace, vec!["two"])] {
        let lab = Lab::start(Settings { rule_map_patch: mode, ..Settings::fast() }).await;
        let ws = lab.workspace("nested", "AllowOnlyApprovedOutbound").await;
        let path = format!("{ws}/managedNetworks/default");
        let network = lab.get(&path, PREVIEW).await.expect(200).body;
        assert_eq!(network["id"], path);
        assert_eq!(network["properties"]["provisioningState"], "Deferred");
        assert_eq!(network["properties"]["managedNetwork"]["changeableIsolationModes"], json!([]));
        lab.get(&path, ML).await.expect(400);
        lab.get(&format!("{ws}/managedNetworks/other"), PREVIEW).await.expect(404);

        let rule = format!("{path}/outboundRules/one");
        let body = json!({ "properties": fqdn_rule("one.org") });
        assert_eq!(lab.put(&rule, PREVIEW, body).await.expect(200).body["id"], rule);
        let batch = json!({ "properties": { "outboundRules": { "two": fqdn_rule("two.org") } } });
        let url = format!("{path}/batchOutboundRules?api-version={PREVIEW}");
        let rules = lab.send("POST", &url, &lab.token, Some(batch)).await.unwrap().expect(200).body;
        let own = rules["value"].as_array().unwrap().iter().filter(|r| r["properties"]["category"] == "UserDefined");
        assert_eq!(own.map(|rule| rule["name"].as_str().unwrap()).collect::<Vec<_>>(), expected, "{mode:?}");
        assert_eq!(lab.user_rules(&ws).await, expected);
        let body = json!({ "properties": { "managedNetwork": { "firewallSku": "Basic" } } });
        lab.put(&path, PREVIEW, body).await.expect(200);
        assert_eq!(lab.get(&ws, ML).await.body["properties"]["managedNetwork"]["firewallSku"], "Basic");
    }
}

#[tokio::test]
async fn who_has_a_network_built_needs_a_right_on_connections() {
    let mut seed = crate::lab::seed();
    let actions = ["read", "write", "provisionManagedNetwork/action"];
    seed.role_definitions.push(SeedRole {
        name: "aaaaaaaa-0000-0000-0000-000000000009".into(),
        role_name: "builder".into(),
        actions: actions.map(|verb| format!("Microsoft.MachineLearningServices/workspaces/{verb}")).to_vec(),
        ..SeedRole::default()
    });
    seed.role_assignments.push(crate::lab::assignment("/", "builder", "guest-object"));
    let mut lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("narrow", "AllowInternetOutbound").await;
    lab.token = lab.sign_in("guest").await;
    let refused = lab.provision(&ws).await.expect(403);
    assert!(refused.message().contains("privateEndpointConnections/read"), "{}", refused.text);
}
