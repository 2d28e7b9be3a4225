//! The outbound-rule engine: which one write brings a workspace's rules nearer to what is declared.
//!
//! ARM loses rules when several are written at once, and every write can take minutes (reference: terraform-provider-azapi#453
//! and #720). So there is one write at a time, several changes go in one, and after each the whole set is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::common::{Adoption, MissingRole};
use crate::api::ids::ArmId;
use crate::api::workspace::IsolationMode;
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::OutboundRule;

use super::names;
use super::outcome::{Reason, Verdict};
use super::roles::{RoleCheck, missing_approver};
use super::rule_body::RuleBody;

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
    /// The rule stays as ARM shows it, whatever the object says; the verdict tells why.
    Frozen(Verdict),
    /// The object is being deleted, and the rule with it.
    Removing,
}

/// One rule that an object declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The object.
    pub key: ObjectKey,
    /// The rule's name in Azure.
    pub azure_name: String,
    /// What to do with a rule that exists under an explicit name; `None` if the name is derived, which proves it ours.
    pub claim: Option<Adoption>,
    /// What shall be.
    pub standing: Standing,
    /// The value of the annotation that asks for a retry now.
    pub token: Option<String>,
}

/// A refusal by ARM, remembered so that one bad rule neither blocks the others nor is sent all the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Hash of what was refused.
    pub body_hash: String,
    /// The identity it was refused to.
    pub principal: Option<String>,
    /// The retry token at that time.
    pub token: Option<String>,
    /// ARM's answer.
    pub error: ArmError,
    /// When.
    pub at: Timestamp,
}

/// What a lane remembers of its rules between turns. Losing it costs a few more writes, nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleMemory {
    /// Refused rules by Azure name.
    pub refusals: BTreeMap<String, Refusal>,
    /// Halves of a refused batch, still to be tried.
    pub groups: Vec<BTreeSet<String>>,
    /// Rules that were seen in place, to notice when one is lost.
    pub seen: BTreeSet<String>,
    /// When a rule that is in place but not active was last written again.
    pub nudged: BTreeMap<String, Timestamp>,
}

/// All the engine looks at.
#[derive(Clone, Copy, Debug)]
pub struct RulesInput<'a> {
    /// The installation's id.
    pub installation: &'a str,
    /// What the objects declare, oldest first.
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
    /// Strangers' rules go: ownership is exclusive and the door is open.
    pub exclusive: bool,
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
    /// What was found changed: field and value.
    pub drift: Option<(String, String)>,
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
}

/// How a wanted rule stands, and what it needs.
enum Need {
    Nothing,
    Batch(Value),
    Alone(Value),
}

