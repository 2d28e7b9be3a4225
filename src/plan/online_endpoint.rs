//! What brings one online endpoint to what is declared. Its deployments and the traffic between them are only looked at: a PUT, which
//! states the whole endpoint, sends them back as they were found.

mod judge;

use serde_json::{Value, json};

use crate::api::OWNER_TAG;
use crate::api::common::{Door, acknowledged};
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::online_endpoint::{AmlOnlineEndpointSpec, AmlOnlineEndpointStatus, DeploymentStatus};
use crate::api::workspace::PublicNetworkAccess;
use crate::azure::online_endpoint::{API_VERSION, Deployment, OnlineEndpoint};

use super::attached::{Decided, Farewell, Policies, Site};
use super::difference::{Comparison, Difference, Mend};
use super::existing::{Existing, Next};
use super::outcome::{Reason, Verdict};
use super::own_identity;
use super::ownership::{Origin, Owner};
use super::step::Step;

pub use judge::SERVING;

/// The field behind the door.
const ACCESS: &str = "properties.publicNetworkAccess";
/// How many deployments a status lists, and a message names.
const LISTED: usize = 20;

/// What was seen of everything that one online endpoint is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The endpoint, if there is one.
    pub endpoint: Option<OnlineEndpoint>,
    /// Its deployments.
    pub deployments: Vec<Deployment>,
}

/// What one online endpoint's decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct EndpointInput<'a> {
    /// Where it is.
    pub site: &'a Site<'a>,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What is declared.
    pub spec: &'a AmlOnlineEndpointSpec,
    /// What every such kind declares.
    pub policies: Policies<'a>,
    /// What was seen.
    pub observed: &'a Observed,
}

/// Refuses what no grant allows, before Azure is asked.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlOnlineEndpointSpec, site: &Site<'_>, id: &ArmId) -> Result<(), Verdict> {
    site.fence.allows_reading(id)?;
    site.fence.allows_public_access(id, spec.public_network_access)?;
    for named in spec.identity.iter().flat_map(|identity| &identity.user_assigned_identities) {
        let named = ArmId::parse(named).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))?;
        site.fence.allows(Verb::Reach, &named)?;
    }
    Ok(())
}

/// Decides about the online endpoint.
pub fn plan(input: EndpointInput<'_>) -> Decided<AmlOnlineEndpointStatus> {
    let status = status(&input);
    let shown = match input.site.shown() {
        Ok(shown) => shown,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    match &input.observed.endpoint {
        Some(observed) => existing(&input, observed, status).with(judge::judge(&input, shown, observed)),
        None => match door(&input).and_then(|()| input.site.managed_network_ready(shown)) {
            Ok(()) => absent(&input, status),
            Err(verdict) => Decided::stopped(status, verdict),
        },
    }
}

fn status(input: &EndpointInput<'_>) -> AmlOnlineEndpointStatus {
    let cut = |text: Option<&str>, most: usize| text.map(|text| text.chars().take(most).collect::<String>());
    let mut status = AmlOnlineEndpointStatus {
        connection: Some(input.site.workspace.spec.connection_ref.name.clone()),
        ..AmlOnlineEndpointStatus::default()
    };
    let Some(observed) = &input.observed.endpoint else { return status };
    let own = &observed.properties;
    status.resource_id = Some(input.id.to_string());
    status.scoring_uri = cut(own.scoring_uri.as_deref(), 1024);
    status.public_network_access = cut(Some(own.public_network_access.as_deref().unwrap_or("Enabled")), 64);
    status.auth_mode = cut(own.auth_mode.as_deref(), 64);
    status.principal_id = cut(observed.identity.as_ref().and_then(|identity| identity.principal_id.as_deref()), 64);
    let deployments = &input.observed.deployments;
    status.deployments_total = i64::try_from(deployments.len()).ok();
    let one = |deployment: &Deployment| DeploymentStatus {
        name: deployment.name.chars().take(64).collect(),
        traffic: observed.traffic_to(&deployment.name),
        mirrored: observed.mirrored_to(&deployment.name),
        state: cut(deployment.properties.provisioning_state.as_deref(), 64),
        egress_public_network_access: cut(deployment.properties.egress_public_network_access.as_deref(), 64),
    };
    status.deployments = deployments.iter().map(one).collect();
    status.deployments.sort_by(|one, other| one.name.cmp(&other.name));
    status.deployments.dedup_by(|one, other| one.name == other.name);
    status.deployments.truncate(LISTED);
    status
}

/// The door to the internet.
fn door(input: &EndpointInput<'_>) -> Result<(), Verdict> {
    let name = input.id.name();
    if input.spec.public_network_access == PublicNetworkAccess::Disabled
        || acknowledged(input.policies.acknowledge, Door::PublicNetworkAccess, name)
    {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "publicNetworkAccess: Enabled lets the internet call {name}, whatever the workspace's own switch says. If that is meant, add \
             to spec.acknowledge {{door: PublicNetworkAccess, value: {name}}}"
        ),
    ))
}

