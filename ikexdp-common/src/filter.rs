//! Whose packets need not be looked up: a gateway routes many, and few are for itself.

use crate::address::Address;

/// A bit for each address of the gateway. Others may share one, so who has none is not
/// the gateway's, and who has one may be: it saves most packets in transit the search of
/// a hash table, and so do the sources of those that are not.
///
/// Whoever picks addresses that share a bit has them searched for, as without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFilter([u64; Self::WORDS]);

impl AddressFilter {
    /// Words in [`Self::to_words`]: ten addresses, broadcast ones among them, set one bit in 400.
    pub const WORDS: usize = 1 << Self::INDEX_BITS;

    const INDEX_BITS: u32 = 6;

    /// The value in the map.
    #[must_use]
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        self.0
    }

    /// Whether the address may be one of those in the value of the map.
    #[must_use]
    #[inline(always)]
    pub fn may_have(words: &[u64; Self::WORDS], address: Address) -> bool {
        let (index, bit) = place(address.to_bits());
        words.get(index).is_some_and(|word| word & bit != 0)
    }
}

impl FromIterator<Address> for AddressFilter {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        let mut words = [0; Self::WORDS];
        for address in addresses {
            let (index, bit) = place(address.to_bits());
            if let Some(word) = words.get_mut(index) {
                *word |= bit;
            }
        }
        Self(words)
    }
}

/// The word and the bit of an address: the highest bits of a product, which all of its
/// own bear on.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "halves, and the index of a word"
)]
const fn place(address: u128) -> (usize, u64) {
    // 2^64 by the golden ratio: neighbours come to lie far apart.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    let (prefix, interface) = ((address >> 64) as u64, address as u64);
    let product = (prefix.rotate_left(32) ^ interface).wrapping_mul(SPREAD);
    let index = product >> (u64::BITS - AddressFilter::INDEX_BITS);
    let bit = product >> (u64::BITS - AddressFilter::INDEX_BITS - 6) & 63;
    (index as usize, 1 << bit)
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn v4(n: u32) -> Address {
        IpAddr::V4(Ipv4Addr::from_bits(n)).into()
    }

    fn v6(prefix: u64, interface: u64) -> Address {
        let bits = u128::from(prefix) << 64 | u128::from(interface);
        IpAddr::V6(Ipv6Addr::from_bits(bits)).into()
    }

    #[test]
    fn who_is_in_it_is_found() {
        for n in 0..10_000_u32 {
            for address in [
                v4(n.wrapping_mul(0x0101_0107)),
                v6(n.into(), 1),
                v6(1, n.into()),
            ] {
                let filter = AddressFilter::from_iter([address, v4(7)]);
                assert!(AddressFilter::may_have(&filter.to_words(), address));
                assert!(AddressFilter::may_have(&filter.to_words(), v4(7)));
            }
        }
    }

    #[test]
    fn of_an_empty_one_nobody_is() {
        let words = AddressFilter::from_iter([]).to_words();
        assert!((0..10_000).all(|n| !AddressFilter::may_have(&words, v4(n))));
    }

    /// Of neighbours, of networks beside each other, and of hosts in one network.
    #[test]
    fn few_of_the_others_share_a_bit() {
        let addresses = [v4(0xc000_0201), v4(0xc633_6401), v6(0x2001_0db8 << 32, 1)];
        let words = AddressFilter::from_iter(addresses).to_words();
        let share = |it: &dyn Fn(u32) -> Address| {
            let others = (0..65_536).map(it).filter(|it| !addresses.contains(it));
            others
                .filter(|&it| AddressFilter::may_have(&words, it))
                .count()
        };
        // Three bits of 4096 are one in 1365: of 65,536 some 48.
        assert!(share(&|n| v4(0xc000_0000 + n)) < 100);
        assert!(share(&|n| v4(n.wrapping_mul(0x0001_0001))) < 100);
        assert!(share(&|n| v6(0x2001_0db8 << 32 | u64::from(n), 1)) < 100);
        assert!(share(&|n| v6(0x2001_0db8 << 32, n.into())) < 100);
    }
}
