//! Prefixes of addresses.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    /// The first of them.
    pub(crate) network: IpAddr,
    /// How many bits are the same.
    pub(crate) length: u8,
}

impl Prefix {
    /// The prefixes that together are the addresses from `first` to `last`, the
    /// fewest there can be: below twice as many as an address has bits. There are
    /// none if the two are of different families.
    pub(crate) fn cover(first: IpAddr, last: IpAddr) -> impl Iterator<Item = Self> {
        let (bits, mut rest) = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let ends = (u128::from(first.to_bits()), u128::from(last.to_bits()));
                (u32::BITS, Some(ends))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                (u128::BITS, Some((first.to_bits(), last.to_bits())))
            }
            _ => (0, None),
        };
        core::iter::from_fn(move || {
            let (start, end) = rest?;
            let room = end.checked_sub(start)?;
            // As many as fit, and as begin at `start`.
            let fit = room.checked_add(1).map_or(u128::BITS, u128::ilog2);
            let host_bits = fit.min(start.trailing_zeros()).min(bits);
            let hosts = u128::MAX
                .checked_shr(u128::BITS.saturating_sub(host_bits))
                .unwrap_or(0);
            let next = start.checked_add(hosts).and_then(|it| it.checked_add(1));
            rest = next.map(|next| (next, end));
            Some(Self {
                network: match first {
                    IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(start).ok()?).into(),
                    IpAddr::V6(_) => Ipv6Addr::from_bits(start).into(),
                },
                length: u8::try_from(bits.saturating_sub(host_bits)).ok()?,
            })
        })
    }

    /// The mask that an IPv4 prefix is also written with.
    pub(crate) fn netmask(self) -> u32 {
        let host_bits = u32::BITS.saturating_sub(self.length.into());
        u32::MAX.checked_shl(host_bits).unwrap_or(0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn cover(first: &str, last: &str) -> Vec<String> {
        let prefixes = Prefix::cover(first.parse().unwrap(), last.parse().unwrap());
        prefixes.map(|prefix| prefix.to_string()).collect()
    }

    #[test]
    fn a_range_is_covered_by_the_fewest_prefixes() {
        let ones = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (first, last, expected) in [
            ("0.0.0.0", "255.255.255.255", &["0.0.0.0/0"][..]),
            ("10.0.0.0", "10.255.255.255", &["10.0.0.0/8"]),
            ("10.0.0.7", "10.0.0.7", &["10.0.0.7/32"]),
            (
                "10.0.0.1",
                "10.0.0.6",
                &["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"],
            ),
            (
                "255.255.255.254",
                "255.255.255.255",
                &["255.255.255.254/31"],
            ),
            ("::", ones, &["::/0"]),
            ("2001:db8::", "2001:db8::ffff", &["2001:db8::/112"]),
            ("10.0.0.2", "10.0.0.1", &[]),
            ("10.0.0.1", "::1", &[]),
        ] {
            assert_eq!(cover(first, last), expected, "{first}-{last}");
        }
        // The most there can be.
        assert_eq!(cover("0.0.0.1", "255.255.255.254").len(), 62);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe";
        assert_eq!(cover("::1", last).len(), 254);
    }

    #[test]
    fn a_netmask_has_as_many_ones_as_the_prefix_is_long() {
        let mask = |length| {
            let network = Ipv4Addr::UNSPECIFIED.into();
            Ipv4Addr::from_bits(Prefix { network, length }.netmask())
        };
        assert_eq!(mask(0), Ipv4Addr::UNSPECIFIED);
        assert_eq!(mask(20), Ipv4Addr::new(255, 255, 240, 0));
        assert_eq!(mask(32), Ipv4Addr::BROADCAST);
    }
}
