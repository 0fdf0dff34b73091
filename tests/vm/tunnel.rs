//! A client, the gateway and a network behind it, and how ESP gets from one to the other.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use harness::{
    credentials::{Credentials, SECRET},
    datagram::{Datagram, Encapsulation, timeline},
    gateway::Gateway,
    lab::{Ends, Lab, NAMES, Path, V4, V6, address},
    strongswan::{Esp, Settings, Strongswan},
    traffic::{ping, transfer},
    xfrm,
};

/// Addresses in the network behind the gateway.
pub(crate) const INSIDE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 8, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 8, 0, 0, 0, 0, 1)),
];

/// The lab, with a network behind the gateway.
///
/// It takes seconds to build here: a test has one, for all its tunnels.
pub(crate) fn lab() -> Lab {
    let lab = Lab::new();
    address(&lab.gateway, "lo", &["10.8.0.1/32", "2001:db8:8::1/128"]);
    lab
}

/// A kind of tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tunnel {
    pub(crate) ends: Ends,
    pub(crate) encapsulation: Encapsulation,
}

impl Tunnel {
    pub(crate) const ALL: [Self; 4] = [
        Self::new(V4, Encapsulation::None),
        Self::new(V4, Encapsulation::Udp),
        Self::new(V6, Encapsulation::None),
        Self::new(V6, Encapsulation::Udp),
    ];

    const fn new(ends: Ends, encapsulation: Encapsulation) -> Self {
        Self {
            ends,
            encapsulation,
        }
    }

    /// Makes the path one that needs this kind of tunnel: both ends encapsulate where there is a NAT.
    pub(crate) fn set_path(self, lab: &Lab) {
        lab.set_path(&Path {
            nat: self.encapsulation == Encapsulation::Udp,
            ..Path::FRAGMENTS_DROPPED
        });
    }

    /// A client that has not connected, with addresses of both families.
    pub(crate) fn client(self, lab: &Lab) -> Strongswan {
        let Ends { client, gateway } = self.ends;
        let settings = Settings {
            esp: Esp::Kernel,
            virtual_ips: vec![[0; 4].into(), [0; 16].into()],
            ..Settings::initiator(client, gateway, Credentials::client_psk(SECRET))
        };
        Strongswan::start(&lab.client, settings)
    }

    /// Checks that the client's kernel has what it agreed on with the gateway, in this kind of tunnel.
    pub(crate) fn is_installed(self, lab: &Lab, gateway: &Gateway) {
        let [sa] = gateway.sas().try_into().expect("one IKE SA");
        let [child] = sa.children.try_into().expect("one CHILD SA");
        let states = xfrm::states(&lab.client);
        let spis: BTreeSet<_> = states
            .iter()
            .map(|state| format!("{:08x}", state.spi))
            .collect();
        assert_eq!(spis, [child.spi_in, child.spi_out].into());
        let in_udp = self.encapsulation == Encapsulation::Udp;
        assert!(
            states.iter().all(|state| state.in_udp == in_udp),
            "{states:?}"
        );
    }

    /// Checks that the tunnel carries what the client sends from the address `own`, which it has been
    /// given and has not set up by itself.
    pub(crate) fn pings_from(self, lab: &Lab, own: IpAddr) {
        let inside = INSIDE[usize::from(own.is_ipv6())];
        let length = if own.is_ipv4() { 32 } else { 128 };
        let client = &lab.client;
        address(client, "lo", &[&format!("{own}/{length}")]);
        let route = client.exec(&format!("ip route get {inside}"));
        let (_, way) = route.split_once(" via ").expect("by the router");
        let router = way.split_whitespace().next().expect("an address");
        client.exec(&format!(
            "ip route add {inside} via {router} dev eth0 src {own}"
        ));
        assert_eq!(ping(client, inside, 5), 0, "from {own} to {inside}");
        let states = xfrm::states(client);
        assert!(states.iter().all(|state| state.packets == 5), "{states:?}");
        client.exec(&format!("ip route delete {inside}"));
        client.exec(&format!("ip address delete {own}/{length} dev lo"));
    }

    /// Checks that the tunnel carries 100 MB, in the family that it runs over.
    pub(crate) fn carries_much(self, lab: &Lab) {
        let inside = INSIDE[usize::from(self.ends == V6)];
        transfer(&lab.client, (&lab.gateway, inside), 100_000_000);
    }

    /// Checks that the tunnel carries both families in both directions, and that nothing of it
    /// passes the router in clear.
    pub(crate) fn carries_traffic(self, lab: &Lab, client: &Strongswan) {
        const LENGTH: u64 = 1_000_000;
        let capture = lab.capture_router();
        let addresses = client.sas()[0].virtual_ips.clone();
        for (inside, own) in INSIDE.into_iter().zip(addresses) {
            assert_eq!(ping(&lab.client, inside, 5), 0, "to {inside}");
            transfer(&lab.client, (&lab.gateway, inside), LENGTH);
            transfer(&lab.gateway, (&lab.client, own), LENGTH);
        }
        let datagrams = capture.stop();
        let clear = |it: &&Datagram| {
            INSIDE
                .iter()
                .any(|inside| [it.source, it.destination].contains(inside))
        };
        let clear: Vec<_> = datagrams.iter().filter(clear).cloned().collect();
        assert!(clear.is_empty(), "in clear:\n{}", timeline(&clear, &NAMES));
        let mut esp = datagrams.iter().filter_map(Datagram::esp).peekable();
        assert!(esp.peek().is_some(), "no ESP on the wire");
        assert!(esp.all(|encapsulation| encapsulation == self.encapsulation));
    }
}
