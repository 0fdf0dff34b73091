use std::net::SocketAddr;

use ikexdp_proto::config::RemoteSelectors;
use ikexdp_proto::job::{JobId, JobResult};
use ikexdp_proto::types::Path;
use ikexdp_proto::{Command, Input, Output};

use super::*;
use crate::daemon::tests::engine;
use crate::entropy;

const START: Instant = Instant::from_micros(1);

struct Lab {
    shield: Shield,
    engine: Endpoint,
}

impl Lab {
    fn new() -> Self {
        let config = engine("gateway", RemoteSelectors::Fixed(Vec::new()), false);
        let defence = Defence {
            node: 7,
            ..Defence::default()
        };
        let shield = Shield::new(&defence, config.gate, entropy::seeded().unwrap());
        let random = Box::new(entropy::seeded().unwrap());
        Self {
            engine: Endpoint::new(config, random, shield.allocator()),
            shield,
        }
    }

    /// Has the engine make an SA: what to do for it.
    fn begin(&mut self, now: Instant) -> JobId {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let path = Path {
            local: address("192.0.2.1:500"),
            remote: address("192.0.2.2:500"),
            marker: false,
        };
        let connection = "staff".to_owned();
        let initiate = Command::Initiate { connection, path };
        self.engine.handle(now, Input::Command(initiate));
        match self.engine.poll_output() {
            Some(Output::Job(id, _)) => id,
            other => panic!("a key is made first: {other:?}"),
        }
    }

    fn spis(&self) -> Vec<u64> {
        self.engine.our_spis().map(|spi| spi.0).collect()
    }

    fn verifies(&self, spi: u64) -> bool {
        self.shield.spis.lock().verify(spi)
    }

    /// Lets the shield do all that is due until `end`.
    fn tend_until(&mut self, end: Instant) {
        loop {
            let due = self.shield.deadline(&self.engine);
            if due > end {
                return;
            }
            self.shield.tend(due, &self.engine, None);
        }
    }
}

#[test]
fn spis_of_the_engine_are_known_without_a_table() {
    let mut lab = Lab::new();
    for _ in 0..10 {
        lab.begin(START);
    }
    let spis = lab.spis();
    assert_eq!(spis.len(), 10);
    for spi in spis {
        assert_eq!(spi >> 56, 7, "the node");
        assert!(lab.verifies(spi));
    }
}

/// An SA lives on when its secret is forgotten, and no longer than that.
#[test]
fn what_no_secret_shows_is_kept_as_long_as_it_lives() {
    let mut lab = Lab::new();
    let old = lab.begin(START);
    let [spi] = lab.spis()[..] else {
        panic!("one SA")
    };
    lab.tend_until(START + SPI_SECRET_LIFETIME);
    assert!(lab.verifies(spi) && lab.shield.kept.is_empty());
    lab.begin(START);
    let end = START + SPI_SECRET_LIFETIME * 2;
    lab.tend_until(end);
    assert!(!lab.verifies(spi));
    assert_eq!(lab.shield.kept, BTreeSet::from([spi]));
    lab.tend_until(end + KEPT_TIME);
    assert_eq!(lab.shield.kept, BTreeSet::from([spi]));
    // It fails.
    let abandoned = Input::JobDone(old, JobResult::Abandoned);
    lab.engine.handle(end, abandoned);
    assert_eq!(lab.spis().len(), 1);
    lab.tend_until(end + KEPT_TIME * 2);
    assert!(lab.shield.kept.is_empty());
}

/// A new secret is for new SPIs at once.
#[test]
fn the_engine_mints_with_the_newest_secret() {
    let mut lab = Lab::new();
    for life in 1..10 {
        lab.tend_until(START + SPI_SECRET_LIFETIME * life);
        lab.begin(START);
        let spis = lab.spis();
        let known = spis.iter().filter(|spi| lab.verifies(**spi)).count();
        let recent = spis.len().min(2);
        assert_eq!(known, recent, "after {life} secrets");
        assert_eq!(lab.shield.kept.len(), spis.len() - recent);
    }
}

#[test]
fn few_replies_are_at_least_one() {
    for (replies, seconds, rate) in [(0, 1, 0), (1, 60, 1), (6000, 60, 100), (50, 1, 50)] {
        let elapsed = Duration::from_secs(seconds);
        assert_eq!(per_second(replies, elapsed), Some(rate));
    }
    assert_eq!(per_second(1, Duration::ZERO), None);
}
