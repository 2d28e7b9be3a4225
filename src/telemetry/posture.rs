//! How many flaws there are, by check and state, over all workspaces.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::registry::Registry;

use super::metrics::{Gauges, add};
use crate::api::workspace::{Check, FindingState};

/// How many there are of each check in each state.
pub type PostureCounts = BTreeMap<(Check, FindingState), usize>;

/// The gauges over all workspaces. A workspace is no label: its name is not everybody's to read.
pub(super) struct PostureGauges {
    findings: Gauges<2>,
    workspaces: Mutex<BTreeMap<String, PostureCounts>>,
}

impl PostureGauges {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            findings: add(
                registry,
                "aml_operator_posture",
                "What the checks of the workspaces' posture came to, by check and state.",
                Gauges::default(),
            ),
            workspaces: Mutex::default(),
        }
    }

    /// Takes in what was found at `workspace`; `None` once it is not looked at any more.
    pub(super) fn seen(&self, workspace: &str, counts: Option<PostureCounts>) {
        let mut workspaces = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match counts {
            Some(counts) if workspaces.get(workspace) == Some(&counts) => return,
            Some(counts) => workspaces.insert(workspace.to_owned(), counts),
            None => workspaces.remove(workspace),
        };
        if before.is_none() && !workspaces.contains_key(workspace) {
            return;
        }
        // All of them, so that a series exists before the first flaw.
        for check in Check::ALL {
            for state in FindingState::ALL {
                let sum: usize = workspaces.values().filter_map(|counts| counts.get(&(*check, state))).sum();
                let labels = [("check", check.as_str().into()), ("state", state.as_str().into())];
                self.findings.get_or_create(&labels).set(i64::try_from(sum).unwrap_or(i64::MAX));
            }
        }
    }
}
