//! Sees whose connection was approved while a rule was written with the approver role.

use std::time::Duration;

use tracing::{info, warn};

use super::super::Turn;
use super::super::observe::Seen;
use super::approve::{Asking, Target, connections, wait};
use crate::api::condition::rfc3339;
use crate::controllers::approval;
use crate::plan::proof::SelfApproval;
use crate::plan::roles::{Entry, RuleOnTarget, Surprise, newly_approved};
use crate::runtime::driver::Error;
use crate::runtime::ledger::{LedgerError, OpenPage};
use crate::runtime::role_ledger::OpenRecord;
use crate::telemetry::AUDIT;

/// Sees that exactly the rule's own connection was approved while it was written, notes on the target's page that the workspace did,
/// and ends the rule's turn. Anything else is told: it may be somebody else's, let in by whoever holds the identity.
pub(super) async fn prove(
    asking: Asking<'_>,
    seen: &mut Seen,
    open: &mut OpenRecord,
    target: &Target,
    azure_name: &str,
    entry: Entry,
) -> Result<Option<Duration>, Error> {
    let Asking { turn, .. } = asking;
    let context = turn.context;
    let Some(rule) = target.rules.iter().find(|rule| rule.azure_name == azure_name) else { return Ok(None) };
    // The page belongs to whoever decides on the target's connections.
    let Some(_lane) = context.lanes.enter(approval::lane(&target.id)) else { return Ok(wait(seen, context.pace.lane)) };
    // Without a list there is no proof, and without a proof no other rule gets its turn there. The role's deadline runs on, and so
    // does everything else in the workspace.
    let Ok(shown) = connections(turn, &target.id).await else { return Ok(wait(seen, context.pace.poll)) };
    let page = match context.ledger.open(&target.id).await {
        Ok(page) => Some(page),
        Err(LedgerError::Damaged { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    settle(asking, target, rule, &entry, &shown, page).await?;
    open.record.put(Entry { turn: None, turn_since: String::new(), ..entry });
    context.role_ledger.save(open).await?;
    // What comes of it is told by the policies there.
    context.ask_policies_on(target.id.as_str());
    Ok(Some(context.pace.lane))
}

async fn settle(
    asking: Asking<'_>,
    target: &Target,
    rule: &RuleOnTarget,
    entry: &Entry,
    shown: &[crate::azure::private_link::Connection],
    page: Option<OpenPage>,
) -> Result<(), Error> {
    let Asking { turn, workspace, .. } = asking;
    let context = turn.context;
    let of_rule = format!("{}/{}", rule.key.namespace, rule.key.name);
    let own = |approval: &SelfApproval| is_own(turn, approval) && approval.rule == of_rule;
    let explained = |one: &crate::azure::private_link::Connection| {
        page.as_ref().is_some_and(|open| {
            let page = &open.page;
            page.approvals.iter().any(|approval| approval.is_of(one))
                || page.proofs.iter().chain(&page.asked).any(|proof| proof.is_for(one))
                // Its own is found again if the note of its end was lost.
                || page.self_approvals.iter().any(|approval| approval.is_of(one) && !own(approval))
        })
    };
    match newly_approved(&entry.before, shown, explained) {
        Ok(connection) => {
            info!(
                target: AUDIT, target_id = %target.id, rule = of_rule, connection = connection.name,
                requester = connection.endpoint, "approved by the workspace's own identity"
            );
            // A page that is missing was lost, or nobody decides there any more: it is not for us to begin one.
            if let Some(mut open) = page.filter(|open| !open.is_missing()) {
                open.page.attribute(SelfApproval {
                    connection: connection.name.clone(),
                    endpoint: connection.endpoint.clone(),
                    namespace: turn.owner.namespace.clone(),
                    workspace: turn.owner.name.clone(),
                    rule: of_rule,
                    at: rfc3339(context.now()),
                });
                context.ledger.save(&target.id, &mut open).await?;
            }
        }
        Err(Surprise::None) => {
            info!(target: AUDIT, target_id = %target.id, rule = of_rule, "in force without a newly approved connection");
        }
        Err(Surprise::Several(found)) => {
            let note = format!(
                "while rule {of_rule} was written with the approver role, {} connections were approved on {} that no decision \
                 explains: {}. One is the rule's own; look at the others",
                found.len(),
                target.id,
                found.join(", ")
            );
            warn!(target: AUDIT, target_id = %target.id, rule = of_rule, found = found.join(", "), "unexplained approvals");
            context.events.publish(workspace, true, "UnexplainedApproval", &note).await;
        }
    }
    Ok(())
}

fn is_own(turn: &Turn<'_>, approval: &SelfApproval) -> bool {
    approval.namespace == turn.owner.namespace && approval.workspace == turn.owner.name
}
