//! Carries out the writes to resources: each in its resource's lane, on what is read there, with its intent on record first.

use std::time::Duration;

use futures::future::join_all;

use super::super::report::Report;
use super::super::{Memory, Turn, apply};
use super::look::{Looked, Scene, token};
use crate::api::AmlWorkspace;
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::plan::Verdict;
use crate::plan::resources::declared;
use crate::plan::step::Step;
use crate::runtime::driver::Error;
use crate::runtime::lane::LaneGuard;
use crate::runtime::status::Basis;

/// Carries out what of the decided writes may go out. Returns when to look again, if there was any.
///
/// # Errors
/// If Kubernetes does not take what is noted.
pub(in super::super) async fn write(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    looked: &Looked,
) -> Result<Option<Duration>, Error> {
    if looked.sendable.is_empty() {
        return Ok(None);
    }
    let context = turn.context;
    let (lanes, steps) = in_lanes(turn, workspace, &looked.sendable).await;
    let Some(first) = steps.first() else {
        // Somebody else is at work there, or was meanwhile.
        return Ok(Some(context.pace.lane));
    };
    let verdict = verdict_of(looked, first);
    apply::refresh(turn, workspace).await?;
    let requests: Vec<_> = steps.iter().map(|step| &step.request).collect();
    let started_at = rfc3339(context.now());
    for request in &requests {
        memory.resources.writes.intend(request.intent(started_at.clone()));
    }
    if let Err(error) = Report::of_resources(turn, workspace, memory, verdict).publish(turn, workspace, memory).await {
        // Nothing went out, so there are no intents.
        memory.resources.writes.drop_intents(&requests);
        return Err(error);
    }
    let sent = steps.iter().map(|step| apply::send(turn, &step.request, Priority::Change, &step.why));
    let answers = join_all(sent).await;
    drop(lanes);
    let token = token(workspace).to_owned();
    let mut wait = context.pace.slow;
    let mut refusal = None;
    for (step, answer) in steps.iter().zip(answers) {
        match answer {
            Ok(accepted) => {
                memory.resources.writes.accepted(&step.request, &accepted, &token, context.now());
                let going = memory.resources.writes.occupied().contains(&step.request.id.to_ascii_lowercase());
                // What is done already is looked at soon.
                let soon = if going { accepted.retry_after.unwrap_or(context.pace.poll) } else { context.pace.lane };
                wait = wait.min(soon);
                let note = format!("{} {}: {}", step.request.verb, step.request.path, step.why);
                context.events.publish(workspace, false, "Written", &note).await;
            }
            Err(error) if error.outcome_unknown() => {
                // The intent stays: only reads, until ARM shows what became of the request.
                wait = wait.min(context.pace.poll);
                refusal = refusal.or(Some(Verdict::of_error("no answer came", &error)));
            }
            Err(error) => {
                let doing = format!("{} {}", step.request.verb, step.request.path);
                let refused = Verdict::of_error(&doing, &error);
                let pause = context.requeue(workspace.metadata.uid.as_deref().unwrap_or_default(), &refused);
                memory.resources.writes.refused(&step.request, &refused, pause, &token, context.now());
                wait = wait.min(pause);
                refusal = refusal.or(Some(refused));
            }
        }
    }
    // What was sent has to be seen before anything is believed to be in place.
    memory.resources.settled = None;
    let mut status = workspace.status.clone().unwrap_or_default();
    status.operations = memory.on_record();
    match refusal {
        // The URLs must not be lost to a conflict, so this holds for whatever version the object has now.
        None => context.status.write(workspace, status, Basis::Object).await?,
        Some(verdict) => {
            let more = super::super::report::carried_over(&status);
            context.report(workspace, status, &verdict, more, Basis::Object).await?;
        }
    }
    Ok(Some(wait))
}

/// Enters the lane of each resource and decides anew on what is read there: whoever was in it before may have changed the lists that
/// are written as a whole. A resource whose lane is taken waits for the next turn.
async fn in_lanes(turn: &Turn<'_>, workspace: &AmlWorkspace, steps: &[Step]) -> (Vec<LaneGuard>, Vec<Step>) {
    let all = declared(&workspace.spec, turn.id);
    let scene = Scene::new(turn, workspace, &all, false);
    let mut lanes = Vec::new();
    let mut fresh = Vec::new();
    for step in steps {
        let Some(resource) = all.iter().find(|resource| resource.id.eq_ignore_ascii_case(&step.request.id)) else {
            continue;
        };
        let lane = ArmId::parse(&resource.id).ok().and_then(|id| turn.context.lanes.enter(id.key()));
        let Some(lane) = lane else { continue };
        let Some(step) = scene.decide_on(resource).await.step else { continue };
        if step.needs.iter().all(|(verb, id)| turn.fence.allows(*verb, id).is_ok()) {
            lanes.push(lane);
            fresh.push(step);
        }
    }
    (lanes, fresh)
}

/// What is said while `step` and those beside it go on: the resource is named.
fn verdict_of(looked: &Looked, step: &Step) -> Verdict {
    let same = |id: &str| id.eq_ignore_ascii_case(&step.request.id);
    let plan = looked.plans.iter().find(|plan| same(&plan.status.resource_id));
    plan.and_then(|plan| plan.trouble.clone()).unwrap_or_else(|| step.verdict.clone())
}
