use std::collections::BTreeMap;

use serde_json::json;

use crate::api::common::DeletionPolicy;
use crate::api::connection::AzureConnectionSpec;
use crate::plan::rules::RuleWrite;

use super::*;

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const TAG: &str = "cluster-1/AmlWorkspace/team/fraud/created";
const OTHERS: &str = "cluster-2/AmlWorkspace/team/fraud/created";

fn resource(type_: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/fraud-rg/providers/{type_}/{name}")
}

fn storage() -> String {
    resource("Microsoft.Storage/storageAccounts", "data")
}

fn vault() -> String {
    resource("Microsoft.KeyVault/vaults", "keys")
}

fn user(name: &str) -> String {
    resource("Microsoft.ManagedIdentity/userAssignedIdentities", name)
}

fn lay(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            patch.iter().for_each(|(key, value)| lay(base.entry(key.clone()).or_insert(Value::Null), value));
        }
        (base, patch) => *base = patch.clone(),
    }
}

/// A spec as a user writes it, with `change` laid over.
fn spec(change: Value) -> AmlWorkspaceSpec {
    let mut spec = json!({
        "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "fraud-rg", "location": "westeurope",
        "identity": {"type": "SystemAssigned"}, "publicNetworkAccess": "Disabled",
        "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
        "associatedResources": {"storageAccount": {"resourceId": storage()}, "keyVault": {"resourceId": vault()}},
    });
    lay(&mut spec, &change);
    serde_json::from_value(spec).unwrap()
}

/// A workspace as ARM shows it after `spec(json!({}))` was carried out, with `change` laid over.
fn shown(change: Value) -> Workspace {
    let mut workspace = json!({
        "location": "westeurope", "tags": {"cost": "42", "aml-operator.io-owner": TAG},
        "identity": {"type": "SystemAssigned", "principalId": "p"},
        "properties": {
            "workspaceId": "w", "provisioningState": "Succeeded", "publicNetworkAccess": "Disabled",
            "storageAccount": storage(), "keyVault": vault(),
            "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Standard", "status": {"status": "Inactive"}},
        }
    });
    lay(&mut workspace, &change);
    Workspace::read(workspace).unwrap()
}

fn owner() -> Owner {
    Owner { installation: "cluster-1".into(), kind: "AmlWorkspace", namespace: "team".into(), name: "fraud".into() }
}

fn id() -> ArmId {
    ArmId::parse(&resource("Microsoft.MachineLearningServices/workspaces", "fraud")).unwrap()
}

fn connection(verbs: &[&str], egress: Value) -> AzureConnectionSpec {
    let scope = format!("/subscriptions/{SUB}/resourceGroups/fraud-rg");
    serde_json::from_value(json!({
        "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}},
        "grants": [{"namespaces": {"names": ["team"]}, "scope": scope, "verbs": verbs, "egress": egress}]
    }))
    .unwrap()
}

/// Calls `judge` with what the plan looks at: a workspace without rules and computes.
fn with_input<T>(
    verbs: &[&str],
    spec: &AmlWorkspaceSpec,
    observed: Option<&Workspace>,
    judge: impl FnOnce(WorkspaceInput<'_>) -> T,
) -> T {
    let connection = connection(verbs, json!({}));
    let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
    judge(WorkspaceInput {
        owner: &owner(),
        id: &id(),
        spec,
        hub: None,
        observed,
        rules: &[],
        computes: Some(&[]),
        wanted: false,
        soft_deleted: false,
        observes: false,
        fence: &fence,
    })
}

fn decide_with(verbs: &[&str], spec: &AmlWorkspaceSpec, observed: Option<&Workspace>) -> WorkspacePlan {
    with_input(verbs, spec, observed, plan)
}

fn decide(spec: &AmlWorkspaceSpec, observed: Option<&Workspace>) -> WorkspacePlan {
    decide_with(&["create", "configure"], spec, observed)
}

/// The word of the verdict and the body of the PATCH, if that is the write.
fn patch(change_spec: Value, change_shown: Value) -> (&'static str, Option<Value>) {
    let decided = decide(&spec(change_spec), Some(&shown(change_shown)));
    let body = decided.write.map(|write| match write {
        Write::Update(body) => body,
        other => panic!("not a PATCH: {other:?}"),
    });
    (decided.verdict.reason.word(), body)
}

#[test]
fn an_absent_workspace_is_created_whole_and_tagged() {
    let spec = spec(json!({
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user("ml")], "primaryUserAssignedIdentity": user("ml")},
        "managedNetwork": {"firewallSku": "Basic", "provision": {"when": "Immediately"}},
        "associatedResources": {"applicationInsights": {"resourceId": resource("Microsoft.Insights/components", "seen")}},
    }));
    let decided = decide(&spec, None);
    assert_eq!((decided.verdict.reason.word(), decided.rules_may_change), ("Creating", false));
    let request = decided.write.unwrap().request(&id(), None);
    assert_eq!((request.method, request.path.as_str(), request.id.as_str()), ("PUT", id().as_str(), id().as_str()));
    assert_eq!(
        request.body.unwrap(),
        json!({
            "location": "westeurope",
            "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {user("ml"): {}}},
            "tags": {"aml-operator.io-owner": TAG},
            "properties": {
                "publicNetworkAccess": "Disabled",
                "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic"},
                "storageAccount": storage(), "keyVault": vault(),
                "applicationInsights": resource("Microsoft.Insights/components", "seen"),
                "primaryUserAssignedIdentity": user("ml"),
            }
        })
    );
}

