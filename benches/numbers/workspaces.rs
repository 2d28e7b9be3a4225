//! A thousand workspaces with five rules each: what each costs, whether a thousand cost more each than a hundred, and whether a
//! change waits for them.

use futures::{StreamExt, stream};
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::executable::{Executable, until};
use crate::process::{processor, resident, start, stop};
use crate::support::{World, settings};
use crate::table::Table;
use crate::{Count, SETTLE, TRIES, first_write, median, until_active};
use arm_simulator::OperationSeconds;

/// How many workspaces there are, one after the other.
const WORKSPACES: [usize; 2] = [100, 1_000];
/// How many rules each has.
const RULES: usize = 5;
/// How many lie in one subscription: ARM lets so many be made at once there without asking to slow down.
const TOGETHER: usize = 20;
/// How much more each of the many may cost than each of the few.
const DEARER: f64 = 1.5;

/// The namespace of workspace `number`, and its subscription.
fn place(world: &World, number: usize) -> (String, String) {
    let group = number / TOGETHER;
    (format!("{}-{group}", world.team), format!("00000000-0000-0000-5ca1-{group:012x}"))
}

/// Workspace `number`.
fn workspace(world: &World, number: usize) -> Value {
    let (namespace, subscription) = place(world, number);
    let text = world.workspace_manifest().to_string().replace(&world.subscription, &subscription);
    let mut workspace: Value = serde_json::from_str(&text).expect("JSON");
    workspace["metadata"] = json!({"name": format!("ws-{number:04}"), "namespace": namespace});
    workspace["spec"]["connectionRef"]["name"] = format!("{}-many", world.connection).into();
    workspace
}

/// Rule `rule` of workspace `number`.
fn rule(world: &World, number: usize, rule: usize) -> Value {
    let mut manifest = world.fqdn(&format!("ws-{number:04}-{rule}"), &format!("host-{number}-{rule}.example.org"));
    manifest["metadata"]["namespace"] = place(world, number).0.into();
    manifest["spec"]["workspaceRef"]["name"] = format!("ws-{number:04}").into();
    manifest
}

/// A connection of their own, with a grant for each namespace, and what the workspaces need in Azure.
async fn prepare(world: &World) {
    let groups = WORKSPACES[WORKSPACES.len() - 1] / TOGETHER;
    let places: Vec<(String, String)> = (0..groups).map(|group| place(world, group * TOGETHER)).collect();
    let mut connection = world.connection_manifest();
    connection["metadata"]["name"] = format!("{}-many", world.connection).into();
    let grant = |(namespace, subscription): &(String, String)| {
        json!({"namespaces": {"names": [namespace]}, "scope": format!("/subscriptions/{subscription}/resourceGroups/rg"),
            "verbs": ["create", "configure", "reach"], "egress": {"fqdns": ["*.example.org"]}})
    };
    connection["spec"]["grants"] = places.iter().map(grant).collect();
    for (namespace, subscription) in &places {
        world.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        let id = |type_: &str, name: &str| {
            format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{type_}/{name}")
        };
        let seed = json!({
            "subscriptions": [{"subscriptionId": subscription, "tenantId": crate::support::TENANT}],
            "resourceGroups": [{"subscriptionId": subscription, "name": "rg", "location": "westeurope"}],
            "resources": [
                {"id": id("Microsoft.Storage/storageAccounts", "frauddata"), "location": "westeurope"},
                {"id": id("Microsoft.KeyVault/vaults", "fraudkeys"), "location": "westeurope"},
                {"id": id("Microsoft.Insights/components", "fraudinsights"), "location": "westeurope"},
            ],
            "roleAssignments": [{"scope": format!("/subscriptions/{subscription}"), "role": "Owner",
                "principalId": crate::support::OBJECT}],
        });
        world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the subscription is there");
    }
    world.apply(connection).await;
}

/// Brings the workspaces in two steps, and then looks at them again while somebody changes one.
pub(crate) async fn many_workspaces(world: &World, program: &str, table: &mut Table) {
    // Azure answers at once: what is measured is the operator.
    world.azure.settings(|settings| settings.operation_seconds = OperationSeconds::all(0.0));
    prepare(world).await;
    let (mut there, mut costs) = (0, Vec::new());
    for count in WORKSPACES {
        costs.extend(bring(world, program, table, there, count).await);
        there = count;
    }
    if let [few, many] = costs.as_slice() {
        let times = many / few;
        let what = format!("the same, each of {} to each of {}, times", WORKSPACES[1], WORKSPACES[0]);
        table.held(&what, times, 2, "<= 1.5", times <= DEARER);
    }
    look_again(world, program, table).await;
    world.azure.settings(|now| *now = settings());
}

