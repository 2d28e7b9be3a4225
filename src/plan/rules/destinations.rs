//! Who has which destination. ARM refuses a second private endpoint to one (Azure/azureml-examples#2990), and of any other rule
//! a second one only costs a write: so each destination is one object's.

use std::collections::BTreeMap;

use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rule_body::RuleBody;

use super::shown::ShownRule;
use super::{Declared, ObjectKey, RuleState, Scene, Standing};

/// How many of those who wait for a destination its holder's message names.
const NAMED: usize = 3;

/// Who has which destination.
pub(super) struct Destinations<'a> {
    /// The object that has or gets each: whose rule is in place, else the oldest.
    holders: BTreeMap<String, &'a Declared>,
    /// The others that want it.
    waiting: BTreeMap<&'a ObjectKey, Vec<&'a ObjectKey>>,
    /// The names of the rules that ARM shows for each.
    shown: BTreeMap<String, Vec<String>>,
}

impl<'a> Destinations<'a> {
    /// Settles who has what among `declared`, oldest first.
    pub(super) fn new(scene: &Scene<'a>, declared: &[&'a Declared]) -> Self {
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for rule in scene.shown.iter() {
            if let Some(body) = &rule.body {
                shown.entry(body.destination()).or_default().push(rule.rule.name.clone());
            }
        }
        let mut holders: BTreeMap<String, &'a Declared> = BTreeMap::new();
        let candidates: Vec<(&'a Declared, String)> =
            declared.iter().filter_map(|declared| Some((*declared, candidate(scene, declared)?))).collect();
        for (declared, destination) in candidates.iter().filter(|(declared, _)| has(scene, declared)) {
            holders.entry(destination.clone()).or_insert(declared);
        }
        let mut waiting: BTreeMap<&ObjectKey, Vec<&ObjectKey>> = BTreeMap::new();
        for (declared, destination) in candidates {
            let holder = *holders.entry(destination).or_insert(declared);
            if holder.key != declared.key && !has(scene, declared) {
                waiting.entry(&holder.key).or_default().push(&declared.key);
            }
        }
        Self { holders, waiting, shown }
    }

    /// Why `declared` cannot have its destination now, if somebody else has it.
    pub(super) fn taken(&self, scene: &Scene<'a>, declared: &Declared, body: &RuleBody) -> Option<Verdict> {
        if has(scene, declared) {
            return None;
        }
        let destination = body.destination();
        if let Some(holder) = self.holders.get(&destination).filter(|holder| holder.key != declared.key) {
            return Some(Verdict::new(Reason::ManagedElsewhere, twice(&holder.key)));
        }
        if !matches!(body, RuleBody::PrivateEndpoint { .. }) {
            // Of other rules Azure takes a second one to the same place; it makes some service tags' itself.
            return None;
        }
        let others = self.shown.get(&destination).into_iter().flatten();
        others
            .filter(|name| !name.eq_ignore_ascii_case(&declared.azure_name))
            .find_map(|name| in_azure(scene, scene.shown.get(name)?))
    }

    /// Names in each holder's message who else declares its destination.
    pub(super) fn name_the_waiting(&self, states: &mut BTreeMap<ObjectKey, RuleState>) {
        for (holder, waiting) in &self.waiting {
            let Some(state) = states.get_mut(*holder) else { continue };
            let named: Vec<String> =
                waiting.iter().take(NAMED).map(|key| format!("{}/{}", key.namespace, key.name)).collect();
            let more = if waiting.len() > NAMED { " and others" } else { "" };
            state.verdict.message.push_str(&format!(
                ". The same destination is declared by OutboundRule {}{more}, which waits: one of them is enough",
                named.join(", ")
            ));
        }
    }
}

fn twice(holder: &ObjectKey) -> String {
    format!(
        "OutboundRule {}/{} declares the same destination for this workspace, and was first; delete one of the two",
        holder.namespace, holder.name
    )
}

/// What `declared` wants, if it has a say, and its name is its own.
fn candidate(scene: &Scene<'_>, declared: &Declared) -> Option<String> {
    let Standing::Wanted(body) = &declared.standing else { return None };
    let owner = scene.owners.get(&declared.azure_name.to_ascii_lowercase())?;
    (declared.entitled && owner.key == declared.key).then(|| body.destination())
}

/// True if ARM shows the destination under the object's own name.
fn has(scene: &Scene<'_>, declared: &Declared) -> bool {
    let Standing::Wanted(body) = &declared.standing else { return false };
    let shown = scene.shown.get(&declared.azure_name).filter(|shown| shown.rule.is_user_defined());
    shown.and_then(|shown| shown.body.as_ref()).is_some_and(|shown| shown.destination() == body.destination())
}

/// What another private-endpoint rule in Azure with the same destination means.
fn in_azure(scene: &Scene<'_>, shown: &ShownRule<'_>) -> Option<Verdict> {
    let name = &shown.rule.name;
    if !shown.rule.is_user_defined() {
        return Some(Verdict::new(
            Reason::DestinationRefused,
            format!(
                "Azure itself made the rule {name} with this destination for the workspace, so it is reachable already; delete \
                 this object"
            ),
        ));
    }
    let waits =
        || Verdict::new(Reason::Updating, format!("waiting until the rule {name} with this destination is removed"));
    match scene.owners.get(&name.to_ascii_lowercase()).map(|owner| (&owner.standing, owner)) {
        // It is on its way to another destination.
        Some((Standing::Wanted(_), _)) => None,
        Some((Standing::Removing(_), _)) => Some(waits()),
        Some((Standing::Frozen(_) | Standing::Observed(_), owner)) => {
            Some(Verdict::new(Reason::ManagedElsewhere, twice(&owner.key)))
        }
        None if scene.goes(name) => Some(waits()),
        None => Some(Verdict::new(
            Reason::ManagedElsewhere,
            format!(
                "the rule {name}, which no object declares, has this destination already, and Azure takes no second private \
                 endpoint to it. Have that rule deleted, or declare it: azureName: {name} and adoption: IfMatching or Always"
            ),
        )),
    }
}
