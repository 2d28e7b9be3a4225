//! Absence is no evidence: an index that is empty, late or holds something unreadable removes nothing from Azure.

use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::support::{World, condition, control_plane};

fn deletions(world: &World) -> usize {
    world.written().iter().filter(|write| write.starts_with("DELETE")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_whose_objects_vanished_are_listed_and_stay() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    operator.stop().await;
    world.wipe(&rule).await;
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    let listed = world
        .until(&workspace, "the orphan is listed", |object| {
            object["status"]["orphanedRules"].as_array().is_some_and(|list| list.len() == 1)
        })
        .await;
    assert!(listed["status"]["unmanagedRules"].is_null(), "it is not a stranger's");
    world.rest().await;
    assert_eq!((deletions(&world), world.rules_in_azure().len()), (0, 1));

    let mut pruned = workspace.clone();
    pruned["spec"]["outboundRules"] = json!({"pruneOrphans": true});
    world.apply(pruned).await;
    world.eventually("the orphan is pruned", || async { world.rules_in_azure().is_empty() }).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_never_comes_moves_nothing() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    operator.stop().await;
    world.wipe(&rule).await;
    let mut pruned = world.workspace_manifest();
    pruned["spec"]["outboundRules"] = json!({"pruneOrphans": true});
    world.apply(pruned).await;
    world.azure.clear_requests();
    let blind = world.blind_operator().await;
    world.rest().await;
    assert!(world.azure.requests().is_empty(), "Azure is not even asked before every index is whole");
    blind.stop().await;
}

/// Has the cluster's schema take a `deletionPolicy` of rules that this operator does not know, as after a downgrade.
async fn loosen(world: &World, policy: &str) {
    let definitions: Api<kube::api::DynamicObject> = Api::all_with(
        world.kube.clone(),
        &kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        )),
    );
    let loosen = json!([{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deletionPolicy/enum/-", "value": policy}]);
    let patch: json_patch::Patch = serde_json::from_value(loosen).unwrap();
    definitions
        .patch("outboundrules.aml-operator.io", &PatchParams::default(), &Patch::<()>::Json(patch))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_rule_stops_nobody_else_and_stays_as_it_is() {
    let world = World::new().await;
    loosen(&world, "Novel").await;
    let operator = world.operator().await;
    let (odd, plain) = (world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org"));
    world.secured(&[odd.clone(), plain.clone()]).await;
    let mut novel = odd.clone();
    novel["spec"]["deletionPolicy"] = json!("Novel");
    world.eventually("the looser schema", || async { world.try_apply(novel.clone()).await.is_ok() }).await;
    let frozen = world.until_reason(&odd, "Invalid").await;
    assert_eq!(condition(&frozen, "Stalled")["status"], "True");

    let late = world.fqdn("c", "c.example.org");
    world.apply(late.clone()).await;
    world.until_reason(&late, "Active").await;
    world.delete(&odd).await;
    world.rest().await;
    assert!(world.read(&odd).await.is_some(), "what cannot be read is not let go");
    assert_eq!((deletions(&world), world.rules_in_azure().len()), (0, 3));
    world.apply(odd.clone()).await;
    world.until_gone(&odd).await;
    assert_eq!(world.rules_in_azure().len(), 2);
    operator.stop().await;
    let _ = control_plane().await;
}

/// Its rules could not be taken back from Azure without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_while_something_unreadable_may_use_it() {
    let world = World::new().await;
    loosen(&world, "Unheard").await;
    let operator = world.operator().await;
    let connection = world.connection_manifest();
    world.apply(connection.clone()).await;
    world.until_reason(&connection, "Available").await;
    let mut odd = world.fqdn("a", "a.example.org");
    odd["spec"]["deletionPolicy"] = json!("Unheard");
    world.eventually("the looser schema", || async { world.try_apply(odd.clone()).await.is_ok() }).await;
    world.until_reason(&odd, "Invalid").await;
    world.delete(&connection).await;
    let held = world.until_reason(&connection, "InUse").await;
    let message = condition(&held, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("OutboundRule {}/a", world.team)), "it is named: {message}");
    world.rest().await;
    assert!(world.read(&connection).await.is_some());
    world.delete(&odd).await;
    world.until_gone(&connection).await;
    operator.stop().await;
}

/// Backup, wipe, restore: the objects come back without status and with new uids, the installation keeps its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_cluster_takes_everything_up_without_a_write() {
    let world = World::new().await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", "lake-1"));
    let operator = world.operator().await;
    let rules = [world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org")];
    world.secured(&rules).await;
    let approval = world.approval_manifest();
    world.apply(approval.clone()).await;
    world.until(&approval, "approved", |object| object["status"]["approved"] == 1).await;
    operator.stop().await;
    let objects = [&rules[0], &rules[1], &approval, &world.workspace_manifest(), &world.connection_manifest()];
    for object in objects {
        world.wipe(object).await;
    }
    world.azure.clear_requests();
    for object in objects {
        world.apply(object.clone()).await;
    }
    let operator = world.operator().await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    world.until(&approval, "approved", |object| object["status"]["approved"] == 1).await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}
