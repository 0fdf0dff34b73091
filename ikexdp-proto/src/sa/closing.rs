//! The end of an IKE SA (RFC 7296 §1.4.1).

use alloc::boxed::Box;
use core::time::Duration;

use super::channel::{Channel, Message};
use super::{Context, State, refuse};
use crate::error::{Unacceptable, Violation};
use crate::message::informational::Informational;
use crate::time::Instant;
use crate::wire::iana::ExchangeType;

/// How long the response to a peer's last request is kept: as long as peers go
/// on asking with any urgency.
const LINGER: Duration = Duration::from_secs(10);

/// We have sent a request that ends the SA and wait for the response.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) channel: Channel,
}

impl Closing {
    /// What goes on waiting is the `state` that it was.
    pub(super) fn handle_message(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        message: &Message,
        state: fn(Box<Self>) -> State,
    ) -> State {
        if message.response {
            return State::Gone;
        }
        let to = message.reply_to();
        match message.exchange {
            // A request that crossed ours, most likely the same wish.
            ExchangeType::INFORMATIONAL => {
                let nothing = Informational::default().encode();
                self.channel.respond(cx, &to, nothing);
            }
            // RFC 7296 §2.25.2: it may ask again, of another SA.
            ExchangeType::CREATE_CHILD_SA => {
                refuse(&mut self.channel, cx, &to, &Unacceptable::Closing.into());
            }
            _ => {
                let error = Violation::UnexpectedExchange.into();
                refuse(&mut self.channel, cx, &to, &error);
            }
        }
        state(self)
    }
}

/// Our last response may be lost: a repeat of its request is still answered.
#[derive(Debug)]
pub(super) struct Lingering {
    pub(super) channel: Channel,
    until: Instant,
}

impl Lingering {
    pub(super) fn new(channel: Channel, now: Instant) -> Self {
        Self {
            channel,
            until: now + LINGER,
        }
    }

    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }
}
