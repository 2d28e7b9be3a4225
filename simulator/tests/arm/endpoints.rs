use std::time::Duration;

use arm_simulator::{Seed, SeedResource, Settings, ZoneGroupRecords};
use serde_json::{Value, json};

use crate::dns::make_zone;
use crate::lab::{GROUP, Lab, assignment, id, seed, status_of, storage, vault};
use crate::networks::{network, slow};

const NETWORK: &str = "2024-05-01";

fn endpoint(list: &str, target: &str) -> Value {
    let connection = json!({ "name": "c1", "properties": { "privateLinkServiceId": target, "groupIds": ["blob"], "requestMessage": "please" } });
    json!({
        "location": "westeurope",
        "properties": {
            "subnet": { "id": subnet() },
            list: [connection],
        }
    })
}

fn subnet() -> String {
    format!("{}/subnets/pe", network("v"))
}

pub(crate) fn pe(name: &str) -> String {
    id("Microsoft.Network/privateEndpoints", name)
}

/// A lab with a network.
pub(crate) async fn lab_with(seed: Seed, settings: Settings) -> Lab {
    let lab = Lab::with(seed, settings).await;
    let network = SeedResource::new(network("v"), "westeurope")
        .property("addressSpace", json!({ "addressPrefixes": ["10.0.0.0/16"] }))
        .property("subnets", json!([{ "name": "pe", "properties": { "addressPrefix": "10.0.0.0/24" } }]));
    lab.sim.seed(Seed { resources: vec![network], ..Seed::default() }).unwrap();
    lab
}

/// An endpoint of this name on a target.
pub(crate) async fn connect(lab: &Lab, name: &str, target: &str, group: &str) -> Value {
    let mut body = endpoint(AUTOMATIC, target);
    body["properties"][AUTOMATIC][0]["properties"]["groupIds"] = json!([group]);
    lab.put(&pe(name), NETWORK, body).await.expect(201).body
}

/// The addresses of an endpoint, each with its names.
async fn addresses(lab: &Lab, endpoint: &Value) -> Vec<(String, String, Value)> {
    let nic =
        lab.get(endpoint["properties"]["networkInterfaces"][0]["id"].as_str().unwrap(), NETWORK).await.expect(200).body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let shown = |item: &Value| {
        let link = &item["properties"]["privateLinkConnectionProperties"];
        (text(&item["properties"]["privateIPAddress"]), text(&link["requiredMemberName"]), link["fqdns"].clone())
    };
    nic["properties"]["ipConfigurations"].as_array().unwrap().iter().map(shown).collect()
}

pub(crate) async fn group(lab: &Lab, endpoint: &str, zone: &str) -> Value {
    let config = json!({ "name": "config", "properties": { "privateDnsZoneId": zone } });
    let body = json!({ "properties": { "privateDnsZoneConfigs": [config] } });
    lab.put(&format!("{}/privateDnsZoneGroups/default", pe(endpoint)), NETWORK, body).await.expect(201).body
}

/// The A records of a zone.
async fn records(lab: &Lab, zone: &str) -> Vec<String> {
    let list = lab.get(&format!("{zone}/A"), "2024-06-01").await.expect(200).body;
    let shown = |r: &Value| {
        format!("{} {}", r["name"].as_str().unwrap(), r["properties"]["aRecords"][0]["ipv4Address"].as_str().unwrap())
    };
    list["value"].as_array().unwrap().iter().map(shown).collect()
}

const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";

