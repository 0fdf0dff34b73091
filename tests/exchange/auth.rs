//! IKE_AUTH, seen from a peer's side.

use std::time::Duration;

use harness::parties::selector;
use harness::script::{Answer, KEY, Script, config, kinds};
use ikexdp_proto::event::{Event, FailureReason, Incomplete};
use ikexdp_proto::limits::DENIAL_STEP;
use ikexdp_proto::message::child::ChildPayloads;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::ts;
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

fn notified(answer: &Answer) -> Option<NotifyType> {
    let notify = answer
        .iter()
        .find(|(kind, _)| *kind == PayloadType::NOTIFY)?;
    Some(Notify::decode(&notify.1).unwrap().kind)
}

/// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, SA, TSi, TSr }
#[test]
fn the_right_key_opens() {
    let mut script = Script::new(config());
    let answer = script.establish();
    let expected = [
        PayloadType::ID_RESPONDER,
        PayloadType::AUTHENTICATION,
        PayloadType::SECURITY_ASSOCIATION,
        PayloadType::TRAFFIC_SELECTOR_INITIATOR,
        PayloadType::TRAFFIC_SELECTOR_RESPONDER,
    ];
    assert_eq!(kinds(&answer), expected);
    let narrowed = ts::decode(&answer[4].1).unwrap();
    assert_eq!(narrowed, [selector("10.1.0.0-10.1.255.255")]);
    assert_eq!(script.endpoint.established(), 1);
}

/// How soon it hears that says nothing of what was wrong.
///
/// --> IKE_AUTH { IDi, AUTH, ... }
/// <-- IKE_AUTH { N(AUTHENTICATION_FAILED) }
#[test]
fn the_wrong_key_does_not() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(b"wrong", Some(Script::child()));
    let request = script.seal(ExchangeType::IKE_AUTH, 1, &payloads);
    let soon = Duration::from_micros(1);
    assert!(script.deliver(&request).is_empty());
    assert!(script.wait(DENIAL_STEP - soon).is_empty());
    assert!(script.deliver(&request).is_empty());
    let sent = script.wait(soon);
    let answer = script.open(&sent[0]);
    assert_eq!(kinds(&answer), [PayloadType::NOTIFY]);
    assert_eq!(notified(&answer), Some(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(script.endpoint.established(), 0);
    let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
        panic!("the operator hears nothing")
    };
    assert_eq!(failure.reason, FailureReason::SharedKey);
    // The answer may be lost: who asks again hears it again.
    assert_eq!(script.deliver(&request), sent);
}

/// Who fails to prove who it is keeps its place until its answer is forgotten:
/// failing must not be a way around the limits.
#[test]
fn a_refused_handshake_counts_as_half_open() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(b"wrong", None);
    script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    assert_eq!(script.endpoint.half_open(), 1);
    script.wait(Duration::from_secs(11));
    assert_eq!(script.endpoint.half_open(), 0);
}

/// --> IKE_AUTH { IDi, AUTH }
/// <-- IKE_AUTH { IDr, AUTH }
#[test]
fn a_childless_handshake_is_one() {
    let mut script = Script::new(config());
    script.init();
    let payloads = script.auth_payloads(KEY, None);
    let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let expected = [PayloadType::ID_RESPONDER, PayloadType::AUTHENTICATION];
    assert_eq!(kinds(&answer), expected);
    assert_eq!(script.endpoint.established(), 1);
}

/// --> IKE_AUTH { IDi, AUTH, SA, TSi, TSr }
/// <-- IKE_AUTH { IDr, AUTH, N(TS_UNACCEPTABLE) }
#[test]
fn the_ike_sa_stands_without_a_child() {
    let refused = |child: ChildPayloads| {
        let mut script = Script::new(config());
        script.init();
        let payloads = script.auth_payloads(KEY, Some(child));
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
        assert_eq!(script.endpoint.established(), 1);
        notified(&answer).unwrap()
    };
    let mut elsewhere = Script::child();
    elsewhere.selectors.initiator = vec![selector("203.0.113.1-203.0.113.1")];
    assert_eq!(refused(elsewhere), NotifyType::TS_UNACCEPTABLE);
    // OpenIKED sends an empty SA payload when it has nothing to offer.
    let nothing = ChildPayloads {
        proposals: Vec::new(),
        ..Script::child()
    };
    assert_eq!(refused(nothing), NotifyType::NO_PROPOSAL_CHOSEN);
}

#[test]
fn what_is_missing_or_double_is_refused_and_the_sa_with_it() {
    let mut nothing = ChainWriter::default();
    nothing.payload(PayloadType::VENDOR_ID, |body| body.u32(7));
    let mut twice = ChainWriter::default();
    for _ in 0..2 {
        let kind = PayloadType::ID_INITIATOR;
        twice.payload(kind, |body| body.bytes(b"\x02\0\0\0client"));
    }
    for payloads in [nothing, twice] {
        let mut script = Script::new(config());
        script.init();
        let answer = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads.finish());
        assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
        assert_eq!(script.endpoint.established(), 0);
    }
}

/// A peer that has keys but no name gets nothing but IKE_AUTH.
#[test]
fn another_exchange_is_out_of_turn() {
    let mut script = Script::new(config());
    script.init();
    let payloads = Chain {
        first: PayloadType::NONE,
        octets: Vec::new(),
    };
    let answer = script.exchange(ExchangeType::INFORMATIONAL, 1, &payloads);
    assert_eq!(notified(&answer), Some(NotifyType::INVALID_SYNTAX));
    assert!(script.endpoint.is_quiet());
}

/// Half a handshake that never goes on is told with what did arrive.
#[test]
fn an_incomplete_request_is_told_when_time_is_over() {
    let mut script = Script::new(config());
    script.init();
    let part = script.seal_part(
        ExchangeType::IKE_AUTH,
        1,
        PayloadType::ID_INITIATOR,
        Some((1, 3)),
        b"part",
    );
    script.now = script.now + Duration::from_secs(5);
    assert!(script.deliver(&part).is_empty());
    script.wait(Duration::from_secs(26));
    let Some(Event::HandshakeFailed(failure)) = script.events.last() else {
        panic!("the operator hears nothing")
    };
    let expected = FailureReason::Timeout {
        waiting_for: ExchangeType::IKE_AUTH,
    };
    assert_eq!(failure.reason, expected);
    let incomplete = Incomplete {
        missing: vec![2, 3],
        total: 3,
    };
    assert_eq!(failure.incomplete, Some(incomplete));
}
