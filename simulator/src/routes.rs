//! The route table: every ARM path that the simulator serves, with the api-versions it takes.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::call::{Answer, Call};
use crate::ids;
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

/// The rows of what lies in a resource group: what is stated first, then list, GET, PUT, DELETE.
macro_rules! in_group {
    ($kind:literal, $versions:expr, $put:expr $(, $first:expr)*) => {
        &[
            $($first,)*
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

/// The rows of a type that lies in a resource group, and can be listed over the whole subscription. A function may stand in
/// for the usual PUT.
macro_rules! tracked {
    ($kind:literal, $versions:expr) => {
        $crate::routes::tracked!($kind, $versions, $crate::resource_type::put)
    };
    ($kind:literal, $versions:expr, $put:expr) => {
        $crate::routes::in_group!(
            $kind,
            $versions,
            $put,
            $crate::routes::row(
                "GET",
                concat!("/subscriptions/{}/providers/", $kind),
                $versions,
                $crate::resource_type::list,
            )
        )
    };
}

/// The rows of a child (`Microsoft.Network/virtualNetworks/{}/subnets`).
macro_rules! child {
    ($kind:literal, $versions:expr) => {
        $crate::routes::in_group!($kind, $versions, $crate::resource_type::put)
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

/// The rows of the connections on a target of private endpoints, each by its name.
macro_rules! connectable {
    ($kind:literal, $versions:expr) => {
        &[
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

/// The list of the connections on a target, in the versions that have it.
macro_rules! connection_list {
    ($kind:literal, $versions:expr) => {
        &[$crate::routes::row(
            "GET",
            concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateEndpointConnections"),
            $versions,
            $crate::connections::list,
        )]
    };
}

/// What can be connected to on a target.
macro_rules! link_resources {
    ($kind:literal, $versions:expr) => {
        &[$crate::routes::row(
            "GET",
            concat!("/subscriptions/{}/resourceGroups/{}/providers/", $kind, "/{}/privateLinkResources"),
            $versions,
            $crate::connections::link_resources,
        )]
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

pub(crate) use {child, connectable, connection_list, in_group, link_resource, link_resources, patchable, tracked};

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

/// A row of the table, taken apart.
pub(crate) struct Pattern {
    route: &'static Route,
    /// Without the leading `{scope}`.
    segments: Vec<&'static str>,
    scoped: bool,
}

impl Pattern {
    pub(crate) fn of(route: &'static Route) -> Self {
        let mut segments: Vec<&str> = route.path.trim_start_matches('/').split('/').collect();
        let scoped = segments.first() == Some(&"{scope}");
        if scoped {
            segments.remove(0);
        }
        Self { route, segments, scoped }
    }

    /// The values of the placeholders, if a path is of this form.
    pub(crate) fn params(&self, path: &[&str]) -> Option<Vec<String>> {
        let (scope, tail) = path.split_at(path.len().checked_sub(self.segments.len())?);
        if !self.scoped && !scope.is_empty() {
            return None;
        }
        let fits = |(wanted, segment): (&&str, &&str)| *wanted == "{}" || wanted.eq_ignore_ascii_case(segment);
        if !self.segments.iter().zip(tail).all(fits) {
            return None;
        }
        let mut params = Vec::new();
        if self.scoped {
            params.push(scope.iter().fold(String::new(), |all, segment| all + "/" + segment));
        }
        let values = self.segments.iter().zip(tail).filter(|(wanted, _)| **wanted == "{}");
        params.extend(values.map(|(_, segment)| (*segment).to_owned()));
        Some(params)
    }
}

/// The provider that a path is about, lower-cased: what follows its last `providers`; nothing if there is none. Labels
/// stand at even places; at the odd ones are names, and one may be `providers` too.
fn namespace(segments: &[&str]) -> String {
    let is_label = |at: &usize| segments.get(*at).is_some_and(|segment| segment.eq_ignore_ascii_case("providers"));
    let last = (0..segments.len()).step_by(2).rfind(is_label);
    let namespace = last.and_then(|at| segments.get(at + 1));
    namespace.map(|namespace| namespace.to_ascii_lowercase()).unwrap_or_default()
}

/// The table by provider, so that a request is compared with the rows of one only.
static INDEX: LazyLock<HashMap<String, Vec<Pattern>>> = LazyLock::new(|| {
    let mut index: HashMap<String, Vec<Pattern>> = HashMap::new();
    for (_, route) in all() {
        let pattern = Pattern::of(route);
        index.entry(namespace(&pattern.segments)).or_default().push(pattern);
    }
    index
});

/// Finds the row for a request.
pub(crate) fn find(method: &str, path: &str) -> Found {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut other = false;
    // What names its provider by a placeholder is about any.
    for provider in [namespace(&segments).as_str(), "{}"] {
        for pattern in INDEX.get(provider).map(Vec::as_slice).unwrap_or_default() {
            if let Some(params) = pattern.params(&segments) {
                if pattern.route.method == method {
                    return Found::Route(pattern.route, params);
                }
                other = true;
            }
        }
    }
    if other { Found::OtherMethod } else { Found::Nothing }
}

impl Route {
    /// The action that role definitions name for this row: `Microsoft.Storage/storageAccounts/read`.
    /// `path` is one that the row was found for.
    pub(crate) fn action(&self, path: &str) -> String {
        let (provider, tail) = match self.path.split_once("/providers/") {
            // What a subscription says of a provider is the subscription's; what is done to a provider is named by it
            // (actions of ARM and of every provider in Microsoft's list of operations).
            Some((_, "{}")) => ("Microsoft.Resources", "subscriptions/providers"),
            Some((_, tail)) if tail.starts_with("{}/") => {
                let asked = ids::provider_path(path).and_then(|asked| asked.split('/').next());
                (asked.unwrap_or_default(), tail)
            }
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
            (
                "POST",
                "/subscriptions/s/providers/Microsoft.Sql/register".to_owned(),
                "Microsoft.Sql/register/action".to_owned(),
                "/subscriptions/s".to_owned(),
            ),
            (
                "GET",
                "/subscriptions/s/providers/Microsoft.Sql".to_owned(),
                "Microsoft.Resources/subscriptions/providers/read".to_owned(),
                "/subscriptions/s/providers/Microsoft.Sql".to_owned(),
            ),
            ("GET", rg.to_owned(), "Microsoft.Resources/subscriptions/resourceGroups/read".to_owned(), rg.to_owned()),
        ] {
            let Found::Route(route, _) = find(method, &path.to_ascii_uppercase()) else {
                panic!("{path} is not served")
            };
            assert_eq!((route.action(&path), route.scope(&path)), (action, scope), "{method} {path}");
        }
    }

    #[test]
    fn a_name_may_be_the_word_before_a_provider() {
        let group = "/subscriptions/s/resourceGroups/providers";
        for path in [group.to_owned(), format!("{group}/providers/Microsoft.Storage/storageAccounts/Providers")] {
            let Found::Route(route, params) = find("GET", &path) else { panic!("{path} is not served") };
            assert_eq!((route.method, params[1].as_str()), ("GET", "providers"));
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
