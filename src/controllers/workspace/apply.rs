//! Carries out the one write that was decided: intent first, then the request, then its operation's URL.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use reqwest::Method;
use tracing::info;

use super::declare::{Rules, Version, versions as versions_of};
use super::depart::letting_go;
use super::memory::LastWrite;
use super::observe::Seen;
use super::report::Report;
use super::{Memory, Turn};
use crate::api::condition::rfc3339;
use crate::api::operation::Operation;
use crate::api::workspace::OnSoftDeleted;
use crate::api::{AmlWorkspace, AzureConnection, OutboundRule, RECONCILE_AT};
use crate::azure::client::{Accepted, Priority};
use crate::azure::error::{ArmError, ErrorClass};
use crate::plan::names::{body_hash, fingerprint};
use crate::plan::rules::{ObjectKey, RuleState, RuleWrite, because, may_be_one_rules_fault, remember_refusal};
use crate::plan::workspace::{Request, WorkspacePlan, Write};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::guarded::Guarded;
use crate::runtime::indexes::{key_of, workspace_key};
use crate::runtime::status::{Basis, WriteError, fresh};

/// How many rules an event names for each reason that it gives.
const NAMED: usize = 5;

/// One write, with all it was decided on.
pub(super) struct Step {
    /// What to do.
    pub(super) write: Write,
    /// How.
    pub(super) request: Request,
    /// What ARM showed.
    pub(super) seen: Seen,
    /// What was decided about the workspace.
    pub(super) decided: WorkspacePlan,
    /// What was decided about its rules.
    pub(super) rules: Rules,
}

/// What tells a request from another: what is asked, and whether the user asks for a retry.
fn hash(workspace: &AmlWorkspace, request: &Request) -> String {
    let token = workspace.annotations().get(RECONCILE_AT).map(String::as_str).unwrap_or_default();
    fingerprint(&[request.verb, &request.path, &body_hash(request.body.as_ref()), token])
}

/// Why a request is not sent again yet.
pub(super) enum TooSoon {
    /// ARM took it before, more than once, and still does not show it.
    NotShown(Verdict),
    /// ARM refused it.
    Refused(Verdict),
}

impl TooSoon {
    /// What to say.
    pub(super) fn into_verdict(self) -> Verdict {
        match self {
            Self::NotShown(verdict) | Self::Refused(verdict) => verdict,
        }
    }
}

/// Whether `request` has to wait, however often the lane is woken: it is sent again, but later each time.
pub(super) fn too_soon(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &Memory,
    request: &Request,
) -> Option<TooSoon> {
    let last = memory.last_write.as_ref().filter(|last| last.hash == hash(workspace, request))?;
    let now = turn.context.now();
    let left = |until: Timestamp| -> Option<Duration> {
        until.duration_since(now).try_into().ok().filter(|left: &Duration| !left.is_zero())
    };
    if let Some((until, verdict)) = &last.refused {
        return left(*until).map(|left| TooSoon::Refused(verdict.clone().after(Some(left))));
    }
    let pace = &turn.context.pace;
    let wait = pace.backoff_first.saturating_mul(1 << last.times.min(16)).min(pace.backoff_last);
    let left = left(last.at + wait).filter(|_| last.times > 1)?;
    let message = format!(
        "Azure took {} {} {} times without showing what was asked; it is sent again later",
        request.method, request.path, last.times
    );
    Some(TooSoon::NotShown(Verdict::new(Reason::AzureRefused, message).after(Some(left))))
}

