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
        resources: Foundation::default(),
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

mod compare;
mod creation;
mod doors;
mod farewell;
mod fence;
mod network;
mod ownership;
