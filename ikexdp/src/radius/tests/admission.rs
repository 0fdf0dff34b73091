//! What an Access-Accept grants.

use std::time::Duration;

use ikexdp_proto::eap::{Admission, RejectionReason, Turn};

use super::super::attribute::Kind;
use super::super::packet::{Code, Draft};
use super::super::testing::*;
use super::super::{AccountingSettings, Session, Settings};

async fn answered(keys: [usize; 2], more: &[(Kind, &[u8])]) -> Turn {
    let server = Server::open().await;
    let accounting = AccountingSettings {
        servers: vec![server.address()],
        interim_interval: Some(Duration::from_secs(300)),
    };
    let radius = started(Settings {
        accounting: Some(accounting),
        ..patient(vec![server.address()])
    });
    let turn = hear(begin(&radius), &IDENTITY);
    server.admit(keys, more).await;
    turn.await
}

fn admitted(keys: [usize; 2], more: &[(Kind, &[u8])]) -> Admission {
    match block_on(answered(keys, more)) {
        Turn::Accept(admission) => *admission,
        other => panic!("not let in: {other:?}"),
    }
}

fn rejected(keys: [usize; 2], more: &[(Kind, &[u8])]) -> RejectionReason {
    match block_on(answered(keys, more)) {
        Turn::Reject(rejection) => rejection.reason,
        other => panic!("not rejected: {other:?}"),
    }
}

/// RFC 5216 §2.3 for the order; the zeros are where EAP-MSCHAPv2 has them.
#[test]
fn the_keys_become_an_msk_of_64_octets_or_more() {
    for ([recv, send], zeros) in [([32, 32], 0), ([16, 16], 32), ([64, 64], 0), ([16, 32], 16)] {
        let expected = [vec![1; recv], vec![2; send], vec![0; zeros]].concat();
        assert_eq!(*admitted([recv, send], &[]).msk.expose(), expected);
    }
}

#[test]
fn without_both_keys_nobody_comes_in() {
    for keys in [[0, 0], [32, 0], [0, 32]] {
        assert_eq!(rejected(keys, &[]), RejectionReason::NoKey, "{keys:?}");
    }
    let short = RejectionReason::Protocol("MS-MPPE key has no right length");
    assert_eq!(rejected([15, 32], &[]), short);
    assert_eq!(rejected([32, 8], &[]), short);
}

#[test]
fn the_terms_are_taken_from_the_answer() {
    let admission = admitted(
        [32, 32],
        &[
            (Kind::USER_NAME, b"kim@example.com"),
            (Kind::SERVICE_TYPE, &2_u32.to_be_bytes()),
            (Kind::FRAMED_IP_ADDRESS, &[10, 9, 0, 7]),
            (
                Kind::FRAMED_IPV6_ADDRESS,
                &[0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
            ),
            (Kind::FILTER_ID, b"staff"),
            (Kind::FILTER_ID, b"admin"),
            (Kind::SESSION_TIMEOUT, &3600_u32.to_be_bytes()),
            (Kind::ACCT_INTERIM_INTERVAL, &10_u32.to_be_bytes()),
        ],
    );
    assert_eq!(admission.user, "kim@example.com");
    let addresses: Vec<_> = admission
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["10.9.0.7", "2001:db8:9::7"]);
    assert_eq!(admission.groups, ["staff", "admin"]);
    assert_eq!(admission.session_timeout, Some(Duration::from_secs(3600)));
    let account = admission.account.unwrap();
    let session = Session::of(&account).unwrap();
    assert_eq!(session.user(), "kim@example.com");
    // RFC 2869 §5.16: "The value MUST NOT be smaller than 60."
    assert_eq!(session.interim_interval(), Some(Duration::from_secs(60)));
}

#[test]
fn what_says_nothing_grants_nothing() {
    let admission = admitted([32, 32], &[]);
    assert_eq!(admission.user, "kim");
    assert!(admission.addresses.is_empty() && admission.groups.is_empty());
    assert_eq!(admission.session_timeout, None);
    let account = admission.account.unwrap();
    let interval = Session::of(&account).unwrap().interim_interval();
    assert_eq!(interval, Some(Duration::from_secs(300)));
    for address in [[255, 255, 255, 255], [255, 255, 255, 254], [0, 0, 0, 0]] {
        let admission = admitted([32, 32], &[(Kind::FRAMED_IP_ADDRESS, &address)]);
        assert!(admission.addresses.is_empty(), "{address:?}");
    }
    let odd = [
        (Kind::FRAMED_IP_ADDRESS, &[1, 2, 3][..]),
        (Kind::FRAMED_IPV6_ADDRESS, &[10, 9, 0, 7]),
        (Kind::SESSION_TIMEOUT, &[1]),
    ];
    let admission = admitted([32, 32], &odd);
    assert!(admission.addresses.is_empty() && admission.session_timeout.is_none());
}

/// RFC 2865 §5.6: a Service-Type that we do not have is a rejection.
#[test]
fn another_service_is_a_rejection() {
    let login = (Kind::SERVICE_TYPE, &1_u32.to_be_bytes()[..]);
    let expected = "Service-Type of the Access-Accept is not Framed";
    assert_eq!(
        rejected([32, 32], &[login]),
        RejectionReason::Protocol(expected)
    );
}

/// RFC 3579 §2.6.3: "The NAS MUST make its access control decision based solely on
/// the RADIUS Packet Type".
#[test]
fn the_code_decides_and_not_the_eap_packet_inside() {
    block_on(async {
        let server = Server::open().await;
        let radius = started(patient(vec![server.address()]));
        let turn = hear(begin(&radius), &IDENTITY);
        let mut reject = Draft::signed(Code::ACCESS_REJECT);
        reject.push(Kind::EAP_MESSAGE, &[3, 1, 0, 4]).unwrap();
        server.serve(&reject).await;
        assert!(matches!(turn.await, Turn::Reject(_)));
        let turn = hear(begin(&radius), &IDENTITY);
        let failure = (Kind::EAP_MESSAGE, &[4, 1, 0, 4][..]);
        server.admit([32, 32], &[failure]).await;
        assert!(matches!(turn.await, Turn::Accept(_)));
    });
}
