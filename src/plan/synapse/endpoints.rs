//! The managed private endpoints: which are made, which go, and how far each is on its way to being approved.

use serde_json::json;

use crate::api::common::Recreate;
use crate::api::connection::Verb;
use crate::api::synapse_link::LinkEndpoint;
use crate::azure::private_link::Connection;
use crate::azure::synapse::{DATA_API_VERSION, ManagedEndpoint, endpoint_path};
use crate::plan::difference::Difference;
use crate::plan::names::is_random_of;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::step::Step;

use super::handshake::{Asked, NAMES, namesakes};
use super::{APPROVED, ENDPOINT, Stage, SynapseInput, Wanted, key_of, prefix};

/// One endpoint that shall be, with what is known of it.
struct Endpoint<'a> {
    wanted: &'a Wanted,
    asked: Option<&'a Asked>,
    /// Its name: the one on record, or the one drawn for it.
    name: Option<&'a str>,
    shown: Option<&'a ManagedEndpoint>,
    /// How its connection stands on the target; `None` while it is not known which one it is.
    connection: Option<&'a Connection>,
    /// What the target shows under its name.
    namesakes: usize,
}

impl Endpoint<'_> {
    fn is_approved(&self) -> bool {
        self.shown.is_some_and(|shown| shown.is("Approved")) && self.connection.is_some_and(Connection::is_approved)
    }

    fn spoilt(&self) -> u8 {
        self.asked.map_or(0, |asked| asked.spoilt)
    }

    fn state(&self) -> String {
        match self.shown {
            None => "Missing".to_owned(),
            Some(shown) if shown.state().is_empty() || shown.is_moving() => "Provisioning".to_owned(),
            Some(shown) => shown.state().chars().take(32).collect(),
        }
    }

    /// How many connections under its name are not its own.
    fn twins(&self) -> usize {
        self.namesakes.saturating_sub(1)
    }
}

fn all<'a>(input: &SynapseInput<'a>, wanted: &'a [Wanted]) -> Vec<Endpoint<'a>> {
    let observed = input.observed;
    let one = |wanted: &'a Wanted| {
        let asked = observed.record.asked(wanted);
        let known = asked.and_then(|asked| asked.name.as_deref());
        let name = known.or_else(|| input.drawn.get(&key_of(wanted)).map(String::as_str));
        let shown = name.and_then(|name| observed.endpoints.iter().find(|shown| shown.name.eq_ignore_ascii_case(name)));
        let listing = observed.listings.get(&wanted.target.key());
        let own = asked.and_then(Asked::own);
        let connection = own.zip(listing).and_then(|(own, listing)| listing.iter().find(|one| own.is(one)));
        let namesakes = known.zip(listing).map_or(0, |(name, listing)| namesakes(listing, name).len());
        Endpoint { wanted, asked, name, shown, connection, namesakes }
    };
    wanted.iter().map(one).collect()
}

/// What the status says of them.
pub(super) fn report(input: &SynapseInput<'_>, wanted: &[Wanted]) -> Vec<LinkEndpoint> {
    let one = |endpoint: &Endpoint<'_>| LinkEndpoint {
        target: endpoint.wanted.target.to_string(),
        subresource: endpoint.wanted.group.to_owned(),
        // A name that is only drawn changes nothing yet, and may be another one next time.
        name: endpoint.asked.and_then(|asked| asked.name.clone()).unwrap_or_default(),
        state: endpoint.state(),
        target_state: endpoint.connection.map(|connection| connection.state.chars().take(32).collect()),
        private_endpoint: endpoint.connection.map(|connection| connection.endpoint.chars().take(1024).collect()),
        twins: (endpoint.twins() > 0).then(|| i64::try_from(endpoint.twins()).unwrap_or(i64::MAX)),
    };
    all(input, wanted).iter().map(one).collect()
}

/// How many of them are approved on both sides, of how many.
pub(super) fn approved(reports: &[LinkEndpoint]) -> String {
    let is = |state: &str| state.eq_ignore_ascii_case("Approved");
    let both = |one: &&LinkEndpoint| is(&one.state) && one.target_state.as_deref().is_some_and(is);
    format!("{}/{}", reports.iter().filter(both).count(), reports.len())
}

