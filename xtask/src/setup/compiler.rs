//! The compiler for the BPF target, which rustup's stable toolchain cannot be: it has no `core` for
//! it.

use std::{fs, path::Path, process::Command};

use super::packages::Tool;
use crate::command::{output, root, words};

/// The target of the XDP program on a little-endian host.
const TARGET: &str = "bpfel-unknown-none";
/// Debian's compiler, wherever rustup's stands in PATH.
const DEBIAN: &str = "/usr/bin/rustc";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// A compiler that has `core` for BPF, in the order in which the daemon's build script prefers
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// rustup's nightly, which compiles `core` from its component rust-src.
    Nightly,
    /// Debian's, which has it compiled.
    Debian,
}

impl Compiler {
    /// The one that will be used on this machine.
    pub(crate) fn find() -> Option<Self> {
        let has = |directory: String, name: &str| {
            let mut files = fs::read_dir(directory).into_iter().flatten().flatten();
            files.any(|file| file.file_name().to_string_lossy().starts_with(name))
        };
        let nightly =
            output(Command::new("rustup").args(words("run nightly rustc --print sysroot")));
        if nightly.is_some_and(|root| has(format!("{root}/lib/rustlib/src/rust/library"), "core")) {
            return Some(Self::Nightly);
        }
        let debian = output(
            Command::new(DEBIAN)
                .args(words("--print target-libdir --target"))
                .arg(TARGET),
        );
        debian
            .is_some_and(|libraries| has(libraries, "libcore-"))
            .then_some(Self::Debian)
    }

    /// The major version of its LLVM.
    pub(super) fn llvm(self) -> Option<u32> {
        let version = match self {
            Self::Nightly => output(Command::new("rustup").args(words("run nightly rustc -vV"))),
            Self::Debian => output(Command::new(DEBIAN).arg("-vV")),
        }?;
        let version = version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))?;
        version.split('.').next()?.parse().ok()
    }

    /// `cargo clippy` for the BPF target.
    pub(crate) fn clippy(self) -> Command {
        let mut clippy = match self {
            Self::Nightly => {
                let mut rustup = Command::new("rustup");
                rustup.args(words("run nightly cargo clippy -Zbuild-std=core"));
                rustup
            }
            Self::Debian => {
                let mut clippy = Command::new(DEBIAN_CLIPPY);
                // aya-ebpf uses features that are not stable.
                clippy
                    .arg("clippy")
                    .env("RUSTC", DEBIAN)
                    .env("RUSTC_BOOTSTRAP", "1");
                clippy
            }
        };
        clippy.current_dir(root()).args(["--target", TARGET]);
        clippy
    }
}

/// What to install for a compiler.
pub(super) fn tools() -> &'static [Tool] {
    match Compiler::find() {
        Some(_) => &[],
        None => {
            const {
                &[
                    Tool::absent("libstd-rust-web-dev-bpf"),
                    Tool::absent("rustc-web"),
                ]
            }
        }
    }
}

/// What to install for [`Compiler::clippy`].
pub(super) fn clippy() -> &'static [Tool] {
    match Compiler::find() {
        Some(Compiler::Nightly) => &[],
        _ if Path::new(DEBIAN_CLIPPY).is_file() => &[],
        _ => const { &[Tool::absent("rust-web-clippy")] },
    }
}
