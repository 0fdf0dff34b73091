//! CREATE_CHILD_SA, seen from a peer's side (RFC 7296 §1.3): what it may ask for,
//! and what it hears when it may not.

use harness::parties::{proposal, selector};
use harness::script::{Answer, CHILD_SPI, Script, chain, config, kinds};
use ikexdp_proto::crypto::kex::{Group, KeyPair};
use ikexdp_proto::data_plane::Direction;
use ikexdp_proto::event::ChildSummary;
use ikexdp_proto::limits::CHILDREN_MAX;
use ikexdp_proto::message::child::Selectors;
use ikexdp_proto::message::create_child::CreateChild;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::iana::{
    ExchangeType, GroupId, NotifyType, PayloadType, ProtocolId, TransformType,
};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::{self, Proposal};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};
use ring::rand::SystemRandom;

const ENCR: TransformType = TransformType::ENCRYPTION;
const KE: TransformType = TransformType::KEY_EXCHANGE;
const ESN: TransformType = TransformType::SEQUENCE_NUMBERS;

/// The SPI on which the client receives on the second CHILD SA.
pub(super) const NEXT_SPI: u32 = CHILD_SPI + 1;

const NONCE: [u8; 32] = [0x5a; 32];

/// What a CHILD SA without a key exchange of its own is answered with.
const ACCEPTED: [PayloadType; 4] = [
    PayloadType::SECURITY_ASSOCIATION,
    PayloadType::NONCE,
    PayloadType::TRAFFIC_SELECTOR_INITIATOR,
    PayloadType::TRAFFIC_SELECTOR_RESPONDER,
];

pub(super) fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script.events.clear();
    script
}

fn esp(spi: u32, transforms: &[(TransformType, u16, Option<u16>)]) -> Vec<Proposal> {
    let spi = spi.to_be_bytes().to_vec();
    vec![proposal(ProtocolId::ESP, spi, transforms)]
}

/// A CHILD SA like the first.
pub(super) fn request(spi: u32) -> CreateChild<'static> {
    let child = Script::child();
    CreateChild {
        rekeyed: None,
        proposals: esp(spi, &[(ENCR, 20, Some(256)), (ESN, 0, None)]),
        nonce: &NONCE,
        key_exchange: None,
        selectors: Some(child.selectors),
    }
}

pub(super) fn ask(script: &mut Script, id: u32, request: &CreateChild<'_>) -> Answer {
    script.exchange(ExchangeType::CREATE_CHILD_SA, id, &request.encode())
}

/// The request with notifies in front, as clients write them.
fn with(notifies: &[NotifyType], request: &CreateChild<'_>) -> Chain {
    let mut chain = ChainWriter::default();
    for kind in notifies {
        Notify::new(*kind, &[]).encode(&mut chain);
    }
    let request = request.encode();
    for payload in Payloads::new(request.first, &request.octets) {
        let payload = payload.unwrap();
        chain.payload(payload.kind, |body| body.bytes(payload.body));
    }
    chain.finish()
}

fn refusal(answer: &Answer) -> Notify<'_> {
    assert_eq!(kinds(answer), [PayloadType::NOTIFY]);
    Notify::decode(&answer[0].1).unwrap()
}

fn transforms(answer: &Answer) -> Vec<(TransformType, u16)> {
    let proposals = sa::decode(&answer[0].1).unwrap();
    let chosen = proposals[0].transforms.iter();
    chosen.map(|chosen| (chosen.kind, chosen.id)).collect()
}

fn children(script: &Script) -> Vec<ChildSummary> {
    script.endpoint.summaries(None).next().unwrap().children
}

fn holds(script: &Script) {
    let sas: Vec<_> = script.endpoint.summaries(None).collect();
    script.kernel.holds(&sas);
}

/// --> CREATE_CHILD_SA { SA, Ni, TSi, TSr }
/// <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
#[test]
fn a_further_child_sa_stands_beside_the_first() {
    let mut script = up();
    let answer = ask(&mut script, 2, &request(NEXT_SPI));
    assert_eq!(kinds(&answer), ACCEPTED);
    let [first, second] = &children(&script)[..] else {
        panic!("two CHILD SAs")
    };
    assert_eq!(first.spi_out, EspSpi(CHILD_SPI));
    assert_eq!(second.spi_out, EspSpi(NEXT_SPI));
    let ours = sa::decode(&answer[0].1).unwrap();
    assert_eq!(ours[0].spi, second.spi_in.0.to_be_bytes());
    // Nothing is replaced: both carry traffic in both directions.
    holds(&script);
}

