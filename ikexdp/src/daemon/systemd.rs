//! What systemd is told (sd_notify(3)), if it is systemd that started us.

use std::time::Duration;

use ikexdp_proto::time::Instant;
use sd_notify::NotifyState;
use tracing::warn;

/// Says that clients are served, and how.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that we are about to end.
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Proves to systemd, in every turn of the packet loop that is due, that it
/// turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watchdog {
    period: Duration,
    due: Instant,
}

impl Watchdog {
    /// `None` if nobody watches: the packet loop need not wake up then.
    pub(super) fn new(now: Instant) -> Option<Self> {
        // Twice as often as it must be (sd_watchdog_enabled(3)).
        let period = sd_notify::watchdog_enabled()?.checked_div(2)?;
        Some(Self { period, due: now })
    }

    /// When [`Self::timeout`] is to be called.
    pub(super) const fn deadline(&self) -> Instant {
        self.due
    }

    /// Tells systemd, if it is due.
    pub(super) fn timeout(&mut self, now: Instant) {
        if self.due <= now {
            tell(&[NotifyState::Watchdog]);
            self.due = now + self.period;
        }
    }
}

/// If systemd cannot be told, it will act by what it does not hear.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd not told");
    }
}
