//! Microsoft.Synapse: what the operator reads of workspaces, Spark pools, and of what lies in a workspace's data plane.
//!
//! Answers are read leniently: unknown members are ignored and every field may be missing or null.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::place::SynapsePath;

/// The version every request to Resource Manager names.
pub const API_VERSION: &str = "2021-06-01";
/// The version every request to a data plane names.
pub const DATA_API_VERSION: &str = "2020-12-01";
/// The type of a workspace.
pub const WORKSPACES: &str = "Microsoft.Synapse/workspaces";
/// The type of a Spark pool, below a workspace.
pub const SPARK_POOLS: &str = "bigDataPools";

/// A workspace as ARM shows it, and as its own data plane does.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Workspace {
    /// Its name.
    pub name: Option<String>,
    /// Region.
    pub location: Option<String>,
    /// Its identity.
    pub identity: Option<Identity>,
    /// Everything else.
    pub properties: WorkspaceProperties,
}

/// A workspace's identity.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Identity {
    /// Object id of the system-assigned identity.
    pub principal_id: Option<String>,
    /// Its tenant.
    pub tenant_id: Option<String>,
}

/// The properties of a workspace that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkspaceProperties {
    /// The workspace's GUID. A workspace that was deleted and made again has another one.
    #[serde(rename = "workspaceUID")]
    pub workspace_uid: Option<String>,
    /// `Succeeded`, `Failed`, or what ARM does with it.
    pub provisioning_state: Option<String>,
    /// `default` if it has a managed network, else empty or missing.
    pub managed_virtual_network: Option<String>,
    /// How that is closed.
    pub managed_virtual_network_settings: Option<ManagedNetworkSettings>,
}

/// How the managed network of a workspace is closed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedNetworkSettings {
    /// Whether data exfiltration protection is on. It cannot be changed once the workspace is there.
    pub prevent_data_exfiltration: Option<bool>,
}

impl Workspace {
    /// Whether data exfiltration protection is on.
    pub fn prevents_exfiltration(&self) -> bool {
        let settings = self.properties.managed_virtual_network_settings.as_ref();
        settings.and_then(|settings| settings.prevent_data_exfiltration).unwrap_or(false)
    }

    /// Whether it has a managed network.
    pub fn has_managed_network(&self) -> bool {
        self.properties.managed_virtual_network.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// True while ARM makes or changes it.
    pub fn is_moving(&self) -> bool {
        moves(self.properties.provisioning_state.as_deref())
    }
}

/// Whether a `provisioningState` says that Azure is at work; missing means that it is not.
fn moves(state: Option<&str>) -> bool {
    state.is_some_and(|state| !["succeeded", "failed", "canceled"].contains(&state.to_ascii_lowercase().as_str()))
}

/// A managed private endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedEndpoint {
    /// Its name in the workspace.
    pub name: String,
    /// Everything else.
    pub properties: ManagedEndpointProperties,
}

/// The properties of a managed private endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ManagedEndpointProperties {
    /// ARM id of what it leads to.
    pub private_link_resource_id: Option<String>,
    /// The sub-resource.
    pub group_id: Option<String>,
    /// Whether it is made.
    pub provisioning_state: Option<String>,
    /// How its connection stands; empty until there is one.
    pub connection_state: Option<ConnectionState>,
    /// It is the service's own.
    pub is_reserved: Option<bool>,
}

