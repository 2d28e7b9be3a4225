//! Roles of a workspace's identity, in the workspace's lane: what is missing is reported, what may be assigned is assigned, one at a
//! time, and what is no longer needed is taken back.

mod approve;
mod asked;
mod consent;
mod depart;
mod ending;
mod keeper;
mod look;
mod prepare;
mod prove;
mod sharing;
mod write;

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::apply::still_so;
use super::observe::Seen;
use super::{Memory, Turn};
use crate::api::AmlWorkspace;
use crate::api::common::{MissingRole, WouldWrite};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::ids::ArmId;
use crate::api::workspace::RolePolicy;
use crate::azure::machine_learning::Workspace;
use crate::plan::roles::{Assign, End, Entry, Grants, GrantsInput, TakeBack, Term, of_key, plan};
use crate::plan::workspace::WorkspacePlan;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::ledger::LedgerError;
use crate::runtime::role_ledger::OpenRecord;

pub(super) use asked::Through;
pub(super) use depart::{leave, left_behind};
use ending::take_back_through;
pub use keeper::keep;
pub(super) use look::{Look, RoleMemory, look};
use write::Assigned;

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
                seen.roles.said = judge(turn, workspace, seen, memory, &OpenRecord::default(), context.now()).1;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut open = open.unwrap_or_default();
    // Whether the workspace is this object's, at rest and in place.
    let may_write = may_write && decided.rules_may_change;
    let now = context.now();
    let (mut plan, mut said) = judge(turn, workspace, seen, memory, &open, now);
    if !may_write && is_anothers(context, workspace, &open) {
        seen.roles.said = said;
        return Ok(None);
    }
    if may_write {
        while let Some(assign) = plan.assign.take() {
            let entry = entry_of(turn, &assign, Term::Needed);
            if let Some(wait) = carry_out(turn, workspace, memory, &mut open, &assign, entry).await? {
                return Ok(Some(wait));
            }
            // What Azure refuses is said, and holds up nothing else.
            (plan, said) = judge(turn, workspace, seen, memory, &open, now);
        }
        if let Some(TakeBack(entry)) = plan.take_back {
            take_back(turn, workspace, memory, &mut open, &entry, End::Done).await?;
            return Ok(Some(context.pace.lane));
        }
    }
    seen.roles.said = said;
    let elsewhere = matches!(decided.verdict.reason, Reason::OwnedElsewhere | Reason::AdoptionRefused);
    let refused = elsewhere.then(|| decided.verdict.clone());
    approve::attend(turn, workspace, seen, memory, &mut open, approve::May { write: may_write, refused }).await
}

/// What the plan says about what the workspace is made of, by what Azure had refused at the time `now`.
fn judge(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    seen: &Seen,
    memory: &mut Memory,
    open: &OpenRecord,
    now: Timestamp,
) -> (Grants, Said) {
    let context = turn.context;
    memory.role_memory.refused.retain(|_, (_, until)| *until > now);
    let waits = memory.role_memory.refused.iter().map(|(path, (verdict, _))| (path.clone(), verdict.clone())).collect();
    let used = seen.workspace.as_ref().map(|shown| &shown.properties);
    let in_use: Vec<String> = used
        .into_iter()
        .flat_map(|used| [&used.storage_account, &used.key_vault, &used.application_insights, &used.container_registry])
        .flatten()
        .cloned()
        .collect();
    let unchecked = of_key(&workspace.spec);
    let plan = plan(GrantsInput {
        installation: &context.installation,
        policy: workspace.spec.roles.unwrap_or_default(),
        identity: seen.roles.identity.as_ref(),
        needs: &seen.roles.needs,
        unchecked: unchecked.as_deref(),
        in_use: &in_use,
        acting: seen.workspace.as_ref().and_then(Workspace::acting_principal),
        fence: &turn.fence,
        connection: &turn.connected.spec,
        definitions: &seen.roles.definitions,
        record: &open.record,
        acknowledge: &workspace.spec.acknowledge,
        waits: &waits,
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

fn entry_of(turn: &Turn<'_>, assign: &Assign, term: Term) -> Entry {
    Entry {
        scope: assign.scope.to_string(),
        role: assign.role.clone(),
        principal: assign.principal.clone(),
        identity: assign.identity.clone(),
        connection: turn.connected.name.clone(),
        tenant: turn.connected.spec.tenant_id.clone(),
        term,
        asked_at: String::new(),
        wish: String::new(),
        before: Vec::new(),
        turn: None,
        turn_since: String::new(),
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
    let assigned = write::assign(context, &turn.connected.client, &uid, open, assign, entry).await?;
    memory.role_memory.forget(&assign.scope);
    Ok(match assigned {
        Assigned::Done => {
            let note = format!("assigned role {} to {} on {}", assign.role, assign.principal, assign.scope);
            context.events.publish(workspace, false, "RoleAssigned", &note).await;
            Some(context.pace.lane)
        }
        Assigned::Equal | Assigned::Busy => Some(context.pace.lane),
        Assigned::Unknown => Some(context.pace.poll),
        Assigned::Refused(verdict, wait) => {
            let path = assign.path(&context.installation);
            memory.role_memory.refused.insert(path, (verdict, context.now() + wait));
            None
        }
    })
}

/// Takes `entry` back.
async fn take_back(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    open: &mut OpenRecord,
    entry: &Entry,
    end: End,
) -> Result<(), Error> {
    let context = turn.context;
    let news = entry.claims();
    take_back_through(context, turn.id, open, entry, end).await?;
    if let Ok(scope) = ArmId::parse(&entry.scope) {
        memory.role_memory.forget(&scope);
    }
    if news {
        let note = format!("takes back {} ({end:?})", entry.words());
        context.events.publish(workspace, end != End::Done, "RoleTakenBack", &note).await;
    }
    Ok(())
}

/// True if the record was written for another object that is still there. Anybody may write an object that names this workspace;
/// that must take nothing from whom the roles were assigned for.
fn is_anothers(context: &Context, workspace: &AmlWorkspace, open: &OpenRecord) -> bool {
    let uid = open.record.uid.as_str();
    !uid.is_empty()
        && workspace.metadata.uid.as_deref() != Some(uid)
        && context.indexes.workspaces.has(&crate::runtime::terms::Term::Uid(uid.into()))
}
