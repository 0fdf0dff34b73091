//! `cargo xtask demo`: the main job, before your eyes.

use std::{convert::Infallible, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    artifact::Artifact,
    command::{as_root, cargo, words},
    setup,
};

/// Builds the daemon and the demo, and becomes the demo.
///
/// Nothing stands between it and the user: its exit code is ours, and so are signals.
///
/// # Errors
/// The set-up or the build fails, or there is no way to be root.
pub(crate) fn run() -> Result<Infallible> {
    setup::for_lab()?;
    let build = "build --release --package ikexdp --package ikexdp-tests --bin ikexdp --bin demo";
    let artifacts = Artifact::build(cargo().args(words(build)))?;
    Err(command(&artifacts)?.exec()).context("the demo does not start")
}

/// The command that runs the demo, if it and the daemon are among `artifacts`.
///
/// # Errors
/// They are not, or there is no way to be root.
pub(crate) fn command(artifacts: &[Artifact]) -> Result<Command> {
    let mut demo = as_root(Artifact::program(artifacts, "demo")?)?;
    demo.arg(Artifact::program(artifacts, "ikexdp")?);
    Ok(demo)
}
