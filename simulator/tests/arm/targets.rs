use std::time::Duration;

use arm_simulator::{OperationSeconds, Seed, SeedResource, Settings};
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, id, seed, status_of};

const NETWORK: &str = "2024-05-01";

/// How a type of target speaks about its connections, as a client sees it.
#[derive(Clone, Copy)]
struct Target {
    kind: &'static str,
    version: &'static str,
    /// Whether connections can be listed in that version; if not they are read off the target.
    listed: bool,
    /// The member of the target's `properties` with its connections.
    member: Option<&'static str>,
    group: Option<&'static str>,
    zone: Option<&'static str>,
    actions: Option<&'static str>,
    stated: Option<&'static str>,
    /// `provisioningState` while nobody has decided, while a decision goes on, and after it.
    states: [Option<&'static str>; 3],
    /// The status of PUT and DELETE while they go on.
    put: u16,
    delete: u16,
    /// What DELETE answers when there is nothing.
    missing: u16,
}

const UPDATING: [Option<&str>; 3] = [Some("Succeeded"), Some("Updating"), Some("Succeeded")];
const CREATING: [Option<&str>; 3] = [Some("Succeeded"), Some("Creating"), Some("Succeeded")];
const PROVISIONING: [Option<&str>; 3] = [Some("Succeeded"), Some("Provisioning"), Some("Succeeded")];

const COMMON: Target = Target {
    kind: "",
    version: "",
    listed: true,
    member: Some("privateEndpointConnections"),
    group: None,
    zone: None,
    actions: Some("actionsRequired"),
    stated: None,
    states: UPDATING,
    put: 200,
    delete: 200,
    missing: 204,
};

const fn target(kind: &'static str, version: &'static str, group: &'static str, zone: &'static str) -> Target {
    Target { kind, version, group: Some(group), zone: Some(zone), ..COMMON }
}

fn targets() -> Vec<Target> {
    let registry = target(
        "Microsoft.MachineLearningServices/registries",
        "2022-10-01-preview",
        "amlregistry",
        "privatelink.api.azureml.ms",
    );
    let cosmos =
        target("Microsoft.DocumentDB/databaseAccounts", "2024-11-15", "MongoDB", "privatelink.mongo.cosmos.azure.com");
    let cognitive = target(
        "Microsoft.CognitiveServices/accounts",
        "2024-10-01",
        "account",
        "privatelink.cognitiveservices.azure.com",
    );
    let search =
        target("Microsoft.Search/searchServices", "2020-08-01", "searchService", "privatelink.search.windows.net");
    let events =
        target("Microsoft.EventHub/namespaces", "2024-01-01", "namespace", "privatelink.servicebus.windows.net");
    let synapse = target("Microsoft.Synapse/workspaces", "2021-06-01", "Dev", "privatelink.dev.azuresynapse.net");
    let factory = target("Microsoft.DataFactory/factories", "2018-06-01", "portal", "privatelink.adf.azure.com");
    let databricks =
        target("Microsoft.Databricks/workspaces", "2024-05-01", "databricks_ui_api", "privatelink.azuredatabricks.net");
    let api = target("Microsoft.ApiManagement/service", "2021-08-01", "Gateway", "privatelink.azure-api.net");
    let postgresql = target(
        "Microsoft.DBforPostgreSQL/flexibleServers",
        "2024-08-01",
        "postgresqlServer",
        "privatelink.postgres.database.azure.com",
    );
    let mysql = target(
        "Microsoft.DBforMySQL/flexibleServers",
        "2022-09-30-privatepreview",
        "mysqlServer",
        "privatelink.mysql.database.azure.com",
    );
    let redis = target("Microsoft.Cache/Redis", "2021-06-01", "redisCache", "privatelink.redis.cache.windows.net");
    let monitor = target(
        "Microsoft.Insights/privateLinkScopes",
        "2019-10-17-preview",
        "azuremonitor",
        "privatelink.monitor.azure.com",
    );
    let web = target("Microsoft.Web/sites", "2019-08-01", "sites", "privatelink.azurewebsites.net");
    let gateway = Target {
        kind: "Microsoft.Network/applicationGateways",
        version: NETWORK,
        group: Some("private"),
        put: 202,
        delete: 202,
        ..COMMON
    };
    let (ids, both) = (Some("groupIds"), (202, 202));
    let slow = |target: Target, (put, delete): (u16, u16)| Target { put, delete, ..target };
    vec![
        Target {
            member: Some("registryPrivateEndpointConnections"),
            stated: ids,
            states: [None, Some("Provisioning"), Some("Succeeded")],
            ..registry
        },
        Target { stated: Some("groupId"), ..slow(cosmos, both) },
        Target { stated: ids, states: CREATING, ..slow(cognitive, both) },
        Target { states: [None; 3], missing: 404, ..search },
        Target { actions: None, delete: 202, ..events },
        Target {
            kind: "Microsoft.ServiceBus/namespaces",
            version: "2021-06-01-preview",
            actions: None,
            delete: 202,
            ..events
        },
        Target { states: PROVISIONING, ..slow(synapse, (201, 202)) },
        Target { member: None, ..factory },
        Target { stated: ids, ..slow(databricks, both) },
        Target { states: CREATING, ..slow(api, both) },
        Target { stated: ids, states: CREATING, ..slow(postgresql, both) },
        Target { stated: ids, states: CREATING, listed: false, ..slow(mysql, both) },
        Target { states: CREATING, put: 201, ..redis },
        slow(monitor, both),
        Target { listed: false, ..slow(web, both) },
        gateway,
        Target { kind: "Microsoft.Network/privateLinkServices", version: NETWORK, delete: 202, ..COMMON },
    ]
}

/// A resource as its specification wants it.
fn body(kind: &str) -> Value {
    let properties = match kind {
        "Microsoft.DocumentDB/databaseAccounts" => json!({
            "databaseAccountOfferType": "Standard", "locations": [{ "locationName": "westeurope" }]
        }),
        "Microsoft.Databricks/workspaces" => json!({ "managedResourceGroupId": format!("{GROUP}-managed") }),
        "Microsoft.Network/applicationGateways" => json!({ "frontendIPConfigurations": [
            { "name": "public", "properties": {} },
            { "name": "private", "properties": { "privateLinkConfiguration": { "id": "/of/the/gateway" } } },
        ] }),
        _ => json!({}),
    };
    // A scope of Azure Monitor lies nowhere.
    let location = if kind == "Microsoft.Insights/privateLinkScopes" { "global" } else { "westeurope" };
    json!({ "location": location, "tags": { "team": "a" }, "properties": properties })
}

async fn lab() -> Lab {
    let seconds = OperationSeconds { approval: 10.0, connection_delete: 10.0, ..OperationSeconds::all(0.0) };
    let lab = Lab::start(Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() }).await;
    let subnet = json!({ "name": "s", "properties": { "addressPrefix": "10.0.0.0/24" } });
    let space = json!({ "addressPrefixes": ["10.0.0.0/16"] });
    let network = json!({ "location": "westeurope", "properties": { "addressSpace": space, "subnets": [subnet] } });
    lab.put(&id("Microsoft.Network/virtualNetworks", "v"), NETWORK, network).await.expect(201);
    lab
}

