//! What each service is called: the members of its groups, which take an address of a private endpoint each, their host
//! names, and the records by which a private DNS zone answers for them.

use serde_json::Value;

use crate::body;
use crate::clouds::Cloud;
use crate::ids;
use crate::world::World;

/// A host name: what public DNS makes an alias of it as soon as an endpoint is connected, `{record}.{zone}`, is what a
/// private zone answers for.
struct Name {
    host: &'static str,
    zone: &'static str,
    record: &'static str,
}

const fn name(host: &'static str, zone: &'static str, record: &'static str) -> Name {
    Name { host, zone, record }
}

/// One member of a service's group: it takes one address of the endpoint.
struct Template {
    member: &'static str,
    names: &'static [Name],
}

const fn member(member: &'static str, names: &'static [Name]) -> Template {
    Template { member, names }
}

struct Service {
    kind: &'static str,
    groups: &'static [&'static str],
    members: &'static [Template],
}

const fn service(kind: &'static str, groups: &'static [&'static str], members: &'static [Template]) -> Service {
    Service { kind, groups, members }
}

const WORKSPACE: &str = "Microsoft.MachineLearningServices/workspaces";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";
const COSMOS: &str = "Microsoft.DocumentDB/databaseAccounts";
const SYNAPSE: &str = "Microsoft.Synapse/workspaces";

/// What answers for a workspace itself, and for its computes.
const WORKSPACE_ZONE: &str = "privatelink.api.azureml.ms";
const WORKSPACE_RECORD: &str = "{guid}.workspace.{region}";

/// A Cosmos account has a name of its own and one in its region for each of its interfaces.
macro_rules! cosmos {
    ($group:literal, $domain:literal) => {
        service(
            COSMOS,
            &[$group],
            &[
                member("{name}", &[name(concat!("{name}.", $domain), concat!("privatelink.", $domain), "{name}")]),
                member(
                    "{name}-{region}",
                    &[name(concat!("{name}-{region}.", $domain), concat!("privatelink.", $domain), "{name}-{region}")],
                ),
            ],
        )
    };
}

/// A service with one member, which is called like its group or as stated, and one host name.
macro_rules! simple {
    ($kind:literal, $group:literal, $domain:literal) => {
        simple!($kind, $group, $group, $domain)
    };
    ($kind:expr, $group:literal, $member:literal, $domain:literal) => {
        service(
            $kind,
            &[$group],
            &[member($member, &[name(concat!("{name}.", $domain), concat!("privatelink.", $domain), "{name}")])],
        )
    };
}

/// Host names, in the spelling of the public cloud: Microsoft's pages on private endpoint DNS values and on custom DNS
/// of workspaces, the recording of private endpoints (blob). Members: OpenAPI ContainerRegistry 2023-07-01, users'
/// reports (vault). Chosen: the names of the second and third member of a workspace; that `web` lies in its first zone,
/// as the account's own document has it.
///
/// `{service}` is the group without `_secondary`; `{label}` is the first label of a workspace's notebook host. Names
/// that belong to no single resource, as those of portals, are left out.
const SERVICES: &[Service] = &[
    service(
        WORKSPACE,
        &["amlworkspace"],
        &[
            member(
                "default",
                &[
                    name("{guid}.workspace.{region}.api.azureml.ms", WORKSPACE_ZONE, WORKSPACE_RECORD),
                    name("{guid}.workspace.{region}.cert.api.azureml.ms", WORKSPACE_ZONE, WORKSPACE_RECORD),
                ],
            ),
            member(
                "notebook",
                &[name("{label}.{region}.notebooks.azure.net", "privatelink.notebooks.azure.net", "{label}.{region}")],
            ),
            member(
                "inference",
                &[name("*.{region}.inference.ml.azure.com", WORKSPACE_ZONE, "*.{guid}.inference.{region}")],
            ),
        ],
    ),
    service(
        STORAGE,
        &["blob", "table", "queue", "file", "dfs"],
        &[member(
            "{group}",
            &[name("{name}.{service}.core.windows.net", "privatelink.{service}.core.windows.net", "{name}")],
        )],
    ),
    service(
        STORAGE,
        &["web"],
        &[member("web", &[name("{name}.z1.web.core.windows.net", "privatelink.web.core.windows.net", "{name}")])],
    ),
    service(
        STORAGE,
        &["blob_secondary", "table_secondary", "queue_secondary", "file_secondary", "web_secondary", "dfs_secondary"],
        &[member(
            "{group}",
            &[name(
                "{name}-secondary.{service}.core.windows.net",
                "privatelink.{service}.core.windows.net",
                "{name}-secondary",
            )],
        )],
    ),
    service(
        "Microsoft.KeyVault/vaults",
        &["vault"],
        &[member("default", &[name("{name}.vault.azure.net", "privatelink.vaultcore.azure.net", "{name}")])],
    ),
    service(
        REGISTRY,
        &["registry"],
        &[
            member(
                "registry_data_{region}",
                &[name("{name}.{region}.data.azurecr.io", "privatelink.azurecr.io", "{name}.{region}.data")],
            ),
            member("registry", &[name("{name}.azurecr.io", "privatelink.azurecr.io", "{name}")]),
        ],
    ),
    simple!("Microsoft.Sql/servers", "sqlServer", "database.windows.net"),
    cosmos!("Sql", "documents.azure.com"),
    cosmos!("MongoDB", "mongo.cosmos.azure.com"),
    cosmos!("Cassandra", "cassandra.cosmos.azure.com"),
    cosmos!("Gremlin", "gremlin.cosmos.azure.com"),
    cosmos!("Table", "table.cosmos.azure.com"),
    service(
        "Microsoft.CognitiveServices/accounts",
        &["account"],
        &[member(
            "default",
            &[
                name("{name}.cognitiveservices.azure.com", "privatelink.cognitiveservices.azure.com", "{name}"),
                name("{name}.openai.azure.com", "privatelink.openai.azure.com", "{name}"),
            ],
        )],
    ),
    simple!("Microsoft.Search/searchServices", "searchService", "search.windows.net"),
    simple!("Microsoft.EventHub/namespaces", "namespace", "servicebus.windows.net"),
    simple!("Microsoft.ServiceBus/namespaces", "namespace", "servicebus.windows.net"),
    simple!(SYNAPSE, "Sql", "Sql", "sql.azuresynapse.net"),
    service(
        SYNAPSE,
        &["SqlOnDemand"],
        &[member(
            "SqlOnDemand",
            &[name("{name}-ondemand.sql.azuresynapse.net", "privatelink.sql.azuresynapse.net", "{name}-ondemand")],
        )],
    ),
    simple!(SYNAPSE, "Dev", "Dev", "dev.azuresynapse.net"),
    service(
        "Microsoft.DataFactory/factories",
        &["dataFactory"],
        &[member(
            "dataFactory",
            &[name("{name}.{region}.datafactory.azure.net", "privatelink.datafactory.azure.net", "{name}.{region}")],
        )],
    ),
    simple!("Microsoft.ApiManagement/service", "Gateway", "azure-api.net"),
    simple!("Microsoft.DBforPostgreSQL/flexibleServers", "postgresqlServer", "postgres.database.azure.com"),
    simple!("Microsoft.DBforMySQL/flexibleServers", "mysqlServer", "mysql.database.azure.com"),
    simple!("Microsoft.Cache/Redis", "redisCache", "redis.cache.windows.net"),
    service(
        "Microsoft.Web/sites",
        &["sites"],
        &[member(
            "sites",
            &[
                name("{name}.azurewebsites.net", "privatelink.azurewebsites.net", "{name}"),
                name("{name}.scm.azurewebsites.net", "privatelink.azurewebsites.net", "{name}.scm"),
            ],
        )],
    ),
];

/// A host name, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName {
    pub(crate) host: String,
    /// The private zone that answers for it, and the name of the record there.
    pub(crate) zone: String,
    pub(crate) record: String,
}

