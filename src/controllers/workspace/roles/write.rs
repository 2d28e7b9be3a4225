//! Assigns a role and takes it back: the ledger first, then Azure.

use std::time::Duration;

use reqwest::Method;
use tracing::{info, warn};

use super::ending::is_worked_with;
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::azure::authorization::{API_VERSION, RoleAssignment};
use crate::azure::client::{Client, Priority};
use crate::azure::error::{ArmError, ErrorClass};
use crate::plan::roles::{Assign, End, Entry, IdentityKind, assignment_path, is_kept, is_ours};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::role_ledger::{AllRecords, OpenRecord};
use crate::telemetry::AUDIT;

/// What became of an assignment that was asked for.
pub(super) enum Assigned {
    /// It is there.
    Done,
    /// Somebody else made an equal one: theirs is as good.
    Equal,
    /// The answer never came: what Azure shows tells.
    Unknown,
    /// Azure refused; ask again after this time.
    Refused(Verdict, Duration),
    /// Another workspace is just giving up its claim on the same assignment.
    Busy,
}

/// What became of an assignment that is to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenBack {
    /// Nothing of it is left, or it is left to others who have a claim on it.
    Gone,
    /// It stays until an object that works with it, and has no claim, needs it no more.
    Kept,
    /// Not yet; it is tried again.
    Waits,
}

/// Assigns `assign`, noted as `entry` before it is asked for, for the object `uid`.
///
/// The assignment has a lane of its own: of all workspaces that have a claim on it or give one up, one at a time looks at the
/// ledger and acts on that.
pub(super) async fn assign(
    context: &Context,
    client: &Client,
    uid: &str,
    open: &mut OpenRecord,
    assign: &Assign,
    entry: Entry,
) -> Result<Assigned, Error> {
    let (installation, of_rule) = (&context.installation, entry.is_of_rule());
    let path = assign.path(installation);
    let Some(_lane) = context.lanes.enter(path.to_ascii_lowercase()) else { return Ok(Assigned::Busy) };
    let record = &mut open.record;
    let before = record.find(&assign.scope, &assign.role, &assign.principal, of_rule).cloned();
    record.uid = uid.to_owned();
    record.pins.insert(assign.identity.clone(), assign.principal.clone());
    record.put(Entry { asked_at: rfc3339(context.now()), ..entry.clone() });
    context.role_ledger.save(open).await?;
    let body = assign.body(installation);
    let answer = client.send(Method::PUT, &path, API_VERSION, Some(&body), Priority::Change).await;
    let outcome = answer.as_ref().map_or_else(ToString::to_string, |accepted| accepted.status.to_string());
    let request_id = answer.as_ref().ok().and_then(|accepted| accepted.request_id.clone());
    info!(
        target: AUDIT, verb = "grantRoles", path, role = assign.role, principal = assign.principal, outcome, request_id,
        "role assignment"
    );
    Ok(match answer {
        Ok(_) => Assigned::Done,
        Err(error) if error.outcome_unknown() => Assigned::Unknown,
        Err(error) => {
            // What was there before may still stand in Azure, and is not forgotten, nor through whom it came.
            open.record.forget(&entry);
            open.record.entries.extend(before);
            context.role_ledger.save(open).await?;
            if error.class == ErrorClass::Exists { Assigned::Equal } else { refused(context, &path, &error) }
        }
    })
}

fn refused(context: &Context, path: &str, error: &ArmError) -> Assigned {
    let wait = error.retry_after.unwrap_or(context.pace.role_recheck);
    let verdict = if error.class == ErrorClass::PrincipalNotReady {
        let message = "the identity is not known to the directory yet; the role is assigned once it is";
        Verdict::new(Reason::AzureBusy, message)
    } else {
        Verdict::of_error(&format!("PUT {path}"), error)
    };
    Assigned::Refused(verdict, wait)
}

/// Notes in the ledger that `entry` is being taken back: from now on it claims nothing.
pub(super) async fn note_end(context: &Context, open: &mut OpenRecord, entry: &Entry, end: End) -> Result<(), Error> {
    if entry.claims() {
        open.record.end(entry.clone(), end);
        context.role_ledger.save(open).await?;
    }
    Ok(())
}

