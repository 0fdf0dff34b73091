//! The end of an IKE SA (RFC 7296 §1.4.1).

use alloc::boxed::Box;
use core::time::Duration;

use super::channel::{Channel, Message};
use super::{Context, Core, State, refuse};
use crate::error::{Unacceptable, Violation};
use crate::message::informational::Informational;
use crate::time::Instant;
use crate::wire::iana::ExchangeType;

/// How long the response to a peer's last request is kept: as long as peers go
/// on asking with any urgency.
const LINGER: Duration = Duration::from_secs(10);

/// How long a peer that has replaced an SA may take to delete the old one: longer
/// than it goes on repeating the request that did it.
const REPLACED: Duration = Duration::from_secs(180);

/// We have sent a request that ends the SA and wait for the response.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) channel: Channel,
}

impl Closing {
    /// Asks the peer to delete the SA.
    pub(super) fn begin(mut channel: Channel, cx: &mut Context<'_>, core: &Core) -> State {
        let delete = Informational {
            delete_ike: true,
            ..Informational::default()
        };
        let payloads = delete.encode();
        if channel.request(cx, ExchangeType::INFORMATIONAL, payloads, &core.path) {
            State::Closing(Box::new(Self { channel }))
        } else {
            State::Gone
        }
    }

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
        answer(&mut self.channel, cx, message);
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

/// Another IKE SA has taken its place, and the peer is about to delete it.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) channel: Channel,
    until: Instant,
}

impl Replaced {
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn handle_message(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        message: &Message,
    ) -> State {
        if message.response {
            return State::Replaced(self);
        }
        answer(&mut self.channel, cx, message);
        let payloads = &message.payloads;
        let deleted = Informational::decode(payloads.first, &payloads.octets)
            .is_ok_and(|request| request.delete_ike);
        if deleted && message.exchange == ExchangeType::INFORMATIONAL {
            State::Lingering(Box::new(Lingering::new(self.channel, cx.now)))
        } else {
            State::Replaced(self)
        }
    }

    /// Time has passed: a peer that does not delete it is asked to.
    pub(super) fn handle_timeout(self: Box<Self>, cx: &mut Context<'_>, core: &Core) -> State {
        if self.until > cx.now {
            State::Replaced(self)
        } else if self.channel.is_waiting() {
            State::Gone
        } else {
            Closing::begin(self.channel, cx, core)
        }
    }
}

impl State {
    /// Of an IKE SA that has left what it had to another.
    pub(super) fn replaced(channel: Channel, now: Instant) -> Self {
        Self::Replaced(Box::new(Replaced {
            channel,
            until: now + REPLACED,
        }))
    }
}

/// Answers a request to an SA that is as good as gone.
fn answer(channel: &mut Channel, cx: &mut Context<'_>, message: &Message) {
    let to = message.reply_to();
    match message.exchange {
        // Most likely the wish that it be deleted.
        ExchangeType::INFORMATIONAL => {
            let nothing = Informational::default().encode();
            channel.respond(cx, &to, nothing);
        }
        // RFC 7296 §2.25.2: it may ask again, of another SA.
        ExchangeType::CREATE_CHILD_SA => {
            refuse(channel, cx, &to, &Unacceptable::Collision.into());
        }
        _ => {
            let error = Violation::UnexpectedExchange.into();
            refuse(channel, cx, &to, &error);
        }
    }
}