impl HostName {
    /// What public DNS makes an alias of the host.
    pub(crate) fn alias(&self) -> String {
        format!("{}.{}", self.record, self.zone)
    }
}

/// A member of a target's group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) names: Vec<HostName>,
}

/// The first label of a workspace's notebook host: at most 63 characters, of which the name of the workspace gives way.
pub(crate) fn notebook_label(name: &str, region: &str, guid: &str) -> String {
    let room = 63usize.saturating_sub("ml---".len() + region.len() + guid.len());
    let short: String = name.chars().take(room).collect();
    format!("ml-{short}-{region}-{guid}")
}

/// What the placeholders stand for on one resource.
struct Words {
    name: String,
    region: String,
    guid: String,
}

impl Words {
    fn of(resource: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        Self {
            name: text(&resource["name"]),
            region: body::location(resource["location"].as_str().unwrap_or_default()),
            guid: text(&resource["properties"]["workspaceId"]),
        }
    }

    fn fill(&self, template: &str, group: &str) -> String {
        template
            .replace("{group}", group)
            .replace("{service}", group.strip_suffix("_secondary").unwrap_or(group))
            .replace("{label}", &notebook_label(&self.name, &self.region, &self.guid))
            .replace("{name}", &self.name)
            .replace("{guid}", &self.guid)
            .replace("{region}", &self.region)
    }

