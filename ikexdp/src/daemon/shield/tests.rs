use std::collections::BTreeMap;
use std::net::SocketAddr;

use ikexdp_proto::config::RemoteSelectors;
use ikexdp_proto::job::{JobId, JobResult};
use ikexdp_proto::types::Path;
use ikexdp_proto::{Command, Input, Output};
use ipnet::IpNet;

use super::*;
use crate::control::Caller;
use crate::daemon::tests::engine;
use crate::waker::Waker;
use crate::{entropy, view};

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
        let shield = Shield::new(
            &defence,
            config.gate,
            Observers::new(Waker::new().unwrap()),
            entropy::seeded().unwrap(),
        );
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
        self.shield.minting.lock().verify(spi)
    }

    /// Lets the shield do all that is due until `end`.
    fn tend_until(&mut self, end: Instant) {
        while let Some(due) = self.due(end) {
            self.shield.tend(due, &self.engine, None::<&mut Kernel>);
        }
    }

    /// The same with XDP, which is asked what it has answered.
    fn tend_with(&mut self, kernel: &mut Kernel, end: Instant) {
        while let Some(due) = self.due(end) {
            self.shield.asked = due;
            self.shield.tend(due, &self.engine, Some(&mut *kernel));
        }
    }

    fn due(&self, end: Instant) -> Option<Instant> {
        let due = self.shield.deadline(&self.engine);
        due.filter(|due| *due <= end)
    }
}

/// The maps, as long as they take anything.
#[derive(Default)]
struct Kernel {
    config: maps::Config,
    secrets: Option<Secrets>,
    listed: BTreeMap<IpNet, Listing>,
    /// How many prefixes were changed one by one.
    changed: usize,
    kept: BTreeSet<u64>,
    /// What is refused, and how often it was.
    refuses_lists: bool,
    refuses_kept: bool,
    refuses_secrets: bool,
    refusals: usize,
}

impl Kernel {
    /// Whether XDP knows an SPI as ours.
    fn knows(&self, spi: u64) -> bool {
        let secrets = self.secrets.as_ref();
        secrets.is_some_and(|secrets| secrets.spis.verify(spi)) || self.kept.contains(&spi)
    }

    fn take(&mut self, refuses: bool) -> Result<usize, MapError> {
        if refuses {
            self.refusals += 1;
            return Err(MapError::ElementNotFound);
        }
        Ok(0)
    }
}

impl Maps for Kernel {
    fn config(&self) -> maps::Config {
        self.config
    }

    fn configure(&mut self, config: maps::Config) -> Result<(), MapError> {
        self.config = config;
        Ok(())
    }

    fn set_secrets(&mut self, secrets: &Secrets) -> Result<(), MapError> {
        self.take(self.refuses_secrets)?;
        self.secrets = Some(secrets.clone());
        Ok(())
    }

    fn set_listed(&mut self, listed: &BTreeMap<IpNet, Listing>) -> Result<usize, MapError> {
        let left_out = self.take(self.refuses_lists)?;
        self.listed.clone_from(listed);
        Ok(left_out)
    }

    fn change_listed(
        &mut self,
        listed: &BTreeMap<IpNet, Listing>,
        changed: &BTreeSet<IpNet>,
    ) -> Result<usize, MapError> {
        let left_out = self.take(self.refuses_lists)?;
        self.changed += changed.len();
        for prefix in changed {
            match listed.get(prefix) {
                Some(listing) => self.listed.insert(*prefix, *listing),
                None => self.listed.remove(prefix),
            };
        }
        Ok(left_out)
    }

