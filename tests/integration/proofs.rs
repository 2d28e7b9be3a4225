//! What becomes of an approval that was sent: followed until Azure shows it, found when it shows late, taken back until that is
//! seen, and never in the way of others.

use std::time::Duration;

use arm_simulator::{Fault, FaultAction, OperationSeconds, Settings};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::attacks::LIST;
use crate::support::{FOREIGN, OPERATOR_NAMESPACE, World, condition, settings};

/// A world in which Azure takes `seconds` for a decision on a connection.
async fn slow(seconds: f64) -> World {
    let operation_seconds = OperationSeconds { approval: seconds, ..OperationSeconds::all(0.05) };
    World::with(Settings { operation_seconds, ..settings() }).await
}

impl World {
    /// Writes the ledger's page of the lake, whatever is there.
    pub(crate) async fn plant(&self, page: Value) {
        let mut page = page;
        page["target"] = json!(self.lake());
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": self.ledger_name()},
            "type": "aml-operator.io/ledger", "stringData": {"ledger.json": page.to_string()},
        });
        let secrets = self.api("Secret", Some(OPERATOR_NAMESPACE));
        let params = PatchParams::apply("somebody").force();
        secrets.patch(&self.ledger_name(), &params, &Patch::Apply(&secret)).await.expect("the page is planted");
    }

    pub(crate) async fn page(&self) -> Value {
        let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
            kube::Api::namespaced(self.kube.clone(), OPERATOR_NAMESPACE);
        let secret = secrets.get(&self.ledger_name()).await.expect("the page");
        serde_json::from_slice(&secret.data.expect("data")["ledger.json"].0).expect("JSON")
    }

    pub(crate) fn seed_connection(&self, endpoint: &str, name: &str, status: &str) {
        let seed = json!({"connections": [
            {"target": self.lake(), "privateEndpointId": endpoint, "name": name, "status": status}]});
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the connection is there");
    }

    fn proof(&self, name: &str, endpoint: &str, started: &str) -> Value {
        json!({"connection": name, "endpoint": endpoint, "policy": format!("{}/lake", self.platform), "startedAt": started})
    }
}

/// Azure takes far longer than a lost request would: one write each all the same, and both end approved.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_approval_is_waited_for_and_sent_once() {
    let world = slow(1.0).await;
    let ours = [world.ours("hub", "lake-1"), world.ours("hub", "lake-2")];
    ours.iter().for_each(|endpoint| world.knock(&world.lake(), endpoint));
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&policy, 2).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), ours);
    assert_eq!(world.decisions().len(), 2, "{:?}", world.decisions());
    operator.stop().await;
}

/// An approval that was given up takes effect after all: for another endpoint it is withdrawn, for ours it is known whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_shows_late_is_attributed_or_withdrawn() {
    let world = World::new().await;
    let (ours, theirs) = (world.ours("hub", "lake-1"), World::endpoint(FOREIGN, "hub", "lake-2"));
    world.seed_connection(&ours, "one", "Pending");
    world.seed_connection(&world.ours("hub", "lake-2"), "two", "Pending");
    let mut policy = world.approval_manifest();
    policy["spec"]["suspend"] = json!(true);
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    world.plant(json!({"proofs": [world.proof("one", &ours, &now), world.proof("two", &world.ours("hub", "lake-2"), &now)]})).await;
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until_reason(&policy, "Suspended").await;
    world.rest().await;
    world.seed_connection(&ours, "one", "Approved");
    world.seed_connection(&theirs, "two", "Approved");
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [theirs.as_str()]).await;
    let by = format!("{}/lake", world.platform);
    world
        .until(&policy, "attributed", |object| {
            let all = object["status"]["connections"].as_array().cloned().unwrap_or_default();
            all.iter().any(|one| one["privateEndpoint"] == ours.as_str() && one["approvedBy"] == by.as_str())
        })
        .await;
    assert_eq!(world.decisions(), [("two".to_owned(), "Rejected".to_owned())]);
    operator.stop().await;
}

