//! iOS and macOS.

use harness::{
    emulator::{ios, macos, macos_14},
    lab::Path,
    pki::{CLIENT, Key},
};
use ikexdp_proto::wire::iana::AuthMethod;

use super::{COMPATIBLE, Fleet, MIXED};

/// Octets of a fragment, with AES-CBC and SHA2-256, and with AES-GCM.
const FRAGMENT_CBC: usize = 532;
const FRAGMENT_GCM: usize = 540;

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
