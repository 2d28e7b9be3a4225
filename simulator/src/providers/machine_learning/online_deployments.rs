//! Deployments of online endpoints: the models behind them, and the network that they run in (OpenAPI 2024-10-01).

use serde_json::{Value, json};

use crate::body;
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, Write};
use crate::settings::OperationSeconds;
use crate::world::World;

use super::document;
use super::isolation::Isolation;
use super::online_endpoints::{LATER, PUT, UPDATE, check_name};

const fn write(kind: &'static str, busy: &'static str, style: crate::call::Style) -> Write {
    let seconds: fn(&OperationSeconds) -> f64 = |times| times.online_deployment;
    Write { kind, seconds, busy, style }
}

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
    accept,
    removable,
    names: &["egressPublicNetworkAccess", "endpointComputeType", "instanceType", "model", "scaleSettings"],
    create: write("onlineDeploymentCreate", "Creating", PUT),
    update: write("onlineDeploymentUpdate", "Updating", UPDATE),
    // Tags and size, nothing else (PartialMinimalTrackedResourceWithSku).
    patch: Some((
        Patch::Only { members: &["sku"], properties: &[] },
        write("onlineDeploymentPatch", "Updating", LATER),
    )),
    delete: write("onlineDeploymentDelete", "Deleting", LATER),
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::validation(message))
}

/// The way out of a deployment is that of the workspace's managed network, which has to be built before. Its older switch
/// of its own does not go together with it (Microsoft's page on the network isolation of online endpoints).
fn check_network(world: &World, workspace: &str, egress: &str) -> Result<(), ArmError> {
    let Some(network) = world.networks.get(workspace).filter(|network| network.isolation != Isolation::Disabled) else {
        return Ok(());
    };
    if !network.active {
        return refuse("The managed network of the workspace must be provisioned before a deployment is made.");
    }
    if egress == "Disabled" {
        return refuse("egressPublicNetworkAccess cannot be Disabled in a workspace with a managed network.");
    }
    Ok(())
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let (id, body) = (proposal.id, proposal.body);
    check_name(ids::name(id), "a deployment")?;
    let mut given = body["properties"].clone();
    let kind = given["endpointComputeType"].as_str().unwrap_or_default().to_owned();
    if !["Managed", "Kubernetes", "AzureMLCompute"].contains(&kind.as_str()) {
        return refuse(format!("'{kind}' is not an endpointComputeType."));
    }
    let egress = given["egressPublicNetworkAccess"].as_str().unwrap_or("Enabled").to_owned();
    if !["Enabled", "Disabled"].contains(&egress.as_str()) {
        return refuse(format!("'{egress}' is not an egressPublicNetworkAccess."));
    }
    if let Some(now) = proposal.existing.map(|now| &now["properties"]) {
        for fixed in ["endpointComputeType", "instanceType"] {
            if given[fixed].is_null() {
                given[fixed] = now[fixed].clone();
            } else if given[fixed] != now[fixed] {
                return refuse(format!("'{fixed}' of a deployment cannot be changed."));
            }
        }
    }
    check_network(world, &ids::key(&ids::ancestor(id, 8)), &egress)?;
    let mut properties = json!({ "egressPublicNetworkAccess": egress, "appInsightsEnabled": false });
    if let Some(members) = given.as_object_mut() {
        members.remove("provisioningState");
    }
    body::merge(&mut properties, &given, &[]);
    let sku = if body["sku"].is_object() { body["sku"].clone() } else { json!({ "name": "Default", "capacity": 1 }) };
    let mut document = json!({
        "kind": body["kind"].as_str().unwrap_or(&kind), "sku": sku, "properties": properties,
        "systemData": proposal.existing.map_or(json!({}), |now| now["systemData"].clone()),
    });
    document::sign(&mut document, Some(proposal.caller), &rfc3339(world.now));
    Ok(document)
}

/// One that is called stays (Microsoft's page on safe rollout).
fn removable(world: &World, deployment: &Value) -> Result<(), ArmError> {
    let id = deployment["id"].as_str().unwrap_or_default();
    let endpoint = world.resources.get(&ids::key(&ids::parent(id)));
    let traffic = endpoint.and_then(|endpoint| endpoint["properties"]["traffic"].as_object());
    let share = traffic.into_iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case(ids::name(id)));
    if share.is_some_and(|(_, share)| share.as_u64().unwrap_or(0) > 0) {
        return refuse(format!("The deployment '{}' has traffic and cannot be deleted.", ids::name(id)));
    }
    Ok(())
}
