//! How it is made sure which connection on a target is this link's.
//!
//! Attacker model: endpoints of managed networks lie in Microsoft's subscriptions, among other customers', and the last segment of their
//! ids is chosen by whoever asks. So a familiar name says nothing, unless nobody could know it before: part of it is random (80 bits,
//! from the ledger). What the target showed before asking is kept. Synapse itself must say that its endpoint waits, and then two complete
//! lists of the target, a pause apart, must show exactly one connection of that name which was not there before. Whoever sees the name on
//! the target and raises another one under it makes two, and then neither is approved: ours is deleted and asked for anew.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::common::{Acknowledgement, Door, acknowledged};
use crate::api::ids::ArmId;
use crate::api::synapse_link::LinkPins;
use crate::azure::private_link::Connection;
use crate::azure::synapse::ManagedEndpoint;
use crate::plan::names::{fingerprint, is_random_of};
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::proof::{age, moment};

use super::Wanted;

/// How many names are tried for an endpoint while somebody imitates them.
pub const NAMES: u8 = 3;
/// How many imitations are remembered as told.
const TOLD: usize = 100;

/// What the ledger holds of one link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Namespace and name of the object, so that a Secret that was copied or renamed is found out.
    pub link: String,
    /// ARM id of the Synapse workspace.
    pub synapse: String,
    /// Uid of the object that acted last.
    #[serde(default)]
    pub uid: String,
    /// Who stood behind the names when something was first asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<LinkPins>,
    /// Roles that were assigned for the link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<Granted>,
    /// Whether the linked service, where the object names one, was written by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrote_linked_service: bool,
    /// The last request to try again that was heard.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// The endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Asked>,
}

/// A role that was assigned for a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted {
    /// ARM id of the workspace that it is on.
    pub scope: String,
    /// GUID of the role, lower case.
    pub role: String,
    /// Object id of Synapse's identity.
    pub principal: String,
}

impl Granted {
    /// True if it is on `scope`.
    pub fn is_on(&self, scope: &ArmId) -> bool {
        self.scope.eq_ignore_ascii_case(scope.as_str())
    }
}

/// One endpoint that was, or is about to be, asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// ARM id of what it leads to.
    pub target: String,
    /// The sub-resource.
    pub group: String,
    /// Its name in Synapse; `None` until one is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the target showed before it was asked for, as hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline: Vec<String>,
    /// Synapse has shown the endpoint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
    /// The connection that the first list showed after Synapse said that the endpoint waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sighted: Option<Sighting>,
    /// The second list showed the same one, and no other: it is the link's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// How many names were given up because somebody imitated them.
    #[serde(default)]
    pub spoilt: u8,
    /// Imitations that people were told of, as hashes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

/// A connection that a target showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Its name on the target.
    pub connection: String,
    /// The endpoint that asks, as ARM states it.
    pub endpoint: String,
    /// When it was first seen, RFC 3339.
    pub at: String,
}

impl Sighting {
    /// True if `connection` is the one that was seen: by its name on the target, which ARM gives, and by its endpoint.
    pub fn is(&self, connection: &Connection) -> bool {
        self.connection.eq_ignore_ascii_case(&connection.name) && connection.is_of(&self.endpoint)
    }
}

impl Record {
    /// The record of `link` that nothing was written to yet.
    pub fn of(link: &str, synapse: &str) -> Self {
        Self { link: link.to_owned(), synapse: synapse.to_owned(), ..Self::default() }
    }

    /// True if any endpoint has a name.
    pub fn has_names(&self) -> bool {
        self.endpoints.iter().any(|asked| asked.name.is_some())
    }

    /// What was asked for `wanted`.
    pub fn asked(&self, wanted: &Wanted) -> Option<&Asked> {
        self.endpoints.iter().find(|asked| asked.is_for(wanted))
    }

    /// The place for what is asked for `wanted`.
    pub fn asked_mut(&mut self, wanted: &Wanted) -> &mut Asked {
        let at = self.endpoints.iter().position(|asked| asked.is_for(wanted)).unwrap_or_else(|| {
            let (target, group) = (wanted.target.to_string(), wanted.group.to_owned());
            self.endpoints.push(Asked { target, group, ..Asked::default() });
            self.endpoints.len() - 1
        });
        &mut self.endpoints[at]
    }

    /// Brings the record to what the object says now: what is not wanted any more is forgotten, and a request to try again starts the
    /// count of names anew.
    pub fn prepare(&mut self, uid: &str, token: &str, wanted: &[Wanted]) {
        uid.clone_into(&mut self.uid);
        self.endpoints.retain(|asked| wanted.iter().any(|wanted| asked.is_for(wanted)));
        if self.token != token {
            token.clone_into(&mut self.token);
            self.endpoints.iter_mut().for_each(|asked| asked.spoilt = 0);
        }
    }

