//! SIGKILL in the middle of an operation that takes ten minutes.

use std::time::Duration;

use arm_simulator::{OperationSeconds, Settings};
use serde_json::Value;

use crate::executable::Executable;
use crate::support::{World, settings};
use crate::{CLUSTER, PROGRAM};

const PROVISION: &str = "POST provisionManagedNetwork";

/// The operation on the managed network, if the status records where ARM says how it goes.
fn provisioning(workspace: &Value) -> Option<&Value> {
    let operations = workspace["status"]["operations"].as_array()?;
    operations.iter().find(|operation| operation["verb"] == PROVISION && operation["url"].is_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_operator_takes_its_operation_up_again() {
    let _alone = CLUSTER.lock().await;
    let operation_seconds = OperationSeconds { provision: 600.0, ..OperationSeconds::all(0.05) };
    let world = World::with(Settings { operation_seconds, ..settings() }).await;
    let installation = format!("installation-{}", world.mark);
    let arguments = ["--installation-id", &installation, "--pace-factor", "0.002", "--log-format", "text"];
    let posts = || {
        let requests = world.azure.requests();
        requests.iter().filter(|request| request.path.ends_with("/provisionManagedNetwork")).count()
    };
    let workspace = world.workspace_manifest();

    let first = Executable::start(PROGRAM, "operator-0", &arguments).await;
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let before = world.until(&workspace, PROVISION, |object| provisioning(object).is_some()).await;
    first.kill().await;
    assert_eq!(posts(), 1);
    let built = || world.azure.state_json().to_string().contains(r#""status":"Active""#);
    assert!(!built(), "ARM still builds the network");

    // The same instance again, as the kubelet restarts a container. It finds the operation and waits for it.
    let asked = world.azure.requests().len();
    let second = Executable::start(PROGRAM, "operator-0", &arguments).await;
    let url = provisioning(&before).map(|operation| operation["url"].as_str().unwrap_or_default().to_owned());
    let url = url.expect("a url");
    let path =
        url.split_once("/subscriptions").map(|(_, path)| path.split('?').next().unwrap_or(path)).expect("a path");
    world
        .eventually("the second process asks about the operation of the first", async || {
            world.azure.requests().iter().skip(asked).any(|request| request.path.ends_with(path))
        })
        .await;
    let during = world.read(&workspace).await.expect("the workspace");
    assert_eq!(provisioning(&during), provisioning(&before), "the record stays until the operation ends");

    world.azure.clock().advance(Duration::from_secs(600));
    let ready = world.until_reason(&workspace, "Secured").await;
    assert_eq!(ready["status"]["network"], "Active");
    assert!(built());
    assert_eq!(posts(), 1, "provisioning was asked for once: {:?}", world.written());
    let status = second.stop().await;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", second.log());
}
