//! An SA and the secret that XDP knew its SPI by, in the kernel.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aya::programs::{TestRun, TestRunOptions};
use harness::packet::{Packet, ike_sa_init};
use ikexdp_common::maps;
use ikexdp_common::verdict::Verdict;
use ikexdp_proto::config::RemoteSelectors;
use ikexdp_proto::job::{JobId, JobResult};
use ikexdp_proto::time::Instant;
use ikexdp_proto::types::Path;
use ikexdp_proto::{Command, Input, Output};

use super::super::shield::Shield;
use super::*;
use crate::xdp::Program;

/// More than the trickle of what is only refused, from one source and all at once.
const MESSAGES: u64 = 200;

/// How long SPIs are made with a secret.
const LIFETIME_HOURS: u32 = 6;

/// As many secrets as XDP checks with, and one more: none of the first is left.
const ROTATIONS: usize = 3;

struct Lab {
    shield: Shield,
    engine: Endpoint,
    program: Program,
    gateway: IpAddr,
    peer: IpAddr,
}

impl Lab {
    fn new() -> Self {
        let config = engine("gateway", RemoteSelectors::Fixed(Vec::new()), false);
        let random = || entropy::seeded().unwrap();
        let observers = Observers::new(Waker::new().unwrap());
        let shield = Shield::new(&Defence::default(), config.gate, observers, random());
        let gateway = "192.0.2.1".parse().unwrap();
        let frame_max = 2048;
        let config_of_xdp = maps::Config {
            frame_max,
            ..maps::Config::default()
        };
        let mut program = Program::load(config_of_xdp, 16).unwrap();
        program.set_addresses(&BTreeSet::from([gateway])).unwrap();
        Self {
            engine: Endpoint::new(config, Box::new(random()), shield.allocator()),
            shield,
            program,
            gateway,
            peer: "192.0.2.2".parse().unwrap(),
        }
    }

    /// Has the engine make an SA: what to do for it, and its SPI.
    fn begin(&mut self) -> (JobId, u64) {
        let path = Path {
            local: (self.gateway, 500).into(),
            remote: (self.peer, 500).into(),
            marker: false,
        };
        let connection = "staff".to_owned();
        let initiate = Command::Initiate { connection, path };
        let earlier: BTreeSet<_> = self.engine.our_spis().collect();
        self.engine.handle(Instant::ZERO, Input::Command(initiate));
        let Some(Output::Job(id, _)) = self.engine.poll_output() else {
            panic!("a key is made first");
        };
        let mut spis = self.engine.our_spis();
        let spi = spis.find(|spi| !earlier.contains(spi)).unwrap();
        (id, spi.0)
    }

    /// Does what is due in the hours after `now`; when that is.
    fn hours_later(&mut self, now: Instant, hours: u32) -> Instant {
        const STEP: Duration = Duration::from_secs(600);

        (0..hours * 6).fold(now, |now, _| {
            let now = now + STEP;
            self.tend(now);
            now
        })
    }

    fn tend(&mut self, now: Instant) {
        self.shield.tend(now, &self.engine, Some(&mut self.program));
    }

    /// How many of the peer's messages that name this SPI of ours are dropped in the kernel.
    fn dropped(&mut self, spi: u64) -> u64 {
        let mut message = ike_sa_init(100);
        message[..8].copy_from_slice(&spi.to_be_bytes());
        message[8..16].fill(0x22);
        // INFORMATIONAL, from the responder.
        message[18..20].copy_from_slice(&[37, 0]);
        let packet = Packet::new(self.peer, self.gateway, 500).carrying(message);
        let frame = packet.build();
        let before = self.program.counters().unwrap().total(Verdict::DropStray);
        for _ in 0..MESSAGES {
            let options = TestRunOptions {
                data_in: Some(&frame),
                ..TestRunOptions::new()
            };
            self.program.xdp().unwrap().test_run(options).unwrap();
        }
        self.program.counters().unwrap().total(Verdict::DropStray) - before
    }
}

/// A living SA is heard whatever its secret, and nothing is when it is gone.
#[test]
#[ignore = "needs CAP_BPF"]
fn xdp_hears_an_sa_across_rotations_of_the_secret_and_until_it_is_gone() {
    let mut lab = Lab::new();
    let mut now = Instant::ZERO;
    lab.tend(now);
    let (job, spi) = lab.begin();
    assert_eq!(lab.dropped(spi), 0, "the secret is known");
    assert_ne!(lab.dropped(!spi), 0, "it is nobody's");
    let mut younger = Vec::new();
    for _ in 0..ROTATIONS {
        now = lab.hours_later(now, LIFETIME_HOURS);
        assert_eq!(lab.dropped(spi), 0, "at {now:?}");
        younger.push(lab.begin().1);
        for spi in &younger {
            assert_eq!(lab.dropped(*spi), 0, "at {now:?}");
        }
    }
    let abandoned = Input::JobDone(job, JobResult::Abandoned);
    lab.engine.handle(now, abandoned);
    lab.hours_later(now, 1);
    assert_ne!(lab.dropped(spi), 0, "it is gone");
    assert_eq!(lab.dropped(younger[0]), 0);
}
