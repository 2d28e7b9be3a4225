//! Microsoft.KeyVault: vaults, deleted vaults, and their private endpoint connections.

mod deleted;
mod vault;

use crate::call::{Answer, Call};
use crate::resource_type::ResourceType;
use crate::routes::{Provider, Route, connectable, connection_list, link_resources, patchable, row, tracked};

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

macro_rules! in_location {
    ($tail:literal) => {
        concat!("/subscriptions/{}/providers/Microsoft.KeyVault/locations/{}/", $tail)
    };
}

const ROUTES: &[Route] = &[
    row("GET", in_location!("operationResults/{}"), VERSIONS, operation_result),
    row("GET", in_location!("operationStatuses/{}"), VERSIONS, operation_status),
    row("GET", "/subscriptions/{}/providers/Microsoft.KeyVault/deletedVaults", VERSIONS, deleted::list),
    row("GET", in_location!("deletedVaults/{}"), VERSIONS, deleted::get),
    row("POST", in_location!("deletedVaults/{}/purge"), VERSIONS, deleted::purge),
    row("POST", "/subscriptions/{}/providers/Microsoft.KeyVault/checkNameAvailability", VERSIONS, vault::check_name),
];

const TYPES: &[ResourceType] = &[vault::VAULT];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.KeyVault",
    source: "OpenAPI 2024-11-01, recording of vaults (2021-04-01-preview)",
    missing: &["Keys and secrets as resources, managed HSMs, changing access policies one by one"],
    types: TYPES,
    routes: &[
        tracked!("Microsoft.KeyVault/vaults", VERSIONS, vault::put),
        patchable!("Microsoft.KeyVault/vaults", VERSIONS),
        connectable!("Microsoft.KeyVault/vaults", VERSIONS),
        connection_list!("Microsoft.KeyVault/vaults", VERSIONS),
        link_resources!("Microsoft.KeyVault/vaults", VERSIONS),
        ROUTES,
    ],
};

fn operation_result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

fn operation_status(call: &mut Call<'_>) -> Answer {
    call.operation_status(Some(10))
}
