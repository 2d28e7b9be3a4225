//! Links to Synapse: from nothing to a connection that works, whoever imitates it, whoever stands behind a name, and back to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use aml_operator::effects::{Effect, Moment, Seam, System};
use arm_simulator::{RequestEntry, Seed};
use futures::StreamExt;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::attacks::LIST;
use crate::effects::{Cut, unrecorded};
use crate::support::{FOREIGN, OPERATOR_NAMESPACE, World, condition, control_plane};

pub(crate) const SYNAPSE: &str = "Microsoft.Synapse/workspaces";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
/// The conditions of a link, in the order of its steps.
const STEPS: [&str; 7] = [
    "ExfiltrationProtectionOff",
    "ManagedVnetPresent",
    "LinkedServiceReady",
    "ManagedPrivateEndpointReady",
    "ConnectionApproved",
    "RoleAssigned",
    "Verified",
];

/// A Synapse workspace for a seed. Seeded once more, it is somebody else's: it has another guid and another identity then.
fn synapse(id: &str, prevents_exfiltration: bool) -> Value {
    json!({"id": id, "location": "westeurope", "properties": {
        "managedVirtualNetwork": "default",
        "managedVirtualNetworkSettings": {"preventDataExfiltration": prevents_exfiltration},
    }})
}

impl World {
    /// A world with the Synapse workspaces `analytics` and `strangers`.
    async fn with_synapse(prevents_exfiltration: bool) -> Self {
        let world = Self::new().await;
        let all = ["analytics", "strangers"].map(|name| synapse(&world.id(SYNAPSE, name), prevents_exfiltration));
        world.put_there(json!({ "resources": all }));
        world
    }

    fn put_there(&self, seed: Value) {
        let seed: Seed = serde_json::from_value(seed).expect("a seed");
        self.azure.seed(seed).expect("it is there");
    }

    /// The connection, with what a link needs besides.
    pub(crate) fn link_connection(&self) -> Value {
        let mut connection = self.connection_manifest();
        let group = format!("/subscriptions/{}/resourceGroups/rg", self.subscription);
        connection["spec"]["grants"][0]["verbs"].as_array_mut().expect("verbs").push(json!("grantRoles"));
        connection["spec"]["grants"][1]["scope"] = json!(self.workspace_id());
        connection["spec"]["grantableRoles"] = json!([{"scope": group, "roleDefinitionIds": [CONTRIBUTOR]}]);
        connection
    }

