//! `cargo xtask bench xdp`: nanoseconds that each verdict costs beyond passing a frame untouched.
//!
//! The kernel runs a program many times on one frame (BPF_PROG_TEST_RUN), with warm caches; ours and
//! one that only passes take turns. A frame that was answered in its place is made again what it
//! was before the next run, at the same cost for both.

use std::{collections::BTreeMap, fs};

use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use harness::{bpf::Pass, namespace::Namespace, udp::PATIENCE};
use ikexdp::{
    xdp::{Interface, Program},
    xsk::{Socket, Transfer},
};
use ikexdp_common::{maps::Config, verdict::Action};

use crate::median;
use crate::table::{OURS_V4, OURS_V6, Row, table};

/// Measurements of each verdict, of which the median counts.
const ROUNDS: usize = 25;
/// Runs of a program in a measurement.
const RUNS: u32 = 100_000;
/// Longer than any frame of the table.
const FRAME_LEN_MAX: u16 = 3840;

/// What a frame that is not for us may cost, in nanoseconds over passing it untouched.
const PASS_MAX: f64 = 30.0;

/// Prints a table of all verdicts.
pub(crate) fn measure() {
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").unwrap();
    assert_ne!(
        jit.trim(),
        "0",
        "BPF programs are interpreted here; hint: sysctl net.core.bpf_jit_enable=1"
    );
    let namespace = Namespace::new("bench");
    namespace.exec("ip link add here type veth peer name there");
    namespace.exec("ip link set here up");
    namespace.run(|| {
        describe();
        println!("| verdict | octets | ns | over XDP_PASS | at most |");
        println!("|---|--:|--:|--:|--:|");
        for (config, row) in rows() {
            println!("{}", line(config, &row));
        }
    });
}

/// The program's size, and where this runs.
fn describe() {
    let mut program = Program::load(Config::default()).unwrap();
    let info = program.xdp().unwrap().info().unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = processors
        .lines()
        .find_map(|it| it.strip_prefix("model name"));
    println!(
        "Linux {}, {}",
        release.trim(),
        model.unwrap_or_default().trim_matches(['\t', ' ', ':'])
    );
    println!(
        "{} instructions, of which the verifier looked at {}; {} octets of machine code\n",
        info.size_translated().unwrap_or_default() / 8,
        info.verified_instruction_count().unwrap_or_default(),
        info.size_jitted(),
    );
}

/// The first row of each verdict, and how the program is configured for it.
fn rows() -> impl Iterator<Item = (Config, Row)> {
    let configs = [false, true].map(|drop_ikev1| Config {
        frame_max: FRAME_LEN_MAX,
        drop_ikev1,
    });
    let mut first = BTreeMap::new();
    for config in configs {
        for row in table(config) {
            first.entry(row.verdict).or_insert((config, row));
        }
    }
    first.into_values()
}

/// Measures a row.
fn line(config: Config, row: &Row) -> String {
    let frame = row.packet.build();
    let mut ours = Program::load(config).unwrap();
    ours.set_addresses(&[OURS_V4.into(), OURS_V6.into()].into())
        .unwrap();
    let interface = Interface::find("here").unwrap();
    // The kernel may not have forgotten the one before yet.
    let socket = Socket::open(&interface, 0, &[Transfer::Copy], PATIENCE).unwrap();
    ours.set_socket(0, &socket).unwrap();
    let mut pass = Pass::load();
    let mut costs = Vec::new();
    let mut differences = Vec::new();
    for _ in 0..ROUNDS {
        let (cost, bare) = (run(ours.xdp().unwrap(), &frame), run(pass.xdp(), &frame));
        costs.push(cost);
        differences.push(cost - bare);
    }
    let counted = ours.counters().unwrap().total(row.verdict);
    assert_eq!(
        counted,
        ROUNDS as u64 * u64::from(RUNS),
        "{}: not always {:?}",
        row.name,
        row.verdict
    );
    format!(
        "| `{}` | {} | {:.0} | {:+.0} | {} |",
        row.verdict.name(),
        frame.len(),
        median(costs),
        median(differences),
        match row.verdict.action() {
            Action::Pass => PASS_MAX.to_string(),
            _ => String::new(),
        }
    )
}

/// Nanoseconds of a run.
fn run(program: &Xdp, frame: &[u8]) -> f64 {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat: RUNS,
        ..TestRunOptions::new()
    };
    program.test_run(options).unwrap().duration.as_nanos() as f64
}