#[test]
fn what_azure_calls_the_same_is_not_written() {
    for change in [
        json!({}),
        json!({"location": "West Europe"}),
        json!({"properties": {"storageAccount": storage().to_uppercase(), "keyVault": vault().to_lowercase()}}),
        json!({"properties": {"managedNetwork": {"isolationMode": "allowOnlyApprovedOutbound"}, "publicNetworkAccess": "disabled"}}),
        json!({"properties": {"provisioningState": null, "containerRegistry": resource("R/r", "made-by-azure"), "friendlyName": "x"}}),
    ] {
        let decided = decide(&spec(json!({})), Some(&shown(change.clone())));
        assert_eq!(
            (decided.write, decided.verdict.reason, decided.differences.len()),
            (None, Reason::Secured, 0),
            "{change}"
        );
        assert!(decided.rules_may_change);
    }
    let mut respelled = shown(json!({}));
    respelled.tags = Some(BTreeMap::from([("AML-Operator.io-Owner".into(), TAG.into())]));
    assert_eq!(decide(&spec(json!({})), Some(&respelled)).write, None, "tag names have no case");
    let open =
        json!({"publicNetworkAccess": "Enabled", "acknowledge": [{"door": "PublicNetworkAccess", "value": "Enabled"}]});
    assert_eq!(
        patch(open, json!({"properties": {"publicNetworkAccess": null}})),
        ("Secured", None),
        "open is Azure's default"
    );
    let both =
        json!({"identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user("a"), user("b")]}});
    let spaced = json!({"identity": {"type": "SystemAssigned, UserAssigned",
        "userAssignedIdentities": {user("b").to_uppercase(): {}, user("a"): null}}});
    assert_eq!(patch(both, spaced), ("Secured", None));
    let elsewhere = json!({"managedNetwork": {"isolationMode": "AllowInternetOutbound", "firewallSku": "Basic"}});
    let without =
        json!({"properties": {"managedNetwork": {"isolationMode": "AllowInternetOutbound", "firewallSku": null}}});
    assert_eq!(patch(elsewhere, without), ("Secured", None), "where there is no firewall, its SKU says nothing");
}

#[test]
fn only_what_differs_is_sent() {
    let registry = resource("Microsoft.ContainerRegistry/registries", "images");
    let insights = resource("Microsoft.Insights/components", "seen");
    for (declared, observed, body) in [
        (
            json!({}),
            json!({"properties": {"publicNetworkAccess": "Enabled"}}),
            json!({"properties": {"publicNetworkAccess": "Disabled"}}),
        ),
        (
            json!({}),
            json!({"properties": {"publicNetworkAccess": null}}),
            json!({"properties": {"publicNetworkAccess": "Disabled"}}),
        ),
        (
            json!({"associatedResources": {"containerRegistry": {"resourceId": registry}, "applicationInsights": {"resourceId": insights}}}),
            json!({}),
            json!({"properties": {"containerRegistry": registry, "applicationInsights": insights}}),
        ),
        (
            json!({"managedNetwork": {"firewallSku": "Basic"}}),
            json!({}),
            json!({"properties": {"managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Basic"}}}),
        ),
        (
            json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": [user("ml")], "primaryUserAssignedIdentity": user("ml")}}),
            json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {user("old"): {}}}}),
            json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {user("ml"): {}, user("old"): null}},
                "properties": {"primaryUserAssignedIdentity": user("ml")}}),
        ),
    ] {
        assert_eq!(patch(declared, observed), ("Updating", Some(body)));
    }
}

#[test]
fn what_azure_cannot_change_is_said_and_nothing_is_written() {
    for change in [
        json!({"location": "northeurope"}),
        json!({"properties": {"storageAccount": resource("Microsoft.Storage/storageAccounts", "other"), "publicNetworkAccess": "Enabled"}}),
        json!({"properties": {"keyVault": null}}),
    ] {
        assert_eq!(patch(json!({}), change), ("NotChangeable", None));
    }
}

#[test]
fn isolation_moves_only_one_way_and_only_through_its_door() {
    let modes = ["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"];
    for (from, from_mode) in modes.iter().enumerate() {
        for (to, to_mode) in modes.iter().enumerate() {
            let observed = json!({"properties": {"managedNetwork": {"isolationMode": from_mode}}});
            let declare = |word: &str| json!({"managedNetwork": {"isolationMode": to_mode}, "acknowledge": [{"door": "IsolationMode", "value": word}]});
            let open = patch(declare(to_mode), observed.clone());
            let closed = patch(declare("something else"), observed);
            let body = json!({"properties": {"managedNetwork": {"isolationMode": to_mode}}});
            match to.cmp(&from) {
                std::cmp::Ordering::Equal => assert_eq!((open.0, closed.0), ("Secured", "Secured")),
                std::cmp::Ordering::Less => {
                    assert_eq!((open, closed), (("NotChangeable", None), ("NotChangeable", None)))
                }
                std::cmp::Ordering::Greater => {
                    assert_eq!(
                        (open, closed),
                        (("Updating", Some(body)), ("AcknowledgementRequired", None)),
                        "{from_mode} to {to_mode}"
                    );
                }
            }
        }
    }
    let never_had = json!({"properties": {"managedNetwork": null}});
    assert_eq!(patch(json!({}), never_had).0, "AcknowledgementRequired");
    let novel = json!({"properties": {"managedNetwork": {"isolationMode": "Novelty"}}});
    assert_eq!(patch(json!({}), novel).0, "NotChangeable");
}

