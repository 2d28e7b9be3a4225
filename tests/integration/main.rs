//! The operator against a real kube-apiserver, kube-controller-manager and etcd, and the ARM simulator.
//!
//! One control plane serves the whole run. Each test has namespaces, a connection, a subscription, a simulator and an operator of
//! its own, and runs at a pace at which an hour is some seconds. Nothing here asserts how long anything takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod support;

mod bad_input;
mod columns;
mod main_job;
mod refusals;
