//! The approver role of outbound rules, target by target: what the plan decides is carried out here.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;

use super::super::observe::Seen;
use super::super::{Memory, Turn};
use super::consent::consent;
use super::look::asks_for_role;
use super::prepare::{Step, prepare};
use super::prove::prove;
use super::{entry_of, take_back};
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::api::{AmlWorkspace, OutboundRule, RECONCILE_AT};
use crate::azure::error::ErrorClass;
use crate::azure::private_link::{Connection, Dialect};
use crate::controllers::approval;
use crate::plan::names::fingerprint;
use crate::plan::roles::{
    Approver, ApproverInput, Assign, Blocked, End, Entry, Identity, RoleCheck, RuleOnTarget, Term, attend_target,
    is_harmless, is_kept,
};
use crate::plan::rule_body::RuleBody;
use crate::plan::{Reason, Verdict};
use crate::runtime::driver::Error;
use crate::runtime::indexes::key_of;
use crate::runtime::role_ledger::OpenRecord;

/// A target with the rules that ask for the role there.
pub(super) struct Target {
    pub(super) id: ArmId,
    pub(super) rules: Vec<RuleOnTarget>,
    /// The first refusal of what only the cluster has to say.
    pub(super) refused: Option<Verdict>,
    pub(super) wish: String,
}

/// What the workspace's own state lets happen.
pub(super) struct May {
    /// Something new may be assigned.
    pub(super) write: bool,
    /// Why the object has no say over the workspace in Azure, if so: then what was assigned for its rules is taken back.
    pub(super) refused: Option<Verdict>,
}

