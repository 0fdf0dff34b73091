//! What there is room for in the program's maps, of sets that may be larger.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ikexdp_common::guard::Listing;
use ikexdp_common::maps::{LISTED_MAX, LOCAL_ADDRESSES};
use ipnet::{IpNet, Ipv4Net};

use super::prefix_key;

/// In the map IPv4 lies within IPv6, of whose prefixes it must not be: this parts them.
pub(super) const ALL_V4: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));

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
    if !fitting.is_empty() {
        fitting.entry(ALL_V4).or_insert(Listing::Unlisted);
    }
    fitting
}

/// What to do one after the other to a map that holds `held`, so that nobody is dropped
/// meanwhile who was not blocked and will not be; `None` is of no prefix any more.
///
/// What is blocked no longer comes first, for it takes no room, then what is within what
/// comes later, and what goes at the end: unless it must make room, and then all cannot be
/// had. What parts IPv4 from IPv6 is there before all, and stays.
pub(super) fn in_order(
    held: &BTreeMap<IpNet, Listing>,
    changes: impl IntoIterator<Item = (IpNet, Option<Listing>)>,
) -> Vec<(IpNet, Option<Listing>)> {
    let changes = changes.into_iter().map(|(prefix, listing)| {
        let unlisted = (prefix == ALL_V4).then_some(Listing::Unlisted);
        (prefix, listing.or(unlisted))
    });
    let is_new = |(prefix, listing): &(IpNet, _)| held.get(prefix) != Option::as_ref(listing);
    let mut changes: Vec<_> = changes.filter(is_new).collect();
    let has_room = held.len().saturating_add(changes.len()) <= LISTED_MAX;
    changes.sort_by_key(|(prefix, listing)| {
        let is_blocked = *listing == Some(Listing::Blocked);
        let was_blocked = held.get(prefix) == Some(&Listing::Blocked);
        match listing {
            _ if was_blocked && !is_blocked => (0, None),
            None if !has_room => (1, None),
            Some(_) => (2, Some(Reverse(prefix_key(*prefix).prefix_len()))),
            None => (3, None),
        }
    });
    let comes = changes.iter().any(|(_, it)| it.is_some());
    if comes && !held.contains_key(&ALL_V4) {
        changes.insert(0, (ALL_V4, Some(Listing::Unlisted)));
    }
    changes
}

/// Whether `held` says nothing of anybody.
pub(super) fn is_bare(held: &BTreeMap<IpNet, Listing>) -> bool {
    let mut prefixes = held.iter();
    prefixes.all(|(prefix, listing)| *prefix == ALL_V4 && *listing == Listing::Unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_common::address::Address;

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

    /// What the map says of `address` when it holds `held`.
    fn listing_of(held: &BTreeMap<IpNet, Listing>, address: IpAddr) -> Listing {
        let Address(octets) = address.into();
        let bits = u128::from_be_bytes(octets);
        let fits = |prefix: &IpNet| {
            let key = prefix_key(*prefix);
            let differs = bits ^ u128::from_be_bytes(key.data());
            differs.leading_zeros() >= key.prefix_len()
        };
        let fitting = held.iter().filter(|(prefix, _)| fits(prefix));
        let longest = fitting.max_by_key(|(prefix, _)| prefix_key(**prefix).prefix_len());
        longest.map_or(Listing::Unlisted, |(_, listing)| *listing)
    }

    #[test]
    fn nobody_is_dropped_meanwhile_who_is_not_blocked_before_or_after() {
        use Listing::{Allowed, Blocked};
        let lists: Vec<BTreeMap<_, _>> = [
            &[][..],
            &[("::/0", Blocked)],
            &[("0.0.0.0/0", Blocked), ("::/0", Blocked)],
            &[("0.0.0.0/0", Blocked), ("192.0.2.0/24", Allowed)],
            &[
                ("192.0.0.0/16", Blocked),
                ("192.0.2.0/24", Allowed),
                ("192.0.2.7/32", Blocked),
            ],
            &[("192.0.0.0/16", Blocked), ("192.0.2.0/25", Allowed)],
            &[
                ("2001:db8::/32", Blocked),
                ("2001:db8:1::/48", Allowed),
                ("0.0.0.0/0", Allowed),
            ],
        ]
        .into_iter()
        .map(|list| list.iter().map(|(text, it)| (net(text), *it)).collect())
        .collect();
        let addresses = [
            "192.0.2.7",
            "192.0.2.8",
            "192.0.3.1",
            "10.0.0.1",
            "2001:db8:1::1",
            "2001:db8::1",
            "::1",
        ];
        for (before, after) in lists
            .iter()
            .flat_map(|one| lists.iter().map(move |it| (one, it)))
        {
            let (before, after) = (prefixes(before), prefixes(after));
            let gone = before.keys().filter(|prefix| !after.contains_key(prefix));
            let gone = gone.map(|prefix| (*prefix, None));
            let comes = after.iter().map(|(prefix, it)| (*prefix, Some(*it)));
            let mut held = before.clone();
            for (prefix, listing) in in_order(&before, gone.chain(comes)) {
                match listing {
                    Some(listing) => held.insert(prefix, listing),
                    None => held.remove(&prefix),
                };
                for address in addresses.map(|text| text.parse().unwrap()) {
                    let is_blocked = [&before, &after].map(|it| listing_of(it, address));
                    assert!(
                        listing_of(&held, address) != Blocked || is_blocked.contains(&Blocked),
                        "{address}: {before:?} -> {held:?} -> {after:?}"
                    );
                }
            }
            if is_bare(&held) {
                held.clear();
            }
            assert_eq!(held, after);
        }
    }
}
