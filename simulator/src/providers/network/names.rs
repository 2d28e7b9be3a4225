//! What a private endpoint on each service is called: the members that take an address each, their host names, and the
//! records by which a private DNS zone answers for them.

use serde_json::Value;

use crate::body;
use crate::ids;

/// One member of a service's group: it takes one address of the endpoint.
struct Template {
    name: &'static str,
    hosts: &'static [&'static str],
    /// Zone, and the name of the record in it.
    records: &'static [(&'static str, &'static str)],
}

struct Service {
    kind: &'static str,
    groups: &'static [&'static str],
    members: &'static [Template],
}

/// Host names: Microsoft's pages on private endpoint DNS values and on custom DNS of workspaces, the recording of
/// private endpoints (blob). Members: OpenAPI ContainerRegistry 2023-07-01, users' reports (vault). Chosen: the names of
/// the second and third member of a workspace; `web` without the number of its zone.
///
/// `{service}` is the group without `_secondary`; `{label}` is the first label of a workspace's notebook host;
/// `{api}`, `{notebooks}` and `{inference}` are domains of the cloud.
const SERVICES: &[Service] = &[
    Service {
        kind: "Microsoft.MachineLearningServices/workspaces",
        groups: &["amlworkspace"],
        members: &[
            Template {
                name: "default",
                hosts: &["{guid}.workspace.{region}.{api}", "{guid}.workspace.{region}.cert.{api}"],
                records: &[("privatelink.{api}", "{guid}.workspace.{region}")],
            },
            Template {
                name: "notebook",
                hosts: &["{label}.{region}.{notebooks}"],
                records: &[("privatelink.{notebooks}", "{label}.{region}")],
            },
            Template {
                name: "inference",
                hosts: &["*.{region}.{inference}"],
                records: &[("privatelink.{api}", "*.{guid}.inference.{region}")],
            },
        ],
    },
    Service {
        kind: "Microsoft.Storage/storageAccounts",
        groups: &["blob", "table", "queue", "file", "web", "dfs"],
        members: &[Template {
            name: "{group}",
            hosts: &["{name}.{service}.core.windows.net"],
            records: &[("privatelink.{service}.core.windows.net", "{name}")],
        }],
    },
    Service {
        kind: "Microsoft.Storage/storageAccounts",
        groups: &[
            "blob_secondary",
            "table_secondary",
            "queue_secondary",
            "file_secondary",
            "web_secondary",
            "dfs_secondary",
        ],
        members: &[Template {
            name: "{group}",
            hosts: &["{name}-secondary.{service}.core.windows.net"],
            records: &[("privatelink.{service}.core.windows.net", "{name}-secondary")],
        }],
    },
    Service {
        kind: "Microsoft.KeyVault/vaults",
        groups: &["vault"],
        members: &[Template {
            name: "default",
            hosts: &["{name}.vault.azure.net"],
            records: &[("privatelink.vaultcore.azure.net", "{name}")],
        }],
    },
    Service {
        kind: "Microsoft.ContainerRegistry/registries",
        groups: &["registry"],
        members: &[
            Template {
                name: "registry_data_{region}",
                hosts: &["{name}.{region}.data.azurecr.io"],
                records: &[("privatelink.azurecr.io", "{name}.{region}.data")],
            },
            Template {
                name: "registry",
                hosts: &["{name}.azurecr.io"],
                records: &[("privatelink.azurecr.io", "{name}")],
            },
        ],
    },
    Service {
        kind: "Microsoft.Sql/servers",
        groups: &["sqlServer"],
        members: &[Template {
            name: "sqlServer",
            hosts: &["{name}.database.windows.net"],
            records: &[("privatelink.database.windows.net", "{name}")],
        }],
    },
];

/// A member of a target's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) hosts: Vec<String>,
    /// Zone, and the name of the record in it.
    records: Vec<(String, String)>,
}

/// The domains of a workspace's cloud: `api`, `notebooks`, `inference` (Microsoft's page on custom DNS of workspaces).
fn domains(region: &str) -> [&'static str; 3] {
    if region.starts_with("china") {
        ["api.ml.azure.cn", "notebooks.chinacloudapi.cn", "inference.ml.azure.cn"]
    } else if region.starts_with("usgov") || region.starts_with("usdod") {
        ["api.ml.azure.us", "notebooks.usgovcloudapi.net", "inference.ml.azure.us"]
    } else {
        ["api.azureml.ms", "notebooks.azure.net", "inference.ml.azure.com"]
    }
}

