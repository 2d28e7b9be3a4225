//! Azure Resource Manager as a protocol: clouds, tokens, requests, pages, long-running operations, throttling, errors.
//! Nothing here knows Kubernetes, and nothing here decides what Azure should look like.
//!
//! Waiting belongs to the caller: an answer, its `Retry-After` and the URL of the operation it started are data.

mod bucket;
pub mod client;
pub mod cloud;
pub mod codes;
pub mod credential;
pub mod error;
pub mod operation;
pub mod page;
pub mod path;
mod sts;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod transport;
