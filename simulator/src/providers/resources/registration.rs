//! Resource providers as a subscription sees them: what they have, and whether it is registered to use them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::REGIONS;
use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::routes::{self, Route};
use crate::world::World;

/// What subscriptions have asked for, by subscription and namespace, both as keys: the simulated time from which the
/// namespace is registered, `None` after it was unregistered.
pub(crate) type Registrations = BTreeMap<(String, String), Option<i64>>;

/// ARM's own, which no subscription needs to register.
const FREE: &[&str] = &["Microsoft.Resources", "Microsoft.Authorization"];

fn is_free(namespace: &str) -> bool {
    FREE.iter().any(|free| free.eq_ignore_ascii_case(namespace))
}

fn state(world: &World, subscription: &str, namespace: &str) -> &'static str {
    let unregistered = || world.settings.unregistered_providers.iter().any(|name| name.eq_ignore_ascii_case(namespace));
    match world.registrations.get(&(ids::key(subscription), ids::key(namespace))) {
        _ if is_free(namespace) => "Registered",
        Some(Some(from)) if *from <= world.now => "Registered",
        Some(Some(_)) => "Registering",
        Some(None) => "Unregistered",
        None if unregistered() => "NotRegistered",
        None => "Registered",
    }
}

/// The types of each namespace with their api-versions, newest first, from the route table.
fn table() -> BTreeMap<&'static str, BTreeMap<String, BTreeSet<&'static str>>> {
    let mut table: BTreeMap<_, BTreeMap<String, BTreeSet<_>>> = BTreeMap::new();
    for (provider, route) in routes::all() {
        let types = table.entry(provider.namespace).or_default();
        let tail = route.path.rsplit_once("/providers/").map_or(route.path, |(_, tail)| tail);
        let kind: Vec<&str> = tail.split('/').filter(|part| !part.is_empty() && *part != "{}").collect();
        let kind = kind.strip_prefix(&[provider.namespace]).unwrap_or(&kind);
        types.entry(kind.join("/")).or_default().extend(route.versions);
    }
    table
}

fn document(world: &World, subscription: &str, namespace: &str) -> Result<Value, ArmError> {
    let table = table();
    let found = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(namespace));
    let (known, types) = found.ok_or_else(|| {
        // Chosen: code and sentence for a provider that the simulator does not have.
        ArmError::new(404, "InvalidResourceNamespace", format!("The resource namespace '{namespace}' is invalid."))
    })?;
    let regions: Vec<&str> = REGIONS.iter().map(|(_, display, _)| *display).collect();
    let kind = |(name, versions): (&String, &BTreeSet<&str>)| {
        let versions: Vec<&str> = versions.iter().rev().copied().collect();
        json!({ "resourceType": name, "locations": regions, "apiVersions": versions, "capabilities": "None" })
    };
    Ok(json!({
        "id": format!("/subscriptions/{subscription}/providers/{known}"),
        "namespace": known,
        "registrationPolicy": if is_free(known) { "RegistrationFree" } else { "RegistrationRequired" },
        "registrationState": state(world, subscription, known),
        "resourceTypes": types.iter().map(kind).collect::<Vec<_>>(),
    }))
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let subscription = call.param(0).to_owned();
    let all = table().into_keys().map(|namespace| document(call.world, &subscription, namespace));
    let items = all.collect::<Result<Vec<_>, _>>()?;
    Ok(call.page(items, "$skiptoken"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    document(call.world, call.param(0), call.param(1)).map(Reply::ok)
}

/// Begins a registration; who asks again while it goes on changes nothing.
pub(super) fn register(call: &mut Call<'_>) -> Answer {
    let seconds = call.world.settings.operation_seconds.provider_registration;
    let from = call.world.now.saturating_add((seconds * 1000.0) as i64);
    let now = state(call.world, call.param(0), call.param(1));
    let changed = (!matches!(now, "Registered" | "Registering")).then_some(Some(from));
    change(call, changed)
}

/// Chosen: at once, whatever the subscription has of that provider.
pub(super) fn unregister(call: &mut Call<'_>) -> Answer {
    change(call, Some(None))
}

fn change(call: &mut Call<'_>, to: Option<Option<i64>>) -> Answer {
    document(call.world, call.param(0), call.param(1))?;
    let key = (ids::key(call.param(0)), ids::key(call.param(1)));
    if let Some(to) = to {
        call.world.registrations.insert(key, to);
    }
    document(call.world, call.param(0), call.param(1)).map(Reply::ok)
}

/// Refuses a write of a namespace that the subscription is not registered to use (code and first sentence: Microsoft's
/// page on errors of registration). Chosen: the sentences for the other states, in which as in the first clients can read
/// the namespace between the last quotes.
pub(super) fn refuse(call: &Call<'_>, route: &Route) -> Result<(), ArmError> {
    let namespace = route.path.rsplit_once("/providers/").and_then(|(_, tail)| tail.split('/').next());
    let (Some(namespace), Some(subscription)) = (namespace, ids::subscription(&call.path)) else { return Ok(()) };
    let (state, tail) = (
        state(call.world, subscription, namespace),
        "See https://aka.ms/rps-not-found for how to register subscriptions.",
    );
    let message = match state {
        "Registered" => return Ok(()),
        "NotRegistered" => format!("The subscription is not registered to use namespace '{namespace}'. {tail}"),
        _ => format!(
            "The subscription registration is in '{state}' state. The subscription must be registered to use namespace \
             '{namespace}'. {tail}"
        ),
    };
    Err(ArmError::new(409, "MissingSubscriptionRegistration", message))
}