/// The members of a target that an endpoint with these groups takes addresses for, in the order of the addresses.
pub(super) fn members(target: &Value, groups: &[String]) -> Vec<Member> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    let (kind, name) = (text(&target["type"]), text(&target["name"]));
    let region = body::location(target["location"].as_str().unwrap_or_default());
    let guid = text(&target["properties"]["workspaceId"]);
    // A label has at most 63 characters, of which the name of the workspace gives way.
    let room = 63usize.saturating_sub("ml---".len() + region.len() + guid.len());
    let short: String = name.chars().take(room).collect();
    let label = format!("ml-{short}-{region}-{guid}");
    let [api, notebooks, inference] = domains(&region);
    let mut found = Vec::new();
    for group in groups {
        let service = SERVICES.iter().find(|service| {
            ids::key(service.kind) == kind && service.groups.iter().any(|known| known.eq_ignore_ascii_case(group))
        });
        let Some(service) = service else {
            // Chosen: a service that is not known has one member, called like its group, and no names.
            let (group, name) = (group.clone(), group.clone());
            found.push(Member { group, name, hosts: Vec::new(), records: Vec::new() });
            continue;
        };
        let fill = |template: &&str| {
            template
                .replace("{group}", group)
                .replace("{service}", group.strip_suffix("_secondary").unwrap_or(group))
                .replace("{name}", &name)
                .replace("{label}", &label)
                .replace("{guid}", &guid)
                .replace("{region}", &region)
                .replace("{api}", api)
                .replace("{notebooks}", notebooks)
                .replace("{inference}", inference)
        };
        found.extend(service.members.iter().map(|member| Member {
            group: group.clone(),
            name: fill(&member.name),
            hosts: member.hosts.iter().map(fill).collect(),
            records: member.records.iter().map(|(zone, record)| (fill(zone), fill(record))).collect(),
        }));
    }
    found
}

/// The records that a zone gets for an endpoint, each with the index of its member. A zone that the service does not
/// name gets them all (example of zone groups in OpenAPI Network 2024-05-01).
pub(super) fn records(members: &[Member], zone: &str) -> Vec<(usize, String)> {
    let all = || {
        let records = |(index, member): (usize, &Member)| {
            member.records.iter().map(move |(zone, record)| (index, zone.clone(), record.clone())).collect::<Vec<_>>()
        };
        members.iter().enumerate().flat_map(records)
    };
    let known = all().any(|(_, theirs, _)| theirs.eq_ignore_ascii_case(zone));
    let fits = |theirs: &str| !known || theirs.eq_ignore_ascii_case(zone);
    all().filter(|(_, theirs, _)| fits(theirs)).map(|(index, _, record)| (index, record)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(name: &str, region: &str) -> Value {
        json!({
            "type": "Microsoft.MachineLearningServices/workspaces", "name": name, "location": region,
            "properties": { "workspaceId": "fb7e20a0-8891-458b-b969-55ddb3382f51" },
        })
    }

    #[test]
    fn a_workspace_has_three_members_with_the_names_of_its_cloud() {
        let groups = ["amlworkspace".to_owned()];
        let guid = "fb7e20a0-8891-458b-b969-55ddb3382f51";
        let all = members(&workspace("ws1", "West Europe"), &groups);
        let hosts: Vec<&str> = all.iter().flat_map(|member| &member.hosts).map(String::as_str).collect();
        assert_eq!(
            hosts,
            [
                &format!("{guid}.workspace.westeurope.api.azureml.ms"),
                &format!("{guid}.workspace.westeurope.cert.api.azureml.ms"),
                &format!("ml-ws1-westeurope-{guid}.westeurope.notebooks.azure.net"),
                "*.westeurope.inference.ml.azure.com",
            ]
        );
        let names = |zone: &str| records(&all, zone);
        assert_eq!(
            names("privatelink.api.azureml.ms"),
            [(0, format!("{guid}.workspace.westeurope")), (2, format!("*.{guid}.inference.westeurope"))]
        );
        assert_eq!(names("privatelink.notebooks.azure.net"), [(1, format!("ml-ws1-westeurope-{guid}.westeurope"))]);
        let china = members(&workspace("ws1", "chinaeast2"), &groups);
        assert!(china[1].hosts[0].ends_with(".chinaeast2.notebooks.chinacloudapi.cn"));
        let long = members(&workspace(&"x".repeat(33), "westeurope"), &groups);
        assert_eq!(long[1].hosts[0].split('.').next().map(str::len), Some(63));
    }
}
