//! What a compute says of itself: a body completed with what the service fills in, nulls included.

use serde_json::{Value, json};

use crate::call::Call;
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::world::World;

use super::isolation::Isolation;
use super::versions;

/// Member names of a compute's body.
pub(super) const NAMES: &[&str] = &[
    "administratorAccount",
    "applicationSharingPolicy",
    "computeInstanceAuthorizationType",
    "computeLocation",
    "computeType",
    "customServices",
    "description",
    "disableLocalAuth",
    "enableNodePublicIp",
    "enableSSO",
    "idleTimeBeforeShutdown",
    "isolatedNetwork",
    "maxNodeCount",
    "minNodeCount",
    "nodeIdleTimeBeforeScaleDown",
    "osType",
    "personalComputeInstanceSettings",
    "remoteLoginPortPublicAccess",
    "resourceId",
    "scaleSettings",
    "schedules",
    "setupScripts",
    "sshPort",
    "sshPublicAccess",
    "sshSettings",
    "subnet",
    "userAccountCredentials",
    "virtualMachineImage",
    "vmPriority",
    "vmSize",
];

/// How many nodes a cluster may have.
pub(super) fn check_scale(scale: &Value) -> Result<(), ArmError> {
    let (min, max) = (scale["minNodeCount"].as_u64().unwrap_or(0), scale["maxNodeCount"].as_u64());
    match max {
        Some(max) if min <= max => Ok(()),
        _ => Err(ArmError::validation("scaleSettings needs a maxNodeCount that is not below minNodeCount.")),
    }
}

/// `value` unless it is missing or null.
fn or(value: &Value, default: impl Into<Value>) -> Value {
    if value.is_null() { default.into() } else { value.clone() }
}

/// The `properties` of a compute, complete but for its times.
///
/// # Errors
/// A kind of compute that is not served, or one that lacks what it needs.
pub(super) fn complete(call: &Call<'_>, workspace: &str, location: &str, body: &Value) -> Result<Value, ArmError> {
    let given = versions::compute_taken(body["properties"].clone(), &call.api_version);
    let isolation = call.world.networks.get(&ids::key(workspace)).map(|network| network.isolation).unwrap_or_default();
    // Chosen: nodes in a managed network have no public address unless one is asked for.
    let public = or(&given["enableNodePublicIp"], isolation == Isolation::Disabled);
    let inside = isolation != Isolation::Disabled || given["subnet"].is_object();
    let (attached, own) = match body["computeType"].as_str().unwrap_or_default() {
        "AmlCompute" => (false, cluster(call, &given, public, inside)?),
        "ComputeInstance" => (false, instance(call, location, &given, public)?),
        "VirtualMachine" => (true, machine(call, body, &given)?),
        other => {
            return Err(ArmError::validation(format!("Computes of type '{other}' cannot be made.")));
        }
    };
    Ok(json!({
        "computeType": body["computeType"], "computeLocation": or(&body["computeLocation"], location),
        "description": body["description"], "disableLocalAuth": or(&body["disableLocalAuth"], false),
        "isAttachedCompute": attached, "provisioningErrors": null, "provisioningWarnings": null,
        "resourceId": body["resourceId"], "properties": own,
    }))
}

/// The size, upper-cased as recorded.
fn size(given: &Value) -> Result<String, ArmError> {
    let size = given["vmSize"].as_str().filter(|size| !size.is_empty());
    size.map(str::to_uppercase).ok_or_else(|| ArmError::validation("vmSize is missing."))
}

