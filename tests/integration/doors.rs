//! What costs money, destroys something or cannot be taken back waits for a word, and says what it costs.

use arm_simulator::{Leniency, Settings};
use serde_json::{Value, json};

use crate::support::{World, condition, settings};

fn message(object: &Value) -> String {
    condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

/// A world in which the workspace was deleted a moment ago, so that Azure keeps what it held; and the GUID that it had.
async fn deleted() -> (World, Value, String) {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.secured_to_be_deleted().await;
    let guid = world.read(&workspace).await.unwrap()["status"]["workspaceId"].as_str().unwrap().to_owned();
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    operator.stop().await;
    world.azure.clear_requests();
    (world, workspace, guid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namesake_stops_the_creation_until_it_is_recovered() {
    let (world, mut workspace, guid) = deleted().await;
    let operator = world.operator().await;
    world.apply(workspace.clone()).await;
    let stopped = world.until_reason(&workspace, "SoftDeletedNamesake").await;
    for word in ["Soft-deleted workspace exists", "onSoftDeleted: Recover or Purge"] {
        assert!(message(&stopped).contains(word), "{}", message(&stopped));
    }
    assert_eq!(condition(&stopped, "Reconciling")["status"], "True", "whoever purges it need not touch this object");
    workspace["spec"]["onSoftDeleted"] = json!("Recover");
    world.apply(workspace.clone()).await;
    let back = world.until_reason(&workspace, "Secured").await;
    assert_eq!(back["status"]["workspaceId"], guid, "it is the same workspace");
    assert!(!world.written().iter().any(|write| write.starts_with("DELETE")));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namesake_is_purged_only_after_a_word() {
    let (world, mut workspace, guid) = deleted().await;
    let operator = world.operator().await;
    workspace["spec"]["onSoftDeleted"] = json!("Purge");
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    for word in ["destroys its runs, models", "{door: PurgeWorkspace, value: fraud}"] {
        assert!(message(&asked).contains(word), "{}", message(&asked));
    }
    world.rest().await;
    assert!(!world.written().iter().any(|write| write.starts_with("DELETE")));
    let acknowledge = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    acknowledge.push(json!({"door": "PurgeWorkspace", "value": "fraud"}));
    world.apply(workspace.clone()).await;
    let fresh = world.until_reason(&workspace, "Secured").await;
    assert_ne!(fresh["status"]["workspaceId"], guid, "it is another workspace");
    assert_eq!(world.written().iter().filter(|write| write.starts_with("DELETE")).count(), 1);
    operator.stop().await;
}

/// A workspace that was there before, without a managed network and with a compute.
async fn open_workspace(world: &World) -> Value {
    let compute = format!("{}/computes/cluster", world.workspace_id());
    let storage = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let vault = world.id("Microsoft.KeyVault/vaults", "fraudkeys");
    let insights = world.id("Microsoft.Insights/components", "fraudinsights");
    let body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {
        "storageAccount": storage, "keyVault": vault, "applicationInsights": insights, "publicNetworkAccess": "Disabled"}});
    world.shell(reqwest::Method::PUT, &world.workspace_id(), Some(&body)).await;
    let cluster = json!({"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": {
        "vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}}}});
    world.shell(reqwest::Method::PUT, &compute, Some(&cluster)).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["adoption"] = json!("Always");
    workspace
}

#[tokio::test(flavor = "multi_thread")]
async fn computes_that_have_to_be_made_anew_are_named_before_anything_is_changed() {
    let world = World::with(Settings { isolation_with_computes: Leniency::Allow, ..settings() }).await;
    let mut workspace = open_workspace(&world).await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    for word in ["cluster", "deleted and created anew", "{door: RecreateComputes, value: AllowOnlyApprovedOutbound}"] {
        assert!(message(&asked).contains(word), "{}", message(&asked));
    }
    let acknowledge = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    acknowledge.push(json!({"door": "IsolationMode", "value": "AllowOnlyApprovedOutbound"}));
    world.apply(workspace.clone()).await;
    world
        .until(&workspace, "only the computes' door", |object| {
            message(object).contains("RecreateComputes") && !message(object).contains("door: IsolationMode")
        })
        .await;
    assert_eq!(world.in_azure("fraud").await["properties"]["managedNetwork"]["isolationMode"], "Disabled");
    let acknowledge = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    acknowledge.push(json!({"door": "RecreateComputes", "value": "AllowOnlyApprovedOutbound"}));
    world.apply(workspace.clone()).await;
    let done = world.until_reason(&workspace, "Secured").await;
    assert_eq!(done["status"]["isolationMode"], "AllowOnlyApprovedOutbound");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_back_to_no_isolation() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["egress"]["isolationModes"] = json!(["Disabled"]);
    world.apply(connection).await;
    let mut workspace = world.workspace_manifest();
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    world.azure.clear_requests();
    workspace["spec"]["managedNetwork"] = json!({"isolationMode": "Disabled"});
    workspace["spec"]["acknowledge"] = json!([{"door": "IsolationMode", "value": "Disabled"}]);
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "NotChangeable").await;
    assert!(message(&refused).contains("does not let it become Disabled"), "{}", message(&refused));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}
