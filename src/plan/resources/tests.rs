//! What is decided about each resource, by example.

use serde_json::{Value, json};

use super::*;
use crate::api::workspace::Access;

mod properties;

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const TAG: &str = "cluster-1/AmlWorkspace/team/fraud/created";

fn id_of(type_: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/rg/providers/{type_}/{name}")
}

fn workspace() -> ArmId {
    ArmId::parse(&id_of("Microsoft.MachineLearningServices/workspaces", "fraud")).unwrap()
}

fn owner() -> Owner {
    Owner { installation: "cluster-1".into(), kind: "AmlWorkspace", namespace: "team".into(), name: "fraud".into() }
}

fn subnet(name: &str) -> String {
    format!("{}/subnets/{name}", id_of("Microsoft.Network/virtualNetworks", "net"))
}

/// A manifest in which everything exists, with `change` laid over.
fn spec(change: Value) -> AmlWorkspaceSpec {
    let mut spec = json!({
        "connectionRef": {"name": "c"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
        "associatedResources": {
            "storageAccount": {"resourceId": id_of("Microsoft.Storage/storageAccounts", "data")},
            "keyVault": {"resourceId": id_of("Microsoft.KeyVault/vaults", "keys")},
            "containerRegistry": {"resourceId": id_of("Microsoft.ContainerRegistry/registries", "images")},
            "applicationInsights": {"resourceId": id_of("Microsoft.Insights/components", "insights")},
        },
    });
    merge(&mut spec, &change);
    serde_json::from_value(spec).unwrap()
}

/// A manifest in which `field` is created with `create`, and everything else exists.
fn creating(field: &str, create: Value, change: Value) -> AmlWorkspaceSpec {
    let mut spec = json!(spec(change));
    spec["associatedResources"][field] = json!({ "create": create });
    serde_json::from_value(spec).unwrap()
}

/// What is decided about the resource of `field`, given what ARM shows of it and what the status remembers.
fn decide_with(
    spec: &AmlWorkspaceSpec,
    field: Field,
    shown: Option<Value>,
    entries: Option<&str>,
    peers: &Peers,
) -> ResourcePlan {
    let (owner, workspace) = (owner(), workspace());
    let all = declared(spec, &workspace);
    let resource = all.iter().find(|resource| resource.field == field).unwrap();
    let observed = shown.map(|shown| Observed::read(field, shown).unwrap());
    let said = AssociatedResourceStatus { entries: entries.map(Into::into), ..status(resource, None) };
    plan(&ResourceInput {
        owner: &owner,
        workspace: &workspace,
        tenant: TENANT,
        spec,
        resource,
        observed: observed.as_ref(),
        said: Some(&said),
        peers,
        grounded: true,
        observes: false,
    })
}

fn decide(spec: &AmlWorkspaceSpec, field: Field, shown: Option<Value>) -> ResourcePlan {
    decide_with(spec, field, shown, None, &Peers::default())
}

fn body(plan: &ResourcePlan) -> Value {
    plan.step.as_ref().and_then(|step| step.request.body.clone()).unwrap_or(Value::Null)
}

fn word(plan: &ResourcePlan) -> &'static str {
    plan.trouble.as_ref().map_or("as declared", |trouble| trouble.reason.word())
}

fn fields(plan: &ResourcePlan) -> Vec<String> {
    plan.differences.iter().map(|difference| difference.field.to_string()).collect()
}

#[test]
fn what_nobody_speaks_of_is_not_looked_at() {
    let plan = decide(&spec(json!({})), Field::StorageAccount, None);
    assert_eq!((plan.step, plan.trouble, plan.in_place), (None, None, None));
    assert_eq!((plan.status.field.as_str(), plan.status.access), ("storageAccount", None));
}

