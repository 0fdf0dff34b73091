//! INFORMATIONAL and liveness, seen from a peer's side.

use std::time::Duration;

use harness::script::{Answer, CHILD_SPI, Script, config, is_unknown, kinds};
use ikexdp_proto::Command;
use ikexdp_proto::event::{CloseReason, Event};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::types::{EspSpi, IkeSaId};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::delete::Delete;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::Chain;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script.events.clear();
    script
}

fn nothing() -> Chain {
    Informational::default().encode()
}

fn notified(answer: &Answer) -> NotifyType {
    assert_eq!(kinds(answer), [PayloadType::NOTIFY]);
    Notify::decode(&answer[0].1).unwrap().kind
}

/// --> INFORMATIONAL { }
/// <-- INFORMATIONAL { }
#[test]
fn who_asks_whether_we_live_hears_that_we_do() {
    let mut script = up();
    assert_eq!(script.exchange(INFORMATIONAL, 2, &nothing()), []);
    assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
}

/// --> INFORMATIONAL { D(ESP: c0ffee00) }
/// <-- INFORMATIONAL { D(ESP: ours) }
#[test]
fn a_child_is_deleted_by_the_spi_the_peer_receives_on() {
    let mut script = up();
    let ours = script.endpoint.summaries(None).next().unwrap().children[0].spi_in;
    let delete = |spi: u32| Informational {
        delete_esp: vec![EspSpi(spi)],
        ..Informational::default()
    };
    let unknown = delete(ours.0).encode();
    assert_eq!(script.exchange(INFORMATIONAL, 2, &unknown), []);
    let answer = script.exchange(INFORMATIONAL, 3, &delete(CHILD_SPI).encode());
    assert_eq!(Delete::decode(&answer[0].1), Ok(Delete::Esp(vec![ours])));
    assert!(
        script
            .endpoint
            .summaries(None)
            .next()
            .unwrap()
            .children
            .is_empty()
    );
    assert!(matches!(script.events[..], [Event::ChildClosed { spi, .. }] if spi == ours));
}

/// --> INFORMATIONAL { D(IKE) }
/// <-- INFORMATIONAL { }
#[test]
fn a_deleted_sa_answers_the_delete_once_more_and_nothing_else() {
    let mut script = up();
    let delete = Informational {
        delete_ike: true,
        ..Informational::default()
    };
    let request = script.seal(INFORMATIONAL, 2, &delete.encode());
    let sent = script.deliver(&request);
    assert_eq!(script.open(&sent[0]), []);
    assert!(script.endpoint.is_quiet());
    assert_eq!(script.deliver(&request), sent);
    let next = script.seal(INFORMATIONAL, 3, &nothing());
    assert!(script.deliver(&next).is_empty());
    script.wait(Duration::from_secs(11));
    assert!(is_unknown(&script.deliver(&request)));
    let closed = |event: &Event| {
        let reason = CloseReason::PeerDeleted;
        matches!(event, Event::Closed { reason: told, .. } if *told == reason)
    };
    assert!(script.events.iter().any(closed));
}

/// A client that does not like our certificate says so after IKE_AUTH.
#[test]
fn a_client_that_refuses_us_is_heard() {
    let mut script = up();
    let refusal = Informational {
        error: Some(NotifyType::AUTHENTICATION_FAILED),
        ..Informational::default()
    };
    assert_eq!(script.exchange(INFORMATIONAL, 2, &refusal.encode()), []);
    assert!(script.endpoint.is_quiet());
}

/// RFC 7296 §2.25.2: who asks for a CHILD SA while we close hears that it may not
/// be so for ever.
/// <-- INFORMATIONAL { D(IKE) }
/// --> CREATE_CHILD_SA { ... }
/// <-- CREATE_CHILD_SA { N(TEMPORARY_FAILURE) }
#[test]
fn a_child_that_crosses_our_delete_is_put_off() {
    let mut script = up();
    let id = script.endpoint.summaries(None).next().unwrap().id;
    assert_eq!(script.command(Command::Terminate(id)).len(), 1);
    let answer = script.exchange(ExchangeType::CREATE_CHILD_SA, 2, &nothing());
    assert_eq!(notified(&answer), NotifyType::TEMPORARY_FAILURE);
    // A delete, most likely, that crossed ours.
    assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
}