#[tokio::test]
async fn both_sides_of_a_connection_agree() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let pe = id("Microsoft.Network/privateEndpoints", "pe1");
    let created = lab.put(&pe, NETWORK, endpoint(MANUAL, &storage("lake"))).await.expect(201).body;
    let theirs = |body: &Value| status_of(&body["properties"][MANUAL][0]).to_owned();
    assert_eq!(theirs(&created), "Pending");
    let connection = lab.connections(&storage("lake")).await.remove(0);
    assert_eq!((status_of(&connection), &connection["properties"]["privateEndpoint"]["id"]), ("Pending", &json!(pe)));
    let url = connection["id"].as_str().unwrap();
    for status in ["Approved", "Rejected"] {
        let body = json!({ "properties": { "privateLinkServiceConnectionState": { "status": status } } });
        lab.put(url, "2023-05-01", body).await.expect(200);
        assert_eq!(theirs(&lab.get(&pe, NETWORK).await.body), status);
    }
    lab.delete(url, "2023-05-01").await.expect(200);
    assert_eq!(theirs(&lab.get(&pe, NETWORK).await.body), "Disconnected");
    lab.delete(&pe, NETWORK).await.expect(200);
    lab.delete(&pe, NETWORK).await.expect(204);

    lab.put(&pe, NETWORK, endpoint(AUTOMATIC, &storage("lake"))).await.expect(201);
    lab.put(&pe, NETWORK, endpoint(AUTOMATIC, &storage("lake"))).await.expect(200);
    let connections = lab.connections(&storage("lake")).await;
    assert_eq!((connections.len(), status_of(&connections[0])), (1, "Approved"));
    lab.delete(&pe, NETWORK).await.expect(200);
    assert!(lab.connections(&storage("lake")).await.is_empty());
}

#[tokio::test]
async fn an_automatic_connection_needs_rights_on_the_target() {
    let mut seed = seed();
    seed.role_definitions.push(arm_simulator::SeedRole {
        name: "aaaaaaaa-0000-0000-0000-000000000002".into(),
        role_name: "network".into(),
        actions: vec!["Microsoft.Network/*".into()],
        not_actions: Vec::new(),
    });
    seed.role_assignments.push(assignment(GROUP, "network", "guest-object"));
    let lab = lab_with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let url = format!("{}?api-version={NETWORK}", id("Microsoft.Network/privateEndpoints", "pe2"));
    let refused = lab.send("PUT", &url, &guest, Some(endpoint(AUTOMATIC, &storage("lake")))).await.unwrap().expect(403);
    assert_eq!(refused.code(), "LinkedAuthorizationFailed");
    assert!(lab.connections(&storage("lake")).await.is_empty());
    lab.send("PUT", &url, &guest, Some(endpoint(MANUAL, &storage("lake")))).await.unwrap().expect(201);
}

#[tokio::test]
async fn a_request_states_exactly_one_known_connection() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let pe = id("Microsoft.Network/privateEndpoints", "pe3");
    let mut both = endpoint(AUTOMATIC, &storage("lake"));
    both["properties"][MANUAL] = both["properties"][AUTOMATIC].clone();
    let mut group = endpoint(MANUAL, &storage("lake"));
    group["properties"][MANUAL][0]["properties"]["groupIds"] = json!(["vault"]);
    for body in [both, group, endpoint("somethingElse", &storage("lake"))] {
        lab.put(&pe, NETWORK, body).await.expect(400);
    }
    lab.put(&pe, NETWORK, endpoint(MANUAL, &storage("absent"))).await.expect(404);
}

