//! The attacks of docs/security/approvals.md that need a cluster and an Azure: whoever asks, whatever is written, nothing is
//! approved that no policy in force allows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aml_operator::effects::{Effect, Moment, Observer, Seam, System};
use aml_operator::plan::names::fingerprint;
use arm_simulator::{Fault, FaultAction, OperationSeconds, Settings};
use futures::future::BoxFuture;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{FOREIGN, OPERATOR_NAMESPACE, Running, World, condition, settings};

/// The last part of the path of connections.
pub(crate) const LIST: &str = "privateEndpointConnections";

impl World {
    /// A world in which an approval is believed to be on its way for long, however slow the machine: what is counted here are the
    /// requests that reach Azure.
    async fn patient(settings: Settings) -> Self {
        let mut world = Self::with(settings).await;
        world.pace.rest = Duration::from_secs(20);
        world
    }

    /// An endpoint of ours.
    pub(crate) fn ours(&self, group: &str, name: &str) -> String {
        Self::endpoint(&self.subscription, group, name)
    }

    /// The connections on the lake: name, endpoint and state.
    pub(crate) fn on_the_lake(&self) -> Vec<(String, String, String)> {
        let state = self.azure.state_json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = state[LIST].as_object().expect("connections").values();
        let shown = all.filter(|one| text(&one["id"]).starts_with(&self.lake())).map(|one| {
            let properties = &one["properties"];
            let state = &properties["privateLinkServiceConnectionState"]["status"];
            (text(&one["name"]), text(&properties["privateEndpoint"]["id"]), text(state))
        });
        shown.collect()
    }

    /// The endpoints whose connections on the lake are in `state`, sorted.
    pub(crate) fn endpoints_in(&self, state: &str) -> Vec<String> {
        let mut endpoints: Vec<String> =
            self.on_the_lake().into_iter().filter(|(_, _, is)| is == state).map(|(_, endpoint, _)| endpoint).collect();
        endpoints.sort();
        endpoints
    }

    /// The decisions that were sent to Azure: which connection was to become what.
    pub(crate) fn decisions(&self) -> Vec<(String, String)> {
        let puts = self.writes().into_iter().filter(|write| write.path.contains(LIST));
        puts.map(|write| {
            let name = write.path.rsplit('/').next().unwrap_or_default().to_owned();
            let body = write.body.unwrap_or_default();
            let state = &body["properties"]["privateLinkServiceConnectionState"]["status"];
            (name, state.as_str().unwrap_or(&write.method).to_owned())
        })
        .collect()
    }

    pub(crate) async fn until_approved(&self, policy: &Value, count: usize) {
        self.until(policy, "approved", |object| object["status"]["approved"] == count).await;
    }

    /// A policy of `namespace` on the lake that allows the endpoints of the group hub whose names match `pattern`.
    pub(crate) fn policy(&self, namespace: &str, name: &str, pattern: &str) -> Value {
        let mut policy = self.approval_manifest();
        policy["metadata"] = json!({"name": name, "namespace": namespace});
        policy["spec"]["allow"][0]["privateEndpoint"]["namePattern"] = pattern.into();
        policy
    }

    /// Name of the ledger's page of the lake.
    pub(crate) fn ledger_name(&self) -> String {
        format!("aml-ledger-{}", fingerprint(&[&self.lake().to_lowercase()]))
    }

    /// The connection, which lets both namespaces approve on the lake.
    fn shared_connection(&self) -> Value {
        let mut connection = self.connection_manifest();
        connection["spec"]["grants"][1]["namespaces"]["names"] = json!([self.platform, self.team]);
        connection
    }

    /// Connections appear in Azure as `connections` describes them.
    fn raise(&self, connections: &Value) {
        let seed = json!({ "connections": connections });
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the connections are there");
    }

    async fn change_ledger(&self, change: &Value) {
        let name = self.ledger_name();
        let secrets = self.api("Secret", Some(OPERATOR_NAMESPACE));
        secrets.patch(&name, &PatchParams::default(), &Patch::Merge(change)).await.expect("the ledger is changed");
    }
}

/// Holds the first decision on a connection right before it goes out.
#[derive(Default)]
struct Hold {
    held: AtomicBool,
    reached: Notify,
    go: Notify,
}

