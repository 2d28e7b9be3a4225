//! What a client in some network would meet: names, and services that let it in.

use arm_simulator::{Answer, Cloud, Seed, SeedResource, Settings, Way};
use serde_json::{Value, json};

use crate::dns::{make_zone, zone};
use crate::endpoints::{connect, group, lab_with, pe};
use crate::lab::{Lab, ML, id, seed, storage, vault};
use crate::networks::network;

const NETWORK: &str = "2024-05-01";
const DNS: &str = "2024-06-01";
const STORAGE: &str = "2023-05-01";
const API_ZONE: &str = "privatelink.api.azureml.ms";

async fn link(lab: &Lab, zone_name: &str, to: &str, policy: &str) {
    let path = format!("{}/virtualNetworkLinks/{to}", zone(zone_name));
    let properties = json!({ "virtualNetwork": { "id": network(to) }, "resolutionPolicy": policy });
    lab.put(&path, DNS, json!({ "location": "global", "properties": properties })).await;
}

/// A network beside the one that `lab_with` makes.
fn add_network(lab: &Lab, name: &str, prefix: &str, more: Value) {
    let mut subnet = json!({ "addressPrefix": format!("{prefix}.0.0/24") });
    subnet.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let resource = SeedResource::new(network(name), "westeurope")
        .property("addressSpace", json!({ "addressPrefixes": [format!("{prefix}.0.0/16")] }))
        .property("subnets", json!([{ "name": "s", "properties": subnet }]));
    lab.sim.seed(Seed { resources: vec![resource], ..Seed::default() }).unwrap();
}

async fn peer(lab: &Lab, from: &str, to: &str) -> Value {
    let path = format!("{}/virtualNetworkPeerings/to-{to}", network(from));
    let body = json!({ "properties": { "remoteVirtualNetwork": { "id": network(to) } } });
    lab.put(&path, NETWORK, body).await.expect(201).body
}

/// A private workspace with everything that its names need in the network `v`.
async fn private_workspace(lab: &Lab) -> String {
    let ws = lab.workspace("ws1", "Disabled").await;
    lab.patch(&ws, json!({ "properties": { "publicNetworkAccess": "Disabled" } })).await.expect(200);
    let child = |kind: &str, name: &str| SeedResource::new(format!("{ws}/{kind}/{name}"), "westeurope");
    let instance = child("computes", "desk").property("computeType", json!("ComputeInstance"));
    let endpoint = child("onlineEndpoints", "score").property("publicNetworkAccess", json!("Disabled"));
    lab.sim.seed(Seed { resources: vec![instance, endpoint], ..Seed::default() }).unwrap();
    connect(lab, "ws", &ws, "amlworkspace").await;
    let zones = [make_zone(lab, API_ZONE).await, make_zone(lab, "privatelink.notebooks.azure.net").await];
    let config = |zone: &String| json!({ "name": zone.rsplit('/').next(), "properties": { "privateDnsZoneId": zone } });
    let configs: Vec<Value> = zones.iter().map(config).collect();
    let body = json!({ "properties": { "privateDnsZoneConfigs": configs } });
    lab.put(&format!("{}/privateDnsZoneGroups/default", pe("ws")), NETWORK, body).await.expect(201);
    for name in [API_ZONE, "privatelink.notebooks.azure.net"] {
        link(lab, name, "v", "Default").await;
    }
    ws
}

