//! Microsoft.MachineLearningServices: what the operator reads of workspaces and outbound rules, and what it sends.
//!
//! Answers are read leniently: unknown members are ignored and every field may be missing or null (seen: the service adds
//! members between versions, and shows nulls that no specification declares).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::resource::{in_motion, tag};

/// The version every request of this provider names.
pub const API_VERSION: &str = "2025-12-01";
/// The version in which a workspace has `networkAcls`: only previews have it (Microsoft's types of each version). It is named by the
/// requests that need it and by no other.
pub const ADDRESSES_API_VERSION: &str = "2026-03-15-preview";
/// The type of a workspace.
pub const WORKSPACES: &str = "Microsoft.MachineLearningServices/workspaces";

/// A workspace as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Workspace {
    /// Region.
    pub location: Option<String>,
    /// `Default`, `Hub`, `Project`, `FeatureStore`.
    pub kind: Option<String>,
    /// Tags; `None` if the answer has none.
    pub tags: Option<BTreeMap<String, String>>,
    /// Its identity.
    pub identity: Option<Identity>,
    /// Everything else.
    pub properties: WorkspaceProperties,
}

/// A workspace's identity as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Identity {
    /// Object id of the system-assigned identity.
    pub principal_id: Option<String>,
    /// `SystemAssigned`, `UserAssigned`, `SystemAssigned,UserAssigned`, `None`.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// User-assigned identities by ARM id.
    pub user_assigned_identities: Option<BTreeMap<String, Option<UserAssignedIdentity>>>,
}

/// A user-assigned identity as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserAssignedIdentity {
    /// Its object id.
    pub principal_id: Option<String>,
}

/// The properties of a workspace that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkspaceProperties {
    /// The workspace's GUID.
    pub workspace_id: Option<String>,
    /// Where clients find the API of its region.
    pub discovery_url: Option<String>,
    /// `Succeeded`, `Failed`, `Canceled` are terminal; missing means `Succeeded` (ARM RPC async-api-reference).
    pub provisioning_state: Option<String>,
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<String>,
    /// ARM id of the storage account.
    pub storage_account: Option<String>,
    /// ARM id of the key vault.
    pub key_vault: Option<String>,
    /// ARM id of the Application Insights component.
    pub application_insights: Option<String>,
    /// ARM id of the registry.
    pub container_registry: Option<String>,
    /// ARM id of the primary user-assigned identity.
    pub primary_user_assigned_identity: Option<String>,
    /// The managed network.
    pub managed_network: Option<ManagedNetwork>,
    /// ARM id of a project's hub.
    pub hub_resource_id: Option<String>,
    /// Name for people.
    pub friendly_name: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// Name of the compute that builds images.
    pub image_build_compute: Option<String>,
    /// Only the first version of the API works.
    pub v1_legacy_mode: Option<bool>,
    /// Azure collects less diagnostic data.
    pub hbi_workspace: Option<bool>,
    /// What it stores is kept apart from other workspaces'.
    pub enable_data_isolation: Option<bool>,
    /// `accesskey`, `identity`, `userdelegationsas`, in any case.
    pub system_datastores_auth_mode: Option<String>,
    /// The key of one's own.
    pub encryption: Option<Encryption>,
    /// From where it can be reached, in versions that have it.
    pub network_acls: Option<NetworkAcls>,
    /// Private endpoints that lead to it.
    pub private_endpoint_connections: Option<Vec<Connection>>,
}

/// A workspace's encryption as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Encryption {
    /// `Enabled` or `Disabled`.
    pub status: Option<String>,
    /// Who reads the key.
    pub identity: Option<KeyIdentity>,
    /// The key.
    pub key_vault_properties: Option<KeyVaultProperties>,
}

/// Who reads the key of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyIdentity {
    /// ARM id of the user-assigned identity.
    pub user_assigned_identity: Option<String>,
}

/// The key of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KeyVaultProperties {
    /// ARM id of the vault.
    pub key_vault_arm_id: Option<String>,
    /// Identifier of the key's version.
    pub key_identifier: Option<String>,
}

/// From where a workspace can be reached.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkAcls {
    /// `Allow` or `Deny`.
    pub default_action: Option<String>,
    /// The addresses.
    pub ip_rules: Option<Vec<IpRule>>,
}

/// One address or block.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct IpRule {
    /// The address or block.
    pub value: Option<String>,
}