impl Observer for Hold {
    fn reach<'a>(&'a self, moment: Moment, effect: &'a Effect) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let decision = effect.system == System::Arm && moment == Moment::Before && effect.path.contains(LIST);
            if decision && !self.held.swap(true, Ordering::SeqCst) {
                self.reached.notify_one();
                self.go.notified().await;
            }
        })
    }
}

/// A patient world whose operator may use Azure.
async fn attended() -> (World, Running) {
    let world = World::patient(settings()).await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    (world, operator)
}

/// A patient world whose operator is held right before its first decision goes out.
async fn held(settings: Settings) -> (World, Arc<Hold>, Running) {
    let world = World::patient(settings).await;
    let hold = Arc::new(Hold::default());
    let operator = world.operator_through(Seam::watched(hold.clone())).await;
    (world, hold, operator)
}

/// The confused deputy: whoever may reach a target, or merely knows it, writes a policy that lets everybody in.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_reach_a_target_lets_nobody_in() {
    let (world, operator) = attended().await;
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    world.knock(&world.lake(), &world.ours("anywhere", "mine"));
    let namespace = format!("stranger-{}", world.mark);
    world.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
    let everybody = json!([{"privateEndpoint": {"subscriptionId": world.subscription}}]);
    for namespace in [&world.team, &namespace] {
        let mut policy = world.policy(namespace, "everybody", "*");
        policy["spec"]["allow"] = everybody.clone();
        world.apply(policy.clone()).await;
        let refused = world.until_reason(&policy, "ScopeNotAllowed").await;
        let message = condition(&refused, "Ready")["message"].to_string();
        assert!(message.contains("approve") && message.contains(namespace.as_str()), "{message}");
    }
    world.rest().await;
    let asked: Vec<_> = world.azure.requests().into_iter().filter(|request| request.path.contains(LIST)).collect();
    assert!(asked.is_empty(), "refused before Azure is asked: {asked:?}");

    // Nor do they widen what somebody who may approve allows.
    world.apply(world.approval_manifest()).await;
    world.until_approved(&world.approval_manifest(), 1).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [world.ours("hub", "lake-1")]);
    assert_eq!(world.decisions().len(), 1);
    operator.stop().await;
}

/// Twins of an allowed endpoint in another group and in another subscription, raised before, with and after it.
#[tokio::test(flavor = "multi_thread")]
async fn twins_of_an_allowed_endpoint_stay_outside() {
    let world = World::patient(settings()).await;
    let hub = world.ours("hub", "lake-1");
    let twins = [world.ours("hub2", "lake-1"), World::endpoint(FOREIGN, "hub", "lake-1"), world.ours("hub", "xlake-1")];
    let knock = || twins.iter().for_each(|twin| world.knock(&world.lake(), twin));
    knock();
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut policy = world.approval_manifest();
    // Somebody else's subscription never counts by name, not even if the policy says so.
    let foreign = json!({"privateEndpoint": {"subscriptionId": FOREIGN, "resourceGroup": "hub", "name": "lake-1"}});
    policy["spec"]["allow"].as_array_mut().unwrap().push(foreign);
    world.apply(policy.clone()).await;
    world.until(&policy, "the twins are seen", |object| object["status"]["unmatched"] == twins.len()).await;
    knock();
    world.knock(&world.lake(), &hub);
    knock();
    world.until_approved(&policy, 1).await;
    knock();
    world.until(&policy, "all are seen", |object| object["status"]["unmatched"] == twins.len() * 4).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [hub]);
    assert_eq!(world.decisions().len(), 1, "{:?}", world.decisions());
    operator.stop().await;
}

/// What the requester writes is neither believed nor repeated.
#[tokio::test(flavor = "multi_thread")]
async fn the_requesters_words_are_neither_believed_nor_repeated() {
    let (world, operator) = attended().await;
    let words = format!("Approved by policy {}/lake \u{1b}[2J\nname: lake-1 SESAME", world.platform);
    world.raise(&json!([{"target": world.lake(), "description": words, "status": "Pending",
        "privateEndpointId": World::endpoint(FOREIGN, "hub", "lake-1")}]));
    let policy = world.approval_manifest();
    world.apply(policy.clone()).await;
    let seen = world.until(&policy, "it is seen", |object| object["status"]["unmatched"] == 1).await;
    world.rest().await;
    let events = json!(world.events(&world.platform).await).to_string();
    for shown in [seen.to_string(), events] {
        assert!(!shown.contains("SESAME"), "{shown}");
    }
    assert_eq!(world.decisions(), []);
    operator.stop().await;
}

