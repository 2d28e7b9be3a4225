//! `decide()`: the one question on the way to an approved connection, and what follows for one target.
//!
//! Attacker model: anybody in the tenant, or any Azure customer who knows a resource id, can raise a connection request on it.
//! So nothing is approved for being pending: only what ARM itself states of the requesting endpoint counts, and what no policy
//! allows stays as it is.

mod cut;
mod leave;
mod matching;
mod narrow;

use std::collections::BTreeMap;

use crate::api::approval::{AllowEntry, DecisionWord, DenyEntry, Limits};
use crate::api::ids::ArmId;
use crate::azure::private_link::{Connection, Dialect};

use super::decisions::{Ballot, Signature, Vote, names};
use super::proof::{Proof, SelfApproval};
use super::rules::ObjectKey;
pub use cut::{Cut, cut_off};
pub use leave::leave;
pub use matching::Truth;
use matching::{Facts, denies, names as entry_names};
use narrow::holds;

/// One policy in force on a target: its namespace holds the verb `approve` there.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The object.
    pub key: ObjectKey,
    /// Its allow entries.
    pub allow: Vec<AllowEntry>,
    /// Its reject entries.
    pub reject: Vec<DenyEntry>,
    /// Its hold entries.
    pub hold: Vec<DenyEntry>,
    /// How many it may let in.
    pub limits: Option<Limits>,
    /// How many people must approve what it allows; `None` for nobody.
    pub require_approvers: Option<u8>,
    /// What people decided for it, as far as it counts.
    pub votes: Vec<Vote>,
    /// Connections on the target that workspaces approved themselves.
    pub self_approvals: Vec<SelfApproval>,
    /// It allows nothing any more; what it rejects and holds stays so.
    pub expired: bool,
    /// It acts on what it decides: it is neither suspended nor on trial.
    pub acts: bool,
    /// Subscriptions that the policy's AzureConnection calls its own.
    pub own_subscriptions: Vec<String>,
    /// The endpoints that the objects its allow entries link to have for the target, by the entry's place in the list.
    pub linked: BTreeMap<usize, Vec<Linked>>,
}

/// An endpoint of an object that an allow entry links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its full id.
    pub endpoint: ArmId,
    /// The name of its connection on the target, where that is known and an endpoint of the same id might be somebody else's one day;
    /// `None` where the id says it all.
    pub connection: Option<String>,
}

impl Linked {
    /// An endpoint whose id says it all.
    pub fn by_id(endpoint: ArmId) -> Self {
        Self { endpoint, connection: None }
    }
}

/// An entry of a policy that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The policy.
    pub policy: ObjectKey,
    /// Its list: `allow`, `reject` or `hold`.
    pub list: &'static str,
    /// Where in the list, counted from 0.
    pub index: usize,
    /// The entry's name, if it has one.
    pub name: Option<String>,
}

impl Rule {
    /// The entry within its policy, for example `allow[0] "hub"`.
    pub fn entry(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" {name:?}"));
        format!("{}[{}]{}", self.list, self.index, name.unwrap_or_default())
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} {}", self.policy.namespace, self.policy.name, self.entry())
    }
}

/// What was decided about one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The word.
    pub word: DecisionWord,
    /// The policies that decided so.
    pub policies: Vec<ObjectKey>,
    /// Why, for people.
    pub why: String,
    /// The entry of each of these policies that decided so, the first that holds; empty if people did, or nobody.
    pub rules: Vec<Rule>,
    /// The people who decided so; empty if the policies' entries did.
    pub people: Vec<Signature>,
}

impl Decision {
    /// What decided, for people: entries, or the decisions of people; `None` if nothing did.
    pub fn decided_by(&self) -> Option<String> {
        let rules = self.rules.iter().map(ToString::to_string);
        let people = self.people.iter().map(|one| format!("ApprovalDecision {} of {}", one.name, one.approver));
        let all: Vec<String> = rules.chain(people).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// The entry of `policy` that decided, for example `allow[0]`.
    pub fn entry_of(&self, policy: &ObjectKey) -> Option<String> {
        self.rules.iter().find(|rule| rule.policy == *policy).map(Rule::entry)
    }
}

impl Policy {
    fn rule(&self, list: &'static str, index: usize, name: Option<&String>) -> Rule {
        Rule { policy: self.key.clone(), list, index, name: name.cloned() }
    }

