//! Datastores: read by identity or with a credential that nobody ever sees, and honest about whether anything leads to them.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use aml_operator::azure::authorization::APPROVER_ROLE;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{OPERATOR_NAMESPACE, World, condition, control_plane};

impl World {
    /// A datastore of the workspace `fraud` with `spec`.
    pub(crate) fn datastore_manifest(&self, name: &str, spec: &Value) -> Value {
        let mut spec = spec.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlDatastore",
            "metadata": {"name": name, "namespace": self.team}, "spec": spec,
        })
    }

    /// The container `raw` of the storage account `account`.
    pub(crate) fn blob(&self, account: &str) -> Value {
        let account = self.id("Microsoft.Storage/storageAccounts", account);
        json!({"blob": {"storageAccount": {"resourceId": account}, "containerName": "raw"}})
    }

    /// The same, read with the key in the Secret `lake-key`.
    fn keyed(&self) -> Value {
        let mut spec = self.blob("lake");
        spec["credential"] = json!({"accountKey": {"secretRef": {"name": "lake-key"}}});
        self.datastore_manifest("lake", &spec)
    }

    /// A datastore as ARM shows it; null if there is none.
    async fn datastore_in_azure(&self, name: &str) -> Value {
        let path = format!("{}/datastores/{name}", self.workspace_id());
        let (status, shown) = self.ask_azure(reqwest::Method::GET, &path, "2025-12-01", None).await;
        if status == 404 { Value::Null } else { shown }
    }

    /// The key that ARM keeps for the datastore `lake`, as somebody with the right to would read it.
    async fn key_in_azure(&self) -> Value {
        let path = format!("{}/datastores/lake/listSecrets", self.workspace_id());
        self.ask_azure(reqwest::Method::POST, &path, "2025-12-01", None).await.1["key"].clone()
    }

    /// Puts the Secret `lake-key` in place, of `type_`, agreeing to be used for `datastore`.
    async fn hold(&self, type_: &str, datastore: &str, key: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.kube.clone(), &self.team);
        let _ = secrets.delete("lake-key", &Default::default()).await;
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "lake-key", "annotations": {
                "aml-operator.io/workspace": "fraud", "aml-operator.io/datastore": datastore,
            }},
            "type": type_, "stringData": {"accountKey": key},
        }))
        .expect("a Secret");
        secrets.create(&PostParams::default(), &secret).await.expect("the Secret is created");
    }

    /// Replaces the key in the Secret.
    async fn rotate(&self, key: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.kube.clone(), &self.team);
        let patch = json!({"stringData": {"accountKey": key}});
        secrets.patch("lake-key", &Default::default(), &kube::api::Patch::Merge(&patch)).await.expect("it is taken");
    }

    /// Lets the operator read `secret` of the team, as the chart does.
    async fn allow_secret(&self, secret: &str) {
        let chart = format!("{}/charts/aml-operator", env!("CARGO_MANIFEST_DIR"));
        let entry = format!(
            "datastoreCredentials.namespaces[0].name={},datastoreCredentials.namespaces[0].secrets={{{secret}}}",
            self.team
        );
        let only = "templates/datastore-credentials.yaml";
        let args = ["template", "aml-operator", &chart, "-n", OPERATOR_NAMESPACE, "--set", &entry, "--show-only", only];
        let rendered = control_plane().await.helm(&args).await.expect("the chart renders");
        control_plane().await.kubectl_with_input(&["apply", "-f", "-"], &rendered).await.expect("it is taken");
    }

    fn datastore_writes(&self) -> Vec<String> {
        self.written().into_iter().filter(|written| written.contains("/datastores/")).collect()
    }
}

const TYPE: &str = "aml-operator.io/datastore-credential";

