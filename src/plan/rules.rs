//! The outbound-rule engine: which one write brings a workspace's rules nearer to what is declared.
//!
//! ARM loses rules when several are written at once, and every write can take minutes (terraform-provider-azapi#453
//! and #720). So there is one write at a time, several changes go in one, and after each the whole set is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::common::{Adoption, Drift, MissingRole};
use crate::api::workspace::IsolationMode;
use crate::azure::machine_learning::OutboundRule;

use super::names;
use super::outcome::{Reason, Verdict};
use super::roles::RoleCheck;
use super::rule_body::RuleBody;

mod causes;
mod destinations;
mod judge;
mod late;
mod memory;
mod shown;

use destinations::Destinations;
use judge::{drift, stand};
use shown::Shown;

pub use causes::because;
pub use judge::lacks;
pub use late::written_by;
pub use memory::{Refusal, RuleMemory, may_be_one_rules_fault, recall, remember_reading, remember_refusal};

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What a rule's object says, after everything Kubernetes knows about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The rule shall be like this.
    Wanted(RuleBody),
    /// The object only tells whether the rule is like this.
    Observed(RuleBody),
    /// The rule stays as ARM shows it, whatever the object says; the verdict tells why.
    Frozen(Verdict),
    /// The object is being deleted, and the rule with it; with what it declared, if that can be told.
    Removing(Option<RuleBody>),
}

/// One rule that an object declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The object.
    pub key: ObjectKey,
    /// When it was created, RFC 3339: of two that want the same the older wins.
    pub created: String,
    /// The rule's name in Azure.
    pub azure_name: String,
    /// What to do with a rule that exists under an explicit name; `None` if the name is derived, which proves it ours.
    pub claim: Option<Adoption>,
    /// Whether admission and grants let the object have this rule. Without, an explicit name is no claim at all.
    pub entitled: bool,
    /// What shall be.
    pub standing: Standing,
    /// The value of the annotation that asks for a retry now.
    pub token: Option<String>,
}

impl Declared {
    /// Whether nobody else may have the name. A derived name belongs to its object whatever it may do: a rule whose object lost a
    /// grant stays as it is, and is no orphan.
    fn holds_its_name(&self) -> bool {
        self.entitled || self.claim.is_none()
    }
}

/// All the engine looks at.
#[derive(Clone, Copy, Debug)]
pub struct RulesInput<'a> {
    /// The installation's id.
    pub installation: &'a str,
    /// What the objects declare, in any order.
    pub declared: &'a [Declared],
    /// What ARM shows.
    pub observed: &'a [OutboundRule],
    /// The isolation mode that ARM shows.
    pub isolation: IsolationMode,
    /// Whether the managed network is built.
    pub network_active: bool,
    /// Object id of the identity that acts for the workspace.
    pub principal: Option<&'a str>,
    /// Whether that identity may approve on a target, by the target's key. Targets that need no role are `Held`.
    pub roles: &'a BTreeMap<String, RoleCheck>,
    /// Ownership is exclusive, and strangers' rules with these names, in lower case, may go.
    pub exclusive: Option<&'a BTreeSet<String>>,
    /// Orphans go.
    pub prune: bool,
    /// Every object that could stand for a rule is known and readable; otherwise nothing that no object names is removed.
    pub index_whole: bool,
    /// The firewall's door: the value that has to be acknowledged, if it is not.
    pub firewall_closed: Option<&'a str>,
    /// What is remembered.
    pub memory: &'a RuleMemory,
    /// The time.
    pub now: Timestamp,
    /// After how long a refused rule is tried again.
    pub retry: Duration,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleWrite {
    /// The workspace's whole set of user-defined rules.
    Patch {
        /// The set, by name.
        rules: Map<String, Value>,
        /// The names that change.
        names: BTreeSet<String>,
    },
    /// One rule.
    Put {
        /// Its name.
        name: String,
        /// Its properties.
        properties: Value,
    },
    /// One rule goes.
    Delete {
        /// Its name.
        name: String,
    },
}

impl RuleWrite {
    /// The rules it changes.
    pub fn names(&self) -> BTreeSet<String> {
        match self {
            Self::Patch { names, .. } => names.clone(),
            Self::Put { name, .. } | Self::Delete { name } => BTreeSet::from([name.clone()]),
        }
    }
}

/// What is said of one rule's object.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleState {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule's name in Azure.
    pub azure_name: String,
    /// Its state as ARM shows it.
    pub service_status: Option<String>,
    /// The role its target lacks.
    pub missing_role: Option<MissingRole>,
    /// Times the rule was found changed, as far as is remembered, newest last.
    pub drift: Vec<Drift>,
    /// The object is being deleted and nothing of it is left in Azure.
    pub gone: bool,
}

