//! What an attached network means for the posture of its workspace: posted for the workspace's turn, which judges it.

use kube::ResourceExt;

use crate::api::VnetAttachment;
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::{DnsMode, VnetAttachmentStatus};
use crate::azure::network::{API_VERSION, Subnet, VirtualNetwork};
use crate::controllers::attached::Scene;
use crate::plan::Verdict;
use crate::plan::attached::Decided;
use crate::plan::posture::{Network, NetworkEndpoint, NetworkSubnet, SecurityGroup};
use crate::plan::vnet::{Observed, Places};
use crate::runtime::station::workspace_of;

/// Posts what was seen and decided; the workspace looks again if that is news.
pub(super) async fn post(
    object: &VnetAttachment,
    scene: &Scene<'_>,
    observed: &Observed,
    decided: &Decided<VnetAttachmentStatus>,
) {
    let Ok(places) = Places::of(&object.spec) else { return };
    let endpoint = |shown: &crate::api::vnet_attachment::AttachedEndpoint| NetworkEndpoint {
        id: shown.resource_id.clone(),
        target: shown.target.clone(),
        group: shown.subresource.clone(),
        approved: shown.state.eq_ignore_ascii_case("Approved"),
        names_missing: shown.dns.clone(),
    };
    let network = Network {
        attachment: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
        id: places.network.to_string(),
        unseen: observed.network.is_none().then(|| decided.verdict.message.clone()),
        endpoints: decided.status.endpoints.iter().map(endpoint).collect(),
        custom_dns: object.spec.dns_mode() == DnsMode::Custom,
        subnet: match &observed.network {
            Some(network) => subnet(scene, network, &places.subnet).await,
            None => None,
        },
    };
    let context = scene.context;
    let there = || context.indexes.stations.attachments.objects().filter_map(|other| other.metadata.uid).collect();
    if context.surroundings.post_network(&object.uid().unwrap_or_default(), network, there) {
        context.triggers.workspace(&workspace_of(object));
    }
}

async fn subnet(scene: &Scene<'_>, network: &VirtualNetwork, id: &ArmId) -> Option<NetworkSubnet> {
    let same = |subnet: &&Subnet| subnet.id.as_deref().is_some_and(|shown| shown.eq_ignore_ascii_case(id.as_str()));
    let shown = network.subnets().find(same)?;
    let own = &shown.properties;
    let endpoints_only = shown.has_endpoints_only();
    let group = own.network_security_group.as_ref().and_then(|group| group.id.as_deref());
    Some(NetworkSubnet {
        id: id.to_string(),
        prefixes: shown.prefixes(),
        security_group: match group.filter(|_| !endpoints_only) {
            Some(group) => Some(security_group(scene, group).await),
            None => None,
        },
        service_endpoints: own
            .service_endpoints
            .iter()
            .flatten()
            .filter_map(|endpoint| endpoint.service.clone())
            .collect(),
        endpoint_policies: own.service_endpoint_policies.as_ref().is_some_and(|policies| !policies.is_empty()),
        endpoints_only,
    })
}

/// Reads a security group. What the namespace may not read is not told to it either.
async fn security_group(scene: &Scene<'_>, group: &str) -> Result<SecurityGroup, String> {
    let id = ArmId::parse(group).map_err(|error| error.to_string())?;
    scene.site.fence.allows_reading(&id).map_err(|verdict| verdict.message)?;
    let read = scene.connected.client.get(id.as_str(), API_VERSION, scene.priority).await;
    let read = read.map_err(|error| Verdict::of_error(&format!("reading {id}"), &error).message)?;
    Ok(SecurityGroup::read(&read))
}