fn absent(input: &EndpointInput<'_>, status: AmlOnlineEndpointStatus) -> Decided<AmlOnlineEndpointStatus> {
    let spec = input.spec;
    let body = json!({
        "location": input.site.workspace.spec.location,
        "kind": "Managed",
        "tags": { OWNER_TAG: input.site.owner.tag(Origin::Created) },
        "identity": spec.identity.as_ref().map_or_else(|| json!({"type": "SystemAssigned"}), own_identity::body),
        "properties": {
            "authMode": spec.auth_mode.unwrap_or_default().as_str(),
            "publicNetworkAccess": spec.public_network_access.as_str(),
        },
    });
    let verdict = Verdict::new(Reason::Creating, format!("Azure is creating the online endpoint {}", input.id.name()));
    let step = Step::put(input.id, API_VERSION, body, verdict).needing(Verb::Create, input.id);
    Decided::writing(status, step)
}

fn existing(
    input: &EndpointInput<'_>,
    observed: &OnlineEndpoint,
    status: AmlOnlineEndpointStatus,
) -> Decided<AmlOnlineEndpointStatus> {
    let differences = compare(input.spec, observed);
    let found = observed.tag(OWNER_TAG);
    let state = observed.properties.provisioning_state.as_deref().unwrap_or_default();
    let existing = Existing {
        noun: "the online endpoint",
        tag: found,
        moving: observed.is_moving().then_some(state),
        failed: None,
        differences: &differences,
        recreate: None,
        loss: "takes its deployments away",
    };
    let opens = differences.iter().any(|difference| difference.field == ACCESS);
    let decided = match existing.next(input.site, &input.policies) {
        Next::Stop(verdict) => Decided::stopped(status, verdict),
        Next::Take(tag) => {
            let change = Difference::of(format!("tags.{OWNER_TAG}"), found, &tag);
            let body = json!({ "tags": tags(observed, &tag) });
            let verdict = Verdict::new(Reason::Updating, "taking the online endpoint over");
            let step = Step::patch(input.id, API_VERSION, body, verdict).needing(Verb::Configure, input.id);
            Decided::writing(status, step.changing(&[change]))
        }
        Next::Change | Next::Anew(_) => match door(input).err().filter(|_| opens) {
            Some(verdict) => Decided::stopped(status, verdict),
            None => {
                let changes: Vec<String> = differences.iter().map(Difference::change).collect();
                let words = format!("Azure is changing the online endpoint: {}", changes.join("; "));
                let step =
                    Step::put(input.id, API_VERSION, whole(input, observed), Verdict::new(Reason::Updating, words));
                Decided::writing(status, step.needing(Verb::Configure, input.id).changing(&differences))
            }
        },
        Next::AsDeclared => {
            let message = "as declared; whether it answers is the condition Serving";
            Decided::stopped(status, Verdict::new(Reason::Online, message))
        }
    };
    decided.differing(differences)
}

