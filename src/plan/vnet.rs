//! What brings one network to where a workspace, and all it depends on, can be used from it: private endpoints, each approved by somebody
//! else, and the names that lead to them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::api::common::Recreate;
use crate::api::connection::CloudName;
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::{AttachedEndpoint, DnsRecord, NetworkRole, VnetAttachmentSpec, VnetAttachmentStatus};
use crate::azure::network::{PrivateEndpoint, PrivateZone, VirtualNetwork, ZoneGroup, ZoneLink};

use super::attached::{Decided, Site};
use super::difference::Difference;
use super::outcome::{Reason, Verdict};
use super::step::Step;

mod conditions;
mod dns;
mod endpoints;
mod farewell;
mod files;
mod subnet;
mod targets;

pub use conditions::{CONDITIONS, DNS_CONFIG_MAP, DNS_READY, ENDPOINTS_APPROVED, NAMES_HIDDEN, SAME_NETWORK};
pub use dns::{GROUP, link_id, records_of_interest, shared_owner, zone_names};
pub use farewell::{Leaving, farewell};
pub use files::{hosts, zone};
pub use targets::{Target, check, endpoint_id, targets};

/// The most host names that a status lists.
const RECORDS: usize = 128;

/// Where things lie, by what the object says.
#[derive(Clone, Debug, PartialEq)]
pub struct Places {
    /// The subnet.
    pub subnet: ArmId,
    /// The network.
    pub network: ArmId,
    /// Path of the group that endpoints are made in.
    pub endpoints: String,
    /// Path of the group that zones are in.
    pub zones: String,
}

impl Places {
    /// Reads them from `spec`.
    ///
    /// # Errors
    /// With the verdict to report if an id cannot be read, which the schema refuses.
    pub fn of(spec: &VnetAttachmentSpec) -> Result<Self, Verdict> {
        let invalid = |error: crate::api::ids::NoArmId| Verdict::new(Reason::Invalid, error.to_string());
        let subnet = ArmId::parse(&spec.subnet.resource_id).map_err(invalid)?;
        let network = subnet.parent().map_err(invalid)?;
        let home = format!("/subscriptions/{}/resourceGroups/{}", network.subscription(), network.resource_group());
        let endpoints = spec.endpoints_resource_group_id.clone().unwrap_or(home);
        let endpoints = endpoints.trim_end_matches('/').to_owned();
        let zones = spec.dns.as_ref().and_then(|dns| dns.zones_resource_group_id.clone());
        let zones = zones.map_or_else(|| endpoints.clone(), |zones| zones.trim_end_matches('/').to_owned());
        Ok(Self { subnet, network, endpoints, zones })
    }

    /// The subscription that endpoints are made in.
    pub fn subscription(&self) -> &str {
        self.endpoints.split('/').nth(2).unwrap_or_default()
    }

    /// The id of the zone `name`.
    ///
    /// # Errors
    /// As [`Places::of`].
    pub fn zone(&self, name: &str) -> Result<ArmId, Verdict> {
        let id = format!("{}/providers/{}/{name}", self.zones, crate::azure::network::PRIVATE_ZONES);
        ArmId::parse(&id).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
    }
}

/// What Azure shows of one endpoint that shall be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The one under the name that is derived for it.
    pub own: Option<PrivateEndpoint>,
    /// Another one in the same network that leads to the same place, and is approved.
    pub reusable: Option<(ArmId, PrivateEndpoint)>,
    /// The older attachment of the namespace that makes one for the same target in the same network.
    pub maker: Option<String>,
    /// Its public host names with their addresses.
    pub names: Vec<(String, IpAddr)>,
    /// The zone group of the own one.
    pub group: Option<ZoneGroup>,
    /// The zones that answer for it, as the target or Microsoft's table names them.
    pub zones: Vec<String>,
}

/// What Azure shows of one zone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenZone {
    /// The zone; `None` if there is none.
    pub zone: Option<PrivateZone>,
    /// Its link to the network, by name.
    pub link: Option<ZoneLink>,
    /// Another zone of this name that the network is linked to, which keeps it from being linked to this one.
    pub elsewhere: Option<ArmId>,
    /// What its records of interest hold; no entry for what was not asked for, `None` for what is not there.
    pub records: BTreeMap<String, Option<Vec<IpAddr>>>,
}

/// Another attachment of the same workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its network, in lower case.
    pub network: String,
    /// What that is for.
    pub role: NetworkRole,
}

/// What keeps everything from being made in the group of the endpoints. Read only while an endpoint is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// A lock of the level ReadOnly there or above, or on the network.
    pub lock: Option<String>,
    /// The state of the provider Microsoft.Network in the subscription, if it is not registered.
    pub unregistered: Option<String>,
}

/// What is read for one attachment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What keeps endpoints from being made.
    pub obstacles: Obstacles,
    /// The network; `None` if there is none.
    pub network: Option<VirtualNetwork>,
    /// The endpoints, in the order of the targets.
    pub endpoints: Vec<Seen>,
    /// The zones, by name.
    pub zones: BTreeMap<String, SeenZone>,
    /// Other attachments of the same workspace.
    pub peers: Vec<Peer>,
    /// Other workspaces of this namespace that are not attached to this network.
    pub others: Vec<String>,
}

