//! Message IDs, repeats and fragments, seen from a peer's side.

use std::time::Duration;

use bytes::Bytes;
use harness::script::{KEY, Script, config, is_unknown};
use ikexdp_proto::event::Event;
use ikexdp_proto::limits::{
    DATAGRAM_LEN_MIN, FRAGMENTS_MAX, REASSEMBLY_TIME_MAX, RESPONSE_KEPT, RESPONSE_REPEATS_MAX,
};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::stats::Stat;
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use ikexdp_proto::wire::writer::Chain;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn up() -> Script {
    let mut script = Script::new(config());
    script.establish();
    script
}

fn nothing() -> Chain {
    Informational::default().encode()
}

fn count(script: &Script, stat: Stat) -> u64 {
    script.endpoint.stats().value(stat)
}

/// RFC 7296 §2.3: the window is one unless a larger one is announced, so only the
/// next request is taken, and only the last is answered again.
#[test]
fn only_the_next_request_is_taken() {
    let mut script = up();
    let requests: Vec<Bytes> = (2..6)
        .map(|id| script.seal(INFORMATIONAL, id, &nothing()))
        .collect();
    let first = script.deliver(&requests[0]);
    assert_eq!(first.len(), 1);
    assert_eq!(script.deliver(&requests[0]), first);
    assert!(script.deliver(&requests[2]).is_empty());
    assert_eq!(script.deliver(&requests[1]).len(), 1);
    // The response before the last is forgotten.
    assert!(script.deliver(&requests[0]).is_empty());
    assert_eq!(count(&script, Stat::OutOfWindow), 2);
    assert_eq!(script.deliver(&requests[2]).len(), 1);
}

/// A captured request makes us answer so often and no more.
#[test]
fn a_replayed_request_is_answered_a_bounded_number_of_times() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 2, &nothing());
    let answers: usize = (0..1000).map(|_| script.deliver(&request).len()).sum();
    assert_eq!(answers, 1 + usize::from(RESPONSE_REPEATS_MAX));
}

/// RFC 7296 §2.1: a responder may forget a response "after a timeout of several minutes".
#[test]
fn a_response_is_kept_for_minutes_and_no_longer() {
    let mut config = config();
    config.timing.liveness = 4 * RESPONSE_KEPT;
    config.timing.first_liveness = 4 * RESPONSE_KEPT;
    let mut script = Script::new(config);
    script.establish();
    let request = script.seal(INFORMATIONAL, 2, &nothing());
    let answer = script.deliver(&request);
    let second = Duration::from_secs(1);
    assert!(script.wait(RESPONSE_KEPT - second).is_empty());
    assert_eq!(script.deliver(&request), answer);
    // It is not kept the longer for being asked for.
    assert!(script.wait(second).is_empty());
    assert!(script.deliver(&request).is_empty());
    assert_eq!(count(&script, Stat::OutOfWindow), 1);
    let next = script.seal(INFORMATIONAL, 3, &nothing());
    assert_eq!(script.deliver(&next).len(), 1);
}

#[test]
fn what_does_not_authenticate_changes_nothing() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 2, &nothing());
    for place in 0..request.len() {
        let mut forged = request.to_vec();
        forged[place] ^= 1;
        // The SPI that it is found by is in the octets from 8 on.
        let sent = script.deliver(&forged);
        let lost = (8..16).contains(&place) && is_unknown(&sent);
        assert!(sent.is_empty() || lost, "octet {place}");
    }
    assert_eq!(script.deliver(&request).len(), 1);
}

/// A message of ours sent back to us is nobody's.
#[test]
fn a_reflected_message_is_dropped() {
    let mut script = up();
    let request = script.seal(INFORMATIONAL, 2, &nothing());
    let response = script.deliver(&request).remove(0);
    assert!(script.deliver(&response).is_empty());
}

/// The payloads of an INFORMATIONAL request that is long enough for fragments,
/// all of them deletes of SAs that there are not.
fn long() -> Chain {
    let delete = Informational {
        delete_esp: (0..600).map(EspSpi).collect(),
        ..Informational::default()
    };
    delete.encode()
}

fn fragments(script: &mut Script, id: u32, payloads: &Chain, each: usize) -> Vec<Bytes> {
    cut(script, (INFORMATIONAL, id), payloads, each)
}

fn cut(
    script: &mut Script,
    (exchange, id): (ExchangeType, u32),
    payloads: &Chain,
    each: usize,
) -> Vec<Bytes> {
    let parts: Vec<&[u8]> = payloads.octets.chunks(each).collect();
    let total = parts.len() as u16;
    let parts = parts.into_iter().zip(1..);
    parts
        .map(|(part, number)| {
            let first = if number == 1 {
                payloads.first
            } else {
                PayloadType::NONE
            };
            script.seal_part(exchange, id, first, Some((number, total)), part)
        })
        .collect()
}

#[test]
fn fragments_make_a_request_and_the_first_asks_for_the_answer_again() {
    let mut script = up();
    let parts = fragments(&mut script, 2, &long(), 500);
    let (last, others) = parts.split_last().unwrap();
    // Backwards and twice, to be sure.
    for part in others.iter().rev().chain(others) {
        assert!(script.deliver(part).is_empty());
    }
    let answer = script.deliver(last);
    assert_eq!(answer.len(), 1);
    assert!(script.deliver(&parts[1]).is_empty());
    assert_eq!(script.deliver(&parts[0]), answer);
    // RFC 7383 §2.6.1: the client may have lowered its size meanwhile.
    let smaller = fragments(&mut script, 2, &long(), 200);
    assert_eq!(script.deliver(&smaller[0]), answer);
    assert!(script.deliver(&smaller[3]).is_empty());
}

