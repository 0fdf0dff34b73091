//! The guest's kernel, in a package that has been unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// What the kernel may ask for, under `kernel` in the directory of its modules.
const MODULES: [&str; 5] = [
    "arch/x86/crypto",
    "crypto",
    "drivers/net/veth.ko",
    "lib",
    "net",
];
/// What modprobe reads, in the directory of modules.
const INDEXES: [&str; 3] = ["modules.alias", "modules.dep", "modules.symbols"];

/// A kernel and its modules.
#[derive(Debug)]
pub(super) struct Kernel {
    /// What boots.
    pub(super) image: PathBuf,
    /// Modules, and what is known of them.
    pub(super) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The kernel that is in the package.
    ///
    /// # Errors
    /// There is none, or not all of it.
    pub(super) fn find(package: &Path) -> Result<Self> {
        let boot = package.join("boot");
        let mut names = fs::read_dir(&boot)
            .with_context(|| boot.display().to_string())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let version = names.find_map(|name| Some(name.strip_prefix("vmlinuz-")?.to_owned()));
        let version = version
            .with_context(|| format!("no kernel in {}; hint: `cargo clean`", boot.display()))?;
        let directory = package.join("lib/modules").join(&version);
        let mut modules = INDEXES.map(|name| directory.join(name)).to_vec();
        for name in MODULES {
            collect(directory.join("kernel").join(name), &mut modules)?;
        }
        Ok(Self {
            image: boot.join(format!("vmlinuz-{version}")),
            modules,
        })
    }
}

/// Adds the files under this path to `files`.
fn collect(path: PathBuf, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path);
        return Ok(());
    }
    for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
        collect(entry?.path(), files)?;
    }
    Ok(())
}
