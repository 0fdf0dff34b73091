//! Other processes of this host, as `/proc` shows them.

use std::fmt;
use std::fs;
use std::path::Path;

/// A process, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it runs.
    pub name: String,
}

impl Process {
    /// The first process of whose directory in `/proc` `is_it` says so. Of
    /// others' processes only root sees more than the name.
    #[must_use]
    pub fn find(is_it: impl Fn(&Path) -> bool) -> Option<Self> {
        fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let path = process.path();
            if !is_it(&path) {
                return None;
            }
            let name = fs::read_to_string(path.join("comm")).ok()?;
            let name = name.trim_end().to_owned();
            Some(Self { pid, name })
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}
