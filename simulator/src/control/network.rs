//! Questions about what a client in some network would meet.

use serde::Serialize;
use serde_json::json;

use crate::error::ArmError;
use crate::http::{Reply, Request};
use crate::reachability::UnknownPlace;
use crate::world::World;

/// Of one host name, or of all of a resource.
fn answer<T: Serialize>(
    request: &Request,
    one: impl Fn(&str, &str) -> Result<T, UnknownPlace>,
    all: impl Fn(&str, &str) -> Result<Vec<T>, UnknownPlace>,
) -> Result<Reply, ArmError> {
    let missing = |what: &str| ArmError::bad_request(format!("'{what}' is missing."));
    let unknown = |error: UnknownPlace| ArmError::new(404, "NotFound", error.to_string());
    let from = request.query("from").ok_or_else(|| missing("from"))?;
    if let Some(name) = request.query("name") {
        return Ok(Reply::ok(json!(one(&from, &name).map_err(unknown)?)));
    }
    let to = request.query("to").ok_or_else(|| missing("name' or 'to"))?;
    Ok(Reply::ok(json!({ "value": all(&from, &to).map_err(unknown)? })))
}

/// What names are in a network.
pub(super) fn resolve(world: &World, request: &Request) -> Result<Reply, ArmError> {
    answer(request, |from, name| world.resolve(from, name), |from, to| world.resolve_all(from, to))
}

/// Whether a client in a network gets through.
pub(super) fn reach(world: &World, request: &Request) -> Result<Reply, ArmError> {
    answer(request, |from, name| world.reach(from, name), |from, to| world.reach_all(from, to))
}
