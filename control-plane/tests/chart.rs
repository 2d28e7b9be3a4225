//! The chart on a real API server: it installs, its pod passes the restricted profile, and the operator's rights are
//! what it needs and no more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use control_plane::ControlPlane;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/aml-operator");
const OPERATOR: &str = "system:serviceaccount:operators:aml-operator";

#[tokio::test]
async fn the_chart_installs_with_the_least_rights() {
    let cluster = ControlPlane::start().await.unwrap();
    cluster.kubectl(&["create", "namespace", "operators"]).await.unwrap();
    cluster.kubectl(&["create", "namespace", "team"]).await.unwrap();
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", "operators", restricted]).await.unwrap();
    cluster.kubectl(&["create", "rolebinding", "dev", "-n", "team", "--clusterrole=edit", "--user=dev"]).await.unwrap();

    let values = "replicas=2,networkPolicy.enabled=true,workloadIdentity.clientId=11111111-2222-3333-4444-555555555555";
    cluster.helm(&["install", "aml-operator", CHART, "-n", "operators", "--set", values]).await.unwrap();

    // Nobody runs pods here, so the pod that the deployment would make is offered to admission.
    let template = ["get", "deployment", "aml-operator", "-n", "operators", "-o", "jsonpath={.spec.template.spec}"];
    let spec = cluster.kubectl(&template).await.unwrap();
    let pod = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p","namespace":"operators"}},"spec":{spec}}}"#
    );
    cluster.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], &pod).await.unwrap();

    let own = "aml-operator.io";
    for (verb, group, resource, namespace) in [
        ("list", own, "azureconnections", ""),
        ("watch", own, "amlworkspaces", ""),
        ("patch", own, "outboundrules", "team"),
        ("patch", own, "privateendpointapprovals/status", "team"),
        ("watch", own, "approvaldecisions", ""),
        ("list", "", "namespaces", ""),
        ("create", "events.k8s.io", "events", "team"),
        ("create", "", "secrets", "operators"),
        ("watch", "", "secrets", "operators"),
        ("update", "coordination.k8s.io", "leases", "operators"),
    ] {
        assert!(may(&cluster, OPERATOR, verb, group, resource, namespace).await, "needs {verb} {resource}");
    }
    for (verb, group, resource, namespace) in [
        ("get", "", "secrets", "team"),
        ("list", "", "secrets", ""),
        ("create", "", "configmaps", "team"),
        ("create", own, "outboundrules", "team"),
        ("update", own, "amlworkspaces", "team"),
        ("create", own, "approvaldecisions", "team"),
        ("approve", own, "privateendpointapprovals", "team"),
        ("list", "admissionregistration.k8s.io", "validatingadmissionpolicies", ""),
        ("update", "admissionregistration.k8s.io", "validatingadmissionpolicies", ""),
        ("delete", own, "amlworkspaces", "team"),
        ("patch", own, "azureconnections/finalizers", ""),
        ("list", "apiextensions.k8s.io", "customresourcedefinitions", ""),
        ("patch", "", "namespaces", "team"),
        ("create", "rbac.authorization.k8s.io", "rolebindings", "team"),
        ("update", "coordination.k8s.io", "leases", "team"),
        ("create", "", "pods", "operators"),
    ] {
        assert!(!may(&cluster, OPERATOR, verb, group, resource, namespace).await, "must not {verb} {resource}");
    }

    // Who may edit a namespace may edit the team's kinds in it, once kube-controller-manager has put the roles together.
    let start = Instant::now();
    while !may(&cluster, "dev", "create", own, "outboundrules", "team").await {
        assert!(start.elapsed() < Duration::from_secs(60), "the role is not part of `edit`");
    }
    assert!(!may(&cluster, "dev", "get", own, "azureconnections", "").await);
    assert!(!may(&cluster, "dev", "approve", own, "privateendpointapprovals", "team").await, "editing is not deciding");
    assert!(!may(&cluster, "dev", "update", own, "outboundrules/status", "team").await);
}

#[test]
fn values_nobody_knows_are_refused() {
    let tools = control_plane::tools::ensure().unwrap();
    for wrong in ["replcas=2", "crds.kep=true", "workloadIdentity.clientId=me", "image.digest=latest"] {
        let mut helm = std::process::Command::new(&tools.helm);
        let output = helm.args(["template", "x", CHART, "--set", wrong]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains("schema"), "{wrong}: {message}");
    }
}

async fn may(cluster: &ControlPlane, user: &str, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = format!(
        r#"{{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{{"user":"{user}",
        "groups":["system:authenticated"],"resourceAttributes":{{"verb":"{verb}","group":"{group}",
        "resource":"{resource}","subresource":"{subresource}","namespace":"{namespace}"}}}}}}"#
    );
    let args = ["create", "-f", "-", "-o", "jsonpath={.status.allowed}"];
    match cluster.kubectl_with_input(&args, &review).await.unwrap().as_str() {
        "true" => true,
        "false" => false,
        other => panic!("neither yes nor no: {other}"),
    }
}
