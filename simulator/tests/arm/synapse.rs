//! Synapse: workspaces and pools at ARM, managed endpoints and linked services at each workspace's own host.

use std::net::SocketAddr;
use std::time::Duration;

use arm_simulator::{OperationSeconds, Seed, SeedConnection, SeedGroup, SeedResource, SeedSubscription, Settings};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, ML, OWNER, TENANT, id, principal, seed, status_of, storage};

const SYNAPSE: &str = "2021-06-01";
const DATA: &str = "2020-12-01";
const SCOPE: &str = "https%3A%2F%2Fdev.azuresynapse.net%2F.default";
const OTHER_TENANT: &str = "99999999-9999-9999-9999-999999999999";
const OTHER_SUB: &str = "00000000-0000-0000-0000-000000000002";

fn synapse(name: &str) -> String {
    id("Microsoft.Synapse/workspaces", name)
}

fn body() -> Value {
    json!({
        "location": "westeurope",
        "identity": { "type": "SystemAssigned" },
        "properties": {
            "defaultDataLakeStorage": { "accountUrl": "https://lake.dfs.core.windows.net", "filesystem": "fs" },
            "managedVirtualNetwork": "default",
            "managedVirtualNetworkSettings": { "preventDataExfiltration": false },
            "sqlAdministratorLogin": "root", "sqlAdministratorLoginPassword": "hush",
        },
    })
}

fn protected(tenants: &[&str]) -> Value {
    let mut body = body();
    body["properties"]["managedVirtualNetworkSettings"] =
        json!({ "preventDataExfiltration": true, "allowedAadTenantIdsForLinking": tenants });
    body
}

fn endpoint_path(name: &str) -> String {
    format!("/managedVirtualNetworks/default/managedPrivateEndpoints/{name}")
}

fn leads_to(target: &str, group: &str) -> Value {
    json!({ "properties": { "privateLinkResourceId": target, "groupId": group } })
}

fn machine_learning(workspace: &str) -> Value {
    json!({ "properties": {
        "type": "AzureMLService",
        "typeProperties": {
            "subscriptionId": crate::lab::SUB, "resourceGroupName": "rg1", "mlWorkspaceName": workspace,
            "authentication": "MSI",
        },
        "connectVia": { "type": "IntegrationRuntimeReference", "referenceName": "AutoResolveIntegrationRuntime" },
    } })
}

/// Two subscriptions of two tenants; everybody has a role in their own.
fn two_tenants() -> Seed {
    let mut seed = seed();
    let mut stranger = principal("stranger");
    stranger.tenant_id = OTHER_TENANT.into();
    seed.service_principals.push(stranger);
    seed.subscriptions.push(SeedSubscription { subscription_id: OTHER_SUB.into(), tenant_id: OTHER_TENANT.into() });
    seed.resource_groups.push(SeedGroup {
        subscription_id: OTHER_SUB.into(),
        name: "theirs".into(),
        location: "westeurope".into(),
    });
    let scope = format!("/subscriptions/{OTHER_SUB}");
    seed.role_assignments.push(crate::lab::assignment(&scope, "Owner", "stranger-object"));
    seed.resources.push(SeedResource::new(foreign("Microsoft.Storage/storageAccounts", "theirs"), "westeurope"));
    seed
}

fn foreign(kind: &str, name: &str) -> String {
    format!("/subscriptions/{OTHER_SUB}/resourceGroups/theirs/providers/{kind}/{name}")
}

