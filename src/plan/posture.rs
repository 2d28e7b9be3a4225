//! How secure a workspace is, with all it depends on and every network that is attached to it. One pure function from what was read to
//! a list of what was found; one table says how bad each flaw is and what to do about it.
//!
//! What Azure does not say, and what the operator may not read, is unknown: never a pass.

mod access;
mod connections;
mod dependency;
mod facts;
mod names;
mod networks;
mod outbound;
mod report;
mod results;
mod roles;
mod security_group;
mod table;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use dependency::{Dependency, DependencyKind, Exposure, PrivateConnection, Shown};
pub use facts::{
    BuildCompute, ComputeIsolation, Facts, HeldRole, Network, NetworkEndpoint, NetworkSubnet, RuleOfOther,
};
pub use report::{SECURE, Said, report};
pub use results::{ReportKind, Subject, to_object};
pub use security_group::{SecurityGroup, SecurityRule};
pub use table::{Row, row, to_markdown};

use crate::api::workspace::{Check, FindingState};

/// What a check came to on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The check.
    pub check: Check,
    /// ARM id of what it was about.
    pub resource: String,
    /// `Pass`, `Fail` or `Unknown`; waivers come later.
    pub state: FindingState,
    /// What was seen.
    pub evidence: String,
    /// Something else that the fix names, such as the id of a connection.
    pub about: String,
}

impl Sight {
    fn new(check: Check, resource: &str, state: FindingState, evidence: impl Into<String>) -> Self {
        Self { check, resource: resource.to_owned(), state, evidence: evidence.into(), about: String::new() }
    }

    fn pass(check: Check, resource: &str) -> Self {
        Self::new(check, resource, FindingState::Pass, "")
    }

    fn fail(check: Check, resource: &str, evidence: impl Into<String>) -> Self {
        Self::new(check, resource, FindingState::Fail, evidence)
    }

    fn unknown(check: Check, resource: &str, evidence: impl Into<String>) -> Self {
        Self::new(check, resource, FindingState::Unknown, evidence)
    }

    /// A flaw if `fails`.
    fn of(check: Check, resource: &str, fails: bool, evidence: impl Into<String>) -> Self {
        if fails { Self::fail(check, resource, evidence) } else { Self::pass(check, resource) }
    }

    /// The same, with what the fix names besides.
    fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }
}

/// Judges everything. The order says nothing.
pub fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let mut sights = access::judge(facts);
    sights.extend(outbound::judge(facts));
    sights.extend(connections::judge(facts));
    sights.extend(networks::judge(facts));
    sights.extend(roles::judge(facts));
    sights
}
