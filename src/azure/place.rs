//! Where a client's requests go: to Resource Manager, or to the data plane of one Synapse workspace. Each refuses what is meant for the
//! other.

use std::fmt;

use super::cloud::Origin;
use super::path::{PathError, may_watch};

/// What names things in Synapse's data planes. It begins with no slash, so that nothing that takes an ARM path takes it.
const SCHEME: &str = "synapse://";

/// Something in the data plane of a Synapse workspace, in the form that plans, intents and statuses name it by:
/// `synapse://{workspace}/{path}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynapsePath {
    workspace: String,
    /// With its slash in front.
    path: String,
}

impl SynapsePath {
    /// What lies at `path`, which begins with a slash, in the workspace of this name.
    pub fn new(workspace: &str, path: impl Into<String>) -> Self {
        Self { workspace: workspace.to_ascii_lowercase(), path: path.into() }
    }

    /// Reads the text form; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(SCHEME)?;
        let slash = rest.find('/')?;
        let (workspace, path) = rest.split_at(slash);
        (!workspace.is_empty()).then(|| Self::new(workspace, path))
    }

    /// The workspace's name, in lower case.
    pub fn workspace(&self) -> &str {
        &self.workspace
    }
}

impl fmt::Display for SynapsePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.workspace, self.path)
    }
}

/// Where a client's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    origin: Origin,
    /// The Synapse workspace whose data plane it is; `None` for Resource Manager.
    workspace: Option<String>,
}

impl Place {
    /// Resource Manager.
    pub(super) fn resource_manager(origin: Origin) -> Self {
        Self { origin, workspace: None }
    }

    /// The data plane of the Synapse workspace `name`.
    pub(super) fn synapse(origin: Origin, name: &str) -> Self {
        Self { origin, workspace: Some(name.to_ascii_lowercase()) }
    }

    /// The only place that a token is sent to.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What of a path as plans name it is asked for here.
    pub(super) fn local<'a>(&self, path: &'a str) -> Result<&'a str, PathError> {
        let local = match &self.workspace {
            None => Some(path),
            Some(own) => path
                .strip_prefix(SCHEME)
                .and_then(|rest| rest.strip_prefix(own.as_str()))
                .filter(|rest| rest.starts_with('/')),
        };
        local.ok_or_else(|| PathError::new(path, "it lies elsewhere"))
    }

    /// Whether `asked`, the path of a URL here, is `resource` itself or an operation on it.
    pub(super) fn may_watch(&self, resource: &str, asked: &str) -> bool {
        if self.workspace.is_none() {
            return may_watch(resource, asked);
        }
        let (Ok(resource), Some(asked)) = (self.local(resource), self.origin.within(asked)) else { return false };
        // Operations of a data plane lie beside what they are about, and name only themselves (OpenAPI of Synapse's artifacts: the
        // examples' `Location`).
        let results = |rest: &str| !rest.is_empty() && !rest.contains('/');
        asked.eq_ignore_ascii_case(resource)
            || asked.strip_prefix("/operationResults/").is_some_and(results)
            || asked.strip_prefix("/operationStatuses/").is_some_and(results)
    }

    /// The type of what lies at `path`, the path of a URL here, for metrics: no names, so few values.
    pub(super) fn resource_type(&self, path: &str) -> String {
        if self.workspace.is_none() {
            return super::path::resource_type(path);
        }
        let local = self.origin.within(path).unwrap_or_default();
        let types: Vec<&str> = local.trim_matches('/').split('/').step_by(2).collect();
        format!("Microsoft.Synapse/workspaces/{}", types.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::cloud::Cloud;

    fn place() -> Place {
        Place::synapse(Cloud::Public.endpoints().unwrap().synapse_workspace("ws1").unwrap(), "WS1")
    }

    #[test]
    fn what_lies_in_a_data_plane_is_no_arm_path() {
        let path = SynapsePath::new("WS1", "/linkedservices/aml");
        assert_eq!(path.to_string(), "synapse://ws1/linkedservices/aml");
        assert_eq!(SynapsePath::parse(&path.to_string()), Some(path.clone()));
        assert!(crate::api::ids::ArmId::parse(&path.to_string()).is_err());
        for text in ["", "/subscriptions/s", "synapse://", "synapse:///x", "synapse://ws1", "https://ws1/x"] {
            assert_eq!(SynapsePath::parse(text), None, "{text}");
        }
        assert_eq!(place().local(&path.to_string()), Ok("/linkedservices/aml"));
        for text in ["/linkedservices/aml", "synapse://ws2/linkedservices/aml", "synapse://ws12/x", "synapse://ws1"] {
            assert!(place().local(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_its_own_operations_are_watched() {
        let resource = "synapse://ws1/linkedservices/aml";
        for (asked, want) in [
            ("/linkedservices/aml", true),
            ("/operationResults/1", true),
            ("/operationResults/", false),
            ("/operationResults/1/secrets", false),
            ("/linkedservices/other", false),
            ("/subscriptions/S/providers/Microsoft.Synapse/locations/w/operations/1", false),
        ] {
            assert_eq!(place().may_watch(resource, asked), want, "{asked}");
        }
        assert!(!place().may_watch("synapse://ws2/linkedservices/aml", "/operationResults/1"));
    }
}
