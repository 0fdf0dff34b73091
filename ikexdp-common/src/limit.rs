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

    /// As much as so many have together: at least one.
    #[must_use]
    #[inline(always)]
    pub const fn times(self, factor: u32) -> Self {
        match self.interval.checked_div(factor as u64) {
            Some(interval) if interval > 0 => Self {
                interval,
                ahead: self
                    .ahead
                    .wrapping_add(self.interval)
                    .wrapping_sub(interval),
            },
            _ => self,
        }
    }

    /// Whether there is a token in `bucket` at `now`, in nanoseconds. A new bucket is
    /// zero, and full. One that a slower rate has left is no emptier than one of this.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, bucket: &mut u64, now: u64) -> bool {
        if self.interval == 0 {
            return true;
        }
        let most = now.wrapping_add(self.ahead);
        if *bucket <= most {
            return true;
        }
        let empty = most.wrapping_add(self.interval);
        if *bucket > empty {
            *bucket = empty;
        }
        false
    }

    /// Takes a token from `bucket` at `now`, in nanoseconds, if there is one.
    #[must_use]
    #[inline(always)]
    pub const fn take(self, bucket: &mut u64, now: u64) -> bool {
        let has = self.has(bucket, now);
        if has && self.interval != 0 {
            let full = if *bucket > now { *bucket } else { now };
            *bucket = full.wrapping_add(self.interval);
        }
        has
    }
}

/// How many sources' share a network has (see [`Address`](crate::address::Address)):
/// whoever has one has 65,536 sources.
pub const NETWORK_SOURCES: u32 = 4;

/// What a source may have, and all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each source; a network has [`NETWORK_SOURCES`] times as much.
    pub source: Rate,
    /// Of all.
    pub total: Rate,
}

/// Where tokens are taken from.
#[derive(Debug)]
pub struct Buckets<'a> {
    /// The source's.
    pub source: &'a mut u64,
    /// The network's that it is in, if it is in one.
    pub network: Option<&'a mut u64>,
    /// Everybody's.
    pub total: &'a mut u64,
}

/// Who has had too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The source.
    Source,
    /// The network that it is in.
    Network,
    /// All together.
    Total,
}

impl Limits {
    /// Words in [`Self::to_words`].
    pub const WORDS: usize = 4;

    /// The value in a map.
    #[must_use]
    pub const fn to_words(self) -> [u64; Self::WORDS] {
        let Self { source, total } = self;
        [source.interval, source.ahead, total.interval, total.ahead]
    }

    /// Reads the value from a map.
    #[must_use]
    #[inline(always)]
    pub const fn from_words([a, b, c, d]: [u64; Self::WORDS]) -> Self {
        const fn rate(interval: u64, ahead: u64) -> Rate {
            Rate { interval, ahead }
        }
        Self {
            source: rate(a, b),
            total: rate(c, d),
        }
    }

    /// Takes a token from each of `buckets` at `now`, in nanoseconds; or from none, so
    /// that who has used up its own takes nothing of the others'.
    ///
    /// # Errors
    ///
    /// Whose bucket is empty.
    #[inline(always)]
    pub const fn take(&self, buckets: Buckets<'_>, now: u64) -> Result<(), Over> {
        let Self { source, total } = *self;
        if !total.has(buckets.total, now) {
            return Err(Over::Total);
        }
        if !source.has(buckets.source, now) {
            return Err(Over::Source);
        }
        if let Some(bucket) = buckets.network
            && !source.times(NETWORK_SOURCES).take(bucket, now)
        {
            return Err(Over::Network);
        }
        let _ = source.take(buckets.source, now);
        let _ = total.take(buckets.total, now);
        Ok(())
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

    #[test]
    fn a_slower_rate_of_before_holds_nobody_back() {
        let (slow, fast) = (Rate::per_second(1, 3600), Rate::per_second(10, 5));
        let (mut bucket, now) = (0, 77 * SECOND);
        while slow.take(&mut bucket, now) {}
        assert!(!fast.take(&mut bucket, now));
        let later = now + SECOND;
        assert_eq!((0..20).filter(|_| fast.take(&mut bucket, later)).count(), 5);
    }

    #[test]
    fn who_has_used_up_its_own_takes_nothing_of_the_others() {
        let limits = Limits {
            source: Rate::per_second(1, 5),
            total: Rate::per_second(1, 12),
        };
        let (mut total, now) = (0, 77 * SECOND);
        let mut taken = |source: &mut u64| {
            let take = |_: &_| {
                let buckets = Buckets {
                    source,
                    network: None,
                    total: &mut total,
                };
                limits.take(buckets, now).is_ok()
            };
            (0..1000).filter(take).count()
        };
        assert_eq!([0, 0, 0].map(|mut source| taken(&mut source)), [5, 5, 2]);
    }

    #[test]
    fn a_network_has_the_share_of_some_sources() {
        let limits = Limits {
            source: Rate::per_second(1, 5),
            total: Rate::default(),
        };
        let now = 77 * SECOND;
        let mut network = 0;
        let mut take = |source: &mut u64| {
            let buckets = Buckets {
                source,
                network: Some(&mut network),
                total: &mut 0,
            };
            limits.take(buckets, now)
        };
        let mut one = 0;
        assert_eq!((0..9).filter(|_| take(&mut one).is_ok()).count(), 5);
        assert_eq!(take(&mut one), Err(Over::Source));
        let taken = (0..1000).filter(|_| take(&mut 0).is_ok()).count();
        assert_eq!(taken + 5, 5 * 4);
        assert_eq!(take(&mut 0), Err(Over::Network));
    }
}
