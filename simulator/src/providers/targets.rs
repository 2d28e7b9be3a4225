//! Services of which only the side of private endpoints counts: resources that are kept as they are sent, with their
//! connections, each in its dialect.

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::connections::embedding_member;
use crate::error::ArmError;
use crate::resource_type::{Etag, Proposal, ResourceType, Write, at_once};
use crate::routes::{Provider, connectable, connection_list, link_resource, link_resources, row, tracked};
use crate::world::World;

/// A resource that is written and deleted at once. Chosen: of every one of these services, whatever it takes them.
const fn target(kind: &'static str) -> ResourceType {
    ResourceType { kind, accept, render: World::with_connections, ..ResourceType::DEFAULT }
}

/// A DELETE that answers 202 although it is done.
const fn deleted_by_202(kind: &'static str, status_url: &'static str) -> Write {
    Write {
        style: Style { body: Shown::Nothing, status_url: Some((status_url, "")), ..Style::at_once(202) },
        ..at_once(kind, 202)
    }
}

/// As it was sent, but for its connections, which are not the sender's to state.
pub(super) fn accept(_: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut document = body::members(proposal.body, &["location", "sku", "kind", "identity", "zones", "properties"]);
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    if let (Some(member), Some(properties)) = (embedding_member(proposal.id), document["properties"].as_object_mut()) {
        properties.remove(member);
    }
    Ok(document)
}

/// The answer at the status URL of an operation on a connection.
pub(super) fn status(call: &mut Call<'_>) -> Answer {
    call.operation_status(Some(10))
}

/// The answer at its `Location`.
fn result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(10))
}

macro_rules! in_subscription {
    ($namespace:literal, $what:literal) => {
        concat!("/subscriptions/{}/providers/", $namespace, "/locations/{}/", $what, "/{}")
    };
}

macro_rules! in_group {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/", $tail, "/{}")
    };
}

/// A provider with one target: its type, its versions, those of them in which connections can be listed (the
/// specification's, and azure-cli's where that lists them), its source, and the rows that are its own.
macro_rules! provider {
    (
        $name:ident, $namespace:literal, $kind:literal, $type:expr, $versions:expr, $listed:expr, $source:literal
        $(, $rows:expr)*
    ) => {
        pub(crate) const $name: Provider = Provider {
            namespace: $namespace,
            source: $source,
            missing: &["Everything but the resource as it was sent, and its private endpoint connections"],
            types: &[$type],
            routes: &[
                tracked!($kind, $versions),
                connectable!($kind, $versions),
                connection_list!($kind, $listed),
                link_resources!($kind, $versions),
                $($rows),*
            ],
        };
    };
}

/// 2019-08-01-preview and 2020-03-01 are what azure-cli uses, which reads connections off the account.
const COSMOS: &[&str] = &["2019-08-01-preview", "2020-03-01", "2024-11-15"];

provider!(
    DOCUMENT_DB,
    "Microsoft.DocumentDB",
    "Microsoft.DocumentDB/databaseAccounts",
    ResourceType {
        // An account is made and changed by 200 and never deleted by one.
        create: at_once("databaseAccountCreate", 200),
        delete: deleted_by_202(
            "databaseAccountDelete",
            "/subscriptions/{subscription}/providers/Microsoft.DocumentDB/locations/{location}/operationsStatus/{id}",
        ),
        ..target("Microsoft.DocumentDB/databaseAccounts")
    },
    COSMOS,
    &["2024-11-15"],
    "OpenAPI 2024-11-15",
    link_resource!("Microsoft.DocumentDB/databaseAccounts", COSMOS),
    &[row("GET", in_subscription!("Microsoft.DocumentDB", "operationsStatus"), COSMOS, status)]
);

const COGNITIVE: &[&str] = &["2022-03-01", "2024-10-01"];

