//! The dialects of the other services that private endpoints lead to: data, messages, analysis, applications, networks.
//!
//! From the OpenAPI files of DocumentDB 2024-11-15, CognitiveServices 2024-10-01, EventHub 2024-01-01, Synapse 2021-06-01,
//! Databricks 2024-05-01, DBforPostgreSQL 2024-08-01, Network 2024-05-01, MachineLearningServices 2024-10-01 (registries),
//! DBforMySQL 2023-06-30, ApiManagement 2021-08-01 and Insights 2019-10-17-preview, and from the examples of those of
//! Search 2020-08-01, ServiceBus 2021-06-01-preview, DataFactory and Redis (2018-06-01, 2021-06-01) and Web 2019-08-01.
//! Groups and zones: Microsoft's page on the DNS of private endpoints.
//!
//! Chosen: what an untyped status may be (as the common types have it), the words of an untyped `provisioningState`, the
//! start of a connection's name where no example shows it, and every URL of an operation but those of DocumentDB, Synapse,
//! Databricks, PostgreSQL, Web and Network; the DELETE of Redis (at once) and of Service Bus (as of Event Hubs). Registries:
//! that their connections are decided as a workspace's are.

use super::{COMMON, CREATING, Dialect, Embedded, Farewell, Group, Naming, Stated, States, UPDATING};
use crate::call::{Shown, Style};

/// The statuses of the common types.
const THREE: &[&str] = &["Pending", "Approved", "Rejected"];

macro_rules! in_subscription {
    ($namespace:literal, $what:literal) => {
        Some((
            concat!("/subscriptions/{subscription}/providers/", $namespace, "/locations/{location}/", $what, "/{id}"),
            "",
        ))
    };
}

macro_rules! in_group {
    ($tail:literal) => {
        Some((concat!("/subscriptions/{subscription}/resourceGroups/{group}/providers/", $tail, "/{id}"), ""))
    };
}

macro_rules! group {
    ($name:literal, $($zone:literal),*) => {
        Group { name: $name, members: &[$name], zones: &[$($zone),*] }
    };
}

/// A URL of an operation: path and own query.
type Url = Option<(&'static str, &'static str)>;

/// An operation that is answered by `running` while it goes on, and then by 200.
const fn followed(running: u16, body: Shown, status_url: Url, location_url: Url) -> Style {
    Style { running, done: 200, body, status_url, location_url, retry_after: Some(10), ..Style::at_once(200) }
}

/// A Cosmos account has a database for each of its interfaces.
macro_rules! cosmos_group {
    ($name:literal, $zone:literal) => {
        Group { name: $name, members: &["{name}", "{name}-{location}"], zones: &[$zone] }
    };
}

/// Both URLs are one and the same (example).
const COSMOS_URL: Url = in_subscription!("Microsoft.DocumentDB", "operationsStatus");
const COSMOS: Style = followed(202, Shown::Nothing, COSMOS_URL, COSMOS_URL);

const COGNITIVE_URL: Url = in_subscription!("Microsoft.CognitiveServices", "operationsStatus");

const SYNAPSE_STATUS: Url = Some(("{target}/operationStatuses/{id}", ""));
const SYNAPSE_RESULT: Url = Some(("{target}/operationResults/{id}", ""));

const DATABRICKS_STATUS: Url = in_group!("Microsoft.Databricks/locations/{location}/operationStatuses");
const DATABRICKS_RESULT: Url = in_group!("Microsoft.Databricks/locations/{location}/operationResults");

const POSTGRESQL: Style = followed(
    202,
    Shown::Nothing,
    in_subscription!("Microsoft.DBforPostgreSQL", "azureAsyncOperation"),
    in_subscription!("Microsoft.DBforPostgreSQL", "operationResults"),
);

const MYSQL: Style = followed(
    202,
    Shown::Nothing,
    in_subscription!("Microsoft.DBforMySQL", "azureAsyncOperation"),
    in_subscription!("Microsoft.DBforMySQL", "operationResults"),
);

const MONITOR: Style =
    followed(202, Shown::Nothing, in_group!("Microsoft.Insights/privateLinkScopeOperationStatuses"), None);

const WEB_URL: Url = in_subscription!("Microsoft.Web", "operationResults");

const API_MANAGEMENT: Style = followed(202, Shown::Nothing, None, Some(("{target}/operationresults/{id}", "")));

