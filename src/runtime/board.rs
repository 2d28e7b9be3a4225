//! What a workspace's controller knows of its rules, for the rules' own controller to report: each object's status has one
//! writer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::Verdict;
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

/// What became of people's decisions, by uid. Lost with the process; the next turn of each policy posts anew.
#[derive(Clone, Debug, Default)]
pub struct Standings(Arc<Mutex<BTreeMap<String, Verdict>>>);

impl Standings {
    /// Posts what became of the decision `uid`; true if that is news.
    pub fn post(&self, uid: &str, verdict: Verdict) -> bool {
        let mut standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = standings.get(uid) != Some(&verdict);
        standings.insert(uid.to_owned(), verdict);
        news
    }

    /// What became of the decision `uid`.
    pub fn read(&self, uid: &str) -> Option<Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }

    /// Forgets a decision that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