provider!(
    COGNITIVE_SERVICES,
    "Microsoft.CognitiveServices",
    "Microsoft.CognitiveServices/accounts",
    target("Microsoft.CognitiveServices/accounts"),
    COGNITIVE,
    COGNITIVE,
    "OpenAPI 2024-10-01",
    &[row("GET", in_subscription!("Microsoft.CognitiveServices", "operationsStatus"), COGNITIVE, status)]
);

const SEARCH_VERSIONS: &[&str] = &["2020-08-01"];

provider!(
    SEARCH,
    "Microsoft.Search",
    "Microsoft.Search/searchServices",
    target("Microsoft.Search/searchServices"),
    SEARCH_VERSIONS,
    SEARCH_VERSIONS,
    "examples of OpenAPI 2020-08-01"
);

const EVENT_HUB_VERSIONS: &[&str] = &["2021-06-01-preview", "2024-01-01"];

provider!(
    EVENT_HUB,
    "Microsoft.EventHub",
    "Microsoft.EventHub/namespaces",
    target("Microsoft.EventHub/namespaces"),
    EVENT_HUB_VERSIONS,
    EVENT_HUB_VERSIONS,
    "OpenAPI 2024-01-01",
    &[row("GET", in_subscription!("Microsoft.EventHub", "operationsStatus"), EVENT_HUB_VERSIONS, status)]
);

const SERVICE_BUS_VERSIONS: &[&str] = &["2021-06-01-preview"];

provider!(
    SERVICE_BUS,
    "Microsoft.ServiceBus",
    "Microsoft.ServiceBus/namespaces",
    target("Microsoft.ServiceBus/namespaces"),
    SERVICE_BUS_VERSIONS,
    SERVICE_BUS_VERSIONS,
    "examples of OpenAPI 2021-06-01-preview",
    &[row("GET", in_subscription!("Microsoft.ServiceBus", "operationsStatus"), SERVICE_BUS_VERSIONS, status)]
);

const DATA_FACTORY_VERSIONS: &[&str] = &["2018-06-01"];

provider!(
    DATA_FACTORY,
    "Microsoft.DataFactory",
    "Microsoft.DataFactory/factories",
    // It is made by 200.
    ResourceType { create: at_once("factoryCreate", 200), ..target("Microsoft.DataFactory/factories") },
    DATA_FACTORY_VERSIONS,
    DATA_FACTORY_VERSIONS,
    "examples of OpenAPI 2018-06-01"
);

const DATABRICKS_VERSIONS: &[&str] = &["2021-04-01-preview", "2024-05-01"];

provider!(
    DATABRICKS,
    "Microsoft.Databricks",
    "Microsoft.Databricks/workspaces",
    target("Microsoft.Databricks/workspaces"),
    DATABRICKS_VERSIONS,
    DATABRICKS_VERSIONS,
    "OpenAPI 2024-05-01",
    link_resource!("Microsoft.Databricks/workspaces", DATABRICKS_VERSIONS),
    &[
        row("GET", in_group!("Microsoft.Databricks/locations/{}/operationStatuses"), DATABRICKS_VERSIONS, status),
        row("GET", in_group!("Microsoft.Databricks/locations/{}/operationResults"), DATABRICKS_VERSIONS, result),
    ]
);

const API_MANAGEMENT_VERSIONS: &[&str] = &["2021-08-01"];

provider!(
    API_MANAGEMENT,
    "Microsoft.ApiManagement",
    "Microsoft.ApiManagement/service",
    target("Microsoft.ApiManagement/service"),
    API_MANAGEMENT_VERSIONS,
    API_MANAGEMENT_VERSIONS,
    "OpenAPI 2021-08-01 of private endpoint connections",
    link_resource!("Microsoft.ApiManagement/service", API_MANAGEMENT_VERSIONS),
    &[row("GET", in_group!("Microsoft.ApiManagement/service/{}/operationresults"), API_MANAGEMENT_VERSIONS, result)]
);

