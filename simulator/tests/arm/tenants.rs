//! What is between two tenants, and between somebody's rights and what they name in a request.

use arm_simulator::{
    OperationSeconds, Seed, SeedAssignment, SeedGroup, SeedPrincipal, SeedResource, SeedRole, SeedSubscription,
    Settings,
};
use serde_json::{Value, json};

use crate::lab::{Answer, GROUP, Lab, ML, OWNER, SUB, assignment, id, principal, seed, storage, workspace_body};

const OTHER_TENANT: &str = "22222222-2222-2222-2222-222222222222";
const OTHER: &str = "/subscriptions/00000000-0000-0000-0000-000000000002";
const OTHER_GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/rg9";
const ROLES: &str = "2022-04-01";
const NETWORK: &str = "2024-05-01";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";

fn theirs(kind: &str, name: &str) -> String {
    format!("{OTHER_GROUP}/providers/{kind}/{name}")
}

/// Two tenants, each with an owner of everything there is, as far as the root tells.
fn two() -> Seed {
    let mut seed = seed();
    seed.service_principals.push(SeedPrincipal { tenant_id: OTHER_TENANT.into(), ..principal("stranger") });
    seed.subscriptions.push(SeedSubscription {
        subscription_id: "00000000-0000-0000-0000-000000000002".into(),
        tenant_id: OTHER_TENANT.into(),
    });
    seed.resource_groups.push(SeedGroup {
        subscription_id: "00000000-0000-0000-0000-000000000002".into(),
        name: "rg9".into(),
        location: "westeurope".into(),
    });
    seed.resources.push(SeedResource::new(theirs("Microsoft.Storage/storageAccounts", "far"), "westeurope"));
    seed.resources.push(SeedResource::new(theirs("Microsoft.KeyVault/vaults", "kv9"), "westeurope"));
    seed.role_assignments.push(assignment("/", "Owner", "stranger-object"));
    seed
}

async fn stranger(lab: &Lab) -> String {
    let form = "grant_type=client_credentials&client_id=stranger-client&client_secret=stranger-secret\
                &scope=https%3A%2F%2Fmanagement.azure.com%2F.default";
    let answer = lab.form(&format!("/{OTHER_TENANT}/oauth2/v2.0/token"), form).await.expect(200);
    answer.body["access_token"].as_str().unwrap().to_owned()
}

async fn as_(lab: &Lab, token: &str, method: &str, path: &str, version: &str, body: Option<Value>) -> Answer {
    lab.send(method, &format!("{path}?api-version={version}"), token, body).await.unwrap()
}

fn names(answer: &Answer, member: &str) -> Vec<String> {
    let items = answer.body["value"].as_array().unwrap().iter();
    items.map(|item| item["properties"][member].as_str().unwrap().to_owned()).collect()
}

fn assignment_path(scope: &str, number: u32) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/aaaaaaaa-bbbb-cccc-dddd-{number:012}")
}

fn reader_for(principal: &str, kind: Option<&str>) -> Value {
    let role = format!("/providers/Microsoft.Authorization/roleDefinitions/{READER}");
    let mut body = json!({ "properties": { "roleDefinitionId": role, "principalId": principal } });
    if let Some(kind) = kind {
        body["properties"]["principalType"] = json!(kind);
    }
    body
}

#[tokio::test]
async fn roles_are_handed_on_only_within_a_tenant() {
    let lab = Lab::with(two(), Settings::fast()).await;
    for scope in [GROUP, ""] {
        for kind in [None, Some("ServicePrincipal")] {
            let refused = lab.put(&assignment_path(scope, 1), ROLES, reader_for("stranger-object", kind)).await;
            assert_eq!(refused.expect(400).code(), "PrincipalNotFound", "on '{scope}' as {kind:?}");
        }
    }
    lab.put(&assignment_path(GROUP, 1), ROLES, reader_for("guest-object", None)).await.expect(201);
}

