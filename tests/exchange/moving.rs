//! Peers that move: MOBIKE (RFC 4555), NATs that forget (RFC 7296 §2.23), and
//! NATs that are reminded (RFC 3948).

use std::net::SocketAddr;
use std::time::Duration;

use harness::script::{CHILD_SPI, Script, config, is_unknown, kinds};
use ikexdp_proto::Endpoint;
use ikexdp_proto::data_plane::{DataPlaneError, DataPlaneEvent, Direction, Tunnel};
use ikexdp_proto::event::{CloseReason, Event, FailureReason};
use ikexdp_proto::message::informational::Informational;
use ikexdp_proto::nat::{NatHashes, no_nats};
use ikexdp_proto::types::{EspSpi, Path};
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::writer::ChainWriter;

const INFORMATIONAL: ExchangeType = ExchangeType::INFORMATIONAL;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Where a client goes in these tests.
fn elsewhere() -> Path {
    Path {
        local: address("198.51.100.1:4500"),
        remote: address("203.0.113.77:4500"),
        marker: true,
    }
}

/// A client that may move.
fn mobile() -> Script {
    let mut script = Script::new(config());
    script.notifies = vec![(NotifyType::MOBIKE_SUPPORTED, Vec::new())];
    script.establish();
    script.events.clear();
    script
}

/// A client whose address is hidden by a NAT.
fn behind_a_nat() -> Script {
    let mut script = Script::new(config());
    script.nat = Some(NatHashes {
        sources: vec![[0x11; 20]],
        destination: None,
    });
    script.establish();
    script.events.clear();
    script
}

fn notified(answer: &[(PayloadType, Vec<u8>)]) -> Vec<NotifyType> {
    let notifies = answer
        .iter()
        .filter(|(kind, _)| *kind == PayloadType::NOTIFY);
    notifies
        .map(|(_, body)| Notify::decode(body).unwrap().kind)
        .collect()
}

fn path(endpoint: &Endpoint) -> Path {
    endpoint.summaries(None).next().unwrap().path
}

/// Where the gateway's kernel has the CHILD SA of a script.
fn tunnel(script: &Script) -> Tunnel {
    let outbound = script.kernel.sa(Direction::Outbound, EspSpi(CHILD_SPI));
    outbound.unwrap().tunnel
}

/// An update as a client sends it that believes in the addresses of `believed`.
fn update(script: &Script, believed: &Path) -> Informational {
    let from_client = Path {
        local: believed.remote,
        remote: believed.local,
        ..*believed
    };
    Informational {
        update_addresses: true,
        nat: NatHashes::of(script.spis, &from_client),
        ..Informational::default()
    }
}

/// --> IKE_AUTH { ..., N(MOBIKE_SUPPORTED) }
/// <-- IKE_AUTH { ..., N(MOBIKE_SUPPORTED), N(ADDITIONAL_IP6_ADDRESS) }
#[test]
fn who_may_move_hears_that_it_may_and_where_else_we_are() {
    let mut config = config();
    let others = ["198.51.100.1", "2001:db8::1"].map(|text| text.parse().unwrap());
    config.additional_addresses = others.to_vec();
    for (notifies, expected) in [
        (
            vec![(NotifyType::MOBIKE_SUPPORTED, Vec::new())],
            vec![
                NotifyType::MOBIKE_SUPPORTED,
                NotifyType::ADDITIONAL_IP6_ADDRESS,
            ],
        ),
        (vec![], vec![]),
    ] {
        let mut script = Script::new(config.clone());
        script.notifies = notifies;
        assert_eq!(notified(&script.establish()), expected);
    }
}