/// RFC 7296 §2.21.3: INVALID_SYNTAX ends the SA for the peer, and so for us.
/// --> IKE_AUTH { ... }
/// <-- IKE_AUTH { N(INVALID_SYNTAX) }
#[test]
fn an_exchange_out_of_turn_ends_the_sa_on_both_sides() {
    for exchange in [ExchangeType::IKE_AUTH, ExchangeType(200)] {
        let mut script = up();
        let answer = script.exchange(exchange, 2, &nothing());
        assert_eq!(notified(&answer), NotifyType::INVALID_SYNTAX);
        assert!(script.endpoint.is_quiet());
    }
}

#[test]
fn an_unknown_critical_payload_is_refused_and_the_sa_goes_on() {
    let mut script = up();
    let critical = Chain {
        first: PayloadType(200),
        octets: vec![0, 0x80, 0, 4],
    };
    let answer = script.exchange(INFORMATIONAL, 2, &critical);
    assert_eq!(notified(&answer), NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD);
    assert_eq!(script.exchange(INFORMATIONAL, 3, &nothing()), []);
    let ignored = Chain {
        first: PayloadType(200),
        octets: vec![0, 0, 0, 4],
    };
    assert_eq!(script.exchange(INFORMATIONAL, 4, &ignored), []);
}

/// RFC 7296 §2.21.3: what cannot be read under the right keys is fatal.
#[test]
fn a_peer_that_writes_nonsense_is_let_go() {
    let mut script = up();
    let nonsense = Chain {
        first: PayloadType::DELETE,
        octets: vec![0, 0, 0, 5, 1],
    };
    let answer = script.exchange(INFORMATIONAL, 2, &nonsense);
    assert_eq!(notified(&answer), NotifyType::INVALID_SYNTAX);
    assert!(script.endpoint.is_quiet());
}

/// A client that gave up before our IKE_AUTH response came is found soon;
/// one that has been heard since is asked less often.
#[test]
fn a_silent_peer_is_asked_and_then_let_go() {
    let mut script = up();
    assert!(script.wait(Duration::from_secs(9)).is_empty());
    let asked = script.wait(Duration::from_millis(1500));
    assert_eq!(asked.len(), 1);
    let (header, _) = Header::decode(&asked[0]).unwrap();
    assert_eq!(header.exchange, INFORMATIONAL);
    assert!(!header.response);
    assert_eq!(script.open(&asked[0]), []);
    // 1 + 2 + 4 + 8 + 16 + 32 seconds, the same octets each time.
    let repeats = script.wait(Duration::from_secs(63));
    assert_eq!(repeats, vec![asked[0].clone(); 5]);
    assert!(script.endpoint.is_quiet());
    assert!(matches!(
        script.events.last(),
        Some(Event::Closed {
            reason: CloseReason::DeadPeer,
            ..
        })
    ));

    let mut script = up();
    script.exchange(INFORMATIONAL, 2, &nothing());
    assert!(script.wait(Duration::from_secs(59)).is_empty());
    assert_eq!(script.wait(Duration::from_millis(1500)).len(), 1);
}

/// --> INFORMATIONAL { }
/// <-- INFORMATIONAL { }
#[test]
fn a_peer_is_asked_whether_it_lives_when_the_host_wants_it() {
    let mut script = Script::new(config());
    script.establish();
    let id = IkeSaId(1);
    let sent = script.command(Command::Probe(id));
    assert_eq!(sent.len(), 1);
    assert!(script.endpoint.is_asking(id));
    // One request at a time.
    assert!(script.command(Command::Probe(id)).is_empty());
    let nothing = Informational::default().encode();
    script.answer(&sent[0], &nothing);
    assert!(!script.endpoint.is_asking(id));
    assert_eq!(script.command(Command::Probe(id)).len(), 1);
}