#[test]
fn a_closed_door_holds_up_nothing_but_its_own_change() {
    let both =
        json!({"properties": {"publicNetworkAccess": "Enabled", "managedNetwork": {"isolationMode": "Disabled"}}});
    let closing = json!({"properties": {"publicNetworkAccess": "Disabled"}});
    assert_eq!(patch(json!({}), both), ("Updating", Some(closing)), "what somebody opened is closed all the same");
    let waiting = decide(
        &spec(json!({})),
        Some(&shown(json!({"properties": {"managedNetwork": {"isolationMode": "Disabled"}}}))),
    );
    assert!(
        waiting.verdict.message.contains("{door: IsolationMode, value: AllowOnlyApprovedOutbound}"),
        "{}",
        waiting.verdict.message
    );
    assert!(!waiting.rules_may_change);

    let open = json!({"publicNetworkAccess": "Enabled"});
    assert_eq!(patch(open.clone(), json!({})), ("AcknowledgementRequired", None));
    assert_eq!(
        decide(&spec(open.clone()), None).verdict.reason,
        Reason::AcknowledgementRequired,
        "not at creation either"
    );
    let mut acknowledged = open;
    acknowledged["acknowledge"] = json!([{"door": "PublicNetworkAccess", "value": "Enabled"}]);
    assert_eq!(patch(acknowledged, json!({})).1, Some(json!({"properties": {"publicNetworkAccess": "Enabled"}})));
}

#[test]
fn what_was_there_before_is_taken_over_only_as_adoption_allows() {
    let untagged = |open: bool| {
        let mut workspace =
            shown(json!({"properties": {"publicNetworkAccess": if open { "Enabled" } else { "Disabled" }}}));
        workspace.tags = Some(BTreeMap::from([("cost".into(), "42".into())]));
        workspace
    };
    let adopted = json!({"tags": {"cost": "42", "aml-operator.io-owner": "cluster-1/AmlWorkspace/team/fraud/adopted"}});
    let mut adopted_and_closed = adopted.clone();
    adopted_and_closed["properties"] = json!({"publicNetworkAccess": "Disabled"});
    for (adoption, open, word, body) in [
        ("Never", false, "AdoptionRefused", None),
        ("IfMatching", false, "Updating", Some(&adopted)),
        ("IfMatching", true, "AdoptionRefused", None),
        ("Always", false, "Updating", Some(&adopted)),
        ("Always", true, "Updating", Some(&adopted_and_closed)),
    ] {
        let decided = decide(&spec(json!({"adoption": adoption})), Some(&untagged(open)));
        assert_eq!(decided.verdict.reason.word(), word, "{adoption} {open}");
        assert_eq!(decided.write, body.cloned().map(Write::Update), "{adoption} {open}");
        assert!(!decided.rules_may_change);
    }
}

#[test]
fn anothers_workspace_is_left_alone_until_its_tag_is_acknowledged() {
    let foreign =
        || json!({"tags": {"aml-operator.io-owner": OTHERS}, "properties": {"provisioningState": "Succeeded"}});
    let takeover = json!({"adoption": "Always", "acknowledge": [{"door": "Takeover", "value": OTHERS}]});
    for declared in
        [json!({}), json!({"adoption": "Always"}), json!({"acknowledge": [{"door": "Takeover", "value": OTHERS}]})]
    {
        assert_eq!(patch(declared, foreign()), ("OwnedElsewhere", None));
    }
    let ours = json!({"tags": {"cost": "42", "aml-operator.io-owner": "cluster-1/AmlWorkspace/team/fraud/adopted"}});
    assert_eq!(patch(takeover.clone(), foreign()), ("Updating", Some(ours.clone())));
    let mut failed = foreign();
    failed["properties"]["provisioningState"] = json!("Failed");
    assert_eq!(patch(takeover, failed), ("Updating", Some(ours)), "also when its last change failed");
}

#[test]
fn what_moves_is_waited_for_and_what_failed_is_mended_without_taking_anything_away() {
    for state in ["Creating", "Updating", "Deleting", "SoftDeleting"] {
        let moving = json!({"properties": {"provisioningState": state, "publicNetworkAccess": "Enabled"}});
        assert_eq!(patch(json!({}), moving), ("Updating", None), "{state}");
    }
    let failed = json!({"properties": {"provisioningState": "Failed"}});
    let same_tags = json!({"tags": {"cost": "42", "aml-operator.io-owner": TAG}});
    assert_eq!(patch(json!({}), failed), ("Updating", Some(same_tags)));
    let failed_open = json!({"properties": {"provisioningState": "Failed", "publicNetworkAccess": "Enabled"}});
    assert_eq!(patch(json!({}), failed_open).1, Some(json!({"properties": {"publicNetworkAccess": "Disabled"}})));
    let never_came_to_be = shown(json!({"properties": {"provisioningState": "Failed", "workspaceId": null}}));
    let Some(Write::Create(body)) = decide(&spec(json!({})), Some(&never_came_to_be)).write else { panic!("no PUT") };
    assert_eq!(body["tags"], json!({"cost": "42", "aml-operator.io-owner": TAG}));
}

#[test]
fn a_compute_that_waits_has_the_network_built() {
    let network = json!({"properties": {"managedNetwork": {"status": {"status": "Inactive"}}}});
    for (when, wanted, want) in
        [("OnFirstCompute", true, "Provisioning"), ("OnFirstCompute", false, "Secured"), ("Never", true, "Secured")]
    {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": when}}}));
        let observed = shown(network.clone());
        let decided = with_input(&["create", "configure"], &spec, Some(&observed), |input| {
            plan(WorkspaceInput { wanted, ..input })
        });
        assert_eq!(decided.verdict.reason.word(), want, "{when} {wanted}");
    }
}