    /// Why the policy allows nothing, if one of its expressions cannot be read: what an entry was meant to exclude is not known
    /// then, so none of its allow entries is believed. What it rejects and holds stays so.
    fn fault(&self) -> Option<String> {
        unreadable(&self.allow)
    }

    /// Whether what the entry states in its fields holds.
    fn names(&self, index: usize, entry: &AllowEntry, facts: &Facts) -> Truth {
        let linked = self.linked.get(&index).map(Vec::as_slice).unwrap_or_default();
        entry_names(entry, linked, facts, &self.own_subscriptions)
    }

    /// The first entry that allows: only what is known to hold does.
    fn allows(&self, connection: &Connection, facts: &Facts) -> Option<Rule> {
        if self.expired || self.fault().is_some() {
            return None;
        }
        let allows = |(index, entry): &(usize, &AllowEntry)| {
            if self.explains(entry, connection) {
                return true;
            }
            let narrowed = entry.expression.as_ref().map_or(Truth::Yes, |expression| {
                expression.meaning().map_or(Truth::Unknown, |test| holds(test, facts, &self.own_subscriptions))
            });
            self.names(*index, entry, facts).and(narrowed) == Truth::Yes
        };
        let found = self.allow.iter().enumerate().find(allows);
        found.map(|(index, entry)| self.rule("allow", index, entry.name.as_ref()))
    }

    /// True if `connection` is approved, and was by the workspace that `entry` gives leave to. So such an entry never lets in what is
    /// pending.
    fn explains(&self, entry: &AllowEntry, connection: &Connection) -> bool {
        let mut own = self.self_approvals.iter().filter(|own| connection.is_approved() && own.is_of(connection));
        own.any(|own| self.names_workspace(entry, &own.namespace, &own.workspace))
    }

    /// True if `entry` is about the workspace `name` in `namespace`.
    fn names_workspace(&self, entry: &AllowEntry, namespace: &str, name: &str) -> bool {
        entry.workspace_ref.as_ref().is_some_and(|reference| {
            reference.name == name && reference.namespace.as_ref().unwrap_or(&self.key.namespace) == namespace
        })
    }

    /// The first entry that denies: what is not known not to hold does.
    fn denies(&self, list: &'static str, entries: &[DenyEntry], facts: &Facts) -> Option<Rule> {
        let mut entries = entries.iter().enumerate();
        let found = entries.find(|(_, entry)| denies(entry, facts, &self.own_subscriptions) != Truth::No);
        found.map(|(index, entry)| self.rule(list, index, entry.name.as_ref()))
    }

