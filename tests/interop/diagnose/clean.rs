//! Attempts that succeed have no verdict, whatever they went through.

use harness::{
    emulator::{Cipher, android, ios, windows_custom, windows_dh2048},
    lab::{Path, V4, V6},
    pki::Key,
};
use ikexdp_proto::crypto::kex::Group;

use super::{Recorded, Recording, verdicts};
use crate::{
    case::Case,
    emulator::{COMPATIBLE, Fleet},
};

#[track_caller]
fn assert_clean(recorded: &Recorded, attempts: usize) {
    for report in [
        recorded.of_client(),
        recorded.of_gateway(),
        recorded.of_both(),
    ] {
        assert_eq!(verdicts(&report), vec![""; attempts], "{report:#}");
        for attempt in report["attempts"].as_array().unwrap() {
            assert_eq!(attempt["outcome"], "established", "{report:#}");
        }
    }
}

fn connects(path: Path, case: Case) -> Recorded {
    let case = Case { path, ..case };
    let (lab, _gateway, client) = case.start();
    let recording = Recording::start(&lab);
    client.initiate().unwrap();
    recording.stop()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn strongswan_with_and_without_fragments() {
    let nat = Path {
        nat: true,
        ..Path::FRAGMENTS_DROPPED
    };
    for ends in [V4, V6] {
        for path in [Path::FRAGMENTS_DROPPED, nat] {
            assert_clean(&connects(path, Case::psk(ends)), 1);
            let long = Case::certificates(ends, Key::Rsa4096);
            assert_clean(&connects(path, long), 1);
        }
    }
}

/// Repeats are no failure.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_path_that_loses_a_fifth() {
    let mut case = Case::certificates(V4, Key::EcdsaP256);
    case.client.fragment_size = 576;
    case.client.retransmit_tries = 12;
    let path = Path {
        loss_percent: 20,
        ..Path::FRAGMENTS_DROPPED
    };
    assert_clean(&connects(path, case), 1);
}

/// IP fragments that arrive are no failure either.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ip_fragments_that_pass() {
    let mut case = Case::certificates(V4, Key::Rsa4096);
    case.client.fragmentation = false;
    case.gateway.gateway = "ip-fragments = true";
    assert_clean(&connects(Path::default(), case), 1);
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn cookies_and_another_group() {
    let mut case = Case::psk(V4);
    case.gateway.tables = "[defence]\ncookies = \"always\"\n[ike]\ngroups = [\"ecp384\"]\n";
    case.client.ike_proposal = "aes256gcm16-prfsha384-x25519-ecp384".to_owned();
    assert_clean(&connects(Path::FRAGMENTS_DROPPED, case), 1);
}

/// Clients that cannot run here: with certificates and with passwords, one after the other from one
/// address.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn everybody_who_connects() {
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let recording = Recording::start(&fleet.lab);
    let clients = [
        (windows_dh2048(), fleet.kim()),
        (windows_dh2048(), fleet.machine()),
        (
            windows_custom(Cipher::Aes256, Group::Ecp384),
            fleet.machine(),
        ),
        (android(), fleet.kim()),
        (ios(), fleet.guest("phone@lab.test")),
    ];
    let attempts = clients.len();
    for (profile, user) in clients {
        let mut client = fleet.client(profile, user);
        client.connect().unwrap();
        client.liveness();
        client.disconnect();
    }
    assert_clean(&recording.stop(), attempts);
}
