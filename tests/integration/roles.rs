//! Roles of a workspace's identity: what is missing is told, what may be assigned is assigned and taken back, and nothing is left
//! behind whatever happens on the way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aml_operator::effects::{Seam, System};
use arm_simulator::{Fault, Settings};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::effects::Cut;
use crate::support::{World, condition, settings};

pub(crate) const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
pub(crate) const BLOBS: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
/// The role of four actions that a platform team makes for this.
pub(crate) const APPROVES: &str = "aaaaaaaa-0000-0000-0000-00000000000a";
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

impl World {
    /// A world with the platform's own approver role.
    pub(crate) async fn with_approver_role(settings: Settings) -> Self {
        let mut world = Self::seeded(settings, |seed, _| {
            let storage = "Microsoft.Storage/storageAccounts";
            let role = json!([{"name": APPROVES, "roleName": "approves endpoints", "actions": [
                format!("{storage}/read"), format!("{storage}/privateEndpointConnections/read"),
                format!("{storage}/privateEndpointConnections/write"), format!("{storage}/privateEndpointConnectionsApproval/action"),
            ]}]);
            seed.role_definitions = serde_json::from_value(role).expect("a role");
        })
        .await;
        // Only the tests about time let it pass.
        world.pace.role_effective = LONG;
        world.pace.role_deadline = LONG;
        world
    }

    /// The connection, which lets the team have `roles` assigned in its group.
    pub(crate) fn granting(&self, roles: &[&str]) -> Value {
        let mut connection = self.connection_manifest();
        let group = format!("/subscriptions/{}/resourceGroups/rg", self.subscription);
        connection["spec"]["grants"][0]["verbs"] = json!(["create", "configure", "reach", "delete", "grantRoles"]);
        connection["spec"]["grantableRoles"] = json!([{"scope": group, "roleDefinitionIds": roles}]);
        if roles.contains(&APPROVES) {
            connection["spec"]["approverRoleDefinitionId"] = json!(APPROVES);
        }
        connection
    }

    /// The policy that lets the workspace approve its own connections on the lake.
    pub(crate) fn leave(&self) -> Value {
        let mut policy = self.approval_manifest();
        policy["spec"]["allow"] = json!([{"workspaceRef": {"name": "fraud", "namespace": self.team}}]);
        policy
    }

    /// A rule to a sub-resource of the lake that asks for the approver role.
    pub(crate) fn asking(&self, name: &str, subresource: &str, role: &str) -> Value {
        let endpoint = json!({"resourceId": self.lake(), "subresource": subresource, "approverRole": role});
        self.rule_manifest(name, &json!({ "privateEndpoint": endpoint }))
    }

    /// A user-assigned identity, and the workspace that acts as it.
    pub(crate) async fn with_identity(&self, name: &str) -> (Value, String) {
        let id = self.id("Microsoft.ManagedIdentity/userAssignedIdentities", name);
        let body = json!({"location": "westeurope"});
        let (status, answer) = self.ask_azure(reqwest::Method::PUT, &id, "2023-01-31", Some(&body)).await;
        assert!((200..300).contains(&status), "{answer}");
        let mut workspace = self.workspace_manifest();
        workspace["spec"]["identity"] =
            json!({"type": "UserAssigned", "userAssignedIdentities": [id], "primaryUserAssignedIdentity": id});
        (workspace, answer["properties"]["principalId"].as_str().expect("an object id").to_owned())
    }

    /// All role assignments, as the listing on `scope` shows them: role, principal and description by scope.
    pub(crate) async fn listing(&self, scope: &str) -> Vec<String> {
        let path = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
        let (status, answer) = self.ask_azure(reqwest::Method::GET, &path, "2022-04-01", None).await;
        assert_eq!(status, 200, "{answer}");
        let mut listed: Vec<String> = answer["value"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| {
                let text = |key: &str| one["properties"][key].as_str().unwrap_or_default().to_owned();
                let role = text("roleDefinitionId").rsplit('/').next().unwrap_or_default().to_owned();
                let scope = text("scope").rsplit('/').next().unwrap_or_default().to_owned();
                format!("{scope} {role} {} {}", text("principalId"), text("description"))
            })
            .collect();
        listed.sort();
        listed
    }

    /// The writes of role assignments that reached ARM: method and status.
    pub(crate) fn assignments_written(&self) -> Vec<String> {
        let writes = self.writes().into_iter().filter(|request| request.path.contains("/roleAssignments/"));
        writes.map(|request| request.method).collect()
    }
}

