//! What a workspace is made of: storage account, key vault, registry and Application Insights, each existing or created. Decides for
//! each what brings it to what is declared, and what to say meanwhile. Nothing here ever deletes a resource.

mod check;
mod declared;
mod doors;
mod entries;
mod firewall;
mod insights;
mod observed;
mod peers;
mod registry;
mod storage;
#[cfg(test)]
mod tests;
mod vault;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

pub use check::check;
pub use declared::{Associated, Created, Field, Openness, Posture, declared, ids};
pub use entries::Entry;
pub use observed::Observed;
pub use peers::{Peer, Peers};

use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::{AmlWorkspaceSpec, AssociatedResourceStatus, SystemDatastoresAuthMode};
use crate::api::{ENTRIES_TAG, OWNER_TAG};
use crate::azure::network_rules::NetworkRules;

use super::difference::{Comparison, Difference, Mend, merge};
use super::outcome::{Reason, Verdict};
use super::ownership::{Claim, Origin, Owner, claim};
use super::step::Step;
use doors::Doors;
use entries::{marks, shown};
use firewall::{Entries, Firewall};

/// The most characters that Azure takes for a tag's value.
const TAG_LIMIT: usize = 256;
/// The most characters of marks that a status holds.
const MARKS_LIMIT: usize = 1024;
/// How many strangers' entries a status names.
const STRANGERS: usize = 20;
/// How many differences a status names for one resource, and of how many characters each.
const MISSING: usize = 10;
const MISSING_LIMIT: usize = 512;

/// All that the decision about one resource looks at.
#[derive(Clone, Copy, Debug)]
pub struct ResourceInput<'a> {
    /// Who the workspace's object is.
    pub owner: &'a Owner,
    /// The workspace's ARM id.
    pub workspace: &'a ArmId,
    /// The tenant that the workspace is in.
    pub tenant: &'a str,
    /// What is declared.
    pub spec: &'a AmlWorkspaceSpec,
    /// What of it is about this resource.
    pub resource: &'a Associated<'a>,
    /// What ARM shows; `None` if there is no such resource.
    pub observed: Option<&'a Observed>,
    /// What the last status said of it. Anybody may have written that.
    pub said: Option<&'a AssociatedResourceStatus>,
    /// What other workspaces of this cluster say of it.
    pub peers: &'a Peers,
    /// Whether what the resource itself needs is in place.
    pub grounded: bool,
    /// Nothing will be written, so that no claim is needed.
    pub observes: bool,
}

/// What was decided about one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourcePlan {
    /// The next write.
    pub step: Option<Step>,
    /// What is said while it is not as declared; `None` if it is, or nothing is declared.
    pub trouble: Option<Verdict>,
    /// Whether the workspace has to wait for it.
    pub holds: bool,
    /// Where Azure is not as declared.
    pub differences: Vec<Difference>,
    /// Whether Azure is as declared, if that could be seen.
    pub in_place: Option<bool>,
    /// Whether Azure shows it being made or changed.
    pub moving: bool,
    /// What the status says of it, but for what was in place before.
    pub status: AssociatedResourceStatus,
}

impl ResourcePlan {
    /// Nothing is known yet but what the last status said.
    fn of(resource: &Associated<'_>, said: Option<&AssociatedResourceStatus>) -> Self {
        Self {
            step: None,
            trouble: None,
            holds: resource.created.is_some() || resource.posture.as_ref().is_some_and(|posture| posture.manage),
            differences: Vec::new(),
            in_place: None,
            moving: false,
            status: status(resource, said),
        }
    }

    /// `resource` could not be looked at, for the reason that `verdict` tells.
    pub fn unseen(resource: &Associated<'_>, said: Option<&AssociatedResourceStatus>, verdict: Verdict) -> Self {
        Self { trouble: Some(verdict), ..Self::of(resource, said) }
    }
}

