//! What a destination covers, to judge a rule by all it opens and not by how it is spelled.

use ipnet::IpNet;

/// The services of a storage account that have host names of their own.
const STORAGE_SERVICES: [&str; 6] = ["blob", "dfs", "file", "queue", "table", "web"];

/// What their host names end with: public Azure, Azure Government, Azure in China, and accounts with DNS zones of their own.
const STORAGE_CLOUDS: [&str; 4] =
    ["core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn", "storage.azure.net"];

/// Storage hosts that Azure takes in an FQDN rule all the same: Visual Studio Code cannot do without (Microsoft: "Workspace
/// managed virtual network isolation", scenario Visual Studio Code).
const STORAGE_EXCEPTIONS: [&str; 1] = ["vscode.blob.core.windows.net"];

/// Service tags whose addresses are also those of other customers, or of everybody: whoever may reach them may carry data
/// anywhere. The part behind a dot, a region, makes them smaller but no safer.
const BROAD_TAGS: [&str; 11] = [
    "AppService",
    "AzureCloud",
    "AzureContainerRegistry",
    "AzureCosmosDB",
    "AzureFrontDoor",
    "AzureKeyVault",
    "EventHub",
    "Internet",
    "ServiceBus",
    "Sql",
    "Storage",
];

/// True if `inner` is `outer` or lies below it.
fn at_or_below(inner: &str, outer: &str) -> bool {
    inner.strip_suffix(outer).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The suffix of every storage host.
fn storage_suffixes() -> impl Iterator<Item = (&'static str, String)> {
    STORAGE_CLOUDS
        .into_iter()
        .flat_map(|cloud| STORAGE_SERVICES.into_iter().map(move |service| (service, format!("{service}.{cloud}"))))
}

/// The host names under which `service` of the storage account `account` may be known, one for each cloud.
pub fn storage_hosts(account: &str, service: &str) -> impl Iterator<Item = String> {
    STORAGE_CLOUDS.into_iter().map(move |cloud| format!("{account}.{service}.{cloud}"))
}

/// The part of a storage account (`blob`, `dfs`, …) that the host or wildcard `pattern` leads to, and to nothing else.
pub fn storage_service(pattern: &str) -> Option<&'static str> {
    let pattern = pattern.to_ascii_lowercase();
    if STORAGE_EXCEPTIONS.contains(&pattern.as_str()) {
        return None;
    }
    let host = pattern.strip_prefix("*.").unwrap_or(&pattern);
    storage_suffixes().find(|(_, suffix)| at_or_below(host, suffix)).map(|(service, _)| service)
}

/// True if `pattern` leads to storage accounts, alone or among others: every one of them, whoever it belongs to.
pub fn touches_storage(pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let host = pattern.strip_prefix("*.").unwrap_or(&pattern);
    let wild = host != pattern;
    storage_suffixes().any(|(_, suffix)| at_or_below(host, &suffix) || (wild && at_or_below(&suffix, host)))
}

/// True if `granted` covers all that `asked` covers; both are host names or wildcards. A wildcard covers what lies below it at
/// any depth, and not the name itself. What touches storage has to be granted word for word, since a grant for a domain was
/// hardly meant for the accounts of strangers in it.
pub fn host(granted: &str, asked: &str) -> bool {
    if granted.eq_ignore_ascii_case(asked) {
        return true;
    }
    let (granted, asked) = (granted.to_ascii_lowercase(), asked.to_ascii_lowercase());
    let Some(domain) = granted.strip_prefix("*.") else { return false };
    let inner = asked.strip_prefix("*.").unwrap_or(&asked);
    inner != domain && at_or_below(inner, domain) && !touches_storage(&asked)
}

/// True if the service tag `granted` covers `asked`: the same one, or a region of it (`Storage.WestEurope` of `Storage`).
pub fn tag(granted: &str, asked: &str) -> bool {
    let rest = asked.get(..granted.len()).filter(|start| start.eq_ignore_ascii_case(granted));
    rest.is_some() && (asked.len() == granted.len() || asked[granted.len()..].starts_with('.'))
}

/// True if the tag stands for addresses that belong to others too.
pub fn is_broad(asked: &str) -> bool {
    BROAD_TAGS.iter().any(|broad| tag(broad, asked))
}

/// Reads an address prefix; bits beyond its length are dropped, as every firewall drops them.
pub fn prefix(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}

