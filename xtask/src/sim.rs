//! `cargo xtask sim`: the deterministic simulation, for more seeds or for one.

use anyhow::Result;

use crate::{
    command::{cargo, run, words},
    setup,
};

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Lives through this seed alone
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Lives through so many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
}

/// Simulates.
///
/// # Errors
/// The set-up or the build fails, or a seed does.
pub(crate) fn simulate(arguments: &Arguments) -> Result<()> {
    setup::for_build()?;
    let mut simulation = cargo();
    simulation.args(words(
        "test --release --package ikexdp-tests --test sim any_weather -- --nocapture",
    ));
    match arguments.seed {
        Some(seed) => simulation.env("IKEXDP_SIM_SEED", seed.to_string()),
        None => simulation.env("IKEXDP_SIM_SEEDS", arguments.seeds.to_string()),
    };
    run(&mut simulation)
}
