//! The throttle governor, one for the whole operator: it spends ARM's allowances by priority, and stops asking when ARM
//! says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::bucket::{Core, Rest, Ticket, Turn};
pub use super::bucket::{Key, Kind, Priority, Size};
use super::error::{ArmError, ErrorClass};
use super::operation::header;

/// What ARM grants a principal in a subscription or tenant (Resource Manager throttling documentation): reads.
const READS: Size = Size { capacity: 250.0, per_second: 25.0 };
/// The same for writes, and for deletions.
const WRITES: Size = Size { capacity: 200.0, per_second: 10.0 };
/// The hourly model of the sovereign clouds: 12,000 reads, 1,200 writes, 15,000 deletions.
const HOURLY: [Size; 3] = [
    Size { capacity: 12_000.0, per_second: 12_000.0 / 3600.0 },
    Size { capacity: 1_200.0, per_second: 1_200.0 / 3600.0 },
    Size { capacity: 15_000.0, per_second: 15_000.0 / 3600.0 },
];

/// Codes by which ARM itself, not a provider, throttles.
const ARM_CODES: [&str; 2] = ["SubscriptionRequestsThrottled", "TenantRequestsThrottled"];

/// How the governor behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottlePace {
    /// Whether the token buckets are kept. Without them only ARM's own 429s slow anything down.
    pub buckets: bool,
    /// The longest a request waits inside a call for a pause to end; beyond that the caller is told when to come back, and
    /// its worker is free.
    pub longest_wait: Duration,
    /// The pause after a 429 that names none.
    pub default_pause: Duration,
}

impl Default for ThrottlePace {
    fn default() -> Self {
        // 30 s is what Microsoft's clients wait where ARM does not say.
        Self { buckets: true, longest_wait: Duration::from_secs(5), default_pause: Duration::from_secs(30) }
    }
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// How many requests may go at once, by ARM's headers where they say, else by the documented size.
    pub remaining: u32,
    /// Until when none may go, because ARM said so.
    pub paused_until: Option<SystemTime>,
}

/// Hears how a bucket stands whenever that changes.
pub type LevelHook = Arc<dyn Fn(&Key, Level) + Send + Sync>;

/// The governor. All clients of the operator share one.
pub struct Throttle {
    pace: ThrottlePace,
    hook: Option<LevelHook>,
    core: Mutex<Core>,
    /// Who waits, to be woken when it becomes the first of its queue or the bucket has changed.
    waiting: Mutex<HashMap<Ticket, Arc<Notify>>>,
}

impl Throttle {
    /// A governor that knows of no requests yet.
    pub fn new(pace: ThrottlePace) -> Arc<Self> {
        Self::watched(pace, None)
    }

    /// The same, telling `hook` how its buckets stand.
    pub fn watched(pace: ThrottlePace, hook: Option<LevelHook>) -> Arc<Self> {
        let core = Mutex::new(Core::new(pace.buckets));
        Arc::new(Self { pace, hook, core, waiting: Mutex::default() })
    }

    /// Tells how the bucket stands.
    fn tell(&self, key: &Key) {
        let Some(hook) = &self.hook else { return };
        let now = Instant::now();
        let level = self.core().level(key, now);
        if let Some((remaining, paused_until)) = level {
            let paused_until = paused_until.map(|until| SystemTime::now() + (until - now));
            // Whole requests only; never more than a bucket's size, which is far below the limit.
            hook(key, Level { remaining: remaining as u32, paused_until });
        }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // Counters only: a panic elsewhere leaves at worst a number that ARM's next answer corrects.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Ticket, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a request on `target` (a path). An error means that it must not be sent now, and says when.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        key: Key,
        size: Size,
        target: &str,
        priority: Priority,
    ) -> Result<Permit, ArmError> {
        let now = Instant::now();
        if let Some(rest) = self.core().resting(&key, target, now) {
            let message = "the provider asked to leave this resource alone for a while; nothing was sent";
            return Err(ArmError::unsent("TargetResting", message, rest.class).with_retry_after(rest.until - now));
        }
        let ticket = self.core().enter(&key, size, priority, now);
        let place = Place { throttle: Arc::clone(self), key, ticket, notify: Arc::new(Notify::new()) };
        self.waiting().insert(place.ticket.clone(), Arc::clone(&place.notify));
        loop {
            let now = Instant::now();
            if let Some(until) = self.core().paused_until(&place.key, now)
                && until - now > self.pace.longest_wait
            {
                let message = "Resource Manager throttles this subscription; nothing was sent";
                return Err(ArmError::unsent("Throttled", message, ErrorClass::Throttled).with_retry_after(until - now));
            }
            let turn = self.core().turn(&place.ticket, now);
            match turn {
                Turn::Go => {
                    self.tell(&place.key);
                    let permit = Permit { throttle: Arc::clone(self), key: place.key.clone(), size };
                    return Ok(permit);
                }
                Turn::NotBefore(at) => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = place.notify.notified() => {}
                    }
                }
                Turn::Behind => place.notify.notified().await,
            }
        }
    }

    /// Wakes whoever is first for `key`.
    fn wake_first(&self, key: &Key) {
        let first = self.core().first(key);
        if let Some(notify) = first.and_then(|ticket| self.waiting().get(&ticket).cloned()) {
            notify.notify_one();
        }
    }

    /// Wakes everybody who waits for `key`: a pause is news for all.
    fn wake_all(&self, key: &Key) {
        for (ticket, notify) in self.waiting().iter() {
            if ticket.key() == key {
                notify.notify_one();
            }
        }
    }
}

