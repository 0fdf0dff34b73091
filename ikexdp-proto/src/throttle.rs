//! Lets what strangers ask for happen so often in a second, and no more.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use ikexdp_common::address::Address;
use ikexdp_common::limit::{Buckets, Limits, Over};

use crate::time::Instant;

/// Buckets that are no burden.
const ROOM: usize = 64;

/// What sources have used up of their limits, and all together.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    total: u64,
    /// The buckets that are not full, of sources and of networks, and a few that are:
    /// two for each that was let through within the time of a burst.
    buckets: BTreeMap<Address, u64>,
    /// At how many of them the full ones are taken out.
    crowded: usize,
}

impl Throttle {
    /// Whether what comes from `address` is let through at `now`.
    pub(crate) fn admit(
        &mut self,
        limits: &Limits,
        now: Instant,
        address: IpAddr,
    ) -> Result<(), Over> {
        let now = now.as_micros().saturating_mul(1000);
        let address = Address::from(address);
        let of = |key| self.buckets.get(&key).copied().unwrap_or_default();
        let mut source = of(address.source());
        let mut network = address.network().map(|key| (key, of(key)));
        let buckets = Buckets {
            source: &mut source,
            network: network.as_mut().map(|(_, bucket)| bucket),
            total: &mut self.total,
        };
        limits.take(buckets, now)?;
        self.make_room(now);
        self.buckets.insert(address.source(), source);
        self.buckets.extend(network);
        Ok(())
    }

    /// Takes out the buckets that are full again, as often as their number has doubled.
    fn make_room(&mut self, now: u64) {
        if self.buckets.len() >= self.crowded {
            self.buckets.retain(|_, full| *full > now);
            self.crowded = self.buckets.len().saturating_mul(2).max(ROOM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use ikexdp_common::limit::Rate;

    const START: Instant = Instant::from_micros(1);

    const LIMITS: Limits = Limits {
        source: Rate::per_second(4, 4),
        total: Rate::per_second(10, 10),
    };

    fn admitted(throttle: &mut Throttle, now: Instant, last: u8, times: usize) -> usize {
        let address = IpAddr::from([192, 0, 2, last]);
        let admit = |_: &_| throttle.admit(&LIMITS, now, address).is_ok();
        (0..times).filter(admit).count()
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut throttle = Throttle::default();
        assert_eq!(admitted(&mut throttle, START, 1, 100), 4);
        assert_eq!(admitted(&mut throttle, START, 2, 100), 4);
        let later = START + Duration::from_millis(250);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 1);
        let later = later + Duration::from_secs(3600);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 4);
    }

    #[test]
    fn all_sources_together_have_theirs() {
        let mut throttle = Throttle::default();
        let total: usize = (0..=255)
            .map(|last| admitted(&mut throttle, START, last, 1))
            .sum();
        assert_eq!(total, 10);
        let mut total = 0;
        for tick in 1..=1000 {
            let now = START + Duration::from_millis(10 * tick);
            total += admitted(&mut throttle, now, tick as u8, 3);
            assert!(throttle.buckets.len() <= ROOM, "{}", throttle.buckets.len());
        }
        // In ten seconds, however it is asked for.
        assert_eq!(total, 100);
    }
}
