use std::time::Duration;

use arm_simulator::{Leniency, OperationSeconds, SeedResource, Settings};
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, ML, id, seed, storage};

fn cluster(own: Value) -> Value {
    let mut properties = json!({
        "vmSize": "Standard_DS3_v2", "vmPriority": "Dedicated",
        "scaleSettings": { "minNodeCount": 0, "maxNodeCount": 2 },
    });
    properties.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({ "location": "westeurope", "properties": { "computeType": "AmlCompute", "properties": properties } })
}

fn instance() -> Value {
    json!({ "location": "westeurope", "properties": {
        "computeType": "ComputeInstance",
        "properties": { "vmSize": "Standard_DS3_v2", "idleTimeBeforeShutdown": "PT60M" },
    } })
}

fn compute(workspace: &str, name: &str) -> String {
    format!("{workspace}/computes/{name}")
}

/// A virtual network with a subnet for anybody and one for a service.
async fn network(lab: &Lab, name: &str, location: &str, range: &str) -> String {
    let id = id("Microsoft.Network/virtualNetworks", name);
    let prefix = |third: u8| range.replace(".0.0/16", &format!(".{third}.0/24"));
    let service = json!([{ "name": "d", "properties": { "serviceName": "Microsoft.Web/serverFarms" } }]);
    let body = json!({ "location": location, "properties": {
        "addressSpace": { "addressPrefixes": [range] },
        "subnets": [
            { "name": "s", "properties": { "addressPrefix": prefix(0) } },
            { "name": "delegated", "properties": { "addressPrefix": prefix(1), "delegations": service } },
        ],
    } });
    lab.put(&id, "2024-05-01", body).await.expect(201);
    id
}

async fn post(lab: &Lab, path: &str) -> Answer {
    lab.post(path, None).await
}

#[tokio::test]
async fn a_cluster_is_made_as_recorded() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("plain", "Disabled").await;
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let path = compute(&ws, "cpu");
    let made = lab.put(&path, "2024-04-01", cluster(json!({}))).await.expect(201);
    let url = made.header("Azure-AsyncOperation").unwrap().to_owned();
    assert!(url.contains("/locations/westeurope/computeOperationsStatus/"), "{url}");
    assert!(url.contains("service=new") && made.header("Location").is_none());
    let properties = &made.body["properties"];
    assert_eq!(properties["provisioningState"], "Creating");
    assert_eq!((&made.body["tags"], &properties["provisioningErrors"]), (&Value::Null, &Value::Null));
    assert_eq!(properties["properties"]["vmSize"], "STANDARD_DS3_V2");
    assert_eq!(properties["properties"]["isolatedNetwork"], false);
    assert_eq!(properties["properties"]["enableNodePublicIp"], true);
    assert_eq!(properties["properties"]["subnet"], Value::Null);
    let poll = || async { lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body };
    assert_eq!(poll().await, json!({ "status": "InProgress" }));
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(poll().await["status"], "Succeeded");
    assert_eq!(lab.get(&path, ML).await.body["properties"]["provisioningState"], "Succeeded");

    let url = |action: &str| format!("{path}?api-version={ML}&underlyingResourceAction={action}");
    lab.send("DELETE", &url("Forget"), &lab.token, None).await.unwrap().expect(400);
    let url = url("Delete");
    let deleting = lab.send("DELETE", &url, &lab.token, None).await.unwrap().expect(202);
    assert!(deleting.header("Azure-AsyncOperation").is_some() && deleting.header("Location").is_none());
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(&path, ML).await.expect(404);
    lab.send("DELETE", &url, &lab.token, None).await.unwrap().expect(204);
}

