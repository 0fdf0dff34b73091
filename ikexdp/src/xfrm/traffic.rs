//! Traffic selectors in the terms of the kernel: prefixes, and masks of ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use netlink_packet_xfrm::{Address, Selector};

use super::address::family;
use super::ports::{Ports, has_types, ports, types};

/// What the selectors of one CHILD SA may become. A prefix is one; the worst range
/// of IPv4 addresses 62, of IPv6 addresses 254.
const TRAFFIC_MAX: usize = 256;

/// Traffic between a prefix behind us and one behind the peer: three policies, of
/// what leaves, of what comes for us and of what comes for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Traffic {
    pub(super) local: IpNet,
    pub(super) remote: IpNet,
    /// 0 for any.
    pub(super) protocol: u8,
    /// Of what leaves, the source port; the type, if the protocol has types.
    pub(super) local_port: Ports,
    /// Of what leaves, the destination port; the code, if the protocol has types.
    pub(super) remote_port: Ports,
}

/// Why the kernel cannot be told what traffic is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Inexpressible {
    /// RFC 7296 §3.13.1; the kernel has no such selector.
    #[error("opaque ports cannot be selected")]
    Opaque,
    /// There is one type, or one code, in a selector of the kernel's.
    #[error("a range of types or codes cannot be selected")]
    Types,
    /// More than [`TRAFFIC_MAX`].
    #[error("the ranges of addresses and ports take more than {TRAFFIC_MAX} policies")]
    TooMuch,
    /// No pair is of one family and protocol.
    #[error("there is no traffic that both sides select")]
    Nothing,
}

impl Traffic {
    /// What every pair of `local` and `remote` of one family and one protocol
    /// selects: ranges become the fewest prefixes, and the fewest masks, that are
    /// exactly them.
    ///
    /// # Errors
    /// [`Inexpressible`].
    pub(super) fn between(
        local: &[TrafficSelector],
        remote: &[TrafficSelector],
    ) -> Result<BTreeSet<Self>, Inexpressible> {
        let mut all = BTreeSet::new();
        for local in local {
            for remote in remote {
                let one_family = local.start.is_ipv4() == remote.start.is_ipv4();
                let protocol = match (local.protocol, remote.protocol) {
                    (0, protocol) | (protocol, 0) => protocol,
                    (local, remote) if local == remote => local,
                    _ => continue,
                };
                if one_family {
                    add(&mut all, protocol, local, remote)?;
                }
            }
        }
        if all.is_empty() {
            return Err(Inexpressible::Nothing);
        }
        Ok(all)
    }

    /// What leaves.
    pub(super) fn outbound(&self) -> Selector {
        self.selector(
            (self.local, self.local_port),
            (self.remote, self.remote_port),
        )
    }

    /// What comes.
    pub(super) fn inbound(&self) -> Selector {
        let (mut local_port, mut remote_port) = (self.local_port, self.remote_port);
        if has_types(self.protocol) {
            // The type takes the place of the source port whichever way it goes.
            (local_port, remote_port) = (remote_port, local_port);
        }
        self.selector((self.remote, remote_port), (self.local, local_port))
    }

    fn selector(&self, source: (IpNet, Ports), destination: (IpNet, Ports)) -> Selector {
        Selector {
            saddr: Address::from_ip(&source.0.network()),
            prefixlen_s: source.0.prefix_len(),
            sport: source.1.value,
            sport_mask: source.1.mask,
            daddr: Address::from_ip(&destination.0.network()),
            prefixlen_d: destination.0.prefix_len(),
            dport: destination.1.value,
            dport_mask: destination.1.mask,
            family: family(source.0.network()),
            proto: self.protocol,
            ..Selector::default()
        }
    }

    /// Larger the less is selected: that of a client takes precedence over that of
    /// the network it is in. Bits of addresses count most, then a protocol, then
    /// bits of ports.
    ///
    /// ```text
    /// | bits of both prefixes (9) | protocol (1) | bits of both ports (6) |
    /// ```
    pub(super) fn specificity(&self) -> u32 {
        let prefixes = [self.local, self.remote].map(|prefix| u32::from(prefix.prefix_len()));
        let ports = [self.local_port, self.remote_port].map(|port| port.mask.count_ones());
        let [addresses, ports] = [prefixes, ports].map(|both| both.iter().sum::<u32>());
        addresses << 7 | u32::from(self.protocol != 0) << 6 | ports
    }
}

fn add(
    all: &mut BTreeSet<Traffic>,
    protocol: u8,
    local: &TrafficSelector,
    remote: &TrafficSelector,
) -> Result<(), Inexpressible> {
    let pairs = if has_types(protocol) {
        vec![types(local, remote)?]
    } else {
        pairs(&ports(local)?, &ports(remote)?)
    };
    let prefixes = pairs_of_prefixes(local, remote);
    if prefixes.len().saturating_mul(pairs.len()) > TRAFFIC_MAX {
        return Err(Inexpressible::TooMuch);
    }
    for (local, remote) in prefixes {
        all.extend(pairs.iter().map(|&(local_port, remote_port)| Traffic {
            local,
            remote,
            protocol,
            local_port,
            remote_port,
        }));
    }
    if all.len() > TRAFFIC_MAX {
        return Err(Inexpressible::TooMuch);
    }
    Ok(())
}

fn pairs_of_prefixes(local: &TrafficSelector, remote: &TrafficSelector) -> Vec<(IpNet, IpNet)> {
    pairs(&prefixes(local), &prefixes(remote))
}

