//! Addresses for clients (RFC 7296 §2.19).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::AddressPool;

/// The pools of a configuration, with what has been given out of them.
#[derive(Debug)]
pub(crate) struct Pools(Vec<Pool>);

#[derive(Debug)]
struct Pool {
    v4: Option<Range>,
    v6: Option<Range>,
}

/// A range in which an address is fresh until it has been given once; returned
/// addresses wait as long as there are fresh ones, so that a client that comes
/// back does not meet its address on somebody else.
#[derive(Debug)]
struct Range {
    fresh: Option<u128>,
    end: u128,
    returned: VecDeque<u128>,
}

/// Addresses in use; they go back by [`Pools::release`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pool: usize,
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

impl Lease {
    /// The addresses, IPv4 first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.v4.map(IpAddr::from);
        v4.into_iter().chain(self.v6.map(IpAddr::from))
    }
}

impl Pools {
    pub(crate) fn new(pools: &[AddressPool]) -> Self {
        let range = |start: u128, end: u128| Range {
            fresh: (start <= end).then_some(start),
            end,
            returned: VecDeque::new(),
        };
        let pool = |pool: &AddressPool| Pool {
            v4: pool
                .v4
                .map(|(start, end)| range(start.to_bits().into(), end.to_bits().into())),
            v6: pool
                .v6
                .map(|(start, end)| range(start.to_bits(), end.to_bits())),
        };
        Self(pools.iter().map(pool).collect())
    }

    /// Takes an address of each family asked for, as far as the pool has one
    /// left; `None` if there is none at all.
    pub(crate) fn lease(&mut self, pool: usize, v4: bool, v6: bool) -> Option<Lease> {
        let ranges = self.0.get_mut(pool)?;
        let v4 = ranges.v4.as_mut().filter(|_| v4).and_then(Range::take);
        let v6 = ranges.v6.as_mut().filter(|_| v6).and_then(Range::take);
        let lease = Lease {
            pool,
            v4: v4
                .and_then(|address| u32::try_from(address).ok())
                .map(Ipv4Addr::from_bits),
            v6: v6.map(Ipv6Addr::from_bits),
        };
        lease.addresses().next().is_some().then_some(lease)
    }

    /// Gives addresses back.
    pub(crate) fn release(&mut self, lease: &Lease) {
        let Some(pool) = self.0.get_mut(lease.pool) else {
            return;
        };
        if let (Some(range), Some(address)) = (&mut pool.v4, lease.v4) {
            range.returned.push_back(address.to_bits().into());
        }
        if let (Some(range), Some(address)) = (&mut pool.v6, lease.v6) {
            range.returned.push_back(address.to_bits());
        }
    }
}

impl Range {
    fn take(&mut self) -> Option<u128> {
        let Some(fresh) = self.fresh else {
            return self.returned.pop_front();
        };
        self.fresh = fresh.checked_add(1).filter(|next| *next <= self.end);
        Some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(v4: Option<(&str, &str)>, v6: Option<(&str, &str)>) -> Pools {
        Pools::new(&[AddressPool {
            v4: v4.map(|(start, end)| (start.parse().unwrap(), end.parse().unwrap())),
            v6: v6.map(|(start, end)| (start.parse().unwrap(), end.parse().unwrap())),
            dns: Vec::new(),
        }])
    }

    #[test]
    fn addresses_are_given_once_and_reused_last() {
        let mut pools = pools(Some(("10.0.0.1", "10.0.0.3")), None);
        let first = pools.lease(0, true, true).unwrap();
        assert_eq!(first.v4, Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(first.v6, None);
        pools.release(&first);
        let mut next = || pools.lease(0, true, false).and_then(|lease| lease.v4);
        assert_eq!(next(), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(next(), Some(Ipv4Addr::new(10, 0, 0, 3)));
        assert_eq!(next(), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(next(), None);
    }

    #[test]
    fn one_family_is_better_than_none() {
        let mut pools = pools(
            Some(("10.0.0.1", "10.0.0.2")),
            Some(("2001:db8::1", "2001:db8::1")),
        );
        let both = pools.lease(0, true, true).unwrap();
        assert!(both.v4.is_some() && both.v6.is_some());
        let one = pools.lease(0, true, true).unwrap();
        assert!(one.v4.is_some() && one.v6.is_none());
        assert_eq!(pools.lease(0, true, true), None);
        pools.release(&both);
        assert_eq!(pools.lease(0, true, true), Some(both));
    }

    #[test]
    fn the_last_address_of_all_is_no_special_case() {
        let mut pools = pools(Some(("255.255.255.255", "255.255.255.255")), None);
        assert!(pools.lease(0, true, false).is_some());
        assert_eq!(pools.lease(0, true, false), None);
        assert_eq!(pools.lease(0, false, true), None);
        assert_eq!(pools.lease(7, true, true), None);
    }
}
