//! Which answers stand.

use ikexdp_proto::eap::Turn;
use tokio::time::{Duration, sleep};

use super::super::counters::Counters;
use super::super::crypto::md5;
use super::super::packet::{Code, Draft, HEADER_LEN};
use super::super::testing::*;

/// What a wrong answer is, whether it is sent by another, and how it is counted.
type Wrong = (&'static str, fn(&Received) -> Vec<u8>, fn(&Counters) -> u64);

fn authentic(request: &Received, mut octets: Vec<u8>) -> Vec<u8> {
    octets[4..HEADER_LEN].copy_from_slice(&request.packet().authenticator);
    let digest = md5(&[&octets, SECRET]);
    octets[4..HEADER_LEN].copy_from_slice(&digest);
    octets
}

const WRONG: [Wrong; 10] = [
    (
        "nothing",
        |_| Vec::new(),
        |counters| counters.dropped_malformed,
    ),
    (
        "half of it",
        |request| request.answer(&challenge())[..30].to_vec(),
        |counters| counters.dropped_malformed,
    ),
    (
        "more than a packet may be",
        |request| {
            let mut octets = request.answer(&challenge());
            octets.resize(4999, 0);
            octets[2..4].copy_from_slice(&4999_u16.to_be_bytes());
            octets
        },
        |counters| counters.dropped_malformed,
    ),
    (
        "an attribute without length",
        |request| {
            let mut octets = request.answer(&challenge());
            octets[HEADER_LEN + 1] = 0;
            octets
        },
        |counters| counters.dropped_malformed,
    ),
    (
        "another identifier",
        |request| {
            let mut octets = request.answer(&challenge());
            octets[1] ^= 1;
            octets
        },
        |counters| counters.dropped_unexpected,
    ),
    (
        "another code",
        |request| request.answer(&Draft::signed(Code::ACCOUNTING_RESPONSE)),
        |counters| counters.dropped_unexpected,
    ),
    (
        "another secret",
        |request| {
            let packet = request.packet();
            challenge().response(packet.identifier, &packet.authenticator, b"another")
        },
        |counters| counters.dropped_unauthentic,
    ),
    (
        "another request",
        |request| challenge().response(request.packet().identifier, &[0; 16], SECRET),
        |counters| counters.dropped_unauthentic,
    ),
    (
        "no Message-Authenticator",
        |request| request.answer(&Draft::unsigned(Code::ACCESS_REJECT)),
        |counters| counters.dropped_unsigned,
    ),
    (
        "a wrong Message-Authenticator",
        |request| {
            let mut octets = request.answer(&challenge());
            octets[HEADER_LEN + 2] ^= 1;
            authentic(request, octets)
        },
        |counters| counters.dropped_unauthentic,
    ),
];

#[test]
fn an_answer_that_does_not_stand_is_dropped_and_the_right_one_waited_for() {
    for (what, wrong, counter) in WRONG {
        block_on(async {
            let server = Server::open().await;
            let radius = started(patient(vec![server.address()]));
            let turn = hear(begin(&radius), &IDENTITY);
            let request = server.receive().await;
            server.send(request.from, &wrong(&request)).await;
            let answer = request.answer(&challenge());
            server.send(request.from, &answer).await;
            assert!(matches!(turn.await, Turn::Ask { .. }), "{what}");
            let counters = radius.servers()[0].counters;
            assert_eq!(counter(&counters), 1, "{what}: {counters:?}");
            assert_eq!(counters.answers, 1, "{what}");
        });
    }
}

#[test]
fn a_stranger_is_not_heard() {
    block_on(async {
        let (server, stranger) = (Server::open().await, Server::open().await);
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let request = server.receive().await;
        let reject = request.answer(&Draft::signed(Code::ACCESS_REJECT));
        stranger.send(request.from, &reject).await;
        let answer = request.answer(&challenge());
        server.send(request.from, &answer).await;
        assert!(matches!(turn.await, Turn::Ask { .. }));
        assert_eq!(radius.servers()[0].counters.rejects, 0);
    });
}

#[test]
fn only_the_first_answer_counts() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let request = server.receive().await;
        let answer = request.answer(&challenge());
        server.send(request.from, &answer).await;
        server.send(request.from, &answer).await;
        assert!(matches!(turn.await, Turn::Ask { .. }));
        while radius.servers()[0].counters.dropped_unexpected == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(radius.servers()[0].counters.answers, 1);
    });
}
