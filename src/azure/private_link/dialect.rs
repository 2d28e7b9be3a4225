//! How each type of target speaks about its private endpoint connections: one row each, in one table.
//!
//! A type outside the table is refused, never guessed: an approval written in the wrong dialect may do nothing, or more than
//! was decided.

/// Where a target's connections are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// `GET {target}/privateEndpointConnections`.
    Children,
    /// Only as `properties.privateEndpointConnections` of the target itself, read in this version.
    Member(&'static str),
}

/// Whether a connection says which sub-resource (`blob`, `sqlServer`) it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubResource {
    /// It does not; nobody but the requester can tell.
    NotStated,
    /// In the list `groupIds`.
    GroupIds,
    /// In the text `groupId`.
    GroupId,
}

/// How an approval is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// By setting the state to `Rejected`.
    Reject,
    /// By deleting the connection: the provider refuses to decide on it a second time.
    Delete,
}

/// How one type of resource speaks about its private endpoint connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The type of the target.
    pub target_type: &'static str,
    /// The version every request names.
    pub api_version: &'static str,
    /// How it spells the field for what the requester has to do; `None` where there is no such field.
    pub actions_field: Option<&'static str>,
    /// Where connections are listed.
    pub listing: Listing,
    /// Whether the sub-resource is stated.
    pub sub_resource: SubResource,
    /// `provisioningState` of a connection at rest, each of them.
    pub settled: &'static [&'static str],
    /// Whether a decision is answered before it took effect: the state is then read until it shows.
    pub slow: bool,
    /// How an approval is taken back.
    pub withdrawal: Withdrawal,
    /// What the row was read from.
    pub source: &'static str,
}

const SUCCEEDED: &[&str] = &["Succeeded"];
/// Where no enumeration can be relied on, both words that azure-cli 2.91.0 waits for, whatever the provider.
const EITHER: &[&str] = &["Succeeded", "Ready"];

/// What most providers have in common, so that each row says only what is its own.
const COMMON: Dialect = Dialect {
    target_type: "",
    api_version: "",
    actions_field: Some("actionsRequired"),
    listing: Listing::Children,
    sub_resource: SubResource::NotStated,
    settled: SUCCEEDED,
    slow: false,
    withdrawal: Withdrawal::Reject,
    source: SPECIFICATION,
};

const SPECIFICATION: &str = "OpenAPI specification of this version";
/// Path and version only: which fields there are was read from no specification, so nothing is relied on but the state.
const CLIENT: &str = "table of providers of azure-cli 2.91.0";

