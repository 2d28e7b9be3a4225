//! Which private DNS zones answer for a private endpoint, and under which name in them.
//!
//! From Microsoft's pages on the DNS of private endpoints and on custom DNS of workspaces. The pages name the zones of other clouds for
//! workspaces only; elsewhere what the target itself says is used (`requiredZoneNames` of its `privateLinkResources`), in every cloud
//! before this table.

use crate::api::connection::CloudName;

/// The zones of a workspace by cloud.
const WORKSPACE: [(CloudName, [&str; 2]); 3] = [
    (CloudName::Public, ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"]),
    (CloudName::China, ["privatelink.api.ml.azure.cn", "privatelink.notebooks.chinacloudapi.cn"]),
    (CloudName::UsGovernment, ["privatelink.api.ml.azure.us", "privatelink.notebooks.usgovcloudapi.net"]),
];

/// The zones of the public cloud by type of target and sub-resource.
const PUBLIC: &[(&str, &str, &[&str])] = &[
    ("Microsoft.Storage/storageAccounts", "blob", &["privatelink.blob.core.windows.net"]),
    ("Microsoft.Storage/storageAccounts", "dfs", &["privatelink.dfs.core.windows.net"]),
    ("Microsoft.Storage/storageAccounts", "file", &["privatelink.file.core.windows.net"]),
    ("Microsoft.Storage/storageAccounts", "queue", &["privatelink.queue.core.windows.net"]),
    ("Microsoft.Storage/storageAccounts", "table", &["privatelink.table.core.windows.net"]),
    ("Microsoft.Storage/storageAccounts", "web", &["privatelink.web.core.windows.net"]),
    ("Microsoft.KeyVault/vaults", "vault", &["privatelink.vaultcore.azure.net"]),
    ("Microsoft.ContainerRegistry/registries", "registry", &["privatelink.azurecr.io"]),
    ("Microsoft.Sql/servers", "sqlServer", &["privatelink.database.windows.net"]),
    ("Microsoft.Synapse/workspaces", "Sql", &["privatelink.sql.azuresynapse.net"]),
    ("Microsoft.Synapse/workspaces", "SqlOnDemand", &["privatelink.sql.azuresynapse.net"]),
    ("Microsoft.Synapse/workspaces", "Dev", &["privatelink.dev.azuresynapse.net"]),
    ("Microsoft.DocumentDB/databaseAccounts", "Sql", &["privatelink.documents.azure.com"]),
    ("Microsoft.DocumentDB/databaseAccounts", "MongoDB", &["privatelink.mongo.cosmos.azure.com"]),
    ("Microsoft.DocumentDB/databaseAccounts", "Cassandra", &["privatelink.cassandra.cosmos.azure.com"]),
    ("Microsoft.DocumentDB/databaseAccounts", "Gremlin", &["privatelink.gremlin.cosmos.azure.com"]),
    ("Microsoft.DocumentDB/databaseAccounts", "Table", &["privatelink.table.cosmos.azure.com"]),
    ("Microsoft.EventHub/namespaces", "namespace", &["privatelink.servicebus.windows.net"]),
    ("Microsoft.ServiceBus/namespaces", "namespace", &["privatelink.servicebus.windows.net"]),
    (
        "Microsoft.CognitiveServices/accounts",
        "account",
        &["privatelink.cognitiveservices.azure.com", "privatelink.openai.azure.com"],
    ),
    ("Microsoft.Search/searchServices", "searchService", &["privatelink.search.windows.net"]),
    ("Microsoft.Databricks/workspaces", "databricks_ui_api", &["privatelink.azuredatabricks.net"]),
    ("Microsoft.Databricks/workspaces", "browser_authentication", &["privatelink.azuredatabricks.net"]),
    ("Microsoft.DBforPostgreSQL/servers", "postgresqlServer", &["privatelink.postgres.database.azure.com"]),
    ("Microsoft.DBforMySQL/servers", "mysqlServer", &["privatelink.mysql.database.azure.com"]),
    ("Microsoft.DBforMariaDB/servers", "mariadbServer", &["privatelink.mariadb.database.azure.com"]),
    ("Microsoft.DataFactory/factories", "dataFactory", &["privatelink.datafactory.azure.net"]),
    ("Microsoft.DataFactory/factories", "portal", &["privatelink.adf.azure.com"]),
    ("Microsoft.Cache/Redis", "redisCache", &["privatelink.redis.cache.windows.net"]),
    ("Microsoft.Cache/redisEnterprise", "redisEnterprise", &["privatelink.redisenterprise.cache.azure.net"]),
    (
        "Microsoft.Insights/privateLinkScopes",
        "azuremonitor",
        &[
            "privatelink.monitor.azure.com",
            "privatelink.oms.opinsights.azure.com",
            "privatelink.ods.opinsights.azure.com",
            "privatelink.agentsvc.azure-automation.net",
            "privatelink.blob.core.windows.net",
        ],
    ),
    ("Microsoft.ApiManagement/service", "Gateway", &["privatelink.azure-api.net"]),
];

/// The zones that answer for the sub-resource `group` of a target of `type_`; empty if no source tells. A cloud of one's own is expected
/// to use the public names where its targets state none.
pub fn zones(type_: &str, group: &str, cloud: CloudName) -> Vec<&'static str> {
    let cloud = if cloud == CloudName::Custom { CloudName::Public } else { cloud };
    if type_.eq_ignore_ascii_case(super::machine_learning::WORKSPACES) {
        let own = WORKSPACE.iter().find(|(of, _)| *of == cloud);
        return own.map(|(_, zones)| zones.to_vec()).unwrap_or_default();
    }
    if cloud != CloudName::Public {
        return Vec::new();
    }
    let row = PUBLIC.iter().find(|(known, of, _)| {
        known.eq_ignore_ascii_case(type_) && of.eq_ignore_ascii_case(group.trim_end_matches("_secondary"))
    });
    row.map(|(_, _, zones)| zones.to_vec()).unwrap_or_default()
}

