//! What people decided: whose decision counts, how many are needed, and what became of each.
//!
//! An `ApprovalDecision` is only as good as what vouched for it when it was created. The admission policy of the chart (the
//! *guard*) checks that its approver is who created it, that they hold the verb `approve` on the policy, and whether they may
//! edit the policy. So a decision from a time when the guard was not in force says nothing.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::ApprovalDecision;
use crate::api::approval::DecisionWord;
use crate::api::decision::Choice;
use crate::api::ids::ArmId;
use crate::azure::private_link::Connection;

use super::approval::{Decision, Policy};
use super::outcome::{Reason, Verdict};
use super::targets::Targets;

/// Whether the admission policy that vouches for decisions is in force, exactly as this version expects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It is, in its present edition, since at least this time by the API server's clock.
    InForce {
        /// When this edition was first seen.
        since: Timestamp,
    },
    /// It is not, or that cannot be told: no decision counts.
    Missing {
        /// What is missing or different.
        why: String,
    },
}

impl Guard {
    /// What to do about a guard that is not in force.
    pub fn complaint(why: &str) -> String {
        format!(
            "no person's decision counts: {why}. Install the chart's ValidatingAdmissionPolicy and its binding as they are; then \
             decisions have to be made again"
        )
    }
}

/// Who signed a decision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// The user.
    pub approver: String,
    /// Name of the ApprovalDecision.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The users of `signatures`, for people.
pub fn names(signatures: &[Signature]) -> String {
    signatures.iter().map(|signature| signature.approver.as_str()).collect::<Vec<_>>().join(", ")
}

/// A decision that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who decided.
    pub signature: Signature,
    /// What.
    pub choice: Choice,
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that asks.
    pub endpoint: String,
    /// Whether who decided may edit the policy.
    pub may_edit_policy: bool,
    /// An approval was carried out by it. It approves nothing a second time: what was cut since was cut for a reason.
    pub spent: bool,
}

impl Vote {
    /// True if the vote is on this connection, as ARM states it now.
    pub fn is_on(&self, connection: &Connection) -> bool {
        self.connection.eq_ignore_ascii_case(&connection.name)
            && self.endpoint.eq_ignore_ascii_case(&connection.endpoint)
    }

    fn counts_for(&self, connection: &Connection, choice: Choice) -> bool {
        self.choice == choice && self.is_on(connection) && (!self.spent || connection.is_approved())
    }
}

/// What the people asked by one policy say of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    /// Who rejects it.
    pub rejecting: Vec<Signature>,
    /// Who approves it, each person once.
    pub approving: Vec<Signature>,
    /// How many have to approve it.
    pub needed: usize,
}

impl Ballot {
    /// The votes of `policy` on `connection`.
    pub fn of(policy: &Policy, connection: &Connection) -> Self {
        let signed = |choice, counts: &dyn Fn(&Vote) -> bool| {
            let votes = policy.votes.iter().filter(|vote| vote.counts_for(connection, choice) && counts(vote));
            let mut signatures: Vec<Signature> = votes.map(|vote| vote.signature.clone()).collect();
            signatures.sort();
            signatures.dedup_by(|a, b| a.approver == b.approver);
            signatures
        };
        let needed = needed(policy);
        let independent = |vote: &Vote| needed == 1 || !vote.may_edit_policy;
        let counts = |vote: &Vote| !policy.expired && independent(vote);
        Self { rejecting: signed(Choice::Reject, &|_| true), approving: signed(Choice::Approve, &counts), needed }
    }

    /// Who rejects it.
    pub fn rejected_by(&self) -> &[Signature] {
        &self.rejecting
    }

    /// Who approves it, if they are enough; else nobody.
    pub fn approved_by(&self) -> &[Signature] {
        if self.approving.len() >= self.needed { &self.approving } else { &[] }
    }
}

/// How many have to approve, where people decide at all.
fn needed(policy: &Policy) -> usize {
    usize::from(policy.require_approvers.unwrap_or(1).max(1))
}

/// What a decision is held against before it counts.
#[derive(Clone, Copy, Debug)]
pub struct Standards<'a> {
    /// The guard.
    pub guard: &'a Guard,
    /// How long after it was first seen the guard is sure to be asked by every API server.
    pub settling: Duration,
    /// When the policy was created.
    pub policy_created: Option<Timestamp>,
}

/// The resource whose connection `decision` is on, for a policy with these `targets`.
///
/// # Errors
/// If it names none of them, or none although there may be several.
pub fn target_of(decision: &ApprovalDecision, targets: &Targets) -> Result<ArmId, Verdict> {
    let invalid = |message: String| Verdict::new(Reason::Invalid, message);
    match (&decision.spec.target, targets) {
        (None, Targets::One(target)) => Ok(target.clone()),
        (None, Targets::Group { path, .. }) => Err(invalid(format!(
            "target: needed, because the policy decides on all of {path}; delete this decision and create another that names the \
             target, as the policy's status.connections lists it"
        ))),
        (Some(named), _) => {
            let named = ArmId::parse(&named.resource_id).ok().filter(|named| targets.covers(named));
            let message = || {
                format!("target: the policy's target is {}; delete this decision and create another", targets.path())
            };
            named.ok_or_else(|| invalid(message()))
        }
    }
}

