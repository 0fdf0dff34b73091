//! Exchanges that cross, seen from a peer's side (RFC 7296 §1.4.1, §2.25), and
//! what the peer may answer to requests of ours.

use std::time::Duration;

use bytes::Bytes;
use harness::parties::proposal;
use harness::script::{Answer, CHILD_SPI, Script, config, kinds};
use ikexdp_proto::Command;
use ikexdp_proto::crypto::kex::Group;
use ikexdp_proto::data_plane::{Carried, DataPlaneEvent, Direction};
use ikexdp_proto::event::{CloseReason, Event};
use ikexdp_proto::message::child::Selectors;
use ikexdp_proto::message::create_child::CreateChild;
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::message::init::notify_only;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType, ProtocolId, TransformType};
use ikexdp_proto::wire::payload::delete::Delete;
use ikexdp_proto::wire::payload::ke::KeyExchange;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::Chain;
use ring::rand::SystemRandom;

const CREATE_CHILD_SA: ExchangeType = ExchangeType::CREATE_CHILD_SA;
const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

/// The SPI on which the client receives on the second CHILD SA.
const NEXT_SPI: u32 = CHILD_SPI + 1;

const NONCE: [u8; 32] = [0x5a; 32];

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script.events.clear();
    script
}

/// A CHILD SA to be received on `spi`, in the place of another perhaps.
fn create(spi: u32, rekeyed: Option<u32>) -> Chain {
    let request = CreateChild {
        rekeyed: rekeyed.map(EspSpi),
        ..payloads(spi)
    };
    request.encode()
}

/// What the peer answers to a rekeying of ours.
fn accepting(spi: u32) -> CreateChild<'static> {
    let answer = payloads(spi);
    let turned = answer
        .selectors
        .map(|selectors| Selectors::new(selectors.responder, selectors.initiator));
    CreateChild {
        selectors: turned,
        ..answer
    }
}

fn payloads(spi: u32) -> CreateChild<'static> {
    let child = Script::child();
    let transforms = [
        (TransformType::ENCRYPTION, 20, Some(256)),
        (TransformType::SEQUENCE_NUMBERS, 0, None),
    ];
    let spi = spi.to_be_bytes().to_vec();
    CreateChild {
        rekeyed: None,
        proposals: vec![proposal(ProtocolId::ESP, spi, &transforms)],
        nonce: &NONCE,
        key_exchange: None,
        selectors: Some(child.selectors),
    }
}

fn delete(spis: &[u32]) -> Chain {
    let delete = Informational {
        delete_esp: spis.iter().copied().map(EspSpi).collect(),
        ..Informational::default()
    };
    delete.encode()
}

fn nothing() -> Chain {
    Informational::default().encode()
}

fn refuse(kind: NotifyType) -> Chain {
    notify_only(&Notify::new(kind, &[]))
}

fn notified(answer: &Answer) -> NotifyType {
    assert_eq!(kinds(answer), [PayloadType::NOTIFY]);
    Notify::decode(&answer[0].1).unwrap().kind
}

fn deleted(answer: &Answer) -> Vec<EspSpi> {
    assert_eq!(kinds(answer), [PayloadType::DELETE]);
    match Delete::decode(&answer[0].1) {
        Ok(Delete::Esp(spis)) => spis,
        other => panic!("{other:?}"),
    }
}

/// The SPIs that the gateway receives on.
fn ours(script: &Script) -> Vec<EspSpi> {
    let sa = script.endpoint.summaries(None).next().expect("an IKE SA");
    sa.children.iter().map(|child| child.spi_in).collect()
}

fn holds(script: &Script) {
    let sas: Vec<_> = script.endpoint.summaries(None).collect();
    script.kernel.holds(&sas);
}

