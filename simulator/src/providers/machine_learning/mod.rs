//! Microsoft.MachineLearningServices: workspaces, their managed networks, outbound rules and computes.

mod access;
mod actions;
mod compute_network;
mod compute_properties;
mod computes;
mod datastores;
mod document;
mod endpoints;
mod identity;
mod images;
mod isolation;
mod kinds;
mod lifecycle;
mod locations;
mod managed_networks;
mod network;
mod online_deployments;
mod online_endpoints;
mod provision;
mod rules;
mod service_rules;
mod validation;
mod versions;
mod workspace;
mod workspace_connections;

pub(crate) use document::create as create_workspace;
pub(crate) use endpoints::connection_changed;
pub use images::ImageBuild;
pub(crate) use images::build as build_image;
pub(crate) use network::{ManagedNetwork, Overlay};
pub(crate) use provision::seed_network;

use super::targets;
use crate::call::{Answer, Call};
use crate::resource_type::{self, ResourceType};
use crate::routes::{Provider, Route, connectable, connection_list, link_resources, tracked};

pub(crate) const WORKSPACE: &str = "Microsoft.MachineLearningServices/workspaces";

/// The first is what azure-cli uses; the specifications of the others have registries, but no path of their connections.
const REGISTRY_VERSIONS: &[&str] =
    &["2022-10-01-preview", "2024-04-01", "2024-07-01-preview", "2024-10-01", "2024-10-01-preview"];
const REGISTRY_CONNECTION_VERSIONS: &[&str] = &["2022-10-01-preview"];

macro_rules! workspace {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces", $tail)
    };
}

/// A row whose answer is what the call's version shows.
macro_rules! row {
    ($method:literal, $path:expr, $run:expr) => {
        row!($method, $path, $run, versions::ALL)
    };
    ($method:literal, $path:expr, $run:expr, $versions:expr) => {
        Route { method: $method, path: $path, versions: $versions, run: |call| versions::answer(call, $run) }
    };
}

const WORKSPACE_ROUTES: &[Route] = &[
    row!(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/workspaces",
        workspace::list,
        versions::READ
    ),
    row!("GET", workspace!(""), workspace::list, versions::READ),
    row!("GET", workspace!("/{}"), workspace::get, versions::READ),
    row!("PUT", workspace!("/{}"), workspace::put),
    row!("PATCH", workspace!("/{}"), workspace::patch),
    row!("DELETE", workspace!("/{}"), lifecycle::delete),
    row!("POST", workspace!("/{}/listKeys"), actions::list_keys, versions::KEYS),
    row!("POST", workspace!("/{}/diagnose"), actions::diagnose),
    row!("GET", workspace!("/{}/outboundNetworkDependenciesEndpoints"), actions::dependencies),
    row!("GET", workspace!("/{}/connections"), workspace_connections::list),
    row!("GET", workspace!("/{}/connections/{}"), resource_type::get),
    row!("PUT", workspace!("/{}/connections/{}"), resource_type::put),
    row!("PATCH", workspace!("/{}/connections/{}"), resource_type::patch),
    row!("DELETE", workspace!("/{}/connections/{}"), resource_type::delete),
    row!("POST", workspace!("/{}/connections/{}/listsecrets"), workspace_connections::list_secrets),
    row!(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/workspaceOperationsStatus/{}",
        operation
    ),
];

const NETWORK_ROUTES: &[Route] = &[
    row!("POST", workspace!("/{}/provisionManagedNetwork"), provision::post),
    row!("GET", workspace!("/{}/outboundRules"), rules::list),
    row!("GET", workspace!("/{}/outboundRules/{}"), rules::get),
    row!("PUT", workspace!("/{}/outboundRules/{}"), rules::put),
    row!("DELETE", workspace!("/{}/outboundRules/{}"), rules::delete),
    row!("GET", workspace!("/{}/managedNetworks"), managed_networks::list, versions::MANAGED_NETWORKS),
    row!("GET", workspace!("/{}/managedNetworks/{}"), managed_networks::get, versions::MANAGED_NETWORKS),
    row!("PUT", workspace!("/{}/managedNetworks/{}"), managed_networks::write, versions::MANAGED_NETWORKS),
    row!("PATCH", workspace!("/{}/managedNetworks/{}"), managed_networks::write, versions::MANAGED_NETWORKS),
    row!(
        "POST",
        workspace!("/{}/managedNetworks/{}/batchOutboundRules"),
        managed_networks::batch,
        versions::MANAGED_NETWORKS
    ),
    row!(
        "GET",
        workspace!("/{}/managedNetworks/{}/outboundRules"),
        managed_networks::list_rules,
        versions::MANAGED_NETWORKS
    ),
    row!("GET", workspace!("/{}/managedNetworks/{}/outboundRules/{}"), rules::get, versions::MANAGED_NETWORKS),
    row!("PUT", workspace!("/{}/managedNetworks/{}/outboundRules/{}"), rules::put, versions::MANAGED_NETWORKS),
    row!("DELETE", workspace!("/{}/managedNetworks/{}/outboundRules/{}"), rules::delete, versions::MANAGED_NETWORKS),
];

