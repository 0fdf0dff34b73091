//! What connects, over XDP, and lives on.

use harness::{
    lab::{V4, V6},
    pki::Key,
};

use crate::case::Case;

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_secret_connects() {
    for ends in [V4, V6] {
        let (_lab, gateway, client) = Case::psk(ends).start();
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
    }
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn rsa4096_connects() {
    for ends in [V4, V6] {
        let (_lab, gateway, client) = Case::certificates(ends, Key::Rsa4096).start();
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
        gateway.stop();
    }
}
