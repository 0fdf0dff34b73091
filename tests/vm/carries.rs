//! The daemon, and what its kernel carries for it.

use harness::{
    credentials::{Credentials, SECRET},
    gateway::{Gateway, Setup},
    lab::Lab,
    libreswan::Libreswan,
    openiked::Openiked,
    xfrm,
};

use crate::{
    IKEXDP,
    tunnel::{Tunnel, lab},
};

/// Looks until the gateway's kernel has so many SAs, and no policies if none: the daemon answers a
/// client before its kernel has done everything.
pub(crate) fn wait_for_sas(lab: &Lab, count: usize) {
    const LOOKS: usize = 200;
    let settled = (0..LOOKS).any(|_| {
        let has_policies = !xfrm::policies(&lab.gateway).is_empty();
        xfrm::states(&lab.gateway).len() == count && has_policies == (count > 0)
    });
    assert!(settled, "{:?}", xfrm::states(&lab.gateway));
}

/// A daemon whose kernel has loaded everything: that takes seconds here, and clients are impatient.
fn start(lab: &Lab) -> Gateway {
    start_with(lab, "")
}

/// The same with further lines of `[gateway]`.
fn start_with(lab: &Lab, gateway: &'static str) -> Gateway {
    let setup = Setup {
        data_plane: "xfrm",
        gateway,
        tables: "[log]\nlevel = \"debug\"",
        ..Setup::new(Credentials::gateway_psk(SECRET))
    };
    let gateway = Gateway::start(IKEXDP, &lab.gateway, &setup);
    gateway.wait_for_line("the kernel has loaded what ESP takes");
    gateway
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_has_a_tunnel_until_it_goes() {
    let lab = lab();
    let gateway = start(&lab);
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let client = tunnel.client(&lab);
        client.initiate().expect("the client connects");
        tunnel.is_installed(&lab, &gateway);
        let [sa] = gateway.sas().try_into().expect("one IKE SA");
        assert_eq!(sa.addresses, client.sas()[0].virtual_ips);
        tunnel.carries_traffic(&lab, &client);
        // A megabyte each way, in either family.
        let child = &gateway.sas()[0].children[0];
        for usage in [child.received, child.sent] {
            let usage = usage.expect("the kernel tells");
            assert!(usage.octets > 2_000_000, "{tunnel:?}: {usage:?}");
            assert!(usage.packets > 1_000, "{tunnel:?}: {usage:?}");
        }
        client.stop();
        wait_for_sas(&lab, 0);
    }
    // All of IKE went by XDP in the driver.
    let handled = |name| gateway.count(|stats| &stats.daemon, name);
    assert!(handled("frame_replied") > 0 && handled("udp_received") == 0);
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_client_of_another_make_has_a_tunnel_until_it_goes() {
    let lab = lab();
    let gateway = start(&lab);
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let client = Libreswan::start(&lab.client, tunnel.ends);
        client.wait_until_established();
        tunnel.is_installed(&lab, &gateway);
        // Of those that it gets, it uses the first.
        tunnel.pings_from(&lab, gateway.sas()[0].addresses[0]);
        client.stop();
        wait_for_sas(&lab, 0);
        assert_eq!(xfrm::states(&lab.client), []);
    }
}

/// OpenIKED has no AES-GCM for ESP on Linux, and asks for traffic of the address that it is yet to be given by
/// the unspecified one.
#[test]
#[ignore = "needs ESP in the kernel"]
fn openiked_has_a_tunnel_until_it_goes() {
    let lab = lab();
    let gateway = start_with(&lab, "algorithms = \"compatible\"");
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let client = Openiked::start(&lab.client, tunnel.ends);
        client.wait_until_established();
        tunnel.is_installed(&lab, &gateway);
        tunnel.pings_from(&lab, gateway.sas()[0].addresses[0]);
        client.stop();
        wait_for_sas(&lab, 0);
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn a_tunnel_carries_much() {
    let lab = lab();
    // Under emulation a packet takes almost a millisecond, however long it is. XDP in the driver
    // takes no longer ones than these.
    lab.set_mtu(3400);
    let _gateway = start(&lab);
    for tunnel in Tunnel::ALL {
        tunnel.set_path(&lab);
        let client = tunnel.client(&lab);
        client.initiate().expect("the client connects");
        tunnel.carries_much(&lab);
        client.stop();
    }
}

#[test]
#[ignore = "needs ESP in the kernel"]
fn nothing_of_a_daemon_stays_in_the_kernel() {
    let tunnel = Tunnel::ALL[1];
    let lab = lab();
    tunnel.set_path(&lab);
    let gateway = start(&lab);
    let client = tunnel.client(&lab);
    client.initiate().expect("the client connects");
    wait_for_sas(&lab, 2);
    gateway.kill();
    assert_eq!(xfrm::states(&lab.gateway).len(), 2);
    drop(client);

    let gateway = start(&lab);
    assert_eq!(xfrm::states(&lab.gateway), []);
    assert_eq!(xfrm::policies(&lab.gateway), "");
    assert!(gateway.line("an earlier daemon left").contains("sas=2"));

    let client = tunnel.client(&lab);
    client.initiate().expect("the client connects again");
    wait_for_sas(&lab, 2);
    gateway.stop();
    assert_eq!(xfrm::states(&lab.gateway), []);
    assert_eq!(xfrm::policies(&lab.gateway), "");
}
