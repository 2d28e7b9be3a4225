//! The line that each decision leaves in the log, as a process prints it.

use arm_simulator::RequestEntry;
use serde_json::{Value, json};

use crate::executable::Executable;
use crate::support::{World, settings};
use crate::{CLUSTER, PROGRAM};

/// The answers' request ids are ARM's: the log must carry the one of the write.
fn write_of(world: &World) -> RequestEntry {
    let mut writes = world.azure.requests().into_iter().filter(|request| request.method == "PUT");
    writes.find(|request| request.path.contains("rivateEndpointConnections")).expect("the approval")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_leaves_one_line_that_says_all_and_no_token() {
    let _alone = CLUSTER.lock().await;
    let world = World::with(settings()).await;
    let installation = format!("installation-{}", world.mark);
    let arguments = ["--installation-id", &installation, "--pace-factor", "0.002", "--log-format", "json"];
    let endpoint = World::endpoint(&world.subscription, "hub", "lake-1");
    world.knock(&world.lake(), &endpoint);
    let mut policy = world.approval_manifest();
    policy["spec"]["allow"][0]["name"] = json!("hub");
    let operator = Executable::start(PROGRAM, "operator-0", &arguments).await;
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let seen = world.until(&policy, "approved", |object| object["status"]["approved"] == 1).await;
    let name = seen["status"]["connections"][0]["name"].clone();
    operator.stop().await;

    let log = operator.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let audit: Vec<Value> =
        lines.filter(|line| line["target"].as_str().is_some_and(|of| of.contains("audit"))).collect();
    let approved: Vec<&Value> = audit.iter().filter(|line| line.to_string().contains("\"approved\"")).collect();
    let [line] = approved.as_slice() else { panic!("one line a decision: {audit:#?}") };
    let fields = if line["fields"].is_object() { &line["fields"] } else { *line };
    assert_eq!(fields["policy"], format!("{}/lake", world.platform), "{line}");
    assert_eq!((&fields["generation"], &fields["connection"]), (&json!(1), &name), "{line}");
    assert_eq!((&fields["requester"], &fields["target_id"]), (&json!(endpoint), &json!(world.lake())), "{line}");
    assert!(fields["rule"].as_str().is_some_and(|rule| rule.contains("allow[0]") && rule.contains("hub")), "{line}");
    assert!(fields["request_id"].as_str().is_some_and(|id| id.len() == 36), "{line}");
    assert_eq!(write_of(&world).status, Some(200));
    for secret in ["Bearer ", "eyJ", "client_secret"] {
        assert!(!log.contains(secret), "the log says {secret:?}");
    }
}
