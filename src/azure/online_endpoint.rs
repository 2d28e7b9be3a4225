//! Microsoft.MachineLearningServices: online endpoints and their deployments. Keys are behind an action of their own
//! (`listKeys`) that is not here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::machine_learning::Identity;
use super::resource;

/// The version every request for an online endpoint names.
pub const API_VERSION: &str = "2025-12-01";

/// An online endpoint as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OnlineEndpoint {
    /// Region.
    pub location: Option<String>,
    /// Tags; `None` if the answer has none.
    pub tags: Option<BTreeMap<String, String>>,
    /// What tools show it as; it goes back as it came.
    pub kind: Option<String>,
    /// For autoscaling; it goes back as it came.
    pub sku: Option<Value>,
    /// As whom its deployments run.
    pub identity: Option<Identity>,
    /// Everything else.
    pub properties: EndpointProperties,
}

/// What an online endpoint has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointProperties {
    /// `AADToken`, `AMLToken`, `Key`.
    pub auth_mode: Option<String>,
    /// `Enabled` (also if missing) or `Disabled`.
    pub public_network_access: Option<String>,
    /// Shares of the calls by deployment.
    pub traffic: Option<BTreeMap<String, i64>>,
    /// Shares of the calls that deployments get a copy of.
    pub mirror_traffic: Option<BTreeMap<String, i64>>,
    /// ARM id of the attached cluster it runs on, if it is not managed.
    pub compute: Option<String>,
    /// Words for people.
    pub description: Option<String>,
    /// Properties that can be added, never taken away.
    pub properties: Option<Map<String, Value>>,
    /// Where it is called.
    pub scoring_uri: Option<String>,
    /// `Succeeded`, `Failed`, `Canceled` are terminal.
    pub provisioning_state: Option<String>,
}

/// A deployment as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// Everything else.
    pub properties: DeploymentProperties,
    /// Who made it, and when.
    pub system_data: Option<SystemData>,
}

/// What a deployment has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeploymentProperties {
    /// `Managed`, `Kubernetes`, `AzureMLCompute`.
    pub endpoint_compute_type: Option<String>,
    /// `Enabled` (also if missing) or `Disabled`: the older switch of its way out.
    pub egress_public_network_access: Option<String>,
    /// `Succeeded`, `Failed`, `Canceled` are terminal.
    pub provisioning_state: Option<String>,
}

/// What ARM keeps of every resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SystemData {
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
}

impl OnlineEndpoint {
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

    /// True while ARM makes, changes or deletes it.
    pub fn is_moving(&self) -> bool {
        resource::in_motion(self.properties.provisioning_state.as_deref())
    }

    /// True if its last creation or change failed.
    pub fn has_failed(&self) -> bool {
        resource::has_failed(self.properties.provisioning_state.as_deref())
    }

    /// How many of a hundred calls go to the deployment `name`: names compare without regard to case.
    pub fn traffic_to(&self, name: &str) -> i64 {
        share(self.properties.traffic.as_ref(), name).unwrap_or_default()
    }

    /// How many of a hundred calls the deployment `name` gets a copy of.
    pub fn mirrored_to(&self, name: &str) -> Option<i64> {
        share(self.properties.mirror_traffic.as_ref(), name)
    }
}

fn share(shares: Option<&BTreeMap<String, i64>>, name: &str) -> Option<i64> {
    shares?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, share)| *share)
}

impl Deployment {
    /// Reads one item of a list.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }
}
