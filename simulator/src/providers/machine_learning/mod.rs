//! Microsoft.MachineLearningServices: workspaces, their managed networks and outbound rules.

mod document;
mod network;
mod provision;
mod rules;
mod validation;
mod workspace;

pub(crate) use document::create as create_workspace;
pub(crate) use network::{ManagedNetwork, Overlay, connection_changed};
pub(crate) use provision::seed_network;

use crate::call::{Answer, Call};
use crate::resource_type::ResourceType;
use crate::routes::{Provider, Route, connectable};

pub(crate) const WORKSPACE: &str = "Microsoft.MachineLearningServices/workspaces";

/// Workspaces and networks are served in the shape of this version alone.
const VERSIONS: &[&str] = &["2025-12-01"];
/// 2021-01-01 is what azure-cli uses to approve connections.
const CONNECTION_VERSIONS: &[&str] = &["2021-01-01", "2025-12-01"];

macro_rules! workspace {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces", $tail)
    };
}

const fn row(method: &'static str, path: &'static str, run: fn(&mut Call<'_>) -> Answer) -> Route {
    Route { method, path, versions: VERSIONS, run }
}

const ROUTES: &[Route] = &[
    row("GET", "/subscriptions/{}/providers/Microsoft.MachineLearningServices/workspaces", workspace::list),
    row("GET", workspace!(""), workspace::list),
    row("GET", workspace!("/{}"), workspace::get),
    row("PUT", workspace!("/{}"), workspace::put),
    row("PATCH", workspace!("/{}"), workspace::patch),
    row("DELETE", workspace!("/{}"), workspace::delete),
    row("POST", workspace!("/{}/provisionManagedNetwork"), provision::post),
    row("GET", workspace!("/{}/outboundRules"), rules::list),
    row("GET", workspace!("/{}/outboundRules/{}"), rules::get),
    row("PUT", workspace!("/{}/outboundRules/{}"), rules::put),
    row("DELETE", workspace!("/{}/outboundRules/{}"), rules::delete),
    row(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/workspaceOperationsStatus/{}",
        operation,
    ),
];

const WORKSPACES: ResourceType = ResourceType {
    kind: WORKSPACE,
    shows_state: false,
    render: |world, document| document::render(world, &document),
    ..ResourceType::DEFAULT
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.MachineLearningServices",
    source: "OpenAPI 2024-10-01, JSON schema and bicep types 2025-12-01, recordings of workspaces (2024-04-01)",
    missing: &[],
    types: &[WORKSPACES],
    routes: &[ROUTES, connectable!("Microsoft.MachineLearningServices/workspaces", CONNECTION_VERSIONS)],
};

/// One path for both URLs; `type` tells them apart.
fn operation(call: &mut Call<'_>) -> Answer {
    match call.request.query("type").as_deref() {
        Some("location") => call.operation_result(None),
        _ => call.operation_status(None),
    }
}
