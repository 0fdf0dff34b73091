//! The daemon as a service of systemd.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use harness::{
    gateway::{Setup, Transport},
    lab::{Lab, V4},
    strongswan::Strongswan,
    systemd::{ADDRESSES, CAPABILITIES, Systemd},
};

use crate::{IKEXDP, case::Case};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn four_capabilities_are_enough() {
    for transport in [Transport::Native, Transport::Generic, Transport::Udp] {
        let lab = Lab::new();
        let case = Case::psk(V4);
        let setup = Setup {
            transport,
            ..case.gateway
        };
        let systemd = Systemd::new(&lab.gateway);
        let gateway = systemd.launch(IKEXDP, &setup, &ADDRESSES, None);
        gateway.wait_for_line("ready");
        let mask = CAPABILITIES
            .iter()
            .fold(0_u64, |mask, number| mask | 1 << number);
        let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let line = format!("{set}:\t{mask:016x}");
            assert!(status.contains(&line), "{line}: {status}");
        }

        let client = Strongswan::start(&lab.client, case.client);
        client.initiate().unwrap();
        assert_eq!(gateway.sas().len(), 1);
        gateway.stop();
    }
}

/// DHCP is asked and answered on a raw socket, beside whoever has the port.
#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn dhcp_takes_neither_a_capability_more_nor_the_port() {
    let lab = Lab::new();
    let server = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 67)).unwrap();
    let _server = lab.gateway.run(server);
    let setup = Setup {
        data_plane: "xfrm",
        pool: "gateway-addresses = [\"10.9.0.1\"]\ndhcp = true",
        ..Case::psk(V4).gateway
    };
    let systemd = Systemd::new(&lab.gateway);
    let gateway = systemd.launch(IKEXDP, &setup, &ADDRESSES, None);
    gateway.wait_for_line("DHCP is answered in tunnels");
    // 255.255.255.255, and UDP.
    let sockets = lab
        .gateway
        .run(|| fs::read_to_string("/proc/thread-self/net/raw"));
    let sockets = sockets.unwrap();
    assert!(sockets.contains(" FFFFFFFF:0011 "), "{sockets}");
    // Without it there is none.
    let (taken, said) = gateway.reload(&Setup { pool: "", ..setup });
    assert!(taken, "{said}");
    let sockets = lab
        .gateway
        .run(|| fs::read_to_string("/proc/thread-self/net/raw"));
    let sockets = sockets.unwrap();
    assert!(!sockets.contains(" FFFFFFFF:0011 "), "{sockets}");
    gateway.stop();
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn what_stands_in_the_way_of_traffic_is_said() {
    let lab = Lab::new();
    let set = |name, value| {
        let file = format!("/proc/sys/net/{name}");
        lab.gateway.write(file, value);
    };
    set("ipv4/conf/all/forwarding", "0");
    set("ipv6/conf/all/forwarding", "1");
    set("ipv4/conf/eth0/rp_filter", "1");
    let setup = Setup {
        data_plane: "xfrm",
        ..Case::psk(V4).gateway
    };
    let systemd = Systemd::new(&lab.gateway);
    let gateway = systemd.launch(IKEXDP, &setup, &ADDRESSES, None);
    gateway.wait_for_line("ready");
    for (text, hint) in [
        ("the kernel does not forward IPv4", "net.ipv4.ip_forward=1"),
        (
            "strict reverse path filter on eth0",
            "net.ipv4.conf.eth0.rp_filter=2",
        ),
    ] {
        let line = gateway.line(text);
        assert!(line.contains(hint), "{line}");
    }
    let log = gateway.log().entries().join("\n");
    assert!(!log.contains("does not forward IPv6"), "{log}");
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn systemd_hears_of_begin_life_and_end() {
    let lab = Lab::new();
    let systemd = Systemd::new(&lab.gateway);
    let watchdog = Some(Duration::from_millis(200));
    let gateway = systemd.launch(IKEXDP, &Case::psk(V4).gateway, &ADDRESSES, watchdog);
    assert_eq!(systemd.hear(), "READY=1\nSTATUS=xdp on eth0, native\n");
    for _ in 0..5 {
        assert_eq!(systemd.hear(), "WATCHDOG=1\n");
    }
    gateway.tell_to_end();
    let mut last = systemd.hear();
    while last == "WATCHDOG=1\n" {
        last = systemd.hear();
    }
    assert_eq!(last, "STOPPING=1\nSTATUS=telling peers\n");
    assert!(gateway.wait().success());
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_socket_that_is_not_for_ike_is_named() {
    let lab = Lab::new();
    let systemd = Systemd::new(&lab.gateway);
    let addresses = ["0.0.0.0:500", "0.0.0.0:4500", "0.0.0.0:501"];
    let setup = Setup {
        transport: Transport::Udp,
        ..Case::psk(V4).gateway
    };
    // The ports of IPv6 are left to the daemon, which may not bind the low one.
    let refused = systemd.launch(IKEXDP, &setup, &addresses, None);
    refused.wait_for_line("error: not allowed to bind UDP port 500; hint: ");
    assert_eq!(refused.wait().code(), Some(1));

    lab.gateway
        .write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "500");
    let refused = systemd.launch(IKEXDP, &setup, &addresses, None);
    refused.wait_for_line(
        "error: systemd handed over a socket that is not for IKE: 0.0.0.0:501; hint: ",
    );
    assert_eq!(refused.wait().code(), Some(1));
}