/// Endpoints that carry this object's names and are not wanted any more, or were given up.
pub(super) fn left_over(input: &SynapseInput<'_>, wanted: &[Wanted]) -> Vec<Step> {
    let used: Vec<String> =
        all(input, wanted).iter().filter_map(|endpoint| endpoint.name.map(str::to_ascii_lowercase)).collect();
    let prefix = prefix(input.site.owner);
    let gone = |shown: &&ManagedEndpoint| {
        is_random_of(&prefix, &shown.name) && !used.contains(&shown.name.to_ascii_lowercase()) && !shown.is_moving()
    };
    let remove = |shown: &ManagedEndpoint| {
        let message =
            format!("Azure is removing the managed private endpoint {}, which is not used any more", shown.name);
        let path = endpoint_path(input.synapse.name(), &shown.name);
        Step::delete(&path, DATA_API_VERSION, Verdict::new(Reason::Updating, message))
    };
    input.observed.endpoints.iter().filter(gone).map(remove).collect()
}

/// Whether all of them are made.
pub(super) fn made(input: &SynapseInput<'_>, wanted: &[Wanted]) -> Stage {
    let mut stops: Option<Verdict> = None;
    let (mut steps, mut differences) = (Vec::new(), Vec::new());
    for endpoint in all(input, wanted) {
        let words = endpoint.wanted.words();
        let verdict = match endpoint.shown {
            None if endpoint.spoilt() >= NAMES => Some(imitated(&endpoint)),
            None => {
                let verdict =
                    Verdict::new(Reason::Creating, format!("Azure is making the managed private endpoint to {words}"));
                if let Some(name) = endpoint.name {
                    steps.push(create(input, &endpoint, name, verdict.clone()));
                    differences.push(Difference::of(format!("managedPrivateEndpoints/{words}"), None, "Approved"));
                }
                Some(verdict)
            }
            Some(shown) if shown.is_moving() || shown.state().is_empty() && !shown.has_failed() => {
                let message = format!("Azure is at work on the managed private endpoint to {words}");
                Some(Verdict::new(Reason::Creating, message))
            }
            Some(shown) if !shown.leads_to(endpoint.wanted.target.as_str(), endpoint.wanted.group) => {
                Some(anew(input, &endpoint, shown, "it leads elsewhere", true, &mut steps, &mut differences))
            }
            Some(shown) if shown.has_failed() => {
                Some(anew(input, &endpoint, shown, "Azure could not make it", false, &mut steps, &mut differences))
            }
            Some(shown) if shown.is("Rejected") => {
                let why = format!("its connection was rejected ({})", clean(shown.words()));
                Some(anew(input, &endpoint, shown, &why, false, &mut steps, &mut differences))
            }
            Some(shown) if shown.is("Disconnected") => {
                let why = "its connection was removed on the target";
                Some(anew(input, &endpoint, shown, why, false, &mut steps, &mut differences))
            }
            Some(_) => None,
        };
        stops = stops.or(verdict);
    }
    let stage = match stops {
        Some(verdict) => Stage::stops(ENDPOINT, verdict),
        None => Stage::holds(ENDPOINT, "Ready", format!("{} of {} are made", wanted.len(), wanted.len())),
    };
    stage.with(steps).differing(differences)
}

fn create(input: &SynapseInput<'_>, endpoint: &Endpoint<'_>, name: &str, verdict: Verdict) -> Step {
    let target = &endpoint.wanted.target;
    let body = json!({"properties": { "privateLinkResourceId": target.as_str(), "groupId": endpoint.wanted.group }});
    Step::put(&endpoint_path(input.synapse.name(), name), DATA_API_VERSION, body, verdict)
        .needing(Verb::Reach, input.synapse)
        .needing(Verb::Reach, target)
}

