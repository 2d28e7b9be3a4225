//! Policies on all resources of a type in a resource group, and how often targets are looked at.

use std::collections::BTreeSet;
use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use aml_operator::plan::names::fingerprint;

use crate::attacks::LIST;
use crate::support::{OPERATOR_NAMESPACE, World, condition, settings};

const STORAGE: &str = "Microsoft.Storage/storageAccounts";

impl World {
    /// ARM id of the group that holds what group policies are for.
    fn data(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/data", self.subscription)
    }

    fn in_data(&self, type_: &str, name: &str) -> String {
        format!("{}/providers/{type_}/{name}", self.data())
    }

    fn account(&self, name: &str) -> String {
        self.in_data(STORAGE, name)
    }

    fn create_account(&self, name: &str) {
        let seed = json!({"resources": [{"id": self.account(name), "location": "westeurope"}]});
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the account is created");
    }

    /// A world with a group of two storage accounts, on which the platform's namespace may approve below `scopes`.
    async fn with_data(scopes: impl Fn(&Self) -> Vec<String>) -> Self {
        let world = Self::seeded(settings(), |seed, subscription| {
            let more = json!({
                "resourceGroups": [{"subscriptionId": subscription, "name": "data", "location": "westeurope"}],
                "resources": [{"location": "westeurope", "id": format!(
                    "/subscriptions/{subscription}/resourceGroups/data/providers/Microsoft.Sql/servers/orders")}],
            });
            let more: arm_simulator::Seed = serde_json::from_value(more).expect("a seed");
            seed.resource_groups.extend(more.resource_groups);
            seed.resources.extend(more.resources);
        })
        .await;
        ["alpha", "beta"].iter().for_each(|name| world.create_account(name));
        let mut connection = world.connection_manifest();
        connection["spec"]["grants"] = scopes(&world)
            .into_iter()
            .map(|scope| json!({"namespaces": {"names": [world.platform]}, "scope": scope, "verbs": ["approve"]}))
            .collect();
        world.apply(connection).await;
        world
    }

    /// The policy that lets the hub's endpoints at every storage account of the group.
    pub(crate) fn group_policy(&self) -> Value {
        let mut policy = self.policy(&self.platform, "accounts", "lake-*");
        policy["spec"]["target"] = json!({"resourceGroupId": self.data(), "resourceType": STORAGE});
        policy
    }

    /// How often the connections of `target` were listed.
    fn looks_at(&self, target: &str) -> usize {
        let path = format!("{target}/{LIST}");
        let asked = self.azure.requests().into_iter();
        asked.filter(|request| request.method == "GET" && request.path.eq_ignore_ascii_case(&path)).count()
    }

    /// The state of each connection in the world: name of the target, name of the endpoint, state.
    fn connected(&self) -> BTreeSet<(String, String, String)> {
        let state = self.azure.state_json();
        let all = state[LIST].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.map(|(_, one)| {
            let (id, properties) = (text(&one["id"]), &one["properties"]);
            let target = id.split(&format!("/{LIST}/")).next().unwrap_or_default().to_owned();
            let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
            let endpoint = last(&text(&properties["privateEndpoint"]["id"]));
            (last(&target), endpoint, text(&properties["privateLinkServiceConnectionState"]["status"]))
        })
        .collect()
    }
}

fn states(all: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    all.iter().map(|(target, endpoint, state)| ((*target).into(), (*endpoint).into(), (*state).into())).collect()
}

