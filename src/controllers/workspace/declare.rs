//! What the cluster's objects say of a workspace's rules, and what the rules' engine makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;

use super::observe::Seen;
use super::operation::late;
use super::{Memory, Turn};
use crate::api::common::{Acknowledgement, Door, ManagementPolicy, acknowledged};
use crate::api::condition::{ConditionStatus, READY, find};
use crate::api::operation::Operation;
use crate::api::workspace::{IsolationMode, RuleOwnership, WorkspaceKind};
use crate::api::{AmlWorkspace, OutboundRule, RECONCILE_AT};
use crate::azure::machine_learning::Workspace;
use crate::controllers::removals;
use crate::plan::admission::{Applicant, Host, entitled, wanted};
use crate::plan::breaker::Breaker;
use crate::plan::effective::Effective;
use crate::plan::fence::Fence;
use crate::plan::names::rule_name;
use crate::plan::rule_body::RuleBody;
use crate::plan::rules::{
    Declared, ObjectKey, RuleState, RulesInput, RulesPlan, Standing, lacks, plan, recall, remember_reading, written_by,
};
use crate::plan::workspace::WorkspacePlan;
use crate::plan::{Reason, Verdict};
use crate::runtime::board::Posting;
use crate::runtime::context::Context;
use crate::runtime::indexes::{admits, age, key_of};
use crate::runtime::status::has_finalizer;

/// Which version of a rule's object was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    /// Its uid.
    pub(super) uid: String,
    /// The generation of its spec.
    pub(super) generation: Option<i64>,
    /// Whether it is being deleted.
    pub(super) deleting: bool,
    /// Whether it carries our finalizer.
    pub(super) held: bool,
}

impl Version {
    /// The version of `rule`.
    pub(super) fn of(rule: &OutboundRule) -> Self {
        Self {
            uid: rule.uid().unwrap_or_default(),
            generation: rule.metadata.generation,
            deleting: rule.metadata.deletion_timestamp.is_some(),
            held: has_finalizer(rule),
        }
    }
}

/// What was decided about a workspace's rules, and from which versions of their objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// The decision.
    pub(super) plan: RulesPlan,
    /// The objects it speaks of.
    pub(super) versions: BTreeMap<ObjectKey, Version>,
    /// The objects it rests on: those with a say.
    pub(super) basis: BTreeMap<ObjectKey, Version>,
}

impl Rules {
    /// Says of rules that would be written now why they are not.
    pub(super) fn hold(&mut self, held: Option<&Verdict>, observes: bool) {
        let message = "with managementPolicy: Observe on the workspace, nothing is written";
        let observed = observes.then(|| Verdict::new(Reason::Differs, message));
        let Some(verdict) = held.or(observed.as_ref()) else { return };
        let written = |state: &&mut RuleState| matches!(state.verdict.reason, Reason::Pending | Reason::Updating);
        for state in self.plan.states.values_mut().filter(written) {
            state.verdict = verdict.clone();
        }
    }
}

/// The versions of all rules that have a say in `workspace`: those it admits. Others' churn holds up nothing.
pub(super) fn versions<'a>(
    context: &Context,
    workspace: &AmlWorkspace,
    rules: impl IntoIterator<Item = &'a OutboundRule>,
) -> BTreeMap<ObjectKey, Version> {
    let admitted = |rule: &&OutboundRule| {
        let (labels, _) = context.indexes.namespace(&rule.namespace().unwrap_or_default());
        admits(workspace, rule, &labels)
    };
    rules.into_iter().filter(admitted).map(|rule| (key_of(rule), Version::of(rule))).collect()
}

/// The rule's name in Azure.
pub(super) fn azure_name(context: &Context, rule: &OutboundRule) -> String {
    let derived = || rule_name(&context.installation, &rule.namespace().unwrap_or_default(), &rule.name_any());
    rule.spec.azure_name.clone().unwrap_or_else(derived)
}

