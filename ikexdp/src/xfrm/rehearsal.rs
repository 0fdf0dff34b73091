//! SAs that are made only to see whether they can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ikexdp_proto::crypto::cipher::Cipher;
use ikexdp_proto::crypto::keymat::EspKeys;
use ikexdp_proto::data_plane::{Binding, Direction, EspSa, Lineage, Tunnel, UsageLimits};
use ikexdp_proto::suite::EspSuite;
use ikexdp_proto::types::{EspSpi, Secret};

use super::{XfrmError, channel, sa};

/// Where nobody is: a dummy (RFC 7600 §7), and one to be discarded (RFC 6666).
const NOWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8)),
    IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1)),
];

/// Reserved (RFC 4303 §2.1): no SA of a peer has it.
const SPI: EspSpi = EspSpi(255);

/// Has the kernel make an SA to nowhere with each of `ciphers`, which loads what
/// that takes, and take it away again. Gives those that it has no algorithms for.
///
/// # Errors
/// [`XfrmError`] if the kernel was not reached.
pub fn rehearse(ciphers: &[Cipher]) -> Result<Vec<Cipher>, XfrmError> {
    let mut channel = channel()?;
    let mut missing = Vec::new();
    for &cipher in ciphers {
        let messages = NOWHERE.iter().flat_map(|&address| {
            // With extended sequence numbers the kernel takes other modules.
            [false, true].into_iter().flat_map(move |extended| {
                let sa = to(address, cipher, extended);
                [sa::install(&sa), sa::remove(&sa.name())]
            })
        });
        let replies = channel.exchange(messages)?;
        let mut refused = replies.iter().filter_map(|reply| reply.as_ref().err());
        if refused.any(|refusal| matches!(refusal.errno(), Some(libc::ENOSYS | libc::ENOENT))) {
            missing.push(cipher);
        }
    }
    Ok(missing)
}

/// Its keys are known to everybody, and it is in nobody's policy.
fn to(address: IpAddr, cipher: Cipher, extended_sequence_numbers: bool) -> EspSa {
    let end = SocketAddr::new(address, 0);
    let known = |length| Secret::new(vec![0; length]);
    EspSa {
        direction: Direction::Outbound,
        spi: SPI,
        tunnel: Tunnel {
            local: end,
            remote: end,
            in_udp: false,
        },
        suite: EspSuite {
            cipher,
            extended_sequence_numbers,
        },
        keys: EspKeys {
            encryption: known(cipher.encryption().key_material()),
            integrity: known(cipher.integrity_key_material()),
        },
        lineage: Lineage(Lineage::MAX),
        binding: Binding::default(),
        limits: UsageLimits::default(),
    }
}