    /// A link between the Synapse workspace `analytics` and the workspace `fraud`.
    pub(crate) fn link_manifest(&self, name: &str) -> Value {
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "SynapseLink",
            "metadata": {"name": name, "namespace": self.team},
            "spec": {
                "workspaceRef": {"name": "fraud"},
                "synapseWorkspace": {"resourceId": self.id(SYNAPSE, "analytics")},
            },
        })
    }

    /// The policy on the workspace that lets the link `name` in.
    fn link_policy(&self, name: &str) -> Value {
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "PrivateEndpointApproval",
            "metadata": {"name": "workspace", "namespace": self.platform},
            "spec": {
                "connectionRef": {"name": self.connection}, "target": {"resourceId": self.workspace_id()},
                "allow": [{"name": name, "synapseLinkRef": {"name": name, "namespace": self.team}}],
            },
        })
    }

    /// Applies connection, workspace and `objects`.
    async fn linking(&self, objects: &[&Value]) {
        self.apply(self.link_connection()).await;
        self.apply(self.workspace_manifest()).await;
        for object in objects {
            self.apply((*object).clone()).await;
        }
    }

    /// Somebody sends a request to the data plane of the Synapse workspace `name`.
    async fn at_synapse(&self, method: reqwest::Method, name: &str, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/synapse/{name}{path}");
        let scope = "https://dev.azuresynapse.net/.default";
        let (status, answer) = self.ask_with_scope(scope, method, &path, "2020-12-01", body).await;
        assert!((200..300).contains(&status), "{path}: {answer}");
        answer
    }

    /// What the data plane of `analytics` lists at `path`, by name, but for what every workspace has.
    async fn at_analytics(&self, path: &str) -> Vec<String> {
        let listed = self.at_synapse(reqwest::Method::GET, "analytics", path, None).await;
        let listed = listed["value"].as_array().expect("a list").iter();
        let own = listed.filter(|one| one["properties"]["isReserved"] != true);
        let named = own.filter_map(|one| one["name"].as_str().map(str::to_owned));
        named.filter(|name| !name.contains("-WorkspaceDefault")).collect()
    }

    /// The connections of Synapse workspaces on the workspace: name, last part of the endpoint's id, state.
    fn on_the_workspace(&self) -> Vec<(String, String, String)> {
        let state = self.azure.state_json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = state[LIST].as_object().into_iter().flatten().map(|(_, one)| one);
        let shown = all.filter(|one| text(&one["id"]).starts_with(&self.workspace_id())).map(|one| {
            let properties = &one["properties"];
            let endpoint = text(&properties["privateEndpoint"]["id"]).rsplit('/').next().unwrap_or_default().to_owned();
            (text(&one["name"]), endpoint, text(&properties["privateLinkServiceConnectionState"]["status"]))
        });
        // Synapse's endpoints are called `{workspace}.{endpoint}` there; the workspace's own managed network has none with a dot.
        shown.filter(|(_, endpoint, _)| endpoint.contains('.')).collect()
    }

    /// The states of the connections on the workspace whose endpoints carry `name`.
    fn states_of(&self, name: &str) -> Vec<String> {
        let all = self.on_the_workspace().into_iter().filter(|(_, endpoint, _)| endpoint.contains(name));
        all.map(|(_, _, state)| state).collect()
    }

    /// Somebody raises a connection on the workspace by an endpoint whose id ends like that of the link's.
    fn imitate(&self, name: &str) -> String {
        let endpoint = World::endpoint(FOREIGN, "imitations", &format!("analytics.{name}"));
        self.knock(&self.workspace_id(), &endpoint);
        endpoint
    }

    fn state_of_endpoint(&self, endpoint: &str) -> String {
        let state = self.azure.state_json();
        let mut all = state[LIST].as_object().into_iter().flatten().map(|(_, one)| one);
        let found = all.find(|one| one["properties"]["privateEndpoint"]["id"] == endpoint).cloned().unwrap_or_default();
        found["properties"]["privateLinkServiceConnectionState"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the link's own endpoint has a name other than `not`, and returns it.
    async fn name_of(&self, link: &Value, not: &str) -> String {
        let name = |object: &Value| object["status"]["endpoints"][0]["name"].as_str().unwrap_or_default().to_owned();
        let named = self.until(link, "a name", |object| !name(object).is_empty() && name(object) != not).await;
        name(&named)
    }

    /// Whether people were told of imitations of the link.
    async fn alarmed(&self) -> bool {
        let events = control_plane().await.kubectl(&["get", "events", "-n", &self.team, "-o", "json"]).await;
        let events: Value = serde_json::from_str(&events.expect("the events")).expect("JSON");
        let mut events = events["items"].as_array().expect("events").iter();
        events.any(|event| event["reason"] == "Imitated" && event["type"] == "Warning")
    }

    /// Every state that the cluster has had of an object, from `since` (a resourceVersion) to `last`.
    async fn history(&self, manifest: &Value, since: &str, last: &Value) -> Vec<Value> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let api = self.api(manifest["kind"].as_str().unwrap_or_default(), manifest["metadata"]["namespace"].as_str());
        let params = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut events = api.watch(&params, since).await.expect("a watch").boxed();
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            let WatchEvent::Modified(object) = event.expect("an event") else { continue };
            let object = serde_json::to_value(object).expect("JSON");
            let ends = object["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"];
            all.push(object);
            if ends {
                break;
            }
        }
        all
    }
}