#[tokio::test]
async fn an_endpoint_is_made_as_recorded() {
    let lab = lab_with(seed(), slow()).await;
    let body = endpoint(AUTOMATIC, &storage("lake"));
    let created = lab.put(&pe("pe1"), "2024-03-01", body.clone()).await.expect(201);
    assert_eq!(
        (created.header("Azure-AsyncNotification"), created.header("Retry-After")),
        (Some("Enabled"), Some("10"))
    );
    let shown = |answer: &Value, state: &str, description: &str, names: Value| {
        let tag = &answer["etag"];
        json!({
            "id": pe("pe1"), "name": "pe1", "type": "Microsoft.Network/privateEndpoints", "location": "westeurope", "etag": tag,
            "properties": {
                "provisioningState": state, "resourceGuid": created.body["properties"]["resourceGuid"],
                "privateLinkServiceConnections": [{
                    "name": "c1", "id": format!("{}/privateLinkServiceConnections/c1", pe("pe1")), "etag": tag,
                    "type": "Microsoft.Network/privateEndpoints/privateLinkServiceConnections",
                    "properties": {
                        "provisioningState": "Succeeded", "privateLinkServiceId": storage("lake"), "groupIds": ["blob"],
                        "requestMessage": "please",
                        "privateLinkServiceConnectionState": {
                            "status": "Approved", "description": description, "actionsRequired": "None"
                        },
                    },
                }],
                "manualPrivateLinkServiceConnections": [], "customNetworkInterfaceName": "", "subnet": { "id": subnet() },
                "ipConfigurations": [], "networkInterfaces": created.body["properties"]["networkInterfaces"],
                "customDnsConfigs": names, "isIPv6EnabledPrivateEndpoint": false,
            }
        })
    };
    assert_eq!(created.body, shown(&created.body, "Updating", "Auto Approved", json!([])));
    // Meanwhile it is busy.
    assert_eq!(lab.put(&pe("pe1"), NETWORK, body.clone()).await.expect(429).code(), "RetryableError");
    lab.sim.clock().advance(Duration::from_secs(10));
    let read = lab.get(&pe("pe1"), "2024-03-01").await.expect(200).body;
    let names = json!([{ "fqdn": "lake.blob.core.windows.net", "ipAddresses": ["10.0.0.4"] }]);
    assert_eq!(read, shown(&read, "Succeeded", "Auto-Approved", names));

    let mut tagged = body;
    tagged["tags"] = json!({ "foo": "bar" });
    let updated = lab.put(&pe("pe1"), "2024-03-01", tagged).await.expect(200);
    assert!(updated.header("Azure-AsyncOperation").is_some() && updated.header("Retry-After").is_none());
    assert_eq!(
        (&updated.body["properties"]["provisioningState"], &updated.body["tags"]["foo"]),
        (&json!("Succeeded"), &json!("bar"))
    );
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);

    let nic = created.body["properties"]["networkInterfaces"][0]["id"].as_str().unwrap().to_owned();
    let interface = lab.get(&nic, "2022-01-01").await.expect(200).body;
    assert_eq!((&interface["managedBy"], &interface["kind"]), (&json!(pe("pe1")), &json!("Regular")));
    assert_eq!(
        interface["properties"]["ipConfigurations"][0]["properties"]["privateLinkConnectionProperties"],
        json!({ "groupId": "blob", "requiredMemberName": "blob", "fqdns": ["lake.blob.core.windows.net"] })
    );
    lab.delete(&nic, NETWORK).await.expect(400);
    let shown = lab.get(&subnet(), NETWORK).await.body["properties"]["privateEndpoints"].clone();
    assert_eq!(shown, json!([{ "id": pe("pe1") }]));
    assert_eq!(lab.delete(&subnet(), NETWORK).await.expect(400).code(), "InUseSubnetCannotBeDeleted");

    lab.delete(&pe("pe1"), NETWORK).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(&pe("pe1"), NETWORK).await.expect(404);
    lab.get(&nic, NETWORK).await.expect(404);
    assert!(lab.connections(&storage("lake")).await.is_empty());
}

#[tokio::test]
async fn a_workspace_takes_three_addresses_and_others_their_own() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let registry = id("Microsoft.ContainerRegistry/registries", "acr1");
    let server = id("Microsoft.Sql/servers", "sql1");
    let resources = [&registry, &server].map(|id| SeedResource::new(id.as_str(), "westeurope")).to_vec();
    lab.sim.seed(Seed { resources, ..Seed::default() }).unwrap();
    let ws = lab.workspace("ws1", "Disabled").await;
    let guid = lab.get(&ws, crate::lab::ML).await.body["properties"]["workspaceId"].as_str().unwrap().to_owned();
    let made = connect(&lab, "ws", &ws, "amlworkspace").await;
    let at = |address: &str, member: &str, hosts: &[&str]| (address.to_owned(), member.to_owned(), json!(hosts));
    assert_eq!(
        addresses(&lab, &made).await,
        [
            at(
                "10.0.0.4",
                "default",
                &[
                    &format!("{guid}.workspace.westeurope.api.azureml.ms"),
                    &format!("{guid}.workspace.westeurope.cert.api.azureml.ms"),
                ]
            ),
            at("10.0.0.5", "notebook", &[&format!("ml-ws1-westeurope-{guid}.westeurope.notebooks.azure.net")]),
            at("10.0.0.6", "inference", &["*.westeurope.inference.ml.azure.com"]),
        ]
    );
    assert_eq!(made["properties"]["customDnsConfigs"].as_array().unwrap().len(), 4);
    let zone = make_zone(&lab, "privatelink.api.azureml.ms").await;
    group(&lab, "ws", &zone).await;
    assert_eq!(
        records(&lab, &zone).await,
        [format!("*.{guid}.inference.westeurope 10.0.0.6"), format!("{guid}.workspace.westeurope 10.0.0.4")]
    );

    let made = connect(&lab, "kv", &vault(), "vault").await;
    assert_eq!(addresses(&lab, &made).await, [at("10.0.0.7", "default", &["kv1.vault.azure.net"])]);
    let made = connect(&lab, "acr", &registry, "registry").await;
    assert_eq!(
        addresses(&lab, &made).await,
        [
            at("10.0.0.8", "registry_data_westeurope", &["acr1.westeurope.data.azurecr.io"]),
            at("10.0.0.9", "registry", &["acr1.azurecr.io"]),
        ]
    );
    let made = connect(&lab, "sql", &server, "sqlServer").await;
    assert_eq!(addresses(&lab, &made).await, [at("10.0.0.10", "sqlServer", &["sql1.database.windows.net"])]);
    // What was given back is handed out again.
    lab.delete(&pe("ws"), NETWORK).await.expect(200);
    assert!(records(&lab, &zone).await.is_empty());
    let made = connect(&lab, "lake", &storage("lake"), "dfs").await;
    assert_eq!(addresses(&lab, &made).await, [at("10.0.0.4", "dfs", &["lake.dfs.core.windows.net"])]);
}

