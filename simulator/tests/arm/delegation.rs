//! Who may hand on which roles to whom, and how somebody might try to get around it.

use arm_simulator::{PrincipalType, SeedAssignment, SeedPrincipal, Settings};
use serde_json::{Value, json};

use crate::lab::{APPROVER, Answer, GROUP, Lab, SUB, assignment, principal, seed, storage};

const VERSION: &str = "2022-04-01";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
const ADMINISTRATOR: &str = "f58310d9-a9f6-439a-9e8d-f62e7b41a168";

/// The condition that the documentation of landing zones recommends: two roles, service principals only, for writing
/// and for deleting.
fn condition() -> String {
    let part = |action: &str, source: &str| {
        format!(
            "((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR \
             (@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals \
             {{{APPROVER}, {READER}}} AND @{source}[Microsoft.Authorization/roleAssignments:PrincipalType] \
             ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}}))"
        )
    };
    format!("{} AND {}", part("write", "Request"), part("delete", "Resource"))
}

fn name(number: u32) -> String {
    format!("aaaaaaaa-bbbb-cccc-dddd-{number:012}")
}

fn url(scope: &str, number: u32) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}?api-version={VERSION}", name(number))
}

fn body(role: &str, principal: &str, kind: Option<&str>) -> Value {
    let role = format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}");
    let mut body = json!({ "properties": { "roleDefinitionId": role, "principalId": principal } });
    if let Some(kind) = kind {
        body["properties"]["principalType"] = json!(kind);
    }
    body
}

/// A delegate on the group, and a person.
async fn lab() -> (Lab, String) {
    let mut seed = seed();
    seed.service_principals.push(principal("delegate"));
    seed.service_principals.push(SeedPrincipal { principal_type: PrincipalType::User, ..principal("person") });
    seed.role_assignments
        .push(SeedAssignment { condition: Some(condition()), ..assignment(GROUP, ADMINISTRATOR, "delegate-object") });
    let lab = Lab::with(seed, Settings::fast()).await;
    let delegate = lab.sign_in("delegate").await;
    (lab, delegate)
}

impl Lab {
    async fn as_(&self, token: &str, method: &str, url: &str, body: Option<Value>) -> Answer {
        self.send(method, url, token, body).await.unwrap()
    }
}

#[tokio::test]
async fn a_delegate_hands_on_the_listed_roles_and_takes_them_back() {
    let (lab, delegate) = lab().await;
    let lake = url(&storage("lake"), 1);
    for kind in [Some("ServicePrincipal"), Some("serviceprincipal"), None] {
        let made = lab.as_(&delegate, "PUT", &lake, Some(body(APPROVER, "guest-object", kind))).await.expect(201);
        assert_eq!(made.body["properties"]["principalType"], "ServicePrincipal");
        lab.as_(&delegate, "DELETE", &lake, None).await.expect(200);
    }
    // What the condition does not speak of goes by the role alone.
    lab.as_(&delegate, "GET", &format!("{}?api-version=2023-05-01", storage("lake")), None).await.expect(200);
}

#[tokio::test]
async fn a_delegate_does_not_get_around_the_condition() {
    let (lab, delegate) = lab().await;
    let lake = storage("lake");
    let sp = Some("ServicePrincipal");
    let mut shouted = body(OWNER, "delegate-object", sp);
    shouted["properties"]["roleDefinitionId"] = json!(format!(
        "/SUBSCRIPTIONS/{SUB}/PROVIDERS/MICROSOFT.AUTHORIZATION/ROLEDEFINITIONS/{}/",
        OWNER.to_uppercase()
    ));
    let mut misleading = body(OWNER, "delegate-object", sp);
    misleading["properties"]["roleDefinitionId"] = json!(format!("/roleDefinitions/{READER}/roleDefinitions/{OWNER}"));
    for (what, body) in [
        ("owner for itself", body(OWNER, "delegate-object", sp)),
        ("its own role without the condition", body(ADMINISTRATOR, "delegate-object", sp)),
        ("owner, spelled otherwise", shouted),
        ("owner behind a listed role", misleading),
        ("a listed role for a user", body(READER, "person-object", Some("User"))),
        ("a listed role for a user, type left out", body(READER, "person-object", None)),
        ("a listed role for a group", body(READER, "guest-object", Some("Group"))),
        ("a listed role for nobody known, type left out", body(READER, "nobody", None)),
        (
            "no role at all",
            json!({ "properties": { "principalId": "guest-object", "principalType": "ServicePrincipal" } }),
        ),
        ("no body", json!({})),
    ] {
        let answer = lab.as_(&delegate, "PUT", &url(&lake, 1), Some(body)).await;
        assert_eq!((answer.status, answer.code()), (403, "AuthorizationFailed"), "{what}: {}", answer.text);
        assert!(answer.message().contains("'Microsoft.Authorization/roleAssignments/write'"), "{}", answer.message());
    }
    // A user passed off as a service principal passes the condition, and is then found out.
    let lie = body(READER, "person-object", sp);
    let answer = lab.as_(&delegate, "PUT", &url(&lake, 1), Some(lie)).await.expect(400);
    assert_eq!(answer.code(), "UnmatchedPrincipalType");
    // Above its scope it has nothing to say.
    let above = url(&format!("/subscriptions/{SUB}"), 1);
    lab.as_(&delegate, "PUT", &above, Some(body(READER, "guest-object", sp))).await.expect(403);
}