/// A private endpoint connection, as far as its removal needs it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Name.
    pub name: Option<String>,
    /// Everything else.
    pub properties: ConnectionProperties,
}

/// Where a connection comes from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConnectionProperties {
    /// The endpoint.
    pub private_endpoint: Option<EndpointId>,
    /// Whether it is approved.
    pub private_link_service_connection_state: Option<LinkState>,
}

/// How a private endpoint connection stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LinkState {
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`, `Timeout`.
    pub status: Option<String>,
}

/// Which endpoint a connection comes from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EndpointId {
    /// Its ARM id.
    pub id: Option<String>,
}

/// A managed network as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedNetwork {
    /// Isolation mode.
    pub isolation_mode: Option<String>,
    /// SKU of the firewall.
    pub firewall_sku: Option<String>,
    /// Whether it is built.
    pub status: Option<NetworkStatus>,
    /// What else the isolation mode may become, where ARM says so.
    pub changeable_isolation_modes: Option<Vec<String>>,
}

/// Whether a managed network is built.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkStatus {
    /// `Active` or `Inactive`.
    pub status: Option<String>,
    /// Whether serverless Spark is prepared.
    pub spark_ready: Option<bool>,
}

impl Workspace {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is no workspace at all.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }

    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        tag(self.tags.as_ref(), name)
    }

    /// True while ARM creates, changes or deletes it.
    pub fn is_moving(&self) -> bool {
        in_motion(self.properties.provisioning_state.as_deref())
    }

    /// True while ARM deletes it.
    pub fn is_deleting(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Deleting"))
    }

    /// True if its last creation or change failed.
    pub fn has_failed(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Failed"))
    }

    /// The isolation mode; a workspace without a managed network has none, which ARM calls `Disabled`.
    pub fn isolation_mode(&self) -> &str {
        let network = self.properties.managed_network.as_ref();
        network.and_then(|network| network.isolation_mode.as_deref()).unwrap_or("Disabled")
    }

    /// True if it lives in a hub's network.
    pub fn is_project(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Project"))
    }

    /// The private endpoints of somebody's network that are approved on it. Its own managed network's endpoint is none of these.
    pub fn private_paths(&self) -> impl Iterator<Item = &str> {
        let connections = self.properties.private_endpoint_connections.iter().flatten();
        connections.map(|connection| &connection.properties).filter_map(|properties| {
            let state = properties.private_link_service_connection_state.as_ref();
            let approved = state.and_then(|state| state.status.as_deref());
            let endpoint = properties.private_endpoint.as_ref().and_then(|endpoint| endpoint.id.as_deref())?;
            let name = endpoint.rsplit('/').next().unwrap_or_default();
            let is_path = approved.is_some_and(|status| status.eq_ignore_ascii_case("Approved"));
            (is_path && !name.starts_with("__SYS_")).then_some(endpoint)
        })
    }

    /// True if a private endpoint of somebody's network leads to it.
    pub fn has_private_path(&self) -> bool {
        self.private_paths().next().is_some()
    }

    /// True once the managed network is built.
    pub fn network_active(&self) -> bool {
        self.network_status()
            .and_then(|status| status.status.as_deref())
            .is_some_and(|s| s.eq_ignore_ascii_case("Active"))
    }

    /// True once serverless Spark is prepared.
    pub fn spark_ready(&self) -> bool {
        self.network_status().and_then(|status| status.spark_ready).unwrap_or(false)
    }

    fn network_status(&self) -> Option<&NetworkStatus> {
        self.properties.managed_network.as_ref()?.status.as_ref()
    }

    /// Object id of the identity that acts for the workspace: the primary user-assigned one where there is one, else the
    /// system-assigned one, else the only user-assigned one.
    pub fn acting_principal(&self) -> Option<&str> {
        let identity = self.identity.as_ref()?;
        let assigned = identity.user_assigned_identities.as_ref();
        let primary = self.properties.primary_user_assigned_identity.as_deref();
        let by_id = primary.and_then(|primary| {
            let (_, identity) = assigned?.iter().find(|(id, _)| id.eq_ignore_ascii_case(primary))?;
            identity.as_ref()?.principal_id.as_deref()
        });
        let only = || match assigned.map(|assigned| assigned.values().collect::<Vec<_>>()).as_deref() {
            Some([Some(identity)]) => identity.principal_id.as_deref(),
            _ => None,
        };
        by_id.or(identity.principal_id.as_deref()).or_else(only)
    }
}

/// An outbound rule as ARM shows it. Its `id` is no full ARM id and is never used (Azure/azure-rest-api-specs#28982).
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundRule {
    /// Name.
    pub name: String,
    /// All properties, as shown.
    pub properties: Map<String, Value>,
}

impl OutboundRule {
    /// Reads one entry of a list.
    pub fn read(value: &Value) -> Option<Self> {
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            properties: value.get("properties")?.as_object()?.clone(),
        })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.properties.get(key)?.as_str()
    }

    /// True if a person or program made it; the service's own rules must never be sent back (azure-ai-ml drops them, "since it
    /// would result in bad request").
    pub fn is_user_defined(&self) -> bool {
        // A rule that says nothing of its category is somebody's own: leaving it out of a write could lose it.
        self.text("category").is_none_or(|category| category.eq_ignore_ascii_case("UserDefined"))
            && !self.name.starts_with("__SYS_")
    }

    /// `Inactive`, `Active`, `Provisioning`, `Deleting`, `Failed`.
    pub fn status(&self) -> Option<&str> {
        self.text("status")
    }

    /// True if it is in force.
    pub fn is_active(&self) -> bool {
        self.status().is_some_and(|status| status.eq_ignore_ascii_case("Active"))
    }

    /// True if it is declared for Spark too, and not in force there.
    pub fn spark_is_behind(&self) -> bool {
        let destination = self.properties.get("destination");
        let member = |key: &str| destination.and_then(|destination| destination.get(key));
        member("sparkEnabled").and_then(Value::as_bool) == Some(true)
            && member("sparkStatus")
                .and_then(Value::as_str)
                .is_some_and(|status| status.eq_ignore_ascii_case("Inactive"))
    }

    /// True while ARM puts it into force or takes it away.
    pub fn is_moving(&self) -> bool {
        let moving = ["provisioning", "deleting"];
        self.status().is_some_and(|status| moving.contains(&status.to_ascii_lowercase().as_str()))
    }

    /// Why it failed, in the service's words.
    pub fn error_information(&self) -> Option<&str> {
        self.text("errorInformation")
    }

    /// The rule as it has to be sent to leave it unchanged: without what only the service writes.
    pub fn to_body(&self) -> Value {
        let mut properties = self.properties.clone();
        for read_only in ["status", "errorInformation", "parentRuleNames"] {
            properties.remove(read_only);
        }
        if let Some(Value::Object(destination)) = properties.get_mut("destination") {
            destination.remove("sparkStatus");
        }
        properties.retain(|_, value| !value.is_null());
        Value::Object(properties)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_leanest_and_the_fullest_answers_are_read() {
        let lean = Workspace::read(json!({"id": "/x", "properties": {}})).unwrap();
        assert!(!lean.is_moving() && !lean.network_active());
        assert_eq!(lean.isolation_mode(), "Disabled");
        let full = Workspace::read(json!({
            "tags": null, "kind": "Default", "sku": {"name": "Basic"},
            "identity": {"type": "SystemAssigned", "principalId": "p", "userAssignedIdentities": null},
            "properties": {"provisioningState": "Updating", "containerRegistry": null,
                "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound", "outboundRules": null,
                    "status": {"status": "active", "sparkReady": null}, "changeableIsolationModes": []}}
        }))
        .unwrap();
        assert!(full.is_moving() && full.network_active() && !full.spark_ready());
        assert_eq!(full.acting_principal(), Some("p"));
    }

    #[test]
    fn a_rule_goes_back_as_it_came_without_what_the_service_writes() {
        let rule = OutboundRule::read(&json!({"name": "r", "id": "odd", "properties": {
            "type": "PrivateEndpoint", "category": "UserDefined", "status": "Active", "errorInformation": null,
            "parentRuleNames": [], "unknown": 1,
            "destination": {"serviceResourceId": "/x", "subresourceTarget": "blob", "sparkEnabled": false, "sparkStatus": "Inactive"}
        }}))
        .unwrap();
        assert_eq!(
            rule.to_body(),
            json!({"type": "PrivateEndpoint", "category": "UserDefined", "unknown": 1,
                "destination": {"serviceResourceId": "/x", "subresourceTarget": "blob", "sparkEnabled": false}})
        );
    }
}
