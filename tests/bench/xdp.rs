//! `cargo xtask bench xdp`: nanoseconds that each verdict costs beyond passing a frame untouched.
//!
//! The kernel runs a program many times on one frame (BPF_PROG_TEST_RUN), with warm caches; ours and
//! one that only passes take turns. A frame that is answered in its place is made again what it was
//! before each run, and so is that of the program that only passes.

use std::{collections::BTreeMap, fs};

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use harness::{
    bpf::{Pass, Restoring},
    frames::{Told, cases, configs, load, table},
    namespace::Namespace,
    udp::PATIENCE,
};
use ikexdp::{
    xdp::{Interface, Program},
    xsk::{Socket, Transfer},
};
use ikexdp_common::{
    limit::Limits,
    maps::Config,
    verdict::{
        Action,
        Verdict::{self, *},
    },
};

use crate::median;

/// Measurements of each verdict, of which the medians count.
const ROUNDS: usize = 25;
/// Runs of a program in a measurement.
const RUNS: u32 = 100_000;

/// What is no IKE, and what may be added to it, in nanoseconds.
const NOT_IKE: [Verdict; 6] = [
    PassNotIp,
    PassNotUdp,
    PassFragment,
    PassOtherPort,
    PassTransit,
    PassEsp,
];
const NOT_IKE_MAX: f64 = 30.0;
/// Rows of what has to be searched for, though it is not for us: of all that passes, hardly anything.
const SEARCHED: [&str; 2] = [
    "to our broadcast address",
    "to and from who shares a bit of the filter with us",
];
/// What may be added to a request that is answered with COOKIE, in nanoseconds.
const REPLY_MAX: f64 = 300.0;

/// A frame, and what comes before it.
struct Subject {
    name: &'static str,
    told: Told,
    before: Vec<Vec<u8>>,
    frame: Vec<u8>,
    verdict: Verdict,
}

/// Prints a table of all verdicts.
pub(crate) fn measure() {
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").unwrap();
    let hint = "BPF programs are interpreted here; hint: sysctl net.core.bpf_jit_enable=1";
    assert_ne!(jit.trim(), "0", "{hint}");
    let namespace = Namespace::new("bench");
    namespace.exec("ip link add here type veth peer name there");
    namespace.exec("ip link set here up");
    namespace.run(|| {
        describe();
        println!("| frame | verdict | octets | ns | over XDP_PASS | |");
        println!("|---|---|--:|--:|--:|---|");
        for subject in subjects() {
            println!("{}", subject.line());
        }
    });
}

/// Where this runs, and the program's size.
fn describe() {
    let info = load(&Told::default()).xdp().unwrap().info().unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap();
    let named = |line: &str| {
        Some(
            line.strip_prefix("model name")?
                .split_once(": ")?
                .1
                .to_owned(),
        )
    };
    let model = processors.lines().find_map(named);
    println!(
        "Linux {}, {}: {} instructions, {} octets of machine code; the verifier looked at {}\n",
        release.trim(),
        model.unwrap_or_default(),
        info.size_translated().unwrap_or_default() / 8,
        info.size_jitted(),
        info.verified_instruction_count().unwrap_or_default(),
    );
}

/// The first frame of each verdict, and the first of each sequence for each verdict in it.
fn subjects() -> Vec<Subject> {
    let mut first = BTreeMap::new();
    for config in configs() {
        for row in table(config) {
            let subject = Subject {
                name: row.name,
                told: Told {
                    config,
                    ..Told::default()
                },
                before: Vec::new(),
                frame: row.packet.build(),
                verdict: row.verdict,
            };
            first.entry((row.verdict, "")).or_insert(subject);
        }
    }
    for case in cases() {
        let frames = case.frames.iter();
        let built: Vec<_> = frames.map(|(packet, _)| packet.build()).collect();
        for (place, (_, verdict)) in case.frames.iter().enumerate() {
            let mut told = case.told.clone();
            if verdict.action() == Action::Redirect {
                // As often as it is run.
                told.config = unlimited(told.config);
            }
            let subject = Subject {
                name: case.name,
                told,
                before: built[..place].to_vec(),
                frame: built[place].clone(),
                verdict: *verdict,
            };
            first.entry((*verdict, case.name)).or_insert(subject);
        }
    }
    first.into_values().collect()
}

fn unlimited(config: Config) -> Config {
    Config {
        init: Limits::default(),
        proven: Limits::default(),
        stray: Limits::default(),
        ..config
    }
}

impl Subject {
    /// Measures it.
    fn line(&self) -> String {
        let mut ours = load(&self.told);
        let interface = Interface::find("here").unwrap();
        // The kernel may not have forgotten the one before yet.
        let socket = Socket::open(&interface, 0, &[Transfer::Copy], PATIENCE).unwrap();
        ours.set_socket(0, &socket).unwrap();
        for frame in &self.before {
            run(ours.xdp().unwrap(), frame, 1);
        }
        let costs = self.costs(&mut ours);
        let over = median(costs.iter().map(|[ours, pass]| ours - pass).collect());
        format!(
            "| {} | `{}` | {} | {:.0} | {over:.0} | {} |",
            self.name,
            self.verdict.name(),
            self.frame.len(),
            median(costs.iter().map(|[ours, _]| *ours).collect()),
            self.limit().map_or(String::new(), |limit| {
                let word = if over > limit { "over" } else { "within" };
                format!("{word} {limit}")
            })
        )
    }

    /// What may be added.
    fn limit(&self) -> Option<f64> {
        match self.verdict.action() {
            Action::Reply => Some(REPLY_MAX),
            _ if SEARCHED.contains(&self.name) => None,
            _ => NOT_IKE.contains(&self.verdict).then_some(NOT_IKE_MAX),
        }
    }

    /// Nanoseconds of a run of our program, and of one that passes, in each round. All of ours must have
    /// had the verdict.
    fn costs(&self, ours: &mut Program) -> Vec<[f64; 2]> {
        let frame = self.frame.as_slice();
        let mut pass = Pass::load();
        let is_written = self.verdict.action() == Action::Reply;
        let mut restoring = is_written.then(|| Restoring::load(frame.len()));
        let mut measure = |program: &Xdp| match &mut restoring {
            Some(restoring) => run(restoring.before(frame, program), frame, RUNS),
            None => run(program, frame, RUNS),
        };
        let before = ours.counters().unwrap().total(self.verdict);
        let mut round = |_| [measure(ours.xdp().unwrap()), measure(pass.xdp())];
        let costs = (0..ROUNDS).map(&mut round).collect();
        let counted = ours.counters().unwrap().total(self.verdict) - before;
        let expected = ROUNDS as u64 * u64::from(RUNS);
        assert_eq!(
            counted, expected,
            "{}: not always {:?}",
            self.name, self.verdict
        );
        costs
    }
}

/// Nanoseconds of a run, of so many.
fn run(program: &Xdp, frame: &[u8], repeat: u32) -> f64 {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::new()
    };
    program.test_run(options).unwrap().duration.as_nanos() as f64
}
