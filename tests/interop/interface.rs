//! The interface changes under the daemon.

use harness::{gateway::Gateway, lab::V4};
use ikexdp::view::XdpStatus;

use crate::case::Case;

fn xdp(gateway: &Gateway) -> XdpStatus {
    gateway.status().xdp.unwrap()
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_interface_that_is_down_or_gone_is_told_apart() {
    let (lab, gateway, client) = Case::psk(V4).start();
    lab.gateway.exec("ip link set eth0 down");
    gateway.wait_for_line("interface is down: eth0");
    lab.gateway.exec("ip link set eth0 up");
    gateway.wait_for_line("XDP takes IKE again");
    lab.gateway.exec("ip route add default via 198.51.100.1");
    client.initiate().unwrap();
    assert_eq!(xdp(&gateway).trouble, None);

    lab.gateway.exec("ip link delete eth0");
    gateway.wait_for_line("interface is gone: eth0");
    // One of the same name is another one.
    lab.gateway.exec("ip link add eth0 type bridge");
    lab.gateway.exec("ip link set eth0 up");
    let trouble = xdp(&gateway).trouble.unwrap();
    assert!(trouble.contains("interface is gone"), "{trouble}");
}
