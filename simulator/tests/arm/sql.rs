use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use serde_json::{Value, json};

use crate::lab::{Lab, id};

const V: &str = "2021-11-01";

fn path() -> String {
    id("Microsoft.Sql/servers", "facts")
}

fn server() -> Value {
    json!({ "location": "westeurope", "properties": {
        "administratorLogin": "root", "administratorLoginPassword": "a-secret", "publicNetworkAccess": "Disabled" } })
}

#[tokio::test]
async fn a_server_is_made_by_an_operation_and_never_shows_its_password() {
    let seconds = OperationSeconds { sql_server: 60.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let accepted = lab.put(&path(), V, server()).await.expect(202);
    assert!(accepted.header("Location").is_some());
    let url = accepted.header("Azure-AsyncOperation").unwrap().to_owned();
    lab.sim.clock().advance(Duration::from_secs(60));
    assert_eq!(lab.send("GET", &url, &lab.token, None).await.unwrap().body["status"], "Succeeded");
    let shown = lab.get(&path(), V).await.expect(200);
    assert!(!shown.text.contains("a-secret"));
    assert!(!lab.sim.state_json().to_string().contains("a-secret"));
    assert_eq!(shown.body["properties"]["fullyQualifiedDomainName"], "facts.database.windows.net");
    assert_eq!(shown.body["properties"]["restrictOutboundNetworkAccess"], "Disabled");
    let change = json!({ "properties": { "restrictOutboundNetworkAccess": "Enabled" } });
    lab.call("PATCH", &path(), V, Some(change)).await.expect(202);
    let shown = lab.get(&path(), V).await.body;
    assert_eq!(shown["properties"]["restrictOutboundNetworkAccess"], "Enabled");
    assert_eq!(
        (&shown["properties"]["administratorLogin"], &shown["properties"]["publicNetworkAccess"]),
        (&json!("root"), &json!("Disabled"))
    );
}

#[tokio::test]
async fn rules_of_the_firewall_belong_to_their_server() {
    let lab = Lab::start(Settings::fast()).await;
    let rule = format!("{}/firewallRules/office", path());
    let range = |start: &str, end: &str| json!({ "properties": { "startIpAddress": start, "endIpAddress": end } });
    lab.put(&rule, V, range("20.0.0.1", "20.0.0.9")).await.expect(404);
    lab.put(&path(), V, server()).await.expect(201);
    lab.put(&rule, V, range("20.0.0.9", "20.0.0.1")).await.expect(400);
    lab.put(&rule, V, range("20.0.0.1", "everywhere")).await.expect(400);
    lab.put(&rule, V, range("20.0.0.1", "20.0.0.9")).await.expect(201);
    let subnet = id("Microsoft.Network/virtualNetworks", "v/subnets/absent");
    let network = format!("{}/virtualNetworkRules/lan", path());
    lab.put(&network, V, json!({ "properties": { "virtualNetworkSubnetId": subnet } })).await.expect(400);
    let missing =
        json!({ "properties": { "virtualNetworkSubnetId": subnet, "ignoreMissingVnetServiceEndpoint": true } });
    lab.put(&network, V, missing).await.expect(201);
    lab.delete(&path(), V).await.expect(200);
    lab.get(&rule, V).await.expect(404);
    lab.put(&path(), V, json!({ "location": "westeurope", "properties": {} })).await.expect(400);
}
