//! What is asked, of whom, and how often.

use std::time::Duration;

use ikexdp_proto::eap::{RejectionReason, Turn};
use tokio::time::timeout;

use super::super::attribute::Kind;
use super::super::packet::{Code, Draft};
use super::super::testing::*;
use super::super::{Radius, Settings};

fn reason(turn: Turn) -> RejectionReason {
    match turn {
        Turn::Reject(rejection) => rejection.reason,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_conversation_goes_through_to_the_server_and_back() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let first = server.serve(&challenge()).await;
        let packet = first.packet();
        assert_eq!(packet.code, Code::ACCESS_REQUEST);
        let kinds: Vec<_> = packet.attributes().map(|it| it.kind).collect();
        assert_eq!(kinds[0], Kind::MESSAGE_AUTHENTICATOR);
        assert!(!kinds.contains(&Kind::STATE) && !kinds.contains(&Kind::PROXY_STATE));
        assert_eq!(packet.is_signed(SECRET, &packet.authenticator), Some(true));
        assert_eq!(packet.eap(), IDENTITY);
        for (kind, value) in [
            (Kind::USER_NAME, &b"kim"[..]),
            (Kind::NAS_IDENTIFIER, b"ikexdp"),
            (Kind::NAS_IP_ADDRESS, &[127, 0, 0, 1]),
            (Kind::NAS_PORT_TYPE, &[0, 0, 0, 5]),
            (Kind::NAS_PORT_ID, b"staff"),
            (Kind::SERVICE_TYPE, &[0, 0, 0, 2]),
            (Kind::FRAMED_MTU, &1344_u32.to_be_bytes()),
            (Kind::CALLED_STATION_ID, b"203.0.113.1"),
            (Kind::CALLING_STATION_ID, b"192.0.2.7"),
        ] {
            assert_eq!(first.value(kind), value, "{kind:?}");
        }
        let Turn::Ask {
            request,
            conversation,
        } = turn.await
        else {
            panic!("the server asks");
        };
        assert_eq!(request, REQUEST);
        let turn = hear(conversation, &RESPONSE);
        let second = server.admit([32, 32], &[]).await;
        assert_eq!(second.value(Kind::STATE), b"of this server");
        assert_eq!(second.value(Kind::USER_NAME), b"kim");
        assert_eq!(second.packet().eap(), RESPONSE);
        assert_ne!(second.packet().authenticator, packet.authenticator);
        let Turn::Accept(admission) = turn.await else {
            panic!("the server lets in");
        };
        assert_eq!(admission.user, "kim");
        let [status] = radius.servers().try_into().unwrap();
        let counters = status.counters;
        assert_eq!((counters.requests, counters.answers), (2, 2));
        assert_eq!((counters.challenges, counters.accepts), (1, 1));
    });
}

#[test]
fn a_long_response_is_cut_and_one_that_does_not_fit_is_refused() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let mut long = IDENTITY.to_vec();
        long.resize(8 + 1392, 0);
        long[2..4].copy_from_slice(&1400_u16.to_be_bytes());
        let _turn = hear(begin(&radius), &long);
        let request = server.receive().await;
        assert_eq!(request.packet().all(Kind::EAP_MESSAGE).count(), 6);
        assert_eq!(request.packet().eap(), long);
        long.resize(4096, 0);
        let reason = reason(hear(begin(&radius), &long).await);
        assert_eq!(
            reason,
            RejectionReason::Protocol("response too long for RADIUS")
        );
    });
}

#[test]
fn who_does_not_say_a_name_is_called_by_its_address() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let _turn = hear(begin(&radius), &[2, 0, 0, 5, 1]);
        let request = server.receive().await;
        assert_eq!(request.value(Kind::USER_NAME), b"192.0.2.7");
        let mut endless = vec![2, 0, 1, 3, 1];
        endless.extend([b'a'; 254]);
        for (response, expected) in [
            (&endless[..], "identity too long for RADIUS"),
            (&[2, 0, 0, 6, 3, 26], "no identity"),
        ] {
            let reason = reason(hear(begin(&radius), response).await);
            assert_eq!(reason, RejectionReason::Protocol(expected));
        }
    });
}

#[test]
fn a_rejection_says_what_the_server_said_in_one_line() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let mut draft = Draft::signed(Code::ACCESS_REJECT);
        draft
            .push(Kind::REPLY_MESSAGE, b"no\n\x1b[2J it's \"you\"")
            .unwrap();
        draft.push(Kind::REPLY_MESSAGE, &[b'x'; 253]).unwrap();
        server.serve(&draft).await;
        let RejectionReason::Radius {
            server: who,
            message,
        } = reason(turn.await)
        else {
            panic!("the server rejects");
        };
        assert_eq!(who, server.address());
        let message = message.unwrap();
        let expected = "no\\n\\u{1b}[2J it's \"you\" xxx";
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(message.len(), 200);
    });
}

#[test]
fn a_challenge_that_asks_nothing_is_a_rejection() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        for eap in [&[][..], &[3, 1, 0, 4], &[1, 1, 0, 9, 26, 7]] {
            let turn = hear(begin(&radius), &IDENTITY);
            let mut draft = Draft::signed(Code::ACCESS_CHALLENGE);
            draft.push_parts(Kind::EAP_MESSAGE, eap).unwrap();
            server.serve(&draft).await;
            let expected = "Access-Challenge without an EAP request";
            assert_eq!(reason(turn.await), RejectionReason::Protocol(expected));
        }
    });
}