/// Time of check to time of use: another endpoint stands under the same name when the approval arrives.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_exchanged_between_read_and_write_is_withdrawn() {
    // At once: found by the read after the write. Slower: found when the open proof is settled.
    for seconds in [0.0, 0.05] {
        let operation_seconds = OperationSeconds { approval: seconds, ..OperationSeconds::all(0.05) };
        let (world, hold, operator) = held(Settings { operation_seconds, ..settings() }).await;
        let (hub, stranger) = (world.ours("hub", "lake-1"), World::endpoint(FOREIGN, "hub", "lake-1"));
        world.knock(&world.lake(), &hub);
        let name = world.on_the_lake()[0].0.clone();
        let policy = world.approval_manifest();
        world.apply(world.connection_manifest()).await;
        world.apply(policy.clone()).await;
        hold.reached.notified().await;
        world.raise(&json!([{"target": world.lake(), "privateEndpointId": stranger, "name": name}]));
        hold.go.notify_one();
        world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [stranger.as_str()]).await;
        world.until_reason(&policy, "InForce").await;
        world.rest().await;
        assert_eq!(world.decisions(), [(name.clone(), "Approved".to_owned()), (name, "Rejected".to_owned())]);
        let shown = world.read(&policy).await.expect("the policy");
        assert_eq!(shown["status"]["approved"], 0);
        let events = json!(world.events(&world.platform).await).to_string();
        assert!(events.contains("Withdrawn") && events.contains(FOREIGN), "{events}");
        operator.stop().await;
    }
}

/// The connection is deleted and asked for again, by somebody else, between read and write.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_deleted_and_asked_for_again_gets_no_old_approval() {
    let (world, hold, operator) = held(settings()).await;
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    let name = world.on_the_lake()[0].0.clone();
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    hold.reached.notified().await;
    world.shell(reqwest::Method::DELETE, &format!("{}/{LIST}/{name}", world.lake()), None).await;
    let twin = world.ours("hub2", "lake-1");
    world.knock(&world.lake(), &twin);
    hold.go.notify_one();
    world.until(&policy, "the twin is seen", |object| object["status"]["unmatched"] == 1).await;
    world.until_reason(&policy, "InForce").await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Pending"), [twin]);
    assert_eq!(world.on_the_lake().len(), 1);
    operator.stop().await;
}

/// An approval that a dead operator left behind turns out to be a stranger's.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_operator_approved_for_another_endpoint_is_withdrawn() {
    let world = World::patient(settings()).await;
    let policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let first = world.operator().await;
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    world.until_approved(&policy, 1).await;
    first.stop().await;
    let stranger = World::endpoint(FOREIGN, "hub", "lake-2");
    world.raise(&json!([{"target": world.lake(), "privateEndpointId": stranger, "status": "Approved"}]));
    let theirs = world.on_the_lake().into_iter().find(|(_, endpoint, _)| *endpoint == stranger).expect("it").0;
    let proof = json!({"connection": theirs, "endpoint": world.ours("hub", "lake-2"),
        "policy": format!("{}/lake", world.platform), "startedAt": "2026-01-01T00:00:00Z"});
    let page = json!({"target": world.lake(), "proofs": [proof]}).to_string();
    world.change_ledger(&json!({"stringData": {"ledger.json": page}})).await;
    world.azure.clear_requests();
    let second = world.operator().await;
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [stranger.as_str()]).await;
    world.rest().await;
    assert_eq!(world.decisions(), [(theirs, "Rejected".to_owned())]);
    assert_eq!(world.endpoints_in("Approved"), [world.ours("hub", "lake-1")]);
    second.stop().await;
}

