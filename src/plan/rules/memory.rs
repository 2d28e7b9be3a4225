//! What a lane remembers of its rules between turns, so that one bad rule neither blocks the others nor is sent all the time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::common::Drift;
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::OutboundRule;
use crate::plan::names;

use super::shown::Shown;
use super::{Declared, ObjectKey, RuleWrite, Standing};

/// A refusal by ARM.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Hash of what was refused.
    pub body_hash: String,
    /// The identity it was refused to.
    pub principal: Option<String>,
    /// The retry token at that time.
    pub token: Option<String>,
    /// ARM's answer.
    pub error: ArmError,
    /// When.
    pub at: Timestamp,
}

/// What a lane remembers of its rules between turns. Losing it costs a few more writes, nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleMemory {
    /// Refused rules by Azure name.
    pub refusals: BTreeMap<String, Refusal>,
    /// Halves of a refused batch, still to be tried.
    pub groups: Vec<BTreeSet<String>>,
    /// Hashes of the bodies that were seen in place, by Azure name, to tell a rule that got lost from one that was declared anew.
    pub seen: BTreeMap<String, String>,
    /// When a rule that is in place but not active was last written again.
    pub nudged: BTreeMap<String, Timestamp>,
    /// Times rules were found changed, by Azure name, newest last.
    pub drift: BTreeMap<String, Vec<Drift>>,
    /// False until it is known what was in place before this process.
    pub informed: bool,
}

/// How many times a rule was found changed are remembered.
pub(super) const DRIFTS: usize = 10;

/// Whether `error` may be the fault of one rule among those of a write, so that the others get in without it: what says that
/// the content is wrong, and what only a named target can cause. Never what passes by itself (409, 429, 5xx, time-outs), nor
/// what holds for the whole workspace (locks, the operator's own rights).
pub fn may_be_one_rules_fault(error: &ArmError) -> bool {
    match error.class {
        ErrorClass::Validation
        | ErrorClass::ApproverRoleMissing
        | ErrorClass::Exists
        // The workspace was read just before, so what is missing is something that a rule names.
        | ErrorClass::ParentNotFound
        | ErrorClass::PolicyDenied
        | ErrorClass::Quota => true,
        // "Linked": the right is missing on another resource that the body names.
        ErrorClass::Forbidden => {
            let mut codes = std::iter::once(&error.code).chain(error.details.iter().map(|(code, _)| code));
            codes.any(|code| code.eq_ignore_ascii_case("LinkedAuthorizationFailed"))
        }
        // An operation that ended as failed, with a code nobody documents; an unknown answer to the request itself may be a
        // gateway's and says nothing about rules.
        ErrorClass::Unknown => error.status.is_none(),
        _ => false,
    }
}

/// Remembers that ARM refused `write` for good: a single rule as refused to `principal` under its retry token (`tokens`, by
/// Azure name), a batch as two halves to be tried apart. Other errors leave the memory as it is.
pub fn remember_refusal(
    memory: &mut RuleMemory,
    write: &RuleWrite,
    principal: Option<&str>,
    tokens: &BTreeMap<String, Option<String>>,
    error: &ArmError,
    now: Timestamp,
) {
    if !may_be_one_rules_fault(error) {
        return;
    }
    let (name, body) = match write {
        RuleWrite::Patch { names, .. } => return split(&mut memory.groups, names),
        RuleWrite::Put { name, properties } => (name, Some(properties)),
        RuleWrite::Delete { name } => (name, None),
    };
    let refusal = Refusal {
        body_hash: names::body_hash(body),
        principal: principal.map(ToOwned::to_owned),
        token: tokens.get(name).cloned().flatten(),
        error: error.clone(),
        at: now,
    };
    memory.refusals.insert(name.clone(), refusal);
    leave(&mut memory.groups, |group_member| group_member == name);
}

/// Replaces what `groups` say of `names` by two halves of them, to be tried next.
fn split(groups: &mut Vec<BTreeSet<String>>, names: &BTreeSet<String>) {
    leave(groups, |name| names.contains(name));
    let half = names.len() / 2;
    let (left, right) = (names.iter().take(half).cloned().collect(), names.iter().skip(half).cloned().collect());
    groups.splice(0..0, [left, right]);
    groups.retain(|group| !group.is_empty());
}

/// Takes every name that `leaves` out of all groups.
fn leave(groups: &mut Vec<BTreeSet<String>>, leaves: impl Fn(&str) -> bool) {
    for group in groups.iter_mut() {
        group.retain(|name| !leaves(name));
    }
    groups.retain(|group| !group.is_empty());
}

/// What a lane that remembers nothing yet can know: the rules of `ready`, whose objects say of the very spec they have now that all is
/// well, were in place. What is not there any more was changed while nobody looked.
pub fn recall(memory: &mut RuleMemory, declared: &[Declared], ready: &BTreeSet<ObjectKey>) {
    if std::mem::replace(&mut memory.informed, true) {
        return;
    }
    let was = |declared: &&Declared| ready.contains(&declared.key);
    memory.seen.extend(declared.iter().filter(was).filter_map(|declared| match &declared.standing {
        Standing::Wanted(body) | Standing::Observed(body) => {
            Some((declared.azure_name.clone(), names::body_hash(Some(&body.to_body()))))
        }
        _ => None,
    }));
}

/// What a lane remembers after it has read and planned: which rules are in place, what the plan noticed, and which refusals and
/// halves are done with. Called before planning, it would hide from the plan that a rule got lost.
pub fn remember_reading(
    memory: &mut RuleMemory,
    declared: &[Declared],
    observed: &[OutboundRule],
    noticed: BTreeMap<String, Vec<Drift>>,
) {
    let shown = Shown::new(observed);
    let in_place = |declared: &Declared| match &declared.standing {
        Standing::Wanted(body) | Standing::Observed(body) => {
            let same = shown.get(&declared.azure_name)?.body.as_ref().is_some_and(|shown| body.same(shown));
            same.then(|| (declared.azure_name.clone(), names::body_hash(Some(&body.to_body()))))
        }
        _ => None,
    };
    memory.seen = declared.iter().filter_map(in_place).collect();
    let placed = &memory.seen;
    let known: BTreeSet<&str> = declared.iter().map(|declared| declared.azure_name.as_str()).collect();
    // A rule without an object can be refused too: its removal.
    memory
        .refusals
        .retain(|name, _| !placed.contains_key(name) && (known.contains(name.as_str()) || shown.get(name).is_some()));
    memory.nudged.retain(|name, _| known.contains(name.as_str()));
    leave(&mut memory.groups, |name| placed.contains_key(name) || !known.contains(name));
    for (name, noticed) in noticed {
        let drift = memory.drift.entry(name).or_default();
        drift.extend(noticed);
        drift.drain(..drift.len().saturating_sub(DRIFTS));
    }
    memory.drift.retain(|name, _| known.contains(name.as_str()));
}
