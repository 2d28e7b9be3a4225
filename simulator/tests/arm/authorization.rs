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