impl Lab {
    async fn token_for(&self, name: &str, tenant: &str, scope: &str) -> String {
        let form =
            format!("grant_type=client_credentials&client_id={name}-client&client_secret={name}-secret&scope={scope}");
        let answer = self.form(&format!("/{tenant}/oauth2/v2.0/token"), &form).await.expect(200);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// A request to the data plane of a workspace.
    async fn data(&self, token: &str, workspace: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let url = format!("/synapse/{workspace}{path}?api-version={DATA}");
        self.send(method, &url, token, body).await.unwrap()
    }

    /// The owner's token for data planes.
    pub(crate) async fn data_token(&self) -> String {
        self.token_for("owner", TENANT, SCOPE).await
    }

    async fn synapse_workspace(&self, name: &str) -> Value {
        self.put(&synapse(name), SYNAPSE, body()).await.expect(201).body
    }

    async fn resolved(&self, workspace: &str, host: &str) -> Value {
        let url = format!("/_simulator/synapse/{workspace}/resolve?name={host}");
        self.send("GET", &url, "", None).await.unwrap().expect(200).body
    }

    /// The connections on an AML workspace.
    async fn connections_of(&self, workspace: &str) -> Vec<Value> {
        let list = self.get(&format!("{workspace}/privateEndpointConnections"), ML).await.expect(200);
        list.body["value"].as_array().unwrap().clone()
    }

    async fn decide(&self, connection: &Value, status: &str) {
        let state = json!({ "properties": { "privateLinkServiceConnectionState": { "status": status, "description": "by hand" } } });
        self.put(connection["id"].as_str().unwrap(), ML, state).await.expect(200);
    }
}

#[tokio::test]
async fn a_workspace_lives_as_recorded() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let path = synapse("syn1");
    let made = lab.put(&path, SYNAPSE, body()).await.expect(201);
    let url = made.header("Azure-AsyncOperation").unwrap().to_owned();
    assert!(url.contains("/workspaces/syn1/operationStatuses/") && made.header("Location").is_none(), "{url}");
    assert_eq!(made.body["properties"]["provisioningState"], "Provisioning");
    let poll = || async { lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body };
    assert_eq!(poll().await, json!({ "status": "InProgress" }));
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(poll().await, json!({ "status": "Succeeded" }));

    let shown = lab.get(&path, SYNAPSE).await.expect(200).body;
    let properties = &shown["properties"];
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(properties["connectivityEndpoints"]["dev"], "https://syn1.dev.azuresynapse.net");
    assert_eq!(
        (&properties["managedVirtualNetwork"], &properties["publicNetworkAccess"]),
        (&json!("default"), &json!("Enabled"))
    );
    assert_eq!(properties["managedVirtualNetworkSettings"], json!({ "preventDataExfiltration": false }));
    assert_eq!(properties["cspWorkspaceAdminProperties"]["initialWorkspaceAdminObjectId"], OWNER);
    assert_eq!(properties["privateEndpointConnections"], json!([]));
    assert_eq!(properties.get("sqlAdministratorLoginPassword"), None);
    assert_eq!(
        (&shown["identity"]["tenantId"], &shown["identity"]["type"]),
        (&json!(TENANT), &json!("SystemAssigned"))
    );
    let (guid, identity) = (properties["workspaceUID"].clone(), shown["identity"]["principalId"].clone());
    assert!(guid.is_string() && identity.is_string());
    // The directory knows the identity: it can be given a role without a word about its type.
    let role =
        format!("{GROUP}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555");
    let reader = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let assigned = json!({ "properties": { "roleDefinitionId": reader, "principalId": identity } });
    lab.put(&role, "2022-04-01", assigned).await.expect(201);

    let patch = json!({ "tags": { "a": "b" }, "properties": { "publicNetworkAccess": "Disabled", "managedVirtualNetwork": "" } });
    lab.call("PATCH", &path, SYNAPSE, Some(patch)).await.expect(201);
    lab.sim.clock().advance(Duration::from_secs(10));
    let shown = lab.get(&path, SYNAPSE).await.expect(200).body;
    assert_eq!(
        (&shown["tags"], &shown["properties"]["publicNetworkAccess"]),
        (&json!({ "a": "b" }), &json!("Disabled"))
    );
    assert_eq!(shown["properties"]["managedVirtualNetwork"], "default", "a PATCH has no say in it");
    assert_eq!(shown["properties"]["workspaceUID"], guid);

    let deleting = lab.delete(&path, SYNAPSE).await.expect(202);
    assert!(deleting.header("Azure-AsyncOperation").is_some() && deleting.text.is_empty());
    assert_eq!(lab.get(&path, SYNAPSE).await.body["properties"]["provisioningState"], "Deleting");
    lab.sim.clock().advance(Duration::from_secs(10));
    let result = lab.send("GET", deleting.header("Location").unwrap(), &lab.token, None).await.unwrap();
    assert_eq!((result.status, result.text.as_str()), (204, ""));
    lab.get(&path, SYNAPSE).await.expect(404);
    lab.delete(&path, SYNAPSE).await.expect(204);

