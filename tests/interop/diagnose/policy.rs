//! What two sides do not agree on.

use std::net::UdpSocket;

use harness::{
    credentials::{Credentials, SECRET},
    emulator::{Emulator, Ports, windows, windows_dh2048},
    lab::{Path, V4},
    pki::{Key, Pki},
};
use ikexdp_proto::types::NAT_T_PORT;
use serde_json::Value;

use super::{Recording, assert_verdict, verdict, verdicts};
use crate::{
    case::Case,
    emulator::{COMPATIBLE, Fleet},
};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_as_it_comes_has_no_algorithms_in_common() {
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let recording = Recording::start(&fleet.lab);
    fleet.client(windows(), fleet.kim()).connect().unwrap_err();
    let recorded = recording.stop();
    for report in [
        recorded.of_client(),
        recorded.of_gateway(),
        recorded.of_both(),
    ] {
        assert_verdict(&report, "no-common-policy", &[13868]);
        let command = verdict(&report)["remedy"]["command"].as_str().unwrap();
        assert!(
            command.starts_with("Set-VpnConnectionIPsecConfiguration"),
            "{command}"
        );
        let says = verdict(&report)["says"].as_str().unwrap();
        assert!(says.contains("modp1024"), "{says}");
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn strongswan_has_no_algorithms_in_common() {
    let mut case = Case::psk(V4);
    case.gateway.tables = "[ike]\ngroups = [\"ecp384\"]";
    let (lab, _gateway, client) = case.start();
    let recording = Recording::start(&lab);
    client.initiate().unwrap_err();
    let recorded = recording.stop();
    assert_verdict(&recorded.of_client(), "no-common-policy", &[13868]);
    assert_verdict(&recorded.of_both(), "no-common-policy", &[13868]);
}

/// The gateway's short answer to IKE_AUTH, and nothing after it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_gateway_refuses_the_client() {
    let (ours, another) = (Pki::new(Key::EcdsaP256), Pki::new(Key::EcdsaP256));
    let stranger = Pki {
        client: another.client,
        ..ours.clone()
    };
    let cases = [
        Case::new(
            V4,
            Credentials::client_psk("another secret"),
            Credentials::gateway_psk(SECRET),
        ),
        Case::new(
            V4,
            Credentials::client(&stranger),
            Credentials::gateway(&ours),
        ),
    ];
    for case in cases {
        let (lab, _gateway, client) = case.start();
        let recording = Recording::start(&lab);
        client.initiate().unwrap_err();
        let recorded = recording.stop();
        assert_verdict(&recorded.of_client(), "authentication-failed", &[13801]);
        assert_verdict(&recorded.of_both(), "authentication-failed", &[13801]);
    }
}

/// strongSwan says so in an exchange of its own; Windows falls silent.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_client_refuses_the_gateway() {
    let (ours, another) = (Pki::new(Key::EcdsaP256), Pki::new(Key::EcdsaP256));
    let distrusting = Pki {
        root: another.root,
        ..ours.clone()
    };
    let case = Case::new(
        V4,
        Credentials::client(&distrusting),
        Credentials::gateway(&ours),
    );
    let (lab, _gateway, client) = case.start();
    let recording = Recording::start(&lab);
    client.initiate().unwrap_err();
    let recorded = recording.stop();
    assert_verdict(&recorded.of_client(), "certificate-not-accepted", &[13801]);
    assert_verdict(&recorded.of_both(), "certificate-not-accepted", &[13801]);

    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let recording = Recording::start(&fleet.lab);
    // Silence tells something only where there is traffic of somebody.
    fleet.lab.client.run(|| {
        let socket = UdpSocket::bind((V4.client, 0)).unwrap();
        let esp = [7; 64];
        socket.send_to(&esp, (V4.gateway, NAT_T_PORT)).unwrap();
    });
    // It tries anew, as people do.
    for _ in 0..2 {
        let mut client = fleet.client(windows_dh2048(), fleet.kim());
        client.init().unwrap();
        client.auth_in_vain(1);
    }
    let recorded = recording.stop();
    let report = recorded.of_client();
    assert_eq!(
        verdicts(&report)[0],
        "certificate-not-accepted",
        "{report:#}"
    );
}

/// Windows without a certificate: a new attempt, and never an IKE_AUTH.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_client_has_nothing_to_show() {
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let recording = Recording::start(&fleet.lab);
    for _ in 0..2 {
        let mut client = fleet.client(windows_dh2048(), fleet.machine());
        client.init().unwrap();
    }
    let recorded = recording.stop();
    let report = recorded.of_both();
    assert_eq!(verdicts(&report)[0], "no-auth-request", "{report:#}");
    assert_eq!(report["attempts"][0]["verdict"]["windows"][0], 13806);
}

/// As RRAS does beyond some ten connections of one address.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn one_source_is_limited() {
    const PATH: Path = Path {
        rules: "iifname \"client\" udp dport 500 limit rate over 1/hour burst 4 packets drop\n",
        ..Path::FRAGMENTS_DROPPED
    };
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &PATH);
    let recording = Recording::start(&fleet.lab);
    // Behind one NAT, each with ports of its own, and all at a time.
    let client = || {
        let (network, user) = (&fleet.lab.client, fleet.machine());
        Emulator::new(network, V4, Ports::Any, windows_dh2048(), user)
    };
    let mut connected: Vec<Emulator> = (0..4).map(|_| client()).collect();
    for client in &mut connected {
        client.connect().unwrap();
        client.liveness();
        client.liveness();
    }
    let mut refused: Vec<Emulator> = (0..4).map(|_| client()).collect();
    for _ in 0..3 {
        refused.iter_mut().for_each(Emulator::knock);
    }
    let recorded = recording.stop();
    let report = recorded.of_client();
    let expected = [[""; 4], ["per-source-limit"; 4]].concat();
    assert_eq!(verdicts(&report), expected, "{report:#}");
    let first: &Value = &report["attempts"][0];
    assert_eq!(first["outcome"], "established");
}
