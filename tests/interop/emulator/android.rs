//! Android's own client, and strongSwan's app.

use harness::{
    emulator::{android, strongswan_app},
    lab::Path,
    pki::{CLIENT, Key},
};

use super::Fleet;

/// Octets of a fragment with AES-GCM: a datagram of 1,280 with IPv4, UDP and the marker.
const FRAGMENT: usize = 1280 - 20 - 8 - 4;

/// It begins with 4096-bit MODP and is asked for another group.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn android_retries_with_the_group_that_is_asked_for() {
    for key in [Key::EcdsaP256, Key::Rsa4096] {
        let fleet = Fleet::new(&[key], "", &Path::FRAGMENTS_DROPPED);
        fleet.live(android(), fleet.known("kim@lab.test"), None);
        fleet.live(android(), fleet.guest("kim@lab.test"), None);
        fleet.live(android(), fleet.holder(CLIENT), Some(FRAGMENT));
        let stats = |name| fleet.gateway.count(|stats| &stats.engine, name);
        assert_eq!(stats("invalid_ke_sent"), 3);
        fleet.stop();
    }
}

/// It names the authorities of the whole system.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn strongswans_app_pretends_that_there_is_a_nat() {
    let fleet = Fleet::new(&[Key::Rsa4096], "", &Path::FRAGMENTS_DROPPED);
    fleet.live(strongswan_app(), fleet.known("kim"), Some(FRAGMENT));
    let line = fleet.gateway.line("IKE SA established");
    assert!(line.contains("nat_remote=true"), "{line}");
    fleet.live(strongswan_app(), fleet.holder(CLIENT), Some(FRAGMENT));
    fleet.stop();
}