pub(super) const DIALECTS: &[Dialect] = &[
    Dialect {
        kind: "Microsoft.MachineLearningServices/registries",
        states: Some(States { waiting: None, approving: "Provisioning", ..UPDATING }),
        embedded: Embedded::Registry,
        groups: &[Group {
            name: "amlregistry",
            members: &["amlregistry"],
            zones: &["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"],
        }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.DocumentDB/databaseAccounts",
        stated: Stated::GroupId,
        put: COSMOS,
        // Never 200.
        delete: Style { done: 202, ..COSMOS },
        groups: &[
            cosmos_group!("Sql", "privatelink.documents.azure.com"),
            cosmos_group!("MongoDB", "privatelink.mongo.cosmos.azure.com"),
            cosmos_group!("Cassandra", "privatelink.cassandra.cosmos.azure.com"),
            cosmos_group!("Gremlin", "privatelink.gremlin.cosmos.azure.com"),
            cosmos_group!("Table", "privatelink.table.cosmos.azure.com"),
        ],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.CognitiveServices/accounts",
        dated: true,
        states: Some(CREATING),
        statuses: THREE,
        put: followed(202, Shown::Resource, COGNITIVE_URL, None),
        delete: followed(202, Shown::Nothing, COGNITIVE_URL, None),
        groups: &[Group {
            name: "account",
            members: &["default"],
            zones: &["privatelink.cognitiveservices.azure.com", "privatelink.openai.azure.com"],
        }],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Search/searchServices",
        states: None,
        stated: Stated::Not,
        farewell: Farewell::Connection,
        delete_insists: true,
        groups: &[group!("searchService", "privatelink.search.windows.net")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.EventHub/namespaces",
        delete: followed(202, Shown::Nothing, in_subscription!("Microsoft.EventHub", "operationsStatus"), None),
        ..MESSAGES
    },
    Dialect {
        kind: "Microsoft.ServiceBus/namespaces",
        delete: followed(202, Shown::Nothing, in_subscription!("Microsoft.ServiceBus", "operationsStatus"), None),
        ..MESSAGES
    },
    Dialect {
        kind: "Microsoft.Synapse/workspaces",
        states: Some(States { approving: "Provisioning", rejecting: "Provisioning", ..UPDATING }),
        stated: Stated::Not,
        put: followed(201, Shown::Resource, SYNAPSE_STATUS, None),
        delete: followed(202, Shown::Nothing, SYNAPSE_STATUS, SYNAPSE_RESULT),
        groups: &[
            group!("Sql", "privatelink.sql.azuresynapse.net"),
            group!("SqlOnDemand", "privatelink.sql.azuresynapse.net"),
            group!("Dev", "privatelink.dev.azuresynapse.net"),
        ],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.DataFactory/factories",
        stated: Stated::Not,
        embedded: Embedded::Not,
        groups: &[
            group!("dataFactory", "privatelink.datafactory.azure.net"),
            group!("portal", "privatelink.adf.azure.com"),
        ],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Databricks/workspaces",
        // Of the version that azure-cli uses.
        other_spelling: Some(("2021-04-01-preview", "actionRequired")),
        naming: Naming::Target,
        put: followed(202, Shown::Resource, DATABRICKS_STATUS, DATABRICKS_RESULT),
        delete: followed(202, Shown::Nothing, DATABRICKS_STATUS, DATABRICKS_RESULT),
        groups: &[
            group!("databricks_ui_api", "privatelink.azuredatabricks.net"),
            group!("browser_authentication", "privatelink.azuredatabricks.net"),
        ],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.ApiManagement/service",
        states: Some(CREATING),
        stated: Stated::Not,
        statuses: THREE,
        put: API_MANAGEMENT,
        delete: API_MANAGEMENT,
        groups: &[group!("Gateway", "privatelink.azure-api.net")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.DBforPostgreSQL/flexibleServers",
        // As the enumeration has it; the examples say `Ready` of what has settled.
        states: Some(CREATING),
        statuses: THREE,
        put: POSTGRESQL,
        // Never 200.
        delete: Style { done: 202, ..POSTGRESQL },
        groups: &[group!("postgresqlServer", "privatelink.postgres.database.azure.com")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.DBforMySQL/flexibleServers",
        states: Some(CREATING),
        statuses: THREE,
        put: MYSQL,
        delete: MYSQL,
        groups: &[group!("mysqlServer", "privatelink.mysql.database.azure.com")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Cache/Redis",
        states: Some(CREATING),
        stated: Stated::Not,
        statuses: THREE,
        put: followed(201, Shown::Resource, in_subscription!("Microsoft.Cache", "asyncOperations"), None),
        groups: &[group!("redisCache", "privatelink.redis.cache.windows.net")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Insights/privateLinkScopes",
        stated: Stated::Not,
        description_required: true,
        put: MONITOR,
        delete: MONITOR,
        groups: &[group!(
            "azuremonitor",
            "privatelink.monitor.azure.com",
            "privatelink.oms.opinsights.azure.com",
            "privatelink.ods.opinsights.azure.com",
            "privatelink.agentsvc.azure-automation.net",
            "privatelink.blob.core.windows.net"
        )],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Web/sites",
        stated: Stated::Not,
        put: followed(202, Shown::Resource, WEB_URL, None),
        delete: followed(202, Shown::Nothing, WEB_URL, None),
        groups: &[group!("sites", "privatelink.azurewebsites.net")],
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Network/applicationGateways",
        stated: Stated::Not,
        put: Style { running: 202, body: Shown::Nothing, ..Style::network_update(10) },
        delete: Style::network_delete(10),
        groups_in: Some("frontendIPConfigurations"),
        ..COMMON
    },
    Dialect {
        kind: "Microsoft.Network/privateLinkServices",
        stated: Stated::Not,
        delete: Style::network_delete(10),
        ..COMMON
    },
];

/// Event Hubs and Service Bus: no field for what the requester has to do, connections that are called by a guid.
const MESSAGES: Dialect = Dialect {
    actions_field: None,
    naming: Naming::Guid,
    stated: Stated::Not,
    groups: &[group!("namespace", "privatelink.servicebus.windows.net")],
    ..COMMON
};
