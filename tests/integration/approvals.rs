//! Private endpoint connections, decided by policy and by nothing else.

use std::time::Duration;

use arm_simulator::{Fault, FaultAction};
use serde_json::{Value, json};

use crate::attacks::LIST;
use crate::support::{World, condition};

const FOREIGN: &str = "00000000-0000-0000-0000-00000000000f";

/// The state of every connection on the lake, with the endpoint that asks.
fn states(world: &World) -> Vec<(String, String)> {
    let state = world.azure.state_json();
    let connections = state["privateEndpointConnections"].as_object().into_iter().flatten();
    let mut states: Vec<(String, String)> = connections
        .filter(|(id, _)| id.starts_with(&world.lake().to_lowercase()))
        .map(|(_, connection)| {
            let text =
                |pointer: &str| connection.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            (text("/properties/privateEndpoint/id"), text("/properties/privateLinkServiceConnectionState/status"))
        })
        .collect();
    states.sort();
    states
}

fn state_of(world: &World, endpoint: &str) -> String {
    let states = states(world).into_iter();
    states.filter(|(id, _)| id == endpoint).map(|(_, state)| state).collect::<Vec<_>>().join(",")
}

fn reported(object: &Value, endpoint: &str) -> Value {
    let mut connections = object["status"]["connections"].as_array().into_iter().flatten();
    connections.find(|one| one["privateEndpoint"] == endpoint).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_beats_hold_beats_allow_and_twins_get_nothing() {
    let world = World::new().await;
    let own = |group: &str, name: &str| World::endpoint(&world.subscription, group, name);
    let (ours, held) = (own("hub", "lake-ours"), own("hub", "lake-held"));
    let twins = [own("hub2", "lake-ours"), own("spoke", "lake-ours")];
    let stranger = World::endpoint(FOREIGN, "hub", "lake-ours");
    // Raised before ours, with it and after it: the order must not matter.
    world.knock(&world.lake(), &twins[0]);
    world.knock(&world.lake(), &stranger);
    world.knock(&world.lake(), &ours);
    world.knock(&world.lake(), &held);
    let mut policy = world.approval_manifest();
    policy["spec"]["reject"] = json!([{"privateEndpoint": {"ownSubscription": false}}]);
    policy["spec"]["hold"] = json!([{"privateEndpoint": {"id": held}}]);
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.knock(&world.lake(), &twins[1]);
    let settled = world
        .until(&policy, "all decided", |object| {
            object["status"]["approved"] == 1 && object["status"]["pending"] == 3 && object["status"]["unmatched"] == 3
        })
        .await;
    world.rest().await;
    assert_eq!(state_of(&world, &ours), "Approved");
    assert_eq!(state_of(&world, &stranger), "Rejected");
    for pending in twins.iter().chain([&held]) {
        assert_eq!(state_of(&world, pending), "Pending", "{pending}");
    }
    assert_eq!(world.writes().len(), 2, "one write each: {:?}", world.written());
    let held = reported(&settled, &held);
    assert_eq!((&held["decision"], &held["subResources"]), (&json!("Held"), &json!("not stated")));
    assert!(held["why"].as_str().unwrap_or_default().contains("/lake"), "the policy is named: {held}");
    let waiting = condition(&settled, "ConnectionsPending")["message"].as_str().unwrap_or_default().to_owned();
    assert!(twins.iter().all(|twin| waiting.contains(twin)), "{waiting}");
    assert!(
        waiting.starts_with("3 connections wait for a person: ") && waiting.contains("(held for a person by"),
        "{waiting}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_of_one_team_holds_against_the_allowance_of_another() {
    let world = World::new().await;
    let ours = World::endpoint(&world.subscription, "hub", "lake-1");
    world.knock(&world.lake(), &ours);
    let mut security = world.approval_manifest();
    security["metadata"]["name"] = json!("security");
    security["spec"]["allow"] = json!([]);
    security["spec"]["reject"] =
        json!([{"privateEndpoint": {"subscriptionId": world.subscription, "resourceGroup": "hub"}}]);
    world.apply(world.connection_manifest()).await;
    world.apply(security.clone()).await;
    world.apply(world.approval_manifest()).await;
    let operator = world.operator().await;
    world.eventually("it is rejected", async || state_of(&world, &ours) == "Rejected").await;
    world.rest().await;
    assert_eq!(state_of(&world, &ours), "Rejected");
    assert_eq!(world.writes().len(), 1, "{:?}", world.written());
    operator.stop().await;
}

/// 200 requests on the lake, and the second of two policies: what becomes of each request, and that policy.
fn two_hundred(world: &World) -> (Vec<(String, String)>, Value) {
    let mut expected = Vec::new();
    for number in 0..200 {
        // Half is for one policy, a quarter for the other, the rest is nobody's.
        let (group, name) = match number % 4 {
            0 | 1 => ("hub", format!("lake-{number}")),
            2 => ("spoke", format!("pond-{number}")),
            _ => ("elsewhere", format!("lake-{number}")),
        };
        let endpoint = World::endpoint(&world.subscription, group, &name);
        world.knock(&world.lake(), &endpoint);
        expected.push((endpoint, if group == "elsewhere" { "Pending" } else { "Approved" }.to_owned()));
    }
    expected.sort();
    let mut spoke = world.approval_manifest();
    spoke["metadata"]["name"] = json!("spoke");
    spoke["spec"]["allow"] = json!([{"privateEndpoint": {"subscriptionId": world.subscription, "resourceGroup": "spoke", "namePattern": "pond-*"}}]);
    (expected, spoke)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_requests_exactly_the_matching_ones_are_approved_with_one_write_each() {
    let world = World::new().await;
    let (expected, spoke) = two_hundred(&world);
    world.apply(world.connection_manifest()).await;
    world.apply(world.approval_manifest()).await;
    world.apply(spoke.clone()).await;
    let operator = world.operator().await;
    world.eventually("half of them are approved", async || approved(&world) > 75).await;
    world.eventually("all that match are approved", async || states(&world) == expected).await;
    let policy = world.until(&world.approval_manifest(), "counted", |object| object["status"]["pending"] == 50).await;
    assert_eq!(policy["status"]["approved"], 100);
    world.until(&spoke, "counted", |object| object["status"]["approved"] == 50).await;
    world.rest().await;
    assert_eq!(states(&world), expected);
    let mut paths: Vec<String> = world.writes().into_iter().map(|write| write.path).collect();
    assert_eq!(paths.len(), 150);
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), 150, "each was written once");
    operator.stop().await;
}

/// One write in five is answered and has no effect, because something superseded it, or is told to come later: the same end.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_requests_the_same_are_approved_when_a_fifth_of_the_answers_is_superseded_or_throttled() {
    let mut world = World::new().await;
    world.pace.rest = Duration::from_millis(400);
    let (expected, spoke) = two_hundred(&world);
    let superseded = FaultAction::FailOperation { code: "OperationSuperseded".into(), message: String::new() };
    world.azure.add_fault(Fault::once(superseded).method("PUT").path(LIST).always().every(10));
    let throttled = FaultAction::Status {
        status: 429,
        code: "TooManyRequests".into(),
        message: String::new(),
        headers: vec![("Retry-After".into(), "1".into()), ("x-ms-retry-after-ms".into(), "20".into())],
    };
    world.azure.add_fault(Fault::once(throttled).method("PUT").path(LIST).always().skip(5).every(10));
    world.apply(world.connection_manifest()).await;
    world.apply(world.approval_manifest()).await;
    world.apply(spoke.clone()).await;
    let operator = world.operator().await;
    world.eventually("half of them are approved", async || approved(&world) > 75).await;
    world.eventually("all that match are approved", async || states(&world) == expected).await;
    world.until(&spoke, "counted", |object| object["status"]["approved"] == 50).await;
    world.rest().await;
    assert_eq!(states(&world), expected);
    let writes = world.writes();
    let refused = writes.iter().filter(|write| write.status == Some(429)).count();
    // The first, the eleventh and so on.
    let without_effect = writes.len().div_ceil(10);
    assert!(refused > 10 && without_effect > 10, "{refused} {without_effect}");
    assert_eq!(writes.len() - refused - without_effect, 150, "what took effect was written once");
    let matching: Vec<&String> = expected.iter().filter(|(_, state)| state == "Approved").map(|(id, _)| id).collect();
    let named = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let names: Vec<String> = written_for(&world);
    assert!(names.iter().all(|name| matching.iter().any(|id| named(id) == *name)), "{names:?}");
    // One at a time: while an approval takes its time in Azure, no other is sent.
    let taken: Vec<i64> = writes.iter().filter(|write| write.status != Some(429)).map(|write| write.at).collect();
    assert!(taken.windows(2).all(|pair| pair[1] - pair[0] >= 50), "{taken:?}");
    operator.stop().await;
}