/// Has the gateway replace a CHILD SA, or the IKE SA; returns its request.
fn rekey(script: &mut Script, child: Option<EspSpi>) -> Bytes {
    let id = script.endpoint.summaries(None).next().unwrap().id;
    let sent = script.command(Command::Rekey { id, child });
    assert_eq!(sent.len(), 1);
    let (header, _) = Header::decode(&sent[0]).unwrap();
    assert_eq!(header.exchange, CREATE_CHILD_SA);
    sent[0].clone()
}

/// Has the gateway delete its CHILD SA; returns its request.
fn wear_out(script: &mut Script) -> Bytes {
    let expired = DataPlaneEvent::Expired {
        lineage: script.kernel.names().1[0],
        direction: Direction::Inbound,
        spi: ours(script)[0],
        hard: true,
        carried: Carried::default(),
    };
    let sent = script.tell(expired);
    assert_eq!(sent.len(), 1);
    assert_eq!(deleted(&script.open(&sent[0])), ours(script));
    sent[0].clone()
}

/// RFC 7296 §1.4.1: the CHILD SA is closed, and is not deleted once more by the
/// response.
/// <-- INFORMATIONAL { D(ESP: ours) }
/// --> INFORMATIONAL { D(ESP: c0ffee00) }
/// <-- INFORMATIONAL { }
#[test]
fn a_delete_that_crosses_ours_is_answered_without_one() {
    let mut script = up();
    let request = wear_out(&mut script);
    let crossing = delete(&[CHILD_SPI]);
    assert_eq!(script.exchange(INFORMATIONAL, 2, &crossing), []);
    assert!(script.answer(&request, &nothing()).is_empty());
    assert_eq!(ours(&script), []);
    holds(&script);
}

/// RFC 7296 §2.25.1
/// <-- INFORMATIONAL { D(ESP: ours) }
/// --> CREATE_CHILD_SA { N(REKEY_SA), ... }
/// <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
#[test]
fn what_we_are_deleting_cannot_be_replaced() {
    let mut script = up();
    let request = wear_out(&mut script);
    let rekeying = create(NEXT_SPI, Some(CHILD_SPI));
    let answer = script.exchange(CREATE_CHILD_SA, 2, &rekeying);
    assert_eq!(notified(&answer), NotifyType::TEMPORARY_FAILURE);
    assert!(script.answer(&request, &delete(&[CHILD_SPI])).is_empty());
    assert_eq!(ours(&script), []);
    // It is none any more, and another can be made.
    let rekeying = create(NEXT_SPI, Some(CHILD_SPI));
    let answer = script.exchange(CREATE_CHILD_SA, 3, &rekeying);
    assert_eq!(notified(&answer), NotifyType::CHILD_SA_NOT_FOUND);
    script.exchange(CREATE_CHILD_SA, 4, &create(NEXT_SPI, None));
    assert_eq!(ours(&script).len(), 1);
    holds(&script);
}

/// RFC 7296 §2.25.1: what we are replacing is deleted as usual.
/// <-- CREATE_CHILD_SA { N(REKEY_SA: ours), ... }
/// --> INFORMATIONAL { D(ESP: c0ffee00) }
/// <-- INFORMATIONAL { D(ESP: ours) }
/// --> CREATE_CHILD_SA { N(CHILD_SA_NOT_FOUND) }
#[test]
fn a_child_sa_may_be_deleted_while_we_replace_it() {
    let mut script = up();
    let old = ours(&script)[0];
    let request = rekey(&mut script, Some(old));
    let answer = script.exchange(INFORMATIONAL, 2, &delete(&[CHILD_SPI]));
    assert_eq!(deleted(&answer), [old]);
    assert_eq!(ours(&script), []);
    let not_found = refuse(NotifyType::CHILD_SA_NOT_FOUND);
    assert!(script.answer(&request, &not_found).is_empty());
    assert_eq!(ours(&script), []);
    holds(&script);
    assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
}