#[test]
fn the_network_is_built_when_it_shall_be() {
    let network = |status: &str, spark: Option<bool>| json!({"properties": {"managedNetwork": {"status": {"status": status, "sparkReady": spark}}}});
    for (when, spark, observed, want) in [
        ("Immediately", false, network("Inactive", None), Some(false)),
        ("Immediately", true, network("Inactive", None), Some(true)),
        ("Immediately", true, network("Active", Some(false)), Some(true)),
        ("Immediately", true, network("Active", Some(true)), None),
        ("Immediately", false, network("active", None), None),
        ("OnFirstCompute", true, network("Inactive", None), None),
        ("Never", true, network("Inactive", None), None),
    ] {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": when, "includeSpark": spark}}}));
        let decided = decide(&spec, Some(&shown(observed)));
        assert_eq!(decided.write, want.map(|spark| Write::Provision(json!({"includeSpark": spark}))), "{when} {spark}");
        assert_eq!(decided.verdict.reason.word(), if want.is_some() { "Provisioning" } else { "Secured" });
    }
    let request = Write::Provision(json!({"includeSpark": true})).request(&id(), None);
    assert_eq!((request.method, request.path), ("POST", format!("{}/provisionManagedNetwork", id())));
}

#[test]
fn no_write_goes_over_the_fence() {
    let drifted = shown(json!({"properties": {"publicNetworkAccess": "Enabled"}}));
    for (verbs, observed, verb) in [(["configure"], None, "create"), (["create"], Some(&drifted), "configure")] {
        let decided = decide_with(&verbs, &spec(json!({})), observed);
        assert_eq!((decided.write, decided.verdict.reason), (None, Reason::ScopeNotAllowed));
        assert!(decided.verdict.message.contains(&format!("verbs: [{verb}]")), "{}", decided.verdict.message);
    }
    let quiet = decide_with(&["reach"], &spec(json!({})), Some(&shown(json!({}))));
    assert_eq!(quiet.verdict.reason, Reason::Secured, "reading needs no verb");
}

#[test]
fn what_the_grants_forbid_is_refused_before_azure_is_asked() {
    let elsewhere = storage().replace("fraud-rg", "other-rg");
    for (verbs, egress, change, want) in [
        (&["reach"][..], json!({}), json!({}), "ok"),
        (&["create"], json!({}), json!({}), "ScopeNotAllowed"),
        (
            &["reach"],
            json!({}),
            json!({"associatedResources": {"storageAccount": {"resourceId": elsewhere}}}),
            "ScopeNotAllowed",
        ),
        (&["reach"], json!({}), json!({"associatedResources": {"keyVault": {"resourceId": "keys"}}}), "Invalid"),
        (&["reach"], json!({}), json!({"deletionPolicy": "Delete"}), "ScopeNotAllowed"),
        (&["reach", "delete"], json!({}), json!({"deletionPolicy": "Delete"}), "ok"),
        (&["reach"], json!({}), json!({"managedNetwork": {"isolationMode": "Disabled"}}), "EgressNotAllowed"),
        (
            &["reach"],
            json!({"isolationModes": ["Disabled"]}),
            json!({"managedNetwork": {"isolationMode": "Disabled"}}),
            "ok",
        ),
        (&["reach"], json!({}), json!({"publicNetworkAccess": "Enabled"}), "EgressNotAllowed"),
        (&["reach"], json!({"publicNetworkAccess": "Enabled"}), json!({"publicNetworkAccess": "Enabled"}), "ok"),
    ] {
        let connection = connection(verbs, egress);
        let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
        let word =
            check(&spec(change.clone()), None, &id(), &fence).map_or_else(|verdict| verdict.reason.word(), |()| "ok");
        assert_eq!(word, want, "{verbs:?} {change}");
        let stranger = Fence::new("contoso", &connection, "other", &BTreeMap::new());
        assert!(check(&spec(change), None, &id(), &stranger).is_err(), "no grant, no word to Azure");
    }
}

#[test]
fn a_rules_patch_repeats_the_network_as_it_is() {
    let rules = Map::from_iter([("r".to_owned(), json!({"type": "FQDN"}))]);
    let write = Write::Rules(RuleWrite::Patch { rules, names: ["r".to_owned()].into() });
    let observed = shown(json!({}));
    let request = write.request(&id(), observed.properties.managed_network.as_ref());
    assert_eq!((request.method, request.path.as_str()), ("PATCH", id().as_str()));
    assert_ne!(request.id, id().as_str(), "it is filed apart from a change of the workspace itself");
    assert_eq!(
        request.body.unwrap(),
        json!({"properties": {"managedNetwork": {
            "isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Standard", "outboundRules": {"r": {"type": "FQDN"}}
        }}})
    );
    let put =
        Write::Rules(RuleWrite::Put { name: "r".into(), properties: json!({"type": "FQDN"}) }).request(&id(), None);
    assert_eq!(
        (put.path, put.body),
        (format!("{}/outboundRules/r", id()), Some(json!({"properties": {"type": "FQDN"}})))
    );
    let delete = Write::Rules(RuleWrite::Delete { name: "r".into() }).request(&id(), None);
    assert_eq!((delete.method, delete.path, delete.body), ("DELETE", format!("{}/outboundRules/r", id()), None));
}

#[test]
fn deleting_the_object_deletes_only_what_it_owns_and_only_if_told_to() {
    let ours = shown(json!({}));
    let others = shown(json!({"tags": {"aml-operator.io-owner": OTHERS}}));
    let going = shown(json!({"properties": {"provisioningState": "Deleting"}}));
    for (policy, observed, want) in [
        (Some(DeletionPolicy::Delete), Some(&ours), "delete"),
        (Some(DeletionPolicy::Delete), Some(&others), "release"),
        (Some(DeletionPolicy::Delete), Some(&going), "deleting"),
        (Some(DeletionPolicy::Delete), None, "release"),
        (Some(DeletionPolicy::Retain), Some(&ours), "release"),
        (None, Some(&ours), "release"),
    ] {
        let word = match farewell(&owner(), policy, observed, &[]) {
            Farewell::Release(_) => "release",
            Farewell::Disconnect(_) => "disconnect",
            Farewell::Delete => "delete",
            Farewell::Deleting => "deleting",
        };
        assert_eq!(word, want, "{policy:?}");
    }
}