/// How many connections on the lake are approved.
fn approved(world: &World) -> usize {
    states(world).iter().filter(|(_, state)| state == "Approved").count()
}

/// The names of the endpoints whose connections were written.
fn written_for(world: &World) -> Vec<String> {
    let state = world.azure.state_json();
    let endpoint_of = |path: &str| {
        let endpoint = &state["privateEndpointConnections"][path.to_lowercase()]["properties"]["privateEndpoint"]["id"];
        endpoint.as_str().and_then(|id| id.rsplit('/').next()).unwrap_or_default().to_owned()
    };
    world.writes().iter().map(|write| endpoint_of(&write.path)).collect()
}

/// A thousand connections with names as long as Azure allows, all of them approved by this operator or waiting: the status stays
/// small, its counts are right, what waits comes first, and the ledger holds every approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_fit_into_the_status_and_the_ledger() {
    let world = World::new().await;
    let group = "g".repeat(90);
    let endpoint = |number: usize| World::endpoint(&world.subscription, &group, &format!("{number:080}"));
    let name = |number: usize| format!("{number:080}.00000000-0000-0000-0000-{number:012}");
    let stranger = |number: usize| World::endpoint(FOREIGN, &group, &format!("{number:080}"));
    let connections: Vec<Value> = (0..1000)
        .map(|number| {
            let (endpoint, status) =
                if number < 940 { (endpoint(number), "Approved") } else { (stranger(number), "Pending") };
            json!({"target": world.lake(), "privateEndpointId": endpoint, "name": name(number), "status": status})
        })
        .collect();
    let seed = json!({ "connections": connections });
    world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the connections are raised");
    let mut policy = world.approval_manifest();
    policy["metadata"]["name"] = json!("p".repeat(63));
    policy["spec"]["allow"] =
        json!([{"privateEndpoint": {"subscriptionId": world.subscription, "resourceGroup": group}}]);
    let by = format!("{}/{}", world.platform, "p".repeat(63));
    let approvals: Vec<Value> = (0..940)
        .map(|number| {
            json!({"connection": name(number), "endpoint": endpoint(number), "policy": by, "at": "2026-01-01T00:00:00Z",
                "requestId": "00000000-0000-0000-0000-000000000001", "side": "Unprovable"})
        })
        .collect();
    world.plant(json!({ "approvals": approvals })).await;
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let full = world.until(&policy, "counted", |object| object["status"]["pending"] == 60).await;
    let status = &full["status"];
    assert_eq!((&status["approved"], &status["unmatched"]), (&json!(940), &json!(60)));
    assert_eq!(status["moreConnections"], 900);
    let listed = status["connections"].as_array().cloned().unwrap_or_default();
    let waiting = listed.iter().take_while(|one| one["state"] == "Pending").count();
    assert_eq!((listed.len(), waiting), (100, 60), "what waits for a person comes first");
    let bytes = status.to_string().len();
    println!("status of 1,000 connections: {bytes} bytes, the object {} bytes", full.to_string().len());
    assert!(bytes < 256 * 1024, "{bytes}");
    let page = world.page().await;
    println!("ledger page of 1,000 connections: {} bytes", page.to_string().len());
    assert_eq!(
        page["approvals"].as_array().map(Vec::len),
        Some(940),
        "nothing that may have to be withdrawn is cut off"
    );
    assert!(world.writes().is_empty(), "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_leave_the_rest_for_a_person() {
    let world = World::new().await;
    for number in 0..4 {
        world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", &format!("lake-{number}")));
    }
    let mut policy = world.approval_manifest();
    policy["spec"]["limits"] = json!({"total": 2});
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let full = world.until(&policy, "full", |object| object["status"]["approved"] == 2).await;
    world.rest().await;
    assert_eq!(world.writes().len(), 2, "{:?}", world.written());
    let states: Vec<String> = states(&world).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states.iter().filter(|state| *state == "Approved").count(), 2, "{states:?}");
    let over =
        full["status"]["connections"].as_array().into_iter().flatten().filter(|one| one["decision"] == "OverLimit");
    assert!(over.into_iter().all(|one| one["why"].as_str().unwrap_or_default().contains("spec.limits")));
    assert_eq!(full["status"]["unmatched"], 2);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_time_is_over_approves_nothing_new_and_keeps_what_it_approved() {
    let world = World::new().await;
    let (early, late) = (
        World::endpoint(&world.subscription, "hub", "lake-early"),
        World::endpoint(&world.subscription, "hub", "lake-late"),
    );
    world.knock(&world.lake(), &early);
    let mut policy = world.approval_manifest();
    let end = k8s_openapi::jiff::Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_secs(6);
    policy["spec"]["expiresAt"] = json!(end.to_string());
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let approved = world.until(&policy, "approved", |object| object["status"]["approved"] == 1).await;
    let one = reported(&approved, &early);
    assert_eq!(one["approvedBy"], format!("{}/lake", world.platform));
    assert!(one["approvedAt"].is_string() && one["firstSeen"].is_string(), "{one}");
    world.until_reason(&policy, "Expired").await;
    world.knock(&world.lake(), &late);
    world.until(&policy, "seen", |object| object["status"]["unmatched"] == 1).await;
    world.rest().await;
    assert_eq!((state_of(&world, &early).as_str(), state_of(&world, &late).as_str()), ("Approved", "Pending"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let world = World::new().await;
    let ours = World::endpoint(&world.subscription, "hub", "lake-1");
    let stranger = World::endpoint(FOREIGN, "hub", "lake-1");
    world.knock(&world.lake(), &ours);
    world.knock(&world.lake(), &stranger);
    let mut policy = world.approval_manifest();
    policy["spec"]["reject"] = json!([{"privateEndpoint": {"ownSubscription": false}}]);
    policy["spec"]["mode"] = json!("DryRun");
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let decided = world.until(&policy, "decided", |object| object["status"]["pending"] == 2).await;
    world.rest().await;
    assert_eq!(condition(&decided, "Ready")["reason"], "DryRun");
    assert_eq!(reported(&decided, &ours)["decision"], "Allowed");
    assert_eq!(reported(&decided, &stranger)["decision"], "Rejected");
    assert!(world.writes().is_empty(), "{:?}", world.written());
    world.delete(&policy).await;
    world.until_gone(&policy).await;
    operator.stop().await;
}
