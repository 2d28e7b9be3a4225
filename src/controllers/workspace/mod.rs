//! `AmlWorkspace`: the lane of one workspace. It carries the workspace, its provisioning and its rules: observe, plan, at most
//! one write, report.

mod apply;
mod declare;
mod depart;
mod memory;
mod observe;
mod operation;
mod report;

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::AmlWorkspace;
use crate::api::common::ManagementPolicy;
use crate::api::ids::ArmId;
use crate::plan::fence::Fence;
use crate::plan::intent::{Settlement, Traces, settle};
use crate::plan::ownership::Owner;
use crate::plan::workspace::{WorkspaceInput, Write, check, plan};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{age, key_of, workspace_id};
use crate::runtime::status::{Basis, has_finalizer};

pub use memory::{Memories, Memory};
use operation::Progress;
use report::Report;

/// Everything one turn in the lane works with.
struct Turn<'a> {
    context: &'a Context,
    id: &'a ArmId,
    owner: Owner,
    connected: &'a Connected,
    fence: Fence<'a>,
}

/// Looks at one workspace.
///
/// # Errors
/// If Kubernetes does not take what is reported.
pub async fn reconcile(context: Arc<Context>, mut workspace: AmlWorkspace) -> Result<Outcome, Error> {
    let id = match workspace_id(&workspace) {
        Ok(id) => id,
        Err(error) => {
            let verdict = Verdict::new(Reason::Invalid, error.to_string());
            return simple(&context, &mut workspace, verdict).await;
        }
    };
    if Context::abandoned(&workspace) && has_finalizer(&workspace) {
        context.release(&workspace, "abandoned by annotation; Azure keeps whatever is there").await?;
        return Ok(Outcome::Done);
    }
    let Some(_lane) = context.lanes.enter(id.key()) else {
        return Ok(Outcome::Again(context.pace.lane));
    };
    let mut memory = context.memories.take(&id);
    let outcome = in_lane(&context, &id, &mut workspace, &mut memory).await;
    context.memories.put(&id, memory);
    outcome
}

