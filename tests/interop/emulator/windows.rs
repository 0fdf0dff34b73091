//! Windows.

use std::net::IpAddr;

use harness::{
    emulator::{Cipher, Proof, User, windows, windows_custom, windows_dh2048},
    lab::{Path, V4},
    pki::Key,
};
use ikexdp_proto::{
    crypto::kex::Group,
    wire::iana::{AuthMethod, ExchangeType, NotifyType},
};

use super::{COMPATIBLE, Fleet};

/// Octets of a fragment, with AES-CBC and SHA2-256 or SHA2-384.
const FRAGMENT_SHA256: usize = 580;
const FRAGMENT_SHA384: usize = 588;

/// For Windows as it comes.
const LEGACY: &str = "algorithms = \"legacy-windows\"";

fn fleet(key: Key) -> Fleet {
    Fleet::new(&[key], COMPATIBLE, &Path::FRAGMENTS_DROPPED)
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_2048_bits() {
    let fleet = fleet(Key::EcdsaP256);
    for user in [fleet.kim(), fleet.machine()] {
        fleet.live(windows_dh2048(), user, Some(FRAGMENT_SHA256));
    }
    fleet.stop();
}

/// Without a policy it offers nothing but SHA-1 for ESP, whatever its registry says of IKE.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_without_a_policy_needs_sha1_for_esp() {
    let fleet = fleet(Key::EcdsaP256);
    let mut client = fleet.client(windows_dh2048(), fleet.guest("kim@lab.test"));
    assert_eq!(client.connect(), Err(NotifyType::NO_PROPOSAL_CHOSEN));
    let line = fleet.gateway.line("no common algorithms");
    for part in [
        "offered: aes256-cbc/sha1-96",
        "Set-VpnConnectionIPsecConfiguration",
    ] {
        assert!(line.contains(part), "{line}");
    }
    fleet.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_as_it_comes() {
    let fleet = Fleet::new(&[Key::EcdsaP256], LEGACY, &Path::FRAGMENTS_DROPPED);
    for user in [fleet.kim(), fleet.machine()] {
        fleet.live(windows(), user, Some(FRAGMENT_SHA256));
    }
    fleet.stop();
}

/// It is refused where 1024 bits are not taken, and the log says what to do.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_as_it_comes_hears_why_not() {
    let fleet = fleet(Key::EcdsaP256);
    let mut client = fleet.client(windows(), fleet.kim());
    assert_eq!(client.connect(), Err(NotifyType::NO_PROPOSAL_CHOSEN));
    let line = fleet.gateway.line("handshake failed");
    for part in ["modp1024", "Set-VpnConnectionIPsecConfiguration"] {
        assert!(line.contains(part), "{line}");
    }
    fleet.stop();
}

/// The first and only test with IP fragments, in both directions: it knows no others.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_before_1803() {
    let lines = "algorithms = \"legacy-windows\"\nip-fragments = true";
    let fleet = Fleet::new(&[Key::EcdsaP256], lines, &Path::default());
    let capture = fleet.lab.capture_router();
    let mut client = fleet.client(windows().before_1803(), fleet.machine());
    client.connect().unwrap();
    let [request] = client.auth_sent() else {
        panic!("it cannot fragment");
    };
    assert!(*request > 1500, "{request}");
    assert!(!fleet.sa().fragmentation.negotiated);
    let xdp = |name| fleet.gateway.count(|stats| &stats.xdp, name);
    assert_eq!(xdp("pass_first_fragment"), 1);
    assert_eq!(xdp("pass_fragment"), 1);
    client.rekey_child().unwrap();
    client.disconnect();
    assert_eq!(fleet.gateway.sas(), []);
    let datagrams = capture.stop();
    let theirs = datagrams.iter().filter(|it| it.source == V4.client);
    let mut theirs = theirs.peekable();
    assert!(theirs.peek().is_some());
    assert!(theirs.all(|datagram| !datagram.dont_fragment));
}

/// A policy of its own has one proposal, and a key exchange of its own whenever a CHILD SA is replaced.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_a_policy_of_its_own() {
    let fleet = fleet(Key::EcdsaP256);
    for (cipher, group) in [
        (Cipher::Aes128, Group::Ecp256),
        (Cipher::Aes256, Group::Ecp384),
    ] {
        for user in [fleet.kim(), fleet.machine()] {
            fleet.live(windows_custom(cipher, group), user, Some(FRAGMENT_SHA384));
        }
    }
    fleet.stop();
}

