//! What a compute says of itself: a body completed with what the service fills in, nulls included.

use jiff::{Span, SpanRelativeTo, Unit};
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
    "adminPublicKey",
    "adminUserName",
    "administratorAccount",
    "applicationSharingPolicy",
    "computeInstanceAuthorizationType",
    "computeLocation",
    "computeType",
    "customServices",
    "defaultInstanceType",
    "description",
    "disableLocalAuth",
    "enableNodePublicIp",
    "enableOSPatching",
    "enableRootAccess",
    "enableSSO",
    "idleTimeBeforeShutdown",
    "instanceTypes",
    "isolatedNetwork",
    "maxNodeCount",
    "minNodeCount",
    "namespace",
    "nodeIdleTimeBeforeScaleDown",
    "osType",
    "personalComputeInstanceSettings",
    "releaseQuotaOnStop",
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

/// When an instance stops by itself.
pub(super) const IDLE: &str = "idleTimeBeforeShutdown";

/// What stays as it was at creation, as pointers into the document: `disableLocalAuth` and `computeLocation` by their
/// `x-ms-mutability`, the rest because the nodes are made with it.
const FIXED: &[&str] = &[
    "/location",
    "/properties/computeType",
    "/properties/computeLocation",
    "/properties/disableLocalAuth",
    "/properties/resourceId",
    "/properties/properties/applicationSharingPolicy",
    "/properties/properties/enableNodePublicIp",
    "/properties/properties/enableRootAccess",
    "/properties/properties/isolatedNetwork",
    "/properties/properties/osType",
    "/properties/properties/personalComputeInstanceSettings",
    "/properties/properties/remoteLoginPortPublicAccess",
    "/properties/properties/setupScripts",
    "/properties/properties/sshSettings/sshPublicAccess",
    "/properties/properties/subnet/id",
    "/properties/properties/virtualMachineImage",
    "/properties/properties/vmPriority",
    "/properties/properties/vmSize",
];

/// What a change does not touch: the state, and what the service says of the compute.
const KEPT: &[&str] = &[
    "/properties/createdOn",
    "/properties/properties/applications",
    "/properties/properties/connectivityEndpoints",
    "/properties/properties/createdBy",
    "/properties/properties/currentNodeCount",
    "/properties/properties/lastOperation",
    "/properties/properties/state",
];

/// The object that a pointer's last member stands in, and that member; objects on the way are made.
fn place<'a>(document: &'a mut Value, pointer: &'a str) -> Option<(&'a mut serde_json::Map<String, Value>, &'a str)> {
    let (path, name) = pointer.rsplit_once('/')?;
    let mut at = document;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at = at.as_object_mut()?.entry(part).or_insert(Value::Null);
        if at.is_null() {
            *at = json!({});
        }
    }
    Some((at.as_object_mut()?, name))
}

/// Gives a body what it leaves out of what cannot be changed anyway.
pub(super) fn fill(body: &mut Value, existing: &Value) {
    for pointer in FIXED {
        let unsaid =
            |value: Option<&Value>| value.is_none_or(|value| value.is_null() || *value == json!("NotSpecified"));
        let Some(now) = existing.pointer(pointer).filter(|now| !now.is_null()) else { continue };
        if unsaid(body.pointer(pointer))
            && let Some((members, name)) = place(body, pointer)
        {
            members.insert(name.to_owned(), now.clone());
        }
    }
}

/// Refuses a change of what cannot be changed.
pub(super) fn check_fixed(existing: &Value, wanted: &Value) -> Result<(), ArmError> {
    let plain = |value: Option<&Value>| match value {
        // Sizes and ids are compared as ARM compares names.
        Some(Value::String(text)) => json!(text.to_ascii_lowercase()),
        Some(value) => value.clone(),
        None => Value::Null,
    };
    match FIXED.iter().find(|pointer| plain(existing.pointer(pointer)) != plain(wanted.pointer(pointer))) {
        Some(pointer) => Err(ArmError::validation(format!(
            "'{}' of a compute cannot be changed: it must be deleted and created anew.",
            pointer.trim_start_matches("/properties").trim_start_matches("/properties").trim_start_matches('/')
        ))),
        None => Ok(()),
    }
}

/// Takes over what a change does not touch.
pub(super) fn keep(document: &mut Value, existing: &Value) {
    for pointer in KEPT {
        if let (Some(now), Some((members, name))) = (existing.pointer(pointer), place(document, pointer)) {
            members.insert(name.to_owned(), now.clone());
        }
    }
}