#[tokio::test]
async fn the_root_is_every_tenants_own() {
    let lab = Lab::with(two(), Settings::fast()).await;
    let token = stranger(&lab).await;
    let list = "/providers/Microsoft.Authorization/roleAssignments";
    assert_eq!(names(&lab.get(list, ROLES).await.expect(200), "principalId"), [OWNER]);
    let others = as_(&lab, &token, "GET", list, ROLES, None).await.expect(200);
    assert_eq!(names(&others, "principalId"), ["stranger-object"]);
    let own = lab.get(list, ROLES).await.body["value"][0]["id"].as_str().unwrap().to_owned();
    as_(&lab, &token, "GET", &own, ROLES, None).await.expect(404);
    as_(&lab, &token, "DELETE", &own, ROLES, None).await.expect(204);
    lab.get(&own, ROLES).await.expect(200);
    // A list on a scope shows what is inherited from the root, but not from the other's.
    let below = lab.get(&format!("{GROUP}{list}"), ROLES).await.expect(200);
    assert_eq!(names(&below, "principalId"), [OWNER]);
}

fn custom_role(scope: &str) -> Value {
    json!({ "properties": {
        "roleName": "Approver of ours", "assignableScopes": [scope], "permissions": [{ "actions": ["*/read"] }],
    } })
}

#[tokio::test]
async fn custom_roles_are_their_tenants() {
    let lab = Lab::with(two(), Settings::fast()).await;
    let token = stranger(&lab).await;
    let sub = format!("/subscriptions/{SUB}");
    let path = |scope: &str, number: u32| {
        format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/bbbbbbbb-bbbb-cccc-dddd-{number:012}")
    };
    lab.put(&path(&sub, 1), ROLES, custom_role(&sub)).await.expect(201);
    as_(&lab, &token, "GET", &path(OTHER, 1), ROLES, None).await.expect(404);
    as_(&lab, &token, "DELETE", &path(OTHER, 1), ROLES, None).await.expect(204);
    let taken = as_(&lab, &token, "PUT", &path(OTHER, 1), ROLES, Some(custom_role(OTHER))).await.expect(409);
    assert!(!taken.message().contains(SUB), "{}", taken.message());
    // The name is free in the other tenant, and a scope of this one is not theirs to name.
    as_(&lab, &token, "PUT", &path(OTHER, 2), ROLES, Some(custom_role(OTHER))).await.expect(201);
    as_(&lab, &token, "PUT", &path(OTHER, 3), ROLES, Some(custom_role(&sub))).await.expect(403);
    lab.get(&path(&sub, 1), ROLES).await.expect(200);
    let mut body = reader_for(OWNER, None);
    body["properties"]["roleDefinitionId"] = json!(path(OTHER, 2));
    let unknown = lab.put(&assignment_path(GROUP, 1), ROLES, body).await.expect(404);
    assert_eq!(unknown.code(), "RoleDefinitionDoesNotExist");
}

#[tokio::test]
async fn a_workspace_rests_on_its_own_tenant() {
    let lab = Lab::with(two(), Settings::fast()).await;
    let far = [
        ("storageAccount", theirs("Microsoft.Storage/storageAccounts", "far")),
        ("keyVault", theirs("Microsoft.KeyVault/vaults", "kv9")),
        ("containerRegistry", theirs("Microsoft.ContainerRegistry/registries", "acr9")),
    ];
    for (name, target) in &far {
        let mut body = workspace_body("AllowOnlyApprovedOutbound");
        body["properties"][*name] = json!(target);
        let refused = lab.put(&crate::lab::workspace("ws1"), ML, body).await.expect(400);
        assert!(refused.message().contains(target.as_str()), "{}", refused.text);
    }
    lab.get(&crate::lab::workspace("ws1"), ML).await.expect(404);
    let id = lab.workspace("ws1", "AllowOnlyApprovedOutbound").await;
    lab.patch(&id, json!({ "properties": { "containerRegistry": far[2].1 } })).await.expect(400);
    assert_ne!(lab.get(&id, ML).await.body["properties"]["containerRegistry"], json!(far[2].1));
}

fn identity_in(group: &str) -> String {
    format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/robot")
}

