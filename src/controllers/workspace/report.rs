//! What is said of a workspace: the whole status, in one write, if anything but time changed.

use std::time::Duration;

use kube::ResourceExt;
use tracing::warn;

use super::declare::Rules;
use super::observe::Seen;
use super::operation::Running;
use super::resources::RESOURCES_READY;
use super::roles::ROLES_READY;
use super::{Memory, Turn, declare, posture};
use crate::api::AmlWorkspace;
use crate::api::common::{Drift, WouldWrite};
use crate::api::condition::{ConditionDraft, ConditionStatus, READY, find, rfc3339};
use crate::api::workspace::{AmlWorkspaceStatus, ProvisionWhen};
use crate::azure::machine_learning::Workspace;
use crate::plan::effective::Effective;
use crate::plan::outcome::Requeue;
use crate::plan::posture::SECURE;
use crate::plan::rules::RulesPlan;
use crate::plan::workspace::{WorkspacePlan, drift, is_about_rules, secured};
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::kind::Kind;
use crate::runtime::pace::Pace;
use crate::runtime::status::Basis;

/// Says whether the managed network is built.
const NETWORK_ACTIVE: &str = "ManagedNetworkActive";
/// Says whether all attached rules are ready.
const RULES_READY: &str = "RulesReady";
/// The reason of that condition while some rules are not.
const RULES_WAITING: &str = "RulesWaiting";
/// How many names a list in the status holds.
const NAMES: usize = 100;
/// How many drifts a workspace's status keeps.
const DRIFTS: usize = 20;
/// How many writes a status lists with `Observe`.
const WRITES: usize = 50;
/// How many missing roles a status lists.
const ROLES: usize = 50;

/// A status to be.
pub(super) struct Report {
    status: AmlWorkspaceStatus,
    verdict: Verdict,
    more: Vec<ConditionDraft>,
    rules: Option<Rules>,
    drifted: Vec<Drift>,
    /// A warning that the summary does not tell.
    warning: Option<Verdict>,
}

/// The conditions beside the summary, as they were: for a report that has seen nothing new.
pub(super) fn carried_over(status: &AmlWorkspaceStatus) -> Vec<ConditionDraft> {
    [RESOURCES_READY, NETWORK_ACTIVE, ROLES_READY, RULES_READY, SECURE]
        .into_iter()
        .filter_map(|type_| Some(find(&status.conditions, type_)?.draft(type_)))
        .collect()
}

impl Report {
    /// What can be said although Azure could not be looked at.
    pub(super) fn unseen(workspace: &AmlWorkspace, memory: &Memory, verdict: Verdict) -> Self {
        let mut status = workspace.status.clone().unwrap_or_default();
        status.operations = memory.on_record();
        let more = carried_over(&status);
        Self { status, verdict, more, rules: None, drifted: Vec::new(), warning: None }
    }

    /// What is said while an operation goes on. The rules' operations leave the workspace's own summary as it is; one of them that
    /// takes too long is told where the rules are spoken of.
    pub(super) fn while_running(workspace: &AmlWorkspace, memory: &Memory, running: Running) -> Self {
        let Running { operation, verdict, late, .. } = running;
        let mut report = Self::unseen(workspace, memory, verdict);
        if !is_about_rules(&operation.id) {
            return report;
        }
        if late {
            report.tell_late_rules();
        }
        // Ready for another generation says nothing of this one.
        let current = report.status.observed_generation == workspace.metadata.generation;
        let said = find(&report.status.conditions, READY).filter(|_| current).and_then(|ready| {
            let reasons = [Reason::Secured, Reason::AcknowledgementRequired];
            let reason = reasons.into_iter().find(|reason| reason.word() == ready.reason)?;
            Some(Verdict::new(reason, ready.message.clone()))
        });
        // Something else may have been said meanwhile, such as that Azure could not be reached.
        let in_place =
            report.status.in_place_generation.is_some_and(|last| Some(last) == workspace.metadata.generation);
        let lasting = said.or_else(|| in_place.then(|| secured(&workspace.spec, &Effective::of(&workspace.spec))));
        match lasting {
            Some(lasting) => report.verdict = lasting,
            // The summary tells it.
            None => report.warning = None,
        }
        report
    }