#[test]
fn what_is_created_is_closed_from_the_first_moment() {
    for (field, create, want) in [
        (
            Field::StorageAccount,
            json!({}),
            json!({"kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {
                "publicNetworkAccess": "Disabled", "minimumTlsVersion": "TLS1_2", "allowBlobPublicAccess": false,
                "allowCrossTenantReplication": false, "supportsHttpsTrafficOnly": true,
                "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [], "virtualNetworkRules": [],
                    "resourceAccessRules": []}}}),
        ),
        (
            Field::KeyVault,
            json!({"purgeProtection": true}),
            json!({"properties": {
                "publicNetworkAccess": "Disabled", "tenantId": TENANT, "sku": {"family": "A", "name": "standard"},
                "accessPolicies": [], "enableRbacAuthorization": true, "enableSoftDelete": true, "enablePurgeProtection": true,
                "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [], "virtualNetworkRules": []}}}),
        ),
        (
            Field::ContainerRegistry,
            json!({}),
            json!({"sku": {"name": "Premium"}, "properties": {
                "publicNetworkAccess": "Disabled", "adminUserEnabled": false, "networkRuleBypassOptions": "AzureServices",
                "networkRuleSet": {"defaultAction": "Deny", "ipRules": []}}}),
        ),
    ] {
        let spec = creating(field.as_str(), create, json!({}));
        let plan = decide(&spec, field, None);
        let mut want = want;
        want["location"] = json!("westeurope");
        want["tags"] = json!({ OWNER_TAG: TAG });
        assert_eq!(body(&plan), want);
        let step = plan.step.unwrap();
        let id = ArmId::parse(&plan.status.resource_id).unwrap();
        assert_eq!((step.request.method, &step.needs), ("PUT", &vec![(Verb::Create, id)]));
        assert!(plan.trouble.unwrap().message.starts_with(field.noun()), "the resource is named");
        // As it was made it stays, and its own tags and those of others too.
        let mut made = want;
        made["tags"]["cost"] = json!("42");
        let plan = decide(&spec, field, Some(made));
        assert_eq!((word(&plan), plan.step, plan.in_place), ("as declared", None, Some(true)));
    }
}

#[test]
fn shared_keys_go_where_the_datastores_do_without_them() {
    let identity = json!({"systemDatastoresAuthMode": "Identity"});
    let keys = |change: Value| {
        let spec = creating("storageAccount", json!({}), change);
        body(&decide(&spec, Field::StorageAccount, None))["properties"]["allowSharedKeyAccess"].clone()
    };
    assert_eq!(keys(identity.clone()), json!(false));
    assert_eq!(keys(json!({})), Value::Null, "the workspace needs them");
    let spec = creating("storageAccount", json!({}), identity);
    let mut shown = body(&decide(&spec, Field::StorageAccount, None));
    shown["properties"]["allowSharedKeyAccess"] = json!(true);
    let plan = decide(&spec, Field::StorageAccount, Some(shown));
    assert_eq!(body(&plan), json!({"properties": {"allowSharedKeyAccess": false}}));
}

#[test]
fn a_component_waits_for_its_log_workspace_and_is_changed_as_a_whole() {
    let spec = creating("applicationInsights", json!({}), json!({}));
    let workspace = workspace();
    let all = declared(&spec, &workspace);
    let resource = all.iter().find(|resource| resource.field == Field::ApplicationInsights).unwrap();
    let input = ResourceInput {
        owner: &owner(),
        workspace: &workspace,
        tenant: TENANT,
        spec: &spec,
        resource,
        observed: None,
        said: None,
        peers: &Peers::default(),
        grounded: false,
        observes: false,
    };
    let plan = super::plan(&input);
    assert_eq!((plan.step.is_none(), word(&plan)), (true, "Creating"));
    let logs = decide(&spec, Field::LogWorkspace, None);
    let closed = json!({"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled",
        "sku": {"name": "PerGB2018"}});
    assert_eq!(body(&logs)["properties"], closed);
    let mut component = body(&decide(&spec, Field::ApplicationInsights, None));
    assert_eq!(component["properties"]["WorkspaceResourceId"], logs.status.resource_id);
    component["properties"]["publicNetworkAccessForQuery"] = json!("Enabled");
    component["properties"]["SamplingPercentage"] = json!(50.0);
    let plan = decide(&spec, Field::ApplicationInsights, Some(component));
    let step = plan.step.as_ref().unwrap();
    assert_eq!(
        (step.request.method, fields(&plan)),
        ("PUT", vec!["properties.publicNetworkAccessForQuery".to_owned()])
    );
    let sent = body(&plan);
    assert_eq!(sent["properties"]["publicNetworkAccessForQuery"], "Disabled");
    assert_eq!((&sent["properties"]["SamplingPercentage"], &sent["tags"][OWNER_TAG]), (&json!(50.0), &json!(TAG)));
}

#[test]
fn an_account_that_is_open_is_closed_and_its_lists_go_along_as_they_are() {
    let spec = spec(json!({"associatedResources": {"storageAccount": {"network": {"access": "PrivateEndpoint"}}}}));
    let theirs = json!([{"value": "20.1.2.3", "action": "Allow"}]);
    let shown =
        json!({"properties": {"networkAcls": {"defaultAction": "Allow", "bypass": "Logging", "ipRules": theirs}}});
    let plan = decide(&spec, Field::StorageAccount, Some(shown));
    assert_eq!(
        body(&plan),
        json!({"properties": {"publicNetworkAccess": "Disabled", "networkAcls": {
            "defaultAction": "Deny", "bypass": "Logging, AzureServices", "ipRules": theirs, "virtualNetworkRules": [],
            "resourceAccessRules": []}}})
    );
    assert_eq!(plan.status.unmanaged_entries, ["20.1.2.3"]);
    let id = ArmId::parse(&plan.status.resource_id).unwrap();
    assert_eq!(plan.step.unwrap().needs, vec![(Verb::Configure, id)]);
    assert!(plan.status.missing[0].contains("properties.publicNetworkAccess is Enabled, declared Disabled"));
}

#[test]
fn entries_of_ours_come_and_go_and_strangers_stay() {
    let network = |rules: Value, trust: bool| {
        spec(json!({
            "associatedResources": {"storageAccount": {"network": {
                "access": "ServiceEndpoint", "subnets": [{"resourceId": subnet("ML")}], "ipRules": rules, "trustWorkspace": trust}}},
            "acknowledge": [{"door": "PublicNetworkAccess", "value": "SelectedAddresses"}],
        }))
    };
    let one = network(json!(["20.1.2.3"]), true);
    let theirs = json!({"value": "20.9.9.9", "action": "Allow"});
    let shown = json!({"properties": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny", "ipRules": [theirs]}}});
    let first = decide(&one, Field::StorageAccount, Some(shown));
    let mut there = body(&first);
    there["properties"]["publicNetworkAccess"] = json!("Enabled");
    let rules = &there["properties"]["networkAcls"];
    assert_eq!(rules["ipRules"], json!([theirs, {"value": "20.1.2.3", "action": "Allow"}]));
    assert_eq!(rules["virtualNetworkRules"], json!([{"id": subnet("ml").to_lowercase(), "action": "Allow"}]));
    let ours = json!([{"tenantId": TENANT, "resourceId": workspace().key()}]);
    assert_eq!(rules["resourceAccessRules"], ours);
    let marks = first.status.entries.clone();
    assert_eq!(word(&decide(&one, Field::StorageAccount, Some(there.clone()))), "as declared");

    // Taken out of the manifest, they go; what is not remembered is a stranger's.
    let none = network(json!([]), false);
    let plan = decide_with(&none, Field::StorageAccount, Some(there.clone()), marks.as_deref(), &Peers::default());
    let rules = body(&plan)["properties"]["networkAcls"].clone();
    assert_eq!((&rules["ipRules"], &rules["resourceAccessRules"]), (&json!([theirs]), &json!([])));
    assert_eq!(plan.status.unmanaged_entries, ["20.9.9.9"]);
    // Until they are gone they are remembered.
    assert_eq!(plan.status.entries.unwrap().split(',').count(), 3);
    let lost = decide(&none, Field::StorageAccount, Some(there));
    assert_eq!((lost.step, lost.status.unmanaged_entries.len()), (None, 3));
}

#[test]
fn what_was_created_remembers_its_entries_in_a_tag() {
    let network = |rules: Value| {
        let mut spec = json!(creating(
            "keyVault",
            json!({}),
            json!({
            "acknowledge": [{"door": "PublicNetworkAccess", "value": "SelectedAddresses"}]})
        ));
        spec["associatedResources"]["keyVault"]["network"] = json!({"access": "Public", "ipRules": rules});
        serde_json::from_value::<AmlWorkspaceSpec>(spec).unwrap()
    };
    let two = network(json!(["20.1.2.3", "20.2.0.0/16"]));
    let made = body(&decide(&two, Field::KeyVault, None));
    assert_eq!(made["tags"][ENTRIES_TAG].as_str().unwrap().split(',').count(), 2);
    // Azure shows one address as a block of one.
    let mut shown = made.clone();
    shown["properties"]["networkAcls"]["ipRules"] =
        json!([{"value": "20.1.2.3/32"}, {"value": "20.2.0.0/16"}, {"value": "20.9.9.9/32"}]);
    assert_eq!(word(&decide(&two, Field::KeyVault, Some(shown.clone()))), "as declared");
    // Every status is lost, and one is taken out.
    let plan = decide(&network(json!(["20.1.2.3"])), Field::KeyVault, Some(shown.clone()));
    let sent = body(&plan);
    assert_eq!(
        sent["properties"]["networkAcls"]["ipRules"],
        json!([{"value": "20.1.2.3/32"}, {"value": "20.9.9.9/32"}])
    );
    assert_eq!(sent["tags"][ENTRIES_TAG].as_str().unwrap().split(',').count(), 1);
    // Another's list says nothing.
    shown["tags"][OWNER_TAG] = json!("cluster-2/AmlWorkspace/team/fraud/created");
    let refused = decide(&network(json!(["20.1.2.3"])), Field::KeyVault, Some(shown));
    assert_eq!((word(&refused), refused.step), ("OwnedElsewhere", None));
}

#[test]
fn strangers_go_only_where_a_person_named_them() {
    let network = |words: Value| {
        spec(json!({
            "associatedResources": {"storageAccount": {"network": {"access": "PrivateEndpoint", "ownership": "Exclusive"}}},
            "acknowledge": words,
        }))
    };
    let shown = json!({"properties": {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny",
        "bypass": "AzureServices", "ipRules": [{"value": "20.1.2.3"}, {"value": "20.9.9.9"}]}}});
    let asked = decide(&network(json!([])), Field::StorageAccount, Some(shown.clone()));
    assert_eq!((word(&asked), asked.step), ("AcknowledgementRequired", None));
    let message = asked.trouble.unwrap().message;
    assert!(message.contains(r#"{door: ExclusiveRules, value: "20.1.2.3,20.9.9.9"}"#), "{message}");
    let one = json!([{"door": "ExclusiveRules", "value": "20.1.2.3"}]);
    let plan = decide(&network(one), Field::StorageAccount, Some(shown));
    assert_eq!(body(&plan)["properties"]["networkAcls"]["ipRules"], json!([{"value": "20.9.9.9"}]));
}

#[test]
fn nothing_is_opened_without_a_word_and_what_else_is_open_is_closed_all_the_same() {
    let network = |network: Value, words: Value| {
        spec(json!({"associatedResources": {"storageAccount": {"network": network}}, "acknowledge": words}))
    };
    let closed = json!({"properties": {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}});
    let open = json!({"properties": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Allow"}}});
    let some = json!({"access": "Public", "ipRules": ["20.1.2.3"]});
    let word_for = |value: &str| json!([{"door": "PublicNetworkAccess", "value": value}]);
    for (declared, words, shown, want, sends) in [
        (json!({"access": "Public"}), json!([]), &closed, "AcknowledgementRequired", false),
        (json!({"access": "Public"}), word_for("SelectedAddresses"), &closed, "AcknowledgementRequired", false),
        (json!({"access": "Public"}), word_for("Enabled"), &closed, "Updating", true),
        (json!({"access": "Public"}), json!([]), &open, "as declared", false),
        (some.clone(), json!([]), &closed, "AcknowledgementRequired", false),
        (some.clone(), word_for("SelectedAddresses"), &closed, "Updating", true),
        // Closed to everybody, though the one address waits for its word.
        (some, json!([]), &open, "Updating", true),
        (
            json!({"access": "ServiceEndpoint", "subnets": [{"resourceId": subnet("ml")}]}),
            json!([]),
            &closed,
            "Updating",
            true,
        ),
    ] {
        let plan = decide(&network(declared.clone(), words), Field::StorageAccount, Some(shown.clone()));
        assert_eq!((word(&plan), plan.step.is_some()), (want, sends), "{declared} on {shown}");
    }
    // Strangers' addresses would come in once the switch is on.
    let theirs = json!({"properties": {"publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "20.9.9.9"}]}}});
    let served = json!({"access": "ServiceEndpoint", "subnets": [{"resourceId": subnet("ml")}]});
    let plan = decide(&network(served, json!([])), Field::StorageAccount, Some(theirs));
    assert!(body(&plan)["properties"]["publicNetworkAccess"].is_null(), "{}", body(&plan));
}

#[test]
fn a_registry_that_is_not_premium_is_upgraded_only_with_a_word() {
    let network = |words: Value| {
        spec(json!({
            "associatedResources": {"containerRegistry": {"network": {"access": "PrivateEndpoint"}}}, "acknowledge": words,
        }))
    };
    let shown = json!({"sku": {"name": "Basic"}, "properties": {"publicNetworkAccess": "Enabled"}});
    let asked = decide(&network(json!([])), Field::ContainerRegistry, Some(shown.clone()));
    assert_eq!((word(&asked), asked.step), ("AcknowledgementRequired", None));
    assert!(asked.trouble.unwrap().message.contains("{door: RegistrySku, value: Premium}"));
    let word_given = json!([{"door": "RegistrySku", "value": "Premium"}]);
    let plan = decide(&network(word_given), Field::ContainerRegistry, Some(shown.clone()));
    let sent = body(&plan);
    assert_eq!(
        (&sent["sku"]["name"], &sent["properties"]["publicNetworkAccess"]),
        (&json!("Premium"), &json!("Disabled"))
    );
    // One that stays public needs no other SKU.
    let public = spec(json!({"associatedResources": {"containerRegistry": {"network": {"access": "Public"}}}}));
    assert_eq!(word(&decide(&public, Field::ContainerRegistry, Some(shown))), "as declared");
}

#[test]
fn the_stricter_of_two_workspaces_wins_and_neither_loses_its_entries() {
    let open = spec(json!({
        "associatedResources": {"storageAccount": {"network": {"access": "Public", "ownership": "Exclusive"}}},
        "acknowledge": [{"door": "PublicNetworkAccess", "value": "Enabled"}, {"door": "ExclusiveRules", "value": "20.7.7.7"}],
    }));
    let other = spec(
        json!({"associatedResources": {"storageAccount": {"network": {"access": "Public", "ipRules": ["20.7.7.7"]}}}}),
    );
    let posture = declared(&other, &workspace()).remove(0).posture.unwrap();
    assert_eq!(posture.access, Access::Public);
    let peer =
        |posture: Posture| Peers::of([Peer { name: "team/risk".into(), workspace: workspace(), posture }], TENANT);
    let shown = json!({"properties": {"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "20.7.7.7"}]}}});
    let plan = decide_with(&open, Field::StorageAccount, Some(shown.clone()), None, &peer(posture.clone()));
    assert_eq!((word(&plan), &plan.step), ("ManagedElsewhere", &None));
    assert!(plan.trouble.unwrap().message.contains("team/risk"));
    assert_eq!(plan.status.unmanaged_entries, Vec::<String>::new(), "it is the other's, not a stranger's");
    // One that only checks has no say in what is open, but its entries are nobody else's to remove.
    let checks = Posture { manage: false, ..posture };
    let plan = decide_with(&open, Field::StorageAccount, Some(shown), None, &peer(checks));
    assert_eq!(
        (word(&plan), body(&plan)["properties"]["networkAcls"]["ipRules"].clone()),
        ("Updating", json!([{"value": "20.7.7.7"}]))
    );
}

#[test]
fn what_is_only_checked_is_told_and_holds_nobody_up() {
    let network = json!({"access": "PrivateEndpoint", "manage": false});
    let spec = spec(json!({"associatedResources": {"storageAccount": {"network": network}}}));
    let plan = decide(&spec, Field::StorageAccount, Some(json!({"properties": {"publicNetworkAccess": "Enabled"}})));
    assert_eq!((word(&plan), plan.step, plan.holds), ("Differs", None, false));
    assert!(plan.trouble.unwrap().message.contains("properties.publicNetworkAccess is Enabled, declared Disabled"));
}

#[test]
fn whose_it_is_decides_what_may_be_done_with_what_exists_under_the_name_of_what_is_created() {
    let made = body(&decide(&creating("storageAccount", json!({}), json!({})), Field::StorageAccount, None));
    let there = |tag: Option<&str>, open: bool| {
        let mut there = made.clone();
        there["tags"] = tag.map_or(json!({"cost": "42"}), |tag| json!({ OWNER_TAG: tag }));
        if open {
            there["properties"]["publicNetworkAccess"] = json!("Enabled");
        }
        there
    };
    for (adoption, tag, open, want, sends) in [
        ("Never", None, false, "AdoptionRefused", false),
        ("IfMatching", None, true, "AdoptionRefused", false),
        ("IfMatching", None, false, "Updating", true),
        ("Always", None, true, "Updating", true),
        ("Always", Some("cluster-2/AmlWorkspace/team/fraud/created"), false, "OwnedElsewhere", false),
        ("Never", Some(TAG), true, "Updating", true),
    ] {
        let spec = creating("storageAccount", json!({}), json!({"adoption": adoption}));
        let plan = decide(&spec, Field::StorageAccount, Some(there(tag, open)));
        assert_eq!((word(&plan), plan.step.is_some()), (want, sends), "{adoption} {tag:?} {open}");
        if let (true, None) = (sends, tag) {
            let tags = body(&plan)["tags"].clone();
            assert_eq!(tags, json!({"cost": "42", OWNER_TAG: "cluster-1/AmlWorkspace/team/fraud/adopted"}));
        }
    }
}

#[test]
fn what_moves_is_waited_for_what_failed_is_made_again_and_what_is_missing_is_said() {
    let vault = creating("keyVault", json!({}), json!({}));
    let mut made = body(&decide(&vault, Field::KeyVault, None));
    made["properties"]["provisioningState"] = json!("RegisteringDns");
    let moving = decide(&vault, Field::KeyVault, Some(made.clone()));
    assert_eq!((word(&moving), moving.step.is_none(), moving.moving), ("Updating", true, true));
    made["properties"]["provisioningState"] = json!("Failed");
    made["properties"]["networkAcls"]["ipRules"] = json!([{"value": "20.9.9.9/32"}]);
    let again = decide(&vault, Field::KeyVault, Some(made));
    assert_eq!(again.step.as_ref().unwrap().request.method, "PUT");
    assert_eq!(
        body(&again)["properties"]["networkAcls"]["ipRules"],
        json!([{"value": "20.9.9.9/32"}]),
        "nobody's entry is lost"
    );
    let named = spec(json!({"associatedResources": {"storageAccount": {"network": {"access": "PrivateEndpoint"}}}}));
    let missing = decide(&named, Field::StorageAccount, None);
    assert_eq!((word(&missing), missing.step), ("ParentMissing", None));
    let failed = json!({"properties": {"provisioningState": "Failed"}});
    assert_eq!(word(&decide(&named, Field::StorageAccount, Some(failed))), "AzureRefused", "it is somebody else's");
}

#[test]
fn a_flaw_in_what_was_created_is_put_right_and_named() {
    for (field, create, flaw, value, name) in [
        (Field::StorageAccount, json!({}), "allowBlobPublicAccess", json!(true), "properties.allowBlobPublicAccess"),
        (Field::StorageAccount, json!({}), "minimumTlsVersion", json!("TLS1_0"), "properties.minimumTlsVersion"),
        (Field::StorageAccount, json!({}), "publicNetworkAccess", json!("Enabled"), "properties.publicNetworkAccess"),
        (
            Field::StorageAccount,
            json!({}),
            "publicNetworkAccess",
            json!("SecuredByPerimeter"),
            "properties.publicNetworkAccess",
        ),
        (Field::KeyVault, json!({}), "enableRbacAuthorization", json!(false), "properties.enableRbacAuthorization"),
        (
            Field::KeyVault,
            json!({"purgeProtection": true}),
            "enablePurgeProtection",
            json!(null),
            "properties.enablePurgeProtection",
        ),
        (Field::ContainerRegistry, json!({}), "adminUserEnabled", json!(true), "properties.adminUserEnabled"),
        (Field::ContainerRegistry, json!({}), "anonymousPullEnabled", json!(true), "properties.anonymousPullEnabled"),
        (
            Field::ApplicationInsights,
            json!({}),
            "publicNetworkAccessForIngestion",
            json!("Enabled"),
            "properties.publicNetworkAccessForIngestion",
        ),
        (
            Field::LogWorkspace,
            json!({}),
            "publicNetworkAccessForQuery",
            json!(null),
            "properties.publicNetworkAccessForQuery",
        ),
    ] {
        let parent = if field == Field::LogWorkspace { "applicationInsights" } else { field.as_str() };
        let spec = creating(parent, create, json!({}));
        let mut shown = body(&decide(&spec, field, None));
        let right = shown["properties"][flaw].clone();
        shown["properties"][flaw] = value;
        let plan = decide(&spec, field, Some(shown));
        assert_eq!(fields(&plan), [name]);
        let sent = body(&plan)["properties"][flaw].clone();
        assert_eq!(sent, if right.is_null() { json!(false) } else { right }, "{name}");
    }
}
