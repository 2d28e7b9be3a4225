//! Microsoft.Resources: tenants, subscriptions, resource groups, the registration of providers, lists of resources.

mod groups;
mod listing;
mod registration;

use serde_json::{Value, json};

pub(crate) use registration::Registrations;

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::routes::{Provider, Route, row};
use crate::world::{Subscription, World};

const VERSIONS: &[&str] = &[
    "2016-06-01",
    "2018-05-01",
    "2019-10-01",
    "2020-01-01",
    "2020-06-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-04-01",
];

const GROUP: &str = "/subscriptions/{}/resourceGroups/{}";

const ROUTES: &[Route] = &[
    row("GET", "/tenants", VERSIONS, tenants),
    row("GET", "/subscriptions", VERSIONS, subscriptions),
    row("GET", "/subscriptions/{}", VERSIONS, subscription),
    row("GET", "/subscriptions/{}/locations", VERSIONS, locations),
    row("GET", "/subscriptions/{}/resources", VERSIONS, listing::resources),
    row("GET", "/subscriptions/{}/resourceGroups", VERSIONS, groups::list),
    row("GET", GROUP, VERSIONS, groups::get),
    row("PUT", GROUP, VERSIONS, groups::put),
    row("PATCH", GROUP, VERSIONS, groups::patch),
    row("DELETE", GROUP, VERSIONS, groups::delete),
    row("GET", "/subscriptions/{}/resourceGroups/{}/resources", VERSIONS, listing::resources),
    row("GET", "/subscriptions/{}/operationresults/{}", VERSIONS, groups::deletion),
    row("GET", "/subscriptions/{}/providers", VERSIONS, registration::list),
    row("GET", "/subscriptions/{}/providers/{}", VERSIONS, registration::get),
    row("POST", "/subscriptions/{}/providers/{}/register", VERSIONS, registration::register),
    row("POST", "/subscriptions/{}/providers/{}/unregister", VERSIONS, registration::unregister),
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Resources",
    source: "ARM RPC, recordings of resource groups (2020-06-01)",
    missing: &["Deployments, tags as a resource, moving resources, exporting templates", "Times in lists of resources"],
    types: &[],
    routes: &[ROUTES],
};

/// What a write has to pass before its provider sees it: the group is not being deleted, the subscription may use the
/// namespace.
pub(crate) fn refuse_write(call: &Call<'_>, route: &Route) -> Result<(), ArmError> {
    groups::refuse_in_deletion(call)?;
    registration::refuse(call, route)
}

/// Regions: name, display name, geography. A few, as an example: no write is judged by them.
const REGIONS: &[(&str, &str, &str)] = &[
    ("eastus", "East US", "US"),
    ("eastus2", "East US 2", "US"),
    ("westus2", "West US 2", "US"),
    ("westus3", "West US 3", "US"),
    ("northeurope", "North Europe", "Europe"),
    ("westeurope", "West Europe", "Europe"),
    ("germanywestcentral", "Germany West Central", "Germany"),
    ("swedencentral", "Sweden Central", "Sweden"),
    ("switzerlandnorth", "Switzerland North", "Switzerland"),
    ("uksouth", "UK South", "UK"),
];

fn document(subscription: &Subscription) -> Value {
    json!({
        "id": format!("/subscriptions/{}", subscription.id),
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant,
        "displayName": subscription.id,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
    })
}

/// The tenant of the caller: a token is of one tenant.
fn tenants(call: &mut Call<'_>) -> Answer {
    let tenant = &call.caller.tenant;
    let document = json!({ "id": format!("/tenants/{tenant}"), "tenantId": tenant, "tenantCategory": "Home" });
    Ok(call.page(vec![document], "$skiptoken"))
}

/// Whether a principal holds a role on a scope, above it or anywhere below: then ARM lists the subscription.
fn sees(world: &World, principal: &str, scope: &str) -> bool {
    !world.settings.enforce_rbac
        || world.roles.assignments().values().any(|assignment| {
            assignment.principal_id.eq_ignore_ascii_case(principal)
                && assignment.effective_at <= world.now
                && (ids::contains(&assignment.scope, scope) || ids::contains(scope, &assignment.scope))
        })
}

fn subscriptions(call: &mut Call<'_>) -> Answer {
    let (world, caller) = (&call.world, &call.caller);
    let seen = |known: &&Subscription| {
        known.tenant.eq_ignore_ascii_case(&caller.tenant)
            && sees(world, &caller.object_id, &format!("/subscriptions/{}", known.id))
    };
    let items = world.subscriptions.values().filter(seen).map(document).collect();
    Ok(call.page(items, "$skiptoken"))
}

fn subscription(call: &mut Call<'_>) -> Answer {
    let known = call.world.subscriptions.get(&ids::key(call.param(0)));
    known.map(|known| Reply::ok(document(known))).ok_or_else(|| ArmError::subscription_not_found(call.param(0)))
}

fn locations(call: &mut Call<'_>) -> Answer {
    let document = |(name, display, geography): &(&str, &str, &str)| {
        json!({
            "id": format!("/subscriptions/{}/locations/{name}", call.param(0)),
            "name": name,
            "type": "Region",
            "displayName": display,
            "regionalDisplayName": format!("({geography}) {display}"),
            "metadata": { "regionType": "Physical", "regionCategory": "Recommended", "geographyGroup": geography },
        })
    };
    Ok(Reply::ok(json!({ "value": REGIONS.iter().map(document).collect::<Vec<_>>() })))
}
