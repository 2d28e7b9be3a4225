//! The data plane of a workspace, `https://{workspace}.dev.azuresynapse.net`: served under that name, and below
//! `/synapse/{workspace}` under any other name of the simulator.

mod linked_services;
mod managed_endpoints;
mod resolution;

pub(super) use linked_services::TYPE as LINKED_SERVICE;
pub(super) use managed_endpoints::{NETWORK, TYPE as MANAGED_ENDPOINT};

use serde_json::{Value, json};

use crate::bearer::{BadToken, Service};
use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::{Reply, Request};
use crate::ids;
use crate::resource_type;
use crate::routes::{Pattern, Provider, Route, row};
use crate::world::World;

use super::workspaces;

const PREFIX: &str = "/synapse/";
const SUFFIX: &str = ".dev.azuresynapse.net";

/// 2021-06-01-preview is the one of azure-synapse-managedprivateendpoints 0.4.0, 2019-06-01-preview that of recordings.
const VERSIONS: &[&str] = &["2019-06-01-preview", "2020-12-01", "2021-06-01-preview"];

const ENDPOINTS: &str = "/managedVirtualNetworks/{}/managedPrivateEndpoints";
const ENDPOINT: &str = "/managedVirtualNetworks/{}/managedPrivateEndpoints/{}";
const LINKED_SERVICES: &str = "/linkedservices";
const ONE_LINKED_SERVICE: &str = "/linkedservices/{}";

const ROUTES: &[Route] = &[
    row("GET", ENDPOINTS, VERSIONS, managed_endpoints::list),
    row("GET", ENDPOINT, VERSIONS, managed_endpoints::get),
    row("PUT", ENDPOINT, VERSIONS, managed_endpoints::put),
    row("DELETE", ENDPOINT, VERSIONS, managed_endpoints::delete),
    row("GET", LINKED_SERVICES, VERSIONS, linked_services::list),
    row("GET", ONE_LINKED_SERVICE, VERSIONS, linked_services::get),
    row("PUT", ONE_LINKED_SERVICE, VERSIONS, linked_services::put),
    row("DELETE", ONE_LINKED_SERVICE, VERSIONS, linked_services::delete),
    row("GET", "/operationResults/{}", VERSIONS, |call| call.operation_result(None)),
    row("GET", "/workspace", VERSIONS, workspace_itself),
    row("GET", "/bigDataPools", VERSIONS, resource_type::list),
    row("GET", "/bigDataPools/{}", VERSIONS, resource_type::get),
];

/// Not one of ARM's providers: its paths are those of each workspace.
pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Data plane of Microsoft.Synapse",
    source: "OpenAPI 2020-12-01 and 2021-06-01-preview, recordings of azure-cli's own tests (2019-06-01-preview)",
    missing: &[
        "Pipelines, notebooks, triggers, data sets, Spark sessions and everything else that a workspace holds",
        "Synapse's own roles and their assignments",
        "The host names and the audience of other clouds: they are those of the public one",
        "Renaming a linked service, and whether what it leads to is there",
    ],
    types: &[],
    routes: &[ROUTES],
};

/// Whether a path is below a workspace's.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// The workspace whose host a URL names.
fn named_by_host(base: &str) -> Option<String> {
    let host = base.split_once("://")?.1.to_ascii_lowercase();
    let host = host.split_once(':').map_or(host.as_str(), |(host, _)| host);
    host.strip_suffix(SUFFIX).filter(|name| !name.is_empty() && !name.contains('.')).map(str::to_owned)
}

/// A request to a workspace's host as one that names the workspace in its path; any other one as it is.
pub(crate) fn by_path(mut request: Request) -> Request {
    if let Some(workspace) = named_by_host(&request.base) {
        request.path = format!("{PREFIX}{workspace}{}", request.path);
    }
    request
}

/// The host of the workspace whose data plane a path of the log leads to, and what was asked of it.
pub(crate) fn address(path: &str) -> Option<(String, &str)> {
    let below = path.strip_prefix(PREFIX)?;
    let at = below.find('/').unwrap_or(below.len());
    let (workspace, rest) = below.split_at(at);
    Some((format!("{workspace}{SUFFIX}"), rest))
}