fn message(object: &Value, type_: &str) -> String {
    condition(object, type_)["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_s_policy_decides_on_all_its_resources_of_the_type_also_on_later_ones() {
    let world = World::with_data(|world| vec![world.data()]).await;
    let orders = world.in_data("Microsoft.Sql/servers", "orders");
    for target in [&world.account("alpha"), &world.account("beta"), &orders] {
        world.knock(target, &world.ours("hub", "lake-1"));
        world.knock(target, &world.ours("spoke", "lake-2"));
    }
    let mut policy = world.group_policy();
    policy["spec"]["onDelete"] = json!("Withdraw");
    policy["spec"]["gracePeriod"] = json!("0s");
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let seen = world.until(&policy, "both", |seen| seen["status"]["approved"] == 2).await;
    assert_eq!((&seen["status"]["targets"], &seen["status"]["pending"]), (&json!(2), &json!(2)), "{}", seen["status"]);
    let listed: BTreeSet<(&str, &str)> = seen["status"]["connections"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| (one["target"].as_str().unwrap_or_default(), one["decision"].as_str().unwrap_or_default()))
        .collect();
    let (alpha, beta) = (world.account("alpha"), world.account("beta"));
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert!(
        listed.iter().all(|(target, _)| [alpha.as_str(), &beta].contains(target)),
        "each names its target: {listed:?}"
    );

    world.create_account("gamma");
    world.knock(&world.account("gamma"), &world.ours("hub", "lake-3"));
    world.until(&policy, "the third", |seen| seen["status"]["targets"] == 3 && seen["status"]["approved"] == 3).await;
    world.rest().await;
    let before = states(&[
        ("alpha", "lake-1", "Approved"),
        ("alpha", "lake-2", "Pending"),
        ("beta", "lake-1", "Approved"),
        ("beta", "lake-2", "Pending"),
        ("gamma", "lake-3", "Approved"),
        ("orders", "lake-1", "Pending"),
        ("orders", "lake-2", "Pending"),
    ]);
    assert_eq!(world.connected(), before);
    assert_eq!(world.decisions().len(), 3, "one write each: {:?}", world.written());
    assert!(
        world.azure.requests().iter().all(|request| !request.path.contains("Microsoft.Sql")),
        "nobody asked for SQL"
    );

    world.delete(&policy).await;
    world.until_gone(&policy).await;
    let after = before.into_iter().map(|(target, endpoint, state)| {
        let state = if state == "Approved" { "Rejected".to_owned() } else { state };
        (target, endpoint, state)
    });
    assert_eq!(world.connected(), after.collect());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_grant_covers_in_the_group_is_skipped_and_named() {
    let world = World::with_data(|world| vec![world.account("alpha")]).await;
    ["alpha", "beta"].iter().for_each(|name| world.knock(&world.account(name), &world.ours("hub", "lake-1")));
    let policy = world.group_policy();
    let mut vaults = world.group_policy();
    vaults["metadata"]["name"] = json!("vaults");
    vaults["spec"]["target"]["resourceType"] = json!("Microsoft.KeyVault/vaults");
    let mut unknown = vaults.clone();
    unknown["metadata"]["name"] = json!("unknown");
    unknown["spec"]["target"]["resourceType"] = json!("Contoso.Made/ups");
    for policy in [&policy, &vaults, &unknown] {
        world.apply(policy.clone()).await;
    }
    let operator = world.operator().await;
    world.until_reason(&vaults, "ScopeNotAllowed").await;
    world.until_reason(&unknown, "UnsupportedTarget").await;
    let seen = world.until(&policy, "the one", |seen| seen["status"]["approved"] == 1).await;
    world.rest().await;
    assert_eq!(condition(&seen, "Ready")["reason"], "InForce");
    assert!(message(&seen, "TargetsSkipped").contains(&world.account("beta")), "{}", message(&seen, "TargetsSkipped"));
    assert_eq!(world.connected(), states(&[("alpha", "lake-1", "Approved"), ("beta", "lake-1", "Pending")]));
    let beyond = |path: &str| path.contains("/beta") || path.contains("KeyVault") || path.contains("Contoso");
    assert!(world.azure.requests().iter().all(|request| !beyond(&request.path)), "nothing else was asked for");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_on_the_group_and_one_on_a_resource_decide_together() {
    let world = World::with_data(|world| vec![world.data()]).await;
    ["alpha", "beta"].iter().for_each(|name| world.knock(&world.account(name), &world.ours("hub", "lake-1")));
    let mut security = world.policy(&world.platform, "security", "lake-*");
    security["spec"]["target"] = json!({"resourceId": world.account("beta")});
    security["spec"]["hold"] = security["spec"]["allow"].take();
    security["spec"]["allow"] = json!([]);
    world.apply(security.clone()).await;
    world.apply(world.group_policy()).await;
    let operator = world.operator().await;
    let policy = world.group_policy();
    let done = |seen: &Value| seen["status"]["approved"] == 1 && seen["status"]["unmatched"] == 1;
    world.until(&policy, "one of two", done).await;
    world.rest().await;
    assert_eq!(world.connected(), states(&[("alpha", "lake-1", "Approved"), ("beta", "lake-1", "Pending")]));
    // What one of them says is heard by the other at once.
    world.delete(&security).await;
    world.until(&policy, "both", |seen| seen["status"]["approved"] == 2).await;
    operator.stop().await;
}

/// A page of the ledger that is gone holds its target only, and a resource that is new needs none.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_page_holds_one_target_of_the_group_and_a_new_one_goes_on() {
    let world = World::with_data(|world| vec![world.data()]).await;
    let policy = world.group_policy();
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until(&policy, "both", |seen| seen["status"]["targets"] == 2).await;
    operator.stop().await;
    let secrets = world.api("Secret", Some(OPERATOR_NAMESPACE));
    let page = |of: &str| format!("aml-ledger-{}", fingerprint(&[&of.to_lowercase()]));
    secrets.delete(&page(&world.account("alpha")), &DeleteParams::default()).await.expect("the page is deleted");
    world.create_account("gamma");
    for name in ["alpha", "beta", "gamma"] {
        world.knock(&world.account(name), &world.ours("hub", "lake-1"));
    }
    let operator = world.operator().await;
    let held = world.until_reason(&policy, "LedgerDamaged").await;
    assert!(message(&held, "Ready").contains(&world.account("alpha")), "{}", message(&held, "Ready"));
    let rest = [("alpha", "lake-1", "Pending"), ("beta", "lake-1", "Approved"), ("gamma", "lake-1", "Approved")];
    world.eventually("the others", async || world.connected() == states(&rest)).await;
    operator.stop().await;
    // With the group's own page gone, nothing tells what was attended.
    let group = page(&format!("{}/providers/{STORAGE}", world.data()));
    secrets.delete(&group, &DeleteParams::default()).await.expect("the page is deleted");
    world.knock(&world.account("beta"), &world.ours("hub", "lake-2"));
    let operator = world.operator().await;
    world.until(&policy, "all held", |seen| message(seen, "Ready").contains(&group)).await;
    world.rest().await;
    assert!(world.connected().contains(&("beta".into(), "lake-2".into(), "Pending".into())));
    let none = json!({"metadata": {"finalizers": null}});
    let api = world.api("PrivateEndpointApproval", Some(&world.platform));
    api.patch("accounts", &PatchParams::default(), &Patch::Merge(&none)).await.expect("the finalizer is taken off");
    operator.stop().await;
}

/// Nothing here measures time: the target on which something is expected is the clock for the one at rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_looked_at_often_only_while_something_is_expected_there() {
    let operation_seconds = OperationSeconds { rule: 36_000.0, ..OperationSeconds::all(0.05) };
    let mut world = World::with(Settings { operation_seconds, ..settings() }).await;
    world.pace.resync = Duration::from_secs(3600);
    world.pace.connections = Duration::from_secs(3600);
    let pond = world.id(STORAGE, "frauddata");
    let mut connection = world.connection_manifest();
    let grants = connection["spec"]["grants"].as_array_mut().expect("grants");
    grants.push(json!({"namespaces": {"names": [world.platform]}, "scope": pond, "verbs": ["approve"]}));
    let mut other = world.policy(&world.platform, "pond", "lake-*");
    other["spec"]["target"]["resourceId"] = json!(pond);
    let operator = world.operator().await;
    world.apply(connection).await;
    world.apply(world.workspace_manifest()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    for policy in [&world.approval_manifest(), &other] {
        world.apply(policy.clone()).await;
        world.until_reason(policy, "InForce").await;
    }
    // A rule to the lake is on its way for hours: the lake is looked at again and again, the pond only when something changes.
    world.grant(&world.lake(), "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &world.principal().await);
    let before = (world.looks_at(&world.lake()), world.looks_at(&pond));
    world.apply(world.lake_rule("rule")).await;
    world.eventually("many looks", async || world.looks_at(&world.lake()) >= before.0 + 60).await;
    let idle = world.looks_at(&pond) - before.1;
    assert!(idle <= 10, "{idle} looks at what nobody waits for");
    operator.cut().await;
}
