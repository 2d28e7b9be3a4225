//! What goes from Azure, what stays, and that nothing hangs without saying why.

use serde_json::{Value, json};

use crate::support::{World, condition};

fn deletions(world: &World) -> Vec<String> {
    world.written().into_iter().filter(|write| write.starts_with("DELETE")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_manifest_deleted_takes_exactly_that_rule() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (gone, stays) = (world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org"));
    world.secured(&[gone.clone(), stays.clone()]).await;
    let name = |object: &Value| object["status"]["azureName"].as_str().unwrap_or_default().to_owned();
    let gone_name = name(&world.read(&gone).await.unwrap());
    let stays_name = name(&world.read(&stays).await.unwrap());
    world.delete(&gone).await;
    world.until_gone(&gone).await;
    world.rest().await;
    assert_eq!(world.rules_in_azure().keys().collect::<Vec<_>>(), [&stays_name]);
    assert_eq!(deletions(&world).len(), 1);
    assert!(deletions(&world)[0].ends_with(&gone_name));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_deleted_while_nobody_looks_goes_later() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    operator.stop().await;
    world.delete(&rule).await;
    assert!(world.read(&rule).await.is_some(), "the finalizer keeps it");
    let operator = world.operator().await;
    world.until_gone(&rule).await;
    assert!(world.rules_in_azure().is_empty());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_keeps_the_workspace_and_the_same_manifest_takes_it_up_again() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    let workspace = world.workspace_manifest();
    world.delete(&workspace).await;
    world.delete(&rule).await;
    world.until_gone(&workspace).await;
    world.until_gone(&rule).await;
    assert_eq!(deletions(&world), Vec::<String>::new());
    assert_eq!(world.rules_in_azure().len(), 1, "the rule stays with its workspace");
    world.azure.clear_requests();
    world.apply(workspace.clone()).await;
    world.apply(rule.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    world.until_reason(&rule, "Active").await;
    assert_eq!(world.written(), Vec::<String>::new(), "the tag and the derived name say whose it is");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delete_deletes_when_the_manifest_says_so() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.secured_to_be_deleted().await;
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    assert_eq!(deletions(&world).len(), 1);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_azure_refuses_says_why_and_can_be_abandoned() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.secured_to_be_deleted().await;
    world
        .azure
        .add_fault(arm_simulator::Fault::status(409, "ScopeLocked").method("DELETE").path("workspaces").always());
    world.delete(&workspace).await;
    let locked = world.until_reason(&workspace, "Locked").await;
    assert!(condition(&locked, "Ready")["message"].as_str().unwrap_or_default().contains("ScopeLocked"));
    let mut abandoned = workspace.clone();
    abandoned["metadata"]["annotations"] = json!({"aml-operator.io/abandon": locked["metadata"]["uid"]});
    world.apply(abandoned).await;
    world.until_gone(&workspace).await;
    operator.stop().await;
}

/// The namespaces and the connection go in every order, and whatever holds data stays in Azure.
#[tokio::test(flavor = "multi_thread")]
async fn namespace_and_connection_go_in_every_order() {
    let orders: [&[&str]; 4] = [
        &["connection", "team", "platform"],
        &["team", "platform", "connection"],
        &["platform", "connection", "team"],
        &["team", "connection", "platform"],
    ];
    let runs = orders.map(|order| async move {
        let world = World::new().await;
        let operator = world.operator().await;
        let mut workspace = world.workspace_manifest();
        workspace["spec"]["deletionPolicy"] = json!("Delete");
        let rule = world.fqdn("a", "a.example.org");
        let approval = world.approval_manifest();
        world.apply(world.connection_manifest()).await;
        for manifest in [&workspace, &rule, &approval] {
            world.apply(manifest.clone()).await;
        }
        world.until_reason(&rule, "Active").await;
        world.until_reason(&approval, "InForce").await;
        let namespace = |name: &str| json!({"kind": "Namespace", "metadata": {"name": name}});
        for what in order {
            match *what {
                "connection" => {
                    world.delete(&world.connection_manifest()).await;
                    if order[0] == "connection" {
                        let kept = world.until_reason(&world.connection_manifest(), "InUse").await;
                        assert!(
                            condition(&kept, "Ready")["message"].as_str().unwrap_or_default().contains("AmlWorkspace")
                        );
                    }
                }
                "team" => world.delete(&namespace(&world.team)).await,
                _ => world.delete(&namespace(&world.platform)).await,
            }
        }
        for manifest in [&workspace, &rule, &approval, &world.connection_manifest()] {
            world.until_gone(manifest).await;
        }
        world.until_gone(&namespace(&world.team)).await;
        assert_eq!(deletions(&world), Vec::<String>::new(), "{order:?}: a namespace that goes does not mean its data");
        operator.stop().await;
    });
    futures::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_connection_a_deletion_waits_and_says_for_what() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    world.wipe(&world.connection_manifest()).await;
    world.delete(&rule).await;
    let waiting = world
        .until(&rule, "the reason", |object| {
            condition(object, "Ready")["message"].as_str().is_some_and(|message| message.contains("ConnectionMissing"))
        })
        .await;
    assert!(waiting["metadata"]["finalizers"].is_array());
    world.apply(world.connection_manifest()).await;
    world.until_gone(&rule).await;
    assert!(world.rules_in_azure().is_empty());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_removals_at_once_wait_for_a_word() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    let hosts: Vec<String> = (0..10).map(|number| format!("host{number}.example.org")).collect();
    connection["spec"]["grants"][0]["egress"]["fqdns"] = json!(hosts);
    world.apply(connection.clone()).await;
    world.apply(world.workspace_manifest()).await;
    let rules: Vec<Value> =
        hosts.iter().enumerate().map(|(number, host)| world.fqdn(&format!("rule{number}"), host)).collect();
    for rule in &rules {
        world.apply(rule.clone()).await;
    }
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    operator.stop().await;
    for rule in rules.iter().take(8) {
        world.delete(rule).await;
    }
    let operator = world.operator().await;
    let open = world.until(&connection, "the breaker", |object| object["status"]["massChange"].is_string()).await;
    assert_eq!(condition(&open, "Stalled")["reason"], "MassChange");
    world.until_reason(&rules[0], "MassChange").await;
    world.rest().await;
    assert_eq!(world.rules_in_azure().len(), 10, "nothing goes before somebody says so");
    connection["spec"]["acknowledge"] = json!([{"door": "MassChange", "value": open["status"]["massChange"]}]);
    world.apply(connection.clone()).await;
    // More than five still wait when the first is gone: the word is for all of them.
    for rule in rules.iter().take(8) {
        world.until_gone(rule).await;
    }
    assert_eq!(world.rules_in_azure().len(), 2);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_endpoint_connections_go_first_and_the_workspace_after_them() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.secured_to_be_deleted().await;
    for name in ["one", "two"] {
        world.knock(&world.workspace_id(), &World::endpoint(&world.subscription, "hub", name));
    }
    world.delete(&workspace).await;
    world.until_gone(&workspace).await;
    let deleted = deletions(&world);
    let (last, first) = deleted.split_last().expect("deletions");
    assert!(last.ends_with("workspaces/fraud"), "{deleted:?}");
    assert_eq!(first.len(), 2, "{deleted:?}");
    assert!(first.iter().all(|write| write.contains("/privateEndpointConnections/")), "{deleted:?}");
    operator.stop().await;
}

/// A lock of Azure's own, and a policy; the deletion waits for both, says so, and does not hammer.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_workspace_waits_for_whoever_unlocks_it() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.secured_to_be_deleted().await;
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let lock = format!("{group}/providers/Microsoft.Authorization/locks/keep");
    let body = json!({"properties": {"level": "CanNotDelete"}});
    let (status, answer) = world.ask_azure(reqwest::Method::PUT, &lock, "2020-05-01", Some(&body)).await;
    assert!((200..300).contains(&status), "{answer}");
    world.delete(&workspace).await;
    let locked = world.until_reason(&workspace, "Locked").await;
    let message = condition(&locked, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    for word in ["ScopeLocked", "remove the resource lock", "aml-operator.io/abandon"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(condition(&locked, "Reconciling")["status"], "True");
    // The policy is there before the lock goes, so that there is no moment in between.
    let denied = arm_simulator::Fault::status(403, "RequestDisallowedByPolicy").method("DELETE");
    world.azure.add_fault(denied.path("workspaces/fraud").always());
    world.ask_azure(reqwest::Method::DELETE, &lock, "2020-05-01", None).await;
    let denied = world.until_reason(&workspace, "PolicyDenied").await;
    assert!(condition(&denied, "Ready")["message"].as_str().unwrap_or_default().contains("aml-operator.io/abandon"));
    world.azure.clear_faults();
    world.azure.add_fault(arm_simulator::Fault::status(409, "Conflict").method("DELETE").path("workspaces").times(3));
    world.until_gone(&workspace).await;
    assert_eq!(world.in_azure("fraud").await, Value::Null);
    operator.stop().await;
}