impl Target {
    fn path(&self) -> String {
        id(self.kind, "mytarget1")
    }

    /// Asks for a connection by an endpoint of somebody's own.
    async fn ask(&self, lab: &Lab, endpoint: &str) -> String {
        let endpoint = id("Microsoft.Network/privateEndpoints", endpoint);
        let groups: Vec<&str> = self.group.into_iter().collect();
        let wanted = json!({ "name": "c", "properties": {
            "privateLinkServiceId": self.path(), "groupIds": groups, "requestMessage": "please"
        } });
        let subnet = json!({ "id": format!("{}/subnets/s", id("Microsoft.Network/virtualNetworks", "v")) });
        let properties = json!({ "subnet": subnet, "manualPrivateLinkServiceConnections": [wanted] });
        let body = json!({ "location": "westeurope", "properties": properties });
        lab.put(&endpoint, NETWORK, body).await.expect(201);
        endpoint
    }

    /// The connections as the target has them: their list, or the member of the target where there is none.
    async fn connections(&self, lab: &Lab) -> Vec<Value> {
        let list = lab.get(&format!("{}/privateEndpointConnections", self.path()), self.version).await;
        if self.listed {
            return list.expect(200).body["value"].as_array().unwrap().clone();
        }
        assert_ne!(list.status, 200, "{} has no list in this version", self.kind);
        self.embedded(lab).await
    }

