//! How a claim on an assignment ends: through which AzureConnection it is given up, and who works with it all the same.

use tracing::warn;

use super::look::target_of;
use super::sharing::has_identity;
use super::write::{self, TakenBack};
use crate::api::ids::ArmId;
use crate::plan::resources;
use crate::plan::roles::{End, Entry, IdentityKind, of_workspace};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::role_ledger::OpenRecord;

/// Takes `entry` of the workspace `id` back, through the AzureConnection through which it was assigned. What cannot be done yet is
/// noted in the ledger, and the keeper goes on.
pub(super) async fn take_back_through(
    context: &Context,
    id: &ArmId,
    open: &mut OpenRecord,
    entry: &Entry,
    end: End,
) -> Result<TakenBack, Error> {
    write::note_end(context, open, entry, end).await?;
    match through(context, id, entry) {
        Ok(connected) => write::take_back(context, &connected.client, open, entry, end).await,
        Err(verdict) => {
            warn!(
                role = entry.words(),
                why = verdict.message,
                "an assigned role cannot be taken back; it is tried again"
            );
            Ok(TakenBack::Waits)
        }
    }
}

/// The AzureConnection through which `entry` was assigned; if there is none of that name in that directory any more, the one that an
/// object of the workspace uses now.
pub(super) fn through(context: &Context, id: &ArmId, entry: &Entry) -> Result<Connected, Verdict> {
    let found = |name: &str| Connected::find(&context.indexes, &context.clients, name);
    let fits =
        |connected: &Connected| entry.tenant.is_empty() || entry.tenant.eq_ignore_ascii_case(&connected.spec.tenant_id);
    let missing = match found(&entry.connection) {
        Ok(connected) if fits(&connected) => return Ok(connected),
        // It is there, and only its credential is late.
        Err(verdict) if verdict.reason != Reason::ConnectionMissing => return Err(verdict),
        Ok(_) | Err(_) => Verdict::new(
            Reason::ConnectionMissing,
            format!("there is no AzureConnection {:?} to tenant {} any more", entry.connection, entry.tenant),
        ),
    };
    let workspaces = context.indexes.declarers(id);
    let of_workspace = workspaces.iter().filter_map(|object| object.0.as_ref().ok());
    let mut names = of_workspace.map(|workspace| &workspace.spec.connection_ref.name);
    names.find_map(|name| found(name).ok().filter(fits)).ok_or(missing)
}

/// True if a workspace of the installation works with what `entry` stands for, or may, without a claim on it: it has the identity and
/// names the scope. What was assigned for rules is worked with only where the table of needs has the very role; everything else may
/// serve a rule as well, and whoever cannot be read may need it.
pub(super) fn is_worked_with(context: &Context, id: &str, entry: &Entry) -> bool {
    let alone = entry.identity == IdentityKind::SystemAssigned.key();
    let named = |scope: &str| scope.eq_ignore_ascii_case(&entry.scope);
    !alone
        && context.indexes.having(&entry.identity).iter().any(|other| {
            let Ok(other) = &other.0 else { return !entry.is_of_rule() };
            let Ok(own) = workspace_id(other) else { return false };
            if !has_identity(context, other, &entry.identity) {
                return false;
            }
            if entry.is_of_rule() {
                let needs = of_workspace(&own, &other.spec, &IdentityKind::UserAssigned(entry.identity.clone()), None);
                return needs
                    .iter()
                    .any(|need| need.role.id.is_some_and(|role| entry.is(&need.scope, role, &entry.principal)));
            }
            let rules = || context.indexes.rules_of(&key_of(other));
            !own.as_str().eq_ignore_ascii_case(id)
                && (resources::ids(&other.spec, &own).any(|(_, id)| named(&id))
                    || named(own.as_str())
                    || rules().iter().any(|rule| target_of(rule).is_some_and(|target| named(target.as_str()))))
        })
}
