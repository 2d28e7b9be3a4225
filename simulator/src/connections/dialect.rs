//! How the connections of one provider differ from another's.

use crate::call::{Shown, Style};
use crate::ids;

/// What stands before the guid in a connection's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `{account}.{guid}` (recordings of Storage).
    Target,
    /// `{endpoint}.{guid}`.
    Endpoint,
    /// `{endpoint}-{guid}` (an exported template of a SQL server).
    EndpointDashed,
}

/// The values of a connection's `provisioningState`.
pub(super) struct States {
    pub(super) settled: &'static str,
    pub(super) approving: &'static str,
    pub(super) rejecting: &'static str,
    pub(super) deleting: &'static str,
}

/// A sub-resource that an endpoint can be connected to.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// `{location}` stands for the target's region.
    pub(super) members: &'static [&'static str],
    /// The private DNS zones that its names need (Microsoft's page on the DNS of private endpoints).
    pub(super) zones: &'static [&'static str],
}

/// How a provider's connections differ from the others'.
pub(crate) struct Dialect {
    /// The type of the target.
    kind: &'static str,
    /// Storage spells it in the singular.
    pub(super) actions_field: &'static str,
    pub(super) states: States,
    pub(super) naming: Naming,
    /// Whether a connection states its sub-resources. The specifications of Storage, KeyVault, ContainerRegistry and
    /// AML have no such member; those of Sql, CognitiveServices and Databricks do.
    pub(super) states_groups: bool,
    /// Whether the target's own document shows connections with `name` and `type`.
    pub(super) embeds_whole: bool,
    /// What a PUT may state.
    pub(super) statuses: &'static [&'static str],
    /// The code for a status that is not one of these.
    pub(super) bad_status: &'static str,
    pub(super) description_required: bool,
    /// Whether only a pending connection can be decided.
    pub(super) decided_once: bool,
    pub(super) put: Style,
    pub(super) delete: Style,
    pub(super) groups: &'static [Group],
}

/// From the common private-link types of ARM; what the providers below do not say otherwise.
const COMMON: Dialect = Dialect {
    kind: "",
    actions_field: "actionsRequired",
    states: States { settled: "Succeeded", approving: "Updating", rejecting: "Updating", deleting: "Deleting" },
    naming: Naming::Endpoint,
    states_groups: true,
    embeds_whole: true,
    statuses: &["Pending", "Approved", "Rejected", "Disconnected"],
    bad_status: "BadRequest",
    description_required: false,
    decided_once: false,
    put: Style::at_once(200),
    delete: Style::at_once(200),
    groups: &[],
};

const CREATING: States = States { approving: "Creating", rejecting: "Creating", ..COMMON.states };

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
const DIALECTS: &[Dialect] = &[
    Dialect {
        kind: "Microsoft.Storage/storageAccounts",
        actions_field: "actionRequired",
        states: CREATING,
        naming: Naming::Target,
        states_groups: false,
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
        states_groups: false,
        embeds_whole: false,
        // A 200 that may carry the headers of an operation.
        put: Style {
            status_url: Some((key_vault!("operationStatuses"), "")),
            retry_after: Some(10),
            ..Style::at_once(200)
        },
        delete: Style::VAULT_DELETE,
        groups: &[Group { name: "vault", members: &["default"], zones: &["privatelink.vaultcore.azure.net"] }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.MachineLearningServices/workspaces",
        states: CREATING,
        states_groups: false,
        groups: &[Group {
            name: "amlworkspace",
            members: &["default"],
            zones: &["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"],
        }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.ContainerRegistry/registries",
        states_groups: false,
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
        states: States { settled: "Ready", approving: "Approving", rejecting: "Rejecting", deleting: "Dropping" },
        naming: Naming::EndpointDashed,
        embeds_whole: false,
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

/// The dialect of a target, by its type.
pub(crate) fn dialect(target: &str) -> &'static Dialect {
    let kind = ids::resource_type(target).unwrap_or_default();
    DIALECTS.iter().find(|dialect| dialect.kind.eq_ignore_ascii_case(&kind)).unwrap_or(&COMMON)
}

/// Whether a target of a known type has this sub-resource; unknown types are not judged.
pub(crate) fn has_group(target: &str, group: &str) -> bool {
    let groups = dialect(target).groups;
    groups.is_empty() || groups.iter().any(|known| known.name.eq_ignore_ascii_case(group))
}