#[tokio::test(flavor = "multi_thread")]
async fn a_datastore_is_read_by_identity_and_tells_the_rule_that_leads_to_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    let own = world.datastore_manifest("own", &world.blob("frauddata"));
    let account = world.lake();
    let lake = json!({"adlsGen2": {"storageAccount": {"resourceId": account}, "filesystem": "raw"}, "description": "the lake"});
    let mut lake = world.datastore_manifest("lake", &lake);
    world.secured(&[]).await;
    for datastore in [&own, &lake] {
        world.apply(datastore.clone()).await;
        world.until_reason(datastore, "Registered").await;
    }
    let shown = world.datastore_in_azure("lake").await;
    let properties = &shown["properties"];
    assert_eq!(properties["credentials"], json!({"credentialsType": "None"}));
    assert_eq!((&properties["accountName"], &properties["filesystem"]), (&json!("lake"), &json!("raw")));
    // The service makes a rule to the workspace's own account; nobody has made one to the lake.
    let reaches = |object: &Value, reason: &str| condition(object, "Reachable")["reason"] == reason;
    world.until(&own, "reachable", |object| reaches(object, "PrivateEndpoint")).await;
    let told = world.until(&lake, "no rule", |object| reaches(object, "NoRule")).await;
    assert_eq!((&told["status"]["target"], &told["status"]["credentialsType"]), (&json!("lake/raw"), &json!("None")));
    let rule: Value = serde_saphyr::from_str(told["status"]["suggestedRule"].as_str().expect("a rule")).expect("YAML");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "ApproverRoleMissing").await;
    let waits = world.until(&lake, "a rule that waits", |object| reaches(object, "RuleNotActive")).await;
    assert_eq!(waits["status"]["suggestedRule"], Value::Null);
    world.grant(&world.lake(), APPROVER_ROLE, &world.principal().await);
    world.until_reason(&rule, "Active").await;
    world.until(&lake, "reachable", |object| reaches(object, "PrivateEndpoint")).await;

    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "at rest nothing is written");

    // What somebody changes by hand is put right and told; another place takes a word.
    let mut changed = shown.clone();
    changed["properties"]["description"] = json!("somebody else's");
    let body = json!({"properties": changed["properties"]});
    world.shell(reqwest::Method::PUT, &format!("{}/datastores/lake", world.workspace_id()), Some(&body)).await;
    let told = world.until(&lake, "drift", |object| object["status"]["drift"][0].is_object()).await;
    assert_eq!(told["status"]["drift"][0]["field"], "properties.description");
    world
        .eventually("it is put right", async || {
            world.datastore_in_azure("lake").await["properties"]["description"] == "the lake"
        })
        .await;
    lake["spec"]["adlsGen2"]["filesystem"] = json!("curated");
    world.apply(lake.clone()).await;
    world.until_reason(&lake, "NotChangeable").await;
    lake["spec"]["recreate"] = json!("Allowed");
    world.apply(lake.clone()).await;
    world.until(&lake, "moved", |object| object["status"]["target"] == "lake/curated").await;
    world.until_reason(&lake, "Registered").await;
    assert_eq!(world.datastore_in_azure("lake").await["properties"]["filesystem"], "curated");

    world.delete(&lake).await;
    world.until_gone(&lake).await;
    assert_eq!(world.datastore_in_azure("lake").await, Value::Null);
    assert_ne!(world.datastore_in_azure("own").await, Value::Null);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_under_its_id_is_not_used_whoever_has_its_name() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let nowhere = world.datastore_manifest("nowhere", &world.blob("somebodyelses"));
    world.apply(nowhere.clone()).await;
    world.until_reason(&nowhere, "ParentMissing").await;
    assert_eq!(world.datastore_writes(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_used_only_if_it_may_be_read_is_made_for_it_and_agrees() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let lake = world.keyed();
    world.apply(lake.clone()).await;
    let message = |object: &Value| condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    let refused = world.until_reason(&lake, "CredentialNotReadable").await;
    assert!(message(&refused).contains("datastoreCredentials"), "{}", message(&refused));
    world.allow_secret("lake-key").await;
    world.until(&lake, "it is missing", |object| message(object).contains("there is no Secret lake-key")).await;
    world.hold("Opaque", "lake", "opaque").await;
    world.until(&lake, "the type", |object| message(object).contains("is of the type \"Opaque\"")).await;
    world.hold(TYPE, "pond", "ponds").await;
    world.until(&lake, "the name", |object| message(object).contains("does not agree to be used here")).await;
    assert_eq!(world.datastore_writes(), Vec::<String>::new());
    world.hold(TYPE, "lake", "the-lakes-own").await;
    world.until_reason(&lake, "Registered").await;
    assert_eq!(world.key_in_azure().await, "the-lakes-own");

    // Another Secret of the team stays out of reach of the chart's role.
    let mut other = world.keyed();
    other["metadata"]["name"] = json!("other");
    other["spec"]["credential"]["accountKey"]["secretRef"]["name"] = json!("other-key");
    world.apply(other.clone()).await;
    world.until_reason(&other, "CredentialNotReadable").await;

    // A Secret that goes leaves Azure as it is.
    world.azure.clear_requests();
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), &world.team);
    secrets.delete("lake-key", &Default::default()).await.expect("it is deleted");
    world.until_reason(&lake, "CredentialMissing").await;
    assert_eq!(world.datastore_writes(), Vec::<String>::new());
    operator.stop().await;
}

