//! What holds for every input, as far as drawing them can show.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by a panic"
)]

use std::net::{IpAddr, Ipv4Addr};

use harness::net::{Net, Side, Weather};
use harness::parties::{Parties, Proof};
use ikexdp::probe::reply::Reply;
use ikexdp::probe::vendor;
use ikexdp_proto::config::RemoteSelectors;
use ikexdp_proto::message::auth::{AuthRequest, AuthResponse};
use ikexdp_proto::message::eap::{EapAccepted, EapOpened, EapResponse};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::message::init::{InitNotifies, InitReply, InitRequest};
use ikexdp_proto::nat::NatHashes;
use ikexdp_proto::types::{MessageId, Path, Role, Spi, Spis};
use ikexdp_proto::wire::header::{Header, VERSION};
use ikexdp_proto::wire::iana::{
    ExchangeType, GroupId, HashAlgorithm, NotifyType, PayloadType, ProtocolId, TransformType,
};
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{Proposal, Transform};
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ikexdp_proto::wire::sk::Encrypted;
use ikexdp_proto::wire::writer::ChainWriter;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq};
use proptest::{option, prop_oneof, proptest};

fn transform() -> impl Strategy<Value = Transform> {
    let kind = (1..6_u8).prop_map(TransformType);
    (kind, any::<u16>(), option::of(any::<u16>()))
        .prop_map(|(kind, id, bits)| Transform::new(kind, id, bits))
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let spi = prop_oneof![Just(Vec::new()), vec(any::<u8>(), 4), vec(any::<u8>(), 8)];
    (any::<u8>(), 1..4_u8, spi, vec(transform(), 0..20)).prop_map(
        |(number, protocol, spi, transforms)| Proposal {
            number,
            protocol: ProtocolId(protocol),
            spi,
            transforms,
        },
    )
}

/// A range of IPv4 addresses in a small space, so that ranges overlap.
fn selector() -> impl Strategy<Value = TrafficSelector> {
    let address = || (0..64_u8).prop_map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last)));
    let ports = prop_oneof![Just((0, u16::MAX)), (0..20_u16, 0..20_u16)];
    let protocol = prop_oneof![Just(0), Just(6), Just(17)];
    (address(), address(), ports, protocol).prop_map(|(a, b, (p, q), protocol)| TrafficSelector {
        protocol,
        start_port: p.min(q),
        end_port: p.max(q),
        start: a.min(b),
        end: a.max(b),
    })
}

fn selects(selector: &TrafficSelector, address: IpAddr, protocol: u8, port: u16) -> bool {
    (selector.protocol == 0 || selector.protocol == protocol)
        && (selector.start_port..=selector.end_port).contains(&port)
        && (selector.start..=selector.end).contains(&address)
}

