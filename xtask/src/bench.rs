//! `cargo xtask bench`: measurements, to be read by people; none of them can fail for being slow.

use anyhow::Result;

use crate::{
    artifact::Artifact,
    command::{as_root, cargo, run, words},
    setup,
};

/// Floods that there are.
const KINDS: [&str; 5] = ["spoofed", "giant", "invented", "repeated", "proven"];

/// What is measured.
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

/// Builds the daemon and the bench, and runs it; what it prints are tables in Markdown.
///
/// # Errors
/// The set-up or the build fails, there is no way to be root, or something does not work at all.
pub(crate) fn measure(bench: &Bench) -> Result<()> {
    setup::for_lab()?;
    let build = "build --release --package ikexdp --package ikexdp-tests --bin ikexdp --bin bench";
    let artifacts = Artifact::build(cargo().args(words(build)))?;
    let mut command = as_root(Artifact::program(&artifacts, "bench")?)?;
    match bench {
        Bench::Xdp => command.arg("xdp"),
        Bench::Flood {
            rates,
            kinds,
            rounds,
        } => {
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
