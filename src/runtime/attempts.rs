//! What was tried on a connection lately and is not to be tried again at once. Lost with the process: then it is tried once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::azure::private_link::Connection;
use crate::plan::Verdict;

/// A write on a connection that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was sent.
    pub at: Timestamp,
    /// Until then it is remembered.
    pub until: Timestamp,
    /// What to say meanwhile.
    pub verdict: Verdict,
}

/// All of them, by target, name and endpoint: another endpoint under the same name is another matter.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<(String, String, String), Attempt>>);

fn key(target: &ArmId, connection: &Connection) -> (String, String, String) {
    (target.key(), connection.name.clone(), connection.endpoint.to_ascii_lowercase())
}

impl Attempts {
    /// Notes an attempt on `connection`. What has run out is forgotten with it.
    pub fn note(&self, target: &ArmId, connection: &Connection, attempt: Attempt, now: Timestamp) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, attempt| attempt.until > now);
        attempts.insert(key(target, connection), attempt);
    }

    /// The attempt on `connection` that has not run out.
    pub fn of(&self, target: &ArmId, connection: &Connection, now: Timestamp) -> Option<Attempt> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(&key(target, connection)).filter(|attempt| attempt.until > now).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Reason;
    use serde_json::json;

    #[test]
    fn an_attempt_holds_for_its_time_and_its_endpoint() {
        let connection = |endpoint: &str| {
            Connection::read(&json!({"name": "c", "properties": {"privateEndpoint": {"id": endpoint}}})).unwrap()
        };
        let id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/A.B/c/d";
        let (target, at) = (ArmId::parse(id).unwrap(), |second| Timestamp::from_second(second).unwrap());
        let attempts = Attempts::default();
        let attempt = Attempt { at: at(0), until: at(10), verdict: Verdict::new(Reason::AzureRefused, "no") };
        attempts.note(&target, &connection("/Ours"), attempt.clone(), at(0));
        assert_eq!(attempts.of(&target, &connection("/ours"), at(9)), Some(attempt));
        assert_eq!(attempts.of(&target, &connection("/ours"), at(10)), None);
        assert_eq!(attempts.of(&target, &connection("/theirs"), at(9)), None);
    }
}
