//! What is not IKE for us reaches whoever it would have reached without us.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;

use harness::namespace::Namespace;
use harness::packet::{ike_sa_init, marked};
use ikexdp::xdp::{LocalAddresses, Mode};
use ikexdp_common::verdict::Verdict;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::gateway::Gateway;
use crate::in_both_modes;
use crate::wire::{PATIENCE, V4, V6, Wire, receive, socket, socket_here};

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn the_kernel_gets_the_rest() {
    in_both_modes(|mode, peer| {
        let gateway = Gateway::attach(mode);
        let esp = vec![0xc0; 200];
        // Three fragments each.
        let long = ike_sa_init(4000);
        let marked_long = marked(4000);
        for ends in [V4, V6] {
            let peer = socket(peer, ends.peer, 0);
            for (port, payload) in [(500, &long), (4500, &esp), (4500, &marked_long), (53, &esp)] {
                let kernel = socket_here(ends.gateway, port);
                peer.send_to(payload, (ends.gateway, port)).unwrap();
                assert_eq!(
                    receive(&kernel),
                    (payload.clone(), peer.local_addr().unwrap())
                );
                // And the way back is as free.
                kernel.send_to(payload, peer.local_addr().unwrap()).unwrap();
                assert_eq!(receive(&peer).0, *payload);
            }
        }
        for (verdict, count) in [
            (Verdict::PassEsp, 2),
            (Verdict::PassOtherPort, 2),
            (Verdict::PassFirstFragment, 4),
            (Verdict::PassFragment, 8),
            (Verdict::RedirectIke, 0),
            (Verdict::RedirectIkeNat, 0),
        ] {
            assert_eq!(gateway.count(verdict), count, "{verdict:?}");
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn a_keepalive_ends_here() {
    in_both_modes(|mode, peer| {
        let gateway = Gateway::attach(mode);
        let kernel = socket_here(V4.gateway, 4500);
        let peer = socket(peer, V4.peer, 0);
        peer.send_to(&[0xff], (V4.gateway, 4500)).unwrap();
        peer.send_to(&[0xc0; 9], (V4.gateway, 4500)).unwrap();
        // The second comes first, so the first does not come.
        assert_eq!(receive(&kernel).0, [0xc0; 9]);
        assert_eq!(gateway.count(Verdict::DropKeepalive), 1);
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn transit_is_forwarded() {
    for mode in Mode::ALL {
        let Wire { gateway, peer } = Wire::new();
        let inside = behind(&gateway, &peer);
        gateway.run(move || {
            let gateway = Gateway::attach(mode);
            for (from, to) in [
                (V4.peer, IpAddr::from([10, 0, 0, 2])),
                (V6.peer, IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2])),
            ] {
                for (port, payload) in [(500, ike_sa_init(300)), (4500, marked(300))] {
                    let peer = socket(&peer, from, port);
                    let server = socket(&inside, to, port);
                    peer.send_to(&payload, (to, port)).unwrap();
                    assert_eq!(receive(&server), (payload.clone(), (from, port).into()));
                    server.send_to(&payload, (from, port)).unwrap();
                    assert_eq!(receive(&peer), (payload, (to, port).into()));
                }
            }
            assert_eq!(gateway.count(Verdict::PassTransit), 4);
        });
    }
}

/// A third machine, to which the gateway forwards.
fn behind(gateway: &Namespace, peer: &Namespace) -> Namespace {
    let inside = Namespace::new("inside");
    gateway.exec(&format!(
        "ip link add lan type veth peer name lan netns {}",
        inside.network().display()
    ));
    for (namespace, of) in [(gateway, 1), (&inside, 2)] {
        namespace.exec(&format!("ip address add 10.0.0.{of}/24 dev lan"));
        namespace.exec(&format!("ip address add fd00::{of}/64 dev lan"));
        namespace.exec("ip link set lan up");
    }
    gateway.write("/proc/sys/net/ipv4/ip_forward", "1");
    gateway.write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    inside.exec("ip route add 192.0.2.0/24 via 10.0.0.1");
    inside.exec("ip route add 2001:db8::/64 via fd00::1");
    peer.exec("ip route add 10.0.0.0/24 via 192.0.2.1");
    peer.exec("ip route add fd00::/64 via 2001:db8::1");
    inside
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn an_address_is_ours_while_it_is_there() {
    in_both_modes(|mode, peer| {
        let mut gateway = Gateway::attach(mode);
        for (ends, new) in [
            (V4, IpAddr::from([192, 0, 2, 99])),
            (V6, IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99])),
        ] {
            let peer = socket(peer, ends.peer, 0);
            assert!(!gateway.addresses.addresses().contains(&new));
            address("add", new);
            refresh(&mut gateway);
            assert!(gateway.addresses.addresses().contains(&new));
            peer.send_to(&ike_sa_init(100), (new, 500)).unwrap();
            gateway.echo(1);
            assert_eq!(receive(&peer), (ike_sa_init(100), (new, 500).into()));

            address("delete", new);
            refresh(&mut gateway);
            assert!(!gateway.addresses.addresses().contains(&new));
            let transit = gateway.count(Verdict::PassTransit);
            peer.send_to(&ike_sa_init(100), (new, 500)).unwrap();
            // The peer knows the way still, and what it sends next comes later.
            peer.send_to(&ike_sa_init(100), (ends.gateway, 500))
                .unwrap();
            gateway.echo(1);
            assert_eq!(gateway.count(Verdict::PassTransit), transit + 1);
        }
    });
}

#[test]
#[ignore = "needs CAP_NET_ADMIN"]
fn more_news_than_the_socket_holds_is_not_lost() {
    let Wire {
        gateway,
        peer: _peer,
    } = Wire::new();
    let new: Vec<IpAddr> = (0..2000_u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            IpAddr::from([10, 1, high, low])
        })
        .collect();
    let commands: String = new
        .iter()
        .map(|address| format!("address add {address}/32 dev wan\n"))
        .collect();
    gateway.write("/run/addresses", commands);
    gateway.run(move || {
        let mut addresses = LocalAddresses::watch().unwrap();
        let status = Command::new("ip")
            .args(["-batch", "/run/addresses"])
            .status();
        assert!(status.unwrap().success());
        assert!(addresses.refresh().unwrap());
        assert!(
            new.iter()
                .all(|address| addresses.addresses().contains(address))
        );
        assert!(!addresses.refresh().unwrap(), "no news, no change");
    });
}

/// Adds or deletes an address of the gateway.
fn address(verb: &str, address: IpAddr) {
    let length = if address.is_ipv4() { 32 } else { 128 };
    let status = Command::new("ip")
        .args([
            "address",
            verb,
            &format!("{address}/{length}"),
            "dev",
            "wan",
        ])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits for the kernel's word of a change, and takes it in.
fn refresh(gateway: &mut Gateway) {
    let timeout = PollTimeout::try_from(PATIENCE).unwrap();
    loop {
        let fd = PollFd::new(gateway.addresses.as_fd(), PollFlags::POLLIN);
        assert_eq!(
            poll(&mut [fd], timeout).unwrap(),
            1,
            "no word of an address"
        );
        // The first word of an IPv6 address is that it is tentative.
        if gateway.addresses.refresh().unwrap() {
            break;
        }
    }
    gateway
        .program
        .set_addresses(gateway.addresses.addresses())
        .unwrap();
}
