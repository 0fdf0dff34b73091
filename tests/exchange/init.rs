//! IKE_SA_INIT, seen from a peer's side.

use std::time::Duration;

use bytes::Bytes;
use harness::script::{Script, config};
use ikexdp_proto::event::{Event, FailureReason};
use ikexdp_proto::limits::INIT_LEN_MAX;
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::{MessageId, Spi};
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, GroupId, NotifyType, PayloadType, TransformType};
use ikexdp_proto::wire::payload::Payloads;
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::sa::Transform;
use ikexdp_proto::wire::writer::Chain;

fn reply(sent: &[Bytes]) -> InitReply<'_> {
    let [reply] = sent else {
        panic!("one reply, not {}", sent.len())
    };
    let (header, payloads) = Header::decode(reply).unwrap();
    assert!(header.response);
    InitReply::decode(header.next_payload, payloads).unwrap()
}

/// --> IKE_SA_INIT { SA, KE, Ni }
/// <-- IKE_SA_INIT { N(COOKIE) }
/// --> IKE_SA_INIT { N(COOKIE), SA, KE, Ni }
/// <-- IKE_SA_INIT { SA, KE, Nr }
#[test]
fn above_the_threshold_a_cookie_is_asked_for() {
    let mut config = config();
    config.gate.cookie_threshold = 0;
    let mut script = Script::new(config);
    let sent = script.deliver(&script.init_request(|_| ()));
    let InitReply::Cookie(cookie) = reply(&sent) else {
        panic!("no cookie")
    };
    assert!(script.endpoint.is_quiet());
    let forged = script.init_request(|request| request.cookie = Some(&[0; 9]));
    assert!(matches!(
        reply(&script.deliver(&forged)),
        InitReply::Cookie(_)
    ));
    let request = script.init_request(|request| request.cookie = Some(cookie));
    let sent = script.deliver(&request);
    assert!(matches!(reply(&sent), InitReply::Accepted(_)));
}

#[test]
fn a_cookie_is_good_for_minutes_not_for_ever() {
    let mut config = config();
    config.gate.cookie_threshold = 0;
    let mut script = Script::new(config);
    for (age, good) in [(1, true), (59, true), (121, false), (3600, false)] {
        let sent = script.deliver(&script.init_request(|_| ()));
        let InitReply::Cookie(cookie) = reply(&sent) else {
            panic!("no cookie")
        };
        script.wait(Duration::from_secs(age));
        let request = script.init_request(|request| request.cookie = Some(cookie));
        let accepted = matches!(reply(&script.deliver(&request)), InitReply::Accepted(_));
        assert_eq!(accepted, good, "{age} s");
        script.wait(Duration::from_secs(600));
    }
}

/// --> IKE_SA_INIT { SA(x25519, modp2048), KE(modp2048), Ni }
/// <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD: x25519) }
#[test]
fn another_group_is_asked_for_without_state() {
    let mut script = Script::new(config());
    let request = script.init_request(|request| {
        request.key_exchange.group = GroupId::MODP_2048;
        request.key_exchange.data = &[1; 256];
    });
    let sent = script.deliver(&request);
    assert_eq!(reply(&sent), InitReply::InvalidKe(GroupId::CURVE25519));
    assert!(script.endpoint.is_quiet());
    assert!(script.events.is_empty());
}

/// --> IKE_SA_INIT { SA(3DES), KE, Ni }
/// <-- IKE_SA_INIT { N(NO_PROPOSAL_CHOSEN) }
#[test]
fn what_was_offered_is_told_when_nothing_fits() {
    let mut script = Script::new(config());
    let request = script.init_request(|request| {
        request.proposals.truncate(1);
        request.proposals[0].transforms = vec![Transform::new(TransformType::ENCRYPTION, 3, None)];
    });
    let sent = script.deliver(&request);
    assert_eq!(
        reply(&sent),
        InitReply::Refused(NotifyType::NO_PROPOSAL_CHOSEN)
    );
    let [Event::HandshakeFailed(failure)] = script.events.as_slice() else {
        panic!("one event")
    };
    let FailureReason::NoCommonAlgorithms(mismatch) = &failure.reason else {
        panic!("{:?}", failure.reason);
    };
    assert_eq!(mismatch.offered, "3DES");
    assert_eq!(mismatch.profile, None);
}

#[test]
fn a_repeat_of_the_first_request_makes_no_second_sa() {
    let mut script = Script::new(config());
    let request = script.init_request(|_| ());
    let first = script.deliver(&request);
    let again = script.deliver(&request);
    assert_eq!(first, again);
    assert_eq!(script.endpoint.half_open(), 1);
    // The same SPI in another request is nobody's.
    let other = script.init_request(|request| request.nonce = &[9; 32]);
    assert!(script.deliver(&other).is_empty());
    assert_eq!(script.endpoint.half_open(), 1);
}

#[test]
fn at_the_half_open_limit_nobody_gets_in() {
    let mut config = config();
    config.gate.half_open_max = 1;
    let mut script = Script::new(config);
    assert_eq!(script.deliver(&script.init_request(|_| ())).len(), 1);
    script.spis.initiator = Spi(7);
    assert!(script.deliver(&script.init_request(|_| ())).is_empty());
    assert_eq!(script.endpoint.stats().value(Stat::HalfOpenLimit), 1);
    // Until the one that is in has run out of time.
    script.wait(Duration::from_secs(31));
    assert_eq!(script.deliver(&script.init_request(|_| ())).len(), 1);
}

