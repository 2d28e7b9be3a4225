//! The operator's objects and their events, as `kubectl get -o json` shows them.

use serde::Deserialize;
use serde_json::Value;

/// The kinds, as the API server knows them, in the order in which they are told of.
pub(crate) const KINDS: [&str; 6] = [
    "AzureConnection",
    "AmlWorkspace",
    "OutboundRule",
    "VnetAttachment",
    "PrivateEndpointApproval",
    "ApprovalDecision",
];

/// What `kubectl get` is asked for to see them all.
pub(crate) const RESOURCES: &str = "azureconnections.aml-operator.io,amlworkspaces.aml-operator.io,\
     outboundrules.aml-operator.io,vnetattachments.aml-operator.io,privateendpointapprovals.aml-operator.io,\
     approvaldecisions.aml-operator.io,events.events.k8s.io";

/// The group of the kinds.
const GROUP: &str = "aml-operator.io/";

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its place in [`KINDS`].
    order: usize,
    /// Its namespace; empty for a connection.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Key {
    /// The object of `kind`, if it is one of ours.
    pub(crate) fn new(kind: &str, namespace: &str, name: &str) -> Option<Self> {
        let order = KINDS.iter().position(|known| *known == kind)?;
        Some(Self { order, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        KINDS.get(self.order).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kind(), self.namespace, self.name)
    }
}

/// Puts what is the same for several objects of one kind and namespace together, where the first of them stands.
pub(crate) fn together<T: PartialEq>(items: Vec<(Key, T)>) -> Vec<(Vec<Key>, T)> {
    let mut groups: Vec<(Vec<Key>, T)> = Vec::new();
    for (key, item) in items {
        let same = |keys: &[Key]| keys.iter().all(|other| other.order == key.order && other.namespace == key.namespace);
        match groups.iter_mut().find(|(keys, known)| *known == item && same(keys) && !keys.contains(&key)) {
            Some((keys, _)) => keys.push(key),
            None => groups.push((vec![key], item)),
        }
    }
    groups
}

/// Several objects of one kind and namespace: `OutboundRule team/a, b`.
pub(crate) fn named(keys: &[Key]) -> String {
    let Some((first, others)) = keys.split_first() else { return String::new() };
    let names = others.iter().map(|key| key.name.as_str());
    some(std::iter::once(first.to_string().as_str()).chain(names))
}

/// How many names of many are told.
const TOLD: usize = 5;

/// The first of many names, and how many there are besides.
pub(crate) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len().saturating_sub(TOLD) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..TOLD].join(", ")),
    }
}

/// Text at a JSON pointer; empty if there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a JSON pointer; empty if there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What one look at the cluster showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    objects: Vec<(Key, Value)>,
    events: Vec<Value>,
}

impl Look {
    /// Sorts the items of a `List` into the operator's objects and the events about them.
    pub(crate) fn new(answer: &Value) -> Self {
        let mut look = Self::default();
        for item in list(answer, "/items") {
            let kind = text(item, "/kind");
            if kind == "Event" {
                if text(item, "/regarding/apiVersion").starts_with(GROUP) {
                    look.events.push(item.clone());
                }
            } else if let Some(key) = Key::new(kind, text(item, "/metadata/namespace"), text(item, "/metadata/name")) {
                look.objects.push((key, item.clone()));
            }
        }
        look.objects.sort_by(|(a, _), (b, _)| a.cmp(b));
        look
    }

    /// The objects, connections first.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter().map(|(key, object)| (key, object))
    }

    /// The objects of one kind.
    pub(crate) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        self.objects().filter(move |(key, _)| key.kind() == kind)
    }

    /// The events.
    pub(crate) fn events(&self) -> &[Value] {
        &self.events
    }
}

/// A condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Condition {
    /// Name of the aspect.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Why, in a word.
    pub(crate) reason: String,
    /// Why, for people.
    pub(crate) message: String,
}

impl Condition {
    /// Whether it holds.
    pub(crate) fn holds(&self) -> bool {
        self.status == "True"
    }
}

/// The conditions of an object.
pub(crate) fn conditions(object: &Value) -> Vec<Condition> {
    list(object, "/status/conditions").iter().filter_map(|value| Condition::deserialize(value).ok()).collect()
}

/// One condition of an object.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<Condition> {
    conditions(object).into_iter().find(|condition| condition.kind == kind)
}

/// A role that somebody has to give, as the rule's status states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MissingRole {
    /// Where.
    pub(crate) scope: String,
    /// Which.
    pub(crate) role: String,
    /// To whom.
    pub(crate) principal_id: String,
    /// The command that gives it.
    pub(crate) command: String,
}

/// The role that a rule says it waits for.
pub(crate) fn missing_role(rule: &Value) -> Option<MissingRole> {
    let waits = condition(rule, "Ready").is_some_and(|ready| !ready.holds() && ready.reason == "ApproverRoleMissing");
    rule.pointer("/status/missingRole").filter(|_| waits).and_then(|role| MissingRole::deserialize(role).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_for_several_objects_is_told_once() {
        let key = |kind, name| Key::new(kind, "team", name).unwrap();
        let items = vec![
            (key("OutboundRule", "a"), "waiting"),
            (key("OutboundRule", "a"), "active"),
            (key("OutboundRule", "b"), "waiting"),
            (key("AmlWorkspace", "a"), "waiting"),
        ];
        let told: Vec<_> = together(items).iter().map(|(keys, item)| format!("{} {item}", named(keys))).collect();
        assert_eq!(
            told,
            ["OutboundRule team/a, b waiting", "OutboundRule team/a active", "AmlWorkspace team/a waiting"]
        );
        assert_eq!(some(["a", "b", "c", "d", "e", "f", "g"].into_iter()), "a, b, c, d, e and 2 more");
    }
}
