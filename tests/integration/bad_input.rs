//! What a real API server says to manifests, wrong ones and right ones, before the operator sees any of it.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::{TENANT, World, control_plane};

/// A wrong manifest: what is wrong with it, and what the refusal has to say: the field first, then words of the way out.
struct Wrong {
    what: &'static str,
    manifest: Value,
    says: &'static [&'static str],
}

fn wrong(what: &'static str, manifest: Value, says: &'static [&'static str]) -> Wrong {
    Wrong { what, manifest, says }
}

/// `base` with `value` at `path`, dots between the fields; a number is an index of a list.
fn with(base: &Value, path: &str, value: Value) -> Value {
    let mut changed = base.clone();
    let mut at = &mut changed;
    for field in path.split('.') {
        at = match field.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[field],
        };
    }
    *at = value;
    changed
}

/// `base` without the field at `path`.
fn without(base: &Value, path: &str) -> Value {
    let mut changed = base.clone();
    let pointer = format!("/{}", path.replace('.', "/"));
    let (parent, field) = pointer.rsplit_once('/').expect("a path");
    changed.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(field).expect("a field");
    changed
}

impl World {
    /// What the API server says to `manifest`, without keeping it.
    async fn ask(&self, manifest: &Value) -> Result<(), String> {
        let api = self.api(manifest["kind"].as_str().unwrap_or_default(), manifest["metadata"]["namespace"].as_str());
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams { dry_run: true, ..PatchParams::apply("user").force() };
        match api.patch(name, &params, &Patch::Apply(manifest)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(other) => panic!("the API server does not answer: {other}"),
        }
    }

    async fn refuses(&self, table: Vec<Wrong>) {
        let mut surprises = Vec::new();
        for Wrong { what, manifest, says } in table {
            match self.ask(&manifest).await {
                Ok(()) => surprises.push(format!("{what}: accepted")),
                Err(message) => {
                    let missing: Vec<_> = says.iter().filter(|word| !message.contains(**word)).collect();
                    if !missing.is_empty() {
                        surprises.push(format!("{what}: {missing:?} not in: {message}"));
                    }
                }
            }
        }
        assert!(surprises.is_empty(), "\n{}", surprises.join("\n"));
    }

