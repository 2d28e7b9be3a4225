use std::collections::BTreeMap;

use serde_json::json;

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

fn decide_with(verbs: &[&str], spec: &AmlWorkspaceSpec, observed: Option<&Workspace>) -> WorkspacePlan {
    let connection = connection(verbs, json!({}));
    let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
    plan(WorkspaceInput { owner: &owner(), id: &id(), spec, observed, rules: &[], fence: &fence })
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
        let word = check(&spec(change.clone()), &id(), &fence).map_or_else(|verdict| verdict.reason.word(), |()| "ok");
        assert_eq!(word, want, "{verbs:?} {change}");
        let stranger = Fence::new("contoso", &connection, "other", &BTreeMap::new());
        assert!(check(&spec(change), &id(), &stranger).is_err(), "no grant, no word to Azure");
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
        let word = match farewell(&owner(), policy, observed) {
            Farewell::Release(_) => "release",
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
        let connection = connection(&["create", "configure"], json!({}));
        let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
        let rules = std::slice::from_ref(&rule);
        plan(WorkspaceInput {
            owner: &owner(),
            id: &id(),
            spec: &spec,
            observed: Some(&observed),
            rules,
            fence: &fence,
        })
    };
    assert_eq!(decide(json!([])).verdict.reason.word(), "AcknowledgementRequired");
    let Some(Write::Update(body)) = decide(json!([{"door": "AzureFirewall", "value": "Basic"}])).write else {
        panic!("a PATCH")
    };
    let network = &body["properties"]["managedNetwork"];
    assert_eq!(network["firewallSku"], "Basic");
    assert_eq!(network["outboundRules"]["theirs"]["destination"], "theirs.org", "nobody's rule is lost: {body}");
}
