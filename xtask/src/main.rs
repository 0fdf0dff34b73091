//! `cargo xtask`: everything that is done to the project rather than by it.

mod artifact;
mod bench;
mod build;
mod command;
mod demo;
mod dist;
mod fuzz;
mod lint;
mod setup;
mod sim;
mod test;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sets up, builds and tests ikexdp.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Installs what building and testing need and this machine lacks
    Setup,
    /// Builds the daemon
    Build,
    /// Builds the Debian package and tries it
    Dist,
    /// Shows a client behind a router that drops IP fragments, without IKE fragmentation and with it
    Demo,
    /// Runs the tests, those that need root as root
    Test(test::Arguments),
    /// Runs the tests that need a kernel of their own, in a virtual machine
    Vm {
        /// Runs only tests whose name contains this
        filter: Option<String>,
    },
    /// Fuzzes, beginning with the inputs that are known to be interesting
    Fuzz(fuzz::Arguments),
    /// Measures, and prints tables
    Bench(bench::Arguments),
    /// Simulates two endpoints in all weathers
    Sim(sim::Arguments),
    /// Checks all that needs no test: format, lints, documentation, licences
    Lint,
    /// Does what a change must pass: lint, then test
    Ci,
}

fn main() -> ExitCode {
    run(Arguments::parse().verb).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Setup => setup::everything()?,
        Verb::Build => build::daemon()?,
        Verb::Dist => dist::release()?,
        Verb::Demo => match demo::run()? {},
        Verb::Test(arguments) => return test::run(&arguments),
        Verb::Vm { filter } => return test::run(&test::Arguments::of_vm(filter)),
        Verb::Fuzz(arguments) => fuzz::run_targets(&arguments)?,
        Verb::Bench(arguments) => bench::measure(&arguments)?,
        Verb::Sim(arguments) => sim::simulate(&arguments)?,
        Verb::Lint => lint::everything()?,
        Verb::Ci => {
            lint::everything()?;
            return test::run(&test::Arguments::default());
        }
    }
    Ok(ExitCode::SUCCESS)
}
