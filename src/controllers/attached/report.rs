//! What is said of an object: the whole status, in one write, if anything but time changed.

use std::time::Duration;

use kube::ResourceExt;
use tracing::warn;

use super::{Attached, Memory};
use crate::api::common::{Drift, WouldWrite};
use crate::api::condition::{ConditionDraft, ConditionStatus, READY, find, rfc3339};
use crate::plan::difference::Difference;
use crate::plan::step::under_way;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::kind::Kind;
use crate::runtime::status::Basis;

/// How many drifts a status keeps.
const DRIFTS: usize = 20;
/// How many writes a status lists with `Observe`.
const WRITES: usize = 50;

/// What there is to say beside the verdict.
pub(super) struct Said<'a, S> {
    pub(super) status: S,
    pub(super) conditions: Vec<ConditionDraft>,
    pub(super) differences: &'a [Difference],
    pub(super) would: Vec<WouldWrite>,
}

/// The conditions beside the summary, as they were: for a report that has seen nothing new.
fn carried_over<K: Attached>(object: &K) -> Vec<ConditionDraft> {
    let conditions = object.status().map(K::conditions).unwrap_or_default();
    K::CONDITIONS.iter().filter_map(|type_| find(conditions, type_).map(|known| known.draft(type_))).collect()
}

/// Reports a verdict and leaves the rest of the status as it is.
pub(super) async fn unchanged<K: Attached>(
    context: &Context,
    object: &mut K,
    verdict: Verdict,
) -> Result<Outcome, Error> {
    let more = carried_over(object);
    let status = object.status().cloned().unwrap_or_default();
    context.report(object, status, &verdict, more, Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

/// Reports that Azure could not be looked at; what was known stays, and what is under way is on record.
pub(super) async fn unseen<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &Memory<K>,
    verdict: Verdict,
) -> Result<Outcome, Error> {
    let verdict = letting_go(object, verdict);
    let more = carried_over(object);
    let mut status = object.status().cloned().unwrap_or_default();
    *K::shared(&mut status).operations = memory.writes.operations().to_vec();
    context.report(object, status, &verdict, more, Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

/// Reports that operations go on. What they change was said when they began.
pub(super) async fn while_running<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &Memory<K>,
    unread: Option<Verdict>,
    wait: Duration,
) -> Result<Outcome, Error> {
    let operations = memory.writes.operations();
    let late = operations.iter().find_map(|operation| {
        let verdict = under_way(std::slice::from_ref(operation));
        crate::plan::overdue::overdue(&verdict, operation, context.pace.usual_change, context.now())
    });
    let conditions = object.status().map(K::conditions).unwrap_or_default();
    let generation = object.meta().generation;
    let moving = [Reason::Creating, Reason::Updating, Reason::Deleting, Reason::Provisioning];
    let said = find(conditions, READY).filter(|ready| ready.observed_generation == generation).and_then(|ready| {
        let reason = moving.into_iter().find(|reason| reason.word() == ready.reason)?;
        Some(Verdict::new(reason, ready.message.clone()))
    });
    let verdict = late.or(unread).or(said).unwrap_or_else(|| under_way(operations));
    unseen(context, object, memory, verdict).await?;
    Ok(Outcome::Again(wait))
}

/// Reports what was seen and decided.
pub(super) async fn report<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &mut Memory<K>,
    said: Said<'_, K::Status>,
    verdict: Verdict,
    running: Option<Duration>,
) -> Result<Outcome, Error> {
    let Said { mut status, conditions, differences, mut would } = said;
    let verdict = letting_go(object, verdict);
    let drifted = drift(context, object, memory, differences);
    let mut before = object.status().cloned().unwrap_or_default();
    let known = std::mem::take(K::shared(&mut before).drift);
    let shared = K::shared(&mut status);
    *shared.operations = memory.writes.operations().to_vec();
    if shared.connection.is_none() {
        *shared.connection = K::shared(&mut before).connection.take();
    }
    would.truncate(WRITES);
    *shared.would_write = would;
    *shared.drift = known;
    shared.drift.extend(drifted.iter().cloned());
    let overflow = shared.drift.len().saturating_sub(DRIFTS);
    shared.drift.drain(..overflow);
    context.report(object, status, &verdict, conditions, Basis::Version).await?;
    tell(context, object, &drifted).await;
    if verdict.reason.is_ready() && differences.is_empty() {
        memory.settled = object.meta().generation;
    }
    let wait = context.requeue(&object.uid().unwrap_or_default(), &verdict);
    Ok(Outcome::Again(running.map_or(wait, |running| running.min(wait))))
}

/// Notes what differs from what was in place before, for the same declaration; once.
fn drift<K: Attached>(context: &Context, object: &K, memory: &mut Memory<K>, differences: &[Difference]) -> Vec<Drift> {
    let conditions = object.status().map(K::conditions).unwrap_or_default();
    let generation = object.meta().generation;
    let in_place = memory.settled == generation
        || find(conditions, READY)
            .is_some_and(|said| said.observed_generation == generation && said.status == ConditionStatus::True);
    if !in_place || differences.is_empty() {
        return Vec::new();
    }
    memory.settled = None;
    let at = rfc3339(context.now());
    let drift = |difference: &Difference| Drift {
        field: difference.field.chars().take(256).collect(),
        found: difference.found(),
        wanted: Some(difference.wanted()),
        at: at.clone(),
    };
    differences.iter().map(drift).collect()
}

/// Says once, in log and event, which field was changed behind the operator's back, what it was found to be, and what is declared.
async fn tell<K: Attached>(context: &Context, object: &K, drifted: &[Drift]) {
    if drifted.is_empty() {
        return;
    }
    context.metrics.drifted(K::NAME);
    let words = |drift: &Drift| {
        format!("{} is {}, declared {}", drift.field, drift.found, drift.wanted.as_deref().unwrap_or_default())
    };
    let note = drifted.iter().map(words).collect::<Vec<_>>().join("; ");
    let (namespace, name, kind) = (object.namespace(), object.name_any(), K::NAME);
    warn!(kind, namespace, name, note, "{} was changed behind the operator's back", K::NOUN);
    context.events.publish(object, true, "Drift", &note).await;
}

/// Records where ARM says how the writes go, and what it refused. The URLs must not be lost to a conflict, so this holds for whatever
/// version the object has now.
pub(super) async fn after_sending<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &Memory<K>,
    accepted: &[&'static str],
    refusal: Option<Verdict>,
) -> Result<(), Error> {
    let mut status = object.status().cloned().unwrap_or_default();
    accepted.iter().for_each(|verb| object.accepted(verb, &mut status));
    *K::shared(&mut status).operations = memory.writes.operations().to_vec();
    match refusal {
        None => context.status.write(object, status, Basis::Object).await?,
        Some(verdict) => {
            let more = carried_over(object);
            context.report(object, status, &verdict, more, Basis::Object).await?;
        }
    }
    Ok(())
}

/// The same verdict, with how to let go of an object whose deletion waits for somebody or something.
pub(super) fn letting_go<K: Kind>(object: &K, mut verdict: Verdict) -> Verdict {
    let moves = matches!(verdict.reason, Reason::Deleting | Reason::Throttled | Reason::Creating | Reason::Updating);
    let hint = "aml-operator.io/abandon: ";
    if object.meta().deletion_timestamp.is_some() && !moves && !verdict.message.contains(hint) {
        verdict.message.push_str(&format!(
            ". To let go of this object and leave Azure as it is, annotate it with {hint}{}",
            object.uid().unwrap_or_default()
        ));
    }
    verdict
}
