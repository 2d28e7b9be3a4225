//! The operator's executable: its command line, and what only a process can show: being killed, and several at once.
//!
//! A process looks at everything in its cluster, so these tests have a cluster to themselves and use it in turn.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy knows a test by its attribute; helpers of tests have none"
)]

#[expect(dead_code, reason = "the in-process tests use more of it")]
#[path = "../integration/support.rs"]
mod support;

#[expect(dead_code, reason = "the benchmarks use more of it")]
mod executable;

mod audit;
mod command_line;
mod killed;
mod leadership;

/// The executable under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_aml-operator");

/// Held by the test whose processes run at present.
static CLUSTER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