/// --> CREATE_CHILD_SA { N(REKEY_SA: c0ffee00), ... }
/// --> INFORMATIONAL { D(ESP: c0ffee00) }
/// <-- INFORMATIONAL { D(ESP: ours) }
#[test]
fn what_the_peer_has_replaced_it_deletes() {
    let mut script = up();
    let old = ours(&script)[0];
    let rekeying = create(NEXT_SPI, Some(CHILD_SPI));
    script.exchange(CREATE_CHILD_SA, 2, &rekeying);
    let answer = script.exchange(INFORMATIONAL, 3, &delete(&[CHILD_SPI]));
    assert_eq!(deleted(&answer), [old]);
    let outbound = EspSpi(NEXT_SPI);
    assert!(script.kernel.sa(Direction::Outbound, outbound).is_some());
    holds(&script);
}

/// A peer that cannot use what it has made deletes that, and may replace the old
/// one again.
#[test]
fn a_peer_may_take_back_what_was_to_replace_another() {
    let mut script = up();
    let old = ours(&script)[0];
    script.exchange(CREATE_CHILD_SA, 2, &create(NEXT_SPI, Some(CHILD_SPI)));
    let new = ours(&script)[1];
    let answer = script.exchange(INFORMATIONAL, 3, &delete(&[NEXT_SPI]));
    assert_eq!(deleted(&answer), [new]);
    assert_eq!(ours(&script), [old]);
    holds(&script);
    let again = create(NEXT_SPI + 1, Some(CHILD_SPI));
    let answer = script.exchange(CREATE_CHILD_SA, 4, &again);
    assert_eq!(answer.len(), 4, "{:?}", kinds(&answer));
}

/// The same when both sides had replaced it, and the peer's would have stood
/// (RFC 7296 §2.8.1).
#[test]
fn what_the_peer_has_taken_back_does_not_win() {
    let mut script = up();
    let old = ours(&script)[0];
    let request = rekey(&mut script, Some(old));
    script.exchange(CREATE_CHILD_SA, 2, &create(NEXT_SPI, Some(CHILD_SPI)));
    script.exchange(INFORMATIONAL, 3, &delete(&[NEXT_SPI]));
    assert_eq!(ours(&script), [old]);
    // No nonce is lower than this one.
    let answer = CreateChild {
        nonce: &[0; 32],
        ..accepting(NEXT_SPI + 1)
    };
    let sent = script.answer(&request, &answer.encode());
    assert_eq!(deleted(&script.open(&sent[0])), [old]);
    assert!(script.answer(&sent[0], &delete(&[CHILD_SPI])).is_empty());
    let summary = script.endpoint.summaries(None).next().unwrap();
    assert_eq!(summary.children.len(), 1);
    assert_eq!(summary.children[0].spi_out, EspSpi(NEXT_SPI + 1));
    holds(&script);
}

#[test]
fn several_child_sas_are_deleted_at_once() {
    let mut script = up();
    script.exchange(CREATE_CHILD_SA, 2, &create(NEXT_SPI, None));
    let both = ours(&script);
    let unknown = 0xbad;
    let request = delete(&[NEXT_SPI, unknown, CHILD_SPI]);
    assert_eq!(deleted(&script.exchange(INFORMATIONAL, 3, &request)), both);
    holds(&script);
}

/// RFC 7296 §2.25.2: neither the one while the other is made.
#[test]
fn an_ike_sa_and_a_child_sa_are_not_replaced_at_once() {
    let mut script = up();
    rekey(&mut script, None);
    for (id, request) in [
        (2, create(NEXT_SPI, None)),
        (3, create(NEXT_SPI, Some(CHILD_SPI))),
    ] {
        let answer = script.exchange(CREATE_CHILD_SA, id, &request);
        assert_eq!(notified(&answer), NotifyType::TEMPORARY_FAILURE);
    }
    let mut script = up();
    let child = ours(&script)[0];
    rekey(&mut script, Some(child));
    let answer = script.exchange(CREATE_CHILD_SA, 2, &replacing_ike());
    assert_eq!(notified(&answer), NotifyType::TEMPORARY_FAILURE);
    let mut script = up();
    wear_out(&mut script);
    let answer = script.exchange(CREATE_CHILD_SA, 2, &replacing_ike());
    assert_eq!(notified(&answer), NotifyType::TEMPORARY_FAILURE);
}