    fn host(&self, cloud: Cloud, name: &Name, group: &str) -> HostName {
        HostName {
            host: cloud.spell(&self.fill(name.host, group)),
            zone: cloud.spell(&self.fill(name.zone, group)),
            record: self.fill(name.record, group),
        }
    }

    fn member(&self, cloud: Cloud, template: &Template, group: &str) -> Member {
        Member {
            group: group.to_owned(),
            name: self.fill(template.member, group),
            names: template.names.iter().map(|name| self.host(cloud, name, group)).collect(),
        }
    }
}

fn services_of(resource: &Value) -> impl Iterator<Item = &'static Service> {
    let kind = resource["type"].as_str().unwrap_or_default().to_owned();
    SERVICES.iter().filter(move |service| service.kind.eq_ignore_ascii_case(&kind))
}

/// The members of a target that an endpoint with these groups takes addresses for, in the order of the addresses.
pub(crate) fn members(cloud: Cloud, target: &Value, groups: &[String]) -> Vec<Member> {
    let words = Words::of(target);
    let mut found = Vec::new();
    for group in groups {
        let known = |service: &&Service| service.groups.iter().any(|known| known.eq_ignore_ascii_case(group));
        match services_of(target).find(known) {
            Some(service) => found.extend(service.members.iter().map(|member| words.member(cloud, member, group))),
            // Chosen: a service that is not known has one member, called like its group, and no names.
            None => found.push(Member { group: group.clone(), name: group.clone(), names: Vec::new() }),
        }
    }
    found
}

/// The records that a zone gets for an endpoint, each with the index of its member. A zone that the service does not
/// name gets them all (example of zone groups in OpenAPI Network 2024-05-01).
pub(crate) fn records(members: &[Member], zone: &str) -> Vec<(usize, String)> {
    let all = || {
        let indexed = |(index, member): (usize, &'_ Member)| {
            member.names.iter().map(move |name| (index, name.clone())).collect::<Vec<_>>()
        };
        members.iter().enumerate().flat_map(indexed)
    };
    let known = all().any(|(_, name)| name.zone.eq_ignore_ascii_case(zone));
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, name) in all().filter(|(_, name)| !known || name.zone.eq_ignore_ascii_case(zone)) {
        if !found.iter().any(|(_, record)| *record == name.record) {
            found.push((index, name.record));
        }
    }
    found
}

/// A host name with what serves it.
pub(crate) struct Served<'a> {
    /// The resource that the name leads to.
    pub(crate) resource: &'a Value,
    pub(crate) group: String,
    pub(crate) member: String,
    pub(crate) name: HostName,
    /// Of names of online endpoints, the endpoint itself, which has a say of its own in who may call it.
    pub(crate) endpoint: Option<&'a Value>,
}

/// The groups of a resource that are there: an account has the services of its kind, and the second region only as
/// far as it can be read.
fn has_group(resource: &Value, group: &str) -> bool {
    if !resource["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(STORAGE)) {
        return true;
    }
    let service = group.strip_suffix("_secondary");
    let readable = resource["sku"]["name"].as_str().is_some_and(|sku| sku.contains("_RA"));
    let services = crate::providers::storage::services(resource["kind"].as_str().unwrap_or("StorageV2"));
    (service.is_none() || readable) && services.contains(&service.unwrap_or(group))
}

