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
/// How many endpoints are remembered, over all targets; the oldest are forgotten, and read again if they are still asked about.
const KEPT: usize = 10_000;

/// All answers, by connection, target and endpoint, and the endpoints to be read. What one credential may not see says nothing about
/// what another may.
#[derive(Debug, Default)]
pub struct Requesters(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    asked: HashMap<(String, String), Asked>,
    wanted: HashMap<String, Vec<ArmId>>,
}

/// What became of the questions to an endpoint.
#[derive(Debug)]
struct Asked {
    /// When it was last asked.
    at: Timestamp,
    /// What it showed when it last answered, and when that was.
    answer: Option<(Timestamp, Shown)>,
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
        self.lock().asked.get(&key(connection, target, endpoint))?.answer.clone()
    }

    /// Asks for a look at `endpoint`, unless it was asked within `pause`, with or without an answer.
    pub fn want(&self, connection: &str, target: &ArmId, endpoint: ArmId, pause: Duration, now: Timestamp) {
        let mut board = self.lock();
        let fresh = board
            .asked
            .get(&key(connection, target, &endpoint))
            .is_some_and(|asked| Duration::try_from(now.duration_since(asked.at)).unwrap_or_default() < pause);
        let wanted = board.wanted.entry(place(connection, target)).or_default();
        if !fresh && !wanted.contains(&endpoint) {
            wanted.push(endpoint);
        }
    }

    /// The endpoints to be read now for `target`; whoever takes them reads them. Those that were not asked for the longest time come
    /// first, so that one that never answers keeps none from being read. The others are wanted again at the next turn.
    pub fn take_wanted(&self, connection: &str, target: &ArmId) -> Vec<ArmId> {
        let mut board = self.lock();
        let mut wanted = board.wanted.remove(&place(connection, target)).unwrap_or_default();
        wanted.sort_by_cached_key(|endpoint| board.asked.get(&key(connection, target, endpoint)).map(|asked| asked.at));
        wanted.truncate(ROUND);
        wanted
    }

    /// Notes that `endpoint` was asked at `now`, and what it showed, if it answered.
    pub fn note(&self, connection: &str, target: &ArmId, endpoint: &ArmId, shown: Option<Shown>, now: Timestamp) {
        let mut board = self.lock();
        let asked = board.asked.entry(key(connection, target, endpoint)).or_insert(Asked { at: now, answer: None });
        asked.at = now;
        if let Some(shown) = shown {
            asked.answer = Some((now, shown));
        }
        if board.asked.len() > KEPT {
            let oldest = board.asked.iter().min_by_key(|(_, asked)| asked.at).map(|(key, _)| key.clone());
            oldest.map(|key| board.asked.remove(&key));
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
        requesters.note("contoso", &target, &id("a"), Some(Shown::Hidden), at(0));
        want("a", 14);
        assert!(requesters.take_wanted("contoso", &target).is_empty());
        want("a", 15);
        assert_eq!(requesters.take_wanted("contoso", &target).len(), 1);
        (0..50).for_each(|number| want(&format!("many{number}"), 0));
        assert_eq!(requesters.take_wanted("contoso", &target).len(), ROUND);
        assert_eq!(requesters.answer("contoso", &target, &id("A")), Some((at(0), Shown::Hidden)));
        requesters.note("contoso", &target, &id("a"), None, at(20));
        assert_eq!(requesters.answer("contoso", &target, &id("A")), Some((at(0), Shown::Hidden)), "no answer is none");
        assert_eq!(requesters.answer("fabrikam", &target, &id("A")), None, "another credential may see more");
    }

    #[test]
    fn endpoints_that_never_answer_keep_none_from_being_read() {
        let id = |name: String| {
            let group = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers";
            ArmId::parse(&format!("{group}/Microsoft.Network/privateEndpoints/{name}")).unwrap()
        };
        let (requesters, target) = (Requesters::default(), id("target".into()));
        let mut read = std::collections::BTreeSet::new();
        for turn in 0..3 {
            let now = Timestamp::from_second(100 * turn).unwrap();
            for number in 0..25 {
                requesters.want("contoso", &target, id(format!("e{number}")), Duration::from_secs(15), now);
            }
            for endpoint in requesters.take_wanted("contoso", &target) {
                requesters.note("contoso", &target, &endpoint, None, now);
                read.insert(endpoint.key());
            }
        }
        assert_eq!(read.len(), 25, "each had its turn");
    }
}
