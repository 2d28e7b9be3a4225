//! Where objects that attach to a workspace are decided on in tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::attached::{Site, View};
use super::fence::Fence;
use super::ownership::Owner;
use crate::api::AmlWorkspace;
use crate::api::connection::AzureConnectionSpec;
use crate::api::ids::ArmId;
use crate::azure::machine_learning::OutboundRule;

/// The subscription of everything.
pub(super) const SUB: &str = "00000000-0000-0000-0000-000000000001";

/// The workspace `fraud`, isolated, its network built, and the namespace `team`, which may do everything in its resource group.
pub(super) struct Ground {
    pub(super) owner: Owner,
    pub(super) workspace: AmlWorkspace,
    pub(super) view: View,
    pub(super) connection: AzureConnectionSpec,
    pub(super) observes: bool,
}

/// The workspace's object with `spec` laid over.
pub(super) fn workspace(spec: &Value) -> AmlWorkspace {
    let mut base = json!({
        "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
        "identity": {"type": "SystemAssigned"}, "publicNetworkAccess": "Disabled",
        "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
    });
    for (key, value) in spec.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace",
        "metadata": {"name": "fraud", "namespace": "team"}, "spec": base,
    }))
    .unwrap()
}

/// The workspace as ARM shows it, with this isolation mode and its network in this state.
pub(super) fn shown(mode: &str, network: &str) -> Value {
    json!({"location": "westeurope", "properties": {"workspaceId": "w", "managedNetwork": {
        "isolationMode": mode, "status": {"status": network},
    }}})
}

/// ARM id of the workspace.
pub(super) fn workspace_id() -> ArmId {
    ArmId::of(SUB, "rg", "Microsoft.MachineLearningServices/workspaces", "fraud").unwrap()
}

impl Ground {
    /// For the object `name` of `kind`.
    pub(super) fn of(kind: &'static str, name: &str) -> Self {
        let connection = json!({
            "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}},
            "grants": [{"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}/resourceGroups/rg"),
                "verbs": ["create", "configure", "reach"]}],
        });
        Self {
            owner: Owner { installation: "i".into(), kind, namespace: "team".into(), name: name.into() },
            workspace: workspace(&json!({})),
            view: View {
                workspace: Some(serde_json::from_value(shown("AllowOnlyApprovedOutbound", "Active")).unwrap()),
                rules: Vec::new(),
            },
            connection: serde_json::from_value(connection).unwrap(),
            observes: false,
        }
    }

    /// ARM shows the workspace so.
    pub(super) fn azure_shows(&mut self, workspace: &Value) {
        self.view.workspace = Some(serde_json::from_value(workspace.clone()).unwrap());
    }

    /// ARM shows this rule besides.
    pub(super) fn rule(&mut self, name: &str, status: &str, mut properties: Value) {
        properties["status"] = json!(status);
        self.view.rules.push(OutboundRule::read(&json!({"name": name, "properties": properties})).unwrap());
    }

    /// Decides by `run` here.
    pub(super) fn with<T>(&self, run: impl FnOnce(&Site<'_>) -> T) -> T {
        let labels = BTreeMap::new();
        let fence = Fence::new("contoso", &self.connection, "team", &labels);
        run(&Site {
            owner: &self.owner,
            fence: &fence,
            workspace: &self.workspace,
            id: &workspace_id(),
            view: &self.view,
            observes: self.observes,
            now: Timestamp::UNIX_EPOCH,
        })
    }
}
