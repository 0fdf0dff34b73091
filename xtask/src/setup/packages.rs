//! Debian's packages.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::command::{as_root, find, output, run, words};

/// Packages that start a service when they are installed, and its name.
const SERVICES: [(&str, &str); 3] = [
    ("charon-systemd", "strongswan.service"),
    ("freeradius", "freeradius.service"),
    ("prometheus", "prometheus.service"),
];

/// What can be done where a release lacks what we ask for.
const ALTERNATIVES: &str = "instead of a BPF compiler, rustup's nightly with the component rust-src \
    will do, and instead of LLVM a bpf-linker";

/// What can be done where apt-get says that packages must be removed.
const CONFLICTS: &str = "setup removes no package: if one that is there conflicts, as a newer qemu-utils does with \
    qemu-system-x86, remove it yourself, or install what belongs to it";

/// Something that must be on the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    /// The package of Debian.
    package: &'static str,
    /// What shows on other systems that it is there.
    program: Option<&'static str>,
}

impl Tool {
    /// A tool that is there if this program is.
    pub(super) const fn new(package: &'static str, program: &'static str) -> Self {
        Self {
            package,
            program: Some(program),
        }
    }

    /// A tool that nobody asks for where there is a replacement of it.
    pub(super) const fn absent(package: &'static str) -> Self {
        Self {
            package,
            program: None,
        }
    }

    fn is_there(&self) -> bool {
        if is_debian() {
            return is_installed(self.package);
        }
        self.program.is_some_and(|program| find(program).is_some())
    }
}

/// Installs those that are missing.
///
/// # Errors
/// This is not Debian, or a package is not to be had, or apt-get fails.
pub(super) fn install(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| !tool.is_there())
        .map(|tool| tool.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_debian() {
        bail!(
            "this is not Debian or Ubuntu, and something is missing; hint: install what Debian has in the packages \
             {names}; {ALTERNATIVES}"
        );
    }
    eprintln!("setup: installing {names}");
    run(as_root("apt-get")?.args(words("--quiet update")))?;
    check_available(&missing)?;
    let masked = mask_services(&missing)?;
    // A package asks a question: the default is fine. And nothing that is there may go.
    let installed = run(as_root("env")?
        .args(words(
            "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-remove",
        ))
        .args(words("install --no-install-recommends"))
        .args(&missing));
    disable_services(&masked)?;
    installed.with_context(|| format!("{names} not installed; hint: {CONFLICTS}"))
}

fn is_installed(package: &str) -> bool {
    let status = output(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${db:Status-Status}",
        package,
    ]));
    status.as_deref() == Some("installed")
}

fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let mut ids = release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
    ids.any(|id| id.contains("debian") || id.contains("ubuntu"))
}

/// Says what to do where a release does not have what we ask for.
fn check_available(packages: &[&str]) -> Result<()> {
    let is_unknown =
        |package: &&str| output(Command::new("apt-cache").args(["show", package])).is_none();
    let unknown: Vec<_> = packages.iter().copied().filter(is_unknown).collect();
    if !unknown.is_empty() {
        bail!(
            "this release has no package {}; hint: on Debian 12 enable bookworm-security, on Ubuntu universe, in apt's \
             sources; {ALTERNATIVES}",
            unknown.join(" ")
        );
    }
    Ok(())
}

/// Keeps these packages from starting daemons on ports that tests, or others, use: the services that
/// would have been started.
///
/// The masks are gone after a restart at the latest, should we not come to remove them.
fn mask_services(packages: &[&str]) -> Result<Vec<&'static str>> {
    // sd_booted(3)
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(Vec::new());
    }
    let mut masked = Vec::new();
    for (_, service) in SERVICES
        .iter()
        .filter(|(package, _)| packages.contains(package))
    {
        run(as_root("systemctl")?.args(["mask", "--runtime", service]))?;
        masked.push(*service);
    }
    Ok(masked)
}

/// Leaves the services as if they had been switched off by hand.
fn disable_services(services: &[&str]) -> Result<()> {
    for service in services {
        run(as_root("systemctl")?.args(["unmask", "--runtime", service]))?;
        run(as_root("systemctl")?.args(["disable", service]))?;
        eprintln!("setup: {service} is disabled, only the tests run the daemon, by themselves");
    }
    Ok(())
}
