//! Whatever stands in a table, or in a message that a key opens.

use ikexdp_proto::types::MessageId;
use ikexdp_proto::wire::iana::{ExchangeType, PayloadType};
use proptest::prelude::*;

use super::certificate::Certificate;
use super::contents::describe;
use super::open::Plaintext;
use super::tests::{NOW, chain};
use super::{Direction, Keys};

fn plaintext(first: u8, octets: Vec<u8>) -> Plaintext {
    Plaintext {
        capture: 0,
        frames: vec![1],
        time: NOW,
        direction: Direction::FromGateway,
        exchange: ExchangeType::IKE_AUTH,
        response: true,
        message_id: MessageId(1),
        fragments: 1,
        first: PayloadType(first),
        octets,
    }
}

/// Payloads of any content, with headers that are right.
fn payloads() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let body = prop::collection::vec(any::<u8>(), 0..64);
    prop::collection::vec((33_u8..54, body), 0..8)
}

proptest! {
    #[test]
    fn a_table_is_read_or_complained_of(text in "[0-9a-fx,\"#\n A-Z\\[\\]-]{0,400}") {
        let mut keys = Keys::default();
        keys.add(&text);
        prop_assert!(keys.unusable().len() <= text.lines().count());
    }

    #[test]
    fn any_octets_are_described(first in any::<u8>(), octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let opened = describe(plaintext(first, octets.clone()));
        prop_assert_eq!(opened.length, octets.len());
    }

    #[test]
    fn any_payloads_are_described(payloads in payloads()) {
        let mut octets = Vec::new();
        for (place, (_, body)) in payloads.iter().enumerate() {
            let next = payloads.get(place + 1).map_or(0, |(kind, _)| *kind);
            octets.extend([next, 0, 0, body.len() as u8 + 4]);
            octets.extend(body);
        }
        let first = payloads.first().map_or(0, |(kind, _)| *kind);
        prop_assert!(describe(plaintext(first, octets)).payloads.len() <= payloads.len() + 1);
    }

    #[test]
    fn a_certificate_with_a_changed_octet_is_read_or_not(place in 0_usize..375, octet in any::<u8>()) {
        let mut certificate = chain(|_| ()).remove(0);
        if let Some(it) = certificate.get_mut(place) {
            *it = octet;
        }
        if let Some(read) = Certificate::read(&certificate) {
            prop_assert!(!read.says().chars().any(char::is_control));
        }
    }
}