#[tokio::test]
async fn every_name_of_a_private_workspace_is_private_inside_and_shut_outside() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let ws = private_workspace(&lab).await;
    let guid = lab.get(&ws, ML).await.body["properties"]["workspaceId"].as_str().unwrap().to_owned();
    let hosts = lab.sim.host_names(&ws).unwrap();
    let wanted = [
        format!("{guid}.workspace.westeurope.api.azureml.ms"),
        format!("{guid}.workspace.westeurope.cert.api.azureml.ms"),
        format!("ml-ws1-westeurope-{guid}.westeurope.notebooks.azure.net"),
        "desk.westeurope.instances.ml.azure.ms".to_owned(),
        "desk-22.westeurope.instances.ml.azure.ms".to_owned(),
        "score.westeurope.inference.ml.azure.com".to_owned(),
    ];
    assert_eq!(hosts, wanted);
    // The endpoint's addresses, by member; an instance has the workspace's first one.
    let inside: Vec<String> =
        hosts.iter().map(|host| lab.sim.resolve(&network("v"), host).unwrap().addresses[0].to_string()).collect();
    assert_eq!(inside, ["10.0.0.4", "10.0.0.4", "10.0.0.5", "10.0.0.4", "10.0.0.4", "10.0.0.6"]);
    for reach in lab.sim.reach_all(&network("v"), &ws).unwrap() {
        assert_eq!(
            (reach.way, reach.private_endpoint.as_ref()),
            (Some(Way::PrivateEndpoint), Some(&pe("ws"))),
            "{reach:?}"
        );
    }
    for reach in lab.sim.reach_all("internet", &ws).unwrap() {
        assert!(!reach.reachable && reach.reason.contains("public network access is disabled"), "{reach:?}");
        assert!(
            reach.resolution.aliases[0].contains(".privatelink.api.azureml.ms") || reach.name.contains("notebooks")
        );
        assert!(reach.resolution.zone.is_none() && reach.private_endpoint.is_none());
    }
}

#[tokio::test]
async fn the_control_interface_answers_the_same() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let ws = private_workspace(&lab).await;
    let ask = |what: String| {
        let lab = &lab;
        async move { lab.send("GET", &format!("/_simulator/{what}"), "", None).await.unwrap() }
    };
    let host = lab.sim.host_names(&ws).unwrap().remove(0);
    let one = ask(format!("resolve?from={}&name={host}", network("v"))).await.expect(200).body;
    assert_eq!(
        (&one["answer"], &one["addresses"], &one["zone"]),
        (&json!("Found"), &json!(["10.0.0.4"]), &json!(zone(API_ZONE)))
    );
    let all = ask(format!("reach?from=internet&to={ws}")).await.expect(200).body;
    let all = all["value"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["reachable"], &all[0]["way"]), (6, &json!(false), &Value::Null));
    ask("reach?from=internet".into()).await.expect(400);
    ask(format!("reach?from=elsewhere&name={host}")).await.expect(404);
    ask(format!("resolve?from=internet&to={}", storage("absent"))).await.expect(404);
}

/// A zone hides the public answer for all names below it; a workspace without an endpoint has no name there.
#[tokio::test]
async fn a_linked_zone_hides_who_has_no_record_in_it() {
    let lab = lab_with(seed(), Settings::fast()).await;
    private_workspace(&lab).await;
    add_network(&lab, "other", "10.9", json!({}));
    let plain = lab.workspace("plain", "Disabled").await;
    let name = lab.sim.host_names(&plain).unwrap().remove(0);
    let before = lab.sim.reach(&network("v"), &name).unwrap();
    assert_eq!((before.way, before.resolution.aliases.len()), (Some(Way::Public), 0));
    // Somebody connects to it from elsewhere: now its name is an alias in the zone that `v` is linked to.
    let mut body = json!({ "location": "westeurope", "properties": { "subnet": { "id": format!("{}/subnets/s", network("other")) } } });
    body["properties"]["privateLinkServiceConnections"] =
        json!([{ "name": "c", "properties": { "privateLinkServiceId": plain, "groupIds": ["amlworkspace"] } }]);
    lab.put(&pe("far"), NETWORK, body).await.expect(201);
    let hidden = lab.sim.reach(&network("v"), &name).unwrap();
    assert_eq!((hidden.reachable, hidden.resolution.answer), (false, Answer::NoSuchName));
    assert!(hidden.reason.contains(API_ZONE), "{}", hidden.reason);
    // From a network without the zone it is public as before.
    assert!(lab.sim.reach(&network("other"), &name).unwrap().reachable);
    let path = format!("{}/virtualNetworkLinks/v", zone(API_ZONE));
    let redirect = json!({ "properties": { "resolutionPolicy": "NxDomainRedirect" } });
    lab.call("PATCH", &path, DNS, Some(redirect)).await.expect(200);
    let redirected = lab.sim.resolve(&network("v"), &name).unwrap();
    assert_eq!((redirected.answer, redirected.redirected, redirected.zone), (Answer::Found, true, None));
}