/// Policy, entry or grant are taken back while Azure is being asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_while_azure_is_asked_approves_nothing() {
    let runs =
        ["entry", "policy", "another policy", "policy anew", "grant", "own subscription"].map(|what| async move {
            let world = World::patient(settings()).await;
            world.knock(&world.lake(), &world.ours("hub", "lake-1"));
            // The read of the one connection, right before the write.
            let one = format!("/{LIST}/");
            world.azure.add_fault(
                Fault::once(FaultAction::Latency { ms: 3000, up_to_ms: None }).method("GET").path(&one).after(),
            );
            let (mut connection, mut policy) = (world.connection_manifest(), world.approval_manifest());
            world.apply(connection.clone()).await;
            world.apply(policy.clone()).await;
            let operator = world.operator().await;
            let asked = async || world.azure.requests().iter().any(|request| request.path.contains(&one));
            world.eventually("the one connection is read", asked).await;
            match what {
                "entry" => {
                    policy["spec"]["allow"] = json!([]);
                    world.apply(policy.clone()).await;
                }
                "policy" => world.delete(&policy).await,
                "another policy" => {
                    // The same in all but its uid, and it only watches.
                    world.wipe(&policy).await;
                    policy["spec"]["mode"] = json!("DryRun");
                    world.apply(policy.clone()).await;
                }
                "policy anew" => {
                    world.wipe(&policy).await;
                    policy["spec"]["allow"] = json!([]);
                    world.apply(policy.clone()).await;
                }
                "grant" => {
                    connection["spec"]["grants"].as_array_mut().expect("grants").pop();
                    world.apply(connection).await;
                }
                _ => {
                    connection["spec"]["ownSubscriptions"] = json!([]);
                    world.apply(connection).await;
                }
            }
            match what {
                "policy" => world.until_gone(&policy).await,
                "another policy" => drop(world.until_reason(&policy, "DryRun").await),
                "grant" => drop(world.until_reason(&policy, "ScopeNotAllowed").await),
                _ => drop(world.until(&policy, "unmatched", |object| object["status"]["unmatched"] == 1).await),
            }
            world.rest().await;
            assert_eq!(world.decisions(), [], "{what}");
            operator.stop().await;
        });
    futures::future::join_all(runs).await;
}

/// A connection that a person rejected stays rejected, although a policy allows its endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_revoked_is_not_approved_again() {
    let (world, operator) = attended().await;
    let policy = world.approval_manifest();
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    world.apply(policy.clone()).await;
    world.until_approved(&policy, 1).await;
    let name = world.on_the_lake()[0].0.clone();
    let body =
        json!({"properties": {"privateLinkServiceConnectionState": {"status": "Rejected", "description": "no"}}});
    world.shell(reqwest::Method::PUT, &format!("{}/{LIST}/{name}", world.lake()), Some(&body)).await;
    world.until_approved(&policy, 0).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Rejected"), [world.ours("hub", "lake-1")]);
    assert_eq!(world.decisions().iter().filter(|(_, state)| state == "Approved").count(), 1);
    operator.stop().await;
}

/// A thousand strangers at the door: ours get in, one at a time, one write each, and the object stays small.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_strangers_neither_get_in_nor_keep_ours_out() {
    let world = World::patient(settings()).await;
    let strangers: Vec<Value> = (0..1000)
        .map(|number| {
            let endpoint = World::endpoint(FOREIGN, "hub", &format!("lake-{number}"));
            json!({"target": world.lake(), "privateEndpointId": endpoint})
        })
        .collect();
    world.raise(&json!(strangers));
    let ours: Vec<String> = (0..4).map(|number| world.ours("hub", &format!("lake-{number}"))).collect();
    ours.iter().for_each(|endpoint| world.knock(&world.lake(), endpoint));
    world.apply(world.shared_connection()).await;
    let (low, high) = (world.policy(&world.platform, "low", "lake-0"), world.policy(&world.team, "high", "lake-*"));
    world.apply(low.clone()).await;
    world.apply(high.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&high, 4).await;
    world.until_approved(&low, 1).await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), ours);
    let mut writes: BTreeMap<String, usize> = BTreeMap::new();
    for (name, state) in world.decisions() {
        assert_eq!(state, "Approved");
        *writes.entry(name).or_default() += 1;
    }
    assert!(writes.len() == 4 && writes.values().all(|count| *count == 1), "{writes:?}");
    for policy in [&low, &high] {
        let shown = world.until(policy, "all are counted", |object| object["status"]["unmatched"] == 1000).await;
        let listed = shown["status"]["connections"].as_array().map_or(0, Vec::len) as i64;
        let more = shown["status"]["moreConnections"].as_i64().unwrap_or_default();
        assert!(listed <= 100 && listed + more >= 1000, "{listed} and {more} more");
        assert!(shown["status"].to_string().len() < 64 * 1024);
    }
    operator.stop().await;
}