const COMPUTE_ROUTES: &[Route] = &[
    row!("GET", workspace!("/{}/computes"), resource_type::list),
    row!("GET", workspace!("/{}/computes/{}"), resource_type::get),
    row!("PUT", workspace!("/{}/computes/{}"), computes::put),
    row!("PATCH", workspace!("/{}/computes/{}"), computes::patch),
    row!("DELETE", workspace!("/{}/computes/{}"), computes::delete),
    row!("POST", workspace!("/{}/computes/{}/start"), computes::start),
    row!("POST", workspace!("/{}/computes/{}/stop"), computes::stop),
    row!("POST", workspace!("/{}/computes/{}/restart"), computes::restart),
    row!(
        "POST",
        workspace!("/{}/computes/{}/updateIdleShutdownSetting"),
        computes::update_idle_shutdown,
        versions::PREVIEWS
    ),
    row!(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/computeOperationsStatus/{}",
        operation
    ),
];

const DATA_ROUTES: &[Route] = &[
    row!("GET", workspace!("/{}/datastores"), datastores::list),
    row!("GET", workspace!("/{}/datastores/{}"), datastores::get),
    row!("PUT", workspace!("/{}/datastores/{}"), datastores::put),
    row!("DELETE", workspace!("/{}/datastores/{}"), datastores::delete),
    row!("POST", workspace!("/{}/datastores/{}/listSecrets"), datastores::list_secrets),
];

const ONLINE_ROUTES: &[Route] = &[
    row!("GET", workspace!("/{}/onlineEndpoints"), resource_type::list),
    row!("GET", workspace!("/{}/onlineEndpoints/{}"), resource_type::get),
    row!("PUT", workspace!("/{}/onlineEndpoints/{}"), resource_type::put),
    row!("PATCH", workspace!("/{}/onlineEndpoints/{}"), resource_type::patch),
    row!("DELETE", workspace!("/{}/onlineEndpoints/{}"), resource_type::delete),
    row!("POST", workspace!("/{}/onlineEndpoints/{}/listKeys"), online_endpoints::list_keys),
    row!("POST", workspace!("/{}/onlineEndpoints/{}/regenerateKeys"), online_endpoints::regenerate_keys),
    row!("GET", workspace!("/{}/batchEndpoints"), resource_type::list),
    row!("GET", workspace!("/{}/batchEndpoints/{}"), resource_type::get),
    row!("GET", workspace!("/{}/onlineEndpoints/{}/deployments"), resource_type::list),
    row!("GET", workspace!("/{}/onlineEndpoints/{}/deployments/{}"), resource_type::get),
    row!("PUT", workspace!("/{}/onlineEndpoints/{}/deployments/{}"), resource_type::put),
    row!("PATCH", workspace!("/{}/onlineEndpoints/{}/deployments/{}"), resource_type::patch),
    row!("DELETE", workspace!("/{}/onlineEndpoints/{}/deployments/{}"), resource_type::delete),
    row!(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/mfeOperationsStatus/{}",
        |call| call.operation_status(None)
    ),
    row!(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/mfeOperationResults/{}",
        |call| call.operation_result(Some(10))
    ),
];

const WORKSPACES: ResourceType = ResourceType {
    kind: WORKSPACE,
    shows_state: false,
    render: document::render,
    removed: lifecycle::removed,
    ..ResourceType::DEFAULT
};

/// Batch endpoints, as far as seeds bring them (OpenAPI 2024-10-01, `BatchEndpointTrackedResource`).
const BATCH_ENDPOINTS: ResourceType = ResourceType {
    kind: "Microsoft.MachineLearningServices/workspaces/batchEndpoints",
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.MachineLearningServices",
    source: "OpenAPI 2024-10-01, JSON schema and bicep types 2025-12-01, recordings of workspaces (2024-04-01)",
    missing: &[
        "Serverless endpoints, and of batch endpoints all but those that a seed brings, tokens and logs of online endpoints, jobs, assets, schedules, feature stores and everything on the data \
         plane",
        "Computes other than clusters, instances, attached machines and Kubernetes; their nodes, keys, sizes, schedules and quotas",
        "Rules of the categories Recommended and Dependency",
        "Of connections: their tests, models, deployments and content filters",
        "Keys of notebooks and of the storage account, resynchronizing keys, features, the list of operations",
        "What a registry holds: it is kept as it was sent, with its private endpoint connections",
    ],
    types: &[
        WORKSPACES,
        computes::TYPE,
        datastores::TYPE,
        online_endpoints::TYPE,
        online_deployments::TYPE,
        BATCH_ENDPOINTS,
        workspace_connections::TYPE,
        targets::REGISTRY,
    ],
    routes: &[
        WORKSPACE_ROUTES,
        NETWORK_ROUTES,
        COMPUTE_ROUTES,
        DATA_ROUTES,
        ONLINE_ROUTES,
        connectable!("Microsoft.MachineLearningServices/workspaces", versions::CONNECTIONS),
        connection_list!("Microsoft.MachineLearningServices/workspaces", versions::CONNECTIONS),
        link_resources!("Microsoft.MachineLearningServices/workspaces", versions::CONNECTIONS),
        tracked!("Microsoft.MachineLearningServices/registries", REGISTRY_VERSIONS),
        connectable!("Microsoft.MachineLearningServices/registries", REGISTRY_CONNECTION_VERSIONS),
        connection_list!("Microsoft.MachineLearningServices/registries", REGISTRY_CONNECTION_VERSIONS),
        link_resources!("Microsoft.MachineLearningServices/registries", REGISTRY_CONNECTION_VERSIONS),
    ],
};

/// One path for both URLs; `type` tells them apart.
fn operation(call: &mut Call<'_>) -> Answer {
    match call.request.query("type").as_deref() {
        Some("location") => call.operation_result(None),
        _ => call.operation_status(None),
    }
}
