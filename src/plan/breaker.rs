//! The breaker: many removals at once, as after a folder pruned by mistake, wait for a person.

use super::names::fingerprint;

/// More than this many removals …
const COUNT: usize = 5;
/// … and more than this share of all objects, in percent, pause.
const PERCENT: usize = 10;

/// Whether removals go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// They do.
    Closed,
    /// They wait until a person acknowledges this hash.
    Open {
        /// Names exactly the removals that wait: one more makes another hash.
        hash: String,
        /// How many wait.
        waiting: usize,
    },
}

/// Decides for one connection. `waiting` are the uids of objects whose removal from Azure waits, `recent` how many
/// removals were carried out within the window, `all` how many objects there are, the waiting ones and the removed ones included.
pub fn check(waiting: &[String], recent: usize, all: usize, acknowledged: impl Fn(&str) -> bool) -> Breaker {
    let removals = waiting.len() + recent;
    if waiting.is_empty() || removals <= COUNT || removals * 100 <= all * PERCENT {
        return Breaker::Closed;
    }
    let mut sorted: Vec<&str> = waiting.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let hash = fingerprint(&sorted);
    if acknowledged(&hash) { Breaker::Closed } else { Breaker::Open { hash, waiting: waiting.len() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(count: usize) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn only_many_and_a_large_share_pause() {
        for (waiting, recent, all, open) in [
            (0, 9, 10, false),
            (5, 0, 5, false),
            (6, 0, 60, false),
            (6, 0, 59, true),
            (1, 5, 20, true),
            (1, 4, 20, false),
        ] {
            let breaker = check(&uids(waiting), recent, all, |_| false);
            assert_eq!(matches!(breaker, Breaker::Open { .. }), open, "{waiting} waiting, {recent} recent of {all}");
        }
    }

    #[test]
    fn the_word_is_for_exactly_these_removals() {
        let Breaker::Open { hash, .. } = check(&uids(6), 0, 6, |_| false) else { panic!("must be open") };
        let mut reversed = uids(6);
        reversed.reverse();
        assert_eq!(check(&reversed, 0, 6, |word| word == hash), Breaker::Closed);
        assert!(matches!(check(&uids(7), 0, 7, |word| word == hash), Breaker::Open { .. }));
    }
}