/// Two policies of two namespaces on one target share its lane.
#[tokio::test(flavor = "multi_thread")]
async fn while_one_approval_is_on_its_way_no_other_begins() {
    let (world, hold, operator) = held(settings()).await;
    let ours = [world.ours("hub", "lake-1"), world.ours("hub", "pond-1")];
    ours.iter().for_each(|endpoint| world.knock(&world.lake(), endpoint));
    world.apply(world.shared_connection()).await;
    let policies = [world.policy(&world.platform, "lake", "lake-*"), world.policy(&world.team, "pond", "pond-*")];
    for policy in &policies {
        world.apply(policy.clone()).await;
    }
    hold.reached.notified().await;
    world.rest().await;
    assert_eq!(world.decisions(), [], "the other one waits");
    hold.go.notify_one();
    for policy in &policies {
        world.until_approved(policy, 1).await;
    }
    assert_eq!(world.endpoints_in("Approved"), ours);
    assert_eq!(world.decisions().len(), 2);
    operator.stop().await;
}

/// Lost memory means hold: with a ledger that cannot be read nothing is approved.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_damaged_ledger_nothing_is_approved() {
    let (world, operator) = attended().await;
    let policy = world.approval_manifest();
    world.knock(&world.lake(), &world.ours("hub", "lake-1"));
    world.apply(policy.clone()).await;
    world.until_approved(&policy, 1).await;
    world.rest().await;
    let elsewhere = world.id("Microsoft.Storage/storageAccounts", "other");
    let half = format!("{{\"target\": \"{}\", \"pro", world.lake());
    for content in [half, json!({ "target": elsewhere }).to_string()] {
        world.change_ledger(&json!({"stringData": {"ledger.json": content}})).await;
        world.knock(&world.lake(), &world.ours("hub", "lake-2"));
        world.until_reason(&policy, "LedgerDamaged").await;
        world.rest().await;
        assert_eq!(world.decisions().len(), 1, "{content}");
    }
    let whole = json!({ "target": world.lake() }).to_string();
    world.change_ledger(&json!({"stringData": {"ledger.json": whole}})).await;
    world.eventually("the rest is approved", async || world.endpoints_in("Approved").len() == 3).await;
    operator.stop().await;
}

/// A folder of policies is pruned: nothing is cut off, and nothing more is let in.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_policies_pruned_cuts_nobody_off() {
    let (world, operator) = attended().await;
    let policies: Vec<Value> =
        (0..8).map(|n| world.policy(&world.platform, &format!("policy{n}"), &format!("lake-{n}*"))).collect();
    for (number, policy) in policies.iter().enumerate() {
        world.knock(&world.lake(), &world.ours("hub", &format!("lake-{number}")));
        world.apply(policy.clone()).await;
    }
    for policy in &policies {
        world.until_approved(policy, 1).await;
    }
    world.azure.clear_requests();
    for policy in &policies {
        world.delete(policy).await;
    }
    for policy in &policies {
        world.until_gone(policy).await;
    }
    world.knock(&world.lake(), &world.ours("hub", "lake-0"));
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved").len(), 8);
    assert_eq!(world.decisions(), []);
    operator.stop().await;
}

/// A status that says otherwise convinces nobody and does not last.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_of_a_policy_lets_nobody_in() {
    let (world, operator) = attended().await;
    let policy = world.approval_manifest();
    let stranger = World::endpoint(FOREIGN, "hub", "lake-1");
    world.knock(&world.lake(), &stranger);
    world.apply(policy.clone()).await;
    let honest = world.until(&policy, "unmatched", |object| object["status"]["unmatched"] == 1).await;
    let mut forged = honest["status"].clone();
    forged["approved"] = json!(7);
    forged["unmatched"] = json!(0);
    forged["connections"][0]["decision"] = json!("Allowed");
    forged["connections"][0]["why"] = json!("allowed by platform/lake");
    world.overwrite_status(&policy, &forged).await;
    world
        .until(&policy, "the truth again", |object| {
            object["status"]["unmatched"] == 1 && object["status"]["connections"] == honest["status"]["connections"]
        })
        .await;
    // Nor does it last where the policy has no say any more, and nobody looks at the target.
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"].as_array_mut().expect("grants").pop();
    world.apply(connection).await;
    world.until_reason(&policy, "ScopeNotAllowed").await;
    world.overwrite_status(&policy, &forged).await;
    world
        .until(&policy, "nothing is claimed", |object| {
            condition(object, "Ready")["reason"] == "ScopeNotAllowed"
                && ["approved", "connections"].iter().all(|field| object["status"][field].is_null())
        })
        .await;
    world.rest().await;
    assert_eq!(world.decisions(), []);
    operator.stop().await;
}
