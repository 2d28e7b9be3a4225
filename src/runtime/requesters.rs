//! What requesting endpoints said when they were read, and which are to be read next. A target's turn says what it wants to know and
//! goes on; the reading is done outside its lane, so that a slow answer holds up no approval. Lost with the process: then they are
//! read once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::plan::requester::Shown;

/// How many endpoints one round reads at the most, for a target.
const ROUND: usize = 10;
/// How many answers are remembered, over all targets; the oldest are forgotten, and read again if they are still asked about.
const KEPT: usize = 10_000;

/// All answers, by connection, target and endpoint, and the endpoints to be read. What one credential may not see says nothing about
/// what another may.
#[derive(Debug, Default)]
pub struct Requesters(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    answers: HashMap<(String, String), (Timestamp, Shown)>,
    wanted: HashMap<String, Vec<ArmId>>,
}

/// A target, as it is seen through `connection`.
fn place(connection: &str, target: &ArmId) -> String {
    format!("{connection}{}", target.key())
}

fn key(connection: &str, target: &ArmId, endpoint: &ArmId) -> (String, String) {
    (place(connection, target), endpoint.key())
}

impl Requesters {
    fn lock(&self) -> std::sync::MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `endpoint` showed, and when it was read.
    pub fn answer(&self, connection: &str, target: &ArmId, endpoint: &ArmId) -> Option<(Timestamp, Shown)> {
        self.lock().answers.get(&key(connection, target, endpoint)).cloned()
    }

    /// Asks for a look at `endpoint`, unless it was looked at within `pause`.
    pub fn want(&self, connection: &str, target: &ArmId, endpoint: ArmId, pause: Duration, now: Timestamp) {
        let mut board = self.lock();
        let fresh = board
            .answers
            .get(&key(connection, target, &endpoint))
            .is_some_and(|(at, _)| Duration::try_from(now.duration_since(*at)).unwrap_or_default() < pause);
        let wanted = board.wanted.entry(place(connection, target)).or_default();
        if !fresh && wanted.len() < ROUND && !wanted.contains(&endpoint) {
            wanted.push(endpoint);
        }
    }

    /// The endpoints to be read now for `target`; whoever takes them reads them.
    pub fn take_wanted(&self, connection: &str, target: &ArmId) -> Vec<ArmId> {
        self.lock().wanted.remove(&place(connection, target)).unwrap_or_default()
    }

    /// Notes what `endpoint` showed at `now`.
    pub fn note(&self, connection: &str, target: &ArmId, endpoint: &ArmId, shown: Shown, now: Timestamp) {
        let mut board = self.lock();
        board.answers.insert(key(connection, target, endpoint), (now, shown));
        if board.answers.len() > KEPT {
            let oldest = board.answers.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            oldest.map(|key| board.answers.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_once_a_pause_and_few_at_a_time() {
        let id = |name: &str| {
            let group = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers";
            ArmId::parse(&format!("{group}/Microsoft.Network/privateEndpoints/{name}")).unwrap()
        };
        let (requesters, target) = (Requesters::default(), id("target"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let want =
            |name: &str, second| requesters.want("contoso", &target, id(name), Duration::from_secs(15), at(second));
        want("a", 0);
        want("A", 0);
        assert_eq!(requesters.take_wanted("contoso", &target), [id("a")]);
        requesters.note("contoso", &target, &id("a"), Shown::Hidden, at(0));
        want("a", 14);
        assert!(requesters.take_wanted("contoso", &target).is_empty());
        want("a", 15);
        assert_eq!(requesters.take_wanted("contoso", &target).len(), 1);
        (0..50).for_each(|number| want(&format!("many{number}"), 0));
        assert_eq!(requesters.take_wanted("contoso", &target).len(), ROUND);
        assert_eq!(requesters.answer("contoso", &target, &id("A")), Some((at(0), Shown::Hidden)));
        assert_eq!(requesters.answer("fabrikam", &target, &id("A")), None, "another credential may see more");
    }
}