/// --> INFORMATIONAL { N(UPDATE_SA_ADDRESSES), N(NATD), N(COOKIE2) }
/// <-- INFORMATIONAL { N(NATD), N(COOKIE2) }
/// <-- INFORMATIONAL { N(COOKIE2) }
/// --> INFORMATIONAL { N(COOKIE2) }
#[test]
fn a_client_that_moves_takes_its_sas_along_and_shows_that_it_is_there() {
    let mut script = mobile();
    let before = script.path;
    script.path = elsewhere();
    let request = Informational {
        cookie2: Some(vec![7; 16]),
        ..update(&script, &elsewhere())
    };
    let request = script.seal(INFORMATIONAL, 2, &request.encode());
    let sent = script.deliver(&request);
    let [response, question] = sent.as_slice() else {
        panic!("a response and a question, not {}", sent.len())
    };
    assert_eq!(
        notified(&script.open(response)),
        [
            NotifyType::NAT_DETECTION_SOURCE_IP,
            NotifyType::NAT_DETECTION_DESTINATION_IP,
            NotifyType::COOKIE2,
        ]
    );
    assert_eq!(path(&script.endpoint), elsewhere());
    let moved = tunnel(&script);
    assert_eq!(moved.remote, elsewhere().remote);
    assert!(!moved.in_udp);
    let told = |event: &Event| matches!(event, Event::Moved { from, .. } if *from == before);
    assert!(script.events.iter().any(told));

    let asked = script.open(question);
    assert_eq!(notified(&asked), [NotifyType::COOKIE2]);
    let cookie = Notify::decode(&asked[0].1).unwrap().data.to_vec();
    let answer = Informational {
        cookie2: Some(cookie),
        ..Informational::default()
    };
    assert!(script.answer(question, &answer.encode()).is_empty());
    assert_eq!(path(&script.endpoint), elsewhere());
}

/// What is sent to a client whose SAs the kernel cannot move would go where it
/// no longer is.
#[test]
fn a_client_that_the_kernel_cannot_follow_is_let_go() {
    let mut script = mobile();
    let failed = DataPlaneError::Failed("no memory".to_string());
    script.kernel.refuse(Some(failed));
    script.path = elsewhere();
    let request = update(&script, &elsewhere()).encode();
    let request = script.seal(INFORMATIONAL, 2, &request);
    script.deliver(&request);
    let question = Informational::default().encode();
    script.wait(Duration::from_secs(100));
    let request = script.seal(INFORMATIONAL, 3, &question);
    assert!(is_unknown(&script.deliver(&request)));
    let closed = |event: &Event| matches!(event, Event::Closed { .. });
    assert!(script.events.iter().any(closed));
    script.kernel.holds(&[]);
}

/// Whoever answers without having seen the question is not the peer.
#[test]
fn a_wrong_cookie_ends_the_sa() {
    let mut script = mobile();
    script.path = elsewhere();
    let request = update(&script, &elsewhere()).encode();
    let request = script.seal(INFORMATIONAL, 2, &request);
    let sent = script.deliver(&request);
    let [_, question] = sent.as_slice() else {
        panic!("a response and a question, not {}", sent.len())
    };
    let answer = Informational {
        cookie2: Some(vec![1; 16]),
        ..Informational::default()
    };
    script.answer(question, &answer.encode());
    let closed = |event: &Event| {
        let reason = CloseReason::Malformed;
        matches!(event, Event::Closed { reason: told, .. } if *told == reason)
    };
    assert!(script.events.iter().any(closed));
    script.kernel.holds(&[]);
}

/// What is hashed is not where the message comes from: ESP goes in UDP now.
#[test]
fn a_client_that_moves_behind_a_nat_gets_esp_in_udp() {
    let mut script = mobile();
    assert!(!tunnel(&script).in_udp);
    script.path = elsewhere();
    let believed = Path {
        remote: address("10.0.0.5:4500"),
        ..elsewhere()
    };
    let request = update(&script, &believed).encode();
    let request = script.seal(INFORMATIONAL, 2, &request);
    script.deliver(&request);
    assert!(tunnel(&script).in_udp);
}