/// Where Azure is not as declared. A PATCH changes tags and identity only (specification of OnlineEndpoints_Update), so everything else
/// takes a PUT.
fn compare(spec: &AmlOnlineEndpointSpec, observed: &OnlineEndpoint) -> Vec<Difference> {
    let own = &observed.properties;
    let mut found = Comparison::default();
    let access = own.public_network_access.as_deref().unwrap_or("Enabled");
    found.word(ACCESS, Some(access), spec.public_network_access.as_str(), Mend::Whole);
    let mode = spec.auth_mode.unwrap_or_default().as_str();
    found.word("properties.authMode", own.auth_mode.as_deref(), mode, Mend::Whole);
    if let Some(identity) = &spec.identity {
        // Microsoft: "Access Azure resources from an online endpoint with a managed identity".
        let never = Mend::Never("Azure takes the identity of an online endpoint at creation only");
        own_identity::compare(identity, observed.identity.as_ref(), never, &mut found);
    }
    if observed.has_failed() {
        found.note("properties.provisioningState", own.provisioning_state.as_deref(), "Succeeded", Mend::Whole);
    }
    found.0
}

fn tags(observed: &OnlineEndpoint, tag: &str) -> Value {
    let mut tags = observed.tags.clone().unwrap_or_default();
    tags.retain(|name, _| !name.eq_ignore_ascii_case(OWNER_TAG));
    tags.insert(OWNER_TAG.into(), tag.to_owned());
    json!(tags)
}

/// The endpoint as it was found, with what is declared laid over: traffic that a PUT leaves out goes nowhere. Keys are no part of it;
/// Azure keeps those that there are.
fn whole(input: &EndpointInput<'_>, observed: &OnlineEndpoint) -> Value {
    let (spec, own) = (input.spec, &observed.properties);
    let tag = observed.tag(OWNER_TAG).map_or_else(|| input.site.owner.tag(Origin::Created), ToOwned::to_owned);
    let mut properties = json!({
        "authMode": spec.auth_mode.unwrap_or_default().as_str(),
        "publicNetworkAccess": spec.public_network_access.as_str(),
    });
    for (name, value) in [
        ("traffic", own.traffic.as_ref().map(|value| json!(value))),
        ("mirrorTraffic", own.mirror_traffic.as_ref().map(|value| json!(value))),
        ("compute", own.compute.as_ref().map(|value| json!(value))),
        ("description", own.description.as_ref().map(|value| json!(value))),
        ("properties", own.properties.as_ref().map(|value| json!(value))),
    ] {
        if let Some(value) = value {
            properties[name] = value;
        }
    }
    let location = observed.location.as_ref().unwrap_or(&input.site.workspace.spec.location);
    let mut body = json!({"location": location, "tags": tags(observed, &tag), "properties": properties});
    if let Some(kind) = &observed.kind {
        body["kind"] = json!(kind);
    }
    if let Some(sku) = observed.sku.as_ref().filter(|sku| sku.is_object()) {
        body["sku"] = sku.clone();
    }
    if let Some(identity) = observed.identity.as_ref().and_then(own_identity::as_found) {
        body["identity"] = identity;
    }
    body
}

/// Decides what the deletion of the object means for Azure. Deployments are somebody else's, and would go with the endpoint.
pub fn farewell(owner: &Owner, id: &ArmId, observed: &Observed) -> Farewell {
    let Some(endpoint) = &observed.endpoint else {
        return Farewell::Release("there is no such online endpoint in Azure".into());
    };
    if !endpoint.tag(OWNER_TAG).is_some_and(|tag| owner.is(tag)) {
        return Farewell::Release("Azure keeps the online endpoint: it does not carry this object's owner tag".into());
    }
    let verdict = Verdict::new(Reason::Deleting, format!("Azure is deleting the online endpoint {}", id.name()));
    if endpoint.is_moving() {
        return Farewell::Wait(verdict);
    }
    if !observed.deployments.is_empty() {
        let message = format!(
            "the online endpoint has deployments, which would go with it and are not this object's: {}. Delete them first, or set \
             deletionPolicy: Retain",
            judge::names(observed.deployments.iter())
        );
        return Farewell::Wait(Verdict::new(Reason::InUse, message));
    }
    Farewell::Remove(vec![Step::delete(id, API_VERSION, verdict)])
}

#[cfg(test)]
mod tests;