/// Azure says yes to the withdrawal and does not do it; the operator dies on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_repeated_until_it_is_seen() {
    let world = slow(0.05).await;
    let theirs = World::endpoint(FOREIGN, "hub", "lake-1");
    world.seed_connection(&theirs, "one", "Approved");
    let fail = FaultAction::FailOperation { code: "Lost".into(), message: String::new() };
    let fault = Fault::once(fail).method("PUT").path(LIST).times(3);
    world.azure.add_fault(fault);
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    world.plant(json!({"proofs": [world.proof("one", &world.ours("hub", "lake-1"), &now)]})).await;
    world.apply(world.connection_manifest()).await;
    world.apply(world.approval_manifest()).await;
    let operator = world.operator().await;
    world.eventually("a first try", async || !world.decisions().is_empty()).await;
    operator.cut().await;
    assert_eq!(world.endpoints_in("Rejected"), Vec::<String>::new());
    let operator = world.operator().await;
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [theirs.as_str()]).await;
    world.until_reason(&world.approval_manifest(), "InForce").await;
    world.eventually("settled", async || world.page().await["proofs"].is_null()).await;
    assert!(world.decisions().len() >= 4, "{:?}", world.decisions());
    operator.stop().await;
}

/// A start in the future holds the target no longer than any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_from_the_future_does_not_hold_the_target() {
    let world = World::new().await;
    let ours = world.ours("hub", "lake-1");
    world.seed_connection(&ours, "one", "Pending");
    world.plant(json!({"proofs": [world.proof("gone", &world.ours("hub", "lake-2"), "2999-01-01T00:00:00Z")]})).await;
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&policy, 1).await;
    operator.stop().await;
}

/// Azure refuses one that is allowed: the others go on, and the refusal is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_azure_refuses_holds_up_no_other() {
    let mut world = World::new().await;
    world.pace.slow = Duration::from_secs(120);
    for (name, endpoint) in [("a", "lake-1"), ("b", "lake-2"), ("c", "lake-3")] {
        world.seed_connection(&world.ours("hub", endpoint), name, "Pending");
    }
    let refusal = Fault::status(403, "AuthorizationFailed").method("PUT").path(&format!("{LIST}/a")).always();
    world.azure.add_fault(refusal);
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let told = world
        .until(&policy, "the others are approved, the refusal is told", |object| {
            object["status"]["approved"] == 2 && condition(object, "Ready")["reason"] == "AuthorizationFailed"
        })
        .await;
    let message = condition(&told, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("approving a") && message.contains("AuthorizationFailed"), "{message}");
    let refused = told["status"]["connections"].as_array().into_iter().flatten().find(|one| one["name"] == "a");
    let why = refused.and_then(|one| one["why"].as_str()).unwrap_or_default();
    assert!(why.contains("allowed by") && why.contains("AuthorizationFailed"), "{why}");
    world.rest().await;
    let tries = world.decisions().iter().filter(|(name, _)| name == "a").count();
    assert_eq!(tries, 1, "it waits: {:?}", world.decisions());
    operator.stop().await;
}

/// A ledger page that is deleted is no first start: lost memory means hold, for every policy on the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_page_holds_the_target_until_a_person_says_otherwise() {
    let world = World::new().await;
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    // Nothing was ever approved: the page is there from the first look on.
    world.until_reason(&policy, "InForce").await;
    operator.stop().await;
    let secrets = world.api("Secret", Some(OPERATOR_NAMESPACE));
    secrets.delete(&world.ledger_name(), &DeleteParams::default()).await.expect("the page goes");
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    let second = world.policy(&world.platform, "second", "lake-*");
    world.apply(second.clone()).await;
    let mut status = world.read(&policy).await.expect("the policy")["status"].clone();
    status = json!({"conditions": status["conditions"]});
    world.overwrite_status(&policy, &status).await;
    let operator = world.operator().await;
    for policy in [&policy, &second] {
        let held = world.until_reason(policy, "LedgerDamaged").await;
        let message = condition(&held, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("the ledger page is gone") && message.contains(&world.ledger_name()), "{message}");
    }
    world.rest().await;
    assert_eq!(world.decisions(), []);
    world.plant(json!({})).await;
    world.until_approved(&policy, 1).await;
    operator.stop().await;
}
