//! Android's own client, and strongSwan's app.

use ikexdp::probe::client::{self, Row, encryption, group, integrity, pair, proposals, sizes};
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};

use super::profile::{Cut, Item, Profile, Rekey, SHORT, Signature};

/// Android's own client. Its first group is one that few gateways like best.
#[must_use]
pub fn android() -> Profile {
    Profile {
        client: client::android(),
        auth: vec![
            Item::Identity,
            Item::Wanted,
            Item::Certificates,
            Item::Proof,
            Item::Child,
            Item::Configuration,
            Item::Notify(NotifyType::MOBIKE_SUPPORTED),
        ],
        authorities: 0,
        attributes: vec![1, 8, 3, 10],
        esp: pair(ProtocolId::ESP, &[SHORT]),
        cut: Cut::Datagram(1280),
        signature: Signature::Digital,
        refuses_ecdsa: false,
        rekey: Rekey {
            esp: pair(ProtocolId::ESP, &[SHORT]),
            group: None,
            keeps_number: false,
        },
    }
}

/// strongSwan's app for Android. It pretends that there is a NAT, because the system has no ESP for
/// apps.
#[must_use]
pub fn strongswan_app() -> Profile {
    let groups = [19, 20, 21, 31, 15, 16, 14].map(group);
    let macs = [12, 13, 14].map(integrity);
    let aead = [sizes(&[20]), vec![encryption(28, 0)]].concat();
    let cbc = [sizes(&[12]), macs.to_vec()].concat();
    let child = |ciphers: &[Row], groups: &[Row]| [ciphers, groups, &[SHORT]].concat();
    let esp = [
        child(&aead, &groups),
        child(&cbc, &groups),
        child(&aead, &[]),
        child(&cbc, &[]),
    ];
    // IKE_AUTH has the same without groups, twice.
    let first = [&esp[2..], &esp[2..]].concat();
    Profile {
        client: client::strongswan_app(),
        auth: vec![
            Item::Identity,
            Item::Certificates,
            Item::Authorities,
            Item::Proof,
            Item::Configuration,
            Item::Notify(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED),
            Item::Child,
            Item::Notify(NotifyType::MOBIKE_SUPPORTED),
            Item::Notify(NotifyType::EAP_ONLY_AUTHENTICATION),
        ],
        authorities: 130,
        attributes: vec![1, 8, 3, 10],
        esp: proposals(ProtocolId::ESP, &first),
        cut: Cut::Datagram(1280),
        signature: Signature::Digital,
        refuses_ecdsa: false,
        rekey: Rekey {
            esp: proposals(ProtocolId::ESP, &esp),
            group: Some(Group::Ecp256),
            keeps_number: false,
        },
    }
}