#[test]
fn a_change_of_the_network_takes_the_rules_along_and_another_sku_waits_for_a_word() {
    let rule = OutboundRule::read(&json!({"name": "theirs", "properties": {
        "type": "FQDN", "category": "UserDefined", "destination": "theirs.org", "status": "Active"}}))
    .unwrap();
    let observed = shown(json!({"properties": {"managedNetwork": {"firewallSku": "Standard"}}}));
    let decide = |acknowledge: Value| {
        let spec = spec(json!({"managedNetwork": {"firewallSku": "Basic"}, "acknowledge": acknowledge}));
        let rules = std::slice::from_ref(&rule);
        with_input(&["create", "configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { rules, ..input }))
    };
    assert_eq!(decide(json!([])).verdict.reason.word(), "AcknowledgementRequired");
    let Some(Write::Update(body)) = decide(json!([{"door": "AzureFirewall", "value": "Basic"}])).write else {
        panic!("a PATCH")
    };
    let network = &body["properties"]["managedNetwork"];
    assert_eq!(network["firewallSku"], "Basic");
    assert_eq!(network["outboundRules"]["theirs"]["destination"], "theirs.org", "nobody's rule is lost: {body}");
}

#[test]
fn every_other_field_is_compared_as_its_type_is_and_left_alone_if_left_out() {
    let declared = json!({
        "friendlyName": "Fraud", "description": "", "systemDatastoresAuthMode": "Identity", "imageBuildCompute": "builder",
        "v1LegacyMode": false, "hbiWorkspace": false, "enableDataIsolation": false, "kind": "Default",
    });
    let same = json!({"kind": "default", "properties": {
        "friendlyName": "Fraud", "description": null, "systemDatastoresAuthMode": "identity", "imageBuildCompute": "Builder",
        "v1LegacyMode": null, "hbiWorkspace": null,
    }});
    assert_eq!(patch(declared.clone(), same.clone()), ("Secured", None));
    assert_eq!(patch(json!({}), same), ("Secured", None), "what is not declared is nobody's business");
    let other = json!({"properties": {
        "friendlyName": "fraud", "description": "old", "systemDatastoresAuthMode": "accesskey", "imageBuildCompute": null,
        "v1LegacyMode": true,
    }});
    let mended = json!({"properties": {
        "friendlyName": "Fraud", "description": "", "systemDatastoresAuthMode": "Identity", "imageBuildCompute": "builder",
        "v1LegacyMode": false,
    }});
    assert_eq!(patch(declared, other), ("Updating", Some(mended)));
    let erased = patch(json!({"imageBuildCompute": ""}), json!({"properties": {"imageBuildCompute": "builder"}}));
    assert_eq!(erased.1, Some(json!({"properties": {"imageBuildCompute": ""}})));
    assert_eq!(patch(json!({"imageBuildCompute": ""}), json!({})), ("Secured", None));
    for fixed in [json!({"hbiWorkspace": true}), json!({"enableDataIsolation": true}), json!({"kind": "Hub"})] {
        assert_eq!(patch(fixed.clone(), json!({})), ("NotChangeable", None), "{fixed}");
    }
}

#[test]
fn everything_that_azure_takes_at_creation_goes_into_it() {
    let spec = spec(json!({
        "kind": "FeatureStore", "friendlyName": "F", "description": "D", "tags": {"team": "fraud", "cost": "42"},
        "systemDatastoresAuthMode": "UserDelegationSAS", "imageBuildCompute": "", "v1LegacyMode": true, "hbiWorkspace": true,
        "enableDataIsolation": true,
        "encryption": {"keyVault": {"resourceId": vault()}, "keyIdentifier": "https://keys.vault.azure.net/keys/k/1",
            "userAssignedIdentity": user("reader")},
        "publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny", "ipRules": ["20.1.2.3"]},
        "acknowledge": [{"door": "PublicNetworkAccess", "value": "SelectedAddresses"}],
    }));
    let Some(Write::Create(body)) = decide(&spec, None).write else { panic!("a PUT") };
    assert_eq!(body["kind"], "FeatureStore");
    assert_eq!(
        body["tags"],
        json!({"team": "fraud", "cost": "42", "aml-operator.io-owner": TAG, "aml-operator.io-tags": "cost,team"})
    );
    let mut properties = body["properties"].clone();
    for known in ["managedNetwork", "storageAccount", "keyVault"] {
        properties.as_object_mut().unwrap().remove(known);
    }
    assert_eq!(
        properties,
        json!({
            "friendlyName": "F", "description": "D", "systemDatastoresAuthMode": "UserDelegationSAS", "v1LegacyMode": true,
            "hbiWorkspace": true, "enableDataIsolation": true,
            "encryption": {"status": "Enabled", "identity": {"userAssignedIdentity": user("reader")},
                "keyVaultProperties": {"keyVaultArmId": vault(), "keyIdentifier": "https://keys.vault.azure.net/keys/k/1"}},
            // The list of addresses comes later, and so does the opening: nobody else gets in meanwhile.
            "publicNetworkAccess": "Disabled",
        })
    );
}

#[test]
fn a_project_has_its_hubs_network_and_resources() {
    let mut project =
        serde_json::to_value(spec(json!({"kind": "Project", "hub": {"resourceId": "set below"}}))).unwrap();
    let hub = ArmId::parse(&resource("Microsoft.MachineLearningServices/workspaces", "hub")).unwrap();
    project["hub"]["resourceId"] = json!(hub.as_str());
    for absent in ["managedNetwork", "associatedResources"] {
        project.as_object_mut().unwrap().remove(absent);
    }
    let project: AmlWorkspaceSpec = serde_json::from_value(project).unwrap();
    let decide = |observed: Option<&Workspace>| {
        with_input(&["create", "configure"], &project, observed, |input| {
            plan(WorkspaceInput { hub: Some(&hub), ..input })
        })
    };
    let Some(Write::Create(body)) = decide(None).write else { panic!("a PUT") };
    assert_eq!(body["kind"], "Project");
    assert_eq!(body["properties"], json!({"publicNetworkAccess": "Disabled", "hubResourceId": hub.as_str()}));
    // Azure shows what the project has from its hub, and nothing of it is touched.
    let inherited = shown(json!({"kind": "Project", "properties": {"hubResourceId": hub.as_str().to_uppercase()}}));
    let done = decide(Some(&inherited));
    assert_eq!((done.write, done.verdict.reason), (None, Reason::Secured));
    let elsewhere = shown(
        json!({"kind": "Project", "properties": {"hubResourceId": resource("Microsoft.MachineLearningServices/workspaces", "other")}}),
    );
    assert_eq!(decide(Some(&elsewhere)).verdict.reason, Reason::NotChangeable);
    let connection = connection(&["reach"], json!({}));
    let fence = |namespace| Fence::new("contoso", &connection, namespace, &BTreeMap::new());
    assert!(check(&project, Some(&hub), &id(), &fence("team")).is_ok());
    let far = ArmId::parse(&hub.as_str().replace("fraud-rg", "other-rg")).unwrap();
    let refused = check(&project, Some(&far), &id(), &fence("team")).unwrap_err();
    assert_eq!(refused.reason, Reason::ScopeNotAllowed, "a hub is reached like anything else");
}

#[test]
fn only_tags_that_the_object_declares_are_touched() {
    let ours = |more: Value| {
        let mut tags = json!({"cost": "42", "aml-operator.io-owner": TAG});
        lay(&mut tags, &more);
        json!({ "tags": tags })
    };
    let team = || json!({"tags": {"team": "fraud"}});
    // Declared and not there, or with another value: written beside the others', and noted as this object's.
    let written = json!({"cost": "42", "team": "fraud", "aml-operator.io-owner": TAG, "aml-operator.io-tags": "team"});
    assert_eq!(patch(team(), ours(json!({}))).1, Some(json!({"tags": written})));
    assert_eq!(
        patch(team(), ours(json!({"Team": "other", "aml-operator.io-tags": "team"}))).1,
        Some(json!({"tags": written}))
    );
    let there = ours(json!({"TEAM": "fraud", "aml-operator.io-tags": "team"}));
    assert_eq!(patch(team(), there), ("Secured", None), "names have no case");
    // Taken out of the declaration: it goes, and a stranger's stays, whatever it is called.
    let before = ours(json!({"team": "fraud", "stage": "prod", "aml-operator.io-tags": "team"}));
    let after = json!({"cost": "42", "stage": "prod", "aml-operator.io-owner": TAG});
    assert_eq!(patch(json!({}), before.clone()).1, Some(json!({"tags": after})));
    let mut elsewhere = before;
    elsewhere["tags"]["aml-operator.io-owner"] = json!(OTHERS);
    let takeover = json!({"adoption": "Always", "acknowledge": [{"door": "Takeover", "value": OTHERS}]});
    let kept = patch(takeover, elsewhere).1.unwrap();
    assert_eq!(kept["tags"]["team"], "fraud", "another owner's list says nothing of what we may remove");
    // A list that somebody emptied or lengthened removes nothing that is declared.
    let long = ours(json!({"team": "fraud", "aml-operator.io-tags": "team,aml-operator.io-owner,,"}));
    let patched = patch(team(), long).1.unwrap();
    assert_eq!(patched, json!({"tags": written}));
}

#[test]
fn addresses_are_compared_as_a_set_and_opened_by_their_own_word() {
    let some = |word: &str| {
        json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny", "ipRules": ["20.1.2.3", "20.2.0.0/16"]},
            "acknowledge": [{"door": "PublicNetworkAccess", "value": word}]})
    };
    let acls = |rules: Value| json!({"defaultAction": "deny", "ipRules": rules});
    let same = acls(json!([{"value": "20.2.0.0/16"}, {"value": "20.1.2.3/32"}]));
    let open = json!({"properties": {"publicNetworkAccess": "Enabled", "networkAcls": same}});
    assert_eq!(patch(some("SelectedAddresses"), open), ("Secured", None));
    let body = json!({"properties": {"publicNetworkAccess": "Enabled",
        "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}, {"value": "20.2.0.0/16"}]}}});
    for word in ["SelectedAddresses", "Enabled"] {
        assert_eq!(patch(some(word), json!({})), ("Updating", Some(body.clone())), "{word}");
    }
    let request = Write::Update(body.clone()).request(&id(), None);
    assert!(request.version.ends_with("-preview"), "only previews have the list");
    assert!(!Write::Update(json!({"tags": {}})).request(&id(), None).version.ends_with("-preview"));
    let mut closed = body;
    closed["properties"].as_object_mut().unwrap().remove("publicNetworkAccess");
    assert_eq!(patch(some("other"), json!({})), ("Updating", Some(closed)), "a list that lets nobody in needs no word");
    // From some to all is another step.
    let mut all = some("SelectedAddresses");
    all["networkAcls"] = json!({"defaultAction": "Allow"});
    let open =
        json!({"properties": {"publicNetworkAccess": "Enabled", "networkAcls": acls(json!([{"value": "20.1.2.3"}]))}});
    assert_eq!(patch(all, open), ("AcknowledgementRequired", None));
}

#[test]
fn an_identity_goes_only_where_azure_and_somebody_let_it_go() {
    let both = json!({"identity": {"type": "SystemAssigned,UserAssigned", "principalId": "p", "userAssignedIdentities": {user("ml"): {}}}});
    let (word, write) = patch(json!({}), both.clone());
    assert_eq!((word, write), ("NotChangeable", None), "user-assigned identities cannot be given up");
    let only = |acknowledge: Value| json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": [user("ml")]}, "acknowledge": acknowledge});
    assert_eq!(patch(only(json!([])), both.clone()), ("AcknowledgementRequired", None));
    let word = json!([{"door": "IdentityChanged", "value": "UserAssigned"}]);
    let body = json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {user("ml"): {}}}});
    assert_eq!(patch(only(word), both), ("Updating", Some(body)));
}

