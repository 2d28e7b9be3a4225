//! Which sub-resources ("group ids") each type of target has, to refuse a private endpoint that cannot be before ARM is asked.
//!
//! From Microsoft's page on the DNS names of private endpoints, which lists them by service, and the examples in the OpenAPI
//! specifications. A type that is not here is left for ARM to judge.

/// The sub-resources by type of target.
const GROUPS: &[(&str, &[&str])] = &[
    ("Microsoft.MachineLearningServices/workspaces", &["amlworkspace"]),
    ("Microsoft.MachineLearningServices/registries", &["amlregistry"]),
    (
        "Microsoft.Storage/storageAccounts",
        &[
            "blob",
            "blob_secondary",
            "dfs",
            "dfs_secondary",
            "file",
            "file_secondary",
            "queue",
            "queue_secondary",
            "table",
            "table_secondary",
            "web",
            "web_secondary",
        ],
    ),
    ("Microsoft.KeyVault/vaults", &["vault"]),
    ("Microsoft.ContainerRegistry/registries", &["registry"]),
    ("Microsoft.Sql/servers", &["sqlServer"]),
    ("Microsoft.Synapse/workspaces", &["Dev", "Sql", "SqlOnDemand"]),
    ("Microsoft.Synapse/privateLinkHubs", &["Web"]),
    // The analytical store and the dedicated gateway have pages of their own.
    (
        "Microsoft.DocumentDB/databaseAccounts",
        &["Analytical", "Cassandra", "Gremlin", "MongoDB", "Sql", "SqlDedicated", "Table"],
    ),
    ("Microsoft.EventHub/namespaces", &["namespace"]),
    ("Microsoft.ServiceBus/namespaces", &["namespace"]),
    ("Microsoft.CognitiveServices/accounts", &["account"]),
    ("Microsoft.Search/searchServices", &["searchService"]),
    ("Microsoft.Databricks/workspaces", &["browser_authentication", "databricks_ui_api"]),
    ("Microsoft.DBforPostgreSQL/servers", &["postgresqlServer"]),
    ("Microsoft.DBforPostgreSQL/flexibleServers", &["postgresqlServer"]),
    ("Microsoft.DBforMySQL/servers", &["mysqlServer"]),
    ("Microsoft.DBforMySQL/flexibleServers", &["mysqlServer"]),
    ("Microsoft.DBforMariaDB/servers", &["mariadbServer"]),
    ("Microsoft.DataFactory/factories", &["dataFactory", "portal"]),
    ("Microsoft.Cache/Redis", &["redisCache"]),
    ("Microsoft.Cache/redisEnterprise", &["redisEnterprise"]),
    ("Microsoft.Insights/privateLinkScopes", &["azuremonitor"]),
    ("Microsoft.ApiManagement/service", &["Gateway"]),
];

/// The sub-resources of `target_type`; `None` for a type that is not known, or whose sub-resources have names of the user's own
/// (an Application Gateway's frontends).
pub fn groups(target_type: &str) -> Option<&'static [&'static str]> {
    GROUPS.iter().find(|(known, _)| known.eq_ignore_ascii_case(target_type)).map(|(_, groups)| *groups)
}

/// The type above `target_type` that has private endpoints, if `target_type` is a part of such a resource.
pub fn owner_of(target_type: &str) -> Option<&'static str> {
    let lower = target_type.to_ascii_lowercase();
    let above = |known: &str| lower.strip_prefix(&known.to_ascii_lowercase()).is_some_and(|rest| rest.starts_with('/'));
    GROUPS.iter().map(|(known, _)| *known).find(|known| above(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::private_link::Dialect;

    /// Both tables speak of the same services: a spelling that differs would make one of them useless.
    #[test]
    fn types_are_spelled_as_in_the_table_of_dialects() {
        let mut shared = 0;
        for (known, groups) in GROUPS {
            assert!(!groups.is_empty() && groups.is_sorted_by_key(|group| group.to_ascii_lowercase()), "{known}");
            shared += usize::from(Dialect::of(known).is_some_and(|dialect| dialect.target_type == *known));
        }
        assert!(shared > 15, "only {shared} types are in both tables");
    }

    #[test]
    fn a_part_of_a_resource_is_told_from_the_resource() {
        assert_eq!(
            owner_of("microsoft.storage/storageaccounts/blobServices"),
            Some("Microsoft.Storage/storageAccounts")
        );
        assert_eq!(owner_of("Microsoft.Storage/storageAccounts"), None);
        assert_eq!(owner_of("Microsoft.Sql/serversX/y"), None);
        assert!(groups("MICROSOFT.SQL/servers").is_some() && groups("Microsoft.Network/applicationGateways").is_none());
    }
}
