//! What the types of Microsoft.Network share: their writes, their references, and when they are busy.

use serde_json::{Map, Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::operations::State;
use crate::resource_type::{Etag, Patch, Proposal, ResourceType, Write, at_once};
use crate::settings::{ParallelNetworkWrites, UnknownNetworkProperties};
use crate::world::World;

/// A PUT that is an operation.
pub(super) const fn put(kind: &'static str, style: Style) -> Write {
    Write { kind, seconds: |times| times.network, busy: "Updating", style }
}

/// A DELETE that is an operation.
pub(super) const fn delete(kind: &'static str, retry_after: u32) -> Write {
    Write { kind, seconds: |times| times.network, busy: "Deleting", style: Style::network_delete(retry_after) }
}

/// What every type of the provider starts from: an entity tag in the body, PATCH of tags.
pub(super) const BASE: ResourceType = ResourceType {
    etag: Etag::Member,
    patch: Some((Patch::Tags, at_once("tagsPatch", 200))),
    render: |_, document| without_empty_tags(document),
    ..ResourceType::DEFAULT
};

/// A child: neither location nor tags.
pub(super) const CHILD: ResourceType = ResourceType { tracked: false, patch: None, ..BASE };

/// A resource that was given no tags shows none (recordings).
pub(super) fn without_empty_tags(document: Value) -> Value {
    let mut document = document;
    if document["tags"].as_object().is_some_and(Map::is_empty)
        && let Some(members) = document.as_object_mut()
    {
        members.remove("tags");
    }
    document
}

/// A request that cannot be understood. Chosen: the code, as users quote it; the sentences are the simulator's.
pub(super) fn invalid(message: impl Into<String>) -> ArmError {
    ArmError::new(400, "InvalidRequestFormat", message)
}

/// The members of `properties` that may be written and have a value; read-only ones are passed over.
pub(super) fn properties(
    world: &World,
    proposal: &Proposal<'_>,
    writable: &[&str],
    read_only: &[&str],
) -> Result<Map<String, Value>, ArmError> {
    let given = proposal.body["properties"].as_object().cloned().unwrap_or_default();
    let known = |name: &str| writable.contains(&name) || read_only.contains(&name) || name == "provisioningState";
    if world.settings.unknown_network_properties == UnknownNetworkProperties::Refuse
        && let Some(name) = given.keys().find(|name| !known(name))
    {
        return Err(invalid(format!("Cannot parse the request: 'properties' has no member '{name}'.")));
    }
    Ok(given.into_iter().filter(|(name, value)| writable.contains(&name.as_str()) && !value.is_null()).collect())
}

/// A guid that a resource keeps for as long as it lives; one made anew has another.
pub(super) fn resource_guid(world: &World, proposal: &Proposal<'_>) -> Value {
    match proposal.existing.map(|existing| &existing["properties"]["resourceGuid"]) {
        Some(guid) if guid.is_string() => guid.clone(),
        _ => {
            json!(ids::guid(&["resource guid", proposal.id, &world.lives(proposal.id).to_string()]))
        }
    }
}

/// What `{ "id": … }` refers to.
pub(super) fn id_of(reference: &Value) -> Option<&str> {
    reference["id"].as_str().filter(|id| !id.is_empty())
}

/// Finds what a resource refers to. Chosen: code and sentence if it is not there, as users quote them.
pub(super) fn referenced<'a>(world: &'a World, by: &str, id: &str) -> Result<&'a Value, ArmError> {
    world.resource(id).map_err(|_| not_referable(by, id))
}

/// What is refused when a reference leads nowhere, or into another region.
pub(super) fn not_referable(by: &str, id: &str) -> ArmError {
    let message = format!(
        "Resource {id} referenced by resource {by} was not found. Please make sure that the referenced resource exists, \
         and that both resources are in the same region."
    );
    ArmError::new(400, "InvalidResourceReference", message)
}

/// ARM checks the caller's rights on what a request links to as well.
pub(super) fn linked(world: &World, proposal: &Proposal<'_>, action: &str, scope: &str) -> Result<(), ArmError> {
    world.require_linked(proposal.caller, proposal.id, action, scope)
}

/// `subnetPut` is `PutSubnetOperation` to the service.
fn operation_name(kind: &str) -> String {
    let at = kind.rfind(char::is_uppercase).unwrap_or_default();
    let (what, verb) = kind.split_at(at);
    let (first, rest) = what.split_at(what.len().min(1));
    format!("{verb}{}{rest}Operation", first.to_ascii_uppercase())
}

fn retryable() -> ArmError {
    ArmError::new(429, "RetryableError", "A retryable error occurred.")
}

/// Refuses a write while another one runs on the same top-level resource or below it (codes: ARM throttling page).
/// Chosen: the sentences, as users quote them.
pub(super) fn free(world: &World, id: &str) -> Result<(), ArmError> {
    if world.settings.parallel_network_writes == ParallelNetworkWrites::Allow {
        return Ok(());
    }
    let root = ids::ancestor(id, 8);
    let Some(other) = world.operations.running().find(|other| ids::contains(&root, &other.resource)) else {
        return Ok(());
    };
    let resource = world.resources.get(&other.resource).and_then(|resource| resource["id"].as_str());
    let resource = resource.unwrap_or(&other.resource);
    let guid = ids::guid(&["operation", &other.resource, &other.due.to_string()]);
    // Rounded up: whoever waits that long finds it done.
    let seconds = u64::try_from(other.due.saturating_sub(world.now)).unwrap_or(0).div_ceil(1000).max(1);
    let message = format!(
        "Operation {} ({guid}) is updating resource {resource}. The call can be retried in {seconds} seconds.",
        operation_name(other.kind)
    );
    let error = retryable().with_detail("RetryableErrorDueToAnotherOperation", message);
    Err(error.with_header("Retry-After", seconds.to_string()))
}

/// Refuses to use what is still being written (recording of network interfaces: no `Retry-After`).
pub(super) fn provisioned(world: &World, by: &str, id: &str) -> Result<(), ArmError> {
    let Some((kind, State::Running)) = world.operations.latest(&ids::key(id)) else { return Ok(()) };
    let message = format!(
        "Cannot proceed with operation because resource {id} used by resource {by} is not in Succeeded state. Resource \
         is in Updating state and the last operation that updated/is updating the resource is {}.",
        operation_name(kind)
    );
    Err(retryable().with_detail("ReferencedResourceNotProvisioned", message))
}

#[cfg(test)]
mod tests {
    use super::operation_name;

    #[test]
    fn operations_have_the_names_of_the_service() {
        assert_eq!(operation_name("subnetPut"), "PutSubnetOperation");
        assert_eq!(operation_name("publicIpAddressPut"), "PutPublicIpAddressOperation");
        assert_eq!(operation_name("virtualNetworkDelete"), "DeleteVirtualNetworkOperation");
    }
}
