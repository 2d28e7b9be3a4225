//! What a rule may lead to: every field of each type reaches Azure, and what cannot be is said before Azure is asked.

use serde_json::{Value, json};

use crate::support::{OBJECT, TENANT, World, condition, settings};

/// The approver's role.
const APPROVER: &str = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea";

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_each_type_reaches_azure() {
    let shared = "00000000-0000-0000-00ff-".to_owned() + &format!("{:012x}", std::process::id());
    let gateway = |group: &str| {
        format!(
            "/subscriptions/{shared}/resourceGroups/{group}/providers/Microsoft.Network/applicationGateways/gateway"
        )
    };
    let lake =
        format!("/subscriptions/{shared}/resourceGroups/shared/providers/Microsoft.Storage/storageAccounts/shared");
    // Another subscription of the same tenant.
    let world = World::seeded(settings(), |seed, _| {
        let more = json!({
            "subscriptions": [{"subscriptionId": shared, "tenantId": TENANT}],
            "resourceGroups": [{"subscriptionId": shared, "name": "shared", "location": "westeurope"}],
            "resources": [
                {"id": lake, "location": "westeurope"},
                {"id": gateway("shared"), "location": "westeurope",
                 "properties": {"frontendIPConfigurations": [{"name": "private-frontend"}]}},
            ],
            "roleAssignments": [{"scope": format!("/subscriptions/{shared}"), "role": "Owner", "principalId": OBJECT}],
        });
        let more: arm_simulator::Seed = serde_json::from_value(more).expect("a seed");
        seed.subscriptions.extend(more.subscriptions);
        seed.resource_groups.extend(more.resource_groups);
        seed.resources.extend(more.resources);
        seed.role_assignments.extend(more.role_assignments);
    })
    .await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    let grants = connection["spec"]["grants"].as_array_mut().expect("grants");
    grants[0]["egress"]["addressPrefixes"] = json!(["203.0.113.0/24"]);
    grants.push(json!({
        "namespaces": {"names": [world.team]}, "scope": format!("/subscriptions/{shared}/resourceGroups/shared"), "verbs": ["reach"]
    }));
    world.apply(connection).await;
    world.apply(world.workspace_manifest()).await;
    let principal = world.principal().await;
    world.grant(&format!("/subscriptions/{shared}"), APPROVER, &principal);
    // The built-in role does not name gateways' parts in every version; its owner's does.
    world.grant(&gateway("shared"), "Owner", &principal);

    let rules = [
        (
            "lake",
            json!({"privateEndpoint": {"resourceId": lake, "subresource": "dfs", "sparkEnabled": true}}),
            json!({"type": "PrivateEndpoint", "destination":
                {"serviceResourceId": lake, "subresourceTarget": "dfs", "sparkEnabled": true, "sparkStatus": "Active"}}),
        ),
        (
            "gateway",
            json!({"privateEndpoint": {"resourceId": gateway("shared"), "subresource": "private-frontend",
                "fqdns": ["App.contoso.com"]}}),
            json!({"type": "PrivateEndpoint", "fqdns": ["app.contoso.com"], "destination":
                {"serviceResourceId": gateway("shared"), "subresourceTarget": "private-frontend", "sparkEnabled": false}}),
        ),
        (
            "addresses",
            json!({"serviceTag": {"tag": "AzureMonitor", "protocol": "UDP", "portRanges": "53, 8080-8089", "action": "Deny",
                "addressPrefixes": ["203.0.113.64/26"]}}),
            json!({"type": "ServiceTag", "destination": {"serviceTag": "AzureMonitor", "protocol": "UDP",
                "portRanges": "53,8080-8089", "action": "Deny", "addressPrefixes": ["203.0.113.64/26"]}}),
        ),
        (
            "hosts",
            json!({"fqdn": "*.Download.pytorch.org"}),
            json!({"type": "FQDN", "destination": "*.download.pytorch.org"}),
        ),
    ];
    for (name, spec, _) in &rules {
        world.apply(world.rule_manifest(name, spec)).await;
    }
    for (name, spec, shown) in &rules {
        let rule = world.rule_manifest(name, spec);
        let active = world.until_reason(&rule, "Active").await;
        let azure_name = active["status"]["azureName"].as_str().expect("a name");
        let path = format!("{}/outboundRules/{azure_name}", world.workspace_id());
        let (_, found) = world.ask_azure(reqwest::Method::GET, &path, "2025-12-01", None).await;
        let mut found = found["properties"].clone();
        let properties = found.as_object_mut().expect("properties");
        properties.remove("category");
        assert_eq!(properties.remove("status"), Some(json!("Active")), "{name}");
        assert_eq!(found, *shown, "{name}");
    }
    world.rest().await;
    let writes = world.written();
    world.rest().await;
    assert_eq!(world.written(), writes, "what Azure gives back is what was sent");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said_before_azure_is_asked() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managedNetwork"]["provision"]["includeSpark"] = false.into();
    let mut connection = world.connection_manifest();
    let egress = &mut connection["spec"]["grants"][0]["egress"];
    egress["fqdns"] = json!(["*.windows.net", "*.example.org"]);
    egress["serviceTags"] = json!(["AzureMonitor", "Storage.WestEurope"]);
    egress["addressPrefixes"] = json!(["10.0.0.0/8"]);
    world.apply(connection).await;
    world.apply(workspace.clone()).await;
    let endpoint = |target: &str, subresource: &str| json!({"privateEndpoint": {"resourceId": target, "subresource": subresource}});
    let tag = |tag: &str, prefixes: &[&str]| json!({"serviceTag": {"tag": tag, "protocol": "TCP", "portRanges": "443", "addressPrefixes": prefixes}});
    let part = format!("{}/blobServices/default", world.lake());
    let mut for_spark = endpoint(&world.lake(), "dfs");
    for_spark["privateEndpoint"]["sparkEnabled"] = true.into();
    let own = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let cases: Vec<(&str, Value, &str, &[&str])> = vec![
        (
            "storage-host",
            json!({"fqdn": "lake.dfs.core.windows.net"}),
            "DestinationRefused",
            &["private endpoint", "dfs"],
        ),
        ("all-storage", json!({"fqdn": "*.core.windows.net"}), "EgressNotAllowed", &["word for word"]),
        ("no-such-part", endpoint(&world.lake(), "vault"), "DestinationRefused", &["blob", "queue"]),
        ("a-part", endpoint(&part, "blob"), "DestinationRefused", &["Microsoft.Storage/storageAccounts"]),
        ("azures-own", endpoint(&own, "blob"), "DestinationRefused", &["__SYS_PE_frauddata_blob"]),
        ("for-spark", for_spark, "SparkNotIncluded", &["includeSpark", "/fraud"]),
        ("broad-tag", tag("Storage", &[]), "EgressNotAllowed", &["other customers"]),
        ("wide-addresses", tag("AzureMonitor", &["8.0.0.0/5"]), "EgressNotAllowed", &["8.0.0.0/5"]),
        ("no-addresses", tag("AzureMonitor", &["10.0.0.0/77"]), "DestinationRefused", &["10.0.0.0/77"]),
    ];
    for (name, spec, _, _) in &cases {
        world.apply(world.rule_manifest(name, spec)).await;
    }
    world.until_reason(&workspace, "Secured").await;
    for (name, spec, reason, words) in &cases {
        let refused = world.until_reason(&world.rule_manifest(name, spec), reason).await;
        let message = condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        for word in *words {
            assert!(message.contains(word), "{name}: {word:?} is not in: {message}");
        }
    }
    world.rest().await;
    assert_eq!(world.rules_in_azure().len(), 0);
    let about_rules = world.writes().into_iter().filter(|request| request.path.contains("outboundRules"));
    assert_eq!(about_rules.count(), 0, "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rules_to_one_destination_one_is_written_and_both_are_told() {
    let world = World::new().await;
    let operator = world.operator().await;
    let own = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let queue = |name: &str, part: &str| {
        world.rule_manifest(name, &json!({"privateEndpoint": {"resourceId": own, "subresource": part}}))
    };
    let (first, second) = (queue("first", "queue"), queue("second", "Queue"));
    world.secured(std::slice::from_ref(&first)).await;
    world.apply(second.clone()).await;
    let waiting = world.until_reason(&second, "ManagedElsewhere").await;
    let holder = format!("OutboundRule {}/first", world.team);
    assert!(condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().contains(&holder), "{waiting}");
    let waits = format!("OutboundRule {}/second, which waits", world.team);
    world
        .until(&first, "the other one's name", |object| {
            condition(object, "Ready")["status"] == "True"
                && condition(object, "Ready")["message"].as_str().is_some_and(|message| message.contains(&waits))
        })
        .await;
    assert_eq!(world.rules_in_azure().len(), 1);
    world.delete(&first).await;
    world.until_gone(&first).await;
    world.until_reason(&second, "Active").await;
    operator.stop().await;
}

/// Before the network is built Azure keeps a rule and does not enforce it: that is as declared, and said as such.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_defined_before_the_network_is_built_and_active_after() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace =
        world.secured_with(|workspace| workspace["spec"]["managedNetwork"]["provision"]["when"] = json!("Never")).await;
    let rule = world.fqdn("pytorch", "*.pytorch.org");
    world.apply(rule.clone()).await;
    let defined = world.until_reason(&rule, "Defined").await;
    assert_eq!(condition(&defined, "Ready")["status"], "True");
    assert_eq!(defined["status"]["serviceStatus"], "Inactive");
    let seen = world.until(&workspace, "it is counted", |object| object["status"]["rules"] == "0/1").await;
    assert_eq!(condition(&seen, "ManagedNetworkActive")["status"], "False");
    workspace["spec"]["managedNetwork"]["provision"]["when"] = json!("Immediately");
    world.apply(workspace.clone()).await;
    world.until_reason(&rule, "Active").await;
    world.until(&workspace, "it is counted", |object| object["status"]["rules"] == "1/1").await;
    operator.stop().await;
}
