//! `cargo xtask bench`: measurements, to be read by people; none of them can fail for being slow.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    artifact::Artifact,
    command::{as_root, cargo, run, words},
    setup,
};

/// Floods that there are.
const KINDS: [&str; 5] = ["spoofed", "giant", "invented", "repeated", "proven"];

/// Handshakes that there are.
const CASES: [&str; 4] = ["psk", "ecdsa-p256", "rsa-2048", "rsa-4096"];

/// Measures ikexdp and strongSwan side by side, or something else.
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
}

/// Handshakes and memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Samples of each responder, of which the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Which handshakes
    #[arg(long, value_delimiter = ',', default_values = CASES, value_parser = CASES)]
    cases: Vec<String>,
    /// Leave out how much memory SAs take
    #[arg(long)]
    no_memory: bool,
    /// Where `compare.md` and `compare.svg` are written
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

/// Builds the daemon and the bench, and runs it; what it prints are tables in Markdown.
///
/// # Errors
/// The set-up or the build fails, there is no way to be root, or something does not work at all.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    setup::for_lab()?;
    let build = "build --release --package ikexdp --package ikexdp-tests --bin ikexdp --bin bench";
    let artifacts = Artifact::build(cargo().args(words(build)))?;
    let mut command = as_root(Artifact::program(&artifacts, "bench")?)?;
    match &arguments.other {
        None => {
            let Compare {
                rounds,
                cases,
                no_memory,
                output,
            } = &arguments.compare;
            command
                .arg("compare")
                .arg(Artifact::program(&artifacts, "ikexdp")?)
                .args([
                    rounds.to_string(),
                    cases.join(","),
                    (!no_memory).to_string(),
                ])
                .arg(std::path::absolute(output)?)
        }
        Some(Bench::Xdp) => command.arg("xdp"),
        Some(Bench::Flood {
            rates,
            kinds,
            rounds,
        }) => {
            let rates: Vec<_> = rates.iter().map(u64::to_string).collect();
            command
                .arg("flood")
                .arg(Artifact::program(&artifacts, "ikexdp")?)
                .arg(rounds.to_string())
                .arg(rates.join(","))
                .arg(kinds.join(","))
        }
    };
    run(&mut command)
}
