//! The roles of `docs/security/azure-roles.md`: they suffice, one action less does not, and none leads to Owner.

use aml_operator::azure::authorization::APPROVER_ROLE;
use arm_simulator::Seed;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{OBJECT, TENANT, World, condition, settings};
use crate::synapse::SYNAPSE;

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
    let policy = world.approval_manifest();
    approves_by(&world, policy).await
}

/// The same, by a policy on the whole group.
async fn approves_in_a_group(actions: Vec<String>) -> bool {
    let world = world_with(&actions).await;
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let mut policy = world.approval_manifest();
    policy["spec"]["target"] = json!({"resourceGroupId": group, "resourceType": "Microsoft.Storage/storageAccounts"});
    approves_by(&world, policy).await
}

async fn approves_by(world: &World, policy: Value) -> bool {
    let endpoint = World::endpoint(&world.subscription, "hub", "lake-1");
    world.knock(&world.lake(), &endpoint);
    let operator = world.operator().await;
    let held = suffices(world, std::slice::from_ref(&policy), &["InForce"]).await;
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

/// Whether the requesting endpoint is asked, and bears out what was approved, with these actions beside those for approvals.
async fn asks_the_requester(actions: Vec<String>) -> bool {
    let all: Vec<String> = role("aml-operator approvals").into_iter().chain(actions).collect();
    let world = world_with(&all).await;
    let endpoint = World::endpoint(&world.subscription, "rg", "lake-1");
    let link = json!({"name": "c", "properties": {"privateLinkServiceId": world.lake(), "groupIds": ["blob"],
        "privateLinkServiceConnectionState": {"status": "Approved"}}});
    let there = json!({"resources": [{"id": endpoint, "location": "westeurope",
        "properties": {"manualPrivateLinkServiceConnections": [link]}}]});
    world.azure.seed(serde_json::from_value(there).expect("a seed")).expect("the endpoint is there");
    world.knock(&world.lake(), &endpoint);
    let operator = world.operator().await;
    let mut policy = world.approval_manifest();
    policy["spec"]["allow"][0]["privateEndpoint"]["resourceGroup"] = json!("rg");
    world.apply(policy.clone()).await;
    let proven = |object: &Value| object["status"]["connections"][0]["proven"].as_str().unwrap_or_default().to_owned();
    let told = world
        .until(&policy, "an answer, or none", |object| ["Confirmed", "Unprovable"].contains(&proven(object).as_str()))
        .await;
    operator.stop().await;
    proven(&told) == "Confirmed"
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

/// Whether a link comes as far as to wait for its approval, with these actions beside those for workspaces. In Synapse itself the operator
/// is the first administrator: its own roles are not simulated.
async fn links(actions: Vec<String>) -> bool {
    let own = role("aml-operator links");
    let workspaces = role("aml-operator workspaces").into_iter().filter(|action| !own.contains(action));
    let world = world_with(&workspaces.chain(actions).collect::<Vec<_>>()).await;
    let there = json!({"resources": [{"id": world.id(SYNAPSE, "analytics"), "location": "westeurope", "properties": {
        "managedVirtualNetwork": "default", "cspWorkspaceAdminProperties": {"initialWorkspaceAdminObjectId": OBJECT},
    }}]});
    world.azure.seed(serde_json::from_value(there).expect("a seed")).expect("it is there");
    let operator = world.operator().await;
    let manifests = [world.workspace_manifest(), world.link_manifest("analytics")];
    let enough = suffices(&world, &manifests, &["Secured", "ApprovalPending"]).await;
    operator.stop().await;
    enough
}

/// Tries all actions, and then each set that lacks one of them.
async fn is_least<F: Future<Output = bool>>(name: &str, works: impl Fn(Vec<String>) -> F) {
    are_least(name, role(name), works).await;
}

async fn are_least<F: Future<Output = bool>>(name: &str, all: Vec<String>, works: impl Fn(Vec<String>) -> F) {
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
async fn what_a_policy_on_a_group_needs_besides_suffices_and_nothing_in_it_can_be_left_out() {
    let all = role("aml-operator approvals").into_iter().chain(role("aml-operator groups")).collect();
    are_least("aml-operator groups", all, approves_in_a_group).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asking_the_requester_needs_besides_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator requesters", asks_the_requester).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_workspaces_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator workspaces", secures).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_links_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator links", links).await;
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

/// The condition on the page.
fn page_condition() -> String {
    let text = PAGE.split("```text").nth(1).and_then(|rest| rest.split("```").next());
    text.expect("the page has a condition").trim().to_owned()
}

/// An application, and a person.
const GUEST: &str = "22222222-2222-2222-2222-00000000000a";
const PERSON: &str = "22222222-2222-2222-2222-00000000000b";
/// The version of the API that assigns roles.
const AUTHORIZATION: &str = "2022-04-01";

/// A world in which the caller may assign roles on the test's group by `role`, and a guest and a person are known.
async fn world_of_roles(actions: &[String], role: &str, condition: Option<&str>) -> World {
    World::seeded(settings(), |seed, subscription| {
        let group = format!("/subscriptions/{subscription}/resourceGroups/rg");
        let principal = |id: &str, type_: &str| json!({"tenantId": TENANT, "clientId": format!("{id}-client"), "objectId": id, "type": type_});
        let more: Seed = serde_json::from_value(json!({
            "servicePrincipals": [principal(GUEST, "ServicePrincipal"), principal(PERSON, "User")],
            "roleDefinitions": [{"name": "aaaaaaaa-0000-0000-0000-000000000002", "roleName": "assigner", "actions": actions}],
            "roleAssignments": [{"scope": group, "role": role, "principalId": OBJECT, "condition": condition}],
        }))
        .expect("a seed");
        seed.service_principals.extend(more.service_principals);
        seed.role_definitions = more.role_definitions;
        seed.role_assignments = more.role_assignments;
    })
    .await
}

/// Asks for role `role` on the lake for `principal`; the status answered.
async fn assign(world: &World, path: &str, role: &str, principal: &str, type_: &str) -> u16 {
    let role =
        format!("/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{role}", world.subscription);
    let body = json!({"properties": {"roleDefinitionId": role, "principalId": principal, "principalType": type_}});
    world.ask_azure(reqwest::Method::PUT, path, AUTHORIZATION, Some(&body)).await.0
}

/// Gives the approver role, looks at the assignment and takes it back; true if all of that is allowed.
async fn hands_on(world: &World) -> bool {
    let path = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", world.lake(), uuid::Uuid::new_v4());
    let given = assign(world, &path, APPROVER_ROLE, GUEST, "ServicePrincipal").await;
    let seen = world.ask_azure(reqwest::Method::GET, &path, AUTHORIZATION, None).await.0;
    let taken = world.ask_azure(reqwest::Method::DELETE, &path, AUTHORIZATION, None).await.0;
    given == 201 && seen == 200 && taken == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_the_approver_role_by_the_condition_cannot_reach_owner() {
    let (actions, condition) = (role("aml-operator role assignments"), page_condition());
    for missing in &actions {
        let rest: Vec<String> = actions.iter().filter(|action| *action != missing).cloned().collect();
        let world = world_of_roles(&rest, "assigner", Some(&condition)).await;
        assert!(!hands_on(&world).await, "{missing} is not needed");
    }
    for (by, condition) in [
        ("assigner", Some(&condition)),
        ("Role Based Access Control Administrator", Some(&condition)),
        ("assigner", None),
    ] {
        let world = world_of_roles(&actions, by, condition.map(String::as_str)).await;
        assert!(hands_on(&world).await, "{by} does not suffice");
        for (what, role, principal, type_) in [
            ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", OBJECT, "ServicePrincipal"),
            ("User Access Administrator", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", OBJECT, "ServicePrincipal"),
            ("its own role", "aaaaaaaa-0000-0000-0000-000000000002", OBJECT, "ServicePrincipal"),
            ("Owner for a guest", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", GUEST, "ServicePrincipal"),
            ("the approver role for a person", APPROVER_ROLE, PERSON, "User"),
        ] {
            let path =
                format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", world.lake(), uuid::Uuid::new_v4());
            let status = assign(&world, &path, role, principal, type_).await;
            // It is the condition that refuses: without it every one of these goes through.
            assert_eq!(status, if condition.is_some() { 403 } else { 201 }, "{what} by {by}, {condition:?}");
        }
    }
}

/// The platform's own approver role.
const OWN_APPROVER: &str = "aaaaaaaa-0000-0000-0000-00000000000a";

/// A world whose operator manages workspaces, and holds `actions` for roles under the page's condition.
async fn delegated(actions: &[String]) -> World {
    let limit = page_condition().replace(APPROVER_ROLE, OWN_APPROVER);
    let mut base = role("aml-operator workspaces");
    // What the page says the operator needs besides.
    base.push("Microsoft.Storage/storageAccounts/privateEndpointConnections/read".into());
    let world = World::seeded(settings(), |seed, subscription| {
        let group = format!("/subscriptions/{subscription}/resourceGroups/rg");
        let more: Seed = serde_json::from_value(json!({
            "roleDefinitions": [
                {"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": "base", "actions": base},
                {"name": "aaaaaaaa-0000-0000-0000-000000000002", "roleName": "grants", "actions": actions},
                {"name": "aaaaaaaa-0000-0000-0000-000000000003", "roleName": "definitions",
                 "actions": ["Microsoft.Authorization/roleDefinitions/read"]},
                {"name": OWN_APPROVER, "roleName": "approver", "actions": role("aml-operator approver")},
            ],
            "roleAssignments": [
                {"scope": group, "role": "base", "principalId": OBJECT},
                {"scope": format!("/subscriptions/{subscription}"), "role": "definitions", "principalId": OBJECT},
                {"scope": group, "role": "grants", "principalId": OBJECT, "condition": limit},
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
    connection["spec"]["grantableRoles"] = json!([{"scope": group, "roleDefinitionIds": [OWN_APPROVER]}]);
    connection["spec"]["approverRoleDefinitionId"] = json!(OWN_APPROVER);
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
    for manifest in [&world.workspace_manifest(), &policy, &rule] {
        world.apply(manifest.clone()).await;
    }
    let operator = world.operator().await;
    let enough = loop {
        let requests = world.azure.requests();
        // What the posture asks for is a right of its own.
        let of_posture = |request: &arm_simulator::RequestEntry| {
            let whole =
                format!("/subscriptions/{}/providers/Microsoft.Authorization/roleAssignments", world.subscription);
            let parts = ["/frauddata", "/fraudkeys", "/fraudinsights"];
            request.method == "GET" && (request.path == whole || parts.iter().any(|part| request.path.ends_with(part)))
        };
        let refused = requests.iter().find(|request| request.status == Some(403) && !of_posture(request));
        if let Some(refused) = refused {
            println!("{} {} is refused without the whole of it", refused.method, refused.path);
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
async fn the_role_for_assignments_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator role assignments", grants).await;
}

/// A world with networks whose operator holds what workspaces and approvals need, and `actions` besides.
async fn networked(actions: &[String]) -> World {
    let types = [
        "Microsoft.MachineLearningServices/workspaces",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.KeyVault/vaults",
        "Microsoft.ContainerRegistry/registries",
    ];
    let rights = [
        "privateEndpointConnections/read",
        "privateEndpointConnections/write",
        "privateEndpointConnectionsApproval/action",
        "privateLinkResources/read",
        "read",
    ];
    let mut base = role("aml-operator workspaces");
    base.extend(types.iter().flat_map(|type_| rights.iter().map(move |right| format!("{type_}/{right}"))));
    World::with_networks_and(|seed, subscription| {
        let more: Seed = serde_json::from_value(json!({
            "roleDefinitions": [
                {"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": "base", "actions": base},
                {"name": "aaaaaaaa-0000-0000-0000-000000000002", "roleName": "least", "actions": actions},
            ],
            "roleAssignments": [
                {"scope": format!("/subscriptions/{subscription}/resourceGroups/rg"), "role": "base", "principalId": OBJECT},
                {"scope": format!("/subscriptions/{subscription}"), "role": "least", "principalId": OBJECT},
            ],
        }))
        .expect("a seed");
        seed.role_definitions = more.role_definitions;
        seed.role_assignments = more.role_assignments;
    })
    .await
}

/// Waits until `manifest` says one of `wanted` (true) or that a right is missing (false).
async fn ends(world: &World, manifest: &Value, wanted: &[&str]) -> bool {
    let object = world
        .until(manifest, "an end", |object| {
            let reason = condition(object, "Ready")["reason"].clone();
            reason == "AuthorizationFailed" || wanted.iter().any(|wanted| reason == *wanted)
        })
        .await;
    condition(&object, "Ready")["reason"] != "AuthorizationFailed"
}

/// Waits until `manifest`, which is being deleted, is gone (true), or says that a right is missing (false).
async fn goes(world: &World, manifest: &Value) -> bool {
    loop {
        match world.read(manifest).await {
            None => return true,
            Some(object) if condition(&object, "Ready")["reason"] == "AuthorizationFailed" => return false,
            Some(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

/// Whether a network is attached, and taken away again, with these actions.
async fn attaches(actions: Vec<String>) -> bool {
    let world = networked(&actions).await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let mut people = world.attachment_manifest("people", "people", "Clients");
    let endpoint = people["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let operator = world.operator().await;
    world.apply(people.clone()).await;
    let mut enough = ends(&world, &people, &["Attached"]).await;
    if enough {
        world.delete(&people).await;
        // Taking the last way away wants a word.
        let asked = world
            .until(&people, "the door", |object| condition(object, "Ready")["reason"] == "AcknowledgementRequired")
            .await;
        let message = condition(&asked, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        let value =
            message.split("value: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or(&endpoint).to_owned();
        people["spec"]["acknowledge"] = json!([{"door": "LastPrivatePath", "value": value}]);
        world.apply(people.clone()).await;
        enough = goes(&world, &people).await;
    }
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_networks_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator networks", attaches).await;
}

/// Whether a workspace is made with all that it is made of, with these actions.
async fn furnishes(actions: Vec<String>) -> bool {
    let mut all = role("aml-operator workspaces");
    all.extend(actions);
    let world = world_with(&all).await;
    let workspace = world.created_workspace();
    let operator = world.operator().await;
    let enough = suffices(&world, std::slice::from_ref(&workspace), &["Secured"]).await;
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_resources_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator resources", furnishes).await;
}

/// Whether an instance is made, stopped, started, restarted and deleted with these actions.
async fn computes(actions: Vec<String>) -> bool {
    let mut all = role("aml-operator workspaces");
    all.extend(actions);
    let world = world_with(&all).await;
    world.apply(world.workspace_manifest()).await;
    let operator = world.operator().await;
    let mut dev = world.compute_manifest("dev", &json!({"instance": {"vmSize": "Standard_DS3_v2"}}));
    let mut enough = true;
    for (state, restart, wanted) in [
        ("Running", "a", "Running"),
        ("Stopped", "a", "Stopped"),
        ("Running", "a", "Running"),
        ("Running", "b", "Running"),
    ] {
        dev["spec"]["power"] = json!({"state": state, "restartAt": restart});
        world.apply(dev.clone()).await;
        let object = world
            .until(&dev, "an end", |object| {
                let ready = condition(object, "Ready");
                let done = object["status"]["restartedAt"] == restart && ready["reason"] == wanted;
                let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
                ready["reason"] == "AuthorizationFailed" || (done && current)
            })
            .await;
        enough = enough && condition(&object, "Ready")["reason"] != "AuthorizationFailed";
        if !enough {
            break;
        }
    }
    if enough {
        world.delete(&dev).await;
        enough = goes(&world, &dev).await;
    }
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_computes_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator computes", computes).await;
}

/// Whether a datastore is registered and taken away again with these actions.
async fn registers(actions: Vec<String>) -> bool {
    let mut all = role("aml-operator workspaces");
    all.extend(actions);
    let world = world_with(&all).await;
    world.apply(world.workspace_manifest()).await;
    let operator = world.operator().await;
    let lake = world.datastore_manifest("lake", &world.blob("lake"));
    world.apply(lake.clone()).await;
    let mut enough = ends(&world, &lake, &["Registered"]).await;
    if enough {
        world.delete(&lake).await;
        enough = goes(&world, &lake).await;
    }
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_datastores_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator datastores", registers).await;
}

/// Whether an online endpoint is made and taken away again with these actions.
async fn serves(actions: Vec<String>) -> bool {
    let mut all = role("aml-operator workspaces");
    all.extend(actions);
    let world = world_with(&all).await;
    world.apply(world.workspace_manifest()).await;
    let operator = world.operator().await;
    let score = world.endpoint_manifest("score", &json!({"publicNetworkAccess": "Disabled"}));
    world.apply(score.clone()).await;
    let mut enough = ends(&world, &score, &["Online"]).await;
    if enough {
        world.delete(&score).await;
        enough = goes(&world, &score).await;
    }
    operator.stop().await;
    enough
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_online_endpoints_suffices_nothing_in_it_can_be_left_out_and_it_reads_no_keys() {
    let keys = |action: &String| action.to_lowercase().ends_with("keys/action") || action.ends_with("token/action");
    assert!(!role("aml-operator online endpoints").iter().any(keys));
    is_least("aml-operator online endpoints", serves).await;
}

/// Whether everything that the posture looks at can be read with these actions.
async fn judges(actions: Vec<String>) -> bool {
    let mut base = role("aml-operator workspaces");
    base.extend(role("aml-operator networks"));
    let asked = role("aml-operator posture");
    base.retain(|action| !asked.contains(action));
    let world = World::with_networks_and(|seed, subscription| {
        let group = format!(
            "/subscriptions/{subscription}/resourceGroups/hub/providers/Microsoft.Network/networkSecurityGroups/hub"
        );
        let more: Seed = serde_json::from_value(json!({
            "resources": [{"id": group, "location": "westeurope", "properties": {"securityRules": []}}],
            "roleDefinitions": [
                {"name": "aaaaaaaa-0000-0000-0000-000000000001", "roleName": "base", "actions": base},
                {"name": "aaaaaaaa-0000-0000-0000-000000000002", "roleName": "least", "actions": actions},
            ],
            "roleAssignments": [
                {"scope": format!("/subscriptions/{subscription}"), "role": "base", "principalId": OBJECT},
                {"scope": format!("/subscriptions/{subscription}"), "role": "least", "principalId": OBJECT},
            ],
        }))
        .expect("a seed");
        let network = seed.resources.iter_mut().find(|known| known.id.ends_with("/virtualNetworks/hub"));
        network.expect("the network").properties["subnets"][0]["properties"]["networkSecurityGroup"] =
            json!({"id": group});
        seed.resources.extend(more.resources);
        seed.role_definitions = more.role_definitions;
        seed.role_assignments = more.role_assignments;
    })
    .await;
    let mut workspace = world.whole_workspace();
    workspace["spec"]["imageBuildCompute"] = json!("builder");
    let mut hub = world.attachment_manifest("hub", "hub", "Services");
    hub["spec"]["managementPolicy"] = json!("Observe");
    for manifest in [&world.network_connection(), &workspace, &hub] {
        world.apply(manifest.clone()).await;
    }
    let operator = world.operator().await;
    world.until_reason(&workspace, "Secured").await;
    let told = world
        .until(&workspace, "everything is looked at", |object| {
            let posture = &object["status"]["posture"];
            posture["passed"].as_i64() > Some(0) && !posture.to_string().contains("has not been looked at")
        })
        .await;
    operator.stop().await;
    let said = told["status"]["posture"].to_string();
    !said.contains("AuthorizationFailed") && !said.contains("could not be read")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_for_the_posture_suffices_and_nothing_in_it_can_be_left_out() {
    is_least("aml-operator posture", judges).await;
}
