//! A policy ends and says that what it approved ends with it.

use std::time::Duration;

use arm_simulator::Fault;
use serde_json::{Value, json};

use crate::support::{World, condition};

impl World {
    /// A policy that takes back what it approved when it is deleted, with this grace period.
    fn withdrawing(&self, name: &str, pattern: &str, grace: &str) -> Value {
        let mut policy = self.policy(&self.platform, name, pattern);
        policy["spec"]["onDelete"] = json!("Withdraw");
        policy["spec"]["gracePeriod"] = json!(grace);
        policy
    }
}

fn message(object: &Value) -> String {
    condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_policy_approved_goes_and_what_others_approved_stays() {
    let world = World::new().await;
    let (ours, shared) = (world.ours("hub", "lake-ours"), world.ours("hub", "lake-shared"));
    let (persons, other) = (world.ours("hub", "lake-person"), world.ours("hub", "pond"));
    world.apply(world.connection_manifest()).await;
    let going = world.withdrawing("going", "lake-*", "3s");
    let seed = json!({"connections": [{"target": world.lake(), "privateEndpointId": persons, "status": "Approved"}]});
    world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("a person approved it");
    for endpoint in [&ours, &shared, &other] {
        world.knock(&world.lake(), endpoint);
    }
    let staying =
        [world.policy(&world.platform, "pond", "pond"), world.policy(&world.platform, "shared", "lake-shared")];
    let operator = world.operator().await;
    world.apply(going.clone()).await;
    world.until_approved(&going, 3).await;
    for policy in &staying {
        world.apply(policy.clone()).await;
        world.until_approved(policy, 1).await;
    }
    world.azure.clear_requests();
    world.delete(&going).await;
    let waiting = world.until_reason(&going, "Deleting").await;
    let said = message(&waiting);
    assert!(
        said.contains(&ours) && said.contains("onDelete: Keep") && said.contains("aml-operator.io/abandon"),
        "{said}"
    );
    assert!(!said.contains("lake-shared") && !said.contains("lake-person") && !said.contains("pond"), "{said}");
    assert_eq!(world.decisions(), [], "the grace period has not passed");
    world.until_gone(&going).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Rejected"), [ours]);
    assert_eq!(world.endpoints_in("Approved"), [persons, shared, other]);
    assert_eq!(world.decisions().len(), 1, "{:?}", world.decisions());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_nothing_is_cut_and_one_can_let_go_by_hand() {
    let world = World::new().await;
    world.apply(world.connection_manifest()).await;
    let operator = world.operator().await;
    let kept = world.policy(&world.platform, "kept", "lake-kept");
    let mut regretted = world.withdrawing("regretted", "lake-regretted", "1h");
    let mut expired = world.policy(&world.platform, "expired", "lake-expired");
    let soon = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_secs(5);
    expired["spec"]["expiresAt"] = json!(soon.to_string());
    for (policy, name) in [(&kept, "lake-kept"), (&regretted, "lake-regretted"), (&expired, "lake-expired")] {
        world.knock(&world.lake(), &world.ours("hub", name));
        world.apply(policy.clone()).await;
        world.until_approved(policy, 1).await;
    }
    world.until_reason(&expired, "Expired").await;
    world.delete(&kept).await;
    world.until_gone(&kept).await;
    world.delete(&regretted).await;
    world.until_reason(&regretted, "Deleting").await;
    regretted["spec"]["onDelete"] = json!("Keep");
    world.apply(regretted.clone()).await;
    world.until_gone(&regretted).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved").len(), 3);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_policy_withdraws_if_it_says_so_across_a_restart() {
    let world = World::new().await;
    world.apply(world.connection_manifest()).await;
    let mut policy = world.policy(&world.platform, "lake", "lake-*");
    let end = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_secs(5);
    policy["spec"]["expiresAt"] = json!(end.to_string());
    policy["spec"]["onExpiry"] = json!("Withdraw");
    policy["spec"]["gracePeriod"] = json!("4s");
    let ours = [world.ours("hub", "lake-1"), world.ours("hub", "lake-2")];
    ours.iter().for_each(|endpoint| world.knock(&world.lake(), endpoint));
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&policy, 2).await;
    let waiting = world.until_reason(&policy, "Expired").await;
    assert!(
        message(&waiting).contains(&ours[0]) && message(&waiting).contains("onExpiry: Keep"),
        "{}",
        message(&waiting)
    );
    operator.cut().await;
    assert_eq!(world.endpoints_in("Approved"), ours);
    let operator = world.operator().await;
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == ours).await;
    let over = world.until(&policy, "said", |object| message(object).contains("what it approved is withdrawn")).await;
    assert_eq!(over["status"]["approved"], 0);
    world.rest().await;
    let writes = world.decisions().iter().filter(|(_, state)| state == "Rejected").count();
    assert_eq!(writes, 2, "{:?}", world.decisions());
    operator.stop().await;
}

