//! Azure Resource Manager as a protocol: clouds, tokens, requests, pages, long-running operations, throttling, errors.
//! Nothing here knows Kubernetes, and nothing here decides what Azure should look like.
//!
//! Waiting belongs to the caller: an answer, its `Retry-After` and the URL of the operation it started are data.

pub mod authorization;
mod bucket;
pub mod client;
pub mod cloud;
pub mod codes;
pub mod compute;
pub mod container_registry;
pub mod credential;
pub mod datastore;
pub mod error;
pub mod insights;
pub mod key_vault;
pub mod machine_learning;
pub mod network;
pub mod network_rules;
pub mod online_endpoint;
pub mod operation;
pub mod page;
pub mod path;
pub mod place;
pub mod private_link;
pub mod private_zones;
pub mod resource;
pub mod storage;
mod sts;
pub mod synapse;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod transport;
