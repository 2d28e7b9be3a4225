//! Lanes: work on one Azure resource that must not overlap, whichever object it comes from.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// All lanes in use, by key: a lower-cased ARM id, or a target's id with `/privateEndpointConnections`.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Arc<Mutex<HashSet<String>>>);

/// The right to be alone in a lane; dropping it leaves the lane.
#[derive(Debug)]
pub struct LaneGuard {
    lanes: Lanes,
    key: String,
}

impl Lanes {
    /// Enters the lane `key`, or returns `None` if somebody is in it; then one comes back later.
    pub fn enter(&self, key: impl Into<String>) -> Option<LaneGuard> {
        let key = key.into();
        let entered = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        entered.then(|| LaneGuard { lanes: self.clone(), key })
    }
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_in_each_lane() {
        let lanes = Lanes::default();
        let first = lanes.enter("a").unwrap();
        assert!(lanes.enter("a").is_none());
        assert!(lanes.enter("b").is_some());
        drop(first);
        assert!(lanes.enter("a").is_some());
    }
}
