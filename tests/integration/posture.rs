//! The posture: what is wrong is told, whoever made it so, and nothing else is.

use std::collections::BTreeSet;

use arm_simulator::{ReadyWorld, Seed};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition, control_plane, settings};

/// The subscription of the ready-made worlds, and a stranger's.
const OWN: &str = "00000000-0000-0000-0000-000000000001";
const STRANGER: &str = "00000000-0000-0000-0000-000000000666";

fn at(group: &str, type_: &str, name: &str) -> String {
    format!("/subscriptions/{OWN}/resourceGroups/{group}/providers/{type_}/{name}")
}

fn storage() -> String {
    at("rg-ml", "Microsoft.Storage/storageAccounts", "frauddata")
}

fn vault() -> String {
    at("rg-ml", "Microsoft.KeyVault/vaults", "fraud-kv")
}

fn registry() -> String {
    at("rg-ml", "Microsoft.ContainerRegistry/registries", "fraudacr")
}

fn insights() -> String {
    at("rg-ml", "Microsoft.Insights/components", "fraud-ai")
}

fn workspace_id() -> String {
    at("rg-ml", "Microsoft.MachineLearningServices/workspaces", "fraud")
}

fn network(name: &str) -> String {
    at("rg-net", "Microsoft.Network/virtualNetworks", name)
}

/// A ready-made world.
async fn ready_made(name: &str) -> World {
    let yaml = ReadyWorld::find(name).expect("the world").yaml;
    let seed: Seed = serde_saphyr::from_str(yaml).expect("a seed");
    World::seeded(settings(), |there, _| *there = seed).await
}

/// The connection to it, with a grant on every group.
fn connection(world: &World) -> Value {
    let mut connection = world.connection_manifest();
    let grant = |group: &str| {
        json!({"namespaces": {"names": [world.team]}, "scope": format!("/subscriptions/{OWN}/resourceGroups/{group}"),
            "verbs": ["reach", "create", "configure", "dns"], "egress": {"fqdns": ["pypi.org"]}})
    };
    connection["spec"]["ownSubscriptions"] = json!([OWN]);
    connection["spec"]["grants"] = json!([grant("rg-ml"), grant("rg-net"), grant("rg-net-data")]);
    connection
}

/// The workspace `fraud` of these worlds, only looked at.
fn observed(world: &World) -> Value {
    let mut workspace = world.workspace_manifest();
    let spec = &mut workspace["spec"];
    spec["subscriptionId"] = json!(OWN);
    spec["resourceGroup"] = json!("rg-ml");
    spec["managementPolicy"] = json!("Observe");
    spec["associatedResources"] = json!({
        "storageAccount": {"resourceId": storage()}, "keyVault": {"resourceId": vault()},
        "applicationInsights": {"resourceId": insights()}, "containerRegistry": {"resourceId": registry()},
    });
    workspace
}

/// A network that is only looked at.
fn attachment(world: &World, name: &str, subnet: &str, role: &str, zones: &str) -> Value {
    json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "VnetAttachment", "metadata": {"name": name, "namespace": world.team},
        "spec": {"workspaceRef": {"name": "fraud"}, "subnet": {"resourceId": format!("{}/subnets/{subnet}", network(name))}, "role": role,
            "managementPolicy": "Observe",
            "dns": {"mode": "Managed", "zonesResourceGroupId": format!("/subscriptions/{OWN}/resourceGroups/{zones}")}},
    })
}

/// Both networks of these worlds.
fn attachments(world: &World, zones_of_data: &str) -> [Value; 2] {
    [
        attachment(world, "vnet-studio", "clients", "Clients", "rg-net"),
        attachment(world, "vnet-data", "endpoints", "Services", zones_of_data),
    ]
}

fn findings(object: &Value) -> Vec<Value> {
    object["status"]["posture"]["findings"].as_array().cloned().unwrap_or_default()
}

