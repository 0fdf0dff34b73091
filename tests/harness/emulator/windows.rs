//! Windows 10 and 11.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::profile::{
    Cut, Item, Opening, Profile, Rekey, Row, SHORT, Signature, encryption, group, integrity, prf,
    proposals,
};

/// The vendor IDs of Windows 8 and later.
const VENDOR_IDS: [&[u8]; 4] = [
    b"\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\0\0\0\x09",
    b"\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20",
    b"\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19",
    b"\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\0\0\0\x02",
];

/// SHA-1, SHA2-256 and SHA2-384, as integrity and as PRF.
const HASHES: [(u16, u16); 3] = [(2, 2), (12, 5), (13, 6)];

/// INTERNAL_IP4_SERVER and INTERNAL_IP6_SERVER, which only Microsoft has.
const SERVERS: [u16; 2] = [23456, 23457];

/// Octets of ciphertext in a fragment, whatever the path takes.
const CIPHERTEXT: usize = 512;

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

/// What ESP is offered without a policy: AES-256, AES-128, 3DES, DES and none, with SHA-1.
fn default_esp() -> Vec<Proposal> {
    let ciphers = [
        encryption(12, 256),
        encryption(12, 128),
        encryption(3, 0),
        encryption(2, 0),
        encryption(11, 0),
    ];
    let rows = ciphers.map(|cipher| vec![cipher, integrity(2), SHORT]);
    proposals(ProtocolId::ESP, &rows)
}

fn with(proposals: Vec<Proposal>, group: Group, opening_len: usize) -> Profile {
    let mut opening = vec![
        Opening::Proposals,
        Opening::KeyExchange,
        Opening::Nonce,
        Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
        Opening::NatSource,
        Opening::NatDestination,
    ];
    opening.extend(VENDOR_IDS.map(Opening::VendorId));
    Profile {
        name: "",
        proposals,
        group,
        nonce_len: 48,
        opening,
        opening_len: Some(opening_len),
        auth: vec![
            Item::Identity,
            Item::Certificates,
            Item::Authorities,
            Item::Proof,
            Item::Notify(NotifyType::MOBIKE_SUPPORTED),
            Item::Configuration,
            Item::Child,
        ],
        authorities: 44,
        attributes: vec![1, 3, 4, SERVERS[0], 8, 10, SERVERS[1]],
        esp: default_esp(),
        cut: Cut::Ciphertext(CIPHERTEXT),
        signature: Signature::Old,
        refuses_ecdsa: false,
        rekey: Rekey {
            esp: default_esp(),
            group: None,
            keeps_number: false,
        },
        fakes_nat: false,
    }
}

/// Windows 10 as it comes.
#[must_use]
pub fn windows() -> Profile {
    let ciphers = [(3, 0), (12, 128), (12, 192), (12, 256)];
    Profile {
        name: "Windows 10 as it comes",
        ..with(each_with_each(&ciphers, 2), Group::Modp1024, 888)
    }
}

/// Windows with the registry's NegotiateDH2048_AES256.
#[must_use]
pub fn windows_dh2048() -> Profile {
    Profile {
        name: "Windows with NegotiateDH2048_AES256 = 2",
        ..with(each_with_each(&[(12, 256)], 14), Group::Modp2048, 632)
    }
}

/// Ciphers of a policy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-CBC with 128 bits, and SHA2-256 in ESP.
    Aes128,
    /// AES-CBC with 256 bits for IKE, AES-GCM with 256 for ESP.
    Aes256,
}

/// Windows with a policy of its own, as `Set-VpnConnectionIPsecConfiguration` makes it: one proposal
/// for IKE, with SHA2-384, and one for ESP, with perfect forward secrecy in the same group.
#[must_use]
pub fn windows_custom(cipher: Cipher, ecp: Group) -> Profile {
    let (name, length) = match ecp {
        Group::Ecp256 => ("Windows with AES128, SHA384 and ECP256", 352),
        _ => ("Windows with AES256, SHA384 and ECP384", 384),
    };
    let (ike, esp) = match cipher {
        Cipher::Aes128 => (
            encryption(12, 128),
            vec![encryption(12, 128), integrity(12)],
        ),
        Cipher::Aes256 => (encryption(12, 256), vec![encryption(20, 256)]),
    };
    let rows = vec![ike, integrity(13), prf(6), group(ecp.id().0)];
    let offer = |more: &[Row]| {
        let rows = [&esp, more, &[SHORT]].concat();
        proposals(ProtocolId::ESP, &[rows])
    };
    let profile = with(proposals(ProtocolId::IKE, &[rows]), ecp, length);
    Profile {
        name,
        esp: offer(&[]),
        rekey: Rekey {
            esp: offer(&[group(ecp.id().0)]),
            group: Some(ecp),
            keeps_number: false,
        },
        ..profile
    }
}

impl Profile {
    /// The same from before version 1803, which does not know RFC 7383: its long messages are IP
    /// fragments.
    #[must_use]
    pub fn before_1803(mut self) -> Self {
        let announced = Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED);
        self.opening.retain(|payload| *payload != announced);
        self.opening_len = self.opening_len.map(|length| length - 8);
        self.cut = Cut::Never;
        self
    }
}
