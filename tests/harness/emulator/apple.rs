//! iOS and macOS.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::profile::{
    Cut, Item, Opening, Profile, Rekey, SHORT, Signature, encryption, group, integrity, prf,
    proposals,
};

/// ADDR, DHCP, DNS, MASK, ADDR6, DHCP6, DNS6, INTERNAL_DNS_DOMAIN.
const ATTRIBUTES: [u16; 8] = [1, 6, 3, 2, 8, 12, 10, 25];

fn with(
    proposals: Vec<Proposal>,
    ecp_or_modp: Group,
    nonce_len: usize,
    esp: [Vec<Proposal>; 2],
) -> Profile {
    let [esp, rekeyed] = esp;
    Profile {
        name: "",
        proposals,
        group: ecp_or_modp,
        nonce_len,
        opening: vec![
            Opening::Proposals,
            Opening::KeyExchange,
            Opening::Nonce,
            Opening::NatSource,
            Opening::NatDestination,
            Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
        ],
        opening_len: None,
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
        fakes_nat: false,
    }
}

/// iOS set up by hand. Its proposals for the rekeying of a CHILD SA are those with a group first, and
/// then those without.
#[must_use]
pub fn ios() -> Profile {
    let rows = [
        vec![encryption(12, 256), integrity(12), prf(5), group(14)],
        vec![encryption(12, 256), integrity(12), prf(5), group(19)],
        vec![encryption(12, 256), integrity(12), prf(5), group(5)],
        vec![encryption(12, 128), integrity(2), prf(2), group(2)],
        vec![encryption(3, 0), integrity(2), prf(2), group(2)],
    ];
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
    let mut profile = with(proposals(ProtocolId::IKE, &rows), Group::Modp2048, 16, both);
    let redirect = Opening::Notify(NotifyType::REDIRECT_SUPPORTED);
    profile.opening.insert(3, redirect);
    profile.rekey.group = Some(Group::Modp2048);
    Profile {
        name: "iOS set up by hand",
        opening_len: Some(604),
        refuses_ecdsa: true,
        ..profile
    }
    .without_certreq()
}

/// macOS with a profile that names one proposal.
#[must_use]
pub fn macos() -> Profile {
    let ike = [vec![encryption(20, 128), prf(7), group(19)]];
    let esp = [vec![encryption(20, 128), SHORT]];
    let esp = proposals(ProtocolId::ESP, &esp);
    let both = [esp.clone(), esp];
    Profile {
        name: "macOS with a profile",
        opening_len: Some(240),
        ..with(proposals(ProtocolId::IKE, &ike), Group::Ecp256, 32, both)
    }
}

/// macOS 14 with a profile for perfect forward secrecy, of which somebody has published a log.
#[must_use]
pub fn macos_14() -> Profile {
    let gcm = [encryption(20, 256), prf(5)];
    let cbc = [encryption(12, 256), prf(5), integrity(12)];
    let ike = [
        [&gcm[..], &[group(19)]].concat(),
        [&gcm[..], &[group(14)]].concat(),
        [&cbc[..], &[group(19)]].concat(),
        [&cbc[..], &[group(14)]].concat(),
    ];
    let esp = [vec![encryption(20, 256), SHORT]];
    let rekeyed = [
        vec![encryption(20, 256), group(19), SHORT],
        vec![encryption(20, 256), SHORT],
    ];
    let esp = proposals(ProtocolId::ESP, &esp);
    let rekeyed = proposals(ProtocolId::ESP, &rekeyed);
    let ike = proposals(ProtocolId::IKE, &ike);
    let mut profile = with(ike, Group::Ecp256, 16, [esp, rekeyed]);
    profile.rekey.group = Some(Group::Ecp256);
    Profile {
        name: "macOS 14",
        ..profile
    }
    .without_certreq()
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
