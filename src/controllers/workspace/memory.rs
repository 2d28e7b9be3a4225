//! What a lane remembers between turns. All of it can be lost: then a few reads are done again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::posture::PostureMemory;
use super::resources::ResourceMemory;
use super::roles::RoleMemory;
use crate::api::ids::ArmId;
use crate::api::operation::Operation;
use crate::plan::Verdict;
use crate::plan::rules::{RuleMemory, RuleWrite};

/// A write that went out, and how it fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// Hash of what was asked, and of the annotation that asks for a retry.
    pub hash: String,
    /// When ARM took it last.
    pub at: Timestamp,
    /// How often in a row ARM took it.
    pub times: u32,
    /// Until when it is not sent again, because ARM refused it, and what to say meanwhile.
    pub refused: Option<(Timestamp, Verdict)>,
}

/// What one workspace's lane remembers.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Operations under way, once this process knows of them: fresher than any cached status, and not forgeable.
    pub operations: Vec<Operation>,
    /// False until the operations of the status, which others can write to, have been taken over.
    pub informed: bool,
    /// The rules' write under way, to know whose failure it is.
    pub rule_write: Option<RuleWrite>,
    /// The last write, to notice one that ARM takes again and again without showing it.
    pub last_write: Option<LastWrite>,
    /// When the workspace was last seen being changed.
    pub last_busy: Option<Timestamp>,
    /// How often in a row the operation was not found.
    pub lost_polls: u32,
    /// ARM refused the creation, since it keeps a deleted workspace of that name.
    pub soft_deleted: bool,
    /// That one was purged, and has not made room yet.
    pub purged: bool,
    /// What the rules' engine remembers.
    pub rules: RuleMemory,
    /// What is remembered of what the workspace is made of.
    pub(super) resources: ResourceMemory,
    /// What is remembered of roles.
    pub(super) role_memory: RoleMemory,
    /// What is remembered of the posture.
    pub(super) posture: PostureMemory,
    /// Object id of the identity that acts for the workspace, as last read.
    pub principal: Option<String>,
}

impl Memory {
    /// All operations under way, as the status records them.
    pub(super) fn on_record(&self) -> Vec<Operation> {
        self.operations.iter().chain(self.resources.writes.operations()).cloned().collect()
    }
}

/// The memories of all lanes: one for each object, so that two objects for one workspace never mix up their operations, and
/// for each workspace the owner tag as last read, whichever object read it.
#[derive(Clone, Debug, Default)]
pub struct Memories(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    lanes: HashMap<String, Memory>,
    tags: HashMap<String, String>,
}

impl Memories {
    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the memory of the object `uid` for a turn in its lane.
    pub fn take(&self, uid: &str) -> Memory {
        self.lock().lanes.remove(uid).unwrap_or_default()
    }

    /// Puts it back after the turn.
    pub fn put(&self, uid: &str, memory: Memory) {
        self.lock().lanes.insert(uid.to_owned(), memory);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().lanes.remove(uid);
    }

    /// The owner tag of workspace `id` as last read.
    pub fn owner_tag(&self, id: &ArmId) -> Option<String> {
        self.lock().tags.get(&id.key()).cloned()
    }

    /// Notes the owner tag of workspace `id`; true if it is another one than before.
    pub fn note_owner_tag(&self, id: &ArmId, tag: Option<&str>) -> bool {
        let tags = &mut self.lock().tags;
        match tag {
            Some(tag) => tags.insert(id.key(), tag.to_owned()).as_deref() != Some(tag),
            None => tags.remove(&id.key()).is_some(),
        }
    }
}
