//! Microsoft.KeyVault: vaults and their private endpoint connections.

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::connections;
use crate::http::Reply;
use crate::ids;
use crate::routes::Route;
use crate::world::World;

pub(crate) const VAULT: &str = "Microsoft.KeyVault/vaults";

/// 2019-09-01 is what azure-cli uses to approve connections.
const VERSIONS: &[&str] = &[
    "2019-09-01",
    "2021-04-01-preview",
    "2022-07-01",
    "2023-02-01",
    "2023-07-01",
    "2024-11-01",
    "2025-05-01",
    "2026-02-01",
    "2026-05-15",
];

macro_rules! vault {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults", $tail)
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route { method: "GET", path: vault!(""), versions: VERSIONS, run: list },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.KeyVault/vaults",
        versions: VERSIONS,
        run: list,
    },
    Route { method: "GET", path: vault!("/{}"), versions: VERSIONS, run: get },
    Route {
        method: "GET",
        path: vault!("/{}/privateLinkResources"),
        versions: VERSIONS,
        run: connections::link_resources,
    },
    Route { method: "GET", path: vault!("/{}/privateEndpointConnections"), versions: VERSIONS, run: connections::list },
    Route {
        method: "GET",
        path: vault!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::get,
    },
    Route {
        method: "PUT",
        path: vault!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::put,
    },
    Route {
        method: "DELETE",
        path: vault!("/{}/privateEndpointConnections/{}"),
        versions: VERSIONS,
        run: connections::delete,
    },
    Route {
        method: "GET",
        path: "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/operationResults/{}",
        versions: VERSIONS,
        run: operation_result,
    },
];

fn list(call: &mut Call<'_>) -> Answer {
    let items = call.world.list(ids::list_scope(&call.path), VAULT);
    Ok(call.page(items, "$skiptoken"))
}

fn get(call: &mut Call<'_>) -> Answer {
    let vault = call.world.resource(&call.path)?;
    Ok(Reply::ok(render(call.world, vault)))
}

fn operation_result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

pub(crate) fn render(world: &World, document: &Value) -> Value {
    let mut vault = document.clone();
    let id = document["id"].as_str().unwrap_or_default();
    vault["properties"]["provisioningState"] = json!("Succeeded");
    let connections = world.render_connections(id);
    // A vault without connections shows no such member (recording of 2021-04-01-preview).
    if !connections.is_empty() {
        vault["properties"]["privateEndpointConnections"] = connections.into();
    }
    vault
}