#[test]
fn a_request_cut_anew_replaces_what_was_there() {
    let mut script = up();
    let large = fragments(&mut script, 2, &long(), 1000);
    assert!(script.deliver(&large[2]).is_empty());
    let small = fragments(&mut script, 2, &long(), 300);
    for part in &small[..small.len() - 1] {
        assert!(script.deliver(part).is_empty());
    }
    assert!(script.deliver(&large[0]).is_empty());
    assert_eq!(script.deliver(small.last().unwrap()).len(), 1);
    // Who finds our fragments too large for one way hears smaller ones back.
    assert_eq!(datagram_len(&script), DATAGRAM_LEN_MIN);
}

/// Of the newest SA.
fn datagram_len(script: &Script) -> u16 {
    let newest = script.endpoint.summaries(None).last().unwrap();
    newest.fragmentation.datagram_len
}

/// Only a peer that has proved who it is teaches which sizes its neighbours'
/// paths carry.
#[test]
fn strangers_teach_nothing_about_a_path() {
    for (key, learned) in [(&b"wrong"[..], false), (KEY, true)] {
        let mut script = Script::new(config());
        script.init();
        let configured = datagram_len(&script);
        let request = script.auth_payloads(key, None);
        let large = cut(&mut script, (ExchangeType::IKE_AUTH, 1), &request, 40);
        script.deliver(&large[0]);
        for part in cut(&mut script, (ExchangeType::IKE_AUTH, 1), &request, 10) {
            script.deliver(&part);
        }
        assert_eq!(script.endpoint.established(), usize::from(learned));
        script.begin_anew();
        script.init();
        let expected = if learned {
            DATAGRAM_LEN_MIN
        } else {
            configured
        };
        assert_eq!(datagram_len(&script), expected);
    }
}

/// That our response came in smaller fragments, or the peer's request had to, may
/// be known by the last message of the SA only.
#[test]
fn the_last_request_teaches_as_well() {
    let mut script = up();
    let delete = Informational {
        delete_ike: true,
        delete_esp: (0..600).map(EspSpi).collect(),
        ..Informational::default()
    };
    let delete = delete.encode();
    let large = fragments(&mut script, 2, &delete, 1000);
    script.deliver(&large[0]);
    for part in fragments(&mut script, 2, &delete, 300) {
        script.deliver(&part);
    }
    assert_eq!(script.endpoint.established(), 0);
    script.begin_anew();
    script.init();
    assert_eq!(datagram_len(&script), DATAGRAM_LEN_MIN);
}

#[test]
fn forged_fragments_neither_fill_nor_empty_the_place() {
    let mut script = up();
    let parts = fragments(&mut script, 2, &long(), 500);
    let (last, others) = parts.split_last().unwrap();
    for part in others {
        script.deliver(part);
    }
    for place in [32, 33, 34, 35, 40] {
        let mut forged = last.to_vec();
        forged[place] ^= 0x40;
        assert!(script.deliver(&forged).is_empty());
    }
    assert_eq!(script.deliver(last).len(), 1);
}

#[test]
fn an_incomplete_message_is_given_up_in_time() {
    let mut script = up();
    let parts = fragments(&mut script, 2, &long(), 500);
    script.deliver(&parts[0]);
    assert!(script.endpoint.reassembly_octets() >= 500);
    script.wait(REASSEMBLY_TIME_MAX);
    assert_eq!(script.endpoint.reassembly_octets(), 0);
    assert_eq!(count(&script, Stat::ReassemblyExpired), 1);
    for part in &parts[..parts.len() - 1] {
        assert!(script.deliver(part).is_empty());
    }
    assert_eq!(script.deliver(parts.last().unwrap()).len(), 1);
}

#[test]
fn there_is_an_end_to_fragments_and_octets() {
    let mut script = up();
    let many = script.seal_part(
        INFORMATIONAL,
        2,
        PayloadType::DELETE,
        Some((1, FRAGMENTS_MAX + 1)),
        &[],
    );
    assert!(script.deliver(&many).is_empty());
    assert_eq!(count(&script, Stat::OverLimit), 1);
    assert_eq!(script.endpoint.reassembly_octets(), 0);
}

/// A client that did not announce RFC 7383 must not send fragments.
#[test]
fn without_the_announcement_there_are_no_fragments() {
    let mut config = config();
    config.fragmentation.enabled = false;
    let mut script = Script::new(config);
    script.establish();
    let parts = fragments(&mut script, 2, &long(), 500);
    for part in &parts {
        assert!(script.deliver(part).is_empty());
    }
    // Whole, the same message is taken, and it is told that it was long.
    script.exchange(INFORMATIONAL, 2, &long());
    let told = |event: &&Event| matches!(event, Event::NeedsIpFragments { .. });
    assert_eq!(script.events.iter().filter(told).count(), 1);
}

/// Windows pads with whole blocks; an SKF payload may even be empty.
#[test]
fn an_empty_fragment_is_one() {
    let mut script = up();
    let none = PayloadType::NONE;
    let first = script.seal_part(INFORMATIONAL, 2, none, Some((1, 2)), b"");
    let second = script.seal_part(INFORMATIONAL, 2, none, Some((2, 2)), b"");
    assert!(script.deliver(&first).is_empty());
    assert_eq!(script.deliver(&second).len(), 1);
}
