//! The executables that Cargo builds of the tests, run one by one.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context as _, Result, anyhow};

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
    ///
    /// There are two machines at a time, each for one module: each has one processor.
    pub(super) fn run_in_vm(&self, daemon: &Path, filter: Option<&str>) -> Result<Outcome> {
        const MACHINES: usize = 2;
        println!("\n{}, in virtual machines", self.name);
        let vm = Vm::new(&[&self.file, daemon])?;
        let filters = match filter {
            Some(filter) => vec![filter.to_owned()],
            None => self.modules()?,
        };
        let filters = Mutex::new(filters.into_iter());
        let next = || {
            filters
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next()
        };
        let work = |machine: usize| -> Result<Outcome> {
            let mut total = Outcome::default();
            while let Some(filter) = next() {
                let line = format!("{} {IGNORED} {filter}", self.file.display());
                let (outcome, code) = vm.run(&machine.to_string(), &line, follow)?;
                if let Err(error) = &code {
                    println!("{error:#}");
                }
                total.add(&ended(outcome?, code.is_ok_and(|code| code == 0)));
            }
            Ok(total)
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let machines = (0..MACHINES).map(|machine| scope.spawn(move || work(machine)));
            let machines: Vec<_> = machines.collect();
            machines.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let mut total = Outcome::default();
        for outcome in outcomes {
            total.add(&outcome.map_err(|_| anyhow!("a virtual machine is not watched"))??);
        }
        Ok(total)
    }

    /// The modules that have ignored tests, as libtest's filters.
    fn modules(&self) -> Result<Vec<String>> {
        let list = Command::new(&self.file)
            .args(words("--ignored --list"))
            .output()
            .with_context(|| format!("listing the tests of {}", self.name))?;
        let list = String::from_utf8_lossy(&list.stdout);
        let modules: BTreeSet<_> = list
            .lines()
            .filter_map(|line| Some(line.split_once("::")?.0))
            .map(|module| format!("{module}::"))
            .collect();
        Ok(modules.into_iter().collect())
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
