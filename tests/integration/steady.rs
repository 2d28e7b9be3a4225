//! Once all is as declared, nothing is written any more; and what is changed behind the operator's back is put right.

use serde_json::{Value, json};

use crate::support::{World, condition, settings};
use arm_simulator::{ApproverMissing, RuleMapPatch, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_written_and_two_reads_see_it_all() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org")]).await;
    world.rest().await;
    world.azure.clear_requests();
    let before = world.read(&world.workspace_manifest()).await.unwrap();
    world.rest().await;
    operator.stop().await;

    assert_eq!(world.written(), Vec::<String>::new());
    let after = world.read(&world.workspace_manifest()).await.unwrap();
    assert_eq!(
        after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
        "no status is written either"
    );
    let requests = world.azure.requests();
    let own = world.workspace_id().to_lowercase();
    let of = |suffix: &str| requests.iter().filter(|r| r.path.to_lowercase() == format!("{own}{suffix}")).count();
    let (workspace, rules) = (of(""), of("/outboundrules"));
    assert!(workspace >= 2, "some resyncs went by");
    assert!(workspace.abs_diff(rules) <= 1, "one GET and one LIST each resync: {workspace} and {rules}");
    let others: Vec<&str> =
        requests.iter().map(|r| r.path.as_str()).filter(|path| !path.to_lowercase().starts_with(&own)).collect();
    // For the posture: storage account, key vault, Application Insights, and what the identity may approve, once each resync.
    for read in ["/frauddata", "/fraudkeys", "/fraudinsights", "/roleAssignments"] {
        let times = others.iter().filter(|path| path.ends_with(read)).count();
        assert!((1..=workspace + 1).contains(&times), "{read} is read {times} times in {workspace} turns");
    }
    assert!(others.len() <= 4 * (workspace + 1), "nothing else is read at rest: {others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rules_come_in_one_write() {
    let world = World::new().await;
    world.apply(world.connection_manifest()).await;
    world.apply(world.workspace_manifest()).await;
    let rules = [world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org"), world.fqdn("c", "c.example.org")];
    for rule in &rules {
        world.apply(rule.clone()).await;
    }
    let operator = world.operator().await;
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    operator.stop().await;
    let about_rules = world.writes().into_iter().filter(|request| {
        request.path.contains("outboundRules")
            || request.body.as_ref().is_some_and(|body| body.to_string().contains("outboundRules"))
    });
    assert_eq!(about_rules.count(), 1, "{:?}", world.written());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_status_comes_back_without_a_write_to_azure() {
    let world = World::new().await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", "lake-1"));
    let operator = world.operator().await;
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    world.secured(std::slice::from_ref(&rule)).await;
    let approval = world.approval_manifest();
    world.apply(approval.clone()).await;
    world.until(&approval, "approved", |object| object["status"]["approved"] == 1).await;
    world.rest().await;
    world.azure.clear_requests();
    let objects = [world.connection_manifest(), world.workspace_manifest(), rule, approval];
    let mut before = Vec::new();
    for object in &objects {
        before.push(timeless(&world.read(object).await.unwrap()));
        world.overwrite_status(object, &json!({})).await;
    }
    for (object, before) in objects.iter().zip(before) {
        world.until(object, "the same status again", |object| timeless(object) == before).await;
    }
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

/// The status without times and drift, which are history.
fn timeless(object: &Value) -> Value {
    let mut status = object["status"].clone();
    if let Some(status) = status.as_object_mut() {
        status.remove("drift");
        for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
            condition["lastTransitionTime"] = Value::Null;
        }
        let posture = status.get_mut("posture").and_then(|posture| posture.get_mut("findings"));
        for finding in posture.and_then(Value::as_array_mut).into_iter().flatten() {
            finding["since"] = Value::Null;
        }
    }
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_status_leads_nowhere() {
    let world = World::new().await;
    let workspace = world.workspace_manifest();
    let first = world.operator().await;
    world.secured(&[]).await;
    first.stop().await;
    world.azure.clear_requests();
    let evil = json!({"operations": [{
        "id": world.workspace_id(), "verb": "PATCH", "bodyHash": "x", "startedAt": "2026-01-01T00:00:00Z",
        "url": "https://evil.example.org/subscriptions/x/operations/1"
    }]});
    world.overwrite_status(&workspace, &evil).await;
    let second = world.operator().await;
    world
        .until(&workspace, "the truth again", |object| {
            object["status"]["operations"].is_null() && condition(object, "Ready")["reason"] == "Secured"
        })
        .await;
    assert_eq!(world.written(), Vec::<String>::new());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_behind_the_back_is_put_right_and_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rules = [world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org")];
    world.secured(&rules).await;
    let name = world.read(&rules[0]).await.unwrap()["status"]["azureName"].as_str().unwrap().to_owned();
    world.rest().await;
    world.lose_rule(&name).await;
    world
        .until(&rules[0], "the lost rule is back", |object| {
            condition(object, "Ready")["reason"] == "Active"
                && object["status"]["drift"].as_array().is_some_and(|drift| !drift.is_empty())
        })
        .await;
    assert!(world.rules_in_azure().contains_key(&name));

    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    let put_right = world
        .until(&world.workspace_manifest(), "public access off again", |object| {
            condition(object, "Ready")["reason"] == "Secured"
                && object["status"]["drift"].as_array().is_some_and(|drift| !drift.is_empty())
        })
        .await;
    assert_eq!(put_right["status"]["drift"][0]["field"], "properties.publicNetworkAccess");
    assert_eq!(put_right["status"]["drift"][0]["found"], "Enabled");
    assert_eq!(put_right["status"]["drift"][0]["wanted"], "Disabled");
    let told = ("Drift".to_owned(), "properties.publicNetworkAccess is Enabled, declared Disabled".to_owned());
    world.eventually("the event", async || world.told("fraud", true).await.contains(&told)).await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_rule_is_left_alone_and_listed() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[world.fqdn("pytorch", "*.pytorch.org")]).await;
    world.put_rule("strangers-rule", "stranger.example.org").await;
    world
        .until(&world.workspace_manifest(), "the stranger's rule is listed", |object| {
            object["status"]["unmanagedRules"] == json!(["strangers-rule"])
        })
        .await;
    let more = [world.fqdn("a", "a.example.org"), world.fqdn("b", "b.example.org")];
    for rule in &more {
        world.apply(rule.clone()).await;
    }
    for rule in &more {
        world.until_reason(rule, "Active").await;
    }
    assert!(world.rules_in_azure().contains_key("strangers-rule"));
    operator.stop().await;
}

/// Whatever ARM does where no source tells, the end is the same.
#[tokio::test(flavor = "multi_thread")]
async fn merge_or_replace_refuse_or_pending_make_no_difference_in_the_end() {
    for (patch, missing) in [
        (RuleMapPatch::Merge, ApproverMissing::Pending),
        (RuleMapPatch::Replace, ApproverMissing::Refuse),
        (RuleMapPatch::Replace, ApproverMissing::Pending),
    ] {
        let world = World::with(Settings { rule_map_patch: patch, approver_missing: missing, ..settings() }).await;
        let operator = world.operator().await;
        world.secured(&[world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org")]).await;
        let lake = world.lake_rule("datalake");
        world.apply(lake.clone()).await;
        world.until_reason(&lake, "ApproverRoleMissing").await;
        world.grant(&world.lake(), "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &world.principal().await);
        world.until_reason(&lake, "Active").await;
        assert_eq!(world.rules_in_azure().len(), 3, "{patch:?} {missing:?}");
        operator.stop().await;
    }
}

/// The status writes of the workspaces of one operator so far.
fn status_writes(metrics: &aml_operator::telemetry::Metrics) -> u32 {
    let text = metrics.encode().expect("metrics");
    let line =
        text.lines().find(|line| line.starts_with("aml_operator_status_writes_total") && line.contains("AmlWorkspace"));
    line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |count| count as u32)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_operation_costs_few_status_writes() {
    let mut slow = settings();
    slow.operation_seconds.provision = 1800.0;
    let world = World::with(slow).await;
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let reason = |wanted: &'static str| move |object: &Value| condition(object, "Ready")["reason"] == wanted;
    world.until(&workspace, "the workspace is created", reason("Creating")).await;
    let before = status_writes(&operator.metrics);
    world
        .until(&workspace, "provisioning", |object| {
            object["status"]["operations"][0]["verb"] == "POST provisionManagedNetwork"
                && object["status"]["operations"][0]["url"].is_string()
        })
        .await;
    let polls = || world.azure.requests().iter().filter(|request| request.path.contains("OperationsStatus")).count();
    let seen = polls();
    world.eventually("many polls", || async { polls() > seen + 20 }).await;
    world.azure.clock().advance(std::time::Duration::from_secs(1800));
    world.until(&workspace, "the end", reason("Secured")).await;
    let writes = status_writes(&operator.metrics) - before;
    assert!(writes <= 5, "the creation's end and the whole of provisioning: {writes} status writes");
    operator.stop().await;
}

/// An Azure that says yes and does nothing is not asked all the time.
#[tokio::test(flavor = "multi_thread")]
async fn what_azure_takes_without_showing_it_is_sent_later_each_time() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    world.rest().await;
    world.azure.clear_requests();
    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    world.azure.add_fault(arm_simulator::Fault::status(200, "").method("PATCH").path("workspaces/fraud").always());
    let workspace = world.workspace_manifest();
    let told =
        world.until(&workspace, "the reason", |object| condition(object, "Ready")["reason"] == "AzureRefused").await;
    assert!(condition(&told, "Ready")["message"].as_str().unwrap_or_default().contains("without showing"));
    world.rest().await;
    let writes = world.writes().len();
    assert!(writes <= 12, "sent again, but later each time: {writes} writes");
    world.azure.clear_faults();
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

/// An operation that outlives its usual time says so, is a warning at twice that time, and is followed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_told_and_followed() {
    let mut slow = settings();
    slow.operation_seconds.provision = 100_000.0;
    let mut world = World::with(slow).await;
    world.pace.usual_building = std::time::Duration::from_millis(500);
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let late = world.until_reason(&workspace, "Overdue").await;
    let message = condition(&late, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("building the managed network") && message.contains("more than twice"), "{message}");
    assert_eq!(condition(&late, "Reconciling")["status"], "True");
    world.rest().await;
    let still = world.read(&workspace).await.expect("the workspace");
    assert_eq!(condition(&still, "Ready"), condition(&late, "Ready"), "it is said once");
    let provisions = || world.written().iter().filter(|write| write.contains("provisionManagedNetwork")).count();
    assert_eq!(provisions(), 1, "nothing is started anew");
    world.eventually("the warning", async || warned(&world, "fraud").await).await;
    world.azure.clock().advance(std::time::Duration::from_secs(100_000));
    world.until_reason(&workspace, "Secured").await;
    assert_eq!(provisions(), 1);
    operator.stop().await;
}

/// Whether the object `name` was warned of for being overdue.
async fn warned(world: &World, name: &str) -> bool {
    world.told(name, true).await.iter().any(|(reason, _)| reason == "Overdue")
}

/// The same for rules: they and the workspace say so, and the workspace itself stays secured.
#[tokio::test(flavor = "multi_thread")]
async fn rules_that_take_too_long_are_told_and_followed() {
    let mut slow = settings();
    slow.operation_seconds.rule = 100_000.0;
    let mut world = World::with(slow).await;
    world.pace.usual_building = std::time::Duration::from_millis(500);
    let operator = world.operator().await;
    let workspace = world.secured_with(|_| {}).await;
    operator.stop().await;
    let rules = [world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org")];
    for rule in &rules {
        world.apply(rule.clone()).await;
    }
    let operator = world.operator().await;
    let of_rules = |object: &Value| condition(object, "RulesReady");
    let told =
        world.until(&workspace, "the workspace tells it", |object| of_rules(object)["reason"] == "Overdue").await;
    let message = of_rules(&told)["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("changing the outbound rules") && message.contains("more than twice"), "{message}");
    assert_eq!(condition(&told, "Ready")["reason"], "Secured", "the workspace itself is as it was");
    let mut objects = vec![told];
    for rule in &rules {
        let late = world.until_reason(rule, "Overdue").await;
        let message = condition(&late, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("being written to Azure") && message.contains("more than twice"), "{message}");
        objects.push(late);
    }
    for name in ["fraud", "pytorch", "pypi"] {
        world.eventually("the warning", async || warned(&world, name).await).await;
    }
    // It is said once, also by a process that did not see it begin.
    operator.stop().await;
    let operator = world.operator().await;
    world.rest().await;
    for (object, manifest) in objects.iter().zip([&workspace, &rules[0], &rules[1]]) {
        let still = world.read(manifest).await.expect("the object");
        assert_eq!(still["status"], object["status"], "{}", manifest["metadata"]["name"]);
    }
    let writes = || world.written().iter().filter(|write| write.starts_with("PATCH")).count();
    assert_eq!(writes(), 1, "nothing is started anew");
    world.azure.clock().advance(std::time::Duration::from_secs(100_000));
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    world.until(&workspace, "all is well", |object| of_rules(object)["status"] == "True").await;
    assert_eq!(writes(), 1);
    operator.stop().await;
}

/// What was in place is remembered across a restart, so that what changed while nobody looked is told too.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_nobody_looked_is_put_right_and_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let (lost, edited) = (world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org"));
    world.secured(&[lost.clone(), edited.clone()]).await;
    let name = world.read(&lost).await.unwrap()["status"]["azureName"].as_str().unwrap().to_owned();
    world.rest().await;
    operator.stop().await;
    world.lose_rule(&name).await;
    world.patch_workspace(&json!({"properties": {"publicNetworkAccess": "Enabled"}})).await;
    // A declaration that was changed meanwhile is no drift.
    world.apply(world.fqdn("pypi", "a.example.org")).await;
    let operator = world.operator().await;
    let drift = |object: &Value| -> Vec<String> {
        let drifts = object["status"]["drift"].as_array().cloned().unwrap_or_default();
        drifts.iter().map(|drift| format!("{} {}", drift["field"], drift["found"])).collect()
    };
    for (manifest, reason, told) in [
        (&world.workspace_manifest(), "Secured", vec![r#""properties.publicNetworkAccess" "Enabled""#]),
        (&lost, "Active", vec![r#""properties" "missing""#]),
    ] {
        let what = format!("{reason}, with drift");
        world
            .until(manifest, &what, |object| condition(object, "Ready")["reason"] == reason && drift(object) == told)
            .await;
    }
    let edited = world
        .until(&edited, "the edit", |object| {
            object["status"]["destination"] == "a.example.org" && condition(object, "Ready")["reason"] == "Active"
        })
        .await;
    assert_eq!(drift(&edited), [""; 0]);
    operator.stop().await;
}
