//! `AmlWorkspace`: the lane of one workspace. It carries the workspace, its provisioning and its rules: observe, plan, at most
//! one write, report.

mod apply;
mod declare;
mod depart;
mod memory;
mod observe;
mod operation;
mod posture;
mod report;
mod resources;
mod roles;
mod urgency;

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::AmlWorkspace;
use crate::api::common::ManagementPolicy;
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::error::ArmError;
use crate::azure::machine_learning::{OutboundRule, Workspace};
use crate::plan::attached::View;
use crate::plan::fence::Fence;
use crate::plan::intent::{Settlement, Traces, settle};
use crate::plan::ownership::Owner;
use crate::plan::rules::ObjectKey;
use crate::plan::workspace::{WorkspaceInput, Write, check, plan};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{age, key_of, workspace_id};
use crate::runtime::kind::Kind;
use crate::runtime::status::{Basis, has_finalizer};

pub use memory::{Memories, Memory};
use operation::Progress;
pub use posture::ReportKinds;
use report::Report;
use roles::Through;
pub use roles::keep as keep_roles;
use urgency::urgency;

/// Everything one turn in the lane works with.
struct Turn<'a> {
    context: &'a Context,
    id: &'a ArmId,
    owner: Owner,
    connected: &'a Connected,
    fence: Fence<'a>,
    /// How soon its requests go.
    priority: Priority,
}

impl Turn<'_> {
    /// Its AzureConnection, as the cluster shows it.
    fn through(&self) -> Through<'_> {
        Through { context: self.context, name: &self.connected.name, spec: &self.connected.spec }
    }
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
        let roles = roles::left_behind(&context, &id, &workspace).await;
        let note = format!("abandoned by annotation; Azure keeps whatever is there{roles}");
        context.release(&workspace, &note).await?;
        return Ok(Outcome::Done);
    }
    let Some(_lane) = context.lanes.enter(id.key()) else {
        return Ok(Outcome::Again(context.pace.lane));
    };
    let uid = workspace.uid().unwrap_or_default();
    let mut memory = context.memories.take(&uid);
    let priority = urgency(&context, &workspace, &memory);
    let key = key_of(&workspace);
    let place = if priority < Priority::Resync {
        context.calm.leave(AmlWorkspace::NAME, &key);
        None
    } else if let Some(place) = context.calm.enter(AmlWorkspace::NAME, &key) {
        Some(place)
    } else {
        context.memories.put(&uid, memory);
        // It is called before; this is for a call that got lost.
        return Ok(Outcome::Again(context.pace.resync));
    };
    let outcome = in_lane(&context, &id, &mut workspace, &mut memory, priority).await;
    drop(place);
    if workspace.metadata.deletion_timestamp.is_some() && matches!(outcome, Ok(Outcome::Done)) {
        context.memories.forget(&uid);
    } else {
        context.memories.put(&uid, memory);
    }
    outcome
}

