use std::time::Duration;

use arm_simulator::{OperationSeconds, ParallelNetworkWrites, Settings, SubnetUse, UnknownNetworkProperties};
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, SUB, id, storage};

const NETWORK: &str = "2024-05-01";

/// Ten simulated seconds for everything, on a clock that only moves by hand; the provider's own `Retry-After`.
pub(crate) fn slow() -> Settings {
    Settings {
        operation_seconds: OperationSeconds::all(10.0),
        clock_speed: 0.0,
        retry_after_ms: None,
        ..Settings::fast()
    }
}

pub(crate) fn network(name: &str) -> String {
    id("Microsoft.Network/virtualNetworks", name)
}

fn resource(kind: &str, name: &str) -> String {
    id(&format!("Microsoft.Network/{kind}"), name)
}

fn network_body(subnets: &[(&str, &str)]) -> Value {
    let subnet = |(name, prefix): &(&str, &str)| json!({ "name": name, "properties": { "addressPrefix": prefix } });
    let subnets: Vec<Value> = subnets.iter().map(subnet).collect();
    let space = json!({ "addressPrefixes": ["10.0.0.0/16"] });
    json!({ "location": "westeurope", "properties": { "addressSpace": space, "subnets": subnets } })
}

fn subnet_body(prefix: &str) -> Value {
    json!({ "properties": { "addressPrefix": prefix } })
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

async fn settle(lab: &Lab) {
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(GROUP, "2021-04-01").await.expect(200);
}

async fn follow(lab: &Lab, accepted: &Answer) -> Answer {
    lab.send("GET", accepted.header("Azure-AsyncOperation").unwrap(), &lab.token, None).await.unwrap()
}

#[tokio::test]
async fn a_network_is_made_as_recorded() {
    let lab = Lab::start(slow()).await;
    let v = network("v");
    let body =
        json!({ "location": "West Europe", "Properties": { "ADDRESSSPACE": { "addressPrefixes": ["10.0.0.0/16"] } } });
    let created = lab.put(&v, "2020-11-01", body).await.expect(201);
    assert_eq!(created.header("Azure-AsyncNotification"), Some("Enabled"));
    assert_eq!((created.header("Retry-After"), created.header("Location")), (Some("3"), None));
    let running = follow(&lab, &created).await.expect(200);
    assert_eq!(
        (running.body, running.headers["Retry-After"].to_str().unwrap()),
        (json!({ "status": "InProgress" }), "20")
    );
    settle(&lab).await;
    assert_eq!(follow(&lab, &created).await.expect(200).body, json!({ "status": "Succeeded" }));
    let read = lab.get(&v, "2020-11-01").await.expect(200);
    assert_eq!(read.header("ETag"), read.body["etag"].as_str());
    assert_ne!(read.body["etag"], created.body["etag"], "another state, another tag");
    let shown = |state: &str, answer: &Value| {
        json!({
            "id": v, "name": "v", "type": "Microsoft.Network/virtualNetworks", "location": "westeurope",
            "etag": answer["etag"],
            "properties": {
                "provisioningState": state, "resourceGuid": created.body["properties"]["resourceGuid"],
                "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": [],
                "virtualNetworkPeerings": [], "enableDdosProtection": false,
            }
        })
    };
    assert_eq!(created.body, shown("Updating", &created.body));
    assert_eq!(read.body, shown("Succeeded", &read.body));
    let deleted = lab.delete(&v, NETWORK).await.expect(202);
    assert_eq!((deleted.header("Retry-After"), deleted.header("Location").is_some()), (Some("10"), true));
    settle(&lab).await;
    lab.get(&v, NETWORK).await.expect(404);
    let orphan = lab.delete(&format!("{v}/subnets/pe"), NETWORK).await.expect(404);
    assert!(orphan.message().contains("'Microsoft.Network/virtualNetworks/v'"), "{}", orphan.message());
}

#[tokio::test]
async fn subnets_are_the_same_in_the_network_and_by_themselves() {
    let lab = Lab::start(Settings::fast()).await;
    let v = network("v");
    lab.put(&v, NETWORK, network_body(&[("one", "10.0.1.0/24")])).await.expect(201);
    let own = lab.put(&format!("{v}/subnets/two"), NETWORK, subnet_body("10.0.2.0/24")).await.expect(201).body;
    let mut expected = json!({
        "id": format!("{v}/subnets/two"), "name": "two", "type": "Microsoft.Network/virtualNetworks/subnets",
        "etag": own["etag"],
        "properties": {
            "provisioningState": "Succeeded", "addressPrefix": "10.0.2.0/24", "delegations": [],
            "privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled",
        }
    });
    assert_eq!(own, expected);
    let subnets = lab.get(&v, NETWORK).await.body["properties"]["subnets"].clone();
    assert_eq!(names(&subnets), ["one", "two"]);
    assert_eq!(subnets[1], expected);
    // The whole subnet is written: what a PUT leaves out is gone.
    let mut body = subnet_body("10.0.2.0/24");
    body["properties"]["serviceEndpoints"] = json!([{ "service": "Microsoft.Storage" }]);
    body["properties"]["delegations"] =
        json!([{ "name": "d", "properties": { "serviceName": "Microsoft.Web/serverFarms" } }]);
    let with = lab.put(&format!("{v}/subnets/two"), NETWORK, body).await.expect(200).body;
    assert_eq!(with["properties"]["serviceEndpoints"][0]["locations"], json!(["westeurope"]));
    assert_eq!(with["properties"]["delegations"][0]["properties"]["provisioningState"], "Succeeded");
    let without = lab.put(&format!("{v}/subnets/two"), NETWORK, subnet_body("10.0.2.0/24")).await.expect(200).body;
    expected["etag"] = without["etag"].clone();
    assert_eq!(without, expected);
    let path = format!("{v}/subnets/two?api-version={NETWORK}");
    lab.send("PATCH", &path, &lab.token, Some(json!({}))).await.unwrap().expect(405);
}

#[tokio::test]
async fn a_network_written_without_subnets_loses_them_in_old_versions_only() {
    let lab = Lab::start(Settings::fast()).await;
    let v = network("v");
    let mut bare = network_body(&[]);
    bare["properties"].as_object_mut().unwrap().remove("subnets");
    let subnets = async || names(&lab.get(&v, NETWORK).await.body["properties"]["subnets"]).join(",");
    lab.put(&v, NETWORK, network_body(&[("one", "10.0.1.0/24"), ("two", "10.0.2.0/24")])).await.expect(201);
    lab.put(&v, "2023-09-01", bare.clone()).await.expect(200);
    assert_eq!(subnets().await, "one,two");
    let tags = json!({ "tags": { "t": "1" } });
    let path = format!("{v}?api-version=2022-01-01");
    lab.send("PATCH", &path, &lab.token, Some(tags.clone())).await.unwrap().expect(200);
    assert_eq!(
        (lab.get(&v, NETWORK).await.body["tags"].clone(), subnets().await),
        (tags["tags"].clone(), "one,two".into())
    );
    lab.put(&v, NETWORK, network_body(&[("two", "10.0.2.0/24")])).await.expect(200);
    assert_eq!(subnets().await, "two");
    lab.put(&v, "2022-01-01", bare.clone()).await.expect(200);
    assert_eq!(subnets().await, "");
}

#[tokio::test]
async fn addresses_of_subnets_are_judged() {
    let lab = Lab::start(Settings::fast()).await;
    let v = network("v");
    lab.put(&v, NETWORK, network_body(&[("one", "10.0.1.0/24")])).await.expect(201);
    for (name, prefix, code) in [
        ("out", "10.1.0.0/24", "NetcfgSubnetRangeOutsideVnet"),
        ("over", "10.0.1.128/25", "NetcfgSubnetRangesOverlap"),
        ("tiny", "10.0.9.0/30", "NetcfgInvalidSubnet"),
        ("bits", "10.0.9.1/24", "InvalidCIDRNotation"),
    ] {
        let refused = lab.put(&format!("{v}/subnets/{name}"), NETWORK, subnet_body(prefix)).await.expect(400);
        assert_eq!(refused.code(), code);
    }
    let overlapping = network_body(&[("one", "10.0.1.0/24"), ("two", "10.0.0.0/22")]);
    assert_eq!(lab.put(&v, NETWORK, overlapping).await.expect(400).code(), "NetcfgSubnetRangesOverlap");
    let mut body = subnet_body("10.0.3.0/24");
    body["properties"]["networkSecurityGroup"] = json!({ "id": resource("networkSecurityGroups", "absent") });
    let refused = lab.put(&format!("{v}/subnets/ref"), NETWORK, body).await.expect(400);
    assert_eq!(refused.code(), "InvalidResourceReference");
    lab.put(&format!("{}/subnets/x", network("absent")), NETWORK, subnet_body("10.0.0.0/24")).await.expect(404);
}

/// Two writes on one network at a time: the second is turned away, as Azure does to Terraform's parallel subnets.
#[tokio::test]
async fn parallel_writes_on_one_network_are_turned_away() {
    let lab = Lab::start(slow()).await;
    let v = network("v");
    lab.put(&v, NETWORK, network_body(&[])).await.expect(201);
    settle(&lab).await;
    lab.put(&format!("{v}/subnets/one"), NETWORK, subnet_body("10.0.1.0/24")).await.expect(201);
    let refused = lab.put(&format!("{v}/subnets/two"), NETWORK, subnet_body("10.0.2.0/24")).await.expect(429);
    assert_eq!((refused.code(), refused.header("Retry-After")), ("RetryableError", Some("10")));
    let detail = &refused.body["error"]["details"][0];
    assert_eq!(detail["code"], "RetryableErrorDueToAnotherOperation");
    assert!(detail["message"].as_str().unwrap().starts_with("Operation PutSubnetOperation ("), "{detail}");
    lab.get(&format!("{v}/subnets/two"), NETWORK).await.expect(404);
    assert_eq!(lab.delete(&v, NETWORK).await.expect(429).code(), "RetryableError");
    // Another network is not concerned.
    lab.put(&network("w"), NETWORK, network_body(&[])).await.expect(201);
    settle(&lab).await;
    lab.put(&format!("{v}/subnets/two"), NETWORK, subnet_body("10.0.2.0/24")).await.expect(201);

    lab.sim.settings(|settings| settings.parallel_network_writes = ParallelNetworkWrites::Allow);
    lab.put(&format!("{v}/subnets/three"), NETWORK, subnet_body("10.0.3.0/24")).await.expect(201);
}

fn interface_body(subnet: &str, address: Option<&str>) -> Value {
    let mut properties = json!({ "subnet": { "id": subnet }, "privateIPAllocationMethod": "Dynamic" });
    if let Some(address) = address {
        properties["publicIPAddress"] = json!({ "id": address });
    }
    let configuration = json!({ "name": "ipconfig1", "properties": properties });
    json!({ "location": "westeurope", "properties": { "ipConfigurations": [configuration] } })
}

#[tokio::test]
async fn an_interface_waits_for_what_it_refers_to() {
    let lab = Lab::start(slow()).await;
    let (v, address, nic) = (network("v"), resource("publicIPAddresses", "ip"), resource("networkInterfaces", "nic"));
    let subnet = format!("{v}/subnets/one");
    lab.put(&v, NETWORK, network_body(&[("one", "10.0.1.0/24")])).await.expect(201);
    settle(&lab).await;
    let body = json!({ "location": "westeurope", "sku": { "name": "Standard" }, "properties": { "publicIPAllocationMethod": "Static" } });
    let created = lab.put(&address, NETWORK, body).await.expect(201);
    assert_eq!(created.header("Retry-After"), Some("1"));
    assert_eq!(created.body["sku"], json!({ "name": "Standard", "tier": "Regional" }));
    assert!(created.body["properties"]["ipAddress"].is_null());
    let refused = lab.put(&nic, NETWORK, interface_body(&subnet, Some(&address))).await.expect(429);
    assert_eq!((refused.code(), refused.header("Retry-After")), ("RetryableError", None));
    assert_eq!(
        refused.body["error"]["details"],
        json!([{
            "code": "ReferencedResourceNotProvisioned",
            "message": format!("Cannot proceed with operation because resource {address} used by resource {nic} is not in Succeeded state. Resource is in Updating state and the last operation that updated/is updating the resource is PutPublicIpAddressOperation."),
        }])
    );
    settle(&lab).await;
    let made = lab.put(&nic, NETWORK, interface_body(&subnet, Some(&address))).await.expect(201);
    assert_eq!(made.header("Azure-AsyncOperation"), None);
    let configuration = &made.body["properties"]["ipConfigurations"][0];
    assert_eq!(configuration["properties"]["privateIPAddress"], "10.0.1.4");
    let public = lab.get(&address, NETWORK).await.body;
    assert_eq!(public["properties"]["ipConfiguration"]["id"], configuration["id"]);
    assert!(public["properties"]["ipAddress"].is_string());
    // The next one gets the next address; the first keeps its own when it is written again.
    let other =
        lab.put(&resource("networkInterfaces", "nic2"), NETWORK, interface_body(&subnet, None)).await.expect(201);
    assert_eq!(other.body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"], "10.0.1.5");
    let again = lab.put(&nic, NETWORK, interface_body(&subnet, None)).await.expect(200);
    assert_eq!(again.body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"], "10.0.1.4");

    // What is in use stays.
    for path in [subnet.clone(), v.clone()] {
        let refused = lab.delete(&path, NETWORK).await.expect(400);
        assert_eq!(refused.code(), "InUseSubnetCannotBeDeleted");
        assert!(
            refused.message().contains("/networkInterfaces/nic/ipConfigurations/ipconfig1"),
            "{}",
            refused.message()
        );
    }
    assert_eq!(lab.put(&v, NETWORK, network_body(&[])).await.expect(400).code(), "InUseSubnetCannotBeDeleted");
    let moved = lab.put(&subnet, NETWORK, subnet_body("10.0.7.0/24")).await.expect(400);
    assert_eq!(moved.code(), "InUsePrefixCannotBeDeleted");
    for name in ["nic", "nic2"] {
        let deleted = lab.delete(&resource("networkInterfaces", name), NETWORK).await.expect(202);
        assert_eq!(deleted.header("Retry-After"), Some("4"));
    }
    settle(&lab).await;
    lab.delete(&v, NETWORK).await.expect(202);
}

#[tokio::test]
async fn security_groups_have_default_rules_and_their_own() {
    let lab = Lab::start(slow()).await;
    let group = resource("networkSecurityGroups", "nsg");
    let created = lab.put(&group, "2020-11-01", json!({ "location": "westeurope" })).await.expect(201);
    assert_eq!((created.header("Retry-After"), &created.body["properties"]["securityRules"]), (Some("1"), &json!([])));
    let defaults = created.body["properties"]["defaultSecurityRules"].clone();
    assert_eq!(
        names(&defaults),
        [
            "AllowVnetInBound",
            "AllowAzureLoadBalancerInBound",
            "DenyAllInBound",
            "AllowVnetOutBound",
            "AllowInternetOutBound",
            "DenyAllOutBound"
        ]
    );
    assert_eq!(
        (&defaults[0]["etag"], &defaults[0]["properties"]["provisioningState"]),
        (&created.body["etag"], &json!("Updating"))
    );
    settle(&lab).await;

    let rule = |priority: u32| {
        json!({ "properties": {
            "access": "allow", "direction": "Inbound", "priority": priority, "protocol": "Tcp", "sourceAddressPrefix": "*",
            "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22",
        }})
    };
    let path = |name: &str| format!("{group}/securityRules/{name}");
    let made = lab.put(&path("one"), NETWORK, rule(101)).await.expect(201).body;
    assert_eq!((&made["properties"]["access"], &made["properties"]["sourcePortRanges"]), (&json!("Allow"), &json!([])));
    settle(&lab).await;
    assert_eq!(names(&lab.get(&group, NETWORK).await.body["properties"]["securityRules"]), ["one"]);
    assert_eq!(lab.put(&path("two"), NETWORK, rule(101)).await.expect(400).code(), "SecurityRuleConflict");
    assert_eq!(lab.put(&path("two"), NETWORK, rule(99)).await.expect(400).code(), "SecurityRuleInvalidPriority");
    // The list of a group is all its rules.
    let with = |rules: Value| json!({ "location": "westeurope", "properties": { "securityRules": rules } });
    let mut inline = rule(200);
    inline["name"] = json!("three");
    lab.put(&group, NETWORK, with(json!([inline]))).await.expect(200);
    settle(&lab).await;
    assert_eq!(names(&lab.get(&format!("{group}/securityRules"), NETWORK).await.body["value"]), ["three"]);

    let mut subnet = network_body(&[("one", "10.0.1.0/24")]);
    subnet["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = json!({ "id": group });
    lab.put(&network("v"), NETWORK, subnet).await.expect(201);
    settle(&lab).await;
    assert_eq!(lab.delete(&group, NETWORK).await.expect(400).code(), "InUseNetworkSecurityGroupCannotBeDeleted");
    let users = lab.get(&group, NETWORK).await.body["properties"]["subnets"].clone();
    assert_eq!(users, json!([{ "id": format!("{}/subnets/one", network("v")) }]));
}

#[tokio::test]
async fn route_tables_have_routes() {
    let lab = Lab::start(Settings::fast()).await;
    let table = resource("routeTables", "rt");
    let route = |hop: &str, address: Option<&str>| {
        let mut properties = json!({ "addressPrefix": "0.0.0.0/0", "nextHopType": hop });
        if let Some(address) = address {
            properties["nextHopIpAddress"] = json!(address);
        }
        json!({ "name": "all", "properties": properties })
    };
    let body =
        json!({ "location": "westeurope", "properties": { "routes": [route("VirtualAppliance", Some("10.0.0.9"))] } });
    let made = lab.put(&table, NETWORK, body).await.expect(201).body;
    assert_eq!(
        (names(&made["properties"]["routes"]), &made["properties"]["disableBgpRoutePropagation"]),
        (vec!["all"], &json!(false))
    );
    lab.put(&format!("{table}/routes/all"), NETWORK, route("Internet", None)).await.expect(200);
    let read = lab.get(&table, NETWORK).await.body;
    assert_eq!(read["properties"]["routes"][0]["properties"]["nextHopType"], "Internet");
    for bad in [route("Nowhere", None), route("VirtualAppliance", None), route("Internet", Some("10.0.0.9"))] {
        lab.put(&format!("{table}/routes/all"), NETWORK, bad).await.expect(400);
    }
    lab.delete(&format!("{table}/routes/all"), NETWORK).await.expect(200);
    assert_eq!(lab.get(&table, NETWORK).await.body["properties"]["routes"], json!([]));
}

#[tokio::test]
async fn unknown_members_are_passed_over_or_refused() {
    let lab = Lab::start(Settings::fast()).await;
    let mut body = network_body(&[]);
    body["properties"]["whatever"] = json!(1);
    let made = lab.put(&network("v"), NETWORK, body.clone()).await.expect(201);
    assert!(made.body["properties"]["whatever"].is_null());
    lab.sim.settings(|settings| settings.unknown_network_properties = UnknownNetworkProperties::Refuse);
    assert_eq!(lab.put(&network("v"), NETWORK, body).await.expect(400).code(), "InvalidRequestFormat");
    // What a GET shows can be sent back.
    let read = lab.get(&network("v"), NETWORK).await.body;
    lab.put(&network("v"), NETWORK, read).await.expect(200);
}

#[tokio::test]
async fn networks_are_listed_in_pages_as_small_as_asked_for() {
    let lab = Lab::start(Settings::fast()).await;
    for name in ["a", "b", "c"] {
        lab.put(&network(name), NETWORK, network_body(&[("s", "10.0.0.0/24")])).await.expect(201);
    }
    for scope in [GROUP.to_owned(), format!("/subscriptions/{SUB}")] {
        let mut url = format!("{scope}/providers/Microsoft.Network/virtualNetworks?api-version={NETWORK}&$top=2");
        let mut found = Vec::new();
        while !url.is_empty() {
            let page = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200);
            found.push(names(&page.body["value"]).join(","));
            page.body["nextLink"].as_str().unwrap_or_default().clone_into(&mut url);
        }
        assert_eq!(found, ["a,b", "c"]);
    }
}

#[tokio::test]
async fn a_service_endpoint_policy_is_known_by_its_subnets() {
    let lab = Lab::start(Settings::fast()).await;
    let policy = id("Microsoft.Network/serviceEndpointPolicies", "only-ours");
    let definition =
        |resources: Value| json!({ "properties": { "service": "Microsoft.Storage", "serviceResources": resources } });
    let mut body = json!({ "location": "westeurope", "properties": {} });
    let mut first = definition(json!([storage("lake")]));
    first["name"] = json!("lake");
    body["properties"]["serviceEndpointPolicyDefinitions"] = json!([first]);
    let made = lab.put(&policy, NETWORK, body).await.expect(201).body;
    assert_eq!(made["properties"]["serviceEndpointPolicyDefinitions"][0]["name"], "lake");
    lab.put(&format!("{policy}/serviceEndpointPolicyDefinitions/bad"), NETWORK, definition(json!(["lake"])))
        .await
        .expect(400);
    let subnet = |policy: &str| {
        json!({ "name": "s", "properties": { "addressPrefix": "10.0.0.0/24",
        "serviceEndpoints": [{ "service": "Microsoft.Storage" }], "serviceEndpointPolicies": [{ "id": policy }] } })
    };
    let net = |policy: &str| {
        json!({ "location": "westeurope", "properties": { "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] },
        "subnets": [subnet(policy)] } })
    };
    assert_eq!(
        lab.put(&network("v"), NETWORK, net(&format!("{policy}-absent"))).await.expect(400).code(),
        "InvalidResourceReference"
    );
    lab.put(&network("v"), NETWORK, net(&policy)).await.expect(201);
    let users = lab.get(&policy, NETWORK).await.body["properties"]["subnets"].clone();
    assert_eq!(users, json!([{ "id": format!("{}/subnets/s", network("v")) }]));
    assert_eq!(lab.delete(&policy, NETWORK).await.expect(400).code(), "InUseServiceEndpointPolicyCannotBeDeleted");
    // Over its service endpoint the subnet reaches what the policy names, and nothing else.
    let from = format!("{}/subnets/s", network("v"));
    let reach = |name: &str| lab.sim.reach(&from, &format!("{name}.blob.core.windows.net")).unwrap();
    assert!(reach("lake").reachable);
    assert!(!reach("own").reachable && reach("own").reason.contains("'only-ours'"), "{}", reach("own").reason);
    lab.put(&format!("{policy}/serviceEndpointPolicyDefinitions/group"), NETWORK, definition(json!([GROUP])))
        .await
        .expect(201);
    assert!(reach("own").reachable);
}

#[tokio::test]
async fn settings_say_whether_an_endpoint_can_lie_in_any_subnet() {
    let body = |subnet: &str| {
        json!({ "location": "westeurope", "properties": {
        "subnet": { "id": format!("{}/subnets/{subnet}", network("v")) },
        "privateLinkServiceConnections": [{ "name": "c", "properties": { "privateLinkServiceId": storage("lake"), "groupIds": ["blob"] } }],
    } })
    };
    for (use_of, status) in [(SubnetUse::Allow, 201), (SubnetUse::Refuse, 400)] {
        let settings = Settings { endpoint_network_policies: use_of, delegated_subnets: use_of, ..Settings::fast() };
        let lab = Lab::start(settings).await;
        let subnets = json!([
            { "name": "policies", "properties": { "addressPrefix": "10.0.0.0/24", "privateEndpointNetworkPolicies": "Enabled" } },
            { "name": "delegated", "properties": { "addressPrefix": "10.0.1.0/24",
                "delegations": [{ "name": "d", "properties": { "serviceName": "Microsoft.Web/serverFarms" } }] } },
            { "name": "small", "properties": { "addressPrefix": "10.0.2.0/29" } },
        ]);
        let net = json!({ "location": "westeurope", "properties": { "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": subnets } });
        lab.put(&network("v"), NETWORK, net).await.expect(201);
        for subnet in ["policies", "delegated"] {
            lab.put(&id("Microsoft.Network/privateEndpoints", subnet), NETWORK, body(subnet)).await.expect(status);
        }
        // A small subnet has three addresses: one endpoint takes one of them, a workspace would take three.
        lab.put(&id("Microsoft.Network/privateEndpoints", "small"), NETWORK, body("small")).await.expect(201);
        let ws = lab.workspace("ws1", "Disabled").await;
        let mut three = body("small");
        three["properties"]["privateLinkServiceConnections"][0]["properties"] =
            json!({ "privateLinkServiceId": ws, "groupIds": ["amlworkspace"] });
        let full = lab.put(&id("Microsoft.Network/privateEndpoints", "ws"), NETWORK, three).await.expect(400);
        assert_eq!(full.code(), "SubnetIsFull");
    }
}

#[tokio::test]
async fn a_network_tells_how_full_its_subnets_are() {
    let lab = Lab::start(Settings::fast()).await;
    let subnets = json!([{ "name": "small", "properties": { "addressPrefix": "10.0.2.0/29" } }]);
    let net = json!({ "location": "westeurope", "properties": { "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": subnets } });
    lab.put(&network("v"), NETWORK, net).await.expect(201);
    let body = json!({ "location": "westeurope", "properties": {
        "subnet": { "id": format!("{}/subnets/small", network("v")) },
        "privateLinkServiceConnections": [{ "name": "c", "properties": { "privateLinkServiceId": storage("lake"), "groupIds": ["blob"] } }],
    } });
    lab.put(&id("Microsoft.Network/privateEndpoints", "pe"), NETWORK, body).await.expect(201);
    let usage = lab.get(&format!("{}/usages", network("v")), NETWORK).await.expect(200).body["value"][0].clone();
    assert_eq!(
        (&usage["currentValue"], usage["limit"].as_f64(), &usage["id"]),
        (&json!(1), Some(3.0), &json!(format!("{}/subnets/small", network("v"))))
    );
    let check = |address: &'static str| {
        let lab = &lab;
        let path = format!("{}/CheckIPAddressAvailability?ipAddress={address}", network("v"));
        async move { lab.call("GET", &path, NETWORK, None).await.expect(200).body }
    };
    assert_eq!(check("10.0.2.5").await, json!({ "available": true, "isPlatformReserved": false }));
    let taken = check("10.0.2.4").await;
    assert_eq!(
        (&taken["available"], &taken["availableIPAddresses"]),
        (&json!(false), &json!(["10.0.2.5", "10.0.2.6"]))
    );
    assert_eq!(check("10.0.2.1").await["isPlatformReserved"], true);
    assert_eq!(check("10.9.0.1").await["available"], false);
    lab.get(&format!("{}/usages", network("absent")), NETWORK).await.expect(404);
}
