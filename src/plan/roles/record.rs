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

/// One assignment that was asked for.
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

    /// True if its time is over. An end that cannot be read is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        match &self.term {
            Term::Until(until) => until.parse::<Timestamp>().map_or(true, |until| until <= now),
            Term::Needed | Term::Standing => false,
        }
    }

    /// True if it must not outlive the object that asked for it.
    pub fn is_short_lived(&self) -> bool {
        self.ends.is_some() || matches!(self.term, Term::Until(_))
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
    /// Name of the AzureConnection through which roles were assigned.
    #[serde(default)]
    pub connection: String,
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
    /// The entry of this scope, role and principal.
    pub fn find(&self, scope: &ArmId, role: &str, principal: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(scope, role, principal))
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

    /// Forgets `entry`: nothing of it is left in Azure, and nothing of it can still come.
    pub fn forget(&mut self, entry: &Entry) {
        self.entries.retain(|one| one != entry);
    }

    /// Puts `entry` in place of the one of the same scope, role and principal.
    pub fn put(&mut self, entry: Entry) {
        self.entries.retain(|one| {
            !(one.scope.eq_ignore_ascii_case(&entry.scope)
                && one.role.eq_ignore_ascii_case(&entry.role)
                && one.principal.eq_ignore_ascii_case(&entry.principal))
        });
        self.entries.push(entry);
    }
}