#[tokio::test]
async fn the_longest_zone_answers_and_wildcards_stop_at_what_is_there() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let records = [
        ("core.windows.net", "CNAME", "lake.blob", json!({ "cnameRecord": { "cname": "a.example." } })),
        ("blob.core.windows.net", "A", "lake", json!({ "aRecords": [{ "ipv4Address": "10.0.0.77" }] })),
        ("blob.core.windows.net", "A", "*", json!({ "aRecords": [{ "ipv4Address": "10.0.0.78" }] })),
        ("blob.core.windows.net", "TXT", "a.b", json!({ "txtRecords": [{ "value": ["x"] }] })),
        ("loop.example", "CNAME", "a", json!({ "cnameRecord": { "cname": "a.loop.example" } })),
    ];
    for name in ["core.windows.net", "blob.core.windows.net", "loop.example"] {
        make_zone(&lab, name).await;
        link(&lab, name, "v", "Default").await;
    }
    for (name, kind, record, properties) in records {
        lab.put(&format!("{}/{kind}/{record}", zone(name)), DNS, json!({ "properties": properties })).await.expect(201);
    }
    let ask = |name: &str| {
        let found = lab.sim.resolve(&network("v"), name).unwrap();
        (found.answer, found.addresses.first().map(ToString::to_string))
    };
    let found = |address: &str| (Answer::Found, Some(address.to_owned()));
    assert_eq!(ask("LAKE.blob.core.windows.net."), found("10.0.0.77"));
    assert_eq!(ask("any.thing.blob.core.windows.net"), found("10.0.0.78"));
    assert_eq!(ask("a.b.blob.core.windows.net"), (Answer::NoAddress, None));
    assert_eq!(ask("b.blob.core.windows.net"), (Answer::NoAddress, None));
    assert_eq!(ask("x.b.blob.core.windows.net"), (Answer::NoSuchName, None));
    assert_eq!(ask("other.core.windows.net"), (Answer::NoSuchName, None));
    assert_eq!(ask("a.loop.example"), (Answer::Silence, None));
    assert_eq!(ask("host.example"), (Answer::NoSuchName, None));
    // An address that somebody wrote by hand leads nowhere.
    let reach = lab.sim.reach(&network("v"), "lake.blob.core.windows.net").unwrap();
    assert!(!reach.reachable && reach.reason.contains("Nothing has the address"), "{}", reach.reason);
}

#[tokio::test]
async fn an_endpoint_is_seen_from_peered_networks_only() {
    let lab = lab_with(seed(), Settings::fast()).await;
    add_network(&lab, "spoke", "10.5", json!({}));
    connect(&lab, "pe", &storage("lake"), "blob").await;
    let blob = make_zone(&lab, "privatelink.blob.core.windows.net").await;
    group(&lab, "pe", &blob).await;
    for to in ["v", "spoke"] {
        link(&lab, "privatelink.blob.core.windows.net", to, "Default").await;
    }
    let reach = || lab.sim.reach(&format!("{}/subnets/s", network("spoke")), "lake.blob.core.windows.net").unwrap();
    assert!(!reach().reachable && reach().reason.starts_with("No line of sight"), "{}", reach().reason);
    let first = peer(&lab, "v", "spoke").await;
    assert_eq!(first["properties"]["peeringState"], "Initiated");
    assert!(!reach().reachable, "one side is not enough");
    let second = peer(&lab, "spoke", "v").await;
    assert_eq!(second["properties"]["peeringState"], "Connected");
    assert_eq!(second["properties"]["remoteAddressSpace"], json!({ "addressPrefixes": ["10.0.0.0/16"] }));
    assert_eq!(reach().way, Some(Way::PrivateEndpoint));
    let shown = lab.get(&network("v"), NETWORK).await.body["properties"]["virtualNetworkPeerings"].clone();
    assert_eq!(
        (shown[0]["name"].as_str(), shown[0]["properties"]["peeringState"].as_str()),
        (Some("to-spoke"), Some("Connected"))
    );
    // The other names of the account are not the endpoint's; from nowhere near, its address is nothing.
    assert!(lab.sim.reach(&network("v"), "lake.dfs.core.windows.net").unwrap().way == Some(Way::Public));
    lab.delete(&format!("{}/virtualNetworkPeerings/to-v", network("spoke")), NETWORK).await.expect(200);
    let alone = lab.get(&format!("{}/virtualNetworkPeerings/to-spoke", network("v")), NETWORK).await.expect(200).body;
    assert_eq!(alone["properties"]["peeringState"], "Disconnected");
    assert!(!reach().reachable);
}

