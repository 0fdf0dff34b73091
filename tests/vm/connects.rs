//! The daemon, over XDP in the driver, and clients whose kernel has ESP.

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup},
    lab::Lab,
    libreswan::Libreswan,
    xfrm,
};

use crate::{
    IKEXDP,
    tunnel::{Tunnel, lab},
};

#[test]
#[ignore = "needs ESP in the kernel"]
fn strongswan_installs_what_was_agreed() {
    in_every_tunnel(|tunnel, lab, gateway| {
        let client = tunnel.client(lab);
        client.initiate().expect("the client connects");
        tunnel.is_installed(lab, gateway);
        let addresses = &gateway.sas()[0].addresses;
        assert_eq!(*addresses, client.sas()[0].virtual_ips);
        client.stop();
    });
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn libreswan_installs_what_was_agreed() {
    in_every_tunnel(|tunnel, lab, gateway| {
        let client = Libreswan::start(&lab.client, tunnel.ends);
        client.wait_until_established();
        tunnel.is_installed(lab, gateway);
        client.stop();
    });
}

/// Has clients connect to one daemon, one after the other; each leaves nothing when it ends.
fn in_every_tunnel(client: impl Fn(Tunnel, &Lab, &Gateway)) {
    let lab = lab();
    let setup = Setup::new(Credentials::gateway_psk(SECRET));
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        client(tunnel, &lab, &gateway);
        assert_eq!((gateway.sas(), xfrm::states(&lab.client)), (vec![], vec![]));
    }
    let handled = |name| gateway.count(|stats| &stats.daemon, name);
    assert!(handled("frame_replied") > 0 && handled("udp_received") == 0);
}
