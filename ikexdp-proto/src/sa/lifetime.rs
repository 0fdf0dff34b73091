//! How long an SA lives (RFC 7296 §2.8).

use core::time::Duration;

use super::Context;
use crate::time::Instant;

/// The shortest time after which what the peer had no time for is asked for
/// again.
const RETRY: Duration = Duration::from_secs(5);

/// When an SA is to be replaced, and when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    /// When we begin to replace it, if it is for us to do so.
    pub(super) soft: Option<Instant>,
    /// When it is deleted.
    pub(super) hard: Instant,
}

impl Lifetime {
    /// Begins now; `replaced` says whether we replace the SA in time.
    pub(super) fn begin(cx: &mut Context<'_>, length: Duration, replaced: bool) -> Self {
        let wait = permille(length, cx.between(800, 900));
        Self {
            soft: replaced.then(|| cx.now + wait),
            hard: cx.now + length,
        }
    }

    /// Ends no later than `until`; what ends by then needs no replacing.
    pub(super) fn cut(mut self, until: Option<Instant>) -> Self {
        let until = until.unwrap_or(self.hard);
        self.hard = self.hard.min(until);
        self.soft = self.soft.filter(|soft| *soft < until);
        self
    }

    /// The peer had no time; both sides of a collision must not come back at the
    /// same moment (RFC 7296 §2.25).
    pub(super) fn postpone(&mut self, cx: &mut Context<'_>) {
        let wait = permille(RETRY, cx.between(1000, 3000));
        self.soft = Some(cx.now + wait);
    }

    /// The first of both.
    pub(super) fn next(&self) -> Instant {
        self.soft.map_or(self.hard, |soft| soft.min(self.hard))
    }
}

fn permille(length: Duration, share: u32) -> Duration {
    let thousandth = length.checked_div(1000).unwrap_or_default();
    thousandth.saturating_mul(share)
}

/// A part of `limit` at which it is time to replace an SA, different for each.
pub(super) fn soft_limit(cx: &mut Context<'_>, limit: u64) -> u64 {
    let share = u64::from(cx.between(800, 900));
    (limit / 1000).saturating_mul(share).max(1)
}