/// All the decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct VnetInput<'a> {
    /// Where it is.
    pub site: &'a Site<'a>,
    /// What is declared.
    pub spec: &'a VnetAttachmentSpec,
    /// Which cloud it is in.
    pub cloud: CloudName,
    /// What was read.
    pub observed: &'a Observed,
}

/// One endpoint, with what is known of it.
#[derive(Clone, Debug)]
struct Endpoint<'a> {
    target: &'a Target,
    /// Of the one in use: the own one, or one that is reused.
    id: ArmId,
    shown: Option<&'a PrivateEndpoint>,
    own: bool,
    seen: &'a Seen,
}

impl Endpoint<'_> {
    fn is_approved(&self) -> bool {
        self.shown.is_some_and(|shown| shown.is_approved() && !shown.is_moving())
    }
}

/// What was found about one thing: steps to take, and what is wrong.
#[derive(Debug, Default)]
struct Findings {
    steps: Vec<Step>,
    problems: Vec<Verdict>,
    differences: Vec<Difference>,
}

/// How much a problem says about the whole: what nobody but the object's author can mend comes first, what mends itself last.
fn rank(verdict: &Verdict) -> u8 {
    match verdict.reason {
        Reason::OwnedElsewhere | Reason::AdoptionRefused | Reason::Invalid | Reason::NotChangeable => 0,
        Reason::SubnetNotUsable | Reason::ParentMissing | Reason::Locked | Reason::ProviderNotRegistered => 1,
        Reason::ConnectionRejected => 2,
        Reason::RecordOwned | Reason::ZoneMissing | Reason::ZoneElsewhere => 3,
        Reason::ApprovalPending => 4,
        _ => 5,
    }
}

/// Decides about the attachment.
pub fn plan(input: VnetInput<'_>) -> Decided<VnetAttachmentStatus> {
    let connection = input.site.workspace.spec.connection_ref.name.clone();
    let mut status = VnetAttachmentStatus { connection: Some(connection), ..VnetAttachmentStatus::default() };
    let prepared = input.site.shown().and_then(|shown| {
        Ok((Places::of(input.spec)?, targets(input.spec, &input.site.workspace.spec, input.site.id, shown)?))
    });
    let (places, targets) = match prepared {
        Ok(prepared) => prepared,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    let Some(network) = &input.observed.network else {
        let message =
            format!("there is no virtual network {}; create it, or correct subnet.resourceId", places.network);
        return Decided::stopped(status, Verdict::new(Reason::ParentMissing, message));
    };
    status.location.clone_from(&network.location);
    let endpoints = match endpoints::all(&input, &places, &targets) {
        Ok(endpoints) => endpoints,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    let mut findings = endpoints::judge(&input, &places, network, &endpoints);
    let names = dns::judge(&input, &places, &endpoints, &mut findings);
    let approved = endpoints.iter().filter(|endpoint| endpoint.is_approved()).count();
    status.approved = Some(format!("{approved}/{}", endpoints.len()));
    status.endpoints = endpoints
        .iter()
        .map(|endpoint| AttachedEndpoint {
            target: endpoint.target.id.to_string(),
            subresource: endpoint.target.group.clone(),
            resource_id: endpoint.id.to_string(),
            state: endpoint.shown.map_or("Missing", PrivateEndpoint::state).chars().take(32).collect(),
            origin: if endpoint.own { "Created" } else { "Reused" }.to_owned(),
            dns: names.missing.get(&endpoint.id.key()).map(|words| words.chars().take(1024).collect()),
        })
        .collect();
    status.dns_records = records(&endpoints);
    status.zones = names.zones.iter().map(ToString::to_string).collect();
    let conditions = conditions::all(&input, &places, &endpoints, &names);
    let verdict = verdict(&findings, &endpoints);
    let Findings { steps, differences, .. } = findings;
    Decided { steps, ..Decided::stopped(status, verdict) }.differing(differences).with(conditions)
}

fn verdict(findings: &Findings, endpoints: &[Endpoint<'_>]) -> Verdict {
    let worst = findings.problems.iter().min_by_key(|problem| rank(problem));
    if let Some(worst) = worst {
        let like = findings.problems.iter().filter(|other| other.reason == worst.reason).count() - 1;
        let more = if like == 0 { String::new() } else { format!(" ({like} more like this)") };
        return Verdict::new(worst.reason, format!("{}{more}", worst.message)).after(worst.after);
    }
    match findings.steps.as_slice() {
        [] => Verdict::new(
            Reason::Attached,
            format!("{} private endpoints are approved, and their names lead to them", endpoints.len()),
        ),
        [one] => one.verdict.clone(),
        [first, rest @ ..] => {
            Verdict::new(first.verdict.reason, format!("{} and {} more", first.verdict.message, rest.len()))
        }
    }
}

/// Every host name with its address, in a stable order.
fn records(endpoints: &[Endpoint<'_>]) -> Vec<DnsRecord> {
    let names = endpoints.iter().flat_map(|endpoint| &endpoint.seen.names);
    let mut records: Vec<DnsRecord> =
        names.map(|(name, address)| DnsRecord { name: name.clone(), address: address.to_string() }).collect();
    records.sort();
    records.dedup();
    records.truncate(RECORDS);
    records
}

fn may_recreate(spec: &VnetAttachmentSpec) -> bool {
    spec.recreate.unwrap_or_default() == Recreate::Allowed
}

#[cfg(test)]
mod tests;
