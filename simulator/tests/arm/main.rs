//! The simulator as its clients see it: over TLS, with tokens, by status codes, headers and bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod approvals;
mod authorization;
mod command_line;
mod computes;
#[path = "../contract/mod.rs"]
mod contract;
mod control;
mod datastores;
mod delegation;
mod dns;
mod endpoints;
mod exchanges;
mod faults;
mod federation;
mod identities;
mod issuer;
mod lab;
mod manners;
mod monitor;
mod networks;
mod online_endpoints;
mod operations;
mod policies;
mod program;
mod reachability;
mod registries;
mod resources;
mod robustness;
mod rules;
mod sql;
mod storage;
mod synapse;
mod targets;
mod tenants;
mod throttling;
mod tokens;
mod types;
mod vaults;
mod workspace_deletion;
mod workspace_isolation;
mod workspaces;
mod worlds;
