//! Which connections wait to be withdrawn, by policy, for the breaker. Lost with the process: until its lane has looked, a policy
//! that ends counts as one removal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The names of the connections that end with a policy, by the policy's uid.
#[derive(Debug, Default)]
pub struct Endings(Mutex<HashMap<String, Vec<String>>>);

impl Endings {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts what waits for the policy `uid`; true if that is news.
    pub fn post(&self, uid: &str, connections: Vec<String>) -> bool {
        self.lock().insert(uid.to_owned(), connections.clone()) != Some(connections)
    }

    /// Forgets a policy that is gone or goes on.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// What waits for the policy `uid`, each under a name of its own: the policy itself as long as nobody has looked.
    pub fn of(&self, uid: &str) -> Vec<String> {
        let posted = self.lock().get(uid).cloned();
        posted.map_or_else(
            || vec![uid.to_owned()],
            |connections| connections.iter().map(|connection| format!("{uid}/{connection}")).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_nobody_looked_at_counts_once() {
        let endings = Endings::default();
        assert_eq!(endings.of("u"), ["u"]);
        assert!(endings.post("u", vec!["a".into(), "b".into()]));
        assert!(!endings.post("u", vec!["a".into(), "b".into()]));
        assert_eq!(endings.of("u"), ["u/a", "u/b"]);
        assert!(endings.post("u", Vec::new()) && endings.of("u").is_empty());
        endings.forget("u");
        assert_eq!(endings.of("u"), ["u"]);
    }
}
