//! A hundred workspaces, each used from two networks: what an attachment costs, whether a hundred cost more each than ten, and whether
//! anything is done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use arm_simulator::{OperationSeconds, RequestEntry};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::executable::{Executable, until};
use crate::process::{processor, resident, start, stop};
use crate::support::{OBJECT, TENANT, World, settings};
use crate::table::Table;
use crate::{Count, SETTLE};

/// How many workspaces there are, one after the other.
const WORKSPACES: [usize; 2] = [10, 100];
/// How many share the networks and the zones of one subscription.
const TOGETHER: usize = 10;
/// The networks, each in a resource group of its own.
const NETWORKS: [&str; 2] = ["hub", "people"];
/// Endpoints of one attachment: workspace, blob, file, vault, registry.
const ENDPOINTS: usize = 5;
/// How much more each of the many may cost than each of the few.
const DEARER: f64 = 1.1;

const TYPES: [&str; 4] = [
    "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerRegistry/registries",
];

/// The namespace of workspace `number`, and its subscription.
fn place(world: &World, number: usize) -> (String, String) {
    let group = number / TOGETHER;
    (format!("{}-net-{group}", world.team), format!("00000000-0000-0000-5ca2-{group:012x}"))
}

fn connection(world: &World) -> String {
    format!("{}-networks", world.connection)
}

/// Workspace `number`, with the two that attach it.
fn manifests(world: &World, number: usize) -> Vec<Value> {
    let (namespace, subscription) = place(world, number);
    let group = format!("/subscriptions/{subscription}/resourceGroups");
    let part = |type_: &str, name: &str| json!({"resourceId": format!("{group}/rg/providers/{type_}/{name}{number}")});
    let name = format!("net-{number:04}");
    let workspace = json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "connectionRef": {"name": connection(world)}, "subscriptionId": subscription, "resourceGroup": "rg",
            "location": "westeurope", "profile": "Private", "identity": {"type": "SystemAssigned"},
            "associatedResources": {
                "storageAccount": part(TYPES[1], "data"), "keyVault": part(TYPES[2], "keys"),
                "containerRegistry": part(TYPES[3], "images"),
            },
        },
    });
    let attachment = |network: &str| {
        let subnet =
            format!("{group}/{network}/providers/Microsoft.Network/virtualNetworks/{network}/subnets/endpoints");
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "VnetAttachment",
            "metadata": {"name": format!("{network}-{number:04}"), "namespace": namespace},
            "spec": {"workspaceRef": {"name": name}, "role": "Services", "subnet": {"resourceId": subnet}},
        })
    };
    std::iter::once(workspace).chain(NETWORKS.map(attachment)).collect()
}

/// A connection of their own, and for each subscription its networks, what its workspaces are made of, and who may connect.
async fn prepare(world: &World) {
    let all = WORKSPACES[WORKSPACES.len() - 1];
    let (mut grants, mut own) = (Vec::new(), Vec::new());
    for first in (0..all).step_by(TOGETHER) {
        let (namespace, subscription) = place(world, first);
        let scope = |group: &str| format!("/subscriptions/{subscription}/resourceGroups/{group}");
        world.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        let network = |(at, name): (usize, &&str)| {
            json!({"id": format!("{}/providers/Microsoft.Network/virtualNetworks/{name}", scope(name)), "location": "westeurope",
                "properties": {"addressSpace": {"addressPrefixes": [format!("10.{at}.0.0/16")]},
                    "subnets": [{"name": "endpoints", "properties": {"addressPrefix": format!("10.{at}.0.0/20")}}]}})
        };
        let part = |type_: &str, name: String| {
            let mut part = json!({"id": format!("{}/providers/{type_}/{name}", scope("rg")), "location": "westeurope",
                "properties": {"publicNetworkAccess": "Disabled"}});
            if type_ == TYPES[3] {
                part["sku"] = json!({"name": "Premium"});
            }
            part
        };
        let parts = (first..first + TOGETHER).flat_map(|number| {
            [(TYPES[1], "data"), (TYPES[2], "keys"), (TYPES[3], "images")]
                .map(|(type_, name)| part(type_, format!("{name}{number}")))
        });
        let resources: Vec<Value> = NETWORKS.iter().enumerate().map(network).chain(parts).collect();
        let groups = ["rg"].into_iter().chain(NETWORKS);
        let groups: Vec<Value> = groups
            .map(|name| json!({"subscriptionId": subscription, "name": name, "location": "westeurope"}))
            .collect();
        let seed = json!({
            "subscriptions": [{"subscriptionId": subscription, "tenantId": TENANT}], "resourceGroups": groups,
            "resources": resources,
            "roleAssignments": [{"scope": format!("/subscriptions/{subscription}"), "role": "Owner", "principalId": OBJECT}],
        });
        world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the subscription is there");
        grants.push(json!({"namespaces": {"names": [namespace]}, "scope": scope("rg"), "verbs": ["create", "configure", "reach"]}));
        for name in NETWORKS {
            grants.push(json!({"namespaces": {"names": [namespace]}, "scope": scope(name), "verbs": ["create", "reach", "dns"]}));
        }
        grants.push(json!({"namespaces": {"names": [world.platform]}, "scope": scope("rg"), "verbs": ["approve"]}));
        own.push(subscription);
    }
    let mut manifest = world.connection_manifest();
    manifest["metadata"]["name"] = connection(world).into();
    manifest["spec"]["grants"] = grants.into();
    manifest["spec"]["ownSubscriptions"] = json!(own);
    world.apply(manifest).await;
    for (at, subscription) in own.iter().enumerate() {
        for (kind, type_) in TYPES.iter().enumerate() {
            let allow = NETWORKS
                .map(|network| json!({"privateEndpoint": {"subscriptionId": subscription, "resourceGroup": network}}));
            world
                .apply(json!({
                    "apiVersion": "aml-operator.io/v1alpha1", "kind": "PrivateEndpointApproval",
                    "metadata": {"name": format!("net-{at}-{kind}"), "namespace": world.platform},
                    "spec": {"connectionRef": {"name": connection(world)}, "allow": allow, "target": {
                        "resourceGroupId": format!("/subscriptions/{subscription}/resourceGroups/rg"), "resourceType": type_}},
                }))
                .await;
        }
    }
}

