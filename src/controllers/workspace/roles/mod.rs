//! Roles of a workspace's identity, in the workspace's lane: what is missing is reported, what may be assigned is assigned, one at a
//! time, and what is no longer needed is taken back.

mod approve;
mod consent;
mod keeper;
mod look;
mod write;

use std::time::Duration;

use kube::ResourceExt;

use super::apply::still_so;
use super::observe::Seen;
use super::{Memory, Turn};
use crate::api::AmlWorkspace;
use crate::api::common::{MissingRole, WouldWrite};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::ids::ArmId;
use crate::api::workspace::RolePolicy;
use crate::plan::roles::{Assign, End, Entry, Grants, GrantsInput, TakeBack, Term, plan};
use crate::plan::workspace::WorkspacePlan;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::ledger::LedgerError;
use crate::runtime::role_ledger::OpenRecord;

pub use keeper::keep;
pub(super) use look::{Look, RoleMemory, look};
use write::{Asker, Assigned};

/// Says whether the identity holds all it needs on what the workspace is made of.
pub(super) const ROLES_READY: &str = "RolesReady";

/// What is said of the roles.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// The roles that are missing.
    pub(super) missing: Vec<MissingRole>,
    /// The condition.
    pub(super) ready: Option<ConditionDraft>,
    /// When to look again, if roles are missing or not known.
    pub(super) again: Option<Duration>,
    /// What would be assigned next, if anything may be written.
    pub(super) planned: Option<WouldWrite>,
}

