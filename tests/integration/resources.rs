//! What a workspace is made of: created closed, kept as declared, shared without anybody losing anything, and never deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use aml_operator::effects::{Effect, Moment, Seam};
use arm_simulator::{Fault, OperationSeconds, Seed, Settings};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::effects::{Cut, unrecorded};
use crate::support::{World, condition, settings};

const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";

impl World {
    /// The workspace `fraud`, from nothing: private, with everything that it is made of.
    pub(crate) fn created_workspace(&self) -> Value {
        let mut workspace = self.workspace_manifest();
        let spec = workspace["spec"].as_object_mut().expect("a spec");
        spec.remove("publicNetworkAccess");
        spec.insert("profile".into(), json!("Private"));
        spec.insert("managedNetwork".into(), json!({"provision": {"when": "Immediately"}}));
        spec.insert(
            "associatedResources".into(),
            json!({"storageAccount": {"create": {}}, "keyVault": {"create": {}}, "containerRegistry": {"create": {}},
                "applicationInsights": {"create": {}}}),
        );
        workspace
    }

    /// The workspace `fraud` with the storage account that is there, and `network` on it.
    fn on_existing(&self, network: &Value) -> Value {
        let mut workspace = self.workspace_manifest();
        workspace["spec"]["associatedResources"]["storageAccount"]["network"] = network.clone();
        workspace
    }

