//! Addresses of peers, of both families alike.

use core::net::IpAddr;

/// An IPv6 address, or an IPv4 address mapped into one (RFC 4291 §2.5.5.2). No
/// packet that is answered comes from a mapped address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 16]);

impl Address {
    /// Of an IPv4 address.
    #[must_use]
    #[inline(always)]
    pub const fn from_v4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// As a number.
    #[must_use]
    #[inline(always)]
    pub const fn to_bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// What a limit per source counts together: an IPv4 address, or the 64 bits
    /// of a network of IPv6, all of whose addresses one host can have.
    #[must_use]
    #[inline(always)]
    pub const fn source(self) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        if self.to_v4().is_some() {
            return self;
        }
        Self([a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// What networks of IPv6 are counted together that one customer may have: the first
    /// 48 bits (RFC 6177). It is no [`Self::source`].
    #[must_use]
    #[inline(always)]
    pub const fn network(self) -> Option<Self> {
        let [a, b, c, d, e, f, ..] = self.0;
        match self.to_v4() {
            Some(_) => None,
            None => Some(Self([a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 48])),
        }
    }

    /// Whether it is a [`Self::network`].
    #[must_use]
    pub const fn is_network(self) -> bool {
        matches!(self.0, [_, _, _, _, _, _, 0, 0, 0, 0, 0, 0, 0, 0, 0, 48])
    }

    /// The IPv4 address, if it is one.
    #[must_use]
    #[inline(always)]
    pub const fn to_v4(self) -> Option<[u8; 4]> {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([a, b, c, d]),
            _ => None,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::from_v4(address.octets()),
            IpAddr::V6(address) => Self(address.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        Self::from(address.0).to_canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_source_is_an_address_or_a_network() {
        for (one, source) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(address(one).source(), address(source), "{one}");
            assert_eq!(IpAddr::from(address(one)), one.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_network_is_none_of_its_sources() {
        assert_eq!(address("192.0.2.1").network(), None);
        let one = address("2001:db8:1::1");
        assert_eq!(one.network(), address("2001:db8:1:ffff::").network());
        assert_ne!(one.network(), address("2001:db8:2::1").network());
        assert_ne!(one.network(), Some(one.source()));
        assert!(one.network().is_some_and(Address::is_network));
        assert!(!one.source().is_network() && !address("0.0.0.48").is_network());
    }
}
