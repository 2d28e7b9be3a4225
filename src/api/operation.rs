//! Writes to ARM that are under way, as an object's status records them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A write to ARM. It is recorded before the request goes out, so that no crash makes anybody send it twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// ARM id of what is written, or `synapse://<workspace>/…` for what lies in a Synapse workspace's data plane; one operation each.
    #[schemars(length(min = 1, max = 1024))]
    pub id: String,
    /// What is asked of ARM, for example `PATCH` or `POST provisionManagedNetwork`.
    #[schemars(length(min = 1, max = 64))]
    pub verb: String,
    /// Hash of the request's body, to tell whether what ARM shows is what was asked.
    #[schemars(length(max = 64))]
    pub body_hash: String,
    /// When the request was about to go out, RFC 3339.
    #[schemars(length(max = 64))]
    pub started_at: String,
    /// Where ARM says how it goes. While it is missing, the outcome of the request is unknown and nothing else is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub url: Option<String>,
}
