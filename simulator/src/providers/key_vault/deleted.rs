//! Deleted vaults: every vault that is deleted stays for its retention time and keeps its name taken, until it is
//! purged or recovered.

use serde_json::{Value, json};

use super::vault::KIND;
use crate::call::{Answer, Call, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::Plan;
use crate::world::World;

const DAY_MS: i64 = 86_400_000;

/// Retention if the vault does not state one (OpenAPI, VaultProperties).
const DEFAULT_DAYS: i64 = 90;

/// A deleted vault stays, whatever became of its group: its document, when it was deleted, and until when it stays, in
/// simulated milliseconds.
pub(super) fn keep(world: &mut World, document: &Value) {
    let days = document["properties"]["softDeleteRetentionInDays"].as_i64().unwrap_or(DEFAULT_DAYS);
    let until = world.now.saturating_add(days.saturating_mul(DAY_MS));
    let kept = json!({ "document": document, "deletedAt": world.now, "until": until });
    world.soft_deleted.insert(ids::key(document["id"].as_str().unwrap_or_default()), kept);
}

/// A vault that is there again is not deleted any more.
pub(super) fn recovered(world: &mut World, key: &str) {
    world.soft_deleted.remove(key);
}

/// The deleted vaults of a subscription whose time has not come.
fn all<'a>(world: &'a World, subscription: &str) -> impl Iterator<Item = &'a Value> {
    let scope = format!("/subscriptions/{subscription}");
    world.soft_deleted.values().filter(move |kept| {
        let vault = &kept["document"];
        vault["type"] == KIND
            && kept["until"].as_i64().is_some_and(|until| until > world.now)
            && ids::contains(&scope, vault["id"].as_str().unwrap_or_default())
    })
}

fn is_called(kept: &Value, name: &str) -> bool {
    kept["document"]["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
}

/// What is kept of the deleted vault of a name, in the subscription that a path lies in.
fn kept<'a>(world: &'a World, path: &str, name: &str) -> Option<&'a Value> {
    all(world, ids::subscription(path).unwrap_or_default()).find(|kept| is_called(kept, name))
}

/// The document of the deleted vault of a name, in the subscription that a path lies in.
pub(super) fn find<'a>(world: &'a World, path: &str, name: &str) -> Option<&'a Value> {
    kept(world, path, name).map(|kept| &kept["document"])
}

/// Whether a deleted vault of another subscription has this name: its owner may still recover it.
pub(super) fn elsewhere(world: &World, id: &str, name: &str) -> bool {
    let own = ids::subscription(id).unwrap_or_default();
    let others = world.subscriptions.values().filter(|other| !other.id.eq_ignore_ascii_case(own));
    others.flat_map(|other| all(world, &other.id)).any(|kept| is_called(kept, name))
}

/// Text as recorded.
pub(super) fn not_found(name: &str) -> ArmError {
    ArmError::new(
        404,
        "DeletedVaultNotFound",
        format!(
            "The specified deleted vault '{name}' does not exist. Ensure that the vault was indeed deleted and that it is \
             in recoverable state. If soft delete was not enabled then the vault is permanently deleted. Follow this link \
             for more information: https://go.microsoft.com/fwlink/?linkid=2149745"
        ),
    )
}

fn document(kept: &Value) -> Value {
    let vault = &kept["document"];
    let (id, name, location) = (&vault["id"], &vault["name"], &vault["location"]);
    let subscription = id.as_str().and_then(ids::subscription).unwrap_or_default();
    let path = format!(
        "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
        location.as_str().unwrap_or_default(),
        name.as_str().unwrap_or_default()
    );
    let mut properties = json!({
        "vaultId": id,
        "location": location,
        "tags": vault["tags"],
        "deletionDate": rfc3339(kept["deletedAt"].as_i64().unwrap_or_default()),
        "scheduledPurgeDate": rfc3339(kept["until"].as_i64().unwrap_or_default()),
    });
    if vault["properties"]["enablePurgeProtection"] == true {
        properties["purgeProtectionEnabled"] = json!(true);
    }
    json!({ "id": path, "name": name, "type": "Microsoft.KeyVault/deletedVaults", "properties": properties })
}

/// The one that a path names, if it lies in the path's region.
fn asked<'a>(call: &'a Call<'_>) -> Result<&'a Value, ArmError> {
    let (location, name) = (call.param(1), call.param(2));
    let at =
        |kept: &&Value| kept["document"]["location"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(location));
    kept(call.world, &call.path, name).filter(at).ok_or_else(|| not_found(name))
}

/// `GET` of those of a subscription.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let items = all(call.world, call.param(0)).map(document).collect();
    Ok(call.page(items, "$skiptoken"))
}

/// `GET` of one.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    asked(call).map(|kept| Reply::ok(document(kept)))
}

/// `POST` that makes the deletion final; not for a vault with purge protection.
pub(super) fn purge(call: &mut Call<'_>) -> Answer {
    let vault = &asked(call)?["document"];
    if vault["properties"]["enablePurgeProtection"] == true {
        // Chosen: code and sentence for a vault that is protected against purging.
        return Err(ArmError::new(405, "MethodNotAllowed", "Operation 'DeletedVaultPurge' is not allowed."));
    }
    let key = ids::key(vault["id"].as_str().unwrap_or_default());
    let location = call.param(1).to_owned();
    let plan = Plan {
        kind: "vaultPurge",
        resource: key.clone(),
        seconds: call.world.settings.operation_seconds.vault_purge,
        effect: Box::new(move |world| {
            world.soft_deleted.remove(&key);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    Ok(call.start(plan, Style::VAULT_DELETE, &location))
}
