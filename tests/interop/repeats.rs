//! A response that is lost on the way is given once more.

use std::net::IpAddr;

use harness::{
    datagram::{Datagram, Payload},
    lab::V4,
    pki::Key,
};

use crate::case::Case;

/// Drops the first appearance of each fragment of an IKE_AUTH response: exchange type and Fragment
/// Number are 18 and 32 octets into the message (RFC 7383 §2.5), which comes behind eight octets of
/// UDP and four of the marker.
const EACH_FRAGMENT_ONCE: &str = r#"
table inet once {
    set lost {
        typeof @th,352,16
        flags dynamic
    }
    chain arriving {
        type filter hook prerouting priority -460
        iifname gateway udp sport 4500 @th,240,8 35 @th,352,16 != @lost add @lost { @th,352,16 } drop
    }
}"#;

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_lost_response_is_repeated_octet_for_octet() {
    let (lab, gateway, client) = Case::certificates(V4, Key::Rsa4096).start();
    lab.router.write("/run/once.nft", EACH_FRAGMENT_ONCE);
    lab.router.exec("nft -f /run/once.nft");
    let capture = lab.capture_router();
    client.initiate().unwrap();

    let datagrams = capture.stop();
    let responses = ike_auth_responses(&datagrams, V4.gateway);
    let (lost, repeated) = responses.split_at(responses.len() / 2);
    assert!(lost.len() > 1, "{}", lost.len());
    assert_eq!(lost, repeated);

    let (ours, theirs) = (gateway.sas(), client.sas());
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    let spi = |text: &str| u64::from_str_radix(text, 16).unwrap();
    assert_eq!(spi(&ours[0].initiator_spi), theirs[0].initiator_spi);
    assert_eq!(spi(&ours[0].responder_spi), theirs[0].responder_spi);
    let engine = |name| gateway.count(|stats| &stats.engine, name);
    assert_eq!(engine("init_accepted"), 1);
    assert_eq!(engine("established"), 1);
    assert_eq!(engine("response_repeated"), 1);
}

/// The IKE messages of the gateway's answers to IKE_AUTH, a fragment each.
fn ike_auth_responses(datagrams: &[Datagram], gateway: IpAddr) -> Vec<&Payload> {
    let ours = datagrams.iter().filter(|it| it.source == gateway);
    ours.filter(|it| it.ike().is_some_and(|ike| ike.exchange == 35))
        .map(|datagram| &datagram.payload)
        .collect()
}
