//! Addresses as XFRM writes them: sixteen octets, and the family elsewhere.

use std::net::IpAddr;

use netlink_packet_xfrm::Address;

/// `AF_INET` and `AF_INET6`, in the width that XFRM gives them.
const INET: u16 = 2;
const INET6: u16 = 10;

/// The family of an address.
pub(super) const fn family(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    }
}

/// The address of that family.
pub(super) fn address(octets: &Address, family: u16) -> Option<IpAddr> {
    match family {
        INET => Some(octets.to_ipv4().into()),
        INET6 => Some(octets.to_ipv6().into()),
        _ => None,
    }
}
