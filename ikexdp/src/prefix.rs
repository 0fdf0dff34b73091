//! Prefixes of addresses.

use std::net::IpAddr;

use ipnet::IpNet;

/// Bits of an IPv6 address before the IPv4 address that is mapped into it (RFC 4291
/// §2.5.5.2).
const MAPPED: u8 = 96;

/// The one way to say `prefix`: without bits behind its length, and of IPv4 if only
/// mapped addresses are in it, which are the same to XDP.
#[must_use]
pub fn canonical(prefix: IpNet) -> IpNet {
    let mapped = match prefix.trunc().addr() {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    let length = prefix.prefix_len().checked_sub(MAPPED);
    let v4 = mapped
        .zip(length)
        .and_then(|(address, length)| IpNet::new(address.into(), length).ok());
    v4.unwrap_or_else(|| prefix.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_to_say_a_prefix() {
        for (said, meant) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
            ("::/0", "::/0"),
        ] {
            let canonical = canonical(said.parse().unwrap());
            assert_eq!(canonical, meant.parse().unwrap(), "{said}");
        }
    }
}