    /// Why the policy does not allow what one of its entries names, if its expression is the reason.
    fn narrowed_away(&self, facts: &Facts) -> Option<String> {
        let entries = self.allow.iter().enumerate().filter(|_| !self.expired);
        let mut named = entries.filter(|(index, entry)| self.names(*index, entry, facts) == Truth::Yes);
        if let Some(fault) = self.fault() {
            return named.next().map(|_| format!("{}/{} allows nothing: {fault}", self.key.namespace, self.key.name));
        }
        named.find_map(|(index, entry)| {
            let rule = self.rule("allow", index, entry.name.as_ref());
            Some(match holds(entry.expression.as_ref()?.meaning().ok()?, facts, &self.own_subscriptions) {
                Truth::Yes => return None,
                Truth::No => format!("the expression of {rule} does not hold"),
                Truth::Unknown => format!("the expression of {rule} asks for what Azure does not state"),
            })
        })
    }
}

/// What is wrong with the first expression in `entries` that cannot be read, and where.
pub fn unreadable(entries: &[AllowEntry]) -> Option<String> {
    entries.iter().enumerate().find_map(|(index, entry)| {
        let fault = entry.expression.as_ref()?.meaning().err()?;
        Some(format!("allow[{index}].expression, {fault}"))
    })
}

/// Decides about `connection` by all `policies` on its target: reject beats hold beats allow, and what nobody names stays
/// pending. The order of policies and entries does not matter to the word; of several entries that hold, each policy's first is
/// named.
///
/// People decide for a policy and have its weight: one who rejects does so like an entry. If as many as it asks for approve, they
/// lift its own hold and let in what no entry allows; another policy's hold is for that policy's people to lift, and no
/// rejection is ever lifted.
pub fn decide(connection: &Connection, dialect: &Dialect, policies: &[Policy]) -> Decision {
    let facts = Facts::of(connection, dialect);
    let by = |word, verb: &str, rules: Vec<Rule>| {
        let named: Vec<String> = rules.iter().map(ToString::to_string).collect();
        let policies = rules.iter().map(|rule| rule.policy.clone()).collect();
        Decision { word, policies, why: format!("{verb} by {}", named.join(", ")), rules, people: Vec::new() }
    };
    let ballots: Vec<(&Policy, Ballot)> =
        policies.iter().map(|policy| (policy, Ballot::of(policy, connection))).collect();
    let by_people = |word, verb: &str, of: fn(&Ballot) -> &[Signature]| -> Option<Decision> {
        let signed: Vec<&(&Policy, Ballot)> = ballots.iter().filter(|(_, ballot)| !of(ballot).is_empty()).collect();
        let mut people: Vec<Signature> = signed.iter().flat_map(|(_, ballot)| of(ballot).to_vec()).collect();
        people.sort();
        let asking: Vec<ObjectKey> = signed.iter().map(|(policy, _)| policy.key.clone()).collect();
        let askers: Vec<String> = asking.iter().map(|key| format!("{}/{}", key.namespace, key.name)).collect();
        let why = format!("{verb} by {}, asked by {}", names(&people), askers.join(", "));
        (!people.is_empty()).then_some(Decision { word, policies: asking, why, rules: Vec::new(), people })
    };
    let rejecting: Vec<Rule> =
        policies.iter().filter_map(|policy| policy.denies("reject", &policy.reject, &facts)).collect();
    if !rejecting.is_empty() {
        return by(DecisionWord::Rejected, "rejected", rejecting);
    }
    if let Some(decision) = by_people(DecisionWord::Rejected, "rejected", Ballot::rejected_by) {
        return decision;
    }
    let unlifted = ballots.iter().filter(|(_, ballot)| ballot.approved_by().is_empty());
    let holding: Vec<Rule> = unlifted.filter_map(|(policy, _)| policy.denies("hold", &policy.hold, &facts)).collect();
    if !holding.is_empty() {
        return by(DecisionWord::Held, "held for a person", holding);
    }
    if let Some(decision) = by_people(DecisionWord::Allowed, "approved", Ballot::approved_by) {
        return decision;
    }
    let (alone, lacking): (Vec<&Policy>, Vec<&Policy>) =
        policies.iter().partition(|policy| policy.require_approvers.is_none());
    let allowing = |policies: Vec<&Policy>| -> Vec<Rule> {
        policies.into_iter().filter_map(|policy| policy.allows(connection, &facts)).collect()
    };
    let allowed = allowing(alone);
    if !allowed.is_empty() {
        return by(DecisionWord::Allowed, "allowed", allowed);
    }
    let lacking = allowing(lacking);
    if !lacking.is_empty() {
        return by(DecisionWord::ApproversMissing, "allowed once enough people have approved it", lacking);
    }
    let why = if facts.endpoint.is_none() {
        "ARM does not state which endpoint asks, so no policy can allow it".to_owned()
    } else {
        let narrowed = policies.iter().find_map(|policy| policy.narrowed_away(&facts));
        let because = narrowed.map(|because| format!(": {because}")).unwrap_or_default();
        format!("no policy on this target allows the endpoint that asks{because}")
    };
    Decision { word: DecisionWord::Unmatched, policies: Vec::new(), why, rules: Vec::new(), people: Vec::new() }
}

/// How many connections a policy has let in.
#[derive(Default)]
struct Admitted {
    total: u16,
    by_subscription: BTreeMap<String, u16>,
}

impl Admitted {
    fn has_room(&self, limits: Option<&Limits>, subscription: &str) -> bool {
        let Some(limits) = limits else { return true };
        let of_subscription = self.by_subscription.get(subscription).copied().unwrap_or_default();
        limits.total.is_none_or(|total| self.total < total)
            && limits.per_subscription.is_none_or(|each| of_subscription < each)
    }

