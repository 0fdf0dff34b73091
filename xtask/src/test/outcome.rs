//! What libtest says at the end of a run, read and added up.

use std::time::Instant;

/// The counts of one run or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    measured: u64,
    filtered_out: u64,
    seconds: f64,
}

impl Outcome {
    /// A run that ended without saying how.
    pub(super) const CRASHED: Self = Self {
        passed: 0,
        failed: 1,
        ignored: 0,
        measured: 0,
        filtered_out: 0,
        seconds: 0.0,
    };

    /// Runs a test that is not libtest's; it says whether it passed.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is measured is this process"
    )]
    pub(super) fn of(test: impl FnOnce() -> bool) -> Self {
        let start = Instant::now();
        let passed = test();
        Self {
            passed: passed.into(),
            failed: (!passed).into(),
            seconds: start.elapsed().as_secs_f64(),
            ..Self::default()
        }
    }

    /// Reads libtest's last line; `None` for every other line.
    ///
    /// ```text
    /// test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 21.82s
    /// ```
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |name: &str| {
            let part = counts
                .split("; ")
                .find_map(|part| part.strip_suffix(name))?;
            part.trim().parse().ok()
        };
        let (_, seconds) = counts.split_once("finished in ")?;
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
            measured: count("measured")?,
            filtered_out: count("filtered out")?,
            seconds: seconds.trim().strip_suffix('s')?.parse().ok()?,
        })
    }

    /// The tests that ran.
    pub(super) fn ran(&self) -> u64 {
        self.passed.saturating_add(self.failed)
    }

    /// Whether every test ran and none failed.
    pub(super) fn is_ok(&self) -> bool {
        self.failed == 0 && self.ignored == 0
    }

    /// The line that [`Self::parse`] reads.
    pub(super) fn summary(&self, is_ok: bool) -> String {
        let Self {
            passed,
            failed,
            ignored,
            measured,
            filtered_out,
            seconds,
        } = self;
        let word = if is_ok { "ok" } else { "FAILED" };
        format!(
            "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; {measured} measured; \
             {filtered_out} filtered out; finished in {seconds:.2}s"
        )
    }

    /// Adds a run of other tests.
    pub(super) fn add(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.ignored = self.ignored.saturating_add(other.ignored);
        self.measured = self.measured.saturating_add(other.measured);
        self.filtered_out = self.filtered_out.saturating_add(other.filtered_out);
        self.seconds += other.seconds;
    }

    /// Adds a run of the tests that were ignored in this one.
    ///
    /// What it filtered out is what has run already.
    pub(super) fn add_ignored(&mut self, other: &Self) {
        self.ignored = self.ignored.saturating_sub(other.ran());
        self.add(&Self {
            filtered_out: 0,
            ..*other
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "test result: FAILED. 7 passed; 2 failed; 3 ignored; 0 measured; 4 filtered out; finished in 15.50s";

    #[test]
    fn a_result_is_read_and_written_alike() {
        let outcome = Outcome::parse(LINE).unwrap();
        assert_eq!((outcome.passed, outcome.failed, outcome.ignored), (7, 2, 3));
        assert_eq!(outcome.summary(outcome.is_ok()), LINE);
    }

    #[test]
    fn colour_does_not_matter() {
        let coloured = LINE.replace("FAILED", "\u{1b}[31mFAILED\u{1b}(B\u{1b}[m");
        assert_eq!(Outcome::parse(&coloured), Outcome::parse(LINE));
    }

    #[test]
    fn other_lines_are_no_result() {
        for line in [
            "running 9 tests",
            "test result: ok",
            "test result: ok. all; finished in s",
            "",
        ] {
            assert_eq!(Outcome::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_was_ignored_and_then_ran_counts_once() {
        let mut outcome = Outcome {
            passed: 5,
            ignored: 2,
            ..Outcome::default()
        };
        outcome.add_ignored(&Outcome {
            passed: 2,
            filtered_out: 5,
            ..Outcome::default()
        });
        assert!(outcome.is_ok());
        assert_eq!((outcome.passed, outcome.filtered_out), (7, 0));
    }

    #[test]
    fn a_test_that_never_ran_is_a_failure() {
        let mut outcome = Outcome {
            passed: 5,
            ignored: 2,
            ..Outcome::default()
        };
        outcome.add_ignored(&Outcome {
            passed: 1,
            ..Outcome::default()
        });
        assert!(!outcome.is_ok());
        assert_eq!((outcome.passed, outcome.ignored), (6, 1));
    }
}
