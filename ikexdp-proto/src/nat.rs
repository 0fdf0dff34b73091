//! NAT detection (RFC 7296 §2.23): each side tells a hash of the addresses it
//! believes in, the other compares.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::event::NatSituation;
use crate::types::{Path, Spis};
use crate::wire::iana::NotifyType;
use crate::wire::payload::notify::Notify;
use crate::wire::writer::ChainWriter;

/// SHA-1 over SPIs, address and port.
pub type NatHash = [u8; 20];

/// The hash of `address` in the exchange with `spis`.
#[must_use]
pub fn hash(spis: Spis, address: SocketAddr) -> NatHash {
    let port = address.port().to_be_bytes();
    let spis = [spis.initiator.0, spis.responder.0].map(u64::to_be_bytes);
    let digest = match address.ip() {
        IpAddr::V4(address) => sha1(&[spis.as_flattened(), &address.octets(), &port]),
        IpAddr::V6(address) => sha1(&[spis.as_flattened(), &address.octets(), &port]),
    };
    digest.as_ref().try_into().unwrap_or_default()
}

/// Without a context, which takes longer to make than a digest of this little.
fn sha1(parts: &[&[u8]; 3]) -> Digest {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &parts.concat())
}

/// What one side tells about the addresses of its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatHashes {
    /// NAT_DETECTION_SOURCE_IP: of each address the sender may have sent from.
    pub sources: Vec<NatHash>,
    /// NAT_DETECTION_DESTINATION_IP: of the address it was sent to.
    pub destination: Option<NatHash>,
}

impl NatHashes {
    /// What we tell about a message of ours on `path`.
    #[must_use]
    pub fn of(spis: Spis, path: &Path) -> Self {
        Self {
            sources: alloc::vec![hash(spis, path.local)],
            destination: Some(hash(spis, path.remote)),
        }
    }

    /// Whether anything is told: who tells nothing does not do NAT traversal.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.destination.is_none()
    }

    /// Takes what `notify` tells, if it is about this.
    pub fn read(&mut self, notify: &Notify<'_>) {
        match notify.kind {
            NotifyType::NAT_DETECTION_SOURCE_IP => {
                self.sources.extend(NatHash::try_from(notify.data));
            }
            NotifyType::NAT_DETECTION_DESTINATION_IP => {
                self.destination = NatHash::try_from(notify.data).ok();
            }
            _ => {}
        }
    }

    /// Appends the notifies.
    pub fn encode(&self, chain: &mut ChainWriter) {
        for source in &self.sources {
            Notify::new(NotifyType::NAT_DETECTION_SOURCE_IP, source).encode(chain);
        }
        if let Some(destination) = &self.destination {
            Notify::new(NotifyType::NAT_DETECTION_DESTINATION_IP, destination).encode(chain);
        }
    }

    /// Compares what the peer told with the path its message took.
    #[must_use]
    pub fn compare(&self, spis: Spis, path: &Path) -> NatSituation {
        let remote = hash(spis, path.remote);
        let local = hash(spis, path.local);
        NatSituation {
            remote: !self.sources.is_empty() && !self.sources.contains(&remote),
            local: self.destination.is_some_and(|told| told != local),
        }
    }
}

/// Whether a message that came on `path` was sent between other addresses, as its
/// NO_NATS_ALLOWED tells, if it has one.
pub(crate) fn is_translated(told: Option<&Vec<u8>>, path: &Path) -> bool {
    told.is_some_and(|told| *told != no_nats(path))
}

/// What NO_NATS_ALLOWED holds when a message comes on `path` as it was sent:
/// source and destination address, source and destination port (RFC 4555 §4.2.6).
#[must_use]
pub fn no_nats(path: &Path) -> Vec<u8> {
    let mut octets = Vec::new();
    for end in [path.remote, path.local] {
        match end.ip() {
            IpAddr::V4(address) => octets.extend(address.octets()),
            IpAddr::V6(address) => octets.extend(address.octets()),
        }
    }
    for end in [path.remote, path.local] {
        octets.extend(end.port().to_be_bytes());
    }
    octets
}
