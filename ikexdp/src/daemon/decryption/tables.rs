//! The files of the tables: whoever has them reads along.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use tokio::sync::mpsc::Receiver;

use crate::wireshark::{Line, Table};

/// Longest table, in octets: keys of some 40,000 IKE SAs. Whoever begins handshakes at
/// the address makes it longer, also without proving who it is.
pub(super) const LENGTH_MAX: u64 = 16 * 1024 * 1024;

/// Why there are no keys in a table.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    /// The system refused.
    #[error(
        "{}: {source}; hint: the daemon's user must be able to write there, and links are \
         not followed",
        path.display()
    )]
    Refused { path: PathBuf, source: io::Error },
    /// Somebody else could read along.
    #[error("no file of the daemon's own user: {}; hint: remove it", path.display())]
    Foreign { path: PathBuf },
    /// It has grown long.
    #[error(
        "as long as it may become ({LENGTH_MAX} octets): {}; hint: move it away, or remove it",
        path.display()
    )]
    Full { path: PathBuf },
}

/// The open tables, for their owner alone.
#[derive(Debug)]
pub(super) struct Tables([Open; 2]);

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
}

impl Tables {
    /// Opens the tables in `directory`, or makes them.
    ///
    /// # Errors
    /// [`TableError`] if others could read them, or they are full.
    pub(super) fn open(directory: &Path) -> Result<Self, TableError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(refused(directory))?;
        let mut options = OpenOptions::new();
        Open::ours(directory, options.read(true), 0o700)?;
        let open = |table: Table| {
            let mut options = OpenOptions::new();
            options.append(true).create(true);
            let open = Open::ours(&directory.join(table.file()), &mut options, 0o600)?;
            open.expect_room(1)?;
            Ok(open)
        };
        let [ike, esp] = Table::ALL.map(open);
        Ok(Self([ike?, esp?]))
    }

    /// Writes what arrives, until nothing can any more.
    ///
    /// # Errors
    /// [`TableError`] if the system refuses, or a table is full.
    pub(super) async fn write(&mut self, arriving: &mut Receiver<Line>) -> Result<(), TableError> {
        while let Some(line) = arriving.recv().await {
            let Self([ike, esp]) = self;
            let table = match line.table {
                Table::Ike => ike,
                Table::Esp => esp,
            };
            table.append(line.text.expose().as_bytes())?;
        }
        Ok(())
    }
}

impl Open {
    /// Opens what is ours, a file or a directory, and for nobody else from now on.
    fn ours(path: &Path, options: &mut OpenOptions, mode: u32) -> Result<Self, TableError> {
        // Nor does whoever waits at the other end of a pipe keep us waiting.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = options.mode(mode).custom_flags(flags).open(path);
        let file = file.map_err(refused(path))?;
        let metadata = file.metadata().map_err(refused(path))?;
        let path = path.to_owned();
        let is_known = metadata.is_file() || metadata.is_dir();
        if !is_known || metadata.uid() != geteuid().as_raw() {
            return Err(TableError::Foreign { path });
        }
        let permissions = Permissions::from_mode(mode);
        file.set_permissions(permissions).map_err(refused(&path))?;
        Ok(Self { file, path })
    }

    fn append(&mut self, text: &[u8]) -> Result<(), TableError> {
        self.expect_room(text.len())?;
        let written = wholly(&mut self.file, |file| file.write_all(text));
        written.map_err(refused(&self.path))
    }

    fn expect_room(&self, octets: usize) -> Result<(), TableError> {
        let metadata = self.file.metadata().map_err(refused(&self.path))?;
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        if metadata.len().saturating_add(octets) > LENGTH_MAX {
            let path = self.path.clone();
            return Err(TableError::Full { path });
        }
        Ok(())
    }
}

/// Has `write` add to `file`, or takes back what it has added before it failed: a part of
/// a line would spoil the next one.
fn wholly(file: &mut File, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let length = file.metadata()?.len();
    let written = write(file);
    if written.is_err() {
        // If that fails as well, nothing is lost that could be read.
        let _ = file.set_len(length);
    }
    written
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> TableError + use<'_> {
    |source| TableError::Refused {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn whatever_was_there_before_is_for_the_owner_alone() {
        let directory = TempDir::new().unwrap();
        let keys = directory.path().join("state/keys");
        fs::create_dir_all(&keys).unwrap();
        fs::set_permissions(&keys, Permissions::from_mode(0o755)).unwrap();
        let tables = Table::ALL.map(|table| keys.join(table.file()));
        for table in &tables {
            fs::write(table, "from before\n").unwrap();
            fs::set_permissions(table, Permissions::from_mode(0o644)).unwrap();
        }
        Tables::open(&keys).unwrap();
        assert_eq!(mode(&keys), 0o700);
        for table in &tables {
            assert_eq!(mode(table), 0o600);
            assert_eq!(fs::read_to_string(table).unwrap(), "from before\n");
        }
    }

    #[test]
    fn nothing_is_written_to_where_a_link_or_a_pipe_leads() {
        let directory = TempDir::new().unwrap();
        let [elsewhere, link] = ["elsewhere", "link"].map(|it| directory.path().join(it));
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, &link).unwrap();
        let error = Tables::open(&link).unwrap_err().to_string();
        assert!(error.contains("links are not followed"), "{error}");

        let table = elsewhere.join(Table::Esp.file());
        symlink(directory.path().join("precious"), &table).unwrap();
        let error = Tables::open(&elsewhere).unwrap_err();
        assert!(matches!(error, TableError::Refused { .. }), "{error}");
        assert!(!directory.path().join("precious").exists());

        fs::remove_file(&table).unwrap();
        mkfifo(&table, Mode::S_IRWXU).unwrap();
        let _reads = OpenOptions::new().read(true).write(true).open(&table);
        let error = Tables::open(&elsewhere).unwrap_err();
        assert!(matches!(error, TableError::Foreign { .. }), "{error}");
    }

    #[test]
    fn of_a_line_that_is_cut_short_nothing_stays() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(Table::Ike.file());
        fs::write(&path, "one\n").unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let cut = wholly(&mut file, |file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        wholly(&mut file, |file| file.write_all(b"three\n")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[test]
    fn a_table_that_is_full_is_named() {
        let directory = TempDir::new().unwrap();
        let table = directory.path().join(Table::Ike.file());
        let sized = |length| File::create(&table).unwrap().set_len(length).unwrap();
        sized(LENGTH_MAX - 1);
        Tables::open(directory.path()).unwrap();
        sized(LENGTH_MAX);
        let error = Tables::open(directory.path()).unwrap_err().to_string();
        let expected = format!(
            "as long as it may become (16777216 octets): {}; hint: move it away, or remove it",
            table.display()
        );
        assert_eq!(error, expected);
    }
}
