//! Carries out what was decided: intents first, then the requests, then their operations' URLs.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;
use jiff::Timestamp;
use kube::ResourceExt;
use reqwest::Method;
use tracing::info;

use super::{Attached, Filled, Memory, Scene, report, token};
use crate::api::condition::rfc3339;
use crate::api::{AmlWorkspace, AzureConnection};
use crate::azure::client::{Accepted, Client, Priority, When, Write};
use crate::azure::error::ArmError;
use crate::plan::attached::Decided;
use crate::plan::fence::Fence;
use crate::plan::step::Step;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::key_of;
use crate::runtime::status::{WriteError, fresh};
use crate::runtime::writes::Followed;

/// How many operations one object has under way at the most; a status holds as many.
const OPERATIONS: usize = 32;
/// How many requests of one object are on the wire at once.
const AT_ONCE: usize = 16;

/// What decides whether anything is written.
pub(super) struct Turn<'a> {
    pub(super) context: &'a Context,
    pub(super) connected: &'a Connected,
    /// Asked about each write; `None` for removals, which need no grant.
    pub(super) fence: Option<&'a Fence<'a>>,
    /// The workspace's object, whose spec has a say in the decision.
    pub(super) workspace: Option<&'a AmlWorkspace>,
    /// When the look at Azure began.
    pub(super) looked: Timestamp,
    /// Nothing is written; it is told what would be.
    pub(super) observes: bool,
    /// Why nothing is written now.
    pub(super) held: Option<Verdict>,
    /// Operations go on; when to look again at the first of them.
    pub(super) running: Option<Duration>,
}

/// Looks at the operations under way, each through the client that its request went through.
pub(super) async fn follow<K: Attached>(
    context: &Context,
    connected: &Connected,
    object: &K,
    memory: &mut Memory<K>,
) -> Followed {
    let token = token(object).to_owned();
    let client = |id: &str| object.client(connected, id).unwrap_or_else(|_| connected.client.clone());
    memory.writes.follow(client, &context.pace, K::azure_version, &token, context.now()).await
}

/// Which of the decided steps go out now, and why the others do not.
struct Selection {
    steps: Vec<Step>,
    /// The first reason for which one does not.
    held: Option<Verdict>,
}

fn select<K: Attached>(turn: &Turn<'_>, object: &K, memory: &Memory<K>, steps: Vec<Step>) -> Selection {
    let occupied = memory.writes.occupied();
    let now = turn.context.now();
    let (claims, uid) = (&turn.context.claims, object.uid().unwrap_or_default());
    let mut selection = Selection { steps: Vec::new(), held: None };
    let mut room = OPERATIONS.saturating_sub(occupied.len());
    for step in steps {
        // Somebody else has asked Azure for it, and what was decided says that it is being made.
        let claimed =
            step.if_absent && !claims.take(&step.request.id, &uid, turn.looked, now, turn.context.pace.usual_change);
        if claimed || occupied.contains(&step.request.id.to_ascii_lowercase()) {
            continue;
        }
        let refused =
            turn.fence.and_then(|fence| step.needs.iter().find_map(|(verb, id)| fence.allows(*verb, id).err()));
        let held = refused
            .or_else(|| turn.held.clone())
            .or_else(|| memory.writes.held(&step.request, token(object), now, &turn.context.pace));
        match held {
            Some(verdict) => {
                claims.release(&step.request.id, &uid);
                selection.held = selection.held.or(Some(verdict));
            }
            None if room > 0 => {
                room -= 1;
                selection.steps.push(step);
            }
            // The next turn takes the rest.
            None => {}
        }
    }
    selection
}

