//! The outbound-rule engine: which one write brings a workspace's rules nearer to what is declared.
//!
//! ARM loses rules when several are written at once, and every write can take minutes (terraform-provider-azapi#453
//! and #720). So there is one write at a time, several changes go in one, and after each the whole set is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::common::{Adoption, MissingRole};
use crate::api::ids::ArmId;
use crate::api::workspace::IsolationMode;
use crate::azure::error::ErrorClass;
use crate::azure::machine_learning::OutboundRule;

use super::names;
use super::outcome::{Reason, Verdict};
use super::roles::{RoleCheck, missing, of_target};
use super::rule_body::RuleBody;

mod memory;

pub use memory::{Refusal, RuleMemory, may_be_one_rules_fault, remember_reading, remember_refusal};

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
    /// The object is being deleted, and the rule with it; with what it declared, if that can be told.
    Removing(Option<RuleBody>),
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
    /// Whether admission and grants let the object have this rule. Without, an explicit name is no claim at all.
    pub entitled: bool,
    /// What shall be.
    pub standing: Standing,
    /// The value of the annotation that asks for a retry now.
    pub token: Option<String>,
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

/// What may be written, by Azure name.
#[derive(Default)]
struct Changes {
    removals: BTreeSet<String>,
    batch: BTreeMap<String, Value>,
    /// What is tried by itself; `None` is a removal.
    alone: BTreeMap<String, Option<Value>>,
}

