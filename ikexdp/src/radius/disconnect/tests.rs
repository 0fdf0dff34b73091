use std::cell::RefCell;

use ikexdp_proto::eap::Turn;

use super::super::Radius;
use super::super::attribute::Kind;
use super::super::packet::{Code, Draft, NONE};
use super::super::testing::*;
use super::*;

fn settings() -> Settings {
    Settings {
        disconnect: Some(DisconnectSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            clients: vec!["127.0.0.1".parse().unwrap()],
            require_message_authenticator: false,
        }),
        ..patient(Vec::new())
    }
}

fn request(attributes: &[(Kind, &[u8])]) -> Draft {
    let mut draft = Draft::unsigned(Code::DISCONNECT_REQUEST);
    for (kind, value) in attributes {
        draft.push(*kind, value).unwrap();
    }
    draft
}

/// Sends each packet in turn, with what comes back: the sessions of `kim` are two,
/// nobody else has one. Then the selectors, and what was counted.
fn asked(
    settings: Settings,
    packets: &[Vec<u8>],
) -> (Vec<Option<Received>>, Vec<String>, DisconnectCounters) {
    block_on(async {
        let listener = Disconnections::open(&Arc::new(settings)).unwrap().unwrap();
        let address = listener.address().unwrap();
        let asked = RefCell::new(Vec::new());
        let end = async |selector: Selector| {
            asked.borrow_mut().push(selector.to_string());
            if selector.user.as_deref() == Some("kim") {
                2
            } else {
                0
            }
        };
        let talk = async {
            let client = Server::open().await;
            let mut answers = Vec::new();
            for packet in packets {
                client.send(address, packet).await;
                // Behind it comes one that is always answered: if that is the first
                // to come, there was no answer.
                let marker = request(&[(Kind::PROXY_STATE, b"marker")]);
                client.send(address, &marker.computed(255, SECRET)).await;
                let answer = client.receive().await;
                if answer.packet().identifier == 255 {
                    answers.push(None);
                } else {
                    answers.push(Some(answer));
                    client.receive().await;
                }
            }
            answers
        };
        let answers = tokio::select! {
            result = listener.serve(end) => panic!("{result:?}"),
            answers = talk => answers,
        };
        let selectors = asked.borrow().clone();
        (answers, selectors, listener.counters())
    })
}

fn answered(draft: &Draft) -> (Code, Option<u32>, Vec<String>) {
    let packet = draft.computed(7, SECRET);
    let authenticator = Packet::decode(&packet).unwrap().authenticator;
    let (answers, selectors, _) = asked(settings(), &[packet]);
    let answer = answers[0].clone().expect("an answer");
    let packet = answer.packet();
    assert_eq!(packet.identifier, 7);
    assert!(packet.is_authentic(SECRET, &authenticator));
    assert_eq!(packet.is_signed(SECRET, &authenticator), Some(true));
    let cause = packet.first(Kind::ERROR_CAUSE);
    (packet.code, cause.and_then(|it| it.number()), selectors)
}