#[tokio::test]
async fn computes_are_judged_by_their_network() {
    let lab = Lab::start(Settings::fast()).await;
    let open = lab.workspace("open", "Disabled").await;
    let closed = lab.workspace("closed", "AllowInternetOutbound").await;
    let subnet = |subscription: &str, name: &str| {
        json!({ "subnet": { "id": format!(
            "/subscriptions/{subscription}/resourceGroups/rg1/providers/Microsoft.Network/virtualNetworks/v/subnets/{name}") } })
    };
    network(&lab, "v", "westeurope", "10.0.0.0/16").await;
    let near = subnet(crate::lab::SUB, "s");
    let mut far = cluster(json!({}));
    far["location"] = json!("eastus");
    for (ws, name, body, status) in [
        (&open, "public", cluster(json!({})), 201),
        (&open, "own-net", cluster(near.clone()), 201),
        (&open, "other-sub", cluster(subnet("00000000-0000-0000-0000-0000000000ff", "s")), 400),
        (&open, "no-such-net", cluster(subnet(crate::lab::SUB, "t")), 400),
        (&open, "given-away", cluster(subnet(crate::lab::SUB, "delegated")), 400),
        (&open, "hidden", cluster(json!({ "enableNodePublicIp": false })), 400),
        (&open, "elsewhere", far.clone(), 201),
        (&open, "no-size", cluster(json!({ "vmSize": null })), 400),
        (&open, "backwards", cluster(json!({ "scaleSettings": { "minNodeCount": 3, "maxNodeCount": 2 } })), 400),
        (&open, "aks", json!({ "location": "westeurope", "properties": { "computeType": "AKS" } }), 400),
        (&closed, "managed", cluster(json!({ "enableNodePublicIp": false })), 201),
        (&closed, "own-net", cluster(near), 400),
        (&closed, "elsewhere", far, 400),
    ] {
        let answer = lab.put(&compute(ws, name), ML, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    let listed = lab.get(&format!("{open}/computes"), ML).await.expect(200).body;
    assert_eq!(listed["value"].as_array().unwrap().len(), 3);
    lab.put(&compute(&crate::lab::workspace("absent"), "cpu"), ML, cluster(json!({}))).await.expect(404);
}

#[tokio::test]
async fn the_first_compute_builds_the_network() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("deferred", "AllowOnlyApprovedOutbound").await;
    lab.sim.settings(|settings| {
        let times = OperationSeconds { provision: 100.0, compute: 10.0, ..OperationSeconds::all(0.0) };
        settings.operation_seconds = times;
    });
    lab.put(&compute(&ws, "cpu"), ML, cluster(json!({}))).await.expect(201);
    lab.sim.clock().advance(Duration::from_secs(50));
    // The second one finds the building under way and waits for the same end.
    lab.put(&compute(&ws, "gpu"), ML, cluster(json!({}))).await.expect(201);
    lab.rule(&ws, "pypi", crate::lab::fqdn_rule("pypi.org")).await.expect(409);
    let state = |name: &'static str| {
        let (lab, ws) = (&lab, &ws);
        async move {
            let shown = lab.get(&compute(ws, name), ML).await.body;
            shown["properties"]["provisioningState"].as_str().unwrap().to_owned()
        }
    };
    lab.sim.clock().advance(Duration::from_secs(50));
    let network = lab.get(&ws, ML).await.body["properties"]["managedNetwork"]["status"]["status"].clone();
    assert_eq!((network, state("cpu").await.as_str()), (json!("Active"), "Creating"));
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!((state("cpu").await.as_str(), state("gpu").await.as_str()), ("Succeeded", "Succeeded"));
}

#[tokio::test]
async fn a_compute_fails_with_the_network_that_it_needs() {
    let mut seed = seed();
    seed.resources.push(SeedResource::new(format!("{GROUP}/providers/Microsoft.Authorization/locks/keep"), ""));
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("locked", "AllowInternetOutbound").await;
    lab.put(&compute(&ws, "cpu"), ML, cluster(json!({}))).await.expect(201);
    assert_eq!(lab.get(&compute(&ws, "cpu"), ML).await.body["properties"]["provisioningState"], "Failed");
}

#[tokio::test]
async fn computes_may_stand_in_the_way_of_isolation() {
    for (leniency, status) in [(Leniency::Refuse, 400), (Leniency::Allow, 200)] {
        let lab = Lab::start(Settings { isolation_with_computes: leniency, ..Settings::fast() }).await;
        let ws = lab.workspace("early", "Disabled").await;
        lab.put(&compute(&ws, "cpu"), ML, cluster(json!({}))).await.expect(201);
        let patch = json!({ "properties": { "managedNetwork": { "isolationMode": "AllowInternetOutbound" } } });
        lab.patch(&ws, patch).await.expect(status);
    }
}