/// What each rule's object says.
fn declare(turn: &Turn<'_>, workspace: &AmlWorkspace, seen: &Seen, rules: &[OutboundRule]) -> Vec<Declared> {
    let context = turn.context;
    // One look at the breaker serves all: it is about the connection, not about a rule.
    let breaker = rules
        .iter()
        .any(|rule| removals::removes_rule(&context.indexes, rule))
        .then(|| removals::breaker(context, &turn.connected.name, &turn.connected.spec));
    rules
        .iter()
        .filter(|rule| rule.metadata.deletion_timestamp.is_none() || has_finalizer(*rule))
        .map(|rule| Declared {
            key: key_of(rule),
            created: age(rule).0,
            azure_name: azure_name(context, rule),
            claim: rule.spec.azure_name.as_ref().map(|_| rule.spec.adoption.unwrap_or_default()),
            entitled: judged(turn, workspace, rule, seen, entitled).is_ok(),
            standing: standing(turn, workspace, rule, seen, breaker.as_ref()),
            token: rule.annotations().get(RECONCILE_AT).cloned(),
        })
        .collect()
}

fn frozen(reason: Reason, message: impl Into<String>) -> Standing {
    Standing::Frozen(Verdict::new(reason, message))
}

fn standing(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    rule: &OutboundRule,
    seen: &Seen,
    breaker: Option<&Breaker>,
) -> Standing {
    let context = turn.context;
    if let Some(deleted) = &rule.metadata.deletion_timestamp {
        if !removals::removes_rule(&context.indexes, rule) {
            return frozen(Reason::Deleting, "the object goes; Azure keeps the rule");
        }
        if let Some(Breaker::Open { waiting, .. }) = breaker {
            return frozen(
                Reason::MassChange,
                format!(
                    "{waiting} removals at once wait for an acknowledgement on AzureConnection {:?}; see its status",
                    turn.connected.name
                ),
            );
        }
        if turn.connected.spec.suspend || turn.connected.is_read_only() {
            return Standing::Frozen(
                turn.connected.holds_writes().unwrap_or_else(|| Verdict::new(Reason::ConnectionSuspended, "")),
            );
        }
        let age: Duration = context.now().duration_since(deleted.0).try_into().unwrap_or_default();
        if age < context.pace.workspace_grace {
            return frozen(Reason::Deleting, "waiting a moment, in case the workspace's object is being deleted too");
        }
        return Standing::Removing(RuleBody::declared(&rule.spec));
    }
    match judged(turn, workspace, rule, seen, wanted) {
        Err(verdict) => Standing::Frozen(verdict),
        Ok(_) if rule.spec.suspend => {
            frozen(Reason::Suspended, "suspended: the rule stays in Azure as it is (spec.suspend)")
        }
        Ok(body) if rule.spec.management_policy == Some(ManagementPolicy::Observe) => Standing::Observed(body),
        Ok(_) if !has_finalizer(rule) => frozen(Reason::Pending, "just seen"),
        Ok(_) if let Some(verdict) = seen.roles.frozen.get(&key_of(rule)) => Standing::Frozen(verdict.clone()),
        Ok(body) => Standing::Wanted(body),
    }
}

/// Has `judge` judge the rule for its workspace.
fn judged<T>(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    rule: &OutboundRule,
    seen: &Seen,
    judge: impl Fn(&Applicant<'_>, &Host<'_>) -> T,
) -> T {
    let Turn { context, connected, fence, id, .. } = turn;
    let namespace = rule.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let own = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    let effective = Effective::of(&workspace.spec);
    let declared = effective.provision().is_some_and(|provision| provision.include_spark);
    let applicant =
        Applicant { namespace: &namespace, spec: &rule.spec, admitted: admits(workspace, rule, &labels), fence: &own };
    let host = Host {
        namespace: &workspace.namespace().unwrap_or_default(),
        name: &workspace.name_any(),
        id,
        fence,
        isolation: effective.isolation_mode(),
        project: workspace.spec.kind() == WorkspaceKind::Project,
        spark: declared || seen.workspace.as_ref().is_some_and(Workspace::spark_ready),
    };
    judge(&applicant, &host)
}

