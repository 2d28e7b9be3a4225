//! How roles that were assigned end: with whatever asked for them, through the connection that they came by, never while another needs
//! them, and never those of others.

use arm_simulator::{ApproverMissing, Fault, Settings};
use serde_json::{Value, json};

use crate::roles::{APPROVES, BLOBS, CONTRIBUTOR};
use crate::support::{Running, World, condition, control_plane, settings};

/// A workspace whose rule keeps the approver role on the lake.
struct Kept {
    world: World,
    operator: Running,
    rule: Value,
    /// What was assigned on the lake before.
    before: Vec<String>,
}

impl Kept {
    async fn new() -> Self {
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
        let kept = Self { world, operator, rule, before };
        assert_eq!(kept.out().await.len(), 1, "it stays");
        kept
    }

    /// What is assigned on the lake besides.
    async fn out(&self) -> Vec<String> {
        self.world.listing(&self.world.lake()).await.into_iter().filter(|one| !self.before.contains(one)).collect()
    }

    async fn until_taken_back(&self) {
        self.world.eventually("nothing is left on the lake", || async { self.out().await.is_empty() }).await;
    }
}

/// The messages of events in `namespace` with `reason`.
async fn notes(namespace: &str, reason: &str) -> Vec<String> {
    let events = control_plane().await.kubectl(&["get", "events", "-n", namespace, "-o", "json"]).await;
    let events: Value = serde_json::from_str(&events.expect("the events")).expect("JSON");
    let of_reason = events["items"].as_array().into_iter().flatten().filter(|event| event["reason"] == reason);
    of_reason.filter_map(|event| event["message"].as_str().map(ToOwned::to_owned)).collect()
}

/// A second connection to the same directory.
fn second(world: &World) -> Value {
    let mut connection = world.granting(&[APPROVES]);
    connection["metadata"]["name"] = json!(format!("second-{}", world.mark));
    connection
}