    async fn embedded(&self, lab: &Lab) -> Vec<Value> {
        let shown = lab.get(&self.path(), self.version).await.expect(200).body;
        self.member.map(|member| shown["properties"][member].as_array().unwrap().clone()).unwrap_or_default()
    }

    async fn decide(&self, lab: &Lab, connection: &str, status: &str) -> Answer {
        let state = json!({ "status": status, "description": "by a test" });
        let body = json!({ "properties": { "privateLinkServiceConnectionState": state } });
        lab.put(connection, self.version, body).await
    }

    /// Follows an operation to its end, by whichever URL the answer gives.
    async fn follow(&self, lab: &Lab, answer: &Answer) {
        let kind = self.kind;
        let (status, location) = (answer.header("Azure-AsyncOperation"), answer.header("Location"));
        let url = status.or(location).map(str::to_owned);
        assert!(url.is_some() || !(answer.status == 201 || answer.status == 202), "{kind}: nothing to follow");
        let poll = async |url: &str| lab.send("GET", url, &lab.token, None).await.unwrap();
        if let Some(url) = &url {
            let running = poll(url).await;
            let goes_on = running.status == 202 || running.expect(200).body["status"] == "InProgress";
            assert!(goes_on, "{kind}");
        }
        lab.sim.clock().advance(Duration::from_secs(10));
        if let Some(url) = url.filter(|_| status.is_some()) {
            assert_eq!(poll(&url).await.expect(200).body["status"], "Succeeded", "{kind}");
        } else if let Some(url) = location {
            poll(url).await.expect(200);
        }
    }
}

async fn consumer_sees(lab: &Lab, endpoint: &str) -> String {
    let shown = lab.get(endpoint, NETWORK).await.expect(200).body;
    status_of(&shown["properties"]["manualPrivateLinkServiceConnections"][0]).to_owned()
}

#[tokio::test]
async fn every_target_decides_on_connections_in_its_dialect() {
    let lab = lab().await;
    for target in targets() {
        let kind = target.kind;
        let made = lab.put(&target.path(), target.version, body(kind)).await;
        assert!(made.status == 200 || made.status == 201, "{kind}: {}", made.text);
        let endpoint = target.ask(&lab, "pe1").await;
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Pending", "{kind}");

        let all = target.connections(&lab).await;
        let [asked] = all.as_slice() else { panic!("{kind}: {all:?}") };
        let (properties, connection) = (&asked["properties"], asked["id"].as_str().unwrap());
        let state = |waiting: &Value| waiting["properties"]["provisioningState"].as_str().map(str::to_owned);
        let [before, deciding, after] = target.states.map(|state| state.map(str::to_owned));
        assert_eq!((status_of(asked), state(asked)), ("Pending", before), "{kind}");
        assert_eq!(properties["privateEndpoint"]["id"], endpoint, "{kind}");
        let decision = properties["privateLinkServiceConnectionState"].as_object().unwrap();
        assert_eq!(decision["description"], "please", "{kind}");
        let mut names: Vec<&str> = decision.keys().map(String::as_str).collect();
        names.retain(|name| !["status", "description"].contains(name));
        assert_eq!(names, target.actions.into_iter().collect::<Vec<_>>(), "{kind}");
        for field in ["groupId", "groupIds"] {
            assert_eq!(properties.get(field).is_some(), target.stated == Some(field), "{kind}: {field}");
        }
        assert!(properties.to_string().contains(target.group.unwrap_or_default()) || target.stated.is_none(), "{kind}");

        let answer = target.decide(&lab, connection, "Approved").await.expect(target.put);
        let meanwhile = lab.get(connection, target.version).await.expect(200).body;
        assert_eq!((status_of(&meanwhile), state(&meanwhile)), ("Pending", deciding), "{kind}");
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Pending", "{kind}");
        target.follow(&lab, &answer).await;
        let approved = lab.get(connection, target.version).await.expect(200).body;
        assert_eq!((status_of(&approved), state(&approved)), ("Approved", after), "{kind}");
        assert_eq!(approved["properties"]["privateEndpoint"]["id"], endpoint, "{kind}");
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Approved", "{kind}");
        if let Some(member) = target.embedded(&lab).await.first() {
            assert_eq!(member["id"], connection, "{kind}");
            assert!(member.to_string().contains("\"status\":\"Approved\""), "{kind}: {member}");
        }

        let answer = target.decide(&lab, connection, "Rejected").await.expect(target.put);
        target.follow(&lab, &answer).await;
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Rejected", "{kind}");

        let gone = lab.delete(connection, target.version).await.expect(target.delete);
        target.follow(&lab, &gone).await;
        lab.get(connection, target.version).await.expect(404);
        lab.delete(connection, target.version).await.expect(target.missing);
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Disconnected", "{kind}");
        assert_eq!(target.connections(&lab).await, Vec::<Value>::new(), "{kind}");
        lab.delete(&endpoint, NETWORK).await.expect(200);
    }
}