    fn count(&mut self, subscription: &str) {
        self.total = self.total.saturating_add(1);
        let of_subscription = self.by_subscription.entry(subscription.to_owned()).or_default();
        *of_subscription = of_subscription.saturating_add(1);
    }
}

/// Decides about all connections of a target: each by itself, then what the limits leave room for. Those approved already take
/// their places first, the pending ones follow by name.
pub fn decide_all(connections: &[Connection], dialect: &Dialect, policies: &[Policy]) -> Vec<(Connection, Decision)> {
    let mut decided: Vec<(Connection, Decision)> =
        connections.iter().map(|connection| (connection.clone(), decide(connection, dialect, policies))).collect();
    decided.sort_by_key(|(connection, _)| (!connection.is_approved(), connection.name.clone()));
    let mut admitted: BTreeMap<ObjectKey, Admitted> = BTreeMap::new();
    for (connection, decision) in &mut decided {
        // What is approved takes its place, also if the decisions that let it in are gone.
        let counts = match decision.word {
            DecisionWord::Allowed => connection.is_approved() || connection.is_pending(),
            DecisionWord::ApproversMissing => connection.is_approved(),
            _ => false,
        };
        if !counts {
            continue;
        }
        let subscription =
            ArmId::parse(&connection.endpoint).map(|id| id.subscription().to_ascii_lowercase()).unwrap_or_default();
        let room = |key: &ObjectKey| {
            let policy = policies.iter().find(|policy| policy.key == *key);
            let limits = policy.and_then(|policy| policy.limits.as_ref());
            admitted.get(key).is_none_or(|so_far| so_far.has_room(limits, &subscription))
        };
        // People see what is there already: limits bind entries only.
        let bound = connection.is_pending() && decision.people.is_empty();
        if bound && !decision.policies.iter().any(room) {
            decision.word = DecisionWord::OverLimit;
            decision.why = format!("{}, which has let in as many as it may (spec.limits)", decision.why);
            continue;
        }
        if bound {
            decision.policies.retain(room);
            decision.rules.retain(|rule| room(&rule.policy));
        }
        for key in &decision.policies {
            admitted.entry(key.clone()).or_default().count(&subscription);
        }
    }
    decided
}

/// The next connection on which `policy` acts: pending, and rejected or allowed by it; what is rejected first, then what was not
/// asked for before, then the first by name. One at a time, because parallel decisions on a target cancel each other. `asked` are
/// approvals that were sent and did not show, so that one which Azure never carries out holds up no other; `waits` is true of
/// what Azure refused a while ago.
pub fn next<'a>(
    policy: &ObjectKey,
    decided: &'a [(Connection, Decision)],
    asked: &[Proof],
    waits: impl Fn(&Connection) -> bool,
) -> Option<&'a (Connection, Decision)> {
    let mine = decided.iter().filter(|(connection, decision)| acts(policy, connection, decision) && !waits(connection));
    let last_asked = |connection: &Connection| {
        asked.iter().filter(|proof| proof.is_for(connection)).map(|proof| &proof.started_at).max()
    };
    mine.min_by_key(|(connection, decision)| (decision.word, last_asked(connection), &connection.name))
}

/// Whether `policy` would write what was decided about `connection`.
pub fn acts(policy: &ObjectKey, connection: &Connection, decision: &Decision) -> bool {
    connection.is_pending()
        && matches!(decision.word, DecisionWord::Rejected | DecisionWord::Allowed)
        && decision.policies.contains(policy)
}

#[cfg(test)]
#[path = "approval/tests.rs"]
mod tests;
