//! iOS and macOS.

use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::wire::iana::{NotifyType, ProtocolId};
use ikexdp_proto::wire::payload::sa::Proposal;

use super::{Client, Opening, encryption, group, integrity, prf, proposals};

fn with(
    name: &'static str,
    proposals: Vec<Proposal>,
    ecp_or_modp: Group,
    nonce_len: usize,
) -> Client {
    Client {
        name,
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
        fakes_nat: false,
    }
}

/// iOS set up by hand.
#[must_use]
pub fn ios() -> Client {
    let rows = [
        vec![encryption(12, 256), integrity(12), prf(5), group(14)],
        vec![encryption(12, 256), integrity(12), prf(5), group(19)],
        vec![encryption(12, 256), integrity(12), prf(5), group(5)],
        vec![encryption(12, 128), integrity(2), prf(2), group(2)],
        vec![encryption(3, 0), integrity(2), prf(2), group(2)],
    ];
    let ike = proposals(ProtocolId::IKE, &rows);
    let mut client = with("iOS set up by hand", ike, Group::Modp2048, 16);
    let redirect = Opening::Notify(NotifyType::REDIRECT_SUPPORTED);
    client.opening.insert(3, redirect);
    Client {
        opening_len: Some(604),
        ..client
    }
}

/// macOS with a profile that names one proposal.
#[must_use]
pub fn macos() -> Client {
    let ike = [vec![encryption(20, 128), prf(7), group(19)]];
    let ike = proposals(ProtocolId::IKE, &ike);
    Client {
        opening_len: Some(240),
        ..with("macOS with a profile", ike, Group::Ecp256, 32)
    }
}

/// macOS 14 with a profile for perfect forward secrecy, of which somebody has published a log.
#[must_use]
pub fn macos_14() -> Client {
    let gcm = [encryption(20, 256), prf(5)];
    let cbc = [encryption(12, 256), prf(5), integrity(12)];
    let ike = [
        [&gcm[..], &[group(19)]].concat(),
        [&gcm[..], &[group(14)]].concat(),
        [&cbc[..], &[group(19)]].concat(),
        [&cbc[..], &[group(14)]].concat(),
    ];
    let ike = proposals(ProtocolId::IKE, &ike);
    with("macOS 14", ike, Group::Ecp256, 16)
}
