//! The requester's side of what this policy approved: endpoints are read outside the target's lane, and what they say is taken in at
//! the next turn. What contradicts is withdrawn; what stays silent alarms, and is withdrawn if the policy says so.

use tracing::warn;

use super::write::{is_current, read, refused, sent, take_back, unchanged, waiting};
use super::{Turn, name_of};
use crate::api::PrivateEndpointApproval;
use crate::api::approval::{Mode, OnUnproven, RequesterSide};
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::error::{ErrorClass, clean};
use crate::azure::private_link::Connection;
use crate::controllers::synapse_link::{look_at as link_side, owner_of};
use crate::plan::Verdict;
use crate::plan::fence::Fence;
use crate::plan::proof::Approval;
use crate::plan::requester::{Shown, follow, is_open, until_next};
use crate::runtime::driver::Error;
use crate::runtime::ledger::OpenPage;
use crate::telemetry::AUDIT;

const ENDPOINTS: &str = "Microsoft.Network/privateEndpoints";
/// The version in which endpoints are read (specification of this version).
const API_VERSION: &str = "2024-05-01";

/// The endpoint of `approval`, if the policy's namespace may have it read: its id was read back from ARM, so it is fenced like any
/// other. Endpoints in own subscriptions may be read: that subscription was named for this very purpose, and no more than one word
/// of what is read is told. For an endpoint of a link that uses the same connection, Synapse's side speaks.
fn readable(turn: &Turn<'_>, approval: &Approval) -> Option<ArmId> {
    let endpoint = ArmId::parse(&approval.endpoint).ok().filter(|id| id.is(ENDPOINTS))?;
    let spec = &turn.connected.spec;
    let is_own = spec.own_subscriptions.iter().any(|own| own.eq_ignore_ascii_case(endpoint.subscription()));
    let (labels, _) = turn.context.indexes.namespace(&turn.key.namespace);
    let fence = Fence::new(&turn.connected.name, spec, &turn.key.namespace, &labels);
    let is_linked = || owner_of(turn.context, &turn.connected.name, turn.target, endpoint.as_str()).is_some();
    (is_own || fence.allows_reading(&endpoint).is_ok() || is_linked()).then_some(endpoint)
}

/// Takes in what the requesting endpoints said, and asks for what is not known yet. True if some are still followed closely.
pub(super) async fn hear(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connections: &[Connection],
    page: &mut OpenPage,
) -> Result<bool, Error> {
    let (context, now, name) = (turn.context, turn.context.now(), name_of(&turn.key));
    let mut changed = false;
    let mut waits = false;
    for approval in page.page.approvals.iter_mut().filter(|approval| approval.policy == name && is_open(approval.side))
    {
        if !connections.iter().any(|shown| shown.is_approved() && approval.is_of(shown)) {
            continue;
        }
        let before = approval.side;
        match readable(turn, approval) {
            None => approval.side = RequesterSide::Unprovable,
            Some(endpoint) => {
                let answer = context.requesters.answer(&turn.connected.name, turn.target, &endpoint);
                // What was read before the approval says nothing about it.
                let since = approval.at.parse::<jiff::Timestamp>().unwrap_or(jiff::Timestamp::MIN);
                if let Some((at, shown)) = answer.filter(|(at, _)| *at >= since) {
                    approval.side = follow(approval, turn.target, &shown, at, context.pace.silence);
                }
                if let Some(pause) = until_next(approval.side, context.pace.questions()) {
                    context.requesters.want(&turn.connected.name, turn.target, endpoint, pause, now);
                }
            }
        }
        waits |= approval.side == RequesterSide::Waiting;
        if approval.side != before {
            changed = true;
            tell(turn, policy, approval).await;
        }
    }
    if changed {
        context.ledger.save(turn.target, page).await?;
    }
    Ok(waits)
}

/// Counts what a requesting endpoint came to say, and tells people if that is wrong.
async fn tell(turn: &Turn<'_>, policy: &PrivateEndpointApproval, approval: &Approval) {
    let context = turn.context;
    let (word, text) = match approval.side {
        RequesterSide::Waiting => return,
        RequesterSide::Confirmed => return context.metrics.decided("confirmed"),
        RequesterSide::Unprovable => return context.metrics.decided("unprovable"),
        RequesterSide::Silent => ("silent", "still shows that it waits"),
        RequesterSide::Contradicted => ("contradicted", "leads elsewhere or is not approved"),
    };
    context.metrics.decided(word);
    warn!(
        target: AUDIT, policy = approval.policy, target_id = %turn.target, connection = approval.connection,
        requester = approval.endpoint, "{word}"
    );
    let note = format!(
        "{} on {} is approved, and the requesting endpoint {} {text}",
        approval.connection,
        turn.target,
        clean(&approval.endpoint, 512)
    );
    context.events.publish(policy, true, "Unproven", &note).await;
}