/// What the engine decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesPlan {
    /// The next write.
    pub write: Option<RuleWrite>,
    /// What is said of each object.
    pub states: BTreeMap<ObjectKey, RuleState>,
    /// Strangers' rules.
    pub unmanaged: Vec<String>,
    /// Rules of ours without an object.
    pub orphaned: Vec<String>,
    /// What a person has to say before strangers' rules are removed.
    pub door: Option<Verdict>,
    /// What the next write is for, by rule.
    pub causes: BTreeMap<String, String>,
    /// What was found changed just now, by Azure name.
    pub noticed: BTreeMap<String, Vec<Drift>>,
}

/// What may be written, by Azure name.
#[derive(Default)]
struct Changes {
    removals: BTreeSet<String>,
    batch: BTreeMap<String, Value>,
    /// What is tried by itself; `None` is a removal.
    alone: BTreeMap<String, Option<Value>>,
    /// Why.
    causes: BTreeMap<String, String>,
}

/// How many strangers' rules a person is asked about at once: their names have to fit into one acknowledgement.
const ASKED_AT_ONCE: usize = 25;

/// All that a decision looks at, in the form it needs.
struct Scene<'a> {
    input: RulesInput<'a>,
    shown: Shown<'a>,
    /// Which object holds each name, in lower case.
    owners: BTreeMap<String, &'a Declared>,
}

impl<'a> Scene<'a> {
    fn new(input: RulesInput<'a>, declared: &[&'a Declared]) -> Self {
        let mut owners = BTreeMap::new();
        for declared in declared.iter().filter(|declared| declared.holds_its_name()) {
            owners.entry(declared.azure_name.to_ascii_lowercase()).or_insert(*declared);
        }
        Self { input, shown: Shown::new(input.observed), owners }
    }

    /// Whether a rule that no object stands for is ours.
    fn is_ours(&self, name: &str) -> bool {
        names::is_ours(self.input.installation, name)
    }

    /// Whether a rule that no object stands for is removed.
    fn goes(&self, name: &str) -> bool {
        self.input.index_whole && if self.is_ours(name) { self.input.prune } else { self.is_acknowledged(name) }
    }

    /// Whether a person agreed to the removal of this stranger's rule.
    fn is_acknowledged(&self, name: &str) -> bool {
        self.input.exclusive.is_some_and(|names| names.contains(&name.to_ascii_lowercase()))
    }
}

/// Decides the next write and what to say of every rule. The order of the objects makes no difference.
pub fn plan(input: RulesInput<'_>) -> RulesPlan {
    let mut plan = RulesPlan::default();
    let mut changes = Changes::default();
    let mut declared: Vec<&Declared> = input.declared.iter().collect();
    declared.sort_by_key(|declared| (&declared.created, &declared.key));
    let scene = Scene::new(input, &declared);
    let destinations = Destinations::new(&scene, &declared);
    let mut claimed: BTreeSet<String> = BTreeSet::new();
    for declared in declared {
        let name = declared.azure_name.to_ascii_lowercase();
        // A name that an object only claims, and may not use, stays free for others: nobody can sit on it.
        let first = if declared.holds_its_name() { claimed.insert(name) } else { !claimed.contains(&name) };
        let noticed = drift(&scene, declared);
        let mut state = stand(&scene, &destinations, declared, first, &mut changes);
        state.drift.extend(input.memory.drift.get(&declared.azure_name).into_iter().flatten().cloned());
        state.drift.extend(noticed.iter().cloned());
        state.drift.drain(..state.drift.len().saturating_sub(memory::DRIFTS));
        if !noticed.is_empty() {
            plan.noticed.insert(declared.azure_name.clone(), noticed);
        }
        if state.verdict.reason == Reason::AdoptionRefused {
            plan.unmanaged.push(declared.azure_name.clone());
        }
        plan.states.insert(declared.key.clone(), state);
    }
    // With strangers' rules about, the whole set must not be sent: it would fight with whoever writes them. A rule that an
    // object names but may not take over is a stranger's too, and never removed.
    let mut shared = !plan.unmanaged.is_empty();
    let mut asked = Vec::new();
    for rule in input.observed.iter().filter(|rule| rule.is_user_defined()) {
        if claimed.contains(&rule.name.to_ascii_lowercase()) {
            continue;
        }
        let (ours, goes) = (scene.is_ours(&rule.name), scene.goes(&rule.name));
        shared |= !ours && !goes;
        if goes {
            let cause =
                if ours { "no object declares it any more" } else { "others made it, and ownership is Exclusive" };
            remove(input, rule, None, cause, &mut changes);
        } else if !ours && !scene.is_acknowledged(&rule.name) {
            asked.push(rule.name.as_str());
        }
        (if ours { &mut plan.orphaned } else { &mut plan.unmanaged }).push(rule.name.clone());
    }
    plan.door = input.exclusive.is_some().then(|| exclusive_door(&asked)).flatten();
    let cost = if shared && changes.batch.len() > 1 {
        ". One rule at a time, because the workspace has rules that others made: that takes a write of minutes for each"
    } else {
        ""
    };
    let causes = std::mem::take(&mut changes.causes);
    plan.write = choose(&scene, changes, shared);
    let written = plan.write.as_ref().map(RuleWrite::names).unwrap_or_default();
    // Whatever else is said of a rule, such as ARM's last refusal, stays until ARM says something new.
    for state in plan.states.values_mut().filter(|state| state.verdict.reason == Reason::Pending) {
        let cause = causes.get(&state.azure_name).map(|cause| format!(": {cause}")).unwrap_or_default();
        state.verdict = if written.contains(&state.azure_name) {
            Verdict::new(Reason::Updating, format!("the rule is being written to Azure{cause}{cost}"))
        } else {
            Verdict::new(Reason::Pending, format!("waiting for its turn{cost}"))
        };
    }
    plan.causes = causes.into_iter().filter(|(name, _)| written.contains(name)).collect();
    destinations.name_the_waiting(&mut plan.states);
    plan
}