#[tokio::test]
async fn every_target_says_what_can_be_connected_to() {
    let lab = lab().await;
    for target in targets() {
        let kind = target.kind;
        lab.put(&target.path(), target.version, body(kind)).await;
        let links = lab.get(&format!("{}/privateLinkResources", target.path()), target.version).await;
        let Some(group) = target.group else {
            links.expect(404);
            continue;
        };
        let links = links.expect(200).body["value"].as_array().unwrap().clone();
        let link = links.iter().find(|link| link["properties"]["groupId"] == group);
        let link = link.unwrap_or_else(|| panic!("{kind}: {links:?}"));
        assert_ne!(link["properties"]["requiredMembers"], json!([]), "{kind}");
        let zones = link["properties"]["requiredZoneNames"].as_array().unwrap();
        assert!(target.zone.is_none_or(|zone| zones.contains(&json!(zone))), "{kind}: {zones:?}");
        assert!(links.iter().all(|link| link["name"] != "public"), "{kind}: no frontend of the public");
    }
}

#[tokio::test]
async fn a_target_is_kept_as_it_was_sent_but_for_its_connections() {
    let lab = lab().await;
    for target in targets() {
        let (kind, path, mut sent) = (target.kind, target.path(), body(target.kind));
        if let Some(member) = target.member {
            sent["properties"][member] = json!([]);
        }
        lab.put(&path, target.version, body(kind)).await;
        let endpoint = target.ask(&lab, "pe1").await;
        // The same again, with a list of connections that would wipe them out.
        if kind.starts_with("Microsoft.EventHub") {
            lab.put(&path, target.version, sent).await.expect(200);
        } else {
            lab.put(&path, target.version, body(kind)).await.expect(200);
        }
        assert_eq!(target.connections(&lab).await.len(), 1, "{kind}");
        let shown = lab.get(&path, target.version).await.expect(200).body;
        assert_eq!(shown["tags"], json!({ "team": "a" }), "{kind}");
        for (name, value) in body(kind)["properties"].as_object().unwrap() {
            assert_eq!(&shown["properties"][name], value, "{kind}");
        }
        let in_group = path.rsplit_once('/').unwrap().0;
        let listed = lab.get(in_group, target.version).await.expect(200).body;
        assert_eq!(listed["value"].as_array().unwrap().len(), 1, "{kind}");
        let never_by_200 = ["Microsoft.DocumentDB/databaseAccounts", "Microsoft.Synapse/workspaces"].contains(&kind);
        let deleted = lab.delete(&path, target.version).await.expect(if never_by_200 { 202 } else { 200 });
        if let Some(url) = deleted.header("Azure-AsyncOperation") {
            let status = lab.send("GET", url, &lab.token, None).await.unwrap().expect(200);
            assert_eq!(status.body["status"], "Succeeded", "{kind}");
        }
        lab.get(&path, target.version).await.expect(404);
        assert_eq!(consumer_sees(&lab, &endpoint).await, "Disconnected", "{kind}");
        lab.delete(&endpoint, NETWORK).await.expect(200);
    }
}