    /// Says of the rules that what is said of the operation under way is about them, and warns once if that is alarming.
    fn tell_late_rules(&mut self) {
        let alarming = self.verdict.reason.is_alarming();
        let reason = if alarming { self.verdict.reason.word() } else { RULES_WAITING };
        let told = find(&self.status.conditions, RULES_READY).is_some_and(|said| said.reason == reason);
        self.warning = (alarming && !told).then(|| self.verdict.clone());
        self.more.retain(|condition| condition.type_ != RULES_READY);
        self.more.push(ConditionDraft {
            type_: RULES_READY,
            status: ConditionStatus::False,
            reason: reason.to_owned(),
            message: self.verdict.message.clone(),
        });
    }

    /// What is said while what the workspace is made of is written.
    pub(super) fn of_resources(turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &Memory, verdict: Verdict) -> Self {
        let mut report = Self::unseen(workspace, memory, verdict);
        report.status.effective = Some(Effective::of(&workspace.spec).shown());
        report.with_resources(turn, workspace, memory)
    }

    /// Notes what is known of what the workspace is made of, and what somebody else changed of it.
    fn with_resources(mut self, turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &Memory) -> Self {
        let Some(said) = &memory.resources.said else { return self };
        let previous = workspace.status.clone().unwrap_or_default();
        let now = rfc3339(turn.context.now());
        let drifted = said.fill(&previous, workspace.metadata.generation, &now, &mut self.status);
        self.more.retain(|condition| condition.type_ != RESOURCES_READY);
        self.more.splice(0..0, said.condition());
        self.with_drifts(drifted)
    }

    /// Adds `drifted` to what the status keeps, and has it told.
    fn with_drifts(mut self, drifted: Vec<Drift>) -> Self {
        self.status.drift.extend(drifted.iter().cloned());
        let overflow = self.status.drift.len().saturating_sub(DRIFTS);
        self.status.drift.drain(..overflow);
        self.drifted.extend(drifted);
        self
    }

    /// What follows from a look at Azure.
    pub(super) fn new(
        turn: &Turn<'_>,
        workspace: &AmlWorkspace,
        memory: &Memory,
        seen: &Seen,
        verdict: Verdict,
        decided: &WorkspacePlan,
        all: &Rules,
    ) -> Self {
        let rules = &all.plan;
        let previous = workspace.status.clone().unwrap_or_default();
        let mut status = AmlWorkspaceStatus {
            drift: previous.drift.clone(),
            operations: memory.on_record(),
            associated_resources: previous.associated_resources.clone(),
            effective: Some(Effective::of(&workspace.spec).shown()),
            ..AmlWorkspaceStatus::default()
        };
        let mut more = Vec::new();
        if let Some(shown) = &seen.workspace {
            status.resource_id = Some(turn.id.to_string());
            fill(&mut status, shown);
            status.isolated_since = isolated_since(&previous, shown, turn.context.now());
            more.extend(network(workspace, shown, &verdict));
        }
        let active = rules.states.values().filter(|state| is_active(state.service_status.as_deref())).count();
        let wanted = rules.states.values().filter(|state| state.verdict.reason != Reason::Deleting).count();
        if wanted > 0 {
            status.rules = Some(format!("{active}/{wanted}"));
        }
        more.extend(seen.roles.said.ready.clone());
        more.extend(rules_ready(rules));
        more.extend(memory.posture.fill(&previous, &mut status));
        status.unmanaged_rules = rules.unmanaged.iter().take(NAMES).cloned().collect();
        status.orphaned_rules = rules.orphaned.iter().take(NAMES).cloned().collect();
        let of_rules = rules.states.values().filter_map(|state| state.missing_role.clone());
        status.missing_roles = seen.roles.said.missing.iter().cloned().chain(of_rules).take(ROLES).collect();
        Self { status, verdict, more, rules: Some(all.clone()), drifted: Vec::new(), warning: None }
            .with_drift(workspace, decided, &rfc3339(turn.context.now()))
            .with_resources(turn, workspace, memory)
    }