/// RFC 7296 §2.5: the message is rejected, with the offending type as data.
#[test]
fn an_unknown_critical_payload_is_named() {
    let mut script = Script::new(config());
    let payloads = Chain {
        first: PayloadType(200),
        octets: [&[0, 0x80, 0, 16][..], &[0; 12]].concat(),
    };
    let sent = script.deliver(&script.clear(ExchangeType::IKE_SA_INIT, &payloads));
    let (header, body) = Header::decode(&sent[0]).unwrap();
    let payload = Payloads::new(header.next_payload, body)
        .next()
        .unwrap()
        .unwrap();
    let notify = Notify::decode(payload.body).unwrap();
    assert_eq!(notify.kind, NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD);
    assert_eq!(notify.data, [200]);
}

/// RFC 7296 §2.5: a message of a higher major version is dropped and answered.
#[test]
fn a_later_version_hears_ours_and_an_earlier_one_nothing() {
    let mut script = Script::new(config());
    for (version, answered) in [(0x30, true), (0x10, false), (0x00, false)] {
        let mut request = script.init_request(|_| ()).to_vec();
        request[17] = version;
        let sent = script.deliver(&request);
        assert_eq!(sent.len(), usize::from(answered), "{version:#x}");
        for reply in sent {
            let (header, body) = Header::decode(&reply).unwrap();
            assert_eq!(header.version, 0x20);
            assert_eq!(header.message_id, MessageId(0));
            let payload = Payloads::new(header.next_payload, body)
                .next()
                .unwrap()
                .unwrap();
            let notify = Notify::decode(payload.body).unwrap();
            assert_eq!(notify.kind, NotifyType::INVALID_MAJOR_VERSION);
            assert_eq!(notify.data, [2]);
        }
    }
}

/// A forged source must not get more than it cost to forge it.
#[test]
fn no_reply_is_longer_than_what_asked_for_it() {
    let mut script = Script::new(config());
    let mut later = script.init_request(|_| ()).slice(..28).to_vec();
    later[17] = 0x30;
    later[24..28].copy_from_slice(&28_u32.to_be_bytes());
    assert!(script.deliver(&later).is_empty());
    assert_eq!(script.endpoint.stats().value(Stat::UnsupportedVersion), 1);
    let critical = Chain {
        first: PayloadType(200),
        octets: vec![0, 0x80, 0, 4],
    };
    let request = script.clear(ExchangeType::IKE_SA_INIT, &critical);
    assert!(script.deliver(&request).is_empty());
}

/// The request is kept until its sender has said who it is.
#[test]
fn a_request_longer_than_any_honest_one_is_dropped() {
    let mut script = Script::new(config());
    let padded = |script: &Script, length: usize| {
        let request = script.init_request(|_| ());
        let missing = length - request.len() - 4;
        let mut payloads = request.slice(28..).to_vec();
        let mut vendor = vec![request[16], 0];
        vendor.extend_from_slice(&u16::try_from(missing + 4).unwrap().to_be_bytes());
        vendor.resize(missing + 4, 7);
        payloads.splice(..0, vendor);
        let chain = Chain {
            first: PayloadType::VENDOR_ID,
            octets: payloads,
        };
        script.clear(ExchangeType::IKE_SA_INIT, &chain)
    };
    let long = padded(&script, INIT_LEN_MAX + 1);
    assert!(script.deliver(&long).is_empty());
    assert_eq!(script.endpoint.stats().value(Stat::OverLimit), 1);
    let longest = padded(&script, INIT_LEN_MAX);
    assert_eq!(longest.len(), INIT_LEN_MAX);
    assert_eq!(script.deliver(&longest).len(), 1);
}

/// The wrong length is seen at once; what only a computation shows keeps its
/// place, so that a flood of it closes the gate.
#[test]
fn a_public_value_that_is_none_makes_no_sa() {
    let mut config = config();
    config.gate.cookie_threshold = 1;
    let mut script = Script::new(config);
    let request = script.init_request(|request| request.key_exchange.data = &[9]);
    assert!(script.deliver(&request).is_empty());
    assert_eq!(script.endpoint.half_open(), 0);
    let request = script.init_request(|request| request.key_exchange.data = &[0; 32]);
    assert!(script.deliver(&request).is_empty());
    let failures = script.events.iter().filter(|event| {
        matches!(event, Event::HandshakeFailed(failure) if failure.reason == FailureReason::KeyExchange)
    });
    assert_eq!(failures.count(), 2);
    assert!(script.endpoint.is_quiet());
    assert_eq!(script.endpoint.half_open(), 1);
    // A repeat costs nothing more.
    assert!(script.deliver(&request).is_empty());
    script.spis.initiator = Spi(7);
    let sent = script.deliver(&script.init_request(|_| ()));
    assert!(matches!(reply(&sent), InitReply::Cookie(_)));
    script.wait(Duration::from_secs(31));
    assert_eq!(script.endpoint.half_open(), 0);
}

#[test]
fn nonsense_leaves_no_trace() {
    let mut script = Script::new(config());
    let request = script.init_request(|_| ());
    for end in 0..request.len() {
        assert!(script.deliver(&request[..end]).is_empty());
    }
    let broken = |place: usize, value: u8| {
        let mut broken = request.to_vec();
        broken[place] = value;
        broken
    };
    for nonsense in [
        // The responder's SPI is set, the message ID is not zero, the
        // initiator is none, the exchange is another, the length lies.
        broken(15, 1),
        broken(23, 1),
        broken(19, 0),
        broken(18, 35),
        broken(27, 0),
    ] {
        assert!(script.deliver(&nonsense).is_empty());
    }
    assert!(script.endpoint.is_quiet());
    assert!(script.events.is_empty());
}