/// How the connection of a managed endpoint stands, by Synapse's own word.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConnectionState {
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`.
    pub status: Option<String>,
    /// Words of whoever decided.
    pub description: Option<String>,
}

impl ManagedEndpoint {
    /// How its connection stands; empty until there is one.
    pub fn state(&self) -> &str {
        let state = self.properties.connection_state.as_ref();
        state.and_then(|state| state.status.as_deref()).unwrap_or_default()
    }

    /// Words of whoever decided on its connection.
    pub fn words(&self) -> &str {
        let state = self.properties.connection_state.as_ref();
        state.and_then(|state| state.description.as_deref()).unwrap_or_default()
    }

    /// True if its connection stands like this.
    pub fn is(&self, state: &str) -> bool {
        self.state().eq_ignore_ascii_case(state)
    }

    /// True while Synapse makes or removes it.
    pub fn is_moving(&self) -> bool {
        moves(self.properties.provisioning_state.as_deref())
    }

    /// True while Synapse removes it.
    pub fn is_deleting(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Deleting"))
    }

    /// True if Synapse could not make it.
    pub fn has_failed(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Failed"))
    }

    /// True if it leads to the sub-resource `group` of `target`.
    pub fn leads_to(&self, target: &str, group: &str) -> bool {
        let same = |shown: &Option<String>, wanted: &str| {
            shown.as_deref().is_some_and(|shown| shown.trim_end_matches('/').eq_ignore_ascii_case(wanted))
        };
        same(&self.properties.private_link_resource_id, target) && same(&self.properties.group_id, group)
    }
}

/// A linked service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinkedService {
    /// Its name in the workspace.
    pub name: String,
    /// Everything else.
    pub properties: LinkedServiceProperties,
}

/// The properties of a linked service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinkedServiceProperties {
    /// `AzureMLService` for an Azure Machine Learning workspace.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// What depends on the type.
    pub type_properties: Value,
}

impl LinkedService {
    /// A text among what depends on the type.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.properties.type_properties.get(name)?.as_str()
    }
}

/// A Spark pool as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SparkPool {
    /// Its name.
    pub name: String,
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Everything else.
    pub properties: SparkPoolProperties,
}

/// The properties of a Spark pool that matter here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SparkPoolProperties {
    /// `Succeeded`, `Failed`, or what ARM does with it.
    pub provisioning_state: Option<String>,
    /// `Small`, `Medium`, ….
    pub node_size: Option<String>,
    /// The version of Spark.
    pub spark_version: Option<String>,
    /// Whether it stops by itself.
    pub auto_pause: Option<AutoPause>,
}

/// Whether a Spark pool stops by itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AutoPause {
    /// It does.
    pub enabled: Option<bool>,
    /// After so many idle minutes.
    pub delay_in_minutes: Option<i64>,
}

impl SparkPool {
    /// The value of `tag`.
    pub fn tag(&self, tag: &str) -> Option<&str> {
        // Tag names compare without regard to case (Azure's tagging rules).
        let tags = self.tags.as_ref()?;
        tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(tag)).map(|(_, value)| value.as_str())
    }

    /// True while ARM makes, changes or removes it.
    pub fn is_moving(&self) -> bool {
        moves(self.properties.provisioning_state.as_deref())
    }

    /// True if its last creation or change failed.
    pub fn has_failed(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Failed"))
    }
}

/// The workspace itself, as its data plane shows it.
pub fn workspace_path(workspace: &str) -> SynapsePath {
    SynapsePath::new(workspace, "/workspace")
}

/// The managed private endpoints of a workspace. The managed network is always called `default`.
pub fn endpoints_path(workspace: &str) -> SynapsePath {
    SynapsePath::new(workspace, "/managedVirtualNetworks/default/managedPrivateEndpoints")
}

/// One managed private endpoint.
pub fn endpoint_path(workspace: &str, name: &str) -> SynapsePath {
    SynapsePath::new(workspace, format!("/managedVirtualNetworks/default/managedPrivateEndpoints/{name}"))
}

/// The linked services of a workspace.
pub fn linked_services_path(workspace: &str) -> SynapsePath {
    SynapsePath::new(workspace, "/linkedservices")
}

/// One linked service.
pub fn linked_service_path(workspace: &str, name: &str) -> SynapsePath {
    SynapsePath::new(workspace, format!("/linkedservices/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_without_a_connection_has_no_state() {
        let fresh: ManagedEndpoint = serde_json::from_value(json!({"name": "e", "properties": {
            "privateLinkResourceId": "/subscriptions/S/x/", "groupId": "amlworkspace", "provisioningState": "Provisioning",
            "connectionState": {}, "isReserved": false}}))
        .unwrap();
        assert!(fresh.is_moving() && fresh.state().is_empty());
        assert!(
            fresh.leads_to("/subscriptions/s/X", "AmlWorkspace")
                && !fresh.leads_to("/subscriptions/s/y", "amlworkspace")
        );
    }

    #[test]
    fn exfiltration_protection_is_off_unless_stated() {
        let read =
            |properties: Value| -> Workspace { serde_json::from_value(json!({"properties": properties})).unwrap() };
        for (properties, network, prevents) in [
            (json!({}), false, false),
            (json!({"managedVirtualNetwork": ""}), false, false),
            (json!({"managedVirtualNetwork": "default", "managedVirtualNetworkSettings": null}), true, false),
            (
                json!({"managedVirtualNetwork": "default", "managedVirtualNetworkSettings": {"preventDataExfiltration": true}}),
                true,
                true,
            ),
        ] {
            let workspace = read(properties.clone());
            assert_eq!(
                (workspace.has_managed_network(), workspace.prevents_exfiltration()),
                (network, prevents),
                "{properties}"
            );
        }
    }
}