    /// Notes what somebody else changed of the workspace itself.
    fn with_drift(mut self, workspace: &AmlWorkspace, decided: &WorkspacePlan, now: &str) -> Self {
        let generation = workspace.metadata.generation;
        let last = workspace.status.as_ref().and_then(|status| status.in_place_generation);
        self.status.in_place_generation = drift::in_place(decided, generation, last);
        self.with_drifts(drift::noticed(decided, generation, last, now))
    }

    /// With `Observe`: what would be written, in ARM's own terms.
    pub(super) fn would(&mut self, mut writes: Vec<WouldWrite>) {
        writes.truncate(WRITES);
        self.status.would_write = writes;
    }

    /// Writes the status, if it says anything new, and posts what is known of the rules. Returns when the rules want to be looked
    /// at again.
    pub(super) async fn publish(
        self,
        turn: &Turn<'_>,
        workspace: &mut AmlWorkspace,
        memory: &Memory,
    ) -> Result<Duration, Error> {
        let Self { mut status, verdict, more, rules, drifted, warning } = self;
        status.operations = memory.on_record();
        let previous = workspace.status.clone().unwrap_or_default();
        turn.context.report(workspace, status, &verdict, more, Basis::Version).await?;
        tell(turn, workspace, &drifted).await;
        posture::tell(turn, workspace, &previous, memory).await;
        if let Some(Verdict { reason, message, .. }) = warning {
            turn.context.events.publish(workspace, true, reason.word(), &message).await;
        }
        let Some(rules) = rules else { return Ok(turn.context.pace.resync) };
        declare::post(turn.context, workspace, &rules);
        Ok(rules
            .plan
            .states
            .values()
            .map(|state| wait(&turn.context.pace, &state.verdict))
            .min()
            .unwrap_or(turn.context.pace.resync))
    }
}

/// Says once, in log and event, which field was changed behind the operator's back, what it was found to be, and what is declared.
async fn tell(turn: &Turn<'_>, workspace: &AmlWorkspace, drifted: &[Drift]) {
    if drifted.is_empty() {
        return;
    }
    turn.context.metrics.drifted(AmlWorkspace::NAME);
    let words = |drift: &Drift| {
        format!("{} is {}, declared {}", drift.field, drift.found, drift.wanted.as_deref().unwrap_or_default())
    };
    let note = drifted.iter().map(words).collect::<Vec<_>>().join("; ");
    warn!(
        namespace = workspace.namespace(),
        name = workspace.name_any(),
        id = turn.id.as_str(),
        note,
        "the workspace was changed behind the operator's back"
    );
    turn.context.events.publish(workspace, true, "Drift", &note).await;
}

/// When a rule with this verdict wants its workspace to be looked at again.
fn wait(pace: &Pace, verdict: &Verdict) -> Duration {
    let wait = match (verdict.reason, verdict.reason.requeue()) {
        (Reason::ApproverRoleMissing, _) => pace.role_recheck,
        (Reason::Deleting, _) => pace.workspace_grace,
        // What ARM refused is tried again by itself.
        (
            Reason::AzureRefused
            | Reason::PolicyDenied
            | Reason::QuotaExceeded
            | Reason::ParentMissing
            | Reason::Locked
            | Reason::ProviderNotRegistered,
            _,
        ) => pace.rule_retry,
        (_, Requeue::Soon | Requeue::Backoff) => pace.poll,
        // What waits for another object is looked at when that object changes.
        (_, Requeue::Slow | Requeue::Resync) => pace.resync,
    };
    verdict.after.map_or(wait, |after| after.max(wait))
}

