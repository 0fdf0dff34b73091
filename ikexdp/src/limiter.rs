//! Keeps one kind of line from filling the log.

use std::collections::BTreeMap;
use std::time::Duration;

use ikexdp_proto::time::Instant;

/// Lines of a kind that are written in a period.
const BURST: u32 = 10;

/// How long a period lasts.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Admits a few lines of each kind in a period and counts the rest.
///
/// A period begins with a line, so that a rare line is never held back.
#[derive(Debug, Default)]
pub struct Limiter {
    periods: BTreeMap<&'static str, Period>,
}

#[derive(Debug)]
struct Period {
    end: Instant,
    admitted: u32,
    suppressed: u64,
}

impl Limiter {
    /// Whether a line of `kind` is to be written.
    pub fn admit(&mut self, now: Instant, kind: &'static str) -> bool {
        let period = self.periods.entry(kind).or_insert(Period {
            end: now + PERIOD,
            admitted: 0,
            suppressed: 0,
        });
        if period.admitted < BURST {
            period.admitted = period.admitted.saturating_add(1);
            true
        } else {
            period.suppressed = period.suppressed.saturating_add(1);
            false
        }
    }

    /// When [`Self::ended`] is to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.periods.values().map(|period| period.end).min()
    }

    /// Closes the periods that are over by `now`: the kinds of which lines were
    /// held back, and how many.
    pub fn ended(&mut self, now: Instant) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let over = self.periods.extract_if(.., |_, period| period.end <= now);
        let over: Vec<_> = over
            .map(|(kind, period)| (kind, period.suppressed))
            .collect();
        over.into_iter().filter(|(_, suppressed)| *suppressed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(1_000_000);

    fn admitted(limiter: &mut Limiter, now: Instant, kind: &'static str, lines: u32) -> usize {
        (0..lines).filter(|_| limiter.admit(now, kind)).count()
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_other() {
        let mut limiter = Limiter::default();
        assert_eq!(admitted(&mut limiter, START, "flood", 1000), 10);
        assert_eq!(admitted(&mut limiter, START, "rare", 1), 1);
        let end = START + PERIOD;
        assert_eq!(limiter.deadline(), Some(end));
        let ended: Vec<_> = limiter.ended(end).collect();
        assert_eq!(ended, [("flood", 990)]);
        assert_eq!(limiter.deadline(), None);
        assert_eq!(admitted(&mut limiter, end, "flood", 20), 10);
    }

    #[test]
    fn nothing_is_told_before_the_period_is_over() {
        let mut limiter = Limiter::default();
        admitted(&mut limiter, START, "flood", 11);
        assert_eq!(limiter.ended(START).count(), 0);
        assert_eq!(limiter.ended(START + PERIOD).count(), 1);
    }
}
