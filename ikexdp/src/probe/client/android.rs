//! Android's own client, and strongSwan's app.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::{Client, Opening, Row, encryption, group, integrity, prf, proposals};

/// SHA-1, SHA2-256, SHA2-384 and SHA2-512.
const HASHES: &[u16] = &[1, 2, 3, 4];

/// Each of these ciphers with 256, 192 and 128 bits.
#[must_use]
pub fn sizes(ids: &[u16]) -> Vec<Row> {
    let ciphers = ids
        .iter()
        .flat_map(|id| [256, 192, 128].map(|bits| encryption(*id, bits)));
    ciphers.collect()
}

const MACS: [u16; 5] = [14, 13, 12, 5, 8];

/// Android's own proposals: with integrity, and without; `more` is in both.
#[must_use]
pub fn pair(protocol: ProtocolId, more: &[Row]) -> Vec<Proposal> {
    let mut aead = vec![encryption(28, 0)];
    aead.extend(sizes(&[20, 19, 18]));
    aead.extend_from_slice(more);
    let macs = MACS.map(integrity).to_vec();
    let others = [sizes(&[13, 12]), macs, more.to_vec()].concat();
    proposals(protocol, &[others, aead])
}

/// Android's own client. Its first group is one that few gateways like best.
#[must_use]
pub fn android() -> Client {
    let groups = [16, 31, 15, 14].map(group);
    let functions = [7, 6, 5, 4, 8, 2].map(prf);
    let ike = [&groups[..], &functions].concat();
    Client {
        name: "Android's own client",
        proposals: pair(ProtocolId::IKE, &ike),
        group: Group::Modp4096,
        nonce_len: 32,
        opening: vec![
            Opening::Proposals,
            Opening::Nonce,
            Opening::KeyExchange,
            Opening::NatSource,
            Opening::NatDestination,
            Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            Opening::SignatureHashes(HASHES),
        ],
        opening_len: None,
        fakes_nat: false,
    }
}

/// strongSwan's app for Android. It pretends that there is a NAT, because the system has no ESP for
/// apps.
#[must_use]
pub fn strongswan_app() -> Client {
    let groups = [19, 20, 21, 31, 15, 16, 14].map(group);
    let functions = [5, 6, 7].map(prf);
    let macs = [12, 13, 14].map(integrity);
    let aead = [sizes(&[20]), vec![encryption(28, 0)]].concat();
    let cbc = [sizes(&[12]), macs.to_vec()].concat();
    let ike = |ciphers: &[Row]| [ciphers, &functions, &groups].concat();
    Client {
        name: "strongSwan's app",
        proposals: proposals(ProtocolId::IKE, &[ike(&cbc), ike(&aead)]),
        group: Group::Ecp256,
        nonce_len: 32,
        opening: vec![
            Opening::Proposals,
            Opening::KeyExchange,
            Opening::Nonce,
            Opening::NatSource,
            Opening::NatDestination,
            Opening::Notify(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            Opening::SignatureHashes(&[2, 3, 4, 5]),
            Opening::Notify(NotifyType::REDIRECT_SUPPORTED),
        ],
        opening_len: None,
        fakes_nat: true,
    }
}
