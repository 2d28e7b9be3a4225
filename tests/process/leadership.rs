//! Two operators on one cluster.

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use kube::config::Kubeconfig;
use serde_json::Value;

use crate::executable::{Executable, until};
use crate::support::{OPERATOR_NAMESPACE, World, shared};
use crate::{CLUSTER, PROGRAM};

const LEADER: &str = "aml_operator_leader";

fn holder(lease: &Lease) -> Option<String> {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_the_other_takes_over_at_once() {
    let _alone = CLUSTER.lock().await;
    let world = World::new().await;
    let installation = format!("installation-{}", world.mark);
    // JSON is the default; at this level, requests are logged too.
    let arguments = ["--installation-id", &installation, "--pace-factor", "0.002", "--log-level", "debug"];
    let first = Executable::start(PROGRAM, "first", &arguments).await;
    until("the first leads", async || (first.metric(LEADER, "").await == 1.0).then_some(())).await;
    let second = Executable::start(PROGRAM, "second", &arguments).await;
    for operator in [&first, &second] {
        operator.ready().await;
        assert_eq!(operator.get("/healthz").await.0, 200);
        assert_eq!(operator.get("/metrics").await.0, 200);
    }

    let workspace = world.workspace_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), OPERATOR_NAMESPACE);
    let lease = leases.get("aml-operator").await.expect("the lease");
    assert_eq!(holder(&lease).as_deref(), Some("first"));
    assert_eq!(second.metric(LEADER, "").await, 0.0);
    assert!(first.metric("azure_requests_total", "").await > 0.0);
    assert_eq!(second.metric("azure_requests_total", "").await, 0.0, "one who follows does nothing");

    let version = lease.metadata.resource_version.unwrap_or_default();
    let only = WatchParams::default().fields("metadata.name=aml-operator");
    let changes = leases.watch(&only, &version).await.expect("a watch");
    let status = first.stop().await;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", first.log());
    until("the second leads", async || (second.metric(LEADER, "").await == 1.0).then_some(())).await;
    let holders: Vec<Option<String>> = changes
        .filter_map(async |change| match change {
            Ok(WatchEvent::Modified(lease)) => Some(holder(&lease)),
            _ => None,
        })
        .take_while(|holder| futures::future::ready(holder.as_deref() != Some("second")))
        .collect()
        .await;
    assert_eq!(holders.last(), Some(&None), "the lease was given up, so nobody waited for it to expire");

    let rule = world.fqdn("pypi", "pypi.org");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "Active").await;
    let status = second.stop().await;
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", second.log());

    let kubeconfig = Kubeconfig::from_yaml(&shared().await.operator_kubeconfig).expect("a kubeconfig");
    let kubeconfig = serde_json::to_value(&kubeconfig).expect("JSON");
    let token = kubeconfig["users"][0]["user"]["token"].as_str().expect("a token").to_owned();
    for operator in [&first, &second] {
        let log = operator.log();
        assert!(log.contains("leading"), "{log}");
        for line in log.lines() {
            let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(parsed["level"].is_string() && parsed["timestamp"].is_string(), "{line}");
            for secret in ["not-a-secret", token.as_str(), "Bearer ey", "bearer ey"] {
                assert!(!line.contains(secret), "{line}");
            }
        }
    }
}
