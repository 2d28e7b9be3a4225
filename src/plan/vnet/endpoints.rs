//! The private endpoints: which are made, which are reused, and what is said of each.

use serde_json::json;

use crate::api::OWNER_TAG;
use crate::api::connection::Verb;
use crate::azure::network::{API_VERSION, PrivateEndpoint, VirtualNetwork};
use crate::plan::difference::Difference;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::Origin;
use crate::plan::step::Step;

use super::{Endpoint, Findings, Places, Target, VnetInput, endpoint_id, may_recreate, subnet};

/// The longest text that goes along with a request (specification of privateLinkServiceConnections).
const MESSAGE: usize = 140;

/// Every endpoint that shall be, with what is known of it.
pub(super) fn all<'a>(
    input: &VnetInput<'a>,
    places: &Places,
    targets: &'a [Target],
) -> Result<Vec<Endpoint<'a>>, Verdict> {
    let found = targets.iter().zip(&input.observed.endpoints);
    found
        .map(|(target, seen)| {
            let own = endpoint_id(input.site.owner, places, target)?;
            let endpoint = Endpoint { target, id: own, shown: seen.own.as_ref(), own: true, seen };
            // What is there under the own name stays in use; another one only serves where none is.
            Ok(match (&seen.own, &seen.reusable) {
                (None, Some((id, shown))) => Endpoint { id: id.clone(), shown: Some(shown), own: false, ..endpoint },
                _ => endpoint,
            })
        })
        .collect()
}

/// What each endpoint needs.
pub(super) fn judge(
    input: &VnetInput<'_>,
    places: &Places,
    network: &VirtualNetwork,
    endpoints: &[Endpoint<'_>],
) -> Findings {
    let mut findings = Findings::default();
    let missing = endpoints.iter().filter(|endpoint| endpoint.shown.is_none() && endpoint.seen.maker.is_none());
    let needed = missing.map(|endpoint| endpoint.target.addresses).sum();
    let usable = subnet::usable(network, places, needed).map(|_| ());
    let usable = usable.and_then(|()| subnet::unhindered(&input.observed.obstacles, places)).err();
    for endpoint in endpoints {
        match endpoint.shown {
            Some(shown) => existing(input, endpoint, shown, &mut findings),
            None => match (&endpoint.seen.maker, &usable) {
                // Two endpoints of one network to one target would fight for one record.
                (Some(maker), _) => {
                    let words = endpoint.target.words();
                    let message = format!(
                        "the VnetAttachment {maker} makes the private endpoint for {words} in this network, which is used once it is approved"
                    );
                    findings.problems.push(Verdict::new(Reason::Updating, message));
                }
                (None, Some(verdict)) => findings.problems.push(verdict.clone()),
                (None, None) => create(input, places, network, endpoint, &mut findings),
            },
        }
    }
    findings
}

fn create(
    input: &VnetInput<'_>,
    places: &Places,
    network: &VirtualNetwork,
    endpoint: &Endpoint<'_>,
    findings: &mut Findings,
) {
    let owner = input.site.owner;
    let target = endpoint.target;
    let words: String = format!("aml-operator: {}/{} for {}", owner.namespace, owner.name, target.words());
    let location = network.location.clone().unwrap_or_else(|| input.site.workspace.spec.location.clone());
    // Always a manual connection, so that the operator's own rights never approve by accident: a policy decides.
    let body = json!({
        "location": location,
        "tags": { OWNER_TAG: owner.tag(Origin::Created) },
        "properties": {
            "subnet": { "id": places.subnet.as_str() },
            "customNetworkInterfaceName": format!("{}-nic", endpoint.id.name()),
            "manualPrivateLinkServiceConnections": [{
                "name": endpoint.id.name(),
                "properties": {
                    "privateLinkServiceId": target.id.as_str(), "groupIds": [target.group],
                    "requestMessage": words.chars().take(MESSAGE).collect::<String>(),
                },
            }],
        },
    });
    let verdict =
        Verdict::new(Reason::Creating, format!("Azure is making the private endpoint for {}", target.words()));
    let step = Step::put(&endpoint.id, API_VERSION, body, verdict);
    let step =
        step.needing(Verb::Create, &endpoint.id).needing(Verb::Reach, &places.subnet).needing(Verb::Reach, &target.id);
    findings.steps.push(step);
    let field = format!("privateEndpoints/{}", endpoint.id.name());
    findings.differences.push(Difference::of(field, None, "Approved"));
}

fn existing(input: &VnetInput<'_>, endpoint: &Endpoint<'_>, shown: &PrivateEndpoint, findings: &mut Findings) {
    if !endpoint.own {
        return;
    }
    let target = endpoint.target;
    let tag = shown.tag(OWNER_TAG);
    if !input.site.observes && !tag.is_some_and(|tag| input.site.owner.is(tag)) {
        let message = format!(
            "the private endpoint {} exists already and is not this object's; delete it, or rename this object",
            endpoint.id
        );
        findings.problems.push(Verdict::new(Reason::OwnedElsewhere, message));
        return;
    }
    if shown.is_moving() {
        let message = format!("Azure is at work on the private endpoint for {}", target.words());
        findings.problems.push(Verdict::new(Reason::Updating, message));
        return;
    }
    let state = shown.state().to_ascii_lowercase();
    let field = format!("privateEndpoints/{}", endpoint.id.name());
    let wrong = if !shown.leads_to(target.id.as_str(), &target.group) {
        Some("it leads elsewhere".to_owned())
    } else if shown.has_failed() {
        Some("Azure could not make it".to_owned())
    } else if state == "rejected" {
        Some(format!("the target's owner rejected it ({})", clean(shown.words())))
    } else if state == "disconnected" {
        Some("its connection was removed on the target".to_owned())
    } else {
        None
    };
    if let Some(why) = wrong {
        findings.differences.push(Difference::of(field, Some(shown.state()), "Approved"));
        let message = format!("the private endpoint for {} ({}): {why}", target.words(), endpoint.id.name());
        if may_recreate(input.spec) {
            let verdict = Verdict::new(Reason::Updating, format!("{message}; it is deleted to ask anew"));
            findings.steps.push(Step::delete(&endpoint.id, API_VERSION, verdict).needing(Verb::Create, &endpoint.id));
        } else {
            let message =
                format!("{message}. Settle it with the target's owner, and set recreate: Allowed to ask anew");
            findings.problems.push(Verdict::new(Reason::ConnectionRejected, message));
        }
        return;
    }
    if !shown.is_approved() {
        let message = format!(
            "{} waits for the approval of the private endpoint {}: a PrivateEndpointApproval on {} that names it (vnetAttachmentRef, or its \
             id), or a person in Azure",
            target.words(),
            endpoint.id,
            target.id
        );
        findings.problems.push(Verdict::new(Reason::ApprovalPending, message));
    }
}

/// Words of others, fit to be shown.
fn clean(words: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = words.chars().take(200).map(plain).collect();
    if words.trim().is_empty() { "without a word".to_owned() } else { words }
}