/// Attaches the workspaces in two steps, and then leaves them at rest.
pub(crate) async fn many_networks(world: &World, program: &str, table: &mut Table) {
    // Azure answers at once: what is measured is the operator.
    world.azure.settings(|settings| settings.operation_seconds = OperationSeconds::all(0.0));
    prepare(world).await;
    let (mut there, mut costs) = (0, Vec::new());
    for count in WORKSPACES {
        costs.push(bring(world, program, table, there, count).await);
        there = count;
    }
    let [few, many] = costs[..] else { return };
    let times = many / few;
    let what = format!("ARM requests, each of {} workspaces to each of {}, times", WORKSPACES[1], WORKSPACES[0]);
    table.held(&what, times, 2, "<= 1.1", times <= DEARER);
    rest(world, program, table).await;
    world.azure.settings(|now| *now = settings());
}

/// Makes of `there` workspaces `count`, all known when the operator starts. Returns how many requests each new one took.
async fn bring(world: &World, program: &str, table: &mut Table, there: usize, count: usize) -> f64 {
    let new = count - there;
    let manifests = (there..count).flat_map(|number| manifests(world, number));
    stream::iter(manifests).for_each_concurrent(16, |manifest| world.apply(manifest)).await;
    let before = world.last_request();
    let operator = start(world, program, &[]).await;
    all_attached(&operator, count * NETWORKS.len()).await;
    let (spent, memory) = (processor(&operator), resident(&operator));
    stop(operator).await;
    let all = world.azure.requests_since(before);
    let requests: Vec<RequestEntry> = all.into_iter().filter(is_about).collect();
    let limited = requests.iter().filter(|request| request.status == Some(429)).count();
    table.held(
        &format!("answers to slow down, {new} workspaces in two networks"),
        limited as f64,
        0,
        "0",
        limited == 0,
    );
    let twice = made_twice(&requests);
    table.held(
        &format!("resources asked for twice, {new} workspaces in two networks"),
        twice as f64,
        0,
        "0",
        twice == 0,
    );
    let cost = Count::of(&requests);
    // Each workspace, and for each endpoint of its two networks itself, its zone group and its approval; zones and links are shared.
    let shared = new.div_ceil(TOGETHER) * NETWORKS.len() * 2 * ENDPOINTS;
    let wanted = new * (1 + NETWORKS.len() * ENDPOINTS * 3);
    let writes = cost.writes.saturating_sub(shared) as f64 / new as f64;
    let hold = format!("{}", wanted / new);
    let what = format!("ARM writes a workspace in two networks beside zones, {new} at once");
    table.held(&what, writes, 2, &hold, cost.writes == wanted + shared);
    table.told(
        &format!("ARM reads a workspace in two networks, {new} at once"),
        format!("{:.1}", cost.reads as f64 / new as f64),
    );
    if let Some(spent) = spent {
        let what = format!("processor time a workspace in two networks, {new} at once, ms");
        table.told(&what, format!("{:.1}", spent * 1000.0 / new as f64));
    }
    if let Some(memory) = memory {
        table.told(&format!("resident memory, {count} workspaces in two networks, MiB"), format!("{memory:.1}"));
    }
    (cost.writes + cost.reads) as f64 / new as f64
}

/// True of what is asked of these subscriptions.
fn is_about(request: &RequestEntry) -> bool {
    request.path.contains("/subscriptions/00000000-0000-0000-5ca2-")
}

/// How many resources were put more than once.
fn made_twice(requests: &[RequestEntry]) -> usize {
    let mut puts: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.method == "PUT") {
        *puts.entry(request.path.to_lowercase()).or_default() += 1;
    }
    puts.values().filter(|count| **count > 1).count()
}

/// Waits until `wanted` attachments are ready, however long it takes as long as it goes on.
async fn all_attached(operator: &Executable, wanted: usize) {
    let label = "kind=\"VnetAttachment\",ready=\"True\"";
    for some in 1..=20 {
        let wanted = wanted * some / 20;
        let ready = async || (operator.metric("aml_operator_objects", label).await >= wanted as f64).then_some(());
        until("more that are attached", ready).await;
    }
}

/// With all of them looked at again and again: what is asked, and that nothing is written.
async fn rest(world: &World, program: &str, table: &mut Table) {
    let count = WORKSPACES[WORKSPACES.len() - 1];
    let operator = start(world, program, &["--resync", "20"]).await;
    operator.ready().await;
    tokio::time::sleep(SETTLE + Duration::from_secs(20)).await;
    let before = world.last_request();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let all = world.azure.requests_since(before);
    let requests: Vec<RequestEntry> = all.into_iter().filter(is_about).collect();
    let cost = Count::of(&requests);
    let what = format!("ARM writes while {count} workspaces in two networks are looked at again");
    table.held(&what, cost.writes as f64, 0, "0", cost.writes == 0);
    let reads = cost.reads as f64 / (count * NETWORKS.len()) as f64;
    table.told(
        "ARM reads a resync, an attachment with its share of the workspace and of policies",
        format!("{reads:.1}"),
    );
    stop(operator).await;
}