/// Log lines of this test's thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything of this world that people can read: its objects, their events, what Azure shows, and what it logs of requests.
async fn all_that_can_be_read(world: &World) -> String {
    let mut all = String::new();
    for kind in ["AmlDatastore", "AmlWorkspace", "AzureConnection"] {
        let namespace = (kind != "AzureConnection").then_some(world.team.as_str());
        let listed = world.api(kind, namespace).list(&ListParams::default()).await.expect("Kubernetes answers");
        all += &serde_json::to_string(&listed).expect("JSON");
    }
    let events: Api<Event> = Api::namespaced(world.kube.clone(), &world.team);
    let events = events.list(&ListParams::default()).await.expect("Kubernetes answers");
    assert!(events.items.iter().any(|event| event.reason.as_deref() == Some("Written")), "there are events");
    all += &serde_json::to_string(&events).expect("JSON");
    all += &format!("{:?}", world.azure.requests());
    all += &world.datastore_in_azure("lake").await.to_string();
    all
}

// One thread, so that every line of the operator passes this test's subscriber.
#[tokio::test]
async fn a_credential_is_followed_sent_once_and_shown_nowhere() {
    const FIRST: &str = "first-hush-c29tZXRoaW5n";
    const SECOND: &str = "second-hush-c29tZXRoaW5n";
    let lines = Lines::default();
    let filter =
        tracing_subscriber::EnvFilter::new("aml_operator=trace,audit=info,kube=debug,reqwest=debug,hyper=info");
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(lines.clone()).finish();
    // With a single subscriber, tracing asks only the thread that comes by first whether anybody listens; other tests' threads have nobody.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _here = tracing::subscriber::set_default(subscriber);

    let world = World::new().await;
    world.allow_secret("lake-key").await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    world.hold(TYPE, "lake", FIRST).await;
    let lake = world.keyed();
    let mut observed = lake.clone();
    observed["spec"]["managementPolicy"] = json!("Observe");
    world.apply(observed).await;
    let would = world.until(&lake, "what it would do", |object| object["status"]["wouldWrite"][0].is_object()).await;
    let would = would["status"]["wouldWrite"].to_string();
    assert!(would.contains("/datastores/lake") && would.contains("AccountKey"), "{would}");
    world.apply(lake.clone()).await;
    world.until_reason(&lake, "Registered").await;
    world.until(&lake, "watched", |object| condition(object, "CredentialFollowed")["reason"] == "Watched").await;
    assert_eq!(world.key_in_azure().await, FIRST);
    assert_eq!(
        world.datastore_writes(),
        [
            "PUT Microsoft.MachineLearningServices/workspaces/fraud/datastores/lake",
            "POST Microsoft.MachineLearningServices/workspaces/fraud/datastores/lake/listSecrets"
        ]
    );

    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.datastore_writes(), Vec::<String>::new(), "what is known to be there is not sent again");
    world.rotate(SECOND).await;
    world.eventually("the new one is sent", async || world.key_in_azure().await == SECOND).await;
    world.until_reason(&lake, "Registered").await;
    let puts = || world.datastore_writes().into_iter().filter(|written| written.starts_with("PUT")).count();
    assert_eq!(puts(), 1);

    // A process that knows nothing, and no status to learn from.
    operator.stop().await;
    world.azure.clear_requests();
    world.overwrite_status(&lake, &json!({})).await;
    let operator = world.operator().await;
    world.until_reason(&lake, "Registered").await;
    world.rest().await;
    assert_eq!(world.datastore_writes(), Vec::<String>::new(), "a restart sends nothing");
    let all = all_that_can_be_read(&world).await;
    operator.stop().await;
    let logged = String::from_utf8(lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text");
    let sent = |line: &&str| line.contains("audit") && line.contains("PUT") && line.contains("/datastores/lake");
    assert_eq!(logged.lines().filter(sent).count(), 2, "both writes are in the audit log");
    for secret in [FIRST, SECOND] {
        assert!(!logged.contains(secret), "a log line shows it");
        assert!(!all.contains(secret), "it can be read");
    }
}
