//! Who wants to see on the interface what XDP would take from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::waker::Waker;

/// Those who may look at a time. They hold their connections, and others need some as well.
const OBSERVERS: usize = 4;

/// How many there are. It is counted here and not told by orders, because an order may find
/// no room: XDP must take IKE again when the last one has gone, however that ended.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Observers {
    count: Arc<AtomicUsize>,
    waker: Waker,
}

impl Observers {
    /// Nobody; `waker` is woken when somebody goes.
    pub(in crate::daemon) fn new(waker: Waker) -> Self {
        Self {
            count: Arc::default(),
            waker,
        }
    }

    /// One more, unless there are too many.
    pub(in crate::daemon) fn admit(&self) -> Option<Observer> {
        let admitted = self.count.fetch_update(SeqCst, SeqCst, |count| {
            (count < OBSERVERS).then(|| count.saturating_add(1))
        });
        admitted.ok().map(|_| Observer(self.clone()))
    }

    /// How many look.
    pub(super) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }
}

/// Somebody who looks, until this is dropped.
#[derive(Debug)]
pub(in crate::daemon) struct Observer(Observers);

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, SeqCst);
        // The packet loop tells XDP what has changed whenever it is awake.
        self.0.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_wakes_the_loop_and_leaves_room() {
        let waker = Waker::new().unwrap();
        let observers = Observers::new(waker.clone());
        assert_eq!(observers.count(), 0);
        let mut all: Vec<_> = (0..OBSERVERS).map(|_| observers.admit().unwrap()).collect();
        assert!(observers.admit().is_none());
        assert!(!waker.is_awake());
        all.pop();
        assert!(waker.is_awake() && observers.count() > 0);
        all.push(observers.admit().unwrap());
        drop(all);
        assert_eq!(observers.count(), 0);
    }
}