/// The data plane's answer. Who asks is noted in `caller`.
pub(crate) fn answer(world: &mut World, request: &Request, caller: &mut Option<String>) -> Reply {
    let below = request.path.strip_prefix(PREFIX).unwrap_or_default().trim_end_matches('/');
    let (name, path) = below.split_once('/').unwrap_or((below, ""));
    let principal = match world.caller(request, Service::Synapse) {
        Ok(principal) => principal,
        Err(bad) => return unauthenticated(&bad),
    };
    *caller = Some(principal.object_id.clone());
    let Some(id) = world.synapse_workspace(name).and_then(|workspace| workspace["id"].as_str()).map(str::to_owned)
    else {
        // Chosen: in Azure there is no such host.
        return flat(&ArmError::new(404, "WorkspaceNotFound", format!("There is no workspace '{name}'.")));
    };
    let base = if named_by_host(&request.base).is_some() {
        request.base.clone()
    } else {
        format!("{}{PREFIX}{name}", request.base)
    };
    let path = format!("/{path}");
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fits = |route: &'static Route| Some((route, Pattern::of(route).params(&segments)?));
    let here: Vec<(&Route, Vec<String>)> = ROUTES.iter().filter_map(fits).collect();
    // Chosen: codes and sentences for paths, methods and versions that there are not.
    if here.is_empty() {
        return ArmError::new(404, "NotFound", format!("There is no '{path}' in a workspace.")).into();
    }
    let Some((route, params)) = here.into_iter().find(|(route, _)| route.method == request.method) else {
        return ArmError::new(405, "MethodNotAllowed", format!("'{path}' has no {}.", request.method)).into();
    };
    let api_version = request.query("api-version").unwrap_or_default();
    if !route.versions.contains(&api_version.as_str()) {
        let message = format!("The api-version '{api_version}' is not one of {}.", route.versions.join(", "));
        return ArmError::new(400, "InvalidApiVersion", message).into();
    }
    let inner = Request { path: path.clone(), base, ..request.clone() };
    let path = format!("{id}{path}");
    let mut call = Call { world, request: &inner, path, params, caller: principal, api_version };
    if let Err(error) = authorize(&call, &id, route) {
        return error.into();
    }
    // Artifacts have errors without an envelope (recordings), which is also how their specification draws them.
    let is_artifact = route.path.starts_with(LINKED_SERVICES) || route.path.starts_with("/operationResults");
    match (route.run)(&mut call) {
        Ok(reply) => reply,
        Err(error) if is_artifact => flat(&error),
        Err(error) => error.into(),
    }
}

/// An error without an envelope.
fn flat(error: &ArmError) -> Reply {
    Reply::json(error.status, json!({ "code": error.code, "message": error.message }))
}

fn unauthenticated(bad: &BadToken) -> Reply {
    // Of an audience as users quote it (Azure/azure-rest-api-specs#10500). Chosen: the sentences of the others.
    let (code, why) = match bad {
        BadToken::Audience(audience) => (
            "InvalidTokenAuthenticationAudience",
            format!(
                "with SecurityTokenInvalidAudienceException - IDX10214: Audience validation failed. Audiences: '{audience}'."
            ),
        ),
        BadToken::Missing => ("AuthenticationFailed", "- the Authorization header is missing.".to_owned()),
        BadToken::Invalid => ("AuthenticationFailed", "- the token is invalid.".to_owned()),
        BadToken::NotYetValid => ("AuthenticationFailed", "- the token is not yet valid.".to_owned()),
        BadToken::Expired => (
            "AuthenticationFailed",
            "with SecurityTokenExpiredException - IDX10223: Lifetime validation failed.".to_owned(),
        ),
    };
    flat(&ArmError::new(401, code, format!("Token Authentication failed {why}")))
}

