//! `cargo xtask bench`: measurements, to be read by people; none of them can fail for being slow.

use std::{
    io,
    path::{Path, PathBuf},
    process::ChildStdout,
};

use anyhow::{Result, ensure};

use crate::{
    artifact::Artifact,
    command::{as_root, cargo, run, words},
    setup,
    vm::Vm,
};

/// Floods that there are.
const KINDS: [&str; 5] = ["spoofed", "giant", "invented", "repeated", "proven"];

/// Handshakes that there are.
const CASES: [&str; 4] = ["psk", "ecdsa-p256", "rsa-2048", "rsa-4096"];

/// Measures ikexdp and strongSwan side by side, or something else.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    other: Option<Bench>,
    #[command(flatten)]
    compare: Compare,
}

/// What is measured besides.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Nanoseconds of each verdict of the XDP program, over a program that only passes
    Xdp,
    /// Honest clients during floods, with ikexdp's defences and with strongSwan
    Flood {
        /// Datagrams a second
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 50_000, 100_000])]
        rates: Vec<u64>,
        /// Which floods
        #[arg(long, value_delimiter = ',', default_value = "spoofed", value_parser = KINDS)]
        kinds: Vec<String>,
        /// Floods of each kind and rate, of which the medians count
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

/// Handshakes and memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Samples of each responder, of which the medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Which handshakes
    #[arg(long, value_delimiter = ',', default_values = CASES, value_parser = CASES)]
    cases: Vec<String>,
    /// Leave out how much memory SAs take
    #[arg(long)]
    no_memory: bool,
    /// Measure with CHILD SAs in the kernel, and Libreswan as well, in a virtual machine; its CPU is an
    /// emulated one as a rule, and only ratios mean something
    #[arg(long)]
    vm: bool,
    /// Where `compare.md` and `compare.svg` are written
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
}

/// Builds the daemon and the bench, and runs it; what it prints are tables in Markdown.
///
/// # Errors
/// The set-up or the build fails, there is no way to be root, or something does not work at all.
pub(crate) fn measure(arguments: &Arguments) -> Result<()> {
    if arguments.other.is_none() && arguments.compare.vm {
        return compare_in_vm(&arguments.compare);
    }
    setup::for_lab()?;
    let artifacts = build()?;
    let mut command = as_root(Artifact::program(&artifacts, "bench")?)?;
    let ikexdp = Artifact::program(&artifacts, "ikexdp")?;
    match &arguments.other {
        None => command
            .args(arguments.compare.words("host", ikexdp))
            .arg(std::path::absolute(&arguments.compare.output)?),
        Some(Bench::Xdp) => command.arg("xdp"),
        Some(Bench::Flood {
            rates,
            kinds,
            rounds,
        }) => {
            let rates: Vec<_> = rates.iter().map(u64::to_string).collect();
            command
                .arg("flood")
                .arg(ikexdp)
                .arg(rounds.to_string())
                .arg(rates.join(","))
                .arg(kinds.join(","))
        }
    };
    run(&mut command)
}

/// The same in a virtual machine, and without what one CPU in memory has no room for.
fn compare_in_vm(compare: &Compare) -> Result<()> {
    setup::for_tests()?;
    let artifacts = build()?;
    let bench = Artifact::program(&artifacts, "bench")?;
    let ikexdp = Artifact::program(&artifacts, "ikexdp")?;
    let vm = Vm::new(&[bench, ikexdp])?;
    let line = format!(
        "{} {}",
        bench.display(),
        compare.words("guest", ikexdp).join(" ")
    );
    let show = |mut output: ChildStdout| io::copy(&mut output, &mut io::stdout());
    let (shown, code) = vm.run("bench", &line, show)?;
    shown?;
    ensure!(code? == 0, "the bench fails in the virtual machine");
    Ok(())
}

fn build() -> Result<Vec<Artifact>> {
    let build = "build --release --package ikexdp --package ikexdp-tests --bin ikexdp --bin bench";
    Artifact::build(cargo().args(words(build)))
}

impl Compare {
    /// The bench's words for it.
    fn words(&self, place: &str, ikexdp: &Path) -> Vec<String> {
        let has_memory = place == "host" && !self.no_memory;
        vec![
            "compare".to_owned(),
            place.to_owned(),
            ikexdp.display().to_string(),
            self.rounds.to_string(),
            self.cases.join(","),
            has_memory.to_string(),
        ]
    }
}
