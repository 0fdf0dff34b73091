//! Addresses: pools for clients, and the networks on both sides of a tunnel.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ikexdp_proto::config::AddressPool;
use ikexdp_proto::wire::payload::ts::TrafficSelector;
use ipnet::IpNet;
use toml::Spanned;

use super::context::Context;
use super::fault::Fault;
use super::file::{Pool, Text};
use super::problem::Key;
use super::services;

/// Longest name, and longest label in it (RFC 1035 §2.3.4), in octets.
const DOMAIN_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// A pool, and where the file has it.
pub(super) struct PlacedPool {
    pub(super) pool: AddressPool,
    pub(super) span: std::ops::Range<usize>,
    /// Whether its clients are answered by DHCP.
    pub(super) dhcp: bool,
}

/// Reads every pool; those that cannot be used stay in their place, so that a
/// connection finds the pool it names.
pub(super) fn pools(cx: &mut Context<'_>, tables: &[Spanned<Pool>]) -> Vec<PlacedPool> {
    let mut pools: Vec<PlacedPool> = Vec::with_capacity(tables.len());
    for table in tables {
        let name = table.get_ref().name.get_ref();
        let key = Key::named("pool", name);
        if pools.iter().any(|other| other.pool.name == *name) {
            let span = table.get_ref().name.span();
            let name = name.clone();
            cx.problems
                .fault::<()>(&key.at("name"), span, Fault::Duplicate { name });
            continue;
        }
        let pool = pool(cx, &key, table.get_ref());
        if let Some(other) = pools.iter().find(|other| overlap(&other.pool, &pool)) {
            let other = other.pool.name.clone();
            let span = table.get_ref().addresses.span();
            cx.problems
                .fault::<()>(&key.at("addresses"), span, Fault::Overlap { other });
        }
        let dhcp = services::dhcp(cx, &key, table.get_ref(), &pool);
        let span = table.span();
        pools.push(PlacedPool { pool, span, dhcp });
    }
    services::compare(cx, &pools);
    pools
}

fn pool(cx: &mut Context<'_>, key: &Key<'_>, table: &Pool) -> AddressPool {
    let mut pool = AddressPool {
        name: table.name.get_ref().clone(),
        ..AddressPool::default()
    };
    let addresses = table.addresses.get_ref();
    let key_of_addresses = key.at("addresses");
    if addresses.is_empty() {
        let example = "addresses = [\"10.9.0.0/24\"]";
        let span = table.addresses.span();
        cx.problems
            .fault::<()>(&key_of_addresses, span, Fault::Empty { example });
    }
    for text in addresses {
        let Some(range) = range(cx, &key_of_addresses, text) else {
            continue;
        };
        let second = match range.assignable() {
            Range::V4(first, last) => pool.v4.replace((first, last)).map(|_| "IPv4"),
            Range::V6(first, last) => pool.v6.replace((first, last)).map(|_| "IPv6"),
        };
        if let Some(family) = second {
            let value = text.get_ref().clone();
            let fault = Fault::SecondRange { family, value };
            cx.problems
                .fault::<()>(&key_of_addresses, text.span(), fault);
        }
    }
    for text in &table.dns {
        match text.get_ref().parse() {
            Ok(address) => pool.dns.push(address),
            Err(_) => {
                let value = text.get_ref().clone();
                let fault = Fault::Address { value };
                cx.problems.fault::<()>(&key.at("dns"), text.span(), fault);
            }
        }
    }
    pool.domains = domains(cx, key, table);
    services::gateway_addresses(cx, key, table, &mut pool);
    pool
}

/// The domains that clients ask `dns` about.
fn domains(cx: &mut Context<'_>, key: &Key<'_>, table: &Pool) -> Vec<String> {
    let key = key.at("domains");
    if let (Some(domain), []) = (table.domains.first(), table.dns.as_slice()) {
        // RFC 8598 §3.2: a domain goes with a server.
        cx.problems
            .fault::<()>(&key, domain.span(), Fault::NoServers);
    }
    for text in &table.domains {
        let name = text.get_ref();
        // What is behind the last label is the root.
        let labels = name.strip_suffix('.').unwrap_or(name).split('.');
        let sound = labels.into_iter().all(is_label) && name.len() <= DOMAIN_LEN_MAX;
        if !sound {
            let value = name.clone();
            cx.problems
                .fault::<()>(&key, text.span(), Fault::Domain { value });
        }
    }
    table
        .domains
        .iter()
        .map(|text| text.get_ref().clone())
        .collect()
}

