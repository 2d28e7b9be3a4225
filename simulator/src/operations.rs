//! Long-running operations: started with an effect that is applied when the simulated clock reaches their end.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use crate::error::ArmError;
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
    /// Ends as failed with this; the flag says whether the effect happens nevertheless.
    planned_failure: Option<(ArmError, bool)>,
    order: u64,
}

#[derive(Default)]
pub(crate) struct Operations {
    all: BTreeMap<Uuid, Operation>,
    started: u64,
}

impl Operations {
    pub(crate) fn get(&self, id: &Uuid) -> Option<&Operation> {
        self.all.get(id)
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Operation> {
        self.all.values().filter(|operation| matches!(operation.state, State::Running))
    }

    /// Ends running operations without their effect.
    pub(crate) fn cancel(&mut self, mut which: impl FnMut(&Operation) -> bool) {
        for operation in self.all.values_mut() {
            if matches!(operation.state, State::Running) && which(operation) {
                operation.state = State::Canceled;
                operation.effect = None;
            }
        }
    }

    fn next_due(&mut self, now: i64) -> Option<Uuid> {
        self.all
            .iter()
            .filter(|(_, operation)| matches!(operation.state, State::Running) && operation.due <= now)
            .min_by_key(|(_, operation)| (operation.due, operation.order))
            .map(|(id, _)| *id)
    }
}

impl World {
    /// Begins an operation; its effect happens at once if it takes no time.
    pub(crate) fn begin(&mut self, plan: Plan, starter: &str) -> Uuid {
        let planned_failure = self.failing_next_operation.take();
        let due = self.now.saturating_add((plan.seconds * 1000.0) as i64);
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
            planned_failure,
            order: self.operations.started,
        };
        let id = Uuid::new_v4();
        self.begun = Some(operation.kind);
        self.operations.all.insert(id, operation);
        self.settle(self.now);
        id
    }

    /// Applies what has come to its end by `now`, in the order of the ends, and leaves the world at `now`.
    pub(crate) fn settle(&mut self, now: i64) {
        while let Some(id) = self.operations.next_due(now) {
            let Some(operation) = self.operations.all.get_mut(&id) else { break };
            self.now = operation.due;
            // Not running any more while its effect is applied: the effect must not see itself as a concurrent write.
            operation.state = State::Succeeded;
            let (effect, failure) = (operation.effect.take(), operation.planned_failure.take());
            let applies = failure.as_ref().is_none_or(|(_, applies)| *applies);
            let outcome = match effect {
                Some(effect) if applies => effect(self),
                _ => Ok(()),
            };
            let error = failure.map(|(error, _)| error).or(outcome.err());
            if let (Some(error), Some(operation)) = (error, self.operations.all.get_mut(&id)) {
                operation.state = State::Failed(error);
            }
        }
        self.now = now;
    }
}

impl Operations {
    /// The last operation begun on a resource, and where it stands.
    pub(crate) fn latest(&self, resource: &str) -> Option<(&'static str, State)> {
        self.all
            .values()
            .filter(|operation| operation.resource == resource)
            .max_by_key(|operation| operation.order)
            .map(|operation| (operation.kind, operation.state.clone()))
    }
}
