//! strongSwan on Linux.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};

use super::{Client, Opening, Row, encryption, group, integrity, prf, proposals};

/// Each of these ciphers with 128, 192 and 256 bits.
fn sizes(ids: &[u16]) -> Vec<Row> {
    let ciphers = ids
        .iter()
        .flat_map(|id| [128, 192, 256].map(|bits| encryption(*id, bits)));
    ciphers.collect()
}

/// strongSwan with the proposals that it makes by itself, as Debian 12 has it (5.9.8, with all plug-ins of
/// the package): taken from what it sends.
#[must_use]
pub fn strongswan() -> Client {
    let groups = [31, 32, 19, 20, 21, 28, 29, 30, 15, 16, 17, 18, 14].map(group);
    let functions = [5, 6, 7, 4, 8, 2].map(prf);
    let macs = [12, 13, 14, 5, 8, 2].map(integrity);
    let with_macs = [
        sizes(&[12, 13, 23, 24]),
        vec![encryption(3, 0)],
        macs.to_vec(),
    ]
    .concat();
    let aead = [
        sizes(&[16, 20]),
        vec![encryption(28, 0)],
        sizes(&[14, 15, 18, 19]),
    ]
    .concat();
    let ike = |ciphers: &[Row]| [ciphers, &functions, &groups].concat();
    Client {
        name: "strongSwan on Linux",
        proposals: proposals(ProtocolId::IKE, &[ike(&with_macs), ike(&aead)]),
        group: Group::Curve25519,
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
        opening_len: Some(940),
        fakes_nat: false,
    }
}
