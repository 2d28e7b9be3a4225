//! Online endpoints: closed by default, opened by a grant and a word, and never a hand on keys, deployments and traffic.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, condition};

impl World {
    /// An online endpoint of the workspace `fraud` with `spec`.
    pub(crate) fn endpoint_manifest(&self, name: &str, spec: &Value) -> Value {
        let mut spec = spec.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlOnlineEndpoint",
            "metadata": {"name": name, "namespace": self.team}, "spec": spec,
        })
    }

    /// ARM id of an endpoint.
    fn endpoint_id(&self, name: &str) -> String {
        format!("{}/onlineEndpoints/{name}", self.workspace_id())
    }

    /// An endpoint as ARM shows it; null if there is none.
    async fn endpoint_in_azure(&self, name: &str) -> Value {
        let (status, shown) = self.ask_azure(Method::GET, &self.endpoint_id(name), "2025-12-01", None).await;
        if status == 404 { Value::Null } else { shown }
    }

    /// Waits until ARM has done with `path`.
    async fn at_rest(&self, path: &str) {
        self.eventually("Azure is done", async || {
            let shown = self.ask_azure(Method::GET, path, "2025-12-01", None).await.1;
            shown["properties"]["provisioningState"] == "Succeeded"
        })
        .await;
    }

    /// Somebody deploys a model as `deployment`, and gives it all calls.
    async fn deploy(&self, endpoint: &str, deployment: &str) {
        let id = self.endpoint_id(endpoint);
        let body = json!({"location": "westeurope", "properties": {
            "endpointComputeType": "Managed", "model": "azureml:fraud:1", "instanceType": "Standard_DS3_v2",
        }});
        let path = format!("{id}/deployments/{deployment}");
        self.shell(Method::PUT, &path, Some(&body)).await;
        self.at_rest(&path).await;
        let shown = self.endpoint_in_azure(endpoint).await;
        let mut traffic = json!({"location": "westeurope", "tags": shown["tags"], "properties": {
            "authMode": shown["properties"]["authMode"], "publicNetworkAccess": shown["properties"]["publicNetworkAccess"],
        }});
        traffic["properties"]["traffic"] = json!({ deployment: 100 });
        self.shell(Method::PUT, &id, Some(&traffic)).await;
    }

    fn endpoint_writes(&self) -> Vec<String> {
        self.written().into_iter().filter(|written| written.contains("/onlineEndpoints/")).collect()
    }
}

