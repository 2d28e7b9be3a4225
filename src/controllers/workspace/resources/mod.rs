//! What a workspace is made of, in the workspace's turn: one look at each resource, one decision each, their writes. Each resource has a
//! lane of its own, since several workspaces may share it and Azure takes the lists of whom it lets in as a whole.

mod look;
mod peers;
mod said;
mod write;

use jiff::Timestamp;

pub(super) use look::look;
pub(super) use said::{RESOURCES_READY, Said};
pub(super) use write::write;

use crate::runtime::writes::Writes;

/// What is remembered of the resources between turns. All of it can be lost: then they are read again.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResourceMemory {
    /// Their writes.
    pub(super) writes: Writes,
    /// What was said of them last; `None` until they were looked at.
    pub(super) said: Option<Said>,
    /// When all of them were last seen to be as declared, and by which declaration.
    settled: Option<Settled>,
}

/// When all resources were last seen to be as declared.
#[derive(Clone, Debug, PartialEq)]
struct Settled {
    at: Timestamp,
    /// The generation of the spec.
    generation: Option<i64>,
    /// The annotation that asks for a look now.
    token: String,
}
