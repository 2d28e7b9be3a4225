//! What a tenant who may write anything in a namespace of its own can do to others: nothing.

use serde_json::{Value, json};

use crate::support::{OPERATOR_NAMESPACE, World, condition, control_plane};

/// A namespace that no grant names, with a tenant in it.
async fn stranger(world: &World) -> String {
    let namespace = format!("stranger-{}", world.mark);
    world.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
    namespace
}

fn foreign_rule(world: &World, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["workspaceRef"] = json!({"name": "fraud", "namespace": world.team});
    json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_anothers_rule_neither_blocks_nor_removes_it() {
    let world = World::new().await;
    let namespace = stranger(&world).await;
    let squat = foreign_rule(
        &world,
        &namespace,
        "squat",
        &json!({"fqdn": "*.pytorch.org", "azureName": "pytorch-rule", "adoption": "Always"}),
    );
    world.apply(squat.clone()).await;
    let operator = world.operator().await;
    let mut rule = world.fqdn("pytorch", "*.pytorch.org");
    rule["spec"]["azureName"] = json!("pytorch-rule");
    rule["spec"]["adoption"] = json!("Always");
    world.secured(std::slice::from_ref(&rule)).await;
    world.until_reason(&squat, "NotAdmitted").await;
    world.delete(&squat).await;
    world.until_gone(&squat).await;
    world.rest().await;
    assert_eq!(world.rules_in_azure().keys().collect::<Vec<_>>(), ["pytorch-rule"]);
    assert!(!world.written().iter().any(|write| write.starts_with("DELETE")));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declaring_anothers_workspace_first_does_not_block_it() {
    let world = World::new().await;
    let namespace = stranger(&world).await;
    let mut squat = world.workspace_manifest();
    squat["metadata"]["namespace"] = json!(namespace);
    squat["spec"]["deletionPolicy"] = json!("Delete");
    world.apply(world.connection_manifest()).await;
    world.apply(squat.clone()).await;
    // A second apart, so that nobody doubts who is older.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    world.apply(world.workspace_manifest()).await;
    let operator = world.operator().await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.delete(&squat).await;
    world.until_gone(&squat).await;
    world.rest().await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    assert!(!world.written().iter().any(|write| write.starts_with("DELETE")), "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn churn_without_a_say_holds_up_nobody() {
    let world = World::new().await;
    let namespace = stranger(&world).await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let churn = async {
        for turn in 0_u32.. {
            let target = json!({"resourceId": world.lake(), "subresource": format!("part{turn}")});
            let spec = json!({ "privateEndpoint": target });
            world.apply(foreign_rule(&world, &namespace, "churn", &spec)).await;
        }
    };
    let rules = [world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org")];
    let work = async {
        for rule in &rules {
            world.apply(rule.clone()).await;
            world.until_reason(rule, "Active").await;
        }
    };
    tokio::select! {
        () = work => {}
        () = churn => {}
    }
    let of_target = format!("{}/providers/microsoft.authorization/roleassignments", world.lake().to_lowercase());
    let targets = world.azure.requests().iter().filter(|one| one.path.to_lowercase().starts_with(&of_target)).count();
    assert_eq!(targets, 0, "nobody's targets are looked at on a stranger's word");
    operator.stop().await;
}

/// Rules that never had a say cannot make the removals of others wait.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_deletions_do_not_open_the_breaker() {
    let world = World::new().await;
    let namespace = stranger(&world).await;
    let operator = world.operator().await;
    let rule = world.fqdn("a", "a.example.org");
    world.secured(std::slice::from_ref(&rule)).await;
    let dummies: Vec<Value> = (0..8)
        .map(|number| foreign_rule(&world, &namespace, &format!("dummy{number}"), &json!({"fqdn": "a.example.org"})))
        .collect();
    for dummy in &dummies {
        world.apply(dummy.clone()).await;
        world.until_reason(dummy, "NotAdmitted").await;
    }
    operator.stop().await;
    for dummy in &dummies {
        world.delete(dummy).await;
    }
    world.delete(&rule).await;
    let operator = world.operator().await;
    world.until_gone(&rule).await;
    for dummy in &dummies {
        world.until_gone(dummy).await;
    }
    assert!(world.rules_in_azure().is_empty());
    operator.stop().await;
}

/// A credential is a Secret of the operator's namespace and of no other; elsewhere the operator may not even read one.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_a_tenants_namespace_is_no_credential() {
    let world = World::new().await;
    let name = format!("theirs-{}", world.mark);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": world.team},
        "stringData": {"secret": "not-a-secret"}});
    world.apply(secret).await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["credential"]["clientSecret"]["secretRef"]["name"] = json!(name);
    world.apply(connection.clone()).await;
    let refused = world.until_reason(&connection, "ConnectionNotReady").await;
    let message = condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&name) && message.contains("operator's namespace"), "{message}");
    operator.stop().await;
    let account = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:aml-operator");
    for (namespace, may) in [(OPERATOR_NAMESPACE, true), (world.team.as_str(), false)] {
        let asked = ["auth", "can-i", "get", "secrets", "--namespace", namespace, "--as", &account];
        assert_eq!(control_plane().await.kubectl(&asked).await.is_ok(), may, "{namespace}");
    }
}