/// A place in a queue; leaving it, by going or by being dropped, lets the next one know.
struct Place {
    throttle: Arc<Throttle>,
    key: Key,
    ticket: Ticket,
    notify: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.throttle.waiting().remove(&self.ticket);
        self.throttle.core().leave(&self.ticket);
        self.throttle.wake_first(&self.key);
    }
}

/// The right to send one request; held until its answer is known.
pub(super) struct Permit {
    throttle: Arc<Throttle>,
    key: Key,
    size: Size,
}

impl Permit {
    /// Learns from an answer. `error` is what a 429 was read as.
    pub(super) fn learn(&self, target: &str, headers: &HeaderMap, error: Option<&ArmError>) {
        let now = Instant::now();
        let throttled = error.filter(|error| error.status == Some(429));
        let Some(error) = throttled else {
            if let Some(remaining) = remaining(headers, &self.key) {
                self.throttle.core().remaining(&self.key, remaining, now);
                self.throttle.tell(&self.key);
                self.throttle.wake_first(&self.key);
            }
            return;
        };
        let until = now + error.retry_after.unwrap_or(self.throttle.pace.default_pause);
        if is_arm_s_own(headers, &self.key, error) {
            self.throttle.core().pause(&self.key, self.size, until, now);
            self.throttle.tell(&self.key);
            self.throttle.wake_all(&self.key);
        } else {
            self.throttle.core().rest(&self.key, target, Rest { until, class: error.class }, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.throttle.core().ended(&self.key);
    }
}

/// Whether a 429 is the subscription's (or tenant's) and so everybody's: ARM says so by its code or text, or shows that
/// nothing remains. Every other 429 is about the provider and its target, above all another operation on it.
fn is_arm_s_own(headers: &HeaderMap, key: &Key, error: &ArmError) -> bool {
    let text = error.message.to_lowercase();
    error.class == ErrorClass::Throttled
        && (ARM_CODES.iter().any(|code| code.eq_ignore_ascii_case(&error.code))
            || remaining(headers, key) == Some(0)
            || text.contains("request for subscription")
            || text.contains("requests for subscription"))
}

/// How many requests of this kind remain, as ARM's headers say.
fn remaining(headers: &HeaderMap, key: &Key) -> Option<u32> {
    let scope = if key.subscription.is_some() { "subscription" } else { "tenant" };
    let kind = match key.kind {
        Kind::Reads => "reads",
        Kind::Writes => "writes",
        Kind::Deletes => "deletes",
    };
    header(headers, &format!("x-ms-ratelimit-remaining-{scope}-{kind}"))?.trim().parse().ok()
}

/// The documented size of a bucket.
pub(super) fn size(kind: Kind, by_the_hour: bool) -> Size {
    let [reads, writes, deletes] = if by_the_hour { HOURLY } else { [READS, WRITES, WRITES] };
    match kind {
        Kind::Reads => reads,
        Kind::Writes => writes,
        Kind::Deletes => deletes,
    }
}

#[cfg(test)]
mod tests;
