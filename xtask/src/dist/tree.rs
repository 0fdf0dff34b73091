//! The directory that becomes the package.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command::run;

/// The files of the package, as they will lie below `/`.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    files: Vec<PathBuf>,
}

impl Tree {
    /// An empty tree at `root`.
    pub(super) const fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: Vec::new(),
        }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The files in it, as seen from it.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Octets of its files.
    ///
    /// # Errors
    /// One of them is gone.
    pub(super) fn size(&self) -> Result<u64> {
        let mut size: u64 = 0;
        for file in &self.files {
            size = size.saturating_add(fs::metadata(self.root.join(file))?.len());
        }
        Ok(size)
    }

    /// Puts `content` into the file `place`.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(
        &mut self,
        place: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<()> {
        let file = self.root.join(place);
        let directory = file.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&file, content))
            .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(mode)))
            .with_context(|| file.display().to_string())?;
        self.files.push(place.into());
        Ok(())
    }

    /// Copies the file `source` to `place`.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(super) fn copy(&mut self, source: &Path, place: &str, mode: u32) -> Result<()> {
        let content = fs::read(source).with_context(|| source.display().to_string())?;
        self.write(place, content, mode)
    }

    /// Puts `content` into the file `place`.gz, compressed the same way every time.
    ///
    /// # Errors
    /// It cannot be written, or gzip fails.
    pub(super) fn compress(&mut self, place: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.write(place, content, 0o644)?;
        self.files.pop();
        run(Command::new("gzip")
            .args(["-9", "--no-name", "--force"])
            .arg(self.root.join(place)))?;
        self.files.push(format!("{place}.gz").into());
        Ok(())
    }
}
