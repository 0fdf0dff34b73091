//! Every kind of client over XDP, on a path that drops IP fragments: it connects, both ends ask
//! each other for signs of life, and either end deletes.

use std::{thread, time::Duration};

use harness::{
    capture::Capture,
    datagram::{Datagram, timeline},
    gateway::{Gateway, Transport},
    lab::{Ends, NAMES, NAT, V4, V6},
    pki::Key,
    strongswan::Strongswan,
};

use crate::case::Case;

/// How long a condition may take that nothing but the machine's load delays.
const PATIENCE: Duration = Duration::from_secs(20);
/// The exchange type (RFC 7296 §3.1).
const INFORMATIONAL: u8 = 37;

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_secret() {
    everywhere(Case::psk);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn rsa_2048() {
    everywhere(|ends| Case::certificates(ends, Key::Rsa2048));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn rsa_4096() {
    everywhere(|ends| Case::certificates(ends, Key::Rsa4096));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ecdsa_p256() {
    everywhere(|ends| Case::certificates(ends, Key::EcdsaP256));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ecdsa_p384() {
    everywhere(|ends| Case::certificates(ends, Key::EcdsaP384));
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ed25519() {
    everywhere(|ends| Case::certificates(ends, Key::Ed25519));
}

/// XDP in the kernel's stack, and no XDP at all.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn other_transports() {
    for transport in [Transport::Generic, Transport::Udp] {
        for ends in [V4, V6] {
            let mut case = Case::certificates(ends, Key::Rsa4096);
            case.gateway.transport = transport;
            lives_and_ends(case);
        }
    }
}

/// IPv4 and IPv6, with NAT and without, each with every fragment size of the client.
fn everywhere(case: impl Fn(Ends) -> Case + Sync) {
    thread::scope(|scope| {
        for ends in [V4, V6] {
            for nat in [false, true] {
                let case = &case;
                scope.spawn(move || {
                    for fragment_size in [576, 1280, 1400] {
                        let mut case = case(ends);
                        case.path.nat = nat;
                        case.client.fragment_size = fragment_size;
                        lives_and_ends(case);
                    }
                });
            }
        }
    });
}

fn lives_and_ends(mut case: Case) {
    // The gateway asks first: a sign of life from the client would make it wait for a minute.
    case.gateway.tables = "[timing]\nfirst-liveness = \"500ms\"";
    case.client.dpd_delay = Duration::from_secs(2);
    let (lab, gateway, client) = case.start();
    let capture = lab.capture_client();

    client.initiate().expect("the client connects");
    is_established(&case, &gateway, &client);
    for source in [case.client.remote, case.client.local] {
        assert_liveness(&capture, source);
    }
    client
        .terminate()
        .expect("the gateway answers the deletion");
    assert_eq!((gateway.sas(), client.sas()), (vec![], vec![]));

    client.initiate().expect("the client connects again");
    gateway.terminate(is_established(&case, &gateway, &client));
    assert_eq!((gateway.sas(), client.sas()), (vec![], vec![]));

    // Requests come in by the transport, and leave no other way.
    let handled = |name| gateway.count(|stats| &stats.daemon, name);
    let (by_xdp, by_kernel) = (handled("frame_replied"), handled("udp_received"));
    if case.gateway.transport == Transport::Udp {
        assert!(by_xdp == 0 && by_kernel > 0, "{by_xdp}, {by_kernel}");
    } else {
        assert!(by_xdp > 0 && by_kernel == 0, "{by_xdp}, {by_kernel}");
    }
    check_datagrams(&case, &capture.stop());
    assert_eq!(lab.drops().fragments, 0);
    gateway.stop();
}

/// Checks that both ends have the same IKE SA and CHILD SA; the number of the gateway's.
fn is_established(case: &Case, gateway: &Gateway, client: &Strongswan) -> u64 {
    let (ours, theirs) = (gateway.sas(), client.sas());
    assert_eq!((ours.len(), theirs.len()), (1, 1), "{ours:?} {theirs:?}");
    let (ours, theirs) = (&ours[0], &theirs[0]);
    assert_eq!(
        (ours.state.as_str(), theirs.state.as_str()),
        ("established", "ESTABLISHED")
    );
    let spis = (theirs.initiator_spi, theirs.responder_spi);
    assert_eq!(
        (&ours.initiator_spi, &ours.responder_spi),
        (&format!("{:016x}", spis.0), &format!("{:016x}", spis.1))
    );
    // strongSwan's user-space ESP pretends that there is a NAT.
    assert_eq!(ours.local.port(), 4500);
    if case.path.nat {
        assert!(NAT.contains(&ours.remote.ip()), "{}", ours.remote);
    } else {
        assert_eq!(ours.remote, theirs.local);
    }
    assert!(ours.fragmentation.negotiated);
    assert_eq!(ours.addresses, theirs.virtual_ips);
    let (child, peer) = (&ours.children[0], &theirs.children[0]);
    assert_eq!(
        (&child.spi_in, &child.spi_out),
        (
            &format!("{:08x}", peer.spi_out),
            &format!("{:08x}", peer.spi_in)
        )
    );
    ours.id
}

/// Waits until the end at `source` has asked for a sign of life, and the other has given it.
fn assert_liveness(capture: &Capture, source: std::net::IpAddr) {
    let answered = |datagrams: &[Datagram]| {
        let informational = |datagram: &&Datagram| {
            datagram
                .ike()
                .is_some_and(|ike| ike.exchange == INFORMATIONAL)
        };
        let asks = |datagram: &&Datagram| {
            datagram.source == source && datagram.ike().is_some_and(|ike| !ike.response)
        };
        let mut informational = datagrams.iter().filter(informational);
        let id = informational.find(asks)?.ike()?.message_id;
        informational
            .find(|datagram| {
                datagram.destination == source
                    && datagram
                        .ike()
                        .is_some_and(|ike| ike.response && ike.message_id == id)
            })
            .map(drop)
    };
    capture
        .datagrams()
        .wait_for(PATIENCE, answered)
        .unwrap_or_else(|| {
            let shown = timeline(&capture.datagrams().entries(), &NAMES);
            panic!("nobody answers {source}:\n{shown}")
        });
}

/// No IP fragments, and no datagram of IKE above the sender's size.
fn check_datagrams(case: &Case, datagrams: &[Datagram]) {
    let shown = || timeline(datagrams, &NAMES);
    for datagram in datagrams {
        assert_eq!(datagram.fragment, None, "\n{}", shown());
        let size = if datagram.source == case.client.local {
            case.client.fragment_size
        } else {
            case.gateway.fragment_size
        };
        assert!(
            datagram.ike().is_none() || datagram.length <= usize::from(size),
            "above {size}:\n{}",
            shown()
        );
    }
}