/// Decides about one resource.
pub fn plan(input: &ResourceInput<'_>) -> ResourcePlan {
    let mut plan = ResourcePlan::of(input.resource, input.said);
    if !input.resource.is_looked_at() {
        return plan;
    }
    let name = input.resource.name();
    let id = match ArmId::parse(&input.resource.id) {
        Ok(id) => id,
        Err(error) => {
            plan.trouble = Some(Verdict::new(Reason::Invalid, format!("{}: {error}", input.resource.field.as_str())));
            return plan;
        }
    };
    match input.observed {
        Some(observed) => existing(input, &id, observed, &mut plan),
        None => absent(input, &id, &mut plan),
    }
    if let Some(trouble) = &mut plan.trouble {
        trouble.message = format!("{name}: {}", trouble.message);
    }
    plan
}

/// What is said of a resource before it is looked at. Which entries were declared must not be forgotten meanwhile.
fn status(resource: &Associated<'_>, said: Option<&AssociatedResourceStatus>) -> AssociatedResourceStatus {
    AssociatedResourceStatus {
        field: resource.field.as_str().to_owned(),
        resource_id: resource.id.clone(),
        origin: resource.origin(),
        access: resource.posture.as_ref().map(|posture| posture.access),
        missing: Vec::new(),
        unmanaged_entries: Vec::new(),
        entries: said.and_then(|said| said.entries.clone()),
        in_place_generation: None,
    }
}

fn keyless(spec: &AmlWorkspaceSpec) -> bool {
    spec.system_datastores_auth_mode == Some(SystemDatastoresAuthMode::Identity)
}

/// The entries that the manifest declares.
fn wanted(input: &ResourceInput<'_>, posture: &Posture) -> BTreeSet<Entry> {
    let addresses = posture.addresses.iter().cloned().map(Entry::Address);
    let subnets = posture.subnets.iter().cloned().map(Entry::Subnet);
    let instance = posture.trust_workspace.then(|| peers::instance(input.tenant, input.workspace));
    addresses.chain(subnets).chain(instance).collect()
}

fn absent(input: &ResourceInput<'_>, id: &ArmId, plan: &mut ResourcePlan) {
    plan.in_place = Some(false);
    plan.status.missing = vec!["it does not exist".to_owned()];
    plan.differences = vec![Difference::of("id", None, id.as_str())];
    let (Some(created), Some(posture)) = (&input.resource.created, &input.resource.posture) else {
        let message = format!("{id} does not exist; create it, or correct the id");
        plan.trouble = Some(Verdict::new(Reason::ParentMissing, message));
        return;
    };
    if !input.grounded {
        plan.trouble = Some(Verdict::new(Reason::Creating, "waiting for the log workspace behind it"));
        return;
    }
    let doors = Doors { input, posture, strangers: false };
    if let Err(verdict) = doors.creating() {
        plan.trouble = Some(verdict);
        return;
    }
    let entries = Entries { wanted: wanted(input, posture), goes: BTreeSet::new() };
    remember(plan, entries.wanted.iter());
    let tags = laid(None, &input.owner.tag(Origin::Created), &entries.wanted);
    let body = creation(input, created, posture, (&NetworkRules::default(), &entries), tags);
    let verdict = Verdict::new(Reason::Creating, format!("Azure is creating it as {id}"));
    write(input, Step::put(id, input.resource.field.version(), body, verdict).needing(Verb::Create, id), plan);
}

/// The body of the creating PUT. The rules are those that are `shown`, with the entries laid over.
fn creation(
    input: &ResourceInput<'_>,
    created: &Created<'_>,
    posture: &Posture,
    (shown, entries): (&NetworkRules, &Entries),
    tags: Map<String, Value>,
) -> Value {
    let firewall = |style| Firewall::creation(style, posture, shown, entries);
    let mut body = match created {
        Created::Storage(create) => storage::creation(create, keyless(input.spec), firewall(storage::STYLE)),
        Created::Vault(create) => vault::creation(create, input.tenant, firewall(vault::STYLE)),
        Created::Registry(create) => registry::creation(create, firewall(registry::STYLE)),
        Created::Logs => insights::creation_of_logs(posture),
        Created::Insights(logs) => insights::creation(posture, logs),
    };
    body["location"] = input.spec.location.as_str().into();
    body["tags"] = Value::Object(tags);
    body
}

