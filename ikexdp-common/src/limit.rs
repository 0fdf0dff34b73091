//! Token buckets, each in one word: the generic cell rate algorithm.
//!
//! A bucket is the time at which it would be full again. Taking a token moves that
//! time on; when it is too far ahead, the bucket is empty. CPUs that take at once
//! may take one token for two, which no limit here is too strict for.

/// How fast tokens come, and how many may be saved up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds from one token to the next; zero: there is no limit.
    pub interval: u64,
    /// How far ahead a bucket may be, in nanoseconds.
    pub ahead: u64,
}

impl Rate {
    /// So many tokens in a second, of which `burst` may be taken at once; both at
    /// least one.
    #[must_use]
    pub const fn per_second(tokens: u32, burst: u32) -> Self {
        const SECOND: u64 = 1_000_000_000;

        let tokens = if tokens == 0 { 1 } else { tokens as u64 };
        let interval = match SECOND.checked_div(tokens) {
            Some(0) | None => 1,
            Some(interval) => interval,
        };
        Self {
            interval,
            ahead: interval.saturating_mul(burst.saturating_sub(1) as u64),
        }
    }

    /// Takes a token from `bucket` at `now`, in nanoseconds, if there is one. A new
    /// bucket is zero, and full.
    #[must_use]
    #[inline(always)]
    pub const fn take(self, bucket: &mut u64, now: u64) -> bool {
        let full = if *bucket > now { *bucket } else { now };
        if full.wrapping_sub(now) > self.ahead {
            return false;
        }
        if self.interval != 0 {
            *bucket = full.wrapping_add(self.interval);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate() {
        let rate = Rate::per_second(10, 5);
        let (mut bucket, now) = (0, 77 * SECOND);
        assert_eq!((0..20).filter(|_| rate.take(&mut bucket, now)).count(), 5);
        let later = (0..1000).map(|step| now + step * SECOND / 1000);
        let taken = later.filter(|now| rate.take(&mut bucket, *now)).count();
        assert_eq!(taken, 9);
        // After a silence there is a burst again, and no more than that.
        let later = now + 100 * SECOND;
        assert_eq!((0..20).filter(|_| rate.take(&mut bucket, later)).count(), 5);
    }

    #[test]
    fn without_an_interval_there_is_no_limit() {
        let mut bucket = 0;
        assert!((0..1000).all(|_| Rate::default().take(&mut bucket, 5)));
    }

    #[test]
    fn no_rate_is_nothing() {
        for rate in [Rate::per_second(0, 0), Rate::per_second(u32::MAX, 1)] {
            let mut bucket = 0;
            assert!(rate.interval > 0);
            assert!(rate.take(&mut bucket, 5));
            assert!(!rate.take(&mut bucket, 5));
        }
    }
}