/// --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, TSi, TSr }
/// <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr }
#[test]
fn a_child_sa_is_replaced_by_the_spi_the_peer_receives_on() {
    let mut script = up();
    let rekeying = CreateChild {
        rekeyed: Some(EspSpi(CHILD_SPI)),
        ..request(NEXT_SPI)
    };
    assert_eq!(kinds(&ask(&mut script, 2, &rekeying)), ACCEPTED);
    let new = children(&script)[1].spi_in;
    // RFC 7296 §2.8: it receives before it is answered, and sends when the old
    // one is deleted.
    assert!(script.kernel.sa(Direction::Inbound, new).is_some());
    let outbound = EspSpi(NEXT_SPI);
    assert!(script.kernel.sa(Direction::Outbound, outbound).is_none());
}

/// RFC 7296 §2.25: "the SPI in the notification is copied".
/// --> CREATE_CHILD_SA { N(REKEY_SA: 00000bad), SA, Ni, TSi, TSr }
/// <-- CREATE_CHILD_SA { N(CHILD_SA_NOT_FOUND: 00000bad) }
#[test]
fn a_child_sa_that_is_not_there_cannot_be_replaced() {
    let mut script = up();
    let ours = children(&script)[0].spi_in;
    // Nor can one be named by the SPI that we receive on.
    for (id, spi) in [(2, EspSpi(0xbad)), (3, ours)] {
        let rekeying = CreateChild {
            rekeyed: Some(spi),
            ..request(NEXT_SPI)
        };
        let answer = ask(&mut script, id, &rekeying);
        let notify = refusal(&answer);
        assert_eq!(notify.kind, NotifyType::CHILD_SA_NOT_FOUND);
        assert_eq!(notify.protocol, ProtocolId::ESP);
        assert_eq!(notify.spi, spi.0.to_be_bytes());
    }
    assert_eq!(children(&script).len(), 1);
    holds(&script);
}

/// --> CREATE_CHILD_SA { SA(x25519), Ni, KEi(x25519), TSi, TSr }
/// <-- CREATE_CHILD_SA { SA(x25519), Nr, KEr(x25519), TSi, TSr }
#[test]
fn a_key_exchange_of_its_own_is_for_the_peer_to_choose() {
    let gcm = (ENCR, 20, Some(256));
    let esn = (ESN, 0, None);
    let x25519 = Group::Curve25519.generate(&SystemRandom::new()).unwrap();
    let value = KeyExchange {
        group: x25519.group().id(),
        data: x25519.public(),
    };
    let modp1024 = KeyExchange {
        group: GroupId(2),
        data: &[9; 128],
    };
    let (curve, none, weak) = ((KE, 31, None), (KE, 0, None), (KE, 2, None));
    // What is offered and sent, and the group that is chosen.
    let cases = [
        (vec![gcm, esn], None, None),
        (vec![gcm, curve, esn], Some(value), Some(31)),
        (vec![gcm, curve, none, esn], Some(value), Some(31)),
        (vec![gcm, curve, none, esn], None, None),
        // RFC 7296 §3.3.6: where NONE is chosen, the value is ignored.
        (vec![gcm, weak, none, esn], Some(modp1024), None),
    ];
    for (offered, key_exchange, group) in cases {
        let mut script = up();
        let asked = CreateChild {
            proposals: esp(NEXT_SPI, &offered),
            key_exchange,
            ..request(NEXT_SPI)
        };
        let answer = ask(&mut script, 2, &asked);
        let has_value = kinds(&answer).contains(&PayloadType::KEY_EXCHANGE);
        assert_eq!(has_value, group.is_some(), "{offered:?}");
        let chosen = transforms(&answer);
        let chosen = chosen.iter().find(|(kind, _)| *kind == KE);
        assert_eq!(chosen.map(|(_, id)| *id), group, "{offered:?}");
        assert_eq!(children(&script).len(), 2);
    }
}