    // Whoever takes the name is somebody else.
    lab.put(&path, SYNAPSE, body()).await.expect(201);
    let again = lab.get(&path, SYNAPSE).await.expect(200).body;
    assert_ne!(again["properties"]["workspaceUID"], guid);
    assert_ne!(again["identity"]["principalId"], identity);
}

#[tokio::test]
async fn what_a_workspace_is_made_with_it_keeps() {
    let lab = Lab::start(Settings::fast()).await;
    let path = synapse("syn1");
    lab.put(&path, SYNAPSE, body()).await.expect(201);
    let with = |member: &str, value: Value| {
        let mut body = body();
        body["properties"][member] = value;
        body
    };
    let prevent = json!({ "preventDataExfiltration": true });
    let lake = json!({ "accountUrl": "https://other.dfs.core.windows.net", "filesystem": "fs" });
    for (body, status) in [
        (body(), 200),
        (with("managedVirtualNetwork", json!("")), 400),
        (with("managedVirtualNetworkSettings", prevent.clone()), 400),
        (with("managedVirtualNetworkSettings", json!({ "allowedAadTenantIdsForLinking": [TENANT] })), 200),
        (with("defaultDataLakeStorage", lake), 400),
        (with("publicNetworkAccess", json!("Perhaps")), 400),
        (json!({ "location": "eastus", "properties": {} }), 409),
    ] {
        let answer = lab.put(&path, SYNAPSE, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let settings = lab.get(&path, SYNAPSE).await.body["properties"]["managedVirtualNetworkSettings"].clone();
    assert_eq!(settings, json!({ "preventDataExfiltration": false, "allowedAadTenantIdsForLinking": [TENANT] }));
    let patch = json!({ "properties": { "managedVirtualNetworkSettings": prevent } });
    lab.call("PATCH", &path, SYNAPSE, Some(patch)).await.expect(400);
    let mut bare = body();
    bare["properties"]["managedVirtualNetwork"] = json!("");
    bare["properties"]["managedVirtualNetworkSettings"] = json!({ "preventDataExfiltration": true });
    lab.put(&synapse("bare"), SYNAPSE, bare).await.expect(400);
}

#[tokio::test]
async fn a_name_is_one_in_the_world() {
    let lab = Lab::with(two_tenants(), Settings::fast()).await;
    lab.synapse_workspace("syn1").await;
    let arm = lab.token_for("stranger", OTHER_TENANT, "https%3A%2F%2Fmanagement.azure.com%2F.default").await;
    let theirs = format!("{}?api-version={SYNAPSE}", foreign("Microsoft.Synapse/workspaces", "syn1"));
    let taken = lab.send("PUT", &theirs, &arm, Some(body())).await.unwrap().expect(409);
    assert_eq!(taken.code(), "WorkspaceNameNotAvailable");
    for name in ["Capital", "-syn", "syn-", "a-ondemand", &"x".repeat(51)] {
        lab.put(&synapse(name), SYNAPSE, body()).await.expect(400);
    }
    // A freed name is anybody's.
    lab.delete(&synapse("syn1"), SYNAPSE).await.expect(202);
    lab.send("PUT", &theirs, &arm, Some(body())).await.unwrap().expect(201);
    let mine = lab.data(&lab.data_token().await, "syn1", "GET", "/linkedservices", None).await.expect(403);
    assert_eq!(mine.code(), "Unauthorized");
}

#[tokio::test]
async fn tokens_are_for_one_service_and_roles_for_one_workspace() {
    let lab = Lab::with(two_tenants(), Settings::fast()).await;
    lab.synapse_workspace("syn1").await;
    let token = lab.data_token().await;
    let list = |token: String| {
        let lab = &lab;
        async move { lab.data(&token, "syn1", "GET", "/linkedservices", None).await }
    };
    list(token.clone()).await.expect(200);
    let refused = list(lab.token.clone()).await.expect(401);
    assert_eq!(refused.body["code"], "InvalidTokenAuthenticationAudience");
    let with_slash = lab.token_for("owner", TENANT, "https%3A%2F%2Fdev.azuresynapse.net%2F%2F.default").await;
    assert_eq!(list(with_slash).await.expect(401).body["code"], "InvalidTokenAuthenticationAudience");
    assert_eq!(list(String::new()).await.expect(401).body["code"], "AuthenticationFailed");
    let at_arm = lab.send("GET", &format!("{}?api-version={SYNAPSE}", synapse("syn1")), &token, None).await.unwrap();
    assert_eq!((at_arm.status, at_arm.code()), (401, "InvalidAuthenticationTokenAudience"));

    for (name, tenant) in [("guest", TENANT), ("stranger", OTHER_TENANT)] {
        let theirs = lab.token_for(name, tenant, SCOPE).await;
        let refused = list(theirs.clone()).await.expect(403);
        assert!(refused.message().contains("does not have the required Synapse RBAC permission"), "{}", refused.text);
        assert!(refused.message().ends_with("workspaces/artifacts/read, Scope: workspaces/syn1."), "{}", refused.text);
        let path = endpoint_path("e");
        let put = lab.data(&theirs, "syn1", "PUT", &path, Some(leads_to(&storage("lake"), "dfs"))).await;
        assert_eq!(put.status, 403);
    }
    // Who is named as the first administrator is one, whatever the Azure roles.
    let mut given = body();
    given["properties"]["cspWorkspaceAdminProperties"] = json!({ "initialWorkspaceAdminObjectId": "guest-object" });
    lab.put(&synapse("syn2"), SYNAPSE, given).await.expect(201);
    let guest = lab.token_for("guest", TENANT, SCOPE).await;
    lab.data(&guest, "syn2", "GET", "/linkedservices", None).await.expect(200);
    lab.data(&token, "nowhere", "GET", "/linkedservices", None).await.expect(404);
}

#[tokio::test]
async fn a_managed_endpoint_follows_what_its_target_decides() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let ws = lab.workspace("aml1", "Disabled").await;
    lab.synapse_workspace("syn1").await;
    let (token, path) = (lab.data_token().await, endpoint_path("aml-1"));
    let get = || async { lab.data(&token, "syn1", "GET", &path, None).await };
    assert_eq!(get().await.expect(404).code(), "UnknownError");
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));

    let made = lab.data(&token, "syn1", "PUT", &path, Some(leads_to(&ws, "amlworkspace"))).await.expect(200);
    assert!(made.header("Azure-AsyncOperation").is_none());
    assert_eq!(made.body["type"], "Microsoft.Synapse/workspaces/managedVirtualNetworks/managedPrivateEndpoints");
    assert_eq!(
        made.body["properties"],
        json!({
            "privateLinkResourceId": ws, "groupId": "amlworkspace", "fqdns": [], "provisioningState": "Provisioning",
            "connectionState": {}, "isReserved": false, "isCompliant": false,
        })
    );
    assert_eq!(lab.connections_of(&ws).await, Vec::<Value>::new(), "nothing is raised yet");
    lab.sim.clock().advance(Duration::from_secs(10));
    let state = || async { get().await.expect(200).body["properties"]["connectionState"].clone() };
    assert_eq!(get().await.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(state().await, json!({ "status": "Pending", "description": "", "actionsRequired": "None" }));

    let connections = lab.connections_of(&ws).await;
    let [connection] = connections.as_slice() else { panic!("{connections:?}") };
    let endpoint = connection["properties"]["privateEndpoint"]["id"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = endpoint.split('/').collect();
    let (subscription, group) = (parts[2], parts[4]);
    assert!(
        group.starts_with(&format!("vnet-{}-westeurope-", &subscription[..8])) && group.ends_with("-rg"),
        "{endpoint}"
    );
    assert_eq!((parts[7], parts[8]), ("privateEndpoints", "syn1.aml-1"), "{endpoint}");
    assert_eq!(status_of(connection), "Pending");
    // Once more the same is no second one; another target is refused.
    lab.data(&token, "syn1", "PUT", &path, Some(leads_to(&ws, "amlworkspace"))).await.expect(200);
    lab.data(&token, "syn1", "PUT", &path, Some(leads_to(&storage("lake"), "dfs"))).await.expect(400);
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.connections_of(&ws).await.len(), 1);

    for status in ["Approved", "Rejected"] {
        lab.decide(connection, status).await;
        lab.sim.clock().advance(Duration::from_secs(10));
        assert_eq!(state().await["status"], status);
    }
    lab.delete(connection["id"].as_str().unwrap(), ML).await.expect(200);
    assert_eq!(state().await["status"], "Disconnected");

    // Deleted, made again: another connection.
    lab.data(&token, "syn1", "DELETE", &path, None).await.expect(202);
    assert_eq!(get().await.body["properties"]["provisioningState"], "Deleting");
    lab.sim.clock().advance(Duration::from_secs(10));
    get().await.expect(404);
    lab.data(&token, "syn1", "DELETE", &path, None).await.expect(204);
    lab.data(&token, "syn1", "PUT", &path, Some(leads_to(&ws, "amlworkspace"))).await.expect(200);
    lab.sim.clock().advance(Duration::from_secs(10));
    let again = lab.connections_of(&ws).await;
    assert_eq!(again[0]["properties"]["privateEndpoint"]["id"], endpoint);
    assert_ne!(again[0]["name"], connection["name"]);
    // With the workspace everything goes that it raised.
    lab.delete(&synapse("syn1"), SYNAPSE).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.connections_of(&ws).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_endpoint_to_nothing_fails_and_the_services_own_are_listed() {
    let lab = Lab::start(Settings::fast()).await;
    lab.synapse_workspace("syn1").await;
    let token = lab.data_token().await;
    for (name, body) in
        [("gone", leads_to(&storage("nothing"), "dfs")), ("odd", leads_to(&storage("lake"), "amlworkspace"))]
    {
        let made = lab.data(&token, "syn1", "PUT", &endpoint_path(name), Some(body)).await.expect(200);
        assert_eq!(made.body["properties"]["provisioningState"], "Failed", "{}", made.text);
    }
    lab.data(&token, "syn1", "PUT", &endpoint_path("none"), Some(leads_to("not-an-id", "dfs"))).await.expect(400);
    let list = "/managedVirtualNetworks/default/managedPrivateEndpoints";
    let all = lab.data(&token, "syn1", "GET", list, None).await.expect(200).body;
    let names: Vec<&str> = all["value"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["synapse-ws-sql--syn1", "synapse-ws-sqlOnDemand--syn1", "gone", "odd"]);
    assert_eq!(all["value"][0]["properties"]["isReserved"], true);
    lab.data(&token, "syn1", "DELETE", &endpoint_path("synapse-ws-sql--syn1"), None).await.expect(400);

    lab.sim.settings(|settings| settings.page_size = 3);
    let first = lab.data(&token, "syn1", "GET", list, None).await.expect(200).body;
    let next = first["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("{}/synapse/syn1{list}?", lab.sim.endpoint())), "{next}");
    let rest = lab.send("GET", next, &token, None).await.unwrap().expect(200).body;
    assert_eq!(rest["value"].as_array().unwrap().len(), 1);

    let mut bare = body();
    bare["properties"]["managedVirtualNetwork"] = Value::Null;
    lab.put(&synapse("bare"), SYNAPSE, bare).await.expect(201);
    let refused = lab.data(&token, "bare", "GET", list, None).await.expect(400);
    assert!(refused.message().contains("does not have a managed virtual network associated"), "{}", refused.text);
}

#[tokio::test]
async fn exfiltration_protection_knows_the_tenants() {
    let lab = Lab::with(two_tenants(), Settings::fast()).await;
    let token = lab.data_token().await;
    let theirs = foreign("Microsoft.Storage/storageAccounts", "theirs");
    for (name, body, status, compliant) in [
        ("open", body(), 200, false),
        ("closed", protected(&[]), 400, true),
        ("listed", protected(&[OTHER_TENANT]), 200, true),
    ] {
        lab.put(&synapse(name), SYNAPSE, body).await.expect(201);
        let far = lab.data(&token, name, "PUT", &endpoint_path("far"), Some(leads_to(&theirs, "dfs"))).await;
        assert_eq!(far.status, status, "{name}: {}", far.text);
        let near = lab.data(&token, name, "PUT", &endpoint_path("near"), Some(leads_to(&storage("lake"), "dfs"))).await;
        assert_eq!(near.expect(200).body["properties"]["isCompliant"], compliant, "{name}");
    }
}

#[tokio::test]
async fn a_linked_service_is_written_by_an_operation_and_known_by_its_tag() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.synapse_workspace("syn1").await;
    let (token, path) = (lab.data_token().await, "/linkedservices/aml");
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let get = || async { lab.data(&token, "syn1", "GET", path, None).await };
    let missing = get().await.expect(404);
    assert_eq!(missing.body["code"], "LinkedServiceNotFound", "no envelope: {}", missing.text);

    let put = lab.data(&token, "syn1", "PUT", path, Some(machine_learning("aml1"))).await.expect(202);
    assert_eq!((&put.body["state"], &put.body["name"]), (&json!("Creating"), &json!("aml")));
    let url = put.header("Location").unwrap().to_owned();
    assert!(url.starts_with(&format!("{}/synapse/syn1/operationResults/", lab.sim.endpoint())), "{url}");
    let poll = || async { lab.send("GET", &url, &token, None).await.unwrap() };
    let running = poll().await.expect(202);
    assert_eq!(running.header("Location"), Some(url.as_str()));
    get().await.expect(404);
    lab.sim.clock().advance(Duration::from_secs(10));
    let done = poll().await.expect(200).body;
    assert_eq!(done, get().await.expect(200).body);
    assert_eq!(done["properties"], machine_learning("aml1")["properties"]);
    let tag = done["etag"].as_str().unwrap().to_owned();

    let with = |method: &'static str, header: &'static str, value: String, body: Option<Value>| {
        let url = format!("{}/synapse/syn1{path}?api-version={DATA}", lab.sim.endpoint());
        let request = lab.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let request = request.bearer_auth(&token).header(header, value);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(with("GET", "If-None-Match", tag.clone(), None).await, 304);
    assert_eq!(with("GET", "If-None-Match", "other".into(), None).await, 200);
    assert_eq!(with("PUT", "If-Match", "other".into(), Some(machine_learning("aml2"))).await, 412);
    assert_eq!(with("PUT", "If-Match", tag.clone(), Some(machine_learning("aml2"))).await, 202);
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_ne!(get().await.body["etag"], json!(tag));

    let deleting = lab.data(&token, "syn1", "DELETE", path, None).await.expect(202);
    assert_eq!(deleting.body["state"], "Deleting");
    lab.sim.clock().advance(Duration::from_secs(10));
    let over = lab.send("GET", deleting.header("Location").unwrap(), &token, None).await.unwrap().expect(200);
    assert_eq!(over.text, "");
    lab.data(&token, "syn1", "DELETE", path, None).await.expect(204);
}

#[tokio::test]
async fn a_linked_service_is_judged_and_its_secrets_are_shown_to_nobody() {
    let lab = Lab::start(Settings::fast()).await;
    lab.synapse_workspace("syn1").await;
    let token = lab.data_token().await;
    let without = |member: &str| {
        let mut body = machine_learning("aml1");
        body["properties"]["typeProperties"].as_object_mut().unwrap().remove(member);
        body
    };
    for (name, body, status) in [
        ("a", machine_learning("aml1"), 200),
        ("b", without("subscriptionId"), 400),
        ("b", without("mlWorkspaceName"), 400),
        ("b", json!({ "properties": { "type": "AzureMLService" } }), 400),
        ("b", json!({ "properties": { "typeProperties": {} } }), 400),
        ("no:name", machine_learning("aml1"), 400),
        ("syn1-WorkspaceDefaultStorage", machine_learning("aml1"), 400),
    ] {
        let answer = lab.data(&token, "syn1", "PUT", &format!("/linkedservices/{name}"), Some(body)).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        assert!(status == 200 || answer.body["code"].is_string(), "{}", answer.text);
    }
    let mut secret = machine_learning("aml1");
    secret["properties"]["typeProperties"]["servicePrincipalKey"] =
        json!({ "type": "SecureString", "value": "hush-hush" });
    let shown = lab.data(&token, "syn1", "PUT", "/linkedservices/a", Some(secret)).await.expect(200).body;
    assert_eq!(shown["properties"]["typeProperties"]["servicePrincipalKey"]["value"], "**********");
    assert!(
        !lab.sim.exchanges().iter().any(|exchange| String::from_utf8_lossy(&exchange.request_body).contains("hush"))
    );
    let all = lab.data(&token, "syn1", "GET", "/linkedservices", None).await.expect(200).body;
    let names: Vec<&str> = all["value"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["syn1-WorkspaceDefaultSqlServer", "syn1-WorkspaceDefaultStorage", "a"]);
}

#[tokio::test]
async fn a_twin_decides_nothing() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("aml1", "Disabled").await;
    lab.synapse_workspace("syn1").await;
    let (token, path) = (lab.data_token().await, endpoint_path("ours"));
    lab.data(&token, "syn1", "PUT", &path, Some(leads_to(&ws, "amlworkspace"))).await.expect(200);
    let ours = lab.connections_of(&ws).await[0].clone();
    let endpoint = ours["properties"]["privateEndpoint"]["id"].as_str().unwrap().to_owned();
    // A stranger's request with our endpoint's very id, sorted before ours.
    let twin = SeedConnection {
        target: ws.clone(),
        private_endpoint_id: endpoint.clone(),
        status: Some("Approved".into()),
        name: Some("0-twin".into()),
        ..SeedConnection::default()
    };
    lab.sim.seed(Seed { connections: vec![twin], ..Seed::default() }).unwrap();
    let all = lab.connections_of(&ws).await;
    assert_eq!(
        all.iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["0-twin", ours["name"].as_str().unwrap()]
    );
    assert!(all.iter().all(|connection| connection["properties"]["privateEndpoint"]["id"] == json!(endpoint)));
    let state = lab.data(&token, "syn1", "GET", &path, None).await.expect(200);
    assert_eq!(state.body["properties"]["connectionState"]["status"], "Pending");
}

#[tokio::test]
async fn names_lead_inside_where_an_approved_endpoint_does() {
    let lab = Lab::start(Settings::fast()).await;
    let ws = lab.workspace("aml1", "Disabled").await;
    lab.synapse_workspace("syn1").await;
    let guid = lab.get(&ws, ML).await.body["properties"]["workspaceId"].as_str().unwrap().to_owned();
    let host = format!("{guid}.workspace.westeurope.api.azureml.ms");
    let public = lab.resolved("syn1", &host).await;
    assert_eq!((&public["private"], &public["managedPrivateEndpoint"]), (&json!(false), &Value::Null));
    assert!(public["address"].as_str().unwrap().starts_with("198.51.100."));
    let token = lab.data_token().await;
    lab.data(&token, "syn1", "PUT", &endpoint_path("aml"), Some(leads_to(&ws, "amlworkspace"))).await.expect(200);
    assert_eq!(lab.resolved("syn1", &host).await, public, "pending is not enough");
    lab.decide(&lab.connections_of(&ws).await[0], "Approved").await;
    let private = lab.resolved("syn1", &host).await;
    assert_eq!((&private["private"], &private["managedPrivateEndpoint"]), (&json!(true), &json!("aml")));
    assert!(private["address"].as_str().unwrap().starts_with("10."));
    assert_eq!(lab.resolved("syn1", "nowhere.example").await["address"], Value::Null);
    let nobody = lab.send("GET", "/_simulator/synapse/none/resolve?name=a", "", None).await.unwrap();
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn a_workspace_answers_under_its_own_host() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.synapse_workspace("syn1").await;
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let token = lab.data_token().await;
    let address: SocketAddr = lab.sim.endpoint().trim_start_matches("https://").parse().unwrap();
    let ca = reqwest::Certificate::from_pem(lab.sim.ca_pem().as_bytes()).unwrap();
    let host = "syn1.dev.azuresynapse.net";
    let client = Client::builder().tls_certs_only([ca]).resolve(host, address).build().unwrap();
    let base = format!("https://{host}:{}", address.port());
    let shown = client.get(format!("{base}/workspace?api-version={DATA}")).bearer_auth(&token).send().await.unwrap();
    let shown: Value = shown.json().await.unwrap();
    assert_eq!(shown["name"], "syn1");
    let url = format!("{base}/linkedservices/aml?api-version={DATA}");
    let put = client.put(url).bearer_auth(&token).json(&machine_learning("aml1")).send().await.unwrap();
    assert_eq!(put.status(), 202);
    let location = put.headers()["Location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{base}/operationResults/")), "{location}");
    // The log names the workspace either way; neither ARM nor the control interface is there.
    assert!(lab.sim.requests().iter().any(|request| request.path == "/synapse/syn1/linkedservices/aml"));
    for path in [synapse("syn1"), "/_simulator/state".to_owned()] {
        let found = client.get(format!("{base}{path}?api-version={SYNAPSE}")).bearer_auth(&token).send().await.unwrap();
        assert_eq!(found.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_spark_pool_is_made_by_an_operation() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.synapse_workspace("syn1").await;
    lab.sim.settings(|settings| settings.operation_seconds = OperationSeconds::all(10.0));
    let path = format!("{}/bigDataPools/small", synapse("syn1"));
    let pool = |own: Value| {
        let mut properties = json!({
            "nodeSize": "Small", "nodeSizeFamily": "MemoryOptimized", "sparkVersion": "3.4",
            "autoScale": { "enabled": true, "minNodeCount": 3, "maxNodeCount": 3 },
            "autoPause": { "enabled": true, "delayInMinutes": 5 },
        });
        properties.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        json!({ "location": "westeurope", "properties": properties })
    };
    let made = lab.put(&path, SYNAPSE, pool(json!({}))).await.expect(202);
    assert!(made.header("Azure-AsyncOperation").is_some() && made.header("Location").is_some());
    assert_eq!(made.body["properties"]["provisioningState"], "Provisioning");
    lab.sim.clock().advance(Duration::from_secs(10));
    let shown = lab.get(&path, SYNAPSE).await.expect(200).body;
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
    assert_eq!(shown["properties"]["dynamicExecutorAllocation"], json!({ "enabled": false }));
    assert!(shown["properties"]["lastSucceededTimestamp"].is_string());
    let listed = lab.get(&format!("{}/bigDataPools", synapse("syn1")), SYNAPSE).await.expect(200).body;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    let seen = lab.data(&lab.data_token().await, "syn1", "GET", "/bigDataPools/small", None).await.expect(200);
    assert_eq!(seen.body, shown);
    lab.call("PATCH", &path, SYNAPSE, Some(json!({ "tags": { "a": "b" } }))).await.expect(200);

    for (name, own) in [
        ("toolongforapoolname", json!({})),
        ("1st", json!({})),
        ("huge", json!({ "nodeSize": "Huge" })),
        ("few", json!({ "autoScale": { "enabled": true, "minNodeCount": 1, "maxNodeCount": 3 } })),
    ] {
        lab.put(&format!("{}/bigDataPools/{name}", synapse("syn1")), SYNAPSE, pool(own)).await.expect(400);
    }
    let deleting = lab.delete(&path, SYNAPSE).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.send("GET", deleting.header("Location").unwrap(), &lab.token, None).await.unwrap().expect(204);
    lab.get(&path, SYNAPSE).await.expect(404);
}

#[tokio::test]
async fn a_seeded_workspace_is_complete_and_may_state_its_guid() {
    let mut seed = seed();
    let stated = "dddddddd-0000-0000-0000-000000000001";
    let resource = SeedResource::new(synapse("syn1"), "westeurope").property("managedVirtualNetwork", json!("default"));
    seed.resources.push(resource.property("workspaceUID", json!(stated)));
    seed.resources.push(SeedResource::new(synapse("syn2"), "westeurope"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let token = lab.data_token().await;
    for (name, guid) in [("syn1", Some(stated)), ("syn2", None)] {
        let shown = lab.get(&synapse(name), SYNAPSE).await.expect(200).body;
        assert!(shown["identity"]["principalId"].is_string());
        let uid = shown["properties"]["workspaceUID"].as_str();
        assert!(uid.is_some() && guid.is_none_or(|guid| uid == Some(guid)));
        lab.data(&token, name, "GET", "/linkedservices", None).await.expect(200);
    }
    // Seeded again it is somebody else's: another guid, another identity.
    let before = lab.get(&synapse("syn2"), SYNAPSE).await.body;
    let again = vec![SeedResource::new(synapse("syn2"), "westeurope")];
    lab.sim.seed(Seed { resources: again, ..Seed::default() }).unwrap();
    let after = lab.get(&synapse("syn2"), SYNAPSE).await.body;
    assert_ne!(before["properties"]["workspaceUID"], after["properties"]["workspaceUID"]);
    assert_ne!(before["identity"]["principalId"], after["identity"]["principalId"]);
}
