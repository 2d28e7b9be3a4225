//! The simulator as its clients see it: over TLS, with tokens, by status codes, headers and bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod approvals;
mod authorization;
mod computes;
mod control;
mod delegation;
mod endpoints;
mod exchanges;
mod faults;
mod federation;
mod issuer;
mod identities;
mod lab;
mod manners;
mod operations;
mod program;
mod registries;
mod resources;
mod rules;
mod throttling;
mod sql;
mod storage;
mod tokens;
mod vaults;
mod workspaces;
