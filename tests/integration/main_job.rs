//! From applied manifests to a secured workspace.

use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition};

#[tokio::test(flavor = "multi_thread")]
async fn manifests_become_a_secured_workspace() {
    let world = World::new().await;
    let hub = World::endpoint(&world.subscription, "hub", "lake-1");
    let stranger = World::endpoint(FOREIGN, "hub", "lake-1");
    world.knock(&world.lake(), &hub);
    world.knock(&world.lake(), &stranger);
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    let lake = world.lake_rule("datalake");
    let monitor = world.rule_manifest(
        "monitor",
        &json!({"serviceTag": {"tag": "AzureMonitor", "protocol": "TCP", "portRanges": "443"}}),
    );
    let pytorch = world.fqdn("pytorch", "*.pytorch.org");
    let approval = world.approval_manifest();
    for manifest in [&world.connection_manifest(), &workspace, &lake, &monitor, &pytorch, &approval] {
        world.apply(manifest.clone()).await;
    }

    let ready = world.until_reason(&workspace, "Secured").await;
    assert_eq!(ready["status"]["network"], "Active");
    assert_eq!(ready["status"]["isolationMode"], "AllowOnlyApprovedOutbound");
    for rule in [&monitor, &pytorch] {
        world.until_reason(rule, "Active").await;
    }
    let waiting = world.until_reason(&lake, "ApproverRoleMissing").await;
    let command = waiting["status"]["missingRole"]["command"].as_str().unwrap_or_default();
    let principal = world.principal().await;
    assert!(
        command.starts_with("az role assignment create")
            && command.contains(&principal)
            && command.contains(&world.lake()),
        "{command}"
    );
    assert_eq!(condition(&world.read(&workspace).await.unwrap(), "RulesReady")["status"], "False");

    world.grant(&world.lake(), "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &principal);
    world.until_reason(&lake, "Active").await;
    let done =
        world.until(&workspace, "all rules ready", |object| condition(object, "RulesReady")["status"] == "True").await;
    assert_eq!(done["status"]["rules"], "3/3");
    let names =
        [(world.mark.clone(), "MARK"), (world.subscription.clone(), "SUBSCRIPTION"), (principal.clone(), "PRINCIPAL")];
    let lasting = |object: &Value| {
        let mut text = object["status"].to_string();
        for (name, stands) in &names {
            text = text.replace(name, stands);
        }
        let mut status: Value = serde_json::from_str(&text).expect("JSON");
        // The posture has tests of its own; what it says here depends on when one looks.
        if let Some(members) = status.as_object_mut() {
            members.remove("posture");
        }
        if let Some(conditions) = status["conditions"].as_array_mut() {
            conditions.retain(|condition| condition["type"] != "Secure");
        }
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastTransitionTime"] = json!("TIME");
        }
        for field in ["workspaceId", "azureName"] {
            if status[field].is_string() {
                status[field] = json!("NAME");
            }
        }
        status
    };
    insta::assert_json_snapshot!("rule_without_its_role", lasting(&waiting));
    insta::assert_json_snapshot!("rule_in_force", lasting(&world.read(&lake).await.expect("the rule")));
    insta::assert_json_snapshot!("workspace_secured", lasting(&done));

    let approved = world
        .until(&approval, "one approved, one unmatched", |object| {
            object["status"]["approved"] == 1 && object["status"]["unmatched"] == 1
        })
        .await;
    assert_eq!(condition(&approved, "Ready")["reason"], "InForce");
    let pending = condition(&approved, "ConnectionsPending");
    assert_eq!(pending["status"], "True");
    assert!(pending["message"].as_str().unwrap_or_default().contains(&stranger), "{pending}");
    operator.stop().await;
}