/// Carries out what of `decided` may go out, and reports. `moving` tells of an id (lower case) whether Azure shows it being changed.
pub(super) async fn carry_out<K: Attached>(
    turn: &Turn<'_>,
    scene: Option<&Scene<'_>>,
    object: &mut K,
    memory: &mut Memory<K>,
    decided: Decided<K::Status>,
    moving: impl Fn(&str) -> bool,
) -> Result<Outcome, Error> {
    let context = turn.context;
    let wanted: BTreeSet<String> = decided.steps.iter().map(|step| step.request.id.to_ascii_lowercase()).collect();
    let unknown = memory.writes.settle(&wanted, moving, context.now(), context.pace.rest);
    memory.writes.keep(&wanted);
    let Decided { steps, verdict, differences, status, conditions } = decided;
    let would = if turn.observes { steps.iter().flat_map(Step::would).collect() } else { Vec::new() };
    let said = report::Said { status, conditions, differences: &differences, would };
    if turn.observes {
        let verdict = observed(&steps, verdict);
        return report::report(context, object, memory, said, verdict, turn.running).await;
    }
    let selection = select(turn, object, memory, steps);
    let suspended = turn.held.clone().filter(|held| held.reason == Reason::Suspended);
    // What stops a step says more than what goes on beside it.
    let verdict = selection.held.or(unknown).or(suspended).unwrap_or(verdict);
    if selection.steps.is_empty() {
        let running = turn.running.or_else(|| memory.writes.under_way().then_some(context.pace.poll));
        return report::report(context, object, memory, said, verdict, running).await;
    }
    send_all(turn, scene, object, memory, selection.steps, said, verdict).await
}

fn observed(steps: &[Step], verdict: Verdict) -> Verdict {
    match steps {
        [] if verdict.reason.is_ready() => Verdict::new(Reason::Matches, "Azure is as declared"),
        [] => verdict,
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            Verdict::new(
                Reason::Differs,
                format!(
                    "with managementPolicy: Observe, {} {}{more} is not sent; status.wouldWrite says what it would change",
                    first.request.method, first.request.path
                ),
            )
        }
    }
}

/// Sees that the decision still rests on what is so: the object, its connection and its workspace as decided on.
async fn up_to_date<K: Attached>(turn: &Turn<'_>, object: &mut K) -> Result<(), Error> {
    let kube = &turn.context.kube;
    let connection: Option<AzureConnection> = fresh(kube, None, &turn.connected.name).await?;
    // A grant that was taken back a moment ago must not be used once more.
    if !connection.is_some_and(|now| now.uid() == turn.connected.uid && now.spec == turn.connected.spec) {
        return Err(WriteError::Outdated.into());
    }
    if let Some(workspace) = turn.workspace {
        let key = key_of(workspace);
        let now: Option<AmlWorkspace> = fresh(kube, Some(&key.namespace), &key.name).await?;
        let same = |now: &AmlWorkspace| now.uid() == workspace.uid() && now.spec == workspace.spec;
        if !now.is_some_and(|now| same(&now)) {
            return Err(WriteError::Outdated.into());
        }
    }
    let key = key_of(object);
    let now: Option<K> = fresh(kube, Some(&key.namespace), &key.name).await?;
    let same = |now: &K| {
        now.uid() == object.uid()
            && now.meta().generation == object.meta().generation
            && now.meta().deletion_timestamp == object.meta().deletion_timestamp
    };
    let now = now.filter(same).ok_or(WriteError::Outdated)?;
    // Others' changes to status or labels decide nothing; the intents go out on the version that was just read.
    *object = now;
    Ok(())
}