    /// Writes to a resource behind the operator's back.
    async fn meddle(&self, method: Method, id: &str, body: &Value) {
        loop {
            let (status, answer) = self.ask_azure(method.clone(), id, version_of(id), Some(body)).await;
            if status != 409 {
                assert!((200..300).contains(&status), "{answer}");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// A resource as ARM shows it.
    async fn shown(&self, id: &str) -> Value {
        self.ask_azure(Method::GET, id, version_of(id), None).await.1
    }

    /// The connection, with public access and every isolation mode.
    fn open_connection(&self) -> Value {
        let mut connection = self.connection_manifest();
        let egress = &mut connection["spec"]["grants"][0]["egress"];
        egress["publicNetworkAccess"] = json!("Enabled");
        egress["isolationModes"] = json!(["Disabled", "AllowInternetOutbound"]);
        connection
    }
}

fn version_of(id: &str) -> &'static str {
    for (type_, version) in [
        ("Microsoft.Storage", "2023-05-01"),
        ("Microsoft.KeyVault", "2024-11-01"),
        ("Microsoft.ContainerRegistry", "2023-07-01"),
        ("Microsoft.Insights", "2020-02-02"),
        ("Microsoft.OperationalInsights", "2023-09-01"),
    ] {
        if id.contains(type_) {
            return version;
        }
    }
    "2025-12-01"
}

/// The resources that the status speaks of, by field.
fn made_of(object: &Value) -> BTreeMap<String, Value> {
    let resources = object["status"]["associatedResources"].as_array().cloned().unwrap_or_default();
    resources.into_iter().map(|one| (one["field"].as_str().unwrap_or_default().to_owned(), one)).collect()
}

fn message(object: &Value) -> String {
    condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

fn ip_rules(account: &Value) -> Vec<String> {
    let rules = account["properties"]["networkAcls"]["ipRules"].as_array().cloned().unwrap_or_default();
    rules.iter().filter_map(|rule| rule["value"].as_str().map(ToOwned::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_workspace_that_is_private_with_all_it_is_made_of() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.created_workspace();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let done = world.until_reason(&workspace, "Secured").await;
    assert_eq!(
        done["status"]["effective"],
        json!({"publicNetworkAccess": "Disabled", "isolationMode": "AllowOnlyApprovedOutbound"})
    );
    assert_eq!(condition(&done, "ResourcesReady")["status"], "True");
    let resources = made_of(&done);
    let fields: Vec<&String> = resources.keys().collect();
    assert_eq!(
        fields,
        [
            "applicationInsights",
            "applicationInsights.create.logWorkspace",
            "containerRegistry",
            "keyVault",
            "storageAccount"
        ]
    );
    let owner = format!("installation-{}/AmlWorkspace/{}/fraud/created", world.mark, world.team);
    let shown = world.in_azure("fraud").await;
    for (field, resource) in &resources {
        assert_eq!(
            (&resource["origin"], &resource["access"], &resource["missing"]),
            (&json!("Created"), &json!("PrivateEndpoint"), &Value::Null),
            "{field}"
        );
        let id = resource["resourceId"].as_str().expect("an id");
        if !field.ends_with("logWorkspace") {
            let named = shown["properties"][field].as_str().unwrap_or_default();
            assert!(named.eq_ignore_ascii_case(id), "the workspace is made of it: {named}");
        }
        assert_eq!(world.shown(id).await["tags"]["aml-operator.io-owner"], owner, "{field}");
        let ways = world.azure.reach_all("internet", id).expect("a place");
        assert!(!ways.is_empty(), "{field} has names");
        for way in ways {
            assert!(!way.reachable, "{field}: {} is reached from the internet: {}", way.name, way.reason);
        }
    }
    // What it is made of was there, and closed, before the workspace was asked for.
    let written = world.written();
    let place = |end: &str| written.iter().position(|write| write.starts_with("PUT") && write.contains(end));
    let workspace_at = place("MachineLearningServices/workspaces/fraud").expect("the workspace is created");
    for type_ in ["storageAccounts", "vaults", "registries", "components", "OperationalInsights"] {
        assert!(place(type_).is_some_and(|at| at < workspace_at), "{type_}: {written:#?}");
    }
    assert_eq!(
        written.iter().filter(|write| write.starts_with("PUT")).count(),
        6,
        "nothing is made twice: {written:#?}"
    );

    // At rest each resource costs one read a resync, which serves the posture too, and no write.
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    let reads =
        |id: &str| world.azure.requests().iter().filter(|request| request.path.eq_ignore_ascii_case(id)).count();
    let resyncs = reads(&world.workspace_id());
    for resource in resources.values() {
        let id = resource["resourceId"].as_str().expect("an id");
        assert!((1..=resyncs).contains(&reads(id)), "{id}: {} reads in {resyncs} resyncs", reads(id));
    }
    operator.stop().await;

    // Everything is lost but the manifests and Azure.
    world.wipe(&workspace).await;
    world.azure.clear_requests();
    world.apply(workspace.clone()).await;
    let operator = world.operator().await;
    let again = world.until_reason(&workspace, "Secured").await;
    assert_eq!(made_of(&again), resources);
    assert_eq!(world.written(), Vec::<String>::new());

    // The workspace may go; what it was made of stays.
    let mut going = workspace.clone();
    going["spec"]["deletionPolicy"] = json!("Delete");
    world.apply(going).await;
    world.until_reason(&workspace, "Secured").await;
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    assert_eq!(world.in_azure("fraud").await, Value::Null);
    for resource in resources.values() {
        let id = resource["resourceId"].as_str().expect("an id");
        assert_eq!(world.shown(id).await["id"].as_str().map(str::to_lowercase), Some(id.to_lowercase()));
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flaw_planted_by_hand_on_any_of_them_is_put_right_and_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.created_workspace();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let done = world.until_reason(&workspace, "Secured").await;
    let resources = made_of(&done);
    for (field, property, flaw, healthy) in [
        ("storageAccount", "publicNetworkAccess", json!("Enabled"), json!("Disabled")),
        ("storageAccount", "allowBlobPublicAccess", json!(true), json!(false)),
        ("keyVault", "publicNetworkAccess", json!("Enabled"), json!("Disabled")),
        ("containerRegistry", "publicNetworkAccess", json!("Enabled"), json!("Disabled")),
        ("containerRegistry", "adminUserEnabled", json!(true), json!(false)),
        ("applicationInsights", "publicNetworkAccessForIngestion", json!("Enabled"), json!("Disabled")),
        ("applicationInsights.create.logWorkspace", "publicNetworkAccessForQuery", json!("Enabled"), json!("Disabled")),
    ] {
        let id = resources[field]["resourceId"].as_str().expect("an id").to_owned();
        if field == "applicationInsights" {
            // A PATCH of a component changes its tags only.
            let mut whole = world.shown(&id).await;
            whole["properties"][property] = flaw.clone();
            world.meddle(Method::PUT, &id, &whole).await;
        } else {
            world.meddle(Method::PATCH, &id, &json!({"properties": {property: flaw}})).await;
        }
        let told = world
            .until(&workspace, &format!("{field} {property} is put right"), |object| {
                let drift = object["status"]["drift"].as_array().cloned().unwrap_or_default();
                let named = format!("{id} properties.{property}");
                drift.iter().any(|one| one["field"] == named.as_str())
                    && condition(object, "Ready")["reason"] == "Secured"
            })
            .await;
        assert_eq!(world.shown(&id).await["properties"][property], healthy, "{field}");
        assert_eq!(made_of(&told)[field]["missing"], Value::Null);
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_entries_stay_and_ones_own_go_with_the_manifest() {
    let world = World::new().await;
    let lake = world.id(STORAGE, "frauddata");
    let theirs = json!({"properties": {"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "20.9.9.9"}]}}});
    world.meddle(Method::PATCH, &lake, &theirs).await;
    let operator = world.operator().await;
    world.apply(world.open_connection()).await;
    let own = json!({"access": "Public", "ipRules": ["20.1.2.3", "20.2.0.0/16"], "trustWorkspace": true});
    let mut workspace = world.on_existing(&own);
    let words = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    words.push(json!({"door": "PublicNetworkAccess", "value": "SelectedAddresses"}));
    world.apply(workspace.clone()).await;
    let done = world.until_reason(&workspace, "Secured").await;
    let account = world.shown(&lake).await;
    assert_eq!(ip_rules(&account), ["20.9.9.9", "20.1.2.3", "20.2.0.0/16"]);
    let instance = &account["properties"]["networkAcls"]["resourceAccessRules"][0];
    assert_eq!(instance["resourceId"].as_str().map(str::to_lowercase), Some(world.workspace_id().to_lowercase()));
    assert_eq!(made_of(&done)["storageAccount"]["unmanagedEntries"], json!(["20.9.9.9"]));
    assert_eq!(account["tags"]["aml-operator.io-owner"], Value::Null, "what is only named is not claimed");

    workspace["spec"]["associatedResources"]["storageAccount"]["network"]["ipRules"] = json!(["20.2.0.0/16"]);
    world.apply(workspace.clone()).await;
    world
        .eventually("the address that is not declared any more is gone", async || {
            ip_rules(&world.shown(&lake).await) == ["20.9.9.9", "20.2.0.0/16"]
        })
        .await;
    world
        .until(&workspace, "as declared", |object| {
            object["status"]["observedGeneration"] == 2 && condition(object, "Ready")["reason"] == "Secured"
        })
        .await;
    workspace["spec"]["associatedResources"]["storageAccount"]["network"]["ownership"] = json!("Exclusive");
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    assert!(message(&asked).contains(r#"{door: ExclusiveRules, value: "20.9.9.9"}"#), "{}", message(&asked));
    let words = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    words.push(json!({"door": "ExclusiveRules", "value": "20.9.9.9"}));
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    assert_eq!(ip_rules(&world.shown(&lake).await), ["20.2.0.0/16"]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workspaces_that_share_an_account_do_not_lose_each_others_entries() {
    let world = World::new().await;
    let lake = world.id(STORAGE, "frauddata");
    let operator = world.operator().await;
    world.apply(world.open_connection()).await;
    let of = |name: &str, address: &str| {
        let mut workspace =
            world.on_existing(&json!({"access": "Public", "ipRules": [address], "ownership": "Exclusive"}));
        workspace["metadata"]["name"] = json!(name);
        let spec = &mut workspace["spec"];
        spec["managedNetwork"].as_object_mut().expect("a network").remove("provision");
        let words = spec["acknowledge"].as_array_mut().expect("a list");
        words.push(json!({"door": "PublicNetworkAccess", "value": "SelectedAddresses"}));
        workspace
    };
    let (one, two) = (of("fraud", "20.1.1.1"), of("risk", "20.2.2.2"));
    world.apply(one.clone()).await;
    world.apply(two.clone()).await;
    for workspace in [&one, &two] {
        let done = world.until_reason(workspace, "Secured").await;
        assert_eq!(made_of(&done)["storageAccount"]["unmanagedEntries"], Value::Null);
    }
    let both = |mut rules: Vec<String>| {
        rules.sort();
        rules == ["20.1.1.1", "20.2.2.2"]
    };
    world.eventually("both are let in", async || both(ip_rules(&world.shown(&lake).await))).await;
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "neither undoes the other's work");
    assert!(both(ip_rules(&world.shown(&lake).await)));

    // One of them wants it closed; that holds, and the other says who wants it so.
    let mut closing = two.clone();
    closing["spec"]["associatedResources"]["storageAccount"]["network"] = json!({"access": "PrivateEndpoint"});
    world.apply(closing.clone()).await;
    world
        .eventually("it is closed", async || {
            world.shown(&lake).await["properties"]["publicNetworkAccess"] == "Disabled"
        })
        .await;
    let waits = world.until_reason(&one, "ManagedElsewhere").await;
    assert!(message(&waits).contains(&format!("{}/risk", world.team)), "{}", message(&waits));
    world.until_reason(&closing, "Secured").await;
    world.rest().await;
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_busy_with_somebody_elses_change_is_waited_for() {
    let seconds = OperationSeconds { storage_update: 5.0, ..OperationSeconds::all(0.05) };
    let world = World::with(Settings { operation_seconds: seconds, ..settings() }).await;
    let lake = world.id(STORAGE, "frauddata");
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    world.until_reason(&world.connection_manifest(), "Available").await;
    let workspace = world.on_existing(&json!({"access": "PrivateEndpoint"}));
    world.meddle(Method::PATCH, &lake, &json!({"properties": {"allowBlobPublicAccess": true}})).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let answers: Vec<(String, Option<u16>)> = world
        .azure
        .requests()
        .into_iter()
        .filter(|request| request.method == "PATCH" && request.path.ends_with("/frauddata"))
        .map(|request| (request.method, request.status))
        .collect();
    assert!(answers.iter().any(|(_, status)| *status == Some(409)), "it was busy: {answers:?}");
    assert_eq!(world.shown(&lake).await["properties"]["publicNetworkAccess"], "Disabled");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_waits_for_what_it_is_made_of_and_says_for_which() {
    let world = World::seeded(settings(), |seed, subscription| {
        let id = format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{REGISTRY}/images");
        let more: Seed = serde_json::from_value(
            json!({"resources": [{"id": id, "location": "westeurope", "sku": {"name": "Basic"}}]}),
        )
        .expect("a seed");
        seed.resources.extend(more.resources);
    })
    .await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["associatedResources"]["containerRegistry"] =
        json!({"resourceId": world.id(REGISTRY, "images"), "network": {"access": "PrivateEndpoint"}});
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    let words = message(&asked);
    assert!(
        words.contains("container registry images") && words.contains("{door: RegistrySku, value: Premium}"),
        "{words}"
    );
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "said before it is tried, and no workspace before it is closed");
    let list = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    list.push(json!({"door": "RegistrySku", "value": "Premium"}));
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let registry = world.shown(&world.id(REGISTRY, "images")).await;
    assert_eq!(
        (&registry["sku"]["name"], &registry["properties"]["publicNetworkAccess"]),
        (&json!("Premium"), &json!("Disabled"))
    );

    // Azure refuses to change the vault: the workspace itself is looked after all the same.
    let vault = world.id("Microsoft.KeyVault/vaults", "fraudkeys");
    world.azure.add_fault(Fault::status(400, "Bad").method("PATCH").path("fraudkeys"));
    workspace["spec"]["associatedResources"]["keyVault"]["network"] = json!({"access": "PrivateEndpoint"});
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "AzureRefused").await;
    assert!(message(&refused).contains(&vault), "{}", message(&refused));
    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    world
        .eventually("the workspace is closed again", async || {
            world.in_azure("fraud").await["properties"]["publicNetworkAccess"] == "Disabled"
        })
        .await;
    world.azure.clear_faults();
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_observe_or_to_be_suspended_writes_nothing_and_to_check_only_tells() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["verbs"] = json!(["reach"]);
    world.apply(connection).await;
    let mut workspace = world.on_existing(&json!({"access": "PrivateEndpoint"}));
    workspace["spec"]["associatedResources"]["keyVault"] = json!({"create": {}});
    workspace["spec"]["managementPolicy"] = json!("Observe");
    world.apply(workspace.clone()).await;
    let told = world.until_reason(&workspace, "Differs").await;
    let would = told["status"]["wouldWrite"].as_array().cloned().expect("a list");
    let lake = world.id(STORAGE, "frauddata");
    let closed = json!({"verb": "PATCH", "id": lake, "field": "properties.publicNetworkAccess", "from": "Enabled", "to": "Disabled"});
    assert!(would.contains(&closed), "{would:#?}");
    assert!(
        would.iter().any(|one| one["verb"] == "PUT" && one["id"].to_string().contains("Microsoft.KeyVault/vaults/"))
    );
    assert_eq!(made_of(&told)["keyVault"]["missing"], json!(["it does not exist"]));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;

    world.apply(world.connection_manifest()).await;
    let mut workspace = world.on_existing(&json!({"access": "PrivateEndpoint"}));
    workspace["spec"]["suspend"] = json!(true);
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Suspended").await;
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());

    workspace["spec"]["suspend"] = json!(false);
    workspace["spec"]["associatedResources"]["storageAccount"]["network"]["manage"] = json!(false);
    world.apply(workspace.clone()).await;
    let told = world.until_reason(&workspace, "Differs").await;
    assert!(message(&told).contains("storage account frauddata"), "{}", message(&told));
    assert!(message(&told).contains("manage: false"), "{}", message(&told));
    assert!(!world.written().iter().any(|write| write.contains("storageAccounts")), "{:?}", world.written());
    assert_eq!(world.in_azure("fraud").await["properties"]["provisioningState"], "Succeeded", "it holds nobody up");
    world
        .meddle(
            Method::PATCH,
            &lake,
            &json!({"properties": {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}}),
        )
        .await;
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_asks_for_its_verb_and_opening_for_grant_and_word() {
    let world = World::new().await;
    let operator = world.operator().await;
    let verbs = |verbs: Value| {
        let mut connection = world.connection_manifest();
        connection["spec"]["grants"][0]["verbs"] = verbs;
        connection
    };
    // Naming is enough to look, not to change.
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let mut connection = verbs(json!(["reach"]));
    let own =
        json!({"namespaces": {"names": [world.team]}, "scope": world.workspace_id(), "verbs": ["create", "configure"]});
    connection["spec"]["grants"].as_array_mut().expect("grants").push(own.clone());
    world.apply(connection.clone()).await;
    let existing = world.on_existing(&json!({"access": "PrivateEndpoint"}));
    world.apply(existing.clone()).await;
    let refused = world.until_reason(&existing, "ScopeNotAllowed").await;
    let lake = world.id(STORAGE, "frauddata");
    assert!(message(&refused).contains(&format!("configure {lake}")), "{}", message(&refused));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    world.delete(&existing).await;
    world.until_gone(&existing).await;

    let created = world.created_workspace();
    world.apply(created.clone()).await;
    let refused = world.until_reason(&created, "ScopeNotAllowed").await;
    assert!(message(&refused).contains("create ") && message(&refused).contains(&group), "{}", message(&refused));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    world.delete(&created).await;
    world.until_gone(&created).await;

    // Public means public: the grant first, then the word.
    world.apply(world.connection_manifest()).await;
    let mut public = world.created_workspace();
    public["spec"]["profile"] = json!("Public");
    public["spec"]["managedNetwork"] = json!({});
    public["spec"]["acknowledge"] = json!([]);
    world.apply(public.clone()).await;
    world.until_reason(&public, "EgressNotAllowed").await;
    world.apply(world.open_connection()).await;
    world.until_reason(&public, "AcknowledgementRequired").await;
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    public["spec"]["acknowledge"] = json!([{"door": "PublicNetworkAccess", "value": "Enabled"}]);
    world.apply(public.clone()).await;
    let done = world.until_reason(&public, "Secured").await;
    assert_eq!(done["status"]["effective"], json!({"publicNetworkAccess": "Enabled", "isolationMode": "Disabled"}));
    let storage = made_of(&done)["storageAccount"]["resourceId"].as_str().expect("an id").to_owned();
    assert!(world.azure.reach_all("internet", &storage).expect("a place").iter().all(|way| way.reachable));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_under_the_name_and_carries_no_tag_is_left_alone() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["associatedResources"]["storageAccount"] = json!({"create": {"name": "lake"}});
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "AdoptionRefused").await;
    assert!(message(&refused).contains("storage account lake"), "{}", message(&refused));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    workspace["spec"]["adoption"] = json!("Always");
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let tag = world.shown(&world.lake()).await["tags"]["aml-operator.io-owner"].clone();
    assert!(tag.as_str().is_some_and(|tag| tag.ends_with("/fraud/adopted")), "{tag}");
    operator.stop().await;
}

/// What of a run must be the same whatever happened on the way.
#[derive(Debug, PartialEq)]
struct End {
    /// Each resource that is looked after, by type, with what decides its security.
    there: Vec<Value>,
}

struct Run {
    end: End,
    started: BTreeMap<String, usize>,
    passed: Vec<(Moment, Effect)>,
}

/// The type of the resource in an ARM path, without its name, which differs between runs.
fn type_of(path: &str) -> String {
    let below = path.rsplit("/providers/").next().unwrap_or(path);
    below.split('/').take(2).collect::<Vec<_>>().join("/")
}

/// Makes a workspace from nothing, beside a vault that is there and open, with an operator that is cut at the `at`-th passage of the seam
/// and a second one that goes on.
async fn cut_run(at: Option<usize>) -> Run {
    let world = World::new().await;
    let cut = Arc::new(Cut::at(at));
    let first = world.operator_through(Seam::watched(cut.clone())).await;
    let mut workspace = world.created_workspace();
    let spec = &mut workspace["spec"];
    spec["managedNetwork"] = json!({});
    spec["associatedResources"]["keyVault"] = json!({"resourceId": world.id("Microsoft.KeyVault/vaults", "fraudkeys")});
    spec["associatedResources"]["applicationInsights"] = json!({"resourceId": world.id("Microsoft.Insights/components", "fraudinsights"), "network": {"manage": false, "access": "Public"}});
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let mut operators = vec![first];
    let restart = async {
        cut.reached().await;
        operators.remove(0).cut().await;
        operators.push(world.operator().await);
        futures::future::pending::<()>().await;
    };
    let scenario = async {
        world.until_reason(&workspace, "Secured").await;
        world.until(&workspace, "no operation left", |object| object["status"]["operations"].is_null()).await;
    };
    tokio::select! {
        () = scenario => {}
        () = restart => {}
    }
    for operator in operators {
        operator.cut().await;
    }
    let done = world.read(&workspace).await.expect("the object is there");
    let mut there = Vec::new();
    for (field, resource) in made_of(&done) {
        let shown = world.shown(resource["resourceId"].as_str().expect("an id")).await;
        let properties = &shown["properties"];
        let tag =
            shown["tags"]["aml-operator.io-owner"].as_str().and_then(|tag| tag.rsplit('/').next().map(str::to_owned));
        there.push(json!([
            field,
            tag,
            properties["provisioningState"],
            properties["publicNetworkAccess"],
            properties["networkAcls"],
            properties["networkRuleSet"],
            resource["missing"]
        ]));
    }
    let mut started: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.writes().into_iter().filter(|request| request.status.is_some_and(|status| status < 300)) {
        *started.entry(format!("{} {}", request.method, type_of(&request.path))).or_default() += 1;
    }
    Run { end: End { there }, started, passed: cut.passed() }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_effect_the_end_is_the_same_and_nothing_is_made_twice() {
    let whole = cut_run(None).await;
    assert_eq!(whole.end.there.len(), 4, "{:?}", whole.end);
    let passages = whole.passed.len();
    assert!(passages >= 20, "the job has many effects: {passages}");
    let mut runs = futures::stream::iter(
        (0..passages).map(|at| async move { (at, tokio::spawn(cut_run(Some(at))).await.expect("the run ends")) }),
    )
    .buffer_unordered(6);
    let mut hit = 0;
    while let Some((at, cut)) = runs.next().await {
        let what = cut
            .passed
            .get(at)
            .map_or_else(|| "after the last effect".into(), |(moment, effect)| format!("{moment:?} {effect}"));
        hit += usize::from(cut.passed.len() > at);
        assert_eq!(cut.end, whole.end, "cut at {at}: {what}");
        for (write, count) in &cut.started {
            let usual = whole.started.get(write).copied().unwrap_or_default();
            let allowed = usual + usize::from(unrecorded(&cut.passed, at));
            assert!(*count <= allowed, "cut at {at}: {what}: {write} {count} times, usually {usual}");
        }
    }
    assert!(hit * 10 >= passages * 9, "nearly every cut must hit: {hit} of {passages}");
}
