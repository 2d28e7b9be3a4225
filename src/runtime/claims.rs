//! Claims on resources that several objects want to be there, such as a private DNS zone: one of them asks Azure for it, and the others
//! wait until it shows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// How long a claim that is over is remembered, for looks that began before its end.
const KEPT: Duration = Duration::from_secs(600);

/// Who asks Azure for what, by id in lower case: the uid of the object, and until when the claim holds. A claim is an economy and no
/// lock: losing all of them costs a request that Azure refuses, since what is shared is only ever made where nothing is.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<String, (String, Timestamp)>>);

impl Claims {
    /// Claims `id` for `time` for the object `uid`, which looked at Azure at `looked`; false if another object has claimed it since, or
    /// holds a claim.
    pub fn take(&self, id: &str, uid: &str, looked: Timestamp, now: Timestamp, time: Duration) -> bool {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, (_, until)| *until + KEPT > now);
        let claim = claims.entry(id.to_ascii_lowercase()).or_insert_with(|| (uid.to_owned(), now));
        if claim.0 != uid && claim.1 > looked {
            return false;
        }
        *claim = (uid.to_owned(), now + time);
        true
    }

    /// Gives up all claims of the object `uid`, which is gone.
    pub fn forget(&self, uid: &str) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, (owner, _)| owner != uid);
    }

    /// Gives up the claim of the object `uid` on `id`, because Azure refused.
    pub fn release(&self, id: &str, uid: &str) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = id.to_ascii_lowercase();
        if claims.get(&id).is_some_and(|(owner, _)| owner == uid) {
            claims.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_until_its_time_is_over_or_azure_refused() {
        let claims = Claims::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let minute = Duration::from_secs(60);
        let take = |id: &str, uid: &str, second: i64| claims.take(id, uid, at(second), at(second), minute);
        assert!(take("/Zone", "a", 0));
        assert!(!take("/zone", "b", 1));
        assert!(take("/other", "b", 1), "each resource has claims of its own");
        assert!(take("/zone", "a", 30), "its own claim stops nobody");
        assert!(!take("/zone", "b", 89));
        assert!(!claims.take("/zone", "b", at(89), at(95), minute), "what it saw may be older than what was asked for");
        assert!(take("/zone", "b", 90), "whoever claimed it has gone");
        claims.release("/zone", "a");
        assert!(!take("/zone", "a", 91), "another's claim is not given up");
        claims.release("/ZONE", "b");
        assert!(take("/zone", "a", 92));
        claims.forget("a");
        assert!(take("/zone", "b", 93));
    }
}
