//! What a workspace's controller knows of its rules, for the rules' own controller to report: each object's status has one
//! writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::rules::{ObjectKey, RuleState};

/// What is known of one rule, and of which version of its object that speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Posting {
    /// Uid of the workspace's object whose lane posted it.
    pub workspace: String,
    /// The object's uid.
    pub uid: String,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// What is known.
    pub state: RuleState,
    /// True if it speaks of an object that is being deleted.
    pub deleting: bool,
}

/// All postings. Lost with the process; the next turn of each lane posts anew.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<ObjectKey, Posting>>>);

impl Board {
    /// Posts what is known of `key`; true if that is news.
    pub fn post(&self, key: ObjectKey, posting: Posting) -> bool {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if board.get(&key) == Some(&posting) {
            return false;
        }
        board.insert(key, posting);
        true
    }

    /// What is known of `key`.
    pub fn read(&self, key: &ObjectKey) -> Option<Posting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Forgets `key`, whose object is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