    /// Forgets the names under which Synapse had endpoints that are gone: each asking has a name of its own, so that what is left of an
    /// earlier one on a target is no imitation.
    pub fn forget_gone(&mut self, shown: &[ManagedEndpoint]) {
        for asked in &mut self.endpoints {
            let Some(name) = &asked.name else { continue };
            if shown.iter().any(|shown| shown.name.eq_ignore_ascii_case(name)) {
                asked.seen = true;
            } else if asked.seen {
                asked.begin_anew();
            }
        }
    }

    /// Takes up what a link without memory finds: an endpoint under a name of its own that is approved already stays in use. What
    /// merely waits cannot be told from an imitation any more.
    pub fn take_up(&mut self, prefix: &str, wanted: &[Wanted], shown: &[ManagedEndpoint]) {
        for one in wanted {
            let own = |shown: &&ManagedEndpoint| {
                is_random_of(prefix, &shown.name)
                    && shown.leads_to(one.target.as_str(), one.group)
                    && shown.is("Approved")
                    && !shown.is_deleting()
            };
            if let Some(shown) = shown.iter().find(own) {
                self.asked_mut(one).name = Some(shown.name.clone());
            }
        }
    }
}

impl Asked {
    fn is_for(&self, wanted: &Wanted) -> bool {
        self.target.eq_ignore_ascii_case(wanted.target.as_str()) && self.group.eq_ignore_ascii_case(wanted.group)
    }

    /// The connection that is the link's for sure.
    pub fn own(&self) -> Option<&Sighting> {
        self.sighted.as_ref().filter(|_| self.confirmed)
    }

    /// How long until the second list may be read; `None` while there was no first.
    pub fn left(&self, now: Timestamp, pause: Duration) -> Option<Duration> {
        self.sighted.as_ref().map(|sighted| pause.saturating_sub(age(&sighted.at, now)))
    }

    fn give_up(&mut self) {
        self.spoilt = self.spoilt.saturating_add(1);
        self.begin_anew();
    }

    /// Asks under another name next time.
    fn begin_anew(&mut self) {
        *self = Self {
            target: std::mem::take(&mut self.target),
            group: std::mem::take(&mut self.group),
            spoilt: self.spoilt,
            told: std::mem::take(&mut self.told),
            ..Self::default()
        };
    }

    /// What was seen says nothing any more.
    fn forget_sights(&mut self) {
        (self.sighted, self.confirmed) = (None, false);
    }
}

/// A connection as a baseline keeps it.
pub fn mark(connection: &Connection) -> String {
    fingerprint(&[&connection.name.to_ascii_lowercase(), &connection.endpoint.to_ascii_lowercase()])
}

/// The connections of `listing` whose endpoint carries `name`. Wherever in its own name: the name of the workspace stands before it, and
/// whoever imitates it may add what they like.
pub fn namesakes<'a>(listing: &'a [Connection], name: &str) -> Vec<&'a Connection> {
    let name = name.to_ascii_lowercase();
    let carries = |connection: &&Connection| {
        let last = connection.endpoint.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.to_ascii_lowercase().contains(&name)
    };
    listing.iter().filter(carries).collect()
}

/// What one look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// What is known now.
    pub asked: Asked,
    /// Connections under the endpoint's name that are not its own, and that people were not told of yet.
    pub imitations: Vec<(String, String)>,
}

