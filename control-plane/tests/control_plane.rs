//! A control plane starts, works, and leaves nothing behind, however it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::{ControlPlane, Guard};

const DEFINITION: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lakes.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Lake, plural: lakes}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {depth: {type: integer}}
            x-kubernetes-validations: [{rule: self.depth > 0, message: a lake is deep}]
";

fn lake(name: &str, depth: i32) -> String {
    format!(
        "{{apiVersion: example.org/v1, kind: Lake, metadata: {{name: {name}, namespace: waters}}, spec: {{depth: {depth}}}}}"
    )
}

#[tokio::test]
async fn it_serves_as_a_cluster_does() {
    let cluster = ControlPlane::start().await.unwrap();
    cluster.kubectl_with_input(&["apply", "-f", "-"], DEFINITION).await.unwrap();
    cluster.kubectl(&["wait", "--for=condition=Established", "crd/lakes.example.org"]).await.unwrap();
    cluster.kubectl(&["create", "namespace", "waters"]).await.unwrap();
    cluster.kubectl_with_input(&["apply", "-f", "-"], &lake("good", 3)).await.unwrap();

    // The schema is enforced, and the answer reaches the caller.
    let error = cluster.kubectl_with_input(&["apply", "-f", "-"], &lake("flat", 0)).await.unwrap_err();
    assert!(error.to_string().contains("a lake is deep"), "{error}");

    // A service account has its own rights and no more, also with its own kubeconfig.
    cluster.kubectl(&["create", "serviceaccount", "reader", "-n", "waters"]).await.unwrap();
    let role = ["create", "role", "reader", "-n", "waters", "--verb=get", "--resource=lakes.example.org"];
    cluster.kubectl(&role).await.unwrap();
    let binding =
        ["create", "rolebinding", "reader", "-n", "waters", "--role=reader", "--serviceaccount=waters:reader"];
    cluster.kubectl(&binding).await.unwrap();
    let reader = cluster.guard().folder().join("reader");
    fs::write(&reader, cluster.service_account_kubeconfig("waters", "reader").await.unwrap()).unwrap();
    let as_reader = format!("--kubeconfig={}", reader.display());
    cluster.kubectl(&[&as_reader, "get", "lake", "good", "-n", "waters"]).await.unwrap();
    let error = cluster.kubectl(&[&as_reader, "get", "secrets", "-n", "waters"]).await.unwrap_err().to_string();
    assert!(error.contains("Forbidden") && error.contains("system:serviceaccount:waters:reader"), "{error}");

    // Only kube-controller-manager empties a namespace and lets it go.
    cluster.kubectl(&["delete", "namespace", "waters", "--timeout=60s"]).await.unwrap();
    let error = cluster.kubectl(&["get", "namespace", "waters"]).await.unwrap_err().to_string();
    assert!(error.contains("NotFound"), "{error}");

    let (folder, url) = (cluster.guard().folder().to_owned(), cluster.url().to_owned());
    drop(cluster);
    assert_nothing_left(&folder, &url);
}

#[test]
fn killed_it_leaves_nothing() {
    let mut parent =
        Command::new(env!("CARGO_BIN_EXE_control-plane")).arg("run").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let kubeconfig = PathBuf::from(line.trim());
    let content = fs::read_to_string(&kubeconfig).unwrap();
    let url = content.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap().to_owned();
    let folder = kubeconfig.parent().unwrap();
    assert!(listens(&url) && !processes_of(folder).is_empty());

    parent.kill().unwrap();
    parent.wait().unwrap();
    let start = Instant::now();
    while folder.exists() || listens(&url) || !processes_of(folder).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "still there: {folder:?} {:?}", processes_of(folder));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_process_that_does_not_end_when_asked_is_killed() {
    let guard = Guard::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' TERM; echo deaf; while :; do sleep 60; done"]);
    let deaf = guard.spawn("deaf", command).unwrap();
    while fs::read_to_string(deaf.log()).unwrap().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(deaf.terminate_and_wait(Duration::from_millis(50)).unwrap(), None);
    assert!(deaf.exited().unwrap().is_some());

    let mut command = Command::new("sh");
    command.args(["-c", "trap 'exit 7' TERM; echo polite; while :; do sleep 0.01; done"]);
    let polite = guard.spawn("polite", command).unwrap();
    while fs::read_to_string(polite.log()).unwrap().is_empty() {
        std::thread::yield_now();
    }
    let status = polite.terminate_and_wait(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn without_go_and_programs_it_says_what_to_do() {
    let run = |assets: Option<&Path>| {
        let empty = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane"));
        command.arg("tools").env_clear().env("PATH", empty.path()).env("HOME", empty.path());
        if let Some(assets) = assets {
            command.env("KUBEBUILDER_ASSETS", assets);
        }
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let message = run(None);
    assert!(message.contains("install Go 1.26") && message.contains("set KUBEBUILDER_ASSETS"), "{message}");
    let empty = tempfile::tempdir().unwrap();
    let message = run(Some(empty.path()));
    assert!(message.contains("there is no kube-apiserver in it"), "{message}");
}

fn assert_nothing_left(folder: &Path, url: &str) {
    assert!(!folder.exists());
    assert!(!listens(url));
    assert_eq!(processes_of(folder), Vec::<String>::new());
}

fn listens(url: &str) -> bool {
    TcpStream::connect(url.strip_prefix("https://").unwrap()).is_ok()
}

/// The command lines that name the folder: all the programs, and the watchdog.
fn processes_of(folder: &Path) -> Vec<String> {
    let output = Command::new("ps").args(["-eo", "args"]).output().unwrap();
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    list.lines().filter(|line| line.contains(folder.to_str().unwrap())).map(str::to_owned).collect()
}