fn missing(object: &Value) -> Vec<String> {
    let listed = object["status"]["missingRoles"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    listed
        .iter()
        .map(|one| format!("{} {}", text(one, "scope").rsplit('/').next().unwrap_or_default(), text(one, "role")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_assigned_identity_lacks_is_told_and_anybodys_role_that_contains_it_will_do() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let (workspace, principal) = world.with_identity("identity-ml").await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let told = world
        .until(&workspace, "roles missing", |object| condition(object, "RolesReady")["reason"] == "RolesMissing")
        .await;
    assert_eq!(
        missing(&told),
        [
            "fraud Contributor",
            "frauddata Contributor",
            "frauddata Storage Blob Data Contributor",
            "fraudkeys Contributor",
            "fraudinsights Contributor",
        ],
        "the vault goes by access policies"
    );
    let first = &told["status"]["missingRoles"][1];
    let command = first["command"].as_str().unwrap_or_default();
    assert!(
        command.starts_with("az role assignment create")
            && command.contains(&principal)
            && command.contains(CONTRIBUTOR)
            && command.ends_with("/storageAccounts/frauddata"),
        "{command}"
    );
    assert_eq!(world.assignments_written(), [""; 0], "it is told, and nothing more");

    // One role above all of them, and one on the account: neither by this operator, one of them not even the same.
    world.grant(&format!("/subscriptions/{}/resourceGroups/rg", world.subscription), OWNER, &principal);
    world.grant(&world.id("Microsoft.Storage/storageAccounts", "frauddata"), BLOBS, &principal);
    let held =
        world.until(&workspace, "roles held", |object| condition(object, "RolesReady")["status"] == "True").await;
    assert_eq!(missing(&held), [""; 0]);
    assert_eq!(world.assignments_written(), [""; 0]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_assigned_as_far_as_they_are_listed_and_go_when_they_are_not_needed() {
    let world = World::seeded(settings(), |seed, subscription| {
        let group = format!("/subscriptions/{subscription}/resourceGroups/rg");
        for name in ["images", "moreimages"] {
            let id = format!("{group}/providers/Microsoft.ContainerRegistry/registries/{name}");
            let registry = json!({"id": id, "location": "westeurope"});
            seed.resources.push(serde_json::from_value(registry).expect("a registry"));
        }
    })
    .await;
    let (mut workspace, principal) = world.with_identity("identity-ml").await;
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let before = world.listing(&group).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.apply(world.granting(&[BLOBS])).await;
    workspace["spec"]["roles"] = json!("Grant");
    let images = world.id("Microsoft.ContainerRegistry/registries", "images");
    workspace["spec"]["associatedResources"]["containerRegistry"] = json!({ "resourceId": images });
    world.apply(workspace.clone()).await;
    let contributor: Vec<String> =
        ["fraud", "frauddata", "fraudkeys", "images", "fraudinsights"].map(|name| format!("{name} Contributor")).into();
    let told = world
        .until(&workspace, "only what is not listed is missing", |object| {
            missing(object) == contributor && condition(object, "RolesReady")["reason"] == "RolesMissing"
        })
        .await;
    let message = condition(&told, "RolesReady")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("grantableRoles") && message.contains(CONTRIBUTOR), "{message}");
    assert_eq!(world.assignments_written(), ["PUT"]);
    world.apply(world.granting(&[BLOBS, CONTRIBUTOR])).await;
    world.until(&workspace, "roles held", |object| condition(object, "RolesReady")["status"] == "True").await;
    let ours: Vec<String> = world.listing(&group).await.into_iter().filter(|one| !before.contains(one)).collect();
    let scopes: Vec<&str> = ours.iter().filter_map(|one| one.split(' ').next()).collect();
    assert_eq!(scopes, ["fraud", "frauddata", "frauddata", "fraudinsights", "fraudkeys", "images"]);
    let wanted = format!("{principal} Assigned by aml-operator, installation installation-{}", world.mark);
    assert!(ours.iter().all(|one| one.ends_with(&wanted)), "{ours:#?}");
    world.rest().await;
    assert_eq!(world.assignments_written(), ["PUT"; 6], "each is assigned once");

    // Somebody else's on the same scope stays; ours goes with the need for it.
    world.grant(&images, BLOBS, &principal);
    let more = world.id("Microsoft.ContainerRegistry/registries", "moreimages");
    workspace["spec"]["associatedResources"]["containerRegistry"] = json!({ "resourceId": more });
    world.apply(workspace.clone()).await;
    world
        .eventually("ours on the registry is gone", || async {
            let listed = world.listing(&images).await;
            !listed.iter().any(|one| one.starts_with("images") && one.contains(CONTRIBUTOR))
                && listed.iter().any(|one| one.starts_with("images") && one.contains(BLOBS))
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_the_directory_does_not_know_yet_is_waited_for() {
    let world = World::new().await;
    let (mut workspace, _) = world.with_identity("identity-ml").await;
    world.azure.add_fault(Fault::status(400, "PrincipalNotFound").method("PUT").path("roleAssignments").always());
    let operator = world.operator().await;
    world.apply(world.granting(&[CONTRIBUTOR, BLOBS])).await;
    workspace["spec"]["roles"] = json!("Grant");
    world.apply(workspace.clone()).await;
    let waiting = world
        .until(&workspace, "it waits", |object| {
            condition(object, "RolesReady")["message"]
                .as_str()
                .is_some_and(|text| text.contains("not known to the directory yet"))
        })
        .await;
    assert_eq!(condition(&waiting, "Ready")["reason"], "Secured", "the workspace itself is as declared");
    world.azure.clear_faults();
    world.until(&workspace, "roles held", |object| condition(object, "RolesReady")["status"] == "True").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_temporary_role_the_workspace_approves_its_own_connections_and_nothing_is_left() {
    let world = World::with_approver_role(Settings { role_assignment_delay_seconds: 0.3, ..settings() }).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "evil", "lake-1"));
    let rules = [world.asking("blob", "blob", "Temporary"), world.asking("dfs", "dfs", "Temporary")];
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rules[0], &rules[1]] {
        world.apply(manifest.clone()).await;
    }
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    world.rest().await;
    assert_eq!(world.listing(&world.lake()).await, before);
    assert_eq!(world.assignments_written(), ["PUT", "DELETE"], "assigned once for both, and taken back");
    let policy = world.read(&world.leave()).await.expect("the policy");
    assert_eq!(policy["status"]["pending"], 1, "what somebody else asked for still waits: {:#}", policy["status"]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_role_stays_with_its_rule_and_goes_with_it() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Standing");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "Active").await;
    world.rest().await;
    let with = world.listing(&world.lake()).await;
    assert_eq!(with.len(), before.len() + 1, "{with:#?}");
    assert_eq!(world.assignments_written(), ["PUT"]);
    world.delete(&rule).await;
    world.until_gone(&rule).await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_is_assigned_without_the_verb_the_list_and_the_targets_own_leave() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.connection_manifest()).await;
    world.apply(world.workspace_manifest()).await;
    world.apply(rule.clone()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    let told = world.until_reason(&rule, "ApproverRoleMissing").await;
    let message = condition(&told, "Ready")["message"].to_string();
    assert!(message.contains("approverRoleDefinitionId"), "{message}");

    let mut no_verb = world.granting(&[APPROVES]);
    no_verb["spec"]["grants"][0]["verbs"] = json!(["create", "configure", "reach", "delete"]);
    world.apply(no_verb).await;
    let told = world.until_reason(&rule, "ScopeNotAllowed").await;
    assert!(condition(&told, "Ready")["message"].to_string().contains("grantRoles"));

    let mut not_listed = world.granting(&[APPROVES]);
    not_listed["spec"]["grantableRoles"] = json!([]);
    world.apply(not_listed).await;
    let unlisted = |object: &Value| condition(object, "Ready")["message"].to_string().contains("grantableRoles");
    world.until(&rule, "not in the list", unlisted).await;

    world.apply(world.granting(&[APPROVES])).await;
    let told = world.until_reason(&rule, "PolicyMissing").await;
    assert!(condition(&told, "Ready")["message"].to_string().contains("workspaceRef"));
    let mut people = world.leave();
    people["spec"]["requireApprovers"] = json!(1);
    world.apply(people).await;
    let told = world.until_reason(&rule, "PolicyNotInForce").await;
    assert!(condition(&told, "Ready")["message"].to_string().contains("requireApprovers"));
    world.rest().await;
    assert_eq!(world.assignments_written(), [""; 0]);

    world.apply(world.leave()).await;
    world.until_reason(&rule, "Active").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_another_workspace_uses_too_waits_for_a_persons_word() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let (mut workspace, principal) = world.with_identity("shared").await;
    let mut other = workspace.clone();
    other["metadata"]["name"] = json!("other");
    other["spec"]["suspend"] = json!(true);
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&workspace, &other, &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    let told = world.until_reason(&rule, "AcknowledgementRequired").await;
    let message = condition(&told, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("SharedIdentity") && message.contains(&principal), "{message}");
    assert_eq!(world.assignments_written(), [""; 0]);
    workspace["spec"]["acknowledge"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"door": "SharedIdentity", "value": principal}));
    world.apply(workspace).await;
    world.until_reason(&rule, "Active").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_role_goes_at_its_deadline_whatever_azure_does() {
    // The assignment shows, and never takes effect.
    let mut world = World::with_approver_role(Settings { role_assignment_delay_seconds: 1e6, ..settings() }).await;
    world.pace.role_deadline = Duration::from_millis(1500);
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "ApproverRoleExpired").await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    world.rest().await;
    let assigned = world.assignments_written().into_iter().filter(|method| method == "PUT").count();
    assert_eq!(assigned, 1, "it is not tried again and again: {:?}", world.assignments_written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_help_is_taken_back_after_ten_minutes() {
    let mut world = World::with_approver_role(Settings { role_assignment_delay_seconds: 1e6, ..settings() }).await;
    world.pace.role_effective = Duration::from_millis(300);
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    let refusing = |object: &Value| condition(object, "Ready")["message"].to_string().contains("went on refusing");
    world.until(&rule, "taken back", refusing).await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_role_is_taken_back_though_operator_and_objects_are_gone() {
    let world = World::with_approver_role(Settings { role_assignment_delay_seconds: 1e6, ..settings() }).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.eventually("the role is out", || async { world.listing(&world.lake()).await.len() > before.len() }).await;
    operator.cut().await;
    world.wipe(&rule).await;
    world.wipe(&world.workspace_manifest()).await;
    let operator = world.operator().await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_goes_takes_its_temporary_role_along() {
    let world = World::with_approver_role(Settings { role_assignment_delay_seconds: 1e6, ..settings() }).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Temporary");
    let workspace = world.workspace_manifest();
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&workspace, &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.eventually("the role is out", || async { world.listing(&world.lake()).await.len() > before.len() }).await;
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    assert_eq!(world.listing(&world.lake()).await, before, "it stayed until the role was gone");
    operator.stop().await;
}

/// One run of a temporary role, cut at the `at`-th effect; what is left of roles and rules, and the effects that were passed.
async fn cut_at(at: Option<usize>) -> (Vec<String>, BTreeMap<String, String>, Vec<String>) {
    let world = World::with_approver_role(settings()).await;
    let before = world.listing(&world.lake()).await;
    let cut = Arc::new(Cut::at(at));
    let rule = world.asking("blob", "blob", "Temporary");
    // Everything but the rule is there before, so that nearly every effect is about the role.
    let first = world.operator().await;
    world.apply(world.granting(&[APPROVES])).await;
    world.apply(world.workspace_manifest()).await;
    world.apply(world.leave()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.until_reason(&world.leave(), "InForce").await;
    first.stop().await;
    let mut operators = vec![world.operator_through(Seam::watched(cut.clone())).await];
    world.apply(rule.clone()).await;
    let scenario = async {
        world.until_reason(&rule, "Active").await;
        world.eventually("nothing is left", || async { world.listing(&world.lake()).await == before }).await;
    };
    let restart = async {
        cut.reached().await;
        operators.remove(0).cut().await;
        operators.push(world.operator().await);
        futures::future::pending::<()>().await;
    };
    tokio::select! {
        () = scenario => {}
        () = restart => {}
    }
    for operator in operators {
        operator.cut().await;
    }
    let left = world.listing(&world.lake()).await.into_iter().filter(|one| !before.contains(one)).collect();
    let rules = world.rules_in_azure().into_iter().map(|(name, status)| (name[..4].to_owned(), status)).collect();
    let passed =
        cut.passed().into_iter().filter(|(_, effect)| effect.system == System::Arm || effect.path.contains("/secrets"));
    (left, rules, passed.map(|(moment, effect)| format!("{moment:?} {effect}")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_effect_the_role_is_taken_back_and_the_rule_is_in_force() {
    let (left, rules, passed) = cut_at(None).await;
    assert_eq!(left, [""; 0]);
    assert_eq!(rules.values().collect::<Vec<_>>(), ["Active"]);
    assert!(passed.iter().any(|effect| effect.contains("DELETE") && effect.contains("roleAssignments")), "{passed:#?}");
    let count = 40;
    let mut runs =
        futures::stream::iter((0..count).map(|at| async move { (at, tokio::spawn(cut_at(Some(at))).await.unwrap()) }))
            .buffer_unordered(6);
    while let Some((at, (left, of_cut, _))) = runs.next().await {
        assert_eq!((left, of_cut), (Vec::new(), rules.clone()), "cut at {at}");
    }
}
