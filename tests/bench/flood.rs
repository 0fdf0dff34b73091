//! `cargo xtask bench flood`: a hundred honest clients during floods of every kind, with responders that
//! defend themselves in different places.
//!
//! One CPU sends the flood, forwards it and runs what the kernel does on its arrival, the XDP program
//! among it, and the clients; another has the responder alone.

use std::{
    fmt, iter,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use harness::{
    cpu,
    crowd::Crowd,
    flood::{Attacker, Kind, absorbed},
    gateway::{Gateway, Setup, Transport},
    lab::{Lab, V4},
    namespace::Namespace,
    strongswan::{Settings, Strongswan},
};
use ikexdp::clock::Clock;
use ikexdp_proto::time::Instant;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::{median, running::Running};

/// The CPU of everything but the responder.
const OTHERS: usize = 0;
/// The responder's CPU.
const RESPONDER: &str = "1";

/// How long a flood lasts before the first honest client comes.
const HEAD_START: Duration = Duration::from_secs(1);
/// From one honest client to the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// strongSwan as it stands up to most: cookies from thirty half-open SAs on, and no limit for an
/// address.
const GUARDED: &str = "
    cookie_threshold = 30
    block_threshold = 0
    dos_protection = yes
    half_open_timeout = 5";

/// Who answers, and where it asks for cookies.
#[derive(Clone, Copy, Debug)]
enum Responder {
    Strongswan,
    UserSpace,
    Xdp,
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strongswan => "strongSwan",
            Self::UserSpace => "ikexdp, `transport = \"udp\"`",
            Self::Xdp => "ikexdp, XDP",
        })
    }
}

/// One flood.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Datagrams a second.
    offered: f64,
    /// Clients that got in.
    connected: f64,
    /// The time that half of those took, and 95 of a hundred, in milliseconds.
    times: [f64; 2],
    /// CPU time of the responder, and of its thread for packets, in percent of one CPU.
    cpu: [f64; 2],
    /// Datagrams answered or dropped by the XDP program, of a hundred.
    by_xdp: f64,
}

/// Prints a table of all responders without a flood, and in floods of all `kinds` at all `rates`, in
/// datagrams a second.
pub(crate) fn measure(ikexdp: &Path, rounds: usize, rates: &[u64], kinds: &[Kind]) {
    let mut cpus = CpuSet::new();
    cpus.set(OTHERS).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).expect("two CPUs");
    println!(
        "| flood | wanted/s | responder | sent/s | connected | median ms | 95 % ms | CPU % | packets % | by XDP % |"
    );
    println!("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|");
    let of = |kind: &Kind| rates.iter().map(|rate| (*kind, *rate)).collect::<Vec<_>>();
    let floods = kinds.iter().flat_map(of).map(Some);
    for flood in iter::once(None).chain(floods) {
        let all = [Responder::Strongswan, Responder::UserSpace, Responder::Xdp];
        let mut results = all.map(|_| Vec::new());
        for _ in 0..rounds {
            for (responder, results) in all.iter().zip(&mut results) {
                results.push(round(*responder, ikexdp, flood));
            }
        }
        for (responder, results) in all.iter().zip(results) {
            let (kind, rate) = flood.map_or(("none", 0), |(kind, rate)| (kind.name(), rate));
            println!("| {kind} | {rate} | {responder} | {} |", line(&results));
        }
    }
}

/// The medians.
fn line(rounds: &[Round]) -> String {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let [half, most] = [of(|it| it.times[0]), of(|it| it.times[1])];
    let [all, packets] = [of(|it| it.cpu[0]), of(|it| it.cpu[1])];
    format!(
        "{:.0} | {:.0} | {half:.1} | {most:.1} | {all:.1} | {packets:.1} | {:.1}",
        of(|it| it.offered),
        of(|it| it.connected),
        of(|it| it.by_xdp),
    )
}

fn round(responder: Responder, ikexdp: &Path, flood: Option<(Kind, u64)>) -> Round {
    let lab = Lab::new();
    Crowd::settle(&lab);
    let attacker = Attacker::join(&lab, V4.gateway);
    let running = start(responder, ikexdp, &lab.gateway);
    let crowd = Crowd::gather(&lab);
    let pid = running.pids()[0];
    pin(&lab.gateway, pid);
    let flood = flood.map(|(kind, rate)| attacker.flood(kind, rate));
    thread::sleep(HEAD_START);
    let time = || [None, Some("ikexdp-packets")].map(|name| cpu::time(pid, name));
    let (clock, before) = (Clock::start(), time());
    let turnout = crowd.connect(INTERVAL);
    let (elapsed, after) = (clock.now().since(Instant::ZERO), time());
    let percent = |part: Duration| part.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    let milliseconds = |part: usize| {
        let time = turnout.percentile(part);
        time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    let offered = flood.as_ref().map_or(0.0, |flood| flood.rate());
    let sent = flood.map_or(0, |flood| flood.stop());
    Round {
        offered,
        connected: turnout.times.len() as f64,
        times: [milliseconds(50), milliseconds(95)],
        cpu: [0, 1].map(|which| percent(after[which] - before[which])),
        by_xdp: absorbed_by(&running) as f64 / sent.max(1) as f64 * 100.0,
    }
}

fn start(responder: Responder, ikexdp: &Path, namespace: &Namespace) -> Running {
    let transport = match responder {
        Responder::Strongswan => {
            let settings = Settings {
                is_fast: true,
                daemon: GUARDED,
                ..Settings::responder(V4.gateway, Crowd::credentials())
            };
            return Running::Strongswan(Box::new(Strongswan::start(namespace, settings)));
        }
        Responder::UserSpace => Transport::Udp,
        Responder::Xdp => Transport::Native,
    };
    let setup = Setup {
        transport,
        ..Setup::new(Crowd::credentials())
    };
    Running::Ikexdp(Gateway::start(PathBuf::from(ikexdp), namespace, &setup))
}

/// How many frames the XDP program has answered or dropped.
fn absorbed_by(running: &Running) -> u64 {
    match running {
        Running::Ikexdp(gateway) => absorbed(&gateway.stats().xdp),
        Running::Strongswan(_) | Running::Libreswan(_) | Running::Openiked(_) => 0,
    }
}

/// Has a process run on the responder's CPU alone.
fn pin(namespace: &Namespace, pid: u32) {
    let line = format!("taskset --all-tasks --cpu-list --pid {RESPONDER} {pid}");
    namespace.exec(&line);
}
