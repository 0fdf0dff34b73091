//! Counts of instructions, and what a change does to them.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, Result, bail};

/// How many more instructions an operation may take before somebody must look, in percent; with as
/// many less, the table should be written anew.
const TOLERANCE: f64 = 5.0;

/// What the program was run on and made by, and what was counted.
///
/// ```text
/// # cpu: x86_64 aes avx …
/// # tools: rustc 1.95.0 (…), cc (Debian …) 12.2.0, valgrind-3.19.0
/// agree/x25519 477336
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// What the CPU can do by which code is chosen.
    pub(super) cpu: String,
    /// Compilers and counter.
    pub(super) tools: String,
    /// By operation.
    pub(super) counts: BTreeMap<String, u64>,
}

/// What is to be said about counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Operations compared.
    total: usize,
    /// Those that take too many instructions, and those that take that many less.
    more: Vec<Change>,
    less: Vec<Change>,
    /// Those of which one side alone knows.
    unknown: Vec<String>,
    gone: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Change {
    name: String,
    was: u64,
    is: u64,
    percent: f64,
}

impl Table {
    /// Reads what its [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// A line is none of a table.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut table = Self::default();
        for line in text.lines() {
            if let Some(cpu) = line.strip_prefix("# cpu: ") {
                cpu.clone_into(&mut table.cpu);
            } else if let Some(tools) = line.strip_prefix("# tools: ") {
                tools.clone_into(&mut table.tools);
            } else if !line.starts_with('#') {
                let (name, count) = line.split_once(' ').with_context(|| line.to_owned())?;
                let count = count.trim().parse().with_context(|| line.to_owned())?;
                if table.counts.insert(name.to_owned(), count).is_some() {
                    bail!("{name} is there twice");
                }
            }
        }
        Ok(table)
    }

    /// What keeps `now` from being compared with this: another CPU or other compilers may make other
    /// code.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let pairs = [(&self.cpu, &now.cpu), (&self.tools, &now.tools)];
        let (then, now) = pairs.into_iter().find(|(then, now)| then != now)?;
        Some(format!("it is of {then}, and this is {now}"))
    }

    /// Compares what `now` was counted with this.
    pub(super) fn compare(&self, now: &Self) -> Comparison {
        let mut comparison = Comparison::default();
        for (name, is) in &now.counts {
            let Some(was) = self.counts.get(name) else {
                comparison.unknown.push(name.clone());
                continue;
            };
            comparison.total = comparison.total.saturating_add(1);
            let change = Change::new(name, *was, *is);
            if change.percent > TOLERANCE {
                comparison.more.push(change);
            } else if change.percent < -TOLERANCE {
                comparison.less.push(change);
            }
        }
        let gone = self
            .counts
            .keys()
            .filter(|name| !now.counts.contains_key(*name));
        comparison.gone = gone.cloned().collect();
        comparison
    }
}

impl Change {
    #[expect(
        clippy::cast_precision_loss,
        reason = "nobody looks at the sixteenth digit"
    )]
    fn new(name: &str, was: u64, is: u64) -> Self {
        let (before, after) = (was as f64, is as f64);
        Self {
            name: name.to_owned(),
            was,
            is,
            percent: (after - before) * 100.0 / before,
        }
    }
}

impl Comparison {
    /// Whether nobody needs to look.
    pub(super) const fn is_ok(&self) -> bool {
        self.more.is_empty() && self.unknown.is_empty() && self.gone.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions of single operations; `cargo xtask bench instructions --accept` writes this."
        )?;
        writeln!(f, "# cpu: {}", self.cpu)?;
        writeln!(f, "# tools: {}", self.tools)?;
        for (name, count) in &self.counts {
            writeln!(f, "{name} {count}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} operations compared; within {TOLERANCE} % they may differ",
            self.total
        )?;
        for change in &self.more {
            writeln!(f, "more instructions: {change}")?;
        }
        for change in &self.less {
            writeln!(
                f,
                "fewer instructions: {change}; hint: --accept, so that it stays like that"
            )?;
        }
        for name in &self.unknown {
            writeln!(f, "not in the table: {name}")?;
        }
        for name in &self.gone {
            writeln!(f, "only in the table: {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            was,
            is,
            percent,
        } = self;
        write!(f, "{name}: was {was}, is {is} ({percent:+.1} %)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[(&str, u64)]) -> Table {
        Table {
            cpu: "x86_64 aes avx2".into(),
            tools: "rustc 1.95.0, valgrind-3.19.0".into(),
            counts: counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let written = table(&[("a/b", 7), ("c/d", 900)]);
        assert_eq!(Table::parse(&written.to_string()).unwrap(), written);
        for wrong in ["a/b", "a/b seven", "a/b 7\na/b 8", "a/b -7"] {
            assert!(Table::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_than_the_tolerance_is_too_much() {
        let expected = table(&[("a/b", 1000), ("c/d", 1000)]);
        for (is, ok) in [
            (900, true),
            (1000, true),
            (1050, true),
            (1051, false),
            (5000, false),
        ] {
            let comparison = expected.compare(&table(&[("a/b", 1000), ("c/d", is)]));
            assert_eq!(comparison.is_ok(), ok, "{is}");
        }
        let comparison = expected.compare(&table(&[("a/b", 1000), ("c/d", 1100)]));
        let said = comparison.to_string();
        assert!(
            said.contains("more instructions: c/d: was 1000, is 1100 (+10.0 %)"),
            "{said}"
        );
        assert!(!said.contains("a/b"), "{said}");
    }

    #[test]
    fn fewer_are_told_and_no_error() {
        let expected = table(&[("a/b", 1000)]);
        let comparison = expected.compare(&table(&[("a/b", 900)]));
        assert!(comparison.is_ok());
        let said = comparison.to_string();
        assert!(
            said.contains("fewer instructions: a/b: was 1000, is 900 (-10.0 %)"),
            "{said}"
        );
    }

    #[test]
    fn both_must_have_the_same_operations() {
        let expected = table(&[("a/b", 1000), ("c/d", 1000)]);
        let fewer = expected.compare(&table(&[("a/b", 1000)]));
        assert!(!fewer.is_ok());
        assert!(fewer.to_string().contains("only in the table: c/d"));
        let more = expected.compare(&table(&[("a/b", 1000), ("c/d", 1000), ("e/f", 1)]));
        assert!(!more.is_ok());
        assert!(more.to_string().contains("not in the table: e/f"));
    }

    #[test]
    fn counts_of_another_cpu_or_by_other_tools_are_not_compared() {
        let expected = table(&[("a/b", 1000)]);
        assert_eq!(expected.difference(&table(&[("a/b", 9)])), None);
        let mut other = expected.clone();
        other.cpu = "x86_64 aes".into();
        let said = expected.difference(&other).unwrap();
        assert_eq!(said, "it is of x86_64 aes avx2, and this is x86_64 aes");
        other = expected.clone();
        other.tools = "rustc 1.96.0, valgrind-3.19.0".into();
        assert!(expected.difference(&other).is_some());
    }
}
