//! Whom the program limits now, as its buckets tell.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use aya::maps::{Array, HashMap, MapData, MapError};
use ikexdp_common::address::Address;
use ikexdp_common::guard::Bucket;
use ikexdp_common::limit::NETWORK_SOURCES;
use ikexdp_common::maps::{CONFIG, Config, Cookies, SOURCES};

use super::attached::{Attached, AttachedError};
use crate::clock::kernel_time_ns;
use crate::view::{Limit, LimitedSource, Limits, network};

/// Sources that are looked at, at most: as many as there are by default. Each takes two
/// system calls.
const SOURCES_MAX: usize = ikexdp_common::maps::SOURCES_DEFAULT as usize;

/// The buckets of a source.
type Row = [u64; Bucket::COUNT];

impl Attached {
    /// Whom it limits now.
    ///
    /// # Errors
    /// [`AttachedError`] if the kernel refuses, which it has no reason to.
    pub fn limits(&self) -> Result<Limits, AttachedError> {
        let config: Array<MapData, [u64; Config::WORDS]> = self.map(CONFIG)?;
        let config = config.get(&0, 0).map_err(|error| self.unreadable(error))?;
        let config = Config::from_words(&config);
        let sources: HashMap<MapData, [u8; 16], Row> = self.map(SOURCES)?;
        let limits = gather(&config, sources.iter(), kernel_time_ns);
        limits.map_err(|error| self.unreadable(error))
    }
}

/// Who of `sources`, or of as many of them as are looked at, is limited.
fn gather(
    config: &Config,
    sources: impl Iterator<Item = Result<([u8; 16], Row), MapError>>,
    now: impl Fn() -> u64,
) -> Result<Limits, MapError> {
    // Who asks a map on after its end hears of its first row again.
    let mut sources = sources.fuse();
    // One that is forgotten meanwhile has the kernel begin anew.
    let mut limits = BTreeMap::new();
    for entry in sources.by_ref().take(SOURCES_MAX) {
        let (source, buckets) = entry?;
        let source = Address(source);
        limits.insert(source, over(config, source, buckets, now()));
    }
    Ok(Limits {
        known: limits.keys().filter(|one| !one.is_network()).count(),
        is_partial: sources.next().is_some(),
        sources: limits
            .into_iter()
            .filter(|(_, limits)| !limits.is_empty())
            .map(|(source, limits)| LimitedSource {
                network: prefix(source),
                limits,
            })
            .collect(),
    })
}

