//! Who gets which address.

use alloc::string::ToString;

use super::*;
use crate::identity::Identity;

const V4: IpAddr = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
const V6: IpAddr = IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED);

fn pool(name: &str, v4: &str, v6: Option<(&str, &str)>) -> AddressPool {
    let (first, last) = v4.split_once('-').unwrap();
    AddressPool {
        name: name.to_string(),
        v4: Some((first.parse().unwrap(), last.parse().unwrap())),
        v6: v6.map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap())),
        ..AddressPool::default()
    }
}

/// The pool "staff" with these IPv4 addresses.
fn staff(v4: &str) -> Pools {
    Pools::new(&[pool("staff", v4, None)])
}

fn holder(name: &str) -> Holder {
    Holder::of("staff", &Identity::Fqdn(name.to_string()))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Takes any IPv4 address of the pool "staff".
fn lease(pools: &mut Pools, name: &str) -> Option<IpAddr> {
    pools.lease("staff", holder(name), V4).ok()
}

fn release(pools: &mut Pools, address: IpAddr) {
    let lease = Lease {
        v4: Some(address),
        v6: None,
    };
    pools.release(&lease);
}

/// Has each of `names` come and go.
fn visit(pools: &mut Pools, names: &[&str]) {
    for name in names {
        let given = lease(pools, name).unwrap();
        release(pools, given);
    }
}

#[test]
fn who_comes_back_gets_the_same_address() {
    let mut pools = staff("10.0.0.1-10.0.0.9");
    visit(&mut pools, &["kim", "lee", "sam"]);
    assert_eq!(lease(&mut pools, "sam"), Some(address("10.0.0.3")));
    assert_eq!(lease(&mut pools, "kim"), Some(address("10.0.0.1")));
    // A stranger does not get what somebody may come back for.
    assert_eq!(lease(&mut pools, "ash"), Some(address("10.0.0.4")));
    assert_eq!(lease(&mut pools, "lee"), Some(address("10.0.0.2")));
}

#[test]
fn what_was_given_back_longest_ago_goes_first() {
    let mut pools = staff("10.0.0.1-10.0.0.3");
    visit(&mut pools, &["kim", "lee", "sam", "kim"]);
    assert_eq!(lease(&mut pools, "ash"), Some(address("10.0.0.2")));
    assert_eq!(lease(&mut pools, "max"), Some(address("10.0.0.3")));
    assert_eq!(lease(&mut pools, "kim"), Some(address("10.0.0.1")));
    assert_eq!(lease(&mut pools, "lee"), None);
    let exhausted = pools.lease("staff", holder("lee"), V4);
    assert_eq!(exhausted, Err(NoAddress::Exhausted));
}

#[test]
fn one_holder_may_have_several_addresses() {
    let mut pools = staff("10.0.0.1-10.0.0.9");
    let first = lease(&mut pools, "kim").unwrap();
    let second = lease(&mut pools, "kim").unwrap();
    assert_ne!(first, second);
    release(&mut pools, second);
    release(&mut pools, first);
    // The last it had comes first, and then the others.
    assert_eq!(lease(&mut pools, "kim"), Some(first));
    assert_eq!(lease(&mut pools, "kim"), Some(second));
}

#[test]
fn an_address_is_given_at_request_unless_somebody_else_has_or_had_it() {
    let mut pools = staff("10.0.0.1-10.0.0.9");
    let wish = |pools: &mut Pools, name: &str, wanted: &str| {
        let given = pools.lease("staff", holder(name), address(wanted));
        given.unwrap().to_string()
    };
    assert_eq!(wish(&mut pools, "kim", "10.0.0.7"), "10.0.0.7");
    assert_eq!(wish(&mut pools, "lee", "10.0.0.7"), "10.0.0.1");
    release(&mut pools, address("10.0.0.7"));
    assert_eq!(wish(&mut pools, "sam", "10.0.0.7"), "10.0.0.2");
    // Not the last it had, but one of its own.
    visit(&mut pools, &["kim"]);
    let other = wish(&mut pools, "kim", "10.0.0.4");
    release(&mut pools, address(&other));
    assert_eq!(wish(&mut pools, "kim", "10.0.0.7"), "10.0.0.7");
    for elsewhere in ["10.0.0.0", "10.0.0.10", "192.0.2.1"] {
        let given = wish(&mut pools, "ash", elsewhere);
        assert_ne!(given, elsewhere);
        assert_ne!(given, other);
    }
}

#[test]
fn families_are_given_out_apart() {
    let range = Some(("2001:db8::1", "2001:db8::1"));
    let mut pools = Pools::new(&[pool("staff", "10.0.0.1-10.0.0.2", range)]);
    let mut any = |name: &str, family| pools.lease("staff", holder(name), family);
    assert_eq!(any("kim", V6), Ok(address("2001:db8::1")));
    assert_eq!(any("lee", V6), Err(NoAddress::Exhausted));
    assert_eq!(any("lee", V4), Ok(address("10.0.0.1")));
    let mut only_v4 = staff("10.0.0.1-10.0.0.2");
    for (pool, family) in [("staff", V6), ("guests", V4)] {
        let none = only_v4.lease(pool, holder("kim"), family);
        assert_eq!(none, Err(NoAddress::OtherFamily), "{pool}");
    }
}

#[test]
fn a_large_pool_costs_what_is_given_out_of_it() {
    let range = Some(("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"));
    let mut pools = Pools::new(&[pool("staff", "10.0.0.0-10.255.255.255", range)]);
    let stay = lease(&mut pools, "stays").unwrap();
    for number in 0..KEPT_ADDRESSES_MAX + 10 {
        visit(&mut pools, &[&number.to_string()]);
    }
    let summary = pools.summaries().next().unwrap();
    assert_eq!((summary.in_use, summary.kept), (1, KEPT_ADDRESSES_MAX));
    // Those that were given back first are forgotten; nobody else is.
    assert_eq!(stay, address("10.0.0.0"));
    assert_eq!(lease(&mut pools, "new"), Some(address("10.0.0.10")));
    assert_eq!(lease(&mut pools, "10"), Some(address("10.0.0.11")));
}

#[test]
fn what_an_earlier_run_knew_is_kept_for_its_holders() {
    let mut before = staff("10.0.0.1-10.0.0.3");
    visit(&mut before, &["kim", "lee", "kim"]);
    let stays = lease(&mut before, "sam").unwrap();
    let known: Vec<_> = before.assignments().collect();

    let mut pools = staff("10.0.0.1-10.0.0.3");
    pools.restore(known.clone());
    assert_eq!(pools.summaries().next().unwrap().kept, 3);
    // In the order in which they were given back; what was in use comes last.
    assert_eq!(lease(&mut pools, "max"), Some(address("10.0.0.2")));
    assert_eq!(lease(&mut pools, "ash"), Some(address("10.0.0.1")));
    assert_eq!(lease(&mut pools, "sam"), Some(stays));

    // What is in no pool, and what is said twice, does not come in.
    let mut smaller = staff("10.0.0.2-10.0.0.2");
    smaller.restore([known.clone(), known].concat());
    assert_eq!(smaller.summaries().next().unwrap().kept, 1);
    assert_eq!(lease(&mut smaller, "lee"), Some(address("10.0.0.2")));
    assert_eq!(lease(&mut smaller, "kim"), None);
}

#[test]
fn pools_may_change_under_those_who_have_addresses() {
    let mut pools = staff("10.0.0.1-10.0.0.9");
    visit(&mut pools, &["ash", "kim"]);
    let stays = lease(&mut pools, "ash").unwrap();
    let goes = lease(&mut pools, "max").unwrap();

    // Renamed and shrunk to two addresses: one in use, one kept.
    pools.reconfigure(&[pool("people", "10.0.0.1-10.0.0.2", None)]);
    let none = pools.lease("staff", holder("kim"), V4);
    assert_eq!(none, Err(NoAddress::OtherFamily));
    let summary = pools.summaries().next().unwrap();
    assert_eq!((summary.in_use, summary.kept), (1, 1));
    let again = pools.lease("people", holder("kim"), stays);
    assert_eq!(again, Ok(address("10.0.0.2")));
    let none = pools.lease("people", holder("lee"), goes);
    assert_eq!(none, Err(NoAddress::Exhausted));

    // An address that no pool has is in use until it is given back.
    pools.reconfigure(&[]);
    assert_eq!(pools.assignments().count(), 3);
    pools.reconfigure(&[pool("staff", "10.0.0.3-10.0.0.3", None)]);
    assert_eq!(lease(&mut pools, "lee"), None);
    release(&mut pools, goes);
    assert_eq!(lease(&mut pools, "lee"), Some(goes));
    release(&mut pools, stays);
    assert_eq!(pools.assignments().count(), 2);
}

/// Whatever happens, nobody gets what somebody has, and every address is free,
/// kept or in use, and only one of these.
#[test]
fn nothing_is_lost_and_nothing_given_twice() {
    let sizes = [
        "10.0.0.1-10.0.0.40",
        "10.0.0.9-10.0.0.20",
        "10.0.0.5-10.0.0.60",
    ];
    let mut state = 1_u64;
    // Numbers below `end`, by Knuth's MMIX generator.
    let mut draw = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let mut pools = staff(sizes[0]);
    let mut leases: Vec<IpAddr> = Vec::new();
    for _ in 0..20_000 {
        match draw(50) {
            0 => pools.reconfigure(&[pool("staff", sizes[draw(sizes.len())], None)]),
            1 => {
                let known = pools.assignments().collect();
                pools.restore(known);
            }
            2..25 => {
                let wanted = [10, 0, 0, draw(64) as u8].into();
                let wanted = [V4, wanted][draw(2)];
                let name = holder(&draw(50).to_string());
                if let Ok(given) = pools.lease("staff", name, wanted) {
                    assert!(!leases.contains(&given), "{given} is given twice");
                    leases.push(given);
                }
            }
            _ if leases.is_empty() => {}
            _ => release(&mut pools, leases.swap_remove(draw(leases.len()))),
        }
        let summary = pools.summaries().next().unwrap();
        let range = pools.ranges.first().unwrap();
        let free = summary.size() as usize - summary.in_use - summary.kept;
        assert_eq!(range.free.len(), free);
        assert_eq!(pools.in_use.len(), leases.len());
    }
}

#[test]
fn every_change_is_told_and_giving_back_twice_is_none() {
    let mut pools = staff("10.0.0.1-10.0.0.9");
    let before = pools.changes();
    let given = lease(&mut pools, "kim").unwrap();
    let leased = pools.changes();
    assert_ne!(leased, before);
    release(&mut pools, given);
    assert_ne!(pools.changes(), leased);
    release(&mut pools, given);
    assert_eq!(pools.summaries().next().unwrap().kept, 1);
    assert_eq!(lease(&mut pools, "lee"), Some(address("10.0.0.2")));
}

#[test]
fn nobody_gets_our_own_address_by_name() {
    let own = AddressPool {
        gateway: [address("10.0.0.1")].into(),
        ..pool("staff", "10.0.0.2-10.0.0.9", None)
    };
    let mut pools = Pools::new(&[own]);
    let refused = pools.reserve(holder("kim"), address("10.0.0.1"));
    assert_eq!(refused, Err(NoAddress::Exhausted));
    assert!(pools.reserve(holder("kim"), address("10.0.0.2")).is_ok());
    // Nor is it held back where it is not ours any more.
    pools.reconfigure(&[pool("staff", "10.0.0.2-10.0.0.9", None)]);
    assert!(pools.reserve(holder("lee"), address("10.0.0.1")).is_ok());
}
