use std::time::Duration;

use arm_simulator::Settings;
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, id};
use crate::networks::{network, slow};

const DNS: &str = "2024-06-01";
const NETWORK: &str = "2024-05-01";

pub(crate) fn zone(name: &str) -> String {
    id("Microsoft.Network/privateDnsZones", name)
}

pub(crate) async fn make_zone(lab: &Lab, name: &str) -> String {
    lab.put(&zone(name), DNS, json!({ "location": "global" })).await.expect(201);
    zone(name)
}

async fn make_network(lab: &Lab, name: &str) -> String {
    let space = json!({ "addressPrefixes": ["10.0.0.0/16"] });
    let body = json!({ "location": "westeurope", "properties": { "addressSpace": space } });
    lab.put(&network(name), NETWORK, body).await.expect(201);
    network(name)
}

fn link(network: &str, registers: bool) -> Value {
    json!({ "location": "global", "properties": { "virtualNetwork": { "id": network }, "registrationEnabled": registers } })
}

async fn with_header(lab: &Lab, method: &str, path: &str, header: (&str, &str), body: Option<Value>) -> u16 {
    let url = format!("{}{path}?api-version={DNS}", lab.sim.endpoint());
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = lab.client.request(method, url).bearer_auth(&lab.token).header(header.0, header.1);
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap().status().as_u16()
}

async fn poll(lab: &Lab, answer: &Answer, header: &str) -> Answer {
    lab.send("GET", answer.header(header).unwrap(), &lab.token, None).await.unwrap()
}

#[tokio::test]
async fn a_zone_is_made_as_recorded() {
    let lab = Lab::start(slow()).await;
    let zone = zone("privatelink.blob.core.windows.net");
    let accepted = lab.put(&zone, "2018-09-01", json!({ "location": "Global" })).await.expect(202);
    assert_eq!((accepted.text.as_str(), accepted.header("Retry-After")), ("{}", Some("30")));
    assert!(
        accepted
            .header("Azure-AsyncOperation")
            .unwrap()
            .contains(&format!("{GROUP}/providers/Microsoft.Network/privateDnsOperationStatuses/"))
    );
    assert!(accepted.header("Location").unwrap().contains("/privateDnsOperationResults/"));
    assert_eq!(accepted.header("Azure-AsyncNotification"), None);
    let running = poll(&lab, &accepted, "Azure-AsyncOperation").await.expect(202);
    assert_eq!((&running.body, running.header("Retry-After")), (&json!({ "status": "InProgress" }), Some("30")));
    assert_eq!(running.header("Location"), accepted.header("Location"));
    assert_eq!(lab.get(&zone, DNS).await.body["properties"]["provisioningState"], "Creating");
    lab.sim.clock().advance(Duration::from_secs(10));
    let done = poll(&lab, &running, "Azure-AsyncOperation").await.expect(200);
    assert_eq!(done.body, json!({ "status": "Succeeded" }));
    let read = poll(&lab, &accepted, "Location").await.expect(200).body;
    assert_eq!(
        read,
        json!({
            "id": zone, "name": "privatelink.blob.core.windows.net", "type": "Microsoft.Network/privateDnsZones",
            "etag": read["etag"], "location": "global",
            "properties": {
                "maxNumberOfRecordSets": 25000, "maxNumberOfVirtualNetworkLinks": 1000,
                "maxNumberOfVirtualNetworkLinksWithRegistration": 100, "numberOfRecordSets": 1,
                "numberOfVirtualNetworkLinks": 0, "numberOfVirtualNetworkLinksWithRegistration": 0,
                "provisioningState": "Succeeded",
            }
        })
    );
    let answer = lab.get(&zone, DNS).await;
    assert_eq!(answer.header("ETag"), read["etag"].as_str());
    let elsewhere = lab.put(&crate::dns::zone("a.b"), DNS, json!({ "location": "westeurope" })).await.expect(400);
    assert_eq!(elsewhere.code(), "LocationNotAvailableForResourceType");
}