/// What Synapse's own roles would have to allow (Microsoft's page on Synapse RBAC roles).
fn action(route: &Route) -> &'static str {
    match (route.path, route.method) {
        (ENDPOINT, "PUT") => "Microsoft.Synapse/workspaces/managedPrivateEndpoint/write",
        (ENDPOINT, "DELETE") => "Microsoft.Synapse/workspaces/managedPrivateEndpoint/delete",
        (ONE_LINKED_SERVICE, "PUT") => "Microsoft.Synapse/workspaces/linkedServices/write",
        (ONE_LINKED_SERVICE, "DELETE") => "Microsoft.Synapse/workspaces/linkedServices/delete",
        (LINKED_SERVICES | ONE_LINKED_SERVICE, _) => "Microsoft.Synapse/workspaces/artifacts/read",
        _ => "Microsoft.Synapse/workspaces/read",
    }
}

/// Chosen: Synapse's own roles are not there. Whoever made the workspace is its administrator and may do everything, and so
/// may whose Azure roles allow `Microsoft.Synapse/workspaces/write` on it; nobody else may do anything. The refusal is the
/// recorded one.
fn authorize(call: &Call<'_>, workspace: &str, route: &Route) -> Result<(), ArmError> {
    let (world, caller) = (&*call.world, &call.caller);
    let maker = world.resource(workspace)?["properties"]
        .pointer("/cspWorkspaceAdminProperties/initialWorkspaceAdminObjectId")
        .and_then(Value::as_str)
        .is_some_and(|maker| maker.eq_ignore_ascii_case(&caller.object_id));
    let at_home = world.tenant_of(workspace).is_some_and(|tenant| tenant.eq_ignore_ascii_case(&caller.tenant));
    if (maker && at_home) || world.may(&caller.object_id, "Microsoft.Synapse/workspaces/write", workspace) {
        return Ok(());
    }
    let message = format!(
        "The principal '{}' does not have the required Synapse RBAC permission to perform this action. Required \
         permission: Action: {}, Scope: workspaces/{}.",
        caller.object_id,
        action(route),
        ids::name(workspace)
    );
    Err(ArmError::new(403, "Unauthorized", message))
}

impl World {
    /// The workspace of a name, which is one in the world.
    fn synapse_workspace(&self, name: &str) -> Option<&Value> {
        let called = |workspace: &&Value| workspace["name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name));
        self.all_of(workspaces::KIND).find(called)
    }
}

/// The workspace that a call is about, as stored.
fn workspace<'a>(call: &'a Call<'_>) -> Result<&'a Value, ArmError> {
    call.world.resource(&ids::ancestor(&call.path, 8))
}

/// What the data plane does not say of a workspace (OpenAPI 2020-12-01).
const ONLY_ARM_SAYS: &[&str] =
    &["azureADOnlyAuthentication", "cspWorkspaceAdminProperties", "publicNetworkAccess", "trustedServiceBypassEnabled"];

fn workspace_itself(call: &mut Call<'_>) -> Answer {
    let id = ids::ancestor(&call.path, 8);
    let mut shown = call.world.render(&id).ok_or_else(|| ArmError::not_found(&id))?;
    if let Some(properties) = shown["properties"].as_object_mut() {
        properties.retain(|name, _| !ONLY_ARM_SAYS.contains(&name.as_str()));
    }
    Ok(Reply::ok(shown))
}

/// The operation that a reply leads to.
fn operation_of(reply: &Reply) -> Option<&str> {
    let (_, url) = reply.headers.iter().find(|(name, _)| name == "Location")?;
    url.split('?').next().map(ids::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_named_by_its_host() {
        for (base, expected) in [
            ("https://ws1.dev.azuresynapse.net", Some("ws1")),
            ("https://WS1.dev.azuresynapse.net:8443", Some("ws1")),
            ("https://.dev.azuresynapse.net", None),
            ("https://a.b.dev.azuresynapse.net", None),
            ("https://127.0.0.1:8443", None),
            ("https://ws1.dev.azuresynapse.net.evil.example", None),
        ] {
            assert_eq!(named_by_host(base).as_deref(), expected, "{base}");
        }
    }
}