/// A pruned folder of policies that withdraw waits for a word, as other removals do.
#[tokio::test(flavor = "multi_thread")]
async fn many_withdrawals_at_once_wait_for_a_word() {
    let world = World::new().await;
    let mut connection = world.connection_manifest();
    world.apply(connection.clone()).await;
    let operator = world.operator().await;
    let policies: Vec<Value> =
        (0..4).map(|n| world.withdrawing(&format!("policy{n}"), &format!("lake-{n}*"), "6s")).collect();
    for (number, policy) in policies.iter().enumerate() {
        for name in ["a", "b"] {
            world.knock(&world.lake(), &world.ours("hub", &format!("lake-{number}{name}")));
        }
        world.apply(policy.clone()).await;
        world.until_approved(policy, 2).await;
    }
    for policy in &policies {
        world.delete(policy).await;
    }
    let open = world.until(&connection, "the breaker", |object| {
        condition(object, "Stalled")["message"].as_str().is_some_and(|message| message.starts_with("8 removals"))
    });
    let open = open.await;
    for policy in &policies {
        let held = world.until_reason(policy, "MassChange").await;
        assert!(message(&held).contains("onDelete: Keep"), "{}", message(&held));
    }
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved").len(), 8);
    let hash = open["status"]["massChange"].clone();
    connection["spec"]["acknowledge"] = json!([{"door": "MassChange", "value": hash}]);
    world.apply(connection.clone()).await;
    for policy in &policies {
        world.until_gone(policy).await;
    }
    assert_eq!(world.endpoints_in("Rejected").len(), 8);
    assert_eq!(world.decisions().iter().filter(|(_, state)| state == "Rejected").count(), 8);
    operator.stop().await;
}

/// A namespace that goes does not mean the connections of its policies.
#[tokio::test(flavor = "multi_thread")]
async fn with_its_namespace_gone_a_policy_cuts_nobody_off() {
    let world = World::new().await;
    world.apply(world.connection_manifest()).await;
    let policy = world.withdrawing("lake", "lake-*", "0s");
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&policy, 1).await;
    world.delete(&json!({"kind": "Namespace", "metadata": {"name": world.platform}})).await;
    world.until_gone(&policy).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved").len(), 1);
    operator.stop().await;
}

/// A server that decides once on a connection: it is withdrawn by deletion, and nobody else's is.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_decided_once_is_withdrawn_by_deletion() {
    let mut world = World::new().await;
    world.pace.slow = Duration::from_secs(3);
    let server = world.id("Microsoft.Sql/servers", "sql");
    let (ours, persons) = (world.ours("hub", "lake-ours"), world.ours("hub", "lake-person"));
    let connections: Vec<Value> = [(&ours, "ours", "Pending"), (&persons, "persons", "Approved")]
        .into_iter()
        .map(|(endpoint, name, status)| json!({"target": server, "privateEndpointId": endpoint, "name": name, "status": status}))
        .collect();
    let seed = json!({"resources": [{"id": server, "location": "westeurope"}], "connections": connections});
    world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the server is there");
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][1]["scope"] = json!(server);
    world.apply(connection).await;
    let mut policy = world.withdrawing("sql", "lake-*", "1s");
    policy["spec"]["target"]["resourceId"] = json!(server);
    // What the server says to a second decision, here to the first.
    let refusal = Fault::status(400, "PrivateEndpointConnectionStatusNotPending").method("PUT").path("/ours");
    world.azure.add_fault(refusal);
    let operator = world.operator().await;
    world.apply(policy.clone()).await;
    world
        .until(&policy, "the refusal is told", |object| {
            message(object).contains("approving ours")
                && message(object).contains("PrivateEndpointConnectionStatusNotPending")
        })
        .await;
    // One is the person's: it was approved before, and the policy allows it.
    world.until_approved(&policy, 2).await;
    world.delete(&policy).await;
    world.until_gone(&policy).await;
    world.rest().await;
    let state = world.azure.state_json();
    let left: Vec<&Value> = state["privateEndpointConnections"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(id, _)| id.starts_with(&server.to_lowercase()))
        .map(|(_, connection)| &connection["properties"]["privateEndpoint"]["id"])
        .collect();
    assert_eq!(left, [&json!(persons)]);
    let sent: Vec<String> = world.decisions().into_iter().map(|(name, state)| format!("{state} {name}")).collect();
    assert_eq!(sent, ["Approved ours", "Approved ours", "DELETE ours"]);
    operator.stop().await;
}
