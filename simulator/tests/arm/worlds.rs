//! The ready-made worlds are what they say.

use std::collections::{BTreeMap, BTreeSet};

use arm_simulator::{ReadyWorld, Seed, Settings, WORLDS, Way};
use serde_json::{Value, json};

use crate::lab::{Lab, ML, SUB};

const NETWORK: &str = "2024-05-01";
const STORAGE: &str = "2023-05-01";
const VAULT: &str = "2024-11-01";
const REGISTRY: &str = "2025-11-01";

fn at(group: &str, kind: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/{group}/providers/{kind}/{name}")
}

fn workspace() -> String {
    at("rg-ml", "Microsoft.MachineLearningServices/workspaces", "fraud")
}

fn account() -> String {
    at("rg-ml", "Microsoft.Storage/storageAccounts", "frauddata")
}

fn vault() -> String {
    at("rg-ml", "Microsoft.KeyVault/vaults", "fraud-kv")
}

fn registry() -> String {
    at("rg-ml", "Microsoft.ContainerRegistry/registries", "fraudacr")
}

fn component() -> String {
    at("rg-ml", "Microsoft.Insights/components", "fraud-ai")
}

fn network(name: &str) -> String {
    at("rg-net", "Microsoft.Network/virtualNetworks", name)
}

fn seed_of(name: &str) -> Seed {
    serde_saphyr::from_str(ReadyWorld::find(name).unwrap().yaml).unwrap()
}

/// A world, and somebody to look at it.
async fn start(name: &str) -> Lab {
    let mut seed = seed_of(name);
    seed.service_principals.push(crate::lab::principal("owner"));
    seed.role_assignments.push(crate::lab::assignment("/", "Owner", crate::lab::OWNER));
    Lab::with(seed, Settings::fast()).await
}

#[test]
fn flaws_are_named_once_and_only_where_there_are_any() {
    let flaws: Vec<&str> = ReadyWorld::find("mess").unwrap().flaws().collect();
    assert_eq!(flaws.len(), flaws.iter().collect::<BTreeSet<_>>().len());
    assert_eq!(flaws.len(), 21);
    assert_eq!(WORLDS.iter().filter(|world| world.flaws().next().is_some()).count(), 1);
}

