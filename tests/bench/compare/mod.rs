//! `cargo xtask bench compare`: ikexdp and others, side by side, with the same clients.
//!
//! On this machine nobody makes CHILD SAs (RFC 6023): many kernels that run this have no ESP. What is
//! measured is IKE alone. The responder has a CPU of its own; the clients, and all that the kernel does
//! for them, have another. In a virtual machine everybody makes them, and has the kernel carry them.

mod case;
mod limit;
mod place;
mod plot;
mod responder;
mod sample;
mod setting;
mod stand;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use harness::pki::Pki;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

pub(crate) use self::{case::Case, place::Place};
use self::{
    limit::Limit,
    place::{CLIENTS, RESPONDER},
    responder::Responder,
    stand::Stand,
    table::{Memory, Result},
};

/// SAs with which memory is measured; the last number of ours alone.
const SAS: [u32; 3] = [1_000, 10_000, 100_000];

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) place: Place,
    pub(crate) ikexdp: PathBuf,
    /// Samples of each responder, of which the medians count.
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
    /// Whether to measure memory as well.
    pub(crate) memory: bool,
    /// Where to write the tables and the picture, if anywhere.
    pub(crate) directory: Option<PathBuf>,
}

/// Measures, prints the tables, and writes them and the picture.
pub(crate) fn measure(comparison: &Comparison) {
    if comparison.place == Place::Host {
        stay_on(CLIENTS);
    }
    let (mut results, mut sizes) = (Vec::new(), Vec::new());
    for case in &comparison.cases {
        results.push(compare(comparison, *case));
        // Whatever becomes of the next.
        tell(comparison, &results, &[]);
    }
    if comparison.memory {
        let responders = comparison.place.responders().iter();
        sizes = responders.map(|it| remember(comparison, *it)).collect();
        tell(comparison, &results, &sizes);
    }
    print!("{}", tables(comparison, &results, &sizes));
}

/// Writes what there is so far.
fn tell(comparison: &Comparison, results: &[Result], sizes: &[Memory]) {
    if let Some(directory) = &comparison.directory {
        write(directory, "compare.md", &tables(comparison, results, sizes));
        write(directory, "compare.svg", &plot::draw(results));
    }
}

fn tables(comparison: &Comparison, results: &[Result], sizes: &[Memory]) -> String {
    let mut text = format!(
        "{}; medians of rounds: {}\n\n",
        setting::describe(),
        comparison.rounds
    );
    text += &table::handshakes(results);
    text += &table::limits(results);
    if !sizes.is_empty() {
        text += "\n";
        text += &table::memory(&SAS, sizes);
    }
    text
}

/// All responders in turn, and again, so that what else the machine does meanwhile meets all of them.
fn compare(comparison: &Comparison, case: Case) -> Result {
    let Comparison { place, rounds, .. } = *comparison;
    let pki = case.key().map(Pki::new);
    let pki = pki.as_ref();
    let responders = place.responders().iter();
    let mut samples: Vec<_> = responders.map(|it| (*it, Vec::new())).collect();
    let mut limits = Vec::new();
    for round in 1..=rounds {
        eprintln!("{case}: round {round} of {rounds}");
        if place == Place::Host {
            limits.push(on_responders_cpu(|| limit::measure(case, pki)));
        }
        for (responder, samples) in &mut samples {
            // What one has left in the kernel is not in the way of the next.
            let stand = Stand::new(place, &comparison.ikexdp, pki);
            let sample = sample::handshakes(&stand, *responder, case, pki);
            eprintln!("  {responder}: {sample:.3?}");
            samples.push(sample);
        }
    }
    let of = |value: fn(&Limit) -> f64| crate::median(limits.iter().map(value).collect());
    Result {
        case,
        limit: (!limits.is_empty()).then(|| Limit {
            openssl: of(|it| it.openssl),
            ours: of(|it| it.ours),
        }),
        samples,
    }
}

fn remember(comparison: &Comparison, responder: Responder) -> Memory {
    eprintln!("memory of {responder}");
    let numbers = if responder.is_ours() { &SAS } else { &SAS[..2] };
    let stand = Stand::new(comparison.place, &comparison.ikexdp, None);
    Memory {
        responder,
        sizes: sample::memory(&stand, responder, numbers),
    }
}

fn on_responders_cpu<T: Send>(task: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let pinned = || {
            stay_on(RESPONDER);
            task()
        };
        scope.spawn(pinned).join().expect("it has told why")
    })
}

/// Has this thread, and what it starts, run on one CPU.
fn stay_on(cpu: &str) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu.parse().expect("a number")).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).expect("two CPUs");
}

fn write(directory: &Path, name: &str, text: &str) {
    let file = directory.join(name);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&file, text))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    eprintln!("written: {}", file.display());
}
