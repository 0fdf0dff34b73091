//! What the daemon itself says of what it has seen fail: the same as captures show.

use harness::{
    emulator::windows_dh2048,
    lab::{Path, V4},
    pki::Key,
};

use crate::{
    case::Case,
    emulator::{COMPATIBLE, Fleet},
};

/// It is not to take half a minute.
const SOON: &str = "[timing]\nhalf-open = \"5s\"\nfirst-liveness = \"2s\"\nretransmits = 2\n";

/// The daemon's line about a client with long chains on `path`, which has all of `says`.
fn assert_said(path: &Path, change: impl FnOnce(&mut Case), line: &str, says: &[&str]) {
    let mut case = Case::certificates(V4, Key::Rsa4096);
    case.path = *path;
    case.gateway.tables = SOON;
    change(&mut case);
    let (_lab, gateway, client) = case.start();
    client.initiate().expect_err("the path is broken");
    let line = gateway.line(line);
    for part in says {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_fragment_of_the_request_is_missing() {
    const PATH: Path = Path {
        rules: "iifname \"client\" udp dport 4500 @th,224,8 53 @th,352,16 2 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let says = [
        "reason=\"IKE_AUTH did not come in time\"",
        "verdict=\"ike-fragments-lost\" windows=809",
        "cause=\"IKE fragments from the client to the gateway are lost: 2 of 3",
        "hint=\"",
    ];
    assert_said(&PATH, |_| (), "handshake failed", &says);
}

/// The client asks for the response again and again, and the SA ends without it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_response_is_never_acknowledged() {
    const PATH: Path = Path {
        rules: "iifname \"gateway\" udp sport 4500 meta length > 300 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let says = [
        "verdict=\"reply-unacknowledged\" windows=809",
        "cause=\"the gateway's response of up to 1280 octets a datagram was sent 4 times and never acknowledged\"",
        "fragment-size = 576",
    ];
    assert_said(&PATH, |_| (), "IKE SA closed", &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_client_without_fragmentation_depends_on_ip_fragments() {
    let says = [
        "verdict=\"ip-fragments-lost\" windows=809",
        "the client does not announce IKE fragmentation",
    ];
    let without = |case: &mut Case| case.client.fragmentation = false;
    assert_said(&Path::FRAGMENTS_DROPPED, without, "handshake failed", &says);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_client_that_does_not_go_on_may_have_nothing_to_show() {
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let mut client = fleet.client(windows_dh2048(), fleet.machine());
    client.init().unwrap();
    let line = fleet.gateway.line("handshake failed");
    for part in [
        "verdict=\"no-auth-request\" windows=13806",
        "hint=\"the client needs a certificate",
    ] {
        assert!(line.contains(part), "no `{part}`: {line}");
    }
}
