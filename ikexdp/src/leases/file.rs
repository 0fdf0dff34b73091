//! The file that leases are kept in.
//!
//! ```text
//! {"format":"ikexdp-leases-1","leases":2}
//! {"address":"10.9.0.1","holder":"5d41402abc4b2a76b9719d911017c592","given_back":7}
//! {"address":"10.9.0.2","holder":"7d793037a0760186574b0282f2f435e7"}
//! ```
//!
//! It is written beside its place and then renamed, so that it is always a whole
//! one; that the disk keeps its word is not taken for granted when it is read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ikexdp_proto::lease::Assignment;
use serde::{Deserialize, Serialize};
use tracing::warn;

/// What the file says it is; another number when the lines mean something else.
const FORMAT: &str = "ikexdp-leases-1";

/// Longest file taken, in octets: a million leases.
const FILE_LEN_MAX: u64 = 128 << 20;

/// Only the owner.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    /// How many lines follow.
    leases: usize,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    address: IpAddr,
    holder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_back: Option<u64>,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {fault}", path.display())]
struct DamagedFile {
    /// The file.
    path: PathBuf,
    /// The line, counted from 1.
    line: usize,
    /// What is wrong.
    fault: Fault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The first line is another's.
    #[error("not a file of leases")]
    Foreign,
    /// A line is no lease.
    #[error("not a lease")]
    Line,
    /// Lines are missing, or there are too many.
    #[error("lines: {found}, expected: {expected}")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
}

/// The leases in the file at `path`, if there is one. One that cannot be used is
/// set aside, and the daemon begins without.
#[must_use]
pub fn load(path: &Path) -> Vec<Assignment> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let (path, hint) = (
                path.display(),
                "clients may get other addresses than before",
            );
            warn!(%path, error = error.to_string(), hint, "leases cannot be read");
            return Vec::new();
        }
    };
    match read(path, file) {
        Ok(leases) => leases,
        Err(error) => {
            let aside = beside(path, ".damaged");
            // If it cannot be renamed, what is written next takes its place.
            let _ = fs::rename(path, &aside);
            let hint = "it was set aside, clients may get other addresses than before";
            let (error, aside) = (error.to_string(), aside.display());
            warn!(error, %aside, hint, "leases cannot be used");
            Vec::new()
        }
    }
}

fn read(path: &Path, file: File) -> Result<Vec<Assignment>, DamagedFile> {
    let mut leases = Vec::new();
    let mut expected = None;
    let damaged = |line, fault| DamagedFile {
        path: path.to_owned(),
        line,
        fault,
    };
    let lines = BufReader::new(file.take(FILE_LEN_MAX)).lines();
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(|error| damaged(number, error.into()))?;
        if expected.is_none() {
            let header = serde_json::from_str(&line).ok();
            let header = header.filter(|header: &Header| header.format == FORMAT);
            let header = header.ok_or_else(|| damaged(number, Fault::Foreign))?;
            expected = Some(header.leases);
        } else {
            let lease = lease(&line).ok_or_else(|| damaged(number, Fault::Line))?;
            leases.push(lease);
        }
    }
    let found = leases.len();
    let last = found.saturating_add(1);
    match expected {
        Some(expected) if expected == found => Ok(leases),
        Some(expected) => Err(damaged(last, Fault::Count { found, expected })),
        None => Err(damaged(last, Fault::Foreign)),
    }
}

fn lease(line: &str) -> Option<Assignment> {
    let line: Line = serde_json::from_str(line).ok()?;
    Some(Assignment {
        address: line.address,
        holder: line.holder.parse().ok()?,
        given_back: line.given_back,
    })
}

/// Puts `leases` in the place of what the file at `path` held. When this returns,
/// they are on the disk.
pub(super) fn write(path: &Path, leases: &[Assignment]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY_MODE);
    builder.create(directory)?;
    let unfinished = beside(path, ".new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut file = BufWriter::new(options.open(&unfinished)?);
    let header = Header {
        format: FORMAT.to_owned(),
        leases: leases.len(),
    };
    line(&mut file, &header)?;
    for lease in leases {
        let lease = Line {
            address: lease.address,
            holder: lease.holder.to_string(),
            given_back: lease.given_back,
        };
        line(&mut file, &lease)?;
    }
    file.into_inner()?.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The new name is on the disk only with its directory.
    File::open(directory)?.sync_all()
}

fn line(file: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, value)?;
    file.write_all(b"\n")
}

/// The path with more behind its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::lease::Holder;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn leases() -> Vec<Assignment> {
        let holder = |name: &str| Holder::of("staff", &name.parse().unwrap());
        [
            ("10.9.0.1", "kim@example.com", Some(7)),
            ("10.9.0.2", "lee@example.com", None),
            ("2001:db8:9::1", "kim@example.com", Some(8)),
        ]
        .map(|(address, name, given_back)| Assignment {
            address: address.parse().unwrap(),
            holder: holder(name),
            given_back,
        })
        .to_vec()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("state/leases");
        assert_eq!(load(&path), []);
        for leases in [leases(), Vec::new(), leases()] {
            write(&path, &leases).unwrap();
            assert_eq!(load(&path), leases);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), FILE_MODE);
        assert_eq!(mode(path.parent().unwrap()), DIRECTORY_MODE);
        // What a crash leaves is not in the way.
        fs::write(beside(&path, ".new"), "half a li").unwrap();
        write(&path, &leases()).unwrap();
        let files = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn the_file_names_nobody() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("leases");
        write(&path, &leases()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("kim"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn what_cannot_be_used_is_set_aside() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("leases");
        write(&path, &leases()).unwrap();
        let whole = fs::read(&path).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let without_last = lines[..3].join("\n") + "\n";
        let one_more = text.clone() + lines[3] + "\n";
        let damages: [(&[u8], &str); 9] = [
            (b"", "leases:1: not a file of leases"),
            (b"\0\0\0\0", ":1: not a file of leases"),
            (b"[gateway]\n", ":1: not a file of leases"),
            (b"{\"format\":\"other\",\"leases\":0}\n", ":1: not a file"),
            (&whole[..whole.len() - 9], ":4: not a lease"),
            (without_last.as_bytes(), ":3: lines: 2, expected: 3"),
            (one_more.as_bytes(), ":5: lines: 4, expected: 3"),
            (&[&whole[..60], b"\xff"].concat(), ":2: stream did not"),
            (
                &text.replace("10.9.0.1", "10.9.0.999").into_bytes(),
                ":2: not a lease",
            ),
        ];
        for (damage, expected) in damages {
            fs::write(&path, damage).unwrap();
            let error = read(&path, File::open(&path).unwrap()).unwrap_err();
            assert!(error.to_string().contains(expected), "{expected}: {error}");
            assert_eq!(load(&path), []);
            assert!(!path.exists(), "{expected}");
            assert_eq!(fs::read(beside(&path, ".damaged")).unwrap(), damage);
        }
    }
}
