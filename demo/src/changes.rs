//! What is different from the last look: conditions and the facts beside them, and events that are new.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::objects::{Condition, Key, Look, conditions, list, text};

/// Conditions that repeat Ready's words for tools; what they add is told with Ready.
const ECHOES: [&str; 2] = ["Reconciling", "Stalled"];

/// Facts of a status worth telling: the JSON pointer, and the words for it.
const FACTS: [(&str, &str); 8] = [
    ("/status/isolationMode", "isolation in Azure"),
    ("/status/network", "managed network in Azure"),
    ("/status/rules", "active rules"),
    ("/status/serviceStatus", "rule in Azure"),
    ("/status/users", "used by"),
    ("/status/approved", "approved"),
    ("/status/pending", "pending"),
    ("/status/unmatched", "unmatched"),
];

/// One thing that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is there.
    Appeared,
    /// A condition is new or says something else.
    Condition {
        /// What it says.
        condition: Condition,
        /// Whether only a change of the object's spec can help.
        stalled: bool,
    },
    /// Other members of its status, in one line.
    Facts(String),
    /// What its status says of a private endpoint connection.
    Connection {
        /// The endpoint that asks, and why it was decided so.
        about: String,
        /// State and decision.
        said: String,
    },
    /// It is being deleted.
    Leaving,
    /// It is no longer there.
    Gone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Snapshot {
    conditions: Vec<Condition>,
    facts: Vec<String>,
    /// What is said of each endpoint's connection, and why.
    connections: BTreeMap<String, (String, String)>,
    leaving: bool,
}

impl Snapshot {
    fn of(object: &Value) -> Self {
        let mut facts = Vec::new();
        for (pointer, what) in FACTS {
            match object.pointer(pointer) {
                Some(Value::String(text)) => facts.push(format!("{what}: {text}")),
                Some(value) => facts.push(format!("{what}: {value}")),
                None => {}
            }
        }
        let told = |report: &Value| {
            let said = format!("{}, {}", text(report, "/state"), text(report, "/decision"));
            (text(report, "/privateEndpoint").to_owned(), (said, text(report, "/why").to_owned()))
        };
        Self {
            conditions: conditions(object),
            facts,
            connections: list(object, "/status/connections").iter().map(told).collect(),
            leaving: object.pointer("/metadata/deletionTimestamp").is_some(),
        }
    }

    fn since(&self, previous: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.leaving && !previous.leaving {
            changes.push(Change::Leaving);
        }
        let stalled = self.conditions.iter().any(|condition| condition.kind == "Stalled" && condition.holds());
        for condition in &self.conditions {
            if !ECHOES.contains(&condition.kind.as_str()) && !previous.conditions.contains(condition) {
                let stalled = stalled && condition.kind == "Ready";
                changes.push(Change::Condition { condition: condition.clone(), stalled });
            }
        }
        let fresh: Vec<&str> =
            self.facts.iter().filter(|fact| !previous.facts.contains(fact)).map(String::as_str).collect();
        if !fresh.is_empty() {
            changes.push(Change::Facts(fresh.join(", ")));
        }
        for (endpoint, (said, why)) in &self.connections {
            if previous.connections.get(endpoint).is_none_or(|(before, _)| before != said) {
                changes.push(Change::Connection { about: format!("{endpoint}: {why}"), said: said.clone() });
            }
        }
        changes
    }
}

/// What was there at the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    objects: BTreeMap<Key, Snapshot>,
    events: BTreeSet<(String, String)>,
}

impl Memory {
    /// What changed since the last look, object by object.
    pub(crate) fn changes(&mut self, look: &Look) -> Vec<(Key, Change)> {
        let mut changes = Vec::new();
        let mut now = BTreeMap::new();
        for (key, object) in look.objects() {
            let snapshot = Snapshot::of(object);
            let nothing = Snapshot::default();
            let previous = self.objects.get(key).unwrap_or_else(|| {
                changes.push((key.clone(), Change::Appeared));
                &nothing
            });
            changes.extend(snapshot.since(previous).into_iter().map(|change| (key.clone(), change)));
            now.insert(key.clone(), snapshot);
        }
        let gone = self.objects.keys().filter(|key| !now.contains_key(key));
        changes.extend(gone.map(|key| (key.clone(), Change::Gone)));
        self.objects = now;
        changes
    }

    /// Events that were not there at the last look, or have occurred again since; the oldest first.
    pub(crate) fn events(&mut self, look: &Look) -> Vec<(Key, Event)> {
        let mut fresh: Vec<(&str, (Key, Event))> = Vec::new();
        for event in look.events() {
            let uid = text(event, "/metadata/uid").to_owned();
            let count = event.pointer("/series/count").map(Value::to_string).unwrap_or_default();
            let about = |member: &str| text(event, &format!("/regarding/{member}"));
            if let Some(key) = Key::new(about("kind"), about("namespace"), about("name"))
                && self.events.insert((uid, count))
            {
                fresh.push((text(event, "/metadata/creationTimestamp"), (key, Event::of(event))));
            }
        }
        fresh.sort_by_key(|(at, _)| *at);
        fresh.into_iter().map(|(_, event)| event).collect()
    }

