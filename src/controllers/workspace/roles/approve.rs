//! The approver role of outbound rules, target by target: what the plan decides is carried out here.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;
use tracing::{info, warn};

use super::super::observe::Seen;
use super::super::{Memory, Turn};
use super::consent::consent;
use super::look::{asks_for_role, has_say, target_of};
use super::{carry_out, entry_of, take_back};
use crate::api::common::ManagementPolicy;
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::api::{AmlWorkspace, OutboundRule, RECONCILE_AT};
use crate::azure::error::ErrorClass;
use crate::azure::private_link::{Connection, Dialect};
use crate::controllers::approval;
use crate::plan::fence::Fence;
use crate::plan::names::fingerprint;
use crate::plan::roles::{
    Approver, ApproverInput, Assign, Blocked, End, Entry, Identity, RoleCheck, RuleOnTarget, Surprise, Term,
    attend_target, may_grant, newly_approved, written,
};
use crate::plan::rule_body::RuleBody;
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::indexes::key_of;
use crate::runtime::role_ledger::OpenRecord;
use crate::telemetry::AUDIT;

/// A target with the rules that ask for the role there.
pub(super) struct Target {
    pub(super) id: ArmId,
    pub(super) rules: Vec<RuleOnTarget>,
    /// The first refusal of what only the cluster has to say.
    pub(super) refused: Option<Verdict>,
    wish: String,
}

/// Whose rules ask for which role.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) turn: &'a Turn<'a>,
    pub(super) workspace: &'a AmlWorkspace,
    /// GUID of the role, lower case.
    pub(super) role: &'a str,
    may_write: bool,
}

/// True if any rule of the workspace asks for the approver role.
pub(super) fn anybody_asks(turn: &Turn<'_>, workspace: &AmlWorkspace) -> bool {
    turn.context.indexes.rules_of(&key_of(workspace)).iter().any(asks_for_role)
}

/// Has every rule that asks for the role, and is not in force, wait for `verdict`.
pub(super) fn freeze_all(turn: &Turn<'_>, workspace: &AmlWorkspace, seen: &mut Seen, verdict: &Verdict) {
    for rule in turn.context.indexes.rules_of(&key_of(workspace)).iter().filter(|rule| asks_for_role(rule)) {
        if !is_active(turn, seen, rule) {
            seen.roles.frozen.insert(key_of(rule), verdict.clone());
        }
    }
}

/// True if Azure shows the rule as declared and in force.
fn is_active(turn: &Turn<'_>, seen: &Seen, rule: &OutboundRule) -> bool {
    let name = super::super::declare::azure_name(turn.context, rule);
    let shown = seen.rules.iter().find(|shown| shown.name.eq_ignore_ascii_case(&name));
    let same = shown.and_then(RuleBody::observed).zip(RuleBody::declared(&rule.spec));
    shown.is_some_and(|shown| shown.is_active()) && same.is_some_and(|(shown, declared)| declared.same(&shown))
}

/// Attends to all targets. Returns when to look again, if something was done.
pub(super) async fn attend(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &mut Seen,
    memory: &mut Memory,
    open: &mut OpenRecord,
    may_write: bool,
) -> Result<Option<Duration>, Error> {
    let Some(role) = turn.connected.spec.approver_role_definition_id.as_deref().map(str::to_ascii_lowercase) else {
        let message = "the AzureConnection names no approverRoleDefinitionId, which approverRole needs. A platform administrator \
                       can set it, or somebody assigns the role by hand and the rule says approverRole: Report";
        freeze_all(turn, workspace, seen, &Verdict::new(Reason::ApproverRoleMissing, message));
        return end_strays(turn, workspace, memory, open, &BTreeMap::new()).await;
    };
    let targets = targets(turn, workspace, seen, memory, open, &role);
    if let Some(wait) = end_strays(turn, workspace, memory, open, &targets).await? {
        return Ok(Some(wait));
    }
    for target in targets.values() {
        let asking = Asking { turn, workspace, role: &role, may_write };
        if let Some(wait) = attend_one(asking, seen, memory, open, target).await? {
            return Ok(Some(wait));
        }
    }
    Ok(None)
}

