//! Azure's clouds, which serve the same under other names.

use serde::{Deserialize, Serialize};

/// Which of Azure's clouds this is, by its name in `/metadata/endpoints`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cloud {
    /// The public one.
    #[default]
    AzureCloud,
    /// The one that 21Vianet runs in China.
    AzureChinaCloud,
    /// The one of the US Government.
    AzureUSGovernment,
}

/// The domain of each service: in the public cloud, in China, for the US Government.
///
/// From Microsoft's pages on the DNS of private endpoints and on custom DNS of workspaces. Chosen, where these name none:
/// registries, Synapse, Databricks, Azure OpenAI and API Management outside the public cloud; in China also search,
/// Azure Monitor and AI services.
const DOMAINS: &[[&str; 3]] = &[
    ["api.azureml.ms", "api.ml.azure.cn", "api.ml.azure.us"],
    ["notebooks.azure.net", "notebooks.chinacloudapi.cn", "notebooks.usgovcloudapi.net"],
    ["inference.ml.azure.com", "inference.ml.azure.cn", "inference.ml.azure.us"],
    ["instances.ml.azure.ms", "instances.ml.azure.ms", "instances.ml.azure.us"],
    ["core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net"],
    ["vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net"],
    ["vaultcore.azure.net", "vaultcore.azure.cn", "vaultcore.usgovcloudapi.net"],
    ["azurecr.io", "azurecr.cn", "azurecr.us"],
    ["database.windows.net", "database.chinacloudapi.cn", "database.usgovcloudapi.net"],
    ["postgres.database.azure.com", "postgres.database.chinacloudapi.cn", "postgres.database.usgovcloudapi.net"],
    ["mysql.database.azure.com", "mysql.database.chinacloudapi.cn", "mysql.database.usgovcloudapi.net"],
    ["documents.azure.com", "documents.azure.cn", "documents.azure.us"],
    ["cosmos.azure.com", "cosmos.azure.cn", "cosmos.azure.us"],
    ["servicebus.windows.net", "servicebus.chinacloudapi.cn", "servicebus.usgovcloudapi.net"],
    ["redis.cache.windows.net", "redis.cache.chinacloudapi.cn", "redis.cache.usgovcloudapi.net"],
    ["search.windows.net", "search.azure.cn", "search.windows.us"],
    ["cognitiveservices.azure.com", "cognitiveservices.azure.cn", "cognitiveservices.azure.us"],
    ["openai.azure.com", "openai.azure.cn", "openai.azure.us"],
    ["azuresynapse.net", "azuresynapse.azure.cn", "azuresynapse.usgovcloudapi.net"],
    ["datafactory.azure.net", "datafactory.azure.cn", "datafactory.azure.us"],
    ["adf.azure.com", "adf.azure.cn", "adf.azure.us"],
    ["azuredatabricks.net", "databricks.azure.cn", "databricks.azure.us"],
    ["azure-api.net", "azure-api.cn", "azure-api.us"],
    ["azurewebsites.net", "chinacloudsites.cn", "azurewebsites.us"],
    ["monitor.azure.com", "monitor.azure.cn", "monitor.azure.us"],
    ["opinsights.azure.com", "opinsights.azure.cn", "opinsights.azure.us"],
    ["agentsvc.azure-automation.net", "agentsvc.azure-automation.cn", "agentsvc.azure-automation.us"],
];

impl Cloud {
    fn column(self) -> usize {
        match self {
            Self::AzureCloud => 0,
            Self::AzureChinaCloud => 1,
            Self::AzureUSGovernment => 2,
        }
    }

    /// A host name or zone of the public cloud, as this one calls it. What names no service of Azure's stays as it is.
    pub(crate) fn spell(self, name: &str) -> String {
        let respelled = DOMAINS.iter().find_map(|row| {
            let before = name.strip_suffix(row[0])?;
            let whole_labels = before.is_empty() || before.ends_with('.');
            whole_labels.then(|| format!("{before}{}", row[self.column()]))
        });
        respelled.unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_respelled_by_whole_labels() {
        let china = Cloud::AzureChinaCloud;
        for (public, theirs) in [
            ("privatelink.vaultcore.azure.net", "privatelink.vaultcore.azure.cn"),
            ("kv.vault.azure.net", "kv.vault.azure.cn"),
            ("core.windows.net", "core.chinacloudapi.cn"),
            ("notcore.windows.net", "notcore.windows.net"),
            ("a.example", "a.example"),
        ] {
            assert_eq!((china.spell(public).as_str(), Cloud::AzureCloud.spell(public).as_str()), (theirs, public));
        }
        assert_eq!(Cloud::AzureUSGovernment.spell("ws.api.azureml.ms"), "ws.api.ml.azure.us");
    }
}