/// RFC 7296 §1.3: the responder names the group that it wants instead.
/// --> CREATE_CHILD_SA { SA(x25519), Ni, KEi(ecp256), TSi, TSr }
/// <-- CREATE_CHILD_SA { N(INVALID_KE_PAYLOAD: x25519) }
#[test]
fn a_value_of_another_group_is_refused_with_the_right_one() {
    let mut script = up();
    let offered = [(ENCR, 20, Some(256)), (KE, 31, None), (ESN, 0, None)];
    let ecp256 = KeyExchange {
        group: GroupId::ECP_256,
        data: &[4; 64],
    };
    for (id, key_exchange) in [(2, Some(ecp256)), (3, None)] {
        let asked = CreateChild {
            proposals: esp(NEXT_SPI, &offered),
            key_exchange,
            ..request(NEXT_SPI)
        };
        let answer = ask(&mut script, id, &asked);
        let notify = refusal(&answer);
        assert_eq!(notify.kind, NotifyType::INVALID_KE_PAYLOAD);
        assert_eq!(notify.data, [0, 31]);
    }
    assert_eq!(children(&script).len(), 1);
    // It may ask again, as it was told.
    let key = Group::Curve25519.generate(&SystemRandom::new()).unwrap();
    let asked = CreateChild {
        proposals: esp(NEXT_SPI, &offered),
        key_exchange: Some(value_of(&key)),
        ..request(NEXT_SPI)
    };
    assert_eq!(ask(&mut script, 4, &asked).len(), 5);
}

fn value_of(key: &KeyPair) -> KeyExchange<'_> {
    KeyExchange {
        group: key.group().id(),
        data: key.public(),
    }
}

/// What cannot be had is refused, and what there is stays.
#[test]
fn a_child_sa_that_is_refused_leaves_the_others() {
    use NotifyType as Is;
    let elsewhere = Selectors::new(
        vec![selector("203.0.113.1-203.0.113.1")],
        vec![selector("10.1.0.0-10.1.255.255")],
    );
    let cases = [
        (
            "3DES",
            Is::NO_PROPOSAL_CHOSEN,
            CreateChild {
                proposals: esp(NEXT_SPI, &[(ENCR, 3, None), (ESN, 0, None)]),
                ..request(NEXT_SPI)
            },
        ),
        (
            "AH",
            Is::NO_PROPOSAL_CHOSEN,
            CreateChild {
                proposals: vec![proposal(
                    ProtocolId(2),
                    NEXT_SPI.to_be_bytes().to_vec(),
                    &[(TransformType::INTEGRITY, 12, None), (ESN, 0, None)],
                )],
                ..request(NEXT_SPI)
            },
        ),
        (
            "an SPI of eight octets",
            Is::NO_PROPOSAL_CHOSEN,
            CreateChild {
                proposals: vec![proposal(
                    ProtocolId::ESP,
                    vec![7; 8],
                    &[(ENCR, 20, Some(256)), (ESN, 0, None)],
                )],
                ..request(NEXT_SPI)
            },
        ),
        (
            "addresses of others",
            Is::TS_UNACCEPTABLE,
            CreateChild {
                selectors: Some(elsewhere),
                ..request(NEXT_SPI)
            },
        ),
        (
            "no selectors at all",
            Is::TS_UNACCEPTABLE,
            CreateChild {
                selectors: Some(Selectors::new(Vec::new(), Vec::new())),
                ..request(NEXT_SPI)
            },
        ),
    ];
    let mut script = up();
    for ((what, kind, asked), id) in cases.into_iter().zip(2..) {
        let answer = ask(&mut script, id, &asked);
        assert_eq!(refusal(&answer).kind, kind, "{what}");
        assert_eq!(children(&script).len(), 1, "{what}");
        holds(&script);
    }
}

/// RFC 4303 §2.1: zero is never sent, and up to 255 SPIs are reserved.
#[test]
fn nothing_is_sent_on_a_reserved_spi() {
    let mut script = up();
    for (spi, id) in [0, 1, 255].into_iter().zip(2..) {
        let answer = ask(&mut script, id, &request(spi));
        assert_eq!(refusal(&answer).kind, NotifyType::NO_PROPOSAL_CHOSEN);
    }
    assert_eq!(kinds(&ask(&mut script, 5, &request(256))), ACCEPTED);
}

