//! What ARM shows of workspaces, as their own lanes saw it last: what attaches to a workspace is decided on this, and does not ask
//! ARM for it once more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::ids::ArmId;
use crate::plan::attached::View;

/// All views, by the workspace's id. Lost with the process; each lane's first turn posts anew.
#[derive(Debug, Default)]
pub struct Views(Mutex<HashMap<String, Arc<View>>>);

impl Views {
    /// Posts what ARM shows of the workspace `id`; true if that is news.
    pub fn post(&self, id: &ArmId, view: View) -> bool {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if views.get(&id.key()).is_some_and(|known| **known == view) {
            return false;
        }
        views.insert(id.key(), Arc::new(view));
        true
    }

    /// What ARM showed of the workspace `id`; `None` if nobody has looked.
    pub fn read(&self, id: &ArmId) -> Option<Arc<View>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id.key()).cloned()
    }

    /// Forgets a workspace to which nothing is attached.
    pub fn forget(&self, id: &ArmId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.key());
    }
}
