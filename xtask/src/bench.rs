//! `cargo xtask bench`: measurements, to be read by people; none of them can fail for being slow, but
//! for more instructions than there were.

mod compare;
pub(crate) mod instructions;
mod micro;

use std::{process::Command, thread::available_parallelism};

use anyhow::{Result, ensure};

use self::compare::Compare;
use crate::{
    artifact::Artifact,
    command::{as_root, cargo, run, words},
    setup,
};

/// Floods that there are.
const KINDS: [&str; 5] = ["spoofed", "giant", "invented", "repeated", "proven"];

/// Measures ikexdp and others side by side, or something else.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Bench>,
    #[command(flatten)]
    compare: Compare,
}

/// What is measured besides.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Nanoseconds of each verdict of the XDP program, over a program that only passes
    Xdp,
    /// Honest clients during floods, with ikexdp's defences and with strongSwan
    Flood {
        /// Datagrams a second
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 50_000, 100_000])]
        rates: Vec<u64>,
        /// Which floods
        #[arg(long, value_delimiter = ',', default_value = "spoofed", value_parser = KINDS)]
        kinds: Vec<String>,
        /// Floods of each kind and rate, of which the medians count
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Microseconds of single operations, each primitive beside OpenSSL's
    Micro {
        /// Only operations whose name contains this
        filter: Option<String>,
    },
    /// Instructions of single operations, compared with those of tests/micro/instructions.txt
    Instructions {
        /// Writes that table anew instead
        #[arg(long)]
        accept: bool,
    },
}

/// Measures; what it prints are tables in Markdown.
///
/// # Errors
/// The set-up or a build fails, there is no way to be root where one must be, something does not work
/// at all, or there are more instructions than there may be.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    let Some(bench) = &arguments.other else {
        return arguments.compare.measure();
    };
    match bench {
        Bench::Xdp => in_lab(|command, _| {
            command.arg("xdp");
            Ok(())
        }),
        Bench::Flood {
            rates,
            kinds,
            rounds,
        } => {
            two_cpus()?;
            in_lab(|command, artifacts| {
                let rates: Vec<_> = rates.iter().map(u64::to_string).collect();
                command
                    .arg("flood")
                    .arg(Artifact::program(artifacts, "ikexdp")?)
                    .arg(rounds.to_string())
                    .arg(rates.join(","))
                    .arg(kinds.join(","));
                Ok(())
            })
        }
        Bench::Micro { filter } => micro::measure(filter.as_deref()),
        Bench::Instructions { accept } => instructions::check(*accept),
    }
}

/// Builds the daemon and the bench, and runs that with what `arguments` gives it.
fn in_lab(arguments: impl FnOnce(&mut Command, &[Artifact]) -> Result<()>) -> Result<()> {
    setup::for_lab()?;
    let artifacts = build()?;
    let mut command = as_root(Artifact::program(&artifacts, "bench")?)?;
    arguments(&mut command, &artifacts)?;
    run(&mut command)
}

/// Whether responder and clients can each have a CPU.
///
/// # Errors
/// There is one alone.
fn two_cpus() -> Result<()> {
    let hint = "the responder has one to itself; hint: `cargo xtask bench --vm` takes one";
    ensure!(
        available_parallelism()?.get() > 1,
        "this takes two CPUs: {hint}"
    );
    Ok(())
}

/// Builds the daemon and the bench.
fn build() -> Result<Vec<Artifact>> {
    let build = "build --release --package ikexdp --package ikexdp-tests --bin ikexdp --bin bench";
    Artifact::build(cargo().args(words(build)))
}