#[tokio::test]
async fn peerings_are_judged() {
    let lab = lab_with(seed(), Settings::fast()).await;
    add_network(&lab, "same", "10.0", json!({}));
    add_network(&lab, "spoke", "10.5", json!({}));
    peer(&lab, "v", "spoke").await;
    let put = |name: &'static str, to: String| {
        let lab = &lab;
        let body = json!({ "properties": { "remoteVirtualNetwork": { "id": to } } });
        async move { lab.put(&format!("{}/virtualNetworkPeerings/{name}", network("v")), NETWORK, body).await }
    };
    assert_eq!(put("p", network("same")).await.expect(400).code(), "VnetAddressSpacesOverlap");
    assert_eq!(put("p", network("spoke")).await.expect(400).code(), "AnotherPeeringAlreadyReferencesRemoteVnet");
    assert_eq!(put("p", network("absent")).await.expect(400).code(), "InvalidResourceReference");
    put("p", network("v")).await.expect(400);
    put("to-spoke", network("spoke")).await.expect(200);
    add_network(&lab, "third", "10.6", json!({}));
    assert_eq!(put("to-spoke", network("third")).await.expect(400).code(), "ChangingRemoteVirtualNetworkNotAllowed");
}

#[tokio::test]
async fn a_pending_endpoint_leads_nowhere_and_one_on_another_target_neither() {
    let lab = lab_with(seed(), Settings::fast()).await;
    connect(&lab, "pe", &storage("lake"), "blob").await;
    let blob = make_zone(&lab, "privatelink.blob.core.windows.net").await;
    group(&lab, "pe", &blob).await;
    link(&lab, "privatelink.blob.core.windows.net", "v", "Default").await;
    let record = json!({ "properties": { "ttl": 10, "aRecords": [{ "ipv4Address": "10.0.0.4" }] } });
    lab.put(&format!("{blob}/A/own"), DNS, record).await.expect(201);
    let reach = |name: &str| lab.sim.reach(&network("v"), &format!("{name}.blob.core.windows.net")).unwrap();
    assert!(reach("lake").reachable);
    // `own` gets an endpoint elsewhere, so that its name is looked up in the zone, where a wrong address stands.
    add_network(&lab, "other", "10.9", json!({}));
    let seeded = arm_simulator::SeedConnection {
        target: storage("own"),
        private_endpoint_id: pe("elsewhere"),
        status: Some("Approved".into()),
        group_ids: vec!["blob".into()],
        ..Default::default()
    };
    lab.sim.seed(Seed { connections: vec![seeded], ..Seed::default() }).unwrap();
    assert!(!reach("own").reachable && reach("own").reason.contains("leads elsewhere"), "{}", reach("own").reason);
    let connection = lab.connections(&storage("lake")).await[0]["id"].as_str().unwrap().to_owned();
    let rejected = json!({ "properties": { "privateLinkServiceConnectionState": { "status": "Rejected" } } });
    lab.put(&connection, STORAGE, rejected).await.expect(200);
    // Nobody is connected any more: the name is public again.
    assert_eq!(reach("lake").way, Some(Way::Public));
}