#[test]
fn the_key_can_change_and_nothing_else_about_it() {
    let key = |name: &str, vault: String| json!({"encryption": {"keyVault": {"resourceId": vault}, "keyIdentifier": format!("https://keys.vault.azure.net/keys/{name}/1")}});
    let has = json!({"properties": {"encryption": {"status": "Enabled", "keyVaultProperties": {
        "keyVaultArmId": vault().to_uppercase(), "keyIdentifier": "https://keys.vault.azure.net/keys/old/1"}}}});
    assert_eq!(patch(key("old", vault()), has.clone()), ("Secured", None));
    let rotated = json!({"properties": {"encryption": {"keyVaultProperties": {"keyIdentifier": "https://keys.vault.azure.net/keys/new/1"}}}});
    assert_eq!(patch(key("new", vault()), has.clone()), ("Updating", Some(rotated)));
    assert_eq!(patch(key("old", vault()), json!({})), ("NotChangeable", None), "only at creation");
    assert_eq!(patch(json!({}), has), ("Secured", None), "what is not declared is left alone");
    let connection = connection(&["reach"], json!({}));
    let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
    let judge = |declared: Value| check(&spec(declared), None, &id(), &fence).map_err(|verdict| verdict.reason.word());
    assert_eq!(judge(key("old", vault())), Ok(()));
    assert_eq!(judge(key("old", vault().replace("fraud-rg", "other-rg"))), Err("ScopeNotAllowed"));
    let smuggled = key("old", resource("Microsoft.KeyVault/vaults", "harmless"));
    assert_eq!(judge(smuggled), Err("Invalid"), "the key must lie in the vault that the grant speaks of");
}