    fn set_kept_spis(&mut self, spis: &BTreeSet<u64>) -> Result<usize, MapError> {
        let left_out = self.take(self.refuses_kept)?;
        self.kept.clone_from(spis);
        Ok(left_out)
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

/// As long as anybody does, and the defence stays.
#[test]
fn while_somebody_looks_xdp_passes_ike() {
    let (mut lab, mut kernel) = (Lab::new(), Kernel::default());
    let tend = |lab: &mut Lab, kernel: &mut Kernel| {
        lab.shield.tend(START, &lab.engine, Some(&mut *kernel));
        assert!(kernel.config.check_spis);
        kernel.config.observed
    };
    assert!(!tend(&mut lab, &mut kernel));
    let first = lab.shield.observers.admit().unwrap();
    let second = lab.shield.observers.admit().unwrap();
    assert!(tend(&mut lab, &mut kernel));
    drop(first);
    assert!(tend(&mut lab, &mut kernel));
    drop(second);
    assert!(!tend(&mut lab, &mut kernel));
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

/// XDP drops what names an SPI that it does not know, so none is made that it does not.
#[test]
fn while_xdp_takes_no_secret_none_is_used() {
    for of_secrets in [true, false] {
        let mut lab = Lab::new();
        let mut kernel = Kernel::default();
        lab.shield.tend(START, &lab.engine, Some(&mut kernel));
        let mut now = START;
        let all_are_known = |lab: &Lab, kernel: &Kernel| {
            assert!(lab.spis().iter().all(|spi| kernel.knows(*spi)));
        };
        for _ in 0..3 {
            lab.begin(now);
            now = now + SPI_SECRET_LIFETIME;
            lab.tend_with(&mut kernel, now);
            all_are_known(&lab, &kernel);
        }
        let before = kernel.secrets.clone();
        kernel.refuses_secrets = of_secrets;
        kernel.refuses_kept = !of_secrets;
        for _ in 0..3 {
            now = now + SPI_SECRET_LIFETIME;
            lab.tend_with(&mut kernel, now);
            lab.begin(now);
            all_are_known(&lab, &kernel);
        }
        assert!(kernel.refusals > 1, "it is told again");
        assert!(
            kernel.secrets == before,
            "with SPIs unknown, it has no use for others"
        );
        (kernel.refuses_secrets, kernel.refuses_kept) = (false, false);
        now = now + RETRY_INTERVAL;
        lab.tend_with(&mut kernel, now);
        assert!(kernel.secrets != before);
        lab.begin(now);
        all_are_known(&lab, &kernel);
        assert_eq!(lab.spis().len(), 7);
    }
}

/// It is told nothing over and over, but at intervals, and all else meanwhile.
#[test]
fn what_xdp_does_not_take_it_is_told_again_later() {
    let mut lab = Lab::new();
    let mut kernel = Kernel {
        refuses_lists: true,
        ..Kernel::default()
    };
    for _ in 0..100 {
        lab.shield.tend(START, &lab.engine, Some(&mut kernel));
    }
    assert_eq!(kernel.refusals, 1);
    assert!(kernel.secrets.is_some() && kernel.config.check_spis);
    assert_eq!(kernel.config.cookies, maps::Cookies::OverRate);
    lab.shield.gate.cookies = Cookies::Off;
    lab.shield.tend(START, &lab.engine, Some(&mut kernel));
    assert_eq!(kernel.config.cookies, maps::Cookies::Off, "at once");
    let end = START + RETRY_INTERVAL * 5;
    lab.tend_with(&mut kernel, end);
    assert_eq!(kernel.refusals, 7);
    kernel.refuses_lists = false;
    let by = Caller { uid: 0, pid: None };
    let blocked: IpNet = "192.0.2.0/24".parse().unwrap();
    let said = (view::Listing::Blocked, Some(60));
    lab.shield.list(end, &[blocked], said, by).unwrap();
    lab.tend_with(&mut kernel, end + RETRY_INTERVAL);
    assert_eq!(kernel.listed, [(blocked, Listing::Blocked)].into());
    lab.tend_with(&mut kernel, end + Duration::from_secs(60));
    assert!(kernel.listed.is_empty(), "its time is over");
    assert_eq!(lab.shield.retry, None);
}

/// Who asked is told, and it is not left for later that something else was refused.
#[test]
fn a_command_is_tried_at_once_and_known_to_be_refused() {
    let mut lab = Lab::new();
    let mut kernel = Kernel {
        refuses_lists: true,
        ..Kernel::default()
    };
    assert!(!lab.shield.tend(START, &lab.engine, Some(&mut kernel)));
    let by = Caller { uid: 0, pid: None };
    let blocked: IpNet = "192.0.2.0/24".parse().unwrap();
    let said = (view::Listing::Blocked, None);
    for refusals in [2, 3] {
        lab.shield.list(START, &[blocked], said, by).unwrap();
        assert!(!lab.shield.tend(START, &lab.engine, Some(&mut kernel)));
        assert_eq!(kernel.refusals, refusals);
    }
    kernel.refuses_lists = false;
    assert!(
        !lab.shield.tend(START, &lab.engine, Some(&mut kernel)),
        "later"
    );
    lab.shield.unlist(&[blocked], by).unwrap();
    assert!(lab.shield.tend(START, &lab.engine, Some(&mut kernel)));
    assert!(kernel.listed.is_empty());
    // Nobody is told of what the daemon does alone.
    lab.shield.list(START, &[blocked], said, by).unwrap();
    assert!(lab.shield.tend(START, &lab.engine, None::<&mut Kernel>));
}

/// However much is listed already.
#[test]
fn a_command_takes_as_much_as_it_changes() {
    let mut lab = Lab::new();
    let mut kernel = Kernel::default();
    lab.shield.tend(START, &lab.engine, Some(&mut kernel));
    let by = Caller { uid: 0, pid: None };
    let nets = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"];
    let nets = nets.map(|text| text.parse::<IpNet>().unwrap());
    for (net, seconds) in nets.into_iter().zip([None, Some(9), None]) {
        let said = (view::Listing::Blocked, seconds);
        lab.shield.list(START, &[net], said, by).unwrap();
        assert!(lab.shield.tend(START, &lab.engine, Some(&mut kernel)));
    }
    assert_eq!((kernel.changed, kernel.listed.len()), (3, 3));
    lab.shield.unlist(&nets[..1], by).unwrap();
    let end = START + Duration::from_secs(9);
    assert!(lab.shield.tend(end, &lab.engine, Some(&mut kernel)));
    assert_eq!(kernel.changed, 5);
    assert_eq!(kernel.listed, [(nets[2], Listing::Blocked)].into());
}

#[test]
fn few_replies_are_at_least_one() {
    for (replies, seconds, rate) in [(0, 1, 0), (1, 60, 1), (6000, 60, 100), (50, 1, 50)] {
        let elapsed = Duration::from_secs(seconds);
        assert_eq!(per_second(replies, elapsed), Some(rate));
    }
    assert_eq!(per_second(1, Duration::ZERO), None);
}
