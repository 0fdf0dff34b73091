//! `cargo xtask fuzz`: the targets of `fuzz/`, by libFuzzer, on the stable compiler.
//!
//! What cargo-fuzz adds to that is the sanitizers, which look for what `forbid(unsafe_code)` rules
//! out; so it is not needed, and neither is a nightly compiler.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{
    artifact::Artifact,
    command::{Behind, as_root, cargo, output, root, run, words},
    setup,
};

/// Which targets, and how long each.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs only this target; `kernel` is the XDP program, against the same code on the host
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many frames the kernel runs in each configuration
    #[arg(long, default_value_t = 1_000_000)]
    frames: u64,
}

/// What is not fuzzed by libFuzzer: the kernel does not say what an input reaches.
const KERNEL: &str = "kernel";

/// What makes libFuzzer see which code an input reaches, and what it compares.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares \
     -Ccodegen-units=1";

/// Fuzzes until the time is over or an input fails.
///
/// # Errors
/// The set-up or the build fails, there is no such target, or an input fails.
pub(crate) fn run_targets(arguments: &Arguments) -> Result<()> {
    if arguments.target.as_deref() == Some(KERNEL) {
        return run_kernel(arguments.frames);
    }
    let targets = Target::build()?;
    let chosen = |target: &&Target| {
        arguments
            .target
            .as_ref()
            .is_none_or(|name| *name == target.name)
    };
    let mut chosen = targets.iter().filter(chosen).peekable();
    if chosen.peek().is_none() {
        let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        bail!("no such target; there are: {}", names.join(", "));
    }
    chosen.try_for_each(|target| target.run(arguments.seconds))
}

/// Compares what becomes of drawn frames in the kernel and on the host.
fn run_kernel(frames: u64) -> Result<()> {
    setup::for_build()?;
    let build = "test --no-run --release --package ikexdp-tests --test classify";
    let artifacts = Artifact::build(cargo().args(words(build)))?;
    let mut tests = artifacts.iter().filter(|artifact| artifact.has_tests);
    let test = tests.next().context("Cargo has built no test")?;
    run(as_root("env")?
        .arg(format!("IKEXDP_FRAMES={frames}"))
        .arg(&test.file)
        .args(words(
            "--ignored --nocapture the_kernel_agrees_on_drawn_frames",
        )))
}

/// A fuzz target that has been built.
#[derive(Debug)]
pub(crate) struct Target {
    /// What it is called.
    pub(crate) name: String,
    file: PathBuf,
}

/// The build of every target, under way behind everything else.
#[derive(Debug)]
pub(crate) struct Building {
    host: String,
    cargo: Behind,
}

impl Building {
    /// Begins it.
    ///
    /// # Errors
    /// The set-up fails, or the build cannot be started.
    pub(crate) fn begin() -> Result<Self> {
        let (host, mut build) = build()?;
        // Between what others say its progress would be in the way.
        let cargo = Behind::start(build.arg("--quiet"))?;
        Ok(Self { host, cargo })
    }

    /// Waits for it.
    ///
    /// # Errors
    /// The build fails.
    pub(crate) fn finish(self) -> Result<Vec<Target>> {
        self.cargo.finish()?;
        Target::all(&self.host)
    }
}

/// For which host targets are built, and by what command.
fn build() -> Result<(String, Command)> {
    setup::for_fuzzing()?;
    let compiler = output(Command::new("rustc").arg("-vV")).context("rustc -vV")?;
    let host = compiler
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not name its host")?.to_owned();
    let mut cargo = cargo();
    // With a target named, build scripts are not instrumented.
    cargo
        .args(words(
            "build --release --manifest-path fuzz/Cargo.toml --target",
        ))
        .arg(&host)
        .env("RUSTFLAGS", INSTRUMENTATION);
    Ok((host, cargo))
}

impl Target {
    /// Builds every target.
    ///
    /// # Errors
    /// The set-up or the build fails.
    fn build() -> Result<Vec<Self>> {
        let (host, mut build) = build()?;
        run(&mut build)?;
        Self::all(&host)
    }

    /// Those that have been built for `host`.
    fn all(host: &str) -> Result<Vec<Self>> {
        let executables = root().join("fuzz/target").join(host).join("release");
        let sources = fs::read_dir(root().join("fuzz/targets")).context("fuzz/targets")?;
        let mut targets = Vec::new();
        for source in sources {
            let source = source?.path();
            let name = source
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let file = executables.join(&name);
            targets.push(Self { name, file });
        }
        targets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(targets)
    }

    /// Fuzzes for so many seconds, beginning with the inputs in `fuzz/corpus`.
    ///
    /// # Errors
    /// An input fails; it is kept in `fuzz/artifacts`.
    pub(crate) fn run(&self, seconds: u32) -> Result<()> {
        let name = &self.name;
        let found = root().join("fuzz/target/corpus").join(name);
        let artifacts = root().join("fuzz/artifacts").join(name);
        for directory in [&found, &artifacts] {
            fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        }
        let corpus = root().join("fuzz/corpus").join(name);
        let fuzzed = run(Command::new(&self.file)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(words(
                "-max_len=4096 -timeout=10 -verbosity=0 -print_final_stats=1",
            ))
            .args([found, corpus]));
        fuzzed.with_context(|| format!("fuzz target {name}; the input is kept in fuzz/artifacts"))
    }
}
