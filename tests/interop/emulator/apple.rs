//! iOS and macOS.

use harness::{
    emulator::{
        Cipher, android, ios, macos, macos_14, strongswan_app, windows_custom, windows_dh2048,
    },
    lab::Path,
    pki::{CLIENT, Key},
};
use ikexdp_proto::{crypto::kex::Group, wire::iana::AuthMethod};

use super::{COMPATIBLE, Fleet};

/// Octets of a fragment, with AES-CBC and SHA2-256, and with AES-GCM.
const FRAGMENT_CBC: usize = 532;
const FRAGMENT_GCM: usize = 540;

/// A gateway for Windows, iPhones and Android: a certificate for ECDSA, and one for RSA.
const MIXED: &str = "algorithms = \"compatible\"\n[ike]\nrsa-sha1 = true";

/// The first group that it tries is not the one that we like best. It takes no certificate for ECDSA.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn ios_set_up_by_hand() {
    let keys = [Key::EcdsaP256, Key::Rsa2048];
    let fleet = Fleet::new(&keys, MIXED, &Path::FRAGMENTS_DROPPED);
    let mut client = fleet.client(ios(), fleet.known("kim@lab.test"));
    client.connect().unwrap();
    assert_eq!(client.methods()[1], AuthMethod::RSA_SHA1);
    client.disconnect();
    fleet.live(ios(), fleet.known("kim@lab.test"), None);
    fleet.live(ios(), fleet.guest("phone@lab.test"), None);
    fleet.live(ios(), fleet.holder(CLIENT), Some(FRAGMENT_CBC));
    let stats = |name| fleet.gateway.count(|stats| &stats.engine, name);
    assert_eq!(stats("invalid_ke_sent"), 4);
    fleet.stop();
}

/// Beside it, others see what they can verify, and no SHA-1.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_fleet_of_many_kinds() {
    let keys = [Key::EcdsaP256, Key::Rsa2048];
    let fleet = Fleet::new(&keys, MIXED, &Path::FRAGMENTS_DROPPED);
    let (old, new) = (AuthMethod::ECDSA_256, AuthMethod::DIGITAL_SIGNATURE);
    for (profile, method) in [
        (windows_dh2048(), old),
        (windows_custom(Cipher::Aes256, Group::Ecp384), old),
        (macos(), old),
        (macos().without_certreq(), old),
        (android(), new),
        (strongswan_app(), new),
    ] {
        let name = profile.name;
        let mut client = fleet.client(profile, fleet.known("kim@lab.test"));
        client
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(client.methods()[1], method, "{name}");
        client.disconnect();
    }
    fleet.stop();
}

/// A profile that does not name the issuer of the gateway's certificate has no CERTREQ sent.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn macos_wants_a_certificate_that_it_does_not_ask_for() {
    let fleet = Fleet::new(&[Key::EcdsaP256], COMPATIBLE, &Path::FRAGMENTS_DROPPED);
    let profile = || macos().without_certreq();
    let mut client = fleet.client(profile(), fleet.holder(CLIENT));
    client.connect().unwrap();
    assert_eq!(client.methods(), [AuthMethod::ECDSA_256; 2]);
    client.disconnect();
    fleet.live(profile(), fleet.holder(CLIENT), Some(FRAGMENT_GCM));
    fleet.live(profile(), fleet.known("kim@lab.test"), None);
    fleet.stop();
}

/// macOS 14 replaces an IKE SA by the proposal that was chosen for the first, with the number that it
/// had there: libreswan, which wants proposals to begin with 1, drops the connection after 48 minutes.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn macos_14_numbers_its_proposals_as_before() {
    let lines = "algorithms = \"compatible\"\n[ike]\nencryption = [\"aes256-cbc\"]";
    let fleet = Fleet::new(&[Key::EcdsaP256], lines, &Path::FRAGMENTS_DROPPED);
    let mut client = fleet.client(macos_14(), fleet.holder(CLIENT));
    client.connect().unwrap();
    assert_eq!(client.chosen(), Some(3));
    client.rekey_ike().unwrap();
    client.disconnect();
    fleet.live(macos_14(), fleet.holder(CLIENT), Some(FRAGMENT_CBC));
    fleet.stop();
}
