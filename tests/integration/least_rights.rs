//! The roles of `docs/security/azure-roles.md`: they suffice, one action less does not, and none leads to Owner.

use arm_simulator::Seed;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{OBJECT, World, condition, settings};

const PAGE: &str = include_str!("../../docs/security/azure-roles.md");

/// The actions of a role that the page defines.
fn role(name: &str) -> Vec<String> {
    let definitions = PAGE.split("```json").skip(1).filter_map(|rest| rest.split("```").next());
    let definitions = definitions.map(|text| serde_json::from_str::<Value>(text).expect("a role definition"));
    let found = definitions.into_iter().find(|definition| definition["Name"] == name).expect("the role is on the page");
    found["Actions"]
        .as_array()
        .expect("actions")
        .iter()
        .map(|action| action.as_str().expect("text").to_owned())
        .collect()
}

/// A world whose operator holds nothing but `actions`, on the test's group.
async fn world_with(actions: &[String]) -> World {
    let world = World::seeded(settings(), |seed, subscription| {
        seed.role_assignments.clear();
        let group = format!("/subscriptions/{subscription}/resourceGroups/rg");
        let more: Seed = serde_json::from_value(json!({
            "roleDefinitions": [{"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": "least", "actions": actions}],
            "roleAssignments": [{"scope": group, "role": "least", "principalId": OBJECT}],
        }))
        .expect("a seed");
        seed.role_definitions = more.role_definitions;
        seed.role_assignments = more.role_assignments;
    })
    .await;
    world.apply(world.connection_manifest()).await;
    world
}

async fn reasons(world: &World, manifests: &[Value]) -> Vec<String> {
    let mut reasons = Vec::new();
    for manifest in manifests {
        let object = world.read(manifest).await.unwrap_or_default();
        reasons.push(condition(&object, "Ready")["reason"].as_str().unwrap_or_default().to_owned());
    }
    reasons
}

