//! What is not there is made.

use super::*;

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
    let fresh = super::decide(&super::spec(json!({"onSoftDeleted": "Recover"})), None).write;
    let Some(Write::Create(fresh)) = fresh else { panic!("a PUT") };
    assert_eq!(fresh["properties"].get("allowRecoverSoftDeletedWorkspace"), None);
}
