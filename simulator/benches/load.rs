//! How many requests a second the simulator answers, and in how much memory: `make bench-simulator` prints one table.
//!
//! The program runs as a process of its own with ten thousand resources; this one drives it over connections that stay
//! open, on the same machine, so that both share its cores. What is sent is written by hand and the answers are only
//! measured, so that little of the machine goes to this side.
//!
//! The rate means something only on a machine that does nothing else. The processor time of a request, of both sides,
//! hardly depends on that: what the cores would give if they had nothing else to do follows from it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a number that cannot be taken ends the run"
)]

use std::fmt::Write as _;
use std::io::BufRead;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const RESOURCES: usize = 10_000;
const GROUPS: usize = 10;
const CONNECTIONS: usize = 16;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(10);
const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000001";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const VERSION: &str = "api-version=2023-05-01";

fn group(number: usize) -> String {
    format!("{SUBSCRIPTION}/resourceGroups/rg{}", number % GROUPS)
}

fn account(number: usize) -> String {
    format!("{}/providers/Microsoft.Storage/storageAccounts/account{number}", group(number))
}

/// Storage accounts in some groups, and a reader of all of them.
fn seed() -> String {
    let subscription = SUBSCRIPTION.rsplit('/').next().expect("an id");
    let mut seed = format!(
        "servicePrincipals: [{{ tenantId: {TENANT}, clientId: c, objectId: o, secret: s }}]\n\
         subscriptions: [{{ subscriptionId: {subscription}, tenantId: {TENANT} }}]\n\
         roleAssignments: [{{ scope: /, role: Reader, principalId: o }}]\nresourceGroups:\n"
    );
    for number in 0..GROUPS {
        writeln!(seed, "- {{ subscriptionId: {subscription}, name: rg{number}, location: westeurope }}").expect("text");
    }
    seed.push_str("resources:\n");
    for number in 0..RESOURCES {
        writeln!(
            seed,
            "- {{ id: {}, location: westeurope, kind: StorageV2, sku: {{ name: Standard_LRS, tier: Standard }}, tags: \
             {{ team: t{} }}, properties: {{ publicNetworkAccess: Disabled, isHnsEnabled: true }} }}",
            account(number),
            number % 7
        )
        .expect("text");
    }
    seed
}

/// A connection that stays open.
struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(connector: &TlsConnector, address: &str) -> Self {
        let tcp = TcpStream::connect(address).await.expect("a connection");
        tcp.set_nodelay(true).expect("an option");
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        Self { stream: connector.connect(name, tcp).await.expect("TLS"), buffer: Vec::new() }
    }

    /// Sends a request and returns the answer's body.
    async fn ask(&mut self, request: &str) -> &[u8] {
        self.stream.write_all(request.as_bytes()).await.expect("a request is taken");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("an answer");
            assert!(read > 0, "the connection stays open");
            let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4) else {
                continue;
            };
            let head = std::str::from_utf8(&self.buffer[..end]).expect("a head");
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + length.and_then(|length| length.trim().parse::<usize>().ok()).expect("a length");
            while self.buffer.len() < whole {
                assert!(self.stream.read_buf(&mut self.buffer).await.expect("a body") > 0);
            }
            return &self.buffer[end..];
        }
    }
}

fn get(path: &str, token: &str) -> String {
    format!(
        "GET {path}?{VERSION} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
         User-Agent: load\r\nx-ms-client-request-id: 00000000-0000-0000-0000-000000000000\r\n\r\n"
    )
}

