//! Connections of a workspace to other services (recording of workspaces, 2024-04-01). Not private endpoints.

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, at_once};
use crate::world::World;

use super::document;

const KIND: &str = "Microsoft.MachineLearningServices/workspaces/connections";

/// The member of a connection that holds its secrets; nothing but `listsecrets` shows it.
const CREDENTIALS: &str = "credentials";

/// Written and deleted at once, and always with 200.
pub(super) const TYPE: ResourceType = ResourceType {
    kind: KIND,
    accept,
    render: |_, mut document| {
        if let Some(members) = document.as_object_mut() {
            members.remove(CREDENTIALS);
        }
        document
    },
    names: &[
        "authType",
        "category",
        "credentials",
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
    patch: Some((Patch::Merge, at_once("connectionPatch", 200))),
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
    let kept = proposal.existing.filter(|now| now["properties"]["authType"] == given["authType"]);
    let secrets =
        if given[CREDENTIALS].is_object() { Some(&given[CREDENTIALS]) } else { kept.map(|now| &now[CREDENTIALS]) };
    document[CREDENTIALS] = secrets.cloned().unwrap_or_default();
    document::sign(&mut document, Some(proposal.caller), &rfc3339(world.now));
    Ok(document)
}

/// `GET` of those of a workspace; `target` and `category` choose.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let workspace = ids::ancestor(&call.path, 8);
    call.world.resource(&workspace)?;
    let call = &*call;
    let fits = |connection: &&Value| {
        ["target", "category"].into_iter().all(|name| {
            let asked = call.request.query(name);
            asked.is_none_or(|asked| {
                connection["properties"][name].as_str().is_some_and(|own| own.eq_ignore_ascii_case(&asked))
            })
        })
    };
    let items = call.world.list(&workspace, KIND).filter(fits);
    Ok(call.page_of(items, |connection| (TYPE.render)(call.world, connection.clone()), TYPE.page_token))
}

/// `POST listsecrets`: the connection with its secrets.
pub(super) fn list_secrets(call: &mut Call<'_>) -> Answer {
    let stored = call.world.resource(&ids::ancestor(&call.path, 10))?;
    let mut shown = (TYPE.render)(call.world, stored.clone());
    if stored[CREDENTIALS].is_object() {
        shown["properties"][CREDENTIALS] = stored[CREDENTIALS].clone();
    }
    Ok(Reply::ok(shown))
}
