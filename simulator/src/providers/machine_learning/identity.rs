//! The identities of a workspace (Microsoft's page on identity-based service authentication).

use serde_json::{Map, Value, json};

use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::operations::Plan;
use crate::world::World;

const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

fn has(identity: &Value, kind: &str) -> bool {
    identity["type"].as_str().is_some_and(|text| text.contains(kind))
}

/// Ids of the user-assigned identities, as a body or a document has them; null takes one out.
fn users(identity: &Value) -> impl Iterator<Item = &String> {
    let map = identity["userAssignedIdentities"].as_object();
    map.into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(id, _)| id)
}

/// Judges the identity that a body asks for. Who gives a resource an identity acts through it from then on, and must
/// have the right to assign it (Microsoft's page on managed identities; the Managed Identity Operator role is for this).
/// Chosen: on every body that names it, also if the resource has it already.
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
    let kind = wanted["type"].as_str();
    let known = ["None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned"];
    if kind.is_some_and(|kind| !known.contains(&kind.replace(' ', "").as_str())) {
        return refuse(format!("'{}' is not a type of identity.", kind.unwrap_or_default()));
    }
    if kind.is_some() && has(now, "UserAssigned") && !has(wanted, "UserAssigned") {
        return refuse("User-assigned identities cannot be given up once a workspace has them.".into());
    }
    for user in users(wanted) {
        world.require_linked(caller, id, &format!("{IDENTITY}/assign/action"), user)?;
        let found = world.resources.get(&ids::key(user));
        if found.is_none_or(|found| !found["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(IDENTITY))) {
            let message = format!("The user-assigned identity '{user}' was not found.");
            return Err(ArmError::new(400, "FailedIdentityOperation", message));
        }
    }
    let set = if wanted["userAssignedIdentities"].is_object() { wanted } else { now };
    let resulting = if kind.is_some() { wanted } else { now };
    if has(resulting, "UserAssigned") && users(set).next().is_none() {
        return refuse("An identity of type UserAssigned needs userAssignedIdentities.".into());
    }
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
    let existing = world.resource(id)?["identity"].clone();
    // Chosen: a workspace created without a word about identity gets a system-assigned one.
    let kind = match (body["identity"]["type"].as_str(), existing["type"].as_str()) {
        (Some(kind), _) => kind.replace(' ', ""),
        (None, Some(_)) => return Ok(None),
        (None, None) => "SystemAssigned".to_owned(),
    };
    let mut identity = json!({ "type": kind });
    if kind.contains("SystemAssigned") {
        let object_id = match existing["principalId"].as_str() {
            Some(existing) => existing.to_owned(),
            None => {
                let guid = world.resource(id)?["properties"]["workspaceId"].as_str().unwrap_or_default().to_owned();
                ids::guid(&["system identity", &guid]).to_string()
            }
        };
        identity["tenantId"] = json!(enlist(world, id, &object_id));
        identity["principalId"] = json!(object_id);
    } else if let Some(gone) = existing["principalId"].as_str() {
        world.directory.remove_principal(gone);
    }
    if kind.contains("UserAssigned") {
        // The set is the whole one: who is not named is removed.
        let given = if body["identity"]["userAssignedIdentities"].is_object() { &body["identity"] } else { &existing };
        identity["userAssignedIdentities"] = shown(world, given)?;
    }
    Ok(Some(identity))
}

/// The user-assigned identities of a body with the guids that they have.
pub(super) fn shown(world: &World, identity: &Value) -> Result<Value, ArmError> {
    let mut assigned = Map::new();
    for user in users(identity) {
        let properties = &world.resource(user)?["properties"];
        let guids = json!({ "principalId": properties["principalId"], "clientId": properties["clientId"] });
        assigned.insert(user.clone(), guids);
    }
    Ok(assigned.into())
}

/// Makes a system-assigned identity known to the directory, and returns its tenant.
pub(super) fn enlist(world: &mut World, resource: &str, object_id: &str) -> String {
    let tenant = world.tenant_of(resource).unwrap_or_default().to_owned();
    if world.directory.principal(object_id).is_none() {
        let delay = (world.settings.principal_replication_seconds * 1000.0) as i64;
        world.directory.add_principal(Principal {
            tenant: tenant.clone(),
            client_id: ids::guid(&["client", object_id]).to_string(),
            object_id: object_id.to_owned(),
            resource_id: Some(resource.to_owned()),
            known_at: world.now.saturating_add(delay),
            ..Principal::default()
        });
    }
    tenant
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
