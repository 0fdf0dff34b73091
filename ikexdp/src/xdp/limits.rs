//! Whom the program limits now, as its buckets tell.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::maps::{Array, HashMap, MapData};
use ikexdp_common::address::Address;
use ikexdp_common::guard::Bucket;
use ikexdp_common::limit::Rate;
use ikexdp_common::maps::{CONFIG, Config, Cookies, SOURCES};

use super::attached::{Attached, AttachedError};
use crate::clock::kernel_time_ns;
use crate::view::{Limit, LimitedSource, Limits, network};

/// Sources that are looked at, at most: as many as there are by default. Each takes two
/// system calls.
const SOURCES_MAX: usize = ikexdp_common::maps::SOURCES_DEFAULT as usize;

/// The buckets of a source.
type Buckets = [u64; Bucket::COUNT];

impl Attached {
    /// Whom it limits now.
    ///
    /// # Errors
    /// [`AttachedError`] if the kernel refuses, which it has no reason to.
    pub fn limits(&self) -> Result<Limits, AttachedError> {
        let config: Array<MapData, [u64; Config::WORDS]> = self.map(CONFIG)?;
        let config = config.get(&0, 0).map_err(|error| self.unreadable(error))?;
        let config = Config::from_words(&config);
        let sources: HashMap<MapData, [u8; 16], Buckets> = self.map(SOURCES)?;
        // One that is forgotten meanwhile has the kernel begin anew.
        let mut limits = BTreeMap::new();
        for entry in sources.iter().take(SOURCES_MAX) {
            let (source, buckets) = entry.map_err(|error| self.unreadable(error))?;
            limits.insert(Address(source), over(&config, buckets, kernel_time_ns()));
        }
        Ok(Limits {
            known: limits.len(),
            sources: limits
                .into_iter()
                .filter(|(_, limits)| !limits.is_empty())
                .map(|(source, limits)| LimitedSource {
                    network: network(IpAddr::from(source)),
                    limits,
                })
                .collect(),
        })
    }
}

/// The limits by which the next message of a source would be refused at `now`, in
/// nanoseconds, as the guard takes tokens.
fn over(config: &Config, [init, proven, stray]: Buckets, now: u64) -> Vec<Limit> {
    let Config {
        cookies,
        source,
        stray_source,
        ..
    } = *config;
    let is_empty = |rate: Rate, mut bucket| rate.interval != 0 && !rate.take(&mut bucket, now);
    let limits = [
        (
            Limit::Init,
            cookies == Cookies::OverRate && is_empty(source, init),
        ),
        (
            Limit::Proven,
            cookies != Cookies::Off && is_empty(source, proven),
        ),
        (Limit::Stray, is_empty(stray_source, stray)),
    ];
    let over = limits.into_iter().filter(|(_, is_over)| *is_over);
    over.map(|(limit, _)| limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_over_the_limits_whose_buckets_are_empty() {
        const NOW: u64 = 1_000_000_000_000;
        let config = Config {
            cookies: Cookies::OverRate,
            source: Rate::per_second(10, 5),
            stray_source: Rate::per_second(1, 2),
            ..Config::default()
        };
        let take = |rate: Rate, tokens| {
            let mut bucket = 0;
            assert!((0..tokens).all(|_| rate.take(&mut bucket, NOW)));
            bucket
        };
        let [last, empty] = [4, 5].map(|tokens| take(config.source, tokens));
        let [stray, strays] = [1, 2].map(|tokens| take(config.stray_source, tokens));
        for (buckets, limits) in [
            ([0; 3], &[][..]),
            ([last, last, stray], &[]),
            ([empty, last, stray], &[Limit::Init]),
            ([last, empty, strays], &[Limit::Proven, Limit::Stray]),
        ] {
            assert_eq!(over(&config, buckets, NOW), limits, "{buckets:?}");
        }
        let all = [empty, empty, strays];
        assert_eq!(over(&config, all, NOW).len(), 3);
        let later = NOW + 1_000_000_000;
        assert_eq!(over(&config, all, later), [], "they fill again");
        let cookies = |cookies| over(&Config { cookies, ..config }, all, NOW);
        assert_eq!(cookies(Cookies::Always), [Limit::Proven, Limit::Stray]);
        assert_eq!(cookies(Cookies::Off), [Limit::Stray]);
        assert_eq!(over(&Config::default(), all, NOW), [], "there is no limit");
    }
}
