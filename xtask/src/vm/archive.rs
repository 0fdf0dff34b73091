//! A cpio archive in the format that the kernel unpacks as its first file system.
//!
//! ```text
//! "070701", 13 numbers of 8 hexadecimal digits, name, NUL, padding to 4, contents, padding to 4
//! ```
//!
//! The kernel's `Documentation/driver-api/early-userspace/buffer-format.rst` defines it.

use std::{
    collections::BTreeSet,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What an entry is, and who may do what with it (inode(7)).
const DIRECTORY: usize = 0o040_755;
const FILE: usize = 0o100_755;
const LINK: usize = 0o120_777;

/// An archive in the making; everything in it is root's.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    paths: BTreeSet<PathBuf>,
}

impl Archive {
    /// Adds a directory and those above it.
    pub(super) fn directory(&mut self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that everybody can read and run, and the directories above it.
    pub(super) fn file(&mut self, path: impl AsRef<Path>, contents: &[u8]) {
        let path = path.as_ref();
        self.entry(path, FILE, contents);
    }

    /// Adds a symbolic link, and the directories above it.
    pub(super) fn link(&mut self, path: impl AsRef<Path>, target: &str) {
        let path = path.as_ref();
        self.entry(path, LINK, target.as_bytes());
    }

    /// The archive, complete.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.append(b"TRAILER!!!", 0, &[]);
        self.bytes
    }

    /// Adds what is not there yet; first its directories, which the kernel does not make by itself.
    fn entry(&mut self, path: &Path, mode: usize, contents: &[u8]) {
        let Ok(name) = path.strip_prefix("/") else {
            return;
        };
        if name.as_os_str().is_empty() || !self.paths.insert(path.to_owned()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.entry(parent, DIRECTORY, &[]);
        }
        self.append(name.as_os_str().as_bytes(), mode, contents);
    }

    fn append(&mut self, name: &[u8], mode: usize, contents: &[u8]) {
        let (inode, user, group, links, time) = (0, 0, 0, 1, 0);
        let device = [0; 4];
        let name_size = name.len().saturating_add(1);
        self.bytes.extend(b"070701");
        let numbers = [inode, mode, user, group, links, time, contents.len()];
        let numbers = numbers.into_iter().chain(device).chain([name_size, 0]);
        for number in numbers {
            // A vector takes whatever is written.
            let _ = write!(self.bytes, "{number:08x}");
        }
        self.bytes.extend(name);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_first_and_once() {
        let mut archive = Archive::default();
        archive.file("/etc/a", b"12345");
        archive.link("/etc/b", "a");
        let entry = |mode: &str, size: usize, name: &str, contents: &str| {
            let name_size = name.len() + 1;
            let numbers = format!(
                "00000000{mode}{0}{0}00000001{0}{size:08x}{0}{0}{0}{0}{name_size:08x}{0}",
                "00000000"
            );
            format!("070701{numbers}{name}\0{contents}")
        };
        let expected = [
            entry("000041ed", 0, "etc", "\0\0"),
            entry("000081ed", 5, "etc/a", "12345\0\0\0"),
            entry("0000a1ff", 1, "etc/b", "a\0\0\0"),
            entry("00000000", 0, "TRAILER!!!", "\0\0\0"),
        ];
        let archive = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(archive, expected.concat());
    }
}