#[tokio::test]
async fn links_are_one_to_a_zone_and_its_name() {
    let lab = Lab::start(Settings::fast()).await;
    let (v, a) = (make_network(&lab, "v").await, make_zone(&lab, "a.example").await);
    let at = |zone: &str, name: &str| format!("{zone}/virtualNetworkLinks/{name}");
    let mut body = link(&v, true);
    body["properties"]["resolutionPolicy"] = json!("NxDomainRedirect");
    let made = lab.put(&at(&a, "one"), DNS, body.clone()).await.expect(201).body;
    assert_eq!(
        made["properties"],
        json!({
            "virtualNetwork": { "id": v }, "registrationEnabled": true, "resolutionPolicy": "NxDomainRedirect",
            "virtualNetworkLinkState": "Completed", "provisioningState": "Succeeded",
        })
    );
    assert!(made["etag"].as_str().unwrap().starts_with('"'), "{}", made["etag"]);
    // The older version does not know the policy, and leaves it alone.
    let older = lab.put(&at(&a, "one"), "2020-06-01", link(&v, true)).await.expect(200).body;
    assert_eq!(older["properties"]["resolutionPolicy"], "NxDomainRedirect");
    assert_eq!(lab.put(&at(&a, "two"), DNS, link(&v, false)).await.expect(409).code(), "Conflict");
    let b = make_zone(&lab, "b.example").await;
    lab.put(&at(&b, "two"), DNS, link(&v, true)).await.expect(400);
    lab.put(&at(&b, "two"), DNS, link(&v, false)).await.expect(201);
    lab.put(&at(&b, "absent"), DNS, link(&network("absent"), false)).await.expect(404);
    // The same name in another group.
    let group = arm_simulator::SeedGroup {
        subscription_id: crate::lab::SUB.into(),
        name: "rg2".into(),
        location: "westeurope".into(),
    };
    lab.sim.seed(arm_simulator::Seed { resource_groups: vec![group], ..Default::default() }).unwrap();
    let twin = a.replace("/rg1/", "/rg2/");
    lab.put(&twin, DNS, json!({ "location": "global" })).await.expect(201);
    let refused = lab.put(&at(&twin, "one"), DNS, link(&v, false)).await.expect(400);
    assert_eq!(
        refused.message(),
        "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link virtual network with 'a.example' and 'a.example' zones."
    );

    let counts = lab.get(&a, DNS).await.body["properties"].clone();
    assert_eq!(
        (&counts["numberOfVirtualNetworkLinks"], &counts["numberOfVirtualNetworkLinksWithRegistration"]),
        (&json!(1), &json!(1))
    );
    let refused = lab.delete(&a, DNS).await.expect(409);
    assert_eq!(refused.code(), "CannotDeleteResource");
    assert!(
        refused.message().contains("'Microsoft.Network/privateDnsZones/a.example/virtualNetworkLinks/one'"),
        "{}",
        refused.message()
    );
    lab.delete(&at(&a, "one"), DNS).await.expect(200);
    lab.delete(&a, DNS).await.expect(200);
    lab.get(&format!("{a}/SOA/@"), DNS).await.expect(404);
}