#[tokio::test]
async fn a_cluster_is_scaled_and_nothing_else() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("scaled", "Disabled").await;
    let path = compute(&ws, "cpu");
    lab.put(&path, ML, cluster(json!({}))).await.expect(201);
    let patch = json!({ "properties": { "properties": {
        "scaleSettings": { "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT5M" }, "vmSize": "Standard_X" } } });
    let own = lab.patch(&path, patch).await.expect(200).body["properties"]["properties"].clone();
    let expected = json!({ "maxNodeCount": 4, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT5M" });
    assert_eq!((&own["scaleSettings"], &own["vmSize"]), (&expected, &json!("STANDARD_DS3_V2")));
    assert_eq!(lab.put(&path, ML, cluster(json!({}))).await.status, 200);
}

#[tokio::test]
async fn an_instance_is_stopped_and_started() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("desk", "Disabled").await;
    let path = compute(&ws, "ci1");
    lab.put(&path, ML, instance()).await.expect(201);
    let own = |version: &'static str| {
        let (lab, path) = (&lab, &path);
        async move { lab.get(path, version).await.body["properties"]["properties"].clone() }
    };
    assert_eq!(own(ML).await["idleTimeBeforeShutdown"], "PT60M");
    assert_eq!(own("2024-10-01").await.get("idleTimeBeforeShutdown"), None);
    // Even what is done at once is answered by a 202, which then names a URL to poll.
    assert!(post(&lab, &format!("{path}/stop")).await.expect(202).header("Azure-AsyncOperation").is_some());
    assert_eq!(own(ML).await["state"], "Stopped");
    lab.sim.settings(|settings| settings.operation_seconds.compute = 10.0);
    post(&lab, &format!("{path}/start")).await.expect(202);
    assert_eq!(own(ML).await["state"], "Starting");
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(own(ML).await["state"], "Running");
    lab.put(&compute(&ws, "cpu"), ML, cluster(json!({}))).await.expect(201);
    post(&lab, &format!("{}/stop", compute(&ws, "cpu"))).await.expect(400);
}

#[tokio::test]
async fn an_instance_is_where_its_workspace_is() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("desk", "Disabled").await;
    for (name, location, range, status) in [
        ("near", "westeurope", "10.0.0.0/16", 201),
        ("far", "eastus", "10.1.0.0/16", 400),
        ("containers", "westeurope", "172.17.0.0/16", 400),
    ] {
        let subnet = format!("{}/subnets/s", network(&lab, name, location, range).await);
        let mut body = instance();
        body["properties"]["properties"]["subnet"] = json!({ "id": subnet });
        let answer = lab.put(&compute(&ws, &format!("ci-{name}")), ML, body).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    let mut far = instance();
    far["location"] = json!("eastus");
    lab.put(&compute(&ws, "ci-elsewhere"), ML, far).await.expect(400);
}

