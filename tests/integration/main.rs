//! The operator against a real kube-apiserver, kube-controller-manager and etcd, and the ARM simulator.
//!
//! One control plane serves the whole run. Each test has namespaces, a connection, a subscription, a simulator and an operator of
//! its own, and runs at a pace at which an hour is some seconds. Nothing here asserts how long anything takes.

// Everything here is test code: a panic with words is how it says what went wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod support;

mod approvals;
mod attacks;
mod bad_input;
mod columns;
mod computes;
mod datastores;
mod decisions;
mod deletion;
mod destinations;
mod doors;
mod effects;
mod examples;
mod fence;
mod index;
mod least_rights;
mod main_job;
mod narrowing;
mod networks;
mod observing;
mod online_endpoints;
mod posture;
mod proofs;
mod refusals;
mod requesters;
mod resources;
mod role_endings;
mod roles;
mod rollout;
mod scale;
mod steady;
mod synapse;
mod targets;
mod tenants;
mod under_way;
mod withdrawal;
mod workspaces;