    async fn accepts(&self, table: Vec<(&str, Value)>) {
        let mut surprises = Vec::new();
        for (what, manifest) in table {
            if let Err(message) = self.ask(&manifest).await {
                surprises.push(format!("{what}, {}: {message}", manifest["metadata"]["name"]));
            }
        }
        assert!(surprises.is_empty(), "\n{}", surprises.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_rules_are_refused_with_the_way_out() {
    let world = World::new().await;
    let host = |host: &str| world.fqdn("rule", host);
    let tag = |ports: &str| {
        world.rule_manifest("rule", &json!({"serviceTag": {"tag": "Storage", "protocol": "TCP", "portRanges": ports}}))
    };
    let target =
        |id: &str| world.rule_manifest("rule", &json!({"privateEndpoint": {"resourceId": id, "subresource": "dfs"}}));
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    let two = with(&world.lake_rule("rule"), "spec.fqdn", "pytorch.org".into());
    let one = &["exactly one destination", "fqdn, privateEndpoint, serviceTag"];
    let no_id = &["privateEndpoint.resourceId", "full ARM id", "/providers/Microsoft.Storage/storageAccounts/lake"];
    let no_host = &["spec.fqdn", "one host name such as pytorch.org or *.pytorch.org"];
    let no_wildcard = &["spec.fqdn", "whole first label", "*.pytorch.org"];
    let no_ports = &["serviceTag.portRanges", "separated by commas", "443"];
    world
        .refuses(vec![
            wrong("two destinations", two, one),
            wrong("no destination", world.rule_manifest("rule", &json!({})), one),
            wrong("a scheme", host("https://pytorch.org"), &["spec.fqdn", "without a scheme"]),
            wrong("a port", host("pytorch.org:443"), &["spec.fqdn", "without a port", "80 and 443"]),
            wrong("a path", host("pytorch.org/simple"), &["spec.fqdn", "without a path"]),
            wrong("everything", host("*"), no_wildcard),
            wrong("a wildcard inside", host("a.*.b"), no_wildcard),
            wrong("a wildcard as part of a label", host("*pytorch.org"), no_wildcard),
            wrong("two wildcards", host("*.*.org"), no_wildcard),
            wrong("an empty label", host("foo_bar..com"), no_host),
            wrong("two hosts", host("a.org,b.org"), no_host),
            wrong("an address", host("10.0.0.1"), no_host),
            wrong("a dot at the end", host("pytorch.org."), no_host),
            wrong("a bare label", host("pytorch"), no_host),
            wrong("no name", host(""), &["spec.fqdn", "at least 1"]),
            wrong("a target that is no id", target("lake"), no_id),
            wrong("a group as target", target(&group), no_id),
            wrong("a target that climbs", target(&world.lake().replace("/rg/", "/../")), no_id),
            wrong("a subscription that is no GUID", target(&world.lake().replace(&world.subscription, "prod")), no_id),
            wrong(
                "no sub-resource",
                without(&world.lake_rule("rule"), "spec.privateEndpoint.subresource"),
                &["spec.privateEndpoint.subresource", "Required"],
            ),
            wrong("ports that are words", tag("https"), no_ports),
            wrong("ports beyond the last one", tag("443, 99999"), no_ports),
            wrong("a range backwards", tag("443,90-80"), &["serviceTag.portRanges", "lower port", "8080-8089"]),
            wrong("a comma too many", tag("443,"), no_ports),
            wrong(
                "no protocol",
                without(&tag("443"), "spec.serviceTag.protocol"),
                &["spec.serviceTag.protocol", "Required"],
            ),
            wrong(
                "an unknown protocol",
                with(&tag("443"), "spec.serviceTag.protocol", "SCTP".into()),
                &["spec.serviceTag.protocol", "TCP", "UDP"],
            ),
            wrong(
                "a name and no adoption",
                with(&host("pytorch.org"), "spec.azureName", "pytorch".into()),
                &["azureName", "set adoption: IfMatching or Always"],
            ),
            wrong(
                "a name that Azure does not take",
                with(&with(&host("pytorch.org"), "spec.adoption", "Always".into()), "spec.azureName", "a.b".into()),
                &["azureName", "3 to 33 letters"],
            ),
            wrong(
                "a name too long for an owner tag",
                with(&host("pytorch.org"), "metadata.name", "r".repeat(64).into()),
                &["metadata.name", "at most 63"],
            ),
            wrong(
                "a field that does not exist",
                with(&host("pytorch.org"), "spec.hostname", "x".into()),
                &["spec.hostname", "not declared in schema"],
            ),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_which_rule_it_is_does_not_change() {
    let world = World::new().await;
    let rule = with(&world.fqdn("rule", "pytorch.org"), "spec.adoption", "Always".into());
    let rule = with(&rule, "spec.azureName", "pytorch".into());
    world.apply(rule.clone()).await;
    let other_kind = with(
        &without(&rule, "spec.fqdn"),
        "spec.serviceTag",
        json!({"tag": "Storage", "protocol": "TCP", "portRanges": "*"}),
    );
    world
        .refuses(vec![
            wrong(
                "another workspace",
                with(&rule, "spec.workspaceRef.name", "churn".into()),
                &["workspaceRef cannot change", "delete this rule and create another"],
            ),
            wrong(
                "another name in Azure",
                with(&rule, "spec.azureName", "torch".into()),
                &["azureName cannot change", "delete this rule and create another"],
            ),
            wrong(
                "no name in Azure any more",
                without(&rule, "spec.azureName"),
                &["azureName cannot change", "delete this rule and create another"],
            ),
            wrong(
                "another kind of destination",
                other_kind,
                &["kind of destination cannot change", "delete this rule and create another"],
            ),
        ])
        .await;
    world.accepts(vec![("another host", with(&rule, "spec.fqdn", "*.pytorch.org".into()))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_workspaces_are_refused_with_the_way_out() {
    let world = World::new().await;
    let right = world.workspace_manifest();
    let change = |path: &str, value: Value| with(&right, path, value);
    let vault = world.id("Microsoft.KeyVault/vaults", "fraudkeys");
    let storage = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let network =
        |resource: &str, network: Value| change(&format!("spec.associatedResources.{resource}.network"), network);
    let subnet = format!("{}/subnets/ml", world.id("Microsoft.Network/virtualNetworks", "hub"));
    let disabled =
        change("spec.managedNetwork", json!({"isolationMode": "Disabled", "provision": {"when": "Immediately"}}));
    world
        .refuses(vec![
            wrong(
                "storage that is a vault",
                change("spec.associatedResources.storageAccount.resourceId", vault.clone().into()),
                &["associatedResources.storageAccount.resourceId", "ARM id of a storage account"],
            ),
            wrong(
                "a vault that is storage",
                change("spec.associatedResources.keyVault.resourceId", storage.clone().into()),
                &["associatedResources.keyVault.resourceId", "ARM id of a key vault"],
            ),
            wrong(
                "insights that are a vault",
                change("spec.associatedResources.applicationInsights.resourceId", vault.clone().into()),
                &["associatedResources.applicationInsights.resourceId", "Microsoft.Insights/components"],
            ),
            wrong(
                "a registry that is a vault",
                change("spec.associatedResources.containerRegistry", json!({"resourceId": vault})),
                &["associatedResources.containerRegistry.resourceId", "ARM id of a container registry"],
            ),
            wrong(
                "storage that is named and created",
                change("spec.associatedResources.storageAccount.create", json!({})),
                &["associatedResources.storageAccount", "exactly one of resourceId and create"],
            ),
            wrong(
                "storage that is neither",
                change("spec.associatedResources.storageAccount", json!({})),
                &["associatedResources.storageAccount", "exactly one of resourceId and create"],
            ),
            wrong(
                "a name that no storage account has",
                change("spec.associatedResources.storageAccount", json!({"create": {"name": "My-Data"}})),
                &["storageAccount.create.name", "lower-case letters and digits"],
            ),
            wrong(
                "a vault's name with two hyphens",
                change("spec.associatedResources.keyVault", json!({"create": {"name": "my--keys"}})),
                &["keyVault.create.name", "single hyphens"],
            ),
            wrong("a network that says nothing", network("keyVault", json!({})), &["network.access is required", "a profile"]),
            wrong(
                "addresses for what is closed",
                network("storageAccount", json!({"access": "PrivateEndpoint", "ipRules": ["20.1.2.3"]})),
                &["nobody comes in by the public address", "leave them out"],
            ),
            wrong(
                "service endpoints of no subnet",
                network("storageAccount", json!({"access": "ServiceEndpoint"})),
                &["network.subnets", "at least one with access: ServiceEndpoint"],
            ),
            wrong(
                "a private range",
                network("storageAccount", json!({"access": "Public", "ipRules": ["2001:db8::1"]})),
                &["network.ipRules", "public IPv4 address"],
            ),
            wrong(
                "a block of two",
                network("storageAccount", json!({"access": "Public", "ipRules": ["20.1.2.0/31"]})),
                &["network.ipRules", "at least four"],
            ),
            wrong(
                "a vault with instance rules",
                network("keyVault", json!({"access": "PrivateEndpoint", "trustWorkspace": true})),
                &["keyVault.network.trustWorkspace", "only storage accounts"],
            ),
            wrong(
                "insights with a list",
                network("applicationInsights", json!({"access": "Public", "ipRules": ["20.1.2.3"]})),
                &["applicationInsights.network", "no list of whom it lets in"],
            ),
            wrong(
                "a registry with service endpoints",
                change(
                    "spec.associatedResources.containerRegistry",
                    json!({"create": {}, "network": {"access": "ServiceEndpoint", "subnets": [{"resourceId": subnet}]}}),
                ),
                &["containerRegistry.network", "no service endpoints"],
            ),
            wrong(
                "a log workspace that is a vault",
                change(
                    "spec.associatedResources.applicationInsights",
                    json!({"create": {"logWorkspace": {"resourceId": vault}}}),
                ),
                &["applicationInsights.create.logWorkspace.resourceId", "Log Analytics"],
            ),
            wrong(
                "a name that Azure does not take",
                change("spec.azureName", "my workspace".into()),
                &["azureName", "3 to 33 letters"],
            ),
            wrong(
                "an object's name that Azure does not take",
                change("metadata.name", "fraud.eu".into()),
                &["metadata.name", "3 to 33 letters", "set spec.azureName"],
            ),
            wrong(
                "an object's name too short for Azure",
                change("metadata.name", "ml".into()),
                &["metadata.name", "set spec.azureName"],
            ),
            wrong(
                "a name too long for an owner tag",
                with(&change("metadata.name", "w".repeat(64).into()), "spec.azureName", "fraud".into()),
                &["metadata.name", "at most 63"],
            ),
            wrong(
                "a subscription's name",
                change("spec.subscriptionId", "production".into()),
                &["subscriptionId", "GUID of the subscription"],
            ),
            wrong(
                "a region's display name",
                change("spec.location", "West Europe".into()),
                &["location", "for example westeurope"],
            ),
            wrong(
                "user-assigned without ids",
                change("spec.identity.type", "UserAssigned".into()),
                &["identity.userAssignedIdentities", "at least one id"],
            ),
            wrong(
                "system-assigned with ids",
                change("spec.identity.userAssignedIdentities", json!(["x"])),
                &["identity.userAssignedIdentities", "none otherwise"],
            ),
            wrong(
                "an identity by name",
                change("spec.identity", json!({"type": "UserAssigned", "userAssignedIdentities": ["fraud-id"]})),
                &["identity.userAssignedIdentities", "Microsoft.ManagedIdentity/userAssignedIdentities/<name>"],
            ),
            wrong("provisioning of nothing", disabled, &["managedNetwork.provision", "leave it out"]),
            wrong(
                "public access left open",
                without(&right, "spec.publicNetworkAccess"),
                &["publicNetworkAccess: required, unless a profile sets it"],
            ),
            wrong(
                "isolation left open",
                without(&right, "spec.managedNetwork.isolationMode"),
                &["managedNetwork.isolationMode: required, unless a profile sets it"],
            ),
            wrong(
                "a profile that there is not",
                change("spec.profile", "Secret".into()),
                &["spec.profile", "SecuredResources", "Private"],
            ),
            wrong(
                "provisioning of what a profile leaves out",
                with(
                    &without(&right, "spec.managedNetwork.isolationMode"),
                    "spec.profile",
                    "Public".into(),
                ),
                &["managedNetwork.provision", "profile: Public", "give an isolationMode"],
            ),
            wrong(
                "storage whose id holds a query",
                change("spec.associatedResources.storageAccount.resourceId", format!("{storage}?x=1").into()),
                &["associatedResources.storageAccount.resourceId", "ARM id of a storage account"],
            ),
            wrong(
                "no managed network",
                without(&right, "spec.managedNetwork"),
                &["every other kind has managedNetwork (or a profile) and associatedResources of its own"],
            ),
            wrong(
                "a project with a network of its own",
                with(&change("spec.kind", "Project".into()), "spec.hub", json!({"workspaceRef": {"name": "hub"}})),
                &["of kind Project", "takes managedNetwork, associatedResources and encryption from it"],
            ),
            wrong(
                "a hub for what is no project",
                change("spec.hub", json!({"workspaceRef": {"name": "hub"}})),
                &["every other kind has", "no hub"],
            ),
            wrong(
                "a hub named twice",
                change("spec.hub", json!({"workspaceRef": {"name": "hub"}, "resourceId": world.workspace_id()})),
                &["exactly one of resourceId and workspaceRef"],
            ),
            wrong(
                "addresses beside everybody",
                change("spec.networkAcls", json!({"defaultAction": "Allow", "ipRules": ["20.1.2.3"]})),
                &["networkAcls.ipRules", "set Deny"],
            ),
            wrong(
                "an address that is none",
                change("spec.networkAcls", json!({"defaultAction": "Deny", "ipRules": ["20.1.2.300"]})),
                &["networkAcls.ipRules", "20.1.2.0/24"],
            ),
            wrong(
                "a block of the wrong shape",
                change("spec.networkAcls", json!({"defaultAction": "Deny", "ipRules": ["20.1.2.3/24"]})),
                &["networkAcls.ipRules", "20.1.2.0/24"],
            ),
            wrong(
                "an IPv6 address",
                change("spec.networkAcls", json!({"defaultAction": "Deny", "ipRules": ["2603:1020::1"]})),
                &["networkAcls.ipRules", "public IPv4"],
            ),
            wrong(
                "the operator's own tag",
                change("spec.tags", json!({"aml-operator.io-owner": "me"})),
                &["tags", "which are taken"],
            ),
            wrong("a tag with a comma", change("spec.tags", json!({"a,b": "c"})), &["tags", "comma"]),
            wrong("a tag with a backslash", change("spec.tags", json!({"a\\b": "c"})), &["tags", "backslash"]),
            wrong(
                "a key without a version",
                change(
                    "spec.encryption",
                    json!({"keyVault": {"resourceId": vault}, "keyIdentifier": "https://fraudkeys.vault.azure.net/keys/k"}),
                ),
                &["encryption.keyIdentifier", "/keys/<name>/<version>"],
            ),
            wrong(
                "an unknown isolation mode",
                change("spec.managedNetwork.isolationMode", "Strict".into()),
                &["spec.managedNetwork.isolationMode", "AllowOnlyApprovedOutbound"],
            ),
            wrong(
                "an unknown door",
                change("spec.acknowledge", json!([{"door": "Window", "value": "x"}])),
                &["spec.acknowledge[0].door", "AzureFirewall"],
            ),
            wrong(
                "a deletion under a claimed name",
                with(&change("spec.azureName", "fraud".into()), "spec.deletionPolicy", "Delete".into()),
                &["deletionPolicy: Delete", "needs adoption: IfMatching or Always"],
            ),
            wrong(
                "a namespace selector that names none",
                change("spec.allowedRules", json!({"namespaces": {}})),
                &["spec.allowedRules.namespaces", "at least one namespace"],
            ),
            wrong(
                "a field that does not exist",
                change("spec.managedNetwork.isolation", "x".into()),
                &["spec.managedNetwork.isolation", "not declared in schema"],
            ),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_azure_cannot_change_in_a_workspace_does_not_change() {
    let world = World::new().await;
    let mut right = world.workspace_manifest();
    right["spec"]["kind"] = json!("Default");
    right["spec"]["hbiWorkspace"] = json!(false);
    right["spec"]["enableDataIsolation"] = json!(false);
    let key = "https://fraudkeys.vault.azure.net/keys/k/1";
    right["spec"]["encryption"] =
        json!({"keyVault": {"resourceId": world.id("Microsoft.KeyVault/vaults", "fraudkeys")}, "keyIdentifier": key});
    world.apply(right.clone()).await;
    let change = |path: &str, value: Value| with(&right, path, value);
    let storage = world.id("Microsoft.Storage/storageAccounts", "other");
    let vault = world.id("Microsoft.KeyVault/vaults", "other");
    world
        .refuses(vec![
            wrong("another region", change("spec.location", "northeurope".into()), &["location cannot change"]),
            wrong(
                "another subscription",
                change("spec.subscriptionId", TENANT.into()),
                &["subscriptionId and resourceGroup cannot change", "create another"],
            ),
            wrong(
                "another group",
                change("spec.resourceGroup", "other".into()),
                &["subscriptionId and resourceGroup cannot change", "create another"],
            ),
            wrong(
                "other storage",
                change("spec.associatedResources.storageAccount.resourceId", storage.into()),
                &["associatedResources", "storage account or key vault"],
            ),
            wrong(
                "another vault",
                change("spec.associatedResources.keyVault.resourceId", vault.into()),
                &["associatedResources", "storage account or key vault"],
            ),
            wrong(
                "created in place of named",
                change("spec.associatedResources.storageAccount", json!({"create": {}})),
                &["associatedResources", "storage account or key vault"],
            ),
            wrong(
                "insights created in place of named",
                change("spec.associatedResources.applicationInsights", json!({"create": {}})),
                &["applicationInsights", "cannot take each other's place"],
            ),
            wrong("another kind", change("spec.kind", "Hub".into()), &["kind cannot change", "create another"]),
            wrong("other diagnostics", change("spec.hbiWorkspace", true.into()), &["hbiWorkspace cannot change"]),
            wrong(
                "other isolation of data",
                change("spec.enableDataIsolation", true.into()),
                &["enableDataIsolation cannot change"],
            ),
            wrong(
                "another vault of the key",
                change("spec.encryption.keyVault.resourceId", world.id("Microsoft.KeyVault/vaults", "k2").into()),
                &["encryption.keyVault"],
            ),
            wrong(
                "a name in Azure afterwards",
                change("spec.azureName", "fraud2".into()),
                &["azureName cannot change", "create another"],
            ),
        ])
        .await;
    let spelled = world
        .id("Microsoft.Storage/storageAccounts", "frauddata")
        .to_uppercase()
        .replace("/SUBSCRIPTIONS/", "/subscriptions/");
    world
        .accepts(vec![
            (
                "the same storage, spelled otherwise",
                change("spec.associatedResources.storageAccount.resourceId", spelled.into()),
            ),
            ("another key of the same vault", change("spec.encryption.keyIdentifier", key.replace("/1", "/2").into())),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_connections_are_refused_with_the_way_out() {
    let world = World::new().await;
    let right = world.connection_manifest();
    let change = |path: &str, value: Value| with(&right, path, value);
    let one = &["credential", "exactly one of workloadIdentity, managedIdentity, clientSecret"];
    let scope = &["spec.grants[0].scope", "starts with /subscriptions/<id>"];
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    world.apply(right.clone()).await;
    world
        .refuses(vec![
            wrong("no credential", with(&change("metadata.name", "new".into()), "spec.credential", json!({})), one),
            wrong("two credentials", change("spec.credential.managedIdentity", json!({})), one),
            wrong(
                "a custom cloud without endpoints",
                without(&right, "spec.customCloud"),
                &["customCloud", "give it with cloud: Custom"],
            ),
            wrong(
                "a custom cloud with a managed identity",
                change("spec.credential", json!({"managedIdentity": {}})),
                &["credential", "takes a clientSecret only"],
            ),
            wrong(
                "a tenant's name",
                change("spec.tenantId", "contoso.onmicrosoft.com".into()),
                &["tenantId", "GUID of the tenant"],
            ),
            wrong(
                "another tenant",
                change("spec.tenantId", world.subscription.clone().into()),
                &["tenantId and cloud cannot change", "Create a second AzureConnection"],
            ),
            wrong(
                "a role that assigns roles",
                change(
                    "spec.grantableRoles",
                    json!([{"scope": group, "roleDefinitionIds": ["8E3AF657-a8ff-443c-a75c-2fe8c4bcb635"]}]),
                ),
                &["spec.grantableRoles[0].roleDefinitionIds", "the operator never assigns them"],
            ),
            wrong(
                "a role by its name",
                change("spec.grantableRoles", json!([{"scope": group, "roleDefinitionIds": ["Contributor"]}])),
                &["spec.grantableRoles[0].roleDefinitionIds[0]"],
            ),
            wrong("a scope without a subscription", change("spec.grants.0.scope", "/resourceGroups/rg".into()), scope),
            wrong("a scope over everything", change("spec.grants.0.scope", "/".into()), scope),
            wrong("a scope over any subscription", change("spec.grants.0.scope", "/subscriptions/*".into()), scope),
            wrong(
                "a scope with a query",
                change("spec.grants.0.scope", format!("{group}?api-version=1").into()),
                scope,
            ),
            wrong("a scope that climbs", change("spec.grants.0.scope", format!("{group}/../other").into()), scope),
            wrong(
                "ARM without TLS",
                change("spec.customCloud.resourceManagerEndpoint", "http://arm.example.org".into()),
                &["customCloud.resourceManagerEndpoint", "start with https://"],
            ),
            wrong(
                "tokens without TLS",
                change("spec.customCloud.authorityHost", "http://login.example.org".into()),
                &["customCloud.authorityHost", "start with https://"],
            ),
            wrong("no verbs", without(&right, "spec.grants.0.verbs"), &["spec.grants[0].verbs", "Required"]),
            wrong(
                "an empty list of verbs",
                change("spec.grants.0.verbs", json!([])),
                &["spec.grants[0].verbs", "at least 1"],
            ),
            wrong(
                "an unknown verb",
                change("spec.grants.0.verbs", json!(["admin"])),
                &["spec.grants[0].verbs[0]", "configure"],
            ),
            wrong(
                "a grant to nobody",
                change("spec.grants.0.namespaces", json!({})),
                &["spec.grants[0].namespaces", "at least one namespace"],
            ),
            wrong(
                "a name too long for an owner tag",
                change("metadata.name", "c".repeat(64).into()),
                &["metadata.name", "at most 63"],
            ),
            wrong(
                "a field that does not exist",
                change("spec.subscription", "x".into()),
                &["spec.subscription", "not declared in schema"],
            ),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_policies_are_refused_with_the_way_out() {
    let world = World::new().await;
    let right = world.approval_manifest();
    let change = |path: &str, value: Value| with(&right, path, value);
    let endpoint = "spec.allow.0.privateEndpoint";
    world.apply(right.clone()).await;
    let other = world.id("Microsoft.Storage/storageAccounts", "other");
    world
        .refuses(vec![
            wrong(
                "a target that is no id",
                with(&change("metadata.name", "new".into()), "spec.target.resourceId", "lake".into()),
                &["target.resourceId", "full ARM id", "/providers/Microsoft.Storage/storageAccounts/lake"],
            ),
            wrong(
                "another target",
                change("spec.target.resourceId", other.into()),
                &["target cannot change", "create another"],
            ),
            wrong(
                "a name and a pattern",
                change(&format!("{endpoint}.name"), "lake-1".into()),
                &["spec.allow[0].privateEndpoint", "name or namePattern, not both"],
            ),
            wrong(
                "a name without a group",
                without(&right, &format!("{endpoint}.resourceGroup")),
                &["privateEndpoint.resourceGroup", "needed with a name"],
            ),
            wrong(
                "a subscription's name",
                change(&format!("{endpoint}.subscriptionId"), "production".into()),
                &["privateEndpoint.subscriptionId", "GUID of the subscription"],
            ),
            wrong(
                "an entry that says nothing",
                change("spec.allow", json!([{}])),
                &["spec.allow[0]", "one of privateEndpoint, synapseLinkRef, vnetAttachmentRef, workspaceRef"],
            ),
            wrong(
                "an entry for an endpoint and a workspace",
                change("spec.allow.0.workspaceRef", json!({"name": "fraud"})),
                &["spec.allow[0]", "one of privateEndpoint, synapseLinkRef, vnetAttachmentRef, workspaceRef"],
            ),
            wrong(
                "a workspace's leave for one sub-resource",
                change("spec.allow", json!([{"workspaceRef": {"name": "fraud"}, "subResources": ["blob"]}])),
                &["workspaceRef", "leave subResources out"],
            ),
            wrong(
                "an entry that allows and names nobody",
                change("spec.allow", json!([{"privateEndpoint": {"ownSubscription": true}}])),
                &["spec.allow[0]", "must say whom"],
            ),
            wrong(
                "an id and more",
                change(&format!("{endpoint}.id"), World::endpoint(&world.subscription, "hub", "lake-1").into()),
                &["spec.allow[0].privateEndpoint", "an id says it all"],
            ),
            wrong(
                "an id of something else",
                change("spec.allow", json!([{"privateEndpoint": {"id": world.lake()}}])),
                &["privateEndpoint.id", "full ARM id of a private endpoint"],
            ),
            wrong(
                "an entry that rejects everybody",
                change("spec.reject", json!([{}])),
                &["spec.reject[0]", "privateEndpoint, subResources or both"],
            ),
            wrong(
                "approved ones cut off and let in again",
                change("spec.reject", json!([{"subResources": ["dfs"], "appliesTo": ["Approved"]}])),
                &["spec.reject[0]", "must hold Pending"],
            ),
            wrong(
                "approved ones held",
                change("spec.hold", json!([{"subResources": ["dfs"], "appliesTo": ["Pending", "Approved"]}])),
                &["spec.hold", "appliesTo is for reject only"],
            ),
            wrong(
                "an expression without an end",
                change("spec.allow.0.expression", json!("true || ".repeat(80))),
                &["spec.allow[0].expression", "512"],
            ),
            wrong(
                "an expression that stands alone",
                change("spec.allow", json!([{"privateEndpoint": {"ownSubscription": true}, "expression": "true"}])),
                &["spec.allow[0]", "give id, or subscriptionId"],
            ),
            wrong(
                "a name that would not fit into a line",
                change("spec.allow.0.name", json!("two\nlines")),
                &["spec.allow[0].name"],
            ),
            wrong(
                "a group without a subscription",
                change("spec.hold", json!([{"privateEndpoint": {"ownSubscription": false, "resourceGroup": "hub"}}])),
                &["spec.hold[0].privateEndpoint", "subscriptionId: needed with a resource group"],
            ),
            wrong(
                "a name too long for an owner tag",
                change("metadata.name", "p".repeat(64).into()),
                &["metadata.name", "at most 63"],
            ),
            wrong(
                "a field that does not exist",
                change(&format!("{endpoint}.tenantId"), TENANT.into()),
                &["privateEndpoint.tenantId", "not declared in schema"],
            ),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn right_manifests_are_accepted() {
    let world = World::new().await;
    let workspace = world.workspace_manifest();
    let connection = world.connection_manifest();
    let approval = world.approval_manifest();
    let of_workspace = |path: &str, value: Value| with(&workspace, path, value);
    let vault = |id: String| of_workspace("spec.associatedResources.keyVault.resourceId", id.into());
    let keys = world.id("Microsoft.KeyVault/vaults", "fraudkeys");
    let portal = world.id("microsoft.keyvault/Vaults", "FraudKeys").replace("resourceGroups", "resourcegroups");
    let user = world.id("Microsoft.ManagedIdentity/userAssignedIdentities", "fraud-id");
    let identity = json!({
        "type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user],
        "primaryUserAssignedIdentity": user.to_lowercase(),
    });
    let project = with(
        &with(
            &without(&without(&workspace, "spec.managedNetwork"), "spec.associatedResources"),
            "spec.kind",
            "Project".into(),
        ),
        "spec.hub",
        json!({"workspaceRef": {"name": "hub", "namespace": "platform"}}),
    );
    let bare = without(&without(&workspace, "spec.managedNetwork"), "spec.publicNetworkAccess");
    let named = with(&of_workspace("metadata.name", "fraud.eu".into()), "spec.azureName", "Fraud_EU-1".into());
    let tag = |ports: &str| {
        let destination = json!({"serviceTag": {"tag": "Storage.WestEurope", "protocol": "*", "portRanges": ports}});
        world.rule_manifest("rule", &destination)
    };
    let target = |id: &str| {
        world.rule_manifest("rule", &json!({"privateEndpoint": {"resourceId": id, "subresource": "sqlServer"}}))
    };
    let claimed = with(&world.fqdn("rule", "a.org"), "spec.adoption", "IfMatching".into());
    let public = with(&without(&connection, "spec.customCloud"), "spec.cloud", "Public".into());
    let federated = json!({"workloadIdentity": {"clientId": TENANT}});
    let any_group = format!("/subscriptions/{}/resourceGroups/*", world.subscription);
    let label = json!({"matchLabels": {"tier": "gold"}});
    let subscription = json!([{"privateEndpoint": {"subscriptionId": world.subscription}}]);
    let one = World::endpoint(&world.subscription, "hub", "lake-1").replace("resourceGroups", "resourcegroups");
    world
        .accepts(vec![
            ("the usual workspace", workspace.clone()),
            ("an id in lower case", vault(keys.to_lowercase())),
            ("an id in the portal's case", vault(portal)),
            ("a user-assigned identity", of_workspace("spec.identity", identity)),
            ("a name of its own in Azure", named),
            ("no managed network", of_workspace("spec.managedNetwork", json!({"isolationMode": "Disabled"}))),
            ("a project", project),
            ("everything created", world.created_workspace()),
            (
                "a storage account for one subnet and one address",
                of_workspace(
                    "spec.associatedResources.storageAccount.network",
                    json!({"access": "ServiceEndpoint", "ipRules": ["20.1.2.3", "20.2.0.0/16"],
                        "subnets": [{"resourceId": format!("{}/subnets/ml", world.id("Microsoft.Network/virtualNetworks", "hub"))}]}),
                ),
            ),
            ("a profile and nothing else", with(&bare, "spec.profile", "Private".into())),
            ("a profile with an exception", with(&workspace, "spec.profile", "Public".into())),
            (
                "addresses",
                of_workspace(
                    "spec.networkAcls",
                    json!({"defaultAction": "Deny", "ipRules": ["20.1.2.3", "20.2.0.0/16"]}),
                ),
            ),
            ("tags", of_workspace("spec.tags", json!({"cost center": "42", "Team:Owner": ""}))),
            ("the usual rule", world.lake_rule("rule")),
            ("a host", world.fqdn("rule", "pytorch.org")),
            ("a wildcard", world.fqdn("rule", "*.pytorch.org")),
            ("a host in mixed case with an underscore", world.fqdn("rule", "My_Host.Example.ORG")),
            ("punycode", world.fqdn("rule", "xn--bcher-kva.example")),
            ("punycode at the top", world.fqdn("rule", "*.xn--e1afmkfd.xn--p1ai")),
            ("a host that is half digits", world.fqdn("rule", "3.14.example.org")),
            ("a target in lower case", target(&world.lake().to_lowercase())),
            ("a target below another", target(&world.id("Microsoft.Sql/servers/main/databases", "db"))),
            ("a group with odd characters", target(&world.lake().replace("/rg/", "/My.Rg_(1)-x/"))),
            ("a claimed rule", with(&claimed, "spec.azureName", "a_b-1".into())),
            ("one port", tag("443")),
            ("ports and ranges", tag("80, 443,8080-8089")),
            ("the last port", tag("0-65535")),
            ("all ports", tag("*")),
            ("the usual connection", connection.clone()),
            ("a managed identity", with(&public, "spec.credential", json!({"managedIdentity": {}}))),
            ("workload identity", with(&public, "spec.credential", federated)),
            ("a wildcard segment", with(&connection, "spec.grants.0.scope", any_group.into())),
            ("a grant by label", with(&connection, "spec.grants.0.namespaces", label)),
            ("the usual policy", approval.clone()),
            ("a policy that allows nothing", without(&approval, "spec.allow")),
            ("a whole subscription", with(&approval, "spec.allow", subscription)),
            (
                "strangers rejected",
                with(&approval, "spec.reject", json!([{"privateEndpoint": {"ownSubscription": false}}])),
            ),
            (
                "strangers cut off",
                with(
                    &with(
                        &approval,
                        "spec.reject",
                        json!([{"name": "others", "privateEndpoint": {"ownSubscription": false},
                        "appliesTo": ["Pending", "Approved"]}]),
                    ),
                    "spec.acknowledge",
                    json!([{"door": "RejectApproved", "value": one}]),
                ),
            ),
            (
                "a narrowed entry",
                with(&approval, "spec.allow.0.expression", json!("endpoint.name.startsWith('lake-')")),
            ),
            ("a sub-resource held", with(&approval, "spec.hold", json!([{"subResources": ["dfs"]}]))),
            ("one endpoint by its id", with(&approval, "spec.allow", json!([{"privateEndpoint": {"id": one}}]))),
        ])
        .await;
}

/// The clusters of those who write with `kubectl create` or `apply` validate strictly; applying server-side always does.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_refused_by_strict_validation_of_a_plain_create() {
    let world = World::new().await;
    let manifest = with(&world.fqdn("rule", "pytorch.org"), "spec.hostname", "x".into());
    let arguments = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
    let answer = control_plane().await.kubectl_with_input(&arguments, &manifest.to_string()).await;
    let refusal = answer.expect_err("it is refused").to_string();
    assert!(refusal.contains("unknown field \"spec.hostname\""), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_tools_could_not_read_is_refused() {
    let world = World::new().await;
    let rule = world.fqdn("rule", "pytorch.org");
    world.apply(rule).await;
    let api = world.api("OutboundRule", Some(&world.team));
    let right = json!({
        "type": "Ready", "status": "True", "reason": "Active", "message": "m", "lastTransitionTime": "2025-01-01T00:00:00Z",
    });
    for (field, value, says) in [
        ("status", "Maybe", "Unsupported value"),
        ("reason", "not active", "should match"),
        ("reason", "", "at least 1"),
        ("type", "ready!", "should match"),
        ("message", &*"m".repeat(4097), "4096"),
    ] {
        let status = json!({"status": {"conditions": [with(&right, field, value.into())]}});
        let refusal = api.patch_status("rule", &PatchParams::default(), &Patch::Merge(&status)).await;
        let refusal = refusal.err().map(|error| error.to_string()).unwrap_or_default();
        let path = format!("status.conditions[0].{field}");
        assert!(refusal.contains(&path) && refusal.contains(says), "{field} {value:.20}: {refusal}");
    }
    let status = json!({"status": {"conditions": [right]}});
    api.patch_status("rule", &PatchParams::default(), &Patch::Merge(&status)).await.expect("a right condition");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_datastores_are_refused_with_the_way_out() {
    let world = World::new().await;
    let of = |spec: &Value| world.datastore_manifest("lake", spec);
    let blob = of(&world.blob("lake"));
    let reference = json!({"secretRef": {"name": "lake-key"}});
    let two = with(&blob, "spec.file", json!({"storageAccount": {"resourceId": world.lake()}, "fileShareName": "raw"}));
    let both = with(&blob, "spec.credential", json!({"accountKey": reference, "sas": reference}));
    let named = with(&blob, "spec.azureName", "lake_1".into());
    let no_id = &["blob.storageAccount.resourceId", "ARM id of a storage account"];
    let one = &["exactly one of blob, adlsGen2, file"];
    world
        .refuses(vec![
            wrong("two places", two, one),
            wrong("no place", of(&json!({})), one),
            wrong("Gen1", of(&json!({"adlsGen1": {"storeName": "lake"}})), &["adlsGen1", "retired", "adlsGen2"]),
            wrong("a name of an account", with(&blob, "spec.blob.storageAccount.resourceId", "lake".into()), no_id),
            wrong(
                "a container as an id",
                with(
                    &blob,
                    "spec.blob.storageAccount.resourceId",
                    format!("{}/blobServices/default/containers/raw", world.lake()).into(),
                ),
                no_id,
            ),
            wrong("a name of a container", with(&blob, "spec.blob.containerName", "Raw_1".into()), &["containerName"]),
            wrong(
                "a key in the spec",
                with(&blob, "spec.credential", json!({"accountKey": {"key": "c2VjcmV0"}})),
                &["spec.credential.accountKey.key", "not declared in schema"],
            ),
            wrong(
                "a signature in the spec",
                with(&blob, "spec.credential", json!({"sas": {"sasToken": "sv=1"}})),
                &["spec.credential.sas.sasToken", "not declared in schema"],
            ),
            wrong(
                "a key beside the account",
                with(&blob, "spec.blob.accountKey", "c2VjcmV0".into()),
                &["spec.blob.accountKey", "not declared in schema"],
            ),
            wrong("two credentials", both, &["exactly one of accountKey, sas, servicePrincipal, certificate"]),
            wrong(
                "a tenant by name",
                with(
                    &blob,
                    "spec.credential",
                    json!({"servicePrincipal": {"tenantId": "contoso", "clientId": TENANT, "secretRef": {"name": "s"}}}),
                ),
                &["servicePrincipal.tenantId"],
            ),
            wrong(
                "a name with a dot",
                world.datastore_manifest("lake.raw", &world.blob("lake")),
                &["metadata.name has a dot", "spec.azureName"],
            ),
            wrong("a claim to delete", with(&named, "spec.deletionPolicy", "Delete".into()), &["adoption: IfMatching"]),
        ])
        .await;
    world.accepts(vec![("by identity", blob), ("a name of its own", named)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_online_endpoints_are_refused_with_the_way_out() {
    let world = World::new().await;
    let score = world.endpoint_manifest("score", &json!({"publicNetworkAccess": "Disabled"}));
    let named = with(&score, "spec.azureName", "fraud-score".into());
    let ids = json!(["/subscriptions/x"]);
    world
        .refuses(vec![
            wrong(
                "nothing said of the internet",
                world.endpoint_manifest("score", &json!({})),
                &["publicNetworkAccess"],
            ),
            wrong(
                "a word of another service",
                with(&score, "spec.publicNetworkAccess", "Private".into()),
                &["Enabled"],
            ),
            wrong("another token", with(&score, "spec.authMode", "AMLToken".into()), &["AADToken", "Key"]),
            wrong(
                "a key",
                with(&score, "spec.keys", json!({"primaryKey": "x"})),
                &["spec.keys", "not declared in schema"],
            ),
            wrong(
                "traffic",
                with(&score, "spec.traffic", json!({"blue": 100})),
                &["spec.traffic", "not declared in schema"],
            ),
            wrong(
                "an id that is none",
                with(&score, "spec.identity", json!({"type": "UserAssigned", "userAssignedIdentities": ids})),
                &["ARM ids of user-assigned identities"],
            ),
            wrong(
                "a type without ids",
                with(&score, "spec.identity", json!({"type": "UserAssigned"})),
                &["give at least one id with type UserAssigned"],
            ),
            wrong(
                "a name that is too short",
                world.endpoint_manifest("s", &json!({"publicNetworkAccess": "Disabled"})),
                &["3 to 32 letters", "spec.azureName"],
            ),
            wrong(
                "a name that ends in a dash",
                with(&score, "spec.azureName", "score-".into()),
                &["ends in a letter or digit"],
            ),
            wrong("a claim to delete", with(&named, "spec.deletionPolicy", "Delete".into()), &["adoption: IfMatching"]),
        ])
        .await;
    world.accepts(vec![("closed", score), ("a name of its own", named)]).await;
}
