//! Connections of a workspace to other services (recording of workspaces, 2024-04-01). Not private endpoints.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType, at_once};
use crate::world::World;

use super::document;

/// Written and deleted at once, and always with 200.
pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.MachineLearningServices/workspaces/connections",
    accept,
    names: &[
        "authType",
        "category",
        "expiryTime",
        "isSharedToAll",
        "metadata",
        "sharedUserList",
        "target",
        "value",
        "valueFormat",
    ],
    tracked: false,
    shows_state: false,
    create: at_once("connectionCreate", 200),
    update: at_once("connectionUpdate", 200),
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let given = &proposal.body["properties"];
    for required in ["authType", "category", "target"] {
        if !given[required].is_string() {
            return Err(ArmError::validation(format!("The connection needs '{required}'.")));
        }
    }
    let or = |name: &str, default: Value| if given[name].is_null() { default } else { given[name].clone() };
    // Secrets and the value are not shown again.
    let mut document = json!({
        "tags": null, "location": null, "systemData": proposal.existing.map_or(json!({}), |e| e["systemData"].clone()),
        "properties": {
            "authType": given["authType"], "group": "Azure", "category": given["category"],
            "expiryTime": given["expiryTime"], "target": given["target"],
            "createdByWorkspaceArmId": ids::parent(proposal.id), "useWorkspaceManagedIdentity": false,
            "isSharedToAll": or("isSharedToAll", json!(false)), "sharedUserList": or("sharedUserList", json!([])),
            "peRequirement": "NotRequired", "peStatus": "NotApplicable", "error": null,
            "metadata": or("metadata", json!({})),
        },
    });
    document::sign(&mut document, Some(proposal.caller), &rfc3339(world.now));
    Ok(document)
}
