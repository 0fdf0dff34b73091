//! What the kernel's maps take, when there is more than that.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use harness::frames::{Told, load};
use ikexdp_common::guard::Listing;
use ikexdp_common::maps::LISTED_MAX;
use ipnet::IpNet;

/// So many addresses from `first` on, as the map wants them.
fn hosts(first: u32, listing: Listing) -> BTreeMap<IpNet, Listing> {
    let hosts = (first..).take(LISTED_MAX).map(Ipv4Addr::from_bits);
    hosts
        .map(|host| (IpNet::from(std::net::IpAddr::from(host)), listing))
        .collect()
}

/// What goes is gone before what comes needs its place, and in a full map everything can
/// still change.
#[test]
#[ignore = "needs CAP_BPF"]
fn prefixes_beyond_the_limit_are_left_out() {
    const FIRST: u32 = 0x0a00_0000;
    let mut program = load(&Told::default());
    let blocked = hosts(FIRST, Listing::Blocked);
    assert_eq!(program.set_listed(&blocked).unwrap(), 0);
    let allowed = hosts(FIRST, Listing::Allowed);
    assert_eq!(program.set_listed(&allowed).unwrap(), 0);
    let mut more = hosts(FIRST - LISTED_MAX as u32, Listing::Blocked);
    more.extend(allowed);
    assert_eq!(program.set_listed(&more).unwrap(), LISTED_MAX);
    assert_eq!(program.set_listed(&BTreeMap::new()).unwrap(), 0);
}
