//! The identities of a workspace (Microsoft's page on identity-based service authentication).

use serde_json::{Value, json};

use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::operations::Plan;
use crate::providers::resource_identity::{self, has, users};
use crate::world::World;

const KINDS: &[&str] = &["None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned"];

/// Judges the identity that a body asks for.
pub(super) fn check(
    world: &World,
    (caller, id): (&Principal, &str),
    existing: Option<&Value>,
    body: &Value,
) -> Result<(), ArmError> {
    let refuse = |message: String| Err(ArmError::validation(message));
    let none = Value::Null;
    let now = existing.map_or(&none, |existing| &existing["identity"]);
    let wanted = &body["identity"];
    if wanted["type"].is_string() && has(now, "UserAssigned") && !has(wanted, "UserAssigned") {
        return refuse("User-assigned identities cannot be given up once a workspace has them.".into());
    }
    resource_identity::check(world, (caller, id), now, wanted, KINDS)?;
    let set = if wanted["userAssignedIdentities"].is_object() { wanted } else { now };
    let primary = |document: &Value| {
        document["properties"]["primaryUserAssignedIdentity"].as_str().filter(|p| !p.is_empty()).map(str::to_owned)
    };
    if let Some(primary) = primary(body).or(existing.and_then(primary))
        && !users(set).any(|user| ids::key(user) == ids::key(&primary))
    {
        return refuse(format!("The primary identity '{primary}' is not one of the userAssignedIdentities."));
    }
    Ok(())
}

/// The identity that results from a body, with the guids that the directory gives it. `None` if nothing changes.
pub(super) fn resulting(world: &mut World, id: &str, body: &Value) -> Result<Option<Value>, ArmError> {
    let document = world.resource(id)?;
    let (now, life) = (document["identity"].clone(), document["properties"]["workspaceId"].clone());
    // Chosen: a workspace created without a word about identity gets a system-assigned one.
    let system = json!({ "type": "SystemAssigned" });
    let wanted = match (body["identity"]["type"].is_string(), now["type"].is_string()) {
        (true, _) => &body["identity"],
        (false, true) => return Ok(None),
        (false, false) => &system,
    };
    let life = life.as_str().unwrap_or_default();
    resource_identity::given(world, id, wanted, &now, life).map(Some)
}

/// What the service does while it creates a workspace: it lets the system-assigned identity use the vault, if that goes
/// by access policies. Recorded: the policy is there somewhat before the workspace is.
pub(super) fn vault_grant(workspace: &str, creation_seconds: f64) -> Plan {
    let key = workspace.to_owned();
    Plan {
        kind: "workspaceGrant",
        resource: format!("{workspace}/grant"),
        seconds: creation_seconds * 0.85,
        effect: Box::new(move |world| {
            grant(world, &key);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    }
}

fn grant(world: &mut World, workspace: &str) {
    let Some(document) = world.resources.get(workspace) else { return };
    let (identity, vault) = (&document["identity"], document["properties"]["keyVault"].as_str().map(ids::key));
    let (Some(principal), Some(vault)) = (identity["principalId"].as_str(), vault) else { return };
    let policy = json!({
        "tenantId": identity["tenantId"], "objectId": principal,
        "permissions": { "keys": ["all"], "secrets": ["all"], "certificates": ["all"], "storage": [] },
    });
    let Some(vault) = world.resources.get_mut(&vault) else { return };
    if vault["properties"]["enableRbacAuthorization"] == json!(true) {
        return;
    }
    let policies = vault["properties"]["accessPolicies"].as_array_mut();
    if let Some(policies) = policies.filter(|policies| !policies.iter().any(|p| p["objectId"] == policy["objectId"])) {
        policies.push(policy);
    }
}

impl World {
    /// The object id whose rights decide over the workspace's managed endpoints: the primary identity's if one is
    /// named (field report), else the system-assigned one's. Chosen: else the first of the user-assigned ones.
    pub(super) fn workspace_identity(&self, workspace: &str) -> Option<String> {
        let document = self.resources.get(workspace)?;
        let object_id = |user: &str| {
            let identity = self.resources.get(&ids::key(user))?;
            identity["properties"]["principalId"].as_str().map(str::to_owned)
        };
        if let Some(primary) = document["properties"]["primaryUserAssignedIdentity"].as_str().filter(|p| !p.is_empty())
        {
            return object_id(primary);
        }
        let own = document["identity"]["principalId"].as_str().map(str::to_owned);
        own.or_else(|| users(&document["identity"]).next().and_then(|user| object_id(user)))
    }
}
