//! Which datagram size works on the way to whom (RFC 7383 §2.5.2), so that the
//! next handshake over the same path need not find out again.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::limits::{PATH_SIZE_LIFETIME, PATH_SIZES_MAX};
use crate::time::Instant;

/// Sizes that worked where the configured one did not.
#[derive(Debug, Default)]
pub(crate) struct PathSizes(BTreeMap<u128, Learned>);

#[derive(Debug)]
struct Learned {
    datagram_len: u16,
    at: Instant,
}

impl PathSizes {
    /// What worked last for peers near `peer`.
    pub(crate) fn find(&self, peer: IpAddr, now: Instant) -> Option<u16> {
        let learned = self.0.get(&prefix(peer))?;
        (now.since(learned.at) < PATH_SIZE_LIFETIME).then_some(learned.datagram_len)
    }

    /// Remembers that datagrams of `datagram_len` octets reach `peer`.
    pub(crate) fn learn(&mut self, peer: IpAddr, datagram_len: u16, now: Instant) {
        let prefix = prefix(peer);
        if self.0.len() >= PATH_SIZES_MAX && !self.0.contains_key(&prefix) {
            let oldest = self.0.iter().min_by_key(|(_, learned)| learned.at);
            if let Some(oldest) = oldest.map(|(prefix, _)| *prefix) {
                self.0.remove(&oldest);
            }
        }
        let learned = Learned {
            datagram_len,
            at: now,
        };
        self.0.insert(prefix, learned);
    }
}

/// Hosts of one IPv4 /24 or IPv6 /56 mostly share the way to us.
fn prefix(peer: IpAddr) -> u128 {
    match peer {
        IpAddr::V4(peer) => peer.to_ipv6_mapped().to_bits() & !0xff,
        IpAddr::V6(peer) => peer.to_bits() & !(u128::MAX >> 56),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn neighbours_share_what_was_learned_for_a_while() {
        let mut sizes = PathSizes::default();
        sizes.learn(address(1), 576, Instant::ZERO);
        assert_eq!(sizes.find(address(200), Instant::ZERO), Some(576));
        assert_eq!(sizes.find([192, 0, 3, 1].into(), Instant::ZERO), None);
        let later = Instant::ZERO + PATH_SIZE_LIFETIME;
        assert_eq!(sizes.find(address(1), later), None);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut sizes = PathSizes::default();
        for n in 0..=PATH_SIZES_MAX as u32 {
            let now = Instant::ZERO + Duration::from_secs(n.into());
            sizes.learn(IpAddr::from((n << 8).to_be_bytes()), 576, now);
        }
        assert_eq!(sizes.0.len(), PATH_SIZES_MAX);
        assert_eq!(sizes.find([0, 0, 0, 0].into(), Instant::ZERO), None);
        assert_eq!(sizes.find([0, 0, 1, 0].into(), Instant::ZERO), Some(576));
    }
}
