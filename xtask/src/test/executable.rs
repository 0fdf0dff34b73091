//! The executables that Cargo builds of the tests, run one by one.
//!
//! Cargo builds them as the user, and only those tests that need it run as root: nothing in
//! `target` becomes root's.

use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::outcome::Outcome;
use crate::command::{as_root, cargo, root, words};

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
    /// Builds the tests; of the whole workspace, or of one tier.
    pub(super) fn build(tier: Option<&str>) -> Result<Vec<Self>> {
        let mut build = cargo();
        build.args(words(
            "test --no-run --message-format json-render-diagnostics",
        ));
        if let Some(tier) = tier {
            build.args(["--test"]).arg(tier);
        }
        let output = build
            .stderr(Stdio::inherit())
            .output()
            .context("cargo test")?;
        if !output.status.success() {
            bail!("the tests do not build");
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        Ok(messages
            .lines()
            .filter_map(|line| Self::read(&serde_json::from_str(line).ok()?))
            .collect())
    }

    /// Reads one of Cargo's messages; `None` for what is not an executable of tests.
    fn read(message: &Value) -> Option<Self> {
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        if text("/reason") != Some("compiler-artifact")
            || message.pointer("/profile/test") != Some(&Value::Bool(true))
        {
            return None;
        }
        let source = Path::new(text("/target/src_path")?);
        let directory = Path::new(text("/manifest_path")?).parent()?.to_owned();
        Some(Self {
            name: source
                .strip_prefix(root())
                .unwrap_or(source)
                .display()
                .to_string(),
            is_tier: text("/target/kind/0") == Some("test"),
            file: text("/executable")?.into(),
            directory,
        })
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