async fn send_all<K: Attached>(
    turn: &Turn<'_>,
    scene: Option<&Scene<'_>>,
    object: &mut K,
    memory: &mut Memory<K>,
    steps: Vec<Step>,
    said: report::Said<'_, K::Status>,
    verdict: Verdict,
) -> Result<Outcome, Error> {
    let context = turn.context;
    up_to_date(turn, object).await?;
    let requests: Vec<_> = steps.iter().map(|step| &step.request).collect();
    if let Some(scene) = scene
        && let Err(verdict) = object.prepare(scene, &requests, &mut memory.extra).await
    {
        return report::report(context, object, memory, said, verdict, turn.running).await;
    }
    let started_at = rfc3339(context.now());
    for request in &requests {
        memory.writes.intend(request.intent(started_at.clone()));
    }
    if let Err(error) = report::report(context, object, memory, said, verdict.clone(), turn.running).await {
        // Nothing went out, so there are no intents.
        memory.writes.drop_intents(&requests);
        return Err(error);
    }
    let mut ready = Vec::new();
    for step in &steps {
        ready.push(make_ready(turn, scene, object, step).await);
    }
    let mut sent: Vec<BoxFuture<'_, Result<Accepted, Refused>>> = Vec::new();
    for (step, ready) in steps.iter().zip(&ready) {
        sent.push(Box::pin(send(context, step, ready)));
    }
    let answers: Vec<Result<Accepted, Refused>> = stream::iter(sent).buffered(AT_ONCE).collect().await;
    let mut wait: Option<Duration> = None;
    let mut sooner = |next: Duration| wait = Some(wait.map_or(next, |wait| wait.min(next)));
    let mut refusal = None;
    let mut verbs = Vec::new();
    let token = token(object).to_owned();
    for (step, answer) in steps.iter().zip(answers) {
        match answer {
            Ok(accepted) => {
                memory.writes.accepted(&step.request, &accepted, &token, context.now());
                verbs.push(step.request.verb);
                if step.removes() {
                    context.removals.note(&turn.connected.name, context.now());
                }
                let going = memory.writes.occupied().contains(&step.request.id.to_ascii_lowercase());
                // What is done already is looked at soon.
                sooner(if going { accepted.retry_after.unwrap_or(context.pace.poll) } else { context.pace.lane });
                let note = format!("{} {}: {}", step.request.verb, step.request.path, step.why);
                context.events.publish(object, false, "Written", &note).await;
            }
            Err(Refused::Unsent(verdict)) => {
                memory.writes.drop_intents(&[&step.request]);
                refusal = refusal.or(Some(verdict));
            }
            Err(Refused::Azure(error)) if error.outcome_unknown() => {
                // The intent stays: only reads, until ARM shows what became of the request.
                let verdict = Verdict::of_error("no answer came", &error);
                sooner(context.pace.poll);
                refusal = refusal.or(Some(verdict));
            }
            Err(Refused::Azure(error)) => {
                let verdict = Verdict::of_error(&format!("{} {}", step.request.verb, step.request.path), &error);
                let verdict = report::letting_go(object, verdict);
                let pause = context.requeue(&object.uid().unwrap_or_default(), &verdict);
                memory.writes.refused(&step.request, &verdict, pause, &token, context.now());
                context.claims.release(&step.request.id, &object.uid().unwrap_or_default());
                sooner(pause);
                refusal = refusal.or(Some(verdict));
            }
        }
    }
    report::after_sending(context, object, memory, &verbs, refusal).await?;
    Ok(Outcome::Again(wait.unwrap_or(context.pace.lane)))
}

/// Why a step was not taken.
enum Refused {
    /// It never went out.
    Unsent(Verdict),
    /// ARM's answer.
    Azure(ArmError),
}

/// What a request goes through, and the body that no plan knows.
type Ready = Result<(Client, Option<Filled>), Verdict>;

async fn make_ready<K: Attached>(turn: &Turn<'_>, scene: Option<&Scene<'_>>, object: &K, step: &Step) -> Ready {
    let client = object.client(turn.connected, &step.request.id)?;
    let filled = match scene {
        Some(scene) => object.fill(scene, &step.request).await?,
        None => None,
    };
    Ok((client, filled))
}

async fn send(context: &Context, step: &Step, ready: &Ready) -> Result<Accepted, Refused> {
    let (client, filled) = ready.as_ref().map_err(|verdict| Refused::Unsent(verdict.clone()))?;
    let request = &step.request;
    let method = match request.method {
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "POST" => Method::POST,
        _ => Method::DELETE,
    };
    let priority = if step.removes() { Priority::Urgent } else { Priority::Change };
    let when = if step.if_absent { When::Absent } else { When::Always };
    let answer = client
        .write(Write {
            method,
            path: &request.path,
            api_version: request.version,
            body: filled.as_ref().map(|filled| &filled.body).or(request.body.as_ref()),
            secrets: filled.as_ref().map_or(&[], |filled| &filled.secrets),
            when,
            priority,
        })
        .await;
    let outcome = match &answer {
        Ok(accepted) => format!("{}", accepted.status),
        Err(error) => error.to_string(),
    };
    let request_id = answer.as_ref().map_or_else(
        |error| error.request_id.as_deref().map(ToOwned::to_owned),
        |accepted| accepted.request_id.clone(),
    );
    let why = &step.why;
    info!(target: crate::telemetry::AUDIT, verb = request.verb, path = request.path, why, outcome, request_id, "write");
    context.metrics.operation_started(request.verb);
    answer.map_err(Refused::Azure)
}