/// Applies `manifests` and waits until all say what they should (true), or one says that a right is missing (false).
async fn suffices(world: &World, manifests: &[Value], wanted: &[&str]) -> bool {
    for manifest in manifests {
        world.apply(manifest.clone()).await;
    }
    let mut enough = None;
    while enough.is_none() {
        let reasons = reasons(world, manifests).await;
        if reasons.iter().any(|reason| reason == "AuthorizationFailed") {
            enough = Some(false);
        } else if reasons == wanted {
            enough = Some(true);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    enough == Some(true)
}

/// Whether an approval goes through with these actions.
async fn approves(actions: Vec<String>) -> bool {
    let world = world_with(&actions).await;
    let endpoint = World::endpoint(&world.subscription, "hub", "lake-1");
    world.knock(&world.lake(), &endpoint);
    let operator = world.operator().await;
    let policy = world.approval_manifest();
    let held = suffices(&world, std::slice::from_ref(&policy), &["InForce"]).await;
    let approved = if held {
        // In force means that nothing is left to do, or that nothing was tried yet: the end is the approval itself, or a refusal.
        let object = world
            .until(&policy, "approved or refused", |object| {
                object["status"]["approved"] == 1 || condition(object, "Ready")["reason"] == "AuthorizationFailed"
            })
            .await;
        object["status"]["approved"] == 1
    } else {
        false
    };
    operator.stop().await;
    approved
}

/// Whether a workspace is secured, its rule active, and the rule gone again, with these actions.
async fn secures(actions: Vec<String>) -> bool {
    let world = world_with(&actions).await;
    let operator = world.operator().await;
    let rule = world.fqdn("rule", "*.pytorch.org");
    let manifests = [world.workspace_manifest(), rule.clone()];
    let mut enough = suffices(&world, &manifests, &["Secured", "Active"]).await;
    if enough {
        world.delete(&rule).await;
        loop {
            match world.read(&rule).await {
                None => break,
                Some(object) if condition(&object, "Ready")["reason"] == "AuthorizationFailed" => {
                    enough = false;
                    break;
                }
                Some(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    }
    operator.stop().await;
    enough
}

/// Tries all actions, and then each set that lacks one of them.
async fn is_least<F: Future<Output = bool>>(name: &str, works: impl Fn(Vec<String>) -> F) {
    let all = role(name);
    assert!(works(all.clone()).await, "{name}: the role does not suffice");
    for group in all.chunks(3) {
        let tries = group.iter().map(|missing| {
            let rest = all.iter().filter(|action| *action != missing).cloned().collect();
            let works = &works;
            async move { (missing, works(rest).await) }
        });
        for (missing, works) in join_all(tries).await {
            assert!(!works, "{name}: {missing} is not needed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_approvals_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator approvals", approves).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_workspaces_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator workspaces", secures).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_roles_together_the_operator_can_give_nobody_a_role() {
    let actions: Vec<String> = ["aml-operator approvals", "aml-operator workspaces", "aml-operator roles"]
        .iter()
        .flat_map(|name| role(name))
        .collect();
    let world = world_with(&actions).await;
    let scope = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    let body = json!({"properties": {
        "roleDefinitionId": format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{owner}", world.subscription),
        "principalId": OBJECT, "principalType": "ServicePrincipal",
    }});
    let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", uuid::Uuid::new_v4());
    let (status, answer) = world.ask_azure(reqwest::Method::PUT, &path, "2022-04-01", Some(&body)).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("AuthorizationFailed")), "{answer}");
}

/// The role that workspaces' identities get in these tests, as the page names it in the condition.
const APPROVER: &str = "aaaaaaaa-0000-0000-0000-00000000000a";

/// The condition of the page.
fn limit() -> &'static str {
    PAGE.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("the condition is on the page").trim()
}

/// A world whose operator manages workspaces, and holds `actions` under the page's condition.
async fn delegated(actions: &[String]) -> World {
    let world = World::seeded(settings(), |seed, subscription| {
        let group = format!("/subscriptions/{subscription}/resourceGroups/rg");
        let more: Seed = serde_json::from_value(json!({
            "roleDefinitions": [
                {"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": "workspaces", "actions": role("aml-operator workspaces")},
                {"name": "aaaaaaaa-0000-0000-0000-000000000002", "roleName": "grants", "actions": actions},
                {"name": APPROVER, "roleName": "approver", "actions": role("aml-operator approver")},
            ],
            "roleAssignments": [
                {"scope": group, "role": "workspaces", "principalId": OBJECT},
                {"scope": group, "role": "grants", "principalId": OBJECT, "condition": limit()},
            ],
        }))
        .expect("a seed");
        seed.role_definitions = more.role_definitions;
        seed.role_assignments = more.role_assignments;
    })
    .await;
    let mut connection = world.connection_manifest();
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    connection["spec"]["grants"][0]["verbs"] = json!(["create", "configure", "reach", "grantRoles"]);
    connection["spec"]["grantableRoles"] = json!([{"scope": group, "roleDefinitionIds": [APPROVER]}]);
    connection["spec"]["approverRoleDefinitionId"] = json!(APPROVER);
    world.apply(connection).await;
    world
}

/// Whether a temporary role is assigned, serves its rule and is taken back, with these actions: no request is refused then.
async fn grants(actions: Vec<String>) -> bool {
    let world = delegated(&actions).await;
    let endpoint = json!({"resourceId": world.lake(), "subresource": "blob", "approverRole": "Temporary"});
    let rule = world.rule_manifest("rule", &json!({ "privateEndpoint": endpoint }));
    let mut policy = world.approval_manifest();
    policy["spec"]["allow"] = json!([{"workspaceRef": {"name": "fraud", "namespace": world.team}}]);
    policy["spec"]["mode"] = json!("Enforce");
    for manifest in [&world.workspace_manifest(), &policy, &rule] {
        world.apply(manifest.clone()).await;
    }
    let operator = world.operator().await;
    let enough = loop {
        let requests = world.azure.requests();
        // The policy's own turns ask for more than its list, which is not what is looked at here.
        if requests.iter().any(|request| request.status == Some(403)) {
            break false;
        }
        let taken_back = |request: &arm_simulator::RequestEntry| {
            request.method == "DELETE" && request.path.contains("/roleAssignments/") && request.status == Some(200)
        };
        let object = world.read(&rule).await.unwrap_or_default();
        if requests.iter().any(taken_back) && condition(&object, "Ready")["reason"] == "Active" {
            break true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_grants_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator grants", grants).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_condition_neither_another_role_nor_a_person_can_be_assigned() {
    let world = delegated(&role("aml-operator grants")).await;
    let owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    let administrator = "f58310d9-a9f6-439a-9e8d-f62e7b41a168";
    let contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c";
    for (role, kind, want) in [
        (APPROVER, "ServicePrincipal", 201),
        (APPROVER, "User", 403),
        (owner, "ServicePrincipal", 403),
        (administrator, "ServicePrincipal", 403),
        (contributor, "ServicePrincipal", 403),
    ] {
        let body = json!({"properties": {
            "roleDefinitionId": format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", world.subscription),
            "principalId": OBJECT, "principalType": kind,
        }});
        let path =
            format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", world.lake(), uuid::Uuid::new_v4());
        let (status, answer) = world.ask_azure(reqwest::Method::PUT, &path, "2022-04-01", Some(&body)).await;
        assert_eq!(status, want, "{role} to a {kind}: {answer}");
    }
}