#[test]
fn azures_own_word_on_isolation_modes_counts_more_than_the_documentation() {
    let modes = |from: &str, modes: Value| json!({"properties": {"managedNetwork": {"isolationMode": from, "changeableIsolationModes": modes}}});
    let to = |mode: &str| json!({"managedNetwork": {"isolationMode": mode}, "acknowledge": [{"door": "IsolationMode", "value": mode}]});
    let open = "AllowInternetOutbound";
    let strict = "AllowOnlyApprovedOutbound";
    assert_eq!(patch(to(strict), modes(open, json!([]))).0, "NotChangeable");
    assert_eq!(patch(to("Disabled"), modes(open, json!(["disabled"]))).0, "Updating");
    assert_eq!(patch(to(open), modes(strict, json!([]))).0, "NotChangeable");
    assert_eq!(
        patch(to(strict), modes(open, Value::Null)).0,
        "Updating",
        "where Azure says nothing, the documentation does"
    );
}

#[test]
fn computes_that_have_to_be_made_anew_have_a_door_of_their_own() {
    let observed = shown(json!({"properties": {"managedNetwork": {"isolationMode": "Disabled"}}}));
    let computes = ["cluster".to_owned(), "notebook".to_owned()];
    let mode = "AllowOnlyApprovedOutbound";
    let decide = |doors: &[&str], computes: Option<&[String]>| {
        let words: Vec<Value> = doors.iter().map(|door| json!({"door": door, "value": mode})).collect();
        let spec = spec(json!({ "acknowledge": words }));
        with_input(&["configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { computes, ..input }))
    };
    let asked = decide(&[], Some(&computes)).verdict;
    for word in ["cluster, notebook", "{door: IsolationMode, value: ", "{door: RecreateComputes, value: "] {
        assert!(asked.message.contains(word), "{word}: {}", asked.message);
    }
    assert_eq!(decide(&["IsolationMode"], Some(&computes)).write, None);
    assert_eq!(decide(&["RecreateComputes"], Some(&computes)).write, None);
    assert!(decide(&["IsolationMode", "RecreateComputes"], Some(&computes)).write.is_some());
    assert!(decide(&["IsolationMode"], Some(&[])).write.is_some(), "without computes there is nothing to lose");
    let unknown = decide(&["IsolationMode"], None);
    assert!(
        unknown.write.is_none() && unknown.verdict.message.contains("could not be listed"),
        "{:?}",
        unknown.verdict
    );
}

#[test]
fn building_a_network_that_has_a_host_rule_waits_for_the_firewalls_word() {
    let rule =
        OutboundRule::read(&json!({"name": "theirs", "properties": {"type": "FQDN", "destination": "theirs.org"}}))
            .unwrap();
    let observed = shown(json!({}));
    let decide = |acknowledge: Value| {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": "Immediately"}}, "acknowledge": acknowledge}));
        let rules = std::slice::from_ref(&rule);
        with_input(&["configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { rules, ..input }))
    };
    let closed = decide(json!([]));
    assert_eq!((closed.write, closed.verdict.reason), (None, Reason::AcknowledgementRequired));
    let open = decide(json!([{"door": "AzureFirewall", "value": "Standard"}]));
    assert_eq!(open.write, Some(Write::Provision(json!({"includeSpark": false}))));
}

#[test]
fn spark_is_prepared_after_the_first_compute_built_the_network() {
    let built = |spark: bool| {
        shown(json!({"properties": {"managedNetwork": {"status": {"status": "Active", "sparkReady": spark}}}}))
    };
    let spec = spec(json!({"managedNetwork": {"provision": {"when": "OnFirstCompute", "includeSpark": true}}}));
    assert_eq!(decide(&spec, Some(&built(false))).write, Some(Write::Provision(json!({"includeSpark": true}))));
    assert_eq!(decide(&spec, Some(&built(true))).write, None);
}

#[test]
fn what_was_deleted_comes_back_or_goes_for_good_only_as_declared() {
    let decide = |verbs: &[&str], change: Value| {
        let spec = spec(change);
        with_input(verbs, &spec, None, |input| plan(WorkspaceInput { soft_deleted: true, ..input }))
    };
    let all = ["create", "configure", "delete"];
    let Some(Write::Create(stopped)) = decide(&all, json!({})).write else {
        panic!("the same creation, which ARM refuses")
    };
    assert_eq!(stopped["properties"].get("allowRecoverSoftDeletedWorkspace"), None);
    let Some(Write::Create(recovered)) = decide(&all, json!({"onSoftDeleted": "Recover"})).write else {
        panic!("a PUT")
    };
    assert_eq!(recovered["properties"]["allowRecoverSoftDeletedWorkspace"], "True");
    let purge =
        |word: &str| json!({"onSoftDeleted": "Purge", "acknowledge": [{"door": "PurgeWorkspace", "value": word}]});
    let closed = decide(&all, purge("other"));
    assert_eq!((closed.write, closed.verdict.reason), (None, Reason::AcknowledgementRequired));
    assert!(closed.verdict.message.contains("{door: PurgeWorkspace, value: fraud}"), "{}", closed.verdict.message);
    assert_eq!(decide(&["create"], purge("fraud")).verdict.reason, Reason::ScopeNotAllowed);
    let open = decide(&all, purge("fraud")).write.unwrap();
    let request = open.request(&id(), None);
    assert_eq!((request.method, request.path), ("DELETE", format!("{}?forceToPurge=true", id())));
    assert_eq!(request.id, id().as_str());
    // Whoever has no deleted namesake never says either.
    let fresh = super::tests::decide(&super::tests::spec(json!({"onSoftDeleted": "Recover"})), None).write;
    let Some(Write::Create(fresh)) = fresh else { panic!("a PUT") };
    assert_eq!(fresh["properties"].get("allowRecoverSoftDeletedWorkspace"), None);
}

#[test]
fn to_observe_needs_neither_claim_nor_grant_and_tells_each_field() {
    let mut theirs =
        shown(json!({"tags": {"aml-operator.io-owner": OTHERS}, "properties": {"publicNetworkAccess": "Enabled"}}));
    let spec = spec(json!({"tags": {"team": "fraud"}}));
    let decide = |observed: Option<&Workspace>| {
        with_input(&["reach"], &spec, observed, |input| plan(WorkspaceInput { observes: true, ..input }))
    };
    let decided = decide(Some(&theirs));
    let told = decided.write.unwrap().would(&id(), &decided.sent, &[]);
    let told: Vec<(&str, &str, Option<&str>, Option<&str>)> = told
        .iter()
        .map(|write| {
            (
                write.verb.as_str(),
                write.field.as_deref().unwrap_or_default(),
                write.from.as_deref(),
                write.to.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("PATCH", "properties.publicNetworkAccess", Some("Enabled"), Some("Disabled")),
            ("PATCH", "tags.team", None, Some("fraud")),
        ]
    );
    theirs.properties.public_network_access = Some("Disabled".into());
    theirs.tags = Some(BTreeMap::from([("team".into(), "fraud".into())]));
    assert_eq!(decide(Some(&theirs)).verdict.reason, Reason::Secured, "no owner tag is missed");
    assert!(matches!(decide(None).write, Some(Write::Create(_))), "it tells what it would create, too");
}

#[test]
fn a_claim_takes_nothing_that_would_have_to_be_built() {
    let mut untagged = shown(json!({}));
    untagged.tags = None;
    let spec = spec(json!({"adoption": "IfMatching", "managedNetwork": {"provision": {"when": "Immediately"}}}));
    let refused = decide(&spec, Some(&untagged));
    assert_eq!((refused.write, refused.verdict.reason), (None, Reason::AdoptionRefused));
    assert!(refused.verdict.message.contains("would be built"), "{}", refused.verdict.message);
}

#[test]
fn private_endpoint_connections_go_before_the_workspace_and_its_own_networks_with_it() {
    let connection = |name: &str, endpoint: &str| json!({"name": name, "properties": {"privateEndpoint": {"id": format!("/x/privateEndpoints/{endpoint}")}}});
    let own = OutboundRule::read(&json!({"name": "myself", "properties": {"type": "PrivateEndpoint"}})).unwrap();
    let say = |connections: Value| {
        let observed = shown(json!({"properties": {"privateEndpointConnections": connections}}));
        farewell(&owner(), Some(DeletionPolicy::Delete), Some(&observed), std::slice::from_ref(&own))
    };
    assert_eq!(say(json!([connection("one", "hub"), connection("two", "hub")])), Farewell::Disconnect("one".into()));
    let left = [
        connection("a", "__SYS_PE_fraud_amlworkspace_01234567"),
        connection("b", "myself"),
        connection("../../x", "hub"),
    ];
    assert_eq!(say(json!(left)), Farewell::Delete, "a name that is a path is no name");
    assert_eq!(say(Value::Null), Farewell::Delete);
}
