//! The faults in force, and which of them strikes.

use serde::Serialize;

use super::{Fault, FaultAction, FaultMoment};
use crate::dice::Dice;
use crate::directory::Principal;
use crate::http::Request;

/// A fault and what it has done so far.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(flatten)]
    fault: Fault,
    /// How many requests matched.
    matched: u32,
    /// How many of them it struck.
    struck: u32,
}

/// The faults in force, in the order in which they were added. Those that have struck often enough are not in it.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct FaultPlan(Vec<Entry>);

/// What happens to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struck {
    /// Real milliseconds before the effect.
    pub(crate) before_ms: u64,
    /// Real milliseconds between effect and answer.
    pub(crate) after_ms: u64,
    /// What else goes wrong.
    pub(crate) fault: Option<Fault>,
}

fn matches(fault: &Fault, request: &Request, caller: Option<&Principal>) -> bool {
    let is_caller = |wanted: &str| {
        let asks = |id: &str| id.eq_ignore_ascii_case(wanted);
        caller.is_some_and(|caller| asks(&caller.object_id) || asks(&caller.client_id))
            || request.form("client_id").is_some_and(|id| asks(&id))
    };
    fault.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
        && fault.path.as_ref().is_none_or(|path| path.is_in(&request.path))
        && fault.query.as_ref().is_none_or(|query| query.is_in(&request.raw_query))
        && fault.caller.as_deref().is_none_or(is_caller)
}

impl Entry {
    /// Counts a request that matches, and says whether it is struck.
    fn counts(&mut self, dice: &mut Dice) -> bool {
        self.matched = self.matched.saturating_add(1);
        let Some(after_skipped) = self.matched.checked_sub(self.fault.skip.saturating_add(1)) else { return false };
        let due = after_skipped % self.fault.every.max(1) == 0;
        // Certain faults do not touch the dice, so that adding one leaves what the others draw as it was.
        let strikes = due && (self.fault.probability >= 1.0 || dice.hits(self.fault.probability));
        self.struck = self.struck.saturating_add(u32::from(strikes));
        strikes
    }

    fn is_used_up(&self) -> bool {
        self.fault.times.is_some_and(|times| self.struck >= times)
    }
}

impl FaultPlan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(Entry { fault, matched: 0, struck: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether it matters who asks.
    pub(crate) fn asks_for_caller(&self) -> bool {
        self.0.iter().any(|entry| entry.fault.caller.is_some())
    }

    /// What strikes this request: every delay, and of the others the first. They are counted.
    pub(crate) fn take(&mut self, request: &Request, caller: Option<&Principal>, dice: &mut Dice) -> Struck {
        let mut struck = Struck::default();
        for entry in self.0.iter_mut().filter(|entry| matches(&entry.fault, request, caller)) {
            if let FaultAction::Latency { ms, up_to_ms } = entry.fault.action {
                if entry.counts(dice) {
                    let ms = up_to_ms.map_or(ms, |up_to| dice.between(ms, up_to));
                    match entry.fault.moment {
                        FaultMoment::Before => struck.before_ms += ms,
                        FaultMoment::After => struck.after_ms += ms,
                    }
                }
            } else if struck.fault.is_none() && entry.counts(dice) {
                struck.fault = Some(entry.fault.clone());
            }
        }
        self.0.retain(|entry| !entry.is_used_up());
        struck
    }
}
