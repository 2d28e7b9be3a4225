//! Microsoft.KeyVault: vaults and their private endpoint connections.

use serde_json::Value;

use crate::call::{Answer, Call};
use crate::resource_type::ResourceType;
use crate::routes::{Provider, Route, connectable, row, tracked};
use crate::world::World;

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

const ROUTES: &[Route] = &[row(
    "GET",
    "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/operationResults/{}",
    VERSIONS,
    operation_result,
)];

const VAULT: ResourceType =
    ResourceType { kind: "Microsoft.KeyVault/vaults", page_token: "$skiptoken", render, ..ResourceType::DEFAULT };

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.KeyVault",
    source: "OpenAPI 2024-11-01, recording of vaults (2021-04-01-preview)",
    missing: &[],
    types: &[VAULT],
    routes: &[
        tracked!("Microsoft.KeyVault/vaults", VERSIONS),
        connectable!("Microsoft.KeyVault/vaults", VERSIONS),
        ROUTES,
    ],
};

fn operation_result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

fn render(world: &World, document: Value) -> Value {
    let mut vault = document;
    let connections = world.render_connections(vault["id"].as_str().unwrap_or_default());
    // A vault without connections shows no such member (recording of 2021-04-01-preview).
    if !connections.is_empty() {
        vault["properties"]["privateEndpointConnections"] = connections.into();
    }
    vault
}