/// Decides the next write and what to say of every rule.
pub fn plan(input: RulesInput<'_>) -> RulesPlan {
    let observed: BTreeMap<&str, &OutboundRule> =
        input.observed.iter().filter(|rule| rule.is_user_defined()).map(|rule| (rule.name.as_str(), rule)).collect();
    let mut plan = RulesPlan::default();
    let mut claimed: BTreeSet<&str> = BTreeSet::new();
    let mut removals: BTreeSet<&str> = BTreeSet::new();
    let mut batch: BTreeMap<&str, Value> = BTreeMap::new();
    let mut alone: BTreeMap<&str, Value> = BTreeMap::new();

    for declared in input.declared {
        let name = declared.azure_name.as_str();
        let present = observed.get(name).copied();
        let mut state = RuleState {
            verdict: Verdict::new(Reason::Pending, "waiting for its turn"),
            azure_name: name.to_owned(),
            service_status: present.and_then(OutboundRule::status).map(ToOwned::to_owned),
            missing_role: None,
            drift: None,
            gone: false,
        };
        if !claimed.insert(name) {
            state.verdict = Verdict::new(
                Reason::ManagedElsewhere,
                format!("an older OutboundRule declares the rule {name} of this workspace; delete one of the two"),
            );
            state.gone = declared.standing == Standing::Removing;
        } else {
            match &declared.standing {
                Standing::Frozen(verdict) => state.verdict = verdict.clone(),
                // A rule under an explicit name that was never taken over is not ours to delete.
                Standing::Removing if present.is_none() || declared.claim == Some(Adoption::Never) => state.gone = true,
                Standing::Removing => {
                    state.verdict = Verdict::new(Reason::Deleting, "the rule is being removed from Azure");
                    removals.insert(name);
                }
                Standing::Wanted(body) => match judge(input, declared, body, present, &mut state) {
                    Need::Nothing => {}
                    Need::Batch(properties) => drop(batch.insert(name, properties)),
                    Need::Alone(properties) => drop(alone.insert(name, properties)),
                },
            }
        }
        plan.states.insert(declared.key.clone(), state);
    }

    for name in observed.keys().filter(|name| !claimed.contains(*name)) {
        let list = if names::is_ours(input.installation, name) { &mut plan.orphaned } else { &mut plan.unmanaged };
        list.push((*name).to_owned());
    }
    if input.index_whole {
        let prunable = plan.orphaned.iter().filter(|_| input.prune);
        let foreign = plan.unmanaged.iter().filter(|_| input.exclusive);
        removals
            .extend(prunable.chain(foreign).filter_map(|name| observed.get_key_value(name.as_str()).map(|(k, _)| *k)));
    }
    // With strangers' rules about, the whole set must not be sent: it would fight with whoever writes them.
    let shared = !plan.unmanaged.is_empty() && !(input.exclusive && input.index_whole);
    plan.write = choose(input, &observed, &removals, batch, alone, shared);
    if let Some(write) = &plan.write {
        let names = write.names();
        for state in plan.states.values_mut().filter(|state| names.contains(&state.azure_name)) {
            if state.verdict.reason != Reason::Deleting && state.missing_role.is_none() {
                let cost = if shared {
                    ". One rule at a time, because the workspace has rules that others made: that takes a write of minutes for each"
                } else {
                    ""
                };
                state.verdict = Verdict::new(Reason::Updating, format!("the rule is being written to Azure{cost}"));
            }
        }
    }
    plan
}

/// Decides what a wanted rule needs and what is said of it.
fn judge(
    input: RulesInput<'_>,
    declared: &Declared,
    body: &RuleBody,
    present: Option<&OutboundRule>,
    state: &mut RuleState,
) -> Need {
    if let Some(verdict) = forbidden(body, input.isolation) {
        state.verdict = verdict;
        return Need::Nothing;
    }
    let shown = present.and_then(RuleBody::observed);
    let same = shown.as_ref().is_some_and(|shown| body.same(shown));
    if present.is_some() && !same && matches!(declared.claim, Some(Adoption::Never | Adoption::IfMatching)) {
        state.verdict = Verdict::new(
            Reason::AdoptionRefused,
            format!(
                "a rule named {} exists and is not as declared. To change it, set adoption: Always; to leave it, choose \
                 another azureName",
                declared.azure_name
            ),
        );
        return Need::Nothing;
    }
    let role = match body {
        RuleBody::PrivateEndpoint { resource_id, .. } => {
            input.roles.get(&resource_id.to_ascii_lowercase()).copied().unwrap_or(RoleCheck::Unknown)
        }
        _ => RoleCheck::Held,
    };
    let properties = body.to_body();
    let hash = names::body_hash(Some(&properties));
    let refusal = input.memory.refusals.get(&declared.azure_name).filter(|refusal| {
        refusal.body_hash == hash && refusal.principal.as_deref() == input.principal && refusal.token == declared.token
    });
    if same {
        return in_place(input, declared, body, present, role, properties, state);
    }
    if input.memory.seen.contains(&declared.azure_name) {
        let found = shown.as_ref().map_or_else(|| "missing".to_owned(), RuleBody::short);
        state.drift = Some(("properties".into(), found));
    }
    if let (RuleBody::Fqdn { .. }, Some(sku)) = (body, input.firewall_closed)
        && !input.observed.iter().any(|rule| matches!(RuleBody::observed(rule), Some(RuleBody::Fqdn { .. })))
    {
        state.verdict = Verdict::new(
            Reason::AcknowledgementRequiredElsewhere,
            format!(
                "the first FQDN rule starts an Azure Firewall ({sku}), which costs by the hour. The workspace's owner can \
                 allow it: acknowledge {{door: AzureFirewall, value: {sku}}} on the AmlWorkspace"
            ),
        );
        return Need::Nothing;
    }
    if let Some(refusal) = refusal {
        let missing_role = refusal.error.class == ErrorClass::ApproverRoleMissing;
        if missing_role {
            say_missing_role(input, body, state);
        } else {
            state.verdict = Verdict::of_error("ARM refused the rule", &refusal.error);
            state.verdict.reason = Reason::AzureRefused;
        }
        let due = elapsed(refusal.at, input.now) >= input.retry;
        return if due || (missing_role && role == RoleCheck::Held) { Need::Alone(properties) } else { Need::Nothing };
    }
    if role == RoleCheck::Missing {
        // Tried once all the same, by itself: ARM's own answer counts, and it may make a connection that a person can approve.
        say_missing_role(input, body, state);
        return Need::Alone(properties);
    }
    Need::Batch(properties)
}

