//! The executables that Cargo builds of the tests, run one by one.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::outcome::Outcome;
use crate::{
    artifact::Artifact,
    command::{as_root, cargo, root, words},
};

/// The tests of one target of one package.
#[derive(Debug)]
pub(super) struct Executable {
    /// The target's first file, for people.
    pub(super) name: String,
    /// Whether this is a target of tests alone, which must have some.
    pub(super) is_tier: bool,
    file: PathBuf,
    /// Where Cargo would run it.
    directory: PathBuf,
}

impl Executable {
    /// The tests among what Cargo has built.
    pub(super) fn all(artifacts: &[Artifact]) -> Vec<Self> {
        let tests = artifacts.iter().filter(|artifact| artifact.has_tests);
        tests.map(Self::new).collect()
    }

    fn new(artifact: &Artifact) -> Self {
        let source = &artifact.source;
        let name = source.strip_prefix(root()).unwrap_or(source);
        Self {
            name: name.display().to_string(),
            is_tier: artifact.is_tier,
            file: artifact.file.clone(),
            directory: artifact.directory.clone(),
        }
    }

    /// Runs the tests that need nothing.
    pub(super) fn run(&self, filter: Option<&str>) -> Result<Outcome> {
        println!("\n{}", self.name);
        watch(
            Command::new(&self.file)
                .current_dir(&self.directory)
                .args(filter),
        )
    }

    /// Runs the tests that are marked as ignored because they need root, one at a time.
    pub(super) fn run_ignored(&self, filter: Option<&str>) -> Result<Outcome> {
        println!("\n{}, as root", self.name);
        let mut command = as_root(&self.file)?;
        watch(
            command
                .current_dir(&self.directory)
                .args(words("--ignored --test-threads 1"))
                .args(filter),
        )
    }
}

/// Runs the examples in the documentation.
pub(super) fn run_documentation(filter: Option<&str>) -> Result<Outcome> {
    println!("\ndocumentation");
    watch(cargo().args(words("test --quiet --doc --")).args(filter))
}

/// Runs a command whose last arguments are libtest's, shows what it prints, and adds up its
/// results.
fn watch(command: &mut Command) -> Result<Outcome> {
    if std::io::stdout().is_terminal() {
        // libtest sees a pipe, and would leave colour out.
        command.args(["--color", "always"]);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let stdout = child.stdout.take().context("a pipe was asked for")?;
    let mut total = None;
    show(stdout, |line| {
        if let Some(outcome) = Outcome::parse(line) {
            total.get_or_insert_with(Outcome::default).add(&outcome);
        }
    })?;
    let status = child.wait()?;
    let mut total = total.unwrap_or(Outcome::CRASHED);
    if !status.success() && total.failed == 0 {
        total.add(&Outcome::CRASHED);
    }
    Ok(total)
}

/// Copies lines to standard output while they come.
fn show(output: impl Read, mut read: impl FnMut(&str)) -> Result<()> {
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("reading the output of the tests")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        read(&line);
    }
    Ok(())
}