/// An instance stops after 15 minutes to 3 days (specification).
pub(super) fn check_idle(own: &Value) -> Result<(), ArmError> {
    let minutes = |text: &str| {
        let span: Span = text.parse().ok()?;
        span.total((Unit::Minute, SpanRelativeTo::days_are_24_hours())).ok()
    };
    match &own[IDLE] {
        Value::Null => Ok(()),
        Value::String(text) if minutes(text).is_some_and(|minutes| (15.0..=4320.0).contains(&minutes)) => Ok(()),
        other => {
            let message =
                format!("{other} is not an {IDLE}: a duration of 15 minutes to 3 days in the form of ISO 8601.");
            Err(ArmError::validation(message))
        }
    }
}

/// Letters, digits and hyphens, a letter first: up to 32 of a cluster, 3 to 24 of an instance (Microsoft's pages on creating
/// them).
fn check_name(name: &str, kind: &str) -> Result<(), ArmError> {
    let length = if kind == "ComputeInstance" { 3..=24 } else { 2..=32 };
    let inner = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let ends = name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && !name.ends_with('-');
    if inner && ends && length.contains(&name.len()) {
        return Ok(());
    }
    let (least, most) = (length.start(), length.end());
    Err(ArmError::validation(format!(
        "'{name}' is no name of a compute of type {kind}: {least} to {most} letters, digits and hyphens, a letter first."
    )))
}

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
    let kind = body["computeType"].as_str().unwrap_or_default();
    check_name(ids::name(&call.path), kind)?;
    let (attached, own) = match kind {
        "AmlCompute" => (false, cluster(call, &given, public, inside)?),
        "ComputeInstance" => (false, instance(call, location, &given, public)?),
        "VirtualMachine" => (true, machine(call, body, &given)?),
        "Kubernetes" => (true, kubernetes(body, &given)?),
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
    // Neither password nor key is shown again.
    let account =
        given["userAccountCredentials"]["adminUserName"].as_str().map(|name| json!({ "adminUserName": name }));
    Ok(json!({
        "vmSize": size(given)?, "vmPriority": or(&given["vmPriority"], "Dedicated"),
        "osType": or(&given["osType"], "Linux"), "virtualMachineImage": given["virtualMachineImage"],
        "isolatedNetwork": or(&given["isolatedNetwork"], false), "enableBatchPrivateLink": false,
        "scaleSettings": {
            "maxNodeCount": scale["maxNodeCount"], "minNodeCount": or(&scale["minNodeCount"], 0),
            "nodeIdleTimeBeforeScaleDown": scale["nodeIdleTimeBeforeScaleDown"],
        },
        "userAccountCredentials": account, "subnet": given["subnet"], "remoteLoginPortPublicAccess": login,
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
    let key = &given["sshSettings"]["adminPublicKey"];
    match ssh.as_str() {
        Some("Disabled") => {}
        Some("Enabled") if key.as_str().is_some_and(|key| !key.is_empty()) => {}
        Some("Enabled") => return Err(ArmError::validation("sshSettings needs an adminPublicKey to be Enabled.")),
        _ => return Err(ArmError::validation(format!("{ssh} is not an sshPublicAccess."))),
    }
    let sharing = or(&given["applicationSharingPolicy"], "Shared");
    if !["Personal", "Shared"].iter().any(|known| sharing == json!(known)) {
        return Err(ArmError::validation(format!("{sharing} is not an applicationSharingPolicy.")));
    }
    check_idle(given)?;
    let mut instance = json!({
        "vmSize": size(given)?, "subnet": given["subnet"],
        "applicationSharingPolicy": sharing,
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
    if !key.is_null() {
        instance["sshSettings"]["adminPublicKey"] = key.clone();
    }
    for name in [IDLE, "enableOSPatching", "enableRootAccess", "enableSSO", "releaseQuotaOnStop"] {
        if !given[name].is_null() {
            instance[name] = given[name].clone();
        }
    }
    Ok(instance)
}

/// An attached Kubernetes cluster.
fn kubernetes(body: &Value, given: &Value) -> Result<Value, ArmError> {
    let id = body["resourceId"].as_str().unwrap_or_default();
    let known = ["Microsoft.ContainerService/managedClusters", "Microsoft.Kubernetes/connectedClusters"];
    let kind = ids::resource_type(id).unwrap_or_default();
    if !known.iter().any(|known| known.eq_ignore_ascii_case(&kind)) {
        return Err(ArmError::validation(format!("'{id}' is not the id of a Kubernetes cluster.")));
    }
    Ok(json!({
        "namespace": or(&given["namespace"], "default"),
        "defaultInstanceType": or(&given["defaultInstanceType"], "defaultinstancetype"),
        "instanceTypes": or(&given["instanceTypes"], json!({})),
    }))
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
