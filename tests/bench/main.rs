//! `cargo xtask bench`: ikexdp beside others, what the XDP program costs, and what a flood does to those
//! who want in.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what it reads is its own, and a panic ends it with an error"
)]

mod compare;
mod flood;
mod running;
mod xdp;

use std::{env, panic, path::PathBuf, process::ExitCode, thread};

use self::compare::{Case, Comparison, Place};
use harness::{confined::confined, crowd::CLIENT, flood::Kind};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measure: Box<dyn FnOnce()> = match arguments.as_slice() {
        ["xdp"] => Box::new(xdp::measure),
        ["flood", ikexdp, rounds, rates, kinds] => {
            let (ikexdp, rounds) = (PathBuf::from(ikexdp), rounds.parse().unwrap());
            let rates: Vec<u64> = rates.split(',').map(|rate| rate.parse().unwrap()).collect();
            let kinds: Vec<Kind> = kinds.split(',').map(kind).collect();
            Box::new(move || flood::measure(&ikexdp, rounds, &rates, &kinds))
        }
        [
            "compare",
            place,
            ikexdp,
            rounds,
            cases,
            memory,
            directory @ ..,
        ] => {
            let comparison = Comparison {
                place: match *place {
                    "guest" => Place::Guest,
                    _ => Place::Host,
                },
                ikexdp: PathBuf::from(ikexdp),
                rounds: rounds.parse().unwrap(),
                cases: cases.split(',').map(case).collect(),
                memory: memory.parse().unwrap(),
                directory: directory.first().map(PathBuf::from),
            };
            Box::new(move || compare::measure(&comparison))
        }
        _ => {
            eprintln!(
                "usage: bench xdp | bench flood IKEXDP ROUNDS RATE,... KIND,... | bench compare host|guest IKEXDP ROUNDS CASE,... MEMORY [DIRECTORY]"
            );
            return ExitCode::FAILURE;
        }
    };
    let inside = || {
        let say = panic::take_hook();
        // That a client gives up is what is measured.
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(CLIENT) {
                say(panic);
            }
        }));
        measure();
        ExitCode::SUCCESS
    };
    confined(inside).unwrap_or_else(|error| {
        eprintln!("error: no namespaces to run in: {error}; hint: by `cargo xtask bench`, as root");
        ExitCode::FAILURE
    })
}

fn kind(name: &str) -> Kind {
    let mut all = Kind::ALL.into_iter();
    all.find(|kind| kind.name() == name)
        .expect("a kind of flood")
}

fn case(name: &str) -> Case {
    let mut all = Case::ALL.into_iter();
    all.find(|case| case.name() == name)
        .expect("a kind of handshake")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, (values.len() - 1) / 2);
    (values[upper] + values[lower]) / 2.0
}
