//! Files that are there as a whole or not at all, and for nobody else to read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::PkiError;

/// A directory that gives what is made in it to its group.
const SET_GROUP: u32 = 0o2000;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    All,
    /// Its owner, and the daemon: the group that the directory gives its files to,
    /// if it does.
    Daemon,
    /// Its owner alone.
    Owner,
}

impl Readers {
    fn mode(self, directory: &Path) -> u32 {
        let gives = fs::metadata(directory)
            .is_ok_and(|metadata| metadata.permissions().mode() & SET_GROUP != 0);
        match self {
            Self::All => 0o644,
            Self::Daemon if gives => 0o640,
            Self::Daemon | Self::Owner => 0o600,
        }
    }
}

/// Makes a file, which must not be there.
///
/// # Errors
/// [`PkiError::Exists`] if it is, [`PkiError::Write`].
pub fn create(path: &Path, content: &[u8], readers: Readers) -> Result<(), PkiError> {
    write_beside(path, content, readers)
        .and_then(|unfinished| {
            // Unlike a rename it does not replace.
            let linked = fs::hard_link(&unfinished, path);
            fs::remove_file(&unfinished)?;
            linked?;
            sync_parent(path)
        })
        .map_err(PkiError::writing(path))
}

/// Puts a file in the place of one that may be there.
///
/// # Errors
/// [`PkiError::Write`].
pub(super) fn replace(path: &Path, content: &[u8], readers: Readers) -> Result<(), PkiError> {
    write_beside(path, content, readers)
        .and_then(|unfinished| {
            fs::rename(unfinished, path)?;
            sync_parent(path)
        })
        .map_err(PkiError::writing(path))
}

/// Makes a directory, which must not be there; the group may look into one that
/// the daemon is to read.
///
/// # Errors
/// [`PkiError::Exists`] if it is, [`PkiError::Write`].
pub fn create_directory(path: &Path, readers: Readers) -> Result<(), PkiError> {
    let mode = match readers {
        Readers::All => 0o755,
        Readers::Daemon => 0o750,
        Readers::Owner => 0o700,
    };
    DirBuilder::new()
        .mode(mode)
        .create(path)
        .and_then(|()| {
            // As asked for, whatever the umask; the group is inherited with its bit.
            let inherited = fs::metadata(path)?.permissions().mode() & SET_GROUP;
            fs::set_permissions(path, Permissions::from_mode(mode | inherited))
        })
        .map_err(PkiError::writing(path))
}

/// Writes a file beside `path`, and says where.
fn write_beside(path: &Path, content: &[u8], readers: Readers) -> io::Result<PathBuf> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    // Left over from a crash; who is at it now holds the lock.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&unfinished)?;
    let mode = readers.mode(path.parent().unwrap_or(path));
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(unfinished)
}

/// A new name is on the disk only with its directory.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn nothing_is_overwritten_but_what_is_to_be() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("file");
        fs::write(directory.path().join("file.new"), "half a fi").unwrap();
        create(&path, b"one", Readers::Owner).unwrap();
        let again = create(&path, b"two", Readers::Owner).unwrap_err();
        assert!(matches!(again, PkiError::Exists { .. }), "{again}");
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three", Readers::All).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(mode(&path), 0o644);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(create_directory(directory.path(), Readers::Owner).is_err());
    }

    #[test]
    fn the_daemon_reads_where_its_group_is_given() {
        let root = TempDir::new().unwrap();
        for (bits, inner, file) in [(0o700, 0o750, 0o600), (0o2750, 0o2750, 0o640)] {
            let directory = root.path().join(bits.to_string());
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(bits)).unwrap();
            let below = directory.join("pki");
            create_directory(&below, Readers::Daemon).unwrap();
            assert_eq!(mode(&below), inner);
            for (readers, expected) in [(Readers::Daemon, file), (Readers::Owner, 0o600)] {
                let path = below.join(format!("{readers:?}"));
                create(&path, b"", readers).unwrap();
                assert_eq!(mode(&path), expected, "{readers:?}");
            }
        }
    }
}
