//! The operator as a process of its own, with the rights that the chart gives it.

use std::fs;
use std::io;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use control_plane::Process;

use crate::support::{OPERATOR_NAMESPACE, control_plane, shared};

/// How long something may take before the caller gives up: generous, because it is no claim.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked. Short, because the time until something is seen is also measured.
const LOOK: Duration = Duration::from_millis(2);

static COUNTER: AtomicU32 = AtomicU32::new(1);

/// An operator process. It ends with the run at the latest.
pub(crate) struct Executable {
    process: Process,
    address: String,
    http: reqwest::Client,
}

impl Executable {
    /// Starts `program` as the instance `name` with `arguments` for its `run` command, and returns once it serves.
    pub(crate) async fn start(program: &str, name: &str, arguments: &[&str]) -> Self {
        let guard = control_plane().await.guard();
        let kubeconfig = guard.folder().join("operator.kubeconfig");
        fs::write(&kubeconfig, &shared().await.operator_kubeconfig).expect("the kubeconfig is written");
        let mut command = Command::new(program);
        command
            .args(["run", "--namespace", OPERATOR_NAMESPACE, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let process = guard.spawn(&format!("{name}-{number}"), command).expect("the operator starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut operator = Self { process, address: String::new(), http };
        operator.address = until("the operator serves", async || operator.announced()).await;
        operator
    }

    /// The address in the line that says where it serves, in either format of the log.
    fn announced(&self) -> Option<String> {
        let log = self.log();
        if let Some(status) = self.process.exited().expect("the system tells") {
            panic!("the operator has ended, {status}: {log}");
        }
        let (lines, _) = log.rsplit_once('\n')?;
        let line = lines.lines().find(|line| line.contains("serving health and metrics"))?;
        let (_, port) = line.split_once("127.0.0.1:")?;
        let end = port.find(|c: char| !c.is_ascii_digit()).unwrap_or(port.len());
        Some(format!("http://127.0.0.1:{}", &port[..end]))
    }

    /// All it has printed so far.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.process.log()).expect("the log can be read");
        String::from_utf8(bytes).expect("the log is text")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Status and body of one of its pages.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.http.get(format!("{}{path}", self.address)).send().await.expect("the operator answers");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        until("the operator is ready", async || (self.get("/readyz").await.0 == 200).then_some(())).await;
    }

    /// Sum of the metric `name` over all its labels that contain `label`.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, page) = self.get("/metrics").await;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            ((labels.is_empty() || labels.starts_with('{')) && labels.contains(label))
                .then(|| value.parse::<f64>().ok())?
        };
        page.lines().filter_map(value).sum()
    }

    /// Kills it where it stands.
    pub(crate) async fn kill(self) {
        tokio::task::spawn_blocking(move || self.process.kill()).await.expect("a thread").expect("it is killed");
    }

    /// Asks it to end; `None` if it had to be killed.
    pub(crate) async fn stop(&self) -> Option<ExitStatus> {
        let process = self.process.clone();
        let stop = move || -> io::Result<_> { process.terminate_and_wait(PATIENCE) };
        tokio::task::spawn_blocking(stop).await.expect("a thread").expect("the system ends it")
    }
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    asked.await.unwrap_or_else(|_| panic!("never came: {what}"))
}
