//! What is there is compared with what is declared, field by field.

use super::*;

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