#[tokio::test]
async fn a_firewall_lets_in_whom_it_names() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let endpoints = json!({ "serviceEndpoints": [{ "service": "Microsoft.Storage" }] });
    add_network(&lab, "fit", "10.5", endpoints);
    add_network(&lab, "bare", "10.6", json!({}));
    let ws = lab.workspace("ws1", "Disabled").await;
    let subnet = |name: &str| format!("{}/subnets/s", network(name));
    let reach = |from: &str| {
        let reach = lab.sim.reach(from, "lake.blob.core.windows.net").unwrap();
        (reach.way, reach.reason)
    };
    let change = |properties: Value| {
        let lab = &lab;
        async move {
            lab.call("PATCH", &storage("lake"), STORAGE, Some(json!({ "properties": properties }))).await.expect(200);
        }
    };
    assert_eq!(reach("internet").0, Some(Way::Public));
    assert_eq!(reach(&subnet("fit")).0, Some(Way::ServiceEndpoint));
    change(json!({ "networkAcls": {
        "defaultAction": "Deny", "bypass": "None", "ipRules": [{ "value": "20.1.2.0/24" }],
        "virtualNetworkRules": [{ "id": subnet("fit") }],
        "resourceAccessRules": [{ "tenantId": crate::lab::TENANT, "resourceId": ws }],
    } }))
    .await;
    assert_eq!(reach("internet").0, None);
    assert_eq!(reach("20.1.2.77").0, Some(Way::Public));
    assert_eq!(reach("20.1.3.1").0, None);
    assert_eq!(reach(&subnet("fit")).0, Some(Way::ServiceEndpoint));
    assert_eq!(reach(&subnet("bare")).0, None);
    assert_eq!(reach(&network("fit")).0, None, "no subnet is stated");
    assert_eq!(reach(&ws).0, Some(Way::ResourceInstance));
    assert_eq!(reach(&vault()).0, None);
    change(json!({ "networkAcls": { "defaultAction": "Deny", "bypass": "AzureServices" } })).await;
    assert_eq!(reach(&vault()).0, Some(Way::TrustedService));
    change(json!({ "publicNetworkAccess": "Disabled" })).await;
    for from in ["internet", "20.1.2.77", &subnet("fit")] {
        assert_eq!(reach(from).0, None, "{from}");
    }
    assert_eq!(reach(&ws).0, Some(Way::ResourceInstance));
}

#[tokio::test]
async fn every_service_has_its_switch() {
    let mut seed = seed();
    let registry = id("Microsoft.ContainerRegistry/registries", "images");
    let server = id("Microsoft.Sql/servers", "facts");
    seed.resources.extend([
        SeedResource::new(&registry, "westeurope").property(
            "networkRuleSet",
            json!({ "defaultAction": "Deny",
            "ipRules": [{ "value": "20.1.2.3" }] }),
        ),
        SeedResource::new(&server, "westeurope"),
        SeedResource::new(format!("{server}/firewallRules/office"), "")
            .property("startIpAddress", json!("20.1.2.0"))
            .property("endIpAddress", json!("20.1.2.9")),
    ]);
    let lab = lab_with(seed, Settings::fast()).await;
    let ws = lab.workspace("ws1", "Disabled").await;
    lab.call(
        "PATCH",
        &ws,
        "2025-10-01-preview",
        Some(json!({ "properties": { "networkAcls": {
        "defaultAction": "Deny", "ipRules": [{ "value": "20.1.2.3" }] } } })),
    )
    .await
    .expect(200);
    let closed = json!({ "properties": { "publicNetworkAccess": "disabled" } });
    lab.call("PATCH", &vault(), "2024-11-01", Some(closed)).await.expect(200);
    let all = |from: &str, to: &str| {
        lab.sim.reach_all(from, to).unwrap().into_iter().map(|reach| reach.reachable).collect::<Vec<_>>()
    };
    for (to, from_office, names) in [(&ws, true, 3), (&registry, true, 2), (&server, true, 1), (&vault(), false, 1)] {
        assert_eq!(all("20.1.2.3", to), vec![from_office; names], "{to}");
        assert_eq!(all("internet", to), vec![false; names], "{to}");
    }
    assert_eq!(all("internet", &storage("lake")), [true; 6]);
}