/// True if `granted` together cover all of `asked`. What cannot be read covers nothing, and is covered by nothing.
pub fn addresses<'a>(granted: impl IntoIterator<Item = &'a String>, asked: &[String]) -> bool {
    let granted: Vec<IpNet> = granted.into_iter().filter_map(|text| prefix(text)).collect();
    let granted = IpNet::aggregate(&granted);
    asked.iter().all(|text| prefix(text).is_some_and(|asked| granted.iter().any(|granted| granted.contains(&asked))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_wildcard_covers_what_lies_below_it_and_not_the_name_itself() {
        for (granted, asked, want) in [
            ("*.pytorch.org", "*.PyTorch.org", true),
            ("*.pytorch.org", "download.pytorch.org", true),
            ("*.pytorch.org", "*.download.pytorch.org", true),
            ("*.pytorch.org", "a.b.pytorch.org", true),
            ("*.pytorch.org", "pytorch.org", false),
            ("*.pytorch.org", "*.org", false),
            ("*.pytorch.org", "evilpytorch.org", false),
            ("*.pytorch.org", "pytorch.org.evil.example", false),
            ("pytorch.org", "*.pytorch.org", false),
            ("download.pytorch.org", "download.pytorch.org", true),
            ("*.windows.net", "login.windows.net", true),
            ("*.windows.net", "*.core.windows.net", false),
            ("*.net", "*.windows.net", false),
            ("*.core.windows.net", "*.core.windows.net", true),
            ("*.blob.core.windows.net", "vscode.blob.core.windows.net", false),
            ("vscode.blob.core.windows.net", "vscode.blob.core.windows.net", true),
        ] {
            assert_eq!(host(granted, asked), want, "{granted} for {asked}");
        }
    }

    #[test]
    fn storage_is_known_in_every_cloud_and_under_every_spelling() {
        for (pattern, service) in [
            ("lake.dfs.core.windows.net", Some("dfs")),
            ("LAKE.Blob.Core.Windows.Net", Some("blob")),
            ("*.queue.core.usgovcloudapi.net", Some("queue")),
            ("x.table.core.chinacloudapi.cn", Some("table")),
            ("site.z6.web.core.windows.net", Some("web")),
            ("lake.z01.blob.storage.azure.net", Some("blob")),
            ("lake.privatelink.file.core.windows.net", Some("file")),
            ("vscode.blob.core.windows.net", None),
            ("*.vscode.blob.core.windows.net", Some("blob")),
            ("blob.core.windows.net.example.org", None),
            ("*.core.windows.net", None),
            ("pytorch.org", None),
        ] {
            assert_eq!(storage_service(pattern), service, "{pattern}");
        }
        for (pattern, want) in [
            ("*.core.windows.net", true),
            ("*.windows.net", true),
            ("core.windows.net", false),
            ("*.chinacloudapi.cn", true),
            ("vscode.blob.core.windows.net", true),
            ("*.azure.net", true),
            ("*.vault.azure.net", false),
        ] {
            assert_eq!(touches_storage(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn a_tag_covers_its_regions_and_nothing_that_begins_alike() {
        for (granted, asked, want) in [
            ("Storage", "storage", true),
            ("Storage", "Storage.WestEurope", true),
            ("Storage.WestEurope", "Storage", false),
            ("Storage", "StorageSyncService", false),
            ("AzureMonitor", "AzureCloud", false),
            ("", "AzureCloud", false),
        ] {
            assert_eq!(tag(granted, asked), want, "{granted} for {asked}");
        }
        assert!(is_broad("Internet") && is_broad("storage.westeurope") && !is_broad("AzureMonitor"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (granted, asked, want) in [
            (&["10.0.0.0/8"][..], &["10.1.0.0/16", "10.2.3.4/32"][..], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "11.0.0.0/16"], false),
            (&["10.0.0.0/8"], &["0.0.0.0/0"], false),
            (&["10.0.0.0/9", "10.128.0.0/9"], &["10.0.0.0/8"], true),
            (&["10.0.0.0/8"], &["10.0.0.1/7"], false),
            (&["0.0.0.0/0"], &["2001:db8::/32"], false),
            (&["2001:db8::/32"], &["2001:DB8:0:1::/64"], true),
            (&["not a prefix"], &["10.0.0.0/8"], false),
            (&["10.0.0.0/8"], &["10.0.0.0/33"], false),
        ] {
            assert_eq!(addresses(&texts(granted), &texts(asked)), want, "{granted:?} for {asked:?}");
        }
    }

    proptest! {
        /// Whatever host an allowed rule opens is one that the grant covers.
        #[test]
        fn nothing_outside_the_grant_gets_through(
            granted in "([*][.])?[ab][.][cd]([.][ef])?", asked in "([*][.])?([ab][.]){1,2}[cd]([.][ef])?", below in "[ab]",
        ) {
            let opens = |pattern: &str, name: &str| match pattern.strip_prefix("*.") {
                Some(domain) => name.ends_with(&format!(".{domain}")),
                None => name == pattern,
            };
            // A name that the rule opens.
            let name = asked.strip_prefix("*.").map_or_else(|| asked.clone(), |domain| format!("{below}.{domain}"));
            prop_assert!(!host(&granted, &asked) || opens(&granted, &name), "{granted} for {asked} lets {name} through");
        }
    }
}