/// Whether it can stand between the dots of a domain: as in a host name (RFC 5890
/// §2.3.1), and with the `_` that some have nevertheless.
fn is_label(label: &str) -> bool {
    let of_label = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    (1..=LABEL_LEN_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(of_label)
}

fn overlap(a: &AddressPool, b: &AddressPool) -> bool {
    fn share<T: PartialOrd>(a: Option<(T, T)>, b: Option<(T, T)>) -> bool {
        matches!((a, b), (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1)
    }
    share(a.v4, b.v4) || share(a.v6, b.v6)
}

/// The selectors of every protocol and port of these networks.
pub(super) fn selectors(
    cx: &mut Context<'_>,
    key: &Key<'_>,
    networks: &Spanned<Vec<Text>>,
) -> Option<Vec<TrafficSelector>> {
    if networks.get_ref().is_empty() {
        let example = "[\"10.0.0.0/8\"]";
        return cx
            .problems
            .fault(key, networks.span(), Fault::Empty { example });
    }
    // Every wrong network is reported, not only the first.
    let selectors: Vec<_> = networks
        .get_ref()
        .iter()
        .map(|text| range(cx, key, text).map(|network| network.selector()))
        .collect();
    selectors.into_iter().collect()
}

/// Addresses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// What an operator writes for a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// `first-last`.
    Range(Range),
    /// `network/length`.
    Prefix(IpNet),
}

fn range(cx: &mut Context<'_>, key: &Key<'_>, text: &Text) -> Option<Written> {
    match parse(text.get_ref()) {
        Ok(written) => Some(written),
        Err(fault) => cx.problems.fault(key, text.span(), fault),
    }
}

fn parse(text: &str) -> Result<Written, Fault> {
    let value = || text.to_owned();
    if let Some((first, last)) = text.split_once('-') {
        let address = |text: &str| {
            text.trim()
                .parse()
                .map_err(|_| Fault::Addresses { value: value() })
        };
        return match (address(first)?, address(last)?) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                Ok(Written::Range(Range::V4(first, last)))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                Ok(Written::Range(Range::V6(first, last)))
            }
            _ => Err(Fault::Backwards { value: value() }),
        };
    }
    let prefix: IpNet = text
        .parse()
        .map_err(|_| Fault::Addresses { value: value() })?;
    if prefix.trunc() == prefix {
        Ok(Written::Prefix(prefix))
    } else {
        Err(Fault::HostBits { value: prefix })
    }
}

impl Written {
    /// What may be given to clients. Of an IPv4 prefix the first and the last
    /// address are left out, because hosts take them for the network and its
    /// broadcast; of an IPv6 prefix the first, which is every router's
    /// (RFC 4291 §2.6.1). Where that leaves nothing they are taken.
    fn assignable(self) -> Range {
        const POINT_TO_POINT_V4: u8 = 31;
        const POINT_TO_POINT_V6: u8 = 127;
        match self {
            Self::Range(range) => range,
            Self::Prefix(IpNet::V4(net)) if net.prefix_len() < POINT_TO_POINT_V4 => Range::V4(
                Ipv4Addr::from_bits(net.network().to_bits().saturating_add(1)),
                Ipv4Addr::from_bits(net.broadcast().to_bits().saturating_sub(1)),
            ),
            Self::Prefix(IpNet::V4(net)) => Range::V4(net.network(), net.broadcast()),
            Self::Prefix(IpNet::V6(net)) if net.prefix_len() < POINT_TO_POINT_V6 => Range::V6(
                Ipv6Addr::from_bits(net.network().to_bits().saturating_add(1)),
                net.broadcast(),
            ),
            Self::Prefix(IpNet::V6(net)) => Range::V6(net.network(), net.broadcast()),
        }
    }

