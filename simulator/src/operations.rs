//! Long-running operations: started with an effect that is applied when the simulated clock reaches their end.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;
use uuid::Uuid;

use crate::error::ArmError;
use crate::fault::OperationFault;
use crate::providers::machine_learning::Overlay;
use crate::world::World;

/// What an operation does when it ends.
pub(crate) type Effect = Box<dyn FnOnce(&mut World) -> Result<(), ArmError> + Send>;

/// What a finished operation's `Location` answers for the resource it worked on; `None` is an empty answer.
pub(crate) type ResultOf = fn(&World, &str) -> Option<Value>;

/// An operation that is about to be started.
pub(crate) struct Plan {
    /// For the log and the fault plan: `workspaceCreate`, `rulePut`, …
    pub(crate) kind: &'static str,
    /// The resource worked on.
    pub(crate) resource: String,
    /// Simulated seconds; `0` is done at once.
    pub(crate) seconds: f64,
    pub(crate) effect: Effect,
    pub(crate) result: ResultOf,
    /// How the resource looks while the operation runs.
    pub(crate) overlay: Option<Overlay>,
}

/// Where an operation stands.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Running,
    Succeeded,
    Failed(ArmError),
    Canceled,
}

/// A started operation.
pub(crate) struct Operation {
    pub(crate) kind: &'static str,
    pub(crate) resource: String,
    pub(crate) due: i64,
    /// The object id of who began it: that principal may read its status.
    pub(crate) starter: String,
    pub(crate) state: State,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) result: ResultOf,
    effect: Option<Effect>,
    fault: Option<OperationFault>,
    order: u64,
    /// See [`Operations::first_look`].
    looked_at: bool,
    /// See [`Operations::forget_old`].
    outlived: bool,
}

/// How many finished operations are kept, so that their status can be read. Chosen; not by age, because a clock that is
/// moved by hand would make a status unreadable before anybody has asked for it.
const KEPT: usize = 10_000;

#[derive(Default)]
pub(crate) struct Operations {
    all: HashMap<Uuid, Operation>,
    /// What runs, in the order of the ends: time, then who began first.
    running: BTreeMap<(i64, u64), Uuid>,
    /// The last operation begun on each resource.
    latest: HashMap<String, Uuid>,
    /// What has ended, oldest first.
    finished: VecDeque<Uuid>,
    started: u64,
}

impl Operations {
    /// Whether nobody has asked for this operation before.
    pub(crate) fn first_look(&mut self, id: &Uuid) -> bool {
        self.all.get_mut(id).is_some_and(|operation| !std::mem::replace(&mut operation.looked_at, true))
    }

    pub(crate) fn get(&self, id: &Uuid) -> Option<&Operation> {
        self.all.get(id)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Operation> {
        self.running.values().filter_map(|id| self.all.get(id))
    }

    /// Ends running operations without their effect.
    pub(crate) fn cancel(&mut self, mut which: impl FnMut(&Operation) -> bool) {
        let all = &self.all;
        let canceled: Vec<_> = self
            .running
            .iter()
            .filter(|(_, id)| all.get(id).is_some_and(&mut which))
            .map(|(place, id)| (*place, *id))
            .collect();
        for (place, id) in canceled {
            self.running.remove(&place);
            self.finished.push_back(id);
            if let Some(operation) = self.all.get_mut(&id) {
                operation.state = State::Canceled;
                (operation.effect, operation.overlay) = (None, None);
            }
        }
    }

    fn insert(&mut self, id: Uuid, operation: Operation) {
        if let Some(before) = self.latest.insert(operation.resource.clone(), id)
            && self.all.get(&before).is_some_and(|before| before.outlived)
        {
            self.all.remove(&before);
        }
        self.running.insert((operation.due, operation.order), id);
        self.all.insert(id, operation);
    }

    /// Takes the next operation to end by `now` off the list of those that run.
    fn next_due(&mut self, now: i64) -> Option<Uuid> {
        let entry = self.running.first_entry().filter(|entry| entry.key().0 <= now)?;
        let id = entry.remove();
        self.finished.push_back(id);
        Some(id)
    }

    /// Forgets what ended long ago. A failure stays while it is the last that was done to its resource, which shows it:
    /// it has outlived its time, and goes with the next operation there.
    fn forget_old(&mut self) {
        while self.finished.len() > KEPT {
            let Some(id) = self.finished.pop_front() else { return };
            let Some(operation) = self.all.get_mut(&id) else { continue };
            let is_latest = self.latest.get(&operation.resource) == Some(&id);
            if is_latest && matches!(operation.state, State::Failed(_)) {
                operation.outlived = true;
                continue;
            }
            if is_latest {
                self.latest.remove(&operation.resource);
            }
            self.all.remove(&id);
        }
    }

    /// The last operation begun on a resource, and where it stands.
    pub(crate) fn latest(&self, resource: &str) -> Option<(&'static str, State)> {
        let operation = self.all.get(self.latest.get(resource)?)?;
        Some((operation.kind, operation.state.clone()))
    }
}

impl World {
    /// Begins an operation; its effect happens at once if it takes no time.
    pub(crate) fn begin(&mut self, plan: Plan, starter: &str) -> Uuid {
        let fault = self.next_operation.take();
        let due = match fault {
            Some(OperationFault::Endless) => i64::MAX,
            _ => self.now.saturating_add((plan.seconds * 1000.0) as i64),
        };
        self.operations.started += 1;
        let operation = Operation {
            kind: plan.kind,
            resource: plan.resource,
            due,
            starter: starter.to_owned(),
            state: State::Running,
            overlay: plan.overlay,
            result: plan.result,
            effect: Some(plan.effect),
            fault,
            order: self.operations.started,
            looked_at: false,
            outlived: false,
        };
        let id = self.dice.guid();
        self.begun = Some(operation.kind);
        self.operations.insert(id, operation);
        self.settle(self.now);
        id
    }

