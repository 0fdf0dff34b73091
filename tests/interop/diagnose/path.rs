//! What paths do to IKE.

use harness::{
    credentials::Credentials,
    emulator::windows_dh2048,
    gateway::Transport,
    lab::{Ends, Lab, Path, V4, V6},
    pki::{Key, Pki},
    strongswan::{Settings, Strongswan},
};

use super::{Recorded, Recording, assert_verdict, verdict};
use crate::{
    case::Case,
    emulator::{COMPATIBLE, Fleet},
};

/// Without RFC 7383.
const WHOLE: &str = "algorithms = \"compatible\"\nfragmentation = false";

/// On port 4500: a fragment (SKF) with that number, behind the marker.
macro_rules! fragment {
    ($from:literal, $number:literal) => {
        concat!(
            "iifname \"",
            $from,
            "\" udp dport 4500 @th,224,8 53 @th,352,16 ",
            $number,
            " drop\n"
        )
    };
}

/// strongSwan at both ends, with long chains, on `path`; `change` has the client's settings and the
/// gateway's.
fn between_strongswans(
    ends: Ends,
    path: &Path,
    change: impl FnOnce(&mut Settings, &mut Settings),
) -> Recorded {
    let lab = Lab::new();
    lab.set_path(path);
    let pki = Pki::new(Key::Rsa4096);
    let mut client = Settings {
        virtual_ips: vec![if ends == V4 {
            [0; 4].into()
        } else {
            [0; 16].into()
        }],
        ..Settings::initiator(ends.client, ends.gateway, Credentials::client(&pki))
    };
    let mut gateway = Settings::responder(ends.gateway, Credentials::gateway(&pki));
    change(&mut client, &mut gateway);
    let _gateway = Strongswan::start(&lab.gateway, gateway);
    let client = Strongswan::start(&lab.client, client);
    let recording = Recording::start(&lab);
    client.initiate().expect_err("the path is broken");
    recording.stop()
}

/// A client with long chains and our gateway, on `path`.
fn with_ours(path: &Path, change: impl FnOnce(&mut Case)) -> Recorded {
    let mut case = Case::certificates(V4, Key::Rsa4096);
    case.path = *path;
    change(&mut case);
    let (lab, _gateway, client) = case.start();
    let recording = Recording::start(&lab);
    client.initiate().expect_err("the path is broken");
    recording.stop()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ip_fragments_of_a_client_without_fragmentation() {
    for ends in [V4, V6] {
        let recorded = between_strongswans(ends, &Path::FRAGMENTS_DROPPED, |client, _| {
            client.fragmentation = false;
        });
        for report in [recorded.of_client(), recorded.of_both()] {
            assert_verdict(&report, "ip-fragments-lost", &[809]);
            assert_eq!(verdict(&report)["side"], "client", "{report:#}");
        }
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ip_fragments_because_of_a_gateway_without_fragmentation() {
    let recorded = between_strongswans(V4, &Path::FRAGMENTS_DROPPED, |_, gateway| {
        gateway.fragmentation = false;
    });
    let report = recorded.of_both();
    assert_verdict(&report, "ip-fragments-lost", &[809]);
    assert_eq!(verdict(&report)["side"], "gateway", "{report:#}");
    assert_verdict(&recorded.of_client(), "ip-fragments-lost", &[809]);
}

/// The third of some fragments never arrives.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_fragment_of_the_request() {
    const PATH: Path = Path {
        rules: fragment!("client", "2"),
        ..Path::FRAGMENTS_DROPPED
    };
    for recorded in [
        between_strongswans(V4, &PATH, |client, _| client.fragment_size = 576),
        with_ours(&PATH, |case| case.client.fragment_size = 576),
    ] {
        for report in [recorded.of_gateway(), recorded.of_both()] {
            assert_verdict(&report, "ike-fragments-lost", &[809]);
            let says = verdict(&report)["says"].as_str().unwrap();
            assert!(says.contains('2'), "{says}");
        }
    }
}

/// The client has what it needs to say that something is wrong, but not where.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn fragments_that_are_too_long_for_the_path() {
    const PATH: Path = Path {
        size_max: Some(1200),
        ..Path::FRAGMENTS_DROPPED
    };
    let recorded = between_strongswans(V4, &PATH, |_, _| ());
    for report in [recorded.of_gateway(), recorded.of_both()] {
        assert_verdict(&report, "large-datagrams-lost", &[809]);
        let says = verdict(&report)["says"].as_str().unwrap();
        assert!(says.contains("1280"), "{says}");
    }
}

/// Our gateway's response is repeated, smaller at last, and all of it is lost.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_reply_that_never_arrives() {
    const PATH: Path = Path {
        rules: "iifname \"gateway\" udp sport 4500 meta length > 400 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let recorded = with_ours(&PATH, |_| ());
    for report in [recorded.of_gateway(), recorded.of_both()] {
        assert_verdict(&report, "reply-unacknowledged", &[809]);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn nothing_comes_back_on_port_500() {
    const PATH: Path = Path {
        rules: "udp dport 500 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let recorded = with_ours(&PATH, |_| ());
    assert_verdict(&recorded.of_client(), "init-unanswered", &[809]);
}

/// A secret makes a short IKE_AUTH: it is no matter of size.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn port_4500_is_closed() {
    let mut case = Case::psk(V4);
    case.path = Path {
        nat: true,
        rules: "udp dport 4500 drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let (lab, _gateway, client) = case.start();
    let recording = Recording::start(&lab);
    client.initiate().expect_err("the path is broken");
    let recorded = recording.stop();
    assert_verdict(&recorded.of_client(), "nat-port-blocked", &[809]);
    assert_verdict(&recorded.of_both(), "nat-port-blocked", &[809]);
}

/// The gateway has seen all of the request, and says nothing.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_gateway_that_does_not_answer() {
    let mut case = Case::certificates(V4, Key::Rsa4096);
    case.gateway.transport = Transport::Udp;
    let (lab, _gateway, client) = case.start();
    // Behind the place where it is captured, in both directions.
    lab.gateway.exec("nft add table inet mute");
    lab.gateway
        .exec("nft add chain inet mute out { type filter hook output priority 0 ; }");
    lab.gateway
        .exec("nft add rule inet mute out udp sport 4500 drop");
    let recording = Recording::start(&lab);
    client.initiate().expect_err("nobody answers");
    let recorded = recording.stop();
    assert_verdict(&recorded.of_gateway(), "request-ignored", &[809]);
    assert_verdict(&recorded.of_both(), "request-ignored", &[809]);
}

/// Windows on the path of error 809: one that does not fragment, and one whose gateway does not let it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_without_fragmentation_on_either_side() {
    let rows = [
        (COMPATIBLE, windows_dh2048().before_1803(), "client"),
        (WHOLE, windows_dh2048(), "gateway"),
    ];
    for (gateway, profile, side) in rows {
        let fleet = Fleet::new(&[Key::Rsa2048], gateway, &Path::FRAGMENTS_DROPPED);
        let recording = Recording::start(&fleet.lab);
        let mut client = fleet.client(profile, fleet.machine());
        client.init().unwrap();
        client.auth_in_vain(3);
        let recorded = recording.stop();
        for report in [recorded.of_client(), recorded.of_both()] {
            assert_verdict(&report, "ip-fragments-lost", &[809]);
            assert_eq!(verdict(&report)["side"], side, "{report:#}");
            assert_eq!(report["attempts"][0]["client_is"], "Windows");
        }
    }
}
