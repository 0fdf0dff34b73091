//! What every part of a configuration needs while it is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use toml::Spanned;
use zeroize::Zeroizing;

use super::caution::Caution;
use super::fault::Fault;
use super::file::Text;
use super::problem::{Key, Problems};

/// Longest file taken for a certificate, key or secret, in octets: a path
/// given by mistake may name a device that never ends.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Everybody may read.
const WORLD_READABLE: u32 = 0o004;

/// The file being read, the time, and what is wrong so far.
pub(super) struct Context<'a> {
    /// The configuration file.
    pub(super) path: &'a Path,
    /// The time of day, for certificates.
    pub(super) now: UnixTime,
    pub(super) problems: Problems<'a>,
}

impl Context<'_> {
    /// `path` as seen from the configuration file.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }

    /// Adds the name of a table to those of its kind, of which no two are the same.
    pub(super) fn take_name<'t>(
        &mut self,
        names: &mut Vec<&'t str>,
        key: &Key<'_>,
        name: &'t Text,
    ) {
        let taken = name.get_ref().as_str();
        if names.contains(&taken) {
            let name_again = taken.to_owned();
            let fault = Fault::Duplicate { name: name_again };
            self.problems
                .fault::<()>(&key.at("name"), name.span(), fault);
        }
        names.push(taken);
    }

    /// The content of a file that `key` names, and where it is.
    pub(super) fn read(
        &mut self,
        key: &Key<'_>,
        path: &Spanned<PathBuf>,
    ) -> Option<(PathBuf, Zeroizing<Vec<u8>>)> {
        self.read_up_to(FILE_LEN_MAX, key, path)
    }

    /// The same, of a file of at most `max` octets.
    pub(super) fn read_up_to(
        &mut self,
        max: u64,
        key: &Key<'_>,
        path: &Spanned<PathBuf>,
    ) -> Option<(PathBuf, Zeroizing<Vec<u8>>)> {
        let span = path.span();
        let path = self.resolve(path.get_ref());
        match read_bounded(max, &path) {
            Ok(content) => Some((path, content)),
            Err(source) => self.problems.fault(key, span, Fault::File { path, source }),
        }
    }

    /// The same, of a file that nobody else should read.
    pub(super) fn read_secret(
        &mut self,
        key: &Key<'_>,
        path: &Spanned<PathBuf>,
    ) -> Option<(PathBuf, Zeroizing<Vec<u8>>)> {
        let (resolved, content) = self.read(key, path)?;
        self.check_permissions(key, path.span(), &resolved);
        Some((resolved, content))
    }

    /// Notes if everybody can read `path`, which holds a secret.
    pub(super) fn check_permissions(&mut self, key: &Key<'_>, span: Range<usize>, path: &Path) {
        if is_world_readable(path) {
            let path = path.to_owned();
            self.problems
                .caution(key, span, Caution::WorldReadable { path });
        }
    }
}

/// Whether everybody can read `path`.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & WORLD_READABLE != 0)
}

/// The content of a file that is no longer than credentials are.
///
/// # Errors
///
/// It cannot be read, or is longer.
pub(crate) fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_bounded(FILE_LEN_MAX, path)
}

fn read_bounded(max: u64, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::new());
    let read = File::open(path)?
        .take(max.saturating_add(1))
        .read_to_end(&mut content)?;
    if u64::try_from(read).is_ok_and(|read| read <= max) {
        Ok(content)
    } else {
        let message = format!("longer than {max} octets");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    }
}