    /// Begins an operation that the present request causes besides its own: planned failures and the log mean the own.
    pub(crate) fn begin_beside(&mut self, plan: Plan, starter: &str) {
        let (failing, begun) = (self.next_operation.take(), self.begun);
        self.begin(plan, starter);
        (self.next_operation, self.begun) = (failing, begun);
    }

    /// Applies what has come to its end by `now`, in the order of the ends, and leaves the world at `now`.
    pub(crate) fn settle(&mut self, now: i64) {
        while let Some(id) = self.operations.next_due(now) {
            let Some(operation) = self.operations.all.get_mut(&id) else { break };
            self.now = operation.due;
            // Not running any more while its effect is applied: the effect must not see itself as a concurrent write.
            operation.state = State::Succeeded;
            operation.overlay = None;
            let effect = operation.effect.take();
            let (failure, applies) = match operation.fault.take() {
                Some(OperationFault::Fails { error, applies }) => (Some(error), applies),
                Some(OperationFault::Endless) | None => (None, true),
            };
            let outcome = match effect {
                Some(effect) if applies => effect(self),
                _ => Ok(()),
            };
            if let (Some(error), Some(operation)) = (failure.or(outcome.err()), self.operations.all.get_mut(&id)) {
                operation.state = State::Failed(error);
            }
        }
        self.operations.forget_old();
        self.now = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(resource: &str, seconds: f64, fails: bool) -> Plan {
        let effect: Effect = Box::new(move |_| if fails { Err(ArmError::conflict("")) } else { Ok(()) });
        Plan { kind: "test", resource: resource.to_owned(), seconds, effect, result: |_, _| None, overlay: None }
    }

    #[test]
    fn finished_operations_are_forgotten_but_not_failures_that_show_and_nothing_that_runs() {
        let mut world = World::default();
        let failed = world.begin(plan("/failed", 0.0, true), "me");
        let running = world.begin(plan("/running", 60.0, false), "me");
        let first = world.begin(plan("/other", 0.0, false), "me");
        for _ in 0..KEPT {
            world.begin(plan("/busy", 0.0, false), "me");
        }
        let known = [failed, running, first].map(|id| world.operations.get(&id).is_some());
        assert_eq!(known, [true, true, false]);
        assert!(matches!(world.operations.latest("/failed"), Some((_, State::Failed(_)))));
        assert_eq!(world.operations.all.len(), KEPT + 2);
        world.begin(plan("/failed", 0.0, false), "me");
        assert!(world.operations.get(&failed).is_none(), "nobody sees it any more");
        assert_eq!(world.operations.all.len(), KEPT + 1);
    }
}
