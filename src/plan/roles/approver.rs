//! The approver role of outbound rules: assigned on one target for the time it takes to see a rule active, or for as long as the
//! rule exists.
//!
//! Attacker model: whoever holds the role may approve anything that is pending on the target, and a managed network's connection
//! cannot be told from a stranger's. What cannot be forged is *who approves*: Azure Machine Learning approves the connection that
//! it raised itself. So the role goes to the workspace's own declared identity only, for one target, one rule at a time, with the
//! approved connections counted before and after, and a deadline in the ledger that no restart and no deletion outlives.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::azure::private_link::Connection;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rules::ObjectKey;

use super::needs::RoleCheck;
use super::record::{End, Entry, Spent, Term};

/// One rule that asks for the approver role on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOnTarget {
    /// Its object.
    pub key: ObjectKey,
    /// Its name in Azure.
    pub azure_name: String,
    /// What it asks for.
    pub role: ApproverRole,
    /// Whether it is in force.
    pub active: bool,
    /// Whether Azure refused it, last time, for lack of the right to approve.
    pub refused: bool,
}

/// All that is looked at for one target.
#[derive(Clone, Copy, Debug)]
pub struct ApproverInput<'a> {
    /// The target.
    pub target: &'a ArmId,
    /// The rules that ask for the role there, oldest first.
    pub rules: &'a [RuleOnTarget],
    /// Whether the managed network is built.
    pub network_active: bool,
    /// Whether the identity may approve there without what we assigned.
    pub otherwise: RoleCheck,
    /// Whether an assignment of this installation shows.
    pub shown: bool,
    /// Whether it is somebody else's: another workspace of the same identity, or what this one is made of, has a claim on it.
    pub claimed: bool,
    /// The claim of this workspace's rules was made through another AzureConnection than the one that the workspace uses now.
    pub moved: bool,
    /// The claim of this workspace's rules, as the ledger has it: on this target, of the present role and identity.
    pub entry: Option<&'a Entry>,
    /// What was tried in vain there.
    pub spent: Option<&'a Spent>,
    /// What the rules wish for now.
    pub wish: &'a str,
    /// Whether all agree: verb, list, policy, identity.
    pub allowed: &'a Result<(), Verdict>,
    /// Whether the role has been assigned for long enough to be in effect.
    pub effective: Duration,
    /// The time.
    pub now: Timestamp,
}

/// What to do about one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approver {
    /// Nothing of this module's.
    Usual,
    /// Rules that are not in force wait, and this is why.
    Wait(Blocked),
    /// Note which connections are approved, and give this rule its turn; assign the role if it does not show.
    Prepare {
        /// Azure name of the rule; `None` for a standing role whose rules are all in force.
        rule: Option<String>,
        /// Whether the role has to be assigned.
        assign: bool,
        /// For how long, if it is assigned now.
        standing: bool,
    },
    /// The role is assigned: this rule may be written.
    Write {
        /// Its Azure name.
        rule: String,
    },
    /// This rule is in force: see that exactly its own connection was approved.
    Prove {
        /// Its Azure name.
        rule: String,
    },
    /// Take the role back.
    End(End),
}

/// Why rules wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked(pub Verdict);

