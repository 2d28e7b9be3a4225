//! What happens to Azure when the object goes.

use crate::api::common::DeletionPolicy;
use crate::azure::machine_learning::{Connection, OutboundRule, Workspace};
use crate::plan::ownership::Owner;

/// What happens to Azure when the object goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Farewell {
    /// Nothing: the object may go. The words are for the event.
    Release(String),
    /// This private endpoint connection is removed first, so that nobody's endpoint is left leading nowhere without saying so.
    Disconnect(String),
    /// The workspace is deleted, with its rules.
    Delete,
    /// ARM is at it already.
    Deleting,
}

/// Decides what the deletion of the object means for Azure.
pub fn farewell(
    owner: &Owner,
    policy: Option<DeletionPolicy>,
    observed: Option<&Workspace>,
    rules: &[OutboundRule],
) -> Farewell {
    let Some(observed) = observed else {
        return Farewell::Release("there is no such workspace in Azure".into());
    };
    if policy != Some(DeletionPolicy::Delete) {
        return Farewell::Release("Azure keeps the workspace (deletionPolicy: Retain)".into());
    }
    if !observed.tag(crate::api::OWNER_TAG).is_some_and(|tag| owner.is(tag)) {
        return Farewell::Release("Azure keeps the workspace: it does not carry this object's owner tag".into());
    }
    if observed.is_deleting() {
        return Farewell::Deleting;
    }
    let connections = observed.properties.private_endpoint_connections.iter().flatten();
    connections
        .filter(|connection| !is_of_own_network(connection, rules))
        .find_map(|connection| connection.name.as_deref().filter(|name| is_plain(name)))
        .map_or(Farewell::Delete, |name| Farewell::Disconnect(name.to_owned()))
}

/// True if the workspace's own managed network raised the connection: it goes with the workspace.
fn is_of_own_network(connection: &Connection, rules: &[OutboundRule]) -> bool {
    let endpoint = connection.properties.private_endpoint.as_ref().and_then(|endpoint| endpoint.id.as_deref());
    let name = endpoint.and_then(|id| id.rsplit('/').next()).unwrap_or_default();
    name.starts_with("__SYS_") || rules.iter().any(|rule| rule.name.eq_ignore_ascii_case(name))
}

/// True if `name` is a name and no path, whatever ARM shows.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 260 && name.chars().all(plain) && name.chars().any(char::is_alphanumeric)
}
