//! Microsoft.MachineLearningServices: computes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::machine_learning::Identity;
use super::resource;

/// The version every request for a compute names.
pub const API_VERSION: &str = "2025-12-01";
/// The version in which an instance has `enableRootAccess` and an action for its idle time: only previews have them (specification
/// 2024-10-01-preview). It is named by the requests that need it and by no other.
pub const PREVIEW_API_VERSION: &str = "2024-10-01-preview";

/// A compute as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Compute {
    /// Region.
    pub location: Option<String>,
    /// Tags; `None` if the answer has none.
    pub tags: Option<BTreeMap<String, String>>,
    /// Its identity.
    pub identity: Option<Identity>,
    /// Everything else.
    pub properties: ComputeProperties,
}

/// What every compute has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ComputeProperties {
    /// `AmlCompute` (a cluster), `ComputeInstance`, `Kubernetes` and others.
    pub compute_type: Option<String>,
    /// Region of the nodes.
    pub compute_location: Option<String>,
    /// `Succeeded`, `Failed`, `Canceled` are terminal.
    pub provisioning_state: Option<String>,
    /// Why it failed.
    pub provisioning_errors: Option<Vec<Value>>,
    /// When it was made, RFC 3339.
    pub created_on: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// Whether only Entra's accounts are let in.
    pub disable_local_auth: Option<bool>,
    /// What it was attached from.
    pub resource_id: Option<String>,
    /// What only its type has.
    pub properties: Option<OwnProperties>,
}

/// What instances and clusters have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OwnProperties {
    /// Size.
    pub vm_size: Option<String>,
    /// `Dedicated` or `LowPriority`.
    pub vm_priority: Option<String>,
    /// Subnet of one's own.
    pub subnet: Option<ResourceId>,
    /// Whether nodes have public addresses; Azure's default is that they do.
    pub enable_node_public_ip: Option<bool>,
    /// SSH port of a cluster's nodes: `Enabled`, `Disabled`, `NotSpecified`.
    pub remote_login_port_public_access: Option<String>,
    /// Bounds of a cluster.
    pub scale_settings: Option<ScaleSettings>,
    /// SSH of an instance.
    pub ssh_settings: Option<SshSettings>,
    /// `Personal` or `Shared`.
    pub application_sharing_policy: Option<String>,
    /// Who works on an instance.
    pub personal_compute_instance_settings: Option<PersonalSettings>,
    /// ISO 8601 duration.
    pub idle_time_before_shutdown: Option<String>,
    /// Whether the user is root.
    pub enable_root_access: Option<bool>,
    /// State of an instance: `Running`, `Stopped` and what lies between.
    pub state: Option<String>,
}

/// An id.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ResourceId {
    /// The ARM id.
    pub id: Option<String>,
}

/// Bounds of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScaleSettings {
    /// At least.
    pub min_node_count: Option<i64>,
    /// At most.
    pub max_node_count: Option<i64>,
    /// ISO 8601 duration.
    pub node_idle_time_before_scale_down: Option<String>,
}

/// SSH of an instance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SshSettings {
    /// `Enabled` or `Disabled`.
    pub ssh_public_access: Option<String>,
}

/// Who works on an instance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PersonalSettings {
    /// The user.
    pub assigned_user: Option<AssignedUser>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AssignedUser {
    /// Object id in Entra.
    pub object_id: Option<String>,
}

impl Compute {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }

    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        resource::tag(self.tags.as_ref(), name)
    }

    fn state(&self) -> &str {
        self.properties.provisioning_state.as_deref().unwrap_or("Succeeded")
    }

    /// True while ARM makes, changes or deletes it.
    pub fn is_moving(&self) -> bool {
        resource::in_motion(Some(self.state()))
    }

    /// True if its last creation or change failed.
    pub fn has_failed(&self) -> bool {
        resource::has_failed(Some(self.state()))
    }

    /// State of an instance.
    pub fn power(&self) -> Option<&str> {
        self.properties.properties.as_ref()?.state.as_deref()
    }

    /// Why it failed, in ARM's words.
    pub fn errors(&self) -> Vec<String> {
        let errors = self.properties.provisioning_errors.iter().flatten();
        let words = |error: &Value| {
            let error = error.get("error").unwrap_or(error);
            let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{}: {}", text("code"), text("message"))
        };
        errors.map(words).collect()
    }
}
