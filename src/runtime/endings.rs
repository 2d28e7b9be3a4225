//! Which connections wait to be withdrawn, by policy, for the breaker. Lost with the process: until its lane has looked, a policy
//! that ends counts as one removal.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// By policy, then by target.
type ByTarget = HashMap<String, BTreeMap<String, Option<Vec<String>>>>;

/// The names of the connections that end with a policy, by the policy's uid and target; `None` for a target that nobody has
/// looked at.
#[derive(Debug, Default)]
pub struct Endings(Mutex<ByTarget>);

impl Endings {
    fn lock(&self) -> std::sync::MutexGuard<'_, ByTarget> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the policy `uid` ends on these targets and no others: each counts as one removal until somebody has looked.
    pub fn expect(&self, uid: &str, targets: impl Iterator<Item = String>) {
        let mut endings = self.lock();
        let of_policy = endings.entry(uid.to_owned()).or_default();
        *of_policy = targets.map(|target| (target.clone(), of_policy.remove(&target).flatten())).collect();
    }

    /// Posts what waits on `target` for the policy `uid`; true if that is news.
    pub fn post(&self, uid: &str, target: String, connections: Vec<String>) -> bool {
        let mut endings = self.lock();
        let posted = Some(connections);
        endings.entry(uid.to_owned()).or_default().insert(target, posted.clone()) != Some(posted)
    }

    /// Forgets a policy that is gone or goes on.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// What waits for the policy `uid`, each under a name of its own: the policy itself as long as nobody has looked.
    pub fn of(&self, uid: &str) -> Vec<String> {
        let Some(posted) = self.lock().get(uid).cloned() else { return vec![uid.to_owned()] };
        let on = |(target, connections): (&String, &Option<Vec<String>>)| match connections {
            None => vec![format!("{uid}{target}")],
            Some(connections) => connections.iter().map(|name| format!("{uid}{target}/{name}")).collect(),
        };
        posted.iter().flat_map(on).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_or_target_that_nobody_looked_at_counts_once() {
        let endings = Endings::default();
        assert_eq!(endings.of("u"), ["u"]);
        endings.expect("u", ["/t".to_owned(), "/v".to_owned()].into_iter());
        assert_eq!(endings.of("u"), ["u/t", "u/v"]);
        assert!(endings.post("u", "/t".into(), vec!["a".into(), "b".into()]));
        assert!(!endings.post("u", "/t".into(), vec!["a".into(), "b".into()]));
        endings.expect("u", ["/t".to_owned(), "/v".to_owned()].into_iter());
        assert_eq!(endings.of("u"), ["u/t/a", "u/t/b", "u/v"]);
        endings.expect("u", ["/t".to_owned()].into_iter());
        assert_eq!(endings.of("u"), ["u/t/a", "u/t/b"], "a target that left ends nothing any more");
        assert!(endings.post("u", "/t".into(), Vec::new()) && endings.post("u", "/v".into(), Vec::new()));
        assert!(endings.of("u").is_empty());
        endings.forget("u");
        assert_eq!(endings.of("u"), ["u"]);
    }
}
