//! What the ledger keeps of the roles that were assigned to a workspace's identity: what was asked for, until when, and whose
//! identity it was.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::ids::ArmId;

/// How long an assignment is meant to stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Term {
    /// For as long as the workspace's identity needs it on what the workspace is made of.
    Needed,
    /// For as long as an outbound rule with `approverRole: Standing` leads there.
    Standing,
    /// Until an outbound rule with `approverRole: Temporary` is active, and no longer than this, RFC 3339.
    Until(String),
}

/// Why an assignment is being taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// It has done what it was for, or nothing asks for it any more.
    Done,
    /// Its time is over.
    Expired,
    /// It was there long enough, and Azure went on refusing.
    Failed,
    /// What allowed it is gone.
    Revoked,
}

/// One claim on an assignment: for what the workspace is made of, or for an outbound rule. The assignment of a role to a principal on
/// a scope is one in Azure, however many claim it, and goes with the last claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// ARM id of the scope.
    pub scope: String,
    /// GUID of the role, lower case.
    pub role: String,
    /// Object id of who holds it.
    pub principal: String,
    /// Which of the workspace's identities that is.
    pub identity: String,
    /// Name of the AzureConnection through which it was asked for; it is taken back through the same.
    #[serde(default)]
    pub connection: String,
    /// The directory that this AzureConnection speaks to: one of the same name may speak to another one day, where nothing of this
    /// shows.
    #[serde(default)]
    pub tenant: String,
    /// How long it is meant to stay.
    pub term: Term,
    /// When it was last about to be asked for, RFC 3339: until some time after that, it may still come.
    pub asked_at: String,
    /// What the rules wished for, where a rule asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wish: String,
    /// The connections on the scope that were approved before, each with its endpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Azure name of the rule that is being written with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Since when that one is, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub turn_since: String,
    /// It is being taken back, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<End>,
}

/// How long ago `at` was; nothing if it lies ahead. What cannot be read was not written by us, and is long ago.
fn age(at: &str, now: Timestamp) -> Duration {
    let Ok(at) = at.parse::<Timestamp>() else { return Duration::MAX };
    now.duration_since(at).try_into().unwrap_or_default()
}

impl Entry {
    /// True if `scope`, `role` and `principal` are this entry's.
    pub fn is(&self, scope: &ArmId, role: &str, principal: &str) -> bool {
        self.scope.eq_ignore_ascii_case(scope.as_str())
            && self.role.eq_ignore_ascii_case(role)
            && self.principal.eq_ignore_ascii_case(principal)
    }

    /// How long ago it was last asked for.
    pub fn age(&self, now: Timestamp) -> Duration {
        age(&self.asked_at, now)
    }

    /// How long ago the turn of its rule began.
    pub fn turn_age(&self, now: Timestamp) -> Duration {
        age(&self.turn_since, now)
    }

    /// True if its time is over. An end that cannot be read is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        match &self.term {
            Term::Until(until) => until.parse::<Timestamp>().map_or(true, |until| until <= now),
            Term::Needed | Term::Standing => false,
        }
    }

    /// True if it claims the assignment: it is not being taken back.
    pub fn claims(&self) -> bool {
        self.ends.is_none()
    }

    /// True if an outbound rule asked for it, and not what the workspace is made of.
    pub fn is_of_rule(&self) -> bool {
        self.term != Term::Needed
    }

    /// True if it must not outlive the object that asked for it: a right to approve, or what is being taken back anyway. What a
    /// workspace needs to work stays with the workspace, as long as that stays in Azure.
    pub fn is_lent(&self) -> bool {
        self.ends.is_some() || self.is_of_rule()
    }

    /// True if both stand for one and the same assignment in Azure.
    pub fn is_same_assignment(&self, other: &Self) -> bool {
        self.scope.eq_ignore_ascii_case(&other.scope)
            && self.role.eq_ignore_ascii_case(&other.role)
            && self.principal.eq_ignore_ascii_case(&other.principal)
    }

    /// True if both are the same claim of one workspace.
    fn is_same_claim(&self, other: &Self) -> bool {
        self.is_same_assignment(other) && self.is_of_rule() == other.is_of_rule()
    }

    /// How it is named to people.
    pub fn words(&self) -> String {
        format!("role {} of {} on {}", self.role, self.principal, self.scope)
    }
}

/// A temporary assignment that ended without its rules being active: not made again for the same wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// ARM id of the target.
    pub scope: String,
    /// What was wished for: another wish is another try.
    pub wish: String,
    /// Why it ended.
    pub end: End,
}

/// Object ids that the identities had when a role was first assigned to them, by identity.
pub type Pin = BTreeMap<String, String>;

/// What the ledger keeps of one workspace's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// ARM id of the workspace, so that a Secret that was copied or renamed is found out.
    pub workspace: String,
    /// Uid of the object that asked for them.
    #[serde(default)]
    pub uid: String,
    /// Whose the identities were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: Pin,
    /// What was assigned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// What was tried in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Spent>,
}

impl Record {
    /// The claim on the assignment of `role` to `principal` on `scope`: that of rules, or that of what the workspace is made of.
    pub fn find(&self, scope: &ArmId, role: &str, principal: &str, of_rule: bool) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(scope, role, principal) && entry.is_of_rule() == of_rule)
    }

    /// Notes that `entry` is being taken back, and if that was in vain, for what.
    pub fn end(&mut self, mut entry: Entry, end: End) {
        if matches!(end, End::Expired | End::Failed) {
            self.spent.retain(|spent| !spent.scope.eq_ignore_ascii_case(&entry.scope));
            self.spent.push(Spent { scope: entry.scope.clone(), wish: entry.wish.clone(), end });
        }
        entry.ends = Some(end);
        self.put(entry);
    }

    /// Forgets `entry`: nothing of it is left in Azure and nothing of it can still come, or another claim keeps it.
    pub fn forget(&mut self, entry: &Entry) {
        self.entries.retain(|one| !one.is_same_claim(entry));
    }

    /// Puts `entry` in the place of the same claim.
    pub fn put(&mut self, entry: Entry) {
        self.forget(&entry);
        self.entries.push(entry);
    }
}