proptest! {
    #[test]
    fn no_octets_make_a_reader_panic(first in any::<u8>(), octets in vec(any::<u8>(), 0..300)) {
        let first = PayloadType(first);
        let _ = InitRequest::decode(first, &octets);
        let _ = InitReply::decode(first, &octets);
        let _ = AuthRequest::decode(first, &octets);
        let _ = AuthResponse::decode(first, &octets);
        let _ = EapOpened::decode(first, &octets);
        let _ = EapResponse::decode(first, &octets);
        let _ = EapAccepted::decode(first, &octets);
        let _ = Informational::decode(first, &octets);
        if let Ok((header, _)) = Header::decode(&octets) {
            let _ = Encrypted::locate(&header, &octets);
        }
    }

    /// A gateway that is asked may be anybody's.
    #[test]
    fn no_answer_makes_a_probe_panic(
        first in any::<u8>(),
        octets in vec(any::<u8>(), 0..300),
        kind in prop_oneof![Just(NotifyType::REDIRECT), any::<u16>().prop_map(NotifyType)],
        data in vec(any::<u8>(), 0..80),
    ) {
        let header = |first| Header {
            spis: Spis { initiator: Spi(1), responder: Spi(2) },
            next_payload: first,
            version: VERSION,
            exchange: ExchangeType::IKE_SA_INIT,
            from: Role::Responder,
            response: true,
            message_id: MessageId(0),
        };
        let _ = Reply::decode(&header(PayloadType(first)), &octets);
        let mut chain = ChainWriter::default();
        Notify::new(kind, &data).encode(&mut chain);
        chain.payload(PayloadType::VENDOR_ID, |body| body.bytes(&data));
        let chain = chain.finish();
        let reply = Reply::decode(&header(chain.first), &chain.octets);
        for id in reply.vendor_ids {
            prop_assert!(vendor::name(id).len() <= 64);
        }
    }

    #[test]
    fn a_request_survives_encoding_and_decoding(
        proposals in vec(proposal(), 1..5),
        data in vec(any::<u8>(), 0..600),
        nonce in vec(any::<u8>(), 16..257),
        cookie in option::of(vec(any::<u8>(), 1..65)),
        nat_sources in vec(any::<[u8; 20]>(), 0..3),
        nat_destination in option::of(any::<[u8; 20]>()),
        fragmentation in any::<bool>(),
        hashes in vec(any::<u16>(), 0..5),
        is_windows in any::<bool>(),
        size_test in option::of(any::<u16>()),
    ) {
        let request = InitRequest {
            cookie: cookie.as_deref(),
            proposals,
            key_exchange: KeyExchange { group: GroupId(31), data: &data },
            nonce: &nonce,
            notifies: InitNotifies {
                nat: NatHashes { sources: nat_sources, destination: nat_destination },
                fragmentation,
                signature_hashes: hashes.into_iter().map(HashAlgorithm).collect(),
                childless: false,
            },
            is_windows,
            size_test,
        };
        let chain = request.encode();
        let decoded = InitRequest::decode(chain.first, &chain.octets);
        prop_assert_eq!(decoded, Ok(request.clone()));
        // No part of it is a whole request.
        for end in 0..chain.octets.len() {
            prop_assert!(InitRequest::decode(chain.first, &chain.octets[..end]).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What two sides agree on selects exactly what both select by themselves.
    #[test]
    fn narrowing_is_intersection(ours in vec(selector(), 1..4), theirs in vec(selector(), 1..4)) {
        let mut parties = Parties::new(Proof::SharedKey);
        let everything = harness::parties::selector("0.0.0.0-255.255.255.255");
        parties.change_gateway(|connection| {
            connection.child.local = ours.clone();
            connection.child.remote = RemoteSelectors::Fixed(vec![everything]);
        });
        parties.change_client(|connection| {
            connection.child.request_addresses = false;
            connection.child.local = vec![everything];
            connection.child.remote = RemoteSelectors::Fixed(theirs.clone());
        });
        let mut net = Net::new(1, Weather::default(), &parties);
        net.connect();
        net.run(std::time::Duration::from_secs(2));
        let children = net.established(Side::Gateway).remove(0).children;
        let agreed = children.first().map(|child| child.local.clone()).unwrap_or_default();
        for last in 0..64 {
            let address = IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
            for protocol in [6, 17] {
                for port in [0, 1, 10, 19, 500] {
                    let by = |list: &[TrafficSelector]| {
                        list.iter().any(|one| selects(one, address, protocol, port))
                    };
                    prop_assert_eq!(by(&agreed), by(&ours) && by(&theirs));
                }
            }
        }
    }

    /// Whatever a stranger sends, an SA that is up stays up, and nothing grows.
    #[test]
    fn a_stranger_changes_nothing(datagrams in vec(vec(any::<u8>(), 0..200), 1..50)) {
        let mut net = Net::new(1, Weather::default(), &Parties::new(Proof::SharedKey));
        net.connect();
        net.run(std::time::Duration::from_secs(2));
        let sa = net.established(Side::Gateway).remove(0);
        let path = Path { remote: "203.0.113.9:500".parse().unwrap(), ..sa.path };
        for mut datagram in datagrams {
            net.inject(Side::Gateway, path, &datagram);
            // The same with a header that is right in every field of its own.
            let mut message = sa.spis.initiator.0.to_be_bytes().to_vec();
            message.extend(sa.spis.responder.0.to_be_bytes());
            message.extend([46, 0x20, 37, 0x08, 0, 0, 0, 2]);
            message.extend((28 + datagram.len() as u32).to_be_bytes());
            message.append(&mut datagram);
            net.inject(Side::Gateway, path, &message);
        }
        prop_assert_eq!(net.established(Side::Gateway).len(), 1);
        prop_assert_eq!(net.endpoint(Side::Gateway).reassembly_octets(), 0);
        net.run(std::time::Duration::from_secs(300));
        prop_assert_eq!(net.established(Side::Gateway).len(), 1);
    }
}
