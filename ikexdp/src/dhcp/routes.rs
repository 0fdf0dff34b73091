//! What a client is told to send through the tunnel.

use std::net::{IpAddr, Ipv4Addr};

use ikexdp_proto::data_plane::Binding;
use ikexdp_proto::event::ChildSummary;
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::{Ipv4Net, Ipv4Subnets};

/// Octets of an address in an option.
const ADDRESS_LEN: usize = 4;

/// The prefixes of IPv4 that a CHILD SA carries to us.
///
/// Everything is none: a client that sends everything does so without being told, and
/// one that does not must not begin to.
pub(super) fn routes(child: &ChildSummary) -> Vec<Ipv4Net> {
    let ranges = child
        .local
        .iter()
        .filter_map(|selector| match (selector.start, selector.end) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Some((first, last)),
            _ => None,
        });
    ranges
        .filter(|(first, _)| *first != Ipv4Addr::BROADCAST)
        .flat_map(|(first, last)| Ipv4Subnets::new(first, last, 0))
        .filter(|prefix| prefix.prefix_len() > 0)
        .collect()
}

/// Appends a route as options 121 and 249 have it (RFC 3442, MS-DHCPE):
///
/// ```text
/// | prefix length (1) | as many octets of the network as it takes (0-4) | router (4) |
/// ```
///
/// Router 0.0.0.0 is whoever is at the other end: there is one.
pub(super) fn encode(prefix: Ipv4Net, option: &mut Vec<u8>) {
    let octets = usize::from(prefix.prefix_len()).div_ceil(8);
    option.push(prefix.prefix_len());
    option.extend(prefix.network().octets().iter().take(octets));
    option.extend([0; ADDRESS_LEN]);
}

/// Whether a CHILD SA carries what `client` asks of everybody, and the answer that
/// `gateway` gives, whatever the ports: what leaves is protected before the kernel
/// looks at them.
///
/// One that is bound to an interface or a mark, by a configuration from before, does
/// not: neither question nor answer need be its packets.
pub(super) fn carries(child: &ChildSummary, gateway: Ipv4Addr, client: Ipv4Addr) -> bool {
    let has = |selectors: &[TrafficSelector], address: Ipv4Addr| {
        let address = IpAddr::V4(address);
        selectors.iter().any(|selector| {
            matches!(selector.protocol, 0 | UDP)
                && (selector.start_port, selector.end_port) == (0, u16::MAX)
                && (selector.start..=selector.end).contains(&address)
        })
    };
    child.binding == Binding::default()
        && has(&child.local, Ipv4Addr::BROADCAST)
        && has(&child.local, gateway)
        && has(&child.remote, client)
}

/// The protocol number of UDP.
const UDP: u8 = 17;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ikexdp_proto::crypto::cipher::Cipher;
    use ikexdp_proto::profile::Profile;
    use ikexdp_proto::suite::EspSuite;
    use ikexdp_proto::types::EspSpi;

    /// A CHILD SA between these.
    pub(in super::super) fn child(local: &[&str], remote: &str) -> ChildSummary {
        let selector = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            TrafficSelector::addresses(first.parse().unwrap(), last.parse().unwrap())
        };
        ChildSummary {
            spi_in: EspSpi(1),
            spi_out: EspSpi(2),
            suite: EspSuite {
                cipher: Cipher::new(Profile::Modern.encryption()[0], None).unwrap(),
                extended_sequence_numbers: false,
            },
            local: local.iter().copied().map(selector).collect(),
            remote: vec![selector(remote)],
            binding: Binding::default(),
        }
    }

    #[test]
    fn a_route_has_the_octets_that_count() {
        for (prefix, expected) in [
            ("0.0.0.0/0", &[0, 0, 0, 0, 0][..]),
            ("10.0.0.0/8", &[8, 10, 0, 0, 0, 0]),
            ("172.16.0.0/12", &[12, 172, 16, 0, 0, 0, 0]),
            ("10.17.0.0/16", &[16, 10, 17, 0, 0, 0, 0]),
            ("10.27.129.0/24", &[24, 10, 27, 129, 0, 0, 0, 0]),
            ("10.229.0.128/25", &[25, 10, 229, 0, 128, 0, 0, 0, 0]),
            ("10.198.122.47/32", &[32, 10, 198, 122, 47, 0, 0, 0, 0]),
        ] {
            let mut option = Vec::new();
            encode(prefix.parse().unwrap(), &mut option);
            assert_eq!(option, expected, "{prefix}");
        }
    }

    #[test]
    fn routes_are_the_networks_behind_us() {
        let shown = |local: &[&str]| {
            let routes = routes(&child(local, "10.9.0.7"));
            routes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let split = [
            "10.0.0.0-10.255.255.255",
            "192.0.2.1-192.0.2.3",
            "2001:db8::-2001:db8::ff",
            "255.255.255.255",
            "172.16.0.1",
        ];
        let expected = [
            "10.0.0.0/8",
            "192.0.2.1/32",
            "192.0.2.2/31",
            "172.16.0.1/32",
        ];
        assert_eq!(shown(&split), expected);
        let everything = "0.0.0.0-255.255.255.255";
        assert_eq!(shown(&[everything, "::-ffff::"]), [""; 0]);
    }

    #[test]
    fn a_child_sa_carries_both_ways_or_not_at_all() {
        let gateway = Ipv4Addr::new(172, 16, 0, 1);
        let client = Ipv4Addr::new(10, 9, 0, 7);
        let full = child(&["255.255.255.255", "172.16.0.0-172.16.0.9"], "10.9.0.7");
        assert!(carries(&full, gateway, client));
        let everything = child(&["0.0.0.0-255.255.255.255"], "10.9.0.0-10.9.0.9");
        assert!(carries(&everything, gateway, client));
        for (local, remote) in [
            (&["255.255.255.255"][..], "10.9.0.7"),
            (&["172.16.0.1"], "10.9.0.7"),
            (&["255.255.255.255", "172.16.0.1"], "10.9.0.8"),
        ] {
            let narrow = child(local, remote);
            assert!(!carries(&narrow, gateway, client), "{local:?} {remote}");
        }
        let mut bound = full.clone();
        bound.binding.if_id = Some(7);
        assert!(!carries(&bound, gateway, client));
        for (protocol, end_port) in [(6, u16::MAX), (17, 67)] {
            let mut other = full.clone();
            for selector in &mut other.local {
                (selector.protocol, selector.end_port) = (protocol, end_port);
            }
            assert!(!carries(&other, gateway, client), "{protocol} {end_port}");
        }
    }
}