    /// Whether a condition of the object says `message`, so that an event need not repeat it.
    pub(crate) fn says(&self, key: &Key, message: &str) -> bool {
        self.objects
            .get(key)
            .is_some_and(|snapshot| snapshot.conditions.iter().any(|condition| condition.message == message))
    }
}

/// An event about one of the operator's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// `Normal` or `Warning`.
    pub(crate) kind: String,
    /// Why, in a word.
    pub(crate) reason: String,
    /// Why, for people.
    pub(crate) note: String,
}

impl Event {
    fn of(event: &Value) -> Self {
        Self {
            kind: text(event, "/type").to_owned(),
            reason: text(event, "/reason").to_owned(),
            note: text(event, "/note").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(reason: &str, message: &str, service: Option<&str>) -> Value {
        let mut status = json!({"conditions": [
            {"type": "Ready", "status": if reason == "Active" { "True" } else { "False" }, "reason": reason,
             "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Reconciling", "status": "True", "reason": reason, "message": message}]});
        if let Some(service) = service {
            status["serviceStatus"] = json!(service);
        }
        json!({"kind": "OutboundRule", "metadata": {"namespace": "team", "name": "pytorch"}, "status": status})
    }

    fn look(items: &[Value]) -> Look {
        Look::new(&json!({ "items": items }))
    }

    fn words(changes: &[(Key, Change)]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Appeared => "appeared".to_owned(),
            Change::Condition { condition, stalled } => format!("{}={} {stalled}", condition.kind, condition.reason),
            Change::Facts(facts) => facts.clone(),
            Change::Connection { said, .. } => said.clone(),
            Change::Leaving => "leaving".to_owned(),
            Change::Gone => "gone".to_owned(),
        };
        changes.iter().map(|(_, change)| word(change)).collect()
    }

    #[test]
    fn only_what_changed_is_told_and_echoes_are_not() {
        let mut memory = Memory::default();
        assert_eq!(words(&memory.changes(&look(&[rule("Pending", "a", None)]))), ["appeared", "Ready=Pending false"]);
        assert!(memory.changes(&look(&[rule("Pending", "a", None)])).is_empty());
        assert_eq!(words(&memory.changes(&look(&[rule("Pending", "b", None)]))), ["Ready=Pending false"]);
        let active = look(&[rule("Active", "c", Some("Active"))]);
        assert_eq!(words(&memory.changes(&active)), ["Ready=Active false", "rule in Azure: Active"]);
        assert_eq!(words(&memory.changes(&look(&[]))), ["gone"]);
    }

    #[test]
    fn a_new_time_stamp_alone_is_no_change() {
        let mut memory = Memory::default();
        memory.changes(&look(&[rule("Pending", "a", None)]));
        let mut later = rule("Pending", "a", None);
        later["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:10:00Z");
        assert!(memory.changes(&look(&[later])).is_empty());
    }

    #[test]
    fn a_stalled_object_says_so_with_ready_and_a_deletion_is_told_once() {
        let mut memory = Memory::default();
        let mut stalled = rule("Invalid", "a", None);
        stalled["status"]["conditions"][1]["type"] = json!("Stalled");
        assert_eq!(words(&memory.changes(&look(&[stalled.clone()]))), ["appeared", "Ready=Invalid true"]);
        stalled["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(words(&memory.changes(&look(&[stalled.clone()]))), ["leaving"]);
        assert!(memory.changes(&look(&[stalled])).is_empty());
    }

    #[test]
    fn a_policys_connections_are_told_with_the_reason() {
        let policy = |state: &str| {
            json!({"kind": "PrivateEndpointApproval", "metadata": {"namespace": "p", "name": "lake"}, "status": {
                "approved": 1, "connections": [{"name": "c", "privateEndpoint": "/e", "state": state,
                "decision": "Allowed", "why": "allowed by p/lake"}]}})
        };
        let mut memory = Memory::default();
        memory.changes(&look(&[policy("Pending")]));
        let (_, change) = memory.changes(&look(&[policy("Approved")])).remove(0);
        let about = "/e: allowed by p/lake".to_owned();
        assert_eq!(change, Change::Connection { about, said: "Approved, Allowed".into() });
    }

    #[test]
    fn events_are_told_once_in_order_and_only_those_about_our_objects() {
        let event = |uid: &str, at: &str, reason: &str, version: &str| {
            json!({"kind": "Event", "metadata": {"uid": uid, "creationTimestamp": at}, "type": "Normal", "reason": reason,
                "note": "n", "regarding": {"apiVersion": version, "kind": "OutboundRule", "namespace": "t", "name": "r"}})
        };
        let ours = "aml-operator.io/v1alpha1";
        let seen =
            look(&[event("2", "t2", "Active", ours), event("1", "t1", "Pending", ours), event("3", "t0", "X", "v1")]);
        let mut memory = Memory::default();
        let reasons: Vec<String> = memory.events(&seen).into_iter().map(|(_, event)| event.reason).collect();
        assert_eq!(reasons, ["Pending", "Active"]);
        assert!(memory.events(&seen).is_empty());
    }
}