/// The addresses that a bucket is of.
fn prefix(source: Address) -> String {
    if source.is_network() {
        let [a, b, c, d, e, f, ..] = source.0;
        let first = [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        return format!("{}/48", Ipv6Addr::from(first));
    }
    network(IpAddr::from(source))
}

/// The limits by which the next message of `source`, or of a network, would be refused at
/// `now`, in nanoseconds, as the guard takes tokens.
fn over(config: &Config, source: Address, buckets: Row, now: u64) -> Vec<Limit> {
    let share = |bucket| {
        let rate = config.limits(bucket).source;
        if source.is_network() {
            rate.times(NETWORK_SOURCES)
        } else {
            rate
        }
    };
    let [mut init, mut proven, mut stray] = buckets;
    let cookies = config.cookies;
    let limits = [
        (
            Limit::Init,
            cookies == Cookies::OverRate && !share(Bucket::Init).has(&mut init, now),
        ),
        (
            Limit::Proven,
            cookies != Cookies::Off && !share(Bucket::Proven).has(&mut proven, now),
        ),
        (Limit::Stray, !share(Bucket::Stray).has(&mut stray, now)),
    ];
    let over = limits.into_iter().filter(|(_, is_over)| *is_over);
    over.map(|(limit, _)| limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_common::limit::{Limits, Rate};

    #[test]
    fn a_source_is_over_the_limits_whose_buckets_are_empty() {
        const NOW: u64 = 1_000_000_000_000;
        let each = |source| Limits {
            source,
            total: Rate::default(),
        };
        let source = Address::from_v4([192, 0, 2, 1]);
        let config = Config {
            cookies: Cookies::OverRate,
            init: each(Rate::per_second(10, 5)),
            proven: each(Rate::per_second(10, 5)),
            stray: each(Rate::per_second(1, 2)),
            ..Config::default()
        };
        let take = |rate: Rate, tokens| {
            let mut bucket = 0;
            assert!((0..tokens).all(|_| rate.take(&mut bucket, NOW)));
            bucket
        };
        let [last, empty] = [4, 5].map(|tokens| take(config.init.source, tokens));
        let [stray, strays] = [1, 2].map(|tokens| take(config.stray.source, tokens));
        for (buckets, limits) in [
            ([0; 3], &[][..]),
            ([last, last, stray], &[]),
            ([empty, last, stray], &[Limit::Init]),
            ([last, empty, strays], &[Limit::Proven, Limit::Stray]),
        ] {
            assert_eq!(over(&config, source, buckets, NOW), limits, "{buckets:?}");
        }
        let all = [empty, empty, strays];
        assert_eq!(over(&config, source, all, NOW).len(), 3);
        let later = NOW + 1_000_000_000;
        assert_eq!(over(&config, source, all, later), [], "they fill again");
        let cookies = |cookies| over(&Config { cookies, ..config }, source, all, NOW);
        assert_eq!(cookies(Cookies::Always), [Limit::Proven, Limit::Stray]);
        assert_eq!(cookies(Cookies::Off), [Limit::Stray]);
        assert_eq!(
            over(&Config::default(), source, all, NOW),
            [],
            "there is no limit"
        );
    }

    /// As the kernel's maps do, when they are asked on.
    #[test]
    fn rows_that_come_again_are_no_more_rows() {
        let mut number = 0;
        let rows = std::iter::from_fn(|| {
            number += 1;
            (number % 2 == 1).then_some(Ok(([7; 16], [0; Bucket::COUNT])))
        });
        let limits = gather(&Config::default(), rows, || 1).unwrap();
        assert_eq!((limits.known, limits.is_partial), (1, false));
    }

    #[test]
    fn networks_are_no_sources_and_what_was_not_looked_at_is_said() {
        let host = |number: u32| Address::from_v4(number.to_be_bytes()).0;
        let hosts = |count: usize| (0..count as u32).map(move |it| Ok((host(it), [0; 3])));
        let one = Address::from(IpAddr::from([0x2001, 0xdb8, 1, 2, 0, 0, 0, 3]));
        let both = [one.source(), one.network().unwrap()].map(|it| Ok((it.0, [0; 3])));
        let config = Config::default();
        let gather = |sources: &mut dyn Iterator<Item = _>| {
            let limits = gather(&config, sources, || 0).unwrap();
            (limits.known, limits.is_partial)
        };
        assert_eq!(gather(&mut both.into_iter().chain(hosts(2))), (3, false));
        assert_eq!(gather(&mut hosts(SOURCES_MAX)), (SOURCES_MAX, false));
        assert_eq!(gather(&mut hosts(SOURCES_MAX + 1)), (SOURCES_MAX, true));
    }

    #[test]
    fn a_network_has_the_share_of_some_sources() {
        let rate = Rate::per_second(1, 2);
        let mut config = Config::default();
        config.stray.source = rate;
        let one = Address::from(IpAddr::from([0x2001, 0xdb8, 1, 2, 0, 0, 0, 3]));
        let network = one.network().unwrap();
        assert_eq!(prefix(network), "2001:db8:1::/48");
        assert_eq!(prefix(one.source()), "2001:db8:1:2::/64");
        let (now, mut bucket) = (1_000_000_000_000, 0);
        let mut taken = 0;
        while over(&config, network, [0, 0, bucket], now).is_empty() {
            assert!(rate.times(NETWORK_SOURCES).take(&mut bucket, now));
            taken += 1;
        }
        assert_eq!(taken, 8);
    }
}