/// Takes in what Synapse says of the endpoint (`shown`), read first, and what its target shows (`listing`), read after.
pub fn advance(
    asked: &Asked,
    shown: &ManagedEndpoint,
    listing: &[Connection],
    now: Timestamp,
    pause: Duration,
) -> Advance {
    let mut next = asked.clone();
    let Some(name) = &asked.name else { return Advance { asked: next, imitations: Vec::new() } };
    let found = namesakes(listing, name);
    let own = own_among(asked, shown, &found);
    let others: Vec<&Connection> = found.iter().filter(|one| Some(**one) != own).copied().collect();
    let before = found.iter().any(|one| asked.baseline.contains(&mark(one)));
    let decided = own.is_some_and(Connection::is_approved);
    // What somebody turned away is not asked for again under another name by itself.
    let refused = shown.is("Rejected") || shown.is("Disconnected");
    if decided {
        // It is in: imitations are told, and cannot become it any more.
        next.sighted = own.map(|own| sighting(asked, own, now));
        (next.confirmed, next.spoilt) = (true, 0);
    } else if (found.len() > 1 || before) && !refused {
        next.give_up();
    } else {
        match (found.first(), &asked.sighted) {
            (None, _) => next.forget_sights(),
            // Only now: a list that was read before Synapse said so could not have shown ours.
            (Some(_), _) if !shown.is("Pending") => next.forget_sights(),
            (Some(one), None) => next.sighted = Some(sighting(asked, one, now)),
            (Some(one), Some(first)) if first.is(one) => {
                next.confirmed |= age(&first.at, now) >= pause;
            }
            // Another one in the place of the first.
            (Some(_), Some(_)) => next.give_up(),
        }
    }
    let told: &[&Connection] = if next.name.is_none() {
        // All that carry a name that was given up: whose is whose cannot be told.
        &found
    } else if own.is_some() {
        &others
    } else {
        // One alone may yet turn out to be its own.
        &[]
    };
    let untold = told.iter().filter(|one| !asked.told.contains(&mark(one)));
    let imitations = untold.clone().map(|one| (one.name.clone(), one.endpoint.clone())).collect();
    next.told.extend(untold.map(|one| mark(one)));
    let overflow = next.told.len().saturating_sub(TOLD);
    next.told.drain(..overflow);
    Advance { asked: next, imitations }
}

/// The connection that is the endpoint's own, if that can be told: the one that was made sure, or, once Synapse itself says that its endpoint
/// is approved, the only approved one.
fn own_among<'a>(asked: &Asked, shown: &ManagedEndpoint, found: &[&'a Connection]) -> Option<&'a Connection> {
    if let Some(own) = asked.own() {
        return found.iter().find(|one| own.is(one)).copied();
    }
    let approved: Vec<&'a Connection> = found.iter().filter(|one| one.is_approved()).copied().collect();
    match approved.as_slice() {
        [only] if shown.is("Approved") => Some(only),
        _ => None,
    }
}

fn sighting(asked: &Asked, one: &Connection, now: Timestamp) -> Sighting {
    let known = asked.sighted.as_ref().filter(|known| known.is(one));
    known.cloned().unwrap_or_else(|| Sighting {
        connection: one.name.clone(),
        endpoint: one.endpoint.clone(),
        at: moment(now),
    })
}

/// Whether those who stand behind the names are who they were.
///
/// # Errors
/// With the verdict to report if not, and nobody has acknowledged each change.
pub fn check_pins(record: &Record, now: &LinkPins, acknowledge: &[Acknowledgement]) -> Result<(), Verdict> {
    let Some(pinned) = &record.pins else { return Ok(()) };
    let pairs = [
        ("the Synapse workspace (workspaceUID)", &pinned.synapse_workspace_uid, &now.synapse_workspace_uid),
        ("Synapse's identity (object id)", &pinned.principal_id, &now.principal_id),
        ("the tenant of Synapse's identity", &pinned.tenant_id, &now.tenant_id),
        ("the Azure Machine Learning workspace (workspaceId)", &pinned.workspace_id, &now.workspace_id),
    ];
    let changed: Vec<_> = pairs
        .into_iter()
        .filter(|(_, pinned, now)| {
            !pinned.is_empty()
                && !now.is_empty()
                && !pinned.eq_ignore_ascii_case(now)
                && !acknowledged(acknowledge, Door::IdentityChanged, now)
        })
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let what: Vec<String> =
        changed.iter().map(|(what, pinned, now)| format!("{what} was {pinned} and is {now}")).collect();
    let words: Vec<String> =
        changed.iter().map(|(_, _, now)| format!("{{door: IdentityChanged, value: {now}}}")).collect();
    Err(Verdict::new(
        Reason::IdentityChanged,
        format!(
            "another one stands behind a name than when the link was made: {}. Nothing is approved, written or assigned. If that is meant, \
             acknowledge {}",
            what.join("; "),
            words.join(" and ")
        ),
    ))
}

impl Record {
    /// Pins who stands behind the names now, who were checked. What was asked for in other hands is forgotten.
    pub fn pin(&mut self, now: &LinkPins) {
        if let Some(before) = self.pins.replace(now.clone()).filter(|before| before != now) {
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            if !same(&before.synapse_workspace_uid, &now.synapse_workspace_uid) {
                self.wrote_linked_service = false;
                self.endpoints.clear();
            }
            if !same(&before.workspace_id, &now.workspace_id) {
                self.endpoints.clear();
            }
        }
    }

    /// Nothing that was seen counts any more.
    pub fn distrust(&mut self) {
        self.endpoints.iter_mut().for_each(Asked::forget_sights);
    }
}