/// Each flaw as ARM, or a client in a network, tells of it. A flaw of the file that is not looked for here fails the test.
#[tokio::test]
async fn the_mess_has_the_flaws_that_it_names() {
    let lab = start("mess").await;
    let get = |path: String, version: &'static str| {
        let lab = &lab;
        async move { lab.get(&path, version).await.expect(200).body }
    };
    let (ws, data, kv, acr, ai) = (
        get(workspace(), ML).await["properties"].clone(),
        get(account(), STORAGE).await["properties"].clone(),
        get(vault(), VAULT).await["properties"].clone(),
        get(registry(), REGISTRY).await["properties"].clone(),
        get(component(), "2020-02-02").await["properties"].clone(),
    );
    let rule = |name: &str| ws["managedNetwork"]["outboundRules"][name].clone();
    let strangers = |document: &Value, status: &str| {
        let connections = document["privateEndpointConnections"].as_array().unwrap();
        connections.iter().any(|connection| {
            let properties = &connection["properties"];
            let theirs = properties["privateEndpoint"]["id"].as_str().unwrap().contains("000000000666");
            theirs && properties["privateLinkServiceConnectionState"]["status"] == status
        })
    };
    let group = get(at("rg-net", "Microsoft.Network/networkSecurityGroups", "nsg-clients"), NETWORK).await;
    let destinations: Vec<&str> = group["properties"]["securityRules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["properties"]["destinationAddressPrefix"].as_str().unwrap())
        .collect();
    let subnet = get(format!("{}/subnets/clients", network("vnet-studio")), NETWORK).await;
    let month = get(format!("{}/privateEndpointConnections", registry()), REGISTRY).await;
    let waiting = month["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|connection| connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Pending");
    let waiting_since = waiting.unwrap()["systemData"]["createdAt"].as_str().unwrap().to_owned();
    let roles = get(format!("{}/providers/Microsoft.Authorization/roleAssignments", workspace()), "2022-04-01").await;
    let principal = get(workspace(), ML).await["identity"]["principalId"].clone();
    let held: Vec<&Value> = roles["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|role| role["properties"]["principalId"] == principal)
        .collect();
    let notebooks = lab.sim.host_names(&workspace()).unwrap().remove(2);
    let from_studio = lab.sim.resolve(&network("vnet-studio"), &notebooks).unwrap();
    let blob = lab.sim.resolve(&network("vnet-data"), "frauddata.blob.core.windows.net").unwrap();
    let seen_from_studio = lab.sim.resolve(&network("vnet-studio"), "frauddata.blob.core.windows.net").unwrap();

    let found: BTreeMap<&str, bool> = [
        ("workspace-public-access", ws["publicNetworkAccess"] == "Enabled"),
        ("storage-public-access", data["publicNetworkAccess"] == "Enabled"),
        ("vault-public-access", kv["publicNetworkAccess"] == "Enabled"),
        ("registry-public-access", acr["publicNetworkAccess"] == "Enabled"),
        ("insights-public-access", ai["publicNetworkAccessForIngestion"] == "Enabled"),
        ("storage-shared-keys", data["allowSharedKeyAccess"] == true),
        ("storage-anonymous-blobs", data["allowBlobPublicAccess"] == true),
        ("registry-admin-user", acr["adminUserEnabled"] == true),
        ("rule-failed", rule("partner")["status"] == "Failed"),
        ("rule-wildcard-fqdn", rule("sites")["status"] == "Active"),
        ("rule-broad-service-tag", rule("azure")["destination"]["serviceTag"] == "AzureCloud"),
        ("connection-stranger-approved", strangers(&data, "Approved")),
        ("connection-stranger-pending", strangers(&kv, "Pending")),
        ("connection-pending-too-long", hours_since(&lab, &waiting_since) > 700.0),
        ("dns-incomplete", from_studio.zone.is_none()),
        (
            "service-and-private-endpoint",
            kv["networkAcls"]["virtualNetworkRules"][0]["id"].as_str().unwrap().ends_with("/vnet-data/subnets/jobs"),
        ),
        ("no-line-of-sight", blob.zone.is_some() && seen_from_studio.zone.is_none()),
        ("image-builds-cannot-work", !lab.sim.build_image(&workspace()).unwrap().built),
        ("security-group-lacks-rules", !destinations.contains(&"AzureResourceManager")),
        (
            "storage-without-endpoint-policy",
            destinations.contains(&"Storage.westeurope") && subnet["properties"]["serviceEndpointPolicies"].is_null(),
        ),
        (
            "approver-role-too-wide",
            held.len() == 1 && held[0]["properties"]["scope"].as_str().unwrap().ends_with("/rg-ml"),
        ),
    ]
    .into();
    let absent: Vec<_> = found.iter().filter(|(_, there)| !**there).collect();
    assert!(absent.is_empty(), "{absent:?}");
    let named: BTreeSet<&str> = ReadyWorld::find("mess").unwrap().flaws().collect();
    assert_eq!(named, found.keys().copied().collect());
}

/// On the simulator's clock.
fn hours_since(lab: &Lab, time: &str) -> f64 {
    let then = time.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    (lab.sim.clock().now_ms() - then) as f64 / 3_600_000.0
}

#[tokio::test]
async fn the_clean_workspace_is_reached_from_its_networks_and_from_nowhere_else() {
    let lab = start("clean").await;
    let names = |resource: String, count: usize| {
        let names = lab.sim.host_names(&resource).unwrap();
        names.into_iter().take(count).collect::<Vec<_>>()
    };
    let mut used = names(workspace(), 3);
    used.extend(["frauddata.blob.core.windows.net", "frauddata.file.core.windows.net"].map(str::to_owned));
    used.extend(names(vault(), 1));
    used.extend(names(registry(), 2));
    assert_eq!(used.len(), 8);
    for from in [
        network("vnet-studio"),
        network("vnet-data"),
        format!("{}/subnets/clients", network("vnet-studio")),
        format!("{}/subnets/jobs", network("vnet-data")),
    ] {
        for name in &used {
            let reach = lab.sim.reach(&from, name).unwrap();
            assert_eq!(
                (reach.way, reach.resolution.aliases.len()),
                (Some(Way::PrivateEndpoint), 1),
                "{from}: {reach:?}"
            );
        }
    }
    let everything = [
        workspace(),
        account(),
        vault(),
        registry(),
        component(),
        at("rg-ml", "Microsoft.OperationalInsights/workspaces", "fraud-logs"),
    ];
    for resource in &everything {
        for from in ["internet", "20.1.2.3"] {
            for reach in lab.sim.reach_all(from, resource).unwrap() {
                assert!(!reach.reachable, "{from}: {reach:?}");
            }
        }
    }
    for reach in lab.sim.reach_all(&network("vnet-studio"), &component()).unwrap() {
        assert_eq!(reach.way, Some(Way::PrivateEndpoint), "{reach:?}");
    }
    assert_eq!(
        lab.sim.reach(&workspace(), "frauddata.blob.core.windows.net").unwrap().way,
        Some(Way::ResourceInstance)
    );
    let build = lab.sim.build_image(&workspace()).unwrap();
    assert!(build.built, "{}", build.reason);
    let shown = lab.get(&workspace(), ML).await.expect(200).body["properties"].clone();
    let rules = shown["managedNetwork"]["outboundRules"].as_object().unwrap();
    assert!(rules.values().all(|rule| rule["status"] == "Active"), "{rules:?}");
    assert_eq!(shown["managedNetwork"]["status"], json!({ "status": "Active", "sparkReady": true }));
    for (resource, version) in [(workspace(), ML), (account(), STORAGE), (vault(), VAULT), (registry(), REGISTRY)] {
        let list = lab.get(&format!("{resource}/privateEndpointConnections"), version).await.expect(200).body;
        let all = list["value"].as_array().unwrap();
        assert!(all.iter().all(|connection| crate::lab::status_of(connection) == "Approved"), "{resource}");
        assert!(all.len() >= 3, "{resource}");
    }
    lab.get(&format!("{}/computes/builder", workspace()), ML).await.expect(200);
}

/// A workspace that was made without a registry gets one by its first image, and builds until that is closed.
#[tokio::test]
async fn the_first_image_makes_the_registry() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("ws1", "AllowOnlyApprovedOutbound").await;
    let registry = |body: &Value| body["properties"]["containerRegistry"].as_str().map(str::to_owned);
    assert_eq!(registry(&lab.get(&ws, ML).await.body), None);
    let asked = Some(json!({ "workspace": ws }));
    let first = lab.send("POST", "/_simulator/image-builds", "", asked).await.unwrap().expect(200).body;
    assert_eq!(first["built"], true);
    let made = registry(&lab.get(&ws, ML).await.body).unwrap();
    assert_eq!(first["registry"], made.as_str());
    let shown = lab.get(&made, REGISTRY).await.expect(200).body;
    assert_eq!(shown["properties"]["adminUserEnabled"], true);
    let rules = lab.get(&format!("{ws}/outboundRules"), ML).await.body;
    let leads_there = |rule: &Value| rule["properties"]["destination"]["serviceResourceId"] == made.as_str();
    assert!(rules["value"].as_array().unwrap().iter().any(leads_there), "{rules}");
    // The second time it is there, and closed by somebody who knows that this takes another tier.
    let closed = json!({ "sku": { "name": "Premium" }, "properties": { "publicNetworkAccess": "Disabled" } });
    lab.call("PATCH", &made, REGISTRY, Some(closed)).await;
    let second = lab.sim.build_image(&ws).unwrap();
    assert_eq!((second.built, second.registry), (false, Some(made)));
    lab.patch(&ws, json!({ "properties": { "imageBuildCompute": "builder" } })).await.expect(200);
    assert!(!lab.sim.build_image(&ws).unwrap().built, "there is no such compute");
    lab.sim.build_image("/subscriptions/absent").unwrap_err();
}