/// The tags to send, since ARM replaces the whole map: everybody's, with the owner's and what tells his entries from others'.
fn laid(shown: Option<&BTreeMap<String, String>>, owner: &str, entries: &BTreeSet<Entry>) -> Map<String, Value> {
    let own = |name: &str| [OWNER_TAG, ENTRIES_TAG].iter().any(|tag| tag.eq_ignore_ascii_case(name));
    let others = shown.into_iter().flatten().filter(|(name, _)| !own(name));
    let mut tags: Map<String, Value> = others.map(|(name, value)| (name.clone(), value.clone().into())).collect();
    tags.insert(OWNER_TAG.into(), owner.into());
    let marks = marks(entries.iter(), TAG_LIMIT);
    if !marks.is_empty() {
        tags.insert(ENTRIES_TAG.into(), marks.into());
    }
    tags
}

fn existing(input: &ResourceInput<'_>, id: &ArmId, observed: &Observed, plan: &mut ResourcePlan) {
    let ResourceInput { resource, spec, .. } = input;
    // What is created always has one.
    let Some(posture) = &resource.posture else { return };
    let tag = observed.tag(OWNER_TAG);
    let claim = match &resource.created {
        Some(_) if !input.observes => claim(input.owner, tag, spec.adoption.unwrap_or_default(), &spec.acknowledge),
        // What the manifest only names is nobody's, and shared with whoever names it too.
        _ => Claim::Ours,
    };
    if let Claim::Refused(verdict) = claim {
        plan.trouble = Some(verdict);
        return;
    }
    if observed.is_moving() {
        plan.moving = true;
        let message = format!("Azure shows it as {}", observed.state().unwrap_or_default());
        plan.trouble = Some(Verdict::new(Reason::Updating, message));
        return;
    }
    let ours = resource.created.is_some() && tag.is_some_and(|tag| input.owner.is(tag));
    let sorted = sort(input, posture, observed, ours);
    remember(plan, sorted.entries.wanted.union(&sorted.given_up));
    plan.status.unmanaged_entries = named(&sorted.strangers);
    let mut found = Comparison::default();
    compare(input, posture, observed, &sorted.entries, &mut found);
    let taken = match claim {
        Claim::TakeIfMatching(_) if !found.0.is_empty() => {
            plan.trouble = Some(not_matching(&found.0));
            differs(plan, found.0);
            return;
        }
        Claim::Take(tag) | Claim::TakeIfMatching(tag) => Some(tag),
        Claim::Ours | Claim::Refused(_) => None,
    };
    let owner = taken.as_deref().or(tag.filter(|_| ours));
    if let Some(owner) = owner {
        compare_tags(observed, owner, &sorted.entries.wanted, &mut found);
    }
    let tags = || laid(observed.tags(), owner.unwrap_or_default(), &sorted.entries.wanted);
    let differences = found.0;
    if let Some(verdict) = unchangeable(&differences) {
        plan.trouble = Some(verdict);
        differs(plan, differences);
        return;
    }
    if observed.has_failed() {
        differs(plan, differences);
        match (&resource.created, observed.firewall()) {
            (Some(created), firewall) if ours => {
                // The creating PUT again is the way to mend what never came to be; it takes nobody's entries away.
                let rules = firewall.map(|firewall| firewall.rules).unwrap_or_default();
                let body = creation(input, created, posture, (&rules, &sorted.entries), tags());
                let verdict = Verdict::new(Reason::Updating, "Azure shows it as failed; it is asked for again");
                let step = Step::put(id, resource.field.version(), body, verdict);
                write(input, step.needing(Verb::Configure, id), plan);
            }
            _ => plan.trouble = Some(Verdict::new(Reason::AzureRefused, "Azure shows it as failed; look at it there")),
        }
        return;
    }
    if !posture.manage {
        plan.holds = false;
        plan.trouble = checked(&differences);
        differs(plan, differences);
        return;
    }
    let strangers = sorted.strangers.iter().any(|entry| matches!(entry, Entry::Address(_)));
    let doors = Doors { input, posture, strangers };
    // A closed door holds up its own change only: what was opened by hand elsewhere is closed all the same.
    let held = differences.iter().find_map(|difference| doors.of(difference, observed).err());
    let sent: Vec<Difference> =
        differences.iter().filter(|difference| doors.of(difference, observed).is_ok()).cloned().collect();
    let asked = (!sorted.asked.is_empty()).then(|| doors::exclusive(&sorted.asked));
    plan.trouble = held.or(asked);
    differs(plan, differences);
    if !sent.is_empty() {
        let step = change(input, id, observed, &sent, tags);
        write(input, step.needing(Verb::Configure, id), plan);
    }
}

