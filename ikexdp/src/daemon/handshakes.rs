//! What became of handshakes, in numbers.
//!
//! Nothing here grows with who comes: reasons and steps are known beforehand.

use ikexdp_proto::event::Event;

use crate::failure::FailureKind;
use crate::view::{self, Histogram};

/// Steps of time, in microseconds: from a handshake on the same machine to one that
/// a person has typed a password for.
const STEPS_US: [u64; 13] = [
    2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Steps of fragments: a message that is not cut has none.
const STEPS_FRAGMENTS: [u64; 9] = [0, 2, 3, 4, 6, 8, 12, 16, 32];

/// What became of handshakes since the daemon began.
#[derive(Debug)]
pub(super) struct Handshakes {
    established: u64,
    failed: [u64; FailureKind::COUNT],
    duration_us: Histogram,
    fragments_received: Histogram,
    fragments_sent: Histogram,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            established: 0,
            failed: [0; FailureKind::COUNT],
            duration_us: Histogram::new(&STEPS_US),
            fragments_received: Histogram::new(&STEPS_FRAGMENTS),
            fragments_sent: Histogram::new(&STEPS_FRAGMENTS),
        }
    }
}

impl Handshakes {
    /// Hears what has happened.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Established(sa) => {
                self.established = self.established.saturating_add(1);
                let duration = sa.handshake.as_micros();
                let duration = u64::try_from(duration).unwrap_or(u64::MAX);
                self.duration_us.observe(duration);
                let fragments = sa.fragmentation;
                self.fragments_received.observe(fragments.received.into());
                self.fragments_sent.observe(fragments.sent.into());
            }
            Event::HandshakeFailed(failure) => {
                let kind = FailureKind::from(&failure.reason);
                if let Some(count) = self.failed.get_mut(kind.index()) {
                    *count = count.saturating_add(1);
                }
            }
            _ => {}
        }
    }

    /// All of it, to be shown.
    pub(super) fn view(&self) -> view::Handshakes {
        let kinds = FailureKind::ALL.iter().map(|kind| kind.name());
        view::Handshakes {
            established: self.established,
            failed: kinds.zip(self.failed).collect(),
            duration_us: self.duration_us.clone(),
            fragments_received: self.fragments_received.clone(),
            fragments_sent: self.fragments_sent.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ikexdp_proto::event::{FailureReason, HandshakeFailure};
    use ikexdp_proto::types::Path;

    fn failure(reason: FailureReason) -> Event {
        let path = Path {
            local: "192.0.2.1:500".parse().unwrap(),
            remote: "198.51.100.7:500".parse().unwrap(),
            marker: false,
        };
        Event::HandshakeFailed(Box::new(HandshakeFailure::without_sa(path, true, reason)))
    }

    #[test]
    fn failures_are_counted_by_reason_and_reasons_without_one_are_there() {
        let mut handshakes = Handshakes::default();
        for reason in [
            FailureReason::SharedKey,
            FailureReason::OwnKey,
            FailureReason::SharedKey,
        ] {
            handshakes.hear(&failure(reason));
        }
        let shown = handshakes.view();
        assert_eq!(shown.failed.0.len(), FailureKind::COUNT);
        let failed = shown.failed.0.iter().filter(|(_, count)| *count > 0);
        let failed: Vec<_> = failed.map(|(name, count)| (&**name, *count)).collect();
        assert_eq!(failed, [("shared_key", 2), ("own_key", 1)]);
        assert_eq!(shown.established, 0);
        assert_eq!(shown.duration_us.count, 0, "only those that succeed");
    }
}
