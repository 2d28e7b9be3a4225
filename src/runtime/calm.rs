//! Places for turns that nobody waits for.
//!
//! A controller works on a limited number of objects at once. A thousand workspaces that are looked at again, by an ARM that is
//! slow or out of allowance, would take all of those places for minutes, and a change that somebody has just made would wait
//! behind them. So what is only looked at again gets a part of the places. Who finds none is called when it is next: first come,
//! first served, so that none is overtaken again and again, and nobody spends time on asking.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::rules::ObjectKey;

/// How many turns that nobody waits for go on at once: half of what a controller works on at once.
const PLACES: usize = 32;

/// Kind and name of an object that comes for a place.
type Guest = (&'static str, ObjectKey);
/// Calls a guest.
type Call = Arc<dyn Fn(&'static str, &ObjectKey) + Send + Sync>;

#[derive(Debug, Default)]
struct Queue {
    taken: usize,
    /// Who waits, in the order of arrival.
    waiting: BTreeMap<u64, Guest>,
    arrivals: HashMap<Guest, u64>,
    next: u64,
    /// Who was called, and has not come yet; a place is kept for each.
    called: HashSet<Guest>,
}

impl Queue {
    /// Calls whoever is next while places are free.
    fn call(&mut self) -> Vec<Guest> {
        let mut next = Vec::new();
        while self.taken + self.called.len() < PLACES
            && let Some((_, guest)) = self.waiting.pop_first()
        {
            self.arrivals.remove(&guest);
            self.called.insert(guest.clone());
            next.push(guest);
        }
        next
    }
}

/// The places.
#[derive(Clone)]
pub struct Calm {
    queue: Arc<Mutex<Queue>>,
    call: Call,
}

/// A place; dropping it calls the next.
pub struct Place(Calm);

impl Calm {
    /// Places for objects that come when they are `call`ed, by kind and name.
    pub fn new(call: impl Fn(&'static str, &ObjectKey) + Send + Sync + 'static) -> Self {
        Self { queue: Arc::default(), call: Arc::new(call) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for the object `key` of `kind`, or `None`: then it is called when it is next.
    pub fn enter(&self, kind: &'static str, key: &ObjectKey) -> Option<Place> {
        let mut queue = self.lock();
        let guest = (kind, key.clone());
        let free = queue.waiting.is_empty() && queue.taken + queue.called.len() < PLACES;
        if queue.called.remove(&guest) || (free && !queue.arrivals.contains_key(&guest)) {
            queue.taken += 1;
            return Some(Place(self.clone()));
        }
        if !queue.arrivals.contains_key(&guest) {
            let arrival = queue.next;
            queue.next += 1;
            queue.waiting.insert(arrival, guest.clone());
            queue.arrivals.insert(guest, arrival);
        }
        None
    }

    /// The object does not want a place any more: it is urgent now, or gone.
    pub fn leave(&self, kind: &'static str, key: &ObjectKey) {
        let next = {
            let mut queue = self.lock();
            let guest = (kind, key.clone());
            if let Some(arrival) = queue.arrivals.remove(&guest) {
                queue.waiting.remove(&arrival);
            }
            queue.called.remove(&guest);
            queue.call()
        };
        next.iter().for_each(|(kind, key)| (self.call)(kind, key));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.lock();
            queue.taken -= 1;
            queue.call()
        };
        next.iter().for_each(|(kind, key)| (self.0.call)(kind, key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn key(number: usize) -> ObjectKey {
        ObjectKey { namespace: "team".into(), name: number.to_string() }
    }

    fn calm() -> (Calm, Receiver<ObjectKey>) {
        let (sender, called) = channel();
        (Calm::new(move |_, key| sender.send(key.clone()).unwrap()), called)
    }

    #[test]
    fn who_waits_longest_is_called_first() {
        let (calm, called) = calm();
        let mut taken: Vec<Place> = (0..PLACES).map(|number| calm.enter("K", &key(number)).unwrap()).collect();
        for number in [100, 101, 102, 100] {
            assert!(calm.enter("K", &key(number)).is_none());
        }
        assert_eq!(called.try_iter().count(), 0);
        taken.pop();
        assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(100)]);
        assert!(calm.enter("K", &key(200)).is_none(), "the place is kept for who was called");
        assert!(calm.enter("K", &key(101)).is_none(), "asking again changes nothing");
        taken.push(calm.enter("K", &key(100)).unwrap());
        taken.clear();
        assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(101), key(102), key(200)]);
    }

    #[test]
    fn who_is_gone_or_urgent_keeps_no_place() {
        let (calm, called) = calm();
        let mut taken: Vec<Place> = (0..PLACES).map(|number| calm.enter("K", &key(number)).unwrap()).collect();
        for number in 100..103 {
            assert!(calm.enter("K", &key(number)).is_none());
        }
        calm.leave("K", &key(100));
        taken.pop();
        assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(101)]);
        calm.leave("K", &key(101));
        assert_eq!(called.try_iter().collect::<Vec<_>>(), [key(102)]);
        calm.leave("K", &key(102));
        assert!(calm.enter("K", &key(103)).is_some(), "nobody waits any more");
        calm.leave("K", &key(999));
    }
}
