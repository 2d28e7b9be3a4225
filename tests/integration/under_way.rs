//! An operation that Azure has begun is followed to its end, whatever happens to looking at it, and begun only once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arm_simulator::{Fault, FaultAction};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{World, condition, settings};

/// Where ARM says how operations on workspaces go.
const POLLS: &str = "workspaceOperationsStatus";

/// The writes that began something on the workspace; what Azure refused began nothing.
fn begun(world: &World) -> Vec<String> {
    let taken = world.writes().into_iter().filter(|write| write.status.is_none_or(|status| status < 400));
    taken.map(|write| format!("{} {}", write.method, write.path.rsplit('/').next().unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_a_poll_the_operation_is_followed() {
    let runs = [
        (
            "an error of the gateway",
            FaultAction::Status { status: 502, code: String::new(), message: "<html>".into(), headers: Vec::new() },
        ),
        (
            "a call to slow down",
            FaultAction::Status {
                status: 429,
                code: "TooManyRequests".into(),
                message: String::new(),
                headers: vec![("x-ms-retry-after-ms".into(), "20".into())],
            },
        ),
        ("no answer", FaultAction::Drop),
        ("nonsense", FaultAction::Garbage),
        ("a token that is over", FaultAction::ExpiredToken),
        ("a page of another place", FaultAction::ForeignUrls { base: "https://evil.example".into() }),
        (
            "once that there is no such operation",
            FaultAction::Status { status: 404, code: "NotFound".into(), message: String::new(), headers: Vec::new() },
        ),
    ]
    .map(|(what, action)| async move {
        let world = World::new().await;
        let times = if what.starts_with("once") { 1 } else { 3 };
        world.azure.add_fault(Fault::once(action).path(POLLS).times(times));
        let operator = world.operator().await;
        world.secured(&[]).await;
        assert_eq!(begun(&world), ["PUT fraud", "POST provisionManagedNetwork"], "{what}");
        operator.stop().await;
    });
    futures::future::join_all(runs).await;
}

/// ARM forgets operations after a time, and then what it shows of the resource tells how they ended.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_azure_has_forgotten_is_told_by_what_azure_shows() {
    let mut slow = settings();
    slow.operation_seconds.provision = 1000.0;
    let world = World::with(slow).await;
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world
        .until(&workspace, "it is begun", |object| {
            object["status"]["operations"][0]["verb"] == "POST provisionManagedNetwork"
                && object["status"]["operations"][0]["url"].is_string()
        })
        .await;
    world.azure.add_fault(Fault::status(404, "NotFound").path(POLLS).always());
    // After a rest it is asked for again, and Azure says that it is at it.
    let told = ["OutcomeUnknown", "AzureBusy"].map(Value::from);
    world.until(&workspace, "it is told", |object| told.contains(&condition(object, "Ready")["reason"])).await;
    world.rest().await;
    assert_eq!(
        begun(&world),
        ["PUT fraud", "POST provisionManagedNetwork"],
        "what may be under way is not begun again"
    );
    world.azure.clock().advance(Duration::from_secs(1000));
    let secured = world.until_reason(&workspace, "Secured").await;
    assert_eq!(secured["status"]["operations"], Value::Null);
    // What ended between the last look and the next try may have been asked for once more, and changes nothing.
    assert_eq!(begun(&world)[..2], ["PUT fraud", "POST provisionManagedNetwork"]);
    assert!(begun(&world).iter().all(|write| !write.starts_with("PUT") || write == "PUT fraud"));
    operator.stop().await;
}

/// A way to the API server that can be cut.
struct Way {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, connections) = (Arc::new(AtomicBool::new(true)), Arc::<Mutex<Vec<JoinHandle<()>>>>::default());
        let (is_open, kept) = (Arc::clone(&open), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let server = server.clone();
                let connection = tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
                kept.lock().expect("the connections").push(connection);
            }
        });
        Self { address, open, connections }
    }

    /// Ends every connection, and takes no new ones.
    fn cut(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.connections.lock().expect("the connections").drain(..).for_each(|connection| connection.abort());
    }

    fn mend(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// The API server cannot be reached while an operation runs and people go on working: nothing of either is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_watch_loses_neither_the_operation_nor_what_was_applied_meanwhile() {
    let mut slow = settings();
    slow.operation_seconds.rule = 1000.0;
    let world = World::with(slow).await;
    let kubeconfig = &crate::support::shared().await.operator_kubeconfig;
    let server =
        kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: https://")).expect("a server").trim();
    let way = Way::to(server.to_owned()).await;
    let operator = world.operator_by(&kubeconfig.replace(server, &way.address.to_string())).await;
    let (first, kept) = (world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("kept", "a.example.org"));
    let workspace = world.secured_with(|_| {}).await;
    world.apply(first.clone()).await;
    let begun = |object: &Value| object["status"]["operations"][0]["url"].is_string();
    world.until(&workspace, "the rule is being written", begun).await;

    way.cut();
    world.apply(kept.clone()).await;
    let gone = world.fqdn("gone", "b.example.org");
    world.apply(gone.clone()).await;
    world.delete(&gone).await;
    world.azure.clock().advance(Duration::from_secs(1000));
    world.rest().await;
    world.azure.settings(|settings| settings.operation_seconds.rule = 0.05);
    way.mend();

    for rule in [&first, &kept] {
        world.until_reason(rule, "Active").await;
    }
    world.until(&workspace, "all is well", |object| condition(object, "RulesReady")["status"] == "True").await;
    assert!(world.read(&gone).await.is_none(), "what came and went meanwhile left nothing behind");
    let rules: Vec<String> = world.written().into_iter().filter(|write| write.contains("outboundRules/")).collect();
    assert_eq!(rules.len(), 2, "each was written once: {rules:?}");
    assert_eq!(world.rules_in_azure().len(), 2);
    operator.stop().await;
}