/// Whether an approval has to be taken back for what the requesting endpoint says.
fn fails(policy: &PrivateEndpointApproval, approval: &Approval) -> bool {
    match approval.side {
        RequesterSide::Contradicted => true,
        RequesterSide::Silent => policy.spec.on_unproven == Some(OnUnproven::Withdraw),
        _ => false,
    }
}

/// Takes back the next approval that the requester's side does not bear out, if any. The verdict is what to say of it.
pub(super) async fn withdraw_unproven(
    turn: &Turn<'_>,
    policy: &PrivateEndpointApproval,
    connections: &[Connection],
    page: &OpenPage,
) -> Result<Option<Verdict>, Error> {
    if turn.connected.is_read_only() || policy.spec.mode == Some(Mode::DryRun) {
        return Ok(None);
    }
    let name = name_of(&turn.key);
    let failing = page.page.approvals.iter().filter(|approval| approval.policy == name && fails(policy, approval));
    let shown =
        failing.filter_map(|approval| connections.iter().find(|shown| shown.is_approved() && approval.is_of(shown)));
    let Some(next) = shown.into_iter().find(|connection| waiting(turn, connection).is_none()) else { return Ok(None) };
    let context = turn.context;
    unchanged(turn, policy).await?;
    let now = match read(turn, &next.name).await {
        Ok(now) => now.filter(|now| now.is_approved() && now.is_of(&next.endpoint)),
        Err(verdict) => return Ok(Some(verdict)),
    };
    // It is gone or another one already, or the policy is: the next turn sees that.
    let Some(now) = now.filter(|now| now.is_settled(turn.dialect) && is_current(turn, policy)) else { return Ok(None) };
    // The endpoint is asked anew as well: what it said may be from before a restart, or from before the policy minded.
    let mut approvals = page.page.approvals.iter().filter(|approval| approval.policy == name);
    let Some(approval) = approvals.find(|approval| approval.is_of(&now)) else { return Ok(None) };
    let Some(endpoint) = readable(turn, approval) else { return Ok(None) };
    let Some(shown) = look_at(turn, &endpoint).await else { return Ok(None) };
    let side = follow(approval, turn.target, &shown, context.now(), context.pace.silence);
    if !fails(policy, &Approval { side, ..approval.clone() }) {
        return Ok(None);
    }
    let doing = format!("withdrawing {}, which the requesting endpoint does not bear out", now.name);
    let request_id = match take_back(turn, &now, "Withdrawn: the requesting endpoint does not confirm it").await {
        Ok(request_id) => request_id,
        Err(error) => return Ok(refused(turn, &now, &doing, &error).err()),
    };
    context.metrics.decided("withdrawn");
    warn!(
        target: AUDIT, policy = name, generation = policy.metadata.generation, target_id = %turn.target, connection = now.name, requester = now.endpoint, request_id,
        "withdrawn"
    );
    let note = format!("withdrew {} from {} on {}", now.name, clean(&now.endpoint, 512), turn.target);
    context.events.publish(policy, true, "Withdrawn", &note).await;
    Ok(Some(sent(turn, &now, &doing)))
}

/// Reads the endpoints that the last turn wanted to know about, outside its lane. True if any answered.
pub(super) async fn ask(turn: &Turn<'_>) -> bool {
    let context = turn.context;
    let mut answered = false;
    for endpoint in context.requesters.take_wanted(&turn.connected.name, turn.target) {
        answered |= look_at(turn, &endpoint).await.is_some();
    }
    answered
}

/// Reads `endpoint` and notes what it shows; `None` if there is no answer, which says nothing.
async fn look_at(turn: &Turn<'_>, endpoint: &ArmId) -> Option<Shown> {
    let context = turn.context;
    let shown = if owner_of(context, &turn.connected.name, turn.target, endpoint.as_str()).is_some() {
        link_side(context, turn.connected, turn.target, endpoint.as_str()).await
    } else {
        match &turn.connected.client.find(endpoint.as_str(), API_VERSION, Priority::Resync).await {
            Ok(found) => Some(Shown::of(found.as_ref())),
            Err(error) if hides(error.class) => Some(Shown::Hidden),
            Err(_) => None,
        }
    };
    context.requesters.note(&turn.connected.name, turn.target, endpoint, shown.clone(), context.now());
    shown
}

/// Whether the operator is not meant to read it. The credential was good for the target a moment ago, so one that is refused here
/// belongs to another tenant.
fn hides(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::NotFound | ErrorClass::ParentNotFound | ErrorClass::Forbidden | ErrorClass::Unauthenticated
    )
}
