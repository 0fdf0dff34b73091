//! Windows 10 and 11.

use ikexdp::probe::client::{self, Cipher, Client, Row, encryption, group, integrity, proposals};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::profile::{Cut, Item, Profile, Rekey, SHORT, Signature};

/// INTERNAL_IP4_SERVER and INTERNAL_IP6_SERVER, which only Microsoft has.
const SERVERS: [u16; 2] = [23456, 23457];

/// Octets of ciphertext in a fragment, whatever the path takes.
const CIPHERTEXT: usize = 512;

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

fn with(client: Client) -> Profile {
    Profile {
        client,
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
    }
}

/// Windows 10 as it comes.
#[must_use]
pub fn windows() -> Profile {
    with(client::windows())
}

/// Windows with the registry's NegotiateDH2048_AES256.
#[must_use]
pub fn windows_dh2048() -> Profile {
    with(client::windows_dh2048())
}

/// Windows with a policy of its own, as `Set-VpnConnectionIPsecConfiguration` makes it: one proposal
/// for IKE, with SHA2-384, and one for ESP, with perfect forward secrecy in the same group.
#[must_use]
pub fn windows_custom(cipher: Cipher, ecp: Group) -> Profile {
    let esp = match cipher {
        Cipher::Aes128 => vec![encryption(12, 128), integrity(12)],
        Cipher::Aes256 => vec![encryption(20, 256)],
    };
    let offer = |more: &[Row]| {
        let rows = [&esp, more, &[SHORT]].concat();
        proposals(ProtocolId::ESP, &[rows])
    };
    Profile {
        esp: offer(&[]),
        rekey: Rekey {
            esp: offer(&[group(ecp.id().0)]),
            group: Some(ecp),
            keeps_number: false,
        },
        ..with(client::windows_custom(cipher, ecp))
    }
}

impl Profile {
    /// The same from before version 1803, which does not know RFC 7383: its long messages are IP
    /// fragments.
    #[must_use]
    pub fn before_1803(mut self) -> Self {
        self.client = self.client.without_fragmentation();
        self.cut = Cut::Never;
        self
    }
}
