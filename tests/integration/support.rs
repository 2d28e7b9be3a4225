//! A world for one test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aml_operator::azure::throttle::{Throttle, ThrottlePace};
use aml_operator::azure::transport::{HttpPace, Transport};
use aml_operator::effects::Seam;
use aml_operator::operator::Operator;
use aml_operator::runtime::context::AzureParts;
use aml_operator::runtime::guard::Watchman;
use aml_operator::runtime::kube_client;
use aml_operator::runtime::pace::Pace;
use aml_operator::telemetry::{Metrics, Readiness};
use arm_simulator::{OperationSeconds, RequestEntry, Seed, Settings, Simulator};
use control_plane::ControlPlane;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[path = "../../simulator/tests/contract/mod.rs"]
mod contract;

/// The tenant of every test.
pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
/// The operator's client id and object id in it.
pub(crate) const CLIENT: &str = "44444444-4444-4444-4444-444444444444";
pub(crate) const OBJECT: &str = "22222222-2222-2222-2222-222222222222";
/// A subscription that is nobody's here.
pub(crate) const FOREIGN: &str = "99999999-0000-0000-0000-00000000000f";
/// The namespace the chart is installed in.
pub(crate) const OPERATOR_NAMESPACE: &str = "aml-operator";
/// How long something may take before the test gives up: generous, because it is no claim.
const PATIENCE: Duration = Duration::from_secs(150);

/// The cluster of the run, with the chart installed.
pub(crate) struct Shared {
    control_plane: ControlPlane,
    /// What the operator's own service account reaches it with.
    pub(crate) operator_kubeconfig: String,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(1);

/// Starts the cluster, the first time.
pub(crate) async fn shared() -> &'static Shared {
    SHARED
        .get_or_init(|| async {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let control_plane = ControlPlane::start().await.expect("the control plane starts");
            let root = env!("CARGO_MANIFEST_DIR");
            let chart = format!("{root}/charts/aml-operator");
            control_plane.kubectl(&["create", "namespace", OPERATOR_NAMESPACE]).await.expect("a namespace");
            let rendered = control_plane
                .helm(&["template", "aml-operator", &chart, "--namespace", OPERATOR_NAMESPACE])
                .await
                .expect("the chart renders");
            control_plane
                .kubectl_with_input(
                    &["apply", "--server-side", "--namespace", OPERATOR_NAMESPACE, "-f", "-"],
                    &rendered,
                )
                .await
                .expect("the API server takes the chart");
            control_plane
                .kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])
                .await
                .expect("the definitions are established");
            let operator_kubeconfig = control_plane
                .service_account_kubeconfig(OPERATOR_NAMESPACE, "aml-operator")
                .await
                .expect("the chart's service account");
            // Remembered before any test counts what an operator writes: all worlds share the admission policy.
            let operator = kube::Client::try_from(client_of(&operator_kubeconfig).await).expect("a client");
            Watchman::new(operator, OPERATOR_NAMESPACE).look().await.expect("the admission policy is seen");
            Shared { control_plane, operator_kubeconfig }
        })
        .await
}

async fn client_of(kubeconfig: &str) -> kube::Config {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a configuration")
}

/// Kubernetes, as the user `name` reaches it.
pub(crate) async fn user(name: &str) -> kube::Client {
    let mut config = client_of(shared().await.control_plane.kubeconfig_yaml()).await;
    config.auth_info.impersonate = Some(name.into());
    kube::Client::try_from(config).expect("a client")
}

/// The control plane of the run.
pub(crate) async fn control_plane() -> &'static ControlPlane {
    &shared().await.control_plane
}

/// An operator in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    /// Its metrics.
    pub(crate) metrics: Metrics,
}

