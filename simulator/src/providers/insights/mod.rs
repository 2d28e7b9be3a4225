//! Microsoft.Insights: the components that a workspace refers to, and Azure Monitor's private link scopes.

mod components;
mod scopes;

pub(crate) use scopes::{guid as scope_guid, is_scoped, not_scoped, scoped, scopes_of};

use super::targets;
use crate::routes::{
    Provider, Route, child, connectable, connection_list, link_resource, link_resources, patchable, row, tracked,
};

const VERSIONS: &[&str] = &["2015-05-01", "2020-02-02"];

/// 2019-10-17-preview is what azure-cli uses to approve connections.
const SCOPE_VERSIONS: &[&str] = &["2019-10-17-preview", "2021-07-01-preview", "2021-09-01", "2023-06-01-preview"];

const ROUTES: &[Route] = &[row(
    "GET",
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Insights/privateLinkScopeOperationStatuses/{}",
    SCOPE_VERSIONS,
    targets::status,
)];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Insights",
    source: "examples of OpenAPI 2020-02-02 of components and of OpenAPI 2019-10-17-preview and 2021-07-01-preview of \
             private link scopes",
    missing: &[
        "API keys, billing, web tests and work items of components, purging",
        "Data collection endpoints and rules, alerts, metrics, diagnostic settings and all else of the provider",
    ],
    types: &[components::COMPONENT, scopes::SCOPE, scopes::SCOPED],
    routes: &[
        tracked!("Microsoft.Insights/components", VERSIONS),
        patchable!("Microsoft.Insights/components", VERSIONS),
        tracked!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        patchable!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        child!("Microsoft.Insights/privateLinkScopes/{}/scopedResources", SCOPE_VERSIONS),
        connectable!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        connection_list!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        link_resources!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        link_resource!("Microsoft.Insights/privateLinkScopes", SCOPE_VERSIONS),
        ROUTES,
    ],
};