/// What a person has to say before the strangers' rules `names` are removed: each of them by name, so that a rule that somebody
/// makes later is asked about again.
fn exclusive_door(names: &[&str]) -> Option<Verdict> {
    let shown = &names[..names.len().min(ASKED_AT_ONCE)];
    if shown.is_empty() {
        return None;
    }
    let more = if names.len() > shown.len() { " first (and then for the others)" } else { "" };
    Some(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "outboundRules.ownership: Exclusive removes rules that others made, here {}. Until then each of our own takes a write \
             by itself. If they may go, acknowledge{more} {{door: ExclusiveRules, value: {:?}}}",
            names.len(),
            shown.join(",")
        ),
    ))
}

/// Has `rule` removed because of `cause`, unless ARM is at it already, or has refused just now: then the others go first.
fn remove(
    input: RulesInput<'_>,
    rule: &OutboundRule,
    token: Option<&str>,
    cause: &str,
    changes: &mut Changes,
) -> Verdict {
    changes.causes.insert(rule.name.clone(), cause.to_owned());
    if let Some(refusal) = refusal(input, &rule.name, &names::body_hash(None), token) {
        if elapsed(refusal.at, input.now) >= input.retry {
            changes.alone.insert(rule.name.clone(), None);
        }
        return Verdict::of_error("ARM refused to remove the rule", &refusal.error);
    }
    if !rule.status().is_some_and(|status| status.eq_ignore_ascii_case("Deleting")) {
        changes.removals.insert(rule.name.clone());
    }
    Verdict::new(Reason::Deleting, "the rule is being removed from Azure")
}

/// The remembered refusal of exactly this: another body, identity or retry token makes it a new question.
fn refusal<'a>(input: RulesInput<'a>, name: &str, hash: &str, token: Option<&str>) -> Option<&'a Refusal> {
    input.memory.refusals.get(name).filter(|refusal| {
        refusal.body_hash == hash
            && refusal.principal.as_deref() == input.principal
            && refusal.token.as_deref() == token
    })
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or(Duration::ZERO)
}

/// Picks the next write: removals first, so that a rule may be re-created under another name; then all changes that can go
/// together; then what is tried by itself.
fn choose(scene: &Scene<'_>, mut changes: Changes, shared: bool) -> Option<RuleWrite> {
    if let Some(name) = changes.removals.pop_first() {
        return Some(RuleWrite::Delete { name });
    }
    let batch = &mut changes.batch;
    let groups = &scene.input.memory.groups;
    if let Some(group) = groups.iter().find(|group| group.iter().any(|name| batch.contains_key(name))) {
        batch.retain(|name, _| group.contains(name));
    }
    if shared || batch.len() <= 1 {
        let next = batch.pop_first().map(|(name, properties)| (name, Some(properties)));
        return Some(match next.or_else(|| changes.alone.pop_first())? {
            (name, Some(properties)) => RuleWrite::Put { name, properties },
            (name, None) => RuleWrite::Delete { name },
        });
    }
    // The whole set as ARM shows it, with the changes laid over it: right whether ARM merges the map or replaces it.
    let changed: BTreeSet<String> = batch.keys().map(|name| name.to_ascii_lowercase()).collect();
    let kept = scene.input.observed.iter().filter(|rule| rule.is_user_defined());
    let kept = kept.filter(|rule| !changed.contains(&rule.name.to_ascii_lowercase()));
    let mut rules: Map<String, Value> = kept.map(|rule| (rule.name.clone(), rule.to_body())).collect();
    let names = changes.batch.keys().cloned().collect();
    rules.extend(changes.batch);
    Some(RuleWrite::Patch { rules, names })
}

#[cfg(test)]
mod tests;
