//! What the operator says when something may not be, cannot be, or is not yet: who has to act, and that nothing was done.

use arm_simulator::Fault;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{OPERATOR_NAMESPACE, World, condition, control_plane};

/// The message of the object's Ready condition.
fn message(object: &Value) -> String {
    condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn says(object: &Value, words: &[&str]) {
    let message = message(object);
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// Waiting for somebody else is no failure of the manifest: GitOps engines go on waiting.
#[track_caller]
fn waits(object: &Value) {
    assert_eq!(condition(object, "Ready")["status"], "False");
    assert_eq!(condition(object, "Reconciling")["status"], "True");
    assert_eq!(condition(object, "Stalled"), Value::Null);
}

/// Nothing but a change of the manifest helps: GitOps engines fail.
#[track_caller]
fn is_stalled(object: &Value) {
    assert_eq!(condition(object, "Ready")["status"], "False");
    assert_eq!(condition(object, "Stalled")["status"], "True");
    assert_eq!(condition(object, "Reconciling"), Value::Null);
}

impl World {
    /// The requests about the workspace that reached ARM.
    fn about_the_workspace(&self) -> Vec<String> {
        let about = self.azure.requests().into_iter().filter(|entry| entry.path.contains("/workspaces/"));
        about.map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }

    /// The writes of rules that reached ARM, also those inside a PATCH of the workspace.
    fn rules_written(&self) -> Vec<String> {
        let writes = self.writes().into_iter();
        let rules = writes.filter(|entry| {
            let inside = entry
                .body
                .as_ref()
                .is_some_and(|body| !body["properties"]["managedNetwork"]["outboundRules"].is_null());
            inside || entry.path.contains("/outboundRules/")
        });
        rules.map(|entry| format!("{} {}", entry.method, entry.path)).collect()
    }

    async fn put_secret(&self, text: &str) {
        let name = format!("azure-{}", self.mark);
        let change = json!({"stringData": {"secret": text}});
        let secrets = self.api("Secret", Some(OPERATOR_NAMESPACE));
        secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&change)).await.expect("the Secret is changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_rule_does_not_go_with_an_open_network() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"] = json!({"isolationMode": "AllowInternetOutbound"});
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    for manifest in [&world.connection_manifest(), &workspace, &rule] {
        world.apply(manifest.clone()).await;
    }
    world.until_reason(&workspace, "Secured").await;
    let refused = world.until_reason(&rule, "IsolationModeForbids").await;
    says(&refused, &["FQDN", "AllowInternetOutbound", "delete this rule", "AllowOnlyApprovedOutbound"]);
    waits(&refused);
    world.rest().await;
    assert_eq!(world.rules_written(), [""; 0]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_outside_every_grant_is_never_asked_for() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    let elsewhere = format!("/subscriptions/{}/resourceGroups/elsewhere", world.subscription);
    connection["spec"]["grants"][0]["scope"] = elsewhere.into();
    world.apply(connection).await;
    let workspace = world.workspace_manifest();
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    world.apply(workspace.clone()).await;
    world.apply(rule.clone()).await;
    let refused = world.until_reason(&workspace, "ScopeNotAllowed").await;
    says(&refused, &[&world.connection, &world.team, &world.workspace_id(), "platform administrator"]);
    waits(&refused);
    let told = |rule: &Value| {
        let ready = condition(rule, "Ready");
        ready["reason"] == "WorkspaceNotReady"
            && ready["message"].as_str().is_some_and(|said| said.contains("ScopeNotAllowed"))
    };
    world.until(&rule, "the workspace's refusal is told", told).await;
    world.rest().await;
    assert_eq!(world.about_the_workspace(), [""; 0]);

    world.apply(world.connection_manifest()).await;
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_no_grant_names_is_not_written() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let host = world.fqdn("leak", "pastebin.example");
    let tag = world.rule_manifest(
        "everything",
        &json!({"serviceTag": {"tag": "AzureMonitor", "protocol": "*", "portRanges": "*", "addressPrefixes": ["0.0.0.0/0"]}}),
    );
    world.apply(host.clone()).await;
    world.apply(tag.clone()).await;
    let refused = world.until_reason(&host, "EgressNotAllowed").await;
    says(&refused, &["pastebin.example", &world.connection, "egress.fqdns"]);
    waits(&refused);
    says(&world.until_reason(&tag, "EgressNotAllowed").await, &["0.0.0.0/0", "egress.addressPrefixes"]);
    world.rest().await;
    assert_eq!(world.rules_written(), [""; 0]);

    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["egress"]["fqdns"] = json!(["pastebin.example"]);
    world.apply(connection).await;
    world.until_reason(&host, "Active").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_from_another_namespace_has_to_be_admitted() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let mut rule = world.fqdn("pypi", "pypi.org");
    rule["metadata"]["namespace"] = world.platform.as_str().into();
    rule["spec"]["workspaceRef"]["namespace"] = world.team.as_str().into();
    world.apply(rule.clone()).await;
    let refused = world.until_reason(&rule, "NotAdmitted").await;
    says(&refused, &["fraud", &world.platform, "spec.allowedRules.namespaces"]);
    waits(&refused);
    world.rest().await;
    assert_eq!(world.rules_written(), [""; 0]);

    let mut workspace = world.workspace_manifest();
    workspace["spec"]["allowedRules"] = json!({"namespaces": {"names": [world.platform]}});
    world.apply(workspace).await;
    world.until_reason(&rule, "Active").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_the_namespace_may_not_reach_is_not_written() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    let grant =
        |scope: String, verbs: &[&str]| json!({"namespaces": {"names": [world.team]}, "scope": scope, "verbs": verbs});
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    connection["spec"]["grants"] = json!([
        grant(group, &["create", "configure"]),
        grant(world.id("Microsoft.Storage/storageAccounts", "frauddata"), &["reach"]),
        grant(world.id("Microsoft.KeyVault/vaults", "fraudkeys"), &["reach"]),
        grant(world.id("Microsoft.Insights/components", "fraudinsights"), &["reach"]),
    ]);
    world.apply(connection).await;
    world.apply(world.workspace_manifest()).await;
    let rule = world.lake_rule("datalake");
    world.apply(rule.clone()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    let refused = world.until_reason(&rule, "ScopeNotAllowed").await;
    says(&refused, &[&world.team, "reach", &world.lake(), "verbs: [reach]"]);
    waits(&refused);
    world.rest().await;
    assert_eq!(world.rules_written(), [""; 0]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_connections_are_not_understood_is_left_alone() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut policy = world.approval_manifest();
    let target = world.id("Contoso.Widgets/widgets", "one");
    policy["spec"]["target"]["resourceId"] = target.as_str().into();
    world.apply(policy.clone()).await;
    let refused = world.until_reason(&policy, "UnsupportedTarget").await;
    says(&refused, &["Contoso.Widgets/widgets", "Microsoft.Storage/storageAccounts"]);
    is_stalled(&refused);
    world.rest().await;
    let asked: Vec<_> = world.azure.requests().into_iter().filter(|entry| entry.path.contains("widgets")).collect();
    assert!(asked.is_empty(), "{asked:?}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_resource_group_is_named_in_arms_own_words() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["scope"] = format!("/subscriptions/{}", world.subscription).into();
    world.apply(connection).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["resourceGroup"] = "nowhere".into();
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "ParentMissing").await;
    says(&refused, &["ResourceGroupNotFound", "nowhere", "(HTTP 404, request ", "create what is missing"]);
    waits(&refused);

    let seed = json!({"resourceGroups": [{"subscriptionId": world.subscription, "name": "nowhere", "location": "westeurope"}]});
    world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the group is there");
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arm_refuses_is_told_with_its_code_and_goes_on_when_it_is_mended() {
    let world = World::new().await;
    let operator = world.operator().await;
    let workspace = world.workspace_manifest();
    let refusals = [
        (403, "AuthorizationFailed", "AuthorizationFailed", "role"),
        (409, "ScopeLocked", "Locked", "remove the resource lock"),
        (423, "ScopeLocked", "Locked", "remove the resource lock"),
        (403, "RequestDisallowedByPolicy", "PolicyDenied", "exemption"),
        (400, "ResourceQuotaExceeded", "QuotaExceeded", "more quota"),
        (409, "MissingSubscriptionRegistration", "ProviderNotRegistered", "register the resource provider"),
    ];
    let mut applied = false;
    for (status, code, reason, fix) in refusals {
        world.azure.clear_faults();
        world.azure.add_fault(Fault::status(status, code).method("PUT").path("/workspaces/fraud").always());
        if !applied {
            world.apply(world.connection_manifest()).await;
            world.apply(workspace.clone()).await;
            applied = true;
        }
        let http = format!("HTTP {status}, request ");
        let refused = world
            .until(&workspace, &format!("{reason} with {http}"), |object| {
                condition(object, "Ready")["reason"] == reason && message(object).contains(&http)
            })
            .await;
        says(&refused, &["PUT", &world.workspace_id(), code, fix]);
        waits(&refused);
        assert_eq!(refused["status"]["operations"], Value::Null, "nothing is under way");
    }
    world.azure.clear_faults();
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_reported_and_never_shown() {
    const WRONG: &str = "hunter2-is-not-it";
    let world = World::new().await;
    world.put_secret(WRONG).await;
    let operator = world.operator().await;
    let connection = world.connection_manifest();
    let workspace = world.workspace_manifest();
    world.apply(connection.clone()).await;
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&connection, "ConnectionNotReady").await;
    says(&refused, &["AADSTS7000215", "Check tenantId and credential"]);
    waits(&refused);
    let waiting = world.until_reason(&workspace, "ConnectionNotReady").await;
    says(&waiting, &[&world.connection]);
    let events = control_plane().await.kubectl(&["get", "events", "-A", "-o", "json"]).await;
    for shown in [refused.to_string(), waiting.to_string(), events.expect("the events")] {
        assert!(!shown.contains(WRONG), "{shown}");
    }
    assert_eq!(world.about_the_workspace(), [""; 0]);

    world.put_secret("not-a-secret").await;
    world.until_reason(&connection, "Available").await;
    world.until_reason(&workspace, "Secured").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stricter_network_waits_for_a_word_because_there_is_no_way_back() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"] = json!({"isolationMode": "AllowInternetOutbound"});
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    let before = world.written();

    workspace["spec"]["managedNetwork"]["isolationMode"] = "AllowOnlyApprovedOutbound".into();
    world.apply(workspace.clone()).await;
    let refused = world.until_reason(&workspace, "AcknowledgementRequired").await;
    says(&refused, &["cannot be taken back", "{door: IsolationMode, value: AllowOnlyApprovedOutbound}"]);
    is_stalled(&refused);
    world.rest().await;
    assert_eq!(world.written(), before);
    assert_eq!(world.read(&workspace).await.unwrap()["status"]["isolationMode"], "AllowInternetOutbound");

    // A word for another step does not open this door.
    workspace["spec"]["acknowledge"] = json!([{"door": "IsolationMode", "value": "Disabled"}]);
    world.apply(workspace.clone()).await;
    world.rest().await;
    assert_eq!(world.written(), before);

    workspace["spec"]["acknowledge"] = json!([{"door": "IsolationMode", "value": "AllowOnlyApprovedOutbound"}]);
    world.apply(workspace.clone()).await;
    let done = world
        .until(&workspace, "the stricter mode", |object| {
            object["status"]["isolationMode"] == "AllowOnlyApprovedOutbound"
                && condition(object, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(condition(&done, "Ready")["reason"], "Secured");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_manifests_does_not_matter() {
    let world = World::new().await;
    let operator = world.operator().await;
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    let (workspace, policy) = (world.workspace_manifest(), world.approval_manifest());
    world.apply(rule.clone()).await;
    world.apply(policy.clone()).await;
    let waiting = world.until_reason(&rule, "WorkspaceMissing").await;
    says(&waiting, &["fraud", &world.team]);
    waits(&waiting);
    waits(&world.until_reason(&policy, "ConnectionMissing").await);
    world.apply(workspace.clone()).await;
    let waiting = world.until_reason(&workspace, "ConnectionMissing").await;
    says(&waiting, &[&world.connection, "platform administrator"]);
    waits(&waiting);
    world.apply(world.connection_manifest()).await;
    world.until_reason(&workspace, "Secured").await;
    world.until_reason(&rule, "Active").await;
    world.until_reason(&policy, "InForce").await;
    operator.stop().await;
}

/// What a user writes at length must not keep the operator from reporting: a status that the schema refuses is no status at all.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_manifests_are_reported_on() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let ports = ["10000-20000"; 21].join(",");
    let tag = json!({"tag": "T".repeat(128), "protocol": "TCP", "portRanges": ports});
    let mut tagged = world.rule_manifest("tag", &json!({ "serviceTag": tag }));
    tagged["metadata"]["annotations"]["aml-operator.io/reconcile-at"] = "now ".repeat(100).into();
    let labels = ["a"; 4].map(|label| label.repeat(60)).join(".");
    let host = world.fqdn("host", &format!("{labels}.example"));
    let named = world.id("Microsoft.Storage/storageAccounts", &"l".repeat(850));
    let target = world
        .rule_manifest("target", &json!({"privateEndpoint": {"resourceId": named, "subresource": "s".repeat(80)}}));
    for rule in [&tagged, &host, &target] {
        world.apply(rule.clone()).await;
    }
    world.until_reason(&tagged, "EgressNotAllowed").await;
    world.until_reason(&host, "EgressNotAllowed").await;
    world.until(&target, "a judgement", |object| object["status"]["destination"].is_string()).await;
    operator.stop().await;
}
