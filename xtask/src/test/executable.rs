//! The executables that Cargo builds of the tests, run one by one.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::outcome::Outcome;
use crate::{
    artifact::Artifact,
    command::{as_root, cargo, root, words},
    vm::{self, Vm},
};

/// Has libtest run the tests that are marked as ignored, one at a time.
const IGNORED: &str = "--ignored --test-threads 1";

/// The tests of one target of one package.
#[derive(Debug)]
pub(super) struct Executable {
    /// The target's first file, for people.
    pub(super) name: String,
    /// Whether this is a target of tests alone, which must have some.
    pub(super) is_tier: bool,
    /// Whether its ignored tests run in a virtual machine.
    pub(super) is_for_vm: bool,
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
            is_for_vm: artifact.is_tier && artifact.name == vm::TIER,
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

    /// Runs the tests that are marked as ignored because they need root.
    pub(super) fn run_ignored(&self, filter: Option<&str>) -> Result<Outcome> {
        println!("\n{}, as root", self.name);
        let mut command = as_root(&self.file)?;
        watch(
            command
                .current_dir(&self.directory)
                .args(words(IGNORED))
                .args(filter),
        )
    }

    /// Runs the tests that are marked as ignored because they need a kernel of their own; they start
    /// the daemon.
    pub(super) fn run_in_vm(&self, daemon: &Path, filter: Option<&str>) -> Result<Outcome> {
        println!("\n{}, in a virtual machine", self.name);
        let vm = Vm::new(&[&self.file, daemon])?;
        let filter = filter.unwrap_or_default();
        let line = format!("{} {IGNORED} {filter}", self.file.display());
        let outcome = vm.run(&line, follow)??;
        let code = vm.code();
        if let Err(error) = &code {
            println!("{error:#}");
        }
        Ok(ended(outcome, code.is_ok_and(|code| code == 0)))
    }
}

/// Runs the examples in the documentation.
pub(super) fn run_documentation(filter: Option<&str>) -> Result<Outcome> {
    println!("\ndocumentation");
    watch(cargo().args(words("test --quiet --doc --")).args(filter))
}

/// Runs a command whose last arguments are libtest's.
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
    let outcome = follow(stdout)?;
    Ok(ended(outcome, child.wait()?.success()))
}

/// Shows what libtest prints while it comes, and adds up its results, if it says any.
fn follow(stdout: ChildStdout) -> Result<Option<Outcome>> {
    let mut total = None;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("reading the output of the tests")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(outcome) = Outcome::parse(&line) {
            total.get_or_insert_with(Outcome::default).add(&outcome);
        }
    }
    Ok(total)
}

/// The results of libtest as they are to be taken, by how it ended.
fn ended(outcome: Option<Outcome>, successfully: bool) -> Outcome {
    let mut total = outcome.unwrap_or(Outcome::CRASHED);
    if !successfully && total.failed == 0 {
        total.add(&Outcome::CRASHED);
    }
    total
}
