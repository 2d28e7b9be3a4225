//! Decisions: pure functions from what is wanted and what was seen to what is to be done and said.
//!
//! Nothing here waits, calls, reads a clock or draws randomness; the time comes in as an argument. The controllers, the
//! `Observe` policy and the tests all ask the same functions.

pub mod admission;
pub mod approval;
pub mod attached;
pub mod breaker;
pub mod compute;
pub mod cover;
pub mod datastore;
pub mod decisions;
pub mod destination;
pub mod difference;
pub mod effective;
mod existing;
pub mod fence;
#[cfg(test)]
mod histories;
pub mod intent;
pub mod looks;
pub mod names;
pub mod online_endpoint;
pub mod outcome;
pub mod overdue;
mod own_identity;
pub mod ownership;
pub mod posture;
pub mod proof;
pub mod requester;
pub mod resources;
pub mod roles;
pub mod rule_body;
pub mod rules;
pub mod signatures;
pub mod step;
pub mod synapse;
pub mod targets;
#[cfg(test)]
mod testing;
pub mod vnet;
pub mod withdrawal;
pub mod workspace;

pub use outcome::{Reason, Verdict};
