//! Who has which address in a lab.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client's address and gateway's address in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's own address, before any NAT.
    pub client: IpAddr,
    /// The gateway's address.
    pub gateway: IpAddr,
}

/// Where IPv4 is used.
pub const V4: Ends = Ends {
    client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    gateway: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)),
};

/// Where IPv6 is used.
pub const V6: Ends = Ends {
    client: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2)),
    gateway: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2)),
};
