//! Whether somebody waits for a workspace's turn: that decides how soon its requests go when ARM's allowances run low, and
//! whether it may take any place or only one of those for turns that can wait.

use kube::Resource;

use super::Memory;
use crate::api::condition::{Condition, READY, find};
use crate::api::{AmlWorkspace, OutboundRule, RECONCILE_AT};
use crate::azure::client::Priority;
use crate::plan::Reason;
use crate::runtime::context::Context;
use crate::runtime::indexes::key_of;
use crate::runtime::status::has_finalizer;

/// What the cluster and the lane's memory show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signs {
    /// Something is being deleted.
    deleting: bool,
    /// Somebody changed a manifest, or asked for a look.
    changed: bool,
    /// A write is under way, or was the last thing done.
    under_way: bool,
}

impl Signs {
    fn priority(self) -> Priority {
        match self {
            Self { deleting: true, .. } => Priority::Urgent,
            Self { changed: true, .. } | Self { under_way: true, .. } => Priority::Change,
            _ => Priority::Resync,
        }
    }
}

/// How urgent a turn of `workspace` is, its rules included.
pub(super) fn urgency(context: &Context, workspace: &AmlWorkspace, memory: &Memory) -> Priority {
    let status = workspace.status.as_ref();
    let mut signs = Signs {
        deleting: workspace.metadata.deletion_timestamp.is_some(),
        changed: is_news(
            workspace,
            status.and_then(|status| status.observed_generation),
            status.and_then(|status| status.last_handled_reconcile_at.as_deref()),
        ) || status.is_some_and(|status| on_its_way(&status.conditions)),
        under_way: !memory.operations.is_empty() || memory.last_write.is_some() || memory.resources.writes.under_way(),
    };
    for rule in context.indexes.rules_of(&key_of(workspace)) {
        signs.deleting |= rule.metadata.deletion_timestamp.is_some() && has_finalizer(&rule);
        signs.changed |= rule_is_news(&rule);
    }
    signs.priority()
}

fn rule_is_news(rule: &OutboundRule) -> bool {
    let status = rule.status.as_ref();
    is_news(
        rule,
        status.and_then(|status| status.observed_generation),
        status.and_then(|status| status.last_handled_reconcile_at.as_deref()),
    ) || status.is_some_and(|status| on_its_way(&status.conditions))
}

/// True if what is said of an object is that it waits for a turn, or for what a turn began: its generation was seen, but whoever
/// applied it still waits.
fn on_its_way(conditions: &[Condition]) -> bool {
    const ON_ITS_WAY: [Reason; 5] =
        [Reason::Pending, Reason::Creating, Reason::Updating, Reason::Provisioning, Reason::Deleting];
    find(conditions, READY).is_some_and(|ready| ON_ITS_WAY.iter().any(|reason| reason.word() == ready.reason))
}

/// True if `object` says something that its status does not answer to.
fn is_news<K: Resource>(object: &K, answered: Option<i64>, token: Option<&str>) -> bool {
    let asked = object.meta().annotations.as_ref().and_then(|annotations| annotations.get(RECONCILE_AT));
    // The status keeps the first part of a long token.
    let same = |token: &str| asked.is_some_and(|asked| asked.chars().take(256).eq(token.chars()));
    object.meta().generation != answered || (asked.is_some() && !token.is_some_and(same))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_person_waits_for_goes_before_what_is_only_looked_at_again() {
        let none = Signs::default();
        for (signs, priority) in [
            (none, Priority::Resync),
            (Signs { changed: true, ..none }, Priority::Change),
            (Signs { under_way: true, ..none }, Priority::Change),
            (Signs { deleting: true, changed: true, under_way: true }, Priority::Urgent),
        ] {
            assert_eq!(signs.priority(), priority, "{signs:?}");
        }
        assert!(Priority::Urgent < Priority::Change && Priority::Change < Priority::Resync);
    }

    #[test]
    fn an_object_is_news_until_its_status_answers_to_it() {
        let rule = |generation: i64, token: Option<&str>, answered: Option<i64>, handled: Option<&str>| -> bool {
            let annotations = token.map(|token| json!({ RECONCILE_AT: token }));
            let rule: OutboundRule = serde_json::from_value(json!({
                "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
                "metadata": {"name": "r", "generation": generation, "annotations": annotations},
                "spec": {"workspaceRef": {"name": "fraud"}, "fqdn": "pytorch.org"},
                "status": {"observedGeneration": answered, "lastHandledReconcileAt": handled},
            }))
            .unwrap();
            rule_is_news(&rule)
        };
        assert!(rule(1, None, None, None) && rule(2, None, Some(1), None));
        assert!(rule(1, Some("now"), Some(1), None) && rule(1, Some("now"), Some(1), Some("then")));
        assert!(!rule(1, None, Some(1), None) && !rule(1, Some("now"), Some(1), Some("now")));
        let said = |reason: &str| {
            let time = "2026-01-01T00:00:00Z";
            let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": "", "lastTransitionTime": time});
            on_its_way(&[serde_json::from_value(ready).unwrap()])
        };
        assert!(said("Pending") && said("Updating"), "seen, and still waited for");
        assert!(!said("Active") && !said("AzureUnavailable") && !said("EgressNotAllowed"));
        let long = "x".repeat(300);
        assert!(!rule(1, Some(&long), Some(1), Some(&long[..256])), "a token that was cut is the same");
    }
}
