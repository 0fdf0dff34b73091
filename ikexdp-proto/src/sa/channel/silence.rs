//! What is known of a peer that says nothing more.

use super::Channel;
use crate::error::Limit;
use crate::event::{Incomplete, Unacknowledged};
use crate::wire::iana::ExchangeType;

impl Channel {
    /// How far the peer's message is that fragments of are missing.
    pub(crate) fn incomplete(&self) -> Option<Incomplete> {
        let [theirs, ours] = [&self.theirs.reassembly, &self.ours.reassembly];
        let message = theirs.as_ref().or(ours.as_ref());
        let message = message.map(|message| message.incomplete());
        message.or_else(|| self.theirs.given_up.as_deref().cloned())
    }

    /// The limit of ours that the peer's message was too much for.
    pub(crate) const fn over(&self) -> Option<Limit> {
        self.theirs.over
    }

    /// Our last response of that exchange, if the peer asked for it again and has not gone on.
    pub(crate) fn unacknowledged(&self, exchange: ExchangeType) -> Option<Unacknowledged> {
        let answered = self.theirs.answered.as_ref();
        let answered = answered.filter(|sent| sent.header.exchange == exchange);
        answered.and_then(|sent| sent.unacknowledged())
    }
}
