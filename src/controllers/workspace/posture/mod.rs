//! The posture of a workspace, in its turn: gathers what it is judged by, has it judged, and remembers what there is to say.

mod cluster;
mod reading;
mod reports;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::observe::Seen;
use super::{Memory, Turn};
use crate::api::AmlWorkspace;
use crate::api::condition::{ConditionDraft, find};
use crate::api::workspace::{AmlWorkspaceStatus, Finding, FindingState};
use crate::azure::machine_learning::Workspace;
use crate::plan::posture::{Facts, SECURE, Said, Shown, judge, report};
use cluster::{computes, endpoint_rules, networks, others_unseen, rules_of_others};
use reading::{Reading, read};

pub use reports::ReportKinds;
pub(super) use reports::write;

/// How much of a resync has to pass before what was read or written is read or written again: turns for other reasons come more often.
const DUE: f64 = 0.8;

/// What is remembered between turns. All of it can be lost: then it is read again.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostureMemory {
    read: Option<Reading>,
    /// When each pending connection was first seen, by its endpoint in lower case.
    first_seen: BTreeMap<String, Timestamp>,
    /// Since when this process looks.
    began: Option<Timestamp>,
    /// What there is to say; `None` as long as not all of it has been looked at.
    said: Option<Said>,
    /// What was written as a report, by the group of its kind: a hash of it, and when.
    written: BTreeMap<&'static str, (String, Timestamp)>,
}

impl PostureMemory {
    /// Puts what there is to say into `status`, whose predecessor is `previous`. Returns the condition.
    pub(super) fn fill(
        &self,
        previous: &AmlWorkspaceStatus,
        status: &mut AmlWorkspaceStatus,
    ) -> Option<ConditionDraft> {
        match &self.said {
            Some(said) => {
                status.posture = Some(said.status.clone());
                Some(said.secure.clone())
            }
            // What was said before stays until there is something else to say.
            None if status.resource_id.is_some() => {
                status.posture.clone_from(&previous.posture);
                Some(find(&previous.conditions, SECURE)?.draft(SECURE))
            }
            None => None,
        }
    }

    /// In how long to look again: when a waiver ends, at the latest a `resync` after Azure was last asked.
    pub(super) fn again(&self, now: Timestamp, resync: Duration) -> Duration {
        let left = |until: Timestamp| Duration::try_from(until.duration_since(now)).unwrap_or_default();
        let read = self.read.as_ref().map_or(resync, |reading| left(reading.at + resync));
        // Past the second in which it ends.
        let waiver = self.said.as_ref().and_then(|said| said.next_expiry).map(|end| left(end) + Duration::from_secs(1));
        waiver.map_or(read, |waiver| waiver.min(read))
    }

    /// What was said last.
    pub(super) fn said(&self) -> Option<&Said> {
        self.said.as_ref()
    }
}

/// Looks at everything that the posture is judged by, and judges it. Resources that were `read_before` in this turn are not read again.
pub(super) async fn look(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    seen: &Seen,
    read_before: &BTreeMap<String, Shown>,
) {
    let context = turn.context;
    let uid = workspace.uid().unwrap_or_default();
    context.surroundings.post_rules(turn.id, endpoint_rules(&seen.rules));
    let Some(shown) = &seen.workspace else {
        memory.posture = PostureMemory::default();
        context.metrics.posture(&uid, None);
        return;
    };
    let now = context.now();
    let memory = &mut memory.posture;
    let began = *memory.began.get_or_insert(now);
    let reading = read(turn, workspace, shown, read_before, memory.read.take()).await;
    let reading = &*memory.read.insert(reading);
    memory.first_seen = first_seen(&memory.first_seen, reading, shown, now);
    let networks = networks(turn, workspace);
    // After a start the turns of others come one by one.
    let starting = younger(began, now, context.pace.resync);
    let others_unseen = starting && others_unseen(turn);
    let waits = others_unseen || starting && networks.iter().any(|network| network.unseen.is_some());
    let said = workspace.status.as_ref().and_then(|status| status.posture.as_ref());
    // What was said before is better than that nobody knows.
    if waits && said.is_some() && memory.said.is_none() {
        return;
    }
    let facts = Facts {
        id: turn.id,
        workspace: shown,
        rules: &seen.rules,
        own_subscriptions: &turn.connected.spec.own_subscriptions,
        dependencies: &reading.dependencies,
        build_compute: reading.build_compute,
        networks: &networks,
        roles: &reading.roles,
        computes: &computes(turn, workspace),
        approved_by_policy: &reading.approved_by_policy,
        rules_of_others: &rules_of_others(turn, &reading.dependencies),
        others_unseen,
        first_seen: &memory.first_seen,
        now,
    };
    let judged = report(judge(&facts), workspace.spec.posture.as_ref(), said, now);
    context.metrics.posture(&uid, Some(judged.counts.clone()));
    memory.said = Some(judged);
}

/// Says once, as an event, which flaws are new since `previous`.
pub(super) async fn tell(turn: &Turn<'_>, workspace: &AmlWorkspace, previous: &AmlWorkspaceStatus, memory: &Memory) {
    let Some(said) = memory.posture.said() else { return };
    let known = |check: &str, resource: &str| {
        let before = previous.posture.iter().flat_map(|posture| &posture.findings);
        before.into_iter().any(|finding| {
            finding.check == check && finding.resource == resource && finding.state == FindingState::Fail.as_str()
        })
    };
    let is_new =
        |finding: &&Finding| finding.state == FindingState::Fail.as_str() && !known(&finding.check, &finding.resource);
    let new = said.status.findings.iter().filter(is_new);
    let words: Vec<String> = new.map(|new| format!("{} on {}: {}", new.check, new.resource, new.evidence)).collect();
    if !words.is_empty() {
        let note: String = words.join("; ").chars().take(1000).collect();
        turn.context.events.publish(workspace, true, "FlawFound", &note).await;
    }
}

fn younger(at: Timestamp, now: Timestamp, than: Duration) -> bool {
    let age: Duration = now.duration_since(at).try_into().unwrap_or_default();
    age < than
}

/// Since when each pending connection is known: what is gone is forgotten.
fn first_seen(
    known: &BTreeMap<String, Timestamp>,
    reading: &Reading,
    shown: &Workspace,
    now: Timestamp,
) -> BTreeMap<String, Timestamp> {
    let own = shown.properties.private_endpoint_connections.iter().flatten();
    let own = own.filter_map(|connection| connection.properties.private_endpoint.as_ref()?.id.as_deref());
    let shown = reading.dependencies.iter().filter_map(|dependency| dependency.shown.as_ref().ok());
    let theirs = shown.flat_map(|shown| &shown.connections).map(|connection| connection.endpoint.as_str());
    let all = own.chain(theirs).filter(|endpoint| !endpoint.is_empty()).map(str::to_ascii_lowercase);
    all.map(|endpoint| {
        let at = known.get(&endpoint).copied().unwrap_or(now);
        (endpoint, at)
    })
    .collect()
}