/// Asks on all connections until the time is over: how long each answer took.
async fn drive(connections: &mut Vec<Connection>, requests: &Arc<Vec<String>>, time: Duration) -> Vec<Duration> {
    let until = Instant::now() + time;
    let mut tasks = Vec::new();
    for (lane, mut connection) in connections.drain(..).enumerate() {
        let requests = requests.clone();
        tasks.push(tokio::spawn(async move {
            let mut took = Vec::new();
            // Each lane goes its own way through all of them.
            let mut at = lane * 617;
            while Instant::now() < until {
                let began = Instant::now();
                connection.ask(&requests[at % requests.len()]).await;
                took.push(began.elapsed());
                at += 7919;
            }
            (connection, took)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        let (connection, took) = task.await.expect("a lane");
        connections.push(connection);
        all.extend(took);
    }
    all.sort_unstable();
    all
}

/// Resident memory of a process in MiB, where the system tells.
fn resident(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// Processor time that a process has had, where the system tells. Linux counts it in hundredths of a second there,
/// whatever the processor (proc(5), USER_HZ).
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, with whatever is in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Processor time of the simulator and of this process.
fn processor_times(simulator: u32) -> Option<[Duration; 2]> {
    Some([processor_time(simulator)?, processor_time(std::process::id())?])
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn machine() -> String {
    let cores = cores();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    format!("{cores} cores, {}", model.map_or("unknown", |(_, model)| model.trim()))
}

/// What was measured of one kind of request.
struct Measured {
    /// How long each answer took, sorted.
    took: Vec<Duration>,
    /// Microseconds of processor time for each request: the simulator's and this side's.
    cost: Option<[f64; 2]>,
    /// Resident memory of the simulator in MiB.
    memory: Option<f64>,
}

fn print(what: &str, measured: &Measured) {
    let Measured { took, cost, memory } = measured;
    let rate = took.len() as f64 / MEASURED.as_secs_f64();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    let text = |number: Option<f64>| number.map_or_else(|| "-".into(), |number| format!("{number:.0}"));
    let [server, client] = [0, 1].map(|side| text(cost.map(|cost| cost[side])));
    let possible = text(cost.map(|[server, client]| cores() as f64 * 1e6 / (server + client)));
    println!(
        "| {what:<33} | {rate:>8.0} | {:>7.2} | {:>7.2} | {server:>9} | {client:>9} | {possible:>9} | {:>7} |",
        at(0.5),
        at(0.99),
        text(*memory)
    );
}

async fn measure(directory: &std::path::Path) {
    let seed_file = directory.join("seed.yaml");
    std::fs::write(&seed_file, seed()).expect("a seed");
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm-simulator"));
    command.args(["serve", "--tls-dir"]).arg(directory).arg("--seed").arg(&seed_file);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the simulator");
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().expect("output")).read_line(&mut line).expect("a line");
    let line: Value = serde_json::from_str(&line).expect("endpoints");
    let address = line["arm"].as_str().expect("an address").trim_start_matches("https://").to_owned();
    let idle = resident(child.id());

    let mut roots = rustls::RootCertStore::empty();
    let ca = std::fs::read(directory.join("ca.pem")).expect("a certificate");
    roots.add(CertificateDer::from_pem_slice(&ca).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(&connector, &address).await);
    }
    let form = "grant_type=client_credentials&client_id=c&client_secret=s&scope=https://management.azure.com/.default";
    let sign_in = format!(
        "POST /{TENANT}/oauth2/v2.0/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    let answer: Value = serde_json::from_slice(connections[0].ask(&sign_in).await).expect("a token");
    let token = answer["access_token"].as_str().expect("a token");

    println!("Machine: {}. {CONNECTIONS} connections, {RESOURCES} resources.", machine());
    println!("Resident memory before the first request: {:.0} MiB.\n", idle.unwrap_or_default());
    println!(
        "| GET of                            | a second | p50, ms | p99, ms | server us | client us | all cores | RSS MiB |"
    );
    println!(
        "| --------------------------------- | -------- | ------- | ------- | --------- | --------- | --------- | ------- |"
    );
    let single: Vec<String> = (0..RESOURCES).map(|number| get(&account(number), token)).collect();
    let list = |number| get(&format!("{}/providers/Microsoft.Storage/storageAccounts", group(number)), token);
    let lists: Vec<String> = (0..GROUPS).map(list).collect();
    for (what, requests) in [("one resource", single), ("a page of 100 of a group's 1,000", lists)] {
        let requests = Arc::new(requests);
        drive(&mut connections, &requests, WARM_UP).await;
        let before = processor_times(child.id());
        let took = drive(&mut connections, &requests, MEASURED).await;
        let after = processor_times(child.id());
        let cost = before.zip(after).map(|(before, after)| {
            [0, 1].map(|side| (after[side] - before[side]).as_secs_f64() * 1e6 / took.len() as f64)
        });
        print(what, &Measured { took, cost, memory: resident(child.id()) });
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

fn main() {
    // Only `cargo bench` says this. `cargo test --benches` starts the program too, to see that it can be started.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure(directory.path()));
}
