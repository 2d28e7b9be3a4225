//! Follows the write that is under way, if there is one.

use std::time::Duration;

use super::{Memory, Turn};
use crate::api::AmlWorkspace;
use crate::api::condition::{READY, find};
use crate::api::operation::Operation;
use crate::azure::client::Priority;
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::API_VERSION;
use crate::azure::operation::Poll;
use crate::plan::Verdict;
use crate::plan::overdue::overdue;
use crate::plan::workspace::{PURGE, is_about_rules, under_way};
use crate::runtime::pace::Pace;

/// How often in a row ARM may say that it does not know the operation before that is believed.
const LOST: u32 = 2;

/// How the write under way stands.
pub(super) enum Progress {
    /// There is none, or it has ended well.
    None,
    /// One went out and its answer never came.
    Unknown(Operation),
    /// It goes on.
    Running(Running),
    /// It could not be looked at.
    Unread(Verdict),
    /// It has ended badly, and not because of a rule.
    Failed(Verdict),
}

/// An operation that goes on.
pub(super) struct Running {
    pub(super) operation: Operation,
    /// What is said of it.
    pub(super) verdict: Verdict,
    /// It has outlived its usual time.
    pub(super) late: bool,
    /// Look again after this time.
    pub(super) wait: Duration,
}

impl Running {
    fn new(turn: &Turn<'_>, workspace: &AmlWorkspace, operation: Operation, wait: Duration) -> Self {
        let verdict = under_way(&operation.verb, &operation.id);
        if let Some(verdict) = late(turn, &operation, &verdict) {
            return Self { operation, verdict, late: true, wait };
        }
        // What the operation changes was said when it began.
        let said = workspace.status.as_ref().and_then(|status| find(&status.conditions, READY));
        let said = said.filter(|said| said.reason == verdict.reason.word());
        let verdict = said.map(|said| Verdict::new(verdict.reason, said.message.clone())).unwrap_or(verdict);
        Self { operation, verdict, late: false, wait }
    }
}

/// What to say if `operation`, of which `verdict` speaks, takes longer than usual.
pub(super) fn late(turn: &Turn<'_>, operation: &Operation, verdict: &Verdict) -> Option<Verdict> {
    overdue(verdict, operation, usual_time(&turn.context.pace, operation), turn.context.now())
}

/// How long an operation usually takes: building a network, and whatever changes a built one, half an hour (Microsoft: "Workspace
/// managed virtual network isolation"), everything else minutes.
fn usual_time(pace: &Pace, operation: &Operation) -> Duration {
    match operation.verb.as_str() {
        "PUT" | "DELETE" | PURGE if !is_about_rules(&operation.id) => pace.usual_change,
        _ => pace.usual_building,
    }
}

/// Follows the write under way.
pub(super) async fn follow(turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &mut Memory) -> Progress {
    take_over(turn, workspace, memory);
    let Some(operation) = memory.operations.first().cloned() else { return Progress::None };
    let url = operation.url.as_deref().and_then(|url| {
        // The status may have been written by anybody: a URL that leads anywhere but to this workspace's operation is dropped.
        turn.connected.client.operation_url(turn.id.as_str(), API_VERSION, url).ok()
    });
    let Some(url) = url else { return Progress::Unknown(operation) };
    let wait = turn.context.pace.poll;
    match turn.connected.client.poll(&url, Priority::Change).await {
        Ok(Poll::Running { retry_after, moved }) => {
            memory.lost_polls = 0;
            if let (Some(moved), Some(operation)) = (moved, memory.operations.first_mut()) {
                operation.url = Some(moved.to_string());
            }
            Progress::Running(Running::new(turn, workspace, operation, retry_after.unwrap_or(wait)))
        }
        Ok(Poll::Succeeded) => {
            memory.operations.clear();
            memory.rule_write = None;
            Progress::None
        }
        Ok(Poll::Failed(error)) => failed(turn, memory, &operation, &error),
        Err(error) if error.class == ErrorClass::NotFound => {
            memory.lost_polls += 1;
            if memory.lost_polls < LOST {
                return Progress::Running(Running::new(turn, workspace, operation, wait));
            }
            // ARM has forgotten the operation: what it shows of the workspace tells how it ended.
            memory.lost_polls = 0;
            let intent = Operation { url: None, ..operation };
            memory.operations = vec![intent.clone()];
            Progress::Unknown(intent)
        }
        Err(error) => Progress::Unread(Verdict::of_error("looking at the operation under way", &error)),
    }
}

/// The first turn of this process believes the status about operations, as far as they are about this workspace.
fn take_over(turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &mut Memory) {
    if !memory.informed {
        memory.informed = true;
        let prefix = turn.id.key();
        let ours = |operation: &&Operation| {
            let id = operation.id.to_ascii_lowercase();
            id == prefix || id.starts_with(&format!("{prefix}/"))
        };
        memory.operations =
            workspace.status.iter().flat_map(|status| status.operations.iter()).filter(ours).take(1).cloned().collect();
    }
}

fn failed(turn: &Turn<'_>, memory: &mut Memory, operation: &Operation, error: &ArmError) -> Progress {
    memory.operations.clear();
    let rule_write = memory.rule_write.take();
    if is_about_rules(&operation.id) {
        if let Some(write) = rule_write {
            super::apply::remember(turn, memory, &write, error);
        }
        // The rules' verdicts follow from what is remembered and from what is read next.
        return Progress::None;
    }
    Progress::Failed(Verdict::of_error(&format!("{} of the workspace failed", operation.verb), error))
}
