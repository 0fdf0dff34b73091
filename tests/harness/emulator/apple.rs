//! iOS and macOS.

use ikexdp::probe::client::{self, Client, encryption, group, integrity, proposals};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::profile::{Cut, Item, Profile, Rekey, SHORT, Signature};

/// ADDR, DHCP, DNS, MASK, ADDR6, DHCP6, DNS6, INTERNAL_DNS_DOMAIN.
const ATTRIBUTES: [u16; 8] = [1, 6, 3, 2, 8, 12, 10, 25];

fn with(client: Client, esp: [Vec<Proposal>; 2]) -> Profile {
    let [esp, rekeyed] = esp;
    Profile {
        client,
        auth: vec![
            Item::Identity,
            Item::Notify(NotifyType::INITIAL_CONTACT),
            Item::Notify(NotifyType::MOBIKE_SUPPORTED),
            Item::Wanted,
            Item::Authorities,
            Item::Proof,
            Item::Certificates,
            Item::Configuration,
            Item::Notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED),
            Item::Notify(NotifyType::NON_FIRST_FRAGMENTS_ALSO),
            Item::Child,
        ],
        authorities: 0,
        attributes: ATTRIBUTES.to_vec(),
        esp,
        cut: Cut::Blocks(576),
        signature: Signature::Old,
        refuses_ecdsa: false,
        rekey: Rekey {
            esp: rekeyed,
            group: None,
            keeps_number: true,
        },
    }
}

/// iOS set up by hand. Its proposals for the rekeying of a CHILD SA are those with a group first, and
/// then those without.
#[must_use]
pub fn ios() -> Profile {
    let suite = [encryption(12, 256), integrity(12)];
    let esp = vec![
        [&suite[..], &[SHORT]].concat(),
        vec![encryption(12, 128), integrity(2), SHORT],
        vec![encryption(3, 0), integrity(2), SHORT],
    ];
    let rekeyed = vec![
        [&suite[..], &[group(14), SHORT]].concat(),
        [&suite[..], &[SHORT]].concat(),
    ];
    let both = [esp, rekeyed].map(|rows| proposals(ProtocolId::ESP, &rows));
    let mut profile = with(client::ios(), both);
    profile.rekey.group = Some(Group::Modp2048);
    profile.refuses_ecdsa = true;
    profile.without_certreq()
}

/// macOS with a profile that names one proposal.
#[must_use]
pub fn macos() -> Profile {
    let esp = [vec![encryption(20, 128), SHORT]];
    let esp = proposals(ProtocolId::ESP, &esp);
    with(client::macos(), [esp.clone(), esp])
}

/// macOS 14 with a profile for perfect forward secrecy, of which somebody has published a log.
#[must_use]
pub fn macos_14() -> Profile {
    let esp = [vec![encryption(20, 256), SHORT]];
    let rekeyed = [
        vec![encryption(20, 256), group(19), SHORT],
        vec![encryption(20, 256), SHORT],
    ];
    let esp = proposals(ProtocolId::ESP, &esp);
    let rekeyed = proposals(ProtocolId::ESP, &rekeyed);
    let mut profile = with(client::macos_14(), [esp, rekeyed]);
    profile.rekey.group = Some(Group::Ecp256);
    profile.without_certreq()
}

impl Profile {
    /// The same with a profile that does not name the issuer of the gateway's certificate: it asks for
    /// no certificate, and wants one.
    #[must_use]
    pub fn without_certreq(mut self) -> Self {
        self.auth.retain(|item| *item != Item::Authorities);
        self
    }
}
