//! The simulated clock: everything that takes time in the simulator is measured on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// 2026-01-01T00:00:00Z. Chosen: where a simulated clock begins that is not to begin at the real time.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// A clock that starts at the wall clock's time, runs with a speed factor and can be moved forward.
///
/// Operations end when this clock reaches their time, not when somebody polls them: `az` approves a
/// connection and then only re-reads it (azure-cli `private-endpoint-connection approve`).
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    real: Instant,
    simulated_ms: i64,
    speed: f64,
}

impl Inner {
    fn start(speed: f64, reproducible: bool) -> Self {
        let simulated_ms = if reproducible && speed == 0.0 {
            EPOCH_MS
        } else {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
        };
        Self { real: Instant::now(), simulated_ms, speed }
    }

    fn now_ms(&self) -> i64 {
        let elapsed = self.real.elapsed().as_secs_f64() * 1000.0 * self.speed;
        self.simulated_ms.saturating_add(elapsed as i64)
    }
}

impl Clock {
    /// A clock that runs `speed` times as fast as the wall's. It starts at the wall's time, unless the run is to be the
    /// same each time: a clock that stands still then starts at [`EPOCH_MS`].
    pub(crate) fn new(speed: f64, reproducible: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner::start(speed, reproducible))))
    }

    /// Starts anew.
    pub(crate) fn restart(&self, speed: f64, reproducible: bool) {
        self.with(|inner| *inner = Inner::start(speed, reproducible));
    }

    /// The simulated time, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.with(|inner| inner.now_ms())
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.with(|inner| inner.simulated_ms = inner.simulated_ms.saturating_add(by));
    }

    /// Lets simulated time pass `speed` times as fast as real time from now on; `0` stops it, as does what is negative or
    /// no number.
    pub fn set_speed(&self, speed: f64) {
        self.with(|inner| {
            inner.simulated_ms = inner.now_ms();
            inner.real = Instant::now();
            inner.speed = speed.max(0.0);
        });
    }

    /// The speed factor in force.
    pub fn speed(&self) -> f64 {
        self.with(|inner| inner.speed)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Simulated milliseconds as ARM writes times.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}
