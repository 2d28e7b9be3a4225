use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::lab::{GROUP, SUB, TENANT};

fn serve(listen: &str, directory: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm-simulator"));
    command.args(["serve", "--listen", listen, "--tls-dir"]).arg(directory).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn the_program_says_where_it_answers_and_ends_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let seed = directory.path().join("seed.yaml");
    let text = format!(
        "servicePrincipals: [{{ tenantId: {TENANT}, clientId: c, objectId: o, secret: s }}]\n\
         subscriptions: [{{ subscriptionId: {SUB}, tenantId: {TENANT} }}]\n\
         resourceGroups: [{{ subscriptionId: {SUB}, name: rg1, location: westeurope }}]\n\
         roleAssignments: [{{ scope: /, role: Reader, principalId: o }}]\n"
    );
    std::fs::write(&seed, text).unwrap();
    let settings = directory.path().join("settings.json");
    std::fs::write(&settings, r#"{ "clockSpeed": 0 }"#).unwrap();
    let mut command = serve("127.0.0.1:0", directory.path());
    let mut child = command.arg("--seed").arg(&seed).arg("--settings").arg(&settings).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let at = |name: &str| line[name].as_str().unwrap().to_owned();

    let pem = std::fs::read(at("ca")).unwrap();
    let ca = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let form = "grant_type=client_credentials&client_id=c&client_secret=s&scope=https://management.azure.com/.default";
    let token = client.post(format!("{}/{TENANT}/oauth2/v2.0/token", at("authority"))).body(form).send().await.unwrap();
    let token: Value = token.json().await.unwrap();
    let group = client.get(format!("{}{GROUP}?api-version=2021-04-01", at("arm")));
    let group = group.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(group.status(), 200);
    let clock: Value = client.get(format!("{}/clock", at("control"))).send().await.unwrap().json().await.unwrap();
    assert_eq!(clock["speed"], 0.0);

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn the_program_refuses_to_serve_the_network() {
    let directory = tempfile::tempdir().unwrap();
    let output = serve("0.0.0.0:0", directory.path()).output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
}

/// The program with what it printed first.
async fn started(arguments: &[&str]) -> (tokio::process::Child, tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let mut child = serve("127.0.0.1:0", directory.path()).args(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    (child, directory, line)
}

async fn control(line: &str, what: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    let ca = reqwest::Certificate::from_pem(&std::fs::read(line["ca"].as_str().unwrap()).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let url = format!("{}/{what}", line["control"].as_str().unwrap());
    client.get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn clock_chance_world_and_faults_can_be_said_when_it_starts() {
    let plan = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(plan.path(), "- { path: workspaces, action: { kind: endlessOperation } }").unwrap();
    let plan = plan.path().to_str().unwrap();
    for (clock, speed) in [("real", 1.0), ("by-hand", 0.0), ("60", 60.0)] {
        let arguments = ["--clock", clock, "--seed-number", "7", "--world", "hub-spoke", "--faults", plan];
        let (_child, _directory, line) = started(&arguments).await;
        assert_eq!(control(&line, "clock").await["speed"], speed, "{clock}");
        assert_eq!(control(&line, "settings").await["randomSeed"], 7);
        assert_eq!(control(&line, "faults").await[0]["action"]["kind"], "endlessOperation");
        let state = control(&line, "state").await;
        let groups: Vec<&String> = state["resourceGroups"].as_object().unwrap().keys().collect();
        assert!(groups.iter().any(|id| id.ends_with("/rg-hub")), "{groups:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let refused = serve("127.0.0.1:0", directory.path()).args(["--clock", "-1"]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[tokio::test]
async fn it_explains_how_to_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = serve("127.0.0.1:0", directory.path());
    let mut child = command.args(["--world", "hub-spoke", "--explain"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut text = String::new();
    while !text.contains("_simulator/clock") {
        text += &(lines.next_line().await.unwrap().unwrap() + "\n");
    }
    for said in [
        "az cloud register --name Simulator --endpoint-resource-manager https://127.0.0.1:",
        "--username 44444444-4444-4444-4444-444444444444 --password not-a-secret",
        "ARM_SUBSCRIPTION_ID=00000000-0000-0000-0000-000000000001",
        "ca.pem",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}
