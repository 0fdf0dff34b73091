//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::caution::Caution;
use super::fault::Fault;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration cannot be read: {}; hint: name the file with `--config`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}: {message}; hint: a line is `key = value`, texts are quoted", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key does not exist, is missing, or has a value of the wrong kind; the
    /// rest of the file was not looked at.
    #[error(
        "{}:{line}: {key}: {message}; hint: docs/configuration.md lists every key and its kind",
        path.display()
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key that is begun there, or its table.
        key: String,
        /// What the parser says.
        message: String,
    },
    /// The file says something that cannot be.
    #[error("{}", Listing { path, faults })]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        faults: Vec<Problem<Fault>>,
    },
}

/// Something about one key.
#[derive(Debug)]
pub struct Problem<Kind> {
    /// The line, counted from 1.
    pub line: usize,
    /// The key with its table: `gateway.fragment-size`, `pool.staff.dns`.
    pub key: String,
    /// What it is.
    pub kind: Kind,
}

impl fmt::Display for Problem<Fault> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, kind, .. } = self;
        write!(f, "{key}: {kind}; hint: {}", kind.hint())
    }
}

impl fmt::Display for Problem<Caution> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, kind, .. } = self;
        write!(f, "{key}: {kind}; hint: {}", kind.hint())
    }
}

/// Several faults of one file, a line each.
struct Listing<'a> {
    path: &'a Path,
    faults: &'a [Problem<Fault>],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            if place > 0 {
                f.write_str("\nerror: ")?;
            }
            write!(f, "{}:{}: {fault}", self.path.display(), fault.line)?;
        }
        Ok(())
    }
}

/// Gathers what is wrong while a file is being read, so that one run reports all
/// of it.
pub(super) struct Problems<'a> {
    text: &'a str,
    pub(super) faults: Vec<Problem<Fault>>,
    pub(super) cautions: Vec<Problem<Caution>>,
}

impl<'a> Problems<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: Vec::new(),
            cautions: Vec::new(),
        }
    }

    /// Notes that the value at `span` cannot be used; there is none to go on with.
    pub(super) fn fault<T>(&mut self, key: &Key<'_>, span: Range<usize>, kind: Fault) -> Option<T> {
        self.faults.push(Problem {
            line: line_of(self.text, span.start),
            key: key.to_string(),
            kind,
        });
        None
    }

    /// Notes that the value at `span` deserves a second look.
    pub(super) fn caution(&mut self, key: &Key<'_>, span: Range<usize>, kind: Caution) {
        self.cautions.push(Problem {
            line: line_of(self.text, span.start),
            key: key.to_string(),
            kind,
        });
    }
}

/// The line of the octet at `offset`, counted from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before
        .filter(|octet| **octet == b'\n')
        .count()
        .saturating_add(1)
}

/// The key of the line of the octet at `offset`, with its table; or the table
/// that is begun there. What is not certainly a key may be a secret, and is not
/// told.
pub(super) fn key_at(text: &str, offset: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line_of(text, offset)).collect();
    let table = lines.iter().rev().find_map(|line| table(line));
    let key = lines.last().and_then(|line| line.split_once('='));
    let key = key.and_then(|(key, _)| bare(key));
    let parts: Vec<&str> = table.into_iter().chain(key).collect();
    parts.join(".")
}

/// The table that begins on `line`, if one does.
fn table(line: &str) -> Option<&str> {
    let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    let double = inner.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare(double.unwrap_or(inner))
}

/// `text`, if it can be a key without quotes.
fn bare(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!text.is_empty() && text.chars().all(is_bare)).then_some(text)
}

/// A key with the table it is in.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    /// The table, `gateway`, or its kind, `pool`.
    table: &'a str,
    /// The `name` in a table of which there may be many.
    name: Option<&'a str>,
    field: &'a str,
}

impl<'a> Key<'a> {
    /// The table `table`.
    pub(super) const fn of(table: &'a str) -> Self {
        Self {
            table,
            name: None,
            field: "",
        }
    }

    /// The table of that kind whose name is `name`.
    pub(super) const fn named(table: &'a str, name: &'a str) -> Self {
        Self {
            table,
            name: Some(name),
            field: "",
        }
    }

    /// The key `field` in this table.
    pub(super) const fn at<'b>(&self, field: &'b str) -> Key<'b>
    where
        'a: 'b,
    {
        Key { field, ..*self }
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        if let Some(name) = self.name {
            write!(f, ".{name}")?;
        }
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one() {
        let text = "a\nb\n\nc";
        let lines = [0, 1, 2, 3, 4, 5, 99].map(|offset| line_of(text, offset));
        assert_eq!(lines, [1, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn keys_are_found_by_their_place() {
        let text = "top = 1\n[gateway]\nsize = 2\n\n[[pool]]\nname = \"a\"\n";
        let keys = [0, 6, 8, 19, 27, 30, 40].map(|offset| key_at(text, offset));
        let expected = [
            "top",
            "top",
            "gateway",
            "gateway.size",
            "gateway",
            "pool",
            "pool.name",
        ];
        assert_eq!(keys, expected);
        for (text, key) in [
            ("[gateway] # the = one\nsize = 2", "gateway.size"),
            ("[pool]\naddresses = [\n[\"abcd\"],\n\"ab=\", 2]", "pool"),
            ("[connection]\nsecret: \"abcd=\"", "connection"),
            ("a.b = { c = 2 }", "a.b"),
        ] {
            assert_eq!(key_at(text, text.len()), key, "{text}");
        }
    }

    #[test]
    fn a_key_is_written_with_its_table() {
        let key = Key::named("connection", "staff").at("local.id");
        assert_eq!(key.to_string(), "connection.staff.local.id");
        assert_eq!(Key::of("gateway").to_string(), "gateway");
    }
}
