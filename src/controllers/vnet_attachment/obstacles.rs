//! Reads what keeps everything from being made where an attachment's endpoints are made: once an endpoint is missing, and only then.

use serde_json::Value;

use crate::azure::client::Client;
use crate::azure::error::ErrorClass;
use crate::controllers::attached::Scene;
use crate::plan::Verdict;
use crate::plan::vnet::{Observed, Obstacles, Places};

/// Version of the locks' API.
const LOCKS_API_VERSION: &str = "2020-05-01";
/// Version of the API that tells of resource providers.
const PROVIDERS_API_VERSION: &str = "2021-04-01";

/// What is in the way of an endpoint that is missing. What the operator may not read is left to Azure's refusal.
pub(super) async fn obstacles(scene: &Scene<'_>, places: &Places, observed: &Observed) -> Result<Obstacles, Verdict> {
    let missing =
        observed.endpoints.iter().any(|seen| seen.own.is_none() && seen.reusable.is_none() && seen.maker.is_none());
    if !missing {
        return Ok(Obstacles::default());
    }
    let client = &scene.connected.client;
    let path = format!("/subscriptions/{}/providers/Microsoft.Network", places.subscription());
    let shown = told(client.get(&path, PROVIDERS_API_VERSION, scene.priority).await, &path)?;
    let state = shown.as_ref().and_then(|shown| shown["registrationState"].as_str());
    let unregistered = state.filter(|state| !state.eq_ignore_ascii_case("Registered")).map(ToOwned::to_owned);
    let mut lock = None;
    for scope in [places.endpoints.as_str(), places.network.as_str()] {
        lock = lock.or(read_only(client, scene, scope).await?);
    }
    Ok(Obstacles { lock, unregistered })
}

/// The id of a lock of the level ReadOnly on `scope` or above it. Azure lists those below too, which are in nobody's way.
async fn read_only(client: &Client, scene: &Scene<'_>, scope: &str) -> Result<Option<String>, Verdict> {
    const LOCKS: &str = "/providers/Microsoft.Authorization/locks";
    let path = format!("{scope}{LOCKS}");
    let listed = told(client.list(&path, LOCKS_API_VERSION, scene.priority).await, &path)?.unwrap_or_default();
    let scope = scope.to_ascii_lowercase();
    let above = |id: &str| {
        let id = id.to_ascii_lowercase();
        let locked = id.rsplit_once(&LOCKS.to_ascii_lowercase()).map_or("", |(locked, _)| locked);
        scope.strip_prefix(locked).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let read_only = |lock: &&Value| {
        let level = lock["properties"]["level"].as_str().unwrap_or_default();
        level.eq_ignore_ascii_case("ReadOnly") && lock["id"].as_str().is_some_and(above)
    };
    Ok(listed.iter().find(read_only).and_then(|lock| lock["id"].as_str()).map(ToOwned::to_owned))
}

/// An answer; `None` if the operator may not ask.
fn told<T>(answer: Result<T, crate::azure::error::ArmError>, path: &str) -> Result<Option<T>, Verdict> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error)
            if matches!(error.class, ErrorClass::Forbidden | ErrorClass::NotFound | ErrorClass::ParentNotFound) =>
        {
            Ok(None)
        }
        Err(error) => Err(Verdict::of_error(&format!("reading {path}"), &error)),
    }
}
