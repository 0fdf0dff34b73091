//! Builds the XDP program, so that the daemon can carry it inside itself.
//!
//! Its target needs a `core` that rustup's stable toolchain does not have: either
//! a nightly toolchain builds one from source, or Debian's compiler brings it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the object is made of, seen from this package.
const SOURCES: [&str; 8] = [
    "build.rs",
    "../Cargo.lock",
    "../Cargo.toml",
    "../.cargo/config.toml",
    "../ikexdp-common/Cargo.toml",
    "../ikexdp-common/src",
    "../ikexdp-ebpf/Cargo.toml",
    "../ikexdp-ebpf/src",
];

/// Prefixes of variables that steer a compiler: meant for the host's, and among
/// them those with which Cargo started us.
const HOST_COMPILER: [&str; 10] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CLIPPY_",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

const NO_COMPILER: &str = "cannot build the XDP program: no compiler for the BPF target; \
    hint: run `cargo xtask setup`, or install one of: \
    rustup's nightly (`rustup toolchain install nightly --component rust-src`), \
    Debian's compiler (`apt-get install rustc-web libstd-rust-web-dev-bpf`)";

const NO_LINKER: &str = "cannot build the XDP program: bpf-linker not found; \
    hint: run `cargo xtask setup`, or `cargo install bpf-linker`";

const FAILED: &str = "cannot build the XDP program: its build failed, as shown below";

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    match build() {
        Ok(object) => {
            println!("cargo::rustc-env=IKEXDP_XDP_OBJECT={}", object.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the object and tells where it is.
fn build() -> Result<PathBuf, &'static str> {
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() {
        Ok("big") => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    // A target directory of its own: Cargo has locked the one it runs us from.
    let directory = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("bpf");
    let linker = find_linker().ok_or(NO_LINKER)?;
    let status = nightly_with_source()
        .or_else(|| system_with_core(target))
        .ok_or(NO_COMPILER)?
        .args(["build", "--release", "--locked"])
        .args(["--package", "ikexdp-ebpf", "--target", target])
        .arg("--target-dir")
        .arg(&directory)
        .env(
            format!(
                "CARGO_TARGET_{}_LINKER",
                target.to_uppercase().replace('-', "_")
            ),
            linker,
        )
        // Maps are defined in BTF, which the linker makes from debug information.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Cdebuginfo=2\x1f-Clink-arg=--btf",
        )
        .status();
    match status {
        Ok(status) if status.success() => {
            Ok(directory.join(target).join("release").join("ikexdp-ebpf"))
        }
        _ => Err(FAILED),
    }
}

/// Cargo of rustup's nightly, if it can build `core` from source.
fn nightly_with_source() -> Option<Command> {
    let sysroot =
        output(command("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]))?;
    if !Path::new(&sysroot)
        .join("lib/rustlib/src/rust/library/core")
        .is_dir()
    {
        return None;
    }
    let mut cargo = command("rustup");
    cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]);
    Some(cargo)
}

/// This Cargo with the system's compiler, if that has a `core` for `target`.
fn system_with_core(target: &str) -> Option<Command> {
    const RUSTC: &str = "/usr/bin/rustc";

    let libraries = output(command(RUSTC).args(["--print", "target-libdir", "--target", target]))?;
    let is_core = |name: &OsStr| name.as_encoded_bytes().starts_with(b"libcore-");
    fs::read_dir(libraries)
        .ok()?
        .flatten()
        .find(|file| is_core(&file.file_name()))?;
    let mut cargo = command(env::var_os("CARGO")?);
    // The BPF crates use features that only a nightly compiler admits.
    cargo.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1");
    Some(cargo)
}

/// `cargo install` puts it where PATH does not always lead.
fn find_linker() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|directory| directory.join("bpf-linker"))
        .find(|file| file.is_file())
}

/// A command that knows nothing of the host's compiler.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let steers = |prefix: &str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        if HOST_COMPILER.iter().any(|prefix| steers(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// The first line that a successful command prints.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