fn closed() -> Value {
    json!({"publicNetworkAccess": "Disabled"})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_closed_and_its_deployments_are_judged_and_left_alone() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"]["provision"] = json!({"when": "OnFirstCompute"});
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    // The first endpoint has the network built, as a compute does.
    let score = world.endpoint_manifest("score", &closed());
    world.apply(score.clone()).await;
    let told = world.until_reason(&score, "Online").await;
    let written = world.written();
    let at = |what: &str| written.iter().position(|one| one.ends_with(what)).expect("it was written");
    assert!(at("provisionManagedNetwork") < at("onlineEndpoints/score"), "{written:?}");
    assert_eq!(world.endpoint_writes().len(), 1, "{written:?}");
    let shown = world.endpoint_in_azure("score").await;
    assert_eq!(
        (&shown["properties"]["publicNetworkAccess"], &shown["properties"]["authMode"]),
        (&json!("Disabled"), &json!("AADToken"))
    );
    assert_eq!(condition(&told, "Isolated")["reason"], "InManagedNetwork");
    assert_eq!(condition(&told, "Serving")["reason"], "NoDeployments");

    world.deploy("score", "blue").await;
    let serves = |object: &Value| condition(object, "Serving")["reason"] == "TrafficServed";
    let told = world.until(&score, "it serves", serves).await;
    assert_eq!(told["status"]["deployments"][0]["name"], "blue");
    assert_eq!(told["status"]["deployments"][0]["traffic"], 100);
    world.until_reason(&score, "Online").await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "at rest nothing is written");

    // Somebody opens it by hand: it is closed again, and the calls go where they went.
    let mut opened = world.endpoint_in_azure("score").await;
    opened["properties"]["publicNetworkAccess"] = json!("Enabled");
    for own in ["provisioningState", "scoringUri", "swaggerUri"] {
        opened["properties"].as_object_mut().expect("properties").remove(own);
    }
    let body = json!({"location": "westeurope", "tags": opened["tags"], "properties": opened["properties"]});
    world.shell(Method::PUT, &world.endpoint_id("score"), Some(&body)).await;
    let told = world.until(&score, "drift", |object| object["status"]["drift"][0].is_object()).await;
    assert_eq!(told["status"]["drift"][0]["field"], "properties.publicNetworkAccess");
    world
        .until(&score, "closed", |object| {
            object["status"]["publicNetworkAccess"] == "Disabled" && condition(object, "Ready")["reason"] == "Online"
        })
        .await;
    let shown = world.endpoint_in_azure("score").await;
    assert_eq!(shown["properties"]["traffic"], json!({"blue": 100}));

    // Its deployments are somebody's, and not taken away with the object.
    world.delete(&score).await;
    let held = world.until_reason(&score, "InUse").await;
    assert!(condition(&held, "Ready")["message"].as_str().is_some_and(|message| message.contains("blue")));
    let own = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"});
    let silent = json!({"location": "westeurope", "tags": shown["tags"], "properties": own});
    world.shell(Method::PUT, &world.endpoint_id("score"), Some(&silent)).await;
    world.at_rest(&world.endpoint_id("score")).await;
    world.shell(Method::DELETE, &format!("{}/deployments/blue", world.endpoint_id("score")), None).await;
    world.until_gone(&score).await;
    assert_eq!(world.endpoint_in_azure("score").await, Value::Null);
    let asked = world.azure.requests().into_iter().map(|request| request.path.to_lowercase());
    let keys = asked.filter(|path| {
        ["listkeys", "regeneratekeys", "/token"].iter().any(|end| path.ends_with(end))
            && path.contains("onlineendpoints")
    });
    assert_eq!(keys.collect::<Vec<_>>(), Vec::<String>::new(), "keys are never read");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_opened_by_a_grant_and_a_word() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let mut open = world.endpoint_manifest("open", &json!({"publicNetworkAccess": "Enabled", "authMode": "Key"}));
    world.apply(open.clone()).await;
    world.until_reason(&open, "EgressNotAllowed").await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["egress"]["publicNetworkAccess"] = json!("Enabled");
    world.apply(connection).await;
    let asked = world.until_reason(&open, "AcknowledgementRequired").await;
    assert_eq!(condition(&asked, "Stalled")["status"], "True");
    assert_eq!(world.endpoint_writes(), Vec::<String>::new());
    open["spec"]["acknowledge"] = json!([{"door": "PublicNetworkAccess", "value": "open"}]);
    world.apply(open.clone()).await;
    let told = world.until_reason(&open, "Online").await;
    assert_eq!(condition(&told, "Isolated")["reason"], "PublicAccess");
    assert_eq!(
        (&told["status"]["publicNetworkAccess"], &told["status"]["authMode"]),
        (&json!("Enabled"), &json!("Key"))
    );

    // What somebody else made is left alone, and then taken over with nothing but its tag changed.
    let body =
        json!({"location": "westeurope", "properties": {"authMode": "AADToken", "publicNetworkAccess": "Disabled"}});
    world.shell(Method::PUT, &world.endpoint_id("theirs"), Some(&body)).await;
    let mut theirs = world.endpoint_manifest("theirs", &closed());
    world.apply(theirs.clone()).await;
    world.until_reason(&theirs, "AdoptionRefused").await;
    world.azure.clear_requests();
    theirs["spec"]["adoption"] = json!("IfMatching");
    world.apply(theirs.clone()).await;
    world.until_reason(&theirs, "Online").await;
    let path = "Microsoft.MachineLearningServices/workspaces/fraud/onlineEndpoints/theirs";
    assert_eq!(world.endpoint_writes(), [format!("PATCH {path}")]);
    operator.stop().await;
}