#[tokio::test]
async fn a_seeded_target_is_there_with_what_the_seed_says() {
    let mut seed: Seed = seed();
    let targets = targets();
    seed.resources.extend(targets.iter().map(|target| SeedResource::new(target.path(), "westeurope")));
    assert_eq!(seed.problems(), Vec::new());
    let lab = Lab::with(seed, Settings::fast()).await;
    for target in targets.iter().filter(|target| target.kind != "Microsoft.Databricks/workspaces") {
        let shown = lab.get(&target.path(), target.version).await.expect(200).body;
        assert_eq!(shown["type"], target.kind);
        assert_eq!(target.connections(&lab).await, Vec::<Value>::new(), "{}", target.kind);
    }
}

#[tokio::test]
async fn a_monitor_scope_wants_a_description() {
    let lab = lab().await;
    let scope = targets().into_iter().find(|target| target.kind == "Microsoft.Insights/privateLinkScopes").unwrap();
    lab.put(&scope.path(), scope.version, body(scope.kind)).await;
    scope.ask(&lab, "pe1").await;
    let connection = scope.connections(&lab).await[0]["id"].as_str().unwrap().to_owned();
    let bare = json!({ "properties": { "privateLinkServiceConnectionState": { "status": "Approved" } } });
    lab.put(&connection, scope.version, bare).await.expect(400);
}

#[tokio::test]
async fn in_the_versions_of_azure_cli_connections_are_read_off_cosmos_accounts_and_servers() {
    let lab = lab().await;
    for (kind, version) in [
        ("Microsoft.DocumentDB/databaseAccounts", "2019-08-01-preview"),
        ("Microsoft.DBforPostgreSQL/flexibleServers", "2023-06-01-preview"),
    ] {
        let target = targets().into_iter().find(|target| target.kind == kind).unwrap();
        lab.put(&target.path(), target.version, body(kind)).await;
        target.ask(&lab, &format!("pe-{version}")).await;
        let old = Target { version, listed: false, ..target };
        let all = old.connections(&lab).await;
        let connection = all[0]["id"].as_str().unwrap();
        let answer = old.decide(&lab, connection, "Approved").await.expect(202);
        old.follow(&lab, &answer).await;
        assert_eq!(status_of(&lab.get(connection, version).await.expect(200).body), "Approved", "{kind}");
    }
}

#[tokio::test]
async fn databricks_spells_a_field_otherwise_in_the_version_of_azure_cli() {
    let lab = lab().await;
    let target = targets().into_iter().find(|target| target.kind == "Microsoft.Databricks/workspaces").unwrap();
    lab.put(&target.path(), target.version, body(target.kind)).await;
    target.ask(&lab, "pe1").await;
    for (version, spelled, not) in [
        ("2021-04-01-preview", "actionRequired", "actionsRequired"),
        (target.version, "actionsRequired", "actionRequired"),
    ] {
        let target = Target { version, ..target };
        let listed = target.connections(&lab).await[0].clone();
        let connection = listed["id"].as_str().unwrap();
        let read = lab.get(connection, version).await.expect(200).body;
        let answer = target.decide(&lab, connection, "Approved").await.expect(202);
        for shown in [&listed, &read, &answer.body] {
            let state = &shown["properties"]["privateLinkServiceConnectionState"];
            assert_eq!((&state[spelled], &state[not]), (&json!("None"), &Value::Null), "{version}");
        }
        target.follow(&lab, &answer).await;
    }
}