/// What is said of a rule that ARM shows as declared, and whether it has to be written once more.
fn in_place(
    input: RulesInput<'_>,
    declared: &Declared,
    body: &RuleBody,
    present: Option<&OutboundRule>,
    role: RoleCheck,
    properties: Value,
    state: &mut RuleState,
) -> Need {
    let Some(rule) = present else { return Need::Nothing };
    if rule.is_active() {
        state.verdict = Verdict::new(Reason::Active, format!("{} is reachable", body.short()));
        return Need::Nothing;
    }
    if !input.network_active {
        state.verdict =
            Verdict::new(Reason::Defined, "defined in Azure; it becomes active when the managed network is built");
        return Need::Nothing;
    }
    if rule.status().is_some_and(|status| ["provisioning", "deleting"].contains(&status.to_ascii_lowercase().as_str()))
    {
        state.verdict = Verdict::new(Reason::Updating, "Azure is putting the rule into force");
        return Need::Nothing;
    }
    let why = rule.error_information().unwrap_or("no reason was given");
    if role == RoleCheck::Missing {
        say_missing_role(input, body, state);
    } else {
        state.verdict = Verdict::new(
            Reason::AzureRefused,
            format!(
                "Azure shows the rule as {} although the network is active: {why}. If it is a private endpoint, its \
                 connection may wait for approval on the target; it is written again now and then",
                rule.status().unwrap_or("unknown")
            ),
        );
    }
    let last = input.memory.nudged.get(&declared.azure_name);
    let due = last.is_none_or(|at| elapsed(*at, input.now) >= input.retry);
    // Writing it again makes AML approve its own connection once the role is there; without it, it would change nothing.
    if due && role != RoleCheck::Missing { Need::Alone(properties) } else { Need::Nothing }
}

fn say_missing_role(input: RulesInput<'_>, body: &RuleBody, state: &mut RuleState) {
    let RuleBody::PrivateEndpoint { resource_id, .. } = body else { return };
    let Ok(target) = ArmId::parse(resource_id) else { return };
    let missing = missing_approver(input.principal.unwrap_or("<principal of the workspace>"), &target);
    state.verdict = Verdict::new(
        Reason::ApproverRoleMissing,
        format!(
            "the workspace's identity {} may not approve its private endpoint on {}. Somebody who may assign roles there can \
             run: {}",
            missing.principal_id, missing.scope, missing.command
        ),
    );
    state.missing_role = Some(missing);
}

/// Why `isolation` does not take `body`, if so (reference: which rule types each isolation mode supports).
pub fn forbidden(body: &RuleBody, isolation: IsolationMode) -> Option<Verdict> {
    let fix = match (isolation, body) {
        (IsolationMode::AllowOnlyApprovedOutbound, _)
        | (IsolationMode::AllowInternetOutbound, RuleBody::PrivateEndpoint { .. }) => return None,
        (IsolationMode::AllowInternetOutbound, _) => {
            "everything may go out already, so Azure takes private-endpoint rules only; delete this rule, or set the \
             workspace's isolationMode to AllowOnlyApprovedOutbound"
        }
        (IsolationMode::Disabled, _) => "there is no managed network; set the workspace's isolationMode first",
    };
    Some(Verdict::new(
        Reason::IsolationModeForbids,
        format!(
            "a rule of type {} does not go with the workspace's isolation mode {}: {fix}",
            body.type_(),
            isolation.as_str()
        ),
    ))
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or(Duration::ZERO)
}