/// Makes of `there` workspaces `count`, all known when the operator starts. Returns the processor time for each new one, in ms.
async fn bring(world: &World, program: &str, table: &mut Table, there: usize, count: usize) -> Option<f64> {
    let new = count - there;
    let manifests = (there..count).flat_map(|number| {
        std::iter::once(workspace(world, number)).chain((0..RULES).map(move |one| rule(world, number, one)))
    });
    stream::iter(manifests).for_each_concurrent(16, |manifest| world.apply(manifest)).await;
    let before = world.last_request();
    let operator = start(world, program, &[]).await;
    all_ready(world, &operator, "AmlWorkspace", new).await;
    all_ready(world, &operator, "OutboundRule", new * RULES).await;
    let spent = processor(&operator);
    let memory = resident(&operator);
    stop(operator).await;
    let made = |request: &arm_simulator::RequestEntry| request.path.contains("/subscriptions/00000000-0000-0000-5ca1-");
    let requests: Vec<_> = world.azure.requests_since(before).into_iter().filter(made).collect();
    let of_new: Vec<_> =
        requests.into_iter().filter(|request| number_in(&request.path).is_some_and(|n| n >= there)).collect();
    let requests = Count::of(&of_new);
    let what = format!("ARM writes a workspace with {RULES} rules, {new} at once");
    let writes = requests.writes as f64 / new as f64;
    table.held(&what, writes, 2, "3", requests.writes == 3 * new);
    let reads = requests.reads as f64 / new as f64;
    table.told(&format!("ARM reads a workspace with {RULES} rules, {new} at once"), format!("{reads:.1}"));
    if let Some(memory) = memory {
        let what = format!("resident memory, {count} workspaces with {} rules, just made, MiB", count * RULES);
        table.told(&what, format!("{memory:.1}"));
    }
    let each = spent? * 1000.0 / new as f64;
    table.told(&format!("processor time a workspace, {new} at once, ms"), format!("{each:.1}"));
    Some(each)
}

/// The number of the workspace that a path is about.
fn number_in(path: &str) -> Option<usize> {
    let (_, rest) = path.split_once("/workspaces/ws-")?;
    rest.get(..4)?.parse().ok()
}

/// Waits until all objects of `kind` are ready, of which `new` are not yet, however long it takes as long as it goes on.
async fn all_ready(world: &World, operator: &Executable, kind: &str, new: usize) {
    let all = world.api(kind, None).list(&ListParams::default()).await.expect("the objects").items.len();
    let label = format!("kind=\"{kind}\",ready=\"True\"");
    for some in 1..=20 {
        let wanted = all - new + new * some / 20;
        let ready = async || (operator.metric("aml_operator_objects", &label).await >= wanted as f64).then_some(());
        until("more that are ready", ready).await;
    }
}

/// With all of them looked at again and again: what a look costs, and how long a change waits.
async fn look_again(world: &World, program: &str, table: &mut Table) {
    const RESYNC: &str = "20";
    let count = WORKSPACES[WORKSPACES.len() - 1];
    let operator = start(world, program, &["--resync", RESYNC]).await;
    operator.ready().await;
    let looked = || looks(&world.azure.requests_since(0));
    world.azure.clear_requests();
    until("all were looked at", async || (looked() >= count).then_some(())).await;
    tokio::time::sleep(SETTLE).await;

    let (before, spent) = (world.last_request(), processor(&operator));
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let requests = world.azure.requests_since(before);
    let (looks, requests) = (looks(&requests), Count::of(&requests));
    assert!(looks > count / 2, "{looks} looks only");
    let reads = requests.reads as f64 / looks as f64;
    table.held(&format!("ARM reads a resync, each of {count} workspaces"), reads, 1, "2", reads < 2.05);
    table.held(
        &format!("ARM writes while {count} workspaces are looked at again"),
        requests.writes as f64,
        0,
        "0",
        requests.writes == 0,
    );
    if let (Some(before), Some(after)) = (spent, processor(&operator)) {
        let each = (after - before) * 1000.0 / looks as f64;
        table.told(&format!("processor time a resync, each of {count} workspaces, ms"), format!("{each:.1}"));
    }
    let memory = resident(&operator);

    let mut times = Vec::new();
    for number in 0..TRIES {
        let rule = rule(world, number * 7, RULES);
        times.push(first_write(world, &rule).await);
        until_active(world, &[rule]).await;
    }
    let time = median(&mut times);
    table.held("apply of a rule to first ARM write, meanwhile, ms (p50)", time, 0, "< 100", time < 100.0);
    if let Some(memory) = memory {
        let what = format!("resident memory, {count} workspaces with {} rules, MiB", count * RULES);
        table.held(&what, memory, 1, "< 48", memory < 48.0);
    }
    stop(operator).await;
}

/// How many looks at workspaces there are among `requests`.
fn looks(requests: &[arm_simulator::RequestEntry]) -> usize {
    let own = |request: &&arm_simulator::RequestEntry| {
        request.method == "GET" && number_in(&request.path).is_some() && !request.path.contains("/outboundRules")
    };
    requests.iter().filter(own).count()
}
