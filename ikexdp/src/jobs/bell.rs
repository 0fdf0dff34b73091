//! Tells the packet loop that jobs are done, of several at once.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::waker::Waker;

/// The bell of one thread. While the thread has more to do it is [muffled](Self::muffle):
/// what is done then is told of when it is not any more.
#[derive(Debug)]
pub(super) struct Bell {
    waker: Waker,
    is_muffled: AtomicBool,
    is_owed: AtomicBool,
}

impl Bell {
    pub(super) const fn new(waker: Waker) -> Self {
        Self {
            waker,
            is_muffled: AtomicBool::new(false),
            is_owed: AtomicBool::new(false),
        }
    }

    /// A result is there.
    pub(super) fn ring(&self) {
        self.is_owed.store(true, SeqCst);
        // If it sounds again by now, whoever made it so has either seen what is owed, or
        // this sees that it does.
        if !self.is_muffled.load(SeqCst) {
            self.pay();
        }
    }

    /// Makes [`Self::ring`] wait for [`Self::sound`].
    pub(super) fn muffle(&self) {
        self.is_muffled.store(true, SeqCst);
    }

    /// Tells of what is there, and from now on of each at once.
    pub(super) fn sound(&self) {
        self.is_muffled.store(false, SeqCst);
        self.pay();
    }

    fn pay(&self) {
        if self.is_owed.swap(false, SeqCst) {
            self.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rings_while_muffled_is_heard_once_it_sounds() {
        let waker = Waker::new().unwrap();
        let bell = Bell::new(waker.clone());
        bell.sound();
        assert!(!waker.is_awake());
        bell.muffle();
        bell.ring();
        bell.ring();
        assert!(!waker.is_awake());
        bell.sound();
        assert!(waker.is_awake());
        waker.clear();
        bell.ring();
        assert!(waker.is_awake());
    }
}
