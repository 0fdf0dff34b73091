//! What there is room for in the program's maps, of sets that may be larger.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ikexdp_common::guard::Listing;
use ikexdp_common::maps::{LISTED_MAX, LOCAL_ADDRESSES};
use ipnet::{IpNet, Ipv4Net};

use super::prefix_key;

/// The first addresses of each family.
pub(super) fn addresses(addresses: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let of_family = |v4| {
        let addresses = addresses.iter().copied();
        addresses
            .filter(move |address| address.is_ipv4() == v4)
            .take(LOCAL_ADDRESSES)
    };
    of_family(true).chain(of_family(false)).collect()
}

/// The longest prefixes. Of an address whose longest prefix is left out, so are all:
/// nothing wrong is said about it.
pub(super) fn prefixes(listed: &BTreeMap<IpNet, Listing>) -> BTreeMap<IpNet, Listing> {
    let mut longest_first: Vec<_> = listed.iter().collect();
    longest_first.sort_by_key(|(prefix, _)| Reverse(prefix_key(**prefix).prefix_len()));
    let fitting = longest_first.into_iter().take(LISTED_MAX);
    let mut fitting: BTreeMap<_, _> = fitting.map(|(prefix, it)| (*prefix, *it)).collect();
    // In the map IPv4 lies within IPv6, of whose prefixes it must not be.
    if !fitting.is_empty() {
        let all = IpNet::V4(Ipv4Net::default());
        fitting.entry(all).or_insert(Listing::Unlisted);
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_of_its_family_only() {
        let v4 = (0..5000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let v6 = IpAddr::from(1_u128.to_be_bytes());
        let all: BTreeSet<_> = v4.chain([v6]).collect();
        let fitting = addresses(&all);
        assert_eq!(fitting.len(), LOCAL_ADDRESSES + 1);
        assert!(fitting.contains(&v6) && fitting.is_subset(&all));
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    /// Who is let pass within what is blocked is not blocked for want of room.
    #[test]
    fn of_prefixes_the_shortest_are_left_out() {
        let hosts = (1..LISTED_MAX as u32).map(|host| IpAddr::from((host << 8).to_be_bytes()));
        let mut listed: BTreeMap<_, _> = hosts.map(|it| (it.into(), Listing::Allowed)).collect();
        assert_eq!(prefixes(&listed).len(), LISTED_MAX);
        for short in ["0.0.0.0/0", "0.0.0.0/8", "2001:db8::/32"] {
            listed.insert(net(short), Listing::Blocked);
        }
        listed.insert(net("2001:db8::1/128"), Listing::Allowed);
        let fitting = prefixes(&listed);
        assert_eq!(fitting.len(), LISTED_MAX + 1);
        assert_eq!(fitting.get(&net("0.0.0.0/0")), Some(&Listing::Unlisted));
        assert!(fitting.contains_key(&net("2001:db8::1/128")));
        for left_out in ["0.0.0.0/8", "2001:db8::/32"] {
            assert!(!fitting.contains_key(&net(left_out)), "{left_out}");
        }
    }

    #[test]
    fn no_prefix_of_ipv6_is_one_of_ipv4() {
        assert!(prefixes(&BTreeMap::new()).is_empty());
        let listed = BTreeMap::from([(net("::/0"), Listing::Blocked)]);
        let expected = [
            (net("0.0.0.0/0"), Listing::Unlisted),
            (net("::/0"), Listing::Blocked),
        ];
        assert_eq!(prefixes(&listed), BTreeMap::from(expected));
        let listed = BTreeMap::from([(net("0.0.0.0/0"), Listing::Blocked)]);
        assert_eq!(prefixes(&listed), listed);
    }
}