impl Running {
    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let stopped = tokio::time::timeout(PATIENCE, self.task).await;
        stopped.expect("the operator stops").expect("the operator does not panic");
    }

    /// Drops it where it stands.
    pub(crate) async fn cut(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A world for one test.
pub(crate) struct World {
    /// Marks everything of this test.
    pub(crate) mark: String,
    /// The application team's namespace.
    pub(crate) team: String,
    /// The platform team's namespace.
    pub(crate) platform: String,
    /// Name of the AzureConnection.
    pub(crate) connection: String,
    /// The test's own subscription.
    pub(crate) subscription: String,
    /// Azure.
    pub(crate) azure: Simulator,
    /// Kubernetes, as an administrator.
    pub(crate) kube: kube::Client,
    /// The operator's pace.
    pub(crate) pace: Pace,
    /// How its governor behaves: it keeps no buckets unless a test is about them.
    pub(crate) throttle: ThrottlePace,
}

/// Operations that take simulated time, at a pace that tests can wait for.
pub(crate) fn settings() -> Settings {
    // Tests count requests, so that none may be forgotten.
    Settings {
        operation_seconds: OperationSeconds::all(0.05),
        retry_after_ms: Some(10),
        log_megabytes: 1024,
        ..Settings::fast()
    }
}

impl World {
    /// A world with the usual resources in it.
    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    /// A world whose Azure behaves as `settings` say.
    pub(crate) async fn with(settings: Settings) -> Self {
        Self::seeded(settings, |_, _| {}).await
    }

    /// A world in which `change` decides, given its subscription, what there is.
    pub(crate) async fn seeded(settings: Settings, change: impl FnOnce(&mut Seed, &str)) -> Self {
        let shared = shared().await;
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("t{}-{number}", std::process::id());
        let subscription = format!("00000000-0000-0000-{:04x}-{number:012x}", std::process::id() & 0xffff);
        let mut there = seed(&subscription);
        change(&mut there, &subscription);
        let azure = Simulator::start(there, settings).await.expect("the simulator starts");
        let kube = kube::Client::try_from(client_of(shared.control_plane.kubeconfig_yaml()).await).expect("a client");
        let pace = Pace {
            resync: Duration::from_millis(500),
            // What takes long on a busy machine is not late.
            usual_change: Pace::default().usual_change,
            usual_building: Pace::default().usual_building,
            ..Pace::default().scaled(0.002)
        };
        let world = Self {
            team: format!("team-{mark}"),
            platform: format!("platform-{mark}"),
            connection: format!("contoso-{mark}"),
            mark,
            subscription,
            azure,
            kube,
            pace,
            throttle: ThrottlePace { buckets: false, ..ThrottlePace::default() },
        };
        for namespace in [&world.team, &world.platform] {
            world.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        }
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": format!("azure-{}", world.mark)}, "stringData": {"secret": "not-a-secret"}
        }))
        .expect("a Secret");
        let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), OPERATOR_NAMESPACE);
        secrets.create(&PostParams::default(), &secret).await.expect("the Secret is created");
        world
    }

    /// ARM id of a resource in the test's group.
    pub(crate) fn id(&self, type_: &str, name: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/rg/providers/{type_}/{name}", self.subscription)
    }

    /// ARM id of the storage account that rules and policies lead to.
    pub(crate) fn lake(&self) -> String {
        self.id("Microsoft.Storage/storageAccounts", "lake")
    }

    /// ARM id of the workspace.
    pub(crate) fn workspace_id(&self) -> String {
        self.id("Microsoft.MachineLearningServices/workspaces", "fraud")
    }

    /// The connection, with every grant that the tests need.
    pub(crate) fn connection_manifest(&self) -> Value {
        let group = format!("/subscriptions/{}/resourceGroups/rg", self.subscription);
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AzureConnection",
            "metadata": {"name": self.connection},
            "spec": {
                "tenantId": TENANT,
                "cloud": "Custom",
                "customCloud": {
                    "resourceManagerEndpoint": self.azure.endpoint(),
                    "resourceManagerAudience": "https://management.azure.com",
                    "authorityHost": self.azure.endpoint(),
                    "synapseEndpointTemplate": format!("{}/synapse/{{workspace}}", self.azure.endpoint()),
                    "caBundle": self.azure.ca_pem(),
                },
                "credential": {"clientSecret": {"clientId": CLIENT, "secretRef": {"name": format!("azure-{}", self.mark), "key": "secret"}}},
                "ownSubscriptions": [self.subscription],
                "grants": [
                    {"namespaces": {"names": [self.team]}, "scope": group, "verbs": ["create", "configure", "reach", "delete"],
                     "egress": {"fqdns": ["*.pytorch.org", "pypi.org", "a.example.org", "b.example.org", "c.example.org"],
                                "serviceTags": ["AzureMonitor"], "isolationModes": ["AllowInternetOutbound"]}},
                    {"namespaces": {"names": [self.platform]}, "scope": self.lake(), "verbs": ["approve"]},
                ],
            },
        })
    }

    /// The workspace `fraud`, isolated and provisioned at once.
    pub(crate) fn workspace_manifest(&self) -> Value {
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace",
            "metadata": {"name": "fraud", "namespace": self.team},
            "spec": {
                "connectionRef": {"name": self.connection},
                "subscriptionId": self.subscription, "resourceGroup": "rg", "location": "westeurope",
                "identity": {"type": "SystemAssigned"},
                "publicNetworkAccess": "Disabled",
                "managedNetwork": {
                    "isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic",
                    "provision": {"when": "Immediately", "includeSpark": true},
                },
                "acknowledge": [{"door": "AzureFirewall", "value": "Basic"}],
                "associatedResources": {
                    "storageAccount": {"resourceId": self.id("Microsoft.Storage/storageAccounts", "frauddata")},
                    "keyVault": {"resourceId": self.id("Microsoft.KeyVault/vaults", "fraudkeys")},
                    "applicationInsights": {"resourceId": self.id("Microsoft.Insights/components", "fraudinsights")},
                },
            },
        })
    }

    /// A rule of the workspace `fraud` with `destination` in its spec.
    pub(crate) fn rule_manifest(&self, name: &str, destination: &Value) -> Value {
        let mut spec = destination.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
            "metadata": {"name": name, "namespace": self.team}, "spec": spec,
        })
    }

    /// An FQDN rule.
    pub(crate) fn fqdn(&self, name: &str, host: &str) -> Value {
        self.rule_manifest(name, &json!({ "fqdn": host }))
    }

    /// A private-endpoint rule to the lake.
    pub(crate) fn lake_rule(&self, name: &str) -> Value {
        self.rule_manifest(name, &json!({"privateEndpoint": {"resourceId": self.lake(), "subresource": "dfs"}}))
    }

    /// The policy that lets the hub's endpoints at the lake.
    pub(crate) fn approval_manifest(&self) -> Value {
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "PrivateEndpointApproval",
            "metadata": {"name": "lake", "namespace": self.platform},
            "spec": {
                "connectionRef": {"name": self.connection},
                "target": {"resourceId": self.lake()},
                "allow": [{"privateEndpoint": {"subscriptionId": self.subscription, "resourceGroup": "hub", "namePattern": "lake-*"}}],
            },
        })
    }

    /// ARM id of a private endpoint.
    pub(crate) fn endpoint(subscription: &str, group: &str, name: &str) -> String {
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    /// Somebody raises a connection request on `target`.
    pub(crate) fn knock(&self, target: &str, endpoint: &str) {
        let seed = json!({"connections": [{"target": target, "privateEndpointId": endpoint, "status": "Pending", "description": "please"}]});
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the connection is raised");
    }

    /// Gives `principal` the role `role` on `scope`.
    pub(crate) fn grant(&self, scope: &str, role: &str, principal: &str) {
        let seed = json!({"roleAssignments": [{"scope": scope, "role": role, "principalId": principal}]});
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the role is assigned");
    }

    /// The API of `kind`.
    pub(crate) fn api(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, version) = match kind {
            "Namespace" | "Secret" | "ConfigMap" => ("", "v1"),
            _ => ("aml-operator.io", "v1alpha1"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.kube.clone(), namespace, &resource),
            None => Api::all_with(self.kube.clone(), &resource),
        }
    }

    fn api_of(&self, manifest: &Value) -> Api<DynamicObject> {
        self.api(manifest["kind"].as_str().unwrap_or_default(), manifest["metadata"]["namespace"].as_str())
    }

    /// Applies `manifest` as a user would, marked as this test's.
    pub(crate) async fn try_apply(&self, mut manifest: Value) -> Result<(), kube::Error> {
        manifest["metadata"]["labels"]["test"] = self.mark.as_str().into();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let params = PatchParams::apply("user").force();
        self.api_of(&manifest).patch(&name, &params, &Patch::Apply(&manifest)).await.map(|_| ())
    }

    /// Applies `manifest`, which must be accepted.
    pub(crate) async fn apply(&self, manifest: Value) {
        let shown = manifest.clone();
        self.try_apply(manifest).await.unwrap_or_else(|error| panic!("{shown} is refused: {error}"));
    }

    /// Deletes the object that `manifest` describes.
    pub(crate) async fn delete(&self, manifest: &Value) {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        self.api_of(manifest).delete(name, &Default::default()).await.expect("the deletion is accepted");
    }

    /// Reads an object, if it is there.
    pub(crate) async fn read(&self, manifest: &Value) -> Option<Value> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let object = self.api_of(manifest).get_opt(name).await.expect("Kubernetes answers")?;
        Some(serde_json::to_value(object).expect("JSON"))
    }

    /// Starts an operator with the chart's rights.
    pub(crate) async fn operator(&self) -> Running {
        self.operator_through(Seam::default()).await
    }

    /// Starts an operator that may not list rules.
    pub(crate) async fn blind_operator(&self) -> Running {
        let control_plane = control_plane().await;
        let name = format!("blind-{}", self.mark);
        let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": OPERATOR_NAMESPACE}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [
                {"apiGroups": ["aml-operator.io"], "resources": ["azureconnections", "amlworkspaces", "privateendpointapprovals", "approvaldecisions",
                    "azureconnections/status", "amlworkspaces/status", "privateendpointapprovals/status", "approvaldecisions/status"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["namespaces", "secrets"], "verbs": ["get", "list", "watch"]},
            ]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": OPERATOR_NAMESPACE}]},
        ]});
        control_plane.kubectl_with_input(&["apply", "-f", "-"], &rights.to_string()).await.expect("the rights");
        let kubeconfig = control_plane.service_account_kubeconfig(OPERATOR_NAMESPACE, &name).await.expect("a token");
        self.start(&kubeconfig, Seam::default()).await
    }

    /// Starts an operator whose effects pass `seam`.
    pub(crate) async fn operator_through(&self, seam: Seam) -> Running {
        self.start(&shared().await.operator_kubeconfig, seam).await
    }

    /// Starts an operator that reaches the API server by `kubeconfig`.
    pub(crate) async fn operator_by(&self, kubeconfig: &str) -> Running {
        self.start(kubeconfig, Seam::default()).await
    }

    async fn start(&self, kubeconfig: &str, seam: Seam) -> Running {
        let config = client_of(kubeconfig).await;
        let metrics = Metrics::new();
        let kube =
            kube_client::client(config, self.pace.kubernetes_call, seam.clone(), metrics.clone()).expect("a client");
        let operator = Operator {
            kube,
            namespace: OPERATOR_NAMESPACE.into(),
            installation: format!("installation-{}", self.mark),
            selector: Some(format!("test={}", self.mark)),
            instance: Some(self.mark.clone()),
            pace: self.pace,
            azure: AzureParts {
                throttle: Throttle::new(self.throttle),
                pace: HttpPace::default(),
                transport: Transport::default(),
                hook: None,
                seam,
            },
            metrics: metrics.clone(),
            readiness: Readiness::default(),
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(operator.run(shutdown.clone()));
        Running { shutdown, task, metrics }
    }

    /// Waits until `test` of the object holds, and returns the object.
    pub(crate) async fn until(&self, manifest: &Value, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.read(manifest).await;
                if let Some(object) = last.as_ref().filter(|object| test(object)) {
                    return object.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        waited.unwrap_or_else(|_| panic!("never came: {what}; last seen: {:#}", summary(last.as_ref())))
    }

    /// Waits until the object's Ready condition has `reason`.
    pub(crate) async fn until_reason(&self, manifest: &Value, reason: &str) -> Value {
        self.until(manifest, &format!("{} {reason}", manifest["metadata"]["name"]), |object| {
            condition(object, "Ready")["reason"] == reason
        })
        .await
    }

    /// Applies connection, workspace and `rules`, and waits until the workspace is secured and every rule active.
    pub(crate) async fn secured(&self, rules: &[Value]) {
        self.apply(self.connection_manifest()).await;
        self.apply(self.workspace_manifest()).await;
        for rule in rules {
            self.apply(rule.clone()).await;
        }
        self.until_reason(&self.workspace_manifest(), "Secured").await;
        for rule in rules {
            self.until_reason(rule, "Active").await;
        }
    }

    /// Applies the connection and the workspace as `change` makes it, waits until it is secured, and returns its manifest.
    pub(crate) async fn secured_with(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut workspace = self.workspace_manifest();
        change(&mut workspace);
        self.apply(self.connection_manifest()).await;
        self.apply(workspace.clone()).await;
        self.until_reason(&workspace, "Secured").await;
        workspace
    }

    /// The same with a workspace that goes from Azure with its object.
    pub(crate) async fn secured_to_be_deleted(&self) -> Value {
        self.secured_with(|workspace| workspace["spec"]["deletionPolicy"] = json!("Delete")).await
    }

    /// The events in `namespace`.
    pub(crate) async fn events(&self, namespace: &str) -> Vec<Value> {
        let events = control_plane().await.kubectl(&["get", "events", "-n", namespace, "-o", "json"]).await;
        let events: Value = serde_json::from_str(&events.expect("the events")).expect("JSON");
        events["items"].as_array().cloned().unwrap_or_default()
    }

    /// What the application team's events about the object `name` say, by reason; warnings only, if so wished.
    pub(crate) async fn told(&self, name: &str, warnings: bool) -> Vec<(String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let events = self.events(&self.team).await.into_iter();
        let about = events.filter(|event| event["involvedObject"]["name"] == name);
        let wished = about.filter(|event| !warnings || event["type"] == "Warning");
        wished.map(|event| (text(&event, "reason"), text(&event, "message"))).collect()
    }

    /// Replaces the status of an object, as somebody with the right to would.
    pub(crate) async fn overwrite_status(&self, manifest: &Value, status: &Value) {
        let mut object = self.read(manifest).await.expect("the object is there");
        object["status"] = status.clone();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        self.api_of(manifest).replace_status(name, &PostParams::default(), &object).await.expect("the status is taken");
    }

    /// Removes an object and its finalizers, as an impatient administrator would.
    pub(crate) async fn wipe(&self, manifest: &Value) {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let api = self.api_of(manifest);
        // Deleted first: from then on nobody can put a finalizer back.
        api.delete(name, &Default::default()).await.expect("the deletion is accepted");
        let none = json!({"metadata": {"finalizers": null}});
        match api.patch(name, &PatchParams::default(), &Patch::Merge(&none)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            taken => drop(taken.expect("the finalizers are taken off")),
        }
        self.until_gone(manifest).await;
    }

    /// Waits until the object is gone.
    pub(crate) async fn until_gone(&self, manifest: &Value) {
        let mut last = None;
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.read(manifest).await;
                if last.is_none() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        waited.unwrap_or_else(|_| {
            panic!("never went: {}; last seen: {:#}", manifest["metadata"]["name"], summary(last.as_ref()))
        });
    }

    /// Waits until `test` holds.
    pub(crate) async fn eventually<F: Future<Output = bool>>(&self, what: &str, test: impl Fn() -> F) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !test().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("never came: {what}"));
    }

    /// Lets some resyncs of everything go by.
    pub(crate) async fn rest(&self) {
        tokio::time::sleep(self.pace.resync * 4).await;
    }

    /// Number of the last request that reached ARM.
    pub(crate) fn last_request(&self) -> u64 {
        self.azure.requests().last().map_or(0, |request| request.seq)
    }

    /// The writes that reached ARM.
    pub(crate) fn writes(&self) -> Vec<RequestEntry> {
        self.azure.requests().into_iter().filter(|request| request.method != "GET").collect()
    }

    /// The writes that reached ARM, short.
    pub(crate) fn written(&self) -> Vec<String> {
        let short = |request: RequestEntry| {
            let tail = request.path.rsplit("/providers/").next().unwrap_or_default().to_owned();
            format!("{} {tail}", request.method)
        };
        self.writes().into_iter().map(short).collect()
    }

    /// Sends a request to ARM with the operator's identity, as somebody at a shell would.
    pub(crate) async fn shell(&self, method: reqwest::Method, path: &str, body: Option<&Value>) {
        let versions = [
            ("/Microsoft.Storage/", "2023-05-01"),
            ("/Microsoft.Network/privateDnsZones/", "2024-06-01"),
            ("/Microsoft.Network/", "2024-05-01"),
            ("/Microsoft.Insights/privateLinkScopes/", "2021-07-01-preview"),
            ("/Microsoft.Authorization/locks/", "2020-05-01"),
            ("/Microsoft.Insights/components/", "2020-02-02"),
            ("/Microsoft.KeyVault/", "2024-11-01"),
            ("/Microsoft.ContainerRegistry/", "2023-07-01"),
        ];
        let version =
            versions.iter().find(|(type_, _)| path.contains(type_)).map_or("2025-12-01", |(_, version)| version);
        loop {
            let (status, answer) = self.ask_azure(method.clone(), path, version, body).await;
            // Another operation may be under way; a person would try again too.
            if matches!(status, 409 | 429) {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            assert!((200..300).contains(&status), "{answer}");
            return;
        }
    }

    /// Sends one request to ARM with the operator's identity.
    pub(crate) async fn ask_azure(
        &self,
        method: reqwest::Method,
        path: &str,
        version: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.ask_with_scope("https://management.azure.com/.default", method, path, version, body).await
    }

    /// Sends one request with the operator's identity and a token for `scope`.
    pub(crate) async fn ask_with_scope(
        &self,
        scope: &str,
        method: reqwest::Method,
        path: &str,
        version: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let ca = reqwest::Certificate::from_pem(self.azure.ca_pem().as_bytes()).expect("a certificate");
        let http = reqwest::Client::builder().tls_certs_only([ca]).build().expect("a client");
        let form = format!(
            "grant_type=client_credentials&client_id={CLIENT}&client_secret=not-a-secret&scope={}",
            scope.replace(':', "%3A").replace('/', "%2F")
        );
        let token = http
            .post(format!("{}/{TENANT}/oauth2/v2.0/token", self.azure.endpoint()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .expect("a token");
        let token: Value = token.json().await.expect("JSON");
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let mut request =
            http.request(method, format!("{}{path}?api-version={version}", self.azure.endpoint())).bearer_auth(&token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The workspace `name` as ARM shows it, in the version that shows most; null if there is none.
    pub(crate) async fn in_azure(&self, name: &str) -> Value {
        let path = self.id("Microsoft.MachineLearningServices/workspaces", name);
        let (status, shown) = self.ask_azure(reqwest::Method::GET, &path, "2026-03-15-preview", None).await;
        if status == 404 { Value::Null } else { shown }
    }

    /// Removes a rule behind the operator's back.
    pub(crate) async fn lose_rule(&self, name: &str) {
        self.shell(reqwest::Method::DELETE, &format!("{}/outboundRules/{name}", self.workspace_id()), None).await;
    }

    /// Removes something behind the operator's back.
    pub(crate) async fn delete_in_azure(&self, path: &str) {
        self.shell(reqwest::Method::DELETE, path, None).await;
    }

    /// Writes an FQDN rule behind the operator's back.
    pub(crate) async fn put_rule(&self, name: &str, host: &str) {
        let body = json!({"properties": {"type": "FQDN", "category": "UserDefined", "destination": host}});
        self.shell(reqwest::Method::PUT, &format!("{}/outboundRules/{name}", self.workspace_id()), Some(&body)).await;
    }

    /// Changes the workspace behind the operator's back.
    pub(crate) async fn patch_workspace(&self, body: &Value) {
        self.shell(reqwest::Method::PATCH, &self.workspace_id(), Some(body)).await;
    }

    /// The rules that ARM shows for the workspace, user-defined ones only, with their status.
    pub(crate) fn rules_in_azure(&self) -> BTreeMap<String, String> {
        let state = self.azure.state_json().to_string();
        let state: Value = serde_json::from_str(&state).expect("JSON");
        let mut rules = BTreeMap::new();
        collect_rules(&state, &mut rules);
        rules
    }

    /// Object id of the workspace's identity.
    pub(crate) async fn principal(&self) -> String {
        let workspace = self.workspace_manifest();
        let object = self.until(&workspace, "the identity", |object| object["status"]["principalId"].is_string()).await;
        object["status"]["principalId"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        contract::hold(&self.azure, env!("CARGO_TARGET_TMPDIR"));
    }
}

fn collect_rules(value: &Value, rules: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(own)) = map.get("outboundRules") {
                for (name, rule) in own {
                    let properties = rule.get("properties").unwrap_or(rule);
                    if properties["category"] == "UserDefined" {
                        rules.insert(name.clone(), properties["status"].as_str().unwrap_or_default().to_owned());
                    }
                }
            }
            map.values().for_each(|value| collect_rules(value, rules));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_rules(value, rules)),
        _ => {}
    }
}

fn summary(object: Option<&Value>) -> Value {
    object.map_or(Value::Null, |object| json!({"metadata": object["metadata"], "status": object["status"]}))
}

/// The condition of `type_` of an object, or null.
pub(crate) fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|conditions| conditions.iter().find(|condition| condition["type"] == type_));
    found.cloned().unwrap_or(Value::Null)
}

fn seed(subscription: &str) -> Seed {
    let id =
        |type_: &str, name: &str| format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{type_}/{name}");
    serde_json::from_value(json!({
        "servicePrincipals": [{"tenantId": TENANT, "clientId": CLIENT, "objectId": OBJECT, "secret": "not-a-secret"}],
        "subscriptions": [{"subscriptionId": subscription, "tenantId": TENANT}],
        "resourceGroups": [{"subscriptionId": subscription, "name": "rg", "location": "westeurope"}],
        "resources": [
            {"id": id("Microsoft.Storage/storageAccounts", "frauddata"), "location": "westeurope"},
            {"id": id("Microsoft.Storage/storageAccounts", "lake"), "location": "westeurope"},
            {"id": id("Microsoft.KeyVault/vaults", "fraudkeys"), "location": "westeurope"},
            {"id": id("Microsoft.Insights/components", "fraudinsights"), "location": "westeurope"},
        ],
        "roleAssignments": [{"scope": format!("/subscriptions/{subscription}"), "role": "Owner", "principalId": OBJECT}],
    }))
    .expect("a seed")
}
