//! What ARM shows of a workspace's rules, each found by its name at once: with hundreds of rules a search for each would cost
//! their square.

use std::collections::BTreeMap;

use crate::azure::machine_learning::OutboundRule;
use crate::plan::rule_body::RuleBody;

/// One rule as ARM shows it.
pub(super) struct ShownRule<'a> {
    /// The rule.
    pub(super) rule: &'a OutboundRule,
    /// Its content; `None` for a type that is not known.
    pub(super) body: Option<RuleBody>,
}

/// All rules that ARM shows, by name in lower case: ARM compares names without regard to case (ARM RPC, common-api-details).
pub(super) struct Shown<'a>(BTreeMap<String, ShownRule<'a>>);

impl<'a> Shown<'a> {
    pub(super) fn new(observed: &'a [OutboundRule]) -> Self {
        let read = |rule: &'a OutboundRule| ShownRule { rule, body: RuleBody::observed(rule) };
        Self(observed.iter().map(|rule| (rule.name.to_ascii_lowercase(), read(rule))).collect())
    }

    /// The rule of this name.
    pub(super) fn get(&self, name: &str) -> Option<&ShownRule<'a>> {
        self.0.get(&name.to_ascii_lowercase())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ShownRule<'a>> {
        self.0.values()
    }

    /// Whether any rule leads to a host name: then there is, or will be, a firewall.
    pub(super) fn has_fqdn(&self) -> bool {
        self.iter().any(|shown| matches!(shown.body, Some(RuleBody::Fqdn { .. })))
    }
}
