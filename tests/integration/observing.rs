//! Whose a workspace is, and what is done with one that is not ours: looking, taking over, leaving alone.

use serde_json::{Value, json};

use crate::support::{World, condition};

/// A workspace that somebody else made, open to the internet.
async fn somebodys(world: &World) {
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "tags": {"cost": "42"}, "properties": {
        "storageAccount": world.id("Microsoft.Storage/storageAccounts", "frauddata"),
        "keyVault": world.id("Microsoft.KeyVault/vaults", "fraudkeys"),
        "applicationInsights": world.id("Microsoft.Insights/components", "fraudinsights"),
        "publicNetworkAccess": "Enabled",
        "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic"}}});
    world.shell(reqwest::Method::PUT, &world.workspace_id(), Some(&body)).await;
    world
        .eventually("the workspace is there", || async {
            world.in_azure("fraud").await["properties"]["provisioningState"] == "Succeeded"
        })
        .await;
    world.azure.clear_requests();
}

#[tokio::test(flavor = "multi_thread")]
async fn to_observe_writes_nothing_and_tells_what_would_be_written() {
    let world = World::new().await;
    somebodys(&world).await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["verbs"] = json!(["reach"]);
    world.apply(connection).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managementPolicy"] = json!("Observe");
    workspace["spec"]["tags"] = json!({"team": "fraud"});
    workspace["spec"]["managedNetwork"].as_object_mut().expect("a network").remove("provision");
    world.apply(workspace.clone()).await;
    let told = world.until_reason(&workspace, "Differs").await;
    let id = world.workspace_id();
    assert_eq!(
        told["status"]["wouldWrite"],
        json!([
            {"verb": "PATCH", "id": id, "field": "properties.publicNetworkAccess", "from": "Enabled", "to": "Disabled"},
            {"verb": "PATCH", "id": id, "field": "tags.team", "to": "fraud"},
        ])
    );
    assert_eq!(told["metadata"]["finalizers"], Value::Null, "what is only looked at is let go without a write");
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());

    // Somebody makes it so by hand.
    let tags = json!({"cost": "42", "team": "fraud"});
    world.patch_workspace(&json!({"tags": tags, "properties": {"publicNetworkAccess": "Disabled"}})).await;
    let same = world.until_reason(&workspace, "Matches").await;
    assert_eq!(same["status"]["wouldWrite"], Value::Null);
    // Rules are looked at, too.
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    world.apply(rule.clone()).await;
    let told = world
        .until(&workspace, "the rule that would be written", |object| {
            object["status"]["wouldWrite"][0]["to"].as_str().is_some_and(|to| to.contains("*.pytorch.org"))
        })
        .await;
    assert_eq!(told["status"]["wouldWrite"][0]["from"], Value::Null);
    world.until_reason(&rule, "Differs").await;
    world.azure.clear_requests();
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_is_claimed_and_nothing_else_is_written() {
    let world = World::new().await;
    somebodys(&world).await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["adoption"] = json!("IfMatching");
    workspace["spec"]["managedNetwork"].as_object_mut().expect("a network").remove("provision");
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "AdoptionRefused").await;
    let message = condition(&refused, "Ready")["message"].to_string();
    assert!(message.contains("properties.publicNetworkAccess is Enabled, declared Disabled"), "{message}");
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Disabled"}})).await;
    world.until_reason(&workspace, "Secured").await;
    let bodies: Vec<Value> = world.writes().into_iter().filter_map(|write| write.body).collect();
    assert_eq!(bodies.len(), 2, "somebody's change and the claim: {bodies:?}");
    assert_eq!(bodies[1].as_object().expect("an object").keys().collect::<Vec<_>>(), ["tags"]);
    assert_eq!(bodies[1]["tags"]["cost"], "42");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_is_left_as_it_is_and_can_still_be_deleted() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.secured_to_be_deleted().await;
    workspace["spec"]["suspend"] = json!(true);
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Suspended").await;
    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    assert_eq!(world.in_azure("fraud").await, Value::Null);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_the_second_leaves_the_workspace_alone_until_it_takes_over() {
    let first = World::new().await;
    let second = World::new().await;
    let one = first.operator().await;
    first.secured(&[]).await;
    first.azure.clear_requests();
    // The other cluster's objects: its own namespace, connection and installation, and the same Azure.
    let there = |mut manifest: Value| {
        let text = manifest.to_string().replace(&second.subscription, &first.subscription);
        manifest = serde_json::from_str(&text).expect("JSON");
        manifest
    };
    let mut connection = there(second.connection_manifest());
    connection["spec"]["customCloud"] = first.connection_manifest()["spec"]["customCloud"].clone();
    let mut workspace = there(second.workspace_manifest());
    workspace["spec"]["adoption"] = json!("Always");
    let two = second.operator().await;
    second.apply(connection).await;
    second.apply(workspace.clone()).await;
    let refused = second.until_reason(&workspace, "OwnedElsewhere").await;
    let owner = first.in_azure("fraud").await["tags"]["aml-operator.io-owner"].as_str().expect("a tag").to_owned();
    assert!(condition(&refused, "Ready")["message"].as_str().is_some_and(|message| message.contains(&owner)));
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    second.rest().await;
    assert_eq!(first.written(), Vec::<String>::new());

    let acknowledge = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    acknowledge.push(json!({"door": "Takeover", "value": owner}));
    second.apply(workspace.clone()).await;
    second.until_reason(&workspace, "Secured").await;
    // Whoever loses the tag stops, instead of fighting for it.
    first.until_reason(&first.workspace_manifest(), "OwnedElsewhere").await;
    first.azure.clear_requests();
    second.rest().await;
    assert_eq!(first.written(), Vec::<String>::new());
    one.stop().await;
    two.stop().await;
}
