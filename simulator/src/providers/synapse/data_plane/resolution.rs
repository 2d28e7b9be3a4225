//! Where a host name leads from inside the managed network of a workspace.

use serde_json::{Value, json};

use crate::ids;
use crate::reachability::hosts::{self, Served};
use crate::resource_type;
use crate::world::World;

use super::MANAGED_ENDPOINT;

impl World {
    /// The address to which a name leads inside a workspace's managed network: a private one if an approved managed
    /// endpoint leads there, else the public one of what has the name, else none. `None` if there is no such workspace.
    pub(crate) fn resolve_from_synapse(&self, workspace: &str, name: &str) -> Option<Value> {
        let workspace = self.synapse_workspace(workspace)?;
        let asked = name.trim_end_matches('.').to_lowercase();
        let served = hosts::find(self, &asked);
        let inside = served.as_ref().and_then(|served| self.managed_address(workspace, served));
        let (address, endpoint) = match inside {
            Some((address, endpoint)) => (Some(address), Some(endpoint)),
            None => {
                let public = self.resolve("internet", &asked).map(|found| found.addresses).unwrap_or_default();
                (public.first().map(ToString::to_string), None)
            }
        };
        Some(json!({
            "name": asked, "address": address, "private": endpoint.is_some(), "managedPrivateEndpoint": endpoint,
        }))
    }

    /// The address that a name has by a managed endpoint, and the name of the endpoint.
    fn managed_address(&self, workspace: &Value, served: &Served<'_>) -> Option<(String, String)> {
        let id = workspace["id"].as_str().unwrap_or_default();
        let target = ids::key(served.resource["id"].as_str().unwrap_or_default());
        let leads_there = |endpoint: &Value| {
            let properties = &endpoint["properties"];
            let text = |name: &str| properties[name].as_str().unwrap_or_default();
            ids::key(text("privateLinkResourceId")) == target
                && text("groupId").eq_ignore_ascii_case(&served.group)
                && properties["connectionState"]["status"] == json!("Approved")
        };
        let mut endpoints = self.list(id, MANAGED_ENDPOINT.kind).map(|endpoint| resource_type::render(self, endpoint));
        let endpoint = endpoints.find(leads_there)?;
        let members = hosts::members(self, served.resource, std::slice::from_ref(&served.group));
        let place = members.iter().position(|member| member.name == served.member).unwrap_or_default();
        let bytes = *ids::guid(&["synapse endpoint address", endpoint["id"].as_str().unwrap_or_default()]).as_bytes();
        // Chosen: the addresses of a managed network.
        let address = format!("10.{}.{}.{}", bytes[0], bytes[1], 4 + place);
        Some((address, endpoint["name"].as_str().unwrap_or_default().to_owned()))
    }
}
