//! ikexdp and others, side by side.

use std::{
    io,
    path::{self, Path, PathBuf},
    process::ChildStdout,
};

use anyhow::{Result, ensure};

use super::{build, in_lab, two_cpus};
use crate::{artifact::Artifact, setup, vm::Vm};

/// Handshakes that there are.
const CASES: [&str; 4] = ["psk", "ecdsa-p256", "rsa-2048", "rsa-4096"];

/// Handshakes and memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Compare {
    /// Samples of each responder, of which the medians count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Which handshakes
    #[arg(long, value_delimiter = ',', default_values = CASES, value_parser = CASES)]
    cases: Vec<String>,
    /// Leave out how much memory SAs take
    #[arg(long)]
    no_memory: bool,
    /// Measure with CHILD SAs in the kernel, and Libreswan and OpenIKED as well, in a virtual machine; where
    /// its CPU is an emulated one, figures say how emulation does
    #[arg(long)]
    vm: bool,
    /// Where `compare.md` and `compare.svg` are written
    #[arg(long, default_value = "target/bench", conflicts_with = "vm")]
    output: PathBuf,
}

impl Compare {
    /// Measures it here or in a virtual machine.
    ///
    /// # Errors
    /// As in [`super::measure`].
    pub(super) fn measure(&self) -> Result<()> {
        if self.vm {
            return self.measure_in_vm();
        }
        two_cpus()?;
        in_lab(|command, artifacts| {
            command
                .args(self.words("host", Artifact::program(artifacts, "ikexdp")?))
                .arg(path::absolute(&self.output)?);
            Ok(())
        })
    }

    /// Without what one CPU in memory has no room for.
    fn measure_in_vm(&self) -> Result<()> {
        setup::for_tests()?;
        let artifacts = build()?;
        let bench = Artifact::program(&artifacts, "bench")?;
        let ikexdp = Artifact::program(&artifacts, "ikexdp")?;
        let vm = Vm::new(&[bench, ikexdp])?;
        let words = self.words("guest", ikexdp).join(" ");
        let show = |mut output: ChildStdout| io::copy(&mut output, &mut io::stdout());
        let (shown, code) = vm.run("bench", &format!("{} {words}", bench.display()), show)?;
        shown?;
        ensure!(code? == 0, "the bench fails in the virtual machine");
        Ok(())
    }

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