    fn selector(self) -> TrafficSelector {
        let (start, end) = match self {
            Self::Range(Range::V4(first, last)) => (first.into(), last.into()),
            Self::Range(Range::V6(first, last)) => (first.into(), last.into()),
            Self::Prefix(net) => (net.network(), net.broadcast()),
        };
        TrafficSelector::addresses(start, end)
    }
}

/// How many addresses a pool has to give, for people.
pub(super) struct Capacity<'a>(pub(super) &'a AddressPool);

impl fmt::Display for Capacity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |first: u128, last: u128| last.saturating_sub(first).saturating_add(1);
        let AddressPool { v4, v6, .. } = self.0;
        if let Some((first, last)) = v4 {
            let size = size(first.to_bits().into(), last.to_bits().into());
            write!(f, "{first}-{last} ({size} addresses)")?;
        }
        if v4.is_some() && v6.is_some() {
            f.write_str(", ")?;
        }
        if let Some((first, last)) = v6 {
            let size = size(first.to_bits(), last.to_bits());
            write!(f, "{first}-{last} ({size} addresses)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignable(text: &str) -> Range {
        parse(text).unwrap().assignable()
    }

    fn v4(first: &str, last: &str) -> Range {
        Range::V4(first.parse().unwrap(), last.parse().unwrap())
    }

    fn v6(first: &str, last: &str) -> Range {
        Range::V6(first.parse().unwrap(), last.parse().unwrap())
    }

    #[test]
    fn clients_get_no_address_with_a_meaning_of_its_own() {
        for (text, expected) in [
            ("10.9.0.0/24", v4("10.9.0.1", "10.9.0.254")),
            ("10.9.0.0/30", v4("10.9.0.1", "10.9.0.2")),
            ("10.9.0.0/31", v4("10.9.0.0", "10.9.0.1")),
            ("10.9.0.7/32", v4("10.9.0.7", "10.9.0.7")),
            ("10.9.0.0-10.9.0.255", v4("10.9.0.0", "10.9.0.255")),
            ("2001:db8::/126", v6("2001:db8::1", "2001:db8::3")),
            ("2001:db8::/127", v6("2001:db8::", "2001:db8::1")),
        ] {
            assert_eq!(assignable(text), expected, "{text}");
        }
    }

    #[test]
    fn a_selector_takes_the_whole_prefix() {
        let selector = parse("10.9.0.0/24").unwrap().selector();
        assert_eq!(selector.to_string(), "10.9.0.0/24");
        let everything = parse("::/0").unwrap().selector();
        assert_eq!(everything.to_string(), "::/0");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (text, reason) in [
            ("10.9.0.0", "neither a prefix nor a range"),
            ("10.9.0.0/33", "neither a prefix nor a range"),
            ("10.9.0.9-10.9.0.1", "runs backwards"),
            ("10.9.0.9-::1", "mixes IPv4 and IPv6"),
            ("10.9.0.9-", "neither a prefix nor a range"),
            ("10.9.0.9/24", "bits are set"),
        ] {
            let fault = parse(text).unwrap_err().to_string();
            assert!(fault.contains(reason), "{text}: {fault}");
        }
        let fault = parse("10.9.0.9/24").unwrap_err();
        assert_eq!(fault.hint(), "write \"10.9.0.0/24\"");
    }

    #[test]
    fn ranges_that_touch_overlap() {
        let pool = |text: &str| match assignable(text) {
            Range::V4(first, last) => AddressPool {
                v4: Some((first, last)),
                ..AddressPool::default()
            },
            Range::V6(first, last) => AddressPool {
                v6: Some((first, last)),
                ..AddressPool::default()
            },
        };
        let a = pool("10.9.0.1-10.9.0.9");
        assert!(overlap(&a, &pool("10.9.0.9-10.9.0.20")));
        assert!(!overlap(&a, &pool("10.9.0.10-10.9.0.20")));
        assert!(!overlap(&a, &pool("2001:db8::/64")));
    }
}