#[tokio::test]
async fn addresses_can_be_asked_for() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let body = |address: &str, member: &str| {
        let mut body = endpoint(AUTOMATIC, &storage("lake"));
        let properties = json!({ "groupId": "blob", "memberName": member, "privateIPAddress": address });
        body["properties"]["ipConfigurations"] = json!([{ "name": "mine", "properties": properties }]);
        body["properties"]["customNetworkInterfaceName"] = json!("my-nic");
        body
    };
    for (address, member, code) in [
        ("10.1.0.9", "blob", "PrivateIPAddressNotInSubnet"),
        ("10.0.0.3", "blob", "PrivateIPAddressInReservedRange"),
        ("10.0.0.255", "blob", "PrivateIPAddressInReservedRange"),
        ("10.0.0.9", "default", "PrivateEndpointIpConfigurationMissingMemberNamesRequiredByFps"),
    ] {
        let refused = lab.put(&pe("pe1"), NETWORK, body(address, member)).await.expect(400);
        assert_eq!(refused.code(), code, "{address}");
    }
    assert!(lab.connections(&storage("lake")).await.is_empty());
    let made = lab.put(&pe("pe1"), NETWORK, body("10.0.0.9", "blob")).await.expect(201).body;
    let nic = id("Microsoft.Network/networkInterfaces", "my-nic");
    assert_eq!(made["properties"]["networkInterfaces"], json!([{ "id": nic }]));
    let item = lab.get(&nic, NETWORK).await.body["properties"]["ipConfigurations"][0].clone();
    assert_eq!(
        (&item["name"], &item["properties"]["privateIPAddress"], &item["properties"]["privateIPAllocationMethod"]),
        (&json!("mine"), &json!("10.0.0.9"), &json!("Static"))
    );
    let mut second = body("10.0.0.9", "blob");
    second["properties"]["customNetworkInterfaceName"] = json!("other-nic");
    assert_eq!(lab.put(&pe("pe2"), NETWORK, second).await.expect(400).code(), "PrivateIPAddressIsAllocated");
}

#[tokio::test]
async fn an_endpoint_lies_in_a_subnet_of_its_region_and_stays_what_it_is() {
    let lab = lab_with(seed(), Settings::fast()).await;
    let mut elsewhere = endpoint(AUTOMATIC, &storage("lake"));
    elsewhere["location"] = json!("northeurope");
    let mut nowhere = endpoint(AUTOMATIC, &storage("lake"));
    nowhere["properties"]["subnet"]["id"] = json!(format!("{}/subnets/absent", network("v")));
    for body in [elsewhere, nowhere] {
        assert_eq!(lab.put(&pe("pe1"), NETWORK, body).await.expect(400).code(), "InvalidResourceReference");
    }
    let mut long = endpoint(MANUAL, &storage("lake"));
    long["properties"][MANUAL][0]["properties"]["requestMessage"] = json!("x".repeat(141));
    lab.put(&pe("pe1"), NETWORK, long).await.expect(400);
    connect(&lab, "pe1", &storage("lake"), "blob").await;
    for body in [endpoint(AUTOMATIC, &storage("own")), endpoint(MANUAL, &storage("lake"))] {
        assert_eq!(lab.put(&pe("pe1"), NETWORK, body).await.expect(400).code(), "PropertyChangeNotAllowed");
    }
    assert!(lab.connections(&storage("own")).await.is_empty());
}

