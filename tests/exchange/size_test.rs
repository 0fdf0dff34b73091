//! How long a datagram may be: a question in IKE_SA_INIT that is answered without any state.

use std::time::Duration;

use harness::script::{Script, config};
use ikexdp_proto::config::Cookies;
use ikexdp_proto::message::init::InitReply;
use ikexdp_proto::message::size_test;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::Spi;
use ikexdp_proto::wire::header::Header;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::{GENERIC_LEN, Payloads};
use ikexdp_proto::wire::writer::{Chain, ChainWriter};

/// A question of `length` octets, with an answer of `wanted`.
fn question(script: &Script, length: usize, wanted: u16) -> Vec<u8> {
    let request = script.init_request(|_| ());
    let payloads = &request[28..];
    let padding = length - request.len() - size_test::payload_len(0);
    let mut chain = ChainWriter::default();
    size_test::encode(&mut chain, wanted, padding);
    let mut octets = chain.finish().octets;
    octets[0] = request[16];
    octets.extend_from_slice(payloads);
    let chain = Chain {
        first: ikexdp_proto::wire::iana::PayloadType::NOTIFY,
        octets,
    };
    let message = script.clear(ExchangeType::IKE_SA_INIT, &chain).to_vec();
    assert_eq!(message.len(), length);
    message
}

/// What the one answer says: how many octets came, and how many it has itself.
fn answer(sent: &[bytes::Bytes]) -> (Option<u16>, usize) {
    let [answer] = sent else {
        panic!("one answer, not {}", sent.len());
    };
    let (header, payloads) = Header::decode(answer).unwrap();
    assert!(header.response);
    assert_eq!(header.spis.responder, Spi::ZERO, "there is no SA");
    let payloads: Vec<_> = Payloads::new(header.next_payload, payloads)
        .map(Result::unwrap)
        .collect();
    assert_eq!(payloads.len(), 1);
    let notify = Notify::decode(payloads[0].body).unwrap();
    (size_test::decode(&notify), answer.len())
}

#[test]
fn a_size_test_is_answered_by_what_it_wants_and_never_by_more_than_it_has() {
    let mut script = Script::new(config());
    for (length, wanted, expected) in [
        (1452, 1452, 1452),
        (1452, 600, 600),
        (600, 1452, 600),
        (600, u16::MAX, 600),
        (600, 0, 44),
        (4096, 4096, 1500),
    ] {
        let sent = script.deliver(&question(&script, length, wanted));
        let came = u16::try_from(length).ok();
        assert_eq!(answer(&sent), (came, expected));
    }
    let stats = script.endpoint.stats();
    assert_eq!(stats.value(Stat::SizeTestAnswered), 6);
    assert_eq!(stats.value(Stat::InitAccepted), 0);
    assert_eq!(script.endpoint.half_open(), 0);
    assert!(script.endpoint.is_quiet());
    assert!(script.events.is_empty());
}

/// Who is told not to answer takes it for what it is beside: a first request.
#[test]
fn without_leave_a_size_test_is_a_request_like_others() {
    let mut config = config();
    config.gate.size_test = false;
    let mut script = Script::new(config);
    let sent = script.deliver(&question(&script, 1000, 1000));
    let (header, payloads) = Header::decode(&sent[0]).unwrap();
    let reply = InitReply::decode(header.next_payload, payloads).unwrap();
    assert!(matches!(reply, InitReply::Accepted(_)));
    assert_eq!(script.endpoint.stats().value(Stat::SizeTestAnswered), 0);
    assert_eq!(script.endpoint.half_open(), 1);
}

/// It is under the limits of others: cookies come first, and a rate ends it.
#[test]
fn a_size_test_passes_the_gate_like_others() {
    let mut strict = config();
    strict.gate.cookies = Cookies::Always;
    let mut script = Script::new(strict);
    let sent = script.deliver(&question(&script, 1000, 1000));
    let (header, payloads) = Header::decode(&sent[0]).unwrap();
    let reply = InitReply::decode(header.next_payload, payloads).unwrap();
    assert!(matches!(reply, InitReply::Cookie(_)));
    assert!(sent[0].len() < 100);

    let mut slow = config();
    slow.gate.init_rate_per_source = 1;
    slow.gate.init_burst_per_source = 1;
    let mut script = Script::new(slow);
    assert_eq!(
        answer(&script.deliver(&question(&script, 1000, 900))).1,
        900
    );
    let sent = script.deliver(&question(&script, 1000, 900));
    assert!(sent.iter().all(|it| it.len() < 100), "a cookie, or nothing");
    assert_eq!(script.endpoint.stats().value(Stat::SizeTestAnswered), 1);
}

/// Whoever asks in another's name has that hear no more than so much, whatever the gate is told.
#[test]
fn size_tests_are_answered_so_often_and_no_more() {
    let mut open = config();
    open.gate.cookies = Cookies::Off;
    let mut script = Script::new(open);
    let question = question(&script, 1000, 1000);
    let answered = (0..1000).filter(|_| !script.deliver(&question).is_empty());
    assert_eq!(answered.count(), 40);
    assert_eq!(script.endpoint.stats().value(Stat::SizeTestWithheld), 960);
    script.now = script.now + Duration::from_secs(1);
    assert!(!script.deliver(&question).is_empty());
}

/// Others may use the same number for something else.
#[test]
fn another_notify_of_that_number_is_no_size_test() {
    let mut script = Script::new(config());
    let request = script.init_request(|_| ());
    let mut chain = ChainWriter::default();
    Notify::new(NotifyType::SIZE_TEST, b"something else").encode(&mut chain);
    let mut chain = chain.finish();
    chain.octets[0] = request[16];
    chain.octets.extend_from_slice(&request[28..]);
    assert!(chain.octets.len() > GENERIC_LEN);
    let message = script.clear(ExchangeType::IKE_SA_INIT, &chain);
    script.deliver(&message);
    assert_eq!(script.endpoint.stats().value(Stat::InitAccepted), 1);
}
