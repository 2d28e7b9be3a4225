//! What is said of what a workspace is made of.

use crate::api::common::{Drift, WouldWrite};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::workspace::{AmlWorkspaceStatus, AssociatedResourceStatus};
use crate::plan::Verdict;
use crate::plan::difference::Difference;
use crate::plan::resources::ResourcePlan;

/// Says whether all that the workspace is made of is as declared.
pub(in super::super) const RESOURCES_READY: &str = "ResourcesReady";
/// The longest field that a drift holds, in characters.
const FIELD_LIMIT: usize = 512;

/// What is said of one resource.
#[derive(Clone, Debug)]
struct One {
    status: AssociatedResourceStatus,
    differences: Vec<Difference>,
    in_place: Option<bool>,
}

/// What is said of all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    resources: Vec<One>,
    ready: Option<ConditionDraft>,
    /// Why not all are as declared.
    pub(in super::super) trouble: Option<Verdict>,
    /// With `Observe`, what would be written.
    pub(in super::super) would: Vec<WouldWrite>,
}

impl Said {
    /// What follows from `plans`. Nothing is said of the condition where nothing is declared of any resource but its id.
    pub(super) fn of(plans: &[ResourcePlan], looked_at: bool, observes: bool) -> Self {
        let troubles =
            |holds: bool| plans.iter().filter(move |plan| plan.holds == holds).filter_map(|plan| plan.trouble.as_ref());
        // What is only checked comes after what somebody waits for.
        let troubles: Vec<&Verdict> = troubles(true).chain(troubles(false)).collect();
        let draft = |holds: bool, reason: &str, message: String| ConditionDraft {
            type_: RESOURCES_READY,
            status: ConditionStatus::from(holds),
            reason: reason.to_owned(),
            message,
        };
        let ready = match troubles.first() {
            None => draft(true, "AllAsDeclared", "all that the workspace is made of is as declared".to_owned()),
            Some(first) => {
                let words: Vec<&str> = troubles.iter().map(|trouble| trouble.message.as_str()).collect();
                draft(false, first.reason.word(), words.join("; "))
            }
        };
        let one = |plan: &ResourcePlan| One {
            status: plan.status.clone(),
            differences: plan.differences.clone(),
            in_place: plan.in_place,
        };
        let steps = plans.iter().filter(|_| observes).filter_map(|plan| plan.step.as_ref());
        Self {
            resources: plans.iter().map(one).collect(),
            ready: looked_at.then_some(ready),
            trouble: troubles.first().map(|trouble| (*trouble).clone()),
            would: steps.flat_map(|step| step.would()).collect(),
        }
    }

    /// Puts it into `status`, whose predecessor is `previous`, at `now`. Returns what somebody else changed: where a resource differs
    /// from the `generation` that it was in place for. It is told once, since what differs is not in place any more.
    pub(in super::super) fn fill(
        &self,
        previous: &AmlWorkspaceStatus,
        generation: Option<i64>,
        now: &str,
        status: &mut AmlWorkspaceStatus,
    ) -> Vec<Drift> {
        let mut drifted = Vec::new();
        status.associated_resources.clear();
        for One { status: said, differences, in_place } in &self.resources {
            let same = |known: &&AssociatedResourceStatus| {
                known.field == said.field && known.resource_id.eq_ignore_ascii_case(&said.resource_id)
            };
            let last = previous.associated_resources.iter().find(same).and_then(|known| known.in_place_generation);
            if last.is_some() && last == generation {
                drifted.extend(differences.iter().map(|difference| Drift {
                    field: format!("{} {}", said.resource_id, difference.field).chars().take(FIELD_LIMIT).collect(),
                    found: difference.found(),
                    wanted: Some(difference.wanted()),
                    at: now.to_owned(),
                }));
            }
            let in_place_generation = match in_place {
                Some(true) => generation,
                Some(false) => None,
                // What could not be seen is as it was.
                None => last,
            };
            status.associated_resources.push(AssociatedResourceStatus { in_place_generation, ..said.clone() });
        }
        drifted
    }

    /// The condition.
    pub(in super::super) fn condition(&self) -> Option<ConditionDraft> {
        self.ready.clone()
    }
}