/// Picks the next write: removals first, so that a rule may be re-created under another name; then all changes that can go
/// together; then what is tried by itself.
fn choose(
    input: RulesInput<'_>,
    observed: &BTreeMap<&str, &OutboundRule>,
    removals: &BTreeSet<&str>,
    mut batch: BTreeMap<&str, Value>,
    alone: BTreeMap<&str, Value>,
    shared: bool,
) -> Option<RuleWrite> {
    if let Some(name) = removals.first() {
        return Some(RuleWrite::Delete { name: (*name).to_owned() });
    }
    let group = input.memory.groups.iter().find(|group| batch.keys().any(|name| group.contains(*name)));
    if let Some(group) = group {
        batch.retain(|name, _| group.contains(*name));
    }
    if shared || batch.len() <= 1 {
        let (name, properties) = batch.pop_first().or_else(|| alone.into_iter().next())?;
        return Some(RuleWrite::Put { name: name.to_owned(), properties });
    }
    // The whole set as ARM shows it, with the changes laid over it: right whether ARM merges the map or replaces it.
    let mut rules: Map<String, Value> = observed.values().map(|rule| (rule.name.clone(), rule.to_body())).collect();
    let names = batch.keys().map(|name| (*name).to_owned()).collect();
    rules.extend(batch.into_iter().map(|(name, properties)| (name.to_owned(), properties)));
    Some(RuleWrite::Patch { rules, names })
}

/// What a lane remembers after ARM refused `write` for good. Only a refusal of the content bisects; anything else says nothing
/// about the rules.
pub fn remember_refusal(
    memory: &mut RuleMemory,
    write: &RuleWrite,
    input_principal: Option<&str>,
    tokens: &BTreeMap<String, Option<String>>,
    error: &ArmError,
    now: Timestamp,
) {
    if !matches!(error.class, ErrorClass::Validation | ErrorClass::ApproverRoleMissing | ErrorClass::Exists) {
        return;
    }
    let names: Vec<String> = match write {
        RuleWrite::Delete { .. } => return,
        RuleWrite::Put { name, .. } => vec![name.clone()],
        RuleWrite::Patch { names, .. } => names.iter().cloned().collect(),
    };
    memory.groups.retain(|group| !names.iter().all(|name| group.contains(name)) || group.len() > names.len());
    if let (RuleWrite::Put { name, properties }, true) = (write, true) {
        memory.refusals.insert(
            name.clone(),
            Refusal {
                body_hash: names::body_hash(Some(properties)),
                principal: input_principal.map(ToOwned::to_owned),
                token: tokens.get(name).cloned().flatten(),
                error: error.clone(),
                at: now,
            },
        );
        return;
    }
    let (left, right) = names.split_at(names.len() / 2);
    memory.groups.retain(|group| group.iter().cloned().collect::<Vec<_>>() != names);
    memory.groups.insert(0, right.iter().cloned().collect());
    memory.groups.insert(0, left.iter().cloned().collect());
}

/// What a lane remembers after reading: which rules are in place, and which refusals and halves are done with.
pub fn remember_reading(memory: &mut RuleMemory, declared: &[Declared], observed: &[OutboundRule]) {
    let in_place = |declared: &&Declared| match &declared.standing {
        Standing::Wanted(body) => observed.iter().any(|rule| {
            rule.name == declared.azure_name && RuleBody::observed(rule).is_some_and(|shown| body.same(&shown))
        }),
        _ => false,
    };
    let placed: BTreeSet<String> =
        declared.iter().filter(in_place).map(|declared| declared.azure_name.clone()).collect();
    let known: BTreeSet<&str> = declared.iter().map(|declared| declared.azure_name.as_str()).collect();
    memory.refusals.retain(|name, _| known.contains(name.as_str()) && !placed.contains(name));
    memory.nudged.retain(|name, _| known.contains(name.as_str()));
    for group in &mut memory.groups {
        group.retain(|name| known.contains(name.as_str()) && !placed.contains(name));
    }
    memory.groups.retain(|group| !group.is_empty());
    memory.seen = placed;
}