#[tokio::test]
async fn an_identity_is_given_only_by_who_may_assign_it() {
    let mut seed = two();
    seed.resource_groups.push(SeedGroup {
        subscription_id: SUB.into(),
        name: "rg2".into(),
        location: "westeurope".into(),
    });
    seed.role_assignments.push(assignment(GROUP, "Contributor", "guest-object"));
    let apart = identity_in(&GROUP.replace("rg1", "rg2"));
    for identity in [identity_in(GROUP), apart.clone(), identity_in(OTHER_GROUP)] {
        seed.resources.push(SeedResource::new(identity, "westeurope"));
    }
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let with = |user: &str| {
        let mut body = workspace_body("Disabled");
        body["identity"] = json!({ "type": "SystemAssigned,UserAssigned", "userAssignedIdentities": { user: {} } });
        body
    };
    let path = crate::lab::workspace("ws1");
    for (token, user) in [(&guest, &apart), (&lab.token, &identity_in(OTHER_GROUP))] {
        let refused = as_(&lab, token, "PUT", &path, ML, Some(with(user))).await.expect(403);
        assert_eq!(refused.code(), "LinkedAuthorizationFailed");
        assert!(refused.message().contains("userAssignedIdentities/assign/action"), "{}", refused.text);
    }
    let no_identity = as_(&lab, &guest, "PUT", &path, ML, Some(with(&storage("lake")))).await.expect(400);
    assert_eq!(no_identity.code(), "FailedIdentityOperation");
    as_(&lab, &guest, "PUT", &path, ML, Some(with(&identity_in(GROUP)))).await.expect(200);
    let change =
        json!({ "identity": { "type": "SystemAssigned,UserAssigned", "userAssignedIdentities": { apart: {} } } });
    as_(&lab, &guest, "PATCH", &path, ML, Some(change)).await.expect(403);
}

#[tokio::test]
async fn a_path_has_no_empty_segments() {
    let lab = Lab::with(two(), Settings::fast()).await;
    let lock = format!("{}/providers/Microsoft.Authorization/locks/keep", storage("lake"));
    lab.put(&lock, "2016-09-01", json!({ "properties": { "level": "CanNotDelete" } })).await.expect(201);
    for path in [storage("lake").replace("/providers/", "//providers/"), storage("lake").replace("/lake", "//lake")] {
        assert_eq!(lab.delete(&path, "2023-05-01").await.expect(400).code(), "InvalidRequestUri", "{path}");
    }
    // In front of it all and behind it slashes mean nothing.
    lab.delete(&format!("/{}/", storage("lake")), "2023-05-01").await.expect(409);
    lab.get(&storage("lake"), "2023-05-01").await.expect(200);
    lab.put(
        &format!("/{}", storage("new")),
        "2023-05-01",
        json!({ "location": "westeurope", "kind": "StorageV2", "sku": { "name": "Standard_LRS" } }),
    )
    .await
    .expect(200);
    assert_eq!(lab.get(&storage("new"), "2023-05-01").await.expect(200).body["id"], json!(storage("new")));
}

#[tokio::test]
async fn conditions_that_miss_their_aim_let_nobody_through() {
    let mut seed = two();
    seed.service_principals.push(principal("delegate"));
    let not_user = "@Request[Microsoft.Authorization/roleAssignments:PrincipalType] StringNotEquals 'User'";
    let data = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:Name] StringEquals 'foo'";
    let administrator = "f58310d9-a9f6-439a-9e8d-f62e7b41a168";
    for (who, condition) in [("delegate-object", not_user), ("guest-object", data)] {
        let given = assignment(GROUP, administrator, who);
        seed.role_assignments.push(SeedAssignment { condition: Some(condition.into()), ..given });
    }
    let lab = Lab::with(seed, Settings::fast()).await;
    let (delegate, guest) = (lab.sign_in("delegate").await, lab.sign_in("guest").await);
    let nobody = "99999999-0000-0000-0000-000000000001";
    for kind in ["User", "user", "USER"] {
        let body = Some(reader_for(nobody, Some(kind)));
        as_(&lab, &delegate, "PUT", &assignment_path(GROUP, 1), ROLES, body).await.expect(403);
    }
    let body = Some(reader_for(nobody, Some("Group")));
    as_(&lab, &delegate, "PUT", &assignment_path(GROUP, 1), ROLES, body.clone()).await.expect(201);
    as_(&lab, &guest, "PUT", &assignment_path(GROUP, 2), ROLES, body).await.expect(403);
    as_(&lab, &guest, "DELETE", &assignment_path(GROUP, 1), ROLES, None).await.expect(403);
    as_(&lab, &guest, "GET", &storage("lake"), "2023-05-01", None).await.expect(200);
    let mut misspelled = reader_for(nobody, Some("Group"));
    misspelled["properties"]["condition"] =
        json!(format!("!(ActionMatches{{'Microsoft.Authorization/roleAssignment/write'}}) OR {not_user}"));
    misspelled["properties"]["conditionVersion"] = json!("2.0");
    let refused = lab.put(&assignment_path(GROUP, 3), ROLES, misspelled).await.expect(400);
    assert_eq!(refused.code(), "InvalidRoleAssignmentCondition");
}