/// Each of `left` with each of `right`.
fn pairs<T: Copy>(left: &[T], right: &[T]) -> Vec<(T, T)> {
    let pairs = left
        .iter()
        .flat_map(|&left| right.iter().map(move |&right| (left, right)));
    pairs.collect()
}

fn prefixes(selector: &TrafficSelector) -> Vec<IpNet> {
    match (selector.start, selector.end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => {
            Ipv4Subnets::new(start, end, 0).map(IpNet::V4).collect()
        }
        (IpAddr::V6(start), IpAddr::V6(end)) => {
            Ipv6Subnets::new(start, end, 0).map(IpNet::V6).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(start: &str, end: &str) -> TrafficSelector {
        TrafficSelector::addresses(start.parse().unwrap(), end.parse().unwrap())
    }

    fn everything() -> [TrafficSelector; 2] {
        [
            addresses("0.0.0.0", "255.255.255.255"),
            addresses("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ]
    }

    fn host(address: &str) -> TrafficSelector {
        TrafficSelector::host(address.parse().unwrap())
    }

    fn shown(traffic: &BTreeSet<Traffic>) -> Vec<String> {
        let shown = traffic
            .iter()
            .map(|one| format!("{} {} {}", one.local, one.remote, one.protocol));
        shown.collect()
    }

    #[test]
    fn pairs_are_of_one_family() {
        let remote = [host("10.9.0.1"), host("2001:db8:9::1")];
        let traffic = Traffic::between(&everything(), &remote).unwrap();
        assert_eq!(
            shown(&traffic),
            ["0.0.0.0/0 10.9.0.1/32 0", "::/0 2001:db8:9::1/128 0"]
        );
        let nothing = Traffic::between(&[host("10.0.0.1")], &[host("2001:db8::1")]);
        assert_eq!(nothing, Err(Inexpressible::Nothing));
    }

    #[test]
    fn pairs_are_of_one_protocol() {
        let with = |protocol| TrafficSelector {
            protocol,
            ..host("10.0.0.1")
        };
        let traffic = Traffic::between(&[with(6), with(0)], &[with(17), with(6)]).unwrap();
        assert_eq!(
            shown(&traffic),
            ["10.0.0.1/32 10.0.0.1/32 6", "10.0.0.1/32 10.0.0.1/32 17"]
        );
    }

    #[test]
    fn a_range_is_the_fewest_prefixes() {
        let local = addresses("10.0.0.1", "10.0.0.4");
        let traffic = Traffic::between(&[local], &[host("10.9.0.1")]).unwrap();
        assert_eq!(
            shown(&traffic),
            [
                "10.0.0.1/32 10.9.0.1/32 0",
                "10.0.0.2/31 10.9.0.1/32 0",
                "10.0.0.4/32 10.9.0.1/32 0"
            ]
        );
    }

    #[test]
    fn there_is_an_end_to_it() {
        let worst = |port| TrafficSelector {
            protocol: 6,
            start_port: port,
            ..addresses("0.0.0.1", "255.255.255.254")
        };
        let remote = [host("10.9.0.1")];
        assert_eq!(Traffic::between(&[worst(0)], &remote).unwrap().len(), 62);
        let too_much = Traffic::between(&[worst(1)], &remote);
        assert_eq!(too_much, Err(Inexpressible::TooMuch));
        let many: Vec<_> = (0..=255_u8)
            .map(|last| host(&format!("10.9.0.{last}")))
            .collect();
        let two = [host("10.0.0.1"), host("10.0.0.2")];
        assert_eq!(Traffic::between(&two[..1], &many).unwrap().len(), 256);
        assert_eq!(Traffic::between(&two, &many), Err(Inexpressible::TooMuch));
    }

    #[test]
    fn ports_go_with_their_side_and_types_with_the_packet() {
        let service = |protocol, port| TrafficSelector {
            protocol,
            start_port: port,
            end_port: port,
            ..host("10.0.0.1")
        };
        let ports = |protocol, port| {
            let traffic = Traffic::between(&[service(protocol, port)], &[host("10.9.0.1")]);
            let traffic = traffic.unwrap().pop_first().unwrap();
            let [leaves, comes] = [traffic.outbound(), traffic.inbound()];
            assert_eq!((leaves.saddr, leaves.daddr), (comes.daddr, comes.saddr));
            [leaves, comes].map(|one| ((one.sport, one.sport_mask), (one.dport, one.dport_mask)))
        };
        let any = (0, 0);
        assert_eq!(ports(6, 443), [((443, !0), any), (any, (443, !0))]);
        // Echo requests: type 8, code 0.
        assert_eq!(ports(1, 0x0800), [((8, !0), (0, !0)); 2]);
    }

    #[test]
    fn the_more_specific_takes_precedence() {
        let with = |local, remote, protocol, port| {
            let remote = TrafficSelector {
                protocol,
                start_port: port,
                end_port: if port == 0 { u16::MAX } else { port },
                ..remote
            };
            let traffic = Traffic::between(&[local], &[remote]).unwrap();
            traffic.first().unwrap().specificity()
        };
        let [all, all6] = everything();
        let network = addresses("10.9.0.0", "10.9.0.255");
        let rising = [
            with(all, all, 0, 0),
            with(all, all, 17, 0),
            with(all, all, 17, 53),
            with(all, network, 0, 0),
            with(all, host("10.9.0.1"), 0, 0),
            with(host("10.0.0.1"), host("10.9.0.1"), 17, 53),
            with(all6, host("2001:db8::1"), 0, 0),
            with(host("2001:db8::2"), host("2001:db8::1"), 17, 53),
        ];
        assert!(rising.is_sorted_by(|less, more| less < more), "{rising:?}");
    }
}