fn agree(workspace: &mut Value, door: &str, value: &str) {
    let words = workspace["spec"]["acknowledge"].as_array_mut().expect("a list");
    words.push(json!({"door": door, "value": value}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_role_goes_when_its_workspace_is_no_longer_let_through() {
    let kept = Kept::new().await;
    let world = &kept.world;
    let mut fenced = world.granting(&[APPROVES]);
    fenced["spec"]["grants"][0]["scope"] = json!(world.id("Microsoft.Search/searchServices", "elsewhere"));
    world.apply(fenced).await;
    world.until_reason(&world.workspace_manifest(), "ScopeNotAllowed").await;
    kept.until_taken_back().await;
    assert_eq!(notes(&world.team, "RoleTakenBack").await.len(), 1);
    world.apply(world.granting(&[APPROVES])).await;
    world.eventually("it is assigned anew", || async { kept.out().await.len() == 1 }).await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_role_goes_when_its_workspace_names_a_connection_that_is_not_there() {
    let kept = Kept::new().await;
    let world = &kept.world;
    let mut lost = world.workspace_manifest();
    lost["spec"]["connectionRef"]["name"] = json!("nowhere");
    world.apply(lost).await;
    world.until_reason(&world.workspace_manifest(), "ConnectionMissing").await;
    kept.until_taken_back().await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_goes_takes_its_standing_role_along() {
    let kept = Kept::new().await;
    let world = &kept.world;
    world.delete(&world.workspace_manifest()).await;
    world.until_gone(&world.workspace_manifest()).await;
    assert_eq!(kept.out().await, [""; 0], "it stayed until the role was gone");
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_vanished_keeps_no_role_and_one_restored_by_backup_keeps_its_own() {
    let kept = Kept::new().await;
    let Kept { world, operator, rule, before } = kept;
    operator.stop().await;
    // Backup, wipe, restore: other uids, the same objects, the same ledger.
    world.wipe(&rule).await;
    world.wipe(&world.workspace_manifest()).await;
    world.azure.clear_requests();
    world.apply(world.workspace_manifest()).await;
    world.apply(rule.clone()).await;
    let operator = world.operator().await;
    world.until_reason(&rule, "Active").await;
    world.rest().await;
    assert_eq!(world.written(), [""; 0]);
    let kept = Kept { world, operator, rule, before };
    assert_eq!(kept.out().await.len(), 1);
    // Gone for good, without a word.
    kept.world.wipe(&kept.rule).await;
    kept.world.wipe(&kept.world.workspace_manifest()).await;
    kept.until_taken_back().await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_abandons_a_workspace_is_told_what_stays_and_its_connection_stays_until_nothing_does() {
    let kept = Kept::new().await;
    let world = &kept.world;
    let locked = Fault::status(409, "ScopeLocked").method("DELETE").path("roleAssignments").always();
    world.azure.add_fault(locked);
    let workspace = world.workspace_manifest();
    world.delete(&kept.rule).await;
    world.delete(&workspace).await;
    let leaving = world
        .until(&workspace, "it waits for the role", |object| {
            condition(object, "Ready")["message"].as_str().is_some_and(|text| text.contains("not seen to be gone"))
        })
        .await;
    let message = condition(&leaving, "Ready")["message"].to_string();
    assert!(message.contains(APPROVES) && message.contains(&world.lake()), "{message}");
    let mut abandoned = leaving.clone();
    abandoned["metadata"] = json!({"name": "fraud", "namespace": world.team,
        "annotations": {"aml-operator.io/abandon": leaving["metadata"]["uid"]}});
    abandoned.as_object_mut().expect("an object").remove("status");
    world.apply(abandoned).await;
    world.until_gone(&workspace).await;
    let told = notes(&world.team, "Released").await;
    assert!(told.iter().any(|note| note.contains(APPROVES) && note.contains(&world.lake())), "{told:#?}");

    world.delete(&world.leave()).await;
    world.until_gone(&world.leave()).await;
    let connection = world.connection_manifest();
    world.delete(&connection).await;
    let staying = world.until_reason(&connection, "InUse").await;
    let message = condition(&staying, "Ready")["message"].to_string();
    assert!(message.contains("still out") && message.contains(&world.lake()), "{message}");
    world.azure.clear_faults();
    kept.until_taken_back().await;
    world.until_gone(&connection).await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_out_moves_with_its_workspace_to_another_connection() {
    let kept = Kept::new().await;
    let world = &kept.world;
    world.apply(second(world)).await;
    let mut moved = world.workspace_manifest();
    moved["spec"]["connectionRef"]["name"] = second(world)["metadata"]["name"].clone();
    world.apply(moved).await;
    let mut policy = world.leave();
    policy["spec"]["connectionRef"]["name"] = second(world)["metadata"]["name"].clone();
    world.apply(policy).await;
    world.eventually("it is claimed anew", || async { world.assignments_written() == ["PUT", "PUT"] }).await;
    // The former connection is not needed any more.
    let former = world.connection_manifest();
    world.delete(&former).await;
    world.until_gone(&former).await;
    assert_eq!(kept.out().await.len(), 1, "it never went");
    world.delete(&kept.rule).await;
    kept.until_taken_back().await;
    assert_eq!(world.assignments_written(), ["PUT", "PUT", "DELETE"]);
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_two_workspaces_of_one_identity_need_goes_with_the_second_of_them() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let (mut workspace, principal) = world.with_identity("shared").await;
    agree(&mut workspace, "SharedIdentity", &principal);
    let mut other = workspace.clone();
    other["metadata"]["name"] = json!("other");
    let mut policy = world.leave();
    let also = json!({"workspaceRef": {"name": "other", "namespace": world.team}});
    policy["spec"]["allow"].as_array_mut().expect("a list").push(also);
    let rule = world.asking("blob", "blob", "Standing");
    let mut others = world.asking("dfs", "dfs", "Standing");
    others["spec"]["workspaceRef"]["name"] = json!("other");
    let before = world.listing(&world.lake()).await;
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&workspace, &other, &policy, &rule, &others] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "Active").await;
    world.until_reason(&others, "Active").await;
    world.rest().await;
    let with = world.listing(&world.lake()).await;
    assert_eq!(with.len(), before.len() + 1, "one assignment serves both: {with:#?}");
    let deleted = || world.assignments_written().iter().filter(|method| *method == "DELETE").count();
    world.delete(&rule).await;
    world.until_gone(&rule).await;
    world.rest().await;
    assert_eq!((world.listing(&world.lake()).await, deleted()), (with, 0), "the other one needs it");
    world.delete(&other).await;
    world.until_gone(&other).await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    assert_eq!(deleted(), 1);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_approver_role_takes_the_place_of_the_former_one() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Standing");
    world.apply(world.granting(&[APPROVES, CONTRIBUTOR])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "Active").await;
    let mut connection = world.granting(&[APPROVES, CONTRIBUTOR]);
    connection["spec"]["approverRoleDefinitionId"] = json!(CONTRIBUTOR);
    world.apply(connection).await;
    world
        .eventually("only the other role is out", || async {
            let out: Vec<String> =
                world.listing(&world.lake()).await.into_iter().filter(|one| !before.contains(one)).collect();
            matches!(out.as_slice(), [one] if one.contains(CONTRIBUTOR))
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_identity_leaves_the_former_one_nothing() {
    let world = World::new().await;
    let (mut workspace, former) = world.with_identity("former").await;
    let (after, present) = world.with_identity("present").await;
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let operator = world.operator().await;
    world.apply(world.granting(&[BLOBS, CONTRIBUTOR])).await;
    workspace["spec"]["roles"] = json!("Grant");
    world.apply(workspace.clone()).await;
    world.until(&workspace, "roles held", |object| condition(object, "RolesReady")["status"] == "True").await;
    let of = |listed: &[String], principal: &str| listed.iter().filter(|one| one.contains(principal)).count();
    assert_eq!(of(&world.listing(&group).await, &former), 5);
    workspace["spec"]["identity"] = after["spec"]["identity"].clone();
    world.apply(workspace.clone()).await;
    world
        .eventually("all of the present one's, none of the former one's", || async {
            let listed = world.listing(&group).await;
            of(&listed, &present) == 5 && of(&listed, &former) == 0
        })
        .await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_policy_holds_a_workspace_does_not_approve_itself() {
    let kept = Kept::new().await;
    let world = &kept.world;
    let mut holding = world.approval_manifest();
    holding["metadata"]["name"] = json!("careful");
    holding["spec"]["allow"] = json!([]);
    holding["spec"]["hold"] = json!([{"privateEndpoint": {"ownSubscription": false}, "subResources": ["dfs"]}]);
    world.apply(holding.clone()).await;
    world.rest().await;
    assert_eq!(kept.out().await.len(), 1, "that is about another sub-resource");
    holding["spec"]["hold"] = json!([{"privateEndpoint": {"ownSubscription": false}}]);
    world.apply(holding.clone()).await;
    kept.until_taken_back().await;
    let later = world.asking("dfs", "dfs", "Temporary");
    world.apply(later.clone()).await;
    let told = world.until_reason(&later, "Overruled").await;
    assert!(condition(&told, "Ready")["message"].to_string().contains("careful hold[0]"));
    assert_eq!(
        condition(&world.read(&kept.rule).await.expect("the rule"), "Ready")["reason"],
        "Active",
        "what stands stands"
    );
    world.delete(&holding).await;
    world.until_reason(&later, "Active").await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_becomes_the_workspaces_own_needs_no_role_any_more() {
    let registry = "Microsoft.ContainerRegistry/registries";
    let world = World::seeded(settings(), |seed, subscription| {
        let id = format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{registry}/images");
        let there = json!({"id": id, "location": "westeurope", "sku": {"name": "Premium"}});
        seed.resources.push(serde_json::from_value(there).expect("a registry"));
        let role = json!([{"name": APPROVES, "roleName": "approves endpoints", "actions": [format!("{registry}/*")]}]);
        seed.role_definitions = serde_json::from_value(role).expect("a role");
    })
    .await;
    let images = world.id(registry, "images");
    let operator = world.operator().await;
    let mut connection = world.granting(&[APPROVES]);
    connection["spec"]["grants"][1]["scope"] = json!(images);
    let mut policy = world.leave();
    policy["spec"]["target"]["resourceId"] = json!(images);
    let endpoint = json!({"resourceId": images, "subresource": "registry", "approverRole": "Standing"});
    let rule = world.rule_manifest("images", &json!({ "privateEndpoint": endpoint }));
    let mut workspace = world.workspace_manifest();
    world.apply(connection).await;
    for manifest in [&workspace, &policy, &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "Active").await;
    workspace["spec"]["associatedResources"]["containerRegistry"] = json!({ "resourceId": images });
    world.apply(workspace.clone()).await;
    world.eventually("taken back", || async { world.assignments_written() == ["PUT", "DELETE"] }).await;
    world.until_reason(&workspace, "Secured").await;
    world.rest().await;
    assert_eq!(world.assignments_written(), ["PUT", "DELETE"], "and that is all");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_listed_holds_up_nothing_else() {
    let world = World::with_approver_role(settings()).await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Temporary");
    world.apply(world.granting(&[APPROVES])).await;
    world.apply(world.workspace_manifest()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.apply(world.leave()).await;
    world.until_reason(&world.leave(), "InForce").await;
    // The list before the role is assigned comes through, and none after that until the rule's turn should end.
    let unseen =
        Fault::status(503, "ServiceUnavailable").method("GET").path("lake/privateEndpointConnections").always();
    let assigned = async {
        world.eventually("the role is out", || async { world.listing(&world.lake()).await.len() > before.len() }).await;
        world.azure.add_fault(unseen);
    };
    tokio::join!(world.apply(rule.clone()), assigned);
    let other = world.fqdn("pypi", "pypi.org");
    world.apply(other.clone()).await;
    world.until_reason(&other, "Active").await;
    assert_eq!(world.listing(&world.lake()).await.len(), before.len() + 1, "without a proof its turn is not over");
    world.azure.clear_faults();
    world.until_reason(&rule, "Active").await;
    world.eventually("the listing is as before", || async { world.listing(&world.lake()).await == before }).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_workspace_approved_itself_is_put_down_to_its_rule() {
    let world = World::with_approver_role(Settings { approver_missing: ApproverMissing::Pending, ..settings() }).await;
    let operator = world.operator().await;
    let mut rule = world.asking("blob", "blob", "Report");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&world.workspace_manifest(), &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    // It waits where everybody sees it.
    world.until(&world.leave(), "pending", |object| object["status"]["pending"] == 1).await;
    rule["spec"]["privateEndpoint"]["approverRole"] = json!("Temporary");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "Active").await;
    let told = world.until(&world.leave(), "approved", |object| object["status"]["approved"] == 1).await;
    let by = &told["status"]["connections"][0];
    assert_eq!(by["approvedBy"], format!("AmlWorkspace {0}/fraud for OutboundRule {0}/blob", world.team), "{told:#}");
    assert!(by["rule"].as_str().is_some_and(|rule| rule.contains("lake allow[0]")), "{told:#}");
    world.rest().await;
    let doubts = condition(&world.read(&world.leave()).await.expect("the policy"), "ConnectionsDoubtful");
    assert_eq!(doubts["reason"], "NoneDoubtful", "{doubts}");
    assert_eq!(notes(&world.platform, "ApprovedElsewhere").await, [""; 0]);
    operator.stop().await;
}

/// A workspace with an identity of its own whose rule keeps the approver role, unless somebody else uses that identity.
async fn kept_by_identity() -> (Kept, Value, String) {
    let world = World::with_approver_role(settings()).await;
    let (workspace, principal) = world.with_identity("own").await;
    let operator = world.operator().await;
    let before = world.listing(&world.lake()).await;
    let rule = world.asking("blob", "blob", "Standing");
    world.apply(world.granting(&[APPROVES])).await;
    for manifest in [&workspace, &world.leave(), &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "Active").await;
    world.rest().await;
    let kept = Kept { world, operator, rule, before };
    assert_eq!(kept.out().await.len(), 1, "nobody else uses it");
    (kept, workspace, principal)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_goes_when_somebody_else_comes_to_use_its_identity() {
    let (kept, mut workspace, principal) = kept_by_identity().await;
    let world = &kept.world;
    // A namespace that may not reach the identity names it: that object is never let through.
    let mut stranger = workspace.clone();
    stranger["metadata"] = json!({"name": "stranger", "namespace": world.platform});
    world.apply(stranger.clone()).await;
    world.until_reason(&stranger, "ScopeNotAllowed").await;
    // Azure does not answer for a while.
    world.azure.add_fault(Fault::status(503, "ServiceUnavailable").method("GET").path("fraud/computes").always());
    world.rest().await;
    assert_eq!(kept.out().await.len(), 1, "neither says that anybody else uses it");
    world.azure.clear_faults();

    let identity = workspace["spec"]["identity"]["userAssignedIdentities"][0].as_str().expect("an id").to_owned();
    let endpoint = format!("{}/batchEndpoints/scores", world.workspace_id());
    let seed = json!({"resources": [{"id": endpoint, "location": "westeurope",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
        "properties": {"authMode": "AADToken"}}]});
    world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the endpoint is there");
    kept.until_taken_back().await;
    let later = world.asking("dfs", "dfs", "Temporary");
    world.apply(later.clone()).await;
    let told = world.until_reason(&later, "AcknowledgementRequired").await;
    let message = condition(&told, "Ready")["message"].to_string();
    assert!(message.contains("scores of its batchEndpoints") && message.contains(&principal), "{message}");
    agree(&mut workspace, "SharedIdentity", &principal);
    world.apply(workspace).await;
    world.until_reason(&later, "Active").await;
    kept.operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_goes_when_another_object_of_the_cluster_declares_its_identity() {
    let (kept, workspace, _) = kept_by_identity().await;
    let world = &kept.world;
    let mut other = workspace.clone();
    other["metadata"]["name"] = json!("other");
    other["spec"]["suspend"] = json!(true);
    world.apply(other.clone()).await;
    kept.until_taken_back().await;
    world.delete(&other).await;
    world.until_gone(&other).await;
    world.eventually("it is assigned anew", || async { kept.out().await.len() == 1 }).await;
    let compute = json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlCompute",
        "metadata": {"name": "cpu", "namespace": world.team},
        "spec": {"workspaceRef": {"name": "fraud"}, "suspend": true, "cluster": {"vmSize": "Standard_DS3_v2", "maxNodes": 1},
            "identity": {"type": "UserAssigned", "userAssignedIdentities": workspace["spec"]["identity"]["userAssignedIdentities"]}},
    });
    world.apply(compute.clone()).await;
    kept.until_taken_back().await;
    world.delete(&compute).await;
    world.until_gone(&compute).await;
    world.eventually("it is assigned anew", || async { kept.out().await.len() == 1 }).await;
    let mut endpoint = world.endpoint_manifest("score", &json!({"publicNetworkAccess": "Disabled", "suspend": true}));
    endpoint["spec"]["identity"] = compute["spec"]["identity"].clone();
    world.apply(endpoint).await;
    kept.until_taken_back().await;
    kept.operator.stop().await;
}
