//! Debian's packages for the virtual machine, unpacked under `target`.
//!
//! They are not installed: a kernel would put itself into this machine's boot menu, Libreswan's package cannot
//! be beside strongSwan's, and OpenIKED's starts a daemon on their ports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::command::{as_root, find, output, root, run, words};

/// The package that depends on Debian's newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";

/// The root of the guest's kernel, with its modules; fetches it if it is not there.
///
/// It stays as it is until `target` is cleaned.
///
/// # Errors
/// It is not to be had here.
pub(crate) fn kernel() -> Result<PathBuf> {
    unpacked(KERNEL, |unpacked| {
        let package = dependency(KERNEL)?;
        unpack(&package, unpacked)?;
        // What the package's own script would find out: which module needs which, and what else
        // each is called.
        let version = package.trim_start_matches("linux-image-");
        let mut depmod = Command::new("busybox");
        run(depmod.args(words("depmod -b")).arg(unpacked).arg(version))
    })
}

/// The root of Libreswan; fetches it if it is not there.
///
/// # Errors
/// It is not to be had here.
pub(crate) fn libreswan() -> Result<PathBuf> {
    unpacked("libreswan", |directory| unpack("libreswan", directory))
}

/// The root of OpenIKED; fetches it if it is not there.
///
/// # Errors
/// It is not to be had here.
pub(crate) fn openiked() -> Result<PathBuf> {
    unpacked("openiked", |directory| unpack("openiked", directory))
}

/// The directory for this package, which `fill` has filled now or earlier.
fn unpacked(package: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let complete = root().join("target/vm").join(package);
    if complete.is_dir() {
        return Ok(complete);
    }
    if find("apt-get").is_none() {
        bail!(
            "no apt-get, to fetch {package}; hint: run the tests in the virtual machine on Debian"
        );
    }
    eprintln!("setup: fetching {package}");
    run(as_root("apt-get")?.args(words("--quiet update")))?;
    let incomplete = complete.with_extension("incomplete");
    // What a fetch that was interrupted has left.
    let _ = fs::remove_dir_all(&incomplete);
    fs::create_dir_all(&incomplete).with_context(|| incomplete.display().to_string())?;
    fill(&incomplete)?;
    fs::rename(&incomplete, &complete).with_context(|| complete.display().to_string())?;
    Ok(complete)
}

/// Fetches a package and unpacks it into a directory.
fn unpack(package: &str, directory: &Path) -> Result<()> {
    let mut download = Command::new("apt-get");
    download.args(words("--quiet download")).arg(package);
    run(download.current_dir(directory))?;
    for file in fs::read_dir(directory)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb")
                .arg("--extract")
                .args([file.as_path(), directory]))?;
            fs::remove_file(&file).with_context(|| file.display().to_string())?;
        }
    }
    Ok(())
}

/// The first package that this one depends on.
fn dependency(package: &str) -> Result<String> {
    let depends = output(Command::new("apt-cache").args(["depends", package]));
    let depends = depends.unwrap_or_default();
    let mut lines = depends.lines();
    let first = lines.find_map(|line| line.trim_start().strip_prefix("Depends: "));
    let first = first.with_context(|| {
        format!("this release has no package {package}; hint: run the tests in the virtual machine on Debian for x86-64")
    })?;
    Ok(first.to_owned())
}