/// Asks the rules' engine.
pub(super) fn plan_rules(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &Seen,
    decided: &WorkspacePlan,
    memory: &mut Memory,
) -> Rules {
    let objects = turn.context.indexes.rules_of(&key_of(workspace));
    let versions = objects.iter().map(|rule| (key_of(rule), Version::of(rule))).collect();
    let declared = declare(turn, workspace, seen, &objects);
    recall(&mut memory.rules, &declared, &ready(&objects));
    let basis = self::versions(turn.context, workspace, &objects);
    let mut plan = plan_declared(turn, workspace, seen, decided, memory, &declared);
    for rule in &objects {
        explain(seen, rule, &mut plan);
    }
    Rules { plan, versions, basis }
}

/// The rules of `objects` whose status says of the spec they have now that they are ready.
fn ready(objects: &[OutboundRule]) -> BTreeSet<ObjectKey> {
    let is_ready = |rule: &&OutboundRule| {
        rule.status.as_ref().is_some_and(|status| {
            let ready = find(&status.conditions, READY);
            status.observed_generation == rule.metadata.generation
                && ready.is_some_and(|ready| ready.status == ConditionStatus::True)
        })
    };
    objects.iter().filter(is_ready).map(key_of).collect()
}

/// Says of a rule whose role is missing which one it is, and of one whose role was assigned just now that it is not in effect yet.
fn explain(seen: &Seen, rule: &OutboundRule, plan: &mut RulesPlan) {
    let key = key_of(rule);
    let Some(state) = plan.states.get_mut(&key).filter(|state| state.verdict.reason == Reason::ApproverRoleMissing)
    else {
        return;
    };
    if let Some(verdict) = seen.roles.fresh.get(&key) {
        state.verdict = verdict.clone();
        state.missing_role = None;
        return;
    }
    let target = rule.spec.private_endpoint.as_ref().map(|endpoint| endpoint.resource_id.to_ascii_lowercase());
    if let Some(missing) =
        target.and_then(|target| seen.roles.lacking.get(&target)).filter(|_| state.missing_role.is_some())
    {
        state.verdict = lacks(missing);
        state.missing_role = Some(missing.clone());
    }
}

fn plan_declared(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &Seen,
    decided: &WorkspacePlan,
    memory: &mut Memory,
    declared: &[Declared],
) -> RulesPlan {
    let Some(shown) = seen.workspace.as_ref().filter(|_| decided.rules_may_change || decided.verdict.reason.is_ready())
    else {
        // Not the rules' turn. What the cluster alone can tell is told all the same; the rest waits, and nothing is removed.
        let waiting = |declared: &Declared| match &declared.standing {
            Standing::Frozen(verdict) => verdict.clone(),
            Standing::Removing(_) if seen.workspace.is_none() => {
                Verdict::new(Reason::Deleting, "the workspace is not in Azure")
            }
            Standing::Removing(_) => Verdict::new(
                Reason::Deleting,
                format!(
                    "waiting for the workspace: {} ({}). To let go of this object and leave Azure as it is, annotate it with \
                     aml-operator.io/abandon: <its uid>",
                    decided.verdict.reason.word(),
                    decided.verdict.message
                ),
            ),
            Standing::Wanted(_) | Standing::Observed(_) => Verdict::new(
                Reason::WorkspaceNotReady,
                format!("waiting for the workspace: {} ({})", decided.verdict.reason.word(), decided.verdict.message),
            ),
        };
        let state = |declared: &Declared| RuleState {
            verdict: waiting(declared),
            azure_name: declared.azure_name.clone(),
            service_status: None,
            missing_role: None,
            drift: Vec::new(),
            gone: matches!(declared.standing, Standing::Removing(_)) && seen.workspace.is_none(),
        };
        let states = declared.iter().map(|declared| (declared.key.clone(), state(declared))).collect();
        return RulesPlan { states, ..RulesPlan::default() };
    };
    let policy = workspace.spec.outbound_rules.clone().unwrap_or_default();
    let exclusive = (policy.ownership == Some(RuleOwnership::Exclusive)).then(|| named(&workspace.spec.acknowledge));
    let sku = Effective::of(&workspace.spec).firewall_sku().map_or("Standard", |sku| sku.as_str());
    let opened = acknowledged(&workspace.spec.acknowledge, Door::AzureFirewall, sku);
    let input = RulesInput {
        installation: &turn.context.installation,
        declared,
        observed: &seen.rules,
        isolation: IsolationMode::parse(shown.isolation_mode()).unwrap_or(IsolationMode::Disabled),
        network_active: shown.network_active(),
        principal: shown.acting_principal(),
        roles: &seen.roles.checks,
        exclusive: exclusive.as_ref(),
        prune: policy.prune_orphans,
        index_whole: turn.context.indexes.rules_whole(),
        firewall_closed: (!opened).then_some(sku),
        memory: &memory.rules,
        now: turn.context.now(),
        retry: turn.context.pace.rule_retry,
    };
    let mut decided = plan(input);
    remember_reading(&mut memory.rules, declared, &seen.rules, std::mem::take(&mut decided.noticed));
    decided
}

