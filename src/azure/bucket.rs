//! The throttle's arithmetic, without clock or tasks: token buckets, their queues, pauses. Time is always handed in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::ErrorClass;

/// Which requests go first when a bucket runs low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Approvals and deletions: people wait for them, or they take away.
    Urgent,
    /// What a changed manifest asks for, and following what was started.
    Change,
    /// Looking whether all is still so, for the first time after a start or again. Both in one class: if one came before the other, a
    /// bucket that is never full would leave some out for ever.
    Resync,
}

/// The three allowances that ARM counts apart. Actions (POST) count as writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// GET.
    Reads,
    /// PUT, PATCH, POST.
    Writes,
    /// DELETE.
    Deletes,
}

/// Size and refill of a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Requests it holds when full.
    pub capacity: f64,
    /// Requests it gains a second.
    pub per_second: f64,
}

/// What ARM counts apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Cloud, tenant and principal.
    pub identity: Arc<str>,
    /// The subscription; none for requests outside of any.
    pub subscription: Option<String>,
    /// What the request does.
    pub kind: Kind,
}

/// A request's place in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    key: Key,
    place: (Priority, u64),
}

/// What a request at some moment may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Turn {
    /// Go now; one request has been taken from the bucket.
    Go,
    /// It is first; nothing before this moment.
    NotBefore(Instant),
    /// Others are first.
    Behind,
}

/// A target that must be left alone, and the class of the 429 that said so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rest {
    pub(super) until: Instant,
    pub(super) class: ErrorClass,
}

struct Bucket {
    size: Size,
    level: f64,
    at: Instant,
    paused_until: Option<Instant>,
    in_flight: u32,
    queue: BTreeSet<(Priority, u64)>,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        if now > self.at {
            let gained = (now - self.at).as_secs_f64() * self.size.per_second;
            self.level = (self.level + gained).min(self.size.capacity);
            self.at = now;
        }
    }
}

/// All buckets and all resting targets.
pub(super) struct Core {
    /// Whether levels count; pauses always do.
    metered: bool,
    buckets: HashMap<Key, Bucket>,
    resting: HashMap<(Arc<str>, bool, String), Rest>,
    next_place: u64,
}

impl Ticket {
    /// The bucket it waits for.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

impl Core {
    pub(super) fn new(metered: bool) -> Self {
        Self { metered, buckets: HashMap::new(), resting: HashMap::new(), next_place: 0 }
    }

    fn bucket(&mut self, key: &Key, size: Size, now: Instant) -> &mut Bucket {
        self.buckets.entry(key.clone()).or_insert_with(|| Bucket {
            size,
            level: size.capacity,
            at: now,
            paused_until: None,
            in_flight: 0,
            queue: BTreeSet::new(),
        })
    }

    /// Joins the queue.
    pub(super) fn enter(&mut self, key: &Key, size: Size, priority: Priority, now: Instant) -> Ticket {
        let place = (priority, self.next_place);
        self.next_place += 1;
        self.bucket(key, size, now).queue.insert(place);
        Ticket { key: key.clone(), place }
    }