/// Attends to the roles: at most one assignment is made or taken back. Returns when to look again, if something was done; otherwise
/// `seen` says what there is to say. `may_write` is false while nothing new is started; what was assigned for a time is taken back all
/// the same.
pub(super) async fn attend(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &mut Seen,
    decided: &WorkspacePlan,
    memory: &mut Memory,
    may_write: bool,
) -> Result<Option<Duration>, Error> {
    let context = turn.context;
    if seen.workspace.is_none() {
        return Ok(None);
    }
    let grants = workspace.spec.roles == Some(RolePolicy::Grant);
    let asked = approve::anybody_asks(turn, workspace);
    let mut open = None;
    if grants || asked || !memory.role_memory.nothing_recorded {
        match context.role_ledger.open(turn.id).await {
            Ok(record) => {
                memory.role_memory.nothing_recorded = record.record.entries.is_empty();
                open = Some(record);
            }
            Err(error @ LedgerError::Damaged { .. }) => {
                let message = format!("no role is assigned while the ledger cannot be read: {error}");
                let verdict = Verdict::new(Reason::LedgerDamaged, message);
                approve::freeze_all(turn, workspace, seen, &verdict);
                seen.roles.said = judge(turn, workspace, seen, memory, &OpenRecord::default()).1;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut open = open.unwrap_or_default();
    // Whether the workspace is this object's, at rest and in place.
    let may_write = may_write && decided.rules_may_change;
    let (plan, said) = judge(turn, workspace, seen, memory, &open);
    if !may_write && is_anothers(context, workspace, &open) {
        seen.roles.said = said;
        return Ok(None);
    }
    if may_write {
        if let Some(assign) = plan.assign {
            let entry = entry_of(&assign, Term::Needed);
            // If Azure refuses, that is said in the next turn, and the rest goes on.
            let wait = carry_out(turn, workspace, memory, &mut open, &assign, entry).await?;
            return Ok(Some(wait.unwrap_or(context.pace.lane)));
        }
        if let Some(TakeBack(entry)) = plan.take_back {
            take_back(turn, workspace, memory, &mut open, &entry, End::Done).await?;
            return Ok(Some(context.pace.lane));
        }
    }
    seen.roles.said = said;
    approve::attend(turn, workspace, seen, memory, &mut open, may_write).await
}

/// What the plan says about what the workspace is made of.
fn judge(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &Seen,
    memory: &mut Memory,
    open: &OpenRecord,
) -> (Grants, Said) {
    let context = turn.context;
    let now = context.now();
    memory.role_memory.refused.retain(|_, (_, until)| *until > now);
    let waits = memory.role_memory.refused.iter().map(|(path, (verdict, _))| (path.clone(), verdict.clone())).collect();
    let elsewhere = |entry: &Entry| needed_elsewhere(context, workspace, entry);
    let used = seen.workspace.as_ref().map(|shown| &shown.properties);
    let in_use: Vec<String> = used
        .into_iter()
        .flat_map(|used| [&used.storage_account, &used.key_vault, &used.application_insights, &used.container_registry])
        .flatten()
        .cloned()
        .collect();
    let plan = plan(GrantsInput {
        installation: &context.installation,
        policy: workspace.spec.roles.unwrap_or_default(),
        identity: seen.roles.identity.as_ref(),
        needs: &seen.roles.needs,
        in_use: &in_use,
        fence: &turn.fence,
        connection: &turn.connected.spec,
        definitions: &seen.roles.definitions,
        record: &open.record,
        acknowledge: &workspace.spec.acknowledge,
        waits: &waits,
        needed_elsewhere: &elsewhere,
    });
    let planned = plan.assign.as_ref().map(|assign| would(context, assign));
    let ready = ConditionDraft {
        type_: ROLES_READY,
        status: plan.ready.status,
        reason: plan.ready.reason.to_owned(),
        message: plan.ready.message.clone(),
    };
    let again = (plan.ready.status != ConditionStatus::True).then_some(context.pace.role_recheck);
    let said = Said { missing: plan.missing.clone(), ready: Some(ready), again, planned };
    (plan, said)
}

/// What is said of an assignment that `Observe` does not make.
fn would(context: &Context, assign: &Assign) -> WouldWrite {
    WouldWrite {
        verb: "PUT".to_owned(),
        id: assign.path(&context.installation),
        field: None,
        from: None,
        to: Some(format!("role {} for {}", assign.role, assign.principal)),
    }
}

fn entry_of(assign: &Assign, term: Term) -> Entry {
    Entry {
        scope: assign.scope.to_string(),
        role: assign.role.clone(),
        principal: assign.principal.clone(),
        identity: assign.identity.clone(),
        term,
        asked_at: String::new(),
        wish: String::new(),
        before: Vec::new(),
        turn: None,
        ends: None,
    }
}

/// Assigns `assign`. Returns when to look again, or `None` if Azure refused.
async fn carry_out(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    open: &mut OpenRecord,
    assign: &Assign,
    entry: Entry,
) -> Result<Option<Duration>, Error> {
    let context = turn.context;
    still_so(turn, workspace).await?;
    let uid = workspace.uid().unwrap_or_default();
    let asker = Asker { connection: &turn.connected.name, uid: &uid };
    let assigned = write::assign(context, &turn.connected.client, asker, open, assign, entry).await?;
    memory.role_memory.forget(&assign.scope);
    Ok(match assigned {
        Assigned::Done => {
            let note = format!("assigned role {} to {} on {}", assign.role, assign.principal, assign.scope);
            context.events.publish(workspace, false, "RoleAssigned", &note).await;
            Some(context.pace.lane)
        }
        Assigned::Equal => Some(context.pace.lane),
        Assigned::Unknown => Some(context.pace.poll),
        Assigned::Refused(verdict, wait) => {
            let path = assign.path(&context.installation);
            memory.role_memory.refused.insert(path, (verdict, context.now() + wait));
            None
        }
    })
}

/// Takes `entry` back. True if nothing of it is left.
async fn take_back(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    open: &mut OpenRecord,
    entry: &Entry,
    end: End,
) -> Result<bool, Error> {
    let context = turn.context;
    let news = entry.ends.is_none();
    let gone = write::take_back(context, &turn.connected.client, open, entry, end).await?;
    if let Ok(scope) = ArmId::parse(&entry.scope) {
        memory.role_memory.forget(&scope);
    }
    if news {
        let note = format!("takes back role {} of {} on {} ({end:?})", entry.role, entry.principal, entry.scope);
        context.events.publish(workspace, end != End::Done, "RoleTakenBack", &note).await;
    }
    Ok(gone)
}

/// True if another workspace of the installation may need what `entry` stands for: it has the same identity and names the scope.
/// One that cannot be read may need anything.
fn needed_elsewhere(context: &Context, workspace: &AmlWorkspace, entry: &Entry) -> bool {
    let same = |id: &str| id.eq_ignore_ascii_case(&entry.identity);
    context.indexes.workspaces.state().iter().any(|other| {
        let Ok(other) = &other.0 else { return !same("SystemAssigned") };
        let named = |scope: &str| scope.eq_ignore_ascii_case(&entry.scope);
        key_of(other) != key_of(workspace)
            && other.spec.identity.user_assigned_identities.iter().any(|id| same(id))
            && (other.spec.associated_ids().any(|(_, id)| named(id))
                || workspace_id(other).is_ok_and(|id| named(id.as_str()))
                || context
                    .indexes
                    .rules_of(&key_of(other))
                    .iter()
                    .any(|rule| look::target_of(rule).is_some_and(|target| named(target.as_str()))))
    })
}

/// True if the record was written for another object that is still there. Anybody may write an object that names this workspace;
/// that must take nothing from whom the roles were assigned for.
fn is_anothers(context: &Context, workspace: &AmlWorkspace, open: &OpenRecord) -> bool {
    let uid = open.record.uid.as_str();
    !uid.is_empty()
        && workspace.metadata.uid.as_deref() != Some(uid)
        && context
            .indexes
            .workspaces
            .state()
            .iter()
            .any(|other| kube::Resource::meta(other.as_ref()).uid.as_deref() == Some(uid))
}

/// Takes back what was assigned for a time, and with `all` whatever was assigned, before the object of the workspace goes. Says why
/// it has to stay, if so.
///
/// # Errors
/// If Kubernetes does not take what is noted.
pub(super) async fn leave(
    context: &Context,
    id: &ArmId,
    workspace: &AmlWorkspace,
    all: bool,
) -> Result<Option<Verdict>, Error> {
    let mut open = match context.role_ledger.open(id).await {
        Ok(open) => open,
        // What it held cannot be told; the object must not hang on it.
        Err(LedgerError::Damaged { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if is_anothers(context, workspace, &open) {
        return Ok(None);
    }
    let goes = |entry: &Entry| entry.is_short_lived() || all && !needed_elsewhere(context, workspace, entry);
    let going: Vec<Entry> = open.record.entries.iter().filter(|entry| goes(entry)).cloned().collect();
    if going.is_empty() {
        return Ok(None);
    }
    let connected = match Connected::find(&context.indexes, &context.clients, &open.record.connection) {
        Ok(connected) => connected,
        Err(verdict) => return Ok(Some(kept(&verdict.message, workspace))),
    };
    let mut left = 0;
    for entry in going {
        left += usize::from(!write::take_back(context, &connected.client, &mut open, &entry, End::Done).await?);
    }
    Ok((left > 0).then(|| kept(&format!("{left} assignments are not seen to be gone"), workspace)))
}

fn kept(why: &str, workspace: &AmlWorkspace) -> Verdict {
    Verdict::new(
        Reason::Deleting,
        format!(
            "roles that were assigned to the workspace's identity are being taken back: {why}. To let go of this object all the same, \
             annotate it with aml-operator.io/abandon: {}",
            workspace.uid().unwrap_or_default()
        ),
    )
}