/// The strangers' rules that a person agreed to lose, by name in lower case.
fn named(acknowledge: &[Acknowledgement]) -> BTreeSet<String> {
    let words = acknowledge.iter().filter(|entry| entry.door == Door::ExclusiveRules);
    words.flat_map(|entry| entry.value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Posts what is known of each rule, and asks the rules' controller to look where that is news.
pub(super) fn post(context: &Context, workspace: &AmlWorkspace, rules: &Rules) {
    for (key, state) in &rules.plan.states {
        let Some(version) = rules.versions.get(key) else { continue };
        let posting = Posting {
            workspace: workspace.uid().unwrap_or_default(),
            uid: version.uid.clone(),
            generation: version.generation,
            state: state.clone(),
            deleting: version.deleting,
        };
        if context.board.post(key.clone(), posting) {
            context.triggers.rule(key);
            let rule = context.indexes.rule(key);
            if let Some(endpoint) = rule.and_then(|rule| rule.0.as_ref().ok()?.spec.private_endpoint.clone()) {
                context.ask_policies_on(&endpoint.resource_id);
            }
        }
    }
}

/// Tells the rules that `operation` writes that it takes longer than usual.
pub(super) fn post_late(turn: &Turn<'_>, workspace: &AmlWorkspace, operation: &Operation) {
    let context = turn.context;
    let mut rules = Rules::default();
    for rule in context.indexes.rules_of(&key_of(workspace)) {
        let (key, version) = (key_of(&rule), Version::of(&rule));
        let status = rule.status.as_ref();
        // Of another generation than the one that is being written there is nothing to say.
        let current = status.filter(|status| status.observed_generation == version.generation);
        let Some(ready) = current.and_then(|status| find(&status.conditions, READY)) else { continue };
        let azure_name = azure_name(context, &rule);
        let written = written_by(operation, &azure_name, Some(&ready.reason));
        let Some(verdict) = written.and_then(|verdict| late(turn, operation, &verdict)) else { continue };
        let state = RuleState {
            verdict,
            azure_name,
            service_status: status.and_then(|status| status.service_status.clone()),
            missing_role: None,
            drift: Vec::new(),
            gone: false,
        };
        rules.plan.states.insert(key.clone(), state);
        rules.versions.insert(key, version);
    }
    post(context, workspace, &rules);
}

/// Tells every rule that its workspace is blocked by `verdict`.
pub(super) fn post_blocked(context: &Context, workspace: &AmlWorkspace, verdict: &Verdict) {
    let objects = context.indexes.rules_of(&key_of(workspace));
    let state = |rule: &OutboundRule| {
        let mut message = format!("waiting for the workspace: {} ({})", verdict.reason.word(), verdict.message);
        let reason = if rule.metadata.deletion_timestamp.is_some() {
            message.push_str(&format!(
                ". To let go of this object and leave Azure as it is, annotate it with aml-operator.io/abandon: {}",
                rule.uid().unwrap_or_default()
            ));
            Reason::Deleting
        } else {
            Reason::WorkspaceNotReady
        };
        RuleState {
            verdict: Verdict::new(reason, message),
            azure_name: azure_name(context, rule),
            service_status: rule.status.as_ref().and_then(|status| status.service_status.clone()),
            missing_role: None,
            drift: Vec::new(),
            gone: false,
        }
    };
    let states = objects.iter().map(|rule| (key_of(rule), state(rule))).collect();
    let versions = objects.iter().map(|rule| (key_of(rule), Version::of(rule))).collect();
    let plan = RulesPlan { states, ..RulesPlan::default() };
    post(context, workspace, &Rules { plan, versions, ..Rules::default() });
}
