//! What a policy's group holds, as ARM lists it now, and what of that the policy decides on.

use super::memory::{attended_before, enroll};
use super::sights::{Found, Ticket};
use super::{allowed, key_of};
use crate::api::PrivateEndpointApproval;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::private_link::{Dialect, Listing};
use crate::plan::Verdict;
use crate::plan::targets::{Choice, Targets, choose};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::Error;

/// On how many resources of a group a policy decides.
const MOST: usize = 100;

/// What `policy` decides on, and what is wrong with the group, if anything: then those that it decided on before go on.
/// The inner error says why nothing may be done.
pub(super) async fn survey(
    context: &Context,
    connected: &Connected,
    policy: &PrivateEndpointApproval,
    targets: &Targets,
    dialect: &Dialect,
) -> Result<Result<(Choice, Option<Verdict>), Verdict>, Error> {
    if let Targets::One(target) = targets {
        return Ok(Ok((Choice { attended: vec![target.clone()], ..Choice::default() }, None)));
    }
    let (key, now) = (key_of(policy), context.now());
    if !context.sights.is_group_due(&key, now)
        && let Some(Found { ids, attended, trouble }) = context.sights.found(&key)
    {
        return Ok(Ok((chosen(context, connected, policy, ids, &attended), trouble)));
    }
    let ticket: Ticket = context.sights.ticket(&key);
    let known = match attended_before(context, policy, targets).await? {
        Ok(known) => known,
        Err(verdict) => return Ok(Err(verdict)),
    };
    let (found, trouble) = match list(connected, targets, dialect).await {
        Ok(found) => (found, None),
        Err(verdict) if known.is_empty() => return Ok(Err(verdict)),
        Err(verdict) => (known.clone(), Some(verdict)),
    };
    let choice = chosen(context, connected, policy, found.clone(), &known);
    enroll(context, policy, targets, &choice.attended).await?;
    let wait = trouble.as_ref().map_or(context.pace.connections, |trouble| {
        context.requeue(&format!("{}/group", policy.metadata.uid.clone().unwrap_or_default()), trouble)
    });
    let next = now.checked_add(wait).unwrap_or(now);
    // Those attended come first next time too, without asking for them again.
    let found = Found { ids: found, attended: choice.attended.clone(), trouble: trouble.clone() };
    context.sights.note_group(&key, found, next, ticket);
    Ok(Ok((choice, trouble)))
}

fn chosen(
    context: &Context,
    connected: &Connected,
    policy: &PrivateEndpointApproval,
    found: Vec<ArmId>,
    before: &[ArmId],
) -> Choice {
    // With DryRun nothing is written down of what is attended, but it was looked at.
    let looked_at = |id: &&ArmId| context.sights.has(&key_of(policy), id);
    let mut known: Vec<ArmId> = found.iter().filter(looked_at).filter(|id| !before.contains(id)).cloned().collect();
    known.extend(before.iter().cloned());
    choose(found, |id| allowed(context, connected, policy, id).is_ok(), &known, MOST)
}

/// The resources of the group, as their own provider lists them: ARM's general list may lag behind, and asks for rights on
/// everything in the group.
async fn list(connected: &Connected, targets: &Targets, dialect: &Dialect) -> Result<Vec<ArmId>, Verdict> {
    let version = match dialect.listing {
        Listing::Member(version) => version,
        Listing::Children => dialect.api_version,
    };
    let listed = connected.client.list(targets.path(), version, Priority::Resync).await;
    let listed = listed.map_err(|error| Verdict::of_error("listing the resources of the group", &error))?;
    Ok(targets.found(&listed))
}