async fn in_lane(
    context: &Context,
    id: &ArmId,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
) -> Result<Outcome, Error> {
    let owner = Owner {
        installation: context.installation.clone(),
        kind: "AmlWorkspace",
        namespace: workspace.namespace().unwrap_or_default(),
        name: workspace.name_any(),
    };
    if workspace.metadata.deletion_timestamp.is_some() {
        return depart::depart(context, id, owner, workspace, memory).await;
    }
    if let Some(rival) = rival(context, id, &owner, workspace, memory) {
        let verdict = Verdict::new(
            Reason::ManagedElsewhere,
            format!(
                "AmlWorkspace {rival} manages {id} already; delete one of the two (Azure keeps the workspace by default)"
            ),
        );
        return simple(context, workspace, verdict).await;
    }
    let observes = workspace.spec.management_policy == Some(ManagementPolicy::Observe);
    if !observes && !has_finalizer(workspace) {
        if workspace.status.is_none() {
            let verdict = Verdict::new(Reason::Pending, "seen for the first time");
            context.report(workspace, Default::default(), &verdict, Vec::new(), Basis::Version).await?;
        }
        context.status.finalizer(workspace, true).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let connected = match Connected::find(&context.indexes, &context.clients, &workspace.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(verdict) => return blocked(context, workspace, verdict).await,
    };
    let namespace = workspace.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    if let Err(verdict) = check(&workspace.spec, id, &fence) {
        return blocked(context, workspace, verdict).await;
    }
    let turn = Turn { context, id, owner, connected: &connected, fence };
    attend(&turn, workspace, memory, observes || connected.is_read_only()).await
}

/// The heart: one look at Azure, one decision, at most one write.
async fn attend(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    observes: bool,
) -> Result<Outcome, Error> {
    let Turn { context, id, .. } = turn;
    let unknown = match operation::follow(turn, workspace, memory).await {
        Progress::None => None,
        Progress::Unknown(intent) => Some(intent),
        Progress::Running(verdict, wait) => {
            let report = Report::while_running(workspace, memory, verdict);
            report.publish(turn, workspace, memory).await?;
            return Ok(Outcome::Again(wait));
        }
        Progress::Unread(verdict) => {
            let report = Report::unseen(workspace, memory, verdict.clone());
            report.publish(turn, workspace, memory).await?;
            return Ok(Outcome::Reported(verdict));
        }
        Progress::Failed(verdict) => {
            let report = Report::unseen(workspace, memory, verdict.clone());
            report.publish(turn, workspace, memory).await?;
            return Ok(Outcome::Reported(verdict));
        }
    };
    let seen = match observe::observe(turn, workspace, memory).await {
        Ok(seen) => seen,
        Err(verdict) => {
            let report = Report::unseen(workspace, memory, verdict.clone());
            report.publish(turn, workspace, memory).await?;
            return Ok(Outcome::Reported(verdict));
        }
    };
    let input = WorkspaceInput {
        owner: &turn.owner,
        id,
        spec: &workspace.spec,
        observed: seen.workspace.as_ref(),
        rules: &seen.rules,
        fence: &turn.fence,
    };
    let decided = plan(input);
    let rules = declare::plan_rules(turn, workspace, &seen, &decided, memory);
    let write = decided.write.clone().or_else(|| {
        let allowed =
            decided.rules_may_change && turn.fence.allows(crate::api::connection::Verb::Configure, id).is_ok();
        rules.write.clone().filter(|_| allowed).map(Write::Rules)
    });
    let network = seen.workspace.as_ref().and_then(|workspace| workspace.properties.managed_network.clone());
    let request = write.as_ref().map(|write| write.request(id, network.as_ref()));
    if let Some(intent) = unknown {
        let same = |request: &crate::plan::workspace::Request| {
            request.id.eq_ignore_ascii_case(&intent.id) && request.verb == intent.verb
        };
        let busy = seen.workspace.as_ref().is_some_and(crate::azure::machine_learning::Workspace::is_moving);
        if busy {
            memory.last_busy = Some(context.now());
        }
        let traces = Traces { visible: !request.as_ref().is_some_and(same), busy, last_busy: memory.last_busy };
        if settle(&intent, traces, context.now(), context.pace.rest) == Settlement::Wait {
            let verdict = Verdict::new(
                Reason::OutcomeUnknown,
                format!(
                    "the answer to {} {} never came; nothing else is written until Azure shows what became of it, or has been \
                     at rest for {} s",
                    intent.verb,
                    intent.id,
                    context.pace.rest.as_secs()
                ),
            );
            memory.operations = vec![intent];
            let report = Report::new(turn, workspace, memory, &seen, verdict.clone(), &decided, &rules);
            report.publish(turn, workspace, memory).await?;
            return Ok(Outcome::Reported(verdict));
        }
        memory.operations = Vec::new();
    }
    if request.is_none() {
        memory.last_write = None;
    }
    let held = if observes {
        None
    } else if let Some(verdict) = request.as_ref().and_then(|request| apply::repeated(turn, memory, request)) {
        Some(verdict)
    } else if workspace.spec.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is started (spec.suspend)"))
    } else {
        turn.connected.holds_writes()
    };
    match (write, request) {
        (Some(write), Some(request)) if !observes && held.is_none() => {
            apply::apply(turn, workspace, memory, apply::Step { write, request, seen, decided, rules }).await
        }
        (_, request) => {
            let verdict = match (&request, held) {
                (Some(request), _) if observes => Verdict::new(
                    Reason::Differs,
                    format!("with managementPolicy: Observe, {} {} is not sent", request.method, request.path),
                ),
                (None, _) if observes && decided.verdict.reason.is_ready() => {
                    Verdict::new(Reason::Matches, "Azure is as declared")
                }
                (_, Some(held))
                    if decided.write.is_some() || workspace.spec.suspend || held.reason == Reason::AzureRefused =>
                {
                    held
                }
                _ => decided.verdict.clone(),
            };
            let mut report = Report::new(turn, workspace, memory, &seen, verdict.clone(), &decided, &rules);
            if observes {
                report.plans(request.as_ref());
            }
            let wait = report.publish(turn, workspace, memory).await?;
            let uid = workspace.uid().unwrap_or_default();
            Ok(Outcome::Again(context.requeue(&uid, &verdict).min(wait)))
        }
    }
}

/// Reports a verdict that stops before Azure is asked; the rules hear why they wait.
async fn blocked(context: &Context, workspace: &mut AmlWorkspace, verdict: Verdict) -> Result<Outcome, Error> {
    declare::post_blocked(context, workspace, &verdict);
    simple(context, workspace, verdict).await
}

/// Reports a verdict and leaves the rest of the status as it is.
async fn simple(context: &Context, workspace: &mut AmlWorkspace, verdict: Verdict) -> Result<Outcome, Error> {
    let status = workspace.status.clone().unwrap_or_default();
    let more = report::carried_over(&status);
    context.report(workspace, status, &verdict, more, Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

/// Another object that manages the same workspace: the one that the tag names wins, else the older.
fn rival(context: &Context, id: &ArmId, owner: &Owner, workspace: &AmlWorkspace, memory: &Memory) -> Option<String> {
    let mine = memory.owner_tag.as_deref().is_some_and(|tag| owner.is(tag));
    if mine {
        return None;
    }
    context.indexes.workspaces.state().iter().filter_map(|other| other.0.as_ref().ok()).find_map(|other| {
        let same = key_of(other) != key_of(workspace)
            && other.metadata.deletion_timestamp.is_none()
            && workspace_id(other).is_ok_and(|other| other == *id);
        let named = memory.owner_tag.as_deref().is_some_and(|tag| {
            Owner { namespace: other.namespace().unwrap_or_default(), name: other.name_any(), ..owner.clone() }.is(tag)
        });
        (same && (named || age(other) < age(workspace)))
            .then(|| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()))
    })
}