impl ApproverInput<'_> {
    fn waits(&self, reason: Reason, message: impl Into<String>) -> Approver {
        Approver::Wait(Blocked(Verdict::new(reason, message)))
    }

    fn standing(&self) -> bool {
        self.rules.iter().any(|rule| rule.role == ApproverRole::Standing)
    }

    fn next(&self) -> Option<&RuleOnTarget> {
        self.rules.iter().find(|rule| !rule.active)
    }

    /// Nothing is assigned by us as far as the ledger knows.
    fn begin(&self) -> Approver {
        let target = self.target;
        let standing = self.standing();
        let asks = (standing || self.next().is_some()) && self.otherwise != RoleCheck::Held;
        if self.shown && !self.claimed && !(asks && standing && self.allowed.is_ok()) {
            // Ours by name, and nobody remembers why: with its deadline lost, it goes. A standing one has none, and is claimed anew.
            return Approver::End(End::Revoked);
        }
        if !asks {
            return Approver::Usual;
        }
        if let Err(verdict) = self.allowed {
            return Approver::Wait(Blocked(verdict.clone()));
        }
        if !self.network_active {
            return self.waits(
                Reason::WorkspaceNotReady,
                "the approver role is assigned once the managed network is built: until then there is nothing to approve",
            );
        }
        if self.otherwise == RoleCheck::Unknown {
            return self.waits(
                Reason::Pending,
                format!(
                    "waiting until the role assignments on {target} have been looked at; the operator needs to read role assignments \
                     and definitions there"
                ),
            );
        }
        if let Some(spent) = self.spent.filter(|spent| spent.wish == self.wish) {
            return Approver::Wait(Blocked(in_vain(target, spent.end)));
        }
        Approver::Prepare { rule: self.next().map(|rule| rule.azure_name.clone()), assign: true, standing }
    }

    /// Something is.
    fn go_on(&self, entry: &Entry) -> Approver {
        let standing = self.standing();
        if self.allowed.is_err() {
            return Approver::End(End::Revoked);
        }
        if entry.is_over(self.now) {
            return Approver::End(if self.next().is_none() { End::Done } else { End::Expired });
        }
        if entry.term == Term::Standing && !standing && self.next().is_some() {
            // From now on it is temporary: taken back, and assigned anew with a deadline.
            return Approver::End(End::Done);
        }
        let turn = entry.turn.as_ref().and_then(|turn| self.rules.iter().find(|rule| rule.azure_name == *turn));
        match turn {
            Some(rule) if rule.active => Approver::Prove { rule: rule.azure_name.clone() },
            // Somebody else's assignment does as well, or the target has become one of the workspace's own resources.
            _ if self.otherwise == RoleCheck::Held => Approver::End(End::Done),
            // It stays where it is, and from now on the present connection answers for it.
            turn if self.moved => {
                Approver::Prepare { rule: turn.map(|rule| rule.azure_name.clone()), assign: true, standing }
            }
            Some(rule) if !self.shown => {
                Approver::Prepare { rule: Some(rule.azure_name.clone()), assign: true, standing }
            }
            Some(rule) if rule.refused && entry.age(self.now) >= self.effective && !standing => {
                Approver::End(End::Failed)
            }
            Some(rule) => Approver::Write { rule: rule.azure_name.clone() },
            None => match self.next() {
                Some(rule) => Approver::Prepare { rule: Some(rule.azure_name.clone()), assign: !self.shown, standing },
                None if !standing => Approver::End(End::Done),
                // Also so that the turn of a rule that is gone is over.
                None if !self.shown || entry.turn.is_some() => {
                    Approver::Prepare { rule: None, assign: !self.shown, standing }
                }
                None => Approver::Usual,
            },
        }
    }
}

/// Decides what to do about one target.
pub fn attend(input: ApproverInput<'_>) -> Approver {
    match input.entry {
        Some(entry) if entry.ends.is_some() && input.shown => {
            input.waits(Reason::Pending, format!("the approver role is being taken back on {}", input.target))
        }
        None => input.begin(),
        Some(entry) if entry.ends.is_some() => input.begin(),
        Some(entry) => input.go_on(entry),
    }
}

/// What is said once a temporary role was tried in vain.
fn in_vain(target: &ArmId, end: End) -> Verdict {
    let again = "To try once more, change the rule or annotate it with aml-operator.io/reconcile-at";
    match end {
        End::Failed => Verdict::new(
            Reason::ApproverRoleMissing,
            format!(
                "the approver role was assigned on {target} and Azure went on refusing, so it was taken back: \
                 approverRoleDefinitionId of the AzureConnection has to allow reading the target and approving connections. {again}"
            ),
        ),
        End::Done | End::Expired | End::Revoked => Verdict::new(
            Reason::ApproverRoleExpired,
            format!(
                "the rule was not in force when the time of the approver role on {target} was over. It was taken back. {again}"
            ),
        ),
    }
}

/// Connections that were approved while a rule was written, and that no decision explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surprise {
    /// None at all: the rule is in force by some other way.
    None,
    /// More than the rule's own.
    Several(Vec<String>),
}

/// How the ledger writes an approved connection.
pub fn written(connection: &Connection) -> String {
    format!("{} {}", connection.name, connection.endpoint).chars().take(600).collect()
}

/// Compares the connections approved `before` with those approved now. `explained` says whether a decision of a policy or a person
/// accounts for one, or another rule does.
///
/// # Errors
/// If there is not exactly one new one without an explanation.
pub fn newly_approved<'a>(
    before: &[String],
    now: &'a [Connection],
    explained: impl Fn(&Connection) -> bool,
) -> Result<&'a Connection, Surprise> {
    let new = |one: &&Connection| one.is_approved() && !before.contains(&written(one)) && !explained(one);
    let new: Vec<&Connection> = now.iter().filter(new).collect();
    match new.as_slice() {
        [only] => Ok(only),
        [] => Err(Surprise::None),
        several => Err(Surprise::Several(several.iter().map(|one| written(one)).collect())),
    }
}