/// Who else keeps the assignment of an entry that claims it no more.
enum KeptBy {
    /// Another claim, which takes it back in its turn.
    Claim,
    /// An object that works with it and has no claim, or something that cannot be read and may need it.
    Use,
    /// Nobody.
    Nobody,
}

/// Who keeps the assignment of `entry`. Others can only need that of an identity that may be theirs too.
async fn kept_by(context: &Context, open: &OpenRecord, entry: &Entry) -> Result<KeptBy, Error> {
    let own = &open.record.workspace;
    let alone = entry.identity == IdentityKind::SystemAssigned.key();
    let all = if alone { AllRecords::default() } else { context.role_ledger.all().await? };
    let records = all.records.iter().map(|other| &other.record).chain([&open.record]);
    if is_kept(entry, own, records) {
        return Ok(KeptBy::Claim);
    }
    // A right to approve does not stay out for what cannot be read.
    let used = !all.damaged.is_empty() && !entry.is_of_rule() || is_worked_with(context, own, entry);
    Ok(if used { KeptBy::Use } else { KeptBy::Nobody })
}

/// Takes back `entry`, whose end is noted: given up if another claim keeps it, else deleted where it shows and is ours, and forgotten
/// once nothing of it can come any more.
pub(super) async fn take_back(
    context: &Context,
    client: &Client,
    open: &mut OpenRecord,
    entry: &Entry,
    end: End,
) -> Result<TakenBack, Error> {
    let Ok(scope) = ArmId::parse(&entry.scope) else {
        return forget(context, open, entry).await;
    };
    let path = assignment_path(&context.installation, &scope, &entry.principal, &entry.role);
    let Some(_lane) = context.lanes.enter(path.to_ascii_lowercase()) else { return Ok(TakenBack::Waits) };
    match kept_by(context, open, entry).await? {
        KeptBy::Claim => {
            info!(target: AUDIT, path, principal = entry.principal, why = ?end, "role left to another claim");
            return forget(context, open, entry).await;
        }
        KeptBy::Use => return Ok(TakenBack::Kept),
        KeptBy::Nobody => {}
    }
    // Read first: a delegate whose right to delete depends on the assignment may not even ask for one that is gone.
    let shown = match client.find(&path, API_VERSION, Priority::Urgent).await {
        Ok(shown) => shown.as_ref().and_then(RoleAssignment::read),
        // With the scope went what was assigned on it.
        Err(error) if error.class == ErrorClass::ParentNotFound => None,
        Err(error) => {
            warn!(path, %error, "an assigned role cannot be looked at to take it back; it is tried again");
            return Ok(TakenBack::Waits);
        }
    };
    match shown {
        Some(shown) if is_ours(&shown, &context.installation, &scope) => {
            let answer = client.send(Method::DELETE, &path, API_VERSION, None, Priority::Urgent).await;
            let outcome = answer.as_ref().map_or_else(ToString::to_string, |accepted| accepted.status.to_string());
            let request_id = answer.as_ref().ok().and_then(|accepted| accepted.request_id.clone());
            info!(target: AUDIT, path, principal = entry.principal, why = ?end, outcome, request_id, "role taken back");
            if let Err(error) = answer {
                warn!(path, %error, "an assigned role cannot be taken back; it is tried again");
                return Ok(TakenBack::Waits);
            }
        }
        Some(_) => {
            warn!(target: AUDIT, path, "the role is not taken back: somebody else has made the assignment theirs");
            return forget(context, open, entry).await;
        }
        None => {}
    }
    // A request whose answer never came may still arrive; until then it is looked for.
    if entry.age(context.now()) < context.pace.rest {
        return Ok(TakenBack::Waits);
    }
    forget(context, open, entry).await
}

/// Forgets `entry` in the ledger.
async fn forget(context: &Context, open: &mut OpenRecord, entry: &Entry) -> Result<TakenBack, Error> {
    open.record.forget(entry);
    context.role_ledger.save(open).await?;
    Ok(TakenBack::Gone)
}