/// Whose rules ask for which role.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) turn: &'a Turn<'a>,
    pub(super) workspace: &'a AmlWorkspace,
    /// GUID of the role, lower case.
    pub(super) role: &'a str,
    pub(super) may: &'a May,
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
    may: May,
) -> Result<Option<Duration>, Error> {
    let Some(role) = turn.connected.spec.approver_role_definition_id.as_deref().map(str::to_ascii_lowercase) else {
        let message = "the AzureConnection names no approverRoleDefinitionId, which approverRole needs. A platform administrator \
                       can set it, or somebody assigns the role by hand and the rule says approverRole: Report";
        freeze_all(turn, workspace, seen, &Verdict::new(Reason::ApproverRoleMissing, message));
        return end_strays(turn, workspace, memory, open, |_| false).await;
    };
    let targets = targets(turn, workspace, seen, memory, open, &role);
    let principal = seen.roles.identity.as_ref().map(|identity| identity.principal.clone());
    // Also what was another role or for another identity once: that is taken back, and assigned as it should be.
    let asked = |entry: &Entry| {
        let of_target = targets.get(&entry.scope.to_ascii_lowercase());
        of_target.is_some_and(|target| {
            !target.rules.is_empty()
                && principal.as_ref().is_some_and(|principal| entry.is(&target.id, &role, principal))
        })
    };
    if let Some(wait) = end_strays(turn, workspace, memory, open, asked).await? {
        return Ok(Some(wait));
    }
    for target in targets.values() {
        let asking = Asking { turn, workspace, role: &role, may: &may };
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
    let through = turn.through();
    for rule in turn.context.indexes.rules_of(&key_of(workspace)) {
        let Some((id, asked)) = through.wish(workspace, &rule) else { continue };
        let active = is_active(turn, seen, &rule);
        let harmless = is_harmless(&id, role, seen.roles.definitions.get(role));
        let granted = harmless.and_then(|()| through.agreed(workspace, &rule, &id, role));
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

/// Takes back approver roles that no rule asks for any more, as `asked` tells.
async fn end_strays(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    open: &mut OpenRecord,
    asked: impl Fn(&Entry) -> bool,
) -> Result<Option<Duration>, Error> {
    let stray = |entry: &&Entry| entry.is_of_rule() && entry.claims() && !asked(entry);
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
    let Asking { turn, workspace, role, may } = asking;
    let context = turn.context;
    let identity = seen.roles.identity.clone();
    let shown = seen.roles.shown.contains(&(target.id.key(), role.to_owned()));
    let own = identity.as_ref().and_then(|own| open.record.find(&target.id, role, &own.principal, true));
    let entry = own.cloned();
    if shown && !entry.as_ref().is_some_and(Entry::claims) && !seen.roles.read.contains(&target.id.key()) {
        // What was read is older than what has been taken back since.
        memory.role_memory.forget(&target.id);
        return Ok(Some(context.pace.lane));
    }
    let unclaimed = identity.as_ref().filter(|_| shown && !entry.as_ref().is_some_and(Entry::claims));
    let claimed = match unclaimed {
        Some(identity) => is_claimed(turn, open, &forgotten(turn, &target.id, role, identity)).await?,
        None => false,
    };
    let allowed = consent(asking, seen, memory, open, target, entry.is_some()).await;
    let step = attend_target(ApproverInput {
        target: &target.id,
        rules: &target.rules,
        network_active: seen.workspace.as_ref().is_some_and(|workspace| workspace.network_active()),
        otherwise: seen.roles.otherwise.get(&target.id.key()).copied().unwrap_or(RoleCheck::Unknown),
        shown,
        claimed,
        moved: entry.as_ref().is_some_and(|entry| entry.connection != turn.connected.name),
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
            let Some(identity) = identity.filter(|_| may.write) else { return Ok(None) };
            let until = rfc3339(context.now() + context.pace.role_deadline);
            let term = entry.as_ref().filter(|entry| entry.claims()).map(|entry| entry.term.clone());
            let term = term.unwrap_or(if standing { Term::Standing } else { Term::Until(until) });
            let wanted = Assign {
                scope: target.id.clone(),
                role: role.to_owned(),
                principal: identity.principal.clone(),
                identity: identity.kind.key(),
                term: term.clone(),
            };
            prepare(asking, seen, memory, open, target, Step { wanted, entry, rule, assign }).await
        }
        Approver::Prove { rule } => {
            freeze(seen, target, None, &waiting);
            let Some(entry) = entry else { return Ok(None) };
            prove(asking, seen, open, target, &rule, entry).await
        }
        Approver::End(end) => {
            freeze(seen, target, None, &waiting);
            let forgotten = || identity.as_ref().map(|identity| forgotten(turn, &target.id, role, identity));
            let Some(entry) = entry.or_else(forgotten) else { return Ok(None) };
            take_back(turn, workspace, memory, open, &entry, end).await?;
            Ok(Some(context.pace.lane))
        }
    }
}

/// Has the workspace look again after `pause` at the latest. What else there is to do in this turn is done.
pub(super) fn wait(seen: &mut Seen, pause: Duration) -> Option<Duration> {
    let again = &mut seen.roles.said.again;
    *again = Some(again.map_or(pause, |again| again.min(pause)));
    None
}

/// True if another claim keeps what shows there as this installation's.
async fn is_claimed(turn: &Turn<'_>, open: &OpenRecord, entry: &Entry) -> Result<bool, Error> {
    let all = turn.context.role_ledger.all().await?;
    let records = all.records.iter().map(|other| &other.record);
    Ok(is_kept(entry, &open.record.workspace, records))
}

/// An assignment of ours that nobody remembers.
fn forgotten(turn: &Turn<'_>, target: &ArmId, role: &str, identity: &Identity) -> Entry {
    let now = turn.context.now();
    let assign = Assign {
        scope: target.clone(),
        role: role.to_owned(),
        principal: identity.principal.clone(),
        identity: identity.kind.key(),
        term: Term::Until(rfc3339(now)),
    };
    Entry { asked_at: rfc3339(now), ..entry_of(turn, &assign, assign.term.clone()) }
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
pub(super) fn freeze(seen: &mut Seen, target: &Target, turn: Option<&str>, verdict: &Verdict) {
    for rule in target.rules.iter().filter(|rule| !rule.active && turn != Some(&rule.azure_name)) {
        seen.roles.frozen.insert(rule.key.clone(), verdict.clone());
    }
}

/// The target's connections.
pub(super) async fn connections(turn: &Turn<'_>, target: &ArmId) -> Result<Vec<Connection>, Verdict> {
    let Some(dialect) = Dialect::of(&target.type_()) else { return Ok(Vec::new()) };
    approval::connections(&turn.connected.client, target, dialect).await
}
