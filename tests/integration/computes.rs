//! Computes: closed by default, in the network their workspace says, and gone with their object.

use serde_json::{Value, json};

use crate::support::{World, condition};

impl World {
    /// A compute of the workspace `fraud` with `spec`.
    pub(crate) fn compute_manifest(&self, name: &str, spec: &Value) -> Value {
        let mut spec = spec.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlCompute",
            "metadata": {"name": name, "namespace": self.team}, "spec": spec,
        })
    }

    /// A compute as ARM shows it; null if there is none.
    async fn compute_in_azure(&self, name: &str) -> Value {
        let path = format!("{}/computes/{name}", self.workspace_id());
        let (status, shown) = self.ask_azure(reqwest::Method::GET, &path, "2025-12-01", None).await;
        if status == 404 { Value::Null } else { shown }
    }

    /// How often `request` was sent.
    fn count(&self, request: &str) -> usize {
        self.written().iter().filter(|written| written.ends_with(request)).count()
    }
}

fn instance() -> Value {
    json!({"instance": {"vmSize": "Standard_DS3_v2", "idleTimeBeforeShutdown": "PT60M"}})
}

fn cluster() -> Value {
    json!({"cluster": {"vmSize": "Standard_DS3_v2", "maxNodes": 2}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_compute_has_the_network_built_and_comes_up_closed() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"]["provision"] = json!({"when": "OnFirstCompute"});
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    world.rest().await;
    assert_eq!(world.count("provisionManagedNetwork"), 0, "nobody needs it yet");
    let (dev, gpu) = (world.compute_manifest("dev", &instance()), world.compute_manifest("gpu", &cluster()));
    world.apply(dev.clone()).await;
    world.apply(gpu.clone()).await;
    let ready = world.until_reason(&dev, "Running").await;
    world.until_reason(&gpu, "Running").await;
    assert_eq!(ready["status"]["state"], "Running");
    assert_eq!(ready["status"]["type"], "ComputeInstance");
    assert_eq!(condition(&ready, "Isolated")["reason"], "InManagedNetwork");
    let shown = world.compute_in_azure("dev").await;
    let own = &shown["properties"]["properties"];
    assert_eq!(own["enableNodePublicIp"], false);
    assert_eq!(own["sshSettings"]["sshPublicAccess"], "Disabled");
    assert_eq!(shown["properties"]["disableLocalAuth"], true);
    let written = world.written();
    let at = |what: &str| written.iter().position(|one| one.ends_with(what)).expect("it was written");
    assert!(at("provisionManagedNetwork") < at("computes/dev"), "{written:?}");
    assert_eq!(
        (world.count("provisionManagedNetwork"), world.count("computes/dev"), world.count("computes/gpu")),
        (1, 1, 1)
    );
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "at rest nothing is written");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_follows_its_power_and_a_cluster_its_bounds() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let mut dev = world.compute_manifest("dev", &instance());
    let gpu = world.compute_manifest("gpu", &cluster());
    world.apply(gpu.clone()).await;
    dev["spec"]["power"] = json!({"state": "Running", "restartAt": "monday"});
    world.apply(dev.clone()).await;
    world.until_reason(&dev, "Running").await;
    world.until_reason(&gpu, "Running").await;
    assert_eq!(world.count("/restart"), 0, "what is new is not restarted");
    dev["spec"]["power"]["restartAt"] = json!("tuesday");
    world.apply(dev.clone()).await;
    world.until(&dev, "restarted", |object| object["status"]["restartedAt"] == "tuesday").await;
    world.until_reason(&dev, "Running").await;
    dev["spec"]["power"]["state"] = json!("Stopped");
    world.apply(dev.clone()).await;
    world.until_reason(&dev, "Stopped").await;
    world.rest().await;
    assert_eq!((world.count("/restart"), world.count("/stop"), world.count("/start")), (1, 1, 0));

    // Somebody gives the cluster more nodes by hand.
    let more = json!({"properties": {"properties": {"scaleSettings": {"minNodeCount": 0, "maxNodeCount": 50}}}});
    let path = format!("{}/computes/gpu", world.workspace_id());
    world.shell(reqwest::Method::PATCH, &path, Some(&more)).await;
    let told = world.until(&gpu, "drift", |object| object["status"]["drift"][0]["found"] == "50").await;
    assert_eq!(told["status"]["drift"][0]["field"], "properties.properties.scaleSettings.maxNodeCount");
    world
        .until(&gpu, "mended", |object| {
            object["status"]["nodes"] == "0-2" && condition(object, "Ready")["reason"] == "Running"
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compute_goes_with_its_object_and_stays_with_a_workspace_that_is_kept() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let (dev, gpu) = (world.compute_manifest("dev", &instance()), world.compute_manifest("gpu", &cluster()));
    for compute in [&dev, &gpu] {
        world.apply(compute.clone()).await;
        world.until_reason(compute, "Running").await;
    }
    world.delete(&dev).await;
    world.until_gone(&dev).await;
    assert_eq!(world.compute_in_azure("dev").await, Value::Null);
    world.azure.clear_requests();
    world.delete(&world.workspace_manifest()).await;
    world.delete(&gpu).await;
    world.until_gone(&gpu).await;
    assert_eq!(world.written(), Vec::<String>::new(), "the workspace is kept, and what is in it");
    assert_ne!(world.compute_in_azure("gpu").await, Value::Null);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_open_a_compute_or_cannot_be_is_said_before_azure_is_asked() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    world.azure.clear_requests();
    let mut open = cluster();
    open["network"] = json!({"enableNodePublicIp": true});
    let mut elsewhere = cluster();
    elsewhere["location"] = json!("northeurope");
    let cases = [("open", open, "AcknowledgementRequired"), ("elsewhere", elsewhere, "Invalid")];
    for (name, spec, reason) in cases {
        let compute = world.compute_manifest(name, &spec);
        world.apply(compute.clone()).await;
        let refused = world.until_reason(&compute, reason).await;
        assert_eq!(condition(&refused, "Stalled")["status"], "True");
    }
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}