#[tokio::test]
async fn whoever_puts_a_compute_in_a_subnet_may_join_it() {
    let mut seed = seed();
    seed.role_assignments.push(crate::lab::assignment(&crate::lab::workspace("desk"), "Contributor", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("desk", "Disabled").await;
    let subnet = format!("{}/subnets/s", network(&lab, "v", "westeurope", "10.0.0.0/16").await);
    let (guest, url) = (lab.sign_in("guest").await, format!("{}?api-version={ML}", compute(&ws, "cpu")));
    let body = cluster(json!({ "subnet": { "id": subnet } }));
    let refused = lab.send("PUT", &url, &guest, Some(body)).await.unwrap().expect(403);
    assert_eq!(refused.code(), "LinkedAuthorizationFailed");
    lab.send("PUT", &url, &guest, Some(cluster(json!({})))).await.unwrap().expect(201);
}

#[tokio::test]
async fn what_a_compute_is_made_with_it_keeps() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("desk", "Disabled").await;
    let path = compute(&ws, "ci1");
    let with = |own: Value| {
        let mut body = instance();
        body["properties"]["disableLocalAuth"] = json!(true);
        body["properties"]["properties"].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        body
    };
    let made = lab.put(&path, ML, with(json!({ "applicationSharingPolicy": "Personal" }))).await.expect(201).body;
    post(&lab, &format!("{path}/stop")).await.expect(202);
    let unlocked = {
        let mut body = instance();
        body["properties"]["disableLocalAuth"] = json!(false);
        body
    };
    let ssh = json!({ "sshPublicAccess": "Enabled", "adminPublicKey": "ssh-rsa AAAA" });
    for (body, status) in [
        (with(json!({ "idleTimeBeforeShutdown": "PT2H" })), 200),
        (with(json!({ "vmSize": "standard_ds3_v2" })), 200),
        (with(json!({ "vmSize": "Standard_E4s_v3" })), 400),
        (with(json!({ "enableNodePublicIp": false })), 400),
        (with(json!({ "applicationSharingPolicy": "Shared" })), 400),
        (with(json!({ "sshSettings": ssh })), 400),
        (unlocked, 400),
        (cluster(json!({})), 400),
    ] {
        let answer = lab.put(&path, ML, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let shown = lab.get(&path, ML).await.body;
    let own = &shown["properties"]["properties"];
    assert_eq!(
        (&own["idleTimeBeforeShutdown"], &own["state"]),
        (&json!("PT60M"), &json!("Stopped")),
        "the last body said so"
    );
    assert_eq!(shown["properties"]["createdOn"], made["properties"]["createdOn"]);
    assert_eq!(own["applicationSharingPolicy"], "Personal", "what a body leaves out stays");
}

#[tokio::test]
async fn instances_are_judged() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("desk", "Disabled").await;
    for (name, member, value, status) in [
        ("ci1", "idleTimeBeforeShutdown", json!("PT15M"), 201),
        ("ci2", "idleTimeBeforeShutdown", json!("P3D"), 201),
        ("ci3", "idleTimeBeforeShutdown", json!("PT14M"), 400),
        ("ci3", "idleTimeBeforeShutdown", json!("P4D"), 400),
        ("ci3", "idleTimeBeforeShutdown", json!("an hour"), 400),
        ("ci3", "sshSettings", json!({ "sshPublicAccess": "Enabled" }), 400),
        ("ci3", "sshSettings", json!({ "sshPublicAccess": "Enabled", "adminPublicKey": "ssh-rsa AAAA" }), 201),
        ("ci4", "applicationSharingPolicy", json!("Everybody"), 400),
        ("ci", "applicationSharingPolicy", json!("Personal"), 400),
        ("1st", "applicationSharingPolicy", json!("Personal"), 400),
    ] {
        let mut body = instance();
        body["properties"]["properties"][member] = value.clone();
        let answer = lab.put(&compute(&ws, name), ML, body).await;
        assert_eq!(answer.status, status, "{name} {member} {value}: {}", answer.text);
    }
    // Root access is a matter of the previews.
    let mut body = instance();
    body["properties"]["properties"]["enableRootAccess"] = json!(false);
    let preview = "2024-10-01-preview";
    let shown = |answer: Answer| answer.body["properties"]["properties"].get("enableRootAccess").cloned();
    let made = lab.put(&compute(&ws, "rooted"), preview, body).await.expect(201);
    assert_eq!(shown(made), Some(json!(false)));
    assert_eq!(shown(lab.get(&compute(&ws, "rooted"), ML).await.expect(200)), None);
    let idle = json!({ "idleTimeBeforeShutdown": "PT30M" });
    let path = compute(&ws, "rooted");
    lab.call("POST", &format!("{path}/updateIdleShutdownSetting"), preview, Some(idle)).await.expect(200);
    assert_eq!(lab.get(&path, ML).await.body["properties"]["properties"]["idleTimeBeforeShutdown"], "PT30M");
}

#[tokio::test]
async fn a_kubernetes_cluster_is_attached_beside_no_managed_network() {
    let lab = Lab::start(Settings::fast()).await;
    let open = lab.workspace("open", "Disabled").await;
    let closed = lab.workspace("closed", "AllowInternetOutbound").await;
    let attached =
        |id: &str| json!({ "location": "westeurope", "properties": { "computeType": "Kubernetes", "resourceId": id } });
    let aks = id("Microsoft.ContainerService/managedClusters", "aks1");
    let made = lab.put(&compute(&open, "aks"), ML, attached(&aks)).await.expect(201).body;
    assert_eq!(
        (&made["properties"]["isAttachedCompute"], &made["properties"]["properties"]["namespace"]),
        (&json!(true), &json!("default"))
    );
    lab.put(&compute(&open, "odd"), ML, attached(&storage("lake"))).await.expect(400);
    lab.put(&compute(&closed, "aks"), ML, attached(&aks)).await.expect(400);
}

#[tokio::test]
async fn an_attached_machine_reads_as_recorded() {
    let mut seed = seed();
    let machine = id("Microsoft.Compute/virtualMachines", "vm1");
    let resource = SeedResource::new(machine.clone(), "westeurope");
    seed.resources.push(resource.property("hardwareProfile", json!({ "vmSize": "Standard_D1_v2" })));
    let lab = Lab::with(seed, Settings::fast()).await;
    let ws = lab.workspace("attached", "Disabled").await;
    let body = json!({
        "identity": { "type": "SystemAssigned" }, "location": "westeurope",
        "properties": {
            "computeType": "VirtualMachine", "resourceId": machine, "disableLocalAuth": true,
            "properties": { "administratorAccount": { "username": "bloom", "password": "hidden" }, "sshPort": 22 },
        },
    });
    let made = lab.put(&compute(&ws, "vm"), "2024-04-01", body).await.expect(201).body;
    assert!(made["identity"]["principalId"].is_string());
    let properties = &made["properties"];
    assert_eq!((&properties["isAttachedCompute"], &properties["disableLocalAuth"]), (&json!(true), &json!(true)));
    assert_eq!(properties["properties"]["virtualMachineSize"], "STANDARD_D1_V2");
    assert_eq!(properties["properties"]["administratorAccount"], Value::Null);
}
