//! Peers that move (RFC 4555, RFC 7296 §2.23).
//!
//! The peer is the one that moves: a gateway stays where it is. What it says is
//! authentic, but the addresses of its datagram are not: whether it is really
//! there is asked, with a cookie that nobody else can know.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Established, Ours};
use crate::event::{CloseReason, Event};
use crate::message::informational::Informational;
use crate::nat::{NatHashes, is_translated};
use crate::sa::channel::Message;
use crate::sa::{Context, Core, State};
use crate::stats::Stat;
use crate::types::Path;
use crate::wire::iana::{ExchangeType, NotifyType};

/// Octets of our COOKIE2.
const COOKIE2_LEN: usize = 16;

impl State {
    /// Whether an authentic new request moves the SA: once it is up only a peer
    /// behind a NAT moves that way (RFC 7296 §2.23), and only if it does not say
    /// when it moves (RFC 4555 §3.8).
    pub(in crate::sa) const fn follows(&self, core: &Core) -> bool {
        match self {
            Self::Established(state) => core.nat.remote && !state.estate.mobike,
            Self::Heir(_) | Self::Replaced(_) | Self::Closing(_) => core.nat.remote,
            _ => true,
        }
    }
}

impl Established {
    /// Does what a request says about addresses; returns what the response says.
    pub(super) fn update_addresses(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core,
        message: &Message,
        request: &Informational,
    ) -> Informational {
        let mut response = Informational {
            cookie2: request.cookie2.clone(),
            ..Informational::default()
        };
        if !self.estate.mobike {
            return response;
        }
        if !request.nat.is_empty() {
            response.nat = NatHashes::of(core.spis, &message.path);
        }
        if is_translated(request.no_nats_allowed.as_ref(), &message.path) {
            response.error = Some(NotifyType::UNEXPECTED_NAT_DETECTED);
            return response;
        }
        if !request.update_addresses {
            return response;
        }
        let (path, tunnel) = (core.path, core.tunnel());
        core.path = message.path;
        core.nat = request.nat.compare(core.spis, &message.path);
        self.estate.relocate(cx, core, tunnel);
        self.moved(cx, core, &path);
        self.check_route = path != core.path;
        response
    }

    /// Tells that the peer was reached by `from` until now.
    pub(in crate::sa) fn moved(&self, cx: &mut Context<'_>, core: &Core, from: &Path) {
        if *from != core.path {
            cx.stats.count(Stat::Moved);
            cx.event(Event::Moved {
                id: core.id,
                from: *from,
                to: core.path,
            });
        }
    }

    /// Asks whether the peer is where its datagram came from (RFC 4555 §3.7).
    pub(super) fn ask_for_route(&mut self, cx: &mut Context<'_>, core: &Core) {
        self.check_route = false;
        let cookie = cx.random::<COOKIE2_LEN>().to_vec();
        let question = Informational {
            cookie2: Some(cookie.clone()),
            ..Informational::default()
        };
        self.ours = Ours::Route(cookie);
        self.request(cx, core, ExchangeType::INFORMATIONAL, question.encode());
    }

    /// Whoever answers without the cookie has not seen the question.
    pub(super) fn route_response(
        mut self: Box<Self>,
        cx: &mut Context<'_>,
        core: &Core,
        cookie: &Vec<u8>,
        message: &Message,
    ) -> State {
        let payloads = &message.payloads;
        let response = Informational::decode(payloads.first, &payloads.octets);
        if response.is_ok_and(|response| response.cookie2.as_ref() == Some(cookie)) {
            return self.proceed(cx, core);
        }
        self.ending = Some(CloseReason::Malformed);
        self.proceed(cx, core)
    }
}
