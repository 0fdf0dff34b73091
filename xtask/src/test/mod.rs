//! `cargo xtask test`: every test of every tier, and one summary.
//!
//! First come all tests that need nothing, then those marked `#[ignore = "needs …"]`, one at a time:
//! as root, and those of the tier `vm` in a virtual machine. What is marked is run: there is no list
//! of tiers that a new one could be missing from. Cargo builds as the user, so nothing in `target` becomes root's.

mod executable;
mod outcome;

use std::{path::Path, process::ExitCode};

use anyhow::Result;

use self::{executable::Executable, outcome::Outcome};
use crate::{
    artifact::Artifact,
    bench::instructions,
    command::{self, Behind, cargo, words},
    demo, dist, fuzz, setup, vm,
};

/// How long each fuzz target runs along with the tests: long enough to see that it does not fail
/// on what is easy to find.
const FUZZ_SECONDS: u32 = 10;

/// Which tests; by default all.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Runs only tests whose name contains this
    filter: Option<String>,
    /// Runs only the tests of tests/NAME.rs
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
}

impl Arguments {
    /// The tests that run in a virtual machine.
    pub(crate) fn of_vm(filter: Option<String>) -> Self {
        Self {
            filter,
            tier: Some(vm::TIER.to_owned()),
        }
    }
}

/// Runs the tests; the last line printed is the summary, in libtest's form.
///
/// # Errors
/// The set-up or the build fails. Tests that fail are no error but a code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::for_tests()?;
    let filter = arguments.filter.as_deref();
    let artifacts = build(arguments.tier.as_deref())?;
    let executables = Executable::all(&artifacts);
    let mut outcomes = Vec::new();
    for executable in &executables {
        outcomes.push(executable.run(filter)?);
    }
    let is_whole = arguments.tier.is_none() && filter.is_none();
    // Those that need root spend their time waiting, and these take as long to build as they do.
    let fuzzing = is_whole.then(fuzz::Building::begin).transpose()?;
    let counting = is_whole.then(instructions::begin_build).transpose()?;
    let mut total = Outcome::default();
    if arguments.tier.is_none() {
        total.add(&executable::run_documentation(filter)?);
    }
    if is_whole {
        total.add(&demo(&artifacts)?);
        total.add(&dist(&artifacts)?);
    }
    for (executable, outcome) in executables
        .iter()
        .zip(&mut outcomes)
        .filter(|(_, outcome)| outcome.ignored > 0)
    {
        outcome.add_ignored(&if executable.is_for_vm {
            executable.run_in_vm(Artifact::program(&artifacts, "ikexdp")?, filter)?
        } else {
            executable.run_ignored(filter)?
        });
    }
    if let Some(building) = counting {
        total.add(&count_instructions(building));
    }
    if let Some(building) = fuzzing {
        total.add(&fuzz(building));
    }
    println!();
    let mut complete = true;
    for (executable, outcome) in executables.iter().zip(&outcomes) {
        total.add(outcome);
        complete &= check(executable, outcome, filter);
    }
    if total.ran() == 0 {
        println!("no test ran");
        complete = false;
    }
    complete &= total.is_ok();
    println!("{}", total.summary(complete));
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds the tests; of the whole workspace with all its programs, or of one tier.
fn build(tier: Option<&str>) -> Result<Vec<Artifact>> {
    let mut build = cargo();
    build.args(words("test --no-run"));
    if let Some(tier) = tier {
        build.args(["--test", tier]);
    }
    Artifact::build(&mut build)
}

/// Runs the demo, which counts as a test.
fn demo(artifacts: &[Artifact]) -> Result<Outcome> {
    println!("\ndemo, as root");
    let mut demo = demo::command(artifacts)?;
    Ok(Outcome::of(|| passed(command::run(&mut demo))))
}

/// Packages what the tests have built, which counts as a test.
fn dist(artifacts: &[Artifact]) -> Result<Outcome> {
    println!("\ndist, as root");
    setup::for_dist()?;
    let package = || dist::package(artifacts, Path::new("target/dist-test"));
    Ok(Outcome::of(|| passed(package().map(drop))))
}

/// Counts the instructions of single operations, which counts as a test.
fn count_instructions(building: Behind) -> Outcome {
    println!("\ninstructions");
    let count = || building.finish().and_then(|()| instructions::check(false));
    Outcome::of(|| passed(count()))
}

/// Runs every fuzz target for a short time; each counts as a test.
fn fuzz(building: fuzz::Building) -> Outcome {
    println!("\nfuzz");
    let mut total = Outcome::default();
    match building.finish() {
        Ok(targets) => {
            for target in targets {
                total.add(&Outcome::of(|| passed(target.run(FUZZ_SECONDS))));
            }
        }
        // What has run before counts all the same.
        Err(error) => total.add(&Outcome::of(|| passed(Err(error)))),
    }
    total
}

/// Whether there was no error; shows it.
fn passed(run: Result<()>) -> bool {
    if let Err(error) = &run {
        println!("{error:#}");
    }
    run.is_ok()
}

/// Says what is wrong with the run of an executable; whether nothing is.
fn check(executable: &Executable, outcome: &Outcome, filter: Option<&str>) -> bool {
    let name = &executable.name;
    if !outcome.is_ok() {
        println!(
            "{name}: {} failed, {} never ran",
            outcome.failed, outcome.ignored
        );
    }
    let is_empty = executable.is_tier && filter.is_none() && outcome.ran() == 0;
    if is_empty {
        println!("{name}: has no test");
    }
    outcome.is_ok() && !is_empty
}
