//! What a resource is called: the members of its groups, which take an address of a private endpoint each, their host
//! names, and the records by which a private DNS zone answers for them.

use serde_json::Value;

use super::monitor;
use super::services::{Name, SERVICES, STORAGE, Service, Template, WORKSPACE, WORKSPACE_RECORD, WORKSPACE_ZONE};
use crate::body;
use crate::clouds::Cloud;
use crate::ids;
use crate::world::World;

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
pub(crate) fn members(world: &World, target: &Value, groups: &[String]) -> Vec<Member> {
    if monitor::is_scope(target) {
        return monitor::members(world, target);
    }
    let (words, cloud) = (Words::of(target), world.settings.cloud);
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
    /// Whether the name is that of several resources, whoever is connected: Azure Monitor's are always an alias.
    pub(crate) shared: bool,
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
    // Projects are reached by the names of their hub (Microsoft's page on custom DNS of workspaces).
    if let Some(hub) =
        resource["properties"]["hubResourceId"].as_str().and_then(|hub| world.resources.get(&ids::key(hub)))
        && services_of(resource).any(|service| service.kind == WORKSPACE)
    {
        return served(world, hub);
    }
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
                    shared: false,
                    endpoint: None,
                }));
            }
        }
        if service.kind == WORKSPACE {
            found.extend(children(world, resource, &words));
        }
    }
    found.extend(monitor::served(world, resource));
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
        shared: false,
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
fn mentions(host: &str, resource: &Value) -> bool {
    let Some(service) = services_of(resource).next() else { return monitor::is_monitored(resource) };
    let words = Words::of(resource);
    if service.kind == WORKSPACE {
        let of_children = || host.contains(".inference.") || host.contains(".instances.");
        !words.guid.is_empty() && host.contains(&words.guid) || of_children()
    } else {
        host.contains(&words.name)
    }
}

/// What a name leads to: a host name, or what public DNS makes an alias of one.
pub(crate) fn find<'a>(world: &'a World, wanted: &str) -> Option<Served<'a>> {
    let candidates = world.resources.values().filter(|resource| mentions(wanted, resource));
    let mut all = candidates.flat_map(|resource| served(world, resource));
    all.find(|served| served.name.host == wanted || served.name.alias() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn world(cloud: Cloud) -> World {
        let mut world = World::default();
        world.settings.cloud = cloud;
        world
    }

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
        let all = members(&world(Cloud::AzureCloud), &workspace("ws1", "West Europe"), &groups);
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
        let china = members(&world(Cloud::AzureChinaCloud), &workspace("ws1", "chinaeast2"), &groups);
        assert!(china[1].names[0].host.ends_with(".chinaeast2.notebooks.chinacloudapi.cn"));
        assert_eq!(china[1].names[0].zone, "privatelink.notebooks.chinacloudapi.cn");
        let long = members(&world(Cloud::AzureCloud), &workspace(&"x".repeat(33), "westeurope"), &groups);
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
