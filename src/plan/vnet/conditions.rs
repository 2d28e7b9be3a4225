//! What is said of an attachment beside its summary.

use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::vnet_attachment::{DnsMode, NetworkRole};

use super::dns::Names;
use super::{Endpoint, Places, VnetInput};

/// Says whether every endpoint is approved.
pub const ENDPOINTS_APPROVED: &str = "EndpointsApproved";
/// Says whether every name leads to its endpoint.
pub const DNS_READY: &str = "DnsReady";
/// Says whether some network holds the workspace and all it depends on.
pub const SAME_NETWORK: &str = "SameNetwork";
/// Says whether a zone hides other workspaces' names from the network.
pub const NAMES_HIDDEN: &str = "NamesHidden";
/// Says whether the ConfigMap that the object names holds the names.
pub const DNS_CONFIG_MAP: &str = "DnsConfigMap";
/// All of them.
pub const CONDITIONS: &[&str] = &[ENDPOINTS_APPROVED, DNS_READY, SAME_NETWORK, NAMES_HIDDEN, DNS_CONFIG_MAP];

/// How many names a message lists.
const LISTED: usize = 10;

fn draft(type_: &'static str, holds: bool, reason: &str, message: String) -> ConditionDraft {
    ConditionDraft { type_, status: ConditionStatus::from(holds), reason: reason.to_owned(), message }
}

pub(super) fn all(
    input: &VnetInput<'_>,
    places: &Places,
    endpoints: &[Endpoint<'_>],
    names: &Names,
) -> Vec<ConditionDraft> {
    vec![approved(endpoints), ready(input, endpoints, names), same_network(input, places), hidden(input, names)]
}

fn approved(endpoints: &[Endpoint<'_>]) -> ConditionDraft {
    let waiting: Vec<String> =
        endpoints.iter().filter(|endpoint| !endpoint.is_approved()).map(|endpoint| endpoint.target.words()).collect();
    if waiting.is_empty() {
        let message = format!("all {} private endpoints are approved", endpoints.len());
        return draft(ENDPOINTS_APPROVED, true, "AllApproved", message);
    }
    let message = format!("not approved: {}", waiting.join(", "));
    draft(ENDPOINTS_APPROVED, false, "EndpointsWaiting", message)
}

fn ready(input: &VnetInput<'_>, endpoints: &[Endpoint<'_>], names: &Names) -> ConditionDraft {
    if input.spec.dns_mode() == DnsMode::Custom {
        let message = "dns.mode: Custom: your own servers answer; status.dnsRecords says what they must".to_owned();
        return ConditionDraft { status: ConditionStatus::Unknown, ..draft(DNS_READY, true, "CustomDns", message) };
    }
    let lacks: Vec<String> = endpoints
        .iter()
        .filter_map(|endpoint| {
            let words = names.missing.get(&endpoint.id.key())?;
            Some(format!("{}: {words}", endpoint.target.words()))
        })
        .collect();
    if !lacks.is_empty() {
        return draft(DNS_READY, false, "NamesMissing", lacks.join(". "));
    }
    if endpoints.iter().any(|endpoint| !endpoint.is_approved()) {
        let message = "names are led to an endpoint once it is approved".to_owned();
        return draft(DNS_READY, false, "EndpointsWaiting", message);
    }
    let zones = names.zones.len();
    draft(DNS_READY, true, "AllNames", format!("every name leads to its endpoint, by {zones} private DNS zones"))
}

/// Microsoft: with several workspace endpoints, one of them must lie in the same network as those of storage, vault and registry.
fn same_network(input: &VnetInput<'_>, places: &Places) -> ConditionDraft {
    let services = |role: NetworkRole| role == NetworkRole::Services;
    if services(input.spec.role) {
        let message = "this network holds the workspace and all it depends on".to_owned();
        return draft(SAME_NETWORK, true, "ThisNetwork", message);
    }
    let here = places.network.key();
    if let Some(peer) = input.observed.peers.iter().find(|peer| services(peer.role)) {
        let message = if peer.network == here {
            "another attachment makes this network hold the workspace and all it depends on"
        } else {
            "another network holds the workspace and all it depends on; this one must reach it (peering) for what has no endpoint here"
        };
        return draft(SAME_NETWORK, true, "OtherAttachment", message.to_owned());
    }
    let message = "no network holds the workspace and all it depends on together, which Microsoft asks of one at least: attach one with role: \
                   Services";
    draft(SAME_NETWORK, false, "NoServicesNetwork", message.to_owned())
}

/// A zone answers for all names below it: what is not in it does not exist in a linked network, unless the link asks the public DNS then.
fn hidden(input: &VnetInput<'_>, names: &Names) -> ConditionDraft {
    let others = &input.observed.others;
    if !names.hides || others.is_empty() {
        return draft(
            NAMES_HIDDEN,
            false,
            "NoneHidden",
            "no workspace of this namespace is hidden by a zone".to_owned(),
        );
    }
    let listed: Vec<&str> = others.iter().take(LISTED).map(String::as_str).collect();
    let message = format!(
        "in this network these workspaces cannot be resolved once the zones are linked, since they have no records for them: {}. Attach them too, or set \
         resolutionPolicy: NxDomainRedirect on the links",
        listed.join(", ")
    );
    draft(NAMES_HIDDEN, true, "ZoneAnswersForAll", message)
}
