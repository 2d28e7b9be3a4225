//! Microsoft.Authorization: role definitions, role assignments, permissions.

mod assignments;
mod definitions;

pub(crate) use assignments::CallFacts;

use crate::providers::locks;
use crate::routes::{Provider, Route};

const ASSIGNMENTS: &[&str] = &["2022-04-01", "2020-04-01-preview"];
const DEFINITIONS: &[&str] = &["2022-04-01", "2022-05-01-preview", "2018-01-01-preview"];
const PERMISSIONS: &[&str] = &["2022-04-01"];

macro_rules! authorization {
    ($tail:literal) => {
        concat!("{scope}/providers/Microsoft.Authorization/", $tail)
    };
}

macro_rules! route {
    ($method:literal, $tail:literal, $versions:ident, $run:path) => {
        Route { method: $method, path: authorization!($tail), versions: $versions, run: $run }
    };
}

const ROUTES: &[Route] = &[
    route!("GET", "roleAssignments", ASSIGNMENTS, assignments::list),
    route!("GET", "roleAssignments/{}", ASSIGNMENTS, assignments::get),
    route!("PUT", "roleAssignments/{}", ASSIGNMENTS, assignments::put),
    route!("DELETE", "roleAssignments/{}", ASSIGNMENTS, assignments::delete),
    route!("GET", "roleDefinitions", DEFINITIONS, definitions::list),
    route!("GET", "roleDefinitions/{}", DEFINITIONS, definitions::get),
    route!("PUT", "roleDefinitions/{}", DEFINITIONS, definitions::put),
    route!("DELETE", "roleDefinitions/{}", DEFINITIONS, definitions::delete),
    route!("GET", "permissions", PERMISSIONS, definitions::permissions),
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Authorization",
    source: "OpenAPI 2022-04-01, recording of role assignments; locks: nothing but what users quote of ScopeLocked",
    missing: &[
        "Groups as principals",
        "Deny assignments",
        "Management groups",
        "Role management (PIM)",
        "The operations of providers as a list",
    ],
    types: &[locks::TYPE],
    routes: &[ROUTES, locks::ROUTES],
};

/// What stands between a prefix, in any case, and a suffix.
fn quoted<'a>(filter: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let rest = filter.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
    rest.and_then(|_| filter[prefix.len()..].strip_suffix(suffix))
}
