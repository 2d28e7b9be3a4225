//! Conditions. Our own type, because the one of the Kubernetes library carries no limits into the schema.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Summary: the object is as declared, in Kubernetes and in Azure.
pub const READY: &str = "Ready";
/// Present only while something is on its way or awaited.
pub const RECONCILING: &str = "Reconciling";
/// Present only if nothing but a change of this object's spec can help.
pub const STALLED: &str = "Stalled";

/// True, False or Unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// It does not.
    False,
    /// It is not known yet.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// One aspect of the object's state, in the form that all Kubernetes tools read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Name of the aspect.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z]*$"))]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word that programs may rely on.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z]*$"))]
    pub reason: String,
    /// Why, for people: what is wrong, what to do, and who can.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// When status, reason or message last changed.
    #[schemars(length(max = 64))]
    pub last_transition_time: String,
    /// The generation of the spec that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A condition before it is known when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionDraft {
    /// Name of the aspect.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

impl Condition {
    /// The condition as it was, to be said again; `type_` is its type.
    pub fn draft(&self, type_: &'static str) -> ConditionDraft {
        ConditionDraft { type_, status: self.status, reason: self.reason.clone(), message: self.message.clone() }
    }
}

/// The longest message a condition holds, in characters: the schema's limit.
const MESSAGE_LIMIT: usize = 4096;

/// Turns `drafts` into the conditions of `generation`: what has not changed since `previous` keeps its time, so that a status
/// that says the same is the same, byte for byte.
pub fn settle(
    drafts: Vec<ConditionDraft>,
    previous: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    drafts
        .into_iter()
        .map(|draft| {
            let message: String = draft.message.trim().chars().take(MESSAGE_LIMIT).collect();
            let unchanged = previous.iter().find(|old| {
                old.type_ == draft.type_
                    && old.status == draft.status
                    && old.reason == draft.reason
                    && old.message == message
            });
            Condition {
                type_: draft.type_.to_owned(),
                status: draft.status,
                reason: draft.reason,
                message,
                last_transition_time: unchanged.map_or_else(|| rfc3339(now), |old| old.last_transition_time.clone()),
                observed_generation: generation,
            }
        })
        .collect()
}

/// `at` in whole seconds, as Kubernetes writes times.
pub fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The condition of `type_`, if it is there.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(message: &str) -> ConditionDraft {
        ConditionDraft {
            type_: READY,
            status: ConditionStatus::False,
            reason: "Creating".into(),
            message: message.into(),
        }
    }

    #[test]
    fn time_moves_only_when_what_is_said_moves() {
        let first = settle(vec![draft("a")], &[], Some(1), Timestamp::from_second(100).unwrap());
        assert_eq!(first[0].last_transition_time, "1970-01-01T00:01:40Z");
        let again = settle(vec![draft("a")], &first, Some(2), Timestamp::from_second(200).unwrap());
        assert_eq!(again[0].last_transition_time, first[0].last_transition_time);
        assert_eq!(again[0].observed_generation, Some(2));
        let other = settle(vec![draft("b")], &first, Some(2), Timestamp::from_second(200).unwrap());
        assert_eq!(other[0].last_transition_time, "1970-01-01T00:03:20Z");
    }

    #[test]
    fn an_endless_message_is_cut_to_what_the_schema_takes() {
        let long = settle(vec![draft(&"ü".repeat(10_000))], &[], None, Timestamp::UNIX_EPOCH);
        assert_eq!(long[0].message.chars().count(), MESSAGE_LIMIT);
    }
}
