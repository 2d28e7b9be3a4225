//! The route table: every ARM path that the simulator serves, with the api-versions it takes.

use crate::call::{Answer, Call};
use crate::providers;
use crate::resource_type::ResourceType;

/// One row: a method on a path.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// `{}` stands for one segment; a leading `{scope}` for any scope, from nothing to a resource.
    pub(crate) path: &'static str,
    pub(crate) versions: &'static [&'static str],
    pub(crate) run: fn(&mut Call<'_>) -> Answer,
}

/// A resource provider: its types, its rows, and how far it can be trusted.
pub(crate) struct Provider {
    pub(crate) namespace: &'static str,
    /// What it is held to.
    pub(crate) source: &'static str,
    /// What Azure has and it has not, a sentence each.
    pub(crate) missing: &'static [&'static str],
    pub(crate) types: &'static [ResourceType],
    pub(crate) routes: &'static [&'static [Route]],
}

/// The rows of a type that lies in a resource group: list, GET, PUT, DELETE. A function may stand in for the usual PUT.
macro_rules! tracked {
    ($kind:literal, $versions:expr) => {
        $crate::routes::tracked!($kind, $versions, $crate::resource_type::put)
    };
    ($kind:literal, $versions:expr, $put:expr) => {
        &[
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/providers/", $kind),
                $versions,
                $crate::resource_type::list,
            ),
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind),
                $versions,
                $crate::resource_type::list,
            ),
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $crate::resource_type::get,
            ),
            $crate::routes::row(
                "PUT",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $put,
            ),
            $crate::routes::row(
                "DELETE",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $crate::resource_type::delete,
            ),
        ]
    };
}

/// The rows of a child (`Microsoft.Network/virtualNetworks/{}/subnets`): list, GET, PUT, DELETE.
macro_rules! child {
    ($kind:literal, $versions:expr) => {
        &[
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind),
                $versions,
                $crate::resource_type::list,
            ),
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $crate::resource_type::get,
            ),
            $crate::routes::row(
                "PUT",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $crate::resource_type::put,
            ),
            $crate::routes::row(
                "DELETE",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
                $versions,
                $crate::resource_type::delete,
            ),
        ]
    };
}

/// The PATCH of a type.
macro_rules! patchable {
    ($kind:literal, $versions:expr) => {
        &[$crate::routes::row(
            "PATCH",
            concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}"),
            $versions,
            $crate::resource_type::patch,
        )]
    };
}

/// The rows of a target of private endpoints: its connections, and what can be connected to.
macro_rules! connectable {
    ($kind:literal, $versions:expr) => {
        &[
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateLinkResources"),
                $versions,
                $crate::connections::link_resources,
            ),
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateEndpointConnections"),
                $versions,
                $crate::connections::list,
            ),
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateEndpointConnections/{}"),
                $versions,
                $crate::connections::get,
            ),
            $crate::routes::row(
                "PUT",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateEndpointConnections/{}"),
                $versions,
                $crate::connections::put,
            ),
            $crate::routes::row(
                "DELETE",
                concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateEndpointConnections/{}"),
                $versions,
                $crate::connections::delete,
            ),
        ]
    };
}

/// One of what can be connected to, for the providers that have it.
macro_rules! link_resource {
    ($kind:literal, $versions:expr) => {
        &[$crate::routes::row(
            "GET",
            concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateLinkResources/{}"),
            $versions,
            $crate::connections::link_resource,
        )]
    };
}

pub(crate) use {child, connectable, link_resource, patchable, tracked};

pub(crate) const fn row(
    method: &'static str,
    path: &'static str,
    versions: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
) -> Route {
    Route { method, path, versions, run }
}

/// Every row, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = (&'static Provider, &'static Route)> {
    let rows = |provider: &'static Provider| provider.routes.iter().copied().flatten().map(move |row| (provider, row));
    providers::ALL.iter().copied().flat_map(rows)
}