/// What was found: check, and the end of the resource's id.
fn found(object: &Value, state: &str) -> BTreeSet<(String, String)> {
    let of_state = findings(object).into_iter().filter(|finding| finding["state"] == state);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tail = |id: String| id.rsplit('/').next().unwrap_or_default().to_owned();
    of_state.map(|finding| (text(&finding["check"]), tail(text(&finding["resource"])))).collect()
}

/// Waits until everything was looked at, and returns the workspace.
async fn judged(world: &World, workspace: &Value) -> Value {
    world
        .until(workspace, "everything is judged", |object| {
            object["status"]["posture"]["unknown"] == 0 && !condition(object, "Secure").is_null()
        })
        .await
}

/// Each planted flaw, and what tells of it.
const FLAWS: &[(&str, &str, &str)] = &[
    ("security-group-lacks-rules", "SecurityGroupLacksRules", "clients"),
    ("storage-without-endpoint-policy", "StorageWithoutEndpointPolicy", "clients"),
    ("storage-public-access", "StoragePublicAccess", "frauddata"),
    ("storage-shared-keys", "StorageSharedKeys", "frauddata"),
    ("storage-anonymous-blobs", "StorageAnonymousBlobs", "frauddata"),
    ("vault-public-access", "VaultPublicAccess", "fraud-kv"),
    ("service-and-private-endpoint", "ServiceAndPrivateEndpoint", "fraud-kv"),
    ("registry-admin-user", "RegistryAdminUser", "fraudacr"),
    ("registry-public-access", "RegistryPublicAccess", "fraudacr"),
    ("insights-public-access", "InsightsPublicAccess", "fraud-ai"),
    ("image-builds-cannot-work", "ImageBuildsCannotWork", "fraud"),
    ("workspace-public-access", "WorkspacePublicAccess", "fraud"),
    ("rule-wildcard-fqdn", "RuleWildcardFqdn", "sites"),
    ("rule-broad-service-tag", "RuleBroadServiceTag", "azure"),
    ("rule-failed", "RuleNotActive", "partner"),
    ("dns-incomplete", "DnsIncomplete", "vnet-studio"),
    ("no-line-of-sight", "NoLineOfSight", "fraud"),
    ("connection-stranger-approved", "ConnectionStrangerApproved", "pe-blob"),
    ("connection-stranger-pending", "ConnectionStrangerPending", "pe-vault"),
    ("connection-pending-too-long", "ConnectionPendingTooLong", "pe-images"),
    ("approver-role-too-wide", "ApproverRoleTooWide", "rg-ml"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_flaw_of_a_mess_is_named_and_none_else_and_nothing_is_written() {
    let world = ready_made("mess").await;
    let operator = world.operator().await;
    let workspace = observed(&world);
    for manifest in [&connection(&world), &workspace].into_iter().chain(&attachments(&world, "rg-net")) {
        world.apply(manifest.clone()).await;
    }
    let object = judged(&world, &workspace).await;
    let planted: BTreeSet<&str> = ReadyWorld::find("mess").expect("the world").flaws().collect();
    assert_eq!(planted, FLAWS.iter().map(|(flaw, ..)| *flaw).collect(), "the table knows every planted flaw");
    let named = FLAWS.iter().map(|(_, check, place)| ((*check).to_owned(), (*place).to_owned())).collect();
    assert_eq!(found(&object, "Fail"), named, "{:#}", object["status"]["posture"]);
    assert_eq!(object["status"]["posture"]["failed"], FLAWS.len());
    let secure = condition(&object, "Secure");
    assert_eq!((&secure["status"], &secure["reason"]), (&json!("False"), &json!("FlawsFound")));
    let dns = findings(&object).into_iter().find(|finding| finding["check"] == "DnsIncomplete").expect("the finding");
    assert!(dns["evidence"].as_str().unwrap_or_default().contains("privatelink.notebooks.azure.net"), "{dns}");
    for finding in findings(&object) {
        assert!(finding["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{finding}");
    }
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    let metrics = operator.metrics.encode().expect("metrics");
    assert!(metrics.contains(r#"aml_operator_posture{check="StorageSharedKeys",state="Fail"} 1"#));
    let size = object["status"]["posture"].to_string().len();
    assert!(size < 64 * 1024, "{size} bytes");
    operator.stop().await;
}

/// The same world as it should be: with waivers for what nobody wants to change, with new flaws while it is looked at, and reports.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_world_is_secure_until_somebody_plants_a_flaw() {
    let world = ready_made("clean").await;
    let operator = world.operator().await;
    let workspace = observed(&world);
    for manifest in [&connection(&world), &workspace].into_iter().chain(&attachments(&world, "rg-net-data")) {
        world.apply(manifest.clone()).await;
    }
    let object = judged(&world, &workspace).await;
    assert_eq!(found(&object, "Fail"), BTreeSet::new(), "{:#}", object["status"]["posture"]);
    let secure = condition(&object, "Secure");
    assert_eq!((&secure["status"], &secure["reason"]), (&json!("True"), &json!("NoFlaws")));

    plant_all(&world, &workspace).await;

    // Somebody accepts one of them for a time.
    let mut waiving = workspace.clone();
    let soon = jiff::Timestamp::now() + std::time::Duration::from_secs(20);
    let waiver = |expires: String| json!({"waivers": [{"check": "StorageSharedKeys", "reason": "until autumn", "expires": expires}]});
    world.shell(Method::PATCH, &storage(), Some(&json!({"properties": {"allowSharedKeyAccess": true}}))).await;
    waiving["spec"]["posture"] = waiver(aml_operator::api::condition::rfc3339(soon));
    world.apply(waiving.clone()).await;
    let flaw = ("StorageSharedKeys".to_owned(), "frauddata".to_owned());
    world.until(&workspace, "it is waived", |object| found(object, "Waived").contains(&flaw)).await;
    world.until(&workspace, "it counts again by itself", |object| found(object, "Fail").contains(&flaw)).await;
    let mut unknown = waiving;
    unknown["spec"]["posture"]["waivers"][0]["check"] = json!("NoSuchCheck");
    let refused = world.try_apply(unknown).await.expect_err("a check that does not exist is refused").to_string();
    assert!(refused.contains("NoSuchCheck"), "{refused}");
    operator.stop().await;
}

/// Plants each flaw by hand, one after the other, sees that it is told with what was found, and takes it back.
async fn plant_all(world: &World, workspace: &Value) {
    let patch = |id: String, good: Value, bad: Value| (id, json!({ "properties": good }), json!({ "properties": bad }));
    let acls = |action: &str, addresses: &[&str]| {
        let addresses: Vec<Value> = addresses.iter().map(|address| json!({ "value": address })).collect();
        json!({"defaultAction": action, "bypass": "AzureServices", "ipRules": addresses, "virtualNetworkRules": []})
    };
    let closed = json!({"publicNetworkAccess": "Disabled"});
    let table = [
        (
            "StorageAnonymousBlobs",
            "true",
            patch(storage(), json!({"allowBlobPublicAccess": false}), json!({"allowBlobPublicAccess": true})),
        ),
        (
            "StoragePublicAccess",
            "Enabled",
            patch(
                storage(),
                closed.clone(),
                json!({"publicNetworkAccess": "Enabled", "networkAcls": acls("Allow", &[])}),
            ),
        ),
        (
            "VaultPublicAccess",
            "16.0.0.0/6",
            patch(
                vault(),
                closed.clone(),
                json!({"publicNetworkAccess": "Enabled", "networkAcls": acls("Deny", &["16.0.0.0/6"])}),
            ),
        ),
        (
            "RegistryAdminUser",
            "adminUserEnabled",
            patch(registry(), json!({"adminUserEnabled": false}), json!({"adminUserEnabled": true})),
        ),
        ("WorkspacePublicAccess", "Enabled", patch(workspace_id(), closed, json!({"publicNetworkAccess": "Enabled"}))),
    ];
    for (check, evidence, (id, good, bad)) in table {
        world.shell(Method::PATCH, &id, Some(&bad)).await;
        let name = id.rsplit('/').next().unwrap_or_default().to_owned();
        let object = world
            .until(workspace, check, |object| found(object, "Fail") == [(check.to_owned(), name.clone())].into())
            .await;
        let told = findings(&object).into_iter().find(|finding| finding["check"] == check).expect("the finding");
        assert!(told["evidence"].as_str().unwrap_or_default().contains(evidence), "{told}");
        world.shell(Method::PATCH, &id, Some(&good)).await;
        world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
    }
    let rule = format!("{}/outboundRules/open", workspace_id());
    for (check, properties) in [
        ("RuleWildcardFqdn", json!({"type": "FQDN", "category": "UserDefined", "destination": "*.azurewebsites.net"})),
        (
            "RuleBroadServiceTag",
            json!({"type": "ServiceTag", "category": "UserDefined",
            "destination": {"serviceTag": "AzureCloud", "protocol": "TCP", "portRanges": "443"}}),
        ),
    ] {
        world.shell(Method::PUT, &rule, Some(&json!({ "properties": properties }))).await;
        world
            .until(workspace, check, |object| found(object, "Fail").contains(&(check.to_owned(), "open".to_owned())))
            .await;
        world.shell(Method::DELETE, &rule, None).await;
        world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
    }
    // A stranger asks under the name of an endpoint of ours; and the identity is given more than it needs.
    let stranger = World::endpoint(STRANGER, "theirs", "pe-blob");
    world.knock(&storage(), &stranger);
    let asks = ("ConnectionStrangerPending".to_owned(), "pe-blob".to_owned());
    world.until(workspace, "the stranger is told", |object| found(object, "Fail").contains(&asks)).await;
    let shown = world.ask_azure(Method::GET, &storage(), "2023-05-01", None).await.1;
    let connections = shown["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default();
    let theirs =
        connections.iter().find(|one| one["properties"]["privateEndpoint"]["id"] == stranger).expect("it is there");
    world.shell(Method::DELETE, theirs["id"].as_str().expect("an id"), None).await;
    world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
    let principal = world.principal().await;
    world.grant(&storage(), "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &principal);
    let standing = ("ApproverRoleStanding".to_owned(), "frauddata".to_owned());
    let object = world.until(workspace, "the role is told", |object| found(object, "Fail").contains(&standing)).await;
    let told =
        findings(&object).into_iter().find(|finding| finding["check"] == "ApproverRoleStanding").expect("it is there");
    let assignment = assignment(&told);
    let (status, answer) = world.ask_azure(Method::DELETE, &assignment, "2022-04-01", None).await;
    assert!((200..300).contains(&status), "{answer}");
    world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
    // The links and rules of the networks.
    let zone = at("rg-net", "Microsoft.Network/privateDnsZones", "privatelink.notebooks.azure.net");
    world.shell(Method::DELETE, &format!("{zone}/virtualNetworkLinks/vnet-studio"), None).await;
    let names = ("DnsIncomplete".to_owned(), "vnet-studio".to_owned());
    world.until(workspace, "the names are told", |object| found(object, "Fail").contains(&names)).await;
    let link = json!({"location": "global", "properties": {"virtualNetwork": {"id": network("vnet-studio")}, "registrationEnabled": false}});
    world.shell(Method::PUT, &format!("{zone}/virtualNetworkLinks/vnet-studio"), Some(&link)).await;
    world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
    let rule = format!(
        "{}/securityRules/resource-manager",
        at("rg-net", "Microsoft.Network/networkSecurityGroups", "nsg-clients")
    );
    world.shell(Method::DELETE, &rule, None).await;
    let lacks = ("SecurityGroupLacksRules".to_owned(), "clients".to_owned());
    let object = world.until(workspace, "the rule is missed", |object| found(object, "Fail").contains(&lacks)).await;
    let told = findings(&object)
        .into_iter()
        .find(|finding| finding["check"] == "SecurityGroupLacksRules")
        .expect("it is there");
    assert!(told["evidence"].as_str().unwrap_or_default().contains("AzureResourceManager TCP 443"), "{told}");
    let body = json!({"properties": {"priority": 140, "direction": "Outbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "*",
        "sourcePortRange": "*", "destinationAddressPrefix": "AzureResourceManager", "destinationPortRange": "443"}});
    world.shell(Method::PUT, &rule, Some(&body)).await;
    world.until(workspace, "it is gone again", |object| condition(object, "Secure")["status"] == "True").await;
}

/// A world with an attached network, whose workspace is managed and as it should be but for one flaw that is waived.
struct Managed {
    world: World,
    workspace: Value,
    hub: Value,
    rule: Value,
}

impl Managed {
    async fn new() -> Self {
        let world = World::with_networks_and(|seed, _| {
            let more = [
                ("frauddata", json!({"allowSharedKeyAccess": false, "allowBlobPublicAccess": false})),
                ("fraudimages", json!({"adminUserEnabled": false})),
                (
                    "fraudinsights",
                    json!({"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled"}),
                ),
            ];
            for (name, properties) in more {
                let resource = seed.resources.iter_mut().find(|known| known.id.ends_with(name)).expect("the resource");
                resource.properties.extend(properties.as_object().cloned().expect("properties"));
            }
        })
        .await;
        let mut workspace = world.whole_workspace();
        workspace["spec"]["systemDatastoresAuthMode"] = json!("Identity");
        workspace["spec"]["posture"] = json!({"waivers": [
            {"check": "ImageBuildsCannotWork", "reason": "images come from elsewhere", "expires": "2999-01-01T00:00:00Z"}]});
        let hub = world.attachment_manifest("hub", "hub", "Services");
        let rule = world.fqdn("pypi", "pypi.org");
        world.apply(world.network_connection()).await;
        for policy in world.attachment_policies(&["hub"]) {
            world.apply(policy).await;
        }
        for manifest in [&workspace, &hub, &rule] {
            world.apply(manifest.clone()).await;
        }
        Self { world, workspace, hub, rule }
    }

    fn id(&self, type_: &str, name: &str) -> String {
        self.world.id(type_, name)
    }

    async fn is_secure(&self) -> Value {
        self.world
            .until(&self.workspace, "nothing is wrong", |object| {
                condition(object, "Secure")["status"] == "True" && condition(object, "Ready")["reason"] == "Secured"
            })
            .await
    }

    /// Does `plant`, and waits until `check` tells of `place` with `evidence`: within one resync, and nothing else is told.
    async fn tells(&self, check: &str, place: &str, evidence: &str, plant: impl Future<Output = ()>) -> Value {
        plant.await;
        let before = self.world.last_request();
        let flaw = (check.to_owned(), place.to_owned());
        let object = self.world.until(&self.workspace, check, |object| found(object, "Fail").contains(&flaw)).await;
        // One may have been under way, the next one sees it, and one more may begin before this test looks.
        let list =
            format!("/subscriptions/{}/providers/Microsoft.Authorization/roleAssignments", self.world.subscription);
        let readings = self.world.azure.requests_since(before).iter().filter(|request| request.path == list).count();
        assert!(readings <= 3, "{check} is told after {readings} readings");
        assert_eq!(found(&object, "Fail"), [flaw].into());
        let told = findings(&object).into_iter().find(|finding| finding["check"] == check).expect("the finding");
        assert!(told["evidence"].as_str().unwrap_or_default().contains(evidence), "{told}");
        let ready = condition(&object, "Ready")["reason"].clone();
        assert!(ready == "Secured" || ready == "Updating", "what is not declared does not make it unready: {ready}");
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declared_is_healed_and_told_with_what_was_found() {
    let managed = Managed::new().await;
    let Managed { world, workspace, hub, rule } = &managed;
    let operator = world.operator().await;
    world.until_reason(hub, "Attached").await;
    managed.is_secure().await;
    let drifted = |object: &Value, field: &str| {
        let drift = object["status"]["drift"].as_array().cloned().unwrap_or_default();
        drift.iter().any(|drift| drift["field"].as_str().is_some_and(|known| known.contains(field)))
    };

    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    world.until(workspace, "it was told", |object| drifted(object, "publicNetworkAccess")).await;
    managed.is_secure().await;
    let (_, shown) = world.ask_azure(Method::GET, &world.workspace_id(), "2025-12-01", None).await;
    assert_eq!(shown["properties"]["publicNetworkAccess"], "Disabled");

    let name = world.read(rule).await.expect("the rule")["status"]["azureName"].as_str().expect("a name").to_owned();
    world.lose_rule(&name).await;
    world
        .until(rule, "it is back", |object| {
            condition(object, "Ready")["reason"] == "Active"
                && object["status"]["drift"].as_array().is_some_and(|drift| !drift.is_empty())
        })
        .await;
    assert!(world.rules_in_azure().contains_key(&name));

    let zone = format!(
        "/subscriptions/{}/resourceGroups/hub/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net",
        world.subscription
    );
    world.delete_in_azure(&format!("{zone}/A/frauddata")).await;
    world.until(hub, "it was told", |object| drifted(object, "privateDnsZoneGroups")).await;
    world
        .eventually("the record is back", async || {
            world.azure.reach(&world.network("hub"), "frauddata.blob.core.windows.net").expect("a place").reachable
        })
        .await;
    managed.is_secure().await;

    // Whoever owns the storage account may not want the endpoint any more: that is told, and not asked for again.
    let storage = managed.id("Microsoft.Storage/storageAccounts", "frauddata");
    let (_, shown) = world.ask_azure(Method::GET, &storage, "2023-05-01", None).await;
    let connections = shown["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default();
    let own = connections
        .iter()
        .find(|one| one["properties"]["privateEndpoint"]["id"].as_str().is_some_and(|id| id.contains("/hub/")))
        .expect("the network's endpoint");
    let rejected = json!({"properties": {
        "privateLinkServiceConnectionState": {"status": "Rejected", "description": "not any more"}}});
    world.shell(Method::PUT, own["id"].as_str().expect("an id"), Some(&rejected)).await;
    let told = world.until_reason(hub, "ConnectionRejected").await;
    let message = condition(&told, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("not any more"), "{message}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_declared_is_told_within_one_resync_with_what_was_found() {
    let managed = Managed::new().await;
    let world = &managed.world;
    let operator = world.operator().await;
    world.until_reason(&managed.hub, "Attached").await;
    let clean = managed.is_secure().await;
    let waived = ("ImageBuildsCannotWork".to_owned(), "fraud".to_owned());
    assert_eq!(found(&clean, "Waived"), [waived].into(), "{:#}", clean["status"]["posture"]);

    let storage = managed.id("Microsoft.Storage/storageAccounts", "frauddata");
    let vault = managed.id("Microsoft.KeyVault/vaults", "fraudkeys");
    let registry = managed.id("Microsoft.ContainerRegistry/registries", "fraudimages");
    let closed = json!({"publicNetworkAccess": "Disabled"});
    let open = json!({"publicNetworkAccess": "Enabled"});
    let anonymous = |allowed: bool| json!({ "allowBlobPublicAccess": allowed });
    let keys = |allowed: bool| json!({ "allowSharedKeyAccess": allowed });
    let admin = |on: bool| json!({ "adminUserEnabled": on });
    for (check, id, evidence, bad, good) in [
        ("StoragePublicAccess", &storage, "publicNetworkAccess is Enabled", &open, &closed),
        ("StorageSharedKeys", &storage, "allowSharedKeyAccess", &keys(true), &keys(false)),
        ("StorageAnonymousBlobs", &storage, "allowBlobPublicAccess", &anonymous(true), &anonymous(false)),
        ("VaultPublicAccess", &vault, "publicNetworkAccess is Enabled", &open, &closed),
        ("RegistryPublicAccess", &registry, "publicNetworkAccess is Enabled", &open, &closed),
        ("RegistryAdminUser", &registry, "adminUserEnabled is true", &admin(true), &admin(false)),
    ] {
        let place = id.rsplit('/').next().unwrap_or_default();
        let patch = async |properties: &Value| {
            world.shell(Method::PATCH, id, Some(&json!({ "properties": properties }))).await;
        };
        managed.tells(check, place, evidence, patch(bad)).await;
        patch(good).await;
        managed.is_secure().await;
    }

    managed
        .tells("RuleWildcardFqdn", "open", "*.azurewebsites.net", world.put_rule("open", "*.azurewebsites.net"))
        .await;
    world.lose_rule("open").await;
    managed.is_secure().await;

    // Somebody lets a stranger in who took the name of the network's own endpoint.
    let endpoint = World::endpoint(FOREIGN, "hub", "hub-blob");
    world.knock(&storage, &endpoint);
    let connection = async || {
        let (_, shown) = world.ask_azure(Method::GET, &storage, "2023-05-01", None).await;
        let connections = shown["properties"]["privateEndpointConnections"].as_array().cloned().unwrap_or_default();
        let theirs = connections.into_iter().find(|one| one["properties"]["privateEndpoint"]["id"] == endpoint);
        theirs.expect("the stranger's")["id"].as_str().expect("an id").to_owned()
    };
    managed.tells("ConnectionStrangerPending", "hub-blob", &storage, async {}).await;
    let approve = async {
        let approved = json!({"properties": {"privateLinkServiceConnectionState": {"status": "Approved"}}});
        world.shell(Method::PUT, &connection().await, Some(&approved)).await;
    };
    managed.tells("ConnectionStrangerApproved", "hub-blob", &storage, approve).await;
    world.shell(Method::DELETE, &connection().await, None).await;
    managed.is_secure().await;

    let principal = world.principal().await;
    let grant = async { world.grant(&storage, "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &principal) };
    let told = managed.tells("ApproverRoleStanding", "frauddata", "may approve whatever asks", grant).await;
    let assignment = assignment(&told);
    let (status, answer) = world.ask_azure(Method::DELETE, &assignment, "2022-04-01", None).await;
    assert!((200..300).contains(&status), "{answer}");
    managed.is_secure().await;
    operator.stop().await;
}

/// The assignment that a finding's fix takes back.
fn assignment(finding: &Value) -> String {
    let fix = finding["fix"].as_str().unwrap_or_default();
    fix.split("--ids ").nth(1).and_then(|rest| rest.split(';').next()).expect("the assignment is named").to_owned()
}

/// The kind `Report` of OpenReports, as far as it is written here.
const REPORTS: &str = include_str!("reports.openreports.io.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn the_posture_is_written_as_a_report_where_the_cluster_has_such_a_kind() {
    let cluster = control_plane().await;
    cluster.kubectl_with_input(&["apply", "--server-side", "-f", "-"], REPORTS).await.expect("the definition");
    cluster
        .kubectl(&["wait", "--for=condition=Established", "crd", "reports.openreports.io", "--timeout=30s"])
        .await
        .expect("it is established");
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let team = world.team.clone();
    let report = || async {
        let shown =
            cluster.kubectl(&["get", "reports.openreports.io", "amlworkspace-fraud", "-n", &team, "-o", "json"]).await;
        shown.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok())
    };
    world
        .eventually("the report", || async {
            report().await.is_some_and(|report| report["summary"]["fail"].as_i64() > Some(0))
        })
        .await;
    let shown = report().await.expect("the report");
    let results = shown["results"].as_array().expect("results");
    let keys = results.iter().find(|result| result["policy"] == "StorageSharedKeys").expect("a result");
    assert_eq!((&keys["result"], &keys["severity"]), (&json!("fail"), &json!("high")));
    assert_eq!(shown["scope"]["name"], "fraud");
    assert_eq!(shown["metadata"]["labels"]["aml-operator.io/workspace"], "fraud");
    world.delete(&world.workspace_manifest()).await;
    world.until_gone(&world.workspace_manifest()).await;
    world.eventually("it goes with the workspace", || async { report().await.is_none() }).await;
    operator.stop().await;
}