fn cluster(call: &Call<'_>, given: &Value, public: Value, inside: bool) -> Result<Value, ArmError> {
    check_scale(&given["scaleSettings"])?;
    // The specification: `NotSpecified` is closed in a network and open outside, and is never shown after creation.
    let login = match given["remoteLoginPortPublicAccess"].as_str() {
        None | Some("NotSpecified") if inside => "Disabled",
        None | Some("NotSpecified") => "Enabled",
        Some(login @ ("Enabled" | "Disabled")) => login,
        Some(other) => {
            return Err(ArmError::validation(format!("'{other}' is not a remoteLoginPortPublicAccess.")));
        }
    };
    let scale = &given["scaleSettings"];
    Ok(json!({
        "vmSize": size(given)?, "vmPriority": or(&given["vmPriority"], "Dedicated"),
        "osType": or(&given["osType"], "Linux"), "virtualMachineImage": given["virtualMachineImage"],
        "isolatedNetwork": or(&given["isolatedNetwork"], false), "enableBatchPrivateLink": false,
        "scaleSettings": {
            "maxNodeCount": scale["maxNodeCount"], "minNodeCount": or(&scale["minNodeCount"], 0),
            "nodeIdleTimeBeforeScaleDown": scale["nodeIdleTimeBeforeScaleDown"],
        },
        "userAccountCredentials": null, "subnet": given["subnet"], "remoteLoginPortPublicAccess": login,
        "allocationState": "Steady", "allocationStateTransitionTime": rfc3339(call.world.now), "errors": null,
        "currentNodeCount": 0, "targetNodeCount": or(&scale["minNodeCount"], 0),
        "nodeStateCounts": {
            "preparingNodeCount": 0, "runningNodeCount": 0, "idleNodeCount": 0, "unusableNodeCount": 0,
            "leavingNodeCount": 0, "preemptedNodeCount": 0,
        },
        "enableNodePublicIp": public,
    }))
}

fn instance(call: &Call<'_>, location: &str, given: &Value, public: Value) -> Result<Value, ArmError> {
    let now = rfc3339(call.world.now);
    let name = ids::name(&call.path);
    let tenant = call.world.tenant_of(&call.path).unwrap_or_default();
    let ssh = or(&given["sshSettings"]["sshPublicAccess"], "Disabled");
    let mut instance = json!({
        "vmSize": size(given)?, "subnet": given["subnet"],
        "applicationSharingPolicy": or(&given["applicationSharingPolicy"], "Shared"),
        "sshSettings": { "sshPublicAccess": ssh, "adminUserName": "azureuser", "sshPort": 50000 },
        "customServices": given["customServices"], "computeInstanceAuthorizationType": "personal",
        "personalComputeInstanceSettings": given["personalComputeInstanceSettings"],
        "setupScripts": given["setupScripts"], "schedules": given["schedules"],
        "createdBy": { "userName": call.caller.client_id, "userOrgId": tenant, "userId": call.caller.object_id },
        // An address of the block for documentation, where there is one.
        "connectivityEndpoints": {
            "publicIpAddress": (public == json!(true)).then_some("203.0.113.4"), "privateIpAddress": "10.0.0.4",
        },
        "applications": [{
            "displayName": "Jupyter", "endpointUri": format!("https://{name}.{location}.azureml.net/jupyter")
        }],
        "errors": [], "state": "Running", "enableNodePublicIp": public,
        "lastOperation": {
            "operationName": "Create", "operationTime": now, "operationStatus": "Succeeded", "operationTrigger": "User",
        },
    });
    if let Some(idle) = given["idleTimeBeforeShutdown"].as_str() {
        instance["idleTimeBeforeShutdown"] = json!(idle);
    }
    Ok(instance)
}

/// The public address of a machine, by its first interface (recording of an attached machine).
fn public_address(world: &World, machine: &Value) -> Value {
    let found = |id: &Value| id.as_str().and_then(|id| world.resources.get(&ids::key(id)));
    let interface = found(&machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"]);
    let address = interface
        .and_then(|nic| found(&nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]["id"]));
    address.map_or(Value::Null, |address| address["properties"]["ipAddress"].clone())
}

/// An attached machine. Its size is its own, if the machine is known: virtual machines are not served, so one that is not
/// known is taken all the same.
fn machine(call: &Call<'_>, body: &Value, given: &Value) -> Result<Value, ArmError> {
    let id = body["resourceId"].as_str().unwrap_or_default();
    if ids::resource_type(id).is_none() {
        return Err(ArmError::validation(format!("'{id}' is not the id of a virtual machine.")));
    }
    let machine = call.world.resources.get(&ids::key(id));
    let size = machine.and_then(|machine| machine["properties"]["hardwareProfile"]["vmSize"].as_str());
    let address = match given["address"].as_str() {
        Some(stated) => json!(stated),
        None => machine.map_or(Value::Null, |machine| public_address(call.world, machine)),
    };
    Ok(json!({
        "virtualMachineSize": size.map(str::to_uppercase), "sshPort": or(&given["sshPort"], 22),
        "notebookServerPort": null, "address": address, "ipAddress": address,
        "administratorAccount": null, "imageVersion": null, "applicationUris": null, "createdBy": null,
    }))
}
