//! What people see who ask with kubectl.

use std::time::Duration;

use crate::support::{FOREIGN, World, control_plane};

/// The words of each line that `kubectl` prints, but for the last one, the age.
fn table(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().map(ToOwned::to_owned).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_tells_how_things_stand() {
    let world = World::new().await;
    let stranger = World::endpoint(FOREIGN, "hub", "lake-1");
    world.knock(&world.lake(), &stranger);
    let operator = world.operator().await;
    let (workspace, rule, policy) =
        (world.workspace_manifest(), world.lake_rule("datalake"), world.approval_manifest());
    let connection = world.connection_manifest();
    for manifest in [&connection, &workspace, &rule, &policy] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&rule, "ApproverRoleMissing").await;
    world.until(&workspace, "the rules are counted", |object| object["status"]["rules"] == "0/1").await;
    world.until(&policy, "the stranger is seen", |object| object["status"]["unmatched"] == 1).await;
    world.until(&connection, "its users are counted", |object| object["status"]["users"] == 3).await;
    operator.stop().await;

    let selector = format!("test={}", world.mark);
    let shown = control_plane().await.kubectl(&["get", "amlconn,amlws,amlor,amlpea", "-A", "-l", &selector]).await;
    let mut shown = table(&shown.expect("kubectl answers"));
    for line in &mut shown {
        // The age differs from run to run.
        assert!(line.pop().is_some());
    }
    let (connection, team, platform) = (world.connection.as_str(), world.team.as_str(), world.platform.as_str());
    let connection = format!("azureconnection.aml-operator.io/{connection}");
    let expected: Vec<Vec<&str>> = vec![
        vec!["NAME", "READY", "STATUS", "CLOUD", "USERS"],
        vec![&connection, "True", "Available", "Custom", "3"],
        vec!["NAMESPACE", "NAME", "READY", "STATUS", "ISOLATION", "NETWORK", "RULES"],
        vec![
            team,
            "amlworkspace.aml-operator.io/fraud",
            "True",
            "Secured",
            "AllowOnlyApprovedOutbound",
            "Active",
            "0/1",
        ],
        vec!["NAMESPACE", "NAME", "READY", "STATUS", "TYPE", "DESTINATION"],
        vec![
            team,
            "outboundrule.aml-operator.io/datalake",
            "False",
            "ApproverRoleMissing",
            "PrivateEndpoint",
            "lake/dfs",
        ],
        vec!["NAMESPACE", "NAME", "READY", "STATUS", "APPROVED", "PENDING", "UNMATCHED"],
        vec![platform, "privateendpointapproval.aml-operator.io/lake", "True", "InForce", "0", "1", "1"],
    ];
    assert_eq!(shown, expected);
}

/// What kubectl explains of `field`. The API server publishes the schemas of new definitions a little after it takes them.
async fn explained(field: &str) -> String {
    let mut last = None;
    for _ in 0..300 {
        match control_plane().await.kubectl(&["explain", field]).await {
            Ok(text) => return text,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{field} is never explained: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explain_reads_like_documentation() {
    for (field, words) in [
        ("amlworkspace", ["One Azure Machine Learning workspace", "spec"].as_slice()),
        (
            "amlworkspace.spec.managedNetwork",
            &[
                "The network that Azure manages",
                "cannot be taken back",
                "Azure Firewall",
                "required, unless",
                "enum: Disabled",
            ],
        ),
        ("outboundrule.spec.fqdn", &["A host name", "80 and 443", "starts an Azure Firewall"]),
        ("azureconnection.spec.grants.scope", &["whole ARM segments", "resourceGroups/fraud-rg"]),
        (
            "privateendpointapproval.spec.allow.privateEndpoint",
            &["by what ARM itself states of it", "full ARM id", "ownSubscriptions"],
        ),
    ] {
        let text = explained(field).await;
        // Lines are wrapped where the terminal ends.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "{field}: {word:?} is not in: {text}");
        }
    }
}