/// 2023-06-01-preview is what azure-cli uses, which reads connections off the server.
const POSTGRESQL_VERSIONS: &[&str] = &["2023-06-01-preview", "2024-08-01"];

provider!(
    POSTGRESQL,
    "Microsoft.DBforPostgreSQL",
    "Microsoft.DBforPostgreSQL/flexibleServers",
    target("Microsoft.DBforPostgreSQL/flexibleServers"),
    POSTGRESQL_VERSIONS,
    &["2024-08-01"],
    "OpenAPI 2024-08-01 of private endpoint connections",
    link_resource!("Microsoft.DBforPostgreSQL/flexibleServers", POSTGRESQL_VERSIONS),
    &[
        row("GET", in_subscription!("Microsoft.DBforPostgreSQL", "azureAsyncOperation"), POSTGRESQL_VERSIONS, status),
        row("GET", in_subscription!("Microsoft.DBforPostgreSQL", "operationResults"), POSTGRESQL_VERSIONS, result),
    ]
);

/// 2022-09-30-privatepreview is what azure-cli uses, which reads connections off the server.
const MYSQL_VERSIONS: &[&str] = &["2022-09-30-privatepreview", "2023-06-30"];

provider!(
    MYSQL,
    "Microsoft.DBforMySQL",
    "Microsoft.DBforMySQL/flexibleServers",
    target("Microsoft.DBforMySQL/flexibleServers"),
    MYSQL_VERSIONS,
    &["2023-06-30"],
    "OpenAPI 2023-06-30 of private endpoint connections",
    &[
        row("GET", in_subscription!("Microsoft.DBforMySQL", "azureAsyncOperation"), MYSQL_VERSIONS, status),
        row("GET", in_subscription!("Microsoft.DBforMySQL", "operationResults"), MYSQL_VERSIONS, result),
    ]
);

const REDIS_VERSIONS: &[&str] = &["2021-06-01"];

provider!(
    REDIS,
    "Microsoft.Cache",
    "Microsoft.Cache/Redis",
    target("Microsoft.Cache/Redis"),
    REDIS_VERSIONS,
    REDIS_VERSIONS,
    "examples of OpenAPI 2021-06-01",
    &[row("GET", in_subscription!("Microsoft.Cache", "asyncOperations"), REDIS_VERSIONS, status)]
);

/// Its connections cannot be listed: azure-cli reads them off the site.
const WEB_VERSIONS: &[&str] = &["2019-08-01"];

pub(crate) const WEB: Provider = Provider {
    namespace: "Microsoft.Web",
    source: "examples of OpenAPI 2019-08-01",
    missing: &["Everything but the site as it was sent, and its private endpoint connections"],
    types: &[target("Microsoft.Web/sites")],
    routes: &[
        tracked!("Microsoft.Web/sites", WEB_VERSIONS),
        connectable!("Microsoft.Web/sites", WEB_VERSIONS),
        link_resources!("Microsoft.Web/sites", WEB_VERSIONS),
        &[row("GET", in_subscription!("Microsoft.Web", "operationResults"), WEB_VERSIONS, status)],
    ],
};

/// AML registries, a part of Microsoft.MachineLearningServices.
pub(super) const REGISTRY: ResourceType = ResourceType {
    // A 201 would be the start of an operation, and a registry shows no state to follow one by.
    create: at_once("mlRegistryCreate", 200),
    shows_state: false,
    ..target("Microsoft.MachineLearningServices/registries")
};

/// Application gateways, a part of Microsoft.Network.
pub(super) const GATEWAY: ResourceType =
    ResourceType { etag: Etag::Member, ..target("Microsoft.Network/applicationGateways") };

/// Private link services, a part of Microsoft.Network.
pub(super) const LINK_SERVICE: ResourceType =
    ResourceType { etag: Etag::Member, ..target("Microsoft.Network/privateLinkServices") };
