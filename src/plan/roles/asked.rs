//! What the cluster's objects ask for, held against what was assigned: which claims end although nobody has looked at Azure, and
//! which assignments another claim keeps.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ids::ArmId;

use super::record::{End, Entry, Record, Term};

/// What one live object asks for on behalf of its workspace, as far as the cluster alone can tell: it can be read, the fence lets it
/// through, and so on each target do the verb, the list and the policies.
///
/// An object that cannot be read, or is no longer admitted, asks for nothing here, although it freezes what it stands for everywhere
/// else. A role that was assigned for rules is a right to approve and nothing more: taking it back cuts nobody off, since what was
/// approved stays so, and it is assigned anew once its object can be read. Leaving it out with somebody whom nobody lets through
/// would be the dangerous side. What the workspace needs to work is the other way round: see [`due`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// GUID of the approver role of the object's AzureConnection, lower case.
    pub role: String,
    /// The identity that the object declares to act, as the ledger names it.
    pub identity: String,
    /// Keys of the targets on which a rule of it asks for the role.
    pub targets: BTreeSet<String>,
}

impl Asked {
    fn keeps(&self, entry: &Entry) -> bool {
        entry.role.eq_ignore_ascii_case(&self.role)
            && entry.identity == self.identity
            && self.targets.contains(&entry.scope.to_ascii_lowercase())
    }
}

/// Why `entry` is taken back whatever Azure shows, if it is. `asked` is what the live objects of its workspace ask for.
///
/// What the workspace is made of needs its roles as long as it stays in Azure, with or without an object: absence is no evidence.
/// Those go only by the workspace's own turn, which sees what Azure uses, or with the workspace.
pub fn due(entry: &Entry, asked: &[Asked], now: Timestamp) -> Option<End> {
    if entry.ends.is_some() {
        return entry.ends;
    }
    match entry.term {
        Term::Needed => None,
        _ if entry.is_over(now) => Some(End::Expired),
        _ if asked.iter().any(|asked| asked.keeps(entry)) => None,
        _ => Some(End::Revoked),
    }
}

/// True if a claim other than that of `workspace` for the same purpose keeps the assignment that `entry` stands for.
pub fn is_kept<'a>(entry: &Entry, workspace: &str, records: impl IntoIterator<Item = &'a Record>) -> bool {
    records.into_iter().any(|record| {
        let own = record.workspace.eq_ignore_ascii_case(workspace);
        record.entries.iter().any(|other| {
            other.claims() && other.is_same_assignment(entry) && !(own && other.is_of_rule() == entry.is_of_rule())
        })
    })
}

/// True if a rule of a workspace other than `workspace` has its turn on `target`: until that is over, what is newly approved there
/// could be of either. A turn that nothing comes of holds up others no longer than `most`.
pub fn is_taken<'a>(
    target: &ArmId,
    workspace: &str,
    records: impl IntoIterator<Item = &'a Record>,
    most: Duration,
    now: Timestamp,
) -> bool {
    let others = records.into_iter().filter(|record| !record.workspace.eq_ignore_ascii_case(workspace));
    others.flat_map(|record| &record.entries).any(|entry| has_turn(entry, target, most, now))
}

/// The connections approved before each turn that is under way on `target`: what is approved there now and was not then may be the
/// own connection of a rule whose turn it is.
pub fn turns_on<'a>(
    target: &'a ArmId,
    records: impl IntoIterator<Item = &'a Record>,
    most: Duration,
    now: Timestamp,
) -> Vec<&'a [String]> {
    let entries = records.into_iter().flat_map(|record| &record.entries);
    let under_way = entries.filter(|entry| entry.turn.is_some() && has_turn(entry, target, most, now));
    under_way.map(|entry| entry.before.as_slice()).collect()
}

/// True if `entry` is about `target` and being used: a temporary role for as long as it is out, a standing one while a rule is
/// written with it.
fn has_turn(entry: &Entry, target: &ArmId, most: Duration, now: Timestamp) -> bool {
    let used = match entry.term {
        Term::Needed => false,
        Term::Standing => entry.turn.is_some() && entry.turn_age(now) < most,
        Term::Until(_) => !entry.is_over(now),
    };
    used && entry.claims() && entry.scope.eq_ignore_ascii_case(target.as_str())
}