/// All types that are known. Where the specification shows a long-running operation for PUT, the row is `slow`; so are rows
/// without a specification, because waiting costs nothing where there is nothing to wait for.
const DIALECTS: &[Dialect] = &[
    Dialect {
        target_type: "Microsoft.MachineLearningServices/workspaces",
        // The paths are the same as in the specification of 2024-10-01.
        api_version: "2025-12-01",
        source: "OpenAPI specification of 2024-10-01, generated client of this version",
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.MachineLearningServices/registries",
        api_version: "2022-10-01-preview",
        // Only the registry's own document is specified (2024-10-01): there a connection has groupIds, and its state another name.
        // A state under that name is not read here, so that such a connection is neither pending nor approved: nothing is done.
        sub_resource: SubResource::GroupIds,
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.Storage/storageAccounts",
        api_version: "2023-05-01",
        // Singular: so spelled by Storage alone.
        actions_field: Some("actionRequired"),
        ..COMMON
    },
    Dialect { target_type: "Microsoft.KeyVault/vaults", api_version: "2024-11-01", slow: true, ..COMMON },
    Dialect { target_type: "Microsoft.ContainerRegistry/registries", api_version: "2023-07-01", slow: true, ..COMMON },
    Dialect {
        target_type: "Microsoft.Sql/servers",
        api_version: "2021-11-01",
        sub_resource: SubResource::GroupIds,
        settled: &["Ready"],
        slow: true,
        // 400 PrivateEndpointConnectionStatusNotPending is documented: it decides once.
        withdrawal: Withdrawal::Delete,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.DocumentDB/databaseAccounts",
        api_version: "2024-11-15",
        sub_resource: SubResource::GroupId,
        slow: true,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.CognitiveServices/accounts",
        api_version: "2024-10-01",
        sub_resource: SubResource::GroupIds,
        slow: true,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.Search/searchServices",
        api_version: "2020-08-01",
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.EventHub/namespaces",
        api_version: "2024-01-01",
        actions_field: None,
        slow: true,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.ServiceBus/namespaces",
        api_version: "2021-06-01-preview",
        actions_field: None,
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect { target_type: "Microsoft.Synapse/workspaces", api_version: "2021-06-01", slow: true, ..COMMON },
    Dialect {
        target_type: "Microsoft.DataFactory/factories",
        api_version: "2018-06-01",
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.Databricks/workspaces",
        api_version: "2024-05-01",
        sub_resource: SubResource::GroupIds,
        slow: true,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.ApiManagement/service",
        api_version: "2021-08-01",
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.DBforPostgreSQL/flexibleServers",
        api_version: "2024-08-01",
        sub_resource: SubResource::GroupIds,
        // The enumeration says Succeeded; every example of the same version shows Ready.
        settled: EITHER,
        slow: true,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.DBforMySQL/flexibleServers",
        // The version of azure-cli, 2022-09-30-privatepreview, has no list and states no groups.
        api_version: "2023-06-30",
        sub_resource: SubResource::GroupIds,
        settled: EITHER,
        slow: true,
        source: "OpenAPI specification of private endpoint connections of this version",
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.Cache/Redis",
        api_version: "2021-06-01",
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect {
        target_type: "Microsoft.Insights/privateLinkScopes",
        api_version: "2019-10-17-preview",
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
    Dialect { target_type: "Microsoft.Network/applicationGateways", api_version: "2024-05-01", slow: true, ..COMMON },
    Dialect { target_type: "Microsoft.Network/privateLinkServices", api_version: "2024-05-01", ..COMMON },
    Dialect {
        target_type: "Microsoft.Web/sites",
        api_version: "2019-08-01",
        listing: Listing::Member("2019-08-01"),
        slow: true,
        settled: EITHER,
        source: CLIENT,
        ..COMMON
    },
];

impl Dialect {
    /// The dialect of `target_type`, if it is known.
    pub fn of(target_type: &str) -> Option<&'static Self> {
        DIALECTS.iter().find(|dialect| dialect.target_type.eq_ignore_ascii_case(target_type))
    }

    /// The types that are known, for messages.
    pub fn known() -> String {
        DIALECTS.iter().map(|dialect| dialect.target_type).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    #[test]
    fn a_type_outside_the_table_is_not_guessed() {
        assert!(Dialect::of("Microsoft.Storage/storageAccounts/blobServices").is_none());
        assert!(Dialect::of("Contoso.Made/up").is_none());
        assert!(Dialect::of("MICROSOFT.sql/SERVERS").is_some());
    }

    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("examples") {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }

    /// Every property name below `value`.
    fn names(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                    into.extend(properties.keys().cloned());
                }
                members.values().for_each(|member| names(member, into));
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, into)),
            _ => {}
        }
    }

    /// What the rows say is compared with Microsoft's specifications, wherever they have the type in that version.
    #[test]
    fn the_rows_say_what_the_specifications_say() {
        let Ok(folder) = std::env::var("ARM_SPECS_DIR") else {
            println!("skipped: ARM_SPECS_DIR is not set");
            return;
        };
        let mut all = Vec::new();
        files(&Path::new(&folder).join("specification"), &mut all);
        // By type and version: whether connections can be listed, whether PUT is a long-running operation.
        let mut found: BTreeMap<(String, String), (bool, bool, BTreeSet<String>)> = BTreeMap::new();
        // Shapes lie in files beside the paths', so names are gathered by folder.
        let mut fields: BTreeMap<std::path::PathBuf, BTreeSet<String>> = BTreeMap::new();
        for file in &all {
            let Ok(spec) = serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()) else { continue };
            names(&spec["definitions"], fields.entry(file.parent().unwrap().to_owned()).or_default());
        }
        for file in all {
            let Ok(spec) = serde_json::from_slice::<Value>(&std::fs::read(&file).unwrap()) else { continue };
            let version = spec["info"]["version"].as_str().unwrap_or_default().to_owned();
            for (path, methods) in spec["paths"].as_object().into_iter().flatten() {
                let Some((_, tail)) = path.rsplit_once("/providers/") else { continue };
                let segments: Vec<String> = tail.split('/').map(str::to_ascii_lowercase).collect();
                if segments.get(3).map(String::as_str) != Some("privateendpointconnections") {
                    continue;
                }
                let entry = found.entry((format!("{}/{}", segments[0], segments[1]), version.clone())).or_default();
                entry.0 |= segments.len() == 4 && methods.get("get").is_some();
                entry.1 |= methods["put"]["x-ms-long-running-operation"] == Value::Bool(true);
                if methods["put"]["responses"]["200"]["headers"].get("Azure-AsyncOperation").is_some()
                    || methods["put"]["responses"].get("202").is_some()
                {
                    entry.1 = true;
                }
                entry.2.extend(fields[file.parent().unwrap()].iter().cloned());
            }
        }
        let mut compared = 0;
        for dialect in DIALECTS.iter().filter(|dialect| dialect.source == SPECIFICATION) {
            let key = (dialect.target_type.to_ascii_lowercase(), dialect.api_version.to_owned());
            let Some((listed, slow, known)) = found.get(&key) else {
                panic!("{}: no specification of {} is there", dialect.target_type, dialect.api_version)
            };
            assert_eq!(dialect.listing == Listing::Children, *listed, "{}: list", dialect.target_type);
            assert_eq!(dialect.slow, *slow, "{}: long-running", dialect.target_type);
            if let Some(field) = dialect.actions_field {
                // Whoever spells neither takes the shape from the types that all providers share, which spell it so.
                let own = known.iter().any(|name| name == "actionRequired" || name == "actionsRequired");
                assert!(
                    if own { known.contains(field) } else { field == "actionsRequired" },
                    "{}: {field}",
                    dialect.target_type
                );
            }
            compared += 1;
        }
        assert!(compared > 10, "only {compared} rows were compared");
    }
}
