//! What each policy's targets showed when they were looked at, and when that is due again. Lost with the process: then all are
//! looked at anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::notice::Doubts;
use crate::api::approval::ConnectionReport;
use crate::api::ids::ArmId;
use crate::plan::Verdict;
use crate::plan::rules::ObjectKey;

/// What one look at a target came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sight {
    /// What is said of the target.
    pub(super) verdict: Verdict,
    /// What it shows; `None` if that could not be seen.
    pub(super) shown: Option<Shown>,
}

/// What a target shows of its connections.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) approved: usize,
    pub(super) pending: usize,
    pub(super) unmatched: usize,
    /// Those that matter to the policy, most urgent first, as far as the status has room for them.
    pub(super) listed: Vec<(Rank, ConnectionReport)>,
    /// How many matter to it in all.
    pub(super) all: usize,
    /// What is approved there and perhaps should not be.
    pub(super) doubts: Doubts,
}

/// What waits for a person comes first, then what is approved against a policy, then what nothing explains, then what is pending.
pub(super) type Rank = (bool, bool, bool, bool);

/// What is known of one policy's targets.
#[derive(Debug, Default)]
struct Known {
    /// Counts the times that somebody asked for a look.
    asked: u64,
    /// What the group holds, as far as it was asked for, and when it is asked for again.
    found: Option<Found>,
    found_until: Option<Timestamp>,
    /// By target.
    sights: BTreeMap<String, (Sight, Option<Timestamp>)>,
}

/// What a group held when it was asked for last.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its resources.
    pub(super) ids: Vec<ArmId>,
    /// Those that the policy decided on then.
    pub(super) attended: Vec<ArmId>,
    /// What was wrong with the answer, if anything.
    pub(super) trouble: Option<Verdict>,
}

/// What is known, by policy.
#[derive(Debug, Default)]
pub struct Sights(Mutex<HashMap<ObjectKey, Known>>);

/// What was asked for before a look began: what is asked for meanwhile calls for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Sights {
    fn of<T>(&self, policy: &ObjectKey, with: impl FnOnce(&mut Known) -> T) -> T {
        with(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(policy.clone()).or_default())
    }

    /// Asks for a look at everything of `policy`.
    pub fn ask(&self, policy: &ObjectKey) {
        self.of(policy, |known| {
            known.asked += 1;
            known.found_until = None;
            known.sights.values_mut().for_each(|(_, due)| *due = None);
        });
    }

    /// Asks for a look at one target of `policy`.
    pub fn ask_on(&self, policy: &ObjectKey, target: &ArmId) {
        self.of(policy, |known| {
            known.asked += 1;
            if let Some((_, due)) = known.sights.get_mut(&target.key()) {
                *due = None;
            }
        });
    }

    /// Forgets a policy that is gone.
    pub fn forget(&self, policy: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(policy);
    }

    /// To be taken before a look.
    pub(super) fn ticket(&self, policy: &ObjectKey) -> Ticket {
        self.of(policy, |known| Ticket(known.asked))
    }

    /// True if the target has to be looked at.
    pub(super) fn is_due(&self, policy: &ObjectKey, target: &ArmId, now: Timestamp) -> bool {
        self.of(policy, |known| {
            known.sights.get(&target.key()).is_none_or(|(_, next)| next.is_none_or(|next| next <= now))
        })
    }

    /// True if the target was looked at.
    pub(super) fn has(&self, policy: &ObjectKey, target: &ArmId) -> bool {
        self.of(policy, |known| known.sights.contains_key(&target.key()))
    }

    /// Notes what a look showed, and when the next one is due.
    pub(super) fn note(&self, policy: &ObjectKey, target: &ArmId, mut sight: Sight, next: Timestamp, ticket: Ticket) {
        self.of(policy, |known| {
            let next = (known.asked == ticket.0).then_some(next);
            if sight.shown.is_none() {
                // What could not be seen is no news: nothing is settled by that.
                sight.shown = known.sights.get(&target.key()).and_then(|(before, _)| before.shown.clone());
            }
            known.sights.insert(target.key(), (sight, next));
        });
    }

    /// What the group held when it was last asked for.
    pub(super) fn found(&self, policy: &ObjectKey) -> Option<Found> {
        self.of(policy, |known| known.found.clone())
    }

    /// True if the group has to be asked for what it holds.
    pub(super) fn is_group_due(&self, policy: &ObjectKey, now: Timestamp) -> bool {
        self.of(policy, |known| known.found_until.is_none_or(|next| next <= now))
    }

    /// Notes what the group holds.
    pub(super) fn note_group(&self, policy: &ObjectKey, found: Found, next: Timestamp, ticket: Ticket) {
        self.of(policy, |known| {
            known.found = Some(found);
            known.found_until = (known.asked == ticket.0).then_some(next);
        });
    }

    /// What each of `targets` showed; `None` if one has not been looked at. What is no target any more is forgotten, and told.
    pub(super) fn all(&self, policy: &ObjectKey, targets: &[ArmId]) -> (Option<Vec<(ArmId, Sight)>>, Vec<String>) {
        self.of(policy, |known| {
            let before: Vec<String> = known.sights.keys().cloned().collect();
            known.sights.retain(|key, _| targets.iter().any(|target| target.key() == *key));
            let gone = before.into_iter().filter(|key| !known.sights.contains_key(key)).collect();
            let sight = |target: &ArmId| Some((target.clone(), known.sights.get(&target.key())?.0.clone()));
            (targets.iter().map(sight).collect(), gone)
        })
    }

    /// When the next look at anything of `policy` is due; `None` for at once.
    pub(super) fn next(&self, policy: &ObjectKey) -> Option<Timestamp> {
        self.of(policy, |known| {
            let group = known.found.is_some().then_some(known.found_until);
            let all: Option<Vec<Timestamp>> = known.sights.values().map(|(_, next)| *next).chain(group).collect();
            all?.into_iter().min()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Reason;

    #[test]
    fn a_target_is_due_when_its_time_has_come_or_somebody_asks() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let key = ObjectKey { namespace: "platform".into(), name: "data".into() };
        let target = |name: &str| {
            let subscription = "00000000-0000-0000-0000-000000000001";
            ArmId::of(subscription, "data", "Microsoft.Storage/storageAccounts", name).unwrap()
        };
        let (a, b) = (target("a"), target("b"));
        let (sights, sight) = (Sights::default(), Sight { verdict: Verdict::new(Reason::InForce, ""), shown: None });
        assert!(sights.is_due(&key, &a, at(0)) && sights.all(&key, std::slice::from_ref(&a)).0.is_none());
        let look = |target: &ArmId, next| sights.note(&key, target, sight.clone(), at(next), sights.ticket(&key));
        look(&a, 10);
        look(&b, 20);
        assert!(!sights.is_due(&key, &a, at(9)) && sights.is_due(&key, &a, at(10)));
        assert_eq!(sights.next(&key), Some(at(10)));
        sights.ask_on(&key, &b);
        assert!(sights.is_due(&key, &b, at(0)) && !sights.is_due(&key, &a, at(9)));
        let ticket = sights.ticket(&key);
        sights.ask(&key);
        sights.note(&key, &a, sight.clone(), at(99), ticket);
        assert!(sights.is_due(&key, &a, at(0)), "what was asked during a look is not lost");
        assert_eq!(sights.all(&key, std::slice::from_ref(&a)).1, [b.key()], "what is no target any more is told once");
        assert!(sights.all(&key, std::slice::from_ref(&a)).1.is_empty());
    }
}
