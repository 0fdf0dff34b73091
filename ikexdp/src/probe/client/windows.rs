//! Windows 10 and 11.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::{Client, Opening, encryption, group, integrity, prf, proposals};

/// The vendor IDs of Windows 8 and later.
const VENDOR_IDS: [&[u8]; 4] = [
    b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\0\0\0\x09",
    b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20",
    b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
    b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\0\0\0\x02",
];

/// SHA-1, SHA2-256 and SHA2-384, as integrity and as PRF.
const HASHES: [(u16, u16); 3] = [(2, 2), (12, 5), (13, 6)];

/// Octets of an announcement of RFC 7383.
const ANNOUNCEMENT: usize = 8;

/// Each of `ciphers` with each hash, in `modp`: one algorithm of each kind in a proposal.
fn each_with_each(ciphers: &[(u16, u16)], modp: u16) -> Vec<Proposal> {
    let rows = ciphers.iter().flat_map(|(id, bits)| {
        HASHES.map(|(mac, function)| {
            let cipher = encryption(*id, *bits);
            vec![cipher, integrity(mac), prf(function), group(modp)]
        })
    });
    proposals(ProtocolId::IKE, &rows.collect::<Vec<_>>())
}

fn with(name: &'static str, proposals: Vec<Proposal>, group: Group, opening_len: usize) -> Client {
    let mut opening = vec![
        Opening::Proposals,
        Opening::KeyExchange,
        Opening::Nonce,
        Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
        Opening::NatSource,
        Opening::NatDestination,
    ];
    opening.extend(VENDOR_IDS.map(Opening::VendorId));
    Client {
        name,
        proposals,
        group,
        nonce_len: 48,
        opening,
        opening_len: Some(opening_len),
        fakes_nat: false,
    }
}

/// Windows 10 as it comes.
#[must_use]
pub fn windows() -> Client {
    let ciphers = [(3, 0), (12, 128), (12, 192), (12, 256)];
    let proposals = each_with_each(&ciphers, 2);
    with("Windows 10 as it comes", proposals, Group::Modp1024, 888)
}

/// Windows with the registry's NegotiateDH2048_AES256.
#[must_use]
pub fn windows_dh2048() -> Client {
    let name = "Windows with NegotiateDH2048_AES256 = 2";
    with(name, each_with_each(&[(12, 256)], 14), Group::Modp2048, 632)
}

/// Ciphers of a policy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-CBC with 128 bits, and SHA2-256 in ESP.
    Aes128,
    /// AES-CBC with 256 bits for IKE, AES-GCM with 256 for ESP.
    Aes256,
}

/// Windows with a policy of its own, as `Set-VpnConnectionIPsecConfiguration` makes it: one proposal,
/// with SHA2-384.
#[must_use]
pub fn windows_custom(cipher: Cipher, ecp: Group) -> Client {
    let (name, length) = match ecp {
        Group::Ecp256 => ("Windows with AES128, SHA384 and ECP256", 352),
        _ => ("Windows with AES256, SHA384 and ECP384", 384),
    };
    let bits = match cipher {
        Cipher::Aes128 => 128,
        Cipher::Aes256 => 256,
    };
    let rows = vec![
        encryption(12, bits),
        integrity(13),
        prf(6),
        group(ecp.id().0),
    ];
    with(name, proposals(ProtocolId::IKE, &[rows]), ecp, length)
}

impl Client {
    /// The same without RFC 7383, such as Windows before version 1803.
    #[must_use]
    pub fn without_fragmentation(mut self) -> Self {
        let announced = Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
        self.opening.retain(|payload| *payload != announced);
        self.opening_len = self
            .opening_len
            .map(|length| length.saturating_sub(ANNOUNCEMENT));
        self
    }
}