/// RFC 7296 §3.3.6: of what is offered one is chosen, and what is not known
/// cannot be.
#[test]
fn sequence_numbers_are_as_long_as_both_can() {
    for (offered, chosen) in [
        (&[0, 1][..], Some(1)),
        (&[1], Some(1)),
        (&[0], Some(0)),
        (&[7, 0], Some(0)),
        (&[7], None),
    ] {
        let mut script = up();
        let mut transforms_offered = vec![(ENCR, 20, Some(256))];
        transforms_offered.extend(offered.iter().map(|id| (ESN, *id, None)));
        let asked = CreateChild {
            proposals: esp(NEXT_SPI, &transforms_offered),
            ..request(NEXT_SPI)
        };
        let answer = ask(&mut script, 2, &asked);
        let Some(chosen) = chosen else {
            assert_eq!(refusal(&answer).kind, NotifyType::NO_PROPOSAL_CHOSEN);
            continue;
        };
        assert_eq!(transforms(&answer), [(ENCR, 20), (ESN, chosen)]);
        let suite = children(&script)[1].suite;
        assert_eq!(suite.extended_sequence_numbers, chosen == 1);
    }
}

/// RFC 7296 §1.3.1, §2.22, §2.3, §3.10.1: what is only allowed or not known need
/// not be answered; without USE_TRANSPORT_MODE in the answer it is tunnel mode.
#[test]
fn notifies_that_we_have_no_use_for_are_ignored() {
    let notifies = [
        NotifyType::USE_TRANSPORT_MODE,
        NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED,
        NotifyType::NON_FIRST_FRAGMENTS_ALSO,
        NotifyType::IPCOMP_SUPPORTED,
        NotifyType::SET_WINDOW_SIZE,
        NotifyType(40_000),
        NotifyType(16_000),
    ];
    let mut script = up();
    for (kind, id) in notifies.into_iter().zip(2..) {
        let payloads = with(&[kind], &request(NEXT_SPI + id));
        let answer = script.exchange(ExchangeType::CREATE_CHILD_SA, id, &payloads);
        assert_eq!(kinds(&answer), ACCEPTED, "{kind}");
    }
    holds(&script);
}

/// <-- CREATE_CHILD_SA { N(NO_ADDITIONAL_SAS) }
#[test]
fn there_is_an_end_to_the_child_sas_of_a_peer() {
    let mut script = up();
    let mut id = 2;
    for _ in 1..CHILDREN_MAX {
        let answer = ask(&mut script, id, &request(NEXT_SPI + id));
        assert_eq!(kinds(&answer), ACCEPTED);
        id += 1;
    }
    let answer = ask(&mut script, id, &request(NEXT_SPI + id));
    assert_eq!(refusal(&answer).kind, NotifyType::NO_ADDITIONAL_SAS);
    assert_eq!(children(&script).len(), CHILDREN_MAX);
    holds(&script);
}

/// RFC 7296 §2.21.3: what is authentic and cannot be read ends the SA on both
/// sides.
/// <-- CREATE_CHILD_SA { N(INVALID_SYNTAX) }
#[test]
fn what_cannot_be_read_ends_the_sa() {
    let without = |missing: PayloadType| {
        let request = request(NEXT_SPI).encode();
        let payloads = Payloads::new(request.first, &request.octets).map(Result::unwrap);
        let kept = payloads.filter(|payload| payload.kind != missing);
        chain(&kept.map(|kept| (kept.kind, kept.body.to_vec())).collect())
    };
    let short_nonce = CreateChild {
        nonce: &NONCE[..15],
        ..request(NEXT_SPI)
    };
    let mut twice = with(&[], &request(NEXT_SPI));
    let again = twice.octets.clone();
    // The last payload of the first time leads to the first of the second.
    let last = twice.octets.len() - (8 + 16);
    twice.octets[last] = twice.first.0;
    twice.octets.extend(again);
    let cases = [
        ("SA is missing", without(PayloadType::SECURITY_ASSOCIATION)),
        ("Ni is missing", without(PayloadType::NONCE)),
        (
            "TSr is missing",
            without(PayloadType::TRAFFIC_SELECTOR_RESPONDER),
        ),
        ("Ni is too short", short_nonce.encode()),
        ("everything is there twice", twice),
        (
            "REKEY_SA names nothing",
            with(&[NotifyType::REKEY_SA], &request(NEXT_SPI)),
        ),
    ];
    for (what, payloads) in cases {
        let mut script = up();
        let answer = script.exchange(ExchangeType::CREATE_CHILD_SA, 2, &payloads);
        assert_eq!(refusal(&answer).kind, NotifyType::INVALID_SYNTAX, "{what}");
        assert!(script.endpoint.is_quiet(), "{what}");
        script.kernel.holds(&[]);
    }
}