/// Every host name of a resource, ordered as the table has them.
pub(crate) fn served<'a>(world: &'a World, resource: &'a Value) -> Vec<Served<'a>> {
    let (words, cloud) = (Words::of(resource), world.settings.cloud);
    let mut found = Vec::new();
    for service in services_of(resource) {
        for group in service.groups.iter().filter(|group| has_group(resource, group)) {
            for template in service.members {
                let member = words.member(cloud, template, group);
                // A wildcard stands for names that are children's.
                found.extend(member.names.into_iter().filter(|name| !name.host.starts_with('*')).map(|name| Served {
                    resource,
                    group: member.group.clone(),
                    member: member.name.clone(),
                    name,
                    endpoint: None,
                }));
            }
        }
        if service.kind == WORKSPACE {
            found.extend(children(world, resource, &words));
        }
    }
    found
}

/// The host names of a workspace's online endpoints and compute instances (Microsoft's page on custom DNS). Chosen:
/// that public DNS leads an instance's name to the workspace's, whose address it has.
fn children<'a>(world: &'a World, workspace: &'a Value, words: &Words) -> Vec<Served<'a>> {
    let (cloud, Words { region, guid, .. }) = (world.settings.cloud, words);
    let served = |member: &str, host: String, record: String, endpoint| Served {
        resource: workspace,
        group: "amlworkspace".to_owned(),
        member: member.to_owned(),
        name: HostName { host: cloud.spell(&host), zone: cloud.spell(WORKSPACE_ZONE), record },
        endpoint,
    };
    let mut found = Vec::new();
    for (_, child) in world.below(&ids::key(workspace["id"].as_str().unwrap_or_default())) {
        let kind = child["type"].as_str().map(ids::name).unwrap_or_default();
        let name = child["name"].as_str().unwrap_or_default().to_lowercase();
        if kind.eq_ignore_ascii_case("onlineEndpoints") {
            let host = format!("{name}.{region}.inference.ml.azure.com");
            found.push(served("inference", host, format!("{name}.{guid}.inference.{region}"), Some(child)));
        }
        if kind.eq_ignore_ascii_case("computes") && child["properties"]["computeType"] == "ComputeInstance" {
            for label in [name.clone(), format!("{name}-22")] {
                let host = format!("{label}.{region}.instances.ml.azure.ms");
                found.push(served("default", host, words.fill(WORKSPACE_RECORD, ""), None));
            }
        }
    }
    found
}

/// Whether a name can be one of a resource's: a cheap question to ask of thousands before theirs are spelled out.
fn mentions(host: &str, resource: &Value, words: &Words) -> bool {
    let of_children = || host.contains(".inference.") || host.contains(".instances.");
    services_of(resource).next().is_some_and(|service| {
        if service.kind == WORKSPACE {
            !words.guid.is_empty() && host.contains(&words.guid) || of_children()
        } else {
            host.contains(&words.name)
        }
    })
}

/// What a name leads to: a host name, or what public DNS makes an alias of one.
pub(crate) fn find<'a>(world: &'a World, wanted: &str) -> Option<Served<'a>> {
    let candidates = world.resources.values().filter(|resource| mentions(wanted, resource, &Words::of(resource)));
    let mut all = candidates.flat_map(|resource| served(world, resource));
    all.find(|served| served.name.host == wanted || served.name.alias() == wanted)
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
        let all = members(Cloud::AzureCloud, &workspace("ws1", "West Europe"), &groups);
        let hosts: Vec<&str> = all.iter().flat_map(|member| &member.names).map(|name| name.host.as_str()).collect();
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
        let china = members(Cloud::AzureChinaCloud, &workspace("ws1", "chinaeast2"), &groups);
        assert!(china[1].names[0].host.ends_with(".chinaeast2.notebooks.chinacloudapi.cn"));
        assert_eq!(china[1].names[0].zone, "privatelink.notebooks.chinacloudapi.cn");
        let long = members(Cloud::AzureCloud, &workspace(&"x".repeat(33), "westeurope"), &groups);
        assert_eq!(long[1].names[0].host.split('.').next().map(str::len), Some(63));
    }

    #[test]
    fn the_notebook_label_is_cut_as_recorded() {
        let label = notebook_label("asotestworklvjvhi", "westus3", "79a5ed1b-0f02-4baa-89c2-23dad085bce8");
        assert_eq!(label, "ml-asotestworklvjv-westus3-79a5ed1b-0f02-4baa-89c2-23dad085bce8");
        let long = notebook_label("w", "germanywestcentral", "79a5ed1b-0f02-4baa-89c2-23dad085bce8");
        assert!(long.starts_with("ml-w-germanywestcentral-"), "{long}");
    }
}
