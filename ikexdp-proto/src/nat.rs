//! NAT detection (RFC 7296 §2.23): each side tells a hash of the addresses it
//! believes in, the other compares.

use core::net::{IpAddr, SocketAddr};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::event::NatSituation;
use crate::message::init::InitNotifies;
use crate::types::{Path, Spis};

/// SHA-1 over SPIs, address and port.
pub type NatHash = [u8; 20];

/// The hash of `address` in the exchange with `spis`.
#[must_use]
pub fn hash(spis: Spis, address: SocketAddr) -> NatHash {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&spis.initiator.0.to_be_bytes());
    context.update(&spis.responder.0.to_be_bytes());
    match address.ip() {
        IpAddr::V4(address) => context.update(&address.octets()),
        IpAddr::V6(address) => context.update(&address.octets()),
    }
    context.update(&address.port().to_be_bytes());
    context.finish().as_ref().try_into().unwrap_or_default()
}

/// Compares what the peer told in `notifies` with the path its message took.
/// A peer that tells nothing does not do NAT traversal.
#[must_use]
pub fn detect(spis: Spis, path: &Path, notifies: &InitNotifies) -> NatSituation {
    let remote = hash(spis, path.remote);
    let local = hash(spis, path.local);
    NatSituation {
        remote: !notifies.nat_sources.is_empty() && !notifies.nat_sources.contains(&remote),
        local: notifies.nat_destination.is_some_and(|told| told != local),
    }
}

/// What we tell the peer about `path`.
pub fn announce(spis: Spis, path: &Path, notifies: &mut InitNotifies) {
    notifies.nat_sources.push(hash(spis, path.local));
    notifies.nat_destination = Some(hash(spis, path.remote));
}