#[tokio::test]
async fn operations_are_read_in_their_own_subscription() {
    let seconds = OperationSeconds { workspace_create: 60.0, ..OperationSeconds::default() };
    let settings = Settings { operation_seconds: seconds, clock_speed: 0.0, ..Settings::fast() };
    let lab = Lab::with(two(), settings).await;
    let token = stranger(&lab).await;
    let begun = lab.put(&crate::lab::workspace("ws1"), ML, workspace_body("Disabled")).await.expect(202);
    let url = begun.header("Azure-AsyncOperation").unwrap().to_owned();
    lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200);
    let moved = url.replace(&format!("/subscriptions/{SUB}"), OTHER);
    let refused = lab.send("GET", &moved, &token, None).await.unwrap().expect(404);
    assert_eq!(refused.code(), "OperationNotFound");
}

#[tokio::test]
async fn what_a_network_refers_to_needs_the_right_to_join() {
    let mut seed = two();
    seed.resource_groups.push(SeedGroup {
        subscription_id: SUB.into(),
        name: "rg2".into(),
        location: "westeurope".into(),
    });
    seed.role_assignments.push(assignment(GROUP, "Contributor", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let apart = |kind: &str| id(&format!("Microsoft.Network/{kind}"), "x").replace("/rg1/", "/rg2/");
    for kind in ["networkSecurityGroups", "routeTables", "publicIPAddresses"] {
        let made = lab.put(&apart(kind), NETWORK, json!({ "location": "westeurope", "properties": {} })).await;
        assert!(made.status < 300, "{}", made.text);
    }
    let network = id("Microsoft.Network/virtualNetworks", "v1");
    let space = json!({ "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] } });
    as_(&lab, &guest, "PUT", &network, NETWORK, Some(json!({ "location": "westeurope", "properties": space })))
        .await
        .expect(201);
    let subnet = format!("{network}/subnets/s1");
    let far = |kind: &str| theirs(&format!("Microsoft.Network/{kind}"), "x");
    for (member, kind) in [("networkSecurityGroup", "networkSecurityGroups"), ("routeTable", "routeTables")] {
        for (token, target) in [(&guest, apart(kind)), (&lab.token, far(kind))] {
            let body = json!({ "properties": { "addressPrefix": "10.0.0.0/24", member: { "id": target } } });
            let refused = as_(&lab, token, "PUT", &subnet, NETWORK, Some(body)).await.expect(403);
            assert_eq!(refused.code(), "LinkedAuthorizationFailed");
            assert!(refused.message().contains(&format!("{kind}/join/action")), "{}", refused.text);
        }
    }
    as_(&lab, &guest, "PUT", &subnet, NETWORK, Some(json!({ "properties": { "addressPrefix": "10.0.0.0/24" } })))
        .await
        .expect(201);
    let nic = id("Microsoft.Network/networkInterfaces", "n1");
    let body = |group: Value, address: Value| {
        let mut properties = json!({ "subnet": { "id": subnet } });
        if address.is_object() {
            properties["publicIPAddress"] = address;
        }
        let mut body = json!({ "location": "westeurope", "properties": { "ipConfigurations": [{ "name": "a", "properties": properties }] } });
        if group.is_object() {
            body["properties"]["networkSecurityGroup"] = group;
        }
        body
    };
    for body in [
        body(json!({ "id": apart("networkSecurityGroups") }), Value::Null),
        body(Value::Null, json!({ "id": apart("publicIPAddresses") })),
    ] {
        let refused = as_(&lab, &guest, "PUT", &nic, NETWORK, Some(body.clone())).await.expect(403);
        assert_eq!(refused.code(), "LinkedAuthorizationFailed");
        lab.put(&nic, NETWORK, body).await;
        lab.get(&nic, NETWORK).await.expect(200);
        lab.delete(&nic, NETWORK).await;
    }
}

#[tokio::test]
async fn an_endpoint_does_not_take_over_an_interface() {
    let lab = Lab::with(two(), Settings::fast()).await;
    let network = id("Microsoft.Network/virtualNetworks", "v1");
    let subnet = format!("{network}/subnets/s1");
    let properties = json!({
        "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] },
        "subnets": [{ "name": "s1", "properties": { "addressPrefix": "10.0.0.0/24" } }],
    });
    lab.put(&network, NETWORK, json!({ "location": "westeurope", "properties": properties })).await.expect(201);
    let nic = id("Microsoft.Network/networkInterfaces", "n1");
    let configuration = json!([{ "name": "a", "properties": { "subnet": { "id": subnet } } }]);
    let body = json!({ "location": "westeurope", "properties": { "ipConfigurations": configuration } });
    let before = lab.put(&nic, NETWORK, body).await.expect(201).body["properties"]["resourceGuid"].clone();
    let endpoint = id("Microsoft.Network/privateEndpoints", "p1");
    let body = |name: Option<&str>| {
        let connection = json!({ "privateLinkServiceId": storage("lake"), "groupIds": ["blob"] });
        let mut body = json!({ "location": "westeurope", "properties": {
            "subnet": { "id": subnet },
            "privateLinkServiceConnections": [{ "name": "c", "properties": connection }],
        } });
        if let Some(name) = name {
            body["properties"]["customNetworkInterfaceName"] = json!(name);
        }
        body
    };
    lab.put(&endpoint, NETWORK, body(Some("N1"))).await.expect(400);
    lab.get(&endpoint, NETWORK).await.expect(404);
    lab.put(&endpoint, NETWORK, body(Some("own"))).await.expect(201);
    // The name stays, whether it is repeated or not.
    assert_eq!(lab.put(&endpoint, NETWORK, body(Some("n1"))).await.expect(400).code(), "PropertyChangeNotAllowed");
    let again = lab.put(&endpoint, NETWORK, body(None)).await.expect(200);
    assert_eq!(again.body["properties"]["customNetworkInterfaceName"], "own");
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);
    lab.delete(&endpoint, NETWORK).await;
    lab.get(&id("Microsoft.Network/networkInterfaces", "own"), NETWORK).await.expect(404);
    assert_eq!(lab.get(&nic, NETWORK).await.expect(200).body["properties"]["resourceGuid"], before);
}

#[tokio::test]
async fn registering_a_provider_is_a_right_of_its_own() {
    let mut seed = two();
    let role = |name: &str, actions: &[&str]| SeedRole {
        name: name.into(),
        role_name: name.into(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        ..SeedRole::default()
    };
    seed.role_definitions =
        vec![role("registrar", &["Microsoft.Sql/register/action", "Microsoft.Resources/subscriptions/providers/read"])];
    seed.role_assignments.push(assignment(&format!("/subscriptions/{SUB}"), "registrar", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let provider = |name: &str| format!("/subscriptions/{SUB}/providers/{name}");
    as_(&lab, &guest, "POST", &format!("{}/register", provider("Microsoft.Sql")), "2021-04-01", None).await.expect(200);
    as_(&lab, &guest, "GET", &provider("Microsoft.Sql"), "2021-04-01", None).await.expect(200);
    let path = format!("{}/register", provider("Microsoft.Storage"));
    let refused = as_(&lab, &guest, "POST", &path, "2021-04-01", None).await.expect(403);
    assert!(refused.message().contains("'Microsoft.Storage/register/action'"), "{}", refused.text);
}
