//! What came of questions.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that whoever answers and whoever shows them share.
#[derive(Debug, Default)]
pub struct Counters {
    answered: AtomicU64,
    ignored: AtomicU64,
}

/// Their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions that were answered.
    pub answered: u64,
    /// Broadcasts that were not: no DHCPINFORM, or of none who may ask.
    pub ignored: u64,
}

impl Counters {
    /// The values so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            answered: self.answered.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count(&self, answered: bool) {
        let counter = if answered {
            &self.answered
        } else {
            &self.ignored
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
