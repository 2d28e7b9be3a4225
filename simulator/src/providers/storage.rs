//! Microsoft.Storage: accounts and their private endpoint connections.

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::connections;
use crate::http::Reply;
use crate::ids;
use crate::routes::Route;
use crate::world::World;

pub(crate) const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";

/// 2019-06-01 is what azure-cli uses to approve connections.
const VERSIONS: &[&str] = &[
    "2019-06-01",
    "2021-04-01",
    "2022-09-01",
    "2023-01-01",
    "2023-05-01",
    "2024-01-01",
    "2025-01-01",
    "2026-04-01",
    "2026-09-01",
];

macro_rules! account {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts", $tail)
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route { method: "GET", path: account!(""), versions: VERSIONS, run: list },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.Storage/storageAccounts",
        versions: VERSIONS,
        run: list,
    },
    Route { method: "GET", path: account!("/{}"), versions: VERSIONS, run: get },
    Route {
        method: "GET",
        path: account!("/{}/privateLinkResources"),
        versions: VERSIONS,
        run: connections::link_resources,
    },
    Route {
        method: "GET",
        path: account!("/{}/privateEndpointConnections"),
        versions: VERSIONS,
        run: connections::list,
    },
    Route {
        method: "GET",
        path: account!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::get,
    },
    Route {
        method: "PUT",
        path: account!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::put,
    },
    Route {
        method: "DELETE",
        path: account!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::delete,
    },
];

fn list(call: &mut Call<'_>) -> Answer {
    let items = call.world.list(ids::list_scope(&call.path), ACCOUNT);
    Ok(call.page(items, "$skipToken"))
}

fn get(call: &mut Call<'_>) -> Answer {
    let account = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, account)))
}

pub(crate) fn render(world: &World, document: &Value) -> Value {
    let mut account = document.clone();
    let id = document["id"].as_str().unwrap_or_default();
    account["properties"]["provisioningState"] = json!("Succeeded");
    account["properties"]["privateEndpointConnections"] = world.render_connections(id).into();
    account
}