/// The targets on which a rule asks for the role, by key.
fn targets(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &mut Seen,
    memory: &Memory,
    open: &OpenRecord,
    role: &str,
) -> BTreeMap<String, Target> {
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for rule in turn.context.indexes.rules_of(&key_of(workspace)) {
        let asked = rule.spec.private_endpoint.as_ref().and_then(|endpoint| endpoint.approver_role);
        let (Some(asked), Some(id)) = (asked, target_of(&rule)) else { continue };
        let observes = rule.spec.management_policy == Some(ManagementPolicy::Observe);
        let waits = observes || rule.spec.suspend || rule.metadata.deletion_timestamp.is_some();
        if !asks_for_role(&rule) || waits || !has_say(turn, workspace, &rule, &id) {
            continue;
        }
        let active = is_active(turn, seen, &rule);
        let namespace = rule.namespace().unwrap_or_default();
        let (labels, _) = turn.context.indexes.namespace(&namespace);
        let fence = Fence::new(&turn.connected.name, &turn.connected.spec, &namespace, &labels);
        // The namespace that names the target must be allowed to have roles assigned on it.
        let granted = may_grant(&fence, &turn.connected.spec, &id, role, seen.roles.definitions.get(role));
        let target = targets.entry(id.key()).or_insert_with(|| Target {
            id,
            rules: Vec::new(),
            refused: None,
            wish: String::new(),
        });
        if let Err(verdict) = granted {
            if !active {
                seen.roles.frozen.insert(key_of(&rule), verdict.clone());
            }
            target.refused.get_or_insert(verdict);
            continue;
        }
        let azure_name = super::super::declare::azure_name(turn.context, &rule);
        let asked_at = open.record.entries.iter().find(|entry| entry.scope.eq_ignore_ascii_case(target.id.as_str()));
        let asked_at = asked_at.and_then(|entry| entry.asked_at.parse::<jiff::Timestamp>().ok());
        let refused = memory.rules.refusals.get(&azure_name).is_some_and(|refusal| {
            refusal.error.class == ErrorClass::ApproverRoleMissing && asked_at.is_some_and(|at| refusal.at > at)
        });
        let token = rule.annotations().get(RECONCILE_AT).cloned().unwrap_or_default();
        let generation = rule.metadata.generation.unwrap_or_default().to_string();
        target.wish = fingerprint(&[&target.wish, &rule.uid().unwrap_or_default(), &generation, &token]);
        target.rules.push(RuleOnTarget { key: key_of(&rule), azure_name, role: asked, active, refused });
    }
    targets
}

/// Takes back approver roles on targets that no rule asks for any more.
async fn end_strays(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    open: &mut OpenRecord,
    targets: &BTreeMap<String, Target>,
) -> Result<Option<Duration>, Error> {
    let stray = |entry: &&Entry| {
        let asked = targets.get(&entry.scope.to_ascii_lowercase()).is_some_and(|target| !target.rules.is_empty());
        entry.term != Term::Needed && entry.ends.is_none() && !asked
    };
    let Some(entry) = open.record.entries.iter().find(stray).cloned() else { return Ok(None) };
    take_back(turn, workspace, memory, open, &entry, End::Revoked).await?;
    Ok(Some(turn.context.pace.lane))
}

