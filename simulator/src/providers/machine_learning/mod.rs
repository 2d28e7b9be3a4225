//! Microsoft.MachineLearningServices: workspaces, their managed networks and outbound rules.

mod document;
mod network;
mod provision;
mod rules;
mod validation;
mod workspace;

pub(crate) use document::{create as create_workspace, render};
pub(crate) use network::{ManagedNetwork, Overlay, connection_changed};
pub(crate) use provision::seed_network;

use crate::call::{Answer, Call};
use crate::connections;
use crate::routes::Route;

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

const fn connection_row(method: &'static str, path: &'static str, run: fn(&mut Call<'_>) -> Answer) -> Route {
    Route { method, path, versions: CONNECTION_VERSIONS, run }
}

pub(crate) const ROUTES: &[Route] = &[
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
    connection_row("GET", workspace!("/{}/privateLinkResources"), connections::link_resources),
    connection_row("GET", workspace!("/{}/privateEndpointConnections"), connections::list),
    connection_row("GET", workspace!("/{}/privateEndpointConnections/{}"), connections::get),
    connection_row("PUT", workspace!("/{}/privateEndpointConnections/{}"), connections::put),
    connection_row("DELETE", workspace!("/{}/privateEndpointConnections/{}"), connections::delete),
    row(
        "GET",
        "/subscriptions/{}/providers/Microsoft.MachineLearningServices/locations/{}/workspaceOperationsStatus/{}",
        operation,
    ),
];

/// One path for both URLs; `type` tells them apart.
fn operation(call: &mut Call<'_>) -> Answer {
    match call.request.query("type").as_deref() {
        Some("location") => call.operation_result(None),
        _ => call.operation_status(None),
    }
}