/// The entries of a resource, sorted by whose they are.
struct Sorted {
    entries: Entries,
    /// Those that were declared before and are not any more.
    given_up: BTreeSet<Entry>,
    /// Those that nobody declares and that stay.
    strangers: BTreeSet<Entry>,
    /// Those of them that wait for a word to go.
    asked: BTreeSet<Entry>,
}

fn sort(input: &ResourceInput<'_>, posture: &Posture, observed: &Observed, ours: bool) -> Sorted {
    let wanted = wanted(input, posture);
    let mut sorted = Sorted {
        entries: Entries { wanted, goes: BTreeSet::new() },
        given_up: BTreeSet::new(),
        strangers: BTreeSet::new(),
        asked: BTreeSet::new(),
    };
    let Some(firewall) = observed.firewall() else { return sorted };
    let said = input.said.and_then(|said| said.entries.as_deref());
    let listed = observed.tag(ENTRIES_TAG).filter(|_| ours);
    let remembered: BTreeSet<&str> = said.into_iter().chain(listed).flat_map(|marks| marks.split(',')).collect();
    for entry in shown(&firewall.rules) {
        if sorted.entries.wanted.contains(&entry) || input.peers.entries.contains(&entry) {
            continue;
        }
        if remembered.contains(entry.mark().as_str()) {
            sorted.given_up.insert(entry.clone());
            sorted.entries.goes.insert(entry);
        } else if posture.exclusive && doors::agreed(&input.spec.acknowledge, &entry) {
            sorted.entries.goes.insert(entry);
        } else {
            if posture.exclusive {
                sorted.asked.insert(entry.clone());
            }
            sorted.strangers.insert(entry);
        }
    }
    sorted
}

/// Where the resource is not as declared.
fn compare(
    input: &ResourceInput<'_>,
    posture: &Posture,
    observed: &Observed,
    entries: &Entries,
    found: &mut Comparison,
) {
    if let Observed::Registry(registry) = observed {
        let create = match &input.resource.created {
            Some(Created::Registry(create)) => Some(*create),
            _ => None,
        };
        registry::compare_sku(registry, create, posture, found);
    }
    if let Some(firewall) = observed.firewall() {
        firewall.compare(posture, entries, found);
    }
    match observed {
        Observed::Logs(logs) => insights::compare(&logs.properties, posture, found),
        Observed::Insights(component) => insights::compare(&component.shown.properties, posture, found),
        Observed::Storage(_) | Observed::Vault(_) | Observed::Registry(_) => {}
    }
    match (observed, &input.resource.created) {
        (Observed::Storage(account), Some(Created::Storage(create))) => {
            storage::compare(account, create, keyless(input.spec), found);
        }
        (Observed::Vault(vault), Some(Created::Vault(create))) => vault::compare(vault, create, found),
        (Observed::Registry(registry), Some(_)) => registry::compare(registry, found),
        (Observed::Insights(component), Some(Created::Insights(logs))) => {
            insights::compare_logs(&component.shown.properties, logs, found);
        }
        _ => {}
    }
}

/// Where the tags of a resource of ours are not as they shall be.
fn compare_tags(observed: &Observed, owner: &str, entries: &BTreeSet<Entry>, found: &mut Comparison) {
    if observed.tag(OWNER_TAG) != Some(owner) {
        found.note(format!("tags.{OWNER_TAG}"), observed.tag(OWNER_TAG), owner, Mend::Tags);
    }
    let wanted = Some(marks(entries.iter(), TAG_LIMIT)).filter(|marks| !marks.is_empty());
    let shown = observed.tag(ENTRIES_TAG).map(ToOwned::to_owned);
    if shown != wanted {
        found.0.push(Difference {
            field: format!("tags.{ENTRIES_TAG}").into(),
            found: shown,
            wanted,
            mend: Mend::Tags,
        });
    }
}

