//! The firewall of a storage account, key vault or registry: what it is, what it shall be, and the fragments of a PATCH between the two.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::api::workspace::Access;
use crate::azure::network_rules::NetworkRules;
use crate::plan::difference::{Comparison, Difference, Mend};

use super::declared::Posture;
use super::entries::{Entry, List, listed};

/// The word for services that Azure trusts.
const TRUSTED: &str = "AzureServices";
/// What a resource's rules do with whom they do not name.
pub(super) const DEFAULT_ACTION: &str = "defaultAction";
/// The switch of the public address.
pub(super) const PUBLIC_ACCESS: &str = "properties.publicNetworkAccess";

/// What the firewalls of the types differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// The member of `properties` that holds the rules.
    pub(super) member: &'static str,
    /// The lists in it.
    pub(super) lists: &'static [List],
    /// Whether an entry names what it does (`action: Allow`).
    pub(super) acts: bool,
    /// Where the bypass is if not among the rules.
    pub(super) bypass: Option<&'static str>,
}

/// A firewall as it was shown; a resource without one is open.
#[derive(Clone, Debug)]
pub(super) struct Firewall<'a> {
    /// Of which type.
    pub(super) style: Style,
    /// The switch of the public address.
    pub(super) access: Option<&'a str>,
    /// The rules.
    pub(super) rules: NetworkRules,
    /// The bypass.
    pub(super) bypass: Option<&'a str>,
}

/// Which entries shall be there, and which shall not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entries {
    /// Those that the manifest declares.
    pub(super) wanted: BTreeSet<Entry>,
    /// Those that are there and shall go.
    pub(super) goes: BTreeSet<Entry>,
}

/// The switch of the public address as it shall be.
pub(super) fn switch(posture: &Posture) -> &'static str {
    if posture.access == Access::PrivateEndpoint { "Disabled" } else { "Enabled" }
}

fn default_action(posture: &Posture) -> &'static str {
    // Also behind a closed switch, so that whoever opens that opens nothing yet.
    if posture.denies() { "Deny" } else { "Allow" }
}

/// The bypass with or without the services that Azure trusts; what else is in it stays.
fn bypass(shown: &str, trusts: bool) -> String {
    let others =
        |part: &&str| !part.is_empty() && !part.eq_ignore_ascii_case("None") && !part.eq_ignore_ascii_case(TRUSTED);
    let mut parts: Vec<&str> = shown.split(',').map(str::trim).filter(others).collect();
    if trusts {
        parts.push(TRUSTED);
    }
    if parts.is_empty() { "None".to_owned() } else { parts.join(", ") }
}

fn property(name: &str, value: impl Into<Value>) -> Value {
    json!({ "properties": { name: value.into() } })
}

impl Firewall<'_> {
    fn within(&self, member: &str, value: impl Into<Value>) -> Mend {
        Mend::Patch(property(self.style.member, json!({ member: value.into() })))
    }

    fn field(&self, member: &str) -> String {
        format!("properties.{}.{member}", self.style.member)
    }

    /// Whether a service that Azure trusts comes in.
    fn trusts(&self) -> bool {
        self.bypass.unwrap_or(TRUSTED).split(',').any(|part| part.trim().eq_ignore_ascii_case(TRUSTED))
    }

    /// Where it is not as it shall be.
    pub(super) fn compare(&self, posture: &Posture, entries: &Entries, found: &mut Comparison) {
        // Microsoft's types: one that says nothing is open, and lets in whom Azure trusts.
        let switch = switch(posture);
        let patch = Mend::Patch(property("publicNetworkAccess", switch));
        found.word(PUBLIC_ACCESS, Some(self.access.unwrap_or("Enabled")), switch, patch);
        let shown = self.rules.default_action.as_deref().unwrap_or("Allow");
        let action = default_action(posture);
        if !shown.eq_ignore_ascii_case(action) {
            found.note(self.field(DEFAULT_ACTION), Some(shown), action, self.within(DEFAULT_ACTION, action));
        }
        if let Some(trusts) = posture.trusted_services.filter(|trusts| *trusts != self.trusts()) {
            let shown = self.bypass.unwrap_or(TRUSTED);
            let wanted = bypass(shown, trusts);
            let (field, mend) = match self.style.bypass {
                Some(name) => (format!("properties.{name}"), Mend::Patch(property(name, wanted.as_str()))),
                None => (self.field("bypass"), self.within("bypass", wanted.as_str())),
            };
            found.note(field, Some(shown), wanted, mend);
        }
        for list in self.style.lists {
            let there = list.entries(&self.rules);
            let laid = list.laid(&self.rules, &entries.wanted, &entries.goes, self.style.acts);
            let after = list.read(&laid);
            if after != there {
                let words = |entries: &BTreeSet<Entry>| Some(listed(entries.iter())).filter(|words| !words.is_empty());
                found.0.push(Difference {
                    field: self.field(list.member()).into(),
                    found: words(&there),
                    wanted: words(&after),
                    mend: self.within(list.member(), laid),
                });
            }
        }
    }

    /// The rules as they were shown, to be laid under a PATCH that changes any of them: Azure takes them as a whole.
    pub(super) fn whole(&self) -> Value {
        let mut rules = Map::new();
        let action = self.rules.default_action.as_deref().unwrap_or("Allow");
        rules.insert(DEFAULT_ACTION.into(), action.into());
        if let Some(bypass) = self.bypass.filter(|_| self.style.bypass.is_none()) {
            rules.insert("bypass".into(), bypass.into());
        }
        for list in self.style.lists {
            rules.insert(list.member().into(), list.of(&self.rules).to_vec().into());
        }
        property(self.style.member, Value::Object(rules))
    }

    /// The properties with which a resource of this type is created; its rules are those that are `shown`, with the entries laid over.
    pub(super) fn creation(style: Style, posture: &Posture, shown: &NetworkRules, entries: &Entries) -> Value {
        let mut rules = Map::new();
        rules.insert(DEFAULT_ACTION.into(), default_action(posture).into());
        for list in style.lists {
            rules.insert(list.member().into(), list.laid(shown, &entries.wanted, &entries.goes, style.acts).into());
        }
        let mut properties = json!({ "publicNetworkAccess": switch(posture) });
        if let Some(trusts) = posture.trusted_services {
            let word = bypass("", trusts);
            match style.bypass {
                Some(name) => properties[name] = word.into(),
                None => {
                    rules.insert("bypass".into(), word.into());
                }
            }
        }
        properties[style.member] = Value::Object(rules);
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bypass_keeps_what_else_is_in_it() {
        for (shown, trusts, want) in [
            ("None", true, "AzureServices"),
            ("", true, "AzureServices"),
            ("Logging, Metrics", true, "Logging, Metrics, AzureServices"),
            ("Logging,AzureServices", false, "Logging"),
            ("AzureServices", false, "None"),
        ] {
            assert_eq!(bypass(shown, trusts), want, "{shown:?} {trusts}");
        }
    }
}
