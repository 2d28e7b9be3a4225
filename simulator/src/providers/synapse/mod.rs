//! Microsoft.Synapse: workspaces and their Spark pools, and the data plane of each workspace.

pub(crate) mod data_plane;
mod spark_pools;
mod workspaces;

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::{Payload, Reply};
use crate::routes::{
    Provider, Route, child, connectable, connection_list, link_resource, link_resources, patchable, row, tracked,
};

/// 2021-03-01 is the one of azure-mgmt-synapse 2.0.0, 2019-06-01-preview what azure-cli approves connections with.
const VERSIONS: &[&str] = &["2019-06-01-preview", "2021-03-01", "2021-06-01"];

macro_rules! workspace {
    ($what:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Synapse/workspaces/{}/", $what, "/{}")
    };
}

const ROUTES: &[Route] = &[
    row("GET", workspace!("operationStatuses"), VERSIONS, |call| {
        call.monitor(crate::call::Monitor { running: 200, retry_after: None, percent: false })
    }),
    row("GET", workspace!("operationResults"), VERSIONS, result),
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Synapse",
    source: "OpenAPI 2021-06-01, recordings of azure-cli's own tests (workspaces and managed endpoints 2021-06-01, Spark \
             pools 2021-03-01)",
    missing: &[
        "SQL pools, integration runtimes, keys, libraries, administrators, private link hubs, the list of operations",
        "The firewall of a workspace, and its effect on the data plane: whoever has a token and a role gets there, also \
         where publicNetworkAccess is Disabled",
        "createManagedPrivateEndpoint and linkedAccessCheckOnTargetResource, which are kept and have no effect",
    ],
    types: &[
        workspaces::TYPE,
        spark_pools::TYPE,
        data_plane::NETWORK,
        data_plane::MANAGED_ENDPOINT,
        data_plane::LINKED_SERVICE,
    ],
    routes: &[
        tracked!("Microsoft.Synapse/workspaces", VERSIONS),
        patchable!("Microsoft.Synapse/workspaces", VERSIONS),
        child!("Microsoft.Synapse/workspaces/{}/bigDataPools", VERSIONS),
        patchable!("Microsoft.Synapse/workspaces/{}/bigDataPools", VERSIONS),
        connectable!("Microsoft.Synapse/workspaces", VERSIONS),
        connection_list!("Microsoft.Synapse/workspaces", VERSIONS),
        link_resources!("Microsoft.Synapse/workspaces", VERSIONS),
        link_resource!("Microsoft.Synapse/workspaces", VERSIONS),
        ROUTES,
    ],
};

/// The answer at the `Location` of an operation: 204 where there is nothing to show (recording of a pool's deletion).
fn result(call: &mut Call<'_>) -> Answer {
    let reply = call.operation_result(None)?;
    let over = reply.status == 200 && matches!(reply.payload, Payload::Empty);
    Ok(if over { Reply::empty(204) } else { reply })
}

/// What the provider refuses. Chosen: the code, for everything that is well-formed and not allowed.
fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::new(400, "ValidationFailed", message))
}
