//! The addresses of this host, as they come and go.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};

use ipnet::Ipv4Net;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::netlink::{Channel, NetlinkError};

/// All addresses of this network namespace at which IKE can reach us, whichever
/// interface they are on.
///
/// Loopback addresses never come from a wire. Link-local ones mean something
/// only together with an interface, and behind VLAN tags that is another one
/// than the frame's: the kernel's UDP sockets serve those.
#[derive(Debug)]
pub struct LocalAddresses {
    notifications: Socket,
    local: Local,
}

/// What the kernel tells of addresses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Local {
    addresses: BTreeSet<IpAddr>,
    broadcasts: BTreeSet<Ipv4Addr>,
}

impl LocalAddresses {
    /// Reads the addresses, and asks to be told of changes of addresses and
    /// links.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn watch() -> Result<Self, NetlinkError> {
        const LINKS: u32 = 1 << 0;
        const IPV4_ADDRESSES: u32 = 1 << 4;
        const IPV6_ADDRESSES: u32 = 1 << 8;

        let mut notifications = Socket::new(NETLINK_ROUTE).map_err(NetlinkError::Socket)?;
        notifications
            .bind(&SocketAddr::new(0, LINKS | IPV4_ADDRESSES | IPV6_ADDRESSES))
            .and_then(|()| notifications.set_non_blocking(true))
            .map_err(NetlinkError::Socket)?;
        // Only now, so that no change falls between reading and listening.
        let local = dump()?;
        Ok(Self {
            notifications,
            local,
        })
    }

    /// The addresses as of now.
    #[must_use]
    pub const fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.local.addresses
    }

    /// The broadcast addresses of the networks that they are in, as of now.
    #[must_use]
    pub const fn broadcasts(&self) -> &BTreeSet<Ipv4Addr> {
        &self.local.broadcasts
    }

    /// Takes in what the kernel told since, and says whether anything changed.
    /// To be called when the descriptor is readable.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn refresh(&mut self) -> Result<bool, NetlinkError> {
        if !self.drain()? {
            return Ok(false);
        }
        // One address may be on two interfaces, and notifications may be lost:
        // what is there is better asked than computed.
        let local = dump()?;
        let changed = local != self.local;
        self.local = local;
        Ok(changed)
    }

    /// Reads the notifications away, and says whether there were any.
    fn drain(&self) -> Result<bool, NetlinkError> {
        let mut notified = false;
        let mut buffer = Vec::with_capacity(4096);
        loop {
            buffer.clear();
            match self.notifications.recv(&mut buffer, 0) {
                Ok(_) => notified = true,
                // There were more than the socket could hold.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => notified = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(notified),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::Socket(error)),
            }
        }
    }
}

impl AsFd for LocalAddresses {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifications.as_fd()
    }
}

fn dump() -> Result<Local, NetlinkError> {
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut local = Local::default();
    Channel::open(NETLINK_ROUTE)?.dump(question, |answer| {
        if let RouteNetlinkMessage::NewAddress(message) = answer {
            local.broadcasts.extend(broadcast(&message));
            local.addresses.extend(usable(message));
        }
    })?;
    Ok(local)
}

/// The broadcast address of the network in `message`: what the kernel takes for one,
/// whether it was written down or not.
fn broadcast(message: &AddressMessage) -> Option<Ipv4Addr> {
    let length = message.header.prefix_len;
    let address = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            AddressAttribute::Address(IpAddr::V4(address)) => Some(*address),
            _ => None,
        })?;
    // A network of two has none (RFC 3021).
    let network = Ipv4Net::new(address, length).ok()?;
    (length < 31).then(|| network.broadcast())
}

/// The address in `message`, if peers can reach us there.
fn usable(message: AddressMessage) -> Option<IpAddr> {
    let mut address = None;
    let mut local = None;
    let mut flags = AddressFlags::empty();
    for attribute in message.attributes {
        match attribute {
            // On a point-to-point link this is the peer, and `Local` is ours.
            AddressAttribute::Address(value) => address = Some(value),
            AddressAttribute::Local(value) => local = Some(value),
            AddressAttribute::Flags(value) => flags = value,
            _ => {}
        }
    }
    // Not ours yet, or claimed by somebody else (RFC 4862 §5.4).
    let unproven = AddressFlags::Tentative | AddressFlags::Dadfailed;
    if flags.intersects(unproven) && !flags.contains(AddressFlags::Optimistic) {
        return None;
    }
    local.or(address).filter(|address| match address {
        IpAddr::V4(address) => !address.is_loopback(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: Vec<AddressAttribute>) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.attributes = attributes;
        message
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn ours_is_the_local_end() {
        let peer = AddressAttribute::Address(address("192.0.2.2"));
        let ours = AddressAttribute::Local(address("192.0.2.1"));
        assert_eq!(
            usable(message(vec![peer, ours])),
            Some(address("192.0.2.1"))
        );
    }

    #[test]
    fn an_address_without_a_local_attribute_is_ours() {
        let ours = AddressAttribute::Address(address("2001:db8::1"));
        assert_eq!(usable(message(vec![ours])), Some(address("2001:db8::1")));
    }

    #[test]
    fn what_no_peer_can_use_is_left_out() {
        for text in ["127.0.0.1", "::1", "fe80::1"] {
            let ours = AddressAttribute::Address(address(text));
            assert_eq!(usable(message(vec![ours])), None, "{text}");
        }
    }

    #[test]
    fn a_network_has_a_broadcast_address_unless_it_is_too_small() {
        for (prefix_len, expected) in [(24, Some([192, 0, 2, 255])), (31, None), (32, None)] {
            let mut message = message(vec![AddressAttribute::Address(address("192.0.2.1"))]);
            message.header.prefix_len = prefix_len;
            assert_eq!(broadcast(&message), expected.map(Ipv4Addr::from));
        }
        let mut v6 = message(vec![AddressAttribute::Address(address("2001:db8::1"))]);
        v6.header.prefix_len = 64;
        assert_eq!(broadcast(&v6), None);
    }

    #[test]
    fn a_tentative_address_is_not_ours_yet() {
        let ours = || AddressAttribute::Address(address("2001:db8::1"));
        let flags = |flags| AddressAttribute::Flags(flags);
        let tentative = AddressFlags::Tentative;
        assert_eq!(usable(message(vec![ours(), flags(tentative)])), None);
        let optimistic = tentative | AddressFlags::Optimistic;
        assert!(usable(message(vec![ours(), flags(optimistic)])).is_some());
    }
}
