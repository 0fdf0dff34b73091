//! What the kernel's maps take, when there is more than that.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aya::programs::{TestRun as _, TestRunOptions};
use harness::frames::{Told, load, load_for, no_cookie};
use ikexdp_common::guard::Listing;
use ikexdp_common::limit::Rate;
use ikexdp_common::maps::{Config, Cookies, LISTED_MAX};
use ikexdp_common::verdict::Verdict;
use ipnet::IpNet;

/// So many addresses from `first` on, as the map wants them.
fn hosts(first: u32, listing: Listing) -> BTreeMap<IpNet, Listing> {
    let hosts = (first..).take(LISTED_MAX).map(Ipv4Addr::from_bits);
    hosts
        .map(|host| (IpNet::from(IpAddr::from(host)), listing))
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

/// Whoever is refused is not remembered, and has nobody else forgotten.
#[test]
#[ignore = "needs CAP_BPF"]
fn a_customer_of_many_networks_has_nobody_forgotten() {
    let mut config = Config {
        cookies: Cookies::OverRate,
        ..Config::default()
    };
    config.init.source = Rate::per_second(1, 1);
    // None comes back while this runs.
    config.init.source.interval = 1 << 50;
    let told = Told {
        config,
        ..Told::default()
    };
    let mut program = load_for(&told, 64);
    let mut opens = |address: IpAddr| {
        let options = TestRunOptions {
            data_in: Some(&no_cookie(address).build()),
            ..TestRunOptions::new()
        };
        program.xdp().unwrap().test_run(options).unwrap();
        let counters = program.counters().unwrap();
        [Verdict::ReplyCookieSource, Verdict::ReplyCookieNetwork].map(|it| counters.total(it))
    };
    let one = IpAddr::from([198, 51, 100, 7]);
    assert_eq!(opens(one), [0, 0]);
    assert_eq!(opens(one), [1, 0]);
    for network in 0..1000 {
        let network = Ipv6Addr::new(0x2001, 0xdb8, 0xee, network, 0, 0, 0, 1);
        opens(network.into());
    }
    assert_eq!(opens(one), [2, 1000 - 4]);
}
