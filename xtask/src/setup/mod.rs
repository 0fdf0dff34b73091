//! `cargo xtask setup`: finds what a machine lacks and installs it.
//!
//! Where nothing is missing it takes well under a second, so every verb that needs something starts
//! with it.

mod compiler;
mod linker;
mod packages;

use anyhow::Result;

pub(crate) use self::compiler::Compiler;

/// What the lab of the tests runs: the peer, its plug-ins, and what builds and watches networks.
///
/// `libstrongswan-standard-plugins` has the cryptography, `libcharon-extra-plugins` ESP in user
/// space.
const LAB: [&str; 8] = [
    "charon-systemd",
    "ethtool",
    "iproute2",
    "iputils-ping",
    "libcharon-extra-plugins",
    "libstrongswan-standard-plugins",
    "nftables",
    "tcpdump",
];

/// All that any verb needs.
///
/// # Errors
/// Something is missing that cannot be installed here; the message says what to do.
pub(crate) fn everything() -> Result<()> {
    prepare(&[&LAB[..], compiler::clippy_packages(), &["g++"]].concat())?;
    eprintln!("setup: everything is there");
    Ok(())
}

/// What building needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_build() -> Result<()> {
    prepare(&[])
}

/// What testing needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_lab() -> Result<()> {
    prepare(&LAB)
}

/// What fuzzing needs: libFuzzer is written in C++.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_fuzzing() -> Result<()> {
    packages::install(&["g++"])
}

/// What checking needs.
///
/// # Errors
/// As in [`everything`].
pub(crate) fn for_lint() -> Result<()> {
    prepare(compiler::clippy_packages())
}

/// Installs what is missing of `packages`, and of the compiler and the linker for the BPF target.
fn prepare(packages: &[&str]) -> Result<()> {
    packages::install(&[packages, compiler::packages(), linker::packages()?].concat())?;
    linker::install()
}
