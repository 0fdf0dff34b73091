//! bpf-linker, which makes one object of LLVM's bitcode.

use std::process::Command;

use anyhow::{Result, bail};

use super::{compiler::Compiler, packages::Tool};
use crate::command::{cargo, find, output, run, words};

/// Debian's newest LLVM, and that of its BPF compiler.
const LLVM: u32 = 22;

/// What to install for building a linker; nothing if there is one that runs.
///
/// # Errors
/// The compiler's bitcode would be too new for it.
pub(super) fn tools() -> Result<&'static [Tool]> {
    if is_installed() {
        return Ok(&[]);
    }
    match Compiler::find().and_then(Compiler::llvm) {
        Some(llvm) if llvm > LLVM => bail!(
            "bpf-linker is missing, and Debian's LLVM {LLVM} does not read the bitcode of rustup's nightly; \
             hint: install bpf-linker with LLVM {llvm}, or remove the nightly's component rust-src"
        ),
        _ => Ok(const {
            &[
                Tool::absent("libpolly-22-dev"),
                Tool::absent("libzstd-dev"),
                Tool::absent("llvm-22-dev"),
                Tool::absent("zlib1g-dev"),
            ]
        }),
    }
}

/// Builds a linker, unless there is one that runs.
pub(super) fn install() -> Result<()> {
    if is_installed() {
        return Ok(());
    }
    eprintln!("setup: building bpf-linker, which takes about a minute");
    run(cargo()
        .args(words("install --locked bpf-linker --version 0.13.0"))
        .args(words("--no-default-features --features llvm-22"))
        .env("LLVM_PREFIX", "/usr/lib/llvm-22"))
}

fn is_installed() -> bool {
    find("bpf-linker").is_some_and(|file| output(Command::new(file).arg("--version")).is_some())
}
