//! What the command line prints and how it ends.

use std::process::{Command, Output};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::PROGRAM;

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_clear().output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn crds_prints_a_document_for_each_kind() {
    let output = run(&["crds"]);
    assert!(output.status.success());
    let printed = text(&output.stdout);
    let mut kinds: Vec<String> = printed
        .split("---\n")
        .filter(|document| !document.trim().is_empty())
        .map(|document| serde_saphyr::from_str::<CustomResourceDefinition>(document).expect("a definition"))
        .map(|definition| definition.spec.names.kind)
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "AmlCompute",
            "AmlDatastore",
            "AmlOnlineEndpoint",
            "AmlWorkspace",
            "ApprovalDecision",
            "AzureConnection",
            "OutboundRule",
            "PrivateEndpointApproval",
            "SynapseLink",
            "VnetAttachment",
        ]
    );
    assert!(output.stderr.is_empty());
}

#[test]
fn crds_writes_a_file_for_each_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(&["crds", "--output-dir", &folder.path().display().to_string()]);
    assert!(output.status.success() && output.stdout.is_empty());
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().display().to_string())
        .collect();
    names.sort();
    let expected = [
        "amlcomputes",
        "amldatastores",
        "amlonlineendpoints",
        "amlworkspaces",
        "approvaldecisions",
        "azureconnections",
        "outboundrules",
        "privateendpointapprovals",
        "synapselinks",
        "vnetattachments",
    ];
    assert_eq!(names, expected.map(|name| format!("{name}.yaml")));
}

#[test]
fn help_names_every_command_and_option() {
    let general = text(&run(&["--help"]).stdout);
    assert!(general.contains("run") && general.contains("crds"), "{general}");
    let output = run(&["run", "--help"]);
    assert!(output.status.success());
    let help = text(&output.stdout);
    let options = [
        "--namespace",
        "--instance",
        "--installation-id",
        "--listen",
        "--log-level",
        "--log-format",
        "--resync",
        "--no-leader-election",
    ];
    for option in options {
        assert!(help.contains(option), "{option} is missing in {help}");
    }
    let version = text(&run(&["--version"]).stdout);
    assert_eq!(version.trim(), format!("aml-operator {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_arguments_are_refused_by_name() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "Usage"),
        (&["walk"], "'walk'"),
        (&["run", "--installation-id", "two words"], "1 to 63 letters, digits, dots and dashes"),
        (&["run", "--listen", "everywhere"], "--listen"),
        (&["run", "--resync", "hourly"], "--resync"),
        // Zero seconds between two looks would be no pause at all.
        (&["run", "--resync", "0"], "--resync"),
        (&["run", "--log-format", "xml"], "json, text"),
        (&["run", "--no-such-option"], "--no-such-option"),
    ];
    for (arguments, said) in cases {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_goes_wrong_at_the_start_is_told() {
    let cases: [(&[&str], &str); 3] = [
        (&["run"], "finding the cluster"),
        (&["run", "--log-level", "aml_operator=loud"], "aml_operator=loud"),
        (&["crds", "--output-dir", "/no/such/folder"], "/no/such/folder"),
    ];
    for (arguments, said) in cases {
        let output = run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
}