/// The write that puts right what is `sent`. A component takes a PUT of the whole (specification: a PATCH changes its tags only).
fn change(
    input: &ResourceInput<'_>,
    id: &ArmId,
    observed: &Observed,
    sent: &[Difference],
    tags: impl Fn() -> Map<String, Value>,
) -> Step {
    let mut body = match observed {
        Observed::Insights(component) => component.body.clone(),
        _ => json!({}),
    };
    if let Some(firewall) = observed.firewall() {
        let rules = format!("properties.{}.", firewall.style.member);
        if sent.iter().any(|difference| difference.field.starts_with(&rules)) {
            merge(&mut body, &firewall.whole());
        }
    }
    for difference in sent {
        match &difference.mend {
            Mend::Patch(patch) => merge(&mut body, patch),
            Mend::Tags => body["tags"] = Value::Object(tags()),
            Mend::Whole | Mend::Recreate(_) | Mend::Never(_) => {}
        }
    }
    let changes: Vec<String> = sent.iter().take(MISSING).map(Difference::change).collect();
    let verdict = Verdict::new(Reason::Updating, format!("Azure is changing {}", changes.join("; ")));
    let version = input.resource.field.version();
    let step = match observed {
        Observed::Insights(_) => Step::put(id, version, body, verdict),
        _ => Step::patch(id, version, body, verdict),
    };
    step.changing(sent)
}

fn not_matching(differences: &[Difference]) -> Verdict {
    let listed: Vec<String> = differences.iter().map(Difference::change).collect();
    Verdict::new(
        Reason::AdoptionRefused,
        format!(
            "adoption: IfMatching takes over only what is as declared, but {}. Change the declaration, or set adoption: Always to have \
             Azure changed",
            listed.join("; ")
        ),
    )
}

/// The verdict on what Azure does not change, if there is such a thing.
fn unchangeable(differences: &[Difference]) -> Option<Verdict> {
    differences.iter().find_map(|difference| match difference.mend {
        Mend::Never(why) | Mend::Recreate(why) => {
            let message = format!("{} cannot be changed: {why}. Declare it as it is", difference.change());
            Some(Verdict::new(Reason::NotChangeable, message))
        }
        _ => None,
    })
}

/// What is said of what is only checked.
fn checked(differences: &[Difference]) -> Option<Verdict> {
    let first = differences.first()?;
    let more = if differences.len() > 1 { format!(" and {} more", differences.len() - 1) } else { String::new() };
    let message = format!(
        "{} is {}, declared {}{more}; with network.manage: false it is only checked",
        first.field,
        first.found(),
        first.wanted()
    );
    Some(Verdict::new(Reason::Differs, message))
}

/// Notes in `plan` where Azure differs.
fn differs(plan: &mut ResourcePlan, differences: Vec<Difference>) {
    let words = |difference: &Difference| {
        let text = format!("{} is {}, declared {}", difference.field, difference.found(), difference.wanted());
        text.chars().take(MISSING_LIMIT).collect()
    };
    plan.in_place = Some(differences.is_empty());
    plan.status.missing = differences.iter().take(MISSING).map(words).collect();
    plan.differences = differences;
}

/// Makes `step` the next thing to do, or what would be done.
fn write(input: &ResourceInput<'_>, step: Step, plan: &mut ResourcePlan) {
    plan.trouble = Some(if input.observes {
        Verdict::new(Reason::Differs, "with managementPolicy: Observe it is left as it is")
    } else {
        step.verdict.clone()
    });
    plan.step = Some(step);
}

/// Notes the entries that must be told from strangers' later on.
fn remember<'a>(plan: &mut ResourcePlan, entries: impl Iterator<Item = &'a Entry>) {
    plan.status.entries = Some(marks(entries, MARKS_LIMIT)).filter(|marks| !marks.is_empty());
}

/// The names of strangers' entries, as many as a status holds.
fn named(strangers: &BTreeSet<Entry>) -> Vec<String> {
    let mut names: Vec<String> = strangers.iter().take(STRANGERS).map(Entry::words).collect();
    if strangers.len() > STRANGERS {
        names.pop();
        names.push(format!("and {} more", strangers.len() - names.len()));
    }
    names
}