/// RFC 2865 §2.5: a repeat has the same identifier and authenticator, and the same
/// octets altogether.
#[test]
fn a_request_is_repeated_octet_for_octet_and_then_given_up() {
    block_on(async {
        let servers = [Server::open().await, Server::open().await];
        let addresses: Vec<_> = servers.iter().map(Server::address).collect();
        let radius = started(hasty(addresses.clone()));
        let turn = hear(begin(&radius), &IDENTITY);
        let reason = reason(turn.await);
        assert_eq!(reason, RejectionReason::RadiusSilent { servers: addresses });
        for server in &servers {
            let first = server.receive().await;
            assert_eq!(server.receive().await, first);
        }
        for status in radius.servers() {
            assert!(!status.is_up);
            let counters = status.counters;
            assert_eq!((counters.requests, counters.retransmissions), (1, 1));
            assert_eq!((counters.timeouts, counters.answers), (1, 0));
        }
    });
}

#[test]
fn a_repeat_is_answered_as_well() {
    block_on(async {
        let server = Server::open().await;
        let settings = Settings {
            tries: 10,
            ..hasty(vec![server.address()])
        };
        let radius = started(settings);
        let turn = hear(begin(&radius), &IDENTITY);
        let lost = server.receive().await;
        assert_eq!(server.serve(&challenge()).await, lost);
        assert!(matches!(turn.await, Turn::Ask { .. }));
        assert!(radius.servers()[0].is_up);
    });
}

#[test]
fn where_one_server_is_silent_the_next_is_asked_and_then_first() {
    block_on(async {
        let (silent, good) = (Server::open().await, Server::open().await);
        let settings = Settings {
            tries: 3,
            timeout: Duration::from_millis(300),
            ..hasty(vec![silent.address(), good.address()])
        };
        let radius = started(settings);
        let turn = hear(begin(&radius), &IDENTITY);
        good.serve(&challenge()).await;
        assert!(matches!(turn.await, Turn::Ask { .. }));
        for _ in 0..3 {
            silent.receive().await;
        }
        let is_up: Vec<_> = radius.servers().iter().map(|it| it.is_up).collect();
        assert_eq!(is_up, [false, true]);
        let turn = hear(begin(&radius), &IDENTITY);
        good.serve(&challenge()).await;
        assert!(matches!(turn.await, Turn::Ask { .. }));
        let servers = radius.servers();
        assert_eq!(servers[0].counters.requests, 1);
        let failovers: Vec<_> = servers.iter().map(|it| it.counters.failovers).collect();
        assert_eq!(failovers, [0, 2]);
    });
}

#[test]
fn who_was_down_is_asked_when_nobody_is_up_and_is_up_when_it_answers() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(Settings {
            tries: 1,
            ..hasty(vec![server.address()])
        });
        drop(hear(begin(&radius), &IDENTITY).await);
        server.receive().await;
        assert!(!radius.servers()[0].is_up);
        loop {
            let turn = hear(begin(&radius), &IDENTITY);
            server.serve(&challenge()).await;
            // A machine that is busy may have taken longer than we wait.
            if matches!(turn.await, Turn::Ask { .. }) {
                break;
            }
        }
        assert!(radius.servers()[0].is_up);
    });
}

/// The state is of one server: another cannot go on with it.
#[test]
fn a_conversation_stays_with_its_server() {
    block_on(async {
        let (server, other) = (Server::open().await, Server::open().await);
        let settings = Settings {
            tries: 4,
            ..hasty(vec![server.address(), other.address()])
        };
        let radius = started(settings);
        let turn = hear(begin(&radius), &IDENTITY);
        server.serve(&challenge()).await;
        let Turn::Ask { conversation, .. } = turn.await else {
            panic!("the server asks");
        };
        let turn = hear(conversation, &RESPONSE);
        let servers = vec![server.address()];
        assert_eq!(
            reason(turn.await),
            RejectionReason::RadiusSilent { servers }
        );
        assert_eq!(radius.servers()[1].counters.requests, 0);
    });
}

#[test]
fn more_requests_than_identifiers_take_another_socket() {
    // A few at a time, as many as fit into the server's socket.
    const BATCHES: usize = 10;
    const BATCH: usize = 30;
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let (mut turns, mut received) = (Vec::new(), Vec::new());
        for _ in 0..BATCHES {
            turns.extend((0..BATCH).map(|_| hear(begin(&radius), &IDENTITY)));
            for _ in 0..BATCH {
                let request = server.receive().await;
                let name = (request.from, request.packet().identifier);
                received.push((name, request));
            }
        }
        let mut ports: Vec<_> = received.iter().map(|(name, _)| name.0.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 2);
        let mut names: Vec<_> = received.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BATCHES * BATCH);
        for (_, request) in &received {
            server
                .send(request.from, &request.answer(&challenge()))
                .await;
        }
        for turn in turns {
            assert!(matches!(turn.await, Turn::Ask { .. }));
        }
    });
}

#[test]
fn nobody_is_let_in_before_there_is_a_runtime() {
    let server = "127.0.0.1:1812".parse().unwrap();
    let radius = Radius::new(patient(vec![server]));
    let turn = block_on(hear(begin(&radius), &IDENTITY));
    let servers = Vec::new();
    assert_eq!(reason(turn), RejectionReason::RadiusSilent { servers });
}

#[test]
fn hearing_does_not_wait_for_the_server() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let waited = timeout(Duration::from_millis(50), turn).await;
        assert!(waited.is_err(), "nobody has answered: {waited:?}");
        server.receive().await;
    });
}
