//! Spark pools (`bigDataPools`).

use serde_json::{Value, json};

use crate::body;
use crate::call::{Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, Write, at_once};
use crate::world::World;

use super::refuse;
use super::workspaces::{RESULT, STATUS};

/// 202 with the pool and both URLs.
const PUT: Style = Style {
    running: 202,
    done: 200,
    status_url: Some((STATUS, "")),
    location_url: Some((RESULT, "")),
    ..Style::at_once(200)
};
/// 202, no body, `Location`. Never 200, by which it would show the pool.
const DELETE: Style = Style { done: 202, body: Shown::Nothing, status_url: None, ..PUT };

const fn write(kind: &'static str, busy: &'static str, style: Style) -> Write {
    Write { kind, seconds: |times| times.spark_pool, busy, style }
}

const SIZES: &[&str] = &["None", "Small", "Medium", "Large", "XLarge", "XXLarge", "XXXLarge"];
const FAMILIES: &[&str] = &["None", "MemoryOptimized", "HardwareAcceleratedFPGA", "HardwareAcceleratedGPU"];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.Synapse/workspaces/bigDataPools",
    accept,
    settled: |world, key| {
        let now = rfc3339(world.now);
        if let Some(properties) = world.resources.get_mut(key).and_then(|pool| pool["properties"].as_object_mut()) {
            properties.insert("lastSucceededTimestamp".into(), json!(now));
        }
        Ok(())
    },
    names: &[
        "autoPause",
        "autoScale",
        "delayInMinutes",
        "enabled",
        "isComputeIsolationEnabled",
        "maxNodeCount",
        "minNodeCount",
        "nodeCount",
        "nodeSize",
        "nodeSizeFamily",
        "sessionLevelPackagesEnabled",
        "sparkVersion",
    ],
    create: write("sparkPoolCreate", "Provisioning", PUT),
    update: write("sparkPoolUpdate", "Provisioning", PUT),
    patch: Some((Patch::Tags, at_once("sparkPoolPatch", 200))),
    delete: write("sparkPoolDelete", "Deleting", DELETE),
    ..ResourceType::DEFAULT
};

/// Letters and digits, a letter first, at most fifteen (Microsoft's page on naming rules). Chosen: sizes and families that the
/// specification does not list are refused, though it leaves the list open, and the limits of scaling (its examples).
fn check(name: &str, given: &Value) -> Result<(), ArmError> {
    let letters = name.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !letters || !name.starts_with(|first: char| first.is_ascii_alphabetic()) || name.len() > 15 {
        return refuse(format!("'{name}' is no name of a Spark pool: at most 15 letters and digits, a letter first."));
    }
    for (member, known) in [("nodeSize", SIZES), ("nodeSizeFamily", FAMILIES)] {
        if let Some(asked) = given[member].as_str().filter(|asked| !known.contains(asked)) {
            return refuse(format!("'{asked}' is not a {member}."));
        }
    }
    let scale = &given["autoScale"];
    let (least, most) = (scale["minNodeCount"].as_u64().unwrap_or(0), scale["maxNodeCount"].as_u64().unwrap_or(0));
    if scale["enabled"] == json!(true) && !(least >= 3 && least <= most) {
        return refuse("autoScale needs a minNodeCount of at least 3 and a maxNodeCount not below it.");
    }
    Ok(())
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut given = proposal.body["properties"].clone();
    if let Some(members) = given.as_object_mut() {
        for stated in ["creationDate", "lastSucceededTimestamp", "provisioningState"] {
            members.remove(stated);
        }
    }
    check(ids::name(proposal.id), &given)?;
    // As recorded.
    let mut properties = json!({
        "autoScale": { "enabled": false, "minNodeCount": 0, "maxNodeCount": 0 },
        "autoPause": { "enabled": false, "delayInMinutes": 0 },
        "isComputeIsolationEnabled": false, "sessionLevelPackagesEnabled": false, "cacheSize": 0,
        "dynamicExecutorAllocation": { "enabled": false },
    });
    if given.is_object() {
        body::merge(&mut properties, &given, &[]);
    }
    let made = proposal.existing.map(|now| now["properties"]["creationDate"].clone()).filter(Value::is_string);
    properties["creationDate"] = made.unwrap_or_else(|| json!(rfc3339(world.now)));
    Ok(json!({ "properties": properties }))
}
