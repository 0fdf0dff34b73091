//! What XDP keeps from a capture, by its own count.

use ikexdp_common::verdict::{Action, Verdict};

use crate::xdp::Attached;

/// Frames by verdict, in the order of [`Verdict::ALL`].
type Counts = Vec<u64>;

/// A program that counts.
pub(super) trait Counting {
    /// Which one it is, among all that the kernel has had.
    fn id(&self) -> u32;

    /// What it has counted, as long as it tells.
    fn counts(&self) -> Option<Counts>;
}

impl Counting for Attached {
    fn id(&self) -> u32 {
        Self::id(self)
    }

    fn counts(&self) -> Option<Counts> {
        let counters = self.counters().ok()?;
        let counts = Verdict::ALL.iter();
        Some(counts.map(|verdict| counters.total(*verdict)).collect())
    }
}

/// The program on the interface, and what those before it have counted: with each daemon
/// comes another.
#[derive(Debug)]
pub(super) struct Tally<P> {
    /// With what it had counted before the capture.
    program: Option<(P, Counts)>,
    /// By those that have gone.
    gone: Counts,
    /// One of them no longer told.
    is_partial: bool,
}

impl<P: Counting> Tally<P> {
    /// From now on; with the program that is there.
    pub(super) fn begin(program: Option<P>) -> Self {
        let mut tally = Self {
            program: None,
            gone: Counts::new(),
            is_partial: false,
        };
        tally.program = program.map(|program| {
            let before = program.counts();
            tally.is_partial = before.is_none();
            (program, before.unwrap_or_default())
        });
        tally
    }

    /// A program is there now: the same as before, or one that is new, and so is what it counts.
    pub(super) fn see(&mut self, program: P) {
        if let Some((last, before)) = &self.program {
            if last.id() == program.id() {
                return;
            }
            match last.counts() {
                Some(counts) => self.gone = sum(&self.gone, &added(&counts, before)),
                None => self.is_partial = true,
            }
        }
        self.program = Some((program, Counts::new()));
    }

    /// What was dropped, answered and taken since the start, which no capture shows; nothing
    /// if there was no program.
    pub(super) fn told(&self) -> String {
        let Some((program, before)) = &self.program else {
            return String::new();
        };
        let Some(now) = program.counts().filter(|_| !self.is_partial) else {
            return "XDP no longer tells what it counts".to_owned();
        };
        let counts = sum(&self.gone, &added(&now, before));
        let is_unseen = |action| matches!(action, Action::Drop | Action::Reply | Action::Redirect);
        let unseen = Verdict::ALL.iter().zip(counts);
        let unseen = unseen.filter(|(verdict, count)| *count > 0 && is_unseen(verdict.action()));
        let unseen: Vec<_> = unseen
            .map(|(verdict, count)| format!("{} {count}", verdict.name()))
            .collect();
        if unseen.is_empty() {
            return "XDP kept nothing back".to_owned();
        }
        format!("XDP kept back: {}", unseen.join(", "))
    }
}

/// `now` without what was there `before`, which may say nothing of the last ones.
fn added(now: &Counts, before: &Counts) -> Counts {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let pairs = now.iter().zip(before);
    pairs
        .map(|(now, before)| now.saturating_sub(before))
        .collect()
}

/// Both; `a` may say nothing of the last ones.
fn sum(a: &Counts, b: &Counts) -> Counts {
    let a = a.iter().copied().chain(std::iter::repeat(0));
    b.iter().zip(a).map(|(b, a)| a.saturating_add(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Program<'a>(u32, &'a Cell<u64>);

    impl Counting for Program<'_> {
        fn id(&self) -> u32 {
            self.0
        }

        /// So much redirected, and as much let pass.
        fn counts(&self) -> Option<Counts> {
            let count = |verdict: &Verdict| match verdict {
                Verdict::RedirectIke | Verdict::PassEsp => self.1.get(),
                _ => 0,
            };
            (self.1.get() < 100).then(|| Verdict::ALL.iter().map(count).collect())
        }
    }

    #[test]
    fn what_each_program_has_kept_back_is_added_up() {
        let counts = [5, 0, 0].map(Cell::new);
        let [first, second, third] = &counts;
        let mut tally = Tally::begin(Some(Program(1, first)));
        assert_eq!(tally.told(), "XDP kept nothing back");
        first.set(7);
        tally.see(Program(1, first));
        assert_eq!(tally.told(), "XDP kept back: redirect_ike 2");
        second.set(3);
        tally.see(Program(2, second));
        assert_eq!(tally.told(), "XDP kept back: redirect_ike 5");
        second.set(4);
        tally.see(Program(3, third));
        third.set(1);
        assert_eq!(tally.told(), "XDP kept back: redirect_ike 7");
        third.set(100);
        assert_eq!(tally.told(), "XDP no longer tells what it counts");
    }

    #[test]
    fn a_program_that_comes_later_is_counted_from_its_beginning() {
        let count = Cell::new(2);
        let mut tally = Tally::begin(None);
        assert_eq!(tally.told(), "");
        tally.see(Program(1, &count));
        assert_eq!(tally.told(), "XDP kept back: redirect_ike 2");
    }
}
