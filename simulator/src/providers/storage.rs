//! Microsoft.Storage: accounts and their private endpoint connections.

use serde_json::Value;

use crate::resource_type::ResourceType;
use crate::routes::{Provider, connectable, tracked};
use crate::world::World;

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

const ACCOUNT: ResourceType =
    ResourceType { kind: "Microsoft.Storage/storageAccounts", render, ..ResourceType::DEFAULT };

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Storage",
    source: "OpenAPI 2023-05-01, recordings of accounts (2021-04-01)",
    missing: &[],
    types: &[ACCOUNT],
    routes: &[
        tracked!("Microsoft.Storage/storageAccounts", VERSIONS),
        connectable!("Microsoft.Storage/storageAccounts", VERSIONS),
    ],
};

fn render(world: &World, document: Value) -> Value {
    let mut account = document;
    let connections = world.render_connections(account["id"].as_str().unwrap_or_default());
    account["properties"]["privateEndpointConnections"] = connections.into();
    account
}