async fn in_lane(
    context: &Context,
    id: &ArmId,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    priority: Priority,
) -> Result<Outcome, Error> {
    let owner = Owner {
        installation: context.installation.clone(),
        kind: "AmlWorkspace",
        namespace: workspace.namespace().unwrap_or_default(),
        name: workspace.name_any(),
    };
    if workspace.metadata.deletion_timestamp.is_some() {
        return depart::depart(context, id, owner, workspace, memory, priority).await;
    }
    if let Some(rival) = rival(context, id, &owner, workspace) {
        let verdict = Verdict::new(
            Reason::ManagedElsewhere,
            format!(
                "AmlWorkspace {rival} manages {id} already; delete one of the two (Azure keeps the workspace by default)"
            ),
        );
        return blocked(context, workspace, verdict).await;
    }
    let observes = workspace.spec.management_policy == Some(ManagementPolicy::Observe);
    let connected = match Connected::find(&context.indexes, &context.clients, &workspace.spec.connection_ref.name) {
        Ok(connected) => connected,
        // What was said stands until a process that has just started has looked at the credential.
        Err(verdict) if verdict.reason == Reason::Pending && workspace.status.is_some() => {
            return Ok(Outcome::Reported(verdict));
        }
        Err(verdict) => return blocked(context, workspace, verdict).await,
    };
    let namespace = workspace.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    let hub = match hub(context, workspace, &fence) {
        Ok(hub) => hub,
        Err(verdict) => return blocked(context, workspace, verdict).await,
    };
    if let Err(verdict) = check(&workspace.spec, hub.as_ref(), id, &fence) {
        return blocked(context, workspace, verdict).await;
    }
    // Only now: an object that was never let through has nothing in Azure to come back for, and its deletion must not ask there.
    if !observes && !has_finalizer(workspace) {
        if workspace.status.is_none() {
            let verdict = Verdict::new(Reason::Pending, "seen for the first time");
            context.report(workspace, Default::default(), &verdict, Vec::new(), Basis::Version).await?;
        }
        context.status.hold(workspace).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let turn = Turn { context, id, owner, connected: &connected, fence, priority };
    attend(&turn, workspace, hub.as_ref(), memory, observes || connected.is_read_only()).await
}

/// The heart: one look at Azure, one decision, at most one write.
async fn attend(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    hub: Option<&ArmId>,
    memory: &mut Memory,
    observes: bool,
) -> Result<Outcome, Error> {
    let Turn { context, id, .. } = turn;
    let unknown = match operation::follow(turn, workspace, memory).await {
        Progress::None => None,
        Progress::Unknown(intent) => Some(intent),
        Progress::Running(running) => {
            if running.late {
                declare::post_late(turn, workspace, &running.operation);
            }
            let wait = running.wait;
            Report::while_running(workspace, memory, running).publish(turn, workspace, memory).await?;
            return Ok(Outcome::Again(wait));
        }
        Progress::Unread(verdict) | Progress::Failed(verdict) => return unseen(turn, workspace, memory, verdict).await,
    };
    let mut seen = match observe::observe(turn, workspace, memory).await {
        Ok(seen) => seen,
        Err(error) => return unseen(turn, workspace, memory, error.verdict).await,
    };
    post_view(turn, workspace, &seen);
    let mut looked = resources::look(turn, workspace, memory, observes).await;
    posture::look(turn, workspace, memory, &seen, &looked.shown).await;
    let input = WorkspaceInput {
        owner: &turn.owner,
        id,
        spec: &workspace.spec,
        hub,
        observed: seen.workspace.as_ref(),
        rules: &seen.rules,
        computes: seen.computes.as_deref(),
        wanted: context.indexes.stations.need_network(context, workspace),
        soft_deleted: memory.soft_deleted,
        resources: looked.foundation(),
        observes,
        fence: &turn.fence,
    };
    let mut decided = plan(input);
    if !decided.resources_may_change {
        looked.hold(memory, &decided.verdict);
    } else if let Some(wait) = resources::write(turn, workspace, memory, &looked).await? {
        return Ok(Outcome::Again(wait));
    }
    let may_write = !observes && !workspace.spec.suspend && turn.connected.holds_writes().is_none();
    if let Some(wait) = roles::attend(turn, workspace, &mut seen, &decided, memory, may_write).await? {
        return Ok(Outcome::Again(wait));
    }
    let mut rules = declare::plan_rules(turn, workspace, &seen, &decided, memory);
    if let Some(door) = rules.plan.door.clone().filter(|_| decided.verdict.reason.is_ready()) {
        // What the workspace's own object asks for is not done yet.
        decided.verdict = door;
    }
    let of_resources = memory.resources.said.clone().unwrap_or_default();
    if let Some(trouble) = of_resources.trouble.filter(|_| decided.verdict.reason.is_ready()) {
        decided.verdict = trouble;
    }
    let rules_held = turn.fence.allows(Verb::Configure, id).err().filter(|_| rules.plan.write.is_some() && !observes);
    let of_rules = rules.plan.write.clone().filter(|_| decided.rules_may_change && rules_held.is_none());
    let write = decided.write.clone().or_else(|| of_rules.map(Write::Rules));
    let network = seen.workspace.as_ref().and_then(|workspace| workspace.properties.managed_network.clone());
    let request = write.as_ref().map(|write| write.request(id, network.as_ref()));
    if let Some(intent) = unknown {
        let moving = seen.workspace.as_ref().is_some_and(Workspace::is_moving);
        let busy = moving || seen.rules.iter().any(OutboundRule::is_moving);
        if busy {
            memory.last_busy = Some(context.now());
        }
        // As long as anything is left to do, what was asked may still be under way, and must not meet another write.
        let traces = Traces { visible: request.is_none(), busy, last_busy: memory.last_busy };
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
    let again = request.as_ref().and_then(|request| apply::too_soon(turn, workspace, memory, request));
    if let (Some(apply::TooSoon::NotShown(verdict)), Some(Write::Rules(write))) = (&again, &write) {
        // The engine lets the others go on, and tries this one by itself later.
        let error = ArmError::from_failure("NotShown", &verdict.message);
        apply::remember(turn, memory, write, &error);
        memory.last_write = None;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let held = if observes {
        None
    } else if workspace.spec.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is started (spec.suspend)"))
    } else {
        turn.connected.holds_writes().or_else(|| again.map(apply::TooSoon::into_verdict))
    };
    rules.hold(rules_held.as_ref().or(held.as_ref()), observes);
    match (write, request) {
        (Some(write), Some(request)) if !observes && held.is_none() => {
            apply::apply(turn, workspace, memory, apply::Step { write, request, seen, decided, rules }).await
        }
        (write, request) => {
            let verdict = match (&request, held) {
                (Some(request), _) if observes => Verdict::new(
                    Reason::Differs,
                    format!(
                        "with managementPolicy: Observe, {} {} is not sent; status.wouldWrite says what it would change",
                        request.method, request.path
                    ),
                ),
                (None, _) if observes && decided.verdict.reason.is_ready() => {
                    Verdict::new(Reason::Matches, "Azure is as declared")
                }
                (_, Some(held)) if decided.write.is_some() || workspace.spec.suspend => held,
                _ => decided.verdict.clone(),
            };
            let mut report = Report::new(turn, workspace, memory, &seen, verdict.clone(), &decided, &rules);
            let mut would = of_resources.would;
            if let Some(write) = write.filter(|_| observes) {
                would.extend(write.would(id, &decided.sent, &seen.rules));
            } else if let Some(assigns) = seen.roles.said.planned.clone().filter(|_| observes) {
                would.push(assigns);
            }
            report.would(would);
            let wait = report.publish(turn, workspace, memory).await?;
            posture::write(turn, workspace, memory).await;
            let wait = looked.running.map_or(wait, |running| running.min(wait));
            let uid = workspace.uid().unwrap_or_default();
            let roles = seen.roles.said.again.unwrap_or(wait);
            let posture = memory.posture.again(context.now(), context.pace.resync);
            Ok(Outcome::Again(context.requeue(&uid, &verdict).min(wait).min(roles).min(posture)))
        }
    }
}

/// Posts what ARM shows for whatever attaches to the workspace, and asks those to look again where that is news.
fn post_view(turn: &Turn<'_>, workspace: &AmlWorkspace, seen: &observe::Seen) {
    let Turn { context, id, .. } = turn;
    let stations = &context.indexes.stations;
    let key = key_of(workspace);
    if !stations.any_of(&key) {
        context.views.forget(id);
        return;
    }
    let view = View { workspace: seen.workspace.clone(), rules: seen.rules.clone() };
    if context.views.post(id, view) {
        stations.ask_of(&key);
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

/// Reports that Azure could not be looked at; what was known stays.
async fn unseen(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &Memory,
    verdict: Verdict,
) -> Result<Outcome, Error> {
    let verdict = depart::letting_go(workspace, verdict);
    let report = Report::unseen(workspace, memory, verdict.clone());
    report.publish(turn, workspace, memory).await?;
    Ok(Outcome::Reported(verdict))
}

/// The hub of a project: as given, or of the object that declares it.
fn hub(context: &Context, workspace: &AmlWorkspace, fence: &Fence<'_>) -> Result<Option<ArmId>, Verdict> {
    let Some(hub) = &workspace.spec.hub else { return Ok(None) };
    if let Some(id) = &hub.resource_id {
        let id = ArmId::parse(id).map_err(|error| Verdict::new(Reason::Invalid, format!("hub.resourceId: {error}")))?;
        return Ok(Some(id));
    }
    let Some(named) = &hub.workspace_ref else { return Ok(None) };
    let namespace = named.namespace.clone().or_else(|| workspace.namespace()).unwrap_or_default();
    let key = ObjectKey { namespace, name: named.name.clone() };
    let missing = || {
        let message = format!(
            "the hub, AmlWorkspace {}/{}, does not exist, or no grant lets this namespace reach it",
            key.namespace, key.name
        );
        Verdict::new(Reason::WorkspaceMissing, message)
    };
    let found = context.indexes.workspace(&key).ok_or_else(missing)?;
    let found = found.0.as_ref().map_err(|_| missing())?;
    let id = workspace_id(found).map_err(|_| missing())?;
    // Who may not reach the hub of another namespace does not learn from its name what it is in Azure, nor that it is there.
    if Some(&key.namespace) != workspace.namespace().as_ref() && fence.allows(Verb::Reach, &id).is_err() {
        return Err(missing());
    }
    Ok(Some(id))
}

/// Another object that manages the same workspace: the one that the tag names wins, else the older. Only an object that could
/// manage it counts, so that nobody blocks a workspace by declaring it without the right to.
fn rival(context: &Context, id: &ArmId, owner: &Owner, workspace: &AmlWorkspace) -> Option<String> {
    let tag = context.memories.owner_tag(id);
    if tag.as_deref().is_some_and(|tag| owner.is(tag)) {
        return None;
    }
    context.indexes.declarers(id).iter().filter_map(|other| other.0.as_ref().ok()).find_map(|other| {
        let same = key_of(other) != key_of(workspace)
            && other.metadata.deletion_timestamp.is_none()
            && could_manage(context, id, other);
        let named = tag.as_deref().is_some_and(|tag| {
            Owner { namespace: other.namespace().unwrap_or_default(), name: other.name_any(), ..owner.clone() }.is(tag)
        });
        (same && (named || age(other) < age(workspace)))
            .then(|| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()))
    })
}

/// True if `workspace` may write to `id` by what the cluster says, through a credential that works.
fn could_manage(context: &Context, id: &ArmId, workspace: &AmlWorkspace) -> bool {
    let name = &workspace.spec.connection_ref.name;
    let connected = Connected::find(&context.indexes, &context.clients, name);
    connected.is_ok_and(|connected| entitled_to_manage(context, id, name, &connected.spec, workspace))
}

/// True if `workspace` may write to `id` by the grants of its AzureConnection `name`.
fn entitled_to_manage(
    context: &Context,
    id: &ArmId,
    name: &str,
    spec: &AzureConnectionSpec,
    workspace: &AmlWorkspace,
) -> bool {
    if workspace.spec.management_policy == Some(ManagementPolicy::Observe) {
        return false;
    }
    let namespace = workspace.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(name, spec, &namespace, &labels);
    let may_write = fence.allows(Verb::Create, id).or_else(|_| fence.allows(Verb::Configure, id)).is_ok();
    may_write
        && hub(context, workspace, &fence).is_ok_and(|hub| check(&workspace.spec, hub.as_ref(), id, &fence).is_ok())
}