#[tokio::test]
async fn networks_with_dns_servers_of_their_own_see_what_these_see() {
    let lab = lab_with(seed(), Settings::fast()).await;
    private_workspace(&lab).await;
    let host = lab.sim.host_names(&crate::lab::workspace("ws1")).unwrap().remove(0);
    for (name, prefix, server) in
        [("own", "10.5", "168.63.129.16"), ("hub", "10.6", "10.0.0.200"), ("lost", "10.7", "192.168.0.53")]
    {
        let resource = SeedResource::new(network(name), "westeurope")
            .property("addressSpace", json!({ "addressPrefixes": [format!("{prefix}.0.0/16")] }))
            .property("dhcpOptions", json!({ "dnsServers": [server] }));
        lab.sim.seed(Seed { resources: vec![resource], ..Seed::default() }).unwrap();
    }
    let ask = |from: &str| lab.sim.resolve(&network(from), &host).unwrap();
    assert!(ask("own").zone.is_none() && ask("own").answer == Answer::Found);
    assert_eq!(ask("lost").answer, Answer::Silence);
    assert_eq!(ask("hub").answer, Answer::Silence, "it cannot see its server");
    peer(&lab, "v", "hub").await;
    peer(&lab, "hub", "v").await;
    assert_eq!(ask("hub").zone, Some(zone(API_ZONE)));
    assert!(lab.sim.reach(&network("hub"), &host).unwrap().reachable);
}

#[tokio::test]
async fn sovereign_clouds_have_names_of_their_own() {
    let lab = lab_with(seed(), Settings { cloud: Cloud::AzureUSGovernment, ..Settings::fast() }).await;
    assert_eq!(lab.sim.host_names(&storage("lake")).unwrap()[0], "lake.blob.core.usgovcloudapi.net");
    assert_eq!(lab.sim.host_names(&vault()).unwrap(), ["kv1.vault.usgovcloudapi.net"]);
    let account = lab.get(&storage("lake"), STORAGE).await.expect(200).body;
    assert_eq!(account["properties"]["primaryEndpoints"]["blob"], "https://lake.blob.core.usgovcloudapi.net/");
    let groups = lab.get(&format!("{}/privateLinkResources", vault()), "2024-11-01").await.expect(200).body;
    assert_eq!(
        groups["value"][0]["properties"]["requiredZoneNames"],
        json!(["privatelink.vaultcore.usgovcloudapi.net"])
    );
    let mut body = crate::lab::workspace_body("Disabled");
    lab.put(&crate::lab::workspace("ws1"), ML, body.clone()).await.expect(400);
    body["location"] = json!("usgovvirginia");
    lab.put(&crate::lab::workspace("ws1"), ML, body).await.expect(200);
    let made = connect(&lab, "ws", &crate::lab::workspace("ws1"), "amlworkspace").await;
    let fqdn = made["properties"]["customDnsConfigs"][0]["fqdn"].as_str().unwrap();
    assert!(fqdn.ends_with(".workspace.usgovvirginia.api.ml.azure.us"), "{fqdn}");
}

#[tokio::test]
async fn a_project_is_reached_by_the_names_of_its_hub() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let (hub, project) = (crate::lab::workspace("hub1"), crate::lab::workspace("project1"));
    let mut body = crate::lab::workspace_body("Disabled");
    body["kind"] = json!("Hub");
    lab.put(&hub, ML, body).await.expect(200);
    let body = json!({ "location": "westeurope", "kind": "Project", "identity": { "type": "SystemAssigned" },
        "properties": { "hubResourceId": hub } });
    lab.put(&project, ML, body).await.expect(200);
    let names = lab.sim.host_names(&project).unwrap();
    assert_eq!((names.len(), &names), (3, &lab.sim.host_names(&hub).unwrap()));
}
