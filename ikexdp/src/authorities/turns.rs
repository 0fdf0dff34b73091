//! One after the other.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::memory::Place;

/// Lets one thread at a time ask at a place, so that many peers of an authority
/// do not all fetch the same.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<BTreeSet<Place>>,
    given_back: Condvar,
}

/// It is somebody's turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    place: &'a Place,
}

impl Turns {
    /// Waits until nobody else has `place`, for at most `time`.
    pub(super) fn take<'a>(&'a self, place: &'a Place, time: Duration) -> Option<Turn<'a>> {
        let is_taken = |taken: &mut BTreeSet<Place>| taken.contains(place);
        let waited = self
            .given_back
            .wait_timeout_while(self.taken(), time, is_taken);
        let (mut taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        taken.insert(place.clone());
        Some(Turn { turns: self, place })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<Place>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(self.place);
        self.turns.given_back.notify_all();
    }
}
