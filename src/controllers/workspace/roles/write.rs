//! Assigns a role and takes it back: the ledger first, then Azure.

use std::time::Duration;

use reqwest::Method;
use tracing::{info, warn};

use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::azure::authorization::{API_VERSION, RoleAssignment};
use crate::azure::client::{Client, Priority};
use crate::azure::error::{ArmError, ErrorClass};
use crate::plan::roles::{Assign, End, Entry, assignment_path, is_ours};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::driver::Error;
use crate::runtime::role_ledger::OpenRecord;
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
}

/// Whom an object acts for, as the ledger notes it.
pub(super) struct Asker<'a> {
    /// Name of the AzureConnection.
    pub(super) connection: &'a str,
    /// Uid of the object.
    pub(super) uid: &'a str,
}

/// Assigns `assign`, noted as `entry` before it is asked for.
pub(super) async fn assign(
    context: &Context,
    client: &Client,
    asker: Asker<'_>,
    open: &mut OpenRecord,
    assign: &Assign,
    entry: Entry,
) -> Result<Assigned, Error> {
    let record = &mut open.record;
    let news = record.find(&assign.scope, &assign.role, &assign.principal).is_none();
    record.connection = asker.connection.to_owned();
    record.uid = asker.uid.to_owned();
    record.pins.insert(assign.identity.clone(), assign.principal.clone());
    record.put(Entry { asked_at: rfc3339(context.now()), ..entry.clone() });
    context.role_ledger.save(open).await?;
    let installation = &context.installation;
    let (path, body) = (assign.path(installation), assign.body(installation));
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
            // What was there before may still stand in Azure, and is not forgotten.
            let noted = open.record.find(&assign.scope, &assign.role, &assign.principal).cloned();
            if let Some(entry) = noted.filter(|_| news) {
                open.record.forget(&entry);
                context.role_ledger.save(open).await?;
            }
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

/// Takes `entry` back: noted in the ledger first, then deleted where it shows and is ours, and forgotten once nothing of it can come
/// any more. True if nothing of it is left.
pub(super) async fn take_back(
    context: &Context,
    client: &Client,
    open: &mut OpenRecord,
    entry: &Entry,
    end: End,
) -> Result<bool, Error> {
    let mut entry = entry.clone();
    if entry.ends.is_none() {
        open.record.end(entry.clone(), end);
        context.role_ledger.save(open).await?;
        entry.ends = Some(end);
    }
    let Ok(scope) = ArmId::parse(&entry.scope) else {
        open.record.forget(&entry);
        context.role_ledger.save(open).await?;
        return Ok(true);
    };
    let path = assignment_path(&context.installation, &scope, &entry.principal, &entry.role);
    // Read first: a delegate whose right to delete depends on the assignment may not even ask for one that is gone.
    let shown = match client.find(&path, API_VERSION, Priority::Urgent).await {
        Ok(shown) => shown.as_ref().and_then(RoleAssignment::read),
        // With the scope went what was assigned on it.
        Err(error) if error.class == ErrorClass::ParentNotFound => None,
        Err(error) => {
            warn!(path, %error, "an assigned role cannot be looked at to take it back; it is tried again");
            return Ok(false);
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
                return Ok(false);
            }
        }
        Some(_) => {
            warn!(target: AUDIT, path, "the role is not taken back: somebody else has made the assignment theirs");
            open.record.forget(&entry);
            context.role_ledger.save(open).await?;
            return Ok(true);
        }
        None => {}
    }
    // A request whose answer never came may still arrive; until then it is looked for.
    if entry.age(context.now()) < context.pace.rest {
        return Ok(false);
    }
    open.record.forget(&entry);
    context.role_ledger.save(open).await?;
    Ok(true)
}