fn is_active(status: Option<&str>) -> bool {
    status.is_some_and(|status| status.eq_ignore_ascii_case("Active"))
}

fn fill(status: &mut AmlWorkspaceStatus, shown: &Workspace) {
    let cut = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(64).collect::<String>());
    status.workspace_id = cut(&shown.properties.workspace_id);
    status.principal_id = cut(&shown.identity.as_ref().and_then(|identity| identity.principal_id.clone()));
    status.isolation_mode = Some(shown.isolation_mode().chars().take(64).collect());
    let network = shown.properties.managed_network.as_ref().and_then(|network| network.status.clone());
    status.network = network.and_then(|network| cut(&network.status)).or_else(|| Some("Inactive".into()));
}

/// When the workspace left the mode in which nothing is isolated, as far as two statuses of this object show it.
fn isolated_since(previous: &AmlWorkspaceStatus, shown: &Workspace, now: jiff::Timestamp) -> Option<String> {
    let off = |mode: &str| mode.eq_ignore_ascii_case("Disabled");
    if off(shown.isolation_mode()) {
        None
    } else if previous.isolation_mode.as_deref().is_some_and(off) {
        Some(rfc3339(now))
    } else {
        previous.isolated_since.clone()
    }
}

fn network(workspace: &AmlWorkspace, shown: &Workspace, verdict: &Verdict) -> Option<ConditionDraft> {
    // A project's network is its hub's, whose object speaks of it.
    let effective = Effective::of(&workspace.spec);
    effective.network.as_ref()?;
    let when = effective.provision().map(|provision| provision.when);
    let (holds, reason, message) = if shown.network_active() {
        (true, "Active", "the managed network is built")
    } else if shown.isolation_mode().eq_ignore_ascii_case("Disabled") {
        (false, "NoManagedNetwork", "the isolation mode is Disabled: there is no managed network")
    } else if verdict.reason == Reason::Provisioning {
        (false, "Provisioning", "Azure is building the managed network")
    } else {
        let message = match when {
            Some(ProvisionWhen::Immediately) => {
                "the managed network is defined, and built once nothing else is to be done before"
            }
            Some(ProvisionWhen::Never) => {
                "the managed network is defined and this operator does not build it (provision.when: Never); Azure does with the \
                 first compute"
            }
            Some(ProvisionWhen::OnFirstCompute) | None => {
                "the managed network is defined, and built by Azure with the first compute; provision.when: Immediately builds it now"
            }
        };
        (false, "NotProvisioned", message)
    };
    Some(ConditionDraft {
        type_: NETWORK_ACTIVE,
        status: ConditionStatus::from(holds),
        reason: reason.to_owned(),
        message: message.to_owned(),
    })
}

fn rules_ready(rules: &RulesPlan) -> Option<ConditionDraft> {
    if rules.states.is_empty() {
        return None;
    }
    let waiting: Vec<String> = rules
        .states
        .iter()
        .filter(|(_, state)| !state.verdict.reason.is_ready())
        .map(|(key, state)| format!("{}/{} ({})", key.namespace, key.name, state.verdict.reason.word()))
        .collect();
    let (reason, message) = if waiting.is_empty() {
        ("AllReady", format!("all {} rules are ready", rules.states.len()))
    } else {
        let shown: Vec<&str> = waiting.iter().take(20).map(String::as_str).collect();
        let more = waiting.len().saturating_sub(20);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        (RULES_WAITING, format!("not ready: {}{more}", shown.join(", ")))
    };
    Some(ConditionDraft {
        type_: RULES_READY,
        status: ConditionStatus::from(waiting.is_empty()),
        reason: reason.to_owned(),
        message,
    })
}
