//! cargo-deny, which checks licences and where crates come from.

use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, find, output, run, words};

/// Builds it, unless there is one that runs.
pub(super) fn install() -> Result<()> {
    let installed = find("cargo-deny");
    if installed.is_some_and(|file| output(Command::new(file).arg("--version")).is_some()) {
        return Ok(());
    }
    eprintln!("setup: building cargo-deny, which takes about a minute");
    // Optimised, it would take four times as long to build, to check a second faster.
    run(cargo().args(words(
        "install --locked --debug cargo-deny --version 0.20.2",
    )))
}
