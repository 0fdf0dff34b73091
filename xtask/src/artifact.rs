//! The executables that Cargo builds, by its own account: it alone knows where they are.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::words;

/// An executable.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    /// The target's name.
    pub(crate) name: String,
    /// The target's first file.
    pub(crate) source: PathBuf,
    /// The directory of its package.
    pub(crate) directory: PathBuf,
    /// The executable.
    pub(crate) file: PathBuf,
    /// Whether it runs the tests of the target.
    pub(crate) has_tests: bool,
    /// Whether the target is of tests alone.
    pub(crate) is_tier: bool,
}

impl Artifact {
    /// Runs a command of Cargo that builds, and collects what it has built.
    ///
    /// # Errors
    /// It does not build; Cargo has said why.
    pub(crate) fn build(cargo: &mut Command) -> Result<Vec<Self>> {
        let output = cargo
            .args(words("--message-format json-render-diagnostics"))
            .stderr(Stdio::inherit())
            .output()
            .context("cargo")?;
        if !output.status.success() {
            bail!("it does not build");
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        Ok(messages
            .lines()
            .filter_map(|line| Self::read(&serde_json::from_str(line).ok()?))
            .collect())
    }

    /// The program of this name.
    ///
    /// # Errors
    /// It is not among `artifacts`.
    pub(crate) fn program<'a>(artifacts: &'a [Self], name: &str) -> Result<&'a Path> {
        let mut programs = artifacts.iter().filter(|artifact| !artifact.has_tests);
        let program = programs.find(|artifact| artifact.name == name);
        let program = program.with_context(|| format!("Cargo has built no program {name}"))?;
        Ok(&program.file)
    }

    /// Reads one of Cargo's messages; `None` for what is not an executable.
    fn read(message: &Value) -> Option<Self> {
        let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        if text("/reason") != Some("compiler-artifact") {
            return None;
        }
        Some(Self {
            name: text("/target/name")?.to_owned(),
            source: text("/target/src_path")?.into(),
            directory: Path::new(text("/manifest_path")?).parent()?.to_owned(),
            file: text("/executable")?.into(),
            has_tests: message.pointer("/profile/test") == Some(&Value::Bool(true)),
            is_tier: text("/target/kind/0") == Some("test"),
        })
    }
}
