//! Lets what strangers ask for happen so often in a second, and no more.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use ikexdp_common::address::Address;
use ikexdp_common::limit::Rate;

use crate::time::Instant;

/// Limits of each source, and of all together.
#[derive(Debug)]
pub(crate) struct Throttle {
    each: Rate,
    all: Rate,
    total: u64,
    /// The buckets of the sources of the last second. There are no more of them than
    /// were let through.
    sources: BTreeMap<Address, u64>,
}

impl Throttle {
    /// So often in a second, and as often at once after a second of silence.
    pub(crate) const fn new(each: u32, all: u32) -> Self {
        Self {
            each: Rate::per_second(each, each),
            all: Rate::per_second(all, all),
            total: 0,
            sources: BTreeMap::new(),
        }
    }

    /// Whether what comes from `address` is let through at `now`.
    pub(crate) fn admit(&mut self, now: Instant, address: IpAddr) -> bool {
        let now = now.as_micros().saturating_mul(1000);
        let source = Address::from(address).source();
        let mut bucket = self.sources.get(&source).copied().unwrap_or_default();
        // Who has used up its own takes nothing of the others'.
        if !self.each.take(&mut bucket, now) || !self.all.take(&mut self.total, now) {
            return false;
        }
        self.sources.retain(|_, full| *full > now);
        self.sources.insert(source, bucket);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const START: Instant = Instant::from_micros(1);

    fn admitted(throttle: &mut Throttle, now: Instant, last: u8, times: usize) -> usize {
        let address = IpAddr::from([192, 0, 2, last]);
        (0..times).filter(|_| throttle.admit(now, address)).count()
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut throttle = Throttle::new(4, 10);
        assert_eq!(admitted(&mut throttle, START, 1, 100), 4);
        assert_eq!(admitted(&mut throttle, START, 2, 100), 4);
        let later = START + Duration::from_millis(250);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 1);
        let later = later + Duration::from_secs(3600);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 4);
    }

    #[test]
    fn all_sources_together_have_theirs() {
        let mut throttle = Throttle::new(4, 10);
        let total: usize = (0..=255)
            .map(|last| admitted(&mut throttle, START, last, 1))
            .sum();
        assert_eq!(total, 10);
        let mut total = 0;
        for tick in 1..=1000 {
            let now = START + Duration::from_millis(10 * tick);
            total += admitted(&mut throttle, now, tick as u8, 3);
            assert!(throttle.sources.len() <= 20, "{}", throttle.sources.len());
        }
        // In ten seconds, however it is asked for.
        assert_eq!(total, 100);
    }
}