#[test]
fn a_session_that_is_there_is_ended() {
    let now = u32::try_from(unix_time().as_secs()).unwrap();
    let draft = request(&[
        (Kind::USER_NAME, b"kim"),
        (Kind::FRAMED_IP_ADDRESS, &[10, 9, 0, 7]),
        (Kind::ACCT_SESSION_ID, b"0123"),
        (Kind::CALLING_STATION_ID, b"192.0.2.7"),
        (Kind::NAS_IDENTIFIER, b"ikexdp"),
        (Kind::EVENT_TIMESTAMP, &now.to_be_bytes()),
    ]);
    let (code, cause, selectors) = answered(&draft);
    assert_eq!((code, cause), (Code::DISCONNECT_ACK, None));
    let expected = "session 0123, user kim, calling station 192.0.2.7, address 10.9.0.7";
    assert_eq!(selectors, [expected]);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_cause() {
    let name = (Kind::USER_NAME, &b"kim"[..]);
    for (attributes, expected) in [
        (&[(Kind::USER_NAME, &b"sam"[..])][..], 503),
        (&[], 402),
        (&[(Kind::NAS_IDENTIFIER, b"ikexdp")], 402),
        (&[name, (Kind::NAS_IDENTIFIER, b"another")], 403),
        (&[name, (Kind::CLASS, b"one")], 401),
        (&[name, (Kind::VENDOR_SPECIFIC, b"12345")], 401),
        (&[name, name], 404),
        (&[(Kind::USER_NAME, b"\xff")], 404),
        (&[name, (Kind::FRAMED_IP_ADDRESS, b"1")], 404),
        (&[name, (Kind::SERVICE_TYPE, &[0, 0, 0, 17])], 405),
    ] {
        let (code, cause, selectors) = answered(&request(attributes));
        assert_eq!((code, cause), (Code::DISCONNECT_NAK, Some(expected)));
        assert_eq!(selectors.is_empty(), expected != 503, "{attributes:?}");
    }
    let mut draft = Draft::unsigned(Code::COA_REQUEST);
    draft.push(Kind::USER_NAME, b"kim").unwrap();
    let (code, cause, selectors) = answered(&draft);
    assert_eq!((code, cause), (Code::COA_NAK, Some(405)));
    assert!(selectors.is_empty());
}

#[test]
fn who_may_not_ask_is_not_answered() {
    let kim = request(&[(Kind::USER_NAME, b"kim")]);
    let old = request(&[
        (Kind::USER_NAME, b"kim"),
        (Kind::EVENT_TIMESTAMP, &[0, 0, 0, 1]),
    ]);
    let mut signed = Draft::signed(Code::DISCONNECT_REQUEST);
    signed.push(Kind::USER_NAME, b"kim").unwrap();
    let mut forged = signed.computed(4, SECRET);
    forged[22] ^= 1;
    forged[4..20].copy_from_slice(&NONE);
    let digest = super::super::crypto::md5(&[&forged, SECRET]);
    forged[4..20].copy_from_slice(&digest);
    let access = Draft::signed(Code::ACCESS_REQUEST);
    let packets = [
        vec![40],
        access.computed(1, SECRET),
        kim.computed(2, b"another"),
        old.computed(3, SECRET),
        forged,
    ];
    let (answers, selectors, counters) = asked(settings(), &packets);
    assert!(answers.iter().all(Option::is_none), "{answers:?}");
    assert!(selectors.is_empty());
    assert_eq!(
        (counters.dropped_malformed, counters.dropped_unauthentic),
        (2, 2)
    );
    assert_eq!(counters.dropped_stale, 1);
    let mut strict = settings();
    let disconnect = strict.disconnect.as_mut().unwrap();
    disconnect.require_message_authenticator = true;
    let verified = |draft: &Draft| {
        let packet = draft.computed(1, SECRET);
        request::verify(&packet, SECRET, Duration::ZERO, true).map(|_| ())
    };
    assert_eq!(verified(&kim), Err(Unfit::Unauthentic));
    assert_eq!(verified(&signed), Ok(()));
}

#[test]
fn an_address_that_is_not_named_is_a_stranger() {
    let mut settings = settings();
    let disconnect = settings.disconnect.as_mut().unwrap();
    disconnect.clients = vec!["192.0.2.10".parse().unwrap()];
    let listener = Disconnections::open(&Arc::new(settings)).unwrap().unwrap();
    let packet = request(&[(Kind::USER_NAME, b"kim")]).computed(7, SECRET);
    let read = |from: &str| listener.read(from.parse().unwrap(), &packet).map(|_| ());
    assert_eq!(read("192.0.2.11:1000"), Err(Unfit::Stranger));
    assert_eq!(read("192.0.2.10:1000"), Ok(()));
    assert_eq!(read("[::ffff:192.0.2.10]:1000"), Ok(()));
}

#[test]
fn a_repeat_is_answered_as_the_first_time_and_does_nothing() {
    let kim = request(&[(Kind::USER_NAME, b"kim"), (Kind::PROXY_STATE, b"a")]);
    let packet = kim.computed(7, SECRET);
    let other = kim.computed(8, SECRET);
    let (answers, selectors, counters) = asked(settings(), &[packet.clone(), packet, other]);
    assert_eq!(answers[0], answers[1]);
    let first = answers[0].as_ref().unwrap();
    assert_eq!(first.value(Kind::PROXY_STATE), b"a");
    assert_eq!(selectors, ["user kim", "user kim"]);
    assert_eq!((counters.acknowledged, counters.requests), (2, 3));
}

#[test]
fn a_selector_selects_by_all_that_it_has() {
    let session = block_on(async {
        let server = Server::open().await;
        let radius: Radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        server.admit([32, 32], &[]).await;
        let Turn::Accept(admission) = turn.await else {
            panic!("the server lets in");
        };
        super::super::Session::of(&admission.account.unwrap()).unwrap()
    });
    let addresses = ["10.9.0.7".parse().unwrap()];
    let right = Selector {
        table: "office".to_owned(),
        session: Some(session.id().to_string()),
        user: Some("kim".to_owned()),
        addresses: addresses.to_vec(),
        calling_station: Some("192.0.2.7".to_owned()),
    };
    assert!(right.selects(&session, &addresses));
    assert!(!right.selects(&session, &[]));
    let wrong = || Some("another".to_owned());
    for selector in [
        Selector {
            table: "another".to_owned(),
            ..right.clone()
        },
        Selector {
            session: wrong(),
            ..right.clone()
        },
        Selector {
            user: wrong(),
            ..right.clone()
        },
        Selector {
            calling_station: wrong(),
            ..right.clone()
        },
    ] {
        assert!(!selector.selects(&session, &addresses), "{selector}");
    }
}
