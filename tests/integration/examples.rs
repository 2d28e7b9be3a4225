//! The examples, applied as their READMEs say: what teaches must not go stale.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arm_simulator::Seed;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::decisions::SHARED_GUARD;
use crate::networks::types;
use crate::support::{CLIENT, OBJECT, TENANT, World, condition, control_plane, settings};

/// Examples share names: a namespace `platform`, a connection `contoso`.
static NAMES: Mutex<()> = Mutex::const_new(());
/// Files beside the manifests: what the simulated Azure holds, what makes it a kustomization, what a person creates later, and
/// the grants of rule sets, which are the platform team's.
const NOT_APPLIED: [&str; 4] = ["azure.yaml", "kustomization.yaml", "decision.yaml", "connection.yaml"];
const OWN: &str = "00000000-0000-0000-0000-000000000002";
const ANALYTICS: &str = "00000000-0000-0000-0000-000000000001";
const PARTNER: &str = "00000000-0000-0000-0000-00000000000a";
const STRANGER: &str = "99999999-9999-9999-9999-999999999999";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The example `name` with every object marked as the test's, as a folder for `kubectl apply -k`. `connected` points its connection
/// to the test's Azure; nothing else is changed.
async fn overlay(world: &World, name: &str, connected: bool) -> String {
    // A kustomization may only point below or beside itself.
    let folder = control_plane().await.guard().folder().join(format!("{}-{name}", world.mark));
    let copy = folder.join("example");
    fs::create_dir_all(&copy).expect("a folder");
    for entry in fs::read_dir(examples().join(name)).expect("the example") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.join(entry.file_name())).expect("a copy");
    }
    let reached = world.connection_manifest()["spec"].clone();
    let patch = json!([
        {"op": "replace", "path": "/spec/cloud", "value": reached["cloud"]},
        {"op": "add", "path": "/spec/customCloud", "value": reached["customCloud"]},
        {"op": "replace", "path": "/spec/credential", "value": reached["credential"]},
    ]);
    let mut kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["example"],
        "labels": [{"pairs": {"test": world.mark}}],
    });
    if ["rule-sets", "data-science-team"].contains(&name) {
        // They take the team's namespace for granted.
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-fraud"}});
        fs::write(folder.join("namespace.yaml"), namespace.to_string()).expect("a namespace");
        kustomization["resources"] = json!(["namespace.yaml", "example"]);
    }
    if connected {
        kustomization["patches"] = json!([{"target": {"kind": "AzureConnection"}, "patch": patch.to_string()}]);
    }
    fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).expect("a kustomization");
    folder.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_can_be_applied_and_leaves_nothing_out() {
    let _names = NAMES.lock().await;
    let world = World::new().await;
    let mut found = 0;
    for entry in fs::read_dir(examples()).expect("examples") {
        let path = entry.expect("an entry").path();
        let kustomization: Value = serde_saphyr::from_str(&read(&path.join("kustomization.yaml"))).expect("YAML");
        let listed = kustomization["resources"].as_array().cloned().unwrap_or_default();
        for file in fs::read_dir(&path).expect("files") {
            let file = file.expect("a file").file_name().to_string_lossy().into_owned();
            let applied = listed.contains(&json!(file)) || NOT_APPLIED.contains(&file.as_str());
            assert!(applied || !file.ends_with(".yaml"), "{file} of {} is not applied", path.display());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = overlay(&world, &name, false).await;
        let applied = control_plane().await.kubectl(&["apply", "--server-side", "-k", &folder]).await;
        assert!(!applied.expect(&name).is_empty());
        control_plane().await.kubectl(&["delete", "--wait=true", "-k", &folder]).await.expect(&name);
        found += 1;
    }
    assert!(found >= 2, "the examples are found");
}

/// Azure, as the README of `approvals-only` describes it: the three targets, who asks, and the role that `role.json` defines.
fn azure(seed: &mut Seed) {
    let role: Value = serde_json::from_str(&read(&examples().join("approvals-only/role.json"))).expect("JSON");
    let target = |kind: &str| format!("/subscriptions/{OWN}/resourceGroups/data-rg/providers/{kind}");
    let targets =
        ["Microsoft.Storage/storageAccounts/lake", "Microsoft.Sql/servers/orders", "Microsoft.KeyVault/vaults/keys"];
    let asks = |target_of: usize, endpoint: String| {
        let groups: &[&str] = if target_of == 1 { &["sqlServer"] } else { &[] };
        json!({"target": target(targets[target_of]), "privateEndpointId": endpoint, "groupIds": groups})
    };
    *seed = serde_json::from_value(json!({
        "servicePrincipals": [{"tenantId": TENANT, "clientId": CLIENT, "objectId": OBJECT, "secret": "not-a-secret"}],
        "subscriptions": [{"subscriptionId": OWN, "tenantId": TENANT}],
        "resourceGroups": [{"subscriptionId": OWN, "name": "data-rg", "location": "westeurope"}],
        "resources": targets.map(|kind| json!({"id": target(kind), "location": "westeurope"})),
        "roleDefinitions": [{"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": role["Name"], "actions": role["Actions"]}],
        "roleAssignments": targets.map(|kind| json!({"scope": target(kind), "role": role["Name"], "principalId": OBJECT})),
        "connections": [
            asks(0, World::endpoint(OWN, "hub-network", "lake-hub")),
            asks(0, World::endpoint(ANALYTICS, "analytics-network", "notebooks")),
            asks(0, World::endpoint(ANALYTICS, "analytics-network", "sandbox")),
            asks(0, World::endpoint(STRANGER, "hub-network", "lake-hub")),
            asks(1, World::endpoint(OWN, "hub-network", "orders-hub")),
            asks(1, World::endpoint(OWN, "spoke-network", "orders-spoke")),
            asks(2, World::endpoint(PARTNER, "partner-network", "contoso-keys")),
            asks(2, World::endpoint(STRANGER, "partner-network", "contoso-keys")),
        ],
    }))
    .expect("a seed");
}

/// What `kubectl get` prints of the policies, without their age: as the README has it, in its own spacing.
async fn assert_the_readme_shows_the_policies() {
    let shown = control_plane().await.kubectl(&["get", "amlpea", "-n", "platform"]).await.expect("kubectl answers");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let readme = read(&examples().join("approvals-only/README.md"));
    let readme: Vec<Vec<String>> = readme.lines().map(words).collect();
    for line in shown.lines().map(words) {
        let line = &line[..line.len() - 1];
        assert!(readme.iter().any(|taught| taught.starts_with(line)), "the README does not show {line:?} of\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_only_does_what_its_readme_says() {
    let _guard = SHARED_GUARD.read().await;
    let _names = NAMES.lock().await;
    let world = World::seeded(settings(), |seed, _| azure(seed)).await;
    let kubectl =
        async |args: &[&str]| control_plane().await.kubectl(args).await.unwrap_or_else(|error| panic!("{error}"));
    let folder = overlay(&world, "approvals-only", true).await;
    let operator = world.operator().await;
    kubectl(&["apply", "--server-side", "-k", &folder]).await;

    // First nothing is done, and all is said.
    let policies = ["lake", "orders", "keys"]
        .map(|name| json!({"kind": "PrivateEndpointApproval", "metadata": {"name": name, "namespace": "platform"}}));
    for policy in &policies {
        world.until_reason(policy, "DryRun").await;
    }
    let [lake, orders, keys] = &policies;
    assert_eq!(
        decisions(&world, lake).await,
        ["Allowed lake-hub", "Allowed notebooks", "Held sandbox", "Rejected lake-hub"]
    );
    assert_eq!(decisions(&world, orders).await, ["Allowed orders-hub", "Unmatched orders-spoke"]);
    assert_eq!(decisions(&world, keys).await, ["Allowed contoso-keys", "Unmatched contoso-keys"]);
    assert_the_readme_shows_the_policies().await;
    world.rest().await;
    assert!(world.writes().is_empty(), "{:?}", world.written());

    // Then they act.
    for policy in ["lake", "orders", "keys"] {
        let line_taken_out = r#"[{"op": "remove", "path": "/spec/mode"}]"#;
        kubectl(&["patch", "amlpea", policy, "-n", "platform", "--type=json", "-p", line_taken_out]).await;
    }
    for (policy, approved, pending) in [(lake, 2, 1), (orders, 1, 1), (keys, 1, 1)] {
        world
            .until(policy, "in force", |policy| {
                condition(policy, "Ready")["reason"] == "InForce"
                    && policy["status"]["approved"] == approved
                    && policy["status"]["pending"] == pending
            })
            .await;
    }
    assert_the_readme_shows_the_policies().await;
    let sandbox = World::endpoint(ANALYTICS, "analytics-network", "sandbox");
    assert_eq!(endpoints_in(&world, "Rejected"), [World::endpoint(STRANGER, "hub-network", "lake-hub")]);
    assert!(endpoints_in(&world, "Pending").contains(&sandbox));

    // At last alice decides: the file with the name that the status states. What she decides before the admission policy has
    // settled is outdated, and says what to do about it.
    let seen = world.read(lake).await.expect("the policy");
    let asks = list(&seen).into_iter().find(|asks| asks["privateEndpoint"] == sandbox).expect("the sandbox asks");
    let written = read(&examples().join("approvals-only/decision.yaml"));
    let placeholder = "lake.00000000-0000-0000-0000-000000000000";
    assert!(written.contains(placeholder));
    let mut manifest: Value = serde_saphyr::from_str(&written).expect("YAML");
    manifest["spec"]["connectionName"] = asks["name"].clone();
    manifest["metadata"]["labels"]["test"] = world.mark.as_str().into();
    let settled = ["Applied", "Outdated"].map(Value::from);
    world
        .eventually("her decision counts", async || {
            let create = ["create", "--as", "alice@contoso.com", "-f", "-"];
            control_plane().await.kubectl_with_input(&create, &manifest.to_string()).await.expect("alice may");
            let told = world
                .until(&manifest, "told", |decision| settled.contains(&condition(decision, "Ready")["reason"]))
                .await;
            let applied = condition(&told, "Ready")["reason"] == "Applied";
            if !applied {
                kubectl(&["delete", "--as", "alice@contoso.com", "amlpead", "sandbox", "-n", "platform"]).await;
            }
            applied
        })
        .await;
    let seen = world.until(lake, "approved", |policy| policy["status"]["approved"] == 3).await;
    let asks = list(&seen).into_iter().find(|asks| asks["privateEndpoint"] == sandbox).expect("the sandbox is listed");
    assert_eq!(asks["approvedBy"], "alice@contoso.com");
    assert_eq!(world.writes().len(), 6, "{:?}", world.written());

    // Nothing that was approved goes with the policies.
    kubectl(&["delete", "--wait=true", "-k", &folder]).await;
    assert_eq!(endpoints_in(&world, "Approved").len(), 5);
    operator.stop().await;
}

/// The endpoints whose connections are in `state` in Azure, on any target.
fn endpoints_in(world: &World, state: &str) -> Vec<String> {
    let shown = world.azure.state_json();
    let connections = shown["privateEndpointConnections"].as_object().into_iter().flatten();
    let of = |connection: &Value| connection["properties"]["privateEndpoint"]["id"].as_str().map(str::to_owned);
    connections
        .map(|(_, connection)| connection)
        .filter(|connection| connection["properties"]["privateLinkServiceConnectionState"]["status"] == state)
        .filter_map(of)
        .collect()
}

/// The connections that a policy's status lists.
fn list(policy: &Value) -> Vec<Value> {
    policy["status"]["connections"].as_array().cloned().unwrap_or_default()
}

/// What a policy decided on each endpoint, by the endpoint's name.
async fn decisions(world: &World, policy: &Value) -> Vec<String> {
    let seen = world.read(policy).await.expect("the policy");
    let short = |asks: &Value| {
        let endpoint = asks["privateEndpoint"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        format!("{} {endpoint}", asks["decision"].as_str().unwrap_or_default())
    };
    let mut decisions: Vec<String> = list(&seen).iter().map(short).collect();
    decisions.sort();
    decisions
}

/// Azure, as `networks` takes it for granted: everything closed, four networks, and a hub's zones that are linked to the spoke.
fn closed_azure(seed: &mut Seed) {
    let id = |group: &str, kind: &str| format!("/subscriptions/{ANALYTICS}/resourceGroups/{group}/providers/{kind}");
    let closed = |kind: &str| {
        let mut resource = json!({"id": id("fraud-rg", kind), "location": "westeurope",
            "properties": {"publicNetworkAccess": "Disabled"}});
        if kind.starts_with("Microsoft.ContainerRegistry/") {
            resource["sku"] = json!({"name": "Premium"});
        }
        resource
    };
    let networks =
        [("fraud-network", "fraud"), ("people-network", "people"), ("aks-network", "aks"), ("spoke-network", "spoke")];
    let network = |(at, (group, name)): (usize, (&str, &str))| {
        json!({"id": id(group, &format!("Microsoft.Network/virtualNetworks/{name}")), "location": "westeurope", "properties": {
            "addressSpace": {"addressPrefixes": [format!("10.{at}.0.0/16")]},
            "subnets": [{"name": "endpoints", "properties": {"addressPrefix": format!("10.{at}.1.0/24")}}],
        }})
    };
    let spoke = id("spoke-network", "Microsoft.Network/virtualNetworks/spoke");
    let zones = [
        "api.azureml.ms",
        "notebooks.azure.net",
        "blob.core.windows.net",
        "file.core.windows.net",
        "dfs.core.windows.net",
    ];
    let zone = |name: &str| {
        let zone = id("central-dns", &format!("Microsoft.Network/privateDnsZones/privatelink.{name}"));
        let link = json!({"id": format!("{zone}/virtualNetworkLinks/spoke"), "location": "global",
            "properties": {"virtualNetwork": {"id": spoke}, "registrationEnabled": false}});
        [json!({"id": zone, "location": "global"}), link]
    };
    let mut resources: Vec<Value> = [
        "Microsoft.Storage/storageAccounts/frauddata",
        "Microsoft.Storage/storageAccounts/fraudlake",
        "Microsoft.KeyVault/vaults/fraud-keys",
        "Microsoft.ContainerRegistry/registries/fraudimages",
    ]
    .map(closed)
    .into();
    resources.extend(networks.into_iter().enumerate().map(network));
    resources.extend(zones.into_iter().flat_map(zone));
    let groups = ["fraud-rg", "central-dns"].into_iter().chain(networks.map(|(group, _)| group));
    let groups: Vec<Value> =
        groups.map(|name| json!({"subscriptionId": ANALYTICS, "name": name, "location": "westeurope"})).collect();
    *seed = serde_json::from_value(json!({
        "servicePrincipals": [{"tenantId": TENANT, "clientId": CLIENT, "objectId": OBJECT, "secret": "not-a-secret"}],
        "subscriptions": [{"subscriptionId": ANALYTICS, "tenantId": TENANT}],
        "resourceGroups": groups, "resources": resources,
        "roleAssignments": [{"scope": format!("/subscriptions/{ANALYTICS}"), "role": "Owner", "principalId": OBJECT}],
    }))
    .expect("a seed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_network_of_the_example_reaches_what_it_is_for() {
    let _names = NAMES.lock().await;
    let world = World::seeded(settings(), |seed, _| closed_azure(seed)).await;
    let folder = overlay(&world, "networks", true).await;
    let operator = world.operator().await;
    control_plane().await.kubectl(&["apply", "--server-side", "-k", &folder]).await.expect("the example is applied");
    let attachment =
        |name: &str| json!({"kind": "VnetAttachment", "metadata": {"name": name, "namespace": "team-fraud"}});
    for name in ["services", "people", "serving", "spoke"] {
        world.until_reason(&attachment(name), "Attached").await;
    }
    let id = |group: &str, kind: &str| format!("/subscriptions/{ANALYTICS}/resourceGroups/{group}/providers/{kind}");
    let network = |group: &str, name: &str| id(group, &format!("Microsoft.Network/virtualNetworks/{name}"));
    let workspace = id("fraud-rg", "Microsoft.MachineLearningServices/workspaces/fraud");
    let reached = |network: &str, name: &str| world.azure.reach(network, name).expect("a place").reachable;
    for name in world.azure.host_names(&workspace).expect("names") {
        for (group, of) in [("fraud-network", "fraud"), ("aks-network", "aks"), ("spoke-network", "spoke")] {
            assert!(reached(&network(group, of), &name), "{name} from {of}");
        }
        assert!(!reached("internet", &name), "{name} from outside");
    }
    assert!(reached(&network("spoke-network", "spoke"), "fraudlake.dfs.core.windows.net"));
    assert!(reached(&network("aks-network", "aks"), "fraudimages.azurecr.io"));
    assert!(!reached(&network("aks-network", "aks"), "fraud-keys.vault.azure.net"), "inference needs no vault");
    // People's names are answered by servers of their own.
    let people = world.read(&attachment("people")).await.expect("it is there");
    let records = people["status"]["dnsRecords"].as_array().expect("records").clone();
    assert!(records.iter().any(|record| record["name"] == "frauddata.file.core.windows.net"), "{records:?}");
    assert!(
        !world
            .written()
            .iter()
            .any(|written| written.contains("people-network") && written.contains("privateDnsZones"))
    );
    let zones = world.writes().into_iter().filter(|write| write.path.contains("central-dns"));
    assert_eq!(zones.count(), 0, "the hub's zones are written by zone groups only");
    // Taking one away opens nothing.
    control_plane().await.kubectl(&["delete", "amlvnet", "serving", "-n", "team-fraud"]).await.expect("it is deleted");
    let (_, shown) = world.ask_azure(reqwest::Method::GET, &workspace, "2025-12-01", None).await;
    assert_eq!(shown["properties"]["publicNetworkAccess"], "Disabled");
    for name in ["services", "people", "spoke"] {
        world.wipe(&attachment(name)).await;
    }
    world.wipe(&json!({"kind": "AmlWorkspace", "metadata": {"name": "fraud", "namespace": "team-fraud"}})).await;
    let delete = ["delete", "--ignore-not-found", "--wait=true", "-k", &folder];
    control_plane().await.kubectl(&delete).await.expect("the example goes");
    operator.stop().await;
}

/// Azure as the example `name` takes it for granted, with the test's credential in place of the demo's.
fn azure_of(name: &str, seed: &mut Seed) {
    let text = read(&examples().join(name).join("azure.yaml"));
    let mut azure: Value = serde_saphyr::from_str(&text).expect("YAML");
    let principal = &mut azure["servicePrincipals"][0];
    let demos = principal["objectId"].as_str().expect("an object id").to_owned();
    *principal = json!({"tenantId": TENANT, "clientId": CLIENT, "objectId": OBJECT, "secret": "not-a-secret"});
    for assignment in azure["roleAssignments"].as_array_mut().expect("assignments") {
        if assignment["principalId"] == demos {
            assignment["principalId"] = json!(OBJECT);
        }
    }
    *seed = serde_json::from_value(azure).expect("a seed");
}

/// How many of Azure's resources there are, by type; records of zones are no resources that anybody makes.
fn counted(world: &World) -> BTreeMap<String, usize> {
    let shown = world.azure.state_json();
    let mut counted = BTreeMap::new();
    let types = shown["resources"].as_object().expect("resources").keys().map(|id| types(id).to_lowercase());
    for type_ in types.filter(|type_| !["privatednszones/a", "privatednszones/soa"].contains(&type_.as_str())) {
        *counted.entry(type_).or_default() += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_workspace_is_private_from_end_to_end_and_as_large_as_its_readme_says() {
    let _names = NAMES.lock().await;
    let team = read(&examples().join("private-workspace/30-team.yaml"));
    assert!(team.lines().count() < 40, "a team writes less than 40 lines");
    let world = World::seeded(settings(), |seed, _| azure_of("private-workspace", seed)).await;
    let before = counted(&world);
    let folder = overlay(&world, "private-workspace", true).await;
    let operator = world.operator().await;
    control_plane().await.kubectl(&["apply", "--server-side", "-k", &folder]).await.expect("the example is applied");
    let object =
        |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name, "namespace": "team-payments"}});
    let workspace = object("AmlWorkspace", "payments");
    let shown = world.until_reason(&workspace, "Secured").await;
    for name in ["payments", "office"] {
        world.until_reason(&object("VnetAttachment", name), "Attached").await;
    }
    let private = "/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups";
    let parts = shown["status"]["associatedResources"].as_array().expect("what it is made of");
    let mut ids: Vec<&str> = parts.iter().filter_map(|part| part["resourceId"].as_str()).collect();
    ids.push(shown["status"]["resourceId"].as_str().expect("an id"));
    assert_eq!(ids.len(), 5, "{ids:?}");
    // What an endpoint was made for: of a storage account the two services that a workspace uses.
    let used =
        |name: &String| !name.contains(".core.windows.net") || name.contains(".blob.") || name.contains(".file.");
    let names: Vec<String> =
        ids.iter().flat_map(|id| world.azure.host_names(id).expect("names")).filter(used).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        for (network, addresses) in [("payments", "10.30."), ("office", "10.31.")] {
            let network = format!("{private}/{network}-network/providers/Microsoft.Network/virtualNetworks/{network}");
            let reached = world.azure.reach(&network, name).expect("a place");
            assert!(reached.reachable && format!("{reached:?}").contains(addresses), "{name}: {reached:?}");
        }
        let outside = world.azure.reach("internet", name).expect("a place");
        assert!(!outside.reachable, "{name}: {outside:?}");
    }
    // The README counts.
    let mut made = counted(&world);
    for (type_, count) in before {
        *made.entry(type_).or_default() -= count;
    }
    let total: usize = made.values().sum();
    let readme = read(&examples().join("private-workspace/README.md"));
    assert!(readme.contains(&format!("| **Azure resources** | **{total}** |")), "{total}: {made:#?}");
    for name in ["payments", "office"] {
        world.wipe(&object("VnetAttachment", name)).await;
    }
    world.wipe(&workspace).await;
    let delete = ["delete", "--ignore-not-found", "--wait=true", "-k", &folder];
    control_plane().await.kubectl(&delete).await.expect("the example goes");
    operator.stop().await;
}

/// Azure, as `data-science-team` takes it for granted: what is closed, with a network beside it.
fn teams_azure(seed: &mut Seed) {
    closed_azure(seed);
    let group = format!("/subscriptions/{ANALYTICS}/resourceGroups/fraud-rg");
    let more: Seed = serde_json::from_value(json!({"resources": [{
        "id": format!("{group}/providers/Microsoft.Network/virtualNetworks/fraud"), "location": "westeurope", "properties": {
            "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
            "subnets": [{"name": "endpoints", "properties": {"addressPrefix": "10.9.1.0/24"}}],
        },
    }]}))
    .expect("a seed");
    seed.resources.extend(more.resources);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_science_team_has_all_it_needs_in_one_folder_and_nothing_is_open() {
    let _names = NAMES.lock().await;
    let files = fs::read_dir(examples().join("data-science-team")).expect("the example");
    let files = files.map(|entry| entry.expect("an entry").path());
    let manifests = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let lines: usize = manifests.map(|path| read(&path).lines().count()).sum();
    assert!(lines <= 150, "{lines} lines are more than a team wants to read");

    let world = World::seeded(settings(), |seed, _| teams_azure(seed)).await;
    let kubectl =
        async |args: &[&str]| control_plane().await.kubectl(args).await.unwrap_or_else(|error| panic!("{error}"));
    let platform = read(&examples().join("data-science-team/connection.yaml"));
    let mut platform = platform.split("---\n").map(|document| serde_saphyr::from_str::<Value>(document).expect("YAML"));
    let mut connection = platform.find(|object| object["kind"] == "AzureConnection").expect("the connection");
    for field in ["cloud", "customCloud", "credential"] {
        connection["spec"][field] = world.connection_manifest()["spec"][field].clone();
    }
    let folder = overlay(&world, "data-science-team", false).await;
    let operator = world.operator().await;
    world.apply(connection.clone()).await;
    kubectl(&["apply", "--server-side", "-k", &folder]).await;
    let object = |kind: &str, name: &str| json!({"kind": kind, "metadata": {"name": name, "namespace": "team-fraud"}});
    for (kind, name, reason) in [
        ("AmlWorkspace", "fraud", "Secured"),
        ("VnetAttachment", "office", "Attached"),
        ("OutboundRule", "pytorch", "Active"),
        ("OutboundRule", "monitor", "Active"),
        ("AmlCompute", "alice", "Running"),
        ("AmlCompute", "training", "Running"),
        ("AmlDatastore", "transactions", "Registered"),
    ] {
        world.until_reason(&object(kind, name), reason).await;
    }
    for (kind, name, condition_) in [
        ("AmlCompute", "alice", "Isolated"),
        ("AmlCompute", "training", "Isolated"),
        ("AmlDatastore", "transactions", "Reachable"),
    ] {
        let holds = |object: &Value| condition(object, condition_)["status"] == "True";
        world.until(&object(kind, name), condition_, holds).await;
    }
    let group = format!("/subscriptions/{ANALYTICS}/resourceGroups/fraud-rg/providers");
    let network = format!("{group}/Microsoft.Network/virtualNetworks/fraud");
    let workspace = format!("{group}/Microsoft.MachineLearningServices/workspaces/fraud");
    let reached = |from: &str, name: &str| world.azure.reach(from, name).expect("a place").reachable;
    for name in world.azure.host_names(&workspace).expect("names") {
        assert!(reached(&network, &name), "{name} from the team's network");
        assert!(!reached("internet", &name), "{name} from outside");
    }

    world.wipe(&object("VnetAttachment", "office")).await;
    world.wipe(&object("AmlWorkspace", "fraud")).await;
    kubectl(&["delete", "--ignore-not-found", "--wait=true", "-k", &folder]).await;
    world.delete(&connection).await;
    world.until_gone(&connection).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_synapse_example_is_verified_and_its_protected_workspace_is_left_alone() {
    let _names = NAMES.lock().await;
    let world = World::seeded(settings(), |seed, _| azure_of("synapse", seed)).await;
    let folder = overlay(&world, "synapse", true).await;
    let operator = world.operator().await;
    control_plane().await.kubectl(&["apply", "--server-side", "-k", &folder]).await.expect("the example is applied");
    let link = |name: &str| json!({"kind": "SynapseLink", "metadata": {"name": name, "namespace": "team-fraud"}});
    let verified = world.until_reason(&link("analytics"), "Verified").await;
    assert_eq!(
        (&verified["status"]["approved"], &verified["status"]["sparkPool"]),
        (&json!("2/2"), &json!("fraudspark"))
    );
    let host = verified["status"]["workspaceHost"].as_str().expect("a host");
    for name in [host, "frauddata.blob.core.windows.net"] {
        let resolved = world.azure.resolve_from_synapse("contoso-analytics", name).expect("the workspace is there");
        assert_eq!(resolved["private"], true, "{resolved}");
    }
    let stopped = world.until_reason(&link("protected"), "ExfiltrationProtectionOn").await;
    assert_eq!(condition(&stopped, "ExfiltrationProtectionOff")["status"], "False");
    assert!(!world.written().iter().any(|written| written.contains("contoso-protected")), "{:?}", world.written());
    let of_synapse = |state: &str| {
        let mut endpoints = endpoints_in(&world, state);
        endpoints.retain(|endpoint| endpoint.contains("/contoso-analytics."));
        endpoints
    };
    assert_eq!((of_synapse("Approved").len(), of_synapse("Pending").len()), (2, 1), "the stranger waits");
    for name in ["analytics", "protected"] {
        control_plane().await.kubectl(&["delete", "amlsyn", name, "-n", "team-fraud"]).await.expect("it is deleted");
    }
    assert_eq!((of_synapse("Approved").len(), of_synapse("Pending").len()), (0, 1), "nothing of the link stays");
    world.wipe(&json!({"kind": "AmlWorkspace", "metadata": {"name": "fraud", "namespace": "team-fraud"}})).await;
    let delete = ["delete", "--ignore-not-found", "--wait=true", "-k", &folder];
    control_plane().await.kubectl(&delete).await.expect("the example goes");
    operator.stop().await;
}