/// The name of the record in `zone` that answers for the public host name `host`; `None` if the zone does not answer for it, or no
/// source tells how. `guid` is the workspace's, which the names of its online endpoints hold.
pub fn record(host: &str, zone: &str, guid: &str) -> Option<String> {
    let public = zone.strip_prefix("privatelink.")?;
    let below = |domain: &str| host.strip_suffix(domain)?.strip_suffix('.').map(ToOwned::to_owned);
    // `privatelink.vaultcore.azure.net` answers for `{name}.vault.azure.net`.
    if let Some(rest) = public.strip_prefix("vaultcore.") {
        return below(&format!("vault.{rest}"));
    }
    if let Some((_, [api, _])) = WORKSPACE.iter().find(|(_, [api, _])| *api == zone) {
        // The certificate's name leads to the same record as the workspace's own.
        if let Some(record) = below(public) {
            return Some(record.strip_suffix(".cert").map_or(record.clone(), ToOwned::to_owned));
        }
        // `*.{region}.inference.ml.azure.com` is `*.{guid}.inference.{region}` in the workspace's zone.
        let top = api.rsplit('.').next().filter(|top| *top != "ms").unwrap_or("com");
        let named = below(&format!("inference.ml.azure.{top}"))?;
        let (endpoint, region) = named.rsplit_once('.')?;
        return Some(format!("{endpoint}.{guid}.inference.{region}"));
    }
    below(public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cloud_has_the_zones_of_a_workspace() {
        let type_ = "microsoft.machinelearningservices/WORKSPACES";
        assert_eq!(zones(type_, "amlworkspace", CloudName::UsGovernment)[0], "privatelink.api.ml.azure.us");
        assert_eq!(zones(type_, "amlworkspace", CloudName::Custom).len(), 2);
        let storage = "Microsoft.Storage/storageAccounts";
        assert_eq!(zones(storage, "blob_secondary", CloudName::Public), ["privatelink.blob.core.windows.net"]);
        assert!(zones(storage, "blob", CloudName::China).is_empty(), "no source tells");
        assert!(zones("Microsoft.Web/sites", "sites", CloudName::Public).is_empty());
    }

    #[test]
    fn records_are_named_as_public_dns_makes_aliases_of_them() {
        let guid = "fb7e20a0";
        for (host, zone, want) in [
            ("lake.blob.core.windows.net", "privatelink.blob.core.windows.net", Some("lake")),
            ("lake.dfs.core.windows.net", "privatelink.blob.core.windows.net", None),
            ("keys.vault.azure.net", "privatelink.vaultcore.azure.net", Some("keys")),
            ("r.westeurope.data.azurecr.io", "privatelink.azurecr.io", Some("r.westeurope.data")),
            ("fb7e20a0.workspace.we.api.azureml.ms", "privatelink.api.azureml.ms", Some("fb7e20a0.workspace.we")),
            ("fb7e20a0.workspace.we.cert.api.azureml.ms", "privatelink.api.azureml.ms", Some("fb7e20a0.workspace.we")),
            ("*.we.inference.ml.azure.com", "privatelink.api.azureml.ms", Some("*.fb7e20a0.inference.we")),
            ("*.we.inference.ml.azure.us", "privatelink.api.ml.azure.us", Some("*.fb7e20a0.inference.we")),
            ("ml-x-we-fb7e20a0.we.notebooks.azure.net", "privatelink.notebooks.azure.net", Some("ml-x-we-fb7e20a0.we")),
            ("xblob.core.windows.net", "privatelink.blob.core.windows.net", None),
            ("a.example.org", "example.org", None),
        ] {
            assert_eq!(record(host, zone, guid).as_deref(), want, "{host} in {zone}");
        }
    }
}