/// Methods 9 and 10, on both sides: Windows does not know RFC 7427.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_ecdsa() {
    for (key, method) in [
        (Key::EcdsaP256, AuthMethod::ECDSA_256),
        (Key::EcdsaP384, AuthMethod::ECDSA_384),
    ] {
        let fleet = fleet(key);
        let profile = windows_custom(Cipher::Aes256, Group::Ecp384);
        let mut client = fleet.client(profile, fleet.machine());
        client.connect().unwrap();
        assert_eq!(client.methods(), [method; 2]);
        client.disconnect();
        fleet.stop();
    }
}

/// With a certificate for RSA it has nothing but SHA-1, and verifies nothing else.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_rsa() {
    for key in [Key::Rsa2048, Key::Rsa4096] {
        let fleet = Fleet::new(&[key], LEGACY, &Path::FRAGMENTS_DROPPED);
        let mut client = fleet.client(windows(), fleet.machine());
        client.connect().unwrap();
        assert_eq!(client.methods(), [AuthMethod::RSA_SHA1; 2]);
        client.disconnect();
        for user in [fleet.kim(), fleet.machine()] {
            fleet.live(windows(), user, Some(FRAGMENT_SHA256));
        }
        fleet.stop();
    }
}

/// Where SHA-1 is not allowed, it is refused, and the log says what to do.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_rsa_hears_why_not() {
    let fleet = fleet(Key::Rsa2048);
    for user in [fleet.kim(), fleet.machine()] {
        let mut client = fleet.client(windows_dh2048(), user);
        assert_eq!(client.connect(), Err(NotifyType::AUTHENTICATION_FAILED));
    }
    let line = fleet.gateway.line("handshake failed");
    assert!(line.contains("rsa-sha1"), "{line}");
    fleet.stop();
}

/// The name as people type it; a wrong password, which it does not say twice; and the password after
/// that.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_a_domain_and_a_password() {
    let fleet = fleet(Key::EcdsaP256);
    let profile = || windows_custom(Cipher::Aes256, Group::Ecp384);
    let user = |name: &str, password: &str| User {
        proof: Proof::Password {
            name: name.to_owned(),
            password: password.to_owned(),
        },
        ..fleet.kim()
    };
    let mut client = fleet.client(profile(), user("LAB\\kim", "passwort"));
    assert_eq!(client.connect(), Err(NotifyType::AUTHENTICATION_FAILED));
    fleet.gateway.wait_for_line("wrong password");
    drop(client);
    let mut client = fleet.client(profile(), user("LAB\\kim", "password"));
    client.connect().unwrap();
    assert_eq!(fleet.sa().identity.as_deref(), Some("kim"));
    client.disconnect();
    fleet.stop();
}

/// It asks for the IPv6 address that it had, and for any IPv4 address.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_comes_back() {
    let fleet = fleet(Key::EcdsaP256);
    let profile = || windows_custom(Cipher::Aes128, Group::Ecp256);
    let mut client = fleet.client(profile(), fleet.machine());
    client.connect().unwrap();
    let addresses = client.granted.addresses.clone();
    client.disconnect();
    let mut client = fleet.client(profile(), fleet.machine());
    client.previous = addresses.iter().copied().find(IpAddr::is_ipv6);
    assert!(client.previous.is_some());
    client.connect().unwrap();
    assert_eq!(client.granted.addresses, addresses);
    client.disconnect();
    fleet.stop();
}

/// Every root in the store of a machine is named: a request of 29 fragments was seen.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_with_hundreds_of_roots() {
    let fleet = fleet(Key::EcdsaP256);
    let mut profile = windows_dh2048();
    profile.authorities = 680;
    let mut client = fleet.client(profile, fleet.kim());
    client.connect().unwrap();
    assert_eq!(client.auth_sent().len(), 29);
    assert!(client.auth_sent()[..28].iter().all(|octets| *octets == 580));
    client.disconnect();
    fleet.stop();
}

/// Behind a NAT it refuses to have a CHILD SA replaced by somebody else, in its own words, and goes on
/// with the one it has.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn windows_refuses_to_be_rekeyed() {
    let fleet = fleet(Key::EcdsaP256);
    let profile = windows_custom(Cipher::Aes128, Group::Ecp256);
    let mut client = fleet.client(profile, fleet.machine());
    client.connect().unwrap();
    let before = fleet.sa();
    fleet.gateway.ask(&["rekey", &before.id.to_string()]);
    client.serve();
    let (exchange, _) = client.asked()[0];
    assert_eq!(exchange, ExchangeType::CREATE_CHILD_SA);
    let line = fleet.gateway.line("13863");
    assert!(line.contains("NAT"), "{line}");
    client.liveness();
    client.rekey_child().unwrap();
    assert_eq!(fleet.sa().id, before.id);
    client.disconnect();
    fleet.stop();
}
