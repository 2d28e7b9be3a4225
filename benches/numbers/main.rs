//! How fast and how frugal the operator is: `make bench` prints one table.
//!
//! What is measured is the executable that ships (`target/release`), as a process of its own, with the chart's rights, on a real
//! API server and the ARM simulator. This program only drives it and need not be optimized. A number that misses its mark fails
//! nothing, because machines differ; one that cannot be taken ends the run with an error.
#![allow(clippy::expect_used, clippy::panic, reason = "a number that cannot be taken ends the run")]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support.rs"]
mod support;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/process/executable.rs"]
mod executable;

mod networks;
mod objects;
mod process;
mod table;
mod workspaces;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use arm_simulator::{OperationSeconds, RequestEntry, Settings};
use futures::{StreamExt, stream};
use serde_json::Value;

use executable::until;
use networks::many_networks;
use objects::many_objects;
use process::{resident, start, start_timed, stop};
use support::{World, settings};
use table::{MIB, Table};
use workspaces::many_workspaces;

/// How often what takes a different time each time is tried.
const TRIES: usize = 20;
/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(3);

fn main() {
    // Only `cargo bench` says this. `cargo test --benches` starts the program too, to see that it can be started.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let table = runtime.block_on(measure());
    table.print();
}

/// The executable that ships, beside the one that was built for this run.
fn program() -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_aml-operator"));
    let folder = built.parent().and_then(Path::parent).map_or_else(PathBuf::new, Path::to_owned);
    let program = folder.join("release/aml-operator");
    assert!(program.is_file(), "{} is missing: run `make build` first", program.display());
    program.display().to_string()
}

async fn measure() -> Table {
    let program = program();
    let mut table = Table::default();
    // Operations of 0.05 s, of which the simulator says that one should ask every 10 ms. Answers come without delay.
    let world = World::with(settings()).await;
    if wanted("few") {
        sizes(&program, &mut table);
        starts(&world, &program, &mut table).await;
        one_workspace(&world, &program, &mut table).await;
        first_writes(&world, &program, &mut table).await;
        long_operation(&world, &program, &mut table).await;
    }
    if wanted("objects") {
        many_objects(&world, &program, &mut table).await;
    }
    if wanted("workspaces") {
        many_workspaces(&world, &program, &mut table).await;
    }
    if wanted("networks") {
        many_networks(&world, &program, &mut table).await;
    }
    table
}

/// True if the command line names this part, or none: `make bench ONLY=objects`.
fn wanted(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|name| name == part)
}

fn sizes(program: &str, table: &mut Table) {
    let bytes = std::fs::metadata(program).expect("the executable").len() as f64;
    table.held("executable, MiB", bytes / MIB, 1, "< 16", bytes < 16.0 * MIB);
    let output = Command::new(program).arg("crds").output().expect("the executable runs");
    assert!(output.status.success(), "crds fails");
    let bytes = output.stdout.len() as f64;
    table.held("all CRDs as YAML, kB", bytes / 1000.0, 0, "< 400", bytes < 400_000.0);
}

/// Start to ready, and memory of one that has nothing to do.
async fn starts(world: &World, program: &str, table: &mut Table) {
    let mut times = Vec::new();
    for _ in 0..TRIES {
        let (operator, time) = start_timed(world, program).await;
        times.push(time);
        stop(operator).await;
    }
    let time = median(&mut times);
    table.held("start to ready, empty cluster, ms (p50)", time, 0, "< 1000", time < 1000.0);
    let (operator, _) = start_timed(world, program).await;
    tokio::time::sleep(SETTLE).await;
    let memory = resident(&operator);
    stop(operator).await;
    match memory {
        Some(memory) => table.held("resident memory, idle, MiB", memory, 1, "< 16", memory < 16.0),
        None => table.told("resident memory", "not told by this system".into()),
    }
}

/// The connection, with a grant of every host of the rules.
fn connection(world: &World) -> Value {
    let mut connection = world.connection_manifest();
    let hosts = ["batch", "more", "single"].into_iter().flat_map(|group| (0..TRIES).map(move |i| host(group, i)));
    connection["spec"]["grants"][0]["egress"]["fqdns"] = hosts.collect();
    connection
}

fn host(group: &str, number: usize) -> String {
    format!("{group}-{number}.example.org")
}

/// A rule for a host of its own.
fn rule(world: &World, group: &str, number: usize) -> Value {
    world.fqdn(&format!("{group}-{number}"), &host(group, number))
}