async fn attend_one(
    asking: Asking<'_>,
    seen: &mut Seen,
    memory: &mut Memory,
    open: &mut OpenRecord,
    target: &Target,
) -> Result<Option<Duration>, Error> {
    let Asking { turn, workspace, role, may_write } = asking;
    let context = turn.context;
    let identity = seen.roles.identity.clone();
    let shown = seen.roles.shown.contains(&(target.id.key(), role.to_owned()));
    let live = |entry: &&Entry| entry.term != Term::Needed && entry.scope.eq_ignore_ascii_case(target.id.as_str());
    let entry = open.record.entries.iter().find(live).cloned();
    if shown && entry.as_ref().is_none_or(|entry| entry.ends.is_some()) && !seen.roles.read.contains(&target.id.key()) {
        // What was read is older than what has been taken back since.
        memory.role_memory.forget(&target.id);
        return Ok(Some(context.pace.lane));
    }
    let allowed = consent(asking, seen, memory, open, target, entry.is_some()).await;
    let step = attend_target(ApproverInput {
        target: &target.id,
        rules: &target.rules,
        principal: identity.as_ref().map(|identity| identity.principal.as_str()),
        network_active: seen.workspace.as_ref().is_some_and(|workspace| workspace.network_active()),
        otherwise: seen.roles.otherwise.get(&target.id.key()).copied().unwrap_or(RoleCheck::Unknown),
        shown,
        entry: entry.as_ref(),
        spent: open.record.spent.iter().find(|spent| spent.scope.eq_ignore_ascii_case(target.id.as_str())),
        wish: &target.wish,
        allowed: &allowed,
        effective: context.pace.role_effective,
        now: context.now(),
    });
    let waiting =
        Verdict::new(Reason::Pending, "waiting for the approver role, or for another rule on the same target");
    match step {
        Approver::Usual => {
            forget_spent(turn, open, target).await?;
            Ok(None)
        }
        Approver::Wait(Blocked(verdict)) => {
            freeze(seen, target, None, &verdict);
            Ok(None)
        }
        Approver::Write { rule } => {
            freeze(seen, target, Some(&rule), &waiting);
            seen.roles.checks.insert(target.id.key(), RoleCheck::Fresh);
            let in_turn = target.rules.iter().find(|one| one.azure_name == rule);
            if let (Some(in_turn), Some(entry)) = (in_turn, &entry)
                && entry.age(context.now()) < context.pace.role_effective
            {
                let message = format!(
                    "the approver role was assigned on {} at {} and is not in effect yet, which may take ten minutes; the rule is \
                     written again until it is",
                    target.id, entry.asked_at
                );
                seen.roles.fresh.insert(in_turn.key.clone(), Verdict::new(Reason::Updating, message));
            }
            Ok(None)
        }
        Approver::Prepare { rule, assign, standing } => {
            freeze(seen, target, None, &waiting);
            let Some(identity) = identity.filter(|_| may_write) else { return Ok(None) };
            let connections = match connections(turn, &target.id).await {
                Ok(connections) => connections,
                Err(verdict) => {
                    freeze(seen, target, None, &verdict);
                    return Ok(None);
                }
            };
            let until = rfc3339(context.now() + context.pace.role_deadline);
            let term = entry.as_ref().filter(|entry| entry.ends.is_none()).map(|entry| entry.term.clone());
            let term = term.unwrap_or(if standing { Term::Standing } else { Term::Until(until) });
            let wanted = Assign {
                scope: target.id.clone(),
                role: role.to_owned(),
                principal: identity.principal.clone(),
                identity: identity.kind.key(),
                term: term.clone(),
            };
            let asked_at = entry.as_ref().map(|entry| entry.asked_at.clone()).unwrap_or_default();
            let noted = Entry {
                asked_at,
                wish: target.wish.clone(),
                before: connections.iter().filter(|one| one.is_approved()).map(written).collect(),
                turn: rule,
                ..entry_of(&wanted, term)
            };
            if !assign {
                open.record.put(noted);
                context.role_ledger.save(open).await?;
                return Ok(Some(context.pace.lane));
            }
            let path = wanted.path(&context.installation);
            if let Some((verdict, _)) = memory.role_memory.refused.get(&path) {
                freeze(seen, target, None, &verdict.clone());
                return Ok(None);
            }
            Ok(Some(carry_out(turn, workspace, memory, open, &wanted, noted).await?.unwrap_or(context.pace.lane)))
        }
        Approver::Prove { rule } => {
            freeze(seen, target, None, &waiting);
            let Some(entry) = entry else { return Ok(None) };
            // Without a list there is no proof; the role's deadline runs on.
            let Ok(connections) = connections(turn, &target.id).await else { return Ok(Some(context.pace.poll)) };
            prove(turn, workspace, target, &rule, &entry, &connections).await;
            open.record.put(Entry { turn: None, ..entry });
            context.role_ledger.save(open).await?;
            Ok(Some(context.pace.lane))
        }
        Approver::End(end) => {
            freeze(seen, target, None, &waiting);
            let Some(identity) = identity else { return Ok(None) };
            let entry = entry.unwrap_or_else(|| forgotten(context.now(), &target.id, role, &identity));
            take_back(turn, workspace, memory, open, &entry, end).await?;
            Ok(Some(context.pace.lane))
        }
    }
}