#[tokio::test]
async fn a_delegate_does_not_touch_others_assignments() {
    let (lab, delegate) = lab().await;
    let lake = storage("lake");
    let sp = Some("ServicePrincipal");
    lab.as_(&lab.token, "PUT", &url(&lake, 1), Some(body(OWNER, "guest-object", sp))).await.expect(201);
    lab.as_(&lab.token, "PUT", &url(&lake, 2), Some(body(READER, "person-object", Some("User")))).await.expect(201);
    for number in [1, 2] {
        lab.as_(&delegate, "DELETE", &url(&lake, number), None).await.expect(403);
        lab.as_(&lab.token, "GET", &url(&lake, number), None).await.expect(200);
    }
    // Nor turn one into another by writing over it.
    let answer = lab.as_(&delegate, "PUT", &url(&lake, 1), Some(body(READER, "guest-object", sp))).await.expect(400);
    assert_eq!(answer.code(), "RoleAssignmentUpdateNotPermitted");
    // Its own condition it cannot lift.
    let list = format!(
        "{GROUP}/providers/Microsoft.Authorization/roleAssignments?api-version={VERSION}&$filter=assignedTo('delegate-object')"
    );
    let own = lab.as_(&delegate, "GET", &list, None).await.expect(200).body["value"][0].clone();
    assert_eq!(own["properties"]["conditionVersion"], "2.0");
    let own_url = format!("{}?api-version={VERSION}", own["id"].as_str().unwrap());
    let freed = body(ADMINISTRATOR, "delegate-object", sp);
    lab.as_(&delegate, "PUT", &own_url, Some(freed.clone())).await.expect(403);
    lab.as_(&delegate, "DELETE", &own_url, None).await.expect(403);
    // Its owner can: by writing the same assignment without it.
    lab.as_(&lab.token, "PUT", &own_url, Some(freed)).await.expect(200);
    lab.as_(&delegate, "PUT", &url(&lake, 3), Some(body(OWNER, "delegate-object", sp))).await.expect(201);
}

#[tokio::test]
async fn conditions_are_stored_and_changed_as_written() {
    let (lab, _) = lab().await;
    let lake = url(&storage("lake"), 1);
    let mut with = body(READER, "guest-object", Some("ServicePrincipal"));
    with["properties"]["condition"] =
        json!("@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringStartsWith '0b1f'");
    with["properties"]["conditionVersion"] = json!("2.0");
    let made = lab.as_(&lab.token, "PUT", &lake, Some(with.clone())).await.expect(201).body;
    assert_eq!(made["properties"]["condition"], with["properties"]["condition"]);
    // It speaks of data: control goes by the role.
    let guest = lab.sign_in("guest").await;
    let account = format!("{}?api-version=2023-05-01", storage("lake"));
    lab.as_(&guest, "GET", &account, None).await.expect(200);
    lab.as_(&lab.token, "PUT", &lake, Some(body(READER, "guest-object", None))).await.expect(200);
    let read = lab.as_(&lab.token, "GET", &lake, None).await.expect(200).body;
    assert_eq!(read["properties"]["condition"], Value::Null);
    assert_eq!(read["properties"]["conditionVersion"], Value::Null);

    for (condition, version) in [
        ("ActionMatches{'a'}", None),
        ("ActionMatches{'a'}", Some("1.0")),
        ("ActionMatches{'a'} AND", Some("2.0")),
        ("@Request[Microsoft.Authorization/roleAssignments:PrincipalTyp] StringEquals 'User'", Some("2.0")),
    ] {
        let mut wrong = body(READER, "guest-object", None);
        wrong["properties"]["condition"] = json!(condition);
        wrong["properties"]["conditionVersion"] = json!(version);
        let answer = lab.as_(&lab.token, "PUT", &lake, Some(wrong)).await.expect(400);
        assert_eq!(answer.code(), "InvalidRoleAssignmentCondition");
        assert!(answer.message().starts_with("The given role assignment condition is invalid. "), "{}", answer.text);
    }
}

#[tokio::test]
async fn without_the_right_to_assign_nobody_assigns() {
    let mut seed = seed();
    seed.role_assignments.push(assignment(GROUP, "Contributor", "guest-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let own = body(OWNER, "guest-object", Some("ServicePrincipal"));
    lab.as_(&guest, "PUT", &url(GROUP, 1), Some(own)).await.expect(403);
}