/// Admits a decision as a vote; `spent` says whether an approval was carried out by it. The error is why it does not count.
///
/// # Errors
/// If nothing vouches for it, or it was made for something else.
pub fn admit(decision: &ApprovalDecision, standards: Standards<'_>, spent: bool) -> Result<Vote, Verdict> {
    let since = match standards.guard {
        Guard::InForce { since } => *since,
        Guard::Missing { why } => return Err(Verdict::new(Reason::GuardMissing, Guard::complaint(why))),
    };
    let outdated =
        |why: &str| Err(Verdict::new(Reason::Outdated, format!("{why}: delete this decision and decide again")));
    let Some(created) = decision.metadata.creation_timestamp.as_ref().map(|time| time.0) else {
        return outdated("it is not known when this was decided");
    };
    // Both times are whole seconds, cut off: a second more makes sure that the decision came later.
    if created.duration_since(since).as_secs_f64() < 1.0 + standards.settling.as_secs_f64() {
        return outdated("this was decided before the admission policy that vouches for decisions was seen in force");
    }
    if standards.policy_created.is_none_or(|policy| created < policy) {
        return outdated("this was decided before the policy was created, so for another one of that name");
    }
    Ok(Vote {
        signature: Signature {
            approver: decision.spec.approver.clone(),
            name: decision.name_any(),
            uid: decision.uid().unwrap_or_default(),
        },
        choice: decision.spec.decision,
        connection: decision.spec.connection_name.clone(),
        endpoint: decision.spec.private_endpoint_id.clone(),
        may_edit_policy: decision.spec.may_edit_policy,
        spent,
    })
}

/// What became of `vote` for `policy`, after all connections of the target were `decided` on.
pub fn standing(vote: &Vote, policy: &Policy, decided: &[(Connection, Decision)]) -> Verdict {
    let approves = vote.choice == Choice::Approve;
    if approves && needed(policy) > 1 && vote.may_edit_policy {
        let message = format!(
            "the policy asks for {} approvers who may not edit it, and {} may: somebody else has to decide",
            needed(policy),
            vote.signature.approver
        );
        return Verdict::new(Reason::ApproverMayEditPolicy, message);
    }
    let Some((connection, decision)) = decided.iter().find(|(connection, _)| vote.is_on(connection)) else {
        let message = "no connection of this name asks for this endpoint on the policy's target; the decision counts once one \
                       does. Compare connectionName and privateEndpointId with the policy's status.connections";
        return Verdict::new(Reason::RequestMissing, message);
    };
    if connection.is_approved() && approves {
        return Verdict::new(Reason::Applied, "Azure shows the connection as approved");
    }
    if !connection.is_pending() {
        return match (approves, connection.is_approved()) {
            (false, false) => {
                Verdict::new(Reason::Applied, "Azure does not show the connection as approved or pending")
            }
            (false, true) => Verdict::new(
                Reason::Outdated,
                "the connection is approved already, and only pending ones are decided on: remove it in Azure",
            ),
            (true, _) => Verdict::new(
                Reason::Outdated,
                "the connection was rejected or cut, and only pending ones are decided on: the requester has to ask again",
            ),
        };
    }
    if vote.spent {
        let message =
            "the connection was approved by this decision and asks anew since: delete this decision and decide again";
        return Verdict::new(Reason::Outdated, message);
    }
    match (decision.word, approves) {
        (DecisionWord::Allowed, true) | (DecisionWord::Rejected, false) => {
            Verdict::new(Reason::Updating, "it counts, and is carried out at the policy's next turn")
        }
        (DecisionWord::Rejected, true) => Verdict::new(Reason::Overruled, decision.why.clone()),
        _ if policy.expired => Verdict::new(
            Reason::PolicyNotInForce,
            "the policy's time is over (spec.expiresAt): it approves nothing new",
        ),
        _ => {
            let ballot = Ballot::of(policy, connection);
            if !ballot.approved_by().is_empty() {
                return Verdict::new(Reason::Overruled, decision.why.clone());
            }
            let message = format!(
                "{} of {} approvers have decided so ({}); the others have to create an ApprovalDecision too",
                ballot.approving.len(),
                ballot.needed,
                names(&ballot.approving)
            );
            Verdict::new(Reason::ApproversMissing, message)
        }
    }
}

#[cfg(test)]
#[path = "decisions/tests.rs"]
mod tests;