    /// Leaves the queue without having gone.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        if let Some(bucket) = self.buckets.get_mut(&ticket.key) {
            bucket.queue.remove(&ticket.place);
        }
    }

    /// Asks for the request's turn.
    pub(super) fn turn(&mut self, ticket: &Ticket, now: Instant) -> Turn {
        let metered = self.metered;
        let Some(bucket) = self.buckets.get_mut(&ticket.key) else { return Turn::Go };
        if bucket.queue.first() != Some(&ticket.place) {
            return Turn::Behind;
        }
        if let Some(until) = bucket.paused_until {
            if now < until {
                return Turn::NotBefore(until);
            }
            bucket.paused_until = None;
        }
        bucket.refill(now);
        if metered && bucket.level < 1.0 {
            // A hair more than the missing share, so that rounding never makes the wait one too few.
            let missing = (1.0 - bucket.level) / bucket.size.per_second + 1e-6;
            return Turn::NotBefore(now + Duration::from_secs_f64(missing));
        }
        bucket.level = (bucket.level - 1.0).max(0.0);
        bucket.in_flight += 1;
        bucket.queue.remove(&ticket.place);
        Turn::Go
    }

    /// Who is first in the queue of `key`.
    pub(super) fn first(&self, key: &Key) -> Option<Ticket> {
        let place = *self.buckets.get(key)?.queue.first()?;
        Some(Ticket { key: key.clone(), place })
    }

    /// When the pause of `key` ends, if it is paused.
    pub(super) fn paused_until(&self, key: &Key, now: Instant) -> Option<Instant> {
        self.buckets.get(key)?.paused_until.filter(|until| now < *until)
    }

    /// How many requests of `key` may go at once, and until when none may.
    pub(super) fn level(&mut self, key: &Key, now: Instant) -> Option<(f64, Option<Instant>)> {
        let bucket = self.buckets.get_mut(key)?;
        bucket.refill(now);
        Some((bucket.level, bucket.paused_until.filter(|until| now < *until)))
    }

    /// A request that went has ended.
    pub(super) fn ended(&mut self, key: &Key) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.in_flight = bucket.in_flight.saturating_sub(1);
        }
    }

    /// ARM says how many requests remain. Those still under way may or may not be in that number; taking them off is the
    /// safe reading. Beyond our own idea of the bucket's size the number says nothing about the refill, so it is capped.
    pub(super) fn remaining(&mut self, key: &Key, remaining: u32, now: Instant) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            // An answer from before the pause knows nothing of it.
            if bucket.paused_until.is_some_and(|until| now < until) {
                return;
            }
            bucket.refill(now);
            bucket.level = (f64::from(remaining) - f64::from(bucket.in_flight)).clamp(0.0, bucket.size.capacity);
        }
    }

    /// ARM has throttled the whole bucket: nobody goes before `until`, and then one after the other at the refill's pace.
    pub(super) fn pause(&mut self, key: &Key, size: Size, until: Instant, now: Instant) {
        let bucket = self.bucket(key, size, now);
        let until = bucket.paused_until.map_or(until, |present| present.max(until));
        bucket.paused_until = Some(until);
        bucket.level = 1.0_f64.min(size.capacity);
        bucket.at = until;
    }

    /// A provider has asked to leave one target alone.
    pub(super) fn rest(&mut self, key: &Key, target: &str, rest: Rest, now: Instant) {
        self.resting.retain(|_, rest| now < rest.until);
        self.resting.insert(Self::place(key, target), rest);
    }

    /// Whether `target` must be left alone by requests of this kind.
    pub(super) fn resting(&self, key: &Key, target: &str, now: Instant) -> Option<Rest> {
        let rest = self.resting.get(&Self::place(key, target))?;
        (now < rest.until).then_some(*rest)
    }

    /// A target too busy for a write is too busy for a deletion, but can be read.
    fn place(key: &Key, target: &str) -> (Arc<str>, bool, String) {
        (Arc::clone(&key.identity), key.kind == Kind::Reads, target.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { capacity: 2.0, per_second: 1.0 };

    fn key(subscription: &str, kind: Kind) -> Key {
        Key { identity: "public/t/p".into(), subscription: Some(subscription.into()), kind }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Enters and asks at once.
    fn ask(core: &mut Core, key: &Key, now: Instant) -> Turn {
        let ticket = core.enter(key, SMALL, Priority::Change, now);
        let turn = core.turn(&ticket, now);
        if turn != Turn::Go {
            core.leave(&ticket);
        }
        turn
    }

    fn is_wait(turn: Turn, now: Instant, wait: f64) -> bool {
        matches!(turn, Turn::NotBefore(at) if ((at - now).as_secs_f64() - wait).abs() < 0.01)
    }

    #[test]
    fn a_bucket_gives_its_size_and_then_its_refill() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let writes = key("a", Kind::Writes);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
        assert!(is_wait(ask(&mut core, &writes, start), start, 1.0));
        assert_eq!(ask(&mut core, &writes, start + seconds(1.01)), Turn::Go);
        // Never more than its size, however long nobody asked.
        let later = start + seconds(3600.0);
        assert_eq!(ask(&mut core, &writes, later), Turn::Go);
        assert_eq!(ask(&mut core, &writes, later), Turn::Go);
        assert!(is_wait(ask(&mut core, &writes, later), later, 1.0));
    }

    #[test]
    fn subscriptions_kinds_and_identities_do_not_share() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let writes = key("a", Kind::Writes);
        while ask(&mut core, &writes, start) == Turn::Go {}
        let stranger = Key { identity: "public/t/other".into(), ..writes.clone() };
        for other in [key("b", Kind::Writes), key("a", Kind::Reads), key("a", Kind::Deletes), stranger] {
            assert_eq!(ask(&mut core, &other, start), Turn::Go, "{other:?}");
        }
    }

    #[test]
    fn an_empty_bucket_serves_by_priority_then_by_arrival() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let reads = key("a", Kind::Reads);
        while ask(&mut core, &reads, start) == Turn::Go {}
        let entered: Vec<Ticket> = [Priority::Resync, Priority::Change, Priority::Urgent, Priority::Change]
            .into_iter()
            .map(|priority| core.enter(&reads, SMALL, priority, start))
            .collect();
        let mut served = Vec::new();
        for second in 1..=4 {
            let now = start + seconds(f64::from(second) * 1.01);
            let first = core.first(&reads).unwrap();
            let others = entered.iter().filter(|ticket| **ticket != first && !served.contains(*ticket));
            for other in others.cloned().collect::<Vec<_>>() {
                assert_eq!(core.turn(&other, now), Turn::Behind);
            }
            assert_eq!(core.turn(&first, now), Turn::Go);
            served.push(first);
        }
        let order: Vec<usize> = served.iter().map(|t| entered.iter().position(|e| e == t).unwrap()).collect();
        assert_eq!(order, [2, 1, 3, 0]);
    }

    #[test]
    fn arm_s_own_count_corrects_ours_both_ways_and_counts_what_is_under_way() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let writes = key("a", Kind::Writes);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
        core.remaining(&writes, 0, start);
        assert!(matches!(ask(&mut core, &writes, start), Turn::NotBefore(_)), "ARM says that none remains");
        core.remaining(&writes, 11_999, start);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
        assert!(matches!(ask(&mut core, &writes, start), Turn::NotBefore(_)), "never more than the bucket's size");
        // Three are under way: of two that remain none is left.
        core.remaining(&writes, 2, start);
        assert!(matches!(ask(&mut core, &writes, start), Turn::NotBefore(_)));
        for _ in 0..3 {
            core.ended(&writes);
        }
        core.remaining(&writes, 2, start);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go);
    }

    #[test]
    fn a_paused_bucket_opens_at_its_time_and_slowly() {
        for metered in [true, false] {
            let (mut core, start) = (Core::new(metered), Instant::now());
            let writes = key("a", Kind::Writes);
            let until = start + seconds(60.0);
            core.pause(&writes, SMALL, until, start);
            // A later, shorter word does not open it earlier.
            core.pause(&writes, SMALL, start + seconds(5.0), start);
            // Neither does an answer that was on its way.
            core.remaining(&writes, 2, start + seconds(1.0));
            assert_eq!(ask(&mut core, &writes, start + seconds(59.9)), Turn::NotBefore(until));
            assert_eq!(core.paused_until(&writes, start), Some(until));
            assert_eq!(ask(&mut core, &key("b", Kind::Writes), start), Turn::Go);
            assert_eq!(ask(&mut core, &key("a", Kind::Reads), start), Turn::Go);
            assert_eq!(ask(&mut core, &writes, until), Turn::Go);
            assert_eq!(ask(&mut core, &writes, until) == Turn::Go, !metered);
        }
    }

    #[test]
    fn a_resting_target_holds_back_only_its_kind_of_request() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let writes = key("a", Kind::Writes);
        let rest = Rest { until: start + seconds(10.0), class: ErrorClass::Busy };
        core.rest(&writes, "/subscriptions/a/X", rest, start);
        assert_eq!(core.resting(&writes, "/SUBSCRIPTIONS/a/x", start + seconds(9.0)), Some(rest));
        assert_eq!(core.resting(&writes, "/subscriptions/a/x", start + seconds(10.0)), None);
        assert_eq!(core.resting(&writes, "/subscriptions/a/y", start), None);
        assert_eq!(core.resting(&key("a", Kind::Deletes), "/subscriptions/a/x", start), Some(rest));
        assert_eq!(core.resting(&key("a", Kind::Reads), "/subscriptions/a/x", start), None);
        assert_eq!(ask(&mut core, &writes, start), Turn::Go, "the bucket itself goes on");
    }

    #[test]
    fn who_leaves_the_queue_holds_nobody_up() {
        let (mut core, start) = (Core::new(true), Instant::now());
        let reads = key("a", Kind::Reads);
        let gone = core.enter(&reads, SMALL, Priority::Urgent, start);
        let next = core.enter(&reads, SMALL, Priority::Resync, start);
        assert_eq!(core.turn(&next, start), Turn::Behind);
        core.leave(&gone);
        assert_eq!(core.turn(&next, start), Turn::Go);
    }
}
