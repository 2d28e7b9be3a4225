//! Destinations that Azure takes from nobody: refused with the way out, before ARM is asked.

use crate::api::ids::ArmId;
use crate::azure::private_link::{groups, owner_of};

use super::cover;
use super::outcome::{Reason, Verdict};
use super::rule_body::RuleBody;

/// The only type of target that is reached under host names of its owner's choosing.
const APPLICATION_GATEWAY: &str = "Microsoft.Network/applicationGateways";

/// Domains that are Microsoft's in some cloud. A rule that had one of their names lead to somebody's gateway would take over
/// what the workspace itself asks for: tokens, secrets, images.
const MICROSOFT: [&str; 17] = [
    "azure.cn",
    "azure.com",
    "azure.net",
    "azure.us",
    "azurecr.cn",
    "azurecr.io",
    "azurecr.us",
    "azureml.ms",
    "azure.ms",
    "azuresynapse.net",
    "chinacloudapi.cn",
    "microsoft.com",
    "microsoftonline.com",
    "microsoftonline.us",
    "usgovcloudapi.net",
    "visualstudio.com",
    "windows.net",
];

fn refused(message: impl Into<String>) -> Verdict {
    Verdict::new(Reason::DestinationRefused, message)
}

/// Checks that Azure could take a rule to `body` at all.
///
/// # Errors
/// With the verdict to report if not.
pub fn check(body: &RuleBody) -> Result<(), Verdict> {
    match body {
        RuleBody::Fqdn { host } => match cover::storage_service(host) {
            // Microsoft: "Workspace managed virtual network isolation", limits of FQDN rules.
            Some(service) => Err(refused(format!(
                "{host} is Azure Storage, which Azure does not let a workspace reach by host name. Declare a private endpoint \
                 instead: privateEndpoint: {{resourceId: <ARM id of the storage account>, subresource: {service}}}"
            ))),
            None => Ok(()),
        },
        RuleBody::PrivateEndpoint { resource_id, subresource, fqdns, .. } => {
            let target = ArmId::parse(resource_id)
                .map_err(|error| Verdict::new(Reason::Invalid, format!("privateEndpoint.resourceId: {error}")))?;
            endpoint(&target, subresource, fqdns)
        }
        RuleBody::ServiceTag { address_prefixes, .. } => {
            match address_prefixes.iter().find(|text| cover::prefix(text).is_none()) {
                Some(text) => Err(refused(format!(
                    "serviceTag.addressPrefixes: {text} is no address prefix; write it as 10.0.0.0/16 or 2001:db8::/32"
                ))),
                None => Ok(()),
            }
        }
    }
}

fn endpoint(target: &ArmId, subresource: &str, fqdns: &[String]) -> Result<(), Verdict> {
    let type_ = target.type_();
    if let Some(owner) = owner_of(&type_) {
        return Err(refused(format!(
            "{target} is a part of a resource, and only the resource itself has private endpoints. Give the id of the {owner} \
             above it, and the part as subresource"
        )));
    }
    if let Some(known) = groups(&type_)
        && !known.iter().any(|group| group.eq_ignore_ascii_case(subresource))
    {
        return Err(refused(format!(
            "{type_} has no sub-resource {subresource:?}; privateEndpoint.subresource is one of {}",
            known.join(", ")
        )));
    }
    if fqdns.is_empty() {
        return Ok(());
    }
    if !target.is(APPLICATION_GATEWAY) {
        return Err(refused(format!(
            "privateEndpoint.fqdns is for Application Gateways; a {type_} is reached under its own names. Leave it out"
        )));
    }
    match fqdns.iter().find(|name| MICROSOFT.iter().any(|domain| is_within(name, domain))) {
        Some(name) => Err(refused(format!(
            "privateEndpoint.fqdns: {name} is a name of Azure's own, which would then lead to this gateway inside the managed \
             network. Use names of your own domains"
        ))),
        None => Ok(()),
    }
}

fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers";

    fn endpoint(type_and_name: &str, subresource: &str, fqdns: &[&str]) -> RuleBody {
        RuleBody::PrivateEndpoint {
            resource_id: format!("{GROUP}/{type_and_name}"),
            subresource: subresource.into(),
            spark_enabled: false,
            fqdns: fqdns.iter().map(ToString::to_string).collect(),
        }
    }

    fn said(body: &RuleBody) -> String {
        check(body).err().map(|verdict| format!("{}: {}", verdict.reason.word(), verdict.message)).unwrap_or_default()
    }

    #[test]
    fn what_azure_would_refuse_is_refused_with_the_way_out() {
        let addresses = |prefixes: &[&str]| RuleBody::ServiceTag {
            tag: "AzureMonitor".into(),
            protocol: "TCP".into(),
            port_ranges: "443".into(),
            action: "Allow".into(),
            address_prefixes: prefixes.iter().map(ToString::to_string).collect(),
        };
        let host = |host: &str| RuleBody::Fqdn { host: host.into() };
        for (body, words) in [
            (host("pytorch.org"), None),
            (host("vscode.blob.core.windows.net"), None),
            (host("lake.dfs.core.windows.net"), Some("subresource: dfs")),
            (host("*.blob.core.usgovcloudapi.net"), Some("private endpoint")),
            (endpoint("Microsoft.Storage/storageAccounts/lake", "DFS", &[]), None),
            (endpoint("Microsoft.Storage/storageAccounts/lake", "vault", &[]), Some("blob, blob_secondary, dfs")),
            (endpoint("microsoft.keyvault/vaults/keys", "blob", &[]), Some("one of vault")),
            (endpoint("Microsoft.Storage/storageAccounts/lake/blobServices/default", "blob", &[]), Some("above it")),
            (endpoint("Contoso.Made/ups/one", "anything", &[]), None),
            (endpoint("Microsoft.Network/applicationGateways/gw", "frontend", &["app.contoso.com"]), None),
            (endpoint("Microsoft.Network/applicationGateways/gw", "f", &["x.vault.azure.net"]), Some("own domains")),
            (endpoint("Microsoft.Storage/storageAccounts/lake", "dfs", &["app.contoso.com"]), Some("Leave it out")),
            (addresses(&["10.0.0.0/16", "2001:db8::/32"]), None),
            (addresses(&["10.0.0.0/16", "10.0.0.0/40"]), Some("10.0.0.0/40")),
            (addresses(&["300.0.0.0/16"]), Some("300.0.0.0/16")),
        ] {
            let said = said(&body);
            match words {
                None => assert_eq!(said, "", "{body:?}"),
                Some(words) => {
                    assert!(said.starts_with("DestinationRefused") && said.contains(words), "{body:?}: {said}")
                }
            }
        }
    }
}