/// What a path leads to.
pub(crate) enum Found {
    Route(&'static Route, Vec<String>),
    /// The path exists, the method does not.
    OtherMethod,
    Nothing,
}

fn matches(pattern: &str, path: &[&str]) -> Option<Vec<String>> {
    let mut pattern: Vec<&str> = pattern.trim_start_matches('/').split('/').collect();
    let mut params = Vec::new();
    let mut rest = path;
    if pattern.first() == Some(&"{scope}") {
        pattern.remove(0);
        let at = path.len().checked_sub(pattern.len())?;
        let (scope, tail) = path.split_at(at);
        params.push(scope.iter().fold(String::new(), |all, segment| all + "/" + segment));
        rest = tail;
    }
    if pattern.len() != rest.len() {
        return None;
    }
    for (wanted, segment) in pattern.iter().zip(rest) {
        if *wanted == "{}" {
            params.push((*segment).to_owned());
        } else if !wanted.eq_ignore_ascii_case(segment) {
            return None;
        }
    }
    Some(params)
}

/// Finds the row for a request.
pub(crate) fn find(method: &str, path: &str) -> Found {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut other = false;
    for (_, route) in all() {
        if let Some(params) = matches(route.path, &segments) {
            if route.method == method {
                return Found::Route(route, params);
            }
            other = true;
        }
    }
    if other { Found::OtherMethod } else { Found::Nothing }
}

impl Route {
    /// The action that role definitions name for this row: `Microsoft.Storage/storageAccounts/read`.
    pub(crate) fn action(&self) -> String {
        let (provider, tail) = match self.path.split_once("/providers/") {
            Some((_, tail)) => tail.split_once('/').unwrap_or((tail, "")),
            None => ("Microsoft.Resources", self.path.trim_start_matches('/')),
        };
        let mut action = tail
            .split('/')
            .filter(|segment| *segment != "{}")
            .fold(provider.to_owned(), |all, segment| all + "/" + segment);
        action.push_str(match self.method {
            "GET" => "/read",
            "DELETE" => "/delete",
            "POST" => "/action",
            _ => "/write",
        });
        action
    }

    /// The scope on which [`Self::action`] is needed: the resource, or for a list what it belongs to.
    pub(crate) fn scope(&self, path: &str) -> String {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let last_is_name = self.path.ends_with("{}");
        let mut keep = if last_is_name { segments.len() } else { segments.len().saturating_sub(1) };
        // A list of top-level resources: what remains ends in `/providers/{namespace}`.
        if !last_is_name && keep >= 2 && segments[keep - 2].eq_ignore_ascii_case("providers") {
            keep -= 2;
        }
        segments[..keep].iter().fold(String::new(), |all, segment| all + "/" + segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_scopes_are_those_of_role_definitions() {
        let rg = "/subscriptions/s/resourceGroups/g";
        let ml = "Microsoft.MachineLearningServices/workspaces";
        for (method, path, action, scope) in [
            ("GET", format!("{rg}/providers/{ml}/w"), format!("{ml}/read"), format!("{rg}/providers/{ml}/w")),
            ("GET", format!("{rg}/providers/{ml}"), format!("{ml}/read"), rg.to_owned()),
            (
                "GET",
                format!("{rg}/providers/{ml}/w/outboundRules"),
                format!("{ml}/outboundRules/read"),
                format!("{rg}/providers/{ml}/w"),
            ),
            (
                "POST",
                format!("{rg}/providers/{ml}/w/provisionManagedNetwork"),
                format!("{ml}/provisionManagedNetwork/action"),
                format!("{rg}/providers/{ml}/w"),
            ),
            ("GET", rg.to_owned(), "Microsoft.Resources/subscriptions/resourceGroups/read".to_owned(), rg.to_owned()),
        ] {
            let Found::Route(route, _) = find(method, &path.to_ascii_uppercase()) else {
                panic!("{path} is not served")
            };
            assert_eq!((route.action(), route.scope(&path)), (action, scope), "{method} {path}");
        }
    }

    #[test]
    fn assignments_are_found_on_any_scope() {
        for (path, scope) in [
            ("/providers/Microsoft.Authorization/roleAssignments/x", ""),
            (
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/providers/Microsoft.Authorization/roleAssignments/x",
                "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a",
            ),
        ] {
            let Found::Route(_, params) = find("GET", path) else { panic!("{path} is not served") };
            assert_eq!(params[0], scope);
        }
    }
}