#[tokio::test]
async fn record_sets_are_kept_by_type_and_name() {
    let lab = Lab::start(Settings::fast()).await;
    let zone = make_zone(&lab, "a.example").await;
    let records = |address: &str| json!({ "properties": { "ttl": 60, "ARECORDS": [{ "ipv4address": address }], "metadata": { "Owner": "me" } } });
    let made = lab.put(&format!("{zone}/a/WWW"), DNS, records("10.0.0.1")).await.expect(201).body;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "www", "type": "Microsoft.Network/privateDnsZones/A", "etag": made["etag"],
            "properties": {
                "ttl": 60, "fqdn": "www.a.example.", "isAutoRegistered": false, "metadata": { "Owner": "me" },
                "aRecords": [{ "ipv4Address": "10.0.0.1" }],
            }
        })
    );
    for (kind, name, body) in [
        ("AAAA", "www", json!({ "aaaaRecords": [{ "ipv6Address": "fd00::1" }] })),
        ("MX", "@", json!({ "mxRecords": [{ "preference": 1, "exchange": "mail.a.example" }] })),
        ("PTR", "1", json!({ "ptrRecords": [{ "ptrdname": "www.a.example" }] })),
        (
            "SRV",
            "_x._tcp",
            json!({ "srvRecords": [{ "priority": 1, "weight": 1, "port": 1, "target": "www.a.example" }] }),
        ),
        ("TXT", "@", json!({ "txtRecords": [{ "value": ["a", "b"] }] })),
        ("CNAME", "alias", json!({ "cnameRecord": { "cname": "www.a.example" } })),
    ] {
        lab.put(&format!("{zone}/{kind}/{name}"), DNS, json!({ "properties": body })).await.expect(201);
    }
    for (kind, name, body) in [
        ("A", "x", json!({ "aRecords": [{ "ipv4Address": "10.0.0.300" }] })),
        ("A", "x", json!({ "aRecords": [] })),
        ("A", "alias", json!({ "aRecords": [{ "ipv4Address": "10.0.0.1" }] })),
        ("CNAME", "www", json!({ "cnameRecord": { "cname": "x" } })),
        ("SOA", "x", json!({ "soaRecord": { "retryTime": 1 } })),
    ] {
        lab.put(&format!("{zone}/{kind}/{name}"), DNS, json!({ "properties": body })).await.expect(400);
    }
    let soa = json!({ "properties": { "soaRecord": { "retryTime": 7, "host": "mine" } } });
    let path = format!("{zone}/SOA/@?api-version={DNS}");
    let soa =
        lab.send("PATCH", &path, &lab.token, Some(soa)).await.unwrap().expect(200).body["properties"]["soaRecord"]
            .clone();
    assert_eq!((&soa["retryTime"], &soa["host"]), (&json!(7), &json!("azureprivatedns.net")));
    lab.delete(&format!("{zone}/SOA/@"), DNS).await.expect(400);

    let list = async |query: &str| {
        let path = format!("{zone}/{query}");
        let body = lab.send("GET", &path, &lab.token, None).await.unwrap().expect(200).body;
        let shown = |r: &Value| {
            format!("{} {}", r["type"].as_str().unwrap().rsplit('/').next().unwrap(), r["name"].as_str().unwrap())
        };
        let names: Vec<String> = body["value"].as_array().unwrap().iter().map(shown).collect();
        (names.join(", "), body["nextLink"].as_str().map(str::to_owned))
    };
    let all = "A www, AAAA www, CNAME alias, MX @, PTR 1, SOA @, SRV _x._tcp, TXT @";
    assert_eq!(list(&format!("ALL?api-version={DNS}")).await.0, all);
    assert_eq!(list(&format!("a?api-version={DNS}")).await.0, "A www");
    let (first, next) = list(&format!("ALL?api-version={DNS}&$recordsetnamesuffix=W&$top=1")).await;
    assert_eq!(first, "A www");
    let second = lab.send("GET", &next.unwrap(), &lab.token, None).await.unwrap().expect(200).body;
    assert_eq!(
        (&second["value"][0]["type"], &second["nextLink"]),
        (&json!("Microsoft.Network/privateDnsZones/AAAA"), &Value::Null)
    );
    assert_eq!(lab.get(&zone, DNS).await.body["properties"]["numberOfRecordSets"], 8);

    // Who writes what somebody else has written meanwhile is told.
    let path = format!("{zone}/A/www");
    let tag = made["etag"].as_str().unwrap();
    assert_eq!(with_header(&lab, "PUT", &path, ("If-Match", tag), Some(records("10.0.0.2"))).await, 200);
    assert_eq!(with_header(&lab, "PUT", &path, ("If-Match", tag), Some(records("10.0.0.3"))).await, 412);
    assert_eq!(with_header(&lab, "PUT", &path, ("If-None-Match", "*"), Some(records("10.0.0.3"))).await, 412);
    assert_eq!(with_header(&lab, "DELETE", &path, ("If-Match", tag), None).await, 412);
    lab.delete(&path, DNS).await.expect(200);
    lab.delete(&path, DNS).await.expect(204);
}
