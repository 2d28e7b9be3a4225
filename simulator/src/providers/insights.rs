//! Microsoft.Insights: the components that a workspace refers to, and Azure Monitor's private link scopes.

use serde_json::Value;

use super::targets;
use crate::ids;
use crate::resource_type::ResourceType;
use crate::routes::{Provider, Route, connectable, connection_list, link_resource, link_resources, row, tracked};
use crate::world::World;

const VERSIONS: &[&str] = &["2015-05-01", "2020-02-02"];

/// What azure-cli uses to approve connections.
const SCOPE_VERSIONS: &[&str] = &["2019-10-17-preview"];

const COMPONENT: ResourceType = ResourceType { kind: "Microsoft.Insights/components", ..ResourceType::DEFAULT };

const ROUTES: &[Route] = &[row(
    "GET",
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Insights/privateLinkScopeOperationStatuses/{}",
    SCOPE_VERSIONS,
    targets::status,
)];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Insights",
    source: "OpenAPI 2019-10-17-preview of private link scopes; components: nothing, no specification was at hand",
    missing: &[
        "What a component fills in by itself: keys, application id, workspace",
        "What belongs to a private link scope",
    ],
    types: &[COMPONENT, targets::MONITOR_SCOPE],
    routes: &[
        tracked!("Microsoft.Insights/components", VERSIONS),
        tracked!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        connectable!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        connection_list!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        link_resources!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        link_resource!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        ROUTES,
    ],
};

/// Whether a private link scope is what leads to a resource: it holds a scoped resource that names it.
pub(crate) fn is_scoped(world: &World, scope: &str, resource: &str) -> bool {
    let named = |scoped: &Value| scoped["properties"]["linkedResourceId"].as_str().map(ids::key);
    world.below(&ids::key(scope)).any(|(_, scoped)| named(scoped).is_some_and(|named| named == ids::key(resource)))
}