/// ARM compares names without regard to case (ARM RPC, common-api-details).
fn same_name(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Decides the next write and what to say of every rule.
pub fn plan(input: RulesInput<'_>) -> RulesPlan {
    let mut plan = RulesPlan::default();
    let mut changes = Changes::default();
    let mut claimed: BTreeSet<String> = BTreeSet::new();
    for declared in input.declared {
        let name = declared.azure_name.to_ascii_lowercase();
        // A name that an object only claims, and may not use, stays free for others: nobody can sit on it.
        let first = if declared.entitled { claimed.insert(name) } else { !claimed.contains(&name) };
        let state = stand(input, declared, first, &mut changes);
        if state.verdict.reason == Reason::AdoptionRefused {
            plan.unmanaged.push(declared.azure_name.clone());
        }
        plan.states.insert(declared.key.clone(), state);
    }
    // With strangers' rules about, the whole set must not be sent: it would fight with whoever writes them. A rule that an
    // object names but may not take over is a stranger's too, and never removed.
    let mut shared = !plan.unmanaged.is_empty();
    for rule in input.observed.iter().filter(|rule| rule.is_user_defined()) {
        if claimed.contains(&rule.name.to_ascii_lowercase()) {
            continue;
        }
        let ours = names::is_ours(input.installation, &rule.name);
        let goes = input.index_whole && if ours { input.prune } else { input.exclusive };
        shared |= !ours && !goes;
        if goes {
            remove(input, rule, None, &mut changes);
        }
        (if ours { &mut plan.orphaned } else { &mut plan.unmanaged }).push(rule.name.clone());
    }
    let cost = if shared && changes.batch.len() > 1 {
        ". One rule at a time, because the workspace has rules that others made: that takes a write of minutes for each"
    } else {
        ""
    };
    plan.write = choose(input, changes, shared);
    let written = plan.write.as_ref().map(RuleWrite::names).unwrap_or_default();
    // Whatever else is said of a rule, such as ARM's last refusal, stays until ARM says something new.
    for state in plan.states.values_mut().filter(|state| state.verdict.reason == Reason::Pending) {
        state.verdict = if written.contains(&state.azure_name) {
            Verdict::new(Reason::Updating, format!("the rule is being written to Azure{cost}"))
        } else {
            Verdict::new(Reason::Pending, format!("waiting for its turn{cost}"))
        };
    }
    plan
}

/// Decides how a declared rule stands. `first` is whether no older object declares a rule of that name.
fn stand(input: RulesInput<'_>, declared: &Declared, first: bool, changes: &mut Changes) -> RuleState {
    let name = &declared.azure_name;
    let named = input.observed.iter().find(|rule| same_name(&rule.name, name));
    let present = named.filter(|rule| rule.is_user_defined());
    let mut state = RuleState {
        verdict: Verdict::new(Reason::Pending, ""),
        azure_name: name.clone(),
        service_status: present.and_then(OutboundRule::status).map(ToOwned::to_owned),
        missing_role: None,
        drift: None,
        gone: false,
    };
    match &declared.standing {
        Standing::Removing(_) if !declared.entitled && declared.claim.is_some() => {
            state.verdict = Verdict::new(Reason::Deleting, "Azure keeps the rule: it never was this object's");
            state.gone = true;
        }
        standing if !first => {
            state.verdict = Verdict::new(
                Reason::ManagedElsewhere,
                format!("an older OutboundRule declares the rule {name} of this workspace; delete one of the two"),
            );
            state.gone = matches!(standing, Standing::Removing(_));
        }
        Standing::Frozen(verdict) => state.verdict = verdict.clone(),
        Standing::Removing(body) => match present.filter(|rule| took_over(declared, body.as_ref(), rule)) {
            Some(rule) => state.verdict = remove(input, rule, declared.token.as_deref(), changes),
            None => {
                state.verdict = Verdict::new(Reason::Deleting, "nothing of the rule is left to remove from Azure");
                state.gone = true;
            }
        },
        Standing::Wanted(_) if named.is_some() && present.is_none() => {
            state.verdict = Verdict::new(
                Reason::AdoptionRefused,
                format!("{name} is a rule that Azure made for the workspace itself; choose another azureName"),
            );
        }
        Standing::Wanted(body) => match judge(input, declared, body, present, &mut state) {
            Need::Nothing => {}
            Need::Batch(properties) => drop(changes.batch.insert(name.clone(), properties)),
            Need::Alone(properties) => drop(changes.alone.insert(name.clone(), Some(properties))),
        },
    }
    state
}

/// Whether `rule` is the object's to delete. Rules carry no tag, so one under an explicit name that was to be taken over only if
/// it matches counts as taken over only if it does.
fn took_over(declared: &Declared, body: Option<&RuleBody>, rule: &OutboundRule) -> bool {
    match declared.claim {
        None | Some(Adoption::Always) => true,
        Some(Adoption::IfMatching) => {
            body.zip(RuleBody::observed(rule)).is_some_and(|(declared, shown)| declared.same(&shown))
        }
        Some(Adoption::Never) => false,
    }
}

/// Has `rule` removed, unless ARM is at it already, or has refused just now: then the others go first.
fn remove(input: RulesInput<'_>, rule: &OutboundRule, token: Option<&str>, changes: &mut Changes) -> Verdict {
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
    if same {
        return in_place(input, declared, body, present, role, properties, state);
    }
    if input.memory.seen.get(&declared.azure_name) == Some(&hash) {
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
    if let Some(refusal) = refusal(input, &declared.azure_name, &hash, declared.token.as_deref()) {
        let missing_role = refusal.error.class == ErrorClass::ApproverRoleMissing;
        if missing_role {
            say_missing_role(input, body, state);
        } else {
            state.verdict = Verdict::of_error("ARM refused the rule", &refusal.error);
        }
        // An assignment takes effect some minutes after it shows, and may not suffice: sooner than else, but not at once.
        let held = missing_role && role.is_held();
        let wait = if held { input.retry / 5 } else { input.retry };
        let due = elapsed(refusal.at, input.now) >= wait;
        return if due { Need::Alone(properties) } else { Need::Nothing };
    }
    if role == RoleCheck::Fresh {
        return Need::Alone(properties);
    }
    if role == RoleCheck::Missing {
        // Tried once all the same, by itself: ARM's own answer counts, and it may make a connection that a person can approve.
        say_missing_role(input, body, state);
        return Need::Alone(properties);
    }
    // Refused before and nothing about it has changed but the identity or the retry token: not at the others' risk.
    if input.memory.refusals.get(&declared.azure_name).is_some_and(|refusal| refusal.body_hash == hash) {
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
    let failed = rule.status().is_some_and(|status| status.eq_ignore_ascii_case("Failed"));
    if !input.network_active && !failed {
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
                "Azure shows the rule as {}{}: {why}. If it is a private endpoint, its connection may wait for approval on the \
                 target; it is written again now and then",
                rule.status().unwrap_or("unknown"),
                if input.network_active { " although the network is active" } else { "" }
            ),
        );
    }
    let last = input.memory.nudged.get(&declared.azure_name);
    let wait = if role == RoleCheck::Fresh { input.retry / 5 } else { input.retry };
    let due = last.is_none_or(|at| elapsed(*at, input.now) >= wait);
    // Writing it again makes AML approve its own connection once the role is there; without it, it would change nothing.
    if due && role != RoleCheck::Missing { Need::Alone(properties) } else { Need::Nothing }
}

fn say_missing_role(input: RulesInput<'_>, body: &RuleBody, state: &mut RuleState) {
    let RuleBody::PrivateEndpoint { resource_id, .. } = body else { return };
    let Ok(target) = ArmId::parse(resource_id) else { return };
    let needs = of_target(&target);
    let Some(need) = needs.first() else { return };
    let missing = missing(input.principal.unwrap_or("<principal of the workspace>"), need);
    state.verdict = lacks(&missing);
    state.missing_role = Some(missing);
}

/// What is said of a rule that waits for a role of the workspace's identity.
pub fn lacks(missing: &MissingRole) -> Verdict {
    Verdict::new(
        Reason::ApproverRoleMissing,
        format!(
            "the workspace's identity {} may not approve its private endpoint on {}: it lacks {}. Somebody who may assign roles there \
             can run: {}",
            missing.principal_id, missing.scope, missing.role, missing.command
        ),
    )
}

/// Why `isolation` does not take `body`, if so (Microsoft: "Workspace managed virtual network isolation", outbound rules).
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
fn choose(input: RulesInput<'_>, mut changes: Changes, shared: bool) -> Option<RuleWrite> {
    if let Some(name) = changes.removals.pop_first() {
        return Some(RuleWrite::Delete { name });
    }
    let batch = &mut changes.batch;
    if let Some(group) = input.memory.groups.iter().find(|group| batch.keys().any(|name| group.contains(name))) {
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
    let kept = input.observed.iter().filter(|rule| rule.is_user_defined());
    let kept = kept.filter(|rule| !changes.batch.keys().any(|name| same_name(name, &rule.name)));
    let mut rules: Map<String, Value> = kept.map(|rule| (rule.name.clone(), rule.to_body())).collect();
    let names = changes.batch.keys().cloned().collect();
    rules.extend(changes.batch);
    Some(RuleWrite::Patch { rules, names })
}

#[cfg(test)]
mod tests;
