use arm_simulator::Settings;
use serde_json::{Value, json};

use crate::lab::{APPROVER, GROUP, Lab, ML, SUB, assignment, endpoint_rule, seed, storage, workspace, workspace_body};

const VERSION: &str = "2022-04-01";
const GUID: &str = "aaaaaaaa-bbbb-cccc-dddd-000000000001";

fn assignments(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments")
}

fn body(role: &str, principal: &str) -> Value {
    let role = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}");
    json!({ "properties": { "roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal" } })
}

#[tokio::test]
async fn a_caller_without_the_role_is_told_what_it_lacks() {
    let mut seed = seed();
    seed.role_assignments.push(assignment(GROUP, "Reader", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let id = workspace("denied");
    let url = format!("{id}?api-version={ML}");
    let refused = lab.send("PUT", &url, &guest, Some(workspace_body("Disabled"))).await.unwrap().expect(403);
    assert_eq!(refused.code(), "AuthorizationFailed");
    let text = format!(
        "The client 'guest-client' with object id 'guest-object' does not have authorization to perform action 'Microsoft.MachineLearningServices/workspaces/write' over scope '{id}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    );
    assert_eq!(refused.message(), text);
    lab.send("GET", &format!("{}?api-version=2023-05-01", storage("own")), &guest, None).await.unwrap().expect(200);
    lab.sim.settings(|settings| settings.enforce_rbac = false);
    lab.send("PUT", &url, &guest, Some(workspace_body("Disabled"))).await.unwrap().expect(200);
}

#[tokio::test]
async fn assignments_are_made_once_and_cannot_change_hands() {
    let lab = Lab::start(Settings::fast()).await;
    let lake = assignments(&storage("lake"));
    let first = format!("{lake}/{GUID}");
    let made = lab.put(&first, VERSION, body(APPROVER, "guest-object")).await.expect(201).body;
    // Only the first answer does not know yet who it was (recording).
    let (created, updated) = (&made["properties"]["createdBy"], &made["properties"]["updatedBy"]);
    assert_eq!((created, updated), (&Value::Null, &json!(crate::lab::OWNER)));
    let read = lab.get(&first, VERSION).await.expect(200).body;
    assert_eq!(read["properties"]["createdBy"], crate::lab::OWNER);
    assert_eq!(made["properties"]["scope"], storage("lake"));
    lab.put(&first, VERSION, body(APPROVER, "guest-object")).await.expect(200);
    for (name, body, status, code) in [
        ("aaaaaaaa-bbbb-cccc-dddd-000000000002", body(APPROVER, "guest-object"), 409, "RoleAssignmentExists"),
        (GUID, body(APPROVER, "owner-object"), 400, "RoleAssignmentUpdateNotPermitted"),
        ("not-a-guid", body(APPROVER, "owner-object"), 400, "InvalidRoleAssignmentId"),
        ("aaaaaaaa-bbbb-cccc-dddd-000000000003", body(GUID, "owner-object"), 404, "RoleDefinitionDoesNotExist"),
    ] {
        let answer = lab.put(&format!("{lake}/{name}"), VERSION, body).await.expect(status);
        assert_eq!(answer.code(), code, "{}", answer.text);
    }
    let mut untyped = body(APPROVER, "nobody-knows-me");
    untyped["properties"].as_object_mut().unwrap().remove("principalType");
    let answer = lab.put(&format!("{lake}/aaaaaaaa-bbbb-cccc-dddd-000000000004"), VERSION, untyped).await.expect(400);
    assert_eq!(answer.code(), "PrincipalNotFound");
    lab.delete(&first, VERSION).await.expect(200);
    lab.delete(&first, VERSION).await.expect(204);
    assert_eq!(lab.get(&first, VERSION).await.expect(404).code(), "RoleAssignmentNotFound");
}

#[tokio::test]
async fn lists_show_what_is_inherited() {
    let mut seed = seed();
    seed.role_assignments.push(assignment(GROUP, "Reader", "guest-object"));
    seed.role_assignments.push(assignment(&storage("lake"), APPROVER, "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    for (scope, filter, expected) in [
        (storage("lake"), "atScope()", 3),
        (storage("lake"), "assignedTo('guest-object')", 2),
        (storage("own"), "assignedTo('guest-object')", 1),
        (GROUP.to_owned(), "assignedTo('guest-object')", 1),
        (GROUP.to_owned(), "principalId eq 'guest-object'", 2),
        (GROUP.to_owned(), "", 3),
    ] {
        let filter_value: String = url_encode(filter);
        let url = format!("{}?api-version={VERSION}&$filter={filter_value}", assignments(&scope));
        let list = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body;
        assert_eq!(list["value"].as_array().unwrap().len(), expected, "{scope} {filter}");
    }
    let url = format!("{}?api-version={VERSION}&$filter=nonsense", assignments(GROUP));
    lab.send("GET", &url, &lab.token, None).await.unwrap().expect(400);
}

fn url_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[tokio::test]
async fn a_new_assignment_may_take_a_while_to_have_an_effect() {
    let settings = Settings { role_assignment_delay_seconds: 60.0, clock_speed: 0.0, ..Settings::fast() };
    let lab = Lab::start(settings).await;
    let ws = lab.workspace("waiting", "AllowInternetOutbound").await;
    let identity = lab.get(&ws, ML).await.body["identity"]["principalId"].as_str().unwrap().to_owned();
    lab.put(&format!("{}/{GUID}", assignments(&storage("lake"))), VERSION, body(APPROVER, &identity)).await.expect(201);
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(400);
    lab.sim.clock().advance(std::time::Duration::from_secs(60));
    lab.rule(&ws, "lake", endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
}

#[tokio::test]
async fn roles_can_be_looked_up() {
    let lab = Lab::start(Settings::fast()).await;
    let definitions = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleDefinitions");
    let role = lab.get(&format!("{definitions}/{APPROVER}"), VERSION).await.expect(200).body;
    assert_eq!(role["properties"]["roleName"], "Azure AI Enterprise Network Connection Approver");
    lab.get(&format!("{definitions}/{GUID}"), VERSION).await.expect(404);
    let url = format!("{definitions}?api-version={VERSION}&$filter={}", url_encode("roleName eq 'Reader'"));
    let list = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body;
    assert_eq!(list["value"][0]["name"], "acdd72a7-3385-48ef-bd42-f606fba81ae7");
    assert_eq!(list["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_new_principal_is_not_found_at_first() {
    let settings = Settings { principal_replication_seconds: 40.0, clock_speed: 0.0, ..Settings::fast() };
    let lab = Lab::start(settings).await;
    let ws = lab.workspace("fresh", "Disabled").await;
    let identity = lab.get(&ws, ML).await.body["identity"]["principalId"].as_str().unwrap().to_owned();
    let path = format!("{}/{GUID}", assignments(GROUP));
    let mut untyped = body(APPROVER, &identity);
    untyped["properties"].as_object_mut().unwrap().remove("principalType");
    let text = format!(
        "Principal {} does not exist in the directory {}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
        identity.replace('-', ""),
        crate::lab::TENANT
    );
    for _ in 0..5 {
        let answer = lab.put(&path, VERSION, untyped.clone()).await.expect(400);
        assert_eq!((answer.code(), answer.message()), ("PrincipalNotFound", text.as_str()));
        lab.sim.clock().advance(std::time::Duration::from_secs(8));
    }
    let made = lab.put(&path, VERSION, untyped).await.expect(201).body;
    assert_eq!(made["properties"]["principalType"], "ServicePrincipal");
}

#[tokio::test]
async fn a_principals_type_is_known_or_stated_right() {
    let lab = Lab::start(Settings::fast()).await;
    let path = format!("{}/{GUID}", assignments(GROUP));
    for (kind, code) in [("User", "UnmatchedPrincipalType"), ("MSI", "InvalidPrincipalType")] {
        let mut wrong = body(APPROVER, "guest-object");
        wrong["properties"]["principalType"] = json!(kind);
        assert_eq!(lab.put(&path, VERSION, wrong).await.expect(400).code(), code);
    }
}

fn role(name: &str, scopes: Value) -> Value {
    json!({ "properties": {
        "roleName": name, "description": "reads storage", "type": "CustomRole", "assignableScopes": scopes,
        "permissions": [{
            "actions": ["Microsoft.Storage/storageAccounts/*"], "notActions": ["*/write", "*/delete"],
            "dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]
        }]
    } })
}

#[tokio::test]
async fn a_custom_role_lives_from_its_definition_to_its_last_assignment() {
    let lab = Lab::start(Settings::fast()).await;
    let definitions = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleDefinitions");
    let path = format!("{definitions}/{GUID}");
    let made = lab.put(&path, VERSION, role("Storage Auditor", json!([GROUP]))).await.expect(201).body;
    assert_eq!((&made["id"], &made["properties"]["type"]), (&json!(path), &json!("CustomRole")));
    let data = &made["properties"]["permissions"][0]["dataActions"][0];
    assert_eq!(data, "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read");
    for (scope, filter, expected) in [
        (GROUP, "type eq 'CustomRole'", 1),
        (&format!("/subscriptions/{SUB}"), "roleName eq 'Storage Auditor'", 0),
        (&format!("/subscriptions/{SUB}"), "atScopeAndBelow()", 17),
    ] {
        let url = format!(
            "{scope}/providers/Microsoft.Authorization/roleDefinitions?api-version={VERSION}&$filter={}",
            url_encode(filter)
        );
        let list = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200).body;
        assert_eq!(list["value"].as_array().unwrap().len(), expected, "{scope} {filter}");
    }
    let assigned = format!("{}/{GUID}", assignments(GROUP));
    let above = format!("{}/{GUID}", assignments(&format!("/subscriptions/{SUB}")));
    let refused = lab.put(&above, VERSION, body(GUID, "guest-object")).await.expect(400);
    assert_eq!(refused.code(), "RoleAssignmentScopeNotAssignableToRoleDefinition");
    lab.put(&assigned, VERSION, body(GUID, "guest-object")).await.expect(201);

    let guest = lab.sign_in("guest").await;
    let account = format!("{}?api-version=2023-05-01", storage("lake"));
    lab.send("GET", &account, &guest, None).await.unwrap().expect(200);
    let connection = format!("{}/privateEndpointConnections/c?api-version=2023-05-01", storage("lake"));
    lab.send("DELETE", &connection, &guest, None).await.unwrap().expect(403);

    assert_eq!(lab.delete(&path, VERSION).await.expect(400).code(), "RoleDefinitionHasAssignments");
    lab.delete(&assigned, VERSION).await.expect(200);
    lab.send("GET", &account, &guest, None).await.unwrap().expect(403);
    lab.delete(&path, VERSION).await.expect(200);
    lab.delete(&path, VERSION).await.expect(204);
    lab.get(&path, VERSION).await.expect(404);
}

#[tokio::test]
async fn roles_are_not_made_beyond_ones_own_rights() {
    let mut seed = seed();
    seed.role_assignments.push(assignment(GROUP, "User Access Administrator", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let subscription = format!("/subscriptions/{SUB}");
    let put = async |scope: &str, guid: &str, token: &str, body: Value| {
        let url = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{guid}?api-version={VERSION}");
        lab.send("PUT", &url, token, Some(body)).await.unwrap()
    };
    put(GROUP, GUID, &guest, role("Mine", json!([GROUP]))).await.expect(201);
    // Made at home, meant for everywhere.
    put(GROUP, GUID, &guest, role("Mine", json!([GROUP, subscription]))).await.expect(403);
    let theirs = "aaaaaaaa-bbbb-cccc-dddd-000000000009";
    put(&subscription, theirs, &lab.token, role("Theirs", json!([subscription]))).await.expect(201);
    put(GROUP, theirs, &guest, role("Theirs", json!([GROUP]))).await.expect(403);
    for (guid, wrong, status, code) in [
        (theirs, role("mine", json!([GROUP])), 409, "RoleDefinitionWithSameNameExists"),
        (theirs, role("New", json!(["/"])), 400, "InvalidAssignableScopes"),
        (theirs, role("", json!([GROUP])), 400, "InvalidRequestContent"),
        ("not-a-guid", role("New", json!([GROUP])), 400, "InvalidRoleDefinitionId"),
        (APPROVER, role("New", json!([GROUP])), 400, "RoleDefinitionUpdateNotPermitted"),
    ] {
        let answer = put(GROUP, guid, &lab.token, wrong).await.expect(status);
        assert_eq!(answer.code(), code, "{}", answer.text);
    }
}

#[tokio::test]
async fn callers_can_see_what_they_may_do() {
    let mut seed = seed();
    seed.role_assignments.push(assignment(GROUP, "Reader", "guest-object"));
    seed.role_assignments.push(assignment(&storage("lake"), "Contributor", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    for (scope, expected) in [(storage("lake"), vec!["*", "*/read"]), (storage("own"), vec!["*/read"])] {
        let url = format!("{scope}/providers/Microsoft.Authorization/permissions?api-version={VERSION}");
        let list = lab.send("GET", &url, &guest, None).await.unwrap().expect(200).body;
        let actions: Vec<&str> =
            list["value"].as_array().unwrap().iter().map(|held| held["actions"][0].as_str().unwrap()).collect();
        assert_eq!(actions, expected);
    }
}
