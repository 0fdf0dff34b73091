//! All clients, one after the other, in all circumstances.

use std::thread;

use harness::{
    emulator::{Emulator, Ports, windows},
    lab::{Path, V4, V6},
    pki::Key,
};
use ikexdp_proto::wire::iana::{AuthMethod, ExchangeType};

use super::{Fleet, MIXED};

const KEYS: [Key; 2] = [Key::EcdsaP256, Key::Rsa2048];

/// What one of them takes, all get from the same gateway: each the certificate that it can verify, and
/// nobody SHA-1 who has something better.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_fleet_of_many_kinds() {
    let fleet = Fleet::new(&KEYS, MIXED, &Path::FRAGMENTS_DROPPED);
    let everybody = Fleet::everybody().into_iter();
    // As it comes, Windows has nothing but SHA-1.
    for profile in everybody.filter(|profile| profile.client.name != windows().client.name) {
        let name = profile.client.name;
        let method = match name {
            "Android's own client" | "strongSwan's app" => AuthMethod::DIGITAL_SIGNATURE,
            // The one takes nothing else, and looks like it to the other.
            "iOS set up by hand" | "macOS 14" => AuthMethod::RSA_SHA1,
            _ => AuthMethod::ECDSA_256,
        };
        let mut client = fleet.client(profile, fleet.known("kim@lab.test"));
        client
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(client.methods()[1], method, "{name}");
        client.disconnect();
    }
    fleet.stop();
}

/// Behind a NAT, with a cookie to return, and until the gateway ends it.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn everybody_behind_a_nat() {
    let lines = "algorithms = \"legacy-windows\"\ncookie-threshold = 0";
    let path = Path {
        nat: true,
        ..Path::FRAGMENTS_DROPPED
    };
    let fleet = Fleet::new(&KEYS, lines, &path);
    for (profile, number) in Fleet::everybody().into_iter().zip(1..) {
        let name = profile.client.name;
        let mut client = fleet.client(profile, fleet.known("kim@lab.test"));
        client
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let sa = fleet.sa();
        assert_ne!(sa.remote.ip(), V4.client, "{name}");
        assert_eq!(sa.local.port(), 4500, "{name}");
        let cookies = fleet.gateway.count(|stats| &stats.xdp, "reply_cookie");
        assert!(cookies >= number, "{name}");
        client.rekey_child().unwrap();
        // Whoever orders an end waits for it.
        thread::scope(|scope| {
            scope.spawn(|| fleet.gateway.terminate(sa.id));
            client.serve();
        });
        let (exchange, asked) = &client.asked()[0];
        assert_eq!(*exchange, ExchangeType::INFORMATIONAL, "{name}");
        assert!(!asked.is_empty(), "{name}: a deletion");
        assert_eq!(fleet.gateway.sas(), [], "{name}");
    }
    fleet.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn everybody_over_ipv6() {
    let lines = "algorithms = \"legacy-windows\"";
    let fleet = Fleet::new(&KEYS, lines, &Path::FRAGMENTS_DROPPED);
    for profile in Fleet::everybody() {
        let name = profile.client.name;
        let user = fleet.known("kim@lab.test");
        let mut client = Emulator::new(&fleet.lab.client, V6, Ports::Own, profile, user);
        client
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        client.liveness();
        client.rekey_ike().unwrap();
        client.disconnect();
    }
    fleet.stop();
}

/// What arrives of one try counts together with what arrives of the next, in both directions.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_long_request_on_a_bad_path() {
    let path = Path {
        loss_percent: 10,
        ..Path::FRAGMENTS_DROPPED
    };
    let fleet = Fleet::new(&[Key::Rsa4096], "algorithms = \"legacy-windows\"", &path);
    let mut client = fleet.client(windows(), fleet.machine());
    client.connect().unwrap();
    assert!(client.auth_sent().len() > 9);
    fleet.stop();
}
