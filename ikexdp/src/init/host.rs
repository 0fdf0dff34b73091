//! What this host is connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::{Channel, NetlinkError};

/// Interfaces, addresses and routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Names by index.
    pub(super) interfaces: BTreeMap<u32, String>,
    /// Addresses with their interface and their network.
    pub(super) addresses: Vec<(u32, IpNet)>,
    /// Routes to unicast destinations.
    pub(super) routes: Vec<Route>,
}

/// A way to somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) destination: IpNet,
    /// The interface, of several the first.
    pub(super) interface: Option<u32>,
    /// The lowest is taken.
    pub(super) priority: u32,
}

impl Host {
    /// Asks the kernel.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn read() -> Result<Self, NetlinkError> {
        let mut channel = Channel::open(NETLINK_ROUTE)?;
        let mut host = Self::default();
        let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
        channel.dump(links, |answer| host.take(answer))?;
        let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        channel.dump(addresses, |answer| host.take(answer))?;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut question = RouteMessage::default();
            question.header.address_family = family;
            let routes = RouteNetlinkMessage::GetRoute(question);
            channel.dump(routes, |answer| host.take(answer))?;
        }
        Ok(host)
    }

    fn take(&mut self, answer: RouteNetlinkMessage) {
        match answer {
            RouteNetlinkMessage::NewLink(link) => {
                let index = link.header.index;
                for attribute in link.attributes {
                    if let LinkAttribute::IfName(name) = attribute {
                        self.interfaces.insert(index, name);
                    }
                }
            }
            RouteNetlinkMessage::NewAddress(message) => self.addresses.extend(address(&message)),
            RouteNetlinkMessage::NewRoute(message) => self.routes.extend(route(&message)),
            _ => {}
        }
    }

    /// The interface of the default route, of IPv4 if there is one.
    pub(super) fn default_interface(&self) -> Option<&str> {
        let defaults = self
            .routes
            .iter()
            .filter(|route| route.destination.prefix_len() == 0 && route.interface.is_some());
        let first = defaults.min_by_key(|it| (it.destination.addr().is_ipv6(), it.priority))?;
        self.interfaces.get(&first.interface?).map(String::as_str)
    }

    /// Whether there is an interface of this name.
    pub(super) fn has_interface(&self, name: &str) -> bool {
        self.interfaces.values().any(|it| it == name)
    }

    /// The address of an interface that most clients will reach: a public one before
    /// a private one, and IPv4 before IPv6 of the same sort.
    pub(super) fn address(&self, interface: &str) -> Option<IpAddr> {
        let is_its = |index: &u32| self.interfaces.get(index).is_some_and(|it| it == interface);
        let own = self.addresses.iter().filter(|(index, _)| is_its(index));
        let usable = own.map(|(_, net)| net.addr()).filter(|it| is_usable(*it));
        usable.min_by_key(|address| (!is_public(*address), address.is_ipv6()))
    }

    /// Whether it has IPv6 beyond its links.
    pub(super) fn has_ipv6(&self) -> bool {
        let mut addresses = self.addresses.iter().map(|(_, net)| net.addr());
        addresses.any(|address| address.is_ipv6() && is_usable(address))
    }

    /// A network that is in use here and has addresses in common with `net`.
    pub(super) fn collision(&self, net: &IpNet) -> Option<IpNet> {
        let overlap = |other: &IpNet| {
            // Everything has a default route.
            other.prefix_len() > 0 && (other.contains(net) || net.contains(other))
        };
        let routes = self.routes.iter().map(|route| route.destination);
        let addresses = self.addresses.iter().map(|(_, net)| net.trunc());
        routes.chain(addresses).find(overlap)
    }
}

/// Neither of this host alone nor of a link alone.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

/// Whether the Internet has a way to it, as far as the address tells.
pub(super) fn is_public(address: IpAddr) -> bool {
    /// RFC 6598.
    const SHARED: (u8, std::ops::RangeInclusive<u8>) = (100, 64..=127);
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == SHARED.0 && SHARED.1.contains(&second);
            is_usable(address.into()) && !address.is_private() && !is_shared
        }
        IpAddr::V6(address) => is_usable(address.into()) && !address.is_unique_local(),
    }
}

fn address(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let mut address = None;
    let mut local = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(value) => address = Some(*value),
            // On a point-to-point link `Address` is the peer's.
            AddressAttribute::Local(value) => local = Some(*value),
            _ => {}
        }
    }
    let net = IpNet::new(local.or(address)?, message.header.prefix_len).ok()?;
    Some((message.header.index, net))
}

fn route(message: &RouteMessage) -> Option<Route> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let any: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut destination, mut interface, mut priority) = (any, None, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(it)) => destination = (*it).into(),
            RouteAttribute::Destination(RouteAddress::Inet6(it)) => destination = (*it).into(),
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::MultiPath(hops) if interface.is_none() => {
                interface = hops.first().map(|hop| hop.interface_index);
            }
            RouteAttribute::Priority(value) => priority = *value,
            _ => {}
        }
    }
    let length = message.header.destination_prefix_length;
    Some(Route {
        destination: IpNet::new(destination, length).ok()?,
        interface,
        priority,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A host with `eth0` to the Internet and `eth1` to an office.
    pub(in super::super) fn host() -> Host {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let route = |destination, interface, priority| Route {
            destination: net(destination),
            interface: Some(interface),
            priority,
        };
        Host {
            interfaces: [(1, "lo"), (2, "eth0"), (3, "eth1")]
                .map(|(index, name)| (index, name.to_owned()))
                .into(),
            addresses: vec![
                (1, net("127.0.0.1/8")),
                (2, net("fe80::1/64")),
                (2, net("10.64.0.9/24")),
                (2, net("2001:db8::9/64")),
                (2, net("192.0.2.9/24")),
                (3, net("172.16.0.1/16")),
            ],
            routes: vec![
                route("::/0", 3, 1),
                route("0.0.0.0/0", 3, 200),
                route("0.0.0.0/0", 2, 100),
                route("172.16.0.0/16", 3, 0),
            ],
        }
    }

    #[test]
    fn the_default_route_shows_the_interface() {
        let host = host();
        assert_eq!(host.default_interface(), Some("eth0"));
        assert_eq!(Host::default().default_interface(), None);
        assert!(host.has_interface("eth1") && !host.has_interface("eth2"));
    }

    #[test]
    fn the_address_is_one_that_most_reach() {
        let host = host();
        let address = |interface| host.address(interface).map(|it| it.to_string());
        assert_eq!(address("eth0").as_deref(), Some("192.0.2.9"));
        assert_eq!(address("eth1").as_deref(), Some("172.16.0.1"));
        assert_eq!((address("lo"), address("eth2")), (None, None));
        assert!(host.has_ipv6() && !Host::default().has_ipv6());
        for private in [
            "10.1.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn networks_in_use_are_known() {
        let host = host();
        let collides = |text: &str| host.collision(&text.parse().unwrap()).is_some();
        assert!(collides("172.16.9.0/24") && collides("10.64.0.0/16"));
        assert!(!collides("10.65.0.0/24") && !collides("fd00::/64"));
    }

    /// `lo` is on every host, with its address.
    #[test]
    fn the_kernel_answers() {
        let host = Host::read().unwrap();
        assert_eq!(host.interfaces.get(&1).map(String::as_str), Some("lo"));
        let loopback: IpNet = "127.0.0.1/8".parse().unwrap();
        assert!(host.addresses.contains(&(1, loopback)), "{host:?}");
    }
}