#[tokio::test]
async fn a_zone_group_is_made_as_recorded() {
    let lab = lab_with(seed(), slow()).await;
    connect(&lab, "pe1", &storage("lake"), "blob").await;
    lab.put(&crate::dns::zone("privatelink.blob.core.windows.net"), "2018-09-01", json!({ "location": "global" }))
        .await
        .expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    let zone = crate::dns::zone("privatelink.blob.core.windows.net");
    let made = group(&lab, "pe1", &zone).await;
    let id = format!("{}/privateDnsZoneGroups/default", pe("pe1"));
    let shown = |answer: &Value, state: &str| {
        json!({
            "id": id, "name": "default", "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
            "etag": answer["etag"],
            "properties": {
                "provisioningState": state,
                "privateDnsZoneConfigs": [{
                    "name": "config", "id": format!("{id}/privateDnsZoneConfigs/config"), "etag": answer["etag"],
                    "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/privateDnsZoneConfigs",
                    "properties": {
                        "provisioningState": state, "privateDnsZoneId": zone,
                        "recordSets": [{
                            "recordType": "A", "recordSetName": "lake", "ttl": 10, "provisioningState": state,
                            "fqdn": "lake.privatelink.blob.core.windows.net", "ipAddresses": ["10.0.0.4"],
                        }],
                    }
                }],
            }
        })
    };
    assert_eq!(made, shown(&made, "Updating"));
    assert!(records(&lab, &zone).await.is_empty());
    lab.sim.clock().advance(Duration::from_secs(10));
    let read = lab.get(&id, NETWORK).await.expect(200).body;
    assert_eq!(read, shown(&read, "Succeeded"));
    assert_eq!(records(&lab, &zone).await, ["lake 10.0.0.4"]);
    lab.sim.settings(|settings| settings.zone_group_empties_dns_configs = true);
    assert_eq!(lab.get(&pe("pe1"), NETWORK).await.body["properties"]["customDnsConfigs"], json!([]));

    // One group an endpoint, of zones that exist.
    let body = |zone: &str| json!({ "properties": { "privateDnsZoneConfigs": [{ "name": "c", "properties": { "privateDnsZoneId": zone } }] } });
    lab.put(&format!("{}/privateDnsZoneGroups/second", pe("pe1")), NETWORK, body(&zone)).await.expect(400);
    let absent = lab.put(&id, NETWORK, body(&crate::dns::zone("absent.example"))).await.expect(400);
    assert_eq!(absent.code(), "InvalidResourceReference");
    lab.delete(&id, NETWORK).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(&id, NETWORK).await.expect(404);
    assert!(records(&lab, &zone).await.is_empty());
}

/// Two endpoints to one account, each with a group on the same zone: the second one's address takes the name over, and
/// with the first one's group the name disappears.
#[tokio::test]
async fn a_second_zone_group_takes_the_name_over_and_the_first_one_takes_it_away() {
    for records_are in [ZoneGroupRecords::DeletedByName, ZoneGroupRecords::DeletedByWriter] {
        let lab = lab_with(seed(), Settings { zone_group_records: records_are, ..Settings::fast() }).await;
        let zone = make_zone(&lab, "privatelink.blob.core.windows.net").await;
        for name in ["first", "second"] {
            connect(&lab, name, &storage("lake"), "blob").await;
            group(&lab, name, &zone).await;
        }
        assert_eq!(records(&lab, &zone).await, ["lake 10.0.0.5"]);
        lab.delete(&format!("{}/privateDnsZoneGroups/default", pe("first")), NETWORK).await.expect(200);
        let left: &[&str] = if records_are == ZoneGroupRecords::DeletedByName { &[] } else { &["lake 10.0.0.5"] };
        assert_eq!(records(&lab, &zone).await, left);
        // The group still says that the record is there.
        let group = lab.get(&format!("{}/privateDnsZoneGroups/default", pe("second")), NETWORK).await.body;
        let stated = &group["properties"]["privateDnsZoneConfigs"][0]["properties"]["recordSets"][0];
        assert_eq!(stated["ipAddresses"], json!(["10.0.0.5"]));
    }
}
