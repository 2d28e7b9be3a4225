//! What is known around a workspace for its posture: the networks that are attached to it, as their own turns saw them, and where the
//! rules of other workspaces lead. A workspace's turn reads it and asks ARM for none of it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::ids::ArmId;
use crate::plan::posture::{Network, RuleOfOther};

/// All that is known. Lost with the process; the next turns post anew.
#[derive(Debug, Default)]
pub struct Surroundings(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By uid of the attachment.
    networks: HashMap<String, Network>,
    /// The private-endpoint rules in force of each workspace that was looked at, by its id in lower case.
    rules: HashMap<String, Vec<RuleOfOther>>,
    /// Which workspaces have rules that lead to a resource; all ids in lower case.
    leading: HashMap<String, BTreeSet<String>>,
}

impl Known {
    fn forget_rules(&mut self, id: &str) {
        for rule in self.rules.remove(id).unwrap_or_default() {
            let target = rule.target.to_ascii_lowercase();
            let Some(workspaces) = self.leading.get_mut(&target) else { continue };
            workspaces.remove(id);
            if workspaces.is_empty() {
                self.leading.remove(&target);
            }
        }
    }
}

impl Surroundings {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts what the attachment `uid` saw; true if that is news. Of the others only those whose uids are in `there` are kept.
    pub fn post_network(&self, uid: &str, network: Network, there: impl FnOnce() -> HashSet<String>) -> bool {
        let networks = &mut self.lock().networks;
        if networks.get(uid) == Some(&network) {
            return false;
        }
        if networks.insert(uid.to_owned(), network).is_none() {
            let there = there();
            networks.retain(|known, _| known == uid || there.contains(known));
        }
        true
    }

    /// What the attachment `uid` saw last.
    pub fn network(&self, uid: &str) -> Option<Network> {
        self.lock().networks.get(uid).cloned()
    }

    /// Posts the private-endpoint rules in force of the workspace `id`, which was looked at just now.
    pub fn post_rules(&self, id: &ArmId, rules: Vec<RuleOfOther>) {
        let known = &mut *self.lock();
        let key = id.key();
        if known.rules.get(&key) == Some(&rules) {
            return;
        }
        known.forget_rules(&key);
        for rule in &rules {
            known.leading.entry(rule.target.to_ascii_lowercase()).or_default().insert(key.clone());
        }
        known.rules.insert(key, rules);
    }

    /// Nobody looks at the workspace `id` any more.
    pub fn forget_rules(&self, id: &ArmId) {
        self.lock().forget_rules(&id.key());
    }

    /// True if the workspace `id` was looked at.
    pub fn was_seen(&self, id: &ArmId) -> bool {
        self.lock().rules.contains_key(&id.key())
    }

    /// The rules in force of other workspaces than `id` that lead to `target`.
    pub fn rules_of_others(&self, id: &ArmId, target: &str) -> Vec<RuleOfOther> {
        let known = self.lock();
        let others = known.leading.get(&target.to_ascii_lowercase()).into_iter().flatten();
        let others = others.filter(|other| **other != id.key()).filter_map(|other| known.rules.get(other));
        others.flatten().filter(|rule| rule.target.eq_ignore_ascii_case(target)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_news_once_and_go_with_their_attachment() {
        let known = Surroundings::default();
        let network = |id: &str| Network { id: id.into(), ..Network::default() };
        assert!(known.post_network("a", network("/one"), HashSet::new));
        assert!(!known.post_network("a", network("/one"), HashSet::new));
        assert!(known.post_network("a", network("/two"), HashSet::new), "another thing about the same");
        assert!(known.post_network("b", network("/b"), HashSet::new));
        assert_eq!((known.network("a"), known.network("b").map(|network| network.id)), (None, Some("/b".into())));
    }

    #[test]
    fn rules_are_found_by_where_they_lead_until_they_or_their_workspace_go() {
        let known = Surroundings::default();
        let id = |name: &str| {
            ArmId::of("00000000-0000-0000-0000-000000000001", "rg", crate::azure::machine_learning::WORKSPACES, name)
                .unwrap()
        };
        let (own, other) = (id("own"), id("other"));
        let rule = |name: &str, target: &str| RuleOfOther { name: name.into(), target: target.into() };
        known.post_rules(&own, vec![rule("mine", "/data")]);
        assert!(known.rules_of_others(&own, "/data").is_empty() && !known.was_seen(&other));
        known.post_rules(&other, vec![rule("theirs", "/DATA"), rule("elsewhere", "/keys")]);
        assert_eq!(known.rules_of_others(&own, "/data"), vec![rule("theirs", "/DATA")]);
        known.post_rules(&other, vec![rule("elsewhere", "/keys")]);
        assert!(known.rules_of_others(&own, "/data").is_empty() && known.was_seen(&other));
        assert_eq!(known.rules_of_others(&own, "/keys").len(), 1);
        known.forget_rules(&other);
        assert!(known.rules_of_others(&own, "/keys").is_empty() && !known.was_seen(&other));
    }
}
