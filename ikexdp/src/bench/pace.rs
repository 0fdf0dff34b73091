//! When the next client begins.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use ikexdp_proto::time::Instant;

/// How hard a gateway is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many begin in a second, whatever becomes of those before them.
    Rate(NonZeroU32),
    /// So many are under way at a time; who is done makes room for the next.
    Concurrency(NonZeroUsize),
}

/// The share of one thread in a [`Load`], from the beginning of a phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    share: Share,
    start: Instant,
    begun: u64,
}

#[derive(Clone, Copy, Debug)]
enum Share {
    /// One of `threads` takes its turn every so often, the first after a delay of its own.
    Rate {
        per_second: u64,
        thread: u64,
        threads: u64,
    },
    Concurrency(usize),
}

impl Load {
    /// The most threads that have something to do.
    pub(super) fn threads_max(self) -> usize {
        match self {
            Self::Rate(_) => usize::MAX,
            Self::Concurrency(concurrency) => concurrency.get(),
        }
    }

    /// What the thread at place `thread` of `threads` does of it, from `start` on.
    pub(super) fn pace(self, thread: usize, threads: NonZeroUsize, start: Instant) -> Pace {
        let share = match self {
            Self::Rate(rate) => Share::Rate {
                per_second: rate.get().into(),
                thread: thread.try_into().unwrap_or(u64::MAX),
                threads: threads.get().try_into().unwrap_or(u64::MAX),
            },
            Self::Concurrency(all) => {
                let (each, rest) = (all.get() / threads, all.get() % threads);
                Share::Concurrency(each.saturating_add((thread < rest).into()))
            }
        };
        Pace {
            share,
            start,
            begun: 0,
        }
    }
}

impl Pace {
    /// When the next was, or will be, due; `None` while there must be fewer `under_way`.
    pub(super) fn due(&self, now: Instant, under_way: usize) -> Option<Instant> {
        match self.share {
            Share::Rate {
                per_second,
                thread,
                threads,
            } => {
                let place = self.begun.saturating_mul(threads).saturating_add(thread);
                let micros = u128::from(place).saturating_mul(1_000_000);
                let micros = micros.checked_div(per_second.into()).unwrap_or_default();
                let delay = u64::try_from(micros).unwrap_or(u64::MAX);
                Some(self.start + Duration::from_micros(delay))
            }
            Share::Concurrency(most) => (under_way < most).then_some(now),
        }
    }

    /// The next has begun.
    pub(super) const fn begin(&mut self) {
        self.begun = self.begun.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(7_000_000);

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// In milliseconds after the start.
    fn dues(mut pace: Pace, count: usize) -> Vec<u128> {
        let due = |_| {
            let due = pace.due(START, 1_000_000).unwrap();
            pace.begin();
            due.since(START).as_millis()
        };
        (0..count).map(due).collect()
    }

    #[test]
    fn threads_take_turns_at_a_rate_whatever_is_under_way() {
        let load = Load::Rate(NonZeroU32::new(100).unwrap());
        assert_eq!(dues(load.pace(0, threads(1), START), 4), [0, 10, 20, 30]);
        assert_eq!(dues(load.pace(0, threads(2), START), 3), [0, 20, 40]);
        assert_eq!(dues(load.pace(1, threads(2), START), 3), [10, 30, 50]);
    }

    /// 3 a second: rounding does not add up.
    #[test]
    fn a_rate_is_kept_in_the_long_run() {
        let load = Load::Rate(NonZeroU32::new(3).unwrap());
        let dues = dues(load.pace(0, threads(1), START), 3001);
        assert_eq!(dues.last(), Some(&1_000_000));
    }

    #[test]
    fn threads_share_a_concurrency() {
        let load = Load::Concurrency(threads(5));
        for (thread, most) in [(0, 2), (1, 2), (2, 1)] {
            let pace = load.pace(thread, threads(3), START);
            let now = START + Duration::from_secs(1);
            assert_eq!(pace.due(now, most - 1), Some(now));
            assert_eq!(pace.due(now, most), None);
        }
        assert_eq!(load.threads_max(), 5);
    }
}