/// Carries out `step`.
pub(super) async fn apply(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    step: Step,
) -> Result<Outcome, Error> {
    let Step { write, request, seen, decided, rules } = step;
    let versions = matches!(write, Write::Rules(_)).then_some(&rules.basis);
    up_to_date(turn, workspace, versions).await?;
    let verdict = if let Write::Rules(_) = write { decided.verdict.clone() } else { write.verdict(&decided.sent) };
    let intent = Operation {
        id: request.id.clone(),
        verb: request.verb.to_owned(),
        body_hash: body_hash(request.body.as_ref()),
        started_at: rfc3339(turn.context.now()),
        url: None,
    };
    let hash = hash(workspace, &request);
    let times = memory.last_write.as_ref().filter(|last| last.hash == hash).map_or(0, |last| last.times);
    memory.operations = vec![intent];
    let on_soft_deleted = workspace.spec.on_soft_deleted.unwrap_or_default();
    let report = Report::new(turn, workspace, memory, &seen, verdict.clone(), &decided, &rules);
    if let Err(error) = report.publish(turn, workspace, memory).await {
        // Nothing went out, so there is no intent.
        memory.operations.clear();
        return Err(error);
    }
    let priority = if request.method == "DELETE" { Priority::Urgent } else { Priority::Change };
    match send(turn, &request, priority, &why(&write, &decided, &rules, None)).await {
        Ok(accepted) => {
            let why = why(&write, &decided, &rules, Some(NAMED));
            let note = format!("{} {}: {why}", request.verb, request.path);
            turn.context.events.publish(workspace, false, "Written", &note).await;
            memory.last_write = Some(LastWrite { hash, at: turn.context.now(), times: times + 1, refused: None });
            after_acceptance(turn, memory, &write);
            let wait = accepted.retry_after.unwrap_or(turn.context.pace.poll);
            started(turn, workspace, memory, &accepted).await?;
            // What is done already is looked at soon; a deletion is given time to show.
            let done = memory.operations.is_empty() && write != Write::Delete;
            Ok(Outcome::Again(if done { turn.context.pace.lane } else { wait }))
        }
        Err(error) if error.outcome_unknown() => {
            // The intent stays: only reads, until ARM shows what became of the request.
            Ok(Outcome::Reported(Verdict::of_error("no answer came", &error).after(Some(turn.context.pace.poll))))
        }
        Err(error) => {
            memory.operations.clear();
            let verdict = refused(turn, memory, &write, &request, &error, on_soft_deleted);
            let wait = turn.context.requeue(&workspace.uid().unwrap_or_default(), &verdict);
            let refused = Some((turn.context.now() + wait, verdict.clone()));
            memory.last_write = Some(LastWrite { hash, at: turn.context.now(), times: 0, refused });
            let (verdict_of_workspace, rules) = match &write {
                Write::Rules(write) => (decided.verdict.clone(), spoiled(rules, write, &verdict)),
                _ => (letting_go(workspace, verdict), rules),
            };
            let report = Report::new(turn, workspace, memory, &seen, verdict_of_workspace, &decided, &rules);
            report.publish(turn, workspace, memory).await?;
            Ok(Outcome::Again(wait))
        }
    }
}

/// The workspace's object as it is now, if neither it nor its connection is another one than was decided on.
///
/// # Errors
/// [`WriteError::Outdated`] if one of them is.
pub(super) async fn still_so(turn: &Turn<'_>, workspace: &AmlWorkspace) -> Result<AmlWorkspace, Error> {
    let kube = &turn.context.kube;
    let connection: Option<AzureConnection> = fresh(kube, None, &turn.connected.name).await?;
    // A grant that was taken back a moment ago must not be used once more.
    if !connection.is_some_and(|now| now.uid() == turn.connected.uid && now.spec == turn.connected.spec) {
        return Err(WriteError::Outdated.into());
    }
    let key = key_of(workspace);
    let now: Option<AmlWorkspace> = fresh(kube, Some(&key.namespace), &key.name).await?;
    let same = |now: &AmlWorkspace| {
        now.uid() == workspace.uid()
            && now.metadata.generation == workspace.metadata.generation
            && now.metadata.deletion_timestamp == workspace.metadata.deletion_timestamp
    };
    now.filter(same).ok_or_else(|| WriteError::Outdated.into())
}

/// Takes over the version of the workspace's object that is there now, if neither it nor its connection is another one than was decided
/// on.
///
/// # Errors
/// [`WriteError::Outdated`] if one of them is.
pub(super) async fn refresh(turn: &Turn<'_>, workspace: &mut AmlWorkspace) -> Result<(), Error> {
    let now = still_so(turn, workspace).await?;
    // Others' changes to status or labels decide nothing; the intent goes out on the version that was just read.
    workspace.metadata.resource_version = now.metadata.resource_version;
    workspace.status = now.status;
    Ok(())
}

/// Sees that the decision still rests on what is so: the object as decided on, and for rules every object they come from.
async fn up_to_date(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    versions: Option<&BTreeMap<ObjectKey, Version>>,
) -> Result<(), Error> {
    let kube = &turn.context.kube;
    let key = key_of(workspace);
    refresh(turn, workspace).await?;
    let Some(decided_on) = versions else { return Ok(()) };
    // Without a word others' rules have no say, so a workspace that takes none costs a list of its own namespace.
    let api: Api<Guarded<OutboundRule>> = match workspace.spec.allowed_rules {
        Some(_) => Api::all(kube.clone()),
        None => Api::namespaced(kube.clone(), &key.namespace),
    };
    let selector = format!("spec.workspaceRef.name={}", key.name);
    let params =
        ListParams { label_selector: turn.context.selector.clone(), ..ListParams::default() }.fields(&selector);
    let listed = api.list(&params).await?;
    let listed = listed.items.iter().filter_map(|rule| rule.0.as_ref().ok()).filter(|rule| workspace_key(rule) == key);
    let listed = versions_of(turn.context, workspace, listed);
    if listed == *decided_on { Ok(()) } else { Err(WriteError::Outdated.into()) }
}

/// What a write is for: each field with what ARM had and what is wanted, each rule with its reason; with `most`, no more rules than
/// that by name for each reason.
fn why(write: &Write, decided: &WorkspacePlan, rules: &Rules, most: Option<usize>) -> String {
    let reasons = match write {
        Write::Rules(_) => because(&rules.plan.causes, most),
        Write::Update(_) => {
            let reasons = decided.sent.iter().map(|differs| {
                format!("{} is {} in Azure and shall be {}", differs.field, differs.found(), differs.wanted())
            });
            reasons.collect::<Vec<_>>().join("; ")
        }
        _ => String::new(),
    };
    // A workspace that is created, provisioned or mended differs in no field.
    if reasons.is_empty() { write.verdict(&decided.sent).message } else { reasons }
}

