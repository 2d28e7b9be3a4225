//! The breaker: many removals at once, as after a folder pruned by mistake, wait for a person.

use std::collections::BTreeSet;

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

/// What a person agreed to: the removals that a hash stood for when it was acknowledged.
///
/// A hash cannot say which removals it named once the first of them is carried out and its object is gone, so this has to be
/// remembered. It is not kept across a restart: what then still waits is judged by itself, and if it still is many, asked about
/// once more. Nothing durable could tell what is left of an agreement from removals that slipped in while nobody watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    hash: String,
    removals: BTreeSet<String>,
}

impl Word {
    fn covers(&self, waiting: &[String]) -> bool {
        waiting.iter().all(|uid| self.removals.contains(uid))
    }
}

/// Decides for one connection. `waiting` are the uids of objects whose removal from Azure waits, `recent` how many
/// removals were carried out within the window, `all` counts how many objects there are, the waiting ones and the removed ones
/// included; it is asked only if the removals are many.
///
/// `word` is what was agreed to when this was last asked for the connection; it is kept up to date here. It holds for as long as the
/// acknowledgement stands, something waits, and nothing else does.
pub fn check(
    waiting: &[String],
    recent: usize,
    all: impl FnOnce() -> usize,
    acknowledged: impl Fn(&str) -> bool,
    word: &mut Option<Word>,
) -> Breaker {
    if waiting.is_empty() {
        *word = None;
        return Breaker::Closed;
    }
    let removals = waiting.len() + recent;
    if removals <= COUNT || removals * 100 <= all() * PERCENT {
        return Breaker::Closed;
    }
    if word.as_ref().is_some_and(|word| word.covers(waiting) && acknowledged(&word.hash)) {
        return Breaker::Closed;
    }
    let mut sorted: Vec<&str> = waiting.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let hash = fingerprint(&sorted);
    if acknowledged(&hash) {
        *word = Some(Word { hash, removals: waiting.iter().cloned().collect() });
        return Breaker::Closed;
    }
    Breaker::Open { hash, waiting: waiting.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|n| n.to_string()).collect()
    }

    fn is_open(breaker: &Breaker) -> bool {
        matches!(breaker, Breaker::Open { .. })
    }

    /// The hash of these removals, and what is remembered once it is acknowledged.
    fn agreed(waiting: &[String]) -> (String, Option<Word>) {
        let mut word = None;
        let all = waiting.len();
        let Breaker::Open { hash, .. } = check(waiting, 0, || all, |_| false, &mut word) else {
            panic!("must be open")
        };
        assert_eq!(word, None, "nobody has said anything yet");
        assert_eq!(check(waiting, 0, || all, |value| value == hash, &mut word), Breaker::Closed);
        (hash, word)
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
            let breaker = check(&uids(0..waiting), recent, || all, |_| false, &mut None);
            assert_eq!(is_open(&breaker), open, "{waiting} waiting, {recent} recent of {all}");
        }
    }

    #[test]
    fn the_word_is_for_exactly_these_removals() {
        let (hash, _) = agreed(&uids(0..6));
        let mut reversed = uids(0..6);
        reversed.reverse();
        assert_eq!(check(&reversed, 0, || 6, |value| value == hash, &mut None), Breaker::Closed);
        assert!(is_open(&check(&uids(0..7), 0, || 7, |value| value == hash, &mut None)));
    }

    #[test]
    fn the_word_holds_until_the_last_of_these_removals() {
        let (hash, word) = agreed(&uids(0..20));
        for (what, waiting, recent, stands, open) in [
            ("the first one is gone", 1..20, 1, true, false),
            ("half are gone", 10..20, 10, true, false),
            ("the window has moved on", 10..20, 0, true, false),
            ("the last one waits", 19..20, 19, true, false),
            ("another one came", 10..21, 10, true, true),
            ("only another one waits", 20..21, 20, true, true),
            ("the word was taken back", 10..20, 10, false, true),
        ] {
            let breaker = check(&uids(waiting), recent, || 40, |value| stands && value == hash, &mut word.clone());
            assert_eq!(is_open(&breaker), open, "{what}");
        }
    }

    #[test]
    fn the_word_ends_with_the_last_removal_and_with_the_process() {
        let (hash, mut word) = agreed(&uids(0..20));
        let said = |value: &str| value == hash;
        assert!(is_open(&check(&uids(10..20), 0, || 40, said, &mut None)), "asked once more after a restart");
        assert_eq!(check(&uids(16..20), 0, || 40, said, &mut None), Breaker::Closed, "unless few are left");
        assert_eq!(check(&[], 20, || 20, said, &mut word), Breaker::Closed);
        assert_eq!(word, None);
    }
}