/// The statuses of the conditions, in the order of the steps.
fn steps(link: &Value) -> [String; 7] {
    STEPS.map(|type_| condition(link, type_)["status"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_verified_each_condition_after_the_other() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let link = world.link_manifest("analytics");
    world.linking(&[&link]).await;
    let version = world.read(&link).await.expect("it is there")["metadata"]["resourceVersion"].clone();
    // Nobody has said yet whose connections are approved, and who gives Synapse's identity its role.
    let waiting = world.until_reason(&link, "ApprovalPending").await;
    assert_eq!(steps(&waiting), ["True", "True", "True", "True", "False", "False", "Unknown"]);
    assert!(waiting["status"]["missingRoles"][0]["command"].as_str().unwrap_or_default().contains(CONTRIBUTOR));
    let policy = world.link_policy("analytics");
    world.apply(policy.clone()).await;
    let lacking = world.until_reason(&link, "RoleMissing").await;
    assert_eq!(steps(&lacking), ["True", "True", "True", "True", "True", "False", "Unknown"]);
    let principal = lacking["status"]["missingRoles"][0]["principalId"].as_str().expect("a principal").to_owned();
    world.grant(&world.workspace_id(), "Contributor", &principal);
    let verified = world.until_reason(&link, "Verified").await;
    assert_eq!(steps(&verified), ["True"; 7]);
    assert_eq!(verified["status"]["approved"], "1/1");
    // In no state that the cluster ever had was a step done before those that it rests on.
    let history = world.history(&link, version.as_str().expect("a version"), &verified).await;
    assert!(history.len() > 4, "{}", history.len());
    let done = |step: usize| history.iter().position(|object| steps(object)[step] == "True").expect("it was done");
    let order: Vec<usize> = (0..STEPS.len()).map(done).collect();
    assert!(order.is_sorted() && order[2] < order[3] && order[3] < order[4] && order[5] < order[6], "{order:?}");
    let settling = history.iter().filter(|object| condition(object, "Ready")["reason"] == "RoleSettling");
    assert!(settling.count() > 0, "a fresh role is waited for");
    let failed = history.iter().filter(|object| !condition(object, "Stalled").is_null());
    assert_eq!(failed.count(), 0, "and nothing is told as a failure");
    // The name that the linked service leads to is private from inside Synapse.
    let service = verified["status"]["linkedService"].as_str().expect("a name");
    let host = verified["status"]["workspaceHost"].as_str().expect("a host");
    let resolved = world.azure.resolve_from_synapse("analytics", host).expect("the workspace is there");
    assert_eq!(resolved["private"], true, "{resolved}");
    assert_eq!(resolved["managedPrivateEndpoint"], verified["status"]["endpoints"][0]["name"]);
    let shown = world.at_synapse(reqwest::Method::GET, "analytics", &format!("/linkedservices/{service}"), None).await;
    assert_eq!(shown["properties"]["typeProperties"]["authentication"], "MSI");
    assert_eq!(shown["properties"]["typeProperties"]["mlWorkspaceName"], "fraud");
    let cell = verified["status"]["verifyWith"].as_str().expect("a notebook");
    assert!(cell.contains(host) && cell.contains(service), "{cell}");
    assert!(!world.alarmed().await, "nobody is accused");
    // At rest it costs reads and no writes.
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exfiltration_protection_stops_first_with_nothing_made() {
    let world = World::with_synapse(true).await;
    let operator = world.operator().await;
    let mut link = world.link_manifest("analytics");
    link["spec"]["role"] = json!({"policy": "Grant"});
    link["spec"]["sparkPool"] = json!({"azureName": "spark1", "sparkVersion": "3.4"});
    world.linking(&[&link, &world.link_policy("analytics")]).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.azure.clear_requests();
    let stopped = world.until_reason(&link, "ExfiltrationProtectionOn").await;
    assert_eq!(steps(&stopped), ["False", "Unknown", "Unknown", "Unknown", "Unknown", "Unknown", "Unknown"]);
    assert_eq!(condition(&stopped, "Stalled")["status"], "True");
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    let at_synapse = world.azure.requests().into_iter().filter(|request| request.path.starts_with("/synapse/"));
    assert_eq!(at_synapse.count(), 0, "its data plane is not even asked");
    // It takes nothing with it either.
    world.delete(&link).await;
    world.until_gone(&link).await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_endpoint_on_the_same_workspace_stays_pending() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let (link, policy) = (world.link_manifest("analytics"), world.link_policy("analytics"));
    world.linking(&[&policy]).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    let body = json!({"properties": {"privateLinkResourceId": world.workspace_id(), "groupId": "amlworkspace"}});
    let path = "/managedVirtualNetworks/default/managedPrivateEndpoints/aml";
    world.at_synapse(reqwest::Method::PUT, "strangers", path, Some(&body)).await;
    world.apply(link.clone()).await;
    world.until_reason(&link, "RoleMissing").await;
    let told = world
        .until(&policy, "the stranger is reported", |object| {
            object["status"]["pending"] == 1 && object["status"]["approved"] == 1
        })
        .await;
    assert_eq!(told["status"]["unmatched"], 1);
    world.rest().await;
    assert_eq!(world.states_of("strangers.aml"), ["Pending"]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_comes_before_or_after_ours_is_never_approved_and_told() {
    let world = World::with_synapse(false).await;
    // Time to be there before ours is.
    world.azure.settings(|settings| settings.operation_seconds.synapse_endpoint = 2.0);
    let operator = world.operator().await;
    let link = world.link_manifest("analytics");
    world.linking(&[&link, &world.link_policy("analytics")]).await;
    let first = world.name_of(&link, "").await;
    let before = world.imitate(&first);
    world.azure.settings(|settings| settings.operation_seconds.synapse_endpoint = 0.05);
    let second = world.name_of(&link, &first).await;
    world.until_reason(&link, "RoleMissing").await;
    assert!(world.alarmed().await);
    assert_eq!(world.states_of(&first), ["Pending"], "the twin's; ours of that name is gone");
    assert_eq!(world.states_of(&second), ["Approved"]);
    let after = world.imitate(&second);
    let told = world.until(&link, "the twin is told", |object| object["status"]["endpoints"][0]["twins"] == 1).await;
    assert!(condition(&told, "ConnectionApproved")["message"].as_str().unwrap_or_default().contains("reject them"));
    world.rest().await;
    for twin in [&before, &after] {
        assert_eq!(world.state_of_endpoint(twin), "Pending");
    }
    assert_eq!(world.name_of(&link, "").await, second, "ours goes on");
    assert_eq!(condition(&world.read(&link).await.expect("it is there"), "ConnectionApproved")["status"], "True");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_that_comes_with_ours_is_never_approved_and_told() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let link = world.link_manifest("analytics");
    world.linking(&[&link]).await;
    // It is even sure already which one is ours.
    world.until_reason(&link, "ApprovalPending").await;
    let first = world.name_of(&link, "").await;
    let twin = world.imitate(&first);
    world.apply(world.link_policy("analytics")).await;
    let told =
        world.until(&link, "decided", |object| condition(object, "ConnectionApproved")["status"] == "True").await;
    assert!(["Pending", ""].contains(&world.state_of_endpoint(&twin).as_str()));
    assert_eq!(
        world.states_of(&first).iter().filter(|state| *state == "Approved").count(),
        usize::from(told["status"]["endpoints"][0]["name"] == json!(first))
    );
    world.eventually("people are told", async || world.alarmed().await).await;
    world.rest().await;
    assert_eq!(world.state_of_endpoint(&twin), "Pending");
    let approved = world.on_the_workspace().into_iter().filter(|(_, _, state)| state == "Approved");
    assert_eq!(approved.count(), 1);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_name_of_the_synapse_workspace_gets_nothing() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let mut link = world.link_manifest("analytics");
    link["spec"]["role"] = json!({"policy": "Grant"});
    world.linking(&[&link]).await;
    world.until_reason(&link, "ApprovalPending").await;
    // Gone, and made anew by somebody else, under the same name and with an endpoint of the same name.
    world.put_there(json!({"resources": [synapse(&world.id(SYNAPSE, "analytics"), false)]}));
    let changed = world.until_reason(&link, "IdentityChanged").await;
    let message = condition(&changed, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("workspaceUID"), "{message}");
    assert_eq!(condition(&changed, "Stalled")["status"], "True");
    world.azure.clear_requests();
    let policy = world.link_policy("analytics");
    world.apply(policy.clone()).await;
    world.until(&policy, "held", |object| object["status"]["pending"] == 1).await;
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "nothing is approved, written or assigned");
    // With a word for each change it goes on, and asks anew.
    let words = message.split("value: ").skip(1).filter_map(|rest| rest.split('}').next());
    let words: Vec<Value> = words.map(|value| json!({"door": "IdentityChanged", "value": value})).collect();
    assert_eq!(words.len(), 2, "the workspace and its identity: {message}");
    let before = changed["status"]["endpoints"][0]["name"].as_str().unwrap_or_default().to_owned();
    link["spec"]["acknowledge"] = json!(words);
    world.apply(link.clone()).await;
    let verified = world.until_reason(&link, "Verified").await;
    assert_ne!(verified["status"]["endpoints"][0]["name"], json!(before));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_side_rejects_or_removes_is_noticed() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let mut link = world.link_manifest("analytics");
    link["spec"]["role"] = json!({"policy": "Grant"});
    world.linking(&[&link, &world.link_policy("analytics")]).await;
    world.until_reason(&link, "Verified").await;
    for removed in [false, true] {
        let before = world.name_of(&link, "").await;
        let (name, _, _) =
            world.on_the_workspace().into_iter().find(|(_, _, state)| state == "Approved").expect("ours");
        let path = format!("{}/{LIST}/{name}", world.workspace_id());
        if removed {
            world.delete_in_azure(&path).await;
        } else {
            let state = json!({"status": "Rejected", "description": "not any more"});
            let body = json!({"properties": {"privateLinkServiceConnectionState": state}});
            world.shell(reqwest::Method::PUT, &path, Some(&body)).await;
        }
        link["spec"]["recreate"] = json!("Never");
        world.apply(link.clone()).await;
        let told = world.until_reason(&link, "ConnectionRejected").await;
        assert_eq!(condition(&told, "Verified")["status"], "Unknown");
        world.rest().await;
        assert_eq!(world.name_of(&link, "").await, before, "nothing is asked for again without a word");
        link["spec"]["recreate"] = json!("Allowed");
        world.apply(link.clone()).await;
        world.name_of(&link, &before).await;
        world.until_reason(&link, "Verified").await;
    }
    assert!(!world.alarmed().await, "nobody imitated anything");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_takes_what_it_made_in_order_and_nothing_else() {
    let world = World::with_synapse(false).await;
    let operator = world.operator().await;
    let mut link = world.link_manifest("analytics");
    link["spec"]["role"] = json!({"policy": "Grant"});
    link["spec"]["sparkPool"] = json!({"azureName": "spark1", "sparkVersion": "3.4"});
    link["spec"]["extraEndpoints"] = json!(["blob"]);
    let mut storage = world.link_policy("analytics");
    storage["metadata"]["name"] = json!("storage");
    storage["spec"]["target"] = json!({"resourceId": world.id("Microsoft.Storage/storageAccounts", "frauddata")});
    let mut connection = world.link_connection();
    connection["spec"]["grants"][1]["scope"] =
        json!(format!("/subscriptions/{}/resourceGroups/rg", world.subscription));
    world.linking(&[&link, &world.link_policy("analytics"), &storage]).await;
    world.apply(connection).await;
    let verified = world.until_reason(&link, "Verified").await;
    assert_eq!((&verified["status"]["approved"], &verified["status"]["sparkPool"]), (&json!("2/2"), &json!("spark1")));
    // Somebody else's things in the same workspace.
    let endpoint = json!({"properties": {"privateLinkResourceId": world.lake(), "groupId": "blob"}});
    let path = "/managedVirtualNetworks/default/managedPrivateEndpoints";
    world.at_synapse(reqwest::Method::PUT, "analytics", &format!("{path}/theirs"), Some(&endpoint)).await;
    let service = json!({"properties": {"type": "AzureBlobStorage", "typeProperties": {"serviceEndpoint": "https://lake.blob.core.windows.net"}}});
    world.at_synapse(reqwest::Method::PUT, "analytics", "/linkedservices/theirs", Some(&service)).await;
    world.eventually("they are there", async || world.at_analytics("/linkedservices").await.len() == 2).await;
    world.azure.clear_requests();
    world.delete(&link).await;
    world.until_gone(&link).await;
    let kinds = ["linkedservices", "managedPrivateEndpoints", "roleAssignments", "bigDataPools"];
    let of = |written: &String| kinds.iter().position(|kind| written.contains(kind)).expect("one of these");
    let deleted: Vec<usize> = world.written().iter().map(of).collect();
    assert_eq!(deleted, [0, 1, 1, 2, 3], "{:?}", world.written());
    assert_eq!(world.at_analytics("/linkedservices").await, ["theirs"]);
    assert_eq!(world.at_analytics(path).await, ["theirs"]);
    assert_eq!(world.on_the_workspace(), Vec::new());
    let left = world.azure.state_json().to_string().to_lowercase();
    assert!(!left.contains("/bigdatapools/spark1"));
    assert_eq!(world.link_pages().await, 0, "and nothing is remembered");
    operator.stop().await;
}

impl World {
    /// How many pages of the ledger speak of this world's links.
    async fn link_pages(&self) -> usize {
        let selector = "aml-operator.io/link";
        let secrets = control_plane()
            .await
            .kubectl(&["get", "secrets", "-n", OPERATOR_NAMESPACE, "-l", selector, "-o", "json"])
            .await;
        let secrets: Value = serde_json::from_str(&secrets.expect("the Secrets")).expect("JSON");
        let pages = secrets["items"].as_array().expect("Secrets").iter();
        let of = |secret: &&Value| {
            let page = secret["data"]["link.json"].as_str().unwrap_or_default();
            String::from_utf8(base64_of(page)).unwrap_or_default().contains(&self.subscription)
        };
        pages.filter(of).count()
    }
}

/// What `text` stands for in base64.
fn base64_of(text: &str) -> Vec<u8> {
    let digit =
        |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|one| *one == c);
    let digits: Vec<u32> =
        text.bytes().filter_map(digit).map(|digit| u32::try_from(digit).unwrap_or_default()).collect();
    let bits = digits.chunks(4).flat_map(|chunk| {
        let whole = chunk.iter().fold(0, |all, digit| all << 6 | digit) << (6 * (4 - chunk.len()));
        whole.to_be_bytes()[1..chunk.len()].to_vec()
    });
    bits.collect()
}

/// What came of a run.
struct Run {
    /// How many there are of each in the end.
    there: BTreeMap<&'static str, usize>,
    /// How often each was written, by method and type.
    written: BTreeMap<String, usize>,
    /// The effects.
    passed: Vec<(Moment, Effect)>,
}

/// Method and type of a write.
fn sort_of(request: &RequestEntry) -> String {
    let below = request.path.rsplit("/providers/").next().unwrap_or_default().trim_start_matches("/synapse/");
    let types: Vec<&str> = below.split('/').skip(1).step_by(2).collect();
    format!("{} {}", request.method, types.join("/"))
}

/// Links with an operator that is cut at the `at`-th passage of the seam, and a second one that goes on.
async fn cut_run(at: Option<usize>) -> Run {
    let world = World::with_synapse(false).await;
    let cut = Arc::new(Cut::at(at));
    let first = world.operator_through(Seam::watched(cut.clone())).await;
    let mut link = world.link_manifest("analytics");
    link["spec"]["role"] = json!({"policy": "Grant"});
    link["spec"]["sparkPool"] = json!({"azureName": "spark1", "sparkVersion": "3.4"});
    world.linking(&[&link, &world.link_policy("analytics")]).await;
    let mut operators = vec![first];
    let restart = async {
        cut.reached().await;
        operators.remove(0).cut().await;
        operators.push(world.operator().await);
        futures::future::pending::<()>().await;
    };
    let scenario = async {
        world.until_reason(&link, "Verified").await;
        world.until(&link, "no operation left", |object| object["status"]["operations"].is_null()).await;
    };
    tokio::select! {
        () = scenario => {}
        () = restart => {}
    }
    for operator in operators {
        operator.cut().await;
    }
    let approved = world.on_the_workspace().into_iter().filter(|(_, _, state)| state == "Approved").count();
    let state = world.azure.state_json().to_string().to_lowercase();
    let assigned =
        state.matches(&format!("assigned by aml-operator, installation installation-{}", world.mark)).count();
    let there = BTreeMap::from([
        ("linked services", world.at_analytics("/linkedservices").await.len()),
        ("endpoints", world.at_analytics("/managedVirtualNetworks/default/managedPrivateEndpoints").await.len()),
        ("connections", world.on_the_workspace().len()),
        ("approved", approved),
        ("assignments", assigned),
        ("pools", state.matches("\"name\":\"spark1\"").count()),
    ]);
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.writes() {
        *written.entry(sort_of(&request)).or_default() += 1;
    }
    Run { there, written, passed: cut.passed() }
}

/// "Cut" is an operator dropped in this process, with everything it remembers, in the place of SIGKILL.
#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_write_the_link_ends_the_same() {
    let whole = cut_run(None).await;
    assert!(whole.there.values().all(|count| *count == 1), "{:?}", whole.there);
    let arm: Vec<usize> = (0..whole.passed.len()).filter(|at| whole.passed[*at].1.system == System::Arm).collect();
    assert!(arm.len() >= 14, "linking has many effects: {:?}", whole.written);
    let runs = arm.into_iter().map(|at| async move { (at, tokio::spawn(cut_run(Some(at))).await.expect("a run")) });
    let mut runs = futures::stream::iter(runs).buffer_unordered(4);
    while let Some((at, cut)) = runs.next().await {
        let hit = cut.passed.get(at);
        let what = hit.map_or_else(|| "after the last".into(), |(moment, effect)| format!("{moment:?} {effect}"));
        assert_eq!(cut.there, whole.there, "cut at {at}: {what}");
        let allowed = usize::from(unrecorded(&cut.passed, at));
        for (sort, count) in &cut.written {
            let usual = whole.written.get(sort).copied().unwrap_or_default();
            assert!(*count <= usual + allowed, "cut at {at}: {what}: {sort} written {count} times, usually {usual}");
        }
    }
}
