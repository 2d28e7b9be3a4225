//! Service endpoint policies: which resources a subnet may reach over its service endpoints.

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::children::Children;
use super::common::{BASE, CHILD, delete, free, invalid, properties, put, resource_guid, without_empty_tags};
use super::users;

const POLICY: &str = "Microsoft.Network/serviceEndpointPolicies";
const DEFINITION: &str = "Microsoft.Network/serviceEndpointPolicies/serviceEndpointPolicyDefinitions";

/// The member of a subnet that lists its policies.
pub(super) const MEMBER: &str = "serviceEndpointPolicies";

const DEFINITIONS: Children = Children { list: "serviceEndpointPolicyDefinitions", kind: DEFINITION, shape };

const NAMES: &[&str] =
    &["serviceEndpointPolicyDefinitions", "serviceAlias", "description", "service", "serviceResources"];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: POLICY,
    accept,
    stored: |world, key| DEFINITIONS.stored(world, key),
    removable,
    render,
    names: NAMES,
    create: put("serviceEndpointPolicyPut", Style::network_create(10)),
    update: put("serviceEndpointPolicyPut", Style::network_update(10)),
    delete: delete("serviceEndpointPolicyDelete", 10),
    ..BASE
};

pub(super) const DEFINITION_TYPE: ResourceType = ResourceType {
    kind: DEFINITION,
    accept: |world, proposal| {
        free(world, proposal.id)?;
        shape(world, proposal)
    },
    stored: Children::touch_parent,
    removable: |world, document| free(world, document["id"].as_str().unwrap_or_default()),
    removed: |world, document| Children::touch_parent(world, document["id"].as_str().unwrap_or_default()),
    names: NAMES,
    create: put("serviceEndpointPolicyDefinitionPut", Style::network_create(10)),
    update: put("serviceEndpointPolicyDefinitionPut", Style::network_update(10)),
    delete: delete("serviceEndpointPolicyDefinitionDelete", 10),
    ..CHILD
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let read_only = [DEFINITIONS.list, "subnets", "resourceGuid"];
    let mut stored = properties(world, proposal, &["serviceAlias", "contextualServiceEndpointPolicies"], &read_only)?;
    stored.insert(DEFINITIONS.list.into(), json!(DEFINITIONS.accept(world, proposal)?));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    Ok(json!({ "properties": stored }))
}

/// Judges a definition by itself (OpenAPI Network 2024-05-01).
fn shape(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut stored = properties(world, proposal, &["description", "service", "serviceResources"], &[])?;
    let name = ids::name(proposal.id);
    if stored.get("service").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(invalid(format!("The definition '{name}' names no service.")));
    }
    if stored.get("description").and_then(Value::as_str).is_some_and(|text| text.chars().count() > 140) {
        return Err(invalid("description is longer than 140 characters."));
    }
    let resources = stored.entry("serviceResources").or_insert_with(|| json!([]));
    let is_scope = |resource: &Value| resource.as_str().is_some_and(|id| ids::subscription(id).is_some());
    if !resources.as_array().is_some_and(|resources| resources.iter().all(is_scope)) {
        return Err(invalid(format!("The definition '{name}' names what is no resource, group or subscription.")));
    }
    Ok(json!({ "properties": stored }))
}

/// Chosen: code and sentence for a policy that is in use, after those of security groups.
fn removable(world: &World, document: &Value) -> Result<(), ArmError> {
    let id = document["id"].as_str().unwrap_or_default();
    free(world, id)?;
    let users = users::subnets_with_policy(world, id);
    if users.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Service endpoint policy {id} cannot be deleted because it is in use by the following resources: {}.",
        users.join(", ")
    );
    Err(ArmError::new(400, "InUseServiceEndpointPolicyCannotBeDeleted", message))
}

fn render(world: &World, document: Value) -> Value {
    let mut policy = without_empty_tags(document);
    let id = policy["id"].as_str().unwrap_or_default().to_owned();
    policy["properties"][DEFINITIONS.list] = DEFINITIONS.render(world, &policy);
    let users = users::subnets_with_policy(world, &id);
    if !users.is_empty() {
        policy["properties"]["subnets"] = users.iter().map(|id| json!({ "id": id })).collect();
    }
    policy
}