/// --> INFORMATIONAL { N(UPDATE_SA_ADDRESSES), N(NO_NATS_ALLOWED) }
/// <-- INFORMATIONAL { N(UNEXPECTED_NAT_DETECTED) }
#[test]
fn a_client_that_allows_no_nat_does_not_move_behind_one() {
    let mut script = mobile();
    let before = script.path;
    script.path = elsewhere();
    let wanted = |octets| Informational {
        update_addresses: true,
        no_nats_allowed: Some(octets),
        ..Informational::default()
    };
    let other = Path {
        remote: address("10.0.0.5:4500"),
        ..elsewhere()
    };
    let hidden = wanted(no_nats(&other)).encode();
    let answer = script.exchange(INFORMATIONAL, 2, &hidden);
    assert_eq!(notified(&answer), [NotifyType::UNEXPECTED_NAT_DETECTED]);
    assert_eq!(path(&script.endpoint), before);
    let open = wanted(no_nats(&elsewhere())).encode();
    let open = script.seal(INFORMATIONAL, 3, &open);
    let sent = script.deliver(&open);
    assert_eq!(script.open(&sent[0]), []);
    assert_eq!(path(&script.endpoint), elsewhere());
}

/// The same where it is only said which other addresses there are.
#[test]
fn every_request_about_addresses_is_held_against_its_own() {
    let mut script = mobile();
    let addresses = |believed: &Path| {
        let mut chain = ChainWriter::default();
        let told = no_nats(believed);
        Notify::new(NotifyType::NO_NATS_ALLOWED, &told).encode(&mut chain);
        Notify::new(NotifyType::ADDITIONAL_IP4_ADDRESS, &[203, 0, 113, 78]).encode(&mut chain);
        chain.finish()
    };
    let right = addresses(&script.path);
    assert_eq!(script.exchange(INFORMATIONAL, 2, &right), []);
    let wrong = addresses(&elsewhere());
    let answer = script.exchange(INFORMATIONAL, 3, &wrong);
    assert_eq!(notified(&answer), [NotifyType::UNEXPECTED_NAT_DETECTED]);
}

/// The same in the message that makes the SA (RFC 4555 §3.9).
/// --> IKE_AUTH { ..., N(NO_NATS_ALLOWED) }
/// <-- IKE_AUTH { N(UNEXPECTED_NAT_DETECTED) }
#[test]
fn a_client_that_allows_no_nat_does_not_begin_behind_one() {
    let mut script = Script::new(config());
    script.notifies = vec![(NotifyType::NO_NATS_ALLOWED, no_nats(&script.path))];
    script.establish();
    assert_eq!(script.endpoint.established(), 1);
    let mut script = Script::new(config());
    script.notifies = vec![(NotifyType::NO_NATS_ALLOWED, no_nats(&elsewhere()))];
    let answer = script.establish();
    assert_eq!(notified(&answer), [NotifyType::UNEXPECTED_NAT_DETECTED]);
    let failed = |event: &Event| {
        matches!(event, Event::HandshakeFailed(failure)
            if matches!(failure.reason, FailureReason::Refused(_)))
    };
    assert!(script.events.iter().any(failed));
    assert!(script.endpoint.is_quiet());
}

/// Without MOBIKE a client without a NAT stays where it is.
#[test]
fn a_client_that_has_not_said_that_it_moves_does_not() {
    let mut script = Script::new(config());
    script.establish();
    let before = script.path;
    script.path = elsewhere();
    let request = update(&script, &elsewhere()).encode();
    assert_eq!(script.exchange(INFORMATIONAL, 2, &request), []);
    assert_eq!(path(&script.endpoint), before);
    assert_eq!(tunnel(&script).remote, before.remote);
}

/// RFC 4555 §3.8: a client asks whether its NAT has a new mapping for it.
#[test]
fn a_liveness_check_with_hashes_is_answered_with_hashes() {
    let mut script = mobile();
    let check = Informational {
        update_addresses: false,
        ..update(&script, &script.path)
    };
    let answer = script.exchange(INFORMATIONAL, 2, &check.encode());
    assert_eq!(
        notified(&answer),
        [
            NotifyType::NAT_DETECTION_SOURCE_IP,
            NotifyType::NAT_DETECTION_DESTINATION_IP,
        ]
    );
}

