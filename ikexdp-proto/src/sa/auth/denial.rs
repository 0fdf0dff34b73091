//! A peer did not prove who it is, and is about to hear so: after the same time
//! whatever was wrong, so that what was looked at first does not show.

use alloc::boxed::Box;
use core::time::Duration;

use crate::limits::DENIAL_STEP;
use crate::sa::channel::{Channel, ReplyTo};
use crate::sa::closing::Lingering;
use crate::sa::{Context, State};
use crate::time::Instant;
use crate::wire::writer::Chain;

/// The answer is ready, but not yet due.
#[derive(Debug)]
pub(in crate::sa) struct Denied {
    pub(in crate::sa) channel: Channel,
    reply_to: ReplyTo,
    answer: Chain,
    due: Instant,
}

impl Denied {
    /// Has `answer` go out as long after the peer was `heard` as every other denial; if
    /// that is over, at the next multiple of it.
    pub(super) fn begin(
        cx: &Context<'_>,
        channel: Channel,
        reply_to: ReplyTo,
        heard: Instant,
        answer: Chain,
    ) -> State {
        State::Denied(Box::new(Self {
            channel,
            reply_to,
            answer,
            due: due(heard, cx.now),
        }))
    }

    pub(in crate::sa) const fn due(&self) -> Instant {
        self.due
    }

    /// Time has passed.
    pub(in crate::sa) fn handle_timeout(self: Box<Self>, cx: &mut Context<'_>) -> State {
        if self.due > cx.now {
            return State::Denied(self);
        }
        self.answer(cx)
    }

    /// Answers, which the host's end may bring forward.
    pub(in crate::sa) fn answer(mut self: Box<Self>, cx: &mut Context<'_>) -> State {
        self.channel.respond(cx, &self.reply_to, self.answer);
        State::Refused(Box::new(Lingering::new(self.channel, cx.now)))
    }
}

/// The end of the step that has begun at `now`.
fn due(heard: Instant, now: Instant) -> Instant {
    let took = now.since(heard).as_millis();
    let steps = took.checked_div(DENIAL_STEP.as_millis()).unwrap_or(0);
    let steps = u32::try_from(steps).unwrap_or(u32::MAX).saturating_add(1);
    heard + DENIAL_STEP.checked_mul(steps).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_due_at_the_end_of_a_step() {
        let heard = Instant::from_micros(7_000_000);
        let step = DENIAL_STEP;
        let micro = Duration::from_micros(1);
        for (took, expected) in [
            (Duration::ZERO, step),
            (micro, step),
            (step - micro, step),
            (step, step * 2),
            (step * 9 + micro, step * 10),
        ] {
            assert_eq!(due(heard, heard + took), heard + expected, "{took:?}");
        }
    }
}
