//! How many private endpoint connections there are on all targets of policies, and since when the oldest one waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics::{Gauges, add};

/// The states that are told apart; what Azure calls otherwise counts as `Other`.
const STATES: [&str; 5] = ["Pending", "Approved", "Rejected", "Disconnected", "Other"];

/// What one target shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsOnTarget {
    /// How many connections are in each state, as Azure spells it.
    pub by_state: BTreeMap<String, usize>,
    /// Since when the oldest pending one is known, in seconds since the Unix epoch.
    pub oldest_pending: Option<i64>,
}

/// The gauges over all targets. A target is no label: ids of resources are many, and not everybody's to read.
pub(super) struct ConnectionGauges {
    by_state: Gauges<1>,
    oldest_pending: Gauge,
    targets: Mutex<BTreeMap<String, ConnectionsOnTarget>>,
}

impl ConnectionGauges {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self {
            by_state: add(
                registry,
                "aml_private_endpoint_connections",
                "Private endpoint connections on the targets of policies, by state.",
                Gauges::default(),
            ),
            oldest_pending: add(
                registry,
                "aml_private_endpoint_connections_oldest_pending_timestamp_seconds",
                "Since when the oldest pending connection is known, 0 if none is pending.",
                Gauge::default(),
            ),
            targets: Mutex::default(),
        }
    }

    /// Takes in what `target` shows now; `None` once no policy looks at it any more.
    pub(super) fn seen(&self, target: &str, shown: Option<ConnectionsOnTarget>) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        match shown {
            Some(shown) => targets.insert(target.to_owned(), shown),
            None => targets.remove(target),
        };
        for state in STATES {
            let known = |name: &str| STATES.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
            let of_target = |shown: &ConnectionsOnTarget| -> usize {
                let counted = shown.by_state.iter().filter(|(name, _)| known(name).unwrap_or("Other") == state);
                counted.map(|(_, count)| *count).sum()
            };
            let sum: usize = targets.values().map(of_target).sum();
            self.by_state.get_or_create(&[("state", state.into())]).set(i64::try_from(sum).unwrap_or(i64::MAX));
        }
        let oldest = targets.values().filter_map(|shown| shown.oldest_pending).min();
        self.oldest_pending.set(oldest.unwrap_or_default());
    }
}
