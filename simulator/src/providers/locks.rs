//! Locks: resources of Microsoft.Authorization that lie on any scope and refuse writes on all that is below it.

use serde_json::{Value, json};

use crate::body;
use crate::call::Call;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::routes::{Route, row};
use crate::world::World;

const KIND: &str = "Microsoft.Authorization/locks";

const VERSIONS: &[&str] = &["2016-09-01", "2020-05-01"];

macro_rules! locks {
    ($tail:literal) => {
        concat!("{scope}/providers/Microsoft.Authorization/locks", $tail)
    };
}

/// Rows of Microsoft.Authorization; no specification of them was at hand.
pub(crate) const ROUTES: &[Route] = &[
    row("GET", locks!(""), VERSIONS, crate::resource_type::list),
    row("GET", locks!("/{}"), VERSIONS, crate::resource_type::get),
    row("PUT", locks!("/{}"), VERSIONS, crate::resource_type::put),
    row("DELETE", locks!("/{}"), VERSIONS, crate::resource_type::delete),
];

pub(crate) const TYPE: ResourceType = ResourceType {
    kind: KIND,
    accept,
    names: &["level", "notes", "owners", "applicationId"],
    tracked: false,
    shows_state: false,
    ..ResourceType::DEFAULT
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let properties = &proposal.body["properties"];
    let level = properties["level"].as_str().unwrap_or_default();
    // Chosen: code and sentence for a level that has no effect.
    let known = ["CanNotDelete", "ReadOnly"].into_iter().find(|known| known.eq_ignore_ascii_case(level));
    let Some(level) = known else {
        let message = format!("The lock level '{level}' is not valid: it is CanNotDelete or ReadOnly.");
        return Err(ArmError::new(400, "InvalidLockLevel", message));
    };
    let scope = ids::list_scope(proposal.id);
    if ids::resource_type(scope).is_some() {
        world.resource(scope)?;
    }
    let mut stated = body::members(properties, &["notes", "owners"]);
    stated["level"] = json!(level);
    Ok(json!({ "properties": stated }))
}

/// Every lock, with the scope on which it lies.
fn all(world: &World) -> impl Iterator<Item = (&Value, &str)> {
    let locks = world.resources.values().filter(|document| document["type"] == KIND);
    locks.filter_map(|lock| Some((lock, ids::list_scope(lock["id"].as_str()?))))
}

/// The scope of a lock, of whatever level, under which something lies, and the lock's id.
pub(crate) fn over<'a>(world: &'a World, id: &str) -> Option<(&'a str, &'a str)> {
    let (lock, scope) = all(world).find(|(_, scope)| ids::contains(scope, id))?;
    Some((scope, lock["id"].as_str()?))
}

/// Refuses a write for which there is a lock: on what is written or above it, and for a deletion also below it.
/// `CanNotDelete` refuses deletions, `ReadOnly` every write. Locks themselves are never locked.
pub(crate) fn refuse(call: &Call<'_>) -> Result<(), ArmError> {
    let kind = ids::path_type(&call.path);
    if kind.eq_ignore_ascii_case(KIND) {
        return Ok(());
    }
    let deletion = call.request.method == "DELETE";
    let path = ids::key(&call.path);
    let scopes: Vec<&str> = all(call.world)
        .filter(|(lock, _)| deletion || lock["properties"]["level"] == "ReadOnly")
        .map(|(_, scope)| scope)
        .filter(|scope| ids::contains(scope, &path) || (deletion && ids::contains(&path, scope)))
        .collect();
    if scopes.is_empty() {
        return Ok(());
    }
    // Chosen: the sentence, as users quote it: it names the kind of the operation and every locked scope.
    let operation = if deletion { "delete" } else { "write" };
    let message = format!(
        "The scope '{}' cannot perform {operation} operation because following scope(s) are locked: '{}'. Please remove \
         the lock and try again.",
        call.path,
        scopes.join(",")
    );
    Err(ArmError::new(409, "ScopeLocked", message))
}