/// Requests about one workspace: to create it, to bring it rules, and at rest.
async fn one_workspace(world: &World, program: &str, table: &mut Table) {
    let workspace = world.workspace_manifest();
    let operator = start(world, program, &[]).await;
    world.apply(connection(world)).await;
    world.until_reason(&world.connection_manifest(), "Available").await;
    let before = world.last_request();
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let count = Count::of(&world.azure.requests_since(before));
    table.told("ARM requests, new workspace to Secured: writes / reads / polls", count.to_string());

    let rules: Vec<Value> = (0..TRIES).map(|i| rule(world, "batch", i)).collect();
    let before = world.last_request();
    stream::iter(rules.clone()).for_each_concurrent(None, |rule| world.apply(rule)).await;
    until_active(world, &rules).await;
    let count = Count::of(&world.azure.requests_since(before));
    table.told(&format!("ARM writes, {TRIES} rules applied while it runs"), count.writes.to_string());
    stop(operator).await;

    let more: Vec<Value> = (0..TRIES).map(|i| rule(world, "more", i)).collect();
    stream::iter(more.clone()).for_each_concurrent(None, |rule| world.apply(rule)).await;
    let before = world.last_request();
    let operator = start(world, program, &["--resync", "1"]).await;
    until_active(world, &more).await;
    let count = Count::of(&world.azure.requests_since(before));
    table.held(
        &format!("ARM writes, {TRIES} rules there at the start"),
        count.writes as f64,
        0,
        "1",
        count.writes == 1,
    );

    world.until_reason(&workspace, "Secured").await;
    tokio::time::sleep(SETTLE).await;
    let before = world.last_request();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let requests = world.azure.requests_since(before);
    let looks = requests.iter().filter(|request| request.path.eq_ignore_ascii_case(&world.workspace_id())).count();
    assert!(looks > 0, "no resync in ten seconds");
    let count = Count::of(&requests);
    let reads = count.reads as f64 / looks as f64;
    table.held("ARM reads a resync, one workspace with 40 rules", reads, 1, "2", reads <= 2.0);
    table.held("ARM writes in 10 resyncs", count.writes as f64, 0, "0", count.writes == 0);
    stop(operator).await;
}

/// From the API server's answer to `apply` until the first write is at ARM.
async fn first_writes(world: &World, program: &str, table: &mut Table) {
    let operator = start(world, program, &[]).await;
    operator.ready().await;
    let workspace = world.workspace_manifest();
    world.until_reason(&workspace, "Secured").await;
    tokio::time::sleep(SETTLE).await;
    let mut times = Vec::new();
    for i in 0..TRIES {
        let rule = rule(world, "single", i);
        times.push(first_write(world, &rule).await);
        until_active(world, &[rule]).await;
    }
    let time = median(&mut times);
    table.held("apply of a rule to first ARM write, ms (p50)", time, 0, "< 100", time < 100.0);
    let mut times = Vec::new();
    for i in 0..TRIES {
        let mut another = workspace.clone();
        another["metadata"]["name"] = format!("another-{i}").into();
        times.push(first_write(world, &another).await);
        world.until_reason(&another, "Secured").await;
    }
    let time = median(&mut times);
    table.held("apply of a workspace to first ARM write, ms (p50)", time, 0, "< 100", time < 100.0);
    stop(operator).await;
}

/// Milliseconds from the answer to the application of `manifest` to the first write at ARM, by ARM's clock.
async fn first_write(world: &World, manifest: &Value) -> f64 {
    let before = world.last_request();
    world.apply(manifest.clone()).await;
    let applied = world.azure.clock().now_ms();
    let write = async || world.azure.requests_since(before).into_iter().find(|request| request.method != "GET");
    let write = until("the first write", write).await;
    (write.at - applied).max(0) as f64
}

/// Status writes while ARM builds a network for half an hour, which here passes a hundred times as fast, for both sides.
async fn long_operation(world: &World, program: &str, table: &mut Table) {
    world.azure.settings(|settings: &mut Settings| {
        settings.operation_seconds = OperationSeconds { provision: 1800.0, ..OperationSeconds::all(5.0) };
        settings.retry_after_ms = None;
        settings.clock_speed = 100.0;
    });
    let operator = start(world, program, &["--pace-factor", "0.01"]).await;
    operator.ready().await;
    let mut workspace = world.workspace_manifest();
    workspace["metadata"]["name"] = "long".into();
    let id = format!("{}/provisionManagedNetwork", world.workspace_id().replace("/fraud", "/long"));
    let writes = async || operator.metric("aml_operator_status_writes_total", "AmlWorkspace").await;
    world.apply(workspace.clone()).await;
    let posted =
        async || world.azure.requests().iter().any(|request| request.path.eq_ignore_ascii_case(&id)).then_some(());
    until("the long operation", posted).await;
    let before = writes().await;
    world.until_reason(&workspace, "Secured").await;
    let during = writes().await - before;
    table.held("status writes in a 30-minute operation", during, 0, "<= 4", during <= 4.0);
    stop(operator).await;
    world.azure.settings(|settings| *settings = support::settings());
}

async fn until_active(world: &World, rules: &[Value]) {
    for rule in rules {
        world.until_reason(rule, "Active").await;
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Requests by what they are for.
#[derive(Default)]
struct Count {
    writes: usize,
    reads: usize,
    /// Questions how an operation goes.
    polls: usize,
}

impl Count {
    fn of(requests: &[RequestEntry]) -> Self {
        let mut count = Self::default();
        for request in requests {
            let path = request.path.to_ascii_lowercase();
            let poll =
                ["operationsstatus", "operationstatus", "operationresults"].iter().any(|part| path.contains(part));
            *match request.method.as_str() {
                "GET" if poll => &mut count.polls,
                "GET" => &mut count.reads,
                _ => &mut count.writes,
            } += 1;
        }
        count
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {} / {}", self.writes, self.reads, self.polls)
    }
}
