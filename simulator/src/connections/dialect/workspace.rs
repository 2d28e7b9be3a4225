//! The dialects of workspaces, of what they depend on, and of SQL servers.

use super::{COMMON, CREATING, Dialect, Embedded, Farewell, Group, Naming, Stated, States};
use crate::call::{Shown, Style};

macro_rules! storage_group {
    ($service:literal) => {
        storage_group!($service, $service)
    };
    // That of the second region has a name of its own and the zone of the first.
    ($service:literal, $name:literal) => {
        Group { name: $name, members: &[$name], zones: &[concat!("privatelink.", $service, ".core.windows.net")] }
    };
}

macro_rules! key_vault {
    ($what:literal) => {
        concat!("/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/", $what, "/{id}")
    };
}

macro_rules! registry {
    () => {
        // As the specification's example shows: below the connection itself.
        "{resource}/operationStatuses/privateendpointconnections-{id}"
    };
}

macro_rules! sql {
    ($what:literal) => {
        // Chosen: no source shows the path.
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Sql/locations/{location}/",
            $what,
            "/{id}"
        )
    };
}

/// From the OpenAPI files of Storage 2023-05-01, KeyVault 2024-11-01, ContainerRegistry 2023-07-01, Sql 2021-11-01 and
/// MachineLearningServices 2024-10-01, and from public recordings (names).
pub(super) const DIALECTS: &[Dialect] = &[
    Dialect {
        kind: "Microsoft.Storage/storageAccounts",
        actions_field: Some("actionRequired"),
        states: Some(CREATING),
        naming: Naming::Target,
        farewell: Farewell::EmptyText,
        stated: Stated::Not,
        statuses: &["Pending", "Approved", "Rejected"],
        groups: &[
            storage_group!("blob"),
            storage_group!("table"),
            storage_group!("queue"),
            storage_group!("file"),
            storage_group!("web"),
            storage_group!("dfs"),
            storage_group!("blob", "blob_secondary"),
            storage_group!("table", "table_secondary"),
            storage_group!("queue", "queue_secondary"),
            storage_group!("file", "file_secondary"),
            storage_group!("web", "web_secondary"),
            storage_group!("dfs", "dfs_secondary"),
        ],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.KeyVault/vaults",
        stated: Stated::Not,
        embedded: Embedded::Brief,
        // A 200 that may carry the headers of an operation.
        put: Style {
            status_url: Some((key_vault!("operationStatuses"), "")),
            retry_after: Some(10),
            ..Style::at_once(200)
        },
        delete: Style::VAULT_DELETE,
        farewell: Farewell::State,
        groups: &[Group { name: "vault", members: &["default"], zones: &["privatelink.vaultcore.azure.net"] }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.MachineLearningServices/workspaces",
        dated: true,
        states: Some(CREATING),
        farewell: Farewell::EmptyText,
        stated: Stated::Not,
        groups: &[Group {
            name: "amlworkspace",
            members: &["default"],
            zones: &["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"],
        }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.ContainerRegistry/registries",
        dated: true,
        stated: Stated::Not,
        put: Style {
            running: 201,
            done: 200,
            body: Shown::Resource,
            status_url: Some((registry!(), "")),
            location_url: None,
            retry_after: Some(10),
            ..Style::at_once(200)
        },
        delete: Style {
            running: 202,
            done: 200,
            body: Shown::Nothing,
            status_url: None,
            location_url: Some((registry!(), "")),
            retry_after: Some(10),
            ..Style::at_once(200)
        },
        groups: &[Group {
            name: "registry",
            members: &["registry", "registry_data_{location}"],
            zones: &["privatelink.azurecr.io"],
        }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Sql/servers",
        states: Some(States {
            waiting: Some("Ready"),
            settled: "Ready",
            approving: "Approving",
            rejecting: "Rejecting",
            deleting: "Dropping",
        }),
        naming: Naming::EndpointDashed,
        embedded: Embedded::Brief,
        statuses: &["Approved", "Rejected"],
        bad_status: "IncorrectPrivateLinkServiceConnectionStateStatus",
        description_required: true,
        decided_once: true,
        // The client takes a `Ready` connection for one that still changes, unless it is given something to ask.
        put: Style { announces_done: true, ..SQL },
        delete: SQL,
        groups: &[Group { name: "sqlServer", members: &["sqlServer"], zones: &["privatelink.database.windows.net"] }],
        ..COMMON
    },
];

const SQL: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    status_url: Some((sql!("privateEndpointConnectionAzureAsyncOperation"), "")),
    location_url: Some((sql!("privateEndpointConnectionOperationResults"), "")),
    retry_after: Some(15),
    ..Style::at_once(200)
};
