//! Which captures show an attempt, and from which end.

use std::time::Duration;

use crate::model::{Attempt, Capture, Vantage};
use crate::time::Moment;

/// Which captures show an attempt from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// This one alone, and where it was made.
    One(usize, Vantage),
    /// The client's, which is the first, and the gateway's.
    Both,
}

/// How far what a capture has may be beside its times, as clocks are put right to so much.
const MARGIN: Duration = Duration::from_secs(1);

impl Sight {
    /// Of two captures, one that had ended, or had not begun, says nothing of what did not arrive; nor does a client's
    /// of another client, nor, if it `is_aligned`, a gateway's that is not known to be of this gateway.
    pub(super) fn of_two(
        attempt: &Attempt,
        client: &Capture,
        gateway: &Capture,
        is_aligned: bool,
        is_its_gateway: bool,
    ) -> Self {
        let times = attempt.messages.iter().map(|message| message.time);
        let (first, last) = (
            times.clone().min().unwrap_or_default(),
            times.max().unwrap_or_default(),
        );
        let covers = |capture: &Capture| {
            let (begin, end) = (
                capture.first.unwrap_or_default(),
                capture.last.unwrap_or_default(),
            );
            begin.since(first) <= MARGIN && last.since(end) <= MARGIN
        };
        let is_in = |index: usize| {
            attempt
                .messages
                .iter()
                .any(|message| message.capture == index)
        };
        // Where clocks cannot be compared, it is believed that both are of the same time.
        let by_gateway = !is_aligned || (covers(gateway) && (is_in(1) || is_its_gateway));
        match (is_in(0) && covers(client), by_gateway) {
            (true, true) => Self::Both,
            (true, false) => Self::One(0, Vantage::Client),
            (false, _) if is_in(1) => Self::One(1, Vantage::Gateway),
            (false, _) => Self::One(0, Vantage::Client),
        }
    }

    /// Until when it is known what was sent. Of two captures that is the shorter, if their clocks can be compared.
    pub(super) fn end(self, captures: &[Capture], is_aligned: bool) -> Moment {
        let last = |index: usize| captures.get(index).and_then(|capture| capture.last);
        match self {
            Self::One(index, _) => last(index),
            Self::Both if is_aligned => last(0).min(last(1)),
            Self::Both => last(0),
        }
        .unwrap_or_default()
    }
}
