//! Places for turns that nobody waits for.
//!
//! A controller works on a limited number of objects at once. A thousand workspaces that are looked at again, by an ARM that is
//! slow or out of allowance, would take all of those places for minutes, and a change that somebody has just made would wait
//! behind them. So what is only looked at again gets a part of the places, and comes back later when they are taken.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many turns that nobody waits for go on at once: half of what a controller works on at once.
const PLACES: usize = 32;
/// After so many refusals the wait grows no longer.
const LONGEST: u32 = 6;

/// The places.
#[derive(Clone, Debug)]
pub struct Calm(Arc<Semaphore>);

impl Default for Calm {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Calm {
    /// A place, or how long to stay away: longer each time the turn has been `refused`, so that many who wait do not spend
    /// their time on asking.
    ///
    /// # Errors
    /// With that time.
    pub fn enter(&self, refused: u32, first: Duration) -> Result<OwnedSemaphorePermit, Duration> {
        let wait = || first.saturating_mul(1 << refused.min(LONGEST));
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| wait())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_limited_and_come_back() {
        let calm = Calm::default();
        let second = Duration::from_secs(1);
        let mut taken: Vec<_> = (0..PLACES).map(|_| calm.enter(0, second).unwrap()).collect();
        assert_eq!(calm.enter(0, second).unwrap_err(), second);
        assert_eq!(calm.enter(3, second).unwrap_err(), 8 * second);
        assert_eq!(calm.enter(1000, second).unwrap_err(), 64 * second);
        taken.pop();
        assert!(calm.enter(3, second).is_ok());
    }
}
