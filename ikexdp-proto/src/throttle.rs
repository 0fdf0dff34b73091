//! Lets what strangers ask for happen so often in a second, and no more.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use ikexdp_common::address::Address;

use crate::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Limits of each source, and of all together.
#[derive(Debug)]
pub(crate) struct Throttle {
    each: Rate,
    all: Rate,
    total: Instant,
    /// The sources of the last second. There are no more of them than were let
    /// through.
    sources: BTreeMap<Address, Instant>,
}

/// How often in a second, and as often at once after a second of silence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) u32);

impl Throttle {
    pub(crate) const fn new(each: Rate, all: Rate) -> Self {
        Self {
            each,
            all,
            total: Instant::ZERO,
            sources: BTreeMap::new(),
        }
    }

    /// Whether what comes from `address` is let through at `now`.
    pub(crate) fn admit(&mut self, now: Instant, address: IpAddr) -> bool {
        let source = Address::from(address).source();
        let used = self.sources.get(&source).copied().unwrap_or(now);
        let (Some(used), Some(total)) =
            (self.each.after(used, now), self.all.after(self.total, now))
        else {
            return false;
        };
        self.total = total;
        self.sources.retain(|_, used| *used > now);
        self.sources.insert(source, used);
        true
    }
}

impl Rate {
    /// Until when all is used up that was let through until `used`, and one more at
    /// `now`; nothing if that is too much.
    fn after(self, used: Instant, now: Instant) -> Option<Instant> {
        let used = used.max(now) + SECOND.checked_div(self.0)?;
        (used.since(now) <= SECOND).then_some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(1);

    fn admitted(throttle: &mut Throttle, now: Instant, last: u8, times: usize) -> usize {
        let address = IpAddr::from([192, 0, 2, last]);
        (0..times).filter(|_| throttle.admit(now, address)).count()
    }

    #[test]
    fn a_source_has_its_share_and_no_more() {
        let mut throttle = Throttle::new(Rate(4), Rate(10));
        assert_eq!(admitted(&mut throttle, START, 1, 100), 4);
        assert_eq!(admitted(&mut throttle, START, 2, 100), 4);
        let later = START + Duration::from_millis(250);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 1);
        let later = later + Duration::from_secs(3600);
        assert_eq!(admitted(&mut throttle, later, 1, 100), 4);
    }

    #[test]
    fn all_sources_together_have_theirs() {
        let mut throttle = Throttle::new(Rate(4), Rate(10));
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
