//! Whom a resource lets in by name: addresses, subnets, resource instances. Azure takes each list as a whole, so whoever writes one
//! writes everybody's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::azure::network_rules::NetworkRules;
use crate::plan::names::mark;

/// One entry of such a list, as ARM compares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// An address or a block.
    Address(String),
    /// A subnet's id.
    Subnet(String),
    /// A resource instance: the tenant's id and the resource's, in which `*` may stand for a name.
    Instance {
        /// The tenant.
        tenant: String,
        /// The resource.
        id: String,
    },
}

/// The lists that the rules of a resource have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Addresses,
    Subnets,
    Instances,
}

/// One address is a block of one: vaults show it so.
pub(super) fn block(address: &str) -> String {
    address.strip_suffix("/32").unwrap_or(address).to_owned()
}

impl Entry {
    /// What it is called: what people read in the status, and acknowledge.
    pub fn words(&self) -> String {
        match self {
            Self::Address(address) => address.clone(),
            Self::Subnet(id) => id.clone(),
            Self::Instance { tenant, id } => format!("{id}@{tenant}"),
        }
    }

    /// What it is remembered by.
    pub fn mark(&self) -> String {
        mark(&self.words())
    }

    fn list(&self) -> List {
        match self {
            Self::Address(_) => List::Addresses,
            Self::Subnet(_) => List::Subnets,
            Self::Instance { .. } => List::Instances,
        }
    }

    fn read(list: List, shown: &Value) -> Option<Self> {
        let text = |name: &str| shown[name].as_str().map(str::to_ascii_lowercase);
        match list {
            List::Addresses => text("value").map(|value| Self::Address(block(&value))),
            List::Subnets => text("id").map(Self::Subnet),
            List::Instances => {
                let tenant = text("tenantId").unwrap_or_default();
                text("resourceId").map(|id| Self::Instance { tenant, id })
            }
        }
    }

    /// The entry as a request has it; `acts` says whether entries of the type name what they do.
    fn to_value(&self, acts: bool) -> Value {
        let mut value = match self {
            Self::Address(address) => json!({ "value": address }),
            Self::Subnet(id) => json!({ "id": id }),
            Self::Instance { tenant, id } => return json!({ "tenantId": tenant, "resourceId": id }),
        };
        if acts {
            value["action"] = "Allow".into();
        }
        value
    }
}

impl List {
    /// The lists, in the order in which ARM shows them.
    pub(super) const ALL: [Self; 3] = [Self::Addresses, Self::Subnets, Self::Instances];

    /// The member that holds it.
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Addresses => "ipRules",
            Self::Subnets => "virtualNetworkRules",
            Self::Instances => "resourceAccessRules",
        }
    }

    /// The list as it was shown.
    pub(super) fn of(self, rules: &NetworkRules) -> &[Value] {
        let list = match self {
            Self::Addresses => &rules.ip_rules,
            Self::Subnets => &rules.virtual_network_rules,
            Self::Instances => &rules.resource_access_rules,
        };
        list.as_deref().unwrap_or_default()
    }

    /// The entries in `shown`. What cannot be read is nobody's, and stays.
    pub(super) fn read(self, shown: &[Value]) -> BTreeSet<Entry> {
        shown.iter().filter_map(|shown| Entry::read(self, shown)).collect()
    }

    /// The entries of the list as it was shown.
    pub(super) fn entries(self, rules: &NetworkRules) -> BTreeSet<Entry> {
        self.read(self.of(rules))
    }

    /// The list as it shall be: what was shown, as it was shown, without what `goes`, and with what is `wanted` of this list. `acts` says
    /// whether entries of the type name what they do.
    pub(super) fn laid(
        self,
        rules: &NetworkRules,
        wanted: &BTreeSet<Entry>,
        goes: &BTreeSet<Entry>,
        acts: bool,
    ) -> Vec<Value> {
        let there = self.entries(rules);
        let stays = |shown: &&Value| Entry::read(self, shown).is_none_or(|entry| !goes.contains(&entry));
        let added = wanted
            .iter()
            .filter(|entry| entry.list() == self && !there.contains(entry))
            .map(|entry| entry.to_value(acts));
        self.of(rules).iter().filter(stays).cloned().chain(added).collect()
    }
}

/// All entries that a resource shows.
pub(super) fn shown(rules: &NetworkRules) -> BTreeSet<Entry> {
    List::ALL.iter().flat_map(|list| list.entries(rules)).collect()
}

/// What a list of entries is called in a difference.
pub(super) fn listed<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    entries.map(Entry::words).collect::<Vec<_>>().join(",")
}

/// The marks of `entries`, as status and tag keep them, of at most `limit` characters.
pub(super) fn marks<'a>(entries: impl Iterator<Item = &'a Entry>, limit: usize) -> String {
    let mut text = String::new();
    for mark in entries.map(Entry::mark) {
        if text.len() + mark.len() + 1 > limit {
            break;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&mark);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> NetworkRules {
        serde_json::from_value(json!({
            "defaultAction": "Deny",
            "ipRules": [{"value": "20.1.2.3/32", "action": "Allow"}, {"what": "is this"}],
            "virtualNetworkRules": [{"id": "/S/Subnets/A", "action": "Allow", "state": "Succeeded"}],
            "resourceAccessRules": [{"tenantId": "T", "resourceId": "/R"}],
        }))
        .unwrap()
    }

    #[test]
    fn a_list_is_laid_over_as_it_was_shown() {
        let new = Entry::Address("20.9.9.9".into());
        let there = Entry::Address("20.1.2.3".into());
        let wanted = BTreeSet::from([new.clone(), there.clone(), Entry::Subnet("/s/subnets/b".into())]);
        let laid = List::Addresses.laid(&rules(), &wanted, &BTreeSet::new(), true);
        assert_eq!(
            Value::from(laid),
            json!([{"value": "20.1.2.3/32", "action": "Allow"}, {"what": "is this"}, {"value": "20.9.9.9", "action": "Allow"}])
        );
        let laid = List::Addresses.laid(&rules(), &BTreeSet::new(), &BTreeSet::from([there]), true);
        assert_eq!(Value::from(laid), json!([{"what": "is this"}]));
        let gone = BTreeSet::from([Entry::Subnet("/s/subnets/a".into())]);
        assert_eq!(List::Subnets.laid(&rules(), &BTreeSet::new(), &gone, true), Vec::<Value>::new());
        let words: Vec<String> = shown(&rules()).iter().map(Entry::words).collect();
        assert_eq!(words, ["20.1.2.3", "/s/subnets/a", "/r@t"]);
    }

    #[test]
    fn marks_fit_into_what_holds_them() {
        let many: Vec<Entry> = (0..200).map(|number| Entry::Address(format!("20.0.0.{number}"))).collect();
        let text = marks(many.iter(), 256);
        assert!(text.len() <= 256 && text.split(',').count() >= 36, "{text}");
        assert!(text.split(',').zip(&many).all(|(mark, entry)| entry.mark() == mark));
        assert_eq!(marks([].iter(), 256), "");
    }
}
