//! `cargo xtask lint`: all checks that run no test.

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, run, words},
    setup::{self, Compiler},
};

/// Checks format, lints, documentation and licences.
///
/// # Errors
/// The set-up fails, or a check does.
pub(crate) fn everything() -> Result<()> {
    setup::for_lint()?;
    run(cargo().args(words("fmt --all --check")))?;
    run(cargo().args(words("clippy --locked --all-targets -- --deny warnings")))?;
    // As it is shipped: above, `tests/micro` opens parts of the engine for all.
    run(cargo().args(words("clippy --locked --package ikexdp -- --deny warnings")))?;
    let compiler = Compiler::find().context("setup has just found a compiler")?;
    // A directory of its own: what is in `target` is another compiler's.
    let package = "--locked --package ikexdp-ebpf --target-dir target/bpf -- --deny warnings";
    run(compiler.clippy().args(words(package)))?;
    run(cargo()
        .args(words("doc --locked --no-deps"))
        .env("RUSTDOCFLAGS", "--deny warnings"))?;
    run(cargo().args(words("deny --locked check bans licenses sources")))
}