/// RFC 7296 §2.23: a NAT has forgotten, and the next authentic request tells
/// where its client is now; a forged one does not.
#[test]
fn a_client_behind_a_nat_is_followed_by_what_is_authentic_only() {
    let mut script = behind_a_nat();
    let before = script.path;
    script.path = elsewhere();
    let request = script.seal(INFORMATIONAL, 2, &Informational::default().encode());
    let mut forged = request.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(script.deliver(&forged).is_empty());
    assert_eq!(path(&script.endpoint), before);
    assert_eq!(script.deliver(&request).len(), 1);
    assert_eq!(path(&script.endpoint), elsewhere());
    let moved = tunnel(&script);
    assert_eq!((moved.remote, moved.in_udp), (elsewhere().remote, true));
    // A replay from where it was before does not bring it back.
    script.path = before;
    script.deliver(&request);
    assert_eq!(path(&script.endpoint), elsewhere());
}

/// RFC 4555 §3.8: who tries a path does not mean to move to it; its answer goes
/// where it came from all the same.
#[test]
fn a_client_behind_a_nat_that_says_when_it_moves_is_not_followed() {
    let mut script = Script::new(config());
    script.nat = Some(NatHashes {
        sources: vec![[0x11; 20]],
        destination: None,
    });
    script.notifies = vec![(NotifyType::MOBIKE_SUPPORTED, Vec::new())];
    script.establish();
    let before = script.path;
    script.path = elsewhere();
    let nothing = Informational::default().encode();
    assert_eq!(script.exchange(INFORMATIONAL, 2, &nothing), []);
    assert_eq!(path(&script.endpoint), before);
    assert_eq!(tunnel(&script).remote, before.remote);
    let request = update(&script, &elsewhere()).encode();
    let request = script.seal(INFORMATIONAL, 3, &request);
    script.deliver(&request);
    assert_eq!(path(&script.endpoint), elsewhere());
}

/// The kernel hears of it first when there is traffic.
#[test]
fn a_client_behind_a_nat_is_followed_by_its_traffic() {
    for (mut script, follows) in [(behind_a_nat(), true), (mobile(), false)] {
        let before = path(&script.endpoint).remote;
        let lineage = script.kernel.names().1[0];
        let spi = script.endpoint.summaries(None).next().unwrap().children[0].spi_in;
        let remapped = DataPlaneEvent::Remapped {
            lineage,
            spi,
            remote: elsewhere().remote,
        };
        script.tell(remapped);
        let expected = if follows { elsewhere().remote } else { before };
        assert_eq!(path(&script.endpoint).remote, expected);
        assert_eq!(tunnel(&script).remote, expected);
    }
}

#[test]
fn a_nat_that_we_are_behind_is_reminded() {
    let mut script = Script::new(config());
    script.path = Path {
        remote: address("192.0.2.10:4500"),
        ..elsewhere()
    };
    script.nat = Some(NatHashes {
        sources: Vec::new(),
        destination: Some([0x22; 20]),
    });
    script.establish();
    let begun = script.keepalives.len();
    script.wait(Duration::from_secs(9));
    script.exchange(INFORMATIONAL, 2, &Informational::default().encode());
    script.wait(Duration::from_secs(50));
    let sent = script.keepalives.len() - begun;
    assert!((2..=3).contains(&sent), "{sent} keepalives in 59 seconds");
    assert!(
        script
            .keepalives
            .iter()
            .all(|(_, path)| *path == script.path)
    );
    let mut script = mobile();
    script.wait(Duration::from_secs(50));
    assert!(script.keepalives.is_empty());
    assert!(
        kinds(&script.exchange(INFORMATIONAL, 2, &Informational::default().encode())).is_empty()
    );
}
