//! Addresses that peers have been given.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use ring::digest::{Context, SHA256, digest};

use crate::identity::Identity;
use crate::wire::payload::id;

/// Who has or had an address: a digest of its identity, and of the name of the
/// connection by which it has proved it. Who proves the same identity in a weaker
/// way does not get the address that the stronger one is known by.
///
/// What is remembered of a peer that is away has the same few octets whatever
/// it calls itself, and names nobody to whoever finds it on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(u128);

impl Holder {
    /// The holder that `identity` is by `connection`.
    #[must_use]
    pub fn of(connection: &str, identity: &Identity) -> Self {
        // Of a fixed length each, so that none runs into the other.
        let parts = [connection.as_bytes(), &id::body(identity)];
        let digests = parts.map(|part| digest(&SHA256, part));
        let mut context = Context::new(&SHA256);
        for digest in &digests {
            context.update(digest.as_ref());
        }
        let digest = context.finish();
        let octets = digest.as_ref().first_chunk().copied();
        Self(u128::from_be_bytes(octets.unwrap_or_default()))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Holder {
    type Err = core::num::ParseIntError;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// What the host keeps over a restart, so that peers get the same addresses
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The address.
    pub address: IpAddr,
    /// Who has it, or had it last.
    pub holder: Holder,
    /// When it was given back: the lower, the longer ago. `None` while it is in
    /// use.
    pub given_back: Option<u64>,
}

/// How much is given out of the addresses of one pool and one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSummary {
    /// The name of the pool.
    pub pool: String,
    /// The first address.
    pub first: IpAddr,
    /// The last address.
    pub last: IpAddr,
    /// Addresses in use.
    pub in_use: usize,
    /// Addresses that are kept for who had them.
    pub kept: usize,
}

impl RangeSummary {
    /// How many addresses there are.
    #[must_use]
    pub fn size(&self) -> u128 {
        let bits = |address| match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let size = bits(self.last).checked_sub(bits(self.first));
        size.map_or(0, |size| size.saturating_add(1))
    }
}

/// The addresses of one IKE SA, at most one of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    /// IPv4.
    pub(crate) v4: Option<IpAddr>,
    /// IPv6.
    pub(crate) v6: Option<IpAddr>,
}

impl Lease {
    /// The addresses, IPv4 first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.v4.into_iter().chain(self.v6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_holder_is_who_has_the_identity_and_survives_being_written() {
        let holder = |text: &str| Holder::of("staff", &text.parse().unwrap());
        let kim = holder("kim@example.com");
        assert_eq!(kim, holder("kim@EXAMPLE.com"));
        // The same octets, but another kind of identity.
        assert_ne!(
            kim,
            Holder::of("staff", &Identity::KeyId(b"kim@example.com".to_vec()))
        );
        // By another connection.
        let guest = "kim@example.com".parse().unwrap();
        assert_ne!(kim, Holder::of("guests", &guest));
        assert_eq!(kim.to_string().parse(), Ok(kim));
        assert_eq!(kim.to_string().len(), 32);
        assert_eq!(Holder(1).to_string().parse(), Ok(Holder(1)));
        for text in ["", "kim", "1ffffffffffffffffffffffffffffffff"] {
            assert!(text.parse::<Holder>().is_err(), "{text}");
        }
    }
}
