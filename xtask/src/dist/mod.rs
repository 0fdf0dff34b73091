//! `cargo xtask dist`: the Debian package, built and tried.
//!
//! `dpkg-deb`, which every Debian has, packs a directory that is laid out here. cargo-deb would do the
//! same, with two hundred crates to build before.

mod package;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use self::package::Package;
use crate::{
    artifact::Artifact,
    command::{as_root, cargo, find, root, run, words},
    setup,
};

/// Builds the package for use, tries it, and says where it is.
///
/// # Errors
/// The set-up or the build fails, or the package is not good.
pub(crate) fn release() -> Result<()> {
    setup::for_dist()?;
    let program = Artifact::build(cargo().args(words(
        "build --release --locked --package ikexdp --bin ikexdp",
    )))?;
    // As for the tests: it need not be fast, and is there already where they ran.
    let manual =
        Artifact::build(cargo().args(words("build --locked --package ikexdp --example manual")))?;
    let package = package(&[program, manual].concat(), Path::new("target/dist"))?;
    println!("{}", package.display());
    Ok(())
}

/// Builds a package of the daemon and the manual among `artifacts` in `directory`, and tries it.
///
/// # Errors
/// They are not there, something fails, or the package is not good.
pub(crate) fn package(artifacts: &[Artifact], directory: &Path) -> Result<PathBuf> {
    let directory = root().join(directory);
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| directory.display().to_string())?;
    }
    let package = Package {
        program: Artifact::program(artifacts, "ikexdp")?,
        manual: Artifact::program(artifacts, "manual")?,
        directory: &directory,
    };
    let file = package.build()?;
    check(&file, &directory.join("copy"))?;
    Ok(file)
}

/// Installs the package in a copy of this host at `copy`, and has a look.
fn check(package: &Path, copy: &Path) -> Result<()> {
    fs::create_dir(copy).with_context(|| copy.display().to_string())?;
    run(as_root("unshare")?
        .args(["--mount", "sh"])
        .arg(root().join("dist/check.sh"))
        .args([package, copy]))?;
    // Who has it can learn what Debian would say.
    if find("lintian").is_some() {
        run(Command::new("lintian")
            .args(["--fail-on", "error"])
            .arg(package))?;
    }
    Ok(())
}