/// An assignment of ours that nobody remembers.
fn forgotten(now: jiff::Timestamp, target: &ArmId, role: &str, identity: &Identity) -> Entry {
    let assign = Assign {
        scope: target.clone(),
        role: role.to_owned(),
        principal: identity.principal.clone(),
        identity: identity.kind.key(),
        term: Term::Until(rfc3339(now)),
    };
    Entry { asked_at: rfc3339(now), ..entry_of(&assign, assign.term.clone()) }
}

/// Once all rules on the target are in force, what was tried in vain before is no reason not to try again.
async fn forget_spent(turn: &Turn<'_>, open: &mut OpenRecord, target: &Target) -> Result<(), Error> {
    let of_target = |scope: &str| scope.eq_ignore_ascii_case(target.id.as_str());
    if target.rules.iter().all(|rule| rule.active) && open.record.spent.iter().any(|spent| of_target(&spent.scope)) {
        open.record.spent.retain(|spent| !of_target(&spent.scope));
        turn.context.role_ledger.save(open).await?;
    }
    Ok(())
}

/// Has the target's rules that are not in force wait, but for the one whose turn it is.
fn freeze(seen: &mut Seen, target: &Target, turn: Option<&str>, verdict: &Verdict) {
    for rule in target.rules.iter().filter(|rule| !rule.active && turn != Some(&rule.azure_name)) {
        seen.roles.frozen.insert(rule.key.clone(), verdict.clone());
    }
}

/// The target's connections.
async fn connections(turn: &Turn<'_>, target: &ArmId) -> Result<Vec<Connection>, Verdict> {
    let Some(dialect) = Dialect::of(&target.type_()) else { return Ok(Vec::new()) };
    approval::connections(&turn.connected.client, target, dialect).await
}

/// Sees that exactly the rule's own connection was approved while it was written. Anything else is told: it may be somebody else's,
/// let in by whoever holds the identity.
async fn prove(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    target: &Target,
    rule: &str,
    entry: &Entry,
    connections: &[Connection],
) {
    let context = turn.context;
    let page = context.ledger.open(&target.id).await.map(|open| open.page).unwrap_or_default();
    let explained = |one: &Connection| {
        page.approvals.iter().any(|approval| approval.is_of(one))
            || page.proofs.iter().chain(&page.asked).any(|proof| proof.is_for(one))
    };
    match newly_approved(&entry.before, connections, explained) {
        Ok(connection) => {
            info!(target: AUDIT, target_id = %target.id, rule, connection, "approved by the workspace's own identity");
        }
        Err(Surprise::None) => {
            info!(target: AUDIT, target_id = %target.id, rule, "in force without a newly approved connection");
        }
        Err(Surprise::Several(found)) => {
            let note = format!(
                "while rule {rule} was written with the approver role, {} connections were approved on {} that no decision explains: {}. \
                 One is the rule's own; look at the others",
                found.len(),
                target.id,
                found.join(", ")
            );
            warn!(target: AUDIT, target_id = %target.id, rule, found = found.join(", "), "unexplained approvals");
            context.events.publish(workspace, true, "UnexplainedApproval", &note).await;
        }
    }
}