fn replacing_ike() -> Chain {
    let key = Group::Curve25519.generate(&SystemRandom::new()).unwrap();
    let transforms = [
        (TransformType::ENCRYPTION, 20, Some(256)),
        (TransformType::PRF, 5, None),
        (TransformType::KEY_EXCHANGE, 31, None),
    ];
    let request = CreateChild {
        rekeyed: None,
        proposals: vec![proposal(ProtocolId::IKE, vec![0xaa; 8], &transforms)],
        nonce: &NONCE,
        key_exchange: Some(KeyExchange {
            group: key.group().id(),
            data: key.public(),
        }),
        selectors: None,
    };
    request.encode()
}

/// RFC 7296 §2.25.2: the IKE SA is deleted while we replace it.
#[test]
fn an_ike_sa_may_be_deleted_while_we_replace_it() {
    let mut script = up();
    let request = rekey(&mut script, None);
    let gone = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    assert_eq!(script.exchange(INFORMATIONAL, 2, &gone.encode()), []);
    assert!(script.endpoint.is_quiet());
    script.kernel.holds(&[]);
    let refused = refuse(NotifyType::TEMPORARY_FAILURE);
    assert!(script.answer(&request, &refused).is_empty());
    assert!(script.endpoint.is_quiet());
}

/// RFC 7296 §2.25: who has no time now is not asked again at once.
#[test]
fn a_peer_that_has_no_time_is_asked_again_later() {
    for rekeys_child in [true, false] {
        let mut script = up();
        let child = rekeys_child.then(|| ours(&script)[0]);
        let request = rekey(&mut script, child);
        let busy = refuse(NotifyType::TEMPORARY_FAILURE);
        assert!(script.answer(&request, &busy).is_empty());
        assert!(script.wait(Duration::from_secs(4)).is_empty());
        let again = script.wait(Duration::from_secs(12));
        let (header, _) = Header::decode(&again[0]).unwrap();
        assert_eq!(header.exchange, CREATE_CHILD_SA);
        assert_eq!(ours(&script).len(), 1);
    }
}

/// RFC 7296 §3.10.1: an error that we do not know is a refusal all the same.
#[test]
fn a_refusal_that_we_do_not_know_is_one() {
    let mut script = up();
    let child = ours(&script)[0];
    let request = rekey(&mut script, Some(child));
    let unknown = refuse(NotifyType(8_192));
    assert!(script.answer(&request, &unknown).is_empty());
    assert_eq!(ours(&script), [child]);
    assert_eq!(script.exchange(INFORMATIONAL, 2, &nothing()), []);
}

/// RFC 7296 §2.21.3: INVALID_SYNTAX ends the SA for who sends it; it is of no use
/// to us then.
#[test]
fn a_peer_that_cannot_read_us_has_let_us_go() {
    let liveness = |script: &mut Script| script.wait(Duration::from_secs(11)).remove(0);
    let replacing = |script: &mut Script| rekey(script, None);
    let asks: [fn(&mut Script) -> Bytes; 2] = [liveness, replacing];
    for ask in asks {
        let mut script = up();
        let request = ask(&mut script);
        let refused = refuse(NotifyType::INVALID_SYNTAX);
        assert!(script.answer(&request, &refused).is_empty());
        assert!(script.endpoint.is_quiet());
        script.kernel.holds(&[]);
        let closed = |event: &Event| {
            let reason = CloseReason::PeerRefused(NotifyType::INVALID_SYNTAX);
            matches!(event, Event::Closed { reason: told, .. } if *told == reason)
        };
        assert!(script.events.iter().any(closed));
    }
}