/// What to do about an endpoint that will not come into use by itself: as `recreate` says, or `always`.
fn anew(
    input: &SynapseInput<'_>,
    endpoint: &Endpoint<'_>,
    shown: &ManagedEndpoint,
    why: &str,
    always: bool,
    steps: &mut Vec<Step>,
    differences: &mut Vec<Difference>,
) -> Verdict {
    let words = endpoint.wanted.words();
    differences.push(Difference::of(format!("managedPrivateEndpoints/{words}"), Some(shown.state()), "Approved"));
    let message = format!("the managed private endpoint to {words} ({}): {why}", shown.name);
    if always || input.spec.recreate == Some(Recreate::Allowed) {
        let verdict = Verdict::new(Reason::Updating, format!("{message}; it is deleted to ask anew"));
        let path = endpoint_path(input.synapse.name(), &shown.name);
        steps.push(Step::delete(&path, DATA_API_VERSION, verdict.clone()).needing(Verb::Reach, input.synapse));
        return verdict;
    }
    let message = format!("{message}. Settle it with the target's owner, and set recreate: Allowed to ask anew");
    Verdict::new(Reason::ConnectionRejected, message)
}

fn imitated(endpoint: &Endpoint<'_>) -> Verdict {
    let message = format!(
        "somebody raises connections on {} under the names of this link's endpoint, so that nobody can tell which one is which: {} names \
         were given up, nothing was approved. Find out who may list the connections there, reject what is theirs, and annotate this object \
         with aml-operator.io/reconcile-at to try again",
        endpoint.wanted.target,
        endpoint.spoilt()
    );
    Verdict::new(Reason::Imitated, message)
}

/// Whether the connection of each is approved, by the word of both sides.
pub(super) fn approval(input: &SynapseInput<'_>, wanted: &[Wanted]) -> Stage {
    let endpoints = all(input, wanted);
    if let Some(verdict) = endpoints.iter().filter(|one| !one.is_approved()).map(|one| waits(input, one)).next() {
        return Stage::stops(APPROVED, verdict);
    }
    let mut message = "Synapse and the targets show every connection as approved".to_owned();
    let twins: usize = endpoints.iter().map(Endpoint::twins).sum();
    if twins > 0 {
        message.push_str(&format!(
            "; {twins} more connections carry the names of this link's endpoints and are not its own: reject them (status.endpoints)"
        ));
    }
    Stage::holds(APPROVED, "Approved", message)
}

fn waits(input: &SynapseInput<'_>, endpoint: &Endpoint<'_>) -> Verdict {
    let words = endpoint.wanted.words();
    let Some(asked) = endpoint.asked else {
        return Verdict::new(Reason::Attributing, format!("what the target shows of {words} is being looked at"));
    };
    let Some(own) = asked.own() else {
        let left = asked.left(input.site.now, input.waits.pause);
        let message = match left {
            None => format!(
                "{words}: the target does not show the connection yet, or not before Synapse says that it waits"
            ),
            Some(_) => format!(
                "{words}: the target shows the connection; it is looked at once more, to be sure that no other carries its name"
            ),
        };
        return Verdict::new(Reason::Attributing, message).after(left);
    };
    let (shown, connection) = (endpoint.shown, endpoint.connection);
    if connection.is_some_and(Connection::is_approved) || shown.is_some_and(|shown| shown.is("Approved")) {
        let message = format!("{words}: one side shows the connection as approved, the other does not yet");
        return Verdict::new(Reason::Updating, message);
    }
    let owner = input.site.owner;
    let message = format!(
        "{words} waits for the approval of the connection {} from {}: a PrivateEndpointApproval on {} with synapseLinkRef: {{name: {}, \
         namespace: {}}}, or a person in Azure",
        own.connection, own.endpoint, endpoint.wanted.target, owner.name, owner.namespace
    );
    Verdict::new(Reason::ApprovalPending, message)
}

/// Words of others, fit to be shown.
fn clean(words: &str) -> String {
    let words = crate::azure::error::clean(words, 200);
    if words.is_empty() { "without a word".to_owned() } else { words }
}
