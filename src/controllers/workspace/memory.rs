//! What a lane remembers between turns. All of it can be lost: then a few reads are done again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::api::operation::Operation;
use crate::azure::authorization::RoleDefinition;
use crate::plan::roles::RoleCheck;
use crate::plan::rules::{RuleMemory, RuleWrite};

/// A write that went out, and how often in a row the same one did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// Hash of verb, id and body.
    pub hash: String,
    /// When it went out last.
    pub at: Timestamp,
    /// How often in a row.
    pub times: u32,
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
    /// What the rules' engine remembers.
    pub rules: RuleMemory,
    /// Whether the workspace's identity may approve on a target, by the target's key, and when that was seen.
    pub roles: HashMap<String, (RoleCheck, Timestamp)>,
    /// Role definitions by id, and when they were read.
    pub definitions: HashMap<String, (RoleDefinition, Timestamp)>,
    /// Object id of the identity that acts for the workspace, as last read.
    pub principal: Option<String>,
    /// The owner tag as last read.
    pub owner_tag: Option<String>,
    /// The uid of the object that had the last turn; another object starts with its own status.
    pub uid: Option<String>,
}

/// The memories of all lanes, by the workspace's key.
#[derive(Clone, Debug, Default)]
pub struct Memories(Arc<Mutex<HashMap<String, Memory>>>);

impl Memories {
    /// Takes the memory of `id` for a turn in its lane.
    pub fn take(&self, id: &ArmId) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.key()).unwrap_or_default()
    }

    /// Puts it back after the turn.
    pub fn put(&self, id: &ArmId, memory: Memory) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.key(), memory);
    }
}