/// Sends `request`, with an audit line that says why.
pub(super) async fn send(
    turn: &Turn<'_>,
    request: &Request,
    priority: Priority,
    why: &str,
) -> Result<Accepted, ArmError> {
    let method = match request.method {
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "POST" => Method::POST,
        _ => Method::DELETE,
    };
    let answer =
        turn.connected.client.send(method, &request.path, request.version, request.body.as_ref(), priority).await;
    let outcome = match &answer {
        Ok(accepted) => format!("{}", accepted.status),
        Err(error) => error.to_string(),
    };
    let request_id = answer.as_ref().map_or_else(
        |error| error.request_id.as_deref().map(ToOwned::to_owned),
        |accepted| accepted.request_id.clone(),
    );
    info!(target: crate::telemetry::AUDIT, verb = request.verb, path = request.path, why, outcome, request_id, "write");
    turn.context.metrics.operation_started(request.verb);
    answer
}

fn after_acceptance(turn: &Turn<'_>, memory: &mut Memory, write: &Write) {
    memory.lost_polls = 0;
    memory.rule_write = None;
    if let Write::Rules(write) = write {
        if let RuleWrite::Delete { .. } = write {
            turn.context.removals.note(&turn.connected.name, turn.context.now());
        }
        if let RuleWrite::Put { name, .. } = write {
            memory.rules.nudged.insert(name.clone(), turn.context.now());
        }
        memory.rule_write = Some(write.clone());
    }
    if *write == Write::Purge {
        memory.soft_deleted = false;
        memory.purged = true;
    }
    if *write == Write::Delete {
        turn.context.removals.note(&turn.connected.name, turn.context.now());
    }
}

/// Records where ARM says how it goes. That must not be lost to a conflict, so it holds for whatever version the object has now.
async fn started(
    turn: &Turn<'_>,
    workspace: &mut AmlWorkspace,
    memory: &mut Memory,
    accepted: &Accepted,
) -> Result<(), Error> {
    match (&accepted.operation, accepted.status) {
        (Some(url), _) => {
            if let Some(operation) = memory.operations.first_mut() {
                operation.url = Some(url.to_string());
            }
            let mut status = workspace.status.clone().unwrap_or_default();
            status.operations = memory.on_record();
            turn.context.status.write(workspace, status, Basis::Object).await?;
        }
        // Accepted without a URL that may be followed: the intent stays, and what ARM shows tells.
        (None, 202) => {}
        (None, _) => {
            memory.operations.clear();
            memory.rule_write = None;
        }
    }
    Ok(())
}

/// What to say of a refusal, and what to remember of it.
fn refused(
    turn: &Turn<'_>,
    memory: &mut Memory,
    write: &Write,
    request: &Request,
    error: &ArmError,
    wanted: OnSoftDeleted,
) -> Verdict {
    if let Write::Rules(write) = write {
        remember(turn, memory, write, error);
        if may_be_one_rules_fault(error) {
            // Known to be about the rules' content: look again at once, with what is remembered now.
            return Verdict::new(Reason::Updating, "ARM refused a rule; the others go on without it")
                .after(Some(turn.context.pace.lane));
        }
    }
    if error.class == ErrorClass::SoftDeleted {
        memory.soft_deleted = true;
        if wanted != OnSoftDeleted::Stop {
            // What is purged takes its time to make room.
            let pace = &turn.context.pace;
            let wait = if memory.purged { pace.poll } else { pace.lane };
            let message = "Azure keeps a deleted workspace of this name, which is dealt with first";
            return Verdict::new(Reason::Creating, message).after(Some(wait));
        }
    }
    Verdict::of_error(&format!("{} {}", request.verb, request.path), error)
}

/// Remembers the refusal of a rules' write.
pub(super) fn remember(turn: &Turn<'_>, memory: &mut Memory, write: &RuleWrite, error: &ArmError) {
    let context = turn.context;
    let workspace = ObjectKey { namespace: turn.owner.namespace.clone(), name: turn.owner.name.clone() };
    let rules = context.indexes.rules_of(&workspace);
    let tokens: BTreeMap<String, Option<String>> = rules
        .iter()
        .map(|rule| (super::declare::azure_name(context, rule), rule.annotations().get(RECONCILE_AT).cloned()))
        .collect();
    remember_refusal(&mut memory.rules, write, memory.principal.as_deref(), &tokens, error, context.now());
}

/// The rules' states after a write of them was refused for a reason that is none of theirs.
fn spoiled(mut rules: Rules, write: &RuleWrite, verdict: &Verdict) -> Rules {
    let names = write.names();
    let touched = |state: &&mut RuleState| names.contains(&state.azure_name) && state.missing_role.is_none();
    for state in rules.plan.states.values_mut().filter(touched) {
        state.verdict = verdict.clone();
    }
    rules
}
