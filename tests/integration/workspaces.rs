//! The whole surface of a workspace: what is declared comes to Azure and stays, what is not declared is nobody's business.

use arm_simulator::Seed;
use serde_json::{Value, json};

use crate::support::{World, condition, settings};

/// A world with what workspaces can refer to besides the usual.
async fn world() -> World {
    World::seeded(settings(), |seed, subscription| {
        let id = |type_: &str, name: &str| {
            format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{type_}/{name}")
        };
        let more: Seed = serde_json::from_value(json!({"resources": [
            {"id": id("Microsoft.ManagedIdentity/userAssignedIdentities", "ml"), "location": "westeurope"},
            {"id": id("Microsoft.KeyVault/vaults", "cmk"), "location": "westeurope"},
        ]}))
        .expect("a seed");
        seed.resources.extend(more.resources);
    })
    .await
}

/// The connection, with public access and every isolation mode.
fn generous(world: &World) -> Value {
    let mut connection = world.connection_manifest();
    let egress = &mut connection["spec"]["grants"][0]["egress"];
    egress["publicNetworkAccess"] = json!("Enabled");
    egress["isolationModes"] = json!(["Disabled", "AllowInternetOutbound"]);
    connection
}

fn ready(object: &Value, generation: i64) -> bool {
    object["metadata"]["generation"] == generation
        && object["status"]["observedGeneration"] == generation
        && condition(object, "Ready")["status"] == "True"
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_declared_comes_to_azure_and_stays() {
    let world = world().await;
    let operator = world.operator().await;
    let user = world.id("Microsoft.ManagedIdentity/userAssignedIdentities", "ml");
    let mut workspace = world.workspace_manifest();
    let declared = json!({
        "kind": "FeatureStore", "friendlyName": "Fraud", "description": "Finds fraud",
        "tags": {"team": "fraud", "cost": "42"},
        "systemDatastoresAuthMode": "Identity", "imageBuildCompute": "builder", "v1LegacyMode": false, "hbiWorkspace": true,
        "enableDataIsolation": true,
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user], "primaryUserAssignedIdentity": user},
        "encryption": {"keyVault": {"resourceId": world.id("Microsoft.KeyVault/vaults", "cmk")},
            "keyIdentifier": "https://cmk.vault.azure.net/keys/k/1", "userAssignedIdentity": user},
    });
    for (field, value) in declared.as_object().expect("fields") {
        workspace["spec"][field] = value.clone();
    }
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let shown = world.in_azure("fraud").await;
    assert_eq!((&shown["kind"], &shown["tags"]["team"]), (&json!("FeatureStore"), &json!("fraud")));
    let properties = &shown["properties"];
    for (field, value) in [
        ("friendlyName", json!("Fraud")),
        ("description", json!("Finds fraud")),
        ("imageBuildCompute", json!("builder")),
        ("hbiWorkspace", json!(true)),
        ("enableDataIsolation", json!(true)),
        ("primaryUserAssignedIdentity", json!(user)),
    ] {
        assert_eq!(properties[field], value, "{field}");
    }
    assert_eq!(properties["encryption"]["keyVaultProperties"]["keyIdentifier"], "https://cmk.vault.azure.net/keys/k/1");
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "what is as declared is not written");

    // The key is rotated and the rest changed by one PATCH, which says what it changes.
    workspace["spec"]["encryption"]["keyIdentifier"] = json!("https://cmk.vault.azure.net/keys/k/2");
    workspace["spec"]["friendlyName"] = json!("Fraud 2");
    world.apply(workspace.clone()).await;
    world.until(&workspace, "the change", |object| ready(object, 2)).await;
    assert_eq!(world.written(), ["PATCH Microsoft.MachineLearningServices/workspaces/fraud"]);
    let shown = world.in_azure("fraud").await;
    assert_eq!(shown["properties"]["friendlyName"], "Fraud 2");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_declared_tags_are_touched_even_after_every_status_is_lost() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["tags"] = json!({"team": "fraud", "cost": "42"});
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let mut tags = world.in_azure("fraud").await["tags"].clone();
    tags["stage"] = json!("prod");
    tags["team"] = json!("hijacked");
    world.patch_workspace(&json!({ "tags": tags })).await;
    world
        .until(&workspace, "the drift", |object| {
            object["status"]["drift"][0]["field"] == "tags.team" && condition(object, "Ready")["reason"] == "Secured"
        })
        .await;
    operator.stop().await;

    // Backup and restore: another object of the same name, without any status.
    world.wipe(&workspace).await;
    workspace["spec"]["tags"] = json!({"team": "fraud"});
    world.azure.clear_requests();
    world.apply(workspace.clone()).await;
    let operator = world.operator().await;
    world.until_reason(&workspace, "Secured").await;
    let tags = world.in_azure("fraud").await["tags"].clone();
    let owner = tags["aml-operator.io-owner"].clone();
    assert_eq!(
        tags,
        json!({"team": "fraud", "stage": "prod", "aml-operator.io-owner": owner, "aml-operator.io-tags": "team"}),
        "the tag that is not declared any more went, the stranger's stayed"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_addresses_are_let_in_and_nobody_else_for_a_moment() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["publicNetworkAccess"] = json!("Enabled");
    workspace["spec"]["networkAcls"] = json!({"defaultAction": "Deny", "ipRules": ["20.1.2.3", "20.2.0.0/16"]});
    world.apply(generous(&world)).await;
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    let message = condition(&asked, "Ready")["message"].to_string();
    assert!(message.contains("{door: PublicNetworkAccess, value: SelectedAddresses}"), "{message}");
    assert_eq!(world.written(), Vec::<String>::new());

    let word = json!([{"door": "PublicNetworkAccess", "value": "SelectedAddresses"}]);
    workspace["spec"]["acknowledge"] = word.clone();
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let properties = world.in_azure("fraud").await["properties"].clone();
    assert_eq!(properties["publicNetworkAccess"], "Enabled");
    let list = json!({"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}, {"value": "20.2.0.0/16"}]});
    assert_eq!(properties["networkAcls"], list);
    let opened: Vec<bool> = world
        .writes()
        .iter()
        .filter_map(|write| write.body.clone())
        .filter(|body| body["properties"]["publicNetworkAccess"] == "Enabled")
        .map(|body| body["properties"]["networkAcls"] == list)
        .collect();
    assert_eq!(opened, [true], "it is opened once, and together with its list");
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());

    // Another list is put right; letting in everybody is another step, with a word of its own.
    let anybody = json!({"properties": {"networkAcls": {"defaultAction": "Allow", "ipRules": []}}});
    let id = world.workspace_id();
    world.ask_azure(reqwest::Method::PATCH, &id, "2026-03-15-preview", Some(&anybody)).await;
    world
        .until(&workspace, "the list is back", |object| {
            object["status"]["drift"][0]["field"] == "properties.networkAcls"
                && condition(object, "Ready")["reason"] == "Secured"
        })
        .await;
    assert_eq!(world.in_azure("fraud").await["properties"]["networkAcls"], list);
    workspace["spec"]["networkAcls"] = json!({"defaultAction": "Allow"});
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "AcknowledgementRequired").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_lives_in_its_hubs_network() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut project = world.workspace_manifest();
    project["metadata"]["name"] = json!("project");
    project["spec"]["kind"] = json!("Project");
    project["spec"]["hub"] = json!({"workspaceRef": {"name": "fraud"}});
    for own in ["managedNetwork", "associatedResources"] {
        project["spec"].as_object_mut().expect("a spec").remove(own);
    }
    world.apply(world.connection_manifest()).await;
    world.apply(project.clone()).await;
    world.until_reason(&project, "WorkspaceMissing").await;
    assert_eq!(world.written(), Vec::<String>::new());
    let mut hub = world.workspace_manifest();
    hub["spec"]["kind"] = json!("Hub");
    world.apply(hub.clone()).await;
    world.until_reason(&hub, "Secured").await;
    let done = world.until_reason(&project, "Secured").await;
    assert_eq!(condition(&done, "ManagedNetworkActive"), Value::Null, "the hub speaks of the network");
    let shown = world.in_azure("project").await;
    assert_eq!(shown["properties"]["hubResourceId"], world.workspace_id());

    // From a namespace that may not reach the hub, its name says nothing: neither that it is there, nor what it is in Azure.
    let mut stranger = project.clone();
    stranger["metadata"]["name"] = json!("stranger");
    stranger["metadata"]["namespace"] = json!(world.platform);
    stranger["spec"]["hub"]["workspaceRef"]["namespace"] = json!(world.team);
    stranger["spec"]["resourceGroup"] = json!("platform-rg");
    let mut connection = world.connection_manifest();
    let scope = format!("/subscriptions/{}/resourceGroups/platform-rg", world.subscription);
    let grants = connection["spec"]["grants"].as_array_mut().expect("grants");
    grants.push(json!({"namespaces": {"names": [world.platform]}, "scope": scope, "verbs": ["create", "configure"]}));
    world.apply(connection).await;
    world.apply(stranger.clone()).await;
    let blind = world.until_reason(&stranger, "WorkspaceMissing").await;
    assert!(!condition(&blind, "Ready")["message"].to_string().contains(&world.workspace_id()));

    let mut rule = world.fqdn("pytorch", "*.pytorch.org");
    rule["spec"]["workspaceRef"] = json!({"name": "project"});
    world.apply(rule.clone()).await;
    let refused = world.until_reason(&rule, "IsolationModeForbids").await;
    assert!(condition(&refused, "Ready")["message"].to_string().contains("attach the rule to the hub"));
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_azure_does_not_take_back_is_refused_with_the_reason() {
    let world = world().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    let user = world.id("Microsoft.ManagedIdentity/userAssignedIdentities", "ml");
    workspace["spec"]["identity"] = json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user]});
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    world.azure.clear_requests();
    workspace["spec"]["identity"] = json!({"type": "SystemAssigned"});
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "NotChangeable").await;
    let message = condition(&refused, "Ready")["message"].to_string();
    assert!(message.contains("cannot do without any again"), "{message}");
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());

    // The system-assigned one can go, with its roles; that needs a word.
    workspace["spec"]["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": [user]});
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    let message = condition(&asked, "Ready")["message"].to_string();
    assert!(
        message.contains("loses every role") && message.contains("{door: IdentityChanged, value: UserAssigned}"),
        "{message}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_built_when_it_shall_be_and_spark_later() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"]["provision"] = json!({"when": "Never"});
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let never = world.until_reason(&workspace, "Secured").await;
    let said = condition(&never, "ManagedNetworkActive");
    assert_eq!((&said["status"], &said["reason"]), (&json!("False"), &json!("NotProvisioned")));
    assert!(said["message"].to_string().contains("provision.when: Never"), "{said}");
    let provisions = || world.written().into_iter().filter(|write| write.ends_with("/provisionManagedNetwork")).count();
    world.rest().await;
    assert_eq!(provisions(), 0);
    workspace["spec"]["managedNetwork"]["provision"] = json!({"when": "Immediately"});
    world.apply(workspace.clone()).await;
    world.until(&workspace, "the network", |object| ready(object, 2) && object["status"]["network"] == "Active").await;
    world.rest().await;
    assert_eq!(provisions(), 1);
    // With the first compute Azure builds the network, and what Spark needs is added when it is wanted.
    workspace["spec"]["managedNetwork"]["provision"] = json!({"when": "OnFirstCompute", "includeSpark": true});
    world.apply(workspace.clone()).await;
    world.until(&workspace, "Spark", |object| ready(object, 3)).await;
    assert_eq!(provisions(), 2);
    let status = world.in_azure("fraud").await["properties"]["managedNetwork"]["status"].clone();
    assert_eq!(status, json!({"status": "Active", "sparkReady": true}));
    operator.stop().await;
}
