//! What of the traffic that a peer asks for it gets (RFC 7296 §2.9).

use std::sync::Arc;

use harness::parties::selector;
use harness::script::{Answer, CHILD_SPI, KEY, Script, chain, config};
use ikexdp_proto::limits::SELECTORS_MAX;
use ikexdp_proto::message::child::Selectors;
use ikexdp_proto::message::create_child::{CreateChild, CreateChildReply};
use ikexdp_proto::types::EspSpi;
use ikexdp_proto::wire::iana::{ExchangeType, NotifyType, PayloadType};
use ikexdp_proto::wire::payload::notify::Notify;
use ikexdp_proto::wire::payload::ts::TrafficSelector;

use crate::create_child::{NEXT_SPI, ask, request, up};

fn selectors(answer: &Answer) -> Selectors {
    let chain = chain(answer);
    match CreateChildReply::decode(chain.first, &chain.octets) {
        Ok(CreateChildReply::Accepted(reply)) => reply.selectors.expect("a CHILD SA"),
        other => panic!("{other:?}"),
    }
}

/// RFC 7296 §2.9.2: clients that rekey offer what they offered at first, and get
/// no less than they have.
#[test]
fn what_is_wider_in_a_rekeying_is_narrowed() {
    let mut script = up();
    let everything = selector("0.0.0.0-255.255.255.255");
    let rekeying = CreateChild {
        rekeyed: Some(EspSpi(CHILD_SPI)),
        selectors: Some(Selectors::new(vec![everything], vec![everything])),
        ..request(NEXT_SPI)
    };
    let narrowed = selectors(&ask(&mut script, 2, &rekeying));
    assert_eq!(narrowed.initiator, [selector("192.0.2.0-192.0.2.255")]);
    assert_eq!(narrowed.responder, [selector("10.0.0.0-10.255.255.255")]);
}

/// --> CREATE_CHILD_SA { SA, Ni, TSi, TSr(everything) }
/// <-- CREATE_CHILD_SA { SA, Nr, TSi, TSr(64 networks), N(ADDITIONAL_TS_POSSIBLE) }
///
/// RFC 7296 §2.9: there are more networks than selectors fit.
#[test]
fn a_peer_hears_that_more_is_possible_than_fits() {
    let mut config = config();
    let networks: Vec<_> = (0..=SELECTORS_MAX)
        .map(|net| selector(&format!("10.0.{net}.0-10.0.{net}.127")))
        .collect();
    for connection in &mut config.connections {
        Arc::make_mut(connection).child.local.clone_from(&networks);
    }
    let mut script = Script::new(config);
    script.init();
    let mut child = Script::child();
    child.selectors.responder = vec![selector("10.0.0.0-10.255.255.255")];
    let payloads = script.auth_payloads(KEY, Some(child.clone()));
    let first = script.exchange(ExchangeType::IKE_AUTH, 1, &payloads);
    let second = CreateChild {
        selectors: Some(child.selectors),
        ..request(NEXT_SPI)
    };
    let second = ask(&mut script, 2, &second);
    for answer in [&first, &second] {
        let mut notifies = answer
            .iter()
            .filter(|(kind, _)| *kind == PayloadType::NOTIFY);
        let has_more = |(_, body): &(_, Vec<u8>)| {
            Notify::decode(body).unwrap().kind == NotifyType::ADDITIONAL_TS_POSSIBLE
        };
        assert!(notifies.any(has_more));
    }
    let narrowed = selectors(&second);
    assert_eq!(narrowed.responder, networks[..SELECTORS_MAX]);
    assert!(narrowed.more);
}

/// RFC 7296 §2.9: what the peer names first, most often the packet that woke it
/// up, is in what it gets.
#[test]
fn the_first_choice_of_the_peer_is_in_what_it_gets() {
    let mut script = up();
    let packet = |range: &str| TrafficSelector {
        protocol: 17,
        start_port: 53,
        end_port: 53,
        ..selector(range)
    };
    let elsewhere = selector("203.0.113.0-203.0.113.255");
    let asked = CreateChild {
        selectors: Some(Selectors::new(
            vec![packet("192.0.2.10-192.0.2.10"), elsewhere],
            vec![
                packet("10.0.0.53-10.0.0.53"),
                elsewhere,
                selector("10.2.0.0-10.2.0.255"),
            ],
        )),
        ..request(NEXT_SPI)
    };
    let narrowed = selectors(&ask(&mut script, 2, &asked));
    assert_eq!(narrowed.initiator, [packet("192.0.2.10-192.0.2.10")]);
    let both = [
        packet("10.0.0.53-10.0.0.53"),
        selector("10.2.0.0-10.2.0.255"),
    ];
    assert_eq!(narrowed.responder, both);
}
